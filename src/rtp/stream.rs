//! One RTP stream each way between us and one peer: what is received, played to the peer, and counted.
//!
//! **Symmetric RTP** (RFC 4961). Behind NAT the address in SDP is often not where packets come from, so we send to where
//! the first valid packet came from. From then on we are latched: packets from elsewhere are dropped, or a stranger who
//! guesses the port could take the call over. Two things may move the latch: packets from the very address that SDP
//! names, at once, and anybody's after the latched source has been silent for [`LATCH_TIMEOUT`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::codec::{Codec, g711};
use super::jitter::{COMFORT_NOISE, DEFAULT_TARGET, JitterBuffer, Payload, Received};
use super::packet::{Packet, PacketError, RtpTimestamp, Seq, Ssrc};
use super::playout::{Playout, Unplayed};
use super::{FRAME_DURATION, FRAME_SAMPLES, Frame};

/// After so much silence of the latched source, another may take its place.
pub const LATCH_TIMEOUT: Duration = Duration::from_secs(3);
/// How many late ticks are made up for in one [`Stream::handle_timeout`]: 200 ms. The rest is skipped.
const MAX_CATCH_UP: u32 = 10;

/// What signalling agreed for a stream, and where its numbers begin (random, RFC 3550 §5.1).
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// The peer's address as SDP names it. An unspecified address or port 0 is never sent to (hold of RFC 2543).
    pub remote: SocketAddr,
    /// The codec we send and its payload type.
    pub codec: Codec,
    pub payload_type: u8,
    /// Payload types that may come in, beside comfort noise under its static number. Others are counted and dropped.
    pub accepted: Vec<(u8, Codec)>,
    pub ssrc: Ssrc,
    pub first_seq: Seq,
    pub first_timestamp: RtpTimestamp,
}

/// What a stream wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one of each every 20 ms, moved once")]
pub enum Output {
    Transmit {
        to: SocketAddr,
        datagram: Vec<u8>,
    },
    /// 20 ms have passed: what was received and what was sent in them. `mark` names the last segment in `sent`.
    Tick {
        received: Frame,
        quality: Received,
        sent: Frame,
        mark: Option<u64>,
    },
    /// We were called too late: so many ticks passed without audio either way.
    Skipped {
        ticks: u32,
    },
}

/// Counts since the stream began. Packets unless it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Each packet once, late ones among them.
    pub received: u64,
    /// Never came.
    pub lost: u64,
    /// Came too late to be played.
    pub late: u64,
    pub duplicate: u64,
    pub reordered: u64,
    /// Audio that was made up, in ms.
    pub concealed_ms: u64,
    pub sent: u64,
    /// Datagrams that are not RTP: RTCP, STUN, garbage.
    pub not_rtp: u64,
    /// Payload types that were not agreed.
    pub unexpected_payload: u64,
    /// From addresses that are not the peer's.
    pub strangers: u64,
    /// Absurd packets and those that a full buffer had no room for.
    pub dropped: u64,
    /// New sources, sequence or timestamp jumps of the peer.
    pub resets: u64,
    /// Times that the playout delay was changed, for clock drift for example.
    pub corrections: u64,
    /// Times that we began to send to an address other than the one before.
    pub latch_changes: u64,
    /// Ticks skipped because we were called too late.
    pub skipped_ticks: u64,
    /// Audio waiting in the jitter buffer.
    pub buffered: Duration,
    /// When the last packet of the peer came.
    pub last_received: Option<Instant>,
}

/// Where the peer is.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// Where SDP says; nothing has come yet.
    Signalled,
    Latched {
        source: SocketAddr,
        heard: Instant,
    },
}

/// One stream each way. Mutate with a verb, then drain [`poll_output`](Self::poll_output) until `None`.
#[derive(Debug)]
pub struct Stream {
    config: StreamConfig,
    peer: Peer,
    jitter: JitterBuffer,
    playout: Playout,
    send: bool,
    /// Nothing was sent for the last tick, so that the next packet begins a talkspurt.
    paused: bool,
    seq: Seq,
    timestamp: RtpTimestamp,
    next_tick: Instant,
    outputs: VecDeque<Output>,
    /// Those that are counted here; the jitter buffer has its own.
    stats: StreamStats,
}

impl Stream {
    /// The first tick is due at `now`.
    pub fn new(now: Instant, config: StreamConfig) -> Self {
        Self {
            peer: Peer::Signalled,
            jitter: JitterBuffer::new(DEFAULT_TARGET),
            playout: Playout::default(),
            send: true,
            paused: true,
            seq: config.first_seq,
            timestamp: config.first_timestamp,
            next_tick: now,
            outputs: VecDeque::new(),
            stats: StreamStats::default(),
            config,
        }
    }

    /// Takes a datagram from the media socket. Whatever is not the peer's RTP is counted and ignored.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(PacketError::NotRtp | PacketError::Rtcp | PacketError::Truncated) => {
                self.stats.not_rtp += 1;
                return;
            }
        };
        let agreed = self.config.accepted.iter().find(|(payload_type, _)| *payload_type == packet.payload_type);
        let payload = match agreed {
            Some(&(_, codec)) => Payload::Voice(codec),
            None if packet.payload_type == COMFORT_NOISE => Payload::ComfortNoise,
            None => {
                self.stats.unexpected_payload += 1;
                return;
            }
        };
        if !self.latch(now, from) {
            self.stats.strangers += 1;
            return;
        }
        self.stats.last_received = Some(now);
        self.jitter.insert(now, &packet, payload);
    }

    /// Does what is due by `now`: one tick for every 20 ms. Does nothing while outputs wait to be drained.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.outputs.is_empty() || now < self.next_tick {
            return;
        }
        let due = now.duration_since(self.next_tick).as_millis() / FRAME_DURATION.as_millis() + 1;
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if let Some(ticks @ 1..) = due.checked_sub(MAX_CATCH_UP) {
            self.skip(ticks);
        }
        for _ in 0..due.min(MAX_CATCH_UP) {
            self.tick();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Instant {
        self.next_tick
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Queues 8 kHz audio to be sent, under a mark of the caller's choice. Returns how many samples found room:
    /// a minute is the most that waits.
    pub fn play(&mut self, mark: u64, pcm: &[i16]) -> usize {
        self.playout.push(mark, pcm)
    }

    /// Stops sending what was queued, within 5 ms, and returns what was not sent.
    pub fn stop_playing(&mut self) -> Vec<Unplayed> {
        self.playout.clear()
    }

    pub fn is_playing(&self) -> bool {
        self.playout.is_playing()
    }

    /// A new agreement for the same stream (re-INVITE): SSRC, sequence and timestamps go on. The latch opens only if the
    /// peer names another address than before.
    pub fn redirect(&mut self, remote: SocketAddr, codec: Codec, payload_type: u8, accepted: Vec<(u8, Codec)>) {
        if remote != self.config.remote {
            self.peer = Peer::Signalled;
        }
        self.config = StreamConfig { remote, codec, payload_type, accepted, ..self.config };
    }

    /// Stops and resumes sending (hold). What is queued waits meanwhile; time goes on.
    pub fn set_send(&mut self, send: bool) {
        self.send = send;
    }

    /// Whether what is played goes out; not on hold.
    pub fn is_sending(&self) -> bool {
        self.send
    }

    pub fn stats(&self) -> StreamStats {
        let jitter = self.jitter.stats();
        StreamStats {
            received: jitter.received,
            lost: jitter.lost,
            late: jitter.late,
            duplicate: jitter.duplicate,
            reordered: jitter.reordered,
            dropped: jitter.dropped,
            resets: jitter.resets,
            corrections: jitter.corrections,
            buffered: self.jitter.buffered(),
            concealed_ms: jitter.concealed / 8,
            ..self.stats
        }
    }

    /// Whether a packet from this address is the peer's; see the module's documentation.
    fn latch(&mut self, now: Instant, from: SocketAddr) -> bool {
        let target = self.target();
        if let Peer::Latched { source, heard } = self.peer {
            let silent = now.saturating_duration_since(heard) >= LATCH_TIMEOUT;
            if from != source && from != self.config.remote && !silent {
                return false;
            }
        }
        self.peer = Peer::Latched { source: from, heard: now };
        self.stats.latch_changes += u64::from(from != target);
        true
    }

    fn target(&self) -> SocketAddr {
        match self.peer {
            Peer::Signalled => self.config.remote,
            Peer::Latched { source, .. } => source,
        }
    }

    fn tick(&mut self) {
        let (received, quality) = self.receive();
        let (sent, mark) = self.transmit();
        self.outputs.push_back(Output::Tick { received, quality, sent, mark });
        self.advance(1);
    }

    fn skip(&mut self, ticks: u32) {
        self.stats.skipped_ticks += u64::from(ticks);
        self.jitter.skip(ticks);
        self.outputs.push_back(Output::Skipped { ticks });
        self.advance(ticks);
    }

    fn advance(&mut self, ticks: u32) {
        self.next_tick += FRAME_DURATION * ticks;
        self.timestamp = self.timestamp.wrapping_add(ticks.wrapping_mul(FRAME_SAMPLES as u32));
    }

    fn receive(&mut self) -> (Frame, Received) {
        let mut frame = [0; FRAME_SAMPLES];
        let quality = self.jitter.pull(self.next_tick, &mut frame);
        (frame, quality)
    }

    /// Sends 20 ms, of silence if there is nothing to say, unless we are on hold.
    fn transmit(&mut self) -> (Frame, Option<u64>) {
        let to = self.target();
        if !self.send || to.ip().is_unspecified() || to.port() == 0 {
            self.paused = true;
            return ([0; FRAME_SAMPLES], None);
        }
        let (frame, mark) = self.playout.next_frame();
        let packet = Packet {
            payload_type: self.config.payload_type,
            // RFC 3551 §4.1: only after a time without packets; silence alone is no reason.
            marker: std::mem::take(&mut self.paused),
            seq: self.seq,
            timestamp: self.timestamp,
            ssrc: self.config.ssrc,
            payload: &g711::encode(self.config.codec, &frame),
        };
        self.outputs.push_back(Output::Transmit { to, datagram: packet.build() });
        self.seq = self.seq.next();
        self.stats.sent += 1;
        (frame, mark)
    }
}
