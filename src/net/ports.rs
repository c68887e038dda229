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
    address: IpAddr,
    min: u16,
    max: u16,
    next: Arc<AtomicU16>,
}

impl PortPool {
    /// `min` and `max` are the first and the last port, both inclusive.
    pub fn new(address: IpAddr, min: u16, max: u16) -> Self {
        Self { address, min, max, next: Arc::new(AtomicU16::new(min)) }
    }

    /// Binds the next free even port.
    ///
    /// # Errors
    /// When every port is taken, or the address is none of ours.
    pub fn bind(&self) -> io::Result<UdpSocket> {
        let evens = (self.max - self.min) / 2 + 1;
        for _ in 0..evens {
            let n = self.next.fetch_add(2, Ordering::Relaxed).wrapping_sub(self.min) / 2 % evens;
            let port = self.min + self.min % 2 + n * 2;
            if port > self.max {
                continue;
            }
            match bind(SocketAddr::new(self.address, port)) {
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

    #[tokio::test]
    async fn ports_are_even_different_and_finite() {
        let pool = PortPool::new(IpAddr::from([127, 0, 0, 1]), 42_001, 42_006);
        let sockets: Vec<UdpSocket> = (0..2).map(|_| pool.bind().unwrap()).collect();
        let ports: Vec<u16> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|p| p % 2 == 0 && (42_001..=42_006).contains(p)), "{ports:?}");
        assert_ne!(ports[0], ports[1]);
        let third = pool.bind().unwrap();
        assert_eq!(pool.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(third);
        assert!(pool.bind().is_ok());
    }
}
