//! What stands between a stream and the wire: nothing, the wait for keys, or their encryption.

use std::borrow::Cow;

use super::packet::is_rtcp;
use super::srtp::{Refused, Srtp, SrtpKeys};

/// How a stream's packets are to be protected, as signalling agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Plain,
    /// By keys that are yet to be agreed: until then nothing comes in and nothing goes out.
    Awaited,
    /// By keys that signalling has told (RFC 4568).
    Sdes(SrtpKeys),
}

impl Protection {
    /// Whether packets are encrypted, now or as soon as there are keys.
    pub fn is_encrypted(&self) -> bool {
        !matches!(self, Self::Plain)
    }
}

#[derive(Debug)]
pub(super) enum Wire {
    Plain,
    Awaiting,
    Keyed(Box<Srtp>),
}

impl Wire {
    /// What was agreed from now on. What stays of it goes on as it is.
    pub fn protect(&mut self, protection: Protection) {
        match (protection, &mut *self) {
            (Protection::Plain, _) => *self = Self::Plain,
            (Protection::Awaited, _) => *self = Self::Awaiting,
            (Protection::Sdes(keys), Self::Keyed(srtp)) => srtp.rekey(keys),
            (Protection::Sdes(keys), Self::Plain | Self::Awaiting) => *self = Self::Keyed(Box::new(Srtp::new(keys))),
        }
    }

    /// Whether anything may go out.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Plain | Self::Keyed(_) => true,
            Self::Awaiting => false,
        }
    }

    /// A packet of ours as it goes out; `None` if it must not.
    pub fn seal(&mut self, packet: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(packet),
            Self::Awaiting => None,
            Self::Keyed(srtp) if is_rtcp(&packet) => srtp.protect_rtcp(&packet),
            Self::Keyed(srtp) => srtp.protect(&packet),
        }
    }

    /// A packet of the peer's as he meant it.
    ///
    /// # Errors
    /// [`Refused`]: it is not his, or has been here before.
    pub fn open<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        match self {
            Self::Plain => Ok(Cow::Borrowed(packet)),
            Self::Awaiting => Err(Refused::Forged),
            Self::Keyed(srtp) if is_rtcp(packet) => srtp.unprotect_rtcp(packet).map(Cow::Owned),
            Self::Keyed(srtp) => srtp.unprotect(packet).map(Cow::Owned),
        }
    }
}
