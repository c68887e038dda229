//! Cuts a byte stream (TCP, TLS) into messages by Content-Length (RFC 3261 §18.3), without I/O.
//!
//! After an error the boundary of the next message is unknown: the connection is to be closed. The head of a message
//! whose body cannot be found is given out before the error, so that its sender is told (RFC 4475 §3.1.2.3).

use super::parse::{content_length, head_end, read_headers};
use super::{MAX_BODY, MAX_MESSAGE, ParseError};

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
    /// The length of the message at the beginning of the buffer, once its head is there.
    awaited: Option<usize>,
    /// The stream cannot go on: the next poll says so.
    broken: Option<FramingError>,
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

    /// The next whole frame.
    pub fn poll(&mut self) -> Result<Option<Frame>, FramingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.awaited.is_some_and(|length| self.buffer.len() < length) {
            return Ok(None);
        }
        // Single line ends before a message are pongs or idle talk. One at the very end may be half a ping.
        let mut start = 0;
        loop {
            match self.buffer.get(start..).unwrap_or_default() {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.take(start + 4);
                    return Ok(Some(Frame::Ping));
                }
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => {
                    self.take(start);
                    return Ok(None);
                }
                [b'\r', b'\n', ..] => start += 2,
                [b'\r' | b'\n', ..] => start += 1,
                _ => break,
            }
        }
        if start > 0 {
            self.take(start);
        }
        let Some(head) = head_end(&self.buffer, self.searched) else {
            // The end of a head is at most three bytes long.
            self.searched = self.buffer.len().saturating_sub(3);
            return if self.buffer.len() > MAX_MESSAGE - MAX_BODY { Err(FramingError::TooLarge) } else { Ok(None) };
        };
        // RFC 3261 §20.14 demands Content-Length on streams; a message without one is taken to have no body.
        let lines = self.buffer.get(..head).unwrap_or_default().split(|b| *b == b'\n').skip(1);
        let (headers, _) = read_headers(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
        let body = match content_length(&headers) {
            Ok(length) if length.unwrap_or(0) > MAX_BODY || head > MAX_MESSAGE - MAX_BODY => {
                Err(FramingError::TooLarge)
            }
            Ok(length) => Ok(length.unwrap_or(0)),
            Err(error) => Err(FramingError::Head(error)),
        };
        let length = match body {
            Ok(body) => head + body,
            Err(error) => {
                self.broken = Some(error);
                head
            }
        };
        if self.buffer.len() < length {
            self.awaited = Some(length);
            return Ok(None);
        }
        Ok(Some(Frame::Message(self.take(length))))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        (self.searched, self.awaited) = (0, None);
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
    }

    #[test]
    fn a_message_without_an_end_is_given_out_before_the_error() {
        for (length, error) in [
            ("70000", FramingError::TooLarge),
            ("99999999999999999999999", FramingError::Head(ParseError::ContentLength)),
            ("-1", FramingError::Head(ParseError::ContentLength)),
            ("1\r\nl: 2", FramingError::Head(ParseError::ContentLength)),
        ] {
            let head = format!("INVITE sip:a@b SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            let mut framer = StreamFramer::default();
            framer.push(head.as_bytes()).unwrap();
            framer.push(b"body").unwrap();
            assert_eq!(framer.poll(), Ok(Some(Frame::Message(head.into_bytes()))));
            assert_eq!((framer.poll(), framer.poll()), (Err(error), Err(error)));
        }
    }
}
