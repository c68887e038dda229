//! A call of ours until its final answer (RFC 3261 §13.2, §9.1): challenges, redirections and dead targets on the way.
//!
//! Left out: trying several targets at once, and 305 and 380, which are refusals.

use std::time::Duration;

use super::closing::Closing;
use super::established::Established;
use super::exchange::Exchange;
use super::fork::{Early, Forks};
use super::leg::Leg;
use super::reason::NOT_ANSWERED;
use super::refresh::{MIN_SE, Refresh, Terms, allowed_by};
use super::targets::{Next, Targets, Trunk};
use super::{Arrived, Context, SessionTimer, State, Wish};
use crate::sip::client_auth::AccountAuth;
use crate::sip::core::{ALLOW, Core, Owner, SUPPORTED};
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::message::{CSeq, Envelope, Method, NameAddr, Request, Response, Uri};
use crate::sip::transaction::{Failed, Failure, GIVE_UP};
use crate::sip::{AccountId, EndCause, Flow, ResolveId, SessionEvent};

/// Who calls whom, and how.
pub(in crate::sip) struct Caller {
    pub target: Uri,
    pub account: Option<AccountId>,
    /// The user part of our Contact, and of our address of record.
    pub user: String,
    /// The domain of our address of record; without one it is our own address.
    pub domain: Option<String>,
    /// The way of the account, if one is used.
    pub trunk: Option<Trunk>,
    pub auth: Option<AccountAuth>,
    /// The call is cancelled when it is not answered by then.
    pub ring_for: Duration,
    /// What the INVITE carries besides.
    pub headers: Vec<(&'static str, String)>,
}

pub(super) struct Outgoing {
    user: String,
    domain: Option<String>,
    /// Whom the user called: `To` stays through redirections (RFC 3261 §8.1.3.4).
    to: NameAddr,
    targets: Box<Targets>,
    /// The question for the addresses of the target, while there is no answer.
    looked_up: Option<ResolveId>,
    /// What the INVITE carries besides.
    headers: Vec<(&'static str, String)>,
    offer: Vec<u8>,
    call_id: String,
    local_tag: String,
    cseq: u32,
    /// The session interval that we ask for; grows with 422.
    interval: Duration,
    /// The shortest that we take, which is what a 422 has asked for (RFC 4028 §7.3).
    min_se: Duration,
    forks: Forks,
    /// An UPDATE in an early dialog waits for the user.
    asked: Option<Box<Arrived>>,
    phase: Phase,
}

/// An INVITE as it was sent.
struct Sent {
    invite: Request,
    flow: Flow,
}

enum Phase {
    /// The way is not known yet.
    Resolving,
    /// No answer yet.
    Trying(Sent),
    /// A provisional answer: a CANCEL can be sent.
    Proceeding(Sent),
    /// The call is given up; the CANCEL waits for a provisional answer (RFC 3261 §9.1).
    CancelPending(Sent, Option<&'static str>),
    /// The CANCEL is sent; the INVITE still gets its answer.
    Cancelling(Sent),
}

impl Outgoing {
    pub fn start(cx: &mut Context<'_>, caller: Caller, call_id: String, offer: Vec<u8>) -> State {
        let Caller { mut target, account: _, user, domain, trunk, auth: _, ring_for, headers } = caller;
        // RFC 3261 §19.1.1: headers of a URI do not go into a Request-URI.
        target.headers = None;
        cx.timers.set(SessionTimer::NotAnswered, cx.now + ring_for);
        let outgoing = Box::new(Outgoing {
            user,
            domain,
            to: NameAddr::new(None, target.clone()),
            targets: Box::new(Targets::new(target, trunk)),
            looked_up: None,
            headers,
            offer,
            call_id,
            local_tag: cx.core.token(),
            cseq: 0,
            interval: cx.core.config.session_expires,
            min_se: MIN_SE,
            forks: Forks::default(),
            asked: None,
            phase: Phase::Resolving,
        });
        outgoing.try_next(cx, EndCause::TransportFailed("the target has no address".into()))
    }

    pub fn has_dialog(&self, id: &DialogId) -> bool {
        self.forks.has_dialog(id)
    }

    /// The dialog that an answer to another request than the INVITE belongs to.
    pub fn leg_of(&mut self, answer: &Envelope) -> Option<&mut Leg> {
        self.forks.leg_of(answer)
    }

    pub fn on_resolved(mut self: Box<Self>, cx: &mut Context<'_>, id: ResolveId, flows: Vec<Flow>) -> State {
        if self.looked_up != Some(id) {
            self.forks.on_resolved(cx, id, &flows);
            return State::Outgoing(self);
        }
        self.looked_up = None;
        // A call with credentials takes the way of its account, so that these are the account's addresses.
        if let Some(auth) = cx.auth {
            auth.trust(&flows);
        }
        self.targets.resolved(flows);
        self.try_next(cx, EndCause::TransportFailed("the target has no address".into()))
    }

    pub fn on_wish(mut self: Box<Self>, cx: &mut Context<'_>, wish: Wish) -> State {
        match (wish, self.asked.take()) {
            (Wish::Hangup(reason), _) => return self.give_up(cx, EndCause::Cancelled(None), reason),
            (Wish::AnswerOffer(sdp), Some(asked)) => {
                if let Some((leg, _)) = self.forks.of_request(&asked) {
                    let ok = Response::answer(&asked.request, 200).with("Contact", leg.contact(cx.core));
                    let mut ok = ok.with("Allow", ALLOW).with("Supported", SUPPORTED);
                    ok.set_sdp(sdp);
                    cx.respond(&asked.key, ok);
                }
            }
            (Wish::RejectOffer, Some(asked)) => cx.refuse(&asked, 488),
            (_, asked) => self.asked = asked,
        }
        State::Outgoing(self)
    }

    /// Ends the call for the user, and takes the INVITE back.
    pub fn give_up(mut self: Box<Self>, cx: &mut Context<'_>, cause: EndCause, reason: Option<&'static str>) -> State {
        self.phase = match self.phase {
            Phase::Resolving => {
                cx.end(cause);
                return State::Over;
            }
            Phase::Trying(sent) => {
                cx.end(cause);
                cx.timers.set(SessionTimer::CancelOverdue, cx.now + GIVE_UP);
                Phase::CancelPending(sent, reason)
            }
            Phase::Proceeding(sent) => {
                cx.end(cause);
                cancel(cx, &sent, reason);
                Phase::Cancelling(sent)
            }
            phase => phase,
        };
        State::Outgoing(self)
    }

    pub fn on_response(mut self: Box<Self>, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        // The answer to a CANCEL or a PRACK says nothing: the INVITE gets its own. An answer to an earlier INVITE is
        // late.
        if envelope.cseq.method != Method::Invite || envelope.cseq.number != self.cseq {
            return State::Outgoing(self);
        }
        match response.status {
            ..200 => {
                self.on_provisional(cx, response, envelope);
                State::Outgoing(self)
            }
            200..300 => self.on_answer(cx, response, envelope),
            _ => self.on_refusal(cx, response),
        }
    }

    pub fn on_failed(mut self: Box<Self>, cx: &mut Context<'_>, failed: Failed<Owner>) -> State {
        if failed.cseq.method != Method::Invite || failed.cseq.number != self.cseq {
            return State::Outgoing(self);
        }
        let cause = match failed.why {
            Failure::Timeout => EndCause::Timeout,
            Failure::Transport(error) => EndCause::TransportFailed(error),
        };
        match self.phase {
            Phase::CancelPending(..) | Phase::Cancelling(_) => State::Over,
            Phase::Proceeding(_) => {
                cx.end(cause);
                State::Over
            }
            Phase::Resolving | Phase::Trying(_) => {
                self.phase = Phase::Resolving;
                self.try_next(cx, cause)
            }
        }
    }

    pub fn on_timeout(self: Box<Self>, cx: &mut Context<'_>, timer: SessionTimer) -> State {
        match timer {
            SessionTimer::NotAnswered => self.give_up(cx, EndCause::NoAnswer, Some(NOT_ANSWERED)),
            // RFC 3261 §9.1: a cancelled INVITE without a final answer is given up.
            SessionTimer::CancelOverdue => State::Over,
            _ => State::Outgoing(self),
        }
    }

    /// A request of the callee in an early dialog (RFC 3311 §5.2).
    pub fn on_request(mut self: Box<Self>, cx: &mut Context<'_>, arrived: Arrived) -> State {
        let is_asked = self.asked.is_some();
        let Some((leg, answered)) = self.forks.of_request(&arrived) else {
            cx.refuse(&arrived, 481);
            return State::Outgoing(self);
        };
        if leg.dialog.accept(&arrived.envelope.cseq).is_err() {
            cx.refuse(&arrived, 500);
            return State::Outgoing(self);
        }
        let offer = arrived.request.sdp();
        match (&arrived.request.method, offer) {
            (Method::Update, None) => {
                leg.on_request(&arrived.request, arrived.flow);
                let ok = Response::answer(&arrived.request, 200).with("Contact", leg.contact(cx.core));
                cx.respond(&arrived.key, ok);
            }
            // Our offer has no answer yet.
            (Method::Update, Some(_)) if !answered => cx.refuse(&arrived, 491),
            (Method::Update, Some(offer)) if !is_asked => {
                leg.on_request(&arrived.request, arrived.flow);
                cx.emit(SessionEvent::Offer { sdp: Some(offer) });
                self.asked = Some(Box::new(arrived));
            }
            // Later, when there is an answer.
            _ => cx.core.respond_later(cx.now, &arrived.key, Response::answer(&arrived.request, 500)),
        }
        State::Outgoing(self)
    }

    fn on_provisional(&mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Resolving) {
            Phase::Trying(sent) | Phase::Proceeding(sent) => {
                if response.status > 100 {
                    let early = self.forks.on_provisional(cx, response, envelope, sent.flow, &self.user);
                    tell(cx, response.status, sent.flow, early);
                }
                Phase::Proceeding(sent)
            }
            Phase::CancelPending(sent, reason) => {
                cancel(cx, &sent, reason);
                Phase::Cancelling(sent)
            }
            phase => phase,
        };
    }

    fn on_answer(self: Box<Self>, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        let Outgoing { user, offer, cseq, interval, mut forks, asked, phase, .. } = *self;
        let (sent, cancelled) = match phase {
            Phase::Trying(sent) | Phase::Proceeding(sent) => (sent, false),
            Phase::CancelPending(sent, _) | Phase::Cancelling(sent) => (sent, true),
            Phase::Resolving => return State::Over,
        };
        if let Some(auth) = cx.auth {
            auth.on_success(&sent.flow, response);
        }
        cx.timers.clear();
        let (leg, sdp) = forks.take(response, envelope);
        let leg = match leg {
            Some(mut leg) => leg.confirm(response).map(|()| leg),
            None => Dialog::uac(response, envelope).map(|dialog| Leg::new(dialog, sent.flow, false, user)),
        };
        let Ok(mut leg) = leg else {
            if !cancelled {
                cx.end(EndCause::Failed("the answer has no usable Contact"));
            }
            return State::Over;
        };
        leg.copy_credentials(&sent.invite);
        leg.chosen_from(forks.into_legs());
        leg.acknowledge(cx, cseq);
        if cancelled {
            return Closing::start(cx, leg, None);
        }
        let Some(sdp) = sdp else {
            cx.end(EndCause::Failed("the answer has no SDP"));
            return Closing::start(cx, leg, None);
        };
        let exchange = match asked {
            Some(asked) if asked.envelope.from.tag() == envelope.to.tag() => Exchange::Asked(asked),
            Some(asked) => {
                cx.refuse(&asked, 481);
                Exchange::Stable
            }
            None => Exchange::Stable,
        };
        cx.emit(SessionEvent::Answered { flow: sent.flow, sdp });
        let refresh = Refresh::answered(cx.now, Terms::read(&response.headers), interval);
        State::Established(Established::new(cx, leg, exchange, refresh, &response.headers, offer))
    }

    fn on_refusal(mut self: Box<Self>, cx: &mut Context<'_>, response: &Response) -> State {
        let sent = match std::mem::replace(&mut self.phase, Phase::Resolving) {
            Phase::Trying(sent) | Phase::Proceeding(sent) => sent,
            // The user knows already that the call is over.
            Phase::Resolving | Phase::CancelPending(..) | Phase::Cancelling(_) => return State::Over,
        };
        self.forks.clear();
        if let Some(asked) = self.asked.take() {
            cx.refuse(&asked, 487);
        }
        let cause = EndCause::Rejected { status: response.status, reason: response.reason.clone() };
        match response.status {
            401 | 407 if cx.auth.as_mut().is_some_and(|auth| auth.on_challenge(&sent.flow, response)) => {
                return self.send(cx, sent.flow);
            }
            // RFC 4028 §7.3
            422 => {
                if let Some(interval) = allowed_by(&response.headers, self.interval) {
                    (self.interval, self.min_se) = (interval, interval);
                    return self.send(cx, sent.flow);
                }
            }
            // RFC 3261 §8.1.3.4
            300..=302 if !self.targets.redirect(&response.headers, &cx.core.config.call_out) => {
                return self.try_target(cx, EndCause::NotAllowed);
            }
            // RFC 3263 §4.3: as good as no answer.
            503 => return self.try_next(cx, cause),
            // RFC 3261 §8.1.3.4 and §21.6: nobody will take this call.
            600.. => {
                cx.end(cause);
                return State::Over;
            }
            _ => {}
        }
        self.try_target(cx, cause)
    }

    /// Sends the INVITE over the next flow, or to the next target; ends the call with `otherwise` when there is none.
    fn try_next(mut self: Box<Self>, cx: &mut Context<'_>, otherwise: EndCause) -> State {
        self.forks.clear();
        match self.targets.next_flow() {
            Next::Flow(flow) => {
                if let Some(auth) = cx.auth.as_mut() {
                    auth.begin();
                }
                self.send(cx, flow)
            }
            Next::Resolve { host, port, transport } => {
                self.looked_up = Some(match self.targets.follows_account() {
                    true => cx.core.resolve_for_account(cx.owner(), &host, port, transport),
                    false => cx.core.resolve(cx.owner(), &host, port, transport),
                });
                self.phase = Phase::Resolving;
                State::Outgoing(self)
            }
            Next::Nothing => self.try_target(cx, otherwise),
        }
    }

    fn try_target(mut self: Box<Self>, cx: &mut Context<'_>, otherwise: EndCause) -> State {
        if self.targets.next_target() {
            return self.try_next(cx, otherwise);
        }
        cx.end(otherwise);
        State::Over
    }

    fn send(mut self: Box<Self>, cx: &mut Context<'_>, flow: Flow) -> State {
        self.cseq += 1;
        let draft = self.invite(cx.core, flow);
        let Some(invite) = cx.request(flow, draft) else {
            cx.end(EndCause::Failed("too many transactions: try again later"));
            return State::Over;
        };
        self.phase = Phase::Trying(Sent { invite, flow });
        State::Outgoing(self)
    }

    fn invite(&self, core: &Core, flow: Flow) -> Request {
        let contact = core.contact(&self.user, &flow);
        let from = match &self.domain {
            Some(domain) => NameAddr::new(None, Uri::of_host(Some(&self.user), domain.clone())),
            None => contact.clone(),
        };
        let mut target = self.targets.current().clone();
        target.headers = None;
        let mut invite = Request::new(Method::Invite, target);
        invite.headers.push("From", from.with_tag(&self.local_tag).to_string());
        invite.headers.push("To", self.to.to_string());
        invite.headers.push("Call-ID", self.call_id.clone());
        invite.headers.push("CSeq", CSeq { number: self.cseq, method: Method::Invite }.to_string());
        invite.headers.push("Contact", contact.to_string());
        invite.headers.push("Allow", ALLOW);
        invite.headers.push("Supported", SUPPORTED);
        invite.headers.push("Session-Expires", self.interval.as_secs().to_string());
        invite.headers.push("Min-SE", self.min_se.as_secs().to_string());
        for (name, value) in &self.headers {
            invite.headers.push(name, value.clone());
        }
        invite.set_sdp(self.offer.clone());
        invite
    }
}

fn tell(cx: &mut Context<'_>, status: u16, flow: Flow, early: Early) {
    let Early::News(sdp) = early else { return };
    if status == 180 {
        cx.emit(SessionEvent::Ringing);
    }
    if let Some(sdp) = sdp {
        cx.emit(SessionEvent::EarlyMedia { flow, sdp });
    }
}

/// RFC 3261 §9.1
fn cancel(cx: &mut Context<'_>, Sent { invite, flow }: &Sent, reason: Option<&str>) {
    let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
    if let Some(via) = invite.headers.values("Via").next() {
        cancel.headers.push("Via", via);
    }
    for name in ["Route", "From", "To", "Call-ID", "Max-Forwards", "User-Agent"] {
        cancel.headers.copy(name, &invite.headers);
    }
    if let Ok(envelope) = invite.envelope() {
        let cseq = CSeq { number: envelope.cseq.number, method: Method::Cancel };
        cancel.headers.push("CSeq", cseq.to_string());
    }
    if let Some(reason) = reason {
        cancel.headers.push("Reason", reason);
    }
    let owner = cx.owner();
    cx.core.cancel(cx.now, *flow, cancel, owner);
    cx.timers.set(SessionTimer::CancelOverdue, cx.now + GIVE_UP);
}
