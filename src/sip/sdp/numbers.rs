//! Dynamic payload types: what a number means is settled once for a session (RFC 3264 §8.3.2).
//!
//! Left out: numbers that the peer has given to formats that we do not know; an offer of ours may give them another meaning.

use super::Media;
use crate::rtp::codec::Codec;
use crate::rtp::dtmf;

/// Those of our offers, as long as the session has no others: Opus, and named events at 8 and 48 kHz.
const OPUS: u8 = 96;
const EVENTS: [u8; 2] = [dtmf::PAYLOAD_TYPE, 110];
/// All that there are (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// What a session has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pub opus: Option<u8>,
    /// For each of [`dtmf::CLOCK_RATES_HZ`].
    pub events: [Option<u8>; 2],
}

/// A number for everything.
pub(super) struct Filled {
    pub(super) opus: u8,
    pub(super) events: [u8; 2],
}

impl Numbers {
    /// Nothing yet.
    pub const NONE: Self = Self { opus: None, events: [None; 2] };

    /// Takes over what an agreement says: under which numbers the peer sends.
    #[must_use]
    pub fn and(mut self, media: &Media) -> Self {
        let opus = media.accepted.iter().find(|(_, codec)| *codec == Codec::Opus);
        self.opus = opus.map(|(number, _)| *number).or(self.opus);
        if let Some(events) = media.events {
            for (settled, clock_hz) in self.events.iter_mut().zip(dtmf::CLOCK_RATES_HZ) {
                if clock_hz == events.clock_hz {
                    *settled = Some(events.receive);
                }
            }
        }
        self
    }

    /// Gives a number of its own to what has none yet.
    pub(super) fn filled(self) -> Filled {
        let mut taken = [self.opus, self.events[0], self.events[1]];
        let mut fill = |n: usize, usual: u8| {
            let free = |number: &u8| !taken.contains(&Some(*number));
            let number = taken[n].or_else(|| std::iter::once(usual).chain(DYNAMIC).find(free)).unwrap_or(usual);
            taken[n] = Some(number);
            number
        };
        Filled { opus: fill(0, OPUS), events: [fill(1, EVENTS[0]), fill(2, EVENTS[1])] }
    }
}
