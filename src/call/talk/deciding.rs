//! Whether a caller who pauses has finished, and the answer that is begun in case he has.

use std::time::Instant;

use super::{GIVE_UP_AFTER, NOISE, Opening, Talk};
use crate::call::ending::{Pause, TurnEnd};
use crate::call::timeline::Moment;
use crate::call::turn::{Answer, Deciding, Filler, Stage, Then, Turn};
use crate::call::{Output, PartId};
use crate::rtp::Stream;

/// Times in a row that the caller is asked to say it again.
const MAX_MISSES: u8 = 2;

impl Talk {
    pub(super) fn advance_deciding(&mut self, now: Instant, pause: Deciding, stream: &mut Stream) {
        let text = self.whole_text();
        let (end, limit) = self.evidence(&pause, text.as_deref()).limit(&self.config.turn);
        if !self.ears.is_talking() && now >= pause.paused_at + limit {
            self.end_turn(now, pause, end);
            self.mouth.feed(stream);
        }
    }

    pub(super) fn evidence<'t>(&self, pause: &Deciding, text: Option<&'t str>) -> Pause<'t> {
        let &Deciding { voiced, complete, .. } = pause;
        Pause { expects: self.expects, voiced, complete, text, language: self.language() }
    }

    /// What the caller has said in this turn, when all of it is known.
    fn whole_text(&self) -> Option<String> {
        self.parts.iter().all(|part| part.text.is_some()).then(|| self.caller_text())
    }

    /// The model has judged a pause; an error is no judgement.
    pub(in crate::call) fn judged(&mut self, part: PartId, complete: Result<f32, String>) {
        match (&mut self.turn, complete) {
            (Turn::Deciding(pause), Ok(complete)) if pause.ahead == Some(part) => pause.complete = Some(complete),
            (_, Ok(_)) => {}
            (_, Err(error)) => tracing::debug!(%error, "no judgement whether the caller has finished"),
        }
    }

    fn end_turn(&mut self, now: Instant, pause: Deciding, end: TurnEnd) {
        self.timeline.note(Moment::TurnEnded, now);
        self.turn_end = Some(end);
        let (filler, give_up_at) = self.patience(now);
        if pause.guess.is_some() {
            self.note_words(&self.caller_text());
        }
        match pause.guess {
            Some(answer) if self.mouth.has_sound() => self.begin_to_speak(now, answer, false),
            Some(answer) => {
                let stage = Stage::Reply { answer, ahead: pause.ahead };
                self.turn = Turn::Thinking { stage, filler, give_up_at };
            }
            None => {
                self.turn = Turn::Thinking { stage: Stage::Transcript { pause }, filler, give_up_at };
                self.answer_when_heard(now);
            }
        }
    }

    /// The caller has typed his last key.
    pub(super) fn end_keyed(&mut self, now: Instant) {
        let voiced = self.ears.voiced();
        let pause = Deciding { paused_at: now, ahead: None, voiced, complete: None, guess: None };
        self.end_turn(now, pause, TurnEnd::Keys);
    }

    fn patience(&self, now: Instant) -> (Filler, Instant) {
        (Filler::DueAt(now + self.config.turn.filler_after()), now + GIVE_UP_AFTER)
    }

    /// Asks for an answer once every word is known, which may be before it is certain that there are no more.
    pub(super) fn answer_when_heard(&mut self, now: Instant) {
        let Some(text) = self.whole_text() else { return };
        match self.turn {
            Turn::Deciding(pause) if pause.guess.is_none() => {
                self.timeline.note(Moment::Transcribed, now);
                let is_for_her = !text.is_empty() && !self.is_aside(&text) && self.machine(&text).is_none();
                if is_for_her && !self.evidence(&pause, Some(&text)).is_unfinished() {
                    // A person has spoken.
                    self.machine_since = None;
                    self.turn = Turn::Deciding(Deciding { guess: Some(Answer::Coming(Then::Listen)), ..pause });
                    self.ask(text);
                }
            }
            Turn::Thinking { stage: Stage::Transcript { pause }, filler, give_up_at } => {
                self.timeline.note(Moment::Transcribed, now);
                if self.is_aside(&text) {
                    return self.nothing_said();
                }
                if text.is_empty() {
                    return self.unheard(now, pause);
                }
                let evidence = self.evidence(&pause, Some(&text));
                let (_, limit) = evidence.limit(&self.config.turn);
                if self.turn_end != Some(TurnEnd::Keys) && evidence.is_unfinished() && now < pause.paused_at + limit {
                    // The words tell what the melody did not: he is in the middle of a sentence.
                    self.timeline.forget(Moment::TurnEnded);
                    self.turn = Turn::Deciding(pause);
                    return;
                }
                if self.is_machine(now, &text) {
                    return;
                }
                self.note_words(&text);
                let stage = Stage::Reply { answer: Answer::Coming(Then::Listen), ahead: pause.ahead };
                self.turn = Turn::Thinking { stage, filler, give_up_at };
                self.ask(text);
            }
            _ => {}
        }
    }

    fn ask(&mut self, text: String) {
        self.misses = 0;
        self.silence_prompts = 0;
        self.out.push_back(Output::Reply { turn: self.turn_id, text, language: self.language() });
    }

    /// As if the caller had not opened his mouth.
    fn nothing_said(&mut self) {
        self.parts.clear();
        self.ears.end_part();
        self.mouth.clear();
        self.out.push_back(Output::Silence);
        (self.opening, self.turn_end) = (Opening::None, None);
        self.turn = Turn::Listening { since: self.quiet_since };
    }

    /// There was speech, but no words.
    fn unheard(&mut self, now: Instant, pause: Deciding) {
        if pause.voiced < NOISE || self.misses >= MAX_MISSES {
            return self.nothing_said();
        }
        self.misses += 1;
        let line = self.script.lines(self.language()).not_heard.clone();
        self.say(now, &line, Then::Listen);
    }
}
