//! What she says of herself, on disk from one start to the next: greeting, fillers, prompts.
//!
//! A file is a clause of one voice at one rate: 16-bit samples after the name of its format. Whatever else it is not what was asked
//! for is not used. A folder that cannot be written costs time at the next start and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::clock;
use crate::engine::Language;

const FORMAT: &[u8; 8] = b"phrase 2";
/// An hour of sound at 8 kHz.
const MAX_BYTES: u64 = 64 << 20;

/// The folder. Clones mean the same one.
#[derive(Debug, Clone)]
pub struct Phrases {
    dir: PathBuf,
    max_bytes: u64,
}

impl Phrases {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, max_bytes: MAX_BYTES }
    }

    /// The sound of a clause as `voice` says it, which is all that its sound depends on.
    pub fn get(&self, voice: &str, clause: &str, language: Language, rate_hz: u32) -> Option<Vec<i16>> {
        let path = self.path(voice, clause, language, rate_hz);
        let bytes = fs::read(&path).ok()?;
        let (samples, rest) = bytes.strip_prefix(FORMAT)?.as_chunks::<2>();
        // The one that was used last goes last.
        drop(File::open(&path).and_then(|file| file.set_modified(clock::wall())));
        rest.is_empty().then(|| samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect())
    }

    /// Keeps a clause; the phrases that were not used for longest go when there are too many.
    pub fn put(&self, voice: &str, clause: &str, language: Language, rate_hz: u32, pcm: &[i16]) {
        let path = self.path(voice, clause, language, rate_hz);
        let written = fs::create_dir_all(&self.dir).and_then(|()| {
            let mut new = tempfile::NamedTempFile::new_in(&self.dir)?;
            let samples = pcm.iter().flat_map(|sample| sample.to_le_bytes());
            new.write_all(&FORMAT.iter().copied().chain(samples).collect::<Vec<u8>>())?;
            new.persist(&path).map_err(|error| error.error)?;
            self.evict()
        });
        if let Err(error) = written {
            tracing::debug!(dir = %self.dir.display(), %error, "a phrase could not be kept");
        }
    }

    fn path(&self, voice: &str, clause: &str, language: Language, rate_hz: u32) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [voice, clause, language.code()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(rate_hz.to_le_bytes());
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(name)
    }

    fn evict(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let about = entry.metadata()?;
            files.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if bytes <= self.max_bytes {
                break;
            }
            fs::remove_file(path)?;
            bytes -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    #[test]
    fn a_phrase_is_found_by_all_that_its_sound_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        let phrases = Phrases::new(folder.path().join("phrases"));
        assert_eq!(phrases.get("joe", "Да.", Ru, 8_000), None);
        phrases.put("joe", "Да.", Ru, 8_000, &[1, -2, 300]);
        assert_eq!(phrases.get("joe", "Да.", Ru, 8_000), Some(vec![1, -2, 300]));
        for (voice, clause, language, rate_hz) in
            [("jo", "Да.", Ru, 8_000), ("joe", "Да", Ru, 8_000), ("joe", "Да.", En, 8_000), ("joe", "Да.", Ru, 16_000)]
        {
            assert_eq!(phrases.get(voice, clause, language, rate_hz), None);
        }
    }

    #[test]
    fn a_damaged_phrase_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let phrases = Phrases::new(folder.path().to_owned());
        phrases.put("joe", "Да.", Ru, 8_000, &[1, 2]);
        let path = phrases.path("joe", "Да.", Ru, 8_000);
        for damaged in [&b"phrase 2\x01"[..], b"phrase 1\x01\x00", b"", b"phr"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(phrases.get("joe", "Да.", Ru, 8_000), None);
        }
    }

    #[test]
    fn the_folder_stays_within_its_bound_and_the_latest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let phrases = Phrases { max_bytes: 1_000, ..Phrases::new(folder.path().to_owned()) };
        for n in 0..20 {
            phrases.put("joe", &n.to_string(), En, 8_000, &[0; 100]);
        }
        let kept: Vec<usize> = (0..20).filter(|n| phrases.get("joe", &n.to_string(), En, 8_000).is_some()).collect();
        println!("{kept:?}");
        assert_eq!(kept.len(), 4, "of 208 bytes each");
        assert!(kept.contains(&19));
    }

    #[test]
    fn a_folder_that_cannot_be_written_does_no_harm() {
        let phrases = Phrases::new("/dev/null/phrases".into());
        phrases.put("joe", "Да.", Ru, 8_000, &[1]);
        assert_eq!(phrases.get("joe", "Да.", Ru, 8_000), None);
    }
}
