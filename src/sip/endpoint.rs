//! The one entry: messages, commands and time in; messages, questions and events out.

mod admission;
mod transfers;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use admission::Entrance;
use rand::Rng;

use super::auth::Challenger;
use super::core::{ACCEPT, ALLOW, Core, Owner, SUPPORTED};
use super::deadlines::Deadlines;
use super::dialog::DialogId;
use super::message::{Envelope, Malformed, Message, Method, NameAddr, Request, Response, Via};
use super::outside::Messages;
use super::parties::Parties;
use super::register::Registration;
use super::session::{Arrived, Callee, Session, Wish, end_late};
use super::transaction::{Arrival, Failed, ServerKey};
use super::{AccountId, CallKey, Command, DirectCalls, EndpointConfig, Flow, Input, Output, Usage};

/// RFC 3261 §18.2.2: the port of a `Via` without one. Over UDP there is no other.
const DEFAULT_PORT: u16 = 5060;
/// The lifetime that a direct telephone's registration gets at the most.
const LONGEST_REGISTRATION_S: u32 = 3_600;

/// A SIP user agent. After every `handle_…`, poll until `None`, and wake it at [`Endpoint::poll_timeout`].
pub struct Endpoint {
    core: Core,
    sessions: BTreeMap<CallKey, Session>,
    /// How each session came about.
    entrances: BTreeMap<CallKey, Entrance>,
    /// The sessions of each Call-ID: one, but for what forks and loops back.
    by_call_id: BTreeMap<String, Vec<CallKey>>,
    deadlines: Deadlines<CallKey>,
    registrations: BTreeMap<AccountId, Registration>,
    messages: Messages,
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
            entrances: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            deadlines: Deadlines::default(),
            registrations: BTreeMap::new(),
            messages: Messages::default(),
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
                Some(Owner::Message(message)) => self.messages.on_resolved(&mut self.core, now, message, flows),
                Some(Owner::Nobody) | None => {}
            },
            Input::FlowFailed { flow, error } => self.on_flow_failed(now, &flow, &error),
            Input::Command(command) => self.on_command(now, command),
        }
        self.report_progress(now);
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
        self.report_progress(now);
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
        Usage {
            sessions: self.sessions.len(),
            transactions: self.core.transactions.len(),
            dialogs: self.by_call_id.values().map(Vec::len).sum(),
            waiting: self.core.waiting() + self.messages.len(),
            dropped: self.core.dropped,
            overloaded: self.core.overloaded,
        }
    }

    fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Register(account) => {
                let id = account.id;
                self.registrations.insert(id, Registration::start(&mut self.core, account));
            }
            Command::Unregister => self.unregister(now),
            Command::Stop => self.stop(now),
            Command::Invite { call, target, account, offer, ring_for } => {
                let target = self.read_target(&target, account);
                let allowed = target.and_then(|to| self.if_allowed(to, |config, to| config.call_out.allows_named(to)));
                let caller = allowed.and_then(|to| self.caller(to, account, ring_for));
                self.invite(now, call, caller, offer);
            }
            Command::Ring { call } => self.wish(now, call, Wish::Ring),
            Command::Offer { call, sdp } => self.wish(now, call, Wish::Offer(sdp)),
            Command::Answer { call, sdp } => {
                self.wish(now, call, Wish::Answer(sdp));
                self.end_replaced(now, call);
            }
            Command::Reject { call, status, retry_after } => self.wish(now, call, Wish::Reject(status, retry_after)),
            Command::AnswerOffer { call, sdp } => self.wish(now, call, Wish::AnswerOffer(sdp)),
            Command::RejectOffer { call } => self.wish(now, call, Wish::RejectOffer),
            Command::Hangup { call } => self.wish(now, call, Wish::Hangup(None)),
            Command::Transfer { call, target } => self.transfer(now, call, &target),
            Command::TransferTo { call, other } => self.transfer_to(now, call, other),
            Command::AcceptTransfer { call, new_call, offer } => self.accept_transfer(now, call, new_call, offer),
            Command::RejectTransfer { call, status } => {
                self.with_session(call, |session, core| session.reject_transfer(core, now, status));
            }
            Command::SendDigit { call, digit } => {
                self.with_session(call, |session, core| session.send_digit(core, now, digit));
            }
            Command::Message { id, account, target, text } => {
                let target = self.read_target(&target, account);
                let allowed =
                    target.and_then(|to| self.if_allowed(to, |config, to| config.message_out.allows_named(to)));
                let sender = allowed.and_then(|to| self.caller(to, account, Duration::ZERO));
                self.messages.send(&mut self.core, now, id, sender, text);
            }
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

    fn on_message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(Message::Request(mut request)) => {
                let via = request.set_received(&flow);
                self.on_request(now, way_back(flow, via.as_ref()), request);
            }
            Ok(Message::Response(response)) => self.on_response(now, flow, &response),
            Err(Malformed { error, request: Some(mut request) }) if request.method != Method::Ack => {
                tracing::debug!(peer.addr = %flow.remote, %error, "a bad request");
                let back = way_back(flow, request.set_received(&flow).as_ref());
                if !self.is_trusted(flow.remote.ip()) && !self.admits(now, back, &request) {
                    return;
                }
                self.refuse_statelessly(back, &request, error.status(), &error.to_string());
            }
            Err(Malformed { error, .. }) => {
                self.core.dropped += 1;
                tracing::debug!(peer.addr = %flow.remote, %error, "not a SIP message");
            }
        }
    }

    fn on_response(&mut self, now: Instant, flow: Flow, response: &Response) {
        let Ok(envelope) = response.envelope() else { return };
        // RFC 3261 §8.1.3.3: with more than one Via it is not for us.
        if response.headers.values("Via").count() != 1 {
            return;
        }
        let owner = self.core.transactions.on_response(now, response, &envelope, &mut self.core.output);
        match owner {
            Some(Owner::Call(call)) if self.sessions.contains_key(&call) => {
                self.with_session(call, |session, core| session.on_response(core, now, response, &envelope));
            }
            Some(Owner::Call(_)) => end_late(&mut self.core, now, flow, response, &envelope),
            Some(Owner::Account(account)) => {
                if let Some(registration) = self.registrations.get_mut(&account) {
                    registration.on_response(&mut self.core, now, response, &envelope);
                }
            }
            Some(Owner::Message(message)) => self.messages.on_response(&mut self.core, now, message, response),
            Some(Owner::Nobody) | None => {}
        }
    }

    fn on_request(&mut self, now: Instant, flow: Flow, request: Request) {
        let is_ack = request.method == Method::Ack;
        let envelope = request.envelope();
        let is_known = envelope.as_ref().is_ok_and(|envelope| self.is_known(envelope));
        let dialog = envelope.as_ref().ok().and_then(|envelope| self.find_dialog(envelope));
        let trusted = is_known || dialog.is_some() || self.is_trusted(flow.remote.ip());
        if !is_ack && !trusted && !self.admits(now, flow, &request) {
            return;
        }
        if let Some(call) = dialog.filter(|_| !is_known)
            && !self.admits_inside(now, call, &request.method)
        {
            return self.refuse_overload(flow, &request);
        }
        if !request.is_supported_version() {
            if !is_ack {
                self.refuse_statelessly(flow, &request, 505, "");
            }
            return;
        }
        let envelope = match envelope.and_then(|envelope| request.check().map(|()| envelope)) {
            Ok(envelope) => envelope,
            Err(_) if is_ack => return,
            // That we do not know the method says more than that its CSeq has another (RFC 4475 §3.1.2.18).
            Err(_) if !request.method.is_known() => return self.refuse_statelessly(flow, &request, 501, ""),
            Err(error) => return self.refuse_statelessly(flow, &request, 400, &error.to_string()),
        };
        if !trusted && request.begins_call() && !self.is_merged(&envelope) {
            if let Some(challenge) = self.challenge(now, flow, &request) {
                return self.core.respond_statelessly(flow, challenge);
            }
            // Without a transaction, so that what there is no room for leaves nothing behind.
            let from = flow.remote.ip();
            if request.headers.get("Replaces").is_none() && !self.has_room(self.is_stranger(from).then_some(from)) {
                return self.refuse_overload(flow, &request);
            }
        }
        let is_question = !trusted && request.method != Method::Invite;
        match self.core.transactions.on_request(now, flow, &envelope, trusted, &mut self.core.output) {
            Arrival::New(key) if is_question => {
                self.on_new_request(now, Arrived { key: key.clone(), request, envelope, flow });
                // RFC 3261 §8.2.7: it is answered, and should it come again, answered again.
                self.core.transactions.forget(&key);
            }
            Arrival::New(key) => self.on_new_request(now, Arrived { key, request, envelope, flow }),
            Arrival::OtherAck => self.on_ack(now, &request, &envelope),
            Arrival::Full => self.refuse_overload(flow, &request),
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
        // RFC 3261 §8.2.2.3
        let unsupported: Vec<_> = request.headers.values("Require").filter(|tag| !is_supported(tag)).collect();
        if !unsupported.is_empty() {
            let refusal = Response::answer(request, 420).with("Unsupported", unsupported.join(", "));
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
        if has_no_sdp(&request.method) || request.session_description().is_ok() {
            return true;
        }
        let refusal = Response::answer(request, 415).with("Accept", ACCEPT).with("Accept-Encoding", "identity");
        self.core.respond(now, &arrived.key, refusal);
        false
    }

    fn on_invite(&mut self, now: Instant, arrived: Arrived) {
        // RFC 3261 §8.1.1.8
        if arrived.request.headers.values("Contact").next().is_none() {
            let mut refusal = Response::answer(&arrived.request, 400);
            refusal.reason.push_str(": no Contact");
            return self.core.respond(now, &arrived.key, refusal);
        }
        // RFC 3261 §21.4.7: there is nothing else that an answer could have.
        if !arrived.request.accepts_sdp() {
            return self.refuse(now, &arrived, 406);
        }
        // RFC 3261 §8.2.2.2: the same call by another way.
        if self.is_merged(&arrived.envelope) {
            return self.refuse(now, &arrived, 482);
        }
        let account = self.account_of(&arrived);
        if account.is_none() && matches!(self.core.config.direct_calls, DirectCalls::Refused) {
            tracing::debug!(peer.addr = %arrived.flow.remote, "a direct call is refused");
            return self.refuse(now, &arrived, 403);
        }
        let replaces = match self.find_replaced(&arrived, account) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse(now, &arrived, status),
        };
        let is_welcome = account.is_none_or(|account| self.core.guard.admit_of_account(now, account));
        let from = arrived.flow.remote.ip();
        let is_stranger = account.is_none() && self.is_stranger(from);
        // What takes the place of a call has the room of that.
        let has_room = match replaces {
            Some(_) => self.sessions.len() < 2 * self.core.config.max_calls,
            None => self.has_room(is_stranger.then_some(from)),
        };
        if !is_welcome || !has_room {
            let answer = self.overload(&arrived.request);
            return self.core.respond(now, &arrived.key, answer);
        }
        let registration = account.and_then(|id| self.registrations.get(&id));
        // Other addresses of a trunk see us where its registrar does.
        if let Some(seen) = registration.and_then(|registration| registration.seen_as(&self.core, &arrived.flow)) {
            self.core.learn(&arrived.flow, seen);
        }
        let rules = registration.map(Registration::account);
        let user = rules.map_or_else(|| self.core.config.user.clone(), |account| account.username.clone());
        let parties = Parties::of(&arrived.request, &arrived.envelope.from, rules, &user);
        let auth = registration.and_then(Registration::account_auth);
        let callee = Callee { account, user, parties, replaces, auth };
        let call = self.next_call_key();
        self.entrances.insert(call, Entrance::of_call(&arrived, is_stranger));
        let session = Session::called(&mut self.core, now, call, arrived, callee);
        self.insert(call, session);
    }

    /// The account whose registrar or access list the request comes from; of several, the one that is called.
    fn account_of(&self, arrived: &Arrived) -> Option<AccountId> {
        let mut from_there = self.registrations.values().filter(|r| r.is_from(arrived.flow.remote.ip()));
        let called = from_there.clone().find(|r| r.is_called(&arrived.request, &arrived.envelope.to.uri));
        called.or_else(|| from_there.next()).map(Registration::id)
    }

    /// RFC 3261 §11.2
    fn on_options(&mut self, now: Instant, arrived: &Arrived) {
        let ok = Response::answer(&arrived.request, 200)
            .with("Allow", ALLOW)
            .with("Accept", ACCEPT)
            .with("Accept-Encoding", "identity")
            .with("Supported", SUPPORTED);
        self.core.respond(now, &arrived.key, ok);
    }

    /// Telephones that call nobody without an account are told that they have one. Nothing is kept: we do not call them.
    /// Without a password only those of our own network: on the public one it would tell scanners of an open registrar.
    fn on_register(&mut self, now: Instant, arrived: &Arrived) {
        // RFC 3261 §10.3 step 5: an address of record is a SIP URI.
        if !arrived.envelope.to.uri.is_sip() {
            return self.refuse(now, arrived, 400);
        }
        match self.core.config.direct_calls {
            DirectCalls::Taken if is_private(arrived.flow.remote.ip()) => {}
            DirectCalls::Challenged { .. } => {
                if let Some(challenge) = self.challenge(now, arrived.flow, &arrived.request) {
                    return self.core.respond(now, &arrived.key, challenge);
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
        // The tag is that of the answers to the INVITE: some take it for the dialog's.
        let tag = self
            .sessions_of(&arrived.envelope.call_id)
            .filter(|(call, _)| self.was_begun_in(*call, &invite))
            .find_map(|(_, session)| session.tag_for(&arrived.envelope).map(str::to_owned));
        let ok = Response::answer(&arrived.request, 200);
        let ok = match tag {
            Some(tag) => ok.with_to_tag(&tag),
            None => ok,
        };
        self.core.respond(now, &arrived.key, ok);
        let calls: Vec<_> = self.sessions_of(&arrived.envelope.call_id).map(|(call, _)| call).collect();
        for call in calls {
            self.with_session(call, |session, core| session.on_cancel(core, now, &invite, &arrived.request));
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
            Owner::Message(message) => self.messages.on_failed(&mut self.core, now, message, failed),
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
        self.entrances.remove(&call);
    }

    /// Answers by a status alone.
    fn refuse(&mut self, now: Instant, arrived: &Arrived, status: u16) {
        let answer = Response::answer(&arrived.request, status);
        self.core.respond(now, &arrived.key, answer);
    }

    /// Answers a request that begins no transaction. One without a Via has nobody to be told.
    fn refuse_statelessly(&mut self, flow: Flow, request: &Request, status: u16, why: &str) {
        let mut answer = Response::answer(request, status);
        if !why.is_empty() {
            answer.reason = format!("{}: {why}", answer.reason);
        }
        self.core.respond_statelessly(flow, answer);
    }
}

fn is_served(method: &Method) -> bool {
    use Method::{Bye, Info, Invite, Notify, Options, Prack, Refer, Register, Update};
    matches!(method, Invite | Bye | Options | Prack | Update | Register | Info | Refer | Notify)
}

/// Whether a body of a request is no session description.
fn has_no_sdp(method: &Method) -> bool {
    matches!(method, Method::Bye | Method::Info | Method::Notify | Method::Refer)
}

fn is_supported(extension: &str) -> bool {
    SUPPORTED.split(", ").any(|ours| ours.eq_ignore_ascii_case(extension))
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

#[cfg(test)]
mod tests {
    use super::*;

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
