//! The lines of ICE (RFC 8839): what a peer's say, and ours as a lite agent's.
//!
//! Left out: the peer's candidates, but for what they say of the address in `c=`: a lite agent checks none; `a=remote-candidates`.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Media as MediaLine, Session};

use super::LocalMedia;
use crate::rtp::ice::Credentials;

/// Of a candidate that is an address of the host itself (RFC 8445 §5.1.2), but for the component.
const HOST_PRIORITY: u32 = (126 << 24) | (65_535 << 8);
/// The port that stands for none (RFC 8840 §4.1.1).
const DISCARD: u16 = 9;

/// What a description says of ICE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ice {
    No,
    /// By what the checks of the peer's side are known.
    Yes(Credentials),
    /// Somebody on the way has put an address of his own into `c=` or `m=`: there is no ICE then (RFC 8839 §4.2.5).
    Mismatch,
}

impl Ice {
    /// `remote` is what `c=` and `m=` say.
    pub(super) fn read(session: &Session, line: &MediaLine, remote: SocketAddr) -> Self {
        let value = |name| {
            let own = line.get_attribute_values(name).flatten().next();
            own.or_else(|| session.get_attribute_values(name).flatten().next()).unwrap_or_default().trim()
        };
        let Some(credentials) = Credentials::of_peer(value("ice-ufrag"), value("ice-pwd")) else { return Self::No };
        let candidates: Vec<_> = line.get_attribute_values("candidate").flatten().filter_map(of_sound).collect();
        let is_nowhere = remote.ip().is_unspecified() || remote.port() == DISCARD;
        let is_remote = |address: &Option<SocketAddr>| address.is_none_or(|address| address == remote);
        match is_nowhere || candidates.is_empty() || candidates.iter().any(is_remote) {
            true => Self::Yes(credentials),
            false => Self::Mismatch,
        }
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Yes(credentials) => Some(credentials),
            Self::No | Self::Mismatch => None,
        }
    }
}

/// The address of a candidate for sound over UDP (RFC 8839 §5.1); the inner `None` is a name, behind which any may be.
fn of_sound(value: &str) -> Option<Option<SocketAddr>> {
    let mut words = value.split_whitespace().skip(1);
    let (component, transport) = (words.next()?, words.next()?);
    let (address, port) = (words.nth(1)?, words.next()?.parse().ok()?);
    let is_sound = component == "1" && transport.eq_ignore_ascii_case("udp");
    is_sound.then(|| address.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

/// Describes us as an agent that only answers.
pub(super) fn describe(
    session: &mut Session,
    line: &mut MediaLine,
    local: &LocalMedia<'_>,
    ours: &Credentials,
    is_muxed: bool,
) {
    if !session.has_attribute("ice-lite") {
        session.add_attribute(Attribute::new("ice-lite"));
        session.add_attribute(Attribute::with_value("ice-options", "ice2"));
    }
    line.add_attribute(Attribute::with_value("ice-ufrag", &ours.ufrag));
    line.add_attribute(Attribute::with_value("ice-pwd", &ours.password));
    let reports = (!is_muxed).then(|| (2, local.rtcp_port()));
    for (component, port) in [(1, local.port)].into_iter().chain(reports) {
        let priority = HOST_PRIORITY + 256 - component;
        let value = format!("1 {component} UDP {priority} {} {port} typ host", local.address);
        line.add_attribute(Attribute::with_value("candidate", value));
    }
}

/// Says that somebody on the way has changed what the peer said.
pub(super) fn describe_mismatch(line: &mut MediaLine) {
    line.add_attribute(Attribute::new("ice-mismatch"));
}
