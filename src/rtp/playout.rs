//! The outgoing queue: audio waiting to be spoken, cut into frames of 20 ms.
//!
//! Each piece carries a mark that the caller of [`Playout::push`] chose, so that after an interruption it is known what
//! was heard.
//!
//! Left out: mixing, levels.

use std::collections::VecDeque;

use super::{Frame, Rate};

/// One minute of audio, in samples at 8 kHz, as all here.
const MAX_QUEUED_SAMPLES: usize = 60 * 8_000;
/// How fast a voice that is stopped fades away: 5 ms. Stopping dead would click.
const FADE_SAMPLES: usize = 40;

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
}

#[derive(Debug)]
struct Segment {
    mark: u64,
    pcm: VecDeque<i16>,
}

impl Playout {
    pub fn new(rate: Rate) -> Self {
        Self { rate, segments: VecDeque::new(), queued: 0, fading: Vec::new() }
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

    /// Stops within 5 ms and returns what was not played, in order.
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
                let gain = fade.saturating_sub(n) as f32 / (fade + 1) as f32;
                *sample = (f32::from(*sample) * gain) as i16;
            }
        }
        self.queued = 0;
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
        while let Some(segment) = self.segments.front_mut().filter(|_| !rest.is_empty()) {
            let count = segment.pcm.len().min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(count);
            let (first, second) = segment.pcm.as_slices();
            let (before, after) = now.split_at_mut(count.min(first.len()));
            before.copy_from_slice(&first[..before.len()]);
            after.copy_from_slice(&second[..after.len()]);
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
