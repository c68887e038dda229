//! When a caller who pauses has finished: the words of his turn, the end-of-turn model and the silence together.
//!
//! The model hears melody and rhythm, and errs; the words tell what must not be cut off, whatever the melody. So each
//! piece of evidence chooses how long a silence is the end ([`TurnConfig`]), and none of them is an end by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Expects;
use super::turn::TurnConfig;
use crate::engine::Language;
use crate::engine::end_of_turn::unfinished;

/// An answer to a yes/no question is no longer than this, in speech.
const SHORT_ANSWER: Duration = Duration::from_millis(1_000);

/// What ended a caller's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnEnd {
    /// A short answer to a question of yes or no.
    Answer,
    /// The model was sure.
    Model,
    /// Silence: the model had nothing to say.
    Silence,
    /// A longer silence, up to the one configured: the model took the turn for unfinished, the surer the longer.
    Unsure,
    /// The longest silence: the words ended in the middle of a number, an address, a name or a sentence.
    Held,
    /// The last key of a number.
    Keys,
}

/// What is known of a pause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause<'t> {
    pub expects: Expects,
    /// Speech of this part of the turn.
    pub voiced: Duration,
    /// How likely the caller has finished, 0 to 1, once the model has told.
    pub complete: Option<f32>,
    /// The words of the whole turn, once they are all there.
    pub text: Option<&'t str>,
    pub language: Language,
}

impl Pause<'_> {
    /// The silence after which the turn is over, and why then.
    pub(super) fn limit(&self, config: &TurnConfig) -> (TurnEnd, Duration) {
        let end = self.end(config);
        let ms = match end {
            TurnEnd::Answer => config.answer_silence_ms,
            TurnEnd::Model => config.sure_silence_ms,
            TurnEnd::Silence => config.end_silence_ms,
            TurnEnd::Unsure => {
                let [sure, unsure] = [config.sure_silence_ms, config.unsure_silence_ms].map(|ms| ms as f32);
                // The likelier, the sooner.
                let likely = self.complete.unwrap_or_default() / config.complete_probability;
                (unsure + (sure - unsure) * likely).round() as u32
            }
            TurnEnd::Held | TurnEnd::Keys => config.held_silence_ms,
        };
        (end, Duration::from_millis(ms.into()))
    }

    fn end(&self, config: &TurnConfig) -> TurnEnd {
        if self.is_unfinished() {
            return TurnEnd::Held;
        }
        if self.expects == Expects::YesNo && self.voiced <= SHORT_ANSWER {
            return TurnEnd::Answer;
        }
        match self.complete {
            Some(probability) if probability >= config.complete_probability => TurnEnd::Model,
            Some(_) => TurnEnd::Unsure,
            None => TurnEnd::Silence,
        }
    }

    /// Whether the words say that something follows. Of a number that is being dictated nothing is known before its words.
    pub(super) fn is_unfinished(&self) -> bool {
        let is_dictated = self.expects == Expects::Number;
        match self.text {
            Some(text) => unfinished(text, self.language, is_dictated).is_some(),
            None => is_dictated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Pause<'static> = Pause {
        expects: Expects::Anything,
        voiced: Duration::from_secs(3),
        complete: None,
        text: None,
        language: Language::Ru,
    };

    #[test]
    fn each_piece_of_evidence_has_its_silence() {
        let config = TurnConfig::default();
        let short = Duration::from_millis(500);
        let cases = [
            (PAUSE, TurnEnd::Silence, config.end_silence_ms),
            (Pause { complete: Some(0.99), ..PAUSE }, TurnEnd::Model, config.sure_silence_ms),
            (Pause { complete: Some(0.0), ..PAUSE }, TurnEnd::Unsure, config.unsure_silence_ms),
            (
                Pause { complete: Some(config.complete_probability / 2.0), ..PAUSE },
                TurnEnd::Unsure,
                (config.sure_silence_ms + config.unsure_silence_ms) / 2,
            ),
            (
                Pause { complete: Some(0.99), text: Some("перезвоните мне по номеру"), ..PAUSE },
                TurnEnd::Held,
                config.held_silence_ms,
            ),
            (Pause { complete: Some(0.99), expects: Expects::Number, ..PAUSE }, TurnEnd::Held, config.held_silence_ms),
            (
                Pause { complete: Some(0.99), expects: Expects::Number, text: Some("8 916"), ..PAUSE },
                TurnEnd::Held,
                config.held_silence_ms,
            ),
            (
                Pause { complete: Some(0.99), expects: Expects::Number, text: Some("8 916 123 45 67"), ..PAUSE },
                TurnEnd::Model,
                config.sure_silence_ms,
            ),
            (Pause { expects: Expects::YesNo, voiced: short, ..PAUSE }, TurnEnd::Answer, config.answer_silence_ms),
            (
                Pause { expects: Expects::YesNo, voiced: short, text: Some("да, но"), ..PAUSE },
                TurnEnd::Held,
                config.held_silence_ms,
            ),
            (Pause { expects: Expects::YesNo, ..PAUSE }, TurnEnd::Silence, config.end_silence_ms),
        ];
        for (pause, end, silence_ms) in cases {
            assert_eq!(pause.limit(&config), (end, Duration::from_millis(silence_ms.into())), "{pause:?}");
        }
    }
}
