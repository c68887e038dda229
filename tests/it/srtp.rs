//! Encrypted streams in virtual time: two of ours with a seeded network between them, keys told or agreed on by a handshake.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::rtp::codec::{Codec, OpusTerms};
use secretary::rtp::dtls::{Certificate, HandshakeError, Role, Terms};
use secretary::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::srtp::{MasterKey, SrtpKeys, Suite};
use secretary::rtp::{Output, Protection, Rate, Stream, StreamConfig};

use crate::support::pair::epoch;

pub const ADDRESSES: [&str; 2] = ["192.0.2.1:4000", "192.0.2.2:5000"];
const STRANGER: &str = "203.0.113.66:4000";
/// Loud enough to be told from silence after any codec.
const LOUD: i16 = 8_000;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What the network does to each packet.
#[derive(Clone, Copy, Default)]
pub struct Network {
    pub loss: f64,
    pub doubling: f64,
}

pub struct Side {
    pub stream: Stream,
    /// Frames of the other side's sound that were heard, and all that left, as it left.
    loud: usize,
    pub sent: Vec<Vec<u8>>,
    failed: Option<HandshakeError>,
}

/// When it arrives, at which side, from where, and its bytes.
type Datagram = (Instant, usize, SocketAddr, Vec<u8>);

/// Two streams, the time, and what is on its way: when, to whom, from where, what.
pub struct Line {
    pub now: Instant,
    pub sides: [Side; 2],
    network: Network,
    rng: StdRng,
    on_its_way: BinaryHeap<Reverse<Datagram>>,
}

fn stream(now: Instant, side: usize, first_seq: u16) -> Side {
    let mut stream = Stream::new(
        now,
        StreamConfig {
            rate: Rate::Narrow,
            opus: OpusTerms::default(),
            remote: address(ADDRESSES[1 - side]),
            codec: Codec::Pcma,
            payload_type: 8,
            accepted: vec![(8, Codec::Pcma)],
            events: None,
            ssrc: Ssrc(side as u32 + 1),
            first_seq: Seq(first_seq),
            first_timestamp: RtpTimestamp(0),
            rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: side as u64 },
        },
    );
    stream.set_rtcp(Some(RtcpPath::Muxed));
    Side { stream, loud: 0, sent: Vec::new(), failed: None }
}

impl Line {
    pub fn new(network: Network, protections: [Protection; 2]) -> Self {
        Self::counting_from(0, network, protections)
    }

    pub fn counting_from(first_seq: u16, network: Network, protections: [Protection; 2]) -> Self {
        let now = epoch();
        let mut sides = [0, 1].map(|side| stream(now, side, first_seq));
        for (side, protection) in sides.iter_mut().zip(protections) {
            side.stream.protect(protection);
            side.stream.set_handshake(true);
        }
        Self { now, sides, network, rng: StdRng::seed_from_u64(1), on_its_way: BinaryHeap::new() }
    }

    /// Both talk for so long.
    pub fn talk(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(5);
            while let Some(Reverse((at, ..))) = self.on_its_way.peek()
                && *at <= self.now
            {
                let Some(Reverse((_, to, from, datagram))) = self.on_its_way.pop() else { break };
                self.sides[to].stream.handle_input(self.now, from, &datagram);
                self.drain(to);
            }
            for side in [0, 1] {
                if !self.sides[side].stream.is_playing() {
                    self.sides[side].stream.play(0, &[LOUD; 160]);
                }
                self.sides[side].stream.handle_timeout(self.now);
                self.drain(side);
            }
        }
    }

    fn drain(&mut self, side: usize) {
        while let Some(output) = self.sides[side].stream.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    if to == address(STRANGER) {
                        assert!((20..=63).contains(&datagram[0]), "a stranger is sent sound");
                        continue;
                    }
                    assert_eq!(to, address(ADDRESSES[1 - side]));
                    self.sides[side].sent.push(datagram.clone());
                    let Network { loss, doubling } = self.network;
                    let copies =
                        if self.rng.random_bool(loss) { 0 } else { 1 + usize::from(self.rng.random_bool(doubling)) };
                    for _ in 0..copies {
                        let at = self.now + Duration::from_millis(self.rng.random_range(10..30));
                        let from = address(ADDRESSES[side]);
                        self.on_its_way.push(Reverse((at, 1 - side, from, datagram.clone())));
                    }
                }
                Output::Tick { received, .. } => {
                    self.sides[side].loud += usize::from(received.iter().any(|s| s.unsigned_abs() > 4_000));
                }
                Output::NoKeys(error) => {
                    assert_eq!(self.sides[side].failed.replace(error), None, "told once");
                }
                Output::TransmitRtcp { .. } => panic!("reports go with the sound"),
                Output::Skipped { .. } | Output::Key { .. } => panic!("time goes on evenly and nobody presses keys"),
            }
        }
    }

    /// Frames heard on either side since the last time.
    pub fn heard(&mut self) -> [usize; 2] {
        [0, 1].map(|side| std::mem::take(&mut self.sides[side].loud))
    }

    pub fn give(&mut self, to: usize, from: &str, datagram: &[u8]) {
        self.sides[to].stream.handle_input(self.now, address(from), datagram);
        self.drain(to);
    }
}

pub fn key(suite: Suite, seed: u64) -> MasterKey {
    MasterKey::draw(suite, &mut StdRng::seed_from_u64(seed))
}

/// What both sides know of keys that are told.
pub fn told(ours: &MasterKey, theirs: &MasterKey) -> [Protection; 2] {
    let keys = |ours: &MasterKey, theirs: &MasterKey| {
        Protection::Sdes(SrtpKeys { ours: ours.clone(), theirs: theirs.clone() })
    };
    [keys(ours, theirs), keys(theirs, ours)]
}

/// What both sides know of a handshake that the first one begins.
fn agreed(certificates: &[Certificate; 2]) -> [Protection; 2] {
    [(0, Role::Active), (1, Role::Passive)].map(|(side, role)| {
        Protection::Dtls(Terms {
            certificate: certificates[side].clone(),
            role,
            fingerprints: vec![certificates[1 - side].fingerprint().clone()],
        })
    })
}

fn certificates() -> [Certificate; 2] {
    [(); 2].map(|()| Certificate::generate().unwrap())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_suite_carries_the_sound_and_its_reports() {
    for suite in Suite::ALL {
        let mut line = Line::new(Network::default(), told(&key(suite, 1), &key(suite, 2)));
        line.talk(8 * SECOND);
        let heard = line.heard();
        assert!(heard.iter().all(|heard| (380..=400).contains(heard)), "{suite:?}: {heard:?}");
        for side in &line.sides {
            let stats = side.stream.stats();
            assert_eq!((stats.forged, stats.replayed, stats.lost), (0, 0, 0), "{suite:?}: {stats:?}");
            assert!(side.stream.quality().round_trip_ms.is_some(), "{suite:?}: reports are read");
            let sound = side.sent.iter().find(|packet| packet[1] & 0x7f == 8).unwrap();
            assert!(sound.len() > 12 + 160 && sound[12..172].windows(2).any(|pair| pair[0] != pair[1]), "{suite:?}");
        }
    }
}

#[test]
fn a_call_of_half_an_hour_rolls_over_its_numbers_and_loses_nothing() {
    let network = Network { loss: 0.01, doubling: 0.01 };
    let suite = Suite::AesCm128HmacSha1_80;
    let mut line = Line::counting_from(60_000, network, told(&key(suite, 1), &key(suite, 2)));
    // 90,000 packets: two rollovers.
    line.talk(1_800 * SECOND);
    let stats = line.sides[0].stream.stats();
    println!("{stats:?}");
    assert_eq!(stats.forged, 0);
    assert!(stats.received > 88_000 && stats.replayed > 500, "{stats:?}");
    assert!(line.heard().iter().all(|heard| *heard > 85_000));
    let before = line.sides[0].stream.stats();
    line.talk(10 * SECOND);
    assert!(line.sides[0].stream.stats().received > before.received + 480, "and it goes on");
}

#[test]
fn what_was_here_before_is_refused_and_counted() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut line = Line::new(Network::default(), told(&key(suite, 1), &key(suite, 2)));
    line.talk(3 * SECOND);
    let before = line.sides[1].stream.stats();
    let sent = line.sides[0].sent.clone();
    for datagram in &sent {
        // By the peer's own network, and by somebody who would like to be taken for him.
        line.give(1, ADDRESSES[0], datagram);
        line.give(1, STRANGER, datagram);
    }
    let stats = line.sides[1].stream.stats();
    // The last ones had not come yet: of those the first copy counts.
    assert!(stats.replayed >= 2 * sent.len() as u64 - 10, "{stats:?}");
    assert!(stats.received <= before.received + 5, "{stats:?}");
    assert_eq!((stats.forged, stats.strangers, stats.latch_changes), (0, 0, before.latch_changes), "{stats:?}");
}

#[test]
fn another_key_is_silence_and_a_count() {
    let suite = Suite::AeadAes128Gcm;
    let [ours, _] = told(&key(suite, 1), &key(suite, 2));
    let [_, theirs] = told(&key(suite, 3), &key(suite, 4));
    let mut line = Line::new(Network::default(), [ours, theirs]);
    line.talk(4 * SECOND);
    assert_eq!(line.heard(), [0, 0]);
    for side in &line.sides {
        let stats = side.stream.stats();
        assert!(stats.forged > 190 && stats.received == 0 && side.stream.last_heard().is_none(), "{stats:?}");
    }
}

#[test]
fn plain_sound_is_never_taken_into_an_encrypted_stream_nor_sent_from_it() {
    let suite = Suite::AesCm128HmacSha1_32;
    let [ours, _] = told(&key(suite, 1), &key(suite, 2));
    for protection in [ours, Protection::Awaited] {
        let mut line = Line::new(Network::default(), [protection, Protection::Plain]);
        line.talk(2 * SECOND);
        assert_eq!(line.heard()[0], 0);
        assert!(line.sides[0].stream.stats().forged > 90);
        let sealed = line.sides[0].sent.iter().filter(|packet| packet.len() < 12 + 160 + 4).count();
        let reports = line.sides[0].sent.iter().filter(|packet| packet[1] >= 192).count();
        assert_eq!(sealed, reports, "no packet of sound left as it was");
    }
    let mut waiting = Line::new(Network::default(), [Protection::Awaited, Protection::Awaited]);
    waiting.talk(2 * SECOND);
    assert!(waiting.sides.iter().all(|side| side.sent.is_empty()), "before there are keys nothing goes out");
}

#[test]
fn new_keys_take_the_place_of_old_ones_and_old_ones_stay_where_nothing_changed() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (first, second) = (key(suite, 1), key(suite, 2));
    let mut line = Line::counting_from(65_400, Network::default(), told(&first, &second));
    line.talk(10 * SECOND);
    // The same again, after a rollover: nothing is lost, nothing begins anew.
    for (side, protection) in line.sides.iter_mut().zip(told(&first, &second)) {
        side.stream.protect(protection);
    }
    line.heard();
    line.talk(4 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard >= 195), "{heard:?}");
    assert!(line.sides.iter().all(|side| side.stream.stats().forged == 0));
    // New ones on both sides at once: what is under way is heard all the same.
    for (side, protection) in line.sides.iter_mut().zip(told(&key(suite, 3), &key(suite, 4))) {
        side.stream.protect(protection);
    }
    line.talk(4 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard >= 195), "{heard:?}");
    for side in &line.sides {
        let stats = side.stream.stats();
        assert_eq!((stats.forged, stats.lost), (0, 0), "{stats:?}");
    }
}

#[test]
fn a_handshake_gives_keys_and_nothing_is_sent_before() {
    let mut line = Line::new(Network::default(), agreed(&certificates()));
    line.talk(4 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard > 180), "{heard:?}");
    for side in &line.sides {
        assert_eq!((side.stream.stats().forged, &side.failed), (0, &None));
        let first = side.sent.iter().position(|packet| packet[0] >> 6 == 2).unwrap();
        assert!(first > 0 && side.sent[..first].iter().all(|packet| (20..=63).contains(&packet[0])));
    }
}

#[test]
fn a_handshake_survives_loss_and_doubling() {
    let mut done = 0;
    for seed in 0..20 {
        let mut line = Line::new(Network { loss: 0.2, doubling: 0.2 }, agreed(&certificates()));
        line.rng = StdRng::seed_from_u64(seed);
        line.talk(12 * SECOND);
        let keyed = line.heard().iter().all(|heard| *heard > 50);
        if !keyed {
            let flights = [0, 1].map(|side| {
                line.sides[side].sent.iter().filter(|p| p[0] < 64).map(|p| (p[0], p[13], p.len())).collect::<Vec<_>>()
            });
            println!("seed {seed}: {:?} {:?}\n{flights:?}", line.sides[0].failed, line.sides[1].failed);
        }
        assert!(keyed || line.sides.iter().any(|side| side.failed.is_some()), "seed {seed}: neither keys nor an error");
        done += usize::from(keyed);
    }
    println!("{done} of 20 handshakes at 20 % loss gave keys within 12 s");
    assert!(done >= 18);
}

#[test]
fn the_same_terms_again_keep_the_keys_and_another_certificate_begins_anew() {
    let certificates = certificates();
    let mut line = Line::new(Network::default(), agreed(&certificates));
    line.talk(2 * SECOND);
    line.heard();
    for (side, protection) in line.sides.iter_mut().zip(agreed(&certificates)) {
        side.stream.protect(protection);
    }
    line.talk(2 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard >= 98), "{heard:?}");
    let renewed = [Certificate::generate().unwrap(), certificates[1].clone()];
    for (side, protection) in line.sides.iter_mut().zip(agreed(&renewed)) {
        side.stream.protect(protection);
    }
    line.talk(3 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard >= 120), "{heard:?}");
}

#[test]
fn another_certificate_than_promised_ends_it_on_either_side() {
    for side in [0, 1] {
        let mut terms = agreed(&certificates());
        let Protection::Dtls(other) = &mut terms[side] else { panic!() };
        other.fingerprints = vec![Certificate::generate().unwrap().fingerprint().clone()];
        let mut line = Line::new(Network::default(), terms);
        line.talk(4 * SECOND);
        assert_eq!(line.sides[side].failed, Some(HandshakeError::Impostor), "side {side}");
        assert_eq!(line.heard()[side], 0);
        let sound = line.sides[side].sent.iter().filter(|packet| packet[0] >> 6 == 2).count();
        assert_eq!(sound, 0, "nothing is said to an impostor");
    }
}

#[test]
fn one_of_several_fingerprints_has_to_fit() {
    let mut terms = agreed(&certificates());
    for terms in &mut terms {
        let Protection::Dtls(terms) = terms else { panic!() };
        terms.fingerprints.insert(0, Certificate::generate().unwrap().fingerprint().clone());
    }
    let mut line = Line::new(Network::default(), terms);
    line.talk(2 * SECOND);
    assert!(line.heard().iter().all(|heard| *heard > 50));
}

#[test]
fn a_handshake_that_nobody_answers_is_an_error_in_time() {
    let [active, passive] = agreed(&certificates());
    for (protection, role) in [(active, "active"), (passive, "passive")] {
        let mut line = Line::new(Network { loss: 1.0, ..Network::default() }, [protection, Protection::Awaited]);
        line.talk(9 * SECOND);
        assert_eq!(line.sides[0].failed, None, "{role}");
        line.talk(2 * SECOND);
        assert_eq!(line.sides[0].failed, Some(HandshakeError::TimedOut), "{role}");
        assert!(line.sides[0].sent.len() <= 10, "{role}: {} datagrams", line.sides[0].sent.len());
    }
}

#[test]
fn a_stranger_cannot_spoil_a_handshake() {
    let certificates = certificates();
    let mut line = Line::new(Network::default(), agreed(&certificates));
    let mut rng = StdRng::seed_from_u64(3);
    // Garbage that looks like DTLS, and a handshake of somebody else's, before and during that of the peer.
    let mut intruder = Line::new(Network::default(), agreed(&self::certificates()));
    intruder.talk(Duration::from_millis(300));
    let attempts = intruder.sides[0].sent.clone();
    for n in 0..60 {
        let garbage: Vec<u8> = (0..40).map(|_| rng.random()).collect();
        let garbage = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, n, 0, 40][..], &garbage].concat();
        for side in [0, 1] {
            line.sides[side].stream.handle_input(line.now, address(STRANGER), &garbage);
            if let Some(attempt) = attempts.get(usize::from(n)) {
                line.sides[side].stream.handle_input(line.now, address(STRANGER), attempt);
            }
            // What the stranger is told is of no interest here.
            while line.sides[side].stream.poll_output().is_some() {}
        }
        line.talk(Duration::from_millis(10));
    }
    line.heard();
    line.talk(2 * SECOND);
    let heard = line.heard();
    assert!(heard.iter().all(|heard| *heard > 95), "{heard:?}");
}
