//! Numbers, times, dates and telephone numbers in Russian and English words.

use chislo::{Gender, decline, int_to_words, int_to_words_gender, ordinal, percent_word};

use crate::engine::Language;

/// Reads the number that `text` begins with: its words, and how many bytes of `text` they stand for.
///
/// `before` is the word in front of it, which decides the case of hours in Russian.
pub fn read(text: &str, before: &str, language: Language) -> (String, usize) {
    phone(text, language)
        .or_else(|| date(text, language))
        .or_else(|| time(text, before, language))
        .or_else(|| decimal(text, language))
        .unwrap_or_else(|| integer(text, language))
}

/// The digits that `text` begins with.
fn digits(text: &str) -> &str {
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

fn one_by_one(digits: &str, language: Language) -> String {
    digits.chars().filter_map(|c| c.to_digit(10)).map(|n| cardinal(n.into(), language)).collect::<Vec<_>>().join(" ")
}

/// `22.11.2026` in Russian: «двадцать второго ноября две тысячи двадцать шестого года».
fn date(text: &str, language: Language) -> Option<(String, usize)> {
    let (day, rest) = text.split_once('.').filter(|_| language == Language::Ru)?;
    let (month, rest) = rest.split_once('.')?;
    let year = digits(rest);
    let month_name = MONTHS.get(usize::from(month.parse::<u8>().ok()?).checked_sub(1)?)?;
    let d: i64 = day.parse().ok().filter(|d| (1..=31).contains(d) && day.len() <= 2 && month.len() == 2)?;
    let y: i64 = year.parse().ok().filter(|_| year.len() == 4)?;
    let (d, y) = (genitive(&ordinal(d, Gender::Neuter)), genitive(&ordinal(y, Gender::Masculine)));
    Some((format!("{d} {month_name} {y} года"), day.len() + month.len() + year.len() + 2))
}

const MONTHS: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];

/// The genitive of a masculine or neuter ordinal: «второго» of «второе», «третьего» of «третий».
fn genitive(ordinal: &str) -> String {
    for (ending, genitive) in [("ье", "ьего"), ("третий", "третьего"), ("ое", "ого"), ("ый", "ого"), ("ой", "ого")]
    {
        if let Some(stem) = ordinal.strip_suffix(ending) {
            return format!("{stem}{genitive}");
        }
    }
    ordinal.to_owned()
}

/// `9:00`, `18:30`.
fn time(text: &str, before: &str, language: Language) -> Option<(String, usize)> {
    let hour = digits(text);
    let rest = text.get(hour.len()..)?.strip_prefix(':')?;
    let minute = digits(rest);
    let (h, m): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let after = rest.get(minute.len()..)?;
    if hour.len() > 2 || minute.len() != 2 || h > 24 || m > 59 || after.starts_with(':') {
        return None;
    }
    let len = hour.len() + 1 + minute.len();
    let words = match language {
        Language::Ru if matches!(&*before.to_lowercase(), "с" | "со" | "до" | "от" | "после" | "около") =>
        {
            let noun = if h == 1 || h == 21 { "часа" } else { "часов" };
            let h = genitive_cardinal(h);
            match m {
                0 => format!("{h} {noun}"),
                1..=9 => format!("{h} ноль {}", genitive_cardinal(m)),
                _ => format!("{h} {}", genitive_cardinal(m)),
            }
        }
        Language::Ru => match m {
            0 => format!("{} {}", int_to_words(h), decline(h, "час", "часа", "часов")),
            1..=9 => format!("{} ноль {}", int_to_words(h), int_to_words(m)),
            _ => format!("{} {}", int_to_words(h), int_to_words(m)),
        },
        Language::En => {
            let half_named = after.trim_start().to_lowercase().starts_with(['a', 'p'])
                && matches!(next_word(after).as_str(), "am" | "pm" | "a" | "p");
            let afternoon = !half_named && (13..24).contains(&h);
            let hour = english(if afternoon { h - 12 } else { h });
            let clock = match m {
                0 if afternoon || half_named => hour,
                0 => format!("{hour} o'clock"),
                1..=9 => format!("{hour} oh {}", english(m)),
                _ => format!("{hour} {}", english(m)),
            };
            if afternoon { format!("{clock} p m") } else { clock }
        }
    };
    Some((words, len))
}

/// The genitive of 0..=59, masculine.
fn genitive_cardinal(n: i64) -> String {
    const SMALL: [&str; 20] = [
        "ноля",
        "одного",
        "двух",
        "трёх",
        "четырёх",
        "пяти",
        "шести",
        "семи",
        "восьми",
        "девяти",
        "десяти",
        "одиннадцати",
        "двенадцати",
        "тринадцати",
        "четырнадцати",
        "пятнадцати",
        "шестнадцати",
        "семнадцати",
        "восемнадцати",
        "девятнадцати",
    ];
    const TENS: [&str; 6] = ["", "", "двадцати", "тридцати", "сорока", "пятидесяти"];
    let small = |n: i64| usize::try_from(n).ok().and_then(|n| SMALL.get(n)).copied().unwrap_or_default();
    let tens = usize::try_from(n / 10).ok().and_then(|n| TENS.get(n)).copied().unwrap_or_default();
    match n {
        0..=19 => small(n).to_owned(),
        _ if n % 10 == 0 => tens.to_owned(),
        _ => format!("{tens} {}", small(n % 10)),
    }
}

/// `3.5`; in Russian `3,5` too.
fn decimal(text: &str, language: Language) -> Option<(String, usize)> {
    let whole = digits(text);
    let rest = text.get(whole.len()..)?;
    let fraction = digits(rest.strip_prefix('.').or(rest.strip_prefix(',').filter(|_| language == Language::Ru))?);
    // What looks like thousands is not a fraction in English, and three parts are no fraction at all.
    let after = rest.get(1 + fraction.len()..)?;
    if fraction.is_empty() || whole.len() > 9 || (after.starts_with('.') && !digits(after.get(1..)?).is_empty()) {
        return None;
    }
    let n = cardinal(whole.parse().ok()?, language);
    let point = if language == Language::Ru { "и" } else { "point" };
    let fraction_words = match language {
        Language::Ru => with_zeros(fraction),
        Language::En => one_by_one(fraction, language),
    };
    Some((format!("{n} {point} {fraction_words}"), whole.len() + 1 + fraction.len()))
}

fn integer(text: &str, language: Language) -> (String, usize) {
    let plus = if text.starts_with('+') { 1 } else { 0 };
    let body = text.get(plus..).unwrap_or_default();
    let (all, len) = thousands(body, language);
    let after = body.get(len..).unwrap_or_default();
    let sign = match (plus, language) {
        (0, _) => "",
        (_, Language::Ru) => "плюс ",
        (_, Language::En) => "plus ",
    };
    let value: Option<i64> = all.parse().ok().filter(|_| all.len() <= 15 && (all.len() == 1 || !all.starts_with('0')));
    let (words, tail) = match (value, language) {
        (None, _) => (one_by_one(&all, language), 0),
        (Some(n), Language::Ru) => russian(n, after),
        (Some(n), Language::En) => english_ordinal(n, after).unwrap_or_else(|| (english(n), 0)),
    };
    (format!("{sign}{words}"), plus + len + tail)
}

/// The digits of `1 500` or, in English, `1,500`, and the bytes they take.
fn thousands(text: &str, language: Language) -> (String, usize) {
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

/// The number in the form that what follows asks for, and the bytes of that which were read with it.
fn russian(n: i64, after: &str) -> (String, usize) {
    for (ending, gender) in [("-й", Gender::Masculine), ("-я", Gender::Feminine), ("-е", Gender::Neuter)] {
        let ends = |rest: &str| !rest.starts_with(char::is_alphabetic);
        if after.strip_prefix(ending).is_some_and(ends) {
            return (ordinal(n, gender), ending.len());
        }
    }
    let unit = after.trim_start_matches([' ', '\u{a0}']);
    let space = after.len() - unit.len();
    if unit.starts_with('%') {
        return (format!("{} {}", int_to_words(n), percent_word(n)), space + 1);
    }
    if unit.starts_with('₽') || unit.starts_with("руб.") {
        let len = if unit.starts_with('₽') { '₽'.len_utf8() } else { "руб.".len() };
        return (format!("{} {}", int_to_words(n), decline(n, "рубль", "рубля", "рублей")), space + len);
    }
    let next = next_word(after);
    if (1..=31).contains(&n) && MONTHS.contains(&&*next) {
        return (genitive(&ordinal(n, Gender::Neuter)), 0);
    }
    const FEMININE: [&str; 8] = ["минут", "секунд", "недел", "тысяч", "копе", "заяв", "встреч", "штук"];
    let gender = if FEMININE.iter().any(|noun| next.starts_with(noun)) { Gender::Feminine } else { Gender::Masculine };
    (int_to_words_gender(n, gender), 0)
}

fn next_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphabetic()).take(20).flat_map(char::to_lowercase).collect()
}

fn cardinal(n: i64, language: Language) -> String {
    match language {
        Language::Ru => int_to_words(n),
        Language::En => english(n),
    }
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A number from 0 to 999 999 999 999 999 in English words.
fn english(n: i64) -> String {
    const STEPS: [(i64, &str); 5] = [
        (1_000_000_000_000, "trillion"),
        (1_000_000_000, "billion"),
        (1_000_000, "million"),
        (1_000, "thousand"),
        (100, "hundred"),
    ];
    let name = |names: &[&'static str], n: i64| usize::try_from(n).ok().and_then(|n| names.get(n)).copied();
    if let Some(small) = name(&SMALL, n) {
        return small.to_owned();
    }
    let (head, rest) = match STEPS.iter().find(|(size, _)| n >= *size) {
        Some((size, step)) => (format!("{} {step}", english(n / size)), n % size),
        None => (name(&TENS, n / 10).unwrap_or_default().to_owned(), n % 10),
    };
    if rest == 0 { head } else { format!("{head} {}", english(rest)) }
}

/// `2nd`, and the bytes of its ending.
fn english_ordinal(n: i64, after: &str) -> Option<(String, usize)> {
    let ending = next_word(after);
    if after.starts_with(' ') || !matches!(ending.as_str(), "st" | "nd" | "rd" | "th") {
        return None;
    }
    let words = english(n);
    let (head, last) = words.rsplit_once(' ').map_or(("", words.as_str()), |(head, last)| (head, last));
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        other => other.strip_suffix('y').map_or_else(|| format!("{other}th"), |stem| format!("{stem}ieth")),
    };
    Some((format!("{head} {last}").trim_start().to_owned(), ending.len()))
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

    #[test]
    fn numbers_times_and_dates() {
        for (language, text, expected) in [
            (Ru, "0", "ноль"),
            (Ru, "21 час", "двадцать один час"),
            (Ru, "1 000 000 ₽", "один миллион рублей"),
            (Ru, "22 руб. за", "двадцать два рубля за"),
            (Ru, "3,5", "три и пять"),
            (Ru, "2:00", "два часа"),
            (Ru, "0:07", "ноль ноль семь"),
            (Ru, "23.03.2026 в", "двадцать третьего марта две тысячи двадцать шестого года в"),
            (Ru, "3 мая", "третьего мая"),
            (Ru, "40-я", "сороковая"),
            (
                Ru,
                "12345678901234567",
                "один два три четыре пять шесть семь восемь девять ноль один два три четыре пять шесть семь",
            ),
            (En, "0", "zero"),
            (En, "1,000,000 x", "one million x"),
            (En, "90", "ninety"),
            (En, "21st", "twenty first"),
            (En, "30th", "thirtieth"),
            (En, "12:05", "twelve oh five"),
            (En, "13:00", "one p m"),
            (En, "9:30 pm", "nine thirty pm"),
            (En, "3.14", "three point one four"),
            (En, "1,000,000,000,001", "one trillion one"),
        ] {
            assert_eq!(said(text, language), expected, "{text}");
        }
    }

    #[test]
    fn hours_are_in_the_genitive_after_their_prepositions() {
        for (before, text, expected) in [
            ("с", "9:00", "девяти часов"),
            ("до", "18:30", "восемнадцати тридцати"),
            ("До", "21:45", "двадцати одного сорока пяти"),
            ("после", "1:00", "одного часа"),
            ("в", "9:00", "девять часов"),
        ] {
            assert_eq!(read(text, before, Ru).0, expected);
        }
    }
}
