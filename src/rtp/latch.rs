//! Where the peer is: symmetric RTP (RFC 4961) that nobody can steal (the RTP-bleed attack).
//!
//! Behind NAT the address in SDP is often not where packets come from, so sound is sent to where it comes from. Whose it may
//! be:
//!
//! - the source that SDP promised, at once; where another one is heard, after it has proved itself;
//! - while nothing has come from there, the first source that proves itself by [`PROOF`] packets of one SSRC whose sequence
//!   goes on; until then it is neither heard nor sent to;
//! - once a source is latched, no stranger, however long it is silent. Only where its own stream goes on from another
//!   address, same SSRC and sequence, has a NAT given it a new one; it too has to prove itself;
//! - after a new description the latch is open once more: to whoever proves himself while the latched source is silent (a
//!   NAT that has forgotten it during a hold), and, where the description names another address, to anybody but the former
//!   source, which goes on for a while and has to prove itself for longer;
//! - where keys are agreed on by a handshake, the address that it was made with, in place of the one in SDP;
//! - with ICE (RFC 8445), where an integrity-checked nomination says, and from then on from nobody but those who passed a check.
//!
//! Left out: who can see the packets can continue them; against him only encryption helps.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::ice::Nomination;
use super::jitter::COMFORT_NOISE;
use super::packet::{Packet, Seq, Ssrc};

/// Packets in a row that make a source one to be believed: 80 ms of sound.
const PROOF: u32 = 4;
/// The most that a sequence number may be ahead of the one before to go on: some loss is no disproof.
const MAX_STEP: u16 = 10;
/// Packets in a row that make the former source one to be believed again: a second.
const LONG_PROOF: u32 = 50;
/// A packet so far behind is late or doubled and neither proves nor disproves anything.
const MAX_LATE: u16 = 100;
/// So long the latched source has been silent before another can follow it after a new description.
const GONE_AFTER: Duration = Duration::from_secs(1);
/// The longest time between two packets of a proof, and before who pauses is gone: comfort noise comes every few seconds.
const PROOF_PATIENCE: Duration = Duration::from_secs(10);
/// So long the latched source has been silent before its stream can go on from elsewhere.
const REBIND_AFTER: Duration = Duration::from_millis(200);
/// The most packets that may have been lost meanwhile: a minute.
const MAX_REBIND_STEP: u16 = 3_000;
/// Sources that prove themselves at the same time.
const MAX_CANDIDATES: usize = 8;

/// Who is believed to be the peer.
#[derive(Debug)]
pub(super) struct Latch {
    /// By SDP.
    promised: SocketAddr,
    /// By the handshake for keys.
    vouched: Option<SocketAddr>,
    held: Option<Source>,
    /// Whether another source may follow after a new description.
    open: bool,
    /// Who was believed before SDP named another address.
    former: Option<SocketAddr>,
    candidates: Vec<Candidate>,
    nominated: Nomination,
    /// Addresses that passed a check of ICE, the latest last.
    checked: Vec<SocketAddr>,
}

/// A stream of packets from one address.
#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    ssrc: Ssrc,
    seq: Seq,
    heard: Instant,
    /// With comfort noise: the next may not come soon.
    pauses: bool,
}

#[derive(Debug)]
struct Candidate {
    source: Source,
    packets: u32,
}

impl Source {
    fn is_continued_by(&self, packet: &Packet<'_>, most: u16) -> bool {
        let step = packet.seq.0.wrapping_sub(self.seq.0);
        packet.ssrc == self.ssrc && (1..=most).contains(&step)
    }
}

impl Latch {
    pub fn new(promised: SocketAddr) -> Self {
        Self {
            promised,
            vouched: None,
            held: None,
            open: false,
            former: None,
            candidates: Vec::new(),
            nominated: Nomination::default(),
            checked: Vec::new(),
        }
    }

    /// SDP says where the peer is; an unspecified address, which is hold (RFC 2543), promises nothing. Tells whether he is
    /// somewhere else now.
    pub fn promise(&mut self, promised: SocketAddr) -> bool {
        if promised.ip().is_unspecified() {
            return false;
        }
        let is_another = promised != self.promised;
        if is_another {
            let former = self.held.map(|held| held.address);
            let checked = std::mem::take(&mut self.checked);
            *self = Self { former, nominated: self.nominated, checked, ..Self::new(promised) };
        }
        self.open = true;
        is_another
    }

    /// The handshake for keys was made with this address, by him whose certificate SDP has promised.
    pub fn vouch(&mut self, address: SocketAddr) {
        if self.nominated.address().is_none() {
            self.vouched = Some(address);
            self.held = self.held.filter(|held| held.address == address);
        }
    }

    /// Where he is before he has sent any sound.
    fn home(&self) -> SocketAddr {
        self.vouched.unwrap_or(self.promised)
    }

    /// Whether he has been heard where he was expected, or a check or a handshake has said where he is.
    pub fn is_found(&self) -> bool {
        let is_expected = |held: Source| held.address == self.promised || self.checked.contains(&held.address);
        self.nominated.address().is_some() || self.vouched.is_some() || self.held.is_some_and(is_expected)
    }

    /// Whether what proves nothing by itself is taken for the peer's when it comes from here: by who has passed a check of
    /// ICE, and unless `only_checked` from where the sound goes.
    pub fn is_peers(&self, from: SocketAddr, only_checked: bool) -> bool {
        let is_checked = self.nominated.address() == Some(from) || self.checked.contains(&from);
        is_checked || !only_checked && self.target() == from
    }

    /// Where ICE has the sound go.
    pub fn nominated(&self) -> Option<SocketAddr> {
        self.nominated.address()
    }

    /// An address has passed a check of ICE; with its priority if it was nominated by that.
    pub fn checked(&mut self, now: Instant, from: SocketAddr, nominates: Option<u32>) {
        self.checked.retain(|address| *address != from);
        if self.checked.len() >= MAX_CANDIDATES {
            self.checked.remove(0);
        }
        self.checked.push(from);
        self.nominated.checked(now, from, nominates);
        if self.nominated.address().is_some() {
            let checked = &self.checked;
            self.held = self.held.filter(|held| checked.contains(&held.address));
        }
    }

    /// The peer has restarted ICE: what was nominated holds until something else is (RFC 8445 §9).
    pub fn restarted(&mut self) {
        self.nominated.restarted();
    }

    /// There is no ICE any more: where it had the sound go is no more than what SDP says.
    pub fn forget_checks(&mut self) {
        if self.nominated.address().is_some() {
            *self = Self::new(self.promised);
        }
        self.checked.clear();
    }

    /// Where to send. Of those who have passed a check and were not nominated it is he whom SDP names, or the latest.
    pub fn target(&self) -> SocketAddr {
        let checked = || self.checked.last().filter(|_| !self.checked.contains(&self.promised)).copied();
        let held = self.held.map(|source| source.address);
        self.nominated.address().or(held).or(self.vouched).or_else(checked).unwrap_or(self.promised)
    }

    /// When the peer's last packet came since it was promised where it is.
    pub fn heard(&self) -> Option<Instant> {
        self.held.map(|source| source.heard)
    }

    /// Whether what comes from this host can be the peer's. RTCP need not come from the port of the sound.
    pub fn is_peers_host(&self, host: IpAddr) -> bool {
        host == self.target().ip() || host == self.promised.ip()
    }

    /// Notes a packet that proves nothing. Tells whether it came from the source that is latched.
    pub fn refresh(&mut self, now: Instant, from: SocketAddr) -> bool {
        let held = self.held.as_mut().filter(|held| held.address == from);
        held.map(|held| held.heard = now).is_some()
    }

    /// Whether a packet from this address is the peer's.
    pub fn admit(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let pauses = packet.payload_type == COMFORT_NOISE;
        let source = Source { address: from, ssrc: packet.ssrc, seq: packet.seq, heard: now, pauses };
        let (nominated, home) = (self.nominated.address(), self.home());
        if nominated.is_some() && nominated != Some(from) && !self.checked.contains(&from) {
            return false;
        }
        match &mut self.held {
            Some(held) if held.address == from => {
                // A late packet is no step back.
                if held.ssrc == packet.ssrc && !held.is_continued_by(packet, u16::MAX / 2) {
                    held.heard = now;
                } else {
                    *held = source;
                }
                // Whoever is there after all needs no other in his place; the former source only fills it.
                self.open &= self.former == Some(from);
                return true;
            }
            // A check has proved more than packets can.
            _ if self.nominated.address().is_some() => {}
            Some(held) => {
                let silent = now.saturating_duration_since(held.heard);
                let gone_after = if held.pauses { PROOF_PATIENCE } else { GONE_AFTER };
                let is_free = self.open && (silent >= gone_after || self.former == Some(held.address));
                let goes_on = silent >= REBIND_AFTER && held.is_continued_by(packet, MAX_REBIND_STEP);
                let is_promised = from == home;
                let at_once = is_promised && silent >= REBIND_AFTER;
                if !at_once && !((is_promised || is_free || goes_on) && self.prove(source, packet)) {
                    return false;
                }
            }
            None if from == home => {}
            None => {
                if !self.prove(source, packet) {
                    return false;
                }
            }
        }
        self.open &= self.former == Some(from);
        self.held = Some(source);
        self.candidates.clear();
        true
    }

    /// Notes a packet of a source that is not believed yet. Tells whether it is enough.
    fn prove(&mut self, source: Source, packet: &Packet<'_>) -> bool {
        let proof = if self.former == Some(source.address) { LONG_PROOF } else { PROOF };
        let known = self.candidates.iter_mut().find(|candidate| candidate.source.address == source.address);
        let Some(candidate) = known else {
            if self.candidates.len() >= MAX_CANDIDATES {
                let least = |(_, c): &(usize, &Candidate)| (c.packets, c.source.heard);
                if let Some((n, _)) = self.candidates.iter().enumerate().min_by_key(least) {
                    self.candidates.swap_remove(n);
                }
            }
            self.candidates.push(Candidate { source, packets: 1 });
            return false;
        };
        let behind = candidate.source.seq.0.wrapping_sub(packet.seq.0);
        if candidate.source.ssrc == packet.ssrc && behind <= MAX_LATE {
            return false;
        }
        let in_time = source.heard.saturating_duration_since(candidate.source.heard) <= PROOF_PATIENCE;
        let goes_on = in_time && candidate.source.is_continued_by(packet, MAX_STEP);
        candidate.packets = if goes_on { candidate.packets + 1 } else { 1 };
        candidate.source = source;
        candidate.packets >= proof
    }
}

#[cfg(test)]
mod tests;
