//! What sessions and registrations share: transactions, randomness, what goes out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::dialog::DialogId;
use super::guard::Guard;
use super::message::{MAGIC_COOKIE, NameAddr, Request, Response, Uri, Via};
use super::transaction::{GIVE_UP, ServerKey, Transactions};
use super::{
    AccountId, CallKey, EndCause, EndpointConfig, Event, Flow, MessageId, Output, ResolveId, SessionEvent, Transport,
};

/// The methods that we serve.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REGISTER, INFO, REFER, NOTIFY";
/// The extensions that we have: RFC 3262, RFC 4028, RFC 3891.
pub(super) const SUPPORTED: &str = "100rel, timer, replaces";

/// The bodies that we read.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative";

/// Room for transactions: a session has at most a few at once, but ended ones linger for 32 s, so that short calls one
/// after another leave many. The rest is what scanners of the public network fill.
const TRANSACTIONS_PER_CALL: usize = 64;
const TRANSACTIONS_BESIDES: usize = 2048;

/// So many answers to calls that are over are ended within 32 s.
const MAX_LATE: usize = 64;

/// How many peers we remember how they see us.
const MAX_SEEN_AS: usize = 1024;

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Call(CallKey),
    Account(AccountId),
    Message(MessageId),
    /// The answer matters to nobody.
    Nobody,
}

pub(super) struct Core {
    pub config: EndpointConfig,
    pub rng: StdRng,
    pub transactions: Transactions<Owner>,
    pub output: VecDeque<Output>,
    pub guard: Guard,
    /// Messages that were dropped, and requests that were refused for want of room.
    pub dropped: u64,
    pub overloaded: u64,
    /// Our address as a peer sees it where that is not the one that we have: behind NAT (RFC 3581).
    seen_as: BTreeMap<(Transport, SocketAddr, IpAddr), SocketAddr>,
    resolving: BTreeMap<ResolveId, Owner>,
    /// Answers to calls that are over, oldest first, with the time of their BYE.
    late: VecDeque<(Instant, DialogId)>,
    next_resolve: u64,
    /// Calls that the peers of others asked for, by those others.
    referred: BTreeMap<CallKey, CallKey>,
    /// What has become of them, for those others to tell.
    progress: VecDeque<(CallKey, u16)>,
}

impl Core {
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        let limit = TRANSACTIONS_BESIDES + TRANSACTIONS_PER_CALL * config.max_calls;
        Core {
            guard: Guard::new(config.limits.clone()),
            dropped: 0,
            overloaded: 0,
            seen_as: BTreeMap::new(),
            config,
            rng: StdRng::from_seed(seed),
            transactions: Transactions::new(limit),
            output: VecDeque::new(),
            resolving: BTreeMap::new(),
            late: VecDeque::new(),
            next_resolve: 0,
            referred: BTreeMap::new(),
            progress: VecDeque::new(),
        }
    }

    /// 64 random bits for a tag, a Call-ID or a cnonce (RFC 3261 §19.3 asks for 32 at least).
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.rng.random::<u64>())
    }

    pub fn emit(&mut self, call: CallKey, event: SessionEvent) {
        if let Some(by) = self.referred.get(&call).copied()
            && let Some(status) = status_of(&event)
        {
            self.progress.push_back((by, status));
            if status >= 200 {
                self.referred.remove(&call);
            }
        }
        self.output.push_back(Output::Event(Event::Session { call, event }));
    }

    /// What becomes of `call` is for the peer of `by` to know (RFC 3515 §2.4.5).
    pub fn refer(&mut self, call: CallKey, by: CallKey) {
        self.referred.insert(call, by);
    }

    /// News of a call that the peer of another asked for: that other, and the status.
    pub fn next_progress(&mut self) -> Option<(CallKey, u16)> {
        self.progress.pop_front()
    }

    /// Asks for the flows to a host that others named.
    pub fn resolve(&mut self, owner: Owner, host: &str, port: Option<u16>, transport: Option<Transport>) -> ResolveId {
        self.ask_for(owner, host, port, transport, false)
    }

    /// Asks for the flows to a host that the settings of an account name.
    pub fn resolve_for_account(
        &mut self,
        owner: Owner,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
    ) -> ResolveId {
        self.ask_for(owner, host, port, transport, true)
    }

    fn ask_for(
        &mut self,
        owner: Owner,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
        for_account: bool,
    ) -> ResolveId {
        let id = ResolveId(self.next_resolve);
        self.next_resolve += 1;
        self.resolving.insert(id, owner);
        self.output.push_back(Output::Resolve { id, host: host.to_owned(), port, transport, for_account });
        id
    }

    /// Who asked.
    pub fn resolved(&mut self, id: ResolveId) -> Option<Owner> {
        self.resolving.remove(&id)
    }

    /// How many questions are open, and how many calls somebody wants to hear of.
    pub fn waiting(&self) -> usize {
        self.resolving.len() + self.referred.len() + self.progress.len()
    }

    /// Sends a request in a new transaction; the request as sent, or `None` when there is no room.
    pub fn request(&mut self, now: Instant, flow: Flow, draft: &Request, owner: Owner) -> Option<Request> {
        let request = self.complete(flow, draft);
        self.transactions.send(now, flow, request.clone(), owner, &mut self.output).then_some(request)
    }

    /// Sends a CANCEL, which has the `Via` of its INVITE (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Instant, flow: Flow, cancel: Request, owner: Owner) {
        if !self.transactions.send(now, flow, cancel, owner, &mut self.output) {
            tracing::debug!("no room for a CANCEL");
        }
    }

    /// Sends an ACK, which is no transaction; the bytes, to be sent again for a repeated 2xx.
    pub fn ack(&mut self, flow: Flow, draft: &Request) -> Vec<u8> {
        let bytes = self.complete(flow, draft).to_bytes();
        self.transmit(flow, bytes.clone());
        bytes
    }

    pub fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.output.push_back(Output::Transmit { flow, bytes });
    }

    /// Whether an answer to a call that is over wants a BYE, which it has from now on; `None` when there are too many.
    pub fn is_new_late(&mut self, now: Instant, dialog: &DialogId) -> Option<bool> {
        while self.late.front().is_some_and(|(since, _)| *since + GIVE_UP <= now) {
            self.late.pop_front();
        }
        if self.late.iter().any(|(_, known)| known == dialog) {
            return Some(false);
        }
        (self.late.len() < MAX_LATE).then(|| {
            self.late.push_back((now, dialog.clone()));
            true
        })
    }

    pub fn respond(&mut self, now: Instant, key: &ServerKey, response: Response) {
        let response = self.finish(response);
        self.transactions.respond(now, key, &response, &mut self.output);
    }

    /// Answers without a transaction, over the flow on which the request came; one that says no way back (`Via`) is not
    /// answered.
    pub fn respond_statelessly(&mut self, flow: Flow, response: Response) {
        if response.headers.get("Via").is_none() {
            return;
        }
        let response = self.finish(response);
        self.transmit(flow, response.to_bytes());
    }

    /// 500 or 491 for a request that may come again soon (RFC 3261 §14.2).
    pub fn respond_later(&mut self, now: Instant, key: &ServerKey, response: Response) {
        let seconds = self.rng.random_range(0..=10u8);
        self.respond(now, key, response.with("Retry-After", seconds.to_string()));
    }

    /// Every answer but 100 has a tag in `To` (RFC 3261 §8.2.6.2); that of a dialog is there already.
    fn finish(&mut self, response: Response) -> Response {
        let response = response.with("Server", self.config.user_agent.clone());
        if response.status == 100 {
            return response;
        }
        let tag = self.token();
        response.with_to_tag(&tag)
    }

    fn complete(&mut self, flow: Flow, draft: &Request) -> Request {
        let mut request = draft.clone();
        let branch = format!("{MAGIC_COOKIE}{}", self.token());
        request.headers.push_front("Via", Via::new(&flow, &branch).to_string());
        request.headers.push("Max-Forwards", "70");
        request.headers.push("User-Agent", self.config.user_agent.clone());
        request
    }

    /// Our address as the peer of that flow reaches it.
    pub fn our_address(&self, flow: &Flow) -> SocketAddr {
        self.seen_as.get(&seen_key(flow)).copied().unwrap_or(flow.local)
    }

    /// The peer of that flow sees us at `seen`. True when that is news.
    pub fn learn(&mut self, flow: &Flow, seen: SocketAddr) -> bool {
        let key = seen_key(flow);
        if seen == flow.local {
            return self.seen_as.remove(&key).is_some();
        }
        if self.seen_as.len() >= MAX_SEEN_AS && !self.seen_as.contains_key(&key) {
            self.seen_as.pop_first();
        }
        self.seen_as.insert(key, seen) != Some(seen)
    }

    /// Where the peer reaches us over `flow`: for Contact.
    pub fn contact(&self, user: &str, flow: &Flow) -> NameAddr {
        let mut uri = Uri::sip(Some(user), self.our_address(flow));
        if flow.transport != Transport::Udp {
            uri.params.set("transport", Some(flow.transport.name().to_ascii_lowercase()));
        }
        NameAddr::new(None, uri)
    }
}

fn seen_key(flow: &Flow) -> (Transport, SocketAddr, IpAddr) {
    (flow.transport, flow.local, flow.remote.ip())
}

/// What an event of a call of ours is as a status of it.
fn status_of(event: &SessionEvent) -> Option<u16> {
    let cause = match event {
        SessionEvent::Ringing => return Some(180),
        SessionEvent::EarlyMedia { .. } => return Some(183),
        SessionEvent::Answered { .. } => return Some(200),
        SessionEvent::Ended { cause } => cause,
        _ => return None,
    };
    Some(match cause {
        EndCause::Rejected { status, .. } => *status,
        EndCause::NoAnswer | EndCause::Timeout => 408,
        EndCause::TransportFailed(_) => 503,
        EndCause::NotAllowed => 603,
        EndCause::InvalidTarget => 400,
        EndCause::Cancelled(_) => 487,
        _ => 500,
    })
}
