//! Recordings with pauses within, heard by the real models: each is one turn.

use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;

use super::*;
use crate::recognition::transcribe;
use crate::support::line::Network;
use crate::support::recordings::manifest;
use crate::support::silero::silero;
use crate::support::speech::{by_telephone, models};
use crate::support::wer::wer_by_digits;
use secretary::engine::end_of_turn::{EndOfTurn, EndOfTurnConfig, TurnJob};
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::{Cancel, Language};

static RUNTIME: LazyLock<OnnxRuntime> =
    LazyLock::new(|| OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap());
static JUDGE: LazyLock<EndOfTurn> = LazyLock::new(|| {
    let model = models().join(EndOfTurnConfig::default().model);
    EndOfTurn::start(&EndOfTurnConfig { model }, &RUNTIME).unwrap()
});

fn judge(pcm: Vec<i16>) -> f32 {
    let (reply, result) = sync_channel(1);
    let job = TurnJob { pcm, rate_hz: 8_000, cancel: Cancel::default() };
    JUDGE.submit(job, move |result| reply.send(result).unwrap()).unwrap();
    result.recv().unwrap().unwrap()
}

#[test]
fn whoever_pauses_in_the_middle_is_heard_to_the_end_as_one_turn() {
    // What is understood of these voices is wrong so far, so the words are those from before, between and after the pauses.
    for (file, expects, bound, words) in [
        ("ru_syn_callback_num.wav", Expects::Anything, 0.25, &["петровичу", "номеру", "67"][..]),
        ("ru_syn_order.wav", Expects::Anything, 0.2, &["заказ", "742", "39"]),
        ("ru_syn_think.wav", Expects::Anything, 0.55, &["узнать", "после обеда"]),
        ("ru_syn_spell.wav", Expects::Anything, 0.35, &["коваленко", "ольга", "анна"]),
        ("en_joe_num.wav", Expects::Number, 0.15, &["phone", "415", "0172"]),
    ] {
        let recording = manifest().into_iter().find(|recording| recording.file == file).expect("a recording");
        let language = recording.language.expect("of speech");
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
        let sound = by_telephone(file);
        line.caller.play(0, &sound);
        line.run(sound.len() as u64 / 8 + 6_000);
        let turns = &line.turns[before..];
        for turn in turns {
            println!("{file}: {:?} {:?} -> {:?}", turn.turn_end, turn.caller_text, turn.heard_text);
        }
        assert_eq!(turns.len(), 1, "{file} is one turn");
        let errors = wer_by_digits(&recording.text, &turns[0].caller_text);
        println!("{file}: word error rate {errors:.2}");
        let heard = turns[0].caller_text.to_lowercase();
        for word in words {
            assert!(heard.contains(word), "{file}: without {word:?}: {heard:?}");
        }
        assert!(errors <= bound, "{file}: {:?} instead of {:?}", turns[0].caller_text, recording.text);
    }
}
