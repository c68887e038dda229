//! Voices in Piper's format (github.com/OHF-Voice/piper1-gpl): a VITS graph for ONNX Runtime and a JSON beside it.
//!
//! Phonemes come from the espeak-ng program, kept running beside it: it is GPL, so it is run and not linked. Left
//! out: voices trained on other phonemes than espeak's.

use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use serde::Deserialize;

use super::process::{Program, is_installed, wait};
use super::{Ability, Cancel, Language, OnnxRuntime, Sink, Synthesizer, TtsError, number_of_workers};
use crate::engine::cores;
use crate::engine::onnx::interruptible;

/// espeak-ng needs a hundredth of that.
const PHONEMES_LIMIT: Duration = Duration::from_secs(5);
/// Every clause is brought to this peak, 2 dB below full scale; Piper's own sound varies from clause to clause.
const PEAK: f32 = 26_000.0;
/// Of a clause with no sound to speak of the noise is not blown up.
const MIN_PEAK: f32 = 0.05;

/// A voice's file. The JSON is expected beside it, with `.json` added to its name.
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
            threads: 1,
        }
    }

    pub fn name(&self) -> String {
        let of_file = || self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(of_file)
    }
}

/// The parts of `.onnx.json` that are used.
#[derive(Deserialize)]
struct Description {
    audio: Audio,
    espeak: Espeak,
    inference: Inference,
    phoneme_id_map: HashMap<String, Vec<i64>>,
    #[serde(default = "espeak_phonemes")]
    phoneme_type: String,
    #[serde(default)]
    num_speakers: i64,
}

fn espeak_phonemes() -> String {
    "espeak".into()
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Deserialize)]
struct Espeak {
    voice: String,
}

#[derive(Deserialize)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
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
        let session = runtime.session(&config.model, config.threads.max(1))?;
        let description = describe(&config.model).map_err(failed)?;
        let speaker = (description.num_speakers > 1).then_some(config.speaker);
        if speaker.is_some_and(|n| !(0..description.num_speakers).contains(&n)) {
            return Err(failed(format!(
                "its speakers are 0 to {}, not {}",
                description.num_speakers - 1,
                config.speaker
            )));
        }
        check_inputs(&session, speaker.is_some()).map_err(failed)?;
        let Inference { noise_scale, length_scale, noise_w } = description.inference;
        let noise_scale = scale("noise_scale", config.noise_scale, 0.0..=2.0, noise_scale).map_err(failed)?;
        let length_scale = scale("length_scale", config.length_scale, 0.25..=4.0, length_scale).map_err(failed)?;
        let noise_w = scale("noise_w", config.noise_w, 0.0..=2.0, noise_w).map_err(failed)?;
        Ok(Self {
            name: config.name(),
            ability: Ability { licence: "see its model card".into(), ..Ability::of(&[config.language]) },
            session,
            threads: config.threads,
            rate_hz: description.audio.sample_rate,
            scales: [noise_scale, length_scale, noise_w],
            speaker,
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
            Ok(sound.iter().map(|sample| (sample / peak * PEAK) as i16).collect())
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

fn describe(model: &Path) -> Result<Description, String> {
    let mut path = model.as_os_str().to_owned();
    path.push(".json");
    let path = PathBuf::from(path);
    let json =
        fs::read_to_string(&path).map_err(|e| format!("read {}: {e}; it belongs to the model", path.display()))?;
    let description: Description =
        serde_json::from_str(&json).map_err(|e| format!("{} is not a Piper voice's: {e}", path.display()))?;
    if description.phoneme_type != "espeak" {
        return Err(format!("its phonemes are {:?}, and only espeak's are known", description.phoneme_type));
    }
    Ok(description)
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

/// Tells how the graph's inputs differ from those of a Piper voice.
fn check_inputs(session: &Session, several_speakers: bool) -> Result<(), String> {
    let mut expected = vec!["input", "input_lengths", "scales"];
    expected.extend(several_speakers.then_some("sid"));
    let mut found: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
    found.sort_unstable();
    if found == expected {
        return Ok(());
    }
    Err(format!("it is not a Piper voice: its inputs are {}, not {}", found.join(", "), expected.join(", ")))
}

/// The model's numbers of the phonemes, of which each is one character.
struct PhonemeIds {
    ids: HashMap<char, Vec<i64>>,
    begin: Vec<i64>,
    end: Vec<i64>,
    pad: Vec<i64>,
}

impl PhonemeIds {
    fn new(map: &HashMap<String, Vec<i64>>) -> Result<Self, String> {
        let id = |name: &str| map.get(name).cloned().ok_or_else(|| format!("its phoneme_id_map has no {name:?}"));
        let one_char = |name: &str| name.chars().next().filter(|_| name.chars().count() == 1);
        let ids = map.iter().filter_map(|(name, ids)| Some((one_char(name)?, ids.clone()))).collect();
        Ok(Self { begin: id("^")?, end: id("$")?, pad: id("_")?, ids })
    }

    /// As the model was trained: begin, every phoneme with a pad after it, end. Unknown phonemes are left out.
    fn of(&self, phonemes: &str) -> Vec<i64> {
        let known = phonemes.chars().filter_map(|phoneme| self.ids.get(&phoneme));
        let padded = [&self.begin].into_iter().chain(known).flat_map(|id| id.iter().chain(&self.pad));
        padded.chain(&self.end).copied().collect()
    }
}

/// espeak-ng as the one who knows how words sound. It is kept running: its start takes longer than its answer.
struct Phonemizer {
    /// espeak's name of the voice, such as `en-us`.
    voice: String,
    resident: Option<Resident>,
}

/// The program is dropped, and so ended, before its output is.
struct Resident {
    program: Program,
    lines: Receiver<String>,
}

impl Phonemizer {
    const PROGRAM: &str = "espeak-ng";

    fn new(voice: String) -> Self {
        Self { voice, resident: None }
    }

    /// The phonemes of a clause, with its punctuation among them.
    fn phonemes(&mut self, clause: &str) -> Result<String, String> {
        let parts = parts(clause);
        let lines = match self.resident.take() {
            // It may have been ended since.
            Some(resident) => self.ask(resident, &parts).or_else(|_| self.ask(self.start()?, &parts))?,
            None => self.ask(self.start()?, &parts)?,
        };
        Ok(join(&parts, &lines))
    }

    /// Its line of phonemes for each part. One that is late would answer into the next question, and is not asked again.
    fn ask(&mut self, mut resident: Resident, parts: &[(&str, char)]) -> Result<Vec<String>, String> {
        for (words, _) in parts {
            resident.program.write_line(words)?;
        }
        // An empty line is answered by one.
        resident.program.write_line("")?;
        let mut lines = Vec::new();
        loop {
            // Never given up: its answer takes a millisecond, and would be taken for the next one's.
            match wait(&resident.lines, PHONEMES_LIMIT, &Cancel::default()) {
                Ok(line) if line.is_empty() => break,
                Ok(line) => lines.push(line),
                Err(silence) => return Err(format!("espeak-ng: {silence}")),
            }
        }
        // Fewer lines than parts: the empty one was not the last.
        if lines.len() >= parts.len() {
            self.resident = Some(resident);
        }
        Ok(lines)
    }

    fn start(&self) -> Result<Resident, String> {
        let args = ["-q", "--ipa", "-b", "1", "-v", &self.voice];
        let mut program = Program::start(Self::PROGRAM, &args.map(str::to_owned))?;
        let lines = program.lines()?;
        Ok(Resident { program, lines })
    }
}

/// A clause cut at its punctuation: espeak drops it, and the model wants it.
fn parts(clause: &str) -> Vec<(&str, char)> {
    let cut = clause.split_inclusive(['.', ',', '!', '?', ';', ':']).map(|part| {
        let mark = part.chars().next_back().filter(char::is_ascii_punctuation).unwrap_or('.');
        (part.trim_end_matches(mark).trim(), mark)
    });
    cut.filter(|(words, _)| words.chars().any(char::is_alphanumeric)).collect()
}

/// The phonemes of the parts, each with its mark, without espeak's notes of a change of language: `(en)`.
fn join(parts: &[(&str, char)], lines: &[impl AsRef<str>]) -> String {
    let plain = |line: &str| {
        let mut note = false;
        let keep = |c: &char| {
            note = (note || *c == '(') && *c != ')';
            !note && *c != ')'
        };
        line.chars().filter(keep).collect::<String>()
    };
    if lines.len() != parts.len() {
        // espeak made its own pauses. The words count; the last mark gives the melody.
        let last = parts.last().map_or('.', |(_, mark)| *mark);
        return format!("{}{last}", lines.iter().map(|line| plain(line.as_ref())).collect::<Vec<_>>().join(" "));
    }
    let marked = parts.iter().zip(lines).map(|((_, mark), line)| format!("{}{mark}", plain(line.as_ref())));
    marked.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clause_is_cut_at_its_marks() {
        assert_eq!(parts("Yes, it's 5: ok? -"), [("Yes", ','), ("it's 5", ':'), ("ok", '?')]);
        assert_eq!(parts("no mark"), [("no mark", '.')]);
        assert_eq!(parts(" ,. "), []);
    }

    #[test]
    fn phonemes_keep_the_marks_and_lose_the_notes() {
        assert_eq!(join(&[("a", ','), ("b", '?')], &["(en)ˈeɪ(ru)", "bˈiː"]), "ˈeɪ, bˈiː?");
        assert_eq!(join(&[("a b", '!')], &["ˈeɪ", "bˈiː"]), "ˈeɪ bˈiː!");
    }

    #[test]
    fn ids_begin_end_and_are_padded() {
        let map = [("_", 0), ("^", 1), ("$", 2), ("a", 7), ("b", 8)].map(|(name, id)| (name.to_owned(), vec![id]));
        let ids = PhonemeIds::new(&HashMap::from(map)).unwrap();
        assert_eq!(ids.of("aXb"), [1, 0, 7, 0, 8, 0, 2]);
        assert!(PhonemeIds::new(&HashMap::new()).err().unwrap().contains("phoneme_id_map"));
    }

    #[test]
    fn espeak_gives_the_phonemes_again_and_again() {
        let mut phonemizer = Phonemizer::new("en-us".into());
        for _ in 0..3 {
            assert_eq!(phonemizer.phonemes("Hello, world!").unwrap(), "həlˈoʊ, wˈɜːld!");
        }
        let resident = phonemizer.resident.as_ref().unwrap().program.id();
        phonemizer.phonemes("One, two, three").unwrap();
        assert_eq!(phonemizer.resident.as_ref().unwrap().program.id(), resident, "it is the same program");
        phonemizer.resident.as_mut().unwrap().program.kill();
        assert_eq!(phonemizer.phonemes("Hello").unwrap(), "həlˈoʊ.");
        assert_ne!(phonemizer.resident.as_ref().unwrap().program.id(), resident);
    }
}
