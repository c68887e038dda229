//! Numbers that are neither dates nor times: counted things, numbered things, labels, fractions, ordinals.

use chislo::Gender;

use super::amounts::{Amount, Amounts};
use super::grammar::{Agreement, Case, Count, agreement, governed};
use super::nouns::Noun;
use super::numerals::{cardinal, compound, digit_by_digit, ordinal, with_zeros};
use super::units;
use crate::engine::Language;
use crate::engine::tts::text::phones;
use crate::engine::tts::text::tokens::{Kind, Place, Reading, is_dash};

/// «5-й этаж», «1-го», «90-е», «2-х», «5-этажный», «100%-ный».
pub fn with_ending(place: Place<'_>) -> Option<Reading> {
    let n = place.value(0).filter(|_| place.digits(0).is_some_and(|digits| digits.len() <= 4))?;
    if place.glued_sign(1) == Some('%') && place.joint(2).is_some_and(is_dash) {
        let ending = place.word(3)?;
        return Reading::new(format!("{}процент{ending}", compound(n)?), 4);
    }
    let hyphen = place.joint(1).is_some_and(is_dash);
    let at = if hyphen { 2 } else { 1 };
    let ending = place.word(at).filter(|_| place.glued(at))?;
    // «2-х комнатная», «8-ми часовой» are one word.
    let genitive = matches!(ending, "х" | "ти" | "ми" | "и" | "рёх" | "рех");
    if genitive && let Some(word) = place.word(at + 1) {
        let made = [
            "комнатн",
            "этажн",
            "часов",
            "дневн",
            "минутн",
            "разов",
            "летн",
            "месячн",
            "кратн",
            "мест",
            "сторонн",
            "уровн",
            "фазн",
            "спальн",
            "недельн",
            "процентн",
        ];
        if made.iter().any(|stem| word.starts_with(stem)) && word.chars().count() > 5 {
            return Reading::new(format!("{}{word}", compound(n)?), at + 2);
        }
    }
    if hyphen && ending.chars().count() >= 4 && ending.starts_with(|c: char| matches!(c, 'а'..='я')) {
        return Reading::new(format!("{}{ending}", compound(n)?), at + 1);
    }
    if !hyphen && !matches!(ending, "го" | "й" | "я" | "е" | "х" | "му" | "ой" | "ый" | "ая" | "ое" | "ых")
    {
        return None;
    }
    let words = match ending {
        "х" if (2..=4).contains(&n) => cardinal(n, Case::Genitive, Gender::Masculine),
        "м" if (2..=4).contains(&n) && !place.word(at + 1).is_some_and(is_numbered) => {
            cardinal(n, Case::Dative, Gender::Masculine)
        }
        "ти" | "и" | "рёх" | "рех" => cardinal(n, Case::Genitive, Gender::Masculine),
        "ми" if n > 4 => cardinal(n, Case::Genitive, Gender::Masculine),
        "ью" | "мя" => cardinal(n, Case::Instrumental, Gender::Masculine),
        _ => {
            let (case, agreement) = suffix(place, ending, place.skip(at + 1))?;
            ordinal(n, case, agreement)
        }
    };
    Reading::new(words, at + 1)
}

/// What an ordinal's ending says; several do not say it alone.
fn suffix(place: Place<'_>, ending: &str, after: Place<'_>) -> Option<(Case, Agreement)> {
    use Agreement::{Feminine, Masculine, Neuter, Plural};
    use Case::{Accusative, Dative, Genitive, Instrumental, Nominative, Prepositional};
    let governed = governed(place);
    let noun = after.word(0).and_then(Noun::of);
    let feminine = noun.is_some_and(|noun| noun.gender == Gender::Feminine)
        || after.word(0).is_some_and(|word| word.ends_with(['и', 'ы', 'е']) || word.ends_with("ой"));
    Some(match ending {
        "й" | "ой" | "ый" | "ий" if feminine && noun.is_none_or(|noun| noun.gender == Gender::Feminine) => {
            let case = [Genitive, Dative, Instrumental, Prepositional].into_iter().find(|case| governed.allows(*case));
            (case.unwrap_or(Genitive), Feminine)
        }
        "й" | "ой" | "ый" | "ий" => (Nominative, Masculine),
        "го" | "ого" | "его" => (Genitive, Masculine),
        "му" | "ому" | "ему" => (Dative, Masculine),
        "м" if matches!(governed.first(), Genitive | Instrumental | Nominative | Dative) => (Instrumental, Masculine),
        "м" | "ом" => (Prepositional, Masculine),
        "ым" | "им" => (Instrumental, Masculine),
        "я" | "ая" => (Nominative, Feminine),
        "ю" | "ую" => (Accusative, Feminine),
        "ое" => (Nominative, Neuter),
        "е" if after.word(0).is_some_and(|word| word.ends_with(['ы', 'и'])) => (Nominative, Plural),
        "е" if place.value(0).is_some_and(|n| n >= 20 && n % 10 == 0) && noun.is_none() => (Nominative, Plural),
        "е" => (Nominative, Neuter),
        "ые" => (Nominative, Plural),
        "х" | "ых" => (Genitive, Plural),
        "ыми" => (Instrumental, Plural),
        _ => return None,
    })
}

pub fn is_numbered(word: &str) -> bool {
    Noun::of(word).is_some_and(|noun| noun.numbered)
}

/// «на 5 этаже», «25 числа», «в 1994 году»: numbers that are names, before a noun in the singular.
pub fn numbered(place: Place<'_>) -> Option<Reading> {
    let n = place.value(0).filter(|n| (1..=9999).contains(n))?;
    let word = place.word(1)?;
    let noun = Noun::of(word).filter(|noun| noun.numbered)?;
    let year = noun.form(Case::Nominative, false) == "год";
    if place.digits(0)?.starts_with('0') || year != (n >= 1000) || is_label(place) {
        return None;
    }
    let governed = governed(place);
    let singular = noun.singular_cases(word);
    let plural_too = noun.cases_of(word, Count::of(n));
    let case = governed.cases.iter().copied().find(|case| singular.contains(case)).or(singular.first().copied())?;
    // «2 этажа», «два этажа»: but «до 2 этажа» is the second.
    let day = noun.form(Case::Nominative, false) == "число";
    let counts = Count::of(n) == Count::Few && case == Case::Genitive && !plural_too.is_empty();
    if counts && !day && !year && !governed.allows(Case::Genitive) {
        return None;
    }
    Reading::new(ordinal(n, case, noun.gender.into()), 1)
}

/// Words after which a number is a name, and is said as it stands.
pub fn is_label(place: Place<'_>) -> bool {
    let labels = [
        "номер",
        "номера",
        "номеру",
        "номером",
        "номере",
        "код",
        "кода",
        "кодом",
        "заказ",
        "заказа",
        "заказу",
        "договор",
        "договора",
        "договору",
        "счёт",
        "счет",
        "счёта",
        "карта",
        "карты",
        "карте",
        "инн",
        "кпп",
        "огрн",
        "снилс",
        "полис",
        "паспорт",
        "индекс",
        "артикул",
        "талон",
        "билет",
        "дом",
        "дома",
        "доме",
        "дому",
        "домом",
        "корпус",
        "корпуса",
        "корпусе",
        "строение",
        "строении",
        "квартира",
        "квартиры",
        "квартире",
        "квартиру",
        "кабинет",
        "кабинета",
        "кабинете",
        "офис",
        "офиса",
        "офисе",
        "подъезд",
        "подъезда",
        "подъезде",
        "этаж",
        "этажа",
        "этаже",
        "добавочный",
        "линия",
        "вариант",
        "пункт",
        "версия",
        "версии",
        "цифра",
        "цифру",
        "кнопку",
        "нажмите",
        "помещение",
        "комната",
        "комнате",
        "комнату",
        "окно",
        "палата",
        "палате",
        "аудитория",
        "рейс",
        "рейса",
        "автобус",
        "автобуса",
        "маршрут",
        "д",
        "кв",
        "корп",
        "стр",
        "эт",
        "каб",
        "оф",
        "доб",
        "вн",
        "к",
        "под",
        "пом",
    ];
    let dotted = usize::from(place.sign_back(1) == Some('.')) + 1;
    let number_sign = matches!(place.sign_back(1), Some('№' | '#'));
    let word = place.word_back(dotted).unwrap_or_default();
    let short = word.chars().count() <= 2;
    let written_so = if dotted == 2 { is_shortened(word) } else { !short };
    number_sign || (written_so && labels.contains(&word))
}

fn is_shortened(word: &str) -> bool {
    matches!(word, "д" | "кв" | "корп" | "стр" | "эт" | "каб" | "оф" | "доб" | "вн" | "к" | "под" | "пом")
}

/// A number that is a name: «дом 5/7», «код 0451», «корпус 2А», «кабинеты 5-7».
pub fn label(place: Place<'_>) -> Option<Reading> {
    if !is_label(place) {
        return None;
    }
    let digits = place.digits(0)?;
    let decimal = place.joint(1) == Some(',') && place.digits(2).is_some();
    let written_out = place.back(1).is_some_and(|token| token.kind == Kind::Word);
    let measured = Amounts::read(place).is_some_and(|amounts| units::read(place, &amounts).is_some());
    if decimal || (written_out && measured) {
        return None;
    }
    let spelled = matches!(place.word_back(1), Some("код" | "кода" | "добавочный"))
        || (place.sign_back(1) == Some('.') && place.word_back(2) == Some("доб"));
    let mut words = match digits.len() {
        4 if spelled => phones::in_groups(digits, Language::Ru).join(" "),
        _ => named(digits),
    };
    let mut taken = 1;
    while taken < 9 {
        let joint = place.joint(taken);
        if joint == Some('/')
            && let Some(next) = place.digits(taken + 1)
        {
            words.push_str(&format!(" дробь {}", named(next)));
            taken += 2;
        } else if joint.is_some_and(|sign| is_dash(sign) || sign == '.')
            && let Some(next) = place.digits(taken + 1)
        {
            let joint = if joint == Some('.') { " точка " } else { ", " };
            words.push_str(&format!("{joint}{}", named(next)));
            taken += 2;
        } else if let Some(letter) = place.word(taken).filter(|word| place.glued(taken) && word.chars().count() == 1) {
            let building = matches!(letter, "к" | "с") && place.digits(taken + 1).is_some() && place.glued(taken + 1);
            words.push_str(match letter {
                "к" if building => " корпус",
                "с" if building => " строение",
                letter => super::names::letter(letter.chars().next().unwrap_or_default()).unwrap_or_default(),
            });
            if !building && let Some(name) = letter.chars().next().and_then(super::names::letter) {
                words.truncate(words.len() - name.len());
                words.push_str(&format!(" {name}"));
            }
            taken += 1;
            if building && let Some(next) = place.digits(taken) {
                words.push_str(&format!(" {}", named(next)));
                taken += 1;
            }
        } else {
            break;
        }
    }
    Reading::new(words, taken)
}

/// A house with a fraction, «дом 5/7», before it is taken for one.
pub fn label_of_parts(place: Place<'_>) -> Option<Reading> {
    (place.joint(1) == Some('/')).then(|| label(place)).flatten()
}

/// The digits of a name: as a number while one hears it as one, else by groups.
fn named(digits: &str) -> String {
    match digits.parse::<i64>() {
        Ok(n) if digits.len() <= 4 && (!digits.starts_with('0') || digits.len() == 1) => {
            cardinal(n, Case::Nominative, Gender::Masculine)
        }
        _ => phones::in_groups(digits, Language::Ru).join(", "),
    }
}

/// «1/2», «3/4», «24/7», «2/2».
pub fn fraction(place: Place<'_>) -> Option<Reading> {
    let (n, m) = (place.value(0)?, place.value(2)?);
    let slash = matches!(place.joint(1), Some('/' | '⁄'));
    if !slash || matches!(place.joint(3), Some('/' | '.')) {
        return None;
    }
    let plain = |n| cardinal(n, Case::Nominative, Gender::Masculine);
    let shift = place.words_back().take(2).any(|word| word.starts_with("график") || word.starts_with("смен"));
    let words = if shift {
        format!("{} через {}", plain(n), plain(m))
    } else if n == 24 && m == 7 {
        "двадцать четыре на семь".to_owned()
    } else if n > 0 && n < m && m <= 100 {
        let (agreement, case) = if Count::of(n) == Count::One {
            (Agreement::Feminine, Case::Nominative)
        } else {
            (Agreement::Plural, Case::Genitive)
        };
        let part = if m == 3 && n == 1 { "треть".to_owned() } else { ordinal(m, case, agreement) };
        format!("{} {part}", cardinal(n, Case::Nominative, Gender::Feminine))
    } else {
        format!("{} дробь {}", plain(n), plain(m))
    };
    Reading::new(words, 3)
}

/// «3×4», «2 х 3», «10*15».
pub fn dimensions(place: Place<'_>) -> Option<Reading> {
    let times = |ahead: usize| {
        place.sign(ahead).is_some_and(|sign| matches!(sign, '×' | '*')) || matches!(place.word(ahead), Some("x" | "х"))
    };
    let first = Amount::read(place, true)?;
    if !times(first.taken) || place.digits(first.taken + 1).is_none() {
        return None;
    }
    Reading::new(format!("{} на", first.in_words(Case::Nominative, Gender::Masculine)), first.taken + 1)
}

/// A number with its unit, or with the noun it counts, or alone.
pub fn quantity(place: Place<'_>) -> Option<Reading> {
    let amounts = Amounts::read(place)?;
    if let Some(reading) = units::read(place, &amounts) {
        return Some(reading);
    }
    if let Some(pointed) = Amounts::read_with(place, true).filter(|pointed| pointed.taken != amounts.taken)
        && let Some(reading) = units::read(place, &pointed)
    {
        return Some(reading);
    }
    let governed = governed(place);
    let amount = amounts.noun_amount();
    let noun = place.skip(amounts.taken);
    let glued = noun.glued(0) && noun.word(0).is_some();
    let agreeing = match amount.count() {
        None => 2,
        Some(Count::Few) if !amount.is_whole() => 2,
        _ => amount.whole,
    };
    let (mut case, gender) = match noun.word(0) {
        Some(_) if !glued && !is_label(place) => agreement(agreeing, governed, noun),
        _ => (if is_label(place) { Case::Nominative } else { governed.first() }, Gender::Masculine),
    };
    // A fraction's noun is in the genitive whatever the fraction is in.
    if amount.count().is_none() {
        case = if governed.first() == Case::Genitive { Case::Genitive } else { Case::Nominative };
    }
    // «на 3 места» after «записаны», not «на трёх»: but nothing else is known of a number that stands alone.
    if noun.at_pause() && case == Case::Instrumental {
        case = governed.first();
    }
    // The noun of a range shows the case that its last number asks for.
    let words = if amounts.last.is_some() && noun.word(0).is_none() && !governed.firmly {
        amounts.in_words(Case::Nominative, gender, governed)
    } else {
        amounts.in_words(case, gender, governed)
    };
    Reading::new(words, amounts.taken)
}

/// Digits that are no amount: «007», «1.2.3», long codes; and the sign before a number.
pub fn other(place: Place<'_>) -> Option<Reading> {
    if let Some(sign) = place.sign(0) {
        let number = place.digits(1).is_some();
        let words = match sign {
            '№' | '#' if place.glued(0) && place.back(1).is_some() && sign == '#' => "решётка",
            '№' if place.sign(1) == Some('№') => return Reading::new("номера", 2),
            '№' => "номер",
            '#' if number && place.glued(1) => "номер",
            '*' if number && place.glued(1) => "звёздочка",
            '+' if number => "плюс",
            '-' | '−' if number && place.glued(1) && !place.glued(0) => "минус",
            '~' | '≈' if number => "примерно",
            '±' if number => "плюс-минус",
            '>' | '≥' if number => "больше",
            '<' | '≤' if number => "меньше",
            _ => return None,
        };
        return Reading::new(words, 1);
    }
    let digits = place.digits(0)?;
    let mut words = match digits.len() {
        1..=4 => with_zeros_or_pairs(digits),
        _ => phones::in_groups(digits, Language::Ru).join(", "),
    };
    let mut taken = 1;
    while place.joint(taken) == Some('.')
        && taken < 12
        && let Some(next) = place.digits(taken + 1)
    {
        words.push_str(&format!(" точка {}", named(next)));
        taken += 2;
    }
    Reading::new(words, taken)
}

fn with_zeros_or_pairs(digits: &str) -> String {
    if digits.starts_with('0') {
        return if digits.len() <= 3 { with_zeros(digits) } else { phones::in_groups(digits, Language::Ru).join(" ") };
    }
    digits.parse().map_or_else(|_| digit_by_digit(digits), |n| cardinal(n, Case::Nominative, Gender::Masculine))
}

/// Digits too many for an amount, or with points between them.
pub fn code(place: Place<'_>) -> Option<Reading> {
    let digits = place.digits(0)?;
    let dotted = place.joint(1) == Some('.') && place.digits(2).is_some();
    let long = digits.len() > 15
        || (digits.len() > 7
            && !place.word(1).is_some_and(units::is_unit)
            && !place.sign(1).is_some_and(|sign| "%₽$€,".contains(sign)));
    // A card's number in fours.
    let fours = (0..4).take_while(|n| place.digits(*n).is_some_and(|group| group.len() == 4)).count();
    if fours == 4 {
        let groups: Vec<String> = (0..4)
            .filter_map(|n| place.digits(n))
            .map(|group| phones::in_groups(group, Language::Ru).join(" "))
            .collect();
        return Reading::new(groups.join(", "), 4);
    }
    (dotted || long || (digits.len() > 1 && digits.starts_with('0'))).then(|| other(place)).flatten()
}
