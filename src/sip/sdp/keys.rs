//! How the keys of encrypted media are agreed on in SDP: told by `a=crypto` (SDES, RFC 4568), or by a handshake for which SDP has
//! the fingerprints of both certificates and says who begins (DTLS-SRTP, RFC 5763, 8122, 4145).
//!
//! The first suite of the offerer that we have is answered, with a key of our own; in a later offer of ours it comes first, as it
//! was agreed. A peer with a new key gets a new one of ours. What is offered without encryption in its
//! `m=` line but with keys or a fingerprint beneath (optional encryption, as Linphone and Asterisk write it) is answered in the
//! same way. A fingerprint by SHA-1 is none. Whose certificate and role stay the same has no new handshake, `a=connection` or
//! not; `a=tls-id` (RFC 8842) is left out.
//!
//! Left out: several keys in a line (MKI), session parameters that change how packets look: such a line is passed over, and the
//! next one is tried. A lifetime is read and not kept.

use std::array;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::CryptoRng;
use sdp_types::{Attribute, Media as MediaLine, Session};
use serde::Deserialize;

use super::SdpError;
use crate::rtp::dtls::{Certificate, Fingerprint, Role, Terms};
use crate::rtp::srtp::{MasterKey, SrtpKeys, Suite};
use crate::rtp::wire::Protection;

const CRYPTO: &str = "crypto";
const FINGERPRINT: &str = "fingerprint";
const SETUP: &str = "setup";
/// Fingerprints of one stream that are looked at.
const MAX_FINGERPRINTS: usize = 8;
/// Most digits of a tag (RFC 4568 §9.1).
const MAX_TAG_DIGITS: usize = 9;
/// Some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The names of suites (RFC 4568 §6.2, 6188, 7714 §14.2); AES with 256 bits has two, the later one in use before the standard.
const NAMES: [(&str, Suite); 8] = [
    ("AES_CM_128_HMAC_SHA1_80", Suite::AesCm128HmacSha1_80),
    ("AES_CM_128_HMAC_SHA1_32", Suite::AesCm128HmacSha1_32),
    ("AES_256_CM_HMAC_SHA1_80", Suite::Aes256CmHmacSha1_80),
    ("AES_256_CM_HMAC_SHA1_32", Suite::Aes256CmHmacSha1_32),
    ("AEAD_AES_128_GCM", Suite::AeadAes128Gcm),
    ("AEAD_AES_256_GCM", Suite::AeadAes256Gcm),
    ("AES_CM_256_HMAC_SHA1_80", Suite::Aes256CmHmacSha1_80),
    ("AES_CM_256_HMAC_SHA1_32", Suite::Aes256CmHmacSha1_32),
];
/// What we offer, by the names above: the one that everybody has first. All of them would make an INVITE too long for UDP.
const OFFERED: [usize; 4] = [0, 2, 5, 1];

/// Whether the sound of an account's calls is encrypted: `srtp` in secretary.toml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Encrypted offers are refused.
    Off,
    /// For whoever offers it. What we offer is not encrypted.
    #[default]
    Optional,
    /// Always: offers without are refused.
    Required,
}

/// How the keys of what we offer are agreed on: `srtp_keys` in secretary.toml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyExchange {
    /// Told in SDP: whoever reads the signalling can listen.
    #[default]
    Sdes,
    /// By a handshake between those who send the sound.
    Dtls,
}

/// The keys that we tell in one session, one for each suite.
#[derive(Debug, Clone)]
pub struct SdesKeys([MasterKey; Suite::ALL.len()]);

impl SdesKeys {
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        Self(array::from_fn(|n| MasterKey::draw(Suite::ALL[n], rng)))
    }

    fn of(&self, suite: Suite) -> &MasterKey {
        &self.0[suite as usize]
    }
}

/// An agreed `a=crypto` line, as the one who offered it writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoLine {
    tag: String,
    /// The suite as he calls it.
    name: &'static str,
}

impl CryptoLine {
    /// Tags are numbers, however they are written.
    fn has_tag(&self, tag: &str) -> bool {
        self.tag.parse::<u32>() == tag.parse()
    }
}

/// Our side of the encryption of a session's media.
#[derive(Debug, Clone)]
pub struct Security {
    /// Whether there is to be no session without.
    required: bool,
    /// How the keys of what we offer are agreed on; `None`: it is not encrypted.
    offers: Option<KeyExchange>,
    sdes: SdesKeys,
    /// What was agreed by keys that are told: how it was written, and the peer's key.
    told: Option<(CryptoLine, MasterKey)>,
    certificate: Certificate,
    /// The role that we have, if there was a handshake: where the peer leaves it to us we keep it.
    role: Option<Role>,
}

impl Security {
    /// `None` if nothing is to be encrypted.
    pub fn new(
        policy: Policy,
        exchange: KeyExchange,
        certificate: &Certificate,
        rng: &mut impl CryptoRng,
    ) -> Option<Self> {
        let required = match policy {
            Policy::Off => return None,
            Policy::Optional => false,
            Policy::Required => true,
        };
        let (sdes, certificate) = (SdesKeys::draw(rng), certificate.clone());
        let offers = required.then_some(exchange);
        Some(Self { required, offers, sdes, told: None, certificate, role: None })
    }

    /// How a stream is protected as long as our offer has no answer.
    pub fn until_answered(&self) -> Protection {
        if self.offers.is_some() { Protection::Awaited } else { Protection::Plain }
    }

    /// What was agreed holds for the session. `line`: by which line of this session.
    pub fn settle(&mut self, agreed: &Protection, line: Option<&CryptoLine>) {
        self.stay_encrypted(agreed);
        match agreed {
            Protection::Plain | Protection::Awaited => {}
            Protection::Sdes(keys) => self.told = line.map(|line| (line.clone(), keys.theirs.clone())),
            Protection::Dtls(terms) => self.role = Some(terms.role),
        }
    }

    /// What is encrypted once stays so, wherever the call goes.
    pub fn stay_encrypted(&mut self, agreed: &Protection) {
        let exchange = match agreed {
            Protection::Plain | Protection::Awaited => return,
            Protection::Sdes(_) => KeyExchange::Sdes,
            Protection::Dtls(_) => KeyExchange::Dtls,
        };
        (self.required, self.offers) = (true, Some(exchange));
    }

    /// Our side for an answer that agrees to this: a peer with a new key gets new ones of ours. He may have forgotten how far
    /// we have counted under the old one, and then we must not go on with it (RFC 4568 §7.1.4).
    pub(super) fn facing(&self, agreed: &Protection, rng: &mut impl CryptoRng) -> Self {
        let mut ours = self.clone();
        if let (Some((_, known)), Protection::Sdes(keys)) = (&self.told, agreed)
            && *known != keys.theirs
        {
            ours.renew(rng);
        }
        ours
    }

    /// New keys of ours.
    pub fn renew(&mut self, rng: &mut impl CryptoRng) {
        self.sdes = SdesKeys::draw(rng);
    }

    /// The suites that we offer: what is agreed already before all others, under the same tag and name.
    fn suites(&self) -> impl Iterator<Item = (CryptoLine, Suite)> {
        let agreed = self.told.as_ref().map(|(line, key)| (line.clone(), key.suite()));
        let others = OFFERED.into_iter().filter_map(|n| NAMES.get(n));
        let others = others.filter(|(_, suite)| self.told.as_ref().is_none_or(|(_, key)| key.suite() != *suite));
        let tags = (1..).map(|tag: u32| tag.to_string());
        let tags = tags.filter(|tag| self.told.as_ref().is_none_or(|(line, _)| !line.has_tag(tag)));
        agreed.into_iter().chain(tags.zip(others).map(|(tag, &(name, suite))| (CryptoLine { tag, name }, suite)))
    }

    /// The lines of what we offer.
    pub(super) fn lines(&self) -> Vec<Attribute> {
        match self.offers {
            None => Vec::new(),
            Some(KeyExchange::Sdes) => self.suites().map(|(line, suite)| self.crypto(&line, suite)).collect(),
            // RFC 5763 §5: an offer leaves the role to the answer.
            Some(KeyExchange::Dtls) => self.handshake("actpass"),
        }
    }

    /// What is agreed with a peer who tells this key.
    fn tell(&self, theirs: &MasterKey) -> Protection {
        Protection::Sdes(SrtpKeys { ours: self.sdes.of(theirs.suite()).clone(), theirs: theirs.clone() })
    }

    fn handshake(&self, setup: &str) -> Vec<Attribute> {
        let fingerprint = Attribute::with_value(FINGERPRINT, self.certificate.fingerprint());
        vec![Attribute::with_value(SETUP, setup), fingerprint]
    }

    fn crypto(&self, CryptoLine { tag, name }: &CryptoLine, suite: Suite) -> Attribute {
        let inline = BASE64.encode(self.sdes.of(suite).secret());
        Attribute::with_value(CRYPTO, format!("{tag} {name} inline:{inline}"))
    }
}

/// The transport of what we offer.
pub(super) fn proto(security: Option<&Security>) -> &'static str {
    match security.and_then(|security| security.offers) {
        None => "RTP/AVP",
        Some(KeyExchange::Sdes) => "RTP/SAVP",
        Some(KeyExchange::Dtls) => "UDP/TLS/RTP/SAVP",
    }
}

/// What the transport of an `m=` line says of its protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// RTP/AVP: none, unless there are keys beneath.
    Plain,
    /// RTP/SAVP: keys that are told; some mean a handshake.
    Secure,
    /// UDP/TLS/RTP/SAVP: a handshake.
    Handshake,
}

/// What a stream of a description says of its encryption.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    /// As it stands in the `m=` line.
    proto: String,
    transport: Transport,
    crypto: Vec<Crypto>,
    /// `a=crypto` lines that are of no use, for the error message.
    unusable: usize,
    handshake: Handshake,
}

/// What a stream says of a handshake.
#[derive(Debug, Clone)]
enum Handshake {
    /// It has no `a=fingerprint`.
    None,
    /// One of the fingerprints has to fit.
    Offered { fingerprints: Vec<Fingerprint>, setup: Setup },
    /// All fingerprints are by hashes that we do not know or trust: the first of them.
    Untrusted(String),
}

/// Who begins, as the peer wants it (RFC 4145 §4).
#[derive(Debug, Clone)]
enum Setup {
    Active,
    Passive,
    Either,
    /// Nobody for now (`holdconn`), or nobody knows.
    Other(String),
}

impl Handshake {
    fn read(session: &Session, line: &MediaLine) -> Self {
        // RFC 8122 §5: the stream's own come before the session's.
        let mut values: Vec<&str> = line.get_attribute_values(FINGERPRINT).flatten().collect();
        if values.is_empty() {
            values = session.get_attribute_values(FINGERPRINT).flatten().collect();
        }
        let Some(first) = values.first() else { return Self::None };
        let known = values.iter().take(MAX_FINGERPRINTS).filter_map(|value| Fingerprint::parse(value));
        let fingerprints: Vec<_> = known.collect();
        if fingerprints.is_empty() {
            return Self::Untrusted(first.split_whitespace().next().unwrap_or_default().chars().take(20).collect());
        }
        let setup = line.get_attribute_values(SETUP).flatten().next();
        let setup = setup.or_else(|| session.get_attribute_values(SETUP).flatten().next());
        let setup = match setup.map(|setup| setup.trim().to_ascii_lowercase()) {
            None => Setup::Active,
            Some(setup) => match setup.as_str() {
                "active" => Setup::Active,
                "passive" => Setup::Passive,
                "actpass" => Setup::Either,
                other => Setup::Other(other.chars().take(20).collect()),
            },
        };
        Self::Offered { fingerprints, setup }
    }
}

/// What was agreed for a stream, and what the answer to it says.
pub(super) struct Chosen {
    pub protection: Protection,
    pub line: Option<CryptoLine>,
    pub lines: Vec<Attribute>,
}

impl Offered {
    /// `None`: it is not RTP.
    pub(super) fn read(session: &Session, line: &MediaLine) -> Option<Self> {
        let proto = line.proto.to_ascii_uppercase();
        let transport = match proto.as_str() {
            "RTP/AVP" | "RTP/AVPF" => Transport::Plain,
            "RTP/SAVP" | "RTP/SAVPF" => Transport::Secure,
            "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Transport::Handshake,
            _ => return None,
        };
        let lines: Vec<_> = line.get_attribute_values(CRYPTO).flatten().map(Crypto::parse).collect();
        let unusable = lines.iter().filter(|line| line.is_none()).count();
        let crypto = lines.into_iter().flatten().collect();
        Some(Self { proto, transport, crypto, unusable, handshake: Handshake::read(session, line) })
    }

    /// How it is answered. `role` is ours in a first handshake, where it is left to us.
    pub(super) fn answer(&self, security: Option<&Security>, role: Role) -> Result<Chosen, SdpError> {
        let plain = || Chosen { protection: Protection::Plain, line: None, lines: Vec::new() };
        let Some(security) = security else {
            return match self.transport {
                Transport::Plain => Ok(plain()),
                Transport::Secure | Transport::Handshake => Err(SdpError::Encrypted(self.proto.clone())),
            };
        };
        if let Some(Crypto { line, key }) = self.crypto.first().filter(|_| self.transport != Transport::Handshake) {
            let lines = vec![security.crypto(line, key.suite())];
            return Ok(Chosen { protection: security.tell(key), line: Some(line.clone()), lines });
        }
        match self.terms(security, Some(security.role.unwrap_or(role))) {
            Ok(terms) => {
                let lines = security.handshake(if terms.role == Role::Active { "active" } else { "passive" });
                Ok(Chosen { protection: Protection::Dtls(terms), line: None, lines })
            }
            Err(_) if self.transport == Transport::Plain && !security.required => Ok(plain()),
            Err(error) => Err(error),
        }
    }

    /// What an answer to [`Security::lines`] agrees to.
    pub(super) fn accept(&self, security: Option<&Security>) -> Result<Chosen, SdpError> {
        let chosen = |protection, line| Chosen { protection, line, lines: Vec::new() };
        let offers = security.and_then(|security| Some((security, security.offers?)));
        match (offers, self.transport) {
            (None, Transport::Plain) => Ok(chosen(Protection::Plain, None)),
            (None, Transport::Secure | Transport::Handshake) => Err(SdpError::NotOffered(self.proto.clone())),
            (Some(_), Transport::Plain) => Err(SdpError::Unencrypted(self.proto.clone())),
            (Some((_, KeyExchange::Sdes)), Transport::Handshake) => Err(SdpError::NotOffered(self.proto.clone())),
            (Some((security, KeyExchange::Sdes)), Transport::Secure) => {
                let crypto = self.crypto.first().filter(|crypto| crypto.is_of(security));
                let Crypto { line, key } = crypto.ok_or_else(|| self.no_key())?;
                Ok(chosen(security.tell(key), Some(line.clone())))
            }
            (Some((security, KeyExchange::Dtls)), Transport::Secure | Transport::Handshake) => {
                self.terms(security, None).map(|terms| chosen(Protection::Dtls(terms), None))
            }
        }
    }

    /// The handshake that it wants, if it wants one. Where it leaves the role to us, that is `role`.
    fn terms(&self, security: &Security, role: Option<Role>) -> Result<Terms, SdpError> {
        match &self.handshake {
            Handshake::Offered { fingerprints, setup } => {
                let role = match setup {
                    Setup::Active => Role::Passive,
                    Setup::Passive => Role::Active,
                    Setup::Either => role.ok_or_else(|| SdpError::Setup("actpass".to_owned()))?,
                    Setup::Other(setup) => return Err(SdpError::Setup(setup.clone())),
                };
                Ok(Terms { certificate: security.certificate.clone(), role, fingerprints: fingerprints.clone() })
            }
            Handshake::Untrusted(hash) => Err(SdpError::UntrustedFingerprint(hash.clone())),
            Handshake::None => Err(match self.transport {
                Transport::Handshake => SdpError::NoFingerprint(self.proto.clone()),
                Transport::Plain if self.unusable == 0 => SdpError::Unencrypted(self.proto.clone()),
                Transport::Plain | Transport::Secure => self.no_key(),
            }),
        }
    }

    fn no_key(&self) -> SdpError {
        SdpError::NoKey { proto: self.proto.clone(), unusable: self.unusable }
    }
}

/// An `a=crypto` line that we can use.
#[derive(Debug, Clone)]
struct Crypto {
    line: CryptoLine,
    key: MasterKey,
}

impl Crypto {
    /// Whether it answers one that we have offered, under its tag (RFC 4568 §5.1.3).
    fn is_of(&self, security: &Security) -> bool {
        security.suites().any(|(line, _)| line.has_tag(&self.line.tag) && line.name == self.line.name)
    }

    /// `tag suite inline:key||salt[|lifetime]`, and nothing behind it that changes the packets. `None`: of no use to us.
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (tag, name, key) = (words.next()?, words.next()?, words.next()?);
        let is_tag = (1..=MAX_TAG_DIGITS).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_digit());
        let (name, suite) = *NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        if !is_tag || !words.all(is_harmless) {
            return None;
        }
        let mut parts = strip_prefix_ignoring_case(key, "inline:")?.split('|');
        let secret = BASE64.decode(parts.next()?).ok()?;
        let key = MasterKey::new(suite, &secret)?;
        // A lifetime has no colon, an MKI has one (RFC 4568 §6.1); several keys are told apart by their MKI.
        match (parts.next(), parts.next()) {
            (None, None) => {}
            (Some(lifetime), None) if is_lifetime(lifetime) => {}
            _ => return None,
        }
        Some(Self { line: CryptoLine { tag: tag.to_owned(), name }, key })
    }
}

/// Session parameters (RFC 4568 §6.3): the size of the peer's window is a hint, and what begins with `-` may be passed over.
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with('-') || strip_prefix_ignoring_case(parameter, "WSH=").is_some()
}

/// A number of packets, or a power of two.
fn is_lifetime(text: &str) -> bool {
    let number = text.strip_prefix("2^").unwrap_or(text);
    !number.is_empty() && number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests;
