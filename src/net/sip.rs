//! The task that owns the SIP endpoint: datagrams and framed messages go in, what the endpoint wants sent goes out,
//! and each session's events go to the task of its call.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::resolve;
use super::tcp::Connections;
use crate::clock::now;
use crate::sip::{
    AccountId, CallKey, Command, Endpoint, Event, Flow, Incoming, Input, Output, RegistrationState, SessionEvent,
    Transport,
};

/// No SIP datagram is longer.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Events of one session that wait for its call.
const CALL_QUEUE: usize = 32;
/// Commands, messages and addresses that wait for the endpoint.
const QUEUE: usize = 256;
/// Peers whose local address is remembered.
const MAX_REMEMBERED: usize = 1_024;
/// How long it is remembered: addresses and routes change while we run.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// After a connection that could not be accepted, such as for want of file descriptors: the next try is no better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait for the answer to our last requests when the program stops.
const GOODBYE: Duration = Duration::from_millis(60);

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    pub address: IpAddr,
    /// UDP and TCP alike; 0 lets the system choose one.
    pub port: u16,
}

/// A call that has come in: its first event and those to come.
#[derive(Debug)]
pub struct NewCall {
    pub key: CallKey,
    pub incoming: Box<Incoming>,
    pub events: mpsc::Receiver<(CallKey, SessionEvent)>,
}

/// The way to the endpoint for the rest of the program.
#[derive(Debug, Clone)]
pub struct SipHandle {
    requests: mpsc::Sender<Request>,
    registrations: watch::Receiver<HashMap<AccountId, RegistrationState>>,
    listen: SocketAddr,
}

#[derive(Debug)]
enum Request {
    Command(Command),
    /// Call somebody.
    Invite {
        target: String,
        account: Option<AccountId>,
        offer: Vec<u8>,
        ring_for: Duration,
        events: mpsc::Sender<(CallKey, SessionEvent)>,
        key: oneshot::Sender<CallKey>,
    },
    Stop {
        done: oneshot::Sender<()>,
    },
}

impl SipHandle {
    /// Tells the endpoint what to do. Commands given after the end are dropped.
    pub async fn command(&self, command: Command) {
        if self.requests.send(Request::Command(command)).await.is_err() {
            tracing::debug!("a command came after the end of the SIP endpoint");
        }
    }

    /// Calls somebody; see [`Command::Invite`]. `None` after the end of the endpoint.
    pub async fn invite(
        &self,
        target: String,
        account: Option<AccountId>,
        offer: Vec<u8>,
        ring_for: Duration,
    ) -> Option<(CallKey, mpsc::Receiver<(CallKey, SessionEvent)>)> {
        let (events, receiver) = mpsc::channel(CALL_QUEUE);
        let (key, key_rx) = oneshot::channel();
        self.requests.send(Request::Invite { target, account, offer, ring_for, events, key }).await.ok()?;
        Some((key_rx.await.ok()?, receiver))
    }

    /// The states of all registrations, as they change.
    pub fn registrations(&self) -> watch::Receiver<HashMap<AccountId, RegistrationState>> {
        self.registrations.clone()
    }

    /// The address that the sockets are bound to.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Ends all calls, unregisters, waits a moment for the answers, and ends the task.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.requests.send(Request::Stop { done }).await.is_ok() {
            // An error means that the task is gone, which is what was wanted.
            let _ = ended.await;
        }
    }
}

/// Binds the sockets and starts the task.
///
/// # Errors
/// When the port is taken or the address is none of ours.
pub async fn start(
    listen: Listen,
    endpoint: Endpoint,
) -> io::Result<(SipHandle, mpsc::Receiver<NewCall>, JoinHandle<()>)> {
    let in_use = |transport: &str, error: io::Error| {
        let Listen { address, port } = listen;
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => ": another program listens there; stop it or choose another [sip] port",
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address; mend [sip] bind",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {transport} {address}:{port} ({error}){hint}"))
    };
    let udp = UdpSocket::bind((listen.address, listen.port)).await.map_err(|e| in_use("UDP", e))?;
    let bound = udp.local_addr()?;
    let tcp = TcpListener::bind(bound).await.map_err(|e| in_use("TCP", e))?;
    let (requests, requests_rx) = mpsc::channel(QUEUE);
    let (calls, calls_rx) = mpsc::channel(CALL_QUEUE);
    let (states, registrations) = watch::channel(HashMap::new());
    let (inbound, inbound_rx) = mpsc::channel(QUEUE);
    let shell = Shell {
        endpoint,
        listen: bound,
        udp,
        connections: Connections::new(inbound, bound.port()),
        sessions: HashMap::new(),
        calls: Some(calls),
        states,
        local_addresses: HashMap::new(),
        resolving: JoinSet::new(),
    };
    let task = tokio::spawn(shell.run(tcp, requests_rx, inbound_rx));
    Ok((SipHandle { requests, registrations, listen: bound }, calls_rx, task))
}

struct Shell {
    endpoint: Endpoint,
    listen: SocketAddr,
    udp: UdpSocket,
    connections: Connections,
    sessions: HashMap<CallKey, mpsc::Sender<(CallKey, SessionEvent)>>,
    /// `None` once we stop: then no call is taken.
    calls: Option<mpsc::Sender<NewCall>>,
    states: watch::Sender<HashMap<AccountId, RegistrationState>>,
    /// Ours by the peer's, and until when that counts.
    local_addresses: HashMap<IpAddr, (IpAddr, Instant)>,
    resolving: JoinSet<Input>,
}

impl Shell {
    async fn run(
        mut self,
        tcp: TcpListener,
        mut requests: mpsc::Receiver<Request>,
        mut inbound: mpsc::Receiver<Input>,
    ) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        let mut stop: Option<(oneshot::Sender<()>, Instant)> = None;
        let mut accept_at: Option<Instant> = None;
        loop {
            self.drain().await;
            let stop_at = stop.as_ref().map(|(_, at)| *at);
            if let Some(at) = stop_at
                && (now() >= at || self.is_quiet())
            {
                break;
            }
            accept_at = accept_at.filter(|at| now() < *at);
            let wake = [self.endpoint.poll_timeout(), stop_at, accept_at].into_iter().flatten().min();
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => match received {
                    Ok((length, remote)) => {
                        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                        self.take_datagram(remote, bytes).await;
                    }
                    // Linux reports an ICMP error of an earlier packet here; which one, it does not say.
                    Err(error) => tracing::debug!(%error, "UDP receive failed"),
                },
                accepted = tcp.accept(), if accept_at.is_none() => match accepted {
                    Ok((stream, remote)) => self.connections.accept(stream, remote),
                    Err(error) => {
                        tracing::warn!(%error, "a TCP connection could not be accepted");
                        accept_at = Some(now() + ACCEPT_PAUSE);
                    }
                },
                Some(input) = inbound.recv() => self.endpoint.handle_input(now(), input),
                Some(resolved) = self.resolving.join_next() => match resolved {
                    Ok(input) => self.endpoint.handle_input(now(), input),
                    Err(error) => tracing::error!(%error, "the resolver's task failed"),
                },
                request = requests.recv() => match request {
                    Some(Request::Command(command)) => self.endpoint.handle_input(now(), Input::Command(command)),
                    Some(Request::Invite { target, account, offer, ring_for, events, key }) => {
                        let call = self.endpoint.next_call_key();
                        self.sessions.insert(call, events);
                        // The one who asked may be gone; then the events find nobody and the call ends.
                        let _ = key.send(call);
                        let command = Command::Invite { call, target, account, offer, ring_for };
                        self.endpoint.handle_input(now(), Input::Command(command));
                    }
                    Some(Request::Stop { done }) => {
                        self.calls = None;
                        self.endpoint.handle_input(now(), Input::Command(Command::Stop));
                        stop = Some((done, now() + GOODBYE));
                    }
                    // Nobody can tell us anything any more.
                    None => break,
                },
                () = sleep_until(wake) => self.endpoint.handle_timeout(now()),
            }
        }
        self.connections.close().await;
        self.resolving.shutdown().await;
        if let Some((done, _)) = stop {
            // The one who waited may be gone.
            let _ = done.send(());
        }
    }

    /// Whether nothing of ours waits for an answer.
    fn is_quiet(&self) -> bool {
        self.endpoint.usage().sessions == 0
            && self
                .states
                .borrow()
                .values()
                .all(|state| matches!(state, RegistrationState::Unregistered | RegistrationState::Failed { .. }))
    }

    async fn take_datagram(&mut self, remote: SocketAddr, bytes: Vec<u8>) {
        match self.local_address(remote).await {
            Ok(local) => {
                let local = SocketAddr::new(local, self.listen.port());
                let flow = Flow { transport: Transport::Udp, local, remote };
                self.endpoint.handle_input(now(), Input::Message { flow, bytes });
            }
            Err(error) => tracing::debug!(%error, "a packet came from where there is no way back to"),
        }
    }

    async fn local_address(&mut self, remote: SocketAddr) -> io::Result<IpAddr> {
        if let Some((local, until)) = self.local_addresses.get(&remote.ip())
            && now() < *until
        {
            return Ok(*local);
        }
        let local = resolve::local_address(self.listen, remote).await?;
        if self.local_addresses.len() >= MAX_REMEMBERED {
            self.local_addresses.clear();
        }
        self.local_addresses.insert(remote.ip(), (local, now() + REMEMBERED_FOR));
        Ok(local)
    }

    async fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.transmit(flow, bytes).await,
                Output::Resolve { id, host, port, transport } => {
                    let listen = self.listen;
                    self.resolving.spawn(async move {
                        let flows = resolve::flows(&host, port, transport, listen).await.unwrap_or_else(|error| {
                            tracing::warn!(host, %error, "no address for a SIP host");
                            Vec::new()
                        });
                        Input::Resolved { id, flows }
                    });
                }
                Output::Event(Event::Session { call, event }) => self.session_event(call, event),
                Output::Event(Event::Message { .. }) => tracing::debug!("not there yet"),
                Output::Event(Event::Registration { account, state }) => {
                    self.states.send_modify(|states| {
                        states.insert(account, state);
                    });
                }
            }
        }
    }

    async fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        let failed = match flow.transport {
            Transport::Udp => self.udp.send_to(&bytes, flow.remote).await.err(),
            Transport::Tcp => self.connections.send(flow, bytes).err(),
            Transport::Tls => {
                Some(io::Error::new(io::ErrorKind::Unsupported, "TLS is not supported yet: use tcp or udp"))
            }
        };
        if let Some(error) = failed {
            tracing::debug!(peer.addr = %flow.remote, %error, "a SIP message could not be sent");
            self.endpoint.handle_input(now(), Input::FlowFailed { flow, error: error.to_string() });
        }
    }

    fn session_event(&mut self, key: CallKey, event: SessionEvent) {
        let over = matches!(event, SessionEvent::Ended { .. });
        if let SessionEvent::Incoming(incoming) = event {
            let (events, receiver) = mpsc::channel(CALL_QUEUE);
            let call = NewCall { key, incoming, events: receiver };
            if self.calls.as_ref().is_some_and(|calls| calls.try_send(call).is_ok()) {
                self.sessions.insert(key, events);
            } else {
                self.endpoint.handle_input(now(), Input::Command(Command::Reject { call: key, status: 503 }));
            }
            return;
        }
        if let Some(events) = self.sessions.get(&key)
            && let Err(error) = events.try_send((key, event))
        {
            // The call's task is gone, or hangs: either way nobody holds this session any more.
            tracing::debug!(%error, "a session has no call");
            self.sessions.remove(&key);
            if !over {
                self.endpoint.handle_input(now(), Input::Command(Command::Hangup { call: key }));
            }
        }
        if over {
            self.sessions.remove(&key);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::EndpointConfig;

    fn invite(call_id: &str, port: u16) -> String {
        format!(
            "INVITE sip:desk@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id}\r\n\
             From: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:desk@127.0.0.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@127.0.0.1:{port}>\r\n\r\n"
        )
    }

    /// Reads until there was a message with each of these beginnings, in any order.
    async fn receive_all(peer: &UdpSocket, mut starts: Vec<&str>) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        while !starts.is_empty() {
            let (length, _) = peer.recv_from(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]);
            starts.retain(|start| !text.starts_with(start));
        }
    }

    #[tokio::test]
    async fn stopping_refuses_a_call_that_nobody_took_and_ends_one_without_its_ack() {
        let config =
            EndpointConfig::new("test", "desk", 2);
        let listen = Listen { address: [127, 0, 0, 1].into(), port: 0 };
        let (sip, mut calls, task) = start(listen, Endpoint::new(config, [1; 32])).await.unwrap();
        let peer = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = peer.local_addr().unwrap().port();

        peer.send_to(invite("answered", port).as_bytes(), sip.listen()).await.unwrap();
        let answered = calls.recv().await.unwrap();
        sip.command(Command::Answer { call: answered.key, sdp: b"v=0\r\n".to_vec() }).await;
        receive_all(&peer, vec!["SIP/2.0 200"]).await;
        peer.send_to(invite("untaken", port).as_bytes(), sip.listen()).await.unwrap();
        receive_all(&peer, vec!["SIP/2.0 100"]).await;

        let stopping = tokio::spawn(async move { sip.stop().await });
        receive_all(&peer, vec!["SIP/2.0 480", "BYE"]).await;
        stopping.await.unwrap();
        task.await.unwrap();
        drop(answered);
        assert_eq!(calls.recv().await.map(|call| call.incoming.sip_call_id).as_deref(), Some("untaken"));
    }
}
