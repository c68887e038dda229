//! The latch against peers, networks and attackers.

use super::*;
use crate::rtp::packet::RtpTimestamp;

const PROMISED: &str = "192.0.2.1:4000";
const NAT: &str = "198.51.100.9:1024";
const STRANGER: &str = "203.0.113.66:4000";

/// A latch and the time.
struct Bench {
    latch: Latch,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let now = Instant::now();
        Self { latch: Latch::new(PROMISED.parse().unwrap()), now }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn packet(&mut self, from: &str, ssrc: u32, seq: u16) -> bool {
        self.packet_of(8, from, ssrc, seq)
    }

    fn packet_of(&mut self, payload_type: u8, from: &str, ssrc: u32, seq: u16) -> bool {
        let packet = Packet {
            payload_type,
            marker: false,
            seq: Seq(seq),
            timestamp: RtpTimestamp(0),
            ssrc: Ssrc(ssrc),
            payload: &[],
        };
        self.latch.admit(self.now, from.parse().unwrap(), &packet)
    }

    /// So many of these sequence numbers, 20 ms apart, are admitted.
    fn admitted(&mut self, from: &str, ssrc: u32, seqs: impl IntoIterator<Item = u16>) -> usize {
        let mut admitted = 0;
        for seq in seqs {
            self.wait(20);
            admitted += usize::from(self.packet(from, ssrc, seq));
        }
        admitted
    }

    fn is_at(&self, address: &str) -> bool {
        self.latch.target() == address.parse::<SocketAddr>().unwrap()
    }
}

#[test]
fn the_promised_source_is_the_peer_at_once_and_again() {
    let mut bench = Bench::new();
    assert!(bench.is_at(PROMISED) && bench.latch.heard().is_none());
    assert!(bench.packet(PROMISED, 1, 1));
    let mut bench = Bench::new();
    bench.admitted(STRANGER, 9, 0..10);
    assert!(bench.is_at(STRANGER));
    assert!(!bench.packet(PROMISED, 1, 1), "one packet with a forged address moves nothing");
    assert_eq!(bench.admitted(PROMISED, 1, 2..6), 2, "he who goes on has proved himself");
    assert!(bench.is_at(PROMISED));
    assert_eq!(bench.admitted(STRANGER, 9, 10..1_000), 0);
    bench.wait(200);
    let mut bench = Bench::new();
    bench.admitted(NAT, 9, 0..10);
    bench.wait(200);
    assert!(bench.packet(PROMISED, 1, 1) && bench.is_at(PROMISED), "at once where nobody else is heard");
}

#[test]
fn another_source_has_to_prove_itself_first() {
    /// SSRC and sequence number.
    type Packets = &'static [(u32, u16)];
    let cases: [(&str, Packets, bool); 9] = [
        ("in order", &[(5, 10), (5, 11), (5, 12), (5, 13)], true),
        ("over the wrap, with losses", &[(5, 65_533), (5, 65_535), (5, 2), (5, 3)], true),
        ("doubled", &[(5, 10), (5, 10), (5, 11), (5, 11), (5, 12), (5, 12), (5, 13)], true),
        ("swapped", &[(5, 11), (5, 10), (5, 13), (5, 12), (5, 15), (5, 14), (5, 17)], true),
        ("too few", &[(5, 10), (5, 11), (5, 12)], false),
        ("the same again", &[(5, 10), (5, 10), (5, 10), (5, 10), (5, 10)], false),
        ("backwards", &[(5, 14), (5, 13), (5, 12), (5, 11), (5, 10)], false),
        ("thrown about", &[(5, 10), (5, 4_000), (5, 9_000), (5, 30_000), (5, 60_000)], false),
        ("of many SSRCs", &[(5, 10), (6, 11), (7, 12), (8, 13), (9, 14)], false),
    ];
    for (what, packets, proved) in cases {
        let mut bench = Bench::new();
        for &(ssrc, seq) in packets {
            bench.wait(20);
            bench.packet(NAT, ssrc, seq);
        }
        assert_eq!(bench.is_at(NAT), proved, "{what}");
    }
    for (every_ms, proved) in [(10_001, false), (5_000, true)] {
        let mut slow = Bench::new();
        for seq in 0..4 {
            slow.wait(every_ms);
            slow.packet(NAT, 5, seq);
        }
        assert_eq!(
            slow.is_at(NAT),
            proved,
            "one packet every {every_ms} ms; a listener sends comfort noise now and then"
        );
    }
}

#[test]
fn a_spray_from_many_ports_does_not_stop_the_one_who_proves_himself() {
    let mut bench = Bench::new();
    bench.packet(NAT, 1, 1);
    bench.packet(NAT, 1, 2);
    for port in 1_000..2_000u16 {
        assert!(!bench.packet(&format!("203.0.113.66:{port}"), 9, 1));
    }
    assert!(bench.latch.candidates.len() <= MAX_CANDIDATES);
    assert_eq!(bench.admitted(NAT, 1, [3, 4]), 1);
    assert!(bench.is_at(NAT));
}

#[test]
fn a_stranger_is_never_let_in_however_long_the_peer_is_silent() {
    for home in [PROMISED, NAT] {
        let mut bench = Bench::new();
        bench.admitted(home, 1, 0..10);
        for silence_ms in [0, 300, 3_000, 60_000, 3_600_000] {
            bench.wait(silence_ms);
            // His own stream, a guessed sequence, and a guessed SSRC.
            assert_eq!(bench.admitted(STRANGER, 2, 0..50), 0);
            assert_eq!(bench.admitted(STRANGER, 2, 10..60), 0);
            assert_eq!(bench.admitted(STRANGER, 1, 40_000..40_050), 0);
        }
        assert!(bench.is_at(home));
        assert!(bench.packet(home, 1, 10), "the peer is still welcome");
    }
}

#[test]
fn a_stream_that_goes_on_from_elsewhere_has_a_new_nat() {
    let rebound = "198.51.100.9:2048";
    let mut bench = Bench::new();
    bench.admitted(NAT, 1, 0..10);
    assert_eq!(bench.admitted(rebound, 1, 10..14), 0, "the old one has only just been heard");
    bench.wait(200);
    assert_eq!(bench.admitted(rebound, 1, 14..30), 13, "after the proof");
    assert!(bench.is_at(rebound));
    // Doubled packets of a stream that goes on where it was move nothing.
    for seq in 30..80 {
        bench.wait(20);
        assert!(bench.packet(rebound, 1, seq));
        assert!(!bench.packet(STRANGER, 1, seq + 1));
    }
}

#[test]
fn the_peer_may_change_his_ssrc_but_not_from_elsewhere() {
    let mut bench = Bench::new();
    bench.admitted(NAT, 1, 0..10);
    assert_eq!(bench.admitted(NAT, 2, 500..510), 10);
    bench.wait(1_000);
    assert_eq!(bench.admitted(STRANGER, 1, 10..50), 0, "that was the stream before");
    // One late packet does not let an old sequence go on.
    assert!(bench.packet(NAT, 2, 505));
    bench.wait(1_000);
    assert_eq!(bench.admitted(STRANGER, 2, 506..509), 0);
}

#[test]
fn another_promise_opens_the_latch_and_the_same_one_does_not() {
    let mut bench = Bench::new();
    bench.admitted(NAT, 1, 0..10);
    bench.latch.promise(PROMISED.parse().unwrap());
    bench.latch.promise("0.0.0.0:4000".parse().unwrap());
    assert!(bench.is_at(NAT) && bench.latch.is_peers_host("198.51.100.9".parse().unwrap()));
    bench.latch.promise("192.0.2.7:5000".parse().unwrap());
    assert!(bench.is_at("192.0.2.7:5000") && bench.latch.heard().is_none());
    bench.wait(20);
    assert!(!bench.packet(NAT, 1, 10) && !bench.latch.is_peers_host("198.51.100.9".parse().unwrap()));
}

#[test]
fn the_former_source_that_goes_on_does_not_shut_out_the_new_one() {
    let mut bench = Bench::new();
    bench.admitted(PROMISED, 1, 0..10);
    bench.latch.promise("192.0.2.7:5000".parse().unwrap());
    assert_eq!(bench.admitted(PROMISED, 1, 10..35), 0, "half a second of the stream before");
    assert_eq!(bench.admitted(NAT, 2, 0..10), 7, "the new peer, behind a NAT");
    assert!(bench.is_at(NAT));
    assert_eq!(bench.admitted(PROMISED, 1, 35..200), 0);

    // A peer who did not move after all, until the new one comes.
    let mut bench = Bench::new();
    bench.admitted(PROMISED, 1, 0..10);
    bench.latch.promise("192.0.2.7:5000".parse().unwrap());
    assert_eq!(bench.admitted(PROMISED, 1, 10..70), 11);
    assert_eq!(bench.admitted(NAT, 2, 0..10), 7);
    assert!(bench.is_at(NAT));
}

#[test]
fn a_nat_that_forgot_the_peer_during_a_hold_is_followed_after_the_next_description() {
    let (forgotten, new) = ("198.51.100.9:2048", "198.51.100.9:4096");
    let mut bench = Bench::new();
    bench.admitted(forgotten, 1, 0..10);
    bench.wait(60_000);
    assert_eq!(bench.admitted(new, 2, 500..520), 0, "nobody has said that he would come");
    bench.latch.promise(PROMISED.parse().unwrap());
    assert_eq!(bench.admitted(new, 2, 520..540), 17);
    assert!(bench.is_at(new));
    bench.wait(60_000);
    assert_eq!(bench.admitted(STRANGER, 9, 0..50), 0, "it is shut again");

    let mut bench = Bench::new();
    bench.admitted(forgotten, 1, 0..10);
    bench.latch.promise(PROMISED.parse().unwrap());
    assert_eq!(bench.admitted(forgotten, 1, 10..20), 10, "nothing was forgotten");
    bench.wait(60_000);
    assert_eq!(bench.admitted(STRANGER, 9, 0..50), 0, "so it is shut");
}

#[test]
fn one_who_pauses_with_comfort_noise_is_not_gone() {
    for (last, displaced) in [(COMFORT_NOISE, 0), (8, 17)] {
        let mut bench = Bench::new();
        bench.admitted(NAT, 1, 0..10);
        assert!(bench.packet_of(last, NAT, 1, 10));
        bench.latch.promise(PROMISED.parse().unwrap());
        bench.wait(3_000);
        assert_eq!(bench.admitted(STRANGER, 9, 0..20), displaced, "after a packet of type {last}");
    }
}
