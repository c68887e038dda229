//! Two SIP endpoints, a virtual clock and a network between them that loses, doubles, delays and reorders by a seed.
//!
//! [`Pair`] is the shell of both sides: it carries datagrams, answers questions to the resolver, keeps events and a
//! trace. Time moves only from deadline to deadline, so an hour takes milliseconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::sip::{
    CallKey, CallOut, Command, EndCause, Endpoint, EndpointConfig, Event, Flow, Input, Output, SessionEvent, Transport,
};

const RING_FOR: Duration = Duration::from_secs(180);

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    pub fn address(self) -> SocketAddr {
        match self {
            Side::Caller => ([192, 0, 2, 1], 5060).into(),
            Side::Callee => ([192, 0, 2, 2], 5060).into(),
        }
    }
}

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Probability of loss, 0 to 1.
    pub loss: f64,
    /// Probability of a second delivery, 0 to 1.
    pub duplication: f64,
    pub latency: Duration,
    /// Up to so much more, so that datagrams overtake one another.
    pub jitter: Duration,
}

impl Network {
    pub const PERFECT: Network =
        Network { loss: 0.0, duplication: 0.0, latency: Duration::from_millis(10), jitter: Duration::ZERO };
}

/// Takes a message from the wire, `true` to lose it. For faults that a test chooses itself.
type Fault = Box<dyn FnMut(Side, &str) -> bool>;
/// What becomes of a message: itself, others, several, none.
type Rewrite = Box<dyn FnMut(Side, String) -> Vec<String>>;

pub struct Pair {
    pub now: Instant,
    start: Instant,
    ends: [Endpoint; 2],
    network: Network,
    rng: StdRng,
    /// By time and order of sending: to whom, and what.
    wire: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    sent: u64,
    fault: Option<Fault>,
    rewrite: Option<Rewrite>,
    events: [VecDeque<Event>; 2],
    /// Every datagram that was sent, every event, with its time.
    pub trace: String,
    /// Who cannot be reached: the resolver knows no address of his, and datagrams to him are lost.
    pub down: BTreeSet<Side>,
}

impl Pair {
    pub fn new(seed: u64, network: Network) -> Self {
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "secretary", 4) };
        Self::with_config(seed, network, config)
    }

    pub fn with_config(seed: u64, network: Network, config: EndpointConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ends = [Endpoint::new(config.clone(), rng.random()), Endpoint::new(config, rng.random())];
        let now = epoch();
        Pair {
            now,
            start: now,
            ends,
            network,
            rng,
            wire: BTreeMap::new(),
            sent: 0,
            fault: None,
            rewrite: None,
            events: [VecDeque::new(), VecDeque::new()],
            trace: String::new(),
            down: BTreeSet::new(),
        }
    }

    /// Loses each message for which `fault` is true; it sees the sender and the message.
    pub fn lose(&mut self, fault: impl FnMut(Side, &str) -> bool + 'static) {
        self.fault = Some(Box::new(fault));
    }

    /// Makes an odd peer: each message of a side is replaced by what `rewrite` makes of it.
    pub fn rewrite(&mut self, rewrite: impl FnMut(Side, String) -> Vec<String> + 'static) {
        self.rewrite = Some(Box::new(rewrite));
    }

    /// Loses the first `count` messages of `sender` whose text begins with `start`.
    pub fn lose_first(&mut self, count: usize, sender: Side, start: &'static str) {
        let mut left = count;
        self.lose(move |side, text| {
            let hit = side == sender && left > 0 && text.starts_with(start);
            left -= usize::from(hit);
            hit
        });
    }

    pub fn end(&mut self, side: Side) -> &mut Endpoint {
        &mut self.ends[side as usize]
    }

    pub fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        self.end(side).handle_input(now, Input::Command(command));
        self.drain();
    }

    /// The caller calls the callee.
    pub fn call(&mut self) -> CallKey {
        let call = self.end(Side::Caller).next_call_key();
        let target = format!("sip:desk@{}", Side::Callee.address());
        self.command(
            Side::Caller,
            Command::Invite { call, target, account: None, offer: b"offer".to_vec(), ring_for: RING_FOR },
        );
        call
    }

    /// Puts a message on the wire as if `from` had sent it.
    pub fn inject(&mut self, from: Side, text: &str) {
        self.send(from, text.as_bytes().to_vec());
    }

    /// Gives bytes to `side` at once, as if they had come from the other.
    pub fn receive(&mut self, side: Side, bytes: Vec<u8>) {
        let (now, flow) = (self.now, flow(side));
        self.end(side).handle_input(now, Input::Message { flow, bytes });
        self.drain();
    }

    /// How many messages of `side` that begin with `start` were sent so far.
    pub fn count_sent(&self, side: Side, start: &str) -> usize {
        let line = format!("{side:?} > {start}");
        self.trace.lines().filter(|l| l.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(&line))).count()
    }

    /// When `side` sent messages that begin with `start`, in milliseconds from the start.
    pub fn times_sent(&self, side: Side, start: &str) -> Vec<u64> {
        let line = format!("{side:?} > {start}");
        let lines = self.trace.lines().filter_map(|l| l.split_once(' '));
        lines.filter(|(_, rest)| rest.starts_with(&line)).map(|(time, _)| time.parse().unwrap()).collect()
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The next event of `side` that is there already.
    pub fn event(&mut self, side: Side) -> Option<Event> {
        self.events[side as usize].pop_front()
    }

    /// Runs until `side` has an event of a session.
    pub fn session_event(&mut self, side: Side) -> (CallKey, SessionEvent) {
        match self.wait_event(side) {
            Event::Session { call, event } => (call, event),
            other => panic!("{other:?} instead of a session event\n{}", self.trace),
        }
    }

    /// Runs until the session of `side` ends, passing over other events.
    pub fn ended(&mut self, side: Side) -> EndCause {
        loop {
            if let (_, SessionEvent::Ended { cause }) = self.session_event(side) {
                return cause;
            }
        }
    }

    fn wait_event(&mut self, side: Side) -> Event {
        loop {
            if let Some(event) = self.event(side) {
                return event;
            }
            assert!(self.step(), "nothing more will happen\n{}", self.trace);
            assert!(self.elapsed() < Duration::from_secs(100_000), "waited too long\n{}", self.trace);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_instant().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Runs until neither side nor the wire has anything to do.
    pub fn run_until_idle(&mut self) {
        while self.step() {
            assert!(self.elapsed() < Duration::from_secs(100_000), "never idle\n{}", self.trace);
        }
    }

    /// When something will happen next.
    pub fn next_instant(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        wire.into_iter().chain(self.ends.iter().filter_map(Endpoint::poll_timeout)).min()
    }

    /// Goes to the next instant at which something happens. False when nothing will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_instant() else { return false };
        self.now = self.now.max(at);
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, bytes) = entry.remove();
            let flow = flow(to);
            let now = self.now;
            self.end(to).handle_input(now, Input::Message { flow, bytes });
        } else {
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        for side in [Side::Caller, Side::Callee] {
            while let Some(output) = self.end(side).poll_output() {
                match output {
                    Output::Transmit { flow: over, bytes } => {
                        let port = over.remote.port();
                        let mut known = flow(side);
                        known.remote.set_port(port);
                        assert_eq!(over, known, "there is no other way between the two");
                        // At another port of the peer, which a forged Via may name, nobody listens.
                        if port == side.other().address().port() {
                            self.send_as_written(side, bytes);
                        }
                    }
                    Output::Resolve { id, .. } => {
                        let up = !self.down.contains(&side.other());
                        let flows = if up { vec![flow(side)] } else { Vec::new() };
                        let now = self.now;
                        self.end(side).handle_input(now, Input::Resolved { id, flows });
                    }
                    Output::Event(event) => {
                        writeln!(self.trace, "{} {side:?} ! {event:?}", self.elapsed().as_millis()).unwrap();
                        self.events[side as usize].push_back(event);
                    }
                }
            }
        }
    }

    fn send_as_written(&mut self, from: Side, bytes: Vec<u8>) {
        match self.rewrite.as_mut() {
            None => self.send(from, bytes),
            Some(rewrite) => {
                for text in rewrite(from, String::from_utf8_lossy(&bytes).into_owned()) {
                    self.send(from, text.into_bytes());
                }
            }
        }
    }

    fn send(&mut self, from: Side, bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let shown = text.replace("\r\n", "|");
        writeln!(self.trace, "{} {from:?} > {shown}", self.elapsed().as_millis()).unwrap();
        let chosen = self.fault.as_mut().is_some_and(|fault| fault(from, &text));
        let to = from.other();
        if chosen || self.down.contains(&to) || self.down.contains(&from) || self.rng.random_bool(self.network.loss) {
            return;
        }
        let copies = 1 + usize::from(self.rng.random_bool(self.network.duplication));
        for _ in 0..copies {
            let jitter = self.network.jitter.mul_f64(self.rng.random());
            self.sent += 1;
            let at = self.now + self.network.latency + jitter;
            self.wire.insert((at, self.sent), (to, bytes.clone()));
        }
    }
}

/// The flow as `side` sees it.
fn flow(side: Side) -> Flow {
    Flow { transport: Transport::Udp, local: side.address(), remote: side.other().address() }
}

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way; all times are relative to it")]
pub fn epoch() -> Instant {
    Instant::now()
}
