//! Behaviour: the core in virtual time, the engines with their real models, and the whole program with real telephones and
//! a real PBX. One binary. A peer or a model that is missing fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundle;
mod call;
mod cli;
mod codecs;
mod comfort;
mod dialog;
mod encrypted;
mod end_of_turn;
mod engines;
mod handshake_paths;
mod ice;
mod impaired;
mod interop;
mod keys;
mod moved_keys;
mod nat;
mod peers;
mod program;
mod recognition;
mod rekey;
mod rtp;
mod sdp;
mod short_packets;
mod sip;
mod sip_defence;
mod sip_digest;
mod sip_fuzz;
mod sip_invite;
mod sip_messages;
mod sip_offers;
mod sip_prack;
mod sip_registration;
mod sip_requests;
mod sip_simulation;
mod sip_timers;
mod sip_transfer;
mod sip_transport;
mod sip_trunks;
mod sipp;
mod srtp;
mod support;
mod telephones;
mod tidy;
mod turns;
