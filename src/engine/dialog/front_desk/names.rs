//! Names of callers: said after «меня зовут» or "my name is", or as the answer to "what is your name".
//!
//! Left out: names that are spelled letter by letter.

use crate::engine::Language;

use super::words::{self, Word};

/// First name, patronymic, last name.
const MOST_WORDS: usize = 3;
const LONGEST_CHARS: usize = 60;

/// A name that the caller gives unasked.
pub fn volunteered(words: &[Word], language: Language) -> Option<String> {
    introduced(words, sure_openings(language), false).or_else(|| introduced(words, vague_openings(language), true))
}

/// The answer to "what is your name": also a bare name.
pub fn answered(words: &[Word], language: Language) -> Option<String> {
    let opened = introduced(words, sure_openings(language), false)
        .or_else(|| introduced(words, vague_openings(language), false));
    if opened.is_some() {
        return opened;
    }
    let start = words.iter().position(|w| !is_lead_in(&w.plain))?;
    let bare = words.get(start..)?;
    // A long answer without capitals is no name; with them its first words may be: «Анна, я по поводу заказа».
    let first = bare.first()?;
    if bare.len() > MOST_WORDS && !first.is_capitalised() && !first.ends_phrase {
        return None;
    }
    take(bare)
}

/// After these a name follows, however it is written.
fn sure_openings(language: Language) -> &'static [&'static [&'static str]] {
    match language {
        Language::Ru => &[&["меня", "зовут"], &["мое", "имя"], &["зовут", "меня"]],
        Language::En => &[&["my", "name", "is"], &["my", "name's"], &["name", "is"]],
    }
}

/// After these a name may follow; unasked, only its capital letter tells.
fn vague_openings(language: Language) -> &'static [&'static [&'static str]] {
    match language {
        Language::Ru => &[&["беспокоит"], &["говорит"], &["это"]],
        Language::En => &[&["this", "is"], &["i", "am"], &["i'm"], &["it's"]],
    }
}

fn introduced(words: &[Word], openings: &[&[&str]], capital_needed: bool) -> Option<String> {
    openings.iter().find_map(|opening| {
        let at = words
            .windows(opening.len())
            .position(|w| w.iter().map(|w| w.plain.as_str()).eq(opening.iter().copied()))?;
        let rest = words.get(at + opening.len()..)?;
        (!capital_needed || rest.first()?.is_capitalised()).then(|| take(rest)).flatten()
    })
}

/// The name that `words` begin with.
fn take(words: &[Word]) -> Option<String> {
    let capitals = words.first()?.is_capitalised();
    let mut name: Vec<String> = Vec::new();
    for word in words.iter().take(MOST_WORDS) {
        if !is_name(word) || (capitals && !word.is_capitalised()) {
            break;
        }
        name.push(capitalised(&word.written));
        if word.ends_phrase {
            break;
        }
    }
    let name = name.join(" ");
    (!name.is_empty() && name.chars().count() <= LONGEST_CHARS).then_some(name)
}

fn is_name(word: &Word) -> bool {
    let letters = word.plain.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\''));
    letters && word.plain.chars().count() > 1 && !words::is_listed(&word.plain, NO_NAME)
}

fn is_lead_in(plain: &str) -> bool {
    matches!(
        plain,
        "да" | "ну"
            | "э"
            | "ээ"
            | "так"
            | "хорошо"
            | "конечно"
            | "здравствуйте"
            | "меня"
            | "зовут"
            | "я"
            | "просто"
            | "пожалуйста"
            | "yes"
            | "well"
            | "uh"
            | "um"
            | "sure"
            | "okay"
            | "ok"
            | "it's"
            | "just"
            | "hello"
            | "hi"
            | "yeah"
            | "of"
            | "course"
    )
}

fn capitalised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut start = true;
    for c in name.chars() {
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        start = c == '-';
    }
    out
}

/// Words that end a name when recognition wrote no punctuation, and that are no name themselves.
const NO_NAME: &str = "\
    и а но я мы он она вы мне мой моя мое меня вас вам из от по с со на у к в из-за что чтобы как не нет да это \
    вот номер телефон звоню хочу хотел хотела хотелось нужно надо можно перезвоните передайте запишите пожалуйста \
    срочно по-поводу зачем почему офис компания спасибо здравствуйте алло повторите сколько где когда кто важно \
    неважно хорошо плохо правда очень все всё ваш ваша такое and or but i i'm we he she you my me from at with \
    about of in on to for the a an is was not no yes calling speaking here number phone want would need please \
    thanks thank hello hi urgent what why how who where when sorry looking interested trying it that this just \
    wondering your so very don't important going having";

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    #[test]
    fn names_are_taken_from_introductions() {
        for (language, text, expected) in [
            (Ru, "Здравствуйте, меня зовут Анна Коваленко, я по поводу заказа.", Some("Анна Коваленко")),
            (Ru, "меня зовут анна коваленко и я хотела бы", Some("Анна Коваленко")),
            (Ru, "Меня зовут Анна Петровна Римская-Корсакова", Some("Анна Петровна Римская-Корсакова")),
            (Ru, "Это Анна, мне нужен счёт", Some("Анна")),
            (Ru, "Вас беспокоит Пётр Сидоров из банка", Some("Пётр Сидоров")),
            (Ru, "Это срочно", None),
            (Ru, "Где вы находитесь?", None),
            (En, "Hi, my name is John Smith and I have a question", Some("John Smith")),
            (En, "This is Mary O'Neil from Acme", Some("Mary O'Neil")),
            (En, "this is urgent", None),
            (En, "I'm calling about my order", None),
        ] {
            assert_eq!(volunteered(&words::split(text), language).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_bare_answer_is_a_name() {
        for (language, text, expected) in [
            (Ru, "Анна Коваленко.", Some("Анна Коваленко")),
            (Ru, "анна", Some("Анна")),
            (Ru, "Да, это Анна.", Some("Анна")),
            (Ru, "Ну, Иван Петров, из Газпрома", Some("Иван Петров")),
            (Ru, "а зачем вам это нужно знать", None),
            (Ru, "8 916 123", None),
            (Ru, "", None),
            (En, "John Smith.", Some("John Smith")),
            (En, "it's john", Some("John")),
            (En, "why do you need that", None),
        ] {
            assert_eq!(answered(&words::split(text), language).as_deref(), expected, "{text}");
        }
    }
}
