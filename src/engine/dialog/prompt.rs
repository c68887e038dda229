//! The instructions of the language model: the text in `prompts/` with the facts of the office filled in.

use chrono::NaiveDateTime;

use crate::engine::Language;

use super::front_desk::FrontDesk;

/// The time comes last, so that what is before it stays the same from call to call and can be cached.
pub fn system(desk: &FrontDesk, instructions: Option<&str>, language: Language, now: NaiveDateTime) -> String {
    let template = match language {
        Language::Ru => include_str!("prompts/system.ru.md"),
        Language::En => include_str!("prompts/system.en.md"),
    };
    template
        .replace("{office}", desk.office(language))
        .replace("{facts}", &facts(desk, language))
        .replace("{instructions}", instructions.unwrap_or_default())
        .replace("{now}", &now.format("%A, %-d %B %Y, %H:%M").to_string())
}

fn facts(desk: &FrontDesk, language: Language) -> String {
    let config = desk.config();
    let mut facts = String::new();
    if config.office.hours.are_known() {
        facts.push_str(&format!("- {}\n", config.office.hours.always(language)));
    }
    for entry in &config.faq {
        // A fact in the other language is still a fact: the model translates it.
        if let (Some(ask), Some(answer)) = (entry.ask.get_any(language), entry.answer.get_any(language)) {
            facts.push_str(&format!("- {}: {answer}\n", ask.join("; ")));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::dialog::{FrontDeskConfig, OfficeConfig};

    #[test]
    fn the_prompt_knows_the_office_and_the_time() {
        let office: OfficeConfig = toml::from_str("name.ru = 'ООО «Ромашка»'\nhours.mon = '09:00-18:00'").unwrap();
        let faq = toml::from_str("ask.en = ['address']\nanswer.en = 'Five Main Street.'").unwrap();
        let desk = FrontDesk::new(FrontDeskConfig { office, faq: vec![faq] });
        let now = NaiveDateTime::parse_from_str("2026-11-21 15:04", "%Y-%m-%d %H:%M").unwrap();
        let prompt = system(&desk, Some("Говори тише."), Language::Ru, now);
        assert!(prompt.starts_with("Ты — профессиональный виртуальный секретарь по имени Лидия"));
        for part in [
            "ООО «Ромашка»",
            "в понедельник с девяти до восемнадцати",
            "Five Main Street.",
            "Говори тише.",
            "Saturday, 21 November 2026, 15:04",
        ] {
            assert!(prompt.contains(part), "{part} is not in {prompt}");
        }
        for language in [Language::Ru, Language::En] {
            assert!(!system(&desk, None, language, now).contains(['{', '}']), "a placeholder is left");
        }
    }
}
