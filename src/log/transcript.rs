//! `…_transcript.txt`: a call for people, in its turns' languages.

use crate::call::TurnRecord;
use crate::engine::Language;
use crate::engine::dialog::Message;

use super::record::CallRecord;

/// The first line: when, from where, who. A direct caller without a number has his address.
pub(super) fn header(record: &CallRecord) -> String {
    let caller = match &record.caller_number {
        None => "номер скрыт / number withheld",
        Some(number) if number.chars().all(|c| c.is_ascii_digit() || c == '+') => number,
        Some(_) => &record.caller,
    };
    let name = record.caller_name.as_deref().unwrap_or_default();
    format!("{}  {caller} {name}\n", record.started_at.format("%Y-%m-%d %H:%M:%S"))
}

pub(super) fn turn(turn: &TurnRecord) -> String {
    let (caller, secretary, keys, cut) = match turn.language {
        Language::Ru => ("Абонент", "Секретарь", "клавиши", "[прервано]"),
        Language::En => ("Caller", "Secretary", "keys", "[interrupted]"),
    };
    let minutes = (turn.started_s / 60.0).floor();
    let time = format!("[{minutes:02}:{:04.1}]", turn.started_s - minutes * 60.0);
    let mut lines = String::new();
    let pressed = if turn.keys.is_empty() { String::new() } else { format!("[{keys} {}]", turn.keys) };
    let said = [turn.caller_text.as_str(), &pressed].map(str::trim).join(" ");
    if !said.trim().is_empty() {
        lines.push_str(&format!("{time} {caller}: {}\n", said.trim()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::files::tests::{record, turn as turn_of};

    #[test]
    fn the_first_line_names_a_number_an_address_or_that_it_is_withheld() {
        let header_of = |number: Option<&str>, name: Option<&str>| {
            let record = CallRecord {
                caller: "sip:anna@192.0.2.7:5062".to_owned(),
                caller_number: number.map(str::to_owned),
                caller_name: name.map(str::to_owned),
                ..record()
            };
            header(&record).split_once("  ").unwrap().1.trim().to_owned()
        };
        assert_eq!(header_of(Some("+74951234567"), Some("Анна")), "+74951234567 Анна");
        assert_eq!(header_of(Some("anna"), None), "sip:anna@192.0.2.7:5062");
        assert_eq!(header_of(None, None), "номер скрыт / number withheld");
    }

    #[test]
    fn keys_stand_beside_what_was_said() {
        let keyed = |text: &str, keys: &str| {
            let turn = TurnRecord { keys: keys.to_owned(), secretary_text: String::new(), ..turn_of(text) };
            super::turn(&turn).split_once("] ").map(|(_, line)| line.trim().to_owned()).unwrap_or_default()
        };
        assert_eq!(keyed("89161234567", "89161234567#"), "Абонент: 89161234567 [клавиши 89161234567#]");
        assert_eq!(keyed("", "5"), "Абонент: [клавиши 5]");
        assert_eq!(keyed("Алло", ""), "Абонент: Алло");
    }
}
