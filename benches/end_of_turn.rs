//! How well the end of a turn is told from a pause: people's sentences whole, and cut in the middle, as the telephone
//! carries them. By the model at each threshold, by the words (Whisper's, `unfinished`), and by both. Prints the tables of
//! docs/listening.md and asserts nothing.
//!
//! `cargo bench --bench end_of_turn`; needs the models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::sync::mpsc::sync_channel;

use secretary::call::turn::TurnConfig;
use secretary::engine::end_of_turn::{EndOfTurn, EndOfTurnConfig, TurnJob, unfinished};
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::stt::{Stt, SttConfig, SttJob};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

#[path = "../tests/it/support/speech.rs"]
mod speech;
#[path = "../tests/it/support/turns.rs"]
mod turns;
#[expect(dead_code, reason = "what memory it takes is not asked")]
mod usage;

use speech::models;
use turns::{RATE_HZ, turns};

/// Columns of the tables; the last is of all turns.
const GROUPS: [Option<Language>; 3] = [Some(Language::Ru), Some(Language::En), None];

/// What was found of one turn.
struct Answer {
    language: Language,
    /// Of the whole turn, then of the cut one.
    probability: [f32; 2],
    held_by_words: [bool; 2],
}

fn main() {
    // When and by what the program judges.
    let TurnConfig { pause_ms, complete_probability, .. } = TurnConfig::default();
    let runtime = OnnxRuntime::load(&models().join("libonnxruntime.so")).expect("ONNX Runtime");
    let mut config = EndOfTurnConfig::default();
    config.model = models().join(&config.model);
    let model = EndOfTurn::start(&config, &runtime).expect("the model");
    let before = usage::cpu_seconds(std::process::id());
    let mut asked = 0;
    println!("| silence | Russian: whole accepted / cut held | English | all |");
    println!("|---|---|---|---|");
    for silence_ms in [0, 100, 200, 300, 500] {
        let answers = ask(&model, silence_ms);
        asked += 2 * answers.len();
        let cells = GROUPS.map(|group| shares(&answers, group, complete_probability, false));
        println!("| {silence_ms} ms | {} |", cells.join(" | "));
    }
    let used = usage::cpu_seconds(std::process::id()) - before;
    println!("\nat {complete_probability}; {:.0} ms of CPU an answer\n", 1_000.0 * used / asked as f64);

    let stt = SttConfig { model: models().join(SttConfig::default().model), ..SttConfig::default() };
    let stt = Stt::start(&stt).expect("Whisper");
    let silence_ms = pause_ms as usize;
    let mut answers = ask(&model, silence_ms);
    for (answer, turn) in answers.iter_mut().zip(turns(silence_ms, |_| true)) {
        answer.held_by_words = [turn.whole, turn.cut].map(|pcm| is_held(&stt, pcm, turn.language));
    }
    println!("with {silence_ms} ms of silence\n");
    println!(
        "| threshold | Russian: whole accepted / cut held | with the words | English | with the words | all | with the words |"
    );
    println!("|---|---|---|---|---|---|---|");
    for tenths in 1..=9 {
        let threshold = tenths as f32 / 10.0;
        let cells =
            GROUPS.map(|group| [false, true].map(|words| shares(&answers, group, threshold, words)).join(" | "));
        println!("| {threshold:.1} | {} |", cells.join(" | "));
    }
}

/// What the model says of all turns; the words are not asked yet.
fn ask(model: &EndOfTurn, silence_ms: usize) -> Vec<Answer> {
    let answer = |turn: turns::Turn| {
        let probability = [turn.whole, turn.cut].map(|pcm| probability(model, pcm));
        Answer { language: turn.language, probability, held_by_words: [false; 2] }
    };
    turns(silence_ms, |_| true).into_iter().map(answer).collect()
}

/// Of the turns in a language or in all, which share of the whole ones is accepted, and which of the cut ones held.
fn shares(answers: &[Answer], group: Option<Language>, threshold: f32, words: bool) -> String {
    let of: Vec<_> = answers.iter().filter(|answer| group.is_none_or(|language| answer.language == language)).collect();
    let accepted =
        |answer: &Answer, n: usize| answer.probability[n] >= threshold && !(words && answer.held_by_words[n]);
    let whole = of.iter().filter(|answer| accepted(answer, 0)).count();
    let cut = of.iter().filter(|answer| !accepted(answer, 1)).count();
    format!("{:.2} / {:.2}", whole as f32 / of.len() as f32, cut as f32 / of.len() as f32)
}

fn probability(model: &EndOfTurn, pcm: Vec<i16>) -> f32 {
    let (reply, result) = sync_channel(1);
    let job = TurnJob { pcm, rate_hz: RATE_HZ, cancel: Cancel::default() };
    model.submit(job, move |result| reply.send(result).unwrap()).expect("room");
    result.recv().unwrap().expect("an answer")
}

fn is_held(stt: &Stt, pcm: Vec<i16>, language: Language) -> bool {
    let (reply, result) = sync_channel(1);
    let (cancel, priority) = (Cancel::default(), Priority::Final);
    let job = SttJob { pcm, rate_hz: RATE_HZ, languages: vec![language], cancel, priority, due: speech::now() };
    stt.submit(job, move |result| reply.send(result).unwrap()).expect("room");
    let text = result.recv().unwrap().expect("a transcript").text;
    unfinished(&text, language, false).is_some()
}
