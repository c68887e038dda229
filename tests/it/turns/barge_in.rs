//! Both speak.

use super::*;
use crate::support::line::{loud_ms, tone};
use crate::support::silero::silero;
use crate::support::speech::by_telephone;
use secretary::engine::Language;

/// A call in which she has begun her answer; `over` is what is understood of what is said over it.
fn answering(over: &[&'static str], config: TurnConfig) -> Line {
    let texts = [&["До скольки вы работаете"], over].concat().into();
    let engines = Engines { hearing: Some(ms(300)), texts, turn: config, ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_500);
    let heard = line.caller_heard.len();
    line.run_until(5, |line| line.caller_heard[heard..].iter().any(|s| s.unsigned_abs() > 1_000));
    line.run(450);
    line
}

/// How long she is heard from now on, in a time of `within_ms`.
fn heard_ms(line: &mut Line, within_ms: u64) -> u64 {
    let before = line.caller_heard.len();
    line.run(within_ms);
    loud_ms(&line.caller_heard[before..])
}

#[test]
fn an_interruption_at_any_moment_stops_her_and_is_heard() {
    const WORDS: &str = "Нет, подождите, я не о том";
    for at in (0..2_800).step_by(200) {
        let mut line = answering(&[WORDS, WORDS], TurnConfig::default());
        line.run(at);
        line.caller.play(0, &tone(1_600));
        // 96 ms until speech is certain, 300 ms of it, 60 ms in each jitter buffer.
        let stopped = heard_ms(&mut line, 1_200);
        assert!(stopped <= 560, "{at} ms: she went on for {stopped} ms");
        line.run_until(20, |line| line.turns.len() == 3);
        let (answer, next) = (&line.turns[1], &line.turns[2]);
        assert!(answer.heard_text.len() < answer.secretary_text.len(), "{at} ms: {answer:?}");
        assert!(answer.secretary_text.starts_with(&answer.heard_text), "{at} ms: {answer:?}");
        assert_eq!((next.caller_text.as_str(), next.heard_text.as_str()), (WORDS, line.engines.answer), "{at} ms");
    }
}

#[test]
fn a_backchannel_at_any_moment_costs_not_a_word() {
    for at in (0..2_800).step_by(200) {
        for (over_ms, words) in [(250, "Угу."), (600, "Угу, угу."), (500, "Mm-hm"), (300, "Good one."), (300, "")]
        {
            let mut line = answering(&[words], TurnConfig::default());
            line.run(at);
            line.caller.play(0, &tone(over_ms));
            let before = line.recorded.1.len();
            line.run_until(20, |line| line.turns.len() == 2);
            assert_eq!(line.turns[1].heard_text, line.engines.answer, "{words:?} of {over_ms} ms at {at} ms");
            let rest = line.recorded.1[before..].iter().filter(|s| s.unsigned_abs() > 0).count() as u64 / 8;
            let whole_ms = line.engines.answer.chars().count() as u64 * 60;
            let played = whole_ms - 450 - at;
            assert!(rest.abs_diff(played) <= 200, "{words:?} at {at} ms: {rest} ms of {played} ms were played");
            line.run(2_000);
            assert_eq!(line.asked.len(), 1, "{words:?} at {at} ms is no turn of its own: {:?}", line.asked);
        }
    }
}

#[test]
fn she_is_softer_at_once_and_silent_when_it_goes_on() {
    let mut line = answering(&["Угу"], TurnConfig::default());
    let loudest = |line: &Line, ms: usize| {
        let from = line.recorded.1.len() - ms * 8;
        line.recorded.1[from..].iter().map(|s| s.unsigned_abs()).max().unwrap()
    };
    assert!(loudest(&line, 100) > 5_000);
    line.caller.play(0, &tone(900));
    line.run(280);
    let ducked = loudest(&line, 40);
    assert!((500..1_500).contains(&ducked), "{ducked}");
    line.run(300);
    assert_eq!(loudest(&line, 40), 0);
    line.run_until(10, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn one_short_word_stops_her_too() {
    let mut line = answering(&["Стоп!"], TurnConfig::default());
    line.say(220);
    line.run_until(20, |line| line.turns.len() == 3);
    assert!(line.turns[1].heard_text.len() < line.turns[1].secretary_text.len());
    assert_eq!(line.turns[2].caller_text, "Стоп!");
    assert_eq!(line.parts.len(), 2, "what was understood once is not transcribed again");
}

#[test]
fn yes_over_the_end_of_a_question_is_its_answer() {
    let engines = Engines {
        hearing: Some(ms(300)),
        texts: ["Запишите мой номер", "Да.", "Да."].into(),
        expects: Expects::YesNo,
        answer: "Ваш номер восемь девятьсот. Всё верно?",
        ..Engines::default()
    };
    let mut line = Line::greeted(engines);
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() == 2);
    let whole_ms = line.engines.answer.chars().count() as u64 * 60;
    line.run(whole_ms - 300);
    line.say(300);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    assert_eq!((line.turns[2].caller_text.as_str(), line.turns[2].heard_text.as_str()), ("Да.", line.engines.answer));
    // What follows is as loud as ever.
    let last = &line.recorded.1[line.recorded.1.len() - 16_000..];
    assert!(last.iter().any(|sample| sample.unsigned_abs() > 5_000));
}

#[test]
fn words_after_a_noise_are_heard_from_its_beginning() {
    let words = "Стойте, я не о том спросил";
    let mut line = answering(&["", words, words], TurnConfig::default());
    line.caller.play(0, &tone(3_000));
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, words);
    assert!(line.parts_ms.last().unwrap() >= &2_900, "all that he said: {:?}", line.parts_ms);
}

#[test]
fn she_does_not_speak_on_over_one_whose_first_syllables_are_no_words_yet() {
    let words = "Переведите меня в бухгалтерию";
    let mut line = answering(&["", words, words], TurnConfig::default());
    line.caller.play(0, &tone(2_500));
    line.run(600);
    assert_eq!(heard_ms(&mut line, 2_000), 0);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, words);
}

#[test]
fn noise_without_words_does_not_stop_her_for_long() {
    let mut line = answering(&[""; 20], TurnConfig::default());
    line.caller.play(0, &tone(6_000));
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn an_engine_without_words_leaves_it_to_the_length() {
    for (over_ms, stops) in [(2_000, true), (500, false)] {
        let mut line = answering(&[], TurnConfig::default());
        line.engines.hearing = None;
        line.caller.play(0, &tone(over_ms));
        line.run(4_000);
        assert_eq!(line.turns.len() == 2, stops, "{over_ms} ms");
        if !stops {
            line.run_until(10, |line| line.turns.len() == 2);
            assert_eq!(line.turns[1].heard_text, line.engines.answer);
        }
    }
}

#[test]
fn a_greeting_that_must_be_heard_is_heard_and_so_is_the_caller() {
    for (greeting_interruptible, whole) in [(true, false), (false, true)] {
        let turn = TurnConfig { greeting_interruptible, ..TurnConfig::default() };
        let texts = vec!["Соедините меня с бухгалтерией"; 5].into();
        // A voice of another kind than his, or the canceller would take him for her echo.
        let voice = by_telephone("en_message_1.wav");
        let engines = Engines { vad: silero, voice, hearing: Some(ms(300)), turn, texts, ..Engines::default() };
        let mut line = Line::new(1, Default::default(), engines);
        line.session(secretary::sip::SessionEvent::Established { sdp: None });
        line.run(600);
        line.caller.play(0, &by_telephone("ru_real_0308.wav"));
        line.run_until(30, |line| line.turns.len() == 2);
        let (greeting, next) = (&line.turns[0], &line.turns[1]);
        assert_eq!(greeting.heard_text == greeting.secretary_text, whole, "{greeting:?}");
        assert_eq!(next.caller_text, "Соедините меня с бухгалтерией");
    }
}

#[test]
fn a_key_stops_her() {
    let mut line = answering(&["Спасибо большое"], TurnConfig::default());
    let before = line.recorded.1.len();
    assert!(line.caller.press('0'));
    line.run(1_000);
    let went_on = loud_ms(&line.recorded.1[before..]);
    assert!(went_on <= 200, "she went on for {went_on} ms");
    assert!(line.turns[1].heard_text.len() < line.turns[1].secretary_text.len());
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!((line.turns[2].keys.as_str(), line.turns[2].caller_text.as_str()), ("0", "Спасибо большое"));
    assert_eq!(line.turns[2].language, Language::Ru);
}

/// The far end returns what it hears, 12 dB softer and 60 ms later; the network and the jitter buffers add to that.
#[test]
fn an_echo_of_her_own_voice_does_not_interrupt_her() {
    for voice in ["ru_message_1.wav", "en_message_1.wav"] {
        let voice = by_telephone(voice);
        // What the recogniser makes of a rest of her voice: her words.
        let texts = vec!["Здравствуйте, чем могу"; 20].into();
        let mut line = Line::new(1, Default::default(), Engines { vad: silero, voice, texts, ..Engines::default() });
        line.session(secretary::sip::SessionEvent::Established { sdp: None });
        let mut echoed = 0;
        let mut question = by_telephone("ru_real_0308.wav").into_iter();
        let length = question.len();
        let end = line.now + Duration::from_secs(25);
        while line.now < end {
            line.run(20);
            while line.caller_heard.len() >= echoed + 160 {
                let mut echo = line.caller_heard[echoed..echoed + 160].iter().map(|s| s / 4).collect::<Vec<_>>();
                echoed += 160;
                // He speaks when she has greeted.
                if line.turns.len() == 1 {
                    if question.len() == length {
                        line.engines.texts =
                            [&["До скольки вы работаете"][..], &["Мы работаем с девяти"; 20]].concat().into();
                    }
                    echo.iter_mut().zip(&mut question).for_each(|(echo, sample)| *echo += sample);
                }
                line.caller.play(0, &echo);
            }
        }
        for turn in &line.turns {
            assert_eq!(turn.heard_text, turn.secretary_text, "{:#?}", line.turns);
        }
        assert_eq!(line.turns[1].heard_text, line.engines.answer);
        assert_eq!(line.asked.len(), 1, "{:?}", line.asked);
    }
}
