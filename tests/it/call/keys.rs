//! Keys that a caller presses, in each way that they are told.

use secretary::call::keys::Dtmf;

use super::*;

fn press(line: &mut Line, keys: &str) {
    for digit in keys.chars() {
        line.session(SessionEvent::Digit { digit, duration: Duration::from_millis(100) });
        line.run(400);
    }
}

fn press_in_rtp(line: &mut Line, keys: &str) {
    for key in keys.chars() {
        assert!(line.caller.press(key));
        line.run(400);
    }
}

/// As a PBX does that does not know what we take.
fn press_both_ways(line: &mut Line, keys: &str) {
    for digit in keys.chars() {
        assert!(line.caller.press(digit));
        line.run(350);
        line.session(SessionEvent::Digit { digit, duration: Duration::from_millis(160) });
        line.run(50);
    }
}

/// On a line that has tones alone.
fn press_in_the_sound(line: &mut Line, keys: &str) {
    for key in keys.chars() {
        assert!(!line.caller.press(key));
        let (low, high) = match key {
            '#' => (941.0, 1_477.0),
            '0' => (941.0, 1_336.0),
            '8' => (852.0, 1_336.0),
            '5' => (770.0, 1_336.0),
            _ => (697.0, 1_477.0),
        };
        let tone = |n: u32, hz: f64| (std::f64::consts::TAU * hz * f64::from(n) / 8_000.0).sin() * 5_000.0;
        let pcm: Vec<i16> = (0..800).map(|n| (tone(n, low) + tone(n, high)) as i16).collect();
        line.caller.play(0, &pcm);
        line.run(250);
    }
}

/// He is asked for a number, and does not wait for her to finish.
fn asked_for_a_number(network: Network, dtmf: Dtmf) -> Line {
    let engines = Engines {
        dtmf,
        texts: ["Запишите мой номер телефона"].into(),
        expects: Expects::Number,
        answer: "Диктуйте номер, я записываю.",
        ..Engines::default()
    };
    let mut line = Line::greeted_over(1, network, engines);
    line.say(1_000);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(500);
    line
}

#[test]
fn words_between_keys_are_not_lost() {
    for keys_after in ["", "16#"] {
        let mut line = asked_for_a_number(Network::default(), Dtmf::Rtp);
        press_in_rtp(&mut line, "89");
        line.engines.texts = ["Ой, не то"].into();
        line.say(1_500);
        press_in_rtp(&mut line, keys_after);
        line.run_until(20, |line| line.turns.len() == 3);
        let said = &line.turns[2].caller_text;
        assert!(said.contains("Ой, не то") && said.contains("89"), "{said:?}");
    }
    // A key alone that means nothing, and words that have begun.
    let mut line = asked_for_a_number(Network::default(), Dtmf::Rtp);
    press_in_rtp(&mut line, "*");
    line.run(1_400);
    line.engines.texts = ["Запишите номер"].into();
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, "Запишите номер");
}

#[test]
fn a_number_that_is_asked_for_can_be_typed() {
    type Press = fn(&mut Line, &str);
    let ways: [(Press, Dtmf); 4] = [
        (press, Dtmf::Info),
        (press_in_rtp, Dtmf::Rtp),
        (press_both_ways, Dtmf::Rtp),
        (press_in_the_sound, Dtmf::Inband),
    ];
    for (press, dtmf) in ways {
        for (keys, wait_ms) in [("88005553535#", 100), ("88005553535", 2_100)] {
            let mut line = asked_for_a_number(Network::default(), dtmf);
            press(&mut line, keys);
            line.run(wait_ms);
            assert_eq!(line.asked.last().map(|(_, text)| text.as_str()), Some("88005553535"));
            assert!(line.turns[1].heard_text.len() < line.turns[1].secretary_text.len(), "she stopped for him");
            line.run_until(20, |line| line.turns.len() == 3);
            assert_eq!((line.turns[2].caller_text.as_str(), line.turns[2].keys.as_str()), ("88005553535", keys));
        }
    }
}

#[test]
fn keys_in_rtp_survive_a_bad_network_and_are_no_loss_of_sound() {
    let network = Network { loss: 0.1, doubling: 0.1, jitter: Duration::from_millis(50) };
    let mut line = asked_for_a_number(network, Dtmf::Rtp);
    press_in_rtp(&mut line, "88005553535#");
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].keys, "88005553535#");

    let mut line = asked_for_a_number(Network::default(), Dtmf::Rtp);
    press_in_rtp(&mut line, "88005553535#");
    line.run(1_000);
    let stats = line.call.stream_stats();
    println!("{stats:?}");
    assert_eq!((stats.lost, stats.late, stats.resets, stats.concealed_ms), (0, 0, 0, 0));
}

#[test]
fn a_session_keeps_the_number_under_which_keys_come() {
    let mut line = Line::greeted(Engines::default());
    line.call.handle_input(line.now, Input::Hold);
    line.drain();
    let held = String::from_utf8_lossy(&line.offers[0]).into_owned();
    assert!(held.contains("a=rtpmap:96 telephone-event/8000"), "{held}");
    // A change of the session without an offer of his: it is ours again.
    line.session(SessionEvent::Offer { sdp: None });
    assert!(String::from_utf8_lossy(&line.answered_offers[0]).contains("a=rtpmap:96 telephone-event/8000"));
}

#[test]
fn keys_that_nobody_asked_for_are_noted_and_show_that_he_is_there() {
    let mut line = Line::greeted(Engines { texts: ["Я нажал пять"].into(), ..Engines::default() });
    line.run(7_000);
    press(&mut line, "5");
    line.run(6_000);
    assert_eq!((line.spoken.len(), line.asked.len()), (1, 0), "{:?}", line.spoken);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!((line.turns[1].caller_text.as_str(), line.turns[1].keys.as_str()), ("Я нажал пять", "5"));
    press(&mut line, "7#");
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.turns.last().unwrap().keys, "7#", "the last ones are in the record too");
}

#[test]
fn a_number_that_he_was_typing_when_he_hung_up_is_kept() {
    let texts = ["Запишите мой номер телефона"].into();
    let mut line = Line::greeted(Engines { texts, expects: Expects::Number, answer: "Да?", ..Engines::default() });
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    press(&mut line, "89161234567");
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.turns[2].caller_text, "89161234567");
}
