//! Opus (RFC 6716) in RTP (RFC 7587), by libopus: mono, 20 or 10 ms, for voice, with what the last packet said once more in each
//! (in-band FEC).
//!
//! libopus decodes and encodes at 8 and 16 kHz as well as at any other of its rates, so that no other conversion is needed.
//!
//! Left out: stereo (what comes in stereo is mixed), music, other packet times.

use ::opus::{Application, Bandwidth, Bitrate, Channels, Decoder, Encoder};

use crate::rtp::Rate;

/// What voice at 16 kHz wants with FEC, in bit/s.
const BITRATE: i32 = 24_000;
/// What libopus takes, and what makes any sense for voice.
const BITRATES: (u32, u32) = (6_000, 64_000);
/// Of 10: half the work of the best, which is hardly heard.
const COMPLEXITY: i32 = 5;
/// The loss that FEC is made for as long as the peer has not told another, in percent, and the limits of what he tells.
const EXPECTED_LOSS: u8 = 8;
const EXPECTED_LOSSES: (u8, u8) = (5, 25);
/// The longest payload of 20 ms at the highest of [`BITRATES`], and room.
const MAX_PAYLOAD: usize = 400;
/// A payload that says no more than that there is no voice need not be sent.
const NO_VOICE: usize = 2;
/// Decoders make up sound in units of 2.5 ms: 400 a second. At most 120 ms at once.
const UNITS_PER_S: usize = 400;
const MAX_UNITS: usize = 48;

/// What a peer's `a=fmtp` wants of our Opus (RFC 7587 §6.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpusTerms {
    /// `usedtx=1`: he likes us to send nothing while we say nothing.
    pub dtx: bool,
    /// `maxaveragebitrate`, in bit/s.
    pub max_bitrate: Option<u32>,
    /// `maxplaybackrate`, in Hz: he plays nothing above half of it.
    pub max_playback_hz: Option<u32>,
}

impl OpusTerms {
    /// What we tell the peer: no more than 16 kHz is of use to us, one channel, and FEC is.
    pub const OURS: &str = "maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;sprop-stereo=0;useinbandfec=1";

    /// Reads the parameters of `a=fmtp`; what makes no sense counts as not said.
    pub fn parse(parameters: &str) -> Self {
        let mut terms = Self::default();
        for parameter in parameters.split(';') {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let value: Option<u32> = value.trim().parse().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                "usedtx" => terms.dtx = value == Some(1),
                "maxaveragebitrate" => terms.max_bitrate = value,
                "maxplaybackrate" => terms.max_playback_hz = value,
                _ => {}
            }
        }
        terms
    }

    fn bitrate(self) -> i32 {
        let wanted = self.max_bitrate.map(|rate| rate.clamp(BITRATES.0, BITRATES.1));
        wanted.and_then(|rate| i32::try_from(rate).ok()).map_or(BITRATE, |rate| rate.min(BITRATE))
    }

    fn bandwidth(self, rate: Rate) -> Bandwidth {
        match (rate, self.max_playback_hz) {
            (Rate::Narrow, _) | (_, Some(..12_000)) => Bandwidth::Narrowband,
            (_, Some(12_000..16_000)) => Bandwidth::Mediumband,
            (_, _) => Bandwidth::Wideband,
        }
    }
}

/// How long a packet is; `None` if it is none.
pub fn samples(payload: &[u8], rate: Rate) -> Option<usize> {
    ::opus::packet::get_nb_samples(payload, rate.hz()).ok().filter(|samples| *samples > 0)
}

/// One source's packets in the order of their playing.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: Decoder,
    /// Samples in 2.5 ms.
    unit: usize,
}

impl OpusDecoder {
    /// `None` without memory.
    pub fn new(rate: Rate) -> Option<Self> {
        let decoder = Decoder::new(rate.hz(), Channels::Mono).ok()?;
        Some(Self { decoder, unit: rate.hz() as usize / UNITS_PER_S })
    }

    /// Writes the `len` samples of a packet; those of a loss, if it cannot be decoded.
    pub fn decode(&mut self, payload: &[u8], len: usize, pcm: &mut Vec<i16>) -> bool {
        if self.write(payload, len, false, pcm) {
            return true;
        }
        self.go_on(len, pcm);
        false
    }

    /// Writes what follows on what was heard: the voice fading away, or the noise behind it (DTX). `len` samples or up to
    /// 2.5 ms more.
    pub fn go_on(&mut self, len: usize, pcm: &mut Vec<i16>) {
        let units = len.div_ceil(self.unit).clamp(1, MAX_UNITS);
        self.write(&[], units * self.unit, false, pcm);
    }

    /// Writes `len` samples that were lost, the last of them from the packet that follows, if they are in it.
    pub fn recover(&mut self, len: usize, next: &[u8], pcm: &mut Vec<i16>) {
        if !len.is_multiple_of(self.unit) || !self.write(next, len, true, pcm) {
            self.go_on(len, pcm);
        }
    }

    /// Writes `len` samples or nothing.
    fn write(&mut self, payload: &[u8], len: usize, fec: bool, pcm: &mut Vec<i16>) -> bool {
        let begin = pcm.len();
        pcm.resize(begin + len, 0);
        let written = self.decoder.decode(payload, &mut pcm[begin..], fec).unwrap_or(0);
        pcm.truncate(begin + written);
        written > 0
    }
}

/// Our sound for one stream.
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: Encoder,
    expected_loss: u8,
}

impl OpusEncoder {
    /// `None` without memory.
    pub fn new(rate: Rate, terms: OpusTerms) -> Option<Self> {
        let mut encoder = Encoder::new(rate.hz(), Channels::Mono, Application::Voip).ok()?;
        encoder.set_complexity(COMPLEXITY).ok()?;
        encoder.set_bitrate(Bitrate::Bits(terms.bitrate())).ok()?;
        encoder.set_max_bandwidth(terms.bandwidth(rate)).ok()?;
        encoder.set_inband_fec(true).ok()?;
        encoder.set_packet_loss_perc(EXPECTED_LOSS.into()).ok()?;
        encoder.set_dtx(terms.dtx).ok()?;
        Some(Self { encoder, expected_loss: EXPECTED_LOSS })
    }

    /// The payload of 20 or 10 ms; `None` in a pause with DTX.
    pub fn encode(&mut self, pcm: &[i16]) -> Option<Vec<u8>> {
        let payload = self.encoder.encode_vec(pcm, MAX_PAYLOAD).ok()?;
        (payload.len() > NO_VOICE).then_some(payload)
    }

    pub fn expect_loss(&mut self, percent: u8) {
        let percent = percent.clamp(EXPECTED_LOSSES.0, EXPECTED_LOSSES.1);
        if percent != self.expected_loss && self.encoder.set_packet_loss_perc(percent.into()).is_ok() {
            self.expected_loss = percent;
        }
    }
}
