//! Whether the caller is still there, and how the call sounded.

use secretary::rtp::quality::Quality;

use super::*;
use crate::support::line::MEDIA_TIMEOUT;

#[test]
fn a_call_whose_caller_is_gone_ends_as_dead() {
    let mut line = Line::greeted(Engines::default());
    line.is_dead = true;
    // What she says herself does not count, and she has not given up on his silence before.
    let since = line.elapsed();
    for _ in 0..40 {
        line.call.handle_input(line.now, Input::Session(SessionEvent::Digit { digit: '5', duration: Duration::ZERO }));
        line.run(1_000);
        if line.ended.is_some() {
            break;
        }
    }
    assert_eq!((line.ended, line.hung_up), (Some(EndedBy::NoMedia), true));
    let waited = line.elapsed() - since;
    assert!(waited >= MEDIA_TIMEOUT && waited <= MEDIA_TIMEOUT + Duration::from_secs(2), "{waited:?}");
}

#[test]
fn reports_alone_show_that_he_is_still_there() {
    let mut line = Line::greeted(Engines::default());
    line.caller.set_send(false);
    for _ in 0..60 {
        line.call.handle_input(line.now, Input::Session(SessionEvent::Digit { digit: '5', duration: Duration::ZERO }));
        line.run(1_000);
    }
    assert_eq!(line.ended, None);
}

#[test]
fn one_on_hold_may_be_silent_and_is_waited_for_afterwards() {
    // He holds us, we hold him, he only listens.
    for direction in ["sendonly", "inactive", "ours", "recvonly"] {
        let mut line = Line::greeted(Engines::default());
        match direction {
            "ours" => {
                line.call.handle_input(line.now, Input::Hold);
                line.drain();
                line.session(SessionEvent::OfferAnswered { sdp: offer("recvonly") });
            }
            _ => line.session(SessionEvent::Offer { sdp: Some(offer(direction)) }),
        }
        line.is_dead = true;
        let keep_talking = |line: &mut Line, seconds: u32| {
            for _ in 0..seconds {
                let digit = SessionEvent::Digit { digit: '5', duration: Duration::ZERO };
                line.call.handle_input(line.now, Input::Session(digit));
                line.run(1_000);
            }
        };
        keep_talking(&mut line, 120);
        assert_eq!(line.ended, None, "{direction}");
        match direction {
            "ours" => {
                line.call.handle_input(line.now, Input::Resume);
                line.drain();
                line.session(SessionEvent::OfferAnswered { sdp: offer("sendrecv") });
            }
            _ => line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) }),
        }
        keep_talking(&mut line, 28);
        assert_eq!(line.ended, None, "{direction}: he has time to begin again");
        keep_talking(&mut line, 4);
        assert_eq!(line.ended, Some(EndedBy::NoMedia), "{direction}");
    }
}

#[test]
fn one_who_never_sent_anything_is_not_hung_up_on_for_it() {
    let mut line = Line::new(1, Network::default(), Engines::default());
    line.is_dead = true;
    line.session(SessionEvent::Established { sdp: None });
    for _ in 0..90 {
        line.call.handle_input(line.now, Input::Session(SessionEvent::Digit { digit: '5', duration: Duration::ZERO }));
        line.run(1_000);
    }
    assert_eq!(line.ended, None);
}

#[test]
fn the_quality_of_a_call_is_known_for_both_ways() {
    let network = Network { loss: 0.05, doubling: 0.0, jitter: Duration::from_millis(20) };
    let bad = quality_over(network);
    let good = quality_over(Network::default());
    println!("{good:?}\n{bad:?}");
    let sent = |quality: &Quality| quality.sent.unwrap();
    assert_eq!((good.lost, good.late, sent(&good).lost), (0, 0, 0));
    assert_eq!(good.round_trip_ms, Some(20.0), "10 ms each way");
    assert!(good.mos.unwrap() > 4.3 && sent(&good).mos > 4.3);
    assert!(good.jitter_ms.unwrap() < 1.0);
    let lost = bad.lost as f64 / (bad.lost + bad.received) as f64;
    assert!((0.03..0.07).contains(&lost), "{lost}");
    let far = sent(&bad).lost as f64 / sent(&bad).packets as f64;
    assert!((0.03..0.07).contains(&far), "{far}");
    // The mean difference of two delays of up to 20 ms is a third of it; our steps are of 5 ms.
    assert!((4.0..10.0).contains(&bad.jitter_ms.unwrap()) && (4.0..10.0).contains(&sent(&bad).jitter_ms));
    assert!((20.0..70.0).contains(&bad.round_trip_ms.unwrap()));
    assert!((3.0..4.1).contains(&bad.mos.unwrap()) && (3.0..4.1).contains(&sent(&bad).mos));
}

fn quality_over(network: Network) -> Quality {
    let texts = vec!["Расскажите ещё что-нибудь"; 20].into();
    let mut line = Line::greeted_over(3, network, Engines { texts, ..Engines::default() });
    for _ in 0..10 {
        line.say(2_000);
        line.run(4_000);
    }
    assert!((6..40).contains(&line.sent_reports), "{} in a minute", line.sent_reports);
    assert_eq!(line.ended, None);
    let sent = line.sent_reports;
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.sent_reports - sent, 1, "the last one says goodbye");
    line.call.quality()
}

#[test]
fn a_goodbye_of_his_reports_does_not_end_the_call() {
    let mut line = Line::greeted(Engines { texts: ["Я ещё здесь"].into(), ..Engines::default() });
    line.caller.say_goodbye(line.now);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!((line.ended, line.turns[1].heard_text.as_str()), (None, line.engines.answer));
}
