//! What is to be said, as it is put together: one space between words, one mark in a place, and no other characters.

use super::tokens::STRESS;
use super::translit;
use crate::engine::Language;

pub struct Spoken {
    language: Language,
    text: String,
    mark: Option<char>,
}

impl Spoken {
    pub fn new(language: Language) -> Self {
        Self { language, text: String::new(), mark: None }
    }

    /// Adds words; commas among them are pauses. What no voice can say is left out.
    pub fn words(&mut self, words: &str) {
        for piece in words.split_inclusive([' ', ',']) {
            let word: String = piece.chars().filter(|c| self.is_sayable(*c)).collect();
            let word = word.trim_matches(['-', '\'', STRESS]);
            if !word.is_empty() {
                self.word(word);
            }
            if piece.ends_with(',') {
                self.mark(',');
            }
        }
    }

    /// Of several marks in a row the strongest stays.
    pub fn mark(&mut self, mark: char) {
        let strength = |mark: char| match mark {
            '?' => 3,
            '!' => 2,
            '.' => 1,
            _ => 0,
        };
        if self.mark.is_none_or(|there| strength(there) < strength(mark)) {
            self.mark = Some(mark);
        }
    }

    pub fn finish(mut self) -> String {
        if !self.text.is_empty() {
            self.text.push(self.mark.filter(|mark| matches!(mark, '.' | '!' | '?')).unwrap_or('.'));
        }
        self.text
    }

    fn word(&mut self, word: &str) {
        if let Some(mark) = self.mark.take()
            && !self.text.is_empty()
        {
            self.text.push(mark);
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    fn is_sayable(&self, c: char) -> bool {
        translit::own_letter(c, self.language)
            || matches!(c, '-' | STRESS)
            || (c == '\'' && self.language == Language::En)
    }
}
