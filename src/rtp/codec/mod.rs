//! Audio codecs of the call and what SDP says of them (RFC 3551 §6, RFC 4566 §6).
//!
//! Left out: G.722, Opus and comfort noise.

pub mod g711;
pub mod resample;

/// A codec that a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// In the order in which we offer them.
    pub const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// The static payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The encoding name of `a=rtpmap`, compared without case.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The RTP clock in Hz, which for these codecs is the sampling rate too.
    pub const fn clock_rate_hz(self) -> u32 {
        8_000
    }

    /// The codec that a static payload type names without any `a=rtpmap`.
    pub fn from_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.payload_type() == payload_type)
    }

    /// The codec that `a=rtpmap:<pt> <name>/<clock>` names.
    pub fn from_rtpmap(name: &str, clock_rate_hz: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(name) && c.clock_rate_hz() == clock_rate_hz)
    }
}
