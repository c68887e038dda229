//! Small requests inside a call: transfers (REFER with its NOTIFYs, RFC 3515, RFC 3892) and keys (INFO, RFC 6086 §2).
//!
//! They need the dialog of an answered call and leave its session alone.
//! Left out: transfers before the answer; a transfer's NOTIFYs once the call has ended; INFO packages.

use std::time::{Duration, Instant};

use super::digit::{self, DTMF_RELAY, Info};
use super::leg::Leg;
use super::replaces::{Replaces, replacing};
use super::transfer::{News, Referral, Reports};
use super::{Arrived, Context, Session, State};
use crate::sip::core::{Core, Owner};
use crate::sip::dialog::DialogId;
use crate::sip::message::{Envelope, Method, NameAddr, Request, Response, Uri};
use crate::sip::transaction::{Failed, Failure};
use crate::sip::{CallKey, SessionEvent, TransferProgress};

/// How long the user may think about a transfer that the peer asks for: the peer waits 32 s for any answer.
const DECISION: Duration = Duration::from_secs(20);

/// The errands of one call.
#[derive(Default)]
pub(super) struct Errands {
    referral: Referral,
    /// The number of our last REFER; `None` before the first.
    referred: Option<u32>,
    request: Asked,
    /// The peer has asked for a transfer before.
    was_asked: bool,
}

/// A transfer that the peer asks for.
#[derive(Default)]
enum Asked {
    #[default]
    Nothing,
    /// The user is to decide.
    Undecided { refer: Box<Arrived>, target: Uri, until: Instant },
    /// The user calls whom the peer wants.
    Calling(Reports),
}

/// Whom a peer wants us to call.
pub(in crate::sip) struct Wanted {
    pub target: Uri,
    /// What the INVITE is to carry.
    pub headers: Vec<(&'static str, String)>,
}

pub(super) fn is_errand(method: &Method) -> bool {
    matches!(method, Method::Info | Method::Notify | Method::Refer)
}

impl Errands {
    pub fn poll_timeout(&self) -> Option<Instant> {
        let decision = if let Asked::Undecided { until, .. } = &self.request { Some(*until) } else { None };
        decision.into_iter().chain(self.referral.poll_timeout()).min()
    }

    /// The call is over for its user, who hears no more of it; a REFER without an answer gets one (RFC 3261 §15.1.2).
    pub fn end(&mut self, core: &mut Core, now: Instant) {
        self.refuse_undecided(core, now, 487);
        self.referral = Referral::Idle;
    }

    fn refuse_undecided(&mut self, core: &mut Core, now: Instant, status: u16) {
        self.request = match std::mem::take(&mut self.request) {
            Asked::Undecided { refer, .. } => {
                core.respond(now, &refer.key, Response::answer(&refer.request, status));
                Asked::Nothing
            }
            other => other,
        };
    }

    fn on_refer(&mut self, cx: &mut Context<'_>, arrived: Arrived) {
        match self.read_refer(cx.core, &arrived.request) {
            Ok(target) => {
                cx.emit(SessionEvent::TransferRequested { target: target.clone() });
                let until = cx.now + DECISION;
                self.request = Asked::Undecided { refer: Box::new(arrived), target, until };
            }
            Err(status) => cx.refuse(&arrived, status),
        }
    }

    fn on_notify(&mut self, cx: &mut Context<'_>, arrived: &Arrived) {
        match (News::read(&arrived.request), self.referred) {
            (Some(news), Some(number)) => {
                cx.refuse(arrived, 200);
                // One of an earlier REFER is late.
                if news.id.is_none_or(|id| id >= number) {
                    for progress in self.referral.on_notify(cx.now, news) {
                        cx.emit(SessionEvent::Transfer(progress));
                    }
                }
            }
            // Nobody has subscribed.
            (Some(_), None) => cx.refuse(arrived, 481),
            (None, _) => cx.refuse(arrived, 489),
        }
    }

    /// A request of ours got its final answer, or 408 or 503 stands for none.
    fn on_answer(&mut self, cx: &mut Context<'_>, state: &mut State, method: &Method, status: u16) {
        match (method, &mut self.request) {
            (Method::Refer, _) => {
                if let Some(progress) = self.referral.on_answer(cx.now, status) {
                    cx.emit(SessionEvent::Transfer(progress));
                }
            }
            // The peer does not want to know.
            (Method::Notify, Asked::Calling(_)) if status >= 300 => self.request = Asked::Nothing,
            (Method::Notify, Asked::Calling(reports)) => {
                if let Some(status) = reports.on_answer() {
                    self.report(cx, state, status);
                }
            }
            _ => {}
        }
    }

    /// Tells the peer of the call that he asked for; the last report makes room for another request.
    fn report(&mut self, cx: &mut Context<'_>, state: &mut State, status: u16) {
        let (State::Established(call), Asked::Calling(reports)) = (state, &self.request) else { return };
        let mut notify = call.leg.errand(cx.core, Method::Notify);
        reports.describe(status, &mut notify);
        if call.leg.request(cx, notify).is_err() || status >= 200 {
            self.request = Asked::Nothing;
        }
    }

    /// The target of a REFER, or the status that refuses it.
    fn read_refer(&self, core: &Core, refer: &Request) -> Result<Uri, u16> {
        if !matches!(self.request, Asked::Nothing) {
            return Err(491);
        }
        // RFC 3515 §2.4.2: exactly one.
        let mut targets = refer.headers.values("Refer-To");
        let (Some(target), None) = (targets.next(), targets.next()) else { return Err(400) };
        let target = target.parse::<NameAddr>().map_err(|_| 400u16)?.uri;
        if !target.is_sip() {
            return Err(416);
        }
        // A REFER may ask for any request; we make calls.
        if target.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(603);
        }
        Replaces::of_uri(&target).map_err(|_| 400u16)?;
        if core.config.call_out.allows(&target) { Ok(target) } else { Err(603) }
    }
}

impl Session {
    /// The parts of a session that an errand needs at once.
    fn parts<'a>(&'a mut self, core: &'a mut Core, now: Instant) -> (&'a mut State, &'a mut Errands, Context<'a>) {
        let Session { state, errands, timers, auth, invite, key, .. } = self;
        (state, errands, Context { core, timers, auth, invite, now, key: *key })
    }

    /// A REFER, NOTIFY or INFO of the peer, inside the dialog.
    pub(super) fn on_errand(&mut self, core: &mut Core, now: Instant, arrived: Arrived) {
        let (state, errands, mut cx) = self.parts(core, now);
        let leg = match state {
            State::Established(call) => &mut call.leg,
            // Later, when there is an answer.
            State::Outgoing(_) | State::Ringing(_) => {
                return cx.core.respond_later(now, &arrived.key, Response::answer(&arrived.request, 500));
            }
            // The dialog lives as long as a subscription (RFC 5057 §4.1), though nobody waits for its news any more.
            State::HangingUp(_) | State::Closing(_) if News::read(&arrived.request).is_some() => {
                return cx.refuse(&arrived, 200);
            }
            State::HangingUp(_) | State::Closing(_) | State::Over => return cx.refuse(&arrived, 481),
        };
        // RFC 3261 §12.2.2
        if leg.dialog.accept(&arrived.envelope.cseq).is_err() {
            return cx.refuse(&arrived, 500);
        }
        leg.on_request(&arrived.request, arrived.flow);
        match arrived.request.method {
            Method::Info => on_info(&mut cx, &arrived),
            Method::Notify => errands.on_notify(&mut cx, &arrived),
            _ => errands.on_refer(&mut cx, arrived),
        }
    }

    /// An answer to a REFER, NOTIFY or INFO of ours.
    pub(super) fn on_errand_answer(&mut self, core: &mut Core, now: Instant, answer: &Response, envelope: &Envelope) {
        let (state, errands, mut cx) = self.parts(core, now);
        let taken = state.leg_of(envelope).is_none_or(|leg| leg.takes(&mut cx, answer, envelope));
        if taken && !answer.is_provisional() {
            errands.on_answer(&mut cx, state, &envelope.cseq.method, answer.status);
        }
    }

    /// A REFER, NOTIFY or INFO of ours got no answer.
    pub(super) fn on_errand_failed(&mut self, core: &mut Core, now: Instant, failed: &Failed<Owner>) {
        let (state, errands, mut cx) = self.parts(core, now);
        if let Some(leg) = state.leg_mut() {
            leg.on_failed(failed);
        }
        let status = match failed.why {
            Failure::Timeout => 408,
            Failure::Transport(_) => 503,
        };
        errands.on_answer(&mut cx, state, &failed.cseq.method, status);
    }

    pub(super) fn on_errand_timeout(&mut self, core: &mut Core, now: Instant) {
        let (_, errands, mut cx) = self.parts(core, now);
        if let Some(progress) = errands.referral.handle_timeout(now) {
            cx.emit(SessionEvent::Transfer(progress));
        }
        if matches!(&errands.request, Asked::Undecided { until, .. } if *until <= now) {
            errands.refuse_undecided(cx.core, now, 480);
        }
    }

    /// Sends the peer to `target`.
    pub fn transfer(&mut self, core: &mut Core, now: Instant, target: Uri) {
        let (state, errands, mut cx) = self.parts(core, now);
        let State::Established(call) = state else { return };
        if !errands.referral.begin(now) {
            return cx.emit(SessionEvent::Transfer(TransferProgress::Failed(491)));
        }
        let mut refer = call.leg.errand(cx.core, Method::Refer);
        refer.headers.push("Refer-To", NameAddr::new(None, target).to_string());
        refer.headers.push("Referred-By", NameAddr::new(None, call.leg.dialog.local_uri().clone()).to_string());
        errands.referred = Some(call.leg.dialog.last_cseq());
        if call.leg.request(&mut cx, refer).is_err() {
            errands.on_answer(&mut cx, state, &Method::Refer, 503);
        }
    }

    /// Our peer as he is to be called in the place of ourselves; `None` before the answer and after the end.
    pub fn peer_to_replace_us(&self) -> Option<Uri> {
        let State::Established(call) = &self.state else { return None };
        Some(replacing(call.leg.dialog.remote_target(), &call.leg.dialog.id))
    }

    /// The user calls whom the peer wants; `None` when there is no request of his, or none any more.
    pub fn accept_transfer(&mut self, core: &mut Core, now: Instant) -> Option<Wanted> {
        let (state, errands, mut cx) = self.parts(core, now);
        let State::Established(call) = state else { return None };
        let (refer, target) = match std::mem::take(&mut errands.request) {
            Asked::Undecided { refer, target, .. } => (refer, target),
            other => {
                errands.request = other;
                return None;
            }
        };
        cx.respond(&refer.key, Response::answer(&refer.request, 202).with("Contact", call.leg.contact(cx.core)));
        let mut headers = Vec::new();
        if let Ok(Some(replaces)) = Replaces::of_uri(&target) {
            headers.push(("Replaces", replaces));
        }
        if let Some(referrer) = refer.request.headers.get("Referred-By") {
            headers.push(("Referred-By", referrer.to_owned()));
        }
        let id = errands.was_asked.then_some(refer.envelope.cseq.number);
        errands.was_asked = true;
        let (reports, status) = Reports::begin(id);
        errands.request = Asked::Calling(reports);
        errands.report(&mut cx, state, status);
        // RFC 3261 §19.1.5: of the other headers nothing is taken over.
        Some(Wanted { target: Uri { headers: None, ..target }, headers })
    }

    /// The user does not call whom the peer wants.
    pub fn reject_transfer(&mut self, core: &mut Core, now: Instant, status: u16) {
        let status = if (400..700).contains(&status) { status } else { 603 };
        self.errands.refuse_undecided(core, now, status);
    }

    /// The call that the peer has asked for has got a status.
    pub fn on_progress(&mut self, core: &mut Core, now: Instant, status: u16) {
        let (state, errands, mut cx) = self.parts(core, now);
        if let Asked::Calling(reports) = &mut errands.request
            && let Some(status) = reports.on_progress(status)
        {
            errands.report(&mut cx, state, status);
        }
    }

    /// Presses a key by INFO.
    pub fn send_digit(&mut self, core: &mut Core, now: Instant, digit: char) {
        let (state, _, mut cx) = self.parts(core, now);
        let (State::Established(call), Some(body)) = (state, digit::write(digit)) else { return };
        let mut info = call.leg.errand(cx.core, Method::Info);
        info.headers.push("Content-Type", DTMF_RELAY);
        info.body = body;
        if call.leg.request(&mut cx, info).is_err() {
            tracing::debug!(call.id = %cx.key, "no room for a digit");
        }
    }

    /// What a `Replaces` of that dialog means to this call; `None` when it is another's.
    pub fn replaceable(&self, id: &DialogId) -> Option<Replaceable> {
        if !self.has_dialog(id) {
            return None;
        }
        Some(match &self.state {
            State::Outgoing(_) => Replaceable::NotAnsweredByPeer(self.key),
            State::Ringing(_) => Replaceable::NotAnsweredByUs,
            State::Established(_) => Replaceable::Answered(self.key),
            State::HangingUp(_) | State::Closing(_) | State::Over => Replaceable::Ended,
        })
    }

    /// The call that this one has taken the place of, told once, when it is answered.
    pub fn take_replaced(&mut self) -> Option<CallKey> {
        if matches!(self.state, State::Established(_)) { self.replaces.take() } else { None }
    }
}

fn on_info(cx: &mut Context<'_>, arrived: &Arrived) {
    // RFC 6086 §4.2.2
    if arrived.request.headers.get("Info-Package").is_some() {
        return cx.refuse(arrived, 469);
    }
    match digit::read(&arrived.request) {
        Info::Digit { digit, duration } => {
            cx.refuse(arrived, 200);
            cx.emit(SessionEvent::Digit { digit, duration });
        }
        Info::Nothing => cx.refuse(arrived, 200),
        Info::Bad => cx.refuse(arrived, 400),
        Info::Unknown => {
            cx.respond(&arrived.key, Response::answer(&arrived.request, 415).with("Accept", digit::ACCEPT));
        }
    }
}

/// What becomes of a `Replaces` (RFC 3891 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sip) enum Replaceable {
    Answered(CallKey),
    /// It is a call of ours, which may be replaced.
    NotAnsweredByPeer(CallKey),
    /// It is a call to us, which must not.
    NotAnsweredByUs,
    Ended,
}

impl Leg {
    /// A request that leaves the session alone. The peer's NOTIFYs go to its Contact.
    fn errand(&mut self, core: &Core, method: Method) -> Request {
        let mut request = self.dialog.request(method);
        request.headers.push("Contact", self.contact(core));
        request
    }
}
