//! Digest authentication, both sides (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! MD5, SHA-256 and SHA-512-256, each with its `-sess` variant; `qop=auth`, `qop=auth-int` and no qop (RFC 2069 servers);
//! `nextnonce`. [`Authorizer`] answers, [`Challenger`] asks.
//!
//! Left out: `userhash`, `username*`, `rspauth` (mutual authentication), AKA, Basic. As a server: `-sess`, `auth-int`,
//! clients without qop.

mod authorization;
mod authorizer;
mod challenge;
mod grammar;
mod proof;
mod server;

use std::fmt;

use secrecy::SecretString;

pub use authorization::{Authorization, Counted};
pub use authorizer::{Authorizer, Subject};
pub use challenge::{Challenge, Qop, next_nonce};
pub use server::{Challenger, Verdict};

/// Why a challenge or its answer could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("authentication: the scheme is not Digest; configure the peer for digest authentication")]
    NotDigest,
    #[error("authentication: the header has no `{0}`")]
    Missing(&'static str),
    #[error("authentication: malformed parameter at byte {0}")]
    Malformed(usize),
    #[error("authentication: the header is longer than {} bytes", grammar::MAX_LEN)]
    TooLong,
}

/// Who we are for a registrar or a proxy, or who may call us.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Where they count; `None`: everywhere.
    pub realm: Option<String>,
    pub username: String,
    pub password: SecretString,
}

impl Credentials {
    /// Those for a realm: the first that names it, else the first that counts everywhere.
    pub fn for_realm<'a>(all: &'a [Credentials], realm: &str) -> Option<&'a Credentials> {
        let exact = all.iter().find(|credentials| credentials.realm.as_deref() == Some(realm));
        exact.or_else(|| all.iter().find(|credentials| credentials.realm.is_none()))
    }
}

/// The hash function; a later one is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

/// The `algorithm` of a challenge (RFC 7616 §6.1, RFC 8760 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    Plain(Hash),
    /// `-sess`: the credentials are hashed once more with the first nonce and cnonce (RFC 7616 §3.4.2).
    Session(Hash),
    Unknown(String),
}

impl Algorithm {
    fn parse(name: &str) -> Self {
        let (base, session) = match name.len().checked_sub(5).and_then(|at| name.split_at_checked(at)) {
            Some((base, suffix)) if suffix.eq_ignore_ascii_case("-sess") => (base, true),
            _ => (name, false),
        };
        let hash = [Hash::Md5, Hash::Sha256, Hash::Sha512_256]
            .into_iter()
            .find(|&hash| base.eq_ignore_ascii_case(&Self::Plain(hash).to_string()));
        match (hash, session) {
            (Some(hash), false) => Self::Plain(hash),
            (Some(hash), true) => Self::Session(hash),
            (None, _) => Self::Unknown(name.to_owned()),
        }
    }

    fn hash(&self) -> Option<Hash> {
        match self {
            Self::Plain(hash) | Self::Session(hash) => Some(*hash),
            Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Unknown(name) => name,
            Self::Plain(Hash::Md5) => "MD5",
            Self::Plain(Hash::Sha256) => "SHA-256",
            Self::Plain(Hash::Sha512_256) => "SHA-512-256",
            Self::Session(hash) => return write!(f, "{}-sess", Self::Plain(*hash)),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(realm: Option<&str>, username: &str) -> Credentials {
        Credentials { realm: realm.map(str::to_owned), username: username.into(), password: "s3cret".into() }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", credentials(None, "1001")).contains("s3cret"));
    }

    #[test]
    fn credentials_that_name_the_realm_come_first() {
        let all = [credentials(None, "any"), credentials(Some("a"), "a"), credentials(None, "later")];
        let names = ["a", "b"].map(|realm| Credentials::for_realm(&all, realm).map(|found| found.username.as_str()));
        assert_eq!(names, [Some("a"), Some("any")]);
        assert!(Credentials::for_realm(&all[1..2], "b").is_none());
    }
}
