//! Taking a message: name, number, matter. What the caller has told already is not asked for, the number is read back,
//! and every question is asked a bounded number of times.

use crate::engine::Language;

use super::super::Message;
use super::intent::Heard;
use super::phrases::{self, Phrase};
use super::{FrontDesk, Task, Turn, names, numbers};

/// How often a question is asked before we do without its answer.
const MOST_ASKED: u8 = 3;
/// In how many parts a number is dictated at most: digit by digit, and a pause after each.
const MOST_PARTS: u8 = 12;
/// How often a number is corrected before it is left as it is.
const MOST_CORRECTED: u8 = 3;
/// The matter is kept to this many characters: about two minutes of speech.
const LONGEST_MATTER: usize = 2_000;
/// A number that the caller lets drop unasked is one only if it is as long as a whole one.
const SHORTEST_UNASKED: usize = 10;

/// The question that the caller has been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Name {
        asked: u8,
    },
    /// `so_far` are the digits of a number dictated in parts.
    Number {
        asked: u8,
        so_far: String,
        corrected: u8,
    },
    /// The number was read back.
    Confirm {
        number: String,
        asked: u8,
        corrected: u8,
    },
    Matter {
        asked: u8,
    },
}

/// Takes what the sentence tells of name and number, and the sentence itself where it is a matter.
pub fn start(turn: &mut Turn<'_>, opening: Phrase) {
    turn.state.not_understood = 0;
    turn.say(opening);
    note(&mut turn.state.draft, &turn.heard, turn.text, turn.language);
    if opening == Phrase::WillPassOn || turn.heard.weight(turn.state.draft.name.as_deref()) >= 2 {
        add_matter(&mut turn.state.draft, turn.text);
    }
    if turn.heard.is_farewell() {
        return turn.goodbye();
    }
    match turn.state.draft.name {
        None => ask(turn, Step::Name { asked: 1 }),
        Some(_) => ask_after_name(turn),
    }
}

/// Name and number that are told beyond doubt.
pub fn note(draft: &mut Message, heard: &Heard, text: &str, language: Language) {
    if let Some(name) = names::volunteered(&heard.words, language) {
        draft.name = Some(name);
    }
    if let Some(number) = told_number(heard, text, language, SHORTEST_UNASKED) {
        draft.number = Some(number);
    }
}

/// The caller's answer to the question of the step.
pub fn go_on(desk: &FrontDesk, turn: &mut Turn<'_>) {
    let Task::TakingMessage(step) = turn.state.task.clone() else { return };
    turn.state.not_understood = 0;
    if turn.heard.cancels() {
        turn.say(Phrase::Cancelled);
        turn.say(Phrase::AnythingElse);
        turn.state.draft.matter = None;
        turn.state.task = Task::AskedForMore;
        return;
    }
    if turn.heard.is_farewell() && !matches!(step, Step::Number { .. } if turn.heard.is_all()) {
        return leave(turn, step);
    }
    match step {
        Step::Matter { asked } => matter(turn, asked),
        Step::Name { asked } => name(desk, turn, asked),
        Step::Number { asked, so_far, corrected } => number(desk, turn, asked, so_far, corrected),
        Step::Confirm { number, asked, corrected } => confirm(desk, turn, number, asked, corrected),
    }
}

/// The caller says goodbye before everything is asked: what is known is kept.
fn leave(turn: &mut Turn<'_>, step: Step) {
    match step {
        Step::Matter { .. } if turn.heard.weight(None) >= 2 => add_matter(&mut turn.state.draft, turn.text),
        Step::Confirm { number, .. } => turn.state.draft.number = Some(number),
        Step::Number { so_far, .. } if numbers::count(&so_far) >= numbers::SHORTEST => {
            turn.state.draft.number = Some(so_far);
        }
        _ => note(&mut turn.state.draft, &turn.heard, turn.text, turn.language),
    }
    if turn.state.draft.matter.is_some() || turn.state.draft.number.is_some() {
        turn.say(Phrase::NotedShort);
    }
    turn.goodbye();
}

fn name(desk: &FrontDesk, turn: &mut Turn<'_>, asked: u8) {
    if turn.heard.refuses() {
        turn.say(Phrase::NoName);
        return ask_after_name(turn);
    }
    let question = turn.text.contains('?');
    if !question && let Some(name) = names::answered(&turn.heard.words, turn.language) {
        turn.said.push(phrases::pleased(&name, turn.language));
        turn.state.draft.name = Some(name);
        if let Some(number) = told_number(&turn.heard, turn.text, turn.language, numbers::SHORTEST) {
            turn.state.draft.number = Some(number);
        }
        return ask_after_name(turn);
    }
    if desk.answer_question(turn) {
        return ask(turn, Step::Name { asked });
    }
    if asked >= MOST_ASKED {
        turn.say(Phrase::NoName);
        return ask_after_name(turn);
    }
    turn.say(Phrase::NotHeard);
    turn.say(Phrase::AskName);
    turn.state.task = Task::TakingMessage(Step::Name { asked: asked + 1 });
}

fn number(desk: &FrontDesk, turn: &mut Turn<'_>, asked: u8, so_far: String, corrected: u8) {
    if turn.heard.means_own_number() {
        return match turn.caller_number.and_then(own_number) {
            Some(number) => read_back(turn, number, corrected),
            None => ask_number_again(turn, Phrase::NumberUnknown, asked, corrected),
        };
    }
    if let Some(part) = numbers::find(turn.text, turn.language) {
        return take_number(turn, append(&so_far, &part), asked, corrected);
    }
    if numbers::count(&so_far) >= numbers::SHORTEST {
        // Nothing more comes: what is there is the number.
        return read_back(turn, so_far, corrected);
    }
    if so_far.is_empty() && (turn.heard.refuses() || turn.heard.yes() == Some(false)) {
        turn.say(Phrase::NoNumber);
        return ask_after_number(turn);
    }
    if desk.answer_question(turn) {
        return ask(turn, Step::Number { asked, so_far, corrected });
    }
    ask_number_again(turn, Phrase::AskNumberAgain, asked, corrected);
}

fn ask_number_again(turn: &mut Turn<'_>, question: Phrase, asked: u8, corrected: u8) {
    turn.state.draft.number = None;
    if asked >= MOST_ASKED {
        turn.say(Phrase::NoNumber);
        return ask_after_number(turn);
    }
    turn.say(question);
    turn.state.task = Task::TakingMessage(Step::Number { asked: asked + 1, so_far: String::new(), corrected });
}

/// A number or the beginning of one.
fn take_number(turn: &mut Turn<'_>, number: String, asked: u8, corrected: u8) {
    if numbers::is_whole(&number, turn.language) || asked >= MOST_PARTS {
        return read_back(turn, number, corrected);
    }
    turn.say(Phrase::GoOn);
    turn.state.task = Task::TakingMessage(Step::Number { asked: asked + 1, so_far: number, corrected });
}

fn read_back(turn: &mut Turn<'_>, number: String, corrected: u8) {
    turn.said.push(phrases::number_is(&number, turn.language));
    turn.say(Phrase::IsItRight);
    // Kept at once: a caller who hangs up here has left a number.
    turn.state.draft.number = Some(number.clone());
    turn.state.task = Task::TakingMessage(Step::Confirm { number, asked: 1, corrected });
}

fn confirm(desk: &FrontDesk, turn: &mut Turn<'_>, number: String, asked: u8, corrected: u8) {
    if let Some(said) = numbers::find(turn.text, turn.language) {
        return correct(turn, number, &said, corrected);
    }
    match turn.heard.yes() {
        Some(true) => accept(turn, number),
        Some(false) if corrected < MOST_CORRECTED => ask_number_again(turn, Phrase::AskNumberAgain, 1, corrected + 1),
        None if asked < MOST_ASKED => {
            if !desk.answer_question(turn) {
                turn.said.push(phrases::number_is(&number, turn.language));
            }
            turn.say(Phrase::IsItRight);
            turn.state.task = Task::TakingMessage(Step::Confirm { number, asked: asked + 1, corrected });
        }
        _ => leave_number(turn, number),
    }
}

/// Digits instead of yes or no: the number again, a better one, or its rest.
fn correct(turn: &mut Turn<'_>, number: String, said: &str, corrected: u8) {
    if said.trim_start_matches('+') == number.trim_start_matches('+') {
        return accept(turn, number);
    }
    if corrected >= MOST_CORRECTED {
        return leave_number(turn, number);
    }
    let longer = append(&number, said);
    let denied = turn.heard.yes() == Some(false);
    if !denied && numbers::count(said) < 7 && numbers::count(&longer) <= 11 {
        return read_back(turn, longer, corrected + 1);
    }
    if numbers::is_whole(said, turn.language) {
        return read_back(turn, said.to_owned(), corrected + 1);
    }
    // «Нет, шестьдесят восемь в конце» is too much to guess at.
    ask_number_again(turn, Phrase::AskNumberAgain, 1, corrected + 1);
}

fn leave_number(turn: &mut Turn<'_>, number: String) {
    turn.say(Phrase::NumberLeft);
    keep(turn, number);
}

fn accept(turn: &mut Turn<'_>, number: String) {
    turn.say(Phrase::Fine);
    keep(turn, number);
}

fn keep(turn: &mut Turn<'_>, number: String) {
    turn.state.draft.number = Some(number);
    ask_after_number(turn);
}

fn matter(turn: &mut Turn<'_>, asked: u8) {
    if turn.heard.refuses() && turn.heard.weight(None) <= 2
        || turn.heard.yes() == Some(false) && turn.heard.words.len() <= 2
    {
        return finish(turn);
    }
    let says_something = turn.heard.weight(None) >= 1;
    if !says_something && asked < MOST_ASKED {
        turn.say(Phrase::AskMatter);
        turn.state.task = Task::TakingMessage(Step::Matter { asked: asked + 1 });
        return;
    }
    if says_something {
        add_matter(&mut turn.state.draft, turn.text);
    }
    finish(turn);
}

fn finish(turn: &mut Turn<'_>) {
    let empty = turn.state.draft.matter.is_none() && turn.state.draft.number.is_none();
    turn.say(if empty { Phrase::NothingNoted } else { Phrase::Noted });
    turn.say(Phrase::AnythingElse);
    turn.state.task = Task::AskedForMore;
}

fn ask_after_name(turn: &mut Turn<'_>) {
    match turn.state.draft.number.clone() {
        None => ask(turn, Step::Number { asked: 1, so_far: String::new(), corrected: 0 }),
        // It came with another sentence: begin where it may be only a part.
        Some(number) => take_number(turn, number, 0, 0),
    }
}

fn ask_after_number(turn: &mut Turn<'_>) {
    match turn.state.draft.matter {
        None => ask(turn, Step::Matter { asked: 1 }),
        Some(_) => finish(turn),
    }
}

fn ask(turn: &mut Turn<'_>, step: Step) {
    turn.say(match step {
        Step::Name { .. } => Phrase::AskName,
        Step::Number { .. } => Phrase::AskNumber,
        Step::Confirm { .. } => Phrase::IsItRight,
        Step::Matter { .. } => Phrase::AskMatter,
    });
    turn.state.task = Task::TakingMessage(step);
}

pub fn add_matter(draft: &mut Message, text: &str) {
    let mut matter = draft.matter.take().map_or_else(String::new, |old| old + " ");
    matter.push_str(text.trim());
    draft.matter = Some(matter.chars().take(LONGEST_MATTER).collect());
}

/// A number that the caller tells unasked: long enough, or «перезвоните» stands beside it.
fn told_number(heard: &Heard, text: &str, language: Language, least: usize) -> Option<String> {
    let least = if heard.wants_message() { numbers::SHORTEST } else { least.max(numbers::SHORTEST) };
    numbers::find(text, language).filter(|n| numbers::count(n) >= least)
}

/// The number that the call came from, where it is one: `None` for "anonymous" and for names of extensions.
fn own_number(caller: &str) -> Option<String> {
    let number: String = caller.chars().filter(|c| c.is_ascii_digit() || *c == '+').take(numbers::LONGEST).collect();
    (numbers::count(&number) >= 3 && !caller.contains(char::is_alphabetic)).then_some(number)
}

fn append(so_far: &str, part: &str) -> String {
    if part.starts_with('+') {
        return part.to_owned();
    }
    // A whole number after a beginning is the number said anew.
    if numbers::count(part) >= 10 {
        return part.to_owned();
    }
    format!("{so_far}{part}").chars().take(numbers::LONGEST).collect()
}
