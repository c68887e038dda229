//! The hash that proves the password without telling it (RFC 7616 §3.4, RFC 2069 §2.1.2): one formula for both sides.

use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

use super::Hash;

/// What is hashed. Texts are as they stand between their quotes.
pub(super) struct Proof<'a> {
    pub hash: Hash,
    pub username: &'a str,
    pub realm: &'a str,
    pub password: &'a str,
    /// The nonce and cnonce that began a `-sess` session (RFC 7616 §3.4.2).
    pub session: Option<(&'a str, &'a str)>,
    pub nonce: &'a str,
    pub protection: Protection<'a>,
    pub method: &'a str,
    /// The `uri` parameter.
    pub uri: &'a str,
}

/// The quality of protection, with what it adds.
#[derive(Clone, Copy)]
pub(super) enum Protection<'a> {
    /// RFC 2069: no counter, so that an answer can be replayed.
    None,
    Auth(Count<'a>),
    /// With the body of the message.
    AuthInt(Count<'a>, &'a [u8]),
}

#[derive(Clone, Copy)]
pub(super) struct Count<'a> {
    /// Eight hex digits.
    pub nc: &'a str,
    pub cnonce: &'a str,
}

impl Proof<'_> {
    /// The `response` parameter, in lower-case hex.
    pub fn response(&self) -> String {
        let hex = |parts: &[&str]| {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            hash_hex(self.hash, &parts)
        };
        let mut a1 = hex(&[self.username, self.realm, self.password]);
        if let Some((nonce, cnonce)) = self.session {
            a1 = hex(&[&a1, nonce, cnonce]);
        }
        let a2 = match self.protection {
            Protection::None | Protection::Auth(_) => hex(&[self.method, self.uri]),
            Protection::AuthInt(_, body) => hex(&[self.method, self.uri, &hash_hex(self.hash, &[body])]),
        };
        match self.protection {
            Protection::None => hex(&[&a1, self.nonce, &a2]),
            Protection::Auth(Count { nc, cnonce }) => hex(&[&a1, self.nonce, nc, cnonce, "auth", &a2]),
            Protection::AuthInt(Count { nc, cnonce }, _) => hex(&[&a1, self.nonce, nc, cnonce, "auth-int", &a2]),
        }
    }
}

/// The parts joined by colons, hashed, in lower-case hex (RFC 7616 §3.3, `KD`). Nothing is joined in memory, so no
/// copy of the password is left behind.
fn hash_hex(hash: Hash, parts: &[&[u8]]) -> String {
    fn digest<D: Digest>(parts: &[&[u8]]) -> String {
        let mut digest = D::new();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                digest.update(":");
            }
            digest.update(part);
        }
        hex(&digest.finalize())
    }
    match hash {
        Hash::Md5 => digest::<Md5>(parts),
        Hash::Sha256 => digest::<Sha256>(parts),
        Hash::Sha512_256 => digest::<Sha512_256>(parts),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by its duration where two texts differ.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let differences = a.bytes().zip(b.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_is_only_what_is_equal() {
        assert!(is_same("", "") && is_same("abc", "abc"));
        assert!(!is_same("abc", "abd") && !is_same("abc", "ab") && !is_same("", "a") && !is_same("a", ""));
    }
}
