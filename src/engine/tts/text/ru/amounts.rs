//! An amount as it is written, and in words: whole, with a fraction, a half, a range.

use chislo::Gender;

use super::grammar::{Case, Count, Governed};
use super::numerals::{cardinal, digit_by_digit};
use crate::engine::tts::text::tokens::{Place, is_dash};

#[derive(Debug, Clone)]
pub struct Amount {
    pub whole: i64,
    /// The digits behind the comma.
    pub fraction: String,
    /// How many tokens it takes.
    pub taken: usize,
}

impl Amount {
    /// The amount written here: `1 500`, `1,5`, `2½`; with a point only if `pointed`.
    pub fn read(place: Place<'_>, pointed: bool) -> Option<Self> {
        if let Some(fraction) = place.sign(0).and_then(half) {
            return Some(Self { whole: 0, fraction: fraction.to_owned(), taken: 1 });
        }
        let (digits, mut taken) = whole(place)?;
        if digits.len() > 15 || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        let whole = digits.parse().ok()?;
        let mut fraction = String::new();
        let sign = place.glued_sign(taken);
        let is_point = sign == Some(',') || (pointed && sign == Some('.'));
        if is_point
            && place.glued(taken + 1)
            && let Some(digits) = place.digits(taken + 1)
        {
            // 1,2,3 is a list.
            let more = matches!(place.joint(taken + 2), Some(',' | '.')) && place.digits(taken + 3).is_some();
            if more || digits.len() > 9 {
                return None;
            }
            fraction = digits.to_owned();
            taken += 2;
        } else if let Some(half) = sign.and_then(half) {
            fraction = half.to_owned();
            taken += 1;
        }
        Some(Self { whole, fraction, taken })
    }

    /// What the noun behind it agrees with; `None` if it is in the genitive of the singular, as after any fraction.
    pub fn count(&self) -> Option<Count> {
        match self.fraction.trim_end_matches('0') {
            "" => Some(Count::of(self.whole)),
            "5" if self.whole == 1 => Some(Count::Few),
            "5" if self.whole > 1 => Some(Count::of(self.whole)),
            _ => None,
        }
    }

    pub fn is_whole(&self) -> bool {
        self.fraction.is_empty()
    }

    pub fn in_words(&self, case: Case, gender: Gender) -> String {
        let fraction = self.fraction.trim_end_matches('0');
        let direct = matches!(case, Case::Nominative | Case::Accusative);
        match (self.whole, fraction) {
            (n, "") => cardinal(n, case, gender),
            (1, "5") if !direct => "полутора".to_owned(),
            (1, "5") if gender == Gender::Feminine => "полторы".to_owned(),
            (1, "5") => "полтора".to_owned(),
            (n, "5") if n > 1 => format!("{} с половиной", cardinal(n, case, gender)),
            (n, fraction) => {
                let parts = match fraction.len() {
                    1 => ("десятая", "десятых"),
                    2 => ("сотая", "сотых"),
                    3 => ("тысячная", "тысячных"),
                    _ => return format!("{} и {}", cardinal(n, case, gender), digit_by_digit(fraction)),
                };
                let many: i64 = fraction.parse().unwrap_or_default();
                let agree = |n, (one, other): (&'static str, &'static str)| match (Count::of(n), case) {
                    (Count::One, Case::Nominative) => one.to_owned(),
                    (Count::One, Case::Accusative) => format!("{}ую", one.trim_end_matches("ая")),
                    (Count::One, _) => format!("{}ой", one.trim_end_matches("ая")),
                    (_, Case::Dative) => format!("{}м", other.trim_end_matches('х')),
                    (_, Case::Instrumental) => format!("{}ми", other.trim_end_matches('х')),
                    _ => other.to_owned(),
                };
                let wholes = agree(n, ("целая", "целых"));
                let (n, fraction) = (cardinal(n, case, Gender::Feminine), cardinal(many, case, Gender::Feminine));
                format!("{n} {wholes} {fraction} {}", agree(many, parts))
            }
        }
    }
}

/// The digits of `1500`, `1 500` and `1'500`, and the tokens they take.
fn whole(place: Place<'_>) -> Option<(String, usize)> {
    let mut digits = place.digits(0)?.to_owned();
    let mut taken = 1;
    while digits.len() <= 12 && (taken > 1 || digits.len() <= 3) && !digits.starts_with('0') {
        let Some(group) = place.digits(taken).filter(|group| group.len() == 3) else { break };
        // 2 100-рублёвые are two of them, and so is what goes on as a telephone number.
        let joined = place.joint(taken + 1).is_some_and(is_dash);
        if joined && (place.digits(taken + 2).is_some_and(|next| next.len() == 2) || place.word(taken + 2).is_some()) {
            break;
        }
        digits.push_str(group);
        taken += 1;
    }
    Some((digits, taken))
}

fn half(sign: char) -> Option<&'static str> {
    match sign {
        '½' => Some("5"),
        '¼' => Some("25"),
        '¾' => Some("75"),
        _ => None,
    }
}

/// One amount, or two with a dash between them.
#[derive(Debug, Clone)]
pub struct Amounts {
    pub first: Amount,
    pub last: Option<Amount>,
    pub minus: bool,
    pub taken: usize,
}

impl Amounts {
    pub fn read(place: Place<'_>) -> Option<Self> {
        Self::read_with(place, false)
    }

    /// With a point for a comma: where a unit follows, it is no date and no time.
    pub fn read_with(place: Place<'_>, pointed: bool) -> Option<Self> {
        let minus = place.sign(0).is_some_and(|sign| matches!(sign, '-' | '−' | '–'))
            && place.glued(1)
            && (place.token(0).is_some_and(|token| token.spaced) || place.back(1).is_none());
        let at = usize::from(minus);
        let first = Amount::read(place.skip(at), pointed)?;
        let mut taken = at + first.taken;
        let mut last = None;
        if place.sign(taken).is_some_and(is_dash)
            && place.glued(taken) == place.glued(taken + 1)
            && let Some(second) = Amount::read(place.skip(taken + 1), pointed)
            && (second.whole > first.whole || (second.whole == first.whole && !second.is_whole()))
        {
            taken += 1 + second.taken;
            last = Some(second);
        }
        Some(Self { first, last, minus, taken })
    }

    /// The amount that the noun agrees with.
    pub fn noun_amount(&self) -> &Amount {
        self.last.as_ref().unwrap_or(&self.first)
    }

    /// The case of the noun behind: a range that nothing governs is «от … до …».
    pub fn case(&self, case: Case, governed: Governed) -> Case {
        if self.is_spread(governed) { Case::Genitive } else { case }
    }

    pub fn in_words(&self, case: Case, gender: Gender, governed: Governed) -> String {
        let minus = if self.minus { "минус " } else { "" };
        let Some(last) = &self.last else {
            return format!("{minus}{}", self.first.in_words(case, gender));
        };
        if self.is_spread(governed) {
            let (first, last) = (&self.first, last);
            let genitive = |amount: &Amount| amount.in_words(Case::Genitive, gender);
            return format!("от {minus}{} до {}", genitive(first), genitive(last));
        }
        // «Одна-две минуты», but «один-два дня».
        let (first, last) = (self.first.in_words(case, gender), last.in_words(case, gender));
        let joint = if first.contains(' ') || last.contains(' ') { ", " } else { "-" };
        format!("{minus}{first}{joint}{last}")
    }

    fn is_spread(&self, governed: Governed) -> bool {
        let Some(last) = &self.last else { return false };
        let next = last.whole == self.first.whole + 1 && last.whole <= 10 && self.first.is_whole() && last.is_whole();
        !governed.firmly && !next
    }
}
