//! Words as they are, foreign ones in Russian letters, and the signs between them.

use super::{latin, names};
use crate::engine::Language;
use crate::engine::tts::text::tokens::{Kind, Place, Reading};
use crate::engine::tts::text::{spelling, translit};

/// A word, with all that hyphens join to it.
pub fn joined(place: Place<'_>) -> Option<Reading> {
    place.word(0)?;
    let mut taken = 1;
    while taken < 12
        && place.joint(taken).is_some_and(|sign| matches!(sign, '-' | '‑' | '\'' | '’'))
        && place.word(taken + 1).is_some()
    {
        taken += 2;
    }
    // «Wi-Fi», «e-mail» are known as a whole.
    for whole in [taken, 3] {
        let text: String = (0..whole).filter_map(|n| place.token(n)).map(|token| token.plain.as_str()).collect();
        if whole <= taken
            && let Some(known) = latin::known(&text)
        {
            return Reading::new(known, whole);
        }
    }
    let mut words = String::new();
    for token in (0..taken).filter_map(|ahead| place.token(ahead)) {
        if token.kind == Kind::Sign {
            words.push(if matches!(token.text, "-" | "‑") { '-' } else { ' ' });
        } else {
            words.push_str(&word(token.text, taken > 1));
        }
    }
    Reading::new(words.replace(" -", " ").replace("' ", ""), taken)
}

/// A word without a hyphen.
fn word(text: &str, joined: bool) -> String {
    let mut letters = text.chars();
    if let (Some(only), None) = (letters.next(), letters.next()) {
        // «вариант Б», «план B»: a letter alone is named, a word of one letter is a word.
        if only.is_ascii_alphabetic() {
            return latin::letter(only).to_owned();
        }
        let is_word = "аивкосуяэАИВКОСУЯ".contains(only);
        if !joined && !is_word {
            return names::letter(only).map_or_else(|| translit::into_alphabet(text, Language::Ru), str::to_owned);
        }
        return translit::into_alphabet(text, Language::Ru);
    }
    if let Some(known) = latin::known(&text.to_lowercase()) {
        return known.to_owned();
    }
    let capital = text.chars().all(|c| c.is_ascii_uppercase());
    let latin = text.chars().all(|c| c.is_ascii_alphabetic());
    if latin && ((capital && !spelling::is_readable(text)) || (text.len() <= 6 && !spelling::is_readable(text))) {
        return spelling::letters(text, Language::Ru);
    }
    if capital && latin && text.len() <= 3 {
        return spelling::letters(text, Language::Ru);
    }
    if text.chars().all(char::is_uppercase) {
        return translit::into_alphabet(&text.to_lowercase(), Language::Ru);
    }
    translit::into_alphabet(text, Language::Ru)
}

/// A sign that stands for a word where it stands.
pub fn sign(place: Place<'_>) -> Option<Reading> {
    let between = |ahead: usize| {
        let is_word =
            |token: &crate::engine::tts::text::tokens::Token<'_>| matches!(token.kind, Kind::Word | Kind::Number);
        place.back(1).is_some_and(is_word) && place.token(ahead).is_some_and(is_word)
    };
    let words = match place.sign(0)? {
        '&' if between(1) => "и",
        '+' if between(1) => "плюс",
        '=' if between(1) => "равно",
        '×' if between(1) => "на",
        '§' if place.digits(1).is_some() => "параграф",
        '№' if place.word(1).is_some() => "номер",
        '/' if between(1) && place.word(1).is_some() => ",",
        // A dash between spaces; one that joins nothing else is no pause.
        '-' if place.token(0).is_some_and(|token| token.spaced) && !place.glued(1) => ",",
        '(' if place.digits(1).is_some() => "",
        _ => return None,
    };
    Reading::new(words, 1)
}
