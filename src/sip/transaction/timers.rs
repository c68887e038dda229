//! The timers of RFC 3261 §17 (table 4) and RFC 6026, and a small table that holds those that run.

use std::time::{Duration, Instant};

/// Estimate of the round trip.
pub const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions of anything but INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message can stay in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: when we stop waiting for an answer.
pub const GIVE_UP: Duration = Duration::from_secs(32);
/// Timer D on UDP: how long a client waits for retransmissions of a final answer (at least 32 s).
pub const LINGER: Duration = Duration::from_secs(32);

/// The transaction timers by the letters that the RFCs give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// INVITE client: retransmit the request.
    A,
    /// INVITE client: no answer at all.
    B,
    /// INVITE client: wait for repeated failures.
    D,
    /// Other client: retransmit the request.
    E,
    /// Other client: no final answer.
    F,
    /// INVITE server: retransmit the failure.
    G,
    /// INVITE server: no ACK for the failure.
    H,
    /// INVITE server: wait for repeated ACKs.
    I,
    /// Other server: wait for repeated requests.
    J,
    /// Other client: wait for repeated answers.
    K,
    /// INVITE server: wait for repeated INVITEs after our 2xx (RFC 6026 §7.1).
    L,
    /// INVITE client: wait for repeated 2xx (RFC 6026 §7.2).
    M,
}

/// Running timers: a handful, so a plain list.
#[derive(Debug, Clone)]
pub struct Timers<K>(Vec<(Instant, K)>);

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers(Vec::new())
    }
}

impl<K: Copy + Ord> Timers<K> {
    /// Starts `timer`, again if it runs.
    pub fn set(&mut self, timer: K, at: Instant) {
        self.stop(timer);
        self.0.push((at, timer));
    }

    pub fn stop(&mut self, timer: K) {
        self.0.retain(|(_, t)| *t != timer);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(at, _)| *at).min()
    }

    /// Takes the timer that was due first.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let due = *self.0.iter().filter(|(at, _)| *at <= now).min()?;
        self.stop(due.1);
        Some(due.1)
    }
}
