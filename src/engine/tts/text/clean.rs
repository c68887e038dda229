//! What is written for machines or eyes and is not said: JSON, HTML, Markdown.

/// The text without it.
pub fn clean(text: &str) -> String {
    if let Some(values) = json(text) {
        return clean(&values);
    }
    let text = without_fences(text);
    let text = replaced(&text, "<", |rest| {
        let is_tag = rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        let (_, after) = rest.split_once('>').filter(|(tag, _)| is_tag && tag.len() <= 300)?;
        Some((" ".to_owned(), after))
    });
    // [what is seen](where it leads)
    let text = replaced(&text, "[", |rest| {
        let (seen, after) = rest.split_once("](")?;
        let (_, after) = after.split_once(')').filter(|_| !seen.contains(['[', '\n']))?;
        Some((seen.to_owned(), after))
    });
    replaced(&text, "&", |rest| {
        let (name, after) = rest.split_once(';').filter(|(name, _)| name.len() <= 6)?;
        let said = match name {
            "nbsp" => " ",
            "amp" => "&",
            "lt" | "gt" | "quot" | "laquo" | "raquo" | "mdash" | "ndash" => " ",
            _ => return None,
        };
        Some((said.to_owned(), after))
    })
}

/// The strings of an object or array, one sentence each. Its keys are not said.
fn json(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if !trimmed.starts_with(['{', '[']) {
        return None;
    }
    let mut values = Vec::new();
    collect(&serde_json::from_str(trimmed).ok()?, &mut values);
    Some(values.join("\n"))
}

fn collect(value: &serde_json::Value, values: &mut Vec<String>) {
    match value {
        serde_json::Value::String(said) => values.push(said.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, values)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| collect(field, values)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn without_fences(text: &str) -> String {
    let mut parts = text.split("```");
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let (Some(_code), after) = (parts.next(), parts.next()) {
        out.push(' ');
        out.push_str(after.unwrap_or_default());
    }
    out
}

/// Puts something else in the place of what `change` knows behind a mark.
fn replaced(text: &str, mark: &str, change: impl Fn(&str) -> Option<(String, &str)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        match change(after) {
            Some((said, after)) => {
                out.push_str(&said);
                rest = after;
            }
            None => {
                out.push_str(mark);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn what_is_for_eyes_or_machines_is_not_said() {
        for (text, expected) in [
            (r#"{"text": "Добрый день", "n": 5, "more": ["Слушаю вас"]}"#, "Слушаю вас\nДобрый день"),
            ("Ждите.<br/>Спасибо", "Ждите. Спасибо"),
            ("3 < 5", "3 < 5"),
            ("см. [наш сайт](https://a.ru/x)", "см. наш сайт"),
            ("код ```let x = 1;``` готов", "код   готов"),
            ("Иванов&nbsp;и&nbsp;Ко", "Иванов и Ко"),
            ("{не JSON", "{не JSON"),
        ] {
            assert_eq!(clean(text), expected, "{text}");
        }
    }
}
