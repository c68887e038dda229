//! Offer and answer in a call that stands, both ways: one exchange at a time (RFC 3261 §14, RFC 3311 §5).

use std::time::Duration;

use rand::Rng;

use super::{Arrived, Context, SessionTimer};
use crate::sip::message::Response;
use crate::sip::transaction::{GIVE_UP, ServerKey, T1, T2};

/// A re-INVITE that meets one of the peer, or one that he has no time for, is sent so often again.
const MAX_RETRIES: u8 = 10;
/// The longest wait that a peer may ask for before a re-INVITE is repeated, in seconds.
const LONGEST_WAIT_S: u64 = 30;

/// Where an offer and its answer are.
pub(super) enum Exchange {
    Stable,
    /// A re-INVITE or UPDATE of the peer waits for the user.
    Asked(Box<Arrived>),
    /// Our 2xx goes out until its ACK comes.
    Answered(Box<Answered>),
    /// Our re-INVITE waits for the peer.
    Offering(Box<Offering>),
}

pub(super) struct Answered {
    pub key: ServerKey,
    pub ok: Response,
    pub cseq: u32,
    pub interval: Duration,
    /// This is the answer that established the call.
    pub is_first: bool,
    /// The 2xx carries our offer, the ACK its answer.
    pub offered: bool,
}

pub(super) struct Offering {
    pub sdp: Vec<u8>,
    pub what: Change,
}

/// What a re-INVITE of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The user wants it; it has met the peer's that many times.
    Wanted { retries: u8 },
    /// It changes nothing but the session's lifetime.
    Refresh,
}

/// An offer of the user that waits for its turn. A later one takes its place.
pub(super) struct Queued {
    pub sdp: Vec<u8>,
    pub retries: u8,
    /// Not before [`SessionTimer::OfferAgain`].
    pub held: bool,
}

impl Exchange {
    /// Sends a 2xx to an INVITE, and again until its ACK.
    pub fn begin_answer(
        cx: &mut Context<'_>,
        key: ServerKey,
        ok: Response,
        cseq: u32,
        is_first: bool,
        offered: bool,
    ) -> Self {
        cx.respond(&key, ok.clone());
        cx.timers.set(SessionTimer::RepeatAnswer, cx.now + T1);
        cx.timers.set(SessionTimer::AckOverdue, cx.now + GIVE_UP);
        Exchange::Answered(Box::new(Answered { key, ok, cseq, interval: T1, is_first, offered }))
    }

    pub fn is_stable(&self) -> bool {
        matches!(self, Exchange::Stable)
    }

    pub fn awaits_ack(&self, cseq: u32) -> bool {
        matches!(self, Exchange::Answered(answered) if answered.cseq == cseq)
    }

    /// RFC 3261 §13.3.1.4: on every transport, since a proxy may have another behind it.
    pub fn repeat_answer(&mut self, cx: &mut Context<'_>) {
        if let Exchange::Answered(answered) = self {
            cx.respond(&answered.key, answered.ok.clone());
            answered.interval = (answered.interval * 2).min(T2);
            cx.timers.set(SessionTimer::RepeatAnswer, cx.now + answered.interval);
        }
    }
}

impl Queued {
    /// Puts off an offer that the peer had no time for; `None` when that has happened too often.
    pub fn after(
        cx: &mut Context<'_>,
        refusal: &Response,
        sdp: Vec<u8>,
        retries: u8,
        owns_call_id: bool,
    ) -> Option<Self> {
        if retries >= MAX_RETRIES {
            return None;
        }
        let wait = match refusal.status {
            // RFC 3261 §14.1: in units of 10 ms, and in two ranges, so that the two do not meet again.
            491 => {
                let units = if owns_call_id { 210..=400u64 } else { 0..=200 };
                Duration::from_millis(10 * cx.core.rng.random_range(units))
            }
            // RFC 3261 §14.2: an earlier request of ours has no answer there yet.
            500 => {
                let asked = refusal.headers.get("Retry-After")?.split([';', '(']).next()?.trim().parse().ok()?;
                Duration::from_secs(Some(asked).filter(|seconds| *seconds <= LONGEST_WAIT_S)?)
            }
            _ => return None,
        };
        cx.timers.set(SessionTimer::OfferAgain, cx.now + wait);
        Some(Queued { sdp, retries: retries + 1, held: true })
    }
}
