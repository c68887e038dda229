//! The jitter buffer with codecs that remember, at either rate.

use super::*;
use crate::rtp::codec::{Encoder, OpusTerms};

/// A sender and a buffer.
struct Talk {
    start: Instant,
    buffer: JitterBuffer,
    rate: Rate,
    ticks: u32,
    qualities: Vec<Received>,
    heard: Vec<i16>,
}

impl Talk {
    fn new(rate: Rate) -> Self {
        let buffer = JitterBuffer::new(ms(60), rate);
        Self { start: epoch(), buffer, rate, ticks: 0, qualities: Vec::new(), heard: Vec::new() }
    }

    fn pull_until(&mut self, at: Duration) {
        while FRAME_20 * self.ticks <= at {
            let mut frame = Frame::silent(self.rate);
            self.qualities.push(self.buffer.pull(self.start + FRAME_20 * self.ticks, &mut frame));
            self.heard.extend_from_slice(&frame);
            self.ticks += 1;
        }
    }

    fn insert(&mut self, at: Duration, seq: u16, timestamp: u32, codec: Codec, payload: &[u8]) {
        self.pull_until(at);
        let packet = Packet {
            payload_type: 96,
            marker: false,
            seq: Seq(seq),
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc(1),
            payload,
        };
        self.buffer.insert(self.start + at, &packet, Payload::Voice(codec));
    }

    fn count(&self, quality: Received) -> usize {
        self.qualities.iter().filter(|received| **received == quality).count()
    }
}

const FRAME_20: Duration = Duration::from_millis(20);
const HZ: f64 = 440.0;

fn tone(rate: Rate, len: usize) -> Vec<i16> {
    (0..len).map(|n| (8_000.0 * (std::f64::consts::TAU * HZ * n as f64 / f64::from(rate.hz())).sin()) as i16).collect()
}

/// Payloads of `ms` each: of Opus by its own means, of the others several frames in one.
fn payloads(codec: Codec, packet_ms: usize, count: usize) -> Vec<Vec<u8>> {
    let pcm = tone(Rate::Wide, count * packet_ms * 16);
    if codec == Codec::Opus {
        let mut encoder = ::opus::Encoder::new(16_000, ::opus::Channels::Mono, ::opus::Application::Voip).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        return pcm.chunks_exact(packet_ms * 16).map(|piece| encoder.encode_vec(piece, 1_000).unwrap()).collect();
    }
    let mut encoder = Encoder::new(Rate::Wide, codec, OpusTerms::default());
    pcm.chunks_exact(packet_ms * 16).map(|piece| encoder.encode(piece).unwrap()).collect()
}

/// How pure the tone is: its energy over all other, in dB.
fn purity(pcm: &[i16], rate: Rate) -> f64 {
    let step = std::f64::consts::TAU * HZ / f64::from(rate.hz());
    let (mut s, mut c, mut energy) = (0.0, 0.0, 0.0);
    for (n, &x) in pcm.iter().enumerate() {
        let (sin, cos) = (step * n as f64).sin_cos();
        (s, c, energy) = (s + f64::from(x) * sin, c + f64::from(x) * cos, energy + f64::from(x).powi(2));
    }
    let own = 2.0 * (s * s + c * c) / pcm.len() as f64;
    10.0 * (own / (energy - own).max(1.0)).log10()
}

#[test]
fn every_codec_plays_packets_of_every_length_at_either_rate() {
    for codec in Codec::ALL {
        for rate in [Rate::Narrow, Rate::Wide] {
            for packet_ms in [10, 20, 40, 60] {
                let mut talk = Talk::new(rate);
                let ticks = codec.clock_rate_hz() / 1_000 * packet_ms as u32;
                for (n, payload) in (0..).zip(payloads(codec, packet_ms, 4_000 / packet_ms)) {
                    // Begun shortly before the numbers wrap.
                    let (seq, timestamp) =
                        (65_500_u16.wrapping_add(n as u16), (u32::MAX - 5_000).wrapping_add(n * ticks));
                    talk.insert(ms(u64::from(n) * packet_ms as u64), seq, timestamp, codec, &payload);
                }
                talk.pull_until(ms(3_900));
                let stats = talk.buffer.stats();
                assert_eq!((stats.lost, stats.late, stats.dropped, stats.resets, stats.concealed), (0, 0, 0, 0, 0));
                let middle = &talk.heard[rate.scaled(8 * 1_000)..rate.scaled(8 * 3_500)];
                let purity = purity(middle, rate);
                println!("{codec:?} {rate:?} {packet_ms} ms: {purity:.1} dB");
                assert!(purity > 18.0, "{codec:?} {rate:?} {packet_ms} ms: {purity} dB");
            }
        }
    }
}

#[test]
fn packets_that_overtake_each_other_are_decoded_in_their_order() {
    for codec in Codec::ALL {
        let mut talk = Talk::new(Rate::Wide);
        let payloads = payloads(codec, 20, 200);
        for n in 0..200_usize {
            // Each even one comes after the odd one that follows it.
            let nth = n ^ 1;
            talk.insert(ms(20 * n as u64), nth as u16, nth as u32 * codec.frame_ticks(), codec, &payloads[nth]);
        }
        talk.pull_until(ms(3_900));
        assert_eq!((talk.buffer.stats().reordered, talk.buffer.stats().late), (100, 0));
        let purity = purity(&talk.heard[16_000..60_000], Rate::Wide);
        println!("{codec:?}: {purity:.1} dB");
        assert!(purity > 18.0, "{codec:?}: {purity} dB");
    }
}

#[test]
fn losses_are_made_up_by_every_codec_and_counted_once() {
    for codec in Codec::ALL {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut talk = Talk::new(rate);
            for (n, payload) in (0..200_u16).zip(payloads(codec, 20, 200)) {
                if n % 20 != 19 {
                    talk.insert(ms(20 * u64::from(n)), n, u32::from(n) * codec.frame_ticks(), codec, &payload);
                }
            }
            talk.pull_until(ms(3_900));
            let stats = talk.buffer.stats();
            let purity = purity(&talk.heard[rate.scaled(8_000)..rate.scaled(30_000)], rate);
            println!("{codec:?} {rate:?}: {stats:?}, {purity:.1} dB");
            assert_eq!((stats.lost, talk.count(Received::Concealed)), (9, 9), "{codec:?}");
            if codec != Codec::Opus {
                assert!(purity > 14.0, "{codec:?} {rate:?}: {purity} dB");
                continue;
            }
            // Opus is no friend of tones, but what it plays is just what the next packet has of the lost one.
            let (mut decoder, mut expected) = (Decoder::new(rate), Vec::new());
            let payloads = payloads(codec, 20, 200);
            for (n, payload) in payloads.iter().enumerate().take(180) {
                match n % 20 {
                    19 => decoder.recover(rate.frame_samples(), &payloads[n + 1], &mut expected),
                    _ => assert!(decoder.decode(codec, payload, &mut expected)),
                }
            }
            let is_there = |begin: usize| talk.heard[begin * rate.frame_samples()..].starts_with(&expected);
            assert!((0..10).any(is_there), "{rate:?}");
        }
    }
}

#[test]
fn a_sender_who_stops_is_concealed_for_a_moment_and_then_silent() {
    for codec in Codec::ALL {
        let mut talk = Talk::new(Rate::Wide);
        for (n, payload) in (0..50_u16).zip(payloads(codec, 20, 50)) {
            talk.insert(ms(20 * u64::from(n)), n, u32::from(n) * codec.frame_ticks(), codec, &payload);
        }
        talk.pull_until(ms(3_000));
        let concealed = talk.count(Received::Concealed);
        println!("{codec:?}: {concealed} frames made up");
        assert!((3..=6).contains(&concealed), "{codec:?}: {concealed}");
        assert!(talk.heard[32_000..].iter().all(|sample| *sample == 0), "{codec:?}");
    }
}

#[test]
fn pauses_of_a_sender_who_sends_nothing_in_them_are_no_loss() {
    // Opus with DTX: a second of voice, three of silence, and again; what says nothing is sent by some and not by others.
    for sends_nothings in [true, false] {
        let mut encoder = ::opus::Encoder::new(16_000, ::opus::Channels::Mono, ::opus::Application::Voip).unwrap();
        encoder.set_dtx(true).unwrap();
        let mut talk = Talk::new(Rate::Wide);
        let (mut seq, mut sent) = (0, 0);
        for n in 0..600_u32 {
            let pcm = if n % 200 < 50 { tone(Rate::Wide, 320) } else { vec![0; 320] };
            let payload = encoder.encode_vec(&pcm, 1_000).unwrap();
            if payload.len() > 2 || sends_nothings {
                talk.insert(ms(20 * u64::from(n)), seq, n * 960, Codec::Opus, &payload);
                (seq, sent) = (seq + 1, sent + 1);
            }
        }
        talk.pull_until(ms(11_900));
        let stats = talk.buffer.stats();
        println!("{sent} packets: {stats:?}, {} frames made up", talk.count(Received::Concealed));
        assert!(sends_nothings || sent < 300);
        assert_eq!((stats.lost, stats.late, stats.dropped, stats.resets), (0, 0, 0, 0));
        // Where the first pause begins nobody knows yet that it is one.
        assert!(talk.count(Received::Concealed) <= 10, "{}", talk.count(Received::Concealed));
        let pause = &talk.heard[16 * 2_000..16 * 3_900];
        assert!(pause.iter().all(|sample| sample.abs() < 300), "nothing is to be heard in a pause");
    }
}

#[test]
fn another_codec_in_the_middle_of_a_stream_goes_on_at_the_calls_rate() {
    for rate in [Rate::Narrow, Rate::Wide] {
        let mut talk = Talk::new(rate);
        let mut timestamp = 77_000_u32;
        for (nth, codec) in [Codec::Pcma, Codec::G722, Codec::Opus, Codec::Pcmu, Codec::Opus].into_iter().enumerate() {
            for (n, payload) in (0..100_u16).zip(payloads(codec, 20, 100)) {
                let seq = nth as u16 * 100 + n;
                talk.insert(ms(20 * u64::from(seq)), seq, timestamp, codec, &payload);
                timestamp = timestamp.wrapping_add(codec.frame_ticks());
            }
            let second = &talk.heard[talk.heard.len() - rate.scaled(8_000)..];
            let purity = purity(second, rate);
            println!("{rate:?}, {codec:?}: {purity:.1} dB");
            assert!(purity > 18.0, "{rate:?}, {codec:?}: {purity} dB");
        }
        let stats = talk.buffer.stats();
        // Only where the clock is another one has time to begin anew.
        assert_eq!((stats.lost, stats.late, stats.resets), (0, 0, 3));
    }
}

#[test]
fn what_cannot_be_decoded_is_counted_and_made_up() {
    let mut talk = Talk::new(Rate::Wide);
    for (n, payload) in (0..100_u16).zip(payloads(Codec::Opus, 20, 100)) {
        // Two frames of which the first is longer than the packet; and no Opus at all: 49 frames.
        let payload = match n {
            50 => vec![0x4a, 0xff, 0xff, 1],
            60 => vec![0x4b, 49, 1],
            _ => payload,
        };
        talk.insert(ms(20 * u64::from(n)), n, u32::from(n) * 960, Codec::Opus, &payload);
    }
    talk.pull_until(ms(1_900));
    assert_eq!(talk.buffer.stats().dropped, 2);
}
