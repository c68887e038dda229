//! The INVITE usage (RFC 3261 §13 to §15, RFC 3311): a call in either role, from INVITE to the answer to BYE.
//!
//! A session is told what happens and says what is to be done; SDP passes through. The user hears that a call has
//! ended as soon as that is decided; the session lingers until the peer has confirmed it or cannot any more.
//!
//! Left out: re-INVITE from our side, reliable provisional answers, repeating 180 every minute, session timers.

mod established;
mod incoming;
mod leg;
mod outgoing;

use std::time::Instant;

use established::{Closing, Established};
use incoming::Ringing;
pub(super) use outgoing::Caller;
use outgoing::Outgoing;

use super::core::{Core, Owner};
use super::dialog::DialogId;
use super::message::{Envelope, Request, Response};
use super::transaction::{Failed, ServerKey, Timers};
use super::{AccountId, CallKey, EndCause, Flow, Parties, ResolveId, SessionEvent};

/// What the user of a call wants.
#[derive(Debug)]
pub(super) enum Wish {
    Answer(Vec<u8>),
    Reject(u16),
    AnswerOffer(Vec<u8>),
    RejectOffer,
    Hangup,
}

/// A request of the peer, as it arrived.
pub(super) struct Arrived {
    pub key: ServerKey,
    pub request: Request,
    pub envelope: Envelope,
    pub flow: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SessionTimer {
    /// Send the 2xx again (RFC 3261 §13.3.1.4).
    RepeatAnswer,
    /// The ACK of our 2xx is overdue.
    AckOverdue,
    /// A cancelled INVITE gets no final answer (RFC 3261 §9.1).
    CancelOverdue,
}

pub(super) struct Session {
    key: CallKey,
    call_id: String,
    state: State,
    timers: Timers<SessionTimer>,
}

enum State {
    /// We call; there is no final answer yet.
    Outgoing(Outgoing),
    /// We are called and have not answered.
    Ringing(Ringing),
    /// There is an answer.
    Established(Established),
    /// The user has hung up before the ACK of our answer; BYE follows it (RFC 3261 §15).
    HangingUp(Established),
    /// Our BYE is on its way.
    Closing(Closing),
    Over,
}

/// What a state needs to act.
struct Context<'a> {
    core: &'a mut Core,
    timers: &'a mut Timers<SessionTimer>,
    now: Instant,
    key: CallKey,
}

impl Context<'_> {
    fn emit(&mut self, event: SessionEvent) {
        self.core.emit(self.key, event);
    }

    fn end(&mut self, cause: EndCause) {
        self.emit(SessionEvent::Ended { cause });
    }

    fn owner(&self) -> Owner {
        Owner::Call(self.key)
    }

    fn respond(&mut self, key: &ServerKey, response: Response) {
        self.core.respond(self.now, key, response);
    }

    /// Answers a request by a status alone.
    fn refuse(&mut self, arrived: &Arrived, status: u16) {
        self.respond(&arrived.key, Response::answer(&arrived.request, status));
    }
}

impl Session {
    /// A call of ours.
    pub fn call(core: &mut Core, now: Instant, key: CallKey, caller: Caller, offer: Vec<u8>) -> Self {
        let call_id = core.token();
        let mut session = Session { key, call_id: call_id.clone(), state: State::Over, timers: Timers::default() };
        session.step(core, now, |_, cx| Outgoing::start(cx, caller, call_id, offer));
        session
    }

    /// A call of a peer, whose INVITE has begun a server transaction.
    pub fn called(
        core: &mut Core,
        now: Instant,
        key: CallKey,
        arrived: Arrived,
        account: Option<AccountId>,
        user: String,
        parties: Parties,
    ) -> Self {
        let call_id = arrived.envelope.call_id.clone();
        let mut session = Session { key, call_id, state: State::Over, timers: Timers::default() };
        session.step(core, now, |_, cx| State::Ringing(Ringing::start(cx, arrived, account, user, parties)));
        session
    }

    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether a request inside a dialog is for this session.
    pub fn has_dialog(&self, id: &DialogId) -> bool {
        match &self.state {
            State::Ringing(ringing) => ringing.has_dialog(id),
            State::Established(call) | State::HangingUp(call) => call.leg.dialog.id == *id,
            State::Closing(closing) => closing.leg.dialog.id == *id,
            State::Outgoing(_) | State::Over => false,
        }
    }

    /// Whether this is the call that an INVITE outside any dialog has begun, by another way (RFC 3261 §8.2.2.2).
    pub fn was_begun_by(&self, invite: &Envelope) -> bool {
        let id = match &self.state {
            State::Ringing(ringing) => return ringing.was_begun_by(invite),
            State::Established(call) | State::HangingUp(call) => &call.leg.dialog.id,
            State::Closing(closing) => &closing.leg.dialog.id,
            State::Outgoing(_) | State::Over => return false,
        };
        id.call_id == invite.call_id && Some(id.remote_tag.as_str()) == invite.from.tag()
    }

    pub fn on_wish(&mut self, core: &mut Core, now: Instant, wish: Wish) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) if matches!(wish, Wish::Hangup) => call.hang_up(cx),
            State::Ringing(call) => call.on_wish(cx, wish),
            State::Established(call) => call.on_wish(cx, wish),
            other => other,
        });
    }

    /// The program ends: hangs up, and waits for no ACK (RFC 3261 §15 would have us wait for up to 32 s).
    pub fn stop(&mut self, core: &mut Core, now: Instant) {
        self.on_wish(core, now, Wish::Hangup);
        self.step(core, now, |state, cx| match state {
            State::HangingUp(call) => call.close(cx),
            other => other,
        });
    }

    pub fn on_resolved(&mut self, core: &mut Core, now: Instant, id: ResolveId, flows: Vec<Flow>) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_resolved(cx, flows),
            State::Established(call) => call.on_resolved(cx, id, &flows),
            State::Closing(call) => call.on_resolved(cx, id, &flows),
            other => other,
        });
    }

    pub fn on_response(&mut self, core: &mut Core, now: Instant, response: &Response, envelope: &Envelope) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_response(cx, response, envelope),
            State::Established(call) => {
                call.leg.on_repeated_answer(cx, response, envelope);
                State::Established(call)
            }
            State::Closing(call) => call.on_response(cx, response, envelope),
            other => other,
        });
    }

    /// A request of ours got no answer.
    pub fn on_failed(&mut self, core: &mut Core, now: Instant, failed: Failed<Owner>) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_failed(cx, failed),
            State::Closing(call) => call.on_failed(&failed),
            other => other,
        });
    }

    /// A request of the peer inside the dialog, except ACK and CANCEL.
    pub fn on_request(&mut self, core: &mut Core, now: Instant, arrived: Arrived) {
        self.step(core, now, |state, cx| match state {
            State::Ringing(call) => call.on_request(cx, &arrived),
            State::Established(call) => call.on_request(cx, arrived),
            State::HangingUp(call) => call.on_request_after_hangup(cx, arrived),
            State::Closing(call) => call.on_request(cx, &arrived),
            other => {
                cx.refuse(&arrived, 481);
                other
            }
        });
    }

    pub fn on_ack(&mut self, core: &mut Core, now: Instant, ack: &Request, envelope: &Envelope) {
        self.step(core, now, |state, cx| match state {
            State::Established(call) => call.on_ack(cx, ack, envelope),
            State::HangingUp(call) => call.on_ack_after_hangup(cx, envelope),
            other => other,
        });
    }

    /// A CANCEL for the INVITE of that transaction has come, and has been answered.
    pub fn on_cancel(&mut self, core: &mut Core, now: Instant, invite: &ServerKey) {
        self.step(core, now, |state, cx| match state {
            State::Ringing(call) => call.on_cancel(cx, invite),
            State::Established(call) => State::Established(call.on_cancel(cx, invite)),
            other => other,
        });
    }

    pub fn on_flow_failed(&mut self, core: &mut Core, now: Instant, flow: &Flow, error: &str) {
        self.step(core, now, |state, cx| match state {
            State::Ringing(call) => call.on_flow_failed(cx, flow, error),
            State::Established(mut call) => {
                call.leg.on_flow_failed(flow);
                State::Established(call)
            }
            other => other,
        });
    }

    pub fn on_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.step(core, now, |state, cx| match (timer, state) {
                (SessionTimer::RepeatAnswer, State::Established(call)) => State::Established(call.repeat_answer(cx)),
                (SessionTimer::RepeatAnswer, State::HangingUp(call)) => State::HangingUp(call.repeat_answer(cx)),
                (SessionTimer::AckOverdue, State::Established(call)) => {
                    cx.end(EndCause::NoAck);
                    call.close(cx)
                }
                (SessionTimer::AckOverdue, State::HangingUp(call)) => call.close(cx),
                (SessionTimer::CancelOverdue, State::Outgoing(call)) => call.on_cancel_overdue(cx),
                (_, state) => state,
            });
        }
    }

    fn step(&mut self, core: &mut Core, now: Instant, next: impl FnOnce(State, &mut Context<'_>) -> State) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let mut context = Context { core, timers: &mut self.timers, now, key: self.key };
        self.state = next(state, &mut context);
        if self.is_over() {
            self.timers.clear();
        }
    }
}
