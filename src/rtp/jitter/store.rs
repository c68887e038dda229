//! The packets that wait, in the order of their numbers. Bounded; once it has seen a few packets it allocates no more.

use std::collections::VecDeque;

use super::{NO_NOISE, Payload};
use crate::rtp::codec::Codec;
use crate::rtp::packet::ExtendedSeq;

/// 1 s of packets of 10 ms, and some.
const MAX_PACKETS: usize = 128;
/// Twice what 1 s of G.711 needs.
const MAX_BYTES: usize = 16_000;
/// How many buffers are kept for packets to come.
const MAX_SPARE: usize = 16;

/// Packets that wait.
#[derive(Debug, Default)]
pub struct Store {
    packets: VecDeque<Stored>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub struct Stored {
    pub seq: ExtendedSeq,
    /// Both in samples.
    pub timestamp: i64,
    pub length: i64,
    pub content: Content,
    payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub enum Content {
    Voice(Codec),
    /// In dB below overload, 0 to 127.
    Noise {
        level: u8,
    },
}

impl Stored {
    /// The timestamp after its last sample.
    pub fn end(&self) -> i64 {
        self.timestamp + self.length
    }
}

impl Store {
    /// Takes a packet that fills `length` samples. Returns how many had to go for it, the oldest first.
    pub fn put(&mut self, seq: ExtendedSeq, timestamp: i64, length: i64, payload: Payload, bytes: &[u8]) -> u64 {
        let (content, bytes) = match payload {
            Payload::Voice(codec) => (Content::Voice(codec), bytes),
            // The highest bit means nothing; without a level there is no noise (RFC 3389 §3.1).
            Payload::ComfortNoise => {
                (Content::Noise { level: bytes.first().map_or(NO_NOISE, |byte| byte & 0x7f) }, &[][..])
            }
        };
        let mut payload = self.spare.pop().unwrap_or_default();
        payload.extend_from_slice(bytes);
        self.bytes += payload.len();
        let place = self.packets.iter().rposition(|packet| packet.seq < seq).map_or(0, |before| before + 1);
        self.packets.insert(place, Stored { seq, timestamp, length, content, payload });
        let mut gone = 0;
        while self.packets.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            self.take_first(|_, _| ());
            gone += 1;
        }
        gone
    }

    pub fn first(&self) -> Option<&Stored> {
        self.packets.front()
    }

    /// The first packet, if it is voice of that codec: how many samples it fills, and its payload.
    pub fn first_of(&self, codec: Codec) -> Option<(usize, &[u8])> {
        let is_it = |packet: &&Stored| packet.length > 0 && matches!(packet.content, Content::Voice(of) if of == codec);
        let first = self.first().filter(is_it)?;
        Some((usize::try_from(first.length).ok()?, &first.payload))
    }

    /// Takes the first packet out and shows it and its payload.
    pub fn take_first(&mut self, show: impl FnOnce(&Stored, &[u8])) {
        let Some(mut packet) = self.packets.pop_front() else { return };
        show(&packet, &packet.payload);
        self.bytes -= packet.payload.len();
        packet.payload.clear();
        if self.spare.len() < MAX_SPARE {
            self.spare.push(packet.payload);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub fn has_voice(&self) -> bool {
        self.packets.iter().any(|packet| matches!(packet.content, Content::Voice(_)))
    }

    /// The timestamp after the last packet.
    pub fn end(&self) -> Option<i64> {
        self.packets.back().map(Stored::end)
    }

    pub fn clear(&mut self) {
        while !self.is_empty() {
            self.take_first(|_, _| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &mut Store, seq: u64, length: usize) -> u64 {
        let (timestamp, voice) = (seq as i64 * 160, Payload::Voice(Codec::Pcma));
        store.put(ExtendedSeq(seq), timestamp, length as i64, voice, &vec![seq as u8; length])
    }

    #[test]
    fn packets_leave_in_the_order_of_their_numbers() {
        let mut store = Store::default();
        for seq in [5, 3, 9, 4, 1] {
            put(&mut store, seq, 160);
        }
        let mut order = Vec::new();
        while !store.is_empty() {
            store.take_first(|packet, payload| order.push((packet.seq.0, payload[0])));
        }
        assert_eq!(order, [(1, 1), (3, 3), (4, 4), (5, 5), (9, 9)]);
        assert_eq!((store.bytes, store.spare.len()), (0, 5));
    }

    #[test]
    fn neither_many_nor_long_packets_fill_the_memory() {
        for length in [0, 10, 160, 1_600] {
            let mut store = Store::default();
            let gone: u64 = (0..1_000).map(|seq| put(&mut store, seq, length)).sum();
            assert!(store.packets.len() <= MAX_PACKETS && store.bytes <= MAX_BYTES);
            assert_eq!(gone + store.packets.len() as u64, 1_000);
            assert_eq!(store.packets.back().unwrap().seq, ExtendedSeq(999));
            store.clear();
            assert_eq!(store.bytes, 0);
            assert!(store.spare.len() <= MAX_SPARE);
        }
    }
}
