//! A caller who can only leave a message: the machine is too busy to answer him. What he says is kept and transcribed when
//! nobody else waits; the silence after it ends the call.

use std::time::{Duration, Instant};

use super::hearing::MAX_PART;
use super::{NOISE, Service, Talk};
use crate::call::EndedBy;
use crate::call::turn::{Then, Turn};
use crate::engine::worker::Priority;
use crate::rtp::Stream;

/// A pause after which what was said can be transcribed by itself.
const BETWEEN_SENTENCES: Duration = Duration::from_millis(1_500);
/// The longest message.
const LONGEST_MESSAGE: Duration = Duration::from_secs(180);
/// The longest wait for the last words after the end of a call.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same of a message: those who talk have theirs first.
const PATIENCE_WITH_MESSAGES: Duration = Duration::from_secs(600);

impl Talk {
    /// How long the last words are waited for.
    pub(in crate::call) fn settles_within(&self) -> Duration {
        match self.service {
            Service::Conversation => PATIENCE,
            Service::Message => PATIENCE_WITH_MESSAGES,
        }
    }

    pub(super) fn advance_dictating(&mut self, now: Instant, began: Instant, since: Instant, stream: &Stream) {
        // Whoever put us on hold does not listen.
        let since = if self.ears.is_talking() || !stream.is_sending() { now } else { since };
        self.turn = Turn::Dictating { began, since };
        let silence = now.saturating_duration_since(since);
        if silence >= self.config.turn.silence() || now.saturating_duration_since(began) >= LONGEST_MESSAGE {
            self.message_ends(now);
        } else if self.ears.part_length() >= MAX_PART || silence >= BETWEEN_SENTENCES && self.ears.voiced() >= NOISE {
            // What is shorter is transcribed with what follows.
            self.take_down(now);
        }
    }

    pub(super) fn message_ends(&mut self, now: Instant) {
        self.take_down_rest(now);
        let lines = self.script.lines(self.language());
        let (line, by) = match self.parts.is_empty() {
            true => (lines.silence_goodbye.clone(), EndedBy::Silence),
            false => (lines.message_left.clone(), EndedBy::Secretary),
        };
        self.say(now, &line, Then::HangUp(by));
    }

    /// What was said and typed last.
    pub(super) fn take_down_rest(&mut self, now: Instant) {
        self.take_down(now);
        self.read_keys();
    }

    /// What was said so far is transcribed some time.
    fn take_down(&mut self, now: Instant) {
        if self.ears.voiced() > Duration::ZERO {
            if self.parts.is_empty() {
                self.turn_started = now.checked_sub(self.ears.part_length()).unwrap_or(now);
            }
            self.transcribe(now, Priority::Background);
        }
        self.ears.end_part();
    }
}
