//! What offers and answers say of encryption.

use super::*;
use crate::rtp::codec::Codec;
use crate::rtp::ice::Credentials;
use crate::sip::sdp::{
    LocalMedia, Media, Numbers, accept_answer, answer, continue_session, offer, offer_hold, parse_offer,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// 30 bytes from 1 on, as an inline key.
const INLINE: &str = "inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";

fn security(policy: Policy, seed: u64) -> Security {
    by(KeyExchange::Sdes, policy, seed)
}

fn by(exchange: KeyExchange, policy: Policy, seed: u64) -> Security {
    Security::new(policy, exchange, &Certificate::generate().unwrap(), &mut StdRng::seed_from_u64(seed)).unwrap()
}

fn local(security: Option<&Security>) -> LocalMedia<'_> {
    LocalMedia {
        address: [192, 0, 2, 5].into(),
        port: 10_000,
        codecs: &Codec::ALL,
        events: false,
        numbers: Numbers::NONE,
        rtcp_port: None,
        ice: None,
        security,
        session_id: 77,
        session_version: 1,
    }
}

fn sdp(lines: &str) -> Vec<u8> {
    format!("v=0\no=- 1 1 IN IP4 198.51.100.1\ns=-\nc=IN IP4 198.51.100.1\nt=0 0\n{lines}").into_bytes()
}

fn answered(lines: &str, security: Option<&Security>) -> Result<(String, Media), SdpError> {
    let (sdp, media) = answer(&parse_offer(&sdp(lines))?, &local(security))?;
    Ok((String::from_utf8(sdp).unwrap(), media))
}

fn parsed(value: &str) -> Option<(Suite, usize)> {
    Crypto::parse(value).map(|crypto| (crypto.key.suite(), crypto.key.secret().len()))
}

#[test]
fn a_crypto_line_is_read_strictly() {
    let suite = Suite::AesCm128HmacSha1_80;
    for good in [
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}"),
        format!("999999999 aes_cm_128_hmac_sha1_80 {INLINE}|2^20"),
        format!("0  AES_CM_128_HMAC_SHA1_80   {INLINE}|1048576"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE} WSH=128"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^31 -NEW=3 wsh=64"),
    ] {
        assert_eq!(parsed(&good), Some((suite, 30)), "{good}");
    }
    for bad in [
        String::new(),
        "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
        format!("x AES_CM_128_HMAC_SHA1_80 {INLINE}"),
        format!("1234567890 AES_CM_128_HMAC_SHA1_80 {INLINE}"),
        format!("1 F8_128_HMAC_SHA1_80 {INLINE}"),
        // As long as AES with 128 bits wants it.
        format!("1 AES_256_CM_HMAC_SHA1_80 {INLINE}"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}AA"),
        "1 AES_CM_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0*".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80 uri:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e".to_owned(),
        // A key identifier, two keys, a lifetime that is none.
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|1:4"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4;{INLINE}|2^20|2:4"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|soon"),
        // What packets would look otherwise with.
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE} UNENCRYPTED_SRTP"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE} WSH=64 KDR=4"),
    ] {
        assert_eq!(parsed(&bad), None, "{bad}");
    }
}

#[test]
fn every_suite_has_its_name_and_its_length_and_may_go_without_padding() {
    let mut rng = StdRng::seed_from_u64(1);
    for (name, suite) in NAMES {
        let key = MasterKey::draw(suite, &mut rng);
        let inline = BASE64.encode(key.secret());
        for inline in [inline.as_str(), inline.trim_end_matches('=')] {
            assert_eq!(Crypto::parse(&format!("7 {name} inline:{inline}")).unwrap().key, key, "{name}");
        }
    }
}

#[test]
fn the_first_suite_of_the_offerer_that_we_have_is_answered_under_its_tag_with_a_key_of_our_own() {
    let ours = security(Policy::Optional, 1);
    let lines = format!(
        "m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4\n\
         a=crypto:2 AES_192_CM_HMAC_SHA1_80 inline:AQID\na=crypto:31 AES_CM_128_HMAC_SHA1_32 {INLINE}|2^20\n\
         a=crypto:4 AES_CM_128_HMAC_SHA1_80 {INLINE}\n"
    );
    let (sdp, media) = answered(&lines, Some(&ours)).unwrap();
    let Protection::Sdes(keys) = &media.protection else { panic!("{media:?}") };
    assert_eq!((keys.ours.suite(), keys.theirs.suite()), (Suite::AesCm128HmacSha1_32, Suite::AesCm128HmacSha1_32));
    assert_eq!(keys.theirs.secret(), (1..=30).collect::<Vec<u8>>());
    assert_ne!(keys.ours.secret(), keys.theirs.secret());
    let told = format!("a=crypto:31 AES_CM_128_HMAC_SHA1_32 inline:{}\r\n", BASE64.encode(keys.ours.secret()));
    assert!(sdp.contains("m=audio 10000 RTP/SAVP 8\r\n") && sdp.contains(&told), "{sdp}");
    assert_eq!(sdp.matches("a=crypto").count(), 1, "{sdp}");
    // The same offer again changes nothing, so that no packet counter begins again.
    let (again, same) = answered(&lines, Some(&ours)).unwrap();
    assert_eq!((&again, &same), (&sdp, &media));
    assert_eq!(continue_session(sdp.as_bytes(), again.as_bytes()).unwrap(), sdp.as_bytes());
}

#[test]
fn a_suite_is_answered_by_the_name_that_it_was_offered_by() {
    let inline = BASE64.encode([7; 46]);
    let lines = format!("m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_256_HMAC_SHA1_80 inline:{inline}\n");
    let (sdp, _) = answered(&lines, Some(&security(Policy::Optional, 1))).unwrap();
    assert!(sdp.contains("a=crypto:1 AES_CM_256_HMAC_SHA1_80 inline:"), "{sdp}");
}

/// What each kind of offer becomes under each setting of the account.
#[test]
fn an_offer_is_answered_as_the_account_wants_it() {
    let line = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}\n");
    let useless = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE} UNENCRYPTED_SRTP\n");
    let plain = "m=audio 4000 RTP/AVP 8\n".to_owned();
    let optional = format!("{plain}{line}");
    let secure = format!("m=audio 4000 RTP/SAVP 8\n{line}");
    let feedback = format!("m=audio 4000 RTP/SAVPF 8\n{line}");
    let both = format!("{plain}m=audio 4002 RTP/SAVP 8\n{line}");
    let unusable = format!("m=audio 4000 RTP/SAVP 8\n{useless}");
    let (off, may, must) = (None, Some(security(Policy::Optional, 1)), Some(security(Policy::Required, 1)));
    let encrypted = |lines: &str, security: &Option<Security>| {
        answered(lines, security.as_ref()).map(|(_, media)| (media.remote.port(), media.protection.is_encrypted()))
    };
    assert_eq!(encrypted(&plain, &off), Ok((4_000, false)));
    assert_eq!(encrypted(&plain, &may), Ok((4_000, false)));
    assert_eq!(encrypted(&plain, &must), Err(SdpError::Unencrypted("RTP/AVP".to_owned())));
    assert_eq!(encrypted(&optional, &off), Ok((4_000, false)));
    assert_eq!(encrypted(&optional, &may), Ok((4_000, true)));
    assert_eq!(encrypted(&optional, &must), Ok((4_000, true)));
    for (lines, proto) in [(&secure, "RTP/SAVP"), (&feedback, "RTP/SAVPF")] {
        assert_eq!(encrypted(lines, &off), Err(SdpError::Encrypted(proto.to_owned())));
        assert_eq!(encrypted(lines, &may), Ok((4_000, true)));
        assert_eq!(encrypted(lines, &must), Ok((4_000, true)));
    }
    assert_eq!(encrypted(&both, &off), Ok((4_000, false)));
    assert_eq!(encrypted(&both, &may), Ok((4_002, true)), "the encrypted one of two");
    assert_eq!(encrypted(&both, &must), Ok((4_002, true)));
    let no_key = |proto: &str, unusable| Err(SdpError::NoKey { proto: proto.to_owned(), unusable });
    assert_eq!(encrypted(&unusable, &may), no_key("RTP/SAVP", 1));
    assert_eq!(encrypted("m=audio 4000 RTP/SAVP 8\n", &may), no_key("RTP/SAVP", 0));
    assert_eq!(encrypted(&format!("{plain}{useless}"), &may), Ok((4_000, false)));
    assert_eq!(encrypted(&format!("{plain}{useless}"), &must), no_key("RTP/AVP", 1));
}

#[test]
fn the_stream_that_is_answered_has_both_keys_and_a_codec() {
    let stream = |port: u16, proto: &str, codec: u8| {
        let line =
            if proto == "RTP/SAVP" { format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}\n") } else { String::new() };
        format!("m=audio {port} {proto} {codec}\n{line}")
    };
    // G.729 is what we do not speak.
    let (strange, secure, plain) =
        (stream(4_000, "RTP/SAVP", 18), stream(4_002, "RTP/SAVP", 8), stream(4_004, "RTP/AVP", 8));
    let mute = stream(4_006, "RTP/AVP", 18);
    let (off, may, must) = (None, Some(security(Policy::Optional, 1)), Some(security(Policy::Required, 1)));
    let no_codec = || Err(SdpError::NoCommonCodec("18".to_owned()));
    for (lines, security, expected) in [
        ([&strange, &plain], &may, Ok(4_004)),
        ([&plain, &strange], &may, Ok(4_004)),
        ([&strange, &plain], &off, Ok(4_004)),
        ([&strange, &plain], &must, no_codec()),
        ([&strange, &secure], &may, Ok(4_002)),
        ([&strange, &secure], &must, Ok(4_002)),
        ([&plain, &secure], &may, Ok(4_002)),
        ([&mute, &plain], &may, Ok(4_004)),
        ([&mute, &secure], &must, Ok(4_002)),
        ([&strange, &mute], &may, no_codec()),
        ([&mute, &secure], &off, no_codec()),
    ] {
        let lines = lines.map(String::as_str).concat();
        let answered = answered(&lines, security.as_ref());
        assert_eq!(
            answered.as_ref().map(|(_, media)| media.remote.port()).map_err(ToString::to_string),
            expected.map_err(|e: SdpError| e.to_string()),
            "{lines}"
        );
        if let Ok((sdp, _)) = answered {
            let ports: Vec<bool> =
                sdp.lines().filter(|line| line.starts_with("m=")).map(|m| m.contains(" 10000 ")).collect();
            assert_eq!(ports.iter().filter(|ours| **ours).count(), 1, "{sdp}");
        }
    }
}

#[test]
fn what_is_agreed_is_offered_again_before_all_others_under_its_tag_and_name() {
    for (name, suite) in NAMES {
        for (tag, others) in [("1", 2), ("3", 1), ("007", 1), ("999999999", 1)] {
            let mut rng = StdRng::seed_from_u64(1);
            let mut ours = security(Policy::Optional, 1);
            let theirs = MasterKey::draw(suite, &mut rng);
            let line = |key: &MasterKey| format!("{tag} {name} inline:{}", BASE64.encode(key.secret()));
            let offered = format!("m=audio 4000 RTP/SAVP 8\na=crypto:{}\n", line(&theirs));
            let (_, media) = answered(&offered, Some(&ours)).unwrap();
            ours.settle(&media.protection, media.crypto.as_ref());
            let Protection::Sdes(keys) = &media.protection else { panic!("{media:?}") };
            let again = String::from_utf8(offer_hold(&local(Some(&ours)))).unwrap();
            let lines: Vec<&str> = again.lines().filter_map(|line| line.strip_prefix("a=crypto:")).collect();
            assert_eq!(lines[0], line(&keys.ours), "{again}");
            assert!(lines[1].starts_with(&format!("{others} ")), "{tag}: {again}");
            let crypto: Vec<Crypto> = lines.iter().map(|line| Crypto::parse(line).unwrap()).collect();
            let (tags, suites): (std::collections::BTreeSet<u32>, std::collections::BTreeSet<_>) =
                crypto.iter().map(|c| (c.line.tag.parse::<u32>().unwrap(), c.key.suite() as usize)).unzip();
            assert_eq!((tags.len(), suites.len()), (lines.len(), lines.len()), "each once: {again}");
            // Whoever agrees again to the same changes nothing.
            let answer = sdp(&format!("m=audio 4000 RTP/SAVP 8\na=crypto:{}\n", line(&theirs)));
            assert_eq!(accept_answer(&answer, &local(Some(&ours))).unwrap().protection, media.protection);
        }
    }
}

#[test]
fn what_we_offer_is_answered_by_ourselves_with_the_same_keys_on_both_sides() {
    let (ours, theirs) = (security(Policy::Required, 1), security(Policy::Optional, 2));
    let offered = offer(&local(Some(&ours)));
    let text = String::from_utf8(offered.clone()).unwrap();
    assert!(text.contains("m=audio 10000 RTP/SAVP ") && text.matches("a=crypto:").count() == OFFERED.len(), "{text}");
    let (answer, at_peer) = answer(&parse_offer(&offered).unwrap(), &local(Some(&theirs))).unwrap();
    let at_us = accept_answer(&answer, &local(Some(&ours))).unwrap();
    let (Protection::Sdes(here), Protection::Sdes(there)) = (&at_us.protection, &at_peer.protection) else {
        panic!("{at_us:?} {at_peer:?}")
    };
    assert_eq!((&here.ours, &here.theirs), (&there.theirs, &there.ours));
    // All our lines have keys of their own.
    let keys: std::collections::BTreeSet<_> = text.lines().filter_map(|line| line.split_once("inline:")).collect();
    assert_eq!(keys.len(), OFFERED.len());
}

#[test]
fn an_answer_that_takes_the_encryption_away_is_refused() {
    let (must, may) = (security(Policy::Required, 1), security(Policy::Optional, 1));
    let accepted = |lines: &str, security| accept_answer(&sdp(lines), &local(security)).map(|media| media.protection);
    let plain = "m=audio 4000 RTP/AVP 8\n";
    let line = |tag, suite| format!("m=audio 4000 RTP/SAVP 8\na=crypto:{tag} {suite} {INLINE}\n");
    assert_eq!(accepted(plain, Some(&must)), Err(SdpError::Unencrypted("RTP/AVP".to_owned())));
    assert_eq!(accepted(plain, Some(&may)), Ok(Protection::Plain));
    let secure = line("1", "AES_CM_128_HMAC_SHA1_80");
    assert!(accepted(&secure, Some(&must)).is_ok_and(|protection| protection.is_encrypted()));
    for not_offered in [Some(&may), None] {
        assert_eq!(accepted(&secure, not_offered), Err(SdpError::NotOffered("RTP/SAVP".to_owned())));
    }
    // Another suite than the tag stands for, and a tag that stands for none.
    for wrong in
        [line("1", "AES_CM_128_HMAC_SHA1_32"), line("9", "AES_CM_128_HMAC_SHA1_80"), line("0", "AEAD_AES_128_GCM")]
    {
        assert!(matches!(accepted(&wrong, Some(&must)), Err(SdpError::NoKey { .. })), "{wrong}");
    }
}

#[test]
fn what_is_encrypted_once_stays_so_in_its_session() {
    let mut ours = security(Policy::Optional, 1);
    let secure = format!("m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}\n");
    let plain = "m=audio 4000 RTP/AVP 8\n";
    ours.settle(&answered(plain, Some(&ours)).unwrap().1.protection, None);
    assert!(String::from_utf8(offer(&local(Some(&ours)))).unwrap().contains("RTP/AVP"));
    let agreed = answered(&secure, Some(&ours)).unwrap().1;
    ours.settle(&agreed.protection, agreed.crypto.as_ref());
    assert_eq!(answered(plain, Some(&ours)).unwrap_err(), SdpError::Unencrypted("RTP/AVP".to_owned()));
    let held = String::from_utf8(offer_hold(&local(Some(&ours)))).unwrap();
    assert!(held.contains("RTP/SAVP") && held.contains("a=crypto:1 ") && held.contains("a=sendonly"), "{held}");
}

#[test]
fn errors_say_what_to_change() {
    for (error, hints) in [
        (SdpError::Encrypted("RTP/SAVP".to_owned()), &["RTP/SAVP", "srtp = \"off\"", "secretary.toml"][..]),
        (SdpError::Unencrypted("RTP/AVP".to_owned()), &["srtp = \"required\"", "at the peer", "secretary.toml"]),
        (SdpError::NoKey { proto: "RTP/SAVP".to_owned(), unusable: 2 }, &["a=crypto", "2", "AES_CM_128_HMAC_SHA1_80"]),
    ] {
        let said = error.to_string();
        assert!(hints.iter().all(|hint| said.contains(hint)), "{said}");
    }
}

#[test]
fn random_crypto_lines_never_panic() {
    let mut rng = StdRng::seed_from_u64(5);
    let whole = format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20 WSH=64");
    let mut usable = 0;
    for _ in 0..50_000 {
        let mut damaged: Vec<char> = whole.chars().collect();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..damaged.len());
            damaged[at] = ['|', ' ', ':', 'A', '=', '9', 'Ы', '\0'][rng.random_range(0..8)];
        }
        usable += usize::from(Crypto::parse(&damaged.iter().collect::<String>()).is_some());
    }
    println!("{usable} of 50000 damaged lines were usable");
    assert!(usable > 1_000);
}

const FINGERPRINT_256: &str =
    "sha-256 AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB";

fn role(protection: &Protection) -> Option<Role> {
    match protection {
        Protection::Dtls(terms) => Some(terms.role),
        Protection::Plain | Protection::Awaited | Protection::Sdes(_) => None,
    }
}

#[test]
fn a_handshake_is_answered_in_the_other_role_with_our_fingerprint() {
    let ours = security(Policy::Optional, 1);
    for (setup, answer, expected) in [
        ("a=setup:actpass\n", "a=setup:active\r\n", Role::Active),
        ("a=setup:passive\n", "a=setup:active\r\n", Role::Active),
        ("a=setup:ACTIVE\n", "a=setup:passive\r\n", Role::Passive),
        ("", "a=setup:passive\r\n", Role::Passive),
    ] {
        for proto in ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVP", "RTP/SAVPF", "RTP/AVP"] {
            let stream = format!("m=audio 4000 {proto} 8\n");
            let lines = format!("a=fingerprint:{FINGERPRINT_256}\n{setup}");
            for lines in [format!("{stream}{lines}a=rtcp-mux\n"), format!("{lines}{stream}a=rtcp-mux\n")] {
                let (sdp, media) = answered(&lines, Some(&ours)).unwrap();
                assert_eq!(role(&media.protection), Some(expected), "{lines}");
                let fingerprint = format!("a=fingerprint:{}\r\n", ours.certificate.fingerprint());
                assert!(sdp.contains(answer) && sdp.contains(&fingerprint) && sdp.contains(proto), "{lines}: {sdp}");
                assert!(!sdp.contains("crypto") && sdp.contains("rtcp-mux"), "{sdp}");
            }
        }
    }
}

#[test]
fn a_peer_behind_a_nat_is_left_to_begin_unless_ice_can_reach_him_or_we_are_there_too() {
    let ours = security(Policy::Optional, 1);
    let public = "203.0.113.5";
    let ice = Credentials { ufrag: "ours".to_owned(), password: "0123456789012345678901".to_owned() };
    for (at, own, has_ice, expected) in [
        ("10.0.0.5", public, false, Role::Passive),
        ("100.64.0.5", public, false, Role::Passive),
        ("10.0.0.5", public, true, Role::Active),
        ("10.0.0.5", "192.168.0.2", false, Role::Active),
        ("198.51.100.1", public, false, Role::Active),
    ] {
        let lines = format!(
            "m=audio 4000 UDP/TLS/RTP/SAVP 8\na=fingerprint:{FINGERPRINT_256}\na=setup:actpass\n\
             a=ice-ufrag:abcd\na=ice-pwd:0123456789abcdefghijkl\na=candidate:1 1 UDP 2130706431 {at} 4000 typ host\n\
             a=candidate:1 2 UDP 2130706430 {at} 4001 typ host\n"
        );
        let offered = String::from_utf8(sdp(&lines)).unwrap().replace("IN IP4 198.51.100.1", &format!("IN IP4 {at}"));
        let local = LocalMedia { address: own.parse().unwrap(), ice: has_ice.then_some(&ice), ..local(Some(&ours)) };
        let (_, media) = answer(&parse_offer(offered.as_bytes()).unwrap(), &local).unwrap();
        assert_eq!((role(&media.protection), media.ice.is_some()), (Some(expected), has_ice), "{at} and {own}");
        // Who has a role keeps it, wherever he goes.
        let mut settled = ours.clone();
        settled.settle(&media.protection, None);
        let moved = LocalMedia { address: public.parse().unwrap(), ice: None, security: Some(&settled), ..local };
        let (_, media) = answer(&parse_offer(offered.as_bytes()).unwrap(), &moved).unwrap();
        assert_eq!(role(&media.protection), Some(expected), "{at} and {own}");
    }
}

#[test]
fn keys_that_are_told_come_before_a_handshake_but_where_the_transport_is_one() {
    let ours = security(Policy::Required, 1);
    let keys =
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}\na=fingerprint:{FINGERPRINT_256}\na=setup:actpass\n");
    for (proto, handshake) in [("RTP/AVP", false), ("RTP/SAVP", false), ("UDP/TLS/RTP/SAVPF", true)] {
        let (_, media) = answered(&format!("m=audio 4000 {proto} 8\n{keys}"), Some(&ours)).unwrap();
        assert_eq!(role(&media.protection).is_some(), handshake, "{proto}");
        assert!(media.protection.is_encrypted());
    }
}

#[test]
fn a_handshake_that_cannot_be_had_says_why() {
    let (may, must) = (security(Policy::Optional, 1), security(Policy::Required, 1));
    let weak = "a=fingerprint:sha-1 AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\na=setup:actpass\n";
    let tls = "m=audio 4000 UDP/TLS/RTP/SAVPF 8\n";
    let error = |lines: String, security: Option<&Security>| answered(&lines, security).unwrap_err();
    assert_eq!(error(format!("{tls}{weak}"), Some(&may)), SdpError::UntrustedFingerprint("sha-1".to_owned()));
    assert_eq!(error(tls.to_owned(), Some(&may)), SdpError::NoFingerprint("UDP/TLS/RTP/SAVPF".to_owned()));
    assert_eq!(error(tls.to_owned(), None), SdpError::Encrypted("UDP/TLS/RTP/SAVPF".to_owned()));
    let held = format!("{tls}a=fingerprint:{FINGERPRINT_256}\na=setup:holdconn\n");
    assert_eq!(error(held, Some(&may)), SdpError::Setup("holdconn".to_owned()));
    // Where there need be no encryption there is none; where it must be, not by SHA-1.
    let optional = format!("m=audio 4000 RTP/AVP 8\n{weak}");
    assert_eq!(answered(&optional, Some(&may)).unwrap().1.protection, Protection::Plain);
    assert_eq!(error(optional, Some(&must)), SdpError::UntrustedFingerprint("sha-1".to_owned()));
}

#[test]
fn a_handshake_that_we_offer_is_answered_by_ourselves() {
    let (ours, theirs) = (by(KeyExchange::Dtls, Policy::Required, 1), security(Policy::Optional, 2));
    let offered = offer(&local(Some(&ours)));
    let text = String::from_utf8(offered.clone()).unwrap();
    assert!(text.contains("m=audio 10000 UDP/TLS/RTP/SAVP ") && text.contains("a=setup:actpass\r\n"), "{text}");
    let (sdp, at_peer) = answer(&parse_offer(&offered).unwrap(), &local(Some(&theirs))).unwrap();
    let at_us = accept_answer(&sdp, &local(Some(&ours))).unwrap();
    assert_eq!((role(&at_us.protection), role(&at_peer.protection)), (Some(Role::Passive), Some(Role::Active)));
    let (Protection::Dtls(here), Protection::Dtls(there)) = (at_us.protection, at_peer.protection) else { panic!() };
    assert_eq!(here.fingerprints, [theirs.certificate.fingerprint().clone()]);
    assert_eq!(there.fingerprints, [ours.certificate.fingerprint().clone()]);
    // An answer has to choose, and must not be without.
    let choose = String::from_utf8(sdp).unwrap().replace("setup:active", "setup:actpass");
    let chosen = accept_answer(choose.as_bytes(), &local(Some(&ours)));
    assert_eq!(chosen.unwrap_err(), SdpError::Setup("actpass".to_owned()));
    let plain = crate::sip::sdp::keys::tests::sdp("m=audio 4000 RTP/AVP 8\n");
    assert_eq!(accept_answer(&plain, &local(Some(&ours))).unwrap_err(), SdpError::Unencrypted("RTP/AVP".to_owned()));
}

#[test]
fn who_has_a_role_keeps_it() {
    let mut ours = security(Policy::Optional, 1);
    let lines =
        |setup: &str| format!("m=audio 4000 UDP/TLS/RTP/SAVP 8\na=fingerprint:{FINGERPRINT_256}\na=setup:{setup}\n");
    let first = answered(&lines("active"), Some(&ours)).unwrap().1;
    ours.settle(&first.protection, None);
    // RFC 5763 §5: a later offer says actpass again and means the association that there is.
    let (sdp, again) = answered(&lines("actpass"), Some(&ours)).unwrap();
    assert_eq!(again.protection, first.protection);
    assert!(sdp.contains("a=setup:passive"), "{sdp}");
    assert!(String::from_utf8(offer(&local(Some(&ours)))).unwrap().contains("UDP/TLS/RTP/SAVP"));
}
