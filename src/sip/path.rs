//! Which flow the requests of a dialog take (RFC 3261 §8.1.2, §12.2.1.1).
//!
//! The rule: a peer that talked to us without anybody between (one `Via`, no route set) is answered over the flow
//! it used, whatever its Contact says, because that works through NAT. Else the first hop, which is the top route
//! or the remote target, is meant: if it is literally the far end of our flow, the flow is reused; if not, the shell
//! resolves it, and its answer is kept. When it finds nothing, the old flow is still the best guess.

use std::net::SocketAddr;

use super::message::{Request, Uri};
use super::{Flow, ResolveId, Transport};

/// The path of a dialog, and the requests that wait for it.
#[derive(Debug)]
pub(super) enum Path {
    Known(Flow),
    /// To be resolved when the next request is sent.
    Unknown {
        last: Flow,
    },
    Resolving {
        id: ResolveId,
        last: Flow,
        waiting: Vec<Request>,
    },
}

impl Path {
    /// The path to `hop` for a dialog whose last message came or went over `flow`.
    pub fn choose(hop: &Uri, flow: Flow, direct: bool) -> Self {
        let transport_fits = hop.transport().is_none_or(|transport| transport == flow.transport);
        let is_far_end =
            hop.ip() == Some(flow.remote.ip()) && port_of(hop, flow) == flow.remote.port() && transport_fits;
        if direct || is_far_end { Path::Known(flow) } else { Path::Unknown { last: flow } }
    }

    /// The flow in use, or the last that was.
    pub fn flow(&self) -> Flow {
        match self {
            Path::Known(flow) | Path::Unknown { last: flow } | Path::Resolving { last: flow, .. } => *flow,
        }
    }
}

/// The flow to `hop` where nobody can wait for the resolver: to the address that it is, or else `flow`.
pub(super) fn without_resolver(hop: &Uri, flow: Flow) -> Flow {
    let transport_fits = hop.transport().is_none_or(|transport| transport == flow.transport);
    match hop.ip().filter(|ip| transport_fits && ip.is_ipv4() == flow.remote.is_ipv4()) {
        Some(ip) => Flow { remote: SocketAddr::new(ip, port_of(hop, flow)), ..flow },
        None => flow,
    }
}

fn port_of(hop: &Uri, flow: Flow) -> u16 {
    hop.port.unwrap_or(if flow.transport == Transport::Tls { 5061 } else { 5060 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(hop: &str, transport: Transport, direct: bool) -> bool {
        let flow =
            Flow { transport, local: "192.0.2.1:5060".parse().unwrap(), remote: "192.0.2.2:5060".parse().unwrap() };
        matches!(Path::choose(&hop.parse().unwrap(), flow, direct), Path::Known(_))
    }

    #[test]
    fn reuses_the_flow_when_the_hop_is_its_far_end() {
        assert!(choose("sip:b@192.0.2.2:5060", Transport::Udp, false));
        assert!(choose("sip:b@192.0.2.2", Transport::Tcp, false));
        assert!(!choose("sip:b@192.0.2.2;transport=tcp", Transport::Udp, false));
        assert!(!choose("sip:b@192.0.2.2:5070", Transport::Udp, false));
        assert!(!choose("sip:b@pbx.example", Transport::Udp, false));
    }

    #[test]
    fn a_direct_peer_is_answered_where_it_called_from() {
        assert!(choose("sip:b@10.0.0.7:5060", Transport::Udp, true));
    }
}
