//! From a host's name to the paths that lead to it (RFC 3263 §4).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::dns::{Dns, Srv, servers, services};
use super::listen::SIPS_PORT;
use super::routes::Routes;
use crate::sip::{Flow, Transport};

pub use super::listen::SIP_PORT;

/// For everything that one name needs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Paths beyond are not tried.
const MAX_FLOWS: usize = 16;

/// The paths to a host, best first, for somebody who has nothing bound yet and would bind `listen`; within five seconds.
///
/// # Errors
/// When the name has no address, or none that can be reached from here.
pub async fn flows(
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    listen: SocketAddr,
) -> io::Result<Vec<Flow>> {
    let dns = Dns::of_system().map_err(io::Error::other)?;
    Resolver::new(dns, Routes::of_one(listen)).flows(host, port, transport).await
}

/// The address of ours that a packet to `remote` carries: the socket's own, or the one that the routing table chooses.
///
/// # Errors
/// When there is no route.
pub async fn local_address(listen: SocketAddr, remote: SocketAddr) -> io::Result<IpAddr> {
    Routes::of_one(listen).address(remote.ip())
}

/// Finds paths. A copy shares what was learned.
#[derive(Clone)]
pub(super) struct Resolver {
    dns: Dns,
    routes: Routes,
}

/// A name and a port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    transport: Transport,
    host: String,
    port: u16,
}

impl Resolver {
    pub fn new(dns: Dns, routes: Routes) -> Self {
        Resolver { dns, routes }
    }

    /// The path to a host that is an address already; `None` for a name.
    pub fn numeric(&self, host: &str, port: Option<u16>, transport: Option<Transport>) -> Option<io::Result<Flow>> {
        let address: IpAddr = bare(host).parse().ok()?;
        let transport = transport.unwrap_or(Transport::Udp);
        let remote = SocketAddr::new(address, port.unwrap_or(default_port(transport)));
        Some(self.routes.flow(transport, remote))
    }

    /// The paths to a host, best first, at most 16; within five seconds.
    ///
    /// # Errors
    /// When the name has no address, or none that can be reached from here.
    pub async fn flows(&self, host: &str, port: Option<u16>, transport: Option<Transport>) -> io::Result<Vec<Flow>> {
        if let Some(flow) = self.numeric(host, port, transport) {
            return flow.map(|flow| vec![flow]);
        }
        let deadline = Instant::now() + PATIENCE;
        let targets = match timeout_at(deadline, self.targets(host, port, transport)).await {
            Ok(targets) => targets,
            Err(_) => return Err(unknown(host, "the DNS does not answer")),
        };
        let mut flows = Vec::new();
        let mut why = "its DNS says that it has no SIP".to_owned();
        for target in targets {
            if flows.len() >= MAX_FLOWS {
                break;
            }
            match timeout_at(deadline, self.dns.addresses(&target.host)).await {
                Ok(Ok(addresses)) => {
                    for address in addresses {
                        match self.routes.flow(target.transport, SocketAddr::new(address, target.port)) {
                            Ok(flow) if !flows.contains(&flow) => flows.push(flow),
                            Ok(_) => {}
                            Err(error) => why = error.to_string(),
                        }
                    }
                }
                Ok(Err(error)) => why = format!("{}: {error}", target.host),
                Err(_) => why = "the DNS does not answer".to_owned(),
            }
        }
        flows.truncate(MAX_FLOWS);
        if flows.is_empty() { Err(unknown(host, &why)) } else { Ok(flows) }
    }

    async fn targets(&self, host: &str, port: Option<u16>, transport: Option<Transport>) -> Vec<Target> {
        let plain = |transport: Transport, port: Option<u16>| {
            let port = port.unwrap_or(default_port(transport));
            vec![Target { transport, host: host.to_owned(), port }]
        };
        // RFC 3263 §4.1, §4.2: a port rules SRV out. So do we let an entry of /etc/hosts.
        if port.is_some() || is_in_hosts(host.to_owned()).await {
            return plain(transport.unwrap_or(Transport::Udp), port);
        }
        if let Some(transport) = transport {
            let found = self.dns.srv(&service_name(transport, host)).await;
            return if found.is_empty() { plain(transport, None) } else { of_servers(transport, found) };
        }
        // All questions at once, since a server that knows nothing of NAPTR may be slow to say so.
        let names = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|t| (t, service_name(t, host)));
        let [(_, udp), (_, tcp), (_, tls)] = &names;
        let (naptr, udp, tcp, tls) =
            tokio::join!(self.dns.naptr(host), self.dns.srv(udp), self.dns.srv(tcp), self.dns.srv(tls));
        let offered = services(naptr);
        if offered.is_empty() {
            let found = [(Transport::Udp, udp), (Transport::Tcp, tcp), (Transport::Tls, tls)];
            let first = found.into_iter().find(|(_, records)| !records.is_empty());
            return match first {
                Some((transport, records)) => of_servers(transport, records),
                None => plain(Transport::Udp, None),
            };
        }
        let mut targets = Vec::new();
        for (transport, name) in offered.into_iter().take(MAX_FLOWS) {
            targets.extend(of_servers(transport, self.dns.srv(&name).await));
        }
        targets
    }
}

fn of_servers(transport: Transport, records: Vec<Srv>) -> Vec<Target> {
    let ordered = servers(records, &mut rand::rng()).into_iter();
    ordered.map(|(host, port)| Target { transport, host, port }).collect()
}

/// RFC 3263 §4.1
fn service_name(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    format!("{service}.{}", host.trim_end_matches('.'))
}

/// RFC 3261 §19.1.2
fn default_port(transport: Transport) -> u16 {
    if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// What an operator wrote there is what he means, and holds while the DNS is away.
async fn is_in_hosts(host: String) -> bool {
    let look = move || {
        let (Ok(name), Ok(hosts)) = (Name::from_utf8(&host), Hosts::from_system()) else { return false };
        let query = |kind| hickory_resolver::proto::op::Query::query(name.clone(), kind);
        [RecordType::A, RecordType::AAAA].into_iter().any(|kind| hosts.lookup_static_host(&query(kind)).is_some())
    };
    // Reads the file, which blocks. An error means that the runtime ends.
    spawn_blocking(look).await.unwrap_or(false)
}

fn unknown(host: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{host} cannot be reached: {why}"))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
    use hickory_resolver::proto::rr::{RData, Record};
    use tokio::net::UdpSocket;
    use tokio::task::JoinHandle;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn srv(priority: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, 0, port, name(target)))
    }

    fn naptr(order: u16, service: &str, replacement: &str) -> RData {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        RData::NAPTR(NAPTR::new(order, 10, bytes("s"), bytes(service), bytes(""), name(replacement)))
    }

    fn a(last: u8) -> RData {
        RData::A(A::new(127, 0, 0, last))
    }

    /// A DNS server on loopback with these records; it says of everything else that it does not exist.
    async fn server(zone: Vec<(&'static str, RData)>) -> (SocketAddr, JoinHandle<()>) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
                answer.metadata.recursion_available = true;
                answer.metadata.authoritative = true;
                let query = question.queries[0].clone();
                for (owner, data) in &zone {
                    if name(owner) == *query.name() && data.record_type() == query.query_type() {
                        answer.add_answer(Record::from_rdata(name(owner), 60, data.clone()));
                    }
                }
                if answer.answers.is_empty() {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                answer.add_query(query);
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        (address, task)
    }

    fn resolver(server: SocketAddr, bound: &[&str]) -> Resolver {
        let bound = bound.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 5060)).collect();
        Resolver::new(Dns::of_server(server), Routes { bound, tls_port: 5061, public: None })
    }

    async fn resolve(resolver: &Resolver, port: Option<u16>, transport: Option<Transport>) -> Vec<String> {
        let flows = resolver.flows("pbx.example", port, transport).await.unwrap();
        flows.iter().map(|flow| format!("{} {}", flow.transport.name(), flow.remote)).collect()
    }

    #[tokio::test]
    async fn naptr_leads_to_srv_and_that_to_addresses_in_the_order_to_try_them() {
        let zone = vec![
            ("pbx.example.", naptr(20, "SIP+D2U", "_sip._udp.pbx.example.")),
            ("pbx.example.", naptr(10, "SIPS+D2T", "_sips._tcp.secure.example.")),
            ("_sips._tcp.secure.example.", srv(2, 6061, "spare.example.")),
            ("_sips._tcp.secure.example.", srv(1, 5061, "first.example.")),
            ("_sip._udp.pbx.example.", srv(1, 5070, "first.example.")),
            ("first.example.", a(1)),
            ("first.example.", a(2)),
            ("spare.example.", a(3)),
        ];
        let (address, task) = server(zone).await;
        let found = resolve(&resolver(address, &["127.0.0.1"]), None, None).await;
        let mut first: Vec<&str> = found[..2].iter().map(String::as_str).collect();
        first.sort_unstable();
        assert_eq!(first, ["TLS 127.0.0.1:5061", "TLS 127.0.0.2:5061"]);
        assert_eq!(found[2], "TLS 127.0.0.3:6061");
        let mut last: Vec<&str> = found[3..].iter().map(String::as_str).collect();
        last.sort_unstable();
        assert_eq!(last, ["UDP 127.0.0.1:5070", "UDP 127.0.0.2:5070"]);
        task.abort();
    }

    #[tokio::test]
    async fn without_naptr_srv_chooses_the_transport_and_without_both_the_address_is_asked_by_udp() {
        let zone = vec![("_sip._tcp.pbx.example.", srv(1, 5080, "host.example.")), ("host.example.", a(4))];
        let (address, task) = server(zone).await;
        assert_eq!(resolve(&resolver(address, &["127.0.0.1"]), None, None).await, ["TCP 127.0.0.4:5080"]);
        task.abort();

        let (address, task) = server(vec![("pbx.example.", a(5))]).await;
        let plain = resolver(address, &["127.0.0.1"]);
        assert_eq!(resolve(&plain, None, None).await, ["UDP 127.0.0.5:5060"]);
        assert_eq!(resolve(&plain, None, Some(Transport::Tls)).await, ["TLS 127.0.0.5:5061"]);
        assert_eq!(plain.flows("other.example", None, None).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        task.abort();
    }

    #[tokio::test]
    async fn a_port_rules_srv_out_and_a_transport_chooses_its_srv() {
        let zone = vec![
            ("pbx.example.", a(6)),
            ("_sip._tcp.pbx.example.", srv(1, 5080, "host.example.")),
            ("_sip._udp.pbx.example.", srv(1, 5090, "host.example.")),
            ("host.example.", a(7)),
        ];
        let (address, task) = server(zone).await;
        let resolver = resolver(address, &["127.0.0.1"]);
        assert_eq!(resolve(&resolver, Some(5065), Some(Transport::Tcp)).await, ["TCP 127.0.0.6:5065"]);
        assert_eq!(resolve(&resolver, Some(5065), None).await, ["UDP 127.0.0.6:5065"]);
        assert_eq!(resolve(&resolver, None, Some(Transport::Tcp)).await, ["TCP 127.0.0.7:5080"]);
        task.abort();
    }

    #[tokio::test]
    async fn both_families_are_found_when_both_are_bound() {
        let six = RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1));
        let (address, task) = server(vec![("pbx.example.", six), ("pbx.example.", a(8))]).await;
        let both = resolve(&resolver(address, &["127.0.0.1", "::1"]), Some(5060), None).await;
        assert_eq!(both, ["UDP 127.0.0.8:5060", "UDP [::1]:5060"]);
        let one = resolve(&resolver(address, &["::1"]), Some(5060), None).await;
        assert_eq!(one, ["UDP [::1]:5060"]);
        task.abort();
    }

    #[tokio::test]
    async fn many_targets_are_cut_to_a_bound() {
        let mut zone: Vec<(&str, RData)> = (0..20).map(|n| ("pbx.example.", a(n + 10))).collect();
        zone.push(("_sip._udp.pbx.example.", srv(1, 5060, "pbx.example.")));
        let (address, task) = server(zone).await;
        assert_eq!(resolve(&resolver(address, &["127.0.0.1"]), None, None).await.len(), MAX_FLOWS);
        task.abort();
    }

    #[tokio::test]
    async fn an_address_is_taken_as_it_is() {
        let resolver = resolver(([127, 0, 0, 1], 9).into(), &["127.0.0.1", "::1"]);
        let flow = |host, transport| resolver.numeric(host, None, transport).unwrap().unwrap().remote.to_string();
        assert_eq!(flow("127.0.0.9", None), "127.0.0.9:5060");
        assert_eq!(flow("[::1]", Some(Transport::Tls)), "[::1]:5061");
        assert!(resolver.numeric("pbx.example", None, None).is_none());
    }
}
