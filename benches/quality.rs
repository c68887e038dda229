//! What a network does to the voice that is heard, and what receiving it costs. Speech of the tests goes in each codec through
//! a virtual network into a stream; what comes out is judged by PESQ against what went in: that of PCMA in the narrow band
//! (ITU-T P.862.1), that of the others in the wide band (P.862.2), whose figures are no match for the first.
//! Prints tables for docs/media.md and asserts nothing.
//!
//! `cargo bench --bench quality [-- FILE.wav …]`; needs Python 3 with a C compiler, and PyPI for the package `pesq` the
//! first time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use secretary::rtp::codec::resample::resample;
use secretary::rtp::codec::{Codec, Encoder, OpusTerms};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpStart};
use secretary::rtp::{Output, Stream, StreamConfig};

#[path = "../tests/it/support/pesq.rs"]
mod pesq;
#[path = "../tests/it/support/wav.rs"]
#[allow(dead_code, reason = "the tests do more with them")]
mod wav;

/// Speech of the tests in pieces of 8 to 12 s, as PESQ wants it.
const SPEECH: [&[&str]; 5] = [
    &["en_message_1", "en_message_2"],
    &["en_real_cities_1", "en_real_austen_0880"],
    &["ru_message_1", "ru_message_3"],
    &["ru_message_2"],
    &["ru_real_0114", "ru_real_0308"],
];
const CODECS: [Codec; 3] = [Codec::Pcma, Codec::G722, Codec::Opus];
const SEEDS: u64 = 6;
const PEER: &str = "192.0.2.1:4000";

/// What becomes of each packet: by how much it is delayed, in microseconds, or that it is lost.
type Network = fn(&mut StdRng, &mut State) -> Option<u64>;

#[derive(Default)]
struct State {
    bad: bool,
    packet: u64,
}

const NETWORKS: [(&str, Network); 10] = [
    ("no loss", |_, _| Some(0)),
    ("1 % lost", |rng, _| (rng.random::<f64>() >= 0.01).then_some(0)),
    ("5 % lost", |rng, _| (rng.random::<f64>() >= 0.05).then_some(0)),
    ("10 % lost", |rng, _| (rng.random::<f64>() >= 0.10).then_some(0)),
    ("5 % lost in bursts of 2", |rng, state| gilbert(rng, state, 2.0)),
    ("5 % lost in bursts of 3", |rng, state| gilbert(rng, state, 3.0)),
    ("jitter of 30 ms", |rng, _| Some(rng.random_range(0..30_000))),
    ("jitter of 60 ms", |rng, _| Some(rng.random_range(0..60_000))),
    ("jitter of 120 ms", |rng, _| Some(rng.random_range(0..120_000))),
    ("stalls of 150 ms", |_, state| {
        let n = state.packet % 150;
        state.packet += 1;
        Some(if n >= 143 { (150 - n) * 20_000 } else { 0 })
    }),
];

/// 5 % of packets, in bursts of this mean length.
fn gilbert(rng: &mut StdRng, state: &mut State, burst: f64) -> Option<u64> {
    let change: f64 = rng.random();
    state.bad = if state.bad { change >= 1.0 / burst } else { change < 0.05 / 0.95 / burst };
    (!state.bad).then_some(0)
}

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| argument.ends_with(".wav")).collect();
    let speech: Vec<Vec<i16>> = if files.is_empty() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech");
        let piece =
            |names: &&[&str]| names.iter().flat_map(|name| read(&data.join(name).with_extension("wav"))).collect();
        SPEECH.iter().map(piece).collect()
    } else {
        files.iter().map(|file| read(Path::new(file))).collect()
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quality");
    fs::create_dir_all(&dir).expect("a folder for the sound");
    println!("| network | PCMA, narrow | G722, wide | opus, wide |");
    println!("|---|---|---|---|");
    for (name, network) in NETWORKS {
        let judged = CODECS.map(|codec| {
            let scores = score(&dir, &speech, codec, network);
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            format!("{mean:.2} ({:.2})", scores.iter().copied().fold(5.0, f64::min))
        });
        println!("| {name} | {} |", judged.join(" | "));
    }
    println!();
    for codec in CODECS {
        let pcm = resample(&speech[0], 16_000, codec.rate().hz()).expect("a rate of speech");
        let (receiving, both) = (cost_ns(&pcm, codec, false), cost_ns(&pcm, codec, true));
        println!("Of each 20 ms of {}, receiving takes {receiving:.0} ns, and sending too {both:.0} ns", codec.name());
    }
}

/// All pieces through the network, some times each.
fn score(dir: &Path, speech: &[Vec<i16>], codec: Codec, network: Network) -> Vec<f64> {
    let rate_hz = codec.rate().hz();
    let mut pairs = Vec::new();
    for (n, pcm) in speech.iter().enumerate() {
        let pcm = &resample(pcm, 16_000, rate_hz).expect("a rate of speech");
        for seed in 0..SEEDS {
            let (sent, heard) = (dir.join(format!("{n}.wav")), dir.join(format!("{n}_{seed}.wav")));
            wav::write(&sent, pcm, rate_hz);
            wav::write(&heard, &through(pcm, codec, network, seed), rate_hz);
            pairs.push((sent, heard));
        }
    }
    pesq::judge(&pairs)
}

/// What is heard of `pcm` from the moment its first packet is due.
fn through(pcm: &[i16], codec: Codec, network: Network, seed: u64) -> Vec<i16> {
    let (mut rng, mut state) = (StdRng::seed_from_u64(seed), State::default());
    let mut arrivals = Vec::new();
    for (n, packet) in packets(pcm, codec).enumerate() {
        // The first packet comes, so that there is a beginning.
        if let Some(delay) = network(&mut rng, &mut state).or((n == 0).then_some(0)) {
            arrivals.push((20_000 * n as u64 + delay, packet));
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    let start = Instant::now();
    let mut stream = stream(start, codec);
    let mut heard = Vec::new();
    let mut run_until = |stream: &mut Stream, until: Instant| {
        while stream.poll_timeout() <= until {
            stream.handle_timeout(stream.poll_timeout());
            while let Some(output) = stream.poll_output() {
                if let Output::Tick { received, .. } = output {
                    heard.extend(received);
                }
            }
        }
    };
    for (at, datagram) in arrivals {
        let at = start + Duration::from_micros(at);
        run_until(&mut stream, at);
        stream.handle_input(at, PEER.parse().unwrap(), &datagram);
    }
    run_until(
        &mut stream,
        start + Duration::from_millis(pcm.len() as u64 * 1_000 / u64::from(codec.rate().hz()) + 200),
    );
    heard
}

/// CPU time of one stream in nanoseconds for each 20 ms, the least of some runs.
fn cost_ns(pcm: &[i16], codec: Codec, sending: bool) -> f64 {
    let peer: SocketAddr = PEER.parse().unwrap();
    let cycle: Vec<i16> = pcm.iter().copied().cycle().take(10_000 * codec.rate().frame_samples()).collect();
    let datagrams: Vec<Vec<u8>> = packets(&cycle, codec).collect();
    let run = || {
        let start = Instant::now();
        let mut stream = stream(start, codec);
        stream.set_send(sending);
        let mut unsaid = if sending { &cycle[..] } else { &[] };
        let begin = Instant::now();
        for (n, datagram) in (0..).zip(&datagrams) {
            let at = start + Duration::from_millis(20 * n);
            if n % 1_000 == 0 {
                unsaid = &unsaid[stream.play(0, unsaid)..];
            }
            stream.handle_input(at, peer, datagram);
            stream.handle_timeout(at);
            while stream.poll_output().is_some() {}
        }
        begin.elapsed().as_nanos() as f64 / datagrams.len() as f64
    };
    (0..10).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn stream(start: Instant, codec: Codec) -> Stream {
    let config = StreamConfig {
        remote: PEER.parse().unwrap(),
        rate: codec.rate(),
        codec,
        opus: OpusTerms::default(),
        payload_type: 96,
        accepted: vec![(96, codec)],
        ssrc: Ssrc(1),
        first_seq: Seq(0),
        first_timestamp: RtpTimestamp(0),
        events: None,
        rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
    };
    Stream::new(start, config)
}

fn packets(pcm: &[i16], codec: Codec) -> impl Iterator<Item = Vec<u8>> {
    let mut encoder = Encoder::new(codec.rate(), codec, OpusTerms::default());
    (0..).zip(pcm.chunks_exact(codec.rate().frame_samples())).map(move |(n, piece): (u32, _)| {
        Packet {
            payload_type: 96,
            marker: n == 0,
            seq: Seq(n as u16),
            timestamp: RtpTimestamp(n * codec.frame_ticks()),
            ssrc: Ssrc(2),
            payload: &encoder.encode(piece).expect("sound"),
        }
        .build()
    })
}

fn read(path: &Path) -> Vec<i16> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("16 bits")).collect();
    resample(&samples, reader.spec().sample_rate, 16_000).expect("a rate of speech")
}
