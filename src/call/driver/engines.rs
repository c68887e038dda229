//! What the call wants of the engines: each is given its work here and answers by the queue of arrivals.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{Arrival, Driver};
use crate::call::{Input, PartId, PhraseId};
use crate::clock;
use crate::engine::end_of_turn::TurnJob;
use crate::engine::stt::{SttError, SttJob};
use crate::engine::tts::{SpeakJob, SpeechChunk};
use crate::engine::worker::Priority;
use crate::engine::{Cancel, Language};

/// Until a full queue is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A part of what the caller says.
pub(super) struct PartJob {
    pub part: PartId,
    pub pcm: Vec<i16>,
    pub languages: Vec<Language>,
    pub priority: Priority,
    pub due: Instant,
}

impl Driver {
    pub(super) fn transcribe(&mut self, job: PartJob) {
        if job.priority == Priority::Background {
            self.background.push_back(job);
            return self.transcribe_background();
        }
        if let Err(error) = self.submit(&job) {
            self.call.handle_input(clock::now(), Input::Heard { part: job.part, result: Err(error.to_string()) });
        }
    }

    /// One after the other, so that calls that nobody waits for leave room for each other. Where there is none it is tried again.
    pub(super) fn transcribe_background(&mut self) {
        let now = clock::now();
        if self.try_again_at.is_some_and(|at| now < at) {
            return;
        }
        self.try_again_at = None;
        if !self.parts.is_empty() {
            return;
        }
        let Some(job) = self.background.pop_front() else { return };
        match self.submit(&job) {
            Ok(()) => {}
            Err(SttError::QueueFull) => {
                self.background.push_front(job);
                self.try_again_at = Some(now + TRY_AGAIN);
            }
            Err(error) => {
                self.call.handle_input(now, Input::Heard { part: job.part, result: Err(error.to_string()) });
            }
        }
    }

    fn submit(&mut self, job: &PartJob) -> Result<(), SttError> {
        let &PartJob { part, priority, due, .. } = job;
        let (pcm, languages) = (job.pcm.clone(), job.languages.clone());
        let cancel = Cancel::default();
        let job = SttJob { pcm, rate_hz: self.call.rate().hz(), languages, cancel: cancel.clone(), priority, due };
        let arrivals = self.arrivals.clone();
        self.office.stt.submit(job, move |result| {
            let result = result.map_err(|error| error.to_string());
            // On the recogniser's own thread: it may wait. The call may be over.
            let _ = arrivals.blocking_send(Arrival::Input(Input::Heard { part, result }));
        })?;
        self.parts.insert(part, cancel);
        Ok(())
    }

    pub(super) fn judge(&mut self, part: PartId, pcm: Vec<i16>) {
        let cancel = Cancel::default();
        let job = TurnJob { pcm, rate_hz: self.call.rate().hz(), cancel: cancel.clone() };
        let arrivals = self.arrivals.clone();
        let submitted = self.office.end_of_turn.submit(job, move |result| {
            let complete = result.map_err(|error| error.to_string());
            // On the model's own thread: it may wait. The call may be over.
            let _ = arrivals.blocking_send(Arrival::Input(Input::Judged { part, complete }));
        });
        match submitted {
            Ok(()) => drop(self.judgements.insert(part, cancel)),
            Err(error) => {
                let judged = Input::Judged { part, complete: Err(error.to_string()) };
                self.call.handle_input(clock::now(), judged);
            }
        }
    }

    pub(super) fn speak(&mut self, phrase: PhraseId, text: String, language: Language) {
        // What was said before needs no voice.
        if let Some(clauses) = self.office.tts.cached(&text, language, self.call.rate().hz(), &self.voices) {
            let now = clock::now();
            for pcm in clauses {
                self.call.handle_input(now, Input::Sound { phrase, pcm });
            }
            return self.call.handle_input(now, Input::Synthesised { phrase, result: Ok(()) });
        }
        let (rate_hz, voices, cancel) = (self.call.rate().hz(), self.voices.clone(), self.phrases.clone());
        let job = SpeakJob { text, language, rate_hz, voices, cancel, priority: Priority::Final };
        let arrivals = self.arrivals.clone();
        let submitted = self.office.tts.speak(job, move |chunk| {
            let input = match chunk {
                SpeechChunk::Pcm(pcm) => Input::Sound { phrase, pcm: pcm.into() },
                SpeechChunk::Done => Input::Synthesised { phrase, result: Ok(()) },
                SpeechChunk::Failed(error) => Input::Synthesised { phrase, result: Err(error.to_string()) },
            };
            // On the voice's own thread: it may wait. Without a call nobody listens.
            match arrivals.blocking_send(Arrival::Input(input)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        if let Err(error) = submitted {
            let failed = Input::Synthesised { phrase, result: Err(error.to_string()) };
            self.call.handle_input(clock::now(), failed);
        }
    }
}
