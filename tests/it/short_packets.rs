//! Packets of 10 ms for peers who take no longer ones, in virtual time.

use std::collections::BTreeSet;

use secretary::rtp::codec::Codec;
use secretary::rtp::codec::resample::resample;
use secretary::rtp::jitter::COMFORT_NOISE;
use secretary::rtp::pace::Pace;
use secretary::sip::sdp::{LocalMedia, Numbers, accept_answer, answer, parse_offer};

use crate::support::line::{loud_ms, tone};
use crate::support::streams::{EVENTS, Streams, VOICE};

const HALVES: Pace = Pace { comfort_noise: false, halves: true };

#[test]
fn each_codec_says_the_same_in_twice_as_many_packets() {
    for codec in Codec::ALL {
        let spoken = resample(&tone(1_000), 8_000, codec.rate().hz()).unwrap();
        let talk = |pace: Pace| {
            let mut streams = Streams::new(codec);
            streams.ours.set_pace(pace);
            streams.run(200);
            streams.ours.play(1, &spoken);
            streams.run(10_000);
            streams.assert_nothing_missed(&format!("{codec:?} {pace:?}"));
            streams
        };
        let (whole, halves) = (talk(Pace::default()), talk(HALVES));
        assert_eq!(halves.sent.len(), 2 * halves.ticks as usize, "{codec:?}");
        let (first, half) = (halves.sent[0].timestamp, codec.frame_ticks() / 2);
        for (n, packet) in (0..).zip(&halves.sent) {
            assert_eq!(packet.timestamp, first.wrapping_add(n * half), "{codec:?}: 10 ms after the one before");
            assert_eq!(packet.marker, n == 0, "{codec:?}");
            let samples = codec.samples(&packet.payload, codec.rate()).unwrap();
            assert_eq!(samples, codec.rate().frame_samples() / 2, "{codec:?}");
        }
        if codec != Codec::Opus {
            let joined = |streams: &Streams| -> Vec<u8> {
                streams.sent.iter().flat_map(|packet| packet.payload.clone()).collect()
            };
            assert!(joined(&whole) == joined(&halves), "{codec:?}: the same code, cut otherwise");
        }
        let loud = |streams: &Streams| loud_ms(&streams.heard) / u64::from(codec.rate().hz() / 8_000);
        let (whole, halves) = (loud(&whole), loud(&halves));
        println!("{codec:?}: {whole} and {halves} ms are heard");
        assert!((940..=1_100).contains(&halves) && halves.abs_diff(whole) <= 60, "{codec:?}: {halves} ms of {whole}");
    }
}

#[test]
fn keys_and_noise_stay_one_packet() {
    let mut streams = Streams::new(Codec::Pcmu);
    streams.ours.set_pace(Pace { comfort_noise: true, halves: true });
    streams.run(1_000);
    assert!(streams.ours.press('7'));
    streams.run(10_000);
    streams.assert_nothing_missed("keys");
    assert_eq!(streams.keys, "7");
    let of_tick = |tick| -> Vec<u8> {
        streams.sent.iter().filter(|packet| packet.tick == tick).map(|packet| packet.payload_type).collect()
    };
    let kinds: BTreeSet<Vec<u8>> = (0..streams.ticks).map(of_tick).collect();
    assert_eq!(kinds, BTreeSet::from([vec![VOICE, VOICE], vec![EVENTS], vec![COMFORT_NOISE], vec![]]));
}

#[test]
fn the_peers_ptime_and_maxptime_decide() {
    let codecs = [Codec::Pcma];
    let local = LocalMedia {
        address: "192.0.2.5".parse().unwrap(),
        port: 10_000,
        rtcp_port: None,
        ice: None,
        codecs: &codecs,
        events: true,
        numbers: Numbers::NONE,
        security: None,
        session_id: 7,
        session_version: 1,
    };
    for (attributes, halves) in [
        ("", false),
        ("a=ptime:20\r\n", false),
        ("a=ptime:30\r\na=maxptime:60\r\n", false),
        ("a=ptime:0\r\na=maxptime:0\r\n", false),
        ("a=ptime:x\r\na=maxptime:-10\r\n", false),
        ("a=maxptime:20\r\n", false),
        ("a=ptime:10\r\n", true),
        ("a=maxptime:10\r\n", true),
        ("a=ptime:20\r\na=maxptime:10\r\n", true),
        ("a=ptime:10\r\na=maxptime:150\r\n", true),
        ("a=maxptime:5\r\n", true),
    ] {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n{attributes}"
        );
        let (answered, media) = answer(&parse_offer(sdp.as_bytes()).unwrap(), &local).unwrap();
        assert_eq!(media.pace.halves, halves, "{attributes} offered");
        let accepted = accept_answer(sdp.as_bytes(), &local).unwrap();
        assert_eq!(accepted.pace.halves, halves, "{attributes} answered");
        let answered = String::from_utf8(answered).unwrap();
        assert!(answered.contains("\r\na=ptime:20\r\n"), "what we like to get is another matter: {answered}");
    }
}
