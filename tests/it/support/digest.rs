//! A registrar or proxy that asks for a password in any form and checks the answers by the formulas of RFC 7616 and
//! RFC 2069 itself: it has its own hashes and its own reader, and nothing of the code that it checks.

use std::collections::BTreeMap;

use md5::Md5;
use secretary::sip::message::{Request, Response};
use sha2::{Digest, Sha256, Sha512_256};

pub const ALGORITHMS: [&str; 6] = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"];

/// A way to ask.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Empty: no such parameter, which means MD5.
    pub algorithm: &'static str,
    /// Empty: no such parameter.
    pub qop: &'static str,
    /// Without quotes, all names and the algorithm in lower case.
    pub bare: bool,
}

impl Form {
    pub const fn new(algorithm: &'static str, qop: &'static str) -> Self {
        Form { algorithm, qop, bare: false }
    }
}

/// The parameters of an answer, and which of them stood between quotes.
#[derive(Debug, Clone)]
pub struct Answer(BTreeMap<String, (String, bool)>);

impl Answer {
    /// Reads `Digest a="b", c=d`, just as RFC 3261 §25.1 has it.
    fn parse(value: &str) -> Self {
        let mut rest = value.strip_prefix("Digest ").expect("the scheme");
        let mut parameters = BTreeMap::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').expect("a name");
            let (value, quoted, after) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').expect("a closing quote");
                    (value, true, after)
                }
                None => {
                    let end = after.find(',').unwrap_or(after.len());
                    (&after[..end], false, &after[end..])
                }
            };
            let again = parameters.insert(name.trim().to_owned(), (value.to_owned(), quoted));
            assert!(again.is_none(), "{name} stands there twice");
            rest = after.strip_prefix(", ").unwrap_or(after);
        }
        Answer(parameters)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// No credentials for this realm.
    Missing,
    /// Credentials with a nonce that counts no more.
    Old,
    Right,
}

/// One who asks: a registrar with 401, or a proxy with 407.
pub struct Asker {
    pub is_proxy: bool,
    pub realm: String,
    pub username: String,
    pub password: String,
    /// What it offers, in this order.
    pub forms: Vec<Form>,
    pub nonce: String,
    opaque: String,
    count: u32,
    /// Nonce and cnonce of the first answer to the last challenge, for `-sess`.
    session: Option<(String, String)>,
    /// All answers that were right.
    pub answers: Vec<Answer>,
    pub challenges: usize,
}

impl Asker {
    pub fn new(is_proxy: bool, realm: &str, (username, password): (&str, &str), forms: &[Form]) -> Self {
        Asker {
            is_proxy,
            realm: realm.into(),
            username: username.into(),
            password: password.into(),
            forms: forms.to_vec(),
            nonce: "MTcwMDAwMDAwMA==".into(),
            opaque: "5ccc069c403ebaf9".into(),
            count: 0,
            session: None,
            answers: Vec::new(),
            challenges: 0,
        }
    }

    /// From now on another nonce counts.
    pub fn set_nonce(&mut self, nonce: &str) {
        nonce.clone_into(&mut self.nonce);
        self.count = 0;
    }

    pub fn status(&self) -> u16 {
        if self.is_proxy { 407 } else { 401 }
    }

    /// Adds its challenges to a response.
    pub fn challenge(&mut self, mut response: Response, stale: bool) -> Response {
        self.challenges += 1;
        self.session = None;
        let header = if self.is_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        for Form { algorithm, qop, bare } in &self.forms {
            let (scheme, quote) = if *bare { ("digest", "") } else { ("Digest", "\"") };
            let quoted = |name: &str, value: &str| format!("{name}={quote}{value}{quote}");
            let mut parts = vec![quoted("realm", &self.realm), quoted("nonce", &self.nonce)];
            parts.push(quoted("opaque", &self.opaque));
            match (algorithm.is_empty(), bare) {
                (true, _) => {}
                (false, true) => parts.push(format!("algorithm={}", algorithm.to_lowercase())),
                (false, false) => parts.push(format!("algorithm={algorithm}")),
            }
            if !qop.is_empty() {
                parts.push(quoted("qop", qop));
            }
            if stale {
                parts.push("stale=true".into());
            }
            response = response.with(header, format!("{scheme} {}", parts.join(", ")));
        }
        response
    }

    /// Checks what a request carries for this realm; panics on an answer that a strict server would not take.
    pub fn judge(&mut self, request: &Request) -> Judgement {
        let header = if self.is_proxy { "Proxy-Authorization" } else { "Authorization" };
        let answers = request.headers.all(header).map(Answer::parse);
        let mine: Vec<_> = answers.filter(|answer| answer.get("realm") == Some(self.realm.as_str())).collect();
        let [answer] = mine.as_slice() else {
            assert!(mine.is_empty(), "two answers for one realm: {mine:?}");
            return Judgement::Missing;
        };
        if answer.get("nonce") != Some(self.nonce.as_str()) {
            return Judgement::Old;
        }
        self.check(request, answer);
        self.answers.push(answer.clone());
        Judgement::Right
    }

    fn check(&mut self, request: &Request, answer: &Answer) {
        let get = |name: &str| answer.get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
        for (name, (_, quoted)) in &answer.0 {
            // RFC 3261 §25.1
            let token = ["algorithm", "qop", "nc"].contains(&name.as_str());
            assert_eq!(*quoted, !token, "quotes around {name}: {answer:?}");
        }
        let uri = request.uri.to_string();
        assert_eq!((get("username"), get("uri")), (self.username.as_str(), uri.as_str()));
        assert_eq!(get("opaque"), self.opaque);
        let form = self.forms.iter().find(|form| {
            let algorithm = if form.algorithm.is_empty() { "MD5" } else { form.algorithm };
            let offered = form.qop.split(',').map(str::trim);
            algorithm == get("algorithm") && offered.into_iter().any(|qop| qop == answer.get("qop").unwrap_or(""))
        });
        assert!(form.is_some(), "nothing that was offered: {answer:?}");

        let (algorithm, is_session) = match get("algorithm").strip_suffix("-sess") {
            Some(algorithm) => (algorithm, true),
            None => (get("algorithm"), false),
        };
        let h = |text: &str| hash(algorithm, text.as_bytes());
        let mut ha1 = h(&format!("{}:{}:{}", self.username, self.realm, self.password));
        if is_session {
            let first = || (self.nonce.clone(), get("cnonce").to_owned());
            let (nonce, cnonce) = self.session.get_or_insert_with(first);
            assert_eq!(get("cnonce"), cnonce, "one session, one cnonce");
            ha1 = h(&format!("{ha1}:{nonce}:{cnonce}"));
        }
        let (method, nonce) = (&request.method, &self.nonce);
        let expected = match answer.get("qop") {
            None => {
                assert_eq!((answer.get("nc"), answer.get("cnonce").is_some()), (None, is_session), "RFC 2069 has none");
                h(&format!("{ha1}:{nonce}:{}", h(&format!("{method}:{uri}"))))
            }
            Some(qop) => {
                let (nc, cnonce) = (get("nc"), get("cnonce"));
                self.count += 1;
                assert_eq!(nc, format!("{:08x}", self.count), "counted by one, in eight hex digits");
                assert!(cnonce.len() >= 16, "64 bits of randomness: {cnonce}");
                let known = self.answers.last().and_then(|last| last.get("cnonce"));
                assert!(is_session || known != Some(cnonce), "a fresh cnonce for each request");
                let ha2 = match qop {
                    "auth-int" => h(&format!("{method}:{uri}:{}", hash(algorithm, &request.body))),
                    _ => h(&format!("{method}:{uri}")),
                };
                h(&format!("{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}"))
            }
        };
        assert_eq!(get("response"), expected, "{answer:?}");
    }
}

/// In lower-case hex.
pub fn hash(algorithm: &str, bytes: &[u8]) -> String {
    let digest = match algorithm {
        "MD5" => Md5::digest(bytes).to_vec(),
        "SHA-256" => Sha256::digest(bytes).to_vec(),
        "SHA-512-256" => Sha512_256::digest(bytes).to_vec(),
        other => panic!("no such algorithm: {other}"),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
