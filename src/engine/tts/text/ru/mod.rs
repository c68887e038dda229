//! Russian numbers, dates, times and amounts in words that agree with what stands around them.

pub mod abbreviations;
pub mod grammar;
mod units;

use chislo::Gender;

use self::grammar::{
    Case, THOUSAND, cardinal, compound, gender_of, governed, masculine, ordinal, plural_ordinal, told_by,
};
use self::units::{Unit, per, stop, unit};
use super::numbers::{self, digits, one_by_one};
use crate::engine::Language::Ru;

const SPACES: &[char] = &[' ', '\u{a0}', '\u{202f}'];
const DASHES: &[char] = &['-', '–', '—', '−'];

pub const MONTHS: [&str; 12] = [
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

/// Reads the number that `text` begins with: its words, and how many bytes of `text` they stand for. `before` is the word in front
/// of it, in small letters.
pub fn read(text: &str, before: &str) -> (String, usize) {
    date(text, before)
        .or_else(|| times(text, before))
        .or_else(|| days(text, before))
        .or_else(|| year(text, before))
        .or_else(|| with_ending(text, before))
        .or_else(|| range(text, before))
        .or_else(|| fraction(text, before))
        .or_else(|| dotted(text))
        .unwrap_or_else(|| amount(text, before))
}

/// `$100`: the sign is in front.
pub fn money(text: &str, before: &str) -> Option<(String, usize)> {
    let sign = text.chars().next()?;
    let body = text.get(sign.len_utf8()..)?;
    let (_, len) = numbers::thousands(body, Ru);
    let rest = body.get(len..)?;
    let cents =
        rest.strip_prefix(['.', ',']).map(digits).filter(|cents| !cents.is_empty()).map_or(0, |cents| 1 + cents.len());
    let scale =
        ["тыс", "млн", "млрд"].iter().any(|scale| rest.get(cents..).is_some_and(|rest| next_word(rest) == **scale));
    let number = body.get(..len + cents)?;
    let said = if scale { amount(number, before).0 } else { amount(&format!("{number} {sign}"), before).0 };
    Some((said, sign.len_utf8() + number.len()))
}

/// The case of a number by the word before it and the one after it.
fn case(before: &str, noun: &str) -> Case {
    told_by(noun).or_else(|| governed(before)).unwrap_or(Case::Nominative)
}

/// `22.11.2026`, `22.11`.
fn date(text: &str, before: &str) -> Option<(String, usize)> {
    let day = digits(text);
    let rest = text.get(day.len()..)?.strip_prefix('.')?;
    let month = digits(rest);
    let rest = rest.get(month.len()..)?;
    let d: i64 = day.parse().ok().filter(|d| (1..=31).contains(d) && day.len() <= 2)?;
    let name = MONTHS.get(month.parse::<usize>().ok().filter(|_| month.len() == 2)?.checked_sub(1)?)?;
    let said = format!("{} {name}", day_in(d, before));
    let len = day.len() + 1 + month.len();
    let year = rest.strip_prefix('.').map(digits).filter(|year| matches!(year.len(), 2 | 4));
    match year.and_then(|year| Some((year, year.parse::<i64>().ok()?))) {
        Some((written, year)) => {
            let year = if written.len() == 2 { 2_000 + year } else { year };
            let said = format!("{said} {} года", ordinal(year, Gender::Masculine, Case::Genitive));
            let taken = len + 1 + written.len();
            let word = text.get(taken..).unwrap_or_default();
            let spaced = word.trim_start_matches(SPACES);
            let noun = ["года", "г"].into_iter().find(|noun| next_word(word) == **noun).unwrap_or_default();
            let dot = if noun == "г" { usize::from(spaced.strip_prefix("г.").is_some()) } else { 0 };
            let more = if noun.is_empty() { 0 } else { word.len() - spaced.len() + noun.len() + dot };
            Some((said, taken + more))
        }
        // Two digits and two: a day and a month, unless it is something's size.
        None if day.len() == 2
            && digits(rest).is_empty()
            && rest.strip_prefix('.').is_none_or(|rest| digits(rest).is_empty()) =>
        {
            let is_amount = unit(rest.trim_start_matches(SPACES)).is_some();
            (!is_amount).then_some((said, len))
        }
        None => None,
    }
}

/// A day of a month: «двадцать второго», which says when, unless a preposition or «сегодня» asks for another case.
fn day_in(day: i64, before: &str) -> String {
    let case = match before {
        "сегодня" | "завтра" | "вчера" | "послезавтра" | "это" => Case::Nominative,
        _ => governed(before).unwrap_or(Case::Genitive),
    };
    ordinal(day, Gender::Neuter, case)
}

/// `9:00`, `18:30`, `9:00–18:00`, and `9.30` after a preposition.
fn times(text: &str, before: &str) -> Option<(String, usize)> {
    let (first, len) = clock(text, before)?;
    let rest = text.get(len..)?;
    let second = rest.trim_start_matches(SPACES);
    let second = second.strip_prefix(DASHES).map(|rest| rest.trim_start_matches(SPACES));
    if let Some((second, (to, taken))) = second.and_then(|second| Some((second, clock(second, "")?))) {
        let from = time(first, Case::Genitive);
        let preposition = if matches!(before, "с" | "со") { "" } else { "с " };
        return Some((
            format!("{preposition}{from} до {}", time(to, Case::Genitive)),
            text.len() - second.len() + taken,
        ));
    }
    Some((time(first, case(before, "")), len))
}

fn clock(text: &str, before: &str) -> Option<((i64, i64), usize)> {
    let hour = digits(text);
    let rest = text.get(hour.len()..)?;
    let rest = match rest.strip_prefix(':') {
        Some(rest) => rest,
        None if matches!(before, "в" | "с" | "до" | "к" | "после" | "около") => {
            rest.strip_prefix('.')?
        }
        None => return None,
    };
    let minute = digits(rest);
    let (h, m): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let after = rest.get(minute.len()..)?;
    let is_time = hour.len() <= 2 && minute.len() == 2 && h <= 24 && m <= 59 && !after.starts_with(':');
    is_time.then_some(((h, m), hour.len() + 1 + minute.len()))
}

fn time((hour, minute): (i64, i64), case: Case) -> String {
    let said = cardinal(hour, Gender::Masculine, case);
    match minute {
        0 => format!("{said} {}", masculine("час").after(hour, case)),
        1..=9 => format!("{said} ноль {}", cardinal(minute, Gender::Masculine, case)),
        _ => format!("{said} {}", cardinal(minute, Gender::Masculine, case)),
    }
}

/// `22 ноября`, `21 и 22 ноября`, `21–25 ноября`, `с 21 по 25 ноября`.
fn days(text: &str, before: &str) -> Option<(String, usize)> {
    let (day, len) = day_number(text)?;
    let rest = text.get(len..)?;
    if MONTHS.contains(&&*next_word(rest)) {
        return Some((day_in(day, before), len));
    }
    let spaced = rest.trim_start_matches(SPACES);
    if let Some(second) = spaced.strip_prefix(DASHES).map(|rest| rest.trim_start_matches(SPACES)) {
        let (last, taken) = day_number(second)?;
        let after = second.get(taken..)?;
        if !MONTHS.contains(&&*next_word(after)) {
            return None;
        }
        let (first, last) =
            (ordinal(day, Gender::Neuter, Case::Genitive), ordinal(last, Gender::Neuter, Case::Accusative));
        let preposition = if matches!(before, "с" | "со") { "" } else { "с " };
        return Some((format!("{preposition}{first} по {last}"), text.len() - after.len()));
    }
    // The month comes with the second day.
    let joined = ["и ", "или ", "по ", "до ", "на "].iter().find_map(|word| spaced.strip_prefix(word))?;
    let (_, taken) = day_number(joined)?;
    let month = joined.get(taken..).map(next_word)?;
    MONTHS.contains(&&*month).then(|| (day_in(day, before), len))
}

fn day_number(text: &str) -> Option<(i64, usize)> {
    let day = digits(text);
    let n = day.parse().ok().filter(|n| (1..=31).contains(n) && day.len() <= 2)?;
    Some((n, day.len()))
}

/// `2026 год`, `в 2026 г.`, and the year after a month.
fn year(text: &str, before: &str) -> Option<(String, usize)> {
    let written = digits(text);
    let n: i64 = written.parse().ok().filter(|n| (1_000..=2_100).contains(n))?;
    let rest = text.get(written.len()..)?;
    let noun = next_word(rest);
    let spaces = rest.len() - rest.trim_start_matches(SPACES).len();
    let is_short = noun == "г" && (rest.trim_start_matches(SPACES).starts_with("г.") || MONTHS.contains(&before));
    let (case, said) = match (&*noun, before) {
        ("год", _) => (Case::Nominative, "год"),
        ("года", _) => (Case::Genitive, "года"),
        ("году", "к" | "ко" | "по") => (Case::Dative, "году"),
        ("году", _) => (Case::Prepositional, "году"),
        ("годом", _) => (Case::Instrumental, "годом"),
        (_, month) if MONTHS.contains(&month) => (Case::Genitive, "года"),
        ("г", "в" | "во") if is_short => (Case::Prepositional, "году"),
        ("г", "с" | "до" | "от" | "после" | "около") if is_short => (Case::Genitive, "года"),
        ("г", "к") if is_short => (Case::Dative, "году"),
        ("г", _) if is_short => (Case::Nominative, "год"),
        _ => return None,
    };
    let taken = match &*noun {
        "г" => {
            let after = rest.get(spaces + "г".len()..).unwrap_or_default();
            spaces + "г".len() + stop("г", after)
        }
        "год" | "года" | "году" | "годом" => spaces + noun.len(),
        _ => 0,
    };
    Some((format!("{} {said}", ordinal(n, Gender::Masculine, case)), written.len() + taken))
}

/// `1-го`, `3-й`, `5-ти`, `2-х`, `10-летний`.
fn with_ending(text: &str, before: &str) -> Option<(String, usize)> {
    let written = digits(text);
    let n: i64 = written.parse().ok().filter(|_| written.len() <= 9)?;
    let rest = text.get(written.len()..)?.strip_prefix('-')?;
    let ending: String = rest.chars().take_while(|c| c.is_alphanumeric()).take(30).collect();
    let small = ending.to_lowercase();
    if small.is_empty() || !small.chars().all(|c| ('а'..='я').contains(&c) || c == 'ё') {
        return None;
    }
    let noun = Some(next_word(rest.get(ending.len()..)?)).filter(|noun| noun.chars().count() > 2).unwrap_or_default();
    let of = |gender, case| Some(ordinal(n, gender, case));
    let governed = governed(before);
    let said = match &*small {
        "й" | "ый" | "ий" | "ой" => match governed {
            Some(case @ (Case::Genitive | Case::Dative | Case::Instrumental | Case::Prepositional)) => {
                of(Gender::Feminine, case)
            }
            Some(_) if noun.ends_with(['е', 'и']) => of(Gender::Feminine, Case::Prepositional),
            _ if noun.ends_with(['ы', 'и']) => of(Gender::Feminine, Case::Genitive),
            _ => of(Gender::Masculine, Case::Nominative),
        },
        "я" | "ая" | "ья" => of(Gender::Feminine, Case::Nominative),
        "е" | "ые" if noun.starts_with("год") => Some(plural_ordinal(n, Case::Nominative)),
        "е" | "ое" | "ье" => of(Gender::Neuter, Case::Nominative),
        "ую" | "ью" => of(Gender::Feminine, Case::Accusative),
        "го" | "ого" | "его" => of(Gender::Masculine, Case::Genitive),
        "му" | "ому" | "ему" => of(Gender::Masculine, Case::Dative),
        "ом" | "ем" => of(Gender::Masculine, Case::Prepositional),
        "м" if matches!(before, "в" | "во" | "на" | "о" | "об" | "при") => {
            of(Gender::Masculine, Case::Prepositional)
        }
        "м" | "ым" | "им" => of(Gender::Masculine, Case::Instrumental),
        "ей" => of(Gender::Feminine, governed.unwrap_or(Case::Genitive)),
        "х" | "ух" | "ёх" | "ех" if (2..=4).contains(&(n % 10)) => {
            Some(cardinal(n, Gender::Masculine, Case::Genitive))
        }
        "х" | "ых" => Some(plural_ordinal(n, Case::Genitive)),
        "ти" | "и" | "та" => Some(cardinal(n, Gender::Masculine, Case::Genitive)),
        "ю" if noun.is_empty() => Some(cardinal(n, Gender::Masculine, Case::Instrumental)),
        "ю" => of(Gender::Feminine, Case::Accusative),
        "мя" | "ми" => Some(cardinal(n, Gender::Masculine, Case::Instrumental)),
        _ if small.chars().count() >= 4 => Some(format!("{}{small}", compound(n))),
        _ => None,
    }?;
    Some((said, written.len() + 1 + ending.len()))
}

/// `5-7 дней`, `100–200 ₽`.
fn range(text: &str, before: &str) -> Option<(String, usize)> {
    let (first, len) = whole(text)?;
    let rest = text.get(len..)?;
    let spaced = rest.trim_start_matches(SPACES);
    let second = spaced.strip_prefix(DASHES)?;
    let after = second.trim_start_matches(SPACES);
    // «5 -7» is no range, and neither is the hyphen in front of a word.
    if (spaced.len() == rest.len()) != (after.len() == second.len()) {
        return None;
    }
    let (last, taken) = whole(after)?;
    let tail = after.get(taken..)?;
    if last <= first || tail.starts_with(['-', '.', ':', '/']) {
        return None;
    }
    let (counted, more) = counted(tail, last);
    let asked = case(before, &next_word(tail));
    let is_number = matches!(before, "дом" | "дома" | "доме" | "квартира" | "номер" | "кабинет" | "офис" | "корпус");
    let said = if is_number || asked != Case::Nominative || last <= 20 {
        // «Две-три недели»: what stands there goes with both.
        let gender = counted.gender(2, &next_word(tail), asked);
        format!("{}-{}{}", cardinal(first, gender, asked), cardinal(last, gender, asked), counted.after(last, asked))
    } else {
        let (from, to) =
            (cardinal(first, Gender::Masculine, Case::Genitive), cardinal(last, Gender::Masculine, Case::Genitive));
        format!("от {from} до {to}{}", counted.after(last, Case::Genitive))
    };
    Some((said, text.len() - tail.len() + more))
}

/// `1/2`, `5/2` of a house.
fn fraction(text: &str, before: &str) -> Option<(String, usize)> {
    let above = digits(text);
    let below = digits(text.get(above.len()..)?.strip_prefix('/')?);
    let (n, of): (i64, i64) = (above.parse().ok()?, below.parse().ok()?);
    let len = above.len() + 1 + below.len();
    if (n, of) == (24, 7) {
        return Some(("двадцать четыре на семь".into(), len));
    }
    let is_house = before.starts_with("дом") || before.starts_with("корпус") || before.starts_with("строени");
    let said = match (n, of) {
        (1, 2) if !is_house => "половина".to_owned(),
        (1, 3) if !is_house => "треть".to_owned(),
        (1, 4) if !is_house => "четверть".to_owned(),
        _ if !is_house && n < of && of <= 20 => {
            let parts = if n == 1 {
                ordinal(of, Gender::Feminine, Case::Nominative)
            } else {
                plural_ordinal(of, Case::Genitive)
            };
            format!("{} {parts}", cardinal(n, Gender::Feminine, Case::Nominative))
        }
        _ => format!("{} дробь {}", spoken(above), spoken(below)),
    };
    Some((said, len))
}

/// `2.0.1`.
fn dotted(text: &str) -> Option<(String, usize)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let parts: Vec<&str> = text.get(..end)?.trim_end_matches('.').split('.').collect();
    let is_dotted = parts.len() >= 3 && parts.iter().all(|part| !part.is_empty());
    let said = || parts.iter().map(|part| spoken(part)).collect::<Vec<_>>().join(" точка ");
    is_dotted.then(|| (said(), parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1))
}

fn spoken(written: &str) -> String {
    match written.parse() {
        Ok(n) if written.len() <= 15 && (written.len() == 1 || !written.starts_with('0')) => {
            cardinal(n, Gender::Masculine, Case::Nominative)
        }
        _ => one_by_one(written, Ru),
    }
}

/// What a number counts.
enum Counted {
    Unit(Unit),
    /// Thousands or millions, of a unit.
    Scale(grammar::Noun, Option<Unit>),
    /// A word that stands there as it is, or nothing.
    Word,
}

impl Counted {
    fn gender(&self, n: i64, noun: &str, case: Case) -> Gender {
        match self {
            Counted::Unit(unit) => unit.noun.gender,
            Counted::Scale(scale, _) => scale.gender,
            Counted::Word => gender_of(noun, n, case),
        }
    }

    /// What follows the number, with a space in front.
    fn after(&self, n: i64, case: Case) -> String {
        match self {
            Counted::Unit(unit) => format!(" {}", unit.after(n, case)),
            Counted::Scale(scale, unit) => format!(" {}{}", scale.after(n, case), of(unit)),
            Counted::Word => String::new(),
        }
    }

    fn after_fraction(&self) -> String {
        match self {
            Counted::Unit(unit) => format!(" {}", unit.after_fraction()),
            Counted::Scale(scale, unit) => format!(" {}{}", scale.singular(Case::Genitive), of(unit)),
            Counted::Word => String::new(),
        }
    }
}

/// So many of a unit that they are counted in thousands.
fn of(unit: &Option<Unit>) -> String {
    unit.map_or(String::new(), |unit| format!(" {}", unit.after(5, Case::Genitive)))
}

/// What is counted at the beginning of `rest`, and its bytes.
fn counted(rest: &str, n: i64) -> (Counted, usize) {
    let spaced = rest.trim_start_matches(SPACES);
    let space = rest.len() - spaced.len();
    const SCALES: [(&str, grammar::Noun); 3] =
        [("тыс", THOUSAND), ("млн", masculine("миллион")), ("млрд", masculine("миллиард"))];
    for (written, scale) in SCALES {
        let Some(after) = spaced.strip_prefix(written).filter(|after| !after.starts_with(char::is_alphabetic)) else {
            continue;
        };
        let taken = written.len() + stop(written, after);
        let after = spaced.get(taken..).unwrap_or_default();
        let further = after.trim_start_matches(SPACES);
        let found = unit(further);
        let more = found.map_or(0, |(_, len)| after.len() - further.len() + len);
        return (Counted::Scale(scale, found.map(|(unit, _)| unit)), space + taken + more);
    }
    match unit(spaced) {
        // A street's number is not in grams.
        Some((unit, len)) if space == 0 || !spaced.starts_with("г.") || n < 2_100 => {
            (Counted::Unit(unit), space + len)
        }
        _ => (Counted::Word, 0),
    }
}

/// A whole number of at most 15 digits, `1 500` too, and its bytes.
fn whole(text: &str) -> Option<(i64, usize)> {
    let (all, len) = numbers::thousands(text, Ru);
    let n = all.parse().ok().filter(|_| all.len() <= 15 && (all.len() == 1 || !all.starts_with('0')))?;
    Some((n, len))
}

/// `02 коп.`
fn hundredths(text: &str) -> Option<(i64, usize)> {
    let written = digits(text);
    let (unit, _) = unit(text.get(written.len()..)?.trim_start_matches(SPACES))?;
    (written.len() == 2 && unit.noun.is(&grammar::Noun::KOPECK)).then(|| Some((written.parse().ok()?, 2)))?
}

/// A number with what it counts: `1 500 руб.`, `2,5 часа`, `36,6 °C`, `3 специалистов`.
fn amount(text: &str, before: &str) -> (String, usize) {
    let Some((n, len)) = whole(text).or_else(|| hundredths(text)) else {
        let all = digits(text);
        return (one_by_one(all, Ru), all.len());
    };
    let rest = text.get(len..).unwrap_or_default();
    let point = rest.strip_prefix([',', '.']).map(digits).filter(|fraction| (1..=6).contains(&fraction.len()));
    if let Some(written) = point {
        let rest = rest.get(1 + written.len()..).unwrap_or_default();
        let (counted, more) = counted(rest, n);
        let (price, taken) = per(rest.get(more..).unwrap_or_default()).unwrap_or_default();
        let said = with_fraction(n, written, &counted, before, &next_word(rest));
        return (joined(said, price), text.len() - rest.len() + more + taken);
    }
    let (counted, more) = counted(rest, n);
    let noun = if let Counted::Word = counted { next_word(rest) } else { String::new() };
    let case = case(before, &noun);
    let said = format!("{}{}", cardinal(n, counted.gender(n, &noun, case), case), counted.after(n, case));
    let (price, taken) = per(rest.get(more..).unwrap_or_default()).unwrap_or_default();
    // «5А» is a house.
    let letter = rest.chars().next().filter(|c| c.is_alphabetic() && more == 0);
    let alone = letter.filter(|c| !rest.get(c.len_utf8()..).unwrap_or_default().starts_with(char::is_alphanumeric));
    let alone = alone.and_then(|letter| Some((abbreviations::letter(letter)?, letter.len_utf8())));
    match alone {
        Some((name, bytes)) => (format!("{said} {name}"), len + bytes),
        None => (joined(said, price), len + more + taken),
    }
}

fn joined(said: String, price: &str) -> String {
    if price.is_empty() { said } else { format!("{said} {price}") }
}

fn with_fraction(n: i64, written: &str, counted: &Counted, before: &str, noun: &str) -> String {
    if let (Counted::Unit(unit), 2) = (counted, written.len())
        && let Some(hundredth) = unit.hundredth()
    {
        let case = case(before, "");
        let cents: i64 = written.parse().unwrap_or_default();
        let money = format!("{} {}", cardinal(n, unit.noun.gender, case), unit.after(n, case));
        return match cents {
            0 => money,
            _ => format!("{money} {} {}", cardinal(cents, hundredth.gender, case), hundredth.after(cents, case)),
        };
    }
    let case = case(before, noun);
    let is_half = written.trim_end_matches('0') == "5";
    match n {
        1 if is_half => {
            let gender = match counted {
                Counted::Word if noun.ends_with(['ы', 'и']) => Gender::Feminine,
                counted => counted.gender(5, noun, case),
            };
            let one_and_half = match (case, gender) {
                (Case::Nominative | Case::Accusative, Gender::Feminine) => "полторы",
                (Case::Nominative | Case::Accusative, _) => "полтора",
                _ => "полутора",
            };
            match case {
                Case::Nominative | Case::Accusative => format!("{one_and_half}{}", counted.after_fraction()),
                case => format!("{one_and_half}{}", counted.after(5, case)),
            }
        }
        2.. if is_half => {
            let gender = counted.gender(n, noun, case);
            format!("{} с половиной{}", cardinal(n, gender, case), counted.after(n, case))
        }
        _ => {
            let parts: i64 = written.parse().unwrap_or_default();
            let name = match written.len() {
                1 => "десят",
                2 => "сот",
                3 => "тысячн",
                _ => {
                    let said = written.chars().map(String::from).map(|digit| one_by_one(&digit, Ru));
                    let said: Vec<String> = said.collect();
                    return format!(
                        "{} и {}{}",
                        cardinal(n, Gender::Masculine, case),
                        said.join(" "),
                        counted.after_fraction()
                    );
                }
            };
            let ending = |n: i64| if n % 10 == 1 && n % 100 != 11 { "ая" } else { "ых" };
            let wholes = if n % 10 == 1 && n % 100 != 11 { "целая" } else { "целых" };
            format!(
                "{} {wholes} {} {name}{}{}",
                cardinal(n, Gender::Feminine, Case::Nominative),
                cardinal(parts, Gender::Feminine, Case::Nominative),
                ending(parts),
                counted.after_fraction(),
            )
        }
    }
}

/// The word that `text` goes on with after its spaces, in small letters.
pub fn next_word(text: &str) -> String {
    text.trim_start_matches(SPACES)
        .chars()
        .take_while(|c| c.is_alphabetic())
        .take(20)
        .flat_map(char::to_lowercase)
        .collect()
}
