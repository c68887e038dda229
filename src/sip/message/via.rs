//! `Via` (RFC 3261 §20.42) with `rport` (RFC 3581).
//!
//! rsip refuses spaces, unknown transports and IPv6 here, so this type replaces its own.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::params::Params;
use super::uri::{UriError, parse_host_port};
use crate::sip::Flow;

/// RFC 3261 §8.1.1.7: a branch that begins so is unique by itself.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// As it came: `UDP`, `TCP`, … or one that we do not know.
    pub transport: String,
    pub host: String,
    pub port: Option<u16>,
    pub params: Params,
}

impl Via {
    /// The `Via` of a request that we send over `flow`. It asks for the answer on the port it came from (RFC 3581 §3).
    pub fn new(flow: &Flow, branch: &str) -> Self {
        let mut params = Params::default();
        params.set("branch", Some(branch.to_owned()));
        params.set("rport", None);
        let host = match flow.local {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Via { transport: flow.transport.name().to_owned(), host, port: Some(flow.local.port()), params }
    }

    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// Notes where the request came from (RFC 3261 §18.2.1, RFC 3581 §4). We note it always, not only when the
    /// sent-by differs: the answer goes back over the flow in any case, and a sender behind NAT learns its address.
    pub fn set_received(&mut self, from: SocketAddr) {
        if self.params.has("rport") {
            self.params.set("rport", Some(from.port().to_string()));
        }
        self.params.set("received", Some(from.ip().to_string()));
    }
}

impl FromStr for Via {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (head, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let mut parts = head.splitn(3, '/').map(str::trim);
        let (Some(protocol), Some(_version), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(UriError::Scheme);
        };
        let (transport, sent_by) = rest.split_once(char::is_whitespace).ok_or(UriError::Host)?;
        if !protocol.eq_ignore_ascii_case("SIP") {
            return Err(UriError::Scheme);
        }
        let (host, port) = parse_host_port(sent_by.trim())?;
        Ok(Via { transport: transport.to_owned(), host, port, params: Params::of_field(params)? })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_odd_spacing_unknown_transports_and_ipv6() {
        let via: Via = "SIP  / 2.0\t/ UDP  192.0.2.2 : 5070 ; branch = z9hG4bK390skdjuw ; rport".parse().unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK390skdjuw;rport");
        assert_eq!("SIP/2.0/UNKNOWN t4.example.com".parse::<Via>().unwrap().transport, "UNKNOWN");
        assert_eq!("SIP/2.0/TCP [2001:db8::9:1];received=[::1]".parse::<Via>().unwrap().host, "[2001:db8::9:1]");
        assert!("SIP/2.0/UDP".parse::<Via>().is_err());
    }

    #[test]
    fn fills_rport_and_received() {
        let mut via: Via = "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1".parse().unwrap();
        via.set_received("192.0.2.7:1025".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP 10.0.0.1:5060;rport=1025;branch=z9hG4bK1;received=192.0.2.7");
    }
}
