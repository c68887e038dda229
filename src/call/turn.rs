//! Whose turn it is: Listening ▸ Hearing or Keying ▸ Deciding ▸ Thinking ▸ Speaking. A message alone is Dictating.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::PartId;

/// The silences and limits of a conversation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Silence after which what was said is transcribed and judged, in milliseconds; the shortest of all.
    pub pause_ms: u32,
    /// Probability (0 to 1), told by the end-of-turn model, from which on a turn is taken to be complete.
    pub complete_probability: f32,
    /// Silence after which a turn is over that the model takes to be complete, in milliseconds.
    pub sure_silence_ms: u32,
    /// The same for one of which the model says nothing.
    pub end_silence_ms: u32,
    /// The same for one that the model takes to be unfinished.
    pub unsure_silence_ms: u32,
    /// The same for one whose words are unfinished: a number, an address, a name that is spelled, half a sentence.
    pub held_silence_ms: u32,
    /// The same for a short answer to a question of yes or no.
    pub answer_silence_ms: u32,
    /// Speech over the secretary's that makes her wait, in milliseconds; she is softer from the first sound on.
    pub barge_in_ms: u32,
    /// Whether her greeting can be interrupted.
    pub greeting_interruptible: bool,
    /// Time from the end of the caller's turn to a filler («Секунду…»), in milliseconds.
    pub filler_after_ms: u32,
    /// Silence of both after which the caller is asked whether he is there, in seconds; after the second time she says goodbye.
    pub silence_s: u32,
    /// How long a machine or music may have the line, in seconds.
    pub machine_s: u32,
    /// The longest call, in seconds.
    pub max_call_s: u32,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            pause_ms: 100,
            complete_probability: 0.8,
            sure_silence_ms: 400,
            end_silence_ms: 700,
            unsure_silence_ms: 900,
            held_silence_ms: 1_500,
            answer_silence_ms: 350,
            barge_in_ms: 300,
            greeting_interruptible: true,
            filler_after_ms: 1_200,
            silence_s: 8,
            machine_s: 60,
            max_call_s: 1_800,
        }
    }
}

impl TurnConfig {
    /// The silences that end a turn, with their keys, in milliseconds.
    pub fn silences(&self) -> [(&'static str, u32); 5] {
        [
            ("sure_silence_ms", self.sure_silence_ms),
            ("end_silence_ms", self.end_silence_ms),
            ("unsure_silence_ms", self.unsure_silence_ms),
            ("held_silence_ms", self.held_silence_ms),
            ("answer_silence_ms", self.answer_silence_ms),
        ]
    }

    pub(super) fn pause(&self) -> Duration {
        ms(self.pause_ms)
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

    pub(super) fn machine(&self) -> Duration {
        Duration::from_secs(self.machine_s.into())
    }

    pub(super) fn max_call(&self) -> Duration {
        Duration::from_secs(self.max_call_s.into())
    }
}

fn ms(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

/// Whose turn it is, with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// Nobody speaks.
    Listening { since: Instant },
    /// The caller speaks.
    Hearing,
    /// The caller types a number; at `ends_at` it is whole.
    Keying { ends_at: Instant },
    /// The caller paused.
    Deciding(Deciding),
    /// The turn is over and nothing of the answer can be heard yet; a caller who goes on now still continues what he said.
    /// At `give_up_at` there is an answer all the same.
    Thinking { stage: Stage, filler: Filler, give_up_at: Instant },
    /// He leaves a message, which nobody answers. `since`: nobody has spoken.
    Dictating { began: Instant, since: Instant },
    /// The answer is being heard.
    Speaking { answer: Answer, over: DoubleTalk },
    /// The call is over.
    Silent,
}

/// What is known while it is open whether the caller has finished.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Deciding {
    /// When speech was last heard.
    pub paused_at: Instant,
    /// The part that ended with the pause: it is being transcribed, and goes on with the caller.
    pub ahead: Option<PartId>,
    /// Of this part.
    pub voiced: Duration,
    /// What the model says.
    pub complete: Option<f32>,
    /// The answer that is already being made, in case he has.
    pub guess: Option<Answer>,
}

/// What a caller does while she speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoubleTalk {
    /// He is not listened to before she has finished.
    Unheard,
    Nothing,
    /// He has begun to speak: she is softer.
    Begun,
    /// He goes on: she waits since then, until words tell whether it is for her.
    Held {
        since: Instant,
        words: Words,
    },
    /// It was short, or had no words so far. She speaks on until words tell whether it is for her.
    Asked {
        probe: Probe,
    },
    /// It goes on and has had no words so far: noise. She speaks on; when there is enough more of it, it is looked at again.
    Noise {
        /// Speech of the part when it was last looked at.
        voiced: Duration,
    },
}

/// What is known of the words of speech over hers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// There is not enough of it yet.
    Unasked,
    Asked(Probe),
    /// They cannot be had: its length tells.
    Unknown,
}

/// Speech over hers that is being transcribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    pub part: PartId,
    pub samples: usize,
    pub voiced: Duration,
}

/// What the caller waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    /// The words of the turn that ended so.
    Transcript { pause: Deciding },
    /// The answer's first sound. A caller who goes on continues the part `ahead`.
    Reply { answer: Answer, ahead: Option<PartId> },
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
