//! The jitter buffer: packets come in when the network pleases, 20 ms of audio leave every 20 ms.
//!
//! Time is the sender's, by RTP timestamp: `head` is the timestamp that is due next and moves by one frame per pull,
//! whatever has come. So packets of any length fit, silence that the sender suppressed plays as silence, and a packet
//! is late when `head` has passed its end. A packet's *margin* is how long before it is due it came; the first packet
//! gets the target delay as its margin. Where the margins show that the sender's clock drifts away or that the network's
//! delay has changed for good, `head` is moved, in a quiet moment if it can wait.
//!
//! Left out: choosing the target delay from the jitter measured (see [`JitterBuffer::set_target`]), time stretching.

mod sequence;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::sequence::{Arrival, Sequence};
use super::codec::{Codec, g711};
use super::packet::{ExtendedSeq, Packet, RtpTimestamp, Ssrc};
use super::{FRAME_DURATION, FRAME_SAMPLES};

/// The delay that packets get to smooth out their arrival, at first.
pub const DEFAULT_TARGET: Duration = Duration::from_millis(60);

const FRAME: i64 = FRAME_SAMPLES as i64;
const CLOCK_HZ: u64 = 8_000;
/// At most this much is buffered; a packet further off is a jump of the sender's timestamps. 1 s.
const MAX_MARGIN: i64 = 8_000;
/// 1 s of packets of 10 ms, and some.
const MAX_PACKETS: usize = 128;
/// A payload of G.711 longer than 200 ms is no telephone's.
const MAX_PAYLOAD: usize = 1_600;
/// After so many packets in a row that came too late, the delay has grown for good.
const MAX_LATE_RUN: u32 = 5;
/// For how long margins are watched before the delay is corrected: 5 s.
const WINDOW_FRAMES: u32 = 250;
/// A correction smaller than 20 ms is not worth it; one above 60 ms does not wait for a quiet moment.
const MIN_CORRECTION: i64 = FRAME;
const URGENT_CORRECTION: i64 = 3 * FRAME;
/// Peak of a frame that counts as quiet: −42 dB of full scale.
const QUIET_PEAK: u16 = 256;

/// What is due for a part of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Audio(Vec<i16>),
    /// So many samples in which the sender was silent (or has not begun).
    Silence(usize),
    /// So many samples that were lost or have not come in time.
    Lost(usize),
}

/// Counts since the buffer was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken, each once, late ones among them.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after their time.
    pub late: u64,
    pub duplicate: u64,
    pub reordered: u64,
    /// Packets dropped as absurd (too long, or far outside the sequence) or because the buffer was full.
    pub dropped: u64,
    /// New sources, new sequences, and jumps of the timestamps or of the delay.
    pub resets: u64,
    /// Times that the delay was corrected by a skip or a pause.
    pub corrections: u64,
}

/// A jitter buffer for one stream of G.711.
#[derive(Debug)]
pub struct JitterBuffer {
    /// In samples.
    target: i64,
    last_pull: Option<Instant>,
    source: Option<Source>,
    stats: JitterStats,
}

impl JitterBuffer {
    pub fn new(target: Duration) -> Self {
        let mut buffer = Self { target: 0, last_pull: None, source: None, stats: JitterStats::default() };
        buffer.set_target(target);
        buffer
    }

    /// Aims at another delay, at most half a second, which comes into force within 5 s.
    pub fn set_target(&mut self, target: Duration) {
        self.target = samples(target).min(MAX_MARGIN / 2);
    }

    pub fn stats(&self) -> JitterStats {
        let lost = self.source.as_ref().map_or(0, |source| source.sequence.lost());
        JitterStats { lost: self.stats.lost + lost, ..self.stats }
    }

    /// How much audio, silence and gaps included, waits from now on.
    pub fn buffered(&self) -> Duration {
        let end = self.source.as_ref().and_then(|s| s.packets.values().last().map(|p| p.end() - s.head));
        Duration::from_micros(u64::try_from(end.unwrap_or(0)).unwrap_or(0) * 1_000_000 / CLOCK_HZ)
    }

    /// Takes a packet whose payload is G.711.
    pub fn insert(&mut self, now: Instant, packet: &Packet<'_>, codec: Codec) {
        if packet.payload.len() > MAX_PAYLOAD {
            self.stats.dropped += 1;
            return;
        }
        let due_in = self.due_in(now);
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc) else {
            return self.start(due_in, packet, codec);
        };
        let (seq, in_order) = match source.sequence.arrive(packet.seq) {
            Arrival::InOrder(seq) => (seq, true),
            Arrival::Reordered(seq) => (seq, false),
            Arrival::Duplicate => {
                self.stats.duplicate += 1;
                return;
            }
            Arrival::Stray => {
                self.stats.dropped += 1;
                return;
            }
            Arrival::Restart => return self.start(due_in, packet, codec),
        };
        self.stats.received += 1;
        self.stats.reordered += u64::from(!in_order);
        let timestamp = source.extend(packet.timestamp);
        let stored = Stored { timestamp, codec, payload: packet.payload.to_vec() };
        let margin = timestamp - source.head + due_in;
        if in_order {
            source.late_run = if margin < 0 { source.late_run + 1 } else { 0 };
            let talkspurt = packet.marker && margin < 0;
            if margin.abs() > MAX_MARGIN || talkspurt || source.late_run >= MAX_LATE_RUN {
                source.align(timestamp, self.target, due_in);
                self.stats.resets += 1;
            } else {
                source.window.note(margin);
            }
            source.last_timestamp = (packet.timestamp, timestamp);
        }
        if stored.end() <= source.head || timestamp - source.head > MAX_MARGIN {
            self.stats.late += 1;
            return;
        }
        self.stats.dropped += source.store(seq, stored);
    }

    /// Takes out the 20 ms that are due at `deadline`: the pieces together are one frame.
    pub fn pull(&mut self, deadline: Instant) -> Vec<Piece> {
        self.last_pull = Some(deadline);
        let Some(source) = &mut self.source else { return vec![Piece::Silence(FRAME_SAMPLES)] };
        self.stats.corrections += u64::from(source.correct(self.target));
        source.pull()
    }

    /// Lets `frames` pass unheard, because nobody pulled in time.
    pub fn skip(&mut self, frames: u32) {
        if let Some(source) = &mut self.source {
            source.head += i64::from(frames) * FRAME;
        }
        self.last_pull = self.last_pull.and_then(|at| at.checked_add(FRAME_DURATION * frames));
    }

    /// Samples until the next pull, negative when that is overdue.
    fn due_in(&self, now: Instant) -> i64 {
        let since = self.last_pull.map_or(FRAME_DURATION, |at| now.saturating_duration_since(at));
        FRAME - samples(since)
    }

    fn start(&mut self, due_in: i64, packet: &Packet<'_>, codec: Codec) {
        if let Some(old) = &self.source {
            self.stats.lost += old.sequence.lost();
            self.stats.resets += 1;
        }
        let (sequence, seq) = Sequence::new(packet.seq);
        let timestamp = i64::from(packet.timestamp.0);
        let mut source = Source {
            ssrc: packet.ssrc,
            sequence,
            last_timestamp: (packet.timestamp, timestamp),
            packets: BTreeMap::new(),
            head: 0,
            playing: None,
            last_played: None,
            late_run: 0,
            window: Window::default(),
            correction: 0,
            quiet: true,
        };
        source.align(timestamp, self.target, due_in);
        source.store(seq, Stored { timestamp, codec, payload: packet.payload.to_vec() });
        self.source = Some(source);
        self.stats.received += 1;
    }
}

/// One synchronization source and what of it waits.
#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    sequence: Sequence,
    /// The last packet's timestamp as it was and without wraps.
    last_timestamp: (RtpTimestamp, i64),
    packets: BTreeMap<ExtendedSeq, Stored>,
    /// The timestamp that is due next.
    head: i64,
    /// The packet that `head` is in, decoded.
    playing: Option<Playing>,
    last_played: Option<ExtendedSeq>,
    late_run: u32,
    window: Window,
    /// By how much `head` should move as soon as it disturbs nobody.
    correction: i64,
    /// Whether the last frame had nothing to hear.
    quiet: bool,
}

#[derive(Debug)]
struct Stored {
    /// Without wraps, as all timestamps here.
    timestamp: i64,
    codec: Codec,
    payload: Vec<u8>,
}

impl Stored {
    /// The timestamp after the last sample: G.711 has one byte for each.
    fn end(&self) -> i64 {
        self.timestamp + self.payload.len() as i64
    }
}

#[derive(Debug)]
struct Playing {
    timestamp: i64,
    pcm: Vec<i16>,
}

impl Source {
    fn extend(&self, timestamp: RtpTimestamp) -> i64 {
        let (wrapped, extended) = self.last_timestamp;
        extended.saturating_add(timestamp.wrapping_since(wrapped).into())
    }

    /// Makes `timestamp` due after the target delay, and forgets what else waits.
    fn align(&mut self, timestamp: i64, target: i64, due_in: i64) {
        self.head = timestamp - target + due_in;
        self.packets.clear();
        self.playing = None;
        self.last_played = None;
        self.late_run = 0;
        self.window = Window::default();
        self.correction = 0;
    }

    /// Returns how many packets had to go for it.
    fn store(&mut self, seq: ExtendedSeq, packet: Stored) -> u64 {
        self.packets.insert(seq, packet);
        if self.packets.len() <= MAX_PACKETS {
            return 0;
        }
        self.packets.pop_first();
        1
    }

    /// Moves `head` if the margins ask for it. Returns whether it did.
    fn correct(&mut self, target: i64) -> bool {
        if let Some((least, most)) = self.window.tick() {
            self.correction = match most - target {
                // The quickest packet comes too close to its time: wait longer.
                behind if behind <= -MIN_CORRECTION => behind,
                // Even the slowest packet came early: wait less, but leave it 20 ms.
                ahead if ahead.min(least - FRAME) >= MIN_CORRECTION => ahead.min(least - FRAME),
                _ => 0,
            };
        }
        if self.correction == 0 || (!self.quiet && self.correction.abs() < URGENT_CORRECTION) {
            return false;
        }
        self.head += self.correction;
        self.correction = 0;
        self.window = Window::default();
        true
    }

    fn pull(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let end = self.head + FRAME;
        while self.head < end {
            let piece = self.next_piece(end - self.head);
            self.head += piece.len();
            pieces.push(piece);
        }
        let loud = |s: &i16| s.unsigned_abs() > QUIET_PEAK;
        self.quiet = !pieces.iter().any(|piece| matches!(piece, Piece::Audio(pcm) if pcm.iter().any(loud)));
        pieces
    }

    /// What is due next, at least one sample and at most `wanted`.
    fn next_piece(&mut self, wanted: i64) -> Piece {
        loop {
            if let Some(playing) = &mut self.playing {
                let ahead = playing.timestamp - self.head;
                if ahead > 0 {
                    // `head` was moved back: a pause, and the packet once more.
                    return Piece::Silence(ahead.min(wanted) as usize);
                }
                if let Some(rest) = playing.pcm.get(ahead.unsigned_abs() as usize..).filter(|rest| !rest.is_empty()) {
                    return Piece::Audio(rest.iter().take(wanted as usize).copied().collect());
                }
                self.playing = None;
            }
            let Some(next) = self.packets.first_entry() else { return Piece::Lost(wanted as usize) };
            let ahead = next.get().timestamp - self.head;
            if ahead > 0 {
                let gap = ahead.min(wanted) as usize;
                // No packet is missing in between: the sender was silent (RFC 3551 §4.1).
                let silent = self.last_played.is_none_or(|last| last.next() == *next.key());
                return if silent { Piece::Silence(gap) } else { Piece::Lost(gap) };
            }
            let (seq, packet) = next.remove_entry();
            self.last_played = Some(seq);
            self.playing =
                Some(Playing { timestamp: packet.timestamp, pcm: g711::decode(packet.codec, &packet.payload) });
        }
    }
}

impl Piece {
    fn len(&self) -> i64 {
        match self {
            Piece::Audio(pcm) => pcm.len() as i64,
            Piece::Silence(samples) | Piece::Lost(samples) => *samples as i64,
        }
    }
}

/// The least and the greatest margin over some seconds.
#[derive(Debug, Default)]
struct Window {
    frames: u32,
    margins: Option<(i64, i64)>,
}

impl Window {
    fn note(&mut self, margin: i64) {
        let (least, most) = self.margins.unwrap_or((margin, margin));
        self.margins = Some((least.min(margin), most.max(margin)));
    }

    /// Counts a frame; at the end of the window its margins, if there were packets.
    fn tick(&mut self) -> Option<(i64, i64)> {
        self.frames += 1;
        if self.frames < WINDOW_FRAMES {
            return None;
        }
        std::mem::take(self).margins
    }
}

/// In samples, at most 10 s of them: more time than that makes no difference here.
fn samples(duration: Duration) -> i64 {
    let us = duration.min(Duration::from_secs(10)).as_micros() as u64;
    (us * CLOCK_HZ / 1_000_000) as i64
}

#[cfg(test)]
mod tests;
