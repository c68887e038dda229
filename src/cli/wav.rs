//! Reading whatever WAV file a person has.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hound::{SampleFormat, WavReader};

/// The longest file, in seconds of one channel: a day.
const MAX_SECONDS: u32 = 86_400;

/// Reads PCM of 8 to 32 bits or 32-bit floats; several channels are mixed to one.
///
/// # Errors
/// When the file is no WAV file, has another encoding, or is empty.
pub(super) fn read_mono(path: &Path) -> Result<(Vec<i16>, u32)> {
    let reader = WavReader::open(path)
        .with_context(|| format!("cannot read {} as WAV (convert it: sox IN -b 16 -c 1 OUT.wav)", path.display()))?;
    let spec = reader.spec();
    ensure!(spec.channels > 0 && spec.sample_rate > 0, "{}: the header names no channel or no rate", path.display());
    let seconds = reader.duration() / spec.sample_rate;
    ensure!(seconds <= MAX_SECONDS, "{}: longer than {MAX_SECONDS} s", path.display());
    let broken = || format!("{}: the samples end early or are damaged", path.display());
    let samples: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.into_samples::<f32>().collect::<Result<_, _>>().with_context(broken)?,
        SampleFormat::Int => {
            let full_scale = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            let samples = reader.into_samples::<i32>().map(|s| s.map(|s| s as f32 / full_scale));
            samples.collect::<Result<_, _>>().with_context(broken)?
        }
    };
    ensure!(!samples.is_empty(), "{}: no samples", path.display());
    let mono = samples.chunks(usize::from(spec.channels)).map(|frame| {
        let mean = frame.iter().sum::<f32>() / frame.len() as f32;
        // A cast from float saturates.
        (mean * f32::from(i16::MAX)).round() as i16
    });
    Ok((mono.collect(), spec.sample_rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    #[test]
    fn stereo_of_24_bits_becomes_mono_of_16() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample: 24, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::create(&path, spec).unwrap();
        for sample in [1 << 22, 1 << 22, 0, -(1 << 22)] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        let (pcm, rate_hz) = read_mono(&path).unwrap();
        assert_eq!((pcm, rate_hz), (vec![16_384, -8_192], 44_100));
    }

    #[test]
    fn a_file_that_is_no_wav_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        std::fs::write(&path, b"ID3\x03").unwrap();
        assert!(format!("{:#}", read_mono(&path).unwrap_err()).contains("sox"));
    }
}
