//! The server transaction of everything but INVITE (RFC 3261 §17.2.2). Pure: the owner holds the answer.

use std::time::Instant;

use super::timers::{GIVE_UP, Timer, Timers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Debug)]
pub struct Server {
    state: State,
    timers: Timers<Timer>,
    reliable: bool,
}

impl Server {
    pub fn new(reliable: bool) -> Self {
        Server { state: State::Trying, timers: Timers::default(), reliable }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the answer is to be sent: only one final answer is.
    pub fn on_answer(&mut self, now: Instant, status: u16) -> bool {
        match (self.state, status) {
            (State::Completed | State::Terminated, _) => return false,
            (State::Trying | State::Proceeding, ..200) => self.state = State::Proceeding,
            (State::Trying | State::Proceeding, _) if self.reliable => self.state = State::Terminated,
            (State::Trying | State::Proceeding, _) => {
                self.state = State::Completed;
                self.timers.set(Timer::J, now + GIVE_UP);
            }
        }
        true
    }

    /// Whether the request, which came again, is to be answered again by the last answer.
    pub fn on_repeated_request(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed)
    }

    pub fn on_timeout(&mut self, now: Instant) {
        if self.timers.pop_due(now) == Some(Timer::J) {
            self.state = State::Terminated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::clock;
    use super::*;

    #[test]
    fn repeats_its_answer_until_timer_j() {
        let now = clock();
        let mut server = Server::new(false);
        assert!(!server.on_repeated_request(), "nothing to repeat yet");
        assert!(server.on_answer(now, 200));
        assert!(server.on_repeated_request());
        assert!(!server.on_answer(now, 500), "a second final answer is not sent");
        server.on_timeout(now + GIVE_UP);
        assert_eq!(server.state(), State::Terminated);
    }

    #[test]
    fn on_a_stream_ends_with_its_answer() {
        let mut server = Server::new(true);
        assert!(server.on_answer(clock(), 405));
        assert_eq!(server.state(), State::Terminated);
    }
}
