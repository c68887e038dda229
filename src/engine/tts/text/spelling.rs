//! E-mail addresses, web addresses and file names as one dictates them.

use super::numbers::one_by_one;
use super::translit::into_alphabet;
use crate::engine::Language;

/// How a web address may end.
const TOP: [&str; 22] = [
    "ru", "рф", "com", "org", "net", "su", "info", "io", "me", "uk", "de", "biz", "pro", "online", "site", "eu", "by",
    "kz", "ua", "dev", "app", "shop",
];
/// Longer ones are said only so far.
const MAX_BYTES: usize = 200;

/// Reads the address that `text` begins with: its words and bytes.
pub fn address(text: &str, language: Language) -> Option<(String, usize)> {
    let end =
        text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '«' | '»' | '"' | ',' | ';'));
    let token = text.get(..end.unwrap_or(text.len()))?.trim_end_matches(['.', '!', '?', ':', '\'', '*', '…']);
    if token.len() > MAX_BYTES || !is_address(token) {
        return None;
    }
    let bare = ["https://", "http://"].iter().find_map(|scheme| token.strip_prefix(scheme)).unwrap_or(token);
    Some((dictated(bare.trim_end_matches('/'), language), token.len()))
}

fn is_address(token: &str) -> bool {
    if token.starts_with("http://") || token.starts_with("https://") || token.starts_with("www.") {
        return token.len() > 8;
    }
    let is_host = |host: &str| {
        let labels: Vec<&str> = host.split('.').collect();
        let known = |label: &str| TOP.contains(&label.to_lowercase().as_str());
        let fits = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
        labels.len() >= 2 && labels.iter().all(fits) && labels.last().is_some_and(|label| known(label))
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    match token.split_once('@') {
        Some((name, host)) => !name.is_empty() && name.chars().all(is_name) && is_host(host),
        None => is_host(token.split_once('/').map_or(token, |(host, _)| host)),
    }
}

/// Word by word: «инфо собака ромашка точка ру».
fn dictated(address: &str, language: Language) -> String {
    let (mut words, mut run) = (Vec::new(), String::new());
    let end = |run: &mut String, words: &mut Vec<String>| {
        if !run.is_empty() {
            words.push(part(run, language));
            run.clear();
        }
    };
    for c in address.chars() {
        let joins = run.chars().next_back().is_none_or(|last| last.is_ascii_digit() == c.is_ascii_digit());
        if c.is_alphanumeric() && joins {
            run.push(c);
            continue;
        }
        end(&mut run, &mut words);
        match (c, language) {
            (c, _) if c.is_alphanumeric() => run.push(c),
            (c, Language::Ru) => words.extend(in_russian(c).map(str::to_owned)),
            (c, Language::En) => words.extend(in_english(c).map(str::to_owned)),
        }
    }
    end(&mut run, &mut words);
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn in_russian(c: char) -> Option<&'static str> {
    match c {
        '@' => Some("собака"),
        '.' => Some("точка"),
        '-' => Some("дефис"),
        '_' => Some("подчёркивание"),
        '/' => Some("слэш"),
        '+' => Some("плюс"),
        _ => None,
    }
}

fn in_english(c: char) -> Option<&'static str> {
    match c {
        '@' => Some("at"),
        '.' => Some("dot"),
        '-' => Some("dash"),
        '_' => Some("underscore"),
        '/' => Some("slash"),
        '+' => Some("plus"),
        _ => None,
    }
}

fn part(run: &str, language: Language) -> String {
    if run.starts_with(|c: char| c.is_ascii_digit()) {
        return one_by_one(run, language);
    }
    let lower = run.to_lowercase();
    match (language, lower.as_str()) {
        (Language::Ru, "www") => "три дабл ю".into(),
        (Language::En, "www") => "triple w".into(),
        (Language::Ru, "ru") => "ру".into(),
        (Language::Ru, "gmail") => "джимейл".into(),
        (Language::Ru, "mail") => "мэйл".into(),
        (Language::Ru, "yandex") => "яндекс".into(),
        (Language::Ru, "office") => "офис".into(),
        (Language::Ru, _) if is_speakable(&lower) || !lower.is_ascii() => into_alphabet(&lower, language),
        (Language::Ru, _) => into_alphabet(&lower.to_uppercase(), language),
        (Language::En, _) if is_speakable(&lower) || !lower.is_ascii() => into_alphabet(&lower, language),
        (Language::En, _) => lower.to_uppercase().chars().map(String::from).collect::<Vec<_>>().join(" "),
    }
}

/// Whether letters can be said as a word.
fn is_speakable(word: &str) -> bool {
    let is_vowel = |c: char| "aeiouyаеёиоуыэюя".contains(c);
    let mut run = 0;
    let mut longest = 0;
    for c in word.chars() {
        run = if is_vowel(c) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    word.chars().any(is_vowel) && longest <= 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    #[test]
    fn addresses_are_dictated() {
        for (language, text, expected, rest) in [
            (Ru, "info@romashka.ru, пишите", "инфо собака ромашка точка ру", ", пишите"),
            (Ru, "www.sds.ru.", "три дабл ю точка эс ди эс точка ру", "."),
            (Ru, "https://romashka.ru/zakaz/ ", "ромашка точка ру слэш заказ", " "),
            (Ru, "a.petrov-24@mail.ru", "а точка петров дефис два четыре собака мэйл точка ру", ""),
            (Ru, "ромашка.рф", "ромашка точка рф", ""),
            (En, "info@example.com!", "info at example dot com", "!"),
            (En, "www.bbc.org", "triple w dot B B C dot org", ""),
        ] {
            let (said, len) = address(text, language).unwrap();
            assert_eq!((said.as_str(), &text[len..]), (expected, rest));
        }
        for text in ["слово", "а.б", "5.5", "т.е.", "конец.Начало", "@имя", "a@b", "http://"] {
            assert_eq!(address(text, Ru), None, "{text}");
        }
    }
}
