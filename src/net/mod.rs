//! Sockets: SIP over UDP, TCP and TLS, the RTP port pool, names to addresses. What is said over them is decided elsewhere.
//!
//! Left out: DNS over anything but UDP and TCP, ENUM, UPnP and STUN for the public address (it is given, or learned by the
//! registration), the address that a datagram came to where one socket has several (the routing table chooses), QUIC, SCTP
//! and WebSocket.

mod connections;
mod dns;
pub mod listen;
pub mod media;
mod names;
pub mod ports;
pub mod resolve;
mod routes;
mod shell;
pub mod sip;
mod stream;
mod tls;
