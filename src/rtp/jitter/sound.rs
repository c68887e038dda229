//! What was just played and what is to be played next, in one piece, so that it can be continued where nothing came, and
//! stretched.
//!
//! Left out: the colour of comfort noise (RFC 3389 §3.2): its level is taken, and it is made soft.

use super::stretch::{self, Conditions};
use crate::rtp::Rate;
use crate::rtp::conceal::{Concealer, history};

/// The loudest comfort noise: −40 dBov. The level of a packet is meant to be some 60.
const MAX_NOISE_LEVEL: u8 = 40;
/// Below this there is nothing to hear in 16 bits.
const MIN_NOISE_LEVEL: u8 = 90;
/// How fast silence follows on sound: what was played last goes on so much smaller each sample. 4 ms. In samples at 8 kHz,
/// as all these.
const FADE_SAMPLES: usize = 32;
/// How fast a voice begins that began before: 5 ms.
const RISE: usize = 40;
/// How fast one level of noise gives way to another: 50 ms.
const LEVEL_SAMPLES: usize = 400;

/// A pause is 28 dB below the loudest of the last seconds, which counts half after 7 s; its peak is between these two, −42
/// and −30 dB of full scale.
const QUIETER: f32 = 25.0;
const FORGETTING: f32 = 0.998;
const QUIET_PEAKS: (u16, u16) = (256, 1_024);

/// The sound of one stream.
#[derive(Debug)]
pub struct Sound {
    rate: Rate,
    /// [`history`] samples that were played, then those to be played.
    samples: Vec<i16>,
    concealer: Concealer,
    rest: Rest,
    /// Whether something real is ahead, or something made up.
    real: bool,
    made_up: bool,
    /// Whether what is made up is at the end of it.
    ends_made_up: bool,
    /// How far a voice is that has to begin softly, once there has been any.
    risen: Option<usize>,
    /// Peak of the last seconds.
    loudest: f32,
}

/// What is played while the sender is silent.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// How much of what was played last goes on, and of a level that is not wanted any more, each sample.
    fade: f32,
    approach: f32,
    /// Whether it is what was written last.
    goes_on: bool,
    /// What is left of the sample before it.
    end: f32,
    /// Root mean square of the noise now, and that the sender asked for.
    level: f32,
    wanted: f32,
    random: u32,
    last_random: f32,
}

/// What a frame is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub real: bool,
    pub made_up: bool,
}

impl Sound {
    pub fn new(rate: Rate) -> Self {
        let rest = Rest {
            fade: 1.0 - 1.0 / rate.scaled(FADE_SAMPLES) as f32,
            approach: 1.0 / rate.scaled(LEVEL_SAMPLES) as f32,
            goes_on: true,
            end: 0.0,
            level: 0.0,
            wanted: 0.0,
            random: 1,
            last_random: 0.0,
        };
        Self {
            rate,
            samples: vec![0; history(rate)],
            concealer: Concealer::new(rate),
            rest,
            real: false,
            made_up: false,
            ends_made_up: false,
            risen: None,
            loudest: 0.0,
        }
    }

    /// How many samples are to be played.
    pub fn ahead(&self) -> usize {
        self.samples.len() - history(self.rate)
    }

    /// Adds what `decode` writes, without its first `skip` samples. What begins after a rest and is not the beginning of a
    /// `talkspurt` may begin in the middle of a word, and is softened; but not the very first. Returns what `decode` does.
    pub fn add_real(&mut self, talkspurt: bool, skip: usize, decode: impl FnOnce(&mut Vec<i16>) -> bool) -> bool {
        let begin = self.samples.len();
        let decoded = decode(&mut self.samples);
        let skipped = skip.min(self.samples.len() - begin);
        self.samples.drain(begin..begin + skipped);
        let added = &mut self.samples[begin..];
        self.concealer.real(added);
        if self.rest.goes_on && !talkspurt && self.risen.is_some() {
            self.risen = Some(0);
        }
        let rise = self.rate.scaled(RISE);
        let risen = self.risen.get_or_insert(rise);
        for sample in added.iter_mut().take(rise - *risen) {
            *sample = (i32::from(*sample) * *risen as i32 / rise as i32) as i16;
            *risen += 1;
        }
        (self.real, self.ends_made_up) = (true, false);
        self.rest = Rest { goes_on: false, wanted: 0.0, level: 0.0, ..self.rest };
        decoded
    }

    /// Makes up what is missing. Returns how much of it has something to say.
    pub fn add_lost(&mut self, len: usize) -> usize {
        let made_up = self.concealer.lost(&mut self.samples, len);
        self.made_up |= made_up > 0;
        self.ends_made_up = true;
        self.rest.goes_on = false;
        made_up
    }

    /// Adds what a codec makes of its own accord, up to `len` samples: in place of what is `lost`, or of a silence. Returns
    /// how many there are.
    pub fn add_codecs_own(&mut self, lost: bool, len: usize, make: impl FnOnce(&mut Vec<i16>)) -> usize {
        let begin = self.samples.len();
        make(&mut self.samples);
        self.samples.truncate(begin + len);
        let made = self.samples.len() - begin;
        if made > 0 {
            self.concealer.end();
            self.made_up |= lost;
            self.ends_made_up = lost;
            let end = self.samples.last().copied().map_or(0.0, f32::from);
            self.rest = Rest { goes_on: !lost, end, wanted: 0.0, level: 0.0, ..self.rest };
        }
        made
    }

    /// Adds the silence of a sender, or the noise that he asked for instead.
    pub fn add_rest(&mut self, len: usize) {
        if !self.rest.goes_on {
            self.concealer.end();
            self.rest.goes_on = true;
            self.rest.end = self.samples.last().copied().map_or(0.0, f32::from);
        }
        let rest = &mut self.rest;
        self.samples.extend((0..len).map(|_| rest.sample()));
    }

    /// Noise in place of silence, of a level as RFC 3389 §3.1 has it: 0 to 127, in dB below overload.
    pub fn set_noise(&mut self, level: u8) {
        self.rest.wanted = match level.max(MAX_NOISE_LEVEL) {
            MIN_NOISE_LEVEL.. => 0.0,
            level => 32_768.0 * 10f32.powf(-f32::from(level) / 20.0),
        };
        if !self.rest.goes_on {
            self.rest.level = self.rest.wanted;
        }
    }

    /// Whether there has been nothing of the sender's to be heard for a while.
    pub fn is_resting(&self) -> bool {
        self.ahead() == 0 && (self.rest.goes_on || self.concealer.has_faded())
    }

    /// See [`stretch::shorten`].
    pub fn shorten(&mut self, most: usize, alike: f32) -> usize {
        let conditions = Conditions { rate: self.rate, alike, quiet: self.quiet_peak() };
        stretch::shorten(&mut self.samples, history(self.rate), most, conditions)
    }

    /// See [`stretch::lengthen`].
    pub fn lengthen(&mut self, alike: f32) -> usize {
        let conditions = Conditions { rate: self.rate, alike, quiet: self.quiet_peak() };
        stretch::lengthen(&mut self.samples, history(self.rate), stretch::max_lag(self.rate), conditions)
    }

    /// Whether the next `len` samples have nothing of importance to be heard.
    pub fn is_quiet(&self, len: usize) -> bool {
        let ahead = &self.samples[history(self.rate)..];
        stretch::is_quiet(&ahead[..len.min(ahead.len())], self.quiet_peak())
    }

    /// What is a pause to a voice as loud as this one.
    fn quiet_peak(&self) -> u16 {
        ((self.loudest / QUIETER) as u16).clamp(QUIET_PEAKS.0, QUIET_PEAKS.1)
    }

    /// Drops up to `len` samples unheard and returns how many there were.
    pub fn skip(&mut self, len: usize) -> usize {
        let skipped = len.min(self.ahead());
        let begin = history(self.rate);
        self.samples.drain(begin..begin + skipped);
        skipped
    }

    /// Plays a frame, for which there have to be enough samples.
    pub fn play(&mut self, frame: &mut [i16]) -> Made {
        for (slot, &sample) in frame.iter_mut().zip(&self.samples[history(self.rate)..]) {
            *slot = sample;
        }
        self.samples.drain(..frame.len().min(self.ahead()));
        let peak = frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        self.loudest = (self.loudest * FORGETTING).max(peak.into());
        let made = Made { real: self.real, made_up: self.made_up };
        let goes_on = self.ahead() > 0;
        (self.real, self.made_up) = (goes_on && !self.ends_made_up, goes_on && self.ends_made_up);
        made
    }
}

impl Rest {
    fn sample(&mut self) -> i16 {
        self.end *= self.fade;
        self.level += (self.wanted - self.level) * self.approach;
        // xorshift: noise needs no better randomness, and is the same in each run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let random = self.random as f32 / u32::MAX as f32 * 2.0 - 1.0;
        // The mean of two has less of the high frequencies; √6 makes its root mean square 1.
        let noise = (random + self.last_random) / 2.0 * 6f32.sqrt();
        self.last_random = random;
        (self.end + self.level * noise) as i16
    }
}
