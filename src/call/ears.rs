//! From the caller's sound to utterances: VAD with hysteresis, a pre-roll so that no first syllable is lost, and the
//! samples of the part that is being said.
//!
//! Left out: noise suppression.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::engine::vad::{FRAME_LEN, Vad, VadError};
use crate::rtp::Rate;

/// When sound counts as speech.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarsConfig {
    /// Probability of speech (0 to 1) at which speech begins.
    pub start_probability: f32,
    /// Probability of speech (0 to 1) under which speech ends; below `start_probability`.
    pub end_probability: f32,
    /// Sound from before the beginning of speech that is kept, in milliseconds.
    pub pre_roll_ms: u32,
}

impl Default for EarsConfig {
    fn default() -> Self {
        Self { start_probability: 0.5, end_probability: 0.35, pre_roll_ms: 300 }
    }
}

/// Windows of speech in a row that make an onset: a click is shorter.
const ONSET_WINDOWS: u32 = 3;

/// The hysteresis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Voice {
    /// No speech; `run` windows of it in a row so far.
    Quiet { run: u32 },
    /// Speech, for so many windows without a break.
    Talking { windows: u32 },
}

/// What changed in the caller's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarEvent {
    /// Speech began; the part holds it from its pre-roll on.
    Onset,
    /// Speech stopped a moment ago; it may go on.
    Offset,
}

pub struct Ears {
    rate: Rate,
    vad: Box<dyn Vad>,
    config: EarsConfig,
    voice: Voice,
    /// Samples that do not fill a VAD window yet.
    window: Vec<i16>,
    /// The latest sound while nothing is captured.
    pre_roll: VecDeque<i16>,
    /// The part of an utterance that is being captured.
    part: Option<Vec<i16>>,
    last_voiced: Option<Instant>,
    voiced_windows: u32,
}

impl Ears {
    /// For sound at `rate`.
    pub fn new(vad: Box<dyn Vad>, config: EarsConfig, rate: Rate) -> Self {
        Self {
            rate,
            vad,
            config,
            voice: Voice::Quiet { run: 0 },
            window: Vec::with_capacity(rate.scaled(FRAME_LEN)),
            pre_roll: VecDeque::new(),
            part: None,
            last_voiced: None,
            voiced_windows: 0,
        }
    }

    /// Takes the next sound of the caller, which ended at `now`.
    ///
    /// # Errors
    /// When the VAD fails; the sound is kept all the same.
    pub fn push(&mut self, now: Instant, pcm: &[i16]) -> Result<Option<EarEvent>, VadError> {
        self.keep(pcm);
        let mut event = None;
        for &sample in pcm {
            self.window.push(sample);
            if self.window.len() == self.rate.scaled(FRAME_LEN) {
                let probability = self.vad.probability(&self.window);
                self.window.clear();
                event = self.hear(now, probability?).or(event);
            }
        }
        Ok(event)
    }

    fn keep(&mut self, pcm: &[i16]) {
        match &mut self.part {
            Some(part) => part.extend_from_slice(pcm),
            None => self.roll(pcm),
        }
    }

    fn roll(&mut self, pcm: &[i16]) {
        self.pre_roll.extend(pcm);
        // What the onset needs to be certain is kept beside the pre-roll proper.
        let windows = ONSET_WINDOWS as usize * self.rate.scaled(FRAME_LEN);
        let wanted = self.config.pre_roll_ms as usize * self.rate.scaled(8) + windows;
        let excess = self.pre_roll.len().saturating_sub(wanted);
        self.pre_roll.drain(..excess);
    }

    fn hear(&mut self, now: Instant, probability: f32) -> Option<EarEvent> {
        match self.voice {
            Voice::Quiet { run } if probability >= self.config.start_probability => {
                if run + 1 < ONSET_WINDOWS {
                    self.voice = Voice::Quiet { run: run + 1 };
                    return None;
                }
                self.voice = Voice::Talking { windows: ONSET_WINDOWS };
                self.last_voiced = Some(now);
                self.voiced_windows = self.voiced_windows.saturating_add(ONSET_WINDOWS);
                if self.part.is_none() {
                    self.part = Some(self.pre_roll.drain(..).collect());
                }
                Some(EarEvent::Onset)
            }
            Voice::Quiet { .. } => {
                self.voice = Voice::Quiet { run: 0 };
                None
            }
            Voice::Talking { .. } if probability < self.config.end_probability => {
                self.voice = Voice::Quiet { run: 0 };
                Some(EarEvent::Offset)
            }
            Voice::Talking { windows } => {
                self.voice = Voice::Talking { windows: windows.saturating_add(1) };
                self.last_voiced = Some(now);
                self.voiced_windows = self.voiced_windows.saturating_add(1);
                None
            }
        }
    }

    pub fn is_talking(&self) -> bool {
        matches!(self.voice, Voice::Talking { .. })
    }

    /// How long the caller has been talking without a break.
    pub fn talking_for(&self) -> Duration {
        match self.voice {
            Voice::Talking { windows } => windows_length(windows),
            Voice::Quiet { .. } => Duration::ZERO,
        }
    }

    /// When speech was last heard.
    pub fn last_voiced(&self) -> Option<Instant> {
        self.last_voiced
    }

    /// How much of the part is speech.
    pub fn voiced(&self) -> Duration {
        windows_length(self.voiced_windows)
    }

    /// How long the part is.
    pub fn part_length(&self) -> Duration {
        let samples = self.part.as_ref().map_or(0, Vec::len) as u64;
        Duration::from_millis(samples * 1_000 / u64::from(self.rate.hz()))
    }

    /// Of the sound.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The part so far, which goes on.
    pub fn part(&self) -> Option<&[i16]> {
        self.part.as_deref()
    }

    /// Forgets the first `samples` of the part, `voiced` of them speech that is not to count: they stand as a part of their
    /// own.
    pub fn drop_front(&mut self, samples: usize, voiced: Duration) {
        if let Some(part) = &mut self.part {
            part.drain(..samples.min(part.len()));
        }
        let windows = voiced.as_millis() as u32 * 8 / FRAME_LEN as u32;
        self.voiced_windows = self.voiced_windows.saturating_sub(windows);
    }

    /// Ends the part. While the caller talks the next one begins at once; what he says next may have begun already.
    pub fn end_part(&mut self) {
        self.voiced_windows = 0;
        let next = self.is_talking().then(Vec::new);
        if let Some(part) = std::mem::replace(&mut self.part, next)
            && self.part.is_none()
        {
            self.roll(&part);
        }
    }
}

fn windows_length(windows: u32) -> Duration {
    Duration::from_millis(u64::from(windows) * FRAME_LEN as u64 / 8)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test takes one instant to start from")]
mod tests {
    use super::*;

    /// Loud is speech.
    struct Loudness;

    impl Vad for Loudness {
        fn probability(&mut self, frame: &[i16]) -> Result<f32, VadError> {
            Ok(if frame.iter().any(|s| s.unsigned_abs() > 500) { 0.9 } else { 0.05 })
        }
    }

    const FRAME: Duration = Duration::from_millis(20);

    /// Feeds `ms` of a square wave of `level` and returns what was heard.
    fn feed(ears: &mut Ears, now: &mut Instant, level: i16, ms: u64) -> Vec<EarEvent> {
        let mut events = Vec::new();
        for _ in 0..ms / 20 {
            *now += FRAME;
            let pcm: Vec<i16> = (0..160).map(|i| if i % 16 < 8 { level } else { -level }).collect();
            events.extend(ears.push(*now, &pcm).unwrap());
        }
        events
    }

    fn ears() -> Ears {
        Ears::new(Box::new(Loudness), EarsConfig::default(), Rate::Narrow)
    }

    #[test]
    fn an_utterance_has_an_onset_and_an_offset_and_its_pre_roll() {
        let (mut ears, mut now) = (ears(), Instant::now());
        assert_eq!(feed(&mut ears, &mut now, 0, 1_000), []);
        assert_eq!(feed(&mut ears, &mut now, 3_000, 1_000), [EarEvent::Onset]);
        assert_eq!(feed(&mut ears, &mut now, 0, 400), [EarEvent::Offset]);
        let part = ears.part().unwrap();
        let first_loud = part.iter().position(|&s| s != 0).unwrap();
        assert!(first_loud >= 300 * 8 - FRAME_LEN, "pre-roll of only {first_loud} samples");
        assert!(ears.voiced() >= Duration::from_millis(900));
    }

    #[test]
    fn a_part_that_ends_leaves_the_pre_roll_of_the_next() {
        let (mut ears, mut now) = (ears(), Instant::now());
        feed(&mut ears, &mut now, 3_000, 500);
        feed(&mut ears, &mut now, 100, 1_000);
        ears.end_part();
        assert_eq!(feed(&mut ears, &mut now, 3_000, 200), [EarEvent::Onset]);
        let quiet = ears.part().unwrap().iter().take_while(|s| s.unsigned_abs() < 500).count();
        assert!(quiet >= 300 * 8 - FRAME_LEN, "pre-roll of only {quiet} samples");
    }

    #[test]
    fn a_click_is_no_onset() {
        let (mut ears, mut now) = (ears(), Instant::now());
        feed(&mut ears, &mut now, 0, 500);
        assert_eq!(feed(&mut ears, &mut now, 8_000, 40), []);
        assert_eq!(feed(&mut ears, &mut now, 0, 500), []);
        assert_eq!(ears.part(), None);
    }

    #[test]
    fn silence_does_not_grow_memory() {
        let (mut ears, mut now) = (ears(), Instant::now());
        feed(&mut ears, &mut now, 0, 60_000);
        assert!(ears.pre_roll.len() < 8_000);
    }
}
