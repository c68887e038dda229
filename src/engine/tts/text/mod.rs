//! Text to clauses that any voice can say: numbers in words that agree, symbols read or dropped, one alphabet, short
//! pieces.
//!
//! Unit-selection voices skip digits and fail on letters they do not know, and every voice says its first clause
//! sooner when it is short. A text goes through [`markup`], which leaves what is meant to be read, and [`tokens`]; at
//! each token the user's [`lexicon`] and then the rules of its language ([`ru`], [`en`]) are asked in turn, and
//! [`spoken`] takes their words. Left out: stress and ё that nobody told.

mod en;
mod lexicon;
mod markup;
mod phones;
mod ru;
mod spelling;
mod spoken;
mod tokens;
mod translit;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::lexicon::Lexicon;
pub use self::lexicon::Pronunciations;
use self::spoken::Spoken;
use self::tokens::{Kind, Place, STRESS};
use crate::engine::Language;

/// No clause is longer, in characters.
const MAX_CHARS: usize = 182;
/// A first sentence longer than this is cut at an early comma, so that the first sound comes soon.
const FIRST_MAX_CHARS: usize = 40;
/// Shorter pieces sound chopped.
const MIN_CHARS: usize = 14;
/// Where a voice pauses inside a sentence.
const PAUSES: &[char] = &[',', ';', ':'];

/// Reads texts aloud with the user's dictionary.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    ru: Lexicon,
    en: Lexicon,
}

impl Reader {
    pub fn new(dictionary: &Pronunciations) -> Self {
        let of = |language| dictionary.get(&language).map(Lexicon::new).unwrap_or_default();
        Self { ru: of(Language::Ru), en: of(Language::En) }
    }

    /// The text as a voice of this language can say it, in pieces to be said one after another, with the stress marks of the
    /// dictionary and of the text; a voice that does not know them is to be given the clause [`without_stress`].
    pub fn clauses(&self, text: &str, language: Language) -> Vec<String> {
        cut_up(&self.speakable(text, language))
    }

    /// Words and `. , ! ? ; :` only, in the language's alphabet.
    fn speakable(&self, text: &str, language: Language) -> String {
        let text = markup::plain(text);
        let tokens = tokens::split(&text);
        let (lexicon, rules) = match language {
            Language::Ru => (&self.ru, ru::RULES),
            Language::En => (&self.en, en::RULES),
        };
        let mut out = Spoken::new(language);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let place = Place::new(&tokens, at);
            let reading = lexicon.read(place).or_else(|| rules.iter().find_map(|rule| rule(place)));
            if let Some(reading) = &reading {
                out.words(&reading.words);
                reading.mark.into_iter().for_each(|mark| out.mark(mark));
            } else if token.kind == Kind::Break {
                out.mark('.');
            } else if let Some(mark) = place.sign(0).and_then(mark_of) {
                out.mark(mark);
            }
            // A reading of nothing would never end.
            at += reading.map_or(1, |reading| reading.taken.max(1));
        }
        out.finish()
    }
}

/// The clause for a voice that does not know stress marks (U+0301).
pub fn without_stress(clause: &str) -> Cow<'_, str> {
    if clause.contains(STRESS) { clause.replace(STRESS, "").into() } else { clause.into() }
}

/// The pause that a sign stands for, if a rule has nothing to say of it.
fn mark_of(sign: char) -> Option<char> {
    match sign {
        '.' | '!' | '?' | ',' | ';' | ':' => Some(sign),
        '…' => Some('.'),
        '—' | '–' | '(' | ')' | '[' | ']' => Some(','),
        '→' | '•' | '·' | '|' | '⇒' => Some(','),
        _ => None,
    }
}

fn cut_up(speakable: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    for sentence in sentences(speakable) {
        let mut rest = sentence;
        if clauses.is_empty()
            && is_longer(rest, FIRST_MAX_CHARS)
            && let Some((first, after)) = cuts(rest, MAX_CHARS, PAUSES).next()
        {
            clauses.push(first.to_owned());
            rest = after;
        }
        while is_longer(rest, MAX_CHARS) {
            let pause = cuts(rest, MAX_CHARS, PAUSES).last().or_else(|| cuts(rest, MAX_CHARS, &[' ']).last());
            let (first, after) = pause.unwrap_or_else(|| rest.split_at(byte_of(rest, MAX_CHARS)));
            clauses.push(first.trim().to_owned());
            rest = after;
        }
        clauses.push(rest.to_owned());
    }
    clauses
}

/// The ways to cut a text after one of `marks` among its first `max` characters that leave no scrap on either side.
fn cuts<'a>(text: &'a str, max: usize, marks: &[char]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let head = text.get(..byte_of(text, max)).unwrap_or(text);
    let long_enough = |part: &str| is_longer(part, MIN_CHARS - 1);
    head.char_indices()
        .filter(|(_, c)| marks.contains(c))
        .map(|(at, mark)| text.split_at(at + mark.len_utf8()))
        .map(|(first, rest)| (first.trim(), rest.trim()))
        .filter(move |(first, rest)| long_enough(first) && long_enough(rest))
}

/// Without counting all of them.
fn is_longer(text: &str, chars: usize) -> bool {
    text.chars().nth(chars).is_some()
}

fn byte_of(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?']).map(str::trim).filter(|s| s.chars().any(char::is_alphabetic))
}
