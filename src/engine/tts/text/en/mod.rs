//! English: the rules in the order in which they are asked.

mod abbreviations;
mod dates;
mod money;
pub mod numbers;
mod times;
mod words;

use super::tokens::Rule;
use super::{phones, spelling};

/// The first that has something to say is believed.
pub const RULES: &[Rule] = &[
    spelling::english,
    phones::english,
    dates::numeric,
    dates::iso,
    times::range,
    times::clock,
    times::hour,
    dates::day_first,
    dates::month_first,
    dates::decade,
    dates::year,
    numbers::fraction,
    numbers::label,
    money::sign_first,
    money::unit,
    numbers::plain,
    abbreviations::read,
    words::roman,
    words::joined,
    words::sign,
];
