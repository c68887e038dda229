//! The words in which the endpoint and its shell talk.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::auth::Credentials;
use super::call_out::CallOut;
use super::guard::Limits;
use super::message::{NameAddr, Uri};
use super::network::Network;
use super::parties::{Numbering, Parties};

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

/// Names a [`Command::Message`]; chosen by who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// A registration at a PBX, or a trunk by registration or by address.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    /// Host name or address of the registrar or trunk, which is also the way for our calls.
    pub registrar: String,
    /// `None` leaves it to the resolver (SRV, or the default of the transport).
    pub port: Option<u16>,
    /// The domain of our address of record, often that of the registrar.
    pub domain: String,
    pub username: String,
    /// What we answer to challenges with; the first whose realm is the challenge's, or is `None`.
    pub credentials: Vec<Credentials>,
    /// `None` leaves it to the resolver (NAPTR, else UDP).
    pub transport: Option<Transport>,
    /// The lifetime that we ask for, in whole seconds; `None` for a trunk by address, where we do not register.
    pub expires: Option<Duration>,
    /// From where its calls come beside the addresses that `registrar` resolves to.
    pub access: Vec<Network>,
    /// How its numbers are read.
    pub numbering: Numbering,
}

/// Whether a call that comes from no account is taken.
#[derive(Debug, Clone)]
pub enum DirectCalls {
    /// It gets 403.
    Refused,
    Taken,
    /// Only with one of these names and passwords (RFC 3261 §22.1), in this realm.
    Challenged {
        realm: String,
        users: Vec<Credentials>,
    },
}

#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// For User-Agent and Server.
    pub user_agent: String,
    /// The user part of our address in calls that belong to no account.
    pub user: String,
    pub direct_calls: DirectCalls,
    /// How many sessions there may be at once; a call beyond gets 503 with Retry-After.
    pub max_calls: usize,
    /// Whom we may call and transfer to.
    pub call_out: CallOut,
    /// Whom we may write to.
    pub message_out: CallOut,
    /// How fast others may come.
    pub limits: Limits,
    /// The session interval that we ask for (RFC 4028 §4), at least 90 s.
    pub session_expires: Duration,
}

impl EndpointConfig {
    /// Takes direct calls and calls nobody.
    pub fn new(user_agent: &str, user: &str, max_calls: usize) -> Self {
        EndpointConfig {
            user_agent: user_agent.to_owned(),
            user: user.to_owned(),
            direct_calls: DirectCalls::Taken,
            max_calls,
            call_out: CallOut::Matching(Vec::new()),
            message_out: CallOut::Matching(Vec::new()),
            limits: Limits::default(),
            session_expires: Duration::from_secs(1800),
        }
    }
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
        /// A SIP URI, with or without its `sip:`; with an account also a number or a name at its domain.
        target: String,
        /// Whose address, way and credentials are used.
        account: Option<AccountId>,
        offer: Vec<u8>,
        /// The call is cancelled when it is not answered by then.
        ring_for: Duration,
    },
    /// Says 180 Ringing to an incoming call, reliably if the caller wants that (RFC 3262).
    Ring { call: CallKey },
    /// Answers an incoming call by 200. `sdp` is the answer, or our offer if the call came without one.
    Answer { call: CallKey, sdp: Vec<u8> },
    /// Refuses an incoming call with a status from 300 to 699; another is sent as 500. With `retry_after` the caller is told
    /// when to try again (RFC 3261 §20.33), in whole seconds, rounded up.
    Reject { call: CallKey, status: u16, retry_after: Option<Duration> },
    /// Answers [`SessionEvent::Offer`]; our offer if that came without one.
    AnswerOffer { call: CallKey, sdp: Vec<u8> },
    /// Refuses [`SessionEvent::Offer`] by 488: the session goes on as it was.
    RejectOffer { call: CallKey },
    /// Changes the session by a re-INVITE, such as for hold; [`SessionEvent::OfferAnswered`] or
    /// [`SessionEvent::OfferRefused`] follows. While another exchange is under way it waits; a later one takes its place.
    Offer { call: CallKey, sdp: Vec<u8> },
    /// Sends the peer to somebody else (REFER, RFC 3515); [`SessionEvent::Transfer`] follows.
    Transfer { call: CallKey, target: String },
    /// Connects the peers of two calls of ours (REFER with Replaces, RFC 3891); [`SessionEvent::Transfer`] follows.
    TransferTo { call: CallKey, other: CallKey },
    /// Follows [`SessionEvent::TransferRequested`]: calls its target as `new_call`, and tells the peer what becomes of it.
    AcceptTransfer { call: CallKey, new_call: CallKey, offer: Vec<u8> },
    /// Refuses [`SessionEvent::TransferRequested`] with a status from 400 to 699.
    RejectTransfer { call: CallKey, status: u16 },
    /// Presses a key of the telephone by INFO: `0` to `9`, `*`, `#`, `A` to `D`.
    SendDigit { call: CallKey, digit: char },
    /// Writes a text to somebody (MESSAGE, RFC 3428); [`Event::Message`] follows.
    Message { id: MessageId, account: Option<AccountId>, target: String, text: String },
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
        /// `None`: NAPTR, else UDP.
        transport: Option<Transport>,
        /// The name is that of an account of ours, and not what others wrote into a message.
        for_account: bool,
    },
    Event(Event),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Session {
        call: CallKey,
        event: SessionEvent,
    },
    Registration {
        account: AccountId,
        state: RegistrationState,
    },
    /// What became of a [`Command::Message`]: `Err` says why it was not delivered.
    Message {
        id: MessageId,
        result: Result<(), EndCause>,
    },
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
    /// The peer refuses an offer of ours: the session goes on as it was.
    OfferRefused { status: u16 },
    /// The peer pressed a key, told by INFO.
    Digit { digit: char, duration: Duration },
    /// The peer asks us to call somebody else instead of him: answer by [`Command::AcceptTransfer`] or
    /// [`Command::RejectTransfer`].
    TransferRequested { target: Uri },
    /// What becomes of our transfer.
    Transfer(TransferProgress),
    /// The call is over. Nothing follows.
    Ended { cause: EndCause },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferProgress {
    /// The peer has begun to call.
    Accepted,
    /// The status that the target answered with provisionally.
    Trying(u16),
    /// The target has answered: the peer is with him.
    Succeeded,
    /// Refused by the peer or by the target, with that status; 408 if nothing was ever heard of it.
    Failed(u16),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub flow: Flow,
    /// Our address as the caller can reach it: for SDP.
    pub our_address: IpAddr,
    /// The account whose registrar or trunk the call came from.
    pub account: Option<AccountId>,
    pub caller: NameAddr,
    /// Who calls whom, as the account's rules read it.
    pub parties: Parties,
    /// The Request-URI.
    pub callee: Uri,
    pub sip_call_id: String,
    /// This call takes the place of that one (RFC 3891), which ends when this one is answered.
    pub replaces: Option<CallKey>,
    /// `None`: the caller wants the offer from us.
    pub offer: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// By the caller before the answer: the peer, or our own hang-up. The peer may say why.
    Cancelled(Option<Reason>),
    /// By the peer, who may say why.
    RemoteBye(Option<Reason>),
    LocalBye,
    /// Our call was not answered within the time given.
    NoAnswer,
    /// Another call took its place (RFC 3891).
    Replaced,
    /// The peer is gone: the session was not refreshed (RFC 4028 §10), or he answers a change of it with 408 or 481, or
    /// not at all.
    Expired,
    /// The configuration does not allow to call there.
    NotAllowed,
    /// Refused: by the peer for our call, by us for his.
    Rejected {
        status: u16,
        reason: String,
    },
    /// Our answer, or our ringing that he wanted reliably, was never acknowledged.
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

/// For whoever operates the program.
impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndCause::Cancelled(_) => f.write_str("given up before the answer"),
            EndCause::RemoteBye(_) => f.write_str("the other side hung up"),
            EndCause::LocalBye => f.write_str("we hung up"),
            EndCause::NoAnswer => f.write_str("it rang and nobody answered"),
            EndCause::Replaced => f.write_str("another call took its place"),
            EndCause::Expired => f.write_str("the other side is gone without a word"),
            EndCause::NotAllowed => f.write_str("[sip] call_out does not allow it"),
            EndCause::Rejected { status: 486 | 600, .. } => f.write_str("busy"),
            EndCause::Rejected { status: status @ 300..=399, reason } => {
                write!(f, "sent elsewhere ({status} {reason}), where it was not reached")
            }
            EndCause::Rejected { status, reason } => write!(f, "refused: {status} {reason}"),
            EndCause::NoAck => f.write_str("the answer was never acknowledged"),
            EndCause::Timeout => f.write_str("nobody answers at that address"),
            EndCause::TransportFailed(error) => f.write_str(error),
            EndCause::InvalidTarget => f.write_str("not a SIP address"),
            EndCause::Failed(why) => f.write_str(why),
        }
    }
}

/// A `Reason` header (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another.
    pub protocol: String,
    pub cause: Option<u16>,
    pub text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    Unregistered,
    Registering,
    /// The registrar knows us until then; we refresh long before.
    Registered {
        until: Instant,
        /// The registrar in use.
        registrar: SocketAddr,
        /// How it is reached.
        transport: Transport,
        /// Our address as the registrar sees it.
        seen_as: SocketAddr,
    },
    /// A trunk by address, which needs no registration: its calls are known by where they come from.
    Static {
        /// The first of its addresses, to which our calls go.
        trunk: SocketAddr,
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

/// How much an endpoint holds, and what it has had to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub sessions: usize,
    pub transactions: usize,
    /// The sessions as they are found by their Call-ID.
    pub dialogs: usize,
    /// Questions to the resolver, texts on their way, and calls whose progress somebody is to be told.
    pub waiting: usize,
    /// Messages that were dropped without an answer: scanners, floods, what is no SIP.
    pub dropped: u64,
    /// Requests that were refused with 503 for want of room.
    pub overloaded: u64,
}
