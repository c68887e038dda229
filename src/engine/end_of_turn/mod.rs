//! End of turn: whether a caller who pauses has finished, by how it sounds (Smart Turn 3.2, BSD-2-Clause,
//! github.com/pipecat-ai/smart-turn) and by what the words so far want after them ([`unfinished`]).
//!
//! Left out: how long a silence is waited out, which is turn taking's; stopping a run of the model once it has begun,
//! which takes a tenth of a second.

mod backchannel;
mod features;
mod unfinished;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::session::Session;
use ort::value::TensorRef;
use serde::Deserialize;

use super::onnx::{OnnxError, OnnxRuntime};
use super::worker::{Job, JobError, Pool, Priority, SubmitError};
use super::{Cancel, cores, metrics};
use crate::clock;
use crate::rtp::codec::resample::{ResampleError, resample};
use features::{BANDS, FRAMES, Features, RATE_HZ, SECONDS};

pub use backchannel::is_backchannel;
pub use features::SECONDS as WINDOW_S;
pub use unfinished::{Unfinished, unfinished};

/// Pauses of callers that may wait. One waits 0.1 s for each before it, and soon the silence itself says more.
const QUEUE_LEN: usize = 8;
const WORKERS: usize = 1;
const THREADS: usize = 2;

/// `[end_of_turn]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndOfTurnConfig {
    /// Smart Turn 3.
    pub model: PathBuf,
}

impl Default for EndOfTurnConfig {
    fn default() -> Self {
        Self { model: "smart-turn-v3.2-cpu.onnx".into() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EndOfTurnError {
    #[error("end of turn: {0}")]
    Load(#[from] OnnxError),
    /// The file is an ONNX model, but not this one.
    #[error("end of turn: {path} has not the inputs and outputs of Smart Turn 3: {reason}", path = .path.display())]
    WrongModel { path: PathBuf, reason: String },
    #[error("end of turn: the model gave no answer: {0}")]
    Run(#[from] ort::Error),
    /// NaN, or what is not in 0..=1.
    #[error("end of turn: the model's answer is {0}, which is no probability")]
    NoProbability(f32),
    #[error("end of turn: {0}")]
    Audio(#[from] ResampleError),
    /// As many pauses wait as may wait: this machine is too slow for its calls.
    #[error("end of turn: too many pauses wait")]
    QueueFull,
    #[error("end of turn: cancelled")]
    Cancelled,
    #[error("end of turn: {0}")]
    Worker(JobError),
    #[error("start a thread for the end of turn: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<SubmitError> for EndOfTurnError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full => EndOfTurnError::QueueFull,
            SubmitError::Stopped => EndOfTurnError::Worker(JobError::Stopped),
        }
    }
}

impl From<JobError> for EndOfTurnError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Cancelled => EndOfTurnError::Cancelled,
            error => EndOfTurnError::Worker(error),
        }
    }
}

/// A caller's turn so far.
#[derive(Debug, Clone)]
pub struct TurnJob {
    /// Mono, the last 8 s are looked at; it ends 100 to 200 ms behind the last word. The more silence there is, the more
    /// the model believes that the turn is over.
    pub pcm: Vec<i16>,
    pub rate_hz: u32,
    pub cancel: Cancel,
}

/// The workers. Clones share them; the last one to go stops them.
#[derive(Clone)]
pub struct EndOfTurn {
    pool: Arc<Pool<SmartTurn>>,
}

impl EndOfTurn {
    /// Loads the model and runs it once: a quarter of a second.
    ///
    /// # Errors
    /// When the file is missing, or is another model.
    pub fn start(config: &EndOfTurnConfig, runtime: &OnnxRuntime) -> Result<Self, EndOfTurnError> {
        let (runtime, model) = (runtime.clone(), config.model.clone());
        let factory = move || SmartTurn::load(&runtime, &model);
        Ok(Self { pool: Arc::new(Pool::start(&metrics::END_OF_TURN, WORKERS, QUEUE_LEN, factory)?) })
    }

    /// Queues a job. `reply` gets the probability, 0..=1, that the caller has finished. It is called once, on a worker's
    /// thread or by [`shutdown`](Self::shutdown), and may block it. It is dropped uncalled if the job is cancelled while
    /// it waits and another needs its place.
    ///
    /// # Errors
    /// [`EndOfTurnError::QueueFull`], or [`EndOfTurnError::Worker`] after a shutdown; `reply` is then dropped uncalled.
    pub fn submit(
        &self,
        job: TurnJob,
        reply: impl FnOnce(Result<f32, EndOfTurnError>) + Send + 'static,
    ) -> Result<(), EndOfTurnError> {
        Ok(self.pool.submit(Priority::Final, clock::now(), Pause { job, reply: Some(reply) })?)
    }

    /// Fails what waits, cancels what runs and waits for the threads: a tenth of a second. Not for the async executor's
    /// threads.
    pub fn shutdown(&self) {
        self.pool.shutdown();
    }
}

struct Pause<F> {
    job: TurnJob,
    /// `None` once called.
    reply: Option<F>,
}

impl<F: FnOnce(Result<f32, EndOfTurnError>) + Send + 'static> Pause<F> {
    fn reply(&mut self, result: Result<f32, EndOfTurnError>) {
        if let Some(reply) = self.reply.take() {
            reply(result);
        }
    }
}

impl<F: FnOnce(Result<f32, EndOfTurnError>) + Send + 'static> Job<SmartTurn> for Pause<F> {
    fn cancel(&self) -> &Cancel {
        &self.job.cancel
    }

    fn run(&mut self, model: &mut SmartTurn) {
        let result = model.finished(&self.job);
        self.reply(result);
    }

    fn fail(&mut self, error: JobError) {
        self.reply(Err(error.into()));
    }
}

/// A worker's model.
struct SmartTurn {
    session: Session,
    features: Features,
}

impl SmartTurn {
    /// Loads the model, and proves on silence that it is the one we know, which warms it up as well.
    fn load(runtime: &OnnxRuntime, path: &Path) -> Result<Self, EndOfTurnError> {
        let mut model = Self { session: runtime.session(path, THREADS)?, features: Features::new() };
        let wrong = |reason: String| EndOfTurnError::WrongModel { path: path.to_owned(), reason };
        let p = model.run(&[]).map_err(|error| wrong(error.to_string()))?;
        probability(p).map_err(|error| wrong(error.to_string()))?;
        Ok(model)
    }

    fn finished(&mut self, job: &TurnJob) -> Result<f32, EndOfTurnError> {
        // The caller's words are recognised at the same time, for which this is not to wait.
        let cores = cores::take_for_short(THREADS);
        let heard = job.pcm.len().saturating_sub(SECONDS * job.rate_hz as usize);
        let pcm = resample(job.pcm.get(heard..).unwrap_or_default(), job.rate_hz, RATE_HZ)?;
        let probability = probability(self.run(&pcm)?)?;
        drop(cores);
        tracing::debug!(probability, "finished?");
        match job.cancel.is_cancelled() {
            true => Err(EndOfTurnError::Cancelled),
            false => Ok(probability),
        }
    }

    fn run(&mut self, pcm: &[i16]) -> ort::Result<f32> {
        let features = self.features.of(pcm);
        let input = TensorRef::from_array_view(([1, BANDS, FRAMES], &features[..]))?;
        let outputs = self.session.run(ort::inputs!["input_features" => input])?;
        let missing = || ort::Error::new("no output logits");
        // Its name is of the training: the graph ends in a sigmoid.
        let (_, probability) = outputs.get("logits").ok_or_else(missing)?.try_extract_tensor::<f32>()?;
        probability.first().copied().ok_or_else(missing)
    }
}

/// Holds the model's answer to what it should be: from anything else no silence can be reckoned.
fn probability(answer: f32) -> Result<f32, EndOfTurnError> {
    match (0.0..=1.0).contains(&answer) {
        true => Ok(answer),
        false => Err(EndOfTurnError::NoProbability(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_probability_is_an_error() {
        for answer in [0.0, 0.5, 1.0] {
            assert_eq!(probability(answer).unwrap(), answer);
        }
        for answer in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.01, 1.01] {
            let error = probability(answer).unwrap_err().to_string();
            assert!(error.contains(&answer.to_string()), "{error}");
        }
    }
}
