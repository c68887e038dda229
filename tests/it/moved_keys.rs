//! Keys of calls that move to somebody else (REFER, Replaces) in virtual time: he agrees on his own, and those of the one before
//! are worth nothing any more.

use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;
use secretary::call::{EndedBy, Input, MediaAddress};
use secretary::rtp::dtls::Certificate;
use secretary::rtp::{Output, Stream};
use secretary::sip::sdp::{KeyExchange, Policy, SdpError, Security};

use crate::support::line::{Engines, Line, loud_ms, offer_at, tone};

const FORMER: &str = "192.0.2.20:20000";
const NEW_PARTY: &str = "192.0.2.30";
const NEW_TEXT: &str = "Бухгалтерия слушает";
const GREETING: &str = "Здравствуйте! Чем могу помочь?";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Refer,
    Replaces,
}

/// Of somebody who was not here before.
fn security(exchange: KeyExchange) -> Security {
    Security::new(Policy::Required, exchange, &Certificate::generate().unwrap(), &mut StdRng::seed_from_u64(55))
        .unwrap()
}

fn greeted(exchange: KeyExchange) -> Line {
    Line::greeted(Engines { offers: Some(exchange), texts: [NEW_TEXT].into(), ..Engines::default() })
}

/// The keys that a description tells.
fn keys(sdp: &str) -> Vec<&str> {
    sdp.lines().filter_map(|line| line.split_once("inline:")).map(|(_, key)| key).collect()
}

/// The one before goes on talking for a second; tells how many packets.
fn goes_on(line: &mut Line, former: &mut Stream) -> usize {
    former.play(0, &tone(1_000));
    let mut packets = 0;
    for _ in 0..50 {
        former.handle_timeout(former.poll_timeout());
        while let Some(output) = former.poll_output() {
            if let Output::Transmit { datagram, .. } = output {
                packets += usize::from(datagram[0] >> 6 == 2);
                line.call.handle_datagram(line.now, FORMER.parse::<SocketAddr>().unwrap(), &datagram);
            }
        }
        line.drain();
        line.run(20);
    }
    packets
}

/// The call moves to one who agrees on keys in this way; he is greeted, and heard, and the one before is not.
fn moves(way: Way, from: KeyExchange, to: KeyExchange) {
    let what = format!("{way:?} from {from:?} to {to:?}");
    let mut line = greeted(from);
    let first = line.offers_again(false);
    let security = security(to);
    assert!(loud_ms(&std::mem::take(&mut line.caller_heard)) > 1_000, "{what}");
    let described = match way {
        Way::Refer => line.is_sent_to(NEW_PARTY, Some(&security)),
        Way::Replaces => line.is_replaced_by(NEW_PARTY, Some(&security)).unwrap(),
    };
    if to == KeyExchange::Sdes {
        let (before, now) = (keys(&first), keys(&described));
        assert!(!now.is_empty() && now.iter().all(|key| !before.contains(key)), "{what}: new keys\n{described}");
    }
    let mut former = line.former.take().expect("the one before");
    line.run_until(20, |line| line.turns.iter().filter(|turn| turn.heard_text == GREETING).count() == 2);
    let greeting = GREETING.chars().count() as u64 * 60;
    let heard = loud_ms(&line.caller_heard);
    assert!(heard + 300 > greeting, "{what}: {heard} of {greeting} ms of the greeting heard");
    let before = line.call.stream_stats();
    assert!(line.call.media().is_some_and(|media| media.protection.is_encrypted()), "{what}");
    let packets = goes_on(&mut line, &mut former);
    let after = line.call.stream_stats();
    assert!(packets >= 49 && after.forged >= before.forged + 49, "{what}: {packets} of {after:?}");
    line.say(1_500);
    line.run_until(20, |line| line.turns.last().is_some_and(|turn| turn.caller_text == NEW_TEXT));
    assert_eq!((line.ended, &line.no_keys), (None, &None), "{what}");
}

#[test]
fn one_to_whom_the_call_is_sent_makes_a_handshake_of_his_own() {
    moves(Way::Refer, KeyExchange::Dtls, KeyExchange::Dtls);
}

#[test]
fn one_to_whom_the_call_is_sent_is_told_keys_of_his_own() {
    moves(Way::Refer, KeyExchange::Sdes, KeyExchange::Sdes);
}

#[test]
fn one_who_takes_the_callers_place_agrees_on_keys_of_his_own_in_his_own_way() {
    for from in [KeyExchange::Dtls, KeyExchange::Sdes] {
        for to in [KeyExchange::Dtls, KeyExchange::Sdes] {
            moves(Way::Replaces, from, to);
        }
    }
}

#[test]
fn an_encrypted_call_moves_to_nobody_without_encryption() {
    for exchange in [KeyExchange::Dtls, KeyExchange::Sdes] {
        let mut line = greeted(exchange);
        assert_eq!(line.is_replaced_by(NEW_PARTY, None).err(), Some(SdpError::Unencrypted("RTP/AVP".to_owned())));
        line.say(1_500);
        line.run_until(20, |line| line.turns.last().is_some_and(|turn| turn.caller_text == NEW_TEXT));
        assert_eq!(line.ended, None, "{exchange:?}: it stays where it was");
        // The one whom we are sent to answers without.
        line.call.offer_move(MediaAddress { address: [192, 0, 2, 10].into(), port: 10_002, rtcp_port: None }, 99);
        line.call.handle_input(line.now, Input::Moved { sdp: offer_at(NEW_PARTY, "sendrecv") });
        line.drain();
        line.run_until(30, |line| line.ended.is_some());
        assert_eq!(line.ended, Some(EndedBy::Failure), "{exchange:?}");
    }
}
