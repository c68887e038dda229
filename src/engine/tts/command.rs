//! A voice that is a program which writes a WAV: started for each clause, or kept running where its start is slow.
//!
//! Left out: streaming from the program; a clause comes whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use super::process::{Program, Silence, is_installed, wait};
use super::wav::read_wav;
use super::{Ability, Cancel, Language, Sink, Synthesizer, TtsError, expand};

/// A clause takes no longer: festival needs 0.1 s for a long one.
const LIMIT: Duration = Duration::from_secs(10);
/// The first answer of a program that loads its voice.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A program's voice. In `args` and `request`, `{text}`, `{wav}` (the file to write) and `{language}` (`ru`, `en`)
/// are replaced; in `args` also `{text_file}`, a UTF-8 file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    pub name: String,
    pub languages: Vec<Language>,
    pub program: String,
    /// Without `{text}` and `{text_file}` the text is its input; without `{wav}` the WAV is its output.
    #[serde(default)]
    pub args: Vec<String>,
    /// The program is kept running and given this line for each clause. `{text}` stands inside a string: `"` and `\`
    /// in it have a backslash before them. When the file is written, the program prints the line `{done}`.
    pub request: Option<String>,
    /// Words in small letters that it says wrong, and what it is given in their place.
    #[serde(default)]
    pub pronounce: BTreeMap<String, String>,
    #[serde(default)]
    pub licence: String,
}

impl CommandConfig {
    /// The Russian voice of Debian's `festvox-ru`, which takes half a second and more to start.
    pub fn festival_ru() -> Self {
        // Its own output is buffered until it ends, so the end of a clause is told through the same pipe opened anew.
        // It tells so even where the text could not be said: there is no file then.
        let request = r#"(utt.save.wave (utt.synth (Utterance Text "{text}")) "{wav}" 'riff) (let ((out (fopen "/dev/stdout" "a"))) (format out "{done}\n") (fclose out))"#;
        Self {
            name: "festival msu_ru_nsh".into(),
            languages: vec![Language::Ru],
            program: "festival".into(),
            args: vec!["(voice_msu_ru_nsh_clunits)".into(), "--pipe".into()],
            request: Some(request.into()),
            // As one word nobody understands them, and of «ноль» hardly anything is heard.
            pronounce: [("восемьсот", "восемь сот"), ("четыреста", "четыре ста"), ("ноль", "нуль")]
                .map(|(word, said)| (word.to_owned(), said.to_owned()))
                .into(),
            licence: "BSD-like (festvox-ru)".into(),
        }
    }

    /// The last resort of both languages.
    pub fn espeak() -> Self {
        let args = ["-b", "1", "-v", "{language}", "-s", "150", "-w", "{wav}"];
        Self {
            name: "espeak-ng".into(),
            languages: vec![Language::Ru, Language::En],
            program: "espeak-ng".into(),
            args: args.map(str::to_owned).to_vec(),
            request: None,
            pronounce: BTreeMap::new(),
            licence: "GPL-3.0-or-later (a program of its own)".into(),
        }
    }
}

pub struct CommandVoice {
    config: CommandConfig,
    ability: Ability,
    /// Ours alone, and removed when dropped: the files hold what callers are told.
    dir: TempDir,
    resident: Option<Resident>,
    /// Requests made, which name the files.
    requests: u64,
}

/// A program kept running. The program is dropped, and so ended, before its output is.
struct Resident {
    program: Program,
    lines: Receiver<String>,
    has_answered: bool,
}

impl CommandVoice {
    /// Checks that the program is installed, and starts one that is kept running.
    ///
    /// # Errors
    /// When it is not, or cannot be started.
    pub fn load(config: &CommandConfig) -> Result<Self, TtsError> {
        let failed = |reason: String| TtsError::Voice { voice: config.name.clone(), reason };
        if !is_installed(&config.program) {
            return Err(failed(format!("{} is not installed; install it or remove the voice", config.program)));
        }
        let mut private = tempfile::Builder::new();
        let dir = private.prefix("secretary-voice-").permissions(Permissions::from_mode(0o700)).tempdir();
        let dir = dir.map_err(|e| failed(format!("make a temporary folder: {e}")))?;
        let ability = Ability { licence: config.licence.clone(), ..Ability::of(&config.languages) };
        let mut voice = Self { config: config.clone(), ability, dir, resident: None, requests: 0 };
        if config.request.is_some() {
            // It loads its voice while the other models load.
            voice.resident = Some(voice.start().map_err(failed)?);
        }
        Ok(voice)
    }

    fn start(&self) -> Result<Resident, String> {
        let mut program = Program::start(&self.config.program, &self.config.args)?;
        let lines = program.lines()?;
        Ok(Resident { program, lines, has_answered: false })
    }

    fn synthesise(&mut self, clause: &str, language: Language, cancel: &Cancel) -> Result<(Vec<i16>, u32), String> {
        let clause = &respelled(clause, &self.config.pronounce);
        self.requests += 1;
        let file = |ending: &str| self.dir.path().join(format!("{}.{ending}", self.requests));
        let (wav, text_file) = (file("wav"), file("txt"));
        let bytes = match self.config.request.clone() {
            Some(request) => self.ask(&request, clause, language, &wav, cancel),
            None => self.run(clause, language, &wav, &text_file, cancel),
        };
        self.tidy();
        let (pcm, rate_hz) = read_wav(&bytes?)?;
        if pcm.is_empty() { Err("it made no sound".into()) } else { Ok((pcm, rate_hz)) }
    }

    /// Removes what was written, also late for a request that was given up.
    fn tidy(&self) {
        for file in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            drop(fs::remove_file(file.path()));
        }
    }

    fn run(
        &self,
        clause: &str,
        language: Language,
        wav: &PathBuf,
        text_file: &PathBuf,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, String> {
        let uses = |name: &str| self.config.args.iter().any(|arg| arg.contains(name));
        if uses("{text_file}") {
            fs::write(text_file, clause).map_err(|e| format!("write the text: {e}"))?;
        }
        let values = HashMap::from([
            ("text", clause.to_owned()),
            ("text_file", text_file.display().to_string()),
            ("wav", wav.display().to_string()),
            ("language", language.code().to_owned()),
        ]);
        let args: Vec<String> = self.config.args.iter().map(|arg| expand(arg, &values)).collect();
        let input = if uses("{text}") || uses("{text_file}") { String::new() } else { format!("{clause}\n") };
        let output = Program::start(&self.config.program, &args)?.finish(&input, LIMIT, cancel)?;
        if uses("{wav}") { read_file(wav) } else { Ok(output) }
    }

    /// Asks the running program, which is started again when it has died since its last answer.
    fn ask(
        &mut self,
        request: &str,
        clause: &str,
        language: Language,
        wav: &PathBuf,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, String> {
        let done = format!("done-{}", self.requests);
        let values = HashMap::from([
            ("text", escaped(clause)),
            ("wav", escaped(&wav.display().to_string())),
            ("done", done.clone()),
            ("language", language.code().to_owned()),
        ]);
        let line = expand(request, &values);
        let mut resident = match self.resident.take() {
            Some(resident) => resident,
            None => self.start()?,
        };
        let mut answer = resident.ask(&line, &done, cancel);
        if answer == Err(Silence::Ended) && resident.has_answered {
            drop(resident);
            resident = self.start()?;
            answer = resident.ask(&line, &done, cancel);
        }
        // One that is given up answers later, in a line that nobody waits for; one that is too late is ended.
        if matches!(answer, Ok(()) | Err(Silence::Cancelled)) {
            self.resident = Some(resident);
        }
        answer.map_err(|silence| silence.to_string())?;
        read_file(wav)
    }
}

impl Resident {
    fn ask(&mut self, line: &str, done: &str, cancel: &Cancel) -> Result<(), Silence> {
        let limit = if self.has_answered { LIMIT } else { START_LIMIT };
        #[expect(clippy::disallowed_methods, reason = "waits for another program")]
        let began = Instant::now();
        self.program.write_line(line).map_err(|_| Silence::Ended)?;
        while wait(&self.lines, limit.saturating_sub(began.elapsed()), cancel)? != done {}
        self.has_answered = true;
        Ok(())
    }
}

impl Synthesizer for CommandVoice {
    fn name(&self) -> &str {
        &self.config.name
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
        let said = self.synthesise(clause, language, cancel);
        let (pcm, rate_hz) = said.map_err(|reason| match cancel.is_cancelled() {
            true => TtsError::Cancelled,
            false => TtsError::Voice { voice: self.config.name.clone(), reason },
        })?;
        let _all_is_said = sink(&pcm, rate_hz);
        Ok(())
    }
}

/// A clause with other words in place of some of its own, whatever their case.
fn respelled(clause: &str, words: &BTreeMap<String, String>) -> String {
    let is_word = |c: char| c.is_alphanumeric();
    let mut out = String::with_capacity(clause.len());
    let mut rest = clause;
    while !rest.is_empty() {
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let len = if len > 0 { len } else { rest.find(is_word).unwrap_or(rest.len()) };
        let (part, tail) = rest.split_at(len);
        out.push_str(words.get(&part.to_lowercase()).map_or(part, String::as_str));
        rest = tail;
    }
    out
}

/// As it may stand between the quotes of Scheme, JSON or C.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn read_file(wav: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(wav).map_err(|_| "it wrote no WAV; run it by hand to see why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn config(script: &str, request: Option<&str>) -> CommandConfig {
        CommandConfig {
            name: "test".into(),
            languages: vec![Language::En],
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            request: request.map(str::to_owned),
            pronounce: BTreeMap::new(),
            licence: String::new(),
        }
    }

    fn say(voice: &mut CommandVoice, clause: &str) -> Result<(usize, u32), String> {
        let mut said = (0, 0);
        let result = voice.stream(clause, Language::En, &Cancel::default(), &mut |pcm, rate_hz| {
            said = (said.0 + pcm.len(), rate_hz);
            ControlFlow::Continue(())
        });
        result.map(|()| said).map_err(|e| e.to_string())
    }

    /// A shell that speaks: n hundredths of a second of a tone, where n is the length of the line.
    const TONE: &str = "sox -q -n -r 8000 -b 16 \"$1\" synth 0.$(printf %02d ${#2}) sine 440";

    #[test]
    fn text_is_the_input_and_the_wav_a_file() {
        let script = format!("read line; set -- {{wav}} \"$line\"; {TONE}");
        let mut voice = CommandVoice::load(&config(&script, None)).unwrap();
        assert_eq!(say(&mut voice, "ten chars."), Ok((800, 8_000)));
        assert_eq!(fs::read_dir(voice.dir.path()).unwrap().count(), 0, "no file is left");
    }

    #[test]
    fn text_file_and_output_serve_too() {
        let script =
            format!("set -- /dev/stdout \"$(cat {{text_file}})\"; {} | cat", TONE.replace("\"$1\"", "-t wav -"));
        let mut voice = CommandVoice::load(&config(&script, None)).unwrap();
        assert_eq!(say(&mut voice, "ten chars."), Ok((800, 8_000)));
    }

    #[test]
    fn program_kept_running_answers_again_and_again() {
        let script =
            format!("while read -r wav done text; do set -- $wav \"$text\"; {TONE}; echo noise; echo $done; done");
        let mut voice = CommandVoice::load(&config(&script, Some("{wav} {done} {text}"))).unwrap();
        for _ in 0..3 {
            assert_eq!(say(&mut voice, "ten chars."), Ok((800, 8_000)));
        }
    }

    #[test]
    fn program_that_died_is_started_again() {
        let script = format!("read -r wav done text; set -- $wav \"$text\"; {TONE}; echo $done");
        let mut voice = CommandVoice::load(&config(&script, Some("{wav} {done} {text}"))).unwrap();
        for _ in 0..3 {
            assert_eq!(say(&mut voice, "ten chars."), Ok((800, 8_000)));
        }
    }

    #[test]
    fn program_kept_running_is_not_waited_for_when_it_is_not_wanted() {
        // It answers the second question a second late, into a file that nobody reads.
        let script = format!(
            "n=0; while read -r wav done text; do n=$((n+1)); [ $n = 2 ] && sleep 1; set -- $wav \"$text\"; {TONE}; echo $done; done"
        );
        let mut voice = CommandVoice::load(&config(&script, Some("{wav} {done} {text}"))).unwrap();
        assert_eq!(say(&mut voice, "ten chars."), Ok((800, 8_000)));
        let cancel = Cancel::default();
        cancel.cancel();
        let given_up = voice.stream("ten chars.", Language::En, &cancel, &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(given_up, Err(TtsError::Cancelled)));
        let program = voice.resident.as_ref().unwrap().program.id();
        assert_eq!(say(&mut voice, "five."), Ok((400, 8_000)), "its own answer, not the late one");
        assert_eq!(voice.resident.as_ref().unwrap().program.id(), program, "it is the same program");
        assert_eq!(fs::read_dir(voice.dir.path()).unwrap().count(), 0, "no file is left");
    }

    #[test]
    fn program_that_says_nothing_is_an_error() {
        let mut voice = CommandVoice::load(&config("exit 1", None)).unwrap();
        assert!(say(&mut voice, "text").unwrap_err().contains("it ended with exit status: 1"));
        let mut voice = CommandVoice::load(&config("true {wav}", None)).unwrap();
        assert!(say(&mut voice, "text").unwrap_err().contains("it wrote no WAV"));
        let mut voice = CommandVoice::load(&config("exit 0", Some("{text}"))).unwrap();
        let error = say(&mut voice, "text").unwrap_err();
        assert!(error.contains("it ended"), "{error}");
    }

    #[test]
    fn missing_program_is_named() {
        let config = CommandConfig { program: "no-such-program".into(), ..config("", None) };
        let error = CommandVoice::load(&config).err().unwrap().to_string();
        assert!(error.contains("no-such-program is not installed"), "{error}");
    }

    #[test]
    fn temporary_folder_is_private_and_removed() {
        let voice = CommandVoice::load(&config("true", None)).unwrap();
        let dir = voice.dir.path().to_owned();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        drop(voice);
        assert!(!dir.exists());
    }

    #[test]
    fn words_that_are_said_wrong_are_spelled_otherwise() {
        let festival = CommandConfig::festival_ru();
        let said = respelled("Восемьсот сорок, ноль пять; восемьсотый.", &festival.pronounce);
        assert_eq!(said, "восемь сот сорок, нуль пять; восемьсотый.");
        assert_eq!(respelled("", &festival.pronounce), "");
    }

    #[test]
    fn text_cannot_leave_its_string() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c d");
    }
}
