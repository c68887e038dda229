//! Cuts a byte stream (TCP, TLS) into messages by Content-Length (RFC 3261 §18.3), without I/O.
//!
//! After an error the boundary of the next message is unknown: the connection is to be closed.

use super::parse::{content_length, head_end, read_headers};
use super::{MAX_MESSAGE, ParseError};

/// Why a stream cannot go on. Close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a message on the stream is larger than {MAX_MESSAGE} bytes: close the connection")]
    TooLarge,
    #[error("{0}: close the connection")]
    Head(#[from] ParseError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message for [`super::Message::parse`].
    Message(Vec<u8>),
    /// A keep-alive. Answer it with [`StreamFramer::PONG`] (RFC 5626 §4.4.1).
    Ping,
}

/// One direction of one connection.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: Vec<u8>,
    /// How much of the buffer holds no end of head, so that a slow sender costs no second search.
    searched: usize,
}

impl StreamFramer {
    /// The answer to [`Frame::Ping`].
    pub const PONG: &'static [u8] = b"\r\n";

    /// Takes what was read, at most [`MAX_MESSAGE`] bytes at once. Poll until `None` before the next push.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        if self.buffer.len() + bytes.len() > 2 * MAX_MESSAGE {
            return Err(FramingError::TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether no message has begun.
    pub fn is_between_messages(&self) -> bool {
        self.buffer.iter().all(|b| matches!(b, b'\r' | b'\n'))
    }

    /// The next whole frame.
    pub fn poll(&mut self) -> Result<Option<Frame>, FramingError> {
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.take(4);
            return Ok(Some(Frame::Ping));
        }
        // A single CRLF before a message is a pong or idle talk. The one at the very end may be half a ping.
        while self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|b| *b != b'\r') {
            self.take(2);
        }
        while self.buffer.starts_with(b"\n") {
            self.take(1);
        }
        if self.buffer.starts_with(b"\r") {
            return Ok(None);
        }
        let Some(head) = head_end(&self.buffer, self.searched) else {
            // The end of a head is at most three bytes long.
            self.searched = self.buffer.len().saturating_sub(3);
            return if self.buffer.len() > MAX_MESSAGE { Err(FramingError::TooLarge) } else { Ok(None) };
        };
        // RFC 3261 §20.14 demands Content-Length on streams; a message without one is taken to have no body.
        let lines = self.buffer.get(..head).unwrap_or_default().split(|b| *b == b'\n').skip(1);
        let (headers, _) = read_headers(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
        let body = content_length(&headers)?.unwrap_or(0);
        let length = head.checked_add(body).filter(|length| *length <= MAX_MESSAGE).ok_or(FramingError::TooLarge)?;
        if self.buffer.len() < length {
            // The head was found: look at it again once the body is here.
            self.searched = head.saturating_sub(4);
            return Ok(None);
        }
        Ok(Some(Frame::Message(self.take(length))))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.searched = 0;
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nhello";
    const SECOND: &str = "SIP/2.0 200 OK\r\nl : 0\r\n\r\n";

    fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.poll().unwrap()).collect()
    }

    #[test]
    fn finds_the_same_frames_at_every_fragmentation() {
        let stream = format!("\r\n\r\n{FIRST}\r\n{SECOND}{FIRST}\r\n\r\n{SECOND}");
        let message = |text: &str| Frame::Message(text.as_bytes().to_vec());
        let expected =
            [Frame::Ping, message(FIRST), message(SECOND), message(FIRST), Frame::Ping, message(SECOND)].to_vec();
        for size in 1..stream.len() {
            let mut framer = StreamFramer::default();
            let mut found = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                framer.push(chunk).unwrap();
                found.extend(frames(&mut framer));
            }
            assert_eq!(found, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn an_endless_head_or_a_huge_body_is_an_error() {
        let mut framer = StreamFramer::default();
        framer.push(&vec![b'x'; MAX_MESSAGE + 1]).unwrap();
        assert_eq!(framer.poll(), Err(FramingError::TooLarge));

        let mut framer = StreamFramer::default();
        framer.push(b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 70000\r\n\r\n").unwrap();
        assert_eq!(framer.poll(), Err(FramingError::TooLarge));
    }

    #[test]
    fn an_unreadable_length_is_an_error() {
        let mut framer = StreamFramer::default();
        framer.push(b"INVITE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n").unwrap();
        assert_eq!(framer.poll(), Err(FramingError::Head(ParseError::ContentLength)));
    }
}
