//! Where we listen and how we are seen: the settings of the transports, as plain values.

use std::net::IpAddr;
use std::path::PathBuf;

/// The default port of SIP over UDP and TCP (RFC 3261 §19.1.2).
pub const SIP_PORT: u16 = 5060;
/// The default port of SIP over TLS.
pub const SIPS_PORT: u16 = 5061;

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Each gets UDP, TCP and, with a certificate, TLS. `0.0.0.0` and `::` are all addresses of their family; together
    /// they are everything. At least one.
    pub addresses: Vec<IpAddr>,
    /// UDP and TCP alike, the same at every address; 0 lets the system choose one.
    pub port: u16,
    /// `None`: no TLS for others; what we open ourselves is verified with the roots of the system.
    pub tls: Option<TlsSettings>,
    /// Our address as the public network sees it, when a router with fixed port forwarding stands between: it goes into
    /// Via, Contact and SDP toward peers outside private networks, with our own ports.
    pub public: Option<IpAddr>,
}

impl Listen {
    /// One address, no TLS for others, no public address.
    pub fn on(address: IpAddr, port: u16) -> Self {
        Listen { addresses: vec![address], port, tls: None, public: None }
    }
}

/// TLS in both roles. All files are PEM.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Of our listener; 0 lets the system choose one. Also what our Contact names over TLS.
    pub port: u16,
    /// Our certificate and those that lead to its root, in this order. Needs `key`. `None`: we take no TLS from others,
    /// but open it ourselves. With it we also show it to peers that ask for a certificate of ours.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`: PKCS#8, PKCS#1 or SEC1.
    pub key: Option<PathBuf>,
    /// Who connects to us must show a certificate from one of these authorities.
    pub client_ca: Option<PathBuf>,
    /// Authorities that count for what we open, beside those of the system. A certificate of a server that stands here
    /// itself is accepted as it is.
    pub ca: Option<PathBuf>,
    /// `false` accepts any certificate: whoever sits between reads passwords and calls.
    pub verify: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings { port: SIPS_PORT, certificate: None, key: None, client_ca: None, ca: None, verify: true }
    }
}
