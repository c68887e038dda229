//! Whom a call of ours is tried at, and over which flows: redirections (RFC 3261 §8.1.3.4) and the addresses of each
//! target (RFC 3263 §4.3).

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::sip::message::{Headers, NameAddr, Uri};
use crate::sip::{CallOut, Flow, Transport};

/// How many targets a call is tried at in all.
const MAX_TARGETS: usize = 5;

/// The way that requests of an account take, whatever their target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sip) struct Trunk {
    /// The flow that the registration uses.
    pub flow: Option<Flow>,
    pub host: String,
    pub port: Option<u16>,
    pub transport: Option<Transport>,
}

/// Where to send the INVITE next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sip) enum Next {
    Flow(Flow),
    /// The host has to be resolved; [`Targets::resolved`] takes the answer.
    Resolve {
        host: String,
        port: Option<u16>,
        transport: Option<Transport>,
    },
    Nothing,
}

pub(in crate::sip) struct Targets {
    current: Uri,
    /// Found by redirection, best first.
    waiting: VecDeque<Uri>,
    /// Every target so far: none is tried twice.
    seen: Vec<Uri>,
    trunk: Option<Trunk>,
    flows: VecDeque<Flow>,
    /// The addresses of the current target are asked for.
    resolved: bool,
    last: Option<Flow>,
}

impl Targets {
    pub fn new(target: Uri, trunk: Option<Trunk>) -> Self {
        let mut targets = Targets {
            seen: vec![target.clone()],
            current: target,
            waiting: VecDeque::new(),
            trunk,
            flows: VecDeque::new(),
            resolved: false,
            last: None,
        };
        targets.begin();
        targets
    }

    pub fn current(&self) -> &Uri {
        &self.current
    }

    fn begin(&mut self) {
        self.flows = self.trunk.iter().filter_map(|trunk| trunk.flow).collect();
        self.resolved = false;
        self.last = None;
    }

    /// The next flow to the current target.
    pub fn next_flow(&mut self) -> Next {
        if let Some(flow) = self.flows.pop_front() {
            self.last = Some(flow);
            return Next::Flow(flow);
        }
        if self.resolved {
            return Next::Nothing;
        }
        self.resolved = true;
        match &self.trunk {
            Some(Trunk { host, port, transport, .. }) => {
                Next::Resolve { host: host.clone(), port: *port, transport: *transport }
            }
            None => Next::Resolve {
                host: self.current.host.clone(),
                port: self.current.port,
                transport: self.current.transport(),
            },
        }
    }

    /// Whether the way is that of an account, whatever the target.
    pub fn follows_account(&self) -> bool {
        self.trunk.is_some()
    }

    pub fn resolved(&mut self, flows: Vec<Flow>) {
        let tried = self.last.map(|flow| (flow.transport, flow.remote));
        self.flows = flows.into_iter().filter(|flow| Some((flow.transport, flow.remote)) != tried).collect();
    }

    /// Goes on to the next target. False when there is none.
    pub fn next_target(&mut self) -> bool {
        let Some(next) = self.waiting.pop_front() else { return false };
        self.current = next;
        self.begin();
        true
    }

    /// Takes the targets of a 3xx that may be called. False when the guard kept back all that there were.
    pub fn redirect(&mut self, answer: &Headers, guard: &CallOut) -> bool {
        let contacts = answer.values("Contact").filter_map(|contact| contact.parse::<NameAddr>().ok());
        let mut found: Vec<_> = contacts.filter(|contact| contact.uri.is_sip()).collect();
        found.sort_by_key(|contact| Reverse(quality(contact)));
        let (mut taken, mut kept_back) = (Vec::new(), false);
        for contact in found {
            if self.seen.len() >= MAX_TARGETS || self.seen.contains(&contact.uri) {
                continue;
            }
            if !guard.allows(&contact.uri) {
                kept_back = true;
                continue;
            }
            self.seen.push(contact.uri.clone());
            taken.push(contact.uri);
        }
        let nothing_but_kept_back = taken.is_empty() && kept_back;
        // What this target names comes before what an earlier one has named.
        taken.into_iter().rev().for_each(|uri| self.waiting.push_front(uri));
        !nothing_but_kept_back
    }
}

/// `q` in thousandths; 1 without one.
fn quality(contact: &NameAddr) -> u16 {
    let Some(q) = contact.params.get("q").and_then(|q| q.parse::<f32>().ok()) else { return 1000 };
    // The cast keeps to its range and makes nothing of what is no number.
    (q.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        let remote = ([192, 0, 2, 2], port).into();
        Flow { transport: Transport::Udp, local: ([192, 0, 2, 1], 5060).into(), remote }
    }

    fn targets(trunk: Option<Trunk>) -> Targets {
        Targets::new("sip:a@h".parse().unwrap(), trunk)
    }

    fn redirection(contacts: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push("Contact", contacts);
        headers
    }

    fn all(mut targets: Targets) -> Vec<String> {
        std::iter::from_fn(|| targets.next_target().then(|| targets.current().to_string())).collect()
    }

    #[test]
    fn redirections_are_followed_by_q() {
        let mut targets = targets(None);
        assert!(targets.redirect(
            &redirection("<sip:low@h>;q=0.1, <sip:first@h>, <sip:second@h>, <tel:+7>, <sip:bad@h>;q=NaN"),
            &CallOut::Anybody
        ));
        assert_eq!(all(targets), ["sip:first@h", "sip:second@h", "sip:low@h", "sip:bad@h"]);
    }

    #[test]
    fn loops_and_long_lists_end() {
        let mut targets = targets(None);
        assert!(targets.redirect(&redirection("<sip:a@h>"), &CallOut::Anybody));
        assert!(!targets.next_target(), "it is where we come from");
        let many: Vec<_> = (0..20).map(|n| format!("<sip:{n}@h>")).collect();
        assert!(targets.redirect(&redirection(&many.join(", ")), &CallOut::Anybody));
        assert_eq!(all(targets).len(), MAX_TARGETS - 1);
    }

    #[test]
    fn the_guard_keeps_back_what_may_not_be_called() {
        let mut targets = targets(None);
        let nobody = CallOut::Matching(Vec::new());
        assert!(!targets.redirect(&redirection("<sip:b@h>"), &nobody));
        assert!(targets.redirect(&redirection("<sip:a@h>"), &nobody), "a loop is not for the guard");
        assert!(all(targets).is_empty());
    }

    #[test]
    fn every_flow_of_a_target_is_tried_once() {
        let trunk = Trunk { flow: Some(flow(1)), host: "pbx".into(), port: None, transport: None };
        let mut targets = targets(Some(trunk));
        assert_eq!(targets.next_flow(), Next::Flow(flow(1)));
        let ask = Next::Resolve { host: "pbx".into(), port: None, transport: None };
        assert_eq!(targets.next_flow(), ask);
        targets.resolved(vec![flow(1), flow(2)]);
        assert_eq!(targets.next_flow(), Next::Flow(flow(2)));
        assert_eq!(targets.next_flow(), Next::Nothing);
    }
}
