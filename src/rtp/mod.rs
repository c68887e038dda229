//! The media of one call, without sockets and without a clock: RTP (RFC 3550) with the audio profile (RFC 3551).
//!
//! [`Stream`] is one stream each way: datagrams and time go in, datagrams and one [`Output::Tick`] per 20 ms come out.
//! Behind it stand the wire ([`packet`]), order and lateness ([`jitter`]), loss ([`conceal`]), what we say ([`playout`]),
//! pressed keys ([`dtmf`], [`tones`]) and the codecs ([`codec`]). Everything is mono, at the [`Rate`] of the call.
//!
//! Where the peer is decides the latch; reports go both ways ([`rtcp`]) and the call is rated by them ([`quality`]).
//!
//! Left out: SRTP, and comfort noise of our own.

pub mod codec;
pub mod conceal;
pub mod dtmf;
pub mod jitter;
mod latch;
pub mod packet;
pub mod playout;
pub mod quality;
mod rate;
mod reception;
pub mod rtcp;
mod stream;
pub mod tones;

pub use jitter::Received;
pub use rate::{Frame, Rate};
pub use stream::{Output, Stream, StreamConfig, StreamStats};

use std::time::Duration;

/// How long a frame lasts.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);
