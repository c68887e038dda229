//! What secretary.toml says of the dialog: `[dialog]`, `[office]` and `[[faq]]`.

use serde::Deserialize;

use crate::engine::Language;

use super::front_desk::faq::Faq;
use super::front_desk::hours::Hours;
use super::gemini::GeminiConfig;

/// One value for each language, each optional: `name.ru = "…"`, `name.en = "…"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByLanguage<T> {
    pub ru: Option<T>,
    pub en: Option<T>,
}

impl<T> Default for ByLanguage<T> {
    fn default() -> Self {
        ByLanguage { ru: None, en: None }
    }
}

impl<T> ByLanguage<T> {
    pub fn get(&self, language: Language) -> Option<&T> {
        match language {
            Language::Ru => self.ru.as_ref(),
            Language::En => self.en.as_ref(),
        }
    }

    /// In this language, else in the other.
    pub fn get_any(&self, language: Language) -> Option<&T> {
        self.get(language).or(self.ru.as_ref()).or(self.en.as_ref())
    }
}

/// `[dialog]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialogConfig {
    /// `[dialog.gemini]`; used only when there is a key.
    pub gemini: GeminiConfig,
    /// More instructions for the language model, appended to its prompt. Default: none.
    pub instructions: ByLanguage<String>,
}

/// `[office]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfficeConfig {
    /// The name as it follows «Вы позвонили в …» and "You have reached …". Default: «наш офис», "our office".
    pub name: ByLanguage<String>,
    /// The first words of every call; `{office}` stands for the name. Default: Lidia names the office and herself.
    pub greeting: ByLanguage<String>,
    /// `[office.hours]`. Default: no hours, and questions about them become messages.
    pub hours: Hours,
}

/// All that the front desk knows of the office.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontDeskConfig {
    pub office: OfficeConfig,
    /// `[[faq]]`, in the order of the file.
    pub faq: Vec<Faq>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        dialog: DialogConfig,
        office: OfficeConfig,
        faq: Vec<Faq>,
    }

    const EXAMPLE: &str = r#"
        [dialog]
        instructions = { ru = "Скидок не обещай.", en = "Promise no discounts." }

        [dialog.gemini]
        model = "gemini-2.5-pro"
        proxy = "http://proxy.example:3128"
        first_token_timeout_ms = 3000

        [office]
        name = { ru = "ООО «Ромашка»", en = "Romashka" }

        [office.hours]
        mon = "09:00-18:00"
        fri = "09:00-13:00, 14:00-17:00"
        sun = "closed"

        [[faq]]
        ask.ru = ["адрес", "где вы находитесь"]
        ask.en = ["address", "where are you"]
        answer.ru = "Мы на Садовой, дом пять. Вход со двора."
        answer.en = "We are at five Sadovaya street."
    "#;

    #[test]
    fn every_key_is_read_and_the_rest_has_defaults() {
        let file: File = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(file.dialog.gemini.model, "gemini-2.5-pro");
        assert_eq!(file.dialog.gemini.stall_timeout_ms, GeminiConfig::default().stall_timeout_ms);
        assert_eq!(file.office.greeting.get_any(Language::Ru), None);
        assert_eq!(file.office.name.get(Language::En).map(String::as_str), Some("Romashka"));
        assert_eq!(file.faq.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        for (key, with) in [("modell", "model"), ("sunn", "sun"), ("answer.de", "answer.en")] {
            let error =
                toml::from_str::<File>(&EXAMPLE.replace(&format!("{with} ="), &format!("{key} ="))).unwrap_err();
            assert!(error.to_string().contains(key.trim_start_matches("answer.")), "{error}");
        }
    }
}
