//! What a client answers: `Authorization` (RFC 7616 §3.4), as a server reads it.

use super::{Algorithm, AuthError, Hash, grammar};

/// An `Authorization` value. Texts are as they stood between their quotes, but for the name of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    pub algorithm: Algorithm,
    /// `None` from a client of RFC 2069, which does not count.
    pub counted: Option<Counted>,
}

/// What comes with a quality of protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub qop: String,
    /// As it stood there, since it is hashed so.
    pub nc: String,
    pub cnonce: String,
}

impl Counted {
    /// `nc` as a number, which is above 0.
    pub fn count(&self) -> Option<u32> {
        let is_hex = self.nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        let count = u32::from_str_radix(&self.nc, 16).ok()?;
        (is_hex && count > 0).then_some(count)
    }
}

impl Authorization {
    /// Reads a header value, with the tolerance of [`super::Challenge::parse`].
    ///
    /// # Errors
    /// [`AuthError`] when the scheme is another, a parameter is missing, or the text is not a list of parameters.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let names = ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce"];
        let [username, realm, nonce, uri, response, algorithm, qop, nc, cnonce] =
            grammar::collect(grammar::after_scheme(value)?, names)?;
        let need = |name, value: Option<&str>| value.map(str::to_owned).ok_or(AuthError::Missing(name));
        let counted = match qop.filter(|qop| !qop.is_empty()) {
            Some(qop) => Some(Counted { qop: qop.to_owned(), nc: need("nc", nc)?, cnonce: need("cnonce", cnonce)? }),
            None => None,
        };
        Ok(Self {
            username: grammar::unescaped(&need("username", username)?),
            realm: need("realm", realm)?,
            nonce: need("nonce", nonce)?,
            uri: need("uri", uri)?,
            response: need("response", response)?,
            algorithm: algorithm.map_or(Algorithm::Plain(Hash::Md5), Algorithm::parse),
            counted,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const WHOLE: &str = r#"Digest username="a\"b", realm="r", nonce="n==", uri="sip:x@h;a=b", response="00ff", algorithm=SHA-256, qop=auth, nc=0000000a, cnonce="c", opaque="o""#;

    #[test]
    fn reads_what_telephones_send() {
        let read = Authorization::parse(WHOLE).unwrap();
        assert_eq!((read.username.as_str(), read.uri.as_str()), ("a\"b", "sip:x@h;a=b"));
        assert_eq!(read.algorithm, Algorithm::Plain(Hash::Sha256));
        assert_eq!(read.counted.as_ref().and_then(Counted::count), Some(10));
        let bare = WHOLE.replace(['"', '\\'], "").to_lowercase();
        assert_eq!(Authorization::parse(&bare).unwrap().username, "ab");
    }

    #[test]
    fn a_count_is_hex_and_above_zero() {
        for (nc, count) in
            [("00000001", Some(1)), ("1", Some(1)), ("FFFFFFFF", Some(u32::MAX)), ("0", None), ("+1", None), ("", None)]
        {
            let counted = Counted { qop: "auth".into(), nc: nc.into(), cnonce: "c".into() };
            assert_eq!(counted.count(), count, "{nc}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(Authorization::parse("Basic YTpi"), Err(AuthError::NotDigest));
        for (name, kept) in [("username", "xusername"), ("uri", "xuri"), ("response", "xresponse"), ("nc", "xnc")] {
            let without = WHOLE.replace(&format!(" {name}="), &format!(" {kept}="));
            assert_eq!(Authorization::parse(&without), Err(AuthError::Missing(name)));
        }
    }

    #[test]
    fn damaged_answers_never_panic() {
        let mut rng = StdRng::seed_from_u64(11);
        let whole: Vec<char> = WHOLE.chars().collect();
        let mut read = 0;
        for _ in 0..50_000 {
            let mut damaged = whole.clone();
            for _ in 0..rng.random_range(1..5) {
                let at = rng.random_range(0..damaged.len());
                match rng.random_range(0..9) {
                    8 => damaged.truncate(at.max(1)),
                    other => damaged[at] = ['"', '\\', ',', '=', ' ', 'ж', '\n', 'x'][other],
                }
            }
            let damaged: String = damaged.into_iter().collect();
            read += usize::from(Authorization::parse(&damaged).is_ok());
        }
        println!("{read} of 50000 damaged answers were still read");
        assert!(read > 1_000);
    }
}
