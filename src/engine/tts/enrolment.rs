//! Whether recordings are good enough to make a voice of, and the folder of a voice.
//!
//! Left out: telling two people of the same pitch apart.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::clips::clips;
use super::wav::read_wav;
use crate::rtp::codec::resample::resample;

/// So long each recording should be, in seconds.
const SHORTEST_S: f32 = 5.0;
const LONGEST_S: f32 = 60.0;
/// Of speech and pauses between them, in dB.
const LEAST_SNR_DB: f32 = 20.0;
/// Of what is spoken, against full scale.
const SOFTEST_DB: f32 = -40.0;
/// The share of samples at full scale that is heard as a crack.
const MOST_CLIPPED: f32 = 0.000_5;
/// How far the pitch of one person goes up, from the lowest sixth of his voice to the highest.
const WIDEST_PITCH: f32 = 1.7;

const RATE_HZ: u32 = 8_000;
/// 40 ms, in which a voice of 70 Hz has nearly three periods.
const FRAME: usize = 320;
const LAGS: std::ops::RangeInclusive<usize> = 20..=114;
/// Of a frame's likeness to itself a period later.
const VOICED: f32 = 0.7;
/// So much softer than the loudest tenth of the frames is no speech, in dB.
const SPEECH_DB: f32 = 20.0;
/// Fewer frames tell no pitch.
const FEWEST_FRAMES: usize = 25;

/// What was found in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    pub seconds: f32,
    /// The loudest tenth of it, against full scale.
    pub level_db: f32,
    /// How much louder that is than the softest tenth.
    pub snr_db: f32,
    /// The share of the samples at full scale.
    pub clipped: f32,
    /// The pitch of the voice in Hz: where its lowest sixth ends and its highest one begins.
    pub pitch_hz: Option<(f32, f32)>,
}

/// What keeps a recording from being a voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Short(f32),
    Long(f32),
    Soft(f32),
    Noisy(f32),
    Clipped(f32),
    Several(f32, f32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Short(s) => write!(f, "it is {s:.1} s long: record {SHORTEST_S} s at least"),
            Fault::Long(s) => write!(f, "it is {s:.0} s long: cut it to {LONGEST_S} s"),
            Fault::Soft(db) => write!(f, "it is too soft, {db:.0} dB: speak nearer to the microphone"),
            Fault::Noisy(db) => write!(f, "speech is only {db:.0} dB above the noise: record in a quiet room"),
            Fault::Clipped(share) => write!(f, "{:.2} % of it is cut off: turn the microphone down", share * 100.0),
            Fault::Several(low, high) => {
                write!(f, "its pitch goes from {low:.0} to {high:.0} Hz: more than one person may be heard")
            }
        }
    }
}

impl Quality {
    /// Of mono samples at a rate from 4 to 192 kHz.
    ///
    /// # Errors
    /// At another rate.
    pub fn of(pcm: &[i16], rate_hz: u32) -> Result<Self, String> {
        let clipped = pcm.iter().filter(|sample| sample.unsigned_abs() >= 32_760).count();
        let heard = resample(pcm, rate_hz, RATE_HZ).map_err(|error| error.to_string())?;
        let frames: Vec<Vec<f32>> =
            heard.chunks_exact(FRAME).map(|frame| frame.iter().map(|&s| f32::from(s) / 32_768.0).collect()).collect();
        let levels: Vec<f32> = frames.iter().map(|frame| level_db(frame)).collect();
        let sorted = sorted(levels.iter().copied());
        let (softest, level_db) = (at(&sorted, 0.1), at(&sorted, 0.9));
        let spoken = frames.iter().zip(&levels).filter(|(_, level)| **level > level_db - SPEECH_DB);
        let pitch = self::sorted(spoken.filter_map(|(frame, _)| pitch_hz(frame)));
        Ok(Self {
            seconds: pcm.len() as f32 / rate_hz as f32,
            level_db,
            snr_db: level_db - softest,
            clipped: clipped as f32 / pcm.len().max(1) as f32,
            pitch_hz: (pitch.len() >= FEWEST_FRAMES).then(|| (at(&pitch, 1.0 / 6.0), at(&pitch, 5.0 / 6.0))),
        })
    }

    pub fn faults(&self) -> Vec<Fault> {
        let several = self.pitch_hz.filter(|(low, high)| high / low > WIDEST_PITCH);
        [
            (self.seconds < SHORTEST_S).then_some(Fault::Short(self.seconds)),
            (self.seconds > LONGEST_S).then_some(Fault::Long(self.seconds)),
            (self.level_db < SOFTEST_DB).then_some(Fault::Soft(self.level_db)),
            (self.snr_db < LEAST_SNR_DB).then_some(Fault::Noisy(self.snr_db)),
            (self.clipped > MOST_CLIPPED).then_some(Fault::Clipped(self.clipped)),
            several.map(|(low, high)| Fault::Several(low, high)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn level_db(frame: &[f32]) -> f32 {
    let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len().max(1) as f32;
    10.0 * power.max(1e-10).log10()
}

fn sorted(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values
}

fn at(sorted: &[f32], share: f32) -> f32 {
    sorted.get((sorted.len().saturating_sub(1) as f32 * share) as usize).copied().unwrap_or(-100.0)
}

/// Where a frame is most like itself, if it is much.
fn pitch_hz(frame: &[f32]) -> Option<f32> {
    let likeness = |lag: usize| {
        let later = frame.get(lag..).unwrap_or_default();
        let pairs = || frame.iter().zip(later);
        let both: f32 = pairs().map(|(a, b)| a * b).sum();
        let (first, second) = pairs().fold((0.0, 0.0), |(a2, b2), (a, b)| (a2 + a * a, b2 + b * b));
        both / (first * second).sqrt().max(1e-9)
    };
    let all: Vec<f32> = LAGS.map(likeness).collect();
    let best = all.iter().copied().fold(0.0, f32::max);
    // Of a period and its double the shorter one is the pitch.
    let first = all.iter().position(|&likeness| likeness >= best * 0.95).filter(|_| best >= VOICED)?;
    Some(RATE_HZ as f32 / (first + LAGS.start()) as f32)
}

/// The pitch of all recordings together tells whether they are of one person.
pub fn are_of_several(qualities: &[Quality]) -> Option<Fault> {
    let pitches: Vec<(f32, f32)> = qualities.iter().filter_map(|quality| quality.pitch_hz).collect();
    let middle = |&(low, high): &(f32, f32)| (low * high).sqrt();
    let lowest = pitches.iter().map(middle).reduce(f32::min)?;
    let highest = pitches.iter().map(middle).reduce(f32::max)?;
    (highest / lowest > WIDEST_PITCH).then_some(Fault::Several(lowest, highest))
}

/// Reads a WAV and judges it.
///
/// # Errors
/// When it cannot be read, or is no WAV.
pub fn check(path: &Path) -> Result<Quality, String> {
    let bytes = fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let (pcm, rate_hz) = read_wav(&bytes)?;
    Quality::of(&pcm, rate_hz)
}

/// Cuts clips out of what one side of a call has said, into files of a folder.
///
/// # Errors
/// When it cannot be read, or holds too little speech.
pub fn cut(recording: &Path, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: &dyn fmt::Display| format!("{}: {error}", recording.display());
    let (pcm, rate_hz) = read_wav(&fs::read(recording).map_err(|error| failed(&error))?)?;
    let clips = clips(&pcm, rate_hz).map_err(|error| failed(&error))?;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut files = Vec::new();
    for (n, clip) in clips.iter().enumerate() {
        let file = folder.join(format!("clip {}.wav", n + 1));
        let written = hound::WavWriter::create(&file, spec).and_then(|mut wav| {
            clip.iter().try_for_each(|sample| wav.write_sample(*sample))?;
            wav.finalize()
        });
        written.map_err(|error| format!("{}: {error}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// consent.toml of a voice.
#[derive(Debug, Serialize)]
struct Consent {
    agreed: String,
    at: String,
    /// The call in which it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// Of each recording.
    sha256: Vec<String>,
}

/// Writes the folder of a voice: the recordings as they are, and that the one who is heard has agreed.
///
/// # Errors
/// When there is such a folder, or it cannot be written; nothing is left of it then.
pub fn enrol(
    folder: &Path,
    recordings: &[PathBuf],
    agreed: &str,
    call: Option<String>,
    at: DateTime<Local>,
) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    if folder.exists() {
        return Err(format!("{} is there already; take another name", folder.display()));
    }
    let new = tempfile::Builder::new().prefix(".voice-").tempdir_in(parent).map_err(|error| failed(parent, error))?;
    let mut consent = Consent { agreed: agreed.to_owned(), at: at.to_rfc3339(), call, sha256: Vec::new() };
    for (n, recording) in recordings.iter().enumerate() {
        let bytes = fs::read(recording).map_err(|error| failed(recording, error))?;
        consent.sha256.push(format!("{:x}", Sha256::digest(&bytes)));
        let to = new.path().join(format!("{:02}.wav", n + 1));
        fs::write(&to, bytes).map_err(|error| failed(&to, error))?;
    }
    let text = toml::to_string(&consent).map_err(|error| error.to_string())?;
    let file = new.path().join("consent.toml");
    fs::write(&file, text).map_err(|error| failed(&file, error))?;
    fs::rename(new.path(), folder).map_err(|error| failed(folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn recorded(name: &str) -> Vec<i16> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let (pcm, rate_hz) = read_wav(&fs::read(path).unwrap()).unwrap();
        resample(&pcm, rate_hz, 16_000).unwrap()
    }

    /// Somebody who says «aaa» at a pitch, with pauses, and noise of so many units.
    fn voice(pitch_hz: f32, seconds: usize, peak: f32, noise: f32) -> Vec<i16> {
        let mut state = 1_u32;
        (0..seconds * 16_000)
            .map(|n| {
                let time = n as f32 / 16_000.0;
                let is_spoken = n % 16_000 < 12_000;
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = ((state >> 16) as f32 / 32_768.0 - 1.0) * noise;
                let hum: f32 = (1..6).map(|k| (TAU * pitch_hz * k as f32 * time).sin() / k as f32).sum();
                (if is_spoken { hum * peak / 2.0 } else { 0.0 } + hiss) as i16
            })
            .collect()
    }

    fn faults(pcm: &[i16]) -> Vec<Fault> {
        let quality = Quality::of(pcm, 16_000).unwrap();
        println!("{quality:?}");
        quality.faults()
    }

    #[test]
    fn lidia_is_one_person_and_good() {
        for n in 1..=4 {
            assert_eq!(faults(&recorded(&format!("voices/lidia/lidia_{n}.wav"))), []);
        }
    }

    #[test]
    fn a_man_and_a_woman_in_one_recording_are_several() {
        let both = [voice(110.0, 5, 8_000.0, 10.0), voice(220.0, 5, 8_000.0, 10.0)].concat();
        assert!(matches!(faults(&both)[..], [Fault::Several(..)]));
        for pitch_hz in [90.0, 150.0, 300.0] {
            let quality = Quality::of(&voice(pitch_hz, 6, 8_000.0, 10.0), 16_000).unwrap();
            let (low, high) = quality.pitch_hz.unwrap();
            assert!((low / pitch_hz - 1.0).abs() < 0.05 && (high / pitch_hz - 1.0).abs() < 0.05, "{low} to {high}");
        }
    }

    #[test]
    fn recordings_of_two_people_are_told_apart() {
        let of = |pitch_hz| Quality::of(&voice(pitch_hz, 6, 8_000.0, 10.0), 16_000).unwrap();
        assert_eq!(are_of_several(&[of(110.0), of(120.0)]), None);
        assert!(are_of_several(&[of(110.0), of(120.0), of(215.0)]).is_some());
        assert_eq!(are_of_several(&[]), None);
    }

    #[test]
    fn faults_are_named() {
        let good = || voice(150.0, 8, 8_000.0, 10.0);
        assert_eq!(faults(&good()), []);
        assert!(matches!(faults(&good()[..32_000])[..], [Fault::Short(_)]));
        assert!(matches!(faults(&voice(150.0, 61, 8_000.0, 10.0))[..], [Fault::Long(_)]));
        assert!(matches!(faults(&voice(150.0, 8, 8_000.0, 2_000.0))[..], [Fault::Noisy(_)]));
        assert!(matches!(faults(&voice(150.0, 8, 100.0, 1.0))[..], [Fault::Soft(_), ..]));
        assert!(faults(&voice(150.0, 8, 60_000.0, 10.0)).iter().any(|fault| matches!(fault, Fault::Clipped(_))));
        assert!(faults(&[]).contains(&Fault::Short(0.0)));
        assert!(Quality::of(&[0; 100], 1_000).is_err());
    }

    #[test]
    fn a_voice_is_a_folder_with_recordings_and_consent() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("voices/anna");
        let wav = Path::new(env!("CARGO_MANIFEST_DIR")).join("voices/lidia/lidia_1.wav");
        enrol(&folder, &[wav.clone(), wav.clone()], "Anna agrees", Some("call_1".into()), Local::now()).unwrap();
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["01.wav", "02.wav", "consent.toml"]);
        let consent = fs::read_to_string(folder.join("consent.toml")).unwrap();
        println!("{consent}");
        assert!(
            consent.contains("call = \"call_1\"")
                && consent.contains("agreed = \"Anna agrees\"")
                && consent.contains("sha256 = [")
        );
        let error = enrol(&folder, &[wav], "", None, Local::now()).unwrap_err();
        assert!(error.contains("is there already"), "{error}");
        let error =
            enrol(&home.path().join("voices/boris"), &["nowhere.wav".into()], "", None, Local::now()).unwrap_err();
        assert!(error.contains("nowhere.wav"), "{error}");
        assert_eq!(fs::read_dir(home.path().join("voices")).unwrap().count(), 1, "nothing is left of what failed");
    }
}
