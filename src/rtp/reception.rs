//! What is received of a stream, counted as RFC 3550 appendix A.1, A.3 and A.8 count it, for the reports to the peer and
//! for the record of the call.
//!
//! Left out: probation of a new source, for the latch has made sure of it.

use std::time::Instant;

use super::packet::{Packet, RtpTimestamp, Seq, Ssrc};

/// A sequence number further ahead than this is a jump, further behind than [`MAX_MISORDER`] too.
const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;
/// The range of 24 bits with a sign.
const MAX_LOST: i64 = 0x7f_ffff;

/// What a report says of the peer's stream (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub ssrc: Ssrc,
    /// Of the packets since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Since the stream began; duplicates count negative.
    pub lost: i32,
    /// With the number of wraps in the upper 16 bits.
    pub highest_seq: u32,
    /// Units of the codec's clock.
    pub jitter: u32,
}

/// The statistics of what one peer sends.
#[derive(Debug)]
pub(super) struct Reception {
    began: Instant,
    source: Option<Source>,
    /// Runs of missing packets, of all sources.
    gaps: u64,
    /// All deviations of one packet's delay from the one before, and their number.
    deviations_ms: f64,
    deviations: u64,
}

#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    base: u16,
    highest: u16,
    wraps: u32,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Where a jump would go on.
    next_of_jump: Option<Seq>,
    /// The delay of the last packet, by the two clocks' difference, and the clock's rate.
    transit: Option<(u32, u32)>,
    /// In 16ths.
    jitter: u32,
}

impl Reception {
    pub fn new(now: Instant) -> Self {
        Self { began: now, source: None, gaps: 0, deviations_ms: 0.0, deviations: 0 }
    }

    /// Runs of missing packets so far. What comes late is missing until it comes.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// The mean deviation of delays over the whole call, in ms; `None` before there are two packets.
    pub fn jitter_ms(&self) -> Option<f64> {
        (self.deviations > 0).then(|| self.deviations_ms / self.deviations as f64)
    }

    /// Takes a packet of the peer's that is not sound: it has a place in the sequence, but its delay tells nothing.
    pub fn arrive_silent(&mut self, packet: &Packet<'_>) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc)
            && let Counted::After { missing: 1.. } = source.count(packet.seq)
        {
            self.gaps += 1;
        }
    }

    /// Takes a packet of the peer's sound. `clock_hz` is the RTP clock of its payload, above 0.
    pub fn arrive(&mut self, now: Instant, packet: &Packet<'_>, clock_hz: u32) {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc) else {
            self.source = Some(Source::new(packet.ssrc, packet.seq));
            return self.delay(now, packet.timestamp, clock_hz);
        };
        match source.count(packet.seq) {
            Counted::Jump => return,
            Counted::After { missing } => self.gaps += u64::from(missing > 0),
            Counted::Old => {}
        }
        self.delay(now, packet.timestamp, clock_hz);
    }

    /// A.8: how much the delay of one packet differs from that of the one before.
    fn delay(&mut self, now: Instant, timestamp: RtpTimestamp, clock_hz: u32) {
        let Some(source) = &mut self.source else { return };
        let elapsed = now.saturating_duration_since(self.began);
        // It wraps as the timestamps do.
        let arrival = ((elapsed.as_micros() as u64).wrapping_mul(clock_hz.into()) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp.0);
        let before = source.transit.replace((transit, clock_hz));
        if let Some((before, rate)) = before
            && rate == clock_hz
        {
            let deviation = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A second is a jump of the timestamps and no delay of the network's.
            if deviation < clock_hz {
                source.jitter = source.jitter.saturating_add(deviation).saturating_sub((source.jitter + 8) >> 4);
                self.deviations_ms += f64::from(deviation) * 1_000.0 / f64::from(clock_hz);
                self.deviations += 1;
            }
        }
    }

    /// What is to be told of the present source. Begins the next interval (A.3).
    pub fn report(&mut self) -> Option<Report> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let of_interval = expected - source.expected_before;
        let received = source.received - source.received_before;
        (source.expected_before, source.received_before) = (expected, source.received);
        let fraction = (of_interval.saturating_sub(received) << 8).checked_div(of_interval).unwrap_or(0);
        let lost = expected.cast_signed() - source.received.cast_signed();
        Some(Report {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: lost.clamp(-MAX_LOST - 1, MAX_LOST) as i32,
            highest_seq: source.wraps << 16 | u32::from(source.highest),
            jitter: source.jitter >> 4,
        })
    }
}

/// What a sequence number was.
enum Counted {
    After {
        missing: u16,
    },
    /// Late, or doubled.
    Old,
    /// Far away; the stream goes on there if the next one follows it.
    Jump,
}

impl Source {
    fn new(ssrc: Ssrc, Seq(seq): Seq) -> Self {
        Self {
            ssrc,
            base: seq,
            highest: seq,
            wraps: 0,
            received: 1,
            expected_before: 0,
            received_before: 0,
            next_of_jump: None,
            transit: None,
            jitter: 0,
        }
    }

    /// A.1, `update_seq`.
    fn count(&mut self, seq: Seq) -> Counted {
        let ahead = seq.0.wrapping_sub(self.highest);
        let counted = if (1..MAX_DROPOUT).contains(&ahead) {
            self.wraps = self.wraps.wrapping_add(u32::from(seq.0 < self.highest));
            self.highest = seq.0;
            Counted::After { missing: ahead - 1 }
        } else if ahead == 0 || ahead > u16::MAX - MAX_MISORDER {
            Counted::Old
        } else if self.next_of_jump == Some(seq) {
            *self = Self { jitter: self.jitter, ..Self::new(self.ssrc, seq) };
            return Counted::After { missing: 0 };
        } else {
            self.next_of_jump = Some(seq.next());
            return Counted::Jump;
        };
        self.next_of_jump = None;
        self.received += 1;
        counted
    }

    fn expected(&self) -> u64 {
        let highest = u64::from(self.wraps) << 16 | u64::from(self.highest);
        highest.saturating_sub(u64::from(self.base)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn packet(seq: u16, timestamp: u32) -> Packet<'static> {
        Packet {
            payload_type: 8,
            marker: false,
            seq: Seq(seq),
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc(7),
            payload: &[],
        }
    }

    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    /// What comes of packets with these sequence numbers, each 20 ms after the one before.
    fn after(seqs: &[u16]) -> (Reception, Report) {
        let start = start();
        let mut reception = Reception::new(start);
        for (n, &seq) in (0..).zip(seqs) {
            reception.arrive(start + Duration::from_millis(20) * n, &packet(seq, 160 * n), 8_000);
        }
        let report = reception.report().unwrap();
        (reception, report)
    }

    #[test]
    fn losses_doubles_wraps_and_jumps_are_counted() {
        /// Lost, the fraction of it, the highest sequence number.
        type Expected = (i32, u8, u32);
        let all: [(&str, &[u16], Expected, u64); 8] = [
            ("one", &[5], (0, 0, 5), 0),
            ("in order", &[5, 6, 7], (0, 0, 7), 0),
            ("two of six lost, in one run", &[1, 2, 5, 6], (2, 85, 6), 1),
            ("reordered", &[1, 3, 2, 4], (0, 0, 4), 1),
            ("doubled", &[1, 1, 2], (-1, 0, 2), 0),
            ("wrapped", &[65_534, 65_535, 0, 1], (0, 0, 0x1_0001), 0),
            ("a stray one", &[1, 40_000, 2, 3], (0, 0, 3), 0),
            ("a restart", &[1, 2, 40_000, 40_001, 40_002], (0, 0, 40_002), 0),
        ];
        for (what, seqs, expected, gaps) in all {
            let (reception, report) = after(seqs);
            assert_eq!((report.lost, report.fraction_lost, report.highest_seq), expected, "{what}");
            assert_eq!(reception.gaps(), gaps, "{what}");
        }
    }

    #[test]
    fn the_fraction_is_of_the_time_since_the_last_report() {
        let (mut reception, first) = after(&[1, 3, 5, 7]);
        assert_eq!((first.fraction_lost, first.lost), (109, 3));
        for seq in 8..108 {
            reception.arrive(start(), &packet(seq, 0), 8_000);
        }
        let second = reception.report().unwrap();
        assert_eq!((second.fraction_lost, second.lost), (0, 3));
        assert_eq!(reception.report().unwrap().fraction_lost, 0, "nothing at all came since");
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation_of_delays() {
        for (every_other_later_ms, clock_hz) in [(0, 8_000), (10, 8_000), (10, 48_000)] {
            let start = start();
            let mut reception = Reception::new(start);
            for n in 0..500u32 {
                let at = Duration::from_millis(u64::from(n) * 20 + u64::from(n % 2) * every_other_later_ms);
                reception.arrive(start + at, &packet(n as u16, n * clock_hz / 50), clock_hz);
            }
            let of_report = f64::from(reception.report().unwrap().jitter) * 1_000.0 / f64::from(clock_hz);
            println!("{of_report} ms at {clock_hz} Hz");
            assert!((of_report - every_other_later_ms as f64).abs() < 0.3, "{of_report} ms");
            assert!((reception.jitter_ms().unwrap() - every_other_later_ms as f64).abs() < 0.1);
        }
    }

    #[test]
    fn jumps_of_the_timestamps_and_of_the_clock_are_no_jitter() {
        let start = start();
        let mut reception = Reception::new(start);
        for (n, (timestamp, clock_hz)) in
            (0..).zip([(0, 8_000), (160, 8_000), (4_000_000_000, 8_000), (4_000_000_160, 8_000), (5, 48_000)])
        {
            reception.arrive(start + Duration::from_millis(20) * u32::from(n), &packet(n, timestamp), clock_hz);
        }
        assert_eq!(reception.report().unwrap().jitter, 0);
    }

    #[test]
    fn what_is_no_sound_has_its_place_in_the_sequence() {
        let (mut reception, _) = after(&[1, 2]);
        for seq in [3, 4, 6] {
            reception.arrive_silent(&packet(seq, 0));
        }
        reception.arrive_silent(&Packet { ssrc: Ssrc(9), ..packet(50, 0) });
        reception.arrive(start(), &packet(7, 160), 8_000);
        let report = reception.report().unwrap();
        assert_eq!((report.ssrc, report.lost, report.highest_seq), (Ssrc(7), 1, 7));
        assert_eq!((reception.gaps(), reception.deviations), (1, 2));
    }

    #[test]
    fn a_new_source_is_reported_alone() {
        let (mut reception, _) = after(&[1, 5]);
        reception.arrive(start(), &Packet { ssrc: Ssrc(8), ..packet(900, 0) }, 8_000);
        let report = reception.report().unwrap();
        assert_eq!((report.ssrc, report.lost, report.highest_seq), (Ssrc(8), 0, 900));
        assert_eq!(reception.gaps(), 1, "what was before stays counted");
        assert_eq!(Reception::new(start()).report(), None);
    }
}
