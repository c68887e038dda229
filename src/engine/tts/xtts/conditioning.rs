//! What the model knows of a voice: latents in front of the text, and an embedding for the vocoder, both from recordings.

use ort::session::Session;
use ort::value::TensorRef;
use serde::{Deserialize, Serialize};

use super::manifest::Dimensions;
use super::resample::resample;
use crate::engine::mel::{FilterNorm, Mel, MelScale, MelSettings, Window};

/// The rate of what the conditioning encoder hears.
pub const RATE_HZ: u32 = 22_050;
/// The rate of what the speaker encoder hears.
const SPEAKER_HZ: u32 = 16_000;
const BANDS: usize = 80;
const SPEAKER_BANDS: usize = 64;
const LEAST_POWER: f32 = 1e-5;
const PREEMPHASIS: f32 = 0.97;
/// A piece shorter than this, in seconds, tells nothing of a voice.
const SHORTEST_PIECE_S: f32 = 0.33;

/// A voice as the model knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditioning {
    /// `cond_latents * model_dim` values.
    pub latents: Vec<f32>,
    /// `speaker_dim` values.
    pub speaker: Vec<f32>,
}

/// The two graphs that listen to a voice; they are needed once for each.
pub struct Encoders {
    pub conditioning: Session,
    pub speaker: Session,
    /// What each band is divided by, 80 values.
    pub mel_stats: Vec<f32>,
    pub dimensions: Dimensions,
}

impl Encoders {
    /// Listens to recordings of one voice at [`RATE_HZ`], from -1 to 1.
    ///
    /// # Errors
    /// When they are too short, or a graph answers something else than the manifest says.
    pub fn condition(&mut self, clips: &[Vec<f32>]) -> Result<Conditioning, String> {
        let Dimensions { gpt_cond_len_s, gpt_cond_chunk_len_s, max_ref_len_s, .. } = self.dimensions;
        let clips: Vec<&[f32]> = clips.iter().map(|clip| head(clip, max_ref_len_s)).collect();
        let whole = clips.concat();
        let shortest = (SHORTEST_PIECE_S * RATE_HZ as f32) as usize;
        let pieces = head(&whole, gpt_cond_len_s).chunks((gpt_cond_chunk_len_s * RATE_HZ) as usize);
        let latents = pieces.filter(|piece| piece.len() >= shortest).map(|piece| self.latents(piece));
        let latents = mean(latents.collect::<Result<_, _>>()?).ok_or("the recordings are shorter than 0.33 s")?;
        let speaker = mean(clips.iter().map(|clip| self.speaker(clip)).collect::<Result<_, _>>()?);
        Ok(Conditioning { latents, speaker: speaker.ok_or("there is no recording")? })
    }

    fn latents(&mut self, piece: &[f32]) -> Result<Vec<f32>, String> {
        let (mel, frames) = self.mel(piece);
        let Dimensions { cond_latents, model_dim, .. } = self.dimensions;
        let output = ("cond_latents", cond_latents * model_dim);
        run(&mut self.conditioning, "mel_spectrogram", &mel, BANDS, frames, output)
    }

    fn speaker(&mut self, clip: &[f32]) -> Result<Vec<f32>, String> {
        let (mel, frames) = speaker_mel(&resample(clip, RATE_HZ, SPEAKER_HZ));
        let output = ("speaker_embedding", self.dimensions.speaker_dim);
        run(&mut self.speaker, "mel_spec", &mel, SPEAKER_BANDS, frames, output)
    }

    /// The logarithm of the mel spectrum, each band divided by its usual size: band after band, and the number of frames.
    pub fn mel(&self, sound: &[f32]) -> (Vec<f32>, usize) {
        let settings = MelSettings {
            fft: 2_048,
            window: Window::Hann(1_024),
            hop: 256,
            bands: BANDS,
            scale: MelScale::Htk,
            filters: FilterNorm::Area,
            highest_hz: 8_000,
            centered: true,
        };
        let mut mel = Mel::new(settings, RATE_HZ);
        let frames = mel.frames(sound.len());
        let mut power = mel.power(sound, frames);
        for (band, usual) in power.chunks_mut(frames.max(1)).zip(&self.mel_stats) {
            band.iter_mut().for_each(|value| *value = value.max(LEAST_POWER).ln() / usual);
        }
        (power, frames)
    }
}

/// The power spectrum that the speaker encoder sees of a sound at 16 kHz; it takes the logarithm itself.
pub fn speaker_mel(sound: &[f32]) -> (Vec<f32>, usize) {
    let settings = MelSettings {
        fft: 512,
        window: Window::Hamming(400),
        hop: 160,
        bands: SPEAKER_BANDS,
        scale: MelScale::Htk,
        filters: FilterNorm::Height,
        highest_hz: SPEAKER_HZ / 2,
        centered: true,
    };
    // What is before the first sample is its mirror image.
    let before = sound.get(1).or(sound.first()).copied();
    let earlier = before.into_iter().chain(sound.iter().copied());
    let sharpened: Vec<f32> = sound.iter().zip(earlier).map(|(now, before)| now - PREEMPHASIS * before).collect();
    let mut mel = Mel::new(settings, SPEAKER_HZ);
    let frames = mel.frames(sharpened.len());
    (mel.power(&sharpened, frames), frames)
}

fn head(sound: &[f32], seconds: u32) -> &[f32] {
    sound.get(..(seconds * RATE_HZ) as usize).unwrap_or(sound)
}

fn mean(values: Vec<Vec<f32>>) -> Option<Vec<f32>> {
    let count = values.len() as f32;
    let sum = values.into_iter().reduce(|sum, values| sum.iter().zip(values).map(|(a, b)| a + b).collect())?;
    Some(sum.into_iter().map(|value| value / count).collect())
}

fn run(
    session: &mut Session,
    input: &str,
    mel: &[f32],
    bands: usize,
    frames: usize,
    (output, expected): (&str, usize),
) -> Result<Vec<f32>, String> {
    let mut run = || -> ort::Result<Vec<f32>> {
        let outputs = session.run(ort::inputs![input => TensorRef::from_array_view(([1, bands, frames], mel))?])?;
        let answer = outputs.get(output).ok_or_else(|| ort::Error::new(format!("no output {output}")))?;
        Ok(answer.try_extract_tensor::<f32>()?.1.to_vec())
    };
    let values = run().map_err(|error| error.to_string())?;
    match values.len() == expected {
        true => Ok(values),
        false => Err(format!("the output {output} has {} values, expected {expected}", values.len())),
    }
}
