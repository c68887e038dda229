//! A transducer (Graves 2012), decoded greedily: the encoder hears the sound, the predictor has read the tokens so far, and the
//! joiner says which token is next in a frame, or that none is.
//!
//! Left out: a beam; a predictor without a state that reads several tokens; tokens that last several frames (TDT).

use ort::value::{TensorElementType, TensorRef};

use super::front::Front;
use super::graph::{Answer, Graph, Interface};
use super::manifest;
use super::words::Spoken;
use super::{Bundle, Model, SttError, Taken, likeliest, stop_if};
use crate::engine::Cancel;
use crate::engine::bundle::interface::ANY;

/// No more tokens than this are in a frame, or one that the joiner never ends would hold the worker.
const TOKENS_PER_FRAME: usize = 3;

pub struct Transducer {
    front: Front,
    encoder: Graph,
    predictor: Graph,
    joiner: Graph,
    names: manifest::Transducer,
    rate_hz: u32,
    blank: usize,
}

impl Transducer {
    /// # Errors
    /// What differs between the graphs and the manifest, or between two graphs.
    pub fn load(bundle: &Bundle, names: &manifest::Transducer) -> Result<Self, String> {
        use TensorElementType::{Float32, Int64};
        let manifest::Transducer { encoder, predictor, joiner } = names;
        let (manifest, tokens) = (&bundle.manifest, bundle.tokens.len() as i64);
        let inputs = vec![(&*joiner.encoder, Float32, vec![1, ANY, 1]), (&*joiner.predictor, Float32, vec![1, ANY, 1])];
        let output = (&*joiner.output, vec![1, 1, 1, tokens]);
        // One token is little to compute: more threads than one would only meet.
        let joiner_graph = bundle.graph(&joiner.file, 1, &Interface { inputs, output, state: &[] })?;
        let (heard, read) = (joiner_graph.length(&joiner.encoder, 1), joiner_graph.length(&joiner.predictor, 1));
        let inputs = vec![(&*predictor.token, Int64, vec![1, 1])];
        let output = (&*predictor.output, vec![1, 1, read]);
        let predictor_graph =
            bundle.graph(&predictor.file, 1, &Interface { inputs, output, state: &predictor.state })?;
        let front = Front::new(&manifest.input, manifest.rate_hz);
        let (inputs, output) = (front.inputs(), (&*encoder.output, vec![1, heard, ANY]));
        let encoder_graph = bundle.graph(&encoder.file, bundle.threads, &Interface { inputs, output, state: &[] })?;
        Ok(Self {
            front,
            encoder: encoder_graph,
            predictor: predictor_graph,
            joiner: joiner_graph,
            names: names.clone(),
            rate_hz: manifest.rate_hz,
            blank: manifest.tokens.blank,
        })
    }

    /// Gives the predictor one more token.
    fn read(&mut self, token: usize) -> ort::Result<Vec<f32>> {
        let token = [token as i64];
        let token = TensorRef::from_array_view(([1, 1], &token[..]))?;
        Ok(self.predictor.run(vec![(&self.names.predictor.token, token.into())])?.values)
    }

    fn next(&mut self, heard: &[f32], read: &[f32]) -> ort::Result<usize> {
        let names = &self.names.joiner;
        let heard = TensorRef::from_array_view(([1, heard.len(), 1], heard))?;
        let read = TensorRef::from_array_view(([1, read.len(), 1], read))?;
        let scores = self.joiner.run(vec![(&names.encoder, heard.into()), (&names.predictor, read.into())])?.values;
        Ok(likeliest(&scores).unwrap_or(self.blank))
    }
}

impl Model for Transducer {
    /// A token's place is the frame in which it was certain.
    fn spoken(&mut self, pcm: &[i16], cores: &mut Taken<'_>, cancel: &Cancel) -> Result<Vec<Spoken>, SttError> {
        let Some(Answer { shape, values: heard }) = self.front.show(pcm, &mut self.encoder)? else {
            return Ok(Vec::new());
        };
        // The other graphs have a thread each.
        cores.keep_one();
        let frames = shape.last().map_or(0, |&frames| frames as usize);
        let frame_s = pcm.len() as f32 / self.rate_hz as f32 / frames.max(1) as f32;
        let blank = self.blank;
        self.predictor.reset()?;
        let mut read = self.read(blank)?;
        let tokens = greedy(frames, blank, cancel, |frame| {
            // Values stand one axis after the other: a frame is in every row of the encoder's answer.
            let heard: Vec<f32> = heard.iter().skip(frame).step_by(frames).copied().collect();
            let token = self.next(&heard, &read)?;
            if token != blank {
                read = self.read(token)?;
            }
            Ok(token)
        })?;
        let seconds = |frame: usize| frame as f32 * frame_s;
        let spoken = |(frame, token)| Spoken { token, start_s: seconds(frame), end_s: seconds(frame + 1) };
        Ok(tokens.into_iter().map(spoken).collect())
    }
}

/// Frames and their tokens, where `next` tells the next token in a frame.
fn greedy(
    frames: usize,
    blank: usize,
    cancel: &Cancel,
    mut next: impl FnMut(usize) -> Result<usize, SttError>,
) -> Result<Vec<(usize, usize)>, SttError> {
    let mut tokens = Vec::new();
    for frame in 0..frames {
        for _ in 0..TOKENS_PER_FRAME {
            stop_if(cancel)?;
            let token = next(frame)?;
            if token == blank {
                break;
            }
            tokens.push((frame, token));
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_of_a_cancelled_sound_follows() {
        let (cancel, mut asked) = (Cancel::default(), 0);
        let result = greedy(9, 0, &cancel, |_| {
            asked += 1;
            if asked == 5 {
                cancel.cancel();
            }
            Ok(asked % 2)
        });
        assert!(matches!(result, Err(SttError::Cancelled)), "{result:?}");
        assert_eq!(asked, 5);
    }
}
