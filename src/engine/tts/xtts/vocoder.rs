//! From latents to sound, piece by piece and exactly as at once.
//!
//! XTTS v2 brings its latents to the rate of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646) by two linear interpolations, and
//! then runs that over all of them. Here the interpolations are made at each frame's place in the whole utterance, and the
//! graph sees a window of frames with as many on either side as it looks at, whose sound is thrown away.

use std::path::Path;

use ort::session::{RunOptions, Session};
use ort::value::{TensorElementType, TensorRef};

use crate::engine::bundle::interface::{ANY, OPEN, expect};

/// Of what it says.
pub const RATE_HZ: u32 = 24_000;
/// Samples of one frame.
const HOP: usize = 256;
/// Frames of the first interpolation that one latent becomes.
const SPREAD: usize = 4;
/// From its frames to the vocoder's: the latents are 1024 samples at 22.05 kHz apart.
const RATIO: f64 = 24_000.0 / 22_050.0;
/// Frames on either side that a sample depends on; 10 make no difference any more, and the graph can look at 14.
const CONTEXT: usize = 14;

/// The graph that all utterances share.
pub struct Vocoder {
    session: Session,
}

/// What has been said of one utterance.
#[derive(Debug, Default)]
pub struct Utterance {
    /// Of `model_dim` values each.
    latents: Vec<f32>,
    /// Frames whose sound has been made.
    frames: usize,
}

impl Vocoder {
    /// # Errors
    /// When the graph is another one than the manifest says.
    pub fn new(session: Session, file: &Path, model_dim: usize, speaker_dim: usize) -> Result<Self, String> {
        let f32 = TensorElementType::Float32;
        let check = || {
            expect(session.inputs(), "input", "frames", f32, &[OPEN, model_dim as i64, OPEN])?;
            expect(session.inputs(), "input", "speaker_embedding", f32, &[OPEN, speaker_dim as i64, 1])?;
            expect(session.outputs(), "output", "waveform", f32, &[ANY, ANY, ANY])
        };
        check().map_err(|reason| format!("{} {reason}", file.display()))?;
        Ok(Self { session })
    }

    /// Takes the next latents of an utterance: the sound that is certain now, from -1 to 1 at [`RATE_HZ`]. `last` gives the
    /// rest of it.
    pub fn sound(
        &mut self,
        utterance: &mut Utterance,
        latents: &[f32],
        speaker: &[f32],
        dim: usize,
        last: bool,
        options: &RunOptions,
    ) -> ort::Result<Vec<f32>> {
        utterance.latents.extend_from_slice(latents);
        let count = utterance.latents.len() / dim;
        let total = if last { frames(count) } else { certain(count) };
        // What the graph sees on the right of the last frame must be certain too.
        let end = if last { total } else { total.saturating_sub(CONTEXT) };
        if end <= utterance.frames {
            return Ok(Vec::new());
        }
        let first = utterance.frames.saturating_sub(CONTEXT);
        let window = window(&utterance.latents, dim, first, total);
        let (frames, speaker) = (
            TensorRef::from_array_view(([1, dim, total - first], &*window))?,
            TensorRef::from_array_view(([1, speaker.len(), 1], speaker))?,
        );
        let inputs = ort::inputs!["frames" => frames, "speaker_embedding" => speaker];
        let outputs = self.session.run_with_options(inputs, options)?;
        let waveform = outputs.get("waveform").ok_or_else(|| ort::Error::new("no output waveform"))?;
        let (_, sound) = waveform.try_extract_tensor::<f32>()?;
        let made = (utterance.frames - first) * HOP..(end - first) * HOP;
        let sound = sound.get(made).ok_or_else(|| ort::Error::new("the waveform is too short for its frames"))?;
        utterance.frames = end;
        Ok(sound.to_vec())
    }
}

/// Frames of a whole utterance of so many latents.
fn frames(latents: usize) -> usize {
    ((latents * SPREAD) as f64 * RATIO) as usize
}

/// Frames that stay the same whatever follows so many latents.
fn certain(latents: usize) -> usize {
    // A place between two is certain when both are.
    let spread = latents.checked_sub(1).map_or(0, |last| last * SPREAD + SPREAD / 2);
    let place = |frame: usize| ((frame as f64 + 0.5) / RATIO - 0.5).max(0.0) as usize;
    (0..frames(latents)).rev().find(|&frame| place(frame) + 1 < spread).map_or(0, |frame| frame + 1)
}

/// The frames from `first` up to `end`, value after value: `dim * (end - first)` of them.
fn window(latents: &[f32], dim: usize, first: usize, end: usize) -> Vec<f32> {
    let count = latents.len() / dim;
    let mut window = vec![0.0; dim * (end - first)];
    for frame in first..end {
        let (a, b, weight) = between(frame, RATIO, count * SPREAD);
        let (a, b) = (between(a, SPREAD as f64, count), between(b, SPREAD as f64, count));
        for value in 0..dim {
            let at = |latent: usize| latents.get(latent * dim + value).copied().unwrap_or(0.0);
            let mix = |(from, to, weight): (usize, usize, f32)| at(from) * (1.0 - weight) + at(to) * weight;
            window[value * (end - first) + frame - first] = mix(a) * (1.0 - weight) + mix(b) * weight;
        }
    }
    window
}

/// Between which two of `count` values the `at`th of `scale` times as many lies, and how near the second: as torch's
/// `interpolate` with `align_corners = False`.
fn between(at: usize, scale: f64, count: usize) -> (usize, usize, f32) {
    let place = ((at as f64 + 0.5) / scale - 0.5).max(0.0);
    let from = (place as usize).min(count.saturating_sub(1));
    (from, (from + 1).min(count.saturating_sub(1)), (place - from as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latent_is_a_twentieth_of_a_second() {
        // docs of the graph: floor(N * 640 / 147) frames.
        for latents in [0, 1, 2, 7, 20, 57, 600] {
            assert_eq!(frames(latents), latents * 640 / 147);
        }
    }

    #[test]
    fn certain_frames_stay_as_they_are() {
        let dim = 3;
        let latents: Vec<f32> = (0..40 * dim).map(|n| (n as f32 * 0.7).sin()).collect();
        let whole = window(&latents, dim, 0, frames(40));
        for count in 1..40 {
            let certain = certain(count);
            let part = window(&latents[..count * dim], dim, 0, certain);
            for value in 0..dim {
                let of = |frames: &[f32], len: usize| frames[value * len..value * len + certain].to_vec();
                assert_eq!(of(&part, certain), of(&whole, frames(40)), "{count} latents, {certain} frames");
            }
            assert!(frames(count) - certain <= 6, "{count}: {certain} of {}", frames(count));
        }
    }
}
