//! Comfort noise of our own (RFC 3389) in virtual time: who gets it, when, and what is heard of it.

use std::collections::VecDeque;

use secretary::rtp::codec::Codec;
use secretary::rtp::jitter::COMFORT_NOISE;
use secretary::rtp::pace::Pace;
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::sip::SessionEvent;
use secretary::sip::sdp::{KeyExchange, LocalMedia, Media, Numbers, accept_answer, answer, offer, parse_offer};

use crate::support::line::{self, Engines, Line, Network, tone};
use crate::support::streams::{EVENTS, Streams, VOICE};

const AGREED: Pace = Pace { comfort_noise: true, halves: false };
/// After so many silent ticks the first packet of noise, and as many later the next.
const PAUSE: usize = 10;

fn streams() -> Streams {
    let mut streams = Streams::new(Codec::Pcma);
    streams.ours.set_pace(AGREED);
    streams
}

/// What each tick brought: `S` sound with a marker, `s` without, `n` noise, `K` and `k` keys, `.` nothing.
fn ticks(streams: &Streams) -> String {
    let mut ticks = vec!['.'; streams.ticks as usize];
    for packet in &streams.sent {
        let slot = &mut ticks[packet.tick as usize];
        assert_eq!(*slot, '.', "one packet in a tick");
        *slot = match (packet.payload_type, packet.marker) {
            (VOICE, true) => 'S',
            (VOICE, false) => 's',
            (EVENTS, true) => 'K',
            (EVENTS, false) => 'k',
            (COMFORT_NOISE, false) => 'n',
            other => panic!("{other:?}"),
        };
    }
    ticks.into_iter().collect()
}

/// A silence of so many ticks, beginning with its pause.
fn silence(ticks: usize) -> String {
    let noise = format!("n{}", ".".repeat(PAUSE - 1));
    format!("{}{}", "s".repeat(PAUSE), noise.repeat(ticks / PAUSE)).chars().take(ticks).collect()
}

fn loudness(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

#[test]
fn silence_goes_out_as_noise_and_the_next_word_is_marked() {
    let mut streams = streams();
    streams.run(1_000);
    streams.ours.play(1, &tone(400));
    streams.run(1_500);
    let expected = format!("S{}S{}{}", &silence(50)[1..], "s".repeat(19), silence(55));
    assert_eq!(ticks(&streams), expected);
    let first = streams.sent[0].timestamp;
    for packet in &streams.sent {
        assert_eq!(packet.timestamp, first.wrapping_add(160 * packet.tick), "time goes on while nothing is sent");
        if packet.payload_type == COMFORT_NOISE {
            assert!(matches!(packet.payload[..], [70..=127]), "one byte, the level: {:?}", packet.payload);
        }
    }
    // What the call log gets of us is what it would be without it.
    let said: Vec<i16> = [vec![0; 8_000], tone(400), vec![0; 8_800]].concat();
    assert!(streams.said == said);
}

#[test]
fn the_far_end_hears_quiet_noise_without_clicks_and_misses_nothing() {
    let mut streams = streams();
    for _ in 0..10 {
        streams.ours.play(1, &tone(500));
        streams.run(3_000);
    }
    streams.assert_nothing_missed("noise");
    assert!(streams.ours.quality().sent.unwrap().jitter_ms < 0.5, "its timestamps are true");
    assert_eq!(streams.theirs.quality().mos.map(|mos| mos > 4.3), Some(true), "{:?}", streams.theirs.quality());
    // 500 ms of sound, which come up to 100 ms later, and silence until 3 s; noise rises in the pause behind the first 200 ms.
    for silence in streams.heard.chunks(24_000).map(|turn| &turn[600 * 8..]) {
        let loudest = silence.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let noise = loudness(&silence[500 * 8..]);
        println!("noise of {noise:.1}, at most {loudest}");
        assert!((5.0..20.0).contains(&noise), "about -70 dBov: {noise}");
        assert!(loudest < 60, "a click of {loudest}");
    }
    let spoken = tone(500);
    let heard = streams.heard.windows(spoken.len()).filter(|heard| near(heard, &spoken)).count();
    assert_eq!(heard, 10, "each time whole, from the first sample to the last");
}

/// The same but for what A-law costs.
fn near(heard: &[i16], spoken: &[i16]) -> bool {
    heard.iter().zip(spoken).all(|(heard, spoken)| heard.abs_diff(*spoken) <= 8 + spoken.unsigned_abs() / 16)
}

#[test]
fn who_has_not_agreed_to_it_gets_silence_as_sound() {
    let mut streams = Streams::new(Codec::Pcma);
    streams.run(1_000);
    assert_eq!(ticks(&streams), format!("S{}", "s".repeat(49)));
    // One who joins later, and leaves again.
    streams.ours.set_pace(AGREED);
    streams.run(500);
    streams.ours.set_pace(Pace::default());
    streams.run(100);
    assert_eq!(ticks(&streams)[50..], format!("{}Sssss", silence(25)));
    streams.run(10_000);
    streams.assert_nothing_missed("agreed for a while");
}

#[test]
fn nothing_is_sent_on_hold_and_a_pause_of_sound_after_it() {
    let mut streams = streams();
    streams.run(1_000);
    streams.ours.set_send(false);
    streams.run(1_000);
    streams.ours.set_send(true);
    streams.run(1_000);
    let expected = format!("S{}{}S{}", &silence(50)[1..], ".".repeat(50), &silence(50)[1..]);
    assert_eq!(ticks(&streams), expected);
    streams.assert_nothing_missed("hold");
}

#[test]
fn keys_pressed_in_a_silence_are_told_once_each() {
    let mut streams = streams();
    streams.run(1_000);
    for key in "5#".chars() {
        assert!(streams.ours.press(key));
    }
    streams.run(2_000);
    streams.ours.play(1, &tone(200));
    streams.run(6_000);
    let ticks = ticks(&streams);
    println!("{ticks}");
    assert_eq!(streams.keys, "5#");
    assert_eq!(ticks.matches('K').count(), 2);
    let after_keys = &ticks[ticks.rfind('k').unwrap() + 1..];
    assert!(
        after_keys.starts_with(&"s".repeat(PAUSE)) && after_keys[PAUSE..].starts_with("n........."),
        "{after_keys}"
    );
    assert_eq!(ticks.matches('S').count(), 2, "the first packet, and the word after the noise");
    streams.assert_nothing_missed("keys");
}

#[test]
fn the_far_end_knows_all_the_time_that_we_are_there_and_no_stranger_takes_our_place() {
    let mut streams = streams();
    streams.run(1_000);
    for n in 0..100u16 {
        streams.run(20);
        let heard = streams.theirs.last_heard().expect("we were heard");
        assert!(streams.now - heard <= std::time::Duration::from_millis(220), "every 200 ms");
        let stranger = Packet {
            payload_type: VOICE,
            marker: false,
            seq: Seq(n),
            timestamp: RtpTimestamp(u32::from(n) * 160),
            ssrc: Ssrc(9),
            payload: &[0xd5; 160],
        };
        streams.theirs.handle_input(streams.now, "203.0.113.9:4000".parse().unwrap(), &stranger.build());
    }
    let stats = streams.theirs.stats();
    assert_eq!((stats.strangers, stats.latch_changes), (100, 0), "{stats:?}");
}

fn local(codecs: &[Codec]) -> LocalMedia<'_> {
    LocalMedia {
        address: "192.0.2.5".parse().unwrap(),
        port: 10_000,
        rtcp_port: None,
        ice: None,
        codecs,
        events: true,
        numbers: Numbers::NONE,
        security: None,
        session_id: 7,
        session_version: 1,
    }
}

fn described(lines: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{lines}").into_bytes()
}

fn formats(sdp: &[u8]) -> String {
    let sdp = String::from_utf8_lossy(sdp).into_owned();
    let formats = sdp.lines().find_map(|line| line.strip_prefix("m=audio 10000 RTP/AVP ")).unwrap().to_owned();
    let is_listed = formats.split(' ').any(|format| format == "13");
    assert_eq!(sdp.contains("\r\na=rtpmap:13 CN/8000\r\n"), is_listed, "{sdp}");
    formats
}

#[test]
fn an_offer_is_answered_with_noise_if_it_has_it_and_the_codec_goes_with_it() {
    let cn = "a=rtpmap:13 CN/8000\r\n";
    for (what, lines, answered) in [
        ("with rtpmap", format!("m=audio 4000 RTP/AVP 0 8 13\r\n{cn}"), "0 13"),
        ("without", "m=audio 4000 RTP/AVP 8 13\r\n".to_owned(), "8 13"),
        ("before the voice", "m=audio 4000 RTP/AVP 13 8\r\n".to_owned(), "8 13"),
        (
            "between voice and keys",
            format!("m=audio 4000 RTP/AVP 8 13 101\r\n{cn}a=rtpmap:101 telephone-event/8000\r\n"),
            "8 13 101",
        ),
        ("not at all", "m=audio 4000 RTP/AVP 0 8\r\n".to_owned(), "0"),
        ("named and not listed", format!("m=audio 4000 RTP/AVP 0 8\r\n{cn}"), "0"),
        ("at another rate", "m=audio 4000 RTP/AVP 8 118\r\na=rtpmap:118 CN/16000\r\n".to_owned(), "8"),
        ("13 is something else", "m=audio 4000 RTP/AVP 8 13\r\na=rtpmap:13 L16/8000\r\n".to_owned(), "8"),
        ("beside G.722", "m=audio 4000 RTP/AVP 9 8 13\r\n".to_owned(), "9"),
        ("beside Opus", "m=audio 4000 RTP/AVP 96 8 13\r\na=rtpmap:96 opus/48000/2\r\n".to_owned(), "96"),
    ] {
        let (sdp, media) = answer(&parse_offer(&described(&lines)).unwrap(), &local(&Codec::ALL)).unwrap();
        assert_eq!(formats(&sdp), answered, "{what}");
        assert_eq!(media.pace.comfort_noise, answered.contains("13"), "{what}");
        assert!(media.accepted.iter().all(|(number, _)| *number != 13), "{what}: it is no voice");
    }
    let error =
        answer(&parse_offer(&described("m=audio 4000 RTP/AVP 13\r\n")).unwrap(), &local(&Codec::ALL)).unwrap_err();
    assert!(error.to_string().contains("no common codec"), "noise alone is no call: {error}");
}

#[test]
fn an_offer_of_ours_has_it_behind_the_voice_and_the_answer_decides() {
    assert_eq!(formats(&offer(&local(&Codec::ALL))), "96 9 8 0 13 101 110");
    assert_eq!(formats(&offer(&local(&[Codec::Pcmu]))), "0 13 101");
    assert_eq!(formats(&offer(&local(&[Codec::Opus, Codec::G722]))), "96 9 101 110");
    let accepted = |lines: &str| -> Media { accept_answer(&described(lines), &local(&Codec::ALL)).unwrap() };
    assert!(accepted("m=audio 4000 RTP/AVP 8 13\r\na=rtpmap:13 CN/8000\r\n").pace.comfort_noise);
    assert!(accepted("m=audio 4000 RTP/AVP 0 13\r\n").pace.comfort_noise);
    assert!(!accepted("m=audio 4000 RTP/AVP 8\r\n").pace.comfort_noise);
    assert!(!accepted("m=audio 4000 RTP/AVP 9 13\r\n").pace.comfort_noise);
    // Ours to one like us.
    let (sdp, theirs) = answer(&parse_offer(&offer(&local(&[Codec::Pcma]))).unwrap(), &local(&Codec::ALL)).unwrap();
    assert!(theirs.pace.comfort_noise && accept_answer(&sdp, &local(&[Codec::Pcma])).unwrap().pace.comfort_noise);
}

fn with_noise() -> Vec<u8> {
    String::from_utf8(line::offer("sendrecv")).unwrap().replace("RTP/AVP 8 96", "RTP/AVP 8 13 96").into_bytes()
}

fn conversation(network: Network, offered: Vec<u8>) -> (Line, Vec<u8>) {
    let texts = VecDeque::from(["До скольки вы работаете", "А в субботу"]);
    let (mut line, answer) = Line::offered(3, network, Engines { texts, ..Engines::default() }, offered);
    line.session(SessionEvent::Established { sdp: None });
    line.run_until(20, |line| line.turns.len() == 1);
    for turns in [2, 3] {
        line.run(700);
        line.say(1_500);
        line.run_until(20, |line| line.turns.len() == turns);
    }
    line.run(1_000);
    (line, answer)
}

/// What was understood of the caller, and what he heard, turn by turn.
fn words(line: &Line) -> Vec<(&str, &str)> {
    line.turns.iter().map(|turn| (turn.caller_text.as_str(), turn.heard_text.as_str())).collect()
}

#[test]
fn a_call_with_noise_both_ways_is_held_and_recorded_as_one_without() {
    let (plain, _) = conversation(Network::default(), line::offer("sendrecv"));
    let (noisy, answer) = conversation(Network::default(), with_noise());
    assert_eq!(formats(&answer), "8 13 96");
    assert_eq!((words(&plain), &plain.spoken), (words(&noisy), &noisy.spoken));
    assert!(plain.recorded.1 == noisy.recorded.1, "our side of the record is the same to the sample");
    assert_eq!(plain.recorded.0.len(), noisy.recorded.0.len());
    let ticks = noisy.elapsed().as_millis() as usize / 20;
    println!("{} and {} packets in {ticks} ticks", plain.sent_packets, noisy.sent_packets);
    assert!(plain.sent_packets >= ticks - 20 && noisy.sent_packets < plain.sent_packets * 9 / 10);
    let stats = noisy.caller.stats();
    assert_eq!((stats.lost, stats.late, stats.resets, stats.unexpected_payload), (0, 0, 0, 0), "{stats:?}");
    let quality = noisy.call.quality();
    assert_eq!((quality.lost, quality.late, quality.sent.unwrap().lost), (0, 0, 0));
}

#[test]
fn a_bad_network_that_loses_noise_too_costs_no_turn() {
    let bad = Network { loss: 0.05, jitter: std::time::Duration::from_millis(40), ..Network::default() };
    let (line, _) = conversation(bad, with_noise());
    let (said, heard) = (words(&line), line.engines.answer);
    assert_eq!(said[1..], [("До скольки вы работаете", heard), ("А в субботу", heard)]);
    let quality = line.call.quality();
    println!("{quality:?}");
    let (ours, theirs) = (quality.lost as f64 / quality.received as f64, quality.sent.unwrap());
    assert!((0.01..0.12).contains(&ours), "{ours} of what came");
    assert!((0.01..0.12).contains(&(theirs.lost as f64 / theirs.packets as f64)), "{theirs:?}");
}

#[test]
fn an_encrypted_call_does_not_tell_by_its_packets_when_she_speaks() {
    let mut line = Line::greeted(Engines { offers: Some(KeyExchange::Sdes), ..Engines::default() });
    assert!(line.call.media().unwrap().pace.comfort_noise, "it is agreed, and may come in");
    let before = line.sent_packets;
    line.run(4_000);
    assert!(line.sent_packets - before >= 199, "{} packets", line.sent_packets - before);
}
