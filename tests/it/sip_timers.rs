//! Session timers (RFC 4028) in both roles: who refreshes, how, and what happens when nobody does.

use std::time::Duration;

use secretary::sip::message::{Message, Request, Response};
use secretary::sip::{CallKey, CallOut, Command, EndCause, EndpointConfig, Event, SessionEvent, Usage};

use crate::support::pair::{Network, Pair, Side};
use crate::support::peer::Peer;
use Side::{Callee, Caller};

const HOUR: Duration = Duration::from_secs(3600);

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or("")
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A call of ours that the peer has answered with these header fields.
fn called(peer: &mut Peer, more: &str) -> CallKey {
    let call = peer.call("sip:desk@192.0.2.2", None);
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", more, "answer");
    peer.events.clear();
    call
}

/// A call of the peer that we have answered, with these header fields in his INVITE: our 2xx.
fn taken(peer: &mut Peer, more: &str) -> Response {
    let call = peer.invite(more, "offer");
    peer.command(Command::Answer { call, sdp: b"answer".to_vec() });
    let ok = peer.answers(200).remove(0).1;
    peer.ask("ACK", 1, &Message::Response(ok.clone()), "", "");
    peer.events.clear();
    ok
}

#[test]
fn two_endpoints_refresh_their_call_for_an_hour() {
    for session_expires in [seconds(90), seconds(1800)] {
        let config = EndpointConfig {
            call_out: CallOut::Anybody,
            session_expires,
            ..EndpointConfig::new("test", "secretary", 4)
        };
        let mut pair = Pair::with_config(1, Network::PERFECT, config);
        let ours = pair.call();
        let (theirs, _) = pair.session_event(Callee);
        pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
        pair.run_for(HOUR);
        let refreshes = u64::try_from(pair.count_sent(Callee, "UPDATE")).unwrap();
        let half = session_expires.as_secs() / 2;
        assert!((3600 / half - 2..=3600 / half).contains(&refreshes), "{refreshes} at {half} s");
        assert_eq!(pair.count_sent(Caller, "UPDATE"), 0, "the callee has taken it on");
        assert!(!pair.trace.contains("Ended"), "{}", pair.trace);
        pair.command(Caller, Command::Hangup { call: ours });
        assert_eq!((pair.ended(Caller), pair.ended(Callee)), (EndCause::LocalBye, EndCause::RemoteBye(None)));
        pair.run_until_idle();
        assert_eq!((pair.end(Caller).usage(), pair.end(Callee).usage()), (Usage::default(), Usage::default()));
    }
}

#[test]
fn a_peer_that_is_gone_is_noticed_on_both_sides() {
    for gone in [Caller, Callee] {
        let mut pair = Pair::new(2, Network::PERFECT);
        pair.call();
        let (theirs, _) = pair.session_event(Callee);
        pair.command(Callee, Command::Answer { call: theirs, sdp: b"answer".to_vec() });
        pair.run_for(seconds(10));
        pair.lose(move |_, _| true);
        let left = gone.other();
        assert_eq!(pair.ended(left), EndCause::Expired, "{}", pair.trace);
        // The callee refreshes at half time and hears nothing; the caller waits for it until shortly before the end.
        let expected = if left == Callee { 900..=935 } else { 1766..=1769 };
        assert!(expected.contains(&pair.elapsed().as_secs()), "{left:?}: {:?}", pair.elapsed());
        assert!(pair.trace.contains("|Reason: SIP;cause=408;"));
        pair.run_until_idle();
        assert_eq!(pair.end(left).usage(), Usage::default());
    }
}

#[test]
fn an_interval_that_is_too_short_is_refused() {
    let mut peer = Peer::new();
    peer.invite("Supported: timer\r\nSession-Expires: 60\r\n", "offer");
    let refusal = peer.answers(422).remove(0).1;
    assert_eq!(refusal.headers.get("Min-SE"), Some("90"));
    assert_eq!((peer.event(), peer.endpoint.usage().sessions), (None, 0));

    // In a call as well; the call goes on.
    let mut peer = Peer::new();
    let ok = Message::Response(taken(&mut peer, "Supported: timer\r\nSession-Expires: 600\r\n"));
    peer.ask("UPDATE", 2, &ok, "Supported: timer\r\nSession-Expires: 60\r\n", "");
    assert_eq!(peer.last_status(), 422);
    assert_eq!(peer.endpoint.usage().sessions, 1);
}

#[test]
fn a_call_that_asks_for_too_little_is_repeated_with_what_the_peer_wants() {
    let mut peer = Peer::new();
    peer.call("sip:desk@192.0.2.2", None);
    let first = peer.request("INVITE");
    assert_eq!((header(&first, "Session-Expires"), header(&first, "Min-SE")), ("1800", "90"));
    assert!(header(&first, "Supported").contains("timer"));
    peer.answer(&first, 422, "x", "Min-SE: 3600", "");
    let second = peer.request("INVITE");
    assert_eq!((header(&second, "Session-Expires"), header(&second, "Min-SE")), ("3600", "3600"));
    assert_eq!((header(&second, "CSeq"), header(&second, "Call-ID")), ("2 INVITE", header(&first, "Call-ID")));
    // Asking for the same again is a quarrel.
    peer.answer(&second, 422, "x", "Min-SE: 3600", "");
    assert!(matches!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Rejected { status: 422, .. } })));
}

#[test]
fn our_answer_names_the_refresher() {
    for (more, expires, require) in [
        ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac", Some("timer")),
        ("Supported: timer\r\nSession-Expires: 600\r\n", "600;refresher=uas", Some("timer")),
        ("k: timer\r\n", "1800;refresher=uas", Some("timer")),
        ("", "1800;refresher=uas", None),
    ] {
        let ok = taken(&mut Peer::new(), more);
        assert_eq!((ok.headers.get("Session-Expires"), ok.headers.get("Require")), (Some(expires), require), "{more}");
    }
}

#[test]
fn a_session_that_the_peer_does_not_refresh_ends() {
    let mut peer = Peer::new();
    let ok = Message::Response(taken(&mut peer, "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"));
    // His refresh at 45 s counts from then.
    peer.run_for(seconds(45));
    peer.ask("UPDATE", 2, &ok, "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", "");
    let refreshed = peer.answers(200).pop().unwrap().1;
    assert_eq!(refreshed.headers.get("Session-Expires"), Some("90;refresher=uac"));
    peer.run_for(seconds(59));
    assert_eq!(peer.event(), None);
    peer.run_for(seconds(1));
    assert_eq!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Expired }));
    assert!(header(&peer.request("BYE"), "Reason").starts_with("SIP;cause=408;"));
    assert_eq!(peer.times("BYE")[0], 105_000);
}

#[test]
fn a_peer_without_update_is_refreshed_by_a_re_invite_that_changes_nothing() {
    let mut peer = Peer::new();
    called(&mut peer, "Allow: INVITE, ACK, BYE");
    peer.run_for(seconds(900));
    let invite = peer.request("INVITE");
    assert_eq!((invite.body.as_slice(), header(&invite, "CSeq")), (&b"offer"[..], "2 INVITE"));
    assert_eq!(header(&invite, "Session-Expires"), "1800;refresher=uac");
    peer.answer(&invite, 200, "a", "", "answer");
    assert_eq!(header(&peer.request("ACK"), "CSeq"), "2 ACK");
    peer.run_for(seconds(899));
    assert_eq!(peer.requests("INVITE").len(), 2);
    peer.run_for(seconds(1));
    assert_eq!(header(&peer.request("INVITE"), "CSeq"), "3 INVITE");

    // One that said it takes UPDATE and does not.
    let mut peer = Peer::new();
    called(&mut peer, "Allow: INVITE, ACK, BYE, UPDATE");
    peer.run_for(seconds(900));
    let update = peer.request("UPDATE");
    assert!(update.body.is_empty() && header(&update, "Contact") != "");
    peer.answer(&update, 405, "a", "", "");
    assert_eq!(peer.request("INVITE").body, b"offer");
}

#[test]
fn a_refresh_that_finds_no_call_ends_it() {
    for (status, allow) in [(481, "UPDATE"), (408, "UPDATE"), (481, "INVITE"), (408, "INVITE")] {
        let mut peer = Peer::new();
        called(&mut peer, &format!("Allow: {allow}"));
        peer.run_for(seconds(900));
        let refresh = peer.request(allow);
        peer.answer(&refresh, status, "a", "", "");
        assert_eq!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Expired }));
        assert_eq!(peer.requests("BYE").len(), 1);
    }
}

#[test]
fn a_refresh_that_fails_otherwise_is_tried_again() {
    let mut peer = Peer::new();
    called(&mut peer, "Allow: UPDATE\nSession-Expires: 800;refresher=uac\nRequire: timer");
    let mut statuses = [500, 422, 200].into_iter();
    peer.script = Box::new(move |_, request| match request.method.as_str() {
        "UPDATE" => {
            Some(crate::support::peer::answer(request, statuses.next().unwrap_or(200), "a", "Min-SE: 1600", ""))
        }
        _ => None,
    });
    peer.run_for(seconds(500));
    assert_eq!(peer.times("UPDATE"), [400_000, 500_000, 500_000], "at half time, an eighth later, and for longer");
    assert_eq!(header(&peer.request("UPDATE"), "Session-Expires"), "1600;refresher=uac");
    peer.run_for(seconds(800));
    assert_eq!(peer.times("UPDATE").last(), Some(&1_300_000));
}

#[test]
fn the_answer_may_give_the_refresh_to_the_peer() {
    let mut peer = Peer::new();
    let call = called(&mut peer, "Allow: UPDATE\nSession-Expires: 600;refresher=uas");
    peer.run_for(seconds(300));
    // Hold does not change who refreshes.
    peer.command(Command::Offer { call, sdp: b"hold".to_vec() });
    assert_eq!(header(&peer.request("INVITE"), "Session-Expires"), "600;refresher=uas");
    let invite = peer.request("INVITE");
    peer.answer(&invite, 200, "a", "Session-Expires: 600;refresher=uas", "held");
    peer.events.clear();
    peer.run_for(seconds(567));
    assert!(peer.requests("UPDATE").is_empty() && peer.event().is_none());
    peer.run_for(seconds(1));
    assert_eq!(peer.event(), Some(SessionEvent::Ended { cause: EndCause::Expired }));
}

#[test]
fn refreshes_survive_a_bad_network() {
    let bad =
        Network { loss: 0.2, duplication: 0.1, latency: Duration::from_millis(40), jitter: Duration::from_millis(200) };
    for seed in 0..20 {
        let config = EndpointConfig {
            call_out: CallOut::Anybody,
            session_expires: seconds(120),
            ..EndpointConfig::new("test", "secretary", 4)
        };
        let mut pair = Pair::with_config(seed, bad, config);
        pair.call();
        let until = pair.elapsed() + HOUR;
        while pair.elapsed() < until && pair.step() {
            while let Some(Event::Session { call, event }) = pair.event(Callee) {
                if let SessionEvent::Incoming(_) = event {
                    pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
                }
            }
        }
        assert!(!pair.trace.contains("Ended"), "seed {seed}\n{}", pair.trace);
    }
}
