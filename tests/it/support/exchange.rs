//! Any number of SIP endpoints and of scripted telephones in virtual time, each at an address of its own.
//!
//! An endpoint is [`secretary::sip::Endpoint`]; a scripted telephone is the test itself, which reads what comes to it
//! and says what it likes. Names lead to addresses by a list, in its order.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use secretary::sip::message::{Message, Method, Request, Response};
use secretary::sip::{CallKey, Command, Endpoint, EndpointConfig, Event, Flow, Input, Output, SessionEvent, Transport};

use super::pair::epoch;

const LATENCY: Duration = Duration::from_millis(10);
const RING_FOR: Duration = Duration::from_secs(60);

/// Who is at an address: 192.0.2.1 is number 1, and so on.
pub type Party = u8;

#[derive(Default)]
struct End {
    /// `None`: scripted.
    endpoint: Option<Endpoint>,
    events: VecDeque<Event>,
    inbox: VecDeque<Message>,
}

/// Takes a message from the wire, `true` to lose it.
type Fault = Box<dyn FnMut(Party, &str) -> bool>;

pub struct Exchange {
    pub now: Instant,
    start: Instant,
    ends: BTreeMap<Party, End>,
    /// By time and order of sending: from whom, to whom, and what.
    wire: BTreeMap<(Instant, u64), (Party, Party, Vec<u8>)>,
    sent: u64,
    pub names: BTreeMap<String, Vec<Party>>,
    pub fault: Option<Fault>,
    pub trace: String,
}

pub fn address(party: Party) -> SocketAddr {
    ([192, 0, 2, party], 5060).into()
}

/// The SIP URI of a party.
pub fn uri(party: Party) -> String {
    format!("sip:p{party}@{}", address(party))
}

impl Exchange {
    pub fn new() -> Self {
        let now = epoch();
        Exchange {
            now,
            start: now,
            ends: BTreeMap::new(),
            wire: BTreeMap::new(),
            sent: 0,
            names: BTreeMap::new(),
            fault: None,
            trace: String::new(),
        }
    }

    pub fn add(&mut self, party: Party, config: EndpointConfig) {
        let endpoint = Some(Endpoint::new(config, [party; 32]));
        self.ends.insert(party, End { endpoint, ..End::default() });
    }

    pub fn add_scripted(&mut self, party: Party) {
        self.ends.insert(party, End::default());
    }

    pub fn endpoint(&mut self, party: Party) -> &mut Endpoint {
        self.ends.get_mut(&party).and_then(|end| end.endpoint.as_mut()).expect("an endpoint")
    }

    pub fn command(&mut self, party: Party, command: Command) {
        let now = self.now;
        self.endpoint(party).handle_input(now, Input::Command(command));
        self.drain();
    }

    /// `from` calls a target.
    pub fn call(&mut self, from: Party, target: &str) -> CallKey {
        let call = self.endpoint(from).next_call_key();
        let (target, offer) = (target.to_owned(), b"offer".to_vec());
        self.command(from, Command::Invite { call, target, account: None, offer, ring_for: RING_FOR });
        call
    }

    /// `from` calls `to`, both endpoints, and is answered: his call and hers.
    pub fn connect(&mut self, from: Party, to: Party) -> (CallKey, CallKey) {
        let ours = self.call(from, &uri(to));
        let (theirs, event) = self.session_event(to);
        assert!(matches!(event, SessionEvent::Incoming(_)), "{event:?}\n{}", self.trace);
        self.command(to, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
        assert!(matches!(self.session_event(from), (call, SessionEvent::Answered { .. }) if call == ours));
        assert_eq!(self.session_event(to), (theirs, SessionEvent::Established { sdp: None }));
        (ours, theirs)
    }

    /// Runs until `party` has an event of a session.
    pub fn session_event(&mut self, party: Party) -> (CallKey, SessionEvent) {
        match self.event(party) {
            Event::Session { call, event } => (call, event),
            other => panic!("{other:?} instead of a session event\n{}", self.trace),
        }
    }

    /// Runs until `party` has an event.
    pub fn event(&mut self, party: Party) -> Event {
        loop {
            if let Some(event) = self.event_now(party) {
                return event;
            }
            assert!(self.step(), "{party} waits for an event, and nothing more will happen\n{}", self.trace);
        }
    }

    /// The next event of `party` that is there already.
    pub fn event_now(&mut self, party: Party) -> Option<Event> {
        self.ends.get_mut(&party).and_then(|end| end.events.pop_front())
    }

    /// Runs until a request comes to a scripted party, passing over answers and other methods.
    pub fn request(&mut self, party: Party, method: Method) -> Request {
        loop {
            match self.message(party) {
                Message::Request(request) if request.method == method => return request,
                _ => {}
            }
        }
    }

    /// Runs until an answer to a method comes to a scripted party, passing over 100, requests and other answers.
    pub fn response(&mut self, party: Party, method: Method) -> Response {
        loop {
            match self.message(party) {
                Message::Response(response)
                    if response.status > 100 && response.envelope().unwrap().cseq.method == method =>
                {
                    return response;
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, party: Party) -> Message {
        loop {
            if let Some(message) = self.ends.get_mut(&party).and_then(|end| end.inbox.pop_front()) {
                return message;
            }
            assert!(self.step(), "{party} waits for a message, and nothing more will happen\n{}", self.trace);
        }
    }

    /// A scripted party answers a request of `to`.
    pub fn answer(&mut self, from: Party, to: Party, request: &Request, status: u16) {
        let contact = format!("<{}>", uri(from));
        let mut answer = Response::answer(request, status).with_to_tag("scripted").with("Contact", contact);
        if request.method == Method::Invite && (200..300).contains(&status) {
            answer.set_sdp(b"answer".to_vec());
        }
        self.send(from, to, answer.to_bytes());
    }

    /// What a scripted party says inside the call that `invite` of `to` has begun, in an order of its own.
    pub fn say(&mut self, from: Party, to: Party, invite: &Request, method: &str, extra: &str, body: &str) {
        let header = |name: &str| invite.headers.get(name).unwrap_or("");
        let (local, remote, call_id) = (header("To"), header("From"), header("Call-ID"));
        self.sent += 1;
        let number = self.sent;
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKs{number}\r\nMax-Forwards: 70\r\n\
             From: {local};tag=scripted\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Contact: <{}>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            uri(to),
            address(from),
            uri(from),
            body.len()
        );
        self.send(from, to, text.into_bytes());
    }

    /// `from` calls a scripted party, who answers: his call and the INVITE.
    pub fn connect_scripted(&mut self, from: Party, to: Party) -> (CallKey, Request) {
        let call = self.call(from, &uri(to));
        let invite = self.request(to, Method::Invite);
        self.answer(to, from, &invite, 200);
        self.request(to, Method::Ack);
        assert!(matches!(self.session_event(from), (_, SessionEvent::Answered { .. })));
        (call, invite)
    }

    pub fn send(&mut self, from: Party, to: Party, bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let time = self.elapsed().as_millis();
        writeln!(self.trace, "{time} {from} > {to} {}", text.replace("\r\n", "|")).unwrap();
        if self.fault.as_mut().is_some_and(|fault| fault(from, &text)) {
            return;
        }
        self.sent += 1;
        self.wire.insert((self.now + LATENCY, self.sent), (from, to, bytes));
    }

    /// How many messages of `party` that begin with `start` were sent so far.
    pub fn count_sent(&self, party: Party, start: &str) -> usize {
        let lines = self.trace.lines().filter_map(|line| line.split_once(" > "));
        let of_party = lines.filter(|(head, _)| head.ends_with(&format!(" {party}")));
        of_party.filter(|(_, rest)| rest.split_once(' ').is_some_and(|(_, text)| text.starts_with(start))).count()
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_instant().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Runs until nobody has anything to do, and checks that nothing is left of any call.
    pub fn nothing_is_left(&mut self) {
        while self.step() {
            assert!(self.elapsed() < Duration::from_secs(100_000), "never idle\n{}", self.trace);
        }
        for (party, end) in &self.ends {
            if let Some(endpoint) = &end.endpoint {
                let usage = endpoint.usage();
                assert_eq!((usage.sessions, usage.transactions), (0, 0), "{party}\n{}", self.trace);
            }
        }
    }

    fn next_instant(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        let timers = self.ends.values().filter_map(|end| end.endpoint.as_ref()?.poll_timeout());
        wire.into_iter().chain(timers).min()
    }

    fn step(&mut self) -> bool {
        let Some(at) = self.next_instant() else { return false };
        self.now = self.now.max(at);
        let now = self.now;
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (from, to, bytes) = entry.remove();
            match self.ends.get_mut(&to) {
                Some(End { endpoint: Some(endpoint), .. }) => {
                    endpoint.handle_input(now, Input::Message { flow: flow(to, from), bytes });
                }
                Some(end) => end.inbox.push_back(Message::parse(&bytes).expect("a SIP message")),
                None => {}
            }
        } else {
            for endpoint in self.ends.values_mut().filter_map(|end| end.endpoint.as_mut()) {
                endpoint.handle_timeout(now);
            }
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        let parties: Vec<_> = self.ends.keys().copied().collect();
        for party in parties {
            while let Some(output) = self.ends.get_mut(&party).and_then(|end| end.endpoint.as_mut()?.poll_output()) {
                match output {
                    Output::Transmit { flow, bytes } => {
                        if let Some(to) = party_at(flow.remote.ip()) {
                            self.send(party, to, bytes);
                        }
                    }
                    Output::Resolve { id, host, .. } => {
                        let named = self.names.get(&host).cloned();
                        let found = named.or_else(|| Some(vec![party_at(host.parse().ok()?)?])).unwrap_or_default();
                        let flows = found.into_iter().map(|to| flow(party, to)).collect();
                        let now = self.now;
                        self.endpoint(party).handle_input(now, Input::Resolved { id, flows });
                    }
                    Output::Event(event) => {
                        writeln!(self.trace, "{} {party} ! {event:?}", self.elapsed().as_millis()).unwrap();
                        self.ends.get_mut(&party).unwrap().events.push_back(event);
                    }
                }
            }
        }
    }
}

fn party_at(ip: IpAddr) -> Option<Party> {
    match ip {
        IpAddr::V4(ip) if ip.octets().starts_with(&[192, 0, 2]) => ip.octets().last().copied(),
        _ => None,
    }
}

fn flow(local: Party, remote: Party) -> Flow {
    Flow { transport: Transport::Udp, local: address(local), remote: address(remote) }
}
