//! `secretary transcribe`: what is said in a file, of which no more than half a minute is held at a time.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::wav::Mono;
use super::{ConfigArg, say};
use crate::clock;
use crate::engine::stt::windows::Windows;
use crate::engine::stt::{Stt, SttJob, Transcript};
use crate::engine::worker::Priority;
use crate::engine::{Cancel, Language};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A WAV file of integer or floating-point samples (PCM) of any rate and length; several channels are mixed.
    file: PathBuf,
    /// Print {"text", "language", "segments":[{"start_s","end_s","text","words"}], "caught":[{"text","why"}], "audio_s", "processing_s"};
    /// what was heard and nobody said is `caught`, loading the model is not in `processing_s`.
    #[arg(long)]
    json: bool,
    /// The language that is spoken; detected among the configured ones unless told.
    #[arg(long, value_enum)]
    language: Option<Language>,
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: Args) -> Result<()> {
    let (mut config, _) = args.config.load()?;
    // One window after the other.
    config.stt.workers = 1;
    let samples = Mono::open(&args.file)?;
    let languages = args.language.map_or(config.languages.clone(), |language| vec![language]);
    let stt = spawn_blocking(move || Stt::start(&config.stt)).await??;
    let transcript = transcribe(&stt, samples, languages).await?;
    if args.json {
        say(serde_json::to_string(&transcript)?);
    } else {
        say(transcript.text);
    }
    spawn_blocking(move || stt.shutdown()).await?;
    Ok(())
}

/// One window after the other. The first in which something is said decides on the language.
async fn transcribe(stt: &Stt, samples: Mono, mut languages: Vec<Language>) -> Result<Transcript> {
    let rate_hz = samples.rate_hz();
    let mut whole: Option<Transcript> = None;
    for window in Windows::new(samples, rate_hz) {
        let window = window?;
        let start_s = (window.start as f64 / f64::from(rate_hz)) as f32;
        let (languages_now, cancel, due) = (languages.clone(), Cancel::default(), clock::now());
        let job =
            SttJob { pcm: window.pcm, rate_hz, languages: languages_now, cancel, priority: Priority::Background, due };
        let (done, result) = oneshot::channel();
        stt.submit(job, move |transcript| {
            // The receiver waits below.
            let _ = done.send(transcript);
        })?;
        let part = result.await.map_err(|_| anyhow!("the recogniser is gone"))?.context("not transcribed")?;
        if !part.text.is_empty() {
            languages = vec![part.language];
        }
        match &mut whole {
            None => whole = Some(part),
            Some(whole) => whole.append(part, start_s),
        }
    }
    whole.context("the file has no samples")
}
