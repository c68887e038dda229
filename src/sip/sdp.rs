//! Session descriptions: what is sent where, in which codec (RFC 8866), agreed by offer and answer (RFC 3264).
//!
//! Parsing and writing is sdp-types'; here is what the lines mean. One audio stream is agreed on; every other stream of
//! an offer is answered with port 0.
//!
//! Left out: SRTP (refused with a clear error), ICE, host names in `c=`, multicast, telephone-event, a port of our own
//! for RTCP other than the next one.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media as MediaLine, NetType, Origin, Session, Time};

use crate::rtp::codec::Codec;
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
    let media = agree(stream, stream.spoken(local.codecs))?;
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
                let mut ours = audio_line(local.port, &line.proto, &codec, stream.direction.mirrored());
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
    let mut line = audio_line(local.port, "RTP/AVP", &payload_types(local.codecs), direction);
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
    Ok(Media { accepted, ..agree(&stream, spoken)? })
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
            formats: line.fmt.chars().take(100).collect(),
            direction,
            rtcp: if line.has_attribute(RTCP_MUX) { RtcpPath::Muxed } else { RtcpPath::At(rtcp_address(line, ip)) },
        })
    }

    fn spoken(&self, ours: &[Codec]) -> Vec<(u8, Codec)> {
        self.codecs.iter().copied().filter(|(_, codec)| ours.contains(codec)).collect()
    }
}

fn agree(stream: &AudioStream, spoken: Vec<(u8, Codec)>) -> Result<Media, SdpError> {
    let &(payload_type, codec) = spoken.first().ok_or_else(|| SdpError::NoCommonCodec(stream.formats.clone()))?;
    Ok(Media {
        remote: stream.remote,
        codec,
        payload_type,
        accepted: spoken,
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
    for payload_type in line.fmt.split_whitespace().filter_map(|format| format.parse().ok()) {
        let mapped = line.get_attribute_values("rtpmap").flatten().find_map(|value| rtpmap(value, payload_type));
        // Static payload types need no rtpmap (RFC 3551 §6), but if there is one it counts.
        let codec = mapped.unwrap_or_else(|| Codec::from_payload_type(payload_type));
        if let Some(codec) = codec
            && payload_type < 128
            && codecs.iter().all(|(known, _)| *known != payload_type)
        {
            codecs.push((payload_type, codec));
        }
    }
    codecs
}

/// What `<payload type> <name>/<clock>[/<channels>]` says of a payload type: the outer `None` if it is about another,
/// the inner if it names a codec that we do not know.
fn rtpmap(value: &str, payload_type: u8) -> Option<Option<Codec>> {
    let (number, encoding) = value.trim().split_once(char::is_whitespace)?;
    if number.parse() != Ok(payload_type) {
        return None;
    }
    let mut parts = encoding.trim().split('/');
    let (name, clock_hz) = (parts.next().unwrap_or_default(), parts.next().and_then(|hz| hz.parse().ok()));
    let mono = parts.next().is_none_or(|channels| channels == "1");
    Some(clock_hz.filter(|_| mono).and_then(|hz| Codec::from_rtpmap(name, hz)))
}

fn payload_types(codecs: &[Codec]) -> Vec<(u8, Codec)> {
    codecs.iter().map(|&codec| (codec.payload_type(), codec)).collect()
}

fn describe(local: &LocalMedia<'_>) -> Session {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, local.session_version, local.address), "-");
    session.set_connection(Connection::from_ip_addr(local.address));
    session
}

fn audio_line(port: u16, proto: &str, codecs: &[(u8, Codec)], direction: Direction) -> MediaLine {
    let formats: Vec<String> = codecs.iter().map(|(payload_type, _)| payload_type.to_string()).collect();
    let mut line = bare_line("audio", port, proto, formats.join(" "));
    for (payload_type, codec) in codecs {
        let value = format!("{payload_type} {}/{}", codec.name(), codec.clock_rate_hz());
        line.add_attribute(Attribute::with_value("rtpmap", value));
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
        let whole = sdp("m=audio 4000 RTP/AVP 0 8 97\na=rtpmap:97 PCMU/8000\na=ptime:20\na=sendonly\nm=video 1 X y\n");
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
