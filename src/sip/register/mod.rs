//! Registration that heals itself (RFC 3261 §10.2).
//!
//! We refresh after a third of the lifetime, so that a registrar that has forgotten us learns of us again soon; what
//! fails is tried again, ever more slowly; what is refused is tried slowly, since asking faster helps nobody. Each time
//! the registrar is resolved anew, for it may have moved, and so may we: our address is that of the path to it.
//!
//! Left out: outbound (RFC 5626), Path, Service-Route, several contacts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;

use super::client_auth::ClientAuth;
use super::core::{Core, Owner, contact};
use super::message::{CSeq, Envelope, Method, NameAddr, Request, Response, Uri};
use super::transaction::{Failed, Failure};
use super::{Account, AccountId, Event, Flow, Output, RegistrationFailure, RegistrationState, ResolveId};

const FIRST_RETRY: Duration = Duration::from_secs(2);
const SLOWEST_RETRY: Duration = Duration::from_secs(30);
/// After a refusal, which a person has to put right.
const REFUSED_RETRY: Duration = Duration::from_secs(60);
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
    /// Where the registrar was found: a call from there belongs to this account.
    found: Vec<Flow>,
}

enum State {
    Resolving {
        id: ResolveId,
        /// The flow over which the registrar knows us, if it does.
        known: Option<Flow>,
    },
    /// A REGISTER is out; `more` are flows to try when this one is dead.
    Asking {
        flow: Flow,
        more: VecDeque<Flow>,
    },
    Registered {
        flow: Flow,
        refresh_at: Instant,
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
        let mut registration = Registration {
            expires_s: account.expires.map_or(SHORTEST_LIFETIME_S, |expires| expires.as_secs()).clamp(SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S),
            auth: ClientAuth::new(account.credentials.clone()),
            account,
            state: State::Gone,
            call_id: core.token(),
            local_tag: core.token(),
            cseq: 0,
            failures: 0,
            found: Vec::new(),
        };
        registration.resolve(core, None);
        registration
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether a message over that flow comes from the registrar's address.
    pub fn is_from_registrar(&self, flow: &Flow) -> bool {
        self.found.iter().any(|found| found.remote.ip() == flow.remote.ip())
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Registered { refresh_at: at, .. } | State::Waiting { retry_at: at } => Some(*at),
            _ => None,
        }
    }

    pub fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        match self.state {
            State::Registered { flow, refresh_at } if refresh_at <= now => self.resolve(core, Some(flow)),
            State::Waiting { retry_at } if retry_at <= now => self.resolve(core, None),
            _ => {}
        }
    }

    pub fn on_resolved(&mut self, core: &mut Core, now: Instant, id: ResolveId, flows: Vec<Flow>) {
        let State::Resolving { id: asked, known } = self.state else { return };
        if asked != id {
            return;
        }
        let mut more = VecDeque::from(flows);
        if let Some(known) = known {
            // What has worked comes first, and is still the best guess when the resolver knows nothing.
            match more.iter().position(|flow| flow.remote == known.remote) {
                Some(at) => more.rotate_left(at),
                None if more.is_empty() => more.push_back(known),
                None => {}
            }
        }
        let Some(flow) = more.pop_front() else {
            return self.fail(core, now, RegistrationFailure::NoAddress);
        };
        self.found = std::iter::once(flow).chain(more.iter().copied()).collect();
        self.auth.begin();
        self.ask(core, now, flow, more);
    }

    pub fn on_response(&mut self, core: &mut Core, now: Instant, response: &Response, envelope: &Envelope) {
        if response.is_provisional() || envelope.call_id != self.call_id || envelope.cseq.number != self.cseq {
            return;
        }
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking { flow, more } => self.on_answer(core, now, response, flow, more),
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
            State::Asking { mut more, .. } => match more.pop_front() {
                Some(flow) => self.ask(core, now, flow, more),
                None => self.fail(core, now, reason),
            },
            State::Leaving { .. } => self.report(core, RegistrationState::Unregistered),
            state => self.state = state,
        }
    }

    /// Without its connection the registrar cannot call us, whatever it still knows.
    pub fn on_flow_failed(&mut self, core: &mut Core, now: Instant, failed: &Flow, error: &str) {
        if matches!(&self.state, State::Registered { flow, .. } if flow == failed && flow.transport.is_reliable()) {
            self.fail(core, now, RegistrationFailure::Transport(error.to_owned()));
        }
    }

    /// Takes us off the registrar (RFC 3261 §10.2.2).
    pub fn unregister(&mut self, core: &mut Core, now: Instant) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Registered { flow, .. }
            | State::Asking { flow, .. }
            | State::Resolving { known: Some(flow), .. } => {
                self.auth.begin();
                self.leave(core, now, flow);
            }
            State::Leaving { flow } => self.state = State::Leaving { flow },
            State::Resolving { known: None, .. } | State::Waiting { .. } => {
                self.report(core, RegistrationState::Unregistered)
            }
            State::Gone => {}
        }
    }

    fn on_answer(&mut self, core: &mut Core, now: Instant, response: &Response, flow: Flow, more: VecDeque<Flow>) {
        match response.status {
            200..300 => {
                self.failures = 0;
                self.auth.on_success(response);
                let lifetime = Duration::from_secs(self.granted_s(response, &flow));
                let until = now + lifetime;
                self.state = State::Registered { flow, refresh_at: now + lifetime / 3 };
                self.report(core, RegistrationState::Registered { until, registrar: flow.remote, seen_as: flow.local });
            }
            401 | 407 if self.auth.on_challenge(response) => self.ask(core, now, flow, more),
            status @ (401 | 403 | 407) => self.refused(core, now, RegistrationFailure::Credentials { status }),
            // RFC 3261 §10.2.8
            423 if self.raise_expires(response) => self.ask(core, now, flow, more),
            status => {
                let reason = RegistrationFailure::Rejected { status, reason: response.reason.clone() };
                match status {
                    408 | 500..600 => self.fail(core, now, reason),
                    _ => self.refused(core, now, reason),
                }
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
    fn granted_s(&self, response: &Response, flow: &Flow) -> u64 {
        let ours = contact(&self.account.username, flow).uri;
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

    fn resolve(&mut self, core: &mut Core, known: Option<Flow>) {
        if known.is_none() {
            self.report(core, RegistrationState::Registering);
        }
        let Account { id, registrar, port, transport, .. } = &self.account;
        let id = core.resolve(Owner::Account(*id), registrar, *port, *transport);
        self.state = State::Resolving { id, known };
    }

    fn ask(&mut self, core: &mut Core, now: Instant, flow: Flow, more: VecDeque<Flow>) {
        let register = self.register(core, &flow, self.expires_s);
        if core.request(now, flow, &register, Owner::Account(self.account.id)).is_some() {
            self.state = State::Asking { flow, more };
        } else {
            self.fail(core, now, RegistrationFailure::Transport("too many transactions".into()));
        }
    }

    fn leave(&mut self, core: &mut Core, now: Instant, flow: Flow) {
        let register = self.register(core, &flow, 0);
        if core.request(now, flow, &register, Owner::Account(self.account.id)).is_some() {
            self.state = State::Leaving { flow };
        } else {
            self.report(core, RegistrationState::Unregistered);
        }
    }

    fn register(&mut self, core: &mut Core, flow: &Flow, expires_s: u64) -> Request {
        let Account { domain, username, .. } = &self.account;
        self.cseq += 1;
        let aor = NameAddr::new(None, Uri::of_host(Some(username), domain));
        let mut register = Request::new(Method::Register, Uri::of_host(None, domain));
        register.headers.push("From", aor.clone().with_tag(&self.local_tag).to_string());
        register.headers.push("To", aor.to_string());
        register.headers.push("Call-ID", self.call_id.clone());
        register.headers.push("CSeq", CSeq { number: self.cseq, method: Method::Register }.to_string());
        register.headers.push("Contact", contact(username, flow).to_string());
        register.headers.push("Expires", expires_s.to_string());
        let cnonce = core.token();
        self.auth.authorize(&mut register, &cnonce);
        register
    }

    fn fail(&mut self, core: &mut Core, now: Instant, reason: RegistrationFailure) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(SLOWEST_RETRY);
        self.failures = self.failures.saturating_add(1);
        // Telephones that failed together do not come back together.
        let wait = wait.mul_f64(core.rng.random_range(0.75..1.0));
        self.wait(core, now, wait, reason);
    }

    fn refused(&mut self, core: &mut Core, now: Instant, reason: RegistrationFailure) {
        let wait = REFUSED_RETRY.mul_f64(core.rng.random_range(1.0..1.25));
        self.wait(core, now, wait, reason);
    }

    fn wait(&mut self, core: &mut Core, now: Instant, wait: Duration, reason: RegistrationFailure) {
        let retry_at = now + wait;
        self.state = State::Waiting { retry_at };
        self.report(core, RegistrationState::Failed { reason, retry_at });
    }

    fn report(&self, core: &mut Core, state: RegistrationState) {
        core.output.push_back(Output::Event(Event::Registration { account: self.account.id, state }));
    }

    pub fn id(&self) -> AccountId {
        self.account.id
    }
}
