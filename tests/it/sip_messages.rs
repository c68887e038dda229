//! SIP messages that are hard to read, and bytes that are none at all.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::sip::message::{Message, NameAddr, StreamFramer, Via};
use secretary::sip::{Command, SessionEvent};

use crate::support::pair::{Network, Pair, Side};

fn files() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sip"));
    paths.sort();
    assert_eq!(paths.len(), 10);
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn file(name: &str) -> Message {
    let (_, text) = files().into_iter().find(|(path, _)| path.ends_with(name)).unwrap();
    Message::parse(text.as_bytes()).unwrap()
}

/// Every message is read, with LF as with CRLF, and written so that it is read as the same again.
#[test]
fn hard_messages_are_read_and_written() {
    for (path, text) in files() {
        let message = Message::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let (written, envelope) = match &message {
            Message::Request(request) => (request.to_bytes(), request.envelope()),
            Message::Response(response) => (response.to_bytes(), response.envelope()),
        };
        assert!(envelope.is_ok(), "{path:?}: {envelope:?}");
        let crlf = Message::parse(text.replace('\n', "\r\n").as_bytes()).unwrap();
        let again = Message::parse(&written).unwrap();
        for other in [crlf, again] {
            match (&message, other) {
                (Message::Request(one), Message::Request(other)) => {
                    assert_eq!((&one.method, &one.uri), (&other.method, &other.uri), "{path:?}");
                    let headers = one.headers.iter().filter(|(name, _)| *name != "Content-Length");
                    assert!(headers.eq(other.headers.iter().filter(|(name, _)| *name != "Content-Length")), "{path:?}");
                }
                (Message::Response(one), Message::Response(other)) => {
                    assert_eq!((one.status, &one.reason), (other.status, &other.reason), "{path:?}");
                }
                _ => panic!("{path:?} changed its kind"),
            }
        }
    }
}

#[test]
fn the_hard_parts_mean_what_they_should() {
    let Message::Request(spaces) = file("spaces.sip") else { panic!("not a request") };
    let envelope = spaces.envelope().unwrap();
    assert_eq!(envelope.to.display.as_deref(), Some("A \"quoted\" <name>, Esq."));
    assert_eq!(envelope.from.display.as_deref(), Some("Ян \\ Backslash"));
    assert_eq!((envelope.from.tag(), envelope.cseq.number), (Some("7t"), 9));
    let vias: Vec<Via> = spaces.headers.values("Via").map(|via| via.parse().unwrap()).collect();
    let seen: Vec<_> = vias.iter().map(|via| (via.transport.as_str(), via.host.as_str(), via.port)).collect();
    assert_eq!(
        seen,
        [("UDP", "192.0.2.200", Some(5070)), ("TCP", "a.example.com", None), ("TLS", "b.example.com", Some(5061))]
    );
    assert_eq!(vias[0].branch(), Some("z9hG4bK39"));
    let contact: NameAddr = spaces.headers.values("Contact").next().unwrap().parse().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted , comma"));
    assert_eq!(spaces.body, b"v=0\n.");

    let Message::Request(methods) = file("methods.sip") else { panic!("not a request") };
    assert_eq!(methods.method.as_str(), "!INTERESTING-Method0123456789_*+`.%indeed'~");
    assert_eq!((methods.uri.host.as_str(), methods.uri.port), ("example.com", None));

    let Message::Request(surplus) = file("surplus.sip") else { panic!("not a request") };
    assert!(surplus.body.is_empty());

    let Message::Request(ipv6) = file("ipv6.sip") else { panic!("not a request") };
    assert_eq!(ipv6.uri.ip(), "2001:db8::10".parse().ok());
}

/// Mutations of valid messages and plain noise, to an endpoint that is in a call: no panic, and no growth without bound.
#[test]
fn no_bytes_make_the_endpoint_panic() {
    let mut rng = StdRng::seed_from_u64(4475);
    let mut pair = Pair::new(1, Network::PERFECT);
    let mut seeds: Vec<Vec<u8>> =
        files().into_iter().map(|(_, text)| text.replace('\n', "\r\n").into_bytes()).collect();
    pair.call();
    let (call, SessionEvent::Incoming(_)) = pair.session_event(Side::Callee) else { panic!("no call") };
    pair.command(Side::Callee, Command::Answer { call, sdp: b"answer".to_vec() });
    pair.run_for(std::time::Duration::from_secs(1));
    let sent = pair.trace.lines().filter_map(|line| line.split_once(" > "));
    seeds.extend(sent.map(|(_, text)| text.replace('|', "\r\n").into_bytes()));

    let mut parsed = 0;
    for round in 0..20_000 {
        let bytes = if round % 50 == 0 {
            (0..rng.random_range(0..200)).map(|_| rng.random()).collect()
        } else {
            mutated(&mut rng, &seeds)
        };
        parsed += usize::from(Message::parse(&bytes).is_ok());
        let mut framer = StreamFramer::default();
        if framer.push(&bytes).is_ok() {
            while let Ok(Some(_)) = framer.poll() {}
        }
        for side in [Side::Caller, Side::Callee] {
            pair.receive(side, bytes.clone());
        }
        if round % 20 == 0 {
            pair.run_for(std::time::Duration::from_millis(500));
            pair.trace.clear();
        }
        let usage = pair.end(Side::Callee).usage();
        assert!(usage.sessions <= 4 && usage.transactions <= 2 * (2048 + 16 * 4), "{usage:?}");
    }
    println!("{parsed} of 20000 were still messages");
    assert!(parsed > 2_000, "the mutations are too coarse to reach beyond the parser: {parsed}");
}

/// A valid message with a few bytes changed, cut, doubled or taken from another.
fn mutated(rng: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let length = rng.random_range(0..20).min(bytes.len() - at);
        match rng.random_range(0..6) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] = *b"\r\n\t :;,<>\"@=%[]09"[..].get(rng.random_range(0..17)).unwrap(),
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let copy = bytes[at..at + length].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => bytes.truncate(at),
            _ => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..other.len());
                let until = (from + length).min(other.len());
                bytes.splice(at..at + length, other[from..until].iter().copied());
            }
        }
    }
    bytes
}
