//! Text to speech: voices in order of preference for each language, on their own threads, behind a queue.
//!
//! A text is cut into clauses, and each is sent as soon as it is spoken. A voice that fails gives way to the next for
//! a while; espeak-ng is the last of each language. What was said before is kept, so that it can be played at once.

mod cache;
mod clips;
mod command;
pub mod enrolment;
mod output;
mod phrases;
mod process;
mod text;
mod vits;
mod voices;
mod wav;
pub mod xtts;

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

pub use command::CommandConfig;
pub use vits::VitsConfig;
pub use voices::{VoiceOrder, VoiceReport};

use self::cache::Cache;
use self::phrases::Phrases;
use self::text::{Pronunciations, Reader, without_stress};
use self::voices::Voices;
use self::xtts::{Bundles, XttsConfig};
use super::onnx::{OnnxError, OnnxRuntime};
use super::worker::{Job, JobError, Pool, Priority, SubmitError, number_of_workers};
use super::{Cancel, Language, metrics};
use crate::clock;
use crate::rtp::codec::resample::ResampleError;

/// Texts of callers that may wait, and as many prepared ones: all that she says of herself, in two languages at two rates.
const QUEUE_LEN: usize = 512;

/// `[tts]` of the configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TtsConfig {
    /// Texts spoken at the same time; 1 to 64. Each has its own copy of every voice.
    #[serde(deserialize_with = "number_of_workers")]
    pub workers: usize,
    /// In order of preference; espeak-ng is always tried after them.
    pub voices: Vec<VoiceConfig>,
    /// Where prepared phrases are kept from one start to the next, if anywhere: a folder of the models' one.
    pub phrases: Option<PathBuf>,
    /// Words and how they are to be said, by language.
    pub pronounce: Pronunciations,
}

impl Default for TtsConfig {
    /// The voices that the models folder may hold, and festival's Russian one.
    fn default() -> Self {
        let vits = |language, model: &str| VoiceConfig::Vits(VitsConfig::new(language, model.into()));
        let voices = vec![
            vits(Language::Ru, "ru_RU-irina-medium.onnx"),
            VoiceConfig::Command(CommandConfig::festival_ru()),
            vits(Language::En, "en_US-joe-medium.onnx"),
        ];
        Self { workers: 1, voices, phrases: None, pronounce: Pronunciations::new() }
    }
}

impl TtsConfig {
    /// The voices in order of preference, and the last resort.
    fn all(&self) -> Vec<VoiceConfig> {
        self.voices.iter().cloned().chain([VoiceConfig::Command(CommandConfig::espeak())]).collect()
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.all().into_iter().map(|voice| voice.name())
    }
}

/// `[[tts.voices]]`: where a voice comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum VoiceConfig {
    /// A Piper voice: `.onnx` with `.onnx.json` beside it.
    Vits(VitsConfig),
    /// XTTS v2: a voice from recordings.
    Xtts(XttsConfig),
    /// A program that writes a WAV.
    Command(CommandConfig),
}

impl VoiceConfig {
    /// All that its sound depends on, as far as that can be seen: another program behind a command looks the same.
    fn identity(&self) -> String {
        let files = match self {
            VoiceConfig::Vits(vits) => vits.files(),
            VoiceConfig::Xtts(xtts) => xtts.files(),
            VoiceConfig::Command(_) => Vec::new(),
        };
        let about =
            files.iter().map(|file| std::fs::metadata(file).ok().map(|about| (about.len(), about.modified().ok())));
        format!("{} {self:?} {:?}", env!("CARGO_PKG_VERSION"), about.collect::<Vec<_>>())
    }

    /// What is known before it is loaded.
    fn ability(&self) -> Ability {
        match self {
            VoiceConfig::Vits(vits) => Ability::of(&[vits.language]),
            VoiceConfig::Xtts(xtts) => Ability::of(&xtts.languages),
            VoiceConfig::Command(command) => Ability::of(&command.languages),
        }
    }

    /// What `speak --voice` and accounts call it.
    pub fn name(&self) -> String {
        match self {
            VoiceConfig::Vits(vits) => vits.name(),
            VoiceConfig::Xtts(xtts) => xtts.name(),
            VoiceConfig::Command(command) => command.name.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TtsError {
    /// As many texts wait as may wait: this machine is too slow for its calls.
    #[error("speak: too many texts wait; give [tts] more workers or a lighter voice")]
    QueueFull,
    #[error("speak: cancelled")]
    Cancelled,
    #[error("speak: {0}")]
    Worker(JobError),
    #[error("no voice is named {name:?}; the voices are {voices}")]
    UnknownVoice { name: String, voices: String },
    #[error("speak: no voice for {0} works; install espeak-ng, which is the last resort (see `secretary check`)")]
    NoVoice(Language),
    #[error("voice {voice}: {reason}")]
    Voice { voice: String, reason: String },
    #[error("voice: {0}")]
    Model(#[from] OnnxError),
    #[error("speak: {0}")]
    Resample(#[from] ResampleError),
    #[error("start a voice thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<SubmitError> for TtsError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full => TtsError::QueueFull,
            SubmitError::Stopped => TtsError::Worker(JobError::Stopped),
        }
    }
}

impl From<JobError> for TtsError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Cancelled => TtsError::Cancelled,
            error => TtsError::Worker(error),
        }
    }
}

/// Takes sound as it is made: mono samples and their rate in Hz. [`ControlFlow::Break`] ends the speech.
pub type Sink<'a> = dyn FnMut(&[i16], u32) -> ControlFlow<()> + 'a;

/// What a voice can do, and may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    pub languages: Vec<Language>,
    /// Whether it is somebody's voice from recordings.
    pub cloning: bool,
    /// Whether its first sound comes before a clause is computed to the end.
    pub streaming: bool,
    pub licence: String,
    /// Whether the licence allows to earn money with what it says; `None` where nobody has told.
    pub commercial_use: Option<bool>,
}

impl Ability {
    /// A voice of which no more than its languages is known.
    pub fn of(languages: &[Language]) -> Self {
        let (cloning, streaming) = (false, false);
        Self { languages: languages.to_vec(), cloning, streaming, licence: String::new(), commercial_use: None }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let languages: Vec<&str> = self.languages.iter().map(|language| language.code()).collect();
        write!(f, "{}", languages.join(", "))?;
        for (can, what) in [(self.cloning, "from recordings"), (self.streaming, "streams")] {
            if can {
                write!(f, ", {what}")?;
            }
        }
        match self.licence.as_str() {
            "" => write!(f, "; licence not told")?,
            licence => write!(f, "; licence: {licence}")?,
        }
        match self.commercial_use {
            Some(true) => write!(f, ", for any use"),
            Some(false) => write!(f, ", not for commercial use"),
            None => Ok(()),
        }
    }
}

/// Whether a bundle may be loaded: it is free for every use, or somebody has said that theirs is one of those allowed.
///
/// # Errors
/// With what to do.
fn is_accepted(licence: &str, commercial_use: bool, accepted: Option<&str>) -> Result<(), String> {
    if commercial_use || accepted == Some(licence) {
        return Ok(());
    }
    Err(format!(
        "the licence of its weights, {licence}, allows no commercial use, of what they say neither: read it, and if it allows \
         yours, write accept_licence = {licence:?} into the [[tts.voices]] of this voice"
    ))
}

/// A voice that is prepared: a model and whose voice it is, on one thread.
pub trait Synthesizer: Send {
    /// For the log and for `check`.
    fn name(&self) -> &str;

    fn ability(&self) -> &Ability;

    /// Speaks a clause: words and punctuation in the language's alphabet, at most 182 characters.
    ///
    /// # Errors
    /// When the voice is broken; the clause is then said by another one.
    fn stream(
        &mut self,
        clause: &str,
        language: Language,
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<(), TtsError>;
}

/// A text to speak.
#[derive(Debug, Clone)]
pub struct SpeakJob {
    pub text: String,
    pub language: Language,
    /// The rate that the caller wants, in Hz.
    pub rate_hz: u32,
    /// Which voices are asked first.
    pub voices: VoiceOrder,
    pub cancel: Cancel,
    pub priority: Priority,
}

/// A part of a spoken text. The last one is `Done` or `Failed`, unless the sink broke off before.
#[derive(Debug)]
pub enum SpeechChunk {
    /// Samples at the rate asked for.
    Pcm(Vec<i16>),
    Done,
    Failed(TtsError),
}

/// The voices' workers. Clones share them; the last one to go stops them.
#[derive(Clone)]
pub struct Tts {
    pool: Arc<Pool<Voices>>,
    cache: Arc<Cache>,
    phrases: Option<Phrases>,
    reader: Arc<Reader>,
    reports: Arc<OnceLock<Vec<VoiceReport>>>,
}

impl Tts {
    /// Loads the voices. One that does not load is left out, with a line in the log and in [`voices`](Self::voices).
    ///
    /// # Errors
    /// [`TtsError::Thread`].
    pub fn start(config: &TtsConfig, runtime: &OnnxRuntime) -> Result<Self, TtsError> {
        let reports = Arc::new(OnceLock::new());
        let (shared, config, runtime) = (Arc::clone(&reports), config.clone(), runtime.clone());
        let reader = Arc::new(Reader::new(&config.pronounce));
        let phrases = config.phrases.clone().map(Phrases::new);
        let (workers, bundles) = (config.workers, Bundles::default());
        let factory = move || {
            let (voices, found) = Voices::load(&config, &bundles, &runtime);
            shared.get_or_init(|| found);
            Ok::<_, TtsError>(voices)
        };
        let pool = Pool::start(&metrics::TTS, workers, QUEUE_LEN, factory)?;
        Ok(Self { pool: Arc::new(pool), cache: Arc::default(), phrases, reader, reports })
    }

    /// The voices configured and whether each has loaded, in order of preference.
    pub fn voices(&self) -> &[VoiceReport] {
        self.reports.get().map_or(&[], Vec::as_slice)
    }

    /// The voices by these names before the others, of which each speaks its languages and the first that works is heard.
    ///
    /// # Errors
    /// [`TtsError::UnknownVoice`].
    pub fn order(&self, names: &[String]) -> Result<VoiceOrder, TtsError> {
        let reports = self.voices();
        let place = |name: &String| {
            let all = || reports.iter().map(|voice| voice.name.as_str()).collect::<Vec<_>>().join(", ");
            let unknown = || TtsError::UnknownVoice { name: name.clone(), voices: all() };
            reports.iter().position(|voice| voice.name == *name).ok_or_else(unknown)
        };
        Ok(VoiceOrder::new(names.iter().map(place).collect::<Result<Vec<_>, _>>()?))
    }

    /// The voice that speaks a language in that order unless it fails, by its place in [`voices`](Self::voices).
    pub fn first(&self, order: &VoiceOrder, language: Language) -> Option<usize> {
        let able = self.voices().iter().enumerate().filter(|(_, voice)| voice.speaks(language));
        able.map(|(place, _)| place).min_by_key(|&place| order.rank(place))
    }

    /// Queues a text. `sink` is called on a worker's thread, clause by clause, or by [`shutdown`](Self::shutdown); it may
    /// block it. It is dropped uncalled if the job is cancelled while it waits and another needs its place.
    ///
    /// # Errors
    /// [`TtsError::QueueFull`], or [`TtsError::Worker`] after a shutdown; `sink` is then dropped uncalled.
    pub fn speak(
        &self,
        job: SpeakJob,
        sink: impl FnMut(SpeechChunk) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), TtsError> {
        let priority = job.priority;
        let speech = self.speech(job, sink, false);
        Ok(self.pool.submit(priority, clock::now(), speech)?)
    }

    /// The text's sound at once, clause by clause, if all of it was said or prepared before at that rate.
    pub fn cached(&self, text: &str, language: Language, rate_hz: u32, order: &VoiceOrder) -> Option<Vec<Arc<[i16]>>> {
        let voice = self.first(order, language)?;
        let clauses = clauses(&self.reader, text, language);
        clauses.iter().map(|clause| self.cache.get(clause, language, rate_hz, voice)).collect()
    }

    /// Speaks a fixed phrase in the background and keeps it for good, for [`cached`](Self::cached).
    ///
    /// # Errors
    /// [`TtsError::QueueFull`] with 128 phrases waiting, [`TtsError::Worker`] after a shutdown.
    pub fn prepare(&self, text: &str, language: Language, rate_hz: u32, voices: &VoiceOrder) -> Result<(), TtsError> {
        let (cancel, priority) = (Cancel::default(), Priority::Background);
        let job = SpeakJob { text: text.to_owned(), language, rate_hz, voices: voices.clone(), cancel, priority };
        let sink = |chunk| {
            if let SpeechChunk::Failed(error) = chunk {
                tracing::warn!(%error, "a phrase could not be prepared");
            }
            ControlFlow::Continue(())
        };
        let speech = self.speech(job, sink, true);
        Ok(self.pool.submit(priority, clock::now(), speech)?)
    }

    fn speech<F>(&self, job: SpeakJob, sink: F, keep: bool) -> Speech<F> {
        let (cache, reader) = (Arc::clone(&self.cache), Arc::clone(&self.reader));
        let phrases = self.phrases.clone().filter(|_| keep);
        let voice = self.first(&job.voices, job.language);
        Speech { job, sink, voice, cache, phrases, reader, keep, ended: false }
    }

    /// Keeps the voices from preparing phrases while a caller is to have his answer soon.
    pub fn hold_background(&self) -> BackgroundHold {
        self.pool.hold_background();
        BackgroundHold { pool: Arc::clone(&self.pool) }
    }

    /// Fails what waits, cancels what runs and waits for the threads: at most one clause. Voices' programs are ended.
    /// Not for the async executor's threads.
    pub fn shutdown(&self) {
        self.pool.shutdown();
    }
}

/// While it lives no phrase is begun to be prepared.
#[must_use]
pub struct BackgroundHold {
    pool: Arc<Pool<Voices>>,
}

impl Drop for BackgroundHold {
    fn drop(&mut self) {
        self.pool.let_background_run();
    }
}

struct Speech<F> {
    job: SpeakJob,
    sink: F,
    /// Who is to say it; what a stand-in says is not kept.
    voice: Option<usize>,
    cache: Arc<Cache>,
    /// Where what is kept for good is kept on disk.
    phrases: Option<Phrases>,
    reader: Arc<Reader>,
    /// Whether what is said is kept for good.
    keep: bool,
    /// Whether the sink has been told the end.
    ended: bool,
}

impl<F: FnMut(SpeechChunk) -> ControlFlow<()> + Send + 'static> Speech<F> {
    /// Speaks clause by clause until the end or until the sink breaks off.
    fn speak(&mut self, voices: &mut Voices) -> Result<ControlFlow<()>, TtsError> {
        let SpeakJob { language, rate_hz, .. } = self.job;
        for clause in clauses(&self.reader, &self.job.text, language) {
            if self.job.cancel.is_cancelled() {
                return Err(TtsError::Cancelled);
            }
            let kept = self.voice.and_then(|voice| self.cache.get(&clause, language, rate_hz, voice));
            let flow = if let Some(pcm) = kept.filter(|_| !self.keep) {
                (self.sink)(SpeechChunk::Pcm(pcm.to_vec()))
            } else {
                self.synthesise(voices, &clause)?
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn synthesise(&mut self, voices: &mut Voices, clause: &str) -> Result<ControlFlow<()>, TtsError> {
        let SpeakJob { language, rate_hz, .. } = self.job;
        let voice = self.voice.ok_or(TtsError::NoVoice(language))?;
        let kept = self.phrases.as_ref().zip(voices.identity(voice));
        if let Some(pcm) = kept.and_then(|(phrases, voice)| phrases.get(voice, clause, language, rate_hz)) {
            let flow = (self.sink)(SpeechChunk::Pcm(pcm.clone()));
            self.cache.put(clause, language, rate_hz, voice, pcm, self.keep);
            return Ok(flow);
        }
        let mut whole = Vec::new();
        let mut flow = ControlFlow::Continue(());
        let cancel = self.job.cancel.clone();
        let mut send = |pcm: Vec<i16>| {
            if cancel.is_cancelled() {
                return ControlFlow::Break(());
            }
            whole.extend_from_slice(&pcm);
            flow = (self.sink)(SpeechChunk::Pcm(pcm));
            flow
        };
        let speaker = voices.say(clause, &self.job, &mut send)?;
        if self.job.cancel.is_cancelled() {
            return Err(TtsError::Cancelled);
        }
        // What a stand-in has said is not kept: the voice that is wanted may work next time.
        if speaker == voice && flow.is_continue() {
            if let Some((phrases, voice)) = self.phrases.as_ref().zip(voices.identity(voice)) {
                phrases.put(voice, clause, language, rate_hz, &whole);
            }
            self.cache.put(clause, language, rate_hz, voice, whole, self.keep);
        }
        Ok(flow)
    }

    fn end(&mut self, chunk: SpeechChunk) {
        if !self.ended {
            self.ended = true;
            let _ends_anyway = (self.sink)(chunk);
        }
    }
}

impl<F: FnMut(SpeechChunk) -> ControlFlow<()> + Send + 'static> Job<Voices> for Speech<F> {
    fn cancel(&self) -> &Cancel {
        &self.job.cancel
    }

    fn run(&mut self, voices: &mut Voices) {
        match self.speak(voices) {
            Ok(ControlFlow::Continue(())) => self.end(SpeechChunk::Done),
            Ok(ControlFlow::Break(())) => self.ended = true,
            Err(error) => self.end(SpeechChunk::Failed(error)),
        }
    }

    fn fail(&mut self, error: JobError) {
        self.end(SpeechChunk::Failed(error.into()));
    }
}

/// What the voices are given. None of them knows stress marks.
fn clauses(reader: &Reader, text: &str, language: Language) -> Vec<String> {
    reader.clauses(text, language).iter().map(|clause| without_stress(clause).into_owned()).collect()
}

/// Replaces `{name}` by its value, once, so that a value with braces in it stays what it is.
fn expand(template: &str, values: &HashMap<&str, String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((values.get(name)?, tail))) {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once() {
        let values = HashMap::from([("text", "{wav}".to_owned()), ("wav", "x".to_owned())]);
        assert_eq!(expand("{text} {wav} {other} {", &values), "{wav} x {other} {");
    }

    #[test]
    fn configuration_names_voices_by_kind() {
        let config: TtsConfig = toml::from_str(
            r#"
            [[voices]]
            kind = "vits"
            language = "ru"
            model = "ru_RU-irina-medium.onnx"

            [[voices]]
            kind = "command"
            name = "espeak"
            languages = ["en"]
            program = "espeak-ng"
            args = ["-w", "{wav}"]
            "#,
        )
        .unwrap();
        assert_eq!(config.workers, 1);
        assert!(matches!(&config.voices[0], VoiceConfig::Vits(v) if v.language == Language::Ru && v.speaker == 0));
        assert!(
            matches!(&config.voices[1], VoiceConfig::Command(c) if c.program == "espeak-ng" && c.request.is_none())
        );
    }

    #[test]
    fn configuration_refuses_unknown_keys_and_kinds() {
        for (toml, expected) in [
            ("worker = 2", "unknown field `worker`"),
            ("workers = 0", "0, expected 1 to 64"),
            ("[[voices]]\nkind = \"vits\"\nlanguage = \"ru\"\nmodel = \"x\"\nthreads = 0", "0, expected 1 to 64"),
            ("[[voices]]\nkind = \"sapi\"", "unknown variant `sapi`"),
            ("[[voices]]\nkind = \"vits\"\nlanguage = \"ru\"\nmodle = \"x\"", "unknown field `modle`"),
        ] {
            let error = toml::from_str::<TtsConfig>(toml).unwrap_err().to_string();
            println!("{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
