//! A call whose BYE is on its way (RFC 3261 §15.1.1), and the end of answers that nobody needs (§13.2.2.4).

use std::time::Instant;

use super::leg::{Leg, NoRoom};
use super::reason::ANSWERED_ELSEWHERE;
use super::{Arrived, Context, State};
use crate::sip::core::{Core, Owner};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Envelope, Method, Response};
use crate::sip::transaction::Failed;
use crate::sip::{Flow, ResolveId, path};

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
        let number = envelope.cseq.number;
        if envelope.to.tag().unwrap_or("") == self.dialog.id.remote_tag {
            return self.acknowledge(cx, number);
        }
        let Some(other) = self.other(response, envelope) else { return };
        // Its 2xx comes again until it has our ACK; one BYE is enough.
        if other.has_acknowledged(number) {
            return other.acknowledge(cx, number);
        }
        if other.confirm(response).is_err() {
            return;
        }
        other.acknowledge(cx, number);
        if let Err(NoRoom) = other.bye(cx, Some(ANSWERED_ELSEWHERE)) {
            tracing::debug!(call.id = %cx.key, "no room to end a forked answer");
        }
    }
}

/// A 2xx to an INVITE of a call of ours that is over, which has come over `flow`: the call that it begins is
/// acknowledged and ended by what the answer itself says (RFC 3261 §13.2.2.4).
pub(in crate::sip) fn end_late(core: &mut Core, now: Instant, flow: Flow, response: &Response, envelope: &Envelope) {
    if envelope.cseq.method != Method::Invite || !response.is_success() {
        return;
    }
    let Ok(mut dialog) = Dialog::uac(response, envelope) else { return };
    let Some(is_new) = core.is_new_late(now, &dialog.id) else { return };
    let flow = path::without_resolver(dialog.first_hop(), flow);
    core.ack(flow, &dialog.ack(envelope.cseq.number));
    if is_new {
        let mut bye = dialog.request(Method::Bye);
        bye.headers.push("Reason", ANSWERED_ELSEWHERE);
        if core.request(now, flow, &bye, Owner::Nobody).is_none() {
            tracing::debug!("no room to end a late answer");
        }
    }
}
