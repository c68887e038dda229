//! Defence: how fast others may come, and who gets no answer at all.
//!
//! What comes inside our calls or answers us is never counted; registrars and access lists are counted by account, all
//! others by their address, IPv6 by /64. Half-open streams and connections without end are held off in `net`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::AccountId;
use super::message::Request;

/// How many addresses we remember; beyond, the one that was silent for longest is forgotten.
const MAX_SOURCES: usize = 4096;
/// Who was silent for a while may come so much at once: what the rate allows in this time …
const BURST_S: f64 = 2.0;
/// … and this at the least.
const LEAST_BURST: f64 = 5.0;
/// Wrong passwords a minute until an address is banned.
const FAILURES_A_MINUTE: f64 = 10.0;
const BANNED_FOR: Duration = Duration::from_secs(600);
/// What a refused caller is told to wait, in seconds. Brief, because a trunk may send us nothing at all until then.
pub(super) const RETRY_AFTER_S: u64 = 5;

/// How `User-Agent` of attackers' tools begins, in lower case. Those of an administrator's, such as sipsak, are not here.
const SCANNERS: &[&str] = &[
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sundayddr",
    "pplsip",
    "vaxsipuseragent",
    "sip-scan",
    "sipscan",
    "siparmyknife",
    "sivus",
    "iwar",
];
/// What such tools write into `From` and `To`.
const SCANNERS_IN_ADDRESSES: &[&str] = &["sipvicious", "friendly-scanner"];

/// How fast others may come, on average; twice as much at once, and [`f64::INFINITY`] is no limit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New calls a second from one address.
    pub calls_per_second: f64,
    /// Other requests outside a call a second from one address.
    pub requests_per_second: f64,
    /// New calls a second of one account, from whichever address.
    pub account_calls_per_second: f64,
}

impl Limits {
    /// Everybody may come as fast as he likes.
    pub const NONE: Limits = Limits {
        calls_per_second: f64::INFINITY,
        requests_per_second: f64::INFINITY,
        account_calls_per_second: f64::INFINITY,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits { calls_per_second: 10.0, requests_per_second: 50.0, account_calls_per_second: 50.0 }
    }
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Pass,
    /// No answer.
    Silence,
    /// 503 with Retry-After.
    Busy,
}

pub(super) struct Guard {
    limits: Limits,
    sources: BTreeMap<IpAddr, Source>,
    /// The same sources by when they were last seen.
    order: BTreeMap<u64, IpAddr>,
    seen: u64,
    accounts: BTreeMap<AccountId, Bucket>,
}

/// What we know of an address.
struct Source {
    seen: u64,
    calls: Bucket,
    requests: Bucket,
    /// How many more wrong passwords it has.
    attempts: Bucket,
    banned_until: Option<Instant>,
    /// It was told that it is too fast, and is not told again until then.
    told_until: Option<Instant>,
}

/// Tokens that come at a rate, up to a most, and are taken one by one.
pub(super) struct Bucket {
    a_second: f64,
    most: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(now: Instant, a_second: f64, most: f64) -> Self {
        Bucket { a_second, most, tokens: most, at: now }
    }

    fn of_rate(now: Instant, a_second: f64) -> Self {
        Self::new(now, a_second, if a_second > 0.0 { (a_second * BURST_S).max(LEAST_BURST) } else { 0.0 })
    }

    pub fn take(&mut self, now: Instant) -> bool {
        if self.a_second == f64::INFINITY {
            return true;
        }
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + elapsed * self.a_second).min(self.most);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

impl Guard {
    pub fn new(limits: Limits) -> Self {
        Guard { limits, sources: BTreeMap::new(), order: BTreeMap::new(), seen: 0, accounts: BTreeMap::new() }
    }

    /// Counts a new request that belongs to no call of ours; `is_call` for an INVITE.
    pub fn admit(&mut self, now: Instant, from: IpAddr, is_call: bool) -> Admission {
        let source = self.source(now, from);
        if source.banned_until.is_some_and(|until| now < until) {
            return Admission::Silence;
        }
        if !is_call {
            return if source.requests.take(now) { Admission::Pass } else { Admission::Silence };
        }
        if source.calls.take(now) {
            return Admission::Pass;
        }
        if source.told_until.is_some_and(|until| now < until) {
            return Admission::Silence;
        }
        source.told_until = Some(now + Duration::from_secs(RETRY_AFTER_S));
        Admission::Busy
    }

    /// Counts a new call of an account; false when there were too many.
    pub fn admit_of_account(&mut self, now: Instant, account: AccountId) -> bool {
        let rate = self.limits.account_calls_per_second;
        self.accounts.entry(account).or_insert_with(|| Bucket::of_rate(now, rate)).take(now)
    }

    /// Nothing from there is answered for some minutes, but what belongs to our calls. Only for what cannot be said in
    /// the name of somebody else.
    pub fn ban(&mut self, now: Instant, from: IpAddr) {
        self.source(now, from).banned_until = Some(now + BANNED_FOR);
    }

    /// A request from there had a wrong name or password. Who guesses is banned.
    pub fn failed_authentication(&mut self, now: Instant, from: IpAddr) {
        if !self.source(now, from).attempts.take(now) {
            tracing::info!("an address is banned for guessing passwords");
            self.ban(now, from);
        }
    }

    fn source(&mut self, now: Instant, from: IpAddr) -> &mut Source {
        let key = network_of(from);
        self.seen += 1;
        let seen = self.seen;
        match self.sources.get(&key) {
            Some(source) => {
                self.order.remove(&source.seen);
            }
            None if self.sources.len() >= MAX_SOURCES => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.sources.remove(&oldest);
                }
            }
            None => {}
        }
        self.order.insert(seen, key);
        let limits = &self.limits;
        let source = self.sources.entry(key).or_insert_with(|| Source {
            seen,
            calls: Bucket::of_rate(now, limits.calls_per_second),
            requests: Bucket::of_rate(now, limits.requests_per_second),
            attempts: Bucket::new(now, FAILURES_A_MINUTE / 60.0, FAILURES_A_MINUTE),
            banned_until: None,
            told_until: None,
        });
        source.seen = seen;
        source
    }
}

/// Whether the sender is one of the tools that look for telephone systems to abuse. Names of people are left alone: in
/// addresses only what nobody is called counts.
pub(super) fn is_scanner(request: &Request) -> bool {
    let field = |name| request.headers.get(name).map(|value| value.trim().to_ascii_lowercase());
    let is_tool = |agent: String| SCANNERS.iter().any(|scanner| agent.starts_with(scanner));
    let names_tool = |address: String| SCANNERS_IN_ADDRESSES.iter().any(|scanner| address.contains(scanner));
    field("User-Agent").is_some_and(is_tool) || ["From", "To"].into_iter().filter_map(field).any(names_tool)
}

/// The address, for IPv6 its /64: whoever has one IPv6 address has 2⁶⁴ of them.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Method, Uri};
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way; all times are relative to it"
    )]
    fn clock() -> Instant {
        Instant::now()
    }

    fn guard() -> Guard {
        Guard::new(Limits { calls_per_second: 4.0, requests_per_second: 10.0, account_calls_per_second: 3.0 })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admitted(guard: &mut Guard, now: Instant, from: &str, is_call: bool, times: usize) -> [usize; 3] {
        let mut count = [0; 3];
        for _ in 0..times {
            count[guard.admit(now, address(from), is_call) as usize] += 1;
        }
        count
    }

    #[test]
    fn a_source_has_a_burst_and_then_its_rate() {
        let (mut guard, now) = (guard(), clock());
        assert_eq!(admitted(&mut guard, now, "192.0.2.1", true, 20), [8, 11, 1], "passed, silence, told once");
        assert_eq!(admitted(&mut guard, now, "192.0.2.2", true, 8), [8, 0, 0], "another source is not affected");
        let later = now + Duration::from_secs(1);
        assert_eq!(admitted(&mut guard, later, "192.0.2.1", true, 20), [4, 16, 0], "still told");
        let later = now + Duration::from_secs(100);
        assert_eq!(admitted(&mut guard, later, "192.0.2.1", true, 20), [8, 11, 1], "no more than the burst is saved");
    }

    #[test]
    fn other_requests_beyond_the_rate_are_dropped_in_silence() {
        let (mut guard, now) = (guard(), clock());
        assert_eq!(admitted(&mut guard, now, "192.0.2.1", false, 30), [20, 10, 0]);
        assert_eq!(admitted(&mut guard, now, "192.0.2.1", true, 1), [1, 0, 0], "calls have their own");
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_a_mapped_address_is_ipv4() {
        let (mut guard, now) = (guard(), clock());
        assert_eq!(admitted(&mut guard, now, "2001:db8::1", true, 8), [8, 0, 0]);
        assert_eq!(guard.admit(now, address("2001:db8::ffff:1"), true), Admission::Busy);
        assert_eq!(guard.admit(now, address("2001:db8:0:1::1"), true), Admission::Pass);
        assert_eq!(admitted(&mut guard, now, "::ffff:192.0.2.1", true, 8), [8, 0, 0]);
        assert_eq!(guard.admit(now, address("192.0.2.1"), true), Admission::Busy);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_was_silent_longest() {
        let (mut guard, now) = (guard(), clock());
        guard.ban(now, address("192.0.2.1"));
        for number in 0..3 * MAX_SOURCES as u32 {
            guard.admit(now, IpAddr::from((0x0B00_0000 + number).to_be_bytes()), false);
            assert_eq!(guard.admit(now, address("192.0.2.1"), false), Admission::Silence, "seen all the time");
        }
        assert_eq!((guard.sources.len(), guard.order.len()), (MAX_SOURCES, MAX_SOURCES));
    }

    #[test]
    fn who_guesses_passwords_is_banned_for_some_minutes() {
        let (mut guard, now) = (guard(), clock());
        let guesser = address("192.0.2.1");
        for _ in 0..10 {
            guard.failed_authentication(now, guesser);
            assert_eq!(guard.admit(now, guesser, false), Admission::Pass);
        }
        let banned = now + Duration::from_secs(1);
        guard.failed_authentication(banned, guesser);
        assert_eq!(guard.admit(banned, guesser, true), Admission::Silence);
        assert_eq!(guard.admit(banned + BANNED_FOR, guesser, true), Admission::Pass);
        // One who mistypes now and then is not.
        for minute in 0..100 {
            guard.failed_authentication(now + Duration::from_secs(60 * minute), address("192.0.2.2"));
        }
        assert_eq!(guard.admit(now + Duration::from_secs(6000), address("192.0.2.2"), true), Admission::Pass);
    }

    #[test]
    fn an_account_has_its_own_limit_and_infinity_is_none() {
        let (mut guard, now) = (guard(), clock());
        let passed = (0..20).filter(|_| guard.admit_of_account(now, AccountId(0))).count();
        assert_eq!((passed, guard.admit_of_account(now, AccountId(1))), (6, true));
        let mut open = Guard::new(Limits::NONE);
        assert_eq!(admitted(&mut open, now, "192.0.2.1", true, 10_000), [10_000, 0, 0]);
        assert!((0..10_000).all(|_| open.admit_of_account(now, AccountId(0))));
    }

    #[test]
    fn scanners_are_known_by_their_names() {
        let request = |name: &str, value: &str| {
            let mut request = Request::new(Method::Options, Uri::of_host(Some("100"), "192.0.2.2"));
            request.headers.push(name, value);
            request
        };
        for (name, value) in [
            ("User-Agent", "friendly-scanner"),
            ("User-Agent", "sipcli/v1.8"),
            ("User-Agent", "VaxSIPUserAgent/3.1"),
            ("User-Agent", "pplsip"),
            ("From", "\"sipvicious\"<sip:100@1.1.1.1>;tag=1"),
        ] {
            assert!(is_scanner(&request(name, value)), "{value}");
        }
        for value in ["Asterisk PBX 22.0.0", "eyeBeam release 1102q", "sipsak 0.9.8", "Linphone/5.2", "Z 5.6.1"] {
            assert!(!is_scanner(&request("User-Agent", value)), "{value}");
        }
        for (name, value) in [
            ("From", "\"Anil Tiwari\" <sip:tiwari@192.0.2.1>;tag=1"),
            ("To", "\"Sipclipper Ltd\" <sip:100@192.0.2.2>"),
            ("User-Agent", "Tiwari Softphone 1.0"),
        ] {
            assert!(!is_scanner(&request(name, value)), "{value}");
        }
    }
}
