//! `…_transcript.txt`: a call for people, in its turns' languages.

use crate::call::TurnRecord;
use crate::engine::Language;
use crate::engine::dialog::Message;

use super::record::CallRecord;

/// The first line.
pub(super) fn header(record: &CallRecord) -> String {
    let name = record.caller_name.as_deref().unwrap_or_default();
    format!("{}  {} {name}\n", record.started_at.format("%Y-%m-%d %H:%M:%S"), record.caller)
}

pub(super) fn turn(turn: &TurnRecord) -> String {
    let (caller, secretary, cut) = match turn.language {
        Language::Ru => ("Абонент", "Секретарь", "[прервано]"),
        Language::En => ("Caller", "Secretary", "[interrupted]"),
    };
    let minutes = (turn.started_s / 60.0).floor();
    let time = format!("[{minutes:02}:{:04.1}]", turn.started_s - minutes * 60.0);
    let mut lines = String::new();
    if !turn.caller_text.is_empty() {
        lines.push_str(&format!("{time} {caller}: {}\n", turn.caller_text));
    }
    if !turn.secretary_text.is_empty() {
        let cut = if turn.heard_text == turn.secretary_text { String::new() } else { format!(" {cut}") };
        lines.push_str(&format!("{time} {secretary}: {}{cut}\n", turn.heard_text));
    }
    lines
}

/// The last lines, of a call that left a message.
pub(super) fn message(message: &Message) -> String {
    let field = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
    format!(
        "\nСообщение / Message\n  Имя / Name: {}\n  Номер / Number: {}\n  Вопрос / Matter: {}\n",
        field(&message.name),
        field(&message.number),
        field(&message.matter)
    )
}
