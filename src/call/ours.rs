//! Our side of a session's media, and its description.

use rand::rngs::StdRng;

use super::call::MediaAddress;
use crate::rtp::codec::Codec;
use crate::rtp::ice::Credentials;
use crate::sip::sdp::{self, LocalMedia, Media, Numbers, SdpError, Security};

/// Our side of one session's media.
pub(super) struct Ours {
    pub media: MediaAddress,
    /// What we speak, the favourite first.
    pub codecs: Vec<Codec>,
    /// Whether keys are told in RTP.
    pub events: bool,
    pub numbers: Numbers,
    /// See [`LocalMedia`].
    pub security: Option<Security>,
    /// Of our SDP.
    pub session: u64,
    pub ice: IceSide,
}

/// ICE in one session.
#[derive(Debug, Clone)]
pub(super) struct IceSide {
    /// By what the peer's checks are known.
    pub ours: Credentials,
    /// By what his side is known, once ICE is agreed.
    pub theirs: Option<Credentials>,
}

impl IceSide {
    pub fn new(dice: &mut StdRng) -> Self {
        Self { ours: Credentials::random(dice), theirs: None }
    }

    /// After an offer: who restarts it gets a new password of ours too (RFC 8839 §4.4.1.1.1).
    pub fn answering(&self, offered: Option<&Credentials>, dice: &mut StdRng) -> Self {
        let is_restart = self.theirs.is_some() && offered.is_some() && self.theirs.as_ref() != offered;
        let ours = if is_restart { Credentials::random(dice) } else { self.ours.clone() };
        Self { ours, theirs: offered.cloned() }
    }
}

impl Ours {
    pub fn local(&self) -> LocalMedia<'_> {
        LocalMedia {
            address: self.media.address,
            port: self.media.port,
            rtcp_port: self.media.rtcp_port,
            ice: Some(&self.ice.ours),
            codecs: &self.codecs,
            events: self.events,
            numbers: self.numbers,
            security: self.security.as_ref(),
            session_id: self.session,
            session_version: 0,
        }
    }

    /// For an offer: ICE is in it if it is in the session.
    pub fn offering(&self) -> LocalMedia<'_> {
        LocalMedia { ice: self.ice.theirs.as_ref().map(|_| &self.ice.ours), ..self.local() }
    }
}

/// Our description for a session, and what was agreed in it. Without an offer it is ours, and the answer is awaited.
pub(super) fn describe(ours: &Ours, offer: Option<&[u8]>) -> Result<(Vec<u8>, Option<Media>), SdpError> {
    match offer {
        Some(offer) => {
            let (sdp, agreed) = sdp::answer(&sdp::parse_offer(offer)?, &ours.local())?;
            Ok((sdp, Some(agreed)))
        }
        None => Ok((sdp::offer(&ours.offering()), None)),
    }
}
