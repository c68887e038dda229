//! Reports read and written, in virtual time.

use super::*;
use crate::rtp::packet::{Packet, Seq};

const OURS: Ssrc = Ssrc(0xaaaa);
const THEIRS: Ssrc = Ssrc(0xbbbb);
const NTP: NtpTime = NtpTime(0xe000_0000_8000_0000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One end: its reports, what it receives, and how much it has sent.
struct End {
    start: Instant,
    rtcp: Rtcp,
    reception: Reception,
    sent: Sent,
}

impl End {
    fn new(ssrc: Ssrc, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let start = Instant::now();
        let mut rtcp = Rtcp::new(start, RtcpStart { ntp: NTP, seed });
        rtcp.set_path(Some(RtcpPath::Muxed));
        let sent = Sent { ssrc, timestamp: RtpTimestamp(1_000), packets: 0, octets: 0 };
        Self { start, rtcp, reception: Reception::new(start), sent }
    }

    /// Its next report, and when it leaves.
    fn next(&mut self, from: Duration) -> (Duration, Outgoing) {
        (from.as_millis() as u64 / 20..)
            .map(|n| ms(n * 20))
            .find_map(|at| {
                let report = self.rtcp.handle_timeout(self.start + at, self.sent, &mut self.reception)?;
                Some((at, report))
            })
            .unwrap()
    }

    fn take(&mut self, at: Duration, datagram: &[u8]) -> bool {
        self.rtcp.handle_input(self.start + at, Some(addr("192.0.2.1:4001")), datagram, self.sent)
    }

    fn hear(&mut self, seqs: &[u16]) {
        for &seq in seqs {
            let packet = Packet {
                payload_type: 8,
                marker: false,
                seq: Seq(seq),
                timestamp: RtpTimestamp(0),
                ssrc: THEIRS,
                payload: &[],
            };
            self.reception.arrive(self.start, &packet, 8_000);
        }
    }
}

fn kinds(datagram: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut rest = datagram;
    while let &[_, kind, high, low, ..] = rest {
        kinds.push(kind);
        rest = &rest[4 * (usize::from(u16::from_be_bytes([high, low])) + 1)..];
    }
    assert!(rest.is_empty());
    kinds
}

#[test]
fn times_are_those_of_ntp() {
    // The beginning of 1970, and half a second later.
    assert_eq!(NtpTime::from_unix(0, 500_000_000), NtpTime(2_208_988_800 << 32 | 1 << 31));
    assert_eq!(NTP.after(ms(1_500)).0, 0xe000_0002_0000_0000);
    assert_eq!((NTP.middle(), short(ms(2_500))), (0x8000, 0x2_8000));
    assert_eq!(short(Duration::MAX), u32::MAX);
}

#[test]
fn reports_leave_every_five_seconds_or_so_and_the_first_one_earlier() {
    let (mut least, mut most, mut sum) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
    for seed in 0..200 {
        let mut end = End::new(OURS, seed);
        let (first, _) = end.next(Duration::ZERO);
        assert!((ms(1_000)..=ms(3_120)).contains(&first), "{first:?}");
        let (second, _) = end.next(first + ms(20));
        let interval = second - first;
        (least, most, sum) = (least.min(interval), most.max(interval), sum + interval);
    }
    println!("{least:?} to {most:?}, on average {:?}", sum / 200);
    assert!(least >= ms(2_040) && most <= ms(6_200) && most - least > ms(3_500), "spread as §6.3.1 wants it");
}

#[test]
fn one_who_sends_says_so_and_one_who_is_silent_only_reports() {
    let mut end = End::new(OURS, 1);
    let (at, silent) = end.next(Duration::ZERO);
    assert_eq!(kinds(&silent.datagram), [201, 202]);
    end.sent.packets = 100;
    end.sent.octets = 16_000;
    let (at, sending) = end.next(at + ms(20));
    assert_eq!(kinds(&sending.datagram), [200, 202]);
    let report = SenderReport::parse(&sending.datagram[..28]).unwrap();
    assert_eq!((report.ssrc(), report.packet_count(), report.octet_count()), (OURS.0, 100, 16_000));
    assert_eq!((report.rtp_timestamp(), report.ntp_timestamp()), (1_000, NTP.after(at).0));
    // A sender for one more interval.
    let (at, after) = end.next(at + ms(20));
    assert_eq!(kinds(&after.datagram), [200, 202]);
    let (_, later) = end.next(at + ms(20));
    assert_eq!(kinds(&later.datagram), [201, 202]);
}

#[test]
fn the_name_is_random_and_of_nobody() {
    let names: Vec<String> = (0..2).map(|seed| End::new(OURS, seed).rtcp.cname).collect();
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit())), "{names:?}");
    let (_, report) = End::new(OURS, 0).next(Duration::ZERO);
    let name = report.datagram.windows(24).any(|bytes| bytes == names[0].as_bytes());
    assert!(name, "RFC 3550 §6.1: each compound packet has it");
}

#[test]
fn both_learn_loss_jitter_and_round_trip() {
    let (mut we, mut they) = (End::new(OURS, 1), End::new(THEIRS, 2));
    they.start = we.start;
    they.sent.packets = 50;
    we.sent.packets = 200;
    we.hear(&[10, 11, 13, 14]);
    // 40 ms there, 300 ms of thought, 60 ms back.
    let (at, theirs) = they.next(Duration::ZERO);
    assert!(we.take(at + ms(40), &theirs.datagram));
    let ours = we.rtcp.report(we.start + at + ms(340), we.sent, &mut we.reception, false).unwrap();
    let report = SenderReport::parse(&ours.datagram[..52]).unwrap();
    let block = report.report_blocks().next().unwrap();
    assert_eq!((block.ssrc(), block.cumulative_lost(), block.fraction_lost()), (THEIRS.0, 1, 51));
    assert_eq!(block.extended_sequence_number(), 14);
    assert!(they.take(at + ms(400), &ours.datagram));
    let round_trip = they.rtcp.round_trip().unwrap();
    assert!((99..=101).contains(&round_trip.as_millis()), "{round_trip:?}");
    assert_eq!(they.rtcp.far(), Some(FarReport { lost: 1, jitter: block.interarrival_jitter(), sent: 50 }));
    assert_eq!(we.rtcp.round_trip(), None, "nobody has told us yet");
    // Somebody else takes the place of him who has told it, and is sent 30 more.
    they.rtcp.forget_far(50);
    assert_eq!((they.rtcp.far(), they.rtcp.round_trip()), (None, None));
    they.sent.packets = 80;
    assert!(they.take(at + ms(900), &ours.datagram));
    assert_eq!(they.rtcp.far().unwrap().sent, 30);
}

#[test]
fn absurd_round_trips_are_not_believed() {
    let block = |last_sr: u32, delay: u32| Block { lost: 0, jitter: 0, last_sr, delay_since_last_sr: delay };
    let end = End::new(OURS, 1);
    let at = end.start + ms(10_000);
    let now = NTP.after(ms(10_000)).middle();
    for (last_sr, delay, expected) in [
        (0, 5, None),
        (now - 0x1_0000, 0x8000, Some(ms(500))),
        (now, 0, Some(Duration::ZERO)),
        // A little less than nothing, and a lot.
        (now, 100, Some(Duration::ZERO)),
        (now, 0x1_0000, None),
        (now.wrapping_sub(0x10_0000), 0, None),
        (now.wrapping_add(1 << 31), 0, None),
    ] {
        assert_eq!(end.rtcp.round_trip_of(at, &block(last_sr, delay)), expected, "{last_sr:x} {delay:x}");
    }
}

#[test]
fn a_goodbye_is_the_last_word_and_only_to_those_who_know_us() {
    let mut end = End::new(OURS, 1);
    let now = end.start + ms(60_000);
    assert_eq!(end.rtcp.goodbye(now, end.sent, &mut end.reception), None);
    let mut end = End::new(OURS, 1);
    let (at, _) = end.next(Duration::ZERO);
    let last = end.rtcp.goodbye(end.start + at, end.sent, &mut end.reception).unwrap();
    assert_eq!(kinds(&last.datagram), [201, 202, 203]);
    assert_eq!(end.rtcp.handle_timeout(now, end.sent, &mut end.reception), None);
    assert_eq!(end.rtcp.goodbye(now, end.sent, &mut end.reception), None);
    assert!(end.take(ms(60_000), &last.datagram), "one of theirs is taken and ends nothing");
}

#[test]
fn reports_go_to_where_reports_come_from() {
    let mut end = End::new(OURS, 1);
    for nowhere in ["0.0.0.0:4001", "192.0.2.9:0"] {
        end.rtcp.set_path(Some(RtcpPath::At(addr(nowhere))));
        assert_eq!(end.rtcp.report(end.start, end.sent, &mut end.reception, false), None);
    }
    end.rtcp.set_path(Some(RtcpPath::At(addr("192.0.2.9:4001"))));
    let to = |end: &mut End| end.rtcp.report(end.start, end.sent, &mut end.reception, false).unwrap().to;
    assert_eq!(to(&mut end), Some(addr("192.0.2.9:4001")));
    assert!(end.take(ms(1), &[0x80, 201, 0, 1, 0, 0, 0, 1]));
    assert_eq!(to(&mut end), Some(addr("192.0.2.1:4001")));
    end.rtcp.set_path(Some(RtcpPath::Muxed));
    assert_eq!(to(&mut end), None);
}

#[test]
fn what_is_not_rtcp_is_refused_and_what_follows_it_is_passed_over() {
    let mut end = End::new(OURS, 1);
    let empty = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let cases: [(&[u8], bool); 9] = [
        (b"", false),
        (b"\x80\xc9\x00", false),
        (&[0x80, 0, 0, 1, 0, 0, 0, 1], false),
        (&[0x40, 201, 0, 1, 0, 0, 0, 1], false),
        // Longer than it is, and a report without the block that it promises.
        (&[0x80, 201, 0, 2, 0, 0, 0, 1], false),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], true),
        (&empty, true),
        (&[&empty[..], b"garbage"].concat(), true),
        (&[&empty[..], &[0xa0, 202, 255, 255]].concat(), true),
    ];
    for (datagram, taken) in cases {
        assert_eq!(end.take(ms(1), datagram), taken, "{datagram:02x?}");
    }
    assert_eq!((end.rtcp.far(), end.rtcp.round_trip()), (None, None));
}

#[test]
fn lost_packets_have_a_sign() {
    let mut datagram = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0xaa, 0xaa, 0, 0xff, 0xff, 0xfe];
    datagram.resize(32, 0);
    let mut end = End::new(OURS, 1);
    assert!(end.take(ms(1), &datagram));
    assert_eq!(end.rtcp.far().unwrap().lost, -2);
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut end = End::new(OURS, 1);
    let (at, whole) = end.next(Duration::ZERO);
    let mut taken = 0;
    for n in 0..100_000 {
        let mut datagram = whole.datagram.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..datagram.len());
            datagram[at] = rng.random();
        }
        datagram.truncate(rng.random_range(0..=datagram.len()));
        taken += u32::from(end.take(at + ms(n), &datagram));
    }
    println!("{taken} of 100000 were taken");
    assert!(taken > 1_000);
}
