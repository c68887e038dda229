//! Words to the numbers of the text: byte pair encoding by the bundle's vocab.json, with the language in front.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::engine::Language;

/// The text part of what the token model is given.
pub struct TextTokenizer(Tokenizer);

impl TextTokenizer {
    /// # Errors
    /// When the file is none of a tokenizer.
    pub fn load(vocab: &Path) -> Result<Self, String> {
        Tokenizer::from_file(vocab).map(Self).map_err(|error| format!("{}: {error}", vocab.display()))
    }

    /// The numbers of a clause, which is made small as the model knows it. Letters that the vocabulary has not are one of it.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, clause: &str, language: Language) -> Result<Vec<usize>, String> {
        let words = format!("[{}]{}", language.code(), clause.to_lowercase()).replace(' ', "[SPACE]");
        let encoding = self.0.encode(words, false).map_err(|error| format!("encode the text: {error}"))?;
        Ok(encoding.get_ids().iter().map(|&id| id as usize).collect())
    }
}
