//! How soon a voice is heard after its text is there, and how long it takes for a second of sound, beside the Python piper-tts with
//! the same weights. Each sentence has six words and is another one, so that nothing comes from the cache; a phrase that was
//! prepared is measured last. Then how soon a voice is free again that is broken off, and a token step of XTTS beside its graph alone.
//! Prints tables and asserts only that all spoke.
//!
//! `cargo bench --bench voices`. Needs the models, festival and espeak-ng, and the first time the registry of Python's packages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use ort::memory::Allocator;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor};

use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::xtts::gpt::Gpt;
use secretary::engine::tts::xtts::manifest::{Dimensions, Manifest};
use secretary::engine::tts::{
    CommandConfig, SpeakJob, SpeechChunk, Tts, TtsConfig, VitsConfig, VoiceConfig, VoiceOrder,
};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

mod python;
#[path = "../tests/it/support/speech.rs"]
#[allow(dead_code, reason = "the tests do more with it")]
mod speech;

use Language::{En, Ru};

const SENTENCES: usize = 30;
/// The first ones warm a voice up.
const WARM: usize = 5;
const NAMES: [(&str, &str); 30] = [
    ("Anna", "Анна"),
    ("Boris", "Борис"),
    ("Vera", "Вера"),
    ("Gleb", "Глеб"),
    ("Dina", "Дина"),
    ("Egor", "Егор"),
    ("Zoya", "Зоя"),
    ("Ivan", "Иван"),
    ("Kira", "Кира"),
    ("Lev", "Лев"),
    ("Maria", "Мария"),
    ("Nina", "Нина"),
    ("Oleg", "Олег"),
    ("Pavel", "Павел"),
    ("Rita", "Рита"),
    ("Semyon", "Семён"),
    ("Taras", "Тарас"),
    ("Ulyana", "Ульяна"),
    ("Fyodor", "Фёдор"),
    ("Emma", "Эмма"),
    ("Yulia", "Юлия"),
    ("Yakov", "Яков"),
    ("Arina", "Арина"),
    ("Bogdan", "Богдан"),
    ("Viktor", "Виктор"),
    ("Galina", "Галина"),
    ("Denis", "Денис"),
    ("Elena", "Елена"),
    ("Ilya", "Илья"),
    ("Ksenia", "Ксения"),
];

fn sentence(n: usize, language: Language) -> String {
    let (en, ru) = NAMES[n];
    match language {
        En => format!("Please call {en} back this evening."),
        Ru => format!("Пожалуйста, передайте это сообщение коллеге {ru}."),
    }
}

/// Seconds from the text to its first sound, to its last, and of the sound.
type Spoken = (f64, f64, f64);

fn main() {
    println!("| voice | first sound, ms, p50 | p95 | of real time |\n|---|---|---|---|");
    let joe = speech::models().join("en_US-joe-medium.onnx");
    let vits = |threads| VoiceConfig::Vits(VitsConfig { threads, ..VitsConfig::new(En, joe.clone()) });
    for threads in [1, 2] {
        let tts = start(vits(threads));
        let ours = (0..SENTENCES).map(|n| speak(&tts, &sentence(n, En), En)).collect();
        print(&format!("Piper's joe, threads: {threads}"), ours);
        print(&format!("Python piper-tts, joe, threads: {threads}"), piper(&joe, threads));
    }
    let festival = start(VoiceConfig::Command(CommandConfig::festival_ru()));
    print("festival, kept running", (0..SENTENCES).map(|n| speak(&festival, &sentence(n, Ru), Ru)).collect());
    let espeak = start(VoiceConfig::Command(CommandConfig::espeak()));
    print("espeak-ng, started each time", (0..SENTENCES).map(|n| speak(&espeak, &sentence(n, En), En)).collect());
    // All that was said is kept.
    let kept = (0..SENTENCES).map(|n| {
        let began = Instant::now();
        let pcm =
            espeak.cached(&sentence(n, En), En, 8_000, &VoiceOrder::default()).expect("it was said before").concat();
        let took = began.elapsed().as_secs_f64();
        (took, took, pcm.len() as f64 / 8_000.0)
    });
    print("a phrase that was said before", kept.collect());
    broken_off();
    token_steps();
}

/// How soon a voice is free again after nobody wants what it says.
fn broken_off() {
    let long =
        "We are open from nine in the morning until six in the evening without any break on every day of the week";
    let joe = VoiceConfig::Vits(VitsConfig::new(En, speech::models().join("en_US-joe-medium.onnx")));
    println!("\n| voice, broken off after 20 ms | free after, ms, p50 | longest |\n|---|---|---|");
    for (name, voice, language) in [
        ("Piper's joe", joe, En),
        ("festival, kept running", VoiceConfig::Command(CommandConfig::festival_ru()), Ru),
        ("espeak-ng, started each time", VoiceConfig::Command(CommandConfig::espeak()), En),
    ] {
        let tts = start(voice);
        let mut took: Vec<f64> = (0..20).map(|n| cancelled(&tts, &format!("{long}, {n}"), language)).collect();
        took.sort_by(f64::total_cmp);
        println!("| {name} | {:.0} | {:.0} |", took[10], took[19]);
    }
}

fn cancelled(tts: &Tts, text: &str, language: Language) -> f64 {
    let (send, chunks) = sync_channel(64);
    let (voices, cancel, priority) = (VoiceOrder::default(), Cancel::default(), Priority::Final);
    let job = SpeakJob { text: text.to_owned(), language, rate_hz: 8_000, voices, cancel: cancel.clone(), priority };
    tts.speak(job, move |chunk| {
        drop(send.send(chunk));
        ControlFlow::Continue(())
    })
    .unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    cancel.cancel();
    // The last of them is told when the voice is done with it.
    chunks.iter().count();
    began.elapsed().as_secs_f64() * 1e3
}

/// A step of XTTS's token model with three narrow layers, beside the same graph run with nothing around it. Its layers take a
/// hundredth of the trained ones', so that what is around them counts most.
fn token_steps() {
    const STEPS: usize = 300;
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/xtts");
    let dimensions = Manifest::load(&bundle).unwrap().dimensions;
    let Dimensions { n_layer, n_heads, head_dim, model_dim, .. } = dimensions;
    let runtime = OnnxRuntime::load(&speech::models().join("libonnxruntime.so")).unwrap();
    let graph = Path::new("gpt_model.onnx");
    let session = || runtime.session(&bundle.join(graph), 1).unwrap();
    let (prefix, next) = (vec![0.01_f32; 100 * model_dim], vec![0.01_f32; model_dim]);
    let ours = || {
        let mut gpt = Gpt::new(session().into(), graph, dimensions).unwrap();
        gpt.join(&prefix).unwrap();
        let began = Instant::now();
        for _ in 0..STEPS {
            gpt.step(&next).unwrap();
        }
        began.elapsed().as_secs_f64()
    };
    let bare = || {
        let mut session = session();
        let names: Vec<String> = (0..n_layer).flat_map(|n| [format!("key_{n}"), format!("value_{n}")]).collect();
        let empty = || Tensor::<f32>::new(&Allocator::default(), [1, n_heads, 0, head_dim]).unwrap().into_dyn();
        let mut past: Vec<DynValue> = names.iter().map(|_| empty()).collect();
        let mut run = |embeddings: &[f32], len: usize| {
            let (positions, mask) = (embeddings.len() / model_dim, vec![1.0_f32; len]);
            let mut inputs: Vec<(String, SessionInputValue<'_>)> = vec![
                (
                    "inputs_embeds".into(),
                    Tensor::from_array(([1, positions, model_dim], embeddings.to_vec())).unwrap().into(),
                ),
                ("attention_mask".into(), Tensor::from_array(([1, len], mask)).unwrap().into()),
            ];
            let before = names.iter().map(|name| format!("past_{name}")).zip(past.drain(..));
            inputs.extend(before.map(|(name, value)| (name, value.into())));
            let mut outputs = session.run(inputs).unwrap();
            past.extend(names.iter().map(|name| outputs.remove(format!("present_{name}")).unwrap()));
        };
        run(&prefix, 100);
        let began = Instant::now();
        for step in 0..STEPS {
            run(&next, 101 + step);
        }
        began.elapsed().as_secs_f64()
    };
    let best = |of: &dyn Fn() -> f64| (0..7).map(|_| of()).fold(f64::INFINITY, f64::min) * 1e3 / STEPS as f64;
    let (ours, bare) = (best(&ours), best(&bare));
    println!("\nA token step of the small XTTS: {ours:.3} ms, of the graph alone {bare:.3} ms: {:.2}", ours / bare);
}

fn start(voice: VoiceConfig) -> Tts {
    let runtime = OnnxRuntime::load(&speech::models().join("libonnxruntime.so")).unwrap();
    let tts = Tts::start(&TtsConfig { workers: 1, voices: vec![voice], ..TtsConfig::default() }, &runtime).unwrap();
    assert_eq!(tts.voices()[0].problem, None);
    tts
}

fn speak(tts: &Tts, text: &str, language: Language) -> Spoken {
    let (send, chunks) = sync_channel(64);
    let (cancel, priority) = (Cancel::default(), Priority::Final);
    let began = Instant::now();
    tts.speak(
        SpeakJob { text: text.to_owned(), language, rate_hz: 8_000, voices: VoiceOrder::default(), cancel, priority },
        move |chunk| {
            drop(send.send(chunk));
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    let (mut first, mut samples) = (None, 0);
    for chunk in chunks {
        match chunk {
            SpeechChunk::Pcm(pcm) => {
                first.get_or_insert(began.elapsed().as_secs_f64());
                samples += pcm.len();
            }
            SpeechChunk::Done => break,
            SpeechChunk::Failed(error) => panic!("{error}"),
        }
    }
    (first.expect("it has spoken"), began.elapsed().as_secs_f64(), samples as f64 / 8_000.0)
}

fn piper(model: &PathBuf, threads: usize) -> Vec<Spoken> {
    let mut program = Command::new(python::environment("voices"));
    program.arg(python::ours("voices", "beside.py")).arg(model).arg(threads.to_string());
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut ask, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut answers = answers.lines();
    let spoken = (0..SENTENCES).map(|n| {
        writeln!(ask, "{}", sentence(n, En)).unwrap();
        let line = answers.next().unwrap().unwrap();
        let [first, last, sound] = line.split(' ').map(|s| s.parse().unwrap()).collect::<Vec<f64>>()[..] else {
            panic!("{line}")
        };
        (first, last, sound)
    });
    let spoken = spoken.collect();
    drop(ask);
    child.wait().unwrap();
    spoken
}

fn print(name: &str, spoken: Vec<Spoken>) {
    let mut firsts: Vec<f64> = spoken[WARM..].iter().map(|(first, ..)| first * 1e3).collect();
    firsts.sort_by(f64::total_cmp);
    let at = |share: f64| firsts[((firsts.len() - 1) as f64 * share).round() as usize];
    let took: f64 = spoken[WARM..].iter().map(|(_, last, _)| last).sum();
    let sound: f64 = spoken[WARM..].iter().map(|(.., sound)| sound).sum();
    println!("| {name} | {:.1} | {:.1} | {:.3} |", at(0.5), at(0.95), took / sound);
}
