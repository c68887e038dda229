//! The jitter buffer in virtual time.

use super::*;
use crate::rtp::packet::Seq;

/// A sender whose packet `n` holds the byte `n` in every sample, a buffer, and the time that both see.
struct Bench {
    start: Instant,
    buffer: JitterBuffer,
    pulled: u32,
}

fn payload(n: u16, samples: usize) -> Vec<u8> {
    vec![n as u8; samples]
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Bench {
    #[allow(clippy::disallowed_methods)] // Some instant to begin with; nothing here depends on which.
    fn new() -> Self {
        Self { start: Instant::now(), buffer: JitterBuffer::new(ms(60)), pulled: 0 }
    }

    fn packet(&mut self, at: Duration, n: u16, timestamp: u32, samples: usize) {
        self.send(at, Seq(n), RtpTimestamp(timestamp), Ssrc(1), &payload(n, samples));
    }

    fn send(&mut self, at: Duration, seq: Seq, timestamp: RtpTimestamp, ssrc: Ssrc, payload: &[u8]) {
        let packet = Packet { payload_type: 8, marker: false, seq, timestamp, ssrc, payload };
        self.buffer.insert(self.start + at, &packet, Codec::Pcma);
    }

    /// Pulls all that is due until `at`, in order: the numbers of the packets heard, `-1` lost, `-2` silence, each with
    /// its samples; runs are joined.
    fn pull_until(&mut self, at: Duration) -> Vec<(i32, usize)> {
        let mut heard: Vec<(i32, usize)> = Vec::new();
        while ms(20) * self.pulled < at {
            let pieces = self.buffer.pull(self.start + ms(20) * self.pulled);
            assert_eq!(pieces.iter().map(Piece::len).sum::<i64>(), FRAME);
            self.pulled += 1;
            for piece in pieces {
                let len = piece.len() as usize;
                let what = match piece {
                    Piece::Audio(pcm) => i32::from(g711::encode(Codec::Pcma, &pcm[..1])[0]),
                    Piece::Lost(_) => -1,
                    Piece::Silence(_) => -2,
                };
                match heard.last_mut() {
                    Some((last, samples)) if *last == what => *samples += len,
                    _ => heard.push((what, len)),
                }
            }
        }
        heard
    }
}

const LOST: i32 = -1;
const SILENCE: i32 = -2;

#[test]
fn plays_in_order_after_the_target_delay() {
    let mut bench = Bench::new();
    assert_eq!(bench.pull_until(ms(5)), [(SILENCE, 160)]);
    for (at, n) in [(5, 1), (15, 3), (16, 2), (17, 4)] {
        bench.packet(ms(at), n, u32::from(n) * 160, 160);
    }
    // Packet 1 came 5 ms after a pull, so it plays 65 ms after that pull.
    let heard = bench.pull_until(ms(160));
    assert_eq!(heard, [(SILENCE, 360), (1, 160), (2, 160), (3, 160), (4, 160), (LOST, 120)]);
    let stats = bench.buffer.stats();
    assert_eq!((stats.received, stats.reordered, stats.lost, stats.late), (4, 1, 0, 0));
}

#[test]
fn a_missing_packet_is_lost_and_a_late_one_is_not_played() {
    let mut bench = Bench::new();
    for (at, n) in [(0, 1), (20, 2), (60, 4), (80, 5), (100, 6), (150, 3), (151, 3)] {
        bench.pull_until(ms(at));
        bench.packet(ms(at), n, u32::from(n) * 160, 160);
    }
    bench.pull_until(ms(300));
    let stats = bench.buffer.stats();
    assert_eq!((stats.received, stats.lost, stats.late, stats.duplicate), (6, 0, 1, 1));
}

#[test]
fn a_gap_in_the_sequence_is_loss_and_a_gap_in_time_is_silence() {
    let mut bench = Bench::new();
    bench.packet(ms(0), 1, 160, 160);
    bench.packet(ms(0), 2, 320, 160);
    bench.packet(ms(0), 4, 640, 160);
    // Number 5 follows 400 ms of suppressed silence and comes in time.
    let mut heard = bench.pull_until(ms(460));
    bench.packet(ms(460), 5, 800 + 3_200, 160);
    heard.extend(bench.pull_until(ms(600)));
    println!("{heard:?}");
    assert_eq!(heard[..5], [(SILENCE, 480), (1, 160), (2, 160), (LOST, 160), (4, 160)]);
    assert!(heard.contains(&(5, 160)));
    assert_eq!(bench.buffer.stats().lost, 1);
    // Nothing was delayed: 5 plays as long after 1 as it was spoken after 1.
    let before: usize = heard.iter().take_while(|(what, _)| *what != 5).map(|(_, samples)| samples).sum();
    assert_eq!(before, 480 + 3_840);
}

#[test]
fn any_packet_length_fills_frames() {
    for length_ms in [10u16, 30, 40, 60] {
        let mut bench = Bench::new();
        let samples = usize::from(length_ms) * 8;
        let mut heard = Vec::new();
        for n in 0..20u16 {
            let at = ms(u64::from(n * length_ms));
            heard.extend(bench.pull_until(at));
            bench.packet(at, n, u32::from(n) * samples as u32, samples);
        }
        heard.extend(bench.pull_until(ms(u64::from(20 * length_ms)) + ms(100)));
        let mut played = vec![0; 20];
        for (what, samples) in &heard {
            if let Ok(n) = usize::try_from(*what) {
                played[n] += samples;
            }
        }
        assert_eq!(played, vec![samples; 20], "{length_ms} ms: {heard:?}");
        assert_eq!(bench.buffer.stats().late, 0);
    }
}

#[test]
fn sequence_and_timestamp_wrap_unnoticed() {
    let mut bench = Bench::new();
    let mut heard = Vec::new();
    for n in 0..10u16 {
        let at = ms(20 * u64::from(n));
        heard.extend(bench.pull_until(at));
        let timestamp = RtpTimestamp(u32::MAX - 500).wrapping_add(160 * u32::from(n));
        bench.send(at, Seq(65_530u16.wrapping_add(n)), timestamp, Ssrc(1), &payload(n, 160));
    }
    heard.extend(bench.pull_until(ms(280)));
    let numbers: Vec<i32> = heard.iter().map(|(what, _)| *what).filter(|what| *what >= 0).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!((bench.buffer.stats().resets, bench.buffer.stats().lost), (0, 0));
}

#[test]
fn a_new_source_a_new_sequence_and_new_timestamps_all_play_on() {
    let mut bench = Bench::new();
    let mut heard = Vec::new();
    for n in 0..40u16 {
        let at = ms(20 * u64::from(n));
        heard.extend(bench.pull_until(at));
        let (seq, timestamp, ssrc) = match n {
            0..10 => (n, 160 * u32::from(n), 1),
            10..20 => (40_000 + n, 5_000_000 + 160 * u32::from(n), 2),
            20..30 => (10_000 + n, 5_000_000 + 160 * u32::from(n), 2),
            _ => (10_000 + n, 900_000 + 160 * u32::from(n), 2),
        };
        bench.send(at, Seq(seq), RtpTimestamp(timestamp), Ssrc(ssrc), &payload(n, 160));
    }
    heard.extend(bench.pull_until(ms(860)));
    let numbers: Vec<i32> = heard.iter().map(|(what, _)| *what).filter(|what| *what >= 0).collect();
    println!("{numbers:?} {:?}", bench.buffer.stats());
    // What waits at a change is given up: three packets, and one more where a new sequence has to prove itself.
    for from in [0, 11, 21, 31] {
        assert!((from..from + 6).all(|n| numbers.contains(&n)), "from {from}");
    }
    assert_eq!(bench.buffer.stats().resets, 3);
    assert_eq!(bench.buffer.stats().lost, 0);
}

#[test]
fn a_lasting_rise_of_the_delay_is_followed() {
    let mut bench = Bench::new();
    for n in 0..200u16 {
        // From packet 50 on the network takes 150 ms longer.
        let at = ms(20 * u64::from(n) + if n < 50 { 0 } else { 150 });
        bench.pull_until(at);
        bench.packet(at, n, 160 * u32::from(n), 160);
    }
    let stats = bench.buffer.stats();
    println!("{stats:?}");
    assert!(stats.late <= u64::from(MAX_LATE_RUN), "{} packets were late", stats.late);
}

#[test]
fn a_delay_that_nobody_needs_is_given_back() {
    let mut bench = Bench::new();
    // The first packet was 200 ms slower than all others.
    let mut most = 0;
    for n in 0..800u16 {
        let at = ms(20 * u64::from(n));
        bench.pull_until(at);
        let timestamp = 160 * u32::from(n) + if n == 0 { 0 } else { 1_600 };
        bench.packet(at, n, timestamp, 160);
        if n > 400 {
            most = most.max(bench.buffer.buffered().as_millis());
        }
    }
    println!("at most {most} ms waited, {:?}", bench.buffer.stats());
    assert!(most <= 100);
    assert_eq!(bench.buffer.stats().late, 0);
}

#[test]
fn a_flood_is_bounded() {
    let mut bench = Bench::new();
    for n in 0..5_000u16 {
        bench.packet(ms(0), n, u32::from(n), 160);
    }
    let source = bench.buffer.source.as_ref().unwrap();
    assert!(source.packets.len() <= MAX_PACKETS);
    assert!(bench.buffer.buffered() <= ms(1_100));
    bench.packet(ms(0), 5_000, 0, MAX_PAYLOAD + 1);
    assert!(bench.buffer.stats().dropped > 0);
}
