//! What the call wants of the engines: each is given its work here and answers by the queue of arrivals.

use std::ops::ControlFlow;
use std::time::Instant;

use super::{Arrival, Driver};
use crate::call::{Input, PartId, PhraseId};
use crate::clock;
use crate::engine::end_of_turn::TurnJob;
use crate::engine::stt::SttJob;
use crate::engine::tts::{SpeakJob, SpeechChunk};
use crate::engine::worker::Priority;
use crate::engine::{Cancel, Language};

impl Driver {
    pub(super) fn transcribe(
        &mut self,
        part: PartId,
        pcm: Vec<i16>,
        languages: Vec<Language>,
        priority: Priority,
        due: Instant,
    ) {
        if priority == Priority::Background && !self.parts.is_empty() {
            return self.unhurried.push_back((part, pcm, languages, due));
        }
        let cancel = Cancel::default();
        self.parts.insert(part, cancel.clone());
        let job = SttJob { pcm, rate_hz: self.call.rate().hz(), languages, cancel, priority, due };
        let arrivals = self.arrivals.clone();
        let submitted = self.office.stt.submit(job, move |result| {
            let result = result.map_err(|error| error.to_string());
            // On the recogniser's own thread: it may wait. The call may be over.
            let _ = arrivals.blocking_send(Arrival::Input(Input::Heard { part, result }));
        });
        if let Err(error) = submitted {
            let heard = Input::Heard { part, result: Err(error.to_string()) };
            self.call.handle_input(clock::now(), heard);
        }
    }

    pub(super) fn judge(&mut self, part: PartId, pcm: Vec<i16>) {
        let cancel = Cancel::default();
        self.judgements.insert(part, cancel.clone());
        let job = TurnJob { pcm, rate_hz: self.call.rate().hz(), cancel };
        let arrivals = self.arrivals.clone();
        let submitted = self.office.end_of_turn.submit(job, move |result| {
            let complete = result.map_err(|error| error.to_string());
            // On the model's own thread: it may wait. The call may be over.
            let _ = arrivals.blocking_send(Arrival::Input(Input::Judged { part, complete }));
        });
        if let Err(error) = submitted {
            let judged = Input::Judged { part, complete: Err(error.to_string()) };
            self.call.handle_input(clock::now(), judged);
        }
    }

    pub(super) fn speak(&mut self, phrase: PhraseId, text: String, language: Language) {
        // What was said before needs no voice.
        if let Some(clauses) = self.office.tts.cached(&text, language, self.call.rate().hz()) {
            let now = clock::now();
            for pcm in clauses {
                self.call.handle_input(now, Input::Sound { phrase, pcm });
            }
            return self.call.handle_input(now, Input::Synthesised { phrase, result: Ok(()) });
        }
        let cancel = self.phrases.clone();
        let job = SpeakJob { text, language, rate_hz: self.call.rate().hz(), cancel, priority: Priority::Final };
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
