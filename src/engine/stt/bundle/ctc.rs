//! Connectionist temporal classification: one graph that scores each token in each frame, decoded greedily (Graves et al.
//! 2006, §3.2): the likeliest token of each frame, repeats and blanks taken out.
//!
//! The graph sees an utterance at once, or in pieces with a state that goes from one to the next. Left out: a beam and a
//! language model.

use ort::value::{TensorElementType, TensorRef};

use super::front::Front;
use super::graph::{Graph, Interface};
use super::manifest::{self, Stream};
use super::words::Spoken;
use super::{Bundle, Model, SttError, Taken, likeliest, stop_if};
use crate::engine::Cancel;
use crate::engine::bundle::interface::ANY;

pub struct Ctc {
    view: View,
    graph: Graph,
    rate_hz: u32,
    tokens: usize,
    blank: usize,
}

/// What the graph is shown at a time.
enum View {
    Whole(Front),
    Pieces { input: String, stream: Stream },
}

impl Ctc {
    /// # Errors
    /// What differs between the graph and the manifest.
    pub fn load(bundle: &Bundle, kind: &manifest::Ctc) -> Result<Self, String> {
        let (manifest, tokens) = (&bundle.manifest, bundle.tokens.len());
        let view = match &kind.stream {
            Some(stream) => View::Pieces { input: manifest.input.name.clone(), stream: stream.clone() },
            None => View::Whole(Front::new(&manifest.input, manifest.rate_hz)),
        };
        let (inputs, state) = match &view {
            View::Whole(front) => (front.inputs(), &[][..]),
            View::Pieces { input, stream } => {
                (vec![(&**input, TensorElementType::Int32, vec![1, stream.samples as i64, 1])], &stream.state[..])
            }
        };
        let output = (&*kind.output.name, vec![1, ANY, tokens as i64]);
        let graph = bundle.graph(&kind.graph.file, bundle.threads, &Interface { inputs, output, state })?;
        Ok(Self { view, graph, rate_hz: manifest.rate_hz, tokens, blank: manifest.tokens.blank })
    }
}

impl Model for Ctc {
    /// A graph has use for all cores to its end.
    fn spoken(&mut self, pcm: &[i16], _: &mut Taken<'_>, cancel: &Cancel) -> Result<Vec<Spoken>, SttError> {
        let Self { view, graph, rate_hz, tokens, blank } = self;
        let seconds = |samples: usize| samples as f32 / *rate_hz as f32;
        let (scores, seen_s, late_s) = match view {
            View::Whole(front) => {
                let answer = front.show(pcm, graph)?;
                (answer.map(|answer| answer.values).unwrap_or_default(), seconds(pcm.len()), 0.0)
            }
            View::Pieces { input, stream } => {
                let heard = with_silence(pcm, stream.samples);
                graph.reset()?;
                let scores = in_pieces(&heard, stream.samples, cancel, |samples| {
                    let samples = TensorRef::from_array_view(([1, samples.len(), 1], samples))?;
                    Ok(graph.run(vec![(input.as_str(), samples.into())])?.values)
                })?;
                (scores, seconds(heard.len()), seconds(stream.samples) + stream.delay_s)
            }
        };
        let frame_s = seen_s / (scores.len() / *tokens).max(1) as f32;
        let mut spoken = greedy(&scores, *tokens, *blank, frame_s);
        for Spoken { start_s, end_s, .. } in &mut spoken {
            *start_s = (*start_s - late_s).clamp(0.0, seconds(pcm.len()));
            *end_s = (*end_s - late_s).clamp(0.0, seconds(pcm.len()));
        }
        Ok(spoken)
    }
}

/// A sound with a piece of silence before it, which such graphs are trained with, and behind it at least one, after which what
/// a graph says late has been said.
fn with_silence(pcm: &[i16], piece: usize) -> Vec<i32> {
    let mut heard = vec![0; piece];
    heard.extend(pcm.iter().map(|&sample| i32::from(sample)));
    heard.resize((heard.len() + piece).next_multiple_of(piece), 0);
    heard
}

/// The scores of a sound, which `run` tells of a piece.
fn in_pieces(
    sound: &[i32],
    piece: usize,
    cancel: &Cancel,
    mut run: impl FnMut(&[i32]) -> Result<Vec<f32>, SttError>,
) -> Result<Vec<f32>, SttError> {
    let mut scores = Vec::new();
    for samples in sound.chunks_exact(piece) {
        stop_if(cancel)?;
        scores.extend(run(samples)?);
    }
    Ok(scores)
}

/// The tokens in `scores`, a row of `tokens` values for each frame of `frame_s` seconds.
fn greedy(scores: &[f32], tokens: usize, blank: usize, frame_s: f32) -> Vec<Spoken> {
    let mut spoken: Vec<Spoken> = Vec::new();
    let mut last = blank;
    for (frame, row) in scores.chunks_exact(tokens.max(1)).enumerate() {
        let token = likeliest(row).unwrap_or(blank);
        let (start_s, end_s) = (frame as f32 * frame_s, (frame + 1) as f32 * frame_s);
        match spoken.last_mut() {
            _ if token == blank => {}
            Some(before) if token == last => before.end_s = end_s,
            _ => spoken.push(Spoken { token, start_s, end_s }),
        }
        last = token;
    }
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame of 0.1 s for each digit, 3 being the blank.
    fn decode(frames: &str) -> Vec<Spoken> {
        let token = |digit: char| digit.to_digit(10).unwrap() as usize;
        let row = |digit| (0..4).map(move |token_| if token_ == token(digit) { -0.1 } else { -3.0 });
        greedy(&frames.chars().flat_map(row).collect::<Vec<_>>(), 4, 3, 0.1)
    }

    #[test]
    fn repeats_are_one_token_unless_a_blank_stands_between_them() {
        for (frames, tokens) in [
            ("00112", &[0, 1, 2][..]),
            ("0113122", &[0, 1, 1, 2]),
            ("33033", &[0]),
            ("030", &[0, 0]),
            ("333", &[]),
            ("", &[]),
        ] {
            let spoken = decode(frames);
            assert_eq!(spoken.iter().map(|spoken| spoken.token).collect::<Vec<_>>(), tokens, "{frames}");
        }
    }

    #[test]
    fn a_token_lasts_as_long_as_its_frames() {
        let spoken = decode("3300031");
        println!("{spoken:?}");
        for (found, expected) in spoken.iter().zip([(0, 0.2, 0.5), (1, 0.6, 0.7)]) {
            assert_eq!(found.token, expected.0);
            assert!((found.start_s - expected.1).abs() < 1e-3 && (found.end_s - expected.2).abs() < 1e-3);
        }
        assert_eq!(spoken.len(), 2);
    }

    #[test]
    fn a_sound_in_pieces_is_between_silence() {
        let of = |samples: &[i16]| with_silence(samples, 3);
        assert_eq!(of(&[]), [0; 6]);
        assert_eq!(of(&[1, 2, 3]), [0, 0, 0, 1, 2, 3, 0, 0, 0]);
        assert_eq!(of(&[1, 2, 3, 4]), [0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn no_piece_of_a_cancelled_sound_follows() {
        let (cancel, mut pieces) = (Cancel::default(), 0);
        let result = in_pieces(&[0; 30], 3, &cancel, |_| {
            pieces += 1;
            if pieces == 4 {
                cancel.cancel();
            }
            Ok(Vec::new())
        });
        assert!(matches!(result, Err(SttError::Cancelled)), "{result:?}");
        assert_eq!(pieces, 4);
    }
}
