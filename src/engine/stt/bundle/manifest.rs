//! manifest.toml of a bundle: what the graphs are, what they see, and what their answers mean. docs/listening.md has examples.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::Language;
use crate::engine::bundle::{File, MANIFEST, is_inside, read, verify};
use crate::engine::mel::{MelScale, MelSettings};

/// What no part of it knows is refused by [`Kind`], which gets all that is left over.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Told in the log.
    pub licence: String,
    /// What the model understands, the usual one first.
    pub languages: Vec<Language>,
    pub rate_hz: u32,
    pub tokens: Tokens,
    pub input: Input,
    #[serde(flatten)]
    pub kind: Kind,
}

/// The graphs, and how they are to be understood.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    Ctc(Ctc),
    Transducer(Transducer),
}

/// Connectionist temporal classification: for each frame a token or the blank.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    pub graph: File,
    pub output: Output,
    /// Without it the graph sees an utterance at once.
    pub stream: Option<Stream>,
}

/// Float32 `[1, frames, tokens]`, the likelier the greater.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub name: String,
}

/// The graph sees the sound in pieces, int32 `[1, samples, 1]` from -32768 to 32767.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub samples: usize,
    /// How much later than it was heard a token is told.
    pub delay_s: f32,
    pub state: Vec<State>,
}

/// What a graph answers and is asked again in the next run, beginning with zeros: the same type and shape, whichever they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub input: String,
    pub output: String,
}

/// Token after token for each frame until the blank. The input is the encoder's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transducer {
    pub encoder: Encoder,
    pub predictor: Predictor,
    pub joiner: Joiner,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    pub file: PathBuf,
    pub sha256: String,
    /// Float32 `[1, values, frames]`.
    pub output: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictor {
    pub file: PathBuf,
    pub sha256: String,
    /// The input for the token before, int64 `[1, 1]`; at the beginning that is the blank.
    pub token: String,
    /// Float32 `[1, 1, values]`.
    pub output: String,
    pub state: Vec<State>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joiner {
    pub file: PathBuf,
    pub sha256: String,
    /// The inputs for a frame of the encoder's and for the predictor's answer, float32 `[1, values, 1]`.
    pub encoder: String,
    pub predictor: String,
    /// Float32 `[1, 1, 1, tokens]`, the likelier the greater.
    pub output: String,
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
    pub bands: usize,
    scale: MelScale,
    centered: bool,
    /// Power below this counts as this.
    pub floor: f32,
}

impl LogMel {
    pub fn spectrum(&self, rate_hz: u32) -> MelSettings {
        MelSettings::usual(self.fft, self.hop, self.bands, self.scale, self.centered, rate_hz)
    }
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
        for (file, sha256) in manifest.files() {
            verify(folder, file, sha256)?;
        }
        let Tokens { file, blank, .. } = &manifest.tokens;
        let tokens = tokens(&read(folder, file)?).map_err(|reason| format!("{}: {reason}", file.display()))?;
        match tokens.len() > *blank {
            true => Ok((manifest, tokens)),
            false => Err(format!("{MANIFEST}: blank = {blank}, but {} has {} tokens", file.display(), tokens.len())),
        }
    }

    /// The files but for this one, with their checksums.
    fn files(&self) -> Vec<(&Path, &str)> {
        let graphs = match &self.kind {
            Kind::Ctc(Ctc { graph, .. }) => vec![(&graph.file, &graph.sha256)],
            Kind::Transducer(Transducer { encoder, predictor, joiner }) => vec![
                (&encoder.file, &encoder.sha256),
                (&predictor.file, &predictor.sha256),
                (&joiner.file, &joiner.sha256),
            ],
        };
        let files = [(&self.tokens.file, &self.tokens.sha256)].into_iter().chain(graphs);
        files.map(|(file, sha256)| (file.as_path(), sha256.as_str())).collect()
    }

    /// What no single value shows.
    fn check(&self) -> Result<(), String> {
        if self.languages.is_empty() {
            return Err("languages = [], expected \"ru\", \"en\" or both".into());
        }
        if !(8_000..=48_000).contains(&self.rate_hz) {
            return Err(format!("rate_hz = {}, expected 8000 to 48000", self.rate_hz));
        }
        for (file, _) in self.files() {
            if !is_inside(file) {
                return Err(format!("file = \"{}\", expected a file of this folder", file.display()));
            }
        }
        if let Kind::Ctc(Ctc { stream: Some(Stream { samples, delay_s, .. }), .. }) = &self.kind {
            let longest = self.rate_hz as usize;
            if !(1..=longest).contains(samples) {
                return Err(format!("samples = {samples}, expected 1 to {longest}"));
            }
            if !(0.0..=2.0).contains(delay_s) {
                return Err(format!("delay_s = {delay_s}, expected 0 to 2"));
            }
            if self.input.length.is_some() || self.input.mel.is_some() {
                return Err("a [stream] is of sound, expected an [input] without length and mel".into());
            }
        }
        let Some(LogMel { fft, hop, bands, floor, .. }) = self.input.mel else { return Ok(()) };
        if !floor.is_finite() || floor <= 0.0 {
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
    use std::fs;

    const BUNDLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bundle");

    fn refused(bundle: &str, change: impl Fn(String) -> String) -> String {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(Path::new(BUNDLES).join(bundle)).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Manifest::load(folder.path()).unwrap();
        let manifest = fs::read_to_string(folder.path().join(MANIFEST)).unwrap();
        let changed = change(manifest.clone());
        assert_ne!(manifest, changed);
        fs::write(folder.path().join(MANIFEST), changed).unwrap();
        Manifest::load(folder.path()).unwrap_err()
    }

    #[test]
    fn a_manifest_that_cannot_be_right_is_refused_with_what_was_expected() {
        for (bundle, from, to, expected) in [
            ("ctc", "kind = \"ctc\"", "kind = \"rnnt\"", "unknown variant `rnnt`, expected `ctc` or `transducer`"),
            ("ctc", "kind = \"ctc\"", "", "missing field `kind`"),
            ("ctc", "kind = \"ctc\"", "kind = \"transducer\"", "unknown field `graph`, expected one of `encoder`"),
            ("ctc", "languages", "license = \"MIT\"\nlanguages", "unknown field `license`"),
            ("ctc", "licence", "license", "missing field `licence`"),
            ("ctc", "languages = [\"ru\"]", "languages = []", "expected \"ru\", \"en\" or both"),
            ("ctc", "rate_hz = 16000", "rate_hz = 16", "rate_hz = 16, expected 8000 to 48000"),
            ("ctc", "hop = 160", "hop = 0", "hop = 0, expected 1 to 320"),
            ("ctc", "bands = 64", "bands = 0", "bands = 0, expected 1 to 320"),
            ("ctc", "floor = 1e-9", "floor = 0.0", "floor = 0, expected more than 0"),
            ("ctc", "floor = 1e-9", "floor = nan", "floor = NaN, expected more than 0"),
            ("ctc", "floor = 1e-9", "floor = inf", "floor = inf, expected more than 0"),
            ("ctc", "blank = 16", "blank = 17", "blank = 17, but tokens.txt has 17 tokens"),
            ("ctc", "\"model.onnx\"", "\"../model.onnx\"", "expected a file of this folder"),
            ("ctc", "\"model.onnx\"", "\"graph.onnx\"", "graph.onnx: No such file"),
            ("transducer", "\"joiner.onnx\"", "\"../joiner.onnx\"", "expected a file of this folder"),
            ("transducer", "\"predictor.onnx\"", "\"decoder.onnx\"", "decoder.onnx: No such file"),
            ("transducer", "token = \"x\"\n", "", "missing field `token`"),
            ("transducer", "[encoder]", "[stream]\nsamples = 2400\n[encoder]", "unknown field `stream`"),
            ("stream", "samples = 2400", "samples = 0", "samples = 0, expected 1 to 8000"),
            ("stream", "samples = 2400", "samples = 8001", "samples = 8001, expected 1 to 8000"),
            ("stream", "delay_s = 0.24", "delay_s = -1.0", "delay_s = -1, expected 0 to 2"),
            ("stream", "delay_s = 0.24", "delay_s = nan", "delay_s = NaN, expected 0 to 2"),
            ("stream", "\"signal\"", "\"signal\"\nlength = \"n\"", "expected an [input] without length and mel"),
        ] {
            let error = refused(bundle, |manifest| manifest.replace(from, to));
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_another_than_the_manifest_says_is_refused() {
        for (bundle, file) in [
            ("ctc", "tokens.txt"),
            ("ctc", "model.onnx"),
            ("transducer", "encoder.onnx"),
            ("transducer", "predictor.onnx"),
            ("transducer", "joiner.onnx"),
        ] {
            let named = format!("file = \"{file}\"\nsha256 = \"");
            let error = refused(bundle, |manifest| manifest.replace(&named, &format!("{named}0")));
            let expected = format!("{file} has the sha256 ");
            assert!(error.contains(&expected) && error.contains("manifest.toml says 0"), "{error}");
        }
    }

    #[test]
    fn tokens_are_numbered_without_a_gap() {
        assert_eq!(tokens("▁ 0\nа 1\n<blk> 2\n").unwrap(), ["▁", "а", "<blk>"]);
        assert_eq!(tokens("▁ 0\nа 2\n").unwrap_err(), "line 2: expected a token, a space and the id 1");
        assert!(tokens("▁\n").is_err());
    }
}
