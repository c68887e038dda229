//! SIP messages as values: parsed, asked by name, built and written (RFC 3261 §7, §20).
//!
//! Tolerance is ours: folding, compact names, spaces, bare LF, bodies longer than Content-Length, any bytes. rsip
//! gives the host and port grammar and the reason phrases, and nothing outside this module names it. Its message,
//! header, method, `Via`, `CSeq` and parameter types are replaced: they refuse unknown methods and transports, IPv6
//! references and spaces that RFC 3261 allows, look for `<` and `;` inside quoted strings, and compare methods
//! without case.
//!
//! Strict where RFC 3261 and RFC 4475 say that a message is malformed, so that it is refused with a reason instead of
//! being misread; names without quotes are taken in any script.
//!
//! Left out: fields that concern proxies alone, and dates.

mod body;
mod charset;
mod framing;
mod headers;
mod method;
mod name_addr;
mod octets;
mod params;
mod parse;
mod uri;
mod via;

use std::fmt;

pub use body::Unreadable;
pub(in crate::sip) use charset::display_text;
pub use framing::{Frame, FramingError, StreamFramer};
pub use headers::Headers;
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::{Malformed, ParseError};
pub use uri::{Scheme, Uri, UriError};
pub use via::{MAGIC_COOKIE, Via};

use crate::sip::Flow;

/// The largest message that we read, head and body, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The largest body, in bytes: 413 beyond. Session descriptions have some 4 KiB at the most.
pub const MAX_BODY: usize = 32 * 1024;
/// The largest number of header fields that we read in a message: 513 beyond, as with the two below.
pub const MAX_HEADERS: usize = 256;
/// The longest header field, folded lines together, in bytes.
pub const MAX_FIELD: usize = 8 * 1024;
/// The largest number of `Via` values: no request passes more proxies (RFC 3261 §8.1.1.6).
pub const MAX_VIAS: usize = 71;

const VERSION: &str = "SIP/2.0";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Request(Request),
    Response(Response),
}

impl Message {
    /// Reads one message: a datagram, or what [`StreamFramer`] cut.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong, with the request as far as it could be read, so that it can be answered.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        parse::message(bytes)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    /// As it came; anything but `SIP/2.0` is answered by 505.
    pub version: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: Method, uri: Uri) -> Self {
        Request { method, uri, version: VERSION.into(), headers: Headers::default(), body: Vec::new() }
    }

    pub fn is_supported_version(&self) -> bool {
        self.version.eq_ignore_ascii_case(VERSION)
    }

    /// Whether it asks for a new call.
    pub fn begins_call(&self) -> bool {
        let in_dialog = |to: NameAddr| to.tag().is_some();
        self.method == Method::Invite && !self.headers.get("To").and_then(|to| to.parse().ok()).is_some_and(in_dialog)
    }

    /// The header fields that every request needs.
    ///
    /// # Errors
    /// [`EnvelopeError`] when one of them cannot be used. The request is to be refused by 400.
    pub fn envelope(&self) -> Result<Envelope, EnvelopeError> {
        let envelope = Envelope::read(&self.headers)?;
        // RFC 3261 §8.1.1.5
        if envelope.cseq.method != self.method {
            return Err(EnvelopeError::OtherMethod);
        }
        Ok(envelope)
    }

    /// Looks at the header fields that a user agent acts on beside its envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`] as with [`Request::envelope`].
    pub fn check(&self) -> Result<(), EnvelopeError> {
        // RFC 3261 §20.22. One that has run out concerns only who passes a request on.
        if self.headers.get("Max-Forwards").is_some() {
            let hops = only(&self.headers, "Max-Forwards")?;
            hops.parse::<u8>().map_err(|_| EnvelopeError::Unreadable("Max-Forwards"))?;
        }
        let is_readable = |contact: &str| contact == "*" || contact.parse::<NameAddr>().is_ok();
        if self.headers.values("Contact").all(is_readable) { Ok(()) } else { Err(EnvelopeError::Unreadable("Contact")) }
    }

    /// The session description in the body, be it one of several parts; `None` when there is none.
    pub fn sdp(&self) -> Option<Vec<u8>> {
        self.session_description().ok().flatten().map(<[u8]>::to_vec)
    }

    /// The same, and whether all of the body that must be understood is.
    ///
    /// # Errors
    /// [`Unreadable`]: the request is to be refused by 415.
    pub fn session_description(&self) -> Result<Option<&[u8]>, Unreadable> {
        body::session_description(&self.headers, &self.body)
    }

    /// Whether the sender takes a session description in the answer.
    pub fn accepts_sdp(&self) -> bool {
        body::accepts_sdp(&self.headers)
    }

    pub fn set_sdp(&mut self, sdp: Vec<u8>) {
        set_sdp(&mut self.headers, &mut self.body, sdp);
    }

    /// Notes on the top `Via` where the request came from; that `Via`, if it can be read.
    pub(crate) fn set_received(&mut self, flow: &Flow) -> Option<Via> {
        let mut via: Via = self.headers.values("Via").next()?.parse().ok()?;
        via.set_received(flow.remote);
        self.headers.replace_top_via(&via.to_string());
        Some(via)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        write(format_args!("{} {} {VERSION}", self.method, self.uri), &self.headers, &self.body)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Response {
    /// An answer to `request` (RFC 3261 §8.2.6.2), with the tag that its `To` has, if any.
    pub fn answer(request: &Request, status: u16) -> Self {
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            headers.copy(name, &request.headers);
        }
        Response { status, reason: reason(status), headers, body: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds a tag to `To` when it has none.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Some(value) = self.headers.get_mut("To")
            && let Ok(to) = value.parse::<NameAddr>()
            && to.tag().is_none()
        {
            match to.params.has("tag") {
                // What the peer wrote stays as it is, but for an empty tag.
                true => *value = to.with_tag(tag).to_string(),
                false => value.push_str(&format!(";tag={tag}")),
            }
        }
        self
    }

    pub fn is_provisional(&self) -> bool {
        self.status < 200
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn envelope(&self) -> Result<Envelope, EnvelopeError> {
        Envelope::read(&self.headers)
    }

    /// The session description in the body, be it one of several parts.
    pub fn sdp(&self) -> Option<Vec<u8>> {
        body::session_description(&self.headers, &self.body).ok().flatten().map(<[u8]>::to_vec)
    }

    pub fn set_sdp(&mut self, sdp: Vec<u8>) {
        set_sdp(&mut self.headers, &mut self.body, sdp);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        write(format_args!("{VERSION} {:03} {}", self.status, self.reason), &self.headers, &self.body)
    }
}

/// `CSeq`. The number is below 2³¹ (RFC 3261 §8.1.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

impl CSeq {
    fn parse(text: &str) -> Option<Self> {
        let (number, method) = text.trim().split_once(char::is_whitespace)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = number.parse().ok().filter(|n| *n < 1 << 31)?;
        Some(CSeq { number, method: Method::from(method.trim()) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The header fields that every message must have (RFC 3261 §8.1.1), but for Max-Forwards, which is for proxies.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub via: Via,
    pub from: NameAddr,
    pub to: NameAddr,
    pub call_id: String,
    pub cseq: CSeq,
}

/// Why a request cannot be served or an answer not be used, in words for a reason phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("no {0}")]
    Missing(&'static str),
    #[error("more than one {0}")]
    Repeated(&'static str),
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    #[error("CSeq has another method")]
    OtherMethod,
}

impl Envelope {
    fn read(headers: &Headers) -> Result<Self, EnvelopeError> {
        Ok(Envelope {
            via: parsed("Via", headers.values("Via").next().ok_or(EnvelopeError::Missing("Via"))?)?,
            from: parsed("From", only(headers, "From")?)?,
            to: parsed("To", only(headers, "To")?)?,
            call_id: only(headers, "Call-ID")?.to_owned(),
            cseq: CSeq::parse(only(headers, "CSeq")?).ok_or(EnvelopeError::Unreadable("CSeq"))?,
        })
    }
}

/// The only field of that name, which is not empty.
fn only<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, EnvelopeError> {
    let mut fields = headers.all(name);
    let first = fields.next().filter(|value| !value.is_empty()).ok_or(EnvelopeError::Missing(name))?;
    if fields.next().is_some() { Err(EnvelopeError::Repeated(name)) } else { Ok(first) }
}

fn parsed<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T, EnvelopeError> {
    value.parse().map_err(|_| EnvelopeError::Unreadable(name))
}

/// RFC 3261 §25.1
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

fn set_sdp(headers: &mut Headers, body: &mut Vec<u8>, sdp: Vec<u8>) {
    headers.set("Content-Type", "application/sdp");
    *body = sdp;
}

/// The usual reason phrase, from rsip's names of the status codes: `BusyHere` is "Busy Here".
fn reason(status: u16) -> String {
    // What rsip does not know.
    match status {
        202 => return "Accepted".to_owned(),
        469 => return "Bad Info Package".to_owned(),
        _ => {}
    }
    let name = rsip::StatusCode::from(status).to_string();
    let name = name.split_once(' ').map_or("", |(_, name)| name);
    let mut phrase = String::with_capacity(name.len() + 4);
    let mut previous_is_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && previous_is_lower {
            phrase.push(' ');
        }
        previous_is_lower = c.is_ascii_lowercase();
        phrase.push(c);
    }
    phrase
}

fn write(start: fmt::Arguments<'_>, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{start}\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length")) {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = octets::octets(&head).into_owned();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_phrases_are_readable() {
        assert_eq!(reason(200), "OK");
        assert_eq!(reason(486), "Busy Here");
        assert_eq!(reason(487), "Request Terminated");
        assert_eq!(reason(699), "Other");
    }

    #[test]
    fn an_answer_repeats_what_identifies_the_request() {
        let text = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1\r\nv: SIP/2.0/UDP h2;branch=z9hG4bK2\r\n\
                    f: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\ni: 77@x\r\nCSeq: 5 OPTIONS\r\n\r\n";
        let Ok(Message::Request(request)) = Message::parse(text.as_bytes()) else { panic!("not a request") };
        let answer = String::from_utf8(Response::answer(&request, 200).with_to_tag("t2").to_bytes()).unwrap();
        assert_eq!(
            answer,
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP h2;branch=z9hG4bK2\r\n\
             From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=t2\r\nCall-ID: 77@x\r\nCSeq: 5 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_repeated_mandatory_header_is_bad() {
        let text = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:c@d>\r\nFrom: <sip:e@f>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 BYE\r\n\r\n";
        let Ok(Message::Request(request)) = Message::parse(text.as_bytes()) else { panic!("not a request") };
        assert_eq!(request.envelope().unwrap_err(), EnvelopeError::Repeated("From"));
    }
}
