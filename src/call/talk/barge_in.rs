//! Speech over the secretary's: she is softer at once, waits when there is enough of it, and stops for words. «Угу» and
//! coughs are none: she goes on where she was.

use std::time::{Duration, Instant};

use super::{NOISE, Opening, Part, Talk};
use crate::call::turn::{Answer, DoubleTalk, Probe, Turn, Words};
use crate::call::{Expects, Output};
use crate::engine::dialog::front_desk::words::split;
use crate::engine::end_of_turn::is_backchannel;
use crate::engine::stt::Transcript;
use crate::engine::worker::Priority;
use crate::rtp::Stream;

/// Nobody answers so soon after the first sound of what he answers, by the time at which his speech is certain: he had not
/// finished.
const REACTION: Duration = Duration::from_millis(400);
/// Speech whose words are worth a look although it goes on.
const ENOUGH: Duration = Duration::from_millis(800);
/// Words of so little speech are none when they are less probable than this (mean natural logarithm) in a language that is none
/// for certain. Whisper makes words of «угу» at -0.82 to -1.7, in a language that it believes by 0.25 at most. A «спасибо» is at
/// -0.85 too, but certainly Russian. A single word that is lost so is most often misheard; more words, or a second one, stop her.
const VAGUE: f32 = -0.8;
const CERTAIN_OF_LANGUAGE: f32 = 0.4;
/// Sound without words that is kept, for words may follow.
const LONGEST_NOISE: Duration = Duration::from_secs(10);
/// The longest wait for words; then the length tells.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// She waits for a second look at his words if the first one took no longer.
const LOOK_AGAIN: Duration = Duration::from_millis(1_200);
/// Speech of unknown words that is for her.
const LONG: Duration = Duration::from_millis(1_000);
/// What was played is judged by its length: so many words more may have been heard.
const AHEAD_WORDS: usize = 4;
/// «Да» this long before the end of a question answers it.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_millis(1_000);

impl Talk {
    /// The caller begins to speak while she does.
    pub(super) fn onset_over(&mut self, now: Instant, answer: Answer, over: DoubleTalk, stream: &mut Stream) {
        match over {
            DoubleTalk::Nothing | DoubleTalk::Begun | DoubleTalk::Asked { .. } if self.has_just_begun(now) => {
                self.forget_probe(over);
                self.go_on(None, stream);
            }
            DoubleTalk::Unheard | DoubleTalk::Begun | DoubleTalk::Held { .. } => {}
            DoubleTalk::Nothing | DoubleTalk::Noise { .. } | DoubleTalk::Asked { .. } => {
                self.forget_probe(over);
                self.turn = Turn::Speaking { answer, over: DoubleTalk::Begun };
            }
        }
    }

    /// Whether what is heard now cannot be meant for the answer that is being said.
    fn has_just_begun(&self, now: Instant) -> bool {
        let is_soon = |at: Instant| now.saturating_duration_since(at) <= REACTION;
        // On a line that may echo, it may be her first sound itself.
        !self.may_echo && !self.parts.is_empty() && self.spoken_since.is_none_or(is_soon)
    }

    /// What time brings about while both speak.
    pub(super) fn advance_over(&mut self, now: Instant, answer: Answer, over: DoubleTalk, stream: &mut Stream) {
        let paused = self.paused_at(now).is_some();
        let voiced = self.ears.voiced();
        let next = match over {
            DoubleTalk::Begun if paused => {
                self.probe(now, Priority::Partial).map_or(DoubleTalk::Nothing, |probe| DoubleTalk::Asked { probe })
            }
            DoubleTalk::Begun if voiced >= self.config.turn.barge_in() => {
                DoubleTalk::Held { since: now, words: Words::Unasked }
            }
            DoubleTalk::Held { since, words }
                if voiced >= LONG && (words == Words::Unknown || now.saturating_duration_since(since) >= PATIENCE) =>
            {
                self.interrupt(now, stream);
                return self.hear(now);
            }
            DoubleTalk::Held { words: Words::Unknown, .. } if paused => DoubleTalk::Nothing,
            DoubleTalk::Held { since, words } if now.saturating_duration_since(since) >= PATIENCE => match words {
                Words::Asked(probe) => DoubleTalk::Asked { probe },
                Words::Unasked | Words::Unknown if self.ears.is_talking() => DoubleTalk::Noise { voiced },
                Words::Unasked | Words::Unknown => DoubleTalk::Nothing,
            },
            DoubleTalk::Held { since, words: Words::Unasked } if paused || voiced >= ENOUGH => {
                DoubleTalk::Held { since, words: self.probe(now, Priority::Final).map_or(Words::Unasked, Words::Asked) }
            }
            DoubleTalk::Noise { .. } if paused => DoubleTalk::Nothing,
            DoubleTalk::Noise { voiced: before } if voiced >= before + ENOUGH => {
                self.probe(now, Priority::Partial).map_or(DoubleTalk::Nothing, |probe| DoubleTalk::Asked { probe })
            }
            DoubleTalk::Unheard
            | DoubleTalk::Nothing
            | DoubleTalk::Begun
            | DoubleTalk::Held { .. }
            | DoubleTalk::Asked { .. }
            | DoubleTalk::Noise { .. } => over,
        };
        self.turn = Turn::Speaking { answer, over: next };
        if next == DoubleTalk::Nothing && !self.ears.is_talking() && self.quiet_for(now) >= ANSWERS_WITHIN {
            // Too short to interrupt, too long ago to begin an answer with.
            self.ears.end_part();
        }
    }

    /// Whether the caller speaks over her, or has and it is not known what.
    pub(super) fn speaks_over(&self, over: DoubleTalk) -> bool {
        self.ears.is_talking() || matches!(over, DoubleTalk::Begun | DoubleTalk::Held { .. } | DoubleTalk::Asked { .. })
    }

    pub(super) fn quiet_for(&self, now: Instant) -> Duration {
        self.ears.last_voiced().map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// Has what was said over her transcribed.
    fn probe(&mut self, now: Instant, priority: Priority) -> Option<Probe> {
        let pcm = self.ears.part()?.to_vec();
        let probe = Probe { part: self.new_part(), samples: pcm.len(), voiced: self.ears.voiced() };
        self.ask_for_text(now, probe.part, pcm, priority);
        Some(probe)
    }

    pub(super) fn forget_probe(&mut self, over: DoubleTalk) {
        if let Some(Probe { part, .. }) = over.probe() {
            self.out.push_back(Output::CancelPart { part });
        }
    }

    /// Whether the part is what was said over her.
    pub(super) fn is_probe(&self, part: crate::call::PartId) -> bool {
        matches!(self.turn, Turn::Speaking { over, .. } if over.probe().is_some_and(|probe| probe.part == part))
    }

    /// The words of what was said over her are known, or cannot be had.
    pub(super) fn probed(&mut self, now: Instant, result: Result<Transcript, String>, stream: &mut Stream) {
        let Turn::Speaking { answer, over } = self.turn else { return };
        let Some(probe) = over.probe() else { return };
        let transcript = match result {
            Ok(transcript) => transcript,
            Err(error) => {
                tracing::warn!(%error, "speech over hers could not be transcribed");
                let since = if let DoubleTalk::Held { since, .. } = over { since } else { now };
                self.turn = Turn::Speaking { answer, over: DoubleTalk::Held { since, words: Words::Unknown } };
                return;
            }
        };
        let text = transcript.text.trim();
        // «Угу» is easily taken for a word of another language, or for one that the model itself hardly believes.
        let is_foreign = probe.voiced < NOISE && transcript.language != self.language();
        let is_vague = probe.voiced < ENOUGH
            && transcript.log_probability < VAGUE
            && transcript.language_probability < CERTAIN_OF_LANGUAGE;
        let goes_on = self.ears.is_talking() || self.ears.voiced() > probe.voiced;
        let is_meant = !text.is_empty()
            && !is_foreign
            && !is_vague
            && !is_backchannel(text, self.language())
            && !self.is_echo(text);
        if is_meant {
            self.learn_language(&transcript);
            return self.is_interrupted(now, probe, text.to_owned(), goes_on, stream);
        }
        if let DoubleTalk::Held { since, .. } = over
            && goes_on
            && probe.voiced < LONG
            && now.saturating_duration_since(since) < LOOK_AGAIN
        {
            // Too little to tell: she waits for more of it.
            self.turn = Turn::Speaking { answer, over: DoubleTalk::Held { since, words: Words::Unasked } };
            return;
        }
        // What goes on may have words yet, which begin with this; «да» may answer the question that she is about to finish.
        let is_wanted = if goes_on { self.ears.part_length() < LONGEST_NOISE } else { !text.is_empty() && self.asks() };
        if !is_wanted {
            self.ears.end_part();
        }
        let over = if goes_on { DoubleTalk::Noise { voiced: self.ears.voiced() } } else { DoubleTalk::Nothing };
        self.turn = Turn::Speaking { answer, over };
    }

    /// Whether what she says is a question that «да» may answer.
    pub(super) fn asks(&self) -> bool {
        self.next_expects.unwrap_or(self.expects) == Expects::YesNo || self.mouth.text().trim_end().ends_with('?')
    }

    /// Whether the words are those that she has just said.
    fn is_echo(&self, text: &str) -> bool {
        let heard = words(&self.mouth.heard()).len() + AHEAD_WORDS;
        self.is_echo_of(words(&self.mouth.text()).into_iter().take(heard), text)
    }

    /// Of what comes back of her voice, some may be left.
    fn is_echo_of(&self, hers: impl Iterator<Item = String>, text: &str) -> bool {
        let (hers, heard) = (hers.collect::<Vec<_>>(), words(text));
        let same = heard.iter().filter(|word| hers.contains(word)).count();
        self.may_echo && same * 3 >= heard.len() * 2
    }

    /// She has finished, and the caller began to speak before that.
    pub(super) fn hear_after(&mut self, now: Instant, over: DoubleTalk, asks: bool) {
        self.hear(now);
        self.opening = if asks { Opening::Answers } else { Opening::Begun };
        let Some(probe) = over.probe() else { return };
        match self.paused_at(now) {
            Some(paused_at) if self.ears.voiced() == probe.voiced => {
                let Probe { part: id, samples, voiced } = probe;
                self.parts.push(Part { id, samples, voiced, text: None });
                self.pause(paused_at, Some(id));
            }
            _ => self.forget_probe(over),
        }
    }

    /// Whether words that began over hers are none for her: «угу», but for an answer to her question, and the end of what she
    /// said, which comes back late.
    pub(super) fn is_aside(&self, text: &str) -> bool {
        let is_echo = || self.is_echo_of(words(&self.said).into_iter(), text);
        match self.opening {
            Opening::None => false,
            Opening::Begun => is_backchannel(text, self.language()) || is_echo(),
            Opening::Answers => is_echo(),
        }
    }

    fn is_interrupted(&mut self, now: Instant, probe: Probe, text: String, goes_on: bool, stream: &mut Stream) {
        self.interrupt(now, stream);
        self.hear(now);
        // Who has finished need not be transcribed again.
        if let (false, Some(paused_at)) = (goes_on, self.paused_at(now)) {
            let Probe { part: id, samples, voiced } = probe;
            self.parts.push(Part { id, samples, voiced, text: Some(text) });
            self.pause(paused_at, Some(id));
            self.answer_when_heard(now);
        }
    }
}

fn words(text: &str) -> Vec<String> {
    split(text).into_iter().map(|word| word.plain).collect()
}

impl DoubleTalk {
    fn probe(self) -> Option<Probe> {
        match self {
            DoubleTalk::Held { words: Words::Asked(probe), .. } | DoubleTalk::Asked { probe } => Some(probe),
            DoubleTalk::Held { words: Words::Unasked | Words::Unknown, .. }
            | DoubleTalk::Unheard
            | DoubleTalk::Nothing
            | DoubleTalk::Begun
            | DoubleTalk::Noise { .. } => None,
        }
    }
}
