//! One SIP endpoint in virtual time that registers at a scripted registrar.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use secretary::sip::auth::Credentials;
use secretary::sip::message::{Message, Request, Response};
use secretary::sip::{
    Account, AccountId, Command, DirectCalls, Endpoint, EndpointConfig, Event, Flow, Input, Numbering, Output, RegistrationState, Transport,
};

use super::pair::epoch;

/// Answers a REGISTER, or is silent.
pub type Script = Box<dyn FnMut(&Request) -> Option<Response>>;

pub struct Phone {
    pub now: Instant,
    start: Instant,
    pub endpoint: Endpoint,
    pub script: Script,
    /// Each REGISTER that was sent, with its time in milliseconds from the start.
    pub sent: Vec<(u64, Request)>,
    pub states: VecDeque<(u64, RegistrationState)>,
    pub flow: Flow,
    /// Whether the resolver knows the registrar.
    pub resolvable: bool,
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
            resolvable: true,
        }
    }

    pub fn register(&mut self) {
        let account = Account {
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
        };
        self.input(Input::Command(Command::Register(account)));
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
                Output::Resolve { id, .. } => {
                    let flows = if self.resolvable { vec![self.flow] } else { Vec::new() };
                    self.endpoint.handle_input(self.now, Input::Resolved { id, flows });
                }
                Output::Event(Event::Registration { state, .. }) => self.states.push_back((self.elapsed_ms(), state)),
                Output::Event(event) => panic!("{event:?}"),
                Output::Transmit { bytes, .. } => {
                    let Ok(Message::Request(request)) = Message::parse(&bytes) else { continue };
                    let answer = (self.script)(&request);
                    self.sent.push((self.elapsed_ms(), request));
                    if let Some(answer) = answer {
                        let (flow, bytes) = (self.flow, answer.to_bytes());
                        self.endpoint.handle_input(self.now, Input::Message { flow, bytes });
                    }
                }
            }
        }
    }
}
