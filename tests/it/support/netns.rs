//! A network for one test: a namespace, in which every peer finds the standard ports free and which nothing outlives, or the
//! machine's own for what speaks with a stand-in inside the test.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Calls with real peers run one after the other: two at once would only measure each other on a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);
const PREFIX: &str = "secretary-test";

/// A loopback-only network and a folder for the files of a test. On drop every process inside is killed, and the folder is
/// removed unless the test failed.
pub struct Netns {
    /// `None`: the machine's own network.
    namespace: Option<String>,
    dir: PathBuf,
    /// Of the secretary in it.
    pub address: Ipv4Addr,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Netns {
    pub fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        remove_leftovers();
        Self::namespace(Some(turn))
    }

    /// Another one in the same turn, for peers that do not disturb those of this one.
    pub fn beside(&self) -> Self {
        Self::namespace(None)
    }

    fn namespace(turn: Option<MutexGuard<'static, ()>>) -> Self {
        let (name, dir) = name_and_dir();
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self { namespace: Some(name), dir, address: Ipv4Addr::LOCALHOST, _turn: turn }
    }

    /// The name under which the system knows it.
    pub fn name(&self) -> &str {
        self.namespace.as_deref().expect("a namespace of its own")
    }

    /// Runs `program` inside to its end, with `input`.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("its input");
        let output = child.wait_with_output().expect("its end");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {}: {error}", arguments.join(" "));
    }

    /// The machine's own network.
    pub fn host() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (_, dir) = name_and_dir();
        Self { namespace: None, dir, address: Ipv4Addr::LOCALHOST, _turn: Some(turn) }
    }

    /// The machine's own network without waiting for a turn: for light peers on free ports, which measure nothing.
    pub fn shared() -> Self {
        let (_, dir) = name_and_dir();
        Self { namespace: None, dir, address: Ipv4Addr::LOCALHOST, _turn: None }
    }

    /// Where peers and the secretary put their files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The processes inside.
    pub fn processes(&self) -> Vec<String> {
        let Some(name) = &self.namespace else { return Vec::new() };
        let output = Command::new("ip").args(["netns", "pids", name]).output().expect("the ip program");
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
    }

    /// `program`, to be run inside; it keeps the process id that it is started with.
    pub fn command(&self, program: &str) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, program]);
                command
            }
        }
    }
}

fn name_and_dir() -> (String, PathBuf) {
    let name = format!("{PREFIX}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(&name);
    fs::create_dir(&dir).expect("a folder for the test");
    (name, dir)
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Some(name) = &self.namespace {
            remove(name);
        }
        if std::thread::panicking() {
            eprintln!("files of the failed test: {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("the ip program (package iproute2): run ./test.sh");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ip {}: {error}(namespaces need root: run ./test.sh as root)",
        arguments.join(" ")
    );
}

/// Namespaces of test runs that were killed before they could clean up.
fn remove_leftovers() {
    let Ok(names) = fs::read_dir("/run/netns") else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).status();
}
