//! Numbers in English words: cardinals, ordinals, decimals, fractions, rooms.

use crate::engine::Language;
use crate::engine::tts::text::phones;
use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

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

/// A number from 0 to 999 999 999 999 999.
pub fn cardinal(n: i64) -> String {
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
        Some((size, step)) => (format!("{} {step}", cardinal(n / size)), n % size),
        None => (name(&TENS, n / 10).unwrap_or_default().to_owned(), n % 10),
    };
    if rest == 0 { head } else { format!("{head} {}", cardinal(rest)) }
}

/// «twenty first».
pub fn ordinal(n: i64) -> String {
    let words = cardinal(n);
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

/// «nineteen ninety nine», «two thousand five», «twenty twenty six».
pub fn year(n: i64) -> String {
    match (n / 100, n % 100) {
        (20, 0..=9) | (10, 0) => cardinal(n),
        (century, 0) => format!("{} hundred", cardinal(century)),
        (century, rest @ 1..=9) => format!("{} oh {}", cardinal(century), cardinal(rest)),
        (century, rest) => format!("{} {}", cardinal(century), cardinal(rest)),
    }
}

pub fn digit_by_digit(digits: &str) -> String {
    digits.chars().filter_map(|c| c.to_digit(10)).map(|n| cardinal(n.into())).collect::<Vec<_>>().join(" ")
}

/// A number as it is written: `1,500`, `3.5`.
#[derive(Debug, Clone)]
pub struct Amount {
    pub whole: i64,
    pub fraction: String,
    pub taken: usize,
}

impl Amount {
    pub fn read(place: Place<'_>) -> Option<Self> {
        let mut digits = place.digits(0)?.to_owned();
        let mut taken = 1;
        while digits.len() <= 12
            && (taken > 1 || digits.len() <= 3)
            && (place.joint(taken) == Some(',') && !digits.starts_with('0'))
            && let Some(group) = place.digits(taken + 1).filter(|group| group.len() == 3)
        {
            digits.push_str(group);
            taken += 2;
        }
        if digits.len() > 15 || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        let mut fraction = String::new();
        if place.joint(taken) == Some('.')
            && let Some(behind) = place.digits(taken + 1)
        {
            // Three parts are a version or an address.
            if place.joint(taken + 2) == Some('.') && place.digits(taken + 3).is_some() {
                return None;
            }
            fraction = behind.to_owned();
            taken += 2;
        }
        Some(Self { whole: digits.parse().ok()?, fraction, taken })
    }

    pub fn in_words(&self) -> String {
        match self.fraction.as_str() {
            "" => cardinal(self.whole),
            fraction => format!("{} point {}", cardinal(self.whole), digit_by_digit(fraction)),
        }
    }

    pub fn is_one(&self) -> bool {
        self.whole == 1 && self.fraction.is_empty()
    }
}

/// An amount, or two with a dash between.
pub fn amounts(place: Place<'_>) -> Option<(Amount, Option<Amount>, usize)> {
    let first = Amount::read(place)?;
    let taken = first.taken;
    let dash = place.sign(taken).is_some_and(is_dash) && place.glued(taken) == place.glued(taken + 1);
    let sign = usize::from(place.sign(taken + 1).is_some_and(|sign| "$£€".contains(sign)));
    match Amount::read(place.skip(taken + 1 + sign)).filter(|last| dash && last.whole >= first.whole) {
        Some(last) => {
            let all = taken + 1 + sign + last.taken;
            Some((first, Some(last), all))
        }
        None => Some((first, None, taken)),
    }
}

pub fn in_words(first: &Amount, last: Option<&Amount>) -> String {
    match last {
        Some(last) => format!("{} to {}", first.in_words(), last.in_words()),
        None => first.in_words(),
    }
}

/// «1/2», «2 1/2», «¾», «24/7».
pub fn fraction(place: Place<'_>) -> Option<Reading> {
    let half = |sign| match sign {
        '½' => Some("a half"),
        '¼' => Some("a quarter"),
        '¾' => Some("three quarters"),
        _ => None,
    };
    if let Some(words) = place.sign(0).and_then(half) {
        return Reading::new(words, 1);
    }
    if let (Some(n), Some(words)) = (place.value(0), place.glued_sign(1).and_then(half)) {
        return Reading::new(format!("{} and {words}", cardinal(n)), 2);
    }
    if let Some(whole) = place.value(0)
        && place.digits(1).is_some()
        && let Some(part) = fraction(place.skip(1))
        && place.value(1).zip(place.value(3)).is_some_and(|(n, m)| n < m)
    {
        return Reading::new(format!("{} and {}", cardinal(whole), part.words.replacen("one half", "a half", 1)), 4);
    }
    let (n, m) = (place.value(0)?, place.value(2)?);
    if place.joint(1) != Some('/') || place.joint(3) == Some('/') {
        return None;
    }
    let words = match (n, m) {
        (24, 7) => "twenty four seven".to_owned(),
        (1, 2) => "one half".to_owned(),
        (1, 4) => "one quarter".to_owned(),
        (n, 4) if n < 4 => format!("{} quarters", cardinal(n)),
        (1, m) if m > 2 => format!("one {}", ordinal(m)),
        (n, m) if n > 0 && n < m => format!("{} {}s", cardinal(n), ordinal(m)),
        (n, m) => format!("{} slash {}", cardinal(n), cardinal(m)),
    };
    Reading::new(words, 3)
}

/// «Room 101», «extension 12», «5B»: numbers that are names.
pub fn label(place: Place<'_>) -> Option<Reading> {
    let digits = place.digits(0)?;
    let behind = 1 + usize::from(matches!(place.sign_back(1), Some('.' | '#')));
    let word = place.word_back(behind).unwrap_or_default();
    let code_is = word == "is" && matches!(place.word_back(2), Some("code" | "pin" | "password" | "extension"));
    let short = digits.len() == 3 && matches!(word, "call" | "dial");
    let spelled =
        code_is || short || matches!(word, "extension" | "ext" | "code" | "pin" | "x" | "dial" | "postcode" | "zip");
    let room = matches!(
        word,
        "room"
            | "suite"
            | "ste"
            | "apartment"
            | "apt"
            | "flat"
            | "unit"
            | "office"
            | "flight"
            | "bus"
            | "route"
            | "gate"
            | "number"
            | "no"
            | "order"
            | "box"
            | "highway"
            | "rm"
    ) || (place.sign_back(1) == Some('#'));
    let address = digits.len() == 4 && place.capitalised(1) && street_follows(place);
    let words = if spelled {
        phones::in_groups(digits, Language::En).join(", ")
    } else if digits.len() == 3 && (room || address) && !digits.ends_with("00") {
        let (hundred, rest) = digits.split_at(1);
        let rest = match rest.strip_prefix('0') {
            Some(one) => format!("oh {}", digit_by_digit(one)),
            None => cardinal(rest.parse().ok()?),
        };
        format!("{} {rest}", digit_by_digit(hundred))
    } else if digits.len() == 4 && (room || address) && !digits.starts_with('0') {
        year(place.value(0)?)
    } else if digits.len() > 4 && room {
        phones::in_groups(digits, Language::En).join(", ")
    } else {
        return None;
    };
    Reading::new(words, 1)
}

/// Whether a street's name follows: "1234 Main St."
fn street_follows(place: Place<'_>) -> bool {
    let streets = [
        "st",
        "street",
        "ave",
        "avenue",
        "rd",
        "road",
        "blvd",
        "boulevard",
        "ln",
        "lane",
        "dr",
        "drive",
        "way",
        "court",
    ];
    (2..5).filter_map(|ahead| place.word(ahead)).any(|word| streets.contains(&word))
}

/// A number alone, with its ordinal ending, or digit by digit; and the sign before it.
pub fn plain(place: Place<'_>) -> Option<Reading> {
    if let Some(sign) = place.sign(0) {
        let number = place.digits(1).is_some();
        let words = match sign {
            '#' if place.glued(0) && place.back(1).is_some() => "pound",
            '#' if number && place.glued(1) => "number",
            '№' => "number",
            '*' if number && place.glued(1) => "star",
            '+' if number => "plus",
            '-' | '−' if number && place.glued(1) && !place.glued(0) => "minus",
            '~' | '≈' if number => "about",
            '±' if number => "plus or minus",
            '>' | '≥' if number => "over",
            '<' | '≤' if number => "under",
            _ => return None,
        };
        return Reading::new(words, 1);
    }
    let digits = place.digits(0)?;
    let ending = place.word(1).filter(|_| place.glued(1));
    if let (Some(n), Some("st" | "nd" | "rd" | "th")) = (place.value(0), ending) {
        return Reading::new(ordinal(n), 2);
    }
    if let Some((first, last, taken)) = amounts(place) {
        let long = digits.len() > 7;
        if !long {
            return Reading::new(in_words(&first, last.as_ref()), taken);
        }
    }
    let mut words = match place.value(0) {
        Some(n) if digits.len() < 8 && (digits.len() == 1 || !digits.starts_with('0')) => cardinal(n),
        _ => phones::in_groups(digits, Language::En).join(", "),
    };
    let mut taken = 1;
    while taken < 12
        && place.joint(taken) == Some('.')
        && let Some(next) = place.digits(taken + 1)
    {
        let next = match place.value(taken + 1) {
            Some(n) if !next.starts_with('0') || next.len() == 1 => cardinal(n),
            _ => digit_by_digit(next),
        };
        words.push_str(&format!(" point {next}"));
        taken += 2;
    }
    Reading::new(words, taken)
}
