//! `secretary transcribe`: what is said in a file.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::wav::read_mono;
use super::{ConfigArg, say};
use crate::engine::stt::{Stt, SttJob};
use crate::engine::worker::Priority;
use crate::engine::{Cancel, Language};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A WAV file of any rate and length; several channels are mixed.
    file: PathBuf,
    /// Print {"text", "language", "segments":[{"start_s","end_s","text"}], "audio_s", "processing_s"}.
    #[arg(long)]
    json: bool,
    /// The language that is spoken; detected among the configured ones unless told.
    #[arg(long, value_enum)]
    language: Option<Language>,
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: Args) -> Result<()> {
    let (config, _) = args.config.load()?;
    let (pcm, rate_hz) = read_mono(&args.file)?;
    let languages = args.language.map_or(config.languages.clone(), |language| vec![language]);
    let stt = spawn_blocking(move || Stt::start(&config.stt)).await??;
    let job = SttJob { pcm, rate_hz, languages, cancel: Cancel::default(), priority: Priority::Caller };
    let (done, result) = oneshot::channel();
    stt.submit(job, move |transcript| {
        // The receiver waits below.
        let _ = done.send(transcript);
    })?;
    let transcript = result.await.map_err(|_| anyhow!("the recogniser is gone"))?.context("not transcribed")?;
    if args.json {
        say(serde_json::to_string(&transcript)?);
    } else {
        say(transcript.text);
    }
    spawn_blocking(move || stt.shutdown()).await?;
    Ok(())
}
