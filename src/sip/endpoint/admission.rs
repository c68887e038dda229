//! Who is let in: the room for strangers and for one of them, passwords, and the pace inside a call.
//!
//! Refusals here begin no transaction, so that callers who do not exist leave nothing behind and are not answered again
//! and again in the name of somebody else.

use std::net::IpAddr;
use std::time::Instant;

use super::{Endpoint, is_private};
use crate::sip::auth::Verdict;
use crate::sip::guard::{self, Admission, Bucket, network_of};
use crate::sip::message::{Envelope, Method, Request, Response};
use crate::sip::session::Arrived;
use crate::sip::transaction::ServerKey;
use crate::sip::{CallKey, Flow};

/// New requests a second inside one call, and how many at once after a while of silence.
const INSIDE_A_SECOND: f64 = 50.0;
const INSIDE_AT_ONCE: f64 = 100.0;

/// How a session came about, and how fast its peer goes.
#[derive(Default)]
pub(super) struct Entrance {
    /// The network of a stranger.
    stranger: Option<IpAddr>,
    /// The peer's INVITE and its number.
    invite: Option<(ServerKey, u32)>,
    /// The pace of his requests; begins with the first.
    requests: Option<Bucket>,
}

impl Entrance {
    /// That of a peer's call.
    pub fn of_call(invite: &Arrived, is_stranger: bool) -> Self {
        let network = network_of(invite.flow.remote.ip());
        let begun = (invite.key.clone(), invite.envelope.cseq.number);
        Entrance { stranger: is_stranger.then_some(network), invite: Some(begun), requests: None }
    }
}

impl Endpoint {
    /// Whether somebody's registrar, trunk or access list is there.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.registrations.values().any(|registration| registration.is_from(address))
    }

    /// Whether a request belongs to a transaction that is there: a repetition, an ACK, a CANCEL.
    pub(super) fn is_known(&self, envelope: &Envelope) -> bool {
        let key = match envelope.cseq.method {
            Method::Cancel => ServerKey::of_cancelled(envelope),
            _ => ServerKey::of(envelope),
        };
        self.core.transactions.has(&key)
    }

    /// Whether a session was begun by the INVITE of that transaction.
    pub(super) fn was_begun_in(&self, call: CallKey, invite: &ServerKey) -> bool {
        let entrance = self.entrances.get(&call).and_then(|entrance| entrance.invite.as_ref());
        entrance.is_some_and(|(key, _)| key == invite)
    }

    /// RFC 3261 §8.2.2.2: whether the INVITE of a new call has come by another way, and is still being answered there. One
    /// with another number is a call of its own; a proof of a password that it bears is used up.
    pub(super) fn is_merged(&self, envelope: &Envelope) -> bool {
        self.sessions_of(&envelope.call_id).filter(|(_, session)| session.was_begun_by(envelope)).any(|(call, _)| {
            let begun = self.entrances.get(&call).and_then(|entrance| entrance.invite.as_ref());
            begun.is_some_and(|(key, number)| *number == envelope.cseq.number && self.core.transactions.has(key))
        })
    }

    /// Whether a new request from no account that belongs to no call is let in; if not, it has been dealt with.
    pub(super) fn admits(&mut self, now: Instant, flow: Flow, request: &Request) -> bool {
        let from = flow.remote.ip();
        let is_call = request.begins_call();
        let admission = if guard::is_scanner(request) {
            // A datagram may bear the address of one who is to be shut out.
            if flow.transport.is_reliable() {
                self.core.guard.ban(now, from);
            }
            Admission::Silence
        } else {
            self.core.guard.admit(now, from, is_call)
        };
        match admission {
            Admission::Pass => true,
            Admission::Silence => {
                self.core.dropped += 1;
                false
            }
            Admission::Busy => {
                self.refuse_overload(flow, request);
                false
            }
        }
    }

    /// Whether a caller without an account is a stranger: of the public network, and not asked for a password that he knows.
    pub(super) fn is_stranger(&self, from: IpAddr) -> bool {
        self.challenger.is_none() && !is_private(from)
    }

    /// Whether there is room for one more call, from a stranger's address or from one who is none.
    pub(super) fn has_room(&self, stranger: Option<IpAddr>) -> bool {
        if self.sessions.len() >= self.core.config.max_calls {
            return false;
        }
        let has_room = stranger.is_none_or(|stranger| self.has_room_for(stranger));
        if !has_room {
            tracing::debug!(peer.ip = ?stranger, "strangers have their share of the lines");
        }
        has_room
    }

    /// Strangers leave half of the lines to the accounts, and one of them leaves half of theirs to the others.
    fn has_room_for(&self, stranger: IpAddr) -> bool {
        let most = self.core.config.max_calls;
        let half = most.div_ceil(2);
        let (of_all, of_one) =
            if self.registrations.is_empty() { (most, half.max(2)) } else { (half, (half / 2).max(1)) };
        let is_bounded = self.core.config.limits.calls_per_second.is_finite();
        let network = network_of(stranger);
        let strangers = || self.entrances.values().filter_map(|entrance| entrance.stranger);
        strangers().count() < of_all && (!is_bounded || strangers().filter(|other| *other == network).count() < of_one)
    }

    /// Whether the peer of a call keeps a bearable pace. What ends or completes something is always taken.
    pub(super) fn admits_inside(&mut self, now: Instant, call: CallKey, method: &Method) -> bool {
        if matches!(method, Method::Bye | Method::Ack | Method::Cancel | Method::Prack) {
            return true;
        }
        let entrance = self.entrances.entry(call).or_default();
        entrance.requests.get_or_insert_with(|| Bucket::new(now, INSIDE_A_SECOND, INSIDE_AT_ONCE)).take(now)
    }

    /// 401 to a request from no account, unless direct callers are not challenged or he has shown that he is one of the users.
    pub(super) fn challenge(&mut self, now: Instant, flow: Flow, request: &Request) -> Option<Response> {
        let challenger = self.challenger.as_mut()?;
        let from = flow.remote.ip();
        let verdict = challenger.verify(now, from, request);
        match verdict {
            Verdict::Right => return None,
            Verdict::Missing | Verdict::Stale => {}
            Verdict::Wrong => {
                tracing::debug!(peer.addr = %flow.remote, "wrong credentials");
                self.core.guard.failed_authentication(now, from);
            }
        }
        let mut unauthorized = Response::answer(request, 401);
        for challenge in challenger.challenge(now, from, verdict == Verdict::Stale) {
            unauthorized.headers.push("WWW-Authenticate", challenge);
        }
        Some(unauthorized)
    }

    /// Counts a refusal for want of room: 503 (RFC 3261 §21.5.4).
    pub(super) fn overload(&mut self, request: &Request) -> Response {
        self.core.overloaded += 1;
        Response::answer(request, 503).with("Retry-After", guard::RETRY_AFTER_S.to_string())
    }

    /// The same without a transaction.
    pub(super) fn refuse_overload(&mut self, flow: Flow, request: &Request) {
        let answer = self.overload(request);
        self.core.respond_statelessly(flow, answer);
    }
}
