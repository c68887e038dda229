//! The jitter buffer in virtual time.

mod codecs;
mod traces;

use super::*;
use crate::rtp::Frame;
use crate::rtp::codec::g711;
use crate::rtp::packet::Seq;

#[allow(clippy::disallowed_methods)] // Some instant to begin with; nothing here depends on which.
fn epoch() -> Instant {
    Instant::now()
}

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

/// What is heard where a sample is neither silent nor just as one that was sent.
const MADE_UP: i32 = -1;
const SILENCE: i32 = -2;

impl Bench {
    fn new() -> Self {
        Self { start: epoch(), buffer: JitterBuffer::new(ms(60), Rate::Narrow), pulled: 0 }
    }

    fn packet(&mut self, at: Duration, n: u16, timestamp: u32, samples: usize) {
        self.send(at, Seq(n), RtpTimestamp(timestamp), Ssrc(1), &payload(n, samples));
    }

    fn send(&mut self, at: Duration, seq: Seq, timestamp: RtpTimestamp, ssrc: Ssrc, payload: &[u8]) {
        let packet = Packet { payload_type: 8, marker: false, seq, timestamp, ssrc, payload };
        self.buffer.insert(self.start + at, &packet, Payload::Voice(Codec::Pcma));
    }

    fn noise(&mut self, at: Duration, n: u16, timestamp: u32, level: u8) {
        let packet = Packet {
            payload_type: COMFORT_NOISE,
            marker: false,
            seq: Seq(n),
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc(1),
            payload: &[level, 40, 50],
        };
        self.buffer.insert(self.start + at, &packet, Payload::ComfortNoise);
    }

    fn frames_until(&mut self, at: Duration) -> Vec<(Received, Frame)> {
        let mut frames = Vec::new();
        while ms(20) * self.pulled < at {
            let mut frame = Frame::silent(Rate::Narrow);
            let quality = self.buffer.pull(self.start + ms(20) * self.pulled, &mut frame);
            self.pulled += 1;
            frames.push((quality, frame));
        }
        frames
    }

    /// Pulls all that is due until `at`, in order: the numbers of the packets heard, each with its samples; runs are joined.
    fn pull_until(&mut self, at: Duration) -> Vec<(i32, usize)> {
        let mut heard: Vec<(i32, usize)> = Vec::new();
        for sample in self.frames_until(at).into_iter().flat_map(|(_, frame)| frame) {
            let number = g711::encode(Codec::Pcma, &[sample]);
            let what = match sample {
                0 => SILENCE,
                _ if g711::decode(Codec::Pcma, &number) == [sample] => i32::from(number[0]),
                _ => MADE_UP,
            };
            match heard.last_mut() {
                Some((last, samples)) if *last == what => *samples += 1,
                _ => heard.push((what, 1)),
            }
        }
        heard
    }
}

#[test]
fn plays_in_order_after_the_first_delay() {
    let mut bench = Bench::new();
    assert_eq!(bench.pull_until(ms(5)), [(SILENCE, 160)]);
    for (at, n) in [(5, 1), (15, 3), (16, 2), (17, 4)] {
        bench.packet(ms(at), n, u32::from(n) * 160, 160);
    }
    // Packet 1 came 5 ms after a pull, so it plays 65 ms after that pull. After 4 comes what is made up of it.
    let heard = bench.pull_until(ms(160));
    assert_eq!(heard[..4], [(SILENCE, 360), (1, 160), (2, 160), (3, 160)]);
    assert_eq!(heard[4].0, 4);
    let stats = bench.buffer.stats();
    assert_eq!((stats.received, stats.reordered, stats.lost, stats.late, stats.concealed), (4, 1, 0, 0, 120));
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
    for n in [1, 2, 4, 5] {
        // Number 5 follows a silence of 20 ms.
        bench.packet(ms(0), n, u32::from(n) * 160 + if n == 5 { 160 } else { 0 }, 160);
    }
    let frames = bench.frames_until(ms(180));
    let quality: Vec<Received> = frames.iter().map(|(quality, _)| *quality).collect();
    let (empty, real, concealed) = (Received::Empty, Received::Real, Received::Concealed);
    assert_eq!(quality, [empty, empty, empty, real, real, concealed, real, empty, real]);
    // The silence begins where 4 ended, and without a step.
    let fading = frames[7].1;
    assert!(fading.windows(2).all(|s| s[0].abs() >= s[1].abs()) && fading[159].abs() < fading[0].abs() / 50);
    assert_eq!((bench.buffer.stats().lost, bench.buffer.stats().concealed), (1, 160));
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
        heard.extend(bench.pull_until(ms(u64::from(20 * length_ms)) + ms(60)));
        let mut played = vec![0; 20];
        for (what, samples) in &heard {
            if let Ok(n) = usize::try_from(*what) {
                played[n] += samples;
            }
        }
        assert_eq!(played, vec![samples; 20], "{length_ms} ms: {heard:?}");
        assert_eq!((bench.buffer.stats().late, bench.buffer.stats().concealed), (0, 0));
    }
}

#[test]
fn packets_of_mixed_lengths_play_without_a_gap() {
    let mut bench = Bench::new();
    let mut timestamp = 0;
    for n in 0..400u16 {
        let length_ms = [20, 10, 60, 30, 20, 50][usize::from(n) % 6];
        timestamp += length_ms * 8;
        // Sent when the last sample of it was spoken.
        let at = ms(u64::from(timestamp / 8));
        bench.pull_until(at);
        bench.packet(at, n, timestamp - length_ms * 8, length_ms as usize * 8);
    }
    let stats = bench.buffer.stats();
    println!("{stats:?}");
    assert_eq!((stats.late, stats.lost, stats.resets), (0, 0, 0));
    // A long packet comes later than its timestamp says by its length, which the first one did not show.
    assert!(stats.concealed <= 320, "{} samples were made up", stats.concealed);
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
    heard.extend(bench.pull_until(ms(260)));
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
    let whole = |(what, samples): &(i32, usize)| (*samples >= 100).then_some(*what);
    let numbers: Vec<i32> = heard.iter().filter_map(whole).filter(|what| *what >= 0).collect();
    println!("{numbers:?} {:?}", bench.buffer.stats());
    // What waits at a change is given up: three packets, and one more where a new sequence has to prove itself.
    for from in [0, 11, 21, 31] {
        assert!((from..from + 6).all(|n| numbers.contains(&n)), "from {from}");
    }
    assert_eq!(bench.buffer.stats().resets, 3);
    assert_eq!(bench.buffer.stats().lost, 0);
}

#[test]
fn what_is_late_when_nothing_else_is_there_is_played_from_its_beginning() {
    let mut bench = Bench::new();
    let mut heard = Vec::new();
    for n in 0..200u16 {
        // From packet 50 on the network takes 150 ms longer.
        let at = ms(20 * u64::from(n) + if n < 50 { 0 } else { 150 });
        heard.extend(bench.pull_until(at));
        bench.packet(at, n, 160 * u32::from(n), 160);
    }
    let stats = bench.buffer.stats();
    println!("{stats:?}");
    assert_eq!((stats.late, stats.resets, stats.lost), (0, 0, 0));
    // Nothing but the pause of 90 ms is made up, and of each packet all is heard but what leads out of the pause.
    let played = |n: i32| heard.iter().filter(|(what, _)| *what == n).map(|(_, samples)| samples).sum::<usize>();
    assert!((48..190).filter(|n| *n != 50).all(|n| played(n) >= 160), "{heard:?}");
    assert!(stats.concealed <= 480);
}

#[test]
fn a_talkspurt_without_a_pause_in_its_timestamps_is_followed() {
    let mut bench = Bench::new();
    for n in 0..100u16 {
        // Some senders stop their timestamps while they are silent: here for 10 s.
        let at = ms(20 * u64::from(n) + if n < 50 { 0 } else { 10_000 });
        bench.pull_until(at);
        bench.packet(at, n, 160 * u32::from(n), 160);
    }
    let stats = bench.buffer.stats();
    assert_eq!((stats.late, stats.resets, stats.lost), (0, 1, 0));
    assert!(bench.buffer.buffered() <= ms(80));
}

#[test]
fn a_delay_that_nobody_needs_is_given_back() {
    let mut bench = Bench::new();
    // The first packet was 200 ms slower than all others.
    let mut last = Duration::ZERO;
    for n in 0..1_500u16 {
        let at = ms(20 * u64::from(n));
        bench.pull_until(at);
        let timestamp = 160 * u32::from(n) + if n == 0 { 0 } else { 1_600 };
        bench.packet(at, n, timestamp, 160);
        last = bench.buffer.buffered();
    }
    println!("{last:?} wait, {:?}", bench.buffer.stats());
    assert!(last <= ms(65));
    assert_eq!((bench.buffer.stats().late, bench.buffer.stats().concealed), (0, 0));
}

#[test]
fn comfort_noise_has_its_level_and_lasts_until_voice_comes() {
    let rms = |frames: &[(Received, Frame)]| {
        let energy: f64 = frames.iter().flat_map(|(_, frame)| frame.iter()).map(|s| f64::from(*s).powi(2)).sum();
        (energy / (frames.len() * 160) as f64).sqrt()
    };
    // 0xb2 is level 50 with a highest bit that means nothing; the loudest that is played is 40.
    for (level, expected) in [(50, 103.6), (0xb2, 103.6), (60, 32.8), (3, 327.7), (127, 0.0)] {
        let mut bench = Bench::new();
        let mut frames = Vec::new();
        for n in 0..10u16 {
            bench.packet(ms(20 * u64::from(n)), n, 160 * u32::from(n), 160);
            frames.extend(bench.frames_until(ms(20 * u64::from(n))));
        }
        bench.noise(ms(200), 10, 1_600, level);
        frames.extend(bench.frames_until(ms(2_000)));
        let heard = rms(&frames[20..]);
        println!("level {level}: {heard:.1}");
        assert!((heard - expected).abs() <= expected * 0.1, "level {level}: {heard}");
        assert!(frames[20..].iter().all(|(quality, _)| *quality == Received::Empty));
        // Voice that comes 30 ms later than it should is heard whole.
        for n in 11..21u16 {
            let at = ms(2_030 + 20 * u64::from(n - 11));
            frames.extend(bench.frames_until(at));
            bench.packet(at, n, 16_000 + 160 * u32::from(n - 11), 160);
        }
        let heard = bench.pull_until(ms(2_400));
        assert!(heard.iter().any(|(what, samples)| *what == 20 && *samples >= 160));
        let stats = bench.buffer.stats();
        assert_eq!((stats.late, stats.lost, stats.resets), (0, 0, 0));
    }
}

#[test]
fn a_packet_from_long_before_does_not_bring_the_past_back() {
    let mut bench = Bench::new();
    for n in 0..50u16 {
        bench.pull_until(ms(20 * u64::from(n)));
        bench.packet(ms(20 * u64::from(n)), n, 160 * u32::from(n), 160);
    }
    // Number 50 comes 3 s late, after 51, which tells of noise.
    bench.pull_until(ms(3_000));
    bench.noise(ms(3_000), 51, 160 * 150, 60);
    bench.pull_until(ms(4_000));
    bench.packet(ms(4_000), 50, 160 * 50, 160);
    assert_eq!((bench.buffer.stats().late, bench.buffer.buffered()), (1, Duration::ZERO));
}

#[test]
fn packets_without_sound_keep_their_place_in_the_sequence() {
    let mut bench = Bench::new();
    let mut frames = Vec::new();
    for n in 0..60u16 {
        let at = ms(20 * u64::from(n));
        frames.extend(bench.frames_until(at));
        // A key is told in place of sound, once with the timestamps of sound and once with that of its beginning.
        let (timestamp, samples) = match n {
            10..20 => (160 * u32::from(n), 0),
            30..40 => (4_800, 0),
            _ => (160 * u32::from(n), 160),
        };
        bench.packet(at, n, timestamp, samples);
    }
    let stats = bench.buffer.stats();
    println!("{stats:?}");
    assert_eq!((stats.lost, stats.late, stats.resets, stats.corrections), (0, 0, 0, 0));
    assert!(stats.concealed <= 480);
    assert_eq!(frames.iter().filter(|(quality, _)| *quality == Received::Real).count(), 60 - 20 - 4);
}

#[test]
fn a_flood_is_bounded() {
    let mut bench = Bench::new();
    for n in 0..5_000u16 {
        bench.packet(ms(0), n, u32::from(n) * 10, 160);
    }
    assert!(bench.buffer.buffered() <= ms(1_100));
    bench.packet(ms(0), 5_000, 0, MAX_PAYLOAD + 1);
    assert!(bench.buffer.stats().dropped > 0);
    bench.pull_until(ms(5_000));
    assert_eq!(bench.buffer.buffered(), Duration::ZERO);
}

#[test]
fn time_that_nobody_pulled_passes_unheard() {
    let mut bench = Bench::new();
    let mut heard = Vec::new();
    for n in 0..20u16 {
        bench.packet(ms(20 * u64::from(n)), n, 160 * u32::from(n), 160);
        heard.extend(bench.pull_until(ms(20 * u64::from(n))));
    }
    bench.buffer.skip(3);
    bench.pulled += 3;
    for n in 20..40u16 {
        bench.packet(ms(20 * u64::from(n)), n, 160 * u32::from(n), 160);
        heard.extend(bench.pull_until(ms(20 * u64::from(n))));
    }
    let numbers: Vec<i32> = heard.iter().filter(|(_, len)| *len == 160).map(|(what, _)| *what).collect();
    let stats = bench.buffer.stats();
    println!("{numbers:?} {stats:?}");
    assert_eq!((stats.late, stats.lost, stats.resets), (0, 0, 0));
    assert!(!numbers.contains(&17) && numbers.contains(&30));
}
