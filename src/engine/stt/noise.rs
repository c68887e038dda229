//! Softer noise behind speech, for the recogniser alone: the suppressor of WebRTC, by sonora.
//!
//! Whisper was trained with noise and mostly does better without: what is left of a street is worse to it than the street. It
//! helps against steady hiss. `cargo bench --bench noise` has the figures.

use sonora::config::NoiseSuppression;
use sonora::{AudioProcessing, Config, StreamConfig};

/// The suppressor's rate, which is Whisper's.
pub const RATE_HZ: u32 = 16_000;
/// It takes 10 ms at a time.
const PIECE: usize = RATE_HZ as usize / 100;

/// Suppresses the noise of a whole utterance at [`RATE_HZ`]. The end that does not fill 10 ms stays as it is.
pub fn suppress(pcm: &mut [i16]) {
    let format = StreamConfig::new(RATE_HZ, 1);
    let config = Config { noise_suppression: Some(NoiseSuppression::default()), ..Config::default() };
    let mut suppressor = AudioProcessing::builder().config(config).capture_config(format).render_config(format).build();
    let mut softer = [0; PIECE];
    for piece in pcm.chunks_exact_mut(PIECE) {
        // It fails only on lengths and rates other than those it was made for.
        if suppressor.process_capture_i16(piece, &mut softer).is_ok() {
            piece.copy_from_slice(&softer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::codec::resample::resample;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn energy_db(pcm: &[i16]) -> f64 {
        10.0 * (pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64 + 1.0).log10()
    }

    #[test]
    fn hiss_becomes_softer_and_speech_stays() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/speech/en_message_1.wav");
        let mut reader = hound::WavReader::open(path).unwrap();
        let speech: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        let speech = resample(&speech, reader.spec().sample_rate, RATE_HZ).unwrap();
        let mut rng = StdRng::seed_from_u64(9);
        // A second of hiss before the speech, and under it; the end fills no piece.
        let silent = vec![0; RATE_HZ as usize];
        let noisy: Vec<i16> = [silent, speech]
            .concat()
            .iter()
            .chain(&[0; 7])
            .map(|sample| sample.saturating_add(rng.random_range(-300..=300)))
            .collect();
        let mut pcm = noisy.clone();
        suppress(&mut pcm);
        let hiss = RATE_HZ as usize / 2..RATE_HZ as usize;
        let less = energy_db(&noisy[hiss.clone()]) - energy_db(&pcm[hiss]);
        let kept = energy_db(&pcm[RATE_HZ as usize..]) - energy_db(&noisy[RATE_HZ as usize..]);
        println!("hiss is {less:.1} dB softer, speech {kept:.1} dB");
        assert!(less >= 8.0 && kept.abs() <= 2.0, "{less} {kept}");
        assert_eq!(pcm.len(), noisy.len());
    }
}
