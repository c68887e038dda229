//! Whole conversations on text.

use chrono::NaiveDateTime;

use super::super::{DialogEvent, FrontDeskConfig};
use super::{FrontDesk, State};
use crate::engine::Language::{self, En, Ru};

const OFFICE: &str = r#"
    name.ru = "ООО «Ромашка»"
    name.en = "Romashka"
    hours.mon = "09:00-18:00"
    hours.tue = "09:00-18:00"
    hours.sat = "10:00-15:00"
"#;
const FAQ: &str = r#"
    ask.ru = ["адрес", "где вы находитесь"]
    ask.en = ["address", "where are you"]
    answer.ru = "Мы на Садовой, дом пять. Вход со двора."
    answer.en = "We are at five Sadovaya street."
"#;

fn desk() -> FrontDesk {
    FrontDesk::new(FrontDeskConfig { office: toml::from_str(OFFICE).unwrap(), faq: vec![toml::from_str(FAQ).unwrap()] })
}

/// A caller at the front desk, on a Monday at noon.
struct Call {
    desk: FrontDesk,
    state: State,
    language: Language,
    caller_number: Option<&'static str>,
    hung_up: bool,
}

impl Call {
    fn new(language: Language) -> Self {
        Call { desk: desk(), state: State::default(), language, caller_number: None, hung_up: false }
    }

    fn says(&mut self, text: &str) -> String {
        let now = NaiveDateTime::parse_from_str("2026-11-23 12:00", "%Y-%m-%d %H:%M").unwrap();
        let (state, events) = self.desk.reply(&self.state, text, self.language, self.caller_number, now);
        self.state = state;
        let mut said = Vec::new();
        for event in events {
            assert!(!self.hung_up || said.is_empty(), "hang up comes last");
            match event {
                DialogEvent::Sentence(sentence) => said.push(sentence),
                DialogEvent::HangUp => self.hung_up = true,
            }
        }
        let said = said.join(" ");
        println!("caller: {text}\n Lidia: {said}");
        assert!(!said.is_empty(), "no answer to {text:?}");
        said
    }

    /// Each line of the caller, and what must be in the answer.
    fn goes(&mut self, lines: &[(&str, &str)]) {
        for (caller, expected) in lines {
            assert!(!self.hung_up, "hung up before {caller:?}");
            let said = self.says(caller);
            assert!(said.contains(expected), "to {caller:?} {expected:?} was expected, not {said:?}");
        }
    }

    fn message(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        let message = self.state.message();
        (message.name.as_deref(), message.number.as_deref(), message.matter.as_deref())
    }
}

#[test]
fn a_message_is_taken_in_russian() {
    let mut call = Call::new(Ru);
    call.goes(&[
        ("Здравствуйте, я хотела бы оставить сообщение.", "Как вас зовут?"),
        ("Анна Коваленко.", "По какому номеру вам перезвонить?"),
        (
            "восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь",
            "Записала номер: 8 916 123-45-67. Верно?",
        ),
        ("Да, верно.", "Что передать?"),
        ("Договор готов, его можно забрать.", "я всё записала и передам. Чем ещё могу помочь?"),
        ("Нет, спасибо.", "до свидания"),
    ]);
    assert!(call.hung_up);
    assert_eq!(
        call.message(),
        (Some("Анна Коваленко"), Some("89161234567"), Some("Договор готов, его можно забрать."))
    );
}

#[test]
fn a_message_is_taken_in_english() {
    let mut call = Call::new(En);
    call.goes(&[
        ("Hi, I'd like to leave a message, please.", "May I have your name"),
        ("It's John Smith.", "What number"),
        ("two one two, five five five, oh one seven eight", "I have 212 555 0178. Is that right?"),
        ("Yes.", "What is your message?"),
        ("The contract is ready to sign.", "Is there anything else"),
        ("No, that's all. Bye!", "Goodbye"),
    ]);
    assert!(call.hung_up);
    assert_eq!(call.message(), (Some("John Smith"), Some("2125550178"), Some("The contract is ready to sign.")));
}

#[test]
fn what_was_told_in_one_sentence_is_not_asked_again() {
    let mut call = Call::new(Ru);
    let request = "Меня зовут Пётр Ильин, передайте Ивану, чтобы перезвонил на номер 8 916 123 45 67.";
    call.goes(&[(request, "8 916 123-45-67. Верно?"), ("Угу", "передам"), ("Спасибо", "до свидания")]);
    assert!(call.hung_up);
    assert_eq!(call.message(), (Some("Пётр Ильин"), Some("89161234567"), Some(request)));

    let mut call = Call::new(En);
    let request = "Please tell Ivan to call me back on 212 555 0178, this is Mary Poppins";
    call.goes(&[(request, "212 555 0178. Is that right?"), ("That's right", "pass it on")]);
    assert_eq!(call.message(), (Some("Mary Poppins"), Some("2125550178"), Some(request)));
}

#[test]
fn an_unforeseen_request_becomes_a_message_in_three_turns() {
    let mut call = Call::new(Ru);
    call.goes(&[
        ("Мне нужен счёт на поставку труб.", "Как вас зовут?"),
        ("Иван Петров, телефон 8 495 123 45 67", "8 495 123-45-67. Верно?"),
        ("Верно, до свидания", "до свидания"),
    ]);
    assert!(call.hung_up);
    assert_eq!(call.message(), (Some("Иван Петров"), Some("84951234567"), Some("Мне нужен счёт на поставку труб.")));
}

#[test]
fn a_number_is_dictated_in_parts_and_corrected() {
    let mut call = Call::new(Ru);
    call.goes(&[
        ("Перезвоните мне, пожалуйста.", "Как вас зовут?"),
        ("Анна", "По какому номеру"),
        ("восемь девятьсот шестнадцать", "слушаю дальше"),
        ("сто двадцать три", "слушаю дальше"),
        ("сорок пять шестьдесят восемь", "8 916 123-45-68. Верно?"),
        ("Нет, неправильно.", "номер ещё раз"),
        ("8 916 123-45-67", "8 916 123-45-67. Верно?"),
        ("Нет, 8 916 123 45 69", "8 916 123-45-69. Верно?"),
        ("А где вы находитесь?", "Мы на Садовой, дом пять. Вход со двора. Верно?"),
        ("Да", "Что передать?"),
    ]);
    assert_eq!(call.message().1, Some("89161234569"));
}

#[test]
fn corrections_end() {
    let mut call = Call::new(Ru);
    call.goes(&[("Хочу оставить сообщение", "зовут"), ("Анна", "номеру"), ("8 916 123 45 67", "Верно?")]);
    let mut rounds = 0;
    while !call.says("Нет, неверно").contains("Что передать?") {
        call.says("8 916 123 45 68");
        rounds += 1;
        assert!(rounds < 10, "the number is corrected without end");
    }
}

#[test]
fn senseless_answers_end_every_question() {
    for language in [Ru, En] {
        for noise in ["", "?!", "эээ", "uh", "1", "мм мм мм мм мм", "да", "нет", "yes", "no"] {
            let mut call = Call::new(language);
            call.says(if language == Ru {
                "Хочу оставить сообщение"
            } else {
                "I want to leave a message"
            });
            let mut turns = 0;
            while call.state.is_taking_message() {
                call.says(noise);
                turns += 1;
                assert!(turns < 60, "{noise:?} goes on without end");
            }
            turns = 0;
            while !call.hung_up && matches!(noise, "" | "?!" | "эээ" | "uh") {
                call.says(noise);
                turns += 1;
                assert!(turns < 5, "{noise:?} does not end the call");
            }
        }
    }
}

#[test]
fn name_and_number_may_be_refused() {
    let mut call = Call::new(Ru);
    call.goes(&[
        ("Запишите сообщение", "Как вас зовут?"),
        ("Это неважно", "По какому номеру"),
        ("Не надо перезванивать", "Что передать?"),
        ("Завтра отключат воду", "передам"),
    ]);
    assert_eq!(call.message(), (None, None, Some("Завтра отключат воду")));
}

#[test]
fn the_number_of_the_call_can_be_used() {
    let mut call = Call::new(Ru);
    call.caller_number = Some("+79161234567");
    call.goes(&[
        ("Пусть мне перезвонят, это Анна", "По какому номеру"),
        ("На этот же номер", "+7 916 123-45-67. Верно?"),
    ]);
    call.caller_number = Some("anonymous");
    let mut call = Call { caller_number: Some("anonymous"), ..Call::new(En) };
    call.goes(&[
        ("Call me back please, this is Ann", "What number"),
        ("On this number", "your number did not show"),
        ("555 0178", "555 0178. Is that right?"),
    ]);
}

#[test]
fn questions_are_answered_at_any_time() {
    let mut call = Call::new(Ru);
    call.goes(&[
        ("Здравствуйте!", "Чем могу помочь?"),
        ("Вы сейчас работаете?", "Да, сейчас мы работаем, до восемнадцати."),
        ("А в субботу?", "В субботу мы работаем с десяти до пятнадцати."),
        ("В воскресенье вы открыты?", "В воскресенье мы не работаем."),
        ("Какой у вас адрес?", "Мы на Садовой"),
        ("Вы робот?", "программа"),
        ("Повторите, пожалуйста", "программа"),
        ("Передайте Ивану, что заказ готов", "Как вас зовут?"),
        ("А вы робот?", "программа, а не человек. Могу ответить на вопросы или записать сообщение. Как вас зовут?"),
    ]);
    let mut call = Call::new(En);
    call.goes(&[
        ("Hello?", "How can I help you?"),
        ("Are you open tomorrow?", "We are open tomorrow from 9 AM to 6 PM."),
        ("Where are you?", "Sadovaya"),
        ("Am I talking to a robot?", "not a person"),
        ("Can I speak to the manager?", "can't put you through"),
    ]);
}

#[test]
fn a_farewell_is_understood_at_any_time() {
    for (language, before, farewell) in [
        (Ru, &[][..], "Спасибо, до свидания!"),
        (Ru, &["Сколько стоит новая лодка?"][..], "Ладно, всего доброго"),
        (Ru, &["Хочу оставить сообщение", "Анна"][..], "Ой, до свидания"),
        (En, &["Where are you?"][..], "Thanks, bye"),
        (En, &["I need a new boiler", "John", "212 555 0178"][..], "Goodbye"),
    ] {
        let mut call = Call::new(language);
        before.iter().for_each(|text| drop(call.says(text)));
        call.says(farewell);
        assert!(call.hung_up, "after {before:?}");
    }
}

#[test]
fn what_was_taken_is_kept_when_the_caller_leaves_early() {
    let mut call = Call::new(En);
    call.goes(&[
        ("I need a new boiler", "name"),
        ("John", "number"),
        ("212 555 0178", "right?"),
        ("Goodbye", "pass on"),
    ]);
    assert_eq!(call.message(), (Some("John"), Some("2125550178"), Some("I need a new boiler")));

    let mut call = Call::new(Ru);
    call.goes(&[("Хочу оставить сообщение", "зовут"), ("Передумал, не надо", "Чем ещё могу помочь?")]);
    assert!(!call.hung_up);
}

#[test]
fn a_reply_changes_nothing_but_what_it_returns() {
    let desk = desk();
    let now = NaiveDateTime::default();
    let before = State::default();
    let (after, first) = desk.reply(&before, "Хочу оставить сообщение", Ru, None, now);
    assert_eq!(before, State::default());
    assert_eq!(desk.reply(&before, "Хочу оставить сообщение", Ru, None, now), (after, first));
}

#[test]
fn any_words_in_any_order_are_answered() {
    let vocabulary: Vec<&str> = "да нет Анна Коваленко меня зовут восемь девятьсот семь сорок два нуля плюс 8 916 +7 123-45 \
        передайте перезвоните номер этот адрес где вы открыты завтра робот спасибо свидания до пока повторите не надо ещё раз \
        труба счёт договор ? ! … — « » ☎ yes no hundred double five oh this is John bye open message э"
        .split_whitespace()
        .collect();
    let mut seed: u64 = 7;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (desk, now) = (desk(), NaiveDateTime::default());
    let mut state = State::default();
    for _ in 0..20_000 {
        let words: Vec<&str> = (0..random(7)).map(|_| vocabulary[random(vocabulary.len())]).collect();
        let language = if random(2) == 0 { Ru } else { En };
        let (next, events) = desk.reply(&state, &words.join(" "), language, Some("+79161234567"), now);
        assert!(matches!(events.first(), Some(DialogEvent::Sentence(text)) if !text.is_empty()), "{words:?}");
        let digits = next.message().number.as_ref().map_or(0, |n| n.len());
        assert!(digits <= 17, "{words:?}: {digits} digits");
        state = if random(20) == 0 { State::default() } else { next };
    }
}

#[test]
fn phrases_are_whole_and_in_their_language() {
    for language in [Ru, En] {
        let phrases = desk().fixed_phrases(language);
        assert!(phrases.contains(&"Вход со двора.".to_owned()) == (language == Ru));
        for phrase in phrases {
            assert!(phrase.ends_with(['.', '?', '!', '…']), "{phrase}");
            let cyrillic = phrase.chars().any(|c| matches!(c, 'а'..='я'));
            assert_eq!(cyrillic, language == Ru, "{phrase}");
            assert!(!phrase.contains(['{', '}']), "{phrase}");
        }
    }
}

#[test]
fn all_that_is_dictated_is_the_message() {
    for (said, name) in [
        ("Меня зовут Анна Петрова, мой номер 8 916 123 45 67, завтра я не приду, до свидания.", Some("Анна Петрова")),
        ("Скажите ваш адрес и до скольки вы открыты.", None),
    ] {
        let state = desk().take_down(&State::default(), said, Ru);
        let message = state.message();
        assert_eq!((message.name.as_deref(), message.matter.as_deref()), (name, Some(said)));
    }
}
