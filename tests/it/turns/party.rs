//! Somebody on the line who is no person.

use super::*;
use crate::support::silero::silero;
use crate::support::speech::by_telephone;
use secretary::call::EndedBy;
use secretary::call::party::words::Kind;

/// A call whose other side plays a recording over and over once it is greeted.
fn plays(file: &str, seconds: u64) -> Line {
    let mut line = Line::greeted(Engines { vad: silero, ..Engines::default() });
    let sound = by_telephone(file);
    let end = line.now + Duration::from_secs(seconds);
    while line.now < end && line.ended.is_none() {
        line.caller.play(0, &sound);
        line.run(sound.len() as u64 / 8);
    }
    line
}

#[test]
fn tones_that_nobody_follows_end_the_call() {
    for file in ["ns_busy.wav", "ns_fax_cng.wav"] {
        let line = plays(file, 30);
        assert_eq!(line.ended, Some(EndedBy::Machine), "{file}");
        assert!(line.hung_up && line.elapsed() < Duration::from_secs(20), "{file}: {:?}", line.elapsed());
        assert_eq!(line.spoken.len(), 1, "{:?}", line.spoken);
    }
}

#[test]
fn music_and_ringing_are_waited_out_in_silence_but_not_for_ever() {
    for file in ["ns_hold_music.wav", "ns_ringback.wav"] {
        let line = plays(file, 120);
        assert_eq!((line.ended, line.asked.len()), (Some(EndedBy::Machine), 0), "{file}: {:?}", line.spoken);
        let limit = u64::from(TurnConfig::default().machine_s);
        assert!((limit..limit + 30).contains(&line.elapsed().as_secs()), "{file}: {:?}", line.elapsed());
        assert!(line.spoken.len() <= 2, "{:?}", line.spoken);
    }
}

#[test]
fn one_who_comes_after_the_music_is_answered() {
    let mut line = plays("ns_hold_music.wav", 20);
    line.engines.texts = ["Это снова я, сколько стоит доставка"].into();
    line.caller.play(0, &by_telephone("ru_real_0308.wav"));
    line.run_until(20, |line| line.turns.iter().any(|turn| turn.heard_text == line.engines.answer));
    line.run(70_000);
    assert_ne!(line.ended, Some(EndedBy::Machine), "he is there, and the music forgotten");
}

#[test]
fn a_menu_gets_the_key_for_a_person_once_and_no_answer() {
    let menu = "Для отдела продаж нажмите один, для соединения с оператором нажмите ноль";
    let mut line = Line::greeted(Engines { texts: vec![menu; 20].into(), ..Engines::default() });
    while line.ended.is_none() {
        line.say(4_000);
        line.run(2_000);
        assert!(line.elapsed() < Duration::from_secs(120));
    }
    assert_eq!((line.ended, line.pressed.as_str(), line.asked.len()), (Some(EndedBy::Machine), "0", 0));
    assert_eq!((line.turns[1].machine, line.turns[1].caller_text.as_str()), (Some(Kind::Menu), menu));
}

#[test]
fn a_menu_after_music_gets_its_key_too() {
    let menu = "Для соединения с оператором нажмите ноль";
    let mut line = plays("ns_hold_music.wav", 20);
    line.engines.texts = vec![menu; 5].into();
    line.caller.play(0, &by_telephone("ru_real_0308.wav"));
    line.run(8_000);
    assert_eq!((line.pressed.as_str(), line.asked.len()), ("0", 0));
}

#[test]
fn one_who_comes_in_the_last_moment_is_heard_out() {
    let mut line = plays("ns_hold_music.wav", 60);
    line.engines.texts = ["Это снова я, сколько стоит доставка"].into();
    assert_eq!(line.ended, None);
    line.caller.play(0, &by_telephone("ru_real_0722.wav"));
    line.run_until(20, |line| line.turns.iter().any(|turn| turn.heard_text == line.engines.answer));
    assert_eq!(line.ended, None);
}

#[test]
fn one_who_says_the_same_again_and_again_is_a_recording() {
    let text = "Вам одобрен кредит на выгодных условиях";
    let mut line = Line::greeted(Engines { texts: vec![text; 30].into(), ..Engines::default() });
    while line.ended.is_none() {
        line.say(2_000);
        line.run(6_000);
        assert!(line.elapsed() < Duration::from_secs(180));
    }
    assert_eq!((line.ended, line.asked.len()), (Some(EndedBy::Machine), 3), "{:?}", line.asked);
}
