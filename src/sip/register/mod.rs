//! Registration that heals itself (RFC 3261 §10.2), and trunks by address, which need none.
//!
//! We refresh after a third of the lifetime, so that a registrar that has forgotten us learns of us again soon; what
//! fails is tried again, ever more slowly; what is refused is tried slowly, since asking faster helps nobody. Each time
//! the registrar is resolved anew, for it may have moved, and so may we: our address is that of the path to it, or the
//! one at which the registrar sees us (RFC 3581). An address that we had before is taken off in the same REGISTER.
//!
//! Left out: outbound (RFC 5626; keep-alive is the shell's), Path (RFC 3327), Service-Route (RFC 3608), GRUU (RFC 5627),
//! several contacts.

mod targets;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::Rng;

use super::client_auth::{AccountAuth, ClientAuth};
use super::core::{Core, Owner};
use super::message::{CSeq, Envelope, Method, NameAddr, Request, Response, Uri, Via};
use super::parties;
use super::transaction::{Failed, Failure};
use super::{Account, AccountId, Event, Flow, Output, RegistrationFailure, RegistrationState, ResolveId, Transport};
use targets::Targets;

const FIRST_RETRY: Duration = Duration::from_secs(2);
const SLOWEST_RETRY: Duration = Duration::from_secs(30);
/// After a refusal, which a person has to put right.
const REFUSED_RETRY: Duration = Duration::from_secs(60);
/// So many refusals in a row are taken for a moment's; then the pause doubles …
const PATIENT_REFUSALS: u32 = 8;
/// … up to this.
const SLOWEST_REFUSED_RETRY: Duration = Duration::from_secs(600);
/// A registrar that tells us to wait longer is asked after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(1800);
/// How long a registrar is waited for while there are others.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than this in one round lead nowhere.
const MAX_REDIRECTS: u8 = 3;
/// How often in one round our address is corrected by what the registrar sees.
const MAX_CORRECTIONS: u8 = 2;
/// How often the addresses of a trunk by address are looked up.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(300);
/// How many addresses of a registrar are used.
const MAX_TARGETS: usize = 32;
/// Lifetimes beyond are taken for this: a day.
const LONGEST_LIFETIME_S: u64 = 86_400;
const SHORTEST_LIFETIME_S: u64 = 3;

pub(super) struct Registration {
    account: Account,
    state: State,
    auth: ClientAuth,
    call_id: String,
    local_tag: String,
    cseq: u32,
    /// In seconds; grows with 423.
    expires_s: u64,
    /// Failures in a row.
    failures: u32,
    /// Refusals in a row.
    refusals: u32,
    /// Where the registrar was found, best first: a call from there belongs to this account.
    found: Vec<Flow>,
    targets: Targets,
    /// What the registrar knows of us.
    bound: Option<Binding>,
    round: Round,
}

/// What belongs to one attempt to register, with all its requests.
struct Round {
    /// The Request-URI: our domain, or whom a redirection names.
    registrar: Uri,
    /// The contact of the last request.
    contact: NameAddr,
    redirects: u8,
    corrections: u8,
}

struct Binding {
    flow: Flow,
    contact: NameAddr,
    until: Instant,
}

enum State {
    Resolving {
        id: ResolveId,
    },
    /// A REGISTER is out; `more` are flows to try when this one is dead, or silent until `give_up_at`.
    Asking {
        flow: Flow,
        more: VecDeque<Flow>,
        give_up_at: Option<Instant>,
    },
    Registered {
        flow: Flow,
        refresh_at: Instant,
    },
    /// A trunk by address, whose address is known.
    Static {
        look_up_at: Instant,
    },
    Waiting {
        retry_at: Instant,
    },
    /// A REGISTER that takes us off is out.
    Leaving {
        flow: Flow,
    },
    Gone,
}

impl Registration {
    pub fn start(core: &mut Core, account: Account) -> Self {
        let lifetime_s = account.expires.map_or(SHORTEST_LIFETIME_S, |expires| expires.as_secs());
        let mut registration = Registration {
            expires_s: lifetime_s.clamp(SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S),
            auth: ClientAuth::new(account.credentials.clone()),
            round: Round::new(&account),
            account,
            state: State::Gone,
            call_id: core.token(),
            local_tag: core.token(),
            cseq: 0,
            failures: 0,
            refusals: 0,
            found: Vec::new(),
            targets: Targets::default(),
            bound: None,
        };
        registration.begin(core, true);
        registration
    }

    pub fn id(&self) -> AccountId {
        self.account.id
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether a message from that address is the account's: it is the registrar's or in the access list.
    pub fn is_from(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.found.iter().any(|found| found.remote.ip().to_canonical() == address)
            || self.bound.as_ref().is_some_and(|bound| bound.flow.remote.ip().to_canonical() == address)
            || self.account.access.iter().any(|network| network.contains(address))
    }

    /// Whether a call is for this account and not for another one at the same registrar.
    pub fn is_called(&self, invite: &Request, to: &Uri) -> bool {
        let asserted: Option<NameAddr> = invite.headers.get("P-Called-Party-ID").and_then(|value| value.parse().ok());
        let named = [Some(&invite.uri), Some(to), asserted.as_ref().map(|party| &party.uri)];
        let Account { numbering, username, .. } = &self.account;
        named.into_iter().flatten().any(|uri| parties::is_same(numbering, uri, username))
    }

    /// Our address as the registrar sees it, for a flow that begins where the one to the registrar does.
    pub fn seen_as(&self, core: &Core, flow: &Flow) -> Option<SocketAddr> {
        let bound = self.bound.as_ref().map(|bound| bound.flow)?;
        ((bound.transport, bound.local) == (flow.transport, flow.local)).then(|| core.our_address(&bound))
    }

    /// What we answer to challenges in the calls of this account with, if it has credentials: towards where the registrar
    /// was found and what the access list names, and in the realms that the registrar has challenged with, if it has.
    pub fn account_auth(&self) -> Option<AccountAuth> {
        let credentials = self.account.credentials.clone();
        let mut auth = (!credentials.is_empty())
            .then(|| AccountAuth::new(credentials, self.auth.realms(), self.account.access.clone()))?;
        auth.trust(&self.found);
        auth.trust(self.bound.as_ref().map(|bound| &bound.flow));
        Some(auth)
    }

    /// The flow over which the registrar knows us.
    pub fn flow(&self) -> Option<Flow> {
        self.bound.as_ref().map(|bound| bound.flow)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Registered { refresh_at: at, .. }
            | State::Waiting { retry_at: at }
            | State::Static { look_up_at: at } => Some(*at),
            State::Asking { give_up_at, .. } => *give_up_at,
            State::Resolving { .. } | State::Leaving { .. } | State::Gone => None,
        }
    }

    pub fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking { flow, more, .. } => {
                self.target_failed(core, now, &flow, more, RegistrationFailure::Timeout, None);
            }
            State::Waiting { .. } => self.begin(core, true),
            _ => self.begin(core, false),
        }
    }

    pub fn on_resolved(&mut self, core: &mut Core, now: Instant, id: ResolveId, mut flows: Vec<Flow>) {
        if !matches!(self.state, State::Resolving { id: asked } if asked == id) {
            return;
        }
        flows.truncate(MAX_TARGETS);
        if self.account.expires.is_none() {
            return self.on_looked_up(core, now, flows);
        }
        let known = self.bound.as_ref().map(|bound| bound.flow);
        let mut order: VecDeque<Flow> = self.targets.order(now, &flows, known).into();
        if self.round.redirects == 0 {
            // What has worked is the last guess when the resolver does not name it.
            order.extend(known.filter(|known| !flows.iter().any(|flow| targets::is_same(flow, known))));
            if !flows.is_empty() {
                self.found = flows;
            }
        } else if self.found.len() < MAX_TARGETS {
            self.found.append(&mut flows);
        }
        match order.pop_front() {
            Some(flow) => self.ask(core, now, flow, order),
            None => self.fail(core, now, RegistrationFailure::NoAddress, None),
        }
    }

    pub fn on_response(&mut self, core: &mut Core, now: Instant, response: &Response, envelope: &Envelope) {
        if response.is_provisional() || envelope.call_id != self.call_id || envelope.cseq.number != self.cseq {
            return;
        }
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking { flow, more, .. } => {
                let corrected = seen_by_peer(&envelope.via, &flow).is_some_and(|seen| core.learn(&flow, seen));
                self.on_answer(core, now, response, flow, more, corrected);
            }
            State::Leaving { flow } => {
                if matches!(response.status, 401 | 407) && self.auth.on_challenge(response) {
                    self.leave(core, now, flow);
                } else {
                    self.report(core, RegistrationState::Unregistered);
                }
            }
            state => self.state = state,
        }
    }

    pub fn on_failed(&mut self, core: &mut Core, now: Instant, failed: Failed<Owner>) {
        if failed.cseq.number != self.cseq {
            return;
        }
        let reason = match failed.why {
            Failure::Timeout => RegistrationFailure::Timeout,
            Failure::Transport(error) => RegistrationFailure::Transport(error),
        };
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking { flow, more, .. } => self.target_failed(core, now, &flow, more, reason, None),
            State::Leaving { .. } => self.report(core, RegistrationState::Unregistered),
            state => self.state = state,
        }
    }

    /// Without its connection the registrar cannot call us, whatever it still knows.
    pub fn on_flow_failed(&mut self, core: &mut Core, now: Instant, failed: &Flow, error: &str) {
        if matches!(&self.state, State::Registered { flow, .. } if flow == failed && flow.transport.is_reliable()) {
            self.fail(core, now, RegistrationFailure::Transport(error.to_owned()), None);
        }
    }

    /// Takes us off the registrar (RFC 3261 §10.2.2).
    pub fn unregister(&mut self, core: &mut Core, now: Instant) {
        // What is tried again may be a refresh: then the registrar knows us still.
        let known = self.bound.as_ref().filter(|bound| bound.until > now).map(|bound| bound.flow);
        match (std::mem::replace(&mut self.state, State::Gone), known) {
            (State::Registered { flow, .. } | State::Asking { flow, .. }, _)
            | (State::Resolving { .. } | State::Waiting { .. }, Some(flow)) => {
                self.auth.begin();
                self.leave(core, now, flow);
            }
            (State::Leaving { flow }, _) => self.state = State::Leaving { flow },
            (State::Resolving { .. } | State::Waiting { .. } | State::Static { .. }, _) => {
                self.report(core, RegistrationState::Unregistered);
            }
            (State::Gone, _) => {}
        }
    }

    /// The addresses of a trunk by address; those that we have are good until there are others.
    fn on_looked_up(&mut self, core: &mut Core, now: Instant, flows: Vec<Flow>) {
        let Some(first) = flows.first().copied() else {
            return self.fail(core, now, RegistrationFailure::NoAddress, None);
        };
        let is_news = self.failures > 0 || self.found.first() != Some(&first);
        self.failures = 0;
        self.found = flows;
        self.state = State::Static { look_up_at: now + LOOK_UP_AGAIN.mul_f64(core.rng.random_range(0.9..1.1)) };
        if is_news {
            self.report(core, RegistrationState::Static { trunk: first.remote });
        }
    }

    fn on_answer(
        &mut self,
        core: &mut Core,
        now: Instant,
        response: &Response,
        flow: Flow,
        more: VecDeque<Flow>,
        corrected: bool,
    ) {
        match response.status {
            200..300 => {
                self.auth.on_success(response);
                let lifetime = Duration::from_secs(self.granted_s(response));
                let until = now + lifetime;
                self.bound = Some(Binding { flow, contact: self.round.contact.clone(), until });
                self.targets.forgive(&flow);
                // RFC 3581: it sees us elsewhere than we said, so a call would not reach us.
                if corrected && self.round.corrections < MAX_CORRECTIONS {
                    self.round.corrections += 1;
                    return self.ask(core, now, flow, more);
                }
                self.failures = 0;
                self.refusals = 0;
                let better_at = self.targets.better_at(&self.found, &flow).filter(|at| *at > now);
                let refresh_at = better_at.into_iter().fold(now + lifetime / 3, Instant::min);
                self.state = State::Registered { flow, refresh_at };
                let seen_as = core.our_address(&flow);
                let Flow { remote: registrar, transport, .. } = flow;
                self.report(core, RegistrationState::Registered { until, registrar, transport, seen_as });
            }
            300..=399 => self.follow(core, now, response),
            401 | 407 if self.auth.on_challenge(response) => self.ask(core, now, flow, more),
            status @ (401 | 403 | 407) => {
                self.refused(core, now, RegistrationFailure::Credentials { status }, retry_after(response));
            }
            // RFC 3261 §10.2.8
            423 if self.raise_expires(response) => self.ask(core, now, flow, more),
            status => {
                let reason = RegistrationFailure::Rejected { status, reason: response.reason.clone() };
                match status {
                    408 | 500..600 => self.target_failed(core, now, &flow, more, reason, retry_after(response)),
                    _ => self.refused(core, now, reason, retry_after(response)),
                }
            }
        }
    }

    /// Goes to the first whom a redirection names (RFC 3261 §8.1.3.4).
    fn follow(&mut self, core: &mut Core, now: Instant, response: &Response) {
        let contacts = response.headers.values("Contact").filter_map(|contact| contact.parse::<NameAddr>().ok());
        let target = contacts.map(|contact| contact.uri).find(Uri::is_sip);
        match target {
            Some(uri) if self.round.redirects < MAX_REDIRECTS => {
                self.round.redirects += 1;
                let transport = uri.transport().or(self.account.transport);
                let id = core.resolve_for_account(Owner::Account(self.account.id), &uri.host, uri.port, transport);
                self.round.registrar = Uri { headers: None, user: None, ..uri };
                self.state = State::Resolving { id };
            }
            _ => {
                let Response { status, reason, .. } = response;
                let reason = RegistrationFailure::Rejected { status: *status, reason: reason.clone() };
                self.refused(core, now, reason, retry_after(response));
            }
        }
    }

    fn raise_expires(&mut self, response: &Response) -> bool {
        let minimum: Option<u64> = response.headers.get("Min-Expires").and_then(|value| value.trim().parse().ok());
        match minimum {
            Some(minimum) if minimum > self.expires_s && minimum <= LONGEST_LIFETIME_S => {
                self.expires_s = minimum;
                true
            }
            _ => false,
        }
    }

    /// The lifetime that the registrar grants to our contact, in seconds (RFC 3261 §10.2.4, §10.3 step 8).
    fn granted_s(&self, response: &Response) -> u64 {
        let ours = &self.round.contact.uri;
        let contacts: Vec<NameAddr> =
            response.headers.values("Contact").filter_map(|contact| contact.parse().ok()).collect();
        let mine =
            contacts.iter().find(|c| (&c.uri.user, &c.uri.host, c.uri.port) == (&ours.user, &ours.host, ours.port));
        // A registrar behind or before a NAT may write our contact otherwise; if it is the only one, it is ours.
        let only = if let [only] = contacts.as_slice() { Some(only) } else { None };
        let of_contact = mine.or(only).and_then(|contact| contact.params.get("expires"));
        let granted =
            of_contact.or_else(|| response.headers.get("Expires")).and_then(|value| value.trim().parse().ok());
        granted.unwrap_or(self.expires_s).clamp(SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S)
    }

    /// A new round; `anew` if we are not registered.
    fn begin(&mut self, core: &mut Core, anew: bool) {
        if anew && self.account.expires.is_some() {
            self.report(core, RegistrationState::Registering);
        }
        self.round = Round::new(&self.account);
        self.auth.begin();
        let Account { id, registrar, port, transport, .. } = &self.account;
        let id = core.resolve_for_account(Owner::Account(*id), registrar, *port, *transport);
        self.state = State::Resolving { id };
    }

    fn ask(&mut self, core: &mut Core, now: Instant, flow: Flow, more: VecDeque<Flow>) {
        let register = self.register(core, now, &flow, self.expires_s);
        if core.request(now, flow, &register, Owner::Account(self.account.id)).is_none() {
            return self.fail(core, now, RegistrationFailure::Transport("too many transactions".into()), None);
        }
        // While the registrar still knows us there must be time to ask another one before it forgets.
        let left = self.bound.as_ref().map(|bound| bound.until.saturating_duration_since(now));
        let patience = left.filter(|left| !left.is_zero()).map_or(PATIENCE, |left| PATIENCE.min(left / 4));
        let give_up_at = (!more.is_empty()).then(|| now + patience);
        self.state = State::Asking { flow, more, give_up_at };
    }

    fn leave(&mut self, core: &mut Core, now: Instant, flow: Flow) {
        let register = self.register(core, now, &flow, 0);
        if core.request(now, flow, &register, Owner::Account(self.account.id)).is_some() {
            self.state = State::Leaving { flow };
        } else {
            self.report(core, RegistrationState::Unregistered);
        }
    }

    fn register(&mut self, core: &mut Core, now: Instant, flow: &Flow, expires_s: u64) -> Request {
        let Account { domain, username, .. } = &self.account;
        self.cseq += 1;
        let aor = NameAddr::new(None, Uri::of_host(Some(username), domain));
        let contact = core.contact(username, flow);
        let mut register = Request::new(Method::Register, self.round.registrar.clone());
        register.headers.push("From", aor.clone().with_tag(&self.local_tag).to_string());
        register.headers.push("To", aor.to_string());
        register.headers.push("Call-ID", self.call_id.clone());
        register.headers.push("CSeq", CSeq { number: self.cseq, method: Method::Register }.to_string());
        register.headers.push("Contact", contact.to_string());
        if let Some(bound) = self.bound.as_ref().filter(|bound| bound.until > now && bound.contact != contact) {
            register.headers.push("Contact", format!("{};expires=0", bound.contact));
        }
        register.headers.push("Expires", expires_s.to_string());
        self.round.contact = contact;
        let cnonce = core.token();
        self.auth.authorize(&mut register, &cnonce);
        register
    }

    /// The registrar cannot serve us at that address: perhaps at the next.
    fn target_failed(
        &mut self,
        core: &mut Core,
        now: Instant,
        flow: &Flow,
        mut more: VecDeque<Flow>,
        reason: RegistrationFailure,
        pause: Option<Duration>,
    ) {
        self.targets.punish(now, flow, pause);
        match more.pop_front() {
            Some(next) => {
                // Another one challenges by itself.
                self.auth.begin();
                self.ask(core, now, next, more);
            }
            None => self.fail(core, now, reason, pause),
        }
    }

    fn fail(&mut self, core: &mut Core, now: Instant, reason: RegistrationFailure, pause: Option<Duration>) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(SLOWEST_RETRY);
        self.failures = self.failures.saturating_add(1);
        // Telephones that failed together do not come back together.
        let wait = wait.mul_f64(core.rng.random_range(0.75..1.0));
        self.wait(core, now, wait, reason, pause);
    }

    fn refused(&mut self, core: &mut Core, now: Instant, reason: RegistrationFailure, pause: Option<Duration>) {
        let doublings = self.refusals.saturating_sub(PATIENT_REFUSALS).min(8);
        self.refusals = self.refusals.saturating_add(1);
        let wait = REFUSED_RETRY.saturating_mul(1 << doublings).min(SLOWEST_REFUSED_RETRY);
        let wait = wait.mul_f64(core.rng.random_range(1.0..1.25));
        self.wait(core, now, wait, reason, pause);
    }

    /// `pause` is what the registrar asks for instead.
    fn wait(
        &mut self,
        core: &mut Core,
        now: Instant,
        wait: Duration,
        reason: RegistrationFailure,
        pause: Option<Duration>,
    ) {
        let wait = pause.map_or(wait, |pause| pause.max(FIRST_RETRY).mul_f64(core.rng.random_range(1.0..1.1)));
        let retry_at = now + wait;
        self.state = State::Waiting { retry_at };
        self.report(core, RegistrationState::Failed { reason, retry_at });
    }

    fn report(&self, core: &mut Core, state: RegistrationState) {
        core.output.push_back(Output::Event(Event::Registration { account: self.account.id, state }));
    }
}

impl Round {
    fn new(account: &Account) -> Self {
        let registrar = Uri::of_host(None, &account.domain);
        Round { contact: NameAddr::new(None, registrar.clone()), registrar, redirects: 0, corrections: 0 }
    }
}

/// Where the peer saw our request come from (RFC 3581 §4), if he says so. Over a connection the port is that of the
/// connection, at which nobody listens; only the address counts.
fn seen_by_peer(via: &Via, flow: &Flow) -> Option<SocketAddr> {
    let received = via.params.get("received").map_or(via.host.as_str(), |received| received);
    let address: IpAddr = received.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let port = match flow.transport {
        Transport::Udp => via.params.get("rport")?.parse().ok().filter(|port| *port != 0)?,
        Transport::Tcp | Transport::Tls => flow.local.port(),
    };
    let address = address.to_canonical();
    (!address.is_unspecified() && !address.is_multicast()).then(|| SocketAddr::new(address, port))
}

/// RFC 3261 §20.33: seconds, perhaps with a comment and parameters.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.get("Retry-After")?.trim();
    let digits = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    let seconds: u64 = digits.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
