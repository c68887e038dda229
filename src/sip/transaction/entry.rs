//! What the tables hold: a state machine with its messages and the flow that they take.

use std::time::Instant;

use super::client::{self, Client};
use super::client_invite::{self, InviteClient};
use super::server::{self, Server};
use super::server_invite::{self, InviteServer};
use super::{Expiry, Failed, Failure};
use crate::sip::Flow;
use crate::sip::message::{CSeq, Method, Request, Via};

#[derive(Debug)]
pub(super) enum ClientMachine {
    Invite { machine: InviteClient, ack: Option<Vec<u8>> },
    Other(Client),
}

#[derive(Debug)]
pub(super) struct ClientEntry<O> {
    pub machine: ClientMachine,
    pub owner: O,
    pub flow: Flow,
    /// The flow to take if this one, which is TCP because the request is long, cannot be had.
    pub fallback: Option<Flow>,
    pub request: Request,
    pub cseq: CSeq,
}

#[derive(Debug)]
pub(super) enum ServerMachine {
    Invite(InviteServer),
    Other(Server),
}

#[derive(Debug)]
pub(super) struct ServerEntry {
    pub machine: ServerMachine,
    pub flow: Flow,
    pub answer: Option<Vec<u8>>,
}

impl ClientMachine {
    pub fn new(now: Instant, method: &Method, flow: Flow) -> Self {
        let reliable = flow.transport.is_reliable();
        match method {
            Method::Invite => ClientMachine::Invite { machine: InviteClient::new(now, reliable), ack: None },
            _ => ClientMachine::Other(Client::new(now, reliable)),
        }
    }
}

impl<O: Copy> ClientEntry<O> {
    /// Begins anew over another transport, with the same branch: the peer has not seen it yet.
    pub fn take(&mut self, now: Instant, flow: Flow) {
        self.flow = flow;
        self.machine = ClientMachine::new(now, &self.request.method, flow);
        let via: Option<Via> = self.request.headers.values("Via").next().and_then(|via| via.parse().ok());
        if let Some(mut via) = via {
            flow.transport.name().clone_into(&mut via.transport);
            self.request.headers.remove("Via");
            self.request.headers.push_front("Via", via.to_string());
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            ClientMachine::Invite { machine, .. } => machine.poll_timeout(),
            ClientMachine::Other(machine) => machine.poll_timeout(),
        }
    }

    pub fn failed(&self, why: Failure) -> Failed<O> {
        Failed { owner: self.owner, cseq: self.cseq.clone(), why }
    }

    pub fn on_timeout(&mut self, now: Instant) -> Option<Expiry> {
        match &mut self.machine {
            ClientMachine::Invite { machine, .. } => machine.on_timeout(now),
            ClientMachine::Other(machine) => machine.on_timeout(now),
        }
    }

    pub fn is_over(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite { machine, .. } => machine.state() == client_invite::State::Terminated,
            ClientMachine::Other(machine) => machine.state() == client::State::Terminated,
        }
    }

    pub fn waits_for_answer(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite { machine, .. } => {
                use client_invite::State;
                matches!(machine.state(), State::Calling { .. } | State::Proceeding)
            }
            ClientMachine::Other(machine) => {
                matches!(machine.state(), client::State::Trying { .. } | client::State::Proceeding)
            }
        }
    }
}

impl ServerEntry {
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.poll_timeout(),
            ServerMachine::Other(machine) => machine.poll_timeout(),
        }
    }

    pub fn is_accepted(&self) -> bool {
        matches!(&self.machine, ServerMachine::Invite(machine) if machine.state() == server_invite::State::Accepted)
    }

    /// Whether the answer is to be sent again.
    pub fn on_timeout(&mut self, now: Instant) -> bool {
        match &mut self.machine {
            ServerMachine::Invite(machine) => {
                let mut repeat = false;
                while let Some(expiry) = machine.on_timeout(now) {
                    repeat |= expiry == Expiry::Retransmit;
                }
                repeat
            }
            ServerMachine::Other(machine) => {
                machine.on_timeout(now);
                false
            }
        }
    }

    pub fn is_over(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.state() == server_invite::State::Terminated,
            ServerMachine::Other(machine) => machine.state() == server::State::Terminated,
        }
    }
}
