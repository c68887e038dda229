//! Which packets of one source have come: new, doubled, out of order, or from a sequence that began anew.
//! RFC 3550 appendix A.1 and A.3, with a window of the last 128 packets to tell doubled packets from late ones.

use crate::rtp::packet::{ExtendedSeq, Seq};

/// A jump ahead by more is a new sequence (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A step back by more is a new sequence.
const MAX_MISORDER: u16 = 100;

/// What a sequence number means after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    InOrder(ExtendedSeq),
    /// Later numbers have come before it.
    Reordered(ExtendedSeq),
    Duplicate,
    /// Far from all others, perhaps a stray: it does not count unless its successor follows.
    Stray,
    /// The successor of a stray: the sender began a new sequence.
    Restart,
}

/// The numbers of one source.
#[derive(Debug)]
pub struct Sequence {
    first: u64,
    highest: u64,
    /// Bit `n` stands for `highest - n`.
    seen: u128,
    received: u64,
    after_stray: Option<Seq>,
}

impl Sequence {
    /// Starts with the first packet.
    pub fn new(seq: Seq) -> (Self, ExtendedSeq) {
        // One cycle up, so that packets from before the first have a number too.
        let first = u64::from(seq.0) + (1 << 16);
        (Self { first, highest: first, seen: 1, received: 1, after_stray: None }, ExtendedSeq(first))
    }

    pub fn arrive(&mut self, seq: Seq) -> Arrival {
        let ahead = seq.0.wrapping_sub(self.highest as u16);
        let behind = ahead.wrapping_neg();
        if (1..=MAX_DROPOUT).contains(&ahead) {
            self.highest += u64::from(ahead);
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.received += 1;
            self.after_stray = None;
            return Arrival::InOrder(ExtendedSeq(self.highest));
        }
        if behind > MAX_MISORDER {
            let restart = self.after_stray == Some(seq);
            self.after_stray = Some(seq.next());
            return if restart { Arrival::Restart } else { Arrival::Stray };
        }
        let bit = 1 << behind;
        if self.seen & bit != 0 {
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.received += 1;
        let extended = self.highest.saturating_sub(behind.into());
        self.first = self.first.min(extended);
        Arrival::Reordered(ExtendedSeq(extended))
    }

    /// How many packets never came (so far).
    pub fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_over_the_wrap() {
        let (mut sequence, first) = Sequence::new(Seq(65_534));
        let arrivals: Vec<Arrival> = [65_535, 1, 0, 1, 4].map(|n| sequence.arrive(Seq(n))).into();
        let at = |n| ExtendedSeq(first.0 + n);
        assert_eq!(
            arrivals,
            [
                Arrival::InOrder(at(1)),
                Arrival::InOrder(at(3)),
                Arrival::Reordered(at(2)),
                Arrival::Duplicate,
                Arrival::InOrder(at(6)),
            ]
        );
        assert_eq!(sequence.lost(), 2);
    }

    #[test]
    fn one_stray_changes_nothing_and_two_in_a_row_are_a_new_sequence() {
        let (mut sequence, first) = Sequence::new(Seq(100));
        assert_eq!(sequence.arrive(Seq(30_000)), Arrival::Stray);
        assert_eq!(sequence.arrive(Seq(101)), Arrival::InOrder(first.next()));
        assert_eq!(sequence.arrive(Seq(30_001)), Arrival::Stray);
        assert_eq!(sequence.arrive(Seq(30_002)), Arrival::Restart);
        assert_eq!(sequence.lost(), 0);
    }

    #[test]
    fn packets_from_before_the_first_count() {
        let (mut sequence, first) = Sequence::new(Seq(5));
        assert_eq!(sequence.arrive(Seq(3)), Arrival::Reordered(ExtendedSeq(first.0 - 2)));
        assert_eq!(sequence.lost(), 1);
    }

    #[test]
    fn a_jump_forgets_the_window() {
        let (mut sequence, first) = Sequence::new(Seq(0));
        assert_eq!(sequence.arrive(Seq(3_000)), Arrival::InOrder(ExtendedSeq(first.0 + 3_000)));
        assert_eq!(sequence.arrive(Seq(2_990)), Arrival::Reordered(ExtendedSeq(first.0 + 2_990)));
        assert_eq!(sequence.lost(), 2_998);
    }
}
