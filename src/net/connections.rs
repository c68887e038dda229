//! The connections of SIP over TCP and TLS: one a flow, used both ways by whichever side opened it (RFC 5923 in spirit),
//! bounded in all and for each source. When our own address changes, the flow is another, so that a connection which lost
//! its address is not used again.
//!
//! When there are too many, the one that nobody misses makes room: first those whose peer has not said anything yet, then
//! the longest quiet, and those that we opened last; never one over which a call came or was answered, nor the one to a
//! registrar that knows us: else a flood that keeps talking would end them. Left out: the alias of RFC 5923, since without
//! a client certificate anybody could claim one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::stream::{Heard, Link, StreamLimits};
use super::tls::Tls;
use crate::sip::{CallKey, Flow, Transport, network_of};

/// Messages that wait for one connection.
const QUEUE: usize = 32;
/// What we sent and the peer's machine does not acknowledge for so long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// For what is still to be written at the end.
const FAREWELL: Duration = Duration::from_millis(20);

pub(super) struct Connections {
    heard: mpsc::Sender<Heard>,
    tls: Tls,
    limits: StreamLimits,
    open: HashMap<Flow, Connection>,
    /// Those that calls came or were answered over.
    calls: HashMap<CallKey, Flow>,
    /// Where we are registered.
    registrars: BTreeSet<(Transport, SocketAddr)>,
    tasks: JoinSet<()>,
    next_id: u64,
}

struct Connection {
    id: u64,
    messages: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
    ours: bool,
    /// The peer has sent a whole message.
    spoken: bool,
    /// The last message either way.
    used: Instant,
}

/// A new connection, and the one that had to make room for it.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub closed: Option<Flow>,
}

impl Connections {
    pub fn new(heard: mpsc::Sender<Heard>, tls: Tls, limits: StreamLimits) -> Self {
        Self {
            heard,
            tls,
            limits,
            open: HashMap::new(),
            calls: HashMap::new(),
            registrars: BTreeSet::new(),
            tasks: JoinSet::new(),
            next_id: 0,
        }
    }

    /// Takes a connection that a peer has opened.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn accept(&mut self, now: Instant, stream: TcpStream, flow: Flow) -> io::Result<Opened> {
        tune(&stream);
        let network = network_of(flow.remote.ip());
        let is_his =
            |(other, connection): &(&Flow, &Connection)| !connection.ours && network_of(other.remote.ip()) == network;
        let opened = if self.open.iter().filter(is_his).count() >= self.limits.per_source {
            // A peer whose line is bad may come again before we know that he is gone; a flood hurts but itself.
            let victim = self.open.iter().filter(is_his).filter(|(_, c)| !c.spoken).min_by_key(|(_, c)| c.used);
            let victim = victim.map(|(flow, _)| *flow).ok_or_else(|| io::Error::other("too many from one source"))?;
            self.end(&victim);
            Opened { closed: Some(victim) }
        } else {
            self.make_room(now)?
        };
        let tls = self.tls.clone();
        self.open(now, flow, false, |mut link| async move {
            let ended = match flow.transport {
                Transport::Tls => match timeout(link.limits.handshake, tls.accept(stream, flow.remote.ip())).await {
                    Ok(Ok(stream)) => link.serve(stream).await,
                    Ok(Err(error)) => Some(error),
                    Err(_) => Some("no TLS handshake in time".to_owned()),
                },
                _ => link.serve(stream).await,
            };
            if let Some(error) = ended {
                link.close(error).await;
            }
        });
        Ok(opened)
    }

    /// Sends over the connection to the flow's peer; makes one when there is none, from the address `source` of ours. For
    /// TLS, `host` is who he should be.
    ///
    /// # Errors
    /// When the connection takes no more. That a new one cannot be made is told later, by [`Heard::Closed`].
    pub fn send(
        &mut self,
        now: Instant,
        flow: Flow,
        source: Option<IpAddr>,
        host: impl FnOnce() -> String,
        bytes: Vec<u8>,
    ) -> io::Result<Opened> {
        let mut opened = Opened::default();
        if self.open.get(&flow).is_none_or(|connection| connection.messages.is_closed()) {
            opened = self.make_room(now)?;
            let tls = self.tls.clone();
            let host = host();
            self.open(now, flow, true, |mut link| async move {
                let stream = match timeout(link.limits.connect, connect(flow.remote, source)).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return link.close(error.to_string()).await,
                    Err(_) => return link.close("no connection in time".to_owned()).await,
                };
                let ended = match flow.transport {
                    Transport::Tls => match timeout(link.limits.handshake, tls.connect(stream, &host)).await {
                        Ok(Ok(stream)) => link.serve(stream).await,
                        Ok(Err(error)) => {
                            tracing::warn!(peer.addr = %flow.remote, "{error}");
                            Some(error)
                        }
                        Err(_) => Some(format!("{host} does not finish the TLS handshake")),
                    },
                    _ => link.serve(stream).await,
                };
                if let Some(error) = ended {
                    link.close(error).await;
                }
            });
        }
        let connection = self.open.get_mut(&flow).ok_or_else(|| io::Error::other("no connection"))?;
        connection.used = now;
        connection.messages.try_send(bytes).map_err(|_| io::Error::other("the connection does not keep up"))?;
        Ok(opened)
    }

    /// The peer has sent a message.
    pub fn spoke(&mut self, now: Instant, flow: &Flow) {
        if let Some(connection) = self.open.get_mut(flow) {
            connection.spoken = true;
            connection.used = now;
        }
    }

    /// A connection has ended; whether its flow is gone with it, and no newer connection in its place.
    pub fn closed(&mut self, flow: &Flow, id: u64) -> bool {
        // What has ended is no task any more.
        while self.tasks.try_join_next().is_some() {}
        if self.open.get(flow).is_some_and(|connection| connection.id == id) {
            self.open.remove(flow);
        }
        !self.open.contains_key(flow)
    }

    /// Whether the flow has a connection.
    pub fn is_open(&self, flow: &Flow) -> bool {
        self.open.contains_key(flow)
    }

    /// A call goes over that flow, until [`Connections::call_ended`].
    pub fn call_goes_over(&mut self, call: CallKey, flow: Flow) {
        self.calls.insert(call, flow);
    }

    pub fn call_ended(&mut self, call: CallKey) {
        self.calls.remove(&call);
    }

    /// All registrars that know us.
    pub fn registered_at(&mut self, registrars: BTreeSet<(Transport, SocketAddr)>) {
        self.registrars = registrars;
    }

    /// Lets the writers finish what they have, and ends all connections.
    pub async fn close(mut self) {
        self.open.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    fn make_room(&mut self, now: Instant) -> io::Result<Opened> {
        while self.tasks.try_join_next().is_some() {}
        if self.open.len() < self.limits.connections {
            return Ok(Opened::default());
        }
        let quiet = self.limits.quiet;
        let in_calls: HashSet<&Flow> = self.calls.values().collect();
        let is_needed =
            |flow: &Flow| in_calls.contains(flow) || self.registrars.contains(&(flow.transport, flow.remote));
        let spare = self.open.iter().filter(|(_, c)| !c.spoken && !c.ours || now >= c.used + quiet);
        let spare = spare.filter(|(flow, _)| !is_needed(flow));
        let victim = spare.min_by_key(|(_, c)| (c.ours, c.spoken, c.used)).map(|(flow, _)| *flow);
        let victim = victim.ok_or_else(|| io::Error::other("there are too many connections"))?;
        self.end(&victim);
        Ok(Opened { closed: Some(victim) })
    }

    /// Ends the connection at once; nothing is told of it.
    pub fn end(&mut self, flow: &Flow) {
        if let Some(connection) = self.open.remove(flow) {
            tracing::debug!(peer.addr = %flow.remote, "a connection has to end");
            connection.task.abort();
        }
    }

    fn open<F>(&mut self, now: Instant, flow: Flow, ours: bool, run: impl FnOnce(Link) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = self.next_id;
        self.next_id += 1;
        let (sender, messages) = mpsc::channel(QUEUE);
        let link = Link { flow, id, ours, limits: self.limits.clone(), heard: self.heard.clone(), messages };
        let task = self.tasks.spawn(run(link));
        let connection = Connection { id, messages: sender, task, ours, spoken: false, used: now };
        if let Some(old) = self.open.insert(flow, connection) {
            old.task.abort();
        }
    }
}

async fn connect(remote: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(remote).await?;
    tune(&stream);
    Ok(stream)
}

/// Neither is needed for the connection to work.
fn tune(stream: &TcpStream) {
    let tuned =
        stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a TCP connection could not be tuned");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::listen::TlsSettings;
    use super::*;
    use crate::clock::now;

    const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    struct Near {
        listener: TcpListener,
        connections: Connections,
        heard: mpsc::Receiver<Heard>,
    }

    impl Near {
        async fn new(limits: StreamLimits) -> Self {
            let (heard, receiver) = mpsc::channel(64);
            let tls = Tls::new(&TlsSettings::default()).unwrap();
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            Near { listener, connections: Connections::new(heard, tls, limits), heard: receiver }
        }

        /// A peer opens a connection.
        async fn opened(&mut self) -> (TcpStream, Flow, io::Result<Opened>) {
            let local = self.listener.local_addr().unwrap();
            let (peer, accepted) = tokio::join!(TcpStream::connect(local), self.listener.accept());
            let (stream, remote) = accepted.unwrap();
            let flow = Flow { transport: Transport::Tcp, local, remote };
            let opened = self.connections.accept(now(), stream, flow);
            (peer.unwrap(), flow, opened)
        }

        async fn hear(&mut self) -> Flow {
            match self.heard.recv().await.unwrap() {
                Heard::Message { flow, .. } => {
                    self.connections.spoke(now(), &flow);
                    flow
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn requests_to_a_peer_go_over_the_connection_that_he_opened() {
        let mut near = Near::new(StreamLimits::default()).await;
        let (mut peer, flow, opened) = near.opened().await;
        assert_eq!(opened.unwrap().closed, None);
        peer.write_all(OPTIONS).await.unwrap();
        assert_eq!(near.hear().await, flow);
        near.connections.send(now(), flow, None, String::new, OPTIONS.to_vec()).unwrap();
        let mut got = vec![0; OPTIONS.len()];
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, OPTIONS);
        assert!(near.connections.is_open(&flow));
        drop(peer);
        let Some(Heard::Closed { flow, id, .. }) = near.heard.recv().await else { panic!("it has ended") };
        assert!(near.connections.closed(&flow, id));
    }

    #[tokio::test]
    async fn one_source_has_a_bound_and_what_said_nothing_makes_room_first() {
        let mut near = Near::new(StreamLimits { per_source: 2, ..StreamLimits::default() }).await;
        let (mut first, ..) = near.opened().await;
        first.write_all(OPTIONS).await.unwrap();
        let spoken = near.hear().await;
        let (_silent, silent_flow, _) = near.opened().await;
        let (mut third, third_flow, opened) = near.opened().await;
        assert_eq!(opened.unwrap().closed, Some(silent_flow));
        third.write_all(OPTIONS).await.unwrap();
        assert_eq!(near.hear().await, third_flow);
        let (mut refused, _, opened) = near.opened().await;
        assert!(opened.unwrap_err().to_string().contains("one source"));
        assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0, "it is closed");
        assert!(near.connections.is_open(&spoken));
    }

    #[tokio::test]
    async fn when_full_the_oldest_quiet_connection_makes_room_for_ours() {
        let limits = StreamLimits { connections: 2, quiet: Duration::ZERO, ..StreamLimits::default() };
        let mut near = Near::new(limits).await;
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (mut peer, ..) = near.opened().await;
            peer.write_all(OPTIONS).await.unwrap();
            peers.push((near.hear().await, peer));
        }
        let registrar = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let remote = registrar.local_addr().unwrap();
        let flow = Flow { transport: Transport::Tcp, local: ([127, 0, 0, 1], 5060).into(), remote };
        let opened = near.connections.send(now(), flow, None, String::new, OPTIONS.to_vec()).unwrap();
        assert_eq!(opened.closed, Some(peers[0].0));
        let (mut stream, _) = registrar.accept().await.unwrap();
        let mut got = vec![0; OPTIONS.len()];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, OPTIONS);
    }

    #[tokio::test]
    async fn connections_of_calls_and_to_registrars_make_no_room() {
        let limits = StreamLimits { connections: 3, quiet: Duration::ZERO, ..StreamLimits::default() };
        let mut near = Near::new(limits).await;
        let registrar = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let remote = registrar.local_addr().unwrap();
        let registered = Flow { transport: Transport::Tcp, local: ([127, 0, 0, 1], 5060).into(), remote };
        near.connections.send(now(), registered, None, String::new, OPTIONS.to_vec()).unwrap();
        near.connections.registered_at([(Transport::Tcp, remote)].into());
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (mut peer, ..) = near.opened().await;
            peer.write_all(OPTIONS).await.unwrap();
            peers.push((near.hear().await, peer));
        }
        near.connections.call_goes_over(CallKey(1), peers[0].0);
        // Flood: each newcomer takes the place of the last, though all others are quiet for longer.
        let (_second, second, opened) = near.opened().await;
        assert_eq!(opened.unwrap().closed, Some(peers[1].0));
        near.connections.call_goes_over(CallKey(2), second);
        let (_third, _, opened) = near.opened().await;
        assert!(opened.unwrap_err().to_string().contains("too many connections"));
        near.connections.call_ended(CallKey(1));
        let (_fourth, _, opened) = near.opened().await;
        assert_eq!(opened.unwrap().closed, Some(peers[0].0));
        assert!(near.connections.is_open(&registered));
    }

    #[tokio::test]
    async fn when_all_are_busy_a_newcomer_is_refused() {
        let mut near = Near::new(StreamLimits { connections: 1, ..StreamLimits::default() }).await;
        let (mut peer, ..) = near.opened().await;
        peer.write_all(OPTIONS).await.unwrap();
        near.hear().await;
        let (_second, _, opened) = near.opened().await;
        assert!(opened.unwrap_err().to_string().contains("too many connections"));
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_made_is_told() {
        let mut near = Near::new(StreamLimits::default()).await;
        let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        let flow = Flow { transport: Transport::Tcp, local: ([127, 0, 0, 1], 5060).into(), remote: gone };
        near.connections.send(now(), flow, None, String::new, OPTIONS.to_vec()).unwrap();
        match near.heard.recv().await.unwrap() {
            Heard::Closed { flow: closed, error, .. } => {
                assert_eq!(closed, flow);
                assert!(error.contains("refused"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
