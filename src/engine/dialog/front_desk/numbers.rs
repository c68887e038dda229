//! Telephone numbers in speech: words and digits, Russian and English, to a string of digits, and back to groups that
//! a voice can read.
//!
//! Left out: ordinals, oblique cases and thousands, in which nobody dictates a telephone number.

use crate::engine::Language;

use super::words::{self, Word};

/// Shorter than any number one could call (emergency and extension numbers are not left for a call back).
pub const SHORTEST: usize = 5;
/// The longest number that E.164 §6.2.1 allows is 15 digits; one more for a prefix such as the Russian 8.
pub const LONGEST: usize = 16;

/// The longest run of digits that was said, with a leading `+` if there was one; `None` if there was no digit.
/// At most [`LONGEST`] digits are kept.
pub fn find(text: &str, language: Language) -> Option<String> {
    let words = words::split(text);
    let mut best = String::new();
    let mut at = 0;
    while at < words.len() {
        let run = Run::read(words.get(at..).unwrap_or_default(), language);
        if count(&run.digits) > count(&best) {
            best = run.digits;
        }
        at += run.words.max(1);
    }
    let whole = best.char_indices().filter(|(_, c)| c.is_ascii_digit()).nth(LONGEST);
    if let Some((end, _)) = whole {
        best.truncate(end);
    }
    (count(&best) > 0).then_some(best)
}

/// The digits that the words end with, fillers behind them not counted, and how many words stand before them.
pub fn at_end(words: &[Word], language: Language) -> Option<(String, usize)> {
    let end = words.iter().rposition(|word| !is_filler(&word.plain))? + 1;
    let mut at = 0;
    while at < end {
        let run = Run::read(words.get(at..end)?, language);
        if run.words > 0 && at + run.words == end {
            return Some((run.digits, at));
        }
        at += run.words.max(1);
    }
    None
}

/// Whether the word is part of a number, in words or digits.
pub fn is_number_word(word: &Word, language: Language) -> bool {
    read_word(word, language, &mut Vec::new())
}

/// How many digits, the `+` not counted.
pub fn count(number: &str) -> usize {
    number.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether a number looks dictated to its end, by the numbering plans that callers are likely to have.
pub fn is_whole(number: &str, language: Language) -> bool {
    let length = count(number);
    if number.starts_with("+7") {
        return length >= 11;
    }
    if number.starts_with('+') {
        return length >= 10;
    }
    match language {
        // 8 or 7 and an area code, which begins with 3, 4, 8 or 9; a mobile number without them; a local number.
        Language::Ru if is_long_distance(number) => length >= 11,
        Language::Ru if number.starts_with('9') => length >= 10,
        Language::Ru => length >= 6,
        Language::En if number.starts_with('1') => length >= 11,
        Language::En if number.starts_with('0') => length >= 10,
        Language::En => length >= 7,
    }
}

fn is_long_distance(number: &str) -> bool {
    number.starts_with(['7', '8']) && number.get(1..2).is_none_or(|c| matches!(c, "3" | "4" | "8" | "9"))
}

/// The number in groups: «8 916 123-45-67», "212 555 0178".
pub fn read_back(number: &str, language: Language) -> String {
    let (plus, digits) = match number.strip_prefix('+') {
        Some(rest) => ("+", rest),
        None => ("", number),
    };
    let groups: &[usize] = match (language, digits.len()) {
        (Language::Ru, 11) => &[1, 3, 3, 2, 2],
        (Language::Ru, 10) => &[3, 3, 2, 2],
        (_, 11) if digits.starts_with('0') => &[3, 4, 4],
        (Language::En, 11) => &[1, 3, 3, 4],
        (Language::En, 10) => &[3, 3, 4],
        (Language::Ru, 7) => &[3, 2, 2],
        (Language::En, 7) => &[3, 4],
        (_, 6) => &[2, 2, 2],
        _ => &[],
    };
    let mut text = plus.to_owned();
    let mut rest = digits;
    let mut sizes = groups.iter();
    while !rest.is_empty() {
        // Where no plan is known: threes, and no single digit left over at the end.
        let size = sizes.next().copied().unwrap_or(if rest.len() == 4 { 2 } else { 3 }).min(rest.len());
        let (group, tail) = rest.split_at(size);
        if text.len() > plus.len() {
            text.push(if language == Language::Ru && size == 2 { '-' } else { ' ' });
        }
        text.push_str(group);
        rest = tail;
    }
    text
}

/// A run of number words.
struct Run {
    digits: String,
    /// How many words it took, fillers at its end not counted.
    words: usize,
}

impl Run {
    fn read(words: &[Word], language: Language) -> Self {
        let mut run = Run { digits: String::new(), words: 0 };
        let mut parts = Vec::new();
        let mut at = 0;
        let mut filler = 0;
        while let Some(word) = words.get(at) {
            let before = parts.len();
            match read_word(word, language, &mut parts) {
                true => {
                    run.words = at + 1;
                    filler = 0;
                }
                false if before > 0 && filler < 2 && is_filler(&word.plain) => filler += 1,
                false => break,
            }
            at += 1;
        }
        run.digits = join(&parts);
        run
    }
}

/// What one word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Plus,
    /// A digit said or written alone, or one of a written group.
    Digit(u8),
    /// 10–19.
    Teen(u8),
    /// 20, 30 … 90 as 2 … 9.
    Tens(u8),
    /// 1–9 as a word, which may complete tens or hundreds.
    Unit(u8),
    /// 100, 200 … 900 as 1 … 9.
    Hundreds(u8),
    /// «семёрки», "hundred": the unit before it is how many.
    Repeated(u8),
    /// "hundred" after a unit.
    Hundred,
    /// "double", "triple" before a digit.
    Times(u8),
}

/// Adds what `word` says to `parts`; false if it is not a number word.
fn read_word(word: &Word, language: Language, parts: &mut Vec<Part>) -> bool {
    let text = word.plain.as_str();
    if text.contains(|c: char| c.is_ascii_digit()) {
        return read_digits(text, parts);
    }
    let start = parts.len();
    for piece in text.split('-').filter(|p| !p.is_empty()) {
        // "Oh, my number is": a sigh, not a zero.
        let sigh = matches!(piece, "oh" | "o") && word.ends_phrase && start == 0;
        match named(piece, language) {
            Some(part) if !sigh => parts.push(part),
            _ => {
                parts.truncate(start);
                return false;
            }
        }
    }
    parts.len() > start
}

fn read_digits(text: &str, parts: &mut Vec<Part>) -> bool {
    // «2-й», «10:30», «15%» are no part of a telephone number.
    if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '–' | '(' | ')' | '.')) {
        return false;
    }
    for c in text.chars() {
        match c {
            '+' => parts.push(Part::Plus),
            _ => parts.extend(c.to_digit(10).and_then(|d| u8::try_from(d).ok()).map(Part::Digit)),
        }
    }
    true
}

fn is_filler(plain: &str) -> bool {
    matches!(
        plain,
        "тире"
            | "дефис"
            | "и"
            | "потом"
            | "дальше"
            | "далее"
            | "затем"
            | "э"
            | "ээ"
            | "dash"
            | "and"
            | "then"
            | "uh"
            | "um"
    )
}

fn named(word: &str, language: Language) -> Option<Part> {
    match language {
        Language::Ru => russian(word),
        Language::En => english(word),
    }
}

const RUSSIAN: &[(&str, Part)] = &[
    ("плюс", Part::Plus),
    ("ноль", Part::Digit(0)),
    ("нуль", Part::Digit(0)),
    ("один", Part::Unit(1)),
    ("одна", Part::Unit(1)),
    ("единица", Part::Unit(1)),
    ("два", Part::Unit(2)),
    ("две", Part::Unit(2)),
    ("двойка", Part::Unit(2)),
    ("три", Part::Unit(3)),
    ("тройка", Part::Unit(3)),
    ("четыре", Part::Unit(4)),
    ("четверка", Part::Unit(4)),
    ("пять", Part::Unit(5)),
    ("пятерка", Part::Unit(5)),
    ("шесть", Part::Unit(6)),
    ("шестерка", Part::Unit(6)),
    ("семь", Part::Unit(7)),
    ("семерка", Part::Unit(7)),
    ("восемь", Part::Unit(8)),
    ("восьмерка", Part::Unit(8)),
    ("девять", Part::Unit(9)),
    ("девятка", Part::Unit(9)),
    ("десять", Part::Teen(10)),
    ("одиннадцать", Part::Teen(11)),
    ("двенадцать", Part::Teen(12)),
    ("тринадцать", Part::Teen(13)),
    ("четырнадцать", Part::Teen(14)),
    ("пятнадцать", Part::Teen(15)),
    ("шестнадцать", Part::Teen(16)),
    ("семнадцать", Part::Teen(17)),
    ("восемнадцать", Part::Teen(18)),
    ("девятнадцать", Part::Teen(19)),
    ("двадцать", Part::Tens(2)),
    ("тридцать", Part::Tens(3)),
    ("сорок", Part::Tens(4)),
    ("пятьдесят", Part::Tens(5)),
    ("шестьдесят", Part::Tens(6)),
    ("семьдесят", Part::Tens(7)),
    ("восемьдесят", Part::Tens(8)),
    ("девяносто", Part::Tens(9)),
    ("сто", Part::Hundreds(1)),
    ("двести", Part::Hundreds(2)),
    ("триста", Part::Hundreds(3)),
    ("четыреста", Part::Hundreds(4)),
    ("пятьсот", Part::Hundreds(5)),
    ("шестьсот", Part::Hundreds(6)),
    ("семьсот", Part::Hundreds(7)),
    ("восемьсот", Part::Hundreds(8)),
    ("девятьсот", Part::Hundreds(9)),
    ("нуля", Part::Repeated(0)),
    ("ноля", Part::Repeated(0)),
    ("нулей", Part::Repeated(0)),
    ("девяток", Part::Repeated(9)),
    ("восьмерок", Part::Repeated(8)),
    ("семерок", Part::Repeated(7)),
    ("шестерок", Part::Repeated(6)),
    ("пятерок", Part::Repeated(5)),
    ("четверок", Part::Repeated(4)),
    ("троек", Part::Repeated(3)),
    ("двоек", Part::Repeated(2)),
    ("единиц", Part::Repeated(1)),
    ("единицы", Part::Repeated(1)),
    ("двойки", Part::Repeated(2)),
    ("тройки", Part::Repeated(3)),
    ("четверки", Part::Repeated(4)),
    ("пятерки", Part::Repeated(5)),
    ("шестерки", Part::Repeated(6)),
    ("семерки", Part::Repeated(7)),
    ("восьмерки", Part::Repeated(8)),
    ("девятки", Part::Repeated(9)),
];

fn russian(word: &str) -> Option<Part> {
    if let Some((_, part)) = RUSSIAN.iter().find(|(name, _)| *name == word) {
        return Some(*part);
    }
    // Recognition writes «восемнацать», «пятдесят»: long numerals differ enough to forgive a letter.
    let long = |s: &str| s.chars().count() >= 7;
    RUSSIAN
        .iter()
        .filter(|(name, _)| long(name) && long(word))
        .find(|(name, _)| words::within_one(name, word))
        .map(|(_, p)| *p)
}

fn english(word: &str) -> Option<Part> {
    Some(match word {
        "plus" => Part::Plus,
        "zero" | "oh" | "o" | "nought" | "naught" => Part::Digit(0),
        "one" => Part::Unit(1),
        "two" => Part::Unit(2),
        "three" => Part::Unit(3),
        "four" => Part::Unit(4),
        "five" => Part::Unit(5),
        "six" => Part::Unit(6),
        "seven" => Part::Unit(7),
        "eight" => Part::Unit(8),
        "nine" => Part::Unit(9),
        "ten" => Part::Teen(10),
        "eleven" => Part::Teen(11),
        "twelve" => Part::Teen(12),
        "thirteen" => Part::Teen(13),
        "fourteen" => Part::Teen(14),
        "fifteen" => Part::Teen(15),
        "sixteen" => Part::Teen(16),
        "seventeen" => Part::Teen(17),
        "eighteen" => Part::Teen(18),
        "nineteen" => Part::Teen(19),
        "twenty" => Part::Tens(2),
        "thirty" => Part::Tens(3),
        "forty" | "fourty" => Part::Tens(4),
        "fifty" => Part::Tens(5),
        "sixty" => Part::Tens(6),
        "seventy" => Part::Tens(7),
        "eighty" => Part::Tens(8),
        "ninety" => Part::Tens(9),
        "hundred" => Part::Hundred,
        "double" => Part::Times(2),
        "triple" => Part::Times(3),
        _ => return None,
    })
}

/// Puts the parts together as they are dictated: «сто двадцать три» 123, «двадцать, десять» 20 10, «два нуля» 00,
/// "double five" 55, "eight hundred" 800.
fn join(parts: &[Part]) -> String {
    let mut digits = String::new();
    let mut rest = parts;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (*first, tail) {
            (Part::Plus, _) if digits.is_empty() => digits.push('+'),
            (Part::Plus | Part::Hundred, _) => {}
            (Part::Times(n), [Part::Digit(d) | Part::Unit(d), after @ ..]) => {
                (0..n).for_each(|_| push(&mut digits, *d));
                rest = after;
            }
            (Part::Times(_), _) => {}
            (Part::Unit(n), [Part::Repeated(d), after @ ..]) => {
                (0..n).for_each(|_| push(&mut digits, *d));
                rest = after;
            }
            (Part::Unit(n), [Part::Hundred, after @ ..]) => {
                push(&mut digits, n);
                push(&mut digits, 0);
                push(&mut digits, 0);
                rest = after;
            }
            (Part::Digit(d) | Part::Unit(d) | Part::Repeated(d), _) => push(&mut digits, d),
            (Part::Teen(n), _) => pair(&mut digits, n),
            (Part::Tens(t), [Part::Unit(u), after @ ..]) if !matches!(after.first(), Some(Part::Repeated(_))) => {
                pair(&mut digits, t * 10 + u);
                rest = after;
            }
            (Part::Tens(t), _) => pair(&mut digits, t * 10),
            (Part::Hundreds(h), tail) => {
                push(&mut digits, h);
                rest = below_hundred(&mut digits, tail);
            }
        }
    }
    digits
}

/// The tens and units that belong to hundreds, or 00.
fn below_hundred<'a>(digits: &mut String, parts: &'a [Part]) -> &'a [Part] {
    let (value, rest) = match parts {
        [Part::Unit(_), Part::Repeated(_), ..] => (0, parts),
        [Part::Teen(n), rest @ ..] => (*n, rest),
        [Part::Tens(t), Part::Unit(_), Part::Repeated(_), ..] => (t * 10, parts.get(1..).unwrap_or_default()),
        [Part::Tens(t), Part::Unit(u), rest @ ..] => (t * 10 + u, rest),
        [Part::Tens(t), rest @ ..] => (t * 10, rest),
        [Part::Unit(u), rest @ ..] => (*u, rest),
        _ => (0, parts),
    };
    pair(digits, value);
    rest
}

fn pair(digits: &mut String, value: u8) {
    push(digits, value / 10);
    push(digits, value % 10);
}

fn push(digits: &mut String, digit: u8) {
    digits.push(char::from(b'0' + digit.min(9)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    #[test]
    fn spoken_numbers_become_digits() {
        for (language, text, expected) in [
            (Ru, "восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь", Some("89161234567")),
            (Ru, "Плюс семь, девятьсот шестнадцать, 123-45-67.", Some("+79161234567")),
            (Ru, "на номер 8 916 123 45 67", Some("89161234567")),
            (Ru, "8(916)123-45-67", Some("89161234567")),
            (Ru, "мой телефон плюс 7 (916) 123–45–67, спасибо", Some("+79161234567")),
            (Ru, "восемь восемьсот два нуля пять ноль три тире семь семёрок", Some("8800005037777777")),
            (Ru, "двести двенадцать, десять, двадцать", Some("2121020")),
            (Ru, "сто один сто двадцать", Some("101120")),
            (Ru, "восемь девятьсот три, две семёрки, пятьсот", Some("890377500")),
            (Ru, "девятьсот, два нуля", Some("90000")),
            (Ru, "восемнацать пятдесят один", Some("1851")),
            (Ru, "один ноль ноль", Some("100")),
            (Ru, "у меня 2 вопроса про заказ 4512", Some("4512")),
            (Ru, "в 10:30 на 2-й этаж", None),
            (Ru, "перезвоните мне", None),
            (En, "two one two, five five five, oh one seven eight", Some("2125550178")),
            (En, "my number is plus one 212 double five five 0178", Some("+12125550178")),
            (En, "oh two oh seven nine four six triple zero eight", Some("02079460008")),
            (En, "Oh, five five five twenty-one ninety nine", Some("5552199")),
            (En, "eight hundred five five five nineteen eighty-four", Some("8005551984")),
            (En, "I would like to leave a message", None),
        ] {
            assert_eq!(find(text, language).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_has_a_bounded_length() {
        let digits = find(&"12345 ".repeat(1000), Ru).unwrap();
        assert_eq!(digits, "1234512345123451");
    }

    #[test]
    fn half_a_dictation_is_not_a_whole_number() {
        for (language, number, whole) in [
            (Ru, "8916", false),
            (Ru, "8916123456", false),
            (Ru, "89161234567", true),
            (Ru, "+7916123456", false),
            (Ru, "+79161234567", true),
            (Ru, "9161234567", true),
            (Ru, "8005553535", true),
            (Ru, "1234567", true),
            (Ru, "8916123", false),
            (Ru, "916123", false),
            (Ru, "8", false),
            (Ru, "123", false),
            (En, "1212555", false),
            (En, "12125550178", true),
            (En, "5550178", true),
            (En, "02079460", false),
            (En, "02079460018", true),
            (En, "+442079460018", true),
        ] {
            assert_eq!(is_whole(number, language), whole, "{number}");
        }
    }

    #[test]
    fn numbers_are_read_in_groups() {
        for (language, number, expected) in [
            (Ru, "89161234567", "8 916 123-45-67"),
            (Ru, "+79161234567", "+7 916 123-45-67"),
            (Ru, "9161234567", "916 123-45-67"),
            (Ru, "1234567", "123-45-67"),
            (Ru, "123456", "12-34-56"),
            (Ru, "+4915112345678", "+491 511 234-56-78"),
            (En, "2125550178", "212 555 0178"),
            (En, "+12125550178", "+1 212 555 0178"),
            (En, "02079460018", "020 7946 0018"),
            (En, "5550178", "555 0178"),
            (En, "", ""),
        ] {
            assert_eq!(read_back(number, language), expected, "{number}");
        }
    }
}
