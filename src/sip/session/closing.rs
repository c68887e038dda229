//! A call whose BYE is on its way (RFC 3261 §15.1.1), and the end of answers that nobody needs (§13.2.2.4).

use super::leg::{Leg, NoRoom};
use super::reason::ANSWERED_ELSEWHERE;
use super::{Arrived, Context, State};
use crate::sip::core::Owner;
use crate::sip::dialog::Dialog;
use crate::sip::message::{Envelope, Method, Response};
use crate::sip::transaction::Failed;
use crate::sip::{Flow, ResolveId};

pub(super) struct Closing {
    pub leg: Leg,
}

impl Closing {
    /// Sends BYE; the user knows already why.
    pub fn start(cx: &mut Context<'_>, mut leg: Leg, reason: Option<&str>) -> State {
        match leg.bye(cx, reason) {
            Ok(()) => State::Closing(Closing { leg }),
            Err(NoRoom) => State::Over,
        }
    }

    pub fn on_response(mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        match envelope.cseq.method {
            // A 2xx to a re-INVITE that was under way wants its ACK all the same.
            Method::Invite => self.leg.on_repeated_answer(cx, response, envelope),
            Method::Bye if !response.is_provisional() => return State::Over,
            _ => {}
        }
        State::Closing(self)
    }

    pub fn on_failed(self, failed: &Failed<Owner>) -> State {
        if failed.cseq.method == Method::Bye { State::Over } else { State::Closing(self) }
    }

    pub fn on_resolved(mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) -> State {
        match self.leg.on_resolved(cx, id, flows) {
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
    pub fn on_repeated_answer(&mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) {
        if envelope.cseq.method != Method::Invite || !response.is_success() {
            return;
        }
        let tag = envelope.to.tag().unwrap_or("");
        if tag == self.dialog.id.remote_tag {
            return self.acknowledge(cx, envelope.cseq.number);
        }
        let Ok(mut fork) = Dialog::uac(response, envelope) else { return };
        let flow = self.flow();
        cx.core.ack(flow, &self.with_credentials(fork.ack(envelope.cseq.number)));
        // Its 2xx comes again until it has our ACK; one BYE is enough.
        if !self.is_surplus(tag) {
            let mut bye = fork.request(Method::Bye);
            bye.headers.push("Reason", ANSWERED_ELSEWHERE);
            cx.authorize(&mut bye);
            if cx.core.request(cx.now, flow, &bye, Owner::Nobody).is_none() {
                tracing::debug!(call.id = %cx.key, "no room to end a forked answer");
            }
        }
    }
}
