//! Session descriptions: what is sent where, in which codec (RFC 8866), agreed by offer and answer (RFC 3264).
//!
//! Parsing and writing is sdp-types'; here is what the lines mean. One audio stream is agreed on; every other stream of
//! an offer is answered with port 0.
//!
//! Left out: ICE in offers that begin a session, host names in `c=`, multicast.

mod audio;
mod ice;
mod keys;
mod numbers;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use rand::CryptoRng;
use sdp_types::{Attribute, Connection, Media as MediaLine, Origin, Session, Time};

use self::audio::{AudioStream, Direction, Named};
use self::ice::Ice;
use self::keys::{Chosen, Offered};
pub use self::keys::{CryptoLine, KeyExchange, Policy, SdesKeys, Security};
pub use self::numbers::Numbers;
use crate::rtp::codec::{Codec, OpusTerms};
use crate::rtp::dtls::Role;
use crate::rtp::dtmf::{self, EventSet, Events};
use crate::rtp::ice::Credentials;
use crate::rtp::jitter;
use crate::rtp::pace::Pace;
use crate::rtp::rtcp::RtcpPath;
use crate::rtp::wire::Protection;
use crate::sip::is_private;

/// Longest description that is read, in bytes. Video phones with ICE send some 4 KiB.
const MAX_LEN: usize = 16 * 1_024;
/// Most media streams of a description.
const MAX_STREAMS: usize = 16;
/// Comfort noise in `a=rtpmap`, and its clock in Hz (RFC 3389 §4).
const COMFORT_NOISE: (&str, u32) = ("CN", 8_000);
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
    #[error("agree on media: no common codec among formats {0}; allow opus, G722, PCMA or PCMU at the peer")]
    NoCommonCodec(String),
}

/// Our side of a session.
#[derive(Debug, Clone)]
pub struct LocalMedia<'a> {
    /// Where we want media: an address that the peer can reach, never an unspecified one.
    pub address: IpAddr,
    pub port: u16,
    /// Where we want reports that do not come with the sound, if not at the next port: a NAT may have made it another.
    pub rtcp_port: Option<u16>,
    /// By what checks of ours are known, for who offers ICE; [`offer`] has them only in a session that has ICE already.
    pub ice: Option<&'a Credentials>,
    /// What we speak, the favourite first.
    pub codecs: &'a [Codec],
    /// Whether we tell keys as named events (RFC 4733). If not, whoever offers them gets none.
    pub events: bool,
    /// What the session has agreed on already.
    pub numbers: Numbers,
    /// How media are encrypted; `None`: not at all, and offers that want it are refused.
    pub security: Option<&'a Security>,
    /// `o=`: unique for the session, the same in all its descriptions.
    pub session_id: u64,
    /// `o=`: one more with every change (RFC 3264 §8); see [`continue_session`].
    pub session_version: u64,
}

impl LocalMedia<'_> {
    fn rtcp_port(&self) -> u16 {
        self.rtcp_port.unwrap_or(self.port.saturating_add(1))
    }

    /// Who begins a handshake that either side may begin. RFC 5763 §5 would have us do so; who is behind a NAT without ICE can
    /// only call and not be called.
    fn role(&self, offered: &AudioStream) -> Role {
        let has_ice = self.ice.is_some() && offered.ice.credentials().is_some();
        let is_out_of_reach = is_private(offered.remote.ip()) && !is_private(self.address);
        if is_out_of_reach && !has_ice { Role::Passive } else { Role::Active }
    }
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where the peer wants media. Its address may be unspecified, on hold as of RFC 2543: then `sends` is false, but for ICE,
    /// which will say where.
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
    /// In which packets he wants our sound, and whether he takes noise for silence.
    pub pace: Pace,
    /// Whether we send.
    pub sends: bool,
    /// Whether the peer says that it does; what comes is heard in any case.
    pub receives: bool,
    pub rtcp: RtcpPath,
    /// By what the peer's side of ICE is known, if that is agreed: other credentials than before are a restart.
    pub ice: Option<Credentials>,
    pub protection: Protection,
    /// By which line, if keys are told in SDP.
    pub crypto: Option<CryptoLine>,
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
    /// By what the peer's side of ICE is known, if he offers it for the stream that is answered.
    pub fn ice(&self, local: &LocalMedia<'_>) -> Option<&Credentials> {
        self.choose(local).ok().and_then(|choice| choice.audio.stream.ice.credentials())
    }

    /// Our side of the encryption for the answer: `local`'s, with new keys for a peer who has a new one.
    pub fn security(&self, local: &LocalMedia<'_>, rng: &mut impl CryptoRng) -> Option<Security> {
        let security = local.security?;
        Some(
            self.choose(local)
                .map_or_else(|_| security.clone(), |choice| security.facing(&choice.media.protection, rng)),
        )
    }

    /// The first stream that can be answered: an encrypted one before one that is not. If there is none, why not the first.
    fn choose(&self, local: &LocalMedia<'_>) -> Result<Choice<'_>, SdpError> {
        let mut plain = None;
        let mut refused = None;
        for audio in &self.audio {
            let chosen = audio.keys.answer(local.security, local.role(&audio.stream));
            let choice = chosen.and_then(|chosen| {
                let lines = chosen.lines.clone();
                Ok(Choice { audio, media: agree(&audio.stream, local.codecs, chosen)?, lines })
            });
            match choice {
                Ok(choice) if choice.media.protection.is_encrypted() => return Ok(choice),
                Ok(choice) => plain = plain.or(Some(choice)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        plain.ok_or(refused.unwrap_or(SdpError::NoAudio))
    }
}

/// A stream of an offer that can be answered, what that agrees to, and what the answer says of keys.
struct Choice<'o> {
    audio: &'o Audio,
    media: Media,
    lines: Vec<Attribute>,
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
    let Choice { audio: Audio { place, stream, .. }, mut media, lines } = offer.choose(local)?;
    let offered = &offer.session;
    // Under the offerer's number, both ways; of his events those that we know (RFC 3264 §6.1).
    let named = stream.events_beside(media.codec).filter(|_| local.events);
    media.events =
        named.map(|Named { number, wanted, clock_hz }| Events { receive: number, send: number, wanted, clock_hz });
    media.ice = local.ice.and(stream.ice.credentials().cloned());
    let mut session = describe(local);
    // RFC 3264 §6: the `t=` of the answer equals that of the offer.
    session.times.clone_from(&offered.times);
    let medias = offered
        .medias
        .iter()
        .enumerate()
        .map(|(n, line)| {
            if n == *place {
                let codec = [(media.payload_type, media.codec)];
                let formats =
                    Formats { codecs: &codec, comfort_noise: media.pace.comfort_noise, events: named.as_slice() };
                let mut ours = audio_line(local.port, &line.proto, formats, stream.direction.mirrored());
                let is_muxed = media.rtcp == RtcpPath::Muxed;
                if is_muxed {
                    ours.add_attribute(Attribute::new(RTCP_MUX));
                } else {
                    name_rtcp_port(&mut ours, local);
                }
                match (&stream.ice, local.ice) {
                    (Ice::Yes(_), Some(credentials)) => {
                        ice::describe(&mut session, &mut ours, local, credentials, is_muxed);
                    }
                    (Ice::Mismatch, Some(_)) => ice::describe_mismatch(&mut ours),
                    _ => {}
                }
                ours.attributes.extend(lines.iter().cloned());
                ours
            } else {
                bare_line(&line.media, 0, &line.proto, line.fmt.clone())
            }
        })
        .collect();
    session.medias = medias;
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
    // Beside whichever of them it can be, if the answer has it too.
    let comfort_noise = codecs.iter().any(|(_, codec)| goes_with_noise(*codec));
    let formats = Formats { codecs: &codecs, comfort_noise, events: &events };
    let mut line = audio_line(local.port, keys::proto(local.security), formats, direction);
    line.add_attribute(Attribute::new(RTCP_MUX));
    line.attributes.extend(local.security.map(Security::lines).unwrap_or_default());
    name_rtcp_port(&mut line, local);
    if let Some(credentials) = local.ice {
        ice::describe(&mut session, &mut line, local, credentials, false);
    }
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
    let media = agree(stream, local.codecs, keys.accept(local.security)?)?;
    // We are sent the numbers of our own offer, even if the answer has others (RFC 3264 §6.1).
    let (codecs, events) = offered(local);
    let accepted = codecs.into_iter().filter(|(_, codec)| media.accepted.iter().any(|(_, c)| c == codec)).collect();
    let theirs = stream.events_beside(media.codec);
    let events = theirs.and_then(|Named { number, wanted, clock_hz }| {
        let ours = events.iter().find(|ours| ours.clock_hz == clock_hz)?;
        Some(Events { receive: ours.number, send: number, wanted, clock_hz })
    });
    let ice = local.ice.and(stream.ice.credentials().cloned());
    Ok(Media { accepted, events, ice, ..media })
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
fn agree(stream: &AudioStream, codecs: &[Codec], chosen: Chosen) -> Result<Media, SdpError> {
    let spoken = stream.spoken(codecs);
    let &(payload_type, codec) = spoken.first().ok_or_else(|| SdpError::NoCommonCodec(stream.formats.clone()))?;
    Ok(Media {
        remote: stream.remote,
        codec,
        payload_type,
        opus: stream.opus,
        accepted: spoken,
        events: None,
        pace: Pace { comfort_noise: stream.comfort_noise && goes_with_noise(codec), halves: stream.wants_halves },
        sends: stream.direction.receives(),
        receives: stream.direction.sends(),
        rtcp: stream.rtcp,
        ice: None,
        protection: chosen.protection,
        crypto: chosen.line,
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

/// Whether comfort noise stands for silence beside a codec: not where its samples are others than its clock says (G.722), nor
/// where it has noise of its own.
fn goes_with_noise(codec: Codec) -> bool {
    matches!(codec, Codec::Pcma | Codec::Pcmu)
}

/// What a stream of ours lists, the favourite first.
#[derive(Clone, Copy)]
struct Formats<'a> {
    codecs: &'a [(u8, Codec)],
    comfort_noise: bool,
    events: &'a [Named],
}

fn audio_line(port: u16, proto: &str, formats: Formats<'_>, direction: Direction) -> MediaLine {
    let Formats { codecs, comfort_noise, events } = formats;
    let noise = comfort_noise.then_some(jitter::COMFORT_NOISE);
    let numbers = codecs.iter().map(|(payload_type, _)| *payload_type).chain(noise);
    let numbers = numbers.chain(events.iter().map(|named| named.number));
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
    if let Some(number) = noise {
        let (name, clock_hz) = COMFORT_NOISE;
        line.add_attribute(Attribute::with_value("rtpmap", format!("{number} {name}/{clock_hz}")));
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

/// Names the port for reports where it is not the next one (RFC 3605).
fn name_rtcp_port(line: &mut MediaLine, local: &LocalMedia<'_>) {
    if local.rtcp_port.is_some_and(|port| Some(port) != local.port.checked_add(1)) {
        line.add_attribute(Attribute::with_value("rtcp", local.rtcp_port()));
    }
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
