//! Where those outside of our network are to send a call's sound: a public address that was given, or what a STUN server sees.
//!
//! Left out: Via and Contact, which have `[sip] public_address` or rport (RFC 3581) for that; what kind of NAT it is, since whoever
//! sends back to where our packets come from (symmetric RTP) needs nothing else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ports::{MediaSockets, PortPool};
use crate::rtp::stun::{Asked, Query, QueryError};
use crate::sip::is_private;

/// The port of STUN over UDP (RFC 8489 §18.6).
pub const STUN_PORT: u16 = 3_478;
/// The longest that a caller waits because of a STUN server.
const PATIENCE: Duration = Duration::from_secs(1);
/// So long a server that did not answer is not asked again, so that a dead one costs one caller of many a second.
const REST: Duration = Duration::from_secs(30);
/// An answer has some hundred bytes.
const MAX_DATAGRAM_BYTES: usize = 1_500;

/// How those outside reach our media.
#[derive(Debug, Clone)]
pub enum Outside {
    /// By the address that SIP goes by: ours, or what a registrar sees of it.
    Same,
    /// By this one, at the ports that we have.
    Public(IpAddr),
    /// By what this server sees.
    Stun(StunServer),
}

/// Where the other side of a call is to send its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub address: IpAddr,
    pub port: u16,
    /// For reports, if it is not the next one.
    pub rtcp_port: Option<u16>,
}

impl Outside {
    /// The place of these sockets for `peer`, who knows us as `ours`; within a second. A peer in a private network is in
    /// ours, or has a way to it, and is told `ours`.
    pub async fn place(&self, sockets: &MediaSockets, ours: IpAddr, peer: IpAddr) -> Place {
        let port = sockets.port();
        let at = |address| Place { address, port, rtcp_port: None };
        if is_private(peer) {
            return at(ours);
        }
        match self {
            Self::Public(public) if public.is_ipv4() == ours.is_ipv4() => at(*public),
            Self::Same | Self::Public(_) => at(ours),
            Self::Stun(server) => match server.ask(sockets).await {
                Ok((rtp, rtcp)) => {
                    let rtcp_port = rtcp.map(|rtcp| rtcp.port()).filter(|at| Some(*at) != rtp.port().checked_add(1));
                    Place { address: rtp.ip(), port: rtp.port(), rtcp_port }
                }
                Err(error) => {
                    let place = at(server.known(ours.is_ipv6()).seen_as.unwrap_or(ours));
                    let assumed = SocketAddr::new(place.address, port);
                    match error {
                        // It was said aloud when it was asked last.
                        StunError::Resting => tracing::debug!(stun.server = %server, %assumed, "not asked"),
                        error => tracing::warn!(
                            stun.server = %server, %error, %assumed,
                            "the STUN server does not say how we are seen: an address was assumed"
                        ),
                    }
                    place
                }
            },
        }
    }
}

/// Why a STUN server has not said how it sees us.
#[derive(Debug, thiserror::Error)]
pub enum StunError {
    #[error("it did not answer a moment ago")]
    Resting,
    #[error("its name is not found: {0}")]
    Name(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("there is no port to ask it from: {0}")]
    Port(#[from] io::Error),
}

/// A STUN server and what it last said. A copy shares that.
#[derive(Debug, Clone)]
pub struct StunServer {
    host: Arc<str>,
    port: u16,
    /// In IPv4 and in IPv6.
    known: Arc<[Mutex<Known>; 2]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Where it is, as long as it answers there.
    server: Option<SocketAddr>,
    /// How it sees us.
    seen_as: Option<IpAddr>,
    rests_until: Option<Instant>,
}

impl std::fmt::Display for StunServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl StunServer {
    /// `host` is a name or an address, which in IPv6 may stand in brackets.
    pub fn new(host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Self { host: bare.into(), port, known: Arc::default() }
    }

    /// Asks from a port of the pool at this address of ours, so that the answer is known before the first call.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn refresh(&self, pool: &PortPool, ours: IpAddr) -> Result<SocketAddr, StunError> {
        let sockets = pool.bind(ours)?;
        self.ask(&sockets).await.map(|(seen_as, _)| seen_as)
    }

    /// How it sees both sockets. That of the reports may be missing.
    async fn ask(&self, sockets: &MediaSockets) -> Result<(SocketAddr, Option<SocketAddr>), StunError> {
        let six = sockets.rtp.local_addr()?.is_ipv6();
        let begun = Instant::now();
        if self.known(six).rests_until.is_some_and(|until| begun < until) {
            return Err(StunError::Resting);
        }
        let result = self.ask_by(sockets, six, begun + PATIENCE).await;
        let mut known = self.lock(six);
        match &result {
            Ok((seen_as, _)) => {
                known.seen_as = Some(seen_as.ip());
                known.rests_until = None;
            }
            Err(_) => {
                known.server = None;
                known.rests_until = Some(Instant::now() + REST);
            }
        }
        result
    }

    async fn ask_by(
        &self,
        sockets: &MediaSockets,
        six: bool,
        deadline: Instant,
    ) -> Result<(SocketAddr, Option<SocketAddr>), StunError> {
        let server = match self.known(six).server {
            Some(server) => server,
            None => {
                timeout_at(deadline, self.find(six)).await.map_err(|_| StunError::Name("not in time".to_owned()))??
            }
        };
        self.lock(six).server = Some(server);
        let (rtp, rtcp) = tokio::join!(ask(&sockets.rtp, server, deadline), ask(&sockets.rtcp, server, deadline));
        Ok((rtp?, rtcp.ok()))
    }

    async fn find(&self, six: bool) -> Result<SocketAddr, StunError> {
        let mut found =
            lookup_host((&*self.host, self.port)).await.map_err(|error| StunError::Name(error.to_string()))?;
        let family = if six { "IPv6" } else { "IPv4" };
        found.find(|at| at.is_ipv6() == six).ok_or_else(|| StunError::Name(format!("it has no {family} address")))
    }

    fn known(&self, six: bool) -> Known {
        *self.lock(six)
    }

    /// What is known is whole whatever happened to whom held it.
    fn lock(&self, six: bool) -> MutexGuard<'_, Known> {
        let [four, other] = &*self.known;
        let known = if six { other } else { four };
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks from one socket. What else comes to it meanwhile is lost: the call is not answered yet.
async fn ask(socket: &UdpSocket, server: SocketAddr, deadline: Instant) -> Result<SocketAddr, QueryError> {
    let mut query = Query::new(Instant::now().into_std(), server, rand::random(), deadline.into_std());
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    loop {
        while let Some(output) = query.poll_output() {
            match output {
                Asked::Transmit { to, datagram } => {
                    if let Err(error) = socket.send_to(&datagram, to).await {
                        tracing::debug!(%error, "a question to a STUN server could not be sent");
                    }
                }
                Asked::Done(result) => return result,
            }
        }
        let Some(due) = query.poll_timeout() else { return Err(QueryError::NoAnswer) };
        tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) => query.handle_input(from, buffer.get(..length).unwrap_or_default()),
                // An ICMP error of an earlier packet, such as that nobody listens there.
                Err(error) => tracing::debug!(%error, "receive failed"),
            },
            () = sleep_until(due.into()) => query.handle_timeout(Instant::now().into_std()),
        }
    }
}

#[cfg(test)]
mod tests;
