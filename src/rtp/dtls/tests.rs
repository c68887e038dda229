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

/// A record of a handshake's pieces: length of the message, offset, length of the fragment, and bytes behind the header.
fn record(pieces: &[(u32, u32, u32, usize)]) -> Vec<u8> {
    let mut body = Vec::new();
    for &(length, offset, fragment, bytes) in pieces {
        body.push(1);
        body.extend_from_slice(&length.to_be_bytes()[1..]);
        body.extend_from_slice(&[0, 7]);
        body.extend_from_slice(&offset.to_be_bytes()[1..]);
        body.extend_from_slice(&fragment.to_be_bytes()[1..]);
        body.resize(body.len() + bytes, 0);
    }
    let mut record = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

#[test]
fn a_datagram_whose_lengths_are_wrong_is_not_looked_at() {
    let count = |datagram: &[u8]| pieces(datagram).map(|pieces| pieces.len());
    assert_eq!(count(&record(&[(5, 0, 5, 5)])), Some(1));
    assert_eq!(count(&record(&[(5, 0, 5, 5), (0, 0, 0, 0)])), Some(2), "a whole message and an empty one");
    assert_eq!(count(&record(&[(5, 0, 5, 5), (9, 3, 4, 4)])), Some(2), "a part behind a whole one");
    let sealed = [23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 1, 2];
    assert_eq!(count(&[record(&[(5, 0, 5, 5)]), sealed.to_vec()].concat()), Some(2));
    for (what, bad) in [
        ("an empty part", record(&[(5, 1, 0, 0)])),
        ("an empty message with a part", record(&[(0, 1, 1, 1)])),
        ("a part before another message", record(&[(9, 0, 4, 4), (5, 0, 5, 5)])),
        ("more than the message", record(&[(5, 3, 4, 4)])),
        ("more than the record", record(&[(5, 0, 5, 4)])),
        ("too long a message", record(&[(20_000, 0, 5, 5)])),
        ("half a header", record(&[(5, 0, 5, 5)])[..20].to_vec()),
        ("half a record", sealed[..14].to_vec()),
        ("too many pieces", record(&[(0, 0, 0, 0); 65])),
    ] {
        assert_eq!(count(&bad), None, "{what}");
    }
    assert_eq!(count(&record(&[(0, 0, 0, 0); 64])), Some(64));
}

#[test]
fn one_who_sends_ever_more_pieces_is_heard_no_more_and_others_do_not_keep_the_promised_one_out() {
    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    let now = Instant::now();
    let address = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    let certificate = Certificate::generate().unwrap();
    let fingerprints = vec![certificate.fingerprint().clone()];
    let mut association = Association::new(Terms { certificate, role: Role::Passive, fingerprints });
    for port in 1..=10 {
        for offset in 0..100 {
            let piece = record(&[(1_000, offset, 1, 1)]);
            association.handle_input(now, address(port), (port == 9).then_some(address(9)), &piece);
        }
    }
    let had: Vec<_> = association.peers.iter().map(|peer| (peer.name.port(), peer.had.len())).collect();
    assert!(had.iter().all(|(_, pieces)| *pieces <= MAX_PIECES), "{had:?}");
    assert!(had.len() <= MAX_PEERS + 1, "{had:?}");
    let mut fresh = Association::new(association.terms().clone());
    for port in 1..=9 {
        fresh.handle_input(now, address(port), (port == 9).then_some(address(9)), &record(&[(1_000, 0, 1, 1)]));
    }
    assert!(fresh.peers.iter().any(|peer| peer.name == address(9)), "{fresh:?}");
}

#[test]
fn strangers_who_fail_and_come_again_are_looked_at_so_often_and_no_more() {
    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    let now = Instant::now();
    let certificate = Certificate::generate().unwrap();
    let fingerprints = vec![certificate.fingerprint().clone()];
    let mut association = Association::new(Terms { certificate, role: Role::Passive, fingerprints });
    // The first message of a handshake of DTLS 1.0, without extensions: behind both headers its version, random bytes, session,
    // cookie, one cipher, no compression.
    let mut bad = record(&[(44, 0, 44, 44)]);
    bad[18] = 0;
    bad[25..27].copy_from_slice(&[254, 255]);
    bad[61..67].copy_from_slice(&[0, 2, 0xc0, 0x2b, 1, 0]);
    let mut looked_at = 0;
    for n in 0..4_000u16 {
        association.handle_input(now, ([203, 0, 113, 66], 1 + n).into(), None, &bad);
        // Each is told that it is over, and leaves room for the next.
        looked_at += u32::from(std::iter::from_fn(|| association.poll_output()).count() > 0);
        assert!(association.peers.len() <= MAX_PEERS && matches!(association.state, State::Idle));
    }
    assert_eq!(looked_at, MAX_STRANGE_DATAGRAMS);
    let peer = SocketAddr::from(([192, 0, 2, 1], 9));
    association.handle_input(now, peer, Some(peer), &bad);
    assert!(matches!(association.state, State::Failed), "the peer himself is still looked at");
}
