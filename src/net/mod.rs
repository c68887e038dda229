//! Sockets: SIP over UDP, TCP and TLS, the RTP port pool, names to addresses. What is said over them is decided elsewhere.
//!
//! Left out: DNS over anything but UDP and TCP, ENUM, UPnP and STUN for the public address (it is given, or learned by the
//! registration), QUIC, SCTP and WebSocket.

mod connections;
mod dns;
pub mod listen;
pub mod ports;
pub mod resolve;
mod routes;
mod shell;
pub mod sip;
mod stream;
mod tls;
