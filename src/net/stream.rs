//! One connection of SIP over TCP or TLS (RFC 3261 §18): cuts it into messages, keeps it alive (RFC 5626 §4.4.1), and
//! ends it when the peer is too slow, silent or gone.
//!
//! A peer need not answer our keep-alives: many PBXs do not, and it would have to promise it (RFC 5626 §4.4.1, RFC 6223).
//! One that has answered before and ceases to is gone. For the others the kernel watches: what is not acknowledged ends
//! the connection.

use std::io;
use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::tls::explain;
use crate::sip::Flow;
use crate::sip::message::{Frame, StreamFramer};

const READ_BYTES: usize = 8_192;
/// A keep-alive (RFC 5626 §3.5.1).
pub(super) const PING: &[u8] = b"\r\n\r\n";

/// How long and how many.
#[derive(Debug, Clone)]
pub(super) struct StreamLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections that one source may have opened: an IPv4 address, or the /64 of an IPv6 address.
    pub per_source: usize,
    /// A connection that has been used may make room for another after so long without a message.
    pub quiet: Duration,
    /// For a connection of ours to be there.
    pub connect: Duration,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// From the begin of a connection that others opened to the end of its first message.
    pub first_message: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// Without any message or keep-alive.
    pub idle: Duration,
    /// For one message, which is a few kilobytes, to be taken.
    pub write: Duration,
    /// The longest time between keep-alives; each comes at 80 to 100 % of it (RFC 5626 §4.4.1).
    pub ping: Duration,
    /// For the answer to a keep-alive.
    pub pong: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        StreamLimits {
            connections: 256,
            per_source: 16,
            quiet: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            first_message: Duration::from_secs(10),
            message: Duration::from_secs(30),
            idle: Duration::from_secs(900),
            write: Duration::from_secs(10),
            ping: Duration::from_secs(120),
            pong: Duration::from_secs(10),
        }
    }
}

/// What a connection tells the shell.
#[derive(Debug)]
pub(super) enum Heard {
    Message { flow: Flow, bytes: Vec<u8> },
    Closed { flow: Flow, id: u64, error: String },
}

/// One end of one connection.
pub(super) struct Link {
    pub flow: Flow,
    /// Unlike the flow, never used again.
    pub id: u64,
    /// Whether we opened it.
    pub ours: bool,
    pub limits: StreamLimits,
    pub heard: mpsc::Sender<Heard>,
    /// What to send; its end ends the connection.
    pub messages: mpsc::Receiver<Vec<u8>>,
}

impl Link {
    /// Tells that it is over.
    pub async fn close(self, error: String) {
        tracing::debug!(peer.addr = %self.flow.remote, transport = self.flow.transport.name(), error, "a connection ended");
        let Link { flow, id, heard, .. } = self;
        // The endpoint may be gone.
        let _ = heard.send(Heard::Closed { flow, id, error }).await;
    }

    /// Reads and writes until either side is done; why it ended, or `None` when we wanted it.
    pub async fn serve(&mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<String> {
        let mut timers = Timers::new(self, Instant::now());
        let mut framer = StreamFramer::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let bytes = match read {
                        Ok(0) => return Some("the peer closed the connection".to_owned()),
                        Ok(length) => buffer.get(..length).unwrap_or_default(),
                        Err(error) => return Some(self.explain(&error)),
                    };
                    let bytes = timers.without_pong(bytes, framer.is_between_messages());
                    let now = Instant::now();
                    match self.take(&mut framer, bytes, &mut stream).await {
                        Ok(frames) => timers.read(now, frames, framer.is_between_messages()),
                        Err(error) => return Some(error),
                    }
                }
                message = self.messages.recv() => match message {
                    Some(bytes) => {
                        if let Err(error) = self.write(&mut stream, &bytes).await {
                            return Some(error);
                        }
                        timers.used(Instant::now());
                    }
                    None => {
                        // The peer may be gone already.
                        let _ = timeout(self.limits.write, stream.shutdown()).await;
                        return None;
                    }
                },
                () = sleep_until(timers.next()) => match timers.due(Instant::now()) {
                    Due::Nothing => {}
                    Due::Ping => {
                        if let Err(error) = self.write(&mut stream, PING).await {
                            return Some(error);
                        }
                    }
                    Due::End(why) => return Some(why.to_owned()),
                },
            }
        }
    }

    /// Passes on every message that these bytes complete, and says how many frames there were.
    async fn take(
        &self,
        framer: &mut StreamFramer,
        bytes: &[u8],
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Frames, String> {
        let mut frames = Frames::default();
        framer.push(bytes).map_err(|error| error.to_string())?;
        while let Some(frame) = framer.poll().map_err(|error| error.to_string())? {
            match frame {
                Frame::Message(bytes) => {
                    frames.messages = true;
                    let heard = Heard::Message { flow: self.flow, bytes };
                    self.heard.send(heard).await.map_err(|_| "the program stops".to_owned())?;
                }
                Frame::Ping => {
                    frames.pings = true;
                    self.write(stream, StreamFramer::PONG).await?;
                }
            }
        }
        Ok(frames)
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout(self.limits.write, write).await {
            Ok(written) => written.map_err(|error| self.explain(&error)),
            Err(_) => Err("the peer takes nothing any more".to_owned()),
        }
    }

    fn explain(&self, error: &io::Error) -> String {
        explain(&self.flow.remote.ip().to_string(), error)
    }
}

/// What came in one read.
#[derive(Debug, Clone, Copy, Default)]
struct Frames {
    messages: bool,
    pings: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ping,
    End(&'static str),
}

/// The deadlines of a connection.
#[derive(Debug)]
struct Timers {
    idle: Duration,
    message: Duration,
    ping: Duration,
    pong: Duration,
    idle_at: Instant,
    /// By when the first message is to be there; `None` once it is.
    first_at: Option<Instant>,
    /// By when the message that has begun is to be there.
    whole_at: Option<Instant>,
    /// `None` where the peer opened the connection: then keeping it is his business.
    ping_at: Option<Instant>,
    /// The answer to our ping is due.
    pong_at: Option<Instant>,
    /// The peer has answered a ping.
    pongs: bool,
}

impl Timers {
    fn new(link: &Link, now: Instant) -> Self {
        let StreamLimits { first_message, message, idle, ping, pong, .. } = link.limits;
        Timers {
            idle,
            message,
            ping,
            pong,
            idle_at: now + idle,
            first_at: (!link.ours).then(|| now + first_message),
            whole_at: None,
            ping_at: link.ours.then(|| now + jittered(ping)),
            pong_at: None,
            pongs: false,
        }
    }

    fn used(&mut self, now: Instant) {
        self.idle_at = now + self.idle;
    }

    /// Takes the answer to our ping away, which is a CRLF between messages. Two of them are a ping of the peer's.
    fn without_pong<'b>(&mut self, bytes: &'b [u8], between: bool) -> &'b [u8] {
        match bytes.strip_prefix(StreamFramer::PONG) {
            Some(rest) if between && self.pong_at.is_some() && !rest.starts_with(b"\r") => {
                self.pong_at = None;
                self.pongs = true;
                rest
            }
            _ => bytes,
        }
    }

    fn read(&mut self, now: Instant, frames: Frames, between: bool) {
        if frames.messages || frames.pings {
            self.used(now);
        }
        if frames.messages {
            self.first_at = None;
        }
        self.whole_at = match self.whole_at {
            _ if between => None,
            Some(at) if !frames.messages => Some(at),
            // What is left has just begun.
            _ => Some(now + self.message),
        };
    }

    fn next(&self) -> Instant {
        let others = [self.first_at, self.whole_at, self.ping_at, self.pong_at].into_iter().flatten();
        others.fold(self.idle_at, Instant::min)
    }

    fn due(&mut self, now: Instant) -> Due {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.first_at) {
            return Due::End("no message came in time");
        }
        if is_due(self.whole_at) {
            return Due::End("a message came too slowly");
        }
        if self.idle_at <= now {
            return Due::End("the connection was idle");
        }
        if is_due(self.pong_at) {
            self.pong_at = None;
            if self.pongs {
                return Due::End("the peer no longer answers keep-alives");
            }
        }
        if is_due(self.ping_at) {
            self.ping_at = Some(now + jittered(self.ping));
            self.pong_at = Some(now + self.pong);
            self.used(now);
            return Due::Ping;
        }
        Due::Nothing
    }
}

/// RFC 5626 §4.4.1: 80 to 100 %, so that what began together does not stay together.
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.8..1.0))
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::sip::Transport;

    const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nhello";

    /// The far end of a connection, and what we hear of it.
    struct Far {
        stream: DuplexStream,
        heard: mpsc::Receiver<Heard>,
        send: mpsc::Sender<Vec<u8>>,
        ended: JoinHandle<Option<String>>,
    }

    fn link(ours: bool) -> Far {
        let (near, stream) = tokio::io::duplex(64);
        let (heard, heard_rx) = mpsc::channel(8);
        let (send, messages) = mpsc::channel(8);
        let (local, remote) = (([127, 0, 0, 1], 5060).into(), ([127, 0, 0, 1], 40_000).into());
        let flow = Flow { transport: Transport::Tcp, local, remote };
        let mut link = Link { flow, id: 1, ours, limits: StreamLimits::default(), heard, messages };
        Far { stream, heard: heard_rx, send, ended: tokio::spawn(async move { link.serve(near).await }) }
    }

    async fn read(stream: &mut DuplexStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    async fn message(far: &mut Far) -> Vec<u8> {
        match far.heard.recv().await {
            Some(Heard::Message { bytes, .. }) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_whole_however_they_are_cut() {
        let mut far = link(false);
        let stream = [OPTIONS, PING, OPTIONS].concat();
        for byte in &stream {
            far.stream.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(message(&mut far).await, OPTIONS);
        assert_eq!(message(&mut far).await, OPTIONS);
        assert_eq!(read(&mut far.stream, 2).await, StreamFramer::PONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_says_nothing_whole_is_closed() {
        let mut far = link(false);
        let start = Instant::now();
        // Something every second, but never the end of a head.
        let mut ended = far.ended;
        let why = loop {
            tokio::select! {
                why = &mut ended => break why.unwrap(),
                () = tokio::time::sleep(Duration::from_secs(1)) => drop(far.stream.write_all(b"X: y\r\n").await),
            }
        };
        assert_eq!(why.as_deref(), Some("no message came in time"));
        assert_eq!((Instant::now() - start).as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn keep_alives_alone_are_no_first_message() {
        let mut far = link(false);
        far.stream.write_all(PING).await.unwrap();
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("no message came in time"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_trickles_is_closed() {
        let mut far = link(false);
        far.stream.write_all(OPTIONS).await.unwrap();
        message(&mut far).await;
        far.stream.write_all(b"OPTIONS").await.unwrap();
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("a message came too slowly"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_no_sip_closes_the_stream() {
        let mut far = link(false);
        far.stream.write_all(b"INVITE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n").await.unwrap();
        assert!(far.ended.await.unwrap().unwrap().contains("close the connection"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_is_closed_and_keep_alives_of_the_peer_keep_it() {
        let mut far = link(false);
        far.stream.write_all(OPTIONS).await.unwrap();
        message(&mut far).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(600)).await;
            far.stream.write_all(PING).await.unwrap();
            assert_eq!(read(&mut far.stream, 2).await, StreamFramer::PONG);
        }
        let start = Instant::now();
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("the connection was idle"));
        assert_eq!((Instant::now() - start).as_secs(), 900);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let far = link(true);
        far.send.send(vec![b'x'; 1_000]).await.unwrap();
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("the peer takes nothing any more"));
    }

    #[tokio::test(start_paused = true)]
    async fn our_stream_is_kept_alive_until_an_answer_is_missing() {
        let mut far = link(true);
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(read(&mut far.stream, 4).await, PING);
            assert!((96..=120).contains(&(Instant::now() - start).as_secs()));
            far.stream.write_all(StreamFramer::PONG).await.unwrap();
        }
        assert_eq!(read(&mut far.stream, 4).await, PING);
        let start = Instant::now();
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("the peer no longer answers keep-alives"));
        assert_eq!((Instant::now() - start).as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_keep_alives_is_kept() {
        let mut far = link(true);
        for _ in 0..20 {
            assert_eq!(read(&mut far.stream, 4).await, PING);
        }
        assert!(!far.ended.is_finished());
        far.stream.write_all(OPTIONS).await.unwrap();
        assert_eq!(message(&mut far).await, OPTIONS);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_and_a_message_may_come_in_one() {
        let mut far = link(true);
        assert_eq!(read(&mut far.stream, 4).await, PING);
        far.stream.write_all(&[StreamFramer::PONG, OPTIONS].concat()).await.unwrap();
        assert_eq!(message(&mut far).await, OPTIONS);
        // It counts as an answer: the next one that is missing is missed.
        assert_eq!(read(&mut far.stream, 4).await, PING);
        assert_eq!(far.ended.await.unwrap().as_deref(), Some("the peer no longer answers keep-alives"));
    }
}
