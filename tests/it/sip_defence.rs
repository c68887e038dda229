//! The endpoint under attack, in virtual time: who is answered, who is not, and that calls stay whole.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use secretary::sip::message::{Message, Method, Request, Response};
use secretary::sip::{
    Account, AccountId, CallKey, Command, DirectCalls, Endpoint, EndpointConfig, Event, Flow, Input, Limits, Numbering,
    Output, SessionEvent, Transport,
};

use crate::support::pair::epoch;

struct Desk {
    endpoint: Endpoint,
    now: Instant,
    answers: Vec<(SocketAddr, Response)>,
    requests: Vec<Request>,
    calls: Vec<CallKey>,
    sent: u32,
    transport: Transport,
}

/// Somebody in a public network.
fn host(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((0xC612_0000 + number).to_be_bytes()), 5060)
}

impl Desk {
    fn new(limits: Limits, max_calls: usize) -> Self {
        let config = EndpointConfig { limits, ..EndpointConfig::new("test", "desk", max_calls) };
        Desk {
            endpoint: Endpoint::new(config, [3; 32]),
            now: epoch(),
            answers: Vec::new(),
            requests: Vec::new(),
            calls: Vec::new(),
            sent: 0,
            transport: Transport::Udp,
        }
    }

    fn input(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => match Message::parse(&bytes).unwrap() {
                    Message::Response(response) => self.answers.push((flow.remote, response)),
                    Message::Request(request) => self.requests.push(request),
                },
                Output::Event(Event::Session { call, event: SessionEvent::Incoming(_) }) => self.calls.push(call),
                Output::Event(_) => {}
                Output::Resolve { id, .. } => {
                    self.endpoint.handle_input(self.now, Input::Resolved { id, flows: Vec::new() });
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// A request with a transaction of its own, with further header fields; the statuses that it got at once.
    fn request(&mut self, from: SocketAddr, method: &str, call_id: &str, to_tag: &str, more: &str) -> Vec<u16> {
        self.sent += 1;
        let text = format!(
            "{method} sip:desk@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/{} {from};branch=z9hG4bK{};rport\r\n\
             From: <sip:a@{from}>;tag=a\r\nTo: <sip:desk@192.0.2.2>{to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {} {method}\r\nContact: <sip:a@{from}>\r\n{more}\r\n",
            self.transport.name(),
            self.sent,
            self.sent
        );
        let flow = Flow { transport: self.transport, local: ([192, 0, 2, 2], 5060).into(), remote: from };
        let before = self.answers.len();
        self.input(Input::Message { flow, bytes: text.into() });
        self.answers[before..].iter().map(|(_, answer)| answer.status).collect()
    }

    fn invite(&mut self, from: SocketAddr) -> Vec<u16> {
        let call_id = format!("call{}", self.sent);
        self.request(from, "INVITE", &call_id, "", "")
    }

    fn options(&mut self, from: SocketAddr) -> Vec<u16> {
        self.request(from, "OPTIONS", "options", "", "")
    }

    /// An established call; our tag in it.
    fn established(&mut self, from: SocketAddr, call_id: &str) -> String {
        self.request(from, "INVITE", call_id, "", "");
        let call = *self.calls.last().unwrap();
        self.input(Input::Command(Command::Answer { call, sdp: b"v=0\r\n".to_vec() }));
        let ok = &self.answers.last().unwrap().1;
        assert_eq!(ok.status, 200);
        let tag = format!(";tag={}", ok.envelope().unwrap().to.tag().unwrap());
        // The ACK has the number of its INVITE.
        self.sent -= 1;
        self.request(from, "ACK", call_id, &tag, "");
        tag
    }
}

#[test]
fn a_scanner_gets_no_answer() {
    for tool in ["User-Agent: friendly-scanner", "User-Agent: sipcli/v1.8", "User-Agent: VaxSIPUserAgent/3.0"] {
        let mut desk = Desk::new(Limits::default(), 4);
        for method in ["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE"] {
            assert_eq!(desk.request(host(1), method, "x", "", &format!("{tool}\r\n")), [0_u16; 0], "{tool} {method}");
        }
        assert_eq!((desk.endpoint.usage().dropped, desk.endpoint.usage().sessions), (4, 0));
    }
}

#[test]
fn an_administrators_tools_are_answered() {
    let mut desk = Desk::new(Limits::default(), 4);
    assert_eq!(desk.request(host(1), "OPTIONS", "x", "", "User-Agent: sipsak 0.9.8\r\n"), [200]);
}

#[test]
fn calls_beyond_the_rate_are_told_once_and_other_requests_not_at_all() {
    let limits = Limits { calls_per_second: 1.0, requests_per_second: 2.0, ..Limits::default() };
    let mut desk = Desk::new(limits, 100);
    let statuses: Vec<Vec<u16>> = (0..8).map(|_| desk.invite(host(1))).collect();
    assert!(statuses[..5].iter().all(|answers| *answers == [100]), "{statuses:?}");
    assert_eq!(statuses[5..], [vec![503], vec![], vec![]]);
    assert_eq!(desk.answers.last().unwrap().1.headers.get("Retry-After"), Some("5"));
    let answered = (0..10).filter(|_| desk.options(host(1)) == [200]).count();
    assert_eq!(answered, 5);
    let usage = desk.endpoint.usage();
    assert_eq!((usage.sessions, usage.overloaded, usage.dropped), (5, 1, 7));
    // What is no SIP, or bad SIP, is no way around it.
    let bad = desk.request(host(1), "OPTIONS", "x", "", "Content-Length: many\r\n");
    assert_eq!((bad, desk.endpoint.usage().dropped), (vec![], 8));
    desk.run_for(Duration::from_secs(1));
    assert_eq!((desk.invite(host(1)), desk.options(host(1))), (vec![100], vec![200]), "at the rate he is served");
}

#[test]
fn what_is_inside_a_call_is_never_limited() {
    let limits = Limits { calls_per_second: 1.0, requests_per_second: 1.0, ..Limits::default() };
    let mut desk = Desk::new(limits, 100);
    let tag = desk.established(host(1), "held");
    while desk.options(host(1)) == [200] {}
    desk.request(host(1), "OPTIONS", "x", "", "User-Agent: friendly-scanner\r\n");
    for _ in 0..100 {
        assert_eq!(desk.request(host(1), "OPTIONS", "held", &tag, ""), [200]);
    }
    assert_eq!(desk.request(host(1), "BYE", "held", ";tag=forged", ""), [0_u16; 0]);
    assert_eq!(desk.request(host(1), "BYE", "held", &tag, ""), [200]);
    desk.run_for(Duration::from_secs(60));
    assert_eq!(desk.endpoint.usage().sessions, 0);
}

#[test]
fn a_cancel_is_never_limited() {
    let mut desk = Desk::new(Limits { requests_per_second: 0.0, ..Limits::default() }, 100);
    assert_eq!(desk.invite(host(1)), [100]);
    assert_eq!(desk.options(host(1)), [0_u16; 0]);
    let cancel = format!(
        "CANCEL sip:desk@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bK1;rport\r\nFrom: <sip:a@{0}>;tag=a\r\n\
         To: <sip:desk@192.0.2.2>\r\nCall-ID: call0\r\nCSeq: 1 CANCEL\r\n\r\n",
        host(1)
    );
    let flow = Flow { transport: Transport::Udp, local: ([192, 0, 2, 2], 5060).into(), remote: host(1) };
    desk.input(Input::Message { flow, bytes: cancel.into() });
    let statuses: Vec<u16> = desk.answers.iter().map(|(_, answer)| answer.status).collect();
    assert_eq!(statuses, [100, 200, 487]);
}

#[test]
fn a_trunk_has_no_limit_of_its_address_but_one_of_its_own() {
    let limits = Limits { calls_per_second: 1.0, requests_per_second: 1.0, account_calls_per_second: 20.0 };
    let mut desk = Desk::new(limits, 1000);
    desk.input(Input::Command(Command::Register(trunk())));
    assert!((0..100).all(|_| desk.options(trunk_host(1)) == [200]));
    let statuses: Vec<Vec<u16>> = (0..60).map(|at| desk.invite(trunk_host(at % 2))).collect();
    assert!(statuses[..40].iter().all(|answers| *answers == [100]), "{statuses:?}");
    assert!(statuses[40..].iter().all(|answers| *answers == [100, 503]), "{statuses:?}");
    assert_eq!(desk.endpoint.usage().overloaded, 20);
}

#[test]
fn without_limits_one_source_may_come_as_fast_as_it_likes() {
    let mut desk = Desk::new(Limits::NONE, 2000);
    assert!((0..1600).all(|_| desk.invite(host(1)) == [100]));
    let usage = desk.endpoint.usage();
    assert_eq!((usage.sessions, usage.dropped, usage.overloaded), (1600, 0, 0));
}

#[test]
fn when_full_calls_are_told_to_come_later_and_leave_nothing_behind() {
    let mut desk = Desk::new(Limits::NONE, 2);
    desk.invite(host(1));
    desk.invite(host(2));
    let before = desk.endpoint.usage().transactions;
    assert_eq!(desk.invite(host(3)), [503]);
    let usage = desk.endpoint.usage();
    assert_eq!((usage.transactions, usage.overloaded), (before, 1));
    assert_eq!(desk.answers.last().unwrap().1.headers.get("Retry-After"), Some("5"));
    desk.input(Input::Command(Command::Reject { call: desk.calls[0], status: 486, retry_after: None }));
    assert_eq!(desk.invite(host(3)), [100], "there is room again");
}

#[test]
fn a_call_that_is_refused_is_told_when_to_come_again() {
    let mut desk = Desk::new(Limits::NONE, 9);
    for (retry_after, told) in [(None, None), (Some(Duration::from_millis(29_001)), Some("30"))] {
        desk.invite(host(1));
        let call = *desk.calls.last().unwrap();
        desk.input(Input::Command(Command::Reject { call, status: 486, retry_after }));
        let (_, busy) = desk.answers.last().unwrap();
        assert_eq!((busy.status, busy.headers.get("Retry-After")), (486, told));
    }
}

#[test]
fn a_flood_leaves_memory_flat_and_a_call_whole() {
    let mut desk = Desk::new(Limits::default(), 8);
    let tag = desk.established(host(1), "held");
    let (mut most_transactions, mut most_sessions) = (0, 0);
    for number in 0..100_000_u32 {
        // INVITEs, and requests that pretend to be inside a call, from 6,000 sources in 100 s.
        let from = host(2 + number % 6000);
        match number % 4 {
            0 => desk.request(from, "BYE", &format!("none{number}"), ";tag=forged", ""),
            _ => desk.invite(from),
        };
        if number % 100 == 0 {
            desk.run_for(Duration::from_millis(100));
            desk.requests.clear();
            desk.answers.clear();
        }
        let usage = desk.endpoint.usage();
        most_transactions = most_transactions.max(usage.transactions);
        most_sessions = most_sessions.max(usage.sessions);
    }
    println!("at most {most_transactions} transactions, {most_sessions} sessions; {:?}", desk.endpoint.usage());
    assert!(most_sessions <= 8 && most_transactions <= 2048 + 16 * 8, "{most_sessions} {most_transactions}");
    assert!(desk.endpoint.usage().overloaded > 10_000);

    assert_eq!(desk.request(host(1), "INVITE", "held", &tag, ""), [100], "it is asked for an offer");
    desk.answers.clear();
    let call = desk.calls[0];
    desk.input(Input::Command(Command::AnswerOffer { call, sdp: b"v=0\r\n".to_vec() }));
    assert_eq!(desk.answers.last().map(|(_, answer)| answer.status), Some(200));
    desk.sent -= 1;
    desk.request(host(1), "ACK", "held", &tag, "");
    assert_eq!(desk.request(host(1), "BYE", "held", &tag, ""), [200]);
    assert!(desk.requests.iter().all(|request| request.method != Method::Bye), "we ended nothing ourselves");
}

/// A trunk that sends from 198.19.0.0/24.
fn trunk() -> Account {
    Account {
        id: AccountId(0),
        registrar: "trunk.example".into(),
        port: None,
        domain: "trunk.example".into(),
        username: "desk".into(),
        credentials: Vec::new(),
        transport: None,
        expires: None,
        access: vec!["198.19.0.0/24".parse().unwrap()],
        numbering: Numbering::default(),
    }
}

/// An address of that trunk.
fn trunk_host(number: u32) -> SocketAddr {
    host(0x0001_0000 + number)
}

#[test]
fn a_datagram_shuts_nobody_out_but_a_connection_does() {
    let mut desk = Desk::new(Limits::default(), 4);
    assert_eq!(desk.request(host(1), "OPTIONS", "x", "", "User-Agent: sipcli/v1.8\r\n"), [0_u16; 0]);
    assert_eq!(desk.options(host(1)), [200], "whose address the datagram bore is served");
    desk.transport = Transport::Tcp;
    assert_eq!(desk.request(host(1), "OPTIONS", "x", "", "User-Agent: sipcli/v1.8\r\n"), [0_u16; 0]);
    assert_eq!(desk.options(host(1)), [0_u16; 0]);
    assert_eq!(desk.options(host(2)), [200], "others are served");
    desk.run_for(Duration::from_secs(601));
    assert_eq!(desk.options(host(1)), [200], "the ban ends");
}

#[test]
fn a_stranger_who_fills_the_transactions_does_not_shut_out_a_trunk() {
    let mut desk = Desk::new(Limits::NONE, 4);
    desk.input(Input::Command(Command::Register(trunk())));
    // INVITEs that are refused are remembered until they are acknowledged.
    let refused = "Require: teleportation\r\n";
    let filled = (0..10_000).take_while(|_| desk.request(host(1), "INVITE", "x", "", refused) == [420]).count();
    assert!(filled < 10_000, "never full");
    assert_eq!(desk.invite(host(2)), [503]);
    assert_eq!(desk.invite(trunk_host(1)), [100]);
}

#[test]
fn questions_of_strangers_leave_nothing_behind() {
    let mut desk = Desk::new(Limits::NONE, 4);
    for method in ["OPTIONS", "REGISTER", "SUBSCRIBE", "BYE"] {
        assert_eq!(desk.request(host(1), method, "x", "", "").len(), 1, "{method} is answered");
        assert_eq!((desk.endpoint.usage().transactions, desk.endpoint.poll_timeout()), (0, None), "{method}");
        desk.sent -= 1;
        assert_eq!(desk.request(host(1), method, "x", "", "").len(), 1, "{method} is answered again");
    }
}

#[test]
fn who_is_no_stranger_may_have_all_lines() {
    let mut desk = Desk::new(Limits::default(), 8);
    desk.input(Input::Command(Command::Register(trunk())));
    let inside = SocketAddr::from(([10, 0, 0, 1], 5060));
    let statuses: Vec<_> = (0..9).map(|_| desk.invite(inside)).collect();
    assert_eq!(statuses[..8], [[100]; 8], "a PBX of the house");
    assert_eq!(statuses[8], [503]);
}

#[test]
fn a_call_that_takes_the_place_of_another_needs_no_room() {
    let mut desk = Desk::new(Limits::default(), 1);
    let tag = desk.established(host(1), "held");
    let ours = tag.trim_start_matches(";tag=");
    assert_eq!(desk.request(host(2), "INVITE", "other", "", ""), [503]);
    let replaces = format!("Replaces: held;to-tag={ours};from-tag=a\r\n");
    assert_eq!(desk.request(host(2), "INVITE", "third", "", &replaces), [100]);
    assert_eq!(desk.request(host(2), "INVITE", "fourth", "", &replaces), [100, 503], "not without end");
    assert_eq!(desk.request(host(2), "INVITE", "fifth", "", "Replaces: none;to-tag=a;from-tag=b\r\n"), [100, 481]);
}

#[test]
fn strangers_leave_half_of_the_lines_to_the_accounts_and_one_of_them_half_of_theirs() {
    let mut desk = Desk::new(Limits::default(), 8);
    desk.input(Input::Command(Command::Register(trunk())));
    let before = desk.endpoint.usage().transactions;
    let statuses: Vec<_> = (0..4).map(|_| desk.invite(host(1))).collect();
    assert_eq!(statuses, [[100], [100], [503], [503]], "one stranger");
    let statuses: Vec<_> = (2..6).map(|number| desk.invite(host(number))).collect();
    assert_eq!(statuses, [[100], [100], [503], [503]], "all strangers");
    assert_eq!(desk.answers.last().unwrap().1.headers.get("Retry-After"), Some("5"));
    assert_eq!(desk.endpoint.usage().transactions, before + 4, "what was refused left nothing");
    let statuses: Vec<_> = (0..4).map(|_| desk.invite(trunk_host(1))).collect();
    assert_eq!(statuses, [[100]; 4], "the trunk has the rest");
    desk.input(Input::Command(Command::Reject { call: desk.calls[0], status: 486, retry_after: None }));
    assert_eq!(desk.invite(host(5)), [100], "there is room again");
}

#[test]
fn without_accounts_one_network_has_half_of_the_lines() {
    let mut desk = Desk::new(Limits::default(), 6);
    let of_network = |number: u16| SocketAddr::new(IpAddr::from([0x2001, 0xDB8, 0, 1, 0, 0, 0, number]), 5060);
    let statuses: Vec<_> = (1..5).map(|number| desk.invite(of_network(number))).collect();
    assert_eq!(statuses, [[100], [100], [100], [503]]);
    let statuses: Vec<_> = (1..5).map(|number| desk.invite(host(number))).collect();
    assert_eq!(statuses, [[100], [100], [100], [503]], "the others have the rest");
}

#[test]
fn a_challenge_leaves_nothing_behind_and_is_not_repeated() {
    let mut desk = Desk::new(Limits::NONE, 4);
    let direct_calls = DirectCalls::Challenged { realm: "desk".into(), users: Vec::new() };
    let config = EndpointConfig { direct_calls, limits: Limits::NONE, ..EndpointConfig::new("test", "desk", 4) };
    desk.endpoint = Endpoint::new(config, [3; 32]);
    assert_eq!(desk.invite(host(1)), [401]);
    assert!(desk.answers[0].1.envelope().unwrap().to.tag().is_some());
    assert_eq!((desk.endpoint.usage().transactions, desk.endpoint.poll_timeout()), (0, None));
    desk.sent -= 1;
    assert_eq!(desk.request(host(1), "ACK", "call0", ";tag=any", ""), [0_u16; 0]);
}

#[test]
fn a_peer_who_hurries_inside_a_call_is_told_to_wait_and_may_hang_up() {
    let mut desk = Desk::new(Limits::default(), 4);
    let tag = desk.established(host(1), "held");
    assert!((0..100).all(|_| desk.request(host(1), "OPTIONS", "held", &tag, "") == [200]));
    let before = desk.endpoint.usage().transactions;
    assert_eq!(desk.request(host(1), "OPTIONS", "held", &tag, ""), [503]);
    assert_eq!(desk.answers.last().unwrap().1.headers.get("Retry-After"), Some("5"));
    assert_eq!(desk.request(host(1), "INVITE", "held", &tag, ""), [503]);
    assert_eq!(desk.endpoint.usage().transactions, before);
    desk.run_for(Duration::from_secs(1));
    let answered = (0..60).filter(|_| desk.request(host(1), "OPTIONS", "held", &tag, "") == [200]).count();
    assert_eq!(answered, 50);
    assert_eq!(desk.request(host(1), "BYE", "held", &tag, ""), [200]);
}

#[test]
fn an_invite_with_a_new_number_is_a_new_call_and_with_the_same_one_the_same_call() {
    let mut desk = Desk::new(Limits::default(), 8);
    assert_eq!(desk.request(host(1), "INVITE", "call", "", ""), [100]);
    assert_eq!(desk.request(host(1), "INVITE", "call", "", ""), [100], "another number");
    assert_eq!(desk.calls.len(), 2);
    // The numbers of requests are those of their branches.
    let again = format!(
        "INVITE sip:desk@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bKother;rport\r\nFrom: <sip:a@{0}>;tag=a\r\n\
         To: <sip:desk@192.0.2.2>\r\nCall-ID: call\r\nCSeq: 2 INVITE\r\nContact: <sip:a@{0}>\r\n\r\n",
        host(1)
    );
    let flow = Flow { transport: Transport::Udp, local: ([192, 0, 2, 2], 5060).into(), remote: host(1) };
    desk.input(Input::Message { flow, bytes: again.into() });
    assert_eq!((desk.answers.last().unwrap().1.status, desk.calls.len()), (482, 2));
}
