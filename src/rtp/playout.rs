//! The outgoing queue: audio waiting to be spoken, cut into frames of 20 ms.
//!
//! Each piece carries a mark that the caller of [`Playout::push`] chose, so that after an interruption it is known what
//! was heard. It is played softer, or waits, while somebody speaks over it ([`Loudness`]).
//!
//! Left out: mixing.

use std::collections::VecDeque;

use super::{Frame, Rate};

/// One minute of audio, in samples at 8 kHz, as all here.
const MAX_QUEUED_SAMPLES: usize = 60 * 8_000;
/// How fast a voice that is stopped fades away: 5 ms. Stopping dead would click.
const FADE_SAMPLES: usize = 40;
/// How fast the loudness changes from full to nothing: 10 ms, in samples at 8 kHz.
const RAMP_SAMPLES: usize = 80;

/// How loud what is queued is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loudness {
    #[default]
    Full,
    /// 15 dB softer: somebody begins to speak over it.
    Ducked,
    /// Not at all: it waits.
    Held,
}

impl Loudness {
    const fn gain(self) -> f32 {
        match self {
            Loudness::Full => 1.0,
            Loudness::Ducked => 0.178,
            Loudness::Held => 0.0,
        }
    }
}

/// Audio that was queued and never played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unplayed {
    pub mark: u64,
    pub samples: usize,
}

/// Queue of audio at the call's rate, bounded to a minute.
#[derive(Debug)]
pub struct Playout {
    rate: Rate,
    segments: VecDeque<Segment>,
    queued: usize,
    /// The end of what was stopped, fading.
    fading: Vec<i16>,
    loudness: Loudness,
    /// On its way to that of `loudness`.
    gain: f32,
}

#[derive(Debug)]
struct Segment {
    mark: u64,
    pcm: VecDeque<i16>,
}

impl Playout {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            segments: VecDeque::new(),
            queued: 0,
            fading: Vec::new(),
            loudness: Loudness::Full,
            gain: Loudness::Full.gain(),
        }
    }

    /// From now on, within 10 ms; until [`clear`](Self::clear).
    pub fn set_loudness(&mut self, loudness: Loudness) {
        self.loudness = loudness;
    }

    /// Queues audio behind what is there and returns how many of its samples found room.
    pub fn push(&mut self, mark: u64, pcm: &[i16]) -> usize {
        let pcm = &pcm[..pcm.len().min(self.rate.scaled(MAX_QUEUED_SAMPLES) - self.queued)];
        if pcm.is_empty() {
            return 0;
        }
        self.queued += pcm.len();
        match self.segments.back_mut() {
            Some(last) if last.mark == mark => last.pcm.extend(pcm),
            _ => self.segments.push_back(Segment { mark, pcm: pcm.iter().copied().collect() }),
        }
        pcm.len()
    }

    /// Stops within 5 ms and returns what was not played, in order. What follows is played at full loudness.
    pub fn clear(&mut self) -> Vec<Unplayed> {
        // A fade that is not out yet goes on; the new audio behind it was never heard.
        if self.fading.is_empty() {
            let fade = self.rate.scaled(FADE_SAMPLES);
            let mut left = fade;
            for segment in &mut self.segments {
                let taken = left.min(segment.pcm.len());
                self.fading.extend(segment.pcm.drain(..taken));
                left -= taken;
            }
            for (n, sample) in self.fading.iter_mut().enumerate() {
                let gain = self.gain * fade.saturating_sub(n) as f32 / (fade + 1) as f32;
                *sample = (f32::from(*sample) * gain) as i16;
            }
        }
        self.queued = 0;
        (self.loudness, self.gain) = (Loudness::Full, Loudness::Full.gain());
        let unplayed = |s: Segment| (!s.pcm.is_empty()).then_some(Unplayed { mark: s.mark, samples: s.pcm.len() });
        self.segments.drain(..).filter_map(unplayed).collect()
    }

    /// Samples that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether there is audio to play. What fades away after [`clear`](Self::clear) does not count.
    pub fn is_playing(&self) -> bool {
        self.queued > 0
    }

    /// The next 20 ms, silence where there is nothing, and the mark of the last queued sample in it.
    pub fn next_frame(&mut self) -> (Frame, Option<u64>) {
        let mut frame = Frame::silent(self.rate);
        let mut mark = None;
        let faded = std::mem::take(&mut self.fading);
        let (front, mut rest) = frame.split_at_mut(faded.len());
        front.copy_from_slice(&faded[..front.len()]);
        let audible = self.audible(rest.len());
        rest = &mut rest[..audible];
        while let Some(segment) = self.segments.front_mut().filter(|_| !rest.is_empty()) {
            let count = segment.pcm.len().min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(count);
            let (first, second) = segment.pcm.as_slices();
            let (before, after) = now.split_at_mut(count.min(first.len()));
            before.copy_from_slice(&first[..before.len()]);
            after.copy_from_slice(&second[..after.len()]);
            self.gain = ramp(now, self.gain, self.loudness.gain(), self.rate.scaled(RAMP_SAMPLES));
            segment.pcm.drain(..count);
            if count > 0 {
                mark = Some(segment.mark);
            }
            self.queued -= count;
            rest = later;
            if segment.pcm.is_empty() {
                self.segments.pop_front();
            }
        }
        (frame, mark)
    }

    /// How many of the next `samples` are played before the loudness is nothing.
    fn audible(&self, samples: usize) -> usize {
        match self.loudness {
            Loudness::Full | Loudness::Ducked => samples,
            Loudness::Held => samples.min((self.gain * self.rate.scaled(RAMP_SAMPLES) as f32).ceil() as usize),
        }
    }
}

/// Takes the loudness of `pcm` from `gain` towards `target`, as far as the time is enough; tells where it has come to.
fn ramp(pcm: &mut [i16], mut gain: f32, target: f32, samples_to_full: usize) -> f32 {
    if gain == target && target == 1.0 {
        return gain;
    }
    let step = 1.0 / samples_to_full as f32;
    for sample in pcm {
        gain = if gain < target { (gain + step).min(target) } else { (gain - step).max(target) };
        *sample = (f32::from(*sample) * gain) as i16;
    }
    gain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(playout: &mut Playout) -> (Vec<i16>, Option<u64>) {
        let (frame, mark) = playout.next_frame();
        (frame.to_vec(), mark)
    }

    #[test]
    fn plays_segments_in_order_and_names_them() {
        let mut playout = Playout::new(Rate::Narrow);
        assert_eq!(playout.push(1, &[10; 200]), 200);
        assert_eq!(playout.push(2, &[20; 100]), 100);
        assert_eq!(next(&mut playout), ([10; 160].to_vec(), Some(1)));
        let (frame, mark) = playout.next_frame();
        assert_eq!((frame[39], frame[40], frame[139], frame[140], mark), (10, 20, 20, 0, Some(2)));
        assert!(!playout.is_playing());
        assert_eq!(next(&mut playout), ([0; 160].to_vec(), None));
    }

    #[test]
    fn takes_no_more_than_a_minute() {
        let mut playout = Playout::new(Rate::Narrow);
        assert_eq!(playout.push(1, &vec![1; MAX_QUEUED_SAMPLES - 10]), MAX_QUEUED_SAMPLES - 10);
        assert_eq!(playout.push(2, &[1; 30]), 10);
        assert_eq!(playout.push(3, &[1; 30]), 0);
        playout.next_frame();
        assert_eq!(playout.push(3, &[1; 300]), 160);
    }

    #[test]
    fn clear_fades_out_and_tells_what_was_not_heard() {
        let mut playout = Playout::new(Rate::Narrow);
        playout.push(1, &[1_000; 200]);
        playout.push(2, &[1_000; 500]);
        playout.push(3, &[1_000; 500]);
        playout.next_frame();
        let unplayed = playout.clear();
        // 40 samples of mark 1 were left, and the fade took them.
        assert_eq!(unplayed, [Unplayed { mark: 2, samples: 500 }, Unplayed { mark: 3, samples: 500 }]);
        assert!(!playout.is_playing());
        let (frame, mark) = playout.next_frame();
        assert!(frame[..40].windows(2).all(|s| s[0] >= s[1]) && frame[0] > 900 && frame[39] < 50);
        assert_eq!((&frame[40..], mark), (&[0; 120][..], None));
        assert_eq!(next(&mut playout), ([0; 160].to_vec(), None));
    }

    #[test]
    fn ducked_it_goes_on_softer_and_held_it_waits_where_it_was() {
        let mut playout = Playout::new(Rate::Narrow);
        playout.push(1, &[1_000; 1_600]);
        playout.set_loudness(Loudness::Ducked);
        let (frame, mark) = next(&mut playout);
        assert!(frame[0] > 950 && frame[..80].windows(2).all(|s| s[0] >= s[1]), "{frame:?}");
        assert_eq!((frame[159], mark, playout.queued()), (178, Some(1), 1_440));
        playout.set_loudness(Loudness::Held);
        let (frame, _) = next(&mut playout);
        assert_eq!((frame[20..].iter().max(), playout.queued()), (Some(&0), 1_425), "a few samples fade away");
        for _ in 0..100 {
            assert_eq!(next(&mut playout), ([0; 160].to_vec(), None));
        }
        assert!(playout.is_playing());
        playout.set_loudness(Loudness::Full);
        let (frame, mark) = next(&mut playout);
        assert!(frame[..80].windows(2).all(|s| s[0] <= s[1]), "{frame:?}");
        assert_eq!((frame[159], mark, playout.queued()), (1_000, Some(1), 1_265));
    }

    #[test]
    fn what_is_said_after_a_stop_is_loud() {
        let mut playout = Playout::new(Rate::Narrow);
        playout.push(1, &[1_000; 500]);
        playout.set_loudness(Loudness::Held);
        playout.next_frame();
        playout.clear();
        playout.push(2, &[1_000; 320]);
        playout.next_frame();
        assert_eq!(next(&mut playout).0, [1_000; 160]);
    }

    #[test]
    fn new_audio_follows_the_fade() {
        let mut playout = Playout::new(Rate::Narrow);
        playout.push(1, &[1_000; 500]);
        playout.clear();
        playout.push(2, &[7; 120]);
        let (frame, mark) = playout.next_frame();
        assert_eq!((frame[40], frame[159], mark), (7, 7, Some(2)));
        assert_eq!(playout.clear(), []);
    }
}
