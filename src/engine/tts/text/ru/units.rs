//! Units behind a number: money, measures, percents; «тыс.» and «млн», «в час» and «за метр».

use chislo::Gender;

use super::amounts::Amounts;
use super::grammar::{Case, Count, Governed, governed};
use super::nouns::Noun;
use super::numerals::cardinal;
use crate::engine::tts::text::tokens::{Place, Reading};

/// Written, and the noun that it stands for; an adjective's stem before it, words behind it.
struct Unit {
    noun: &'static str,
    adjective: &'static str,
    tail: &'static str,
}

const fn unit(noun: &'static str) -> Unit {
    Unit { noun, adjective: "", tail: "" }
}

/// The amount and what is written behind it, if that is a unit.
pub fn read(place: Place<'_>, amounts: &Amounts) -> Option<Reading> {
    let mut at = amounts.taken;
    let thousands = multiplier(place.skip(at));
    at += thousands.map_or(0, |(_, taken)| taken);
    let found = unit_at(place.skip(at));
    at += found.as_ref().map_or(0, |(_, taken)| *taken);
    let noun = Noun::of(thousands.map(|(noun, _)| noun).or(found.as_ref().map(|(unit, _)| unit.noun))?)?;
    let governed = governed(place);
    let case = amounts.case(case_of(governed), governed);
    let amount = amounts.noun_amount();
    let kopecks = match (&found, thousands) {
        (Some((unit, _)), None) if amount.fraction.len() == 2 && amounts.last.is_none() => {
            cents(unit, &amount.fraction, case)
        }
        _ => None,
    };
    let mut words = match &kopecks {
        Some(_) => cardinal(amount.whole, case, noun.gender),
        None => amounts.in_words(case, noun.gender, governed),
    };
    let count = if kopecks.is_some() { Some(Count::of(amount.whole)) } else { amount.count() };
    let direct = matches!(case, Case::Nominative | Case::Accusative);
    let adjective = found.as_ref().filter(|_| thousands.is_none()).map_or("", |(unit, _)| unit.adjective);
    if !adjective.is_empty() {
        let ending = match (count, case) {
            (None, _) | (Some(Count::One), Case::Genitive) => "ого",
            (Some(Count::One), _) if direct => "ый",
            (Some(Count::One), Case::Dative) => "ому",
            (Some(Count::One), Case::Instrumental) | (_, Case::Dative) => "ым",
            (Some(Count::One), _) => "ом",
            (_, Case::Instrumental) => "ыми",
            _ => "ых",
        };
        words.push_str(&format!(" {adjective}{ending}"));
    }
    words.push(' ');
    words.push_str(&match count {
        None => noun.form(Case::Genitive, false),
        // «Полутора часов», but «полтора часа».
        Some(count) => noun.counted(count, case),
    });
    if let Some((unit, _)) = &found {
        if thousands.is_some()
            && let Some(noun) = Noun::of(unit.noun)
        {
            let adjective = if unit.adjective.is_empty() { String::new() } else { format!("{}ых ", unit.adjective) };
            words.push_str(&format!(" {adjective}{}", noun.form(Case::Genitive, true)));
        }
        words.push_str(&kopecks.unwrap_or_default());
        words.push_str(unit.tail);
    }
    if let Some((tail, taken)) = per(place.skip(at)) {
        words.push_str(tail);
        at += taken;
    }
    Reading::ending(words, at, place)
}

/// `$100`, `€ 50`, `₽1 500`.
pub fn sign_first(place: Place<'_>) -> Option<Reading> {
    let noun = Noun::of(currency(place.sign(0)?)?)?;
    let amounts = Amounts::read_with(place.skip(1), true)?;
    let governed = governed(place);
    let case = amounts.case(case_of(governed), governed);
    let many = multiplier(place.skip(1 + amounts.taken));
    if let Some((name, taken)) = many {
        let thousands = Noun::of(name)?;
        let count = amounts.noun_amount().count();
        let said = count.map_or_else(|| thousands.form(Case::Genitive, false), |count| thousands.counted(count, case));
        let words = amounts.in_words(case, thousands.gender, governed);
        return Reading::ending(
            format!("{words} {said} {}", noun.form(Case::Genitive, true)),
            1 + amounts.taken + taken,
            place,
        );
    }
    let count = amounts.noun_amount().count();
    let said = count.map_or_else(|| noun.form(Case::Genitive, false), |count| noun.counted(count, case));
    Reading::new(format!("{} {said}", amounts.in_words(case, noun.gender, governed)), 1 + amounts.taken)
}

pub fn is_unit(word: &str) -> bool {
    named(word).is_some() || Noun::of(word).is_some()
}

/// The case of a number whose unit shows none.
fn case_of(governed: Governed) -> Case {
    match governed.first() {
        // «За 5 минут», «на 5 кг», «в 10 км».
        Case::Prepositional if governed.cases.len() > 1 => Case::Accusative,
        case => case,
    }
}

/// «тыс.», «млн»: the noun, and its tokens with the full stop.
fn multiplier(place: Place<'_>) -> Option<(&'static str, usize)> {
    let noun = match place.word(0)? {
        "тыс" | "т"
            if place.word(0) == Some("тыс")
                || (place.sign(1) == Some('.') && place.word(2).is_some_and(|w| w.starts_with("руб") || w == "р")) =>
        {
            "тысяча"
        }
        "млн" => "миллион",
        "млрд" => "миллиард",
        "трлн" => "триллион",
        _ => return None,
    };
    Some((noun, 1 + usize::from(place.glued_sign(1) == Some('.'))))
}

fn unit_at(place: Place<'_>) -> Option<(Unit, usize)> {
    if let Some(sign) = place.sign(0) {
        return match sign {
            '%' if place.joint(1).is_none_or(|sign| !"-‑".contains(sign)) => Some((unit("процент"), 1)),
            '‰' => Some((Unit { noun: "процент", adjective: "", tail: "" }, 1)),
            '°' | 'º' => Some(match place.word(1).filter(|_| place.glued(1)) {
                Some("c" | "с") => (Unit { noun: "градус", adjective: "", tail: " Цельсия" }, 2),
                Some("f") => (Unit { noun: "градус", adjective: "", tail: " Фаренгейта" }, 2),
                _ => (unit("градус"), 1),
            }),
            '℃' => Some((Unit { noun: "градус", adjective: "", tail: " Цельсия" }, 1)),
            sign => Some((unit(currency(sign)?), 1)),
        };
    }
    let word = place.word(0)?;
    if word == "в" && place.capitalised(0) && place.skip(1).at_pause() {
        return Some((unit("вольт"), 1));
    }
    let dot = |taken: usize| usize::from(place.glued_sign(taken) == Some('.'));
    let square = match word {
        "кв" => "квадратн",
        "куб" => "кубическ",
        _ => "",
    };
    if !square.is_empty() {
        let at = 1 + dot(1);
        let noun = metre(place.word(at)?)?;
        let adjective = if square == "кубическ" { "кубическ" } else { square };
        return Some((Unit { noun, adjective, tail: "" }, at + 1 + dot(at + 1)));
    }
    if let Some(noun) = metre(word)
        && let Some(power) = place.glued_sign(1).filter(|sign| matches!(sign, '²' | '³'))
    {
        return Some((Unit { noun, adjective: if power == '²' { "квадратн" } else { "кубическ" }, tail: "" }, 2));
    }
    if let Some(noun) = metre(word)
        && let Some(power) = place.digits(1).filter(|digits| place.glued(1) && matches!(*digits, "2" | "3"))
    {
        return Some((Unit { noun, adjective: if power == "2" { "квадратн" } else { "кубическ" }, tail: "" }, 2));
    }
    // «С. Петров», «д. 5» and «г. Москва» are no seconds, days or grams.
    let capital_follows = dot(1) == 1 && place.capitalised(2) && !place.glued(0);
    if matches!(word, "г" | "с" | "м" | "д" | "т" | "в")
        && (capital_follows || (word != "м" && word != "г" && word != "т"))
    {
        return None;
    }
    if (word == "р" || word == "ч") && place.capitalised(0) {
        return None;
    }
    Some((unit(named(word)?), 1 + dot(1)))
}

fn metre(word: &str) -> Option<&'static str> {
    match word {
        "м" | "метр" | "метров" | "метра" | "m" => Some("метр"),
        "км" | "km" => Some("километр"),
        "см" | "cm" => Some("сантиметр"),
        "мм" | "mm" => Some("миллиметр"),
        _ => None,
    }
}

fn currency(sign: char) -> Option<&'static str> {
    match sign {
        '₽' => Some("рубль"),
        '$' => Some("доллар"),
        '€' => Some("евро"),
        '£' => Some("фунт"),
        '¥' => Some("юань"),
        '₸' => Some("тенге"),
        _ => None,
    }
}

/// What a shortened word behind a number stands for.
fn named(word: &str) -> Option<&'static str> {
    Some(match word {
        "руб" | "р" | "rub" => "рубль",
        "коп" => "копейка",
        "usd" => "доллар",
        "eur" => "евро",
        "мин" | "min" => "минута",
        "сек" | "с" => "секунда",
        "ч" => "час",
        "сут" => "сутки",
        "дн" => "день",
        "нед" => "неделя",
        "мес" => "месяц",
        "кг" | "kg" => "килограмм",
        "г" | "гр" => "грамм",
        "мг" => "миллиграмм",
        "т" => "тонна",
        "л" => "литр",
        "мл" => "миллилитр",
        "шт" => "штука",
        "чел" => "человек",
        "га" => "гектар",
        "сот" => "сотка",
        "вт" => "ватт",
        "квт" => "киловатт",
        "гц" => "герц",
        "кгц" => "килогерц",
        "мгц" => "мегагерц",
        "гб" | "gb" => "гигабайт",
        "мб" | "mb" => "мегабайт",
        "мбит" => "мегабит",
        "кбит" => "килобит",
        "эт" => "этаж",
        "град" => "градус",
        other => return metre(other).filter(|_| other.chars().count() <= 2),
    })
}

/// «/час», «/мес.», «/м²».
fn per(place: Place<'_>) -> Option<(&'static str, usize)> {
    if place.sign(0) != Some('/') {
        return None;
    }
    let tail = match place.word(1)? {
        "ч" | "час" | "h" => " в час",
        "мин" => " в минуту",
        "с" | "сек" => " в секунду",
        "мес" | "месяц" => " в месяц",
        "день" | "дн" => " в день",
        "сутки" | "сут" => " в сутки",
        "нед" => " в неделю",
        "год" => " в год",
        "ночь" => " за ночь",
        "шт" => " за штуку",
        "кг" => " за килограмм",
        "км" => " за километр",
        "л" => " за литр",
        "чел" => " с человека",
        "м" | "кв" => {
            let square = matches!(place.glued_sign(2), Some('²')) || place.digits(2) == Some("2");
            return Some(match place.word(1) {
                Some("кв") => (" за квадратный метр", 3 + usize::from(place.sign(2) == Some('.'))),
                _ if square => (" за квадратный метр", 3),
                _ => (" за метр", 2),
            });
        }
        _ => return None,
    };
    Some((tail, 2 + usize::from(place.glued_sign(2) == Some('.'))))
}

/// « пятьдесят копеек» of an amount with two digits behind the comma; nothing of none.
fn cents(unit: &Unit, fraction: &str, case: Case) -> Option<String> {
    if unit.noun != "рубль" {
        return None;
    }
    let n: i64 = fraction.parse().ok()?;
    let noun = Noun::of("копейка")?;
    let words = format!(" {} {}", cardinal(n, case, Gender::Feminine), noun.counted(Count::of(n), case));
    Some(if n == 0 { String::new() } else { words })
}
