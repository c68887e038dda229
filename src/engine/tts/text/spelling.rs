//! Addresses of the net, as one dictates them: the words in them read, the rest by its letters and signs.

use super::phones;
use super::ru::latin;
use super::tokens::{Kind, Place, Reading};
use super::translit;
use crate::engine::Language;

/// An address of more tokens is not looked at as one.
const MAX_TOKENS: usize = 64;

/// What may end a name without `www`.
const TOP_LEVEL: &[&str] = &[
    "ru",
    "рф",
    "su",
    "com",
    "net",
    "org",
    "info",
    "io",
    "me",
    "pro",
    "biz",
    "online",
    "shop",
    "club",
    "site",
    "store",
    "moscow",
    "москва",
    "uk",
    "us",
    "de",
    "fr",
    "by",
    "kz",
    "ua",
    "edu",
    "gov",
    "app",
    "dev",
    "ai",
    "co",
    "eu",
    "tv",
    "pdf",
    "doc",
    "docx",
    "xls",
    "xlsx",
    "jpg",
    "png",
    "txt",
    "zip",
];

pub fn russian(place: Place<'_>) -> Option<Reading> {
    read(place, Language::Ru)
}

pub fn english(place: Place<'_>) -> Option<Reading> {
    read(place, Language::En)
}

fn read(place: Place<'_>, language: Language) -> Option<Reading> {
    let starts = place.token(0).is_some_and(|token| token.kind != Kind::Sign);
    let handle = place.sign(0) == Some('@') && place.glued(1);
    if !(starts || handle) {
        return None;
    }
    let run: Vec<&str> =
        (0..place.run_len(MAX_TOKENS)).filter_map(|n| place.token(n)).map(|token| token.text).collect();
    let whole = run.concat();
    let address = whole.trim_end_matches(|c: char| !c.is_alphanumeric());
    if address.is_empty() {
        return None;
    }
    let said = if handle { (address.len() > 1).then_some(address) } else { dictated(address) }?;
    let mut taken = 0;
    let mut len = 0;
    for text in run {
        if len >= address.len() {
            break;
        }
        len += text.len();
        taken += 1;
    }
    if whole.get(address.len()..).is_some_and(|rest| rest.starts_with('/')) {
        taken += 1;
    }
    Reading::new(in_words(said, language), taken)
}

/// The part of an address that one would dictate; `None` if it is none.
fn dictated(address: &str) -> Option<&str> {
    let lower = address.to_lowercase();
    // Lower case may be of another length where the text is no address.
    if lower.len() != address.len() {
        return None;
    }
    let is_name = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    if let Some((user, host)) = address.split_once('@') {
        let user = user.strip_prefix("mailto:").unwrap_or(user);
        let whole = user.chars().all(is_name) && host.contains('.') && host.chars().all(is_name) && !user.is_empty();
        return whole.then(|| address.strip_prefix("mailto:").unwrap_or(address));
    }
    let scheme = ["https://", "http://", "ftp://"].iter().find(|scheme| lower.starts_with(**scheme));
    let body = address.get(scheme.map_or(0, |scheme| scheme.len())..)?;
    let body = body.split(['?', '#']).next()?.trim_end_matches('/');
    let host = body.split('/').next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let named = labels
        .iter()
        .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_'));
    let top = labels.last()?.to_lowercase();
    let known = labels.len() >= 2
        && TOP_LEVEL.contains(&top.as_str())
        && host.chars().any(char::is_alphabetic)
        && (top.is_ascii() == labels.first()?.is_ascii() || top.is_ascii());
    let internet = labels.first()?.eq_ignore_ascii_case("www") && labels.len() > 1;
    (named && (scheme.is_some() || known || internet)).then_some(body)
}

fn in_words(address: &str, language: Language) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut rest = address;
    while let Some(c) = rest.chars().next() {
        let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let len = if c.is_ascii_digit() {
            run(|c| c.is_ascii_digit())
        } else if c.is_alphabetic() {
            run(char::is_alphabetic)
        } else {
            c.len_utf8()
        };
        let (part, after) = rest.split_at(len);
        said.push(if c.is_ascii_digit() {
            phones::in_groups(part, language).join(" ")
        } else if c.is_alphabetic() {
            name(part, language)
        } else {
            sign(c, language).to_owned()
        });
        rest = after;
    }
    said.retain(|word| !word.is_empty());
    said.join(" ")
}

fn sign(c: char, language: Language) -> &'static str {
    let ru = language == Language::Ru;
    match c {
        '.' => {
            if ru {
                "точка"
            } else {
                "dot"
            }
        }
        '@' => {
            if ru {
                "собака"
            } else {
                "at"
            }
        }
        '-' => {
            if ru {
                "дефис"
            } else {
                "dash"
            }
        }
        '_' => {
            if ru {
                "нижнее подчёркивание"
            } else {
                "underscore"
            }
        }
        '/' => {
            if ru {
                "слэш"
            } else {
                "slash"
            }
        }
        ':' => {
            if ru {
                "двоеточие"
            } else {
                "colon"
            }
        }
        '+' => {
            if ru {
                "плюс"
            } else {
                "plus"
            }
        }
        _ => "",
    }
}

/// A name of an address: read if one can, else letter by letter.
fn name(part: &str, language: Language) -> String {
    let lower = part.to_lowercase();
    let known = match (language, lower.as_str()) {
        (Language::Ru, "www") => Some("три дабл ю"),
        (Language::En, "www") => Some("w w w"),
        (Language::Ru, "ru") => Some("ру"),
        (Language::Ru, "рф") => Some("эр эф"),
        (Language::Ru, "com") => Some("ком"),
        (Language::Ru, "io") => Some("ай о"),
        (Language::Ru, "me") => Some("ми"),
        (Language::Ru, "ya") => Some("я"),
        (Language::En, "io") => Some("i o"),
        (Language::En, "uk") => Some("u k"),
        (Language::En, "ru") => Some("r u"),
        (Language::Ru, word) => latin::known(word),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    if lower.chars().all(|c| c.is_ascii_lowercase()) && !is_readable(&lower) {
        return letters(&lower, language);
    }
    translit::into_alphabet(&lower, language)
}

/// Latin letters one by one.
pub fn letters(word: &str, language: Language) -> String {
    let names: Vec<String> = word
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| match language {
            Language::Ru => latin::letter(c).to_owned(),
            Language::En => c.to_string(),
        })
        .collect();
    names.join(" ")
}

/// Whether one can say it as a word: with vowels, and not too many consonants in a row.
pub fn is_readable(word: &str) -> bool {
    let is_vowel = |c: char| "aeiouy".contains(c.to_ascii_lowercase());
    let crowd = word.split(is_vowel).map(str::len).max().unwrap_or(0);
    word.len() > 1 && word.chars().any(is_vowel) && crowd <= 4
}
