//! The RTP port pool: sockets on a free even port and the one after it (RFC 3550 §11), for sound and for its reports.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Room in the kernel for what comes between two ticks of a call, from whomever; by default Linux grants 208 KiB.
const RECEIVE_BUFFER_BYTES: usize = 256 * 1024;
/// Expedited Forwarding (RFC 3246) in the upper six bits of the byte that IPv4 calls TOS and IPv6 traffic class.
const EXPEDITED: u32 = 46 << 2;
/// So long what is still sent to a call that is over finds nobody at its ports.
const REST: Duration = Duration::from_secs(5);

/// Hands out pairs of sockets, each time the next one. A pair rests after a call, unless all others are taken.
#[derive(Debug, Clone)]
pub struct PortPool {
    addresses: Arc<[IpAddr]>,
    min: u16,
    max: u16,
    next: Arc<AtomicU16>,
    resting: Arc<Mutex<Resting>>,
}

/// Even ports of calls that are over, and until when.
type Resting = BTreeMap<SocketAddr, Instant>;

/// What a call sends from and is sent to. Dropped, its ports rest.
#[derive(Debug)]
pub struct MediaSockets {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub(super) lease: Lease,
}

impl MediaSockets {
    /// The even one.
    pub fn port(&self) -> u16 {
        self.lease.address.port()
    }
}

/// The pair of ports.
#[derive(Debug)]
pub(super) struct Lease {
    address: SocketAddr,
    resting: Arc<Mutex<Resting>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.resting).insert(self.address, Instant::now() + REST);
    }
}

/// The list is whole whatever happened to whom held it.
fn lock(resting: &Mutex<Resting>) -> MutexGuard<'_, Resting> {
    resting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PortPool {
    /// `addresses` are those that SIP listens on; `min` and `max` are the first and the last port, both inclusive.
    pub fn new(addresses: &[IpAddr], min: u16, max: u16) -> Self {
        let next = Arc::new(AtomicU16::new(0));
        Self { addresses: addresses.into(), min, max, next, resting: Arc::default() }
    }

    /// Binds the next free even port and the one after it, at the address of ours that the peer knows us by, or of its
    /// family when that is a public one.
    ///
    /// # Errors
    /// When every port is taken, or we have no address of the family.
    pub fn bind(&self, known_as: IpAddr) -> io::Result<MediaSockets> {
        let of_family = |address: &&IpAddr| address.is_ipv4() == known_as.is_ipv4();
        let exact = self.addresses.iter().find(|address| **address == known_as);
        let Some(&address) = exact.or_else(|| self.addresses.iter().find(of_family)) else {
            let message = format!("[sip] bind has no address of the family of {known_as}");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        };
        let resting = {
            let mut resting = lock(&self.resting);
            resting.retain(|_, until| *until > Instant::now());
            resting.clone()
        };
        let first = self.min.next_multiple_of(2);
        let pairs = self.max.saturating_sub(first).div_ceil(2);
        let begin = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..pairs).map(|n| SocketAddr::new(address, first + begin.wrapping_add(n) % pairs * 2));
        let rested = in_turn.filter(|address| !resting.contains_key(address));
        let mut tired: Vec<_> = resting.iter().filter(|(resting, _)| resting.ip() == address).collect();
        tired.sort_by_key(|(_, until)| **until);
        for address in rested.chain(tired.into_iter().map(|(address, _)| *address)) {
            match self.bind_pair(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        let message =
            format!("all RTP ports from {} to {} are in use: widen [rtp] port_min and port_max", self.min, self.max);
        Err(io::Error::new(io::ErrorKind::AddrInUse, message))
    }

    fn bind_pair(&self, address: SocketAddr) -> io::Result<MediaSockets> {
        let (rtp, rtcp) = (bind(address)?, bind(SocketAddr::new(address.ip(), address.port() + 1))?);
        Ok(MediaSockets { rtp, rtcp, lease: Lease { address, resting: Arc::clone(&self.resting) } })
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    let marked = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(EXPEDITED),
        SocketAddr::V6(_) => socket.set_tclass_v6(EXPEDITED),
    };
    if let Err(error) = marked {
        tracing::debug!(%error, "sound goes without preference (DSCP)");
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_call_gets_a_port_of_the_family_that_the_peer_knows_us_by() {
        let six = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
        let pool = PortPool::new(&[HERE, six], 42_011, 42_018);
        let public = IpAddr::from([203, 0, 113, 5]);
        assert_eq!(pool.bind(public).unwrap().rtp.local_addr().unwrap().ip(), HERE);
        assert_eq!(pool.bind(six).unwrap().rtp.local_addr().unwrap().ip(), six);
        let error = PortPool::new(&[HERE], 42_021, 42_028).bind(six).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn ports_are_pairs_different_and_finite() {
        let pool = PortPool::new(&[HERE], 42_001, 42_007);
        let pairs: Vec<MediaSockets> = (0..2).map(|_| pool.bind(HERE).unwrap()).collect();
        for pair in &pairs {
            let (rtp, rtcp) = (pair.rtp.local_addr().unwrap().port(), pair.rtcp.local_addr().unwrap().port());
            assert!(rtp == pair.port() && rtp % 2 == 0 && rtcp == rtp + 1, "{rtp} {rtcp}");
            assert!((42_001..=42_007).contains(&rtp) && rtcp <= 42_007);
        }
        assert_ne!(pairs[0].port(), pairs[1].port());
        let third = pool.bind(HERE).unwrap();
        assert_eq!(pool.bind(HERE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let port = third.port();
        drop(third);
        assert_eq!(pool.bind(HERE).unwrap().port(), port, "rather a tired one than none");
    }

    #[tokio::test]
    async fn a_pair_whose_second_port_is_taken_is_passed_over() {
        let taken = bind(SocketAddr::new(HERE, 42_031)).unwrap();
        let pool = PortPool::new(&[HERE], 42_030, 42_033);
        assert_eq!(pool.bind(HERE).unwrap().port(), 42_032);
        drop(taken);
    }

    #[tokio::test(start_paused = true)]
    async fn ports_rest_after_a_call() {
        let pool = PortPool::new(&[HERE], 42_040, 42_047);
        let port = pool.bind(HERE).unwrap().port();
        let next = |pool: &PortPool| {
            // Its turn again.
            pool.next.store(0, Ordering::Relaxed);
            pool.bind(HERE).unwrap()
        };
        let other = next(&pool);
        assert_ne!(other.port(), port);
        tokio::time::advance(REST - Duration::from_millis(1)).await;
        assert_ne!(next(&pool).port(), port);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(next(&pool).port(), port);
    }

    #[tokio::test]
    async fn sound_and_reports_are_marked_for_expedited_forwarding() {
        let pool = PortPool::new(&[HERE, std::net::Ipv6Addr::LOCALHOST.into()], 42_051, 42_058);
        let four = pool.bind(HERE).unwrap();
        let six = pool.bind(std::net::Ipv6Addr::LOCALHOST.into()).unwrap();
        for socket in [&four.rtp, &four.rtcp] {
            assert_eq!(SockRef::from(socket).tos_v4().unwrap(), 0xb8);
        }
        for socket in [&six.rtp, &six.rtcp] {
            assert_eq!(SockRef::from(socket).tclass_v6().unwrap(), 0xb8);
        }
    }
}
