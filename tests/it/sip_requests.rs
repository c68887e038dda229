//! Small requests in virtual time: keys by INFO, texts by MESSAGE, what OPTIONS says of them.

use std::time::Duration;

use secretary::sip::auth::Credentials;
use secretary::sip::message::{Method, Request, Response};
use secretary::sip::{
    Account, AccountId, CallOut, Command, EndCause, EndpointConfig, Event, MessageId, Numbering, SessionEvent,
    Transport,
};

use crate::support::exchange::{Exchange, Party, address, uri};

const US: Party = 1;
const PEER: Party = 2;
const OTHER: Party = 3;

fn config(message_out: CallOut) -> EndpointConfig {
    EndpointConfig { message_out, call_out: CallOut::Anybody, ..EndpointConfig::new("test", "secretary", 4) }
}

fn us_and_scripted_peers() -> Exchange {
    let mut exchange = Exchange::new();
    exchange.add(US, config(CallOut::Anybody));
    exchange.add_scripted(PEER);
    exchange.add_scripted(OTHER);
    exchange
}

fn digit(digit: char, ms: u64) -> SessionEvent {
    SessionEvent::Digit { digit, duration: Duration::from_millis(ms) }
}

#[test]
fn keys_come_by_info_of_both_kinds() {
    let mut exchange = us_and_scripted_peers();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    let relay = "Content-Type: application/dtmf-relay\r\n";
    let plain = "Content-Type: application/dtmf\r\n";
    for (content_type, body, expected) in [
        (relay, "Signal=5\r\nDuration=160\r\n", digit('5', 160)),
        (relay, "Signal= #\r\nDuration= 90\r\n", digit('#', 90)),
        (plain, "7", digit('7', 160)),
    ] {
        exchange.say(PEER, US, &invite, "INFO", content_type, body);
        assert_eq!(exchange.response(PEER, Method::Info).status, 200, "{body}");
        assert_eq!(exchange.session_event(US), (ours, expected));
    }
}

#[test]
fn other_infos_are_answered_and_nothing_else() {
    let mut exchange = us_and_scripted_peers();
    let (_, invite) = exchange.connect_scripted(US, PEER);
    let cases = [
        ("", "", 200),
        ("Content-Type: application/media_control+xml\r\n", "<x/>", 415),
        ("Content-Type: application/dtmf-relay\r\n", "Signal=what\r\n", 400),
        ("Content-Type: application/dtmf-relay\r\n", "Signal=hf\r\n", 200),
        ("Info-Package: nothing\r\n", "", 469),
    ];
    for (extra, body, status) in cases {
        exchange.say(PEER, US, &invite, "INFO", extra, body);
        let answer = exchange.response(PEER, Method::Info);
        assert_eq!(answer.status, status, "{extra}");
        if status == 415 {
            assert_eq!(answer.headers.get("Accept"), Some("application/dtmf-relay, application/dtmf"));
        }
    }
    exchange.say(PEER, US, &invite, "BYE", "", "");
    exchange.response(PEER, Method::Bye);
    exchange.say(PEER, US, &invite, "INFO", "Content-Type: application/dtmf\r\n", "1");
    assert_eq!(exchange.response(PEER, Method::Info).status, 481, "outside a call");
    let (_, event) = exchange.session_event(US);
    assert!(matches!(event, SessionEvent::Ended { .. }), "{event:?}");
}

#[test]
fn keys_that_we_press_arrive() {
    let mut exchange = Exchange::new();
    exchange.add(US, config(CallOut::Anybody));
    exchange.add(PEER, config(CallOut::Anybody));
    let (ours, theirs) = exchange.connect(US, PEER);
    for key in ['1', '*', '#', 'd', 'x'] {
        exchange.command(US, Command::SendDigit { call: ours, digit: key });
    }
    for key in ['1', '*', '#', 'D'] {
        assert_eq!(exchange.session_event(PEER), (theirs, digit(key, 160)));
    }
    exchange.run_for(Duration::from_secs(60));
    assert_eq!(exchange.event_now(PEER), None);
    assert_eq!(exchange.event_now(US), None, "the call goes on");
}

fn write(exchange: &mut Exchange, account: Option<AccountId>, target: &str) {
    let text = "Звонил Пётр: перезвоните.".to_owned();
    exchange.command(US, Command::Message { id: MessageId(7), account, target: target.to_owned(), text });
}

fn result(exchange: &mut Exchange) -> Result<(), EndCause> {
    loop {
        if let Event::Message { id, result } = exchange.event(US) {
            assert_eq!(id, MessageId(7));
            return result;
        }
    }
}

/// Us with an account at the PBX, which is `PEER`, and if that is dead `OTHER`.
fn registered() -> Exchange {
    let mut exchange = us_and_scripted_peers();
    exchange.names.insert("pbx.example".into(), vec![PEER, OTHER]);
    let account = Account {
        id: AccountId(0),
        registrar: "pbx.example".into(),
        port: None,
        domain: "example.com".into(),
        username: "100".into(),
        credentials: vec![Credentials { realm: None, username: "100".into(), password: "secret".into() }],
        transport: Some(Transport::Udp),
        expires: Some(Duration::from_secs(86_400)),
        access: Vec::new(),
        numbering: Numbering::default(),
    };
    exchange.command(US, Command::Register(account));
    let register = exchange.request(PEER, Method::Register);
    exchange.answer(PEER, US, &register, 200);
    exchange
}

fn challenge(exchange: &mut Exchange, message: &Request, status: u16) {
    let header = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
    let demand = "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256";
    let answer = Response::answer(message, status).with_to_tag("t").with(header, demand);
    exchange.send(PEER, US, answer.to_bytes());
}

#[test]
fn a_text_is_delivered_to_its_target() {
    let mut exchange = us_and_scripted_peers();
    write(&mut exchange, None, &format!("{}?Route=%3Csip:evil%3E", uri(PEER)));
    let message = exchange.request(PEER, Method::Message);
    assert_eq!(message.uri.to_string(), uri(PEER));
    assert_eq!(message.headers.get("Content-Type"), Some("text/plain;charset=UTF-8"));
    assert_eq!(String::from_utf8(message.body.clone()).unwrap(), "Звонил Пётр: перезвоните.");
    assert!(message.headers.get("Contact").is_none(), "RFC 3428 §4 allows none");
    exchange.answer(PEER, US, &message, 202);
    assert_eq!(result(&mut exchange), Ok(()));
    exchange.nothing_is_left();
}

#[test]
fn a_text_by_an_account_goes_to_its_registrar_with_its_credentials() {
    let mut exchange = registered();
    write(&mut exchange, Some(AccountId(0)), "200");
    let first = exchange.request(PEER, Method::Message);
    assert_eq!(first.uri.to_string(), "sip:200@example.com");
    assert_eq!(first.envelope().unwrap().from.uri.to_string(), "sip:100@example.com");
    challenge(&mut exchange, &first, 401);
    let second = exchange.request(PEER, Method::Message);
    assert!(second.headers.get("Authorization").unwrap().contains("username=\"100\""));
    let (first, envelope) = (first.envelope().unwrap(), second.envelope().unwrap());
    assert_eq!(envelope.call_id, first.call_id);
    assert_eq!(envelope.cseq.number, first.cseq.number + 1);
    challenge(&mut exchange, &second, 407);
    let third = exchange.request(PEER, Method::Message);
    assert!(third.headers.get("Proxy-Authorization").is_some());
    exchange.answer(PEER, US, &third, 200);
    assert_eq!(result(&mut exchange), Ok(()));
}

#[test]
fn wrong_credentials_and_refusals_are_told() {
    let mut exchange = registered();
    write(&mut exchange, Some(AccountId(0)), "200");
    for _ in 0..2 {
        let message = exchange.request(PEER, Method::Message);
        challenge(&mut exchange, &message, 401);
    }
    assert!(matches!(result(&mut exchange), Err(EndCause::Rejected { status: 401, .. })));
    write(&mut exchange, Some(AccountId(0)), "200");
    let message = exchange.request(PEER, Method::Message);
    exchange.answer(PEER, US, &message, 100);
    exchange.answer(PEER, US, &message, 404);
    assert_eq!(result(&mut exchange), Err(EndCause::Rejected { status: 404, reason: "Not Found".into() }));
}

#[test]
fn the_next_server_is_tried_when_one_is_silent_or_overloaded() {
    let mut exchange = registered();
    write(&mut exchange, Some(AccountId(0)), "200");
    let message = exchange.request(PEER, Method::Message);
    exchange.answer(PEER, US, &message, 503);
    let message = exchange.request(OTHER, Method::Message);
    exchange.answer(OTHER, US, &message, 200);
    assert_eq!(result(&mut exchange), Ok(()));

    write(&mut exchange, Some(AccountId(0)), "200");
    let message = exchange.request(OTHER, Method::Message);
    assert!(exchange.elapsed() >= Duration::from_secs(32), "the first never answered");
    exchange.answer(OTHER, US, &message, 200);
    assert_eq!(result(&mut exchange), Ok(()));
}

#[test]
fn a_text_that_nobody_takes_fails() {
    let mut exchange = us_and_scripted_peers();
    write(&mut exchange, None, &uri(PEER));
    assert_eq!(result(&mut exchange), Err(EndCause::Timeout));
    write(&mut exchange, None, "sip:boss@nowhere.example");
    assert!(matches!(result(&mut exchange), Err(EndCause::TransportFailed(_))));
    write(&mut exchange, None, "tel:100");
    assert_eq!(result(&mut exchange), Err(EndCause::InvalidTarget));
    exchange.add(US, config(CallOut::Matching(vec!["100".into()])));
    write(&mut exchange, None, &uri(PEER));
    assert_eq!(result(&mut exchange), Err(EndCause::NotAllowed));
    exchange.nothing_is_left();
}

#[test]
fn what_we_can_is_what_options_says() {
    let mut exchange = us_and_scripted_peers();
    let request = |method: &str| {
        format!(
            "{method} sip:us@h SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:us@h>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\r\n",
            address(PEER)
        )
    };
    exchange.send(PEER, US, request("OPTIONS").into_bytes());
    let answer = exchange.response(PEER, Method::Options);
    assert!(answer.headers.values("Supported").any(|tag| tag == "replaces"));
    let allowed: Vec<_> = answer.headers.values("Allow").collect();
    for method in ["REFER", "NOTIFY", "INFO"] {
        assert!(allowed.contains(&method), "{allowed:?}");
    }
    assert!(!allowed.contains(&"MESSAGE"));
    exchange.send(PEER, US, request("MESSAGE").into_bytes());
    assert_eq!(exchange.response(PEER, Method::Message).status, 405);
}
