//! What one audio stream of a description says: where it is, which way it flows, in which formats.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Connection, Media as MediaLine, NetType, Session};

use super::ice::Ice;
use super::{COMFORT_NOISE, RTCP_MUX, SdpError};
use crate::rtp::codec::{Codec, OpusTerms};
use crate::rtp::dtmf::{self, EventSet};
use crate::rtp::jitter;
use crate::rtp::rtcp::RtcpPath;

/// Which way media flows, seen from whoever wrote the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same flow seen from the other side (RFC 3264 §6.1).
    pub(super) const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    pub(super) const fn without_receiving(self) -> Self {
        match self {
            Self::SendRecv | Self::SendOnly => Self::SendOnly,
            Self::RecvOnly | Self::Inactive => Self::Inactive,
        }
    }

    pub(super) const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    pub(super) const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
}

/// What an audio stream of a description says.
#[derive(Debug, Clone)]
pub(super) struct AudioStream {
    pub(super) remote: SocketAddr,
    pub(super) codecs: Vec<(u8, Codec)>,
    /// What his Opus wants of ours.
    pub(super) opus: OpusTerms,
    /// Named events, each clock once.
    pub(super) events: Vec<Named>,
    /// Whether comfort noise is among the formats, under its static number.
    pub(super) comfort_noise: bool,
    /// Whether packets of 20 ms are too long for him, or longer than he wants (RFC 8866 §6.4, §6.5).
    pub(super) wants_halves: bool,
    /// The formats as they stood, for the error message.
    pub(super) formats: String,
    /// An unspecified address without ICE counts as not receiving (RFC 3264 §8.4).
    pub(super) direction: Direction,
    pub(super) rtcp: RtcpPath,
    pub(super) ice: Ice,
}

/// Named events of a stream: their number, which of them are taken, and their clock in Hz.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) number: u8,
    pub(super) wanted: EventSet,
    pub(super) clock_hz: u32,
}

impl AudioStream {
    pub(super) fn read(session: &Session, (_, line): (usize, &MediaLine)) -> Result<Self, SdpError> {
        // RFC 8866 §5.7: the stream's own address comes before the session's.
        let connection = line.connections.first().or(session.connection.as_ref());
        let ip = connection.map_or_else(|| Err(SdpError::Address("none".to_owned())), address)?;
        let attribute = |direction: &Direction| line.has_attribute(direction.name());
        let session_attribute = |direction: &Direction| session.has_attribute(direction.name());
        let mut direction = (Direction::ALL.into_iter().find(attribute))
            .or_else(|| Direction::ALL.into_iter().find(session_attribute))
            .unwrap_or(Direction::SendRecv);
        let remote = SocketAddr::new(ip, line.port);
        let ice = Ice::read(session, line, remote);
        // With ICE it only says that the peer does not know yet where he is (RFC 8840 §4.1.1).
        if ip.is_unspecified() && ice == Ice::No {
            direction = direction.without_receiving();
        }
        Ok(Self {
            remote,
            codecs: codecs(line),
            opus: opus_terms(line),
            events: events(line),
            comfort_noise: has_comfort_noise(line),
            wants_halves: wants_halves(line),
            formats: line.fmt.chars().take(100).collect(),
            direction,
            rtcp: if line.has_attribute(RTCP_MUX) { RtcpPath::Muxed } else { RtcpPath::At(rtcp_address(line, ip)) },
            ice,
        })
    }

    /// The named events that go with a codec: those of its clock (RFC 4733 §2.1), or those of most codecs' clock, which some
    /// peers have beside any.
    pub(super) fn events_beside(&self, codec: Codec) -> Option<Named> {
        let at = |clock_hz: u32| self.events.iter().find(|events| events.clock_hz == clock_hz);
        at(codec.clock_rate_hz()).or_else(|| at(dtmf::CLOCK_RATES_HZ[0])).copied()
    }

    pub(super) fn spoken(&self, ours: &[Codec]) -> Vec<(u8, Codec)> {
        self.codecs.iter().copied().filter(|(_, codec)| ours.contains(codec)).collect()
    }
}

/// Where a stream's reports go that are not on its own port: the next one, unless `a=rtcp:PORT [IN IP4 ADDRESS]` has
/// another (RFC 3605). Port 0 is nowhere.
fn rtcp_address(line: &MediaLine, ip: IpAddr) -> SocketAddr {
    let next = SocketAddr::new(ip, line.port.checked_add(1).unwrap_or(0));
    let Some(value) = line.get_attribute_values("rtcp").flatten().next() else { return next };
    let mut words = value.split_whitespace();
    let Some(port) = words.next().and_then(|port| port.parse().ok()) else { return next };
    let given = words.nth(2).and_then(|ip| ip.parse().ok()).filter(|ip: &IpAddr| !ip.is_multicast());
    SocketAddr::new(given.unwrap_or(ip), port)
}

fn address(connection: &Connection) -> Result<IpAddr, SdpError> {
    let text = connection.connection_address.as_str();
    let ip = text.split('/').next().unwrap_or_default().parse::<IpAddr>().ok();
    ip.filter(|ip| connection.nettype == NetType::In && !ip.is_multicast())
        .ok_or_else(|| SdpError::Address(text.chars().take(100).collect()))
}

/// The formats of a stream that we know, each once.
fn codecs(line: &MediaLine) -> Vec<(u8, Codec)> {
    let mut codecs: Vec<(u8, Codec)> = Vec::new();
    for payload_type in formats(line) {
        // Static payload types need no rtpmap (RFC 3551 §6), but if there is one it counts.
        let codec = match encoding(line, payload_type) {
            Some(encoding) => encoding.and_then(|(name, hz, channels)| Codec::from_rtpmap(name, hz, channels)),
            None => Codec::from_payload_type(payload_type),
        };
        if let Some(codec) = codec
            && payload_type < 128
            && codecs.iter().all(|(known, _)| *known != payload_type)
        {
            codecs.push((payload_type, codec));
        }
    }
    codecs
}

/// What is said of the first format that is Opus.
fn opus_terms(line: &MediaLine) -> OpusTerms {
    let opus = codecs(line).into_iter().find(|(_, codec)| *codec == Codec::Opus);
    let parameters = opus.and_then(|(payload_type, _)| attribute_of(line, "fmtp", payload_type));
    parameters.map_or_else(OpusTerms::default, OpusTerms::parse)
}

/// The first dynamic payload type of a stream that is named events at each of the clocks that we know, and those that its
/// `fmtp` lists of what we know; without any, none. The clock of most codecs comes first.
fn events(line: &MediaLine) -> Vec<Named> {
    let at = |clock_hz: u32| {
        let is_event = |(name, hz, channels): (&str, u32, u8)| {
            name.eq_ignore_ascii_case(dtmf::NAME) && hz == clock_hz && channels == 1
        };
        let mut dynamic = formats(line).filter(|payload_type| (96..128).contains(payload_type));
        let number = dynamic.find(|number| encoding(line, *number).flatten().is_some_and(is_event))?;
        let listed = attribute_of(line, "fmtp", number).and_then(EventSet::parse).unwrap_or(EventSet::KEYS);
        let wanted = listed.and(EventSet::OURS);
        (!wanted.is_empty()).then_some(Named { number, wanted, clock_hz })
    };
    dtmf::CLOCK_RATES_HZ.into_iter().filter_map(at).collect()
}

/// Other numbers of it mean other clocks, which none of our codecs that go with it has (RFC 3389 §4).
fn has_comfort_noise(line: &MediaLine) -> bool {
    let is_noise = |(name, hz, channels): (&str, u32, u8)| {
        name.eq_ignore_ascii_case(COMFORT_NOISE.0) && hz == COMFORT_NOISE.1 && channels == 1
    };
    let mapped = encoding(line, jitter::COMFORT_NOISE);
    formats(line).any(|number| number == jitter::COMFORT_NOISE)
        && mapped.is_none_or(|as_what| as_what.is_some_and(is_noise))
}

/// What makes no sense, such as `a=ptime:0`, counts as not said.
fn wants_halves(line: &MediaLine) -> bool {
    let said = |name| line.get_attribute_values(name).flatten().filter_map(|ms| ms.trim().parse::<f64>().ok());
    said("ptime").chain(said("maxptime")).any(|ms| ms > 0.0 && ms < 20.0)
}

fn formats(line: &MediaLine) -> impl Iterator<Item = u8> {
    line.fmt.split_whitespace().filter_map(|format| format.parse().ok())
}

/// Name, clock in Hz and channels that `a=rtpmap` says of a payload type: the outer `None` if there is no such line, the
/// inner if it makes no sense.
fn encoding(line: &MediaLine, payload_type: u8) -> Option<Option<(&str, u32, u8)>> {
    let mut parts = attribute_of(line, "rtpmap", payload_type)?.split('/');
    let (name, clock_hz) = (parts.next().unwrap_or_default(), parts.next().and_then(|hz| hz.parse().ok()));
    let channels = parts.next().map_or(Some(1), |channels| channels.trim().parse().ok());
    Some(clock_hz.zip(channels).map(|(hz, channels)| (name, hz, channels)))
}

/// What `a=<attribute>:<payload type> …` says of a payload type.
fn attribute_of<'l>(line: &'l MediaLine, attribute: &'static str, payload_type: u8) -> Option<&'l str> {
    line.get_attribute_values(attribute).flatten().find_map(|value| {
        let (number, rest) = value.trim().split_once(char::is_whitespace)?;
        (number.parse() == Ok(payload_type)).then(|| rest.trim())
    })
}
