//! What is fuzzed, one function a target: any bytes in, no panic, and what must hold whatever they are.
//!
//! The targets in `fuzz_targets/` call these, and so does `tests/it/sip_fuzz.rs`, which includes this file and runs every
//! input of the corpus through them.

mod dtls;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use secretary::rtp::codec::{Codec, OpusTerms};
use secretary::rtp::dtls::{Certificate, Role, Terms};
use secretary::rtp::dtmf::{self, Due, EventSet, Receiver, Sender};
use secretary::rtp::ice::Credentials;
use secretary::rtp::jitter::{DEFAULT_TARGET, JitterBuffer, Payload};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::srtp::{MasterKey, Srtp, SrtpKeys, Suite};
use secretary::rtp::stun::{Asked, Query, is_stun};
use secretary::rtp::{self, FRAME_DURATION, Protection, Rate, Received, Stream, StreamConfig};
use secretary::sip::auth::{self, AuthError, Authorization, Authorizer, Challenge, Counted, Subject};
use secretary::sip::message::{
    Frame, FramingError, Headers, MAX_MESSAGE, Malformed, Message, NameAddr, ParseError, StreamFramer, Uri, Via,
};
use secretary::sip::sdp::{self, KeyExchange, LocalMedia, Numbers, Policy, Security};
use secretary::sip::{
    CallKey, CallOut, Command, Endpoint, EndpointConfig, Event, Flow, Input, Limits, Output, SessionEvent, Transport,
};

pub use dtls::dtls;

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
    let account = auth::Credentials { realm: None, username: "100\"1".into(), password: "secret".into() };
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

/// Keys that are always the same.
fn security(policy: Policy) -> Option<Security> {
    Security::new(policy, KeyExchange::Sdes, &Certificate::generate().ok()?, &mut StdRng::seed_from_u64(7))
}

/// What we answer and offer next can be read by ourselves, and stays the same when nothing changes.
pub fn sdp(data: &[u8]) {
    let Some(security) = security(Policy::Optional) else { return };
    let ice = Credentials { ufrag: "fuzz".to_owned(), password: "0123456789012345678901".to_owned() };
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5)),
        port: 10_000,
        rtcp_port: Some(10_003),
        ice: Some(&ice),
        codecs: &Codec::ALL,
        events: true,
        numbers: Numbers::NONE,
        security: Some(&security),
        session_id: 77,
        session_version: 1,
    };
    let _ = sdp::accept_answer(data, &local);
    let _ = sdp::continue_session(data, &sdp::offer(&local));
    let Ok(offer) = sdp::parse_offer(data) else { return };
    let Ok((answer, media)) = sdp::answer(&offer, &local) else { return };
    assert!(media.accepted.contains(&(media.payload_type, media.codec)));
    assert!(media.events.is_none_or(|events| media.accepted.iter().all(|(number, _)| *number != events.receive)));
    assert_eq!(sdp::continue_session(&answer, &answer).as_ref(), Ok(&answer));
}

/// Whom SDP promised, what a NAT may make of him, and two whom nobody knows.
const SENDERS: [([u8; 4], u16); 4] =
    [([192, 0, 2, 1], 4_000), ([198, 51, 100, 9], 1_024), ([203, 0, 113, 66], 4_000), ([203, 0, 113, 67], 5_000)];

/// A stream that is sent anything keeps its time and its bounds, and never leaves a peer that SDP promised for another.
///
/// The input is a sequence of datagrams, each behind a byte for the sender (the lower two bits) and the wait before it in
/// steps of 5 ms (the upper six), and a byte for its length.
pub fn rtp(now: Instant, data: &[u8]) {
    flow(now, data, Port::Sound);
}

/// The same on the port for reports, between packets of a peer who talks.
pub fn rtcp(now: Instant, data: &[u8]) {
    flow(now, data, Port::Reports);
}

#[derive(Clone, Copy, PartialEq)]
enum Port {
    Sound,
    Reports,
}

fn flow(start: Instant, data: &[u8], port: Port) {
    let senders = SENDERS.map(|(ip, port)| std::net::SocketAddr::from((ip, port)));
    let reports_to = std::net::SocketAddr::from((SENDERS[0].0, SENDERS[0].1 + 1));
    let config = StreamConfig {
        rate: Rate::Narrow,
        remote: senders[0],
        codec: Codec::Pcma,
        opus: OpusTerms::default(),
        payload_type: 8,
        accepted: vec![(8, Codec::Pcma), (0, Codec::Pcmu), (9, Codec::G722), (96, Codec::Opus)],
        ssrc: Ssrc(0x0a0b_0c0d),
        first_seq: Seq(65_530),
        first_timestamp: RtpTimestamp(u32::MAX - 1_000),
        events: None,
        rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
    };
    let mut stream = Stream::new(start, config);
    stream.set_rtcp(Some(if port == Port::Sound { RtcpPath::Muxed } else { RtcpPath::At(reports_to) }));
    let (mut now, mut ticks, mut rest, mut n) = (start, 0u64, data, 0u16);
    // How much of each sender could be sound.
    let mut packets = [0u32; SENDERS.len()];
    while let Some((&[head, length], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        (rest, n) = (after, n.wrapping_add(1));
        now += Duration::from_millis(5 * u64::from(head >> 2));
        let sender = usize::from(head & 3);
        match port {
            Port::Sound => {
                packets[sender] += u32::from(Packet::parse(datagram).is_ok());
                stream.handle_input(now, senders[sender], datagram);
            }
            Port::Reports => {
                let timestamp = RtpTimestamp(u32::from(n) * 160);
                let (ssrc, payload) = (Ssrc(7), &[0xd5; 160]);
                let sound = Packet { payload_type: 8, marker: false, seq: Seq(n), timestamp, ssrc, payload };
                stream.handle_input(now, senders[0], &sound.build());
                stream.handle_rtcp(now, senders[sender], datagram);
            }
        }
        while stream.poll_timeout() <= now {
            stream.handle_timeout(stream.poll_timeout());
            while let Some(output) = stream.poll_output() {
                match output {
                    rtp::Output::Tick { .. } => ticks += 1,
                    rtp::Output::Skipped { .. } => panic!("time went on evenly"),
                    rtp::Output::Key { .. } | rtp::Output::NoKeys(_) => panic!("no keys were agreed"),
                    rtp::Output::Transmit { to, .. } => {
                        let proved = senders.iter().zip(packets).any(|(sender, packets)| *sender == to && packets >= 4);
                        assert!(to == senders[0] || proved, "{to} has not proved itself: {packets:?}");
                    }
                    rtp::Output::TransmitRtcp { to, datagram } => {
                        assert_eq!(to.ip(), senders[0].ip());
                        assert!(datagram.len() <= 128 && matches!(datagram[1], 200 | 201), "{datagram:02x?}");
                    }
                }
            }
        }
        assert_eq!(u128::from(ticks), now.duration_since(start).as_millis() / 20 + 1);
    }
    let (stats, quality) = (stream.stats(), stream.quality());
    assert!(stats.buffered <= Duration::from_secs(2), "{stats:?}");
    for mos in quality.mos.into_iter().chain(quality.sent.map(|sent| sent.mos)) {
        assert!((1.0..=4.5).contains(&mos), "{quality:?}");
    }
    assert!(quality.round_trip_ms.is_none_or(|ms| (0.0..=10_000.0).contains(&ms)), "{quality:?}");
}

/// A stream of A-law to and from the first of [`SENDERS`], whose numbers wrap soon.
fn plain_stream() -> StreamConfig {
    StreamConfig {
        rate: Rate::Narrow,
        opus: OpusTerms::default(),
        remote: SENDERS[0].into(),
        codec: Codec::Pcma,
        payload_type: 8,
        accepted: vec![(8, Codec::Pcma)],
        ssrc: Ssrc(0x0a0b_0c0d),
        first_seq: Seq(65_530),
        first_timestamp: RtpTimestamp(0),
        events: None,
        rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
    }
}

/// A stream whose sound is encrypted, or will be once there are keys, takes nothing but what its peer has encrypted, each packet
/// once, and sends nothing else.
///
/// The first byte says how it is encrypted: a suite, or a handshake in either role. Then come datagrams as for [`rtp`], but
/// that a sender of 2 has them encrypted by the peer before and a sender of 3 sends what the peer sent last once more.
pub fn srtp(start: Instant, data: &[u8]) {
    let senders = SENDERS.map(|(ip, port)| std::net::SocketAddr::from((ip, port)));
    let Some((kind, mut rest)) = data.split_first() else { return };
    let key = |suite, seed| MasterKey::draw(suite, &mut StdRng::seed_from_u64(seed));
    let handshake = |role| {
        let (ours, theirs) = (Certificate::generate().ok()?, Certificate::generate().ok()?);
        let fingerprints = vec![theirs.fingerprint().clone()];
        Some(Protection::Dtls(Terms { certificate: ours, role, fingerprints }))
    };
    let suite = Suite::ALL[usize::from(*kind) % Suite::ALL.len()];
    let (ours, theirs) = (key(suite, 1), key(suite, 2));
    let protection = match kind % 8 {
        6 => handshake(Role::Active),
        7 => handshake(Role::Passive),
        _ => Some(Protection::Sdes(SrtpKeys { ours: ours.clone(), theirs: theirs.clone() })),
    };
    let Some(protection) = protection else { return };
    let is_keyed = matches!(protection, Protection::Sdes(_));
    let mut peer = Srtp::new(SrtpKeys { ours: theirs, theirs: ours });
    let mut stream = Stream::new(start, plain_stream());
    stream.protect(protection);
    stream.set_rtcp(Some(RtcpPath::Muxed));
    stream.set_handshake(true);
    let (mut now, mut last, mut genuine) = (start, Vec::new(), 0);
    while let Some((&[head, length], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        now += Duration::from_millis(5 * u64::from(head >> 2));
        match head & 3 {
            2 => {
                let is_report = matches!(datagram, [_, 192..=223, ..]);
                let sealed = if is_report { peer.protect_rtcp(datagram) } else { peer.protect(datagram) };
                let Some(sealed) = sealed else { continue };
                genuine += u64::from(!is_report);
                stream.handle_input(now, senders[0], &sealed);
                last = sealed;
            }
            3 => stream.handle_input(now, senders[0], &last),
            from => {
                stream.handle_input(now, senders[usize::from(from)], datagram);
                stream.handle_rtcp(now, senders[usize::from(from)], datagram);
            }
        }
        assert!(stream.stats().received <= genuine);
        while stream.poll_timeout() <= now {
            stream.handle_timeout(stream.poll_timeout());
            while let Some(output) = stream.poll_output() {
                let rtp::Output::Transmit { datagram, .. } = output else { continue };
                match datagram[..] {
                    [20..=63, ..] => assert!(!is_keyed, "a handshake that nobody wants"),
                    [_, 192..=223, ..] => assert!(peer.unprotect_rtcp(&datagram).is_ok()),
                    _ => assert!(peer.unprotect(&datagram).is_ok(), "{datagram:02x?}"),
                }
            }
        }
    }
    assert!(is_keyed || stream.stats().received == 0, "nobody has ended the handshake");
}

/// Any packets with named events are read without harm, and after them each press of ours is told once.
///
/// The input is packets of ten bytes: how many ms later; what it is (bit 0 sound, bit 1 the marker, bit 2 another source);
/// by how much its sequence number is ahead; by how many times 160 its timestamp, in two bytes; five of payload.
pub fn dtmf(mut now: Instant, data: &[u8]) {
    let clock_hz = dtmf::CLOCK_RATES_HZ[data.len() % 2];
    let mut receiver = Receiver::new(clock_hz);
    let (mut seq, mut timestamp) = (0_u16, 0_u32);
    for packet in data.chunks_exact(10) {
        let [wait, what, ahead, high, low, payload @ ..] = packet else { return };
        now += Duration::from_millis(u64::from(*wait) * 20);
        seq = seq.wrapping_add_signed(i16::from(ahead.cast_signed()));
        timestamp = timestamp.wrapping_add_signed(i32::from(i16::from_be_bytes([*high, *low])) * 160);
        let packet = Packet {
            payload_type: dtmf::PAYLOAD_TYPE,
            marker: what & 2 != 0,
            seq: Seq(seq),
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc((what & 4).into()),
            payload,
        };
        if what & 1 != 0 {
            receiver.sound(&packet);
        } else {
            let taken = receiver.take(now, &packet);
            assert!(taken.key.is_none_or(|key| "0123456789*#ABCD".contains(key)));
        }
    }
    if let Some(list) = EventSet::parse(&String::from_utf8_lossy(data)) {
        assert!(list.is_empty() || EventSet::parse(&list.to_string()) == Some(list));
    }
    // Whatever came before, who begins anew is heard.
    let (mut sender, mut told) = (Sender::default(), String::new());
    let keys = "55#0";
    assert!(keys.chars().all(|key| sender.press(key, EventSet::KEYS)));
    while sender.is_pressing() {
        now += Duration::from_millis(20);
        seq = seq.wrapping_add(1);
        timestamp = timestamp.wrapping_add(clock_hz / 50);
        let (payload_type, ssrc) = (dtmf::PAYLOAD_TYPE, Ssrc(77));
        match sender.tick(RtpTimestamp(timestamp), clock_hz) {
            Due::Event { marker, timestamp, ref payload } => {
                let packet = Packet { payload_type, marker, seq: Seq(seq), timestamp, ssrc, payload };
                told.extend(receiver.take(now, &packet).key);
            }
            Due::Silence | Due::Sound => {}
        }
    }
    assert_eq!(told, keys);
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
            b"r" => self.command(Command::Reject { call, status: 603, retry_after: None }),
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
/// waits, what is counted adds up, and with nothing more to come the sound ends. An input of an odd length is for a wide call.
pub fn jitter(now: Instant, data: &[u8]) {
    let rate = if data.len().is_multiple_of(2) { Rate::Narrow } else { Rate::Wide };
    let mut buffer = JitterBuffer::new(DEFAULT_TARGET, rate);
    let (mut now, mut due) = (now, now);
    let (mut seq, mut timestamp, mut taken) = (Seq(u16::MAX - 3), RtpTimestamp(u32::MAX - 1_000), 0u64);
    let pull = |buffer: &mut JitterBuffer, due: &mut Instant| {
        let received = buffer.pull(*due, &mut [0; Rate::Wide.frame_samples()][..rate.frame_samples()]);
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
        let codec = [Codec::Pcma, Codec::G722, Codec::Opus, Codec::Pcmu][usize::from(kind / 64)];
        let (voice, ticks_per_ms) = (Payload::Voice(codec), codec.clock_rate_hz() / 1_000);
        match kind % 10 {
            // In order: so long after the last one, of this length.
            0..3 => {
                seq = seq.next();
                timestamp = timestamp.wrapping_add(u32::from(a) * ticks_per_ms);
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

/// What our side's checks are known by, as the seeds of the corpus have it.
fn our_password() -> Credentials {
    Credentials { ufrag: "ours".to_owned(), password: "our0password0of022chars".to_owned() }
}

/// Datagrams on the ports of a call with ICE, as in [`rtp`]: who does not know our password moves nothing, and what is answered
/// is one short message of STUN to the sender. The same bytes are no answer of a STUN server unless they are one.
pub fn stun(start: Instant, data: &[u8]) {
    let senders = SENDERS.map(|(ip, port)| std::net::SocketAddr::from((ip, port)));
    let mut stream = Stream::new(start, plain_stream());
    stream.set_ice(Some(our_password()));
    let mut query = Query::new(start, senders[1], 77, start + Duration::from_secs(1));
    let (mut now, mut rest) = (start, data);
    while let Some((&[head, length], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        now += Duration::from_millis(5 * u64::from(head >> 3));
        let sender = senders[usize::from(head & 3)];
        query.handle_input(sender, datagram);
        let before = stream.stats();
        match head & 4 {
            0 => stream.handle_input(now, sender, datagram),
            _ => stream.handle_rtcp(now, sender, datagram),
        }
        let stats = stream.stats();
        while let Some(output) = stream.poll_output() {
            if let rtp::Output::Transmit { to, datagram: sent } | rtp::Output::TransmitRtcp { to, datagram: sent } =
                output
            {
                assert!(to == sender && is_stun(&sent) && is_stun(datagram) && sent.len() <= 160, "{sent:02x?}");
                assert!(stats.checks + stats.refused_checks == before.checks + before.refused_checks + 1);
            }
        }
        let names_us = datagram.windows(4).any(|window| window == b"ours");
        assert!(stats.checks == before.checks || names_us);
        let is_refused = is_stun(datagram) && stats.checks == before.checks;
        assert!(!is_refused || stats.latch_changes == before.latch_changes, "a stranger's check moved the sound");
    }
    while let Some(output) = query.poll_output() {
        if let Asked::Done(Ok(seen_at)) = output {
            assert!(seen_at.port() != 0 && seen_at.is_ipv4() && !seen_at.ip().is_unspecified());
        }
    }
}
