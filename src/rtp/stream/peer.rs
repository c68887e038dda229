//! Where the peer of a stream is, and who he is: his checks of ICE and the handshake for keys, on the ports of the sound and
//! of the reports.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Output, Stream, is_somewhere};
use crate::rtp::dtls;
use crate::rtp::ice::{Check, Credentials, Lite};

/// What a socket of ours is for (RFC 8445 §4).
#[derive(Debug, Clone, Copy)]
pub(super) enum Component {
    Sound,
    Reports,
}

impl Stream {
    /// ICE with the peer from now on, whose checks are known by these credentials of ours, or no more. Other ones than before
    /// are a restart: the sound goes on to where it went until something else is nominated. At first it waits for that.
    pub fn set_ice(&mut self, ours: Option<Credentials>) {
        match (ours, &mut self.ice) {
            (Some(ours), Some(ice)) => {
                if ice.restart(ours) {
                    self.latch.restarted();
                    self.rtcp.nomination().restarted();
                }
            }
            (Some(ours), ice @ None) => *ice = Some(Lite::new(ours)),
            (None, ice) => {
                *ice = None;
                self.last_check = None;
                self.latch.forget_checks();
                self.rtcp.forget_checks();
            }
        }
    }

    /// Takes a check of the peer's connectivity and answers it, whether or not anything else is sent.
    pub(super) fn check(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], component: Component) {
        let answer = match self.ice.as_ref().map_or(Check::Bad, |ice| ice.check(from, datagram)) {
            Check::Passed { answer, nominates } => {
                self.stats.checks += 1;
                self.last_check = Some(now);
                let target = self.latch.target();
                match component {
                    Component::Sound => self.latch.checked(now, from, nominates),
                    Component::Reports => self.rtcp.nomination().checked(now, from, nominates),
                }
                self.stats.latch_changes += u64::from(self.latch.target() != target);
                answer
            }
            Check::Refused { answer } => {
                self.stats.refused_checks += 1;
                answer
            }
            Check::KeepAlive => return,
            Check::Bad => {
                self.stats.not_rtp += 1;
                return;
            }
        };
        self.outputs.push_back(match component {
            Component::Sound => Output::Transmit { to: from, datagram: answer },
            Component::Reports => Output::TransmitRtcp { to: from, datagram: answer },
        });
        if let (Some(nominated), Some(association)) = (self.latch.nominated(), self.wire.association()) {
            association.follow(now, nominated);
        }
        self.drain_handshake();
    }

    /// Takes a datagram of DTLS, if keys are agreed on in that way.
    pub(super) fn shake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let is_peers = self.latch.is_peers(from, self.is_awaiting(now));
        let answer_to = is_peers.then(|| self.latch.nominated().unwrap_or(from));
        match self.wire.association() {
            Some(association) => {
                if association.handle_input(now, from, answer_to, datagram) {
                    let target = self.latch.target();
                    self.latch.vouch(from);
                    self.stats.latch_changes += u64::from(self.latch.target() != target);
                }
            }
            None => self.stats.not_rtp += 1,
        }
        self.drain_handshake();
    }

    /// Whether it is for the peer's checks to say where he is, and none has nominated anything yet.
    fn is_awaiting(&self, now: Instant) -> bool {
        !self.latch.is_found() && self.ice.as_ref().is_some_and(|ice| ice.is_patient(now))
    }

    /// Sees to the handshake, and whether it is known where it and the sound go.
    pub(super) fn seek_peer(&mut self, now: Instant) {
        if let Some(ice) = self.ice.as_mut().filter(|_| self.send || self.may_shake) {
            ice.begin(now);
        }
        self.awaits_nomination = self.is_awaiting(now);
        let peer = Some(self.latch.target()).filter(|peer| is_somewhere(*peer) && !self.awaits_nomination);
        let Some(association) = self.wire.association() else { return };
        if self.may_shake && (peer.is_some() || self.awaits_nomination) {
            association.begin(now, peer);
        }
        association.handle_timeout(now);
    }

    pub(super) fn drain_handshake(&mut self) {
        let Some(association) = self.wire.association() else { return };
        while let Some(output) = association.poll_output() {
            self.outputs.push_back(match output {
                dtls::Output::Transmit { to, datagram } => Output::Transmit { to, datagram },
                dtls::Output::Failed(error) => Output::NoKeys(error),
            });
        }
    }
}
