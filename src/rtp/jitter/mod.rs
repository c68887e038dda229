//! The jitter buffer: packets come in when the network pleases, 20 ms of audio leave every 20 ms.
//!
//! **Time** is the sender's, by RTP timestamp, in samples of the sound's rate, whatever the codec's clock counts. `head` is the timestamp that is made audible next; it moves on by what was
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
//! **What is lost** is made up by the codec itself if it can (Opus: from what the next packet has of it, else from what it
//! has heard), else by the [`Concealer`](super::conceal::Concealer).
//!
//! Left out: redundancy (RFC 2198).

mod delays;
mod sequence;
mod sound;
mod store;
mod stretch;

use std::time::{Duration, Instant};

use self::delays::{Delays, max_spread};
use self::sequence::{Arrival, Sequence};
use self::sound::Sound;
use self::store::{Content, Store, Stored};
use super::Rate;
use super::codec::{Codec, Decoder};
use super::packet::{ExtendedSeq, Packet, RtpTimestamp, Ssrc};

/// The delay that packets get to smooth out their arrival, until it is known what they need.
pub const DEFAULT_TARGET: Duration = Duration::from_millis(60);
/// The payload type of comfort noise (RFC 3389 §4).
pub const COMFORT_NOISE: u8 = 13;
/// A level of comfort noise that is silence.
const NO_NOISE: u8 = 127;

/// A payload of G.711 longer than 200 ms is no telephone's; those of other codecs are shorter.
const MAX_PAYLOAD: usize = 1_600;
/// At most this much is buffered; a packet further off is a jump of the sender's timestamps. 1 s. In samples at 8 kHz, as
/// all spans of time here.
const MAX_MARGIN: i64 = 8_000;
const FRAME: i64 = 160;
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
/// After so much of a loss a codec's own concealment gives way to silence: 100 ms.
const OWN_LOSS: i64 = 800;
/// A packet of Opus that says no more than that there is no voice (DTX).
const NO_VOICE: usize = 2;
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
    /// Packets dropped as absurd (too long, no sound of their codec, or far outside the sequence) or because the buffer was
    /// full.
    pub dropped: u64,
    /// New sources, new sequences, and jumps of the timestamps.
    pub resets: u64,
    /// Times that the delay was changed.
    pub corrections: u64,
    /// Samples that were made up in place of lost ones.
    pub concealed: u64,
}

/// A jitter buffer for one stream of voice and comfort noise.
#[derive(Debug)]
pub struct JitterBuffer {
    rate: Rate,
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
    /// The first packets are delayed by `initial`, at most 400 ms. Sound leaves at `rate`.
    pub fn new(initial: Duration, rate: Rate) -> Self {
        let initial = (initial.as_millis() as i64 * per_ms(rate)).min(max_spread(rate));
        let (sound, stats) = (Sound::new(rate), JitterStats::default());
        Self { rate, initial, epoch: None, next_pull: None, source: None, sound, stats }
    }

    pub fn stats(&self) -> JitterStats {
        let (lost, damaged) = self.source.as_ref().map_or((0, 0), |source| (source.sequence.lost(), source.damaged));
        JitterStats { lost: self.stats.lost + lost, dropped: self.stats.dropped + damaged, ..self.stats }
    }

    /// How much audio, silence and gaps included, waits from now on.
    pub fn buffered(&self) -> Duration {
        let waiting = self.source.as_ref().and_then(|source| Some(source.store.end()? - source.head)).unwrap_or(0);
        let samples = self.sound.ahead() as u64 + u64::try_from(waiting).unwrap_or(0);
        Duration::from_micros(samples * 1_000_000 / u64::from(self.rate.hz()))
    }

    /// Takes a packet.
    pub fn insert(&mut self, now: Instant, packet: &Packet<'_>, payload: Payload) {
        let Some(length) = payload.samples(packet.payload, self.rate).filter(|_| packet.payload.len() <= MAX_PAYLOAD)
        else {
            self.stats.dropped += 1;
            return;
        };
        let now = self.samples_at(now);
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc) else {
            return self.start(now, packet, payload, length);
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
            Arrival::Restart => return self.start(now, packet, payload, length),
        };
        self.stats.received += 1;
        self.stats.reordered += u64::from(!in_order);
        // Another codec may have another clock, whose timestamps have nothing to do with those before.
        let other_clock = payload.clock_hz().filter(|hz| length > 0 && *hz != source.timeline.clock_hz);
        match other_clock {
            Some(clock_hz) if in_order => source.timeline = Timeline::new(packet.timestamp, clock_hz, self.rate),
            Some(_) => {
                self.stats.late += 1;
                return;
            }
            None => {}
        }
        let (next_pull, timestamp) = (self.next_pull.unwrap_or(now), source.timeline.place(packet.timestamp, in_order));
        let mut arrived = Arrived { at: now, next_pull, timestamp };
        let (frame, max_margin) = (self.rate.span(FRAME), self.rate.span(MAX_MARGIN));
        if length > 0 {
            if in_order && (other_clock.is_some() || source.has_jumped(&arrived, length, &self.sound)) {
                source.align(&arrived, self.initial, &self.sound);
                self.stats.resets += 1;
            }
            let margin = source.delay(arrived.next_pull, &self.sound) - arrived.delay();
            source.delays.note(arrived.delay(), margin < frame);
            self.stats.corrections += u64::from(source.make_room(&arrived, length, in_order, &self.sound));
        } else if in_order {
            // What has no sound has its place in the sequence, and a level of noise is of use later too.
            arrived.timestamp = arrived.timestamp.clamp(source.head, source.head.saturating_add(max_margin));
        }
        if arrived.timestamp + length < source.head + length.min(1) || arrived.timestamp - source.head > max_margin {
            self.stats.late += 1;
            return;
        }
        self.stats.dropped += source.store.put(seq, arrived.timestamp, length, payload, packet.payload);
    }

    /// Takes out the 20 ms that are due at `deadline`; so many samples `frame` has to have.
    pub fn pull(&mut self, deadline: Instant, frame: &mut [i16]) -> Received {
        let at = self.samples_at(deadline);
        self.next_pull = Some(at + self.rate.span(FRAME));
        match &mut self.source {
            Some(source) => {
                self.stats.corrections += u64::from(source.adapt(at, &mut self.sound));
                self.stats.concealed += source.fill(&mut self.sound) as u64;
            }
            None => self.sound.add_rest(self.rate.frame_samples().saturating_sub(self.sound.ahead())),
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
        let samples = i64::from(frames) * self.rate.span(FRAME);
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
        i64::try_from(since.as_micros() * u128::from(self.rate.hz()) / 1_000_000).unwrap_or(i64::MAX / 4)
    }

    fn start(&mut self, now: i64, packet: &Packet<'_>, payload: Payload, length: i64) {
        let mut store = Store::default();
        if let Some(old) = self.source.take() {
            self.stats.lost += old.sequence.lost();
            self.stats.dropped += old.damaged;
            self.stats.resets += 1;
            store = old.store;
        }
        let (sequence, seq) = Sequence::new(packet.seq);
        let clock_hz = payload.clock_hz().unwrap_or(Codec::Pcma.clock_rate_hz());
        let mut timeline = Timeline::new(packet.timestamp, clock_hz, self.rate);
        let timestamp = timeline.place(packet.timestamp, true);
        let arrived = Arrived { at: now, next_pull: self.next_pull.unwrap_or(now), timestamp };
        let source = self.source.insert(Source {
            ssrc: packet.ssrc,
            rate: self.rate,
            sequence,
            timeline,
            store,
            decoder: Decoder::new(self.rate),
            damaged: 0,
            head: timestamp,
            heard: timestamp,
            last_played: None,
            resting: false,
            has_pauses: false,
            lost_for: 0,
            late_run: 0,
            delays: Delays::new(arrived.delay(), self.rate),
            age: 0,
            since_stretch: 0,
            too_long_for: 0,
        });
        source.align(&arrived, self.initial, &self.sound);
        source.store.put(seq, timestamp, length, payload, packet.payload);
        self.stats.received += 1;
    }
}

const fn per_ms(rate: Rate) -> i64 {
    rate.span(8)
}

impl Payload {
    /// How much time it fills; `None` if it is no sound of its codec. What is empty fills none.
    fn samples(self, payload: &[u8], rate: Rate) -> Option<i64> {
        match self {
            Payload::Voice(_) if payload.is_empty() => Some(0),
            Payload::Voice(codec) => codec.samples(payload, rate).and_then(|samples| i64::try_from(samples).ok()),
            Payload::ComfortNoise => Some(0),
        }
    }

    /// Comfort noise goes with any codec (RFC 3389 §4).
    fn clock_hz(self) -> Option<u32> {
        match self {
            Payload::Voice(codec) => Some(codec.clock_rate_hz()),
            Payload::ComfortNoise => None,
        }
    }
}

/// Turns timestamps, which count a codec's clock and wrap, into samples, which do not.
#[derive(Debug)]
struct Timeline {
    rate: Rate,
    clock_hz: u32,
    /// The last packet's timestamp as it was and without wraps.
    last: (RtpTimestamp, i64),
}

impl Timeline {
    fn new(first: RtpTimestamp, clock_hz: u32, rate: Rate) -> Self {
        Self { rate, clock_hz, last: (first, first.0.into()) }
    }

    /// Where in time a packet is. One that came in order is the last one from now on.
    fn place(&mut self, timestamp: RtpTimestamp, in_order: bool) -> i64 {
        let (wrapped, extended) = self.last;
        let extended = extended.saturating_add(timestamp.wrapping_since(wrapped).into());
        if in_order {
            self.last = (timestamp, extended);
        }
        extended.saturating_mul(self.rate.hz().into()).div_euclid(self.clock_hz.into())
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
    rate: Rate,
    sequence: Sequence,
    timeline: Timeline,
    store: Store,
    decoder: Decoder,
    /// Packets that it could not decode.
    damaged: u64,
    /// The timestamp behind what [`Sound`] has.
    head: i64,
    /// The timestamp behind the last voice that it has.
    heard: i64,
    last_played: Option<ExtendedSeq>,
    /// Whether the sender's last word was that there is no voice now: comfort noise, or a packet without sound.
    resting: bool,
    /// Whether he has left out a pause before, of his codec's own accord (DTX).
    has_pauses: bool,
    /// For how long nothing but losses has been played.
    lost_for: i64,
    late_run: u32,
    delays: Delays,
    /// Frames since the delay was last set anew, and since the sound was last stretched.
    age: u32,
    since_stretch: u32,
    /// For how many frames the delay has been too long.
    too_long_for: u32,
}

impl Source {
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
        let too_late = ahead < 0 && delay - ahead > self.delays.least() + max_spread(self.rate);
        // Nothing can be done about a packet that others have overtaken by their timestamps.
        let overtaken = ahead < 0 && (arrived.timestamp + length <= self.heard || !self.store.is_empty());
        self.late_run = if overtaken { self.late_run + 1 } else { 0 };
        ahead > self.rate.span(MAX_MARGIN) || too_late || self.late_run >= MAX_LATE_RUN
    }

    /// Makes a packet due after the delay given, and forgets what else waits.
    fn align(&mut self, arrived: &Arrived, delay: i64, sound: &Sound) {
        let due_in = arrived.next_pull - arrived.at;
        self.head = arrived.timestamp - delay + due_in + sound.ahead() as i64;
        self.heard = self.head;
        self.store.clear();
        self.last_played = None;
        self.late_run = 0;
        self.delays = Delays::new(arrived.delay(), self.rate);
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
        let too_late = arrived.next_pull - head > self.delays.least() + max_spread(self.rate);
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
        let rate = self.rate;
        let changed = if too_long <= -rate.span(TOO_SHORT) {
            self.fill_voice(rate.frame_samples(), sound);
            sound.lengthen(ROUGHLY_ALIKE)
        } else if too_long >= rate.span(if self.too_long_for > 0 { LONG_ENOUGH } else { TOO_LONG }) {
            self.too_long_for = self.too_long_for.saturating_add(1);
            self.fill_voice(stretch::ahead(rate), sound);
            let (ready, alike) = match too_long >= rate.span(FAR_TOO_LONG) {
                true => (self.since_stretch > SHORT_PAUSE, ROUGHLY_ALIKE),
                false => (self.since_stretch > PAUSE && self.too_long_for > PATIENCE, ALIKE),
            };
            if !ready && !sound.is_quiet(stretch::ahead(rate)) {
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
            self.fill_voice(self.rate.frame_samples(), sound);
            let missing = self.rate.frame_samples().saturating_sub(sound.ahead());
            if missing == 0 {
                return made_up;
            }
            let next = self.store.first().map(|packet| (packet.seq, packet.timestamp - self.head));
            let gap = next.and_then(|(_, ahead)| usize::try_from(ahead).ok());
            // Without a packet missing in between the sender was silent (RFC 3551 §4.1), or he has not begun.
            let follows = next.is_some_and(|(seq, _)| self.last_played.is_none_or(|last| last.next() == seq));
            // A sender who leaves out pauses has probably begun one.
            let pauses = self.has_pauses && next.is_none();
            let filled = match self.resting || follows || pauses {
                true => self.rest(gap.map_or(missing, |gap| gap.min(missing)), sound),
                false => {
                    let (filled, audible) = self.conceal(gap, missing, sound);
                    made_up += audible;
                    filled
                }
            };
            self.head += filled as i64;
        }
    }

    /// Plays the silence of a sender: what his codec makes of it, or what he wants to be heard. Returns how much.
    fn rest(&mut self, len: usize, sound: &mut Sound) -> usize {
        if self.last_played.is_some() {
            let made = sound.add_codecs_own(false, len, |pcm| self.decoder.go_on(len, pcm));
            if made > 0 {
                return made;
            }
        }
        sound.add_rest(len);
        len
    }

    /// Makes up what was lost, of which so much is missing now and `gap` is known to be. Returns how much it made, and how
    /// much of that has something to say.
    fn conceal(&mut self, gap: Option<usize>, missing: usize, sound: &mut Sound) -> (usize, usize) {
        if !self.decoder.conceals() {
            let len = gap.map_or(missing, |gap| gap.min(missing));
            return (len, sound.add_lost(len));
        }
        if self.lost_for >= self.rate.span(OWN_LOSS) {
            let len = gap.map_or(missing, |gap| gap.min(missing));
            sound.add_rest(len);
            return (len, 0);
        }
        let decoder = &mut self.decoder;
        let next = self.store.first_of(Codec::Opus);
        let (len, made) = match (gap, next) {
            // The end of the gap may be in the packet behind it.
            (Some(gap), Some((length, next))) if gap <= length => {
                (gap, sound.add_codecs_own(true, gap, |pcm| decoder.recover(gap, next, pcm)))
            }
            _ => {
                let before = next.map_or(0, |(length, _)| length);
                let len = gap.map_or(missing, |gap| gap.saturating_sub(before).min(missing)).max(1);
                (len, sound.add_codecs_own(true, len, |pcm| decoder.go_on(len, pcm)))
            }
        };
        self.lost_for += len as i64;
        match made {
            0 => (len, sound.add_lost(len)),
            made => (made, made),
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
                    // Opus in its pauses sends a packet now and then, and little or nothing in between.
                    self.resting = codec == Codec::Opus && (payload.len() <= NO_VOICE || talkspurt);
                    self.has_pauses |= self.resting;
                    self.lost_for = 0;
                    let passed = usize::try_from(self.head - packet.timestamp).unwrap_or(0);
                    if passed < usize::try_from(packet.length).unwrap_or(0) {
                        let decode = |pcm: &mut Vec<i16>| self.decoder.decode(codec, payload, pcm);
                        self.damaged += u64::from(!sound.add_real(talkspurt, passed, decode));
                        self.head = packet.end();
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
