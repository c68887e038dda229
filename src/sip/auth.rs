//! Digest authentication, the client's side (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! MD5, SHA-256 and SHA-512-256, each with its `-sess` variant, with `qop=auth` and without qop (RFC 2069 servers).
//!
//! Left out: the server's side, `auth-int`, `userhash`, `Authentication-Info` (nextnonce, mutual authentication),
//! several realms in one response, and AKA.

use std::fmt;

use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

/// Longest challenge that is read, in bytes.
const MAX_CHALLENGE_LEN: usize = 4_096;

/// Why a challenge could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error(
        "authentication challenge: the scheme is not Digest; configure the server to ask for digest authentication"
    )]
    NotDigest,
    #[error("authentication challenge: no `{0}`, so there is nothing to answer")]
    Missing(&'static str),
    #[error("authentication challenge: malformed parameter at byte {0}")]
    Malformed(usize),
    #[error("authentication challenge: longer than {MAX_CHALLENGE_LEN} bytes")]
    TooLong,
}

/// Who we are for a registrar or a proxy.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Where they count; `None`: everywhere.
    pub realm: Option<String>,
    pub username: String,
    pub password: SecretString,
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

/// What the challenge's `qop` leaves to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// No qop: the response of RFC 2069, without cnonce and nc.
    Absent,
    /// `auth` is among the values.
    Auth,
    /// Only values that we do not speak, such as `auth-int`.
    Unsupported,
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
        if value.len() > MAX_CHALLENGE_LEN {
            return Err(AuthError::TooLong);
        }
        let value = value.trim();
        let (scheme, parameters) = value.split_once(char::is_whitespace).ok_or(AuthError::NotDigest)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(AuthError::NotDigest);
        }
        let (mut realm, mut nonce, mut algorithm, mut qop, mut opaque, mut stale) =
            (None, None, None, None, None, None);
        for parameter in (Parameters { text: parameters, at: 0 }) {
            let (name, value) = parameter?;
            let slot = match name.to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "algorithm" => &mut algorithm,
                "qop" => &mut qop,
                "opaque" => &mut opaque,
                "stale" => &mut stale,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        Ok(Self {
            realm: realm.ok_or(AuthError::Missing("realm"))?.to_owned(),
            nonce: nonce.ok_or(AuthError::Missing("nonce"))?.to_owned(),
            // RFC 7616 §3.3: MD5 when it is not there.
            algorithm: algorithm.map_or(Algorithm::Plain(Hash::Md5), Algorithm::parse),
            qop: qop.map_or(Qop::Absent, |values| {
                let auth = values.split(',').any(|value| value.trim().eq_ignore_ascii_case("auth"));
                if auth { Qop::Auth } else { Qop::Unsupported }
            }),
            opaque: opaque.map(str::to_owned),
            stale: stale.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        })
    }

    fn strength(&self) -> Option<Hash> {
        if self.qop == Qop::Unsupported { None } else { self.algorithm.hash() }
    }
}

/// Answers one challenge, request after request, counting them.
#[derive(Debug, Clone)]
pub struct Authorizer {
    challenge: Challenge,
    hash: Hash,
    /// Requests answered with this nonce.
    count: u32,
    /// The cnonce of the first answer, which a `-sess` algorithm binds the session to.
    session_cnonce: Option<String>,
}

impl Authorizer {
    /// Picks the challenge with the strongest algorithm that we speak, and among equals the first, which is the
    /// server's preference. RFC 8760 §2.4 would take the first of all, unless local policy, as here, says otherwise:
    /// an MD5 challenge put in front must not weaken the answer.
    pub fn new(challenges: &[Challenge]) -> Option<Self> {
        let mut best: Option<(Hash, &Challenge)> = None;
        for challenge in challenges {
            if let Some(hash) = challenge.strength()
                && best.is_none_or(|(strongest, _)| hash > strongest)
            {
                best = Some((hash, challenge));
            }
        }
        best.map(|(hash, challenge)| Self { challenge: challenge.clone(), hash, count: 0, session_cnonce: None })
    }

    pub fn realm(&self) -> &str {
        &self.challenge.realm
    }

    /// The nonce being answered: the same one in a new challenge that is not stale means wrong credentials.
    pub fn nonce(&self) -> &str {
        &self.challenge.nonce
    }

    /// The value of `Authorization` or `Proxy-Authorization` for one request.
    ///
    /// `uri` is the Request-URI as it stands in the request (RFC 3261 §22.4); `cnonce` is fresh random text without
    /// quotes, at least 64 bits of it.
    pub fn authorize(&mut self, credentials: &Credentials, method: &str, uri: &str, cnonce: &str) -> String {
        let Challenge { realm, nonce, algorithm, qop, opaque, .. } = &self.challenge;
        self.count = self.count.saturating_add(1);
        let session = matches!(algorithm, Algorithm::Session(_));
        let cnonce =
            if session { self.session_cnonce.get_or_insert_with(|| cnonce.to_owned()).as_str() } else { cnonce };
        let nc = format!("{:08x}", self.count);

        let hex = |parts: &[&str]| hash_hex(self.hash, parts);
        let mut a1 = hex(&[&credentials.username, realm, credentials.password.expose_secret()]);
        if session {
            a1 = hex(&[&a1, nonce, cnonce]);
        }
        let a2 = hex(&[method, uri]);
        let response = match qop {
            Qop::Auth => hex(&[&a1, nonce, &nc, cnonce, "auth", &a2]),
            Qop::Absent | Qop::Unsupported => hex(&[&a1, nonce, &a2]),
        };

        let mut value = format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
             algorithm={algorithm}",
            escaped(&credentials.username),
            escaped(uri),
        );
        if *qop == Qop::Auth {
            value += &format!(", qop=auth, nc={nc}");
        }
        if *qop == Qop::Auth || session {
            value += &format!(", cnonce=\"{}\"", escaped(cnonce));
        }
        if let Some(opaque) = opaque {
            value += &format!(", opaque=\"{opaque}\"");
        }
        value
    }
}

/// The parts joined by colons, hashed, in lower-case hex (RFC 7616 §3.3, `KD`). Nothing is joined in memory, so no
/// copy of the password is left behind.
fn hash_hex(hash: Hash, parts: &[&str]) -> String {
    fn digest<D: Digest>(parts: &[&str]) -> String {
        let mut digest = D::new();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                digest.update(":");
            }
            digest.update(part);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
    match hash {
        Hash::Md5 => digest::<Md5>(parts),
        Hash::Sha256 => digest::<Sha256>(parts),
        Hash::Sha512_256 => digest::<Sha512_256>(parts),
    }
}

/// Text for inside a quoted-string (RFC 3261 §25.1). Control characters have no escape, so they are dropped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The `name=value` pairs of a challenge, quotes taken off.
struct Parameters<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parameters<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(skipped).len();
    }

    fn parameter(&mut self) -> Option<(&'a str, &'a str)> {
        let (name, _) = self.rest().split_once('=')?;
        self.at += name.len() + 1;
        let name = name.trim_end();
        self.skip(char::is_whitespace);
        let value = match self.rest().strip_prefix('"') {
            Some(quoted) => {
                let value = quoted.get(..closing_quote(quoted)?)?;
                self.at += value.len() + 2;
                value
            }
            None => {
                let value = self.rest().split(',').next().unwrap_or_default();
                self.at += value.len();
                value.trim_end()
            }
        };
        self.skip(char::is_whitespace);
        let separated = self.rest().is_empty() || self.rest().starts_with(',');
        // Values are echoed between quotes, so what would break out of them must not come in.
        let clean = !value.contains(char::is_control)
            && closing_quote(&format!("{value}\"")) == Some(value.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b','));
        (separated && clean && !name.is_empty()).then_some((name, value))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a str, &'a str), AuthError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(|c| c == ',' || c.is_whitespace());
        if self.rest().is_empty() {
            return None;
        }
        let start = self.at;
        Some(self.parameter().ok_or_else(|| {
            self.at = self.text.len();
            AuthError::Malformed(start)
        }))
    }
}

/// Where the first quote stands that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escape = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escape;
        escape = byte == b'\\' && !escape;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials { realm: None, username: username.into(), password: password.into() }
    }

    fn authorizer(challenge: &str) -> Authorizer {
        Authorizer::new(&[Challenge::parse(challenge).unwrap()]).unwrap()
    }

    fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
        let parameters = Parameters { text: value.strip_prefix("Digest ").unwrap(), at: 0 };
        parameters.map(|p| p.unwrap()).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    #[test]
    fn answers_like_the_example_of_rfc_2617() {
        let mut authorizer = authorizer(
            r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
        );
        let mufasa = credentials("Mufasa", "Circle Of Life");
        assert_eq!(
            authorizer.authorize(&mufasa, "GET", "/dir/index.html", "0a4f113b"),
            r#"Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", response="6629fae49393a05397450978507c4ef1", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", opaque="5ccc069c403ebaf9f0171e9517f40e41""#
        );
    }

    #[test]
    fn answers_like_the_example_of_rfc_2069_without_qop() {
        // With the response as RFC 2069's errata correct it.
        let mut authorizer =
            authorizer(r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#);
        let value = authorizer.authorize(&credentials("Mufasa", "CircleOfLife"), "GET", "/dir/index.html", "unused");
        assert_eq!(parameter(&value, "response"), Some("1949323746fe6a43ef61f9606e7febea"));
        assert_eq!(
            (parameter(&value, "nc"), parameter(&value, "cnonce"), parameter(&value, "qop")),
            (None, None, None)
        );
    }

    #[test]
    fn answers_like_the_examples_of_rfc_7616() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let mut authorizer = authorizer(&format!(
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            ));
            let value = authorizer.authorize(
                &credentials("Mufasa", "Circle of Life"),
                "GET",
                "/dir/index.html",
                "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            );
            assert_eq!(parameter(&value, "response"), Some(response));
            assert_eq!(parameter(&value, "algorithm"), Some(algorithm));
            assert_eq!(parameter(&value, "opaque"), Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"));
        }
    }

    /// RFC 8760 has no computed example; these were computed with Python's hashlib from the formulas of RFC 7616 §3.4.
    #[test]
    fn answers_every_algorithm_and_keeps_the_session_of_the_first_cnonce() {
        for (algorithm, first, second) in [
            ("SHA-512-256", "c60cbb23fbc7e66c16ceb7b98a0ed307677f42958d67360fae6fb84ce97a9dfa", None),
            ("MD5-sess", "bf6907371e2f0639a408e090e25f358c", Some("7e78cdbb91501c6a5ddea90df8ec77e3")),
            (
                "SHA-256-sess",
                "691692e3ec9c46d82f7e0fb26ec697678f8a017ffb779a3cdaedb4b993e0da85",
                Some("3a95666c2cd299f69c8c4190f67ebffe54c02d2b8dab38034bc04dc9b153cc45"),
            ),
            (
                "SHA-512-256-sess",
                "ca1730b00ba97d795ad39a2e471794a31115cb7938f0ceafd33244002aa15f0e",
                Some("448dfd58da47cc02ada2c7dc87014c86f7779b18e125a28126402dcfb338b637"),
            ),
        ] {
            let mut authorizer =
                authorizer(&format!(r#"Digest realm="asterisk",nonce="abc/123==",algorithm={algorithm},qop="auth""#));
            let account = credentials("1001", "s3cret");
            let value = authorizer.authorize(&account, "REGISTER", "sip:pbx.example.org", "0a4f113b");
            assert_eq!(parameter(&value, "response"), Some(first), "{algorithm}");
            let value = authorizer.authorize(&account, "REGISTER", "sip:pbx.example.org", "another");
            if let Some(second) = second {
                assert_eq!(parameter(&value, "response"), Some(second), "{algorithm}");
                assert_eq!(parameter(&value, "cnonce"), Some("0a4f113b"), "{algorithm}");
            }
        }
    }

    #[test]
    fn counts_requests_in_eight_hex_digits() {
        let mut authorizer = authorizer(r#"Digest realm="r", nonce="n", qop="auth""#);
        let account = credentials("u", "p");
        let counts: Vec<String> = (0..17)
            .map(|_| authorizer.authorize(&account, "REGISTER", "sip:r", "c"))
            .map(|value| parameter(&value, "nc").unwrap().to_owned())
            .collect();
        assert_eq!((counts[0].as_str(), counts[9].as_str(), counts[16].as_str()), ("00000001", "0000000a", "00000011"));
    }

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
                qop: Qop::Unsupported,
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
    fn takes_the_strongest_challenge_it_speaks() {
        let challenge = |algorithm: &str, qop: &str| {
            let text = format!("Digest realm=\"{algorithm} {qop}\", nonce=n, algorithm={algorithm}, qop=\"{qop}\"");
            Challenge::parse(&text).unwrap()
        };
        let offered = [
            challenge("MD5", "auth"),
            challenge("SHA-256", "auth"),
            challenge("SHA-256-sess", "auth"),
            challenge("SHA-512-256", "auth-int"),
            challenge("SHA3-512", "auth"),
        ];
        assert_eq!(Authorizer::new(&offered).unwrap().realm(), "SHA-256 auth");
        assert!(Authorizer::new(&offered[3..]).is_none());
        assert!(Authorizer::new(&[]).is_none());
    }

    #[test]
    fn user_names_cannot_break_out_of_their_quotes() {
        let mut authorizer = authorizer("Digest realm=r, nonce=n");
        let value = authorizer.authorize(&credentials("a\"b\\\r\n", "p"), "REGISTER", "sip:r", "c");
        assert!(value.starts_with(r#"Digest username="a\"b\\", realm="r""#), "{value}");
    }

    #[test]
    fn damaged_challenges_never_panic() {
        let mut rng = StdRng::seed_from_u64(9);
        let whole: Vec<char> =
            r#"Digest realm="ä\"b", nonce=n==, qop="auth,auth-int", algorithm=MD5-sess, opaque="""#.chars().collect();
        let mut answered = 0;
        for _ in 0..50_000 {
            let mut damaged = whole.clone();
            for _ in 0..rng.random_range(1..5) {
                let at = rng.random_range(0..damaged.len());
                damaged[at] = ['"', '\\', ',', '=', ' ', 'ж', '\n', 'x'][rng.random_range(0..8)];
            }
            let damaged: String = damaged.into_iter().collect();
            let Ok(challenge) = Challenge::parse(&damaged) else { continue };
            let Some(mut authorizer) = Authorizer::new(&[challenge]) else { continue };
            let value = authorizer.authorize(&credentials("u", "p"), "REGISTER", "sip:r", "c");
            // Whatever was echoed, the answer is one line that reads back.
            assert!(!value.contains('\n'));
            assert_eq!(parameter(&value, "response").map(str::len), Some(32), "{damaged}");
            answered += 1;
        }
        println!("{answered} of 50000 damaged challenges were still answered");
        assert!(answered > 1_000);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", credentials("1001", "s3cret")).contains("s3cret"));
    }
}
