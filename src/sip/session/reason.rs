//! `Reason`: why a call was ended (RFC 3326). Read from BYE and CANCEL, and the few that we give.
//!
//! Left out: more than one reason in a message; the first counts.

use crate::sip::Reason;
use crate::sip::message::{Headers, Params};

/// Another telephone of the callee has answered.
pub(super) const ANSWERED_ELSEWHERE: &str = "SIP;cause=200;text=\"Answered elsewhere\"";
/// Nobody has answered within the time that the user gave.
pub(super) const NOT_ANSWERED: &str = "SIP;cause=408;text=\"Not answered in time\"";
/// The session was not refreshed.
pub(super) const EXPIRED: &str = "SIP;cause=408;text=\"Session expired\"";
/// The program ends.
pub(super) const STOPPING: &str = "SIP;cause=503;text=\"Going out of service\"";

impl Reason {
    /// The first reason of a message, if it can be read.
    pub(super) fn read(headers: &Headers) -> Option<Self> {
        let (protocol, params) = headers.values("Reason").next().map(|v| v.split_once(';').unwrap_or((v, "")))?;
        let params = Params::parse(params);
        let text = params.get("text").map(|text| unquote(text.trim())).filter(|text| !text.is_empty());
        let cause = params.get("cause").and_then(|cause| cause.trim().parse().ok());
        Some(Reason { protocol: protocol.trim().to_owned(), cause, text }).filter(|reason| !reason.protocol.is_empty())
    }
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest)) else {
        return text.to_owned();
    };
    let mut chars = inner.chars();
    let mut plain = String::with_capacity(inner.len());
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Reason> {
        let mut headers = Headers::default();
        headers.push("Reason", value);
        Reason::read(&headers)
    }

    #[test]
    fn reads_protocol_cause_and_text() {
        let reason = |protocol: &str, cause, text: Option<&str>| {
            Some(Reason { protocol: protocol.into(), cause, text: text.map(str::to_owned) })
        };
        assert_eq!(read("Q.850;cause=16"), reason("Q.850", Some(16), None));
        let spaced = "SIP ;cause=200 ;text=\"Call, \\\"completed\\\"; elsewhere\", Q.850;cause=26";
        assert_eq!(read(spaced), reason("SIP", Some(200), Some("Call, \"completed\"; elsewhere")));
        assert_eq!(read("SIP;cause=many;text=\"\""), reason("SIP", None, None));
        assert_eq!(read(";cause=1"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn what_we_give_can_be_read() {
        for given in [ANSWERED_ELSEWHERE, NOT_ANSWERED, EXPIRED, STOPPING] {
            let reason = read(given).unwrap();
            assert!(reason.protocol == "SIP" && reason.cause.is_some() && reason.text.is_some(), "{given}");
        }
    }
}
