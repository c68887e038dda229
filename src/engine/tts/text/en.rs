//! English numbers, dates, times and amounts in words, and words that are written short.

use super::numbers::{digits, one_by_one, thousands};
use crate::engine::Language::En;

const SPACES: &[char] = &[' ', '\u{a0}', '\u{202f}'];
const DASHES: &[char] = &['-', '–', '—'];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// After these a number of four digits is a year.
const YEAR_FOLLOWS: [&str; 6] = ["in", "since", "until", "by", "year", "of"];

/// One, several, and what is said after it.
const UNITS: &[(&str, &str, &str)] = &[
    ("%", "percent", "percent"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°", "degree", "degrees"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("km/h", "kilometer an hour", "kilometers an hour"),
    ("mph", "mile an hour", "miles an hour"),
    ("km", "kilometer", "kilometers"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("m²", "square meter", "square meters"),
    ("sq ft", "square foot", "square feet"),
    ("sq. ft.", "square foot", "square feet"),
    ("ft", "foot", "feet"),
    ("mi", "mile", "miles"),
    ("m", "meter", "meters"),
    ("lbs", "pound", "pounds"),
    ("lb", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("hrs", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("mins", "minute", "minutes"),
    ("min", "minute", "minutes"),
    ("sec", "second", "seconds"),
    ("GB", "gigabyte", "gigabytes"),
    ("MB", "megabyte", "megabytes"),
    ("kW", "kilowatt", "kilowatts"),
    ("K", "thousand", "thousand"),
    ("k", "thousand", "thousand"),
    ("USD", "dollar", "dollars"),
    ("EUR", "euro", "euros"),
    ("RUB", "ruble", "rubles"),
    ("₽", "ruble", "rubles"),
    ("€", "euro", "euros"),
];

const WORDS: &[(&str, &str)] = &[
    ("mr.", "Mister"),
    ("mrs.", "Missis"),
    ("ms.", "Miss"),
    ("dr.", "Doctor"),
    ("prof.", "Professor"),
    ("st.", "Street"),
    ("ave.", "Avenue"),
    ("blvd.", "Boulevard"),
    ("rd.", "Road"),
    ("ln.", "Lane"),
    ("hwy.", "Highway"),
    ("apt.", "Apartment"),
    ("ste.", "Suite"),
    ("fl.", "floor"),
    ("ext.", "extension"),
    ("tel.", "telephone"),
    ("dept.", "department"),
    ("approx.", "approximately"),
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    ("etc.", "et cetera"),
    ("vs.", "versus"),
    ("inc.", "Incorporated"),
    ("ltd.", "Limited"),
    ("corp.", "Corporation"),
    ("co.", "Company"),
    ("jan.", "January"),
    ("feb.", "February"),
    ("apr.", "April"),
    ("aug.", "August"),
    ("sept.", "September"),
    ("sep.", "September"),
    ("oct.", "October"),
    ("nov.", "November"),
    ("dec.", "December"),
    ("a.m.", "a m"),
    ("p.m.", "p m"),
    ("w/o", "without"),
];

/// Reads the number that `text` begins with: its words, and how many bytes of `text` they stand for. `before` is the word in front
/// of it, in small letters.
pub fn read(text: &str, before: &str) -> (String, usize) {
    date(text)
        .or_else(|| times(text))
        .or_else(|| day(text, before))
        .or_else(|| year(text, before))
        .or_else(|| ordinal_number(text))
        .or_else(|| range(text))
        .or_else(|| fraction(text))
        .or_else(|| dotted(text))
        .unwrap_or_else(|| amount(text))
}

/// `$5.50`: the sign is in front.
pub fn money(text: &str) -> Option<(String, usize)> {
    let sign = text.chars().next()?;
    let (one, many, hundredth) = match sign {
        '$' => ("dollar", "dollars", "cent"),
        '€' => ("euro", "euros", "cent"),
        '£' => ("pound", "pounds", "penny"),
        '₽' => ("ruble", "rubles", "kopeck"),
        _ => return None,
    };
    let body = text.get(sign.len_utf8()..)?;
    let (all, len) = thousands(body, En);
    let n: i64 = all.parse().ok().filter(|_| all.len() <= 15)?;
    let rest = body.get(len..)?;
    let cents = rest.strip_prefix('.').map(digits).filter(|cents| cents.len() == 2);
    let noun = if n == 1 { one } else { many };
    let scale = ["million", "billion", "thousand"].into_iter().find(|scale| next_word(rest) == *scale);
    if let Some(scale) = scale.filter(|_| cents.is_none()) {
        let taken = rest.len() - rest.trim_start_matches(SPACES).len() + scale.len();
        return Some((format!("{} {scale} {many}", english(n)), sign.len_utf8() + len + taken));
    }
    let parts: i64 = cents.and_then(|cents| cents.parse().ok()).unwrap_or(0);
    let hundredths = match (hundredth, parts) {
        (_, 0) => String::new(),
        (one, 1) => format!(" one {one}"),
        ("penny", n) => format!(" {} pence", english(n)),
        (one, n) => format!(" {} {one}s", english(n)),
    };
    let len = sign.len_utf8() + len + cents.map_or(0, |cents| 1 + cents.len());
    Some((format!("{} {noun}{hundredths}", english(n)), len))
}

/// `11/26/2026`, `2026-11-26`.
fn date(text: &str) -> Option<(String, usize)> {
    let first = digits(text);
    let separator = text.get(first.len()..)?.chars().next().filter(|c| matches!(c, '/' | '-'))?;
    let rest = text.get(first.len() + 1..)?;
    let second = digits(rest);
    let third = digits(rest.get(second.len()..)?.strip_prefix(separator)?);
    let (month, day, year) = match (separator, first.len(), third.len()) {
        ('/', 1..=2, 4) => (first, second, third),
        ('-', 4, 2) => (second, third, first),
        _ => return None,
    };
    let name = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    let day: i64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let said = format!("{name} {} {}", ordinal(day), year_words(year.parse().ok()?));
    Some((said, first.len() + second.len() + third.len() + 2))
}

/// `9:00`, `6:30 pm`, `9am`, `9:00–18:00`.
fn times(text: &str) -> Option<(String, usize)> {
    let (first, len) = clock(text)?;
    let rest = text.get(len..)?;
    let second = rest.trim_start_matches(SPACES).strip_prefix(DASHES).map(|rest| rest.trim_start_matches(SPACES));
    if let Some((second, (to, taken))) = second.and_then(|second| Some((second, clock(second)?))) {
        return Some((format!("{first} to {to}"), text.len() - second.len() + taken));
    }
    Some((first, len))
}

fn clock(text: &str) -> Option<(String, usize)> {
    let hour = digits(text);
    let h: i64 = hour.parse().ok().filter(|h| *h <= 24 && hour.len() <= 2)?;
    let rest = text.get(hour.len()..)?;
    let minute = rest.strip_prefix(':').map(digits);
    if minute.is_some_and(|minute| minute.len() != 2) {
        return None;
    }
    let m: i64 = minute.map_or(Some(0), |minute| minute.parse().ok()).filter(|m| *m <= 59)?;
    let len = hour.len() + minute.map_or(0, |minute| 1 + minute.len());
    let after = text.get(len..)?;
    if after.starts_with(':') {
        return None;
    }
    let half = half_of_day(after);
    if minute.is_none() && half.is_none() {
        return None;
    }
    let is_afternoon = half.is_none() && (13..24).contains(&h);
    let said = english(if is_afternoon { h - 12 } else { h });
    let said = match m {
        0 if half.is_some() || is_afternoon => said,
        0 => format!("{said} o'clock"),
        1..=9 => format!("{said} oh {}", english(m)),
        _ => format!("{said} {}", english(m)),
    };
    match (half, is_afternoon) {
        (Some((half, taken)), _) => Some((format!("{said} {half}"), len + taken)),
        (None, true) => Some((format!("{said} p m"), len)),
        (None, false) => Some((said, len)),
    }
}

/// ` am`, ` p.m.`, and its bytes.
fn half_of_day(text: &str) -> Option<(&'static str, usize)> {
    let spaced = text.trim_start_matches(SPACES);
    let lower: String = spaced.chars().take(5).flat_map(char::to_lowercase).collect();
    for (written, said) in
        [("a.m.", "a m"), ("p.m.", "p m"), ("a.m", "a m"), ("p.m", "p m"), ("am", "a m"), ("pm", "p m")]
    {
        let Some(after) = lower.strip_prefix(written) else { continue };
        if after.starts_with(char::is_alphanumeric) {
            continue;
        }
        // A full stop that ends the sentence is not taken.
        let ends = written.ends_with('.') && spaced.get(written.len()..).is_some_and(|after| after.trim().is_empty());
        return Some((said, text.len() - spaced.len() + written.len() - usize::from(ends)));
    }
    None
}

/// `November 26`, `26 November`, and both with a year.
fn day(text: &str, before: &str) -> Option<(String, usize)> {
    let written = digits(text);
    let n: i64 = written.parse().ok().filter(|n| (1..=31).contains(n) && written.len() <= 2)?;
    let rest = text.get(written.len()..)?;
    if rest.starts_with(char::is_alphanumeric) || rest.starts_with([':', '%']) {
        return None;
    }
    let month = |word: &str| MONTHS.iter().find(|month| month.to_lowercase() == word);
    if month(before).is_some() && before != "may"
        || before == "may" && !rest.trim_start().starts_with(char::is_alphabetic)
    {
        let (year, taken) = rest.strip_prefix(',').and_then(|rest| year_after(rest, 1)).unwrap_or_default();
        let comma = if taken > 0 { ", " } else { "" };
        return Some((format!("{}{comma}{year}", ordinal(n)), written.len() + taken));
    }
    let next = next_word(rest);
    let name = month(&next)?;
    let taken = rest.len() - rest.trim_start_matches(SPACES).len() + next.len();
    let (year, more) = year_after(rest.get(taken..)?, 0).unwrap_or_default();
    let space = if more > 0 { " " } else { "" };
    Some((format!("the {} of {name}{space}{year}", ordinal(n)), written.len() + taken + more))
}

/// The year that stands behind a space, and its bytes with those `before` it.
fn year_after(text: &str, before: usize) -> Option<(String, usize)> {
    let written = digits(text.strip_prefix(SPACES)?);
    let space = text.chars().next()?.len_utf8();
    let n: i64 = written.parse().ok().filter(|n| (1_100..2_100).contains(n))?;
    Some((year_words(n), before + space + written.len()))
}

/// `2.0.1`.
fn dotted(text: &str) -> Option<(String, usize)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let parts: Vec<&str> = text.get(..end)?.trim_end_matches('.').split('.').collect();
    let is_dotted = parts.len() >= 3 && parts.iter().all(|part| (1..=9).contains(&part.len()));
    let said = || parts.iter().filter_map(|part| part.parse().ok()).map(english).collect::<Vec<_>>().join(" point ");
    is_dotted.then(|| (said(), parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1))
}

/// `in 2026`.
fn year(text: &str, before: &str) -> Option<(String, usize)> {
    let written = digits(text);
    let n: i64 = written.parse().ok().filter(|n| (1_100..2_100).contains(n))?;
    let rest = text.get(written.len()..)?;
    // «In 1500 shops»
    let is_amount = next_word(rest).ends_with('s') || rest.starts_with(['.', ',', '%', '-']) && digit_at(rest, 1);
    let is_year = YEAR_FOLLOWS.contains(&before) || MONTHS.iter().any(|month| month.to_lowercase() == before);
    (is_year && !is_amount).then(|| (year_words(n), written.len()))
}

fn year_words(n: i64) -> String {
    match (n / 100, n % 100) {
        (_, 0) if n % 1_000 == 0 => english(n),
        (century, 0) => format!("{} hundred", english(century)),
        (20, 1..=9) => format!("two thousand {}", english(n % 100)),
        (century, rest @ 1..=9) => format!("{} oh {}", english(century), english(rest)),
        (century, rest) => format!("{} {}", english(century), english(rest)),
    }
}

/// `2nd`.
fn ordinal_number(text: &str) -> Option<(String, usize)> {
    let (all, len) = thousands(text, En);
    let n: i64 = all.parse().ok().filter(|_| all.len() <= 15)?;
    let ending: String = text.get(len..)?.chars().take_while(|c| c.is_alphabetic()).take(4).collect();
    matches!(ending.to_lowercase().as_str(), "st" | "nd" | "rd" | "th").then(|| (ordinal(n), len + ending.len()))
}

pub fn ordinal(n: i64) -> String {
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
    format!("{head} {last}").trim_start().to_owned()
}

/// `5-10 minutes`.
fn range(text: &str) -> Option<(String, usize)> {
    let first = digits(text);
    let rest = text.get(first.len()..)?;
    let spaced = rest.trim_start_matches(SPACES);
    let second = spaced.strip_prefix(DASHES)?;
    let after = second.trim_start_matches(SPACES);
    let last = digits(after);
    let tail = after.get(last.len()..)?;
    if last.is_empty() || tail.starts_with(['-', '.', ':', '/']) && digit_at(tail, 1) {
        return None;
    }
    if (spaced.len() == rest.len()) != (after.len() == second.len()) {
        return None;
    }
    let (from, to): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
    let (said, taken) = amount(after);
    (from != to && first.len() <= 6).then(|| (format!("{} to {said}", english(from)), text.len() - after.len() + taken))
}

/// `1/2`, `24/7`.
fn fraction(text: &str) -> Option<(String, usize)> {
    let above = digits(text);
    let below = digits(text.get(above.len()..)?.strip_prefix('/')?);
    let (n, of): (i64, i64) = (above.parse().ok()?, below.parse().ok()?);
    let several = if n == 1 { "" } else { "s" };
    let said = match (n, of) {
        (24, 7) => "twenty four seven".to_owned(),
        (1, 2) => "one half".to_owned(),
        (_, 4) if n < 4 => format!("{} quarter{several}", english(n)),
        _ if n < of && of <= 20 && of > 2 => format!("{} {}{several}", english(n), ordinal(of)),
        _ => format!("{} slash {}", english(n), english(of)),
    };
    Some((said, above.len() + 1 + below.len()))
}

/// A number with its unit.
fn amount(text: &str) -> (String, usize) {
    let (all, len) = thousands(text, En);
    let value: Option<i64> = all.parse().ok().filter(|_| all.len() <= 15 && (all.len() == 1 || !all.starts_with('0')));
    let Some(n) = value else { return (one_by_one(&all, En), len) };
    let rest = text.get(len..).unwrap_or_default();
    let point = rest.strip_prefix('.').map(digits).filter(|fraction| !fraction.is_empty() && fraction.len() <= 9);
    let (mut said, mut taken) = (english(n), len);
    if let Some(fraction) = point {
        said = format!("{said} point {}", one_by_one(fraction, En));
        taken += 1 + fraction.len();
    }
    let rest = text.get(taken..).unwrap_or_default();
    let spaced = rest.trim_start_matches(SPACES);
    let unit = UNITS.iter().find(|(written, ..)| {
        let ends_open = written.ends_with(char::is_alphanumeric);
        spaced
            .strip_prefix(written)
            .is_some_and(|after| !ends_open || !after.starts_with(|c: char| c.is_alphanumeric() || c == '\''))
    });
    match unit {
        Some((written, one, many)) => {
            let noun = if n == 1 && point.is_none() { one } else { many };
            (format!("{said} {noun}"), taken + rest.len() - spaced.len() + written.len())
        }
        None => (said, taken),
    }
}

/// As they begin a word of their own; «Sat» and «Sun» are words too, but behind a dash.
const DAYS: &[(&str, &str)] = &[
    ("Mon", "Monday"),
    ("Tues", "Tuesday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thurs", "Thursday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];

/// `Wed.`, `Mon–Fri`.
fn weekdays(text: &str) -> Option<(String, usize)> {
    let day = |text: &str| {
        let (written, said) = DAYS.iter().find(|(written, _)| {
            text.strip_prefix(written)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '\''))
        })?;
        Some((*said, written.len()))
    };
    let (first, len) = day(text)?;
    let rest = text.get(len..)?;
    let second = rest.trim_start_matches(SPACES).strip_prefix(DASHES).map(|rest| rest.trim_start_matches(SPACES));
    if let Some((second, (last, taken))) = second.and_then(|second| Some((second, day(second)?))) {
        return Some((format!("{first} to {last}"), text.len() - second.len() + taken));
    }
    if matches!(first, "Saturday" | "Sunday") {
        return None;
    }
    let dot = usize::from(rest.strip_prefix('.').is_some_and(|after| !after.trim().is_empty()));
    Some((first.to_owned(), len + dot))
}

/// Reads a short word that `text` begins with: its words and bytes.
pub fn short_word(text: &str) -> Option<(String, usize)> {
    let lower: String = text.chars().take(12).flat_map(char::to_lowercase).collect();
    if let Some(found) = weekdays(text) {
        return Some(found);
    }
    for (written, said) in WORDS {
        let Some(after) = lower.strip_prefix(written) else { continue };
        if after.starts_with(|c: char| c.is_alphanumeric() || c == '\'') {
            continue;
        }
        let ends = written.ends_with('.') && text.get(written.len()..).is_some_and(|rest| rest.trim().is_empty());
        return Some(((*said).to_owned(), written.len() - usize::from(ends)));
    }
    // "No. 5"
    if let Some(rest) = lower.strip_prefix("no.") {
        let is_number = rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
        return is_number.then(|| ("number".to_owned(), "no.".len()));
    }
    // "J. R. Smith": the full stop ends no sentence.
    let initial = text.chars().next().filter(|c| c.is_ascii_uppercase() && *c != 'I')?;
    let after = text.get(1..)?.strip_prefix('.')?;
    after.trim_start().starts_with(char::is_uppercase).then(|| (initial.to_string(), 2))
}

fn digit_at(text: &str, byte: usize) -> bool {
    text.get(byte..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn next_word(text: &str) -> String {
    text.trim_start_matches(SPACES)
        .chars()
        .take_while(|c| c.is_alphabetic())
        .take(20)
        .flat_map(char::to_lowercase)
        .collect()
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
pub fn english(n: i64) -> String {
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
