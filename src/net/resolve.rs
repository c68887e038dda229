//! From a host's name to the paths that lead to it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};

use crate::sip::{Flow, Transport};

/// The default port of SIP over UDP and TCP (RFC 3261 §19.1.2).
pub const SIP_PORT: u16 = 5060;

/// The paths to a host, as the resolver of the system orders its addresses. `listen` is our own socket.
///
/// # Errors
/// When the name has no address, or none that can be reached from here.
pub async fn flows(host: &str, port: Option<u16>, transport: Option<Transport>, listen: SocketAddr) -> io::Result<Vec<Flow>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let transport = transport.unwrap_or(Transport::Udp);
    let mut flows = Vec::new();
    for remote in lookup_host((host, port.unwrap_or(SIP_PORT))).await? {
        if remote.is_ipv4() != listen.is_ipv4() {
            continue;
        }
        let local = local_address(listen, remote).await?;
        flows.push(Flow { transport, local: SocketAddr::new(local, listen.port()), remote });
    }
    match flows.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address that {listen} can reach"))),
        false => Ok(flows),
    }
}

/// The address of ours that a packet to `remote` carries: the socket's own, or the one that the routing table chooses.
///
/// # Errors
/// When there is no route.
pub async fn local_address(listen: SocketAddr, remote: SocketAddr) -> io::Result<IpAddr> {
    if !listen.ip().is_unspecified() {
        return Ok(listen.ip());
    }
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting a UDP socket sends nothing and asks the routing table.
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.connect(remote).await?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_on_this_machine_is_reached_from_this_machine() {
        let flows = flows("127.0.0.1", None, Some(Transport::Udp), ([0, 0, 0, 0], 5062).into()).await.unwrap();
        assert_eq!(flows[0].remote, ([127, 0, 0, 1], 5060).into());
        assert_eq!(flows[0].local, ([127, 0, 0, 1], 5062).into());
    }

    #[tokio::test]
    async fn a_socket_with_an_address_keeps_it() {
        let local = local_address(([127, 0, 0, 2], 5060).into(), ([127, 0, 0, 1], 5060).into()).await.unwrap();
        assert_eq!(local, IpAddr::from([127, 0, 0, 2]));
    }
}
