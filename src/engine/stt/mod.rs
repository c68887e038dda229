//! Speech to text: a queue of utterances before workers that each own a recogniser.
//!
//! Left out: partial results while the caller still speaks.

mod admission;
mod bundle;
mod decoder;
mod hallucination;
mod load;
mod models;
mod noise;
mod repetition;
mod whisper;
pub mod windows;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use admission::Admission;
pub use load::{Load, Seat};

use self::load::{Ledger, Work};
use super::worker::{Job, JobError, Pool, Priority, SubmitError, number_of_workers};
use super::{Cancel, Language, cores, metrics};
use crate::clock;

/// Utterances of each class that may wait. A caller who waits behind more of them has hung up.
const QUEUE_LEN: usize = 32;

/// How long an ordinary utterance is, in seconds.
const ORDINARY_S: u32 = 3;

/// `[stt]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SttConfig {
    /// Whisper weights in whisper.cpp's format, for which a model's name stands for `ggml-NAME.bin`; or the folder of a bundle
    /// (`bundle` says how).
    #[serde(deserialize_with = "models::by_name")]
    pub model: PathBuf,
    /// Names and words of the business, so that they are spelled right. Whisper reads 223 tokens of them, some 60 words.
    pub terms: Vec<String>,
    /// Utterances recognised at the same time; 1 to 64.
    #[serde(deserialize_with = "number_of_workers")]
    pub workers: usize,
    /// The most cores for one utterance; 1 to 64. It takes those that are free.
    #[serde(deserialize_with = "number_of_workers")]
    pub threads: usize,
    /// Whether noise is made softer before an utterance is recognised, which helps against steady hiss and harms otherwise.
    pub noise_suppression: bool,
    /// The longest time to the words of an utterance that is over, in milliseconds, by which
    /// `overload` goes.
    pub final_deadline_ms: NonZeroU32,
    /// What becomes of a call with which the others would no longer be answered in that time.
    pub overload: Overload,
    /// The library that runs a bundle; `[models]` says where.
    #[serde(skip)]
    pub onnxruntime: PathBuf,
}

/// What becomes of one caller too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overload {
    /// He is answered like all others, and all wait longer.
    #[default]
    Answer,
    /// He is told that the line is busy, and when to call again.
    Busy,
    /// He can leave a message, which is transcribed when nobody waits.
    Message,
}

/// Words that take so long after a pause come, even where its silence is the shortest that ends a turn, about when «Секунду…»
/// is due.
const FINAL_DEADLINE_MS: NonZeroU32 = NonZeroU32::new(1_500).unwrap();

impl SttConfig {
    fn final_deadline(&self) -> Duration {
        Duration::from_millis(self.final_deadline_ms.get().into())
    }

    /// How many utterances are recognised at the same time on so many cores without one making another slower: an utterance
    /// takes all cores that are free, up to `threads`, so a worker more than that has cores for does what it does with those
    /// of the others.
    fn servers(&self, cores: usize) -> f64 {
        (cores as f64 / self.threads.max(1) as f64).min(self.workers as f64).max(1.0)
    }
}

impl Default for SttConfig {
    fn default() -> Self {
        let cores = cores::count();
        Self {
            model: "ggml-base-q8_0.bin".into(),
            terms: Vec::new(),
            workers: cores.clamp(1, 4),
            threads: cores.clamp(1, 4),
            noise_suppression: false,
            final_deadline_ms: FINAL_DEADLINE_MS,
            overload: Overload::Answer,
            onnxruntime: "libonnxruntime.so".into(),
        }
    }
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transcript {
    /// Empty when nothing was said.
    pub text: String,
    pub language: Language,
    pub segments: Vec<Segment>,
    /// What the model wrote and nobody said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caught: Vec<Caught>,
    /// How sure the model was of the words: the mean natural logarithm of their tokens' probabilities; 0 where it does not tell.
    #[serde(skip)]
    pub log_probability: f32,
    /// How sure it was of the language, among all that it knows: 0 to 1; 1 where it does not tell.
    #[serde(skip)]
    pub language_probability: f32,
    /// Length of the audio in seconds.
    pub audio_s: f32,
    /// Time the recognition took in seconds, waiting not included.
    pub processing_s: f32,
}

impl Transcript {
    /// Adds what was said in the next stretch of a recording, which begins so far into it.
    pub fn append(&mut self, next: Self, start_s: f32) {
        if self.text.is_empty() {
            self.language = next.language;
        }
        if !self.text.is_empty() && !next.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(&next.text);
        self.segments.extend(next.segments.into_iter().map(|segment| segment.later_by(start_s)));
        self.caught.extend(next.caught);
        self.log_probability = self.log_probability.min(next.log_probability);
        self.language_probability = self.language_probability.min(next.language_probability);
        self.audio_s = start_s + next.audio_s;
        self.processing_s += next.processing_s;
    }
}

/// A part of the text with its place in the audio, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    pub start_s: f32,
    pub end_s: f32,
    pub text: String,
    /// Where each word is, to some tenths of a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
}

impl Segment {
    /// The same in a longer recording that it was cut out of.
    pub fn later_by(mut self, s: f32) -> Self {
        (self.start_s, self.end_s) = (self.start_s + s, self.end_s + s);
        for word in &mut self.words {
            (word.start_s, word.end_s) = (word.start_s + s, word.end_s + s);
        }
        self
    }
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// A word with its place in the audio, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    pub start_s: f32,
    pub end_s: f32,
    pub text: String,
}

/// Text that was taken out of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caught {
    pub text: String,
    pub why: Why,
}

/// Why text is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The model itself says that nobody speaks.
    NoSpeech,
    /// A phrase that Whisper invents and nobody says on the telephone.
    Phrase,
    /// Nothing but terms of the configuration, where the model hears hardly any speech.
    Terms,
    /// The name of a sound.
    Sound,
    /// The same words over and over.
    Repetition,
    /// So much of it repeats that it is no speech.
    Compression,
    /// The model hardly believes it itself.
    Improbable,
}

#[derive(Debug, thiserror::Error)]
pub enum SttError {
    /// As many utterances wait as may wait: this machine is too slow for its calls.
    #[error("transcribe: too many utterances wait; give [stt] more workers or a smaller model")]
    QueueFull,
    #[error("transcribe: cancelled")]
    Cancelled,
    #[error("transcribe: {0}")]
    Worker(JobError),
    #[error("transcribe: no language was given, or none that the model knows")]
    NoLanguage,
    #[error("transcribe: {0}")]
    Audio(#[from] crate::rtp::codec::resample::ResampleError),
    #[error("load the Whisper model {path}: {reason}; {remedy}", path = .path.display())]
    Load { path: PathBuf, reason: String, remedy: String },
    #[error("transcribe: the model failed: {0}")]
    Model(String),
    #[error("load the bundle {path}: {reason}", path = .path.display())]
    Bundle { path: PathBuf, reason: String },
    #[error("start a recognition thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<SubmitError> for SttError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full => SttError::QueueFull,
            SubmitError::Stopped => SttError::Worker(JobError::Stopped),
        }
    }
}

impl From<JobError> for SttError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Cancelled => SttError::Cancelled,
            error => SttError::Worker(error),
        }
    }
}

fn stop_if(cancel: &Cancel) -> Result<(), SttError> {
    if cancel.is_cancelled() { Err(SttError::Cancelled) } else { Ok(()) }
}

/// An utterance or a file to transcribe.
#[derive(Debug, Clone)]
pub struct SttJob {
    /// Mono.
    pub pcm: Vec<i16>,
    pub rate_hz: u32,
    /// One: the language spoken. Several: whichever of them is spoken, which takes a third longer.
    pub languages: Vec<Language>,
    pub cancel: Cancel,
    pub priority: Priority,
    /// When the words are wanted: within a class of [`Priority`] the first one goes first.
    pub due: Instant,
}

/// Turns speech into text, one utterance at a time.
pub trait Recognizer: Send {
    /// # Errors
    /// [`SttError::Cancelled`] soon after the job was cancelled, others when the model fails.
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError>;

    /// Does what an utterance of ordinary length takes, so that the time for it is known before the first call.
    ///
    /// # Errors
    /// When the model fails.
    fn rehearse(&mut self) -> Result<(), SttError> {
        let (rate_hz, priority) = (8_000, Priority::Background);
        let pcm = vec![0; (ORDINARY_S * rate_hz) as usize];
        let languages = vec![Language::Ru, Language::En];
        let job = SttJob { pcm, rate_hz, languages, cancel: Cancel::default(), priority, due: clock::now() };
        self.transcribe(&job).map(drop)
    }
}

/// The recognition workers. Clones share them; the last one to go stops them.
#[derive(Clone)]
pub struct Stt {
    pool: Arc<Pool<Box<dyn Recognizer>>>,
    ledger: Ledger,
}

impl Stt {
    /// Loads Whisper, or a bundle if the model is one, and warms up every worker: about a second.
    ///
    /// # Errors
    /// [`SttError::Load`] or [`SttError::Bundle`] when the model is missing or broken.
    pub fn start(config: &SttConfig) -> Result<Self, SttError> {
        type Make = Box<dyn Fn() -> Result<Box<dyn Recognizer>, SttError> + Send + Sync>;
        let make: Make = if bundle::is_bundle(&config.model) {
            let bundle = bundle::Bundle::load(config)?;
            Box::new(move || Ok(Box::new(bundle.worker()?)))
        } else {
            let model = whisper::Model::load(config)?;
            Box::new(move || Ok(Box::new(model.worker()?)))
        };
        Self::measured(config, cores::count(), make)
    }

    /// Starts workers, the first of which tells what an ordinary utterance takes on so many cores. Building it does not: it
    /// takes memory, and runs the model on the longest utterance there is.
    fn measured(
        config: &SttConfig,
        cores: usize,
        make: impl Fn() -> Result<Box<dyn Recognizer>, SttError> + Send + Sync + 'static,
    ) -> Result<Self, SttError> {
        let ledger = Ledger::new(config.servers(cores), config.final_deadline());
        let rehearsal = ledger.clone();
        let factory = move || {
            let mut worker = make()?;
            if !rehearsal.is_rehearsed() {
                let started = clock::now();
                worker.rehearse()?;
                rehearsal.rehearsed(started.elapsed());
            }
            Ok(worker)
        };
        Self::new(config.workers, ledger, factory)
    }

    /// Starts workers on recognisers of any kind.
    ///
    /// # Errors
    /// What `factory` returns.
    pub fn with_recognizer(
        workers: usize,
        factory: impl Fn() -> Result<Box<dyn Recognizer>, SttError> + Send + Sync + 'static,
    ) -> Result<Self, SttError> {
        Self::new(workers, Ledger::new(workers as f64, SttConfig::default().final_deadline()), factory)
    }

    fn new(
        workers: usize,
        ledger: Ledger,
        factory: impl Fn() -> Result<Box<dyn Recognizer>, SttError> + Send + Sync + 'static,
    ) -> Result<Self, SttError> {
        let pool = Arc::new(Pool::start(&metrics::STT, workers, QUEUE_LEN, factory)?);
        Ok(Self { pool, ledger })
    }

    /// Queues a job. `reply` is called once, on a worker's thread or by [`shutdown`](Self::shutdown); it may block it.
    /// It is dropped uncalled if the job is cancelled while it waits and another needs its place.
    ///
    /// # Errors
    /// [`SttError::QueueFull`], or [`SttError::Worker`] after a shutdown; `reply` is then dropped uncalled.
    pub fn submit(
        &self,
        job: SttJob,
        reply: impl FnOnce(Result<Transcript, SttError>) + Send + 'static,
    ) -> Result<(), SttError> {
        let (priority, due) = (job.priority, job.due);
        Ok(self.pool.submit(priority, due, Utterance { job, reply: Some(reply), ledger: self.ledger.clone() })?)
    }

    /// What waits for the workers, and how fast they have been.
    pub fn load(&self) -> Load {
        let waiting = Priority::ALL.into_iter().map(|class| self.pool.waiting(class)).sum();
        Load { waiting, speed: self.ledger.speed() }
    }

    /// A seat for one caller more, however long all wait then.
    pub fn seat(&self) -> Seat {
        self.ledger.seat()
    }

    /// A seat for one caller more if all would still have their words by the [`SttConfig::final_deadline_ms`]. The only one
    /// always has one.
    pub fn seat_in_time(&self) -> Option<Seat> {
        self.ledger.seat_in_time()
    }

    /// Fails what waits, cancels what runs and waits for the threads: at most one pass of the encoder (about a second).
    /// Not for the async executor's threads.
    pub fn shutdown(&self) {
        self.pool.shutdown();
    }
}

struct Utterance<F> {
    job: SttJob,
    /// `None` once called.
    reply: Option<F>,
    ledger: Ledger,
}

impl<F: FnOnce(Result<Transcript, SttError>) + Send + 'static> Utterance<F> {
    fn reply(&mut self, result: Result<Transcript, SttError>) {
        if let Some(reply) = self.reply.take() {
            reply(result);
        }
    }
}

impl<F: FnOnce(Result<Transcript, SttError>) + Send + 'static> Job<Box<dyn Recognizer>> for Utterance<F> {
    fn cancel(&self) -> &Cancel {
        &self.job.cancel
    }

    fn run(&mut self, recognizer: &mut Box<dyn Recognizer>) {
        let started = clock::now();
        let running = self.ledger.begin(self.job.priority);
        let result = recognizer.transcribe(&self.job);
        drop(running);
        let took = started.elapsed();
        let audio = Duration::from_secs_f64(self.job.pcm.len() as f64 / f64::from(self.job.rate_hz.max(1)));
        // Who has cancelled it does not want it, even if it was ready just before.
        let wanted = !self.job.cancel.is_cancelled();
        self.ledger.enter(&Work { class: self.job.priority, audio, took, wanted });
        self.reply(result);
    }

    fn fail(&mut self, error: JobError) {
        self.reply(Err(error.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// Says how many samples it got; panics on none.
    struct Counter;

    impl Recognizer for Counter {
        fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
            assert!(!job.pcm.is_empty(), "no samples");
            let text = job.pcm.len().to_string();
            Ok(Transcript {
                text,
                language: Language::Ru,
                segments: Vec::new(),
                caught: Vec::new(),
                log_probability: 0.0,
                language_probability: 1.0,
                audio_s: 0.0,
                processing_s: 0.0,
            })
        }
    }

    fn transcribe(stt: &Stt, samples: usize, cancel: Cancel) -> Result<Transcript, SttError> {
        let (reply, result) = sync_channel(1);
        let languages = vec![Language::Ru];
        let pcm = vec![0; samples];
        let job = SttJob { pcm, rate_hz: 8_000, languages, cancel, priority: Priority::Final, due: clock::now() };
        stt.submit(job, move |result| reply.send(result).unwrap()).unwrap();
        result.recv().unwrap()
    }

    #[test]
    fn every_job_gets_one_reply_even_after_a_panic() {
        let stt = Stt::with_recognizer(1, || Ok(Box::new(Counter))).unwrap();
        assert_eq!(transcribe(&stt, 5, Cancel::default()).unwrap().text, "5");
        let error = transcribe(&stt, 0, Cancel::default()).unwrap_err();
        assert_eq!(error.to_string(), "transcribe: the worker panicked: no samples");
        assert_eq!(transcribe(&stt, 6, Cancel::default()).unwrap().text, "6");
    }

    #[test]
    fn cancelled_job_is_answered_as_cancelled() {
        let stt = Stt::with_recognizer(1, || Ok(Box::new(Counter))).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(matches!(transcribe(&stt, 5, cancel), Err(SttError::Cancelled)));
    }

    #[test]
    fn missing_model_is_named_with_what_to_do() {
        let config = SttConfig { model: "nowhere/ggml-base.bin".into(), ..SttConfig::default() };
        let error = Stt::start(&config).err().unwrap().to_string();
        assert!(error.contains("nowhere/ggml-base.bin") && error.contains("models/fetch.py base"), "{error}");
    }

    #[test]
    fn configuration_refuses_unknown_keys() {
        let error = toml::from_str::<SttConfig>("modle = \"x\"").unwrap_err();
        assert!(error.to_string().contains("unknown field `modle`"), "{error}");
    }

    #[test]
    fn model_is_a_name_or_a_file() {
        let model = |value: &str| toml::from_str::<SttConfig>(&format!("model = {value:?}")).map(|config| config.model);
        assert_eq!(model("large-v3-turbo-q5_0").unwrap(), PathBuf::from("ggml-large-v3-turbo-q5_0.bin"));
        assert_eq!(model("base").unwrap(), PathBuf::from("ggml-base.bin"));
        assert_eq!(model("/srv/own.bin").unwrap(), PathBuf::from("/srv/own.bin"));
        let error = model("huge").unwrap_err().to_string();
        assert!(
            error.contains("\"huge\"") && error.contains("tiny, ") && error.contains("large-v3-turbo-q5_0"),
            "{error}"
        );
        let bundle = model("my-model").unwrap_err().to_string();
        assert!(bundle.contains("the folder of a bundle with a / (\"my-model/\")"), "{bundle}");
        assert_eq!(model("my-model/").unwrap(), PathBuf::from("my-model/"));
        let manifest = include_str!("../../../models/manifest.toml");
        for name in models::NAMES {
            assert!(manifest.contains(&format!("called = {name:?}")), "{name} is not in models/manifest.toml");
        }
    }

    #[test]
    fn configuration_refuses_nobody_to_work_or_a_crowd_and_says_where() {
        for (key, number) in [("workers", 0), ("workers", 100), ("threads", 0), ("threads", 65)] {
            let config = format!("model = \"x.bin\"\n{key} = {number}");
            let error = toml::from_str::<SttConfig>(&config).unwrap_err().to_string();
            let expected = format!("{number}, expected 1 to 64");
            assert!(error.contains("line 2, column 11") && error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn job_after_shutdown_is_refused_and_gets_no_reply() {
        let stt = Stt::with_recognizer(1, || Ok(Box::new(Counter))).unwrap();
        stt.shutdown();
        let (reply, result) = sync_channel::<()>(1);
        let (languages, cancel) = (vec![Language::Ru], Cancel::default());
        let job =
            SttJob { pcm: vec![0; 5], rate_hz: 8_000, languages, cancel, priority: Priority::Final, due: clock::now() };
        let error = stt.submit(job, move |_| reply.send(()).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "transcribe: the program is shutting down");
        assert!(result.recv().is_err());
    }

    /// Works until it is cancelled or told to end.
    struct Patient(Arc<Mutex<Receiver<()>>>, SyncSender<()>);

    impl Recognizer for Patient {
        fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
            self.1.send(()).unwrap();
            self.0.lock().unwrap().recv().unwrap();
            if job.cancel.is_cancelled() {
                return Err(SttError::Cancelled);
            }
            let (text, segments) = (String::new(), Vec::new());
            Ok(Transcript {
                text,
                language: Language::Ru,
                segments,
                caught: Vec::new(),
                log_probability: 0.0,
                language_probability: 1.0,
                audio_s: 0.0,
                processing_s: 0.0,
            })
        }
    }

    #[test]
    fn load_tells_what_waits_and_how_fast_the_workers_are() {
        let (begun, begins) = sync_channel(9);
        let (end, ends) = sync_channel(9);
        let ends = Arc::new(Mutex::new(ends));
        let stt = Stt::with_recognizer(1, move || Ok(Box::new(Patient(Arc::clone(&ends), begun.clone())))).unwrap();
        assert_eq!(stt.load(), Load { waiting: 0, speed: None });
        let (reply, replies) = sync_channel(9);
        let submit = |priority, cancel: &Cancel| {
            let (reply, languages) = (reply.clone(), vec![Language::Ru]);
            let (pcm, cancel, due) = (vec![0; 16_000], cancel.clone(), clock::now());
            let job = SttJob { pcm, rate_hz: 8_000, languages, cancel, priority, due };
            stt.submit(job, move |result| reply.send(result.is_ok()).unwrap()).unwrap();
        };
        let given_up = Cancel::default();
        submit(Priority::Partial, &given_up);
        begins.recv().unwrap();
        submit(Priority::Partial, &Cancel::default());
        submit(Priority::Final, &Cancel::default());
        assert_eq!(stt.load(), Load { waiting: 2, speed: None });
        given_up.cancel();
        (0..3).for_each(|_| end.send(()).unwrap());
        assert_eq!(replies.iter().take(3).collect::<Vec<_>>(), [false, true, true]);
        let after = stt.load();
        assert!(after.waiting == 0 && after.speed.is_some_and(|speed| speed > 0.0), "{after:?}");
    }

    #[test]
    fn overload_is_one_of_three() {
        for (text, overload) in [("answer", Overload::Answer), ("busy", Overload::Busy), ("message", Overload::Message)]
        {
            let config: SttConfig = toml::from_str(&format!("overload = \"{text}\"")).unwrap();
            assert_eq!(config.overload, overload);
        }
        assert!(toml::from_str::<SttConfig>("overload = \"panic\"").is_err());
        assert!(toml::from_str::<SttConfig>("final_deadline_ms = 0").is_err());
    }

    #[test]
    fn transcript_is_the_documented_json() {
        let segments = vec![Segment { start_s: 0.5, end_s: 1.5, text: "Да.".into(), words: Vec::new() }];
        let transcript = Transcript {
            text: "Да.".into(),
            language: Language::Ru,
            segments,
            caught: Vec::new(),
            log_probability: 0.0,
            language_probability: 1.0,
            audio_s: 2.0,
            processing_s: 0.25,
        };
        let json = serde_json::to_string(&transcript).unwrap();
        let expected = r#"{"text":"Да.","language":"ru","segments":[{"start_s":0.5,"end_s":1.5,"text":"Да."}],"audio_s":2.0,"processing_s":0.25}"#;
        assert_eq!(json, expected);
    }
}
