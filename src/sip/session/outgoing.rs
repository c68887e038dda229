//! A call of ours until its final answer (RFC 3261 §13.2, §9.1).
//!
//! Left out: credentials; a challenge is a refusal.

use std::collections::VecDeque;

use super::established::{Closing, Established, Exchange};
use super::leg::Leg;
use super::{Context, SessionTimer, State};
use crate::sip::core::{ALLOW, Core, Owner};
use crate::sip::dialog::Dialog;
use crate::sip::message::{CSeq, Envelope, Method, NameAddr, Request, Response, Uri};
use crate::sip::transaction::{Failed, Failure, GIVE_UP};
use crate::sip::{EndCause, Flow, SessionEvent};

/// Who calls whom.
pub(in crate::sip) struct Caller {
    pub target: Uri,
    /// The user part of our Contact, which is also our address of record.
    pub user: String,
}

pub(super) struct Outgoing {
    caller: Box<Caller>,
    offer: Vec<u8>,
    call_id: String,
    local_tag: String,
    cseq: u32,
    /// Flows to try when one is dead (RFC 3263 §4.3).
    more: VecDeque<Flow>,
    early_sdp: Option<Vec<u8>>,
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
    /// The user has hung up; the CANCEL waits for a provisional answer (RFC 3261 §9.1).
    CancelPending(Sent),
    /// The CANCEL is sent; the INVITE still gets its answer.
    Cancelling(Sent),
}

impl Outgoing {
    pub fn start(cx: &mut Context<'_>, caller: Caller, call_id: String, offer: Vec<u8>) -> State {
        let Uri { host, port, .. } = &caller.target;
        let transport = caller.target.transport();
        cx.core.resolve(Owner::Call(cx.key), host, *port, transport);
        let local_tag = cx.core.token();
        State::Outgoing(Outgoing {
            caller: Box::new(caller),
            offer,
            call_id,
            local_tag,
            cseq: 0,
            more: VecDeque::new(),
            early_sdp: None,
            phase: Phase::Resolving,
        })
    }

    pub fn on_resolved(mut self, cx: &mut Context<'_>, flows: Vec<Flow>) -> State {
        if !matches!(self.phase, Phase::Resolving) {
            return State::Outgoing(self);
        }
        self.more = flows.into();
        self.try_next(cx, EndCause::TransportFailed("the target has no address".into()))
    }

    pub fn hang_up(mut self, cx: &mut Context<'_>) -> State {
        self.phase = match self.phase {
            Phase::Resolving => {
                cx.end(EndCause::Cancelled(None));
                return State::Over;
            }
            Phase::Trying(sent) => {
                cx.end(EndCause::Cancelled(None));
                Phase::CancelPending(sent)
            }
            Phase::Proceeding(sent) => {
                cx.end(EndCause::Cancelled(None));
                cancel(cx, &sent);
                Phase::Cancelling(sent)
            }
            phase => phase,
        };
        State::Outgoing(self)
    }

    pub fn on_response(mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        // The answer to a CANCEL says nothing: the INVITE gets its own. An answer to an earlier INVITE is late.
        if envelope.cseq.method != Method::Invite || envelope.cseq.number != self.cseq {
            return State::Outgoing(self);
        }
        match response.status {
            ..200 => {
                self.on_provisional(cx, response);
                State::Outgoing(self)
            }
            200..300 => self.on_answer(cx, response, envelope),
            _ => self.on_refusal(cx, response),
        }
    }

    pub fn on_failed(self, cx: &mut Context<'_>, failed: Failed<Owner>) -> State {
        if failed.cseq.method != Method::Invite || failed.cseq.number != self.cseq {
            return State::Outgoing(self);
        }
        let cause = match failed.why {
            Failure::Timeout => EndCause::Timeout,
            Failure::Transport(error) => EndCause::TransportFailed(error),
        };
        match self.phase {
            Phase::CancelPending(_) | Phase::Cancelling(_) => State::Over,
            Phase::Proceeding(_) => {
                cx.end(cause);
                State::Over
            }
            Phase::Resolving | Phase::Trying(_) => self.try_next(cx, cause),
        }
    }

    /// RFC 3261 §9.1: a cancelled INVITE without a final answer is given up.
    pub fn on_cancel_overdue(self, cx: &mut Context<'_>) -> State {
        if let Phase::Cancelling(Sent { invite, .. }) = &self.phase
            && let Ok(envelope) = invite.envelope()
            && let Some(branch) = envelope.via.branch()
        {
            cx.core.transactions.abandon(branch, &Method::Invite);
        }
        State::Over
    }

    fn on_provisional(&mut self, cx: &mut Context<'_>, response: &Response) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Resolving) {
            Phase::Trying(sent) | Phase::Proceeding(sent) => {
                if response.status == 180 {
                    cx.emit(SessionEvent::Ringing);
                }
                if let Some(sdp) = response.sdp() {
                    self.early_sdp = Some(sdp.clone());
                    cx.emit(SessionEvent::EarlyMedia { flow: sent.flow, sdp });
                }
                Phase::Proceeding(sent)
            }
            Phase::CancelPending(sent) => {
                cancel(cx, &sent);
                Phase::Cancelling(sent)
            }
            phase => phase,
        };
    }

    fn on_answer(self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        let (sent, cancelled) = match self.phase {
            Phase::Trying(sent) | Phase::Proceeding(sent) => (sent, false),
            Phase::CancelPending(sent) | Phase::Cancelling(sent) => (sent, true),
            Phase::Resolving => return State::Over,
        };
        cx.timers.clear();
        let Ok(dialog) = Dialog::uac(response, envelope) else {
            if !cancelled {
                cx.end(EndCause::Failed("the answer has no usable Contact"));
            }
            return State::Over;
        };
        let mut leg = Leg::new(dialog, sent.flow, false, self.caller.user);
        leg.acknowledge(cx.core, cx.now, cx.owner(), self.cseq);
        if cancelled {
            return Closing::start(cx, leg);
        }
        let Some(sdp) = response.sdp().or(self.early_sdp) else {
            cx.end(EndCause::Failed("the answer has no SDP"));
            return Closing::start(cx, leg);
        };
        cx.emit(SessionEvent::Answered { flow: sent.flow, sdp });
        State::Established(Established { leg, exchange: Exchange::Stable })
    }

    fn on_refusal(self, cx: &mut Context<'_>, response: &Response) -> State {
        // The user knows already that the call is over.
        if matches!(self.phase, Phase::CancelPending(_) | Phase::Cancelling(_)) {
            return State::Over;
        }
        let cause = EndCause::Rejected { status: response.status, reason: response.reason.clone() };
        match response.status {
            // RFC 3263 §4.3: as good as no answer.
            503 => self.try_next(cx, cause),
            _ => {
                cx.end(cause);
                State::Over
            }
        }
    }

    /// Sends the INVITE over the next flow; ends the call with `otherwise` when there is none.
    fn try_next(mut self, cx: &mut Context<'_>, otherwise: EndCause) -> State {
        let Some(flow) = self.more.pop_front() else {
            cx.end(otherwise);
            return State::Over;
        };
        self.cseq += 1;
        let draft = self.invite(cx.core, flow);
        let owner = cx.owner();
        let Some(invite) = cx.core.request(cx.now, flow, &draft, owner) else {
            cx.end(EndCause::Failed("too many transactions: try again later"));
            return State::Over;
        };
        self.phase = Phase::Trying(Sent { invite, flow });
        State::Outgoing(self)
    }

    fn invite(&self, core: &Core, flow: Flow) -> Request {
        let contact = core.contact(&self.caller.user, &flow);
        let mut target = self.caller.target.clone();
        // RFC 3261 §19.1.1: headers of a URI do not go into a Request-URI.
        target.headers = None;
        let from = contact.clone().with_tag(&self.local_tag);
        let mut invite = Request::new(Method::Invite, target.clone());
        invite.headers.push("From", from.to_string());
        invite.headers.push("To", NameAddr::new(None, target).to_string());
        invite.headers.push("Call-ID", self.call_id.clone());
        invite.headers.push("CSeq", CSeq { number: self.cseq, method: Method::Invite }.to_string());
        invite.headers.push("Contact", contact.to_string());
        invite.headers.push("Allow", ALLOW);
        invite.set_sdp(self.offer.clone());
        invite
    }
}

/// RFC 3261 §9.1
fn cancel(cx: &mut Context<'_>, Sent { invite, flow }: &Sent) {
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
    let owner = cx.owner();
    cx.core.cancel(cx.now, *flow, cancel, owner);
    cx.timers.set(SessionTimer::CancelOverdue, cx.now + GIVE_UP);
}
