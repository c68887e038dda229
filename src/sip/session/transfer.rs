//! What becomes of a transfer (RFC 3515): ours, told by the peer's NOTIFYs, and the peer's, told by ours.
//!
//! Left out: refreshing the subscription that a REFER makes, and ending it early (RFC 6665 §4.1.2); `Refer-Sub`.

use std::time::{Duration, Instant};

use crate::sip::TransferProgress;
use crate::sip::message::{Params, Request, Response};

/// Longer than a telephone rings: then nothing more will be heard of our transfer.
const NEWS: Duration = Duration::from_secs(200);
/// Longer than any call that a transfer asks for goes without an answer, in seconds.
const SUBSCRIPTION_S: u64 = 300;

/// Our REFER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Referral {
    #[default]
    Idle,
    /// It has no final answer yet. The first NOTIFY may overtake that.
    Asked { until: Instant },
    /// The peer follows it. It is given up when nothing is heard until then.
    Followed { until: Instant },
}

impl Referral {
    /// False while there is one already.
    pub fn begin(&mut self, now: Instant) -> bool {
        let idle = *self == Referral::Idle;
        if idle {
            *self = Referral::Asked { until: now + NEWS };
        }
        idle
    }

    /// The REFER got its final answer, or 408 or 503 stands for none.
    pub fn on_answer(&mut self, now: Instant, status: u16) -> Option<TransferProgress> {
        match (*self, status) {
            (Referral::Idle, _) | (Referral::Followed { .. }, ..300) => None,
            (Referral::Asked { .. }, ..300) => {
                *self = Referral::Followed { until: now + NEWS };
                Some(TransferProgress::Accepted)
            }
            (Referral::Asked { .. } | Referral::Followed { .. }, _) => {
                *self = Referral::Idle;
                Some(TransferProgress::Failed(status))
            }
        }
    }

    pub fn on_notify(&mut self, now: Instant, news: News) -> Vec<TransferProgress> {
        let mut progress = Vec::new();
        match self {
            Referral::Idle => return progress,
            Referral::Asked { .. } => progress.push(TransferProgress::Accepted),
            Referral::Followed { .. } => {}
        }
        *self = Referral::Followed { until: now + NEWS };
        match news.status {
            Some(200..300) => progress.push(self.end(TransferProgress::Succeeded)),
            Some(status @ 300..) => progress.push(self.end(TransferProgress::Failed(status))),
            // The end without a result: nothing will be heard any more.
            _ if news.is_last => progress.push(self.end(TransferProgress::Failed(408))),
            Some(status) => progress.push(TransferProgress::Trying(status)),
            None => {}
        }
        progress
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Referral::Idle => None,
            Referral::Asked { until } | Referral::Followed { until } => Some(*until),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Option<TransferProgress> {
        let is_due = self.poll_timeout().is_some_and(|at| at <= now);
        is_due.then(|| self.end(TransferProgress::Failed(408)))
    }

    fn end(&mut self, result: TransferProgress) -> TransferProgress {
        *self = Referral::Idle;
        result
    }
}

/// What a NOTIFY says of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// The number of the REFER, if it names that.
    pub id: Option<u32>,
    /// The status line of the target's answer.
    pub status: Option<u16>,
    /// The subscription ends.
    pub is_last: bool,
}

impl News {
    /// `None` when the NOTIFY is of something else than a transfer.
    pub fn read(notify: &Request) -> Option<Self> {
        let event = notify.headers.get("Event")?;
        let (package, params) = event.split_once(';').unwrap_or((event, ""));
        if !package.trim().eq_ignore_ascii_case("refer") {
            return None;
        }
        let id = Params::parse(params).get("id").and_then(|id| id.parse().ok());
        let state = notify.headers.get("Subscription-State").unwrap_or("");
        let is_last = state.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("terminated");
        Some(News { id, status: status_of(&notify.body), is_last })
    }
}

/// The status in a `message/sipfrag` (RFC 3420) that begins with a status line.
fn status_of(sipfrag: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(sipfrag.get(..64).unwrap_or(sipfrag));
    let mut words = text.split_ascii_whitespace();
    let version = words.next()?;
    if !version.get(..4)?.eq_ignore_ascii_case("SIP/") {
        return None;
    }
    words.next()?.parse().ok().filter(|status| (100..700).contains(status))
}

/// What we tell the peer of the call that he asked for. One NOTIFY is out at a time, so that they do not overtake one
/// another; only the last does not wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reports {
    /// The number of the REFER, where there was one before it (RFC 3515 §2.4.6).
    id: Option<u32>,
    last: u16,
    waiting: Option<u16>,
    is_out: bool,
}

impl Reports {
    /// Begins with 100 Trying, which is to be told at once (RFC 3515 §2.4.4).
    pub fn begin(id: Option<u32>) -> (Self, u16) {
        (Reports { id, last: 100, waiting: None, is_out: true }, 100)
    }

    /// The call has got that status: what is to be told now.
    pub fn on_progress(&mut self, status: u16) -> Option<u16> {
        if status == self.last {
            return None;
        }
        self.last = status;
        if self.is_out && status < 200 {
            self.waiting = Some(status);
            return None;
        }
        self.is_out = true;
        self.waiting = None;
        Some(status)
    }

    /// The NOTIFY got an answer: what is to be told now.
    pub fn on_answer(&mut self) -> Option<u16> {
        let next = self.waiting.take();
        self.is_out = next.is_some();
        next
    }

    /// Makes a NOTIFY tell that status (RFC 3515 §2.4.5).
    pub fn describe(&self, status: u16, notify: &mut Request) {
        let headers = &mut notify.headers;
        let event = self.id.map_or_else(|| "refer".to_owned(), |id| format!("refer;id={id}"));
        headers.push("Event", event);
        let state = if status < 200 {
            format!("active;expires={SUBSCRIPTION_S}")
        } else {
            "terminated;reason=noresource".to_owned()
        };
        headers.push("Subscription-State", state);
        headers.push("Content-Type", "message/sipfrag;version=2.0");
        let reason = Response::answer(notify, status).reason;
        notify.body = format!("SIP/2.0 {status} {reason}\r\n").into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::{Method, Uri};
    use TransferProgress::{Accepted, Failed, Succeeded, Trying};

    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    fn start() -> Instant {
        Instant::now()
    }

    fn asked(now: Instant) -> Referral {
        let mut referral = Referral::default();
        assert!(referral.begin(now));
        assert!(!referral.begin(now), "one at a time");
        referral
    }

    fn news(status: u16) -> News {
        News { id: None, status: Some(status), is_last: status >= 200 }
    }

    #[test]
    fn a_transfer_is_accepted_tried_and_done() {
        let now = start();
        let mut referral = asked(now);
        assert_eq!(referral.on_answer(now, 202), Some(Accepted));
        assert_eq!(referral.on_notify(now, news(100)), [Trying(100)]);
        assert_eq!(referral.on_notify(now, news(180)), [Trying(180)]);
        assert_eq!(referral.on_notify(now, news(200)), [Succeeded]);
        assert!(referral.on_notify(now, news(200)).is_empty(), "there is none any more");
        assert!(referral.begin(now));
    }

    #[test]
    fn a_notify_that_overtakes_the_answer_accepts() {
        let now = start();
        let mut referral = asked(now);
        assert_eq!(referral.on_notify(now, news(486)), [Accepted, Failed(486)]);
        assert_eq!(referral.on_answer(now, 202), None);
        let mut referral = asked(now);
        assert_eq!(referral.on_notify(now, news(100)), [Accepted, Trying(100)]);
        assert_eq!(referral.on_answer(now, 202), None);
    }

    #[test]
    fn a_refusal_ends_it() {
        let now = start();
        let mut referral = asked(now);
        assert_eq!(referral.on_answer(now, 603), Some(Failed(603)));
        assert_eq!(referral.poll_timeout(), None);
    }

    #[test]
    fn a_transfer_of_which_nothing_is_heard_has_failed() {
        let now = start();
        let mut referral = asked(now);
        referral.on_answer(now, 202);
        assert_eq!(referral.handle_timeout(now + NEWS / 2), None);
        referral.on_notify(now + NEWS / 2, news(180));
        assert_eq!(referral.handle_timeout(now + NEWS), None, "each news gives it new time");
        assert_eq!(referral.handle_timeout(now + NEWS * 2), Some(Failed(408)));
        assert_eq!(referral.handle_timeout(now + NEWS * 2), None);
    }

    #[test]
    fn an_end_without_a_result_is_a_failure() {
        let now = start();
        for status in [None, Some(100)] {
            let mut referral = asked(now);
            referral.on_answer(now, 202);
            assert_eq!(referral.on_notify(now, News { id: None, status, is_last: true }), [Failed(408)]);
        }
    }

    #[test]
    fn a_sipfrag_is_read_as_far_as_its_status() {
        let cases: [(&[u8], Option<u16>); 9] = [
            (b"SIP/2.0 200 OK\r\n", Some(200)),
            (b"\r\n sip/2.0 486 Busy Here\r\nTo: <sip:a@b>\r\n\r\n", Some(486)),
            (b"SIP/2.0 180", Some(180)),
            (b"SIP/2.0 99", None),
            (b"SIP/2.0 700 x", None),
            (b"SIP/2.0", None),
            (b"INVITE sip:a@b SIP/2.0", None),
            (b"", None),
            (&[0xFF; 100], None),
        ];
        for (body, expected) in cases {
            assert_eq!(status_of(body), expected, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_notify_of_another_event_is_no_news() {
        let mut notify = Request::new(Method::Notify, Uri::of_host(None, "h"));
        assert_eq!(News::read(&notify), None);
        notify.headers.push("o", "Refer ; id=93");
        notify.headers.push("Subscription-State", " Terminated;reason=noresource");
        notify.body = b"SIP/2.0 200 OK".to_vec();
        assert_eq!(News::read(&notify), Some(News { id: Some(93), status: Some(200), is_last: true }));
        notify.headers.set("Event", "message-summary");
        assert_eq!(News::read(&notify), None);
    }

    #[test]
    fn reports_go_one_by_one_and_only_the_last_does_not_wait() {
        let (mut reports, first) = Reports::begin(None);
        assert_eq!(first, 100);
        assert_eq!(reports.on_progress(180), None, "the first is out");
        assert_eq!(reports.on_progress(183), None);
        assert_eq!(reports.on_answer(), Some(183), "what was overtaken is not told");
        assert_eq!(reports.on_progress(183), None, "that is known");
        assert_eq!(reports.on_progress(200), Some(200));
        assert_eq!(reports.on_answer(), None);
    }

    #[test]
    fn reports_name_the_refer_where_there_were_several() {
        let (reports, _) = Reports::begin(Some(7));
        let describe = |status| {
            let mut notify = Request::new(Method::Notify, Uri::of_host(None, "h"));
            reports.describe(status, &mut notify);
            notify
        };
        assert_eq!(describe(180).headers.get("Event"), Some("refer;id=7"));
        assert_eq!(describe(180).headers.get("Subscription-State"), Some("active;expires=300"));
        assert_eq!(describe(486).headers.get("Subscription-State"), Some("terminated;reason=noresource"));
        assert_eq!(describe(486).body, b"SIP/2.0 486 Busy Here\r\n");
    }
}
