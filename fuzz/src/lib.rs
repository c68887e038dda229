//! What is fuzzed, one function a target: any bytes in, no panic, and what must hold whatever they are.
//!
//! The targets in `fuzz_targets/` call these, and so does `tests/it/sip_fuzz.rs`, which includes this file and runs every
//! input of the corpus through them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use secretary::rtp::codec::Codec;
use secretary::rtp::jitter::{DEFAULT_TARGET, JitterBuffer, Payload};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::{FRAME_DURATION, FRAME_SAMPLES, Received};
use secretary::sip::auth::{self, AuthError, Authorization, Authorizer, Challenge, Counted, Credentials, Subject};
use secretary::sip::message::{
    Frame, FramingError, Headers, MAX_MESSAGE, Malformed, Message, NameAddr, ParseError, StreamFramer, Uri, Via,
};
use secretary::sip::sdp::{self, LocalMedia};
use secretary::sip::{
    CallKey, CallOut, Command, Endpoint, EndpointConfig, Event, Flow, Input, Limits, Output, SessionEvent, Transport,
};

/// A message that can be read is written so that it is read as the same, and so are its typed header fields.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let written = match &message {
        Message::Request(request) => {
            let _ = (request.check(), request.envelope());
            let _ = request.sdp();
            typed(&request.headers);
            request.to_bytes()
        }
        Message::Response(response) => {
            let _ = response.envelope();
            let _ = response.sdp();
            typed(&response.headers);
            response.to_bytes()
        }
    };
    let again = match Message::parse(&written) {
        Ok(again) => again,
        // Long names and a Content-Length make it somewhat larger, and so too large.
        Err(Malformed { error: ParseError::HeadTooLarge, .. }) => return,
        Err(error) => panic!("what we write cannot be read: {error}"),
    };
    match (message, again) {
        (Message::Request(mut one), Message::Request(mut other)) => {
            one.headers.remove("Content-Length");
            other.headers.remove("Content-Length");
            // We write our own version, whatever theirs was.
            one.version.clone_from(&other.version);
            assert_eq!(one, other);
        }
        (Message::Response(mut one), Message::Response(mut other)) => {
            one.headers.remove("Content-Length");
            other.headers.remove("Content-Length");
            assert_eq!(one, other);
        }
        _ => panic!("a request became a response"),
    }
}

fn typed(headers: &Headers) {
    for name in ["From", "To", "Contact", "Route", "Record-Route", "Refer-To"] {
        for value in headers.values(name) {
            if let Ok(address) = value.parse::<NameAddr>() {
                assert_eq!(address.to_string().parse().as_ref(), Ok(&address), "{value}");
                assert_eq!(address.uri.to_string().parse::<Uri>().as_ref(), Ok(&address.uri), "{value}");
            }
        }
    }
    for value in headers.values("Via") {
        if let Ok(via) = value.parse::<Via>() {
            assert_eq!(via.to_string().parse().as_ref(), Ok(&via), "{value}");
        }
    }
}

/// A stream gives the same frames whatever the pieces in which it comes. The first byte is the size of the pieces.
pub fn stream(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else { return };
    if data.len() > MAX_MESSAGE {
        return;
    }
    let whole = frames([data]);
    assert_eq!(frames(data.chunks(usize::from(size % 64) + 1)), whole);
    let (first, second) = data.split_at(usize::from(size).min(data.len()));
    assert_eq!(frames([first, second]), whole);
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingError>) {
    let mut framer = StreamFramer::default();
    let mut frames = Vec::new();
    for piece in pieces {
        if let Err(error) = framer.push(piece) {
            return (frames, Some(error));
        }
        loop {
            match framer.poll() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// A challenge that can be read is answered in one line, in which nothing of it has broken out of its quotes; what servers
/// and clients send besides is read without harm.
pub fn digest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for value in text.split('\n') {
        let _ = auth::next_nonce(value);
        if let Ok(authorization) = Authorization::parse(value) {
            let _ = authorization.counted.as_ref().and_then(Counted::count);
        }
    }
    let challenges: Vec<Challenge> = text.split('\n').filter_map(|value| Challenge::parse(value).ok()).collect();
    let Some(mut authorizer) = Authorizer::new(&challenges) else { return };
    let account = Credentials { realm: None, username: "100\"1".into(), password: "secret".into() };
    for _ in 0..2 {
        let subject = Subject { method: "REGISTER", uri: "sip:example.com", body: data };
        let value = authorizer.authorize(&account, subject, "0a4f113b");
        assert!(
            value.starts_with("Digest username=\"100\\\"1\", realm=\"") && !value.contains(['\r', '\n']),
            "{value}"
        );
        match Authorization::parse(&value) {
            Ok(read) => assert_eq!(
                (read.username.as_str(), read.realm.as_str(), read.uri.as_str()),
                ("100\"1", authorizer.realm(), "sip:example.com")
            ),
            // What it has of the challenge makes it longer.
            Err(error) => assert_eq!(error, AuthError::TooLong, "{value}"),
        }
    }
}

/// What we answer and offer next can be read by ourselves, and stays the same when nothing changes.
pub fn sdp(data: &[u8]) {
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5)),
        port: 10_000,
        codecs: &Codec::ALL,
        session_id: 77,
        session_version: 1,
    };
    let _ = sdp::accept_answer(data, &local);
    let _ = sdp::continue_session(data, &sdp::offer(&local));
    let Ok(offer) = sdp::parse_offer(data) else { return };
    let Ok((answer, media)) = sdp::answer(&offer, &local) else { return };
    assert!(media.accepted.contains(&(media.payload_type, media.codec)));
    assert_eq!(sdp::continue_session(&answer, &answer).as_ref(), Ok(&answer));
}

const MAX_CALLS: usize = 4;

/// An endpoint that is told anything keeps to its bounds and comes to rest.
///
/// The input is a sequence of steps between bytes of 0xFF. One that is a single letter is something that we do or the
/// time does (see [`Peer::step`]); every other is a datagram, in which `{tag}`, `{branch}` and `{call}` stand for those
/// of what the endpoint sent last, so that a fuzzer finds into dialogs and transactions.
pub fn endpoint(now: Instant, data: &[u8]) {
    let config = EndpointConfig {
        call_out: CallOut::Anybody,
        limits: Limits::NONE,
        ..EndpointConfig::new("fuzz", "secretary", MAX_CALLS)
    };
    let mut peer = Peer {
        now,
        end: Endpoint::new(config, [7; 32]),
        call: CallKey(0),
        tag: String::new(),
        branch: String::new(),
        call_id: String::new(),
    };
    for step in data.split(|byte| *byte == 0xFF).take(64) {
        peer.step(step);
        let usage = peer.end.usage();
        assert!(usage.sessions <= MAX_CALLS && usage.transactions <= 200, "{usage:?}");
    }
    // Whatever was left half done ends: every transaction, and every call that nobody has answered or that we end.
    peer.command(Command::Stop);
    for _ in 0..20_000 {
        if !peer.wait() {
            break;
        }
    }
    let usage = peer.end.usage();
    assert_eq!((usage.sessions, usage.transactions), (0, 0), "something is left behind");
}

struct Peer {
    now: Instant,
    end: Endpoint,
    /// The call that came or was begun last.
    call: CallKey,
    tag: String,
    branch: String,
    call_id: String,
}

const FLOW: Flow = Flow {
    transport: Transport::Udp,
    local: std::net::SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5060)),
    remote: std::net::SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5060)),
};

impl Peer {
    fn step(&mut self, step: &[u8]) {
        let call = self.call;
        match step {
            b"a" => self.command(Command::Answer { call, sdp: b"v=0".to_vec() }),
            b"r" => self.command(Command::Reject { call, status: 603 }),
            b"o" => self.command(Command::AnswerOffer { call, sdp: b"v=0".to_vec() }),
            b"n" => self.command(Command::RejectOffer { call }),
            b"h" => self.command(Command::Hangup { call }),
            b"c" => {
                self.call = self.end.next_call_key();
                let (call, target, offer) = (self.call, "sip:bob@10.0.0.2".to_owned(), b"v=0".to_vec());
                let ring_for = Duration::from_secs(60);
                self.command(Command::Invite { call, target, account: None, offer, ring_for });
            }
            b"t" => drop(self.wait()),
            datagram => {
                let bytes = self.filled_in(datagram);
                self.end.handle_input(self.now, Input::Message { flow: FLOW, bytes });
                self.drain();
            }
        }
    }

    fn filled_in(&self, datagram: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(datagram.len());
        let mut rest = datagram;
        while let Some((&byte, after)) = rest.split_first() {
            let names = [(&b"{tag}"[..], &self.tag), (b"{branch}", &self.branch), (b"{call}", &self.call_id)];
            match names.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, value)) => {
                    bytes.extend(value.bytes());
                    rest = rest.get(name.len()..).unwrap_or_default();
                }
                None => {
                    bytes.push(byte);
                    rest = after;
                }
            }
        }
        bytes
    }

    fn command(&mut self, command: Command) {
        self.end.handle_input(self.now, Input::Command(command));
        self.drain();
    }

    /// Goes to the next deadline; false when there is none.
    fn wait(&mut self) -> bool {
        let Some(at) = self.end.poll_timeout() else { return false };
        self.now = self.now.max(at);
        self.end.handle_timeout(self.now);
        self.drain();
        true
    }

    fn drain(&mut self) {
        while let Some(output) = self.end.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => self.note(&bytes),
                Output::Resolve { id, .. } => {
                    self.end.handle_input(self.now, Input::Resolved { id, flows: vec![FLOW] });
                }
                Output::Event(Event::Session { call, event: SessionEvent::Incoming(_) }) => self.call = call,
                Output::Event(_) => {}
            }
        }
    }

    /// What we send can be read.
    fn note(&mut self, bytes: &[u8]) {
        let (headers, envelope, ours) = match Message::parse(bytes) {
            Ok(Message::Request(request)) => (request.headers.clone(), request.envelope(), true),
            Ok(Message::Response(response)) => (response.headers.clone(), response.envelope(), false),
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(bytes)),
        };
        // Only an answer to a bad request may lack what the request lacked.
        let Ok(envelope) = envelope else { return assert!(!ours, "{headers:?}") };
        let tag = if ours { envelope.from.tag() } else { envelope.to.tag() };
        if let Some(tag) = tag {
            tag.clone_into(&mut self.tag);
        }
        if ours {
            envelope.via.branch().unwrap_or_default().clone_into(&mut self.branch);
        }
        self.call_id = envelope.call_id;
    }
}

/// The input is a sequence of steps of three bytes: packets that come, pulls and time that passes. Whatever they are, little
/// waits, what is counted adds up, and with nothing more to come the sound ends.
pub fn jitter(now: Instant, data: &[u8]) {
    let mut buffer = JitterBuffer::new(DEFAULT_TARGET);
    let (mut now, mut due) = (now, now);
    let (mut seq, mut timestamp, mut taken) = (Seq(u16::MAX - 3), RtpTimestamp(u32::MAX - 1_000), 0u64);
    let pull = |buffer: &mut JitterBuffer, due: &mut Instant| {
        let received = buffer.pull(*due, &mut [0; FRAME_SAMPLES]);
        *due += FRAME_DURATION;
        received
    };
    for step in data.chunks_exact(3).take(4_000) {
        let (kind, a, b) = (step[0], step[1], step[2]);
        let both = u16::from_be_bytes([a, b]);
        let mut insert = |payload, ssrc, seq, timestamp, bytes: &[u8]| {
            let packet = Packet { payload_type: 8, marker: false, seq, timestamp, ssrc: Ssrc(ssrc), payload: bytes };
            buffer.insert(now, &packet, payload);
            taken += 1;
        };
        let voice = Payload::Voice(if kind & 0x80 == 0 { Codec::Pcma } else { Codec::Pcmu });
        match kind % 10 {
            // In order: so long after the last one, of this length.
            0..3 => {
                seq = seq.next();
                timestamp = timestamp.wrapping_add(u32::from(a) * 8);
                insert(voice, 1, seq, timestamp, &vec![kind.wrapping_mul(b); usize::from(b) * 8]);
            }
            // Out of order by a little, or anywhere.
            3 => insert(
                voice,
                1,
                Seq(seq.0.wrapping_sub(a.into())),
                timestamp.wrapping_add(u32::from(b) << 24 | 160),
                &[b; 160],
            ),
            4 => insert(voice, 1 + u32::from(kind / 16 % 2), Seq(both), RtpTimestamp(u32::from(b) * 160), &[a; 80]),
            5 => {
                seq = seq.next();
                timestamp = timestamp.wrapping_add(u32::from(a) * 8);
                insert(Payload::ComfortNoise, 1, seq, timestamp, &step[2..]);
            }
            6 => {
                timestamp = timestamp.wrapping_add(u32::from(both).wrapping_mul(u32::from(kind) * 1_000));
                seq = Seq(seq.0.wrapping_add(both));
            }
            7 => {
                buffer.skip(u32::from(both));
                due += FRAME_DURATION * u32::from(both);
                now = now.max(due);
            }
            // Nobody waits much longer with a pull than until it is due.
            8 => now = (now + Duration::from_micros(both.into())).min(due + 10 * FRAME_DURATION).max(now),
            _ => {
                for _ in 0..=a % 8 {
                    pull(&mut buffer, &mut due);
                }
                now = now.max(due);
            }
        }
        assert!(buffer.buffered() <= Duration::from_secs(2), "{:?} wait", buffer.buffered());
        let stats = buffer.stats();
        assert!(stats.received + stats.duplicate <= taken && stats.late + stats.reordered <= 2 * stats.received);
    }
    let mut received = Received::Empty;
    for _ in 0..150 {
        received = pull(&mut buffer, &mut due);
    }
    assert_eq!((received, buffer.buffered()), (Received::Empty, Duration::ZERO));
}
