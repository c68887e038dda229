//! Session descriptions: what is sent where, in which codec (RFC 8866), agreed by offer and answer (RFC 3264).
//!
//! Parsing and writing is sdp-types'; here is what the lines mean. One audio stream is agreed on; every other stream of
//! an offer is answered with port 0.
//!
//! Left out: SRTP (refused with a clear error), ICE, host names in `c=`, multicast, a port of our own for RTCP other than
//! the next one.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media as MediaLine, NetType, Origin, Session, Time};

use crate::rtp::codec::Codec;
use crate::rtp::dtmf::{self, EventSet, Events};
use crate::rtp::rtcp::RtcpPath;

/// Longest description that is read, in bytes. Video phones with ICE send some 4 KiB.
const MAX_LEN: usize = 16 * 1_024;
/// Most media streams of a description.
const MAX_STREAMS: usize = 16;
/// Sound and its reports on one port (RFC 5761).
const RTCP_MUX: &str = "rtcp-mux";

/// Why a description cannot be used: 488 Not Acceptable Here to whoever offered it (RFC 3261 §21.4.26).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("read SDP: more than {MAX_LEN} bytes or {MAX_STREAMS} media streams")]
    TooLong,
    #[error("read SDP: {0}")]
    Syntax(#[from] sdp_types::ParserError),
    #[error("read SDP: no usable address in `c=` ({0}); an IPv4 or IPv6 unicast address is needed")]
    Address(String),
    #[error("agree on media: no audio stream is offered or accepted")]
    NoAudio,
    #[error("agree on media: audio only as {0}; allow plain RTP/AVP at the peer, encryption is not supported yet")]
    Encrypted(String),
    #[error("agree on media: no common codec among formats {0}; allow PCMA or PCMU at the peer")]
    NoCommonCodec(String),
}

/// Which way media flows, seen from whoever wrote the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same flow seen from the other side (RFC 3264 §6.1).
    const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    const fn without_receiving(self) -> Self {
        match self {
            Self::SendRecv | Self::SendOnly => Self::SendOnly,
            Self::RecvOnly | Self::Inactive => Self::Inactive,
        }
    }

    const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
}

/// Our side of a session.
#[derive(Debug, Clone)]
pub struct LocalMedia<'a> {
    /// Where we want media: an address that the peer can reach, never an unspecified one.
    pub address: IpAddr,
    pub port: u16,
    /// What we speak, the favourite first.
    pub codecs: &'a [Codec],
    /// Under which payload type we offer named events (RFC 4733): [`dtmf::PAYLOAD_TYPE`], or what the session has already,
    /// as a number keeps its meaning in it (RFC 3264 §8.3.2). `None`: not at all, and whoever offers them gets none.
    pub events: Option<u8>,
    /// `o=`: unique for the session, the same in all its descriptions.
    pub session_id: u64,
    /// `o=`: one more with every change (RFC 3264 §8); see [`continue_session`].
    pub session_version: u64,
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where the peer wants media. Its address may be unspecified, on hold as of RFC 2543: then `sends` is false.
    pub remote: SocketAddr,
    /// What we send, under `payload_type`.
    pub codec: Codec,
    pub payload_type: u8,
    /// What may come in. More than the codec chosen, as some peers go on with another one of their offer.
    pub accepted: Vec<(u8, Codec)>,
    /// How keys are told, if both sides do it in RTP.
    pub events: Option<Events>,
    /// Whether we send.
    pub sends: bool,
    /// Whether the peer says that it does; what comes is heard in any case.
    pub receives: bool,
    pub rtcp: RtcpPath,
}

/// An offer that we can answer.
#[derive(Debug, Clone)]
pub struct Offer {
    session: Session,
    audio: usize,
    stream: AudioStream,
}

/// Reads an offer and finds its first usable audio stream.
///
/// # Errors
/// [`SdpError`]; the message fits a `Warning` or a log line.
pub fn parse_offer(sdp: &[u8]) -> Result<Offer, SdpError> {
    let session = parse(sdp)?;
    let audio = usable_audio(&session)?;
    let stream = AudioStream::read(&session, audio)?;
    Ok(Offer { audio: audio.0, stream, session })
}

/// Answers an offer: every stream in its place, one codec, the first of the offerer's that we speak.
///
/// # Errors
/// [`SdpError::NoCommonCodec`].
pub fn answer(offer: &Offer, local: &LocalMedia<'_>) -> Result<(Vec<u8>, Media), SdpError> {
    let Offer { session: offered, audio, stream } = offer;
    let spoken = stream.spoken(local.codecs);
    // Under the offerer's number, both ways; of his events those that we know (RFC 3264 §6.1).
    let events =
        local.events.and(stream.events).map(|(number, wanted)| Events { receive: number, send: number, wanted });
    let media = agree(stream, spoken, events)?;
    let events = media.events.map(|events| (events.receive, events.wanted));
    let mut session = describe(local);
    // RFC 3264 §6: the `t=` of the answer equals that of the offer.
    session.times.clone_from(&offered.times);
    session.medias = offered
        .medias
        .iter()
        .enumerate()
        .map(|(n, line)| {
            if n == *audio {
                let codec = [(media.payload_type, media.codec)];
                let mut ours = audio_line(local.port, &line.proto, &codec, events, stream.direction.mirrored());
                if media.rtcp == RtcpPath::Muxed {
                    ours.add_attribute(Attribute::new(RTCP_MUX));
                }
                ours
            } else {
                bare_line(&line.media, 0, &line.proto, line.fmt.clone())
            }
        })
        .collect();
    Ok((write(&session), media))
}

/// An offer of one audio stream with all our codecs, both ways.
pub fn offer(local: &LocalMedia<'_>) -> Vec<u8> {
    offer_direction(local, Direction::SendRecv)
}

/// The same for a peer who is to be put on hold (RFC 3264 §8.4).
pub fn offer_hold(local: &LocalMedia<'_>) -> Vec<u8> {
    offer_direction(local, Direction::SendOnly)
}

fn offer_direction(local: &LocalMedia<'_>, direction: Direction) -> Vec<u8> {
    let mut session = describe(local);
    session.times = vec![Time::new(0, 0)];
    let events = local.events.map(|number| (number, EventSet::OURS));
    let mut line = audio_line(local.port, "RTP/AVP", &payload_types(local.codecs), events, direction);
    line.add_attribute(Attribute::new(RTCP_MUX));
    session.medias = vec![line];
    write(&session)
}

/// Reads the answer to what [`offer`] made of the same `local`.
///
/// # Errors
/// [`SdpError`]; [`SdpError::NoAudio`] when the peer refused the stream with port 0.
pub fn accept_answer(sdp: &[u8], local: &LocalMedia<'_>) -> Result<Media, SdpError> {
    let session = parse(sdp)?;
    let stream = AudioStream::read(&session, usable_audio(&session)?)?;
    let spoken = stream.spoken(local.codecs);
    // We are sent the numbers of our own offer, even if the answer has others (RFC 3264 §6.1).
    let accepted = payload_types(local.codecs).into_iter().filter(|(_, codec)| spoken.iter().any(|(_, c)| c == codec));
    let accepted = accepted.collect();
    let events = local.events.zip(stream.events).map(|(receive, (send, wanted))| Events { receive, send, wanted });
    Ok(Media { accepted, ..agree(&stream, spoken, events)? })
}

/// Makes `next` the successor of the last description that we sent in a session: the same `o=`, its version one
/// higher if anything else differs (RFC 3264 §8).
///
/// # Errors
/// [`SdpError`] when one of them cannot be read.
pub fn continue_session(previous: &[u8], next: &[u8]) -> Result<Vec<u8>, SdpError> {
    let (previous, mut next) = (parse(previous)?, parse(next)?);
    let address = std::mem::replace(&mut next.origin, previous.origin.clone()).unicast_address;
    if next != previous || address != previous.origin.unicast_address {
        next.origin.sess_version = previous.origin.sess_version.wrapping_add(1);
    }
    Ok(write(&next))
}

/// What an audio stream of a description says.
#[derive(Debug, Clone)]
struct AudioStream {
    remote: SocketAddr,
    codecs: Vec<(u8, Codec)>,
    /// The number of named events, and which of them are taken.
    events: Option<(u8, EventSet)>,
    /// The formats as they stood, for the error message.
    formats: String,
    /// An unspecified address counts as not receiving (RFC 3264 §8.4).
    direction: Direction,
    rtcp: RtcpPath,
}

impl AudioStream {
    fn read(session: &Session, (_, line): (usize, &MediaLine)) -> Result<Self, SdpError> {
        // RFC 8866 §5.7: the stream's own address comes before the session's.
        let connection = line.connections.first().or(session.connection.as_ref());
        let ip = connection.map_or_else(|| Err(SdpError::Address("none".to_owned())), address)?;
        let attribute = |direction: &Direction| line.has_attribute(direction.name());
        let session_attribute = |direction: &Direction| session.has_attribute(direction.name());
        let mut direction = (Direction::ALL.into_iter().find(attribute))
            .or_else(|| Direction::ALL.into_iter().find(session_attribute))
            .unwrap_or(Direction::SendRecv);
        if ip.is_unspecified() {
            direction = direction.without_receiving();
        }
        Ok(Self {
            remote: SocketAddr::new(ip, line.port),
            codecs: codecs(line),
            events: events(line),
            formats: line.fmt.chars().take(100).collect(),
            direction,
            rtcp: if line.has_attribute(RTCP_MUX) { RtcpPath::Muxed } else { RtcpPath::At(rtcp_address(line, ip)) },
        })
    }

    fn spoken(&self, ours: &[Codec]) -> Vec<(u8, Codec)> {
        self.codecs.iter().copied().filter(|(_, codec)| ours.contains(codec)).collect()
    }
}

/// Events go with sound or not at all.
fn agree(stream: &AudioStream, spoken: Vec<(u8, Codec)>, events: Option<Events>) -> Result<Media, SdpError> {
    let &(payload_type, codec) = spoken.first().ok_or_else(|| SdpError::NoCommonCodec(stream.formats.clone()))?;
    Ok(Media {
        remote: stream.remote,
        codec,
        payload_type,
        accepted: spoken,
        events,
        sends: stream.direction.receives(),
        receives: stream.direction.sends(),
        rtcp: stream.rtcp,
    })
}

fn parse(sdp: &[u8]) -> Result<Session, SdpError> {
    if sdp.len() > MAX_LEN {
        return Err(SdpError::TooLong);
    }
    let session = Session::parse(sdp)?;
    if session.medias.len() > MAX_STREAMS {
        return Err(SdpError::TooLong);
    }
    Ok(session)
}

/// The first audio stream over plain RTP that is not refused.
fn usable_audio(session: &Session) -> Result<(usize, &MediaLine), SdpError> {
    let mut encrypted = None;
    for (n, line) in session.medias.iter().enumerate() {
        if !line.media.eq_ignore_ascii_case("audio") || line.port == 0 {
            continue;
        }
        match line.proto.to_ascii_uppercase().as_str() {
            "RTP/AVP" | "RTP/AVPF" => return Ok((n, line)),
            proto if proto.contains("SAVP") => encrypted = encrypted.or(Some(proto.to_owned())),
            _ => {}
        }
    }
    Err(encrypted.map_or(SdpError::NoAudio, SdpError::Encrypted))
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
            Some(encoding) => encoding.and_then(|(name, hz)| Codec::from_rtpmap(name, hz)),
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

/// The first dynamic payload type of a stream that is named events at the clock of our codecs, and those that its `fmtp`
/// lists of what we know; without any, none.
fn events(line: &MediaLine) -> Option<(u8, EventSet)> {
    let is_event = |(name, hz): (&str, u32)| name.eq_ignore_ascii_case(dtmf::NAME) && hz == dtmf::CLOCK_RATE_HZ;
    let mut dynamic = formats(line).filter(|payload_type| (96..128).contains(payload_type));
    let number = dynamic.find(|number| encoding(line, *number).flatten().is_some_and(is_event))?;
    let listed = attribute_of(line, "fmtp", number).and_then(EventSet::parse).unwrap_or(EventSet::KEYS);
    let known = listed.and(EventSet::OURS);
    (!known.is_empty()).then_some((number, known))
}

fn formats(line: &MediaLine) -> impl Iterator<Item = u8> {
    line.fmt.split_whitespace().filter_map(|format| format.parse().ok())
}

/// Name and clock in Hz that `a=rtpmap` says of a payload type: the outer `None` if there is no such line, the inner if it
/// has no clock or is of more than one channel.
fn encoding(line: &MediaLine, payload_type: u8) -> Option<Option<(&str, u32)>> {
    let mut parts = attribute_of(line, "rtpmap", payload_type)?.split('/');
    let (name, clock_hz) = (parts.next().unwrap_or_default(), parts.next().and_then(|hz| hz.parse().ok()));
    let mono = parts.next().is_none_or(|channels| channels == "1");
    Some(clock_hz.filter(|_| mono).map(|hz| (name, hz)))
}

/// What `a=<attribute>:<payload type> …` says of a payload type.
fn attribute_of<'l>(line: &'l MediaLine, attribute: &'static str, payload_type: u8) -> Option<&'l str> {
    line.get_attribute_values(attribute).flatten().find_map(|value| {
        let (number, rest) = value.trim().split_once(char::is_whitespace)?;
        (number.parse() == Ok(payload_type)).then(|| rest.trim())
    })
}

fn payload_types(codecs: &[Codec]) -> Vec<(u8, Codec)> {
    codecs.iter().map(|&codec| (codec.payload_type(), codec)).collect()
}

fn describe(local: &LocalMedia<'_>) -> Session {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, local.session_version, local.address), "-");
    session.set_connection(Connection::from_ip_addr(local.address));
    session
}

fn audio_line(
    port: u16,
    proto: &str,
    codecs: &[(u8, Codec)],
    events: Option<(u8, EventSet)>,
    direction: Direction,
) -> MediaLine {
    let numbers = codecs.iter().map(|(payload_type, _)| *payload_type).chain(events.map(|(number, _)| number));
    let formats: Vec<String> = numbers.map(|payload_type| payload_type.to_string()).collect();
    let mut line = bare_line("audio", port, proto, formats.join(" "));
    for (payload_type, codec) in codecs {
        let value = format!("{payload_type} {}/{}", codec.name(), codec.clock_rate_hz());
        line.add_attribute(Attribute::with_value("rtpmap", value));
    }
    if let Some((number, wanted)) = events {
        let value = format!("{number} {}/{}", dtmf::NAME, dtmf::CLOCK_RATE_HZ);
        line.add_attribute(Attribute::with_value("rtpmap", value));
        line.add_attribute(Attribute::with_value("fmtp", format!("{number} {wanted}")));
    }
    line.add_attribute(Attribute::with_value("ptime", 20));
    line.add_attribute(Attribute::new(direction.name()));
    line
}

fn bare_line(media: &str, port: u16, proto: &str, fmt: String) -> MediaLine {
    MediaLine {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn write(session: &Session) -> Vec<u8> {
    let mut sdp = Vec::new();
    let Ok(()) = session.write(&mut sdp) else { unreachable!("a Vec takes all that is written to it") };
    sdp
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const LOCAL: LocalMedia<'_> = LocalMedia {
        address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 5)),
        port: 10_000,
        codecs: &Codec::ALL,
        events: Some(dtmf::PAYLOAD_TYPE),
        session_id: 77,
        session_version: 1,
    };

    /// A description whose head is the usual one, with `lines` after it.
    fn sdp(lines: &str) -> Vec<u8> {
        format!("v=0\no=- 1 1 IN IP4 198.51.100.1\ns=-\nc=IN IP4 198.51.100.1\nt=0 0\n{lines}").into_bytes()
    }

    fn answered(lines: &str) -> (String, Media) {
        let (sdp, media) = answer(&parse_offer(&sdp(lines)).unwrap(), &LOCAL).unwrap();
        (String::from_utf8(sdp).unwrap(), media)
    }

    fn error(lines: &str) -> SdpError {
        match parse_offer(&sdp(lines)) {
            Ok(offer) => answer(&offer, &LOCAL).unwrap_err(),
            Err(error) => error,
        }
    }

    #[test]
    fn answers_with_the_first_codec_of_the_offerer() {
        let (sdp, media) = answered("m=audio 4000 RTP/AVP 96 8 0\na=rtpmap:96 opus/48000/2\na=ptime:30\n");
        assert_eq!(
            sdp,
            "v=0\r\no=- 77 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
             m=audio 10000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        assert_eq!(
            media,
            Media {
                remote: "198.51.100.1:4000".parse().unwrap(),
                codec: Codec::Pcma,
                payload_type: 8,
                accepted: vec![(8, Codec::Pcma), (0, Codec::Pcmu)],
                events: None,
                sends: true,
                receives: true,
                rtcp: RtcpPath::At("198.51.100.1:4001".parse().unwrap()),
            }
        );
    }

    #[test]
    fn dynamic_and_static_payload_types_mean_what_rtpmap_says() {
        let (_, media) = answered(
            "m=audio 4000 RTP/AVP 0 97 97 300 x 8\na=rtpmap:0 PCMU/16000\na=rtpmap:97 pcmu/8000/1\na=rtpmap:8 PCMA/8000/2\n",
        );
        assert_eq!((media.codec, media.payload_type, media.accepted), (Codec::Pcmu, 97, vec![(97, Codec::Pcmu)]));
    }

    #[test]
    fn reports_go_with_the_sound_to_the_next_port_or_to_the_one_that_is_named() {
        for (attributes, path) in [
            ("a=rtcp-mux\n", RtcpPath::Muxed),
            ("a=rtcp:9 IN IP4 0.0.0.0\na=rtcp-mux\n", RtcpPath::Muxed),
            ("", RtcpPath::At("198.51.100.1:4001".parse().unwrap())),
            ("a=rtcp:4100\n", RtcpPath::At("198.51.100.1:4100".parse().unwrap())),
            ("a=rtcp:4100 IN IP4 198.51.100.7\n", RtcpPath::At("198.51.100.7:4100".parse().unwrap())),
            ("a=rtcp:4100 IN IP6 2001:db8::7\n", RtcpPath::At("[2001:db8::7]:4100".parse().unwrap())),
            ("a=rtcp:4100 IN IP4 239.1.1.1\n", RtcpPath::At("198.51.100.1:4100".parse().unwrap())),
            ("a=rtcp:x\n", RtcpPath::At("198.51.100.1:4001".parse().unwrap())),
        ] {
            let (sdp, media) = answered(&format!("m=audio 4000 RTP/AVP 0\n{attributes}"));
            assert_eq!(media.rtcp, path, "{attributes}");
            assert_eq!(
                sdp.contains("\r\na=rtcp-mux\r\n"),
                path == RtcpPath::Muxed,
                "RFC 5761: accepted if offered: {sdp}"
            );
        }
        let (_, highest) = answered("m=audio 65535 RTP/AVP 0\n");
        assert_eq!(highest.rtcp, RtcpPath::At("198.51.100.1:0".parse().unwrap()), "there is no next port");
        assert!(String::from_utf8(offer(&LOCAL)).unwrap().contains("\r\na=rtcp-mux\r\n"));
    }

    #[test]
    fn every_other_stream_is_refused_in_its_place() {
        let (sdp, media) = answered(
            "m=video 5000 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=audio 0 RTP/AVP 0\nm=audio 4000 RTP/AVPF 0\n\
             m=audio 4002 RTP/AVP 8\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\n",
        );
        let lines: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            lines,
            [
                "m=video 0 RTP/AVP 96",
                "m=audio 0 RTP/AVP 0",
                "m=audio 10000 RTP/AVPF 0",
                "m=audio 0 RTP/AVP 8",
                "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
            ]
        );
        assert_eq!((media.remote.port(), media.codec), (4_000, Codec::Pcmu));
    }

    #[test]
    fn directions_are_mirrored() {
        for (offered, mirrored, flows) in [
            ("sendrecv", "sendrecv", (true, true)),
            ("sendonly", "recvonly", (false, true)),
            ("recvonly", "sendonly", (true, false)),
            ("inactive", "inactive", (false, false)),
        ] {
            for lines in
                [format!("m=audio 4000 RTP/AVP 0\na={offered}\n"), format!("a={offered}\nm=audio 4000 RTP/AVP 0\n")]
            {
                let (sdp, media) = answered(&lines);
                assert!(sdp.contains(&format!("\r\na={mirrored}\r\n")), "{sdp}");
                assert_eq!((media.sends, media.receives), flows, "{lines}");
            }
        }
        let (sdp, media) = answered("a=inactive\nm=audio 4000 RTP/AVP 0\na=sendrecv\n");
        assert!(media.sends && sdp.contains("\r\na=sendrecv\r\n"), "the stream's own direction comes first");
    }

    #[test]
    fn an_unspecified_address_is_hold() {
        let (sdp, media) = answered("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
        assert!(sdp.contains("a=recvonly"), "{sdp}");
        assert!(!media.sends && media.remote.ip().is_unspecified());
    }

    #[test]
    fn the_address_of_the_stream_comes_before_that_of_the_session() {
        let (_, media) = answered("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::7\n");
        assert_eq!(media.remote, "[2001:db8::7]:4000".parse().unwrap());
        for bad in ["IN IP4 phone.example.org", "IN IP4 239.1.1.1/127", "ATM NSAP 1.2.3.4"] {
            let error = error(&format!("m=audio 4000 RTP/AVP 0\nc={bad}\n"));
            assert!(matches!(error, SdpError::Address(_)), "{bad}: {error}");
        }
        let nowhere = parse_offer(b"v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\n");
        assert_eq!(nowhere.unwrap_err(), SdpError::Address("none".to_owned()));
    }

    #[test]
    fn what_cannot_be_agreed_says_why() {
        assert_eq!(error("m=audio 4000 RTP/AVP 9 18\n"), SdpError::NoCommonCodec("9 18".to_owned()));
        assert_eq!(error("m=audio 4000 RTP/SAVP 0\n"), SdpError::Encrypted("RTP/SAVP".to_owned()));
        assert_eq!(error("m=audio 9 UDP/TLS/RTP/SAVPF 0\n"), SdpError::Encrypted("UDP/TLS/RTP/SAVPF".to_owned()));
        assert_eq!(error("m=video 4000 RTP/AVP 96\nm=audio 0 RTP/AVP 0\n"), SdpError::NoAudio);
        assert_eq!(error(""), SdpError::NoAudio);
        assert!(matches!(parse_offer(b"hello"), Err(SdpError::Syntax(_))));
        assert_eq!(parse_offer(&sdp(&"a=x\n".repeat(5_000))).unwrap_err(), SdpError::TooLong);
        assert_eq!(parse_offer(&sdp(&"m=audio 4000 RTP/AVP 0\n".repeat(17))).unwrap_err(), SdpError::TooLong);
    }

    #[test]
    fn our_own_offer_and_answer_agree() {
        let peer = LocalMedia { port: 20_000, session_id: 5, codecs: &[Codec::Pcma], ..LOCAL };
        let offered = parse_offer(&offer(&LOCAL)).unwrap();
        let (sdp, theirs) = answer(&offered, &peer).unwrap();
        let ours = accept_answer(&sdp, &LOCAL).unwrap();
        assert_eq!((ours.codec, ours.payload_type, ours.remote.port()), (Codec::Pcma, 8, 20_000));
        assert_eq!(ours.accepted, [(8, Codec::Pcma)]);
        assert_eq!((theirs.codec, theirs.remote.port(), theirs.sends), (Codec::Pcma, 10_000, true));
    }

    #[test]
    fn an_answer_may_use_other_numbers_and_may_refuse() {
        let renumbered = sdp("m=audio 4000 RTP/AVP 97\na=rtpmap:97 PCMA/8000\na=recvonly\n");
        let media = accept_answer(&renumbered, &LOCAL).unwrap();
        assert_eq!((media.payload_type, media.accepted), (97, vec![(8, Codec::Pcma)]));
        assert!(media.sends);
        let refused = sdp("m=audio 0 RTP/AVP 0\n");
        assert_eq!(accept_answer(&refused, &LOCAL).unwrap_err(), SdpError::NoAudio);
    }

    #[test]
    fn events_are_answered_under_the_offerers_number_with_what_both_know() {
        for (lines, answer) in [
            // Asterisk, baresip, Linphone, which has several clocks and says nothing of which events.
            ("101 telephone-event/8000\na=fmtp:101 0-16", Some((101, "0-16"))),
            ("101 telephone-event/8000\na=fmtp:101 0-15", Some((101, "0-15"))),
            ("101 telephone-event/16000\na=rtpmap:98 telephone-event/8000", Some((98, "0-15"))),
            ("127 TELEPHONE-EVENT/8000/1\na=fmtp:127 0-11,16", Some((127, "0-11,16"))),
            ("96 telephone-event/8000\na=fmtp:96  0 - 9 , 11,66,70-255", Some((96, "0-9,11"))),
            ("101 telephone-event/8000\na=fmtp:101 what", Some((101, "0-15"))),
            ("101 telephone-event/8000\na=fmtp:98 0-3", Some((101, "0-15"))),
            // None of ours, another clock, a static number, not among the formats, nothing.
            ("101 telephone-event/8000\na=fmtp:101 32-49", None),
            ("101 telephone-event/48000", None),
            ("8 telephone-event/8000", None),
            ("99 telephone-event/8000", None),
            ("101 opus/48000/2", None),
        ] {
            let (sdp, media) = answered(&format!("m=audio 4000 RTP/AVP 98 101 0 8 127 96\na=rtpmap:{lines}\n"));
            let formats = sdp.lines().find_map(|line| line.strip_prefix("m=audio 10000 RTP/AVP ")).unwrap();
            match answer {
                Some((number, events)) => {
                    assert_eq!(formats, format!("0 {number}"), "{lines}");
                    let described = format!("a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} {events}\r\n");
                    assert!(sdp.contains(&described), "{lines}: {sdp}");
                    let wanted = EventSet::parse(events).unwrap();
                    assert_eq!(media.events, Some(Events { receive: number, send: number, wanted }), "{lines}");
                }
                None => assert_eq!((formats, media.events), ("0", None), "{lines}"),
            }
        }
        let without = LocalMedia { events: None, ..LOCAL };
        let offered = sdp("m=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n");
        let (sdp, media) = answer(&parse_offer(&offered).unwrap(), &without).unwrap();
        assert!(!String::from_utf8(sdp).unwrap().contains("101") && media.events.is_none(), "we take none");
    }

    #[test]
    fn events_are_never_all_that_is_agreed() {
        let lines = "m=audio 4000 RTP/AVP 18 101\na=rtpmap:101 telephone-event/8000\n";
        assert_eq!(error(lines), SdpError::NoCommonCodec("18 101".to_owned()));
        assert_eq!(accept_answer(&sdp(lines), &LOCAL).unwrap_err(), SdpError::NoCommonCodec("18 101".to_owned()));
    }

    #[test]
    fn events_that_we_offer_come_in_under_our_number_and_go_out_under_the_answerers() {
        let offered = String::from_utf8(offer(&LOCAL)).unwrap();
        assert!(offered.contains("m=audio 10000 RTP/AVP 0 8 101\r\n"), "{offered}");
        assert!(offered.contains("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"), "{offered}");
        let answer = sdp("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-11\n");
        let wanted = EventSet::parse("0-11").unwrap();
        let media = accept_answer(&answer, &LOCAL).unwrap();
        assert_eq!(media.events, Some(Events { receive: 101, send: 97, wanted }));
        let without = LocalMedia { events: None, ..LOCAL };
        assert_eq!(accept_answer(&answer, &without).unwrap().events, None, "we have not offered any");
        assert!(!String::from_utf8(offer(&without)).unwrap().contains("telephone-event"));
        assert_eq!(accept_answer(&sdp("m=audio 4000 RTP/AVP 0\n"), &LOCAL).unwrap().events, None);
    }

    #[test]
    fn a_session_keeps_its_number_for_events() {
        let (first, media) = answered("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n");
        let (again, _) = answered("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n");
        assert_eq!(continue_session(first.as_bytes(), again.as_bytes()).unwrap(), first.as_bytes());
        let ours = LocalMedia { events: media.events.map(|events| events.receive), ..LOCAL };
        let held = String::from_utf8(offer_hold(&ours)).unwrap();
        assert!(held.contains("m=audio 10000 RTP/AVP 0 8 97\r\n") && !held.contains("101"), "{held}");
    }

    #[test]
    fn the_version_grows_only_with_a_change() {
        let first = offer(&LOCAL);
        assert_eq!(continue_session(&first, &first).unwrap(), first);
        let moved = offer(&LocalMedia { port: 10_002, session_id: 1, session_version: 1, ..LOCAL });
        let second = String::from_utf8(continue_session(&first, &moved).unwrap()).unwrap();
        assert!(second.contains("o=- 77 2 ") && second.contains("m=audio 10002 "), "{second}");
    }

    #[test]
    fn damaged_descriptions_never_panic() {
        let mut rng = StdRng::seed_from_u64(3);
        let whole = sdp("m=audio 4000 RTP/AVP 0 8 97 98\na=rtpmap:97 PCMU/8000\na=rtpmap:98 telephone-event/8000\n\
             a=fmtp:98 0-15\na=ptime:20\na=sendonly\nm=video 1 X y\n");
        let mut usable = 0;
        for _ in 0..50_000 {
            let mut damaged = whole.clone();
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..damaged.len());
                match rng.random_range(0..3) {
                    0 => damaged[at] = rng.random(),
                    1 => damaged.truncate(at.max(1)),
                    _ => damaged.insert(at, b"\n0:/ =-9"[rng.random_range(0..8)]),
                }
            }
            if let Ok(offer) = parse_offer(&damaged)
                && let Ok((sdp, _)) = answer(&offer, &LOCAL)
            {
                usable += 1;
                Session::parse(&sdp).expect("an answer is always well formed");
            }
            let _ = accept_answer(&damaged, &LOCAL);
        }
        println!("{usable} of 50000 damaged offers were still usable");
        assert!(usable > 1_000);
    }
}
