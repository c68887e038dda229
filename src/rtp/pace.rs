//! How often we send: packets of 20 ms, or two of 10 ms for a peer who wants shorter ones; and comfort noise (RFC 3389) in
//! place of silence for a peer who knows it.
//!
//! While there is nothing to say, who has agreed to comfort noise gets a packet of it every `INTERVAL` ticks in place of the
//! silence of every tick. §4 leaves the pace to us. It is kept well above what the noise needs: each packet keeps bindings of
//! NATs open and counts as life where a PBX waits for media (Asterisk's `rtptimeout`), and a receiver who has lost the first
//! one plays what he likes for no longer than that. Sequence numbers go on by one and timestamps with the time, so that no
//! report counts anything as lost or late; the sound after it has the marker (RFC 3551 §4.1).
//!
//! Silence is what has no sample other than 0, for longer than a pause between words (`OVERHANG`): nothing of a voice is
//! cut off.
//!
//! Left out: noise where the sound is encrypted, for when and for how long she speaks tells which of her sentences it is
//! (RFC 6562 §4); noise beside G.722, whose peers do not agree on the rate that belongs to its clock of 8,000; beside Opus,
//! which has its own (DTX); the colour of the noise; other lengths of packets than 20 and 10 ms. Two packets of a tick leave
//! at once: the peer sees 10 ms of jitter.

/// What was agreed of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The peer takes comfort noise, under its static payload type.
    pub comfort_noise: bool,
    /// He wants packets below 20 ms: two of 10 ms are sent.
    pub halves: bool,
}

/// The loudness of our silence, in dB below overload (RFC 3389 §3.1): about one step of A-law, whose silence is no quieter.
/// It tells that the line is not dead, and neither people nor recognisers take it for sound. 127 would be dead silence.
const LEVEL: u8 = 70;
/// For how many ticks silence is sent as it is: 200 ms, as pauses between words and sentences are, and as a new peer needs
/// to be sure of us.
const OVERHANG: u8 = 10;
/// A packet of noise in so many ticks: 200 ms.
const INTERVAL: u8 = 10;

/// What a tick without keys is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    Sound,
    /// A payload of comfort noise.
    Noise([u8; 1]),
    Nothing,
}

/// Tells silence from sound.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// For so many ticks there has been nothing to say; one of noise that is renewed begins them anew.
    ticks: u8,
}

impl Silence {
    /// What comes next begins anew: nothing was sent, or keys.
    pub fn interrupt(&mut self) {
        self.ticks = 0;
    }

    /// What to send for a frame, to who takes noise.
    pub fn tick(&mut self, frame: &[i16]) -> Say {
        if frame.iter().any(|sample| *sample != 0) {
            self.ticks = 0;
            return Say::Sound;
        }
        self.ticks = if self.ticks < OVERHANG + INTERVAL { self.ticks + 1 } else { OVERHANG + 1 };
        match self.ticks {
            ..=OVERHANG => Say::Sound,
            ticks if ticks == OVERHANG + 1 => Say::Noise([LEVEL]),
            _ => Say::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_begins_after_a_pause_of_words_and_is_renewed() {
        let mut silence = Silence::default();
        let said: String = (0..64)
            .map(|n| {
                let frame = if n == 40 { [0, 1] } else { [0, 0] };
                match silence.tick(&frame) {
                    Say::Sound => 's',
                    Say::Noise(payload) => {
                        assert_eq!(payload, [LEVEL]);
                        'n'
                    }
                    Say::Nothing => '.',
                }
            })
            .collect();
        assert_eq!(said, "ssssssssssn.........n.........n.........sssssssssssn.........n..");
        silence.interrupt();
        assert_eq!(silence.tick(&[0]), Say::Sound);
    }
}
