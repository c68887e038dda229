//! Shortened words: titles, streets, days of the week, "e.g.".

use crate::engine::tts::text::tokens::{Place, Reading, is_dash};

pub fn read(place: Place<'_>) -> Option<Reading> {
    let word = place.word(0)?;
    let dotted = place.glued_sign(1) == Some('.');
    if let Some(reading) = day(place).or_else(|| letters(place)) {
        return Some(reading);
    }
    let name_follows = place.capitalised(2) && place.word(2).is_some();
    // "St. Mary" is a saint, "Main St." a street.
    let after_name = place.capitalised_back() && place.word_back(1).is_some();
    let fixed = match word {
        "st" if dotted && name_follows && !after_name => "Saint",
        "st" if dotted || after_name => "Street",
        "dr" if dotted && after_name && !name_follows => "Drive",
        "dr" if dotted || name_follows => "Doctor",
        "mr" => "Mister",
        "mrs" => "Missis",
        "ms" if dotted || place.capitalised(1) => "Miss",
        "prof" if dotted => "Professor",
        "ave" => "Avenue",
        "blvd" => "Boulevard",
        "rd" if dotted || after_name => "Road",
        "ln" if dotted || after_name => "Lane",
        "hwy" => "Highway",
        "sq" if dotted => "Square",
        "apt" => "apartment",
        "ste" => "suite",
        "fl" if dotted => "floor",
        "bldg" => "building",
        "rm" if dotted => "room",
        "ext" => "extension",
        "tel" if dotted || place.sign(1) == Some(':') => "telephone",
        "no" if dotted && place.digits(2).is_some() => "number",
        "dept" => "department",
        "inc" if dotted => "Incorporated",
        "ltd" => "Limited",
        "co" if dotted => "Company",
        "corp" if dotted => "Corporation",
        "jr" => "Junior",
        "sr" if dotted => "Senior",
        "etc" => "et cetera",
        "vs" => "versus",
        "approx" => "approximately",
        "appt" => "appointment",
        "min" if dotted => "minutes",
        "max" if dotted => "maximum",
        "hrs" => "hours",
        _ => return None,
    };
    let taken = 1 + usize::from(dotted);
    let title = matches!(
        fixed,
        "Mister"
            | "Missis"
            | "Miss"
            | "Doctor"
            | "Professor"
            | "Saint"
            | "extension"
            | "number"
            | "apartment"
            | "suite"
            | "room"
            | "telephone"
    );
    if title { Reading::new(fixed, taken) } else { Reading::ending(fixed, taken, place) }
}

/// "e.g.", "i.e.", "U.S.", "p.m.": letters with full stops.
fn letters(place: Place<'_>) -> Option<Reading> {
    let mut said = Vec::new();
    let mut taken = 0;
    while taken < 10
        && let Some(letter) =
            place.word(taken).filter(|word| word.chars().count() == 1 && (taken == 0 || place.glued(taken)))
        && place.glued_sign(taken + 1) == Some('.')
    {
        said.push(letter);
        taken += 2;
    }
    let words = match said.concat().as_str() {
        "eg" => "for example".to_owned(),
        "ie" => "that is".to_owned(),
        _ if said.len() >= 2 => said.join(" ").to_uppercase(),
        // "J. Smith"
        _ if said.len() == 1 && place.capitalised(0) && place.capitalised(2) && place.word(0) != Some("i") => {
            said.join(" ").to_uppercase()
        }
        _ => return None,
    };
    // "A.B. Carter", "the U.S. office": what follows goes on, as far as one can tell.
    let ends = place.token(taken).is_none();
    if ends { Reading::ending(words, taken, place) } else { Reading::new(words, taken) }
}

/// "Mon–Fri", "Tue".
fn day(place: Place<'_>) -> Option<Reading> {
    let name = |ahead: usize| {
        let days = [
            ("mon", "Monday"),
            ("tue", "Tuesday"),
            ("tues", "Tuesday"),
            ("wed", "Wednesday"),
            ("thu", "Thursday"),
            ("thur", "Thursday"),
            ("thurs", "Thursday"),
            ("fri", "Friday"),
            ("sat", "Saturday"),
            ("sun", "Sunday"),
            ("monday", "Monday"),
            ("tuesday", "Tuesday"),
            ("wednesday", "Wednesday"),
            ("thursday", "Thursday"),
            ("friday", "Friday"),
            ("saturday", "Saturday"),
            ("sunday", "Sunday"),
        ];
        let word = place.word(ahead).filter(|_| place.capitalised(ahead))?;
        days.iter().find(|(short, _)| *short == word).map(|(_, name)| *name)
    };
    let first = name(0)?;
    let at = 1 + usize::from(place.glued_sign(1) == Some('.') && place.word(0).is_some_and(|word| word.len() < 6));
    // "Sat down", "Sun is out" are no days at the beginning of a sentence.
    let alone = matches!(place.word(0), Some("sat" | "sun" | "wed"))
        && at == 1
        && place.word(1).is_some_and(|word| word != "and" && word != "to");
    match name(at + 1).filter(|_| place.sign(at).is_some_and(is_dash)) {
        Some(last) => Reading::new(format!("{first} to {last}"), at + 2),
        None if alone => None,
        None => Reading::ending(first, at, place),
    }
}
