//! What Smart Turn sees: the last 8 s as Whisper's log-mel spectrum (Radford et al. 2022, arXiv:2212.04356, §2.2), of a
//! sound first brought to mean 0 and variance 1, silence in front of a shorter one included.

use crate::engine::mel::{Mel, MelScale, MelSettings};

pub const RATE_HZ: u32 = 16_000;
pub const SECONDS: usize = 8;
pub const BANDS: usize = 80;
pub const FRAMES: usize = 800;

const SAMPLES: usize = SECONDS * RATE_HZ as usize;
/// What is added to the variance, so that silence is not divided by nothing.
const LEAST_VARIANCE: f64 = 1e-7;
const LEAST_POWER: f32 = 1e-10;
/// Whatever is so many powers of ten below the loudest is as soft as that.
const RANGE: f32 = 8.0;

pub struct Features {
    mel: Mel,
}

impl Features {
    pub fn new() -> Self {
        Self { mel: Mel::new(MelSettings::usual(400, 160, BANDS, MelScale::Slaney, true, RATE_HZ), RATE_HZ) }
    }

    /// [`BANDS`] rows of [`FRAMES`] values of a sound at [`RATE_HZ`], which ends where the sound does.
    pub fn of(&mut self, pcm: &[i16]) -> Vec<f32> {
        let heard = pcm.get(pcm.len().saturating_sub(SAMPLES)..).unwrap_or_default();
        let mut sound = vec![0.0; SAMPLES - heard.len()];
        sound.extend(heard.iter().map(|&sample| f32::from(sample) / 32_768.0));
        normalize(&mut sound);
        let mut features = self.mel.power(&sound, FRAMES);
        for value in &mut features {
            *value = value.max(LEAST_POWER).log10();
        }
        let loudest = features.iter().copied().fold(f32::MIN, f32::max);
        for value in &mut features {
            *value = (value.max(loudest - RANGE) + 4.0) / 4.0;
        }
        features
    }
}

fn normalize(sound: &mut [f32]) {
    let n = sound.len() as f64;
    let mean = sound.iter().map(|&s| f64::from(s)).sum::<f64>() / n;
    let variance = sound.iter().map(|&s| (f64::from(s) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + LEAST_VARIANCE).sqrt();
    for sample in sound {
        *sample = ((f64::from(*sample) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mel::tests::sound;

    #[test]
    fn features_are_those_of_whispers_extractor() {
        let golden = include_str!("../../../tests/data/mel/whisper.tsv");
        let mut features = Features::new();
        let mut spectra = std::collections::BTreeMap::new();
        let mut worst = 0_f32;
        let mut compared = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let mut number = || fields.next().unwrap().parse::<u32>().unwrap();
            let (samples, band, frame) = (number(), number() as usize, number() as usize);
            let expected: f32 = fields.next().unwrap().parse().unwrap();
            let spectrum = spectra.entry(samples).or_insert_with(|| features.of(&sound(samples)));
            let found = spectrum[band * FRAMES + frame];
            worst = worst.max((found - expected).abs());
            compared += 1;
            assert!(
                (found - expected).abs() < 2e-3,
                "{samples} samples, band {band}, frame {frame}: {found}, {expected}"
            );
        }
        println!("{compared} values differ by at most {worst}");
        assert!(compared > 500, "{compared}");
    }

    #[test]
    fn silence_has_features_too() {
        for samples in [0, 128_000] {
            let features = Features::new().of(&vec![0; samples]);
            assert_eq!(features.len(), BANDS * FRAMES);
            assert!(features.iter().all(|f| f.is_finite() && f.abs() < 10.0));
        }
    }
}
