//! `;name=value` parameters of URIs and header fields (RFC 3261 §25.1, `generic-param`).
//!
//! rsip ends a quoted value at the first `;`, so this type replaces its own.

use std::fmt;

use super::is_token;
use super::uri::UriError;

/// Parameters in the order in which they came. Names are compared without case; values keep their quotes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads `a=b;c;d="e;f"`, with or without the leading `;`. Empty parameters are skipped.
    pub fn parse(text: &str) -> Self {
        let parameters = split_outside_quotes(text, ';').filter_map(|part| {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
                None => (part.trim(), None),
            };
            (!name.is_empty()).then(|| (name.to_owned(), value))
        });
        Params(parameters.collect())
    }

    /// Reads the parameters of a header field, as strictly as RFC 3261 §25.1 has them: `text` is empty or begins with `;`,
    /// and none of them is.
    pub(super) fn of_field(text: &str) -> Result<Self, UriError> {
        let Some(parameters) = text.trim().strip_prefix(';') else {
            return if text.trim().is_empty() { Ok(Params::default()) } else { Err(UriError::Parameter) };
        };
        let parameters = split_outside_quotes(parameters, ';').map(|part| {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
                None => (part.trim(), None),
            };
            let is_whole = value.as_deref().is_none_or(|value| {
                value
                    .strip_prefix('"')
                    .is_none_or(|quoted| closing_quote(quoted) == Some(quoted.len().saturating_sub(1)))
            });
            if is_token(name) && is_whole { Ok((name.to_owned(), value)) } else { Err(UriError::Parameter) }
        });
        parameters.collect::<Result<_, _>>().map(Params)
    }

    /// The value of `name`; `Some("")` for a parameter without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name`, in place if it is already there.
    pub fn set(&mut self, name: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(found) => found.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// The parts of `text` between `separator`s that stand neither in a quoted string nor in `<…>`.
pub(super) fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(at) = find_outside_quotes(current, |c| c == separator) else {
            rest = None;
            return Some(current);
        };
        let (part, tail) = current.split_at(at);
        rest = tail.get(separator.len_utf8()..);
        Some(part)
    })
}

/// Where the first wanted character stands that is neither in a quoted string nor in `<…>`.
pub(super) fn find_outside_quotes(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped, mut in_angle) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !in_angle => quoted = !quoted,
            _ if quoted => {}
            _ if !in_angle && wanted(c) => return Some(at),
            '<' => in_angle = true,
            '>' => in_angle = false,
            _ => {}
        }
    }
    None
}

/// Where the quote stands that ends a quoted string, whose first quote is not in `text`.
pub(super) fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_values_flags_and_quotes() {
        let params = Params::parse(";lr; Q = 0.5 ;x=\"a;b\";;");
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("q"), Some("0.5"));
        assert_eq!(params.get("X"), Some("\"a;b\""));
        assert_eq!(params.to_string(), ";lr;Q=0.5;x=\"a;b\"");
    }

    #[test]
    fn those_of_a_field_are_read_strictly() {
        assert_eq!(Params::of_field(" ; a = 1;b;c=\"x\\\";y\" ").unwrap().to_string(), ";a=1;b;c=\"x\\\";y\"");
        assert_eq!(Params::of_field(" "), Ok(Params::default()));
        for bad in ["x", ";", ";;a", ";a;", ";=1", ";a b=1", ";a=\"x", ";a=\"x\"y"] {
            assert_eq!(Params::of_field(bad), Err(UriError::Parameter), "{bad}");
        }
    }

    #[test]
    fn a_comma_in_quotes_or_angle_brackets_does_not_split() {
        let parts: Vec<_> = split_outside_quotes("\"a,\\\"b\" <sip:c,d@e>,<f>", ',').collect();
        assert_eq!(parts, ["\"a,\\\"b\" <sip:c,d@e>", "<f>"]);
    }
}
