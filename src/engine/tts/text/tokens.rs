//! A text as words, numbers, signs and line breaks, and a place among them from which the rules look both ways.
//!
//! Left out: what any of it means.

use std::iter;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters, with stress marks between them.
    Word,
    /// Digits 0 to 9.
    Number,
    /// One other character.
    Sign,
    /// The end of a line.
    Break,
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// In lower case and without stress, to be compared.
    pub plain: String,
    /// Whether a space or a line break stands before it.
    pub spaced: bool,
}

/// How a rule reads the tokens from its place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// In words; commas are pauses. It may be empty.
    pub words: String,
    /// How many tokens the words stand for; at least one.
    pub taken: usize,
    /// The full stop that the last of them stands for besides.
    pub mark: Option<char>,
}

impl Reading {
    pub fn new(words: impl Into<String>, taken: usize) -> Option<Self> {
        Some(Self { words: words.into(), taken, mark: None })
    }

    /// One that ends the sentence if a full stop is its last token and a new sentence follows.
    pub fn ending(words: impl Into<String>, taken: usize, place: Place<'_>) -> Option<Self> {
        let dotted = taken > 0 && place.sign(taken - 1) == Some('.');
        let mark = (dotted && place.skip(taken).begins_sentence()).then_some('.');
        Some(Self { words: words.into(), taken, mark })
    }
}

/// Reads what stands at a place, or has nothing to say of it.
pub type Rule = fn(Place<'_>) -> Option<Reading>;

pub const STRESS: char = '\u{301}';

/// The tokens of a text without invisible characters.
pub fn split(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut spaced = true;
    while let Some(c) = rest.chars().next() {
        let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let (kind, len) = if c == '\n' {
            (Some(Kind::Break), 1)
        } else if c.is_whitespace() {
            (None, c.len_utf8())
        } else if c.is_ascii_digit() {
            (Some(Kind::Number), run(|c| c.is_ascii_digit()))
        } else if c.is_alphabetic() {
            (Some(Kind::Word), run(|c| c.is_alphabetic() || c == STRESS))
        } else {
            (Some(Kind::Sign), c.len_utf8())
        };
        let (text, after) = rest.split_at(len);
        if let Some(kind) = kind {
            let plain = text.chars().filter(|c| *c != STRESS).flat_map(char::to_lowercase).collect();
            tokens.push(Token { kind, text, plain, spaced });
        }
        spaced = matches!(kind, None | Some(Kind::Break));
        rest = after;
    }
    tokens
}

/// A token among its neighbours. Token 0 is the one at the place.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
}

impl<'a> Place<'a> {
    pub fn new(tokens: &'a [Token<'a>], at: usize) -> Self {
        Self { tokens, at }
    }

    pub fn token(self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at.checked_add(ahead)?)
    }

    /// The place so many tokens further.
    pub fn skip(self, ahead: usize) -> Self {
        Self { at: self.at.saturating_add(ahead), ..self }
    }

    /// The place so many tokens earlier, or the first.
    pub fn before(self, behind: usize) -> Self {
        Self { at: self.at.saturating_sub(behind), ..self }
    }

    /// The token so many before the place; 1 is the last one.
    pub fn back(self, behind: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at.checked_sub(behind)?)
    }

    /// The word there, in lower case and without stress.
    pub fn word(self, ahead: usize) -> Option<&'a str> {
        self.token(ahead).filter(|token| token.kind == Kind::Word).map(|token| token.plain.as_str())
    }

    /// The digits there.
    pub fn digits(self, ahead: usize) -> Option<&'a str> {
        self.token(ahead).filter(|token| token.kind == Kind::Number).map(|token| token.text)
    }

    /// The value of the digits there, if they are not too many for one.
    pub fn value(self, ahead: usize) -> Option<i64> {
        self.digits(ahead).filter(|digits| digits.len() <= 15)?.parse().ok()
    }

    pub fn sign(self, ahead: usize) -> Option<char> {
        self.token(ahead).filter(|token| token.kind == Kind::Sign).and_then(|token| token.text.chars().next())
    }

    /// Whether there is a token with nothing between it and the one before.
    pub fn glued(self, ahead: usize) -> bool {
        self.token(ahead).is_some_and(|token| !token.spaced)
    }

    /// The sign there, with nothing before it.
    pub fn glued_sign(self, ahead: usize) -> Option<char> {
        self.sign(ahead).filter(|_| self.glued(ahead))
    }

    /// A sign on both sides of which nothing is left free.
    pub fn joint(self, ahead: usize) -> Option<char> {
        self.glued_sign(ahead).filter(|_| self.glued(ahead + 1))
    }

    pub fn word_back(self, behind: usize) -> Option<&'a str> {
        self.back(behind).filter(|token| token.kind == Kind::Word).map(|token| token.plain.as_str())
    }

    pub fn sign_back(self, behind: usize) -> Option<char> {
        self.back(behind).filter(|token| token.kind == Kind::Sign).and_then(|token| token.text.chars().next())
    }

    /// Whether the word there begins with a capital letter.
    pub fn capitalised(self, ahead: usize) -> bool {
        self.token(ahead).is_some_and(|token| token.text.starts_with(char::is_uppercase))
    }

    /// Whether the word before begins with a capital letter.
    pub fn capitalised_back(self) -> bool {
        self.back(1).is_some_and(|token| token.text.starts_with(char::is_uppercase))
    }

    /// Whether a sentence could begin here: the text or the line is over, or a capital letter or a quotation follows.
    pub fn begins_sentence(self) -> bool {
        let opening = self.sign(0).is_some_and(|sign| "«\"“".contains(sign));
        match self.token(usize::from(opening)) {
            None => true,
            Some(token) => {
                token.kind == Kind::Break || (token.kind == Kind::Word && token.text.starts_with(char::is_uppercase))
            }
        }
    }

    /// Whether a pause or the end of the text stands here.
    pub fn at_pause(self) -> bool {
        match self.token(0) {
            None => true,
            Some(token) => token.kind == Kind::Break || self.sign(0).is_some_and(|sign| ".,!?;:…)".contains(sign)),
        }
    }

    /// How many tokens follow one another here without a space.
    pub fn run_len(self, most: usize) -> usize {
        let glued = (1..most).take_while(|ahead| self.glued(*ahead) && !self.is_break(*ahead)).count();
        if self.token(0).is_some() { glued + 1 } else { 0 }
    }

    fn is_break(self, ahead: usize) -> bool {
        self.token(ahead).is_some_and(|token| token.kind == Kind::Break)
    }

    /// The words before the place, the nearest first, as far as no mark stands between.
    pub fn words_back(self) -> impl Iterator<Item = &'a str> {
        let mut behind = 0;
        iter::from_fn(move || {
            behind += 1;
            self.word_back(behind)
        })
    }
}

/// Marks that mean "from … to …" between numbers.
pub fn is_dash(sign: char) -> bool {
    matches!(sign, '-' | '–' | '—' | '−' | '‑' | '‒')
}
