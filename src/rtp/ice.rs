//! ICE for somebody with a public address: a lite agent (RFC 8445 §2.5), which only answers the peer's checks.
//!
//! A check that proves to know our password is answered, and one that nominates says where the sound goes from then on. Who
//! does not know it gets an error, and nothing else comes of it. Checks are answered as long as the session lasts, which is
//! all that a peer's consent (RFC 7675) needs.
//!
//! Until something is nominated, or sound or a handshake has come from where the peer is expected, the sound waits (RFC 8445
//! §12.1), and so does a handshake that is ours to begin. They do not wait for ever: with a peer who is lite too, or who never
//! nominates, they go where a check came from, or where SDP says and the latch allows.
//!
//! Left out: checks of our own, relays, TCP. Of several nominations the one of the highest priority counts, as an aggressive
//! peer (RFC 5245) means it.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::distr::Alphanumeric;
use stun_types::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256, UnknownAttributes, Username,
    XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials, MessageWriteVec,
    ShortTermCredentials, StunWriteError,
};
use stun_types::prelude::*;

use super::stun;

/// RFC 8445 §16.1
const PRIORITY: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
/// What of a check must be understood and is (RFC 8489 §6.3).
const UNDERSTOOD: [AttributeType; 5] =
    [Username::TYPE, MessageIntegrity::TYPE, MessageIntegritySha256::TYPE, PRIORITY, USE_CANDIDATE];
/// Attributes that are named to who sent them and that nobody knows.
const MAX_UNKNOWN: usize = 8;
/// So long a nominated address has not been checked before one of a lower priority can take its place: consent to send is
/// over then (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// So long a nomination is waited for.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// RFC 8839 §5.4: at least 4 and 22 characters, which hold 24 and 128 bits (RFC 8445 §5.3).
const UFRAG_CHARS: usize = 8;
const PASSWORD_CHARS: usize = 24;

/// What the checks of one side of a session are known by (RFC 8445 §5.3), letters, digits, `+` and `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name fragment, 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters.
    pub password: String,
}

/// The password does not print itself.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl Credentials {
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut text =
            |chars| -> String { (&mut *rng).sample_iter(Alphanumeric).take(chars).map(char::from).collect() };
        Self { ufrag: text(UFRAG_CHARS), password: text(PASSWORD_CHARS) }
    }

    /// As a peer's description has them; `None` if they break the grammar (RFC 8839 §5.4).
    pub fn of_peer(ufrag: &str, password: &str) -> Option<Self> {
        let is_ice = |text: &str, least: usize| {
            (least..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        };
        (is_ice(ufrag, 4) && is_ice(password, 22))
            .then(|| Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }
}

/// What became of a datagram with STUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// The sender knows our password: he is the peer. With the priority of the nomination, if he nominates.
    Passed { answer: Vec<u8>, nominates: Option<u32> },
    /// He does not, or asks for what cannot be: this is the error for him.
    Refused { answer: Vec<u8> },
    /// A keep-alive (RFC 8445 §11), to which nothing is answered.
    KeepAlive,
    /// Nothing that is answered.
    Bad,
}

/// Where the peer has one component go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nomination(Option<Nominated>);

#[derive(Debug, Clone, Copy)]
struct Nominated {
    address: SocketAddr,
    priority: u32,
    /// When its last check came.
    checked: Instant,
    /// By what the peer has restarted since: any nomination takes its place.
    is_former: bool,
}

impl Nomination {
    /// `None`: nothing is nominated.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.map(|nominated| nominated.address)
    }

    /// An address has passed a check, with its priority if it was nominated by that.
    pub fn checked(&mut self, now: Instant, from: SocketAddr, nominates: Option<u32>) {
        let gives_way = |held: &Nominated, priority| {
            let is_old = held.is_former || now.saturating_duration_since(held.checked) >= CONSENT;
            held.address == from || priority >= held.priority || is_old
        };
        match (nominates, &mut self.0) {
            (Some(priority), held) if held.as_ref().is_none_or(|held| gives_way(held, priority)) => {
                *held = Some(Nominated { address: from, priority, checked: now, is_former: false });
            }
            (_, Some(held)) if held.address == from => held.checked = now,
            _ => {}
        }
    }

    /// The peer has restarted: what was nominated holds until something else is (RFC 8445 §9).
    pub fn restarted(&mut self) {
        if let Some(nominated) = &mut self.0 {
            nominated.is_former = true;
        }
    }
}

/// The agent of one media stream.
#[derive(Debug)]
pub(super) struct Lite {
    ours: Key,
    /// Those before the peer's restart (RFC 8445 §9): he goes on with them until the new ones have worked.
    former: Option<Key>,
    /// Since when there is something to be sent.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Key {
    ufrag: String,
    key: MessageIntegrityCredentials,
}

impl From<Credentials> for Key {
    fn from(Credentials { ufrag, password }: Credentials) -> Self {
        Self { ufrag, key: ShortTermCredentials::new(password).into() }
    }
}

impl Lite {
    pub fn new(ours: Credentials) -> Self {
        Self { ours: ours.into(), former: None, since: None }
    }

    /// From now on there is something to be sent.
    pub fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Whether a nomination is waited for before it is sent.
    pub fn is_patient(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now < since + PATIENCE)
    }

    /// Takes new credentials of ours in the session; does nothing when they are those that it has. Tells whether they are new.
    pub fn restart(&mut self, ours: Credentials) -> bool {
        let is_new = ours.ufrag != self.ours.ufrag;
        if is_new {
            self.former = Some(std::mem::replace(&mut self.ours, ours.into()));
        }
        is_new
    }

    /// Answers a check.
    pub fn check(&self, from: SocketAddr, datagram: &[u8]) -> Check {
        let Some(message) = stun::read(datagram).filter(|message| message.has_method(BINDING)) else {
            return Check::Bad;
        };
        match message.class() {
            MessageClass::Request => {}
            MessageClass::Indication => return Check::KeepAlive,
            // We have asked nothing.
            MessageClass::Success | MessageClass::Error => return Check::Bad,
        }
        // RFC 8445 §7.1.2: all of ICE has one.
        if !message.has_attribute(Fingerprint::TYPE) {
            return Check::Bad;
        }
        let is_signed =
            [MessageIntegrity::TYPE, MessageIntegritySha256::TYPE].iter().any(|kind| message.has_attribute(*kind));
        let Some(username) = message.attribute::<Username>().ok().filter(|_| is_signed) else {
            return refuse(&message, 400, None);
        };
        // RFC 8445 §7.3: ours stands first; what the peer calls himself proves nothing.
        let ufrag = username.username().split(':').next().unwrap_or_default();
        let known = [Some(&self.ours), self.former.as_ref()].into_iter().flatten().find(|key| key.ufrag == ufrag);
        let Some(key) = known else { return refuse(&message, 401, None) };
        let Ok(algorithm) = message.validate_integrity(&key.key) else { return refuse(&message, 401, None) };
        let signed = Some((&key.key, algorithm));
        if unknown(&message).next().is_some() {
            return refuse(&message, 420, signed);
        }
        // A lite agent is always the controlled one (RFC 8445 §6.1.1).
        if message.has_attribute(ICE_CONTROLLED) {
            return refuse(&message, 487, signed);
        }
        let Ok(answer) = success(&message, from, key, algorithm) else { return Check::Bad };
        let is_current = key.ufrag == self.ours.ufrag;
        let nominates = (is_current && message.has_attribute(USE_CANDIDATE)).then(|| priority(&message));
        Check::Passed { answer, nominates }
    }
}

/// What of a message must be understood and is not.
fn unknown<'m>(message: &'m Message<'_>) -> impl Iterator<Item = AttributeType> + 'm {
    let kinds = message.iter_attributes().map(|(_, attribute)| attribute.get_type());
    kinds.filter(|kind| kind.comprehension_required() && !UNDERSTOOD.contains(kind))
}

/// The lowest if it does not say.
fn priority(message: &Message<'_>) -> u32 {
    let value = message.raw_attribute(PRIORITY).and_then(|raw| <[u8; 4]>::try_from(&*raw.value).ok());
    value.map_or(0, u32::from_be_bytes)
}

fn success(
    request: &Message<'_>,
    from: SocketAddr,
    key: &Key,
    algorithm: IntegrityAlgorithm,
) -> Result<Vec<u8>, StunWriteError> {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    answer.add_attribute(&XorMappedAddress::new(from, request.transaction_id()))?;
    answer.add_message_integrity(&key.key, algorithm)?;
    answer.add_fingerprint()?;
    Ok(answer.finish())
}

/// An error, signed for who has proved himself (RFC 8489 §9.1.3). Without words: it is no larger than what it answers.
fn refuse(
    request: &Message<'_>,
    status: u16,
    signed: Option<(&MessageIntegrityCredentials, IntegrityAlgorithm)>,
) -> Check {
    let write = || -> Result<Vec<u8>, StunWriteError> {
        let mut answer = Message::builder_error(request, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::new(status, "")?)?;
        if status == 420 {
            let unknown: Vec<_> = unknown(request).take(MAX_UNKNOWN).collect();
            answer.add_attribute(&UnknownAttributes::new(&unknown))?;
        }
        if let Some((key, algorithm)) = signed {
            answer.add_message_integrity(key, algorithm)?;
        }
        answer.add_fingerprint()?;
        Ok(answer.finish())
    };
    write().map_or(Check::Bad, |answer| Check::Refused { answer })
}

#[cfg(test)]
mod tests;
