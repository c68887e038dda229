//! A voice's sound as a call wants it: at its rate, as loud as every other voice's, within full scale, and soft where a clause
//! begins and ends.

use std::ops::ControlFlow;

use ebur128::{EbuR128, Mode};

use super::TtsError;
use crate::rtp::codec::resample::{ResampleError, Resampler};

/// How loud every voice is, in LUFS (EBU R 128): G.711 has room above it for the peaks of speech.
pub const LOUDNESS_LUFS: f32 = -20.0;
/// No voice is made softer or louder than by that: one that whispers so much is noise.
const MAX_GAIN: f32 = 10.0;
/// Above half of full scale peaks are rounded, in place of clipping at it.
const KNEE: f32 = 0.5;
/// Of a clause's begin and end, 5 ms: a voice need not begin or end at zero.
const FADES_PER_S: u32 = 200;
/// Sound goes on in pieces of 200 ms.
const PIECES_PER_S: u32 = 5;

/// How loud speech is, in LUFS; `None` for silence and for less than 0.4 s.
pub fn loudness(pcm: &[i16], rate_hz: u32) -> Option<f32> {
    let mut meter = EbuR128::new(1, rate_hz, Mode::I).ok()?;
    meter.add_frames_i16(pcm).ok()?;
    meter.loudness_global().ok().map(|lufs| lufs as f32).filter(|lufs| lufs.is_finite())
}

/// What brings speech of a loudness to [`LOUDNESS_LUFS`].
pub fn gain(lufs: f32) -> f32 {
    10_f32.powf((LOUDNESS_LUFS - lufs) / 20.0).clamp(1.0 / MAX_GAIN, MAX_GAIN)
}

/// One clause on its way.
pub struct Output<'a> {
    rate_hz: u32,
    gain: f32,
    resampler: Option<Resampler>,
    failed: Option<ResampleError>,
    /// The last 5 ms so far, which are the end if nothing follows.
    held: Vec<i16>,
    /// Samples that went through the fade of the begin.
    begun: usize,
    sent: bool,
    broken_off: bool,
    sink: &'a mut dyn FnMut(Vec<i16>) -> ControlFlow<()>,
}

impl<'a> Output<'a> {
    pub fn new(rate_hz: u32, gain: f32, sink: &'a mut dyn FnMut(Vec<i16>) -> ControlFlow<()>) -> Self {
        let (resampler, failed) = (None, None);
        Self { rate_hz, gain, resampler, failed, held: Vec::new(), begun: 0, sent: false, broken_off: false, sink }
    }

    /// The next sound of a voice, all of it at one rate.
    pub fn take(&mut self, pcm: &[i16], voice_hz: u32) -> ControlFlow<()> {
        if self.resampler.is_none() {
            match Resampler::new(voice_hz, self.rate_hz) {
                Ok(resampler) => self.resampler = Some(resampler),
                Err(error) => {
                    self.failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        // The first of a whole clause need not wait for the rest to be converted.
        for piece in pcm.chunks((voice_hz / PIECES_PER_S) as usize) {
            let piece = self.resampler.as_mut().map(|resampler| resampler.process(piece)).unwrap_or_default();
            self.level(piece);
            let ready = self.held.len().saturating_sub(self.fade());
            let ready = self.held.drain(..ready).collect();
            if self.send(ready).is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// The clause is over.
    ///
    /// # Errors
    /// When the voice's rate is none.
    pub fn finish(mut self) -> Result<(), TtsError> {
        let rest = self.resampler.as_mut().map(Resampler::finish).unwrap_or_default();
        self.level(rest);
        let mut end = std::mem::take(&mut self.held);
        let fade = self.fade().min(end.len());
        for (n, sample) in end.iter_mut().rev().take(fade).enumerate() {
            *sample = (f32::from(*sample) * (n as f32 / fade as f32)) as i16;
        }
        let _ends_anyway = self.send(end);
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether anything of it was heard.
    pub fn has_sent(&self) -> bool {
        self.sent
    }

    fn fade(&self) -> usize {
        (self.rate_hz / FADES_PER_S) as usize
    }

    fn level(&mut self, pcm: Vec<i16>) {
        let fade = self.fade();
        for sample in pcm {
            let begin = (self.begun as f32 / fade.max(1) as f32).min(1.0);
            self.begun = (self.begun + 1).min(fade);
            self.held.push(levelled(sample, self.gain * begin));
        }
    }

    fn send(&mut self, pcm: Vec<i16>) -> ControlFlow<()> {
        if !pcm.is_empty() && !self.broken_off {
            self.sent = true;
            self.broken_off = (self.sink)(pcm).is_break();
        }
        if self.broken_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A sample so much louder, which approaches full scale and never reaches it.
fn levelled(sample: i16, gain: f32) -> i16 {
    let loud = f32::from(sample) / 32_768.0 * gain;
    let over = (loud.abs() - KNEE) / (1.0 - KNEE);
    let soft = if over > 0.0 { (KNEE + (1.0 - KNEE) * over.tanh()).copysign(loud) } else { loud };
    (soft * 32_767.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn tone(hz: f32, peak: f32, rate_hz: u32, samples: usize) -> Vec<i16> {
        (0..samples).map(|n| ((TAU * hz * n as f32 / rate_hz as f32).sin() * peak) as i16).collect()
    }

    fn said(chunks: &[&[i16]], voice_hz: u32, rate_hz: u32, gain: f32) -> Vec<i16> {
        let mut whole = Vec::new();
        let mut sink = |pcm: Vec<i16>| {
            whole.extend(pcm);
            ControlFlow::Continue(())
        };
        let mut output = Output::new(rate_hz, gain, &mut sink);
        for chunk in chunks {
            assert!(output.take(chunk, voice_hz).is_continue());
        }
        output.finish().unwrap();
        whole
    }

    #[test]
    fn soft_and_loud_voices_come_out_alike() {
        for peak in [600.0, 3_000.0, 12_000.0, 25_000.0] {
            let voice = tone(1_000.0, peak, 22_050, 44_100);
            let measured = loudness(&said(&[&voice], 22_050, 8_000, 1.0), 8_000).unwrap();
            let heard = loudness(&said(&[&voice], 22_050, 8_000, gain(measured)), 8_000).unwrap();
            println!("{measured:.1} -> {heard:.1} LUFS");
            assert!((heard - LOUDNESS_LUFS).abs() < 0.5);
        }
        assert_eq!(loudness(&[0; 16_000], 8_000), None);
        assert_eq!(loudness(&tone(1_000.0, 9_000.0, 8_000, 800), 8_000), None);
    }

    /// ITU-R BS.1770: a tone of 997 Hz at full scale in one channel has -3.01 LUFS.
    #[test]
    fn loudness_is_that_of_the_recommendation() {
        let lufs = loudness(&tone(997.0, 32_767.0, 48_000, 96_000), 48_000).unwrap();
        assert!((lufs + 3.01).abs() < 0.05, "{lufs}");
    }

    #[test]
    fn how_a_clause_is_cut_into_chunks_is_not_heard() {
        let voice = tone(440.0, 9_000.0, 24_000, 24_000);
        let whole = said(&[&voice], 24_000, 8_000, 1.7);
        for size in [7, 100, 2_048, 20_000] {
            assert_eq!(said(&voice.chunks(size).collect::<Vec<_>>(), 24_000, 8_000, 1.7), whole, "chunks of {size}");
        }
        assert_eq!(whole.len(), 8_000);
    }

    #[test]
    fn a_clause_begins_and_ends_at_zero_and_clicks_nowhere() {
        let loud = said(&[&[8_000; 4_000], &[8_000; 4_000]], 8_000, 8_000, 1.0);
        assert_eq!((loud.len(), loud[0], loud[7_999]), (8_000, 0, 0));
        let step = loud.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
        assert!(step <= 8_000 / 40 + 1, "{step}");
        assert_eq!(loud[40..7_960], [8_000; 7_920]);
        // Shorter than both fades.
        assert!(said(&[&[8_000; 10]], 8_000, 8_000, 1.0).iter().all(|sample| (0..8_000).contains(sample)));
        assert!(said(&[], 8_000, 8_000, 1.0).is_empty());
    }

    #[test]
    fn peaks_are_rounded_and_never_wrap() {
        for gain in [0.1, 1.0, MAX_GAIN] {
            let all: Vec<i16> = (i16::MIN..=i16::MAX).map(|sample| levelled(sample, gain)).collect();
            assert!(all.is_sorted(), "louder is never softer");
            assert_eq!(all.first().map(|low| low.saturating_neg()), all.last().copied());
        }
        assert_eq!(levelled(12_000, 1.0), 12_000, "below the knee nothing is changed");
        assert!(levelled(i16::MAX, 1.0) > 28_000);
    }

    /// What a telephone at 8 kHz cannot carry would come back as another tone.
    #[test]
    fn nothing_above_the_telephones_band_is_left() {
        for hz in [4_400.0, 6_000.0, 9_000.0] {
            let heard = said(&[&tone(hz, 20_000.0, 22_050, 22_050)], 22_050, 8_000, 1.0);
            let inside = &heard[400..heard.len() - 400];
            let power = inside.iter().map(|&s| f32::from(s).powi(2)).sum::<f32>() / inside.len() as f32;
            let db = 20.0 * (power.sqrt() / (20_000.0 / 2_f32.sqrt())).log10();
            println!("{hz} Hz: {db:.0} dB");
            assert!(db < -50.0);
        }
        let speech = said(&[&tone(3_400.0, 10_000.0, 22_050, 22_050)], 22_050, 8_000, 1.0);
        assert!(speech.iter().any(|sample| *sample > 9_500), "3.4 kHz goes through");
    }

    #[test]
    fn a_rate_that_is_none_is_an_error() {
        let mut sink = |_: Vec<i16>| ControlFlow::Continue(());
        let mut output = Output::new(8_000, 1.0, &mut sink);
        assert!(output.take(&[1; 10], 1).is_break());
        assert!(!output.has_sent());
        assert!(matches!(output.finish(), Err(TtsError::Resample(_))));
    }
}
