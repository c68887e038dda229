//! Resampling as the model was trained with it: torchaudio's `resample` with its defaults, a sinc under a Hann window of six
//! zero crossings on either side, cut off at 0.99 of half the lower rate.
//!
//! The wire has a resampler of its own (`rtp/codec/resample.rs`), which is better; here only the same is right.

use std::f64::consts::PI;

const ZERO_CROSSINGS: f64 = 6.0;
const ROLLOFF: f64 = 0.99;

/// The sound at another rate. Both rates are in Hz and at least 1.
pub fn resample(sound: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
    if from_hz == to_hz {
        return sound.to_vec();
    }
    let common = greatest_common_divisor(from_hz, to_hz);
    let (from, to) = (i64::from(from_hz / common), i64::from(to_hz / common));
    let cutoff = from.min(to) as f64 * ROLLOFF;
    let width = (ZERO_CROSSINGS * from as f64 / cutoff).ceil() as i64;
    let taps = 2 * width + from;
    let kernels: Vec<f32> = (0..to)
        .flat_map(|phase| (0..taps).map(move |tap| (phase, tap)))
        .map(|(phase, tap)| {
            let t = (-phase as f64 / to as f64 + (tap - width) as f64 / from as f64) * cutoff;
            let t = t.clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS);
            let window = (t * PI / ZERO_CROSSINGS / 2.0).cos().powi(2);
            let sinc = if t == 0.0 { 1.0 } else { (t * PI).sin() / (t * PI) };
            (sinc * window * cutoff / from as f64) as f32
        })
        .collect();
    let length = (sound.len() as u64 * to as u64).div_ceil(from as u64) as usize;
    (0..length as i64)
        .map(|n| {
            let (block, phase) = (n / to, n % to);
            let kernel = kernels.iter().skip((phase * taps) as usize).take(taps as usize);
            let first = block * from - width;
            let ahead = usize::try_from(-first).unwrap_or(0);
            let heard = sound.iter().skip(usize::try_from(first).unwrap_or(0));
            kernel.skip(ahead).zip(heard).map(|(weight, sample)| weight * sample).sum()
        })
        .collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_pitch_and_what_is_too_high_goes() {
        let tone = |hz: f64, rate: u32| -> Vec<f32> {
            (0..rate).map(|n| (2.0 * PI * hz * f64::from(n) / f64::from(rate)).sin() as f32).collect()
        };
        for (from, to) in [(22_050, 16_000), (8_000, 22_050), (44_100, 22_050), (24_000, 22_050)] {
            let heard = resample(&tone(1_000.0, from), from, to);
            assert_eq!(heard.len(), to as usize);
            let expected = tone(1_000.0, to);
            let middle = to as usize / 4..to as usize / 2;
            let error = middle.map(|n| (heard[n] - expected[n]).abs()).fold(0.0, f32::max);
            assert!(error < 0.02, "{from} to {to}: {error}");
        }
        let gone = resample(&tone(10_000.0, 44_100), 44_100, 16_000);
        assert!(gone[1_000..15_000].iter().all(|sample| sample.abs() < 0.02));
    }

    #[test]
    fn odd_lengths_do_no_harm() {
        for len in [0, 1, 7] {
            assert_eq!(resample(&vec![0.5; len], 22_050, 16_000).len(), (len * 320).div_ceil(441));
        }
        assert_eq!(resample(&[0.25, 0.5], 8_000, 8_000), [0.25, 0.5]);
    }
}
