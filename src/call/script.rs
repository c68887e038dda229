//! What the secretary says of her own accord, in each language.

use crate::engine::Language;
use crate::engine::dialog::Dialog;

/// Fillers that take turns, so that two in one call differ.
const FILLERS: usize = 3;
/// Times that a silent caller is asked whether he is there.
const SILENCE_PROMPTS: usize = 2;

/// The lines of one language.
#[derive(Debug, Clone)]
pub struct Lines {
    pub greeting: String,
    /// Bridge the time until an answer («Секунду…»).
    pub fillers: Vec<String>,
    /// After a silence of the caller's, one after the other.
    pub silence_prompts: Vec<String>,
    /// To a caller who stays silent.
    pub silence_goodbye: String,
    /// The caller spoke but no words were understood.
    pub not_heard: String,
    /// Instead of the greeting, to a caller who can only leave a message.
    pub leave_message: String,
    /// When he has.
    pub message_left: String,
    /// At the end of the time that a call may last.
    pub goodbye: String,
}

/// The lines of all languages.
#[derive(Debug, Clone)]
pub struct Script {
    pub ru: Lines,
    pub en: Lines,
}

impl Script {
    pub fn lines(&self, language: Language) -> &Lines {
        match language {
            Language::Ru => &self.ru,
            Language::En => &self.en,
        }
    }
}

impl From<&Dialog> for Script {
    fn from(dialog: &Dialog) -> Self {
        let lines = |language| Lines {
            greeting: dialog.greet(language),
            fillers: (0..FILLERS).map(|n| dialog.filler(language, n).to_owned()).collect(),
            silence_prompts: (0..SILENCE_PROMPTS).map(|n| dialog.silence_prompt(language, n).to_owned()).collect(),
            silence_goodbye: dialog.silence_goodbye(language).to_owned(),
            not_heard: dialog.not_heard(language).to_owned(),
            leave_message: dialog.leave_message(language).to_owned(),
            message_left: dialog.message_left(language).to_owned(),
            goodbye: dialog.goodbye(language).to_owned(),
        };
        Self { ru: lines(Language::Ru), en: lines(Language::En) }
    }
}
