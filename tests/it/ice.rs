//! ICE with a peer in virtual time: who is told where he is, where the sound goes, and who changes nothing.

use std::net::SocketAddr;

use secretary::call::Input;
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::sip::SessionEvent;

use crate::support::ice::{Said, Theirs, said};
use crate::support::line::{Engines, Line, Network, loud_ms, offer, offer_at};

const HOME: &str = "192.0.2.20:20000";
const HOME_HOST: &str = "192.0.2.20";
const NAT: &str = "198.51.100.9";
const STRANGER: &str = "203.0.113.66:4000";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The caller's offer with ICE, at the address that is its candidate too.
fn with_ice(ufrag: &str) -> Vec<u8> {
    let lines = format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghijkl\r\na=candidate:1 1 UDP 2130706431 192.0.2.20 20000 typ host\r\n\
         a=candidate:1 2 UDP 2130706430 192.0.2.20 20001 typ host\r\n"
    );
    [offer("sendrecv"), lines.into_bytes()].concat()
}

/// A call that is offered ICE once it is greeted, and what our side's checks are known by.
fn with_ice_agreed() -> (Line, Theirs) {
    let mut line = Line::greeted(Engines::default());
    let theirs = reoffered(&mut line, with_ice("first")).expect("ICE is answered with ICE");
    (line, theirs)
}

fn reoffered(line: &mut Line, offer: Vec<u8>) -> Option<Theirs> {
    let before = line.answered_offers.len();
    line.session(SessionEvent::Offer { sdp: Some(offer) });
    assert_eq!(line.answered_offers.len(), before + 1);
    Theirs::of(line.answered_offers.last().unwrap())
}

fn checked(line: &mut Line, from: &str, datagram: Vec<u8>) -> Vec<(SocketAddr, Said)> {
    line.call.handle_datagram(line.now, addr(from), &datagram);
    line.drain();
    line.checks.drain(..).map(|(to, answer)| (to, said(&answer))).collect()
}

/// The caller nominates that host for sound and reports, as a whole agent does.
fn nominated(line: &mut Line, host: &str, theirs: &Theirs, id: u128, priority: u32) {
    let port = |port: u16| SocketAddr::new(host.parse().unwrap(), port);
    line.call.handle_report(line.now, port(20_001), &theirs.check(id, Some(priority)));
    line.call.handle_datagram(line.now, port(20_000), &theirs.check(id, Some(priority)));
    line.drain();
    let answers: Vec<_> = line.checks.drain(..).map(|(to, answer)| (to, said(&answer))).collect();
    assert_eq!(answers, [port(20_001), port(20_000)].map(|at| (at, Said::SeenAt(at))));
}

#[test]
fn an_offer_with_ice_is_answered_by_a_lite_agent_that_has_one_address() {
    let (line, theirs) = with_ice_agreed();
    let answer = String::from_utf8(line.answered_offers[0].clone()).unwrap();
    assert!(answer.contains("\r\na=ice-lite\r\n"), "{answer}");
    let candidates: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert_eq!(
        candidates,
        [
            "a=candidate:1 1 UDP 2130706431 192.0.2.10 10000 typ host",
            "a=candidate:1 2 UDP 2130706430 192.0.2.10 10001 typ host"
        ]
    );
    assert!(theirs.ufrag.len() >= 4 && theirs.password.len() >= 22);
    let (again, same) = with_ice_agreed();
    assert_eq!(again.answered_offers, line.answered_offers, "one seed, one password");
    assert_eq!(same, theirs);
}

#[test]
fn a_nomination_moves_the_sound_and_only_who_was_checked_is_heard() {
    let (mut line, theirs) = with_ice_agreed();
    line.run(200);
    // A check without a nomination is answered and moves nothing.
    let nat = format!("{NAT}:20000");
    assert_eq!(checked(&mut line, &nat, theirs.check(1, None)), [(addr(&nat), Said::SeenAt(addr(&nat)))]);
    line.run(200);
    line.moves_to(NAT);
    nominated(&mut line, NAT, &theirs, 2, 100);
    // The line fails when a packet goes anywhere else.
    let (sent, strangers) = (line.sent_packets, line.call.stream_stats().strangers);
    let heard = line.recorded.0.len();
    line.say(2_000);
    assert!(line.sent_packets >= sent + 99, "{} packets", line.sent_packets - sent);
    let loud = line.recorded.0[heard..].iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
    assert!(loud > 8_000, "the caller is heard from there at once: {loud}");
    assert_eq!(line.call.stream_stats().strangers, strangers);
    // His former address has not been checked.
    let (seq, timestamp, ssrc) = (Seq(1), RtpTimestamp(1), Ssrc(77));
    let packet = Packet { payload_type: 8, marker: false, seq, timestamp, ssrc, payload: &[0; 160] };
    line.call.handle_datagram(line.now, addr(HOME), &packet.build());
    assert_eq!(line.call.stream_stats().strangers, strangers + 1);
}

#[test]
fn who_does_not_know_the_password_moves_nothing() {
    let (mut line, theirs) = with_ice_agreed();
    let wrong = Theirs { password: "0123456789abcdefghijkl".to_owned(), ..theirs.clone() };
    let other = Theirs { ufrag: "nobody".to_owned(), ..theirs.clone() };
    for (id, theirs) in [(1, &wrong), (2, &other)] {
        let answers = checked(&mut line, STRANGER, theirs.check(id, Some(u32::MAX)));
        assert_eq!(answers, [(addr(STRANGER), Said::Error(401))]);
    }
    let mut broken = theirs.check(3, Some(u32::MAX));
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert_eq!(checked(&mut line, STRANGER, broken), [], "what is damaged gets nothing");
    // The line fails when a packet goes to him.
    line.run(1_000);
    let stats = line.call.stream_stats();
    assert_eq!((stats.checks, stats.refused_checks, stats.latch_changes), (0, 2, 0), "{stats:?}");
}

#[test]
fn a_higher_priority_wins_and_a_lower_one_waits_until_consent_is_gone() {
    let (mut line, theirs) = with_ice_agreed();
    let nat = format!("{NAT}:20000");
    line.moves_to(NAT);
    nominated(&mut line, NAT, &theirs, 1, 100);
    nominated(&mut line, HOME_HOST, &theirs, 2, 50);
    line.run(1_000);
    for id in 0..8 {
        line.run(5_000);
        line.call.handle_report(line.now, addr(&format!("{NAT}:20001")), &theirs.check(30 + id, None));
        checked(&mut line, &nat, theirs.check(10 + id, None));
    }
    nominated(&mut line, HOME_HOST, &theirs, 3, 50);
    line.run(31_000);
    line.moved_to = None;
    nominated(&mut line, HOME_HOST, &theirs, 4, 50);
    line.run(1_000);
}

#[test]
fn a_restart_has_new_passwords_and_the_sound_goes_on_meanwhile() {
    let (mut line, first) = with_ice_agreed();
    let nat = format!("{NAT}:20000");
    line.moves_to(NAT);
    nominated(&mut line, NAT, &first, 1, u32::MAX);
    assert_eq!(reoffered(&mut line, with_ice("first")), Some(first.clone()), "the same offer is no restart");
    let second = reoffered(&mut line, with_ice("second")).unwrap();
    assert!(second.ufrag != first.ufrag && second.password != first.password);
    // To where it went before, and consent by the former password is still given.
    line.run(500);
    assert_eq!(checked(&mut line, &nat, first.check(2, Some(u32::MAX))), [(addr(&nat), Said::SeenAt(addr(&nat)))]);
    line.moves_to("198.51.100.10");
    nominated(&mut line, "198.51.100.10", &second, 3, 1);
    line.run(500);
    assert_eq!(line.call.stream_stats().latch_changes, 2);
}

#[test]
fn a_new_offer_without_ice_ends_it() {
    let (mut line, theirs) = with_ice_agreed();
    let nat = format!("{NAT}:20000");
    line.moves_to(NAT);
    nominated(&mut line, NAT, &theirs, 1, 1);
    line.run(200);
    line.moved_to = None;
    assert_eq!(reoffered(&mut line, offer("sendrecv")), None);
    assert_eq!(checked(&mut line, &nat, theirs.check(2, Some(1))), []);
    line.run(500);
}

#[test]
fn an_offer_without_ice_is_answered_without_and_checks_get_nothing() {
    let mut line = Line::greeted(Engines::default());
    assert_eq!(reoffered(&mut line, offer_at("192.0.2.20", "sendrecv")), None);
    let answer = String::from_utf8(line.answered_offers[0].clone()).unwrap();
    assert!(!answer.contains("ice") && !answer.contains("candidate"), "{answer}");
    let guess = Theirs { ufrag: "abcd".to_owned(), password: "0123456789abcdefghijkl".to_owned() };
    let before = line.call.stream_stats().not_rtp;
    assert_eq!(checked(&mut line, HOME, guess.check(1, Some(1))), []);
    assert_eq!(line.call.stream_stats().not_rtp, before + 1);
    line.run(500);
}

#[test]
fn reports_go_to_where_their_own_component_was_nominated() {
    let (mut line, theirs) = with_ice_agreed();
    let reports = format!("{NAT}:20007");
    line.moves_to(NAT);
    checked(&mut line, &format!("{NAT}:20000"), theirs.check(1, Some(1)));
    line.call.handle_report(line.now, addr(&reports), &theirs.check(2, Some(1)));
    line.drain();
    assert_eq!(line.checks.pop().map(|(to, _)| to), Some(addr(&reports)));
    // The line fails when one goes to another host, or comes from the port of the sound.
    let sent = line.sent_reports;
    line.run(15_000);
    assert!(line.sent_reports > sent);
}

#[test]
fn who_checks_is_there_though_he_says_nothing() {
    let (mut line, theirs) = with_ice_agreed();
    line.is_dead = true;
    for id in 0..20 {
        line.run(5_000);
        checked(&mut line, HOME, theirs.check(id, None));
        if line.hung_up {
            break;
        }
    }
    let by = line.turns.last().map(|turn| turn.secretary_text.clone());
    assert_ne!(line.ended, Some(secretary::call::EndedBy::NoMedia), "{by:?}");
}

#[test]
fn on_hold_ice_goes_on_and_an_offer_of_ours_keeps_it() {
    let (mut line, theirs) = with_ice_agreed();
    line.call.handle_input(line.now, Input::Hold);
    line.drain();
    assert_eq!(Theirs::of(line.offers.last().unwrap()), Some(theirs), "it is no restart");
}

#[test]
fn checks_are_answered_before_the_call_is_established() {
    let network = Network::default();
    let (mut line, answer) = Line::offered(1, network, Engines::default(), with_ice("early"));
    let theirs = Theirs::of(&answer).unwrap();
    assert_eq!(checked(&mut line, HOME, theirs.check(1, Some(1))), [(addr(HOME), Said::SeenAt(addr(HOME)))]);
    assert_eq!(line.sent_packets, 0, "and nothing else is sent yet");
    line.session(SessionEvent::Established { sdp: None });
    line.run(500);
    assert!(line.sent_packets > 20);
}

#[test]
fn a_greeting_waits_until_it_is_known_where_the_caller_is_and_is_heard_whole() {
    let (mut line, answer) = Line::offered(1, Network::default(), Engines::default(), with_ice("late"));
    let theirs = Theirs::of(&answer).unwrap();
    line.session(SessionEvent::Established { sdp: None });
    line.is_dead = true;
    line.run(1_500);
    assert_eq!(line.sent_packets, 0, "nothing goes to where he may not be");
    line.is_dead = false;
    line.moves_to(NAT);
    nominated(&mut line, NAT, &theirs, 1, 1);
    line.run_until(20, |line| line.turns.len() == 1);
    let greeting = line.turns[0].heard_text.chars().count() as u64 * 60;
    let heard = loud_ms(&line.caller_heard);
    assert!(heard + 100 > greeting, "{heard} of {greeting} ms");
}
