//! WAVs that programs and people write.

use std::io::Cursor;

/// The first channel of a WAV, and its rate in Hz.
///
/// # Errors
/// When it is none.
pub fn read_wav(bytes: &[u8]) -> Result<(Vec<i16>, u32), String> {
    let failed = |e: hound::Error| format!("read its WAV: {e}");
    let mut wav = hound::WavReader::new(Cursor::new(bytes)).map_err(failed)?;
    let spec = wav.spec();
    let channels = usize::from(spec.channels.max(1));
    // A program that writes to a pipe cannot know the length it promises: what is there counts.
    let pcm = match spec.sample_format {
        hound::SampleFormat::Float => {
            let samples = wav.samples::<f32>().map_while(Result::ok);
            samples.step_by(channels).map(|s| (s * 32_767.0).round() as i16).collect()
        }
        hound::SampleFormat::Int => {
            let (up, down) = (16_u16.saturating_sub(spec.bits_per_sample), spec.bits_per_sample.saturating_sub(16));
            let samples = wav.samples::<i32>().map_while(Result::ok);
            samples.step_by(channels).map(|s| (s.checked_shl(up.into()).unwrap_or(0) >> down) as i16).collect()
        }
    };
    Ok((pcm, spec.sample_rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavs_of_other_formats_are_read() {
        type Writer<'a> = hound::WavWriter<&'a mut Cursor<Vec<u8>>>;
        let write = |spec: hound::WavSpec, put: &dyn Fn(&mut Writer<'_>)| {
            let mut bytes = Cursor::new(Vec::new());
            let mut wav = hound::WavWriter::new(&mut bytes, spec).unwrap();
            put(&mut wav);
            wav.finalize().unwrap();
            read_wav(bytes.get_ref()).unwrap()
        };
        let spec = |channels, bits_per_sample, sample_format| hound::WavSpec {
            channels,
            sample_rate: 24_000,
            bits_per_sample,
            sample_format,
        };
        let float = write(spec(1, 32, hound::SampleFormat::Float), &|wav| wav.write_sample(-0.5_f32).unwrap());
        assert_eq!(float, (vec![-16_384], 24_000));
        let stereo = write(spec(2, 24, hound::SampleFormat::Int), &|wav| {
            [256 * 100, 1, 256 * -200, 2].into_iter().for_each(|s| wav.write_sample(s).unwrap());
        });
        assert_eq!(stereo, (vec![100, -200], 24_000));
        assert!(read_wav(b"not a wav").is_err());
    }
}
