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
    /// The voice had made the first sound of the reply.
    FirstSound,
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

    /// It has not happened after all.
    pub fn forget(&mut self, moment: Moment) {
        self.moments.retain(|(m, _)| *m != moment);
    }

    pub fn at(&self, moment: Moment) -> Option<Instant> {
        self.moments.iter().find(|(m, _)| *m == moment).map(|(_, at)| *at)
    }

    fn between(&self, from: Moment, to: Moment) -> Option<Duration> {
        Some(self.at(to)?.saturating_duration_since(self.at(from)?))
    }

    /// What the call log says of this turn's speed.
    pub fn latency(&self) -> Latency {
        let ms = |from, to| self.between(from, to).map(whole_ms);
        Latency {
            answer_to_first_audio_ms: ms(Moment::Answered, Moment::FirstAudio),
            speech_end_to_text_ms: ms(Moment::SpeechEnded, Moment::Transcribed),
            speech_end_to_filler_ms: ms(Moment::SpeechEnded, Moment::Filler),
            speech_end_to_first_audio_ms: ms(Moment::SpeechEnded, Moment::FirstAudio),
            waited_for: self.waited_for(),
        }
    }

    /// Work that was done while something else was waited for is nobody's wait: each moment counts from the latest of those
    /// before it.
    fn waited_for(&self) -> Option<Wait> {
        let start = self.at(Moment::SpeechEnded)?;
        let end = self.at(Moment::FirstAudio)?;
        let mut latest = start;
        let mut step = |moment| {
            let at = self.at(moment).unwrap_or(latest).clamp(latest, end.max(latest));
            whole_ms(at.saturating_duration_since(std::mem::replace(&mut latest, at)))
        };
        Some(Wait {
            decide_ms: step(Moment::TurnEnded),
            transcribe_ms: step(Moment::Transcribed),
            think_ms: step(Moment::FirstSentence),
            speak_ms: step(Moment::FirstSound),
            play_ms: step(Moment::FirstAudio),
        })
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The latencies of a turn in milliseconds; absent where one of the two moments did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Latency {
    /// Of the greeting: from the answered call to its first sample on the wire.
    pub answer_to_first_audio_ms: Option<u64>,
    pub speech_end_to_text_ms: Option<u64>,
    pub speech_end_to_filler_ms: Option<u64>,
    /// The one that the caller feels: from the end of his speech to the first sample of the answer on the wire.
    pub speech_end_to_first_audio_ms: Option<u64>,
    /// What that time went to.
    pub waited_for: Option<Wait>,
}

/// The parts of the time from the end of speech to the first sample of the answer: they add up to it but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Wait {
    /// Until it was certain that the caller had finished.
    pub decide_ms: u64,
    /// Until his words were there, after that.
    pub transcribe_ms: u64,
    /// Until the first sentence of the answer was there, after that.
    pub think_ms: u64,
    /// Until the first sound of it was there, after that.
    pub speak_ms: u64,
    /// Until it went to the wire.
    pub play_ms: u64,
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
    fn what_was_waited_for_adds_up_whatever_was_done_early() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        let moments = [
            (Moment::SpeechEnded, 0),
            // The answer was guessed and spoken before the turn was over.
            (Moment::Transcribed, 650),
            (Moment::FirstSentence, 660),
            (Moment::FirstSound, 720),
            (Moment::TurnEnded, 700),
            (Moment::FirstAudio, 740),
        ];
        for (moment, ms) in moments {
            timeline.note(moment, start + Duration::from_millis(ms));
        }
        let latency = timeline.latency();
        let expected = Wait { decide_ms: 700, transcribe_ms: 0, think_ms: 0, speak_ms: 20, play_ms: 20 };
        assert_eq!((latency.speech_end_to_first_audio_ms, latency.waited_for), (Some(740), Some(expected)));
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
