//! The real VAD, for calls in virtual time.

use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::vad::{Silero, Vad};

use super::speech::models;

/// Silero, which has heard nothing yet.
pub fn silero() -> Box<dyn Vad> {
    let runtime = OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap();
    Silero::load(&runtime, &models().join("silero_vad.onnx")).unwrap().start().unwrap()
}
