//! Round trips, conversion and what Opus makes of a loss.

use std::f64::consts::TAU;

use super::*;

fn tone(hz: f64, rate: Rate, ms: usize) -> Vec<i16> {
    let step = TAU * hz / f64::from(rate.hz());
    (0..ms * rate.scaled(8)).map(|n| (8_000.0 * (step * n as f64).sin()) as i16).collect()
}

/// How loud one frequency is, as an amplitude.
fn amplitude(pcm: &[i16], hz: f64, rate: Rate) -> f64 {
    let step = TAU * hz / f64::from(rate.hz());
    let sums = pcm.iter().enumerate().fold((0.0, 0.0), |(s, c), (n, &x)| {
        let (sin, cos) = (step * n as f64).sin_cos();
        (s + f64::from(x) * sin, c + f64::from(x) * cos)
    });
    2.0 * sums.0.hypot(sums.1) / pcm.len() as f64
}

fn payloads(codec: Codec, rate: Rate, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(rate, codec, OpusTerms::default());
    pcm.chunks_exact(rate.frame_samples()).map(|frame| encoder.encode(frame).unwrap()).collect()
}

fn decoded(codec: Codec, rate: Rate, payloads: &[Vec<u8>]) -> Vec<i16> {
    let (mut decoder, mut pcm) = (Decoder::new(rate), Vec::new());
    for payload in payloads {
        let before = pcm.len();
        assert!(decoder.decode(codec, payload, &mut pcm), "{codec:?}");
        assert_eq!(pcm.len() - before, rate.frame_samples());
    }
    pcm
}

#[test]
fn a_tone_goes_from_any_rate_to_any_rate_in_every_codec() {
    for codec in Codec::ALL {
        for (ours, theirs) in [
            (Rate::Wide, Rate::Wide),
            (Rate::Narrow, Rate::Wide),
            (Rate::Wide, Rate::Narrow),
            (Rate::Narrow, Rate::Narrow),
        ] {
            for hz in [300.0, 1_000.0, 3_000.0, 6_000.0] {
                let wide = [codec.rate(), ours, theirs].iter().all(|rate| *rate == Rate::Wide);
                if hz > 4_000.0 && ours == Rate::Narrow {
                    continue;
                }
                let heard = decoded(codec, theirs, &payloads(codec, ours, &tone(hz, ours, 1_000)));
                // The codecs of prediction need a moment.
                let heard = &heard[heard.len() / 4..];
                let level = amplitude(heard, hz.min(if theirs == Rate::Narrow { 4_000.0 - 1.0 } else { hz }), theirs);
                println!("{codec:?} {ours:?} to {theirs:?}, {hz} Hz: {level:.0}");
                if hz < 4_000.0 || wide {
                    // Opus has few bits for what is no voice.
                    let least = if codec == Codec::Opus && hz > 4_000.0 { 1_000.0 } else { 6_000.0 };
                    assert!((least..10_000.0).contains(&level), "{codec:?} {ours:?} to {theirs:?}, {hz} Hz: {level}");
                } else {
                    // What a narrow part cannot carry is gone and comes back as nothing else.
                    let rms = (heard.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / heard.len() as f64).sqrt();
                    assert!(rms < 100.0, "{codec:?} {ours:?} to {theirs:?}, {hz} Hz: {rms} is left");
                }
            }
        }
    }
}

#[test]
fn packets_are_as_long_as_their_clock_says() {
    for codec in Codec::ALL {
        let payload = payloads(codec, Rate::Wide, &tone(500.0, Rate::Wide, 20)).remove(0);
        assert_eq!(
            (codec.samples(&payload, Rate::Wide), codec.samples(&payload, Rate::Narrow)),
            (Some(320), Some(160))
        );
    }
    assert_eq!(
        Codec::ALL.map(Codec::frame_ticks),
        [960, 160, 160, 160],
        "RFC 3551 §4.5.2: the clock of G.722 is 8 kHz"
    );
    assert_eq!(payloads(Codec::G722, Rate::Wide, &tone(500.0, Rate::Wide, 20))[0].len(), 160);
    // RFC 6716 §3.1: SILK wide band of 60 ms, CELT of 10 ms, two of 20 ms; nothing, and 120 ms and 10 more.
    for (payload, ms) in [(&[0x58, 1][..], 60), (&[0xf0, 1], 10), (&[0x49, 1, 2], 40), (&[], 0), (&[0x5b, 0x03, 1], 0)]
    {
        assert_eq!(Codec::Opus.samples(payload, Rate::Wide), (ms > 0).then_some(ms * 16), "{payload:02x?}");
    }
}

/// What is played in place of a lost packet, given the one after it.
type Mend<'a> = &'a dyn Fn(&mut Decoder, &[u8], &mut Vec<i16>);

#[test]
fn a_single_loss_is_better_mended_from_the_next_packet_than_made_up() {
    let mut reader =
        hound::WavReader::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/speech/en_message_1.wav")).unwrap();
    let speech: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let payloads = payloads(Codec::Opus, Rate::Wide, &speech);
    let whole = decoded(Codec::Opus, Rate::Wide, &payloads);
    // Every tenth packet is lost.
    let with = |mend: Mend<'_>| {
        let (mut decoder, mut pcm) = (Decoder::new(Rate::Wide), Vec::new());
        for (n, payload) in payloads.iter().enumerate() {
            match payloads.get(n + 1) {
                Some(next) if n % 10 == 9 => mend(&mut decoder, next, &mut pcm),
                _ => assert!(decoder.decode(Codec::Opus, payload, &mut pcm)),
            }
        }
        assert_eq!(pcm.len(), whole.len());
        let error: f64 = pcm.iter().zip(&whole).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let energy: f64 = whole.iter().map(|a| f64::from(*a).powi(2)).sum();
        10.0 * (energy / error).log10()
    };
    let made_up = with(&|decoder, _, pcm| decoder.go_on(320, pcm));
    let mended = with(&|decoder, next, pcm| decoder.recover(320, next, pcm));
    println!("10 % lost: {made_up:.1} dB over the error when made up, {mended:.1} dB when mended");
    assert!(mended > made_up + 3.0);
}

#[test]
fn what_is_no_opus_is_replaced_and_never_a_panic() {
    let (mut decoder, mut pcm) = (Decoder::new(Rate::Wide), Vec::new());
    let good = payloads(Codec::Opus, Rate::Wide, &tone(500.0, Rate::Wide, 100));
    assert!(decoder.decode(Codec::Opus, &good[0], &mut pcm));
    // A length that is longer than the packet.
    let bad = [0x5a, 0xff, 0xff, 1];
    let length = Codec::Opus.samples(&bad, Rate::Wide).unwrap();
    assert!(!decoder.decode(Codec::Opus, &bad, &mut pcm));
    assert_eq!(pcm.len(), 320 + length);
    let mut random = 1_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    for _ in 0..2_000 {
        let payload: Vec<u8> = (0..next() % 60).map(|_| next()).collect();
        let (before, length) = (pcm.len(), Codec::Opus.samples(&payload, Rate::Wide));
        decoder.decode(Codec::Opus, &payload, &mut pcm);
        assert_eq!(pcm.len() - before, length.unwrap_or(0));
        decoder.recover(usize::from(next()) + 1, &payload, &mut pcm);
        pcm.clear();
    }
}

#[test]
fn a_pause_is_not_sent_to_one_who_wants_that() {
    let silence = vec![0; 16_000 * 4];
    let frames = |terms: OpusTerms| {
        let mut encoder = Encoder::new(Rate::Wide, Codec::Opus, terms);
        silence.chunks_exact(320).filter(|frame| encoder.encode(frame).is_some()).count()
    };
    let (always, dtx) = (frames(OpusTerms::default()), frames(OpusTerms { dtx: true, ..OpusTerms::default() }));
    println!("of 200 frames of silence {always} are sent, with DTX {dtx}");
    assert_eq!(always, 200);
    assert!(dtx < 40);
}

#[test]
fn what_the_peer_wants_of_our_opus_is_kept_to() {
    let speech = tone(700.0, Rate::Wide, 2_000);
    let bytes = |terms: OpusTerms| {
        let mut encoder = Encoder::new(Rate::Wide, Codec::Opus, terms);
        speech.chunks_exact(320).map(|frame| encoder.encode(frame).unwrap().len()).sum::<usize>()
    };
    let usual = bytes(OpusTerms::default());
    let little = bytes(OpusTerms::parse("maxaveragebitrate=8000"));
    println!("{usual} bytes in 2 s, and {little} at 8 kbit/s");
    assert!(usual <= 6_600 && little < usual * 2 / 3);
    let mut encoder = Encoder::new(Rate::Wide, Codec::Opus, OpusTerms::parse("maxplaybackrate=8000"));
    let payload = encoder.encode(&speech[..320]).unwrap();
    assert_eq!(::opus::packet::get_bandwidth(&payload).unwrap(), ::opus::Bandwidth::Narrowband);
}

#[test]
fn half_a_band_keeps_what_it_carries_and_nothing_else() {
    for (hz, least, most) in [(100.0, 7_900.0, 8_100.0), (3_000.0, 7_600.0, 8_200.0), (3_400.0, 6_000.0, 8_200.0)] {
        let mut doubled = Vec::new();
        Doubler::default().double(&tone(hz, Rate::Narrow, 500), &mut doubled);
        let mut halved = Vec::new();
        Doubler::default().halve(&tone(hz, Rate::Wide, 500), &mut halved);
        let up = amplitude(&doubled[800..], hz, Rate::Wide);
        let (down, mirror) =
            (amplitude(&halved[400..], hz, Rate::Narrow), amplitude(&doubled[800..], 8_000.0 - hz, Rate::Wide));
        println!("{hz} Hz: {up:.0} up, {mirror:.0} mirrored, {down:.0} down");
        assert!(
            (least..most).contains(&up) && (least..most).contains(&down) && mirror < 0.01 * 8_000.0 || hz > 3_000.0
        );
    }
    let mut gone = Vec::new();
    Doubler::default().halve(&tone(5_000.0, Rate::Wide, 500), &mut gone);
    assert!(gone[400..].iter().all(|sample| sample.abs() < 80));
}
