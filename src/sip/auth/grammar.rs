//! The grammar that challenges and their answers share: `name=value`, comma, quoted or not (RFC 7616 §3, RFC 3261 §25.1).
//!
//! Tolerant of what peers send: names in any case, values quoted or not, empty parameters, any white space. Left out:
//! extended parameters such as `username*` (RFC 5987), which count as unknown ones.

use super::AuthError;

/// Longest header value that is read, in bytes.
pub(super) const MAX_LEN: usize = 4_096;

/// What follows the scheme `Digest`, in any case.
///
/// # Errors
/// [`AuthError::TooLong`] beyond [`MAX_LEN`]; [`AuthError::NotDigest`] for another scheme or none.
pub(super) fn after_scheme(value: &str) -> Result<&str, AuthError> {
    if value.len() > MAX_LEN {
        return Err(AuthError::TooLong);
    }
    let (scheme, parameters) = value.trim().split_once(char::is_whitespace).ok_or(AuthError::NotDigest)?;
    if scheme.eq_ignore_ascii_case("Digest") { Ok(parameters) } else { Err(AuthError::NotDigest) }
}

/// The values of `names` in their order, without their quotes. Of a repeated parameter the first counts.
///
/// # Errors
/// [`AuthError::Malformed`] when the text is not a list of parameters, also behind the wanted ones.
pub(super) fn collect<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Result<[Option<&'a str>; N], AuthError> {
    let mut values = [None; N];
    for parameter in (Parameters { text, at: 0 }) {
        let (name, value) = parameter?;
        for (slot, _) in values.iter_mut().zip(names).filter(|(_, wanted)| name.eq_ignore_ascii_case(wanted)) {
            slot.get_or_insert(value);
        }
    }
    Ok(values)
}

/// Text for inside a quoted-string (RFC 3261 §25.1). Control characters have no escape, so they are dropped.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What a quoted-string says: the text that [`escaped`] was given.
pub(super) fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    std::iter::from_fn(|| match chars.next() {
        Some('\\') => chars.next(),
        next => next,
    })
    .collect()
}

/// The `name=value` pairs, quotes taken off.
struct Parameters<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parameters<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(skipped).len();
    }

    fn parameter(&mut self) -> Option<(&'a str, &'a str)> {
        let (name, _) = self.rest().split_once('=')?;
        self.at += name.len() + 1;
        let name = name.trim_end();
        self.skip(char::is_whitespace);
        let value = match self.rest().strip_prefix('"') {
            Some(quoted) => {
                let value = quoted.get(..closing_quote(quoted)?)?;
                self.at += value.len() + 2;
                value
            }
            None => {
                let value = bare(self.rest());
                self.at += value.len();
                value.trim_end()
            }
        };
        self.skip(char::is_whitespace);
        let separated = self.rest().is_empty() || self.rest().starts_with(',');
        // Values are echoed between quotes, so what would break out of them must not come in.
        let clean = !value.contains(char::is_control)
            && closing_quote(&format!("{value}\"")) == Some(value.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b','));
        (separated && clean && !name.is_empty()).then_some((name, value))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a str, &'a str), AuthError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(|c| c == ',' || c.is_whitespace());
        if self.rest().is_empty() {
            return None;
        }
        let start = self.at;
        Some(self.parameter().ok_or_else(|| {
            self.at = self.text.len();
            AuthError::Malformed(start)
        }))
    }
}

/// A value without quotes: up to a comma, or beyond it where what follows is no parameter, as in `qop=auth,auth-int`.
fn bare(text: &str) -> &str {
    let is_parameter = |segment: &str| segment.trim().is_empty() || segment.contains(['=', '"']);
    let mut segments = text.split(',');
    let first = segments.next().unwrap_or_default().len();
    let more: usize = segments.take_while(|segment| !is_parameter(segment)).map(|segment| 1 + segment.len()).sum();
    text.get(..first + more).unwrap_or_default()
}

/// Where the first quote stands that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escape = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escape;
        escape = byte == b'\\' && !escape;
        closes
    })
}

/// One parameter of a value that we wrote.
#[cfg(test)]
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let [value] = collect(after_scheme(value).unwrap(), [name]).unwrap();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_repeated_parameter_counts_and_names_have_no_case() {
        assert_eq!(collect(" A = \"x, y\" ,, b=1 ,a=2", ["a", "b", "c"]), Ok([Some("x, y"), Some("1"), None]));
        assert_eq!(collect("a=1, b=\"2\", c", ["a"]), Err(AuthError::Malformed(12)), "also behind what is wanted");
    }

    #[test]
    fn a_list_needs_no_quotes() {
        let both = Ok([Some("auth, auth-int"), Some("n==")]);
        assert_eq!(collect("qop=auth, auth-int, nonce=n==", ["qop", "nonce"]), both);
        assert_eq!(collect("nonce=n==,qop=auth, auth-int,", ["qop", "nonce"]), both);
    }

    #[test]
    fn quoting_and_its_opposite_agree() {
        for text in ["", "a\"b\\c", "\\\\", "ж"] {
            assert_eq!(unescaped(&escaped(text)), text);
        }
        assert_eq!((escaped("a\r\nb").as_str(), unescaped("a\\").as_str()), ("ab", "a"));
    }
}
