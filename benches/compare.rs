//! Our recogniser beside whisper.cpp's own program and faster-whisper: the same weights (base, eight bits) and the same recordings of
//! the tests as the telephone carries them, the language told, two threads. The others run as they do by default, and greedily, as ours
//! does. What is told is words and time without the loading of weights. Prints tables for docs/listening.md and asserts only that the
//! programs ran; with VERBOSE set, also what each has written.
//!
//! `cargo bench --bench compare [-- CATEGORY…]`; categories of manifest.tsv, default those of people and of nobody. Needs the models,
//! Python 3.11, npm and cmake, and the first time the registries of packages. What it builds is kept in `compare` of
//! $SECRETARY_CACHE (default ~/.cache/secretary).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use secretary::engine::stt::{Stt, SttConfig, SttJob};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};
use secretary::rtp::codec::resample::resample;
use sha2::{Digest, Sha256};

mod python;
#[path = "../tests/it/support/recordings.rs"]
#[allow(dead_code, reason = "the tests read more of them")]
mod recordings;
#[path = "../tests/it/support/speech.rs"]
mod speech;
#[allow(dead_code, reason = "what memory it takes is not asked")]
mod usage;
#[path = "../tests/it/support/wav.rs"]
#[allow(dead_code, reason = "the tests do more with them")]
mod wav;
#[path = "../tests/it/support/wer.rs"]
#[allow(dead_code, reason = "no numbers are dictated")]
mod wer;

use Language::{En, Ru};

/// Of the folder with what it needs.
const NAME: &str = "compare";
const THREADS: usize = 2;
const RATE_HZ: u32 = 16_000;
/// Recordings by category, and what the programs are told of their language.
const SETS: [(&str, &str, Language); 4] = [
    ("ru_real", "a man reads Russian", Ru),
    ("ru_ivr", "a woman speaks Russian prompts", Ru),
    ("en_real", "English", En),
    ("nonspeech", "nobody speaks", Ru),
];
/// The package with the sources of whisper.cpp 1.9.1 and its program; the crate that we link, of 1.8.3, has no programs.
const WHISPER_CPP: &str = "nodejs-whisper@0.3.1";
const WHISPER_CPP_SHA256: &str = "92041caf2b26c74b7f489fedf37bd093f216eebd61df512045ec2d19d0531d37";

/// Recordings that are measured together.
struct Set {
    name: &'static str,
    language: Language,
    clips: Vec<Clip>,
}

struct Clip {
    wav: PathBuf,
    pcm: Vec<i16>,
    said: String,
}

impl Set {
    fn audio_s(&self) -> f64 {
        self.clips.iter().map(|clip| clip.pcm.len()).sum::<usize>() as f64 / f64::from(RATE_HZ)
    }
}

/// Something that writes down what is said in each recording of a set.
trait Program {
    fn transcribe(&mut self, set: &Set) -> Heard;
}

struct Heard {
    texts: Vec<String>,
    wall_s: f64,
    cpu_s: f64,
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the sound");
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |category: &str| wanted.is_empty() || wanted.iter().any(|other| other == category);
    let sets = SETS.iter().filter(|(category, ..)| is_wanted(category));
    let sets: Vec<Set> = sets.map(|&(category, name, language)| set(folder.path(), category, name, language)).collect();
    assert!(!sets.is_empty(), "no such category: {wanted:?}");
    let cli = whisper_cli();
    let mut programs: [(&str, Box<dyn Program>); 5] = [
        ("secretary", Box::new(Secretary::start())),
        ("whisper-cli", Box::new(WhisperCli::new(&cli, folder.path(), &[]))),
        ("whisper-cli, greedy", Box::new(WhisperCli::new(&cli, folder.path(), &["-bs", "1", "-bo", "1"]))),
        ("faster-whisper", Box::new(FasterWhisper::start(5))),
        ("faster-whisper, greedy", Box::new(FasterWhisper::start(1))),
    ];
    // Set by set, so that what else the machine does meets all programs alike.
    let mut heard: Vec<Vec<Heard>> = programs.iter().map(|_| Vec::new()).collect();
    for set in &sets {
        for ((name, program), heard) in programs.iter_mut().zip(&mut heard) {
            heard.push(program.transcribe(set));
            if env::var_os("VERBOSE").is_some() {
                tell(name, set, heard.last().unwrap());
            }
        }
    }
    let names: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
    print_words(&sets, &names, &heard);
    print_times(&sets, &names, &heard);
}

/// The recordings of a category, as files too.
fn set(folder: &Path, category: &str, name: &'static str, language: Language) -> Set {
    let clips =
        recordings::manifest().into_iter().filter(|recording| recording.category == category).map(|recording| {
            let pcm = resample(&speech::by_telephone(&recording.file), 8_000, RATE_HZ).expect("rates of speech");
            let wav = folder.join(&recording.file);
            wav::write(&wav, &pcm, RATE_HZ);
            Clip { wav, pcm, said: recording.text }
        });
    let clips: Vec<Clip> = clips.collect();
    assert!(!clips.is_empty(), "no recordings of {category}");
    Set { name, language, clips }
}

fn tell(name: &str, set: &Set, heard: &Heard) {
    for (clip, text) in set.clips.iter().zip(&heard.texts) {
        let file = clip.wav.file_name().unwrap().display();
        println!("{file} {:.2} {name}: {text}", wer::wer(&clip.said, text));
    }
}

/// Words that are wrong, a share of those said or all where nobody speaks, and the time for everything.
fn print_words(sets: &[Set], names: &[&str], heard: &[Vec<Heard>]) {
    print_head("words wrong", sets, &["wall s", "CPU s", "wall s per s of sound", "CPU s per s of sound"]);
    let audio_s: f64 = sets.iter().map(Set::audio_s).sum();
    for (name, heard) in names.iter().zip(heard) {
        let wrong: String = sets.iter().zip(heard).map(|(set, heard)| format!(" {} |", wrong(set, heard))).collect();
        let (wall_s, cpu_s) = heard.iter().fold((0.0, 0.0), |(wall, cpu), set| (wall + set.wall_s, cpu + set.cpu_s));
        let each = format!("{:.2} | {:.2}", wall_s / audio_s, cpu_s / audio_s);
        println!("| {name} |{wrong} {wall_s:.1} | {cpu_s:.1} | {each} |");
    }
    println!();
}

fn wrong(set: &Set, heard: &Heard) -> String {
    let said = |clip: &Clip| wer::words(&clip.said).len();
    let words: usize = set.clips.iter().map(said).sum();
    if words == 0 {
        let invented: usize = heard.texts.iter().map(|text| wer::words(&without_sounds(text)).len()).sum();
        let sounds: usize = heard.texts.iter().map(|text| text.matches('[').count()).sum();
        return format!("{invented} words, {sounds} names of sounds");
    }
    let wrong = |(clip, text): (&Clip, &String)| wer::wer(&clip.said, text) * said(clip) as f64;
    let wrong: f64 = set.clips.iter().zip(&heard.texts).map(wrong).sum();
    format!("{:.1} %", 100.0 * wrong / words as f64)
}

/// What stands outside of brackets, such as those of «[музыка]».
fn without_sounds(text: &str) -> String {
    text.split('[')
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { part.split_once(']').map_or("", |(_, rest)| rest) })
        .collect()
}

fn print_times(sets: &[Set], names: &[&str], heard: &[Vec<Heard>]) {
    print_head("wall / CPU s per s of sound", sets, &[]);
    for (name, heard) in names.iter().zip(heard) {
        let cells = sets.iter().zip(heard).map(|(set, heard)| {
            let audio_s = set.audio_s();
            format!(" {:.2} / {:.2} |", heard.wall_s / audio_s, heard.cpu_s / audio_s)
        });
        println!("| {name} |{}", cells.collect::<String>());
    }
}

fn print_head(what: &str, sets: &[Set], more: &[&str]) {
    let sets = sets.iter().map(|set| format!("{} ({})", set.name, set.clips.len()));
    let columns: Vec<String> = sets.chain(more.iter().map(|&column| column.to_owned())).collect();
    println!("| {what} | {} |", columns.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
}

/// Ours, in this process.
struct Secretary(Stt);

impl Secretary {
    fn start() -> Self {
        let model = speech::models().join("ggml-base-q8_0.bin");
        let config = SttConfig { model, workers: 1, threads: THREADS, ..SttConfig::default() };
        Self(Stt::start(&config).expect("the model"))
    }
}

impl Program for Secretary {
    fn transcribe(&mut self, set: &Set) -> Heard {
        let (started, cpu_s) = (Instant::now(), usage::cpu_seconds(process::id()));
        let text = |clip: &Clip| {
            let (sender, heard) = sync_channel(1);
            let job = SttJob {
                pcm: clip.pcm.clone(),
                rate_hz: RATE_HZ,
                languages: vec![set.language],
                cancel: Cancel::default(),
                priority: Priority::Final,
                due: speech::now(),
            };
            self.0.submit(job, move |result| sender.send(result).unwrap()).expect("room");
            heard.recv().unwrap().expect("a transcript").text
        };
        let texts = set.clips.iter().map(text).collect();
        Heard { texts, wall_s: started.elapsed().as_secs_f64(), cpu_s: usage::cpu_seconds(process::id()) - cpu_s }
    }
}

/// whisper.cpp's program, started for each set.
struct WhisperCli<'a> {
    program: &'a Path,
    options: &'a [&'a str],
    /// What a start costs.
    wall_s: f64,
    cpu_s: f64,
}

impl<'a> WhisperCli<'a> {
    fn new(program: &'a Path, folder: &Path, options: &'a [&'a str]) -> Self {
        let mut new = Self { program, options, wall_s: 0.0, cpu_s: 0.0 };
        // Of less than 100 ms it encodes nothing.
        let (wav, pcm) = (folder.join("nothing.wav"), vec![0; RATE_HZ as usize / 20]);
        wav::write(&wav, &pcm, RATE_HZ);
        let nothing =
            new.transcribe(&Set { name: "nothing", language: Ru, clips: vec![Clip { wav, pcm, said: String::new() }] });
        (new.wall_s, new.cpu_s) = (nothing.wall_s, nothing.cpu_s);
        new
    }
}

impl Program for WhisperCli<'_> {
    fn transcribe(&mut self, set: &Set) -> Heard {
        let mut command = Command::new(self.program);
        command.arg("-m").arg(speech::models().join("ggml-base-q8_0.bin"));
        command.args(["-t", &THREADS.to_string(), "-l", set.language.code(), "-np", "-otxt"]).args(self.options);
        command.args(set.clips.iter().map(|clip| &clip.wav));
        let (started, cpu_s) = (Instant::now(), usage::children_cpu_seconds(process::id()));
        let output = command.output().expect("whisper-cli");
        let (wall_s, cpu_s) = (started.elapsed().as_secs_f64(), usage::children_cpu_seconds(process::id()) - cpu_s);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = |clip: &Clip| {
            let written = clip.wav.with_extension("wav.txt");
            let text = fs::read_to_string(&written).expect("a text");
            fs::remove_file(written).expect("our file");
            text.replace('\n', " ")
        };
        let texts = set.clips.iter().map(text).collect();
        Heard { texts, wall_s: wall_s - self.wall_s, cpu_s: cpu_s - self.cpu_s }
    }
}

/// A Python that answers a line with a line; weights are loaded when it answers the first time.
struct FasterWhisper {
    beams: u32,
    python: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl FasterWhisper {
    fn start(beams: u32) -> Self {
        let mut command = Command::new(python::environment(NAME));
        command
            .arg("-B")
            .arg(python::ours(NAME, "faster.py"))
            .arg(python::cache(NAME).join("whisper-base-ct2"))
            .arg(THREADS.to_string());
        let mut python = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
        let answers = BufReader::new(python.stdout.take().unwrap()).lines();
        let mut new = Self { beams, python, answers };
        new.ask(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/ns_silence.wav"), Ru);
        new
    }

    fn ask(&mut self, wav: &Path, language: Language) -> String {
        writeln!(self.python.stdin.as_mut().unwrap(), "{}\t{language}\t{}", self.beams, wav.display())
            .expect("faster.py runs");
        self.answers.next().expect("faster.py runs").expect("text")
    }
}

impl Program for FasterWhisper {
    fn transcribe(&mut self, set: &Set) -> Heard {
        let process = self.python.id();
        let (started, cpu_s) = (Instant::now(), usage::cpu_seconds(process));
        let texts = set.clips.iter().map(|clip| self.ask(&clip.wav, set.language)).collect();
        Heard { texts, wall_s: started.elapsed().as_secs_f64(), cpu_s: usage::cpu_seconds(process) - cpu_s }
    }
}

impl Drop for FasterWhisper {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.python.stdin.take());
        let _ = self.python.wait();
    }
}

/// Built as its README says, for this very processor.
fn whisper_cli() -> PathBuf {
    let folder = python::cache(NAME).join(WHISPER_CPP);
    let (sources, built) = (folder.join("package/cpp/whisper.cpp"), folder.join("built"));
    let program = built.join("bin/whisper-cli");
    if !program.exists() {
        fs::create_dir_all(&folder).expect("the cache");
        python::run(Command::new("npm").args(["pack", "--silent", WHISPER_CPP]).current_dir(&folder));
        let package = folder.join(WHISPER_CPP.replace('@', "-") + ".tgz");
        let checksum = format!("{:x}", Sha256::digest(fs::read(&package).expect("the package")));
        assert_eq!(checksum, WHISPER_CPP_SHA256, "{}", package.display());
        python::run(Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(&folder));
        python::run(
            Command::new("cmake").arg("-S").arg(&sources).arg("-B").arg(&built).arg("-DCMAKE_BUILD_TYPE=Release"),
        );
        python::run(Command::new("cmake").arg("--build").arg(&built).args([
            "--target",
            "whisper-cli",
            "--parallel",
            "2",
        ]));
    }
    program
}
