//! `secretary chat`: the dialog without a telephone.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{ConfigArg, say};
use crate::app;
use crate::engine::Language;
use crate::engine::dialog::{Conversation, DialogEvent};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The language of the conversation; the first configured one unless told.
    #[arg(long, value_enum)]
    language: Option<Language>,
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: Args) -> Result<()> {
    let (config, secrets) = args.config.load()?;
    let dialog = app::dialog(&config, &secrets)?;
    let language = args.language.or(config.languages.first().copied()).unwrap_or(Language::Ru);
    let mut conversation = Conversation::new(language, None);
    let greeting = dialog.greet(language);
    conversation.say(&greeting);
    say(&greeting);
    while let Some(line) = spawn_blocking(read_line).await?? {
        let (events, mut replies) = mpsc::channel(8);
        let mut over = false;
        let print = async {
            while let Some(event) = replies.recv().await {
                match event {
                    DialogEvent::Sentence(text) => say(text),
                    DialogEvent::HangUp => over = true,
                }
            }
        };
        (conversation, ()) = tokio::join!(dialog.reply(conversation, line, language, events), print);
        if over {
            break;
        }
    }
    if let Some(message) = conversation.message() {
        say(serde_json::to_string_pretty(message)?);
    }
    Ok(())
}

/// The next line that says something; `None` at the end of the input.
fn read_line() -> io::Result<Option<String>> {
    loop {
        if io::stdin().is_terminal() {
            print!("> ");
            io::stdout().flush()?;
        }
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim();
        if !line.is_empty() {
            return Ok(Some(line.to_owned()));
        }
    }
}
