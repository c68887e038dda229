//! Cuts a recording of any length, at pauses, into stretches that Whisper can take. Nothing is left out or said twice, and
//! no more of it is held than one stretch.

use std::convert::Infallible;
use std::ops::Range;

/// Longest stretch, and the shortest that a longer recording is cut into, in seconds.
const WINDOW_S: Range<usize> = 15..28;
/// A cut is made in the middle of the quietest stretch of this length.
const PAUSE_MS: usize = 200;

/// A stretch of a recording.
#[derive(Debug, PartialEq, Eq)]
pub struct Window {
    /// Samples before it.
    pub start: u64,
    /// At most 28 s.
    pub pcm: Vec<i16>,
}

/// The windows of a stream of samples, one after the other. An error of the stream ends them.
pub struct Windows<S> {
    samples: S,
    rate: usize,
    start: u64,
    buffer: Vec<i16>,
}

impl<S, E> Windows<S>
where
    S: Iterator<Item = Result<i16, E>>,
{
    pub fn new(samples: S, rate_hz: u32) -> Self {
        Self { samples, rate: rate_hz.max(1) as usize, start: 0, buffer: Vec::new() }
    }
}

impl<S, E> Iterator for Windows<S>
where
    S: Iterator<Item = Result<i16, E>>,
{
    type Item = Result<Window, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let longest = WINDOW_S.end * self.rate;
        while self.buffer.len() <= longest {
            match self.samples.next() {
                Some(Ok(sample)) => self.buffer.push(sample),
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        if self.buffer.is_empty() {
            return None;
        }
        let cut = if self.buffer.len() <= longest {
            self.buffer.len()
        } else {
            let shortest = WINDOW_S.start * self.rate;
            shortest + quietest(self.buffer.get(shortest..longest).unwrap_or_default(), self.rate)
        };
        let rest = self.buffer.split_off(cut);
        let window = Window { start: self.start, pcm: std::mem::replace(&mut self.buffer, rest) };
        self.start += window.pcm.len() as u64;
        Some(Ok(window))
    }
}

/// The windows of samples that are there already.
pub fn windows(pcm: &[i16], rate_hz: u32) -> impl Iterator<Item = Window> {
    Windows::new(pcm.iter().map(|&sample| Ok::<_, Infallible>(sample)), rate_hz).flatten()
}

/// The middle of the quietest [`PAUSE_MS`] of a sound.
fn quietest(pcm: &[i16], rate: usize) -> usize {
    let pause = (PAUSE_MS * rate / 1_000).max(1);
    let energy = |stretch: &[i16]| stretch.iter().map(|&s| u64::from(s.unsigned_abs()).pow(2)).sum::<u64>();
    let starts = (0..pcm.len()).step_by(pause.div_ceil(2));
    let whole = starts.filter_map(|at| pcm.get(at..at + pause).map(|stretch| (at, energy(stretch))));
    whole.min_by_key(|&(_, energy)| energy).map_or(pcm.len(), |(at, _)| at + pause / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn windows(pcm: &[i16]) -> Vec<Window> {
        super::windows(pcm, 8_000).collect()
    }

    #[test]
    fn short_recording_is_one_window() {
        assert_eq!(windows(&[5; 80_000]), [Window { start: 0, pcm: vec![5; 80_000] }]);
        assert_eq!(windows(&[]), []);
    }

    #[test]
    fn long_recording_is_cut_at_pauses() {
        let mut pcm = vec![1_000; 60 * 8_000];
        // Half a second of silence at 20 s, and at 44 s.
        pcm[160_000..164_000].fill(0);
        pcm[352_000..356_000].fill(0);
        let windows = windows(&pcm);
        let starts: Vec<_> = windows.iter().map(|window| window.start).collect();
        println!("{starts:?}");
        assert_eq!(starts.len(), 3);
        assert!((160_000..164_000).contains(&starts[1]) && (352_000..356_000).contains(&starts[2]));
        assert_eq!(windows.into_iter().flat_map(|window| window.pcm).collect::<Vec<_>>(), pcm);
    }

    #[test]
    fn recording_without_pauses_is_cut_all_the_same() {
        let windows = windows(&vec![1_000; 100 * 8_000]);
        assert!(windows.iter().all(|w| w.pcm.len() <= 28 * 8_000 && !w.pcm.is_empty()));
        assert_eq!(windows.iter().map(|w| w.pcm.len()).sum::<usize>(), 100 * 8_000);
    }

    #[test]
    fn no_more_than_a_window_of_an_hour_is_held() {
        let (drawn, mut given, mut most) = (Cell::new(0_usize), 0, 0);
        let samples = (0..3_600 * 8_000).map(|n| {
            drawn.set(drawn.get() + 1);
            Ok::<_, Infallible>(if n % 40_000 < 36_000 { 1_000 } else { 0 })
        });
        for window in Windows::new(samples, 8_000) {
            most = most.max(drawn.get() - given);
            given += window.unwrap().pcm.len();
        }
        println!("at most {most} samples held");
        assert_eq!(given, 3_600 * 8_000);
        assert!(most <= 28 * 8_000 + 1);
    }

    #[test]
    fn broken_stream_says_so() {
        let samples = (0..10).map(|n| if n < 5 { Ok(n) } else { Err("damaged") });
        assert_eq!(Windows::new(samples, 8_000).next(), Some(Err("damaged")));
    }
}
