//! Voice activity: how likely the next 32 ms are speech, by Silero VAD v6 (MIT, github.com/snakers4/silero-vad).
//!
//! Left out: hysteresis and endpoints, which are turn taking's.

use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::value::TensorRef;

use super::onnx::{OnnxError, OnnxRuntime};

/// Samples in a frame: 32 ms at 8 kHz; the other rate of the model is 16 kHz, with twice as many.
pub const FRAME_LEN: usize = 256;
const WIDE_FRAME_LEN: usize = 2 * FRAME_LEN;

/// Of each frame the model sees the last eighth again before the next one: 4 ms.
const CONTEXT_PART: usize = 8;
const STATE_SHAPE: [usize; 3] = [2, 1, 128];
const STATE_LEN: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum VadError {
    #[error("voice activity: {0}")]
    Load(#[from] OnnxError),
    #[error("voice activity: the model gave no answer: {0}")]
    Run(#[from] ort::Error),
    /// The file is an ONNX model, but not this one.
    #[error("voice activity: {path} has not the inputs and outputs of Silero VAD v5 or v6: {reason}", path = .path.display())]
    WrongModel { path: PathBuf, reason: String },
}

/// Tells speech from other sound. Remembers what it has heard, so each direction of a call has its own.
pub trait Vad: Send {
    /// Probability of speech, 0..=1, in the next 32 ms: 256 samples are at 8 kHz, 512 at 16 kHz. One stream has one rate.
    ///
    /// # Errors
    /// When the model fails; the caller may go on with the next frame.
    fn probability(&mut self, frame: &[i16]) -> Result<f32, VadError>;
}

/// The model, checked and ready to be started for each call.
#[derive(Clone)]
pub struct Silero {
    runtime: OnnxRuntime,
    path: PathBuf,
}

impl Silero {
    /// # Errors
    /// When the file is missing, or is another model.
    pub fn load(runtime: &OnnxRuntime, path: &Path) -> Result<Self, VadError> {
        let silero = Self { runtime: runtime.clone(), path: path.to_owned() };
        let wrong = |reason: String| VadError::WrongModel { path: path.to_owned(), reason };
        for length in [FRAME_LEN, WIDE_FRAME_LEN] {
            let p = silero.open()?.probability(&[0; WIDE_FRAME_LEN][..length]).map_err(|e| wrong(e.to_string()))?;
            if !(0.0..=1.0).contains(&p) {
                return Err(wrong(format!("the probability of speech in silence is {p}")));
            }
        }
        Ok(silero)
    }

    /// A detector for one direction of a call.
    ///
    /// Each has its own session: a run needs it exclusively, and a lock shared by calls would stand in the way of packets.
    /// It takes about 40 ms and 10 MB to load, so not on the async executor.
    ///
    /// # Errors
    /// When the file has gone since [`load`](Self::load).
    pub fn start(&self) -> Result<Box<dyn Vad>, VadError> {
        Ok(Box::new(self.open()?))
    }

    fn open(&self) -> Result<SileroVad, VadError> {
        let session = self.runtime.session(&self.path, 1)?;
        Ok(SileroVad { session, state: [0.0; STATE_LEN], input: Vec::new() })
    }
}

/// One stream through Silero VAD.
pub struct SileroVad {
    session: Session,
    state: [f32; STATE_LEN],
    /// The end of the previous frame, then the frame.
    input: Vec<f32>,
}

impl Vad for SileroVad {
    fn probability(&mut self, frame: &[i16]) -> Result<f32, VadError> {
        let context = frame.len() / CONTEXT_PART;
        self.input.drain(..self.input.len().saturating_sub(context));
        self.input.resize(context, 0.0);
        self.input.extend(frame.iter().map(|&sample| f32::from(sample) / 32_768.0));
        let rate = [if frame.len() < WIDE_FRAME_LEN { 8_000_i64 } else { 16_000 }];
        let outputs = self.session.run(ort::inputs![
            "input" => TensorRef::from_array_view(([1, self.input.len()], &self.input[..]))?,
            "state" => TensorRef::from_array_view((STATE_SHAPE, &self.state[..]))?,
            "sr" => TensorRef::from_array_view(((), &rate[..]))?,
        ])?;
        let missing = |name: &str| ort::Error::new(format!("no output {name}"));
        let output = outputs.get("output").ok_or_else(|| missing("output"))?.try_extract_tensor::<f32>()?;
        let state = outputs.get("stateN").ok_or_else(|| missing("stateN"))?.try_extract_tensor::<f32>()?;
        for (to, &from) in self.state.iter_mut().zip(state.1) {
            *to = from;
        }
        Ok(output.1.first().copied().ok_or_else(|| missing("output[0]"))?)
    }
}
