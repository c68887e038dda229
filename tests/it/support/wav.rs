//! WAV files for the microphones of peers, and pieces of what they recorded.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use secretary::rtp::codec::resample::resample;

/// Rate of telephone sound, Hz.
pub const TELEPHONE_HZ: u32 = 8000;

/// Writes what a caller says in a call: `lead_s` seconds of silence while the greeting is spoken, the clip, and `tail_s` seconds
/// of silence in which the answer comes. The file has the rate of the telephone's codecs.
pub fn microphone(clip: &Path, lead_s: u32, tail_s: u32, file: &Path) {
    let (speech, rate_hz) = read(clip);
    let speech = resample(&speech, rate_hz, TELEPHONE_HZ).expect("an ordinary rate");
    let silence = |seconds: u32| std::iter::repeat_n(0, (seconds * TELEPHONE_HZ) as usize);
    let samples: Vec<i16> = silence(lead_s).chain(speech).chain(silence(tail_s)).collect();
    write(file, &samples, TELEPHONE_HZ);
}

/// Writes what a telephone's `recording` holds from `from_s` seconds on, at its own rate.
pub fn cut(recording: &Path, from_s: f32, file: &Path) {
    let (samples, rate_hz) = recorded(recording);
    let start = (from_s * rate_hz as f32) as usize;
    write(file, samples.get(start..).unwrap_or_default(), rate_hz);
}

/// Writes what of a telephone's `recording` lies between its first and its last loud sound: Whisper makes words of long
/// silence.
pub fn loud_part(recording: &Path, file: &Path) {
    const LOUD: u16 = 500;
    let (samples, rate_hz) = recorded(recording);
    let is_loud = |sample: &i16| sample.unsigned_abs() > LOUD;
    let margin = rate_hz as usize / 4;
    let from = samples.iter().position(is_loud).unwrap_or_default().saturating_sub(margin);
    let to = samples.iter().rposition(is_loud).map_or(0, |last| (last + margin).min(samples.len()));
    write(file, samples.get(from..to).unwrap_or_default(), rate_hz);
}

/// Samples of the first channel, and their rate in Hz: baresip decodes Opus to two. There may be fewer than the header says:
/// linphonec counts its header as sound.
fn recorded(recording: &Path) -> (Vec<i16>, u32) {
    let (mut reader, rate_hz) = open(recording);
    let channels = reader.spec().channels.max(1).into();
    (reader.samples().map_while(Result::ok).step_by(channels).collect(), rate_hz)
}

/// Length in samples; fails when the file is not a WAV that plays.
pub fn length(file: &Path) -> usize {
    read(file).0.len()
}

/// Length in seconds.
pub fn seconds(file: &Path) -> f32 {
    let (samples, rate_hz) = read(file);
    samples.len() as f32 / rate_hz as f32
}

/// Samples and their rate in Hz.
pub fn read(file: &Path) -> (Vec<i16>, u32) {
    let (mut reader, rate_hz) = open(file);
    assert_eq!(reader.spec().channels, 1, "{}", file.display());
    let samples: Result<_, _> = reader.samples().collect();
    (samples.unwrap_or_else(|error| panic!("{}: {error}", file.display())), rate_hz)
}

fn open(file: &Path) -> (WavReader<impl std::io::Read>, u32) {
    let reader = WavReader::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let WavSpec { sample_rate, bits_per_sample, sample_format, .. } = reader.spec();
    assert_eq!((sample_format, bits_per_sample), (SampleFormat::Int, 16), "{}", file.display());
    (reader, sample_rate)
}

pub fn write(file: &Path, samples: &[i16], rate_hz: u32) {
    let spec = WavSpec { channels: 1, sample_rate: rate_hz, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(file, spec).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    samples.iter().for_each(|&sample| writer.write_sample(sample).expect("a sample written"));
    writer.finalize().expect("a WAV closed");
}
