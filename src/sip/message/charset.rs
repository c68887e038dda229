//! Text in other character sets than UTF-8, which SIP is in (RFC 3261 §7): raw bytes of old telephone exchanges, and the
//! encoded words of mail (RFC 2047) that some put into display names.

use std::borrow::Cow;

use encoding_rs::{Encoding, KOI8_R, UTF_8, WINDOWS_1251, WINDOWS_1252};

use super::octets::octets;

/// The letters that make up most of any Russian text.
const FREQUENT: &str = "оеаинтсрвлкм";

/// What a display name says, whatever character set it is in. `raw` is a header field's text, of which no byte is lost.
pub(in crate::sip) fn display_text(raw: &str) -> String {
    decode_words(&text(&octets(raw)))
}

/// Bytes as text: UTF-8, or the likeliest of the character sets in which exchanges write Russian and Western names. No
/// byte is lost: each of the others becomes a character of its own.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let decode = |encoding: &'static Encoding| encoding.decode_without_bom_handling(bytes).0;
    // `max_by_key` takes the last of equals: Windows-1251 is the commonest.
    let guesses = [WINDOWS_1252, KOI8_R, WINDOWS_1251].map(decode);
    guesses.into_iter().max_by_key(|guess| likelihood(guess)).unwrap_or_default()
}

/// How much a text looks like words: letters beside letters of the same alphabet, capitals in front.
fn likelihood(text: &str) -> i32 {
    let is_cyrillic = |c: char| matches!(c, '\u{400}'..='\u{4FF}');
    let mut sum = 0;
    let mut before: Option<char> = None;
    for c in text.chars() {
        if !c.is_alphabetic() {
            // Signs and boxes that no name has.
            sum -= i32::from(!c.is_ascii());
            before = None;
            continue;
        }
        sum += i32::from(c.to_lowercase().all(|c| FREQUENT.contains(c)));
        if let Some(before) = before.replace(c) {
            let odd = is_cyrillic(before) != is_cyrillic(c) || (before.is_lowercase() && c.is_uppercase());
            sum += if odd { -2 } else { 1 };
        }
    }
    sum
}

/// Replaces the encoded words of RFC 2047 (`=?koi8-r?B?…?=`) by what they say. One that cannot be read stays.
fn decode_words(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    // Characters may be split between words of one character set, so words are joined as bytes.
    let mut word: Option<(&'static Encoding, Vec<u8>)> = None;
    let mut rest = text;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        let found = encoded_word(tail);
        // RFC 2047 §6.2: white space between two encoded words is none.
        if found.is_none() || word.is_none() || !before.trim().is_empty() {
            finish_word(&mut decoded, word.take());
            decoded.push_str(before);
        }
        match found {
            Some((encoding, mut bytes, length)) => {
                word = match word.take() {
                    Some((same, mut joined)) if same == encoding => {
                        joined.append(&mut bytes);
                        Some((same, joined))
                    }
                    other => {
                        finish_word(&mut decoded, other);
                        Some((encoding, bytes))
                    }
                };
                rest = tail.get(length..).unwrap_or("");
            }
            None => {
                decoded.push_str("=?");
                rest = tail.get(2..).unwrap_or("");
            }
        }
    }
    finish_word(&mut decoded, word);
    decoded.push_str(rest);
    decoded
}

fn finish_word(decoded: &mut String, word: Option<(&'static Encoding, Vec<u8>)>) {
    if let Some((encoding, bytes)) = word {
        // What says UTF-8 and is not is guessed like raw bytes.
        if encoding == UTF_8 {
            decoded.push_str(&text(&bytes));
        } else {
            decoded.push_str(&encoding.decode_without_bom_handling(&bytes).0);
        }
    }
}

/// The encoded word at the beginning of `text`: character set, bytes and its length in `text`.
fn encoded_word(text: &str) -> Option<(&'static Encoding, Vec<u8>, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, coding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let data = rest.get(..rest.find("?=")?)?;
    // RFC 2231 §5: a language may follow.
    let charset = charset.split('*').next().unwrap_or(charset);
    let bytes = match coding {
        "B" | "b" => base64(data)?,
        "Q" | "q" => quoted(data)?,
        _ => return None,
    };
    let length = "=?".len() + text.get(2..)?.len() - rest.len() + data.len() + "?=".len();
    Some((Encoding::for_label(charset.as_bytes())?, bytes, length))
}

/// RFC 4648 §4, with or without the padding.
fn base64(data: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(data.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in data.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(bytes)
}

/// RFC 2047 §4.2
fn quoted(data: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(data.len());
    let mut rest = data.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_read_in_the_likeliest_character_set() {
        for name in ["Иван Петров", "ИВАНОВ СЕРГЕЙ", "ООО «Ромашка»", "Мария", "Стоматология Улыбка"]
        {
            for encoding in [WINDOWS_1251, KOI8_R] {
                let (bytes, _, lossy) = encoding.encode(name);
                if !lossy {
                    assert_eq!(text(&bytes), name, "in {}", encoding.name());
                }
            }
            assert_eq!(text(name.as_bytes()), name);
        }
        for name in ["Müller", "René Dupont", "Jürgen Schäfer"] {
            assert_eq!(text(&WINDOWS_1252.encode(name).0), name);
        }
    }

    #[test]
    fn encoded_words_are_read() {
        for (word, expected) in [
            ("=?UTF-8?B?0JjQstCw0L0=?=", "Иван"),
            ("=?utf-8?b?0JjQstCw0L0?=", "Иван"),
            ("=?UTF-8?Q?=D0=98=D0=B2=D0=B0=D0=BD_P.?=", "Иван P."),
            ("=?koi8-r?B?6dfBzg==?=", "Иван"),
            ("=?windows-1251?Q?=C8=E2=E0=ED?=", "Иван"),
            ("=?windows-1251*ru?Q?=C8=E2=E0=ED?=", "Иван"),
            ("=?UTF-8?B?0JjQsg==?= =?UTF-8?B?0LDQvQ==?=", "Иван"),
            // The character in the middle is split.
            ("=?UTF-8?B?0JjQstA=?=  =?UTF-8?B?sNC9?=", "Иван"),
            ("=?koi8-r?B?6dfBzg==?= =?utf-8?B?0JjQstCw0L0=?=", "ИванИван"),
            ("Call from =?koi8-r?B?6dfBzg==?= (office)", "Call from Иван (office)"),
            // What says UTF-8 and is Windows-1251.
            ("=?UTF-8?Q?=C8=E2=E0=ED?=", "Иван"),
        ] {
            assert_eq!(decode_words(word), expected, "{word}");
        }
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for word in
            ["", "=?", "a =? b ?= c", "=?x-none?Q?a?=", "=?utf-8?Z?a?=", "=?utf-8?B?*?=", "=?utf-8?Q?=4?=", "1=?2"]
        {
            assert_eq!(decode_words(word), word);
        }
    }
}
