//! The named instants of one turn. Every latency that the program reports is a difference of two of them.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What happened in a turn, in the order in which it usually happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call was answered; the greeting follows.
    Answered,
    /// The caller's speech began.
    SpeechStarted,
    /// The last sample of the caller's speech arrived.
    SpeechEnded,
    /// The turn was taken to be over.
    TurnEnded,
    /// The text of the whole turn was there.
    Transcribed,
    /// The first sentence of the reply was there.
    FirstSentence,
    /// A filler («Секунду…») went to the wire.
    Filler,
    /// The first sample of the reply went to the wire.
    FirstAudio,
    /// The last sample of the reply went to the wire, or was cut.
    SpokenOut,
}

/// The moments of one turn. Each is noted once; speech that goes on after a pause notes its end again.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    moments: Vec<(Moment, Instant)>,
}

impl Timeline {
    /// Notes `moment` unless it has been noted before.
    pub fn note(&mut self, moment: Moment, now: Instant) {
        if self.at(moment).is_none() {
            self.moments.push((moment, now));
        }
    }

    /// Forgets everything that followed the caller's speech: the caller went on.
    pub fn reopen(&mut self) {
        self.moments.retain(|(m, _)| *m == Moment::SpeechStarted);
    }

    pub fn at(&self, moment: Moment) -> Option<Instant> {
        self.moments.iter().find(|(m, _)| *m == moment).map(|(_, at)| *at)
    }

    fn between(&self, from: Moment, to: Moment) -> Option<Duration> {
        Some(self.at(to)?.saturating_duration_since(self.at(from)?))
    }

    /// What the call log says of this turn's speed.
    pub fn latency(&self) -> Latency {
        let ms = |from, to| self.between(from, to).map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        Latency {
            answer_to_first_audio_ms: ms(Moment::Answered, Moment::FirstAudio),
            speech_end_to_turn_end_ms: ms(Moment::SpeechEnded, Moment::TurnEnded),
            speech_end_to_text_ms: ms(Moment::SpeechEnded, Moment::Transcribed),
            text_to_first_sentence_ms: ms(Moment::Transcribed, Moment::FirstSentence),
            first_sentence_to_audio_ms: ms(Moment::FirstSentence, Moment::FirstAudio),
            speech_end_to_filler_ms: ms(Moment::SpeechEnded, Moment::Filler),
            speech_end_to_first_audio_ms: ms(Moment::SpeechEnded, Moment::FirstAudio),
        }
    }
}

/// The latencies of a turn in milliseconds; absent where one of the two moments did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Latency {
    /// Of the greeting: from the answered call to its first sample on the wire.
    pub answer_to_first_audio_ms: Option<u64>,
    pub speech_end_to_turn_end_ms: Option<u64>,
    pub speech_end_to_text_ms: Option<u64>,
    pub text_to_first_sentence_ms: Option<u64>,
    pub first_sentence_to_audio_ms: Option<u64>,
    pub speech_end_to_filler_ms: Option<u64>,
    /// The one that the caller feels: from the end of his speech to the first sample of the answer on the wire.
    pub speech_end_to_first_audio_ms: Option<u64>,
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test takes one instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn latency_is_the_difference_of_two_moments() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.note(Moment::SpeechEnded, start);
        timeline.note(Moment::FirstAudio, start + Duration::from_millis(900));
        timeline.note(Moment::FirstAudio, start + Duration::from_millis(5_000));
        assert_eq!(timeline.latency().speech_end_to_first_audio_ms, Some(900));
        assert_eq!(timeline.latency().speech_end_to_text_ms, None);
    }

    #[test]
    fn a_caller_who_goes_on_starts_the_clock_again() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.note(Moment::SpeechStarted, start);
        timeline.note(Moment::SpeechEnded, start + Duration::from_millis(500));
        timeline.reopen();
        assert_eq!(timeline.at(Moment::SpeechStarted), Some(start));
        assert_eq!(timeline.at(Moment::SpeechEnded), None);
    }
}
