//! Answers challenges (RFC 7616 §3.4): the client's side.

use secrecy::ExposeSecret;

use super::grammar::escaped;
use super::proof::{Count, Proof, Protection};
use super::{Algorithm, Challenge, Credentials, Hash, Qop};

/// What of a request goes into its credentials.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub method: &'a str,
    /// The Request-URI as it stands in the request (RFC 3261 §22.4).
    pub uri: &'a str,
    pub body: &'a [u8],
}

/// Answers one challenge, request after request, counting them.
#[derive(Debug, Clone)]
pub struct Authorizer {
    challenge: Challenge,
    hash: Hash,
    /// Requests answered with this nonce.
    count: u32,
    /// Nonce and cnonce of the first answer, to which a `-sess` algorithm binds all until the next challenge.
    session: Option<(String, String)>,
}

impl Authorizer {
    /// Picks the challenge with the strongest algorithm that we speak, and among equals the first, which is the
    /// server's preference. RFC 8760 §2.4 would take the first of all, unless local policy, as here, says otherwise:
    /// an MD5 challenge put in front must not weaken the answer.
    pub fn new<'a>(challenges: impl IntoIterator<Item = &'a Challenge>) -> Option<Self> {
        let mut best: Option<(Hash, &Challenge)> = None;
        for challenge in challenges {
            if let Some(hash) = challenge.strength()
                && best.is_none_or(|(strongest, _)| hash > strongest)
            {
                best = Some((hash, challenge));
            }
        }
        best.map(|(hash, challenge)| Self { challenge: challenge.clone(), hash, count: 0, session: None })
    }

    /// Goes on counting where an earlier answerer of the same nonce has stopped: a server that gives one out twice
    /// would take a count from 1 for a replay.
    #[must_use]
    pub fn following(mut self, earlier: &Self) -> Self {
        if earlier.challenge.nonce == self.challenge.nonce {
            self.count = earlier.count;
        }
        self
    }

    pub fn realm(&self) -> &str {
        &self.challenge.realm
    }

    /// Takes the nonce that the server wants to see next (RFC 7616 §3.5). A `-sess` session stays the same, since only
    /// a challenge begins another (RFC 7616 §3.4.2).
    pub fn use_next_nonce(&mut self, nonce: String) {
        if nonce != self.challenge.nonce {
            self.challenge.nonce = nonce;
            self.count = 0;
        }
    }

    /// The value of `Authorization` or `Proxy-Authorization` for one request. `cnonce` is fresh random text, at least 64
    /// bits of it.
    pub fn authorize(&mut self, credentials: &Credentials, subject: Subject<'_>, cnonce: &str) -> String {
        let Challenge { realm, nonce, algorithm, qop, opaque, .. } = &self.challenge;
        self.count = self.count.saturating_add(1);
        let nc = format!("{:08x}", self.count);
        let fresh = escaped(cnonce);
        let session = matches!(algorithm, Algorithm::Session(_))
            .then(|| &*self.session.get_or_insert_with(|| (nonce.clone(), fresh.clone())));
        let cnonce = session.map_or(fresh.as_str(), |(_, cnonce)| cnonce);
        let counted = Count { nc: &nc, cnonce };
        let (protection, qop) = match qop {
            Qop::Auth => (Protection::Auth(counted), Some("auth")),
            Qop::AuthInt => (Protection::AuthInt(counted, subject.body), Some("auth-int")),
            Qop::Absent | Qop::Unsupported => (Protection::None, None),
        };
        let response = Proof {
            hash: self.hash,
            username: &credentials.username,
            realm,
            password: credentials.password.expose_secret(),
            session: session.map(|(nonce, cnonce)| (nonce.as_str(), cnonce.as_str())),
            nonce,
            protection,
            method: subject.method,
            uri: subject.uri,
        }
        .response();

        let mut value = format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
             algorithm={algorithm}",
            escaped(&credentials.username),
            escaped(subject.uri),
        );
        if let Some(qop) = qop {
            value += &format!(", qop={qop}, nc={nc}");
        }
        if qop.is_some() || session.is_some() {
            value += &format!(", cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = opaque {
            value += &format!(", opaque=\"{opaque}\"");
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::super::grammar::parameter;
    use super::*;

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials { realm: None, username: username.into(), password: password.into() }
    }

    fn authorizer(challenge: &str) -> Authorizer {
        Authorizer::new(&[Challenge::parse(challenge).unwrap()]).unwrap()
    }

    fn of<'a>(method: &'a str, uri: &'a str) -> Subject<'a> {
        Subject { method, uri, body: b"" }
    }

    #[test]
    fn answers_like_the_example_of_rfc_2617() {
        let mut authorizer = authorizer(
            r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
        );
        let mufasa = credentials("Mufasa", "Circle Of Life");
        assert_eq!(
            authorizer.authorize(&mufasa, of("GET", "/dir/index.html"), "0a4f113b"),
            r#"Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", response="6629fae49393a05397450978507c4ef1", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", opaque="5ccc069c403ebaf9f0171e9517f40e41""#
        );
    }

    #[test]
    fn answers_like_the_example_of_rfc_2069_without_qop() {
        // With the response as RFC 2069's errata correct it.
        let mut authorizer =
            authorizer(r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#);
        let value =
            authorizer.authorize(&credentials("Mufasa", "CircleOfLife"), of("GET", "/dir/index.html"), "unused");
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
                of("GET", "/dir/index.html"),
                "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            );
            assert_eq!(parameter(&value, "response"), Some(response));
            assert_eq!(parameter(&value, "algorithm"), Some(algorithm));
            assert_eq!(parameter(&value, "opaque"), Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"));
        }
    }

    #[test]
    fn answers_like_the_example_of_rfc_7616_with_sha_512_256() {
        // As erratum 4897 corrects it, and without the hash of the user's name, which does not go into the response.
        let mut authorizer = authorizer(
            r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", charset=UTF-8"#,
        );
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let value = authorizer.authorize(&credentials("Jäsøn Doe", "Secret, or not?"), of("GET", "/doe.json"), cnonce);
        let response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
        assert_eq!(parameter(&value, "response"), Some(response));
    }

    /// The RFCs have no example with `auth-int`: computed with Python's hashlib.
    #[test]
    fn auth_int_protects_the_body() {
        for (algorithm, empty, full) in [
            ("MD5", "2f3121658454f67a860f3531bc01952b", "ef8df4556d2b0ca02cfc66b638a96b3b"),
            ("MD5-sess", "2eb2a0b49c840d064e7960a18b9d1eb9", "0aec9e45a3e0572b439822b91a437e0a"),
            (
                "SHA-256",
                "b1302cd7e5d4f9c75c52060db41420db2f80e6614bf184c49a91bc8e48db457d",
                "b6c69810e9e76a58d4d7abe4fbca673383101c90d9999565f0d4cd9edf734aa2",
            ),
            (
                "SHA-256-sess",
                "322f266129e54e9f47adb94a0dd01e2c6912c2aef1677e990f95d8a08c491591",
                "e09812090cb02b14f1b6842a16ebc35f61a1a6be3bab430c1b863cb9c3aad6a0",
            ),
            (
                "SHA-512-256",
                "1fb0848bc7cd7d51b63f4322c616b4423594bb27dadb8d1ee0b5a3015b565365",
                "d5c11597df42be265d3017d859f885db31a616b881af71a77896a72e4046cb47",
            ),
        ] {
            for (body, response) in [("", empty), ("v=0\r\n", full)] {
                let challenge =
                    format!(r#"Digest realm="asterisk",nonce="abc/123==",algorithm={algorithm},qop="auth-int""#);
                let subject = Subject { method: "INVITE", uri: "sip:7@pbx.example.org", body: body.as_bytes() };
                let value = authorizer(&challenge).authorize(&credentials("1001", "s3cret"), subject, "0a4f113b");
                assert_eq!(parameter(&value, "response"), Some(response), "{algorithm} {body:?}");
                assert_eq!(parameter(&value, "qop"), Some("auth-int"));
            }
        }
    }

    #[test]
    fn the_next_nonce_is_counted_from_one_and_a_repeated_one_goes_on() {
        let account = credentials("u", "p");
        let mut first = authorizer(r#"Digest realm="r", nonce="n1", qop="auth", algorithm=MD5-sess"#);
        let used = |authorizer: &mut Authorizer| {
            let value = authorizer.authorize(&account, of("REGISTER", "sip:r"), "c");
            ["nonce", "nc"].map(|name| parameter(&value, name).unwrap().to_owned())
        };
        assert_eq!(used(&mut first), ["n1", "00000001"]);
        first.use_next_nonce("n1".into());
        assert_eq!(used(&mut first), ["n1", "00000002"], "the same is no new one");
        first.use_next_nonce("n2".into());
        assert_eq!(used(&mut first), ["n2", "00000001"]);
        assert_eq!(first.session, Some(("n1".into(), "c".into())), "no challenge, no new session");
        let mut again = authorizer(r#"Digest realm="r", nonce="n2", qop="auth""#).following(&first);
        assert_eq!(used(&mut again), ["n2", "00000002"]);
        let mut other = authorizer(r#"Digest realm="r", nonce="n3", qop="auth""#).following(&again);
        assert_eq!(used(&mut other), ["n3", "00000001"]);
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
            let value = authorizer.authorize(&account, of("REGISTER", "sip:pbx.example.org"), "0a4f113b");
            assert_eq!(parameter(&value, "response"), Some(first), "{algorithm}");
            let value = authorizer.authorize(&account, of("REGISTER", "sip:pbx.example.org"), "another");
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
            .map(|_| authorizer.authorize(&account, of("REGISTER", "sip:r"), "c"))
            .map(|value| parameter(&value, "nc").unwrap().to_owned())
            .collect();
        assert_eq!((counts[0].as_str(), counts[9].as_str(), counts[16].as_str()), ("00000001", "0000000a", "00000011"));
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
            challenge("SHA-512-256", "auth-conf"),
            challenge("SHA3-512", "auth"),
        ];
        assert_eq!(Authorizer::new(&offered).unwrap().realm(), "SHA-256 auth");
        assert!(Authorizer::new(&offered[3..]).is_none());
        assert!(Authorizer::new(&[]).is_none());
    }

    #[test]
    fn user_names_cannot_break_out_of_their_quotes() {
        let mut authorizer = authorizer("Digest realm=r, nonce=n");
        let value = authorizer.authorize(&credentials("a\"b\\\r\n", "p"), of("REGISTER", "sip:r"), "c");
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
            let value = authorizer.authorize(&credentials("u", "p"), of("REGISTER", "sip:r"), "c");
            // Whatever was echoed, the answer is one line that reads back.
            assert!(!value.contains('\n'));
            assert_eq!(parameter(&value, "response").map(str::len), Some(32), "{damaged}");
            answered += 1;
        }
        println!("{answered} of 50000 damaged challenges were still answered");
        assert!(answered > 1_000);
    }
}
