//! Text to clauses that any voice can say: numbers in words, symbols read or dropped, one alphabet, short pieces.
//!
//! Unit-selection voices skip digits and fail on letters they do not know, and every voice says its first clause
//! sooner when it is short. Left out: stress marks, oblique cases but those of hours and dates, money but roubles.

mod numbers;
mod translit;

use crate::engine::Language;

/// No clause is longer, in characters.
const MAX_CHARS: usize = 182;
/// A first sentence longer than this is cut at an early comma, so that the first sound comes soon.
const FIRST_MAX_CHARS: usize = 40;
/// Shorter pieces sound chopped.
const MIN_CHARS: usize = 14;
/// Where a voice pauses inside a sentence.
const PAUSES: &[char] = &[',', ';', ':'];

/// The text as a voice of this language can say it, in pieces to be said one after another.
pub fn clauses(text: &str, language: Language) -> Vec<String> {
    let mut clauses = Vec::new();
    for sentence in sentences(&speakable(text, language)) {
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

/// Words and `. , ! ? ; :` only, in the language's alphabet.
fn speakable(text: &str, language: Language) -> String {
    let mut out = Spoken::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = c.is_ascii_digit() || (c == '+' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()));
        let len = if number {
            let (words, len) = numbers::read(rest, out.last_word(), language);
            out.words(&words);
            len
        } else if c.is_alphabetic() {
            let word = rest.get(..word_len(rest)).unwrap_or(rest);
            let dotted = rest.get(word.len()..).is_some_and(|after| after.starts_with('.'));
            match abbreviation(word, language).filter(|_| dotted) {
                Some(whole) => {
                    out.words(whole);
                    word.len() + 1
                }
                None => {
                    out.words(&translit::into_alphabet(word, language));
                    word.len()
                }
            }
        } else {
            symbol(c, rest, language, &mut out);
            c.len_utf8()
        };
        // A length of nothing would never end; there is always a character.
        rest = rest.get(len.max(c.len_utf8())..).unwrap_or_default();
    }
    out.finish()
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
    match c {
        '.' | '!' | '?' | ',' | ';' | ':' => out.mark(c),
        '…' | '\n' => out.mark('.'),
        // The area code of a telephone number.
        '(' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {}
        '—' | '–' | '(' | ')' | '[' | ']' => out.mark(','),
        // A hyphen that joins no letters is a dash or a bullet.
        '-' if rest.chars().nth(1).is_some_and(char::is_whitespace) => out.mark(','),
        '№' | '#' => out.words(if ru { "номер" } else { "number" }),
        '%' => out.words(if ru { "процентов" } else { "percent" }),
        '&' => out.words(if ru { "и" } else { "and" }),
        '@' => out.words(if ru { "собака" } else { "at" }),
        '+' => out.words(if ru { "плюс" } else { "plus" }),
        '=' => out.words(if ru { "равно" } else { "equals" }),
        _ => {}
    }
}

/// Shortened words that a full stop follows without ending the sentence.
fn abbreviation(word: &str, language: Language) -> Option<&'static str> {
    let word = word.to_lowercase();
    let whole = match (language, word.as_str()) {
        (Language::Ru, "ул") => "улица",
        (Language::Ru, "просп" | "пр-т") => "проспект",
        (Language::Ru, "пер") => "переулок",
        (Language::Ru, "д") => "дом",
        (Language::Ru, "корп") => "корпус",
        (Language::Ru, "стр") => "строение",
        (Language::Ru, "кв") => "квартира",
        (Language::Ru, "эт") => "этаж",
        (Language::Ru, "каб") => "кабинет",
        (Language::Ru, "г") => "город",
        (Language::Ru, "им") => "имени",
        (Language::Ru, "тел") => "телефон",
        (Language::Ru, "доб") => "добавочный",
        (Language::Ru, "руб") => "рублей",
        (Language::Ru, "мин") => "минут",
        (Language::En, "mr") => "Mister",
        (Language::En, "mrs") => "Missis",
        (Language::En, "ms") => "Miss",
        (Language::En, "dr") => "Doctor",
        (Language::En, "st") => "Street",
        (Language::En, "ave") => "Avenue",
        (Language::En, "ext") => "extension",
        _ => return None,
    };
    Some(whole)
}

/// Words and marks put together as one writes them: one space between words, one mark in a place.
#[derive(Default)]
struct Spoken {
    text: String,
    mark: Option<char>,
}

impl Spoken {
    fn words(&mut self, words: &str) {
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
    }

    /// The word before, when no mark stands between.
    fn last_word(&self) -> &str {
        if self.mark.is_some() { "" } else { self.text.rsplit(' ').next().unwrap_or_default() }
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

    #[test]
    fn text_becomes_words_and_marks() {
        let cases = [
            (Ru, "Здравствуйте!  Чем могу помочь ?", "Здравствуйте! Чем могу помочь?"),
            (Ru, "«Ромашка» — это ООО (офис)", "Ромашка, это ООО, офис."),
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
            (Ru, "Пишите на info@mail.ru", "Пишите на инфо собака маил. ру."),
            (
                En,
                "Call (415) 555-0172 at 9:00 am.",
                "Call four one five, five five five, zero one seven two at nine am.",
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
            assert_eq!(speakable(text, language), expected, "{text}");
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
            let spoken = speakable(text, language);
            println!("{spoken}");
            let known = |c: char| letters.contains(&c) || (language == Ru && c == 'ё') || " .,!?;:'-".contains(c);
            assert!(spoken.to_lowercase().chars().all(known), "{spoken}");
        }
    }
}
