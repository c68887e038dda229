//! The jitter buffer on networks of every kind, against a buffer of constant delay that knows the whole trace beforehand.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

/// A trace: when each packet of 20 ms arrives, in microseconds; `None` if it does not.
type Trace = Vec<Option<u64>>;

/// A tone whose period is no whole number of samples.
const TONE_HZ: f64 = 221.0;
const PEAK: f64 = 8_000.0;

fn tone(n: u64) -> i16 {
    (PEAK * (std::f64::consts::TAU * TONE_HZ * n as f64 / 8_000.0).sin()) as i16
}

/// What came of a trace. Delays in ms.
#[derive(Debug)]
struct Outcome {
    stats: JitterStats,
    /// Of a packet until it is played, mean and most.
    mean_delay: f64,
    most_delay: f64,
    /// The constant delay with which 1 % of the packets that come are late.
    ideal_delay: f64,
    late_percent: f64,
    /// Of the tone heard after the first second, its largest second difference against its own, and its frequency.
    bend: f64,
    hz: f64,
}

/// Plays a trace of a sender who speaks whenever `speaks` says so, packet by packet.
fn run(name: &str, trace: &Trace, speaks: impl Fn(u64) -> bool) -> Outcome {
    let start = epoch();
    let mut buffer = JitterBuffer::new(DEFAULT_TARGET, Rate::Narrow);
    let mut arrivals: Vec<(u64, u64)> =
        (0..).zip(trace).filter_map(|(n, at)| Some((at.as_ref().copied()?, n))).collect();
    arrivals.sort_unstable();
    let mut seqs: Vec<u16> = Vec::with_capacity(trace.len());
    let mut seq = 0u16;
    for n in 0..trace.len() as u64 {
        seqs.push(seq);
        seq = seq.wrapping_add(u16::from(speaks(n)));
    }
    let mut heard: Vec<i16> = Vec::new();
    let (mut delays, mut took) = (Vec::new(), Vec::new());
    let mut due = 0;
    let mut pull = |buffer: &mut JitterBuffer, until: u64, took: &mut Vec<f64>| {
        while due * 20_000 <= until {
            let mut frame = Frame::silent(Rate::Narrow);
            buffer.pull(start + Duration::from_micros(due * 20_000), &mut frame);
            due += 1;
            heard.extend(frame);
            if let Some(source) = &buffer.source {
                // In the terms of the trace: packet `n` is sent at `20 n` ms.
                took.push(source.delay(due as i64 * FRAME, &buffer.sound) as f64 / 8.0);
            }
        }
    };
    for (at, n) in arrivals {
        pull(&mut buffer, at, &mut took);
        if !speaks(n) {
            continue;
        }
        delays.push(at as f64 / 1_000.0 - n as f64 * 20.0);
        let pcm: Vec<i16> = (n * 160..(n + 1) * 160).map(tone).collect();
        let packet = Packet {
            payload_type: 8,
            marker: false,
            seq: Seq(seqs[n as usize]),
            timestamp: RtpTimestamp((n * 160) as u32),
            ssrc: Ssrc(1),
            payload: &g711::encode(Codec::Pcma, &pcm),
        };
        buffer.insert(start + Duration::from_micros(at), &packet, Payload::Voice(Codec::Pcma));
    }
    delays.sort_by(f64::total_cmp);
    let stats = buffer.stats();
    let coded: Vec<i16> = (0..8_000).map(tone).collect();
    let own = bend(&g711::decode(Codec::Pcma, &g711::encode(Codec::Pcma, &coded)));
    let crossings = heard.windows(2).filter(|s| s[0] < 0 && s[1] >= 0).count();
    let sounding = heard.iter().filter(|sample| **sample != 0).count();
    let outcome = Outcome {
        stats,
        mean_delay: took.iter().sum::<f64>() / took.len() as f64,
        most_delay: took.iter().copied().fold(0.0, f64::max),
        ideal_delay: delays[delays.len() - 1 - delays.len() / 100],
        late_percent: 100.0 * stats.late as f64 / stats.received as f64,
        bend: bend(&heard[8_000..]) / own,
        hz: crossings as f64 * 8_000.0 / sounding as f64,
    };
    println!(
        "{name}: late {:.2} %, delay {:.0} ms (most {:.0}), ideal {:.0} ms; bends {:.2} times, {:.1} Hz; made up {} ms, \
         {} corrections",
        outcome.late_percent,
        outcome.mean_delay,
        outcome.most_delay,
        outcome.ideal_delay,
        outcome.bend,
        outcome.hz,
        stats.concealed / 8,
        stats.corrections,
    );
    outcome
}

/// The largest second difference: a click's is much larger than a tone's.
fn bend(pcm: &[i16]) -> f64 {
    let bend = |s: &[i16]| (i32::from(s[2]) - 2 * i32::from(s[1]) + i32::from(s[0])).abs();
    pcm.windows(3).map(bend).max().map_or(0.0, f64::from)
}

/// `packets` packets with a delay each, some lost.
fn trace(packets: u64, mut delay_us: impl FnMut(u64) -> Option<u64>) -> Trace {
    (0..packets).map(|n| Some(n * 20_000 + delay_us(n)?)).collect()
}

/// The same, but no packet overtakes another: a queue.
fn queue(mut trace: Trace) -> Trace {
    let mut latest = 0;
    for at in trace.iter_mut().flatten() {
        *at = latest.max(*at);
        latest = *at;
    }
    trace
}

fn always(_: u64) -> bool {
    true
}

const MINUTE: u64 = 3_000;

#[test]
fn without_jitter_the_delay_becomes_short_and_nothing_is_heard_of_it() {
    let outcome = run("clean", &trace(10 * MINUTE, |_| Some(0)), always);
    assert_eq!((outcome.stats.late, outcome.stats.concealed), (0, 0));
    assert!(outcome.mean_delay <= 35.0);
    assert!(outcome.bend <= 1.1 && (outcome.hz - TONE_HZ).abs() < 0.5);
}

#[test]
fn loss_costs_what_was_lost_and_no_delay() {
    for seed in 0..3 {
        for percent in [1, 5, 10] {
            let mut rng = StdRng::seed_from_u64(seed);
            let losing = trace(MINUTE, |_| {
                let delay = rng.random_range(0..10_000);
                (rng.random_range(0..100) >= percent).then_some(delay)
            });
            let outcome = run(&format!("{percent} % lost"), &losing, always);
            assert_eq!(outcome.stats.late, 0);
            assert!(outcome.mean_delay <= 55.0);
            let lost = 20 * losing.iter().filter(|at| at.is_none()).count() as u64;
            assert!(outcome.stats.concealed / 8 <= lost);
            assert!(outcome.bend <= 2.0 && (outcome.hz - TONE_HZ).abs() < 0.5);
        }
    }
}

#[test]
fn bursts_of_loss_cost_what_was_lost_and_no_delay() {
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        // Gilbert: 5 % lost, three at a time.
        let mut bad = false;
        let losing = trace(MINUTE, |_| {
            let change: f64 = rng.random();
            bad = if bad { change >= 1.0 / 3.0 } else { change < 0.0175 };
            let delay = rng.random_range(0..10_000);
            (!bad).then_some(delay)
        });
        let outcome = run("5 % lost in bursts", &losing, always);
        assert_eq!(outcome.stats.late, 0);
        assert!(outcome.mean_delay <= 55.0);
        assert!(outcome.bend <= 2.0 && (outcome.hz - TONE_HZ).abs() < 0.5);
    }
}

#[test]
fn jitter_is_absorbed_with_little_more_delay_than_needed() {
    for seed in 0..3 {
        for jitter_ms in [30, 60, 120] {
            let mut rng = StdRng::seed_from_u64(seed);
            let jittered = trace(MINUTE, |_| Some(rng.random_range(0..jitter_ms * 1_000)));
            for (name, trace) in [("jitter", jittered.clone()), ("queued jitter", queue(jittered))] {
                let outcome = run(&format!("{jitter_ms} ms {name}"), &trace, always);
                assert!(outcome.late_percent <= 1.0);
                assert!(outcome.mean_delay <= outcome.ideal_delay + 50.0);
                assert!(outcome.bend <= 1.5 && (outcome.hz - TONE_HZ).abs() < 0.5);
            }
        }
    }
}

#[test]
fn long_tails_of_jitter_are_weighed_against_delay() {
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        // Mean 20 ms.
        let tailed = trace(MINUTE, |_| Some((-20_000.0 * (1.0 - rng.random::<f64>()).ln()) as u64));
        for (name, trace) in [("long tails", tailed.clone()), ("queued long tails", queue(tailed))] {
            let outcome = run(name, &trace, always);
            assert!(outcome.late_percent <= 0.5);
            assert!(outcome.mean_delay <= outcome.ideal_delay + 60.0);
            assert!(outcome.bend <= 2.0 && (outcome.hz - TONE_HZ).abs() < 0.5);
        }
    }
}

#[test]
fn a_stalled_network_costs_a_pause_and_no_words() {
    // Every 10 s nothing comes for 200 ms, then all of it at once.
    let stalled = trace(2 * MINUTE, |n| Some(if n % 500 >= 490 { (500 - n % 500) * 20_000 } else { 0 }));
    let outcome = run("stalls", &stalled, always);
    assert_eq!(outcome.stats.late, 0);
    // Each time that is made up is what the delay did not cover.
    assert!(outcome.stats.concealed / 8 <= 12 * 60);
    assert!(outcome.mean_delay <= 120.0);
    assert!(outcome.bend <= 2.0 && (outcome.hz - TONE_HZ).abs() < 0.5);
}

#[test]
fn an_hour_of_drift_costs_neither_clicks_nor_delay() {
    for ppm in [-200i64, 200] {
        let drifting: Trace =
            (0..60 * MINUTE).map(|n| Some((n * 20_000).saturating_add_signed(n as i64 * ppm / 50))).collect();
        let outcome = run(&format!("{ppm} ppm"), &drifting, always);
        let stats = outcome.stats;
        assert_eq!((stats.late, stats.lost, stats.resets, stats.concealed), (0, 0, 0, 0));
        // In the terms of the sender's clock the delay drifts by 720 ms: what is left is what the buffer adds.
        let drift = ppm as f64 * 3.6;
        assert!((outcome.mean_delay - drift / 2.0 - 32.0).abs() <= 15.0);
        assert!(outcome.bend <= 1.1, "the tone bends {} times as much", outcome.bend);
        assert!((outcome.hz - TONE_HZ).abs() < 0.5);
        // 720 ms in steps of some pitch periods.
        assert!((45..=200).contains(&stats.corrections));
    }
}

#[test]
fn silence_that_is_not_sent_costs_nothing() {
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        let jittered = trace(5 * MINUTE, |_| Some(rng.random_range(0..40_000)));
        // 2 s of talk, 3 s of silence.
        let outcome = run("silence suppressed", &jittered, |n| n % 250 < 100);
        assert_eq!(outcome.stats.lost, 0);
        assert!(outcome.late_percent <= 0.2);
        assert!(outcome.mean_delay <= outcome.ideal_delay + 45.0);
        assert_eq!(outcome.stats.resets, 0);
    }
}

#[test]
fn whatever_comes_the_delay_stays_bounded() {
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        // Of a network that changes its mind: each second another delay, jitter and loss.
        let (mut base, mut jitter, mut loss) = (0, 1, 0);
        let wild = trace(MINUTE, |n| {
            if n % 50 == 0 {
                base = rng.random_range(0..400_000);
                jitter = rng.random_range(1..200_000);
                loss = rng.random_range(0..30);
            }
            let delay = base + rng.random_range(0..jitter);
            (rng.random_range(0..100) >= loss).then_some(delay)
        });
        let outcome = run("wild", &wild, always);
        assert!(outcome.most_delay <= 700.0 && outcome.mean_delay <= outcome.ideal_delay + 30.0);
        assert!(outcome.late_percent < 3.0);
        assert!(outcome.bend <= 5.0);
    }
}
