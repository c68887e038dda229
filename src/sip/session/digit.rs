//! Keys of the telephone by INFO: `application/dtmf-relay` and `application/dtmf`.
//!
//! No RFC has them; they are what telephones and PBXs agree upon. Both are read, the first is written.

use std::time::Duration;

use crate::sip::message::Request;

pub(super) const DTMF_RELAY: &str = "application/dtmf-relay";
const DTMF: &str = "application/dtmf";
/// What an INFO may carry.
pub(super) const ACCEPT: &str = "application/dtmf-relay, application/dtmf";

const USUAL: Duration = Duration::from_millis(160);
const LONGEST: Duration = Duration::from_secs(5);

/// What an INFO says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Info {
    Digit {
        digit: char,
        duration: Duration,
    },
    /// Nothing, or a hook flash: taken note of.
    Nothing,
    /// It is of a known type but cannot be read.
    Bad,
    /// Its type is not known to us.
    Unknown,
}

/// Reads an INFO, whatever its case, spaces and line ends.
pub(super) fn read(info: &Request) -> Info {
    if info.body.iter().all(u8::is_ascii_whitespace) {
        return Info::Nothing;
    }
    let content_type = info.headers.get("Content-Type").unwrap_or("").split(';').next().unwrap_or("").trim();
    if !content_type.eq_ignore_ascii_case(DTMF_RELAY) && !content_type.eq_ignore_ascii_case(DTMF) {
        return Info::Unknown;
    }
    let Ok(text) = std::str::from_utf8(&info.body) else { return Info::Bad };
    let field = |name: &str| {
        let fields = text.lines().filter_map(|line| line.split_once(['=', ':']));
        fields.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    // `application/dtmf` has the key alone, and some write it so in the other type too.
    let key = field("Signal").map_or_else(|| text.trim(), |(_, key)| key);
    let ms = field("Duration").and_then(|(_, ms)| ms.parse().ok());
    let duration = ms.map_or(USUAL, Duration::from_millis).min(LONGEST);
    match key {
        // The numbers of RFC 4733 §3.2 in place of the keys.
        "10" => Info::Digit { digit: '*', duration },
        "11" => Info::Digit { digit: '#', duration },
        "12" => Info::Digit { digit: 'A', duration },
        "13" => Info::Digit { digit: 'B', duration },
        "14" => Info::Digit { digit: 'C', duration },
        "15" => Info::Digit { digit: 'D', duration },
        "16" | "!" | "hf" => Info::Nothing,
        key => match (key.chars().next().and_then(key_of), key.chars().count()) {
            (Some(digit), 1) => Info::Digit { digit, duration },
            _ => Info::Bad,
        },
    }
}

/// The body of an INFO that presses a key; `None` when there is no such key.
pub(super) fn write(digit: char) -> Option<Vec<u8>> {
    let key = key_of(digit)?;
    Some(format!("Signal={key}\r\nDuration={}\r\n", USUAL.as_millis()).into_bytes())
}

fn key_of(c: char) -> Option<char> {
    Some(c.to_ascii_uppercase()).filter(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::{Method, Uri};

    fn info(content_type: &str, body: &str) -> Info {
        let mut info = Request::new(Method::Info, Uri::of_host(None, "h"));
        info.headers.push("Content-Type", content_type);
        info.body = body.as_bytes().to_vec();
        read(&info)
    }

    #[test]
    fn keys_are_read_as_telephones_write_them() {
        let cases = [
            (DTMF_RELAY, "Signal=5\r\nDuration=160\r\n", '5', 160),
            (DTMF_RELAY, "Signal= *\nDuration= 250\n", '*', 250),
            ("Application/DTMF-Relay; charset=utf-8", "signal=d", 'D', 160),
            (DTMF_RELAY, "Signal=11\r\nDuration=999999999\r\n", '#', 5_000),
            (DTMF_RELAY, "Duration=x\r\nSignal=10", '*', 160),
            (DTMF_RELAY, "7", '7', 160),
            (DTMF, "5", '5', 160),
            (DTMF, " #\r\n", '#', 160),
            (DTMF, "Signal=0\r\nDuration=100", '0', 100),
        ];
        for (content_type, body, digit, ms) in cases {
            let expected = Info::Digit { digit, duration: Duration::from_millis(ms) };
            assert_eq!(info(content_type, body), expected, "{body:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        assert_eq!(info("application/media_control+xml", "<x/>"), Info::Unknown);
        assert_eq!(info("application/media_control+xml", "\r\n"), Info::Nothing);
        assert_eq!(info(DTMF_RELAY, "Signal=hf\r\n"), Info::Nothing);
        for body in ["Signal=\r\n", "Signal=E", "Signal=55", "Signal=ф", "=", "Duration=1"] {
            assert_eq!(info(DTMF_RELAY, body), Info::Bad, "{body:?}");
        }
    }

    #[test]
    fn what_we_write_is_read() {
        for digit in "0123456789*#ABCD".chars() {
            let body = String::from_utf8(write(digit).unwrap()).unwrap();
            assert_eq!(info(DTMF_RELAY, &body), Info::Digit { digit, duration: USUAL });
        }
        assert_eq!(write('E'), None);
    }
}
