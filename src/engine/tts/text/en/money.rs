//! Money and measures: "five dollars and fifty cents", "ten percent", "two hundred square feet".

use super::numbers::{Amount, amounts, cardinal, in_words};
use crate::engine::tts::text::tokens::{Place, Reading};

/// `$5`, `€5.50`, `$5–10`, `$1.5 million`, `$10k`.
pub fn sign_first(place: Place<'_>) -> Option<Reading> {
    let (one, many, cents) = currency(place.sign(0)?)?;
    let (first, last, taken) = amounts(place.skip(1))?;
    let at = taken + 1;
    if let Some((size, len)) = size(place.skip(at)) {
        return Reading::new(format!("{} {size} {many}", in_words(&first, last.as_ref())), at + len);
    }
    let words = match &last {
        // "A twenty pound deposit".
        None if matches!(place.word_back(1), Some("a" | "an")) && place.word(at).is_some() => {
            format!("{} {one}", first.in_words())
        }
        None => whole_and_cents(&first, one, many, cents),
        Some(_) => format!("{} {many}", in_words(&first, last.as_ref())),
    };
    Reading::new(words, at)
}

/// A number with what is written behind it: `10%`, `15 kg`, `5 min.`, `100 ₽`.
pub fn unit(place: Place<'_>) -> Option<Reading> {
    let minus =
        matches!(place.sign(0), Some('-' | '−')) && place.glued(1) && place.token(0).is_some_and(|token| token.spaced);
    let start = usize::from(minus);
    let (first, last, taken) = amounts(place.skip(start))?;
    let mut at = start + taken;
    let sign = if minus { "minus " } else { "" };
    let number = format!("{sign}{}", in_words(&first, last.as_ref()));
    if let Some((one, many, cents)) = place.sign(at).and_then(currency) {
        let words = if last.is_none() { whole_and_cents(&first, one, many, cents) } else { format!("{number} {many}") };
        return Reading::new(words, at + 1);
    }
    let single = last.is_none() && first.is_one();
    match place.sign(at) {
        Some('%') => return Reading::new(format!("{number} percent"), at + 1),
        Some('°' | 'º') => {
            let scale = match place.word(at + 1).filter(|_| place.glued(at + 1)) {
                Some("c") => " Celsius",
                Some("f") => " Fahrenheit",
                _ => "",
            };
            let degrees = if single { "degree" } else { "degrees" };
            return Reading::new(format!("{number} {degrees}{scale}"), at + 1 + usize::from(!scale.is_empty()));
        }
        _ => {}
    }
    let word = place.word(at)?;
    if word == "k" && place.glued(at) {
        return Reading::new(format!("{number} thousand"), at + 1);
    }
    let square = matches!(word, "sq");
    if square {
        at += 1 + usize::from(place.glued_sign(at + 1) == Some('.'));
    }
    let (one, many) = named(place.word(at)?, place.glued(at))?;
    at += 1;
    let power = match place.glued_sign(at) {
        Some('²') => "square ",
        Some('³') => "cubic ",
        _ => "",
    };
    let mut power = if square { "square " } else { power };
    at += usize::from(!square && !power.is_empty());
    if power.is_empty() && place.digits(at) == Some("2") && place.glued(at) {
        power = "square ";
        at += 1;
    }
    let mut words = format!("{number} {power}{}", if single { one } else { many });
    at += usize::from(place.glued_sign(at) == Some('.'));
    if place.sign(at) == Some('/') && matches!(place.word(at + 1), Some("h" | "hr" | "hour")) {
        words.push_str(" per hour");
        at += 2;
    }
    Reading::ending(words, at, place)
}

fn whole_and_cents(amount: &Amount, one: &str, many: &str, (cent, cents): (&str, &str)) -> String {
    let small: Option<i64> = (amount.fraction.len() == 2).then(|| amount.fraction.parse().ok()).flatten();
    let unit = |n: i64| if n == 1 { one } else { many }.to_owned();
    match small {
        Some(0) => format!("{} {}", cardinal(amount.whole), unit(amount.whole)),
        Some(n) => {
            let cents = format!("{} {}", cardinal(n), if n == 1 { cent } else { cents });
            match amount.whole {
                0 => cents,
                whole => format!("{} {} and {cents}", cardinal(whole), unit(whole)),
            }
        }
        None => format!("{} {}", amount.in_words(), if amount.is_one() { one } else { many }),
    }
}

type Currency = (&'static str, &'static str, (&'static str, &'static str));

fn currency(sign: char) -> Option<Currency> {
    Some(match sign {
        '$' => ("dollar", "dollars", ("cent", "cents")),
        '€' => ("euro", "euros", ("cent", "cents")),
        '£' => ("pound", "pounds", ("penny", "pence")),
        '₽' => ("ruble", "rubles", ("kopeck", "kopecks")),
        '¥' => ("yen", "yen", ("sen", "sen")),
        '¢' => ("cent", "cents", ("", "")),
        _ => return None,
    })
}

fn size(place: Place<'_>) -> Option<(&'static str, usize)> {
    Some(match place.word(0)? {
        "k" if place.glued(0) => ("thousand", 1),
        "m" if place.glued(0) => ("million", 1),
        "thousand" => ("thousand", 1),
        "million" => ("million", 1),
        "billion" | "bn" => ("billion", 1),
        _ => return None,
    })
}

fn named(word: &str, glued: bool) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "usd" => ("dollar", "dollars"),
        "eur" => ("euro", "euros"),
        "gbp" => ("pound", "pounds"),
        "rub" => ("ruble", "rubles"),
        "kg" => ("kilogram", "kilograms"),
        "g" if glued => ("gram", "grams"),
        "g" => ("gram", "grams"),
        "mg" => ("milligram", "milligrams"),
        "lb" | "lbs" => ("pound", "pounds"),
        "oz" => ("ounce", "ounces"),
        "km" => ("kilometer", "kilometers"),
        "m" => ("meter", "meters"),
        "cm" => ("centimeter", "centimeters"),
        "mm" => ("millimeter", "millimeters"),
        "ft" => ("foot", "feet"),
        "mi" => ("mile", "miles"),
        "yd" => ("yard", "yards"),
        "mph" => ("mile per hour", "miles per hour"),
        "l" => ("liter", "liters"),
        "ml" => ("milliliter", "milliliters"),
        "hr" | "hrs" => ("hour", "hours"),
        "min" | "mins" => ("minute", "minutes"),
        "sec" | "secs" => ("second", "seconds"),
        "gb" => ("gigabyte", "gigabytes"),
        "mb" => ("megabyte", "megabytes"),
        "kw" => ("kilowatt", "kilowatts"),
        "pcs" => ("piece", "pieces"),
        _ => return None,
    })
}
