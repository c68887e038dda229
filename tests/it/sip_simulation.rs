//! Ten thousand calls whose users, network and peers are drawn from a seed: whatever they do, each call ends once on
//! each side, and afterwards neither has anything left.
//!
//! A failing seed is printed; `SECRETARY_SEED=n cargo test --release sip_simulation` runs that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use secretary::sip::{CallKey, CallOut, Command, EndpointConfig, Event, SessionEvent};

use crate::support::pair::{Network, Pair, Side};

const CALLS: u64 = 10_000;
const SDP: &[u8] = b"v=0\r\n";

/// Prints the seed of a call that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("SECRETARY_SEED={} shows it again", self.0);
        }
    }
}

/// What is done at a chosen time.
#[derive(Debug)]
enum Act {
    Command(Side, Box<Command>),
    Invite,
}

/// Two users at their telephones.
struct Life {
    pair: Pair,
    rng: StdRng,
    acts: BTreeMap<(Instant, u64), Act>,
    planned: u64,
    open: [BTreeSet<CallKey>; 2],
    ended: u64,
    /// What is known to have happened, so that a simulation which does nothing is noticed.
    seen: BTreeMap<&'static str, u64>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let bad = [0.0, 0.05, 0.3];
        let network = Network {
            loss: *bad.choose(&mut rng).unwrap(),
            duplication: *bad.choose(&mut rng).unwrap(),
            latency: Duration::from_millis(rng.random_range(1..150)),
            jitter: Duration::from_millis(rng.random_range(0..400)),
        };
        let config = EndpointConfig {
            call_out: CallOut::Anybody,
            session_expires: Duration::from_secs(*[90, 600].choose(&mut rng).unwrap()),
            ..EndpointConfig::new("test", "desk", 4)
        };
        Life {
            pair: Pair::with_config(seed, network, config),
            rng,
            acts: BTreeMap::new(),
            planned: 0,
            open: [BTreeSet::new(), BTreeSet::new()],
            ended: 0,
            seen: BTreeMap::new(),
        }
    }

    fn plan(&mut self, after: Duration, act: Act) {
        self.planned += 1;
        self.acts.insert((self.pair.now + after, self.planned), act);
    }

    fn soon(&mut self) -> Duration {
        let longest = *[10, 1_000, 8_000, 40_000].choose(&mut self.rng).unwrap();
        Duration::from_millis(self.rng.random_range(0..longest))
    }

    /// Lives until nothing will happen any more.
    fn run(&mut self) {
        loop {
            let act_at = self.acts.keys().next().map(|(at, _)| *at);
            match (self.pair.next_instant(), act_at) {
                (Some(next), at) if at.is_none_or(|at| next <= at) => {
                    self.pair.step();
                }
                (_, Some(at)) => {
                    self.pair.now = self.pair.now.max(at);
                    let (_, act) = self.acts.pop_first().unwrap();
                    self.act(act);
                }
                _ => break,
            }
            for side in [Side::Caller, Side::Callee] {
                while let Some(event) = self.pair.event(side) {
                    if let Event::Session { call, event } = event {
                        self.hear(side, call, event);
                    }
                }
            }
            assert!(self.pair.elapsed() < Duration::from_secs(20_000), "never idle\n{}", self.pair.trace);
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Command(side, command) => self.pair.command(side, *command),
            Act::Invite => {
                let call = self.pair.end(Side::Caller).next_call_key();
                self.open[Side::Caller as usize].insert(call);
                let target = format!("sip:desk@{}", Side::Callee.address());
                let ring_for = Duration::from_secs(self.rng.random_range(1..60));
                let invite = Command::Invite { call, target, account: None, offer: SDP.to_vec(), ring_for };
                self.pair.command(Side::Caller, invite);
                self.lead(Side::Caller, call);
                let talk = Duration::from_secs(*[1, 20, 400, 4_000].choose(&mut self.rng).unwrap());
                self.plan(talk, Act::Command(Side::Caller, Box::new(Command::Hangup { call })));
            }
        }
    }

    /// What a user does in a call, at whatever moment it comes.
    fn lead(&mut self, side: Side, call: CallKey) {
        for _ in 0..self.rng.random_range(0..4) {
            let command = match self.rng.random_range(0..8) {
                0 => Command::Hangup { call },
                1..4 => Command::Offer { call, sdp: SDP.to_vec() },
                4 => Command::SendDigit { call, digit: '5' },
                5 => Command::Transfer { call, target: format!("sip:other@{}", side.other().address()) },
                6 => Command::Ring { call },
                _ => Command::AnswerOffer { call, sdp: SDP.to_vec() },
            };
            let after = self.soon();
            self.plan(after, Act::Command(side, Box::new(command)));
        }
    }

    fn hear(&mut self, side: Side, call: CallKey, event: SessionEvent) {
        let open = &mut self.open[side as usize];
        let name = match &event {
            SessionEvent::Incoming(_) => {
                assert!(open.insert(call), "a call came twice\n{}", self.pair.trace);
                "incoming"
            }
            SessionEvent::Ended { .. } => {
                assert!(open.remove(&call), "a call ended twice\n{}", self.pair.trace);
                self.ended += 1;
                "ended"
            }
            SessionEvent::Established { .. } => "established",
            SessionEvent::Answered { .. } => "answered",
            SessionEvent::Offer { .. } => "offer",
            SessionEvent::OfferAnswered { .. } => "offer answered",
            SessionEvent::OfferRefused { .. } => "offer refused",
            SessionEvent::Digit { .. } => "digit",
            SessionEvent::TransferRequested { .. } => "transfer requested",
            SessionEvent::Transfer(_) => "transfer",
            SessionEvent::Ringing | SessionEvent::EarlyMedia { .. } => "progress",
        };
        if !matches!(event, SessionEvent::Ended { .. }) {
            assert!(self.open[side as usize].contains(&call), "{name} after the end\n{}", self.pair.trace);
        }
        *self.seen.entry(name).or_default() += 1;
        match event {
            SessionEvent::Incoming(_) => {
                let after = self.soon();
                let answer = match self.rng.random_range(0..10) {
                    0 => Command::Reject { call, status: 486, retry_after: None },
                    1 => Command::Hangup { call },
                    // Nobody is at home: the caller gives up.
                    2 => Command::Ring { call },
                    _ => Command::Answer { call, sdp: SDP.to_vec() },
                };
                self.plan(after, Act::Command(side, Box::new(answer)));
                self.lead(side, call);
            }
            SessionEvent::Offer { .. } => {
                let after = self.soon().min(Duration::from_secs(2));
                let answer = match self.rng.random_range(0..5) {
                    0 => Command::RejectOffer { call },
                    _ => Command::AnswerOffer { call, sdp: SDP.to_vec() },
                };
                self.plan(after, Act::Command(side, Box::new(answer)));
            }
            SessionEvent::TransferRequested { .. } => {
                let answer = if self.rng.random_bool(0.5) {
                    let new_call = self.pair.end(side).next_call_key();
                    self.open[side as usize].insert(new_call);
                    let after = Duration::from_secs(30);
                    self.plan(after, Act::Command(side, Box::new(Command::Hangup { call: new_call })));
                    Command::AcceptTransfer { call, new_call, offer: SDP.to_vec() }
                } else {
                    Command::RejectTransfer { call, status: 603 }
                };
                self.pair.command(side, answer);
            }
            _ => {}
        }
    }

    fn nothing_left(&mut self) {
        for side in [Side::Caller, Side::Callee] {
            let open = &self.open[side as usize];
            assert!(open.is_empty(), "{side:?} waits for the end of {open:?}\n{}", self.pair.trace);
            let usage = self.pair.end(side).usage();
            let left = (usage.sessions, usage.transactions, usage.dialogs, usage.waiting);
            assert_eq!(left, (0, 0, 0, 0), "{side:?} holds something\n{}", self.pair.trace);
        }
    }
}

/// The seeds to run: all, or the one that is asked for.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SECRETARY_SEED") {
        Ok(seed) => vec![seed.parse().expect("SECRETARY_SEED is a number")],
        Err(_) => (0..count).collect(),
    }
}

fn simulate(seed: u64) -> Life {
    let mut life = Life::new(seed);
    life.plan(Duration::ZERO, Act::Invite);
    life.run();
    life.nothing_left();
    life
}

#[test]
fn ten_thousand_calls_of_two_user_agents_leave_nothing_behind() {
    let seeds = seeds(CALLS);
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in &seeds {
        let _shown = Seed(*seed);
        for (name, count) in simulate(*seed).seen {
            *seen.entry(name).or_default() += count;
        }
    }
    println!("{} calls: {seen:?}", seeds.len());
    if seeds.len() as u64 == CALLS {
        for name in ["incoming", "established", "offer answered", "offer refused", "digit", "transfer", "ended"] {
            assert!(seen.get(name).is_some_and(|count| *count > 300), "too few of {name}: {seen:?}");
        }
    }
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in [7, 4_711] {
        assert_eq!(simulate(seed).pair.trace, simulate(seed).pair.trace);
    }
}

/// The odd things that peers do, each with the text of a message of theirs.
const ODDITIES: [fn(&mut StdRng, String) -> Vec<String>; 10] = [
    // A fork: every answer comes from a second telephone too.
    |_, text| {
        let fork = text.replace(";tag=", ";tag=fork");
        if is_answer(&text, "INVITE") { vec![text, fork] } else { vec![text] }
    },
    // Nothing is ever acknowledged.
    |_, text| if text.starts_with("ACK") { Vec::new() } else { vec![text] },
    // Every answer is provisional.
    |_, text| vec![text.replace("SIP/2.0 200 OK", "SIP/2.0 183 Session Progress")],
    // No answer says where the peer is.
    |_, text| vec![text.replace("\r\nContact:", "\r\nX-Contact:")],
    // Whatever is asked is refused, late.
    |_, text| vec![text.replace("SIP/2.0 200 OK", "SIP/2.0 481 Call/Transaction Does Not Exist")],
    // Everything is said three times.
    |_, text| vec![text.clone(), text.clone(), text],
    // The numbers of requests run backwards.
    |rng, text| match (text.find("CSeq: "), text.starts_with("SIP/2.0")) {
        (Some(at), false) => {
            let digits = text[at + 6..].find(' ').unwrap_or(0);
            let number = rng.random_range(0..10_u32).to_string();
            vec![format!("{}{number}{}", &text[..at + 6], &text[at + 6 + digits..])]
        }
        _ => vec![text],
    },
    // A character here and there is another.
    |rng, text| {
        let mut bytes = text.into_bytes();
        for _ in 0..3 {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random_range(32..127);
        }
        vec![String::from_utf8_lossy(&bytes).into_owned()]
    },
    // The messages end early.
    |rng, text| {
        let length = (0..=text.len().min(1_000)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let cut = rng.random_range(0..=length);
        if rng.random_bool(0.2) && text.is_char_boundary(cut) { vec![text[..cut].to_owned()] } else { vec![text] }
    },
    // The session is to be refreshed all the time, or never.
    |rng, text| {
        let expires = *["0", "89", "90", "4294967295", "-1", "x"].choose(rng).unwrap();
        vec![format!("{}\r\nSession-Expires: {expires};refresher=uac{}", first_line(&text), rest(&text))]
    },
];

fn is_answer(text: &str, method: &str) -> bool {
    text.starts_with("SIP/2.0") && text.contains(&format!(" {method}\r\n"))
}

fn first_line(text: &str) -> &str {
    text.split("\r\n").next().unwrap_or_default()
}

fn rest(text: &str) -> &str {
    &text[first_line(text).len()..]
}

#[test]
fn odd_peers_leave_nothing_behind() {
    for seed in seeds(2_000) {
        let _shown = Seed(seed);
        let mut life = Life::new(seed);
        let odd_side = if seed.is_multiple_of(2) { Side::Callee } else { Side::Caller };
        let mut rng = StdRng::seed_from_u64(seed);
        let oddity = *ODDITIES.choose(&mut rng).unwrap();
        let probability = *[0.1, 0.5, 1.0].choose(&mut rng).unwrap();
        life.pair.rewrite(move |side, text| {
            if side == odd_side && rng.random_bool(probability) { oddity(&mut rng, text) } else { vec![text] }
        });
        life.plan(Duration::ZERO, Act::Invite);
        life.run();
        life.nothing_left();
    }
}
