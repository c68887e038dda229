//! One caller too many, who can only leave a message.

use super::*;
use secretary::call::{EndedBy, Service};
use secretary::engine::worker::Priority;
use secretary::sip::{EndCause, SessionEvent};

const TEXTS: [&str; 2] = ["Меня зовут Анна Коваленко", "Передайте что я заболела"];

/// Recognition takes its time: others have theirs first.
fn asked_for_his_message(hearing_s: u64) -> Line {
    let line = Line::greeted(Engines {
        service: Service::Message,
        hearing: Some(Duration::from_secs(hearing_s)),
        texts: TEXTS.into(),
        ..Engines::default()
    });
    assert_eq!(line.turns[0].heard_text, "Скажите, что передать.");
    line
}

#[test]
fn his_words_are_kept_and_nobody_waits_for_them() {
    let mut line = asked_for_his_message(100);
    line.say(3_000);
    line.run(2_500);
    line.say(2_000);
    line.run_until(20, |line| line.hung_up);
    assert_eq!(line.spoken[1..], ["Спасибо, передам."]);
    assert_eq!((line.ended, line.turns.len()), (None, 1), "his words are still to come");
    line.run_until(300, |line| line.ended.is_some());
    let message = &line.turns[1];
    assert_eq!((line.ended, message.caller_text.as_str()), (Some(EndedBy::Secretary), TEXTS.join(" ").as_str()));
    assert_eq!(message.heard_text, "Спасибо, передам.");
    assert!(message.started_s > line.turns[0].started_s);
    assert!(line.wanted.iter().all(|wanted| wanted.priority == Priority::Background), "{:?}", line.wanted);
    assert_eq!(line.wanted.len(), 2, "no parts of what he says");
    assert!(line.asked.is_empty(), "nothing is answered");
}

#[test]
fn one_who_hangs_up_at_any_moment_has_left_what_he_said() {
    // While he speaks, in the silence after it, and while he is thanked.
    for after_ms in [0, 1_000, 8_300] {
        let mut line = asked_for_his_message(100);
        line.engines.texts = [TEXTS[1]].into();
        line.say(3_000);
        line.run(after_ms);
        line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
        line.run_until(300, |line| line.ended.is_some());
        assert_eq!(line.turns[1].caller_text, TEXTS[1], "{after_ms} ms");
    }
}

#[test]
fn what_he_says_over_the_request_is_part_of_his_message() {
    let mut line = Line::new(1, Default::default(), Engines { service: Service::Message, ..Engines::default() });
    line.engines.texts = [TEXTS[0]].into();
    line.session(SessionEvent::Established { sdp: None });
    line.run(300);
    line.say(2_000);
    line.run_until(30, |line| line.ended.is_some());
    assert_eq!(line.turns[0].heard_text, "Скажите, что передать.", "it is said to the end");
    assert_eq!(line.turns[1].caller_text, TEXTS[0]);
}

#[test]
fn one_who_says_nothing_is_left_and_a_hash_ends_the_message() {
    let mut line = asked_for_his_message(1);
    line.run_until(20, |line| line.ended.is_some());
    assert_eq!((line.ended, line.spoken[1].as_str()), (Some(EndedBy::Silence), "Вас не слышно, до свидания."));

    let mut line = asked_for_his_message(1);
    line.say(2_000);
    assert!(line.caller.press('#'));
    line.run_until(5, |line| line.hung_up);
    line.run_until(5, |line| line.ended.is_some());
    assert_eq!((line.ended, line.turns[1].caller_text.as_str()), (Some(EndedBy::Secretary), TEXTS[0]));
}

#[test]
fn short_words_wait_for_more_and_a_typed_number_is_part_of_the_message() {
    let mut line = asked_for_his_message(1);
    for _ in 0..3 {
        line.say(300);
        line.run(2_000);
    }
    for key in "123".chars() {
        assert!(line.caller.press(key));
        line.run(400);
    }
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    line.run_until(5, |line| line.ended.is_some());
    assert_eq!((line.wanted.len(), line.turns[1].caller_text.clone()), (2, format!("{} 123", TEXTS.join(" "))));
    assert!(line.parts_ms[0] >= 560 && line.parts_ms[1] >= 280, "two words and the last: {:?}", line.parts_ms);
}

#[test]
fn a_message_has_an_end() {
    let mut line = asked_for_his_message(1);
    for _ in 0..100 {
        if !line.hung_up {
            line.say(2_000);
            line.run(500);
        }
    }
    line.run_until(30, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::Secretary));
    let dictated_ms: u64 = line.parts_ms.iter().sum();
    assert!((120_000..160_000).contains(&dictated_ms), "{dictated_ms} ms of what he said within three minutes");
}
