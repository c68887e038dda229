//! SRTP and SRTCP: what stands between a stream and the wire once both sides have keys (RFC 3711, 6188, 7714).
//!
//! Ciphers, key derivation, the rollover counter and the windows against replay are webrtc-srtp's. What comes from the network
//! is measured here before it gets there: its header parser and its RTCP side panic on what is cut short, its RTCP side lets
//! through what says of itself that it is not encrypted, and it remembers every source that it is asked about, genuine or not.
//!
//! Left out: master key identifiers (MKI), the end of a key's lifetime, key derivation rates, packets that are authenticated
//! and not encrypted. The rollover counter of a source begins at 0 with its first packet, unless it is known from before a change
//! of keys.

mod sources;

use std::fmt;

use ::rtp::header::Header;
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretSlice};
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

use self::sources::Sources;

/// So many packets behind the latest one may still be taken: 2.5 s of sound.
const REPLAY_WINDOW: usize = 128;
/// An RTP header without contributing sources and extension, in words of 32 bits.
const HEADER_WORDS: usize = 3;
/// What of an RTCP packet is never encrypted.
const REPORT_HEADER_BYTES: usize = 8;
/// The E flag and the index of an SRTCP packet (RFC 3711 §3.4).
const REPORT_INDEX_BYTES: usize = 4;

/// How packets are encrypted and authenticated. The names are those of SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    Aes256CmHmacSha1_80,
    Aes256CmHmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    const fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::Aes256CmHmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::Aes256CmHmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Bytes of the master key.
    pub fn key_len(self) -> usize {
        self.profile().key_len()
    }

    /// Bytes of the master salt.
    pub fn salt_len(self) -> usize {
        self.profile().salt_len()
    }

    /// Bytes at the end of an SRTCP packet that authenticate it, before or after its index.
    fn report_tag_len(self) -> usize {
        self.profile().rtcp_auth_tag_len() + self.profile().aead_auth_tag_len()
    }

    /// From the end of an SRTCP packet to the byte with its E flag: the tag follows the index, but for AEAD (RFC 7714 §9.2).
    fn report_flag_from_end(self) -> usize {
        REPORT_INDEX_BYTES + self.profile().rtcp_auth_tag_len()
    }
}

/// A master key with its salt, for one way. Does not print itself.
#[derive(Debug, Clone)]
pub struct MasterKey {
    suite: Suite,
    /// The key, then the salt, as SDP has them (RFC 4568 §6.1).
    secret: SecretSlice<u8>,
}

impl MasterKey {
    /// `secret`: the key and then the salt. `None` if that is not as long as the suite wants it.
    pub fn new(suite: Suite, secret: &[u8]) -> Option<Self> {
        (secret.len() == suite.key_len() + suite.salt_len()).then(|| Self { suite, secret: secret.to_vec().into() })
    }

    pub fn draw(suite: Suite, rng: &mut impl CryptoRng) -> Self {
        let mut secret = vec![0; suite.key_len() + suite.salt_len()];
        rng.fill_bytes(&mut secret);
        Self { suite, secret: secret.into() }
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key and then the salt.
    pub fn secret(&self) -> &[u8] {
        self.secret.expose_secret()
    }

    fn context(&self) -> Context {
        let (key, salt) = self.secret().split_at(self.suite.key_len());
        let (rtp, rtcp) = (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
        let context = Context::new(key, salt, self.suite.profile(), Some(rtp), Some(rtcp));
        let Ok(context) = context else { unreachable!("only a wrong length is refused, and `new` has measured it") };
        context
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && self.secret() == other.secret()
    }
}

impl Eq for MasterKey {}

/// The keys of both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What we send with.
    pub ours: MasterKey,
    pub theirs: MasterKey,
}

/// Why a packet is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no RTP and no RTCP at all.
    NotRtp,
    /// It is not encrypted with the key that was agreed, or was changed on its way.
    Forged,
    /// It has been here before, or is too old to tell.
    Replayed,
}

/// Encryption of one stream, both ways.
pub struct Srtp {
    ours: MasterKey,
    seal: Context,
    /// Who sends sound, and who sends reports.
    sound: Sources,
    reports: Sources,
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srtp").field("ours", &self.ours).field("theirs", self.reports.key()).finish_non_exhaustive()
    }
}

impl Srtp {
    pub fn new(keys: SrtpKeys) -> Self {
        let SrtpKeys { ours, theirs } = keys;
        Self { seal: ours.context(), ours, sound: Sources::new(theirs.clone()), reports: Sources::new(theirs) }
    }

    /// Takes what a new agreement says. A way whose key stays goes on counting: under the same key its rollover counter must
    /// not begin again, for nothing may be encrypted twice with one piece of the key stream (RFC 3711 §9.1).
    ///
    /// Tells whether ours is another one: then we have to go on as another source, whose counters begin at 0 for everybody. As
    /// the same one some peers would have us go on counting (RFC 3711 §3.3.1), others have us begin anew.
    #[must_use]
    pub fn rekey(&mut self, keys: SrtpKeys) -> bool {
        let SrtpKeys { ours, theirs } = keys;
        self.sound.rekey(theirs.clone());
        self.reports.rekey(theirs);
        let is_new = ours != self.ours;
        if is_new {
            (self.seal, self.ours) = (ours.context(), ours);
        }
        is_new
    }

    /// Whether the peer sends with another key than he has told, as far as can be known: many packets of sound under the
    /// present one were forged, and none was not.
    pub fn is_wrong_key(&self) -> bool {
        self.sound.is_wrong_key()
    }

    /// Encrypts an RTP packet of ours. `None` when the key has been used up, after 2⁴⁸ packets (RFC 3711 §9.2).
    pub fn protect(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.seal.encrypt_rtp_with_header(packet, &header(packet)?).ok().map(Vec::from)
    }

    /// Encrypts an RTCP packet of ours.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.seal.encrypt_rtcp(packet).ok().map(Vec::from)
    }

    /// Decrypts an RTP packet of the peer's.
    ///
    /// # Errors
    /// [`Refused`], and then nothing of it counts.
    pub fn unprotect(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = header(packet).ok_or(Refused::NotRtp)?;
        let decrypt = |context: &mut Context| context.decrypt_rtp_with_header(packet, &header);
        self.sound.open(header.ssrc, header.sequence_number, decrypt)
    }

    /// Decrypts an RTCP packet of the peer's.
    ///
    /// # Errors
    /// [`Refused`], and then nothing of it counts.
    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let suite = self.reports.key().suite;
        let [first, _, _, _, a, b, c, d, ..] = *packet else { return Err(Refused::NotRtp) };
        if first >> 6 != 2 || packet.len() < REPORT_HEADER_BYTES + REPORT_INDEX_BYTES + suite.report_tag_len() {
            return Err(Refused::NotRtp);
        }
        // RFC 3711 §3.4: without the E flag it is not encrypted, which nobody has agreed to.
        let flag = packet.get(packet.len() - suite.report_flag_from_end());
        if flag.is_none_or(|flag| flag >> 7 == 0) {
            return Err(Refused::Forged);
        }
        let ssrc = u32::from_be_bytes([a, b, c, d]);
        self.reports.open(ssrc, 0, |context| context.decrypt_rtcp(packet))
    }
}

/// What webrtc-srtp wants to know of an RTP packet's header: its length, whose it is and its number. A header extension is told
/// as contributing sources, which take as much room. `None` if it is no RTP packet.
fn header(packet: &[u8]) -> Option<Header> {
    let [first, _, s0, s1, _, _, _, _, a, b, c, d, ..] = *packet else { return None };
    if first >> 6 != 2 {
        return None;
    }
    let mut words = HEADER_WORDS + usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let [_, _, e0, e1] = *packet.get(words * 4..words * 4 + 4)? else { return None };
        words += 1 + usize::from(u16::from_be_bytes([e0, e1]));
    }
    (packet.len() >= words * 4).then(|| Header {
        version: 2,
        sequence_number: u16::from_be_bytes([s0, s1]),
        ssrc: u32::from_be_bytes([a, b, c, d]),
        csrc: vec![0; words - HEADER_WORDS],
        ..Header::default()
    })
}

#[cfg(test)]
mod tests;
