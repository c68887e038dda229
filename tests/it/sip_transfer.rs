//! Transfers in virtual time: ours, the peer's, and calls that take the place of others.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::sip::message::Method;
use secretary::sip::{
    Account, AccountId, CallKey, CallOut, Command, EndCause, EndpointConfig, Event, Incoming, Numbering,
    RegistrationState, SessionEvent, TransferProgress, Transport,
};

use crate::support::exchange::{Exchange, Party, address, uri};

const US: Party = 1;
const PEER: Party = 2;
const THIRD: Party = 3;

fn config(call_out: CallOut) -> EndpointConfig {
    EndpointConfig { call_out, ..EndpointConfig::new("test", "secretary", 4) }
}

/// Us, the peer and a third, each an endpoint that may call anybody.
fn three() -> Exchange {
    let mut exchange = Exchange::new();
    for party in [US, PEER, THIRD] {
        exchange.add(party, config(CallOut::Anybody));
    }
    exchange
}

fn us_and_a_scripted_peer() -> Exchange {
    let mut exchange = Exchange::new();
    exchange.add(US, config(CallOut::Anybody));
    exchange.add_scripted(PEER);
    exchange
}

fn transfer(exchange: &mut Exchange, call: CallKey, to: Party) {
    exchange.command(US, Command::Transfer { call, target: uri(to) });
}

/// The peer calls whom we want.
fn follow(exchange: &mut Exchange) -> CallKey {
    let (call, event) = exchange.session_event(PEER);
    assert!(matches!(event, SessionEvent::TransferRequested { .. }), "{event:?}");
    let new_call = exchange.endpoint(PEER).next_call_key();
    exchange.command(PEER, Command::AcceptTransfer { call, new_call, offer: b"offer".to_vec() });
    new_call
}

fn incoming(exchange: &mut Exchange, party: Party) -> (CallKey, Incoming) {
    match exchange.session_event(party) {
        (call, SessionEvent::Incoming(incoming)) => (call, *incoming),
        other => panic!("{other:?}\n{}", exchange.trace),
    }
}

fn progress(exchange: &mut Exchange) -> TransferProgress {
    match exchange.session_event(US) {
        (_, SessionEvent::Transfer(progress)) => progress,
        other => panic!("{other:?}\n{}", exchange.trace),
    }
}

fn result(exchange: &mut Exchange) -> TransferProgress {
    loop {
        match progress(exchange) {
            TransferProgress::Accepted | TransferProgress::Trying(_) => {}
            result => return result,
        }
    }
}

fn ended(exchange: &mut Exchange, party: Party) -> (CallKey, EndCause) {
    loop {
        if let (call, SessionEvent::Ended { cause }) = exchange.session_event(party) {
            return (call, cause);
        }
    }
}

/// The peer and the third talk to one another; one hangs up, and nothing is left anywhere.
fn hang_up(exchange: &mut Exchange, of_peer: CallKey) {
    exchange.command(PEER, Command::Hangup { call: of_peer });
    assert_eq!(ended(exchange, PEER), (of_peer, EndCause::LocalBye));
    assert_eq!(ended(exchange, THIRD).1, EndCause::RemoteBye(None));
    exchange.nothing_is_left();
}

fn status_of_reply(exchange: &mut Exchange, method: Method) -> u16 {
    exchange.response(PEER, method).status
}

#[test]
fn a_blind_transfer_connects_the_peer_with_the_target() {
    let mut exchange = three();
    let (ours, theirs) = exchange.connect(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    let new_call = follow(&mut exchange);
    let (at_third, call) = incoming(&mut exchange, THIRD);
    assert_eq!(call.replaces, None);
    assert_eq!(progress(&mut exchange), TransferProgress::Accepted);
    assert_eq!(progress(&mut exchange), TransferProgress::Trying(100));
    exchange.command(THIRD, Command::Answer { call: at_third, sdp: b"answer".to_vec() });
    assert!(matches!(exchange.session_event(PEER), (call, SessionEvent::Answered { .. }) if call == new_call));
    assert_eq!(progress(&mut exchange), TransferProgress::Succeeded);
    let mut invites = exchange.trace.lines().filter(|line| line.contains(" 2 > 3 INVITE"));
    assert!(
        invites.next_back().unwrap().contains("|Referred-By: <sip:secretary@192.0.2.1:5060>|"),
        "{}",
        exchange.trace
    );

    exchange.command(US, Command::Hangup { call: ours });
    assert_eq!(ended(&mut exchange, US), (ours, EndCause::LocalBye));
    assert_eq!(ended(&mut exchange, PEER), (theirs, EndCause::RemoteBye(None)));
    hang_up(&mut exchange, new_call);
}

#[test]
fn a_transfer_to_somebody_busy_fails_and_the_call_goes_on() {
    let mut exchange = three();
    let (ours, theirs) = exchange.connect(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    let new_call = follow(&mut exchange);
    let (at_third, _) = incoming(&mut exchange, THIRD);
    exchange.command(THIRD, Command::Reject { call: at_third, status: 486, retry_after: None });
    assert_eq!(result(&mut exchange), TransferProgress::Failed(486));
    let refused = EndCause::Rejected { status: 486, reason: "Busy Here".into() };
    assert_eq!(ended(&mut exchange, PEER), (new_call, refused));

    // And another one is possible.
    transfer(&mut exchange, ours, THIRD);
    follow(&mut exchange);
    let mut notifies = exchange.trace.lines().filter(|line| line.contains(" 2 > 1 NOTIFY"));
    assert!(notifies.next_back().unwrap().contains("|Event: refer;id="), "the second REFER is named");
    assert_eq!(ended(&mut exchange, THIRD).0, at_third);
    let (at_third, _) = incoming(&mut exchange, THIRD);
    exchange.command(THIRD, Command::Reject { call: at_third, status: 603, retry_after: None });
    assert_eq!(result(&mut exchange), TransferProgress::Failed(603));
    exchange.command(PEER, Command::Hangup { call: theirs });
    assert_eq!(ended(&mut exchange, US), (ours, EndCause::RemoteBye(None)));
    exchange.nothing_is_left();
}

#[test]
fn a_peer_may_refuse_a_transfer_or_never_decide() {
    let mut exchange = three();
    let (ours, theirs) = exchange.connect(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    assert!(matches!(exchange.session_event(PEER), (_, SessionEvent::TransferRequested { .. })));
    exchange.command(PEER, Command::RejectTransfer { call: theirs, status: 488 });
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(488));

    transfer(&mut exchange, ours, THIRD);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(480));
    exchange.session_event(PEER);
    // Too late to accept it: whoever waits for the new call hears so.
    let new_call = exchange.endpoint(PEER).next_call_key();
    exchange.command(PEER, Command::AcceptTransfer { call: theirs, new_call, offer: b"offer".to_vec() });
    assert!(matches!(ended(&mut exchange, PEER), (call, EndCause::Failed(_)) if call == new_call));
    assert_eq!(exchange.count_sent(PEER, "INVITE"), 0);
}

#[test]
fn lost_notifies_come_again() {
    let mut exchange = three();
    let (ours, _) = exchange.connect(US, PEER);
    let mut left = 5;
    exchange.fault = Some(Box::new(move |from, text| {
        let hit = from == PEER && left > 0 && text.starts_with("NOTIFY");
        left -= i32::from(hit);
        hit
    }));
    transfer(&mut exchange, ours, THIRD);
    follow(&mut exchange);
    let (at_third, _) = incoming(&mut exchange, THIRD);
    exchange.command(THIRD, Command::Answer { call: at_third, sdp: b"answer".to_vec() });
    assert_eq!(result(&mut exchange), TransferProgress::Succeeded);
    // The late 100 Trying is out of order by now, and says nothing new.
    exchange.run_for(Duration::from_secs(40));
    assert_eq!(exchange.event_now(US), None, "{}", exchange.trace);
}

#[test]
fn a_transfer_of_which_nothing_is_heard_fails_and_the_call_goes_on() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    let refer = exchange.request(PEER, Method::Refer);
    assert_eq!(refer.headers.get("Refer-To"), Some("<sip:p3@192.0.2.3:5060>"));
    exchange.answer(PEER, US, &refer, 202);
    assert_eq!(progress(&mut exchange), TransferProgress::Accepted);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(408));
    assert!(exchange.elapsed() > Duration::from_secs(60));
    // News of it now are late.
    let refer_event = format!("Event: refer;id={}\r\n", refer.envelope().unwrap().cseq.number);
    let extra = format!("{refer_event}Subscription-State: terminated;reason=noresource\r\n");
    exchange.say(PEER, US, &invite, "NOTIFY", &extra, "SIP/2.0 200 OK\r\n");
    assert_eq!(status_of_reply(&mut exchange, Method::Notify), 200);
    assert_eq!(exchange.event_now(US), None);
    assert_eq!(exchange.endpoint(US).usage().sessions, 1);
}

#[test]
fn a_refused_refer_or_one_without_an_answer_fails() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, _) = exchange.connect_scripted(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    let refer = exchange.request(PEER, Method::Refer);
    exchange.answer(PEER, US, &refer, 405);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(405));
    transfer(&mut exchange, ours, THIRD);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(408));
}

#[test]
fn two_transfers_at_once_are_one() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    transfer(&mut exchange, ours, THIRD);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(491));
    assert_eq!(exchange.count_sent(US, "REFER"), 1);

    let refer_to = format!("Refer-To: <{}>\r\n", uri(THIRD));
    exchange.say(PEER, US, &invite, "REFER", &refer_to, "");
    exchange.say(PEER, US, &invite, "REFER", &refer_to, "");
    assert_eq!(status_of_reply(&mut exchange, Method::Refer), 491);
    assert!(matches!(exchange.session_event(US), (_, SessionEvent::TransferRequested { .. })));
    assert_eq!(exchange.event_now(US), None);
}

#[test]
fn what_the_configuration_does_not_allow_is_neither_transferred_to_nor_called() {
    let mut exchange = three();
    let only_the_peer = CallOut::Matching(vec![format!("*@{}", address(PEER))]);
    exchange.add(US, config(only_the_peer.clone()));
    let (ours, _) = exchange.connect(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(403));
    exchange.command(US, Command::Transfer { call: ours, target: "tel:+1900".into() });
    assert_eq!(progress(&mut exchange), TransferProgress::Failed(416));
    assert_eq!(exchange.count_sent(US, "REFER"), 0);
    let toll = exchange.call(US, &uri(THIRD));
    assert_eq!(ended(&mut exchange, US), (toll, EndCause::NotAllowed));

    // Nor does the peer bring us to it.
    let (_, theirs) = exchange.connect(US, PEER);
    exchange.command(PEER, Command::Transfer { call: theirs, target: uri(THIRD) });
    let event = exchange.session_event(PEER);
    assert_eq!(event, (theirs, SessionEvent::Transfer(TransferProgress::Failed(603))));
    assert_eq!(exchange.event_now(US), None, "nobody is asked");
    assert_eq!(exchange.count_sent(US, "INVITE"), 2);
}

#[test]
fn headers_hidden_in_a_target_are_not_passed_on() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    let target = format!("{}?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Route=%3Csip:evil%3E", uri(THIRD));
    exchange.command(US, Command::Transfer { call: ours, target });
    let refer = exchange.request(PEER, Method::Refer);
    assert_eq!(refer.headers.get("Refer-To"), Some("<sip:p3@192.0.2.3:5060>"));

    exchange.add_scripted(THIRD);
    let hidden = "Route=%3Csip:evil%3E&From=%3Csip:boss%40x%3E&body=x";
    exchange.say(PEER, US, &invite, "REFER", &format!("Refer-To: <{}?{hidden}>\r\n", uri(THIRD)), "");
    let (call, _) = exchange.session_event(US);
    let new_call = exchange.endpoint(US).next_call_key();
    exchange.command(US, Command::AcceptTransfer { call, new_call, offer: b"offer".to_vec() });
    let invite = exchange.request(THIRD, Method::Invite);
    let text = String::from_utf8(invite.to_bytes()).unwrap();
    assert!(!text.contains("evil") && !text.contains("boss") && !text.contains("Replaces"), "{text}");
}

#[test]
fn bad_requests_for_a_transfer_are_refused() {
    let mut exchange = us_and_a_scripted_peer();
    let (_, invite) = exchange.connect_scripted(US, PEER);
    let cases = [
        ("", 400),
        ("Refer-To: <sip:a@192.0.2.3>\r\nRefer-To: <sip:b@192.0.2.3>\r\n", 400),
        ("Refer-To: <sip:a@192.0.2.3>, <sip:b@192.0.2.3>\r\n", 400),
        ("Refer-To: what\r\n", 400),
        ("Refer-To: <tel:+74951234567>\r\n", 416),
        ("Refer-To: <https://example.com>\r\n", 416),
        ("Refer-To: <sip:a@192.0.2.3;method=BYE>\r\n", 603),
        ("Refer-To: <sip:a@192.0.2.3?Replaces=1>\r\n", 400),
    ];
    for (refer_to, status) in cases {
        exchange.say(PEER, US, &invite, "REFER", refer_to, "");
        assert_eq!(status_of_reply(&mut exchange, Method::Refer), status, "{refer_to}");
    }
    // Outside a call.
    let refer = format!(
        "REFER sip:us@h SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:us@h>\r\n\
         Call-ID: x\r\nCSeq: 1 REFER\r\nRefer-To: <sip:c@192.0.2.3>\r\n\r\n",
        address(PEER)
    );
    exchange.send(PEER, US, refer.into_bytes());
    assert_eq!(status_of_reply(&mut exchange, Method::Refer), 481);
    assert_eq!(exchange.event_now(US), None);
}

#[test]
fn an_undecided_transfer_ends_with_the_call() {
    let mut exchange = us_and_a_scripted_peer();
    let (_, invite) = exchange.connect_scripted(US, PEER);
    exchange.say(PEER, US, &invite, "REFER", &format!("Refer-To: <{}>\r\n", uri(THIRD)), "");
    exchange.say(PEER, US, &invite, "BYE", "", "");
    assert_eq!(status_of_reply(&mut exchange, Method::Refer), 487);
    assert_eq!(exchange.count_sent(US, "SIP/2.0 200"), 1);
    exchange.nothing_is_left();
}

#[test]
fn nothing_is_told_of_a_transfer_once_the_call_has_ended() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, _) = exchange.connect_scripted(US, PEER);
    transfer(&mut exchange, ours, THIRD);
    let refer = exchange.request(PEER, Method::Refer);
    exchange.command(US, Command::Hangup { call: ours });
    let bye = exchange.request(PEER, Method::Bye);
    exchange.answer(PEER, US, &refer, 603);
    exchange.answer(PEER, US, &bye, 200);
    assert_eq!(exchange.session_event(US), (ours, SessionEvent::Ended { cause: EndCause::LocalBye }));
    exchange.nothing_is_left();
    assert_eq!(exchange.event_now(US), None);
}

#[test]
fn notifies_are_answered_even_when_nobody_waits_for_them() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    let of_refer = "Event: refer\r\nSubscription-State: active;expires=60\r\nContent-Type: message/sipfrag\r\n";
    let status = |exchange: &mut Exchange, extra: &str| {
        exchange.say(PEER, US, &invite, "NOTIFY", extra, "SIP/2.0 100 Trying\r\n");
        status_of_reply(exchange, Method::Notify)
    };
    assert_eq!(status(&mut exchange, of_refer), 481, "nobody has subscribed");
    assert_eq!(status(&mut exchange, "Event: message-summary\r\n"), 489);
    transfer(&mut exchange, ours, THIRD);
    let refer = exchange.request(PEER, Method::Refer);
    exchange.answer(PEER, US, &refer, 202);
    assert_eq!(progress(&mut exchange), TransferProgress::Accepted);
    exchange.command(US, Command::Hangup { call: ours });
    let bye = exchange.request(PEER, Method::Bye);
    assert_eq!(status(&mut exchange, of_refer), 200, "our BYE has no answer yet");
    exchange.answer(PEER, US, &bye, 200);
    exchange.run_for(Duration::from_secs(1));
    assert_eq!(status(&mut exchange, of_refer), 481, "the call is gone");
    exchange.nothing_is_left();
}

#[test]
fn a_peer_that_wants_no_notifies_gets_no_more() {
    let mut exchange = us_and_a_scripted_peer();
    exchange.add_scripted(THIRD);
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    exchange.say(PEER, US, &invite, "REFER", &format!("Refer-To: <{}>\r\n", uri(THIRD)), "");
    exchange.session_event(US);
    let new_call = exchange.endpoint(US).next_call_key();
    exchange.command(US, Command::AcceptTransfer { call: ours, new_call, offer: b"offer".to_vec() });
    let notify = exchange.request(PEER, Method::Notify);
    assert_eq!(notify.body, b"SIP/2.0 100 Trying\r\n");
    assert_eq!(notify.headers.get("Event"), Some("refer"));
    assert_eq!(notify.headers.get("Content-Type"), Some("message/sipfrag;version=2.0"));
    exchange.answer(PEER, US, &notify, 481);
    let to_third = exchange.request(THIRD, Method::Invite);
    exchange.run_for(Duration::from_secs(1));
    exchange.answer(THIRD, US, &to_third, 200);
    assert!(matches!(exchange.session_event(US), (call, SessionEvent::Answered { .. }) if call == new_call));
    exchange.run_for(Duration::from_secs(1));
    assert_eq!(exchange.count_sent(US, "NOTIFY"), 1, "{}", exchange.trace);
}

/// We call both; each talks to us.
fn talk_to_both(exchange: &mut Exchange) -> [CallKey; 4] {
    let (to_peer, at_peer) = exchange.connect(US, PEER);
    let (to_third, at_third) = exchange.connect(US, THIRD);
    [to_peer, at_peer, to_third, at_third]
}

#[test]
fn an_attended_transfer_leaves_two_connected() {
    let mut exchange = three();
    let [to_peer, at_peer, to_third, at_third] = talk_to_both(&mut exchange);
    exchange.command(US, Command::TransferTo { call: to_peer, other: to_third });
    let new_call = follow(&mut exchange);
    let (new_at_third, call) = incoming(&mut exchange, THIRD);
    assert_eq!(call.replaces, Some(at_third));
    exchange.command(THIRD, Command::Answer { call: new_at_third, sdp: b"answer".to_vec() });
    assert_eq!(ended(&mut exchange, THIRD), (at_third, EndCause::Replaced));
    assert!(matches!(exchange.session_event(PEER), (call, SessionEvent::Answered { .. }) if call == new_call));
    assert_eq!(exchange.session_event(THIRD), (new_at_third, SessionEvent::Established { sdp: None }));
    let mut events: Vec<_> = (0..4).map(|_| exchange.session_event(US)).collect();
    events.sort_by_key(|(call, _)| *call);
    let told = |progress| (to_peer, SessionEvent::Transfer(progress));
    let expected = [
        told(TransferProgress::Accepted),
        told(TransferProgress::Trying(100)),
        told(TransferProgress::Succeeded),
        (to_third, SessionEvent::Ended { cause: EndCause::RemoteBye(None) }),
    ];
    assert_eq!(events, expected);
    exchange.command(US, Command::Hangup { call: to_peer });
    assert_eq!(ended(&mut exchange, PEER), (at_peer, EndCause::RemoteBye(None)));
    exchange.run_for(Duration::from_secs(1));
    assert_eq!(exchange.endpoint(US).usage().sessions, 0);
    hang_up(&mut exchange, new_call);
}

#[test]
fn a_call_that_is_not_answered_is_nobody_to_transfer_to() {
    let mut exchange = three();
    let (to_peer, _) = exchange.connect(US, PEER);
    let to_third = exchange.call(US, &uri(THIRD));
    for other in [to_third, to_peer, CallKey(99)] {
        exchange.command(US, Command::TransferTo { call: to_peer, other });
        assert_eq!(progress(&mut exchange), TransferProgress::Failed(481));
    }
    assert_eq!(exchange.count_sent(US, "REFER"), 0);
}

#[test]
fn attended_transfers_over_a_bad_network_leave_nothing_behind() {
    let mut connected = 0;
    for seed in 0..100 {
        let mut exchange = three();
        let [to_peer, _, to_third, _] = talk_to_both(&mut exchange);
        let mut rng = StdRng::seed_from_u64(seed);
        exchange.fault = Some(Box::new(move |_, _| rng.random_bool(0.25)));
        exchange.command(US, Command::TransferTo { call: to_peer, other: to_third });
        let until = exchange.elapsed() + Duration::from_secs(300);
        let mut calls: Vec<(Party, CallKey)> = Vec::new();
        while exchange.elapsed() < until {
            exchange.run_for(Duration::from_secs(1));
            for party in [US, PEER, THIRD] {
                while let Some(event) = exchange.event_now(party) {
                    let Event::Session { call, event } = event else { panic!("{event:?}") };
                    match event {
                        SessionEvent::TransferRequested { .. } => {
                            let new_call = exchange.endpoint(party).next_call_key();
                            let offer = b"offer".to_vec();
                            exchange.command(party, Command::AcceptTransfer { call, new_call, offer });
                        }
                        SessionEvent::Incoming(_) => {
                            exchange.command(party, Command::Answer { call, sdp: b"answer".to_vec() });
                        }
                        SessionEvent::Answered { .. } | SessionEvent::Established { .. } => calls.push((party, call)),
                        SessionEvent::Ended { .. } => calls.retain(|known| *known != (party, call)),
                        SessionEvent::Transfer(TransferProgress::Succeeded) => {
                            connected += 1;
                            exchange.command(US, Command::Hangup { call: to_peer });
                        }
                        _ => {}
                    }
                }
            }
        }
        for (party, call) in calls {
            exchange.command(party, Command::Hangup { call });
        }
        for call in [to_peer, to_third] {
            exchange.command(US, Command::Hangup { call });
        }
        exchange.fault = None;
        exchange.run_for(Duration::from_secs(100));
        for party in [US, PEER, THIRD] {
            let usage = exchange.endpoint(party).usage();
            assert!(usage.transactions == 0, "seed {seed}: {party} {usage:?}\n{}", exchange.trace);
        }
        assert_eq!(exchange.endpoint(US).usage().sessions, 0, "seed {seed}\n{}", exchange.trace);
    }
    println!("{connected} of 100 transfers were told to have succeeded");
    assert!(connected > 80, "{connected}");
}

/// An INVITE of a stranger with that `Replaces`.
fn replacing_invite(number: u32, replaces: &str) -> Vec<u8> {
    format!(
        "INVITE {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKr{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=x{number}\r\nTo: <{}>\r\nCall-ID: r{number}\r\nCSeq: 1 INVITE\r\n\
         Contact: <{}>\r\nRequire: replaces\r\n{replaces}\r\n",
        uri(US),
        address(PEER),
        uri(US),
        uri(PEER)
    )
    .into_bytes()
}

#[test]
fn a_replaces_that_fits_no_call_is_refused() {
    let mut exchange = us_and_a_scripted_peer();
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    let envelope = invite.envelope().unwrap();
    let (id, tag) = (&envelope.call_id, envelope.from.tag().unwrap());
    let good = format!("Replaces: {id};to-tag={tag};from-tag=scripted");
    let cases = [
        (format!("Replaces: {id};to-tag=guessed;from-tag=scripted\r\n"), 481),
        (format!("Replaces: {id};to-tag={tag};from-tag=guessed\r\n"), 481),
        (format!("Replaces: guessed;to-tag={tag};from-tag=scripted\r\n"), 481),
        (format!("Replaces: {id}\r\n"), 400),
        (format!("{good}\r\n{good}\r\n"), 400),
        (format!("{good}\r\nJoin: {id};to-tag={tag};from-tag=scripted\r\n"), 400),
        (format!("{good};early-only\r\n"), 486),
    ];
    for (number, (replaces, status)) in (0..).zip(cases) {
        exchange.send(PEER, US, replacing_invite(number, &replaces));
        assert_eq!(status_of_reply(&mut exchange, Method::Invite), status, "{replaces}");
    }
    assert_eq!(exchange.event_now(US), None);
    // It is about to end.
    exchange.command(US, Command::Hangup { call: ours });
    exchange.send(PEER, US, replacing_invite(50, &format!("{good}\r\n")));
    assert_eq!(status_of_reply(&mut exchange, Method::Invite), 603);
}

#[test]
fn a_call_of_ours_that_rings_may_be_picked_up_by_another() {
    let mut exchange = us_and_a_scripted_peer();
    let ours = exchange.call(US, &uri(PEER));
    let invite = exchange.request(PEER, Method::Invite);
    exchange.answer(PEER, US, &invite, 180);
    assert_eq!(exchange.session_event(US), (ours, SessionEvent::Ringing));
    let envelope = invite.envelope().unwrap();
    let (id, tag) = (envelope.call_id, envelope.from.tag().unwrap());
    let replaces = format!("Replaces: {id};to-tag={tag};from-tag=scripted;early-only\r\n");
    exchange.send(PEER, US, replacing_invite(1, &replaces));
    let (call, Incoming { replaces, .. }) = incoming(&mut exchange, US);
    assert_eq!(replaces, Some(ours));
    exchange.command(US, Command::Answer { call, sdp: b"offer".to_vec() });
    assert_eq!(ended(&mut exchange, US), (ours, EndCause::Replaced));
    exchange.request(PEER, Method::Cancel);
}

#[test]
fn a_call_of_another_account_is_not_replaced() {
    const PBX: Party = 8;
    let mut exchange = us_and_a_scripted_peer();
    exchange.add_scripted(PBX);
    exchange.names.insert("pbx.example".into(), vec![PBX]);
    let (ours, invite) = exchange.connect_scripted(US, PEER);
    let account = Account {
        id: AccountId(0),
        registrar: "pbx.example".into(),
        port: None,
        domain: "pbx.example".into(),
        username: "100".into(),
        credentials: Vec::new(),
        transport: Some(Transport::Udp),
        expires: Some(Duration::from_secs(3600)),
        access: Vec::new(),
        numbering: Numbering::default(),
    };
    exchange.command(US, Command::Register(account));
    let register = exchange.request(PBX, Method::Register);
    exchange.answer(PBX, US, &register, 200);
    loop {
        if let Event::Registration { state: RegistrationState::Registered { .. }, .. } = exchange.event(US) {
            break;
        }
    }
    let envelope = invite.envelope().unwrap();
    let tag = envelope.from.tag().unwrap();
    let replaces = format!("Replaces: {};to-tag={tag};from-tag=scripted\r\n", envelope.call_id);
    let text = String::from_utf8(replacing_invite(1, &replaces)).unwrap();
    exchange.send(PBX, US, text.replace("192.0.2.2", "192.0.2.8").into_bytes());
    assert_eq!(exchange.response(PBX, Method::Invite).status, 403);
    // From where the call itself may come from it is taken, but ends nothing before it is answered.
    exchange.send(PEER, US, replacing_invite(2, &replaces));
    let (call, Incoming { replaces, .. }) = incoming(&mut exchange, US);
    assert_eq!(replaces, Some(ours));
    exchange.command(US, Command::Reject { call, status: 486, retry_after: None });
    assert_eq!(ended(&mut exchange, US).0, call);
    exchange.run_for(Duration::from_secs(60));
    assert_eq!(exchange.count_sent(US, "BYE"), 0);
}
