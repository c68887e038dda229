//! The server's side (RFC 7616 §3.3, §5.4, RFC 8760 §2.3, RFC 3261 §22.4): whether a request comes from a user whom we know.
//!
//! A nonce carries its own time and is sealed for the address that it was given to, so that nothing is kept for a challenge,
//! and a flood of requests fills nothing. What is kept is how far the nonces were counted with which a user proved himself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sha2::Sha512_256;
use sha2::digest::Digest;

use super::grammar::{escaped, unescaped};
use super::proof::{Count, Proof, Protection, hex, is_same};
use super::{Algorithm, Authorization, Counted, Credentials, Hash};
use crate::sip::message::{Request, Scheme, Uri};

/// For so long after its challenge a nonce is taken.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use; beyond, the oldest are forgotten and count as stale.
const MAX_USED: usize = 4_096;
/// Of the seal, in hex digits: 128 bits.
const SEAL_LEN: usize = 32;
/// Of time and number in front of the seal, in hex digits.
const STAMP_LEN: usize = 32;
/// What we offer, best first (RFC 8760 §2.4).
const OFFERED: [Hash; 2] = [Hash::Sha256, Hash::Md5];

/// What the credentials of a request are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are right, and used for the first time.
    Right,
    /// There are none for our realm that answer what we ask. To be challenged.
    Missing,
    /// They are right, but their nonce is too old or was counted so far before; or it is not one of ours for that address, and
    /// then nothing else was looked at. To be challenged as stale.
    Stale,
    /// The nonce is ours, but the user or the password is another. To be challenged, and to be counted by a guard:
    /// who tries passwords gets this each time, and nobody gets it for another's address, since he does not see its nonces.
    Wrong,
}

/// When a nonce was made, in milliseconds since the first, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    at_ms: u64,
    number: u64,
}

/// Challenges requests and judges the answers.
pub struct Challenger {
    /// As it stands between the quotes.
    realm: String,
    users: BTreeMap<String, SecretString>,
    key: [u8; 32],
    /// The first time that we heard of.
    epoch: Option<Instant>,
    challenges: u64,
    /// The highest count seen of each nonce that was used, oldest first.
    used: BTreeMap<Stamp, u32>,
    /// The youngest nonce that was forgotten: what is not younger may have been used.
    forgotten: Option<Stamp>,
}

impl Challenger {
    /// `users` count when they name this realm or none; of one name the first counts. `key` is random.
    pub fn new(realm: &str, users: &[Credentials], key: [u8; 32]) -> Self {
        let here = users.iter().rev().filter(|user| user.realm.as_deref().is_none_or(|theirs| theirs == realm));
        Challenger {
            realm: escaped(realm),
            users: here.map(|user| (user.username.clone(), user.password.clone())).collect(),
            key,
            epoch: None,
            challenges: 0,
            used: BTreeMap::new(),
            forgotten: None,
        }
    }

    /// Values for `WWW-Authenticate`, in this order, for whoever is at that address. `stale` tells a client that its password was right.
    pub fn challenge(&mut self, now: Instant, from: IpAddr, stale: bool) -> [String; 2] {
        let stamp = Stamp { at_ms: self.milliseconds(now), number: self.challenges };
        self.challenges += 1;
        let nonce = self.sealed(from, stamp);
        let stale = if stale { ", stale=true" } else { "" };
        OFFERED.map(|hash| {
            let algorithm = Algorithm::Plain(hash);
            format!("Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}", self.realm)
        })
    }

    /// Judges the `Authorization` of a request from that address. A right one is used up.
    pub fn verify(&mut self, now: Instant, from: IpAddr, request: &Request) -> Verdict {
        let fields = request.headers.all("Authorization").filter_map(|value| Authorization::parse(value).ok());
        let Some(authorization) = fields.into_iter().find(|field| field.realm == self.realm) else {
            return Verdict::Missing;
        };
        let Algorithm::Plain(hash) = authorization.algorithm else { return Verdict::Missing };
        let Some(counted) = &authorization.counted else { return Verdict::Missing };
        let Some(count) = counted.count() else { return Verdict::Missing };
        if !OFFERED.contains(&hash) || !counted.qop.eq_ignore_ascii_case("auth") || counted.cnonce.is_empty() {
            return Verdict::Missing;
        }
        // Before the proof is looked at: who made up a nonce must not learn from the answer whether a password is right.
        let Some(stamp) = self.opened(from, &authorization.nonce) else { return Verdict::Stale };
        let is_theirs = self.is_proved(hash, &authorization, counted, request.method.as_str());
        if !is_theirs {
            return Verdict::Wrong;
        }
        // A right password is no guess, though a proxy may have changed the target on the way.
        if !is_same_target(&unescaped(&authorization.uri), &request.uri) {
            return Verdict::Missing;
        }
        if self.is_taken(now, stamp, count) { Verdict::Right } else { Verdict::Stale }
    }

    /// An unknown user takes as long as a wrong password.
    fn is_proved(&self, hash: Hash, authorization: &Authorization, counted: &Counted, method: &str) -> bool {
        let user = self.users.get(&authorization.username);
        let proof = Proof {
            hash,
            username: &authorization.username,
            realm: &self.realm,
            password: user.map_or("", |password| password.expose_secret()),
            session: None,
            nonce: &authorization.nonce,
            protection: Protection::Auth(Count { nc: &counted.nc, cnonce: &counted.cnonce }),
            method,
            uri: &authorization.uri,
        };
        is_same(&proof.response(), &authorization.response.to_ascii_lowercase()) && user.is_some()
    }

    /// Whether a nonce of ours is young enough and was not counted so far before; from now on it was.
    fn is_taken(&mut self, now: Instant, stamp: Stamp, count: u32) -> bool {
        let lifetime_ms = u64::try_from(NONCE_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let oldest = Stamp { at_ms: self.milliseconds(now).saturating_sub(lifetime_ms), number: 0 };
        self.used = self.used.split_off(&oldest);
        let counted = self.used.get(&stamp).copied();
        let may_be_used = counted.is_none() && self.forgotten.is_some_and(|forgotten| stamp <= forgotten);
        if stamp < oldest || may_be_used || counted.is_some_and(|before| count <= before) {
            return false;
        }
        self.used.insert(stamp, count);
        if self.used.len() > MAX_USED {
            self.forgotten = self.used.pop_first().map(|(stamp, _)| stamp).max(self.forgotten);
        }
        true
    }

    fn milliseconds(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn sealed(&self, from: IpAddr, Stamp { at_ms, number }: Stamp) -> String {
        let stamp = format!("{at_ms:016x}{number:016x}");
        let seal = self.seal(from, &stamp);
        stamp + &seal
    }

    /// The stamp of a nonce that we have sealed for that address.
    fn opened(&self, from: IpAddr, nonce: &str) -> Option<Stamp> {
        let (stamp, seal) = nonce.split_at_checked(STAMP_LEN)?;
        if !is_same(seal, &self.seal(from, stamp)) {
            return None;
        }
        let (at, number) = stamp.split_at_checked(STAMP_LEN / 2)?;
        Some(Stamp { at_ms: u64::from_str_radix(at, 16).ok()?, number: u64::from_str_radix(number, 16).ok()? })
    }

    /// A keyed hash. SHA-512/256 shows half of its state, so that a key in front is safe without the second round of HMAC.
    fn seal(&self, from: IpAddr, stamp: &str) -> String {
        let from = match from {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let hash = Sha512_256::new().chain_update(self.key).chain_update(from.octets()).chain_update(stamp).finalize();
        let mut seal = hex(&hash);
        seal.truncate(SEAL_LEN);
        seal
    }
}

/// Whether the `uri` of credentials names the Request-URI (RFC 7616 §3.4.6). Telephones leave out parameters and the usual
/// port, so that user, host and port are compared.
fn is_same_target(written: &str, target: &Uri) -> bool {
    let Ok(written) = written.parse::<Uri>() else { return false };
    let port = |uri: &Uri| uri.port.unwrap_or(if uri.scheme == Scheme::Sips { 5061 } else { 5060 });
    written.is_sip() == target.is_sip()
        && written.user == target.user
        && written.host.eq_ignore_ascii_case(&target.host)
        && port(&written) == port(target)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::super::grammar::parameter;
    use super::super::{Authorizer, Challenge, Subject};
    use super::*;
    use crate::sip::message::Method;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const TARGET: &str = "sip:desk@192.0.2.2";

    fn user(realm: Option<&str>, username: &str, password: &str) -> Credentials {
        Credentials { realm: realm.map(str::to_owned), username: username.into(), password: password.into() }
    }

    fn challenger() -> Challenger {
        let users = [user(None, "anna", "first"), user(None, "anna", "second"), user(Some("elsewhere"), "boris", "x")];
        Challenger::new("front \"desk\"", &users, [7; 32])
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way; all times are relative to it"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn invite(authorization: &str) -> Request {
        let mut request = Request::new(Method::Invite, TARGET.parse().unwrap());
        request.headers.push("Authorization", authorization);
        request
    }

    fn client(challenges: &[String]) -> Authorizer {
        let challenges: Vec<_> = challenges.iter().map(|value| Challenge::parse(value).unwrap()).collect();
        Authorizer::new(&challenges).unwrap()
    }

    fn answer(client: &mut Authorizer, user: &Credentials) -> Request {
        invite(&client.authorize(user, Subject { method: "INVITE", uri: TARGET, body: b"" }, "0a4f113b"))
    }

    #[test]
    fn the_better_hash_is_offered_first_and_both_are_taken() {
        let (mut challenger, now) = (challenger(), start());
        let offered = challenger.challenge(now, HERE, false);
        assert_eq!(offered.each_ref().map(|value| parameter(value, "algorithm").unwrap()), ["SHA-256", "MD5"]);
        assert!(offered.iter().all(|value| parameter(value, "qop") == Some("auth")));
        for value in offered {
            challenger = self::challenger();
            challenger.challenge(now, HERE, false);
            let mut client = client(&[value]);
            assert_eq!(
                challenger.verify(now, HERE, &answer(&mut client, &user(None, "anna", "first"))),
                Verdict::Right
            );
        }
    }

    #[test]
    fn an_unknown_user_and_a_wrong_password_look_alike() {
        let (mut challenger, now) = (challenger(), start());
        let mut client = client(&challenger.challenge(now, HERE, false));
        for (name, password) in [("anna", "second"), ("anna", ""), ("boris", "x"), ("nobody", ""), ("", "")] {
            let request = answer(&mut client, &user(None, name, password));
            assert_eq!(challenger.verify(now, HERE, &request), Verdict::Wrong, "{name} {password}");
        }
    }

    #[test]
    fn a_count_must_grow() {
        let (mut challenger, now) = (challenger(), start());
        let anna = user(None, "anna", "first");
        let mut client = client(&challenger.challenge(now, HERE, false));
        let requests: Vec<_> = (0..3).map(|_| answer(&mut client, &anna)).collect();
        let verdicts = [0, 0, 2, 1, 2].map(|at: usize| challenger.verify(now, HERE, &requests[at]));
        use Verdict::{Right, Stale};
        assert_eq!(verdicts, [Right, Stale, Right, Stale, Stale]);
    }

    #[test]
    fn a_nonce_grows_old_and_another_servers_is_stale() {
        let (mut challenger, now) = (challenger(), start());
        let anna = user(None, "anna", "first");
        let mut first = client(&challenger.challenge(now, HERE, false));
        assert_eq!(challenger.verify(now + NONCE_LIFETIME, HERE, &answer(&mut first, &anna)), Verdict::Right);
        let late = now + NONCE_LIFETIME + Duration::from_millis(1);
        assert_eq!(challenger.verify(late, HERE, &answer(&mut first, &anna)), Verdict::Stale);
        assert!(challenger.used.is_empty(), "what is too old is not kept");

        let mut other = Challenger::new("front \"desk\"", &[], [8; 32]);
        let mut elsewhere = client(&other.challenge(now, HERE, false));
        assert_eq!(challenger.verify(now, HERE, &answer(&mut elsewhere, &anna)), Verdict::Stale, "as after a restart");
        assert_eq!(
            challenger.verify(now, HERE, &answer(&mut elsewhere, &user(None, "anna", "x"))),
            Verdict::Stale,
            "alike"
        );
        assert_eq!(parameter(&challenger.challenge(now, HERE, true)[0], "stale"), Some("true"));
    }

    #[test]
    fn a_nonce_is_good_at_one_address_only() {
        let (mut challenger, now) = (challenger(), start());
        let [right, wrong] = ["first", "x"].map(|password| user(None, "anna", password));
        let mut client = client(&challenger.challenge(now, HERE, false));
        let there: IpAddr = "192.0.2.8".parse().unwrap();
        for user in [&right, &wrong] {
            let verdict = challenger.verify(now, there, &answer(&mut client, user));
            assert_eq!(verdict, Verdict::Stale, "neither a way in, nor a ban of the address that was forged");
        }
        assert_eq!(challenger.verify(now, HERE, &answer(&mut client, &wrong)), Verdict::Wrong);
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(challenger.verify(now, mapped, &answer(&mut client, &right)), Verdict::Right);
    }

    #[test]
    fn a_forgotten_nonce_is_stale() {
        let (mut challenger, now) = (challenger(), start());
        let anna = user(None, "anna", "first");
        let mut first = client(&challenger.challenge(now, HERE, false));
        let replayed = answer(&mut first, &anna);
        assert_eq!(challenger.verify(now, HERE, &replayed), Verdict::Right);
        for _ in 0..=MAX_USED {
            let mut client = client(&challenger.challenge(now, HERE, false));
            assert_eq!(challenger.verify(now, HERE, &answer(&mut client, &anna)), Verdict::Right);
        }
        assert_eq!(challenger.used.len(), MAX_USED);
        assert_eq!(challenger.verify(now, HERE, &replayed), Verdict::Stale);
        assert_eq!(challenger.verify(now, HERE, &answer(&mut first, &anna)), Verdict::Stale);
    }

    #[test]
    fn what_answers_something_else_is_missing() {
        let (mut challenger, now) = (challenger(), start());
        let mut client = client(&challenger.challenge(now, HERE, false));
        let value = client.authorize(
            &user(None, "anna", "first"),
            Subject { method: "INVITE", uri: TARGET, body: b"" },
            "0a4f113b",
        );
        for (from, to) in [
            ("desk", "other"),
            ("SHA-256", "SHA-256-sess"),
            ("SHA-256", "SHA-512-256"),
            ("SHA-256", "x"),
            ("qop=auth", "qop=auth-int"),
            (", qop=auth", ""),
            ("nc=00000001", "nc=0"),
            ("cnonce=\"0a4f113b\"", "cnonce=\"\""),
            ("Digest ", "Basic "),
        ] {
            let changed = value.replacen(from, to, 1);
            assert_ne!(changed, value);
            assert_eq!(challenger.verify(now, HERE, &invite(&changed)), Verdict::Missing, "{changed}");
        }
        assert_eq!(
            challenger.verify(now, HERE, &Request::new(Method::Invite, TARGET.parse().unwrap())),
            Verdict::Missing
        );
        assert_eq!(challenger.verify(now, HERE, &invite(&value)), Verdict::Right, "none of these used it up");
    }

    #[test]
    fn credentials_count_for_their_target_and_method_only() {
        let (mut challenger, now) = (challenger(), start());
        let mut client = client(&challenger.challenge(now, HERE, false));
        let request = answer(&mut client, &user(None, "anna", "first"));
        for other in ["sip:boss@192.0.2.2", "sip:desk@192.0.2.3", "sip:desk@192.0.2.2:5070", "tel:1"] {
            let moved = Request { uri: other.parse().unwrap(), ..request.clone() };
            assert_eq!(challenger.verify(now, HERE, &moved), Verdict::Missing, "{other}: not taken, and no guess");
        }
        let register = Request { method: Method::Register, ..request.clone() };
        assert_eq!(challenger.verify(now, HERE, &register), Verdict::Wrong);
        let written_otherwise = "sip:desk@192.0.2.2:5060;transport=udp".parse().unwrap();
        assert_eq!(challenger.verify(now, HERE, &Request { uri: written_otherwise, ..request }), Verdict::Right);
    }

    #[test]
    fn damaged_credentials_never_panic_and_are_never_right() {
        let (mut challenger, now) = (challenger(), start());
        let mut rng = StdRng::seed_from_u64(12);
        let mut client = client(&challenger.challenge(now, HERE, false));
        let anna = user(None, "anna", "first");
        let whole = client.authorize(&anna, Subject { method: "INVITE", uri: TARGET, body: b"" }, "0a4f113b");
        let mut verdicts = [0; 4];
        for _ in 0..20_000 {
            let mut damaged: Vec<char> = whole.chars().collect();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..damaged.len());
                damaged[at] = ['"', '\\', ',', '=', 'f', 'ж', '\n', '0'][rng.random_range(0..8)];
            }
            let verdict = challenger.verify(now, HERE, &invite(&damaged.iter().collect::<String>()));
            verdicts[verdict as usize] += 1;
        }
        println!("right, missing, stale, wrong: {verdicts:?}");
        // At most once, where what was damaged is not hashed.
        assert!(verdicts[0] <= 1 && verdicts[1] > 1_000 && verdicts[3] > 1_000, "{verdicts:?}");
    }
}
