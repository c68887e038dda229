//! Mel spectra of whole recordings: what models of speech see instead of the sound.
//!
//! Left out: the logarithm and what follows it, of which each model has its own; streaming.

use std::f32::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use serde::Deserialize;

/// How a spectrum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MelSettings {
    /// Points of the transform; at least 2.
    pub fft: usize,
    pub window: Window,
    /// Samples from one frame to the next; at least 1.
    pub hop: usize,
    /// Mel filters, which share what is below `highest_hz`; at least 1.
    pub bands: usize,
    pub scale: MelScale,
    pub filters: FilterNorm,
    /// At most half of the rate.
    pub highest_hz: u32,
    /// Whether the first frame is centred on the first sample, the sound being mirrored at both ends. Else it begins there.
    pub centered: bool,
}

/// What a frame is cut with, in the middle of the transform's points. Both are periodic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So many samples, at most as many as the transform has points.
    Hann(usize),
    Hamming(usize),
}

/// Where the filters lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelScale {
    /// Slaney's Auditory Toolbox (1998): linear up to 1 kHz, logarithmic above.
    Slaney,
    /// HTK's 2595 log10(1 + f / 700).
    Htk,
}

/// How high the filters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterNorm {
    /// Each has the area 1, in Hz.
    Area,
    /// Each has the height 1.
    Height,
}

impl MelSettings {
    /// As is usual with the scale: a Hann window as long as the transform, filters up to half of the rate, with the area 1 on
    /// Slaney's scale and the height 1 on HTK's.
    pub fn usual(fft: usize, hop: usize, bands: usize, scale: MelScale, centered: bool, rate_hz: u32) -> Self {
        let filters = match scale {
            MelScale::Slaney => FilterNorm::Area,
            MelScale::Htk => FilterNorm::Height,
        };
        Self { fft, window: Window::Hann(fft), hop, bands, scale, filters, highest_hz: rate_hz / 2, centered }
    }
}

impl Window {
    fn weights(self, fft: usize) -> Vec<f32> {
        let (len, base) = match self {
            Window::Hann(len) => (len.min(fft), 0.5),
            Window::Hamming(len) => (len.min(fft), 0.54),
        };
        let mut weights = vec![0.0; fft];
        for (n, weight) in weights.iter_mut().skip((fft - len) / 2).take(len).enumerate() {
            *weight = base - (1.0 - base) * (TAU * n as f32 / len as f32).cos();
        }
        weights
    }
}

/// Computes the spectra of sounds of one rate.
pub struct Mel {
    settings: MelSettings,
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

/// The weights of one band for the bins from `first` on.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl Mel {
    pub fn new(settings: MelSettings, rate_hz: u32) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(settings.fft);
        let window = settings.window.weights(settings.fft);
        let (frame, spectrum, scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        Self { settings, window, filters: filters(settings, rate_hz), fft, frame, spectrum, scratch }
    }

    /// How many frames a sound of so many samples has.
    pub fn frames(&self, samples: usize) -> usize {
        let MelSettings { fft, hop, centered, .. } = self.settings;
        match centered {
            _ if samples == 0 => 0,
            true => samples / hop + 1,
            false => samples.checked_sub(fft).map_or(0, |rest| rest / hop + 1),
        }
    }

    /// The power in each band of the first `frames` frames, band after band: `bands * frames` values, 0 or more. Beyond
    /// the sound there is silence.
    pub fn power(&mut self, sound: &[f32], frames: usize) -> Vec<f32> {
        let MelSettings { fft, hop, bands, centered, .. } = self.settings;
        let before = if centered { fft / 2 } else { 0 };
        let mut power = vec![0.0; bands * frames];
        for n in 0..frames {
            let start = n * hop;
            for (i, (to, window)) in self.frame.iter_mut().zip(&self.window).enumerate() {
                *to = sample(sound, start + i, before) * window;
            }
            // It fails only for buffers of another length, and the plan made these.
            if self.fft.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch).is_err() {
                break;
            }
            for (band, filter) in self.filters.iter().enumerate() {
                let bins = self.spectrum.iter().skip(filter.first).zip(&filter.weights);
                power[band * frames + n] = bins.map(|(bin, weight)| bin.norm_sqr() * weight).sum();
            }
        }
        power
    }
}

/// The sample at `at` of a sound with `before` samples in front of it and as many behind, mirrored at its ends.
fn sample(sound: &[f32], at: usize, before: usize) -> f32 {
    let index = at.abs_diff(before);
    let mirrored = match sound.len().checked_sub(1) {
        Some(last) if index > last && before > 0 && index - last <= before => last.checked_sub(index - last),
        _ => Some(index),
    };
    mirrored.and_then(|index| sound.get(index)).copied().unwrap_or(0.0)
}

fn filters(settings: MelSettings, rate_hz: u32) -> Vec<Filter> {
    let MelSettings { fft, bands, scale, .. } = settings;
    let bins = fft / 2 + 1;
    let highest = scale.mel(f64::from(settings.highest_hz));
    let edge = |n: usize| scale.hz(highest * n as f64 / (bands + 1) as f64);
    let bin_hz = f64::from(rate_hz) / fft as f64;
    let filter = |band: usize| {
        let (low, peak, high) = (edge(band), edge(band + 1), edge(band + 2));
        let height = match settings.filters {
            FilterNorm::Area => 2.0 / (high - low),
            FilterNorm::Height => 1.0,
        };
        let weight = |bin: usize| {
            let hz = bin as f64 * bin_hz;
            (((hz - low) / (peak - low)).min((high - hz) / (high - peak)).max(0.0) * height) as f32
        };
        let first = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(bins);
        Filter { first, weights: (first..bins).map(weight).take_while(|&w| w > 0.0).collect() }
    };
    (0..bands).map(filter).collect()
}

/// Slaney's scale: mels per Hz below the break, the break, and the step above it.
const LINEAR: f64 = 3.0 / 200.0;
const BREAK_HZ: f64 = 1_000.0;
const BREAK_MEL: f64 = BREAK_HZ * LINEAR;
/// 27 mels from the break to 6.4 kHz.
const OCTAVES: (f64, f64) = (6.4, 27.0);

impl MelScale {
    fn mel(self, hz: f64) -> f64 {
        match self {
            MelScale::Slaney if hz < BREAK_HZ => hz * LINEAR,
            MelScale::Slaney => BREAK_MEL + (hz / BREAK_HZ).ln() * OCTAVES.1 / OCTAVES.0.ln(),
            MelScale::Htk => 2_595.0 * (1.0 + hz / 700.0).log10(),
        }
    }

    fn hz(self, mel: f64) -> f64 {
        match self {
            MelScale::Slaney if mel < BREAK_MEL => mel / LINEAR,
            MelScale::Slaney => BREAK_HZ * ((mel - BREAK_MEL) * OCTAVES.0.ln() / OCTAVES.1).exp(),
            MelScale::Htk => 700.0 * (10f64.powf(mel / 2_595.0) - 1.0),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn htk() -> MelSettings {
        MelSettings::usual(320, 160, 64, MelScale::Htk, false, 16_000)
    }

    fn slaney() -> MelSettings {
        MelSettings::usual(400, 160, 80, MelScale::Slaney, true, 16_000)
    }

    /// The sound of tests/data/mel/make.py.
    pub fn sound(samples: u32) -> Vec<i16> {
        let mut state = 1_u32;
        let samples = (0..samples).map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = i64::from(state >> 20) - 2_048;
            let triangle = (i64::from(n) * 37 % 2_000 - 1_000).abs() * 12 - 6_000;
            let loudness = i64::from(n) % 16_000;
            ((noise + triangle) * loudness / 16_000) as i16
        });
        samples.collect()
    }

    fn tone(hz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (TAU * hz * n as f32 / 16_000.0).sin()).collect()
    }

    #[test]
    fn a_tone_is_loudest_in_the_band_around_it() {
        for settings in [htk(), slaney()] {
            for hz in [300.0, 1_000.0, 3_400.0] {
                let mut mel = Mel::new(settings, 16_000);
                let power = mel.power(&tone(hz, 16_000), 50);
                let loudest = (0..settings.bands).max_by(|&a, &b| power[a * 50 + 25].total_cmp(&power[b * 50 + 25]));
                let edge = |n: usize| {
                    let highest = settings.scale.mel(8_000.0);
                    settings.scale.hz(highest * n as f64 / (settings.bands + 1) as f64) as f32
                };
                let band = loudest.unwrap();
                println!("{settings:?} {hz} Hz: band {band}, {}–{} Hz", edge(band), edge(band + 2));
                assert!((edge(band)..edge(band + 2)).contains(&hz));
            }
        }
    }

    #[test]
    fn a_spectrum_on_htks_scale_is_as_elsewhere() {
        let golden = include_str!("../../tests/data/mel/htk.tsv");
        let heard: Vec<f32> = sound(16_000).iter().map(|&s| f32::from(s) / 32_768.0).collect();
        let mut mel = Mel::new(htk(), 16_000);
        let frames = mel.frames(heard.len());
        let power = mel.power(&heard, frames);
        let mut compared = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let (band, frame): (usize, usize) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
            let (expected, found) = (fields[2].parse::<f32>().unwrap(), power[band * frames + frame].max(1e-9).ln());
            assert!((found - expected).abs() < 2e-3, "band {band}, frame {frame}: {found}, {expected}");
            compared += 1;
        }
        assert!(compared > 300, "{compared}");
    }

    #[test]
    fn frames_are_counted_with_and_without_the_mirrored_ends() {
        let (whole, centered) = (Mel::new(htk(), 16_000), Mel::new(slaney(), 16_000));
        assert_eq!([0, 319, 320, 479, 480].map(|n| whole.frames(n)), [0, 0, 1, 1, 2]);
        assert_eq!([0, 1, 160, 128_000].map(|n| centered.frames(n)), [0, 1, 2, 801]);
    }

    #[test]
    fn a_mirrored_end_has_no_edge_that_rings() {
        // A cosine is its own mirror image: only with the ends mirrored has its first frame the power of the others.
        let cosine: Vec<f32> = (0..1_601).map(|n| (TAU * n as f32 / 16.0).cos()).collect();
        let mut mel = Mel::new(slaney(), 16_000);
        let frames = mel.frames(cosine.len());
        let power = mel.power(&cosine, frames);
        let total = |n: usize| (0..80).map(|band| power[band * frames + n]).sum::<f32>();
        for n in [0, frames - 1] {
            assert!((total(n) / total(5) - 1.0).abs() < 1e-3, "{n}: {} of {}", total(n), total(5));
        }
    }

    #[test]
    fn a_sound_shorter_than_a_frame_is_no_trouble() {
        for samples in [0, 1, 5] {
            let power = Mel::new(slaney(), 16_000).power(&vec![0.5; samples], 3);
            assert!(power.len() == 240 && power.iter().all(|p| p.is_finite()));
        }
    }
}
