//! A stand-in for the Gemini API on loopback, on a plain TCP socket so that it can break in every way a server breaks.
//! It speaks the documented format of `streamGenerateContent?alt=sse`, without TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the stand-in does with every request.
#[derive(Debug, Clone)]
pub enum Mode {
    /// These pieces of text, one event each.
    Answer(Vec<&'static str>),
    /// These pieces, cut anywhere into chunks of one byte.
    Bytewise(Vec<&'static str>),
    Status(u16, &'static str),
    /// Takes the request and says nothing.
    HangBeforeHeaders,
    HangAfterHeaders,
    /// These pieces, then nothing.
    HangAfter(Vec<&'static str>),
    /// These pieces, then the connection is cut in the middle of a chunk.
    CutAfter(Vec<&'static str>),
    /// A stop without text.
    Empty,
    /// Nothing but the end of the stream.
    NoEvents,
    GarbageJson,
    /// Bytes without end and without a line break.
    Flood,
    BlockedPrompt,
    /// These pieces, then `finishReason` SAFETY.
    BlockedAfter(Vec<&'static str>),
    /// These pieces, then an error as an event.
    ErrorAfter(Vec<&'static str>),
    Redirect(&'static str),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and target.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The conversation so far: role and text.
    pub fn contents(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let contents = self.body["contents"].as_array().expect("contents").iter();
        contents.map(|turn| (text(&turn["role"]), text(&turn["parts"][0]["text"]))).collect()
    }
}

/// Stops when it is dropped.
pub struct GeminiStandIn {
    address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl GeminiStandIn {
    pub async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("a bound address");
        let mode = Arc::new(Mutex::new(mode));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, mode.clone(), requests.clone()));
        GeminiStandIn { address, mode, requests, task }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for GeminiStandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, mode: Arc<Mutex<Mode>>, requests: Arc<Mutex<Vec<Request>>>) {
    // Owned here, so that aborting this task ends the connections too.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (mode, requests) = (mode.clone(), requests.clone());
        connections.spawn(async move {
            // An error is a client that has gone, as it may.
            let _ = serve(socket, &mode, &requests).await;
        });
    }
}

async fn serve(mut socket: TcpStream, mode: &Mutex<Mode>, requests: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    while let Some(request) = read_request(&mut socket).await? {
        requests.lock().unwrap().push(request);
        let mode = mode.lock().unwrap().clone();
        answer(&mut socket, mode).await?;
    }
    Ok(())
}

async fn read_request(socket: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().expect("a length"));
    while bytes.len() < head_end + 4 + length {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let body = serde_json::from_slice(&bytes[head_end + 4..]).expect("a JSON body");
    Ok(Some(Request { line, headers, body }))
}

async fn answer(socket: &mut TcpStream, mode: Mode) -> std::io::Result<()> {
    match mode {
        Mode::Answer(pieces) => {
            head(socket).await?;
            for event in whole(&pieces) {
                chunk(socket, event.as_bytes()).await?;
            }
            end(socket).await
        }
        Mode::Bytewise(pieces) => {
            head(socket).await?;
            for byte in whole(&pieces).concat().bytes() {
                chunk(socket, &[byte]).await?;
            }
            end(socket).await
        }
        Mode::Status(status, message) => {
            let body = json!([{ "error": { "code": status, "message": message, "status": "FAILED" } }]).to_string();
            let head = format!(
                "HTTP/1.1 {status} Failed\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all((head + &body).as_bytes()).await
        }
        Mode::HangBeforeHeaders => std::future::pending().await,
        Mode::HangAfterHeaders => {
            head(socket).await?;
            std::future::pending().await
        }
        Mode::HangAfter(pieces) => {
            head(socket).await?;
            send(socket, &pieces).await?;
            std::future::pending().await
        }
        Mode::CutAfter(pieces) => {
            head(socket).await?;
            send(socket, &pieces).await?;
            socket.write_all(b"400\r\ndata: {\"candidates\": [{\"content\": {\"par").await?;
            socket.flush().await?;
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
        Mode::Empty => {
            head(socket).await?;
            chunk(
                socket,
                event(json!({ "candidates": [{ "content": { "role": "model" }, "finishReason": "STOP" }] })).as_bytes(),
            )
            .await?;
            end(socket).await
        }
        Mode::NoEvents => {
            head(socket).await?;
            end(socket).await
        }
        Mode::GarbageJson => {
            head(socket).await?;
            chunk(socket, b"data: {\"candidates\": [}{\r\n\r\n").await?;
            end(socket).await
        }
        Mode::Flood => {
            head(socket).await?;
            loop {
                chunk(socket, &[b'x'; 16 << 10]).await?;
            }
        }
        Mode::BlockedPrompt => {
            head(socket).await?;
            chunk(socket, event(json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } })).as_bytes())
                .await?;
            end(socket).await
        }
        Mode::BlockedAfter(pieces) => {
            head(socket).await?;
            send(socket, &pieces).await?;
            chunk(socket, event(json!({ "candidates": [{ "finishReason": "SAFETY", "index": 0 }] })).as_bytes())
                .await?;
            end(socket).await
        }
        Mode::ErrorAfter(pieces) => {
            head(socket).await?;
            send(socket, &pieces).await?;
            chunk(
                socket,
                event(json!({ "error": { "code": 503, "message": "overloaded", "status": "UNAVAILABLE" } })).as_bytes(),
            )
            .await?;
            end(socket).await
        }
        Mode::Redirect(location) => {
            let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(head.as_bytes()).await
        }
    }
}

async fn head(socket: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await
}

async fn send(socket: &mut TcpStream, pieces: &[&str]) -> std::io::Result<()> {
    for text in pieces {
        chunk(socket, piece(text).as_bytes()).await?;
    }
    Ok(())
}

async fn chunk(socket: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    socket.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
    socket.write_all(data).await?;
    socket.write_all(b"\r\n").await?;
    socket.flush().await
}

async fn end(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.write_all(b"0\r\n\r\n").await
}

/// The events of a whole answer: thoughts, the pieces, and the stop with the usage.
fn whole(pieces: &[&str]) -> Vec<String> {
    let thought = json!({ "candidates": [{ "content": { "parts": [{ "text": "Secret thought.", "thought": true }], "role": "model" }, "index": 0 }] });
    let stop = json!({
        "candidates": [{ "content": { "parts": [{ "text": "" }], "role": "model" }, "finishReason": "STOP", "index": 0 }],
        "usageMetadata": { "promptTokenCount": 11, "candidatesTokenCount": 73, "totalTokenCount": 84 },
        "modelVersion": "gemini-2.5-flash",
    });
    std::iter::once(event(thought)).chain(pieces.iter().map(|p| piece(p))).chain([event(stop)]).collect()
}

fn piece(text: &str) -> String {
    event(json!({ "candidates": [{ "content": { "parts": [{ "text": text }], "role": "model" }, "index": 0 }] }))
}

fn event(value: Value) -> String {
    format!("data: {value}\r\n\r\n")
}
