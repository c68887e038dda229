//! The SIP user agent in virtual time: calls between two endpoints over a network with faults.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secretary::sip::message::{Message, Response};
use secretary::sip::{
    CallKey, CallOut, Command, DirectCalls, EndCause, Endpoint, EndpointConfig, Event, Flow, Incoming, Input, Limits,
    Output, Reason, SessionEvent, Transport, Usage,
};

use crate::support::pair::{Network, Pair, Side, epoch};
use Side::{Callee, Caller};

const GIVE_UP: Duration = Duration::from_secs(32);

/// The callee's key of the call that has come.
fn incoming(pair: &mut Pair) -> (CallKey, Incoming) {
    match pair.session_event(Callee) {
        (call, SessionEvent::Incoming(incoming)) => (call, *incoming),
        other => panic!("{other:?}\n{}", pair.trace),
    }
}

/// A call up to both sides' knowing that it stands: the caller's and the callee's key.
fn establish(pair: &mut Pair) -> (CallKey, CallKey) {
    let ours = pair.call();
    let (theirs, call) = incoming(pair);
    assert_eq!(call.offer.as_deref(), Some(&b"offer"[..]));
    pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
    match pair.session_event(Caller) {
        (_, SessionEvent::Answered { sdp, .. }) => assert_eq!(sdp, b"answer"),
        other => panic!("{other:?}\n{}", pair.trace),
    }
    assert_eq!(pair.session_event(Callee), (theirs, SessionEvent::Established { sdp: None }));
    (ours, theirs)
}

/// Hangs up, and holds that both sides know it and nothing is left over.
fn hang_up_cleanly(pair: &mut Pair, side: Side, call: CallKey) {
    pair.command(side, Command::Hangup { call });
    assert_eq!(pair.ended(side), EndCause::LocalBye);
    assert_eq!(pair.ended(side.other()), EndCause::RemoteBye(None), "{}", pair.trace);
    nothing_left(pair);
}

fn nothing_left(pair: &mut Pair) {
    pair.run_until_idle();
    for side in [Caller, Callee] {
        assert_eq!(pair.end(side).usage(), Usage::default(), "{side:?}\n{}", pair.trace);
        assert_eq!(pair.event(side), None, "{side:?}\n{}", pair.trace);
    }
}

#[test]
fn a_call_is_established_and_ended_by_either_side() {
    for side in [Caller, Callee] {
        let mut pair = Pair::new(1, Network::PERFECT);
        let (ours, theirs) = establish(&mut pair);
        hang_up_cleanly(&mut pair, side, if side == Caller { ours } else { theirs });
        assert_eq!(pair.count_sent(Caller, "INVITE"), 1);
        assert_eq!(pair.count_sent(Caller, "ACK"), 1);
    }
}

#[test]
fn a_lost_invite_is_repeated() {
    let mut pair = Pair::new(2, Network::PERFECT);
    pair.lose_first(3, Caller, "INVITE");
    let (ours, _) = establish(&mut pair);
    assert_eq!(pair.times_sent(Caller, "INVITE"), [0, 500, 1500, 3500]);
    hang_up_cleanly(&mut pair, Caller, ours);
}

#[test]
fn a_lost_200_is_repeated_until_the_ack() {
    let mut pair = Pair::new(3, Network::PERFECT);
    pair.lose_first(3, Callee, "SIP/2.0 200");
    let (ours, _) = establish(&mut pair);
    pair.run_for(GIVE_UP * 2);
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 200"), 4, "{}", pair.trace);
    assert_eq!(pair.count_sent(Caller, "ACK"), 1);
    hang_up_cleanly(&mut pair, Caller, ours);
}

#[test]
fn a_lost_ack_is_repeated_for_each_200() {
    let mut pair = Pair::new(4, Network::PERFECT);
    pair.lose_first(2, Caller, "ACK");
    let (ours, _) = establish(&mut pair);
    assert_eq!(pair.count_sent(Caller, "ACK"), 3);
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 200"), 3);
    hang_up_cleanly(&mut pair, Caller, ours);
}

#[test]
fn a_duplicate_invite_is_not_a_second_call() {
    let network = Network { duplication: 1.0, ..Network::PERFECT };
    let mut pair = Pair::new(5, network);
    let (ours, _) = establish(&mut pair);
    hang_up_cleanly(&mut pair, Caller, ours);
    assert_eq!(pair.trace.matches("Incoming").count(), 1 + 1, "the event and its type, once:\n{}", pair.trace);
}

#[test]
fn the_same_call_by_another_way_is_482() {
    let mut pair = Pair::new(6, Network::PERFECT);
    let mut forked = None;
    pair.call();
    let invite = pair.trace.lines().find(|l| l.contains("Caller > INVITE")).unwrap().to_owned();
    let (_, text) = invite.split_once(" > ").unwrap();
    forked.replace(text.replace('|', "\r\n").replace("branch=z9hG4bK", "branch=z9hG4bKother"));
    incoming(&mut pair);
    pair.inject(Caller, &forked.unwrap());
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 482"), 1, "{}", pair.trace);
    assert_eq!(pair.end(Callee).usage().sessions, 1);
}

#[test]
fn a_telephone_that_rings_says_so() {
    let mut pair = Pair::new(23, Network::PERFECT);
    let ours = pair.call();
    incoming(&mut pair);
    let invite = pair.trace.lines().find_map(|line| line.split_once("Caller > ")).unwrap().1.replace('|', "\r\n");
    let Ok(Message::Request(invite)) = Message::parse(invite.as_bytes()) else { panic!("{}", pair.trace) };
    let ringing = Response::answer(&invite, 180).with_to_tag("bell").to_bytes();
    pair.inject(Callee, &String::from_utf8(ringing).unwrap());
    assert_eq!(pair.session_event(Caller), (ours, SessionEvent::Ringing));
}

#[test]
fn cancel_before_the_answer_gives_487_and_no_call() {
    let mut pair = Pair::new(7, Network::PERFECT);
    let ours = pair.call();
    let (theirs, _) = incoming(&mut pair);
    pair.run_for(Duration::from_millis(50));
    pair.command(Caller, Command::Hangup { call: ours });
    assert_eq!(pair.ended(Caller), EndCause::Cancelled(None));
    assert_eq!(pair.ended(Callee), EndCause::Cancelled(None));
    // Too late: the call is gone.
    pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
    nothing_left(&mut pair);
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 487"), 1);
    assert_eq!(pair.count_sent(Caller, "ACK"), 1);
}

#[test]
fn cancel_waits_for_a_provisional_answer() {
    let mut pair = Pair::new(8, Network::PERFECT);
    let ours = pair.call();
    pair.command(Caller, Command::Hangup { call: ours });
    assert_eq!(pair.count_sent(Caller, "CANCEL"), 0);
    assert_eq!(pair.ended(Caller), EndCause::Cancelled(None));
    assert_eq!(pair.ended(Callee), EndCause::Cancelled(None));
    assert_eq!(pair.count_sent(Caller, "CANCEL"), 1);
    nothing_left(&mut pair);
}

#[test]
fn cancel_racing_the_answer_ends_the_call_by_bye() {
    let mut pair = Pair::new(9, Network::PERFECT);
    let ours = pair.call();
    let (theirs, _) = incoming(&mut pair);
    pair.run_for(Duration::from_millis(50));
    pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
    pair.command(Caller, Command::Hangup { call: ours });
    assert_eq!(pair.ended(Caller), EndCause::Cancelled(None));
    assert_eq!(pair.ended(Callee), EndCause::RemoteBye(None));
    assert_eq!((pair.count_sent(Caller, "CANCEL"), pair.count_sent(Caller, "BYE")), (1, 1));
    nothing_left(&mut pair);
}

#[test]
fn an_unanswered_cancel_is_given_up() {
    let mut pair = Pair::new(10, Network::PERFECT);
    let ours = pair.call();
    incoming(&mut pair);
    pair.run_for(Duration::from_millis(50));
    pair.lose(|side, _| side == Caller);
    pair.command(Caller, Command::Hangup { call: ours });
    assert_eq!(pair.ended(Caller), EndCause::Cancelled(None));
    pair.run_until_idle();
    assert_eq!(pair.end(Caller).usage(), Usage::default());
}

#[test]
fn a_lost_bye_is_repeated() {
    let mut pair = Pair::new(11, Network::PERFECT);
    let (ours, _) = establish(&mut pair);
    pair.lose_first(4, Caller, "BYE");
    hang_up_cleanly(&mut pair, Caller, ours);
    assert_eq!(pair.count_sent(Caller, "BYE"), 5);
}

#[test]
fn byes_that_cross_end_both_sides() {
    let mut pair = Pair::new(12, Network::PERFECT);
    let (ours, theirs) = establish(&mut pair);
    pair.command(Caller, Command::Hangup { call: ours });
    pair.command(Callee, Command::Hangup { call: theirs });
    assert_eq!((pair.ended(Caller), pair.ended(Callee)), (EndCause::LocalBye, EndCause::LocalBye));
    nothing_left(&mut pair);
}

#[test]
fn a_call_that_is_never_acknowledged_is_ended_by_bye() {
    let mut pair = Pair::new(13, Network::PERFECT);
    pair.call();
    let (theirs, _) = incoming(&mut pair);
    pair.lose(|side, text| side == Caller && text.starts_with("ACK"));
    pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
    let answered = pair.elapsed();
    assert_eq!(pair.ended(Callee), EndCause::NoAck);
    assert_eq!(pair.elapsed() - answered, GIVE_UP);
    assert_eq!(pair.count_sent(Callee, "BYE"), 1);
    assert_eq!(pair.ended(Caller), EndCause::RemoteBye(None));
    nothing_left(&mut pair);
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut pair = Pair::new(14, Network::PERFECT);
    pair.call();
    let (theirs, _) = incoming(&mut pair);
    pair.lose_first(2, Caller, "ACK");
    pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
    pair.command(Callee, Command::Hangup { call: theirs });
    assert_eq!(pair.ended(Callee), EndCause::LocalBye);
    assert_eq!(pair.ended(Caller), EndCause::RemoteBye(None));
    assert!(pair.times_sent(Callee, "BYE")[0] > pair.times_sent(Caller, "ACK")[2]);
    nothing_left(&mut pair);
}

fn one_caller_may_have_all_lines() -> EndpointConfig {
    let limits = Limits::NONE;
    EndpointConfig { call_out: CallOut::Anybody, limits, ..EndpointConfig::new("test", "secretary", 4) }
}

/// What we say when the program ends (RFC 3326).
fn going_out_of_service() -> Option<Reason> {
    Some(Reason { protocol: "SIP".into(), cause: Some(503), text: Some("Going out of service".into()) })
}

#[test]
fn stopping_ends_calls_in_every_state_and_waits_for_no_ack() {
    let mut pair = Pair::with_config(24, Network::PERFECT, one_caller_may_have_all_lines());
    establish(&mut pair);
    pair.call();
    let (unacknowledged, _) = incoming(&mut pair);
    pair.call();
    let (hung_up, _) = incoming(&mut pair);
    pair.call();
    incoming(&mut pair);
    pair.lose(|side, text| side == Caller && text.starts_with("ACK"));
    for call in [unacknowledged, hung_up] {
        pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
    }
    pair.command(Callee, Command::Hangup { call: hung_up });
    assert_eq!(pair.ended(Callee), EndCause::LocalBye);
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.count_sent(Callee, "BYE"), 0);

    pair.command(Callee, Command::Stop);
    assert_eq!((pair.count_sent(Callee, "BYE"), pair.count_sent(Callee, "SIP/2.0 480")), (3, 1), "{}", pair.trace);
    let refused = EndCause::Rejected { status: 480, reason: "Temporarily Unavailable".into() };
    let ends = [pair.ended(Callee), pair.ended(Callee), pair.ended(Callee)];
    assert_eq!(ends, [EndCause::LocalBye, EndCause::LocalBye, refused]);
    assert_eq!(pair.end(Callee).usage().sessions, 3, "until their BYEs are answered");
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.end(Callee).usage().sessions, 0);
    let stopped = EndCause::RemoteBye(going_out_of_service());
    assert_eq!((0..4).filter(|_| pair.ended(Caller) == stopped).count(), 3, "{}", pair.trace);
}

#[test]
fn stopping_takes_back_our_own_call() {
    let mut pair = Pair::new(25, Network::PERFECT);
    pair.call();
    incoming(&mut pair);
    pair.run_for(Duration::from_millis(50));
    pair.command(Caller, Command::Stop);
    let told = EndCause::Cancelled(going_out_of_service());
    assert_eq!((pair.ended(Caller), pair.ended(Callee)), (EndCause::Cancelled(None), told));
    nothing_left(&mut pair);
}

#[test]
fn a_silent_peer_is_a_timeout() {
    let mut pair = Pair::new(15, Network::PERFECT);
    pair.lose(|_, _| true);
    pair.call();
    assert_eq!(pair.ended(Caller), EndCause::Timeout);
    assert_eq!(pair.elapsed(), GIVE_UP);
    nothing_left(&mut pair);
}

#[test]
fn a_peer_without_an_address_fails_the_call() {
    let mut pair = Pair::new(16, Network::PERFECT);
    pair.down.insert(Callee);
    pair.call();
    assert!(matches!(pair.ended(Caller), EndCause::TransportFailed(_)));
    nothing_left(&mut pair);
}

#[test]
fn a_rejected_call_tells_the_status() {
    let mut pair = Pair::new(17, Network::PERFECT);
    pair.lose_first(2, Caller, "ACK");
    pair.call();
    let (theirs, _) = incoming(&mut pair);
    pair.command(Callee, Command::Reject { call: theirs, status: 486, retry_after: None });
    let busy = EndCause::Rejected { status: 486, reason: "Busy Here".into() };
    assert_eq!((pair.ended(Callee), pair.ended(Caller)), (busy.clone(), busy));
    nothing_left(&mut pair);
    assert_eq!((pair.count_sent(Callee, "SIP/2.0 486"), pair.count_sent(Caller, "ACK")), (3, 3));
}

#[test]
fn calls_beyond_the_limit_are_told_to_come_later() {
    let mut pair = Pair::with_config(18, Network::PERFECT, one_caller_may_have_all_lines());
    for _ in 0..4 {
        pair.call();
        incoming(&mut pair);
    }
    let text = request("INVITE", "fifth", "", "");
    pair.inject(Caller, &text);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 503 Service Unavailable"), 1, "{}", pair.trace);
    assert!(pair.trace.contains("|Retry-After: 5|"), "{}", pair.trace);
}

/// A request of a peer that is no [`secretary::sip::Endpoint`].
fn request(method: &str, call_id: &str, to_tag: &str, more: &str) -> String {
    format!(
        "{method} sip:desk@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call_id}{method}{}\r\n\
         From: <sip:raw@192.0.2.1>;tag=raw\r\nTo: <sip:desk@192.0.2.2>{to_tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: {} {method}\r\nContact: <sip:raw@192.0.2.1:5060>\r\n{more}\r\n",
        more.len(),
        10 + more.len(),
    )
}

/// The last that the callee answers to a message which the test sends by hand.
fn answer_to(pair: &mut Pair, text: &str) -> String {
    pair.inject(Caller, text);
    pair.run_for(Duration::from_millis(100));
    let (_, branch) = text.split_once("branch=").unwrap();
    let branch = format!("branch={};", branch.split_once("\r\n").unwrap().0);
    let line = pair.trace.lines().rfind(|l| l.contains("Callee > ") && l.contains(&branch)).unwrap_or_default();
    line.split_once(" > ").map(|(_, text)| text.to_owned()).unwrap_or_default()
}

#[test]
fn requests_outside_a_dialog_get_the_answer_that_the_rfc_says() {
    let mut pair = Pair::new(19, Network::PERFECT);
    let options = answer_to(&mut pair, &request("OPTIONS", "1", "", ""));
    assert!(options.starts_with("SIP/2.0 200 OK|"), "{options}");
    assert!(
        options.contains("|Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REGISTER, INFO, REFER, NOTIFY|")
    );
    assert!(options.contains("|Accept: application/sdp, multipart/mixed, multipart/alternative|"), "{options}");
    assert!(options.contains("|Supported: 100rel, timer, replaces|"), "{options}");
    let cases = [
        (request("SUBSCRIBE", "2", "", ""), "405", "|Allow: INVITE"),
        (request("INVITE", "3", "", "Require: 100rel, x\r\n"), "420", "|Unsupported: x|"),
        (request("BYE", "4", ";tag=unknown", ""), "481", ""),
        (request("BYE", "5", "", ""), "481", ""),
        (request("CANCEL", "6", "", ""), "481", ""),
        (request("OPTIONS", "7", "", "").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), "505", ""),
        (request("OPTIONS", "8", "", "").replace("Call-ID: 8\r\n", ""), "400", ""),
        (request("OPTIONS", "9", "", "Content-Length: 9\r\n"), "400", ""),
        (
            request("INVITE", "10", "", "Content-Type: text/plain\r\n") + "hello",
            "415",
            "|Accept: application/sdp, multipart/mixed, ",
        ),
        (request("INVITE", "11", "", "").replace("INVITE sip:desk@192.0.2.2", "INVITE tel:+7"), "416", ""),
    ];
    for (text, status, header) in cases {
        let answer = answer_to(&mut pair, &text);
        assert!(answer.starts_with(&format!("SIP/2.0 {status}")), "{text}\n{answer}");
        assert!(answer.contains(header), "{answer}");
        assert!(answer.contains(";received=192.0.2.1"), "{answer}");
    }
    assert_eq!(pair.end(Callee).usage().sessions, 0);
}

#[test]
fn a_telephone_of_our_network_that_needs_an_account_is_told_that_it_has_one() {
    let mut desk = Desk::new();
    let near: SocketAddr = ([10, 0, 0, 7], 5060).into();
    let registered = desk.receive(near, &request("REGISTER", "1", "", "Expires: 86400\r\n")).remove(0).1;
    assert!(registered.starts_with("SIP/2.0 200 OK\r\n"), "{registered}");
    assert!(registered.contains("\r\nContact: <sip:raw@192.0.2.1:5060>;expires=3600\r\n"), "{registered}");
    let left = desk.receive(near, &request("REGISTER", "2", "", "Expires: 0\r\n")).remove(0).1;
    assert!(left.starts_with("SIP/2.0 200 OK\r\n") && !left.contains("Contact:"), "{left}");
    let far: SocketAddr = ([203, 0, 113, 9], 5060).into();
    let scanned = desk.receive(far, &request("REGISTER", "3", "", "")).remove(0).1;
    assert!(scanned.starts_with("SIP/2.0 403 Forbidden\r\n"), "{scanned}");
    assert_eq!(desk.endpoint.usage().sessions, 0);
}

/// An endpoint whose callers have any address; what it sends is seen with where it goes.
struct Desk {
    endpoint: Endpoint,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "secretary", 4) };
        Desk { endpoint: Endpoint::new(config, [1; 32]), now: epoch() }
    }

    fn receive(&mut self, remote: SocketAddr, text: &str) -> Vec<(SocketAddr, String)> {
        let flow = Flow { transport: Transport::Udp, local: Callee.address(), remote };
        self.input(Input::Message { flow, bytes: text.into() })
    }

    fn input(&mut self, input: Input) -> Vec<(SocketAddr, String)> {
        self.endpoint.handle_input(self.now, input);
        let outputs = std::iter::from_fn(|| self.endpoint.poll_output());
        outputs
            .filter_map(|output| match output {
                Output::Transmit { flow, bytes } => Some((flow.remote, String::from_utf8(bytes).unwrap())),
                _ => None,
            })
            .collect()
    }
}

/// RFC 3261 §18.2.2, RFC 3581 §4
#[test]
fn without_rport_a_caller_is_answered_at_the_port_of_his_via() {
    let from = |port| SocketAddr::from(([192, 0, 2, 1], port));
    for (via, port) in [("192.0.2.1:5070", 5070), ("10.9.8.7", 5060), ("192.0.2.1:5070;rport", 40_000)] {
        let via = |text: &str| text.replace("UDP 192.0.2.1;", &format!("UDP {via};"));
        let mut desk = Desk::new();
        let sent = desk.receive(from(40_000), &via(&request("INVITE", "raw", "", "")));
        assert_eq!(sent[0].0, from(port), "100 Trying");
        let call = CallKey(1);
        let (to, ok) = desk.input(Input::Command(Command::Answer { call, sdp: b"ours".to_vec() })).remove(0);
        assert!(ok.starts_with("SIP/2.0 200") && ok.contains(";received=192.0.2.1"), "{ok}");
        assert_eq!(to, from(port));
        let tag = ok.split_once("\r\nTo: ").unwrap().1.split_once(";tag=").unwrap().1.split_once("\r\n").unwrap().0;
        desk.receive(from(40_000), &via(&in_dialog("ACK", 10, &format!(";tag={tag}"), "theirs")));
        let (to, bye) = desk.input(Input::Command(Command::Hangup { call })).remove(0);
        assert!(bye.starts_with("BYE"), "{bye}");
        assert_eq!(to, from(port), "BYE goes where the answers went");
        let bad = desk.receive(from(40_000), &via(&request("OPTIONS", "8", "", "").replace("Call-ID: 8\r\n", "")));
        assert!(bad[0].1.starts_with("SIP/2.0 400"));
        assert_eq!(bad[0].0, from(port), "without a transaction as well");
    }
}

#[test]
fn without_direct_calls_a_stranger_gets_403() {
    let config = EndpointConfig {
        direct_calls: DirectCalls::Refused,
        call_out: CallOut::Anybody,
        ..EndpointConfig::new("test", "secretary", 4)
    };
    let mut pair = Pair::with_config(20, Network::PERFECT, config);
    pair.call();
    assert_eq!(pair.ended(Caller), EndCause::Rejected { status: 403, reason: "Forbidden".into() });
    nothing_left(&mut pair);
}

/// A call of a hand-written peer: the callee's key, and the tag that it gave.
fn raw_call(pair: &mut Pair, body: &str) -> (CallKey, String) {
    let invite = request("INVITE", "raw", "", if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" });
    pair.inject(Caller, &(invite + body));
    let (call, seen) = incoming(pair);
    assert_eq!(seen.offer.as_deref(), (!body.is_empty()).then_some(body.as_bytes()));
    assert_eq!((seen.sip_call_id.as_str(), seen.caller.uri.to_string().as_str()), ("raw", "sip:raw@192.0.2.1"));
    pair.command(Callee, Command::Answer { call, sdp: b"ours".to_vec() });
    let ok = pair.trace.lines().rfind(|l| l.contains("SIP/2.0 200")).unwrap();
    let tag = ok.split_once("To: ").unwrap().1.split_once(";tag=").unwrap().1.split_once('|').unwrap().0;
    (call, format!(";tag={tag}"))
}

fn in_dialog(method: &str, cseq: u32, tag: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:desk@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}{cseq}\r\n\
         From: <sip:raw@192.0.2.1>;tag=raw\r\nTo: <sip:desk@192.0.2.2>{tag}\r\nCall-ID: raw\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:raw@192.0.2.1:5060>\r\n{content}\r\n{body}"
    )
}

#[test]
fn a_call_without_an_offer_gets_ours_and_answers_in_the_ack() {
    let mut pair = Pair::new(21, Network::PERFECT);
    let (call, tag) = raw_call(&mut pair, "");
    pair.inject(Caller, &in_dialog("ACK", 10, &tag, "theirs"));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::Established { sdp: Some(b"theirs".to_vec()) }));
    let bye = answer_to(&mut pair, &in_dialog("BYE", 11, &tag, ""));
    assert!(bye.starts_with("SIP/2.0 200"));
    assert_eq!(pair.ended(Callee), EndCause::RemoteBye(None));
}

#[test]
fn a_change_of_the_session_is_asked_answered_and_acknowledged() {
    let mut pair = Pair::new(22, Network::PERFECT);
    let (call, tag) = raw_call(&mut pair, "offer");
    let cseq = 10 + u32::try_from("Content-Type: application/sdp\r\n".len()).unwrap();

    let early = answer_to(&mut pair, &in_dialog("UPDATE", cseq + 1, &tag, "hold"));
    assert!(early.starts_with("SIP/2.0 491"), "our answer is not acknowledged yet: {early}");
    pair.inject(Caller, &in_dialog("ACK", cseq, &tag, ""));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::Established { sdp: None }));

    pair.inject(Caller, &in_dialog("INVITE", cseq + 2, &tag, "hold"));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::Offer { sdp: Some(b"hold".to_vec()) }));
    let second = answer_to(&mut pair, &in_dialog("INVITE", cseq + 3, &tag, "again"));
    assert!(second.starts_with("SIP/2.0 500") && second.contains("|Retry-After: "), "{second}");
    pair.command(Callee, Command::AnswerOffer { call, sdp: b"held".to_vec() });
    assert!(pair.trace.trim_end().ends_with("||held"), "{}", pair.trace);
    pair.inject(Caller, &in_dialog("ACK", cseq + 2, &tag, ""));
    pair.run_for(GIVE_UP * 2);
    assert_eq!(pair.event(Callee), None, "the ACK of a re-INVITE is no news");

    pair.inject(Caller, &in_dialog("UPDATE", cseq + 4, &tag, "resume"));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::Offer { sdp: Some(b"resume".to_vec()) }));
    pair.command(Callee, Command::RejectOffer { call });
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 488"), 1);

    let refresh = answer_to(&mut pair, &in_dialog("UPDATE", cseq + 5, &tag, ""));
    assert!(refresh.starts_with("SIP/2.0 200") && refresh.contains("|Contact: <sip:"), "{refresh}");
    let old = answer_to(&mut pair, &in_dialog("UPDATE", cseq, &tag, ""));
    assert!(old.starts_with("SIP/2.0 500"), "out of order: {old}");

    pair.inject(Caller, &in_dialog("INVITE", cseq + 6, &tag, ""));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::Offer { sdp: None }));
    pair.command(Callee, Command::AnswerOffer { call, sdp: b"ours again".to_vec() });
    pair.inject(Caller, &in_dialog("ACK", cseq + 6, &tag, "theirs"));
    assert_eq!(pair.session_event(Callee), (call, SessionEvent::OfferAnswered { sdp: b"theirs".to_vec() }));

    pair.inject(Caller, &in_dialog("INVITE", cseq + 7, &tag, "hold"));
    assert!(matches!(pair.session_event(Callee).1, SessionEvent::Offer { .. }));
    let bye = answer_to(&mut pair, &in_dialog("BYE", cseq + 8, &tag, ""));
    assert!(bye.starts_with("SIP/2.0 200"), "{bye}");
    assert_eq!(pair.count_sent(Callee, "SIP/2.0 487"), 1, "the open re-INVITE ends too");
    assert_eq!(pair.ended(Callee), EndCause::RemoteBye(None));
    assert_eq!(pair.end(Callee).usage().sessions, 0);
}

/// A whole call with both users at their telephones: the callee answers, and after a second in which both
/// talk one of them hangs up.
fn whole_call(seed: u64, network: Network) -> Pair {
    let mut pair = Pair::new(seed, network);
    let hangs_up = if seed.is_multiple_of(2) { Caller } else { Callee };
    pair.call();
    let (mut answered, mut established, mut ended, mut calls) = (None, None, [0, 0], 0);
    while pair.step() {
        for side in [Caller, Callee] {
            while let Some(Event::Session { call, event }) = pair.event(side) {
                match event {
                    SessionEvent::Incoming(_) => {
                        calls += 1;
                        pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
                    }
                    SessionEvent::Answered { .. } => answered = Some(call),
                    SessionEvent::Established { .. } => established = Some(call),
                    SessionEvent::Ended { cause } => {
                        let expected = if side == hangs_up { EndCause::LocalBye } else { EndCause::RemoteBye(None) };
                        assert_eq!(cause, expected, "seed {seed}\n{}", pair.trace);
                        ended[side as usize] += 1;
                    }
                    other => panic!("seed {seed}: {other:?}\n{}", pair.trace),
                }
            }
        }
        if let (Some(ours), Some(theirs)) = (answered, established) {
            (answered, established) = (None, None);
            pair.run_for(Duration::from_secs(1));
            pair.command(hangs_up, Command::Hangup { call: if hangs_up == Caller { ours } else { theirs } });
        }
    }
    assert_eq!((calls, ended), (1, [1, 1]), "seed {seed}\n{}", pair.trace);
    nothing_left(&mut pair);
    pair
}

const BAD: Network =
    Network { loss: 0.2, duplication: 0.1, latency: Duration::from_millis(40), jitter: Duration::from_millis(200) };

#[test]
fn calls_over_a_bad_network_end_cleanly_on_both_sides() {
    let mut invites = 0;
    for seed in 0..300 {
        invites += whole_call(seed, BAD).count_sent(Caller, "INVITE");
    }
    println!("300 calls at 20 % loss: {invites} INVITEs sent");
    assert!(invites > 330, "the network was not bad");
}

#[test]
fn one_seed_gives_one_trace() {
    let first = whole_call(42, BAD).trace;
    assert_eq!(first, whole_call(42, BAD).trace);
    assert_ne!(first, whole_call(44, BAD).trace);
}
