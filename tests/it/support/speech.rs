//! Recordings and models that tests use. What is missing fails the test.

use std::path::{Path, PathBuf};
use std::time::Instant;

use secretary::rtp::codec::resample::resample;

/// When a job is due that nobody waits with.
#[expect(clippy::disallowed_methods, reason = "a test has no other clock at hand")]
pub fn now() -> Instant {
    Instant::now()
}

/// The folder of the models: `$SECRETARY_MODELS`, or `models/` of the repository.
pub fn models() -> PathBuf {
    std::env::var_os("SECRETARY_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("models"), PathBuf::from)
}

/// A recording of `tests/data/speech` as the telephone carries it: 8 kHz after A-law.
pub fn by_telephone(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech").join(name);
    let mut wav = hound::WavReader::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let pcm: Vec<i16> = wav.samples().collect::<Result<_, _>>().unwrap();
    through_telephone(&pcm, wav.spec().sample_rate)
}

/// Any sound as the telephone carries it.
pub fn through_telephone(pcm: &[i16], rate_hz: u32) -> Vec<i16> {
    use audio_codec_algorithms::{decode_alaw, encode_alaw};
    let pcm = resample(pcm, rate_hz, 8_000).unwrap();
    pcm.into_iter().map(|sample| decode_alaw(encode_alaw(sample))).collect()
}
