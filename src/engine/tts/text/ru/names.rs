//! Names that are spelled: initials, Roman numerals, abbreviations of capital letters.

use chislo::Gender;

use super::grammar::{Agreement, Case, governed};
use super::nouns::Noun;
use super::numerals::{cardinal, ordinal};
use crate::engine::tts::text::tokens::{Kind, Place, Reading};

/// «И. И. Петров», «Петров И. И.».
pub fn initials(place: Place<'_>) -> Option<Reading> {
    let first = initial(place, 0)?;
    let second = initial(place, 2);
    let after = if second.is_some() { 4 } else { 2 };
    let surname = |token: Option<&crate::engine::tts::text::tokens::Token<'_>>| {
        token.is_some_and(|token| {
            token.kind == Kind::Word && token.text.starts_with(char::is_uppercase) && token.plain.chars().count() > 1
        })
    };
    let before = surname(place.back(1));
    let behind_name = before && (second.is_some() || place.token(2).is_none());
    if !(behind_name || surname(place.token(after))) {
        return None;
    }
    let lists = ["план", "вариант", "группа", "класс", "корпус", "литера", "блок", "секция", "гепатит", "витамин"];
    if second.is_none() && place.word_back(1).is_some_and(|word| lists.contains(&word)) {
        return None;
    }
    let words = match second {
        Some(second) => format!("{first} {second}"),
        None => first.to_owned(),
    };
    if before && !surname(place.token(after)) {
        Reading::ending(words, after, place)
    } else {
        Reading::new(words, after)
    }
}

fn initial(place: Place<'_>, ahead: usize) -> Option<&'static str> {
    let mut letters = place.token(ahead)?.text.chars();
    let name = letters.next().filter(|c| c.is_uppercase()).and_then(letter)?;
    (letters.next().is_none() && place.glued_sign(ahead + 1) == Some('.')).then_some(name)
}

/// «II квартал», «в XXI веке», «Пётр I».
pub fn roman(place: Place<'_>) -> Option<Reading> {
    let written = place.token(0).filter(|token| token.kind == Kind::Word)?.text;
    let n = value(written)?;
    let joined = place.glued(1) && place.token(1).is_some_and(|token| token.kind == Kind::Number);
    if joined || (place.glued(0) && place.back(1).is_some_and(|token| token.kind != Kind::Sign)) {
        return None;
    }
    if place.word(1) == Some("в") && place.glued_sign(2) == Some('.') && n <= 30 {
        let in_century = place.word_back(1) == Some("в");
        let case = if in_century { Case::Prepositional } else { governed(place).first() };
        let noun = Noun::of("век")?.form(case, false);
        return Reading::ending(format!("{} {noun}", ordinal(n, case, Agreement::Masculine)), 3, place);
    }
    if let Some(word) = place.word(1)
        && let Some(noun) = Noun::of(word)
    {
        let governed = governed(place);
        let singular = noun.singular_cases(word);
        let case = governed.cases.iter().copied().find(|case| singular.contains(case)).or(singular.first().copied());
        if let Some(case) = case {
            return Reading::new(ordinal(n, case, noun.gender.into()), 1);
        }
    }
    let king = place.back(1).filter(|token| token.kind == Kind::Word && token.text.starts_with(char::is_uppercase));
    if let Some(name) = king {
        let agreement = if name.plain.ends_with(['а', 'я']) { Agreement::Feminine } else { Agreement::Masculine };
        let masculine = ["илья", "лука", "никита", "фома"].contains(&name.plain.as_str());
        let agreement = if masculine { Agreement::Masculine } else { agreement };
        let labels = ["глава", "часть", "том", "этап", "раздел", "тип", "группа"];
        if labels.contains(&name.plain.as_str()) {
            return Reading::new(cardinal(n, Case::Nominative, Gender::Masculine), 1);
        }
        return (name.plain.chars().count() > 2)
            .then(|| Reading::new(ordinal(n, Case::Nominative, agreement), 1))
            .flatten();
    }
    (written.len() > 1).then(|| Reading::new(cardinal(n, Case::Nominative, Gender::Masculine), 1)).flatten()
}

/// The value of a numeral of I, V and X, as it is properly written.
pub fn value(written: &str) -> Option<i64> {
    if written.is_empty() || written.len() > 7 || !written.chars().all(|c| "IVX".contains(c)) {
        return None;
    }
    (1..40).find(|n| {
        let tens = "X".repeat(usize::try_from(n / 10).unwrap_or(0));
        let ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
        let ones = usize::try_from(n % 10).ok().and_then(|n| ones.get(n)).copied().unwrap_or_default();
        written == format!("{tens}{ones}")
    })
}

/// «ООО», «НДС», «МРТ»: letter by letter if one cannot read them, and as words if one can.
pub fn acronym(place: Place<'_>) -> Option<Reading> {
    let token = place.token(0).filter(|token| token.kind == Kind::Word)?;
    let capital = token.text.chars().all(|c| matches!(c, 'А'..='Я' | 'Ё')) && token.plain.chars().count() > 1;
    if !capital {
        return None;
    }
    let spelled = [
        "ип",
        "ооо",
        "ао",
        "ук",
        "ес",
        "инн",
        "омс",
        "узи",
        "егэ",
        "огэ",
        "огрн",
        "жк",
        "ифнс",
        "ндфл",
        "оон",
        "сша",
        "эцп",
        "эдо",
        "асу",
        "ит",
        "огрнип",
        "цод",
        "емиас",
    ];
    let said = match token.plain.as_str() {
        "сша" => "сэ шэ а".to_owned(),
        "смс" => "эсэмэс".to_owned(),
        "фио" => "фамилия, имя и отчество".to_owned(),
        "узи" => "узи".to_owned(),
        "емиас" => "емиас".to_owned(),
        "цод" => "цод".to_owned(),
        "ит" => "айти".to_owned(),
        "фсб" => "эф эс бэ".to_owned(),
        "фнс" => "эф эн эс".to_owned(),
        word if spelled.contains(&word) || !word.contains(['а', 'е', 'ё', 'и', 'о', 'у', 'ы', 'э', 'ю', 'я']) => {
            if word.chars().count() > 6 {
                word.to_owned()
            } else {
                spell(word)
            }
        }
        word => word.to_owned(),
    };
    // The rest of «НДС-ный» or «МРТ-центр» is read by the rule of words.
    if place.joint(1) == Some('-') && place.word(2).is_some() {
        let rest = place.token(2).map(|token| token.text).unwrap_or_default();
        return Reading::new(format!("{said} {rest}"), 3);
    }
    Reading::new(said, 1)
}

fn spell(word: &str) -> String {
    word.chars().filter_map(letter).collect::<Vec<_>>().join(" ")
}

/// The name of a Russian letter.
pub fn letter(c: char) -> Option<&'static str> {
    const NAMES: [&str; 32] = [
        "а",
        "бэ",
        "вэ",
        "гэ",
        "дэ",
        "е",
        "жэ",
        "зэ",
        "и",
        "и краткое",
        "ка",
        "эль",
        "эм",
        "эн",
        "о",
        "пэ",
        "эр",
        "эс",
        "тэ",
        "у",
        "эф",
        "ха",
        "цэ",
        "чэ",
        "ша",
        "ща",
        "твёрдый знак",
        "ы",
        "мягкий знак",
        "э",
        "ю",
        "я",
    ];
    let c = c.to_lowercase().next()?;
    if c == 'ё' {
        return Some("ё");
    }
    usize::try_from((c as u32).checked_sub('а' as u32)?).ok().and_then(|at| NAMES.get(at)).copied()
}
