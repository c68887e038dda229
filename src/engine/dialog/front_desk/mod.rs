//! The front desk: a deterministic receptionist in Russian and English. It needs no network, no key and no model, and is
//! the bottom of the ladder: it always has an answer.
//!
//! It greets, answers typical questions and opening hours, takes a message (name, number, matter; reads the number
//! back), says goodbye and hangs up. A reply is a function of its arguments; the state goes in and comes out by value.
//!
//! Left out: putting callers through, spelled names, more than one message in a call (a second is added to the first).

pub mod faq;
pub mod hours;
mod intent;
mod message;
mod names;
pub(crate) mod numbers;
pub mod phrases;
pub(crate) mod words;

use chrono::NaiveDateTime;

use crate::engine::Language;

use super::config::FrontDeskConfig;
use super::{DialogEvent, Expects, Message, sentences};
use intent::Heard;
use message::Step;
use phrases::Phrase;

/// How often in a row a caller may stay not understood before we say goodbye.
const MOST_NOT_UNDERSTOOD: u8 = 3;

/// Where the front desk is in the conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    task: Task,
    /// What is known of the caller and their matter, however the message ends.
    draft: Message,
    /// In a row.
    not_understood: u8,
    last: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Task {
    #[default]
    Listening,
    TakingMessage(Step),
    /// «Чем ещё могу помочь?» was asked.
    AskedForMore,
}

impl State {
    /// In the middle of taking a message: whatever the caller says next belongs to it.
    pub fn is_taking_message(&self) -> bool {
        matches!(self.task, Task::TakingMessage(_))
    }

    /// What the last question is about; a number that was dictated so far is not yet one either.
    pub fn expects(&self) -> Expects {
        match &self.task {
            Task::TakingMessage(Step::Number { .. }) => Expects::Number,
            Task::TakingMessage(Step::Confirm { .. }) => Expects::YesNo,
            Task::TakingMessage(Step::Name { .. } | Step::Matter { .. }) | Task::Listening | Task::AskedForMore => {
                Expects::Anything
            }
        }
    }

    /// What was taken so far; empty if nothing was.
    pub fn message(&self) -> &Message {
        &self.draft
    }
}

/// The receptionist of one office.
#[derive(Debug, Clone)]
pub struct FrontDesk {
    config: FrontDeskConfig,
}

/// A reply in the making.
struct Turn<'a> {
    text: &'a str,
    heard: Heard,
    language: Language,
    caller_number: Option<&'a str>,
    now: NaiveDateTime,
    state: State,
    said: Vec<String>,
    hang_up: bool,
}

impl Turn<'_> {
    fn say(&mut self, phrase: Phrase) {
        self.said.push(phrase.text(self.language).to_owned());
    }

    fn goodbye(&mut self) {
        self.say(Phrase::Goodbye);
        self.state.task = Task::AskedForMore;
        self.hang_up = true;
    }
}

impl FrontDesk {
    pub fn new(config: FrontDeskConfig) -> Self {
        FrontDesk { config }
    }

    /// All that is said word for word, for a voice to prepare: the greeting first.
    pub fn fixed_phrases(&self, language: Language) -> Vec<String> {
        let answers = self.config.faq.iter().filter_map(|entry| entry.answer.get(language));
        std::iter::once(self.greeting(language))
            .chain(Phrase::ALL.iter().map(|phrase| phrase.text(language).to_owned()))
            .chain(answers.flat_map(|answer| sentences::split(answer)))
            .collect()
    }

    pub fn config(&self) -> &FrontDeskConfig {
        &self.config
    }

    pub fn office(&self, language: Language) -> &str {
        self.config.office.name.get_any(language).map_or(phrases::office(language), String::as_str)
    }

    pub fn greeting(&self, language: Language) -> String {
        let template = self.config.office.greeting.get(language).map_or(phrases::greeting(language), String::as_str);
        template.replace("{office}", self.office(language))
    }

    /// The answer to `text`: the next state, and at least one sentence. `now` is the local time of the office.
    pub fn reply(
        &self,
        state: &State,
        text: &str,
        language: Language,
        caller_number: Option<&str>,
        now: NaiveDateTime,
    ) -> (State, Vec<DialogEvent>) {
        let heard = Heard::new(text, language);
        let state = state.clone();
        let mut turn = Turn { text, heard, language, caller_number, now, state, said: Vec::new(), hang_up: false };
        self.answer(&mut turn);
        let Turn { mut state, said, hang_up, .. } = turn;
        state.last.clone_from(&said);
        let hang_up = hang_up.then_some(DialogEvent::HangUp);
        (state, said.into_iter().map(DialogEvent::Sentence).chain(hang_up).collect())
    }

    /// Takes down what a caller has dictated: all of it is his message, whatever it would mean in a conversation.
    pub fn take_down(&self, state: &State, text: &str, language: Language) -> State {
        let mut state = state.clone();
        message::note(&mut state.draft, &Heard::new(text, language), text, language);
        message::add_matter(&mut state.draft, text);
        state
    }

    /// Whether the front desk answers this itself even where a language model could: a message has to be taken for
    /// certain, and a farewell has to end the call.
    pub fn claims(&self, state: &State, text: &str, language: Language) -> bool {
        let heard = Heard::new(text, language);
        state.is_taking_message()
            || heard.is_farewell()
            || heard.wants_message()
            || heard.wants_transfer()
            || (state.task == Task::AskedForMore && (heard.yes() == Some(false) || heard.is_thanks()))
            || accepts_offer(state, &heard, language)
    }

    /// Follows a turn that somebody else answered with `said`: the next state. Name and number are written down.
    pub fn note(&self, state: &State, text: &str, language: Language, said: &[String]) -> State {
        let mut state =
            State { task: Task::Listening, not_understood: 0, draft: state.draft.clone(), last: said.to_vec() };
        message::note(&mut state.draft, &Heard::new(text, language), text, language);
        state
    }

    fn answer(&self, turn: &mut Turn<'_>) {
        if turn.heard.words.is_empty() {
            return self.not_understood(turn, Phrase::NotHeard);
        }
        if turn.heard.asks_to_repeat() && !turn.state.last.is_empty() {
            turn.said = turn.state.last.clone();
            return;
        }
        if turn.state.is_taking_message() {
            return message::go_on(self, turn);
        }
        let asked_for_more = turn.state.task == Task::AskedForMore;
        let new_message = turn.heard.wants_message() && turn.heard.weight(None) >= 3;
        if turn.heard.is_farewell() && !new_message {
            return turn.goodbye();
        }
        if asked_for_more && turn.heard.weight(None) <= 1 && (turn.heard.is_thanks() || turn.heard.yes() == Some(false))
        {
            return turn.goodbye();
        }
        // Before typical questions: «передайте Ивану, пусть пришлёт адрес» does not ask for the address.
        if turn.heard.wants_transfer() {
            return message::start(turn, Phrase::NoTransfer);
        }
        if turn.heard.wants_message() || accepts_offer(&turn.state, &turn.heard, turn.language) {
            return message::start(turn, Phrase::TakeMessage);
        }
        if self.answer_question(turn) {
            turn.state.not_understood = 0;
            turn.say(Phrase::AnythingElse);
            turn.state.task = Task::AskedForMore;
            return;
        }
        if self.small_talk(turn) {
            turn.state.not_understood = 0;
            return;
        }
        // A request that nobody foresaw is worth a message; a single word is more likely badly heard.
        if turn.heard.weight(None) >= 1 && turn.heard.words.len() >= 2 {
            return message::start(turn, Phrase::WillPassOn);
        }
        self.not_understood(turn, Phrase::NotUnderstood);
    }

    /// Typical questions, opening hours, and whether we are a robot: answered at any time.
    fn answer_question(&self, turn: &mut Turn<'_>) -> bool {
        if let Some(answer) = faq::answer(&self.config.faq, &turn.heard.words, turn.language) {
            turn.said.extend(sentences::split(answer));
            return true;
        }
        let hours = &self.config.office.hours;
        if let Some(question) = turn.heard.asks_hours().filter(|_| hours.are_known()) {
            turn.said.push(hours.answer(question, turn.now, turn.language));
            return true;
        }
        if turn.heard.asks_whether_robot() {
            turn.say(Phrase::Robot);
            return true;
        }
        false
    }

    fn small_talk(&self, turn: &mut Turn<'_>) -> bool {
        let weight = turn.heard.weight(None);
        if weight > 1 {
            return false;
        }
        if turn.heard.is_thanks() {
            turn.say(Phrase::Welcome);
            turn.say(Phrase::AnythingElse);
            turn.state.task = Task::AskedForMore;
        } else if turn.heard.is_greeting() {
            turn.say(Phrase::Hello);
        } else if turn.heard.announces_question() || turn.heard.yes() == Some(true) && weight == 0 {
            turn.say(Phrase::YesListening);
        } else {
            return false;
        }
        true
    }

    fn not_understood(&self, turn: &mut Turn<'_>, phrase: Phrase) {
        turn.state.not_understood = turn.state.not_understood.saturating_add(1);
        if turn.state.not_understood >= MOST_NOT_UNDERSTOOD {
            turn.say(Phrase::GiveUp);
            return turn.goodbye();
        }
        turn.say(phrase);
    }
}

/// «Да» after «Записать для вас сообщение?»
fn accepts_offer(state: &State, heard: &Heard, language: Language) -> bool {
    let message: &[&str] = match language {
        Language::Ru => &["сообщение", "передать", "передам", "перезвон*"],
        Language::En => &["message", "pass it on", "call you back"],
    };
    let offers = |said: &String| said.contains('?') && words::has_any(&words::line(&words::split(said)), message);
    heard.yes() == Some(true) && state.last.iter().any(offers)
}

#[cfg(test)]
mod tests;
