//! Whose turn it is in a call of recordings: we speak when the other side falls silent, and hang up after the last of it.

use std::time::Duration;

use crate::rtp::FRAME_DURATION;

/// The other side has finished when it was silent for this long; «Секунду…» and the answer are not so far apart.
const PAUSE: Duration = Duration::from_millis(2_500);
/// The other side says nothing at all: the next recording is played all the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// After the last recording, so much silence ends the call.
const FAREWELL: Duration = Duration::from_secs(6);
/// Louder than line noise (RMS of 16-bit samples, about -44 dBFS).
const SPEECH_RMS: f64 = 200.0;

/// When to speak and when to hang up.
#[derive(Debug)]
pub(super) struct Turns {
    acts_left: usize,
    has_acts: bool,
    silent_for: Duration,
    heard_since_act: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Listen,
    Act,
    HangUp,
}

impl Turns {
    pub(super) fn new(acts: usize) -> Self {
        Self { acts_left: acts, has_acts: acts > 0, silent_for: Duration::ZERO, heard_since_act: false }
    }

    pub(super) fn tick(&mut self, received: &[i16], playing: bool) -> Step {
        let energy: f64 = received.iter().map(|s| f64::from(*s).powi(2)).sum();
        let loud = (energy / received.len() as f64).sqrt() > SPEECH_RMS;
        if playing || loud {
            self.silent_for = Duration::ZERO;
            self.heard_since_act |= loud && !playing;
            return Step::Listen;
        }
        self.silent_for += FRAME_DURATION;
        let turn = self.silent_for >= PATIENCE || self.heard_since_act && self.silent_for >= PAUSE;
        if self.acts_left > 0 && turn {
            self.acts_left -= 1;
            self.heard_since_act = false;
            Step::Act
        } else if self.has_acts && self.acts_left == 0 && self.silent_for >= FAREWELL {
            Step::HangUp
        } else {
            Step::Listen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: [i16; 160] = [4_000; 160];
    const SILENT: [i16; 160] = [0; 160];

    /// The ticks of 20 ms until something else than listening is wanted.
    fn until(turns: &mut Turns, frame: &[i16]) -> (u32, Step) {
        (1..1_000).map(|n| (n, turns.tick(frame, false))).find(|(_, step)| *step != Step::Listen).unwrap()
    }

    #[test]
    fn it_waits_for_the_greeting_and_for_each_answer() {
        let mut turns = Turns::new(2);
        for _ in 0..100 {
            assert_eq!(turns.tick(&LOUD, false), Step::Listen);
        }
        assert_eq!(until(&mut turns, &SILENT), (125, Step::Act));
        for _ in 0..100 {
            assert_eq!(turns.tick(&SILENT, true), Step::Listen);
        }
        turns.tick(&LOUD, false);
        assert_eq!(until(&mut turns, &SILENT), (125, Step::Act));
        assert_eq!(until(&mut turns, &SILENT), (175, Step::HangUp));
    }

    #[test]
    fn it_speaks_first_to_one_who_says_nothing() {
        assert_eq!(until(&mut Turns::new(1), &SILENT), (250, Step::Act));
    }
}
