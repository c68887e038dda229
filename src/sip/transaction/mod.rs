//! Transactions (RFC 3261 §17 with RFC 6026): retransmission, absorption of repeats, timeouts.
//!
//! The four state machines are pure; [`Transactions`] holds them with their messages and flows, in bounded tables.
//! Left out: stateless proxying, and RFC 2543 matching beyond what tells two requests apart.

mod client;
mod client_invite;
mod entry;
mod server;
mod server_invite;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use entry::{ClientEntry, ClientMachine, ServerEntry, ServerMachine};
use server::Server;
use server_invite::InviteServer;
pub use timers::{GIVE_UP, T1, T2, Timers};

use super::deadlines::Deadlines;
use super::message::{CSeq, Envelope, MAGIC_COOKIE, Method, Request, Response};
use super::{Flow, Output, Transport};

/// RFC 3261 §18.1.1: a longer request goes over a transport that is not cut into fragments, in bytes.
const LONGEST_DATAGRAM: usize = 1_300;
/// Peers that are known to take no TCP.
const MAX_WITHOUT_TCP: usize = 256;

/// What an answer means to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// New to the owner.
    Deliver,
    /// New to the owner, and a failure that is to be ACKed.
    DeliverAndAck,
    /// A repeated failure: ACK it again.
    Ack,
    Absorb,
}

/// What a timer that fired wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Retransmit,
    TimedOut,
}

/// Why a client transaction ended without a final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Timeout,
    Transport(String),
}

/// A client transaction that ended without a final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed<O> {
    pub owner: O,
    pub cseq: CSeq,
    pub why: Failure,
}

/// What a request is to the transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A new transaction has begun: answer it by its key.
    New(ServerKey),
    /// A repetition or the ACK of a failure; it has been dealt with.
    Absorbed,
    /// An ACK that belongs to a 2xx, if to anything.
    OtherAck,
    /// No room: answer without a transaction.
    Full,
}

/// Names a server transaction (RFC 3261 §17.2.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerKey {
    id: Arc<str>,
    method: Method,
}

impl ServerKey {
    /// The transaction that a request belongs to; that of the INVITE for its ACK.
    pub fn of(envelope: &Envelope) -> Self {
        let method = match &envelope.cseq.method {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        Self::with_method(envelope, method)
    }

    /// The INVITE transaction that a CANCEL is for (RFC 3261 §9.2).
    pub fn of_cancelled(envelope: &Envelope) -> Self {
        Self::with_method(envelope, Method::Invite)
    }

    fn with_method(envelope: &Envelope, method: Method) -> Self {
        let via = &envelope.via;
        let sent_by = format!("{}:{:?}", via.host.to_ascii_lowercase(), via.port);
        let id = match via.branch() {
            Some(branch) if branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE) => {
                format!("{branch} {sent_by}")
            }
            branch => {
                let (tag, number) = (envelope.from.tag(), envelope.cseq.number);
                format!("{} {number} {tag:?} {branch:?} {sent_by}", envelope.call_id)
            }
        };
        ServerKey { id: id.into(), method }
    }
}

/// Names a client transaction (RFC 3261 §17.1.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ClientKey {
    branch: Arc<str>,
    method: Method,
}

/// All transactions of an endpoint. `O` says who is to hear of a client transaction's answers.
#[derive(Debug)]
pub struct Transactions<O> {
    clients: BTreeMap<ClientKey, ClientEntry<O>>,
    client_deadlines: Deadlines<ClientKey>,
    servers: BTreeMap<ServerKey, ServerEntry>,
    server_deadlines: Deadlines<ServerKey>,
    without_tcp: BTreeSet<SocketAddr>,
    limit: usize,
}

impl<O: Copy> Transactions<O> {
    /// `limit` bounds the client and the server transactions, each.
    pub fn new(limit: usize) -> Self {
        Transactions {
            clients: BTreeMap::new(),
            client_deadlines: Deadlines::default(),
            servers: BTreeMap::new(),
            server_deadlines: Deadlines::default(),
            without_tcp: BTreeSet::new(),
            limit,
        }
    }

    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.client_deadlines.next().into_iter().chain(self.server_deadlines.next()).min()
    }

    /// Sends a request that has its `Via` and begins a client transaction. False when there is no room.
    #[must_use]
    pub fn send(&mut self, now: Instant, flow: Flow, request: Request, owner: O, out: &mut VecDeque<Output>) -> bool {
        let Ok(envelope) = request.envelope() else { return false };
        let Some(branch) = envelope.via.branch() else { return false };
        if self.clients.len() >= self.limit {
            return false;
        }
        let key = ClientKey { branch: branch.into(), method: request.method.clone() };
        let mut entry = ClientEntry {
            machine: ClientMachine::new(now, &request.method, flow),
            owner,
            flow,
            fallback: None,
            request,
            cseq: envelope.cseq,
        };
        let mut bytes = entry.request.to_bytes();
        let other_way = match entry.request.method {
            // RFC 3261 §9.1: where its INVITE went.
            Method::Cancel => self.invite_flow(&key.branch).filter(|way| *way != flow),
            _ if flow.transport != Transport::Udp || bytes.len() <= LONGEST_DATAGRAM => None,
            _ if self.without_tcp.contains(&flow.remote) => None,
            _ => {
                entry.fallback = Some(flow);
                Some(Flow { transport: Transport::Tcp, ..flow })
            }
        };
        if let Some(way) = other_way {
            entry.take(now, way);
            bytes = entry.request.to_bytes();
        }
        out.push_back(Output::Transmit { flow: entry.flow, bytes });
        self.client_deadlines.set(&key, entry.poll_timeout());
        self.clients.insert(key, entry);
        true
    }

    fn invite_flow(&self, branch: &Arc<str>) -> Option<Flow> {
        let invite = ClientKey { branch: Arc::clone(branch), method: Method::Invite };
        self.clients.get(&invite).map(|entry| entry.flow)
    }

    /// Takes an answer; the owner of its transaction if it is new to him.
    pub fn on_response(
        &mut self,
        now: Instant,
        response: &Response,
        envelope: &Envelope,
        out: &mut VecDeque<Output>,
    ) -> Option<O> {
        let key = ClientKey { branch: envelope.via.branch()?.into(), method: envelope.cseq.method.clone() };
        // One with another number would stop our retransmissions, and its owner could make nothing of it.
        let entry = self.clients.get_mut(&key).filter(|entry| entry.cseq.number == envelope.cseq.number)?;
        let owner = entry.owner;
        let (verdict, over) = match &mut entry.machine {
            ClientMachine::Invite { machine, ack } => {
                let verdict = machine.on_response(now, response.status);
                if verdict == Verdict::DeliverAndAck {
                    *ack = Some(ack_of_failure(&entry.request, response, entry.cseq.number).to_bytes());
                }
                if let (Verdict::DeliverAndAck | Verdict::Ack, Some(bytes)) = (verdict, ack) {
                    out.push_back(Output::Transmit { flow: entry.flow, bytes: bytes.clone() });
                }
                (verdict, machine.state() == client_invite::State::Terminated)
            }
            ClientMachine::Other(machine) => {
                (machine.on_response(now, response.status), machine.state() == client::State::Terminated)
            }
        };
        self.client_deadlines.set(&key, entry.poll_timeout().filter(|_| !over));
        if over {
            self.clients.remove(&key);
        }
        matches!(verdict, Verdict::Deliver | Verdict::DeliverAndAck).then_some(owner)
    }

    /// Takes a request. A new one is to be answered by [`Transactions::respond`], except [`Arrival::OtherAck`]. `trusted`
    /// says that it belongs to a call of ours, or comes from where an account's calls come from.
    pub fn on_request(
        &mut self,
        now: Instant,
        flow: Flow,
        envelope: &Envelope,
        trusted: bool,
        out: &mut VecDeque<Output>,
    ) -> Arrival {
        let key = ServerKey::of(envelope);
        let is_ack = envelope.cseq.method == Method::Ack;
        let Some(entry) = self.servers.get_mut(&key) else {
            if is_ack {
                return Arrival::OtherAck;
            }
            // A flood from outside must keep out neither the BYE of a call nor the calls of a trunk.
            let room = if trusted { self.limit } else { self.limit.div_ceil(2) };
            if self.servers.len() >= room {
                return Arrival::Full;
            }
            let reliable = flow.transport.is_reliable();
            let machine = match envelope.cseq.method {
                Method::Invite => ServerMachine::Invite(InviteServer::new(reliable)),
                _ => ServerMachine::Other(Server::new(reliable)),
            };
            self.servers.insert(key.clone(), ServerEntry { machine, flow, answer: None });
            return Arrival::New(key);
        };
        let repeat = match &mut entry.machine {
            // Some peers give the ACK of a 2xx the branch of its INVITE.
            ServerMachine::Invite(machine) if is_ack && machine.state() == server_invite::State::Accepted => {
                return Arrival::OtherAck;
            }
            ServerMachine::Invite(machine) if is_ack => {
                machine.on_ack(now);
                false
            }
            ServerMachine::Invite(machine) => machine.on_repeated_request(),
            ServerMachine::Other(machine) => machine.on_repeated_request(),
        };
        if let (true, Some(bytes)) = (repeat, &entry.answer) {
            out.push_back(Output::Transmit { flow: entry.flow, bytes: bytes.clone() });
        }
        self.settle(&key);
        Arrival::Absorbed
    }

    /// Sends an answer through its transaction, unless that is over or has its final answer.
    pub fn respond(&mut self, now: Instant, key: &ServerKey, response: &Response, out: &mut VecDeque<Output>) {
        let Some(entry) = self.servers.get_mut(key) else { return };
        let send = match &mut entry.machine {
            ServerMachine::Invite(machine) => machine.on_answer(now, response.status),
            ServerMachine::Other(machine) => machine.on_answer(now, response.status),
        };
        if send {
            let bytes = response.to_bytes();
            out.push_back(Output::Transmit { flow: entry.flow, bytes: bytes.clone() });
            // A 2xx to an INVITE is repeated by its session.
            entry.answer = (!entry.is_accepted()).then_some(bytes);
        }
        self.settle(key);
    }

    /// Forgets a server transaction that is over, or sets its next deadline.
    fn settle(&mut self, key: &ServerKey) {
        let Some(entry) = self.servers.get(key) else { return };
        let over = entry.is_over();
        self.server_deadlines.set(key, entry.poll_timeout().filter(|_| !over));
        if over {
            self.servers.remove(key);
        }
    }

    /// Forgets a server transaction at once: its request, should it be repeated, is a new one.
    pub fn forget(&mut self, key: &ServerKey) {
        self.server_deadlines.set(key, None);
        self.servers.remove(key);
    }

    /// Whether a server transaction is there.
    pub fn has(&self, key: &ServerKey) -> bool {
        self.servers.contains_key(key)
    }

    pub fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Output>) -> Vec<Failed<O>> {
        let mut failed = Vec::new();
        while let Some(key) = self.client_deadlines.pop_due(now) {
            let Some(entry) = self.clients.get_mut(&key) else { continue };
            while let Some(expiry) = entry.on_timeout(now) {
                match expiry {
                    Expiry::Retransmit => {
                        out.push_back(Output::Transmit { flow: entry.flow, bytes: entry.request.to_bytes() });
                    }
                    Expiry::TimedOut => failed.push(entry.failed(Failure::Timeout)),
                }
            }
            if entry.is_over() {
                self.clients.remove(&key);
            } else {
                self.client_deadlines.set(&key, entry.poll_timeout());
            }
        }
        while let Some(key) = self.server_deadlines.pop_due(now) {
            let Some(entry) = self.servers.get_mut(&key) else { continue };
            if let (true, Some(bytes)) = (entry.on_timeout(now), &entry.answer) {
                out.push_back(Output::Transmit { flow: entry.flow, bytes: bytes.clone() });
            }
            self.settle(&key);
        }
        failed
    }

    /// Ends a client transaction that nobody waits for any longer.
    pub fn abandon(&mut self, branch: &str, method: &Method) {
        let key = ClientKey { branch: branch.into(), method: method.clone() };
        self.clients.remove(&key);
        self.client_deadlines.set(&key, None);
    }

    /// The flow is broken: every client transaction on it that waits for an answer has failed (RFC 3261 §17.1.4),
    /// unless it was there only for its length: then it goes out as a datagram after all (§18.1.1).
    pub fn flow_failed(
        &mut self,
        now: Instant,
        flow: &Flow,
        error: &str,
        out: &mut VecDeque<Output>,
    ) -> Vec<Failed<O>> {
        let mut failed = Vec::new();
        let (deadlines, without_tcp) = (&mut self.client_deadlines, &mut self.without_tcp);
        self.clients.retain(|key, entry| {
            if entry.flow != *flow || !entry.waits_for_answer() {
                return true;
            }
            if let Some(fallback) = entry.fallback.take() {
                if without_tcp.len() >= MAX_WITHOUT_TCP {
                    without_tcp.clear();
                }
                without_tcp.insert(fallback.remote);
                entry.take(now, fallback);
                out.push_back(Output::Transmit { flow: fallback, bytes: entry.request.to_bytes() });
                deadlines.set(key, entry.poll_timeout());
                return true;
            }
            failed.push(entry.failed(Failure::Transport(error.to_owned())));
            deadlines.set(key, None);
            false
        });
        failed
    }
}

/// RFC 3261 §17.1.1.3
fn ack_of_failure(invite: &Request, failure: &Response, cseq: u32) -> Request {
    let mut ack = Request::new(Method::Ack, invite.uri.clone());
    if let Some(via) = invite.headers.values("Via").next() {
        ack.headers.push("Via", via);
    }
    for name in ["Route", "Max-Forwards", "From"] {
        ack.headers.copy(name, &invite.headers);
    }
    ack.headers.copy("To", &failure.headers);
    ack.headers.copy("Call-ID", &invite.headers);
    ack.headers.push("CSeq", CSeq { number: cseq, method: Method::Ack }.to_string());
    ack
}

#[cfg(test)]
mod testing {
    use std::time::{Duration, Instant};

    use super::Expiry;

    /// Any instant: all times in these tests are relative to it.
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    pub fn clock() -> Instant {
        Instant::now()
    }

    /// Runs a machine along its own timers: milliseconds from `start`, and what each wanted.
    pub fn fire_times(
        start: Instant,
        mut next: impl FnMut() -> Option<(Instant, Option<Expiry>)>,
    ) -> Vec<(u128, Option<Expiry>)> {
        let mut fired = Vec::new();
        while let Some((at, expiry)) = next() {
            assert!(at < start + Duration::from_secs(100), "a timer never ends");
            fired.push(((at - start).as_millis(), expiry));
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;
    use crate::sip::message::Message;

    fn flow() -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: Transport::Udp, local, remote: "192.0.2.2:5060".parse().unwrap() }
    }

    fn request(method: &str, branch: &str) -> Request {
        let text = format!(
            "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 7 {method}\r\nRoute: <sip:p;lr>\r\n\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn sent(out: &mut VecDeque<Output>) -> Vec<String> {
        out.drain(..)
            .map(|output| match output {
                Output::Transmit { bytes, .. } => String::from_utf8(bytes).unwrap().lines().next().unwrap().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn acks_a_failure_with_the_branch_and_route_of_the_invite() {
        let (now, mut out) = (testing::clock(), VecDeque::new());
        let mut transactions = Transactions::new(10);
        let invite = request("INVITE", "z9hG4bKa");
        assert!(transactions.send(now, flow(), invite.clone(), (), &mut out));
        out.clear();
        let busy = Response::answer(&invite, 486).with_to_tag("t");
        let envelope = busy.envelope().unwrap();
        assert!(transactions.on_response(now, &busy, &envelope, &mut out).is_some());
        let Some(Output::Transmit { bytes, .. }) = out.pop_front() else { panic!("no ACK") };
        let ack = String::from_utf8(bytes).unwrap();
        assert!(ack.starts_with("ACK sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa\r\n"));
        assert!(ack.contains("Route: <sip:p;lr>\r\n") && ack.contains("To: <sip:b@x>;tag=t\r\n"));
        assert!(ack.contains("CSeq: 7 ACK\r\n"));
        assert!(transactions.on_response(now, &busy, &envelope, &mut out).is_none(), "a repeated failure is absorbed");
        assert_eq!(sent(&mut out), ["ACK sip:b@192.0.2.2 SIP/2.0"]);
    }

    #[test]
    fn a_repeated_request_is_answered_but_not_new() {
        let (now, mut out) = (testing::clock(), VecDeque::new());
        let mut transactions: Transactions<()> = Transactions::new(1);
        let invite = request("INVITE", "z9hG4bKa");
        let envelope = invite.envelope().unwrap();
        let Arrival::New(key) = transactions.on_request(now, flow(), &envelope, false, &mut out) else {
            panic!("not new")
        };
        transactions.respond(now, &key, &Response::answer(&invite, 180).with_to_tag("t"), &mut out);
        assert_eq!(transactions.on_request(now, flow(), &envelope, false, &mut out), Arrival::Absorbed);
        assert_eq!(sent(&mut out), ["SIP/2.0 180 Ringing", "SIP/2.0 180 Ringing"]);

        let other = request("INVITE", "z9hG4bKb").envelope().unwrap();
        assert_eq!(transactions.on_request(now, flow(), &other, false, &mut out), Arrival::Full);
        let ack = request("ACK", "z9hG4bKc").envelope().unwrap();
        assert_eq!(transactions.on_request(now, flow(), &ack, false, &mut out), Arrival::OtherAck);
    }

    #[test]
    fn requests_without_the_magic_cookie_are_told_apart_by_more_than_the_branch() {
        let mut second = request("OPTIONS", "1").envelope().unwrap();
        let first = ServerKey::of(&second);
        second.cseq.number += 1;
        assert_ne!(first, ServerKey::of(&second));
    }

    #[test]
    fn a_broken_flow_fails_what_waits_on_it() {
        let (now, mut out) = (testing::clock(), VecDeque::new());
        let mut transactions = Transactions::new(10);
        assert!(transactions.send(now, flow(), request("OPTIONS", "z9hG4bKa"), 1, &mut out));
        let other = Flow { transport: Transport::Tcp, ..flow() };
        assert!(transactions.send(now, other, request("OPTIONS", "z9hG4bKb"), 2, &mut out));
        let failed = transactions.flow_failed(now, &flow(), "unreachable", &mut out);
        assert_eq!(failed.iter().map(|f| f.owner).collect::<Vec<_>>(), [1]);
        assert_eq!(transactions.len(), 1);
    }

    #[test]
    fn a_long_request_goes_by_tcp_and_as_a_datagram_where_there_is_no_tcp() {
        let (now, mut out) = (testing::clock(), VecDeque::new());
        let mut transactions = Transactions::new(10);
        let mut long = request("OPTIONS", "z9hG4bKa");
        long.headers.push("Subject", "x".repeat(1_300));
        assert!(transactions.send(now, flow(), long.clone(), 1, &mut out));
        let by_tcp = Flow { transport: Transport::Tcp, ..flow() };
        let Some(Output::Transmit { flow: taken, bytes }) = out.pop_front() else { panic!("nothing sent") };
        assert_eq!(taken, by_tcp);
        assert!(String::from_utf8(bytes).unwrap().contains("\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;"));

        assert_eq!(transactions.flow_failed(now, &by_tcp, "refused", &mut out), []);
        let Some(Output::Transmit { flow: taken, bytes }) = out.pop_front() else { panic!("nothing sent") };
        assert_eq!(taken, flow());
        assert!(String::from_utf8(bytes).unwrap().contains("\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;"));
        assert_eq!(transactions.poll_timeout(), Some(now + T1), "a datagram is repeated");

        let mut second = request("OPTIONS", "z9hG4bKb");
        second.headers.push("Subject", "x".repeat(1_300));
        assert!(transactions.send(now, flow(), second, 2, &mut out));
        assert!(matches!(out.pop_front(), Some(Output::Transmit { flow: taken, .. }) if taken == flow()));
        assert_eq!(transactions.flow_failed(now, &flow(), "unreachable", &mut out).len(), 2);
    }
}
