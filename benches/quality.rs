//! What a network does to the voice that is heard, and what receiving it costs. Speech of the tests goes as PCMA through a
//! virtual network into a stream; what comes out is judged by PESQ (ITU-T P.862.1, narrow band) against what went in.
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
use secretary::rtp::codec::{Codec, g711};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpStart};
use secretary::rtp::{Output, Stream, StreamConfig};

#[path = "../tests/it/support/pesq.rs"]
mod pesq;

/// Speech of the tests in pieces of 8 to 12 s, as PESQ wants it.
const SPEECH: [&[&str]; 5] = [
    &["en_message_1", "en_message_2"],
    &["en_real_cities_1", "en_real_austen_0880"],
    &["ru_message_1", "ru_message_3"],
    &["ru_message_2"],
    &["ru_real_0114", "ru_real_0308"],
];
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
    println!("| network | PESQ-NB, mean | worst |");
    println!("|---|---|---|");
    for (name, network) in NETWORKS {
        let scores = score(&dir, &speech, network);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        println!("| {name} | {mean:.2} | {:.2} |", scores.iter().copied().fold(5.0, f64::min));
    }
    let (receiving, both) = (cost_ns(&speech[0], false), cost_ns(&speech[0], true));
    println!("\nOf each 20 ms, receiving takes {receiving:.0} ns, and sending too {both:.0} ns");
}

/// All pieces through the network, some times each.
fn score(dir: &Path, speech: &[Vec<i16>], network: Network) -> Vec<f64> {
    let mut pairs = Vec::new();
    for (n, pcm) in speech.iter().enumerate() {
        for seed in 0..SEEDS {
            let (sent, heard) = (dir.join(format!("{n}.wav")), dir.join(format!("{n}_{seed}.wav")));
            write(&sent, pcm);
            write(&heard, &through(pcm, network, seed));
            pairs.push((sent, heard));
        }
    }
    pesq::judge(&pairs)
}

/// What is heard of `pcm` from the moment its first packet is due.
fn through(pcm: &[i16], network: Network, seed: u64) -> Vec<i16> {
    let (mut rng, mut state) = (StdRng::seed_from_u64(seed), State::default());
    let mut arrivals = Vec::new();
    for (n, piece) in pcm.chunks_exact(160).enumerate() {
        // The first packet comes, so that there is a beginning.
        if let Some(delay) = network(&mut rng, &mut state).or((n == 0).then_some(0)) {
            arrivals.push((20_000 * n as u64 + delay, packet(n as u32, piece)));
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    let start = Instant::now();
    let mut stream = stream(start);
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
    run_until(&mut stream, start + Duration::from_millis(pcm.len() as u64 / 8 + 200));
    heard
}

/// CPU time of one stream in nanoseconds for each 20 ms, the least of some runs.
fn cost_ns(pcm: &[i16], sending: bool) -> f64 {
    let peer: SocketAddr = PEER.parse().unwrap();
    let datagrams: Vec<Vec<u8>> =
        (0..).zip(pcm.chunks_exact(160).cycle()).take(30_000).map(|(n, piece)| packet(n, piece)).collect();
    let run = || {
        let start = Instant::now();
        let mut stream = stream(start);
        stream.set_send(sending);
        let begin = Instant::now();
        for (n, datagram) in (0..).zip(&datagrams) {
            let at = start + Duration::from_millis(20 * n);
            stream.handle_input(at, peer, datagram);
            stream.handle_timeout(at);
            while stream.poll_output().is_some() {}
        }
        begin.elapsed().as_nanos() as f64 / datagrams.len() as f64
    };
    (0..10).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn stream(start: Instant) -> Stream {
    let config = StreamConfig {
        remote: PEER.parse().unwrap(),
        codec: Codec::Pcma,
        payload_type: 8,
        accepted: vec![(8, Codec::Pcma)],
        ssrc: Ssrc(1),
        first_seq: Seq(0),
        first_timestamp: RtpTimestamp(0),
        events: None,
        rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
    };
    Stream::new(start, config)
}

fn packet(n: u32, pcm: &[i16]) -> Vec<u8> {
    Packet {
        payload_type: 8,
        marker: n == 0,
        seq: Seq(n as u16),
        timestamp: RtpTimestamp(n * 160),
        ssrc: Ssrc(2),
        payload: &g711::encode(Codec::Pcma, pcm),
    }
    .build()
}

fn read(path: &Path) -> Vec<i16> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("16 bits")).collect();
    resample(&samples, reader.spec().sample_rate, 8_000).expect("a rate of speech")
}

fn write(path: &Path, pcm: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a WAV");
    for &sample in pcm {
        writer.write_sample(sample).expect("a sample");
    }
    writer.finalize().expect("a WAV");
}
