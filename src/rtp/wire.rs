//! What stands between a stream and the wire: nothing, the wait for keys, or their encryption.

use std::borrow::Cow;

use super::dtls::{Association, Terms};
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
    /// By keys of a handshake (RFC 5764).
    Dtls(Terms),
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
    Sdes(Box<Srtp>),
    Dtls(Box<Association>),
}

impl Wire {
    /// What was agreed from now on. What stays of it goes on as it is. Tells whether we have to go on as another source, see
    /// [`Srtp::rekey`].
    #[must_use]
    pub fn protect(&mut self, protection: Protection) -> bool {
        match (protection, &mut *self) {
            (Protection::Plain, _) => *self = Self::Plain,
            (Protection::Awaited, _) => *self = Self::Awaiting,
            (Protection::Sdes(keys), Self::Sdes(srtp)) => return srtp.rekey(keys),
            (Protection::Sdes(keys), _) => *self = Self::Sdes(Box::new(Srtp::new(keys))),
            (Protection::Dtls(terms), Self::Dtls(association)) if *association.terms() == terms => {}
            (Protection::Dtls(terms), _) => *self = Self::Dtls(Box::new(Association::new(terms))),
        }
        false
    }

    /// Whether the peer does not use the key that he has told in SDP.
    pub fn is_wrong_key(&self) -> bool {
        matches!(self, Self::Sdes(srtp) if srtp.is_wrong_key())
    }

    /// Whether anything may go out.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Plain | Self::Sdes(_) => true,
            Self::Awaiting => false,
            Self::Dtls(association) => association.is_keyed(),
        }
    }

    /// Whether reports may have a port of their own.
    pub fn has_port_for_reports(&self) -> bool {
        !matches!(self, Self::Dtls(_))
    }

    pub fn association(&mut self) -> Option<&mut Association> {
        match self {
            Self::Dtls(association) => Some(association),
            Self::Plain | Self::Awaiting | Self::Sdes(_) => None,
        }
    }

    fn srtp(&mut self) -> Option<&mut Srtp> {
        match self {
            Self::Plain | Self::Awaiting => None,
            Self::Sdes(srtp) => Some(srtp),
            Self::Dtls(association) => association.srtp(),
        }
    }

    /// A packet of ours as it goes out; `None` if it must not.
    pub fn seal(&mut self, packet: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(packet),
            _ if is_rtcp(&packet) => self.srtp()?.protect_rtcp(&packet),
            _ => self.srtp()?.protect(&packet),
        }
    }

    /// A packet of the peer's as he meant it.
    ///
    /// # Errors
    /// [`Refused`]: it is not his, or has been here before.
    pub fn open<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        match self {
            Self::Plain => Ok(Cow::Borrowed(packet)),
            _ => {
                let srtp = self.srtp().ok_or(Refused::Forged)?;
                let opened = if is_rtcp(packet) { srtp.unprotect_rtcp(packet) } else { srtp.unprotect(packet) };
                opened.map(Cow::Owned)
            }
        }
    }
}
