//! Concealment of lost audio, after the method of ITU-T G.711 appendix I: the last pitch period goes on, from 10 ms on the
//! last two and from 20 ms on the last three, so that the gap does not hum; it fades from 10 ms on to nothing at 60 ms,
//! and what comes after the gap takes over gradually.
//!
//! Left out: the appendix's delay of 3.75 ms, in which the audio before a gap is blended into what follows. Instead, what
//! follows begins at the very sample that was played last and comes to its own level within a quarter of a period.

use super::Rate;

/// The gap is filled at full level for 10 ms, then fades to nothing at 60 ms. In samples at 8 kHz, as all these.
const HOLD: usize = 80;
const FADE_END: usize = 480;
/// Pitch from 66 to 200 Hz; two periods of a higher voice are as good.
const MIN_PERIOD: usize = 40;
const MAX_PERIOD: usize = 120;
/// How much of the past is compared to find the period.
const COMPARED: usize = 160;
/// How much of what was played is needed to go on from: three periods and a quarter.
const HISTORY: usize = 3 * MAX_PERIOD + MAX_PERIOD / 4;
/// Over how long the first real audio after a gap takes over: a quarter of a period and 4 ms more for each 10 ms of the gap
/// after the first, at most 10 ms. After silence, 5 ms.
const CROSSFADE_STEP: usize = 32;
const MAX_CROSSFADE: usize = 80;
const CROSSFADE_AFTER_SILENCE: usize = 40;

/// How much of what was played a [`Concealer`] needs to go on from, in samples of `rate`.
pub const fn history(rate: Rate) -> usize {
    rate.scaled(HISTORY)
}

/// Fills gaps in one stream of audio.
#[derive(Debug)]
pub struct Concealer {
    rate: Rate,
    /// What was played before the gap, oldest first: [`history`] of it.
    past: Vec<i16>,
    gap: Option<Gap>,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    period: usize,
    filled: usize,
    /// By how much the last sample played differs from the one before the period that is repeated.
    step: f32,
    /// How much of what came after it has been softened.
    over: usize,
}

impl Concealer {
    pub fn new(rate: Rate) -> Self {
        Self { rate, past: vec![0; history(rate)], gap: None }
    }

    /// Takes the audio received after what was played, and softens the end of a gap before it.
    pub fn real(&mut self, pcm: &mut [i16]) {
        let Some(mut gap) = self.gap.take() else { return };
        let rate = self.rate;
        let longer = rate.scaled(CROSSFADE_STEP) * (gap.filled / rate.scaled(HOLD)).saturating_sub(1);
        let length = match gap.filled >= rate.scaled(FADE_END) {
            true => rate.scaled(CROSSFADE_AFTER_SILENCE),
            false => (gap.period / 4 + longer).min(rate.scaled(MAX_CROSSFADE)),
        };
        for sample in pcm.iter_mut().take(length - gap.over) {
            let weight = (gap.over + 1) as f32 / (length + 1) as f32;
            *sample = (f32::from(*sample) * weight + self.sample(gap, gap.filled + gap.over) * (1.0 - weight)) as i16;
            gap.over += 1;
        }
        // There may have been too little of it.
        self.gap = (gap.over < length).then_some(gap);
    }

    /// Makes up `len` samples that were lost and writes them behind those `played`, of which there must be [`history`].
    /// Returns how many of them have something to say: after 60 ms, or after silence, none has.
    pub fn lost(&mut self, played: &mut Vec<i16>, len: usize) -> usize {
        let gap = self.gap.filter(|gap| gap.over == 0).unwrap_or_else(|| self.begin(played));
        // `past` stays what it was before the gap, so that its last periods can be repeated.
        let begin = played.len();
        played.extend((gap.filled..gap.filled + len).map(|at| self.sample(gap, at) as i16));
        // Past the end of the fade it makes no difference how far.
        let end = self.rate.scaled(FADE_END);
        self.gap = Some(Gap { filled: (gap.filled + len).min(end), ..gap });
        if played.iter().skip(begin).all(|&sample| sample == 0) { 0 } else { len.min(end - gap.filled) }
    }

    /// Ends a gap, because the sender is silent.
    pub fn end(&mut self) {
        self.gap = None;
    }

    /// Whether a gap has lasted until nothing is left to be heard.
    pub fn has_faded(&self) -> bool {
        self.gap.is_some_and(|gap| gap.filled >= self.rate.scaled(FADE_END) && gap.over == 0)
    }

    fn begin(&mut self, played: &[i16]) -> Gap {
        let len = self.past.len();
        if let Some(begin) = played.len().checked_sub(len) {
            self.past.copy_from_slice(&played[begin..]);
        }
        let period = period(&self.past, self.rate);
        let step = f32::from(self.past[len - 1]) - f32::from(self.past[len - 1 - period]);
        Gap { period, filled: 0, step, over: 0 }
    }

    /// What is played `at` so many samples after the gap began.
    fn sample(&self, gap: Gap, at: usize) -> f32 {
        let quarter = gap.period / 4;
        if at >= self.rate.scaled(FADE_END) {
            return 0.0;
        }
        let (second, third) = (self.rate.scaled(HOLD), self.rate.scaled(2 * HOLD));
        let (periods, since) = match at {
            _ if at >= third => (3, at - third),
            _ if at >= second => (2, at - second),
            _ => (1, at),
        };
        let weight = (since + 1) as f32 / (quarter + 1) as f32;
        let repeated = self.repeated(gap.period, periods, at);
        let blended = match periods {
            _ if weight >= 1.0 => repeated,
            1 => repeated + gap.step * (1.0 - weight),
            _ => repeated * weight + self.repeated(gap.period, periods - 1, at) * (1.0 - weight),
        };
        blended.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) * self.gain(at)
    }

    fn gain(&self, at: usize) -> f32 {
        let (hold, end) = (self.rate.scaled(HOLD), self.rate.scaled(FADE_END));
        end.saturating_sub(at.max(hold)) as f32 / (end - hold) as f32
    }

    /// The last `periods`, over and over; their last quarter of a period becomes what came before them, so that end and
    /// beginning fit together.
    fn repeated(&self, period: usize, periods: usize, at: usize) -> f32 {
        let (length, quarter) = (period * periods, period / 4);
        let (begin, n) = (self.past.len() - length, at % length);
        let sample = f32::from(self.past[begin + n]);
        let Some(into) = (n + quarter).checked_sub(length) else { return sample };
        let weight = (into + 1) as f32 / (quarter + 1) as f32;
        sample * (1.0 - weight) + f32::from(self.past[begin + n - length]) * weight
    }
}

/// The lag at which the recent past resembles itself most: first every second lag of 8 kHz, then those beside the best.
fn period(past: &[i16], rate: Rate) -> usize {
    let (len, compared, step) = (past.len(), rate.scaled(COMPARED), rate.scaled(2));
    let (least, most) = (rate.scaled(MIN_PERIOD), rate.scaled(MAX_PERIOD));
    let recent = &past[len - compared..];
    let score = |lag: usize| likeness(recent, &past[len - compared - lag..len - lag]);
    let best = |lags: &mut dyn Iterator<Item = usize>| {
        lags.map(|lag| (lag, score(lag))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(most, |(lag, _)| lag)
    };
    let coarse = best(&mut (least..=most).step_by(step));
    best(&mut (least.max(coarse - (step - 1))..=most.min(coarse + (step - 1))))
}

/// How much two pieces of the same length resemble each other, whatever their levels: from -1 to 1, 0 for silence
/// (normalised cross-correlation).
pub fn likeness(a: &[i16], b: &[i16]) -> f32 {
    let (mut product, mut energy_a, mut energy_b) = (0i64, 0i64, 0i64);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (i32::from(a), i32::from(b));
        product += i64::from(a * b);
        energy_a += i64::from(a * a);
        energy_b += i64::from(b * b);
    }
    product as f32 / (energy_a as f32 * energy_b as f32).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is played, and what fills it.
    struct Bench {
        concealer: Concealer,
        played: Vec<i16>,
    }

    impl Bench {
        fn after(pcm: &[i16]) -> Self {
            let mut bench = Self { concealer: Concealer::new(Rate::Narrow), played: vec![0; HISTORY] };
            bench.real(pcm);
            bench
        }

        fn real(&mut self, pcm: &[i16]) {
            let mut pcm = pcm.to_vec();
            self.concealer.real(&mut pcm);
            self.played.extend(pcm);
        }

        fn lost(&mut self, len: usize) -> (usize, &[i16]) {
            let begin = self.played.len();
            let made_up = self.concealer.lost(&mut self.played, len);
            (made_up, &self.played[begin..])
        }
    }

    fn tone(hz: f32, from: usize, len: usize) -> Vec<i16> {
        let sample = |n: usize| 8_000.0 * (std::f32::consts::TAU * hz * n as f32 / 8_000.0).sin();
        (from..from + len).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn a_short_gap_in_a_tone_is_hardly_there() {
        let mut bench = Bench::after(&tone(125.0, 0, 800));
        let (made_up, filled) = bench.lost(80);
        assert_eq!(made_up, 80);
        let error = filled.iter().zip(tone(125.0, 800, 80)).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!(error < 200, "differs by {error} from the tone that was lost");
    }

    #[test]
    fn a_long_gap_fades_to_silence_within_60_ms() {
        let mut bench = Bench::after(&tone(125.0, 0, 800));
        let mut peaks = Vec::new();
        for frame in 0..5 {
            let (made_up, filled) = bench.lost(160);
            assert_eq!(made_up, if frame < 3 { 160 } else { 0 }, "frame {frame}");
            peaks.push(filled.iter().map(|s| s.abs()).max().unwrap());
        }
        println!("peak of each frame: {peaks:?}");
        assert!(peaks.windows(2).all(|p| p[0] >= p[1]));
        assert_eq!(peaks[3], 0);
        assert!(bench.concealer.has_faded());
    }

    #[test]
    fn audio_returns_without_a_step() {
        let mut bench = Bench::after(&tone(125.0, 0, 800));
        bench.lost(160);
        bench.real(&tone(125.0, 1_000, 160));
        let step = bench.played.windows(2).map(|s| (s[1] - s[0]).abs()).max().unwrap();
        assert!(step < 1_200, "a step of {step}, where the tone itself has steps of 785");
    }

    #[test]
    fn no_gap_clicks_whatever_its_place_and_length() {
        // The second difference of a tone is its own frequency's; a click has a much larger one.
        let bend = |pcm: &[i16]| {
            let bend = |s: &[i16]| (i32::from(s[2]) - 2 * i32::from(s[1]) + i32::from(s[0])).abs();
            pcm.windows(3).map(bend).max().unwrap()
        };
        for hz in [70.0, 110.0, 187.0, 250.0, 333.0] {
            let own = bend(&tone(hz, 0, 800));
            for (gap, cut) in [(80, 731), (160, 800), (160, 817), (240, 777), (320, 790), (480, 801)] {
                let mut bench = Bench::after(&tone(hz, 0, cut));
                bench.lost(gap);
                bench.real(&tone(hz, cut + gap, 400));
                let most = bend(&bench.played[HISTORY + 100..]);
                println!("{hz} Hz, {gap} samples lost: bends by {most}, the tone by {own}");
                assert!(most <= 2 * own + 400, "{hz} Hz, {gap} samples lost: bends by {most}, the tone by {own}");
            }
        }
    }

    #[test]
    fn silence_is_concealed_as_silence() {
        let mut bench = Bench::after(&[0; 800]);
        assert_eq!(bench.lost(160), (0, &[0; 160][..]));
    }

    #[test]
    fn the_loudest_audio_does_not_overflow() {
        let square: Vec<i16> = (0..800).map(|n| if n / 31 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut bench = Bench::after(&square);
        let (made_up, _) = bench.lost(500);
        assert_eq!(made_up, 480);
        bench.real(&square);
    }

    #[test]
    fn an_hour_of_loss_does_not_overflow() {
        let mut bench = Bench::after(&tone(125.0, 0, 800));
        for _ in 0..180_000 {
            bench.lost(160);
            bench.played.truncate(HISTORY);
        }
        assert!(matches!(bench.concealer.gap, Some(Gap { filled: FADE_END, .. })));
    }
}
