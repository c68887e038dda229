//! Who a peer should be by his certificate: the name under which his address was found.
//!
//! Anybody can write a name of his own that leads to an address of another into a Contact. So the name that an account of
//! ours asked for stands above all others, and a connection that was made for another name is not used for the account.
//! Left out: two accounts with two names at one address and port share a connection that was verified for one of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::sip::{Flow, Transport};

/// How many peers are remembered.
const MAX_REMEMBERED: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Names(HashMap<SocketAddr, Name>);

#[derive(Debug)]
struct Name {
    host: String,
    for_account: bool,
}

impl Names {
    /// Who is there; without a name he is his address.
    pub fn of(&self, remote: SocketAddr) -> String {
        self.0.get(&remote).map_or_else(|| remote.ip().to_string(), |name| name.host.clone())
    }

    /// The host was found at these flows; one with a connection (`is_open`) keeps the name that it has, unless only now an
    /// account asks for it. Then the connection was made for somebody else and has to end: these flows.
    pub fn learn(
        &mut self,
        host: &str,
        for_account: bool,
        flows: &[Flow],
        is_open: impl Fn(&Flow) -> bool,
    ) -> Vec<Flow> {
        let mut false_friends = Vec::new();
        for flow in flows.iter().filter(|flow| flow.transport == Transport::Tls) {
            let open = is_open(flow);
            // An address is written as certificates are asked for it, without brackets.
            let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
            match self.0.get(&flow.remote) {
                Some(name) if name.for_account && (open || !for_account) => continue,
                Some(name) if name.host == host => {}
                // A number in a Contact is no news of whose it is.
                Some(_) if !for_account && host.parse::<IpAddr>().is_ok() => continue,
                _ if open && !for_account => continue,
                _ if open => false_friends.push(*flow),
                _ => {}
            }
            if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&flow.remote) {
                self.0.retain(|_, name| name.for_account);
                if self.0.len() >= MAX_REMEMBERED {
                    self.0.clear();
                }
            }
            self.0.insert(flow.remote, Name { host: host.to_owned(), for_account });
        }
        false_friends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::sip::{Account, AccountId, CallOut, Command, Endpoint, EndpointConfig, Input, Numbering, Output};

    fn flow(last: u8) -> Flow {
        let local = ([192, 0, 2, 1], 5061).into();
        Flow { transport: Transport::Tls, local, remote: ([198, 51, 100, last], 5061).into() }
    }

    #[test]
    fn a_stranger_does_not_rename_the_registrar() {
        let (mut names, flow) = (Names::default(), flow(1));
        assert_eq!(names.of(flow.remote), "198.51.100.1");
        names.learn("pbx.example.", true, &[flow], |_| false);
        names.learn("evil.example", false, &[flow], |_| false);
        assert_eq!(names.of(flow.remote), "pbx.example");
        names.learn("new.example", true, &[flow], |_| true);
        assert_eq!(names.of(flow.remote), "pbx.example", "a connection keeps its name");
        names.learn("new.example", true, &[flow], |_| false);
        assert_eq!(names.of(flow.remote), "new.example");
    }

    #[test]
    fn a_number_does_not_replace_a_name() {
        let (mut names, flow) = (Names::default(), flow(1));
        names.learn("pbx.example", false, &[flow], |_| false);
        names.learn("198.51.100.1", false, &[flow], |_| false);
        assert_eq!(names.of(flow.remote), "pbx.example");
        names.learn("other.example", false, &[flow], |_| false);
        assert_eq!(names.of(flow.remote), "other.example");
    }

    #[test]
    fn a_registrar_that_is_an_address_is_not_renamed_either() {
        let (mut names, flow) = (Names::default(), flow(1));
        names.learn("198.51.100.1", true, &[flow], |_| false);
        names.learn("evil.example", false, &[flow], |_| false);
        assert_eq!(names.of(flow.remote), "198.51.100.1");
    }

    #[test]
    fn an_account_does_not_use_the_connection_that_a_stranger_had_us_make() {
        let (mut names, flow) = (Names::default(), flow(1));
        assert!(names.learn("evil.example", false, &[flow], |_| false).is_empty());
        assert!(names.learn("other.example", false, &[flow], |_| true).is_empty());
        assert_eq!(names.of(flow.remote), "evil.example", "a connection keeps its name");
        assert_eq!(names.learn("pbx.example", true, &[flow], |_| true), [flow]);
        assert_eq!(names.of(flow.remote), "pbx.example");
        assert!(names.learn("pbx.example", true, &[flow], |_| true).is_empty());
    }

    #[test]
    fn many_strangers_do_not_make_us_forget_the_registrar() {
        let (mut names, registrar) = (Names::default(), flow(1));
        names.learn("pbx.example", true, &[registrar], |_| false);
        for port in 1..5_000 {
            let stranger = Flow { remote: ([203, 0, 113, 9], port).into(), ..registrar };
            names.learn("evil.example", false, &[stranger], |_| false);
        }
        assert!(names.0.len() <= MAX_REMEMBERED);
        assert_eq!(names.of(registrar.remote), "pbx.example");
    }

    #[test]
    fn the_name_of_an_account_is_known_from_one_that_others_wrote() {
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "desk", 2) };
        let mut endpoint = Endpoint::new(config, [1; 32]);
        let account = Account {
            id: AccountId(0),
            registrar: "pbx.example".to_owned(),
            port: None,
            domain: "pbx.example".to_owned(),
            username: "desk".to_owned(),
            credentials: Vec::new(),
            transport: Some(Transport::Tls),
            expires: None,
            access: Vec::new(),
            numbering: Numbering::default(),
        };
        let mut asked = Vec::new();
        let mut tell = |endpoint: &mut Endpoint, command| {
            endpoint.handle_input(now(), Input::Command(command));
            while let Some(output) = endpoint.poll_output() {
                if let Output::Resolve { host, for_account, .. } = output {
                    asked.push((host, for_account));
                }
            }
        };
        tell(&mut endpoint, Command::Register(account));
        for (account, target) in [(Some(AccountId(0)), "sip:101@pbx.example"), (None, "sip:a@evil.example")] {
            let (call, target) = (endpoint.next_call_key(), target.to_owned());
            let ring_for = std::time::Duration::from_secs(30);
            tell(&mut endpoint, Command::Invite { call, target, account, offer: b"v=0\r\n".to_vec(), ring_for });
        }
        let asked: Vec<(&str, bool)> = asked.iter().map(|(host, ours)| (host.as_str(), *ours)).collect();
        assert_eq!(asked, [("pbx.example", true), ("pbx.example", true), ("evil.example", false)]);
    }
}
