//! The jitter buffer: packets come in when the network pleases, 20 ms of audio leave every 20 ms.
//!
//! **Time** is the sender's, by RTP timestamp. `head` is the timestamp that is made audible next; it moves on by what was
//! played, whatever has come. So packets of any length fit, silence that the sender suppressed plays as silence or as the
//! comfort noise he asked for (RFC 3389), and a packet is late when `head` has passed its end. How long after its timestamp
//! something is played is the *delay* of the playout, in the same terms as the delay of a packet in `delays`.
//!
//! **The delay follows the network.** When nothing is left to play and the next packet comes late, it is played from its
//! beginning: what was made up meanwhile is the longer delay. When packets begin to come later, or the sender's clock is
//! slower, the sound is stretched before they are missed; when the delay is longer than needed, the sound is shortened,
//! in a pause of the voice, or else seldom and by a pitch period at
//! a time (`stretch`). While the sender is silent, the delay is set as it should be.
//!
//! Left out: redundancy (RFC 2198), codecs that conceal losses themselves.

mod delays;
mod sequence;
mod sound;
mod store;
mod stretch;

use std::time::{Duration, Instant};

use self::delays::{Delays, MAX_SPREAD};
use self::sequence::{Arrival, Sequence};
use self::sound::Sound;
use self::store::{Content, Store, Stored};
use super::codec::{Codec, g711};
use super::packet::{ExtendedSeq, Packet, RtpTimestamp, Ssrc};
use super::{FRAME_SAMPLES, Frame};

/// The delay that packets get to smooth out their arrival, until it is known what they need.
pub const DEFAULT_TARGET: Duration = Duration::from_millis(60);
/// The payload type of comfort noise (RFC 3389 §4).
pub const COMFORT_NOISE: u8 = 13;
/// A level of comfort noise that is silence.
const NO_NOISE: u8 = 127;

const FRAME: i64 = FRAME_SAMPLES as i64;
const CLOCK_KHZ: u64 = 8;
/// At most this much is buffered; a packet further off is a jump of the sender's timestamps. 1 s.
const MAX_MARGIN: i64 = 8_000;
/// A payload of G.711 longer than 200 ms is no telephone's.
const MAX_PAYLOAD: usize = 1_600;
/// After so many packets in a row that came too late, the timestamps have jumped.
const MAX_LATE_RUN: u32 = 5;
/// For how long a source is watched before its delay may shrink: 4 s, in frames.
const SETTLING: u32 = 200;
/// A delay too short or too long by less than this is good enough: 5 and 20 ms.
const TOO_SHORT: i64 = 40;
const TOO_LONG: i64 = FRAME;
/// Once it is being shortened, it is until it is too long by less than 8 ms.
const LONG_ENOUGH: i64 = 64;
/// Beyond this the delay is far too long: 100 ms.
const FAR_TOO_LONG: i64 = 800;
/// How long a pause of the voice is waited for before the voice itself is shortened: 2 s, in frames.
const PATIENCE: u32 = 100;
/// How many frames pass between two shortenings of a voice, and when the delay is far too long.
const PAUSE: u32 = 15;
const SHORT_PAUSE: u32 = 2;
/// How much two pitch periods have to resemble each other to be made one; and when it is urgent.
const ALIKE: f32 = 0.8;
const ROUGHLY_ALIKE: f32 = 0.5;

/// What a packet brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    Voice(Codec),
    /// A description of the noise to be played until voice comes again (RFC 3389).
    ComfortNoise,
}

/// What a pulled frame is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// At least in part what the peer sent.
    Real,
    /// Made up in place of what was lost.
    Concealed,
    /// Silence or comfort noise: the peer sent nothing, or nothing for longer than can be concealed.
    Empty,
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
    /// New sources, new sequences, and jumps of the timestamps.
    pub resets: u64,
    /// Times that the delay was changed.
    pub corrections: u64,
    /// Samples that were made up in place of lost ones.
    pub concealed: u64,
}

/// A jitter buffer for one stream of G.711 and comfort noise.
#[derive(Debug)]
pub struct JitterBuffer {
    /// In samples.
    initial: i64,
    /// When time began: at the first packet or pull.
    epoch: Option<Instant>,
    /// When the next pull is due, in samples since then.
    next_pull: Option<i64>,
    source: Option<Source>,
    sound: Sound,
    stats: JitterStats,
}

impl JitterBuffer {
    /// The first packets are delayed by `initial`, at most 400 ms.
    pub fn new(initial: Duration) -> Self {
        let initial = (initial.as_millis() as i64 * CLOCK_KHZ as i64).min(MAX_SPREAD);
        let (sound, stats) = (Sound::new(), JitterStats::default());
        Self { initial, epoch: None, next_pull: None, source: None, sound, stats }
    }

    pub fn stats(&self) -> JitterStats {
        let lost = self.source.as_ref().map_or(0, |source| source.sequence.lost());
        JitterStats { lost: self.stats.lost + lost, ..self.stats }
    }

    /// How much audio, silence and gaps included, waits from now on.
    pub fn buffered(&self) -> Duration {
        let waiting = self.source.as_ref().and_then(|source| Some(source.store.end()? - source.head)).unwrap_or(0);
        let samples = self.sound.ahead() as u64 + u64::try_from(waiting).unwrap_or(0);
        Duration::from_micros(samples * 1_000 / CLOCK_KHZ)
    }

    /// Takes a packet.
    pub fn insert(&mut self, now: Instant, packet: &Packet<'_>, payload: Payload) {
        if packet.payload.len() > MAX_PAYLOAD {
            self.stats.dropped += 1;
            return;
        }
        let now = self.samples_at(now);
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc) else {
            return self.start(now, packet, payload);
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
            Arrival::Restart => return self.start(now, packet, payload),
        };
        self.stats.received += 1;
        self.stats.reordered += u64::from(!in_order);
        let (next_pull, timestamp) = (self.next_pull.unwrap_or(now), source.extend(packet.timestamp));
        let mut arrived = Arrived { at: now, next_pull, timestamp };
        let length = payload.samples(packet.payload);
        if in_order {
            source.last_timestamp = (packet.timestamp, arrived.timestamp);
        }
        if length > 0 {
            if in_order && source.has_jumped(&arrived, length, &self.sound) {
                source.align(&arrived, self.initial, &self.sound);
                self.stats.resets += 1;
            }
            let margin = source.delay(arrived.next_pull, &self.sound) - arrived.delay();
            source.delays.note(arrived.delay(), margin < FRAME);
            self.stats.corrections += u64::from(source.make_room(&arrived, length, in_order, &self.sound));
        } else if in_order {
            // What has no sound has its place in the sequence, and a level of noise is of use later too.
            arrived.timestamp = arrived.timestamp.clamp(source.head, source.head.saturating_add(MAX_MARGIN));
        }
        if arrived.timestamp + length < source.head + length.min(1) || arrived.timestamp - source.head > MAX_MARGIN {
            self.stats.late += 1;
            return;
        }
        self.stats.dropped += source.store.put(seq, arrived.timestamp, payload, packet.payload);
    }

    /// Takes out the 20 ms that are due at `deadline`.
    pub fn pull(&mut self, deadline: Instant, frame: &mut Frame) -> Received {
        let at = self.samples_at(deadline);
        self.next_pull = Some(at + FRAME);
        match &mut self.source {
            Some(source) => {
                self.stats.corrections += u64::from(source.adapt(at, &mut self.sound));
                self.stats.concealed += source.fill(&mut self.sound) as u64;
            }
            None => self.sound.add_rest(FRAME_SAMPLES.saturating_sub(self.sound.ahead())),
        }
        let made = self.sound.play(frame);
        match made {
            _ if made.real => Received::Real,
            _ if made.made_up => Received::Concealed,
            _ => Received::Empty,
        }
    }

    /// Lets `frames` pass unheard, because nobody pulled in time.
    pub fn skip(&mut self, frames: u32) {
        let samples = i64::from(frames) * FRAME;
        let skipped = self.sound.skip(usize::try_from(samples).unwrap_or(usize::MAX));
        if let Some(source) = &mut self.source {
            source.head = source.head.saturating_add(samples - skipped as i64);
            source.heard = source.heard.max(source.head);
        }
        self.next_pull = self.next_pull.map(|at| at.saturating_add(samples));
    }

    /// In samples since the epoch.
    fn samples_at(&mut self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        i64::try_from(since.as_micros() * u128::from(CLOCK_KHZ) / 1_000).unwrap_or(i64::MAX / 4)
    }

    fn start(&mut self, now: i64, packet: &Packet<'_>, payload: Payload) {
        let mut store = Store::default();
        if let Some(old) = self.source.take() {
            self.stats.lost += old.sequence.lost();
            self.stats.resets += 1;
            store = old.store;
        }
        let (sequence, seq) = Sequence::new(packet.seq);
        let timestamp = i64::from(packet.timestamp.0);
        let arrived = Arrived { at: now, next_pull: self.next_pull.unwrap_or(now), timestamp };
        let source = self.source.insert(Source {
            ssrc: packet.ssrc,
            sequence,
            last_timestamp: (packet.timestamp, timestamp),
            store,
            head: timestamp,
            heard: timestamp,
            last_played: None,
            resting: false,
            late_run: 0,
            delays: Delays::new(arrived.delay()),
            age: 0,
            since_stretch: 0,
            too_long_for: 0,
        });
        source.align(&arrived, self.initial, &self.sound);
        source.store.put(seq, timestamp, payload, packet.payload);
        self.stats.received += 1;
    }
}

impl Payload {
    /// How much time it fills: G.711 has one byte for each sample.
    fn samples(self, payload: &[u8]) -> i64 {
        match self {
            Payload::Voice(_) => payload.len() as i64,
            Payload::ComfortNoise => 0,
        }
    }
}

/// A packet that has come. Times in samples.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    at: i64,
    next_pull: i64,
    /// Without wraps, as all timestamps here.
    timestamp: i64,
}

impl Arrived {
    fn delay(&self) -> i64 {
        self.at - self.timestamp
    }
}

/// One synchronization source and what of it waits.
#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    sequence: Sequence,
    /// The last packet's timestamp as it was and without wraps.
    last_timestamp: (RtpTimestamp, i64),
    store: Store,
    /// The timestamp behind what [`Sound`] has.
    head: i64,
    /// The timestamp behind the last voice that it has.
    heard: i64,
    last_played: Option<ExtendedSeq>,
    /// Whether the sender's last word was that there is no voice now: comfort noise, or a packet without sound.
    resting: bool,
    late_run: u32,
    delays: Delays,
    /// Frames since the delay was last set anew, and since the sound was last stretched.
    age: u32,
    since_stretch: u32,
    /// For how many frames the delay has been too long.
    too_long_for: u32,
}

impl Source {
    fn extend(&self, timestamp: RtpTimestamp) -> i64 {
        let (wrapped, extended) = self.last_timestamp;
        extended.saturating_add(timestamp.wrapping_since(wrapped).into())
    }

    /// How long after its timestamp the next sample is played.
    fn delay(&self, next_pull: i64, sound: &Sound) -> i64 {
        next_pull - (self.head - sound.ahead() as i64)
    }

    /// The delay that the playout should have: for the first seconds no shorter than it is.
    fn wanted(&self, delay: i64) -> i64 {
        let wanted = self.delays.wanted();
        if self.age < SETTLING { wanted.max(delay) } else { wanted }
    }

    /// Whether the timestamps of a packet that came in order have nothing to do with those before.
    fn has_jumped(&mut self, arrived: &Arrived, length: i64, sound: &Sound) -> bool {
        let ahead = arrived.timestamp - self.head;
        // Late, but the delay may grow by so much.
        let delay = self.delay(arrived.next_pull, sound);
        let too_late = ahead < 0 && delay - ahead > self.delays.least() + MAX_SPREAD;
        // Nothing can be done about a packet that others have overtaken by their timestamps.
        let overtaken = ahead < 0 && (arrived.timestamp + length <= self.heard || !self.store.is_empty());
        self.late_run = if overtaken { self.late_run + 1 } else { 0 };
        ahead > MAX_MARGIN || too_late || self.late_run >= MAX_LATE_RUN
    }

    /// Makes a packet due after the delay given, and forgets what else waits.
    fn align(&mut self, arrived: &Arrived, delay: i64, sound: &Sound) {
        let due_in = arrived.next_pull - arrived.at;
        self.head = arrived.timestamp - delay + due_in + sound.ahead() as i64;
        self.heard = self.head;
        self.store.clear();
        self.last_played = None;
        self.late_run = 0;
        self.delays = Delays::new(arrived.delay());
        self.age = 0;
    }

    /// Moves `head` where nothing is heard for want of this packet, so that it is played whole. Returns whether it did.
    fn make_room(&mut self, arrived: &Arrived, length: i64, in_order: bool, sound: &Sound) -> bool {
        let timestamp = arrived.timestamp;
        if sound.ahead() > 0 || self.store.has_voice() || timestamp + length <= self.heard {
            return false;
        }
        let head = if in_order && sound.is_resting() {
            let wanted = self.wanted(self.delay(arrived.next_pull, sound));
            (arrived.next_pull - wanted).min(timestamp)
        } else {
            // Never back before what was heard.
            self.head.min(timestamp.max(self.heard))
        };
        // A packet out of order may be from long before.
        let too_late = arrived.next_pull - head > self.delays.least() + MAX_SPREAD;
        if head == self.head || (head < self.head && too_late) {
            return false;
        }
        self.head = head;
        true
    }

    /// Stretches the sound if the delay asks for it. Returns whether it did.
    fn adapt(&mut self, at: i64, sound: &mut Sound) -> bool {
        self.age = self.age.saturating_add(1);
        self.since_stretch = self.since_stretch.saturating_add(1);
        let delay = self.delay(at, sound);
        let too_long = delay - self.wanted(delay);
        let changed = if too_long <= -TOO_SHORT {
            self.fill_voice(FRAME_SAMPLES, sound);
            sound.lengthen(ROUGHLY_ALIKE)
        } else if too_long >= if self.too_long_for > 0 { LONG_ENOUGH } else { TOO_LONG } {
            self.too_long_for = self.too_long_for.saturating_add(1);
            self.fill_voice(stretch::AHEAD, sound);
            let (ready, alike) = match too_long {
                FAR_TOO_LONG.. => (self.since_stretch > SHORT_PAUSE, ROUGHLY_ALIKE),
                _ => (self.since_stretch > PAUSE && self.too_long_for > PATIENCE, ALIKE),
            };
            if !ready && !sound.is_quiet(stretch::AHEAD) {
                return false;
            }
            sound.shorten(too_long as usize, alike)
        } else {
            self.too_long_for = 0;
            0
        };
        if changed > 0 {
            self.since_stretch = 0;
        }
        changed > 0
    }

    /// Makes up to `wanted` samples audible, as far as voice goes on without a gap.
    fn fill_voice(&mut self, wanted: usize, sound: &mut Sound) {
        while sound.ahead() < wanted && self.store.first().is_some_and(|packet| packet.timestamp <= self.head) {
            self.play_first(sound);
        }
    }

    /// Makes a whole frame audible. Returns how many samples of it were made up.
    fn fill(&mut self, sound: &mut Sound) -> usize {
        let mut made_up = 0;
        loop {
            self.fill_voice(FRAME_SAMPLES, sound);
            let missing = FRAME_SAMPLES.saturating_sub(sound.ahead());
            if missing == 0 {
                return made_up;
            }
            let next = self.store.first().map(|packet| (packet.seq, packet.timestamp - self.head));
            let gap =
                next.and_then(|(_, ahead)| usize::try_from(ahead).ok()).map_or(missing, |ahead| ahead.min(missing));
            // Without a packet missing in between the sender was silent (RFC 3551 §4.1), or he has not begun.
            let follows = next.is_some_and(|(seq, _)| self.last_played.is_none_or(|last| last.next() == seq));
            if self.resting || follows {
                sound.add_rest(gap);
            } else {
                made_up += sound.add_lost(gap);
            }
            self.head += gap as i64;
        }
    }

    /// Makes the first packet audible, whose time has come.
    fn play_first(&mut self, sound: &mut Sound) {
        self.store.take_first(|packet: &Stored, payload: &[u8]| {
            let follows = self.last_played.is_some_and(|last| last.next() == packet.seq);
            // RFC 3551 §4.1: only there the timestamps leave something out.
            let talkspurt = follows && packet.timestamp > self.heard.max(self.head - 1);
            self.last_played = Some(packet.seq);
            match packet.content {
                // A key is being pressed (RFC 4733): nothing is lost until the voice comes again.
                Content::Voice(_) if payload.is_empty() => {
                    self.resting = true;
                    sound.set_noise(NO_NOISE);
                }
                Content::Voice(codec) => {
                    self.resting = false;
                    let passed = usize::try_from(self.head - packet.timestamp).unwrap_or(0);
                    if passed < payload.len() {
                        sound.add_real(talkspurt, passed, |pcm| g711::decode_onto(codec, payload, pcm));
                        self.head = packet.timestamp + payload.len() as i64;
                        self.heard = self.head;
                    }
                }
                Content::Noise { level } => {
                    self.resting = true;
                    sound.set_noise(level);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
