//! Our credentials towards one peer and the proxies before it: answers 401 and 407, and goes on with the nonces it knows,
//! so that the next request needs one round trip (RFC 3261 §22, RFC 7616 §3.4).
//!
//! Each realm of user agent or proxy is remembered for itself, and a request carries credentials for all of them
//! (RFC 3261 §22.3). A CANCEL and an ACK cannot be challenged; the ACK of a 2xx repeats what its INVITE carried.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Flow;
use super::auth::{Authorizer, Challenge, Credentials, Subject, next_nonce};
use super::message::{Request, Response};
use super::network::Network;

/// More challenges than this for one request are a quarrel, not a dialogue.
const MAX_CHALLENGES: u8 = 6;
/// More realms than this for one peer are no honest peer.
const MAX_REALMS: usize = 8;

/// A clone knows the nonces and their counts of that moment. When both go on with one nonce, the server sees a count
/// twice and challenges again, which costs a round trip: where two are to be used for long, begin each by `new`.
#[derive(Debug, Clone)]
pub(super) struct ClientAuth {
    credentials: Vec<Credentials>,
    /// Where credentials for any realm count; everywhere when empty.
    realms: BTreeSet<String>,
    /// By who challenged and for which realm.
    slots: BTreeMap<(Challenger, String), Slot>,
    challenges: u8,
}

/// Who asks for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Challenger {
    UserAgent,
    Proxy,
}

impl Challenger {
    const ALL: [Self; 2] = [Challenger::UserAgent, Challenger::Proxy];

    const fn challenge(self) -> &'static str {
        match self {
            Challenger::UserAgent => "WWW-Authenticate",
            Challenger::Proxy => "Proxy-Authenticate",
        }
    }

    /// Where the credentials for it stand.
    const fn answer(self) -> &'static str {
        match self {
            Challenger::UserAgent => "Authorization",
            Challenger::Proxy => "Proxy-Authorization",
        }
    }

    const fn info(self) -> &'static str {
        match self {
            Challenger::UserAgent => "Authentication-Info",
            Challenger::Proxy => "Proxy-Authentication-Info",
        }
    }
}

/// What we know of one realm.
#[derive(Debug, Clone)]
enum Slot {
    /// It has let an answer pass, or may have: when it challenges again, the nonce was too old.
    Known(Authorizer),
    /// Its challenge was answered for this request: when it comes again, our credentials are wrong.
    Asked(Authorizer),
    /// Our credentials are wrong. They are not sent again for this request.
    Refused,
}

impl Slot {
    fn authorizer(&mut self) -> Option<&mut Authorizer> {
        match self {
            Slot::Known(authorizer) | Slot::Asked(authorizer) => Some(authorizer),
            Slot::Refused => None,
        }
    }

    fn passed(&mut self) {
        if let Slot::Asked(authorizer) = self {
            *self = Slot::Known(authorizer.clone());
        }
    }
}

impl ClientAuth {
    pub fn new(credentials: Vec<Credentials>) -> Self {
        ClientAuth { credentials, realms: BTreeSet::new(), slots: BTreeMap::new(), challenges: 0 }
    }

    /// The realms that have challenged us and that we have credentials for.
    pub fn realms(&self) -> BTreeSet<String> {
        self.slots.keys().map(|(_, realm)| realm.clone()).collect()
    }

    /// A new request begins, which may go out with a nonce that is too old by now.
    pub fn begin(&mut self) {
        self.challenges = 0;
        self.slots.retain(|_, slot| !matches!(slot, Slot::Refused));
        self.slots.values_mut().for_each(Slot::passed);
    }

    /// Takes a 401 or 407, which may hold challenges of both kinds and of several realms (RFC 3261 §16.7 step 7). False
    /// when repeating the request with credentials is of no use.
    pub fn on_challenge(&mut self, response: &Response) -> bool {
        self.challenges = self.challenges.saturating_add(1);
        if !matches!(response.status, 401 | 407) || self.challenges > MAX_CHALLENGES {
            return false;
        }
        // What the user agent answers has passed the proxies.
        if response.status == 401 && response.headers.get(Challenger::Proxy.challenge()).is_none() {
            let proxies = self.slots.iter_mut().filter(|((who, _), _)| *who == Challenger::Proxy);
            proxies.for_each(|(_, slot)| slot.passed());
        }
        let mut is_answered = false;
        for who in Challenger::ALL {
            let mut realms: BTreeMap<String, Vec<Challenge>> = BTreeMap::new();
            for challenge in response.headers.all(who.challenge()).filter_map(|value| Challenge::parse(value).ok()) {
                realms.entry(challenge.realm.clone()).or_default().push(challenge);
            }
            for (realm, challenges) in realms {
                is_answered |= self.take(who, realm, &challenges);
            }
        }
        is_answered
    }

    /// Adds credentials for every realm that is known, in place of those that the request has. `cnonce` is fresh random
    /// text.
    pub fn authorize(&mut self, request: &mut Request, cnonce: &str) {
        let (method, uri, body) = (request.method.clone(), request.uri.to_string(), request.body.clone());
        let subject = Subject { method: method.as_str(), uri: &uri, body: &body };
        Challenger::ALL.iter().for_each(|who| request.headers.remove(who.answer()));
        for ((who, realm), slot) in &mut self.slots {
            if let (Some(authorizer), Some(credentials)) =
                (slot.authorizer(), Credentials::for_realm(&self.credentials, realm))
            {
                request.headers.push(who.answer(), authorizer.authorize(credentials, subject, cnonce));
            }
        }
    }

    /// Takes the nonce that the server wants to see next, if it says so in its answer (RFC 7615 §3). That does not say of
    /// which realm, so that it counts where there is only one.
    pub fn on_success(&mut self, response: &Response) {
        for who in Challenger::ALL {
            let mut slots = self.slots.iter_mut().filter(|((slot, _), _)| *slot == who).map(|(_, slot)| slot);
            if let (Some(slot), None) = (slots.next(), slots.next())
                && let Some(nonce) = response.headers.get(who.info()).and_then(next_nonce)
                && let Some(authorizer) = slot.authorizer()
            {
                authorizer.use_next_nonce(nonce);
            }
        }
    }

    /// Whether the challenges of one realm can be answered.
    fn take(&mut self, who: Challenger, realm: String, challenges: &[Challenge]) -> bool {
        match Credentials::for_realm(&self.credentials, &realm) {
            Some(Credentials { realm: Some(_), .. }) => {}
            Some(_) if self.realms.is_empty() || self.realms.contains(&realm) => {}
            Some(_) => {
                tracing::warn!(
                    realm,
                    "a password is asked for another realm than the registrar's: name it in credentials"
                );
                return false;
            }
            None => return false,
        }
        let Some(mut authorizer) = Authorizer::new(challenges) else { return false };
        let key = (who, realm);
        let is_full = self.slots.len() >= MAX_REALMS;
        let is_stale = challenges.iter().any(|challenge| challenge.stale);
        match self.slots.get_mut(&key) {
            Some(slot @ (Slot::Asked(_) | Slot::Refused)) if !is_stale => {
                *slot = Slot::Refused;
                return false;
            }
            Some(Slot::Asked(earlier) | Slot::Known(earlier)) => authorizer = authorizer.following(earlier),
            Some(Slot::Refused) => {}
            None if is_full => return false,
            None => {}
        }
        self.slots.insert(key, Slot::Asked(authorizer));
        true
    }
}

/// Our credentials in the calls and texts of an account. A caller may challenge what we send him as well as the registrar
/// may, and guess passwords by what we answer to a nonce of his. So they go the account's own way only, and where the
/// registrar has challenged us, only for its realms.
#[derive(Debug, Clone)]
pub(super) struct AccountAuth {
    auth: ClientAuth,
    /// The registrar's, or those of the trunk.
    addresses: BTreeSet<IpAddr>,
    /// What the operator vouches for.
    access: Vec<Network>,
}

impl AccountAuth {
    /// `realms` are those of the registrar. If there are none, credentials without a realm count for any. `access` is where
    /// the account's calls come from beside its own way.
    pub fn new(credentials: Vec<Credentials>, realms: BTreeSet<String>, access: Vec<Network>) -> Self {
        let auth = ClientAuth { realms, ..ClientAuth::new(credentials) };
        AccountAuth { auth, addresses: BTreeSet::new(), access }
    }

    /// The account's own way leads over these too.
    pub fn trust<'a>(&mut self, flows: impl IntoIterator<Item = &'a Flow>) {
        self.addresses.extend(flows.into_iter().map(|flow| flow.remote.ip().to_canonical()));
    }

    /// Whether that is the account's own way.
    pub fn is_for(&self, flow: &Flow) -> bool {
        let there = flow.remote.ip().to_canonical();
        self.addresses.contains(&there) || self.access.iter().any(|network| network.contains(there))
    }

    /// As [`ClientAuth::begin`].
    pub fn begin(&mut self) {
        self.auth.begin();
    }

    /// As [`ClientAuth::on_challenge`], for a request that went over `flow`.
    pub fn on_challenge(&mut self, flow: &Flow, response: &Response) -> bool {
        self.is_for(flow) && self.auth.on_challenge(response)
    }

    /// As [`ClientAuth::authorize`], for a request that goes over `flow`: elsewhere it goes without credentials.
    pub fn authorize(&mut self, flow: &Flow, request: &mut Request, cnonce: &str) {
        if self.is_for(flow) {
            self.auth.authorize(request, cnonce);
        } else {
            Self::strip(request);
        }
    }

    /// Copies the credentials of a request.
    pub fn credentials_of(request: &Request) -> Vec<(&'static str, String)> {
        let all = Challenger::ALL.into_iter().map(Challenger::answer);
        all.flat_map(|name| request.headers.all(name).map(move |value| (name, value.to_owned()))).collect()
    }

    /// Takes the credentials off.
    pub fn strip(request: &mut Request) {
        Challenger::ALL.iter().for_each(|who| request.headers.remove(who.answer()));
    }

    /// As [`ClientAuth::on_success`], for a request that went over `flow`.
    pub fn on_success(&mut self, flow: &Flow, response: &Response) {
        if self.is_for(flow) {
            self.auth.on_success(response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;
    use crate::sip::message::{Method, Uri};

    fn request() -> Request {
        Request::new(Method::Register, Uri::of_host(None, "h"))
    }

    fn challenge(status: u16, stale: bool) -> Response {
        let header = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
        Response::answer(&request(), status).with(header, format!("Digest realm=\"r\", nonce=\"n\", stale={stale}"))
    }

    fn user(realm: Option<&str>, username: &str) -> Credentials {
        Credentials { realm: realm.map(str::to_owned), username: username.into(), password: "p".into() }
    }

    fn auth() -> ClientAuth {
        ClientAuth::new(vec![user(None, "u")])
    }

    /// The values of a header in the next request.
    fn sent(auth: &mut ClientAuth, header: &str) -> Vec<String> {
        let mut request = request();
        auth.authorize(&mut request, "c");
        request.headers.all(header).map(str::to_owned).collect()
    }

    #[test]
    fn a_second_challenge_means_wrong_credentials_unless_stale() {
        let mut auth = auth();
        assert!(auth.on_challenge(&challenge(401, false)));
        assert!(auth.on_challenge(&challenge(401, true)), "only the nonce was too old");
        assert!(auth.on_challenge(&challenge(407, false)), "another challenger");
        assert!(!auth.on_challenge(&challenge(401, false)));
        auth.begin();
        assert!(auth.on_challenge(&challenge(401, false)), "a new request begins anew");
    }

    #[test]
    fn endless_stale_challenges_end() {
        let mut auth = auth();
        assert_eq!((0..10).filter(|_| auth.on_challenge(&challenge(401, true))).count(), usize::from(MAX_CHALLENGES));
    }

    #[test]
    fn a_challenge_that_we_cannot_answer_is_refused() {
        assert!(!auth().on_challenge(&Response::answer(&request(), 401)));
        let mut elsewhere = ClientAuth::new(vec![user(Some("elsewhere"), "u")]);
        assert!(!elsewhere.on_challenge(&challenge(401, false)), "no credentials for that realm");
        assert!(!auth().on_challenge(&challenge(403, false)));
    }

    #[test]
    fn all_realms_of_a_response_are_answered_each_with_its_own_credentials() {
        let mut auth = ClientAuth::new(vec![user(None, "any"), user(Some("b"), "boris")]);
        let of = |realm: &str, algorithm: &str| format!("Digest realm={realm}, nonce=n{realm}, algorithm={algorithm}");
        let response = challenge(407, false)
            .with("Proxy-Authenticate", of("b", "MD5"))
            .with("Proxy-Authenticate", of("b", "SHA-256"))
            .with("WWW-Authenticate", of("b", "MD5"));
        assert!(auth.on_challenge(&response));
        let proxy = sent(&mut auth, "Proxy-Authorization");
        assert_eq!(proxy.len(), 2);
        assert!(proxy[0].contains("username=\"boris\", realm=\"b\"") && proxy[0].contains("algorithm=SHA-256"));
        assert!(proxy[1].contains("username=\"any\", realm=\"r\""));
        assert_eq!(sent(&mut auth, "Authorization").len(), 1);
    }

    #[test]
    fn one_refused_realm_does_not_hinder_another() {
        let mut auth = auth();
        let both = || challenge(407, false).with("Proxy-Authenticate", "Digest realm=other, nonce=o");
        assert!(auth.on_challenge(&challenge(407, false)));
        assert!(auth.on_challenge(&both()), "the other is new");
        assert_eq!(sent(&mut auth, "Proxy-Authorization").len(), 1, "what was refused is not sent again");
        assert!(!auth.on_challenge(&both()));
    }

    #[test]
    fn a_proxy_whose_nonce_was_used_up_on_the_way_to_the_user_agent_is_answered_again() {
        let mut auth = auth();
        assert!(auth.on_challenge(&challenge(407, false)));
        assert!(auth.on_challenge(&challenge(401, false)));
        assert!(auth.on_challenge(&challenge(407, false)));
        assert!(!auth.on_challenge(&challenge(407, false)));
    }

    #[test]
    fn realms_without_end_are_not_kept() {
        let mut auth = auth();
        let many = (0..100).fold(challenge(401, false), |response, n| {
            response.with("WWW-Authenticate", format!("Digest realm={n}, nonce=n"))
        });
        assert!(auth.on_challenge(&many));
        assert_eq!(sent(&mut auth, "Authorization").len(), MAX_REALMS);
    }

    #[test]
    fn the_next_nonce_is_used_next() {
        let mut auth = auth();
        let ok =
            |nonce| Response::answer(&request(), 200).with("Authentication-Info", format!("nextnonce=\"{nonce}\""));
        auth.on_success(&ok("early"));
        assert!(auth.on_challenge(&challenge(401, false)));
        assert!(sent(&mut auth, "Authorization")[0].contains("nonce=\"n\""));
        auth.on_success(&ok("n2"));
        assert!(sent(&mut auth, "Authorization")[0].contains("nonce=\"n2\""));
        assert!(auth.on_challenge(&challenge(407, false)));
        auth.on_success(&ok("n3"));
        assert!(sent(&mut auth, "Proxy-Authorization")[0].contains("nonce=\"n\""), "that is another's");
    }

    #[test]
    fn an_accounts_credentials_go_its_own_way_only() {
        let to = |address: &str| Flow {
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: (address.parse::<IpAddr>().unwrap(), 5060).into(),
        };
        let mut auth = AccountAuth::new(Vec::new(), BTreeSet::new(), vec!["198.51.100.0/24".parse().unwrap()]);
        auth.trust(&[to("192.0.2.9")]);
        let is_for =
            ["192.0.2.9", "::ffff:192.0.2.9", "198.51.100.7", "192.0.2.8"].map(|there| auth.is_for(&to(there)));
        assert_eq!(is_for, [true, true, true, false]);
    }
}
