//! The client transaction of everything but INVITE (RFC 3261 §17.1.2). Pure: the owner holds the message.

use std::time::{Duration, Instant};

use super::timers::{GIVE_UP, T1, T2, T4, Timer, Timers};
use super::{Expiry, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Trying { interval: Duration },
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Debug)]
pub struct Client {
    state: State,
    timers: Timers<Timer>,
    reliable: bool,
}

impl Client {
    /// The request has just been sent for the first time.
    pub fn new(now: Instant, reliable: bool) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::F, now + GIVE_UP);
        if !reliable {
            timers.set(Timer::E, now + T1);
        }
        Client { state: State::Trying { interval: T1 }, timers, reliable }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn on_response(&mut self, now: Instant, status: u16) -> Verdict {
        match (self.state, status) {
            (State::Trying { .. } | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                Verdict::Deliver
            }
            (State::Trying { .. } | State::Proceeding, _) => {
                self.timers.clear();
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                if !self.reliable {
                    self.timers.set(Timer::K, now + T4);
                }
                Verdict::Deliver
            }
            (State::Completed | State::Terminated, _) => Verdict::Absorb,
        }
    }

    /// The next thing that a timer which is due wants, until `None`.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Expiry> {
        while let Some(timer) = self.timers.pop_due(now) {
            match (self.state, timer) {
                (State::Trying { interval }, Timer::E) => {
                    let interval = (interval * 2).min(T2);
                    self.state = State::Trying { interval };
                    self.timers.set(Timer::E, now + interval);
                    return Some(Expiry::Retransmit);
                }
                (State::Proceeding, Timer::E) => {
                    self.timers.set(Timer::E, now + T2);
                    return Some(Expiry::Retransmit);
                }
                (State::Trying { .. } | State::Proceeding, Timer::F) => {
                    self.timers.clear();
                    self.state = State::Terminated;
                    return Some(Expiry::TimedOut);
                }
                (State::Completed, Timer::K) => self.state = State::Terminated,
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
    fn retransmits_on_timer_e_until_timer_f() {
        let now = clock();
        let mut client = Client::new(now, false);
        let fired = fire_times(now, || client.poll_timeout().map(|at| (at, client.on_timeout(at))));
        let expected = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
        assert_eq!(fired.iter().map(|f| f.0).collect::<Vec<_>>(), [&expected[..], &[32000]].concat());
        assert_eq!(fired.last().unwrap().1, Some(Expiry::TimedOut));
        assert_eq!(client.state(), State::Terminated);
    }

    #[test]
    fn after_a_provisional_retransmits_every_t2() {
        let now = clock();
        let mut client = Client::new(now, false);
        assert_eq!(client.on_response(now, 100), Verdict::Deliver);
        assert_eq!(client.on_timeout(now + T1), Some(Expiry::Retransmit));
        assert_eq!(client.poll_timeout(), Some(now + T1 + T2));
    }

    #[test]
    fn absorbs_repeated_answers_until_timer_k() {
        let now = clock();
        let mut client = Client::new(now, false);
        assert_eq!(client.on_response(now, 200), Verdict::Deliver);
        assert_eq!(client.on_response(now, 200), Verdict::Absorb);
        assert_eq!(client.poll_timeout(), Some(now + T4));
        assert_eq!(client.on_timeout(now + T4), None);
        assert_eq!(client.state(), State::Terminated);
    }

    #[test]
    fn on_a_stream_neither_retransmits_nor_lingers() {
        let now = clock();
        let mut client = Client::new(now, true);
        assert_eq!(client.poll_timeout(), Some(now + GIVE_UP));
        client.on_response(now, 401);
        assert_eq!(client.state(), State::Terminated);
    }
}
