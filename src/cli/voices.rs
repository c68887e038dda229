//! `secretary voices`: which voices there are, what they sound like, and new ones from recordings.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::task::spawn_blocking;

use super::{ConfigArg, say, speak};
use crate::clock;
use crate::engine::Language;
use crate::engine::onnx::OnnxRuntime;
use crate::engine::tts::Tts;
use crate::engine::tts::enrolment::{are_of_several, check, cut, enrol};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The configured voices in order of preference: languages, licence, or why one is not used.
    List {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Has a voice say a sentence with a number, a time and a name in it.
    Try {
        /// One of the configured voices, by its name.
        voice: String,
        #[arg(long, value_enum, default_value = "ru")]
        language: Language,
        /// Where to write the WAV file; standard output unless told.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Whether recordings are good enough to make a voice of.
    Check {
        /// WAV files of one person.
        #[arg(required = true, value_name = "WAV")]
        recordings: Vec<PathBuf>,
    },
    /// Makes the folder of a new voice from recordings, for a voice of kind "xtts".
    Enroll {
        /// The name of the voice, and of its folder.
        name: String,
        /// WAV files of one person, best three of 6 to 30 s.
        #[arg(required_unless_present = "call", value_name = "WAV")]
        recordings: Vec<PathBuf>,
        /// A call of the call log, such as call_20260131_093000: the voice is the caller's.
        #[arg(long, conflicts_with = "recordings")]
        call: Option<String>,
        /// Who agreed that the voice is used, and to what; asked for unless given.
        #[arg(long, value_name = "TEXT")]
        consent: Option<String>,
        /// Where the voices are.
        #[arg(long, value_name = "FOLDER", default_value = "voices")]
        voices: PathBuf,
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::List { config } => list(config).await,
        Command::Try { voice, language, out, config } => {
            let text = match language {
                Language::Ru => "Здравствуйте! Анна Сергеевна будет в 18:30, её номер 8 916 123-45-67.",
                Language::En => "Good morning! Mrs. Brown will be back at 6:30 pm, her number is 415-555-0172.",
            };
            speak::run(speak::Args::new(text.to_owned(), voice, language, out, config)).await
        }
        Command::Check { recordings } => spawn_blocking(move || judge(&recordings)).await?,
        Command::Enroll { name, recordings, call: None, consent, voices, config: _ } => {
            spawn_blocking(move || enroll(&name, &recordings, None, consent, &voices)).await?
        }
        Command::Enroll { name, call: Some(call), consent, voices, config, .. } => {
            let log = config.load()?.0.log.dir;
            spawn_blocking(move || {
                let folder = tempfile::tempdir()?;
                let clips = cut(&recording_of(&log, &call)?, folder.path()).map_err(anyhow::Error::msg)?;
                enroll(&name, &clips, Some(call), consent, &voices)
            })
            .await?
        }
    }
}

async fn list(config: ConfigArg) -> Result<()> {
    let (config, _) = config.load()?;
    spawn_blocking(move || {
        let runtime = OnnxRuntime::load(&config.models.onnxruntime())?;
        let tts = Tts::start(&config.tts, &runtime)?;
        for voice in tts.voices() {
            match &voice.problem {
                None => say(format_args!("{}: {}", voice.name, voice.ability)),
                Some(problem) => say(format_args!("{}: not used: {problem}", voice.name)),
            }
        }
        tts.shutdown();
        anyhow::Ok(())
    })
    .await?
}

/// Tells of each recording what is wrong with it.
fn judge(recordings: &[PathBuf]) -> Result<()> {
    let (mut qualities, mut wrong) = (Vec::new(), 0);
    for path in recordings {
        let quality = match check(path) {
            Ok(quality) => quality,
            Err(problem) => bail!("{}: {problem}", path.display()),
        };
        let faults = quality.faults();
        wrong += usize::from(!faults.is_empty());
        let pitch = quality.pitch_hz.map_or(String::new(), |(low, high)| format!(", pitch {low:.0} to {high:.0} Hz"));
        say(format_args!(
            "{}: {:.1} s, {:.0} dB, {:.0} dB above the noise{pitch}{}",
            path.display(),
            quality.seconds,
            quality.level_db,
            quality.snr_db,
            if faults.is_empty() { ": good" } else { "" },
        ));
        faults.iter().for_each(|fault| say(format_args!("  {fault}")));
        qualities.push(quality);
    }
    if let Some(fault) = are_of_several(&qualities) {
        bail!("the recordings together: {fault}");
    }
    ensure!(wrong == 0, "{wrong} of {} recordings will not do", recordings.len());
    Ok(())
}

/// What the caller said in a call that is over.
fn recording_of(log: &Path, call: &str) -> Result<PathBuf> {
    let file = |end: &str| log.join(format!("{call}_{end}"));
    let record = file("record.json");
    let text =
        fs::read(&record).with_context(|| format!("no call {call} in {}: {}", log.display(), record.display()))?;
    let record: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", record.display()))?;
    ensure!(record["status"] != "in_progress", "{call} goes on: hang up first");
    Ok(file("input.wav"))
}

fn enroll(
    name: &str,
    recordings: &[PathBuf],
    call: Option<String>,
    consent: Option<String>,
    voices: &Path,
) -> Result<()> {
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name) && !name.starts_with('.');
    ensure!(is_plain, "the name of a voice is that of a folder, without / and no dot in front");
    judge(recordings)?;
    let agreed = match consent {
        Some(text) => text,
        None => asked()?,
    };
    ensure!(!agreed.trim().is_empty(), "without the consent of who is heard there is no voice (--consent TEXT)");
    let folder = voices.join(name);
    enrol(&folder, recordings, agreed.trim(), call, clock::time_of_day()).map_err(anyhow::Error::msg)?;
    say(format_args!("{}: write it as `voice` into a [[tts.voices]] of kind \"xtts\"", folder.display()));
    Ok(())
}

/// Asks at a terminal.
fn asked() -> Result<String> {
    ensure!(io::stdin().is_terminal(), "say who agreed that the voice is used, and to what, with --consent TEXT");
    write!(io::stderr(), "Who is heard, and what has he agreed to? ")?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}
