//! Registration in virtual time, at a scripted registrar.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use secretary::sip::message::{Method, Request, Response};
use secretary::sip::{Command, Flow, Input, RegistrationFailure, RegistrationState, Transport};

use crate::support::registrar::{Phone, Script};

const CHALLENGE: &str = "Digest realm=\"pbx\", nonce=\"NONCE\", qop=\"auth\", algorithm=MD5";

fn challenge(request: &Request, nonce: &str) -> Response {
    Response::answer(request, 401).with("WWW-Authenticate", CHALLENGE.replace("NONCE", nonce))
}

/// 200 with the contact of the request, for as long as it asks.
fn accept(request: &Request) -> Response {
    let contact = request.headers.get("Contact").unwrap();
    let expires = request.headers.get("Expires").unwrap();
    Response::answer(request, 200).with("Contact", format!("{contact};expires={expires}"))
}

/// Demands credentials with the nonce that `nonce` holds now.
fn registrar(nonce: Rc<RefCell<String>>) -> Script {
    Box::new(move |request| {
        let nonce = nonce.borrow();
        let known = format!("nonce=\"{nonce}\"");
        let fits = request.headers.get("Authorization").is_some_and(|credentials| credentials.contains(&known));
        Some(if fits { accept(request) } else { challenge(request, &nonce) })
    })
}

fn authorization(request: &Request) -> &str {
    request.headers.get("Authorization").unwrap_or("")
}

fn is_registered(state: &RegistrationState) -> bool {
    matches!(state, RegistrationState::Registered { .. })
}

#[test]
fn a_challenge_is_answered_and_the_refresh_reuses_the_nonce() {
    let mut phone = Phone::new(Transport::Udp, registrar(Rc::new(RefCell::new("one".into()))));
    phone.register();
    phone.run_for(Duration::from_secs(45));
    // A third of 60 s: at 20 s and at 40 s, in one round trip each.
    assert_eq!(phone.times(), [0, 0, 20_000, 40_000]);
    let nc: Vec<_> = phone.sent.iter().map(|(_, request)| authorization(request).contains("nc=0000000")).collect();
    assert_eq!(nc, [false, true, true, true]);
    for (at, count) in [(1, "nc=00000001"), (2, "nc=00000002"), (3, "nc=00000003")] {
        assert!(authorization(&phone.sent[at].1).contains(count));
    }
    assert_eq!(phone.states.len(), 4, "{:?}", phone.states);
    assert_eq!(phone.states[0].1, RegistrationState::Registering);
    assert!(phone.states.iter().skip(1).all(|(_, state)| is_registered(state)));
}

#[test]
fn a_new_nonce_is_taken_without_a_pause() {
    let nonce = Rc::new(RefCell::new("one".to_owned()));
    let mut phone = Phone::new(Transport::Udp, registrar(nonce.clone()));
    phone.register();
    "two".clone_into(&mut nonce.borrow_mut());
    phone.run_for(Duration::from_secs(25));
    assert_eq!(phone.times(), [0, 0, 20_000, 20_000]);
    assert!(is_registered(&phone.states.back().unwrap().1));
}

#[test]
fn the_registrars_lifetime_counts() {
    let script: Script = Box::new(|request| {
        let others = "<sip:100@192.0.2.77:5060>;expires=3000";
        Some(Response::answer(request, 200).with("Contact", format!("{others}, <sip:100@192.0.2.1:5060>;expires=30")))
    });
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    phone.run_for(Duration::from_secs(21));
    assert_eq!(phone.times(), [0, 10_000, 20_000]);
}

#[test]
fn a_registrar_that_is_down_and_back_is_found_again() {
    let up = Rc::new(RefCell::new(true));
    let is_up = up.clone();
    let mut phone = Phone::new(Transport::Udp, Box::new(move |request| is_up.borrow().then(|| accept(request))));
    phone.register();
    phone.run_for(Duration::from_secs(5));
    *up.borrow_mut() = false;
    // The refresh at 20 s gets no answer for 32 s; then it is tried again and again.
    phone.run_for(Duration::from_secs(55));
    let failed = phone.states.iter().find(|(_, state)| matches!(state, RegistrationState::Failed { .. }));
    let (at, RegistrationState::Failed { reason, .. }) = failed.unwrap() else { panic!("{failed:?}") };
    assert_eq!((*at, reason), (52_000, &RegistrationFailure::Timeout));
    phone.run_for(Duration::from_secs(600));
    *up.borrow_mut() = true;
    let back = phone.states.len();
    phone.run_for(Duration::from_secs(30));
    assert!(phone.states.iter().skip(back).any(|(_, state)| is_registered(state)), "{:?}", phone.states);
}

#[test]
fn a_changed_address_is_registered_at_the_next_refresh() {
    let mut phone = Phone::new(Transport::Udp, registrar(Rc::new(RefCell::new("one".into()))));
    phone.register();
    phone.run_for(Duration::from_secs(25));
    phone.flow.local = ([198, 51, 100, 7], 5060).into();
    phone.run_for(Duration::from_secs(20));
    assert_eq!(phone.times(), [0, 0, 20_000, 40_000], "still in one round trip");
    let contacts: Vec<_> = phone.sent.iter().map(|(_, request)| request.headers.get("Contact").unwrap()).collect();
    assert_eq!(contacts[2..], ["<sip:100@192.0.2.1:5060>", "<sip:100@198.51.100.7:5060>"]);
    assert!(phone.sent[3].1.headers.get("Via").unwrap().starts_with("SIP/2.0/UDP 198.51.100.7:5060;"));
    assert!(phone.states.iter().skip(1).all(|(_, state)| is_registered(state)), "{:?}", phone.states);
}

#[test]
fn a_refresh_without_a_resolver_goes_where_the_last_went() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.register();
    phone.resolvable = false;
    phone.run_for(Duration::from_secs(45));
    assert_eq!(phone.times(), [0, 20_000, 40_000]);
    assert!(phone.states.iter().skip(1).all(|(_, state)| is_registered(state)), "{:?}", phone.states);
}

#[test]
fn a_registrar_without_an_address_is_looked_for_again() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.resolvable = false;
    phone.register();
    let (_, state) = phone.states.back().unwrap();
    assert!(matches!(state, RegistrationState::Failed { reason: RegistrationFailure::NoAddress, .. }), "{state:?}");
    phone.resolvable = true;
    phone.run_for(Duration::from_secs(2));
    assert!(is_registered(&phone.states.back().unwrap().1));
}

#[test]
fn failures_are_retried_ever_more_slowly_up_to_a_bound() {
    let mut phone = Phone::new(Transport::Tcp, Box::new(|request| Some(Response::answer(request, 500))));
    phone.register();
    phone.run_for(Duration::from_secs(200));
    let times = phone.times();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("pauses in ms: {pauses:?}");
    for (pause, most) in pauses.iter().zip([2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]) {
        assert!((most * 3 / 4..=most).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() >= 7);
}

#[test]
fn a_broken_connection_registers_again() {
    let mut phone = Phone::new(Transport::Tcp, Box::new(|request| Some(accept(request))));
    phone.register();
    phone.run_for(Duration::from_secs(1));
    let flow = phone.flow;
    phone.input(Input::FlowFailed { flow, error: "reset".into() });
    assert!(matches!(phone.states.back().unwrap().1, RegistrationState::Failed { .. }));
    phone.run_for(Duration::from_secs(3));
    assert_eq!(phone.sent.len(), 2);
    assert!(is_registered(&phone.states.back().unwrap().1));
}

#[test]
fn an_interval_too_brief_is_raised() {
    let script: Script = Box::new(|request| {
        let asked: u64 = request.headers.get("Expires").unwrap().parse().unwrap();
        let brief = || Response::answer(request, 423).with("Min-Expires", "120");
        Some(if asked < 120 { brief() } else { accept(request) })
    });
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    phone.run_for(Duration::from_secs(50));
    assert_eq!(phone.times(), [0, 0, 40_000]);
}

#[test]
fn a_wrong_password_is_tried_again_slowly() {
    let mut count = 0;
    let script: Script = Box::new(move |request| {
        count += 1;
        Some(challenge(request, &format!("nonce{count}")))
    });
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    phone.run_for(Duration::from_secs(59));
    assert_eq!(phone.times(), [0, 0], "one try with credentials");
    let refused = RegistrationFailure::Credentials { status: 401 };
    assert!(matches!(&phone.states.back().unwrap().1,
        RegistrationState::Failed { reason, .. } if *reason == refused));
    phone.run_for(Duration::from_secs(20));
    assert_eq!(phone.sent.len(), 4, "then once a minute");
}

#[test]
fn forbidden_is_tried_again_slowly() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(Response::answer(request, 403))));
    phone.register();
    phone.run_for(Duration::from_secs(600));
    assert!((8..=11).contains(&phone.sent.len()), "{:?}", phone.times());
}

#[test]
fn unregister_takes_us_off_and_ends() {
    let mut phone = Phone::new(Transport::Udp, registrar(Rc::new(RefCell::new("one".into()))));
    phone.register();
    phone.run_for(Duration::from_secs(1));
    phone.input(Input::Command(Command::Unregister));
    let (_, last) = phone.sent.last().unwrap();
    assert_eq!((last.method.clone(), last.headers.get("Expires")), (Method::Register, Some("0")));
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Unregistered);
    phone.run_for(Duration::from_secs(600));
    assert_eq!(phone.sent.len(), 3, "nothing more is sent");
    assert_eq!(phone.endpoint.usage(), secretary::sip::Usage::default());
}

#[test]
fn unregister_while_a_refresh_is_to_be_tried_again_takes_us_off() {
    let busy = Rc::new(RefCell::new(false));
    let is_busy = busy.clone();
    let script: Script =
        Box::new(move |request| Some(if *is_busy.borrow() { Response::answer(request, 503) } else { accept(request) }));
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    *busy.borrow_mut() = true;
    phone.run_for(Duration::from_secs(21));
    assert!(matches!(phone.states.back().unwrap().1, RegistrationState::Failed { .. }), "{:?}", phone.states);
    *busy.borrow_mut() = false;
    let before = phone.sent.len();
    phone.input(Input::Command(Command::Unregister));
    assert_eq!(phone.sent.len(), before + 1, "the registrar knows us for 39 s more");
    assert_eq!(phone.sent.last().unwrap().1.headers.get("Expires"), Some("0"));
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Unregistered);
}

#[test]
fn unregister_when_the_registrar_has_forgotten_us_sends_nothing() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.register();
    phone.script = Box::new(|request| Some(Response::answer(request, 403)));
    phone.run_for(Duration::from_secs(79));
    let before = phone.sent.len();
    phone.input(Input::Command(Command::Unregister));
    assert_eq!(phone.sent.len(), before);
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Unregistered);
}

#[test]
fn a_call_from_the_registrar_belongs_to_the_account() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.register();
    let invite = "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
                  From: <sip:7@pbx.example>;tag=1\r\nTo: <sip:100@pbx.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
                  Contact: <sip:pbx@192.0.2.9>\r\n\r\n";
    let (now, flow) = (phone.now, phone.flow);
    phone.endpoint.handle_input(now, Input::Message { flow, bytes: invite.into() });
    let outputs: Vec<_> = std::iter::from_fn(|| phone.endpoint.poll_output()).collect();
    let shown = format!("{outputs:?}");
    assert!(shown.contains("account: Some(AccountId(0))"), "{shown}");
}

fn at(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 5060).into()
}

fn flow_to(phone: &Phone, host: u8) -> Flow {
    Flow { remote: at(host), ..phone.flow }
}

fn contacts(request: &Request) -> Vec<&str> {
    request.headers.values("Contact").collect()
}

/// The registrars that we were registered at, with the time of each.
fn registrars(phone: &Phone) -> Vec<(u64, SocketAddr)> {
    let registered = phone.states.iter().filter_map(|(at, state)| match state {
        RegistrationState::Registered { registrar, .. } => Some((*at, *registrar)),
        _ => None,
    });
    registered.collect()
}

/// Whether each refresh came before the registrar forgot us.
fn was_never_forgotten(phone: &Phone) -> bool {
    let mut known_until = None;
    phone.states.iter().skip(1).all(|(at, state)| {
        let RegistrationState::Registered { until, .. } = state else { return false };
        let in_time = known_until.is_none_or(|before| phone.start + Duration::from_millis(*at) < before);
        known_until = Some(*until);
        in_time
    })
}

#[test]
fn a_dead_registrar_is_left_for_the_next_and_gone_back_to_without_losing_the_registration() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.more.push(flow_to(&phone, 10));
    phone.dead.insert(at(9));
    phone.register();
    phone.run_for(Duration::from_secs(100));
    // The first is waited for for 10 s, and tried again after 30 s: then it is dead still.
    assert_eq!(registrars(&phone)[..4], [(10_000, at(10)), (30_000, at(10)), (50_000, at(10)), (70_000, at(10))]);
    let tried: Vec<u64> =
        phone.sent.iter().zip(&phone.sent_to).filter(|(_, to)| **to == at(9)).map(|((at, _), _)| *at).collect();
    assert!(tried.contains(&40_000), "{tried:?}");
    phone.dead.clear();
    phone.run_for(Duration::from_secs(100));
    // After the second time it rests for 60 s.
    assert_eq!(registrars(&phone).iter().find(|(_, registrar)| *registrar == at(9)), Some(&(110_000, at(9))));
    assert_eq!(registrars(&phone).last().unwrap().1, at(9));
    assert!(was_never_forgotten(&phone), "{:?}", phone.states);
}

#[test]
fn a_registrar_that_dies_later_is_left_before_it_forgets_us() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.more.push(flow_to(&phone, 10));
    phone.register();
    phone.run_for(Duration::from_secs(1));
    assert_eq!(registrars(&phone), [(0, at(9))]);
    phone.dead.insert(at(9));
    phone.run_for(Duration::from_secs(600));
    assert_eq!(registrars(&phone)[1], (30_000, at(10)));
    assert!(was_never_forgotten(&phone), "{:?}", phone.states);
}

#[test]
fn an_overloaded_registrar_is_left_alone_for_as_long_as_it_asks() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    let busy = Rc::new(RefCell::new(true));
    let is_busy = busy.clone();
    phone.script = Box::new(move |request| {
        let overloaded = || Response::answer(request, 503).with("Retry-After", "120");
        let again = is_busy.replace(false);
        Some(if again { overloaded() } else { accept(request) })
    });
    phone.more.push(flow_to(&phone, 10));
    phone.register();
    assert_eq!(phone.sent_to, [at(9), at(10)], "the next at once");
    phone.run_for(Duration::from_secs(200));
    assert_eq!(registrars(&phone).iter().find(|(_, registrar)| *registrar == at(9)), Some(&(120_000, at(9))));
}

#[test]
fn a_redirection_is_followed_and_calls_from_there_are_ours() {
    let script: Script = Box::new(|request| {
        let to_another = || Response::answer(request, 302).with("Contact", "<sip:node2.example:5070>");
        Some(if request.uri.host == "pbx.example" { to_another() } else { accept(request) })
    });
    let mut phone = Phone::new(Transport::Udp, script);
    phone.hosts.insert("node2.example".into(), flow_to(&phone, 20));
    phone.register();
    assert_eq!(phone.sent_to, [at(9), at(20)]);
    let (_, second) = &phone.sent[1];
    assert_eq!(second.uri.to_string(), "sip:node2.example:5070");
    assert_eq!(second.headers.get("To"), Some("<sip:100@pbx.example>"));
    assert_eq!(registrars(&phone), [(0, at(20))]);
    phone.receive(at(20), &INVITE.replace("192.0.2.9", "192.0.2.20"));
    assert!(phone.incoming().1.account.is_some());
    phone.run_for(Duration::from_secs(50));
    assert_eq!(registrars(&phone), [(0, at(20)), (20_000, at(20)), (40_000, at(20))]);
}

#[test]
fn redirections_in_a_circle_end() {
    let script: Script = Box::new(|request| Some(Response::answer(request, 301).with("Contact", "<sip:pbx.example>")));
    let mut phone = Phone::new(Transport::Udp, script);
    phone.register();
    phone.run_for(Duration::from_secs(59));
    assert_eq!(phone.sent.len(), 4);
    assert!(matches!(
        &phone.states.back().unwrap().1,
        RegistrationState::Failed { reason: RegistrationFailure::Rejected { status: 301, .. }, .. }
    ));
}

const INVITE: &str = "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
                      From: <sip:7@pbx.example>;tag=1\r\nTo: <sip:100@pbx.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
                      Contact: <sip:pbx@192.0.2.9>\r\n\r\n";

#[test]
fn behind_nat_the_address_that_the_challenge_shows_is_registered() {
    let mut phone = Phone::new(Transport::Udp, registrar(Rc::new(RefCell::new("one".into()))));
    phone.nat = Some(([203, 0, 113, 5], 40_000).into());
    phone.register();
    phone.run_for(Duration::from_secs(30));
    let contacts: Vec<_> = phone.sent.iter().map(|(_, request)| contacts(request)).collect();
    let (inside, outside) = ("<sip:100@192.0.2.1:5060>", "<sip:100@203.0.113.5:40000>");
    assert_eq!(contacts, [vec![inside], vec![outside], vec![outside]], "no more requests than without NAT");
    let RegistrationState::Registered { seen_as, .. } = phone.states.back().unwrap().1 else { panic!() };
    assert_eq!(Some(seen_as), phone.nat);
}

#[test]
fn behind_nat_the_address_inside_is_taken_off_again_and_calls_have_the_one_outside() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.nat = Some(([203, 0, 113, 5], 40_000).into());
    phone.register();
    assert_eq!(phone.sent.len(), 2);
    let both = ["<sip:100@203.0.113.5:40000>", "<sip:100@192.0.2.1:5060>;expires=0"];
    assert_eq!(contacts(&phone.sent[1].1), both);
    assert_eq!(registrars(&phone).len(), 1, "told once: {:?}", phone.states);
    phone.run_for(Duration::from_secs(25));
    assert_eq!(contacts(&phone.sent[2].1), both[..1]);

    phone.receive(at(9), INVITE);
    let (call, incoming) = phone.incoming();
    assert_eq!(incoming.our_address, std::net::IpAddr::from([203, 0, 113, 5]));
    phone.input(Input::Command(Command::Answer { call, sdp: b"v=0\r\n".to_vec() }));
    assert_eq!(phone.answers.last().unwrap().headers.get("Contact"), Some(both[0]));

    // The NAT gives us another port: the next refresh mends it.
    phone.nat = Some(([203, 0, 113, 5], 40_001).into());
    phone.run_for(Duration::from_secs(20));
    let last = &phone.sent.iter().rfind(|(_, request)| request.method == Method::Register).unwrap().1;
    assert_eq!(contacts(last), ["<sip:100@203.0.113.5:40001>", "<sip:100@203.0.113.5:40000>;expires=0"]);
}

#[test]
fn after_a_change_of_our_address_the_old_one_is_taken_off() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(accept(request))));
    phone.register();
    phone.flow.local = ([198, 51, 100, 7], 5060).into();
    phone.run_for(Duration::from_secs(45));
    let contacts: Vec<_> = phone.sent.iter().map(|(_, request)| contacts(request)).collect();
    let (old, new) = ("<sip:100@192.0.2.1:5060>", "<sip:100@198.51.100.7:5060>");
    assert_eq!(contacts, [vec![old], vec![new, "<sip:100@192.0.2.1:5060>;expires=0"], vec![new]]);
}

#[test]
fn retry_after_is_kept_within_bounds() {
    for (status, value, least_s, most_s) in [
        (503, "120 (maintenance);duration=60", 120, 132),
        (500, "7", 7, 8),
        (404, "300", 300, 330),
        (486, "99999999", 1800, 1980),
        (503, "0", 2, 3),
        (403, "soon", 60, 75),
    ] {
        let script: Script =
            Box::new(move |request| Some(Response::answer(request, status).with("Retry-After", value)));
        let mut phone = Phone::new(Transport::Udp, script);
        phone.register();
        phone.run_for(Duration::from_secs(least_s) - Duration::from_millis(1));
        assert_eq!(phone.sent.len(), 1, "{status} {value}");
        phone.run_for(Duration::from_secs(most_s - least_s) + Duration::from_millis(1));
        assert_eq!(phone.sent.len(), 2, "{status} {value}");
    }
}

#[test]
fn who_is_refused_for_long_asks_ever_more_rarely() {
    let mut phone = Phone::new(Transport::Udp, Box::new(|request| Some(Response::answer(request, 403))));
    phone.register();
    phone.run_for(Duration::from_secs(4 * 3600));
    let pauses: Vec<u64> = phone.times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("pauses in ms: {pauses:?}");
    assert!(pauses[..8].iter().all(|pause| (60_000..=75_000).contains(pause)), "{pauses:?}");
    assert!(pauses[13..].iter().all(|pause| (600_000..=750_000).contains(pause)), "{pauses:?}");
}
