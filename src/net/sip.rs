//! SIP for the rest of the program: the handle through which it commands the endpoint and hears of calls. The task behind
//! it is in `shell`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::connections::Connections;
use super::dns::Dns;
use super::listen::{Listen, Sockets};
use super::resolve::Resolver;
use super::routes::Routes;
use super::shell::{Queues, Shell};
use super::stream::StreamLimits;
use super::tls::Tls;
use crate::sip::{AccountId, CallKey, Command, EndCause, Endpoint, Incoming, RegistrationState, SessionEvent};

/// Events of one session that wait for its call.
pub(super) const CALL_QUEUE: usize = 32;
/// Commands, messages and addresses that wait for the endpoint.
const QUEUE: usize = 256;
/// The most calls that wait for their task.
const MAX_NEW_CALLS: usize = 4_096;

/// How long [`SipHandle::stop`] waits when somebody is waiting for us.
pub const AT_ONCE: Duration = Duration::from_millis(60);
/// How long [`SipHandle::stop`] waits when there is time: enough for a repeated request.
pub const AT_LEISURE: Duration = Duration::from_secs(2);

/// The events of calls; those of a call and of one that takes its place or follows it come together.
pub type Events = mpsc::Receiver<(CallKey, SessionEvent)>;
pub(super) type EventSender = mpsc::Sender<(CallKey, SessionEvent)>;

/// A call that has come in: its first event and those to come.
#[derive(Debug)]
pub struct NewCall {
    pub key: CallKey,
    pub incoming: Box<Incoming>,
    pub events: Events,
}

/// The way to the endpoint for the rest of the program.
#[derive(Debug, Clone)]
pub struct SipHandle {
    requests: mpsc::Sender<Request>,
    registrations: watch::Receiver<HashMap<AccountId, RegistrationState>>,
    listen: SocketAddr,
    tls_port: Option<u16>,
}

#[derive(Debug)]
pub(super) enum Request {
    Command(Command),
    /// Call somebody.
    Invite {
        target: String,
        account: Option<AccountId>,
        offer: Vec<u8>,
        ring_for: Duration,
        events: EventSender,
        key: oneshot::Sender<CallKey>,
    },
    /// Follow a transfer.
    AcceptTransfer {
        call: CallKey,
        offer: Vec<u8>,
        key: oneshot::Sender<CallKey>,
    },
    /// Write to somebody.
    Message {
        account: Option<AccountId>,
        target: String,
        text: String,
        result: oneshot::Sender<Result<(), EndCause>>,
    },
    Stop {
        patience: Duration,
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
    ) -> Option<(CallKey, Events)> {
        let (events, receiver) = mpsc::channel(CALL_QUEUE);
        let (key, key_rx) = oneshot::channel();
        self.requests.send(Request::Invite { target, account, offer, ring_for, events, key }).await.ok()?;
        Some((key_rx.await.ok()?, receiver))
    }

    /// Follows [`SessionEvent::TransferRequested`] of a call; see [`Command::AcceptTransfer`]. The events of the new call
    /// come with those of `call`. `None` when there is no such call.
    pub async fn accept_transfer(&self, call: CallKey, offer: Vec<u8>) -> Option<CallKey> {
        let (key, key_rx) = oneshot::channel();
        self.requests.send(Request::AcceptTransfer { call, offer, key }).await.ok()?;
        key_rx.await.ok()
    }

    /// Writes a text to somebody and waits until it is delivered; see [`Command::Message`].
    ///
    /// # Errors
    /// Why it was not.
    pub async fn message(&self, account: Option<AccountId>, target: String, text: String) -> Result<(), EndCause> {
        let over = || EndCause::TransportFailed("the SIP endpoint has ended".to_owned());
        let (result, result_rx) = oneshot::channel();
        let request = Request::Message { account, target, text, result };
        self.requests.send(request).await.map_err(|_| over())?;
        result_rx.await.unwrap_or_else(|_| Err(over()))
    }

    /// The states of all registrations, as they change.
    pub fn registrations(&self) -> watch::Receiver<HashMap<AccountId, RegistrationState>> {
        self.registrations.clone()
    }

    /// Where the first of the sockets for UDP and TCP is bound; the others have the same port.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The port on which we take TLS, if we do.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// Ends all calls, unregisters, waits for the answers but no longer than `patience`, and ends the task.
    pub async fn stop(&self, patience: Duration) {
        let (done, ended) = oneshot::channel();
        if self.requests.send(Request::Stop { patience, done }).await.is_ok() {
            // An error means that the task is gone, which is what was wanted.
            let _ = ended.await;
        }
    }
}

/// Binds the sockets and starts the task.
///
/// # Errors
/// When a port is taken, an address is none of ours, or a file of TLS is of no use; says what to do.
pub async fn start(
    listen: Listen,
    endpoint: Endpoint,
) -> io::Result<(SipHandle, mpsc::Receiver<NewCall>, JoinHandle<()>)> {
    let tls = Tls::new(&listen.tls.clone().unwrap_or_default())?;
    let accepts_tls = tls.can_accept();
    let sockets = Sockets::bind(&listen, accepts_tls)?;
    let first = *sockets.bound.first().ok_or_else(|| io::Error::other("no address to listen on"))?;
    let tls_port = accepts_tls.then_some(sockets.tls_port);
    let routes = Routes { bound: sockets.bound.clone(), tls_port: sockets.tls_port, public: listen.public };
    let resolver = Resolver::new(Dns::of_system().map_err(io::Error::other)?, routes.clone());
    let (requests, requests_rx) = mpsc::channel(QUEUE);
    let (calls, calls_rx) = mpsc::channel(endpoint.max_calls().clamp(CALL_QUEUE, MAX_NEW_CALLS));
    let (states, registrations) = watch::channel(HashMap::new());
    let (heard, heard_rx) = mpsc::channel(QUEUE);
    let connections = Connections::new(heard, tls, StreamLimits::default());
    let queues = Queues { requests: requests_rx, heard: heard_rx, calls, states };
    let shell = Shell::new(endpoint, sockets, routes, connections, resolver, queues);
    let task = tokio::spawn(shell.run());
    Ok((SipHandle { requests, registrations, listen: first, tls_port }, calls_rx, task))
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::super::listen::MAX_DATAGRAM_BYTES;
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
    async fn stopping_with_patience_waits_for_the_answer_to_bye() {
        let config = EndpointConfig::new("test", "desk", 2);
        let (sip, mut calls, task) =
            start(Listen::on([127, 0, 0, 1].into(), 0), Endpoint::new(config, [1; 32])).await.unwrap();
        let peer = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = peer.local_addr().unwrap().port();
        peer.send_to(invite("one", port).as_bytes(), sip.listen()).await.unwrap();
        let call = calls.recv().await.unwrap();
        sip.command(Command::Answer { call: call.key, sdp: b"v=0\r\n".to_vec() }).await;
        receive_all(&peer, vec!["SIP/2.0 200"]).await;
        let address = sip.listen();
        let mut stopping = tokio::spawn(async move { sip.stop(Duration::from_secs(3600)).await });
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        let bye = loop {
            let (length, _) = peer.recv_from(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("BYE") {
                break text;
            }
        };
        // Without an answer it would go on for an hour; only one that does not wait can end here.
        assert!(tokio::time::timeout(AT_ONCE * 3, &mut stopping).await.is_err());
        let answer = format!("SIP/2.0 200 OK\r\n{}", bye.split_once("\r\n").unwrap().1);
        peer.send_to(answer.as_bytes(), address).await.unwrap();
        stopping.await.unwrap();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn stopping_refuses_a_call_that_nobody_took_and_ends_one_without_its_ack() {
        let config = EndpointConfig::new("test", "desk", 2);
        let listen = Listen::on([127, 0, 0, 1].into(), 0);
        let (sip, mut calls, task) = start(listen, Endpoint::new(config, [1; 32])).await.unwrap();
        let peer = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = peer.local_addr().unwrap().port();

        peer.send_to(invite("answered", port).as_bytes(), sip.listen()).await.unwrap();
        let answered = calls.recv().await.unwrap();
        sip.command(Command::Answer { call: answered.key, sdp: b"v=0\r\n".to_vec() }).await;
        receive_all(&peer, vec!["SIP/2.0 200"]).await;
        peer.send_to(invite("untaken", port).as_bytes(), sip.listen()).await.unwrap();
        receive_all(&peer, vec!["SIP/2.0 100"]).await;

        let stopping = tokio::spawn(async move { sip.stop(AT_ONCE).await });
        receive_all(&peer, vec!["SIP/2.0 480", "BYE"]).await;
        stopping.await.unwrap();
        task.await.unwrap();
        drop(answered);
        assert_eq!(calls.recv().await.map(|call| call.incoming.sip_call_id).as_deref(), Some("untaken"));
    }
}
