//! How long packets take, and what delay of the playout that asks for.
//!
//! A packet's *delay* is when it came less its timestamp, in samples against any zero: only differences count.
//! The delay wanted for the playout is the one that is worth it: each packet in a hundred that it saves from coming too
//! late may cost 50 ms. The last 10 s show what is usual; the last 2 s alone, if they ask for more, what has just become
//! so. So a burst of late packets counts at once and for a short time, and a drifting clock moves the zero unnoticed.

use crate::rtp::Rate;

/// The delays that are remembered: 10 s of packets of 20 ms.
const USUAL: usize = 500;
/// Those that show what has just changed.
const RECENT: usize = 100;
/// What one packet in time is worth, as a part of all: 5 s for all. In samples at 8 kHz, as all these.
const WORTH: i64 = 40_000;
/// Of fewer packets than these, one late packet is no more than 1 %.
const MIN_PACKETS: usize = 100;
/// More than one packet in eight is never given up.
const GIVEN_UP: usize = 8;
/// After how many packets the delay wanted is looked at again.
const INTERVAL: u32 = 8;
/// The most that the delay may be above that of the fastest packet: 400 ms.
const MAX_SPREAD: i64 = 3_200;
/// A pull takes 20 ms at once, so a packet may be needed so much before its own time, and 5 ms for the accuracy of timers.
const LEAD: i64 = 200;

/// The most that the delay may be above that of the fastest packet, in samples of `rate`.
pub const fn max_spread(rate: Rate) -> i64 {
    rate.span(MAX_SPREAD)
}

/// The delays of the last packets.
#[derive(Debug)]
pub struct Delays {
    rate: Rate,
    /// Against `zero`; the oldest is overwritten.
    last: [i32; USUAL],
    zero: i64,
    count: usize,
    next: usize,
    until_look: u32,
    least: i64,
    wanted: i64,
}

impl Delays {
    /// Begins with one packet's delay.
    pub fn new(delay: i64, rate: Rate) -> Self {
        let mut delays = Self {
            rate,
            last: [0; USUAL],
            zero: delay,
            count: 0,
            next: 0,
            until_look: 0,
            least: delay,
            wanted: delay + rate.span(LEAD),
        };
        delays.note(delay, false);
        delays
    }

    /// Takes a packet's delay. One that came too late counts at once.
    pub fn note(&mut self, delay: i64, late: bool) {
        self.last[self.next] = i32::try_from(delay.saturating_sub(self.zero)).unwrap_or(i32::MAX);
        self.next = (self.next + 1) % USUAL;
        self.count = (self.count + 1).min(USUAL);
        self.until_look = self.until_look.saturating_sub(1);
        if late || self.until_look == 0 {
            self.look();
        }
    }

    /// The delay that the playout should have.
    pub fn wanted(&self) -> i64 {
        self.wanted
    }

    /// The delay of the fastest packet.
    pub fn least(&self) -> i64 {
        self.least
    }

    fn look(&mut self) {
        self.until_look = INTERVAL;
        let mut all = self.last;
        let all = &mut all[..self.count];
        let usual = worthwhile(all, self.rate);
        self.least = self.zero + i64::from(all.iter().copied().min().unwrap_or(0));
        let mut recent = [0; RECENT];
        let recent = &mut recent[..self.count.min(RECENT)];
        for (n, delay) in recent.iter_mut().enumerate() {
            *delay = self.last[(self.next + USUAL - 1 - n) % USUAL];
        }
        let wanted = self.zero + usual.max(worthwhile(recent, self.rate)) + self.rate.span(LEAD);
        self.wanted = wanted.min(self.least + max_spread(self.rate));
    }
}

/// The delay at which a longer one would save too few packets. Changes the order.
fn worthwhile(delays: &mut [i32], rate: Rate) -> i64 {
    let (count, given_up) = (delays.len(), delays.len() / GIVEN_UP);
    if count == 0 {
        return 0;
    }
    let (_, nth, slowest) = delays.select_nth_unstable(count - 1 - given_up);
    slowest.sort_unstable_by(|a, b| b.cmp(a));
    let price = rate.span(WORTH) / count.max(MIN_PACKETS) as i64;
    let cost = |(late, &delay): (i64, &i32)| (i64::from(delay) + late * price, i64::from(delay));
    (0..).zip(slowest.iter().chain([&*nth])).map(cost).min().map_or(0, |(_, delay)| delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn without_jitter_a_frame_is_enough() {
        let mut delays = Delays::new(-5_000, Rate::Narrow);
        for _ in 0..1_000 {
            delays.note(-5_000, false);
        }
        assert_eq!((delays.wanted(), delays.least()), (-5_000 + LEAD, -5_000));
    }

    #[test]
    fn even_jitter_is_covered_whole_and_rare_outliers_are_not() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut delays = Delays::new(0, Rate::Narrow);
        for n in 0..2_000 {
            // Up to 60 ms, and one packet in 200 takes 500 ms.
            delays.note(if n % 200 == 7 { 4_000 } else { rng.random_range(0..480) }, false);
        }
        println!("wanted {}", delays.wanted());
        assert!((460 + LEAD..480 + LEAD).contains(&delays.wanted()));
    }

    #[test]
    fn a_burst_of_late_packets_counts_at_once_and_for_2_s() {
        let mut delays = Delays::new(0, Rate::Narrow);
        for _ in 0..500 {
            delays.note(0, false);
        }
        for n in 0..5 {
            delays.note(1_600 - n * 160, true);
        }
        assert_eq!(delays.wanted(), 1_600 + LEAD);
        for _ in 0..120 {
            delays.note(0, false);
        }
        assert!(delays.wanted() < 800, "{} is still wanted", delays.wanted());
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        let mut delays = Delays::new(0, Rate::Narrow);
        for n in 0..180_000 {
            delays.note(-n * 32 / 1_000, false);
        }
        let now = -179_999 * 32 / 1_000;
        assert!((now + LEAD..=now + LEAD + 20).contains(&delays.wanted()));
    }

    #[test]
    fn the_spread_is_bounded() {
        let mut delays = Delays::new(0, Rate::Narrow);
        for n in 0..300 {
            delays.note(if n % 2 == 0 { 0 } else { i64::MAX }, true);
        }
        assert_eq!(delays.wanted(), MAX_SPREAD);
    }
}
