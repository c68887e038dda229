//! Pressed keys among the sound of a stream: as events, and as tones.

use secretary::rtp::codec::resample::resample;
use secretary::rtp::tones::Tones;

use super::*;

/// Packet `n` of a peer that has pressed `5` with packet `first`: at 160 ms the end, which is told thrice.
fn pressed(n: u32, first: u32, ssrc: u32) -> Vec<u8> {
    let tick = (n - first + 1).min(8);
    let [high, low] = (tick as u16 * 160).to_be_bytes();
    let payload = [5, if tick == 8 { 0x8a } else { 10 }, high, low];
    let timestamp = Packet::parse(&packet(first)).unwrap().timestamp;
    let sound = packet(n);
    let sound = Packet::parse(&sound).unwrap();
    Packet { payload_type: 101, marker: n == first, timestamp, ssrc: Ssrc(ssrc), payload: &payload, ..sound }.build()
}

#[test]
fn pressed_keys_are_no_loss_of_sound() {
    let mut bench = Bench::new().with_keys();
    for n in 0..500 {
        let datagram = match n % 50 {
            30..40 => pressed(n, n - n % 50 + 30, 0x1234),
            _ => packet(n),
        };
        bench.receive(ms(20 * u64::from(n)), PEER, &datagram);
    }
    bench.run_until(ms(9_980));
    assert_eq!((bench.stream.stats().concealed_ms, bench.count(Received::Concealed)), (0, 0));
    bench.run_until(ms(10_050));
    let stats = bench.stream.stats();
    println!("{stats:?}");
    assert_eq!(bench.keys, "5555555555");
    assert_eq!((stats.lost, stats.late, stats.dropped, stats.resets), (0, 0, 0, 0));
    // Frames at the edges are made of both.
    assert!((400..=405).contains(&bench.count(Received::Real)), "all the sound between the keys");
    assert_eq!(stats.unexpected_payload, 0);
}

#[test]
fn packets_of_a_type_that_nobody_agreed_on_are_a_sign_of_life_and_no_loss() {
    let mut bench = Bench::new();
    for n in 0..500 {
        let sound = packet(n);
        // Every fifth is a keep-alive, and from the seventh second on nothing else comes.
        let datagram = match n {
            _ if n % 5 == 4 || n >= 350 => Packet { payload_type: 20, ..Packet::parse(&sound).unwrap() }.build(),
            _ => sound,
        };
        bench.receive(ms(20 * u64::from(n)), PEER, &datagram);
    }
    bench.run_until(ms(9_980));
    let stats = bench.stream.stats();
    println!("{stats:?}");
    assert_eq!((stats.lost, stats.late, stats.resets, stats.concealed_ms), (0, 0, 0, 0));
    assert_eq!(stats.unexpected_payload, 70 + 150);
    assert_eq!(bench.stream.last_heard(), Some(bench.start + ms(9_980)));
    bench.receive(
        ms(10_000),
        "203.0.113.66:4000",
        &Packet { payload_type: 20, ..Packet::parse(&packet(500)).unwrap() }.build(),
    );
    assert_eq!(bench.stream.last_heard(), Some(bench.start + ms(9_980)), "a stranger's is none");
}

#[test]
fn keys_of_a_source_of_their_own_do_not_disturb_the_sound() {
    let mut bench = Bench::new().with_keys();
    for n in 0..500 {
        let at = ms(20 * u64::from(n));
        bench.receive(at, PEER, &packet(n));
        if n % 50 >= 40 {
            bench.receive(at + ms(1), PEER, &pressed(n, n - n % 50 + 40, 0x9999));
        }
    }
    bench.run_until(ms(10_000));
    let stats = bench.stream.stats();
    assert_eq!(bench.keys, "5555555555");
    assert_eq!((stats.received, stats.lost, stats.resets, stats.concealed_ms), (500, 0, 0, 0));
}

#[test]
fn a_key_takes_the_place_of_sound_which_waits() {
    let mut bench = Bench::new();
    assert!(!bench.stream.press('5'), "nothing is agreed");
    bench = bench.with_keys();
    bench.stream.play(1, &[5_000; 1_600]);
    bench.run_until(ms(40));
    assert!(bench.stream.press('5') && !bench.stream.press('!'));
    assert!(bench.stream.is_pressing());
    bench.run_until(ms(600));
    assert!(!bench.stream.is_pressing());
    let packets = bench.sent_packets();
    let events: Vec<&Packet<'_>> = packets.iter().filter(|packet| packet.payload_type == 97).collect();
    assert_eq!((packets[2].payload_type, packets[3].payload_type), (8, 97));
    assert_eq!(events.len(), 10);
    assert!(events.iter().all(|packet| packet.timestamp == packets[2].timestamp.wrapping_add(160)));
    assert_eq!(events.iter().map(|packet| packet.marker).filter(|marker| *marker).count(), 1);
    for pair in packets.windows(2) {
        assert_eq!((pair[1].seq, pair[1].ssrc), (pair[0].seq.next(), pair[0].ssrc));
    }
    // The sound's own time goes on, and none of the sound is lost.
    assert_eq!(packets[13].timestamp, packets[2].timestamp.wrapping_add(11 * 160));
    assert_eq!(bench.ticks.iter().filter(|tick| tick.mark == Some(1)).count(), 10);
    assert!(bench.ticks[3..15].iter().all(|tick| tick.sent[..] == [0; 160]));
    // Keys that a new agreement has no place for are given up.
    bench.stream.press('1');
    bench.stream.redirect(addr(PEER), Codec::Pcma, OpusTerms::default(), 8, vec![(8, Codec::Pcma)], None);
    assert!(!bench.stream.is_pressing());
}

#[test]
fn speech_is_not_taken_for_keys() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech");
    let (mut files, mut seconds) = (0, 0.0);
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let has_keys = path.file_name().is_some_and(|name| name == "dtmf_inband.wav");
        if has_keys || path.extension().is_none_or(|ending| ending != "wav") {
            continue;
        }
        let mut reader = hound::WavReader::open(&path).unwrap();
        let (rate_hz, pcm) = (reader.spec().sample_rate, reader.samples::<i16>().map(Result::unwrap));
        let pcm = resample(&pcm.collect::<Vec<_>>(), rate_hz, 8_000).unwrap();
        // At the loudness of the recording, very loud, and softly.
        for gain in [1, 4, -4_i16] {
            let louder = |sample: &i16| if gain > 0 { sample.saturating_mul(gain) } else { sample / -gain };
            let pcm: Vec<i16> = pcm.iter().map(louder).collect();
            let mut tones = Tones::new(Rate::Narrow);
            let keys: String = pcm.chunks_exact(160).filter_map(|frame| tones.push(frame)).collect();
            assert_eq!(keys, "", "{}", path.display());
        }
        files += 1;
        seconds += pcm.len() as f64 / 8_000.0;
    }
    println!("no key in {seconds:.0} s of speech");
    assert!(files >= 10);
}

#[test]
fn keys_as_tones_over_a_bad_network_are_heard_once_each() {
    let wave = |n: usize, hz: f64| (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin();
    for percent in [0, 1, 3, 5] {
        let (mut missed, mut doubled) = (0, 0);
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut bench, mut tones) = (Bench::new(), Tones::new(Rate::Narrow));
            // '5' and '9' in turn, 100 ms each with as much between them, and then half a second.
            for n in 0..325_u32 {
                let (row, column) = if n / 10 % 2 == 0 { (770.0, 1_336.0) } else { (852.0, 1_477.0) };
                let level = if n % 10 < 5 && n < 300 { 5_000.0 } else { 0.0 };
                let at = n as usize * 160;
                let pcm = (at..at + 160).map(|n| ((wave(n, row) + wave(n, column)) * level) as i16);
                if rng.random_range(0..100) >= percent {
                    let sound = g711::encode(Codec::Pcma, &pcm.collect::<Vec<_>>());
                    bench.receive(ms(20 * u64::from(n)), PEER, &build(n, &sound));
                }
            }
            bench.run_until(ms(7_000));
            let keys: String = bench.ticks.iter().filter_map(|tick| tones.push(&tick.received)).collect();
            let pairs = keys.as_bytes().windows(2);
            // Keys alternate: two alike are one told twice, or one between them is missing.
            let alike = pairs.filter(|pair| pair[0] == pair[1]).count();
            doubled += keys.len().saturating_sub(30);
            missed += 30_usize.saturating_sub(keys.len());
            println!("{percent} %: {} keys, {alike} like the one before", keys.len());
        }
        println!("{percent} % lost: of 600 keys {missed} missed, {doubled} too many");
        assert_eq!(doubled, 0, "{percent} %");
        assert!(missed * 100 <= 600 * percent, "{percent} %: {missed} missed");
    }
}
