//! Calls of ours and calls to us, against a peer whose every message is written here: forks, challenges, redirections,
//! dead targets, and the time that a call rings (RFC 3261 §8.1.3, §9, §13, §22; RFC 3326).

use std::net::SocketAddr;
use std::time::Duration;

use secretary::sip::auth::Credentials;
use secretary::sip::message::{Message, Request};
use secretary::sip::{
    Account, AccountId, CallKey, CallOut, Command, EndCause, EndpointConfig, Flow, Input, Numbering, Reason,
    SessionEvent, Usage,
};

use crate::support::peer::{Peer, Sent, answer, flow};

const TARGET: &str = "sip:desk@192.0.2.2";

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or("")
}

fn sip_reason(cause: u16, text: &str) -> Option<Reason> {
    Some(Reason { protocol: "SIP".into(), cause: Some(cause), text: Some(text.into()) })
}

/// Answers every BYE, CANCEL and re-INVITE as a good peer does.
fn obey(peer: &mut Peer) {
    peer.script = Box::new(|_, request| match request.method.as_str() {
        "BYE" | "CANCEL" => Some(answer(request, 200, "", "", "")),
        _ => None,
    });
}

fn answered(peer: &mut Peer) -> Vec<u8> {
    loop {
        match peer.event() {
            Some(SessionEvent::Answered { sdp, .. }) => return sdp,
            Some(_) => {}
            None => panic!("not answered\n{:#?}", peer.sent),
        }
    }
}

fn ended(peer: &mut Peer) -> EndCause {
    loop {
        match peer.event() {
            Some(SessionEvent::Ended { cause }) => return cause,
            Some(_) => {}
            None => panic!("not ended\n{:#?}", peer.sent),
        }
    }
}

/// The call is over, and nothing of it is kept.
fn nothing_left(peer: &mut Peer) {
    peer.run_for(Duration::from_secs(100));
    assert_eq!(peer.endpoint.usage(), Usage::default());
    assert_eq!(peer.endpoint.poll_timeout(), None);
}

#[test]
fn a_forked_answer_is_acknowledged_and_ended() {
    let mut peer = Peer::new();
    obey(&mut peer);
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 180, "a", "", "");
    peer.answer(&invite, 183, "b", "Record-Route: <sip:192.0.2.2;lr>", "early b");
    assert_eq!(peer.event(), Some(SessionEvent::Ringing));
    assert_eq!(peer.event(), Some(SessionEvent::EarlyMedia { flow: flow(5060), sdp: b"early b".to_vec() }));
    // The second telephone answers.
    peer.answer(&invite, 200, "b", "Record-Route: <sip:192.0.2.2;lr>", "b");
    assert_eq!(answered(&mut peer), b"b");
    let ack = peer.request("ACK");
    assert_eq!((ack.uri.to_string().as_str(), header(&ack, "To")), ("sip:b@192.0.2.2", "<sip:desk@192.0.2.2>;tag=b"));
    assert_eq!(header(&ack, "Route"), "<sip:192.0.2.2;lr>");
    // One that has rung and one that was never heard of come too late.
    for tag in ["a", "c"] {
        peer.answer(&invite, 200, tag, "", tag);
        assert!(header(&peer.request("ACK"), "To").ends_with(&format!(";tag={tag}")));
        let bye = peer.request("BYE");
        assert_eq!((bye.uri.to_string(), header(&bye, "CSeq")), (format!("sip:{tag}@192.0.2.2"), "2 BYE"));
        assert!(header(&bye, "Reason").starts_with("SIP;cause=200;"), "{bye:?}");
    }
    // Its 2xx again wants its ACK again, but no second BYE.
    peer.answer(&invite, 200, "c", "", "c");
    peer.answer(&invite, 200, "b", "", "b");
    assert_eq!((peer.requests("ACK").len(), peer.requests("BYE").len()), (5, 2));
    assert_eq!(peer.event(), None);
    peer.command(Command::Hangup { call });
    assert!(header(&peer.request("BYE"), "To").ends_with(";tag=b"));
    assert_eq!(ended(&mut peer), EndCause::LocalBye);
    nothing_left(&mut peer);
}

/// Where the last request of that method went.
fn went_to(peer: &Peer, method: &str) -> Flow {
    let of_method = |sent: &&Sent| matches!(&sent.message, Message::Request(r) if r.method.as_str() == method);
    peer.sent.iter().rfind(of_method).unwrap().flow
}

#[test]
fn a_forked_answer_is_ended_where_its_telephone_is() {
    let mut peer = Peer::new();
    obey(&mut peer);
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 183, "b", "Require: 100rel\nRSeq: 1", "");
    assert_eq!(header(&peer.request("PRACK"), "CSeq"), "2 PRACK");
    peer.answer(&invite, 200, "a", "", "a");
    assert_eq!((answered(&mut peer), went_to(&peer, "ACK")), (b"a".to_vec(), flow(5060)));
    // One that has rung, and one whose way leads through a proxy.
    for (tag, port, more, cseq) in [
        ("b", 5070, "Contact: <sip:b@192.0.2.2:5070>", "3 BYE"),
        ("c", 5071, "Contact: <sip:c@10.0.0.3>\nRecord-Route: <sip:proxy.example:5071;lr>", "2 BYE"),
    ] {
        peer.flows = vec![flow(port)];
        for _ in 0..2 {
            peer.answer(&invite, 200, tag, more, tag);
            assert_eq!((went_to(&peer, "ACK"), went_to(&peer, "BYE")), (flow(port), flow(port)), "{tag}");
        }
        let bye = peer.request("BYE");
        assert_eq!(header(&bye, "CSeq"), cseq);
        assert!(header(&bye, "To").ends_with(&format!(";tag={tag}")));
    }
    assert_eq!(peer.asked, ["192.0.2.2", "192.0.2.2", "proxy.example"]);
    assert_eq!((peer.requests("ACK").len(), peer.requests("BYE").len()), (5, 2));
    peer.command(Command::Hangup { call });
    assert_eq!(went_to(&peer, "BYE"), flow(5060));
    nothing_left(&mut peer);
}

#[test]
fn an_answer_that_comes_after_the_call_is_acknowledged_and_ended() {
    let mut peer = Peer::new();
    obey(&mut peer);
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", "", "a");
    peer.command(Command::Hangup { call });
    assert_eq!((peer.endpoint.usage().sessions, peer.requests("BYE").len()), (0, 1));
    for (tag, contact, port) in [("b", "192.0.2.2:5070", 5070), ("c", "telephone.example", 5060)] {
        let asked = peer.asked.len();
        for _ in 0..2 {
            peer.answer(&invite, 200, tag, &format!("Contact: <sip:{tag}@{contact}>"), tag);
            assert_eq!((went_to(&peer, "ACK"), went_to(&peer, "BYE")), (flow(port), flow(port)), "{tag}");
            let (ack, bye) = (peer.request("ACK"), peer.request("BYE"));
            assert_eq!(ack.uri.to_string(), format!("sip:{tag}@{contact}"));
            assert_eq!((header(&ack, "CSeq"), header(&bye, "CSeq")), ("1 ACK", "2 BYE"));
            assert_eq!(header(&ack, "To"), header(&bye, "To"));
        }
        assert_eq!(peer.asked.len(), asked);
    }
    assert_eq!((peer.requests("ACK").len(), peer.requests("BYE").len()), (5, 3), "one BYE each");
    nothing_left(&mut peer);
}

#[test]
fn more_late_answers_than_there_is_room_for_are_let_be() {
    let mut peer = Peer::new();
    obey(&mut peer);
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", "", "a");
    peer.command(Command::Hangup { call });
    for n in 0..100 {
        peer.answer(&invite, 200, &format!("t{n}"), "", "t");
    }
    assert_eq!(peer.requests("BYE").len(), 1 + 64);
    nothing_left(&mut peer);
}

#[test]
fn more_forks_than_there_is_room_for_do_no_harm() {
    let mut peer = Peer::new();
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    for n in 0..100 {
        peer.answer(&invite, 180, &format!("t{n}"), "Require: 100rel\nRSeq: 1", "");
    }
    assert_eq!(peer.requests("PRACK").len(), 8, "as many as are kept");
    peer.answer(&invite, 200, "t77", "", "answer");
    assert_eq!(answered(&mut peer), b"answer");
    peer.command(Command::Hangup { call });
    assert!(header(&peer.request("BYE"), "To").ends_with(";tag=t77"));
}

#[test]
fn an_update_in_an_early_dialog_is_answered() {
    let mut peer = Peer::new();
    let call = peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    let ours = Message::Request(invite.clone());
    let in_dialog = |tag: &str| {
        let Message::Request(mut ours) = ours.clone() else { unreachable!() };
        ours.headers.set("To", format!("<sip:desk@192.0.2.2>;tag={tag}"));
        Message::Request(ours)
    };
    peer.answer(&invite, 183, "a", "", "loose");
    peer.answer(&invite, 183, "b", "Require: 100rel\nRSeq: 1", "firm");
    peer.events.clear();
    peer.ask("UPDATE", 1, &in_dialog("nobody"), "", "");
    assert_eq!(peer.last_status(), 481);
    peer.ask("UPDATE", 5, &in_dialog("a"), "Contact: <sip:moved@192.0.2.2>\r\n", "");
    assert_eq!(peer.last_status(), 200);
    peer.ask("UPDATE", 4, &in_dialog("a"), "", "");
    assert_eq!(peer.last_status(), 500, "out of order");
    peer.ask("UPDATE", 6, &in_dialog("a"), "", "change");
    assert_eq!(peer.last_status(), 491, "our offer has no answer there");
    peer.ask("UPDATE", 1, &in_dialog("b"), "", "change");
    assert_eq!(peer.event(), Some(SessionEvent::Offer { sdp: Some(b"change".to_vec()) }));
    peer.ask("UPDATE", 2, &in_dialog("b"), "", "again");
    assert_eq!(peer.last_status(), 500);
    peer.command(Command::AnswerOffer { call, sdp: b"changed".to_vec() });
    assert_eq!(peer.answers(200).last().unwrap().1.sdp(), Some(b"changed".to_vec()));
    peer.answer(&invite, 200, "b", "", "");
    assert_eq!(answered(&mut peer), b"firm");
}

fn account(expires: Option<Duration>) -> Account {
    Account {
        id: AccountId(0),
        registrar: "pbx.example".into(),
        port: None,
        domain: "home.example".into(),
        username: "100".into(),
        credentials: vec![Credentials { realm: None, username: "100".into(), password: "secret".into() }],
        transport: None,
        expires,
        access: Vec::new(),
        numbering: Numbering::default(),
    }
}

/// A peer where our account is registered, over the flow to that port.
fn registered(port: u16) -> Peer {
    let mut peer = Peer::new();
    peer.script = Box::new(|_, request| {
        (request.method.as_str() == "REGISTER")
            .then(|| answer(request, 200, "r", "Contact: <sip:100@192.0.2.1>;expires=3600", ""))
    });
    peer.flows = vec![flow(port)];
    peer.command(Command::Register(account(Some(Duration::from_secs(3600)))));
    peer.flows = vec![flow(5060)];
    peer.asked.clear();
    peer
}

#[test]
fn a_call_of_an_account_goes_its_way_under_its_name() {
    let mut peer = registered(5099);
    peer.call("+7 (495) 123-45-67", Some(AccountId(0)));
    let sent = peer.sent.last().unwrap().clone();
    assert_eq!(sent.flow, flow(5099), "where it is registered");
    assert!(peer.asked.is_empty());
    let invite = peer.request("INVITE");
    assert_eq!(invite.uri.to_string(), "sip:+74951234567@home.example");
    assert_eq!(header(&invite, "To"), "<sip:+74951234567@home.example>");
    assert!(header(&invite, "From").starts_with("<sip:100@home.example>;tag="));
    assert_eq!(header(&invite, "Contact"), "<sip:100@192.0.2.1:5060>");
    // When that way is dead, the registrar is looked up again.
    peer.answer(&invite, 503, "x", "", "");
    assert_eq!((peer.asked.as_slice(), peer.sent.last().unwrap().flow), (&["pbx.example".to_owned()][..], flow(5060)));
    assert_eq!(header(&peer.request("INVITE"), "CSeq"), "2 INVITE");

    let mut peer = Peer::new();
    peer.call("100", Some(AccountId(7)));
    assert!(matches!(ended(&mut peer), EndCause::Failed(_)), "there is no such account");
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"";
const PROXY_CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"";

/// What a repeated request has in common with the first.
fn is_repeated(first: &Request, second: &Request) {
    let number = |request: &Request| header(request, "CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    assert_eq!(number(second), number(first) + 1);
    assert_ne!(header(first, "Via"), header(second, "Via"));
    for name in ["From", "To", "Call-ID", "Contact", "RAck", "Session-Expires"] {
        assert_eq!(header(first, name), header(second, name));
    }
    assert_eq!((&first.uri, &first.body), (&second.uri, &second.body));
}

#[test]
fn every_request_of_a_call_is_repeated_with_credentials() {
    let mut peer = registered(5060);
    let call = peer.call("200", Some(AccountId(0)));
    let first = peer.request("INVITE");
    assert_eq!(header(&first, "Proxy-Authorization"), "");
    peer.answer(&first, 407, "p", PROXY_CHALLENGE, "");
    let invite = peer.request("INVITE");
    is_repeated(&first, &invite);
    assert!(header(&invite, "Proxy-Authorization").contains("response="));
    let failed_ack = peer.request("ACK");
    assert_eq!(header(&failed_ack, "CSeq"), "1 ACK");

    peer.answer(&invite, 183, "a", "Require: 100rel\nRSeq: 7", "early");
    let prack = peer.request("PRACK");
    peer.answer(&prack, 401, "a", CHALLENGE, "");
    is_repeated(&prack, &peer.request("PRACK"));
    assert!(header(&peer.request("PRACK"), "Authorization").contains("nonce=\"n1\""));
    let prack = peer.request("PRACK");
    peer.answer(&prack, 200, "a", "", "");

    peer.answer(&invite, 200, "a", "Allow: INVITE, UPDATE", "");
    assert_eq!(answered(&mut peer), b"early");
    let ack = peer.request("ACK");
    assert_eq!(header(&ack, "CSeq"), "2 ACK");
    assert_eq!(header(&ack, "Proxy-Authorization"), header(&invite, "Proxy-Authorization"), "RFC 3261 §22.1");

    let stale = CHALLENGE.replace("n1", "n3") + ", stale=true";
    peer.command(Command::Offer { call, sdp: b"hold".to_vec() });
    let first = peer.request("INVITE");
    peer.answer(&first, 401, "a", &stale, "");
    let again = peer.request("INVITE");
    is_repeated(&first, &again);
    assert!(header(&again, "Authorization").contains("nonce=\"n3\""));
    peer.answer(&again, 200, "a", "", "held");
    assert_eq!(peer.event(), Some(SessionEvent::OfferAnswered { sdp: b"held".to_vec() }));
    let ack = peer.request("ACK");
    assert_eq!(header(&ack, "Authorization"), header(&again, "Authorization"));

    peer.run_for(Duration::from_secs(900));
    let update = peer.request("UPDATE");
    peer.answer(&update, 401, "a", &stale, "");
    is_repeated(&update, &peer.request("UPDATE"));
    let update = peer.request("UPDATE");
    peer.answer(&update, 200, "a", "", "");

    peer.command(Command::Hangup { call });
    let bye = peer.request("BYE");
    peer.answer(&bye, 401, "a", &stale, "");
    is_repeated(&bye, &peer.request("BYE"));
    let bye = peer.request("BYE");
    peer.answer(&bye, 200, "a", "", "");
    assert_eq!(peer.endpoint.usage().sessions, 0);
}

/// A peer whose registrar has challenged us with the realm `pbx`.
fn challenged() -> Peer {
    let mut peer = Peer::new();
    peer.script = Box::new(|_, request| match (request.method.as_str(), header(request, "Authorization")) {
        ("REGISTER", "") => Some(answer(request, 401, "r", CHALLENGE, "")),
        ("REGISTER", _) => Some(answer(request, 200, "r", "Contact: <sip:100@192.0.2.1>;expires=3600", "")),
        _ => None,
    });
    peer.command(Command::Register(account(Some(Duration::from_secs(3600)))));
    assert_eq!(peer.requests("REGISTER").len(), 2);
    peer
}

/// A call to our account, answered and acknowledged; our BYE, which is challenged; and how often it is sent in all.
fn byes_to_a_caller(mut peer: Peer, more: &str, challenge: &str) -> usize {
    let call = peer.invite(more, "offer");
    peer.command(Command::Answer { call, sdp: b"answer".to_vec() });
    let ok = Message::Response(peer.answers(200).pop().unwrap().1);
    peer.ask("ACK", 1, &ok, "", "");
    peer.command(Command::Hangup { call });
    let bye = peer.request("BYE");
    peer.answer(&bye, 401, "", challenge, "");
    let byes = peer.requests("BYE");
    let with_credentials = byes.iter().filter(|bye| !header(bye, "Authorization").is_empty()).count();
    assert_eq!(with_credentials, byes.len() - 1);
    byes.len()
}

#[test]
fn a_caller_gets_no_proof_of_our_password() {
    let evil = CHALLENGE.replace("pbx", "evil").replace(", qop=\"auth\"", "");
    assert_eq!(byes_to_a_caller(challenged(), "", &evil), 1, "no realm of the registrar");
    assert_eq!(byes_to_a_caller(challenged(), "", CHALLENGE), 2);
    let beside = "Record-Route: <sip:192.0.2.66;lr>\r\n";
    let moved = || {
        let mut peer = challenged();
        peer.flows = vec![Flow { remote: ([192, 0, 2, 66], 5060).into(), ..flow(5060) }];
        peer
    };
    assert_eq!(byes_to_a_caller(moved(), beside, CHALLENGE), 1, "not the account's way");
    assert_eq!(byes_to_a_caller(registered(5060), "", &evil), 2, "a registrar that has named no realm may name any");
}

#[test]
fn a_called_peer_beside_the_trunk_gets_no_credentials_in_the_ack() {
    let mut peer = challenged();
    peer.call("200", Some(AccountId(0)));
    let invite = peer.request("INVITE");
    peer.answer(&invite, 401, "p", CHALLENGE, "");
    let invite = peer.request("INVITE");
    assert!(header(&invite, "Authorization").contains("response="));
    peer.flows = vec![Flow { remote: ([192, 0, 2, 66], 5060).into(), ..flow(5060) }];
    peer.answer(&invite, 200, "a", "Contact: <sip:a@192.0.2.66>", "answer");
    let sent = peer.sent.last().unwrap();
    assert_eq!(sent.flow.remote, SocketAddr::from(([192, 0, 2, 66], 5060)));
    let ack = peer.request("ACK");
    assert_eq!((header(&ack, "CSeq"), header(&ack, "Authorization")), ("2 ACK", ""));
}

#[test]
fn the_next_nonce_of_an_answer_in_a_call_is_used() {
    let mut peer = registered(5060);
    let call = peer.call("200", Some(AccountId(0)));
    let invite = peer.request("INVITE");
    peer.answer(&invite, 401, "p", CHALLENGE, "");
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", "Authentication-Info: nextnonce=\"n7\"", "answer");
    peer.command(Command::Offer { call, sdp: b"hold".to_vec() });
    let again = peer.request("INVITE");
    assert!(header(&again, "Authorization").contains("nonce=\"n7\""), "{again:?}");
    peer.answer(&again, 200, "a", "Authentication-Info: nextnonce=\"n8\"", "held");
    peer.command(Command::Hangup { call });
    assert!(header(&peer.request("BYE"), "Authorization").contains("nonce=\"n8\""));
}

#[test]
fn a_challenge_that_credentials_do_not_answer_is_a_refusal() {
    let mut peer = registered(5060);
    peer.call("200", Some(AccountId(0)));
    for _ in 0..2 {
        let invite = peer.request("INVITE");
        peer.answer(&invite, 401, "p", CHALLENGE, "");
    }
    assert_eq!(ended(&mut peer), EndCause::Rejected { status: 401, reason: "Unauthorized".into() });

    let mut peer = Peer::new();
    peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 401, "p", CHALLENGE, "");
    assert_eq!(ended(&mut peer), EndCause::Rejected { status: 401, reason: "Unauthorized".into() });
    assert_eq!(peer.requests("INVITE").len(), 1, "without credentials there is nothing to say");
}

#[test]
fn a_redirected_call_follows_the_best_contact() {
    let mut peer = Peer::new();
    peer.call(TARGET, None);
    let first = peer.request("INVITE");
    peer.answer(&first, 302, "x", "Contact: <sip:low@192.0.2.2>;q=0.2, <sip:high@192.0.2.2?Subject=x>;q=0.9", "");
    let second = peer.request("INVITE");
    assert_eq!(second.uri.to_string(), "sip:high@192.0.2.2");
    assert_eq!((header(&second, "To"), header(&second, "CSeq")), ("<sip:desk@192.0.2.2>", "2 INVITE"));
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    peer.answer(&second, 486, "y", "", "");
    let third = peer.request("INVITE");
    assert_eq!(third.uri.to_string(), "sip:low@192.0.2.2");
    peer.answer(&third, 302, "z", "Contact: <sip:desk@192.0.2.2>", "");
    let busy = EndCause::Rejected { status: 302, reason: "Moved Temporarily".into() };
    assert_eq!(ended(&mut peer), busy, "a loop leads nowhere");
    nothing_left(&mut peer);
}

#[test]
fn a_redirection_to_where_we_may_not_call_is_not_followed() {
    let config = EndpointConfig {
        call_out: CallOut::Matching(vec!["desk@*".into()]),
        ..EndpointConfig::new("test", "secretary", 4)
    };
    let mut peer = Peer::with_config(config);
    peer.call("sip:other@192.0.2.2", None);
    assert_eq!((ended(&mut peer), peer.sent.len()), (EndCause::NotAllowed, 0));
}

#[test]
fn nobody_takes_a_call_that_is_declined_everywhere() {
    let mut peer = Peer::new();
    peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 302, "x", "Contact: <sip:a@192.0.2.2>, <sip:b@192.0.2.2>", "");
    let invite = peer.request("INVITE");
    peer.answer(&invite, 603, "x", "", "");
    assert_eq!(ended(&mut peer), EndCause::Rejected { status: 603, reason: "Decline".into() });
    assert_eq!(peer.requests("INVITE").len(), 2);
    nothing_left(&mut peer);
}

#[test]
fn dead_addresses_are_passed_over() {
    let mut peer = Peer::new();
    peer.flows = vec![flow(5061), flow(5062), flow(5063)];
    peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 503, "x", "", "");
    peer.run_for(Duration::from_secs(32));
    let invite = peer.request("INVITE");
    assert_eq!(peer.sent.last().unwrap().flow, flow(5063), "the second did not answer at all");
    peer.answer(&invite, 200, "a", "", "answer");
    assert_eq!(answered(&mut peer), b"answer");
}

#[test]
fn a_call_that_nobody_answers_is_taken_back_in_time() {
    let mut peer = Peer::new();
    obey(&mut peer);
    peer.call(TARGET, None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 180, "a", "", "");
    peer.run_for(Duration::from_secs(59));
    assert!(peer.requests("CANCEL").is_empty());
    peer.run_for(Duration::from_secs(1));
    assert_eq!(ended(&mut peer), EndCause::NoAnswer);
    assert!(header(&peer.request("CANCEL"), "Reason").starts_with("SIP;cause=408;"));
    // The answer was faster: the call ends by BYE.
    peer.answer(&invite, 200, "a", "", "answer");
    assert_eq!((peer.requests("ACK").len(), peer.requests("BYE").len()), (1, 1));
    assert_eq!(peer.event(), None);
    nothing_left(&mut peer);
}

#[test]
fn a_caller_who_waits_only_so_long_is_refused_when_that_is_over() {
    let mut peer = Peer::new();
    peer.invite("Expires: 30\r\n", "offer");
    assert!(matches!(peer.event(), Some(SessionEvent::Incoming(_))));
    peer.run_for(Duration::from_secs(29));
    assert_eq!(peer.event(), None);
    peer.run_for(Duration::from_secs(1));
    assert_eq!(ended(&mut peer), EndCause::Cancelled(None));
    assert_eq!(peer.answers(487).first().unwrap().0, 30_000);

    let mut peer = Peer::new();
    let call = peer.invite("Expires: 30\r\n", "offer");
    peer.command(Command::Answer { call, sdp: b"answer".to_vec() });
    peer.ask("ACK", 1, &Message::Response(peer.answers(200)[0].1.clone()), "", "");
    peer.run_for(Duration::from_secs(60));
    assert!(peer.answers(487).is_empty(), "it is no limit on the call");
}

#[test]
fn an_invite_without_a_contact_is_bad() {
    let mut peer = Peer::new();
    let text = "INVITE sip:secretary@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\r\n\
                From: <sip:peer@192.0.2.2>;tag=p\r\nTo: <sip:secretary@192.0.2.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
    peer.say(text.into());
    assert_eq!((peer.last_status(), peer.event()), (400, None));
    assert_eq!(peer.endpoint.usage().sessions, 0);
}

#[test]
fn the_peer_says_why_he_ends_a_call() {
    let mut peer = Peer::new();
    let invite = |peer: &mut Peer| {
        let call = peer.invite("", "offer");
        peer.event();
        call
    };
    invite(&mut peer);
    let text = "CANCEL sip:secretary@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKpeer1\r\n\
                From: <sip:peer@192.0.2.2>;tag=peer\r\nTo: <sip:secretary@192.0.2.1>\r\nCall-ID: called\r\n\
                CSeq: 1 CANCEL\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n\r\n";
    peer.say(text.into());
    assert_eq!(ended(&mut peer), EndCause::Cancelled(sip_reason(200, "Call completed elsewhere")));

    let mut peer = Peer::new();
    let call = invite(&mut peer);
    peer.command(Command::Answer { call, sdp: b"answer".to_vec() });
    let ok = Message::Response(peer.answers(200)[0].1.clone());
    peer.ask("ACK", 1, &ok, "", "");
    peer.event();
    peer.ask("BYE", 2, &ok, "Reason: Q.850;cause=16;text=\"Normal\"\r\n", "");
    let reason = Reason { protocol: "Q.850".into(), cause: Some(16), text: Some("Normal".into()) };
    assert_eq!(ended(&mut peer), EndCause::RemoteBye(Some(reason)));
}

#[test]
fn requests_follow_the_route_and_the_target() {
    for (record_route, uri, route) in [
        ("<sip:192.0.2.2;lr>", "sip:a@192.0.2.2", "<sip:192.0.2.2;lr>"),
        ("<sip:192.0.2.2>", "sip:192.0.2.2", "<sip:a@192.0.2.2>"),
    ] {
        let mut peer = Peer::new();
        let call = peer.call(TARGET, None);
        let invite = peer.request("INVITE");
        peer.answer(&invite, 200, "a", &format!("Record-Route: {record_route}"), "answer");
        let ack = peer.request("ACK");
        assert_eq!((ack.uri.to_string().as_str(), header(&ack, "Route")), (uri, route));
        // The peer moves by UPDATE, then by his answer to ours.
        peer.ask("UPDATE", 1, &Message::Request(ack), "Contact: <sip:moved@192.0.2.2>\r\n", "");
        assert_eq!(peer.last_status(), 200);
        peer.command(Command::Offer { call, sdp: b"hold".to_vec() });
        let offer = peer.request("INVITE");
        assert_eq!(
            format!("{} {}", offer.uri, header(&offer, "Route")),
            format!("{uri} {route}").replace("sip:a@", "sip:moved@")
        );
        peer.answer(&offer, 200, "a", "Contact: <sip:again@192.0.2.2>", "held");
        let ack = peer.request("ACK");
        assert_eq!(
            format!("{} {}", ack.uri, header(&ack, "Route")),
            format!("{uri} {route}").replace("sip:a@", "sip:again@")
        );
    }
}

#[test]
fn numbers_may_leave_gaps_but_not_go_back() {
    let mut peer = Peer::new();
    let call = peer.invite("", "offer");
    peer.command(Command::Answer { call, sdp: b"answer".to_vec() });
    let ok = Message::Response(peer.answers(200)[0].1.clone());
    peer.ask("ACK", 1, &ok, "", "");
    peer.ask("UPDATE", 500, &ok, "", "");
    assert_eq!(peer.last_status(), 200);
    peer.ask("UPDATE", 499, &ok, "", "");
    assert_eq!(peer.last_status(), 500);
    peer.ask("BYE", 501, &ok, "", "");
    assert_eq!(peer.last_status(), 200);
}

#[test]
fn a_connection_that_breaks_while_we_call_is_the_end_of_that_way() {
    let mut peer = Peer::new();
    peer.call(TARGET, None);
    peer.input(Input::FlowFailed { flow: flow(5060), error: "reset".into() });
    assert_eq!(ended(&mut peer), EndCause::TransportFailed("reset".into()));
    let _: CallKey = peer.call(TARGET, None);
    nothing_left(&mut peer);
}

#[test]
fn a_call_that_is_given_up_ends_though_its_answer_cannot_be_matched() {
    let mut peer = Peer::new();
    let call = peer.call(TARGET, None);
    let mut invite = peer.request("INVITE");
    invite.headers.set("CSeq", "77 INVITE");
    peer.answer(&invite, 504, "x", "", "");
    peer.command(Command::Hangup { call });
    nothing_left(&mut peer);
}
