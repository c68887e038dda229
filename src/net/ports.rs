//! The RTP port pool: a socket on a free even port (RFC 3550 §11).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Room in the kernel for two seconds of a call's packets.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// Hands out sockets on even ports, each time the next one, so that a port rests before it is used again.
#[derive(Debug, Clone)]
pub struct PortPool {
    addresses: Arc<[IpAddr]>,
    min: u16,
    max: u16,
    next: Arc<AtomicU16>,
}

impl PortPool {
    /// `addresses` are those that SIP listens on; `min` and `max` are the first and the last port, both inclusive.
    pub fn new(addresses: &[IpAddr], min: u16, max: u16) -> Self {
        Self { addresses: addresses.into(), min, max, next: Arc::new(AtomicU16::new(min)) }
    }

    /// Binds the next free even port at the address of ours that the peer knows us by, or of its family when that is a
    /// public one.
    ///
    /// # Errors
    /// When every port is taken, or we have no address of the family.
    pub fn bind(&self, known_as: IpAddr) -> io::Result<UdpSocket> {
        let of_family = |address: &&IpAddr| address.is_ipv4() == known_as.is_ipv4();
        let exact = self.addresses.iter().find(|address| **address == known_as);
        let Some(&address) = exact.or_else(|| self.addresses.iter().find(of_family)) else {
            let message = format!("[sip] bind has no address of the family of {known_as}");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        };
        let evens = (self.max - self.min) / 2 + 1;
        for _ in 0..evens {
            let n = self.next.fetch_add(2, Ordering::Relaxed).wrapping_sub(self.min) / 2 % evens;
            let port = self.min + self.min % 2 + n * 2;
            if port > self.max {
                continue;
            }
            match bind(SocketAddr::new(address, port)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        let message =
            format!("all RTP ports from {} to {} are in use: widen [rtp] port_min and port_max", self.min, self.max);
        Err(io::Error::new(io::ErrorKind::AddrInUse, message))
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_call_gets_a_port_of_the_family_that_the_peer_knows_us_by() {
        let six = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
        let pool = PortPool::new(&[HERE, six], 42_011, 42_018);
        let public = IpAddr::from([203, 0, 113, 5]);
        assert_eq!(pool.bind(public).unwrap().local_addr().unwrap().ip(), HERE);
        assert_eq!(pool.bind(six).unwrap().local_addr().unwrap().ip(), six);
        let error = PortPool::new(&[HERE], 42_021, 42_028).bind(six).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn ports_are_even_different_and_finite() {
        let pool = PortPool::new(&[HERE], 42_001, 42_006);
        let sockets: Vec<UdpSocket> = (0..2).map(|_| pool.bind(HERE).unwrap()).collect();
        let ports: Vec<u16> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|p| p % 2 == 0 && (42_001..=42_006).contains(p)), "{ports:?}");
        assert_ne!(ports[0], ports[1]);
        let third = pool.bind(HERE).unwrap();
        assert_eq!(pool.bind(HERE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(third);
        assert!(pool.bind(HERE).is_ok());
    }
}
