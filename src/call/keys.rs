//! Pressed keys, whichever way they are told: in RTP (RFC 4733), by INFO, as tones, or by several, as some PBXs do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// The ways that an account has for keys: `dtmf` in secretary.toml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtmf {
    /// In RTP where the other side can, and by INFO.
    #[default]
    Rtp,
    /// By INFO alone: RTP has none to offer.
    Info,
    /// As [`Rtp`](Self::Rtp), and as tones in the sound of who does not tell them in RTP.
    Inband,
    /// Not at all: what comes is ignored.
    None,
}

impl Dtmf {
    /// Whether they are offered in RTP.
    pub fn in_rtp(self) -> bool {
        matches!(self, Self::Rtp | Self::Inband)
    }
}

/// How a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// At the begin of the press.
    Rtp,
    /// At its begin or its end.
    Info,
    /// At its begin.
    Sound,
}

/// So much later may one way tell what the other has told: an INFO may have to be repeated.
const WINDOW: Duration = Duration::from_secs(3);
/// Keys that are remembered.
const MAX_TOLD: usize = 32;

/// What was told on one way and not yet on the other.
#[derive(Debug, Default)]
pub struct Keys {
    told: VecDeque<(Instant, Way, char)>,
}

impl Keys {
    /// Whether a key, pressed for `lasted`, is not the one that was just told the other way.
    pub fn is_new(&mut self, now: Instant, way: Way, key: char, lasted: Duration) -> bool {
        let is_same = |&(at, other, told): &(Instant, Way, char)| {
            other != way && told == key && now.saturating_duration_since(at) <= WINDOW + lasted
        };
        if let Some(index) = self.told.iter().position(is_same) {
            self.told.remove(index);
            return false;
        }
        if self.told.len() >= MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back((now, way, key));
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test takes one instant to start from")]
mod tests {
    use super::*;

    /// In ms: when, which way, the key, how long it was pressed.
    type Told = (u64, Way, char, u64);

    #[test]
    fn a_press_that_is_told_both_ways_counts_once() {
        let cases: [(&str, &[Told], &str); 8] = [
            ("RTP, then INFO", &[(0, Way::Rtp, '5', 0), (50, Way::Info, '5', 160)], "5"),
            ("INFO, then RTP", &[(0, Way::Info, '5', 160), (50, Way::Rtp, '5', 0)], "5"),
            ("one way alone", &[(0, Way::Rtp, '5', 0), (300, Way::Rtp, '5', 0), (600, Way::Rtp, '5', 0)], "555"),
            (
                "twice the same key, INFO behind",
                &[
                    (0, Way::Rtp, '5', 0),
                    (200, Way::Rtp, '5', 0),
                    (700, Way::Info, '5', 160),
                    (900, Way::Info, '5', 160),
                ],
                "55",
            ),
            (
                "what one way has lost, the other tells",
                &[
                    (0, Way::Rtp, '1', 0),
                    (10, Way::Info, '1', 160),
                    (300, Way::Info, '2', 160),
                    (600, Way::Rtp, '3', 0),
                ],
                "123",
            ),
            ("a long press told at its end", &[(0, Way::Rtp, '#', 0), (4_500, Way::Info, '#', 4_400)], "#"),
            ("another press much later", &[(0, Way::Rtp, '5', 0), (4_000, Way::Info, '5', 160)], "55"),
            (
                "two keys between each other",
                &[(0, Way::Rtp, '1', 0), (9, Way::Rtp, '2', 0), (10, Way::Info, '2', 9), (20, Way::Info, '1', 9)],
                "12",
            ),
        ];
        let start = Instant::now();
        for (what, told, expected) in cases {
            let mut keys = Keys::default();
            let new = told.iter().filter(|(at, way, key, lasted)| {
                keys.is_new(start + Duration::from_millis(*at), *way, *key, Duration::from_millis(*lasted))
            });
            assert_eq!(new.map(|(_, _, key, _)| key).collect::<String>(), expected, "{what}");
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut keys = Keys::default();
        let now = Instant::now();
        for _ in 0..1_000 {
            assert!(keys.is_new(now, Way::Rtp, '1', Duration::ZERO));
        }
        assert_eq!(keys.told.len(), MAX_TOLD);
    }
}
