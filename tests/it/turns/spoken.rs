//! Recordings with pauses within, heard by the real models: each is one turn.

use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;

use super::*;
use crate::recognition::transcribe;
use crate::support::line::Network;
use crate::support::speech::{by_telephone, models};
use secretary::engine::end_of_turn::{EndOfTurn, EndOfTurnConfig, TurnJob};
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::vad::{Silero, Vad};
use secretary::engine::{Cancel, Language};

static RUNTIME: LazyLock<OnnxRuntime> =
    LazyLock::new(|| OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap());
static JUDGE: LazyLock<EndOfTurn> = LazyLock::new(|| {
    let model = models().join(EndOfTurnConfig::default().model);
    EndOfTurn::start(&EndOfTurnConfig { model }, &RUNTIME).unwrap()
});

fn silero() -> Box<dyn Vad> {
    Silero::load(&RUNTIME, &models().join("silero_vad.onnx")).unwrap().start().unwrap()
}

fn judge(pcm: Vec<i16>) -> f32 {
    let (reply, result) = sync_channel(1);
    let job = TurnJob { pcm, rate_hz: 8_000, cancel: Cancel::default() };
    JUDGE.submit(job, move |result| reply.send(result).unwrap()).unwrap();
    result.recv().unwrap().unwrap()
}

#[test]
fn whoever_pauses_in_the_middle_is_heard_to_the_end_as_one_turn() {
    for (file, language, expects, last) in [
        ("ru_syn_callback_num", Language::Ru, Expects::Anything, "67"),
        ("ru_syn_order", Language::Ru, Expects::Anything, "39"),
        ("ru_syn_think", Language::Ru, Expects::Anything, "обед"),
        ("ru_syn_spell", Language::Ru, Expects::Anything, "анна"),
        ("en_joe_num", Language::En, Expects::Number, "72"),
    ] {
        let engines = Engines {
            vad: silero,
            recognise: Some(transcribe),
            judge: Some(judge),
            // What the models take on a machine with two cores.
            hearing: Some(ms(600)),
            judging: Some((ms(120), 0.0)),
            expects,
            answer: if language == Language::En { "Go on." } else { "Хорошо." },
            ..Engines::default()
        };
        let mut line = Line::greeted_over(1, Network::default(), engines);
        // What was asked for is known from an answer.
        if expects == Expects::Number {
            line.caller.play(0, &by_telephone("en_message_1.wav"));
            line.run_until(20, |line| line.turns.len() == 2);
        }
        let before = line.turns.len();
        let sound = by_telephone(&format!("{file}.wav"));
        line.caller.play(0, &sound);
        line.run(sound.len() as u64 / 8 + 6_000);
        let turns = &line.turns[before..];
        for turn in turns {
            println!("{file}: {:?} {:?} -> {:?}", turn.turn_end, turn.caller_text, turn.heard_text);
        }
        assert_eq!(turns.len(), 1, "{file} is one turn");
        let digits: String = turns[0].caller_text.chars().filter(char::is_ascii_digit).collect();
        let text = turns[0].caller_text.to_lowercase();
        assert!(digits.ends_with(last) || text.contains(last), "{file}: {text}");
    }
}
