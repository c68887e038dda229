//! Programs that speak: started, asked with a time limit, and never left behind.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Cancel;

/// How often one who waits for a program looks whether its answer is still wanted.
const LOOK: Duration = Duration::from_millis(10);
/// No program has more to say.
const MAX_OUTPUT: u64 = 64 << 20;
const MAX_LINE: u64 = 4_096;

/// A child that is killed and reaped when dropped.
pub struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Program {
    /// Starts a program with pipes to its input and output; what it writes to stderr is dropped.
    pub fn start(program: &str, args: &[String]) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(|e| format!("start {program}: {e}"))
    }

    /// Gives it all its input and waits for it to end: its output.
    pub fn finish(mut self, input: &str, limit: Duration, cancel: &Cancel) -> Result<Vec<u8>, String> {
        // An ended program's pipe is broken, which its status tells better.
        let written = self.0.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        let stdout = self.0.stdout.take().ok_or("it has no output")?;
        let (send, output) = sync_channel(1);
        let read = move || {
            let mut bytes = Vec::new();
            let read = stdout.take(MAX_OUTPUT).read_to_end(&mut bytes);
            drop(send.send(read.map(|_| bytes)));
        };
        // Ends with the pipe, so with the program.
        thread::Builder::new().name("voice-output".into()).spawn(read).map_err(|e| e.to_string())?;
        let bytes = wait(&output, limit, cancel).map_err(|silence| silence.to_string())?;
        let bytes = bytes.map_err(|e| format!("read its output: {e}"))?;
        let status = self.0.wait().map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        match written.transpose() {
            // Whoever ends well without reading has heard enough.
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(format!("write its input: {e}")),
            _ => Ok(bytes),
        }
    }

    /// The lines of its output as they come; the channel ends with the program.
    pub fn lines(&mut self) -> Result<Receiver<String>, String> {
        let mut stdout = BufReader::new(self.0.stdout.take().ok_or("it has no output")?);
        let (send, lines) = sync_channel(16);
        let read = move || {
            let mut line = Vec::new();
            while matches!((&mut stdout).take(MAX_LINE).read_until(b'\n', &mut line), Ok(1..)) {
                if send.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        };
        thread::Builder::new().name("voice-output".into()).spawn(read).map_err(|e| e.to_string())?;
        Ok(lines)
    }

    #[cfg(test)]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    #[cfg(test)]
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Gives a running program a line of input.
    pub fn write_line(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.0.stdin.as_mut().ok_or("it has no input")?;
        stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush()).map_err(|e| e.to_string())
    }
}

/// Why a program has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    #[error("cancelled")]
    Cancelled,
    #[error("no answer in {0:?}")]
    TimedOut(Duration),
    #[error("it ended")]
    Ended,
}

/// The next answer, unless it is not wanted any more.
pub fn wait<T>(answers: &Receiver<T>, limit: Duration, cancel: &Cancel) -> Result<T, Silence> {
    #[expect(clippy::disallowed_methods, reason = "waits for another program")]
    let began = Instant::now();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        match answers.recv_timeout(left.min(LOOK)) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(Silence::Ended),
            Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => return Err(Silence::Cancelled),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Silence::TimedOut(limit)),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Whether a program of that name or path is there to be started.
pub fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::start("sh", &["-c".into(), script.into()]).unwrap()
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn output_is_what_the_program_wrote() {
        assert_eq!(
            sh("cat; echo end").finish("слово\n", LIMIT, &Cancel::default()).unwrap(),
            "слово\nend\n".as_bytes()
        );
    }

    #[test]
    fn failing_program_is_an_error() {
        assert!(sh("exit 3").finish("", LIMIT, &Cancel::default()).unwrap_err().contains('3'));
        let error = Program::start("no-such-program", &[]).err().unwrap();
        assert!(error.starts_with("start no-such-program"), "{error}");
    }

    #[test]
    fn program_that_hangs_is_given_up_and_killed() {
        let (limit, cancel) = (Duration::from_millis(200), Cancel::default());
        let error = sh("echo $$; exec sleep 1000").finish("", limit, &cancel).unwrap_err();
        assert!(error.starts_with("no answer"), "{error}");
    }

    #[test]
    fn program_that_is_not_wanted_any_more_is_not_waited_for() {
        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(sh("exec sleep 1000").finish("", LIMIT, &cancel).unwrap_err(), "cancelled");
        let mut program = sh("echo first");
        let lines = program.lines().unwrap();
        assert_eq!(wait(&lines, LIMIT, &Cancel::default()), Ok("first".to_owned()));
        assert_eq!(wait(&lines, LIMIT, &Cancel::default()), Err(Silence::Ended));
    }

    #[test]
    fn dropped_program_is_gone() {
        let mut program = sh("echo $$; exec sleep 1000");
        let pid = program.lines().unwrap().recv().unwrap();
        drop(program);
        assert!(!Path::new("/proc").join(pid).exists());
    }

    #[test]
    fn installed_programs_are_known() {
        assert!(is_installed("sh") && is_installed("/bin/sh"));
        assert!(!is_installed("no-such-program") && !is_installed("/bin/no-such-program"));
    }
}
