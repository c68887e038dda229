//! The one entry: messages, commands and time in; messages, questions and events out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand::Rng;

use super::auth::{Challenger, Verdict};
use super::core::{ALLOW, Core, Owner};
use super::deadlines::Deadlines;
use super::dialog::DialogId;
use super::message::{Envelope, Malformed, Message, Method, NameAddr, Request, Response, Uri, Via};
use super::register::Registration;
use super::session::{Arrived, Caller, Session, Wish};
use super::transaction::{Arrival, Failed, ServerKey};
use super::{
    AccountId, CallKey, Command, DirectCalls, EndCause, EndpointConfig, Flow, Input, Output, SessionEvent, Usage,
};

/// RFC 3261 §18.2.2: the port of a `Via` without one. Over UDP there is no other.
const DEFAULT_PORT: u16 = 5060;
/// The lifetime that a direct telephone's registration gets at the most.
const LONGEST_REGISTRATION_S: u32 = 3_600;

/// A SIP user agent. After every `handle_…`, poll until `None`, and wake it at [`Endpoint::poll_timeout`].
pub struct Endpoint {
    core: Core,
    sessions: BTreeMap<CallKey, Session>,
    /// The sessions of each Call-ID: one, but for what forks and loops back.
    by_call_id: BTreeMap<String, Vec<CallKey>>,
    deadlines: Deadlines<CallKey>,
    registrations: BTreeMap<AccountId, Registration>,
    /// Asks direct callers for a password, if so configured.
    challenger: Option<Challenger>,
    next_call: u64,
}

impl Endpoint {
    /// `seed` makes tags, branches and jitter: random in production, fixed in a test.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        let mut core = Core::new(config, seed);
        let challenger = match &core.config.direct_calls {
            DirectCalls::Challenged { realm, users } => Some(Challenger::new(realm, users, core.rng.random())),
            DirectCalls::Refused | DirectCalls::Taken => None,
        };
        Endpoint {
            core,
            sessions: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            deadlines: Deadlines::default(),
            registrations: BTreeMap::new(),
            challenger,
            next_call: 1,
        }
    }

    /// A key for [`Command::Invite`].
    pub fn next_call_key(&mut self) -> CallKey {
        let key = CallKey(self.next_call);
        self.next_call += 1;
        key
    }

    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { flow, bytes } => self.on_message(now, flow, &bytes),
            Input::Resolved { id, flows } => match self.core.resolved(id) {
                Some(Owner::Call(call)) => {
                    self.with_session(call, |session, core| session.on_resolved(core, now, id, flows));
                }
                Some(Owner::Account(account)) => {
                    if let Some(registration) = self.registrations.get_mut(&account) {
                        registration.on_resolved(&mut self.core, now, id, flows);
                    }
                }
                Some(Owner::Nobody) | None => {}
            },
            Input::FlowFailed { flow, error } => self.on_flow_failed(now, &flow, &error),
            Input::Command(command) => self.on_command(now, command),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for failed in self.core.transactions.handle_timeout(now, &mut self.core.output) {
            self.on_failed(now, failed);
        }
        while let Some(call) = self.deadlines.pop_due(now) {
            self.with_session(call, |session, core| session.on_timeout(core, now));
        }
        for registration in self.registrations.values_mut() {
            registration.handle_timeout(&mut self.core, now);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.output.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let registrations = self.registrations.values().filter_map(Registration::poll_timeout);
        let others = [self.deadlines.next(), self.core.transactions.poll_timeout()];
        registrations.chain(others.into_iter().flatten()).min()
    }

    /// How many sessions there may be at once.
    pub fn max_calls(&self) -> usize {
        self.core.config.max_calls
    }

    pub fn usage(&self) -> Usage {
        Usage { sessions: self.sessions.len(), transactions: self.core.transactions.len(), ..Usage::default() }
    }

    fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Register(account) => {
                let id = account.id;
                self.registrations.insert(id, Registration::start(&mut self.core, account));
            }
            Command::Unregister => self.unregister(now),
            Command::Stop => self.stop(now),
            Command::Invite { call, target, offer, .. } => self.invite(now, call, &target, offer),
            Command::Answer { call, sdp } => self.wish(now, call, Wish::Answer(sdp)),
            Command::Reject { call, status } => self.wish(now, call, Wish::Reject(status)),
            Command::AnswerOffer { call, sdp } => self.wish(now, call, Wish::AnswerOffer(sdp)),
            Command::RejectOffer { call } => self.wish(now, call, Wish::RejectOffer),
            Command::Hangup { call } => self.wish(now, call, Wish::Hangup),
            Command::Ring { .. }
            | Command::Offer { .. }
            | Command::Transfer { .. }
            | Command::TransferTo { .. }
            | Command::AcceptTransfer { .. }
            | Command::RejectTransfer { .. }
            | Command::SendDigit { .. }
            | Command::Message { .. } => tracing::debug!("not there yet"),
        }
    }

    fn unregister(&mut self, now: Instant) {
        for registration in self.registrations.values_mut() {
            registration.unregister(&mut self.core, now);
        }
    }

    fn stop(&mut self, now: Instant) {
        self.unregister(now);
        for call in self.calls() {
            self.with_session(call, |session, core| session.stop(core, now));
        }
    }

    fn wish(&mut self, now: Instant, call: CallKey, wish: Wish) {
        self.with_session(call, |session, core| session.on_wish(core, now, wish));
    }

    fn invite(&mut self, now: Instant, call: CallKey, target: &str, offer: Vec<u8>) {
        if self.sessions.len() >= self.core.config.max_calls || self.sessions.contains_key(&call) {
            let cause = EndCause::Failed("no room for another call");
            return self.core.emit(call, SessionEvent::Ended { cause });
        }
        let Some(target) = parse_target(target) else {
            return self.core.emit(call, SessionEvent::Ended { cause: EndCause::InvalidTarget });
        };
        let caller = Caller { target, user: self.core.config.user.clone() };
        let session = Session::call(&mut self.core, now, call, caller, offer);
        self.insert(call, session);
    }

    fn on_message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(Message::Request(mut request)) => {
                request.set_received(&flow);
                self.on_request(now, way_back(flow, &request), request);
            }
            Ok(Message::Response(response)) => self.on_response(now, &response),
            Err(Malformed { error, request: Some(mut request) }) if request.method != Method::Ack => {
                tracing::debug!(peer.addr = %flow.remote, %error, "a bad request");
                request.set_received(&flow);
                self.refuse_statelessly(way_back(flow, &request), &request, 400, &error.to_string());
            }
            Err(Malformed { error, .. }) => tracing::debug!(peer.addr = %flow.remote, %error, "not a SIP message"),
        }
    }

    fn on_response(&mut self, now: Instant, response: &Response) {
        let Ok(envelope) = response.envelope() else { return };
        // RFC 3261 §8.1.3.3: with more than one Via it is not for us.
        if response.headers.values("Via").count() != 1 {
            return;
        }
        let owner = self.core.transactions.on_response(now, response, &envelope, &mut self.core.output);
        match owner {
            Some(Owner::Call(call)) => {
                self.with_session(call, |session, core| session.on_response(core, now, response, &envelope));
            }
            Some(Owner::Account(account)) => {
                if let Some(registration) = self.registrations.get_mut(&account) {
                    registration.on_response(&mut self.core, now, response, &envelope);
                }
            }
            Some(Owner::Nobody) | None => {}
        }
    }

    fn on_request(&mut self, now: Instant, flow: Flow, request: Request) {
        let is_ack = request.method == Method::Ack;
        if !request.is_supported_version() {
            if !is_ack {
                self.refuse_statelessly(flow, &request, 505, "");
            }
            return;
        }
        let envelope = match request.envelope() {
            Ok(envelope) => envelope,
            Err(error) => {
                // Without a Via there is nobody to tell.
                if !is_ack && request.headers.get("Via").is_some() {
                    self.refuse_statelessly(flow, &request, 400, &error.to_string());
                }
                return;
            }
        };
        match self.core.transactions.on_request(now, flow, &envelope, &mut self.core.output) {
            Arrival::New(key) => self.on_new_request(now, Arrived { key, request, envelope, flow }),
            Arrival::OtherAck => self.on_ack(now, &request, &envelope),
            Arrival::Full => self.refuse_statelessly(flow, &request, 503, ""),
            Arrival::Absorbed => {}
        }
    }

    fn on_ack(&mut self, now: Instant, ack: &Request, envelope: &Envelope) {
        if let Some(call) = self.find_dialog(envelope) {
            self.with_session(call, |session, core| session.on_ack(core, now, ack, envelope));
        }
    }

    fn on_new_request(&mut self, now: Instant, arrived: Arrived) {
        let Arrived { key, request, envelope, .. } = &arrived;
        if request.method == Method::Cancel {
            return self.on_cancel(now, &arrived);
        }
        if !is_served(&request.method) {
            let refusal = Response::answer(request, 405).with("Allow", ALLOW);
            return self.core.respond(now, key, refusal);
        }
        // RFC 3261 §8.2.2.3: we have no extension that a peer could require.
        let required: Vec<_> = request.headers.values("Require").collect();
        if !required.is_empty() {
            let refusal = Response::answer(request, 420).with("Unsupported", required.join(", "));
            return self.core.respond(now, key, refusal);
        }
        if !self.has_readable_body(now, &arrived) {
            return;
        }
        if request.method == Method::Invite {
            self.core.respond(now, key, Response::answer(request, 100));
        }
        if envelope.to.tag().is_some() {
            match self.find_dialog(envelope) {
                Some(_) if request.method == Method::Options => self.on_options(now, &arrived),
                Some(call) => self.with_session(call, |session, core| session.on_request(core, now, arrived)),
                None => self.refuse(now, &arrived, 481),
            }
            return;
        }
        match request.method {
            Method::Invite => self.on_invite(now, arrived),
            Method::Options => self.on_options(now, &arrived),
            Method::Register => self.on_register(now, &arrived),
            _ => self.refuse(now, &arrived, 481),
        }
    }

    /// RFC 3261 §8.2.3
    fn has_readable_body(&mut self, now: Instant, arrived: &Arrived) -> bool {
        let request = &arrived.request;
        let coded = request.headers.values("Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case("identity"));
        if request.body.is_empty() || (request.sdp().is_some() && !coded) || request.method == Method::Bye {
            return true;
        }
        let refusal = Response::answer(request, 415).with("Accept", "application/sdp");
        let refusal = if coded { refusal.with("Accept-Encoding", "identity") } else { refusal };
        self.core.respond(now, &arrived.key, refusal);
        false
    }

    fn on_invite(&mut self, now: Instant, arrived: Arrived) {
        if !arrived.request.uri.is_sip() {
            return self.refuse(now, &arrived, 416);
        }
        // RFC 3261 §8.2.2.2: the same call by another way.
        let merged = |(_, session): (_, &Session)| session.was_begun_by(&arrived.envelope);
        if self.sessions_of(&arrived.envelope.call_id).any(merged) {
            return self.refuse(now, &arrived, 482);
        }
        let account = self.account_of(&arrived);
        if account.is_none() && matches!(self.core.config.direct_calls, DirectCalls::Refused) {
            return self.refuse(now, &arrived, 403);
        }
        if account.is_none() && !self.is_admitted(now, &arrived) {
            return;
        }
        if self.sessions.len() >= self.core.config.max_calls {
            return self.refuse(now, &arrived, 486);
        }
        let user = match account.and_then(|id| self.registrations.get(&id)) {
            Some(registration) => registration.account().username.clone(),
            None => self.core.config.user.clone(),
        };
        let call = self.next_call_key();
        let session = Session::called(&mut self.core, now, call, arrived, account, user);
        self.insert(call, session);
    }

    /// Whether a request from no account and outside a dialog may be served: it may unless direct callers are challenged
    /// and this one has not shown that he is one of the users. Then it is answered here.
    fn is_admitted(&mut self, now: Instant, arrived: &Arrived) -> bool {
        let Some(challenger) = &mut self.challenger else { return true };
        let verdict = challenger.verify(now, &arrived.request);
        match verdict {
            Verdict::Right => return true,
            Verdict::Missing | Verdict::Stale => {}
            // Who guards against those who try passwords counts them here.
            Verdict::Wrong => tracing::debug!(peer.addr = %arrived.flow.remote, "wrong credentials"),
        }
        let mut unauthorized = Response::answer(&arrived.request, 401);
        for challenge in challenger.challenge(now, verdict == Verdict::Stale) {
            unauthorized.headers.push("WWW-Authenticate", challenge);
        }
        self.core.respond(now, &arrived.key, unauthorized);
        false
    }

    /// The account whose registrar the request comes from; of several at one registrar, the one that is called.
    fn account_of(&self, arrived: &Arrived) -> Option<AccountId> {
        let called = arrived.request.uri.user.as_deref();
        let mut from_there = self.registrations.values().filter(|r| r.is_from_registrar(&arrived.flow));
        let named = from_there.clone().find(|r| Some(r.account().username.as_str()) == called);
        named.or_else(|| from_there.next()).map(Registration::id)
    }

    /// RFC 3261 §11.2
    fn on_options(&mut self, now: Instant, arrived: &Arrived) {
        let ok = Response::answer(&arrived.request, 200)
            .with("Allow", ALLOW)
            .with("Accept", "application/sdp")
            .with("Accept-Encoding", "identity")
            .with("Supported", "");
        self.core.respond(now, &arrived.key, ok);
    }

    /// Telephones that call nobody without an account are told that they have one. Nothing is kept: we do not call them.
    /// Without a password only those of our own network: on the public one it would tell scanners of an open registrar.
    fn on_register(&mut self, now: Instant, arrived: &Arrived) {
        match self.core.config.direct_calls {
            DirectCalls::Taken if is_private(arrived.flow.remote.ip()) => {}
            DirectCalls::Challenged { .. } => {
                if !self.is_admitted(now, arrived) {
                    return;
                }
            }
            DirectCalls::Taken | DirectCalls::Refused => return self.refuse(now, arrived, 403),
        }
        let headers = &arrived.request.headers;
        let asked = headers.get("Expires").and_then(|seconds| seconds.trim().parse().ok());
        let seconds = asked.unwrap_or(LONGEST_REGISTRATION_S).min(LONGEST_REGISTRATION_S);
        let mut ok = Response::answer(&arrived.request, 200).with("Expires", seconds.to_string());
        // RFC 3261 §10.3 step 8: the bindings as they stand.
        for contact in headers.values("Contact").filter(|contact| *contact != "*" && seconds > 0) {
            match contact.parse::<NameAddr>().ok().and_then(|c| c.params.get("expires").map(str::to_owned)) {
                Some(own) if own == "0" => {}
                Some(_) => ok.headers.push("Contact", contact),
                None => ok.headers.push("Contact", format!("{contact};expires={seconds}")),
            }
        }
        self.core.respond(now, &arrived.key, ok);
    }

    /// RFC 3261 §9.2
    fn on_cancel(&mut self, now: Instant, arrived: &Arrived) {
        let invite = ServerKey::of_cancelled(&arrived.envelope);
        if !self.core.transactions.has(&invite) {
            return self.refuse(now, arrived, 481);
        }
        self.refuse(now, arrived, 200);
        let calls: Vec<_> = self.sessions_of(&arrived.envelope.call_id).map(|(call, _)| call).collect();
        for call in calls {
            self.with_session(call, |session, core| session.on_cancel(core, now, &invite));
        }
    }

    fn on_flow_failed(&mut self, now: Instant, flow: &Flow, error: &str) {
        for failed in self.core.transactions.flow_failed(now, flow, error, &mut self.core.output) {
            self.on_failed(now, failed);
        }
        for call in self.calls() {
            self.with_session(call, |session, core| session.on_flow_failed(core, now, flow, error));
        }
        for registration in self.registrations.values_mut() {
            registration.on_flow_failed(&mut self.core, now, flow, error);
        }
    }

    fn on_failed(&mut self, now: Instant, failed: Failed<Owner>) {
        match failed.owner {
            Owner::Call(call) => self.with_session(call, |session, core| session.on_failed(core, now, failed)),
            Owner::Account(account) => {
                if let Some(registration) = self.registrations.get_mut(&account) {
                    registration.on_failed(&mut self.core, now, failed);
                }
            }
            Owner::Nobody => {}
        }
    }

    fn find_dialog(&self, envelope: &Envelope) -> Option<CallKey> {
        let id = DialogId::of_request(envelope)?;
        self.sessions_of(&id.call_id).find(|(_, session)| session.has_dialog(&id)).map(|(call, _)| call)
    }

    fn sessions_of(&self, call_id: &str) -> impl Iterator<Item = (CallKey, &Session)> {
        let calls = self.by_call_id.get(call_id).into_iter().flatten();
        calls.filter_map(|call| Some((*call, self.sessions.get(call)?)))
    }

    fn calls(&self) -> Vec<CallKey> {
        self.sessions.keys().copied().collect()
    }

    fn insert(&mut self, call: CallKey, session: Session) {
        self.by_call_id.entry(session.call_id().to_owned()).or_default().push(call);
        self.sessions.insert(call, session);
        // It may be over already, or have a deadline.
        self.with_session(call, |_, _| {});
    }

    fn with_session(&mut self, call: CallKey, act: impl FnOnce(&mut Session, &mut Core)) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        act(session, &mut self.core);
        if !session.is_over() {
            return self.deadlines.set(&call, session.poll_timeout());
        }
        self.deadlines.set(&call, None);
        if let Some(same) = self.by_call_id.get_mut(session.call_id()) {
            same.retain(|other| *other != call);
            if same.is_empty() {
                self.by_call_id.remove(session.call_id());
            }
        }
        self.sessions.remove(&call);
    }

    /// Answers by a status alone.
    fn refuse(&mut self, now: Instant, arrived: &Arrived, status: u16) {
        let answer = Response::answer(&arrived.request, status);
        self.core.respond(now, &arrived.key, answer);
    }

    fn refuse_statelessly(&mut self, flow: Flow, request: &Request, status: u16, why: &str) {
        let mut answer = Response::answer(request, status);
        if !why.is_empty() {
            why.clone_into(&mut answer.reason);
        }
        self.core.respond_statelessly(flow, answer);
    }
}

fn is_served(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Bye | Method::Options | Method::Update | Method::Register)
}

/// The flow on which a request is answered. Over UDP and without `rport` that is the port which its `Via` names, at the
/// address it came from (RFC 3261 §18.2.2, RFC 3581 §4); so is a peer reached who sends from another port than he
/// listens on.
fn way_back(flow: Flow, request: &Request) -> Flow {
    let top: Option<Via> = request.headers.values("Via").next().and_then(|via| via.parse().ok());
    match top {
        Some(via) if !flow.transport.is_reliable() && !via.params.has("rport") => {
            let port = via.port.unwrap_or(DEFAULT_PORT);
            Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
        }
        _ => flow,
    }
}

/// Whether an address cannot come from the public network: this machine's, a private one (RFC 1918, RFC 4193), a
/// carrier's behind its NAT (RFC 6598) or one of the link (RFC 3927, RFC 4291).
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xC0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// A SIP URI, or what a person would type for one.
fn parse_target(target: &str) -> Option<Uri> {
    let target = target.trim();
    let uri: Option<Uri> = target.parse().ok().filter(Uri::is_sip);
    uri.or_else(|| format!("sip:{target}").parse().ok()).filter(Uri::is_sip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_be_what_a_person_types() {
        let cases = [
            ("sip:a@b;transport=tcp", Some("sip:a@b;transport=tcp")),
            (" a@b:5070", Some("sip:a@b:5070")),
            ("192.0.2.1:5070", Some("sip:192.0.2.1:5070")),
            ("+7 495", None),
            ("tel:+7", None),
            ("", None),
        ];
        for (target, expected) in cases {
            assert_eq!(parse_target(target).map(|uri| uri.to_string()).as_deref(), expected, "{target:?}");
        }
    }

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let private = "127.0.0.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.7.7 100.64.0.1 100.127.255.255 \
                       ::1 fc00::1 fd12::1 fe80::1 febf::1 ::ffff:10.0.0.1";
        let public = "9.255.255.255 172.15.0.1 172.32.0.1 192.169.0.1 100.63.255.255 100.128.0.1 203.0.113.9 \
                      2001:db8::1 fec0::1 ::ffff:203.0.113.9";
        assert!(private.split(' ').all(|address| is_private(address.parse().unwrap())));
        assert!(!public.split(' ').any(|address| is_private(address.parse().unwrap())));
    }
}
