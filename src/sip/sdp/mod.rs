//! Session descriptions: what is sent where, in which codec (RFC 8866), agreed by offer and answer (RFC 3264).
//!
//! Parsing and writing is sdp-types'; here is what the lines mean. One audio stream is agreed on; every other stream of
//! an offer is answered with port 0.
//!
//! Left out: ICE, host names in `c=`, multicast, a port of our own for RTCP other than
//! the next one.

mod audio;
mod keys;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media as MediaLine, Origin, Session, Time};

use self::audio::{AudioStream, Direction};
use self::keys::{Chosen, Offered};
pub use self::keys::{KeyExchange, Policy, SdesKeys, Security};
use crate::rtp::codec::Codec;
use crate::rtp::dtmf::{self, EventSet, Events};
use crate::rtp::rtcp::RtcpPath;
use crate::rtp::srtp::MasterKey;
use crate::rtp::wire::Protection;

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
    #[error(
        "agree on media: audio only as {0}, and here srtp = \"off\": set srtp = \"optional\" in secretary.toml, or allow plain \
         RTP/AVP at the peer"
    )]
    Encrypted(String),
    #[error(
        "agree on media: audio only as {0} without keys, which srtp = \"required\" forbids, as does a call that was encrypted \
         before: turn SRTP on at the peer, or set srtp = \"optional\" in secretary.toml"
    )]
    Unencrypted(String),
    #[error("agree on media: the answer says {0}, which we have not offered; this is an error of the peer")]
    NotOffered(String),
    #[error(
        "agree on keys: {proto} with no usable `a=crypto` line, {unusable} unusable; allow AES_CM_128_HMAC_SHA1_80 without MKI \
         and session parameters at the peer"
    )]
    NoKey { proto: String, unusable: usize },
    #[error("agree on keys: {0} without `a=fingerprint`; the peer has no certificate for DTLS: give it one")]
    NoFingerprint(String),
    #[error(
        "agree on keys: `a=fingerprint` by {0}, which is not trusted; set the peer to sha-256 (Asterisk: dtls_fingerprint)"
    )]
    UntrustedFingerprint(String),
    #[error(
        "agree on keys: `a=setup:{0}` is of no use: an offer needs actpass, active or passive, an answer one of the last two"
    )]
    Setup(String),
    #[error("agree on media: no common codec among formats {0}; allow PCMA or PCMU at the peer")]
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
    /// Under which payload type we offer named events (RFC 4733): [`dtmf::PAYLOAD_TYPE`], or what the session has already,
    /// as a number keeps its meaning in it (RFC 3264 §8.3.2). `None`: not at all, and whoever offers them gets none.
    pub events: Option<u8>,
    /// How media are encrypted; `None`: not at all, and offers that want it are refused.
    pub security: Option<&'a Security>,
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
    pub protection: Protection,
}

/// An offer that we can answer.
#[derive(Debug, Clone)]
pub struct Offer {
    session: Session,
    /// Its audio streams, by their place; not empty.
    audio: Vec<Audio>,
}

#[derive(Debug, Clone)]
struct Audio {
    place: usize,
    stream: AudioStream,
    keys: Offered,
}

impl Offer {
    /// Whether it tells this key of the peer's.
    pub fn tells(&self, key: &MasterKey) -> bool {
        self.audio.iter().any(|audio| audio.keys.tells(key))
    }

    /// The first stream that can be answered: an encrypted one before one that is not.
    fn choose(&self, security: Option<&Security>) -> Result<(&Audio, Chosen), SdpError> {
        let mut plain = None;
        let mut refused = None;
        for audio in &self.audio {
            match audio.keys.answer(security) {
                Ok(chosen) if chosen.protection.is_encrypted() => return Ok((audio, chosen)),
                Ok(chosen) => plain = plain.or(Some((audio, chosen))),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        plain.ok_or(refused.unwrap_or(SdpError::NoAudio))
    }
}

/// Reads an offer and finds its usable audio streams.
///
/// # Errors
/// [`SdpError`]; the message fits a `Warning` or a log line.
pub fn parse_offer(sdp: &[u8]) -> Result<Offer, SdpError> {
    let session = parse(sdp)?;
    let audio = usable_audio(&session)?;
    Ok(Offer { audio, session })
}

/// Answers an offer: every stream in its place, one codec, the first of the offerer's that we speak.
///
/// # Errors
/// [`SdpError::NoCommonCodec`], and those about encryption.
pub fn answer(offer: &Offer, local: &LocalMedia<'_>) -> Result<(Vec<u8>, Media), SdpError> {
    let (Audio { place, stream, .. }, chosen) = offer.choose(local.security)?;
    let Chosen { protection, lines } = chosen;
    let offered = &offer.session;
    let spoken = stream.spoken(local.codecs);
    // Under the offerer's number, both ways; of his events those that we know (RFC 3264 §6.1).
    let events =
        local.events.and(stream.events).map(|(number, wanted)| Events { receive: number, send: number, wanted });
    let media = agree(stream, spoken, events, protection)?;
    let events = media.events.map(|events| (events.receive, events.wanted));
    let mut session = describe(local);
    // RFC 3264 §6: the `t=` of the answer equals that of the offer.
    session.times.clone_from(&offered.times);
    session.medias = offered
        .medias
        .iter()
        .enumerate()
        .map(|(n, line)| {
            if n == *place {
                let codec = [(media.payload_type, media.codec)];
                let mut ours = audio_line(local.port, &line.proto, &codec, events, stream.direction.mirrored());
                if media.rtcp == RtcpPath::Muxed {
                    ours.add_attribute(Attribute::new(RTCP_MUX));
                }
                ours.attributes.extend(lines.iter().cloned());
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
    let proto = keys::proto(local.security);
    let mut line = audio_line(local.port, proto, &payload_types(local.codecs), events, direction);
    line.add_attribute(Attribute::new(RTCP_MUX));
    line.attributes.extend(local.security.map(Security::lines).unwrap_or_default());
    session.medias = vec![line];
    write(&session)
}

/// Reads the answer to what [`offer`] made of the same `local`.
///
/// # Errors
/// [`SdpError`]; [`SdpError::NoAudio`] when the peer refused the stream with port 0.
pub fn accept_answer(sdp: &[u8], local: &LocalMedia<'_>) -> Result<Media, SdpError> {
    let audio = usable_audio(&parse(sdp)?)?;
    let Some(Audio { stream, keys, .. }) = audio.first() else { return Err(SdpError::NoAudio) };
    let protection = keys.accept(local.security)?;
    let spoken = stream.spoken(local.codecs);
    // We are sent the numbers of our own offer, even if the answer has others (RFC 3264 §6.1).
    let accepted = payload_types(local.codecs).into_iter().filter(|(_, codec)| spoken.iter().any(|(_, c)| c == codec));
    let accepted = accepted.collect();
    let events = local.events.zip(stream.events).map(|(receive, (send, wanted))| Events { receive, send, wanted });
    Ok(Media { accepted, ..agree(stream, spoken, events, protection)? })
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

/// Events go with sound or not at all.
fn agree(
    stream: &AudioStream,
    spoken: Vec<(u8, Codec)>,
    events: Option<Events>,
    protection: Protection,
) -> Result<Media, SdpError> {
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
        protection,
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

/// The audio streams over RTP that are not refused; not empty.
fn usable_audio(session: &Session) -> Result<Vec<Audio>, SdpError> {
    let is_audio = |line: &MediaLine| line.media.eq_ignore_ascii_case("audio") && line.port != 0;
    let lines = session.medias.iter().enumerate().filter(|(_, line)| is_audio(line));
    let mut usable = Vec::new();
    let mut error = SdpError::NoAudio;
    for (place, line) in lines {
        let Some(keys) = Offered::read(session, line) else { continue };
        match AudioStream::read(session, (place, line)) {
            Ok(stream) => usable.push(Audio { place, stream, keys }),
            Err(unusable) if error == SdpError::NoAudio => error = unusable,
            Err(_) => {}
        }
    }
    if usable.is_empty() { Err(error) } else { Ok(usable) }
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
