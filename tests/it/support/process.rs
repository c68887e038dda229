//! A program that runs beside a test: its output is kept, it is waited for with a deadline, and it dies with the test.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints on both streams goes to a file in `dir`.
    pub fn spawn(name: &str, command: &mut Command, dir: &Path) -> Self {
        let outputs = (1..).map(|number| dir.join(format!("{name}-{number}.out")));
        let output = outputs.into_iter().find(|path| !path.exists()).expect("a free name");
        let file = File::create(&output).expect("a file for the output");
        let streams = (file.try_clone().expect("a second handle"), file);
        command.stdin(Stdio::piped()).stdout(streams.0).stderr(streams.1);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.into(), child, output }
    }

    /// All that it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&mut self, text: &str, within: Duration) {
        self.wait_output(text, within, |output| output.contains(text));
    }

    /// Waits until what it has printed satisfies `enough`.
    pub fn wait_output(&mut self, what: &str, within: Duration, enough: impl Fn(&str) -> bool) {
        let deadline = Deadline::after(within);
        while !enough(&self.output()) {
            self.assert_running();
            assert!(!deadline.pause(), "{} did not print {what:?} in {within:?}", self.name);
        }
    }

    /// Fails when it has ended.
    pub fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("the state of a child");
        assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
    }

    /// Types a line, as a person would at its prompt.
    pub fn type_line(&mut self, line: &str) {
        let prompt = self.child.stdin.as_mut().expect("a pipe to its input");
        writeln!(prompt, "{line}")
            .and_then(|()| prompt.flush())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Presses keys at its prompt, at a person's pace.
    pub fn type_keys(&mut self, keys: &str) {
        let prompt = self.child.stdin.as_mut().expect("a pipe to its input");
        for key in keys.chars() {
            write!(prompt, "{key}").and_then(|()| prompt.flush()).unwrap_or_else(|e| panic!("{}: {e}", self.name));
            let deadline = Deadline::after(Duration::from_millis(400));
            while !deadline.pause() {}
        }
    }

    /// Sends a signal by its name without SIG: `INT`, `KILL`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "{} could not be sent {signal}", self.name);
    }

    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let deadline = Deadline::after(within);
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return status;
            }
            assert!(!deadline.pause(), "{} still runs after {within:?}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let last: Vec<&str> = output.lines().rev().take(40).collect();
            eprintln!("-- the end of what {} printed:", self.name);
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Asks again and again until there is an answer; a test that waits longer than `within` fails.
pub fn wait_until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(within);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(!deadline.pause(), "{what}: not in {within:?}");
    }
}

/// Real programs are waited for in real time: the one place in the tests that looks at a clock.
pub struct Deadline(Instant);

#[allow(clippy::disallowed_methods)]
impl Deadline {
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Waits a moment; true when the time is over.
    pub fn pause(&self) -> bool {
        std::thread::sleep(Duration::from_millis(50));
        Instant::now() >= self.0
    }

    /// What is left of the time.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Fails with advice when a peer is not installed.
pub fn require_program(name: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    assert!(found, "{name} is not installed: run ./test.sh, which sets up what the tests need");
}
