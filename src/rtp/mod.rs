//! The media of one call, without sockets and without a clock: RTP (RFC 3550) with the audio profile (RFC 3551).
//!
//! [`Stream`] is one stream each way: datagrams and time go in, datagrams and one [`Output::Tick`] per 20 ms come out.
//! Behind it stand the wire ([`packet`]), order and lateness ([`jitter`]), loss ([`conceal`]), what we say ([`playout`], [`pace`]),
//! pressed keys ([`dtmf`], [`tones`]) and the codecs ([`codec`]). Everything is mono, at the [`Rate`] of the call.
//!
//! Where the peer is decides the latch, or the peer's checks of connectivity ([`ice`], over [`stun`]); reports go both ways
//! ([`rtcp`]) and the call is rated by them ([`quality`]).
//!
//! What goes over the wire may be encrypted ([`srtp`], [`dtls`], [`wire`]).

pub mod codec;
pub mod conceal;
pub mod dtls;
pub mod dtmf;
pub mod ice;
pub mod jitter;
mod latch;
pub mod pace;
pub mod packet;
pub mod playout;
pub mod quality;
mod rate;
mod reception;
pub mod rtcp;
pub mod srtp;
mod stream;
pub mod stun;
pub mod tones;
pub mod wire;

pub use jitter::Received;
pub use rate::{Frame, Rate};
pub use stream::{Output, Stream, StreamConfig, StreamStats};
pub use wire::Protection;

use std::time::Duration;

/// How long a frame lasts.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);
