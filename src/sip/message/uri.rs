//! SIP URIs (RFC 3261 §19.1).
//!
//! The host and port are read by rsip; what it refuses or misreads is read here: IPv6 references, `;` and `?` in
//! the user part, headers, and schemes that are not SIP. Left out: unescaping (parts are kept as they came),
//! URI comparison by §19.1.4 and `tel:` as more than opaque text.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::params::Params;
use crate::sip::Transport;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    Sip,
    Sips,
    /// Anything else, for example `tel`. All after the colon is then in [`Uri::host`].
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    pub scheme: Scheme,
    /// User and password as they came, escapes and all.
    pub user: Option<String>,
    /// A name or an address; an IPv6 address stands in brackets.
    pub host: String,
    pub port: Option<u16>,
    pub params: Params,
    /// What follows `?`.
    pub headers: Option<String>,
}

/// A text is not a URI. The text itself may be personal data and is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("a URI begins with a scheme and a colon, like sip:name@host")]
    Scheme,
    #[error("the host or port of the URI cannot be read; expected name, IPv4 or [IPv6], then :port up to 65535")]
    Host,
    #[error("a URI has no white space and no angle brackets")]
    Character,
    #[error("the display name is not closed by its quote, or has commas, semicolons or quotes without being quoted")]
    DisplayName,
    #[error("a parameter of the header field is empty or cannot be read")]
    Parameter,
}

impl Uri {
    /// `sip:user@host:port` of a socket address.
    pub fn sip(user: Option<&str>, address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { port: Some(address.port()), ..Self::of_host(user, host) }
    }

    /// `sip:user@host`.
    pub fn of_host(user: Option<&str>, host: impl Into<String>) -> Self {
        Uri {
            scheme: Scheme::Sip,
            user: user.map(str::to_owned),
            host: host.into(),
            port: None,
            params: Params::default(),
            headers: None,
        }
    }

    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The host if it is an address and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The transport that the URI asks for (RFC 3263 §4.1, without NAPTR): `sips` and `transport=tls` mean TLS.
    pub fn transport(&self) -> Option<Transport> {
        match self.params.get("transport") {
            _ if self.scheme == Scheme::Sips => Some(Transport::Tls),
            Some(name) => Transport::from_name(name),
            None => None,
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<' || c == '>') {
            return Err(UriError::Character);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            _ if is_scheme(scheme) => {
                let scheme = Scheme::Other(scheme.to_owned());
                return Ok(Uri { scheme, ..Uri::of_host(None, rest) });
            }
            _ => return Err(UriError::Scheme),
        };
        // Neither host, parameters nor headers can hold a bare `@`, but the user part can hold `;` and `?`.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers.to_owned())),
            None => (rest, None),
        };
        let (host_port, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = parse_host_port(host_port)?;
        Ok(Uri { scheme, user, host, port, params: Params::parse(params), headers })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Sip => f.write_str("sip:")?,
            Scheme::Sips => f.write_str("sips:")?,
            Scheme::Other(scheme) => write!(f, "{scheme}:")?,
        }
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// Host and port of a URI or of a `Via` (whose colon may stand between spaces).
pub(super) fn parse_host_port(text: &str) -> Result<(String, Option<u16>), UriError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(UriError::Host)?;
        let ip: Ipv6Addr = host.parse().map_err(|_| UriError::Host)?;
        let port = match port.trim().strip_prefix(':') {
            Some(port) if port.trim().starts_with('+') => return Err(UriError::Host),
            Some(port) => Some(port.trim().parse().map_err(|_| UriError::Host)?),
            None if port.trim().is_empty() => None,
            None => return Err(UriError::Host),
        };
        return Ok((format!("[{ip}]"), port));
    }
    // rsip takes any character in a name and a second colon as part of it.
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host.trim(), Some(port.trim())),
        None => (text.trim(), None),
    };
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err(UriError::Host);
    }
    // … and a sign in the port.
    if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err(UriError::Host);
    }
    let joined = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let parsed = rsip::HostWithPort::try_from(joined.as_str()).map_err(|_| UriError::Host)?;
    Ok((parsed.host.to_string(), parsed.port.map(|port| *port.value())))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_read() {
        for text in [
            "sip:alice@example.com",
            "sips:bob:secret@192.0.2.4:5061;transport=tcp;lr",
            "sip:user;par=u%40example.net@example.com",
            "sip:what?ever@example.com;x?Subject=a&b",
            "sip:[2001:db8::1]:5060",
            "tel:+358-555-1234567;postd=pp22",
        ] {
            assert_eq!(text.parse::<Uri>().map(|u| u.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_what_is_not_a_uri() {
        for text in
            ["", "alice", "sip:", "sip:a@", "sip:a b@c", "sip:a@h:99999", "sip:a@h:", "sip:[::1", "sip:a@b:c:1", "1:x"]
        {
            assert!(text.parse::<Uri>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_semicolon_belongs_to_the_user_part_before_the_at() {
        let uri: Uri = "sip:user;par=1@example.com;q".parse().unwrap();
        assert_eq!((uri.user.as_deref(), uri.host.as_str()), (Some("user;par=1"), "example.com"));
        assert!(uri.params.has("q"));
    }
}
