//! Speech to text: a queue of utterances before workers that each own a recogniser.
//!
//! Left out: partial results while the caller still speaks.

mod hallucination;
mod noise;
mod repetition;
mod whisper;

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};

use super::worker::{Job, JobError, Pool, Priority, SubmitError, at_least_one};
use super::{Cancel, Language};

/// Utterances of callers that may wait, and as many files. A caller who waits behind more of them has hung up.
const QUEUE_LEN: usize = 8;

/// `[stt]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SttConfig {
    /// Whisper weights in whisper.cpp's format.
    pub model: PathBuf,
    /// Utterances recognised at the same time; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub workers: usize,
    /// Threads for each; at least 1. More than there are free cores makes it several times slower.
    #[serde(deserialize_with = "at_least_one")]
    pub threads: usize,
    /// Whether noise is made softer before an utterance is recognised, which helps against steady hiss and harms otherwise.
    pub noise_suppression: bool,
}

impl Default for SttConfig {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        // The other half is for the voices, and for the calls themselves.
        Self { model: "ggml-base.bin".into(), workers: 1, threads: (cores / 2).clamp(1, 4), noise_suppression: false }
    }
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transcript {
    /// Empty when nothing was said.
    pub text: String,
    pub language: Language,
    pub segments: Vec<Segment>,
    /// Length of the audio in seconds.
    pub audio_s: f32,
    /// Time the recognition took in seconds, waiting not included.
    pub processing_s: f32,
}

/// A part of the text with its place in the audio, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    pub start_s: f32,
    pub end_s: f32,
    pub text: String,
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
    #[error("transcribe: no language to recognise was given")]
    NoLanguage,
    #[error("transcribe: {0}")]
    Audio(#[from] crate::rtp::codec::resample::ResampleError),
    #[error("load the Whisper model {path}: {reason}; run ./run.sh to fetch it", path = .path.display())]
    Load { path: PathBuf, reason: String },
    #[error("transcribe: Whisper failed: {0}")]
    Model(String),
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
}

/// Turns speech into text, one utterance at a time.
pub trait Recognizer: Send {
    /// # Errors
    /// [`SttError::Cancelled`] soon after the job was cancelled, others when the model fails.
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError>;
}

/// The recognition workers. Clones share them; the last one to go stops them.
#[derive(Clone)]
pub struct Stt {
    pool: Arc<Pool<Box<dyn Recognizer>>>,
}

impl Stt {
    /// Loads Whisper and warms up every worker: about a second.
    ///
    /// # Errors
    /// [`SttError::Load`] when the model is missing or broken.
    pub fn start(config: &SttConfig) -> Result<Self, SttError> {
        let model = whisper::Model::load(config)?;
        Self::with_recognizer(config.workers, move || Ok(Box::new(model.worker()?)))
    }

    /// Starts workers on recognisers of any kind.
    ///
    /// # Errors
    /// What `factory` returns.
    pub fn with_recognizer(
        workers: usize,
        factory: impl Fn() -> Result<Box<dyn Recognizer>, SttError> + Send + Sync + 'static,
    ) -> Result<Self, SttError> {
        Ok(Self { pool: Arc::new(Pool::start("stt", workers, QUEUE_LEN, factory)?) })
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
        let priority = job.priority;
        Ok(self.pool.submit(priority, Utterance { job, reply: Some(reply) })?)
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
        let result = recognizer.transcribe(&self.job);
        self.reply(result);
    }

    fn fail(&mut self, error: JobError) {
        self.reply(Err(error.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// Says how many samples it got; panics on none.
    struct Counter;

    impl Recognizer for Counter {
        fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
            assert!(!job.pcm.is_empty(), "no samples");
            let text = job.pcm.len().to_string();
            Ok(Transcript { text, language: Language::Ru, segments: Vec::new(), audio_s: 0.0, processing_s: 0.0 })
        }
    }

    fn transcribe(stt: &Stt, samples: usize, cancel: Cancel) -> Result<Transcript, SttError> {
        let (reply, result) = sync_channel(1);
        let languages = vec![Language::Ru];
        let pcm = vec![0; samples];
        let job = SttJob { pcm, rate_hz: 8_000, languages, cancel, priority: Priority::Caller };
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
        assert!(error.contains("nowhere/ggml-base.bin") && error.contains("./run.sh"), "{error}");
    }

    #[test]
    fn configuration_refuses_unknown_keys() {
        let error = toml::from_str::<SttConfig>("modle = \"x\"").unwrap_err();
        assert!(error.to_string().contains("unknown field `modle`"), "{error}");
    }

    #[test]
    fn configuration_refuses_nobody_to_work_and_says_where() {
        for key in ["workers", "threads"] {
            let error = toml::from_str::<SttConfig>(&format!("model = \"x\"\n{key} = 0")).unwrap_err().to_string();
            assert!(error.contains("line 2, column 11") && error.contains("0, expected at least 1"), "{error}");
        }
    }

    #[test]
    fn job_after_shutdown_is_refused_and_gets_no_reply() {
        let stt = Stt::with_recognizer(1, || Ok(Box::new(Counter))).unwrap();
        stt.shutdown();
        let (reply, result) = sync_channel::<()>(1);
        let (languages, cancel) = (vec![Language::Ru], Cancel::default());
        let job = SttJob { pcm: vec![0; 5], rate_hz: 8_000, languages, cancel, priority: Priority::Caller };
        let error = stt.submit(job, move |_| reply.send(()).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "transcribe: the program is shutting down");
        assert!(result.recv().is_err());
    }

    #[test]
    fn transcript_is_the_documented_json() {
        let segments = vec![Segment { start_s: 0.5, end_s: 1.5, text: "Да.".into() }];
        let transcript =
            Transcript { text: "Да.".into(), language: Language::Ru, segments, audio_s: 2.0, processing_s: 0.25 };
        let json = serde_json::to_string(&transcript).unwrap();
        let expected = r#"{"text":"Да.","language":"ru","segments":[{"start_s":0.5,"end_s":1.5,"text":"Да."}],"audio_s":2.0,"processing_s":0.25}"#;
        assert_eq!(json, expected);
    }
}
