//! A SIP user agent without I/O: RFC 3261 with RFC 6026 (Accepted states), 3262 (100rel), 3311 (UPDATE), 3326 (Reason),
//! 3428 (MESSAGE from us), 3515 and 3892 (REFER), 3581 (rport), 3891 (Replaces), 4028 (session timers), 7616 (digest).
//!
//! [`Endpoint`] takes messages, commands and the time, and gives messages to send, names to resolve and events:
//! message ▶ transaction ▶ dialog and session, or registration. SDP passes through as bytes.
//!
//! Left out: SUBSCRIBE beyond what a REFER implies, GRUU (RFC 5627), Path (RFC 3327), Service-Route (RFC 3608), outbound
//! (RFC 5626 beyond keep-alive), offers of ours in UPDATE or PRACK, early media of ours, `maddr` in a `Via`.

pub mod auth;
mod call_out;
mod client_auth;
mod core;
mod deadlines;
mod dialog;
mod endpoint;
mod escape;
mod guard;
pub mod message;
mod network;
mod outside;
mod parties;
mod path;
mod register;
pub mod sdp;
mod session;
mod transaction;
mod types;

pub use call_out::CallOut;
pub use endpoint::Endpoint;
pub(crate) use endpoint::is_private;
pub use guard::Limits;
pub(crate) use guard::network_of;
pub use network::{Network, NetworkError};
pub use parties::{CalledFrom, CallerFrom, Numbering, Parties, Plan, Rewrite};
pub use types::{
    Account, AccountId, CallKey, Command, DirectCalls, EndCause, EndpointConfig, Event, Flow, Incoming, Input,
    MessageId, Output, Reason, RegistrationFailure, RegistrationState, ResolveId, SessionEvent, TransferProgress,
    Transport, Usage,
};
