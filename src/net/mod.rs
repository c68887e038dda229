//! Sockets: SIP over UDP and TCP, the RTP port pool, names to addresses. What is said over them is decided elsewhere.
//!
//! Left out: TLS, SRV and NAPTR (RFC 3263), a public address other than the socket's own.

pub mod ports;
pub mod resolve;
pub mod sip;
mod tcp;
