//! Times of day: "nine thirty a m", "nine a m to five p m".

use super::numbers::cardinal;
use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

struct Time {
    hour: i64,
    minute: i64,
    half: Option<&'static str>,
    taken: usize,
}

/// `9:00`, `18:30`, `9:30 am`.
pub fn clock(place: Place<'_>) -> Option<Reading> {
    let time = written(place)?;
    Reading::ending(in_words(&time), time.taken, place)
}

/// `9am`, `9 p.m.`.
pub fn hour(place: Place<'_>) -> Option<Reading> {
    let time = full_hour(place).filter(|time| time.half.is_some())?;
    Reading::ending(in_words(&time), time.taken, place)
}

/// `9:00–18:00`, `9am-5pm`.
pub fn range(place: Place<'_>) -> Option<Reading> {
    let first = written(place).or_else(|| full_hour(place))?;
    let at = first.taken + 1;
    let last = written(place.skip(at)).or_else(|| full_hour(place.skip(at)))?;
    let hours =
        first.minute + last.minute > 0 || place.joint(1) == Some(':') || last.half.is_some() || first.half.is_some();
    if !place.sign(first.taken).is_some_and(is_dash) || !hours {
        return None;
    }
    let link = if place.word_back(1) == Some("between") { "and" } else { "to" };
    let words = format!("{} {link} {}", in_words(&first), in_words(&last));
    Reading::ending(words, at + last.taken, place)
}

fn written(place: Place<'_>) -> Option<Time> {
    let (hour, minute) = (place.value(0)?, place.value(2)?);
    let fits = place.joint(1) == Some(':')
        && place.digits(0)?.len() <= 2
        && place.digits(2)?.len() == 2
        && hour <= 24
        && minute <= 59
        && place.joint(3) != Some(':');
    let (half, len) = half(place.skip(3));
    fits.then_some(Time { hour, minute, half, taken: 3 + len })
}

fn full_hour(place: Place<'_>) -> Option<Time> {
    let hour = place.value(0).filter(|hour| (1..=12).contains(hour))?;
    let (half, len) = half(place.skip(1));
    Some(Time { hour, minute: 0, half, taken: 1 + len })
}

/// `am`, `p.m.`, and the tokens of it.
fn half(place: Place<'_>) -> (Option<&'static str>, usize) {
    match place.word(0) {
        Some("am") => (Some("a m"), 1),
        Some("pm") => (Some("p m"), 1),
        Some(letter @ ("a" | "p")) if place.glued_sign(1) == Some('.') && place.word(2) == Some("m") => {
            let len = 3 + usize::from(place.glued_sign(3) == Some('.'));
            (Some(if letter == "a" { "a m" } else { "p m" }), len)
        }
        _ => (None, 0),
    }
}

fn in_words(time: &Time) -> String {
    let afternoon = time.half.is_none() && (13..24).contains(&time.hour);
    let night = time.half.is_none() && time.hour % 24 == 0;
    let hour = cardinal(match time.hour {
        0 | 24 => 12,
        hour if afternoon => hour - 12,
        hour => hour,
    });
    let half = if afternoon { Some("p m") } else { time.half.or(night.then_some("a m")) };
    let clock = match time.minute {
        0 if half.is_some() => hour,
        0 => format!("{hour} o'clock"),
        1..=9 => format!("{hour} oh {}", cardinal(time.minute)),
        _ => format!("{hour} {}", cardinal(time.minute)),
    };
    half.map_or(clock.clone(), |half| format!("{clock} {half}"))
}
