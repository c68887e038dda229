//! `From`, `To`, `Contact`, `Route`: a display name, a URI and parameters (RFC 3261 §20.10).
//!
//! rsip looks for `<` inside the quoted display name, so this type replaces its own.

use std::fmt;
use std::str::FromStr;

use super::charset;
use super::octets::octets;
use super::params::{Params, closing_quote, find_outside_quotes};
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
            let (uri, params) = rest.get(1..).unwrap_or_default().split_once('>').ok_or(UriError::Character)?;
            return Ok(Self { display: unquote(display)?, uri: uri.parse()?, params: Params::of_field(params)? });
        }
        // RFC 3261 §20.10: without angle brackets all parameters belong to the header field, and the URI has neither
        // comma nor question mark.
        let (uri, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        if uri.contains([',', '?']) {
            return Err(UriError::Character);
        }
        Ok(Self { display: None, uri: uri.trim().parse()?, params: Params::of_field(params)? })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            f.write_str("\"")?;
            for c in display.chars() {
                match c {
                    // These alone have no escape.
                    '\r' | '\n' => {}
                    c if c.is_ascii_control() || matches!(c, '"' | '\\') => write!(f, "\\{c}")?,
                    c => write!(f, "{c}")?,
                }
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// The text of a display name, in whatever character set. Without quotes only tokens are allowed; we take all but what divides header fields, since
/// telephones write `Иван Петров` so.
fn unquote(display: &str) -> Result<Option<String>, UriError> {
    let display = octets(display.trim());
    let display = charset::text(&display);
    let Some(inner) = display.strip_prefix('"') else {
        let bad = display.contains([',', ';', '"', '\\']);
        return if bad { Err(UriError::DisplayName) } else { Ok((!display.is_empty()).then(|| display.into_owned())) };
    };
    let (inner, rest) = inner.split_at(closing_quote(inner).ok_or(UriError::DisplayName)?);
    if rest.len() > 1 {
        return Err(UriError::DisplayName);
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    Ok((!text.is_empty()).then_some(text))
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
            ("\"\\\0\\\u{7}\" <sip:x@y>", Some("\0\u{7}"), None),
            ("Иван Петров <sip:x@y>", Some("Иван Петров"), None),
        ];
        for (text, display, tag) in cases {
            let parsed: NameAddr = text.parse().unwrap();
            assert_eq!((parsed.display.as_deref(), parsed.tag()), (display, tag), "{text}");
            assert_eq!(parsed.to_string().parse::<NameAddr>().as_ref(), Ok(&parsed));
        }
    }

    #[test]
    fn refuses_what_rfc_4475_calls_malformed() {
        for bad in [
            "<sip:x@y",
            "\"unclosed <sip:x@y>",
            "\"two\" words <sip:x@y>",
            "Doe, John <sip:x@y>",
            "\"Doe, John\" < sip:x@y >",
            "sip:x@y?Route=%3Csip:z%3E",
            "<<sip:x@y>",
            "<sip:x@y>;;;;",
            "<sip:x@y>tag=1",
        ] {
            assert!(bad.parse::<NameAddr>().is_err(), "{bad}");
        }
    }
}
