//! From a clause to the numbers that a Piper model was trained on: espeak's phonemes, and the model's number of each.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::engine::Cancel;
use crate::engine::tts::process::{Program, wait};

/// espeak-ng needs a hundredth of that.
const PHONEMES_LIMIT: Duration = Duration::from_secs(5);

/// The model's numbers of the phonemes, of which each is one character.
pub struct PhonemeIds {
    ids: HashMap<char, Vec<i64>>,
    begin: Vec<i64>,
    end: Vec<i64>,
    pad: Vec<i64>,
}

impl PhonemeIds {
    /// # Errors
    /// When a mark that every text has is none of its phonemes.
    pub fn new(map: &HashMap<String, Vec<i64>>) -> Result<Self, String> {
        let id = |name: &str| map.get(name).cloned().ok_or_else(|| format!("its phoneme_id_map has no {name:?}"));
        let one_char = |name: &str| name.chars().next().filter(|_| name.chars().count() == 1);
        let ids = map.iter().filter_map(|(name, ids)| Some((one_char(name)?, ids.clone()))).collect();
        Ok(Self { begin: id("^")?, end: id("$")?, pad: id("_")?, ids })
    }

    /// As the model was trained: begin, every phoneme with a pad after it, end. Unknown phonemes are left out.
    pub fn of(&self, phonemes: &str) -> Vec<i64> {
        let known = phonemes.chars().filter_map(|phoneme| self.ids.get(&phoneme));
        let padded = [&self.begin].into_iter().chain(known).flat_map(|id| id.iter().chain(&self.pad));
        padded.chain(&self.end).copied().collect()
    }
}

/// espeak-ng as the one who knows how words sound. It is kept running: its start takes longer than its answer.
pub struct Phonemizer {
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
    pub const PROGRAM: &str = "espeak-ng";

    pub fn new(voice: String) -> Self {
        Self { voice, resident: None }
    }

    /// The phonemes of a clause, with its punctuation among them.
    pub fn phonemes(&mut self, clause: &str) -> Result<String, String> {
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
