//! A recogniser from a bundle: a folder with manifest.toml, ONNX graphs and the tokens. docs/listening.md says what each holds.
//!
//! Utterances longer than a window are cut at pauses, and each is recognised by itself. Left out: features other than the
//! logarithm of a mel spectrum; punctuation.

mod ctc;
mod front;
mod graph;
mod manifest;
mod transducer;
mod words;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::windows::windows;
use super::{Recognizer, Segment, SttConfig, SttError, SttJob, Transcript, noise, stop_if, text};
use crate::engine::Cancel;
use crate::engine::bundle::MANIFEST;
use crate::engine::cores::{self, Taken};
use crate::engine::onnx::OnnxRuntime;
use crate::rtp::codec::resample::resample;
use ctc::Ctc;
use graph::{Graph, Interface};
use manifest::{Kind, Manifest};
use transducer::Transducer;
use words::Spoken;

/// Whether a model is a bundle.
pub fn is_bundle(model: &Path) -> bool {
    model.join(MANIFEST).is_file()
}

/// A checked bundle, ready for workers.
#[derive(Clone)]
pub struct Bundle {
    runtime: OnnxRuntime,
    folder: PathBuf,
    manifest: Manifest,
    tokens: Vec<String>,
    threads: usize,
    noise_suppression: bool,
}

impl Bundle {
    /// # Errors
    /// [`SttError::Bundle`] when a file is missing or is not the one that the manifest names.
    pub fn load(config: &SttConfig) -> Result<Self, SttError> {
        let folder = config.model.clone();
        let refused = |reason: String| SttError::Bundle { path: folder.clone(), reason };
        let (manifest, tokens) = Manifest::load(&folder).map_err(refused)?;
        let runtime = OnnxRuntime::load(&config.onnxruntime).map_err(|error| refused(error.to_string()))?;
        let SttConfig { threads, noise_suppression, .. } = *config;
        tracing::info!(bundle = %folder.display(), licence = manifest.licence, "recognition by a bundle");
        Ok(Self { runtime, folder, manifest, tokens, threads, noise_suppression })
    }

    /// A recogniser with its own sessions, warmed up.
    ///
    /// # Errors
    /// [`SttError::Bundle`] when a graph is not as the manifest says.
    pub fn worker(&self) -> Result<Worker, SttError> {
        let refused = |reason: String| SttError::Bundle { path: self.folder.clone(), reason };
        let model: Box<dyn Model> = match &self.manifest.kind {
            Kind::Ctc(kind) => Box::new(Ctc::load(self, kind).map_err(refused)?),
            Kind::Transducer(kind) => Box::new(Transducer::load(self, kind).map_err(refused)?),
        };
        let mut worker = Worker { model, bundle: self.clone() };
        // The first run allocates, and proves that the graphs answer as they should.
        let second = vec![0; self.manifest.rate_hz as usize];
        worker.window(&second, 0.0, &Cancel::default()).map_err(|error| refused(error.to_string()))?;
        Ok(worker)
    }

    fn graph(&self, file: &Path, threads: usize, interface: &Interface<'_>) -> Result<Graph, String> {
        let session = self.runtime.session(&self.folder.join(file), threads).map_err(|error| error.to_string())?;
        Graph::new(session, file, interface)
    }
}

/// A worker's recogniser.
pub struct Worker {
    model: Box<dyn Model>,
    bundle: Bundle,
}

/// The graphs of a bundle with their way of decoding.
trait Model: Send {
    /// What is said in a sound at the model's rate. Gives back cores that it has no more use for.
    fn spoken(&mut self, pcm: &[i16], cores: &mut Taken<'_>, cancel: &Cancel) -> Result<Vec<Spoken>, SttError>;
}

impl Recognizer for Worker {
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
        #[expect(clippy::disallowed_methods, reason = "measures the work of this thread")]
        let started = Instant::now();
        let known = job.languages.iter().copied().find(|language| self.bundle.manifest.languages.contains(language));
        let language = known.ok_or(SttError::NoLanguage)?;
        let mut segments = Vec::new();
        for window in windows(&job.pcm, job.rate_hz) {
            let start_s = window.start as f32 / job.rate_hz as f32;
            let pcm = self.heard(&window.pcm, job.rate_hz)?;
            segments.extend(self.window(&pcm, start_s, &job.cancel)?);
        }
        let text = text(&segments);
        let audio_s = job.pcm.len() as f32 / job.rate_hz as f32;
        let (caught, processing_s) = (Vec::new(), started.elapsed().as_secs_f32());
        Ok(Transcript {
            text,
            language,
            segments,
            caught,
            log_probability: 0.0,
            language_probability: 1.0,
            audio_s,
            processing_s,
        })
    }
}

impl Worker {
    /// The sound at the model's rate.
    fn heard(&self, pcm: &[i16], rate_hz: u32) -> Result<Vec<i16>, SttError> {
        let model_hz = self.bundle.manifest.rate_hz;
        if !self.bundle.noise_suppression {
            return Ok(resample(pcm, rate_hz, model_hz)?);
        }
        let mut pcm = resample(pcm, rate_hz, noise::RATE_HZ)?;
        noise::suppress(&mut pcm);
        Ok(resample(&pcm, noise::RATE_HZ, model_hz)?)
    }

    /// Recognises a sound at the model's rate that begins at `start_s`.
    fn window(&mut self, pcm: &[i16], start_s: f32, cancel: &Cancel) -> Result<Vec<Segment>, SttError> {
        let mut cores = cores::take(self.bundle.threads);
        stop_if(cancel)?;
        let spoken = self.model.spoken(pcm, &mut cores, cancel)?;
        Ok(words::segments(&spoken, &self.bundle.tokens, start_s))
    }
}

impl From<ort::Error> for SttError {
    fn from(error: ort::Error) -> Self {
        SttError::Model(error.to_string())
    }
}

/// Which of these scores is the greatest.
fn likeliest(scores: &[f32]) -> Option<usize> {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
}
