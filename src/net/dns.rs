//! The records of the DNS that SIP asks for (RFC 3263 §4, RFC 2782, RFC 3403), and their order.
//!
//! Asked are the servers of /etc/resolv.conf as it was at the start; answers are kept as long as their TTL says. Left
//! out: NAPTR of the flags `a` and `u`, which nobody publishes for SIP, and regular expressions in it (RFC 3263 §4.1).

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use rand::Rng;

use crate::sip::Transport;

/// For one server and one try.
const TRY: Duration = Duration::from_millis(1_500);
const TRIES: usize = 2;
/// Records of one kind and name beyond are not looked at.
const MAX_RECORDS: usize = 32;

/// A service that a domain offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: String,
    pub service: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// A server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// `.` says that there is no such service.
    pub target: String,
}

/// The ways to reach a domain, best first: (RFC 3263 §4.1). Others than ours are left out.
pub(super) fn services(mut records: Vec<Naptr>) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    let known = records.into_iter().filter(|record| record.flags.eq_ignore_ascii_case("s"));
    let ours = known.filter_map(|Naptr { service, replacement, .. }| {
        let transport = match service.to_ascii_uppercase().as_str() {
            "SIP+D2U" => Transport::Udp,
            "SIP+D2T" => Transport::Tcp,
            "SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        Some((transport, replacement))
    });
    ours.collect()
}

/// The servers in the order to try them: by priority, and within one at random by weight (RFC 2782).
pub(super) fn servers(mut records: Vec<Srv>, rng: &mut impl Rng) -> Vec<(String, u16)> {
    // Those of weight 0 come first, so that they have a small chance.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let level = records.iter().take_while(|record| record.priority == priority);
        let total: u64 = level.clone().map(|record| u64::from(record.weight)).sum();
        let drawn = rng.random_range(0..=total);
        let mut sum = 0;
        let reached = level.clone().position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        let record = records.remove(reached.unwrap_or(0));
        if record.target != "." {
            ordered.push((record.target, record.port));
        }
    }
    ordered
}

/// Asks the DNS.
#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    /// As the system is configured; a system that is not has its file of hosts still.
    ///
    /// # Errors
    /// When the resolver cannot be made.
    pub fn of_system() -> Result<Self, NetError> {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "/etc/resolv.conf is of no use: only the names in /etc/hosts are known");
            TokioResolver::builder_with_config(
                ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                TokioRuntimeProvider::default(),
            )
        });
        Self::build(builder)
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, NetError> {
        let options = builder.options_mut();
        options.timeout = TRY;
        options.attempts = TRIES;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Dns { resolver: builder.build()? })
    }

    /// Asks one server only.
    #[cfg(test)]
    pub fn of_server(server: std::net::SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
        let mut udp = ConnectionConfig::udp();
        udp.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![udp]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Self::build(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap()
    }

    pub async fn naptr(&self, domain: &str) -> Vec<Naptr> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let records = self.records(domain, RecordType::NAPTR).await.into_iter().filter_map(|data| match data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: text(&naptr.flags),
                service: text(&naptr.services),
                replacement: naptr.replacement.to_string(),
            }),
            _ => None,
        });
        records.collect()
    }

    pub async fn srv(&self, name: &str) -> Vec<Srv> {
        let records = self.records(name, RecordType::SRV).await.into_iter().filter_map(|data| match data {
            RData::SRV(srv) => {
                Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_string() })
            }
            _ => None,
        });
        records.collect()
    }

    /// Of both families, IPv4 first: a peer that has both is more often reached by it. /etc/hosts goes before the DNS.
    ///
    /// # Errors
    /// When there is none; says why.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let mut found: Vec<IpAddr> = self.resolver.lookup_ip(host).await?.iter().take(MAX_RECORDS).collect();
        found.sort_by_key(IpAddr::is_ipv6);
        Ok(found)
    }

    /// None when there are none, and when the servers do not know: then the next kind is tried.
    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Ok(mut name) = Name::from_utf8(name) else { return Vec::new() };
        // No search in the domains of this machine.
        name.set_fqdn(true);
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(found) => found.answers().iter().take(MAX_RECORDS).map(|record| record.data.clone()).collect(),
            Err(error) => {
                tracing::debug!(%name, %kind, %error, "no DNS records");
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn naptr(order: u16, preference: u16, service: &str) -> Naptr {
        let (flags, service) = ("s".to_owned(), service.to_owned());
        Naptr { order, preference, flags, replacement: format!("{service}."), service }
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    #[test]
    fn services_come_by_order_then_preference_and_only_ours() {
        let records = vec![
            naptr(20, 1, "SIP+D2U"),
            naptr(10, 50, "sip+d2t"),
            naptr(10, 10, "SIPS+D2T"),
            naptr(1, 1, "SIP+D2S"),
            naptr(1, 1, "E2U+sip"),
            Naptr { flags: "u".to_owned(), ..naptr(0, 0, "SIP+D2U") },
        ];
        let transports: Vec<Transport> = services(records).into_iter().map(|(transport, _)| transport).collect();
        assert_eq!(transports, [Transport::Tls, Transport::Tcp, Transport::Udp]);
    }

    #[test]
    fn servers_come_by_priority_and_by_weight_at_random() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut first = 0;
        for _ in 0..1_000 {
            let order = servers(vec![srv(20, 0, "c"), srv(10, 90, "a"), srv(10, 10, "b")], &mut rng);
            let names: Vec<&str> = order.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names[2], "c");
            first += i32::from(names[0] == "a");
        }
        assert!((850..950).contains(&first), "{first} of 1,000 by weight 90 of 100");
    }

    #[test]
    fn a_dot_says_that_there_is_no_such_service() {
        assert!(servers(vec![srv(0, 0, ".")], &mut StdRng::seed_from_u64(1)).is_empty());
    }
}
