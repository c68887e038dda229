//! Sample rate conversion of mono speech: the wire's 8 kHz, the models' 16 kHz, the voices' 22.05 and 24 kHz.
//!
//! Band-limited interpolation by rubato's windowed sinc, which takes any ratio with one bounded latency; its FFT
//! resampler needs blocks of `rate / gcd`, a whole second for awkward pairs. Output is aligned with the input: sample
//! `n` of the output is the instant `n / to_hz` of the input, so timelines survive the conversion.
//!
//! Left out: more than one channel, changing the ratio on the way (clock drift is the jitter buffer's to handle).

use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction};

/// The sampling rates that can be converted, in Hz.
pub const RATES_HZ: RangeInclusive<u32> = 4_000..=192_000;

/// Filter length in samples of the lower rate. Half of it is the delay of the conversion: 8 ms at 8 kHz.
const FILTER_LEN: usize = 128;
/// Blocks per second in which rubato is fed: 5 ms each, so that streaming adds no more than that to the delay.
const BLOCKS_PER_S: u32 = 200;

/// Why no resampler could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// A rate outside [`RATES_HZ`].
    #[error("resample {from_hz} Hz to {to_hz} Hz: both rates must be from 4000 to 192000 Hz")]
    RateOutOfRange { from_hz: u32, to_hz: u32 },
    /// The library refused the parameters.
    #[error("resample {from_hz} Hz to {to_hz} Hz: {reason}")]
    Refused { from_hz: u32, to_hz: u32, reason: String },
}

/// Converts one mono stream, given in chunks of any size, from one rate to another.
///
/// How the input is cut into chunks does not change the output. Output comes as soon as it can be computed: 64 samples
/// of the lower rate and up to 5 ms after its input. After [`finish`](Self::finish), as many samples have come out as
/// the input lasts: `round(n * to_hz / from_hz)`.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    /// `None` when both rates are the same: samples pass through unchanged.
    sinc: Option<Sinc>,
}

impl Resampler {
    /// # Errors
    /// [`ResampleError`] when a rate is outside [`RATES_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        if !RATES_HZ.contains(&from_hz) || !RATES_HZ.contains(&to_hz) {
            return Err(ResampleError::RateOutOfRange { from_hz, to_hz });
        }
        let sinc = if from_hz == to_hz { None } else { Some(Sinc::new(from_hz, to_hz)?) };
        Ok(Self { from_hz, to_hz, sinc })
    }

    /// Takes the next samples of the input and returns what output is ready, which may be nothing.
    pub fn process(&mut self, pcm: &[i16]) -> Vec<i16> {
        match &mut self.sinc {
            None => pcm.to_vec(),
            Some(sinc) => {
                sinc.consumed += pcm.len() as u64;
                sinc.pending.extend(pcm.iter().map(|&s| f32::from(s)));
                sinc.run()
            }
        }
    }

    /// Ends the input: returns the rest of the output and makes the resampler ready for another stream.
    pub fn finish(&mut self) -> Vec<i16> {
        let Some(sinc) = &mut self.sinc else { return Vec::new() };
        let (from, to) = (u64::from(self.from_hz), u64::from(self.to_hz));
        let total = (sinc.consumed * to + from / 2) / from;
        let missing = usize::try_from(total.saturating_sub(sinc.emitted)).unwrap_or(usize::MAX);
        let mut rest = Vec::new();
        while rest.len() < missing {
            let silence = sinc.inner.input_frames_next();
            sinc.pending.resize(sinc.pending.len() + silence, 0.0);
            rest.extend(sinc.run());
        }
        rest.truncate(missing);
        sinc.reset();
        rest
    }
}

/// Converts a whole recording. Output and input are aligned, and the output has `round(n * to_hz / from_hz)` samples.
///
/// # Errors
/// [`ResampleError`] when a rate is outside [`RATES_HZ`].
pub fn resample(pcm: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, ResampleError> {
    let mut resampler = Resampler::new(from_hz, to_hz)?;
    let mut out = resampler.process(pcm);
    out.extend(resampler.finish());
    Ok(out)
}

struct Sinc {
    inner: Async<f32>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// By how much the filter shifts the output against the input, in output samples.
    delay: usize,
    /// How much of that delay is still to be dropped.
    skip: usize,
    consumed: u64,
    emitted: u64,
}

impl Sinc {
    fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        // Downwards the cutoff falls with the ratio, so the filter grows to keep its steepness.
        let len = ((FILTER_LEN as f64 * (1.0 / ratio).max(1.0)).ceil() as usize).next_multiple_of(8);
        let parameters = SincInterpolationParameters::new(len, WindowFunction::Blackman);
        let block = (to_hz / BLOCKS_PER_S) as usize;
        let inner = Async::new_sinc(ratio, 1.0, &parameters, block, 1, FixedAsync::Output)
            .map_err(|e| ResampleError::Refused { from_hz, to_hz, reason: e.to_string() })?;
        // Half a filter; one less, because rubato steps before its first output sample.
        let delay = ((len / 2) as f64 * ratio - 1.0).round() as usize;
        let block = vec![0.0; block];
        Ok(Self { inner, pending: Vec::new(), block, delay, skip: delay, consumed: 0, emitted: 0 })
    }

    /// Converts as many whole blocks as the pending input allows.
    fn run(&mut self) -> Vec<i16> {
        let mut out = Vec::new();
        let mut used = 0;
        while self.pending.len() - used >= self.inner.input_frames_next() {
            let (read, written) = self.convert_block(used);
            used += read;
            let skipped = self.skip.min(written);
            self.skip -= skipped;
            // A float to integer cast saturates, which is the clipping wanted here.
            out.extend(self.block[skipped..written].iter().map(|s| s.round() as i16));
        }
        self.pending.drain(..used);
        self.emitted += out.len() as u64;
        out
    }

    fn convert_block(&mut self, offset: usize) -> (usize, usize) {
        let input = &self.pending[offset..];
        let frames = self.block.len();
        let converted = InterleavedSlice::new(input, 1, input.len()).ok().and_then(|input| {
            let mut block = InterleavedSlice::new_mut(&mut self.block, 1, frames).ok()?;
            self.inner.process_into_buffer(&input, &mut block, None).ok()
        });
        let Some(sizes) = converted else { unreachable!("rubato fails only on buffers smaller than it asked for") };
        sizes
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.pending.clear();
        self.skip = self.delay;
        self.consumed = 0;
        self.emitted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const PAIRS: [(u32, u32); 10] = [
        (8_000, 16_000),
        (16_000, 8_000),
        (22_050, 8_000),
        (8_000, 22_050),
        (24_000, 8_000),
        (44_100, 16_000),
        (48_000, 8_000),
        (8_000, 48_000),
        (192_000, 4_000),
        (7_919, 8_000),
    ];

    fn tone(hz: f64, rate_hz: u32, samples: usize) -> Vec<i16> {
        (0..samples).map(|n| (10_000.0 * (TAU * hz * n as f64 / f64::from(rate_hz)).sin()).round() as i16).collect()
    }

    /// Amplitude of `hz` in `pcm` (single-bin DFT) and its phase against a sine that starts at sample 0.
    fn bin(pcm: &[i16], hz: f64, rate_hz: u32) -> (f64, f64) {
        let (mut s, mut c) = (0.0, 0.0);
        for (n, &x) in pcm.iter().enumerate() {
            let w = TAU * hz * n as f64 / f64::from(rate_hz);
            s += f64::from(x) * w.sin();
            c += f64::from(x) * w.cos();
        }
        let n = pcm.len() as f64;
        (2.0 * s.hypot(c) / n, c.atan2(s))
    }

    #[test]
    fn tone_keeps_frequency_level_and_instant() {
        for (from, to) in PAIRS {
            let out = resample(&tone(1_000.0, from, from as usize), from, to).unwrap();
            let (amplitude, phase) = bin(&out, 1_000.0, to);
            let shift_samples = phase / TAU / 1_000.0 * f64::from(to);
            println!("{from} -> {to}: amplitude {amplitude:.1}, shift {shift_samples:.3} output samples");
            assert!((amplitude - 10_000.0).abs() < 150.0, "{from} -> {to}: amplitude {amplitude}");
            assert!(shift_samples.abs() <= 0.55, "{from} -> {to}: shifted by {shift_samples} samples");
            let energy: f64 = out.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / out.len() as f64;
            assert!(energy < amplitude * amplitude / 2.0 * 1.01, "{from} -> {to}: there is more than the tone");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_suppressed() {
        for (from, to, hz) in [(16_000, 8_000, 5_000.0), (22_050, 8_000, 4_500.0), (48_000, 16_000, 9_000.0)] {
            let out = resample(&tone(hz, from, from as usize), from, to).unwrap();
            // The ends of the tone are steps, which have energy everywhere.
            let middle = &out[to as usize / 4..to as usize * 3 / 4];
            let peak = middle.iter().map(|s| s.unsigned_abs()).max().unwrap();
            println!("{hz} Hz, {from} -> {to}: peak {peak}");
            assert!(peak < 20, "{hz} Hz, {from} -> {to}: peak {peak} is not 54 dB below the tone");
        }
    }

    #[test]
    fn chunks_do_not_change_the_output() {
        for (from, to) in PAIRS {
            let input = tone(440.0, from, from as usize / 2 + 7);
            let whole = resample(&input, from, to).unwrap();
            for chunk in [1, 160, 441, 10_000] {
                let mut resampler = Resampler::new(from, to).unwrap();
                let mut out: Vec<i16> = input.chunks(chunk).flat_map(|c| resampler.process(c)).collect();
                out.extend(resampler.finish());
                assert!(out == whole, "{from} -> {to} in chunks of {chunk}");
            }
        }
    }

    #[test]
    fn output_lasts_as_long_as_the_input() {
        for (from, to) in PAIRS {
            for n in [0, 1, 5, 159, 160, 12_345] {
                let out = resample(&vec![100; n], from, to).unwrap();
                let expected = (n as f64 * f64::from(to) / f64::from(from)).round() as usize;
                assert_eq!(out.len(), expected, "{n} samples, {from} -> {to}");
            }
        }
    }

    #[test]
    fn impulse_stays_at_its_instant() {
        let mut input = vec![0; 8_000];
        input[4_000] = 20_000;
        let out = resample(&input, 8_000, 16_000).unwrap();
        let peak = (0..out.len()).max_by_key(|&n| out[n]).unwrap();
        assert_eq!(peak, 8_000);
    }

    #[test]
    fn streaming_holds_back_little() {
        let mut resampler = Resampler::new(8_000, 16_000).unwrap();
        let out = resampler.process(&tone(440.0, 8_000, 8_000));
        println!("held back {} of 16000 samples", 16_000 - out.len());
        assert!(16_000 - out.len() <= 2 * 64 + 80 + 2);
    }

    #[test]
    fn finished_resampler_starts_afresh() {
        let input = tone(700.0, 22_050, 3_000);
        let mut resampler = Resampler::new(22_050, 8_000).unwrap();
        let mut run = || {
            let mut out = resampler.process(&input);
            out.extend(resampler.finish());
            out
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn full_scale_clips_and_does_not_wrap() {
        let square: Vec<i16> = (0..8_000).map(|n| if n / 10 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = resample(&square, 8_000, 16_000).unwrap();
        for n in (400..15_600).filter(|n| n % 20 == 10) {
            assert_eq!(out[n] > 0, n / 20 % 2 == 0, "sample {n} is {}", out[n]);
        }
    }

    #[test]
    fn same_rate_passes_through() {
        let input = tone(440.0, 8_000, 1_000);
        assert_eq!(resample(&input, 8_000, 8_000).unwrap(), input);
    }

    #[test]
    fn absurd_rates_are_refused() {
        for (from, to) in [(0, 8_000), (8_000, 0), (3_999, 8_000), (8_000, 192_001), (u32::MAX, u32::MAX)] {
            assert!(matches!(Resampler::new(from, to), Err(ResampleError::RateOutOfRange { .. })));
        }
    }
}
