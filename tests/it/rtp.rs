//! One RTP stream in virtual time, against seeded networks and senders of every kind.

mod keys;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use secretary::rtp::codec::{Codec, OpusTerms, g711};
use secretary::rtp::dtmf::{EventSet, Events};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::playout::Unplayed;
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::{FRAME_DURATION, Frame, Output, Rate, Received, Stream, StreamConfig};

const PEER: &str = "192.0.2.1:4000";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Tick {
    received: Frame,
    quality: Received,
    sent: Frame,
    mark: Option<u64>,
}

/// A stream, the time, and all that came out.
struct Bench {
    start: Instant,
    stream: Stream,
    ticks: Vec<Tick>,
    transmitted: Vec<(SocketAddr, Vec<u8>)>,
    reports: Vec<(SocketAddr, Vec<u8>)>,
    skipped: u32,
    keys: String,
}

impl Bench {
    fn new() -> Self {
        Self::to(PEER)
    }

    #[allow(clippy::disallowed_methods)] // Some instant to begin with; nothing here depends on which.
    fn to(remote: &str) -> Self {
        let start = Instant::now();
        let config = StreamConfig {
            rate: Rate::Narrow,
            remote: addr(remote),
            codec: Codec::Pcma,
            opus: OpusTerms::default(),
            payload_type: 8,
            accepted: vec![(8, Codec::Pcma), (0, Codec::Pcmu)],
            events: None,
            ssrc: Ssrc(0xabcd),
            first_seq: Seq(65_534),
            first_timestamp: RtpTimestamp(u32::MAX - 200),
            rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
        };
        let stream = Stream::new(start, config);
        Self {
            start,
            stream,
            ticks: Vec::new(),
            transmitted: Vec::new(),
            reports: Vec::new(),
            skipped: 0,
            keys: String::new(),
        }
    }

    /// Runs every timer up to `at`, each in its time.
    fn run_until(&mut self, at: Duration) {
        while self.stream.poll_timeout() <= self.start + at {
            self.timeout(self.stream.poll_timeout() - self.start);
        }
    }

    fn timeout(&mut self, at: Duration) {
        self.stream.handle_timeout(self.start + at);
        while let Some(output) = self.stream.poll_output() {
            match output {
                Output::Transmit { to, datagram } => self.transmitted.push((to, datagram)),
                Output::TransmitRtcp { to, datagram } => self.reports.push((to, datagram)),
                Output::Tick { received, quality, sent, mark } => {
                    self.ticks.push(Tick { received, quality, sent, mark });
                }
                Output::Skipped { ticks } => self.skipped += ticks,
                Output::Key { key } => self.keys.push(key),
                Output::NoKeys(error) => panic!("{error}"),
            }
        }
    }

    fn receive(&mut self, at: Duration, from: &str, datagram: &[u8]) {
        self.run_until(at);
        self.stream.handle_input(self.start + at, addr(from), datagram);
    }

    /// Agrees upon keys: 101 comes in, 97 goes out.
    fn with_keys(mut self) -> Self {
        let events = Events { receive: 101, send: 97, wanted: EventSet::KEYS, clock_hz: 8_000 };
        self.stream.redirect(addr(PEER), Codec::Pcma, OpusTerms::default(), 8, vec![(8, Codec::Pcma)], Some(events));
        self
    }

    fn sent_packets(&self) -> Vec<Packet<'_>> {
        self.transmitted.iter().map(|(_, datagram)| Packet::parse(datagram).unwrap()).collect()
    }

    fn count(&self, quality: Received) -> usize {
        self.ticks.iter().filter(|tick| tick.quality == quality).count()
    }
}

/// Packet `n` of a peer that talks all the time: 20 ms of a 400 Hz tone as PCMA.
fn packet(n: u32) -> Vec<u8> {
    let tone = |i: u32| (8_000.0 * (std::f64::consts::TAU * 0.05 * f64::from(i % 20)).sin()) as i16;
    let pcm: Vec<i16> = (0..160).map(tone).collect();
    build(n, &g711::encode(Codec::Pcma, &pcm))
}

fn build(n: u32, payload: &[u8]) -> Vec<u8> {
    Packet {
        payload_type: 8,
        marker: false,
        seq: Seq(65_000u16.wrapping_add(n as u16)),
        timestamp: RtpTimestamp(7_000).wrapping_add(n.wrapping_mul(160)),
        ssrc: Ssrc(0x1234),
        payload,
    }
    .build()
}

#[test]
fn a_bad_network_costs_only_what_it_lost() {
    for seed in 0..5 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bench = Bench::new();
        // 60 s: 5 % lost, 2 % doubled, 1 % far too late, the others up to 40 ms apart from their order.
        let mut arrivals = Vec::new();
        let (mut lost, mut doubled, mut late) = (0, 0, 0);
        for n in 0..3_000u32 {
            let fate = if n == 0 { 1.0 } else { rng.random::<f64>() };
            let at = ms(20 * u64::from(n)) + Duration::from_micros(rng.random_range(0..40_000));
            if fate < 0.05 {
                lost += 1;
            } else if fate < 0.06 {
                late += 1;
                arrivals.push((at + ms(300), n));
            } else {
                arrivals.push((at, n));
                if fate > 0.08 && fate < 0.10 {
                    doubled += 1;
                    arrivals.push((at + ms(5), n));
                }
            }
        }
        // What is lost or late at the very end has no successor to show it.
        arrivals.push((ms(60_000), 3_000));
        arrivals.sort();
        for (at, n) in arrivals {
            bench.receive(at, PEER, &packet(n));
        }
        bench.run_until(ms(60_500));

        let stats = bench.stream.stats();
        let (real, concealed) = (bench.count(Received::Real), bench.count(Received::Concealed));
        println!("seed {seed}: {real} real, {concealed} concealed frames, {stats:?}");
        assert_eq!(stats.lost, lost);
        assert_eq!(stats.received, 3_001 - lost);
        assert_eq!(stats.duplicate, doubled);
        assert_eq!(stats.late, late);
        assert!(stats.reordered > late);
        assert_eq!(stats.dropped + stats.resets + stats.strangers, 0);
        // Each lost packet is 20 ms, and so is each late one; no more than that is made up, but for the 60 ms of fading
        // when the peer stops.
        let missing = 20 * (lost + late);
        assert!(stats.concealed_ms <= missing + 60, "{} of {missing} ms", stats.concealed_ms);
        assert!(stats.concealed_ms >= missing * 9 / 10);
        assert!(real + concealed >= 2_990);
    }
}

#[test]
fn what_was_said_is_what_is_heard() {
    let mut bench = Bench::new();
    let speech: Vec<i16> = (0..16_000).map(|n| ((n * 7_919) % 20_000 - 10_000) as i16).collect();
    let coded = g711::encode(Codec::Pcma, &speech);
    for (n, payload) in (0u32..).zip(coded.chunks(160)) {
        bench.receive(ms(20 * u64::from(n)), PEER, &build(n, payload));
    }
    bench.run_until(ms(2_200));
    let heard: Vec<i16> = bench.ticks.iter().flat_map(|tick| tick.received).collect();
    let begin = heard.iter().position(|&sample| sample != 0).unwrap();
    let expected = g711::decode(Codec::Pcma, &coded);
    assert_eq!(heard[begin..begin + 16_000], expected[..]);
    // The packet came just after a pull and plays 60 ms after the next.
    assert!(begin <= 80 * 8, "the first sample plays {begin} samples after it came");
    assert_eq!(bench.stream.stats().corrections, 0);
}

#[test]
fn either_negotiated_codec_is_decoded() {
    let mut bench = Bench::new();
    for n in 0..50u32 {
        let codec = if n < 25 { Codec::Pcma } else { Codec::Pcmu };
        let payload = g711::encode(codec, &[4_000; 160]);
        let datagram = build(n, &payload);
        let parsed = Packet { payload_type: codec.static_payload_type().unwrap(), ..Packet::parse(&datagram).unwrap() };
        bench.receive(ms(20 * u64::from(n)), PEER, &parsed.build());
    }
    bench.run_until(ms(1_000));
    let middle: Vec<i16> = bench.ticks[10..45].iter().flat_map(|tick| tick.received).collect();
    assert!(middle.iter().all(|sample| (sample - 4_000).abs() < 150), "{middle:?}");
}

#[test]
fn clock_drift_for_an_hour_stays_bounded() {
    for ppm in [-200i64, 200] {
        let mut bench = Bench::new();
        let silence = g711::encode(Codec::Pcma, &[0; 160]);
        let mut most = Duration::ZERO;
        for n in 0..180_000u32 {
            // 2 s of talk, 1 s of listening, as people do.
            let at =
                Duration::from_nanos((u64::from(n) * 20_000 * 1_000).saturating_add_signed(i64::from(n) * 20 * ppm));
            let datagram = if n % 150 < 100 { packet(n) } else { build(n, &silence) };
            bench.receive(at, PEER, &datagram);
            most = most.max(bench.stream.stats().buffered);
            bench.ticks.clear();
            bench.transmitted.clear();
        }
        let stats = bench.stream.stats();
        println!("{ppm} ppm: at most {most:?} waited, {stats:?}");
        assert!(most <= ms(80), "{ppm} ppm: {most:?} waited");
        // 720 ms of drift in steps of some pitch periods, up to 15 ms.
        assert!((45..=100).contains(&stats.corrections), "{ppm} ppm: {} corrections", stats.corrections);
        assert_eq!((stats.late, stats.lost, stats.resets, stats.concealed_ms), (0, 0, 0, 0), "{ppm} ppm");
    }
}

#[test]
fn a_packet_leaves_every_20_ms_spoken_or_not() {
    let mut bench = Bench::new();
    bench.run_until(ms(100));
    assert_eq!(bench.stream.play(7, &[1_000; 320]), 320);
    assert!(bench.stream.is_playing());
    bench.run_until(ms(200));
    assert!(!bench.stream.is_playing());

    let packets = bench.sent_packets();
    assert_eq!((packets.len(), bench.ticks.len()), (11, 11));
    assert!(bench.transmitted.iter().all(|(to, _)| *to == addr(PEER)));
    assert_eq!((packets[0].seq, packets[0].timestamp), (Seq(65_534), RtpTimestamp(u32::MAX - 200)));
    for pair in packets.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.next());
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
    }
    // RFC 3551 §4.1: a sender that never pauses marks nothing but its beginning.
    assert!(packets[0].marker && packets[1..].iter().all(|p| !p.marker));
    assert!(packets.iter().all(|p| p.payload_type == 8 && p.ssrc == Ssrc(0xabcd) && p.payload.len() == 160));
    let marks: Vec<Option<u64>> = bench.ticks.iter().map(|tick| tick.mark).collect();
    assert_eq!(marks[5..9], [None, Some(7), Some(7), None]);
    for (packet, tick) in packets.iter().zip(&bench.ticks) {
        assert_eq!(packet.payload, g711::encode(Codec::Pcma, &tick.sent), "the recorder hears what the peer hears");
    }
}

#[test]
fn interrupted_speech_ends_at_once_and_says_what_was_not_heard() {
    let mut bench = Bench::new();
    bench.stream.play(1, &[5_000; 200]);
    bench.stream.play(2, &[5_000; 1_000]);
    bench.run_until(ms(25)); // two frames: 200 of the first, 120 of the second
    assert_eq!(bench.stream.stop_playing(), [Unplayed { mark: 2, samples: 1_000 - 120 - 40 }]);
    assert!(!bench.stream.is_playing());
    bench.run_until(ms(80));
    assert!(bench.ticks[2].sent[40..].iter().all(|&sample| sample == 0));
    assert_eq!(bench.ticks[3].sent[..], [0; 160]);
}

#[test]
fn hold_pauses_sending_while_time_goes_on() {
    let mut bench = Bench::new();
    bench.stream.play(1, &[5_000; 1_600]);
    bench.run_until(ms(30));
    bench.stream.set_send(false);
    bench.run_until(ms(1_030));
    assert_eq!((bench.transmitted.len(), bench.ticks.len()), (2, 52));
    assert!(bench.stream.is_playing(), "what was queued waits");
    bench.stream.set_send(true);
    bench.run_until(ms(1_070));
    let packets = bench.sent_packets();
    assert_eq!(packets[2].seq, packets[1].seq.next());
    assert_eq!(packets[2].timestamp, packets[1].timestamp.wrapping_add(51 * 160));
    assert!(packets[2].marker && !packets[3].marker);
    assert_eq!(bench.ticks[52].mark, Some(1));
}

#[test]
fn nothing_is_sent_to_nowhere() {
    for nowhere in ["0.0.0.0:4000", "[::]:4000", "192.0.2.1:0"] {
        let mut bench = Bench::to(nowhere);
        bench.run_until(ms(100));
        assert_eq!((bench.transmitted.len(), bench.ticks.len()), (0, 6), "{nowhere}");
    }
}

#[test]
fn late_calls_catch_up_and_very_late_ones_skip_in_the_open() {
    let mut bench = Bench::new();
    bench.timeout(ms(0));
    bench.timeout(ms(100));
    assert_eq!((bench.ticks.len(), bench.skipped), (6, 0));
    bench.timeout(ms(10_000));
    assert_eq!((bench.ticks.len(), bench.skipped), (16, 485));
    assert_eq!(bench.stream.stats().skipped_ticks, 485);
    assert_eq!(bench.stream.poll_timeout(), bench.start + ms(10_020));
    // The timestamp keeps to the time that has passed, so that the peer's timeline holds.
    let packets = bench.sent_packets();
    assert_eq!(packets[15].timestamp, packets[0].timestamp.wrapping_add(500 * 160));
}

#[test]
fn undrained_output_stops_the_clock() {
    let mut bench = Bench::new();
    for n in 0..1_000 {
        bench.stream.handle_timeout(bench.start + ms(n));
    }
    assert_eq!(std::iter::from_fn(|| bench.stream.poll_output()).count(), 2);
}

#[test]
fn packets_go_to_where_they_come_from_and_strangers_are_ignored() {
    let (nat, stranger) = ("198.51.100.9:1024", "203.0.113.66:4000");
    let mut bench = Bench::new();
    for n in 0..100u32 {
        let at = ms(20 * u64::from(n) + 1);
        bench.receive(at, nat, &packet(n));
        bench.receive(at, stranger, &packet(n * 50 + 1_000));
    }
    // Three packets are no proof yet.
    assert!(bench.transmitted[..4].iter().all(|(to, _)| *to == addr(PEER)));
    assert!(bench.transmitted[4..].iter().all(|(to, _)| *to == addr(nat)));
    let stats = bench.stream.stats();
    assert_eq!((stats.latch_changes, stats.strangers, stats.received, stats.resets), (1, 103, 97, 0));

    // The NAT restarts: the stream goes on from another port.
    let rebound = "198.51.100.9:2048";
    for n in 120..150u32 {
        bench.receive(ms(20 * u64::from(n) + 1), rebound, &packet(n));
    }
    assert_eq!(bench.transmitted.last().unwrap().0, addr(rebound));
    let stats = bench.stream.stats();
    assert_eq!((stats.latch_changes, stats.strangers, stats.resets), (2, 106, 0));
    assert_eq!(stats.last_received, Some(bench.start + ms(20 * 149 + 1)));
}

/// RTP-bleed: who sends to the ports of a call, guessing, gets neither its sound nor a word into it.
#[test]
fn a_stranger_who_floods_the_port_neither_hears_nor_is_heard() {
    for home in [PEER, "198.51.100.9:1024"] {
        let mut rng = StdRng::seed_from_u64(9);
        let mut bench = Bench::new();
        let mut n = 0u32;
        let mut call = |bench: &mut Bench, until_s: u32, is_silent: bool| {
            while n < until_s * 50 {
                let at = ms(20 * u64::from(n) + 1);
                if !is_silent {
                    bench.receive(at, home, &packet(n));
                }
                n += 1;
                // Nothing before the call has its peer: then the first one to prove himself would be it.
                for _ in 0..if n > 10 { 5 } else { 0 } {
                    let from = format!("203.0.113.{}:{}", rng.random_range(1..3), rng.random_range(4_000..4_003));
                    let own =
                        Packet { ssrc: Ssrc(rng.random_range(5..7)), ..Packet::parse(&packet(n)).unwrap() }.build();
                    bench.receive(at + ms(1), &from, &own);
                    let guessed: u16 = rng.random();
                    let far = packet(u32::from(guessed) | 0x8000);
                    bench.receive(at + ms(1), &from, &far);
                    bench.receive(at + ms(1), &from, &[0x80, 201, 0, 1, 0, 0, 0x12, 0x34]);
                }
            }
        };
        call(&mut bench, 10, false);
        call(&mut bench, 120, true);
        call(&mut bench, 130, false);
        let stats = bench.stream.stats();
        println!("{home}: {stats:?}");
        assert!(bench.transmitted[5..].iter().all(|(to, _)| *to == addr(home)), "not one packet goes to a stranger");
        assert!((990..=1_000).contains(&stats.received), "{}", stats.received);
        assert!(stats.strangers > 60_000 && stats.not_rtp > 30_000);
    }
}

#[test]
fn the_signalled_address_takes_its_place_back() {
    let mut bench = Bench::new();
    for n in 0..5 {
        bench.receive(ms(20 * n + 1), "203.0.113.66:4000", &packet(n as u32 + 100));
    }
    bench.run_until(ms(90));
    assert_eq!(bench.transmitted.last().unwrap().0, addr("203.0.113.66:4000"));
    // One forged packet is not enough while the other one is heard.
    for n in 0..5 {
        bench.receive(ms(20 * n + 101), PEER, &packet(n as u32 + 1));
        bench.receive(ms(20 * n + 102), "203.0.113.66:4000", &packet(n as u32 + 105));
    }
    bench.run_until(ms(200));
    assert_eq!(bench.transmitted.last().unwrap().0, addr(PEER));
    assert_eq!(bench.stream.stats().strangers, 3 + 3 + 2, "each before his proof, and the other one afterwards");
}

#[test]
fn reports_go_from_their_own_port_or_with_the_sound_and_are_told_from_it() {
    for (path, nth) in [(RtcpPath::At(addr("192.0.2.1:4001")), 0), (RtcpPath::Muxed, 1)] {
        let mut bench = Bench::new();
        bench.run_until(ms(10_000));
        assert!(bench.reports.is_empty() && bench.transmitted.iter().all(|(_, d)| Packet::parse(d).is_ok()));
        bench.stream.set_rtcp(Some(path));
        let from = [("192.0.2.1:4001", false), (PEER, true)][nth];
        for n in 500..1_500u32 {
            let at = ms(20 * u64::from(n) + 1);
            bench.receive(at, PEER, &packet(n));
            if n % 250 == 0 {
                // A receiver's report that nobody has asked for.
                let report = [0x80, 201, 0, 1, 0, 0, 0x12, 0x34];
                match from {
                    (from, true) => bench.receive(at, from, &report),
                    (from, false) => bench.stream.handle_rtcp(bench.start + at, addr(from), &report),
                }
            }
        }
        let muxed: Vec<_> = bench.transmitted.iter().filter(|(_, d)| Packet::parse(d).is_err()).collect();
        let reports = if nth == 0 { bench.reports.iter().collect() } else { muxed.clone() };
        assert_eq!((muxed.is_empty(), bench.reports.is_empty()), (nth == 0, nth == 1));
        assert!((3..=10).contains(&reports.len()), "{} in 20 s", reports.len());
        for (to, datagram) in &reports {
            assert_eq!(*to, addr(["192.0.2.1:4001", PEER][nth]));
            // Ours, one block about theirs, and the name.
            assert_eq!((datagram[0], datagram[1], &datagram[4..8]), (0x81, 200, &[0, 0, 0xab, 0xcd][..]));
            assert_eq!((&datagram[28..32], datagram[53]), (&[0, 0, 0x12, 0x34][..], 202));
        }
        assert_eq!((bench.stream.stats().not_rtp, bench.stream.stats().received), (0, 1_000));
        let said = bench.transmitted.len() + bench.reports.len();
        bench.stream.say_goodbye(bench.start + ms(30_000));
        bench.run_until(ms(60_000));
        let last = bench.stream.poll_output();
        assert!(last.is_none());
        let after = bench.transmitted.len() + bench.reports.len() - said;
        assert_eq!(after, 1_501 + 1, "sound, and one goodbye");
    }
}

#[test]
fn a_new_agreement_keeps_the_numbers() {
    let mut bench = Bench::new();
    for n in 0..4 {
        bench.receive(ms(1 + u64::from(n)), "198.51.100.9:1024", &packet(n));
    }
    bench.run_until(ms(50));
    // The same address again: the latch stays.
    bench.stream.redirect(addr(PEER), Codec::Pcmu, OpusTerms::default(), 0, vec![(0, Codec::Pcmu)], None);
    bench.run_until(ms(70));
    assert_eq!(bench.transmitted.last().unwrap().0, addr("198.51.100.9:1024"));
    // Another address: there we go.
    bench.stream.redirect(addr("192.0.2.7:5000"), Codec::Pcmu, OpusTerms::default(), 0, vec![(0, Codec::Pcmu)], None);
    bench.run_until(ms(90));
    assert_eq!(bench.transmitted.last().unwrap().0, addr("192.0.2.7:5000"));
    let packets = bench.sent_packets();
    assert_eq!(packets.iter().map(|p| p.payload_type).collect::<Vec<_>>(), [8, 8, 8, 0, 0]);
    assert_eq!(packets[4].seq, Seq(65_534u16.wrapping_add(4)));
    assert!(packets.iter().all(|p| p.ssrc == Ssrc(0xabcd)));
    bench.receive(ms(91), "192.0.2.7:5000", &packet(5));
    assert_eq!(bench.stream.stats().unexpected_payload, 1, "PCMA is not agreed any more");
}

#[test]
fn other_protocols_on_the_port_are_counted_and_ignored() {
    let mut bench = Bench::new();
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let rtcp = [0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let telephone_event = Packet { payload_type: 101, ..Packet::parse(&packet(0)).unwrap() }.build();
    for datagram in [&stun[..], &rtcp[..], &[][..], b"\0", &telephone_event] {
        bench.receive(ms(1), "203.0.113.66:4000", datagram);
    }
    bench.run_until(ms(100));
    let stats = bench.stream.stats();
    assert_eq!((stats.not_rtp, stats.unexpected_payload, stats.received), (4, 1, 0));
    // None of them moved the latch.
    assert!(bench.transmitted.iter().all(|(to, _)| *to == addr(PEER)));
    assert!(bench.ticks.iter().all(|tick| tick.quality == Received::Empty));
}

#[test]
fn ticks_never_stop_whatever_comes() {
    let mut rng = StdRng::seed_from_u64(42);
    let mut bench = Bench::new();
    let mut at = Duration::ZERO;
    for n in 0..200_000u32 {
        at += Duration::from_micros(rng.random_range(0..2_000));
        let mut datagram = packet(n);
        match rng.random_range(0..4) {
            // Random bytes, a packet with bytes changed, with its numbers thrown about, or cut short.
            0 => datagram = (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
            1 => {
                for _ in 0..rng.random_range(1..8) {
                    let at = rng.random_range(0..datagram.len());
                    datagram[at] = rng.random();
                }
            }
            2 => datagram[2..8].fill_with(|| rng.random()),
            _ => datagram.truncate(rng.random_range(0..172)),
        }
        bench.receive(at, PEER, &datagram);
    }
    bench.run_until(at);
    let expected = at.as_micros() / FRAME_DURATION.as_micros() + 1;
    println!("{} ticks, {:?}", bench.ticks.len(), bench.stream.stats());
    assert_eq!(bench.ticks.len() as u128, expected);
    assert_eq!(bench.transmitted.len() as u128, expected);
    assert!(bench.stream.stats().buffered <= Duration::from_secs(2));
}

#[test]
fn timestamps_on_the_wire_count_the_codecs_clock() {
    for (codec, ticks) in [(Codec::G722, 160), (Codec::Opus, 960), (Codec::Pcmu, 160)] {
        let mut bench = Bench::new();
        let events = Events { receive: 110, send: 110, wanted: EventSet::KEYS, clock_hz: codec.clock_rate_hz() };
        bench.stream.redirect(addr(PEER), codec, OpusTerms::default(), 97, vec![(97, codec)], Some(events));
        bench.stream.play(1, &[1_000; 1_600]);
        bench.run_until(ms(99));
        bench.stream.press('5');
        bench.run_until(ms(400));
        let packets = bench.sent_packets();
        let (keys, sound): (Vec<&Packet<'_>>, Vec<&Packet<'_>>) =
            packets.iter().partition(|packet| packet.payload_type == 110);
        // The sound before the key: each packet 20 ms behind the other.
        for pair in sound[..5].windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_since(pair[0].timestamp), ticks, "{codec:?}");
        }
        assert_eq!(sound[5].timestamp.wrapping_since(sound[4].timestamp), 11 * ticks, "behind the key");
        let durations: Vec<i32> =
            keys.iter().map(|key| i32::from(u16::from_be_bytes([key.payload[2], key.payload[3]]))).collect();
        let expected: Vec<i32> = (1..=10).map(|n: i32| n.min(8) * ticks).collect();
        assert_eq!(durations, expected, "{codec:?}");
        assert!(keys.iter().all(|key| key.timestamp.wrapping_since(sound[4].timestamp) == ticks));
    }
}

#[test]
fn a_new_agreement_on_the_same_terms_keeps_the_encoder() {
    // What an encoder remembers shows in what it makes of the same sound: with and without a new agreement it is the same.
    for codec in [Codec::G722, Codec::Opus] {
        let sent = |again: bool| {
            let mut bench = Bench::new();
            let agree = |bench: &mut Bench| {
                bench.stream.redirect(addr(PEER), codec, OpusTerms::default(), 97, vec![(97, codec)], None);
            };
            agree(&mut bench);
            bench.stream.play(1, &(0..4_000).map(|n| (n % 80 * 100) as i16).collect::<Vec<_>>());
            bench.run_until(ms(99));
            if again {
                // On hold and back.
                bench.stream.set_send(false);
                bench.stream.set_send(true);
                agree(&mut bench);
            }
            bench.run_until(ms(300));
            bench.transmitted
        };
        assert_eq!(sent(true), sent(false), "{codec:?}");
    }
}
