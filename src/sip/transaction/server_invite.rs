//! The INVITE server transaction (RFC 3261 §17.2.1 with RFC 6026 §7.1). Pure: the owner holds the answer.
//! It repeats failures until their ACK; repeating a 2xx is the session's.

use std::time::{Duration, Instant};

use super::Expiry;
use super::timers::{GIVE_UP, T1, T2, T4, Timer, Timers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Proceeding,
    /// A failure was sent; its ACK is awaited.
    Completed {
        interval: Duration,
    },
    /// The ACK of the failure came.
    Confirmed,
    /// A 2xx was sent: repeated INVITEs are absorbed, 2xx of the session pass.
    Accepted,
    Terminated,
}

#[derive(Debug)]
pub struct InviteServer {
    state: State,
    timers: Timers<Timer>,
    reliable: bool,
}

impl InviteServer {
    pub fn new(reliable: bool) -> Self {
        InviteServer { state: State::Proceeding, timers: Timers::default(), reliable }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the answer is to be sent.
    pub fn on_answer(&mut self, now: Instant, status: u16) -> bool {
        match (self.state, status) {
            (State::Proceeding, ..200) => {}
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.timers.set(Timer::L, now + GIVE_UP);
            }
            (State::Proceeding, _) => {
                self.state = State::Completed { interval: T1 };
                self.timers.set(Timer::H, now + GIVE_UP);
                if !self.reliable {
                    self.timers.set(Timer::G, now + T1);
                }
            }
            (State::Accepted, 200..300) => {}
            (State::Accepted | State::Completed { .. } | State::Confirmed | State::Terminated, _) => return false,
        }
        true
    }

    /// Whether the INVITE, which came again, is to be answered again by the last answer.
    pub fn on_repeated_request(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed { .. })
    }

    /// An ACK with our branch, so that of a failure.
    pub fn on_ack(&mut self, now: Instant) {
        if !matches!(self.state, State::Completed { .. }) {
            return;
        }
        self.timers.clear();
        self.state = if self.reliable { State::Terminated } else { State::Confirmed };
        if !self.reliable {
            self.timers.set(Timer::I, now + T4);
        }
    }

    /// The next thing that a timer which is due wants, until `None`.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Expiry> {
        while let Some(timer) = self.timers.pop_due(now) {
            match (self.state, timer) {
                (State::Completed { interval }, Timer::G) => {
                    let interval = (interval * 2).min(T2);
                    self.state = State::Completed { interval };
                    self.timers.set(Timer::G, now + interval);
                    return Some(Expiry::Retransmit);
                }
                (State::Completed { .. }, Timer::H) => {
                    self.timers.clear();
                    self.state = State::Terminated;
                    return Some(Expiry::TimedOut);
                }
                (State::Confirmed, Timer::I) | (State::Accepted, Timer::L) => self.state = State::Terminated,
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
    fn repeats_a_failure_until_timer_h() {
        let now = clock();
        let mut server = InviteServer::new(false);
        assert!(server.on_answer(now, 486));
        let fired = fire_times(now, || server.poll_timeout().map(|at| (at, server.on_timeout(at))));
        let times: Vec<_> = fired.iter().map(|f| f.0).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]);
        assert_eq!(fired.last().unwrap().1, Some(Expiry::TimedOut));
    }

    #[test]
    fn an_ack_stops_the_failure() {
        let now = clock();
        let mut server = InviteServer::new(false);
        server.on_answer(now, 486);
        server.on_ack(now);
        assert_eq!(server.state(), State::Confirmed);
        assert!(!server.on_repeated_request());
        assert_eq!(server.on_timeout(now + T4), None);
        assert_eq!(server.state(), State::Terminated);
    }

    #[test]
    fn an_accepted_call_absorbs_repeated_invites_and_lets_2xx_pass() {
        let now = clock();
        let mut server = InviteServer::new(false);
        assert!(server.on_answer(now, 180));
        assert!(server.on_repeated_request());
        assert!(server.on_answer(now, 200));
        assert!(!server.on_repeated_request());
        assert!(server.on_answer(now, 200), "a retransmitted 2xx passes");
        assert!(!server.on_answer(now, 487), "a failure after a 2xx does not");
        assert_eq!(server.on_timeout(now + GIVE_UP), None);
        assert_eq!(server.state(), State::Terminated);
    }
}
