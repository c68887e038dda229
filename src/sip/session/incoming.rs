//! A call of a peer until our final answer (RFC 3261 §13.3, RFC 3262 §3).

use std::time::Duration;

use rand::Rng;

use super::established::Established;
use super::exchange::Exchange;
use super::leg::Leg;
use super::refresh::{Refresh, Terms};
use super::reliable::{Due, Rack, Sender, lists};
use super::{Arrived, Context, SessionTimer, State, Wish};
use crate::sip::client_auth::AccountAuth;
use crate::sip::core::{ALLOW, SUPPORTED};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Method, Response};
use crate::sip::transaction::ServerKey;
use crate::sip::{AccountId, CallKey, EndCause, Flow, Incoming, Parties, Reason, SessionEvent};

/// How often we say that it still rings, so that no proxy gives up (RFC 3261 §13.3.1.1).
const RING_AGAIN: Duration = Duration::from_secs(60);

/// Who is called.
pub(in crate::sip) struct Callee {
    pub account: Option<AccountId>,
    /// The user part of our Contact.
    pub user: String,
    pub parties: Parties,
    /// The call that ends when this one is answered.
    pub replaces: Option<CallKey>,
    /// What we answer to challenges with, in the call of an account.
    pub auth: Option<AccountAuth>,
}

pub(super) struct Ringing {
    invite: Arrived,
    pub leg: Leg,
    /// What is agreed on the lifetime of the session, once it begins.
    refresh: Refresh,
    /// The last number of a reliable answer; 0 before the first.
    rseq: u32,
    /// A reliable answer without its PRACK.
    unacknowledged: Option<Sender>,
}

impl Ringing {
    /// Tells the user, or refuses what cannot become a call.
    pub fn start(cx: &mut Context<'_>, invite: Arrived, callee: Callee) -> State {
        let Callee { account, user, parties, replaces, .. } = callee;
        let local_tag = cx.core.token();
        let Ok(dialog) = Dialog::uas(&invite.request, &invite.envelope, &local_tag) else {
            cx.refuse(&invite, 400);
            return State::Over;
        };
        let headers = &invite.request.headers;
        let wanted = cx.core.config.session_expires;
        let Ok(refresh) = Refresh::answer(cx.now, Terms::read(headers), None, wanted) else {
            cx.refuse_too_short(&invite);
            return State::Over;
        };
        // RFC 3261 §13.3.1: the caller says how long he waits.
        if let Some(seconds) = headers.get("Expires").and_then(|value| value.trim().parse::<u32>().ok()) {
            cx.timers.set(SessionTimer::InviteExpired, cx.now + Duration::from_secs(seconds.into()));
        }
        cx.emit(SessionEvent::Incoming(Box::new(Incoming {
            flow: invite.flow,
            our_address: cx.core.our_address(&invite.flow).ip(),
            account,
            parties,
            replaces,
            caller: invite.envelope.from.clone(),
            callee: invite.request.uri.clone(),
            sip_call_id: invite.envelope.call_id.clone(),
            offer: invite.request.sdp(),
        })));
        let direct = headers.values("Via").count() == 1;
        let leg = Leg::new(dialog, invite.flow, direct, user);
        State::Ringing(Box::new(Ringing { invite, leg, refresh, rseq: 0, unacknowledged: None }))
    }

    pub fn on_wish(self: Box<Self>, cx: &mut Context<'_>, wish: Wish) -> State {
        match wish {
            Wish::Ring => State::Ringing(self.ring(cx)),
            Wish::Answer(sdp) => self.accept(cx, sdp),
            Wish::Reject(status, retry_after) => {
                let status = if (300..700).contains(&status) { status } else { 500 };
                self.reject(cx, status, retry_after)
            }
            // RFC 3261 §21.4.18
            Wish::Hangup(_) => self.reject(cx, 480, None),
            Wish::AnswerOffer(_) | Wish::RejectOffer | Wish::Offer(_) => State::Ringing(self),
        }
    }

    /// Says 180, reliably if the caller can take that.
    fn ring(mut self: Box<Self>, cx: &mut Context<'_>) -> Box<Self> {
        // RFC 3262 §3: one reliable answer at a time.
        if self.unacknowledged.is_some() {
            return self;
        }
        let headers = &self.invite.request.headers;
        let required = lists(headers, "Require", "100rel");
        // RFC 3262 §5: to an INVITE without an offer a reliable answer must bring ours, and we have none yet.
        let reliable = (required || lists(headers, "Supported", "100rel")) && self.invite.request.sdp().is_some();
        if required && !reliable {
            return self;
        }
        if reliable {
            self.rseq = if self.rseq == 0 { cx.core.rng.random_range(1..1 << 31) } else { self.rseq + 1 };
            let rack = Rack { rseq: self.rseq, cseq: self.invite.envelope.cseq.number };
            self.unacknowledged = Some(Sender::new(cx.now, rack));
        }
        self.send_ringing(cx);
        cx.timers.set(SessionTimer::RingAgain, cx.now + RING_AGAIN);
        self
    }

    fn send_ringing(&self, cx: &mut Context<'_>) {
        let mut ringing = self.answer(cx, 180);
        if let Some(sender) = &self.unacknowledged {
            ringing.headers.push("Require", "100rel");
            ringing.headers.push("RSeq", sender.rack().rseq.to_string());
            cx.timers.set(SessionTimer::RepeatRinging, sender.poll_timeout());
        }
        cx.respond(&self.invite.key, ringing);
    }

    /// An answer that begins the dialog.
    fn answer(&self, cx: &Context<'_>, status: u16) -> Response {
        let mut answer = Response::answer(&self.invite.request, status)
            .with_to_tag(&self.leg.dialog.id.local_tag)
            .with("Contact", self.leg.contact(cx.core))
            .with("Allow", ALLOW)
            .with("Supported", SUPPORTED);
        // RFC 3261 §12.1.1
        answer.headers.copy("Record-Route", &self.invite.request.headers);
        answer
    }

    /// A request inside the early dialog.
    pub fn on_request(mut self: Box<Self>, cx: &mut Context<'_>, arrived: &Arrived) -> State {
        // RFC 3261 §12.2.2
        if self.leg.dialog.accept(&arrived.envelope.cseq).is_err() {
            cx.refuse(arrived, 500);
            return State::Ringing(self);
        }
        match arrived.request.method {
            // RFC 3261 §15: a caller may end an early dialog by BYE.
            Method::Bye => {
                cx.refuse(arrived, 200);
                return self.end(cx, 487, EndCause::Cancelled(Reason::read(&arrived.request.headers)));
            }
            Method::Prack => self.on_prack(cx, arrived),
            // RFC 3311 §5.2: the offer of the INVITE has no answer yet.
            Method::Update if arrived.request.sdp().is_some() => {
                let later = Response::answer(&arrived.request, 500);
                cx.core.respond_later(cx.now, &arrived.key, later);
            }
            Method::Update => {
                self.leg.on_request(&arrived.request, arrived.flow);
                let ok = Response::answer(&arrived.request, 200).with("Contact", self.leg.contact(cx.core));
                cx.respond(&arrived.key, ok);
            }
            _ => cx.refuse(arrived, 481),
        }
        State::Ringing(self)
    }

    fn on_prack(&mut self, cx: &mut Context<'_>, prack: &Arrived) {
        let ours = self.unacknowledged.as_ref().map(Sender::rack);
        if ours.is_none() || Rack::read(&prack.request) != ours {
            return cx.refuse(prack, 481);
        }
        self.unacknowledged = None;
        cx.timers.stop(SessionTimer::RepeatRinging);
        // RFC 3262 §5 lets an offer come here only when the one before has its answer.
        cx.refuse(prack, if prack.request.sdp().is_some() { 488 } else { 200 });
    }

    pub fn on_timeout(mut self: Box<Self>, cx: &mut Context<'_>, timer: SessionTimer) -> State {
        match timer {
            SessionTimer::RepeatRinging => match self.unacknowledged.as_mut().and_then(|s| s.on_timeout(cx.now)) {
                Some(Due::Repeat) => self.send_ringing(cx),
                // RFC 3262 §3
                Some(Due::GiveUp) => return self.end(cx, 504, EndCause::NoAck),
                None => {}
            },
            SessionTimer::RingAgain => return State::Ringing(self.ring(cx)),
            SessionTimer::InviteExpired => return self.end(cx, 487, EndCause::Cancelled(None)),
            _ => {}
        }
        State::Ringing(self)
    }

    pub fn on_cancel(self: Box<Self>, cx: &mut Context<'_>, invite: &ServerKey, reason: Option<Reason>) -> State {
        if self.invite.key != *invite {
            return State::Ringing(self);
        }
        self.end(cx, 487, EndCause::Cancelled(reason))
    }

    pub fn on_flow_failed(self: Box<Self>, cx: &mut Context<'_>, flow: &Flow, error: &str) -> State {
        if self.invite.flow != *flow || !flow.transport.is_reliable() {
            return State::Ringing(self);
        }
        self.end(cx, 500, EndCause::TransportFailed(error.to_owned()))
    }

    fn accept(self: Box<Self>, cx: &mut Context<'_>, sdp: Vec<u8>) -> State {
        let mut ok = self.answer(cx, 200);
        let Ringing { invite: Arrived { key, request, envelope, .. }, leg, refresh, unacknowledged, .. } = *self;
        cx.timers.clear();
        let refresh = refresh.restart(cx.now);
        refresh.write_answer(&mut ok.headers);
        ok.set_sdp(sdp.clone());
        let offered = request.sdp().is_none();
        let exchange = Exchange::begin_answer(cx, key, ok, envelope.cseq.number, true, offered);
        let mut call = Established::new(cx, leg, exchange, refresh, &request.headers, sdp);
        call.unacknowledged = unacknowledged.map(|sender| sender.rack());
        State::Established(call)
    }

    fn reject(self: Box<Self>, cx: &mut Context<'_>, status: u16, retry_after: Option<Duration>) -> State {
        let mut refusal = self.refusal(status);
        // RFC 3261 §20.33
        if let Some(after) = retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            refusal.headers.push("Retry-After", seconds.to_string());
        }
        let cause = EndCause::Rejected { status, reason: refusal.reason.clone() };
        self.end_with(cx, refusal, cause)
    }

    fn refusal(&self, status: u16) -> Response {
        Response::answer(&self.invite.request, status).with_to_tag(&self.leg.dialog.id.local_tag)
    }

    fn end(self: Box<Self>, cx: &mut Context<'_>, status: u16, cause: EndCause) -> State {
        let refusal = self.refusal(status);
        self.end_with(cx, refusal, cause)
    }

    fn end_with(self: Box<Self>, cx: &mut Context<'_>, refusal: Response, cause: EndCause) -> State {
        cx.respond(&self.invite.key, refusal);
        cx.end(cause);
        State::Over
    }
}
