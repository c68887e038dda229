//! Voices in Piper's format (github.com/OHF-Voice/piper1-gpl): a VITS graph for ONNX Runtime and a JSON beside it.
//!
//! Phonemes come from the espeak-ng program, started ahead of each clause: it is GPL, so it is run and not linked. Left
//! out: voices trained on other phonemes than espeak's.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use serde::Deserialize;

use super::process::{Program, is_installed};
use super::{Cancel, Language, OnnxRuntime, Sink, Synthesizer, TtsError, number_of_workers};
use crate::engine::cores;

/// espeak-ng needs a hundredth of that.
const PHONEMES_LIMIT: Duration = Duration::from_secs(5);
/// Every clause is brought to this peak, 2 dB below full scale; Piper's own sound varies from clause to clause.
const PEAK: f32 = 26_000.0;
/// Of a clause with no sound to speak of the noise is not blown up.
const MIN_PEAK: f32 = 0.05;

/// A voice's file. The JSON is expected beside it, with `.json` added to its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitsConfig {
    pub language: Language,
    pub model: PathBuf,
    /// Which speaker of a model of several.
    #[serde(default)]
    pub speaker: i64,
    /// At least 1.
    #[serde(default = "one", deserialize_with = "number_of_workers")]
    pub threads: usize,
}

fn one() -> usize {
    1
}

impl VitsConfig {
    pub fn name(&self) -> String {
        self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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
    languages: [Language; 1],
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
        Ok(Self {
            name: config.name(),
            languages: [config.language],
            session,
            threads: config.threads,
            rate_hz: description.audio.sample_rate,
            scales: [noise_scale, length_scale, noise_w],
            speaker,
            ids: PhonemeIds::new(&description.phoneme_id_map).map_err(failed)?,
            phonemizer: Phonemizer { voice: description.espeak.voice, spare: None },
        })
    }

    fn synthesise(&mut self, ids: Vec<i64>) -> Result<Vec<i16>, ort::Error> {
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
        let outputs = self.session.run(inputs)?;
        let output = outputs.get("output").ok_or_else(|| ort::Error::new("it has no output `output`"))?;
        let (_, sound) = output.try_extract_tensor::<f32>()?;
        let peak = sound.iter().fold(MIN_PEAK, |peak, sample| peak.max(sample.abs()));
        Ok(sound.iter().map(|sample| (sample / peak * PEAK) as i16).collect())
    }
}

impl Synthesizer for VitsVoice {
    fn name(&self) -> &str {
        &self.name
    }

    fn licence(&self) -> &str {
        "see its model card"
    }

    fn languages(&self) -> &[Language] {
        &self.languages
    }

    fn stream(&mut self, clause: &str, _: Language, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<(), TtsError> {
        let phonemes = self.phonemizer.phonemes(clause).map_err(|reason| self.failed(reason))?;
        if cancel.is_cancelled() {
            return Err(TtsError::Cancelled);
        }
        let pcm = self.synthesise(self.ids.of(&phonemes)).map_err(|e| self.failed(e.to_string()))?;
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

/// espeak-ng as the one who knows how words sound.
struct Phonemizer {
    /// espeak's name of the voice, such as `en-us`.
    voice: String,
    /// Started ahead and waiting for its input: the start is most of the time it takes.
    spare: Option<Program>,
}

impl Phonemizer {
    const PROGRAM: &str = "espeak-ng";

    /// The phonemes of a clause, with its punctuation among them.
    fn phonemes(&mut self, clause: &str) -> Result<String, String> {
        let parts = parts(clause);
        let input: String = parts.iter().map(|(words, _)| format!("{words}\n")).collect();
        let program = self.spare.take().map_or_else(|| self.start(), Ok)?;
        let output = match program.finish(&input, PHONEMES_LIMIT) {
            Ok(output) => output,
            // The spare one may have been ended while it waited.
            Err(_) => self.start()?.finish(&input, PHONEMES_LIMIT)?,
        };
        self.spare = self.start().ok();
        let output = String::from_utf8_lossy(&output);
        let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Ok(join(&parts, &lines))
    }

    fn start(&self) -> Result<Program, String> {
        let args = ["-q", "--ipa", "-b", "1", "-v", &self.voice];
        Program::start(Self::PROGRAM, &args.map(str::to_owned))
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
fn join(parts: &[(&str, char)], lines: &[&str]) -> String {
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
        return format!("{}{last}", lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join(" "));
    }
    let marked = parts.iter().zip(lines).map(|((_, mark), line)| format!("{}{mark}", plain(line)));
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
        let mut phonemizer = Phonemizer { voice: "en-us".into(), spare: None };
        for _ in 0..3 {
            assert_eq!(phonemizer.phonemes("Hello, world!").unwrap(), "həlˈoʊ, wˈɜːld!");
        }
        drop(phonemizer.spare.take().unwrap().finish("", PHONEMES_LIMIT));
        assert!(phonemizer.phonemes("Hello").is_ok());
    }
}
