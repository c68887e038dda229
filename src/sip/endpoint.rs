//! The one entry: messages, commands and time in; messages, questions and events out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::core::{ACCEPT, ALLOW, Core, Owner};
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
    registrations: BTreeMap<AccountId, Registration>,
    next_call: u64,
}

impl Endpoint {
    /// `seed` makes tags, branches and jitter: random in production, fixed in a test.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        Endpoint {
            core: Core::new(config, seed),
            sessions: BTreeMap::new(),
            registrations: BTreeMap::new(),
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
        for session in self.sessions.values_mut() {
            session.on_timeout(&mut self.core, now);
        }
        self.sessions.retain(|_, session| !session.is_over());
        for registration in self.registrations.values_mut() {
            registration.handle_timeout(&mut self.core, now);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.output.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.values().filter_map(Session::poll_timeout);
        let registrations = self.registrations.values().filter_map(Registration::poll_timeout);
        sessions.chain(registrations).chain(self.core.transactions.poll_timeout()).min()
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
        for session in self.sessions.values_mut() {
            session.stop(&mut self.core, now);
        }
        self.sessions.retain(|_, session| !session.is_over());
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
        self.sessions.insert(call, Session::call(&mut self.core, now, call, caller, offer));
    }

    fn on_message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(Message::Request(mut request)) => {
                let via = request.set_received(&flow);
                self.on_request(now, way_back(flow, via.as_ref()), request);
            }
            Ok(Message::Response(response)) => self.on_response(now, &response),
            Err(Malformed { error, request: Some(mut request) }) if request.method != Method::Ack => {
                tracing::debug!(peer.addr = %flow.remote, %error, "a bad request");
                let via = request.set_received(&flow);
                self.refuse_statelessly(way_back(flow, via.as_ref()), &request, error.status(), &error.to_string());
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
        let envelope = match request.envelope().and_then(|envelope| request.check().map(|()| envelope)) {
            Ok(envelope) => envelope,
            Err(_) if is_ack => return,
            // That we do not know the method says more than that its CSeq has another (RFC 4475 §3.1.2.18).
            Err(_) if !request.method.is_known() => return self.refuse_statelessly(flow, &request, 501, ""),
            Err(error) => return self.refuse_statelessly(flow, &request, 400, &error.to_string()),
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
            let status = if request.method.is_known() { 405 } else { 501 };
            let refusal = Response::answer(request, status).with("Allow", ALLOW);
            return self.core.respond(now, key, refusal);
        }
        // RFC 3261 §8.2.2.1
        if !request.uri.is_sip() {
            return self.refuse(now, &arrived, 416);
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
        if request.method == Method::Bye || request.session_description().is_ok() {
            return true;
        }
        let refusal = Response::answer(request, 415).with("Accept", ACCEPT).with("Accept-Encoding", "identity");
        self.core.respond(now, &arrived.key, refusal);
        false
    }

    fn on_invite(&mut self, now: Instant, arrived: Arrived) {
        // RFC 3261 §21.4.7: there is nothing else that an answer could have.
        if !arrived.request.accepts_sdp() {
            return self.refuse(now, &arrived, 406);
        }
        // RFC 3261 §8.2.2.2: the same call by another way.
        if self.sessions.values().any(|session| session.was_begun_by(&arrived.envelope)) {
            return self.refuse(now, &arrived, 482);
        }
        let account = self.account_of(&arrived);
        if account.is_none() && matches!(self.core.config.direct_calls, DirectCalls::Refused) {
            return self.refuse(now, &arrived, 403);
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
        self.sessions.insert(call, session);
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
            .with("Accept", ACCEPT)
            .with("Accept-Encoding", "identity")
            .with("Supported", "");
        self.core.respond(now, &arrived.key, ok);
    }

    /// Telephones that call nobody without an account are told that they have one. Nothing is kept: we do not call them.
    /// Only those of our own network: on the public one it would tell scanners of an open registrar.
    fn on_register(&mut self, now: Instant, arrived: &Arrived) {
        // RFC 3261 §10.3 step 5: an address of record is a SIP URI.
        if !arrived.envelope.to.uri.is_sip() {
            return self.refuse(now, arrived, 400);
        }
        if matches!(self.core.config.direct_calls, DirectCalls::Refused) || !is_private(arrived.flow.remote.ip()) {
            return self.refuse(now, arrived, 403);
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
        for session in self.sessions.values_mut() {
            session.on_cancel(&mut self.core, now, &invite);
        }
        self.sessions.retain(|_, session| !session.is_over());
    }

    fn on_flow_failed(&mut self, now: Instant, flow: &Flow, error: &str) {
        for failed in self.core.transactions.flow_failed(flow, error) {
            self.on_failed(now, failed);
        }
        for session in self.sessions.values_mut() {
            session.on_flow_failed(&mut self.core, now, flow, error);
        }
        self.sessions.retain(|_, session| !session.is_over());
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
        self.sessions.iter().find(|(_, session)| session.has_dialog(&id)).map(|(call, _)| *call)
    }

    fn with_session(&mut self, call: CallKey, act: impl FnOnce(&mut Session, &mut Core)) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        act(session, &mut self.core);
        if session.is_over() {
            self.sessions.remove(&call);
        }
    }

    /// Answers by a status alone.
    fn refuse(&mut self, now: Instant, arrived: &Arrived, status: u16) {
        let answer = Response::answer(&arrived.request, status);
        self.core.respond(now, &arrived.key, answer);
    }

    /// Answers a request that begins no transaction. One without a Via has nobody to be told.
    fn refuse_statelessly(&mut self, flow: Flow, request: &Request, status: u16, why: &str) {
        if request.headers.get("Via").is_none() {
            return;
        }
        let mut answer = Response::answer(request, status);
        if !why.is_empty() {
            answer.reason = format!("{}: {why}", answer.reason);
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
fn way_back(flow: Flow, top: Option<&Via>) -> Flow {
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
fn is_private(address: IpAddr) -> bool {
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
