//! STUN (RFC 8489) on datagrams: asking a server how it sees a socket of ours, and what ICE needs of its messages.
//! stun-types reads and writes them.
//!
//! Left out: TCP and TLS, long-term credentials, ALTERNATE-SERVER, servers of RFC 3489 that know no magic cookie. Attributes
//! in an answer that nobody knows are passed over, as old servers send some that must not be (§6.3.3).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::attribute::{AttributeType, ErrorCode, MappedSocketAddr, XorMappedAddress};
use stun_types::message::{BINDING, Message, MessageClass, MessageHeader, MessageType, MessageWriteVec, TransactionId};
use stun_types::prelude::*;

/// The wait before a question is asked again, doubled each time (§6.2.1).
const RTO: Duration = Duration::from_millis(500);
/// §14.1
const MAPPED_ADDRESS: AttributeType = AttributeType::new(0x0001);

/// Whether a datagram on a media socket is STUN's, by its first byte (RFC 7983 §7).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// A datagram that is one whole message, with the right FINGERPRINT if it has one.
pub(super) fn read(datagram: &[u8]) -> Option<Message<'_>> {
    let header = MessageHeader::from_bytes(datagram).ok()?;
    let length = usize::from(header.data_length());
    if length % 4 != 0 || MessageHeader::LENGTH + length != datagram.len() {
        return None;
    }
    Message::from_bytes(datagram).ok()
}

/// Why a server has not told how it sees us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("it does not answer")]
    NoAnswer,
    #[error("it refuses: {0}")]
    Refused(u16),
    #[error("its answer has no address of use")]
    NoAddress,
}

/// What a query wants done or has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Transmit {
        to: SocketAddr,
        datagram: Vec<u8>,
    },
    /// The last output: our address as the server sees it.
    Done(Result<SocketAddr, QueryError>),
}

/// One question to one server: a binding request, asked again until it is answered or time is up.
#[derive(Debug)]
pub struct Query {
    server: SocketAddr,
    transaction: TransactionId,
    request: Vec<u8>,
    /// When to ask again, and the wait after that; `None` once it is over.
    again: Option<(Instant, Duration)>,
    give_up: Instant,
    outputs: VecDeque<Asked>,
}

impl Query {
    /// Asks at once. `id` is random, so that nobody but the server can answer; 96 bits of it count.
    pub fn new(now: Instant, server: SocketAddr, id: u128, give_up: Instant) -> Self {
        let transaction = TransactionId::from(id);
        let (outputs, again) = (VecDeque::new(), Some((now, RTO)));
        let mut query = Self { server, transaction, request: request(transaction), again, give_up, outputs };
        query.handle_timeout(now);
        query
    }

    /// Takes a datagram from the socket. What is not the server's answer to this question changes nothing.
    pub fn handle_input(&mut self, from: SocketAddr, datagram: &[u8]) {
        if self.again.is_none() || from != self.server || !is_stun(datagram) {
            return;
        }
        let Some(message) = read(datagram).filter(|message| message.transaction_id() == self.transaction) else {
            return;
        };
        let result = match message.class() {
            _ if !message.has_method(BINDING) => return,
            MessageClass::Request | MessageClass::Indication => return,
            MessageClass::Success => self.mapped(&message).ok_or(QueryError::NoAddress),
            MessageClass::Error => {
                Err(QueryError::Refused(message.attribute::<ErrorCode>().map_or(0, |error| error.code())))
            }
        };
        self.finish(result);
    }

    /// Asks again, or gives up, when that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((at, wait)) = self.again else { return };
        if now >= self.give_up {
            return self.finish(Err(QueryError::NoAnswer));
        }
        if now >= at {
            self.again = Some((now + wait, wait * 2));
            self.outputs.push_back(Asked::Transmit { to: self.server, datagram: self.request.clone() });
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.again.map(|(at, _)| at.min(self.give_up))
    }

    pub fn poll_output(&mut self) -> Option<Asked> {
        self.outputs.pop_front()
    }

    fn finish(&mut self, result: Result<SocketAddr, QueryError>) {
        self.again = None;
        self.outputs.push_back(Asked::Done(result));
    }

    /// The address in an answer, if it can be one of ours.
    fn mapped(&self, message: &Message<'_>) -> Option<SocketAddr> {
        // Some NATs rewrite addresses that they find in packets: the one that they cannot read comes first.
        let hidden = message.attribute::<XorMappedAddress>().ok().map(|mapped| mapped.addr(self.transaction));
        let plain = || MappedSocketAddr::from_raw(&message.raw_attribute(MAPPED_ADDRESS)?).ok();
        let mapped = hidden.or_else(|| plain().map(|mapped| mapped.addr()))?;
        let ip = mapped.ip();
        let is_usable = !ip.is_unspecified() && !ip.is_multicast() && mapped.port() != 0;
        (is_usable && mapped.is_ipv4() == self.server.is_ipv4()).then_some(mapped)
    }
}

fn request(transaction: TransactionId) -> Vec<u8> {
    let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
    Message::builder(kind, transaction, MessageWriteVec::new()).finish()
}

#[cfg(test)]
mod tests;
