//! One SIP endpoint in virtual time that registers at a scripted registrar, or at several.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secretary::sip::auth::Credentials;
use secretary::sip::message::{Message, Request, Response, Via};
use secretary::sip::{
    Account, AccountId, CallKey, Command, DirectCalls, Endpoint, EndpointConfig, Event, Flow, Incoming, Input,
    Numbering, Output, RegistrationState, SessionEvent, Transport,
};

use super::pair::epoch;

/// Answers a REGISTER, or is silent.
pub type Script = Box<dyn FnMut(&Request) -> Option<Response>>;

pub struct Phone {
    pub now: Instant,
    pub start: Instant,
    pub endpoint: Endpoint,
    pub script: Script,
    /// Each REGISTER that was sent, with its time in milliseconds from the start.
    pub sent: Vec<(u64, Request)>,
    pub states: VecDeque<(u64, RegistrationState)>,
    /// The registrar.
    pub flow: Flow,
    /// Its other addresses, worse than the first.
    pub more: Vec<Flow>,
    /// Other hosts that the resolver knows.
    pub hosts: BTreeMap<String, Flow>,
    /// Registrars that get nothing and say nothing.
    pub dead: BTreeSet<SocketAddr>,
    /// To whom each REGISTER was sent.
    pub sent_to: Vec<SocketAddr>,
    /// What the registrar sees as our address, if there is a NAT.
    pub nat: Option<SocketAddr>,
    /// Whether the resolver knows the registrar.
    pub resolvable: bool,
    /// When the resolver was asked, in milliseconds from the start.
    pub asked: Vec<u64>,
    pub calls: VecDeque<(CallKey, SessionEvent)>,
    /// What others were answered.
    pub answers: Vec<Response>,
}

impl Phone {
    pub fn new(transport: Transport, script: Script) -> Self {
        let config =
            EndpointConfig { direct_calls: DirectCalls::Refused, ..EndpointConfig::new("test", "secretary", 2) };
        let now = epoch();
        Phone {
            now,
            start: now,
            endpoint: Endpoint::new(config, [7; 32]),
            script,
            sent: Vec::new(),
            states: VecDeque::new(),
            flow: Flow { transport, local: ([192, 0, 2, 1], 5060).into(), remote: ([192, 0, 2, 9], 5060).into() },
            more: Vec::new(),
            hosts: BTreeMap::new(),
            dead: BTreeSet::new(),
            sent_to: Vec::new(),
            nat: None,
            resolvable: true,
            asked: Vec::new(),
            calls: VecDeque::new(),
            answers: Vec::new(),
        }
    }

    /// What [`Phone::register`] registers.
    pub fn account(&self) -> Account {
        Account {
            id: AccountId(0),
            registrar: "pbx.example".into(),
            port: None,
            domain: "pbx.example".into(),
            username: "100".into(),
            credentials: vec![Credentials { realm: None, username: "100".into(), password: "secret".into() }],
            transport: Some(self.flow.transport),
            expires: Some(Duration::from_secs(60)),
            access: Vec::new(),
            numbering: Numbering::default(),
        }
    }

    pub fn register(&mut self) {
        self.add(self.account());
    }

    pub fn add(&mut self, account: Account) {
        self.input(Input::Command(Command::Register(account)));
    }

    /// Gives a message to the endpoint that comes from somewhere.
    pub fn receive(&mut self, from: SocketAddr, text: &str) {
        let flow = Flow { remote: from, ..self.flow };
        self.input(Input::Message { flow, bytes: text.into() });
    }

    /// The last call that came.
    pub fn incoming(&mut self) -> (CallKey, Incoming) {
        match self.calls.pop_back() {
            Some((call, SessionEvent::Incoming(incoming))) => (call, *incoming),
            other => panic!("{other:?} instead of a call; answers: {:?}", self.answers),
        }
    }

    pub fn input(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
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

    /// The times of the REGISTERs that were sent, in milliseconds.
    pub fn times(&self) -> Vec<u64> {
        self.sent.iter().map(|(at, _)| *at).collect()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Resolve { id, host, .. } => {
                    self.asked.push(self.elapsed_ms());
                    let other = self.hosts.get(&host).map(|flow| vec![*flow]);
                    let registrars = std::iter::once(self.flow).chain(self.more.iter().copied());
                    let known = if self.resolvable { registrars.collect() } else { Vec::new() };
                    let flows = other.unwrap_or(known);
                    self.endpoint.handle_input(self.now, Input::Resolved { id, flows });
                }
                Output::Event(Event::Registration { state, .. }) => self.states.push_back((self.elapsed_ms(), state)),
                Output::Event(Event::Session { call, event }) => self.calls.push_back((call, event)),
                Output::Event(event) => panic!("{event:?}"),
                Output::Transmit { flow, bytes } => match Message::parse(&bytes) {
                    Ok(Message::Request(request)) => self.on_request(flow, request),
                    Ok(Message::Response(response)) => self.answers.push(response),
                    Err(error) => panic!("{error}"),
                },
            }
        }
    }

    fn on_request(&mut self, flow: Flow, request: Request) {
        let mut seen = request.clone();
        if let Some(nat) = self.nat {
            let mut via: Via = seen.headers.get("Via").unwrap().parse().unwrap();
            via.set_received(nat);
            seen.headers.set("Via", via.to_string());
        }
        self.sent.push((self.elapsed_ms(), request));
        self.sent_to.push(flow.remote);
        if self.dead.contains(&flow.remote) {
            return;
        }
        if let Some(answer) = (self.script)(&seen) {
            self.endpoint.handle_input(self.now, Input::Message { flow, bytes: answer.to_bytes() });
        }
    }
}
