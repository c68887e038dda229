//! Text to clauses that any voice can say: numbers in words, symbols read or dropped, one alphabet, short pieces.
//!
//! Unit-selection voices skip digits and fail on letters they do not know, and every voice says its first clause
//! sooner when it is short. Left out: stress marks, of which no voice here knows what to do; the case of a numeral in front of an
//! adjective that says nothing of it.

mod clean;
mod en;
mod numbers;
mod ru;
mod spelling;
#[cfg(test)]
mod tables;
mod translit;

use std::collections::HashMap;

use self::clean::clean;
use self::ru::abbreviations;
use crate::engine::Language;

/// No clause is longer, in characters.
const MAX_CHARS: usize = 182;
/// A first sentence longer than this is cut at an early comma, so that the first sound comes soon.
const FIRST_MAX_CHARS: usize = 40;
/// Shorter pieces sound chopped.
const MIN_CHARS: usize = 14;
/// Where a voice pauses inside a sentence.
const PAUSES: &[char] = &[',', ';', ':'];

/// Reads texts aloud, with the words that an owner wants said in his own way.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// By the word in small letters.
    words: HashMap<String, String>,
}

impl Reader {
    /// `words` are said as their values: «кофеин» as «кофэин», «Артем» as «Артём». Small and capital letters are the same.
    pub fn new(words: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { words: words.into_iter().map(|(word, said)| (word.to_lowercase(), said)).collect() }
    }

    /// The text as a voice of this language can say it, in pieces to be said one after another.
    pub fn clauses(&self, text: &str, language: Language) -> Vec<String> {
        clauses_of(&self.speakable(text, language))
    }

    /// Words and `. , ! ? ; :` only, in the language's alphabet.
    fn speakable(&self, text: &str, language: Language) -> String {
        let text = clean(text);
        let mut out = Spoken::default();
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let len = self.next(c, rest, language, &mut out);
            // A length of nothing would never end; there is always a character.
            let len = len.max(c.len_utf8());
            out.glued = !rest.get(..len).is_some_and(|read| read.ends_with(char::is_whitespace));
            rest = rest.get(len..).unwrap_or_default();
        }
        out.finish()
    }

    /// Reads what `rest` begins with, and tells its bytes.
    fn next(&self, c: char, rest: &str, language: Language, out: &mut Spoken) -> usize {
        let is_word_start = !out.glued || out.before.is_empty();
        if c.is_alphanumeric()
            && is_word_start
            && let Some((said, len)) = spelling::address(rest, language)
        {
            out.words(&said);
            return len;
        }
        let digit_follows = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '$' | '€' | '£' | '₽' if digit_follows(after) => {
                let found = match language {
                    Language::En => en::money(rest),
                    Language::Ru => ru::money(rest, &out.before),
                };
                if let Some((said, len)) = found {
                    out.words(&said);
                    return len;
                }
                c.len_utf8()
            }
            '-' | '−' if digit_follows(after) && !out.glued => {
                out.words(if language == Language::Ru { "минус" } else { "minus" });
                c.len_utf8()
            }
            '~' | '≈' if digit_follows(after.trim_start()) => {
                let about = if language == Language::Ru { "около" } else { "about" };
                out.words(about);
                about.clone_into(&mut out.before);
                c.len_utf8()
            }
            '+' if digit_follows(after) => self.number(rest, language, out),
            _ if c.is_ascii_digit() => self.number(rest, language, out),
            _ if c.is_alphabetic() => self.word(rest, language, out),
            _ => {
                symbol(c, rest, language, out);
                c.len_utf8()
            }
        }
    }

    fn number(&self, rest: &str, language: Language, out: &mut Spoken) -> usize {
        let (words, len) = numbers::read(rest, &out.before, language);
        out.words(&words);
        len
    }

    fn word(&self, rest: &str, language: Language, out: &mut Spoken) -> usize {
        let word = rest.get(..word_len(rest)).unwrap_or(rest);
        if let Some(said) = self.words.get(&word.to_lowercase()) {
            out.words(said);
            return word.len();
        }
        let after = rest.get(word.len()..).unwrap_or_default();
        let short = match language {
            Language::Ru => abbreviations::read(rest, &out.before),
            Language::En => en::short_word(rest),
        };
        if let Some((said, len)) = short {
            out.words(&said);
            // «ул.» governs nothing, «около» of «ок.» does.
            out.before = said.to_lowercase();
            return len;
        }
        let said = match language {
            Language::Ru => abbreviations::roman(word, after, &out.before)
                .or_else(|| abbreviations::spelled(word))
                .unwrap_or_else(|| translit::into_alphabet(word, language)),
            Language::En => translit::into_alphabet(word, language),
        };
        out.words(&said);
        out.before = word.to_lowercase();
        word.len()
    }
}

/// Cuts what can be said into pieces.
fn clauses_of(speakable: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    for sentence in sentences(speakable) {
        let mut rest = sentence;
        if clauses.is_empty()
            && rest.chars().count() > FIRST_MAX_CHARS
            && let Some((first, after)) = cuts(rest, MAX_CHARS, PAUSES).next()
        {
            clauses.push(first.to_owned());
            rest = after;
        }
        while rest.chars().count() > MAX_CHARS {
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
    let long_enough = |part: &str| part.chars().count() >= MIN_CHARS;
    head.char_indices()
        .filter(|(_, c)| marks.contains(c))
        .map(|(at, mark)| text.split_at(at + mark.len_utf8()))
        .map(|(first, rest)| (first.trim(), rest.trim()))
        .filter(move |(first, rest)| long_enough(first) && long_enough(rest))
}

fn byte_of(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?']).map(str::trim).filter(|s| s.chars().any(char::is_alphabetic))
}

/// Letters, with hyphens and apostrophes between them.
fn word_len(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins =
            matches!(c, '-' | '\'' | '’' | '\u{301}') && chars.peek().is_some_and(|(_, next)| next.is_alphabetic());
        let stress = c == '\u{301}';
        if !c.is_alphabetic() && !joins && !stress {
            return at;
        }
    }
    text.len()
}

fn symbol(c: char, rest: &str, language: Language, out: &mut Spoken) {
    let ru = language == Language::Ru;
    let after = rest.get(c.len_utf8()..).unwrap_or_default();
    let is_alone = !out.glued && after.chars().next().is_none_or(char::is_whitespace);
    let digit_follows = after.trim_start().starts_with(|c: char| c.is_ascii_digit());
    match c {
        '.' | '!' | '?' | ',' | ';' | ':' => out.mark(c),
        '…' | '\n' => out.mark('.'),
        // The area code of a telephone number.
        '(' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {}
        '—' | '–' | '(' | ')' | '[' | ']' => out.mark(','),
        // A hyphen that joins no letters is a dash or a bullet.
        '-' if rest.chars().nth(1).is_some_and(char::is_whitespace) => out.mark(','),
        '№' | '#' if digit_follows => out.words(if ru { "номер" } else { "number" }),
        '&' => out.words(if ru { "и" } else { "and" }),
        '×' if digit_follows => out.words(if ru { "на" } else { "by" }),
        '+' if !is_alone || digit_follows => out.words(if ru { "плюс" } else { "plus" }),
        '=' if digit_follows => out.words(if ru { "равно" } else { "equals" }),
        '/' if !is_alone => out.mark(','),
        _ => {}
    }
}

/// Words and marks put together as one writes them: one space between words, one mark in a place.
#[derive(Default)]
struct Spoken {
    text: String,
    mark: Option<char>,
    /// The word that was read last, in small letters, if nothing stands between; a number is none.
    before: String,
    /// Whether no space follows what was read last.
    glued: bool,
}

impl Spoken {
    fn words(&mut self, words: &str) {
        self.before.clear();
        if words.is_empty() {
            return;
        }
        if let Some(mark) = self.mark.take()
            && !self.text.is_empty()
        {
            self.text.push(mark);
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(words);
    }

    /// Of several marks in a row the strongest stays.
    fn mark(&mut self, mark: char) {
        let strength = |mark: char| match mark {
            '?' => 3,
            '!' => 2,
            '.' => 1,
            _ => 0,
        };
        if self.mark.is_none_or(|there| strength(there) < strength(mark)) {
            self.mark = Some(mark);
        }
        self.before.clear();
    }

    fn finish(mut self) -> String {
        if !self.text.is_empty() {
            self.text.push(self.mark.filter(|mark| matches!(mark, '.' | '!' | '?')).unwrap_or('.'));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn clauses(text: &str, language: Language) -> Vec<String> {
        Reader::default().clauses(text, language)
    }

    #[test]
    fn text_becomes_words_and_marks() {
        let cases = [
            (Ru, "Здравствуйте!  Чем могу помочь ?", "Здравствуйте! Чем могу помочь?"),
            (Ru, "«Ромашка» — это ООО (офис)", "Ромашка, это о о о, офис."),
            (
                Ru,
                "Ваш номер: 8 916 123-45-67, верно?",
                "Ваш номер: восемь, девятьсот шестнадцать, сто двадцать три, сорок пять, шестьдесят семь, верно?",
            ),
            (Ru, "Мы работаем с 9:00 до 18:30.", "Мы работаем с девяти часов до восемнадцати тридцати."),
            (Ru, "Приходите в 9:05 или 21:00", "Приходите в девять ноль пять или двадцать один час."),
            (Ru, "ул. Ленина, д. 5, кв. 12", "улица Ленина, дом пять, квартира двенадцать."),
            (Ru, "22 ноября, 1 500 руб. и 5%", "двадцать второго ноября, одна тысяча пятьсот рублей и пять процентов."),
            (Ru, "2 минуты, 1 неделя, 3-й этаж", "две минуты, одна неделя, третий этаж."),
            (Ru, "Код 007 и №4...", "Код ноль ноль семь и номер четыре."),
            (Ru, "Что-то случилось?!", "Что-то случилось?"),
            (Ru, "за\u{301}мок\n- раз\n- два", "замок. раз. два."),
            (Ru, "Пишите на info@mail.ru", "Пишите на инфо собака мэйл точка ру."),
            (
                En,
                "Call (415) 555-0172 at 9:00 am.",
                "Call four one five, five five five, zero one seven two at nine a m.",
            ),
            (En, "Open 9:00 to 18:30", "Open nine o'clock to six thirty p m."),
            (En, "Mr. Smith's fee is 1,250.", "Mister Smith's fee is one thousand two hundred fifty."),
            (En, "Room 101, 3.5 & 2nd floor", "Room one hundred one, three point five and second floor."),
            (En, "Спросите Ивана Щукина", "Sprosite Ivana Shchukina."),
            (Ru, "", ""),
            (Ru, "…!?", ""),
            (En, "🙂 ok", "ok."),
        ];
        for (language, text, expected) in cases {
            assert_eq!(Reader::default().speakable(text, language), expected, "{text}");
        }
    }

    #[test]
    fn text_is_cut_at_sentence_ends() {
        let text = "Добрый день. Секретарь слушает! Чем помочь?";
        assert_eq!(clauses(text, Ru), ["Добрый день.", "Секретарь слушает!", "Чем помочь?"]);
        assert!(clauses(" ... ", Ru).is_empty());
    }

    #[test]
    fn long_first_sentence_begins_with_a_short_clause() {
        let text = "Здравствуйте, вы позвонили в компанию, которая давно работает на рынке и рада вам помочь.";
        let clauses = clauses(text, Ru);
        assert_eq!(clauses[0], "Здравствуйте, вы позвонили в компанию,");
        assert_eq!(clauses.join(" "), text);
    }

    #[test]
    fn no_clause_is_too_long_and_nothing_is_lost() {
        for text in ["слово ".repeat(200), "раз, ".repeat(300), "а".repeat(1_000), "длинное слово, ".repeat(90)]
        {
            let clauses = clauses(&text, Ru);
            assert!(clauses.iter().all(|c| (1..=MAX_CHARS).contains(&c.chars().count())));
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
            assert_eq!(clauses.iter().map(|c| letters(c)).sum::<usize>(), letters(&text));
        }
    }

    #[test]
    fn speakable_text_has_only_the_languages_letters_and_marks() {
        let text =
            "Смешанный text: 1½ €5 <b>ёж</b> 東京 naïve 10:99 25:00 99999999999999999999 +7 (495) 1 2 3-- % ' \u{0} ñ";
        for (language, letters) in [(Ru, 'а'..='я'), (En, 'a'..='z')] {
            let spoken = Reader::default().speakable(text, language);
            println!("{spoken}");
            let known = |c: char| letters.contains(&c) || (language == Ru && c == 'ё') || " .,!?;:'-".contains(c);
            assert!(spoken.to_lowercase().chars().all(known), "{spoken}");
        }
    }
}
