//! Russian: the rules in the order in which they are asked.

mod abbreviations;
mod amounts;
mod dates;
mod grammar;
pub mod latin;
mod names;
mod nouns;
mod numbers;
pub mod numerals;
mod times;
mod units;
mod words;

pub use self::names::value as roman_value;
use super::tokens::Rule;
use super::{phones, spelling};

/// The first that has something to say is believed.
pub const RULES: &[Rule] = &[
    spelling::russian,
    phones::russian,
    dates::numeric,
    dates::iso,
    times::dotted,
    times::range,
    times::clock,
    dates::days,
    dates::years,
    numbers::label_of_parts,
    numbers::fraction,
    numbers::with_ending,
    numbers::dimensions,
    numbers::label,
    numbers::numbered,
    numbers::code,
    units::sign_first,
    numbers::quantity,
    numbers::other,
    names::initials,
    names::roman,
    abbreviations::weekday,
    abbreviations::phrase,
    abbreviations::place,
    names::acronym,
    words::joined,
    words::sign,
];
