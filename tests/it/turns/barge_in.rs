//! Both speak.

use super::*;
use crate::support::line::{loud_ms, tone, transcript};
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
        for (over_ms, words) in [(250, "Угу."), (600, "Угу, угу."), (500, "Mm-hm"), (600, "Блин…"), (300, "")]
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
    for word in ["Стоп!", "Спасибо!…"] {
        let mut line = answering(&[word], TurnConfig::default());
        line.say(220);
        line.run_until(20, |line| line.turns.len() == 3);
        assert!(line.turns[1].heard_text.len() < line.turns[1].secretary_text.len());
        assert_eq!(line.turns[2].caller_text, word);
        assert_eq!(line.parts.len(), 2, "what was understood once is not transcribed again");
    }
}

#[test]
fn she_is_silent_as_soon_as_the_words_are_known() {
    let mut line = answering(&[], TurnConfig::default());
    (line.engines.hearing, line.engines.thinking) = (None, None);
    let before = line.wanted.len();
    line.say(200);
    line.run_until(5, |line| line.wanted.len() > before);
    line.run(300);
    let sent = line.recorded.1.len();
    assert!(loud_ms(&line.recorded.1[sent - 1_600..]) > 0, "she speaks on while it is looked at");
    let heard = Input::Heard { part: line.wanted[before].part, result: Ok(transcript("Стоп!")) };
    line.call.handle_input(line.now, heard);
    line.drain();
    line.run(500);
    assert!(loud_ms(&line.recorded.1[sent..]) <= 20, "a frame more at most, which fades away");
}

#[test]
fn a_short_word_while_the_answer_is_made_stops_her_too() {
    let texts = ["До скольки вы работаете", "Стоп!"].into();
    let engines = Engines { hearing: Some(ms(200)), thinking: Some(ms(2_500)), texts, ..Engines::default() };
    // A greeting long enough to tell that the line does not echo.
    let voice = by_telephone("en_message_1.wav");
    let mut line = Line::greeted(Engines { voice, ..engines });
    line.say(1_500);
    line.run_until(5, |line| !line.asked.is_empty());
    line.run(900);
    line.say(220);
    line.run_until(20, |line| line.turns.len() == 3);
    let [answer, next] = [&line.turns[1], &line.turns[2]];
    assert_eq!((answer.caller_text.as_str(), next.caller_text.as_str()), ("До скольки вы работаете", "Стоп!"));
    assert!(answer.heard_text.len() < answer.secretary_text.len(), "{answer:?}");
    assert!(line.parts_ms.last().is_some_and(|&ms| ms <= 300), "that word alone: {:?}", line.parts_ms);
}

#[test]
fn silence_counts_from_the_interruption() {
    let mut line = answering(&["Стоп!", ""], TurnConfig { silence_s: 3, ..TurnConfig::default() });
    line.run(1_500);
    let before = line.wanted.len();
    line.say(310);
    line.run_until(5, |line| line.wanted.len() > before);
    // With what follows it is no word.
    line.say(120);
    line.run_until(5, |line| line.turns.len() == 2);
    let spoken = line.spoken.len();
    line.run(2_500);
    assert_eq!(line.spoken.len(), spoken, "he has just spoken: {:?}", line.spoken);
    line.run(2_000);
    assert_eq!(line.spoken.len(), spoken + 1, "{:?}", line.spoken);
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
fn a_recogniser_that_fails_leaves_it_to_the_length_at_once() {
    for (over_ms, stops) in [(2_000, true), (600, false)] {
        let mut line = answering(&[], TurnConfig::default());
        line.engines.hearing = None;
        let before = line.wanted.len();
        line.caller.play(0, &tone(over_ms));
        let mut told = before;
        for _ in 0..1_500 / 20 {
            line.run(20);
            for wanted in line.wanted[told..].iter().map(|wanted| wanted.part).collect::<Vec<_>>() {
                told += 1;
                line.call.handle_input(line.now, Input::Heard { part: wanted, result: Err("too busy".into()) });
                line.drain();
            }
        }
        assert_eq!(line.turns.len() == 2, stops, "{over_ms} ms");
        assert!(told - before <= 2, "it was asked {} times", told - before);
        if !stops {
            line.run_until(10, |line| line.turns.len() == 2);
            assert_eq!(line.turns[1].heard_text, line.engines.answer);
        }
    }
}

#[test]
fn words_that_come_late_stop_her_too() {
    let mut line = answering(&["Стоп, подождите!"], TurnConfig::default());
    line.engines.hearing = Some(ms(2_600));
    line.caller.play(0, &tone(700));
    line.run_until(20, |line| line.turns.len() == 3);
    assert!(line.turns[1].heard_text.len() < line.turns[1].secretary_text.len());
    assert_eq!(line.turns[2].caller_text, "Стоп, подождите!");
}

/// She greets, and he speaks as she does.
fn greeted_over_by(ms: u64, texts: &[&'static str]) -> Line {
    let engines = Engines { texts: texts.to_vec().into(), ..Engines::default() };
    let mut line = Line::new(1, Default::default(), engines);
    line.session(secretary::sip::SessionEvent::Established { sdp: None });
    line.run(600);
    line.caller.play(0, &tone(ms));
    line
}

#[test]
fn one_who_interrupts_the_greeting_in_another_language_is_answered_in_it() {
    let words = "Excuse me, do you speak English?";
    let mut line = greeted_over_by(1_500, &[words, words]);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!((line.turns[1].caller_text.as_str(), line.turns[1].language), (words, Language::En));
    // «Угу» is easily taken for English.
    let mut line = greeted_over_by(300, &["Good one."]);
    line.run_until(20, |line| line.turns.len() == 1);
    assert_eq!((&line.turns[0].heard_text, line.turns[0].language), (&line.turns[0].secretary_text, Language::Ru));
}

#[test]
fn one_who_answers_over_the_last_farewell_is_not_left() {
    let mut line = Line::greeted(Engines::default());
    line.run_until(60, |line| line.spoken.last().is_some_and(|text| text == "Вас не слышно, до свидания."));
    line.engines.texts = ["Да-да, я здесь, алло"; 2].into();
    let before = line.spoken.len();
    // He begins with her last word.
    let length_ms = line.spoken[before - 1].chars().count() as u64 * 60;
    line.run(length_ms - 200);
    line.caller.play(0, &tone(1_200));
    line.run_until(20, |line| line.spoken.len() > before || line.ended.is_some());
    assert_eq!((line.ended, line.asked.len()), (None, 1), "he is answered");
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

#[test]
fn words_before_a_key_are_kept() {
    let mut line = answering(&["Подождите", "Подождите"], TurnConfig::default());
    line.engines.hearing = None;
    let before = line.wanted.len();
    line.say(220);
    line.run_until(5, |line| line.wanted.len() > before);
    line.engines.hearing = Some(ms(300));
    assert!(line.caller.press('0'));
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!((line.turns[2].keys.as_str(), line.turns[2].caller_text.as_str()), ("0", "Подождите"));
}

/// How the far end returns what it hears; the network and the jitter buffers add to that.
#[derive(Debug)]
struct Echo {
    softer: i16,
    late_ms: u64,
    from_ms: usize,
}

/// A caller whose line returns her voice asks a question when she has greeted.
fn echoing(voice: &str, echo: &Echo) -> Line {
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
        while line.caller_heard.len() >= echoed + 160 + echo.late_ms as usize * 8 {
            let softer = if echoed < echo.from_ms * 8 { i16::MAX } else { echo.softer };
            let mut back: Vec<i16> = line.caller_heard[echoed..echoed + 160].iter().map(|s| s / softer).collect();
            echoed += 160;
            if line.turns.len() == 1 {
                if question.len() == length {
                    line.engines.texts =
                        [&["До скольки вы работаете"][..], &["Мы работаем с девяти"; 20]].concat().into();
                }
                back.iter_mut().zip(&mut question).for_each(|(back, sample)| *back += sample);
            }
            line.caller.play(0, &back);
        }
    }
    line
}

#[test]
fn an_echo_of_her_own_voice_does_not_interrupt_her() {
    for echo in [
        Echo { softer: 4, late_ms: 60, from_ms: 0 },
        // Soft and late, as over a satellite; and one that begins when she speaks, as when a loudspeaker is turned on.
        Echo { softer: 32, late_ms: 400, from_ms: 0 },
        Echo { softer: 4, late_ms: 60, from_ms: 1_000 },
    ] {
        for voice in ["ru_message_1.wav", "en_message_1.wav"] {
            let line = echoing(voice, &echo);
            println!("{echo:?}, {voice}: {:#?}, {:?}", line.turns, line.asked);
            for turn in &line.turns {
                assert_eq!(turn.heard_text, turn.secretary_text);
            }
            assert_eq!(line.turns[1].heard_text, line.engines.answer);
            assert_eq!(line.asked.len(), 1);
        }
    }
}
