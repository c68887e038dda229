//! A CTC recogniser from a bundle: a folder with manifest.toml, an ONNX graph and its tokens. docs/listening.md says what
//! each holds.
//!
//! The graph sees a whole utterance at once, longer ones cut at pauses. Left out: transducers; graphs that take the sound in
//! pieces and carry a state; features other than the logarithm of a mel spectrum; punctuation.

mod decode;
mod manifest;

use std::path::{Path, PathBuf};
use std::time::Instant;

use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::windows::windows;
use super::{Recognizer, Segment, SttConfig, SttError, SttJob, Transcript, noise};
use crate::engine::cores;
use crate::engine::mel::Mel;
use crate::engine::onnx::OnnxRuntime;
use crate::rtp::codec::resample::resample;
use manifest::{MANIFEST, Manifest};

/// Whether a model is a bundle.
pub fn is_bundle(model: &Path) -> bool {
    model.join(MANIFEST).is_file()
}

/// A checked bundle, ready for workers.
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

    /// A recogniser with its own session, warmed up.
    ///
    /// # Errors
    /// [`SttError::Bundle`] when the graph is not as the manifest says.
    pub fn worker(&self) -> Result<Ctc, SttError> {
        let refused = |reason: String| SttError::Bundle { path: self.folder.clone(), reason };
        let graph = self.folder.join(&self.manifest.graph.file);
        let session = self.runtime.session(&graph, self.threads).map_err(|error| refused(error.to_string()))?;
        check(&session, &self.manifest, self.tokens.len()).map_err(refused)?;
        let mel = self.manifest.input.mel.map(|mel| Mel::new(mel.spectrum(), self.manifest.rate_hz));
        let (manifest, tokens) = (self.manifest.clone(), self.tokens.clone());
        let threads = self.threads;
        let mut ctc = Ctc { session, threads, mel, manifest, tokens, noise_suppression: self.noise_suppression };
        // The first run allocates, and proves that the graph answers as it should.
        ctc.window(&vec![0; self.manifest.rate_hz as usize], 0.0).map_err(|error| refused(error.to_string()))?;
        Ok(ctc)
    }
}

/// Holds the graph to the manifest.
fn check(session: &Session, manifest: &Manifest, tokens: usize) -> Result<(), String> {
    use TensorElementType::{Float32, Int64};
    let (input, output) = (&manifest.input, &manifest.output);
    let shape = match input.mel {
        Some(mel) => vec![1, mel.spectrum().bands as i64, -1],
        None => vec![1, -1],
    };
    expect(session.inputs(), "input", &input.name, Float32, &shape)?;
    if let Some(length) = &input.length {
        expect(session.inputs(), "input", length, Int64, &[1])?;
    }
    let known = |outlet: &Outlet| outlet.name() == input.name || input.length.as_deref() == Some(outlet.name());
    if let Some(other) = session.inputs().iter().find(|outlet| !known(outlet)) {
        return Err(format!("the graph has the input {}, of which {MANIFEST} says nothing", describe(other)));
    }
    expect(session.outputs(), "output", &output.name, Float32, &[1, -1, tokens as i64])
}

/// Looks for an input or output of this type; in `shape` and in the graph's -1 stands for any length.
fn expect(outlets: &[Outlet], what: &str, name: &str, ty: TensorElementType, shape: &[i64]) -> Result<(), String> {
    let all = || outlets.iter().map(describe).collect::<Vec<_>>().join(", ");
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        return Err(format!("the graph has no {what} {name}, which {MANIFEST} names; it has {}", all()));
    };
    let fits = match outlet.dtype() {
        ValueType::Tensor { ty: of, shape: found, .. } => {
            let same = found.iter().zip(shape).all(|(&found, &wanted)| found == -1 || found == wanted);
            *of == ty && found.len() == shape.len() && same
        }
        _ => false,
    };
    let wanted = format!("{name} {ty} {}", dimensions(shape));
    match fits {
        true => Ok(()),
        false => Err(format!("the graph has the {what} {}, {MANIFEST} makes it {wanted}", describe(outlet))),
    }
}

/// Such as `features f32 [1, 64, ?]`.
fn describe(outlet: &Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => format!("{} {ty} {}", outlet.name(), dimensions(shape)),
        other => format!("{} {other}", outlet.name()),
    }
}

fn dimensions(shape: &[i64]) -> String {
    let of = |&length: &i64| if length < 0 { "?".to_owned() } else { length.to_string() };
    format!("[{}]", shape.iter().map(of).collect::<Vec<_>>().join(", "))
}

/// A worker's recogniser.
pub struct Ctc {
    session: Session,
    threads: usize,
    mel: Option<Mel>,
    manifest: Manifest,
    tokens: Vec<String>,
    noise_suppression: bool,
}

impl Recognizer for Ctc {
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
        #[expect(clippy::disallowed_methods, reason = "measures the work of this thread")]
        let started = Instant::now();
        let known = job.languages.iter().copied().find(|language| self.manifest.languages.contains(language));
        let language = known.ok_or(SttError::NoLanguage)?;
        let mut segments = Vec::new();
        for window in windows(&job.pcm, job.rate_hz) {
            if job.cancel.is_cancelled() {
                return Err(SttError::Cancelled);
            }
            let start_s = window.start as f32 / job.rate_hz as f32;
            let pcm = self.heard(&window.pcm, job.rate_hz)?;
            let _cores = cores::take(self.threads);
            segments.extend(self.window(&pcm, start_s)?);
        }
        let text = segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
        let audio_s = job.pcm.len() as f32 / job.rate_hz as f32;
        let (caught, processing_s) = (Vec::new(), started.elapsed().as_secs_f32());
        Ok(Transcript { text, language, segments, caught, audio_s, processing_s })
    }
}

impl Ctc {
    /// The sound at the model's rate.
    fn heard(&self, pcm: &[i16], rate_hz: u32) -> Result<Vec<i16>, SttError> {
        if !self.noise_suppression {
            return Ok(resample(pcm, rate_hz, self.manifest.rate_hz)?);
        }
        let mut pcm = resample(pcm, rate_hz, noise::RATE_HZ)?;
        noise::suppress(&mut pcm);
        Ok(resample(&pcm, noise::RATE_HZ, self.manifest.rate_hz)?)
    }

    /// Recognises a sound at the model's rate that begins at `start_s`.
    fn window(&mut self, pcm: &[i16], start_s: f32) -> Result<Vec<Segment>, SttError> {
        let seconds = pcm.len() as f32 / self.manifest.rate_hz as f32;
        let sound: Vec<f32> = pcm.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
        let (input, shape) = match (&mut self.mel, self.manifest.input.mel) {
            (Some(mel), Some(settings)) => {
                let frames = mel.frames(sound.len());
                let mut power = mel.power(&sound, frames);
                power.iter_mut().for_each(|value| *value = value.max(settings.floor).ln());
                (power, vec![1, settings.spectrum().bands, frames])
            }
            _ => {
                let samples = sound.len();
                (sound, vec![1, samples])
            }
        };
        let length = shape.last().copied().unwrap_or(0);
        if length == 0 {
            return Ok(Vec::new());
        }
        let scores = self.run(&input, shape, length as i64).map_err(|error| SttError::Model(error.to_string()))?;
        let frames = scores.len() / self.tokens.len();
        let frame_s = seconds / frames.max(1) as f32;
        let spoken = decode::greedy(&scores, &self.tokens, self.manifest.tokens.blank, frame_s);
        Ok(decode::segments(&spoken, start_s))
    }

    /// A row of scores for each frame of the answer.
    fn run(&mut self, input: &[f32], shape: Vec<usize>, length: i64) -> ort::Result<Vec<f32>> {
        let lengths = [length];
        let names = &self.manifest.input;
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> =
            vec![(&names.name, TensorRef::from_array_view((shape, input))?.into())];
        if let Some(name) = &names.length {
            inputs.push((name, TensorRef::from_array_view(([1], &lengths[..]))?.into()));
        }
        let outputs = self.session.run(inputs)?;
        let name = self.manifest.output.name.as_str();
        let output = outputs.get(name).ok_or_else(|| ort::Error::new(format!("no output {name}")))?;
        let (shape, scores) = output.try_extract_tensor::<f32>()?;
        match shape[..] {
            [1, _, tokens] if tokens as usize == self.tokens.len() => Ok(scores.to_vec()),
            _ => Err(ort::Error::new(format!(
                "the output {name} is {}, expected [1, ?, {}]",
                dimensions(shape),
                self.tokens.len()
            ))),
        }
    }
}
