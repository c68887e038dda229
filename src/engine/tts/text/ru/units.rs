//! What is counted in short: «руб.», «кг», «м²», «°C», «%».

use super::grammar::{Case, Noun, feminine, fixed, masculine, soft_masculine};

/// A noun with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// The stem of an adjective in front of it, «квадратн».
    adjective: Option<&'static str>,
    pub noun: Noun,
    /// What follows it, «Цельсия».
    tail: &'static str,
}

const fn plain(noun: Noun) -> Unit {
    Unit { adjective: None, noun, tail: "" }
}

pub const ROUBLE: Noun = soft_masculine("рубл");
const CENT: Noun = masculine("цент");
const GRAM: Noun = masculine("грамм");
const METRE: Noun = masculine("метр");
const SQUARE: Unit = Unit { adjective: Some("квадратн"), ..plain(METRE) };
const CUBIC: Unit = Unit { adjective: Some("кубическ"), ..plain(METRE) };
const CELSIUS: Unit = Unit { tail: " Цельсия", ..plain(masculine("градус")) };
const HOUR: Noun = masculine("час");
const MONTH: Noun = masculine("месяц").with_genitive_plural("ев");

/// As they are written, the longer first where one begins another. What ends in a letter must end there.
const UNITS: &[(&str, Unit)] = &[
    ("₽", plain(ROUBLE)),
    ("руб", plain(ROUBLE)),
    ("р", plain(ROUBLE)),
    ("RUB", plain(ROUBLE)),
    ("коп", plain(Noun::KOPECK)),
    ("$", plain(masculine("доллар"))),
    ("USD", plain(masculine("доллар"))),
    ("долл", plain(masculine("доллар"))),
    ("€", plain(fixed("евро"))),
    ("EUR", plain(fixed("евро"))),
    ("%", plain(masculine("процент"))),
    ("°C", CELSIUS),
    ("°С", CELSIUS),
    ("°", plain(masculine("градус"))),
    ("кг", plain(masculine("килограмм"))),
    ("мг", plain(masculine("миллиграмм"))),
    ("гр", plain(GRAM)),
    ("г", plain(GRAM)),
    ("км/ч", Unit { tail: " в час", ..plain(masculine("километр")) }),
    ("кв. км", Unit { adjective: Some("квадратн"), ..plain(masculine("километр")) }),
    ("кв. м", SQUARE),
    ("кв.м", SQUARE),
    ("м²", SQUARE),
    ("м2", SQUARE),
    ("куб. м", CUBIC),
    ("м³", CUBIC),
    ("м3", CUBIC),
    ("км", plain(masculine("километр"))),
    ("см", plain(masculine("сантиметр"))),
    ("мм", plain(masculine("миллиметр"))),
    ("мл", plain(masculine("миллилитр"))),
    ("мин", plain(feminine("минут"))),
    ("м", plain(METRE)),
    ("л", plain(masculine("литр"))),
    ("т", plain(feminine("тонн"))),
    ("га", plain(masculine("гектар"))),
    ("сек", plain(feminine("секунд"))),
    ("час", plain(HOUR)),
    ("ч", plain(HOUR)),
    ("мес", plain(MONTH)),
    ("нед", plain(feminine("недел").soft())),
    ("дн", plain(Noun::DAY)),
    ("шт", plain(feminine("штук").velar())),
    ("чел", plain(Noun::PERSON)),
    ("ГБ", plain(masculine("гигабайт").without_ending())),
    ("Гб", plain(masculine("гигабайт").without_ending())),
    ("МБ", plain(masculine("мегабайт").without_ending())),
    ("Мб", plain(masculine("мегабайт").without_ending())),
    ("кВт", plain(masculine("киловатт").without_ending())),
    ("Вт", plain(masculine("ватт").without_ending())),
    ("кГц", plain(masculine("килогерц").without_ending())),
    ("Гц", plain(masculine("герц").without_ending())),
];

/// What a price is of: «руб./мес.».
const PER: &[(&str, &str)] = &[
    ("час", "в час"),
    ("ч", "в час"),
    ("месяц", "в месяц"),
    ("мес", "в месяц"),
    ("неделю", "в неделю"),
    ("нед", "в неделю"),
    ("день", "в день"),
    ("сутки", "в сутки"),
    ("сут", "в сутки"),
    ("год", "в год"),
    ("минуту", "в минуту"),
    ("мин", "в минуту"),
    ("сек", "в секунду"),
    ("штуку", "за штуку"),
    ("шт", "за штуку"),
    ("кг", "за килограмм"),
    ("км", "за километр"),
    ("м²", "за квадратный метр"),
    ("м2", "за квадратный метр"),
    ("кв. м", "за квадратный метр"),
    ("м", "за метр"),
    ("л", "за литр"),
    ("т", "за тонну"),
    ("чел", "с человека"),
];

/// The unit that `text` begins with, and its bytes with the full stop of its shortness.
pub fn unit(text: &str) -> Option<(Unit, usize)> {
    let &(written, unit) = UNITS.iter().find(|(written, _)| begins(text, written))?;
    let after = text.get(written.len()..).unwrap_or_default();
    Some((unit, written.len() + stop(written, after)))
}

/// The bytes of a full stop that makes a word short and ends no sentence.
pub fn stop(written: &str, after: &str) -> usize {
    let is_short = written.ends_with(char::is_alphabetic);
    let goes_on = |rest: &str| !rest.trim_start().is_empty() && !rest.trim_start().starts_with(char::is_uppercase);
    usize::from(is_short && after.strip_prefix('.').is_some_and(goes_on))
}

/// «в месяц», if `text` begins with a slash and that, and its bytes.
pub fn per(text: &str) -> Option<(&'static str, usize)> {
    let rest = text.strip_prefix('/')?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let (written, said) = PER.iter().find(|(written, _)| begins(rest, written))?;
    let dot = usize::from(rest.get(written.len()..).is_some_and(|after| after.starts_with('.')));
    Some((said, text.len() - rest.len() + written.len() + dot))
}

fn begins(text: &str, written: &str) -> bool {
    text.strip_prefix(written).is_some_and(|after| {
        let ends_open = written.chars().next_back().is_some_and(char::is_alphanumeric);
        !ends_open || !after.starts_with(char::is_alphanumeric)
    })
}

impl Unit {
    /// As it stands after a whole number.
    pub fn after(&self, n: i64, case: Case) -> String {
        let noun = self.noun.after(n, case);
        let Some(stem) = self.adjective else { return format!("{noun}{}", self.tail) };
        let last = if (11..=14).contains(&(n % 100)) { 0 } else { n % 10 };
        let soft = stem.ends_with('к');
        let ending = match (last, case) {
            (1, Case::Nominative | Case::Accusative) => {
                if soft {
                    "ий"
                } else {
                    "ый"
                }
            }
            (1, Case::Genitive) => "ого",
            (1, Case::Dative) => "ому",
            (1, Case::Prepositional) => "ом",
            (1, Case::Instrumental) | (_, Case::Dative) => {
                if soft {
                    "им"
                } else {
                    "ым"
                }
            }
            (_, Case::Instrumental) => {
                if soft {
                    "ими"
                } else {
                    "ыми"
                }
            }
            (_, Case::Nominative | Case::Genitive | Case::Accusative | Case::Prepositional) => {
                if soft {
                    "их"
                } else {
                    "ых"
                }
            }
        };
        format!("{stem}{ending} {noun}{}", self.tail)
    }

    /// As it stands after a fraction: «полтора метра», «три целых пять десятых процента».
    pub fn after_fraction(&self) -> String {
        let noun = self.noun.singular(Case::Genitive);
        match self.adjective {
            Some(stem) => format!("{stem}ого {noun}{}", self.tail),
            None => format!("{noun}{}", self.tail),
        }
    }

    /// The hundredth part of money.
    pub fn hundredth(&self) -> Option<Noun> {
        match self.noun {
            noun if noun.is(&ROUBLE) => Some(Noun::KOPECK),
            noun if noun.is(&masculine("доллар")) || noun.is(&fixed("евро")) => Some(CENT),
            _ => None,
        }
    }
}
