//! Digest authentication on both sides: a telephone of ours at registrars and proxies that ask in every form, and callers
//! that we ask.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use secretary::sip::auth::Credentials;
use secretary::sip::message::{Message, Request, Response};
use secretary::sip::{
    Account, AccountId, CallKey, Command, DirectCalls, Endpoint, EndpointConfig, Event, Flow, Input, Numbering, Output,
    RegistrationFailure, RegistrationState, SessionEvent, Transport,
};

use crate::support::digest::{ALGORITHMS, Asker, Form, Judgement, hash};
use crate::support::pair::epoch;
use crate::support::registrar::{Phone, Script};

const ACCOUNT: (&str, &str) = ("100", "secret");

type Shared<T> = Rc<RefCell<T>>;

/// Those who ask on the way to the registrar, the registrar last, each in its turn.
fn registrar(askers: Vec<Asker>) -> (Shared<Vec<Asker>>, Script) {
    let askers = Rc::new(RefCell::new(askers));
    let shared = askers.clone();
    let script: Script = Box::new(move |request| {
        for asker in shared.borrow_mut().iter_mut() {
            let judgement = asker.judge(request);
            if judgement != Judgement::Right {
                let refusal = Response::answer(request, asker.status());
                return Some(asker.challenge(refusal, judgement == Judgement::Old));
            }
        }
        Some(accept(request))
    });
    (askers, script)
}

fn one(asker: Asker) -> (Shared<Vec<Asker>>, Script) {
    registrar(vec![asker])
}

/// 200 with the contact of the request, for as long as it asks.
fn accept(request: &Request) -> Response {
    let contact = request.headers.get("Contact").unwrap();
    let expires = request.headers.get("Expires").unwrap();
    Response::answer(request, 200).with("Contact", format!("{contact};expires={expires}"))
}

fn is_registered(phone: &Phone) -> bool {
    matches!(phone.states.back(), Some((_, RegistrationState::Registered { .. })))
}

fn credentials(realm: Option<&str>, username: &str, password: &str) -> Credentials {
    Credentials { realm: realm.map(str::to_owned), username: username.into(), password: password.into() }
}

fn account(credentials: Vec<Credentials>) -> Account {
    Account {
        id: AccountId(0),
        registrar: "pbx.example".into(),
        port: None,
        domain: "pbx.example".into(),
        username: "100".into(),
        credentials,
        transport: Some(Transport::Udp),
        expires: Some(Duration::from_secs(60)),
        access: Vec::new(),
        numbering: Numbering::default(),
    }
}

#[test]
fn every_form_of_challenge_is_answered_over_refreshes() {
    let mut forms = 0;
    for algorithm in ALGORITHMS.into_iter().chain([""]) {
        for qop in ["", "auth", "auth-int", "auth,auth-int", "auth-int, auth"] {
            for bare in [false, true] {
                let form = Form { algorithm, qop, bare };
                let (askers, script) = one(Asker::new(false, "pbx", ACCOUNT, &[form]));
                let mut phone = Phone::new(Transport::Udp, script);
                phone.register();
                phone.run_for(Duration::from_secs(200));
                assert!(is_registered(&phone), "{form:?}: {:?}", phone.states);
                let asker = &askers.borrow()[0];
                assert_eq!(asker.challenges, 1, "one nonce serves all refreshes: {form:?}");
                assert!(asker.answers.len() >= 4, "{form:?}");
                let expected = match qop {
                    "" => None,
                    "auth-int" => Some("auth-int"),
                    _ => Some("auth"),
                };
                assert!(asker.answers.iter().all(|answer| answer.get("qop") == expected), "{form:?}");
                forms += 1;
            }
        }
    }
    println!("{forms} forms answered");
    assert_eq!(forms, 70);
}

#[test]
fn of_several_challenges_the_strongest_is_answered_and_among_equals_the_first() {
    let cases: [(&[Form], &str); 4] = [
        (&[Form::new("MD5", "auth"), Form::new("SHA-256", "auth"), Form::new("MD5-sess", "auth")], "SHA-256"),
        (&[Form::new("SHA-512-256", "auth"), Form::new("SHA-256", "auth"), Form::new("", "")], "SHA-512-256"),
        (&[Form::new("SHA-256-sess", "auth"), Form::new("SHA-256", "auth")], "SHA-256-sess"),
        (&[Form::new("AKAv1-MD5", "auth"), Form::new("SHA-512-256", "auth-conf"), Form::new("MD5", "auth-int")], "MD5"),
    ];
    for (forms, expected) in cases {
        let (askers, script) = one(Asker::new(false, "pbx", ACCOUNT, forms));
        let mut phone = Phone::new(Transport::Udp, script);
        phone.register();
        assert!(is_registered(&phone), "{forms:?}: {:?}", phone.states);
        assert_eq!(askers.borrow()[0].answers[0].get("algorithm"), Some(expected), "{forms:?}");
    }
}

#[test]
fn what_cannot_be_read_beside_a_challenge_does_no_harm() {
    let (askers, mut script) = one(Asker::new(false, "pbx", ACCOUNT, &[Form::new("SHA-256", "auth")]));
    let odd: Script = Box::new(move |request| {
        let mut response = script(request)?;
        if response.status == 401 {
            for value in ["Basic realm=\"pbx\"", "Digest realm=\"pbx", "", "Digest ,,,", "Digest realm=\"pbx\""] {
                response.headers.push("WWW-Authenticate", value);
            }
        }
        Some(response)
    });
    let mut phone = Phone::new(Transport::Udp, odd);
    phone.register();
    assert!(is_registered(&phone), "{:?}", phone.states);
    assert_eq!(askers.borrow()[0].challenges, 1);
}

#[test]
fn the_nonce_that_comes_with_an_answer_is_used_next_and_counted_from_one() {
    for algorithm in ["MD5", "SHA-256-sess"] {
        let (askers, mut script) = one(Asker::new(false, "pbx", ACCOUNT, &[Form::new(algorithm, "auth")]));
        let (shared, mut given) = (askers.clone(), 0);
        let handing_on: Script = Box::new(move |request| {
            let response = script(request)?;
            if response.status != 200 {
                return Some(response);
            }
            given += 1;
            let next = format!("next{given}");
            shared.borrow_mut()[0].set_nonce(&next);
            Some(response.with("Authentication-Info", format!("nextnonce=\"{next}\", qop=auth")))
        });
        let mut phone = Phone::new(Transport::Udp, handing_on);
        phone.register();
        phone.run_for(Duration::from_secs(200));
        assert!(is_registered(&phone), "{:?}", phone.states);
        let asker = &askers.borrow()[0];
        assert_eq!(asker.challenges, 1, "never asked again");
        assert!(asker.answers.len() >= 4);
        assert!(asker.answers.iter().all(|answer| answer.get("nc") == Some("00000001")));
    }
}

#[test]
fn a_stale_nonce_is_replaced_at_once_and_its_count_begins_anew() {
    let (askers, script) = one(Asker::new(false, "pbx", ACCOUNT, &[Form::new("SHA-256", "auth")]));
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    for nonce in ["second", "third"] {
        askers.borrow_mut()[0].set_nonce(nonce);
        let sent = phone.sent.len();
        phone.run_for(Duration::from_secs(100));
        let (first, second) = (&phone.sent[sent], &phone.sent[sent + 1]);
        assert_eq!(first.0, second.0, "without a pause");
        assert!(is_registered(&phone), "{:?}", phone.states);
    }
    assert!(!phone.states.iter().any(|(_, state)| matches!(state, RegistrationState::Failed { .. })));
    assert_eq!(askers.borrow()[0].challenges, 3);
}

#[test]
fn a_nonce_that_is_given_out_twice_is_counted_on() {
    let (askers, mut script) = one(Asker::new(false, "pbx", ACCOUNT, &[Form::new("MD5", "auth")]));
    let (shared, mut answered) = (askers.clone(), 0);
    // Asks again, with the nonce that it gave out before, when the second answer comes.
    let forgetful: Script = Box::new(move |request| {
        let response = script(request)?;
        answered += u32::from(response.status == 200);
        if response.status == 200 && answered == 2 {
            return Some(shared.borrow_mut()[0].challenge(Response::answer(request, 401), false));
        }
        Some(response)
    });
    let mut phone = Phone::new(Transport::Udp, forgetful);
    phone.register();
    phone.run_for(Duration::from_secs(100));
    assert!(is_registered(&phone), "{:?}", phone.states);
    assert!(askers.borrow()[0].answers.len() >= 3, "counted without a gap, or the registrar would have cried");
}

#[test]
fn proxies_and_registrar_are_answered_in_one_request_each_by_its_own_credentials() {
    let forms = [Form::new("SHA-256", "auth")];
    let (askers, script) = registrar(vec![
        Asker::new(true, "edge", ("edge-user", "edge-secret"), &forms),
        Asker::new(true, "core", ("any", "any-secret"), &[Form::new("MD5-sess", "auth-int")]),
        Asker::new(false, "pbx", ACCOUNT, &forms),
    ]);
    let mut phone = Phone::new(Transport::Udp, script);
    phone.input(Input::Command(Command::Register(account(vec![
        credentials(None, "any", "any-secret"),
        credentials(Some("edge"), "edge-user", "edge-secret"),
        credentials(Some("pbx"), ACCOUNT.0, ACCOUNT.1),
    ]))));
    assert!(is_registered(&phone), "{:?}", phone.states);
    assert_eq!(phone.sent.len(), 4, "one more for each that asks");
    phone.run_for(Duration::from_secs(200));
    let askers = askers.borrow();
    assert!(askers.iter().all(|asker| asker.challenges == 1), "refreshes carry all three");
    assert!(askers[2].answers.len() >= 4);
}

#[test]
fn a_response_with_challenges_of_several_realms_is_answered_for_each_that_is_known() {
    let forms = [Form::new("SHA-256", "auth")];
    let askers = Rc::new(RefCell::new([
        Asker::new(true, "edge", ("edge-user", "edge-secret"), &forms),
        Asker::new(false, "pbx", ACCOUNT, &forms),
        Asker::new(false, "other", ACCOUNT, &forms),
    ]));
    // As a proxy gathers them that has asked several (RFC 3261 §16.7).
    let shared = askers.clone();
    let script: Script = Box::new(move |request| {
        let mut askers = shared.borrow_mut();
        let judgements: Vec<_> = askers.iter_mut().map(|asker| asker.judge(request)).collect();
        match judgements.as_slice() {
            [Judgement::Right, Judgement::Right, Judgement::Missing] => Some(accept(request)),
            [Judgement::Missing, Judgement::Missing, Judgement::Missing] => {
                let refusal = Response::answer(request, 401);
                Some(askers.iter_mut().fold(refusal, |response, asker| asker.challenge(response, false)))
            }
            other => panic!("{other:?}"),
        }
    });
    let mut phone = Phone::new(Transport::Udp, script);
    phone.input(Input::Command(Command::Register(account(vec![
        credentials(Some("edge"), "edge-user", "edge-secret"),
        credentials(Some("pbx"), ACCOUNT.0, ACCOUNT.1),
    ]))));
    assert!(is_registered(&phone), "{:?}", phone.states);
    assert_eq!(phone.sent.len(), 2);
}

#[test]
fn without_credentials_for_the_realm_nothing_is_sent() {
    let (askers, script) = one(Asker::new(false, "pbx", ACCOUNT, &[Form::new("MD5", "auth")]));
    let mut phone = Phone::new(Transport::Udp, script);
    phone.input(Input::Command(Command::Register(account(vec![credentials(Some("elsewhere"), "100", "secret")]))));
    phone.run_for(Duration::from_secs(30));
    let refused = RegistrationFailure::Credentials { status: 401 };
    let (_, last) = phone.states.back().unwrap();
    assert!(matches!(last, RegistrationState::Failed { reason, .. } if *reason == refused), "{last:?}");
    assert_eq!((phone.sent.len(), askers.borrow()[0].challenges), (1, 1));
}

/// Somebody who calls our endpoint straight, from the public network.
struct Stranger {
    now: Instant,
    endpoint: Endpoint,
    flow: Flow,
    /// Makes each request unlike the ones before.
    requests: u32,
    incoming: Vec<CallKey>,
}

const TARGET: &str = "sip:desk@198.51.100.1";
const REALM: &str = "front desk";
const ANNA: (&str, &str) = ("anna", "grape");

impl Stranger {
    fn new() -> Self {
        let users = vec![credentials(None, ANNA.0, ANNA.1), credentials(Some("elsewhere"), "boris", "plum")];
        let direct_calls = DirectCalls::Challenged { realm: REALM.into(), users };
        let config = EndpointConfig { direct_calls, ..EndpointConfig::new("test", "secretary", 8) };
        Stranger {
            now: epoch(),
            endpoint: Endpoint::new(config, [5; 32]),
            flow: Flow {
                transport: Transport::Udp,
                local: ([198, 51, 100, 1], 5060).into(),
                remote: ([203, 0, 113, 7], 5060).into(),
            },
            requests: 0,
            incoming: Vec::new(),
        }
    }

    /// The final answer, if there is one at once.
    fn input(&mut self, input: Input) -> Option<Response> {
        self.endpoint.handle_input(self.now, input);
        let mut last = None;
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    if let Ok(Message::Response(response)) = Message::parse(&bytes)
                        && !response.is_provisional()
                    {
                        last = Some(response);
                    }
                }
                Output::Event(Event::Session { call, event: SessionEvent::Incoming(_) }) => self.incoming.push(call),
                Output::Event(_) => {}
                Output::Resolve { id, .. } => {
                    let flows = vec![self.flow];
                    self.endpoint.handle_input(self.now, Input::Resolved { id, flows });
                }
            }
        }
        last
    }

    /// A request of its own call; an INVITE's refusal is acknowledged.
    fn ask(&mut self, method: &str, uri: &str, authorization: Option<&str>) -> Option<Response> {
        self.requests += 1;
        let number = self.requests;
        let text = |method: &str, to: &str, credentials: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
                 From: <sip:anna@203.0.113.7>;tag={number}\r\nTo: {to}\r\nCall-ID: {number}@x\r\nCSeq: 1 {method}\r\n\
                 Contact: <sip:anna@203.0.113.7>\r\n{credentials}Content-Length: 0\r\n\r\n"
            )
        };
        let credentials = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        let answer = self.send(&text(method, "<sip:desk@198.51.100.1>", &credentials));
        if let Some(answer) = answer.as_ref().filter(|answer| method == "INVITE" && answer.status >= 300) {
            let none = self.send(&text("ACK", answer.headers.get("To").unwrap(), ""));
            assert_eq!(none, None);
        }
        answer
    }

    fn send(&mut self, text: &str) -> Option<Response> {
        let flow = self.flow;
        self.input(Input::Message { flow, bytes: text.as_bytes().to_vec() })
    }

    /// The nonce that an INVITE without credentials gets.
    fn nonce(&mut self) -> String {
        let refusal = self.ask("INVITE", TARGET, None).unwrap();
        challenge_of(&refusal, false)
    }
}

/// The nonce of a 401 of ours.
fn challenge_of(refusal: &Response, stale: bool) -> String {
    assert_eq!(refusal.status, 401);
    let challenges: Vec<_> = refusal.headers.all("WWW-Authenticate").collect();
    let [first, second] = challenges.as_slice() else { panic!("{challenges:?}") };
    let nonce = first.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let stale = if stale { ", stale=true" } else { "" };
    for (value, algorithm) in [(first, "SHA-256"), (second, "MD5")] {
        let expected =
            format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}");
        assert_eq!(**value, expected, "the stronger one first");
    }
    nonce.to_owned()
}

/// The credentials of RFC 7616 §3.4 for `qop=auth`.
fn answer(algorithm: &str, user: (&str, &str), method: &str, uri: &str, nonce: &str, count: u32) -> String {
    let h = |text: String| hash(algorithm, text.as_bytes());
    let (nc, cnonce) = (format!("{count:08x}"), format!("{:016x}", count.wrapping_mul(77)));
    let ha1 = h(format!("{}:{REALM}:{}", user.0, user.1));
    let ha2 = h(format!("{method}:{uri}"));
    let response = h(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"));
    format!(
        "Digest username=\"{}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={algorithm}, cnonce=\"{cnonce}\", qop=auth, nc={nc}",
        user.0
    )
}

#[test]
fn a_direct_caller_who_knows_the_password_gets_through_with_either_hash() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut caller = Stranger::new();
        let nonce = caller.nonce();
        assert!(caller.incoming.is_empty());
        let authorization = answer(algorithm, ANNA, "INVITE", TARGET, &nonce, 1);
        assert_eq!(caller.ask("INVITE", TARGET, Some(&authorization)), None, "it rings");
        assert_eq!(caller.incoming.len(), 1);
        let authorization = answer(algorithm, ANNA, "INVITE", TARGET, &nonce, 2);
        assert_eq!(caller.ask("INVITE", TARGET, Some(&authorization)), None, "once more with the same nonce");
        assert_eq!(caller.incoming.len(), 2);
    }
}

#[test]
fn a_replayed_authorization_is_refused() {
    let mut caller = Stranger::new();
    let nonce = caller.nonce();
    let used = answer("SHA-256", ANNA, "INVITE", TARGET, &nonce, 5);
    assert_eq!(caller.ask("INVITE", TARGET, Some(&used)), None);
    for count in [5, 4, 1] {
        let replayed = answer("SHA-256", ANNA, "INVITE", TARGET, &nonce, count);
        let refusal = caller.ask("INVITE", TARGET, Some(&replayed)).unwrap();
        assert_ne!(challenge_of(&refusal, true), nonce, "whoever knows the password may try again with another");
    }
    assert_eq!(caller.incoming.len(), 1);
}

#[test]
fn a_nonce_expires_and_the_next_one_serves() {
    let mut caller = Stranger::new();
    let nonce = caller.nonce();
    caller.now += Duration::from_secs(301);
    caller.endpoint.handle_timeout(caller.now);
    let late = answer("SHA-256", ANNA, "INVITE", TARGET, &nonce, 1);
    let next = challenge_of(&caller.ask("INVITE", TARGET, Some(&late)).unwrap(), true);
    assert!(caller.incoming.is_empty());
    let authorization = answer("SHA-256", ANNA, "INVITE", TARGET, &next, 1);
    assert_eq!(caller.ask("INVITE", TARGET, Some(&authorization)), None);
    assert_eq!(caller.incoming.len(), 1);
}

#[test]
fn a_nonce_that_is_not_ours_is_stale_and_tells_nothing_of_the_password() {
    let mut caller = Stranger::new();
    let nonce = caller.nonce();
    let forged = nonce.replacen('0', "1", 1);
    for user in [ANNA, ("anna", "guess")] {
        for nonce in ["x", forged.as_str()] {
            let authorization = answer("SHA-256", user, "INVITE", TARGET, nonce, 1);
            challenge_of(&caller.ask("INVITE", TARGET, Some(&authorization)).unwrap(), true);
        }
    }
    caller.flow.remote = ([203, 0, 113, 8], 5060).into();
    let authorization = answer("SHA-256", ANNA, "INVITE", TARGET, &nonce, 1);
    let refusal = caller.ask("INVITE", TARGET, Some(&authorization)).unwrap();
    challenge_of(&refusal, true);
    assert!(caller.incoming.is_empty(), "nor is a nonce good for another address");
}

#[test]
fn only_wrong_answers_to_our_own_nonces_ban_an_address() {
    let guesses = |forged: bool| {
        let mut caller = Stranger::new();
        let nonce = if forged { "x".to_owned() } else { caller.nonce() };
        (1..40).all(|count| {
            caller.now += Duration::from_secs(1);
            let authorization = answer("SHA-256", ("anna", "guess"), "INVITE", TARGET, &nonce, count);
            caller.ask("INVITE", TARGET, Some(&authorization)).is_some()
        })
    };
    assert!(guesses(true), "whoever forges an address cannot have it banned");
    assert!(!guesses(false));
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_and_nobody_hears_of_it() {
    let mut caller = Stranger::new();
    let nonce = caller.nonce();
    for (count, user) in (1..).zip([("anna", "guess"), ("nobody", "guess"), ("boris", "plum"), ("", "")]) {
        let authorization = answer("SHA-256", user, "INVITE", TARGET, &nonce, count);
        let refusal = caller.ask("INVITE", TARGET, Some(&authorization)).unwrap();
        challenge_of(&refusal, false);
    }
    // What was made for one target or method is wrong for another.
    for (method, uri) in [("INVITE", "sip:other@198.51.100.1"), ("REGISTER", TARGET)] {
        let authorization = answer("SHA-256", ANNA, method, uri, &nonce, 9);
        challenge_of(&caller.ask("INVITE", TARGET, Some(&authorization)).unwrap(), false);
    }
    assert!(caller.incoming.is_empty());
    assert_eq!(caller.endpoint.usage().sessions, 0);
}

#[test]
fn what_belongs_to_a_call_and_a_ping_is_not_challenged() {
    let mut caller = Stranger::new();
    assert_eq!(caller.ask("OPTIONS", TARGET, None).map(|answer| answer.status), Some(200));
    let nonce = caller.nonce();
    let authorization = answer("MD5", ANNA, "INVITE", TARGET, &nonce, 1);
    assert_eq!(caller.ask("INVITE", TARGET, Some(&authorization)), None);
    let (call, number) = (caller.incoming[0], caller.requests);
    let ok = caller.input(Input::Command(Command::Answer { call, sdp: b"v=0\r\n".to_vec() })).unwrap();
    assert_eq!(ok.status, 200);
    let to = ok.headers.get("To").unwrap().to_owned();
    let in_dialog = |method: &str, cseq: u32| {
        format!(
            "{method} {TARGET} SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:anna@203.0.113.7>;tag={number}\r\nTo: {to}\r\nCall-ID: {number}@x\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    assert_eq!(caller.send(&in_dialog("ACK", 1)), None);
    assert_eq!(caller.send(&in_dialog("BYE", 2)).map(|answer| answer.status), Some(200));
}

#[test]
fn a_cancel_cannot_be_challenged() {
    let mut caller = Stranger::new();
    let nonce = caller.nonce();
    let authorization = answer("SHA-256", ANNA, "INVITE", TARGET, &nonce, 1);
    assert_eq!(caller.ask("INVITE", TARGET, Some(&authorization)), None);
    let number = caller.requests;
    let cancel = format!(
        "CANCEL {TARGET} SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:anna@203.0.113.7>;tag={number}\r\nTo: <sip:desk@198.51.100.1>\r\nCall-ID: {number}@x\r\n\
         CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(caller.send(&cancel).map(|answer| answer.status), Some(487), "200 to the CANCEL, then the INVITE's end");
}

#[test]
fn a_telephone_registers_with_its_password_from_anywhere() {
    let mut caller = Stranger::new();
    let uri = "sip:198.51.100.1";
    let nonce = challenge_of(&caller.ask("REGISTER", uri, None).unwrap(), false);
    let wrong = answer("SHA-256", ("anna", "guess"), "REGISTER", uri, &nonce, 1);
    challenge_of(&caller.ask("REGISTER", uri, Some(&wrong)).unwrap(), false);
    let authorization = answer("SHA-256", ANNA, "REGISTER", uri, &nonce, 2);
    assert_eq!(caller.ask("REGISTER", uri, Some(&authorization)).map(|answer| answer.status), Some(200));
}

#[test]
fn a_call_through_an_account_is_not_challenged() {
    let mut pbx = Stranger::new();
    pbx.input(Input::Command(Command::Register(account(vec![credentials(None, "100", "secret")]))));
    assert_eq!(pbx.ask("INVITE", TARGET, None), None, "the registrar's address is known");
    assert_eq!(pbx.incoming.len(), 1);
}
