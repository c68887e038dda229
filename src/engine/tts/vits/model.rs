//! What a Piper voice is made of: a graph and its description as Piper publishes them, or a folder with both and a manifest.toml
//! that tells the licence and the checksums.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::value::TensorElementType;
use serde::Deserialize;

use crate::engine::Language;
use crate::engine::bundle::interface::{OPEN, expect, find, tensor};
use crate::engine::bundle::{File, MANIFEST, is_inside, read, verify};
use crate::engine::tts::is_accepted;

/// A voice on disk, read and held to what it says of itself.
pub struct Model {
    pub graph: PathBuf,
    pub description: Description,
    /// A manifest's.
    pub licence: Option<String>,
    pub commercial_use: Option<bool>,
    pub sampling: Sampling,
}

/// manifest.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[expect(dead_code, reason = "its one value is what is checked")]
    kind: Kind,
    #[expect(dead_code, reason = "for whoever reads the file")]
    name: String,
    licence: String,
    commercial_use: bool,
    languages: Vec<Language>,
    sample_rate_hz: u32,
    graph: File,
    description: File,
    dimensions: Dimensions,
    #[serde(default)]
    sampling: Sampling,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Vits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dimensions {
    speakers: i64,
    /// Numbers of phonemes, from 0.
    phonemes: i64,
}

/// In place of the description's.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    pub noise_scale: Option<f32>,
    pub length_scale: Option<f32>,
    pub noise_w: Option<f32>,
}

/// The parts of `.onnx.json` that are used.
#[derive(Deserialize)]
pub struct Description {
    pub audio: Audio,
    pub espeak: Espeak,
    pub inference: Inference,
    pub phoneme_id_map: HashMap<String, Vec<i64>>,
    #[serde(default = "espeak_phonemes")]
    phoneme_type: String,
    #[serde(default)]
    num_speakers: i64,
}

fn espeak_phonemes() -> String {
    "espeak".into()
}

#[derive(Deserialize)]
pub struct Audio {
    pub sample_rate: u32,
}

#[derive(Deserialize)]
pub struct Espeak {
    pub voice: String,
}

#[derive(Deserialize)]
pub struct Inference {
    pub noise_scale: f32,
    pub length_scale: f32,
    pub noise_w: f32,
}

impl Model {
    /// Reads the description of a graph, or the folder of a bundle.
    ///
    /// # Errors
    /// What is missing or wrong, and when a licence has to be accepted first.
    pub fn read(path: &Path, language: Language, accepted: Option<&str>) -> Result<Self, String> {
        if path.is_dir() {
            return Self::of_bundle(path, language, accepted);
        }
        let json = path.with_added_extension("json");
        let (folder, file) = (json.parent().unwrap_or(Path::new("")), json.file_name().unwrap_or_default());
        let text = read(folder, Path::new(file)).map_err(|error| format!("{error}; it belongs to the model"))?;
        let description = Description::parse(&text, &json)?;
        let sampling = Sampling::default();
        Ok(Self { graph: path.to_owned(), description, licence: None, commercial_use: None, sampling })
    }

    fn of_bundle(folder: &Path, language: Language, accepted: Option<&str>) -> Result<Self, String> {
        let text = read(folder, Path::new(MANIFEST))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
        is_accepted(&manifest.licence, manifest.commercial_use, accepted)?;
        for File { file, sha256 } in [&manifest.graph, &manifest.description] {
            if !is_inside(file) {
                return Err(format!("{MANIFEST}: file = {file:?}, expected a file of this folder"));
            }
            verify(folder, file, sha256)?;
        }
        let description = Description::parse(&read(folder, &manifest.description.file)?, &manifest.description.file)?;
        manifest.agrees(&description, language).map_err(|reason| format!("{MANIFEST}: {reason}"))?;
        let Manifest { graph, licence, commercial_use, sampling, .. } = manifest;
        let (licence, commercial_use) = (Some(licence), Some(commercial_use));
        Ok(Self { graph: folder.join(graph.file), description, licence, commercial_use, sampling })
    }

    /// The files by which one that has changed is known: a manifest has the checksums of the rest.
    pub fn files(path: &Path) -> Vec<PathBuf> {
        if path.is_dir() { vec![path.join(MANIFEST)] } else { vec![path.to_owned(), path.with_added_extension("json")] }
    }

    /// How many speakers there are to choose from, if several.
    pub fn speakers(&self) -> Option<i64> {
        Some(self.description.num_speakers).filter(|&speakers| speakers > 1)
    }

    /// Holds the graph to what a Piper voice is asked and answers.
    ///
    /// # Errors
    /// How it differs.
    pub fn check(&self, graph: &Session) -> Result<(), String> {
        let inputs = graph.inputs();
        let (i64, f32) = (TensorElementType::Int64, TensorElementType::Float32);
        let mut wanted =
            vec![("input", i64, &[OPEN, OPEN][..]), ("input_lengths", i64, &[OPEN]), ("scales", f32, &[3])];
        wanted.extend(self.speakers().map(|_| ("sid", i64, &[OPEN][..])));
        let check = || {
            for &(name, ty, shape) in &wanted {
                expect(inputs, "input", name, ty, shape)?;
            }
            if let Some(other) = inputs.iter().find(|input| wanted.iter().all(|(name, ..)| *name != input.name())) {
                let names: Vec<&str> = wanted.iter().map(|(name, ..)| *name).collect();
                return Err(format!("has the input {}, expected {} and no other", other.name(), names.join(", ")));
            }
            match tensor(find(graph.outputs(), "output", "output")?)? {
                (TensorElementType::Float32, _) => Ok(()),
                (other, _) => Err(format!("has the output output {other}, expected {f32}")),
            }
        };
        check().map_err(|reason| format!("it is not a Piper voice: {} {reason}", self.graph.display()))
    }
}

impl Manifest {
    fn agrees(&self, description: &Description, language: Language) -> Result<(), String> {
        if !self.languages.contains(&language) {
            let languages: Vec<&str> = self.languages.iter().map(|language| language.code()).collect();
            return Err(format!("languages = {languages:?}, but the voice is configured for {language}"));
        }
        let found = description.audio.sample_rate;
        if self.sample_rate_hz != found {
            return Err(format!("sample_rate_hz = {}, but its description has {found}", self.sample_rate_hz));
        }
        let (speakers, found) = (self.dimensions.speakers, description.num_speakers.max(1));
        if speakers != found {
            return Err(format!("speakers = {speakers}, but its description has {found}"));
        }
        let phonemes = self.dimensions.phonemes;
        match description.phoneme_id_map.values().flatten().find(|id| !(0..phonemes).contains(*id)) {
            Some(id) => Err(format!("phonemes = {phonemes}, but its description has the number {id}")),
            None => Ok(()),
        }
    }
}

impl Description {
    fn parse(json: &str, path: &Path) -> Result<Self, String> {
        let description: Self =
            serde_json::from_str(json).map_err(|e| format!("{} is not a Piper voice's: {e}", path.display()))?;
        if description.phoneme_type != "espeak" {
            return Err(format!("its phonemes are {:?}, and only espeak's are known", description.phoneme_type));
        }
        Ok(description)
    }
}
