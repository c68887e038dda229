//! A message that was taken, in a few lines for the owner's telephone.

use chrono::NaiveDateTime;

use crate::engine::Language;
use crate::engine::dialog::Message;

/// The matter in characters; telephones show a text of some lines.
const LONGEST_MATTER: usize = 400;

/// The text: when, who, which number, what about. `caller_number` is what the call came from, where that is known and
/// another than the number left; `at` is local time.
pub fn text(language: Language, message: &Message, caller_number: Option<&str>, at: NaiveDateTime) -> String {
    let (title, name, number, from, matter) = match language {
        Language::Ru => ("Сообщение от", "Имя", "Номер", "Звонили с", "Вопрос"),
        Language::En => ("Message of", "Name", "Number", "Called from", "Matter"),
    };
    let time = match language {
        Language::Ru => at.format("%d.%m %H:%M"),
        Language::En => at.format("%-d %b %H:%M"),
    };
    let mut lines = vec![format!("{title} {time}")];
    let mut add = |what: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push(format!("{what}: {value}"));
        }
    };
    add(name, message.name.as_deref());
    add(number, message.number.as_deref());
    add(from, caller_number.filter(|from| Some(*from) != message.number.as_deref()));
    add(matter, message.matter.as_deref().map(shortened).as_deref());
    lines.join("\n")
}

fn shortened(matter: &str) -> String {
    match matter.char_indices().nth(LONGEST_MATTER) {
        Some((end, _)) => format!("{}…", &matter[..end]),
        None => matter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn noon() -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2026, 11, 22).unwrap().and_hms_opt(12, 5, 0).unwrap()
    }

    fn message() -> Message {
        Message {
            name: Some("Анна Коваленко".to_owned()),
            number: Some("89161234567".to_owned()),
            matter: Some("Передайте, что я заболела.".to_owned()),
        }
    }

    #[test]
    fn a_message_is_a_few_lines_in_the_language_of_the_office() {
        assert_eq!(
            text(Language::Ru, &message(), Some("+74951234567"), noon()),
            "Сообщение от 22.11 12:05\nИмя: Анна Коваленко\nНомер: 89161234567\nЗвонили с: +74951234567\n\
             Вопрос: Передайте, что я заболела."
        );
        let english = text(Language::En, &Message { name: None, ..message() }, Some("89161234567"), noon());
        assert_eq!(english, "Message of 22 Nov 12:05\nNumber: 89161234567\nMatter: Передайте, что я заболела.");
    }

    #[test]
    fn a_long_story_is_cut() {
        let long = Message { matter: Some("я".repeat(2_000)), ..Message::default() };
        let text = text(Language::Ru, &long, None, noon());
        assert!(text.ends_with("яя…") && text.chars().count() < 450, "{text}");
    }
}
