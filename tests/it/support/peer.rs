//! One SIP endpoint in virtual time, and a peer whose every message the test writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use secretary::sip::message::{Message, Method, Request, Response};
use secretary::sip::{
    AccountId, CallKey, CallOut, Command, Endpoint, EndpointConfig, Event, Flow, Input, Output, SessionEvent, Transport,
};

use super::pair::epoch;

/// Answers each request of the endpoint at once, or is silent; sees the flow it was sent over.
pub type Script = Box<dyn FnMut(&Flow, &Request) -> Option<Response>>;

/// A message that the endpoint sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at_ms: u64,
    pub flow: Flow,
    pub message: Message,
}

pub struct Peer {
    pub now: Instant,
    start: Instant,
    pub endpoint: Endpoint,
    pub sent: Vec<Sent>,
    pub events: VecDeque<SessionEvent>,
    /// What the resolver finds for every name.
    pub flows: Vec<Flow>,
    /// The names that were asked for.
    pub asked: Vec<String>,
    pub script: Script,
    requests: u32,
}

pub fn flow(port: u16) -> Flow {
    let remote = ([192, 0, 2, 2], port).into();
    Flow { transport: Transport::Udp, local: ([192, 0, 2, 1], 5060).into(), remote }
}

impl Peer {
    pub fn new() -> Self {
        Self::with_config(EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "secretary", 4) })
    }

    pub fn with_config(config: EndpointConfig) -> Self {
        let now = epoch();
        Peer {
            now,
            start: now,
            endpoint: Endpoint::new(config, [3; 32]),
            sent: Vec::new(),
            events: VecDeque::new(),
            flows: vec![flow(5060)],
            asked: Vec::new(),
            script: Box::new(|_, _| None),
            requests: 0,
        }
    }

    pub fn input(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    /// The endpoint calls the peer.
    pub fn call(&mut self, target: &str, account: Option<AccountId>) -> CallKey {
        let call = self.endpoint.next_call_key();
        let (target, ring_for) = (target.to_owned(), Duration::from_secs(60));
        self.command(Command::Invite { call, target, account, offer: b"offer".to_vec(), ring_for });
        call
    }

    /// The peer says this.
    pub fn say(&mut self, bytes: Vec<u8>) {
        self.input(Input::Message { flow: flow(5060), bytes });
    }

    /// An answer to a request of the endpoint, with a tag, a Contact, and header fields or a body that are added.
    pub fn answer(&mut self, request: &Request, status: u16, tag: &str, more: &str, body: &str) {
        self.say(answer(request, status, tag, more, body).to_bytes());
    }

    /// A request of the peer in the dialog that `ours`, a request or an answer of the endpoint, belongs to.
    pub fn ask(&mut self, method: &str, cseq: u32, ours: &Message, more: &str, body: &str) {
        let (from, to, call_id) = match ours {
            Message::Request(ours) => (ours.headers.get("To"), ours.headers.get("From"), ours.headers.get("Call-ID")),
            Message::Response(ours) => (ours.headers.get("From"), ours.headers.get("To"), ours.headers.get("Call-ID")),
        };
        let (from, to, call_id) = (from.unwrap(), to.unwrap(), call_id.unwrap());
        self.requests += 1;
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:secretary@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKpeer{}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{more}{content}\r\n{body}",
            self.requests
        );
        self.say(text.into_bytes());
    }

    /// The peer calls the endpoint: its key.
    pub fn invite(&mut self, more: &str, body: &str) -> CallKey {
        let begin = Response { status: 0, reason: String::new(), headers: Default::default(), body: Vec::new() }
            .with("From", "<sip:peer@192.0.2.2>;tag=peer")
            .with("To", "<sip:secretary@192.0.2.1>")
            .with("Call-ID", "called");
        let more = format!("Contact: <sip:peer@192.0.2.2>\r\n{more}");
        self.ask("INVITE", 1, &Message::Response(begin), &more, body);
        CallKey(1)
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    /// Every request of that method that the endpoint sent, repeats included.
    pub fn requests(&self, method: &str) -> Vec<Request> {
        let requests = self.sent.iter().filter_map(|sent| match &sent.message {
            Message::Request(request) if request.method.as_str() == method => Some(request.clone()),
            _ => None,
        });
        requests.collect()
    }

    /// The last request of that method.
    pub fn request(&self, method: &str) -> Request {
        self.requests(method).pop().unwrap_or_else(|| panic!("no {method}\n{:#?}", self.sent))
    }

    /// When the endpoint sent requests of that method, in milliseconds from the start.
    pub fn times(&self, method: &str) -> Vec<u64> {
        let of_method = |sent: &&Sent| matches!(&sent.message, Message::Request(r) if r.method.as_str() == method);
        self.sent.iter().filter(of_method).map(|sent| sent.at_ms).collect()
    }

    /// Every answer with that status that the endpoint sent, and when.
    pub fn answers(&self, status: u16) -> Vec<(u64, Response)> {
        let answers = self.sent.iter().filter_map(|sent| match &sent.message {
            Message::Response(response) if response.status == status => Some((sent.at_ms, response.clone())),
            _ => None,
        });
        answers.collect()
    }

    /// The last message that the endpoint sent: its status, or 0 for a request.
    pub fn last_status(&self) -> u16 {
        match self.sent.last().map(|sent| &sent.message) {
            Some(Message::Response(response)) => response.status,
            _ => 0,
        }
    }

    pub fn event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Resolve { id, host, .. } => {
                    self.asked.push(host);
                    let flows = self.flows.clone();
                    self.endpoint.handle_input(self.now, Input::Resolved { id, flows });
                }
                Output::Event(Event::Session { event, .. }) => self.events.push_back(event),
                Output::Event(_) => {}
                Output::Transmit { flow, bytes } => {
                    let message = Message::parse(&bytes).unwrap();
                    self.sent.push(Sent { at_ms: self.elapsed_ms(), flow, message: message.clone() });
                    let Message::Request(request) = message else { continue };
                    if request.method == Method::Ack {
                        continue;
                    }
                    if let Some(answer) = (self.script)(&flow, &request) {
                        let bytes = answer.to_bytes();
                        self.endpoint.handle_input(self.now, Input::Message { flow, bytes });
                    }
                }
            }
        }
    }
}

/// An answer to a request, with a tag, a Contact, and header fields or a body that are added.
pub fn answer(request: &Request, status: u16, tag: &str, more: &str, body: &str) -> Response {
    let mut answer = Response::answer(request, status);
    if !tag.is_empty() {
        answer = answer.with_to_tag(tag);
    }
    if !more.contains("Contact:") {
        answer = answer.with("Contact", format!("<sip:{tag}@192.0.2.2>"));
    }
    for line in more.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer = answer.with(name, value);
    }
    if !body.is_empty() {
        answer.set_sdp(body.as_bytes().to_vec());
    }
    answer
}
