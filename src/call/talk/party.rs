//! Somebody who is no person: tones and machines on the line. They are neither answered nor prompted, and do not keep the line
//! for ever; a menu's key for a person is pressed once.

use std::time::{Duration, Instant};

use super::Talk;
use crate::call::EndedBy;
use crate::call::party::Heard;
use crate::call::party::words::{Machine, robot};
use crate::call::turn::Turn;
use crate::rtp::Stream;

/// The same words so often in a row are a recording's, if they are more than a person repeats.
const SAME_WORDS: u8 = 4;
const MANY_WORDS: usize = 6;
/// Whoever speaks while the time of machines is over is heard out so long.
const GRACE: Duration = Duration::from_secs(15);

/// The key for a person in a menu that a machine has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MenuKey {
    NotAsked,
    Due(char),
    /// It is pressed once in a call.
    Pressed,
}

impl Talk {
    /// Something on the line is no voice. Tells when the call is to end for it.
    pub(super) fn party_heard(&mut self, now: Instant, heard: Heard) -> Option<EndedBy> {
        tracing::info!(?heard, "not a person is on the line");
        match heard {
            // Nobody will speak any more.
            Heard::Busy | Heard::Unobtainable | Heard::Fax | Heard::Modem => Some(EndedBy::Machine),
            Heard::Ringback | Heard::Music => {
                self.machine_since.get_or_insert(now);
                None
            }
        }
    }

    /// What a machine says is in the record, and nothing else follows from it. Tells whether it was one.
    pub(super) fn is_machine(&mut self, now: Instant, text: &str) -> bool {
        let Some(machine) = self.machine(text) else {
            self.machine_since = None;
            return false;
        };
        let kind = machine.kind();
        tracing::info!(?kind, "a machine speaks");
        if let (Some(key), MenuKey::NotAsked) = (machine.key_for_a_person(), self.menu_key) {
            self.menu_key = MenuKey::Due(key);
        }
        self.machine_since.get_or_insert(now);
        self.kind = Some(kind);
        self.record(now);
        self.ears.end_part();
        self.turn = Turn::Listening { since: now };
        true
    }

    /// The machine that says this, if it is one.
    pub(super) fn machine(&self, text: &str) -> Option<Machine> {
        let is_repeated = || self.same_words.0 == text && self.same_words.1 + 1 >= SAME_WORDS;
        robot(text, self.language()).or_else(|| is_repeated().then_some(Machine::Robot))
    }

    /// Counts a text that follows itself; short ones are a person's.
    pub(super) fn note_words(&mut self, text: &str) {
        match text.split_whitespace().count() >= MANY_WORDS && self.same_words.0 == text {
            true => self.same_words.1 = self.same_words.1.saturating_add(1),
            false => self.same_words = (text.to_owned(), 1),
        }
    }

    /// Whether machines have had the line for long enough.
    pub(super) fn has_waited_for_a_person(&self, now: Instant) -> bool {
        let limit = self.config.turn.machine();
        let is_over = self.machine_since.is_some_and(|since| now.saturating_duration_since(since) >= limit);
        match self.turn {
            Turn::Listening { .. } => is_over,
            Turn::Hearing | Turn::Deciding(_) => is_over && now.saturating_duration_since(self.turn_started) >= GRACE,
            Turn::Keying { .. }
            | Turn::Thinking { .. }
            | Turn::Dictating { .. }
            | Turn::Speaking { .. }
            | Turn::Silent => false,
        }
    }

    /// One who speaks without a pause may be a machine too.
    pub(super) fn note_machine(&mut self, now: Instant) {
        if self.turn == Turn::Hearing && robot(&self.caller_text(), self.language()).is_some() {
            self.machine_since.get_or_insert(now);
        }
    }

    pub(super) fn press_menu_key(&mut self, stream: &mut Stream) {
        if let MenuKey::Due(key) = self.menu_key {
            self.menu_key = MenuKey::Pressed;
            if !stream.press(key) {
                tracing::warn!(%key, "the key of a menu could not be pressed: the other side takes none in RTP");
            }
        }
    }

    /// Nothing is said to a machine, for so long as it has the line.
    pub(super) fn waits_for_a_person(&self) -> bool {
        self.machine_since.is_some()
    }
}
