//! A VAD for virtual time: loud is speech.

use secretary::engine::vad::{Vad, VadError};

pub struct Loudness;

impl Vad for Loudness {
    fn probability(&mut self, frame: &[i16]) -> Result<f32, VadError> {
        let loud = frame.iter().filter(|sample| sample.unsigned_abs() > 500).count();
        Ok(if loud > frame.len() / 4 { 0.9 } else { 0.05 })
    }
}
