//! Sockets: SIP over UDP, TCP and TLS, the RTP port pool, names to addresses, how we look from outside. What is said over them
//! is decided elsewhere.
//!
//! Left out: DNS over anything but UDP and TCP, ENUM, UPnP, the address that a datagram came to where one socket has several (the routing table chooses), QUIC, SCTP
//! and WebSocket.

mod connections;
mod dns;
pub mod listen;
pub mod media;
mod names;
pub mod outside;
pub mod ports;
pub mod resolve;
mod routes;
mod shell;
pub mod sip;
mod stream;
mod tls;
