//! The task that owns the SIP endpoint and its sockets: datagrams and framed messages go in, what the endpoint wants sent
//! goes out, and each session's events go to the task of its call.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::connections::{Connections, Opened};
use super::listen::{MAX_DATAGRAM_BYTES, Sockets, accept, readable};
use super::names::Names;
use super::resolve::Resolver;
use super::routes::Routes;
use super::sip::{CALL_QUEUE, EventSender, NewCall, Request};
use super::stream::{Heard, PING, jittered};
use crate::clock::now;
use crate::sip::{
    AccountId, CallKey, Command, EndCause, Endpoint, Event, Flow, Incoming, Input, MessageId, Output,
    RegistrationState, ResolveId, SessionEvent, Transport,
};

/// Datagrams that are taken before anybody else has a turn.
const BATCH: usize = 64;
/// Answers of the resolver that wait for the endpoint.
const QUEUE: usize = 64;
/// Names that are looked up at once; others are not found.
const MAX_RESOLVING: usize = 256;
/// Peers whose local address is remembered.
const MAX_REMEMBERED: usize = 1_024;
/// How long an address is remembered: addresses and routes change while we run.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// After a connection that could not be accepted, such as for want of file descriptors: the next try is no better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said aloud that connections are refused: a flood must not flood the log.
const SAY_REFUSED: Duration = Duration::from_secs(60);
/// How often a registrar hears of us over UDP, at the most, so that a NAT keeps the way open (RFC 5626 §4.4.2: 24 to 29 s).
const UDP_KEEP_ALIVE: Duration = Duration::from_secs(29);
/// A wake-up for nothing, when nothing is due.
const NEVER: Duration = Duration::from_secs(86_400);

/// The ways between the task and the program.
pub(super) struct Queues {
    pub requests: mpsc::Receiver<Request>,
    pub heard: mpsc::Receiver<Heard>,
    pub calls: mpsc::Sender<NewCall>,
    pub states: watch::Sender<HashMap<AccountId, RegistrationState>>,
}

/// The answer to [`Output::Resolve`].
struct Found {
    id: ResolveId,
    host: String,
    for_account: bool,
    flows: Vec<Flow>,
}

pub(super) struct Shell {
    endpoint: Endpoint,
    udp: Vec<UdpSocket>,
    listeners: Vec<(Transport, TcpListener)>,
    routes: Routes,
    connections: Connections,
    resolver: Resolver,
    requests: mpsc::Receiver<Request>,
    heard: mpsc::Receiver<Heard>,
    found: (mpsc::Sender<Found>, mpsc::Receiver<Found>),
    resolving: JoinSet<()>,
    sessions: HashMap<CallKey, EventSender>,
    /// Who waits for the fate of a text.
    messages: HashMap<MessageId, oneshot::Sender<Result<(), EndCause>>>,
    next_message: u64,
    /// `None` once we stop: then no call is taken.
    calls: Option<mpsc::Sender<NewCall>>,
    states: watch::Sender<HashMap<AccountId, RegistrationState>>,
    /// Ours by the peer's, and until when that counts.
    local_addresses: HashMap<IpAddr, (IpAddr, Instant)>,
    names: Names,
    keep_alive_at: Option<Instant>,
    /// Until then refused connections are told to the debug log only.
    quiet_until: Option<Instant>,
}

impl Shell {
    pub fn new(
        endpoint: Endpoint,
        sockets: Sockets,
        routes: Routes,
        connections: Connections,
        resolver: Resolver,
        queues: Queues,
    ) -> Self {
        let Queues { requests, heard, calls, states } = queues;
        Shell {
            endpoint,
            udp: sockets.udp,
            listeners: sockets.listeners,
            routes,
            connections,
            resolver,
            requests,
            heard,
            found: mpsc::channel(QUEUE),
            resolving: JoinSet::new(),
            sessions: HashMap::new(),
            messages: HashMap::new(),
            next_message: 0,
            calls: Some(calls),
            states,
            local_addresses: HashMap::new(),
            names: Names::default(),
            keep_alive_at: None,
            quiet_until: None,
        }
    }

    pub async fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        let mut stop: Option<(oneshot::Sender<()>, Instant)> = None;
        let mut accept_at: Option<Instant> = None;
        let mut last_socket = 0;
        let mut alarm = pin!(tokio::time::sleep_until(now().into()));
        loop {
            self.drain().await;
            let stop_at = stop.as_ref().map(|(_, at)| *at);
            if let Some(at) = stop_at
                && (now() >= at || self.is_quiet())
            {
                break;
            }
            let due =
                [self.endpoint.poll_timeout(), stop_at, accept_at, self.keep_alive_at].into_iter().flatten().min();
            let due = due.unwrap_or_else(|| now() + NEVER).into();
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            tokio::select! {
                socket = readable(&self.udp, last_socket) => {
                    last_socket = socket;
                    self.take_datagrams(socket, &mut buffer).await;
                }
                (listener, accepted) = accept(&self.listeners), if accept_at.is_none() => match accepted {
                    Ok((stream, remote)) => self.accept(listener, stream, remote),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        accept_at = Some(now() + ACCEPT_PAUSE);
                    }
                },
                Some(heard) = self.heard.recv() => self.hear(heard),
                Some(Found { id, host, for_account, flows }) = self.found.1.recv() => {
                    self.learn_names(&host, for_account, &flows);
                    self.endpoint.handle_input(now(), Input::Resolved { id, flows });
                }
                request = self.requests.recv() => match request {
                    Some(Request::Stop { patience, done }) => {
                        self.calls = None;
                        self.endpoint.handle_input(now(), Input::Command(Command::Stop));
                        stop = Some((done, now() + patience));
                    }
                    Some(request) => self.on_request(request),
                    // Nobody can tell us anything any more.
                    None => break,
                },
                () = alarm.as_mut() => {
                    let now = now();
                    accept_at = accept_at.filter(|at| now < *at);
                    if self.keep_alive_at.is_some_and(|at| at <= now) {
                        self.keep_registrars(now).await;
                    }
                    if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
                        self.endpoint.handle_timeout(now);
                    }
                }
            }
        }
        let usage = self.endpoint.usage();
        tracing::info!(
            sip.sessions = usage.sessions,
            sip.transactions = usage.transactions,
            sip.dialogs = usage.dialogs,
            sip.dropped = usage.dropped,
            sip.overloaded = usage.overloaded,
            "the SIP endpoint ends"
        );
        // Connections that still have something to say are not waited for.
        drop(self.heard);
        self.connections.close().await;
        self.resolving.shutdown().await;
        if let Some((done, _)) = stop {
            // The one who waited may be gone.
            let _ = done.send(());
        }
    }

    /// Whether nothing of ours waits for an answer.
    fn is_quiet(&self) -> bool {
        let is_over = |state: &RegistrationState| matches!(state, RegistrationState::Unregistered);
        self.endpoint.usage().sessions == 0 && self.states.borrow().values().all(is_over)
    }

    fn on_request(&mut self, request: Request) {
        let command = match request {
            Request::Command(command) => command,
            Request::Invite { target, account, offer, ring_for, events, key } => {
                let call = self.endpoint.next_call_key();
                self.sessions.insert(call, events);
                // The one who asked may be gone; then the events find nobody and the call ends.
                let _ = key.send(call);
                Command::Invite { call, target, account, offer, ring_for }
            }
            Request::AcceptTransfer { call, offer, key } => {
                // Without the call the key is dropped, which tells it.
                let Some(events) = self.sessions.get(&call).cloned() else { return };
                let new_call = self.endpoint.next_call_key();
                self.sessions.insert(new_call, events);
                let _ = key.send(new_call);
                Command::AcceptTransfer { call, new_call, offer }
            }
            Request::Message { account, target, text, result } => {
                let id = MessageId(self.next_message);
                self.next_message += 1;
                self.messages.insert(id, result);
                Command::Message { id, account, target, text }
            }
            Request::Stop { .. } => Command::Stop,
        };
        self.endpoint.handle_input(now(), Input::Command(command));
    }

    /// Takes what has come, but no more than a bounded number at once.
    async fn take_datagrams(&mut self, socket: usize, buffer: &mut [u8]) {
        let now = now();
        for _ in 0..BATCH {
            let received = match self.udp.get(socket) {
                Some(udp) => udp.try_recv_from(buffer),
                None => return,
            };
            match received {
                Ok((length, remote)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    // A keep-alive.
                    if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | b' ' | 0)) {
                        continue;
                    }
                    match self.local_address(now, socket, remote.ip()) {
                        Ok(local) => {
                            let local = SocketAddr::new(local, self.routes.port(Transport::Udp));
                            let flow = Flow { transport: Transport::Udp, local, remote };
                            self.endpoint.handle_input(now, Input::Message { flow, bytes: bytes.to_vec() });
                            self.drain().await;
                        }
                        Err(error) => tracing::debug!(%error, "a packet came from where there is no way back to"),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Linux reports an ICMP error of an earlier packet here; which one, it does not say.
                Err(error) => tracing::debug!(%error, "UDP receive failed"),
            }
        }
    }

    /// Ours as the peer sees it who has reached this socket.
    fn local_address(&mut self, now: Instant, socket: usize, remote: IpAddr) -> io::Result<IpAddr> {
        match self.routes.bound.get(socket) {
            Some(bound) if !bound.ip().is_unspecified() => return Ok(self.routes.seen_from(remote, bound.ip())),
            _ => {}
        }
        if let Some((local, until)) = self.local_addresses.get(&remote)
            && now < *until
        {
            return Ok(*local);
        }
        let local = self.routes.address(remote)?;
        if self.local_addresses.len() >= MAX_REMEMBERED {
            self.local_addresses.clear();
        }
        self.local_addresses.insert(remote, (local, now + REMEMBERED_FOR));
        Ok(local)
    }

    fn accept(&mut self, listener: usize, stream: TcpStream, remote: SocketAddr) {
        let Some((transport, _)) = self.listeners.get(listener) else { return };
        let local = match stream.local_addr() {
            Ok(local) => self.routes.seen_from(remote.ip(), local.ip()),
            Err(error) => return tracing::debug!(%error, "a connection was gone at once"),
        };
        let local = SocketAddr::new(local, self.routes.port(*transport));
        let flow = Flow { transport: *transport, local, remote };
        let now = now();
        match self.connections.accept(now, stream, flow) {
            Ok(opened) => self.made_room(opened),
            Err(error) if self.quiet_until.is_some_and(|until| now < until) => {
                tracing::debug!(peer.addr = %remote, %error, "a connection was refused");
            }
            Err(error) => {
                self.quiet_until = Some(now + SAY_REFUSED);
                tracing::warn!(peer.addr = %remote, %error, "connections are refused");
            }
        }
    }

    fn made_room(&mut self, opened: Opened) {
        if let Some(flow) = opened.closed {
            let error = "it made room for another connection".to_owned();
            self.endpoint.handle_input(now(), Input::FlowFailed { flow, error });
        }
    }

    fn hear(&mut self, heard: Heard) {
        let now = now();
        match heard {
            Heard::Message { flow, bytes } => {
                self.connections.spoke(now, &flow);
                self.endpoint.handle_input(now, Input::Message { flow, bytes });
            }
            Heard::Closed { flow, id, error } => {
                if self.connections.closed(&flow, id) {
                    self.endpoint.handle_input(now, Input::FlowFailed { flow, error });
                }
            }
        }
    }

    async fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.transmit(flow, bytes).await,
                Output::Resolve { id, host, port, transport, for_account } => {
                    self.resolve(id, host, port, transport, for_account);
                }
                Output::Event(Event::Session { call, event }) => self.session_event(call, event),
                Output::Event(Event::Message { id, result }) => {
                    if let Some(waiting) = self.messages.remove(&id) {
                        // The one who waited may be gone.
                        let _ = waiting.send(result);
                    }
                }
                Output::Event(Event::Registration { account, state }) => {
                    if matches!(state, RegistrationState::Registered { .. }) && self.keep_alive_at.is_none() {
                        self.keep_alive_at = Some(now() + jittered(UDP_KEEP_ALIVE));
                    }
                    self.states.send_modify(|states| {
                        states.insert(account, state);
                    });
                    self.connections.registered_at(self.registrars());
                }
            }
        }
    }

    async fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        let sent = match flow.transport {
            Transport::Udp => self.send_datagram(&flow, &bytes).await,
            Transport::Tcp | Transport::Tls => {
                let host = || self.names.of(flow.remote);
                let source = self.routes.source_of(&flow);
                self.connections.send(now(), flow, source, host, bytes).map(|opened| self.made_room(opened))
            }
        };
        if let Err(error) = sent {
            tracing::debug!(peer.addr = %flow.remote, %error, "a SIP message could not be sent");
            self.endpoint.handle_input(now(), Input::FlowFailed { flow, error: error.to_string() });
        }
    }

    async fn send_datagram(&self, flow: &Flow, bytes: &[u8]) -> io::Result<()> {
        let socket = self.routes.socket(flow).and_then(|at| self.udp.get(at));
        let socket = socket.ok_or_else(|| io::Error::other("no socket leads there"))?;
        match socket.try_send_to(bytes, flow.remote) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.send_to(bytes, flow.remote).await.map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// Sends a keep-alive to each registrar in use that is reached over UDP; connections keep themselves alive.
    async fn keep_registrars(&mut self, now: Instant) {
        let registrars = self.registrars();
        for (_, registrar) in registrars.iter().filter(|(transport, _)| *transport == Transport::Udp) {
            let sent = match self.routes.flow(Transport::Udp, *registrar) {
                Ok(flow) => self.send_datagram(&flow, PING).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::debug!(peer.addr = %registrar, %error, "a keep-alive could not be sent");
            }
        }
        self.keep_alive_at = (!registrars.is_empty()).then(|| now + jittered(UDP_KEEP_ALIVE));
    }

    fn resolve(
        &mut self,
        id: ResolveId,
        host: String,
        port: Option<u16>,
        transport: Option<Transport>,
        for_account: bool,
    ) {
        if let Some(flow) = self.resolver.numeric(&host, port, transport) {
            let flows = flow.map(|flow| vec![flow]).unwrap_or_else(|error| unknown(&host, for_account, &error));
            self.learn_names(&host, for_account, &flows);
            return self.endpoint.handle_input(now(), Input::Resolved { id, flows });
        }
        while self.resolving.try_join_next().is_some() {}
        if self.resolving.len() >= MAX_RESOLVING {
            let flows = unknown(&host, for_account, &io::Error::other("too many names are looked up at once"));
            return self.endpoint.handle_input(now(), Input::Resolved { id, flows });
        }
        let (resolver, found) = (self.resolver.clone(), self.found.0.clone());
        self.resolving.spawn(async move {
            let flows = resolver.flows(&host, port, transport).await;
            let flows = flows.unwrap_or_else(|error| unknown(&host, for_account, &error));
            // The endpoint may be gone.
            let _ = found.send(Found { id, host, for_account, flows }).await;
        });
    }

    fn learn_names(&mut self, host: &str, for_account: bool, flows: &[Flow]) {
        let connections = &self.connections;
        let ended = self.names.learn(host, for_account, flows, |flow| connections.is_open(flow));
        for flow in ended {
            self.connections.end(&flow);
            let error = "it was made for another name".to_owned();
            self.endpoint.handle_input(now(), Input::FlowFailed { flow, error });
        }
    }

    /// The registrars that know us.
    fn registrars(&self) -> BTreeSet<(Transport, SocketAddr)> {
        let place = |state: &RegistrationState| match state {
            RegistrationState::Registered { registrar, transport, .. } => Some((*transport, *registrar)),
            _ => None,
        };
        self.states.borrow().values().filter_map(place).collect()
    }

    fn session_event(&mut self, key: CallKey, event: SessionEvent) {
        let over = matches!(event, SessionEvent::Ended { .. });
        match &event {
            SessionEvent::Incoming(incoming) => self.connections.call_goes_over(key, incoming.flow),
            SessionEvent::EarlyMedia { flow, .. } | SessionEvent::Answered { flow, .. } => {
                self.connections.call_goes_over(key, *flow);
            }
            SessionEvent::Ended { .. } => self.connections.call_ended(key),
            _ => {}
        }
        if let SessionEvent::Incoming(incoming) = event {
            return self.incoming(key, incoming);
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

    fn incoming(&mut self, key: CallKey, incoming: Box<Incoming>) {
        // Who takes the place of a call goes to whoever has that call.
        if let Some(events) = incoming.replaces.and_then(|old| self.sessions.get(&old)).cloned() {
            self.sessions.insert(key, events.clone());
            if events.try_send((key, SessionEvent::Incoming(incoming))).is_err() {
                self.sessions.remove(&key);
                self.endpoint
                    .handle_input(now(), Input::Command(Command::Reject { call: key, status: 503, retry_after: None }));
            }
            return;
        }
        let (events, receiver) = mpsc::channel(CALL_QUEUE);
        let call = NewCall { key, incoming, events: receiver };
        if self.calls.as_ref().is_some_and(|calls| calls.try_send(call).is_ok()) {
            self.sessions.insert(key, events);
        } else {
            self.endpoint
                .handle_input(now(), Input::Command(Command::Reject { call: key, status: 503, retry_after: None }));
        }
    }
}

/// Says why there is no way to a host: aloud only of an account's, for others may name what they like.
fn unknown(host: &str, for_account: bool, error: &io::Error) -> Vec<Flow> {
    match for_account {
        true => tracing::warn!(host, %error, "no way to a SIP host"),
        false => tracing::debug!(host, %error, "no way to a SIP host"),
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::dns::Dns;
    use super::super::listen::{Listen, TlsSettings};
    use super::super::stream::StreamLimits;
    use super::super::tls::Tls;
    use super::*;
    use crate::sip::EndpointConfig;

    /// A shell that does not run, and what its calls come through.
    fn shell() -> (Shell, mpsc::Receiver<NewCall>) {
        let sockets = Sockets::bind(&Listen::on([127, 0, 0, 1].into(), 0), false).unwrap();
        let routes = Routes { bound: sockets.bound.clone(), tls_port: sockets.tls_port, public: None };
        let (heard, heard_rx) = mpsc::channel(8);
        let (calls, calls_rx) = mpsc::channel(8);
        let tls = Tls::new(&TlsSettings::default()).unwrap();
        let queues =
            Queues { requests: mpsc::channel(1).1, heard: heard_rx, calls, states: watch::channel(HashMap::new()).0 };
        let connections = Connections::new(heard, tls, StreamLimits::default());
        let resolver = Resolver::new(Dns::of_server(([127, 0, 0, 1], 9).into()), routes.clone());
        let endpoint = Endpoint::new(EndpointConfig::new("test", "desk", 8), [1; 32]);
        (Shell::new(endpoint, sockets, routes, connections, resolver, queues), calls_rx)
    }

    /// A call as the endpoint tells of it, in the place of `replaces`.
    fn incoming(shell: &mut Shell, replaces: Option<CallKey>) -> (CallKey, SessionEvent) {
        let invite = "INVITE sip:desk@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa\r\n\
                      Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:desk@127.0.0.1>\r\nCall-ID: a\r\n\
                      CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n";
        let flow = shell.routes.flow(Transport::Udp, ([127, 0, 0, 1], 9).into()).unwrap();
        shell.endpoint.handle_input(now(), Input::Message { flow, bytes: invite.into() });
        while let Some(output) = shell.endpoint.poll_output() {
            if let Output::Event(Event::Session { call, event: SessionEvent::Incoming(mut incoming) }) = output {
                incoming.replaces = replaces;
                return (call, SessionEvent::Incoming(incoming));
            }
        }
        panic!("the call comes in");
    }

    #[tokio::test]
    async fn who_takes_the_place_of_a_call_comes_to_whoever_has_it() {
        let (mut shell, mut calls) = shell();
        let (events, mut of_old) = mpsc::channel(8);
        let old = CallKey(99);
        shell.sessions.insert(old, events);
        let (new, event) = incoming(&mut shell, Some(old));
        shell.session_event(new, event);
        assert!(matches!(of_old.recv().await, Some((key, SessionEvent::Incoming(_))) if key == new));
        shell.session_event(new, SessionEvent::Established { sdp: None });
        shell.session_event(old, SessionEvent::Ended { cause: EndCause::Replaced });
        assert!(matches!(of_old.recv().await, Some((key, SessionEvent::Established { .. })) if key == new));
        assert!(matches!(of_old.recv().await, Some((key, SessionEvent::Ended { .. })) if key == old));
        assert!(shell.sessions.contains_key(&new) && !shell.sessions.contains_key(&old));
        assert!(calls.try_recv().is_err());
    }

    #[tokio::test]
    async fn who_takes_the_place_of_nobody_is_a_new_call() {
        let (mut shell, mut calls) = shell();
        let (new, event) = incoming(&mut shell, Some(CallKey(99)));
        shell.session_event(new, event);
        assert_eq!(calls.recv().await.unwrap().key, new);
    }

    #[tokio::test]
    async fn the_call_of_a_transfer_comes_with_the_one_that_asked_for_it() {
        let (mut shell, _calls) = shell();
        let (events, mut received) = mpsc::channel(8);
        shell.sessions.insert(CallKey(99), events);
        let (key, new) = oneshot::channel();
        shell.on_request(Request::AcceptTransfer { call: CallKey(99), offer: Vec::new(), key });
        let new = new.await.unwrap();
        shell.session_event(new, SessionEvent::Ringing);
        assert_eq!(received.recv().await, Some((new, SessionEvent::Ringing)));
    }

    #[tokio::test]
    async fn registrars_in_use_are_kept_awake_and_others_are_not() {
        let (mut shell, _calls) = shell();
        let registrar = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let address = registrar.local_addr().unwrap();
        // Somebody there has made a connection to us: that is not how the registrar knows us.
        let (transport, seen_as) = (Transport::Udp, address);
        let other = TcpListener::bind(address).await.unwrap();
        let flow = shell.routes.flow(Transport::Tcp, other.local_addr().unwrap()).unwrap();
        shell.transmit(flow, PING.to_vec()).await;
        let state = RegistrationState::Registered { until: now(), registrar: address, transport, seen_as };
        shell.states.send_modify(|states| drop(states.insert(AccountId(0), state)));
        shell.keep_registrars(now()).await;
        let mut buffer = [0; 8];
        let (length, from) = registrar.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (PING, shell.routes.bound[0]));
        assert!(shell.keep_alive_at.is_some());
        shell.states.send_modify(|states| drop(states.insert(AccountId(0), RegistrationState::Unregistered)));
        shell.keep_registrars(now()).await;
        assert!(shell.keep_alive_at.is_none());
    }
}
