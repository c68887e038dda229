//! Voices in Piper's format (github.com/OHF-Voice/piper1-gpl): a VITS graph for ONNX Runtime and a JSON beside it, or a folder
//! with both and a manifest.toml.
//!
//! Phonemes come from the espeak-ng program, kept running beside it: it is GPL, so it is run and not linked. Left
//! out: voices trained on other phonemes than espeak's.

mod model;
mod phonemes;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use serde::Deserialize;

use self::model::{Inference, Model};
use self::phonemes::{PhonemeIds, Phonemizer};
use super::output::{gain, loudness};
use super::process::is_installed;
use super::{Ability, Cancel, Language, OnnxRuntime, Sink, Synthesizer, TtsError, number_of_workers};
use crate::engine::cores;
use crate::engine::onnx::{OnnxError, interruptible};

/// Of a clause with no sound to speak of the noise is not blown up.
const MIN_PEAK: f32 = 0.05;

/// A voice's file, with its JSON beside it by the same name and `.json`, or the folder of a bundle.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitsConfig {
    /// What it is called; the file's name unless given.
    pub name: Option<String>,
    pub language: Language,
    pub model: PathBuf,
    /// Which speaker of a model of several.
    #[serde(default)]
    pub speaker: i64,
    /// How slowly it speaks, how much its voice and its rhythm vary, in place of what the model's description says.
    pub length_scale: Option<f32>,
    pub noise_scale: Option<f32>,
    pub noise_w: Option<f32>,
    /// The name of the licence of a bundle that is not for every use, by which you say that you may use it.
    pub accept_licence: Option<String>,
    /// The most cores for a clause, 1 to 64: all, at most 2, unless told. A second one spares a third of the time.
    #[serde(default = "usual_threads", deserialize_with = "number_of_workers")]
    pub threads: usize,
}

fn usual_threads() -> usize {
    cores::count().min(2)
}

impl VitsConfig {
    /// The first speaker of a model, as it was made.
    pub fn new(language: Language, model: PathBuf) -> Self {
        Self {
            name: None,
            language,
            model,
            speaker: 0,
            length_scale: None,
            noise_scale: None,
            noise_w: None,
            accept_licence: None,
            threads: usual_threads(),
        }
    }

    /// What it is made of.
    pub fn files(&self) -> Vec<PathBuf> {
        Model::files(&self.model)
    }

    pub fn name(&self) -> String {
        let of_file = || self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(of_file)
    }
}

pub struct VitsVoice {
    name: String,
    ability: Ability,
    session: Session,
    threads: usize,
    rate_hz: u32,
    scales: [f32; 3],
    /// The input `sid` of a model of several speakers.
    speaker: Option<i64>,
    ids: PhonemeIds,
    phonemizer: Phonemizer,
}

impl VitsVoice {
    /// # Errors
    /// When a file is missing, is not a Piper voice, or espeak-ng is not installed.
    pub fn load(config: &VitsConfig, runtime: &OnnxRuntime) -> Result<Self, TtsError> {
        let failed = |reason: String| TtsError::Voice { voice: config.name(), reason };
        if !is_installed(Phonemizer::PROGRAM) {
            return Err(failed("espeak-ng is not installed, which gives it the phonemes".into()));
        }
        if !config.model.exists() {
            return Err(OnnxError::Missing(config.model.clone()).into());
        }
        let accepted = config.accept_licence.as_deref();
        let model = Model::read(&config.model, config.language, accepted).map_err(failed)?;
        let speakers = model.speakers();
        if let Some(speakers) = speakers.filter(|speakers| !(0..*speakers).contains(&config.speaker)) {
            return Err(failed(format!("its speakers are 0 to {}, not {}", speakers - 1, config.speaker)));
        }
        let session = runtime.session(&model.graph, config.threads.max(1))?;
        model.check(&session).map_err(failed)?;
        let Model { description, licence, commercial_use, sampling, .. } = model;
        let Inference { noise_scale, length_scale, noise_w } = description.inference;
        let scales = [
            ("noise_scale", config.noise_scale.or(sampling.noise_scale), 0.0..=2.0, noise_scale),
            ("length_scale", config.length_scale.or(sampling.length_scale), 0.25..=4.0, length_scale),
            ("noise_w", config.noise_w.or(sampling.noise_w), 0.0..=2.0, noise_w),
        ];
        let mut values = [0.0; 3];
        for (value, (key, chosen, range, own)) in values.iter_mut().zip(scales) {
            *value = scale(key, chosen, range, own).map_err(failed)?;
        }
        let licence = licence.unwrap_or_else(|| "see its model card".into());
        Ok(Self {
            name: config.name(),
            ability: Ability { licence, commercial_use, ..Ability::of(&[config.language]) },
            session,
            threads: config.threads,
            rate_hz: description.audio.sample_rate,
            scales: values,
            speaker: speakers.map(|_| config.speaker),
            ids: PhonemeIds::new(&description.phoneme_id_map).map_err(failed)?,
            phonemizer: Phonemizer::new(description.espeak.voice),
        })
    }

    fn synthesise(&mut self, ids: Vec<i64>, cancel: &Cancel) -> Result<Vec<i16>, ort::Error> {
        let len = ids.len();
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
            ("input", Tensor::from_array(([1, len], ids))?.into()),
            ("input_lengths", Tensor::from_array(([1], vec![len as i64]))?.into()),
            ("scales", Tensor::from_array(([3], self.scales.to_vec()))?.into()),
        ];
        if let Some(speaker) = self.speaker {
            inputs.push(("sid", Tensor::from_array(([1], vec![speaker]))?.into()));
        }
        let _cores = cores::take(self.threads);
        interruptible(cancel, |options| {
            let outputs = self.session.run_with_options(inputs, options)?;
            let output = outputs.get("output").ok_or_else(|| ort::Error::new("it has no output `output`"))?;
            let (_, sound) = output.try_extract_tensor::<f32>()?;
            let peak = sound.iter().fold(MIN_PEAK, |peak, sample| peak.max(sample.abs()));
            let pcm: Vec<i16> = sound.iter().map(|sample| (sample / peak * 32_767.0) as i16).collect();
            // Piper's own sound varies from clause to clause, and with the same peak still by some decibels.
            let gain = loudness(&pcm, self.rate_hz).map_or(0.5, gain);
            Ok(pcm.iter().map(|&sample| (f32::from(sample) * gain) as i16).collect())
        })
    }
}

impl Synthesizer for VitsVoice {
    fn name(&self) -> &str {
        &self.name
    }

    fn ability(&self) -> &Ability {
        &self.ability
    }

    fn stream(&mut self, clause: &str, _: Language, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<(), TtsError> {
        let phonemes = self.phonemizer.phonemes(clause).map_err(|reason| self.failed(reason))?;
        if cancel.is_cancelled() {
            return Err(TtsError::Cancelled);
        }
        let pcm = self.synthesise(self.ids.of(&phonemes), cancel).map_err(|error| match cancel.is_cancelled() {
            true => TtsError::Cancelled,
            false => self.failed(error.to_string()),
        })?;
        let _all_is_said = sink(&pcm, self.rate_hz);
        Ok(())
    }
}

impl VitsVoice {
    fn failed(&self, reason: String) -> TtsError {
        TtsError::Voice { voice: self.name.clone(), reason }
    }
}

/// What is configured, if it is within bounds, or the model's own.
fn scale(key: &str, configured: Option<f32>, range: RangeInclusive<f32>, own: f32) -> Result<f32, String> {
    match configured {
        Some(value) if !range.contains(&value) => {
            Err(format!("{key} = {value}, expected {} to {}", range.start(), range.end()))
        }
        configured => Ok(configured.unwrap_or(own)),
    }
}
