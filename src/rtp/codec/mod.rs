//! Audio codecs of the call and what SDP says of them (RFC 3551 §6, RFC 7587, RFC 8866 §6.6).
//!
//! A [`Decoder`] and an [`Encoder`] are the two ends of a stream: whatever the codec, sound is at the rate of the call on our
//! side of them.
//!
//! Left out: more than one channel; G.722 at 48 and 56 kbit/s.

pub mod g711;
mod g722;
mod halfband;
mod opus;
pub mod resample;

pub use self::opus::OpusTerms;

use self::g722::{G722Decoder, G722Encoder};
use self::halfband::Doubler;
use self::opus::{OpusDecoder, OpusEncoder};
use super::Rate;

/// A codec that a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6716, in RTP by RFC 7587.
    Opus,
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

impl Codec {
    /// In the order in which we offer them.
    pub const ALL: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];

    /// The static payload type (RFC 3551 §6); Opus has none.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Codec::Opus => None,
            Codec::G722 => Some(9),
            Codec::Pcma => Some(8),
            Codec::Pcmu => Some(0),
        }
    }

    /// The encoding name of `a=rtpmap`, compared without case.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::G722 => "G722",
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
        }
    }

    /// The RTP clock in Hz. That of G.722 is half of its sampling rate (RFC 3551 §4.5.2), that of Opus 48,000 whatever it
    /// carries (RFC 7587 §4.1).
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            Codec::G722 | Codec::Pcma | Codec::Pcmu => 8_000,
        }
    }

    /// Units of the clock in 20 ms.
    pub const fn frame_ticks(self) -> u32 {
        self.clock_rate_hz() / 50
    }

    /// The rate at which nothing of what it carries is lost to us.
    pub const fn rate(self) -> Rate {
        match self {
            Codec::Opus | Codec::G722 => Rate::Wide,
            Codec::Pcma | Codec::Pcmu => Rate::Narrow,
        }
    }

    /// The codec that a static payload type names without any `a=rtpmap`.
    pub fn from_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.static_payload_type() == Some(payload_type))
    }

    /// The codec that `a=rtpmap:<pt> <name>/<clock>[/<channels>]` names. Opus is always written as stereo (RFC 7587 §7).
    pub fn from_rtpmap(name: &str, clock_rate_hz: u32, channels: u8) -> Option<Self> {
        let named = |codec: &Codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate_hz() == clock_rate_hz;
        let codec = Self::ALL.into_iter().find(named)?;
        let fits = channels == 1 || (codec == Codec::Opus && channels == 2);
        fits.then_some(codec)
    }

    /// How many samples at `rate` a payload is long; `None` if it is no sound of this codec.
    pub fn samples(self, payload: &[u8], rate: Rate) -> Option<usize> {
        match self {
            Codec::Opus => opus::samples(payload, rate),
            Codec::G722 | Codec::Pcma | Codec::Pcmu => Some(rate.scaled(payload.len())),
        }
    }
}

/// Decodes one source's packets in the order of their playing.
#[derive(Debug)]
pub struct Decoder {
    rate: Rate,
    state: Decoding,
}

#[derive(Debug)]
enum Decoding {
    /// Nothing that is remembered.
    Plain,
    Doubled(Box<Doubler>),
    G722(Box<G722Decoder>),
    Opus(OpusDecoder),
}

impl Decoder {
    pub fn new(rate: Rate) -> Self {
        Self { rate, state: Decoding::Plain }
    }

    /// Writes a packet's sound behind what `pcm` holds: always [`Codec::samples`] of it. Tells whether it could be decoded; in
    /// place of what could not is what the codec would play if it had been lost, or silence.
    pub fn decode(&mut self, codec: Codec, payload: &[u8], pcm: &mut Vec<i16>) -> bool {
        let end = pcm.len() + codec.samples(payload, self.rate).unwrap_or(0);
        let fits = matches!(
            (&self.state, codec, self.rate),
            (Decoding::Plain, Codec::Pcma | Codec::Pcmu, Rate::Narrow)
                | (Decoding::Doubled(_), Codec::Pcma | Codec::Pcmu, Rate::Wide)
                | (Decoding::G722(_), Codec::G722, _)
                | (Decoding::Opus(_), Codec::Opus, _)
        );
        if !fits {
            self.state = match codec {
                Codec::Opus => OpusDecoder::new(self.rate).map_or(Decoding::Plain, Decoding::Opus),
                Codec::G722 => Decoding::G722(Box::new(G722Decoder::new(self.rate))),
                Codec::Pcma | Codec::Pcmu if self.rate == Rate::Wide => Decoding::Doubled(Box::default()),
                Codec::Pcma | Codec::Pcmu => Decoding::Plain,
            };
        }
        let decoded = match (&mut self.state, codec) {
            (Decoding::Opus(decoder), Codec::Opus) => decoder.decode(payload, end - pcm.len(), pcm),
            (Decoding::G722(decoder), Codec::G722) => {
                decoder.decode(payload, pcm);
                true
            }
            (Decoding::Doubled(doubler), Codec::Pcma | Codec::Pcmu) => {
                doubler.double(&g711::decode(codec, payload), pcm);
                true
            }
            (Decoding::Plain, Codec::Pcma | Codec::Pcmu) => {
                g711::decode_onto(codec, payload, pcm);
                true
            }
            _ => false,
        };
        pcm.resize(end, 0);
        decoded
    }

    /// Whether the codec makes up itself what is lost.
    pub fn conceals(&self) -> bool {
        matches!(self.state, Decoding::Opus(_))
    }

    /// Writes what the codec plays on when no packet comes, `len` samples or a few more; nothing if it has no opinion.
    pub fn go_on(&mut self, len: usize, pcm: &mut Vec<i16>) {
        if let Decoding::Opus(decoder) = &mut self.state {
            decoder.go_on(len, pcm);
        }
    }

    /// Writes `len` samples that were lost, as far as they can be told from the packet that follows them.
    pub fn recover(&mut self, len: usize, next: &[u8], pcm: &mut Vec<i16>) {
        if let Decoding::Opus(decoder) = &mut self.state {
            decoder.recover(len, next, pcm);
        }
    }
}

/// Encodes our sound for one stream.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    terms: OpusTerms,
    state: Encoding,
}

#[derive(Debug)]
enum Encoding {
    Plain,
    Halved(Box<Doubler>),
    G722(Box<G722Encoder>),
    Opus(OpusEncoder),
    /// There is no memory for an encoder.
    Mute,
}

impl Encoder {
    /// For sound at `rate`; `terms` are for Opus.
    pub fn new(rate: Rate, codec: Codec, terms: OpusTerms) -> Self {
        let state = match codec {
            Codec::Opus => OpusEncoder::new(rate, terms).map_or(Encoding::Mute, Encoding::Opus),
            Codec::G722 => Encoding::G722(Box::new(G722Encoder::new(rate))),
            Codec::Pcma | Codec::Pcmu if rate == Rate::Wide => Encoding::Halved(Box::default()),
            Codec::Pcma | Codec::Pcmu => Encoding::Plain,
        };
        Self { codec, terms, state }
    }

    /// Whether it is just what would be made for these.
    pub fn is_for(&self, codec: Codec, terms: OpusTerms) -> bool {
        self.codec == codec && (codec != Codec::Opus || self.terms == terms)
    }

    /// The payload of 20 or 10 ms; `None` if nothing has to be sent for them.
    pub fn encode(&mut self, pcm: &[i16]) -> Option<Vec<u8>> {
        match &mut self.state {
            Encoding::Plain => Some(g711::encode(self.codec, pcm)),
            Encoding::Halved(halver) => {
                let mut narrow = Vec::with_capacity(pcm.len() / 2);
                halver.halve(pcm, &mut narrow);
                Some(g711::encode(self.codec, &narrow))
            }
            Encoding::G722(encoder) => Some(encoder.encode(pcm)),
            Encoding::Opus(encoder) => encoder.encode(pcm),
            Encoding::Mute => None,
        }
    }

    /// Tells of how many packets in a hundred the peer misses one, so that what is sent helps against it.
    pub fn expect_loss(&mut self, percent: u8) {
        if let Encoding::Opus(encoder) = &mut self.state {
            encoder.expect_loss(percent);
        }
    }
}

#[cfg(test)]
mod tests;
