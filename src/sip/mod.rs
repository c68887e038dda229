//! A SIP user agent without I/O: RFC 3261 with RFC 6026 (Accepted states), 3262 (100rel), 3311 (UPDATE), 3326 (Reason),
//! 3581 (rport), 4028 (session timers), 7616 (digest).
//!
//! [`Endpoint`] takes messages, commands and the time, and gives messages to send, names to resolve and events:
//! message ▶ transaction ▶ dialog and session, or registration. SDP passes through as bytes.
//!
//! Left out: REFER, SUBSCRIBE, GRUU, Path and Service-Route, offers of ours in UPDATE or PRACK, early media of ours,
//! Retry-After on a 503 to a REGISTER (§21.5.4: we try again at our own pace), `maddr` in a `Via`.

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
pub use guard::Limits;
pub use network::Network;
pub use parties::{Numbering, Parties};
pub use types::{
    Account, AccountId, CallKey, Command, DirectCalls, EndCause, EndpointConfig, Event, Flow, Incoming, Input, MessageId,
    Output, Reason, RegistrationFailure, RegistrationState, ResolveId, SessionEvent, TransferProgress, Transport, Usage,
};
