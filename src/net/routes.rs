//! Which of our addresses a peer sees, and which of our sockets leads to him.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::listen::SIPS_PORT;
use crate::sip::{Flow, Transport, is_private};

/// Where we are bound, and how the public network sees us.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    /// UDP and TCP, one entry a socket, in the order of the settings.
    pub bound: Vec<SocketAddr>,
    /// What our Contact names over TLS.
    pub tls_port: u16,
    pub public: Option<IpAddr>,
}

impl Routes {
    /// Of one socket, without TLS.
    pub fn of_one(listen: SocketAddr) -> Self {
        Routes { bound: vec![listen], tls_port: SIPS_PORT, public: None }
    }

    /// The address of ours that goes to `remote`: that of the socket, or the one that the routing table chooses; toward
    /// the public network the public one.
    ///
    /// # Errors
    /// When no socket has the family of `remote`, or there is no route.
    pub fn address(&self, remote: IpAddr) -> io::Result<IpAddr> {
        let mut family = self.bound.iter().filter(|bound| bound.is_ipv4() == remote.is_ipv4());
        let address = match (family.next(), family.next()) {
            (None, _) => {
                let family = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
                let message = format!("{remote} is {family}, and [sip] bind has no such address");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
            }
            (Some(only), None) if !only.ip().is_unspecified() => only.ip(),
            _ => self.chosen(remote, source(remote)?),
        };
        Ok(self.seen_from(remote, address))
    }

    /// How `remote` sees our `address`.
    pub fn seen_from(&self, remote: IpAddr, address: IpAddr) -> IpAddr {
        match self.public {
            Some(public) if public.is_ipv4() == remote.is_ipv4() && !is_private(remote) => public,
            _ => address,
        }
    }

    /// The path to `remote`.
    ///
    /// # Errors
    /// As [`Routes::address`].
    pub fn flow(&self, transport: Transport, remote: SocketAddr) -> io::Result<Flow> {
        let address = self.address(remote.ip())?;
        Ok(Flow { transport, local: SocketAddr::new(address, self.port(transport)), remote })
    }

    pub fn port(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Tls => self.tls_port,
            Transport::Udp | Transport::Tcp => self.bound.first().map_or(0, SocketAddr::port),
        }
    }

    /// The socket that a flow leaves from, by its place in `bound`.
    pub fn socket(&self, flow: &Flow) -> Option<usize> {
        let named = self.bound.iter().position(|bound| bound.ip() == flow.local.ip());
        let of_family = |bound: &SocketAddr| bound.is_ipv4() == flow.remote.is_ipv4();
        let any = || self.bound.iter().position(|bound| of_family(bound) && bound.ip().is_unspecified());
        // A public address is none of a socket's.
        let routed = || {
            let address = self.chosen(flow.remote.ip(), source(flow.remote.ip()).ok()?);
            self.bound.iter().position(|bound| bound.ip() == address)
        };
        named.or_else(any).or_else(routed)
    }

    /// The address of one socket if we are bound to one, so that a connection leaves from there too.
    pub fn source_of(&self, flow: &Flow) -> Option<IpAddr> {
        let bound = self.bound.get(self.socket(flow)?)?;
        (!bound.ip().is_unspecified()).then(|| bound.ip())
    }

    /// The routing table's choice if a socket has it, else the first socket's that could send there.
    fn chosen(&self, remote: IpAddr, source: IpAddr) -> IpAddr {
        let mut family = self.bound.iter().filter(|bound| bound.is_ipv4() == remote.is_ipv4());
        let listens = family.clone().any(|bound| bound.ip() == source || bound.ip().is_unspecified());
        if listens { source } else { family.next().map_or(source, SocketAddr::ip) }
    }
}

/// The address that the routing table chooses for packets to `remote`. Connecting a UDP socket sends nothing.
fn source(remote: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0))?;
    // Any port does.
    probe.connect((remote, 9))?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::now;
    use crate::sip::{CallOut, Command, Endpoint, EndpointConfig, Input, Output};

    fn routes(bound: &[&str], public: Option<&str>) -> Routes {
        let bound = bound.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 5070)).collect();
        Routes { bound, tls_port: 5071, public: public.map(|ip| ip.parse().unwrap()) }
    }

    fn flow(local: &str, remote: &str) -> Flow {
        Flow { transport: Transport::Udp, local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    #[test]
    fn a_peer_on_this_machine_is_reached_from_this_machine() {
        let flow = routes(&["0.0.0.0"], None).flow(Transport::Tls, ([127, 0, 0, 1], 5061).into()).unwrap();
        assert_eq!(flow.local, SocketAddr::from(([127, 0, 0, 1], 5071)));
    }

    #[test]
    fn a_socket_with_an_address_keeps_it() {
        let local = routes(&["127.0.0.2"], None).address([127, 0, 0, 1].into()).unwrap();
        assert_eq!(local, IpAddr::from([127, 0, 0, 2]));
    }

    #[test]
    fn a_family_that_is_not_bound_is_an_error() {
        let error = routes(&["127.0.0.1"], None).address("::1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("IPv6"), "{error}");
    }

    #[test]
    fn each_family_and_address_has_its_socket() {
        let two = routes(&["127.0.0.1", "::1", "127.0.0.2"], None);
        assert_eq!(two.socket(&flow("127.0.0.1:5070", "127.0.0.9:5060")), Some(0));
        assert_eq!(two.socket(&flow("[::1]:5070", "[::1]:5060")), Some(1));
        assert_eq!(two.socket(&flow("127.0.0.2:5070", "127.0.0.9:5060")), Some(2));
        let all = routes(&["0.0.0.0", "::"], None);
        assert_eq!(all.socket(&flow("192.0.2.1:5070", "192.0.2.9:5060")), Some(0));
        assert_eq!(all.socket(&flow("[2001:db8::1]:5070", "[2001:db8::9]:5060")), Some(1));
        assert_eq!(all.socket(&flow("192.0.2.1:5070", "127.0.0.1:5060")), Some(0));
    }

    #[test]
    fn via_and_contact_carry_the_public_address() {
        let routes = routes(&["127.0.0.1"], Some("203.0.113.7"));
        let flow = routes.flow(Transport::Udp, ([198, 51, 100, 1], 5060).into()).unwrap();
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "desk", 1) };
        let mut endpoint = Endpoint::new(config, [1; 32]);
        let call = endpoint.next_call_key();
        let (target, ring_for) = ("sip:a@198.51.100.1".to_owned(), Duration::from_secs(30));
        let command = Command::Invite { call, target, account: None, offer: b"v=0\r\n".to_vec(), ring_for };
        endpoint.handle_input(now(), Input::Command(command));
        let Some(Output::Resolve { id, .. }) = endpoint.poll_output() else { panic!("it asks for the way") };
        endpoint.handle_input(now(), Input::Resolved { id, flows: vec![flow] });
        let Some(Output::Transmit { bytes, .. }) = endpoint.poll_output() else { panic!("it calls") };
        let invite = String::from_utf8(bytes).unwrap();
        assert!(invite.contains("Via: SIP/2.0/UDP 203.0.113.7:5070;"), "{invite}");
        assert!(invite.contains("Contact: <sip:desk@203.0.113.7:5070>"), "{invite}");
    }

    #[test]
    fn the_public_address_is_for_the_public_network_and_leaves_from_a_real_socket() {
        let routes = routes(&["127.0.0.1"], Some("203.0.113.7"));
        assert_eq!(routes.address([192, 168, 1, 5].into()).unwrap(), IpAddr::from([127, 0, 0, 1]));
        let flow = routes.flow(Transport::Udp, ([198, 51, 100, 1], 5060).into()).unwrap();
        assert_eq!(flow.local, SocketAddr::from(([203, 0, 113, 7], 5070)));
        // The machine of the test may have no route to there; the choice of the socket does not need one.
        let to_itself = Flow { remote: ([127, 0, 0, 1], 5060).into(), ..flow };
        assert_eq!(routes.socket(&to_itself), Some(0));
    }
}
