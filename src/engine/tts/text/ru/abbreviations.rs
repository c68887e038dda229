//! Shortened words: parts of addresses in the case of their preposition, days of the week, titles, «и т. д.».

use super::grammar::{Case, Governed, governed_directly};
use super::nouns::Noun;
use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

/// «в пн», «пн–пт», «с пн по пт».
pub fn weekday(place: Place<'_>) -> Option<Reading> {
    let first = day(place.word(0)?)?;
    let dot = |at: usize| usize::from(place.glued_sign(at) == Some('.') && !place.skip(at + 1).begins_sentence());
    let at = 1 + dot(1);
    if place.sign(at).is_some_and(is_dash)
        && let Some(last) = place.word(at + 1).and_then(day)
    {
        let begun = matches!(place.word_back(1), Some("с" | "со"));
        let with = match first.form(Case::Nominative, false).as_str() {
            _ if begun => "",
            "вторник" | "среда" => "со ",
            _ => "с ",
        };
        let (first, last) = (first.form(Case::Genitive, false), last.form(Case::Accusative, false));
        return Reading::new(format!("{with}{first} по {last}"), at + 2 + dot(at + 2));
    }
    let plural = place.word_back(1) == Some("по") && !matches!(place.word_back(3), Some("с" | "со"));
    let case = match of_row(place).first() {
        _ if plural => Case::Dative,
        case => case,
    };
    Reading::new(first.form(case, plural), at)
}

/// What governs the days of a row: «в пн, ср и пт».
fn of_row(place: Place<'_>) -> Governed {
    let mut behind = 0;
    while behind < 12 {
        let joined = place.sign_back(behind + 1) == Some(',') || place.word_back(behind + 1) == Some("и");
        if !joined || place.word_back(behind + 2).and_then(day).is_none() {
            break;
        }
        behind += 2;
    }
    governed_directly(place.before(behind))
}

/// «и т. д.», «т. е.», «г-н», «напр.»: words that no case changes.
pub fn phrase(place: Place<'_>) -> Option<Reading> {
    let word = place.word(0)?;
    let dotted = place.glued_sign(1) == Some('.');
    if word == "т"
        && dotted
        && let Some(next) = place.word(2)
    {
        let taken = 3 + usize::from(place.glued_sign(3) == Some('.'));
        let words = match next {
            "д" => "так далее",
            "п" => "тому подобное",
            "е" => "то есть",
            "к" => "так как",
            "н" => "так называемый",
            "о" => "таким образом",
            "ч" => "том числе",
            _ => return None,
        };
        return if matches!(next, "д" | "п") {
            Reading::ending(words, taken, place)
        } else {
            Reading::new(words, taken)
        };
    }
    if place.joint(1).is_some_and(is_dash)
        && let Some(last) = place.word(2)
    {
        let words = match (word, last) {
            ("г", "н") => "господин",
            ("г", "на") => "господина",
            ("г", "ну") => "господину",
            ("г", "ном") => "господином",
            ("г", "жа") => "госпожа",
            ("г", "жи" | "же") => "госпожи",
            ("г", "жу") => "госпожу",
            ("г", "жой") => "госпожой",
            ("д", "р") => "доктор",
            ("м", "н") => "микрорайон",
            _ => return None,
        };
        return Reading::new(words, 3);
    }
    let fixed = match word {
        "др" if dotted => "другие",
        "пр" if dotted && place.word_back(1) == Some("и") => "прочее",
        "тел" => "телефон",
        "моб" if dotted => "мобильный",
        "раб" if dotted => "рабочий",
        "доб" => "добавочный",
        "вн" if dotted => "внутренний",
        "им" if dotted => "имени",
        "напр" if dotted => "например",
        "см" if dotted && place.word(2).is_some() => "смотрите",
        "проф" if dotted => "профессор",
        "акад" if dotted => "академик",
        "зам" if dotted => "заместитель",
        "гл" if dotted => "главный",
        "ген" if dotted => "генеральный",
        "дир" if dotted => "директор",
        "мл" if dotted => "младший",
        "тыс" => "тысяч",
        "руб" => "рублей",
        "коп" if dotted => "копеек",
        "мин" if dotted => "минут",
        "сек" if dotted => "секунд",
        "шт" if dotted => "штук",
        "чел" if dotted => "человек",
        "макс" if dotted => "максимум",
        "ок" if dotted => "около",
        "обл" if dotted => "область",
        "вкл" if dotted => "включительно",
        "ред" if dotted => "редакция",
        "ст" if dotted && place.word_back(1).is_some() => "станция",
        "спб" => "Санкт-Петербург",
        "мск" => "по московскому времени",
        "млн" => "миллионов",
        "млрд" => "миллиардов",
        "гг" if dotted => "годы",
        _ => return None,
    };
    let goes_on =
        ["проф", "акад", "им", "зам", "гл", "ген", "доб", "тел", "вн", "см", "напр", "ок", "моб", "раб", "ст"];
    if goes_on.contains(&word) {
        return Reading::new(fixed, 1 + usize::from(dotted));
    }
    Reading::ending(fixed, 1 + usize::from(dotted), place)
}

/// «на ул. Ленина», «в г. Москве», «к д. 5»: in the case of the preposition.
pub fn place(place: Place<'_>) -> Option<Reading> {
    let word = place.word(0)?;
    let hyphenated = place.word(2).filter(|_| place.joint(1) == Some('-')).unwrap_or_default();
    let dotted = place.glued_sign(1) == Some('.');
    let next = if dotted { 2 } else { 1 };
    let number = place.digits(next).is_some();
    let name = place.capitalised(next) && place.sign(next).is_none();
    let cubic = place.word(next).is_some_and(|unit| unit == "м");
    let (noun, taken) = match (word, hyphenated) {
        ("пр" | "просп", "т" | "кт") => ("проспект", 3),
        ("б" | "бул", "р") => ("бульвар", 3),
        ("р", "н") => ("район", 3),
        ("пр", "д") => ("проезд", 3),
        ("п", "т") => ("проспект", 3),
        _ => {
            let noun = match word {
                "ул" => "улица",
                "просп" => "проспект",
                "пр" if dotted && name => "проспект",
                "пер" if dotted => "переулок",
                "пл" if dotted => "площадь",
                "наб" if dotted => "набережная",
                "ш" if dotted => "шоссе",
                "бул" if dotted => "бульвар",
                "туп" if dotted => "тупик",
                "мкр" | "мкрн" => "микрорайон",
                "г" if dotted && name => "город",
                "д" if number && (dotted || place.glued(0)) => "дом",
                "д" if dotted && name => "деревня",
                "с" if dotted && name && !is_initials(place) => "село",
                "п" | "пос" if dotted && name && !is_initials(place) => "посёлок",
                "дер" if dotted => "деревня",
                "корп" => "корпус",
                "к" if dotted && number => "корпус",
                "стр" if dotted && number && in_address(place) => "строение",
                "стр" if dotted => "страница",
                "кв" if !cubic && (number || dotted) => "квартира",
                "эт" if dotted => "этаж",
                "каб" if dotted || number => "кабинет",
                "оф" if dotted || number => "офис",
                "под" if dotted && number => "подъезд",
                "пом" if dotted => "помещение",
                "вл" if dotted => "владение",
                "м" if dotted && name && !is_initials(place) => return Reading::new("метро", 2),
                "ст" if dotted && name => "станция",
                _ => return None,
            };
            (noun, 1 + usize::from(dotted))
        }
    };
    let governed = governed_directly(place);
    let case = if governed.allows(Case::Prepositional) { Case::Prepositional } else { governed.first() };
    let form = match (noun, case) {
        _ if matches!(place.word_back(1), Some("по")) => Case::Dative,
        // «На проспекте», but «в проспект» nobody says.
        (_, case) => case,
    };
    Reading::new(Noun::of(noun)?.form(form, false), taken)
}

/// «С. П. Иванов»: a second initial, or a surname after one that a capital writes.
fn is_initials(place: Place<'_>) -> bool {
    place.capitalised(0)
}

/// Whether a house stands before: then «стр.» is a building.
fn in_address(place: Place<'_>) -> bool {
    (1..8).filter_map(|behind| place.word_back(behind)).any(|word| {
        matches!(
            word,
            "д" | "дом"
                | "корп"
                | "корпус"
                | "к"
                | "ул"
                | "улица"
                | "вл"
                | "пер"
                | "ш"
                | "наб"
                | "проспект"
                | "улице"
        )
    })
}

fn day(word: &str) -> Option<&'static Noun> {
    let name = match word {
        "пн" => "понедельник",
        "вт" => "вторник",
        "ср" => "среда",
        "чт" => "четверг",
        "пт" => "пятница",
        "сб" => "суббота",
        "вс" => "воскресенье",
        _ => return None,
    };
    Noun::of(name)
}
