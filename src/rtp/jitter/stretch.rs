//! Time-stretching that keeps the pitch (WSOLA): what is to be played becomes shorter or longer by one or more pitch
//! periods, where the sound resembles itself so much that a cross-fade from one place to the other is not heard.
//!
//! Left out: finding out whether it should; more than one period's worth at once, so that the tempo changes little.

use crate::rtp::Rate;
use crate::rtp::conceal::likeness;

/// The least and the most that is taken out or put in at once: 2.5 to 15 ms, in samples at 8 kHz, as all here. A period
/// of any voice or some of them.
const MIN_LAG: usize = 20;
const MAX_LAG: usize = 120;
/// How much is compared.
const COMPARED: usize = 120;

/// The most that is taken out or put in at once, in samples of `rate`.
pub const fn max_lag(rate: Rate) -> usize {
    rate.scaled(MAX_LAG)
}

/// How much has to lie ahead for a cut of any length.
pub const fn ahead(rate: Rate) -> usize {
    rate.scaled(MAX_LAG + COMPARED)
}

/// What sound may be stretched: how much what is blended has to resemble each other (0 to 1), and the peak up to which
/// sound is so quiet that any cut goes unheard.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    pub rate: Rate,
    pub alike: f32,
    pub quiet: u16,
}

/// Whether no sample is above this peak.
pub fn is_quiet(pcm: &[i16], peak: u16) -> bool {
    pcm.iter().all(|sample| sample.unsigned_abs() <= peak)
}

/// Takes out at most `most` samples after the first `at`. Returns how many were taken out: 0 if there is no good place.
pub fn shorten(sound: &mut Vec<i16>, at: usize, most: usize, conditions: Conditions) -> usize {
    let ahead = sound.get(at..).unwrap_or_default();
    let rate = conditions.rate;
    let most = most.min(max_lag(rate)).min(ahead.len() / 2);
    if most < rate.scaled(MIN_LAG) {
        return 0;
    }
    let compared = rate.scaled(COMPARED).min(ahead.len().saturating_sub(most));
    let quiet = is_quiet(&ahead[..2 * most], conditions.quiet);
    let resemblance = |lag: usize, compared: usize| likeness(&ahead[..compared], &ahead[lag..lag + compared]);
    let Some(lag) = best(most, quiet, conditions, compared, resemblance) else { return 0 };
    for n in at..at + lag {
        sound[n] = blend(sound[n], sound[n + lag], n - at, lag);
    }
    sound.drain(at + lag..at + 2 * lag);
    lag
}

/// Puts in at most `most` samples after the first `at`, a repetition of what was just played. See [`shorten`].
pub fn lengthen(sound: &mut Vec<i16>, at: usize, most: usize, conditions: Conditions) -> usize {
    let ahead = sound.get(at..).unwrap_or_default();
    let rate = conditions.rate;
    let most = most.min(max_lag(rate)).min(ahead.len()).min(at);
    if most < rate.scaled(MIN_LAG) {
        return 0;
    }
    let compared = rate.scaled(COMPARED).min(ahead.len());
    let quiet = is_quiet(&sound[at - most..at + most], conditions.quiet);
    let resemblance = |lag: usize, compared: usize| likeness(&ahead[..compared], &sound[at - lag..at - lag + compared]);
    let Some(lag) = best(most, quiet, conditions, compared, resemblance) else { return 0 };
    let mut repeated = [0; max_lag(Rate::Wide)];
    for (n, sample) in repeated.iter_mut().take(lag).enumerate() {
        *sample = blend(sound[at + n], sound[at - lag + n], n, lag);
    }
    sound.splice(at..at, repeated.into_iter().take(lag));
    lag
}

/// The lag of the greatest resemblance over what is `compared`, if there is enough of it where the two are blended too; in
/// quiet sound the longest lag will do.
fn best(
    most: usize,
    quiet: bool,
    Conditions { rate, alike, .. }: Conditions,
    compared: usize,
    resemblance: impl Fn(usize, usize) -> f32,
) -> Option<usize> {
    if quiet {
        return Some(most);
    }
    let (least, step) = (rate.scaled(MIN_LAG), rate.scaled(1));
    let best = |lags: &mut dyn Iterator<Item = usize>| {
        lags.map(|lag| (lag, resemblance(lag, compared))).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    // Every lag of 8 kHz first, then those beside the best one.
    let (coarse, _) = best(&mut (least..=most).step_by(step))?;
    let (lag, score) = best(&mut (least.max(coarse + 1 - step)..=most.min(coarse + step - 1)))?;
    (score.min(resemblance(lag, lag)) >= alike).then_some(lag)
}

/// From one sample to the other, `n` of `length` steps on the way.
fn blend(from: i16, to: i16, n: usize, length: usize) -> i16 {
    let weight = (n + 1) as f32 / (length + 1) as f32;
    (f32::from(from) * (1.0 - weight) + f32::from(to) * weight) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIKE: Conditions = Conditions { rate: Rate::Narrow, alike: 0.8, quiet: 256 };
    const ANY: Conditions = Conditions { rate: Rate::Narrow, alike: 0.0, quiet: 256 };

    /// A voice of a kind: a pulse each period, each with a decaying formant.
    fn voice(period: f32, len: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let t = n as f32 % period;
            6_000.0 * (-t / 25.0).exp() * (std::f32::consts::TAU * 700.0 * t / 8_000.0).sin()
        };
        (0..len).map(|n| sample(n) as i16).collect()
    }

    fn noise(len: usize, peak: i32) -> Vec<i16> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 % (2 * peak + 1) - peak) as i16
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn whole_periods_are_taken_out_and_put_in() {
        for period in [40.0, 62.5, 80.0, 111.0] {
            let whole = |lag: usize| {
                let periods = lag as f32 / period;
                lag > 0 && (periods - periods.round()).abs() * period <= 1.0
            };
            let mut sound = voice(period, 1_000);
            let removed = shorten(&mut sound, 400, MAX_LAG, ALIKE);
            let inserted = lengthen(&mut sound, 400, MAX_LAG, ALIKE);
            println!("a period of {period}: {removed} out, {inserted} in");
            assert!(whole(removed) && whole(inserted));
            assert_eq!(sound.len(), 1_000 - removed + inserted);
        }
    }

    #[test]
    fn what_does_not_resemble_itself_is_left_alone_unless_it_is_quiet() {
        let mut loud = noise(1_000, 8_000);
        assert_eq!((shorten(&mut loud, 400, 120, ALIKE), lengthen(&mut loud, 400, 120, ALIKE)), (0, 0));
        assert_eq!(loud, noise(1_000, 8_000));
        let mut quiet = noise(1_000, 200);
        assert_eq!((shorten(&mut quiet, 400, 100, ALIKE), lengthen(&mut quiet, 400, 120, ALIKE)), (100, 120));
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        for len in [0, 1, 39, 400, 401, 420, 439] {
            let mut sound = voice(50.0, len);
            assert_eq!(shorten(&mut sound, 400, MAX_LAG, ANY), 0, "{len} samples");
        }
        assert_eq!(lengthen(&mut voice(50.0, 419), 400, MAX_LAG, ANY), 0);
        assert_eq!(lengthen(&mut voice(50.0, 600), 10, MAX_LAG, ANY), 0);
        assert_eq!(shorten(&mut voice(50.0, 1_000), 400, 10, ANY), 0);
    }
}
