//! SIP methods. They are case-sensitive (RFC 3261 §7.1) and open-ended; rsip's are neither.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Refer,
    Register,
    Update,
    /// Any other token: a method that we do not serve.
    Other(String),
}

impl Method {
    /// Whether the method is one that a SIP user agent of today knows (IANA registry), served here or not: the others get
    /// 501, these 405 (RFC 3261 §21.5.2).
    pub fn is_known(&self) -> bool {
        let others = ["INFO", "MESSAGE", "NOTIFY", "PUBLISH", "REFER", "SUBSCRIBE"];
        !matches!(self, Method::Other(name) if !others.contains(&name.as_str()))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Info => "INFO",
            Method::Invite => "INVITE",
            Method::Message => "MESSAGE",
            Method::Notify => "NOTIFY",
            Method::Options => "OPTIONS",
            Method::Prack => "PRACK",
            Method::Refer => "REFER",
            Method::Register => "REGISTER",
            Method::Update => "UPDATE",
            Method::Other(name) => name,
        }
    }
}

impl From<&str> for Method {
    fn from(name: &str) -> Self {
        match name {
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "INFO" => Method::Info,
            "INVITE" => Method::Invite,
            "MESSAGE" => Method::Message,
            "NOTIFY" => Method::Notify,
            "OPTIONS" => Method::Options,
            "PRACK" => Method::Prack,
            "REFER" => Method::Refer,
            "REGISTER" => Method::Register,
            "UPDATE" => Method::Update,
            other => Method::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
