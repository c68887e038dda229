//! One telephone call: its sound, its turns, its end.
//!
//! [`Call`] is sans-IO like the layers below it: packets, transcripts, sentences and synthesised sound go in with the
//! time they arrived at, and [`Output`]s come out. [`driver`] is the task that owns a `Call` and does the I/O for it.
//!
//! Left out: putting callers through.

#[expect(clippy::module_inception, reason = "a call is the room and its centre")]
mod call;
pub mod driver;
pub mod ears;
mod echo;
pub mod ending;
pub mod keys;
pub mod mouth;
pub mod notice;
mod ours;
pub mod party;
pub mod script;
mod talk;
pub mod timeline;
pub mod turn;

pub use call::{Call, CallSetup, Encryption, MediaAddress, StreamStart};
pub use ending::TurnEnd;
pub use mouth::PhraseId;
pub use script::{Lines, Script};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use crate::engine::dialog::Expects;
use crate::engine::stt::Transcript;
use crate::engine::worker::Priority;
use crate::engine::{Language, TurnId};
use crate::rtp::Frame;
use crate::sip::{EndCause, Reason, SessionEvent};
use party::words::Kind;
use timeline::Latency;
use turn::TurnConfig;

/// A stretch of the caller's speech that is transcribed in one piece; a turn has one or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartId(pub u64);

/// How the secretary holds a conversation.
#[derive(Debug, Clone)]
pub struct CallConfig {
    pub ears: ears::EarsConfig,
    pub turn: TurnConfig,
    /// Languages a caller may speak; the first is the one the call begins in.
    pub languages: Vec<Language>,
    /// A caller who was heard and then neither sends sound nor reports for so long is gone.
    pub media_timeout: Duration,
}

/// What the secretary does for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Service {
    #[default]
    Conversation,
    /// Only his message is taken: nothing that he says is answered, and nobody waits for the words.
    Message,
}

/// Something that happened outside of the call.
#[derive(Debug)]
pub enum Input {
    /// The session's other side, or its transactions.
    Session(SessionEvent),
    /// A part was transcribed, or could not be.
    Heard { part: PartId, result: Result<Transcript, String> },
    /// How likely the caller has finished, 0 to 1, as a part and its pause sound.
    Judged { part: PartId, complete: Result<f32, String> },
    /// The dialog says a sentence of the answer.
    Sentence { turn: TurnId, text: String },
    /// The dialog wants the call to end when the answer has been heard.
    WantsHangUp { turn: TurnId },
    /// The dialog has said all of the answer and knows what it asked for.
    Replied { turn: TurnId, expects: Expects },
    /// Sound of a phrase, at [`Call::rate`].
    Sound { phrase: PhraseId, pcm: Arc<[i16]> },
    /// A phrase is whole, or as whole as it gets.
    Synthesised { phrase: PhraseId, result: Result<(), String> },
    /// The one whom the caller has sent us to has answered what [`Call::offer_move`] offered.
    Moved { sdp: Vec<u8> },
    /// The caller is gone while the one to whom he has sent us is still being called: nobody listens meanwhile.
    PeerLeft,
    /// Put the caller on hold.
    Hold,
    /// Take him off it.
    Resume,
    /// The program wants the call to end now.
    HangUp(EndedBy),
}

/// Something the call wants done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one, a frame of both sides, is also the frequent one")]
pub enum Output {
    /// A datagram for the other side, from the call's RTP port.
    Transmit { to: SocketAddr, datagram: Vec<u8> },
    /// A report for the other side, from the next port.
    TransmitRtcp { to: SocketAddr, datagram: Vec<u8> },
    /// Answer a re-INVITE with this SDP.
    AnswerOffer { sdp: Vec<u8> },
    /// Refuse a re-INVITE; the session stays as it was.
    RejectOffer,
    /// Change the session by a re-INVITE with this SDP.
    Offer { sdp: Vec<u8> },
    /// End the session.
    HangUp,
    /// Transcribe what the caller said; mono at [`Call::rate`]. The text is wanted by `due`.
    Transcribe { part: PartId, pcm: Vec<i16>, languages: Vec<Language>, priority: Priority, due: Instant },
    /// Judge whether the caller has finished with the part that ends so; the last seconds of it, mono at [`Call::rate`].
    Judge { part: PartId, pcm: Vec<i16> },
    /// The transcript is not wanted any more: the caller goes on.
    CancelPart { part: PartId },
    /// The caller's turn is over and this is what he said.
    Reply { turn: TurnId, text: String, language: Language },
    /// The reply is not wanted any more; if any of it was heard, this is how much.
    CancelReply { turn: TurnId, heard: Option<String> },
    /// Synthesise a phrase.
    Speak { phrase: PhraseId, text: String, language: Language },
    /// Phrases that were asked for are not wanted any more.
    Silence,
    /// 20 ms of both sides.
    Record { received: Frame, sent: Frame },
    /// So many times 20 ms went by unheard and unsaid: the machine was too busy.
    Gap { ticks: u32 },
    /// A turn is over and will not change.
    Turn(TurnRecord),
    /// The last output: nothing is pending any more.
    Ended { by: EndedBy },
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller hung up.
    Caller,
    /// The secretary said goodbye and hung up.
    Secretary,
    /// The caller said nothing for too long.
    Silence,
    /// No person was on the line: a busy tone, a fax, music or a recording that went on for too long.
    Machine,
    /// The call was as long as it may be.
    TimeLimit,
    /// The program was stopped.
    Shutdown,
    /// Somebody else took the call before she answered.
    Elsewhere,
    /// The caller was heard, and then nothing came of him for `media_timeout_s`.
    NoMedia,
    /// The session failed: no ACK, no answer to a request, no way to the peer.
    Failure,
}

impl From<&EndCause> for EndedBy {
    fn from(cause: &EndCause) -> Self {
        match cause {
            EndCause::Cancelled(Some(reason)) if is_elsewhere(reason) => EndedBy::Elsewhere,
            EndCause::RemoteBye(_) | EndCause::Cancelled(_) => EndedBy::Caller,
            _ => EndedBy::Failure,
        }
    }
}

/// Whether a CANCEL says that another telephone has answered (RFC 3326 §2), in the words of SIP or of ISDN.
fn is_elsewhere(reason: &Reason) -> bool {
    match reason.cause {
        Some(200) => reason.protocol.eq_ignore_ascii_case("SIP"),
        Some(26) => reason.protocol.eq_ignore_ascii_case("Q.850"),
        _ => false,
    }
}

/// One turn as the call log keeps it: what the caller said, what was answered, how fast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnRecord {
    /// Counted from 0, which is the greeting.
    pub number: u32,
    /// Since the call was answered, in seconds.
    pub started_s: f64,
    pub language: Language,
    /// Empty for the greeting and for prompts after silence.
    pub caller_text: String,
    /// The keys that he pressed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub keys: String,
    /// What was to be said.
    pub secretary_text: String,
    /// What of it the caller heard.
    pub heard_text: String,
    /// What spoke in the caller's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Kind>,
    /// What ended the caller's turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_end: Option<TurnEnd>,
    pub latency: Latency,
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}
