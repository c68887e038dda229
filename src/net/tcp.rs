//! SIP over TCP (RFC 3261 §18): one connection a flow, used both ways, closed when it is idle. When our own address
//! changes, the flow is another, so that a connection which lost its address is not used again.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::sip::message::{Frame, StreamFramer};
use crate::sip::{Flow, Input, Transport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one message, which is a few kilobytes: a peer that reads nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any refresh of a registration.
const IDLE_TIMEOUT: Duration = Duration::from_secs(900);
const MAX_CONNECTIONS: usize = 256;
/// Messages that wait for one connection.
const QUEUE: usize = 32;
const READ_BYTES: usize = 4_096;

pub(super) struct Connections {
    inbound: mpsc::Sender<Input>,
    listen_port: u16,
    writers: HashMap<Flow, mpsc::Sender<Vec<u8>>>,
    tasks: JoinSet<()>,
}

impl Connections {
    pub(super) fn new(inbound: mpsc::Sender<Input>, listen_port: u16) -> Self {
        Self { inbound, listen_port, writers: HashMap::new(), tasks: JoinSet::new() }
    }

    pub(super) fn accept(&mut self, stream: TcpStream, remote: SocketAddr) {
        let local = match stream.local_addr() {
            Ok(local) => SocketAddr::new(local.ip(), self.listen_port),
            Err(error) => return tracing::debug!(%error, "a TCP connection was gone at once"),
        };
        let flow = Flow { transport: Transport::Tcp, local, remote };
        let Some(messages) = self.register(flow) else {
            tracing::warn!(peer.addr = %remote, "a TCP connection was refused: there are {MAX_CONNECTIONS} already");
            return;
        };
        self.tasks.spawn(serve(stream, flow, messages, self.inbound.clone()));
    }

    fn register(&mut self, flow: Flow) -> Option<mpsc::Receiver<Vec<u8>>> {
        // Ended tasks are reaped, and writers whose reader is gone are forgotten.
        while self.tasks.try_join_next().is_some() {}
        self.writers.retain(|_, writer| !writer.is_closed());
        if self.writers.len() >= MAX_CONNECTIONS {
            return None;
        }
        let (writer, messages) = mpsc::channel(QUEUE);
        self.writers.insert(flow, writer);
        Some(messages)
    }

    /// Sends over the connection to the flow's peer; makes one when there is none.
    ///
    /// # Errors
    /// When the connection takes no more. That a new one cannot be made is told later, as [`Input::FlowFailed`].
    pub(super) fn send(&mut self, flow: Flow, bytes: Vec<u8>) -> io::Result<()> {
        let open = self.writers.get(&flow).filter(|writer| !writer.is_closed()).cloned();
        let writer = match open {
            Some(writer) => writer,
            None => {
                let messages = self.register(flow).ok_or_else(|| io::Error::other("too many TCP connections"))?;
                self.tasks.spawn(connect(flow, messages, self.inbound.clone()));
                self.writers.get(&flow).cloned().ok_or_else(|| io::Error::other("no TCP connection"))?
            }
        };
        writer.try_send(bytes).map_err(|_| io::Error::other("the TCP connection does not keep up"))
    }

    /// Lets the writers finish what they have, and ends all connections.
    pub(super) async fn close(mut self) {
        self.writers.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(20), all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

async fn connect(flow: Flow, messages: mpsc::Receiver<Vec<u8>>, inbound: mpsc::Sender<Input>) {
    let error = match timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.remote)).await {
        Ok(Ok(stream)) => return serve(stream, flow, messages, inbound).await,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no TCP connection in 5 s".to_owned(),
    };
    // The endpoint may be gone.
    let _ = inbound.send(Input::FlowFailed { flow, error }).await;
}

/// Reads and writes until either side is done.
async fn serve(mut stream: TcpStream, flow: Flow, mut messages: mpsc::Receiver<Vec<u8>>, inbound: mpsc::Sender<Input>) {
    let (mut reader, mut writer) = stream.split();
    let mut framer = StreamFramer::default();
    let mut buffer = [0; READ_BYTES];
    let error = loop {
        tokio::select! {
            read = timeout(IDLE_TIMEOUT, reader.read(&mut buffer)) => {
                let length = match read {
                    Ok(Ok(0)) => break "the peer closed the connection".to_owned(),
                    Ok(Ok(length)) => length,
                    Ok(Err(error)) => break error.to_string(),
                    Err(_) => break "the connection was idle".to_owned(),
                };
                let bytes = buffer.get(..length).unwrap_or_default();
                if let Err(error) = take(&mut framer, bytes, flow, &inbound, &mut writer).await {
                    break error;
                }
            }
            message = messages.recv() => match message {
                Some(bytes) => if let Err(error) = write(&mut writer, &bytes).await {
                    break error;
                },
                None => return,
            },
        }
    };
    tracing::debug!(peer.addr = %flow.remote, error, "a TCP connection ended");
    // The endpoint may be gone.
    let _ = inbound.send(Input::FlowFailed { flow, error }).await;
}

/// Passes on every message that these bytes complete.
async fn take(
    framer: &mut StreamFramer,
    bytes: &[u8],
    flow: Flow,
    inbound: &mpsc::Sender<Input>,
    writer: &mut (impl AsyncWriteExt + Unpin),
) -> Result<(), String> {
    framer.push(bytes).map_err(|error| error.to_string())?;
    while let Some(frame) = framer.poll().map_err(|error| error.to_string())? {
        match frame {
            Frame::Message(bytes) => {
                inbound.send(Input::Message { flow, bytes }).await.map_err(|_| "the program stops".to_owned())?;
            }
            Frame::Ping => write(writer, StreamFramer::PONG).await?,
        }
    }
    Ok(())
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> Result<(), String> {
    match timeout(WRITE_TIMEOUT, writer.write_all(bytes)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("the peer takes nothing any more".to_owned()),
    }
}
