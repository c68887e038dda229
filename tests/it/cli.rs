//! The commands as a person types them, and what they say when something is wrong.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use secretary::rtp::codec::resample::resample;
use serde_json::Value;

use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::secretary::{Account, Secretary};
use crate::support::wer::wer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_secretary");
const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a command to its end, with nothing of the developer's own environment that matters to it.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(HOME).env_remove("GEMINI_API_KEY").env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn config(dir: &tempfile::TempDir, toml: &str) -> String {
    let path = dir.path().join("secretary.toml");
    fs::write(&path, toml).unwrap();
    path.display().to_string()
}

fn clip(name: &str) -> String {
    Path::new(HOME).join("tests/data/speech").join(name).display().to_string()
}

#[test]
fn a_misspelt_key_stops_the_start_and_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, "[sip]\nbind = \"127.0.0.1\"\n\n[turn]\nend_silense_ms = 500\n");
    let output = run(&["serve", "--config", &config], "");
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains("secretary.toml:5:1: unknown field `end_silense_ms`"), "{error}");
    assert!(error.contains("Did you mean `end_silence_ms`?"), "{error}");
}

#[test]
fn a_port_in_use_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let log = dir.path().join("calls_log");
    let config = config(&dir, &format!("[sip]\nbind = \"127.0.0.1\"\nport = {port}\n[log]\ndir = {log:?}\n"));
    let output = run(&["serve", "--config", &config], "");
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains(&format!("cannot listen on UDP 127.0.0.1:{port}")), "{error}");
    assert!(error.contains("choose another [sip] port"), "{error}");
}

#[test]
fn missing_models_stop_the_start_and_say_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls_log");
    let toml =
        format!("[sip]\nbind = \"127.0.0.1\"\nport = 15098\n[models]\ndir = \"/nowhere\"\n[log]\ndir = {log:?}\n");
    let output = run(&["serve", "--config", &config(&dir, &toml)], "");
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains("/nowhere/libonnxruntime.so") && error.contains("./run.sh"), "{error}");
}

#[test]
fn check_tells_of_each_part_whether_it_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls_log");
    let toml = format!("[sip]\nbind = \"127.0.0.1\"\nport = 15097\n[log]\ndir = {log:?}\n");
    let output = run(&["check", "--config", &config(&dir, &toml)], "");
    let report = stdout(&output);
    println!("{report}");
    assert!(output.status.success(), "{report}{}", stderr(&output));
    let parts =
        ["ONNX Runtime", "voice detection", "recognition", "speaking ru", "speaking en", "front desk", "SIP port"];
    for part in parts {
        assert!(report.lines().any(|line| line.starts_with("ok ") && line.contains(part)), "{part}:\n{report}");
    }
}

#[test]
fn check_counts_what_cannot_be_used_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls_log");
    let toml = format!(
        "[sip]\nbind = \"127.0.0.1\"\nport = 15096\n[log]\ndir = {log:?}\n[stt]\nmodel = \"ggml-none.bin\"\n\
         [[account]]\nname = \"office\"\nregistrar = \"127.0.0.1:9\"\nusername = \"200\"\npassword_env = \"PATH\"\n"
    );
    let output = run(&["check", "--config", &config(&dir, &toml)], "");
    let report = stdout(&output);
    println!("{report}");
    assert!(!output.status.success());
    let failed = |part: &str, what_to_do: &str| {
        let line = report.lines().find(|line| line.starts_with("FAIL") && line.contains(part));
        assert!(line.is_some_and(|line| line.contains(what_to_do)), "{part}:\n{report}");
    };
    failed("recognition", "ggml-none.bin");
    failed("account office", "check");
    assert!(stderr(&output).contains("2 things cannot be used"), "{}", stderr(&output));
}

#[test]
fn a_registrar_that_is_down_does_not_stop_the_program() {
    let netns = Netns::new();
    let account =
        Account { registrar: "127.0.0.1:5999", username: "200", password: "hush-hush-4711", transport: "udp" };
    let secretary = Secretary::start(&netns, 5060, &[account]);
    wait_until("it says that it is not registered", Duration::from_secs(60), || {
        secretary.output().contains("not registered, trying again").then_some(())
    });
    assert!(!secretary.output().contains("hush-hush"), "the password is not in the log");
}

#[test]
fn transcribe_prints_json_for_programs() {
    let output = run(&["transcribe", "--json", &clip("ru_real_0308.wav")], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(wer("Это странно, но я уж как-то привыкла к вам.", json["text"].as_str().unwrap()) <= 0.35, "{json}");
    assert_eq!(json["language"], "ru");
    let segment = &json["segments"][0];
    assert!(segment["start_s"].is_number() && segment["end_s"].is_number() && segment["text"].is_string(), "{json}");
    assert!((json["audio_s"].as_f64().unwrap() - 4.3).abs() < 0.1, "{json}");
    assert!(json["processing_s"].as_f64().unwrap() > 0.0);
}

#[cfg(feature = "cuda")]
#[test]
fn without_a_card_one_line_says_so_and_the_processor_recognises() {
    let mut command = Command::new(PROGRAM);
    command.args(["transcribe", &clip("en_real_cities_1.wav")]).current_dir(HOME).env_remove("RUST_LOG");
    // Hides cards from CUDA where there are some.
    let output = command.env("CUDA_VISIBLE_DEVICES", "-1").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let log = stderr(&output);
    assert!(
        log.contains("no CUDA device answers: the processor recognises speech") && log.lines().count() == 1,
        "{log}"
    );
    assert!(wer("It was the best of times, it was the worst of times.", &stdout(&output)) <= 0.15);
}

#[test]
fn transcribe_writes_a_file_of_minutes_with_rising_times() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let spoken = [
        ("en_real_cities_1.wav", "It was the best of times, it was the worst of times."),
        ("en_real_goforward.wav", "go forward ten meters"),
        ("en_real_cities_3.wav", "It was the epoch of belief, it was the epoch of incredulity."),
        ("en_real_austen_0880.wav", "he was not an ill disposed young man"),
    ];
    let (mut said, mut length_s) = (String::new(), 0.0);
    for (file, text) in spoken.iter().cycle().take(32) {
        for sample in hound::WavReader::open(clip(file)).unwrap().samples::<i16>() {
            writer.write_sample(sample.unwrap()).unwrap();
            length_s += 1.0 / 16_000.0;
        }
        said += &format!("{text} ");
    }
    writer.finalize().unwrap();
    let output = run(&["transcribe", "--json", "--language", "en", &path.display().to_string()], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(wer(&said, json["text"].as_str().unwrap()) <= 0.15, "{json}");
    let starts: Vec<f64> =
        json["segments"].as_array().unwrap().iter().map(|segment| segment["start_s"].as_f64().unwrap()).collect();
    println!("{starts:?}");
    assert!(starts.is_sorted() && starts[starts.len() - 1] > 0.9 * length_s, "{starts:?}");
    assert!((json["audio_s"].as_f64().unwrap() - length_s).abs() < 0.1 && length_s > 100.0);
}

#[test]
fn transcribe_refuses_what_is_no_wav_file() {
    let output = run(&["transcribe", &PathBuf::from(HOME).join("Cargo.toml").display().to_string()], "");
    assert!(!output.status.success());
    assert!(stderr(&output).contains("as WAV"), "{}", stderr(&output));
}

#[test]
fn speak_writes_a_wav_file_that_can_be_understood() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav").display().to_string();
    let text = "Good morning, how can I help you today?";
    let output = run(&["speak", "--out", &wav, text], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let heard = stdout(&run(&["transcribe", &wav], ""));
    assert!(wer(text, &heard) <= 0.35, "{heard}");
}

#[test]
fn speak_uses_no_other_voice_than_the_one_named() {
    for (voice, text, why) in
        [("nobody", "Hello", "no voice is named nobody"), ("en_US-joe-medium", "Здравствуйте", "does not speak ru")]
    {
        let output = run(&["speak", "--voice", voice, "--out", "/dev/null", text], "");
        assert!(!output.status.success());
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn chat_takes_a_message_in_writing() {
    let lines = "My name is John Smith, I want to book an appointment.\n415 555 0172\nyes\nno, goodbye\n";
    let output = run(&["chat", "--language", "en"], lines);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("John Smith") && said.contains("4155550172"), "{said}");
}

#[test]
fn a_call_to_nobody_fails_and_says_so() {
    let output = run(&["call", "sip:nobody@127.0.0.1:9"], "");
    assert!(!output.status.success());
    assert!(stderr(&output).contains("not answered"), "{}", stderr(&output));
    assert!(stderr(&run(&["call", "nobody"], "")).contains("not a SIP address"));
}

#[test]
fn a_voice_is_made_of_recordings_only_with_consent_and_without_faults() {
    let dir = tempfile::tempdir().unwrap();
    let voices = dir.path().join("voices").display().to_string();
    let lidia = |n: u32| format!("{HOME}/voices/lidia/lidia_{n}.wav");
    let enroll = |name: &str, wav: &str, more: &[&str]| {
        run(&[&["voices", "enroll", name, wav, "--voices", &voices], more].concat(), "")
    };
    let consent: &[&str] = &["--consent", "Lidia is nobody: the recordings are synthetic"];
    for (name, wav, more, expected) in [
        ("lidia", lidia(1), &[][..], "say who agreed"),
        ("lidia", lidia(1), &["--consent", " "], "without the consent"),
        ("../lidia", lidia(1), consent, "the name of a voice is that of a folder"),
        ("lidia", clip("ns_street.wav"), consent, "recordings will not do"),
        ("lidia", clip("nowhere.wav"), consent, "nowhere.wav"),
    ] {
        let refused = enroll(name, &wav, more);
        assert!(!refused.status.success() && stderr(&refused).contains(expected), "{expected}: {}", stderr(&refused));
    }
    assert!(!Path::new(&voices).exists(), "nothing was written");
    let made = enroll("lidia", &lidia(1), consent);
    assert!(made.status.success(), "{}", stderr(&made));
    println!("{}", stdout(&made));
    assert!(fs::read_to_string(Path::new(&voices).join("lidia/consent.toml")).unwrap().contains("Lidia is nobody"));
    let listed = stdout(&run(&["voices", "list"], ""));
    println!("{listed}");
    assert!(listed.contains("espeak-ng: ru, en; licence: GPL"), "{listed}");
    let tried = run(&["voices", "try", "espeak-ng", "--language", "en"], "");
    assert!(tried.status.success() && tried.stdout.starts_with(b"RIFF") && tried.stdout.len() > 100_000);
}

#[test]
fn a_voice_is_made_of_what_a_caller_said() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls_log");
    fs::create_dir(&log).unwrap();
    let config = dir.path().join("secretary.toml");
    fs::write(&config, format!("[log]\ndir = {log:?}\n")).unwrap();
    let (config, voices) = (config.display().to_string(), dir.path().join("voices").display().to_string());
    let enroll = |call: &str| {
        let consent = "Lidia is nobody: the recordings are synthetic";
        let args = ["voices", "enroll", "lidia", "--call", call, "--voices", &voices, "--config", &config];
        run(&[&args[..], &["--consent", consent]].concat(), "")
    };
    // As the telephone carries it, with half a minute of silence while the other side speaks.
    let record = |call: &str, status: &str, clips: u32| {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(log.join(format!("{call}_input.wav")), spec).unwrap();
        for n in 1..=clips {
            let mut clip = hound::WavReader::open(format!("{HOME}/voices/lidia/lidia_{n}.wav")).unwrap();
            let pcm: Vec<i16> = clip.samples().map(Result::unwrap).collect();
            let pcm = resample(&pcm, clip.spec().sample_rate, 8_000).unwrap();
            pcm.into_iter().chain([0; 240_000]).for_each(|sample| wav.write_sample(sample).unwrap());
        }
        wav.finalize().unwrap();
        fs::write(log.join(format!("{call}_record.json")), format!("{{\"status\":\"{status}\"}}")).unwrap();
    };
    record("call_1", "in_progress", 3);
    record("call_2", "completed", 0);
    record("call_3", "completed", 3);
    for (call, expected) in [
        ("call_0", "no call call_0 in"),
        ("call_1", "call_1 goes on: hang up first"),
        ("call_2", "s of speech are in it"),
    ] {
        let refused = enroll(call);
        assert!(!refused.status.success() && stderr(&refused).contains(expected), "{}", stderr(&refused));
    }
    let made = enroll("call_3");
    println!("{}", stdout(&made));
    assert!(made.status.success(), "{}", stderr(&made));
    let consent = fs::read_to_string(Path::new(&voices).join("lidia/consent.toml")).unwrap();
    assert!(consent.contains("call = \"call_3\""), "{consent}");
    let mut seconds = 0.0;
    for file in fs::read_dir(Path::new(&voices).join("lidia")).unwrap().flatten().map(|file| file.path()) {
        if file.extension().is_some_and(|end| end == "wav") {
            let clip = hound::WavReader::open(file).unwrap();
            seconds += f64::from(clip.duration()) / 8_000.0;
            assert!((48_000..=248_000).contains(&clip.duration()), "{}", clip.duration());
        }
    }
    println!("{seconds:.1} s of speech");
    assert!(seconds > 6.0);
}
