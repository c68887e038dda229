//! The INVITE client transaction (RFC 3261 §17.1.1 with RFC 6026 §7.2). Pure: the owner holds the messages.
//! It asks for the ACK of a failure; the ACK of a 2xx is the session's.

use std::time::{Duration, Instant};

use super::timers::{GIVE_UP, LINGER, T1, Timer, Timers};
use super::{Expiry, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Calling {
        interval: Duration,
    },
    Proceeding,
    /// A failure was received and ACKed.
    Completed,
    /// A 2xx was received: every further 2xx goes up, because it may be another fork or want its ACK again.
    Accepted,
    Terminated,
}

#[derive(Debug)]
pub struct InviteClient {
    state: State,
    timers: Timers<Timer>,
    reliable: bool,
}

impl InviteClient {
    /// The INVITE has just been sent for the first time.
    pub fn new(now: Instant, reliable: bool) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::B, now + GIVE_UP);
        if !reliable {
            timers.set(Timer::A, now + T1);
        }
        InviteClient { state: State::Calling { interval: T1 }, timers, reliable }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn on_response(&mut self, now: Instant, status: u16) -> Verdict {
        match (self.state, status) {
            (State::Calling { .. } | State::Proceeding, ..200) => {
                self.timers.clear();
                self.state = State::Proceeding;
                Verdict::Deliver
            }
            (State::Calling { .. } | State::Proceeding, 200..300) => {
                self.timers.clear();
                self.timers.set(Timer::M, now + GIVE_UP);
                self.state = State::Accepted;
                Verdict::Deliver
            }
            (State::Calling { .. } | State::Proceeding, _) => {
                self.timers.clear();
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                if !self.reliable {
                    self.timers.set(Timer::D, now + LINGER);
                }
                Verdict::DeliverAndAck
            }
            (State::Accepted, 200..300) => Verdict::Deliver,
            (State::Completed, 300..) => Verdict::Ack,
            (State::Completed | State::Accepted | State::Terminated, _) => Verdict::Absorb,
        }
    }

    /// The next thing that a timer which is due wants, until `None`.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Expiry> {
        while let Some(timer) = self.timers.pop_due(now) {
            match (self.state, timer) {
                (State::Calling { interval }, Timer::A) => {
                    let interval = interval * 2;
                    self.state = State::Calling { interval };
                    self.timers.set(Timer::A, now + interval);
                    return Some(Expiry::Retransmit);
                }
                (State::Calling { .. }, Timer::B) => {
                    self.timers.clear();
                    self.state = State::Terminated;
                    return Some(Expiry::TimedOut);
                }
                (State::Completed, Timer::D) | (State::Accepted, Timer::M) => self.state = State::Terminated,
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{clock, fire_times};
    use super::*;

    #[test]
    fn retransmits_on_timer_a_until_timer_b() {
        let now = clock();
        let mut client = InviteClient::new(now, false);
        let fired = fire_times(now, || client.poll_timeout().map(|at| (at, client.on_timeout(at))));
        let times: Vec<_> = fired.iter().map(|f| f.0).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500, 32000]);
        assert_eq!(fired.last().unwrap().1, Some(Expiry::TimedOut));
    }

    #[test]
    fn follows_the_state_table() {
        use State::*;
        let calling = Calling { interval: T1 };
        // (answers before, answer, verdict, state after on UDP, state after on TCP)
        let table: &[(&[u16], u16, Verdict, State, State)] = &[
            (&[], 100, Verdict::Deliver, Proceeding, Proceeding),
            (&[180], 183, Verdict::Deliver, Proceeding, Proceeding),
            (&[], 200, Verdict::Deliver, Accepted, Accepted),
            (&[180], 200, Verdict::Deliver, Accepted, Accepted),
            (&[200], 200, Verdict::Deliver, Accepted, Accepted),
            (&[200], 486, Verdict::Absorb, Accepted, Accepted),
            (&[200], 180, Verdict::Absorb, Accepted, Accepted),
            (&[], 486, Verdict::DeliverAndAck, Completed, Terminated),
            (&[180], 302, Verdict::DeliverAndAck, Completed, Terminated),
        ];
        for (before, answer, verdict, on_udp, on_tcp) in table {
            for (reliable, after) in [(false, on_udp), (true, on_tcp)] {
                let mut client = InviteClient::new(clock(), reliable);
                assert_eq!(client.state(), calling);
                for status in *before {
                    client.on_response(clock(), *status);
                }
                assert_eq!(client.on_response(clock(), *answer), *verdict, "{before:?} {answer}");
                assert_eq!(client.state(), *after, "{before:?} {answer}");
            }
        }
    }

    #[test]
    fn acks_a_repeated_failure_until_timer_d() {
        let now = clock();
        let mut client = InviteClient::new(now, false);
        client.on_response(now, 486);
        assert_eq!(client.on_response(now, 486), Verdict::Ack);
        assert_eq!(client.on_response(now, 200), Verdict::Absorb);
        assert_eq!(client.on_timeout(now + LINGER), None);
        assert_eq!(client.state(), State::Terminated);
    }

    #[test]
    fn a_ringing_call_never_times_out_by_itself() {
        let now = clock();
        let mut client = InviteClient::new(now, false);
        client.on_response(now, 180);
        assert_eq!(client.poll_timeout(), None);
    }
}
