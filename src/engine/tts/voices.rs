//! A worker's voices: which of them says a clause, and what it gives way to.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::CommandVoice;
use super::output::{Output, gain, loudness};
use super::vits::VitsVoice;
use super::xtts::{Bundles, XttsVoice};
use super::{Ability, Cancel, Language, OnnxRuntime, SpeakJob, Synthesizer, TtsConfig, TtsError, VoiceConfig};

/// A voice that has failed is not asked again for so long: it may have taken its whole timeout to fail.
const REST: Duration = Duration::from_secs(30);
/// A voice is as loud on every line: so it is measured at the rate of most.
const MEASURED_HZ: u32 = 8_000;
/// -60 dB of full scale.
const AUDIBLE: u16 = 33;

/// What became of a configured voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceReport {
    pub name: String,
    pub ability: Ability,
    /// Why it cannot be used and what to do; `None` when it speaks.
    pub problem: Option<String>,
}

impl VoiceReport {
    /// Whether it can say a text of that language.
    pub fn speaks(&self, language: Language) -> bool {
        self.problem.is_none() && self.ability.languages.contains(&language)
    }
}

/// Which voices come before the others, which keep the configuration's order; by their places in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VoiceOrder(Arc<[usize]>);

impl VoiceOrder {
    pub(super) fn new(preferred: impl IntoIterator<Item = usize>) -> Self {
        Self(preferred.into_iter().collect())
    }

    /// Of two voices the one with the lower rank is asked first.
    pub(super) fn rank(&self, voice: usize) -> (usize, usize) {
        (self.0.iter().position(|&preferred| preferred == voice).unwrap_or(self.0.len()), voice)
    }
}

pub struct Voices {
    /// In the configuration's order, without those that did not load.
    voices: Vec<Voice>,
}

struct Voice {
    /// Its place in the configuration.
    place: usize,
    synthesizer: Box<dyn Synthesizer>,
    identity: String,
    gain: f32,
    failed: Option<Instant>,
}

impl Voices {
    /// Loads what can be loaded, has each say a sentence to know how loud it is, and tells what became of it.
    pub fn load(config: &TtsConfig, bundles: &Bundles, runtime: &OnnxRuntime) -> (Self, Vec<VoiceReport>) {
        let (mut voices, mut reports) = (Vec::new(), Vec::new());
        for (place, voice) in config.all().iter().enumerate() {
            let name = voice.name();
            let loaded = load(voice, bundles, runtime).and_then(|mut synthesizer| {
                let gain = measure(&mut *synthesizer)?;
                tracing::debug!(voice = %name, gain_db = 20.0 * gain.log10(), "voice loaded");
                Ok(Voice { place, synthesizer, identity: voice.identity(), gain, failed: None })
            });
            let (ability, problem) = match &loaded {
                Ok(voice) => (voice.synthesizer.ability().clone(), None),
                Err(error) => (voice.ability(), Some(error.to_string())),
            };
            if let Some(problem) = &problem {
                tracing::info!(voice = %name, %problem, "voice left out");
            }
            reports.push(VoiceReport { name, ability, problem });
            voices.extend(loaded);
        }
        (Self { voices }, reports)
    }

    /// All that the sound of a voice depends on.
    pub fn identity(&self, place: usize) -> Option<&str> {
        self.voices.iter().find(|voice| voice.place == place).map(|voice| &*voice.identity)
    }

    /// Has the first voice of the job's order that can do it say a clause of it, at the rate wanted, and tells its place in the
    /// configuration.
    ///
    /// # Errors
    /// When cancelled, when no voice works, or when one fails in the middle of the clause.
    pub fn say(
        &mut self,
        clause: &str,
        job: &SpeakJob,
        sink: &mut dyn FnMut(Vec<i16>) -> ControlFlow<()>,
    ) -> Result<usize, TtsError> {
        let SpeakJob { language, rate_hz, cancel, .. } = job;
        let mut able: Vec<&mut Voice> = self.voices.iter_mut().filter(|voice| voice.speaks(*language)).collect();
        able.sort_by_key(|voice| job.voices.rank(voice.place));
        for voice in able {
            #[expect(clippy::disallowed_methods, reason = "how long a broken voice rests is real time")]
            let now = Instant::now();
            if voice.failed.is_some_and(|at| now.duration_since(at) < REST) {
                continue;
            }
            let mut output = Output::new(*rate_hz, voice.gain, sink);
            let said = voice.synthesizer.stream(clause, *language, cancel, &mut |pcm, hz| output.take(pcm, hz));
            let is_heard = output.has_sent();
            let Some(error) = output.finish().and(said).err() else { return Ok(voice.place) };
            if is_heard || cancel.is_cancelled() {
                return Err(error);
            }
            tracing::warn!(voice = voice.synthesizer.name(), %error, "the voice failed: another one speaks");
            voice.failed = Some(now);
        }
        Err(TtsError::NoVoice(*language))
    }
}

impl Voice {
    fn speaks(&self, language: Language) -> bool {
        self.synthesizer.ability().languages.contains(&language)
    }
}

fn load(voice: &VoiceConfig, bundles: &Bundles, runtime: &OnnxRuntime) -> Result<Box<dyn Synthesizer>, TtsError> {
    Ok(match voice {
        VoiceConfig::Vits(vits) => Box::new(VitsVoice::load(vits, runtime)?),
        VoiceConfig::Xtts(xtts) => Box::new(XttsVoice::load(xtts, bundles, runtime)?),
        VoiceConfig::Command(command) => Box::new(CommandVoice::load(command)?),
    })
}

/// How much louder a voice is to be made, by a sentence that it says; it also has done then what it does once.
fn measure(synthesizer: &mut dyn Synthesizer) -> Result<f32, TtsError> {
    let language = synthesizer.ability().languages.first().copied().unwrap_or(Language::En);
    let sentence = match language {
        Language::Ru => "Добрый день, чем я могу вам помочь?",
        Language::En => "Good morning, how can I help you?",
    };
    let mut spoken = Vec::new();
    let mut sink = |pcm| {
        spoken.extend(pcm);
        ControlFlow::Continue(())
    };
    let mut output = Output::new(MEASURED_HZ, 1.0, &mut sink);
    synthesizer.stream(sentence, language, &Cancel::default(), &mut |pcm, hz| output.take(pcm, hz))?;
    output.finish()?;
    if spoken.iter().all(|sample: &i16| sample.unsigned_abs() < AUDIBLE) {
        let reason = format!("it is silent for {sentence:?}");
        return Err(TtsError::Voice { voice: synthesizer.name().to_owned(), reason });
    }
    Ok(loudness(&spoken, MEASURED_HZ).map_or(1.0, gain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says as many samples as the clause has bytes, at 16 kHz, in two parts; fails before or between them.
    struct Fake {
        ability: Ability,
        fails_after: Option<usize>,
        asked: usize,
    }

    impl Synthesizer for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn ability(&self) -> &Ability {
            &self.ability
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
    use crate::engine::worker::Priority;

    fn voices(fakes: &[(&[Language], Option<usize>)]) -> Voices {
        let voice = |(place, &(languages, fails_after)): (usize, &(&[Language], _))| {
            let fake = Fake { ability: Ability::of(languages), fails_after, asked: 0 };
            Voice { place, synthesizer: Box::new(fake), identity: String::new(), gain: 1.0, failed: None }
        };
        Voices { voices: fakes.iter().enumerate().map(voice).collect() }
    }

    fn job(preferred: &[usize], rate_hz: u32) -> SpeakJob {
        let (cancel, priority) = (Cancel::default(), Priority::Final);
        let voices = VoiceOrder::new(preferred.iter().copied());
        SpeakJob { text: String::new(), language: Language::Ru, rate_hz, voices, cancel, priority }
    }

    fn say(voices: &mut Voices, preferred: &[usize]) -> (Result<usize, TtsError>, usize) {
        let mut samples = 0;
        let result = voices.say("clause", &job(preferred, 8_000), &mut |pcm| {
            samples += pcm.len();
            ControlFlow::Continue(())
        });
        (result, samples)
    }

    const BOTH: &[Language] = &[Language::Ru, Language::En];

    #[test]
    fn first_voice_of_the_language_speaks_at_the_rate_wanted() {
        let (place, samples) = say(&mut voices(&[(&[Language::En], None), (BOTH, None), (BOTH, None)]), &[]);
        assert_eq!((place.unwrap(), samples), (1, 600));
    }

    #[test]
    fn an_account_s_voices_come_before_the_others() {
        let mut voices = voices(&[(BOTH, None), (&[Language::En], None), (BOTH, Some(0)), (BOTH, None)]);
        assert_eq!(say(&mut voices, &[3, 0]).0.unwrap(), 3);
        assert_eq!(say(&mut voices, &[2, 3]).0.unwrap(), 3, "the second where the first fails");
        assert_eq!(say(&mut voices, &[1, 2]).0.unwrap(), 0, "the house's where none of them can");
    }

    #[test]
    fn voice_that_fails_gives_way_and_rests() {
        let mut voices = voices(&[(BOTH, Some(0)), (BOTH, None)]);
        for _ in 0..2 {
            let (place, samples) = say(&mut voices, &[]);
            assert_eq!((place.unwrap(), samples), (1, 600));
        }
        assert!(voices.voices[0].failed.is_some());
    }

    #[test]
    fn nothing_is_said_twice_when_a_voice_fails_in_the_middle() {
        let (result, samples) = say(&mut voices(&[(BOTH, Some(1)), (BOTH, None)]), &[]);
        assert!(matches!(result, Err(TtsError::Voice { .. })));
        assert!((1..600).contains(&samples));
    }

    #[test]
    fn without_a_voice_the_language_is_named() {
        let (result, _) = say(&mut voices(&[(&[Language::En], None), (BOTH, Some(0))]), &[]);
        assert!(matches!(result, Err(TtsError::NoVoice(Language::Ru))));
    }

    #[test]
    fn sink_that_breaks_off_gets_no_more() {
        let mut calls = 0;
        let result = voices(&[(BOTH, None)]).say("clause", &job(&[], 16_000), &mut |_| {
            calls += 1;
            ControlFlow::Break(())
        });
        assert!(result.is_ok());
        assert_eq!(calls, 1);
    }

    #[test]
    fn a_voice_is_measured_by_what_it_says() {
        let fake = |fails_after, ability| Fake { ability, fails_after, asked: 0 };
        let quiet = measure(&mut fake(None, Ability::of(BOTH))).unwrap();
        assert!(quiet > 1.0 && quiet.is_finite(), "{quiet}");
        assert!(measure(&mut fake(Some(0), Ability::of(BOTH))).is_err());
        struct Mute(Ability);
        impl Synthesizer for Mute {
            fn name(&self) -> &str {
                "mute"
            }
            fn ability(&self) -> &Ability {
                &self.0
            }
            fn stream(&mut self, _: &str, _: Language, _: &Cancel, sink: &mut Sink<'_>) -> Result<(), TtsError> {
                let _all_is_said = sink(&[0; 16_000], 16_000);
                Ok(())
            }
        }
        let error = measure(&mut Mute(Ability::of(BOTH))).unwrap_err().to_string();
        assert!(error.contains("voice mute: it is silent"), "{error}");
    }
}
