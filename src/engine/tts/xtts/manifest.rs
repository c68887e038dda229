//! manifest.toml of an XTTS v2 bundle: the graphs that `tools/xtts/export.py` writes, their dimensions, and how tokens are drawn.

use std::path::Path;

use serde::Deserialize;

use crate::engine::Language;
use crate::engine::bundle::{File, MANIFEST, is_inside, read, verify};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub kind: Kind,
    pub name: String,
    pub licence: String,
    /// Whether its voice may earn money. If not, the licence must be accepted before the graphs are loaded.
    pub commercial_use: bool,
    pub languages: Vec<Language>,
    pub sample_rate_hz: u32,
    pub dimensions: Dimensions,
    pub sampling: Sampling,
    pub graphs: Graphs,
    pub files: Files,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Xtts,
}

/// Sizes and numbers that the graphs were trained with.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    pub n_layer: usize,
    pub n_heads: usize,
    pub model_dim: usize,
    pub head_dim: usize,
    /// Latents that stand for a voice in front of the text.
    pub cond_latents: usize,
    pub speaker_dim: usize,
    pub audio_tokens: usize,
    pub start_audio_token: usize,
    pub stop_audio_token: usize,
    pub start_text_token: usize,
    pub stop_text_token: usize,
    pub max_text_tokens: usize,
    pub max_audio_tokens: usize,
    /// So much of the references, in seconds, is heard, in pieces of so many.
    pub gpt_cond_len_s: u32,
    pub gpt_cond_chunk_len_s: u32,
    /// No more than this of one reference, in seconds.
    pub max_ref_len_s: u32,
}

/// How the next token is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 takes the likeliest.
    pub temperature: f32,
    pub top_k: usize,
    pub top_p: f32,
    pub repetition_penalty: f32,
    /// The same text sounds the same each time.
    pub seed: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graphs {
    pub conditioning_encoder: File,
    pub speaker_encoder: File,
    pub gpt: File,
    pub vocoder_frames: File,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub vocab: File,
    pub mel_stats: File,
    pub text_embedding: File,
    pub text_pos_embedding: File,
    pub mel_embedding: File,
    pub mel_pos_embedding: File,
}

impl Manifest {
    /// Reads the manifest of a bundle; [`verify`](Self::verify) looks at the files.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let text = read(folder, Path::new(MANIFEST))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
        manifest.check().map_err(|reason| format!("{MANIFEST}: {reason}"))?;
        Ok(manifest)
    }

    /// Holds every file to its checksum.
    ///
    /// # Errors
    /// Which one is missing or another.
    pub fn verify(&self, folder: &Path) -> Result<(), String> {
        self.files().into_iter().try_for_each(|file| verify(folder, &file.file, &file.sha256))
    }

    /// Where each file is.
    fn files(&self) -> [&File; 10] {
        let Graphs { conditioning_encoder, speaker_encoder, gpt, vocoder_frames } = &self.graphs;
        let Files { vocab, mel_stats, text_embedding, text_pos_embedding, mel_embedding, mel_pos_embedding } =
            &self.files;
        [
            conditioning_encoder,
            speaker_encoder,
            gpt,
            vocoder_frames,
            vocab,
            mel_stats,
            text_embedding,
            text_pos_embedding,
            mel_embedding,
            mel_pos_embedding,
        ]
    }

    /// What no single value shows.
    fn check(&self) -> Result<(), String> {
        if self.languages.is_empty() {
            return Err("languages = [], expected \"ru\", \"en\" or both".into());
        }
        if self.sample_rate_hz != super::vocoder::RATE_HZ {
            return Err(format!("sample_rate_hz = {}, expected {}", self.sample_rate_hz, super::vocoder::RATE_HZ));
        }
        for File { file, .. } in self.files() {
            if !is_inside(file) {
                return Err(format!("file = \"{}\", expected a file of this folder", file.display()));
            }
        }
        let Dimensions { n_layer, n_heads, model_dim, head_dim, cond_latents, speaker_dim, .. } = self.dimensions;
        for (key, value, most) in [
            ("n_layer", n_layer, 128),
            ("n_heads", n_heads, 256),
            ("model_dim", model_dim, 16_384),
            ("cond_latents", cond_latents, 1_024),
            ("speaker_dim", speaker_dim, 16_384),
            ("max_audio_tokens", self.dimensions.max_audio_tokens, 8_192),
            ("max_text_tokens", self.dimensions.max_text_tokens, 8_192),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!("{key} = {value}, expected 1 to {most}"));
            }
        }
        if n_heads * head_dim != model_dim {
            return Err(format!("head_dim = {head_dim}, but {n_heads} heads of it are not model_dim = {model_dim}"));
        }
        let Dimensions { audio_tokens, start_audio_token, stop_audio_token, .. } = self.dimensions;
        for (key, token) in [("start_audio_token", start_audio_token), ("stop_audio_token", stop_audio_token)] {
            if token >= audio_tokens {
                return Err(format!("{key} = {token}, but there are {audio_tokens} audio_tokens"));
            }
        }
        let Dimensions { gpt_cond_len_s, gpt_cond_chunk_len_s, max_ref_len_s, .. } = self.dimensions;
        for (key, seconds) in [
            ("gpt_cond_len_s", gpt_cond_len_s),
            ("gpt_cond_chunk_len_s", gpt_cond_chunk_len_s),
            ("max_ref_len_s", max_ref_len_s),
        ] {
            if !(1..=120).contains(&seconds) {
                return Err(format!("{key} = {seconds}, expected 1 to 120"));
            }
        }
        self.sampling.check()
    }
}

impl Sampling {
    fn check(&self) -> Result<(), String> {
        let Self { temperature, top_k, top_p, repetition_penalty, .. } = *self;
        if !(0.0..=2.0).contains(&temperature) {
            return Err(format!("temperature = {temperature}, expected 0 to 2"));
        }
        if top_k == 0 {
            return Err("top_k = 0, expected 1 at least".into());
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(format!("top_p = {top_p}, expected more than 0 and 1 at most"));
        }
        if !(1.0..=50.0).contains(&repetition_penalty) {
            return Err(format!("repetition_penalty = {repetition_penalty}, expected 1 to 50"));
        }
        Ok(())
    }
}
