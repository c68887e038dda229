//! One RTP stream each way between us and one peer: what is received, played to the peer, and counted.
//!
//! Where the peer is decides the [latch](super::latch), to which [ICE](super::ice) may say more; what both tell each other of
//! what they receive is [RTCP](super::rtcp).

mod peer;
mod transmit;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::codec::{Codec, Encoder, OpusTerms};
use super::dtls::{HandshakeError, is_dtls};
use super::dtmf::{self, Events};
use super::ice::Lite;
use super::jitter::{COMFORT_NOISE, DEFAULT_TARGET, JitterBuffer, Payload, Received};
use super::latch::Latch;
use super::pace::{Pace, Silence};
use super::packet::{Packet, PacketError, RtpTimestamp, Seq, Ssrc};
use super::playout::{Loudness, Playout, Unplayed};
use super::quality::{Path, Quality, SentQuality, tenths};
use super::reception::Reception;
use super::rtcp::{Outgoing, Rtcp, RtcpPath, RtcpStart, Sent};
use super::srtp::Refused;
use super::stun::is_stun;
use super::wire::{Protection, Wire};
use super::{FRAME_DURATION, Frame, Rate};
use peer::Component;

/// How many late ticks are made up for in one [`Stream::handle_timeout`]: 200 ms. The rest is skipped.
const MAX_CATCH_UP: u32 = 10;

/// What signalling agreed for a stream, and where its numbers begin (random, RFC 3550 §5.1).
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// Of all sound that is played and received, whatever the codec.
    pub rate: Rate,
    /// The peer's address as SDP names it. An unspecified address or port 0 is never sent to (hold of RFC 2543).
    pub remote: SocketAddr,
    /// The codec we send and its payload type.
    pub codec: Codec,
    pub payload_type: u8,
    /// What the peer wants of our Opus.
    pub opus: OpusTerms,
    /// Payload types that may come in, beside comfort noise under its static number. Others are counted and dropped.
    pub accepted: Vec<(u8, Codec)>,
    /// How keys are told, if they are.
    pub events: Option<Events>,
    pub ssrc: Ssrc,
    pub first_seq: Seq,
    pub first_timestamp: RtpTimestamp,
    pub rtcp: RtcpStart,
}

/// What a stream wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one of each every 20 ms, moved once")]
pub enum Output {
    Transmit {
        to: SocketAddr,
        datagram: Vec<u8>,
    },
    /// A report, from the port for those.
    TransmitRtcp {
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
    /// There are no keys and there will be none: nothing is sent or heard.
    NoKeys(HandshakeError),
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
    /// Datagrams that are neither RTP, nor the peer's RTCP, nor checks of ICE that passed: garbage, strangers' reports.
    pub not_rtp: u64,
    /// Not encrypted with the keys that were agreed, or at all; or before there were any.
    pub forged: u64,
    /// Encrypted with them, and here before.
    pub replayed: u64,
    /// Checks of ICE that passed.
    pub checks: u64,
    /// Checks of ICE of those who do not know our password, and such as cannot be.
    pub refused_checks: u64,
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

/// One stream each way. Mutate with a verb, then drain [`poll_output`](Self::poll_output) until `None`.
#[derive(Debug)]
pub struct Stream {
    config: StreamConfig,
    wire: Wire,
    latch: Latch,
    /// Who answers the peer's checks, if ICE is agreed.
    ice: Option<Lite>,
    last_check: Option<Instant>,
    /// Whether what there is to send waits for the peer to say by ICE where it goes.
    awaits_nomination: bool,
    rtcp: Rtcp,
    reception: Reception,
    /// When the peer's last report came.
    last_report: Option<Instant>,
    /// Of the jitter buffer, in ms, over all ticks with sound of the peer's, and the number of those.
    buffering_ms: f64,
    buffered_ticks: u32,
    sent_octets: u64,
    /// Packets and octets before our SSRC was the present one.
    sent_as_another: (u64, u64),
    jitter: JitterBuffer,
    encoder: Encoder,
    playout: Playout,
    pace: Pace,
    silence: Silence,
    /// Keys of the peer, and ours.
    keys: dtmf::Receiver,
    presses: dtmf::Sender,
    /// Who sends the sound.
    source: Option<Ssrc>,
    send: bool,
    may_shake: bool,
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
    /// The first tick is due at `now`. Nothing is encrypted until [`protect`](Self::protect) says so.
    pub fn new(now: Instant, config: StreamConfig) -> Self {
        Self {
            wire: Wire::Plain,
            latch: Latch::new(config.remote),
            ice: None,
            last_check: None,
            awaits_nomination: false,
            rtcp: Rtcp::new(now, config.rtcp),
            reception: Reception::new(now),
            last_report: None,
            buffering_ms: 0.0,
            buffered_ticks: 0,
            sent_octets: 0,
            sent_as_another: (0, 0),
            jitter: JitterBuffer::new(DEFAULT_TARGET, config.rate),
            encoder: Encoder::new(config.rate, config.codec, config.opus),
            playout: Playout::new(config.rate),
            pace: Pace::default(),
            silence: Silence::default(),
            keys: dtmf::Receiver::new(event_clock_hz(config.events)),
            presses: dtmf::Sender::default(),
            source: None,
            send: true,
            may_shake: false,
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
        if is_stun(datagram) {
            return self.check(now, from, datagram, Component::Sound);
        }
        if is_dtls(datagram) {
            return self.shake(now, from, datagram);
        }
        let Some(datagram) = self.open(datagram) else { return };
        let packet = match Packet::parse(&datagram) {
            Ok(packet) => packet,
            Err(PacketError::Rtcp) => return self.reported(now, from.ip(), None, &datagram),
            Err(PacketError::NotRtp | PacketError::Truncated) => {
                self.stats.not_rtp += 1;
                return;
            }
        };
        let agreed = self.config.accepted.iter().find(|(payload_type, _)| *payload_type == packet.payload_type);
        let payload = match agreed {
            Some(&(_, codec)) => Some(Payload::Voice(codec)),
            None if packet.payload_type == COMFORT_NOISE => Some(Payload::ComfortNoise),
            None => None,
        };
        let is_event = self.config.events.is_some_and(|events| events.receive == packet.payload_type);
        if payload.is_none() && !is_event {
            self.stats.unexpected_payload += 1;
            // Keep-alives (RFC 6263 §4.6) and the like: nothing to hear, but the peer is there and nothing is missing.
            if self.latch.refresh(now, from) {
                self.stats.last_received = Some(now);
                self.pass_over(now, &packet);
            }
            return;
        }
        let target = self.latch.target();
        if !self.latch.admit(now, from, &packet) {
            self.stats.strangers += 1;
            return;
        }
        self.stats.latch_changes += u64::from(self.latch.target() != target);
        self.stats.last_received = Some(now);
        match payload {
            Some(payload) => {
                self.source = Some(packet.ssrc);
                match payload {
                    Payload::Voice(codec) => {
                        self.keys.sound(&packet);
                        self.reception.arrive(now, &packet, codec.clock_rate_hz());
                    }
                    Payload::ComfortNoise => self.reception.arrive_silent(&packet),
                }
                self.jitter.insert(now, &packet, payload);
            }
            None => self.take_event(now, &packet),
        }
    }

    /// What the peer has sent; what cannot be his is counted.
    fn open<'d>(&mut self, datagram: &'d [u8]) -> Option<Cow<'d, [u8]>> {
        let count = match self.wire.open(datagram) {
            Ok(datagram) => return Some(datagram),
            Err(Refused::NotRtp) => &mut self.stats.not_rtp,
            Err(Refused::Forged) => &mut self.stats.forged,
            Err(Refused::Replayed) => &mut self.stats.replayed,
        };
        *count += 1;
        None
    }

    /// A packet in which a key is told instead of sound.
    fn take_event(&mut self, now: Instant, packet: &Packet<'_>) {
        let dtmf::Taken { key, sound } = self.keys.take(now, packet);
        self.pass_over(now, &Packet { timestamp: sound, ..*packet });
        self.outputs.extend(key.map(|key| Output::Key { key }));
    }

    /// A packet without sound, whose sequence number is one of the sound's, so that nothing is missing between them; some
    /// gateways tell keys as a source of their own, which is no business of the sound's.
    fn pass_over(&mut self, now: Instant, packet: &Packet<'_>) {
        if self.source == Some(packet.ssrc) {
            self.reception.arrive_silent(packet);
            self.jitter.insert(now, &Packet { payload: &[], ..*packet }, Payload::Voice(self.config.codec));
        }
    }

    /// Takes a datagram from the socket for RTCP. Whatever is not the peer's is counted and ignored.
    pub fn handle_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if is_stun(datagram) {
            return self.check(now, from, datagram, Component::Reports);
        }
        if let Some(datagram) = self.open(datagram) {
            self.reported(now, from.ip(), Some(from), &datagram);
        }
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
        self.seek_peer(now);
        for _ in 0..due.min(MAX_CATCH_UP) {
            self.tick();
        }
        self.drain_handshake();
        let sent = self.sent(now);
        let report = self.rtcp.handle_timeout(now, sent, &mut self.reception);
        self.report(report);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Instant {
        self.next_tick
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Queues audio to be sent, under a mark of the caller's choice. Returns how many samples found room:
    /// a minute is the most that waits.
    pub fn play(&mut self, mark: u64, pcm: &[i16]) -> usize {
        self.playout.push(mark, pcm)
    }

    /// Stops sending what was queued, within 5 ms, and returns what was not sent.
    pub fn stop_playing(&mut self) -> Vec<Unplayed> {
        self.playout.clear()
    }

    /// How loud what is queued is sent from now on, until [`Self::stop_playing`].
    pub fn set_loudness(&mut self, loudness: Loudness) {
        self.playout.set_loudness(loudness);
    }

    /// How many samples wait to be sent.
    pub fn queued(&self) -> usize {
        self.playout.queued()
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

    /// A new agreement for the same stream (re-INVITE): sequence and timestamps go on, and the SSRC unless
    /// [`protect`](Self::protect) has another key of ours. The latch opens to who
    /// proves himself while the peer is silent, and to another peer if SDP names another address.
    pub fn redirect(
        &mut self,
        remote: SocketAddr,
        codec: Codec,
        opus: OpusTerms,
        payload_type: u8,
        accepted: Vec<(u8, Codec)>,
        events: Option<Events>,
    ) {
        if self.latch.promise(remote) {
            self.silence.interrupt();
        }
        if events.is_none() {
            self.presses = dtmf::Sender::default();
        }
        if event_clock_hz(events) != event_clock_hz(self.config.events) {
            self.keys = dtmf::Receiver::new(event_clock_hz(events));
            self.presses.interrupt();
        }
        if !self.encoder.is_for(codec, opus) {
            self.encoder = Encoder::new(self.config.rate, codec, opus);
        }
        self.config = StreamConfig { remote, codec, payload_type, opus, accepted, events, ..self.config };
    }

    /// How often is sent from now on. At first a packet leaves every 20 ms.
    pub fn set_pace(&mut self, pace: Pace) {
        if pace != self.pace {
            self.pace = pace;
            self.silence.interrupt();
        }
    }

    /// How packets are protected from now on, both ways. What is played waits until there are keys. Under another key of ours
    /// we are another source.
    pub fn protect(&mut self, protection: Protection) {
        if self.wire.protect(protection) {
            self.config.ssrc = Ssrc(self.config.ssrc.0.wrapping_add(1));
            self.sent_as_another = (self.stats.sent, self.sent_octets);
            self.rtcp.forget_far(0);
        }
    }

    /// Whether nothing that comes is encrypted with the key that the peer has told.
    pub fn is_wrong_key(&self) -> bool {
        self.wire.is_wrong_key()
    }

    /// Whether a handshake for keys may begin, if there is to be one: once the peer is known to be where he says.
    pub fn set_handshake(&mut self, may_begin: bool) {
        self.may_shake = may_begin;
    }

    /// Stops and resumes sending (hold). What is queued waits meanwhile; time goes on.
    pub fn set_send(&mut self, send: bool) {
        self.send = send;
    }

    /// Whether what is played goes out; not on hold.
    pub fn is_sending(&self) -> bool {
        self.send
    }

    /// There is another peer from now on: what the one before has told of our stream is not his.
    pub fn meet_another(&mut self) {
        self.rtcp.forget_far(self.stats.sent);
    }

    /// Where reports go from now on. At first they go nowhere.
    pub fn set_rtcp(&mut self, path: Option<RtcpPath>) {
        self.rtcp.set_path(path);
    }

    /// Tells a peer who has had reports of ours that the stream is over. None follows.
    pub fn say_goodbye(&mut self, now: Instant) {
        let sent = self.sent(now);
        let report = self.rtcp.goodbye(now, sent, &mut self.reception);
        self.report(report);
    }

    /// When the peer was last heard, by a packet of sound, a report or a check; `None` as long as he has sent no sound from
    /// where he is now.
    pub fn last_heard(&self) -> Option<Instant> {
        let heard = self.latch.heard()?;
        [self.last_report, self.last_check].into_iter().flatten().chain([heard]).max()
    }

    /// How the sound was so far.
    pub fn quality(&self) -> Quality {
        let stats = self.jitter.stats();
        let round_trip = self.rtcp.round_trip();
        // Both ways have one codec, but for the few who send another one of those that were agreed.
        let path = Path {
            codec: self.config.codec,
            rate: self.config.rate,
            round_trip: round_trip.unwrap_or_default(),
            buffering: Duration::from_secs_f64(self.buffering_ms / f64::from(self.buffered_ticks.max(1)) / 1_000.0),
            loss: share(stats.lost + stats.late, stats.received + stats.lost),
            run: stats.lost as f64 / self.reception.gaps().max(1) as f64,
        };
        let sent = self.rtcp.far().map(|far| {
            let lost = u64::try_from(far.lost).unwrap_or(0);
            // His jitter buffer is taken to be like ours at first, and his losses to be single ones.
            let path = Path { buffering: DEFAULT_TARGET, loss: share(lost, far.sent), run: 1.0, ..path };
            let jitter_ms = f64::from(far.jitter) * 1_000.0 / f64::from(self.config.codec.clock_rate_hz());
            SentQuality { packets: far.sent, lost, jitter_ms: tenths(jitter_ms), mos: path.mos() }
        });
        Quality {
            received: stats.received,
            lost: stats.lost,
            late: stats.late,
            jitter_ms: self.reception.jitter_ms().map(tenths),
            round_trip_ms: round_trip.map(|round_trip| tenths(round_trip.as_secs_f64() * 1_000.0)),
            mos: (stats.received > 0).then(|| path.mos()),
            sent,
        }
    }

    /// Of all sound, in and out.
    pub fn rate(&self) -> Rate {
        self.config.rate
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
            concealed_ms: jitter.concealed * 1_000 / u64::from(self.config.rate.hz()),
            ..self.stats
        }
    }

    /// What the next report says of our stream.
    fn sent(&self, now: Instant) -> Sent {
        let clock_hz = u64::from(self.config.codec.clock_rate_hz());
        // `timestamp` is that of the next tick.
        let ahead = self.next_tick.saturating_duration_since(now).as_micros() as u64 * clock_hz / 1_000_000;
        let behind = now.saturating_duration_since(self.next_tick).as_micros() as u64 * clock_hz / 1_000_000;
        let timestamp = self.timestamp.wrapping_add((behind as u32).wrapping_sub(ahead as u32));
        // RFC 3550 §6.4.1: the counts are those of the SSRC.
        let (packets, octets) = (self.stats.sent - self.sent_as_another.0, self.sent_octets - self.sent_as_another.1);
        Sent { ssrc: self.config.ssrc, timestamp, packets, octets }
    }

    fn reported(&mut self, now: Instant, host: IpAddr, from: Option<SocketAddr>, datagram: &[u8]) {
        let sent = self.sent(now);
        let is_nominated = self.rtcp.nomination().address().is_some_and(|at| at.ip() == host);
        let is_peers = is_nominated || self.latch.is_peers_host(host);
        if is_peers && self.rtcp.handle_input(now, from, datagram, sent) {
            self.last_report = Some(now);
            if let Some(far) = self.rtcp.far() {
                let lost = share(u64::try_from(far.lost).unwrap_or(0), far.sent) * 100.0;
                self.encoder.expect_loss(lost.ceil() as u8);
            }
        } else {
            self.stats.not_rtp += 1;
        }
    }

    fn report(&mut self, report: Option<Outgoing>) {
        match report {
            // A handshake for that port alone would have to come first.
            Some(Outgoing { to: Some(_), .. }) if !self.wire.has_port_for_reports() || self.awaits_nomination => {}
            Some(Outgoing { to: Some(to), datagram }) => {
                let sealed = self.wire.seal(datagram);
                self.outputs.extend(sealed.map(|datagram| Output::TransmitRtcp { to, datagram }));
            }
            Some(Outgoing { to: None, datagram }) => {
                let to = self.latch.target();
                if is_somewhere(to) && !self.awaits_nomination {
                    let sealed = self.wire.seal(datagram);
                    self.outputs.extend(sealed.map(|datagram| Output::Transmit { to, datagram }));
                }
            }
            None => {}
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
        self.timestamp = self.timestamp.wrapping_add(ticks.wrapping_mul(self.config.codec.frame_ticks()));
    }

    fn receive(&mut self) -> (Frame, Received) {
        let mut frame = Frame::silent(self.config.rate);
        let quality = self.jitter.pull(self.next_tick, &mut frame);
        if quality == Received::Real {
            self.buffering_ms += self.jitter.buffered().as_secs_f64() * 1_000.0;
            self.buffered_ticks = self.buffered_ticks.saturating_add(1);
        }
        (frame, quality)
    }
}

/// Without events nothing is counted.
fn event_clock_hz(events: Option<Events>) -> u32 {
    events.map_or(dtmf::CLOCK_RATES_HZ[0], |events| events.clock_hz)
}

/// Whether anything can be sent there.
fn is_somewhere(to: SocketAddr) -> bool {
    !to.ip().is_unspecified() && to.port() != 0
}

/// 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
