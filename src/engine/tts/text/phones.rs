//! Telephone numbers and other strings of digits, by groups with pauses between them.

use super::tokens::{Place, Reading};
use super::{en, ru};
use crate::engine::Language;

pub fn russian(place: Place<'_>) -> Option<Reading> {
    let (written, taken, plus) = written(place, Language::Ru)?;
    let all = written.concat();
    let groups = match (all.len(), all.chars().next()) {
        (11, Some('7' | '8')) => cut(&all, &[1, 3, 3, 2, 2]),
        (10, _) => cut(&all, &[3, 3, 2, 2]),
        _ => written.iter().flat_map(|group| cut(group, plan(group.len(), Language::Ru))).collect(),
    };
    let said: Vec<String> = groups.iter().map(|group| group_in_words(group, Language::Ru)).collect();
    Reading::new(format!("{}{}", if plus { "плюс " } else { "" }, said.join(", ")), taken)
}

pub fn english(place: Place<'_>) -> Option<Reading> {
    let (written, taken, plus) = written(place, Language::En)?;
    let all = written.concat();
    let groups = match (written.len(), all.len()) {
        (1, 10) => cut(&all, &[3, 3, 4]),
        (1, _) => cut(&all, &[1, 3, 3, 4]),
        _ => written,
    };
    let said: Vec<String> = groups.iter().map(|group| group_in_words(group, Language::En)).collect();
    Reading::new(format!("{}{}", if plus { "plus " } else { "" }, said.join(", ")), taken)
}

/// A string of digits that is no amount, by groups: a code, a card, an order.
pub fn in_groups(digits: &str, language: Language) -> Vec<String> {
    cut(digits, plan(digits.len(), language)).iter().map(|group| group_in_words(group, language)).collect()
}

/// The lengths of the groups; what is left over is cut into pairs.
fn plan(len: usize, language: Language) -> &'static [usize] {
    match (language, len) {
        (_, 3) => &[3],
        (Language::Ru, 6) => &[3, 3],
        (Language::En, 1..=5) => &[5],
        (Language::En, len) if len % 3 == 1 => &[4, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        (Language::En, _) => &[3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        (Language::Ru, len) if len % 2 == 1 => &[3],
        _ => &[],
    }
}

/// The groups of digits of a telephone number, how many tokens they take, and whether a plus stands before them.
///
/// It has 10 to 15 digits, or is a local one, written 123-45-67, 12-34-56 or, in English, 555-0172.
fn written(place: Place<'_>, language: Language) -> Option<(Vec<String>, usize, bool)> {
    let plus = place.sign(0) == Some('+') && place.glued(1);
    let mut at = usize::from(plus);
    at += usize::from(place.sign(at) == Some('('));
    let mut groups = vec![place.digits(at)?.to_owned()];
    at += 1;
    let mut total = groups.first()?.len();
    let mut hyphens = 0;
    let mut best = is_number(&groups, plus, hyphens, language).then_some((groups.len(), at));
    while total < 15 {
        let mut next = at;
        while next - at < 3 && place.sign(next).is_some_and(|sign| matches!(sign, '-' | '‑' | '–' | '(' | ')')) {
            next += 1;
        }
        let Some(group) = place.digits(next) else { break };
        let full = total == 11 && groups.concat().starts_with(['7', '8']) && language == Language::Ru;
        // 18:30 and 22.11 behind a number are no part of it.
        let other = matches!(place.joint(next + 1), Some(':' | '.' | ',')) && place.digits(next + 2).is_some();
        if full || other || (next == at && !place.token(at).is_some_and(|token| token.spaced)) {
            break;
        }
        hyphens += usize::from((at..next).any(|n| place.sign(n).is_some_and(|sign| sign != '(' && sign != ')')));
        groups.push(group.to_owned());
        total += group.len();
        at = next + 1;
        if is_number(&groups, plus, hyphens, language) {
            best = Some((groups.len(), at));
        }
    }
    let (len, taken) = best?;
    groups.truncate(len);
    Some((groups, taken, plus))
}

fn is_number(groups: &[String], plus: bool, hyphens: usize, language: Language) -> bool {
    let lens: Vec<usize> = groups.iter().map(String::len).collect();
    let total: usize = lens.iter().sum();
    let first = groups.first().and_then(|group| group.chars().next()).unwrap_or('0');
    let thousands = groups.len() > 1 && hyphens == 0 && lens.iter().skip(1).all(|len| *len == 3) && !plus;
    let joined = hyphens + 1 == groups.len();
    match (language, lens.as_slice()) {
        _ if thousands || lens.contains(&4) && total == 16 => false,
        (Language::Ru, [3, 2, 2] | [2, 2, 2]) if joined => true,
        (Language::En, [3, 4]) if joined => true,
        (Language::Ru, [4, 2, 2]) => false,
        _ if plus => (10..=15).contains(&total),
        (Language::Ru, _) => total == 10 || (total == 11 && matches!(first, '7' | '8')),
        (Language::En, _) => total == 10 || (total == 11 && matches!(first, '0' | '1')),
    }
}

/// Cuts digits into groups of these lengths, and the rest into pairs.
fn cut(all: &str, lens: &[usize]) -> Vec<String> {
    let mut groups = Vec::new();
    let mut rest = all;
    for len in lens.iter().copied().chain(std::iter::repeat(2)) {
        let (group, after) = rest.split_at(len.min(rest.len()));
        if group.is_empty() {
            break;
        }
        groups.push(group.to_owned());
        rest = after;
    }
    groups
}

/// A group: «ноль пять», «девятьсот шестнадцать»; in English digit by digit.
fn group_in_words(group: &str, language: Language) -> String {
    match language {
        Language::En => en::numbers::digit_by_digit(group),
        Language::Ru => ru::numerals::with_zeros(group),
    }
}
