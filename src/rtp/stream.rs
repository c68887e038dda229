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
use super::conceal::Concealer;
use super::dtmf::{self, Due, Events};
use super::jitter::{DEFAULT_TARGET, JitterBuffer, Piece};
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
    /// Payload types that may come in. Others are counted and dropped.
    pub accepted: Vec<(u8, Codec)>,
    /// How keys are told, if they are.
    pub events: Option<Events>,
    pub ssrc: Ssrc,
    pub first_seq: Seq,
    pub first_timestamp: RtpTimestamp,
}

/// What a received frame is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// At least in part what the peer sent.
    Real,
    /// Made up in place of what was lost.
    Concealed,
    /// Silence: the peer sent nothing, or nothing for longer than can be concealed.
    Empty,
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
    /// The peer has pressed a key: 0 to 9, `*`, `#`, A to D.
    Key {
        key: char,
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
    /// Times that the playout delay was corrected, for clock drift for example.
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
    concealer: Concealer,
    playout: Playout,
    /// Keys of the peer, and ours.
    keys: dtmf::Receiver,
    presses: dtmf::Sender,
    /// Who sends the sound.
    source: Option<Ssrc>,
    send: bool,
    /// Nothing was sent for the last tick, so that the next packet begins a talkspurt.
    paused: bool,
    seq: Seq,
    timestamp: RtpTimestamp,
    next_tick: Instant,
    outputs: VecDeque<Output>,
    /// Those that are counted here; the jitter buffer has its own.
    stats: StreamStats,
    concealed_samples: u64,
}

impl Stream {
    /// The first tick is due at `now`.
    pub fn new(now: Instant, config: StreamConfig) -> Self {
        Self {
            peer: Peer::Signalled,
            jitter: JitterBuffer::new(DEFAULT_TARGET),
            concealer: Concealer::new(),
            playout: Playout::default(),
            keys: dtmf::Receiver::default(),
            presses: dtmf::Sender::default(),
            source: None,
            send: true,
            paused: true,
            seq: config.first_seq,
            timestamp: config.first_timestamp,
            next_tick: now,
            outputs: VecDeque::new(),
            stats: StreamStats::default(),
            concealed_samples: 0,
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
        let codec = agreed.map(|(_, codec)| *codec);
        let is_event = self.config.events.is_some_and(|events| events.receive == packet.payload_type);
        if codec.is_none() && !is_event {
            self.stats.unexpected_payload += 1;
            return;
        }
        if !self.latch(now, from) {
            self.stats.strangers += 1;
            return;
        }
        self.stats.last_received = Some(now);
        match codec {
            Some(codec) => {
                self.source = Some(packet.ssrc);
                self.keys.sound(&packet);
                self.jitter.insert(now, &packet, codec);
            }
            None => self.take_event(now, &packet),
        }
    }

    /// A packet in which a key is told instead of sound.
    fn take_event(&mut self, now: Instant, packet: &Packet<'_>) {
        let dtmf::Taken { key, sound } = self.keys.take(now, packet);
        // Its sequence number is one of the sound's, so that nothing is missing between them; some gateways tell keys as
        // a source of their own, which is no business of the sound's.
        if self.source == Some(packet.ssrc) {
            self.jitter.insert(now, &Packet { timestamp: sound, payload: &[], ..*packet }, self.config.codec);
        }
        self.outputs.extend(key.map(|key| Output::Key { key }));
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

    /// Presses a key when those before it have been. Sound that is queued waits meanwhile. Returns whether it is told in
    /// RTP: not if that is not agreed, if the peer does not take it, or if too many wait.
    pub fn press(&mut self, key: char) -> bool {
        self.config.events.is_some_and(|events| self.presses.press(key, events.wanted))
    }

    /// Whether keys are being pressed or wait for it.
    pub fn is_pressing(&self) -> bool {
        self.presses.is_pressing()
    }

    /// A new agreement for the same stream (re-INVITE): SSRC, sequence and timestamps go on. The latch opens only if the
    /// peer names another address than before.
    pub fn redirect(
        &mut self,
        remote: SocketAddr,
        codec: Codec,
        payload_type: u8,
        accepted: Vec<(u8, Codec)>,
        events: Option<Events>,
    ) {
        if remote != self.config.remote {
            self.peer = Peer::Signalled;
        }
        if events.is_none() {
            self.presses = dtmf::Sender::default();
        }
        self.config = StreamConfig { remote, codec, payload_type, accepted, events, ..self.config };
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
            concealed_ms: self.concealed_samples / 8,
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
        let (mut real, mut concealed) = (false, false);
        let mut rest = &mut frame[..];
        for piece in self.jitter.pull(self.next_tick) {
            let pcm = match piece {
                Piece::Audio(mut pcm) => {
                    real = true;
                    self.concealer.real(&mut pcm);
                    pcm
                }
                Piece::Silence(len) => {
                    let mut pcm = vec![0; len];
                    self.concealer.real(&mut pcm);
                    pcm
                }
                Piece::Lost(len) => {
                    let mut pcm = vec![0; len];
                    let made_up = self.concealer.lost(&mut pcm);
                    concealed |= made_up > 0;
                    self.concealed_samples += made_up as u64;
                    pcm
                }
            };
            rest = fill(rest, &pcm);
        }
        let quality = match (real, concealed) {
            (true, _) => Received::Real,
            (false, true) => Received::Concealed,
            (false, false) => Received::Empty,
        };
        (frame, quality)
    }

    /// Sends 20 ms, of silence if there is nothing to say, unless we are on hold.
    fn transmit(&mut self) -> (Frame, Option<u64>) {
        let to = self.target();
        if !self.send || to.ip().is_unspecified() || to.port() == 0 {
            self.paused = true;
            self.presses.interrupt();
            return ([0; FRAME_SAMPLES], None);
        }
        let due = self.presses.tick(self.timestamp);
        let (frame, mark) = match due {
            Due::Sound => self.playout.next_frame(),
            Due::Silence | Due::Event { .. } => ([0; FRAME_SAMPLES], None),
        };
        // RFC 3551 §4.1: only after a time without packets; silence alone is no reason.
        let after_pause = std::mem::take(&mut self.paused);
        let StreamConfig { codec, payload_type, events, ssrc, .. } = self.config;
        let sound = Packet {
            payload_type,
            marker: after_pause,
            seq: self.seq,
            timestamp: self.timestamp,
            ssrc,
            payload: &g711::encode(codec, &frame),
        };
        let packet = match (&due, events) {
            (&Due::Event { marker, timestamp, ref payload }, Some(Events { send, .. })) => {
                Packet { payload_type: send, marker, timestamp, payload, ..sound }
            }
            _ => sound,
        };
        self.outputs.push_back(Output::Transmit { to, datagram: packet.build() });
        self.seq = self.seq.next();
        self.stats.sent += 1;
        (frame, mark)
    }
}

/// Writes `pcm` to the front of `frame` and returns what is left of it.
fn fill<'a>(frame: &'a mut [i16], pcm: &[i16]) -> &'a mut [i16] {
    let (front, rest) = frame.split_at_mut(pcm.len().min(frame.len()));
    front.copy_from_slice(&pcm[..front.len()]);
    rest
}
