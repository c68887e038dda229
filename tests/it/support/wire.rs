//! The sound of calls as tcpdump saw it (pcap, the classic format, of Ethernet frames): who sent which samples when. For
//! `benches/answer.rs` as well.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use secretary::rtp::codec::{Codec, g711};
use secretary::rtp::packet::Packet;

use super::netns::Netns;
use super::process::{Process, require_program};

/// Of what is softer nobody says that he was answered: −45 dB of full scale.
const AUDIBLE: f64 = 184.0;
/// Packets are of one burst of speech with no more than so much between them, in seconds.
#[allow(dead_code, reason = "for benches/answer.rs")]
const PAUSE_S: f64 = 0.2;
/// So long before the end of an utterance nothing of hers must have been heard, in seconds.
#[allow(dead_code, reason = "for benches/answer.rs")]
const QUIET_S: f64 = 0.3;
/// The even ones of these ports are those of her sound.
const PORTS: RangeInclusive<u16> = 10_000..=10_100;
/// How long a packet is, in seconds.
const PACKET_S: f64 = 0.02;

/// tcpdump at work, until this is dropped.
pub struct Capture {
    _tcpdump: Process,
    file: PathBuf,
}

impl Capture {
    /// Of the sound of the secretary in this network.
    pub fn start(netns: &Netns) -> Self {
        require_program("tcpdump");
        let file = netns.dir().join("wire.pcap");
        let mut command = netns.command("tcpdump");
        command.args(["-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w"]).arg(&file);
        command.args(["udp", "portrange", "10000-10100"]);
        let mut tcpdump = Process::spawn("tcpdump", &mut command, netns.dir());
        tcpdump.wait_for("listening on", Duration::from_secs(10));
        Self { _tcpdump: tcpdump, file }
    }

    /// All calls so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        Call::read(&fs::read(&self.file).expect("what tcpdump saw"))
    }
}

/// The sound of one call.
#[derive(Default)]
pub struct Call {
    /// The caller's packets: when they were sent, in seconds, and the timestamp since the first one, in samples.
    received: Vec<(f64, u32)>,
    first: Option<u32>,
    /// What is in them, as it was coded.
    said: Vec<u8>,
    /// Hers that can be heard: when they were sent, in seconds, and where they begin in `answered`.
    audible: Vec<(f64, usize)>,
    answered: Vec<u8>,
}

impl Call {
    fn read(capture: &[u8]) -> Vec<Self> {
        let mut calls: BTreeMap<u16, Self> = BTreeMap::new();
        for (at_s, from, to, payload) in datagrams(capture) {
            let Ok(packet) = Packet::parse(payload) else { continue };
            if PORTS.contains(&to) && to % 2 == 0 {
                calls.entry(to).or_default().receive(at_s, &packet);
            } else if PORTS.contains(&from) && from % 2 == 0 {
                let codec = match packet.payload_type {
                    0 => Codec::Pcmu,
                    8 => Codec::Pcma,
                    _ => continue,
                };
                let call = calls.entry(from).or_default();
                if level(&g711::decode(codec, packet.payload)) >= AUDIBLE {
                    call.audible.push((at_s, call.answered.len()));
                }
                call.answered.extend_from_slice(packet.payload);
            }
        }
        let mut calls: Vec<Self> = calls.into_values().filter(|call| !call.received.is_empty()).collect();
        calls.sort_by(|a, b| a.received[0].0.total_cmp(&b.received[0].0));
        calls
    }

    fn receive(&mut self, at_s: f64, packet: &Packet) {
        let first = *self.first.get_or_insert(packet.timestamp.0);
        self.received.push((at_s, packet.timestamp.0.wrapping_sub(first)));
        self.said.extend_from_slice(packet.payload);
    }

    /// When the caller's last packet was sent: as good as now while the call goes on.
    pub fn now(&self) -> f64 {
        self.received.last().map_or(f64::MIN, |(at_s, _)| *at_s)
    }

    /// When the caller sent the first sample of this sound, which is coded as he sends it in packets of 20 ms.
    pub fn said_at(&self, sound: &[u8]) -> Option<f64> {
        let at = self.said.windows(sound.len()).position(|said| said == sound)?;
        self.received.get(at / (8_000.0 * PACKET_S) as usize).map(|(at_s, _)| *at_s)
    }

    /// When the caller's sample of this second of his sound was on the wire.
    pub fn sent_at(&self, second: f64) -> Option<f64> {
        let sample = (second * 8_000.0) as u32;
        let packet = self.received.iter().rev().find(|(_, timestamp)| *timestamp <= sample)?;
        (sample - packet.1 < 8_000).then_some(packet.0)
    }

    /// When she is first heard within this time, and until when.
    pub fn heard_in(&self, time: Range<f64>) -> Option<(f64, f64)> {
        let mut audible = self.audible.iter().map(|(at_s, _)| *at_s).filter(|at_s| time.contains(at_s));
        let first = audible.next()?;
        Some((first, audible.next_back().unwrap_or(first) + PACKET_S))
    }

    /// The last second that is heard of her, as it was coded.
    pub fn last_words(&self) -> &[u8] {
        let end = self.audible.last().map_or(0, |(_, place)| *place);
        &self.answered[end.saturating_sub(8_000)..end]
    }

    /// Whether she sent this.
    pub fn has_answered(&self, sound: &[u8]) -> bool {
        self.answered.windows(sound.len()).any(|answered| answered == sound)
    }
}

#[allow(dead_code, reason = "for benches/answer.rs")]
impl Call {
    /// When each burst of her speech after `at` began; `None` when she was still heard then.
    pub fn answers_after(&self, at: f64) -> Option<Vec<f64>> {
        if self.heard_in(at - QUIET_S..at).is_some() {
            return None;
        }
        let mut bursts = Vec::new();
        let mut last = f64::MIN;
        for &(audible, _) in self.audible.iter().filter(|(audible, _)| *audible > at) {
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
