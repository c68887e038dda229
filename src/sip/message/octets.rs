//! Header text as `str` without loss of a byte: what is no UTF-8 passes through to an answer as it came.
//!
//! RFC 3261 §7 has UTF-8, but telephones put names in the encoding of their country ([`super::charset`] reads them), and
//! a peer knows its From and Call-ID again by their bytes. A byte that is no UTF-8 stands as one of 128 characters of the
//! private use area, and so do the bytes of these characters themselves.

use std::borrow::Cow;

/// Stands for the byte 0x80; the others follow.
const FIRST: u32 = 0xEF80;

/// Any bytes as text.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !has_stand_ins(text)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        let mut buffer = [0; 4];
        for c in chunk.valid().chars() {
            match byte_of(c) {
                Some(_) => text.extend(c.encode_utf8(&mut buffer).bytes().map(stand_in)),
                None => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    Cow::Owned(text)
}

/// The bytes that a text had on the wire.
pub(super) fn octets(text: &str) -> Cow<'_, [u8]> {
    if !has_stand_ins(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

fn has_stand_ins(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(|c| byte_of(c).is_some())
}

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn byte_of(c: char) -> Option<u8> {
    let offset = u32::from(c).checked_sub(FIRST).filter(|offset| *offset < 0x80)?;
    u8::try_from(offset + 0x80).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"plain", "Иван \u{ef80}\u{efff}\u{f000}".as_bytes(), b"\xC8\xE2\xE0\xED \xEE\xBE"]
        {
            assert_eq!(&*octets(&decode(bytes)), bytes);
        }
        assert_eq!(decode("Иван".as_bytes()), "Иван");
        assert!(decode(b"\xC8\xE2\xE0\xED").chars().count() == 4);
    }
}
