//! Where a handshake for keys goes and who may make it, in virtual time: peers whom ICE has elsewhere than their description,
//! peers behind NAT, and strangers. A stream of ours, and others at addresses that the network gives them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secretary::rtp::codec::{Codec, OpusTerms};
use secretary::rtp::dtls::{Certificate, HandshakeError, Role, Terms, is_dtls};
use secretary::rtp::ice::Credentials;
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::stun::is_stun;
use secretary::rtp::{Output, Protection, Rate, Stream, StreamConfig};

use crate::support::ice::Theirs;
use crate::support::pair::epoch;

const OURS: &str = "192.0.2.10:10000";
/// Where the peer's description says that he is.
const DESCRIBED: &str = "10.0.0.5:4000";
const NAT: &str = "198.51.100.9:1024";
const OTHER_NAT: &str = "198.51.100.77:2048";
const STRANGER: &str = "203.0.113.66:4000";
const LATENCY: Duration = Duration::from_millis(20);
const LOUD: i16 = 8_000;
const UFRAG: &str = "ours";
const PASSWORD: &str = "our0password0of022chars";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Somebody at the other end, at the address that we see.
struct Far {
    stream: Stream,
    at: SocketAddr,
    /// Frames of ours that he has heard, and when the first was.
    loud: usize,
    first_loud: Option<Instant>,
    failed: Option<HandshakeError>,
}

/// When it arrives, at whom (`None`: at us), from where, and its bytes.
type Datagram = (Instant, Option<usize>, SocketAddr, Vec<u8>);

struct Paths {
    now: Instant,
    start: Instant,
    us: Stream,
    fars: Vec<Far>,
    /// Frames that we have heard.
    loud: usize,
    failed: Option<HandshakeError>,
    /// What we have sent to where nobody is.
    astray: Vec<(SocketAddr, Vec<u8>)>,
    on_its_way: BinaryHeap<Reverse<Datagram>>,
    checks: u128,
}

fn stream(now: Instant, ssrc: u32, remote: &str, protection: Protection) -> Stream {
    let config = StreamConfig {
        rate: Rate::Narrow,
        opus: OpusTerms::default(),
        remote: address(remote),
        codec: Codec::Pcma,
        payload_type: 8,
        accepted: vec![(8, Codec::Pcma)],
        events: None,
        ssrc: Ssrc(ssrc),
        first_seq: Seq(1),
        first_timestamp: RtpTimestamp(1),
        rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: ssrc.into() },
    };
    let mut stream = Stream::new(now, config);
    stream.set_rtcp(Some(RtcpPath::Muxed));
    stream.protect(protection);
    stream.set_handshake(true);
    stream
}

impl Paths {
    fn new(protection: Protection) -> Self {
        let now = epoch();
        Self {
            now,
            start: now,
            us: stream(now, 1, DESCRIBED, protection),
            fars: Vec::new(),
            loud: 0,
            failed: None,
            astray: Vec::new(),
            on_its_way: BinaryHeap::new(),
            checks: 0,
        }
    }

    fn with_ice(protection: Protection) -> Self {
        let mut paths = Self::new(protection);
        paths.us.set_ice(Some(Credentials { ufrag: UFRAG.to_owned(), password: PASSWORD.to_owned() }));
        paths
    }

    /// Somebody begins there; tells his number.
    fn begins(&mut self, at: &str, protection: Protection) -> usize {
        let stream = stream(self.now, 2 + self.fars.len() as u32, OURS, protection);
        self.fars.push(Far { stream, at: address(at), loud: 0, first_loud: None, failed: None });
        self.fars.len() - 1
    }

    /// A check of the peer's comes from there; it nominates if it has a priority.
    fn checks(&mut self, from: &str, nominates: Option<u32>) {
        self.checks += 1;
        let theirs = Theirs { ufrag: UFRAG.to_owned(), password: PASSWORD.to_owned() };
        self.us.handle_input(self.now, address(from), &theirs.check(self.checks, nominates));
        self.drain_us();
    }

    fn give(&mut self, from: &str, datagram: &[u8]) {
        self.us.handle_input(self.now, address(from), datagram);
        self.drain_us();
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.now += Duration::from_millis(5);
            while let Some(Reverse((at, ..))) = self.on_its_way.peek()
                && *at <= self.now
            {
                let Some(Reverse((_, to, from, datagram))) = self.on_its_way.pop() else { break };
                match to {
                    None => self.us.handle_input(self.now, from, &datagram),
                    Some(n) => self.fars[n].stream.handle_input(self.now, from, &datagram),
                }
                self.drain();
            }
            self.us.handle_timeout(self.now);
            for far in &mut self.fars {
                far.stream.handle_timeout(self.now);
            }
            self.drain();
        }
    }

    /// The same, and all say something all the time.
    fn talk(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            for stream in self.fars.iter_mut().map(|far| &mut far.stream).chain([&mut self.us]) {
                if !stream.is_playing() {
                    stream.play(0, &[LOUD; 160]);
                }
            }
            self.run(20);
        }
    }

    fn drain(&mut self) {
        self.drain_us();
        for n in 0..self.fars.len() {
            while let Some(output) = self.fars[n].stream.poll_output() {
                let far = &mut self.fars[n];
                match output {
                    Output::Transmit { datagram, .. } => {
                        self.on_its_way.push(Reverse((self.now + LATENCY, None, far.at, datagram)));
                    }
                    Output::Tick { received, .. } => {
                        if is_loud(&received) {
                            far.loud += 1;
                            far.first_loud.get_or_insert(self.now);
                        }
                    }
                    Output::NoKeys(error) => far.failed = Some(error),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn drain_us(&mut self) {
        while let Some(output) = self.us.poll_output() {
            match output {
                Output::Transmit { datagram, .. } if is_stun(&datagram) => {}
                Output::Transmit { to, datagram } => match self.fars.iter().position(|far| far.at == to) {
                    Some(n) => {
                        self.on_its_way.push(Reverse((self.now + LATENCY, Some(n), address(OURS), datagram)));
                    }
                    None => self.astray.push((to, datagram)),
                },
                Output::Tick { received, .. } => self.loud += usize::from(is_loud(&received)),
                Output::NoKeys(error) => assert_eq!(self.failed.replace(error), None, "told once"),
                other => panic!("{other:?}"),
            }
        }
    }

    fn elapsed_ms(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    /// What went to this address where nobody is, and is no handshake.
    fn sound_astray(&self) -> usize {
        self.astray.iter().filter(|(_, datagram)| !is_dtls(datagram)).count()
    }
}

fn is_loud(frame: &[i16]) -> bool {
    frame.iter().any(|sample| sample.unsigned_abs() > 4_000)
}

/// Us, the peer, and one who would like to be him.
struct Certificates {
    ours: Certificate,
    peers: Certificate,
    strangers: Certificate,
}

impl Certificates {
    fn new() -> Self {
        let [ours, peers, strangers] = [(); 3].map(|()| Certificate::generate().unwrap());
        Self { ours, peers, strangers }
    }

    fn ours(&self, role: Role) -> Protection {
        handshake(&self.ours, role, &self.peers)
    }

    fn peers(&self, role: Role) -> Protection {
        handshake(&self.peers, role, &self.ours)
    }

    fn strangers(&self) -> Protection {
        handshake(&self.strangers, Role::Active, &self.ours)
    }
}

fn handshake(own: &Certificate, role: Role, other: &Certificate) -> Protection {
    Protection::Dtls(Terms { certificate: own.clone(), role, fingerprints: vec![other.fingerprint().clone()] })
}

fn other(role: Role) -> Role {
    if role == Role::Active { Role::Passive } else { Role::Active }
}

/// The first datagram of a handshake, of no matter whom.
fn call() -> Vec<u8> {
    let mut stranger = stream(epoch(), 9, OURS, Certificates::new().strangers());
    stranger.handle_timeout(stranger.poll_timeout());
    let outputs = std::iter::from_fn(|| stranger.poll_output());
    let mut datagrams = outputs.filter_map(|output| match output {
        Output::Transmit { datagram, .. } => Some(datagram),
        _ => None,
    });
    datagrams.next().expect("it calls")
}

#[test]
fn with_ice_a_handshake_of_ours_waits_for_a_nomination_and_goes_nowhere_else() {
    let certificates = Certificates::new();
    let mut paths = Paths::with_ice(certificates.ours(Role::Active));
    let peer = paths.begins(NAT, certificates.peers(Role::Passive));
    paths.talk(600);
    paths.checks(NAT, None);
    paths.talk(200);
    assert_eq!(paths.astray, [], "nothing is said before it is known where");
    paths.checks(NAT, Some(1));
    paths.talk(1_000);
    assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{} {}", paths.loud, paths.fars[peer].loud);
    assert_eq!((paths.astray.len(), paths.us.stats().forged, &paths.failed), (0, 0, &None));
}

#[test]
fn with_ice_a_peer_who_calls_from_elsewhere_than_described_is_heard_and_answered_there() {
    let certificates = Certificates::new();
    for nominates in [Some(1), None] {
        let mut paths = Paths::with_ice(certificates.ours(Role::Passive));
        paths.checks(NAT, nominates);
        let peer = paths.begins(NAT, certificates.peers(Role::Active));
        paths.talk(1_000);
        assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{} {}", paths.loud, paths.fars[peer].loud);
        assert_eq!(paths.astray, [], "{nominates:?}");
    }
}

#[test]
fn one_who_checks_nothing_is_called_where_his_description_says_after_a_while() {
    for role in [Role::Active, Role::Passive] {
        let certificates = Certificates::new();
        let mut paths = Paths::with_ice(certificates.ours(role));
        if role == Role::Active {
            paths.talk(2_400);
            assert_eq!(paths.astray, []);
        }
        let peer = paths.begins(DESCRIBED, certificates.peers(other(role)));
        paths.talk(2_000);
        assert!(paths.loud > 50 && paths.fars[peer].loud > 50, "{role:?}: {} {}", paths.loud, paths.fars[peer].loud);
    }
}

#[test]
fn a_handshake_goes_on_where_a_later_nomination_has_it() {
    for role in [Role::Active, Role::Passive] {
        // At every stage of it: its flights are 20 ms apart.
        for moved_after in (0..200).step_by(10) {
            let certificates = Certificates::new();
            let mut paths = Paths::with_ice(certificates.ours(role));
            paths.checks(NAT, Some(1));
            let peer = paths.begins(NAT, certificates.peers(other(role)));
            paths.run(moved_after);
            paths.fars[peer].at = address(OTHER_NAT);
            paths.checks(OTHER_NAT, Some(2));
            paths.talk(2_500);
            let heard = [paths.loud, paths.fars[peer].loud];
            assert!(heard.iter().all(|heard| *heard > 25), "{role:?} after {moved_after} ms: {heard:?}");
            assert!(paths.sound_astray() <= 3, "but for what was under way: {}", paths.sound_astray());
        }
    }
}

#[test]
fn one_who_is_found_after_all_calls_went_astray_is_called_anew() {
    let certificates = Certificates::new();
    let mut paths = Paths::with_ice(certificates.ours(Role::Active));
    paths.talk(8_000);
    assert!(paths.astray.len() >= 7 && paths.astray.iter().all(|(to, _)| *to == address(DESCRIBED)));
    let calls = paths.astray.len();
    let peer = paths.begins(NAT, certificates.peers(Role::Passive));
    paths.checks(NAT, Some(1));
    paths.talk(1_000);
    assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{} {}", paths.loud, paths.fars[peer].loud);
    assert_eq!((paths.astray.len(), &paths.failed), (calls, &None));
}

#[test]
fn who_has_passed_a_check_can_end_the_handshake_and_who_has_not_cannot() {
    let certificates = Certificates::new();
    let mut paths = Paths::with_ice(certificates.ours(Role::Passive));
    let stranger = paths.begins(DESCRIBED, certificates.strangers());
    paths.talk(1_000);
    assert_eq!((&paths.failed, paths.fars[stranger].loud), (&None, 0), "he may be anybody");
    paths.begins(NAT, certificates.strangers());
    paths.checks(NAT, None);
    paths.talk(500);
    assert_eq!(paths.failed, Some(HandshakeError::Impostor));
    assert_eq!(paths.sound_astray(), 0);
}

#[test]
fn who_has_passed_a_check_has_a_place_among_any_number_of_strangers() {
    let certificates = Certificates::new();
    let mut paths = Paths::with_ice(certificates.ours(Role::Passive));
    let call = call();
    for port in 1..=50 {
        paths.give(&format!("203.0.113.66:{port}"), &call);
        paths.give(&format!("10.0.0.5:{port}"), &call);
    }
    paths.give(DESCRIBED, &call);
    paths.checks(NAT, Some(1));
    let peer = paths.begins(NAT, certificates.peers(Role::Active));
    paths.talk(1_000);
    assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{} {}", paths.loud, paths.fars[peer].loud);
    assert_eq!(paths.sound_astray(), 0, "no stranger is sent sound");
}

#[test]
fn a_handshake_says_where_a_peer_behind_a_nat_is_though_he_says_nothing() {
    let certificates = Certificates::new();
    let mut paths = Paths::new(certificates.ours(Role::Passive));
    let peer = paths.begins(NAT, certificates.peers(Role::Active));
    paths.fars[peer].stream.set_send(false);
    paths.talk(1_000);
    assert!(paths.fars[peer].loud > 30, "{}", paths.fars[peer].loud);
    assert_eq!((paths.loud, paths.astray.len(), paths.us.stats().latch_changes), (0, 0, 1));
}

#[test]
fn one_with_another_certificate_gets_no_sound_and_does_not_keep_the_peer_out() {
    let certificates = Certificates::new();
    let mut paths = Paths::new(certificates.ours(Role::Passive));
    let strangers = [1, 2, 3].map(|port| paths.begins(&format!("203.0.113.66:{port}"), certificates.strangers()));
    paths.talk(1_000);
    assert_eq!((&paths.failed, paths.us.stats().latch_changes), (&None, 0));
    let peer = paths.begins(NAT, certificates.peers(Role::Active));
    paths.talk(1_000);
    let late = paths.begins(STRANGER, certificates.strangers());
    paths.talk(1_000);
    assert!(paths.fars[peer].loud > 75, "{}", paths.fars[peer].loud);
    for stranger in strangers.into_iter().chain([late]) {
        assert_eq!(paths.fars[stranger].loud, 0);
        assert_eq!(paths.fars[stranger].stream.stats().forged, 0, "nothing but the handshake goes to him");
    }
    let stats = paths.us.stats();
    assert_eq!((stats.latch_changes, paths.sound_astray(), &paths.failed), (1, 0, &None), "{stats:?}");
}

/// Who is behind a NAT is a stranger as well until his handshake is done.
#[test]
fn strangers_who_do_not_go_on_make_room_in_time() {
    let (certificates, call) = (Certificates::new(), call());
    let mut paths = Paths::new(certificates.ours(Role::Passive));
    for n in 0..8 {
        paths.give(&format!("203.0.113.66:{}", 1 + n), &call);
    }
    let peer = paths.begins(NAT, certificates.peers(Role::Active));
    paths.talk(4_000);
    assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{} {}", paths.loud, paths.fars[peer].loud);
    assert_eq!((paths.sound_astray(), &paths.failed), (0, &None));
}

#[test]
fn strangers_who_call_without_end_do_not_use_up_the_calls_of_the_peer() {
    let call = call();
    for at in [DESCRIBED, NAT] {
        let certificates = Certificates::new();
        let mut paths = Paths::new(certificates.ours(Role::Passive));
        let flood = |paths: &mut Paths| {
            for n in 0..900 {
                paths.give(&format!("203.0.113.66:{}", 1 + n % 3), &call);
            }
        };
        flood(&mut paths);
        let answers = paths.astray.len();
        assert!((3..=600).contains(&answers), "{answers} answers");
        let peer = paths.begins(at, certificates.peers(Role::Active));
        for _ in 0..5 {
            paths.talk(20);
            flood(&mut paths);
        }
        paths.talk(1_000);
        assert!(paths.loud > 30 && paths.fars[peer].loud > 30, "{at}: {} {}", paths.loud, paths.fars[peer].loud);
        assert_eq!(paths.sound_astray(), 0);
    }
}

#[test]
fn a_new_handshake_is_judged_by_where_the_peer_was_found() {
    let certificates = Certificates::new();
    let mut paths = Paths::new(certificates.ours(Role::Passive));
    let peer = paths.begins(NAT, certificates.peers(Role::Active));
    paths.talk(1_000);
    assert!(paths.loud > 30 && paths.failed.is_none());
    // He is to show another certificate and does not.
    paths.us.protect(handshake(&certificates.ours, Role::Passive, &certificates.strangers));
    paths.fars[peer].stream.protect(handshake(&certificates.peers, Role::Active, &Certificates::new().ours));
    paths.fars[peer].stream.protect(certificates.peers(Role::Active));
    paths.talk(1_000);
    assert_eq!(paths.failed, Some(HandshakeError::Impostor), "at once, and not when time is up");
}

#[test]
fn with_ice_a_greeting_waits_for_a_nomination_and_all_of_it_is_heard() {
    for (nominated_after, at, from_ms) in [(Some(1_200), NAT, 1_200), (None, DESCRIBED, 2_500)] {
        let mut paths = Paths::with_ice(Protection::Plain);
        let peer = paths.begins(at, Protection::Plain);
        paths.fars[peer].stream.set_send(false);
        paths.us.play(0, &[LOUD; 8_000]);
        if let Some(after) = nominated_after {
            paths.run(after);
            assert_eq!(paths.us.queued(), 8_000, "it waits");
            paths.checks(at, Some(1));
        }
        paths.run(5_000);
        let far = &paths.fars[peer];
        let first = far.first_loud.map(|at| (at - paths.start).as_millis() as u64).unwrap();
        assert!((49..=51).contains(&far.loud), "{at}: {} of 50 frames", far.loud);
        assert!((from_ms..from_ms + 200).contains(&first), "{at}: after {first} ms of {}", paths.elapsed_ms());
        assert_eq!(paths.astray, [], "{at}");
    }
}

#[test]
fn sound_of_a_stranger_does_not_end_the_wait_for_a_nomination() {
    let mut paths = Paths::with_ice(Protection::Plain);
    paths.us.play(0, &[LOUD; 8_000]);
    for seq in 0..50 {
        let (seq, timestamp) = (Seq(seq), RtpTimestamp(u32::from(seq) * 160));
        let sound = Packet { payload_type: 8, marker: false, seq, timestamp, ssrc: Ssrc(9), payload: &[0xd5; 160] };
        paths.give(STRANGER, &sound.build());
        paths.run(20);
    }
    assert_eq!((paths.us.queued(), paths.astray.len()), (8_000, 0));
    let peer = paths.begins(NAT, Protection::Plain);
    paths.fars[peer].stream.set_send(false);
    paths.checks(NAT, Some(1));
    paths.run(2_000);
    assert!((49..=51).contains(&paths.fars[peer].loud), "{}", paths.fars[peer].loud);
    assert_eq!(paths.astray, []);
}

#[test]
fn one_who_checks_and_nominates_nothing_is_talked_to_where_the_checks_come_from() {
    let mut paths = Paths::with_ice(Protection::Plain);
    let peer = paths.begins(NAT, Protection::Plain);
    paths.fars[peer].stream.set_send(false);
    paths.checks(OTHER_NAT, None);
    paths.checks(NAT, None);
    paths.talk(2_400);
    assert_eq!(paths.fars[peer].loud, 0);
    paths.talk(1_000);
    assert!(paths.fars[peer].loud > 40, "{}", paths.fars[peer].loud);
    assert_eq!(paths.astray, []);
}
