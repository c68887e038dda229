//! Keys that change in a call, and keys that are the wrong ones: a stream against a peer whose packets are made here, and calls in
//! virtual time.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use secretary::rtp::Protection;
use secretary::rtp::srtp::{MasterKey, Srtp, SrtpKeys, Suite};
use secretary::sip::SessionEvent;
use secretary::sip::sdp::KeyExchange;

use crate::srtp::{ADDRESSES, Line, Network, key, told};
use crate::support::line::{self, Engines};

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
const SECOND: Duration = Duration::from_secs(1);

fn packet(index: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend((index as u16).to_be_bytes());
    packet.extend((index * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

/// A peer of the first side, who sends what he likes.
struct Peer {
    line: Line,
    ours: MasterKey,
    srtp: Srtp,
}

impl Peer {
    fn new() -> Self {
        let keys = told(&key(SUITE, 1), &key(SUITE, 2));
        let [at_line, Protection::Sdes(at_peer)] = keys else { panic!("keys that are told") };
        Self {
            line: Line::new(Network::default(), [at_line, Protection::Awaited]),
            ours: key(SUITE, 1),
            srtp: Srtp::new(at_peer),
        }
    }

    fn say(&mut self, index: u32, ssrc: u32) {
        let sealed = self.srtp.protect(&packet(index, ssrc)).unwrap();
        self.line.give(0, ADDRESSES[1], &sealed);
        self.line.now += Duration::from_millis(20);
        self.line.talk(Duration::ZERO);
    }

    /// He has a new key and says so. With `index` he counts on, else he begins anew.
    fn renews(&mut self, seed: u64, index: Option<u32>) {
        self.srtp = Srtp::new(SrtpKeys { ours: key(SUITE, seed), theirs: self.ours.clone() });
        for index in index.into_iter().flat_map(|index| (0..index).step_by(20_000).chain([index])) {
            self.srtp.protect(&packet(index, 7)).unwrap();
        }
        let keys = SrtpKeys { ours: self.ours.clone(), theirs: key(SUITE, seed) };
        self.line.sides[0].stream.protect(Protection::Sdes(keys));
    }

    /// Packets that were taken, and those that were refused.
    fn taken(&self) -> (u64, u64) {
        let stats = self.line.sides[0].stream.stats();
        (stats.received, stats.forged)
    }
}

#[test]
fn a_peer_with_a_new_key_is_heard_whether_he_counts_on_or_begins_anew() {
    for counts_on in [true, false] {
        let mut peer = Peer::new();
        let mut index = 65_000;
        // Twice over the end of the numbers.
        for seed in 3..6 {
            for _ in 0..1_000 {
                peer.say(index, 7);
                index += 1;
            }
            let (heard, forged) = peer.taken();
            assert!(heard > 990 && forged == 0, "counts on: {counts_on}, key {seed}: {heard} {forged}");
            peer.renews(seed, counts_on.then_some(index - 1));
            if seed == 4 && counts_on {
                // On to the next end of the numbers.
                for _ in 0..3 {
                    index += 20_000;
                    peer.say(index, 7);
                }
                index += 1;
            }
        }
        let before = peer.taken();
        for _ in 0..100 {
            peer.say(index, 7);
            index += 1;
        }
        let after = peer.taken();
        println!("counts on: {counts_on}: {before:?}, then {after:?}");
        assert!(after.0 >= before.0 + 95 && after.1 == 0, "counts on: {counts_on}: {before:?} {after:?}");
    }
}

#[test]
fn what_is_on_its_way_when_the_key_changes_is_heard() {
    let mut peer = Peer::new();
    for index in 0..100 {
        peer.say(index, 7);
    }
    let on_its_way: Vec<_> = (100..110).map(|index| peer.srtp.protect(&packet(index, 7)).unwrap()).collect();
    let (before, _) = peer.taken();
    peer.renews(3, None);
    for sealed in &on_its_way[..9] {
        peer.line.give(0, ADDRESSES[1], sealed);
    }
    assert_eq!(peer.taken(), (before + 9, 0));
    peer.say(110, 7);
    peer.line.give(0, ADDRESSES[1], &on_its_way[9]);
    assert_eq!(peer.taken(), (before + 10, 1), "with the first packet under the new key the former one is forgotten");
}

#[test]
fn a_new_key_of_ours_comes_with_a_new_source_and_the_same_key_with_none() {
    let source = |packet: &Vec<u8>| packet[8..12].to_vec();
    let mut line = Line::new(Network::default(), told(&key(SUITE, 1), &key(SUITE, 2)));
    let mut seen = Vec::new();
    for seeds in [(1, 2), (1, 2), (1, 3), (4, 3)] {
        for (side, protection) in line.sides.iter_mut().zip(told(&key(SUITE, seeds.0), &key(SUITE, seeds.1))) {
            side.stream.protect(protection);
        }
        line.heard();
        line.talk(10 * SECOND);
        let heard = line.heard();
        assert!(heard.iter().all(|heard| *heard >= 490), "{seeds:?}: {heard:?}");
        seen.push(source(line.sides[0].sent.iter().rfind(|packet| packet[1] & 0x7f == 8).unwrap()));
        assert!(line.sides.iter().all(|side| side.stream.stats().forged == 0), "{seeds:?}");
        let quality = line.sides[0].stream.quality();
        assert!(quality.sent.is_some_and(|sent| sent.lost == 0), "{seeds:?}: {quality:?}");
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2] && seen[2] != seen[3], "{seen:?}");
}

#[test]
fn a_peer_who_becomes_another_source_ever_again_is_heard() {
    let mut peer = Peer::new();
    for ssrc in 0..300 {
        for index in 0..5 {
            peer.say(ssrc * 5 + index, ssrc);
            peer.line.give(0, ADDRESSES[1], &packet(index, !ssrc));
        }
    }
    let stats = peer.line.sides[0].stream.stats();
    assert_eq!(stats.forged, 1_500, "those that are not encrypted: {stats:?}");
    assert!(stats.received >= 1_400, "{stats:?}");
}

fn encrypted() -> line::Line {
    let texts = ["Когда вы работаете?"].into();
    line::Line::greeted(Engines { offers: Some(KeyExchange::Sdes), texts, ..Engines::default() })
}

fn told_key(sdp: &str) -> String {
    sdp.split_once("inline:").unwrap().1.lines().next().unwrap().to_owned()
}

#[test]
fn an_offer_that_is_refused_leaves_the_keys_as_they_were() {
    let mut line = encrypted();
    let first = told_key(&line.offers_again(false));
    for media in ["RTP/SAVP 18", "RTP/AVP 8"] {
        let offer = String::from_utf8(line::offer("sendrecv")).unwrap();
        let offer = offer.replace("RTP/AVP 8 96", media).replace("a=rtpmap:8 PCMA/8000\r\n", "");
        let offer = match media.contains("SAVP") {
            true => {
                format!("{offer}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e\r\n")
            }
            false => offer,
        };
        line.session(SessionEvent::Offer { sdp: Some(offer.into_bytes()) });
    }
    assert_eq!(line.rejected_offers, 2);
    assert_eq!(told_key(&line.offers_again(false)), first);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    assert_eq!((line.call.stream_stats().forged, line.caller.stats().forged), (0, 0));
}

#[test]
fn new_keys_of_the_caller_lose_no_sound_either_way() {
    let mut line = encrypted();
    let mut key = told_key(&line.offers_again(false));
    for _ in 0..3 {
        line.run(1_000);
        let before = line.call.stream_stats();
        let next = told_key(&line.offers_again(true));
        assert_ne!(std::mem::replace(&mut key, next.clone()), next);
        line.run(1_000);
        let after = line.call.stream_stats();
        assert_eq!((after.forged, after.lost, line.caller.stats().forged), (0, 0, 0), "{after:?}");
        assert!(after.received >= before.received + 48, "{before:?} {after:?}");
    }
}

/// What is logged from WARN on while this is done.
fn warnings(act: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let page = Page::default();
    let writer = page.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(log, act);
    let page = page.0.lock().unwrap().clone();
    String::from_utf8(page).unwrap()
}

#[test]
fn a_caller_with_another_key_than_he_told_is_warned_of_once() {
    let draw = |seed| MasterKey::draw(SUITE, &mut StdRng::seed_from_u64(seed));
    let log = warnings(|| {
        let mut line = line::Line::new(
            1,
            line::Network::default(),
            Engines { offers: Some(KeyExchange::Sdes), ..Engines::default() },
        );
        line.caller.protect(Protection::Sdes(SrtpKeys { ours: draw(90), theirs: draw(91) }));
        line.session(SessionEvent::Established { sdp: None });
        line.run(5_000);
        let stats = line.call.stream_stats();
        assert!(stats.forged > 200 && stats.received == 0, "{stats:?}");
        // In the same call again.
        line.offers_again(true);
        line.caller.protect(Protection::Sdes(SrtpKeys { ours: draw(92), theirs: draw(93) }));
        line.run(5_000);
    });
    println!("{log}");
    assert_eq!(log.matches("the caller cannot be heard").count(), 1, "{log}");
    assert!(log.contains("WARN") && log.contains("forged=5") && !log.contains("192.0.2."), "{log}");
    // Who is heard is not warned of, whatever others send.
    let log = warnings(|| {
        let mut line = encrypted();
        for index in 0..500 {
            line.call.handle_datagram(line.now, "192.0.2.20:20000".parse().unwrap(), &packet(index, 9));
            line.drain();
            line.run(20);
        }
        assert_eq!(line.call.stream_stats().forged, 500);
    });
    assert!(!log.contains("cannot be heard"), "{log}");
}
