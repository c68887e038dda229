//! Keys of a telephone as named events in RTP (RFC 4733): a [`Receiver`] that tells each press once, and a [`Sender`] that
//! makes the packets of a press.
//!
//! A key is told with the first packet of its press, so that neither lost end packets nor a long finger delay it. What
//! makes two packets one press is the timestamp; where senders do not keep to that, sequence numbers and durations tell.
//!
//! Left out: the hook flash and all other events (ignored), tones (`audio/tone`), volume, redundancy (RFC 2198).

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use super::packet::{Packet, RtpTimestamp, Seq, Ssrc};

/// The payload type under which we offer named events: what most telephones use.
pub const PAYLOAD_TYPE: u8 = 101;
/// The encoding name of `a=rtpmap`, compared without case.
pub const NAME: &str = "telephone-event";
/// The clocks in Hz that named events may have: that of the codec beside which they are sent (RFC 4733 §2.1), which for
/// Opus is the second; some peers have the first beside any codec.
pub const CLOCK_RATES_HZ: [u32; 2] = [8_000, 48_000];

/// The keys in the order of their events (RFC 4733 §3.2).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// After so much time without a packet a press is over, though its end was never told.
const PATIENCE: Duration = Duration::from_secs(3);
/// Packets that overtake each other are not further apart (as in the jitter buffer).
const MAX_MISORDER: i16 = 100;
/// A press so long, whatever the clock, is told in segments, each with a timestamp of its own (RFC 4733 §2.5.1.3). A little
/// less than the greatest duration, as some senders begin the next one early.
const MIN_SEGMENT: i32 = 0xE000;
/// So much of the end of a segment may be lost: a quarter of a second, in units of 20 ms.
const MAX_SEGMENT_LOSS: u16 = 13;

/// A press of ours: 160 ms, of which each packet tells 20 more; twice more its end, and 40 ms until the next one.
const PRESS_TICKS: u16 = 8;
const END_TICKS: u16 = PRESS_TICKS + 2;
const KEY_TICKS: u16 = END_TICKS + 2;
/// Keys that wait to be pressed.
const MAX_QUEUED: usize = 64;

/// Events by their numbers, as `a=fmtp` lists them; of those above the hook flash (16) nothing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSet(u32);

impl EventSet {
    /// The sixteen keys: what a peer takes that lists nothing (RFC 4733 §2.4.1).
    pub const KEYS: Self = Self(0xFFFF);
    /// What we list: the keys, and the flash, which is of no use but does no harm.
    pub const OURS: Self = Self(0x1_FFFF);

    /// Reads a list such as `0-11,16`; `None` if it is none.
    pub fn parse(list: &str) -> Option<Self> {
        let mut events = 0;
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u8, u8) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            events |= (first..=last.min(16)).fold(0, |bits, event| bits | 1 << event);
        }
        Some(Self(events))
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, event: u8) -> bool {
        event < 32 && self.0 >> event & 1 == 1
    }
}

/// As `a=fmtp` wants it.
impl Display for EventSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut event = 0;
        while event < 32 {
            let first = event;
            while self.contains(event) {
                event += 1;
            }
            match event - first {
                0 => event += 1,
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{}", event - 1)?,
            }
            if event > first && self.contains(first) {
                separator = ",";
            }
        }
        Ok(())
    }
}

/// What was agreed of named events for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Under this payload type they come in.
    pub receive: u8,
    /// Under this one we send them.
    pub send: u8,
    /// The peer takes these.
    pub wanted: EventSet,
    /// What their timestamps and durations count: one of [`CLOCK_RATES_HZ`].
    pub clock_hz: u32,
}

/// 20 ms in units of a clock.
fn tick(clock_hz: u32) -> u16 {
    u16::try_from(clock_hz / 50).unwrap_or(u16::MAX)
}

/// The payload of a packet (RFC 4733 §2.3), without the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payload {
    event: u8,
    end: bool,
    /// Since the timestamp of the packet, in units of the stream's clock.
    duration: u16,
}

impl Payload {
    fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else { return None };
        Some(Self { event, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
    }

    /// With −10 dBm0, about as loud as a telephone's tones are.
    fn build(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | 10, high, low]
    }
}

/// What a packet with a named event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The key, if the packet is the first one of its press.
    pub key: Option<char>,
    /// The timestamp that 20 ms of sound would have in its place.
    pub sound: RtpTimestamp,
}

/// Tells presses from packets.
#[derive(Debug)]
pub struct Receiver {
    /// 20 ms.
    tick: u16,
    /// The last one.
    press: Option<Press>,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    ssrc: Ssrc,
    event: u8,
    timestamp: RtpTimestamp,
    /// Of the latest packet, as what follows.
    seq: Seq,
    duration: u16,
    sound: RtpTimestamp,
    heard: Instant,
    /// The end was told, or sound has come since.
    ended: bool,
}

impl Receiver {
    /// For events whose clock is `clock_hz`.
    pub fn new(clock_hz: u32) -> Self {
        Self { tick: tick(clock_hz), press: None }
    }

    /// Takes a packet with a named event.
    pub fn take(&mut self, now: Instant, packet: &Packet<'_>) -> Taken {
        let Some(payload) = Payload::parse(packet.payload) else {
            return Taken { key: None, sound: packet.timestamp };
        };
        let sound = packet.timestamp.wrapping_add(payload.duration.saturating_sub(self.tick).into());
        let Some(&key) = KEYS.get(usize::from(payload.event)) else { return Taken { key: None, sound } };
        let mut press = Press {
            ssrc: packet.ssrc,
            event: payload.event,
            timestamp: packet.timestamp,
            seq: packet.seq,
            duration: payload.duration,
            sound,
            heard: now,
            ended: payload.end,
        };
        let mut is_new = true;
        if let Some(last) = self.press.as_mut().filter(|last| last.ssrc == packet.ssrc) {
            let is_behind = (-MAX_MISORDER..=0).contains(&ahead(packet.seq, last.seq));
            if is_behind && packet.timestamp.wrapping_since(last.timestamp) <= 0 {
                // Doubled, or overtaken by one of the same press or of a later one. With a later timestamp it is another
                // press of a sender who counts anew.
                last.ended |= payload.end && packet.timestamp == last.timestamp;
                return Taken { key: None, sound };
            }
            if last.goes_on(now, packet, payload, self.tick) {
                is_new = false;
                press.ended |= last.ended;
                if packet.timestamp == last.timestamp && payload.duration == last.duration {
                    // The end once more, or a duration that cannot grow: time goes on all the same.
                    press.sound = last.sound.wrapping_add(self.tick.into());
                }
            }
        }
        self.press = Some(press);
        Taken { key: is_new.then_some(key), sound: press.sound }
    }

    /// A packet with sound has come: whatever was pressed before it is over.
    pub fn sound(&mut self, packet: &Packet<'_>) {
        if let Some(press) = &mut self.press {
            press.ended |= press.ssrc == packet.ssrc && ahead(packet.seq, press.seq) > 0;
        }
    }
}

impl Press {
    /// Whether a packet that was sent later belongs to this press.
    fn goes_on(&self, now: Instant, packet: &Packet<'_>, payload: Payload, tick: u16) -> bool {
        if payload.event != self.event {
            return false;
        }
        let over = self.ended || now.saturating_duration_since(self.heard) >= PATIENCE;
        let since = packet.timestamp.wrapping_since(self.timestamp);
        if since == 0 {
            // One press only grows. A sender whose timestamp stands still has another one.
            return !(over && payload.duration < self.duration);
        }
        // The next packet of a sender whose timestamp runs during the press, or tells the end with another one.
        let follows = ahead(packet.seq, self.seq) == 1 && !packet.marker && (!over || payload.end);
        let lost = since.saturating_sub(self.duration.into());
        let segment = !over && since >= MIN_SEGMENT && (0..=(MAX_SEGMENT_LOSS * tick).into()).contains(&lost);
        follows || segment
    }
}

/// How many numbers `seq` is ahead of `other`, the short way round.
fn ahead(seq: Seq, other: Seq) -> i16 {
    seq.0.wrapping_sub(other.0).cast_signed()
}

/// What a tick of 20 ms is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Sound.
    Sound,
    /// Silence: another key follows.
    Silence,
    Event {
        marker: bool,
        timestamp: RtpTimestamp,
        payload: [u8; 4],
    },
}

/// Presses keys, one after the other.
#[derive(Debug, Default)]
pub struct Sender {
    queue: VecDeque<u8>,
    pressing: Option<Pressing>,
}

#[derive(Debug, Clone, Copy)]
struct Pressing {
    event: u8,
    timestamp: RtpTimestamp,
    /// That have gone by since.
    ticks: u16,
}

impl Sender {
    /// Queues a key. Returns whether it will be pressed: no if `wanted` has not got it, it is no key, or 64 wait already.
    pub fn press(&mut self, key: char, wanted: EventSet) -> bool {
        let event = KEYS.iter().position(|known| *known == key.to_ascii_uppercase());
        let event = event.and_then(|event| u8::try_from(event).ok()).filter(|event| wanted.contains(*event));
        match event {
            Some(event) if self.queue.len() < MAX_QUEUED => {
                self.queue.push_back(event);
                true
            }
            _ => false,
        }
    }

    /// Whether keys are being pressed or wait.
    pub fn is_pressing(&self) -> bool {
        self.pressing.is_some() || !self.queue.is_empty()
    }

    /// The press that is going on is given up: nothing is sent for a while.
    pub fn interrupt(&mut self) {
        self.pressing = None;
    }

    /// What the tick at `timestamp` is for; durations are in units of `clock_hz`.
    pub fn tick(&mut self, timestamp: RtpTimestamp, clock_hz: u32) -> Due {
        let started = self.queue.front().filter(|_| self.pressing.is_none());
        if let Some(&event) = started {
            self.queue.pop_front();
            self.pressing = Some(Pressing { event, timestamp, ticks: 0 });
        }
        let Some(press) = &mut self.pressing else { return Due::Sound };
        press.ticks += 1;
        let Pressing { event, timestamp, ticks } = *press;
        if ticks >= KEY_TICKS {
            self.pressing = None;
        }
        if ticks > END_TICKS {
            return Due::Silence;
        }
        let payload = Payload { event, end: ticks >= PRESS_TICKS, duration: ticks.min(PRESS_TICKS) * tick(clock_hz) };
        Due::Event { marker: ticks == 1, timestamp, payload: payload.build() }
    }
}

#[cfg(test)]
mod tests;
