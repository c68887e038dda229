//! Reliable provisional answers in both roles (RFC 3262), between two endpoints and against a peer written here.

use std::time::Duration;

use secretary::sip::message::{Message, Request, Response};
use secretary::sip::{CallKey, Command, EndCause, Event, SessionEvent, Usage};

use crate::support::pair::{Network, Pair, Side};
use crate::support::peer::{Peer, flow};
use Side::{Callee, Caller};

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or("")
}

#[test]
fn early_answers_are_acknowledged_in_order_and_once_in_each_fork() {
    let mut peer = Peer::new();
    peer.call("sip:desk@192.0.2.2", None);
    let invite = peer.request("INVITE");
    assert!(header(&invite, "Supported").contains("100rel"));
    let reliable = |rseq: u32| format!("Require: 100rel\nRSeq: {rseq}");
    peer.answer(&invite, 180, "a", &reliable(900), "");
    peer.answer(&invite, 180, "b", &reliable(5), "");
    peer.answer(&invite, 180, "a", &reliable(900), "");
    peer.answer(&invite, 183, "a", &reliable(902), "too early");
    peer.answer(&invite, 183, "a", &reliable(901), "media");
    let pracks = peer.requests("PRACK");
    let seen: Vec<_> = pracks.iter().map(|p| (p.uri.to_string(), header(p, "RAck"), header(p, "CSeq"))).collect();
    assert_eq!(
        seen,
        [
            ("sip:a@192.0.2.2".to_owned(), "900 1 INVITE", "2 PRACK"),
            ("sip:b@192.0.2.2".to_owned(), "5 1 INVITE", "2 PRACK"),
            ("sip:a@192.0.2.2".to_owned(), "901 1 INVITE", "3 PRACK"),
        ]
    );
    assert_eq!((peer.event(), peer.event()), (Some(SessionEvent::Ringing), Some(SessionEvent::Ringing)));
    let sdp = b"media".to_vec();
    assert_eq!(peer.event(), Some(SessionEvent::EarlyMedia { flow: flow(5060), sdp: sdp.clone() }));
    assert_eq!(peer.event(), None, "repeats and what came too early are no news");
    // The early description was the answer, whatever the 2xx says.
    peer.answer(&invite, 200, "a", "", "another");
    assert_eq!(peer.event(), Some(SessionEvent::Answered { flow: flow(5060), sdp }));
    assert_eq!(header(&peer.request("ACK"), "CSeq"), "1 ACK");
}

/// A call that rings reliably: the callee's key.
fn ring(pair: &mut Pair) -> CallKey {
    pair.call();
    let (theirs, event) = pair.session_event(Callee);
    assert!(matches!(event, SessionEvent::Incoming(_)));
    pair.command(Callee, Command::Ring { call: theirs });
    theirs
}

fn answer(pair: &mut Pair, call: CallKey) {
    pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
    assert!(matches!(pair.session_event(Caller).1, SessionEvent::Answered { .. }), "{}", pair.trace);
    assert_eq!(pair.session_event(Callee).1, SessionEvent::Established { sdp: None });
}

#[test]
fn ringing_is_repeated_until_its_prack() {
    let mut pair = Pair::new(1, Network::PERFECT);
    pair.lose_first(2, Callee, "SIP/2.0 180");
    let theirs = ring(&mut pair);
    assert_eq!(pair.session_event(Caller).1, SessionEvent::Ringing);
    pair.run_for(Duration::from_secs(30));
    let first = pair.times_sent(Callee, "SIP/2.0 180")[0];
    let times: Vec<_> = pair.times_sent(Callee, "SIP/2.0 180").iter().map(|at| at - first).collect();
    assert_eq!(times, [0, 500, 1500], "{}", pair.trace);
    assert_eq!(pair.count_sent(Caller, "PRACK"), 1);
    assert_eq!(pair.event(Caller), None);
    answer(&mut pair, theirs);
}

#[test]
fn a_lost_prack_is_repeated() {
    let mut pair = Pair::new(2, Network::PERFECT);
    pair.lose_first(2, Caller, "PRACK");
    let theirs = ring(&mut pair);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.count_sent(Caller, "PRACK"), 3);
    assert!(pair.count_sent(Callee, "SIP/2.0 180") > 1);
    assert_eq!(pair.trace.matches("! Session { call: CallKey(1), event: Ringing").count(), 1, "{}", pair.trace);
    assert_eq!(pair.session_event(Caller).1, SessionEvent::Ringing);
    answer(&mut pair, theirs);
}

#[test]
fn a_call_whose_ringing_is_never_acknowledged_is_refused() {
    let mut pair = Pair::new(3, Network::PERFECT);
    pair.lose(|side, text| side == Caller && text.starts_with("PRACK"));
    ring(&mut pair);
    let rang = pair.elapsed();
    assert_eq!(pair.ended(Callee), EndCause::NoAck);
    assert_eq!(pair.elapsed() - rang, Duration::from_secs(32));
    assert!(matches!(pair.ended(Caller), EndCause::Rejected { status: 504, .. }));
}

#[test]
fn an_answer_need_not_wait_for_the_prack() {
    let mut pair = Pair::new(4, Network::PERFECT);
    pair.lose_first(1, Caller, "PRACK");
    let theirs = ring(&mut pair);
    assert_eq!(pair.session_event(Caller).1, SessionEvent::Ringing);
    answer(&mut pair, theirs);
    pair.run_for(Duration::from_secs(20));
    let answered = pair.trace.lines().filter(|l| l.contains("Callee > SIP/2.0 200") && l.contains(" PRACK|")).count();
    assert_eq!((answered, pair.count_sent(Callee, "SIP/2.0 180")), (1, 1), "{}", pair.trace);
    assert_eq!((pair.event(Caller), pair.event(Callee)), (None, None));
}

fn rseq(ringing: &Response) -> u32 {
    ringing.headers.get("RSeq").unwrap().parse().unwrap()
}

#[test]
fn ringing_is_as_reliable_as_the_caller_wants() {
    let minute = Duration::from_secs(60);
    // He cannot take it: plain, and every minute again, for proxies.
    let mut peer = Peer::new();
    let call = peer.invite("", "offer");
    peer.command(Command::Ring { call });
    peer.run_for(minute);
    let ringing = peer.answers(180);
    assert_eq!(ringing.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 60_000]);
    assert!(ringing[0].1.headers.get("Require").is_none() && ringing[0].1.body.is_empty());

    for more in ["Supported: timer, 100rel\r\n", "Require: 100rel\r\n"] {
        let mut peer = Peer::new();
        let call = peer.invite(more, "offer");
        peer.command(Command::Ring { call });
        peer.command(Command::Ring { call });
        let first = peer.answers(180).remove(0).1;
        assert_eq!(peer.answers(180).len(), 1, "the first has no PRACK yet");
        assert_eq!((first.headers.get("Require"), first.body.len()), (Some("100rel"), 0));
        let in_dialog = Message::Response(first.clone());
        let number = rseq(&first);
        for rack in [format!("{} 1 INVITE", number + 1), format!("{number} 2 INVITE"), "x".into()] {
            peer.ask("PRACK", 2, &in_dialog, &format!("RAck: {rack}\r\n"), "");
            assert_eq!(peer.last_status(), 481, "{rack}");
        }
        peer.ask("PRACK", 3, &in_dialog, &format!("RAck: {number} 1 INVITE\r\n"), "");
        assert_eq!(peer.last_status(), 200);
        peer.ask("PRACK", 4, &in_dialog, &format!("RAck: {number} 1 INVITE\r\n"), "");
        assert_eq!(peer.last_status(), 481, "it has its PRACK");
        peer.run_for(minute);
        assert_eq!(rseq(&peer.answers(180)[1].1), number + 1);
    }

    // Without an offer of his, a reliable answer would have to bring ours.
    for (more, count) in [("Require: 100rel\r\n", 0), ("Supported: 100rel\r\n", 1)] {
        let mut peer = Peer::new();
        let call = peer.invite(more, "");
        peer.command(Command::Ring { call });
        assert_eq!(peer.answers(180).len(), count);
        assert!(peer.answers(180).iter().all(|(_, ringing)| ringing.headers.get("RSeq").is_none()));
    }
}

#[test]
fn a_caller_gives_up_while_it_rings() {
    let mut pair = Pair::new(5, Network::PERFECT);
    let ours = pair.call();
    let (theirs, _) = pair.session_event(Callee);
    pair.command(Callee, Command::Ring { call: theirs });
    pair.run_for(Duration::from_millis(15));
    pair.command(Caller, Command::Hangup { call: ours });
    assert_eq!((pair.ended(Caller), pair.ended(Callee)), (EndCause::Cancelled(None), EndCause::Cancelled(None)));
    pair.run_until_idle();
    assert_eq!((pair.end(Caller).usage(), pair.end(Callee).usage()), (Usage::default(), Usage::default()));
}

#[test]
fn calls_that_ring_over_a_bad_network_end_cleanly() {
    let bad =
        Network { loss: 0.2, duplication: 0.1, latency: Duration::from_millis(40), jitter: Duration::from_millis(200) };
    for seed in 0..100 {
        let mut pair = Pair::new(seed, bad);
        let ours = pair.call();
        let (mut answered, mut established, mut ended) = (false, false, 0);
        while pair.step() {
            for side in [Caller, Callee] {
                while let Some(Event::Session { call, event }) = pair.event(side) {
                    match event {
                        SessionEvent::Incoming(_) => {
                            pair.command(Callee, Command::Ring { call });
                            // Sometimes before the PRACK, sometimes long after.
                            pair.run_for(Duration::from_millis(seed * 37 % 3000));
                            pair.command(Callee, Command::Answer { call, sdp: b"answer".to_vec() });
                        }
                        SessionEvent::Answered { .. } => answered = true,
                        SessionEvent::Established { .. } => established = true,
                        SessionEvent::Ended { .. } => ended += 1,
                        SessionEvent::Ringing => {}
                        other => panic!("seed {seed}: {other:?}\n{}", pair.trace),
                    }
                }
            }
            if answered && established {
                (answered, established) = (false, false);
                pair.command(Caller, Command::Hangup { call: ours });
            }
        }
        assert_eq!(ended, 2, "seed {seed}\n{}", pair.trace);
        for side in [Caller, Callee] {
            assert_eq!(pair.end(side).usage(), Usage::default(), "seed {seed}\n{}", pair.trace);
        }
    }
}
