//! Concealment of lost audio: the last pitch period goes on and fades away within 60 ms, after the idea of ITU-T G.711
//! appendix I.
//!
//! Left out: the appendix's overlap-add inside the gap and its growing number of repeated periods.

/// The gap is filled at full level for 10 ms, then fades to nothing at 60 ms. In samples at 8 kHz, as all here.
const HOLD: usize = 80;
const FADE_END: usize = 480;
/// Pitch from 50 to 200 Hz.
const MIN_PERIOD: usize = 40;
const MAX_PERIOD: usize = 160;
/// How much of the past is compared to find the period.
const COMPARED: usize = 160;
const HISTORY: usize = COMPARED + MAX_PERIOD;
/// Over how long the first real audio after a gap takes over from the made-up audio.
const CROSSFADE: usize = 40;

/// Fills gaps in one stream of 8 kHz audio.
#[derive(Debug)]
pub struct Concealer {
    /// The last samples that were played, oldest first.
    history: [i16; HISTORY],
    gap: Gap,
}

#[derive(Debug, Clone, Copy)]
enum Gap {
    None,
    Open { period: usize, filled: usize },
}

impl Concealer {
    pub fn new() -> Self {
        Self { history: [0; HISTORY], gap: Gap::None }
    }

    /// Takes received audio, or silence that the sender meant, and softens the end of a gap before it.
    pub fn real(&mut self, pcm: &mut [i16]) {
        if let Gap::Open { period, filled } = self.gap {
            for (n, sample) in pcm.iter_mut().take(CROSSFADE).enumerate() {
                let made_up = f32::from(self.history[HISTORY - period + (filled + n) % period]) * gain(filled + n);
                let weight = n as f32 / CROSSFADE as f32;
                *sample = (f32::from(*sample) * weight + made_up * (1.0 - weight)) as i16;
            }
            self.gap = Gap::None;
        }
        self.remember(pcm);
    }

    /// Makes up what was lost. Returns how many samples of it have something to say: after 60 ms, or after silence, none
    /// has, and `pcm` is silence.
    pub fn lost(&mut self, pcm: &mut [i16]) -> usize {
        let (period, filled) = match self.gap {
            Gap::Open { period, filled } => (period, filled),
            Gap::None => (self.period(), 0),
        };
        // `history` stays what it was before the gap, so that its last period can be repeated.
        for (n, sample) in pcm.iter_mut().enumerate() {
            let at = filled + n;
            *sample = (f32::from(self.history[HISTORY - period + at % period]) * gain(at)) as i16;
        }
        // Past the end of the fade it makes no difference how far.
        self.gap = Gap::Open { period, filled: (filled + pcm.len()).min(FADE_END) };
        if pcm.iter().all(|&sample| sample == 0) { 0 } else { pcm.len().min(FADE_END - filled) }
    }

    fn remember(&mut self, pcm: &[i16]) {
        let pcm = &pcm[pcm.len().saturating_sub(HISTORY)..];
        self.history.copy_within(pcm.len().., 0);
        self.history[HISTORY - pcm.len()..].copy_from_slice(pcm);
    }

    /// The lag at which the recent past resembles itself most (normalised cross-correlation).
    fn period(&self) -> usize {
        let recent = &self.history[HISTORY - COMPARED..];
        let likeness = |lag: usize| {
            let past = &self.history[HISTORY - COMPARED - lag..HISTORY - lag];
            let (mut product, mut energy) = (0.0f32, 1.0f32);
            for (&a, &b) in recent.iter().zip(past) {
                product += f32::from(a) * f32::from(b);
                energy += f32::from(b) * f32::from(b);
            }
            product / energy.sqrt()
        };
        (MIN_PERIOD..=MAX_PERIOD).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap_or(MAX_PERIOD)
    }
}

impl Default for Concealer {
    fn default() -> Self {
        Self::new()
    }
}

fn gain(at: usize) -> f32 {
    FADE_END.saturating_sub(at.max(HOLD)) as f32 / (FADE_END - HOLD) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(from: usize, len: usize) -> Vec<i16> {
        let sample = |n: usize| 8_000.0 * (std::f32::consts::TAU * 125.0 * n as f32 / 8_000.0).sin();
        (from..from + len).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn a_short_gap_in_a_tone_is_hardly_there() {
        let mut concealer = Concealer::new();
        concealer.real(&mut tone(0, 800));
        let mut filled = [0; 80];
        assert_eq!(concealer.lost(&mut filled), 80);
        let error = filled.iter().zip(tone(800, 80)).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!(error < 200, "differs by {error} from the tone that was lost");
    }

    #[test]
    fn a_long_gap_fades_to_silence_within_60_ms() {
        let mut concealer = Concealer::new();
        concealer.real(&mut tone(0, 800));
        let mut peaks = Vec::new();
        for frame in 0..5 {
            let mut filled = [0; 160];
            assert_eq!(concealer.lost(&mut filled), if frame < 3 { 160 } else { 0 }, "frame {frame}");
            peaks.push(filled.iter().map(|s| s.abs()).max().unwrap());
        }
        println!("peak of each frame: {peaks:?}");
        assert!(peaks.windows(2).all(|p| p[0] >= p[1]));
        assert_eq!(peaks[3], 0);
    }

    #[test]
    fn audio_returns_without_a_step() {
        let mut concealer = Concealer::new();
        concealer.real(&mut tone(0, 800));
        let mut filled = [0; 160];
        concealer.lost(&mut filled);
        let mut back = tone(1_000, 160);
        concealer.real(&mut back);
        let played: Vec<i16> = filled.into_iter().chain(back).collect();
        let step = played.windows(2).map(|s| (s[1] - s[0]).abs()).max().unwrap();
        assert!(step < 1_200, "a step of {step}, where the tone itself has steps of 785");
    }

    #[test]
    fn silence_is_concealed_as_silence() {
        let mut concealer = Concealer::new();
        concealer.real(&mut [0; 800]);
        let mut filled = [7; 160];
        assert_eq!(concealer.lost(&mut filled), 0);
        assert_eq!(filled, [0; 160]);
    }

    #[test]
    fn an_hour_of_loss_does_not_overflow() {
        let mut concealer = Concealer::new();
        concealer.real(&mut tone(0, 800));
        for _ in 0..180_000 {
            concealer.lost(&mut [0; 160]);
        }
        assert!(matches!(concealer.gap, Gap::Open { filled: FADE_END, .. }));
    }
}
