//! What a graph is shown of an utterance that it sees at once: the sound, or the logarithm of its mel spectrum.

use ort::session::SessionInputValue;
use ort::value::{TensorElementType, TensorRef};

use super::graph::{Answer, Graph};
use super::manifest::Input;
use crate::engine::bundle::interface::OPEN;
use crate::engine::mel::Mel;

pub struct Front {
    input: Input,
    mel: Option<Mel>,
}

impl Front {
    pub fn new(input: &Input, rate_hz: u32) -> Self {
        Self { input: input.clone(), mel: input.mel.map(|mel| Mel::new(mel.spectrum(rate_hz), rate_hz)) }
    }

    /// The inputs that the graph is to have for it.
    pub fn inputs(&self) -> Vec<(&str, TensorElementType, Vec<i64>)> {
        let shape = match self.input.mel {
            Some(mel) => vec![1, mel.bands as i64, OPEN],
            None => vec![1, OPEN],
        };
        let mut inputs = vec![(self.input.name.as_str(), TensorElementType::Float32, shape)];
        inputs.extend(self.input.length.as_deref().map(|length| (length, TensorElementType::Int64, vec![1])));
        inputs
    }

    /// Shows a sound to a graph; `None` if it is too short for a single frame.
    pub fn show(&mut self, pcm: &[i16], graph: &mut Graph) -> ort::Result<Option<Answer>> {
        let sound: Vec<f32> = pcm.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
        let (values, shape, length) = match (&mut self.mel, self.input.mel) {
            (Some(mel), Some(settings)) => {
                let frames = mel.frames(sound.len());
                let mut power = mel.power(&sound, frames);
                power.iter_mut().for_each(|value| *value = value.max(settings.floor).ln());
                (power, vec![1, settings.bands, frames], frames)
            }
            _ => {
                let samples = sound.len();
                (sound, vec![1, samples], samples)
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let lengths = [length as i64];
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> =
            vec![(&self.input.name, TensorRef::from_array_view((shape, &values[..]))?.into())];
        if let Some(name) = &self.input.length {
            inputs.push((name, TensorRef::from_array_view(([1], &lengths[..]))?.into()));
        }
        graph.run(inputs).map(Some)
    }
}
