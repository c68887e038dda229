//! The program under test, run as a user runs it, and what it leaves in its call log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::Value;

use super::netns::Netns;
use super::process::{Process, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_secretary");
/// Models, and everything that the program looks for beside itself, are found from here.
const HOME: &str = env!("CARGO_MANIFEST_DIR");

pub struct Secretary {
    process: Process,
    calls_log: PathBuf,
}

/// An `[[account]]` of secretary.toml at the PBX of the test.
pub struct Account<'a> {
    pub registrar: &'a str,
    pub username: &'a str,
    pub password: &'a str,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
}

impl Secretary {
    /// Answers calls on 127.0.0.1:`port`, registered with `accounts`; returns when it is ready.
    pub fn start(netns: &Netns, port: u16, accounts: &[Account]) -> Self {
        Self::start_with(netns, port, accounts, "", &[])
    }

    /// The same with more in its secretary.toml, from within `[sip]` on, and in its environment.
    pub fn start_with(netns: &Netns, port: u16, accounts: &[Account], more: &str, env: &[(&str, &str)]) -> Self {
        require_models();
        let calls_log = netns.dir().join("calls_log");
        let config = configuration(netns, port, accounts, more);
        let mut command = netns.command(PROGRAM);
        command.args(["serve", "--log-format", "json", "--config"]).arg(&config).current_dir(HOME);
        command.env_remove("GEMINI_API_KEY").envs(env.iter().copied());
        for account in accounts {
            command.env(password_env(account.username), account.password);
        }
        let mut process = Process::spawn("secretary", &mut command, netns.dir());
        process.wait_output("ready", Duration::from_secs(120), is_ready);
        Self { process, calls_log }
    }

    /// What it has printed and logged so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// As Ctrl-C does: ends by itself.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.process.signal("INT");
        self.process.wait_exit(Duration::from_secs(30))
    }

    /// As a power cut does.
    pub fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.wait_exit(Duration::from_secs(10));
    }

    /// All calls of the log, the newest last.
    pub fn calls(&self) -> Vec<CallFiles> {
        CallFiles::all(&self.calls_log)
    }

    /// The newest call of the log, once there is one.
    pub fn wait_call(&self, within: Duration) -> CallFiles {
        self.wait_calls(1, within)
    }

    /// Until so many calls are in the call log, and all of them over as they should be.
    pub fn wait_completed(&self, count: usize, within: Duration) {
        wait_until(&format!("{count} calls are completed"), within, || {
            let calls = self.calls();
            let completed = calls.iter().filter(|call| call.record().status() == "completed").count();
            (calls.len() == count && completed == count).then_some(())
        });
    }

    /// The newest call of the log, once there are so many.
    pub fn wait_calls(&self, count: usize, within: Duration) -> CallFiles {
        let what = format!("{count} calls are in the call log");
        wait_until(&what, within, || {
            let mut calls = self.calls();
            if calls.len() >= count { calls.pop() } else { None }
        })
    }
}

/// Whether the log on stderr, a JSON object a line, has the message that calls are taken now.
fn is_ready(log: &str) -> bool {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| line["fields"]["message"].as_str().map(str::to_owned))
        .any(|message| message.split(|char: char| !char.is_alphanumeric()).any(|word| word == "ready"))
}

/// The secretary.toml of a test; `more` goes on within `[sip]`.
pub fn configuration(netns: &Netns, port: u16, accounts: &[Account], more: &str) -> PathBuf {
    let calls_log = netns.dir().join("calls_log");
    let mut toml = format!("[rtp]\nport_min = 10000\nport_max = 10100\n\n[log]\ndir = {calls_log:?}\n");
    for Account { registrar, username, transport, .. } in accounts {
        toml += &format!(
            "\n[[account]]\nname = \"{username}\"\nregistrar = \"{registrar}\"\nusername = \"{username}\"\n\
             password_env = \"{}\"\ntransport = \"{transport}\"\nexpires_s = 60\n",
            password_env(username)
        );
    }
    toml += &format!("\n[sip]\nbind = \"{}\"\nport = {port}\n{more}", netns.address);
    let file = netns.dir().join("secretary.toml");
    fs::write(&file, toml).expect("secretary.toml");
    file
}

fn password_env(username: &str) -> String {
    format!("SIP_PASSWORD_{username}")
}

fn require_models() {
    for model in ["ggml-base-q8_0.bin", "silero_vad.onnx", "en_US-joe-medium.onnx", "libonnxruntime.so"] {
        let path = Path::new(HOME).join("models").join(model);
        assert!(path.is_file(), "{} is missing: run ./test.sh, which fetches the models", path.display());
    }
}

/// The four files of one call.
pub struct CallFiles {
    stem: PathBuf,
}

impl CallFiles {
    /// All calls, the newest last.
    fn all(calls_log: &Path) -> Vec<Self> {
        let entries = fs::read_dir(calls_log).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut stems: Vec<String> =
            names.filter_map(|name| name.strip_suffix("_record.json").map(str::to_owned)).collect();
        stems.sort_unstable();
        stems.into_iter().map(|stem| Self { stem: calls_log.join(stem) }).collect()
    }

    fn file(&self, ending: &str) -> PathBuf {
        let mut name = self.stem.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    pub fn input(&self) -> PathBuf {
        self.file("_input.wav")
    }

    pub fn output(&self) -> PathBuf {
        self.file("_output.wav")
    }

    pub fn transcript(&self) -> String {
        fs::read_to_string(self.file("_transcript.txt")).expect("the transcript")
    }

    pub fn record(&self) -> Record {
        let text = fs::read_to_string(self.file("_record.json")).expect("the record");
        Record(serde_json::from_str(&text).expect("the record is JSON"))
    }

    /// Waits until the record says what is asked for.
    pub fn wait_record(&self, what: &str, within: Duration, holds: impl Fn(&Record) -> bool) -> Record {
        wait_until(what, within, || Some(self.record()).filter(&holds))
    }
}

/// `record.json`: the one place that knows the names of its fields.
#[derive(Debug)]
pub struct Record(Value);

impl Record {
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    pub fn caller(&self) -> &str {
        self.0["caller"].as_str().unwrap_or_default()
    }

    pub fn ended_by(&self) -> &str {
        self.0["ended_by"].as_str().unwrap_or_default()
    }

    /// A figure of how well the caller (`""`) or the secretary (`"sent"`) could be heard.
    pub fn quality(&self, way: &str, field: &str) -> Option<f64> {
        let quality = &self.0["quality"];
        if way.is_empty() { quality[field].as_f64() } else { quality[way][field].as_f64() }
    }

    /// The codec of the call, as RTP names it.
    pub fn codec(&self) -> &str {
        self.0["codec"].as_str().unwrap_or_default()
    }

    /// Name, number and matter of the message that was taken.
    pub fn message(&self) -> [&str; 3] {
        ["name", "number", "matter"].map(|field| self.0["message"][field].as_str().unwrap_or_default())
    }

    pub fn turns(&self) -> Vec<Turn> {
        let text = |turn: &Value, name: &str| turn[name].as_str().unwrap_or_default().to_owned();
        let turns = self.0["turns"].as_array().map(Vec::as_slice).unwrap_or_default();
        turns
            .iter()
            .map(|turn| Turn {
                caller: text(turn, "caller_text"),
                secretary: text(turn, "secretary_text"),
                heard: text(turn, "heard_text"),
                keys: text(turn, "keys"),
                started_s: turn["started_s"].as_f64().unwrap_or_default(),
                end: text(turn, "turn_end"),
                to_text_ms: turn["latency"]["speech_end_to_text_ms"].as_f64(),
                waited_for: Wait::of(&turn["latency"]["waited_for"]),
                to_filler_ms: turn["latency"]["speech_end_to_filler_ms"].as_f64(),
                to_first_audio_ms: turn["latency"]["speech_end_to_first_audio_ms"].as_f64(),
                greeting_ms: turn["latency"]["answer_to_first_audio_ms"].as_f64(),
            })
            .collect()
    }

    /// The turns in which the caller spoke and has heard an answer.
    pub fn answered_turns(&self) -> Vec<Turn> {
        self.turns().into_iter().filter(|turn| !turn.caller.is_empty() && !turn.heard.is_empty()).collect()
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "some figures are for benches/answer.rs alone")]
pub struct Turn {
    /// What the caller said, as it was understood.
    pub caller: String,
    /// What the secretary answered, and what of it was spoken.
    pub secretary: String,
    pub heard: String,
    /// The keys that the caller pressed.
    pub keys: String,
    /// When it began, from the answered call on.
    pub started_s: f64,
    /// What ended the caller's turn.
    pub end: String,
    /// From the end of the caller's speech to his words.
    pub to_text_ms: Option<f64>,
    /// What the time to the first sample of the answer went to.
    pub waited_for: Option<Wait>,
    /// From the end of his speech to «Секунду…».
    pub to_filler_ms: Option<f64>,
    /// From the end of the caller's speech to the first sample of the answer on the wire.
    pub to_first_audio_ms: Option<f64>,
    /// From the answered call to the first sample of the greeting.
    pub greeting_ms: Option<f64>,
}

/// The parts of the wait for an answer, in milliseconds.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "for benches/answer.rs")]
pub struct Wait {
    pub decide: f64,
    pub transcribe: f64,
    pub think: f64,
    pub speak: f64,
    pub play: f64,
}

impl Wait {
    fn of(value: &Value) -> Option<Self> {
        let ms = |name: &str| value[name].as_f64();
        Some(Self {
            decide: ms("decide_ms")?,
            transcribe: ms("transcribe_ms")?,
            think: ms("think_ms")?,
            speak: ms("speak_ms")?,
            play: ms("play_ms")?,
        })
    }
}

/// `secretary call`: plays each recording when the other side falls silent, and returns when the call is over.
pub fn call(netns: &Netns, uri: &str, play: &[PathBuf]) -> Output {
    let mut command = call_command(netns, uri);
    for file in play {
        command.arg("--play").arg(file);
    }
    command.output().expect("the program")
}

/// `secretary call`, to be given more arguments.
pub fn call_command(netns: &Netns, uri: &str) -> Command {
    let mut command = netns.command(PROGRAM);
    command.args(["call", uri]).current_dir(HOME);
    command
}

/// What the program itself recognises in a recording of this language.
pub fn transcribe(recording: &Path, language: &str) -> String {
    let mut command = Command::new(PROGRAM);
    let output = command
        .args(["transcribe", "--json", "--language", language])
        .arg(recording)
        .current_dir(HOME)
        .output()
        .expect("the program");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "secretary transcribe {}: {error}", recording.display());
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON from secretary transcribe");
    answer["text"].as_str().expect("the text").to_owned()
}
