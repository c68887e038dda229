//! Header fields by name. Names are kept in their long, usual spelling and compared without case.

use super::params::split_outside_quotes;

/// The header fields of a message, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every field of that name, unsplit.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of that name: fields with commas are split (RFC 3261 §7.3.1). Not for credentials, whose
    /// parameters stand between commas.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| split_outside_quotes(value, ','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// Appends a field. Line breaks in `value` become spaces, so that a value can never begin a new field.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let mut value = value.into();
        if value.contains(['\r', '\n']) {
            value = value.replace(['\r', '\n'], " ");
        }
        self.0.push((expand(name).to_owned(), value));
    }

    pub fn push_front(&mut self, name: &str, value: impl Into<String>) {
        self.push(name, value);
        self.0.rotate_right(1);
    }

    /// Replaces the first field of that name and drops the others.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Copies all fields of that name from another message.
    pub fn copy(&mut self, name: &str, from: &Headers) {
        for value in from.all(name) {
            self.push(name, value);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The length of the last value.
    pub(super) fn last_len(&self) -> usize {
        self.0.last().map_or(0, |(_, value)| value.len())
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut String> {
        self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A folded line goes on with the last field (RFC 3261 §7.3.1). False when there is none.
    pub(super) fn continue_last(&mut self, more: &str) -> bool {
        let Some((_, value)) = self.0.last_mut() else { return false };
        if !value.is_empty() && !more.is_empty() {
            value.push(' ');
        }
        value.push_str(&more.replace('\r', " "));
        true
    }

    /// Drops all values of `Via` but the first: an answer to too many needs to reach the last hop alone.
    pub(super) fn keep_top_via(&mut self) {
        let top = self.values("Via").next().map(str::to_owned);
        self.remove("Via");
        if let Some(top) = top {
            self.push("Via", top);
        }
    }

    /// The value of the first `Via`, and those of the rest of its field if that is a list.
    pub(super) fn replace_top_via(&mut self, via: &str) {
        let Some(value) = self.get_mut("Via") else { return };
        let rest: String = split_outside_quotes(value, ',').skip(1).map(|part| format!(", {}", part.trim())).collect();
        *value = format!("{via}{rest}");
    }
}

/// The long form of a compact name (RFC 3261 §7.3.3, and the IANA registry for later ones).
fn expand(name: &str) -> &str {
    let [letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_compact_names_without_case() {
        let mut headers = Headers::default();
        headers.push("v", "SIP/2.0/UDP a, SIP/2.0/UDP b");
        headers.push("VIA", "SIP/2.0/UDP c");
        assert_eq!(headers.values("Via").count(), 3);
        headers.replace_top_via("SIP/2.0/UDP z");
        assert_eq!(headers.values("via").collect::<Vec<_>>(), ["SIP/2.0/UDP z", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]);
    }

    #[test]
    fn a_value_cannot_begin_a_new_field() {
        let mut headers = Headers::default();
        headers.push("Subject", "hello\r\nVia: forged");
        assert_eq!(headers.get("Subject"), Some("hello  Via: forged"));
    }
}
