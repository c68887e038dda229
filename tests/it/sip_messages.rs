//! SIP messages that are hard to read, and bytes that are none at all.
//!
//! Every message of `tests/data/sip/rfc4475` and `rfc5118` goes through a whole endpoint, as a datagram and as a stream: what
//! comes of it, to the status.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::sip::message::{Frame, Message, NameAddr, Response, StreamFramer, Via};
use secretary::sip::{CallOut, Command, Endpoint, EndpointConfig, Event, Flow, Input, Output, SessionEvent, Transport};

use crate::support::pair::{Network, Pair, Side, epoch};

/// What a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// A call is told to the user, with the offer or without.
    Call { offer: bool },
    /// A final answer.
    Answer(u16),
    /// The user hears nothing of it and the peer gets no answer.
    Dropped,
    /// Our own call, which the message answers, rings.
    Rings,
    /// Our own call is answered.
    Answered,
    /// The framer closes the stream.
    Closed,
}

use Outcome::{Answer, Answered, Call, Closed, Dropped, Rings};

const CALL: Outcome = Call { offer: true };

/// A file, what it comes to as a datagram, and what the answer must have.
type Row = (&'static str, Outcome, &'static str);

const RFC_4475: &[Row] = &[
    ("tortuous", CALL, ""),
    ("every-character", Answer(501), "\r\nCall-ID: odd-._%-!.word!*%+`'@\"[]{}?<>:\\/\r\n"),
    ("escapes", CALL, ""),
    ("escaped-null", Answer(200), "\r\nContact: <sip:%00@host5.example.com>;expires=3600\r\nContact: <sip:%00%00@"),
    ("percent-is-no-escape", Answer(501), "\r\nCSeq: 5 RE%47IST%45R\r\n"),
    ("no-space-before-bracket", Answer(200), "\r\nTo: \"desk\"<sip:desk@example.com>;tag="),
    ("long", CALL, ""),
    ("surplus", Answer(200), "\r\nCSeq: 8 REGISTER\r\n"),
    ("semicolon-in-user", Answer(200), "\r\nTo: <sip:desk;room=4%40east.example@example.com>;tag="),
    ("transports", Answer(200), "\r\nVia: SIP/2.0/CARRIER-PIGEON v4.example.com;branch=z9hG4bKw4\r\n"),
    ("multipart", Answer(405), "\r\nAllow: INVITE"),
    ("multipart-call", CALL, ""),
    ("multipart-required", Answer(415), "\r\nAccept: application/sdp"),
    ("reason-phrase", Answered, ""),
    ("no-reason-phrase", Rings, ""),
    ("surplus-separators", Answer(400), " 400 Bad Request: Via cannot be read\r\n"),
    ("surplus-separators-in-contact", Answer(400), " 400 Bad Request: Contact cannot be read\r\n"),
    ("length-too-large", Answer(400), " 400 Bad Request: Content-Length is not a number"),
    ("length-negative", Answer(400), " 400 Bad Request: Content-Length is not a number"),
    ("numbers-too-large", Answer(400), " 400 Bad Request: CSeq cannot be read\r\n"),
    ("max-forwards-too-large", Answer(400), " 400 Bad Request: Max-Forwards cannot be read\r\n"),
    ("expires-too-large", Answer(200), "\r\nExpires: 3600\r\nContact: <sip:ivan@host5.example.net>;expires=3600\r\n"),
    ("numbers-too-large-in-response", Dropped, ""),
    ("quote-not-closed", Answer(400), " 400 Bad Request: To cannot be read\r\n"),
    ("uri-in-brackets", Answer(400), " 400 Bad Request: the Request-URI cannot be read\r\n"),
    ("space-in-uri", Answer(400), " 400 Bad Request: the Request-URI cannot be read\r\n"),
    ("spaces-in-request-line", Answer(400), " 400 Bad Request: the request line is not method, URI and version"),
    ("spaces-after-request-line", Answer(400), " 400 Bad Request: the request line is not method, URI and version"),
    ("headers-in-uri", Answer(400), " 400 Bad Request: the Request-URI cannot be read\r\n"),
    ("date-not-gmt", CALL, ""),
    ("contact-without-brackets", Answer(400), " 400 Bad Request: Contact cannot be read\r\n"),
    ("space-in-brackets", Answer(400), " 400 Bad Request: To cannot be read\r\n"),
    ("comma-in-display-name", Answer(400), " 400 Bad Request: From cannot be read\r\n"),
    ("version-unknown", Answer(505), ""),
    ("cseq-of-another-method", Answer(400), " 400 Bad Request: CSeq has another method\r\n"),
    ("cseq-of-another-unknown-method", Answer(501), ""),
    ("status-too-large", Dropped, ""),
    ("branch-without-id", Answer(200), ""),
    ("fields-missing", Answer(400), " 400 Bad Request: no From\r\n"),
    ("scheme-unknown", Answer(416), ""),
    ("scheme-of-others", Answer(416), ""),
    ("schemes-in-fields", Answer(400), "\r\nTo: isbn:3141592653;tag="),
    ("schemes-in-fields-of-options", Answer(200), ""),
    ("extensions-required", Answer(420), "\r\nUnsupported: nobodyHasThis, norThis\r\n"),
    ("content-unknown", Answer(415), "\r\nAccept: application/sdp"),
    ("authorization-unknown", Answer(200), ""),
    ("fields-repeated", Answer(400), " 400 Bad Request: more than one From\r\n"),
    ("length-repeated", Answer(400), " 400 Bad Request: Content-Length is not a number"),
    ("response-of-another", Dropped, ""),
    ("max-forwards-zero", Answer(200), ""),
    ("contact-parameter", Answer(200), "\r\nContact: sip:+79995550152@gw1.example.net;odd;expires=3600\r\n"),
    ("contact-uri-parameter", Answer(200), "\r\nContact: <sip:+79995550153@gw1.example.net;odd>;expires=3600\r\n"),
    ("contact-with-headers", Answer(200), "<sip:ivan@example.com?Route=%3Csip:edge.example.com%3E>;expires=3600\r\n"),
    ("accept-without-sdp", Answer(406), ""),
    ("rfc2543", CALL, ""),
    ("8-bit-name", Answer(200), ""),
    ("body-too-large", Answer(413), ""),
    ("field-too-long", Answer(513), ""),
    ("fields-too-many", Answer(513), ""),
    ("vias-too-many", Answer(513), ""),
    ("no-contact", Answer(400), " 400 Bad Request: no Contact\r\n"),
    ("bad-ack", Dropped, ""),
    ("no-sip", Dropped, ""),
    ("content-encoded", Answer(415), "\r\nAccept-Encoding: identity\r\n"),
];

const RFC_5118: &[Row] = &[
    ("reference", Answer(200), "\r\nContact: \"Ivan\" <sip:ivan@[2001:db8::4]>;expires=3600\r\n"),
    ("no-brackets", Answer(400), " 400 Bad Request: the Request-URI cannot be read\r\n"),
    ("port-inside", Answer(200), ""),
    ("port-outside", Answer(200), "\r\nContact: <sip:ivan@[2001:db8::4]:5066>;expires=3600\r\n"),
    ("received-plain", Answer(481), ""),
    ("received-in-brackets", Answer(481), ""),
    ("sdp", CALL, ""),
    ("mixed-fields", Answer(481), "\r\nVia: SIP/2.0/UDP 192.0.2.101;branch=z9hG4bKsix8b\r\n"),
    ("mixed-sdp", CALL, ""),
    ("mapped", CALL, ""),
    ("three-colons", Answer(400), " 400 Bad Request: the Request-URI cannot be read\r\n"),
    ("two-colons", Answer(200), ""),
];

/// What a stream makes otherwise: it knows where a message ends by Content-Length alone (RFC 3261 §18.3).
const AS_A_STREAM: &[(&str, &[Outcome])] = &[
    ("surplus", &[Answer(200), CALL]),
    ("length-too-large", &[Dropped]),
    ("length-negative", &[Answer(400), Closed]),
    ("length-repeated", &[Answer(400), Closed]),
    ("body-too-large", &[Answer(413), Closed]),
    ("rfc2543", &[Call { offer: false }]),
];

fn folder(rfc: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip").join(rfc);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sip"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The rows of the table and the files of the folder are the same, and so are the lines of its README.
fn each(rfc: &str, table: &[(&str, Outcome, &str)], mut test: impl FnMut(&str, &[u8], Outcome, &str)) {
    let files = folder(rfc);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip").join(rfc).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    for (name, bytes) in &files {
        let row = table.iter().find(|(row, _, _)| row == name);
        let (_, outcome, has) = row.unwrap_or_else(|| panic!("{rfc}/{name}.sip has no row"));
        assert!(readme.contains(&format!("| {name}.sip | ")), "README.md does not name {rfc}/{name}.sip");
        test(name, bytes, *outcome, has);
    }
    assert_eq!(files.len(), table.len(), "a row of {rfc} has no file");
}

const TABLES: [(&str, &[Row]); 2] = [("rfc4475", RFC_4475), ("rfc5118", RFC_5118)];

#[test]
fn every_message_as_a_datagram_comes_to_what_its_rfc_says() {
    for (rfc, table) in TABLES {
        each(rfc, table, |name, bytes, outcome, has| {
            let mut peer = Peer::new(Transport::Udp, outcome);
            let seen = peer.receive(bytes);
            assert_eq!(seen.outcome, outcome, "{rfc}/{name}");
            assert!(contains(&seen.answer, has), "{rfc}/{name}: {}", String::from_utf8_lossy(&seen.answer));
            if let Answer(status) = outcome {
                well_formed(name, status, &seen.answer, bytes);
            }
        });
    }
}

#[test]
fn every_message_on_a_stream_comes_to_the_same_but_for_its_length() {
    for (rfc, table) in TABLES {
        each(rfc, table, |name, bytes, outcome, _| {
            let expected =
                AS_A_STREAM.iter().find(|(row, _)| *row == name).map_or(vec![outcome], |(_, all)| all.to_vec());
            let mut peer = Peer::new(Transport::Tcp, outcome);
            let bytes = peer.addressed(bytes);
            let mut framer = StreamFramer::default();
            let mut seen = Vec::new();
            // In pieces, as a network may bring it.
            for piece in bytes.chunks(100) {
                framer.push(piece).unwrap();
                loop {
                    match framer.poll() {
                        Ok(Some(Frame::Message(message))) => seen.push(peer.receive(&message).outcome),
                        Ok(Some(Frame::Ping)) => panic!("{rfc}/{name} is no ping"),
                        Ok(None) => break,
                        Err(_) => {
                            seen.push(Closed);
                            break;
                        }
                    }
                }
                if seen.contains(&Closed) {
                    break;
                }
            }
            if seen.is_empty() {
                seen.push(Dropped);
            }
            assert_eq!(seen, expected, "{rfc}/{name}");
        });
    }
}

/// RFC 4475 §3.2.1: by its cookie alone a branch tells nothing, so that the rules of RFC 2543 count.
#[test]
fn two_requests_with_an_empty_branch_are_two_transactions() {
    let mut peer = Peer::new(Transport::Udp, Dropped);
    let files = folder("rfc4475");
    let (_, bytes) = files.iter().find(|(name, _)| name == "branch-without-id").unwrap();
    let other = String::from_utf8(bytes.clone()).unwrap().replace("Call-ID: branch.39", "Call-ID: branch.40");
    assert_eq!(peer.receive(bytes).outcome, Answer(200));
    let second = peer.receive(other.as_bytes());
    assert!(contains(&second.answer, "\r\nCall-ID: branch.40@"), "{}", String::from_utf8_lossy(&second.answer));
}

/// What is no UTF-8 comes back as it was, and so does what is.
#[test]
fn an_answer_repeats_the_bytes_of_names_in_any_encoding() {
    let files = folder("rfc4475");
    let (_, bytes) = files.iter().find(|(name, _)| name == "8-bit-name").unwrap();
    let answer = Peer::new(Transport::Udp, Dropped).receive(bytes).answer;
    let fields =
        bytes.split(|b| *b == b'\n').filter(|line| [&b"From"[..], b"To", b"Call"].iter().any(|n| line.starts_with(n)));
    for field in fields {
        let field = field.strip_suffix(b"\r").unwrap();
        assert!(answer.windows(field.len()).any(|window| window == field), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Every message that comes to something is written so that it is read as the same again, and is the same with LF alone.
#[test]
fn hard_messages_are_read_and_written() {
    for (rfc, table) in TABLES {
        each(rfc, table, |name, bytes, _, _| {
            let Ok(message) = Message::parse(bytes) else { return };
            let written = match &message {
                Message::Request(request) => request.to_bytes(),
                Message::Response(response) => response.to_bytes(),
            };
            let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let (head, body) = bytes.split_at(head);
            let head = head.iter().filter(|byte| **byte != b'\r');
            let with_bare_line_feeds: Vec<u8> = head.chain(body).copied().collect();
            for other in [written, with_bare_line_feeds] {
                let other = Message::parse(&other).unwrap_or_else(|error| panic!("{rfc}/{name}: {error}"));
                match (&message, other) {
                    (Message::Request(one), Message::Request(other)) => {
                        assert_eq!((&one.method, &one.uri), (&other.method, &other.uri), "{rfc}/{name}");
                        let headers = one.headers.iter().filter(|(name, _)| *name != "Content-Length");
                        let others = other.headers.iter().filter(|(name, _)| *name != "Content-Length");
                        assert!(headers.eq(others), "{rfc}/{name}");
                    }
                    (Message::Response(one), Message::Response(other)) => {
                        assert_eq!((one.status, &one.reason), (other.status, &other.reason), "{rfc}/{name}");
                    }
                    _ => panic!("{rfc}/{name} changed its kind"),
                }
            }
        });
    }
}

#[test]
fn the_hard_parts_mean_what_they_should() {
    let request = |rfc: &str, name: &str| {
        let (_, bytes) = folder(rfc).into_iter().find(|(file, _)| file == name).unwrap();
        let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("{name} is no request") };
        request
    };
    let tortuous = request("rfc4475", "tortuous");
    let envelope = tortuous.envelope().unwrap();
    assert_eq!(envelope.from.display.as_deref(), Some("P. Sidorova \\\""));
    assert_eq!((envelope.from.tag(), envelope.cseq.number), (Some("31x9q"), 21));
    assert_eq!(envelope.to.params.get("mood"), Some("calm"));
    let vias: Vec<Via> = tortuous.headers.values("Via").map(|via| via.parse().unwrap()).collect();
    let seen: Vec<_> = vias.iter().map(|via| (via.transport.as_str(), via.host.as_str(), via.branch())).collect();
    let expected = [
        ("UDP", "203.0.113.9", Some("771qwmnp")),
        ("TCP", "looms.example.com", Some("z9hG4bK7rkw2")),
        ("UDP", "198.51.100.77", Some("z9hG4bK20117")),
    ];
    assert_eq!(seen, expected);
    let contact: NameAddr = tortuous.headers.values("Contact").next().unwrap().parse().unwrap();
    assert_eq!(contact.display.as_deref(), Some("A \"quoted\" name"));
    assert_eq!((contact.params.get("fresh"), contact.params.get("q")), (Some("word"), Some("0.25")));

    let every = request("rfc4475", "every-character");
    assert_eq!(every.method.as_str(), "!odd-Method0123456789_*+`.%truly'~");
    assert_eq!((every.uri.host.as_str(), every.uri.port), ("example.com", None));
    assert_eq!(every.envelope().unwrap().to.display.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));

    assert!(request("rfc4475", "surplus").body.is_empty());
    assert!(request("rfc4475", "multipart-call").sdp().unwrap().ends_with(b"a=sendrecv\r\n"));
    assert_eq!(request("rfc5118", "reference").uri.ip(), "2001:db8::25".parse().ok());
    assert_eq!(request("rfc5118", "port-inside").uri.port, None);
    assert_eq!(request("rfc5118", "port-outside").uri.port, Some(5070));
}

/// An answer that its sender knows again and understands.
fn well_formed(name: &str, status: u16, answer: &[u8], request: &[u8]) {
    let Ok(Message::Response(Response { headers, status: written, .. })) = Message::parse(answer) else {
        panic!("{name}: the answer cannot be read")
    };
    assert_eq!(written, status);
    assert_eq!(headers.get("Server"), Some("torture"));
    let asked = match Message::parse(request) {
        Ok(Message::Request(request)) => request,
        Err(malformed) => *malformed.request.expect("what was answered could be read so far"),
        Ok(Message::Response(_)) => panic!("{name} is no request"),
    };
    for field in ["From", "Call-ID", "CSeq"] {
        assert!(headers.all(field).eq(asked.headers.all(field)), "{name}: {field}");
    }
    assert_eq!(headers.values("Via").count(), asked.headers.values("Via").count(), "{name}: Via");
    let tagged = headers.get("To").is_none_or(|to| to.parse::<NameAddr>().is_ok_and(|to| to.tag().is_some()));
    assert!(tagged || status == 400, "{name}: no tag in To");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// An endpoint, and a peer of its own network at the other end of a flow.
struct Peer {
    now: Instant,
    end: Endpoint,
    flow: Flow,
    /// Branch and tag of the INVITE that we have sent, where the message is to answer one.
    branch: String,
    tag: String,
}

struct Seen {
    outcome: Outcome,
    /// The last that was sent.
    answer: Vec<u8>,
}

impl Peer {
    fn new(transport: Transport, outcome: Outcome) -> Self {
        let address = |last| SocketAddr::from(([10, 0, 0, last], 5060));
        let flow = Flow { transport, local: address(1), remote: address(2) };
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("torture", "secretary", 4) };
        let mut peer =
            Peer { now: epoch(), end: Endpoint::new(config, [1; 32]), flow, branch: String::new(), tag: String::new() };
        if matches!(outcome, Rings | Answered | Dropped) {
            let (call, ring_for) = (peer.end.next_call_key(), Duration::from_secs(60));
            let target = format!("sip:bob@10.0.0.2;transport={}", transport.name());
            let invite = Command::Invite { call, target, account: None, offer: b"v=0".to_vec(), ring_for };
            peer.end.handle_input(peer.now, Input::Command(invite));
            let sent = peer.drain().0;
            let Some(Ok(Message::Request(invite))) = sent.last().map(|bytes| Message::parse(bytes)) else {
                panic!("no INVITE was sent")
            };
            let envelope = invite.envelope().unwrap();
            peer.branch = envelope.via.branch().unwrap().to_owned();
            peer.tag = envelope.from.tag().unwrap().to_owned();
        }
        peer
    }

    /// The bytes as an answer to our call, if they are one.
    fn addressed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (mark, text) in [("z9hG4bK-OURS-", &self.branch), ("OUR-TAG", &self.tag)] {
            if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                bytes.splice(at..at + mark.len(), text.bytes());
            }
        }
        bytes
    }

    fn receive(&mut self, bytes: &[u8]) -> Seen {
        let bytes = self.addressed(bytes);
        self.end.handle_input(self.now, Input::Message { flow: self.flow, bytes });
        let (sent, events) = self.drain();
        let answers: Vec<Response> = sent
            .iter()
            .filter_map(|bytes| match Message::parse(bytes) {
                Ok(Message::Response(response)) => Some(response),
                _ => None,
            })
            .collect();
        let finals: Vec<u16> = answers.iter().map(|answer| answer.status).filter(|status| *status >= 200).collect();
        let outcome = match (events.as_slice(), finals.as_slice()) {
            ([SessionEvent::Incoming(call)], []) => {
                assert_eq!(answers.first().map(|answer| answer.status), Some(100), "an INVITE is taken at once");
                Call { offer: call.offer.as_ref().is_some_and(|offer| offer.starts_with(b"v=0\r\n")) }
            }
            ([SessionEvent::Ringing], []) => Rings,
            ([SessionEvent::Answered { .. }], []) => Answered,
            ([], [status]) => Answer(*status),
            ([], []) => Dropped,
            other => panic!("{other:?}"),
        };
        Seen { outcome, answer: sent.last().cloned().unwrap_or_default() }
    }

    fn drain(&mut self) -> (Vec<Vec<u8>>, Vec<SessionEvent>) {
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.end.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => sent.push(bytes),
                Output::Resolve { id, .. } => {
                    self.end.handle_input(self.now, Input::Resolved { id, flows: vec![self.flow] });
                }
                Output::Event(Event::Session { event, .. }) => events.push(event),
                Output::Event(other) => panic!("{other:?}"),
            }
        }
        (sent, events)
    }
}

/// Mutations of valid messages and plain noise, to an endpoint that is in a call: no panic, and no growth without bound.
#[test]
fn no_bytes_make_the_endpoint_panic() {
    let mut rng = StdRng::seed_from_u64(4475);
    let mut pair = Pair::new(1, Network::PERFECT);
    let mut seeds: Vec<Vec<u8>> = folder("rfc4475").into_iter().map(|(_, bytes)| bytes).collect();
    pair.call();
    let (call, SessionEvent::Incoming(_)) = pair.session_event(Side::Callee) else { panic!("no call") };
    pair.command(Side::Callee, Command::Answer { call, sdp: b"answer".to_vec() });
    pair.run_for(Duration::from_secs(1));
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
            pair.run_for(Duration::from_millis(500));
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
