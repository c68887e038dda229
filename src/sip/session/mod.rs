//! The INVITE usage (RFC 3261 §13 to §15, RFC 3262, RFC 3311, RFC 3326, RFC 4028): a call in either role, from INVITE to
//! the answer to BYE.
//!
//! A session is told what happens and says what is to be done; SDP passes through. The user hears that a call has
//! ended as soon as that is decided; the session lingers until the peer has confirmed it or cannot any more.
//!
//! Left out: offers of ours in UPDATE or PRACK, descriptions in our provisional answers.

mod closing;
mod digit;
mod errands;
mod established;
mod exchange;
mod fork;
mod incoming;
mod leg;
mod outgoing;
mod reason;
mod refresh;
mod reliable;
mod replaces;
mod targets;
mod transfer;

use std::time::{Duration, Instant};

use closing::Closing;
pub(super) use closing::end_late;
use errands::{Errands, is_errand};
pub(super) use errands::{Replaceable, Wanted};
use established::Established;
pub(super) use incoming::Callee;
use incoming::Ringing;
use leg::Leg;
pub(super) use outgoing::Caller;
use outgoing::Outgoing;
use reason::STOPPING;
pub(super) use replaces::Replaces;
pub(super) use targets::{Next, Targets, Trunk};

use super::client_auth::AccountAuth;
use super::core::{Core, Owner};
use super::dialog::DialogId;
use super::message::{Envelope, Method, Request, Response, Via};
use super::transaction::{Failed, ServerKey, Timers};
use super::{AccountId, CallKey, EndCause, Flow, Reason, ResolveId, SessionEvent};

/// What the user of a call wants.
#[derive(Debug)]
pub(super) enum Wish {
    Ring,
    Answer(Vec<u8>),
    /// With a status, and when the caller may try again.
    Reject(u16, Option<Duration>),
    AnswerOffer(Vec<u8>),
    RejectOffer,
    Offer(Vec<u8>),
    /// With a `Reason` for the peer.
    Hangup(Option<&'static str>),
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
    /// Our call is not answered within the time that the user gave.
    NotAnswered,
    /// Send a reliable 180 again, or give up waiting for its PRACK (RFC 3262 §3).
    RepeatRinging,
    /// Say that it still rings (RFC 3261 §13.3.1.1).
    RingAgain,
    /// The caller's INVITE has reached the end of its lifetime (RFC 3261 §13.3.1).
    InviteExpired,
    /// An offer that met one of the peer may be sent again (RFC 3261 §14.1).
    OfferAgain,
    /// Refresh the session, or take it for dead (RFC 4028 §10).
    Refresh,
}

pub(super) struct Session {
    key: CallKey,
    call_id: String,
    state: State,
    timers: Timers<SessionTimer>,
    /// What we answer to challenges with, in a call of an account.
    auth: Option<Box<AccountAuth>>,
    errands: Errands,
    /// Whose call it is.
    pub account: Option<AccountId>,
    /// The call that ends when this one is answered.
    replaces: Option<CallKey>,
    /// The branch of our INVITE that has no final answer.
    invite: Option<String>,
}

enum State {
    /// We call; there is no final answer yet.
    Outgoing(Box<Outgoing>),
    /// We are called and have not answered.
    Ringing(Box<Ringing>),
    /// There is an answer.
    Established(Established),
    /// The user has hung up before the ACK of our answer; BYE follows it (RFC 3261 §15).
    HangingUp(Established),
    /// Our BYE is on its way.
    Closing(Closing),
    Over,
}

impl State {
    /// The dialog, if there is just one.
    fn leg(&self) -> Option<&Leg> {
        match self {
            State::Ringing(call) => Some(&call.leg),
            State::Established(call) | State::HangingUp(call) => Some(&call.leg),
            State::Closing(closing) => Some(&closing.leg),
            State::Outgoing(_) | State::Over => None,
        }
    }

    fn leg_mut(&mut self) -> Option<&mut Leg> {
        match self {
            State::Ringing(call) => Some(&mut call.leg),
            State::Established(call) | State::HangingUp(call) => Some(&mut call.leg),
            State::Closing(closing) => Some(&mut closing.leg),
            State::Outgoing(_) | State::Over => None,
        }
    }

    /// The dialog that an answer to a request of ours belongs to.
    fn leg_of(&mut self, answer: &Envelope) -> Option<&mut Leg> {
        match self {
            State::Outgoing(_) if answer.cseq.method == Method::Invite => None,
            State::Outgoing(call) => call.leg_of(answer),
            _ => self.leg_mut(),
        }
    }
}

/// What a state needs to act.
struct Context<'a> {
    core: &'a mut Core,
    timers: &'a mut Timers<SessionTimer>,
    auth: &'a mut Option<Box<AccountAuth>>,
    invite: &'a mut Option<String>,
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

    /// Adds credentials for every challenger that is known, if the request goes the account's own way.
    fn authorize(&mut self, flow: &Flow, request: &mut Request) {
        if let Some(auth) = self.auth {
            auth.authorize(flow, request, &self.core.token());
        }
    }

    /// Sends a request in a transaction; the request as sent, or `None` when there is no room.
    fn request(&mut self, flow: Flow, mut draft: Request) -> Option<Request> {
        self.authorize(&flow, &mut draft);
        let sent = self.core.request(self.now, flow, &draft, self.owner())?;
        if sent.method == Method::Invite {
            let via: Option<Via> = sent.headers.values("Via").next().and_then(|via| via.parse().ok());
            *self.invite = via.and_then(|via| via.branch().map(str::to_owned));
        }
        Some(sent)
    }

    /// Sends an ACK. What it repeats of its INVITE's credentials is for the account's own way only.
    fn ack(&mut self, flow: Flow, mut ack: Request) {
        if !self.auth.as_ref().is_some_and(|auth| auth.is_for(&flow)) {
            AccountAuth::strip(&mut ack);
        }
        self.core.ack(flow, &ack);
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
    pub fn call(core: &mut Core, now: Instant, key: CallKey, mut caller: Caller, offer: Vec<u8>) -> Self {
        let mut session = Session::new(key, core.token(), caller.account, caller.auth.take());
        let call_id = session.call_id.clone();
        session.step(core, now, |_, cx| Outgoing::start(cx, caller, call_id, offer));
        session
    }

    /// A call of a peer, whose INVITE has begun a server transaction. It is over at once if it cannot become a call.
    pub fn called(core: &mut Core, now: Instant, key: CallKey, arrived: Arrived, mut callee: Callee) -> Self {
        let call_id = arrived.envelope.call_id.clone();
        let mut session = Session::new(key, call_id, callee.account, callee.auth.take());
        session.replaces = callee.replaces;
        session.step(core, now, |_, cx| Ringing::start(cx, arrived, callee));
        session
    }

    fn new(key: CallKey, call_id: String, account: Option<AccountId>, auth: Option<AccountAuth>) -> Self {
        Session {
            key,
            call_id,
            state: State::Over,
            timers: Timers::default(),
            auth: auth.map(Box::new),
            errands: Errands::default(),
            account,
            replaces: None,
            invite: None,
        }
    }

    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.errands.poll_timeout()).min()
    }

    /// Whether a request inside a dialog is for this session.
    pub fn has_dialog(&self, id: &DialogId) -> bool {
        match &self.state {
            State::Outgoing(call) => call.has_dialog(id),
            state => state.leg().is_some_and(|leg| leg.dialog.id == *id),
        }
    }

    /// Whether this is the call that an INVITE outside any dialog has begun, by another way (RFC 3261 §8.2.2.2).
    pub fn was_begun_by(&self, invite: &Envelope) -> bool {
        self.tag_for(invite).is_some()
    }

    /// Our tag in the dialog that an INVITE outside any has begun; a CANCEL has the same envelope.
    pub fn tag_for(&self, invite: &Envelope) -> Option<&str> {
        let id = &self.state.leg()?.dialog.id;
        let is_his = id.call_id == invite.call_id && Some(id.remote_tag.as_str()) == invite.from.tag();
        is_his.then_some(id.local_tag.as_str())
    }

    pub fn on_wish(&mut self, core: &mut Core, now: Instant, wish: Wish) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_wish(cx, wish),
            State::Ringing(call) => call.on_wish(cx, wish),
            State::Established(call) => call.on_wish(cx, wish),
            other => other,
        });
    }

    /// Another call has taken the place of this one (RFC 3891 §3).
    pub fn on_replaced(&mut self, core: &mut Core, now: Instant) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.give_up(cx, EndCause::Replaced, None),
            State::Established(call) => call.hang_up(cx, EndCause::Replaced, None),
            other => other,
        });
    }

    /// The program ends: hangs up, and waits for no ACK (RFC 3261 §15 would have us wait for up to 32 s).
    pub fn stop(&mut self, core: &mut Core, now: Instant) {
        self.on_wish(core, now, Wish::Hangup(Some(STOPPING)));
        self.step(core, now, |state, cx| match state {
            State::HangingUp(call) => call.close(cx, Some(STOPPING)),
            other => other,
        });
    }

    pub fn on_resolved(&mut self, core: &mut Core, now: Instant, id: ResolveId, flows: Vec<Flow>) {
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_resolved(cx, id, flows),
            State::Established(call) => call.on_resolved(cx, id, &flows),
            State::Closing(call) => call.on_resolved(cx, id, &flows),
            other => other,
        });
    }

    /// An answer to a request of ours. A challenge that we can answer reaches no state: the request is sent again.
    pub fn on_response(&mut self, core: &mut Core, now: Instant, response: &Response, envelope: &Envelope) {
        if is_errand(&envelope.cseq.method) {
            return self.on_errand_answer(core, now, response, envelope);
        }
        if envelope.cseq.method == Method::Invite && !response.is_provisional() {
            self.invite = None;
        }
        self.step(core, now, |mut state, cx| {
            if state.leg_of(envelope).is_some_and(|leg| !leg.takes(cx, response, envelope)) {
                return state;
            }
            match state {
                State::Outgoing(call) => call.on_response(cx, response, envelope),
                State::Established(call) => call.on_response(cx, response, envelope),
                State::Closing(call) => call.on_response(cx, response, envelope),
                other => other,
            }
        });
    }

    /// A request of ours got no answer.
    pub fn on_failed(&mut self, core: &mut Core, now: Instant, failed: Failed<Owner>) {
        if is_errand(&failed.cseq.method) {
            return self.on_errand_failed(core, now, &failed);
        }
        if failed.cseq.method == Method::Invite {
            self.invite = None;
        }
        self.step(core, now, |mut state, cx| {
            if let Some(leg) = state.leg_mut() {
                leg.on_failed(&failed);
            }
            match state {
                State::Outgoing(call) => call.on_failed(cx, failed),
                State::Established(call) => call.on_failed(cx, &failed),
                State::Closing(call) => call.on_failed(&failed),
                other => other,
            }
        });
    }

    /// A request of the peer inside the dialog, except ACK and CANCEL.
    pub fn on_request(&mut self, core: &mut Core, now: Instant, arrived: Arrived) {
        if is_errand(&arrived.request.method) {
            return self.on_errand(core, now, arrived);
        }
        self.step(core, now, |state, cx| match state {
            State::Outgoing(call) => call.on_request(cx, arrived),
            State::Ringing(call) => call.on_request(cx, &arrived),
            State::Established(call) => call.on_request(cx, arrived),
            State::HangingUp(call) => call.on_request_after_hangup(cx, arrived),
            State::Closing(call) => call.on_request(cx, &arrived),
            State::Over => {
                cx.refuse(&arrived, 481);
                State::Over
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
    pub fn on_cancel(&mut self, core: &mut Core, now: Instant, invite: &ServerKey, cancel: &Request) {
        self.step(core, now, |state, cx| match state {
            State::Ringing(call) => call.on_cancel(cx, invite, Reason::read(&cancel.headers)),
            State::Established(call) => call.on_cancel(cx, invite),
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
        self.on_errand_timeout(core, now);
        while let Some(timer) = self.timers.pop_due(now) {
            self.step(core, now, |state, cx| match state {
                State::Outgoing(call) => call.on_timeout(cx, timer),
                State::Ringing(call) => call.on_timeout(cx, timer),
                State::Established(call) => call.on_timeout(cx, timer),
                State::HangingUp(mut call) => match timer {
                    SessionTimer::RepeatAnswer => {
                        call.exchange.repeat_answer(cx);
                        State::HangingUp(call)
                    }
                    SessionTimer::AckOverdue => call.close(cx, None),
                    _ => State::HangingUp(call),
                },
                other => other,
            });
        }
    }

    fn step(&mut self, core: &mut Core, now: Instant, next: impl FnOnce(State, &mut Context<'_>) -> State) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Session { timers, auth, invite, key, .. } = self;
        self.state = next(state, &mut Context { core, timers, auth, invite, now, key: *key });
        if !matches!(self.state, State::Established(_)) {
            self.errands.end(core, now);
        }
        if self.is_over() {
            self.timers.clear();
            // An INVITE with a provisional answer would wait for ever (RFC 3261 §9.1, §17.1.1.2).
            if let Some(branch) = self.invite.take() {
                core.transactions.abandon(&branch, &Method::Invite);
            }
        }
    }
}
