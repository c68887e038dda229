//! Whose turn it is, in virtual time, with engines that say what the test wants and when it wants.

mod barge_in;
mod crowd;
mod message;
mod party;
mod spoken;

use std::time::Duration;

use secretary::call::turn::TurnConfig;
use secretary::call::{Expects, Input, TurnEnd};

use crate::support::line::{Engines, Line};

const SURE: Option<(Duration, f32)> = Some((Duration::from_millis(100), 0.9));
const UNSURE: Option<(Duration, f32)> = Some((Duration::from_millis(100), 0.1));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One question, from the end of its speech to the first sound of the answer in milliseconds, and what ended it.
fn asked_once(engines: Engines, speech_ms: u64) -> (u64, Option<TurnEnd>) {
    let mut line = Line::greeted(engines);
    line.say(speech_ms);
    line.run_until(20, |line| line.turns.len() == 2);
    let turn = &line.turns[1];
    let latency = turn.latency.speech_end_to_first_audio_ms.unwrap();
    let waited = turn.latency.waited_for.unwrap();
    println!("{latency} ms, {:?}, {waited:?}", turn.turn_end);
    let sum = waited.decide_ms + waited.transcribe_ms + waited.think_ms + waited.speak_ms + waited.play_ms;
    assert!(latency.abs_diff(sum) <= 5, "{waited:?} of {latency} ms");
    (latency, turn.turn_end)
}

#[test]
fn a_turn_ends_the_sooner_the_surer_it_is() {
    let fast = Engines {
        hearing: Some(ms(100)), texts: ["Сколько стоит доставка"].into(), ..Engines::default()
    };
    let config = TurnConfig::default();
    for (judging, end, silence_ms) in [
        (SURE, TurnEnd::Model, config.sure_silence_ms),
        (Some((ms(50), 0.0)), TurnEnd::Unsure, config.unsure_silence_ms),
        (Some((ms(50), 0.4)), TurnEnd::Unsure, (config.sure_silence_ms + config.unsure_silence_ms) / 2),
        (None, TurnEnd::Silence, config.end_silence_ms),
    ] {
        let (latency, by) = asked_once(Engines { judging, ..fast.clone() }, 2_000);
        assert_eq!(by, Some(end));
        // The answer was made meanwhile: what remains is a tick or two.
        let silence = u64::from(silence_ms);
        assert!((silence..silence + 60).contains(&latency), "{latency} ms after {silence} ms of silence");
    }
}

#[test]
fn words_that_want_more_hold_the_turn_open_whatever_the_model_says() {
    let held = u64::from(TurnConfig::default().held_silence_ms);
    for (hearing, text) in [(100, "Перезвоните мне по номеру"), (900, "Я звоню потому что"), (600, "My number is")]
    {
        let engines = Engines { hearing: Some(ms(hearing)), judging: SURE, texts: [text].into(), ..Engines::default() };
        let (latency, by) = asked_once(engines, 2_000);
        assert_eq!(by, Some(TurnEnd::Held), "{text}");
        assert!((held..held + 250).contains(&latency), "{latency} ms");
    }
}

#[test]
fn a_caller_who_pauses_in_the_middle_of_a_sentence_is_one_turn() {
    let texts = ["Перезвоните мне по номеру", "Перезвоните мне по номеру восемь девятьсот шестнадцать", WHOLE];
    const WHOLE: &str = "Перезвоните мне по номеру 8 916 123 45 67";
    let mut line =
        Line::greeted(Engines { hearing: Some(ms(500)), judging: SURE, texts: texts.into(), ..Engines::default() });
    line.say(2_000);
    line.run(1_200);
    line.say(1_500);
    line.run(1_200);
    line.say(2_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, WHOLE);
    assert_eq!((line.asked.len(), line.turns[1].turn_end), (1, Some(TurnEnd::Model)), "{:?}", line.asked);
}

#[test]
fn an_answer_is_begun_before_the_turn_is_over_and_thrown_away_if_it_is_not() {
    let texts = ["Запишите меня на среду", "Запишите меня на среду, нет, на четверг"];
    let engines = Engines { hearing: Some(ms(100)), judging: UNSURE, texts: texts.into(), ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(2_000);
    line.run_until(2, |line| line.spoken.len() == 2);
    assert_eq!((line.turns.len(), line.asked.len()), (1, 1), "the turn is open, the answer is there");
    assert_eq!(line.call.unheard_sound(), Duration::ZERO);
    let before = line.caller_heard.len();
    line.run(200);
    line.say(1_500);
    assert!(line.caller_heard[before..].iter().all(|s| s.unsigned_abs() < 500), "nothing of it was heard");
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, texts[1]);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    let sound = ms(60) * line.engines.answer.chars().count() as u32;
    assert_eq!(line.call.unheard_sound(), sound, "one of two answers was made for nothing");
    let asked: Vec<&str> = line.asked.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(asked, texts);
    assert!(line.asked[0].0 < line.asked[1].0, "another turn for what comes of it");
}

#[test]
fn yes_after_a_question_is_answered_sooner() {
    let texts = ["Передайте директору что я заболел", "Да", "Да, только не после шести вечера"];
    let engines =
        Engines { hearing: Some(ms(100)), texts: texts.into(), expects: Expects::YesNo, ..Engines::default() };
    let mut line = Line::greeted(engines);
    for (speech_ms, end) in [(1_500, TurnEnd::Silence), (400, TurnEnd::Answer), (2_000, TurnEnd::Silence)] {
        let turns = line.turns.len();
        line.say(speech_ms);
        line.run_until(20, |line| line.turns.len() > turns);
        assert_eq!(line.turns[turns].turn_end, Some(end));
    }
}

/// He is to dictate; the first text was his request.
fn asked_for_a_number(texts: &[&'static str], judging: Option<(Duration, f32)>) -> Line {
    let engines = Engines {
        hearing: Some(ms(100)),
        judging,
        texts: texts.to_vec().into(),
        expects: Expects::Number,
        answer: "Диктуйте.",
        ..Engines::default()
    };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    line
}

#[test]
fn a_dictated_number_is_over_once_it_is_whole() {
    let texts = ["Запишите номер телефона", "Восемь девятьсот", "8 916 123 45 67"];
    let mut line = asked_for_a_number(&texts, SURE);
    line.say(1_000);
    line.run(1_300);
    line.say(3_000);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!((line.turns[2].caller_text.as_str(), line.turns[2].turn_end), (texts[2], Some(TurnEnd::Model)));
}

#[test]
fn what_the_next_question_is_counts_from_when_it_is_asked() {
    let texts = ["Запишите мой номер телефона", "8 916 123", "8 916 123 45 67", "Да"];
    let mut line = asked_for_a_number(&texts, UNSURE);
    // An answer is made on a guess, whose question would be of yes and no; he goes on, and it was never asked.
    line.engines.expects = Expects::YesNo;
    line.say(700);
    line.run(1_200);
    line.say(700);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, texts[2], "{:?}", line.asked);
    line.say(400);
    line.run_until(20, |line| line.turns.len() == 4);
    assert_eq!(line.turns[3].turn_end, Some(TurnEnd::Answer));
}

#[test]
fn one_who_goes_on_as_she_begins_to_answer_had_not_finished() {
    let texts = ["Моя фамилия Коваленко.", "По буквам: Константин, Ольга, Виктор, Анна."];
    // A greeting long enough to tell that the line does not echo.
    let voice = crate::support::speech::by_telephone("en_message_1.wav");
    let engines = Engines { judging: SURE, thinking: Some(ms(900)), texts: texts.into(), voice, ..Engines::default() };
    for sound_before_ms in [0, 200] {
        let mut line = Line::greeted(engines.clone());
        line.say(1_500);
        let heard = line.caller_heard.len();
        line.run_until(5, |line| !line.asked.is_empty());
        line.run(400);
        line.say(sound_before_ms);
        line.run_until(5, |line| line.caller_heard[heard..].iter().any(|s| s.unsigned_abs() > 1_000));
        line.say(2_500);
        line.run_until(20, |line| line.turns.len() == 2);
        assert_eq!(line.turns[1].caller_text, texts.join(" "), "one turn, not two");
        assert_eq!(line.turns[1].heard_text, line.engines.answer);
    }
}

#[test]
fn a_question_of_which_he_heard_nothing_was_not_asked() {
    let texts = ["Запишите мой номер телефона", "8 916 123 45 67", "добавочный двенадцать", ""];
    let voice = crate::support::speech::by_telephone("en_message_1.wav");
    let engines = Engines { judging: SURE, texts: texts.into(), expects: Expects::Number, voice, ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    line.engines.expects = Expects::YesNo;
    line.say(3_000);
    let heard = line.caller_heard.len();
    line.run_until(5, |line| line.caller_heard[heard..].iter().any(|s| s.unsigned_abs() > 1_000));
    line.engines.hearing = None;
    let before = line.wanted.len();
    line.say(700);
    line.run_until(5, |line| line.wanted.len() > before);
    let wanted = line.wanted[before];
    // A short answer to a question of yes and no would be over 350 ms after it.
    assert!(wanted.due - line.now > ms(1_000), "{:?}", wanted.due - line.now);
}

#[test]
fn what_comes_late_or_of_another_pause_changes_nothing() {
    let texts = ["Скажите пожалуйста, где вы находитесь"];
    let engines = Engines { hearing: Some(ms(300)), texts: texts.into(), ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run(300);
    let old = line.wanted[0].part;
    line.say(1_000);
    line.run(250);
    for complete in [Ok(1.0), Err("the model died".to_owned())] {
        line.call.handle_input(line.now, Input::Judged { part: old, complete });
        line.drain();
    }
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].turn_end, Some(TurnEnd::Silence), "the judgement was of a pause that is over");
    let asked = line.asked.len();
    for (turn, text) in line.asked.clone() {
        line.call.handle_input(line.now, Input::Sentence { turn, text: format!("Поздно: {text}") });
        line.call.handle_input(line.now, Input::Replied { turn, expects: Expects::Anything });
        line.drain();
    }
    line.run(3_000);
    assert!(line.spoken.iter().all(|text| !text.starts_with("Поздно")), "{:?}", line.spoken);
    assert_eq!((line.asked.len(), line.ended), (asked, None));
}
