//! Words as they are, foreign ones in Latin letters, capitals letter by letter, and the signs between them.

use super::numbers::{cardinal, ordinal};
use crate::engine::Language;
use crate::engine::tts::text::ru::roman_value;
use crate::engine::tts::text::tokens::{Kind, Place, Reading, Token};
use crate::engine::tts::text::{spelling, translit};

/// "Elizabeth II", "Chapter IV", "World War II".
pub fn roman(place: Place<'_>) -> Option<Reading> {
    let written = place.token(0).filter(|token| token.kind == Kind::Word)?.text;
    let n = roman_value(written)?;
    let before = place.word_back(1)?;
    if place.glued(0) || (written.len() == 1 && (before.len() < 4 || written != "V" && written != "X")) {
        return None;
    }
    let parts = [
        "chapter", "part", "war", "volume", "phase", "section", "type", "act", "level", "stage", "class", "book",
        "grade",
    ];
    if parts.contains(&before) {
        return Reading::new(cardinal(n), 1);
    }
    (place.capitalised_back() && written.len() > 1).then(|| Reading::new(format!("the {}", ordinal(n)), 1)).flatten()
}

/// A word, with all that hyphens and apostrophes join to it.
pub fn joined(place: Place<'_>) -> Option<Reading> {
    place.word(0)?;
    let mut words = String::new();
    let mut taken = 0;
    while let Some(token) = place.token(taken).filter(|token| token.kind == Kind::Word) {
        words.push_str(&word(token, taken > 0 || place.glued(taken + 1)));
        taken += 1;
        let joint = place.joint(taken).filter(|sign| matches!(sign, '-' | '‑' | '\'' | '’'));
        let (Some(joint), true) = (joint, taken < 24 && place.word(taken + 1).is_some()) else { break };
        words.push(if matches!(joint, '\'' | '’') { '\'' } else { '-' });
        taken += 1;
    }
    Reading::new(words, taken)
}

fn word(token: &Token<'_>, joined: bool) -> String {
    let text = token.text;
    let capitals = text.len() >= 2 && text.chars().all(|c| c.is_ascii_uppercase());
    let spelled =
        ["it", "hr", "id", "ip", "ai", "eu", "uk", "us", "usa", "ceo", "faq", "usb", "url", "uae", "api", "atm", "ev"];
    if capitals
        && text.len() <= 5
        && (!spelling::is_readable(text) || (spelled.contains(&token.plain.as_str()) && !joined))
    {
        return text.chars().map(String::from).collect::<Vec<_>>().join(" ");
    }
    translit::into_alphabet(text, Language::En)
}

/// A sign that stands for a word where it stands.
pub fn sign(place: Place<'_>) -> Option<Reading> {
    let is_word = |token: &Token<'_>| matches!(token.kind, Kind::Word | Kind::Number);
    let between = place.back(1).is_some_and(is_word) && place.token(1).is_some_and(is_word);
    let words = match place.sign(0)? {
        '&' if between => "and",
        '+' if between => "plus",
        '=' if between => "equals",
        '×' if between => "by",
        '@' if between => "at",
        '/' if between => ",",
        '-' if place.token(0).is_some_and(|token| token.spaced) && !place.glued(1) => ",",
        '(' if place.digits(1).is_some() => "",
        _ => return None,
    };
    Reading::new(words, 1)
}
