//! `From`, `To`, `Contact`, `Route`: a display name, a URI and parameters (RFC 3261 §20.10).
//!
//! rsip looks for `<` inside the quoted display name, so this type replaces its own.

use std::fmt;
use std::str::FromStr;

use super::params::{Params, find_outside_quotes};
use super::uri::{Uri, UriError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Without quotes and escapes; `None` when absent or empty.
    pub display: Option<String>,
    pub uri: Uri,
    /// Of the header field, not of the URI.
    pub params: Params,
}

impl NameAddr {
    pub fn new(display: Option<&str>, uri: Uri) -> Self {
        Self { display: display.map(str::to_owned), uri, params: Params::default() }
    }

    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag.to_owned()));
        self
    }
}

impl FromStr for NameAddr {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        if let Some(open) = find_outside_quotes(text, |c| c == '<') {
            let (display, rest) = text.split_at(open);
            let (uri, params) = rest.trim_start_matches('<').split_once('>').ok_or(UriError::Character)?;
            return Ok(Self { display: unquote(display), uri: uri.parse()?, params: Params::parse(params) });
        }
        // RFC 3261 §20.10: without angle brackets all parameters belong to the header field.
        let (uri, params) = text.split_once(';').unwrap_or((text, ""));
        Ok(Self { display: None, uri: uri.trim().parse()?, params: Params::parse(params) })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            f.write_str("\"")?;
            for c in display.chars().filter(|c| !c.is_control()) {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    c => write!(f, "{c}")?,
                }
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

fn unquote(display: &str) -> Option<String> {
    let display = display.trim();
    let Some(inner) = display.strip_prefix('"') else {
        return (!display.is_empty()).then(|| display.to_owned());
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_display_name() {
        let cases = [
            (
                "\"J Rosenberg \\\\\\\"\" <sip:jdrosen@example.com> ; tag = 98asjd8",
                Some("J Rosenberg \\\""),
                Some("98asjd8"),
            ),
            ("caller<sip:caller@example.com>;tag=323", Some("caller"), Some("323")),
            ("\"a <b@c>\"<sip:x@y;lr>", Some("a <b@c>"), None),
            ("sip:x@y;tag=1", None, Some("1")),
            ("\"\" <sip:x@y>", None, None),
            ("Иван Петров <sip:x@y>", Some("Иван Петров"), None),
        ];
        for (text, display, tag) in cases {
            let parsed: NameAddr = text.parse().unwrap();
            assert_eq!((parsed.display.as_deref(), parsed.tag()), (display, tag), "{text}");
            assert_eq!(parsed.to_string().parse::<NameAddr>().as_ref(), Ok(&parsed));
        }
    }

    #[test]
    fn refuses_an_open_bracket() {
        assert!("<sip:x@y".parse::<NameAddr>().is_err());
        assert!("\"unclosed <sip:x@y>".parse::<NameAddr>().is_err());
    }
}
