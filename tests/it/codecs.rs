//! Whole calls in each codec, in virtual time: what is wide stays so from end to end, and a call keeps its rate.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use secretary::call::{Expects, Input};
use secretary::rtp::Rate;
use secretary::rtp::codec::{Codec, OpusTerms};
use secretary::sip::SessionEvent;

use crate::support::line::{Engines, Line, Network, loud_ms, offer};

fn engines(codec: Codec) -> Engines {
    Engines {
        codec, texts: VecDeque::from(["До скольки вы работаете", "А в субботу"]), ..Engines::default()
    }
}

/// How loud one frequency is in sound at 16 kHz, as an amplitude.
fn amplitude(pcm: &[i16], hz: f64) -> f64 {
    let sums = pcm.iter().enumerate().fold((0.0, 0.0), |(s, c), (n, &x)| {
        let (sin, cos) = (TAU * hz * n as f64 / 16_000.0).sin_cos();
        (s + f64::from(x) * sin, c + f64::from(x) * cos)
    });
    2.0 * sums.0.hypot(sums.1) / pcm.len().max(1) as f64
}

/// The second of sound in which a frequency is loudest.
fn loudest_second(pcm: &[i16], hz: f64) -> f64 {
    let seconds = pcm.windows(16_000).step_by(1_600);
    seconds.map(|second| amplitude(second, hz)).fold(0.0, f64::max)
}

#[test]
fn a_call_is_held_in_each_codec_at_the_rate_of_what_is_agreed() {
    for codec in Codec::ALL {
        for network in [Network::default(), Network { loss: 0.05, ..Network::default() }] {
            let mut line = Line::greeted_over(7, network, engines(codec));
            assert_eq!(line.call.rate(), codec.rate());
            line.say(2_000);
            line.run_until(20, |line| line.turns.len() == 2);
            assert_eq!(line.turns[1].heard_text, line.engines.answer, "{codec:?}");
            let (received, sent) = &line.recorded;
            assert_eq!(received.len(), sent.len());
            let seconds = received.len() as f64 / f64::from(line.call.rate().hz());
            assert!(
                (seconds - line.elapsed().as_secs_f64()).abs() < 0.1,
                "{codec:?}: {seconds} s of {:?}",
                line.elapsed()
            );
            let heard = loud_ms(received) / u64::from(line.call.rate().hz() / 8_000);
            assert!((1_800..=2_200).contains(&heard), "{codec:?}: {heard} ms of the caller's speech were recorded");
            let quality = line.call.quality();
            println!("{codec:?}: {quality:?}");
            assert!(quality.jitter_ms.unwrap() < 0.5, "by the clock of the codec");
            assert_eq!(quality.lost > 0, network.loss > 0.0);
        }
    }
}

#[test]
fn what_only_wide_sound_has_reaches_the_recogniser_the_record_and_the_caller() {
    for (codec, least) in [(Codec::G722, 3_000.0), (Codec::Opus, 500.0)] {
        let mut line = Line::greeted(engines(codec));
        let hiss: Vec<i16> =
            (0..32_000).map(|n| (6_000.0 * (TAU * 6_000.0 * f64::from(n) / 16_000.0).sin()) as i16).collect();
        line.caller.play(0, &hiss);
        line.run_until(20, |line| line.turns.len() == 2);
        let of_job = loudest_second(line.parts.last().unwrap(), 6_000.0);
        let (received, sent) = (loudest_second(&line.recorded.0, 6_000.0), loudest_second(&line.recorded.1, 6_000.0));
        let heard = loudest_second(&line.caller_heard, 6_000.0);
        println!(
            "{codec:?}: 6 kHz with {of_job:.0} to the recogniser, {received:.0} recorded, {sent:.0} said, {heard:.0} heard"
        );
        assert!(of_job > least && received > least, "{codec:?}");
        assert!(sent > 2_500.0 && heard > least / 4.0, "{codec:?}: of the voice");
    }
    let mut narrow = Line::greeted(engines(Codec::Pcma));
    narrow.say(1_000);
    assert_eq!(narrow.call.rate(), Rate::Narrow, "what was never there costs nothing");
}

#[test]
fn another_codec_by_re_invite_keeps_source_numbers_and_rate() {
    for (first, second) in [(Codec::G722, Codec::Pcma), (Codec::Pcma, Codec::Opus), (Codec::Opus, Codec::Pcma)] {
        let mut line = Line::greeted(engines(first));
        let rate = line.call.rate();
        line.say(1_500);
        line.run_until(20, |line| line.turns.len() == 2);
        let (number, clock_hz) = (second.static_payload_type().unwrap_or(98), second.clock_rate_hz());
        let channels = if second == Codec::Opus { "/2" } else { "" };
        let offered =
            String::from_utf8(offer("sendrecv")).unwrap().replace("RTP/AVP 8 ", &format!("RTP/AVP {number} "));
        let offered = format!("{offered}a=rtpmap:{number} {}/{clock_hz}{channels}\r\n", second.name());
        line.session(SessionEvent::Offer { sdp: Some(offered.into_bytes()) });
        assert_eq!(line.answered_offers.len(), 1, "{first:?} to {second:?}");
        let remote = line.call.media().unwrap().remote;
        assert_eq!(line.call.media().unwrap().codec, second);
        let ours = std::net::SocketAddr::new("192.0.2.10".parse().unwrap(), 10_000);
        assert_ne!(remote, ours);
        line.caller.redirect(ours, second, OpusTerms::default(), number, vec![(number, second)], None);
        line.run(500);
        line.say(1_500);
        line.run_until(20, |line| line.turns.len() == 3);
        assert_eq!((line.call.rate(), line.turns[2].heard_text.as_str()), (rate, line.engines.answer));
        let seconds = line.recorded.0.len() as f64 / f64::from(rate.hz());
        assert!((seconds - line.elapsed().as_secs_f64()).abs() < 0.1, "the record keeps its rate");
        let heard = loud_ms(&line.recorded.0) / u64::from(rate.hz() / 8_000);
        assert!((2_700..=3_300).contains(&heard), "{first:?} to {second:?}: {heard} ms of 3000 were recorded");
        // All that the caller got is from one source, in one sequence.
        let stats = line.caller.stats();
        assert_eq!(stats.lost, 0, "{stats:?}");
        assert!(stats.unexpected_payload <= 1, "one packet may have been on its way: {stats:?}");
        assert!(stats.resets <= 1, "no new source: {stats:?}");
    }
}

#[test]
fn an_offer_without_change_changes_nothing() {
    for codec in Codec::ALL {
        let mut line = Line::greeted(engines(codec));
        line.call.handle_input(line.now, Input::Hold);
        line.drain();
        let number = codec.static_payload_type().unwrap_or(98);
        let held = String::from_utf8_lossy(&line.offers[0]).into_owned();
        let formats = held.lines().find_map(|line| line.strip_prefix("m=audio 10000 RTP/AVP ")).unwrap();
        assert!(formats.split(' ').any(|format| format == number.to_string()), "{held}");
        assert!(held.contains(&format!("a=rtpmap:96 telephone-event/{}\r\n", codec.clock_rate_hz())), "{held}");
    }
}

#[test]
fn keys_have_the_clock_of_the_codec() {
    for codec in [Codec::Opus, Codec::G722] {
        let texts = VecDeque::from(["Запишите мой номер телефона"]);
        let line = Engines { codec, texts, expects: Expects::Number, answer: "Да?", ..Engines::default() };
        let mut line = Line::greeted_over(3, Network { loss: 0.05, ..Network::default() }, line);
        assert_eq!(line.call.media().unwrap().events.unwrap().clock_hz, codec.clock_rate_hz());
        line.say(1_000);
        line.run_until(20, |line| line.turns.len() == 2);
        for key in "88005553535#".chars() {
            assert!(line.caller.press(key));
        }
        line.run_until(20, |line| line.turns.len() == 3);
        assert_eq!(line.turns[2].keys, "88005553535#", "{codec:?}");
    }
}

#[test]
fn an_answer_that_comes_late_is_as_wide_as_what_we_speak() {
    assert_eq!(Line::rate_without_an_offer(&Codec::ALL), Rate::Wide, "nothing is agreed yet, and Opus may be");
    assert_eq!(Line::rate_without_an_offer(&[Codec::Pcma, Codec::Pcmu]), Rate::Narrow);
}
