//! Keys heard in the sound itself, by their two tones (ITU-T Q.23): the last resort for lines that tell them in no other
//! way.
//!
//! A window of 20 ms, moved by 10, is a key's if its tones have nearly all of its energy, are about equally loud and far
//! louder than the other tones (ITU-T Q.24). Three in a row are a press, as speech hits the tones only in passing.
//!
//! Left out: tones so weak that speech goes on beneath them, the tones of modems and of the network.

use std::f32::consts::TAU;

use super::Rate;

/// In Hz, as the keys stand on the telephone.
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// The longest window, in samples.
const MAX_WINDOW: usize = Rate::Wide.frame_samples();
/// A press is told after so many windows of it, 40 ms, and over after so many without.
const ENOUGH: u8 = 3;
const GONE: u8 = 3;
/// The least loudness, as the root of the mean square of 16-bit samples: −42 dB of full scale.
const QUIETEST: f32 = 250.0;
/// The tones' least part of the energy; 1.5 % beside its frequency, a tone still shows half of its own.
const PART: f32 = 0.75;
/// One tone may be so many times stronger than the other: 8 dB.
const TWIST: f32 = 6.3;
/// A tone is so many times stronger than the next one of its group: 6 dB.
const CLEAR: f32 = 4.0;

/// Listens to the sound of a call.
#[derive(Debug)]
pub struct Tones {
    rate: Rate,
    /// The second half of the last frame, and room for as much.
    across: [i16; MAX_WINDOW],
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Silent,
    /// So many windows of a key, which is not told yet.
    Hearing(char, u8),
    /// It is told; so many windows without it.
    Pressed(char, u8),
}

impl Tones {
    pub fn new(rate: Rate) -> Self {
        Self { rate, across: [0; MAX_WINDOW], state: State::Silent }
    }

    /// Takes the next 20 ms. Returns the key whose press has been heard for long enough.
    pub fn push(&mut self, frame: &[i16]) -> Option<char> {
        let window = self.rate.frame_samples();
        let half = window / 2;
        let (begin, end) = frame.split_at(half.min(frame.len()));
        self.across[half..half + begin.len()].copy_from_slice(begin);
        // At most one of the two begins a press.
        let (across, whole) = (key(&self.across[..window], self.rate), key(frame, self.rate));
        let (first, second) = (self.note(across), self.note(whole));
        let end = &end[..end.len().min(half)];
        self.across[..end.len()].copy_from_slice(end);
        first.or(second)
    }

    fn note(&mut self, heard: Option<char>) -> Option<char> {
        self.state = match (self.state, heard) {
            (State::Pressed(key, _), Some(heard)) if key == heard => State::Pressed(key, 0),
            (State::Pressed(key, missed), None) if missed + 1 < GONE => State::Pressed(key, missed + 1),
            (State::Hearing(key, windows), Some(heard)) if key == heard => {
                if windows + 1 >= ENOUGH {
                    self.state = State::Pressed(key, 0);
                    return Some(key);
                }
                State::Hearing(key, windows + 1)
            }
            (_, Some(heard)) => State::Hearing(heard, 1),
            (_, None) => State::Silent,
        };
        None
    }
}

/// The key whose tones a window has.
fn key(window: &[i16], rate: Rate) -> Option<char> {
    let energy: f32 = window.iter().map(|&sample| f32::from(sample).powi(2)).sum();
    if energy < QUIETEST * QUIETEST * window.len() as f32 {
        return None;
    }
    let (row, low) = strongest(window, &ROWS, rate)?;
    let (column, high) = strongest(window, &COLUMNS, rate)?;
    let is_clear = low + high >= PART * energy && low <= TWIST * high && high <= TWIST * low;
    is_clear.then(|| KEYS[row][column])
}

/// The tone that stands out of its group, and its energy.
fn strongest(window: &[i16], group: &[f32; 4], rate: Rate) -> Option<(usize, f32)> {
    let energies = energies(window, group, rate);
    let (index, most) = energies.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let stands_out = energies.iter().enumerate().all(|(other, energy)| other == index || most >= CLEAR * energy);
    stands_out.then_some((index, most))
}

/// The energy of a window at each of some frequencies in Hz (Goertzel's algorithm), in the units of the sum of its squares.
pub(crate) fn energies<const N: usize>(window: &[i16], hz: &[f32; N], rate: Rate) -> [f32; N] {
    let turns = hz.map(|hz| 2.0 * (TAU * hz / rate.hz() as f32).cos());
    let (mut last, mut before) = ([0.0_f32; N], [0.0_f32; N]);
    // All at once: a processor has several lanes.
    for &sample in window {
        let sample = f32::from(sample);
        for n in 0..N {
            (last[n], before[n]) = (sample + turns[n] * last[n] - before[n], last[n]);
        }
    }
    let energy = |n: usize| last[n] * last[n] + before[n] * before[n] - turns[n] * last[n] * before[n];
    std::array::from_fn(|n| energy(n) * 2.0 / window.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::rtp::codec::resample::resample;
    use crate::rtp::codec::{Codec, g711};

    const RATE_HZ: f32 = 8_000.0;

    /// A press of so many ms and then so much silence.
    fn press(key: char, ms: usize, pause_ms: usize, level: f32, detune: f32) -> Vec<i16> {
        let at = KEYS.iter().flatten().position(|known| *known == key).unwrap();
        let (low, high) = (ROWS[at / 4] * detune, COLUMNS[at % 4] * detune);
        let tone = |n: usize, hz: f32| (TAU * hz * n as f32 / RATE_HZ).sin();
        let mut pcm: Vec<i16> = (0..ms * 8).map(|n| ((tone(n, low) + tone(n, high)) * level) as i16).collect();
        pcm.resize((ms + pause_ms) * 8, 0);
        pcm
    }

    fn heard(pcm: &[i16]) -> String {
        let mut tones = Tones::new(Rate::Narrow);
        let narrow: String = pcm.chunks_exact(160).filter_map(|frame| tones.push(frame)).collect();
        let (mut tones, wide) = (Tones::new(Rate::Wide), resample(pcm, 8_000, 16_000).unwrap());
        let wide: String = wide.chunks_exact(320).filter_map(|frame| tones.push(frame)).collect();
        assert_eq!(narrow, wide, "it is the same sound");
        narrow
    }

    #[test]
    fn each_key_is_heard_once() {
        let all: String = KEYS.iter().flatten().collect();
        for (ms, pause_ms, level, detune) in
            [(80, 80, 6_000.0, 1.0), (65, 60, 1_000.0, 1.008), (100, 70, 14_000.0, 0.992), (3_000, 100, 400.0, 1.0)]
        {
            // Begun somewhere in a frame, through A-law, over the noise of a line.
            let mut rng = StdRng::seed_from_u64(23);
            let mut pcm = vec![0; 77];
            pcm.extend(all.chars().chain("5500".chars()).flat_map(|key| press(key, ms, pause_ms, level, detune)));
            pcm.iter_mut().for_each(|sample| *sample += rng.random_range(-40..=40));
            let pcm = g711::decode(Codec::Pcma, &g711::encode(Codec::Pcma, &pcm));
            assert_eq!(heard(&pcm), format!("{all}5500"), "{ms} ms, {level}, {detune}");
        }
    }

    #[test]
    fn what_is_no_press_is_not_heard() {
        let mut rng = StdRng::seed_from_u64(24);
        let noise: Vec<i16> = (0..8_000 * 60).map(|_| rng.random_range(-8_000..8_000)).collect();
        assert_eq!(heard(&noise), "");
        assert_eq!(heard(&press('5', 15, 100, 6_000.0, 1.0).repeat(50)), "", "too short");
        assert_eq!(heard(&press('5', 200, 100, 6_000.0, 1.035)), "", "too far beside");
        assert_eq!(heard(&press('5', 200, 100, 60.0, 1.0)), "", "too quiet");
        let one: Vec<i16> = (0..8_000).map(|n| ((TAU * 770.0 * n as f32 / RATE_HZ).sin() * 9_000.0) as i16).collect();
        assert_eq!(heard(&one), "", "one tone alone");
    }
}
