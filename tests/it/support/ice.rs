//! The checks of a peer with full ICE (RFC 8445), written by hand, and a STUN server.

use std::net::SocketAddr;

use stun_types::attribute::{AttributeType, ErrorCode, RawAttribute, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWriteVec, ShortTermCredentials,
};
use stun_types::prelude::*;

/// What the other side's checks are known by, as its description says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    pub ufrag: String,
    pub password: String,
}

impl Theirs {
    /// Of a description with `a=ice-ufrag` and `a=ice-pwd`.
    pub fn of(sdp: &[u8]) -> Option<Self> {
        let sdp = String::from_utf8_lossy(sdp).into_owned();
        let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(Self { ufrag: value("a=ice-ufrag:")?, password: value("a=ice-pwd:")? })
    }

    /// A check by the controlling side; it nominates if it has a priority to do so.
    pub fn check(&self, id: u128, nominates: Option<u32>) -> Vec<u8> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut message = Message::builder(kind, id.into(), MessageWriteVec::new());
        message.add_attribute(&Username::new(&format!("{}:peer", self.ufrag)).unwrap()).unwrap();
        let priority = nominates.unwrap_or(1).to_be_bytes();
        let mut add = |kind: u16, value: &[u8]| {
            message.add_attribute(&RawAttribute::new(AttributeType::new(kind), value)).unwrap();
        };
        add(0x0024, &priority);
        add(0x802a, &[3; 8]);
        if nominates.is_some() {
            add(0x0025, &[]);
        }
        let key = ShortTermCredentials::new(self.password.clone()).into();
        message.add_message_integrity(&key, IntegrityAlgorithm::Sha1).unwrap();
        message.add_fingerprint().unwrap();
        message.finish()
    }
}

/// What an answer to a check says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Where the one who checked is.
    SeenAt(SocketAddr),
    Error(u16),
}

pub fn said(datagram: &[u8]) -> Said {
    let message = Message::from_bytes(datagram).unwrap();
    match message.class() {
        MessageClass::Success => {
            let mapped = message.attribute::<XorMappedAddress>().unwrap();
            Said::SeenAt(mapped.addr(message.transaction_id()))
        }
        MessageClass::Error => Said::Error(message.attribute::<ErrorCode>().unwrap().code()),
        other => panic!("{other:?} is no answer"),
    }
}

/// What a STUN server answers to a question.
pub fn mapped(question: &[u8], seen_at: SocketAddr) -> Option<Vec<u8>> {
    let question = Message::from_bytes(question).ok().filter(|question| question.has_class(MessageClass::Request))?;
    let mut answer = Message::builder_success(&question, MessageWriteVec::new());
    answer.add_attribute(&XorMappedAddress::new(seen_at, question.transaction_id())).unwrap();
    Some(answer.finish())
}
