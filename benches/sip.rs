//! How many calls a second the SIP side takes: sipp calls a user agent of ours without sound or engines (INVITE, 200, ACK, half a
//! second, BYE) at rising rates, and once beyond its capacity. Prints tables for docs/sip.md and asserts nothing.
//!
//! `cargo bench --bench sip`; needs sipp (Debian: sip-tester).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

#[path = "../tests/it/support/agent.rs"]
#[allow(dead_code)]
mod agent;
#[path = "../tests/it/support/scenario.rs"]
mod scenario;
mod usage;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::Agent;
use scenario::{Statistics, file_ending};
use usage::{cpu_seconds, memory_kb};

/// Calls a second.
const RATES: [u32; 8] = [50, 100, 200, 400, 800, 1_000, 1_200, 1_600];
/// For how long each rate is held.
const SECONDS: u32 = 8;
const CALL_MS: &str = "500";
/// The rate that is repeated, and after how long: transactions are remembered for 32 s (RFC 3261 §17, Timers J and L).
const AGAIN: u32 = 1_000;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(40);
/// Calls at once that the agent takes, and in the run beyond its capacity, at the rate given.
const ROOM: usize = 10_000;
const LITTLE_ROOM: usize = 100;
const OVERLOAD: u32 = 400;
/// The argument that makes this program the agent under test, followed by its `max_calls`.
const AGENT: &str = "--agent";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == AGENT) {
        return serve(arguments[place + 1].parse().expect("a number of calls"));
    }
    let dir = std::env::temp_dir().join(format!("secretary-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder for the figures");
    println!("| calls/s | success | repeated | setup p50 | setup p95 | CPU-s per 1,000 calls | memory after |");
    println!("|---|---|---|---|---|---|---|");
    // one agent for all rates: memory that grows would show
    let agent = Served::start(ROOM);
    for rate in RATES {
        row(&rate.to_string(), &agent, &Run::new(&dir, "call", rate, &agent));
    }
    // nothing is remembered of the calls any more: the same again needs no more memory
    std::thread::sleep(FORGOTTEN_AFTER);
    row(&format!("{AGAIN} again"), &agent, &Run::new(&dir, "call", AGAIN, &agent));
    drop(agent);
    let agent = Served::start(LITTLE_ROOM);
    let Statistics { successful, failed, completed, .. } = Run::new(&dir, "call_or_full", OVERLOAD, &agent).statistics;
    println!(
        "\nRoom for {LITTLE_ROOM} calls, {OVERLOAD} calls/s: {completed} completed, {} refused with 503 and Retry-After, \
         {failed} failed.",
        successful.saturating_sub(completed)
    );
    // What was measured is printed; the folder is of no more use.
    let _ = fs::remove_dir_all(&dir);
}

fn row(title: &str, agent: &Served, run: &Run) {
    let Statistics { successful, failed, retransmissions, .. } = run.statistics;
    let calls = (successful + failed).max(1) as f64;
    println!(
        "| {title} | {:.2} % | {} | {:.0} ms | {:.0} ms | {:.2} | {:.1} MB |",
        100.0 * successful as f64 / calls,
        retransmissions,
        run.percentile(50),
        run.percentile(95),
        run.cpu_seconds * 1e3 / calls,
        memory_kb(agent.process.id()) / 1_024.0,
    );
}

/// The agent: says its port and serves until it is killed.
fn serve(max_calls: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let agent = Agent::start(agent::config(max_calls)).await;
        println!("{}", agent.address().port());
        agent.serve().await;
    });
}

/// The agent as a process of its own, so that its CPU time and memory can be told.
struct Served {
    process: Child,
    port: u16,
}

impl Served {
    fn start(max_calls: usize) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        let mut process =
            command.args([AGENT, &max_calls.to_string()]).stdout(Stdio::piped()).spawn().expect("an agent");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        Self { process, port: line.trim().parse().expect("a port") }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It is killed in the middle of nothing, and waited for so that it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What sipp counted in one run.
struct Run {
    statistics: Statistics,
    /// From INVITE to 200 in ms, sorted; sipp's clock has steps of some milliseconds.
    setup_ms: Vec<f64>,
    /// What the agent used, until a second after the last call.
    cpu_seconds: f64,
}

impl Run {
    fn new(dir: &Path, scenario: &str, rate: u32, agent: &Served) -> Self {
        let runs = fs::read_dir(dir).map(Iterator::count).unwrap_or_default();
        let dir = dir.join(format!("{runs}-{scenario}-{rate}"));
        let cpu_before = cpu_seconds(agent.process.id());
        fs::create_dir_all(&dir).expect("a folder for sipp");
        fs::write(dir.join("call.xml"), scenario::text(scenario)).expect("the scenario");
        let status = Command::new("sipp")
            .current_dir(&dir)
            .args([
                &format!("127.0.0.1:{}", agent.port),
                "-sf",
                "call.xml",
                "-i",
                "127.0.0.1",
                "-mi",
                "127.0.0.1",
                "-bind_local",
            ])
            .args(["-r", &rate.to_string(), "-m", &(rate * SECONDS).to_string(), "-d", CALL_MS, "-l", "100000"])
            .args(["-recv_timeout", "20000", "-timer_resol", "1", "-nostdin", "-trace_stat", "-stf", "statistics.csv"])
            .args(["-fd", "1", "-trace_rtt", "-rtt_freq", "1", "-trace_counts"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.expect("sipp (Debian: sip-tester)");
        let statistics = Statistics::read(&dir);
        let mut setup_ms = file_ending(&dir, "_rtt.csv").map(|file| response_times(&file)).unwrap_or_default();
        setup_ms.sort_by(f64::total_cmp);
        // The agent's transactions and sipp's sockets come to rest.
        std::thread::sleep(Duration::from_secs(1));
        Self { statistics, setup_ms, cpu_seconds: cpu_seconds(agent.process.id()) - cpu_before }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let place = (self.setup_ms.len() * percent / 100).min(self.setup_ms.len().saturating_sub(1));
        self.setup_ms.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// The second column of what `-trace_rtt` writes: `date;milliseconds;name`.
fn response_times(file: &Path) -> Vec<f64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.split(';').nth(1)?.parse().ok()).collect()
}
