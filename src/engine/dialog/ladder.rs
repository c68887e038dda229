//! Who answers: Gemini ▸ front desk. There is always an answer.
//!
//! - The front desk answers what must not be left to a model: a message being taken, a farewell.
//! - Gemini fails before its first sentence: the front desk answers the same words in the same turn.
//! - Gemini fails later: what was said stands, and the front desk asks what else it can do.
//! - A Gemini that failed is not asked again for a pause that grows, so that no caller waits for it in every turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::engine::Language;

use super::front_desk::phrases::Phrase;
use super::gemini::{Gemini, GeminiError};
use super::{Conversation, Dialog, DialogEvent, Who, prompt};

/// What Gemini made of a turn.
enum Outcome {
    Answered,
    /// Nothing has been said.
    Failed,
    /// Some of it has been said.
    BrokenOff,
    /// Nobody listens for the events any more.
    Unheard,
}

impl Dialog {
    /// The answer to what the caller said, as events; returns the conversation after it. `conversation` is taken by
    /// value: keep a clone to be able to throw the answer away. At least one [`DialogEvent::Sentence`] is sent, unless
    /// the receiver is gone. Dropping the future cancels the answer and the request behind it.
    pub async fn reply(
        &self,
        mut conversation: Conversation,
        text: String,
        language: Language,
        events: Sender<DialogEvent>,
    ) -> Conversation {
        conversation.language = language;
        conversation.add(Who::Caller, &text);
        // As it was remembered: trimmed and bounded.
        let text = conversation.history.last().map_or_else(String::new, |line| line.text.clone());
        let mut said = Vec::new();

        let claimed = text.is_empty() || self.inner.desk.claims(&conversation.desk, &text, language);
        let gemini = self.inner.gemini.as_ref().filter(|_| !claimed && self.inner.breaker.allows(Instant::now()));
        let outcome = match gemini {
            Some(gemini) => self.ask(gemini, &conversation, language, &events, &mut said).await,
            None => Outcome::Failed,
        };
        match outcome {
            Outcome::Answered | Outcome::Unheard => {}
            Outcome::Failed => return self.front_desk(conversation, &text, events).await,
            Outcome::BrokenOff => {
                for phrase in [Phrase::Interrupted, Phrase::AnythingElse] {
                    let sentence = phrase.text(language).to_owned();
                    if events.send(DialogEvent::Sentence(sentence.clone())).await.is_ok() {
                        said.push(sentence);
                    }
                }
            }
        }
        conversation.desk = self.inner.desk.note(&conversation.desk, &text, language, &said);
        conversation.add(Who::Secretary, &said.join(" "));
        conversation
    }

    /// Notes what a caller said who does not wait for an answer.
    pub fn overhear(&self, mut conversation: Conversation, text: &str, language: Language) -> Conversation {
        conversation.language = language;
        conversation.add(Who::Caller, text);
        let caller_number = conversation.caller_number.as_deref();
        let (desk, _) = self.inner.desk.reply(&conversation.desk, text, language, caller_number, super::local_time());
        conversation.desk = desk;
        conversation
    }

    /// What the caller has dictated for somebody to read.
    pub fn take_down(&self, mut conversation: Conversation, text: &str, language: Language) -> Conversation {
        conversation.language = language;
        conversation.add(Who::Caller, text);
        conversation.desk = self.inner.desk.take_down(&conversation.desk, text, language);
        conversation
    }

    async fn front_desk(
        &self,
        mut conversation: Conversation,
        text: &str,
        events: Sender<DialogEvent>,
    ) -> Conversation {
        let (desk, answer) = self.inner.desk.reply(
            &conversation.desk,
            text,
            conversation.language,
            conversation.caller_number.as_deref(),
            super::local_time(),
        );
        conversation.desk = desk;
        let mut said = Vec::new();
        for event in answer {
            if let DialogEvent::Sentence(sentence) = &event {
                said.push(sentence.clone());
            }
            if events.send(event).await.is_err() {
                debug!("the answer of the front desk is not wanted any more");
                break;
            }
        }
        conversation.add(Who::Secretary, &said.join(" "));
        conversation
    }

    async fn ask(
        &self,
        gemini: &Gemini,
        conversation: &Conversation,
        language: Language,
        events: &Sender<DialogEvent>,
        said: &mut Vec<String>,
    ) -> Outcome {
        let instructions = self.inner.instructions.get_any(language).map(String::as_str);
        let system = prompt::system(&self.inner.desk, instructions, language, super::local_time());
        let error = match stream(gemini, &system, conversation, events, said).await {
            Ok(outcome) => {
                self.inner.breaker.succeeded();
                return outcome;
            }
            Err(error) => error,
        };
        // A filter has judged these words; that says nothing of the next.
        if matches!(error, GeminiError::Blocked { .. }) {
            warn!(%error, "the front desk answers");
        } else {
            let pause = self.inner.breaker.failed(Instant::now());
            warn!(%error, pause_s = pause.as_secs(), "the front desk answers, Gemini is left alone for a while");
        }
        if said.is_empty() { Outcome::Failed } else { Outcome::BrokenOff }
    }
}

async fn stream(
    gemini: &Gemini,
    system: &str,
    conversation: &Conversation,
    events: &Sender<DialogEvent>,
    said: &mut Vec<String>,
) -> Result<Outcome, GeminiError> {
    let mut answer = gemini.ask(system, &conversation.history).await?;
    while let Some(sentence) = answer.next_sentence().await? {
        if events.send(DialogEvent::Sentence(sentence.clone())).await.is_err() {
            return Ok(Outcome::Unheard);
        }
        said.push(sentence);
    }
    Ok(Outcome::Answered)
}

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Keeps a broken server from being asked in every turn. Shared by all calls.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    paused_until: Option<Instant>,
}

impl Breaker {
    fn allows(&self, now: Instant) -> bool {
        self.lock().paused_until.is_none_or(|until| until <= now)
    }

    fn succeeded(&self) {
        *self.lock() = Failures::default();
    }

    /// Returns the pause.
    fn failed(&self, now: Instant) -> Duration {
        let mut failures = self.lock();
        // Calls that failed together are one failure.
        if let Some(until) = failures.paused_until.filter(|until| *until > now) {
            return until - now;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.in_a_row.min(16)).min(LONGEST_PAUSE);
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.paused_until = Some(now + pause);
        pause
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_to_a_bound_and_a_success_ends_it() {
        let breaker = Breaker::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(breaker.allows(Instant::now()));
            pauses.push(breaker.failed(Instant::now()).as_secs());
            assert!(!breaker.allows(Instant::now()));
            // Another call fails at the same time.
            breaker.failed(Instant::now());
            tokio::time::advance(Duration::from_secs(pauses[pauses.len() - 1])).await;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
        breaker.succeeded();
        assert_eq!(breaker.failed(Instant::now()), FIRST_PAUSE);
    }
}
