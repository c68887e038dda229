//! XTTS v2 (Casanova et al. 2024, arXiv:2406.04904) through ONNX Runtime: a voice from a few seconds of recordings.
//!
//! One thread of the bundle makes the tokens of all calls together ([`decoder`]); each worker makes the sound of its own clause
//! ([`vocoder`]), the first of it after eight tokens.
//!
//! Left out: languages other than the secretary's; the text cleaning of coqui-tts, in place of which `text/` stands.

pub mod conditioning;
pub mod decoder;
pub mod gpt;
pub mod manifest;
mod references;
pub mod resample;
pub mod sampling;
pub mod tokenizer;
pub mod vocoder;

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::conditioning::{Conditioning, Encoders};
use self::decoder::{Decoder, Embeddings, Guard, Piece, Request, read_array};
use self::gpt::Gpt;
use self::manifest::{Dimensions, Manifest};
use self::references::References;
use self::sampling::Sampler;
use self::tokenizer::TextTokenizer;
use self::vocoder::{RATE_HZ, Utterance, Vocoder};
use super::{Ability, Cancel, Language, OnnxRuntime, Sink, Synthesizer, TtsError, is_accepted, number_of_workers};
use crate::engine::bundle::{File, MANIFEST};
use crate::engine::cores;
use crate::engine::onnx::interruptible;

/// How often one who waits for the next piece looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(10);
/// Counted as said before the first token, as by the prefix of the reference.
const PLACEHOLDER_TOKEN: usize = 1;

/// A voice of an XTTS v2 bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XttsConfig {
    /// What it is called; the name of the recordings' folder unless given.
    pub name: Option<String>,
    /// The folder with manifest.toml.
    pub bundle: PathBuf,
    /// The folder with recordings, such as `voices/lidia`. The first three WAVs of it are the voice.
    pub voice: PathBuf,
    /// Other ones of its files instead.
    #[serde(default)]
    pub references: Vec<PathBuf>,
    /// All that the bundle speaks, unless given.
    #[serde(default)]
    pub languages: Vec<Language>,
    /// The name of the licence of weights that are not for every use, by which you say that you may use them.
    pub accept_licence: Option<String>,
    /// 1 to 64.
    #[serde(default = "cores::count", deserialize_with = "number_of_workers")]
    pub threads: usize,
}

impl XttsConfig {
    /// What it is made of: the manifest has the checksums of the rest.
    pub fn files(&self) -> Vec<PathBuf> {
        let references = References::read(&self.voice, &self.references).map(|read| read.paths()).unwrap_or_default();
        [self.bundle.join(MANIFEST)].into_iter().chain(references).collect()
    }

    pub fn name(&self) -> String {
        let of_folder = || self.voice.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(of_folder)
    }
}

/// The bundles that are loaded, each once however many workers and voices use it.
#[derive(Clone, Default)]
pub struct Bundles(Arc<Mutex<Vec<Loaded>>>);

/// A bundle by its folder, as long as a voice uses it.
type Loaded = (PathBuf, Weak<Bundle>);

impl Bundles {
    fn get(&self, config: &XttsConfig, runtime: &OnnxRuntime) -> Result<Arc<Bundle>, String> {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(folder, _): &&Loaded| *folder == config.bundle;
        if let Some(bundle) = loaded.iter().find(same).and_then(|(_, bundle)| bundle.upgrade()) {
            bundle.manifest.is_accepted(config)?;
            return Ok(bundle);
        }
        let bundle = Arc::new(Bundle::load(config, runtime)?);
        loaded.retain(|(folder, _)| *folder != config.bundle);
        loaded.push((config.bundle.clone(), Arc::downgrade(&bundle)));
        Ok(bundle)
    }
}

/// What all voices of a bundle share.
struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
    tokenizer: TextTokenizer,
    embeddings: Arc<Embeddings>,
    decoder: Decoder,
}

impl Bundle {
    fn load(config: &XttsConfig, runtime: &OnnxRuntime) -> Result<Self, String> {
        let folder = config.bundle.clone();
        let manifest = Manifest::load(&folder)?;
        manifest.is_accepted(config)?;
        manifest.verify(&folder)?;
        let tokenizer = TextTokenizer::load(&folder.join(&manifest.files.vocab.file))?;
        let embeddings = Arc::new(Embeddings::load(&folder, &manifest)?);
        let file = &manifest.graphs.gpt.file;
        let session = runtime.placed(&folder.join(file), config.threads).map_err(|error| error.to_string())?;
        let gpt = Gpt::new(session, file, manifest.dimensions)?;
        let decoder = Decoder::start(gpt, Arc::clone(&embeddings), manifest.dimensions, config.threads)?;
        Ok(Self { folder, manifest, tokenizer, embeddings, decoder })
    }

    /// Listens to recordings, unless that was done before.
    fn condition(
        &self,
        references: &References,
        runtime: &OnnxRuntime,
        threads: usize,
    ) -> Result<Conditioning, String> {
        let Manifest { graphs, files, dimensions, .. } = &self.manifest;
        let encoders = [&graphs.conditioning_encoder, &graphs.speaker_encoder];
        let sums = encoders.map(|File { sha256, .. }| sha256.as_str());
        if let Some(kept) = references.kept(&sums).filter(|kept| kept.fits(dimensions)) {
            return Ok(kept);
        }
        let clips = references.clips()?;
        let session =
            |file: &File| runtime.session(&self.folder.join(&file.file), threads).map_err(|error| error.to_string());
        let mut encoders = Encoders {
            conditioning: session(&graphs.conditioning_encoder)?,
            speaker: session(&graphs.speaker_encoder)?,
            mel_stats: read_array(&self.folder, &files.mel_stats)?,
            dimensions: *dimensions,
        };
        let _cores = cores::take(threads);
        let conditioning = encoders.condition(&clips)?;
        references.keep(&sums, &conditioning);
        Ok(conditioning)
    }
}

impl Conditioning {
    fn fits(&self, dimensions: &Dimensions) -> bool {
        let Dimensions { cond_latents, model_dim, speaker_dim, .. } = *dimensions;
        self.latents.len() == cond_latents * model_dim && self.speaker.len() == speaker_dim
    }
}

impl Manifest {
    fn is_accepted(&self, config: &XttsConfig) -> Result<(), String> {
        is_accepted(&self.licence, self.commercial_use, config.accept_licence.as_deref())
    }
}

/// A worker's voice.
pub struct XttsVoice {
    name: String,
    ability: Ability,
    threads: usize,
    bundle: Arc<Bundle>,
    conditioning: Conditioning,
    vocoder: Vocoder,
}

impl XttsVoice {
    /// # Errors
    /// When a file is missing or not as the manifest says, the licence is not accepted, or there are no recordings.
    pub fn load(config: &XttsConfig, bundles: &Bundles, runtime: &OnnxRuntime) -> Result<Self, TtsError> {
        Self::open(config, bundles, runtime).map_err(|reason| TtsError::Voice { voice: config.name(), reason })
    }

    fn open(config: &XttsConfig, bundles: &Bundles, runtime: &OnnxRuntime) -> Result<Self, String> {
        let bundle = bundles.get(config, runtime)?;
        let speaks = &bundle.manifest.languages;
        if let Some(language) = config.languages.iter().find(|language| !speaks.contains(language)) {
            return Err(format!("the bundle {} does not speak {language}", bundle.manifest.name));
        }
        let languages = if config.languages.is_empty() { speaks.clone() } else { config.languages.clone() };
        let references = References::read(&config.voice, &config.references)?;
        let conditioning = bundle.condition(&references, runtime, config.threads)?;
        let file = &bundle.manifest.graphs.vocoder_frames.file;
        let placed = runtime.placed(&bundle.folder.join(file), config.threads).map_err(|error| error.to_string())?;
        let Dimensions { model_dim, speaker_dim, .. } = bundle.manifest.dimensions;
        let vocoder = Vocoder::new(placed.session, file, model_dim, speaker_dim)?;
        let Manifest { licence, commercial_use, .. } = &bundle.manifest;
        let (licence, commercial_use) = (licence.clone(), Some(*commercial_use));
        let ability = Ability { languages, cloning: true, streaming: true, licence, commercial_use };
        let (name, threads) = (config.name(), config.threads);
        Ok(Self { name, ability, threads, bundle, conditioning, vocoder })
    }

    fn say(&mut self, clause: &str, language: Language, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<(), String> {
        let Manifest { dimensions, sampling, .. } = self.bundle.manifest;
        // It invents sounds for a full stop at the end.
        let ids = self.bundle.tokenizer.encode(clause.trim_end_matches('.'), language)?;
        if ids.len() + 2 > dimensions.max_text_tokens {
            return Err(format!(
                "the clause has {} tokens, expected {} at most",
                ids.len(),
                dimensions.max_text_tokens - 2
            ));
        }
        let prefix = self.bundle.embeddings.prefix(&self.conditioning.latents, &ids, &dimensions);
        let seed = seed(sampling.seed, clause);
        let before = [PLACEHOLDER_TOKEN, dimensions.start_audio_token];
        let sampler =
            move |attempt| Sampler::new(sampling, seed.wrapping_add(attempt), dimensions.audio_tokens, &before);
        // As the reference, which counts what stands around them.
        let guard = Guard::of(clause.chars().count(), dimensions.max_audio_tokens.saturating_sub(3));
        let pieces = self.bundle.decoder.ask(Request::new(prefix, Box::new(sampler), guard, cancel.clone()))?;
        let mut utterance = Utterance::default();
        loop {
            let (latents, last) = match pieces.recv_timeout(LOOK) {
                Ok(Piece::Latents { latents, last }) => (latents, last),
                Ok(Piece::Failed(reason)) => return Err(reason),
                Err(RecvTimeoutError::Timeout) if !cancel.is_cancelled() => continue,
                Err(RecvTimeoutError::Timeout) => return Err("cancelled".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("the token model has stopped".into()),
            };
            let sound = {
                let _cores = cores::take(self.threads);
                let (speaker, dim) = (&self.conditioning.speaker, dimensions.model_dim);
                let run = |options: &_| self.vocoder.sound(&mut utterance, &latents, speaker, dim, last, options);
                interruptible(cancel, run).map_err(|error| error.to_string())?
            };
            let pcm: Vec<i16> =
                sound.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16).collect();
            if !pcm.is_empty() && sink(&pcm, RATE_HZ).is_break() || last {
                return Ok(());
            }
        }
    }
}

impl Synthesizer for XttsVoice {
    fn name(&self) -> &str {
        &self.name
    }

    fn ability(&self) -> &Ability {
        &self.ability
    }

    fn stream(
        &mut self,
        clause: &str,
        language: Language,
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<(), TtsError> {
        let voice = self.name.clone();
        self.say(clause, language, cancel, sink).map_err(|reason| match cancel.is_cancelled() {
            true => TtsError::Cancelled,
            false => TtsError::Voice { voice, reason },
        })
    }
}

/// One text sounds the same each time it is said.
fn seed(of: u64, clause: &str) -> u64 {
    let digest = Sha256::digest(clause.as_bytes());
    digest.iter().take(8).fold(of, |seed, &byte| seed.rotate_left(8) ^ u64::from(byte))
}
