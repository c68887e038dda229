//! Reading whatever WAV file a person has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use hound::{SampleFormat, WavReader, WavSpec};

/// The longest file, in seconds of one channel: a day.
const MAX_SECONDS: u32 = 86_400;

/// The samples of a WAV file one after the other: PCM of 8 to 32 bits or 32-bit floats, several channels mixed to one.
pub(super) struct Mono {
    samples: Box<dyn Iterator<Item = hound::Result<f32>> + Send>,
    channels: u16,
    rate_hz: u32,
    path: PathBuf,
}

impl Mono {
    /// # Errors
    /// When the file is no WAV file, has another encoding, or is empty.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let reader = WavReader::open(path).with_context(|| {
            format!("cannot read {} as WAV (convert it: sox IN -b 16 -c 1 OUT.wav)", path.display())
        })?;
        let WavSpec { channels, sample_rate: rate_hz, sample_format, bits_per_sample } = reader.spec();
        ensure!(channels > 0 && rate_hz > 0, "{}: the header names no channel or no rate", path.display());
        let seconds = reader.duration() / rate_hz;
        ensure!(seconds <= MAX_SECONDS, "{}: longer than {MAX_SECONDS} s", path.display());
        ensure!(reader.duration() > 0, "{}: no samples", path.display());
        let samples: Box<dyn Iterator<Item = hound::Result<f32>> + Send> = match sample_format {
            SampleFormat::Float => Box::new(reader.into_samples::<f32>()),
            SampleFormat::Int => {
                let full_scale = 2f32.powi(i32::from(bits_per_sample) - 1);
                Box::new(reader.into_samples::<i32>().map(move |sample| sample.map(|s| s as f32 / full_scale)))
            }
        };
        Ok(Self { samples, channels, rate_hz, path: path.to_owned() })
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }
}

/// A whole file at once, and its rate.
///
/// # Errors
/// As [`Mono`]'s.
pub(super) fn read_mono(path: &Path) -> Result<(Vec<i16>, u32)> {
    let mono = Mono::open(path)?;
    let rate_hz = mono.rate_hz();
    Ok((mono.collect::<Result<_>>()?, rate_hz))
}

impl Iterator for Mono {
    type Item = Result<i16>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut sum = 0.0;
        for channel in 0..self.channels {
            match self.samples.next() {
                Some(Ok(sample)) => sum += sample,
                None if channel == 0 => return None,
                Some(Err(_)) | None => {
                    return Some(Err(anyhow!("{}: the samples end early or are damaged", self.path.display())));
                }
            }
        }
        // A cast from float saturates.
        Some(Ok((sum / f32::from(self.channels) * f32::from(i16::MAX)).round() as i16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavWriter;

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
        let mono = Mono::open(&path).unwrap();
        assert_eq!(mono.rate_hz(), 44_100);
        assert_eq!(mono.map(Result::unwrap).collect::<Vec<_>>(), [16_384, -8_192]);
    }

    #[test]
    fn a_file_that_is_no_wav_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        std::fs::write(&path, b"ID3\x03").unwrap();
        assert!(format!("{:#}", Mono::open(&path).err().unwrap()).contains("sox"));
    }
}
