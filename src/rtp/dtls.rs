//! DTLS-SRTP: keys of a stream that both sides agree on where its sound goes, each known by the fingerprint of its certificate
//! in SDP (RFC 5763, 5764, 8122).
//!
//! The handshake (DTLS 1.2, RFC 6347) is rtc-dtls', which knows certificates of RSA too, as Linphone and FreeSWITCH make them.
//! It draws its secrets from the system and not from the call's seed. It forgets to send again once it is sent anything, and so
//! what it has had already is kept from it until there are keys. Who the peer is, is judged here when the handshake is
//! done: until then, and without the promised certificate for ever, no packet is taken or sent.
//!
//! It is made with a peer and not with an address (RFC 8842 §3): where ICE has him elsewhere meanwhile, it goes on there.
//! Where we wait to be called strangers may try too; what they do ends nothing.
//!
//! Left out: DTLS 1.0 and 1.3; a handshake of its own for reports on a port of their own, which therefore are left out without
//! rtcp-mux; a second handshake in one association: whoever wants one has to show another certificate or role. Who is behind
//! a NAT without ICE and yet waits to be called cannot be: nobody knows where he is before he has sent anything.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto_provider::default_provider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::srtp::{MasterKey, Srtp, SrtpKeys, Suite};

/// The longest time from the answer to keys.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon what has no answer is sent again: a greeting waits for it. It is tried eight times.
const REPEAT_AFTER: Duration = Duration::from_millis(600);
/// Datagrams of one peer that are looked at: a handshake has some ten, and each may come several times.
const MAX_DATAGRAMS: u32 = 200;
/// Addresses that may try at the same time where we wait to be called.
const MAX_PEERS: usize = 4;
/// Datagrams of all strangers together that are looked at in a second, however often one fails and another comes.
const MAX_STRANGE_DATAGRAMS: u32 = MAX_DATAGRAMS * MAX_PEERS as u32;
/// So long a stranger keeps his place without going on.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// Pieces of a handshake that one of them may send: its ten messages, the longer ones in several. rtc-dtls puts them together
/// one inside the other, so that many would be too deep for the stack.
const MAX_PIECES: usize = 64;
/// The longest message of a handshake, in bytes: a chain of certificates.
const MAX_MESSAGE: u32 = 16 * 1_024;
/// RFC 5764 §4.2.
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";
const CIPHERS: [CipherSuiteId; 4] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_ChaCha20_Poly1305_Sha256,
];
const PROFILES: [SrtpProtectionProfile; 4] = [
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32,
];

/// Whether a datagram on the port of the sound is one of DTLS (RFC 7983 §7).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram, [20..=63, ..])
}

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    #[error("make a certificate for DTLS: {0}")]
    Certificate(String),
    #[error("agree on keys (DTLS): {0}")]
    Failed(String),
    #[error(
        "agree on keys (DTLS): the peer's certificate is not the one that its SDP promised (a=fingerprint): something between \
         the two answers in its place, or the peer is set up with two certificates"
    )]
    Impostor,
    #[error("agree on keys (DTLS): no SRTP profile in common; allow SRTP_AES128_CM_HMAC_SHA1_80 at the peer")]
    NoProfile,
    #[error(
        "agree on keys (DTLS): no handshake in {} s; DTLS from and to the port of the sound must pass firewalls",
        PATIENCE.as_secs()
    )]
    TimedOut,
}

fn failed(error: impl fmt::Display) -> HandshakeError {
    HandshakeError::Certificate(error.to_string())
}

/// Who begins the handshake: `a=setup` (RFC 4145).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We do.
    Active,
    /// We wait for it.
    Passive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash of a certificate, by which SDP promises it (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    hash: Hash,
    digest: Vec<u8>,
}

impl Fingerprint {
    /// Reads `sha-256 AB:CD:…`. `None` if it is none, or by a hash that we do not know or trust (SHA-1, MD5).
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digits) = text.trim().split_once(char::is_whitespace)?;
        let hash = match name.to_ascii_lowercase().as_str() {
            "sha-256" => Hash::Sha256,
            "sha-384" => Hash::Sha384,
            "sha-512" => Hash::Sha512,
            _ => return None,
        };
        let is_byte = |pair: &str| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = |pair: &str| is_byte(pair).then(|| u8::from_str_radix(pair, 16).ok()).flatten();
        let digest = digits.trim().split(':').map(byte).collect::<Option<Vec<u8>>>()?;
        (digest.len() == hash.of(&[]).len()).then_some(Self { hash, digest })
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        self.hash.of(certificate) == self.digest
    }
}

impl Hash {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.hash {
            Hash::Sha256 => "sha-256",
            Hash::Sha384 => "sha-384",
            Hash::Sha512 => "sha-512",
        };
        f.write_str(name)?;
        for (n, byte) in self.digest.iter().enumerate() {
            f.write_char(if n == 0 { ' ' } else { ':' })?;
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

/// Our certificate, made at the start and known by its fingerprint alone. Clones are the same one.
#[derive(Clone)]
pub struct Certificate(Arc<Own>);

struct Own {
    fingerprint: Fingerprint,
    active: Arc<HandshakeConfig>,
    passive: Arc<HandshakeConfig>,
}

impl Certificate {
    /// Makes a key (P-256) and a certificate that it signs itself.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, HandshakeError> {
        let provider = default_provider().map_err(failed)?;
        let names = vec!["secretary".to_owned()];
        let certificate =
            rtc_dtls::crypto::Certificate::generate_self_signed(names, provider.crypto()).map_err(failed)?;
        let Some(der) = certificate.certificate.first() else {
            return Err(HandshakeError::Certificate("it is empty".to_owned()));
        };
        let fingerprint = Fingerprint { hash: Hash::Sha256, digest: Hash::Sha256.of(der) };
        let config = |is_active| {
            let config = ConfigBuilder::default()
                .with_crypto_provider(provider.clone())
                .with_certificates(vec![certificate.clone()])
                .with_cipher_suites(CIPHERS.to_vec())
                .with_srtp_protection_profiles(PROFILES.to_vec())
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // Who signed it says nothing; its fingerprint does.
                .with_insecure_skip_verify(true)
                // Nobody reads it; without one rtc-dtls warns.
                .with_server_name("secretary".to_owned())
                .with_flight_interval(REPEAT_AFTER)
                .build(is_active, None);
            config.map(Arc::new).map_err(failed)
        };
        Ok(Self(Arc::new(Own { fingerprint, active: config(true)?, passive: config(false)? })))
    }

    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.0.fingerprint)
    }
}

/// What SDP says of a handshake.
#[derive(Debug, Clone)]
pub struct Terms {
    pub certificate: Certificate,
    pub role: Role,
    /// Of the peer's certificate: one of them has to fit.
    pub fingerprints: Vec<Fingerprint>,
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        let ours = self.certificate.fingerprint() == other.certificate.fingerprint();
        ours && self.role == other.role && self.fingerprints == other.fingerprints
    }
}

impl Eq for Terms {}

/// What an association wants done or known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    Transmit { to: SocketAddr, datagram: Vec<u8> },
    Failed(HandshakeError),
}

/// One handshake and the keys that come of it.
pub(super) struct Association {
    terms: Terms,
    endpoint: Endpoint,
    state: State,
    /// Who has sent us anything of DTLS, or whom we have.
    peers: Vec<Peer>,
    /// Which of them is the peer and no stranger, by his name.
    own: Option<SocketAddr>,
    /// Of strangers, since the beginning of a second.
    strange_datagrams: Option<(Instant, u32)>,
    outputs: VecDeque<Output>,
}

struct Peer {
    /// The address that he had at first, by which rtc-dtls knows him.
    name: SocketAddr,
    /// Where what he is told goes.
    at: SocketAddr,
    /// What of the handshake has come.
    had: BTreeSet<Piece>,
    /// When any of that came last.
    went_on: Instant,
    /// How many datagrams of his were looked at.
    datagrams: u32,
}

impl Peer {
    fn new(now: Instant, address: SocketAddr) -> Self {
        Self { name: address, at: address, had: BTreeSet::new(), went_on: now, datagrams: 0 }
    }
}

/// A fragment of a handshake's message: number, offset and length (RFC 6347 §4.2.2).
type Piece = [u8; 8];

enum State {
    /// Who begins does not do so before [`Association::begin`].
    Idle,
    Begun {
        since: Instant,
    },
    Keyed(Box<Srtp>),
    Failed,
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle => "idle",
            State::Begun { .. } => "begun",
            State::Keyed(_) => "keyed",
            State::Failed => "failed",
        };
        f.debug_struct("Association").field("terms", &self.terms).field("state", &state).finish_non_exhaustive()
    }
}

impl Association {
    pub fn new(terms: Terms) -> Self {
        let server = (terms.role == Role::Passive).then(|| terms.certificate.0.passive.clone());
        // Our own address goes nowhere: associations are told apart by the other one.
        let endpoint = Endpoint::new((Ipv4Addr::UNSPECIFIED, 0).into(), Default::default(), server);
        let (peers, outputs) = (Vec::new(), VecDeque::new());
        Self { terms, endpoint, state: State::Idle, peers, own: None, strange_datagrams: None, outputs }
    }

    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The keys, once there are some.
    pub fn srtp(&mut self) -> Option<&mut Srtp> {
        match &mut self.state {
            State::Keyed(srtp) => Some(srtp),
            State::Idle | State::Begun { .. } | State::Failed => None,
        }
    }

    pub fn is_keyed(&self) -> bool {
        matches!(self.state, State::Keyed(_))
    }

    /// The session is established: whoever begins the handshake does so as soon as it is known where `to`.
    pub fn begin(&mut self, now: Instant, to: Option<SocketAddr>) {
        if matches!(self.state, State::Idle) {
            self.state = State::Begun { since: now };
        }
        let may_ask = self.is_asking() && self.own.is_none();
        let Some(to) = to.filter(|_| may_ask) else { return };
        self.own = Some(to);
        self.peers.push(Peer::new(now, to));
        let config = self.terms.certificate.0.active.clone();
        if let Err(error) = self.endpoint.connect(now, to, config, None) {
            self.fail(HandshakeError::Failed(error.to_string()));
        }
        self.drain();
    }

    /// Whether the handshake is ours to begin, and it has no end yet.
    fn is_asking(&self) -> bool {
        self.terms.role == Role::Active && matches!(self.state, State::Begun { .. })
    }

    /// The peer is there from now on, and is told there what he has not had. Where all of it has gone elsewhere and nothing
    /// came of it, he is asked anew.
    pub fn follow(&mut self, now: Instant, to: SocketAddr) {
        let Some(peer) = self.peers.iter_mut().find(|peer| self.own == Some(peer.name)) else { return };
        let has_moved = std::mem::replace(&mut peer.at, to) != to;
        let is_given_up = peer.had.is_empty() && self.endpoint.poll_timeout(&peer.name).is_none();
        if has_moved && is_given_up && self.is_asking() {
            for peer in self.peers.drain(..) {
                self.endpoint.stop(now, peer.name);
            }
            // He who has heard nothing needs no goodbye.
            while self.endpoint.poll_transmit().is_some() {}
            self.own = None;
            self.begin(now, Some(to));
        }
    }

    /// Takes a datagram of DTLS; tells whether there are keys by it. `answer_to`: where the peer is told what follows, if the
    /// datagram is his as far as anybody knows. What strangers send cannot make the handshake fail.
    pub fn handle_input(
        &mut self,
        now: Instant,
        from: SocketAddr,
        answer_to: Option<SocketAddr>,
        datagram: &[u8],
    ) -> bool {
        let (is_peers, was_keyed) = (answer_to.is_some(), self.is_keyed());
        // Nobody speaks for the peer by having his former address.
        let is_refused = matches!(self.state, State::Failed) || !is_peers && self.is_own(from) && !was_keyed;
        // RFC 6347 §4.1.2.7: what is malformed is passed over.
        let Some(pieces) = pieces(datagram).filter(|_| !is_refused) else { return false };
        let name = self.own.filter(|_| is_peers).unwrap_or(from);
        if !self.is_news(now, name, is_peers, &pieces) {
            return false;
        }
        if let Some(at) = answer_to {
            self.own = Some(name);
            self.peers.iter_mut().filter(|peer| peer.name == name).for_each(|peer| peer.at = at);
        }
        match self.endpoint.read(now, name, None, datagram.into()) {
            Ok(events) => {
                let is_done = events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
                if is_done && !was_keyed {
                    self.complete(now, name);
                }
            }
            Err(error) => self.failed_with(now, name, HandshakeError::Failed(error.to_string())),
        }
        self.drain();
        self.is_keyed() && !was_keyed
    }

    fn is_own(&self, name: SocketAddr) -> bool {
        self.own == Some(name)
    }

    /// Whether a datagram is looked at: from one who may send it, and not here before, but that whoever repeats himself after
    /// there are keys has not had our last words.
    fn is_news(&mut self, now: Instant, name: SocketAddr, is_peers: bool, pieces: &[Option<Piece>]) -> bool {
        let is_keyed = self.is_keyed();
        let is_passive = self.terms.role == Role::Passive;
        let this_second = self.strange_datagrams.filter(|(since, _)| now < *since + Duration::from_secs(1));
        let (since, strange_datagrams) = this_second.unwrap_or((now, 0));
        if !is_peers && strange_datagrams >= MAX_STRANGE_DATAGRAMS {
            return false;
        }
        if is_passive && self.peers.len() >= MAX_PEERS && self.peers.iter().all(|peer| peer.name != name) {
            let own = self.own;
            self.leave(now, |peer| own != Some(peer.name) && now >= peer.went_on + STALLED_AFTER);
        }
        // Whom SDP or a check has promised finds a place however many others there are.
        let may_come = is_passive && !is_keyed && (self.peers.len() < MAX_PEERS || is_peers);
        let known = self.peers.iter().position(|peer| peer.name == name).or_else(|| {
            may_come.then(|| {
                self.peers.push(Peer::new(now, name));
                self.peers.len() - 1
            })
        });
        let Some(peer) = known.and_then(|known| self.peers.get_mut(known)) else { return false };
        // RFC 6347 §4.2.1: our first answer is not sent again by the clock, but whenever it is asked for.
        let asks_first = is_passive && peer.had.last().is_none_or(|[a, b, ..]| [*a, *b] == [0, 0]);
        let is_new = pieces.iter().any(|piece| piece.is_none_or(|piece| !peer.had.contains(&piece)));
        let mut had = peer.had.clone();
        had.extend(pieces.iter().flatten());
        if had.len() > MAX_PIECES || peer.datagrams >= MAX_DATAGRAMS {
            return false;
        }
        if had.len() > peer.had.len() {
            peer.went_on = now;
        }
        peer.had = had;
        let is_news = is_new || is_keyed || asks_first;
        peer.datagrams += u32::from(is_news);
        self.strange_datagrams = Some((since, strange_datagrams + u32::from(is_news && !is_peers)));
        is_news
    }

    /// Sends again what may have been lost; gives up when it has been too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Begun { since } = self.state else { return };
        if now >= since + PATIENCE {
            return self.fail(HandshakeError::TimedOut);
        }
        for peer in &self.peers {
            // That it has been tried too often is told by the clock.
            let _ = self.endpoint.handle_timeout(peer.name, now);
        }
        self.drain();
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn drain(&mut self) {
        while let Some(message) = self.endpoint.poll_transmit() {
            let name = message.transport.peer_addr;
            let to = self.peers.iter().find(|peer| peer.name == name).map_or(name, |peer| peer.at);
            self.outputs.push_back(Output::Transmit { to, datagram: message.message.to_vec() });
        }
    }

    /// Ends what there is with all whom `is_over` names, and tells them.
    fn leave(&mut self, now: Instant, is_over: impl Fn(&Peer) -> bool) {
        for peer in self.peers.iter().filter(|peer| is_over(peer)) {
            self.endpoint.stop(now, peer.name);
        }
        self.drain();
        self.peers.retain(|peer| !is_over(peer));
    }

    fn complete(&mut self, now: Instant, name: SocketAddr) {
        match self.keys(name) {
            Ok(keys) => {
                self.state = State::Keyed(Box::new(Srtp::new(keys)));
                self.own = Some(name);
                self.leave(now, |peer| peer.name != name);
            }
            Err(error) => self.failed_with(now, name, error),
        }
    }

    /// The keys that the handshake with somebody has given, if he is who he should be.
    fn keys(&self, peer: SocketAddr) -> Result<SrtpKeys, HandshakeError> {
        let failed = || HandshakeError::Failed("the handshake gave no keys".to_owned());
        let state = self.endpoint.get_connection_state(peer).ok_or_else(failed)?;
        let certificate = state.peer_certificates.first().ok_or(HandshakeError::Impostor)?;
        if !self.terms.fingerprints.iter().any(|fingerprint| fingerprint.is_of(certificate)) {
            return Err(HandshakeError::Impostor);
        }
        let suite = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Suite::AesCm128HmacSha1_80,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32 => Suite::AesCm128HmacSha1_32,
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Suite::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => Suite::AeadAes256Gcm,
            _ => return Err(HandshakeError::NoProfile),
        };
        // RFC 5764 §4.2: the keys of client and server, then their salts.
        let (key, salt) = (suite.key_len(), suite.salt_len());
        let material = state.export_keying_material(EXPORTER, &[], 2 * (key + salt));
        let material = material.map_err(|error| HandshakeError::Failed(error.to_string()))?;
        let (keys, salts) = material.as_ref().split_at_checked(2 * key).ok_or_else(failed)?;
        let [active, passive] = [0, 1].map(|n| {
            let (key, salt) = (keys.chunks(key).nth(n)?, salts.chunks(salt).nth(n)?);
            MasterKey::new(suite, &[key, salt].concat())
        });
        let (active, passive) = active.zip(passive).ok_or_else(failed)?;
        Ok(match self.terms.role {
            Role::Active => SrtpKeys { ours: active, theirs: passive },
            Role::Passive => SrtpKeys { ours: passive, theirs: active },
        })
    }

    /// What a stranger does is no business of the call's; neither is what comes after the keys.
    fn failed_with(&mut self, now: Instant, name: SocketAddr, error: HandshakeError) {
        self.leave(now, |peer| peer.name == name);
        if !self.is_keyed() && self.is_own(name) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: HandshakeError) {
        self.state = State::Failed;
        self.outputs.push_back(Output::Failed(error));
    }
}

/// What a datagram has: pieces of a handshake, and `None` for each record that is something else, or encrypted. `None` as a
/// whole if it is malformed: then rtc-dtls, which trusts its lengths, does not see it.
fn pieces(datagram: &[u8]) -> Option<Vec<Option<Piece>>> {
    let (mut rest, mut found) = (datagram, Vec::new());
    while !rest.is_empty() {
        // RFC 6347 §4.1: type, version, epoch, number, length.
        let (&[kind, _, _, e0, e1, _, _, _, _, _, _, l0, l1], after) = rest.split_first_chunk::<13>()?;
        let (mut record, after) = after.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        rest = after;
        if (kind, [e0, e1]) != (22, [0, 0]) {
            found.push(None);
            continue;
        }
        while !record.is_empty() {
            // RFC 6347 §4.2.2: type, length, number, offset and length of the fragment.
            let (&[_, l0, l1, l2, n0, n1, o0, o1, o2, f0, f1, f2], body) = record.split_first_chunk::<12>()?;
            let [length, offset, fragment] =
                [[l0, l1, l2], [o0, o1, o2], [f0, f1, f2]].map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]));
            let (_, after) = body.split_at_checked(usize::try_from(fragment).ok()?)?;
            // A part of a message is the last in its record, and only an empty message has an empty part.
            let is_part = fragment < length;
            if length > MAX_MESSAGE || offset + fragment > length || is_part && (fragment == 0 || !after.is_empty()) {
                return None;
            }
            found.push(Some([n0, n1, o0, o1, o2, f0, f1, f2]));
            record = after;
        }
    }
    (found.len() <= MAX_PIECES).then_some(found)
}

#[cfg(test)]
mod tests;
