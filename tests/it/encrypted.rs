//! Whole calls in virtual time whose sound is encrypted, or should be.

use secretary::call::{Encryption, EndedBy};
use secretary::rtp::Protection;
use secretary::sip::SessionEvent;
use secretary::sip::sdp::{KeyExchange, Policy, SdpError};

use crate::support::line::{Engines, Line, Network, loud_ms, offer};

fn engines(offers: KeyExchange) -> Engines {
    let texts = ["До скольки вы работаете", "Спасибо"].into();
    Engines { offers: Some(offers), texts, ..Engines::default() }
}

fn account(policy: Policy) -> Engines {
    Engines { encryption: Encryption { policy, exchange: KeyExchange::Sdes }, ..Engines::default() }
}

fn offered(by: &str) -> Vec<u8> {
    let plain = String::from_utf8(offer("sendrecv")).unwrap();
    plain.replace("RTP/AVP", "RTP/SAVP").replace("a=sendrecv", by).into_bytes()
}

const CRYPTO: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";

#[test]
fn a_caller_with_encryption_is_greeted_and_answered_whole() {
    for offers in [KeyExchange::Sdes, KeyExchange::Dtls] {
        for network in [Network::default(), Network { loss: 0.05, doubling: 0.05, ..Network::default() }] {
            let mut line = Line::greeted_over(3, network, engines(offers));
            assert!(line.call.media().is_some_and(|media| media.protection.is_encrypted()));
            // All of the greeting: it waits for the keys.
            let greeting = line.turns[0].heard_text.chars().count() as u64 * 60;
            let heard = loud_ms(&line.caller_heard);
            println!("{offers:?} {network:?}: {heard} of {greeting} ms of the greeting heard");
            assert!(heard + 300 > greeting, "{offers:?}");
            line.say(1_500);
            line.run_until(20, |line| line.turns.len() == 2);
            assert_eq!(line.turns[1].heard_text, line.engines.answer, "{offers:?}");
            let stats = line.call.stream_stats();
            assert!(stats.received > 100 && stats.forged == 0, "{offers:?}: {stats:?}");
        }
    }
}

#[test]
fn the_same_offer_again_keeps_the_keys_and_new_keys_are_answered_with_new_ones() {
    let mut line = Line::greeted(engines(KeyExchange::Sdes));
    let key = |sdp: &str| sdp.split_once("inline:").unwrap().1.lines().next().unwrap().to_owned();
    let first = key(&line.offers_again(false));
    line.run(2_000);
    assert_eq!(key(&line.offers_again(false)), first, "nothing changed");
    assert_eq!(line.call.stream_stats().forged, 0, "nothing was lost by it");
    assert_ne!(key(&line.offers_again(true)), first, "he counts anew, and so do we");
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    let stats = line.call.stream_stats();
    assert!(stats.forged <= 3, "but for what was on its way: {stats:?}");
}

#[test]
fn a_handshake_is_not_made_again_for_a_new_offer() {
    let mut line = Line::greeted(engines(KeyExchange::Dtls));
    let role = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=setup:")).unwrap().to_owned();
    assert_eq!(role(&line.offers_again(false)), "a=setup:active");
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    assert_eq!(line.call.stream_stats().forged, 0);
}

#[test]
fn encryption_is_not_taken_away_by_a_new_offer() {
    for offers in [KeyExchange::Sdes, KeyExchange::Dtls] {
        let mut line = Line::greeted(engines(offers));
        line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
        assert_eq!((line.rejected_offers, line.answered_offers.len()), (1, 0), "{offers:?}");
        line.say(1_500);
        line.run_until(20, |line| line.turns.len() == 2);
        assert_eq!(line.turns[1].heard_text, line.engines.answer, "{offers:?}: the session stays as it was");
    }
}

#[test]
fn a_plain_call_can_become_an_encrypted_one() {
    let mut line = Line::greeted(Engines::default());
    let secure = offered(&format!("{CRYPTO}\r\na=sendrecv"));
    line.session(SessionEvent::Offer { sdp: Some(secure) });
    assert_eq!(line.answered_offers.len(), 1);
    assert!(matches!(line.call.media().unwrap().protection, Protection::Sdes(_)));
    let before = (line.call.stream_stats().received, line.call.stream_stats().forged);
    line.run(1_000);
    let after = line.call.stream_stats();
    assert!(after.received == before.0 && after.forged >= before.1 + 45, "the caller still sends plainly: {after:?}");
}

#[test]
fn an_account_refuses_what_it_does_not_want() {
    let secure = offered(&format!("{CRYPTO}\r\na=sendrecv"));
    let plain = offer("sendrecv");
    let refused = |policy, offer: &[u8]| Line::answer(&account(policy), offer).err();
    assert_eq!(refused(Policy::Required, &plain), Some(SdpError::Unencrypted("RTP/AVP".to_owned())));
    assert_eq!(refused(Policy::Off, &secure), Some(SdpError::Encrypted("RTP/SAVP".to_owned())));
    for (policy, offer) in
        [(Policy::Required, &secure), (Policy::Optional, &secure), (Policy::Optional, &plain), (Policy::Off, &plain)]
    {
        assert_eq!(refused(policy, offer), None, "{policy:?}");
    }
}

#[test]
fn a_caller_whose_certificate_is_not_the_promised_one_hears_nothing_and_the_call_ends() {
    let impostor = Engines { is_impostor: true, ..engines(KeyExchange::Dtls) };
    let mut line = Line::new(1, Network::default(), impostor);
    line.session(SessionEvent::Established { sdp: None });
    line.run_until(30, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::Failure));
    assert!(line.hung_up && line.elapsed().as_secs() < 2);
    assert_eq!((loud_ms(&line.caller_heard), loud_ms(&line.recorded.1)), (0, 0));
}

#[test]
fn a_handshake_that_never_comes_ends_the_call() {
    let mut line = Line::new(1, Network { loss: 1.0, ..Network::default() }, engines(KeyExchange::Dtls));
    line.session(SessionEvent::Established { sdp: None });
    line.run_until(30, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::Failure));
    assert!(line.elapsed().as_secs() <= 11 && loud_ms(&line.recorded.1) == 0);
}
