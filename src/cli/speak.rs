//! `secretary speak`: a text into a WAV file.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::task::spawn_blocking;

use super::ConfigArg;
use crate::app;
use crate::engine::Language;
use crate::engine::onnx::OnnxRuntime;
use crate::engine::tts::{Tts, VoiceOrder};

/// What Piper voices speak at; the telephone's own rate would lose half of it.
const RATE_HZ: u32 = 22_050;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to say.
    text: String,
    /// One of the configured voices, by its name; the first of the language unless told.
    #[arg(long)]
    voice: Option<String>,
    /// The language of the text; taken from its letters unless told.
    #[arg(long, value_enum)]
    language: Option<Language>,
    /// Where to write the WAV file (mono, 16 bits, 22.05 kHz); standard output unless told.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

impl Args {
    /// Says a text in a voice.
    pub fn new(text: String, voice: String, language: Language, out: Option<PathBuf>, config: ConfigArg) -> Self {
        Self { text, voice: Some(voice), language: Some(language), out, config }
    }
}

pub async fn run(args: Args) -> Result<()> {
    ensure!(!args.text.trim().is_empty(), "there is nothing to say");
    ensure!(args.out.is_some() || !io::stdout().is_terminal(), "a terminal plays no WAV: name a file with --out");
    let (mut config, _) = args.config.load()?;
    if let Some(name) = &args.voice {
        config.tts.voices.retain(|voice| voice.name() == *name);
    }
    let cyrillic = args.text.chars().any(|c| matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё'));
    let language = args.language.unwrap_or(if cyrillic { Language::Ru } else { Language::En });
    let tts = spawn_blocking(move || {
        let runtime = OnnxRuntime::load(&config.models.onnxruntime())?;
        anyhow::Ok(Tts::start(&config.tts, &runtime)?)
    })
    .await??;
    if let Some(name) = &args.voice {
        can_speak(&tts, name, language)?;
    }
    let pcm = app::speak(&tts, args.text, language, RATE_HZ, &VoiceOrder::default()).await?;
    let wav = encode(&pcm)?;
    match &args.out {
        Some(path) => std::fs::write(path, wav).with_context(|| format!("cannot write {}", path.display()))?,
        None => io::stdout().write_all(&wav)?,
    }
    spawn_blocking(move || tts.shutdown()).await?;
    Ok(())
}

/// Another voice would speak in place of one that cannot.
fn can_speak(tts: &Tts, name: &str, language: Language) -> Result<()> {
    let Some(voice) = tts.voices().iter().find(|voice| voice.name == name) else {
        bail!("no voice is named {name}; `secretary check` lists them");
    };
    if let Some(problem) = &voice.problem {
        bail!("{name}: {problem}");
    }
    ensure!(voice.speaks(language), "{name} does not speak {language}");
    Ok(())
}

fn encode(pcm: &[i16]) -> Result<Vec<u8>> {
    let spec = WavSpec { channels: 1, sample_rate: RATE_HZ, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    pcm.iter().try_for_each(|sample| writer.write_sample(*sample))?;
    writer.finalize()?;
    Ok(bytes.into_inner())
}
