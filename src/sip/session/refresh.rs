//! Session timers (RFC 4028), both roles, as a pure state machine: who shows when that the call still stands.
//!
//! With a peer that does not have the extension we refresh ourselves, so that a call whose peer is gone ends all the same.

use std::time::{Duration, Instant};

use super::reliable::lists;
use crate::sip::message::{Headers, Params};

/// The shortest session interval that we take (RFC 4028 §5: no less than this).
pub(super) const MIN_SE: Duration = Duration::from_secs(90);
/// What a peer that breaks the rules gets at the least, so that we are not kept busy.
const SHORTEST: Duration = Duration::from_secs(10);

/// Who refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresher {
    We,
    Peer,
}

/// What a message of the peer says about the session's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    interval: Option<Duration>,
    /// Seen from the message: `uac` is the sender of the request.
    refresher_is_uac: Option<bool>,
    min: Duration,
    supported: bool,
}

/// The interval of a request is too short for us: 422 (RFC 4028 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooShort;

impl Terms {
    pub fn read(headers: &Headers) -> Self {
        let seconds = |text: &str| text.trim().parse::<u32>().ok().map(|s| Duration::from_secs(s.into()));
        let expires = headers.get("Session-Expires").map(|value| value.split_once(';').unwrap_or((value, "")));
        let refresher = expires.and_then(|(_, params)| Params::parse(params).get("refresher").map(str::to_owned));
        Terms {
            interval: expires.and_then(|(interval, _)| seconds(interval)),
            refresher_is_uac: refresher.and_then(|role| match role.to_ascii_lowercase().as_str() {
                "uac" => Some(true),
                "uas" => Some(false),
                _ => None,
            }),
            min: min_se(headers).unwrap_or(MIN_SE),
            supported: lists(headers, "Supported", "timer") || lists(headers, "Require", "timer"),
        }
    }
}

fn min_se(headers: &Headers) -> Option<Duration> {
    let value = headers.get("Min-SE")?.split(';').next()?;
    value.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// The shortest interval that a 422 allows, if it is longer than `asked`.
pub(super) fn allowed_by(refusal: &Headers, asked: Duration) -> Option<Duration> {
    min_se(refusal).filter(|min| *min > asked)
}

/// What is agreed, and when the next step is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refresh {
    pub interval: Duration,
    pub refresher: Refresher,
    /// The peer has the extension.
    supported: bool,
    refresh_at: Instant,
    expires_at: Instant,
}

/// What a [`Refresh`] whose time has come wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A refresh is to be sent.
    Refresh,
    /// Nobody has refreshed: BYE (RFC 4028 §10).
    Expired,
}

impl Refresh {
    /// Answers a request of the peer. `before` is what was agreed last, `wanted` our own interval.
    ///
    /// # Errors
    /// [`TooShort`] when the peer has the extension and wants less than [`MIN_SE`].
    pub fn answer(now: Instant, asked: Terms, before: Option<&Refresh>, wanted: Duration) -> Result<Self, TooShort> {
        let supported = asked.supported || before.is_some_and(|before| before.supported);
        if asked.supported && asked.interval.is_some_and(|interval| interval < MIN_SE) {
            return Err(TooShort);
        }
        let wanted = wanted.max(asked.min);
        let interval = match (asked.interval, before) {
            (Some(interval), _) => interval.min(wanted),
            (None, Some(before)) => before.interval.max(asked.min),
            (None, None) => wanted,
        };
        // RFC 4028 §9, table 2: a peer without the extension cannot be the refresher.
        let refresher = match (asked.refresher_is_uac, before) {
            _ if !supported => Refresher::We,
            (Some(true), _) => Refresher::Peer,
            (Some(false), _) => Refresher::We,
            (None, before) => before.map_or(Refresher::We, |before| before.refresher),
        };
        Ok(Self::begin(now, interval, refresher, supported))
    }

    /// Takes the 2xx to a request of ours that asked for `wanted`.
    pub fn answered(now: Instant, answer: Terms, wanted: Duration) -> Self {
        let refresher = match answer {
            Terms { interval: Some(_), refresher_is_uac: Some(false), .. } => Refresher::Peer,
            _ => Refresher::We,
        };
        Self::begin(now, answer.interval.unwrap_or(wanted), refresher, answer.supported || answer.interval.is_some())
    }

    fn begin(now: Instant, interval: Duration, refresher: Refresher, supported: bool) -> Self {
        let interval = interval.max(SHORTEST);
        // RFC 4028 §10: we give up a little before the end.
        let expires_at = now + interval - (interval / 3).min(Duration::from_secs(32));
        Refresh { interval, refresher, supported, refresh_at: now + interval / 2, expires_at }
    }

    /// The same terms, counted from now.
    pub fn restart(self, now: Instant) -> Self {
        Self::begin(now, self.interval, self.refresher, self.supported)
    }

    pub fn poll_timeout(&self) -> Instant {
        match self.refresher {
            Refresher::We => self.refresh_at.min(self.expires_at),
            Refresher::Peer => self.expires_at,
        }
    }

    pub fn on_timeout(&mut self, now: Instant) -> Option<Due> {
        if now >= self.expires_at {
            return Some(Due::Expired);
        }
        if self.refresher == Refresher::Peer || now < self.refresh_at {
            return None;
        }
        self.refresh_at = now + self.interval / 8;
        Some(Due::Refresh)
    }

    /// Into our 2xx.
    pub fn write_answer(&self, headers: &mut Headers) {
        let role = if self.refresher == Refresher::We { "uas" } else { "uac" };
        headers.push("Session-Expires", format!("{};refresher={role}", self.interval.as_secs()));
        if self.supported {
            headers.push("Require", "timer");
        }
    }

    /// Into our re-INVITE or UPDATE, which leaves the roles as they are (RFC 4028 §7.4).
    pub fn write_request(&self, headers: &mut Headers) {
        let role = if self.refresher == Refresher::We { "uac" } else { "uas" };
        headers.push("Session-Expires", format!("{};refresher={role}", self.interval.as_secs()));
        headers.push("Min-SE", MIN_SE.as_secs().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Refresher::{Peer, We};

    const WANTED: Duration = Duration::from_secs(1800);

    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    fn clock() -> Instant {
        Instant::now()
    }

    fn terms(fields: &[(&str, &str)]) -> Terms {
        let mut headers = Headers::default();
        fields.iter().for_each(|(name, value)| headers.push(name, *value));
        Terms::read(&headers)
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_callee_agrees_as_the_table_of_the_rfc_says() {
        let timer = ("Supported", "100rel, timer");
        let cases: &[(&[(&str, &str)], u64, Refresher)] = &[
            (&[], 1800, We),
            (&[("x", "600")], 600, We),
            (&[("Session-Expires", "600;refresher=uac")], 600, We),
            (&[timer], 1800, We),
            (&[timer, ("Session-Expires", "600")], 600, We),
            (&[timer, ("Session-Expires", "600 ; refresher = UAC")], 600, Peer),
            (&[timer, ("Session-Expires", "600;refresher=uas")], 600, We),
            (&[timer, ("Session-Expires", "90;refresher=uac")], 90, Peer),
            (&[timer, ("Session-Expires", "7200;refresher=uac"), ("Min-SE", "3600")], 3600, Peer),
            (&[timer, ("Min-SE", "3600")], 3600, We),
            (&[("Session-Expires", "60")], 60, We),
            (&[timer, ("Session-Expires", "soon")], 1800, We),
        ];
        for (fields, interval, refresher) in cases {
            let mut headers = Headers::default();
            fields.iter().for_each(|(name, value)| headers.push(name, *value));
            let agreed = Refresh::answer(clock(), Terms::read(&headers), None, WANTED).unwrap();
            assert_eq!((agreed.interval, agreed.refresher), (seconds(*interval), *refresher), "{fields:?}");
        }
        let short = terms(&[timer, ("Session-Expires", "89")]);
        assert_eq!(Refresh::answer(clock(), short, None, WANTED), Err(TooShort));
    }

    #[test]
    fn a_change_by_the_peer_keeps_the_roles_unless_he_names_them() {
        let before = Refresh::begin(clock(), seconds(600), Peer, true);
        let plain = Refresh::answer(clock(), terms(&[]), Some(&before), WANTED).unwrap();
        assert_eq!((plain.interval, plain.refresher), (seconds(600), Peer));
        let named = terms(&[("Supported", "timer"), ("Session-Expires", "300;refresher=uas")]);
        let named = Refresh::answer(clock(), named, Some(&before), WANTED).unwrap();
        assert_eq!((named.interval, named.refresher), (seconds(300), We));
    }

    #[test]
    fn a_caller_takes_the_role_that_the_answer_gives() {
        let cases: &[(&[(&str, &str)], u64, Refresher)] = &[
            (&[], 1800, We),
            (&[("Session-Expires", "900;refresher=uas")], 900, Peer),
            (&[("Session-Expires", "900;refresher=uac"), ("Require", "timer")], 900, We),
            (&[("Session-Expires", "900")], 900, We),
            (&[("Session-Expires", "0;refresher=uas")], 10, Peer),
        ];
        for (fields, interval, refresher) in cases {
            let agreed = Refresh::answered(clock(), terms(fields), WANTED);
            assert_eq!((agreed.interval, agreed.refresher), (seconds(*interval), *refresher), "{fields:?}");
        }
    }

    #[test]
    fn the_refresher_tries_at_half_time_and_again_until_the_session_expires() {
        let start = clock();
        let mut refresh = Refresh::begin(start, seconds(90), We, true);
        let mut times = Vec::new();
        loop {
            let at = refresh.poll_timeout();
            times.push((at - start).as_millis());
            if refresh.on_timeout(at) == Some(Due::Expired) {
                break;
            }
        }
        assert_eq!(times, [45_000, 56_250, 60_000]);
    }

    #[test]
    fn the_other_only_watches() {
        let start = clock();
        let mut refresh = Refresh::begin(start, WANTED, Peer, true);
        assert_eq!(refresh.poll_timeout() - start, seconds(1768));
        assert_eq!(refresh.on_timeout(start + seconds(1767)), None);
        assert_eq!(refresh.on_timeout(start + seconds(1768)), Some(Due::Expired));
    }

    #[test]
    fn requests_and_answers_name_the_same_refresher() {
        for (refresher, in_answer, in_request) in
            [(We, "90;refresher=uas", "90;refresher=uac"), (Peer, "90;refresher=uac", "90;refresher=uas")]
        {
            let refresh = Refresh::begin(clock(), MIN_SE, refresher, true);
            let (mut answer, mut request) = (Headers::default(), Headers::default());
            refresh.write_answer(&mut answer);
            refresh.write_request(&mut request);
            assert_eq!(answer.get("Session-Expires"), Some(in_answer));
            assert_eq!((request.get("Session-Expires"), request.get("Min-SE")), (Some(in_request), Some("90")));
            assert_eq!(answer.get("Require"), Some("timer"));
        }
    }

    #[test]
    fn a_422_counts_when_it_asks_for_more() {
        let mut refusal = Headers::default();
        assert_eq!(allowed_by(&refusal, MIN_SE), None);
        refusal.push("Min-SE", "300");
        assert_eq!(allowed_by(&refusal, MIN_SE), Some(seconds(300)));
        assert_eq!(allowed_by(&refusal, seconds(300)), None, "it would be refused for ever");
    }
}
