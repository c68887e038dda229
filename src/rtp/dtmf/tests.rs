//! Senders of every kind, and our own.
#![expect(clippy::disallowed_methods, reason = "a test takes one instant to start from")]

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

/// A packet as it comes in.
#[derive(Debug, Clone, Copy)]
enum Came {
    /// Sequence number, timestamp, key, duration.
    Press(u16, u32, char, u16),
    /// The same with the marker.
    Marked(u16, u32, char, u16),
    /// The same with the end bit.
    End(u16, u32, char, u16),
    /// With both.
    MarkedEnd(u16, u32, char, u16),
    /// Sound with this sequence number.
    Sound(u16),
    /// So many ms without a packet.
    Quiet(u64),
}

use Came::{End, Marked, MarkedEnd, Press, Quiet, Sound};

fn packet(seq: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Packet<'_> {
    Packet { payload_type: 101, marker, seq: Seq(seq), timestamp: RtpTimestamp(timestamp), ssrc: Ssrc(7), payload }
}

/// The keys that are told, with 20 ms between two packets.
fn told(packets: &[Came]) -> String {
    let mut receiver = Receiver::new(8_000);
    let mut now = Instant::now();
    let mut keys = String::new();
    for came in packets {
        now += Duration::from_millis(20);
        let (marker, end, seq, timestamp, key, duration) = match *came {
            Press(seq, timestamp, key, duration) => (false, false, seq, timestamp, key, duration),
            Marked(seq, timestamp, key, duration) => (true, false, seq, timestamp, key, duration),
            End(seq, timestamp, key, duration) => (false, true, seq, timestamp, key, duration),
            MarkedEnd(seq, timestamp, key, duration) => (true, true, seq, timestamp, key, duration),
            Sound(seq) => {
                receiver.sound(&packet(seq, 0, false, &[0xd5; 160]));
                continue;
            }
            Quiet(ms) => {
                now += Duration::from_millis(ms);
                continue;
            }
        };
        let event = KEYS.iter().position(|known| *known == key).unwrap() as u8;
        let payload = Payload { event, end, duration }.build();
        keys.extend(receiver.take(now, &packet(seq, timestamp, marker, &payload)).key);
    }
    keys
}

#[test]
fn each_press_is_told_once() {
    let cases: &[(&str, &[Came], &str)] = &[
        (
            "as it should be",
            &[
                Sound(9),
                Marked(10, 1_000, '5', 160),
                Press(11, 1_000, '5', 320),
                End(12, 1_000, '5', 480),
                End(13, 1_000, '5', 480),
                End(14, 1_000, '5', 480),
                Sound(15),
            ],
            "5",
        ),
        ("no marker", &[Press(10, 1_000, '5', 160), Press(11, 1_000, '5', 320), End(12, 1_000, '5', 480)], "5"),
        (
            "a marker on each",
            &[Marked(10, 1_000, '5', 160), Marked(11, 1_000, '5', 320), MarkedEnd(12, 1_000, '5', 480)],
            "5",
        ),
        ("a marker on the end", &[Press(10, 1_000, '#', 160), MarkedEnd(11, 1_000, '#', 320)], "#"),
        ("the beginning lost", &[Sound(9), End(14, 1_000, '*', 800)], "*"),
        ("one packet is all that came", &[Press(12, 1_000, 'A', 480)], "A"),
        (
            "all ends lost, sound, the same key again",
            &[Marked(10, 1_000, '5', 160), Sound(20), Sound(21), Marked(22, 3_000, '5', 160)],
            "55",
        ),
        (
            "all ends lost, the same key again at once",
            &[Marked(10, 1_000, '5', 160), Press(14, 1_000, '5', 800), Marked(18, 2_200, '5', 160)],
            "55",
        ),
        (
            "all ends and the marker lost, the same key again at once",
            &[Marked(10, 1_000, '5', 160), Press(14, 1_000, '5', 800), Press(19, 2_200, '5', 320)],
            "55",
        ),
        ("all ends lost, another key", &[Marked(10, 1_000, '5', 160), Press(14, 2_000, '6', 160)], "56"),
        (
            "the same key twice quickly",
            &[
                Marked(10, 1_000, '5', 160),
                End(11, 1_000, '5', 320),
                End(12, 1_000, '5', 320),
                End(13, 1_000, '5', 320),
                Marked(14, 1_800, '5', 160),
                End(15, 1_800, '5', 320),
            ],
            "55",
        ),
        (
            "the same key twice without markers",
            &[
                Press(10, 1_000, '5', 160),
                End(11, 1_000, '5', 320),
                Press(12, 1_800, '5', 160),
                End(13, 1_800, '5', 320),
            ],
            "55",
        ),
        (
            "doubled packets",
            &[
                Marked(10, 1_000, '5', 160),
                Marked(10, 1_000, '5', 160),
                End(11, 1_000, '5', 320),
                End(11, 1_000, '5', 320),
                Marked(12, 1_800, '6', 160),
                End(11, 1_000, '5', 320),
                Marked(12, 1_800, '6', 160),
            ],
            "56",
        ),
        (
            "out of order",
            &[
                Press(11, 1_000, '5', 320),
                Marked(10, 1_000, '5', 160),
                End(13, 1_000, '5', 480),
                Press(12, 1_000, '5', 480),
                Marked(15, 2_000, '7', 160),
                End(14, 1_000, '5', 480),
                Press(16, 2_000, '7', 320),
            ],
            "57",
        ),
        (
            "a sender who counts anew with each press",
            &[
                Marked(60, 1_000, '5', 160),
                End(61, 1_000, '5', 320),
                Marked(10, 3_000, '5', 160),
                End(11, 3_000, '5', 320),
                Marked(10, 5_000, '6', 160),
            ],
            "556",
        ),
        (
            "sound that was overtaken by the press",
            &[Marked(10, 1_000, '5', 160), Sound(9), Press(11, 1_000, '5', 320), End(12, 1_000, '5', 480)],
            "5",
        ),
        (
            "sound all the time, as some gateways send",
            &[
                Marked(10, 1_000, '5', 160),
                Sound(11),
                Press(12, 1_000, '5', 320),
                Sound(13),
                Press(14, 1_000, '5', 320),
                Sound(15),
                End(16, 1_000, '5', 480),
                Sound(17),
                End(18, 1_000, '5', 480),
            ],
            "5",
        ),
        (
            "the numbers wrap",
            &[
                Marked(65_534, u32::MAX - 10, '5', 160),
                Press(65_535, u32::MAX - 10, '5', 320),
                End(0, u32::MAX - 10, '5', 480),
                End(1, u32::MAX - 10, '5', 480),
                Marked(2, 2_000, '5', 160),
            ],
            "55",
        ),
        (
            "a press of nine seconds in two segments",
            &[
                Marked(10, 1_000, '5', 160),
                Press(11, 1_000, '5', 0xFFFF),
                Press(12, 1_000 + 0xFFFF, '5', 160),
                End(13, 1_000 + 0xFFFF, '5', 8_000),
            ],
            "5",
        ),
        (
            "the seam of the segments lost",
            &[
                Press(10, 1_000, '5', 0xFF00 - 320),
                Press(13, 1_000 + 0xFF00, '5', 160),
                Press(14, 1_000 + 0xFF00, '5', 0xFF00),
                Press(15, 1_000 + 2 * 0xFF00, '5', 160),
                End(16, 1_000 + 2 * 0xFF00, '5', 320),
            ],
            "5",
        ),
        (
            "a long press whose duration stands at its greatest",
            &[Press(10, 1_000, '5', 0xFFFF), Press(11, 1_000, '5', 0xFFFF), End(12, 1_000, '5', 0xFFFF)],
            "5",
        ),
        (
            "a timestamp that runs during the press, and on",
            &[
                Marked(10, 1_000, '5', 160),
                Press(11, 1_160, '5', 320),
                End(12, 1_320, '5', 480),
                End(13, 1_480, '5', 480),
                End(14, 1_640, '5', 480),
                Marked(15, 2_400, '5', 160),
                End(16, 2_560, '5', 320),
            ],
            "55",
        ),
        (
            "a timestamp that stands still for ever",
            &[
                Marked(10, 0, '5', 160),
                End(11, 0, '5', 320),
                End(12, 0, '5', 320),
                Sound(13),
                Marked(14, 0, '5', 160),
                End(15, 0, '5', 320),
                Sound(16),
                Marked(17, 0, '6', 160),
            ],
            "556",
        ),
        (
            "no ends, no sound: a pause of three seconds tells two presses apart",
            &[Press(10, 1_000, '5', 160), Press(11, 1_000, '5', 320), Quiet(3_000), Press(12, 30_000, '5', 160)],
            "55",
        ),
        ("an end three seconds late", &[Press(10, 1_000, '5', 160), Quiet(3_500), End(11, 1_000, '5', 28_000)], "5"),
        (
            "ends alone, thrice",
            &[MarkedEnd(10, 1_000, '0', 800), End(11, 1_000, '0', 800), End(12, 1_000, '0', 800)],
            "0",
        ),
        (
            "all keys",
            &[
                Marked(1, 1_000, '0', 160),
                Marked(2, 2_000, '9', 160),
                Marked(3, 3_000, '*', 160),
                Marked(4, 4_000, '#', 160),
                Marked(5, 5_000, 'A', 160),
                Marked(6, 6_000, 'D', 160),
            ],
            "09*#AD",
        ),
    ];
    for (what, packets, keys) in cases {
        assert_eq!(told(packets), *keys, "{what}");
    }
}

#[test]
fn what_is_no_key_is_ignored() {
    let mut receiver = Receiver::new(8_000);
    let now = Instant::now();
    for payload in [&[][..], &[5], &[5, 10, 0], &[16, 10, 0, 160], &[32, 0x8a, 0, 160], &[255, 255, 255, 255]] {
        assert_eq!(receiver.take(now, &packet(1, 1_000, true, payload)).key, None, "{payload:?}");
    }
    // More than one event has no place in a packet; what stands behind the first is padding.
    assert_eq!(receiver.take(now, &packet(2, 1_000, true, &[5, 10, 0, 160, 6, 10, 0, 160])).key, Some('5'));
}

#[test]
fn another_source_is_another_press() {
    let mut receiver = Receiver::new(8_000);
    let now = Instant::now();
    let first = packet(1, 1_000, true, &[5, 10, 0, 160]);
    assert_eq!(receiver.take(now, &first).key, Some('5'));
    let other = Packet { ssrc: Ssrc(8), ..first };
    assert_eq!(receiver.take(now, &other).key, Some('5'));
    receiver.sound(&first);
    assert_eq!(receiver.take(now, &Packet { seq: Seq(2), ..other }).key, None);
}

#[test]
fn time_goes_on_during_a_press() {
    let mut receiver = Receiver::new(8_000);
    let now = Instant::now();
    let mut sounds = Vec::new();
    for (seq, end, duration) in [(1, false, 160), (2, false, 320), (3, true, 480), (4, true, 480), (5, true, 480)] {
        let payload = Payload { event: 5, end, duration }.build();
        sounds.push(receiver.take(now, &packet(seq, 1_000, seq == 1, &payload)).sound.0);
    }
    assert_eq!(sounds, [1_000, 1_160, 1_320, 1_480, 1_640]);
}

#[test]
fn lost_and_mixed_packets_of_many_presses_lose_no_key() {
    let mut rng = StdRng::seed_from_u64(4733);
    for round in 0..300 {
        let keys: String = (0..20).map(|_| KEYS[rng.random_range(0..16)]).collect();
        let mut sent = packets_of(&keys);
        // A tenth is lost, a tenth is doubled, and neighbours change places.
        sent.retain(|_| !rng.random_bool(0.1));
        let doubled = sent.iter().flat_map(|p| std::iter::repeat_n(*p, 1 + usize::from(rng.random_bool(0.1))));
        let mut came: Vec<Wire> = doubled.collect();
        for at in 1..came.len() {
            if rng.random_bool(0.1) {
                came.swap(at - 1, at);
            }
        }
        let mut receiver = Receiver::new(8_000);
        let mut now = Instant::now();
        let mut told = String::new();
        for Wire { seq, timestamp, marker, payload } in came {
            now += Duration::from_millis(20);
            match payload {
                Some(payload) => told.extend(receiver.take(now, &packet(seq, timestamp, marker, &payload)).key),
                None => receiver.sound(&packet(seq, timestamp, marker, &[0xd5])),
            }
        }
        assert_eq!(told, keys, "round {round}");
    }
}

#[test]
fn hostile_packets_never_panic() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut receiver, mut now, mut told) = (Receiver::new(8_000), Instant::now(), 0);
    for _ in 0..200_000 {
        now += Duration::from_millis(rng.random_range(0..100));
        let payload: Vec<u8> = (0..rng.random_range(0..8)).map(|_| rng.random()).collect();
        let packet = packet(rng.random(), rng.random(), rng.random(), &payload);
        if rng.random_bool(0.1) {
            receiver.sound(&packet);
        } else {
            told += usize::from(receiver.take(now, &packet).key.is_some());
        }
    }
    println!("{told} keys in 200000 packets");
    assert!(told > 1_000);
}

/// What goes out in a tick: `None` is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wire {
    seq: u16,
    timestamp: u32,
    marker: bool,
    payload: Option<[u8; 4]>,
}

/// All that our sender makes of these keys, and some sound.
fn packets_of(keys: &str) -> Vec<Wire> {
    let mut sender = Sender::default();
    assert!(keys.chars().all(|key| sender.press(key, EventSet::KEYS)));
    let mut sent = Vec::new();
    let (mut seq, mut timestamp) = (65_500, u32::MAX - 3_000);
    while sender.is_pressing() || sent.last().is_some_and(|wire: &Wire| wire.payload.is_some()) {
        let wire = match sender.tick(RtpTimestamp(timestamp), 8_000) {
            Due::Event { marker, timestamp: RtpTimestamp(timestamp), payload } => {
                Wire { seq, timestamp, marker, payload: Some(payload) }
            }
            Due::Silence | Due::Sound => Wire { seq, timestamp, marker: false, payload: None },
        };
        sent.push(wire);
        seq = seq.wrapping_add(1);
        timestamp = timestamp.wrapping_add(160);
    }
    sent
}

#[test]
fn a_press_grows_ends_thrice_and_leaves_a_pause() {
    let sent = packets_of("5#");
    assert_eq!(sent.len(), 24);
    for (n, wire) in sent.iter().enumerate() {
        let (key, tick) = (n / 12, n % 12);
        let end = tick >= 7;
        let duration = (tick.min(7) as u16 + 1) * 160;
        let payload = Payload { event: [5, 11][key], end, duration }.build();
        let begin = (u32::MAX - 3_000).wrapping_add(key as u32 * 12 * 160);
        assert_eq!(wire.seq, 65_500_u16.wrapping_add(n as u16));
        match tick {
            0..10 => {
                assert_eq!((wire.payload, wire.timestamp, wire.marker), (Some(payload), begin, tick == 0), "tick {n}");
            }
            _ => assert_eq!(wire.payload, None, "tick {n}"),
        }
    }
    assert_eq!(sent.iter().filter(|wire| wire.payload.is_some_and(|payload| payload[1] & 0x80 != 0)).count(), 6);
}

#[test]
fn only_keys_that_the_peer_takes_are_pressed_and_not_too_many_wait() {
    let mut sender = Sender::default();
    let digits = EventSet::parse("0-9").unwrap();
    assert!(sender.press('5', digits));
    assert!(!sender.press('#', digits) && !sender.press('x', EventSet::OURS) && !sender.press('!', EventSet::OURS));
    assert!(sender.press('a', EventSet::KEYS), "A is a");
    assert_eq!((2..100).filter(|_| sender.press('1', digits)).count(), 62);
}

#[test]
fn a_press_that_is_interrupted_is_not_taken_up_again() {
    let mut sender = Sender::default();
    assert!(sender.press('1', EventSet::KEYS) && sender.press('2', EventSet::KEYS));
    sender.tick(RtpTimestamp(0), 8_000);
    sender.interrupt();
    let Due::Event { marker, payload, .. } = sender.tick(RtpTimestamp(160), 8_000) else { panic!("the next key") };
    assert_eq!((marker, payload[0]), (true, 2));
}

#[test]
fn lists_of_events_are_read_and_written() {
    for (list, written) in [
        ("0-16", "0-16"),
        ("0-15", "0-15"),
        ("0-11,16", "0-11,16"),
        (" 1 , 3-4 ,64-255", "1,3-4"),
        ("9-3", ""),
        ("32", ""),
        ("0,1,2", "0-2"),
    ] {
        let set = EventSet::parse(list).unwrap();
        assert_eq!(set.to_string(), written, "{list}");
        assert_eq!(set.is_empty(), written.is_empty());
    }
    for bad in ["", "x", "1-", "0-15;", "-3", "256", "0-15,"] {
        assert_eq!(EventSet::parse(bad), None, "{bad}");
    }
    assert!(EventSet::KEYS.contains(15) && !EventSet::KEYS.contains(16) && !EventSet::KEYS.contains(200));
}
