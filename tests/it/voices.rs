//! What all voices have in common: they are equally loud, are broken off at any time, and give way to the next one.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use Language::{En, Ru};
use ebur128::{EbuR128, Mode};
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::xtts::XttsConfig;
use secretary::engine::tts::{
    CommandConfig, SpeakJob, SpeechChunk, Tts, TtsConfig, TtsError, VitsConfig, VoiceConfig, VoiceOrder,
};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

use crate::support::asterisk::{self, Asterisk};
use crate::support::baresip::Baresip;
use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::secretary::Secretary;
use crate::support::speech::models;
use crate::support::wav;

/// How loud every voice is to be, and how near to it a few sentences come.
const LOUDNESS_LUFS: f64 = -20.0;
const NEAR_LU: f64 = 2.0;

fn start(workers: usize, voices: &[VoiceConfig]) -> Tts {
    let onnx = OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap();
    let tts = Tts::start(&TtsConfig { workers, voices: voices.to_vec(), ..TtsConfig::default() }, &onnx).unwrap();
    for (voice, report) in voices.iter().zip(tts.voices()) {
        assert_eq!(report.problem, None, "{}", voice.name());
    }
    tts
}

fn joe() -> VoiceConfig {
    VoiceConfig::Vits(VitsConfig::new(En, models().join("en_US-joe-medium.onnx")))
}

fn festival() -> VoiceConfig {
    VoiceConfig::Command(CommandConfig::festival_ru())
}

/// The voice of a bundle that was never trained.
fn cloned(folder: &Path) -> VoiceConfig {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/xtts");
    fs::copy(data.join("golden/clip_a.wav"), folder.join("1.wav")).unwrap();
    VoiceConfig::Xtts(XttsConfig {
        name: Some("cloned".into()),
        bundle: data,
        voice: folder.to_owned(),
        references: Vec::new(),
        languages: Vec::new(),
        accept_licence: None,
        threads: 1,
    })
}

/// A voice that is a tone whatever it is asked.
fn tone(folder: &Path, hz: u32) -> VoiceConfig {
    VoiceConfig::Command(CommandConfig {
        name: format!("tone {hz}"),
        languages: vec![Ru, En],
        program: tone_program(folder, hz),
        args: Vec::new(),
        request: Some("{wav} {done}".into()),
        pronounce: BTreeMap::new(),
        licence: String::new(),
    })
}

/// Its program, which writes its process number beside itself.
fn tone_program(folder: &Path, hz: u32) -> String {
    let program = folder.join(format!("tone-{hz}"));
    let script = format!(
        "#!/bin/sh\necho $$ >\"$0.pid\"\nwhile read -r wav done; do\n\
         sox -q -n -r 8000 -b 16 \"$wav\" synth 0.6 sine {hz} gain -12; echo \"$done\"\ndone\n"
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

fn ask(tts: &Tts, text: &str, language: Language, voices: &VoiceOrder, cancel: &Cancel) -> Receiver<SpeechChunk> {
    let (send, chunks) = sync_channel(64);
    let (text, voices, cancel, priority) = (text.to_owned(), voices.clone(), cancel.clone(), Priority::Final);
    tts.speak(SpeakJob { text, language, rate_hz: 8_000, voices, cancel, priority }, move |chunk| {
        drop(send.send(chunk));
        ControlFlow::Continue(())
    })
    .unwrap();
    chunks
}

fn said_in(tts: &Tts, text: &str, language: Language, voices: &VoiceOrder) -> Vec<i16> {
    let mut said = Vec::new();
    for chunk in ask(tts, text, language, voices, &Cancel::default()) {
        match chunk {
            SpeechChunk::Pcm(pcm) => said.extend(pcm),
            SpeechChunk::Done => return said,
            SpeechChunk::Failed(error) => panic!("{error}"),
        }
    }
    panic!("it neither ended nor failed")
}

fn said(tts: &Tts, text: &str, language: Language) -> Vec<i16> {
    said_in(tts, text, language, &VoiceOrder::default())
}

/// By how often it crosses zero.
fn pitch_hz(pcm: &[i16]) -> usize {
    let crossings = pcm.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    crossings * 8_000 / pcm.len().max(1)
}

#[test]
fn all_are_equally_loud() {
    let espeak = |_: &Path| VoiceConfig::Command(CommandConfig { name: "espeak".into(), ..CommandConfig::espeak() });
    let russian = [
        "Здравствуйте! Чем я могу вам помочь?",
        "Приём у врача стоит три тысячи рублей.",
        "Мы работаем с девяти утра до шести вечера.",
    ];
    let english = [
        "Hello! How can I help you today?",
        "The consultation costs thirty dollars.",
        "We are open from nine in the morning until six in the evening.",
    ];
    let folder = tempfile::tempdir().unwrap();
    let voices = [
        (festival(), Ru, russian),
        (joe(), En, english),
        (espeak(folder.path()), Ru, russian),
        (espeak(folder.path()), En, english),
        (tone(folder.path(), 500), En, english),
    ];
    for (voice, language, sentences) in voices {
        let name = voice.name();
        let tts = start(1, &[voice]);
        let mut meter = EbuR128::new(1, 8_000, Mode::I).unwrap();
        for sentence in sentences {
            meter.add_frames_i16(&said(&tts, sentence, language)).unwrap();
        }
        let lufs = meter.loudness_global().unwrap();
        println!("{name}, {language}: {lufs:.1} LUFS");
        assert!((lufs - LOUDNESS_LUFS).abs() < NEAR_LU, "{name}: {lufs} LUFS");
    }
}

#[test]
fn an_account_s_voices_are_heard_before_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let tts = start(1, &[tone(folder.path(), 400), tone(folder.path(), 800), joe()]);
    let order = |names: &[&str]| tts.order(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let pitch = |order: &VoiceOrder| pitch_hz(&said_in(&tts, "How can I help you?", En, order));
    assert!(pitch(&VoiceOrder::default()).abs_diff(400) < 10);
    assert!(pitch(&order(&["tone 800"]).unwrap()).abs_diff(800) < 10);
    assert!(pitch(&order(&["tone 800", "tone 400"]).unwrap()).abs_diff(800) < 10);
    // What one has said is not played for the other.
    let text = "How can I help you?";
    let cached = |order: &VoiceOrder| tts.cached(text, En, 8_000, order).map(|pcm| pitch_hz(&pcm.concat()));
    assert!(cached(&VoiceOrder::default()).unwrap().abs_diff(400) < 10);
    assert!(cached(&order(&["tone 800"]).unwrap()).unwrap().abs_diff(800) < 10);
    assert_eq!(cached(&order(&["en_US-joe-medium"]).unwrap()), None);
    let error = order(&["anna"]).unwrap_err().to_string();
    assert!(
        error.contains("no voice is named \"anna\"; the voices are tone 400, tone 800, en_US-joe-medium"),
        "{error}"
    );
}

#[test]
fn callers_of_an_account_hear_its_voice() {
    let netns = Netns::new();
    let asterisk = Asterisk::start(&netns);
    let mut more = String::new();
    for hz in [400, 800] {
        more += &format!(
            "[[tts.voices]]\nkind = \"command\"\nname = \"tone {hz}\"\nlanguages = [\"ru\", \"en\"]\n\
             program = {:?}\nrequest = \"{{wav}} {{done}}\"\n",
            tone_program(netns.dir(), hz)
        );
    }
    let (username, password) = asterisk::SECRETARY;
    more += &format!(
        "[[account]]\nname = \"office\"\nregistrar = {:?}\nusername = {username:?}\npassword_env = \"TONE\"\n\
         voices = [\"tone 800\"]\n",
        asterisk::ADDRESS
    );
    let secretary = Secretary::start_with(&netns, 5070, &[], &more, &[("TONE", password)]);
    asterisk.wait_registered(username, Duration::from_secs(30));
    let silence = netns.dir().join("silence.wav");
    wav::write(&silence, &[0; 30 * wav::TELEPHONE_HZ as usize], wav::TELEPHONE_HZ);
    let mut caller = Baresip::call_extension(&netns, asterisk::ADDRESS, asterisk::PHONE, username, &silence);
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    wait_until("she greets", Duration::from_secs(30), || (wav::seconds(&call.output()) > 2.0).then_some(()));
    caller.hang_up();
    call.wait_record("the call is over", Duration::from_secs(10), |record| record.status() == "completed");
    let mut output = hound::WavReader::open(call.output()).unwrap();
    let heard: Vec<i16> = output.samples().map(Result::unwrap).collect();
    let spoken: Vec<i16> = heard.into_iter().skip_while(|sample| sample.abs() < 500).take(3_000).collect();
    assert!(pitch_hz(&spoken).abs_diff(800) < 10, "{} Hz", pitch_hz(&spoken));
}

#[test]
fn the_sentence_after_one_was_killed_comes_from_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let tts = start(1, &[tone(folder.path(), 400), tone(folder.path(), 800)]);
    let (pid, program) = (folder.path().join("tone-400.pid"), folder.path().join("tone-400"));
    let kill = || {
        let pid = fs::read_to_string(&pid).unwrap().trim().to_owned();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        // Its parent has not looked yet: what is left of it has no memory.
        wait_until("the voice is dead", Duration::from_secs(10), || {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            maps.is_empty().then_some(())
        });
    };
    assert!(pitch_hz(&said(&tts, "One.", En)).abs_diff(400) < 10);
    kill();
    assert!(pitch_hz(&said(&tts, "Two.", En)).abs_diff(400) < 10, "it is started again");
    fs::remove_file(&program).unwrap();
    kill();
    assert!(pitch_hz(&said(&tts, "Three.", En)).abs_diff(800) < 10, "it cannot be: the next one speaks");
    assert!(pitch_hz(&said(&tts, "Four.", En)).abs_diff(800) < 10);
    assert!(tts.cached("Four.", En, 8_000, &VoiceOrder::default()).is_none(), "what a stand-in says is not kept");
}

/// Threads, open files and children of this process.
fn held() -> [usize; 3] {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    let me = std::process::id();
    let children = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = children.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children = children.map(|children| children.split_whitespace().count()).sum();
    [count(&format!("/proc/{me}/task")), count(&format!("/proc/{me}/fd")), children]
}

/// In a process of its own, where nothing else comes and goes.
#[test]
fn a_hundred_cancellations_leak_nothing() {
    let name = "voices::a_hundred_cancellations_leak_nothing";
    if std::env::var_os("ALONE").is_none() {
        let test = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env("ALONE", "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&test.stdout).into_owned() + &String::from_utf8_lossy(&test.stderr);
        println!("{output}");
        assert!(test.status.success() && output.contains("1 passed"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tts = start(2, &[festival(), joe(), cloned(folder.path())]);
    let order = tts.order(&["cloned".to_owned()]).unwrap();
    let both = [(Ru, VoiceOrder::default()), (En, VoiceOrder::default()), (Ru, order.clone()), (En, order)];
    let texts = [
        (Ru, "Сегодня мы работаем с девяти утра до шести вечера без перерыва на обед"),
        (En, "Today we are open from nine in the morning until six in the evening without a break"),
    ];
    let round = |n: u64| {
        let (language, order) = &both[n as usize % both.len()];
        let text = texts.iter().find(|(of, _)| of == language).unwrap().1;
        let cancel = Cancel::default();
        // Another text each time: none is played from memory.
        let chunks = ask(&tts, &format!("{text}, {n}."), *language, order, &cancel);
        let early = chunks.recv_timeout(Duration::from_millis(n * 7 % 60));
        cancel.cancel();
        let last = early.into_iter().chain(chunks).last().expect("the sink is told the end");
        assert!(matches!(last, SpeechChunk::Done | SpeechChunk::Failed(TtsError::Cancelled)), "{last:?}");
        matches!(last, SpeechChunk::Failed(_))
    };
    let first = (0..8).filter(|&n| round(n)).count();
    let before = held();
    let cancelled = first + (8..108).filter(|&n| round(n)).count();
    println!("{cancelled} of 108 were broken off");
    assert!(cancelled > 54, "most were cancelled in time");
    wait_until("nothing more is held than before", Duration::from_secs(20), || {
        let now = held();
        println!("threads, files, children: {before:?} before, {now:?} after");
        now.iter().zip(before).all(|(now, before)| *now <= before).then_some(())
    });
    for (language, order) in &both {
        assert!(!said_in(&tts, "Да. Yes.", *language, order).is_empty());
    }
    tts.shutdown();
}
