//! At what rate the sound of a call is, and 20 ms of it.

use std::array;
use std::iter::Take;
use std::ops::{Deref, DerefMut};

/// The rate of a call's sound, the same for its whole life: a codec of another one is converted where it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// 8 kHz, for G.711.
    Narrow,
    /// 16 kHz, for G.722 and Opus.
    Wide,
}

impl Rate {
    pub const fn hz(self) -> u32 {
        8_000 * self.factor()
    }

    /// Samples in 20 ms.
    pub const fn frame_samples(self) -> usize {
        self.scaled(160)
    }

    /// How many samples are as long as `samples` at 8 kHz.
    pub const fn scaled(self, samples: usize) -> usize {
        samples * self.factor() as usize
    }

    /// The same for a span of time.
    pub(super) const fn span(self, samples: i64) -> i64 {
        samples * self.factor() as i64
    }

    const fn factor(self) -> u32 {
        match self {
            Rate::Narrow => 1,
            Rate::Wide => 2,
        }
    }
}

/// 20 ms of 16-bit mono sound at a call's rate; a slice of 160 or 320 samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    rate: Rate,
    samples: [i16; Rate::Wide.frame_samples()],
}

impl Frame {
    pub const fn silent(rate: Rate) -> Self {
        Self { rate, samples: [0; Rate::Wide.frame_samples()] }
    }

    pub const fn rate(&self) -> Rate {
        self.rate
    }
}

impl Deref for Frame {
    type Target = [i16];

    fn deref(&self) -> &[i16] {
        &self.samples[..self.rate.frame_samples()]
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..self.rate.frame_samples()]
    }
}

impl IntoIterator for Frame {
    type Item = i16;
    type IntoIter = Take<array::IntoIter<i16, { Rate::Wide.frame_samples() }>>;

    fn into_iter(self) -> Self::IntoIter {
        self.samples.into_iter().take(self.rate.frame_samples())
    }
}
