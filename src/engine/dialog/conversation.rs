//! The conversation of one call, by value: a reply takes a copy and returns the next one, so that a reply begun on a
//! guess can be thrown away by dropping it.

use serde::Serialize;

use crate::engine::Language;

use super::front_desk;

/// How many lines are remembered: ten minutes of brisk talk. The oldest are forgotten first.
const MOST_LINES: usize = 80;
/// The characters of a line that are remembered.
const LONGEST_LINE: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    Caller,
    Secretary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub who: Who,
    pub text: String,
}

/// What a caller leaves for the people of the office.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Message {
    pub name: Option<String>,
    /// Digits only, after a `+` if the caller said one.
    pub number: Option<String>,
    /// In the caller's words.
    pub matter: Option<String>,
}

/// What the secretary has asked the caller for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expects {
    #[default]
    Anything,
    /// A telephone number, which people dictate with pauses.
    Number,
    /// Yes or no.
    YesNo,
}

/// The state of a call's dialog.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub(super) history: Vec<Line>,
    pub(super) desk: front_desk::State,
    pub(super) language: Language,
    pub(super) caller_number: Option<String>,
}

impl Conversation {
    /// `caller_number` is what the call signals, if anything: the caller may ask to be called back there.
    pub fn new(language: Language, caller_number: Option<String>) -> Self {
        Conversation { history: Vec::new(), desk: front_desk::State::default(), language, caller_number }
    }

    /// Somebody else is on the line.
    pub fn set_caller_number(&mut self, number: Option<String>) {
        self.caller_number = number;
    }

    /// The language of the last reply.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The oldest first.
    pub fn history(&self) -> &[Line] {
        &self.history
    }

    /// What the caller has told of themselves and their matter so far; `None` if nothing. It may be incomplete: a
    /// caller can hang up at any time.
    pub fn message(&self) -> Option<&Message> {
        Some(self.desk.message()).filter(|message| **message != Message::default())
    }

    /// Remembers what was said outside a reply: the greeting, a prompt.
    pub fn say(&mut self, text: &str) {
        self.add(Who::Secretary, text);
    }

    /// Of the secretary's last line only `heard` reached the caller. The rest is cut out of the history; the line too,
    /// if nothing was heard.
    pub fn cut_last(&mut self, heard: &str) {
        let Some(at) = self.history.iter().rposition(|line| line.who == Who::Secretary) else { return };
        if heard.trim().is_empty() {
            self.history.remove(at);
        } else if let Some(line) = self.history.get_mut(at) {
            line.text = bounded(heard);
        }
    }

    /// An answer that was still being made was interrupted: the caller had said `asked`, and heard `heard`.
    pub fn interrupted(&mut self, asked: &str, heard: &str) {
        self.add(Who::Caller, asked);
        self.add(Who::Secretary, heard);
    }

    /// What was asked for last.
    pub fn expects(&self) -> Expects {
        self.desk.expects()
    }

    pub(super) fn add(&mut self, who: Who, text: &str) {
        let text = bounded(text);
        if text.is_empty() {
            return;
        }
        if self.history.len() >= MOST_LINES {
            self.history.remove(0);
        }
        self.history.push(Line { who, text });
    }
}

fn bounded(text: &str) -> String {
    text.trim().chars().take(LONGEST_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_heard_is_cut_out() {
        let mut conversation = Conversation::new(Language::Ru, None);
        conversation.say("Здравствуйте! Чем могу помочь?");
        conversation.add(Who::Caller, "Адрес?");
        conversation.say("Мы на Садовой. Вход со двора.");
        conversation.add(Who::Caller, "Подождите");
        conversation.cut_last("Мы на Садовой.");
        assert_eq!(conversation.history[2].text, "Мы на Садовой.");
        conversation.cut_last(" ");
        assert_eq!(conversation.history.len(), 3);
        assert_eq!(conversation.history[0].text, "Здравствуйте! Чем могу помочь?");
    }

    /// An answer of two sentences is interrupted, while it is made and when it is whole: both leave the same.
    #[test]
    fn of_an_interrupted_answer_only_what_was_heard_is_remembered() {
        const ANSWER: &str = "Мы на Садовой. Вход со двора.";
        for heard in ["Мы", "Мы на Садовой.", "Мы на Садовой. Вход со", ANSWER, "", " "] {
            let mut before = Conversation::new(Language::Ru, None);
            before.say("Здравствуйте! Чем могу помочь?");
            let mut expected = vec![
                Line { who: Who::Secretary, text: "Здравствуйте! Чем могу помочь?".into() },
                Line { who: Who::Caller, text: "Адрес?".into() },
            ];
            if !heard.trim().is_empty() {
                expected.push(Line { who: Who::Secretary, text: heard.into() });
            }
            let mut unfinished = before.clone();
            unfinished.interrupted("Адрес?", heard);
            assert_eq!(unfinished.history, expected, "{heard:?}");
            let mut whole = before;
            whole.add(Who::Caller, "Адрес?");
            whole.add(Who::Secretary, ANSWER);
            whole.cut_last(heard);
            assert_eq!(whole.history, expected, "{heard:?}");
        }
    }

    #[test]
    fn the_history_is_bounded() {
        let mut conversation = Conversation::new(Language::En, None);
        for n in 0..1_000 {
            conversation.add(Who::Caller, &format!("{n} {}", "x".repeat(10_000)));
        }
        assert_eq!(conversation.history.len(), MOST_LINES);
        assert!(conversation.history.iter().all(|line| line.text.chars().count() <= LONGEST_LINE));
        assert!(conversation.history.last().unwrap().text.starts_with("999 "));
    }

    #[test]
    fn a_message_exists_only_when_something_was_told() {
        assert_eq!(Conversation::new(Language::Ru, Some("100".into())).message(), None);
    }
}
