//! A SIP user agent without I/O: RFC 3261 with RFC 6026 (Accepted states), 3581 (rport), 3311 (UPDATE), 7616 (digest).
//!
//! [`Endpoint`] takes messages, commands and the time, and gives messages to send, names to resolve and events:
//! message ▶ transaction ▶ dialog and session, or registration. SDP passes through as bytes.
//!
//! Left out: PRACK, session timers of our own, REFER, SUBSCRIBE, forking beyond ending surplus answers, moving a
//! large request from UDP to TCP (RFC 3261 §18.1.1), GRUU (RFC 5627), Path (RFC 3327), Service-Route
//! (RFC 3608), outbound (RFC 5626 beyond keep-alive), re-INVITE from our side, calls through an account, 180 Ringing for
//! a call to us, the lifetime of an INVITE (Expires, §13.3.1), `maddr` in a `Via`.

pub mod auth;
mod call_out;
mod client_auth;
mod core;
mod deadlines;
mod dialog;
mod endpoint;
mod guard;
pub mod message;
mod network;
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
pub use network::{Network, NetworkError};
pub use parties::{CalledFrom, CallerFrom, Numbering, Parties, Plan, Rewrite};
pub use types::{
    Account, AccountId, CallKey, Command, DirectCalls, EndCause, EndpointConfig, Event, Flow, Incoming, Input, MessageId,
    Output, Reason, RegistrationFailure, RegistrationState, ResolveId, SessionEvent, TransferProgress, Transport, Usage,
};
