//! What the sound of many calls costs: 50 packets a second each way, a prompt played, both sides recorded, no engines. Prints
//! a table for docs/media.md and asserts nothing.
//!
//! `cargo bench --bench media`. The calls are a process of their own, so that their CPU time and memory can be told; the
//! telephones are another, and how regular our packets are is what they see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod usage;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Local;
use secretary::call::EndedBy;
use secretary::log::{CallLog, CallRecord, Direction, Disk, LogItem, LogWriter, Status};
use secretary::net::media::{Media, next_beat};
use secretary::net::ports::{MediaSockets, PortPool};
use secretary::rtp::codec::{Codec, OpusTerms, g711};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::{FRAME_DURATION, Output, Rate, Stream, StreamConfig};
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout_at};
use usage::{cpu_seconds, memory_kb};

const CALLS: [usize; 4] = [50, 100, 200, 400];
/// Everything is at its pace before it is measured, and for how long it is.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);
/// Sound goes to the call log in pieces of 400 ms, as in a call.
const LOG_SAMPLES: usize = 3_200;
/// So much the playout has beforehand.
const LEAD_SAMPLES: usize = 20 * Rate::Narrow.frame_samples();
const PORTS: (u16, u16) = (30_000, 32_000);
/// The arguments that make this program one of the two sides.
const SERVE: &str = "--serve";
const CALL: &str = "--call";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| &arguments[at + 1..]);
    if let Some(rest) = after(SERVE) {
        return serve(rest[0].parse().expect("a number of calls"), Path::new(&rest[1]));
    }
    if let Some(ports) = after(CALL) {
        return call(ports.iter().map(|port| port.parse().expect("a port")).collect());
    }
    println!("| calls | CPU of a core per call | memory per call | deviation p50 | p99 | lost |");
    println!("|---|---|---|---|---|---|");
    let nothing = Served::start(0);
    let empty_kb = memory_kb(nothing.process.id());
    drop(nothing);
    for calls in CALLS {
        let served = Served::start(calls);
        let telephones = spawn(&[&[CALL.to_owned()][..], &served.ports].concat());
        std::thread::sleep(WARM_UP);
        let before = cpu_seconds(served.process.id());
        std::thread::sleep(MEASURED);
        let cpu = cpu_seconds(served.process.id()) - before;
        let kb = memory_kb(served.process.id()) - empty_kb;
        let output = telephones.wait_with_output().expect("the telephones");
        let seen = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        println!(
            "| {calls} | {:.3} % | {:.0} KB | {seen} |",
            100.0 * cpu / MEASURED.as_secs_f64() / calls as f64,
            kb / calls as f64
        );
    }
}

fn spawn(arguments: &[String]) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("a process")
}

/// The calls, in a process of their own.
struct Served {
    process: Child,
    ports: Vec<String>,
    dir: std::path::PathBuf,
}

impl Served {
    fn start(calls: usize) -> Self {
        let dir = std::env::temp_dir().join(format!("secretary-bench-{}-{calls}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder for the recordings");
        let mut process = spawn(&[SERVE.to_owned(), calls.to_string(), dir.display().to_string()]);
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("its ports");
        Self { process, ports: line.split_whitespace().map(str::to_owned).collect(), dir }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It is killed in the middle of nothing, and waited for so that it is gone; the recordings are of no more use.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// One core's worth of threads would be fewer than a secretary has: the runtime is as hers.
fn serve(calls: usize, dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let disk = Disk::start(dir).expect("a folder");
        let pool = PortPool::new(&[Ipv4Addr::LOCALHOST.into()], PORTS.0, PORTS.1);
        let sockets: Vec<MediaSockets> =
            (0..calls).map(|_| pool.bind(Ipv4Addr::LOCALHOST.into()).expect("a port")).collect();
        let ports: Vec<String> = sockets.iter().map(|s| s.port().to_string()).collect();
        println!("{}", ports.join(" "));
        let prompt: Arc<[i16]> = (0..40_000).map(|n| (f64::from(n) * 0.3).sin().mul_add(8_000.0, 0.0) as i16).collect();
        let calls: Vec<_> = sockets
            .into_iter()
            .map(|sockets| tokio::spawn(one_call(sockets, prompt.clone(), disk.desk().open(log(dir)))))
            .collect();
        for call in calls {
            call.await.expect("a call");
        }
        // It ends when it is killed.
        std::future::pending::<()>().await;
    });
}

fn log(dir: &Path) -> CallLog {
    let record = CallRecord {
        status: Status::InProgress,
        direction: Direction::Incoming,
        caller: "sip:bench@127.0.0.1".to_owned(),
        caller_number: None,
        caller_name: None,
        callee: "sip:bench@127.0.0.1".to_owned(),
        called: String::new(),
        diverted_from: None,
        account: None,
        sip_call_id: String::new(),
        codec: Some("PCMA".to_owned()),
        started_at: Local::now(),
        ended_at: None,
        ended_by: None::<EndedBy>,
        recorded_s: 0.0,
        lost_samples: 0,
        message: None,
        notified: None,
        moved_to: Vec::new(),
        quality: None,
        turns: Vec::new(),
    };
    CallLog::create(dir, record, Rate::Narrow.hz()).expect("a call log")
}

/// The loop of a call's driver without the conversation.
async fn one_call(sockets: MediaSockets, prompt: Arc<[i16]>, mut log: LogWriter) {
    let mut stream = Stream::new(
        next_beat(),
        StreamConfig {
            remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            rate: Rate::Narrow,
            codec: Codec::Pcma,
            opus: OpusTerms::default(),
            payload_type: 8,
            accepted: vec![(8, Codec::Pcma)],
            ssrc: Ssrc(rand::random()),
            first_seq: Seq(rand::random()),
            first_timestamp: RtpTimestamp(rand::random()),
            events: None,
            rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: rand::random() },
        },
    );
    stream.set_rtcp(Some(RtcpPath::Muxed));
    let mut media = Media::new(sockets, Instant::now()).expect("sockets");
    let mut report = [0; 1_500];
    let (mut received, mut sent) = (Vec::with_capacity(LOG_SAMPLES), Vec::with_capacity(LOG_SAMPLES));
    let mut at = 0;
    loop {
        // As the mouth does.
        let room = LEAD_SAMPLES.saturating_sub(stream.queued()).min(prompt.len() - at);
        at = (at + stream.play(0, &prompt[at..at + room])) % prompt.len();
        while let Some(output) = stream.poll_output() {
            match output {
                // A telephone that has gone is none of our business here.
                Output::Transmit { to, datagram } => media.send(&datagram, to),
                Output::TransmitRtcp { to, datagram } => media.send_report(&datagram, to),
                Output::Key { .. } | Output::NoKeys(_) => {}
                Output::Tick { received: theirs, sent: ours, .. } => {
                    received.extend_from_slice(&theirs);
                    sent.extend_from_slice(&ours);
                    if received.len() >= LOG_SAMPLES {
                        let empty = || Vec::with_capacity(LOG_SAMPLES);
                        log.audio(std::mem::replace(&mut received, empty()), std::mem::replace(&mut sent, empty()));
                    }
                }
                Output::Skipped { ticks } => {
                    log.item(LogItem::Gap { samples: u64::from(ticks) * Rate::Narrow.frame_samples() as u64 })
                }
            }
        }
        tokio::select! {
            came = media.report(&mut report) => if let Ok((length, from)) = came {
                stream.handle_rtcp(Instant::now(), from, &report[..length]);
            },
            () = sleep_until(stream.poll_timeout().into()) => {
                let now = Instant::now();
                media.receive(now, |at, from, bytes| stream.handle_input(at, from, bytes));
                stream.handle_timeout(now);
            }
        }
    }
}

/// Telephones that talk to these ports; prints what they see of us: the deviation of the time between packets from 20 ms, its
/// median and its 99th percentile, and how much was lost in per cent.
fn call(ports: Vec<u16>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen = runtime.block_on(async {
        let start = Instant::now() + Duration::from_millis(200);
        let count = ports.len() as u32;
        let telephones: Vec<_> = (0..)
            .zip(ports)
            .map(|(n, port)| tokio::spawn(telephone(port, start + FRAME_DURATION * n / count)))
            .collect();
        let mut all = Seen::default();
        for telephone in telephones {
            all.add(telephone.await.expect("a telephone"));
        }
        all
    });
    println!("{}", seen.summary());
}

#[derive(Default)]
struct Seen {
    /// In µs.
    deviations: BTreeMap<u64, u64>,
    expected: u64,
    came: u64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        for (deviation, count) in other.deviations {
            *self.deviations.entry(deviation).or_default() += count;
        }
        self.expected += other.expected;
        self.came += other.came;
    }

    fn percentile_ms(&self, percent: u64) -> f64 {
        let place = self.deviations.values().sum::<u64>() * percent / 100;
        let mut before = 0;
        let found = self.deviations.iter().find(|(_, count)| {
            before += **count;
            before > place
        });
        found.map_or(f64::NAN, |(deviation, _)| *deviation as f64 / 1e3)
    }

    fn summary(&self) -> String {
        let lost = 100.0 * self.expected.saturating_sub(self.came) as f64 / self.expected.max(1) as f64;
        format!("{:.2} ms | {:.2} ms | {lost:.3} %", self.percentile_ms(50), self.percentile_ms(99))
    }
}

async fn telephone(port: u16, start: Instant) -> Seen {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    socket.connect((Ipv4Addr::LOCALHOST, port)).await.expect("a way");
    let payload = g711::encode(Codec::Pcma, &[1_000; Rate::Narrow.frame_samples()]);
    let (end, mut next) = (start + WARM_UP + MEASURED, start);
    let mut packet = Packet {
        payload_type: 8,
        marker: false,
        seq: Seq(0),
        timestamp: RtpTimestamp(0),
        ssrc: Ssrc(u32::from(port)),
        payload: &payload,
    };
    let mut buffer = [0; 2_048];
    let mut seen = Seen::default();
    let (mut first, mut last) = (None, None::<(Instant, u16)>);
    while next < end {
        match timeout_at(next.into(), socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => {
                let (now, Ok(ours)) = (Instant::now(), Packet::parse(&buffer[..length])) else { continue };
                if now < start + WARM_UP {
                    continue;
                }
                if let Some((before, _)) = last {
                    let deviation = (now - before).abs_diff(FRAME_DURATION);
                    *seen.deviations.entry(deviation.as_micros() as u64).or_default() += 1;
                }
                first.get_or_insert(ours.seq.0);
                last = Some((now, ours.seq.0));
                seen.came += 1;
            }
            // Nobody listens there yet.
            Ok(Err(_)) => {}
            Err(_) => {
                // What is lost shows in the call's own counts.
                let _ = socket.send(&packet.build()).await;
                packet.seq = packet.seq.next();
                packet.timestamp = packet.timestamp.wrapping_add(Rate::Narrow.frame_samples() as u32);
                next += FRAME_DURATION;
            }
        }
    }
    if let (Some(first), Some((_, last))) = (first, last) {
        seen.expected = u64::from(last.wrapping_sub(first)) + 1;
    }
    seen
}
