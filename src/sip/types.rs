//! The words in which the endpoint and its shell talk.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::message::{NameAddr, Uri};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// As it stands in `Via`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().find(|t| t.name().eq_ignore_ascii_case(name))
    }
}

/// A path to a peer. `local` is the address at which the peer can reach us over it: it goes into Via and Contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// Our own key of a call, unlike a Call-ID chosen by nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an account, in the order of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u16);

/// Names a question to the resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolveId(pub u64);

/// A registration at a PBX or a trunk.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    /// Host name or address of the registrar, which is also the way for our calls.
    pub registrar: String,
    /// `None` leaves it to the resolver (SRV, or the default of the transport).
    pub port: Option<u16>,
    /// The domain of our address of record, often that of the registrar.
    pub domain: String,
    pub username: String,
    /// For the digest; usually the same as `username`.
    pub auth_username: String,
    pub password: SecretString,
    pub transport: Transport,
    /// The lifetime that we ask for, in whole seconds.
    pub expires: Duration,
}

#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// For User-Agent and Server.
    pub user_agent: String,
    /// The user part of our address in calls that belong to no account.
    pub user: String,
    /// Whether a call that comes from no account's registrar is taken; otherwise it gets 403.
    pub direct_calls: bool,
    /// How many sessions there may be at once; a call beyond gets 486 Busy Here.
    pub max_calls: usize,
}

/// What the shell tells the endpoint.
#[derive(Debug)]
pub enum Input {
    /// A datagram, or a message cut from a stream by `StreamFramer`.
    Message {
        flow: Flow,
        bytes: Vec<u8>,
    },
    /// The answer to [`Output::Resolve`], best first; empty when there is no address.
    Resolved {
        id: ResolveId,
        flows: Vec<Flow>,
    },
    /// Sending over the flow failed, or its connection is gone.
    FlowFailed {
        flow: Flow,
        error: String,
    },
    Command(Command),
}

/// What the application wants. A command that does not fit the state of its call does nothing.
#[derive(Debug)]
pub enum Command {
    /// Registers an account and keeps it registered. An account with the same id is replaced.
    Register(Account),
    /// Unregisters all accounts; each ends in [`RegistrationState::Unregistered`].
    Unregister,
    /// Ends everything at once: unregisters, refuses what is unanswered by 480, ends our calls by CANCEL and all others by
    /// BYE, even where the ACK of our 200 is not there yet, because nobody will be there to wait for it.
    Stop,
    /// Calls somebody. `call` is from [`super::Endpoint::next_call_key`].
    Invite {
        call: CallKey,
        /// A SIP URI, with or without its `sip:`.
        target: String,
        offer: Vec<u8>,
    },
    /// Answers an incoming call by 200. `sdp` is the answer, or our offer if the call came without one.
    Answer { call: CallKey, sdp: Vec<u8> },
    /// Refuses an incoming call with a status from 300 to 699; another is sent as 500.
    Reject { call: CallKey, status: u16 },
    /// Answers [`SessionEvent::Offer`]; our offer if that came without one.
    AnswerOffer { call: CallKey, sdp: Vec<u8> },
    /// Refuses [`SessionEvent::Offer`] by 488: the session goes on as it was.
    RejectOffer { call: CallKey },
    /// Ends a call by CANCEL, BYE or 480, as its state demands.
    Hangup { call: CallKey },
}

/// What the endpoint wants from the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Transmit {
        flow: Flow,
        bytes: Vec<u8>,
    },
    /// Find flows to a host (RFC 3263) and answer by [`Input::Resolved`], in any case.
    Resolve {
        id: ResolveId,
        host: String,
        port: Option<u16>,
        transport: Transport,
    },
    Event(Event),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Session { call: CallKey, event: SessionEvent },
    Registration { account: AccountId, state: RegistrationState },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A call has come. Answer it by [`Command::Answer`] or [`Command::Reject`].
    Incoming(Box<Incoming>),
    /// Our call rings. May come again.
    Ringing,
    /// Our call has media before it is answered.
    EarlyMedia { flow: Flow, sdp: Vec<u8> },
    /// Our call was answered.
    Answered { flow: Flow, sdp: Vec<u8> },
    /// The peer has our 200 to his call. `sdp` is his answer if the offer was ours.
    Established { sdp: Option<Vec<u8>> },
    /// The peer wants to change the session: answer by [`Command::AnswerOffer`] or [`Command::RejectOffer`].
    /// Without `sdp` he wants an offer from us.
    Offer { sdp: Option<Vec<u8>> },
    /// The peer's answer to an offer of ours that he asked for.
    OfferAnswered { sdp: Vec<u8> },
    /// The call is over. Nothing follows.
    Ended { cause: EndCause },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub flow: Flow,
    /// The account whose registrar the call came from.
    pub account: Option<AccountId>,
    pub caller: NameAddr,
    /// The Request-URI.
    pub callee: Uri,
    pub sip_call_id: String,
    /// `None`: the caller wants the offer from us.
    pub offer: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// By the caller before the answer: the peer, or our own hang-up.
    Cancelled,
    RemoteBye,
    LocalBye,
    /// Refused: by the peer for our call, by us for his.
    Rejected {
        status: u16,
        reason: String,
    },
    /// Our answer was never acknowledged.
    NoAck,
    /// No answer at all.
    Timeout,
    /// No address, no connection, or too many transactions.
    TransportFailed(String),
    /// The target is not a SIP URI.
    InvalidTarget,
    /// The peer broke the protocol, or this call was commanded when there was no room for it.
    Failed(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    Unregistered,
    Registering,
    /// The registrar knows us until then; we refresh long before.
    Registered {
        until: Instant,
    },
    Failed {
        reason: RegistrationFailure,
        retry_at: Instant,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationFailure {
    #[error("the registrar's name has no address: check registrar and the network")]
    NoAddress,
    #[error("the registrar does not answer")]
    Timeout,
    #[error("the registrar cannot be reached: {0}")]
    Transport(String),
    #[error("the registrar refuses the credentials ({status}): check username and password")]
    Credentials { status: u16 },
    #[error("the registrar refuses: {status} {reason}")]
    Rejected { status: u16, reason: String },
}

/// How much an endpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub sessions: usize,
    pub transactions: usize,
}
