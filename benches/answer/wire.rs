//! The sound of calls as tcpdump saw it (pcap, the classic format, of Ethernet frames): who sent which samples when.

use std::collections::BTreeMap;

use secretary::rtp::codec::{Codec, g711};
use secretary::rtp::packet::Packet;

/// Of what is softer nobody says that he was answered: −45 dB of full scale.
const AUDIBLE: f64 = 184.0;
/// Packets are of one burst of speech with no more than so much between them, in seconds.
const PAUSE_S: f64 = 0.2;
/// So long before the end of an utterance nothing of hers must have been heard, in seconds.
const QUIET_S: f64 = 0.3;
/// The even ones of these ports are those of her sound.
const PORTS: std::ops::RangeInclusive<u16> = 10_000..=10_100;

/// The sound of one call.
#[derive(Default)]
pub struct Call {
    /// The caller's packets: when they were sent, in seconds, and the timestamp since the first one, in samples.
    received: Vec<(f64, u32)>,
    first: Option<u32>,
    /// Hers that can be heard: when they were sent, in seconds.
    audible: Vec<f64>,
}

impl Call {
    /// All calls, in the order in which they began.
    pub fn read(capture: &[u8]) -> Vec<Self> {
        let mut calls: BTreeMap<u16, Self> = BTreeMap::new();
        for (at_s, from, to, payload) in datagrams(capture) {
            let Ok(packet) = Packet::parse(payload) else { continue };
            if PORTS.contains(&to) && to % 2 == 0 {
                calls.entry(to).or_default().receive(at_s, packet.timestamp.0);
            } else if PORTS.contains(&from) && from % 2 == 0 {
                let codec = match packet.payload_type {
                    0 => Codec::Pcmu,
                    8 => Codec::Pcma,
                    _ => continue,
                };
                if level(&g711::decode(codec, packet.payload)) >= AUDIBLE {
                    calls.entry(from).or_default().audible.push(at_s);
                }
            }
        }
        let mut calls: Vec<Self> = calls.into_values().filter(|call| !call.received.is_empty()).collect();
        calls.sort_by(|a, b| a.received[0].0.total_cmp(&b.received[0].0));
        calls
    }

    fn receive(&mut self, at_s: f64, timestamp: u32) {
        let first = *self.first.get_or_insert(timestamp);
        self.received.push((at_s, timestamp.wrapping_sub(first)));
    }

    /// When the caller's sample of this second of his sound was on the wire.
    pub fn sent_at(&self, second: f64) -> Option<f64> {
        let sample = (second * 8_000.0) as u32;
        let packet = self.received.iter().rev().find(|(_, timestamp)| *timestamp <= sample)?;
        (sample - packet.1 < 8_000).then_some(packet.0)
    }

    /// When each burst of her speech after `at` began; `None` when she was still heard then.
    pub fn answers_after(&self, at: f64) -> Option<Vec<f64>> {
        if self.audible.iter().any(|&audible| audible > at - QUIET_S && audible <= at) {
            return None;
        }
        let mut bursts = Vec::new();
        let mut last = f64::MIN;
        for &audible in self.audible.iter().filter(|&&audible| audible > at) {
            if audible - last > PAUSE_S {
                bursts.push(audible);
            }
            last = audible;
        }
        Some(bursts)
    }
}

fn level(pcm: &[i16]) -> f64 {
    let energy: f64 = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (energy / pcm.len().max(1) as f64).sqrt()
}

/// The UDP datagrams over IPv4: when, from and to which port, and what.
fn datagrams(capture: &[u8]) -> Vec<(f64, u16, u16, &[u8])> {
    let word = |at: usize| capture.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    assert_eq!(word(0), Some(0xa1b2_c3d4), "a capture in microseconds, of this kind of machine");
    assert_eq!(word(20), Some(1), "of Ethernet frames");
    let mut found = Vec::new();
    let mut at = 24;
    while let (Some(seconds), Some(micros), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let Some(frame) = capture.get(at + 16..at + 16 + length as usize) else { break };
        at += 16 + length as usize;
        let Some(packet) = frame.get(14..).filter(|packet| packet.first().is_some_and(|byte| byte >> 4 == 4)) else {
            continue;
        };
        let header = usize::from(packet[0] & 15) * 4;
        let Some(udp) = packet.get(header..).filter(|udp| udp.len() >= 8) else { continue };
        let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
        found.push((f64::from(seconds) + f64::from(micros) / 1e6, port(0), port(2), &udp[8..]));
    }
    found
}
