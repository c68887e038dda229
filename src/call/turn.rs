//! Whose turn it is: Listening ▸ Hearing or Keying ▸ Deciding ▸ Thinking ▸ Speaking.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Expects, PartId};

/// The silences and limits of a conversation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Silence after which what was said is transcribed ahead, in milliseconds; below `end_silence_ms`.
    pub pause_ms: u32,
    /// Silence after which the caller's turn is over, in milliseconds.
    pub end_silence_ms: u32,
    /// The same while a telephone number is being dictated.
    pub number_silence_ms: u32,
    /// Speech over the secretary's that makes her stop, in milliseconds.
    pub barge_in_ms: u32,
    /// Time from the end of the caller's turn to a filler («Секунду…»), in milliseconds.
    pub filler_after_ms: u32,
    /// Silence of both after which the caller is asked whether he is there, in seconds; after the second time she says goodbye.
    pub silence_s: u32,
    /// The longest call, in seconds.
    pub max_call_s: u32,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            pause_ms: 300,
            end_silence_ms: 700,
            number_silence_ms: 1_500,
            barge_in_ms: 400,
            filler_after_ms: 1_200,
            silence_s: 8,
            max_call_s: 1_800,
        }
    }
}

impl TurnConfig {
    pub(super) fn pause(&self) -> Duration {
        ms(self.pause_ms)
    }

    pub(super) fn end_silence(&self, expects: Expects) -> Duration {
        match expects {
            Expects::Anything => ms(self.end_silence_ms),
            Expects::Number => ms(self.number_silence_ms),
        }
    }

    pub(super) fn barge_in(&self) -> Duration {
        ms(self.barge_in_ms)
    }

    pub(super) fn filler_after(&self) -> Duration {
        ms(self.filler_after_ms)
    }

    pub(super) fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_s.into())
    }

    pub(super) fn max_call(&self) -> Duration {
        Duration::from_secs(self.max_call_s.into())
    }
}

fn ms(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

/// Whose turn it is, with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody speaks.
    Listening { since: Instant },
    /// The caller speaks.
    Hearing,
    /// The caller types a number; at `ends_at` it is whole.
    Keying { ends_at: Instant },
    /// The caller paused. The part `ahead` is being transcribed ahead; at `ends_at` his turn is over.
    Deciding { ends_at: Instant, ahead: Option<PartId> },
    /// The turn is over and nothing of the answer can be heard yet; a caller who goes on now still continues the part
    /// `ahead`. At `give_up_at` there is an answer all the same.
    Thinking { stage: Stage, ahead: Option<PartId>, filler: Filler, give_up_at: Instant },
    /// The answer is being heard.
    Speaking { answer: Answer },
    /// The call is over.
    Silent,
}

/// What the caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The words of the turn, of which so much is speech.
    Transcript { voiced: Duration },
    /// The answer's first sound.
    Reply(Answer),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filler {
    DueAt(Instant),
    Said,
}

/// How far the dialog is with an answer, and what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Coming(Then),
    Whole(Then),
}

impl Answer {
    pub(super) fn hang_up_after(self, by: super::EndedBy) -> Self {
        match self {
            Answer::Coming(_) => Answer::Coming(Then::HangUp(by)),
            Answer::Whole(_) => Answer::Whole(Then::HangUp(by)),
        }
    }

    pub(super) fn whole(self) -> Self {
        match self {
            Answer::Coming(then) | Answer::Whole(then) => Answer::Whole(then),
        }
    }
}

/// What follows an answer that has been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Listen,
    HangUp(super::EndedBy),
}
