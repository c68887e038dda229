//! Packets against the RFCs' keys, replay, rollover, and what strangers send.

use super::sources::{MAX_FORMER, MAX_SOURCES};
use super::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Master key and salt of RFC 3711 appendix B.3, and of RFC 6188 §7.2.
const KEY_128: &str = "e1f97a0d3e018be0d64fa32c06de4139";
const SALT_128: &str = "0ec675ad498afeebb6960b3aabe6";
const KEY_256: &str = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
const SALT_256: &str = "3b04803de51ee7c96423ab5b78d2";

/// A packet of 16 bytes of sound with number 1, and a report.
const PACKET: &str = "80080001000000a00a0b0c0d000102030405060708090a0b0c0d0e0f";
const REPORT: &str = "81c900070a0b0c0d000102030405060708090a0b0c0d0e0f1011121314151617";

/// What stands behind the clear header of each: made of the RFCs' session keys by their formulas with OpenSSL.
const SEALED: [(Suite, &str, &str); 6] = [
    (
        Suite::AesCm128HmacSha1_80,
        "8584ec726391c7d0c5fbe1d5256284d97aa69c55d6afe135d7eb",
        "f232a6fd652ef4affc0f0750e9e63ca26c7597388b8863fb80000001e0d71b969230b4bba883",
    ),
    (
        Suite::AesCm128HmacSha1_32,
        "8584ec726391c7d0c5fbe1d5256284d97aa69c55",
        "f232a6fd652ef4affc0f0750e9e63ca26c7597388b8863fb80000001e0d71b969230b4bba883",
    ),
    (
        Suite::Aes256CmHmacSha1_80,
        "55b083b53dbe38ead5fd524840e25b21c8ba5941dd31c3b0b080",
        "d43b0ae562ed349a2b5c616d3c38bfb27abdb55e7f97f34180000001503adeede504d3086302",
    ),
    (
        Suite::Aes256CmHmacSha1_32,
        "55b083b53dbe38ead5fd524840e25b21c8ba5941",
        "d43b0ae562ed349a2b5c616d3c38bfb27abdb55e7f97f34180000001503adeede504d3086302",
    ),
    (
        Suite::AeadAes128Gcm,
        "f18f77c38d7f3e3def981bcb6b5a8262c57d790d23ab4aa984c915ea7ebfbf04",
        "bd8b2a47c2b7f2e3ec918580a82acc5cddeaba25e3a2589356a46a290e51b442951e517c78a5bf4380000001",
    ),
    (
        Suite::AeadAes256Gcm,
        "924a12c03c6a7942c79cf591f51baf6cf8e699faa5937e4408b395036f2b445f",
        "4116ed586544be6e614c0c59879f23ade59ec1735b8e7ff9e412e3849e2f27aa152e9b5c0c2b782c80000001",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn master(suite: Suite) -> MasterKey {
    let (key, salt) = if suite.key_len() == 16 { (KEY_128, SALT_128) } else { (KEY_256, SALT_256) };
    let secret = [bytes(key), bytes(salt)[..suite.salt_len()].to_vec()].concat();
    MasterKey::new(suite, &secret).unwrap()
}

fn drawn(suite: Suite, seed: u64) -> MasterKey {
    MasterKey::draw(suite, &mut StdRng::seed_from_u64(seed))
}

/// Two sides that understand each other.
fn pair(suite: Suite) -> (Srtp, Srtp) {
    let (a, b) = (drawn(suite, 1), drawn(suite, 2));
    (Srtp::new(SrtpKeys { ours: a.clone(), theirs: b.clone() }), Srtp::new(SrtpKeys { ours: b, theirs: a }))
}

/// A packet of sound.
fn packet(seq: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(seq.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

#[test]
fn packets_look_as_the_rfcs_say() {
    for (suite, sound, report) in SEALED {
        let key = master(suite);
        let mut srtp = Srtp::new(SrtpKeys { ours: key.clone(), theirs: key });
        let sealed = srtp.protect(&bytes(PACKET)).unwrap();
        assert_eq!(sealed, [&bytes(PACKET)[..12], &bytes(sound)].concat(), "{suite:?}");
        assert_eq!(srtp.unprotect(&sealed), Ok(bytes(PACKET)), "{suite:?}");
        let sealed = srtp.protect_rtcp(&bytes(REPORT)).unwrap();
        assert_eq!(sealed, [&bytes(REPORT)[..8], &bytes(report)].concat(), "{suite:?}");
        assert_eq!(srtp.unprotect_rtcp(&sealed), Ok(bytes(REPORT)), "{suite:?}");
    }
}

#[test]
fn a_key_is_as_long_as_its_suite_wants_it_and_is_never_shown() {
    for suite in Suite::ALL {
        let length = suite.key_len() + suite.salt_len();
        assert!(MasterKey::new(suite, &vec![7; length]).is_some());
        assert!(MasterKey::new(suite, &vec![7; length - 1]).is_none());
        assert!(MasterKey::new(suite, &vec![7; length + 1]).is_none());
    }
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[171; 30]).unwrap();
    let shown = format!("{:?} {:?}", key, Srtp::new(SrtpKeys { ours: key.clone(), theirs: key.clone() }));
    assert!(!shown.contains("171") && shown.contains("AesCm128HmacSha1_80"), "{shown}");
}

#[test]
fn header_extensions_and_sources_are_not_encrypted_and_not_lost() {
    for suite in Suite::ALL {
        let (mut a, mut b) = pair(suite);
        // Two contributing sources, and an extension of RFC 8285 whose last element says that it is longer than it is.
        let mut packet = vec![0x92, 8, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 6, 6];
        packet.extend([0xbe, 0xde, 0, 2, 0x10, 9, 0, 0, 0, 0, 0, 0x1f]);
        packet.extend([0xd5; 20]);
        let sealed = a.protect(&packet).unwrap();
        assert_eq!(sealed[..32], packet[..32], "{suite:?}");
        assert_ne!(sealed[32..52], packet[32..52], "{suite:?}");
        assert_eq!(b.unprotect(&sealed), Ok(packet), "{suite:?}");
    }
}

#[test]
fn a_packet_comes_once_and_a_changed_one_never() {
    for suite in Suite::ALL {
        let (mut a, mut b) = pair(suite);
        let sealed: Vec<_> = (0..200).map(|seq| a.protect(&packet(seq, 7)).unwrap()).collect();
        for n in [0, 2, 1, 199, 150] {
            assert_eq!(b.unprotect(&sealed[n]), Ok(packet(n as u16, 7)), "{suite:?}: {n}");
        }
        for n in [0, 2, 1, 199, 150, 70] {
            assert_eq!(b.unprotect(&sealed[n]), Err(Refused::Replayed), "{suite:?}: {n}");
        }
        for at in [1, 4, 9, 14, sealed[198].len() - 1] {
            let mut changed = sealed[198].clone();
            changed[at] ^= 1;
            assert_eq!(b.unprotect(&changed), Err(Refused::Forged), "{suite:?}: byte {at}");
        }
        assert_eq!(b.unprotect(&sealed[198]), Ok(packet(198, 7)), "{suite:?}: what was forged counts for nothing");
        assert_eq!(b.unprotect(&packet(300, 7)), Err(Refused::Forged), "{suite:?}: not encrypted at all");
        let report = a.protect_rtcp(&bytes(REPORT)).unwrap();
        assert_eq!(b.unprotect_rtcp(&report), Ok(bytes(REPORT)), "{suite:?}");
        assert_eq!(b.unprotect_rtcp(&report), Err(Refused::Replayed), "{suite:?}");
    }
}

#[test]
fn a_report_that_says_it_is_not_encrypted_is_not_taken() {
    for suite in Suite::ALL {
        let (mut a, mut b) = pair(suite);
        let mut report = a.protect_rtcp(&bytes(REPORT)).unwrap();
        let flag = report.len() - suite.report_flag_from_end();
        assert_eq!(report[flag], 0x80, "{suite:?}");
        report[flag] = 0;
        assert_eq!(b.unprotect_rtcp(&report), Err(Refused::Forged), "{suite:?}");
        for length in 0..report.len() {
            assert!(b.unprotect_rtcp(&report[..length]).is_err(), "{suite:?}: {length} bytes");
        }
    }
}

#[test]
fn numbers_roll_over_as_often_as_they_like() {
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm] {
        let (mut a, mut b) = pair(suite);
        let mut old = Vec::new();
        for n in 30_000..200_000u32 {
            // One in a hundred is lost, and around each rollover two change places.
            let sealed = a.protect(&packet(n as u16, 7)).unwrap();
            if n == 40_000 {
                old.clone_from(&sealed);
            }
            let swap = n % 65_536 == 65_535;
            if swap {
                let next = a.protect(&packet(n.wrapping_add(1) as u16, 7)).unwrap();
                assert_eq!(b.unprotect(&next), Ok(packet(n.wrapping_add(1) as u16, 7)), "{suite:?}: {n}");
                assert_eq!(b.unprotect(&sealed), Ok(packet(n as u16, 7)), "{suite:?}: {n}");
            } else if n % 65_536 != 0 && n % 100 != 0 {
                assert_eq!(b.unprotect(&sealed), Ok(packet(n as u16, 7)), "{suite:?}: {n}");
            }
        }
        // 65,536 packets later the number is the same and the packet is not.
        assert!(b.unprotect(&old).is_err(), "{suite:?}");
    }
}

#[test]
fn a_way_whose_key_stays_goes_on_counting() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut a, mut b) = pair(suite);
    let carry = |a: &mut Srtp, b: &mut Srtp, seq: u16| {
        let sealed = a.protect(&packet(seq, 7)).unwrap();
        (b.unprotect(&sealed), sealed)
    };
    for seq in 65_000..=65_535 {
        assert!(carry(&mut a, &mut b, seq).0.is_ok());
    }
    let (_, before) = carry(&mut a, &mut b, 0);
    // The same agreement again: the rollover goes on, and what was here is still known.
    let (first, second) = (drawn(suite, 1), drawn(suite, 2));
    assert!(!a.rekey(SrtpKeys { ours: first.clone(), theirs: second.clone() }));
    assert!(!b.rekey(SrtpKeys { ours: second.clone(), theirs: first }));
    assert_eq!(b.unprotect(&before), Err(Refused::Replayed));
    assert!(carry(&mut a, &mut b, 1).0.is_ok());
    // A new key one way: the other way goes on.
    let new = drawn(suite, 3);
    assert!(a.rekey(SrtpKeys { ours: new.clone(), theirs: second.clone() }), "a source of ours that is new");
    let sealed = a.protect(&packet(2, 7)).unwrap();
    assert_eq!(b.unprotect(&sealed), Err(Refused::Forged), "he has not heard of it yet");
    assert!(!b.rekey(SrtpKeys { ours: second, theirs: new }));
    assert_eq!(b.unprotect(&sealed), Ok(packet(2, 7)));
    assert!(carry(&mut b, &mut a, 9).0.is_ok());
    assert_eq!(b.unprotect(&before), Err(Refused::Forged), "of the former key");
}

#[test]
fn strangers_take_no_room() {
    let (mut a, mut b) = pair(Suite::AesCm128HmacSha1_80);
    for ssrc in 0..10_000 {
        assert_eq!(b.unprotect(&packet(1, ssrc)), Err(Refused::Forged));
        let mut report = bytes(REPORT);
        report[4..8].copy_from_slice(&ssrc.to_be_bytes());
        report.extend([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(b.unprotect_rtcp(&report), Err(Refused::Forged));
    }
    assert_eq!((b.sound.known(), b.reports.known()), (0, 0));
    // One who becomes another ever again is always heard, and makes room for himself.
    for ssrc in 0..1_000 {
        for seq in 1..3 {
            let sealed = a.protect(&packet(seq, ssrc)).unwrap();
            assert_eq!(b.unprotect(&sealed), Ok(packet(seq, ssrc)), "{ssrc}");
            assert_eq!(b.unprotect(&sealed), Err(Refused::Replayed), "{ssrc}");
            assert_eq!(b.unprotect(&packet(seq, !ssrc)), Err(Refused::Forged));
        }
    }
    assert_eq!(b.sound.known(), MAX_SOURCES);
}

/// One who has a new key, and has sent `index` packets under former ones, which he counts too.
fn counting_on(keys: SrtpKeys, index: u32) -> Srtp {
    let mut srtp = Srtp::new(keys);
    for index in (0..index).step_by(20_000).chain([index]) {
        srtp.protect(&packet(index as u16, 7)).unwrap();
    }
    srtp
}

#[test]
fn under_a_new_key_a_source_may_count_on_or_begin_anew() {
    for suite in Suite::ALL {
        for (rollovers, counts_on) in [(0, true), (0, false), (1, true), (1, false), (5, true), (5, false)] {
            // Shortly before and after the next rollover, and far from it.
            for last in [65_535, 0, 30_000] {
                let what = format!("{suite:?}: {rollovers} rollovers and {last}, counts on: {counts_on}");
                let (_, mut b) = pair(suite);
                let mut index = rollovers << 16 | last;
                let keys = |seed| SrtpKeys { ours: drawn(suite, seed), theirs: drawn(suite, 2) };
                let mut a = Srtp::new(keys(1));
                for index in (0..=index).step_by(20_000).chain([index]) {
                    let _ = b.unprotect(&a.protect(&packet(index as u16, 7)).unwrap());
                }
                let mut new = if counts_on { counting_on(keys(3), index) } else { Srtp::new(keys(3)) };
                assert!(!b.rekey(SrtpKeys { ours: drawn(suite, 2), theirs: drawn(suite, 3) }));
                let late = a.protect(&packet(index.wrapping_add(1) as u16, 7)).unwrap();
                assert!(b.unprotect(&late).is_ok(), "{what}: under way when the key changed");
                assert_eq!(b.unprotect(&late), Err(Refused::Replayed), "{what}");
                index += 2;
                for index in (index..index + 70_000).filter(|n| n % 5_000 < 50 || *n < index + 50) {
                    let sealed = new.protect(&packet(index as u16, 7)).unwrap();
                    assert_eq!(b.unprotect(&sealed), Ok(packet(index as u16, 7)), "{what}: {index}");
                }
                assert!(b.unprotect(&late).is_err(), "{what}");
            }
        }
    }
}

#[test]
fn a_former_key_is_forgotten_in_time() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut a, mut b) = pair(suite);
    assert!(b.unprotect(&a.protect(&packet(0, 7)).unwrap()).is_ok());
    // Twice in a row, the first of them never used.
    for seed in [3, 4] {
        assert!(!b.rekey(SrtpKeys { ours: drawn(suite, 2), theirs: drawn(suite, seed) }));
    }
    for seq in 1..=MAX_FORMER as u16 {
        assert!(b.unprotect(&a.protect(&packet(seq, 7)).unwrap()).is_ok(), "{seq}");
    }
    assert!(!b.is_wrong_key());
    for seq in 1..=50 {
        let sealed = a.protect(&packet(MAX_FORMER as u16 + seq, 7)).unwrap();
        assert_eq!(b.unprotect(&sealed), Err(Refused::Forged));
        assert_eq!(b.is_wrong_key(), seq == 50, "{seq}");
    }
    // What a stranger sends under it is not taken at any time.
    let (mut a, mut b) = pair(suite);
    assert!(!b.rekey(SrtpKeys { ours: drawn(suite, 2), theirs: drawn(suite, 3) }));
    assert_eq!(b.unprotect(&a.protect(&packet(0, 7)).unwrap()), Err(Refused::Forged), "nobody was known");
}

#[test]
fn one_who_numbers_anew_under_a_new_key_is_heard_though_old_packets_come() {
    for suite in Suite::ALL {
        let (mut a, mut b) = pair(suite);
        for seq in 30_000..30_003 {
            assert!(b.unprotect(&a.protect(&packet(seq, 7)).unwrap()).is_ok());
        }
        for _ in 0..300 {
            assert!(b.unprotect_rtcp(&a.protect_rtcp(&bytes(REPORT)).unwrap()).is_ok());
        }
        assert!(!b.rekey(SrtpKeys { ours: drawn(suite, 2), theirs: drawn(suite, 3) }));
        assert!(b.unprotect(&a.protect(&packet(30_003, 7)).unwrap()).is_ok(), "under way");
        assert!(b.unprotect_rtcp(&a.protect_rtcp(&bytes(REPORT)).unwrap()).is_ok(), "under way");
        let mut new = Srtp::new(SrtpKeys { ours: drawn(suite, 3), theirs: drawn(suite, 2) });
        for seq in 0..50 {
            assert_eq!(b.unprotect(&new.protect(&packet(seq, 7)).unwrap()), Ok(packet(seq, 7)), "{suite:?}");
            assert_eq!(b.unprotect_rtcp(&new.protect_rtcp(&bytes(REPORT)).unwrap()), Ok(bytes(REPORT)), "{suite:?}");
        }
    }
}
