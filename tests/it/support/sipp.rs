//! sipp plays the odd peer: each scenario of tests/data/sipp is one call as it goes with a telephone that loses, cheats or is late.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::netns::Netns;
use super::process::{Process, require_program, wait_until};
use super::scenario::{self, Statistics};

/// Ports of the sipps of all tests, below those that the system gives away.
const FIRST_PORT: u16 = 24_000;
static PORTS: AtomicU16 = AtomicU16::new(0);
/// The longest scenario outlives a session timer of 90 s.
const LONGEST: Duration = Duration::from_secs(180);
/// How long a scenario waits for a message.
const PATIENCE_MS: &str = "12000";

pub struct Sipp {
    process: Process,
    dir: PathBuf,
    scenario: String,
    port: u16,
}

impl Sipp {
    /// Plays a caller of `remote` (`host:port`); `more` are further arguments of sipp.
    pub fn caller(netns: &Netns, scenario: &str, remote: &str, more: &[&str]) -> Self {
        Self::spawn(netns, scenario, &[&[remote], more].concat())
    }

    /// Plays somebody who is called; returns when it listens.
    pub fn callee(netns: &Netns, scenario: &str, more: &[&str]) -> Self {
        let mut sipp = Self::spawn(netns, scenario, more);
        // local and remote address in the kernel's tables
        let listening = format!(" 0100007F:{:04X} 00000000:0000 ", sipp.port);
        let table = if more.contains(&"t1") { "/proc/net/tcp" } else { "/proc/net/udp" };
        wait_until("sipp listens", Duration::from_secs(10), || {
            sipp.process.assert_running();
            let sockets = netns.command("cat").arg(table).output().expect("the sockets");
            String::from_utf8_lossy(&sockets.stdout).contains(&listening).then_some(())
        });
        sipp
    }

    fn spawn(netns: &Netns, scenario: &str, more: &[&str]) -> Self {
        require_program("sipp");
        let port = free_port();
        let dir = netns.dir().join(format!("sipp-{port}"));
        fs::create_dir(&dir).expect("a folder for sipp");
        let file = dir.join(format!("{scenario}.xml"));
        fs::write(&file, scenario::text(scenario)).expect("the scenario");
        let mut command = netns.command("sipp");
        command.current_dir(&dir).arg("-sf").arg(&file);
        command.args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-bind_local", "-p", &port.to_string(), "-nostdin"]);
        command.args(["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-trace_counts"]);
        let given = |name: &str| more.contains(&name);
        for (name, value) in [("-m", "1"), ("-recv_timeout", PATIENCE_MS)] {
            if !given(name) {
                command.args([name, value]);
            }
        }
        command.args(more).env("TERM", "dumb");
        Self { process: Process::spawn("sipp", &mut command, netns.dir()), dir, scenario: scenario.to_owned(), port }
    }

    /// `host:port` where it is reached.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until all its calls went as the scenario says.
    pub fn succeed(mut self) -> Statistics {
        let status = self.process.wait_exit(LONGEST);
        let statistics = Statistics::read(&self.dir);
        assert!(status.success(), "{}: sipp ended with {status}, {statistics:?}", self.scenario);
        statistics
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (log, lines) in [("errors.log", 30), ("messages.log", 200)] {
                let text = fs::read(self.dir.join(log)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let last: Vec<&str> = text.lines().rev().take(lines).collect();
                eprintln!("-- {} of {}:", log, self.scenario);
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// Nobody in this network has it, over UDP or TCP.
fn free_port() -> u16 {
    loop {
        // not the same as those of another test run
        let run = (std::process::id() % 64) as u16 * 100;
        let port = FIRST_PORT + run + PORTS.fetch_add(1, Ordering::Relaxed);
        let address = (Ipv4Addr::LOCALHOST, port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
}
