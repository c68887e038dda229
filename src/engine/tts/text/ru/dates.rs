//! Days, months and years: «к двадцать первому ноября две тысячи двадцать шестого года».

use super::grammar::{Agreement, Case, governed};
use super::numerals::ordinal;
use crate::engine::tts::text::tokens::{Kind, Place, Reading, is_dash};

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

/// `22.11.2026`, `22.11.26`, `22.11` and `22/11/2026`.
pub fn numeric(place: Place<'_>) -> Option<Reading> {
    let separator = place.joint(1).filter(|sign| matches!(sign, '.' | '/'))?;
    let (day, month) = (place.value(0)?, place.value(2)?);
    let name = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=31).contains(&day) || place.digits(0)?.len() > 2 || place.digits(2)?.len() != 2 {
        return None;
    }
    let year = place.digits(4).filter(|_| place.joint(3) == Some(separator));
    let (year, mut taken) = match year {
        Some(year) if year.len() == 4 => (place.value(4), 5),
        Some(year) if year.len() == 2 => {
            (place.value(4).map(|year| if year < 70 { 2000 + year } else { 1900 + year }), 5)
        }
        Some(_) => return None,
        None => (None, 3),
    };
    // Without a year it is a date only where one is expected: 10.12 may be a price or a time.
    let dated = place.words_back().next().is_some_and(|word| {
        matches!(
            word,
            "с" | "до"
                | "по"
                | "к"
                | "на"
                | "от"
                | "после"
                | "сегодня"
                | "завтра"
                | "дата"
                | "числа"
                | "и"
        )
    });
    let on_weekday = place.sign_back(1) == Some(',') && place.word_back(2).is_some_and(is_weekday);
    let unit = place.sign(3).is_some_and(|sign| "%₽$€°".contains(sign))
        || place.word(3).is_some_and(|w| w.starts_with("руб") || w == "час" || w == "часов" || w == "р");
    if year.is_none() && (separator == '/' || unit || place.digits(0)?.len() != 2 || !(dated || on_weekday)) {
        return None;
    }
    let mut words = format!("{} {name}", ordinal(day, day_case(place), Agreement::Neuter));
    if let Some(year) = year {
        words.push_str(&format!(" {} года", ordinal(year, Case::Genitive, Agreement::Masculine)));
        taken += year_word(place.skip(taken));
    }
    Reading::ending(words, taken, place)
}

/// `2026-11-22`.
pub fn iso(place: Place<'_>) -> Option<Reading> {
    let (year, month, day) = (place.value(0)?, place.value(2)?, place.value(4)?);
    let written = [place.digits(0)?.len(), place.digits(2)?.len(), place.digits(4)?.len()] == [4, 2, 2];
    let joined = place.joint(1) == Some('-') && place.joint(3) == Some('-');
    let name = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !written || !joined || !(1..=31).contains(&day) {
        return None;
    }
    let day = ordinal(day, day_case(place), Agreement::Neuter);
    Reading::new(format!("{day} {name} {} года", ordinal(year, Case::Genitive, Agreement::Masculine)), 5)
}

/// «22 ноября», «1–5 мая», «с 5, 6 и 7 мая»: days before a month, with the year behind it.
pub fn days(place: Place<'_>) -> Option<Reading> {
    let day = day_at(place, 0)?;
    let ending = ending_len(place.skip(1));
    let case = day_case(place);
    let mut at = 1 + ending;
    if let Some(name) = month(place, at) {
        let mut words = format!("{} {name}", ordinal(day, case, Agreement::Neuter));
        at += 1 + usize::from(is_short(place, at) && place.glued_sign(at + 1) == Some('.'));
        at += year(place, at, &mut words);
        return Reading::ending(words, at, place);
    }
    if place.sign(at).is_some_and(is_dash)
        && let Some(last) = day_at(place, at + 1).filter(|last| *last > day)
        && let Some(name) = month(place, at + 2 + ending_len(place.skip(at + 2)))
    {
        at += 2 + ending_len(place.skip(at + 2));
        let begun = matches!(place.word_back(1), Some("с" | "со"));
        let (first, last) =
            (ordinal(day, Case::Genitive, Agreement::Neuter), ordinal(last, Case::Accusative, Agreement::Neuter));
        let with = if begun {
            ""
        } else if day == 2 {
            "со "
        } else {
            "с "
        };
        let mut words = format!("{with}{first} по {last} {name}");
        at += 1 + usize::from(is_short(place, at) && place.glued_sign(at + 1) == Some('.'));
        at += year(place, at, &mut words);
        return Reading::ending(words, at, place);
    }
    // The first of several: the month stands behind the last.
    let mut far = at;
    for _ in 0..6 {
        let joined = place.sign(far) == Some(',') || matches!(place.word(far), Some("и" | "или" | "по" | "до" | "на"));
        if !joined || day_at(place, far + 1).is_none() {
            return None;
        }
        far += 2 + ending_len(place.skip(far + 2));
        if month(place, far).is_some() {
            return Reading::new(ordinal(day, case, Agreement::Neuter), at);
        }
    }
    None
}

/// Adds the year behind a day and a month, and tells its tokens.
fn year(place: Place<'_>, at: usize, words: &mut String) -> usize {
    let Some(value) =
        place.value(at).filter(|n| (1000..=2199).contains(n) && place.digits(at).is_some_and(|d| d.len() == 4))
    else {
        return 0;
    };
    // «21 ноября 1500 рублей» has no year.
    let named = year_word(place.skip(at + 1));
    if named == 0
        && !place.skip(at + 1).at_pause()
        && !matches!(place.word(at + 1), Some("в" | "на" | "с" | "и" | "до" | "или"))
    {
        return 0;
    }
    words.push_str(&format!(" {} года", ordinal(value, Case::Genitive, Agreement::Masculine)));
    1 + named
}

/// «2026 г.», «2020–2026 гг.», and a year that a preposition and a pause show: «с 2010.».
pub fn years(place: Place<'_>) -> Option<Reading> {
    let written = |ahead: usize| {
        place.value(ahead).filter(|n| (1000..=2199).contains(n) && place.digits(ahead).is_some_and(|d| d.len() == 4))
    };
    let first = written(0)?;
    let range = place.sign(1).is_some_and(is_dash).then(|| written(2)).flatten();
    if let Some(last) = range {
        let named = match place.word(3) {
            Some("гг" | "годы" | "годах" | "годов") => {
                1 + usize::from(place.glued_sign(4) == Some('.'))
            }
            _ => return None,
        };
        let (first, last) = (
            ordinal(first, Case::Genitive, Agreement::Masculine),
            ordinal(last, Case::Accusative, Agreement::Masculine),
        );
        return Reading::ending(format!("с {first} по {last} год"), 3 + named, place);
    }
    let governed = governed(place);
    let shown = matches!(place.word_back(1), Some("в" | "с" | "до" | "к" | "после")) && (1950..=2060).contains(&first);
    let named = match place.word(1) {
        Some("г") => 1 + usize::from(place.glued_sign(2) == Some('.')),
        None if shown && place.skip(1).at_pause() => 0,
        _ => return None,
    };
    let (case, noun) = match place.word_back(1) {
        Some("в" | "во") => (Case::Prepositional, "году"),
        _ => match governed.first() {
            Case::Genitive => (Case::Genitive, "года"),
            Case::Dative => (Case::Dative, "году"),
            Case::Accusative => (Case::Accusative, "год"),
            Case::Instrumental => (Case::Instrumental, "годом"),
            Case::Prepositional => (Case::Prepositional, "годе"),
            Case::Nominative if place.word_back(1).is_some() => (Case::Genitive, "года"),
            Case::Nominative => (Case::Nominative, "год"),
        },
    };
    let words = format!("{} {noun}", ordinal(first, case, Agreement::Masculine));
    Reading::ending(words, 1 + named, place)
}

/// The case of a day: what the preposition asks, and the genitive of «приходите двадцать второго».
fn day_case(place: Place<'_>) -> Case {
    let governed = governed(place);
    if governed.firmly {
        return match governed.first() {
            Case::Accusative if matches!(place.word_back(1), Some("в" | "во")) => Case::Genitive,
            case => case,
        };
    }
    if names_today(place) { Case::Nominative } else { Case::Genitive }
}

/// «Сегодня вторник, 24 ноября.»: the day is named, and nothing happens on it.
fn names_today(place: Place<'_>) -> bool {
    let mut behind = 1 + usize::from(place.sign_back(1).is_some_and(|sign| sign == ',' || is_dash(sign)));
    if place.word_back(behind).is_some_and(is_weekday) {
        behind += 1;
    }
    behind += usize::from(place.sign_back(behind).is_some_and(|sign| sign == ',' || is_dash(sign)));
    let named =
        matches!(place.word_back(behind), Some("сегодня" | "завтра" | "послезавтра" | "вчера" | "это" | "дата"));
    let first = place.back(behind + 1).is_none_or(|token| token.kind == Kind::Break || ".!?".contains(token.text));
    let mut after = 1 + ending_len(place.skip(1));
    after += 1;
    let mut words = String::new();
    after += year(place, after, &mut words);
    named && (first || place.word_back(behind) == Some("дата")) && place.skip(after).at_pause()
}

pub fn is_weekday(word: &str) -> bool {
    ["понедельник", "вторник", "сред", "четверг", "пятниц", "суббот", "воскресень"]
        .iter()
        .any(|day| word.starts_with(day))
}

fn day_at(place: Place<'_>, ahead: usize) -> Option<i64> {
    place
        .value(ahead)
        .filter(|day| (1..=31).contains(day) && place.digits(ahead).is_some_and(|digits| digits.len() <= 2))
}

/// The tokens of «-го», «-е» behind a day.
fn ending_len(place: Place<'_>) -> usize {
    let ending = place.word(1).filter(|_| place.joint(0).is_some_and(is_dash));
    if matches!(ending, Some("го" | "е" | "ое" | "ого" | "му" | "м")) { 2 } else { 0 }
}

fn month(place: Place<'_>, ahead: usize) -> Option<&'static str> {
    let word = place.word(ahead)?;
    let whole = MONTHS.iter().find(|month| **month == word);
    let dotted = place.glued_sign(ahead + 1) == Some('.');
    whole
        .or_else(|| MONTHS.iter().find(|month| dotted && word.chars().count() >= 3 && month.starts_with(word)))
        .copied()
}

fn is_short(place: Place<'_>, ahead: usize) -> bool {
    place.word(ahead).is_some_and(|word| !MONTHS.contains(&word))
}

/// The tokens of «года», «г.» behind a year.
fn year_word(place: Place<'_>) -> usize {
    match place.word(0) {
        Some("года" | "год" | "году") => 1,
        Some("г") => 1 + usize::from(place.glued_sign(1) == Some('.')),
        _ => 0,
    }
}
