//! Bytes to [`Message`]: start line, unfolding, names, body by Content-Length.

use super::octets::decode;
use super::{
    Headers, MAX_BODY, MAX_FIELD, MAX_HEADERS, MAX_MESSAGE, MAX_VIAS, Message, Method, Request, Response, is_token,
};

/// Why a message cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("the message is larger than {MAX_MESSAGE} bytes")]
    TooLarge,
    #[error("more than {MAX_HEADERS} header fields or {MAX_VIAS} Vias, or one beyond {MAX_FIELD} bytes")]
    HeadTooLarge,
    #[error("the body is larger than {MAX_BODY} bytes")]
    BodyTooLarge,
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    #[error("the request line is not method, URI and version with one space between them")]
    RequestLine,
    #[error("the Request-URI cannot be read")]
    RequestUri,
    #[error("a header field has no name and colon")]
    Header,
    #[error("Content-Length is not a number, contradicts itself or is more than what came")]
    ContentLength,
}

impl ParseError {
    /// What a request is answered with for it.
    pub fn status(self) -> u16 {
        match self {
            // RFC 3261 §21.5.7
            ParseError::TooLarge | ParseError::HeadTooLarge => 513,
            // RFC 3261 §21.4.11
            ParseError::BodyTooLarge => 413,
            ParseError::StartLine
            | ParseError::RequestLine
            | ParseError::RequestUri
            | ParseError::Header
            | ParseError::ContentLength => 400,
        }
    }
}

/// A message that cannot be taken. `request` is what could be read of it, if it is a request that can be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Malformed {
    pub error: ParseError,
    pub request: Option<Box<Request>>,
}

impl From<ParseError> for Malformed {
    fn from(error: ParseError) -> Self {
        Malformed { error, request: None }
    }
}

pub(super) fn message(bytes: &[u8]) -> Result<Message, Malformed> {
    // RFC 3261 §7.5: CRLFs before the start line are ignored.
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    if bytes.len() > MAX_MESSAGE {
        return Err(ParseError::TooLarge.into());
    }
    let head_len = head_end(bytes, 0).unwrap_or(bytes.len());
    let (head, rest) = bytes.split_at(head_len);
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start_line = decode(lines.next().unwrap_or_default());

    let (mut headers, mut headers_error) = read_headers(lines);
    if headers.values("Via").take(MAX_VIAS + 1).count() > MAX_VIAS {
        headers_error = Some(ParseError::HeadTooLarge);
        headers.keep_top_via();
    }
    let (body, body_error) = match content_length(&headers) {
        Ok(Some(length)) if length > MAX_BODY => (&rest[..0], Some(ParseError::BodyTooLarge)),
        Ok(None) if rest.len() > MAX_BODY => (&rest[..0], Some(ParseError::BodyTooLarge)),
        Ok(None) => (rest, None),
        Ok(Some(length)) => match rest.get(..length) {
            Some(body) => (body, None),
            None => (rest, Some(ParseError::ContentLength)),
        },
        Err(error) => (rest, Some(error)),
    };
    let error = headers_error.or(body_error);
    let body = body.to_vec();

    if start_line.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("SIP/")) {
        let (status, reason) = status_line(&start_line)?;
        return match error {
            Some(error) => Err(error.into()),
            None => Ok(Message::Response(Response { status, reason, headers, body })),
        };
    }
    let line = request_line(&start_line)?;
    let uri = line.uri.parse().ok().filter(|uri: &super::Uri| !uri.is_sip() || uri.headers.is_none());
    let (uri, error) = match uri {
        Some(uri) if line.is_well_spaced => (uri, error),
        // A space too many makes the rest unsure (RFC 4475 §3.1.2.8 to 3.1.2.10).
        Some(uri) => (uri, Some(ParseError::RequestLine)),
        // RFC 3261 §19.1.1: no header fields in a Request-URI.
        None => (super::Uri::of_host(None, "invalid"), Some(ParseError::RequestUri)),
    };
    let request = Request { method: Method::from(line.method), uri, version: line.version.to_owned(), headers, body };
    match error {
        Some(error) => Err(Malformed { error, request: Some(Box::new(request)) }),
        None => Ok(Message::Request(request)),
    }
}

/// The length of the head with its empty line, if that is there; bytes before `from` are known not to end it.
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let line_end = at + bytes.get(at..)?.iter().position(|b| *b == b'\n')?;
        match bytes.get(line_end + 1..)? {
            [b'\n', ..] => return Some(line_end + 2),
            [b'\r', b'\n', ..] => return Some(line_end + 3),
            _ => at = line_end + 1,
        }
    }
}

/// The header fields of a head without its start line.
pub(super) fn read_headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> (Headers, Option<ParseError>) {
    let mut headers = Headers::default();
    let mut error = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let line = decode(line);
        if line.starts_with([' ', '\t']) {
            if !headers.continue_last(line.trim()) {
                error = Some(ParseError::Header);
            } else if headers.last_len() > MAX_FIELD {
                return (headers, Some(ParseError::HeadTooLarge));
            }
            continue;
        }
        if headers.len() == MAX_HEADERS || line.len() > MAX_FIELD {
            return (headers, Some(ParseError::HeadTooLarge));
        }
        match line.split_once(':') {
            Some((name, value)) if is_token(name.trim_end()) => headers.push(name.trim_end(), value.trim()),
            _ => error = Some(ParseError::Header),
        }
    }
    (headers, error)
}

/// Content-Length, `None` when there is no such field.
pub(super) fn content_length(headers: &Headers) -> Result<Option<usize>, ParseError> {
    let mut length = None;
    for value in headers.all("Content-Length") {
        let value = value.trim();
        // `parse` alone would take a sign.
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseError::ContentLength);
        }
        let value: usize = value.parse().map_err(|_| ParseError::ContentLength)?;
        if length.is_some_and(|length| length != value) {
            return Err(ParseError::ContentLength);
        }
        length = Some(value);
    }
    Ok(length)
}

struct RequestLine<'a> {
    method: &'a str,
    uri: &'a str,
    version: &'a str,
    is_well_spaced: bool,
}

fn request_line(line: &str) -> Result<RequestLine<'_>, ParseError> {
    let (method, rest) = line.trim_end().split_once(' ').ok_or(ParseError::StartLine)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(ParseError::StartLine)?;
    let is_sip = version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case("SIP/"));
    if !is_token(method) || !is_sip {
        return Err(ParseError::StartLine);
    }
    let is_well_spaced = line.len() == method.len() + uri.len() + version.len() + 2 && uri.trim().len() == uri.len();
    Ok(RequestLine { method, uri: uri.trim(), version, is_well_spaced })
}

fn status_line(line: &str) -> Result<(u16, String), ParseError> {
    let (_version, rest) = line.split_once(' ').ok_or(ParseError::StartLine)?;
    let (status, reason) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let status: u16 = status.parse().map_err(|_| ParseError::StartLine)?;
    // RFC 3261 §21 has no classes but 1xx to 6xx.
    if !(100..700).contains(&status) {
        return Err(ParseError::StartLine);
    }
    Ok((status, reason.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: 1\r\n";

    fn parse(text: &str) -> Result<Message, Malformed> {
        message(text.as_bytes())
    }

    fn request(text: &str) -> Request {
        match parse(text) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cuts_the_body_at_content_length() {
        assert_eq!(request(&format!("{REQUEST}l: 3\r\n\r\nabcdef")).body, b"abc");
        assert_eq!(request(&format!("{REQUEST}\r\nabcdef")).body, b"abcdef");
    }

    #[test]
    fn unfolds_and_takes_bare_line_feeds() {
        let request = request("\r\n\r\nOPTIONS sip:b@h SIP/2.0\nSubject : one\n  two\n\tthree\n\nbody");
        assert_eq!(request.headers.get("subject"), Some("one two three"));
        assert_eq!(request.body, b"body");
    }

    #[test]
    fn a_bad_content_length_keeps_the_request_answerable() {
        for length in ["999", "-3", "+3", "3\r\nl: 4", "18446744073709551616", "x"] {
            let malformed = parse(&format!("{REQUEST}Content-Length: {length}\r\n\r\nabcdef")).unwrap_err();
            assert_eq!(malformed.error, ParseError::ContentLength, "{length}");
            assert_eq!(malformed.request.unwrap().headers.get("Call-ID"), Some("1"));
        }
    }

    #[test]
    fn refuses_what_is_not_sip() {
        for text in [
            "",
            "\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "INVITE sip:a@b",
            "SIP/2.0\r\n\r\n",
            "SIP/2.0 4294967301 x\r\n\r\n",
            "SIP/2.0 099 x\r\n\r\n",
        ] {
            assert_eq!(parse(text).unwrap_err().error, ParseError::StartLine, "{text:?}");
        }
        assert_eq!(parse("INVITE <sip:a@b> SIP/2.0\r\n\r\n").unwrap_err().error, ParseError::RequestUri);
        assert_eq!(parse("INVITE sip:a@b SIP/2.0\r\n x\r\n\r\n").unwrap_err().error, ParseError::Header);
        for line in ["INVITE  sip:a@b SIP/2.0", "INVITE sip:a@b  SIP/2.0", "INVITE sip:a@b SIP/2.0 "] {
            assert_eq!(parse(&format!("{line}\r\n\r\n")).unwrap_err().error, ParseError::RequestLine, "{line:?}");
        }
    }

    #[test]
    fn bounds_everything() {
        let error = |head: &str, body: &str| parse(&format!("{REQUEST}{head}\r\n{body}")).unwrap_err();
        for head in [
            "X: y\r\n".repeat(MAX_HEADERS),
            format!("X: {}\r\n", "y".repeat(MAX_FIELD)),
            format!("X: y\r\n{}", format!(" {}\r\n", "y".repeat(100)).repeat(MAX_FIELD / 100 + 1)),
            "v: SIP/2.0/UDP b, SIP/2.0/UDP c\r\n".repeat(MAX_VIAS / 2 + 1),
        ] {
            let malformed = error(&head, "");
            assert_eq!((malformed.error, malformed.error.status()), (ParseError::HeadTooLarge, 513));
            assert!(malformed.request.is_some(), "it can be answered");
        }
        for (head, body) in
            [(format!("l: {}\r\n", MAX_BODY + 1), String::new()), (String::new(), "x".repeat(MAX_BODY + 1))]
        {
            let malformed = error(&head, &body);
            assert_eq!((malformed.error, malformed.error.status()), (ParseError::BodyTooLarge, 413));
        }
        assert_eq!(error("", &"x".repeat(MAX_MESSAGE)).error, ParseError::TooLarge);
    }

    #[test]
    fn a_status_line_may_have_no_reason() {
        for text in ["SIP/2.0 200 \r\n\r\n", "SIP/2.0 200\r\n\r\n"] {
            let Ok(Message::Response(response)) = parse(text) else { panic!("{text:?}") };
            assert_eq!((response.status, response.reason.as_str()), (200, ""));
        }
    }
}
