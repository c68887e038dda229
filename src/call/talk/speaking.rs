//! What she says: from the first sound of an answer to its end, and how it is broken off.

use std::sync::Arc;
use std::time::Instant;

use super::barge_in::ANSWERS_WITHIN;
use super::{GIVE_UP_AFTER, Talk};
use crate::call::mouth::Purpose;
use crate::call::timeline::Moment;
use crate::call::turn::{Answer, Deciding, DoubleTalk, Filler, Stage, Then, Turn};
use crate::call::{EndedBy, Expects, Output, PartId, PhraseId, Service};
use crate::engine::TurnId;
use crate::rtp::Stream;

impl Talk {
    /// Says a line of the secretary's own as the whole answer.
    pub(super) fn say(&mut self, now: Instant, line: &str, then: Then) {
        self.turn = Turn::Thinking {
            stage: Stage::Reply { answer: Answer::Whole(then), ahead: None },
            filler: Filler::Said,
            give_up_at: now + GIVE_UP_AFTER,
        };
        self.speak(line, Purpose::Answer);
    }

    pub(super) fn speak(&mut self, text: &str, purpose: Purpose) {
        match self.mouth.say(text, purpose) {
            Some(phrase) => {
                let language = self.language();
                self.out.push_back(Output::Speak { phrase, text: text.to_owned(), language });
            }
            None => tracing::warn!("the answer has too many sentences: one was left out"),
        }
    }

    /// The dialog says a sentence.
    pub(in crate::call) fn sentence(&mut self, now: Instant, turn: TurnId, text: &str) {
        if turn == self.turn_id && self.answer().is_some() {
            self.timeline.note(Moment::FirstSentence, now);
            self.speak(text, Purpose::Answer);
        }
    }

    pub(in crate::call) fn wants_hang_up(&mut self, turn: TurnId) {
        if turn == self.turn_id {
            self.change_answer(|answer| answer.hang_up_after(EndedBy::Secretary));
        }
    }

    pub(in crate::call) fn replied(&mut self, turn: TurnId, expects: Expects) {
        if turn == self.turn_id {
            self.next_expects = Some(expects);
            self.change_answer(Answer::whole);
        }
    }

    fn answer(&self) -> Option<Answer> {
        match self.turn {
            Turn::Deciding(Deciding { guess, .. }) => guess,
            Turn::Thinking { stage: Stage::Reply { answer, .. }, .. } | Turn::Speaking { answer, .. } => Some(answer),
            _ => None,
        }
    }

    fn change_answer(&mut self, change: impl Fn(Answer) -> Answer) {
        match &mut self.turn {
            Turn::Deciding(Deciding { guess: Some(answer), .. })
            | Turn::Thinking { stage: Stage::Reply { answer, .. }, .. }
            | Turn::Speaking { answer, .. } => *answer = change(*answer),
            _ => {}
        }
    }

    /// Sound of a phrase arrived.
    pub(in crate::call) fn sound(&mut self, now: Instant, phrase: PhraseId, pcm: Arc<[i16]>, stream: &mut Stream) {
        if let Some(Purpose::Answer) = self.mouth.sound(phrase, pcm) {
            self.timeline.note(Moment::FirstSound, now);
        }
        self.speak_when_ready(now);
        self.feed(stream);
    }

    /// Begins to speak once there is sound of the answer, and not into what the caller says.
    pub(super) fn speak_when_ready(&mut self, now: Instant) {
        if let Turn::Thinking { stage: Stage::Reply { answer, ahead }, .. } = self.turn
            && self.mouth.has_sound()
            && !(self.ears.is_talking() && self.has_caller(Stage::Reply { answer, ahead }))
        {
            let has_said_more = self.has_said_more(ahead);
            self.begin_to_speak(now, answer, has_said_more);
        }
    }

    /// Whether the caller said something while the answer was being made; it is all that is left of the part.
    fn has_said_more(&mut self, ahead: Option<PartId>) -> bool {
        let Some(part) = self.parts.iter().find(|part| Some(part.id) == ahead) else { return false };
        // A line that may echo brings «секунду…» back.
        let has_said_more = !self.may_echo && self.ears.voiced() > part.voiced;
        if has_said_more {
            self.ears.drop_front(part.samples, part.voiced);
        }
        has_said_more
    }

    /// `has_said_more`: the part holds what the caller said since his turn was over.
    pub(super) fn begin_to_speak(&mut self, now: Instant, answer: Answer, has_said_more: bool) {
        let is_last =
            matches!(answer, Answer::Coming(then) | Answer::Whole(then) if then == Then::HangUp(EndedBy::TimeLimit));
        let is_greeting = self.greeting == Some(self.turn_id) && !self.config.turn.greeting_interruptible;
        let over = match () {
            () if is_last || is_greeting || self.service == Service::Message => DoubleTalk::Unheard,
            () if has_said_more || self.ears.is_talking() && self.greeting != Some(self.turn_id) => DoubleTalk::Begun,
            () => DoubleTalk::Nothing,
        };
        self.turn = Turn::Speaking { answer, over };
        self.spoken_since = None;
        self.last_sound = now;
        if over != DoubleTalk::Begun {
            self.ears.end_part();
        }
    }

    pub(in crate::call) fn synthesised(&mut self, phrase: PhraseId, result: Result<(), String>) {
        match result {
            Ok(()) => self.mouth.synthesised(phrase),
            Err(error) => {
                tracing::warn!(%error, "a phrase could not be spoken");
                self.mouth.failed(phrase);
            }
        }
    }

    pub(super) fn advance_thinking(&mut self, now: Instant, stream: &mut Stream) -> Option<EndedBy> {
        let Turn::Thinking { stage, filler, give_up_at } = self.turn else { return None };
        if let Stage::Reply { answer: Answer::Whole(then), .. } = stage
            && (!self.mouth.has_answer() && !stream.is_playing() || now >= give_up_at)
        {
            // No voice could say it. The words are in the call log.
            tracing::warn!("an answer could not be spoken");
            let heard = self.mouth.has_answer().then(|| self.mouth.heard());
            self.out.push_back(Output::CancelReply { turn: self.turn_id, heard });
            self.out.push_back(Output::Silence);
            return self.finish(now, then);
        }
        if self.has_caller(stage) && self.ears.talking_for() >= self.config.turn.barge_in() {
            let (Stage::Transcript { pause: Deciding { ahead, .. } } | Stage::Reply { ahead, .. }) = stage;
            self.go_on(ahead, stream);
        } else if now >= give_up_at {
            self.take_back(stream);
            self.record(now);
            self.ears.end_part();
            let line = self.script.lines(self.language()).not_heard.clone();
            self.say(now, &line, Then::Listen);
        } else if let Filler::DueAt(at) = filler
            && now >= at
        {
            self.turn = Turn::Thinking { stage, filler: Filler::Said, give_up_at };
            let fillers = &self.script.lines(self.language()).fillers;
            if let Some(line) = fillers.get(self.fillers % fillers.len().max(1)).cloned() {
                self.fillers += 1;
                self.speak(&line, Purpose::Filler);
            }
        }
        self.speak_when_ready(now);
        None
    }

    pub(super) fn advance_speaking(
        &mut self,
        now: Instant,
        answer: Answer,
        over: DoubleTalk,
        stream: &mut Stream,
    ) -> Option<EndedBy> {
        let silent = self.mouth.is_empty_of_work() && !stream.is_playing();
        match answer {
            Answer::Whole(then) if silent => return self.finish(now, then),
            Answer::Coming(then) | Answer::Whole(then)
                if stream.is_sending() && now.saturating_duration_since(self.last_sound) >= GIVE_UP_AFTER =>
            {
                tracing::warn!("the rest of an answer did not come");
                self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: Some(self.mouth.heard()) });
                self.out.push_back(Output::Silence);
                stream.stop_playing();
                return self.finish(now, then);
            }
            Answer::Coming(_) | Answer::Whole(_) => self.advance_over(now, answer, over, stream),
        }
        None
    }

    /// Stops what is being said and records the turn with what was heard of it.
    pub(super) fn interrupt(&mut self, now: Instant, stream: &mut Stream) {
        let Turn::Speaking { over, .. } = self.turn else { return };
        self.forget_probe(over);
        self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: Some(self.mouth.heard()) });
        stream.stop_playing();
        self.out.push_back(Output::Silence);
        self.expect();
        self.quiet_since = now;
        self.record(now);
    }

    /// What her answer asks for counts from now on, if he has heard of it.
    fn expect(&mut self) {
        if let Some(expects) = self.next_expects.take().filter(|_| self.mouth.is_heard()) {
            self.expects = expects;
        }
    }

    /// The answer has been heard to its end.
    pub(super) fn finish(&mut self, now: Instant, then: Then) -> Option<EndedBy> {
        if let (Service::Message, Then::HangUp(by)) = (self.service, then) {
            // Recorded when its words are there, which may be long after.
            self.turn = Turn::Silent;
            return Some(by);
        }
        let over = if let Turn::Speaking { over, .. } = self.turn { over } else { DoubleTalk::Nothing };
        let speaks = self.speaks_over(over);
        self.expect();
        // «Да» before the question was asked is no answer to it.
        let asks = self.asks() && self.quiet_for(now) < ANSWERS_WITHIN;
        self.said = self.mouth.text();
        self.record(now);
        self.quiet_since = now;
        match then {
            // He was only slow to answer.
            Then::HangUp(EndedBy::Silence) if speaks => self.hear_after(now, over, asks),
            Then::HangUp(by) => return Some(by),
            Then::Listen if self.service == Service::Message => self.turn = Turn::Dictating { began: now, since: now },
            Then::Listen if self.ears.part().is_some() => self.hear_after(now, over, asks),
            Then::Listen => self.turn = Turn::Listening { since: now },
        }
        None
    }
}
