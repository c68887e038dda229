//! The dialog of the telephone secretary: what the caller said goes in, sentences to speak come out.
//!
//! Gemini answers where there is a key, the front desk where there is none and whenever Gemini fails (`ladder`).
//! The state of a call is a value ([`Conversation`]): an answer begun on a guess is thrown away by dropping it.
//!
//! Left out: tools, transfers, other language models.

mod config;
mod conversation;
pub mod front_desk;
mod gemini;
mod ladder;
mod prompt;
mod sentences;

use std::sync::Arc;

use chrono::NaiveDateTime;
use secrecy::SecretString;

use crate::engine::Language;

pub use config::{ByLanguage, DialogConfig, FrontDeskConfig, OfficeConfig};
pub use conversation::{Conversation, Expects, Line, Message, Who};
pub use front_desk::faq::Faq;
pub use front_desk::hours::{Day, Hours};
pub use gemini::{GeminiConfig, GeminiSetupError};

use front_desk::FrontDesk;
use front_desk::phrases::{FILLERS, Phrase};
use gemini::Gemini;
use ladder::Breaker;

/// What a reply consists of, in this order: sentences, then perhaps the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialogEvent {
    /// Ready to be spoken, sent as soon as it is whole.
    Sentence(String),
    /// The call is over as soon as what was said has been heard.
    HangUp,
}

/// Why the dialog cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DialogError {
    #[error(transparent)]
    Gemini(#[from] GeminiSetupError),
    #[error("[[faq]] number {number}: expected {expected}")]
    Faq { number: usize, expected: &'static str },
}

/// Checks `[dialog]` and `[[faq]]` without making anything of them: the key of what is wrong, and why.
pub fn check(config: &DialogConfig, faq: &[Faq]) -> Result<(), (&'static str, DialogError)> {
    front_desk::faq::check(faq).map_err(|error| ("faq", error))?;
    config.gemini.check().map_err(|error| ("dialog", error.into()))
}

/// The secretary, shared by all calls; clones are cheap.
#[derive(Debug, Clone)]
pub struct Dialog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    desk: FrontDesk,
    gemini: Option<Gemini>,
    breaker: Breaker,
    instructions: ByLanguage<String>,
}

impl Dialog {
    /// Without a key the front desk answers alone. No request is made here.
    pub fn new(
        config: DialogConfig,
        front_desk: FrontDeskConfig,
        gemini_key: Option<SecretString>,
    ) -> Result<Self, DialogError> {
        check(&config, &front_desk.faq).map_err(|(_, error)| error)?;
        let gemini = gemini_key.map(|key| Gemini::new(&config.gemini, key)).transpose()?;
        let inner = Inner {
            desk: FrontDesk::new(front_desk),
            gemini,
            breaker: Breaker::default(),
            instructions: config.instructions,
        };
        Ok(Dialog { inner: Arc::new(inner) })
    }

    /// The first words of a call. Tell the conversation with [`Conversation::say`].
    pub fn greet(&self, language: Language) -> String {
        self.inner.desk.greeting(language)
    }

    /// All that is said word for word, for the voice to prepare: the greeting of each language first.
    pub fn fixed_phrases(&self) -> Vec<(Language, String)> {
        [Language::Ru, Language::En]
            .into_iter()
            .flat_map(|language| self.inner.desk.fixed_phrases(language).into_iter().map(move |text| (language, text)))
            .collect()
    }

    /// Fills the silence while an answer is on its way; another `n` is another filler.
    pub fn filler(&self, language: Language, n: usize) -> &'static str {
        FILLERS.get(n % FILLERS.len()).map_or("", |phrase| phrase.text(language))
    }

    /// To a caller who has been silent, the `n`th time in a row from 0.
    pub fn silence_prompt(&self, language: Language, n: usize) -> &'static str {
        if n == 0 { Phrase::AreYouThere.text(language) } else { Phrase::StillListening.text(language) }
    }

    /// To a caller who stays silent, before we hang up.
    pub fn silence_goodbye(&self, language: Language) -> &'static str {
        Phrase::GoodbyeSilence.text(language)
    }

    pub fn goodbye(&self, language: Language) -> &'static str {
        Phrase::Goodbye.text(language)
    }

    /// Instead of the greeting, to a caller whom nobody will answer.
    pub fn leave_message(&self, language: Language) -> &'static str {
        Phrase::LeaveMessage.text(language)
    }

    /// To a caller who has left his message.
    pub fn message_left(&self, language: Language) -> &'static str {
        Phrase::MessageLeft.text(language)
    }

    /// When there was speech but no words could be recognised.
    pub fn not_heard(&self, language: Language) -> &'static str {
        Phrase::NotHeard.text(language)
    }
}

/// The wall clock of the office; the machine's time zone can be set with `TZ`.
fn local_time() -> NaiveDateTime {
    chrono::Local::now().naive_local()
}
