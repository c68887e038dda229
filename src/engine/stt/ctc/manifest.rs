//! manifest.toml of a bundle: what the graph is, what it sees, and what its answers mean. docs/listening.md has an example.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::Language;
use crate::engine::mel::{MelScale, MelSettings};

/// The file by which a folder is known for a bundle.
pub const MANIFEST: &str = "manifest.toml";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[expect(dead_code, reason = "read to be checked: there is one kind")]
    pub kind: Kind,
    /// Told in the log.
    pub licence: String,
    /// What the model understands, the usual one first.
    pub languages: Vec<Language>,
    pub rate_hz: u32,
    pub graph: File,
    pub tokens: Tokens,
    pub input: Input,
    pub output: Output,
}

/// How the graph is to be understood.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Connectionist temporal classification: for each frame a token or the blank.
    Ctc,
}

/// A file of the bundle; its name has no folder in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub file: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

/// A text file of lines `token id`; «▁» in a token begins a word.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    pub file: PathBuf,
    pub sha256: String,
    /// The id that means no token.
    pub blank: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    /// The input for the number of frames (or of samples), int64 `[1]`, if there is one.
    pub length: Option<String>,
    /// Makes it float32 `[1, bands, frames]`; without it the graph sees the sound, float32 `[1, samples]` from -1 to 1.
    pub mel: Option<LogMel>,
}

/// The natural logarithm of a mel spectrum.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMel {
    fft: usize,
    hop: usize,
    bands: usize,
    scale: MelScale,
    centered: bool,
    /// Power below this counts as this.
    pub floor: f32,
}

impl LogMel {
    pub fn spectrum(&self) -> MelSettings {
        let Self { fft, hop, bands, scale, centered, .. } = *self;
        MelSettings { fft, hop, bands, scale, centered }
    }
}

/// Float32 `[1, frames, tokens]`, the likelier the greater.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub name: String,
}

impl Manifest {
    /// Reads the manifest of a bundle and the tokens by id, and checks the files.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn load(folder: &Path) -> Result<(Self, Vec<String>), String> {
        let text = read(folder, Path::new(MANIFEST))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
        manifest.check().map_err(|reason| format!("{MANIFEST}: {reason}"))?;
        let Tokens { file, sha256, blank } = &manifest.tokens;
        for (file, sha256) in [(file, sha256), (&manifest.graph.file, &manifest.graph.sha256)] {
            verify(folder, file, sha256)?;
        }
        let tokens = tokens(&read(folder, file)?).map_err(|reason| format!("{}: {reason}", file.display()))?;
        match tokens.len() > *blank {
            true => Ok((manifest, tokens)),
            false => Err(format!("{MANIFEST}: blank = {blank}, but {} has {} tokens", file.display(), tokens.len())),
        }
    }

    /// What no single value shows.
    fn check(&self) -> Result<(), String> {
        if self.languages.is_empty() {
            return Err("languages = [], expected \"ru\", \"en\" or both".into());
        }
        if !(8_000..=48_000).contains(&self.rate_hz) {
            return Err(format!("rate_hz = {}, expected 8000 to 48000", self.rate_hz));
        }
        for file in [&self.graph.file, &self.tokens.file] {
            if file.components().count() != 1 || file.file_name().is_none() {
                return Err(format!("file = \"{}\", expected a file of this folder", file.display()));
            }
        }
        let Some(LogMel { fft, hop, bands, floor, .. }) = self.input.mel else { return Ok(()) };
        if floor <= 0.0 {
            return Err(format!("floor = {floor}, expected more than 0"));
        }
        for (key, value, range) in [("fft", fft, 2..=65_536), ("hop", hop, 1..=fft), ("bands", bands, 1..=fft)] {
            if !range.contains(&value) {
                return Err(format!("{key} = {value}, expected {} to {}", range.start(), range.end()));
            }
        }
        Ok(())
    }
}

fn read(folder: &Path, file: &Path) -> Result<String, String> {
    fs::read_to_string(folder.join(file)).map_err(|error| format!("{}: {error}", file.display()))
}

fn verify(folder: &Path, file: &Path, expected: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(folder.join(file)).map_err(failed)?, &mut hash).map_err(failed)?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match found == expected.to_lowercase() {
        true => Ok(()),
        false => Err(format!("{} has the sha256 {found}, {MANIFEST} says {expected}", file.display())),
    }
}

/// The tokens by id, from 0 without a gap.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let wrong = || format!("line {}: expected a token, a space and the id {n}", n + 1);
        let (token, id) = line.rsplit_once(' ').ok_or_else(wrong)?;
        if id.parse() != Ok(n) {
            return Err(wrong());
        }
        tokens.push(token.to_owned());
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ctc");

    fn refused(change: impl Fn(String) -> String) -> String {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tokens.txt", "model.onnx"] {
            fs::copy(Path::new(BUNDLE).join(file), folder.path().join(file)).unwrap();
        }
        let manifest = fs::read_to_string(Path::new(BUNDLE).join(MANIFEST)).unwrap();
        let changed = change(manifest.clone());
        assert_ne!(manifest, changed);
        fs::write(folder.path().join(MANIFEST), changed).unwrap();
        Manifest::load(folder.path()).unwrap_err()
    }

    #[test]
    fn a_manifest_that_cannot_be_right_is_refused_with_what_was_expected() {
        for (from, to, expected) in [
            ("kind = \"ctc\"", "kind = \"transducer\"", "unknown variant `transducer`, expected `ctc`"),
            ("licence", "license", "unknown field `license`"),
            ("languages = [\"ru\"]", "languages = []", "expected \"ru\", \"en\" or both"),
            ("rate_hz = 16000", "rate_hz = 16", "rate_hz = 16, expected 8000 to 48000"),
            ("hop = 160", "hop = 0", "hop = 0, expected 1 to 320"),
            ("bands = 64", "bands = 0", "bands = 0, expected 1 to 320"),
            ("floor = 1e-9", "floor = 0.0", "floor = 0, expected more than 0"),
            ("blank = 16", "blank = 17", "blank = 17, but tokens.txt has 17 tokens"),
            ("\"model.onnx\"", "\"../model.onnx\"", "expected a file of this folder"),
            ("\"model.onnx\"", "\"graph.onnx\"", "graph.onnx: No such file"),
        ] {
            let error = refused(|manifest| manifest.replace(from, to));
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_another_than_the_manifest_says_is_refused() {
        let error = refused(|manifest| manifest.replace("sha256 = \"", "sha256 = \"0"));
        assert!(error.contains("tokens.txt has the sha256 ") && error.contains("manifest.toml says 0"), "{error}");
    }

    #[test]
    fn tokens_are_numbered_without_a_gap() {
        assert_eq!(tokens("▁ 0\nа 1\n<blk> 2\n").unwrap(), ["▁", "а", "<blk>"]);
        assert_eq!(tokens("▁ 0\nа 2\n").unwrap_err(), "line 2: expected a token, a space and the id 1");
        assert!(tokens("▁\n").is_err());
    }
}
