//! Typical questions and their answers, from secretary.toml.
//!
//! Left out: weighing words by how rare they are; whoever writes the questions chooses the words that tell.

use serde::Deserialize;

use crate::engine::Language;

use super::super::{ByLanguage, DialogError};
use super::words::{self, Word, alike};

/// One `[[faq]]` of secretary.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faq {
    /// How callers ask: whole questions or only the words that tell, several ways for each language. A way is
    /// recognised when all its words are in what the caller said, in any order and with any endings; of four or more
    /// words one may be missing. Required.
    pub ask: ByLanguage<Vec<String>>,
    /// What Lidia says, in sentences as they are spoken. An entry without an answer in the caller's language is not
    /// used for that caller. Required.
    pub answer: ByLanguage<String>,
}

/// Every entry has a question and an answer in one language at least.
pub fn check(faq: &[Faq]) -> Result<(), DialogError> {
    for (at, entry) in faq.iter().enumerate() {
        let usable = [Language::Ru, Language::En].into_iter().any(|language| {
            let asked = entry.ask.get(language).is_some_and(|ways| ways.iter().any(|w| !words::split(w).is_empty()));
            asked && entry.answer.get(language).is_some_and(|answer| !answer.trim().is_empty())
        });
        if !usable {
            let expected = "ask and answer in the same language: ask.ru = [\"…\"] and answer.ru = \"…\"";
            return Err(DialogError::Faq { number: at + 1, expected });
        }
    }
    Ok(())
}

/// The answer whose question is met best; the earlier entry wins a tie.
pub fn answer<'a>(faq: &'a [Faq], heard: &[Word], language: Language) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for entry in faq {
        let Some(text) = entry.answer.get(language) else { continue };
        let ways = entry.ask.get(language).map_or(&[][..], Vec::as_slice);
        let score = ways.iter().filter_map(|way| score(way, heard)).max();
        if let Some(score) = score.filter(|s| best.is_none_or(|(top, _)| *s > top)) {
            best = Some((score, text));
        }
    }
    best.map(|(_, text)| text)
}

/// How many letters of `way` were met, or `None` if it was not.
fn score(way: &str, heard: &[Word]) -> Option<usize> {
    let all = words::split(way);
    let telling: Vec<&Word> = all.iter().filter(|w| !is_light(&w.plain)).collect();
    let wanted = if telling.is_empty() { all.iter().collect() } else { telling };
    let met: Vec<_> = wanted.iter().filter(|w| heard.iter().any(|h| alike(&h.plain, &w.plain))).collect();
    let may_miss = usize::from(wanted.len() >= 4);
    (!met.is_empty() && met.len() + may_miss >= wanted.len()).then(|| met.iter().map(|w| w.plain.chars().count()).sum())
}

fn is_light(plain: &str) -> bool {
    matches!(
        plain,
        "а" | "и"
            | "в"
            | "на"
            | "с"
            | "у"
            | "к"
            | "о"
            | "я"
            | "вы"
            | "мы"
            | "вас"
            | "вам"
            | "нам"
            | "мне"
            | "ваш"
            | "ваша"
            | "ваши"
            | "ли"
            | "же"
            | "бы"
            | "это"
            | "пожалуйста"
            | "скажите"
            | "подскажите"
            | "a"
            | "an"
            | "the"
            | "is"
            | "are"
            | "do"
            | "does"
            | "you"
            | "your"
            | "i"
            | "me"
            | "my"
            | "to"
            | "of"
            | "in"
            | "at"
            | "please"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn faq() -> Vec<Faq> {
        #[derive(Deserialize)]
        struct File {
            faq: Vec<Faq>,
        }
        let file: File = toml::from_str(
            r#"
            [[faq]]
            ask.ru = ["адрес", "где вы находитесь", "как к вам проехать"]
            ask.en = ["address", "where are you located"]
            answer.ru = "Мы на Садовой, дом пять."
            answer.en = "We are at five Sadovaya street."
            [[faq]]
            ask.ru = ["сколько стоит доставка", "доставка цена", "цена доставки по городу"]
            answer.ru = "Доставка бесплатна."
            [[faq]]
            ask.ru = ["доставка"]
            ask.en = ["delivery"]
            answer.ru = "Мы доставляем за два дня."
            answer.en = "We deliver in two days."
            "#,
        )
        .unwrap();
        file.faq
    }

    #[test]
    fn questions_are_met_with_other_endings_and_small_errors() {
        let faq = faq();
        for (language, text, expected) in [
            (Ru, "Подскажите ваш адрес!", Some("Мы на Садовой, дом пять.")),
            (Ru, "А где находится ваш офис?", Some("Мы на Садовой, дом пять.")),
            (Ru, "А где вы находитесь?", Some("Мы на Садовой, дом пять.")),
            (Ru, "как до вас проехать, как к вам проехать", Some("Мы на Садовой, дом пять.")),
            (Ru, "Сколько будет стоить даставка?", Some("Доставка бесплатна.")),
            (Ru, "Сколько стоит доставка до дома?", Some("Доставка бесплатна.")),
            (Ru, "Какие условия доставки?", Some("Мы доставляем за два дня.")),
            (Ru, "Мне нужен директор", None),
            (En, "What's your address?", Some("We are at five Sadovaya street.")),
            (En, "Do you have deliveries?", Some("We deliver in two days.")),
            (En, "Tell me about delivery", Some("We deliver in two days.")),
        ] {
            let found = answer(&faq, &words::split(text), language);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_entry_without_question_or_answer_is_refused() {
        check(&faq()).unwrap();
        for bad in ["ask.ru=['адрес']\nanswer.en='Here.'", "ask.ru=['?']\nanswer.ru='Тут.'", "ask={}\nanswer={}"]
        {
            let entries = [faq().remove(0), toml::from_str(bad).unwrap()];
            assert!(check(&entries).unwrap_err().to_string().contains("number 2"), "{bad}");
        }
    }

    #[test]
    fn an_answer_in_the_other_language_only_is_not_given() {
        assert_eq!(answer(&faq(), &words::split("доставка цена"), En), None);
    }
}
