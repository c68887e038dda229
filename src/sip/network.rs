//! A range of addresses, for access lists (CIDR, RFC 4632). An IPv4 address written as IPv6 (`::ffff:…`) is the IPv4 one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// An address with the number of leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "\"{0}\" is no address: expected one such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32; names cannot stand here"
    )]
    Address(String),
    #[error("/{prefix} is no prefix of {address}: expected /0 to /{most}")]
    Prefix { prefix: String, address: IpAddr, most: u8 },
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                // The shift by all 32 bits, which would overflow, is that of a network with everything in it.
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                (ours.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
                (ours.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `address` or `address/prefix`; bits of the address beyond the prefix do not count.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let text = text.trim();
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let written: IpAddr = bare.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let address = written.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = prefix else { return Ok(Network { address, prefix: most }) };
        let bad = || NetworkError::Prefix { prefix: prefix.to_owned(), address, most };
        let digits = Some(prefix).filter(|prefix| prefix.bytes().all(|b| b.is_ascii_digit()));
        let bits: u8 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        // ::ffff:203.0.113.0/120 counts the 96 bits in front of an IPv4 address.
        let mapped = written.is_ipv6() && address.is_ipv4();
        let bits = if mapped { bits.checked_sub(96).ok_or_else(bad)? } else { bits };
        if bits > most { Err(bad()) } else { Ok(Network { address, prefix: bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn tells_what_is_inside_from_what_is_not() {
        for (network, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.112.255"),
            ("203.0.113.9/31", "203.0.113.8", "203.0.113.10"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.6"),
            ("203.0.113.7", "::ffff:203.0.113.7", "::203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.200", "203.0.114.1"),
            ("0.0.0.0/0", "8.8.8.8", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
        ] {
            assert!(contains(network, inside), "{inside} in {network}");
            assert!(!contains(network, outside), "{outside} in {network}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("sip.example.com", "names cannot stand here"),
            ("", "is no address"),
            ("203.0.113", "is no address"),
            ("203.0.113.0/33", "expected /0 to /32"),
            ("203.0.113.0/", "expected /0 to /32"),
            ("203.0.113.0/+8", "/+8 is no prefix"),
            ("2001:db8::/129", "expected /0 to /128"),
            ("::ffff:203.0.113.0/24", "/24 is no prefix of 203.0.113.0"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gives {error:?}");
        }
    }

    #[test]
    fn writes_what_it_read() {
        for text in ["203.0.113.0/24", "2001:db8::/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
