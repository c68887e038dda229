//! Our own voice that comes back in the caller's sound, from a hybrid or a loudspeaker, kept from those who listen to him.
//! What is recorded stays as it came.
//!
//! [`EchoGuard`] takes it out with the canceller of WebRTC (AEC3, by sonora), which knows what was played. That costs far
//! more than all else of a call's sound: so it runs from when something is first heard over our voice until that has been
//! out for some seconds without coming back ([`Coupling`] tells), and for the rest of the call once it has come back: what a
//! caller says at the same time hides it. Where our voice was out long enough to come back and nothing was heard, it does
//! not run at all until it does come back.
//!
//! Left out: echoes later than 600 ms.

use std::collections::VecDeque;

use sonora::config::EchoCanceller;
use sonora::{AudioProcessing, Config, StreamConfig};

/// The sound is looked at in pieces of 10 ms, in ms.
const HOP_MS: u32 = 10;
/// Delays at which our voice may come back: up to 600 ms, in hops.
const LAGS: usize = 60;
/// How much of our voice has to have been out before anything can be said: 2 s, in hops.
const ENOUGH: u32 = 200;
/// An echo of the first 200 ms of our voice would have come back by then, in hops.
const COME_BACK: u32 = 80;
/// How fast the past is forgotten: half counts after 1.4 s of our voice.
const MEMORY: f32 = 0.995;
/// How like its own echo the received loudness is when there is one, and when there is none.
const ECHO: f32 = 0.75;
const NO_ECHO: f32 = 0.55;
/// Level under which there is nothing to compare, in dB of full scale.
const FLOOR_DB: f32 = -60.0;
/// Level from which our voice is to be heard, and from which something is heard over it.
const VOICE_DB: f32 = -45.0;
const HEARD_DB: f32 = -55.0;

/// Whether the canceller is needed.
enum Need {
    /// Nothing has been heard over our voice so far.
    Unknown,
    /// Something has, and it is our voice or may be: the canceller runs.
    Running(Box<AudioProcessing>),
    /// Our voice has not come back.
    None,
}

/// Guards the ears of one call.
pub struct EchoGuard {
    rate_hz: u32,
    need: Need,
    coupling: Coupling,
    /// Our voice has come back in this call.
    is_proved: bool,
}

impl EchoGuard {
    /// For sound of 8,000 or 16,000 Hz.
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz, need: Need::Unknown, coupling: Coupling::default(), is_proved: false }
    }

    /// Whether what is heard may be our voice: all of it is not taken out before the canceller knows the line, and a soft or
    /// late echo may show only when more of it has been out.
    pub fn may_echo(&self) -> bool {
        match self.need {
            Need::Running(_) => true,
            Need::None => self.coupling.verdict() != Some(false),
            Need::Unknown => false,
        }
    }

    /// Takes out of `received` what has come back of what was `sent` up to now; both are of the same 20 ms.
    pub fn clean(&mut self, received: &mut [i16], sent: &[i16]) {
        let hop = (self.rate_hz * HOP_MS / 1_000) as usize;
        for (received, sent) in received.chunks_exact_mut(hop).zip(sent.chunks_exact(hop)) {
            let heard = level_db(received);
            self.coupling.push(heard, level_db(sent));
            let is_heard = heard >= HEARD_DB && self.coupling.is_speaking();
            let verdict = self.coupling.verdict();
            self.is_proved |= verdict == Some(true);
            match (&mut self.need, verdict) {
                (Need::Running(_), Some(false)) if !self.is_proved => self.need = Need::None,
                (Need::None, Some(true)) => self.need = Need::Running(canceller(self.rate_hz)),
                // The canceller takes the first syllables of a caller with the echo: not where there has been none.
                (Need::Unknown, _) if is_heard && self.coupling.heard >= COME_BACK => self.need = Need::None,
                (Need::Unknown, _) if is_heard => self.need = Need::Running(canceller(self.rate_hz)),
                _ => {}
            }
            if let Need::Running(canceller) = &mut self.need {
                cancel(canceller, received, sent);
            }
        }
    }
}

fn canceller(rate_hz: u32) -> Box<AudioProcessing> {
    let format = StreamConfig::new(rate_hz, 1);
    let config = Config { echo_canceller: Some(EchoCanceller::default()), ..Config::default() };
    Box::new(AudioProcessing::builder().config(config).capture_config(format).render_config(format).build())
}

/// Fails only on lengths and rates other than those it was made for, and then leaves the sound as it is.
fn cancel(canceller: &mut AudioProcessing, received: &mut [i16], sent: &[i16]) {
    let mut out = vec![0; received.len()];
    let played = canceller.process_render_i16(sent, &mut out);
    if played.and_then(|()| canceller.process_capture_i16(received, &mut out)).is_ok() {
        received.copy_from_slice(&out);
    }
}

/// In dB of full scale, no less than [`FLOOR_DB`].
fn level_db(pcm: &[i16]) -> f32 {
    let energy: f32 = pcm.iter().map(|&sample| f32::from(sample).powi(2)).sum();
    let mean = energy / pcm.len().max(1) as f32 / (32_768.0 * 32_768.0);
    (10.0 * mean.max(1e-9).log10()).max(FLOOR_DB)
}

/// How much the loudness of what is received goes up and down as that of our voice did a while before: the greatest
/// correlation over all delays.
#[derive(Debug)]
struct Coupling {
    /// Levels of what was sent, the latest first.
    sent: VecDeque<f32>,
    received: Moments,
    lags: Vec<(Moments, f32)>,
    /// Hops since our voice was last out.
    quiet: usize,
    heard: u32,
}

/// Mean and variance, the past being forgotten.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    mean: f32,
    variance: f32,
}

impl Default for Coupling {
    fn default() -> Self {
        Self {
            sent: VecDeque::from(vec![FLOOR_DB; LAGS]),
            received: Moments { mean: FLOOR_DB, variance: 0.0 },
            lags: vec![(Moments { mean: FLOOR_DB, variance: 0.0 }, 0.0); LAGS],
            quiet: LAGS,
            heard: 0,
        }
    }
}

impl Coupling {
    fn push(&mut self, received: f32, sent: f32) {
        self.sent.pop_back();
        self.sent.push_front(sent);
        self.quiet = if sent >= VOICE_DB { 0 } else { self.quiet + 1 };
        // Without our voice there is nothing to learn.
        if !self.is_speaking() {
            return;
        }
        self.heard = (self.heard + 1).min(ENOUGH);
        let received_off = self.received.note(received);
        for ((moments, covariance), &sent) in self.lags.iter_mut().zip(&self.sent) {
            let sent_off = moments.note(sent);
            *covariance = *covariance * MEMORY + received_off * sent_off * (1.0 - MEMORY);
        }
    }

    /// Whether our voice may be coming back now.
    fn is_speaking(&self) -> bool {
        self.quiet < LAGS
    }

    /// Whether our voice comes back; `None` when that is open.
    fn verdict(&self) -> Option<bool> {
        if self.heard < ENOUGH {
            return None;
        }
        let like = self.likeness();
        if like >= ECHO {
            return Some(true);
        }
        (like <= NO_ECHO).then_some(false)
    }

    fn likeness(&self) -> f32 {
        let of = |(sent, covariance): &(Moments, f32)| {
            let scale = (sent.variance * self.received.variance).sqrt();
            if scale > 1.0 { covariance / scale } else { 0.0 }
        };
        self.lags.iter().map(of).fold(0.0, f32::max)
    }
}

impl Moments {
    /// How far the value is from the mean so far.
    fn note(&mut self, value: f32) -> f32 {
        let off = value - self.mean;
        self.mean += off * (1.0 - MEMORY);
        self.variance = self.variance * MEMORY + off * off * (1.0 - MEMORY);
        off
    }
}

#[cfg(test)]
mod tests;
