//! What a server asks: `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 §3.3, RFC 8760 §2).
//!
//! Left out: several challenges in one field, which RFC 3261 §20.44 does not allow; `domain`, `charset`, `userhash`.

use super::{Algorithm, AuthError, Hash, grammar};

/// What the challenge's `qop` leaves to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// No qop: the response of RFC 2069, without cnonce and nc.
    Absent,
    /// `auth` is among the values. It is taken before `auth-int`, because what stands between two telephones may well
    /// change an SDP, and then the body that was hashed is not the one that arrives.
    Auth,
    /// `auth-int` without `auth`.
    AuthInt,
    /// Only values that we do not speak.
    Unsupported,
}

impl Qop {
    fn parse(values: &str) -> Self {
        let has = |wanted| values.split(',').any(|value| unquoted(value).eq_ignore_ascii_case(wanted));
        match () {
            () if has("auth") => Self::Auth,
            () if has("auth-int") => Self::AuthInt,
            () if values.trim().is_empty() => Self::Absent,
            () => Self::Unsupported,
        }
    }
}

/// A `WWW-Authenticate` or `Proxy-Authenticate` value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// As it stood between the quotes, backslashes included: that is what both sides hash (RFC 7616 §3.4, `unq`).
    pub realm: String,
    pub nonce: String,
    pub algorithm: Algorithm,
    pub qop: Qop,
    pub opaque: Option<String>,
    /// The nonce was too old but the credentials were right: answer again. A second challenge for the same request
    /// that is not stale means wrong credentials.
    pub stale: bool,
}

impl Challenge {
    /// Reads a header value: `Digest realm="…", nonce="…", …`.
    ///
    /// Tolerant of what servers send: names in any case, values quoted or not, unknown and empty parameters. Of a
    /// repeated parameter the first counts.
    ///
    /// # Errors
    /// [`AuthError`] when the scheme is another, realm or nonce is missing, or the text is not a list of parameters.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let names = ["realm", "nonce", "algorithm", "qop", "opaque", "stale"];
        let [realm, nonce, algorithm, qop, opaque, stale] = grammar::collect(grammar::after_scheme(value)?, names)?;
        Ok(Self {
            realm: realm.ok_or(AuthError::Missing("realm"))?.to_owned(),
            nonce: nonce.ok_or(AuthError::Missing("nonce"))?.to_owned(),
            // RFC 7616 §3.3: MD5 when it is not there.
            algorithm: algorithm.map_or(Algorithm::Plain(Hash::Md5), |name| Algorithm::parse(unquoted(name))),
            qop: qop.map_or(Qop::Absent, Qop::parse),
            opaque: opaque.map(str::to_owned),
            stale: stale.is_some_and(|value| unquoted(value).eq_ignore_ascii_case("true")),
        })
    }

    /// The hash with which we can answer, if we can.
    pub(super) fn strength(&self) -> Option<Hash> {
        if self.qop == Qop::Unsupported { None } else { self.algorithm.hash() }
    }
}

/// A token out of the single quotes that some servers use.
fn unquoted(token: &str) -> &str {
    token.trim().trim_matches('\'')
}

/// The nonce of `Authentication-Info` or `Proxy-Authentication-Info` that the next request shall use (RFC 7615 §3,
/// RFC 7616 §3.5). With or without a scheme in front, which some servers send.
pub fn next_nonce(value: &str) -> Option<String> {
    let parameters = match grammar::after_scheme(value) {
        Ok(parameters) => parameters,
        Err(AuthError::TooLong) => return None,
        Err(_) => value,
    };
    let [nonce] = grammar::collect(parameters, ["nextnonce"]).ok()?;
    nonce.filter(|nonce| !nonce.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn reads_what_servers_send() {
        let asterisk = Challenge::parse(
            r#"Digest realm="asterisk",nonce="1700000000/ad0c",opaque="5ccc",algorithm=SHA-256,qop="auth""#,
        );
        assert_eq!(
            asterisk.unwrap(),
            Challenge {
                realm: "asterisk".into(),
                nonce: "1700000000/ad0c".into(),
                algorithm: Algorithm::Plain(Hash::Sha256),
                qop: Qop::Auth,
                opaque: Some("5ccc".into()),
                stale: false,
            }
        );
        let odd = Challenge::parse(
            "  dIgEsT  REALM = \"a, b=\\\"c\\\"\" ,,\tnOnCe=abc==, Algorithm=\"md5-SESS\", QOP=auth-int,\r\n \
             domain=\"sip:a sip:b\", x-new=1, stale=TRUE, opaque=\"\", realm=other,",
        );
        assert_eq!(
            odd.unwrap(),
            Challenge {
                realm: "a, b=\\\"c\\\"".into(),
                nonce: "abc==".into(),
                algorithm: Algorithm::Session(Hash::Md5),
                qop: Qop::AuthInt,
                opaque: Some(String::new()),
                stale: true,
            }
        );
    }

    #[test]
    fn refuses_what_it_cannot_answer() {
        for (challenge, error) in [
            ("", AuthError::NotDigest),
            ("Digest", AuthError::NotDigest),
            ("Basic realm=\"r\"", AuthError::NotDigest),
            ("Digest nonce=\"n\"", AuthError::Missing("realm")),
            ("Digest realm=\"r\"", AuthError::Missing("nonce")),
            ("Digest realm=\"r\", nonce=\"n", AuthError::Malformed(11)),
            ("Digest realm=\"r\" nonce=\"n\"", AuthError::Malformed(0)),
            ("Digest realm=\"r\", nonce=a\"b", AuthError::Malformed(11)),
            ("Digest realm=\"r\", nonce=\"a\r\nVia: x\"", AuthError::Malformed(11)),
            ("Digest realm=\"r\", nonce=a\\", AuthError::Malformed(11)),
            ("Digest realm=\"r\", nonsense", AuthError::Malformed(11)),
        ] {
            assert_eq!(Challenge::parse(challenge), Err(error), "{challenge}");
        }
        assert_eq!(Challenge::parse(&format!("Digest realm=\"{}\"", "r".repeat(5_000))), Err(AuthError::TooLong));
    }

    #[test]
    fn a_list_of_protections_is_read_in_any_form() {
        for (qop, expected) in [
            ("", Qop::Absent),
            (", qop=\"\"", Qop::Absent),
            (", qop=auth", Qop::Auth),
            (", qop='auth'", Qop::Auth),
            (", qop=\"auth-int, AUTH\"", Qop::Auth),
            (", qop=auth-int,auth", Qop::Auth),
            (", qop=auth-int", Qop::AuthInt),
            (", qop=\"auth-conf,Auth-Int\"", Qop::AuthInt),
            (", qop=auth-conf", Qop::Unsupported),
        ] {
            let challenge = Challenge::parse(&format!("Digest realm=r, nonce=n{qop}")).unwrap();
            assert_eq!(challenge.qop, expected, "{qop}");
        }
    }

    #[test]
    fn the_next_nonce_is_found_with_and_without_a_scheme() {
        let next = Some("n2".to_owned());
        assert_eq!(next_nonce("nextnonce=\"n2\", qop=auth, nc=00000001"), next);
        assert_eq!(next_nonce("Digest qop=auth, NextNonce=n2"), next);
        for none in ["", "nextnonce=\"\"", "qop=auth", "nextnonce=\"n2", "nextnonce"] {
            assert_eq!(next_nonce(none), None, "{none}");
        }
        assert_eq!(next_nonce(&format!("nextnonce={}", "n".repeat(5_000))), None);
    }

    #[test]
    fn random_text_never_panics() {
        let mut rng = StdRng::seed_from_u64(13);
        let pieces = ["Digest ", "nextnonce", "realm", "=", "\"", "\\", ",", " ", "'", "n2", "ж", "\r\n", "\0", "qop"];
        let mut found = 0;
        for _ in 0..50_000 {
            let pick = |_| pieces[rng.random_range(0..pieces.len())];
            let text: String = (0..8).map(pick).collect();
            found += usize::from(next_nonce(&text).is_some());
            found += usize::from(Challenge::parse(&format!("Digest realm=r, nonce=n, {text}")).is_ok());
        }
        println!("{found} of 100000 were read");
        assert!(found > 100);
    }
}
