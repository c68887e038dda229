//! Whole calls in virtual time.

mod keys;
mod life;

use std::time::{Duration, Instant};

use secretary::call::{EndedBy, Expects, Input, MediaAddress, turn::TurnConfig};
use secretary::engine::Language;
use secretary::sip::{EndCause, Reason, SessionEvent};

use crate::support::line::{Engines, Line, Network, loud_ms, offer, offer_at, tone};

#[test]
fn the_greeting_starts_within_300_ms_of_the_answer() {
    let line = Line::greeted(Engines::default());
    let latency = line.turns[0].latency.answer_to_first_audio_ms.unwrap();
    assert!(latency <= 300, "{latency} ms");
    assert_eq!(line.turns[0].heard_text, "Здравствуйте! Чем могу помочь?");
}

#[test]
fn a_caller_whose_ack_is_lost_is_greeted_all_the_same() {
    let mut line = Line::new(1, Network::default(), Engines::default());
    line.run_until(10, |line| line.turns.len() == 1);
}

#[test]
fn a_question_is_answered_and_recorded() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.run(500);
    line.say(2_000);
    line.run_until(20, |line| line.turns.len() == 2);
    let turn = &line.turns[1];
    assert_eq!((turn.number, turn.caller_text.as_str()), (1, "До скольки вы работаете"));
    assert_eq!(turn.heard_text, line.engines.answer);
    // 700 ms of silence end the turn; words, answer and voice came meanwhile.
    let latency = turn.latency.speech_end_to_first_audio_ms.unwrap();
    assert!((700..800).contains(&latency), "{latency} ms");
    assert_eq!(line.recorded.0.len(), line.recorded.1.len());
    let heard = loud_ms(&line.recorded.0);
    assert!((1_960..=2_060).contains(&heard), "{heard} ms of the caller's speech were recorded");
}

#[test]
fn lost_doubled_and_late_packets_lose_no_words() {
    for seed in 0..20 {
        let network = Network { loss: 0.1, doubling: 0.1, jitter: Duration::from_millis(50) };
        let engines =
            Engines { texts: ["Соедините меня с бухгалтерией"].into(), ..Engines::default() };
        let mut line = Line::greeted_over(seed, network, engines);
        line.say(3_000);
        line.run_until(30, |line| line.turns.len() == 2);
        let heard = loud_ms(&line.recorded.0);
        assert!((2_800..=3_200).contains(&heard), "seed {seed}: {heard} ms of 3000 were heard");
        assert_eq!(line.turns[1].caller_text, "Соедините меня с бухгалтерией");
        assert_eq!(line.turns[1].heard_text, line.engines.answer, "seed {seed}");
    }
}

#[test]
fn two_runs_with_one_seed_are_identical() {
    let network = Network { loss: 0.2, doubling: 0.2, jitter: Duration::from_millis(80) };
    let engines = Engines { texts: ["Добрый день, это доставка"].into(), ..Engines::default() };
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    let start = Instant::now();
    let run = || {
        let mut line = Line::at(start, 7, network, engines.clone());
        line.session(SessionEvent::Established { sdp: None });
        line.run(3_000);
        line.say(1_500);
        line.run(10_000);
        (line.recorded, line.turns, line.caller_heard)
    };
    let (first, second) = (run(), run());
    assert!(first == second);
    assert!(!first.1.is_empty());
}

#[test]
fn a_short_pause_does_not_end_the_turn() {
    let mut line = Line::greeted(Engines {
        texts: ["Первая и вторая половина фразы"].into(), ..Engines::default()
    });
    line.say(1_000);
    line.run(500);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.cancelled.len(), 1, "what was transcribed at the pause is thrown away");
    assert_eq!(line.asked.len(), 1);
}

#[test]
fn a_long_story_is_transcribed_piece_by_piece() {
    let mut line = Line::greeted(Engines {
        texts: ["Первая часть рассказа,", "вторая часть."].into(),
        ..Engines::default()
    });
    line.say(16_000);
    line.run(500);
    line.say(3_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "Первая часть рассказа, вторая часть.");
    assert!(line.cancelled.is_empty());
    assert!((2_900..4_000).contains(&line.parts_ms[1]), "{:?}", line.parts_ms);
}

#[test]
fn one_who_never_pauses_loses_nothing() {
    let mut line = Line::greeted(Engines { texts: ["раз", "два", "три"].into(), ..Engines::default() });
    line.say(58_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "раз два три");
    let heard: u64 = line.parts_ms.iter().sum();
    assert!((57_900..58_200).contains(&heard), "{:?}", line.parts_ms);
}

#[test]
fn a_number_is_dictated_with_long_pauses() {
    let engines = Engines {
        texts: ["Запишите мой номер телефона", "Восемь девятьсот", "Восемь девятьсот шестнадцать"].into(),
        expects: Expects::Number,
        answer: "Диктуйте.",
        ..Engines::default()
    };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    line.say(1_000);
    line.run(1_200);
    assert_eq!(line.asked.len(), 1, "the pause inside the number did not end the turn");
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 3);
}

#[test]
fn a_caller_who_goes_on_before_the_answer_is_heard_out() {
    let texts = ["Я хотел бы узнать", "Я хотел бы узнать, сколько стоит доставка"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_millis(900)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(5, |line| line.asked.len() == 1);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "Я хотел бы узнать, сколько стоит доставка");
    assert_eq!(line.asked.len(), 2);
    // What he said before is read again together with the rest: Whisper understands a whole better than its pieces.
    assert!(line.parts_ms[1] >= 1_900, "{:?}", line.parts_ms);
    assert_eq!(line.spoken.iter().filter(|text| **text == line.engines.answer).count(), 1, "{:?}", line.spoken);
}

#[test]
fn a_caller_who_interrupts_is_heard_and_what_he_missed_was_not_said() {
    let words = "Нет, подождите минуту";
    let texts = ["До скольки вы работаете", words, words].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.turns.len() == 1 && line.spoken.len() == 2);
    line.run(1_500);
    line.caller.play(0, &tone(1_500));
    let before = line.caller_heard.len();
    line.run(2_000);
    assert_eq!(line.turns.len(), 2, "the answer was cut off");
    let turn = &line.turns[1];
    assert!(!turn.heard_text.is_empty() && turn.heard_text.len() < turn.secretary_text.len(), "{turn:?}");
    // The onset takes 96 ms, the bound is 300 ms of speech, the jitter buffers of both sides hold 60 ms each.
    let went_on = loud_ms(&line.caller_heard[before..]);
    assert!(went_on <= 600, "she went on for {went_on} ms");
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, words);
}

#[test]
fn a_cough_does_not_interrupt() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(700);
    line.say(240);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    line.run(2_000);
    assert_eq!(line.turns.len(), 2, "and it is no turn of its own");
}

#[test]
fn a_bye_while_she_speaks_keeps_what_was_heard() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(1_500);
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.ended, Some(EndedBy::Caller));
    assert!(!line.hung_up, "his BYE is not answered by one of ours");
    let turn = &line.turns[1];
    assert!(!turn.heard_text.is_empty() && turn.heard_text.len() < turn.secretary_text.len(), "{turn:?}");
    assert_eq!(line.call.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn the_last_words_before_a_hang_up_are_transcribed() {
    let mut line =
        Line::greeted(Engines { texts: ["Передайте что я заболел"].into(), ..Engines::default() });
    line.say(2_000);
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.ended, None);
    line.run_until(5, |line| line.ended.is_some());
    assert_eq!(line.turns[1].caller_text, "Передайте что я заболел");
}

#[test]
fn a_goodbye_is_heard_before_the_bye() {
    let engines =
        Engines { texts: ["Спасибо, до свидания"].into(), hang_up: true, ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run_until(20, |line| line.ended.is_some());
    assert!(line.hung_up);
    assert_eq!(line.ended, Some(EndedBy::Secretary));
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn a_silent_caller_is_asked_twice_and_then_left() {
    let mut line = Line::greeted(Engines::default());
    line.run_until(60, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::Silence));
    let heard: Vec<&str> = line.turns.iter().skip(1).map(|turn| turn.heard_text.as_str()).collect();
    assert_eq!(heard, ["Вы слышите меня?", "Алло?", "Вас не слышно, до свидания."]);
}

#[test]
fn a_slow_dialog_is_bridged_by_a_filler() {
    let texts = ["Сколько стоит консультация"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_secs(3)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.spoken[1], "Секунду…");
    assert_eq!(line.turns[1].secretary_text, line.engines.answer, "the filler is no part of the answer");
    let filler = line.turns[1].latency.speech_end_to_filler_ms.unwrap();
    assert!((1_900..2_100).contains(&filler), "{filler} ms");
}

#[test]
fn engines_that_never_answer_do_not_leave_dead_air() {
    for (hearing, thinking) in [(None, Some(Duration::ZERO)), (Some(Duration::ZERO), None)] {
        let texts = ["Сколько стоит консультация"].into();
        let mut line = Line::greeted(Engines { hearing, thinking, texts, ..Engines::default() });
        line.say(1_000);
        line.run_until(30, |line| line.turns.last().unwrap().heard_text == "Простите, я не расслышала.");
        assert_eq!(line.spoken[1], "Секунду…");
        let understood = line.turns.iter().any(|turn| turn.caller_text == "Сколько стоит консультация");
        assert_eq!(understood, hearing.is_some(), "what was understood is in the record: {:?}", line.turns);
        line.run(2_000);
        assert_eq!(line.ended, None);
    }
}

#[test]
fn speech_without_words_is_asked_for_again_but_not_for_ever() {
    let mut line = Line::greeted(Engines::default());
    for _ in 0..4 {
        line.say(1_500);
        line.run(5_000);
    }
    let asked = line.spoken.iter().filter(|text| *text == "Простите, я не расслышала.").count();
    assert_eq!(asked, 2);
}

#[test]
fn the_caller_chooses_the_language() {
    let engines = Engines { texts: ["What time do you close today"].into(), answer: "At six.", ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].language, Language::En);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].heard_text, "Can you hear me?");
}

#[test]
fn hold_and_a_useless_offer_keep_the_call() {
    let mut line = Line::greeted(Engines::default());
    line.session(SessionEvent::Offer { sdp: Some(offer("sendonly")) });
    assert!(String::from_utf8_lossy(&line.answered_offers[0]).contains("a=recvonly"));
    line.session(SessionEvent::Offer { sdp: Some(b"v=0\r\nnonsense".to_vec()) });
    assert_eq!(line.rejected_offers, 1);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
    line.run(1_000);
    assert_eq!(line.ended, None);
    assert_eq!(line.answered_offers.len(), 2);
}

#[test]
fn one_who_holds_us_is_not_talked_to_and_not_held_for_ever() {
    let mut line = Line::greeted(Engines {
        texts: ["Подождите минуту, пожалуйста"].into(), ..Engines::default()
    });
    line.session(SessionEvent::Offer { sdp: Some(offer("inactive")) });
    line.run(120_000);
    assert_eq!((line.turns.len(), line.spoken.len()), (1, 1), "{:?}", line.spoken);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendonly")) });
    line.run_until(7_300, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::TimeLimit));
    assert!(line.hung_up);
}

#[test]
fn an_hour_on_hold_with_music_costs_neither_words_nor_the_call() {
    let held = [offer("sendonly"), offer("inactive"), offer_at("0.0.0.0", "sendrecv")];
    for held in held {
        let texts = ["Подождите минуту", "Вот и я"].into();
        let mut line = Line::greeted(Engines { texts, ..Engines::default() });
        line.say(1_000);
        line.session(SessionEvent::Offer { sdp: Some(held) });
        // Music that sounds like speech, as a PBX plays it.
        for _ in 0..360 {
            line.caller.play(0, &tone(8_000));
            line.run(10_000);
        }
        assert_eq!((line.ended, line.asked.len()), (None, 1), "{:?}", line.asked);
        let before = line.caller_heard.len();
        line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
        line.run_until(20, |line| line.turns.len() == 2);
        assert_eq!(line.turns[1].heard_text, line.engines.answer, "what she was about to say is said now");
        assert!(loud_ms(&line.caller_heard[before..]) > 3_000);
        line.say(1_000);
        line.run_until(20, |line| line.turns.len() == 3);
        assert_eq!((line.turns[2].caller_text.as_str(), line.ended), ("Вот и я", None));
        line.run_until(10, |line| line.spoken.last().is_some_and(|text| text == "Вы слышите меня?"));
    }
}

#[test]
fn she_puts_the_caller_on_hold_and_takes_him_off_it() {
    let mut line = Line::greeted(Engines { texts: ["Да, слушаю"].into(), ..Engines::default() });
    line.call.handle_input(line.now, Input::Hold);
    line.drain();
    assert!(String::from_utf8_lossy(&line.offers[0]).contains("a=sendonly"));
    line.session(SessionEvent::OfferAnswered { sdp: offer("recvonly") });
    line.say(2_000);
    line.run(3_600_000);
    assert_eq!((line.ended, line.asked.len(), line.spoken.len()), (None, 0, 1), "{:?}", line.spoken);
    line.call.handle_input(line.now, Input::Resume);
    line.drain();
    let version = |sdp: &[u8]| String::from_utf8_lossy(sdp).lines().nth(1).map(str::to_owned);
    assert!(String::from_utf8_lossy(&line.offers[1]).contains("a=sendrecv"));
    assert_ne!(version(&line.offers[0]), version(&line.offers[1]), "RFC 3264 §8: each change has a version of its own");
    line.session(SessionEvent::OfferAnswered { sdp: offer("sendrecv") });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn a_hold_that_is_refused_is_none() {
    let mut line = Line::greeted(Engines { texts: ["Слушаю вас"].into(), ..Engines::default() });
    line.call.handle_input(line.now, Input::Hold);
    line.drain();
    line.session(SessionEvent::OfferRefused { status: 488 });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn a_resumption_that_overtakes_the_hold_and_is_refused_leaves_her_heard() {
    let mut line = Line::greeted(Engines { texts: ["Слушаю вас"].into(), ..Engines::default() });
    line.call.handle_input(line.now, Input::Hold);
    line.call.handle_input(line.now, Input::Resume);
    line.drain();
    line.session(SessionEvent::OfferRefused { status: 488 });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

/// The media of somebody else's session, and ours in it.
const NEW_PARTY: &str = "192.0.2.30";
const NEW_PORT: u16 = 10_002;

fn our_new_side() -> MediaAddress {
    MediaAddress { address: [192, 0, 2, 10].into(), port: NEW_PORT, rtcp_port: None }
}

#[test]
fn sent_to_somebody_else_she_goes_on_talking_with_him() {
    let texts = ["Соедините меня с бухгалтерией", "Бухгалтерия слушает"].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    let offered = line.call.offer_move(our_new_side(), 99);
    assert!(String::from_utf8_lossy(&offered).contains("m=audio 10002 "), "a port of its own");
    line.run(3_000);
    assert_eq!((line.ended, line.moved_to), (None, None), "until he answers nothing changes");
    line.moves_to(NEW_PARTY);
    line.call.handle_input(line.now, Input::Moved { sdp: offer_at(NEW_PARTY, "sendrecv") });
    line.drain();
    let greetings =
        |line: &Line| line.turns.iter().filter(|t| t.heard_text == "Здравствуйте! Чем могу помочь?").count();
    line.run_until(20, |line| greetings(line) == 2);
    line.say(1_500);
    line.run_until(20, |line| line.turns.last().is_some_and(|turn| turn.caller_text == "Бухгалтерия слушает"));
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
    assert_eq!(line.ended, Some(EndedBy::Caller));
}

#[test]
fn one_who_hangs_up_after_sending_us_on_is_waited_out_in_silence() {
    let mut line = Line::greeted(Engines::default());
    line.call.offer_move(our_new_side(), 99);
    line.call.handle_input(line.now, Input::PeerLeft);
    let sent = line.sent_packets;
    line.run(60_000);
    assert_eq!((line.sent_packets - sent, line.spoken.len(), line.ended), (0, 1, None));
    line.moves_to(NEW_PARTY);
    line.call.handle_input(line.now, Input::Moved { sdp: offer_at(NEW_PARTY, "sendrecv") });
    line.drain();
    line.run_until(20, |line| line.turns.len() == 2);
    assert!(loud_ms(&line.caller_heard) > 3_000, "both greetings were heard");
}

#[test]
fn somebody_takes_the_callers_place_and_is_greeted_once_he_is_there() {
    let texts = ["Алло, это Пётр"].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    line.caller.play(0, &tone(60_000));
    line.run(1_000);
    line.moves_to(NEW_PARTY);
    let now = line.now;
    let answer = line.call.answer_move(now, our_new_side(), 99, Some(&offer_at(NEW_PARTY, "sendrecv"))).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("m=audio 10002 "));
    line.drain();
    let sent = line.sent_packets;
    line.run(200);
    assert_eq!(line.sent_packets, sent, "nothing goes to an address that has not proved itself");
    line.caller.stop_playing();
    line.session(SessionEvent::Established { sdp: None });
    line.run_until(20, |line| line.spoken.len() == 2 && line.turns.last().unwrap().heard_text == line.spoken[1]);
    assert_eq!(line.spoken[1], "Здравствуйте! Чем могу помочь?");
    line.say(1_500);
    line.run_until(20, |line| line.turns.last().is_some_and(|turn| turn.caller_text == "Алло, это Пётр"));
    assert_eq!(line.ended, None);
}

#[test]
fn one_whose_offer_is_of_no_use_takes_nobodys_place() {
    let mut line = Line::greeted(Engines { texts: ["Я ещё здесь"].into(), ..Engines::default() });
    assert!(line.call.answer_move(line.now, our_new_side(), 99, Some(b"nonsense")).is_err());
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn a_call_that_somebody_else_took_is_told_from_one_that_was_given_up() {
    let reason = |protocol: &str, cause| Some(Reason { protocol: protocol.to_owned(), cause: Some(cause), text: None });
    for (reason, by) in [
        (reason("SIP", 200), EndedBy::Elsewhere),
        (reason("Q.850", 26), EndedBy::Elsewhere),
        (reason("Q.850", 16), EndedBy::Caller),
        (None, EndedBy::Caller),
    ] {
        let mut line = Line::new(1, Network::default(), Engines::default());
        line.session(SessionEvent::Ended { cause: EndCause::Cancelled(reason) });
        assert_eq!(line.ended, Some(by));
    }
}

#[test]
fn a_backchannel_while_she_thinks_does_not_begin_anew() {
    let texts = ["Сколько стоит консультация"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_secs(3)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(600);
    line.say(240);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!((line.asked.len(), line.turns[1].heard_text.as_str()), (1, line.engines.answer));
}

#[test]
fn an_answer_that_breaks_off_without_a_word_ends_all_the_same() {
    let mut line =
        Line::greeted(Engines {
            texts: ["Сколько стоит консультация"].into(), thinking: None, ..Engines::default()
        });
    line.say(1_000);
    line.run_until(5, |line| line.asked.len() == 1);
    let (turn, _) = line.asked[0];
    line.call.handle_input(line.now, Input::Sentence { turn, text: "Консультация стоит".to_owned() });
    line.drain();
    line.run_until(40, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, "Консультация стоит");
}

#[test]
fn sound_goes_nowhere_before_the_caller_is_known_to_be_there() {
    let mut line = Line::new(1, Network { loss: 1.0, ..Network::default() }, Engines::default());
    line.run(10_000);
    assert_eq!(line.sent_packets, 0);
    line.session(SessionEvent::Established { sdp: None });
    line.run(1_000);
    assert!(line.sent_packets >= 49, "{}", line.sent_packets);
}

#[test]
fn an_hour_of_talk_over_a_bad_network_loses_no_turn_and_no_time() {
    let network = Network { loss: 0.01, doubling: 0.01, jitter: Duration::from_millis(30) };
    let turn = TurnConfig { max_call_s: 4_000, ..TurnConfig::default() };
    let engines = Engines {
        texts: vec!["Расскажите ещё что-нибудь"; 1_000].into(), turn, ..Engines::default()
    };
    let mut line = Line::greeted_over(3, network, engines);
    let mut said = 0;
    while line.elapsed() < Duration::from_secs(3_600) {
        line.say(1_000);
        said += 1;
        line.run_until(30, |line| line.turns.len() == 1 + said);
        line.run(1_000);
    }
    assert!(said > 400 && line.turns[1..].iter().all(|turn| turn.heard_text == line.engines.answer), "{said} turns");
    let recorded_ms = line.recorded.0.len() as u64 / 8;
    let elapsed_ms = line.elapsed().as_millis() as u64;
    assert!(elapsed_ms.abs_diff(recorded_ms) <= 20, "{recorded_ms} ms of {elapsed_ms} ms were recorded");
    assert_eq!(line.recorded.0.len(), line.recorded.1.len());
    let (sent_ms, heard_ms) = (said as u64 * 1_000, loud_ms(&line.recorded.0));
    println!("{said} turns; of {sent_ms} ms of speech {heard_ms} ms were heard; {:?}", line.call.quality());
    // The frames at both ends of an utterance are loud as a whole.
    assert!(heard_ms.abs_diff(sent_ms) <= sent_ms / 50 + 20 * said as u64);
}

#[test]
fn the_longest_call_ends_with_a_goodbye() {
    let texts = vec!["Расскажите ещё что-нибудь"; 2_000].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    while line.ended.is_none() {
        line.say(1_000);
        line.run(6_000);
        assert!(line.elapsed() < Duration::from_secs(1_900));
    }
    assert_eq!(line.ended, Some(EndedBy::TimeLimit));
    assert!(line.elapsed() > Duration::from_secs(1_800));
    assert_eq!(line.turns.last().unwrap().heard_text, "До свидания.");
    assert!(line.recorded.0.len() > 1_800 * 8_000);
}

#[test]
fn a_stopping_program_ends_the_call_at_once() {
    let mut line = Line::greeted(Engines { hearing: None, ..Engines::default() });
    line.say(2_000);
    line.call.handle_input(line.now, Input::HangUp(EndedBy::Shutdown));
    line.drain();
    assert!(line.hung_up);
    assert_eq!(line.ended, Some(EndedBy::Shutdown));
}
