//! A worker's voices: which of them says a clause, and what it gives way to.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::command::{CommandConfig, CommandVoice};
use super::vits::VitsVoice;
use super::xtts::{Bundles, XttsVoice};
use super::{Cancel, Language, OnnxRuntime, Synthesizer, TtsConfig, TtsError, VoiceConfig};
use crate::rtp::codec::resample::Resampler;

/// A voice that has failed is not asked again for so long: it may have taken its whole timeout to fail.
const REST: Duration = Duration::from_secs(30);

/// What became of a configured voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceReport {
    pub name: String,
    pub licence: String,
    pub languages: Vec<Language>,
    /// Why it cannot be used and what to do; `None` when it has loaded.
    pub problem: Option<String>,
}

/// Whether the voice that spoke is the language's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank(usize);

impl Rank {
    pub fn is_first(self) -> bool {
        self.0 == 0
    }
}

pub struct Voices {
    voices: Vec<Voice>,
}

struct Voice {
    synthesizer: Box<dyn Synthesizer>,
    identity: String,
    failed: Option<Instant>,
}

impl Voices {
    /// Loads what can be loaded, and tells of each voice what became of it.
    pub fn load(config: &TtsConfig, bundles: &Bundles, runtime: &OnnxRuntime) -> (Self, Vec<VoiceReport>) {
        let espeak = VoiceConfig::Command(CommandConfig::espeak());
        let (mut voices, mut reports) = (Vec::new(), Vec::new());
        for voice in config.voices.iter().chain([&espeak]) {
            let (name, languages, loaded) = match voice {
                VoiceConfig::Vits(vits) => {
                    let loaded = VitsVoice::load(vits, runtime).map(|v| Box::new(v) as Box<dyn Synthesizer>);
                    (vits.name(), vec![vits.language], loaded)
                }
                VoiceConfig::Xtts(xtts) => {
                    let loaded = XttsVoice::load(xtts, bundles, runtime).map(|v| Box::new(v) as Box<dyn Synthesizer>);
                    (xtts.name(), xtts.languages.clone(), loaded)
                }
                VoiceConfig::Command(command) => {
                    let loaded = CommandVoice::load(command).map(|v| Box::new(v) as Box<dyn Synthesizer>);
                    (command.name.clone(), command.languages.clone(), loaded)
                }
            };
            let languages = loaded.as_ref().map_or(languages, |voice| voice.languages().to_vec());
            let licence = loaded.as_ref().map_or(String::new(), |v| v.licence().to_owned());
            let problem = loaded.as_ref().err().map(TtsError::to_string);
            match &problem {
                None => tracing::debug!(voice = %name, "voice loaded"),
                Some(problem) => tracing::info!(voice = %name, %problem, "voice left out"),
            }
            reports.push(VoiceReport { name, licence, languages, problem });
            voices.extend(loaded.ok().map(|synthesizer| Voice {
                synthesizer,
                identity: voice.identity(),
                failed: None,
            }));
        }
        (Self { voices }, reports)
    }

    /// The voice that speaks a language unless it fails, by all that its sound depends on.
    pub fn first(&self, language: Language) -> Option<&str> {
        let first = self.voices.iter().find(|voice| voice.synthesizer.languages().contains(&language))?;
        Some(&first.identity)
    }

    /// Has the first voice that can do it say a clause, at the rate wanted, and tells which one it was.
    ///
    /// # Errors
    /// When cancelled, when no voice works, or when one fails in the middle of the clause.
    pub fn say(
        &mut self,
        clause: &str,
        language: Language,
        rate_hz: u32,
        cancel: &Cancel,
        sink: &mut dyn FnMut(Vec<i16>) -> ControlFlow<()>,
    ) -> Result<Rank, TtsError> {
        let able = self.voices.iter_mut().filter(|voice| voice.synthesizer.languages().contains(&language));
        for (rank, voice) in able.enumerate() {
            #[expect(clippy::disallowed_methods, reason = "how long a broken voice rests is real time")]
            let now = Instant::now();
            if voice.failed.is_some_and(|at| now.duration_since(at) < REST) {
                continue;
            }
            let mut output = Output { resampler: None, rate_hz, failed: None, sent: false, broken_off: false, sink };
            let said = voice.synthesizer.stream(clause, language, cancel, &mut |pcm, hz| output.take(pcm, hz));
            let Some(error) = said.and_then(|()| output.finish()).err() else { return Ok(Rank(rank)) };
            if output.sent || cancel.is_cancelled() {
                return Err(error);
            }
            tracing::warn!(voice = voice.synthesizer.name(), %error, "the voice failed: another one speaks");
            voice.failed = Some(now);
        }
        Err(TtsError::NoVoice(language))
    }
}

/// Brings a voice's sound to the rate wanted.
struct Output<'a> {
    resampler: Option<Resampler>,
    rate_hz: u32,
    failed: Option<TtsError>,
    sent: bool,
    broken_off: bool,
    sink: &'a mut dyn FnMut(Vec<i16>) -> ControlFlow<()>,
}

impl Output<'_> {
    fn take(&mut self, pcm: &[i16], voice_hz: u32) -> ControlFlow<()> {
        if self.resampler.is_none() {
            match Resampler::new(voice_hz, self.rate_hz) {
                Ok(resampler) => self.resampler = Some(resampler),
                Err(error) => {
                    self.failed = Some(error.into());
                    return ControlFlow::Break(());
                }
            }
        }
        let pcm = self.resampler.as_mut().map(|resampler| resampler.process(pcm)).unwrap_or_default();
        self.send(pcm)
    }

    fn finish(&mut self) -> Result<(), TtsError> {
        let rest = self.resampler.as_mut().map(Resampler::finish).unwrap_or_default();
        let _ends_anyway = self.send(rest);
        self.failed.take().map_or(Ok(()), Err)
    }

    fn send(&mut self, pcm: Vec<i16>) -> ControlFlow<()> {
        if !pcm.is_empty() && !self.broken_off {
            self.sent = true;
            self.broken_off = (self.sink)(pcm).is_break();
        }
        if self.broken_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says as many samples as the clause has bytes, at 16 kHz, in two parts; fails before or between them.
    struct Fake {
        languages: Vec<Language>,
        fails_after: Option<usize>,
        asked: usize,
    }

    impl Synthesizer for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn licence(&self) -> &str {
            ""
        }

        fn languages(&self) -> &[Language] {
            &self.languages
        }

        fn stream(&mut self, clause: &str, _: Language, _: &Cancel, sink: &mut Sink<'_>) -> Result<(), TtsError> {
            self.asked += 1;
            for part in 0..2 {
                if self.fails_after == Some(part) {
                    return Err(TtsError::Voice { voice: "fake".into(), reason: format!("asked {}", self.asked) });
                }
                if sink(&vec![1_000; clause.len() * 100], 16_000).is_break() {
                    break;
                }
            }
            Ok(())
        }
    }

    use super::super::Sink;

    fn voices(fakes: &[(&[Language], Option<usize>)]) -> Voices {
        let voice = |&(languages, fails_after): &(&[Language], _)| {
            let fake = Fake { languages: languages.to_vec(), fails_after, asked: 0 };
            Voice { synthesizer: Box::new(fake), identity: String::new(), failed: None }
        };
        Voices { voices: fakes.iter().map(voice).collect() }
    }

    fn say(voices: &mut Voices) -> (Result<Rank, TtsError>, usize) {
        let mut samples = 0;
        let result = voices.say("clause", Language::Ru, 8_000, &Cancel::default(), &mut |pcm| {
            samples += pcm.len();
            ControlFlow::Continue(())
        });
        (result, samples)
    }

    const BOTH: &[Language] = &[Language::Ru, Language::En];

    #[test]
    fn first_voice_of_the_language_speaks_at_the_rate_wanted() {
        let (rank, samples) = say(&mut voices(&[(&[Language::En], None), (BOTH, None), (BOTH, None)]));
        assert!(rank.unwrap().is_first());
        assert_eq!(samples, 600);
    }

    #[test]
    fn voice_that_fails_gives_way_and_rests() {
        let mut voices = voices(&[(BOTH, Some(0)), (BOTH, None)]);
        for _ in 0..2 {
            let (rank, samples) = say(&mut voices);
            assert!(!rank.unwrap().is_first());
            assert_eq!(samples, 600);
        }
        assert!(voices.voices[0].failed.is_some());
    }

    #[test]
    fn nothing_is_said_twice_when_a_voice_fails_in_the_middle() {
        let (result, samples) = say(&mut voices(&[(BOTH, Some(1)), (BOTH, None)]));
        assert!(matches!(result, Err(TtsError::Voice { .. })));
        assert!((1..600).contains(&samples));
    }

    #[test]
    fn without_a_voice_the_language_is_named() {
        let (result, _) = say(&mut voices(&[(&[Language::En], None), (BOTH, Some(0))]));
        assert!(matches!(result, Err(TtsError::NoVoice(Language::Ru))));
    }

    #[test]
    fn sink_that_breaks_off_gets_no_more() {
        let mut calls = 0;
        let result = voices(&[(BOTH, None)]).say("clause", Language::Ru, 16_000, &Cancel::default(), &mut |_| {
            calls += 1;
            ControlFlow::Break(())
        });
        assert!(result.is_ok());
        assert_eq!(calls, 1);
    }
}
