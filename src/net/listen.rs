//! Where we listen and how we are seen: the settings of the transports, and the sockets that they ask for.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::sip::Transport;

/// The default port of SIP over UDP and TCP (RFC 3261 §19.1.2).
pub const SIP_PORT: u16 = 5060;
/// The default port of SIP over TLS.
pub const SIPS_PORT: u16 = 5061;

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Each gets UDP, TCP and, with a certificate, TLS. `0.0.0.0` and `::` are all addresses of their family; together
    /// they are everything. At least one.
    pub addresses: Vec<IpAddr>,
    /// UDP and TCP alike, the same at every address; 0 lets the system choose one.
    pub port: u16,
    /// `None`: no TLS for others; what we open ourselves is verified with the roots of the system.
    pub tls: Option<TlsSettings>,
    /// Our address as the public network sees it, when a router with fixed port forwarding stands between: it goes into
    /// Via, Contact and SDP toward peers outside private networks, with our own ports.
    pub public: Option<IpAddr>,
}

impl Listen {
    /// One address, no TLS for others, no public address.
    pub fn on(address: IpAddr, port: u16) -> Self {
        Listen { addresses: vec![address], port, tls: None, public: None }
    }
}

/// TLS in both roles. All files are PEM.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Of our listener; 0 lets the system choose one. Also what our Contact names over TLS.
    pub port: u16,
    /// What we show to others. `None`: we take no TLS from them, but open it ourselves.
    pub identity: Option<TlsIdentity>,
    /// Authorities that count for what we open, beside those of the system. A certificate of a server that stands here
    /// itself is accepted as it is.
    pub ca: Option<PathBuf>,
    /// `false` accepts any certificate: whoever sits between reads passwords and calls.
    pub verify: bool,
}

/// Our certificate, which is also for peers that ask for one when we call them.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// Those that lead to its root follow it, in this order.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// Who connects to us must show a certificate from one of these authorities.
    pub client_ca: Option<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings { port: SIPS_PORT, identity: None, ca: None, verify: true }
    }
}

/// No SIP datagram is longer.
pub(super) const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Room in the kernel for what comes while we are busy; it may give less.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// When the system chooses a port it may be taken for another transport or address; then another is tried.
const PORT_TRIES: usize = 16;

/// The bound sockets.
pub(super) struct Sockets {
    pub udp: Vec<UdpSocket>,
    /// Where `udp` is bound.
    pub bound: Vec<SocketAddr>,
    pub listeners: Vec<(Transport, TcpListener)>,
    /// Of the TLS listeners, or what it would be.
    pub tls_port: u16,
}

impl Sockets {
    /// Binds everything; TLS if `tls`.
    ///
    /// # Errors
    /// When a port is taken or an address is none of ours; says which and what to do.
    pub fn bind(listen: &Listen, tls: bool) -> io::Result<Self> {
        let tls_port = listen.tls.as_ref().map_or(SIPS_PORT, |settings| settings.port);
        for _ in 1..PORT_TRIES {
            match Self::try_bind(listen, tls.then_some(tls_port)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && (listen.port == 0 || tls_port == 0) => {}
                result => return result,
            }
        }
        Self::try_bind(listen, tls.then_some(tls_port))
    }

    fn try_bind(listen: &Listen, tls_port: Option<u16>) -> io::Result<Self> {
        let (mut udp, mut bound, mut listeners) = (Vec::new(), Vec::<SocketAddr>::new(), Vec::new());
        let mut tls_bound = tls_port;
        for &ip in &listen.addresses {
            let port = bound.first().map_or(listen.port, SocketAddr::port);
            let socket = match bind_udp(SocketAddr::new(ip, port)) {
                // All of IPv6 is what a system without it cannot give.
                Err(error) if ip.is_ipv6() && ip.is_unspecified() && listen.addresses.len() > 1 && !in_use(&error) => {
                    tracing::warn!(%error, "this machine has no IPv6: only IPv4 is listened on");
                    continue;
                }
                socket => socket.map_err(|error| explain("UDP", SocketAddr::new(ip, port), "[sip] port", &error))?,
            };
            let at = socket.local_addr()?;
            let tcp = bind_tcp(at).map_err(|error| explain("TCP", at, "[sip] port", &error))?;
            listeners.push((Transport::Tcp, tcp));
            if let Some(port) = tls_bound {
                let at = SocketAddr::new(ip, port);
                let tls = bind_tcp(at).map_err(|error| explain("TLS", at, "[sip.tls] port", &error))?;
                tls_bound = Some(tls.local_addr()?.port());
                listeners.push((Transport::Tls, tls));
            }
            bound.push(at);
            udp.push(socket);
        }
        if udp.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "[sip] bind has no address to listen on"));
        }
        Ok(Sockets { udp, bound, listeners, tls_port: tls_bound.unwrap_or(SIPS_PORT) })
    }
}

/// Waits for a socket that has something, and says which; after `last` comes the next one's turn.
pub(super) async fn readable(sockets: &[UdpSocket], last: usize) -> usize {
    poll_fn(|cx| {
        let order = (last + 1..sockets.len()).chain(0..sockets.len().min(last + 1));
        for (at, socket) in order.filter_map(|at| Some((at, sockets.get(at)?))) {
            // An error of the runtime shows in the next receive too.
            if socket.poll_recv_ready(cx).is_ready() {
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits for a connection to one of the listeners, and says which.
pub(super) async fn accept(listeners: &[(Transport, TcpListener)]) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|cx| {
        for (at, (_, listener)) in listeners.iter().enumerate() {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready((at, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_recv_buffer_size(UDP_BUFFER_BYTES)?;
    socket.set_send_buffer_size(UDP_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // Else connections of an earlier run that linger would keep the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // So that 0.0.0.0 can be bound beside.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn explain(transport: &str, address: SocketAddr, key: &str, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(": another program listens there; stop it or choose another {key}"),
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address; mend [sip] bind".to_owned(),
        io::ErrorKind::PermissionDenied => format!(": ports below 1024 are for root; choose another {key}"),
        _ => String::new(),
    };
    io::Error::new(error.kind(), format!("cannot listen on {transport} {address} ({error}){hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn several_addresses_of_both_families_share_one_port() {
        let addresses = ["127.0.0.1", "::1", "127.0.0.2"].map(|ip| ip.parse().unwrap()).to_vec();
        let sockets = Sockets::bind(&Listen { addresses, ..Listen::on([127, 0, 0, 1].into(), 0) }, false).unwrap();
        let port = sockets.bound[0].port();
        assert_eq!(sockets.bound.len(), 3, "IPv6 on loopback is needed here");
        assert!(sockets.bound.iter().all(|bound| bound.port() == port));
        assert_eq!(sockets.listeners.len(), 3);
    }

    #[tokio::test]
    async fn everything_of_both_families_can_be_bound() {
        let addresses = ["0.0.0.0", "::"].map(|ip| ip.parse().unwrap()).to_vec();
        let sockets = Sockets::bind(&Listen { addresses, ..Listen::on([127, 0, 0, 1].into(), 0) }, false).unwrap();
        assert_eq!(sockets.bound.len(), 2);
    }

    #[tokio::test]
    async fn a_taken_port_and_a_foreign_address_say_what_to_do() {
        let first = Sockets::bind(&Listen::on([127, 0, 0, 1].into(), 0), false).unwrap();
        let taken = Listen::on([127, 0, 0, 1].into(), first.bound[0].port());
        let error = Sockets::bind(&taken, false).err().unwrap().to_string();
        assert!(error.contains("UDP 127.0.0.1") && error.contains("choose another [sip] port"), "{error}");
        let foreign = Listen::on([192, 0, 2, 1].into(), 0);
        let error = Sockets::bind(&foreign, false).err().unwrap().to_string();
        assert!(error.contains("mend [sip] bind"), "{error}");
    }
}
