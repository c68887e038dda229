//! Telephone numbers, and what both languages need of digits.

use chislo::int_to_words;

use super::{en, ru};
use crate::engine::Language;

/// Reads the number that `text` begins with: its words, and how many bytes of `text` they stand for.
///
/// `before` is the word in front of it, in small letters, which decides the case in Russian.
pub fn read(text: &str, before: &str, language: Language) -> (String, usize) {
    let plus = usize::from(text.starts_with('+'));
    let number = || {
        let body = text.get(plus..).unwrap_or_default();
        let (words, len) = match language {
            Language::Ru => ru::read(body, before),
            Language::En => en::read(body, before),
        };
        let sign = match (plus, language) {
            (0, _) => "",
            (_, Language::Ru) => "плюс ",
            (_, Language::En) => "plus ",
        };
        (format!("{sign}{words}"), plus + len)
    };
    phone(text, language).unwrap_or_else(number)
}

/// The digits that `text` begins with.
pub fn digits(text: &str) -> &str {
    let len = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..len).unwrap_or_default()
}

/// A telephone number: 10 to 15 digits, or a local number written 123-45-67 or 12-34-56.
fn phone(text: &str, language: Language) -> Option<(String, usize)> {
    let plus = text.starts_with('+');
    let body = text.strip_prefix('+').unwrap_or(text);
    let mut end = 0;
    let mut gap = 0;
    let mut written: Vec<String> = Vec::new();
    for (at, c) in body.char_indices() {
        if c.is_ascii_digit() {
            if gap > 0 || written.is_empty() {
                written.push(String::new());
            }
            written.last_mut()?.push(c);
            gap = 0;
            end = at + 1;
        } else if gap < 3 && matches!(c, ' ' | '\u{a0}' | '-' | '(' | ')') {
            gap += 1;
        } else {
            break;
        }
    }
    let all = written.concat();
    let lens: Vec<usize> = written.iter().map(String::len).collect();
    let local = matches!(lens.as_slice(), [3, 2, 2] | [2, 2, 2]) && body.get(..end).is_some_and(|n| !n.contains(' '));
    if !(10..=15).contains(&all.len()) && !local {
        return None;
    }
    let groups = match language {
        Language::Ru => match (all.len(), all.chars().next()) {
            (11, Some('7' | '8')) => cut(&all, &[1, 3, 3]),
            (10, _) => cut(&all, &[3, 3]),
            _ => written.iter().flat_map(|group| cut(group, if group.len() % 2 == 1 { &[3] } else { &[] })).collect(),
        },
        Language::En if written.len() > 1 => written,
        Language::En if all.len() == 10 => cut(&all, &[3, 3, 4]),
        Language::En => cut(&all, &[1, 3, 3, 4]),
    };
    let said: Vec<String> = groups
        .iter()
        .map(|group| match language {
            Language::Ru => with_zeros(group),
            Language::En => one_by_one(group, language),
        })
        .collect();
    let sign = match (plus, language) {
        (false, _) => "",
        (true, Language::Ru) => "плюс ",
        (true, Language::En) => "plus ",
    };
    Some((format!("{sign}{}", said.join(", ")), end + usize::from(plus)))
}

/// Cuts digits into groups of these lengths, and the rest into pairs.
fn cut(all: &str, lens: &[usize]) -> Vec<String> {
    let mut groups = Vec::new();
    let mut rest = all;
    for len in lens.iter().copied().chain(std::iter::repeat(2)) {
        let (group, after) = rest.split_at(len.min(rest.len()));
        if group.is_empty() {
            break;
        }
        groups.push(group.to_owned());
        rest = after;
    }
    groups
}

/// A group of a Russian telephone number: «ноль пять», «девятьсот шестнадцать».
fn with_zeros(group: &str) -> String {
    let value = group.trim_start_matches('0');
    let mut words = vec!["ноль".to_owned(); group.len() - value.len()];
    match value.parse() {
        Ok(n) if value.len() <= 3 => words.push(int_to_words(n)),
        _ if value.is_empty() => {}
        _ => words.push(one_by_one(value, Language::Ru)),
    }
    words.join(" ")
}

pub fn one_by_one(digits: &str, language: Language) -> String {
    digits.chars().filter_map(|c| c.to_digit(10)).map(|n| cardinal(n.into(), language)).collect::<Vec<_>>().join(" ")
}

/// The digits of `1 500` or, in English, `1,500`, and the bytes they take.
pub fn thousands(text: &str, language: Language) -> (String, usize) {
    let mut all = digits(text).to_owned();
    let mut len = all.len();
    let separators: &[char] = if language == Language::Ru { &[' ', '\u{a0}', '\u{202f}'] } else { &[','] };
    while (1..=3).contains(&digits(text).len())
        && let Some(separator) = text.get(len..).and_then(|rest| rest.chars().next()).filter(|c| separators.contains(c))
    {
        let group = digits(text.get(len + separator.len_utf8()..).unwrap_or_default());
        if group.len() != 3 || all.starts_with('0') {
            break;
        }
        all.push_str(group);
        len += separator.len_utf8() + 3;
    }
    (all, len)
}

fn cardinal(n: i64, language: Language) -> String {
    match language {
        Language::Ru => int_to_words(n),
        Language::En => en::english(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn said(text: &str, language: Language) -> String {
        let (words, len) = read(text, "", language);
        format!("{words}{}", &text[len..])
    }

    #[test]
    fn russian_telephone_numbers_are_read_in_groups() {
        for (text, expected) in [
            ("8 916 123-45-67", "восемь, девятьсот шестнадцать, сто двадцать три, сорок пять, шестьдесят семь"),
            ("+7 (916) 003-05-00!", "плюс семь, девятьсот шестнадцать, ноль ноль три, ноль пять, ноль ноль!"),
            ("89161234567", "восемь, девятьсот шестнадцать, сто двадцать три, сорок пять, шестьдесят семь"),
            ("123-45-67.", "сто двадцать три, сорок пять, шестьдесят семь."),
            ("+49 30 1234567", "плюс сорок девять, тридцать, сто двадцать три, сорок пять, шестьдесят семь"),
        ] {
            assert_eq!(said(text, Ru), expected);
        }
    }

    #[test]
    fn english_telephone_numbers_are_read_digit_by_digit() {
        for (text, expected) in [
            ("415-555-0172", "four one five, five five five, zero one seven two"),
            ("4155550172", "four one five, five five five, zero one seven two"),
            ("+1 (415) 555-0172", "plus one, four one five, five five five, zero one seven two"),
        ] {
            assert_eq!(said(text, En), expected);
        }
    }
}
