//! How the user wants words to be said: names, ё, stress. One dictionary for each language.

use std::collections::{BTreeMap, HashMap};

use super::tokens::{Kind, Place, Reading, split};
use crate::engine::Language;

/// For each language: a word, or a few, and how to say them.
///
/// A word is found in any case, with ё or е. One that ends in `*` stands for all words that begin so, and what it is
/// said as for their beginning: `"Королев*" = "Королёв"` reads «Королеву» as «Королёву». What it is said as may have
/// stress marks (U+0301 after the vowel).
pub type Pronunciations = BTreeMap<Language, BTreeMap<String, String>>;

/// The dictionary of one language.
#[derive(Debug, Clone, Default)]
pub struct Lexicon {
    words: HashMap<String, String>,
    beginnings: Vec<(String, String)>,
    /// The most tokens in a key.
    longest: usize,
}

/// A key of more tokens is never found.
const MAX_TOKENS: usize = 8;

impl Lexicon {
    pub fn new(entries: &BTreeMap<String, String>) -> Self {
        let mut lexicon = Self::default();
        for (key, said) in entries {
            match key.strip_suffix('*') {
                Some(beginning) => lexicon.beginnings.push((folded(beginning), said.clone())),
                None => {
                    let tokens = split(key);
                    lexicon.longest = lexicon.longest.max(tokens.len().min(MAX_TOKENS));
                    lexicon.words.insert(key_of(Place::new(&tokens, 0), tokens.len()), said.clone());
                }
            }
        }
        // The more exact one is to be found first.
        lexicon.beginnings.sort_by_key(|(beginning, _)| std::cmp::Reverse(beginning.len()));
        lexicon
    }

    /// How the words at the place are said, if the user told it.
    pub fn read(&self, place: Place<'_>) -> Option<Reading> {
        for taken in (1..=self.longest).rev() {
            let whole = place.token(taken - 1).is_some() && !continues(place.skip(taken));
            if whole && let Some(said) = self.words.get(&key_of(place, taken)) {
                return Reading::new(said, taken);
            }
        }
        let word = folded(place.word(0)?);
        let found = self.beginnings.iter().find(|(beginning, _)| word.starts_with(beginning.as_str()))?;
        Reading::new(format!("{}{}", found.1, word.get(found.0.len()..).unwrap_or_default()), 1)
    }
}

/// Whether a letter or a digit stands here with nothing before it.
fn continues(place: Place<'_>) -> bool {
    place.glued(0) && place.token(0).is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Number))
}

fn key_of(place: Place<'_>, taken: usize) -> String {
    let mut key = String::new();
    for token in (0..taken).filter_map(|ahead| place.token(ahead)) {
        if token.spaced && !key.is_empty() {
            key.push(' ');
        }
        key.push_str(&folded(&token.plain));
    }
    key
}

fn folded(word: &str) -> String {
    word.to_lowercase().replace('ё', "е")
}
