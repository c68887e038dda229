//! The recordings of a voice, and what was computed of them, which is kept beside them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::conditioning::{Conditioning, RATE_HZ};
use super::resample::resample;
use crate::engine::tts::wav::read_wav;

/// So many recordings of a folder, the first by name, are the voice.
const CLIPS: usize = 3;
const KEPT: &str = "xtts-latents.json";
/// Changed whenever the same recordings give other latents.
const VERSION: &str = "1";
/// What is so much softer than the loudest at an end is silence: -40 dB.
const SILENT: f32 = 0.01;
/// What is left of it, in seconds.
const MARGIN_S: f32 = 0.1;
/// All recordings are brought to this root mean square, -20 dB of full scale, but for their peaks.
const LEVEL: f32 = 0.1;
const PEAK: f32 = 0.95;
/// A shorter one tells too little of a voice, a longer one is none: seconds.
const LENGTH_S: std::ops::RangeInclusive<f32> = 1.0..=600.0;

/// The recordings of one voice.
pub struct References {
    folder: PathBuf,
    /// Names and contents.
    files: Vec<(PathBuf, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Sha256 of what it was computed from.
    of: String,
    conditioning: Conditioning,
}

impl References {
    /// Reads the files named, or the first three WAVs of a folder by name.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn read(folder: &Path, named: &[PathBuf]) -> Result<Self, String> {
        let names = if named.is_empty() { first_wavs(folder)? } else { named.to_vec() };
        let read = |name: PathBuf| {
            let path = folder.join(&name);
            let bytes = fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
            Ok::<_, String>((name, bytes))
        };
        let files = names.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { folder: folder.to_owned(), files })
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(name, _)| self.folder.join(name)).collect()
    }

    /// The recordings at [`RATE_HZ`], without the silence at their ends and equally loud.
    ///
    /// # Errors
    /// When one is no WAV, is silent, or has the wrong length.
    pub fn clips(&self) -> Result<Vec<Vec<f32>>, String> {
        let clip = |(name, bytes): &(PathBuf, Vec<u8>)| {
            let failed = |reason: String| format!("{}: {reason}", self.folder.join(name).display());
            let (pcm, rate_hz) = read_wav(bytes).map_err(failed)?;
            let seconds = pcm.len() as f32 / rate_hz.max(1) as f32;
            if !LENGTH_S.contains(&seconds) {
                return Err(failed(format!("it is {seconds:.1} s long, expected 1 s to 10 min")));
            }
            let sound: Vec<f32> = pcm.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
            let spoken = trimmed(&sound, rate_hz).ok_or_else(|| failed("it is silent".into()))?;
            let at_rate = resample(spoken, rate_hz, RATE_HZ).into_iter().map(|sample| sample.clamp(-1.0, 1.0));
            Ok(levelled(at_rate.collect()))
        };
        self.files.iter().map(clip).collect()
    }

    /// What was computed before of the same recordings by the same graphs, `graphs` being their checksums.
    pub fn kept(&self, graphs: &[&str]) -> Option<Conditioning> {
        let text = fs::read_to_string(self.folder.join(KEPT)).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.of == self.fingerprint(graphs)).then_some(kept.conditioning)
    }

    /// Keeps what was computed. A folder that cannot be written costs time at the next start.
    pub fn keep(&self, graphs: &[&str], conditioning: &Conditioning) {
        let kept = Kept { of: self.fingerprint(graphs), conditioning: conditioning.clone() };
        let path = self.folder.join(KEPT);
        let written = serde_json::to_vec(&kept).map_err(|error| error.to_string()).and_then(|json| {
            let new = path.with_extension("json.new");
            fs::write(&new, json).and_then(|()| fs::rename(&new, &path)).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "what is known of the voice could not be kept");
        }
    }

    fn fingerprint(&self, graphs: &[&str]) -> String {
        let mut hash = Sha256::new();
        let names = self.files.iter().map(|(name, _)| name.as_os_str().as_encoded_bytes());
        let contents = self.files.iter().map(|(_, bytes)| bytes.as_slice());
        let graphs = graphs.iter().map(|sha256| sha256.as_bytes());
        for part in [VERSION.as_bytes()].into_iter().chain(graphs).chain(names).chain(contents) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn first_wavs(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("read the voice's folder {}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        if name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav")) {
            names.push(name);
        }
    }
    names.sort();
    names.truncate(CLIPS);
    if names.is_empty() {
        return Err(format!("{} has no WAV; put recordings of the voice there, 6 to 30 s each", folder.display()));
    }
    Ok(names)
}

/// Without the silence at both ends; `None` if there is nothing else.
fn trimmed(sound: &[f32], rate_hz: u32) -> Option<&[f32]> {
    let loudest = sound.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    let is_heard = |sample: &f32| sample.abs() > loudest * SILENT && loudest > 0.001;
    let (first, last) = (sound.iter().position(is_heard)?, sound.iter().rposition(is_heard)?);
    let margin = (MARGIN_S * rate_hz as f32) as usize;
    sound.get(first.saturating_sub(margin)..(last + margin + 1).min(sound.len()))
}

fn levelled(sound: Vec<f32>) -> Vec<f32> {
    let power: f32 = sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32;
    let peak = sound.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if peak == 0.0 {
        return sound;
    }
    let gain = (LEVEL / power.sqrt()).min(PEAK / peak);
    sound.into_iter().map(|sample| sample * gain).collect()
}
