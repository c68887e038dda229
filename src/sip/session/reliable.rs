//! Reliable provisional answers (RFC 3262), both roles, as pure state machines: the owner sends what they decide.
//!
//! Left out: offers in a PRACK; more than one unacknowledged answer (§3 allows that only after the first PRACK anyway).

use std::time::{Duration, Instant};

use crate::sip::message::{Headers, Request, Response};
use crate::sip::transaction::{GIVE_UP, T1};

/// Whether a header lists an extension.
pub(super) fn lists(headers: &Headers, header: &str, extension: &str) -> bool {
    headers.values(header).any(|value| value.eq_ignore_ascii_case(extension))
}

/// The number of a provisional answer that wants a PRACK.
pub(super) fn rseq(response: &Response) -> Option<u32> {
    let wanted = response.is_provisional() && response.status > 100 && lists(&response.headers, "Require", "100rel");
    response.headers.get("RSeq").filter(|_| wanted)?.trim().parse().ok()
}

/// The caller's side, one for each early dialog: in which order answers are taken (RFC 3262 §4).
#[derive(Debug, Default)]
pub(super) struct Receiver {
    last: Option<u32>,
}

impl Receiver {
    /// Whether the answer is the next one: it counts, and is to be acknowledged. Others are repeats or come too early.
    pub fn take(&mut self, rseq: u32) -> bool {
        let is_next = self.last.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if is_next {
            self.last = Some(rseq);
        }
        is_next
    }
}

/// `RAck`: which provisional answer to which request a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rack {
    pub rseq: u32,
    /// The number of the INVITE.
    pub cseq: u32,
}

impl Rack {
    pub fn read(prack: &Request) -> Option<Self> {
        let mut parts = prack.headers.get("RAck")?.split_whitespace();
        let rack = Rack { rseq: parts.next()?.parse().ok()?, cseq: parts.next()?.parse().ok()? };
        (parts.next() == Some("INVITE")).then_some(rack)
    }
}

impl std::fmt::Display for Rack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} INVITE", self.rseq, self.cseq)
    }
}

/// What a [`Sender`] whose time has come wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Repeat,
    /// No PRACK within 64·T1: the INVITE is to be refused with a 5xx.
    GiveUp,
}

/// The callee's side: an answer that goes out until its PRACK comes (RFC 3262 §3).
#[derive(Debug)]
pub(super) struct Sender {
    rack: Rack,
    interval: Duration,
    repeat_at: Instant,
    give_up_at: Instant,
}

impl Sender {
    /// The answer with that number has just been sent for the first time.
    pub fn new(now: Instant, rack: Rack) -> Self {
        Sender { rack, interval: T1, repeat_at: now + T1, give_up_at: now + GIVE_UP }
    }

    pub fn rack(&self) -> Rack {
        self.rack
    }

    pub fn poll_timeout(&self) -> Instant {
        self.repeat_at.min(self.give_up_at)
    }

    pub fn on_timeout(&mut self, now: Instant) -> Option<Due> {
        if now >= self.give_up_at {
            return Some(Due::GiveUp);
        }
        if now < self.repeat_at {
            return None;
        }
        self.interval *= 2;
        self.repeat_at = now + self.interval;
        Some(Due::Repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::{Method, Uri};

    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    fn clock() -> Instant {
        Instant::now()
    }

    #[test]
    fn answers_are_taken_in_order_and_once() {
        let mut receiver = Receiver::default();
        let taken = [900, 900, 902, 901, 901, 902, 1].map(|rseq| receiver.take(rseq));
        assert_eq!(taken, [true, false, false, true, false, true, false]);
        let mut last = Receiver { last: Some(u32::MAX) };
        assert!(!last.take(0), "the number never wraps");
    }

    #[test]
    fn repeats_with_doubled_intervals_and_gives_up_after_64_t1() {
        let start = clock();
        let mut sender = Sender::new(start, Rack { rseq: 1, cseq: 1 });
        let mut times = Vec::new();
        loop {
            let at = sender.poll_timeout();
            times.push((at - start).as_millis());
            match sender.on_timeout(at) {
                Some(Due::Repeat) => assert_eq!(sender.on_timeout(at), None),
                Some(Due::GiveUp) => break,
                None => panic!("woken for nothing"),
            }
        }
        assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500, 32000]);
    }

    #[test]
    fn a_rack_is_read_strictly() {
        let mut prack = Request::new(Method::Prack, Uri::of_host(None, "h"));
        assert_eq!(Rack::read(&prack), None);
        for (value, expected) in [
            ("776656 1 INVITE", Some(Rack { rseq: 776_656, cseq: 1 })),
            ("776656  1\tINVITE", Some(Rack { rseq: 776_656, cseq: 1 })),
            ("776656 1 UPDATE", None),
            ("99999999999 1 INVITE", None),
            ("1", None),
        ] {
            prack.headers.set("RAck", value);
            assert_eq!(Rack::read(&prack), expected, "{value}");
        }
    }

    #[test]
    fn only_a_numbered_answer_that_requires_it_is_reliable() {
        let invite = Request::new(Method::Invite, Uri::of_host(None, "h"));
        let answer = |status, require: &str, number: &str| {
            Response::answer(&invite, status).with("Require", require).with("RSeq", number)
        };
        assert_eq!(rseq(&answer(180, "timer, 100rel", "7")), Some(7));
        assert_eq!(rseq(&answer(180, "timer", "7")), None);
        assert_eq!(rseq(&answer(180, "100rel", "x")), None);
        assert_eq!(rseq(&answer(100, "100rel", "7")), None);
        assert_eq!(rseq(&answer(200, "100rel", "7")), None);
    }
}
