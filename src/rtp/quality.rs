//! How well a call could be heard: the E-model (ITU-T G.107) with the values of G.113 for its codec.
//!
//! Everything that no packet tells has the model's default value, so that the best that can come out is R = 93.2.
//!
//! Wide sound is rated by the wideband model (G.107.1), whose scale goes on from there to 129. The opinion stays on the narrow
//! scale, so that the figures of all calls can be compared: what makes a call better than a flawless narrow one does not
//! count, and delay and losses count from there.
//!
//! Left out: what FEC gives back, which no report tells; Opus at the low bit rates that some peers ask for.

use std::time::Duration;

use serde::Serialize;

use super::Rate;
use super::codec::Codec;

/// R of a telephone call without delay and loss: the model's defaults.
const BEST_R: f64 = 93.2;
/// The same of wide sound (G.107.1).
const BEST_WIDE_R: f64 = 129.0;
/// Noise of the circuit by the defaults, in dBm0p; loudness of the receiver and of the echo's path, in dB.
const NOISE: f64 = -61.18;
const RECEIVE_LOUDNESS: f64 = 2.0;
const ECHO_LOUDNESS: f64 = 65.0;
/// The frame that the sender has to collect before it can send it.
const PACKETIZATION: Duration = Duration::from_millis(20);

/// What a codec does to the sound.
#[derive(Debug, Clone, Copy)]
struct Equipment {
    /// R of its scale, and how much of it the codec takes: Ie.
    best: f64,
    impairment: f64,
    /// How robust it is against losses at random: Bpl.
    robustness: f64,
}

impl Equipment {
    fn of(codec: Codec, rate: Rate) -> Self {
        match (codec, rate) {
            // G.113 appendix I, with concealment. G.722 that is heard at 8 kHz sounds no worse.
            (Codec::Pcma | Codec::Pcmu, _) | (Codec::G722, Rate::Narrow) => {
                Self { best: BEST_R, impairment: 0.0, robustness: 25.1 }
            }
            // Appendix IV at 64 kbit/s. It has no robustness for it; what is lost is concealed behind the decoder in the same
            // way as with G.711.
            (Codec::G722, Rate::Wide) => Self { best: BEST_WIDE_R, impairment: 13.0, robustness: 25.1 },
            // ITU-T has published nothing for Opus. These are the estimates by instrumental models of M. Alahmadi
            // (`Opus_emodel`, 2021) at the highest bit rates that he gives, 13 kbit/s wide and 11 kbit/s narrow; at our 24 it is
            // no worse.
            (Codec::Opus, Rate::Wide) => Self { best: BEST_WIDE_R, impairment: 20.0, robustness: 19.5 },
            (Codec::Opus, Rate::Narrow) => Self { best: BEST_R, impairment: 2.0, robustness: 16.0 },
        }
    }
}

/// One way of a call.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub codec: Codec,
    /// Of the sound that is heard.
    pub rate: Rate,
    pub round_trip: Duration,
    /// In the receiver's jitter buffer.
    pub buffering: Duration,
    /// Share of the packets that were not heard, 0 to 1.
    pub loss: f64,
    /// How many were lost at a time, on average; 1 when each was alone.
    pub run: f64,
}

impl Path {
    /// The rating of transmission R, at most 93.2; below 50 nobody is satisfied.
    pub fn rating(&self) -> f64 {
        let delay_ms = (self.round_trip / 2 + self.buffering + PACKETIZATION).as_secs_f64() * 1_000.0;
        let Equipment { best, impairment, .. } = Equipment::of(self.codec, self.rate);
        (best - impairment).min(BEST_R) - delay_impairment(delay_ms) - self.loss_impairment()
    }

    /// The mean opinion to be expected, 1 (bad) to 4.4, rounded to hundredths (G.107 annex B).
    pub fn mos(&self) -> f64 {
        let r = self.rating().clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        (mos.max(1.0) * 100.0).round() / 100.0
    }

    /// What losses add to Ie: Ie-eff of G.107 §3.5 without it.
    fn loss_impairment(&self) -> f64 {
        let percent = self.loss.clamp(0.0, 1.0) * 100.0;
        // The length of a run over that of losses at random.
        let burstiness = (self.run * (1.0 - self.loss)).max(1.0);
        let Equipment { impairment, robustness, .. } = Equipment::of(self.codec, self.rate);
        (95.0 - impairment) * percent / (percent / burstiness + robustness)
    }
}

/// Idte and Idd of G.107 §3.4: the echo that is heard late, and the other who answers late.
fn delay_impairment(ms: f64) -> f64 {
    let echo_path = ECHO_LOUDNESS - 40.0 * ((1.0 + ms / 10.0) / (1.0 + ms / 150.0)).log10();
    let (without, with) = (-1.5 * (NOISE - RECEIVE_LOUDNESS), 80.0 + 2.5 * (echo_path - 14.0));
    let half = (without - with) / 2.0;
    let echo = half + (half * half + 100.0).sqrt() - 1.0;
    let late = if ms <= 100.0 {
        0.0
    } else {
        let x = (ms / 100.0).log2();
        25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
    };
    echo.max(0.0) + late
}

/// The sound of a call in figures, for its record. Milliseconds have one decimal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Packets of the caller's, each once.
    pub received: u64,
    /// That never came.
    pub lost: u64,
    /// That came too late to be heard.
    pub late: u64,
    /// Mean difference of one packet's delay from that of the one before; absent when nothing came.
    pub jitter_ms: Option<f64>,
    /// By the last report of the caller's telephone; absent when it sends none.
    pub round_trip_ms: Option<f64>,
    /// How he could be heard, 1 to 4.4; absent when nothing came.
    pub mos: Option<f64>,
    /// How she could be heard, by the last report of his telephone; absent when it sends none.
    pub sent: Option<SentQuality>,
}

/// What the other side has told of what we sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SentQuality {
    /// Packets of ours until then.
    pub packets: u64,
    pub lost: u64,
    pub jitter_ms: f64,
    pub mos: f64,
}

/// In ms with one decimal.
pub(super) fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Path = Path {
        codec: Codec::Pcma,
        rate: Rate::Narrow,
        round_trip: Duration::ZERO,
        buffering: Duration::ZERO,
        loss: 0.0,
        run: 1.0,
    };

    #[test]
    fn delay_costs_what_the_model_says() {
        // One way in ms, and R of the model with its defaults.
        for (ms, expected) in [(20, 92.8), (100, 91.2), (150, 90.2), (200, 86.6), (300, 73.6), (400, 63.3)] {
            let one_way = Duration::from_millis(ms) - PACKETIZATION;
            let rating = Path { round_trip: one_way * 2, ..CLEAN }.rating();
            println!("{ms} ms: R = {rating:.1}");
            assert!((rating - expected).abs() < 0.2, "{ms} ms: {rating} and not {expected}");
            let buffered = Path { buffering: one_way, ..CLEAN }.rating();
            assert!((buffered - rating).abs() < 1e-9, "it does not matter where it waits");
        }
    }

    #[test]
    fn losses_cost_what_g_113_says_of_concealment_and_more_in_bursts() {
        // 95 · Ppl / (Ppl / BurstR + 25.1)
        for (percent, run, costs) in [(0.0, 1.0, 0.0), (1.0, 1.0, 3.64), (5.0, 1.0, 15.78), (10.0, 1.0, 27.07)] {
            let impairment = Path { loss: percent / 100.0, run, ..CLEAN }.loss_impairment();
            assert!((impairment - costs).abs() < 0.01, "{percent} %: {impairment}");
        }
        let (alone, bursts) = (Path { loss: 0.05, ..CLEAN }, Path { loss: 0.05, run: 4.0, ..CLEAN });
        assert!(bursts.mos() < alone.mos());
    }

    #[test]
    fn each_codec_costs_what_is_published_of_it() {
        // The opinion of a clean call, and what 5 % of loss take from R: (95 - Ie) · 5 / (5 + Bpl).
        for (codec, rate, opinion, costs) in [
            (Codec::Pcmu, Rate::Narrow, 4.4, 15.78),
            // From wide sound to a narrow telephone and back, by a re-INVITE.
            (Codec::Pcma, Rate::Wide, 4.4, 15.78),
            (Codec::G722, Rate::Wide, 4.4, 13.62),
            (Codec::G722, Rate::Narrow, 4.4, 15.78),
            (Codec::Opus, Rate::Wide, 4.4, 15.31),
            (Codec::Opus, Rate::Narrow, 4.36, 22.14),
        ] {
            let clean = Path { codec, rate, ..CLEAN };
            let lossy = Path { loss: 0.05, ..clean };
            let lost = clean.rating() - lossy.rating();
            println!("{codec:?} {rate:?}: {} and {}, {lost:.2} of R", clean.mos(), lossy.mos());
            assert_eq!(clean.mos(), opinion, "{codec:?} {rate:?}: at most that of a flawless narrow call");
            assert!((lost - costs).abs() < 0.01, "{codec:?} {rate:?}: {lost}");
            assert!(Path { round_trip: Duration::from_millis(600), ..clean }.mos() < 4.0, "delay is the same to all");
        }
    }

    #[test]
    fn opinions_stay_on_their_scale() {
        assert_eq!(CLEAN.mos(), 4.4);
        let hopeless = Path { round_trip: Duration::from_secs(20), loss: 1.0, run: 1e9, ..CLEAN };
        assert_eq!(hopeless.mos(), 1.0);
        let mut before = 5.0;
        for percent in 0..=100 {
            let mos = Path { loss: f64::from(percent) / 100.0, ..CLEAN }.mos();
            assert!((1.0..=4.5).contains(&mos) && mos <= before, "{percent} %: {mos} after {before}");
            before = mos;
        }
    }
}
