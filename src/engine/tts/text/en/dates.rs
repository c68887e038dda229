//! Days, months and years: "November twenty first, twenty twenty six".

use super::numbers::{cardinal, ordinal, year as year_words};
use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

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

/// `11/22/2026` as in America, the other way round where that is no date.
pub fn numeric(place: Place<'_>) -> Option<Reading> {
    let (a, b, year) = (place.value(0)?, place.value(2)?, place.value(4)?);
    let separator = place.joint(1).filter(|sign| matches!(sign, '/' | '.'))?;
    let written = place.joint(3) == Some(separator) && place.digits(0)?.len() <= 2 && place.digits(2)?.len() <= 2;
    let year = match place.digits(4)?.len() {
        4 => year,
        2 => 2000 + year,
        _ => return None,
    };
    let (month, day) = if separator == '.' || a > 12 { (b, a) } else { (a, b) };
    if !written || !(1..=31).contains(&day) {
        return None;
    }
    Reading::new(format!("{} {}, {}", name(month)?, ordinal(day), year_words(year)), 5)
}

/// `2026-11-22`.
pub fn iso(place: Place<'_>) -> Option<Reading> {
    let (year, month, day) = (place.value(0)?, place.value(2)?, place.value(4)?);
    let written = place.digits(0)?.len() == 4 && place.digits(2)?.len() == 2 && place.digits(4)?.len() == 2;
    if !written || place.joint(1) != Some('-') || place.joint(3) != Some('-') || !(1..=31).contains(&day) {
        return None;
    }
    Reading::new(format!("{} {}, {}", name(month)?, ordinal(day), year_words(year)), 5)
}

/// `21 November 2026`, `1st of May`.
pub fn day_first(place: Place<'_>) -> Option<Reading> {
    let day = day(place, 0)?;
    let mut at = 1 + usize::from(is_ending(place, 1));
    at += usize::from(place.word(at) == Some("of"));
    let (month, taken) = month(place.skip(at))?;
    at += taken;
    let the = if matches!(place.word_back(1), Some("the")) { "" } else { "the " };
    let mut words = format!("{the}{} of {month}", ordinal(day));
    at += year_behind(place, at, &mut words);
    Reading::new(words, at)
}

/// `November 21, 2026`, `Nov. 21`, `May 1-5`, `May 2026`.
pub fn month_first(place: Place<'_>) -> Option<Reading> {
    let (name, mut at) = month(place)?;
    if !place.capitalised(0) {
        return None;
    }
    let Some(first) = day(place, at) else {
        let mut words = name.to_owned();
        let year = year_behind(place, at, &mut words);
        let dotted = at > 1;
        return (year > 0
            || dotted
            || place.word(0).is_some_and(|word| word.len() == 3 && word != "may" && word != "mar" && word != "jan"))
        .then(|| Reading::new(words.replace(',', ""), at + year))
        .flatten();
    };
    at += 1 + usize::from(is_ending(place, at + 1));
    let mut words = format!("{name} {}", ordinal(first));
    if place.sign(at).is_some_and(is_dash)
        && let Some(last) = day(place, at + 1).filter(|last| *last > first)
    {
        words.push_str(&format!(" to {}", ordinal(last)));
        at += 2 + usize::from(is_ending(place, at + 2));
    }
    at += year_behind(place, at, &mut words);
    Reading::new(words, at)
}

/// `1990s`, `the 80s`.
pub fn decade(place: Place<'_>) -> Option<Reading> {
    let n = place.value(0).filter(|n| n % 10 == 0)?;
    let apostrophe = usize::from(matches!(place.glued_sign(1), Some('\'' | '’')));
    if place.word(1 + apostrophe) != Some("s") || !place.glued(1 + apostrophe) {
        return None;
    }
    let words = if n >= 1000 { year_words(n) } else { cardinal(n) };
    let words = words.strip_suffix('y').map_or_else(|| format!("{words}s"), |stem| format!("{stem}ies"));
    Reading::new(words, 2 + apostrophe)
}

/// `in 2026`, `since 1999`.
pub fn year(place: Place<'_>) -> Option<Reading> {
    let n = place
        .value(0)
        .filter(|n| (1100..=2099).contains(n) && place.digits(0).is_some_and(|digits| digits.len() == 4))?;
    let shown = matches!(
        place.word_back(1),
        Some(
            "in" | "since"
                | "year"
                | "until"
                | "by"
                | "from"
                | "of"
                | "before"
                | "after"
                | "spring"
                | "summer"
                | "autumn"
                | "fall"
                | "winter"
        )
    );
    let until =
        matches!(place.word_back(1), Some("to" | "and")) && place.back(2).is_some_and(|token| is_year(&token.plain));
    let counted = place.word(1).is_some_and(|word| word.ends_with('s') && word != "is" && word != "was")
        || place.sign(1).is_some_and(|sign| "%$€£₽".contains(sign));
    if !(shown || until) || counted || matches!(place.joint(1), Some(',' | '.' | ':')) {
        return None;
    }
    if let Some(last) = place.value(2).filter(|last| *last > n && place.sign(1).is_some_and(is_dash)) {
        return Reading::new(format!("{} to {}", year_words(n), year_words(last)), 3);
    }
    Reading::new(year_words(n), 1)
}

fn is_year(digits: &str) -> bool {
    digits.len() == 4 && digits.parse().is_ok_and(|year: i64| (1100..=2099).contains(&year))
}

fn name(month: i64) -> Option<&'static str> {
    MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?).copied()
}

fn month(place: Place<'_>) -> Option<(&'static str, usize)> {
    let word = place.word(0)?;
    let dotted = usize::from(place.glued_sign(1) == Some('.'));
    if let Some(name) = MONTHS.iter().find(|name| name.eq_ignore_ascii_case(word)) {
        return Some((name, 1));
    }
    let short = word.len() == 3 || word == "sept";
    let name = MONTHS.iter().find(|name| short && name.to_lowercase().starts_with(word))?;
    (place.capitalised(0) || dotted == 1).then_some((name, 1 + dotted))
}

fn day(place: Place<'_>, ahead: usize) -> Option<i64> {
    place
        .value(ahead)
        .filter(|day| (1..=31).contains(day) && place.digits(ahead).is_some_and(|digits| digits.len() <= 2))
}

fn is_ending(place: Place<'_>, ahead: usize) -> bool {
    place.glued(ahead) && matches!(place.word(ahead), Some("st" | "nd" | "rd" | "th"))
}

/// Adds the year written there, and tells its tokens.
fn year_behind(place: Place<'_>, at: usize, words: &mut String) -> usize {
    let comma = usize::from(place.sign(at) == Some(','));
    let value = place.value(at + comma).filter(|n| (1100..=2199).contains(n));
    let whole =
        place.digits(at + comma).is_some_and(|digits| digits.len() == 4) && place.joint(at + comma + 1).is_none();
    match value.filter(|_| whole) {
        Some(value) => {
            words.push_str(&format!(", {}", year_words(value)));
            1 + comma
        }
        None => 0,
    }
}
