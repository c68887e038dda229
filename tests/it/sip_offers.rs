//! Changes of a call by either side: hold and resume, glare, refusals, and what waits for its turn (RFC 3261 §14).

use std::collections::BTreeSet;
use std::time::Duration;

use secretary::sip::message::{Message, Request};
use secretary::sip::{CallKey, Command, EndCause, Event, SessionEvent, Usage};

use crate::support::pair::{Network, Pair, Side};
use crate::support::peer::Peer;
use Side::{Callee, Caller};

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or("")
}

/// An established call: the caller's and the callee's key.
fn establish(pair: &mut Pair) -> [CallKey; 2] {
    let ours = pair.call();
    let mut theirs = None;
    let (mut answered, mut established) = (false, false);
    while !(answered && established) {
        assert!(pair.step(), "{}", pair.trace);
        for side in [Caller, Callee] {
            while let Some(Event::Session { call, event }) = pair.event(side) {
                match event {
                    SessionEvent::Incoming(_) => {
                        theirs = Some(call);
                        pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
                    }
                    SessionEvent::Answered { .. } => answered = true,
                    SessionEvent::Established { .. } => established = true,
                    other => panic!("{other:?}\n{}", pair.trace),
                }
            }
        }
    }
    [ours, theirs.unwrap()]
}

/// Runs on for a while; offers are answered by "yes to …". What else happened, in order.
fn attend(pair: &mut Pair, time: Duration) -> Vec<(Side, SessionEvent)> {
    let until = pair.elapsed() + time;
    let mut seen = Vec::new();
    while pair.elapsed() < until {
        pair.run_for(Duration::from_millis(50));
        for side in [Caller, Callee] {
            while let Some(Event::Session { call, event }) = pair.event(side) {
                if let SessionEvent::Offer { sdp: Some(offer) } = &event {
                    let sdp = [b"yes to ", offer.as_slice()].concat();
                    pair.command(side, Command::AnswerOffer { call, sdp });
                }
                seen.push((side, event));
            }
        }
    }
    seen
}

fn answered(side: Side, sdp: &str) -> (Side, SessionEvent) {
    (side, SessionEvent::OfferAnswered { sdp: sdp.into() })
}

fn offered(side: Side, sdp: &str) -> (Side, SessionEvent) {
    (side, SessionEvent::Offer { sdp: Some(sdp.into()) })
}

fn end(pair: &mut Pair, calls: [CallKey; 2]) {
    pair.command(Caller, Command::Hangup { call: calls[0] });
    let causes = (pair.ended(Caller), pair.ended(Callee));
    assert_eq!(causes, (EndCause::LocalBye, EndCause::RemoteBye(None)), "{}", pair.trace);
    pair.run_until_idle();
    assert_eq!((pair.end(Caller).usage(), pair.end(Callee).usage()), (Usage::default(), Usage::default()));
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn either_side_holds_and_resumes() {
    for side in [Caller, Callee] {
        let mut pair = Pair::new(1, Network::PERFECT);
        let calls = establish(&mut pair);
        for change in ["hold", "resume"] {
            pair.command(side, Command::Offer { call: calls[side as usize], sdp: change.into() });
            let seen = attend(&mut pair, SECOND);
            assert_eq!(seen, [offered(side.other(), change), answered(side, &format!("yes to {change}"))]);
        }
        end(&mut pair, calls);
    }
}

#[test]
fn a_call_on_hold_survives_an_hour() {
    let mut pair = Pair::new(2, Network::PERFECT);
    let calls = establish(&mut pair);
    pair.command(Callee, Command::Offer { call: calls[1], sdp: b"hold".to_vec() });
    assert_eq!(attend(&mut pair, Duration::from_secs(3600)).len(), 2, "{}", pair.trace);
    pair.command(Callee, Command::Offer { call: calls[1], sdp: b"resume".to_vec() });
    assert_eq!(attend(&mut pair, SECOND).last(), Some(&answered(Callee, "yes to resume")));
    end(&mut pair, calls);
}

#[test]
fn offers_that_meet_are_both_made_in_the_end() {
    let networks = [
        Network::PERFECT,
        Network { loss: 0.2, duplication: 0.1, latency: Duration::from_millis(40), jitter: Duration::from_millis(200) },
    ];
    let mut met = 0;
    for seed in 0..100 {
        let mut pair = Pair::new(seed, networks[usize::from(seed % 2 == 1)]);
        let calls = establish(&mut pair);
        for side in [Caller, Callee] {
            pair.command(side, Command::Offer { call: calls[side as usize], sdp: format!("{side:?}").into_bytes() });
        }
        let seen = attend(&mut pair, Duration::from_secs(120));
        met += usize::from(pair.trace.contains("SIP/2.0 491"));
        for side in [Caller, Callee] {
            let answer = answered(side, &format!("yes to {side:?}"));
            assert_eq!(
                seen.iter().filter(|event| **event == answer).count(),
                1,
                "seed {seed}: {seen:?}\n{}",
                pair.trace
            );
        }
        assert_eq!(seen.len(), 4, "seed {seed}: {seen:?}\n{}", pair.trace);
        end(&mut pair, calls);
    }
    println!("offers met in {met} of 100 calls");
    assert!(met > 50);
}

#[test]
fn who_owns_the_call_id_waits_longer_after_glare() {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..50 {
        let mut pair = Pair::new(seed, Network::PERFECT);
        let calls = establish(&mut pair);
        let start = u64::try_from(pair.elapsed().as_millis()).unwrap() + 20;
        for side in [Caller, Callee] {
            pair.command(side, Command::Offer { call: calls[side as usize], sdp: b"x".to_vec() });
        }
        attend(&mut pair, Duration::from_secs(60));
        // The first was the call itself, the second met the peer's.
        ours.insert(pair.times_sent(Caller, "INVITE")[2] - start);
        theirs.insert(pair.times_sent(Callee, "INVITE")[1] - start);
    }
    assert!(ours.iter().all(|wait| (2100..=4000).contains(wait) && wait % 10 == 0), "{ours:?}");
    assert!(theirs.iter().all(|wait| *wait <= 2000 && wait % 10 == 0), "{theirs:?}");
    assert!(ours.len() > 20 && theirs.len() > 20, "they are drawn by chance");
}

/// A call of ours that the peer has answered.
fn called(peer: &mut Peer) -> CallKey {
    let call = peer.call("sip:desk@192.0.2.2", None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", "Allow: UPDATE", "answer");
    peer.events.clear();
    call
}

fn offer(peer: &mut Peer, call: CallKey, sdp: &str) -> Request {
    peer.command(Command::Offer { call, sdp: sdp.into() });
    peer.request("INVITE")
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    for status in [488, 403, 603, 500] {
        let invite = offer(&mut peer, call, "hold");
        peer.answer(&invite, 100, "", "", "");
        peer.answer(&invite, status, "a", "", "");
        assert_eq!(peer.event(), Some(SessionEvent::OfferRefused { status }));
    }
    let invite = offer(&mut peer, call, "hold");
    peer.answer(&invite, 200, "a", "", "held");
    assert_eq!(peer.event(), Some(SessionEvent::OfferAnswered { sdp: b"held".to_vec() }));
    peer.answer(&invite, 200, "a", "", "held");
    assert_eq!(header(&peer.request("ACK"), "CSeq"), "6 ACK");
    assert_eq!((peer.requests("ACK").len(), peer.event()), (1 + 4 + 2, None), "a repeated 2xx gets its ACK again");
    // That of the call itself has its own number still.
    let invite = peer.requests("INVITE").remove(0);
    peer.answer(&invite, 200, "a", "Allow: UPDATE", "answer");
    assert_eq!(header(&peer.request("ACK"), "CSeq"), "1 ACK");
}

#[test]
fn a_peer_without_time_is_asked_again_when_he_says() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    let invite = offer(&mut peer, call, "hold");
    peer.answer(&invite, 500, "a", "Retry-After: 7", "");
    peer.run_for(Duration::from_secs(6));
    assert_eq!(peer.requests("INVITE").len(), 2);
    peer.run_for(SECOND);
    assert_eq!((peer.requests("INVITE").len(), peer.request("INVITE").body), (3, b"hold".to_vec()));
    assert_eq!(peer.event(), None);
}

#[test]
fn endless_glare_ends_in_a_refusal() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    peer.script = Box::new(|_, request| {
        (request.method.as_str() == "INVITE").then(|| crate::support::peer::answer(request, 491, "a", "", ""))
    });
    offer(&mut peer, call, "hold");
    peer.run_for(Duration::from_secs(60));
    assert_eq!(peer.event(), Some(SessionEvent::OfferRefused { status: 491 }));
    assert_eq!((peer.requests("INVITE").len(), peer.event()), (1 + 11, None));
}

#[test]
fn a_peer_who_does_not_know_the_call_ends_it() {
    for status in [408, 481] {
        let mut peer = Peer::new();
        let call = called(&mut peer);
        let invite = offer(&mut peer, call, "hold");
        peer.answer(&invite, status, "a", "", "");
        assert_eq!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Expired }));
        assert_eq!(peer.requests("BYE").len(), 1);
    }
    let mut peer = Peer::new();
    let call = called(&mut peer);
    offer(&mut peer, call, "hold");
    peer.run_for(Duration::from_secs(32));
    assert_eq!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Expired }));
}

#[test]
fn an_offer_waits_for_the_exchange_before_and_the_latest_wins() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    let first = offer(&mut peer, call, "hold");
    offer(&mut peer, call, "resume");
    offer(&mut peer, call, "hold again");
    assert_eq!(peer.requests("INVITE").len(), 2);
    peer.answer(&first, 200, "a", "", "held");
    assert_eq!(peer.event(), Some(SessionEvent::OfferAnswered { sdp: b"held".to_vec() }));
    assert_eq!(peer.request("INVITE").body, b"hold again");

    // The peer's own offer comes first, too.
    let mut peer = Peer::new();
    let call = called(&mut peer);
    let ours = Message::Request(peer.request("ACK"));
    peer.ask("INVITE", 1, &ours, "Contact: <sip:a@192.0.2.2>\r\n", "theirs");
    assert_eq!(peer.event(), Some(SessionEvent::Offer { sdp: Some(b"theirs".to_vec()) }));
    offer(&mut peer, call, "hold");
    peer.command(Command::AnswerOffer { call, sdp: b"yes".to_vec() });
    assert_eq!(peer.requests("INVITE").len(), 1, "his exchange ends with the ACK");
    peer.ask("ACK", 1, &ours, "", "");
    assert_eq!(peer.request("INVITE").body, b"hold");
    // And while ours is under way, his has to wait.
    for method in ["INVITE", "UPDATE"] {
        peer.ask(method, 2, &ours, "", "theirs");
        assert_eq!(peer.last_status(), 491);
    }
    peer.ask("UPDATE", 3, &ours, "", "");
    assert_eq!(peer.last_status(), 200, "without an offer nothing meets");
}

#[test]
fn hanging_up_while_an_offer_is_out_acknowledges_its_answer() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    let invite = offer(&mut peer, call, "hold");
    peer.command(Command::Hangup { call });
    peer.answer(&invite, 200, "a", "", "held");
    assert_eq!(header(&peer.request("ACK"), "CSeq"), "2 ACK");
    let bye = peer.request("BYE");
    peer.answer(&bye, 200, "a", "", "");
    assert_eq!(peer.endpoint.usage().sessions, 0);
}

#[test]
fn an_offer_without_a_final_answer_is_forgotten_with_its_call() {
    let mut peer = Peer::new();
    let call = called(&mut peer);
    let invite = offer(&mut peer, call, "hold");
    peer.answer(&invite, 100, "", "", "");
    peer.command(Command::Hangup { call });
    let bye = peer.request("BYE");
    peer.answer(&bye, 200, "a", "", "");
    peer.run_for(Duration::from_secs(100));
    assert_eq!(peer.endpoint.usage(), Usage::default());
}
