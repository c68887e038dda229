//! Session descriptions: what is sent where, in which codec (RFC 8866), agreed by offer and answer (RFC 3264).
//!
//! Parsing and writing is sdp-types'; here is what the lines mean. One audio stream is agreed on; every other stream of
//! an offer is answered with port 0.
//!
//! Left out: SRTP (refused with a clear error), ICE, host names in `c=`, multicast, a port of our own for RTCP other than
//! the next one.

mod audio;
mod numbers;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media as MediaLine, Origin, Session, Time};

use self::audio::{AudioStream, Direction, Named};
pub use self::numbers::Numbers;
use crate::rtp::codec::{Codec, OpusTerms};
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
    #[error("agree on media: no common codec among formats {0}; allow opus, G722, PCMA or PCMU at the peer")]
    NoCommonCodec(String),
}

/// Our side of a session.
#[derive(Debug, Clone)]
pub struct LocalMedia<'a> {
    /// Where we want media: an address that the peer can reach, never an unspecified one.
    pub address: IpAddr,
    pub port: u16,
    /// What we speak, the favourite first.
    pub codecs: &'a [Codec],
    /// Whether we tell keys as named events (RFC 4733). If not, whoever offers them gets none.
    pub events: bool,
    /// What the session has agreed on already.
    pub numbers: Numbers,
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
    /// What the peer wants of our Opus.
    pub opus: OpusTerms,
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
    let mut media = agree(stream, spoken)?;
    // Under the offerer's number, both ways; of his events those that we know (RFC 3264 §6.1).
    let named = stream.events_beside(media.codec).filter(|_| local.events);
    media.events =
        named.map(|Named { number, wanted, clock_hz }| Events { receive: number, send: number, wanted, clock_hz });
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
                let mut ours =
                    audio_line(local.port, &line.proto, &codec, named.as_slice(), stream.direction.mirrored());
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
    let (codecs, events) = offered(local);
    let mut line = audio_line(local.port, "RTP/AVP", &codecs, &events, direction);
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
    let (codecs, events) = offered(local);
    let accepted = codecs.into_iter().filter(|(_, codec)| spoken.iter().any(|(_, c)| c == codec)).collect();
    let media = agree(&stream, spoken)?;
    let theirs = stream.events_beside(media.codec);
    let events = theirs.and_then(|Named { number, wanted, clock_hz }| {
        let ours = events.iter().find(|ours| ours.clock_hz == clock_hz)?;
        Some(Events { receive: ours.number, send: number, wanted, clock_hz })
    });
    Ok(Media { accepted, events, ..media })
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

/// Events go with sound or not at all, and are another matter.
fn agree(stream: &AudioStream, spoken: Vec<(u8, Codec)>) -> Result<Media, SdpError> {
    let &(payload_type, codec) = spoken.first().ok_or_else(|| SdpError::NoCommonCodec(stream.formats.clone()))?;
    Ok(Media {
        remote: stream.remote,
        codec,
        payload_type,
        opus: stream.opus,
        accepted: spoken,
        events: None,
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

/// The codecs of an offer of ours, by their numbers.
pub fn offered_codecs(local: &LocalMedia<'_>) -> Vec<(u8, Codec)> {
    offered(local).0
}

/// What an offer of ours lists: the codecs and the named events, each at the clock of one of the codecs (RFC 4733 §2.1).
fn offered(local: &LocalMedia<'_>) -> (Vec<(u8, Codec)>, Vec<Named>) {
    let numbers = local.numbers.filled();
    let codecs = local.codecs.iter().map(|&codec| (codec.static_payload_type().unwrap_or(numbers.opus), codec));
    let has_clock = |clock_hz: u32| local.codecs.iter().any(|codec| codec.clock_rate_hz() == clock_hz);
    let wanted = EventSet::OURS;
    let named = dtmf::CLOCK_RATES_HZ.into_iter().zip(numbers.events).filter(|(clock_hz, _)| has_clock(*clock_hz));
    let named = named.filter(|_| local.events).map(|(clock_hz, number)| Named { number, wanted, clock_hz });
    (codecs.collect(), named.collect())
}

fn describe(local: &LocalMedia<'_>) -> Session {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, local.session_version, local.address), "-");
    session.set_connection(Connection::from_ip_addr(local.address));
    session
}

fn audio_line(port: u16, proto: &str, codecs: &[(u8, Codec)], events: &[Named], direction: Direction) -> MediaLine {
    let numbers = codecs.iter().map(|(payload_type, _)| *payload_type).chain(events.iter().map(|named| named.number));
    let formats: Vec<String> = numbers.map(|payload_type| payload_type.to_string()).collect();
    let mut line = bare_line("audio", port, proto, formats.join(" "));
    for (payload_type, codec) in codecs {
        let channels = if *codec == Codec::Opus { "/2" } else { "" };
        let value = format!("{payload_type} {}/{}{channels}", codec.name(), codec.clock_rate_hz());
        line.add_attribute(Attribute::with_value("rtpmap", value));
        if *codec == Codec::Opus {
            line.add_attribute(Attribute::with_value("fmtp", format!("{payload_type} {}", OpusTerms::OURS)));
        }
    }
    for Named { number, wanted, clock_hz } in events {
        let value = format!("{number} {}/{clock_hz}", dtmf::NAME);
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
