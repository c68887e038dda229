//! Fingerprints, certificates, and what is DTLS; handshakes are in tests/it/srtp.rs.

use super::*;

#[test]
fn a_fingerprint_is_read_as_it_is_written() {
    let ours = Certificate::generate().unwrap();
    let text = ours.fingerprint().to_string();
    assert!(text.starts_with("sha-256 ") && text.len() == 8 + 95, "{text}");
    assert_eq!(Fingerprint::parse(&text).as_ref(), Some(ours.fingerprint()));
    let digits = text.split_once(' ').unwrap().1.to_ascii_lowercase();
    assert_eq!(Fingerprint::parse(&format!(" SHA-256  {digits} ")).as_ref(), Some(ours.fingerprint()));
    for (hash, bytes) in [("sha-384", 48), ("sha-512", 64)] {
        assert!(Fingerprint::parse(&format!("{hash} {}", vec!["AB"; bytes].join(":"))).is_some(), "{hash}");
    }
}

#[test]
fn what_is_no_fingerprint_or_a_weak_one_is_not_read() {
    let of = |hash: &str, bytes| format!("{hash} {}", vec!["AB"; bytes].join(":"));
    for bad in [
        String::new(),
        of("sha-1", 20),
        of("md5", 16),
        of("sha-256", 31),
        of("sha-256", 33),
        of("sha-512", 32),
        of("sha-256", 32).replace("AB:AB", "AB:A"),
        of("sha-256", 32).replace("AB:AB", "AB:+B"),
        of("sha-256", 32).replace(':', ""),
        "sha-256".to_owned(),
    ] {
        assert_eq!(Fingerprint::parse(&bad), None, "{bad}");
    }
}

#[test]
fn datagrams_of_dtls_are_told_from_the_others_on_their_port() {
    for (first, ours) in [(0, false), (3, false), (19, false), (20, true), (63, true), (64, false), (128, false)] {
        assert_eq!(is_dtls(&[first, 0, 0]), ours, "{first}");
    }
    assert!(!is_dtls(&[]));
}

#[test]
fn a_certificate_is_another_one_each_time_and_shows_no_key() {
    let (a, b) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
    assert_ne!(a.fingerprint(), b.fingerprint());
    assert_eq!(a.clone().fingerprint(), a.fingerprint());
    assert_eq!(format!("{a:?}"), format!("Certificate({})", a.fingerprint()));
}
