//! The session description in a body, alone or among the parts of a multipart body (RFC 2046 §5.1, RFC 5621).
//!
//! Left out: encodings of a part other than none, parts by reference, and more than one description.

use super::Headers;
use super::params::{Params, split_outside_quotes};
use super::parse::read_headers;

/// The most parts that are looked at, in all levels together. What a gateway sends has two or three.
const MAX_PARTS: usize = 16;
/// A multipart body may hold another, which may hold no more.
const MAX_DEPTH: usize = 2;

/// A body, or a part of one that the receiver has to understand, is nothing that we read: 415 (RFC 5621 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body has a part that is required and no session description")]
pub struct Unreadable;

/// The session description of a message; `None` when it has none, and nothing else that must be understood.
pub(super) fn session_description<'a>(headers: &Headers, body: &'a [u8]) -> Result<Option<&'a [u8]>, Unreadable> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut parts_left = MAX_PARTS;
    read_part(headers, body, MAX_DEPTH, &mut parts_left)
}

fn read_part<'a>(
    headers: &Headers,
    body: &'a [u8],
    depth: usize,
    parts_left: &mut usize,
) -> Result<Option<&'a [u8]>, Unreadable> {
    let (disposition, handling) = disposition(headers);
    // RFC 3261 §20.11: required unless it says otherwise.
    let unknown = if handling.eq_ignore_ascii_case("optional") { Ok(None) } else { Err(Unreadable) };
    if is_encoded(headers) {
        return unknown;
    }
    // RFC 3261 §20.15 demands a type; a body without one can only be what calls have.
    let content_type = headers.get("Content-Type").unwrap_or("application/sdp");
    let (name, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let name = name.trim().to_ascii_lowercase();
    if name == "application/sdp" {
        // A description of another purpose, such as RFC 3959's early-session, is not the call's.
        let of_the_call =
            disposition.is_empty() || ["session", "render"].iter().any(|d| disposition.eq_ignore_ascii_case(d));
        return if of_the_call { Ok(Some(body)) } else { unknown };
    }
    let Some(kind) = name.strip_prefix("multipart/").filter(|_| depth > 0) else { return unknown };
    let boundary = Params::parse(parameters).get("boundary").map(|b| b.trim_matches('"').to_owned());
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else { return unknown };

    let mut found = None;
    let mut understood = false;
    let mut failed = false;
    for part in parts(body, &boundary) {
        if *parts_left == 0 {
            return unknown;
        }
        *parts_left -= 1;
        let Some((headers, body)) = split_head(part) else {
            failed = true;
            continue;
        };
        match read_part(&headers, body, depth - 1, parts_left) {
            Ok(None) => understood = true,
            // Of alternatives the last that one understands is the best (RFC 2046 §5.1.4), else the first is the call's.
            Ok(sdp) => {
                understood = true;
                found = if kind == "alternative" { sdp } else { found.or(sdp) };
            }
            Err(Unreadable) => failed = true,
        }
    }
    // RFC 5621 §4.2: one readable alternative is enough; of other parts each required one must be readable.
    if (failed && kind != "alternative") || !understood { unknown } else { Ok(found) }
}

/// What a body is for and whether it must be understood, as far as it says.
fn disposition(headers: &Headers) -> (String, String) {
    let Some(value) = headers.get("Content-Disposition") else { return Default::default() };
    let (name, parameters) = value.split_once(';').unwrap_or((value, ""));
    (name.trim().to_owned(), Params::parse(parameters).get("handling").unwrap_or("").trim_matches('"').to_owned())
}

fn is_encoded(headers: &Headers) -> bool {
    let coded = headers.values("Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case("identity"));
    let transfer = headers.get("Content-Transfer-Encoding");
    coded || transfer.is_some_and(|t| !["7bit", "8bit", "binary"].iter().any(|plain| t.eq_ignore_ascii_case(plain)))
}

/// The parts between the lines that begin with `--boundary`; what stands before the first and after the last is none.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut rest = next_delimiter(body, &delimiter).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let current = rest?;
        // `--boundary--` is the end; without it the last part goes to the end of the body, which is cut off.
        if current.starts_with(b"--") {
            return None;
        }
        let line_end = current.iter().position(|b| *b == b'\n')?;
        let content = current.get(line_end..)?;
        let (part, after) = next_delimiter(content, &delimiter)?;
        rest = Some(after);
        Some(part.get(1..).unwrap_or_default())
    })
}

/// What stands before the line of a delimiter, without its line break, and what follows the delimiter.
fn next_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?;
        if let Some(after) = line.strip_prefix(delimiter) {
            let before = bytes.get(..at)?;
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            return Some((before.strip_suffix(b"\r").unwrap_or(before), after));
        }
        at += line.iter().position(|b| *b == b'\n')? + 1;
    }
}

/// The header fields and the content of a part; a part may have no field at all, and then begins with an empty line.
fn split_head(part: &[u8]) -> Option<(Headers, &[u8])> {
    let head_len = match part {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => super::parse::head_end(part, 0)?,
    };
    let (head, content) = part.split_at_checked(head_len)?;
    let (headers, error) =
        read_headers(head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
    error.is_none().then_some((headers, content))
}

/// Whether an `Accept` field allows session descriptions; without one it does (RFC 3261 §20.1).
pub(super) fn accepts_sdp(headers: &Headers) -> bool {
    let mut fields = headers.all("Accept").peekable();
    fields.peek().is_none()
        || fields.flat_map(|value| split_outside_quotes(value, ',')).any(|range| {
            let name = range.split(';').next().unwrap_or("").trim();
            ["application/sdp", "application/*", "*/*"].iter().any(|known| name.eq_ignore_ascii_case(known))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name, *value);
        }
        headers
    }

    fn mixed(kind: &str, parts: &[&str]) -> Result<Option<String>, Unreadable> {
        let headers = headers(&[("c", &format!("multipart/{kind}; boundary=\"b 1\""))]);
        let body: String = parts.iter().map(|part| format!("--b 1 \r\n{part}\r\n")).collect();
        session_description(&headers, format!("preamble\r\n{body}--b 1--\r\nepilogue").as_bytes())
            .map(|sdp| sdp.map(|sdp| String::from_utf8(sdp.to_vec()).unwrap()))
    }

    const SDP: &str = "Content-Type: application/SDP\r\n\r\nv=0\r\ns=-\r\n";
    const ISUP: &str = "Content-Type: application/ISUP;version=itu\r\n\r\n\x01\x02";
    const OPTIONAL: &str = "c: application/x\r\nContent-Disposition: signal;handling=optional\r\n\r\n?";

    #[test]
    fn finds_the_description_among_optional_parts() {
        assert_eq!(mixed("mixed", &[OPTIONAL, SDP]), Ok(Some("v=0\r\ns=-\r\n".to_owned())));
        assert_eq!(mixed("mixed", &[SDP, OPTIONAL]), Ok(Some("v=0\r\ns=-\r\n".to_owned())));
        assert_eq!(mixed("mixed", &[OPTIONAL]), Ok(None));
        assert_eq!(mixed("mixed", &[ISUP, SDP]), Err(Unreadable), "required unless it says otherwise");
        assert_eq!(mixed("alternative", &[ISUP, SDP]), Ok(Some("v=0\r\ns=-\r\n".to_owned())));
        assert_eq!(mixed("alternative", &[ISUP]), Err(Unreadable));
        let nested = format!("Content-Type: multipart/mixed;boundary=in\r\n\r\n--in\r\n{SDP}\r\n--in--");
        assert_eq!(mixed("mixed", &[&nested]), Ok(Some("v=0\r\ns=-\r\n".to_owned())));
    }

    #[test]
    fn bounds_parts_and_depth() {
        assert_eq!(mixed("mixed", &[OPTIONAL; MAX_PARTS + 1]), Err(Unreadable));
        let deep = "c: multipart/mixed;boundary=1\r\n\r\n--1\r\nc: multipart/mixed;boundary=2\r\n\r\n--2\r\n\r\nv=0\r\n--2--\r\n--1--";
        assert_eq!(mixed("mixed", &[deep]), Err(Unreadable));
        for cut in ["", "--b 1", "--b 1\r\nc: application/sdp\r\n\r\nv=0", "--b 1--", "\r\n--b 1\r\n--b 1--"] {
            let headers = headers(&[("c", "multipart/mixed;boundary=\"b 1\"")]);
            assert!(!matches!(session_description(&headers, cut.as_bytes()), Ok(Some(_))), "{cut:?}");
        }
    }

    #[test]
    fn a_body_alone_may_be_optional_encoded_or_of_another_purpose() {
        let read = |fields: &[(&str, &str)]| session_description(&headers(fields), b"v=0").map(|sdp| sdp.is_some());
        assert_eq!(read(&[]), Ok(true));
        assert_eq!(read(&[("c", "application/sdp;charset=utf-8"), ("Content-Disposition", "session")]), Ok(true));
        assert_eq!(read(&[("c", "application/sdp"), ("e", "gzip")]), Err(Unreadable));
        assert_eq!(read(&[("c", "text/plain")]), Err(Unreadable));
        assert_eq!(read(&[("c", "text/plain"), ("Content-Disposition", "render; handling=optional")]), Ok(false));
        assert_eq!(read(&[("c", "application/sdp"), ("Content-Disposition", "early-session")]), Err(Unreadable));
    }

    #[test]
    fn accept_without_sdp_refuses_it() {
        assert!(accepts_sdp(&headers(&[])));
        assert!(accepts_sdp(&headers(&[("Accept", "text/plain, application/SDP;level=1")])));
        assert!(accepts_sdp(&headers(&[("Accept", "text/plain"), ("Accept", "*/*;q=0.1")])));
        assert!(!accepts_sdp(&headers(&[("Accept", "text/x")])));
        assert!(!accepts_sdp(&headers(&[("Accept", "")])));
    }
}
