//! A call with an answer: the ACK of our 2xx, changes of the session, BYE (RFC 3261 §13.3.1.4, §14, §15; RFC 3311).

use std::time::Duration;

use super::leg::{Leg, NoRoom};
use super::{Arrived, Context, SessionTimer, State, Wish};
use crate::sip::core::{ALLOW, Owner};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Envelope, Method, Request, Response};
use crate::sip::transaction::{Failed, GIVE_UP, ServerKey, T1, T2};
use crate::sip::{EndCause, Flow, ResolveId, SessionEvent};

pub(super) struct Established {
    pub leg: Leg,
    pub exchange: Exchange,
}

/// Where an offer and its answer are, when the peer's request began it.
pub(super) enum Exchange {
    Stable,
    /// A re-INVITE or UPDATE waits for the user.
    Asked(Box<Arrived>),
    /// Our 2xx goes out until its ACK comes.
    Answered(Box<Answered>),
}

pub(super) struct Answered {
    key: ServerKey,
    ok: Response,
    cseq: u32,
    interval: Duration,
    /// This is the answer that established the call.
    is_first: bool,
    /// The 2xx carries our offer, the ACK its answer.
    offered: bool,
}

impl Exchange {
    /// Sends a 2xx to an INVITE, and again until its ACK.
    pub fn begin_answer(
        cx: &mut Context<'_>,
        key: ServerKey,
        ok: Response,
        cseq: u32,
        is_first: bool,
        offered: bool,
    ) -> Self {
        cx.respond(&key, ok.clone());
        cx.timers.set(SessionTimer::RepeatAnswer, cx.now + T1);
        cx.timers.set(SessionTimer::AckOverdue, cx.now + GIVE_UP);
        Exchange::Answered(Box::new(Answered { key, ok, cseq, interval: T1, is_first, offered }))
    }

    fn awaits_ack(&self, cseq: u32) -> bool {
        matches!(self, Exchange::Answered(answered) if answered.cseq == cseq)
    }
}

impl Established {
    pub fn on_wish(self, cx: &mut Context<'_>, wish: Wish) -> State {
        match (wish, self.exchange) {
            (Wish::Hangup, exchange) => Established { leg: self.leg, exchange }.hang_up(cx),
            (Wish::AnswerOffer(sdp), Exchange::Asked(asked)) => {
                let mut ok =
                    Response::answer(&asked.request, 200).with("Contact", self.leg.contact(cx.core)).with("Allow", ALLOW);
                ok.set_sdp(sdp);
                let exchange = if asked.request.method == Method::Invite {
                    let offered = asked.request.sdp().is_none();
                    Exchange::begin_answer(cx, asked.key, ok, asked.envelope.cseq.number, false, offered)
                } else {
                    cx.respond(&asked.key, ok);
                    Exchange::Stable
                };
                State::Established(Established { leg: self.leg, exchange })
            }
            (Wish::RejectOffer, Exchange::Asked(asked)) => {
                cx.refuse(&asked, 488);
                State::Established(Established { leg: self.leg, exchange: Exchange::Stable })
            }
            (_, exchange) => State::Established(Established { leg: self.leg, exchange }),
        }
    }

    pub fn on_request(mut self, cx: &mut Context<'_>, arrived: Arrived) -> State {
        // RFC 3261 §12.2.2
        if self.leg.dialog.accept(&arrived.envelope.cseq).is_err() {
            cx.refuse(&arrived, 500);
            return State::Established(self);
        }
        match (&arrived.request.method, &self.exchange) {
            (Method::Bye, _) => return self.on_bye(cx, &arrived),
            (Method::Update, _) if arrived.request.sdp().is_none() => {
                self.leg.on_request(&arrived.request, arrived.flow);
                let ok = Response::answer(&arrived.request, 200).with("Contact", self.leg.contact(cx.core));
                cx.respond(&arrived.key, ok);
            }
            (Method::Invite | Method::Update, Exchange::Stable) => {
                self.leg.on_request(&arrived.request, arrived.flow);
                cx.emit(SessionEvent::Offer { sdp: arrived.request.sdp() });
                self.exchange = Exchange::Asked(Box::new(arrived));
            }
            // RFC 3261 §14.2, RFC 3311 §5.2: an earlier one has no answer yet.
            (Method::Invite | Method::Update, Exchange::Asked(_)) => {
                let later = Response::answer(&arrived.request, 500);
                cx.core.respond_later(cx.now, &arrived.key, later);
            }
            // The exchange before ends with the ACK; the peer tries again in a moment (RFC 3261 §14.1).
            (Method::Invite | Method::Update, Exchange::Answered(_)) => cx.refuse(&arrived, 491),
            _ => cx.respond(&arrived.key, Response::answer(&arrived.request, 405).with("Allow", ALLOW)),
        }
        State::Established(self)
    }

    pub fn on_request_after_hangup(self, cx: &mut Context<'_>, arrived: Arrived) -> State {
        if arrived.request.method == Method::Bye {
            cx.refuse(&arrived, 200);
            return State::Over;
        }
        cx.refuse(&arrived, 481);
        State::HangingUp(self)
    }

    pub fn on_ack(mut self, cx: &mut Context<'_>, ack: &Request, envelope: &Envelope) -> State {
        self.exchange = match self.exchange {
            Exchange::Answered(answered) if answered.cseq == envelope.cseq.number => {
                cx.timers.clear();
                let sdp = ack.sdp().filter(|_| answered.offered);
                match (answered.is_first, sdp) {
                    (true, sdp) => cx.emit(SessionEvent::Established { sdp }),
                    (false, Some(sdp)) => cx.emit(SessionEvent::OfferAnswered { sdp }),
                    (false, None) => {}
                }
                Exchange::Stable
            }
            exchange => exchange,
        };
        State::Established(self)
    }

    pub fn on_ack_after_hangup(self, cx: &mut Context<'_>, envelope: &Envelope) -> State {
        if self.exchange.awaits_ack(envelope.cseq.number) { self.close(cx) } else { State::HangingUp(self) }
    }

    /// The peer takes back a re-INVITE.
    pub fn on_cancel(mut self, cx: &mut Context<'_>, invite: &ServerKey) -> Self {
        self.exchange = match self.exchange {
            Exchange::Asked(asked) if asked.key == *invite => {
                cx.refuse(&asked, 487);
                Exchange::Stable
            }
            exchange => exchange,
        };
        self
    }

    /// RFC 3261 §13.3.1.4: on every transport, since a proxy may have another behind it.
    pub fn repeat_answer(mut self, cx: &mut Context<'_>) -> Self {
        if let Exchange::Answered(answered) = &mut self.exchange {
            cx.respond(&answered.key, answered.ok.clone());
            answered.interval = (answered.interval * 2).min(T2);
            cx.timers.set(SessionTimer::RepeatAnswer, cx.now + answered.interval);
        }
        self
    }

    pub fn on_resolved(mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) -> State {
        // Only an ACK can wait here, and that needs no room.
        let _: Result<(), NoRoom> = self.leg.on_resolved(cx.core, cx.now, cx.owner(), id, flows);
        State::Established(self)
    }

    /// Sends BYE; the user knows already why.
    pub fn close(self, cx: &mut Context<'_>) -> State {
        cx.timers.clear();
        if let Exchange::Asked(asked) = &self.exchange {
            cx.refuse(asked, 487);
        }
        Closing::start(cx, self.leg)
    }

    fn hang_up(self, cx: &mut Context<'_>) -> State {
        cx.end(EndCause::LocalBye);
        // RFC 3261 §15: the callee sends no BYE before the ACK, or the end of waiting for it.
        match &self.exchange {
            Exchange::Answered(answered) if answered.is_first => State::HangingUp(self),
            _ => self.close(cx),
        }
    }

    fn on_bye(self, cx: &mut Context<'_>, bye: &Arrived) -> State {
        cx.refuse(bye, 200);
        // RFC 3261 §15.1.2
        if let Exchange::Asked(asked) = &self.exchange {
            cx.refuse(asked, 487);
        }
        cx.end(EndCause::RemoteBye(None));
        State::Over
    }
}

/// A call whose BYE is on its way.
pub(super) struct Closing {
    pub leg: Leg,
}

impl Closing {
    pub fn start(cx: &mut Context<'_>, mut leg: Leg) -> State {
        match leg.bye(cx.core, cx.now, cx.owner()) {
            Ok(()) => State::Closing(Closing { leg }),
            Err(NoRoom) => State::Over,
        }
    }

    pub fn on_response(self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        if envelope.cseq.method == Method::Invite {
            self.leg.on_repeated_answer(cx, response, envelope);
            return State::Closing(self);
        }
        if response.is_provisional() { State::Closing(self) } else { State::Over }
    }

    pub fn on_failed(self, failed: &Failed<Owner>) -> State {
        if failed.cseq.method == Method::Bye { State::Over } else { State::Closing(self) }
    }

    pub fn on_resolved(mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) -> State {
        match self.leg.on_resolved(cx.core, cx.now, cx.owner(), id, flows) {
            Ok(()) => State::Closing(self),
            Err(NoRoom) => State::Over,
        }
    }

    /// Two BYEs that cross are both answered by 200.
    pub fn on_request(self, cx: &mut Context<'_>, arrived: &Arrived) -> State {
        cx.refuse(arrived, if arrived.request.method == Method::Bye { 200 } else { 481 });
        State::Closing(self)
    }
}

impl Leg {
    /// A 2xx to our INVITE after the first: the same again wants its ACK again; that of another fork is a call which
    /// we acknowledge and end (RFC 3261 §13.2.2.4).
    pub fn on_repeated_answer(&self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) {
        if envelope.cseq.method != Method::Invite || !response.is_success() {
            return;
        }
        if envelope.to.tag().unwrap_or("") == self.dialog.id.remote_tag {
            self.acknowledge_again(cx.core);
            return;
        }
        if let Ok(mut fork) = Dialog::uac(response, envelope) {
            let (ack, bye) = (fork.ack(envelope.cseq.number), fork.request(Method::Bye));
            cx.core.ack(self.flow(), &ack);
            if cx.core.request(cx.now, self.flow(), &bye, Owner::Nobody).is_none() {
                tracing::debug!(call.id = %cx.key, "no room to end a forked answer");
            }
        }
    }
}
