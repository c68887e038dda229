//! A call of a peer until our final answer (RFC 3261 §13.3).

use super::established::{Established, Exchange};
use super::leg::Leg;
use super::{Arrived, Context, State, Wish};
use crate::sip::core::ALLOW;
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::message::{Envelope, Method, Response};
use crate::sip::transaction::ServerKey;
use crate::sip::{AccountId, EndCause, Flow, Incoming, Parties, SessionEvent};

pub(super) struct Ringing {
    invite: Arrived,
    local_tag: String,
    /// The user part of our Contact.
    user: String,
}

impl Ringing {
    pub fn start(
        cx: &mut Context<'_>,
        invite: Arrived,
        account: Option<AccountId>,
        user: String,
        parties: Parties,
    ) -> Self {
        cx.emit(SessionEvent::Incoming(Box::new(Incoming {
            flow: invite.flow,
            our_address: cx.core.our_address(&invite.flow).ip(),
            account,
            parties,
            replaces: None,
            caller: invite.envelope.from.clone(),
            callee: invite.request.uri.clone(),
            sip_call_id: invite.envelope.call_id.clone(),
            offer: invite.request.sdp(),
        })));
        let local_tag = cx.core.token();
        Ringing { invite, local_tag, user }
    }

    pub fn has_dialog(&self, id: &DialogId) -> bool {
        DialogId {
            call_id: self.invite.envelope.call_id.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: self.invite.envelope.from.tag().unwrap_or("").to_owned(),
        } == *id
    }

    pub fn was_begun_by(&self, invite: &Envelope) -> bool {
        self.invite.envelope.call_id == invite.call_id && self.invite.envelope.from.tag() == invite.from.tag()
    }

    pub fn on_wish(self, cx: &mut Context<'_>, wish: Wish) -> State {
        match wish {
            Wish::Answer(sdp) => self.accept(cx, sdp),
            Wish::Reject(status) => {
                let status = if (300..700).contains(&status) { status } else { 500 };
                self.reject(cx, status)
            }
            // RFC 3261 §21.4.18
            Wish::Hangup => self.reject(cx, 480),
            Wish::AnswerOffer(_) | Wish::RejectOffer => State::Ringing(self),
        }
    }

    /// A request inside the early dialog.
    pub fn on_request(self, cx: &mut Context<'_>, arrived: &Arrived) -> State {
        match arrived.request.method {
            // RFC 3261 §15: a caller may end an early dialog by BYE.
            Method::Bye => {
                cx.refuse(arrived, 200);
                self.end(cx, 487, EndCause::Cancelled(None))
            }
            // RFC 3311 §5.2: the offer of the INVITE has no answer yet.
            Method::Update if arrived.request.sdp().is_some() => {
                let later = Response::answer(&arrived.request, 500);
                cx.core.respond_later(cx.now, &arrived.key, later);
                State::Ringing(self)
            }
            Method::Update => {
                let contact = cx.core.contact(&self.user, &self.invite.flow).to_string();
                cx.respond(&arrived.key, Response::answer(&arrived.request, 200).with("Contact", contact));
                State::Ringing(self)
            }
            _ => {
                cx.refuse(arrived, 481);
                State::Ringing(self)
            }
        }
    }

    pub fn on_cancel(self, cx: &mut Context<'_>, invite: &ServerKey) -> State {
        if self.invite.key != *invite {
            return State::Ringing(self);
        }
        self.end(cx, 487, EndCause::Cancelled(None))
    }

    pub fn on_flow_failed(self, cx: &mut Context<'_>, flow: &Flow, error: &str) -> State {
        if self.invite.flow != *flow || !flow.transport.is_reliable() {
            return State::Ringing(self);
        }
        self.end(cx, 500, EndCause::TransportFailed(error.to_owned()))
    }

    fn accept(self, cx: &mut Context<'_>, sdp: Vec<u8>) -> State {
        let dialog = match Dialog::uas(&self.invite.request, &self.invite.envelope, &self.local_tag) {
            Ok(dialog) => dialog,
            Err(_) => return self.end(cx, 400, EndCause::Failed("the INVITE has no usable Contact")),
        };
        let mut ok = Response::answer(&self.invite.request, 200)
            .with_to_tag(&self.local_tag)
            .with("Contact", cx.core.contact(&self.user, &self.invite.flow).to_string())
            .with("Allow", ALLOW);
        // RFC 3261 §12.1.1
        ok.headers.copy("Record-Route", &self.invite.request.headers);
        ok.set_sdp(sdp);
        let direct = self.invite.request.headers.values("Via").count() == 1;
        let leg = Leg::new(dialog, self.invite.flow, direct, self.user);
        let offered = self.invite.request.sdp().is_none();
        let cseq = self.invite.envelope.cseq.number;
        let exchange = Exchange::begin_answer(cx, self.invite.key, ok, cseq, true, offered);
        State::Established(Established { leg, exchange })
    }

    fn reject(self, cx: &mut Context<'_>, status: u16) -> State {
        let reason = Response::answer(&self.invite.request, status).reason;
        self.end(cx, status, EndCause::Rejected { status, reason })
    }

    fn end(self, cx: &mut Context<'_>, status: u16, cause: EndCause) -> State {
        let refusal = Response::answer(&self.invite.request, status).with_to_tag(&self.local_tag);
        cx.respond(&self.invite.key, refusal);
        cx.end(cause);
        State::Over
    }
}
