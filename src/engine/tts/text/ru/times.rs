//! Times of day: «восемнадцать тридцать», «с девяти до восемнадцати часов».

use chislo::Gender;

use super::grammar::{Case, Count, governed};
use super::nouns::Noun;
use super::numerals::cardinal;
use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

/// `9:00`, `18:30`.
pub fn clock(place: Place<'_>) -> Option<Reading> {
    let (hour, minute) = at(place, ':')?;
    let taken = 3 + usize::from(place.joint(3) == Some(':')) * 2;
    let case = case(place);
    let part_of_day = matches!(place.word(taken), Some("утра" | "вечера" | "дня" | "ночи"));
    let next_too = matches!(place.word(taken), Some("до")) && matches!(at(place.skip(taken + 1), ':'), Some((_, 0)));
    let hours = matches!(place.word(taken), Some("часов" | "часа" | "час" | "ч"));
    let bare = minute == 0 && (part_of_day || next_too || hours);
    Reading::new(in_words(hour, minute, case, !bare), taken)
}

/// `9.00` where a time is expected: after a preposition, or with another one behind a dash.
pub fn dotted(place: Place<'_>) -> Option<Reading> {
    let (hour, minute) = at(place, '.')?;
    if let Some(reading) = range_of(place, '.') {
        return Some(reading);
    }
    let expected =
        matches!(place.word_back(1), Some("с" | "со" | "до" | "в" | "к" | "на" | "после" | "около" | "от" | "и"));
    let month = (1..=12).contains(&minute) && !matches!(place.word_back(1), Some("в"));
    let unit =
        place.sign(3).is_some_and(|sign| "%₽$€°".contains(sign)) || place.word(3).is_some_and(super::units::is_unit);
    let hours = matches!(place.word(3), Some("часов" | "часа" | "час" | "ч"));
    if !expected || month || (unit && !hours) {
        return None;
    }
    let next_too = matches!(place.word(3), Some("до")) && matches!(at(place.skip(4), '.'), Some((_, 0)));
    Reading::new(in_words(hour, minute, case(place), !(minute == 0 && (next_too || hours))), 3)
}

/// `9:00–18:00`, and `9-18` after days of the week.
pub fn range(place: Place<'_>) -> Option<Reading> {
    if let Some(reading) = range_of(place, ':') {
        return Some(reading);
    }
    let (first, last) = (place.value(0)?, place.value(2)?);
    let dash = place.sign(1).is_some_and(is_dash);
    let behind = usize::from(matches!(place.sign_back(1), Some(':' | ',' | '.'))) + 1;
    let days = place.word_back(behind).is_some_and(|word| {
        super::dates::is_weekday(word)
            || matches!(
                word,
                "пн" | "вт"
                    | "ср"
                    | "чт"
                    | "пт"
                    | "сб"
                    | "вс"
                    | "ежедневно"
                    | "будни"
                    | "будням"
                    | "выходные"
                    | "часы"
                    | "работаем"
                    | "работы"
            )
    });
    let hours = first < 24 && last <= 24 && first < last;
    if !dash || !days || !hours || place.joint(3).is_some_and(is_dash) {
        return None;
    }
    let genitive = |n| cardinal(n, Case::Genitive, Gender::Masculine);
    Reading::new(format!("с {} до {}", genitive(first), genitive(last)), 3)
}

fn range_of(place: Place<'_>, separator: char) -> Option<Reading> {
    let (hour, minute) = at(place, separator)?;
    let dash = place.sign(3).is_some_and(is_dash);
    let (until_hour, until_minute) = at(place.skip(4), separator).filter(|_| dash)?;
    let begun = matches!(place.word_back(1), Some("с" | "со"));
    let both = minute == 0 && until_minute == 0;
    let first = in_words(hour, minute, Case::Genitive, !both);
    let last = in_words(until_hour, until_minute, Case::Genitive, true);
    Reading::new(format!("{}{first} до {last}", if begun { "" } else { "с " }), 7)
}

/// Hour and minute of a time that is written here.
fn at(place: Place<'_>, separator: char) -> Option<(i64, i64)> {
    let (hour, minute) = (place.value(0)?, place.value(2)?);
    let written = place.joint(1) == Some(separator)
        && place.digits(0)?.len() <= 2
        && place.digits(2)?.len() == 2
        && hour <= 24
        && minute <= 59;
    let more =
        matches!(place.joint(3), Some(sign) if sign == separator) && place.digits(4).is_some() && separator == '.';
    (written && !more).then_some((hour, minute))
}

fn case(place: Place<'_>) -> Case {
    match governed(place).first() {
        Case::Instrumental => Case::Instrumental,
        Case::Accusative | Case::Prepositional => Case::Nominative,
        case => case,
    }
}

/// The time in words; a full hour with «часов» if nothing else says that it is one.
fn in_words(hour: i64, minute: i64, case: Case, named: bool) -> String {
    let number = |n| cardinal(n, case, Gender::Masculine);
    let noun = Noun::of("час").map(|noun| noun.counted(Count::of(hour), case)).unwrap_or_default();
    match minute {
        0 if !named => number(hour),
        0 => format!("{} {noun}", number(hour)),
        1..=9 => format!("{} ноль {}", number(hour), number(minute)),
        _ => format!("{} {}", number(hour), number(minute)),
    }
}
