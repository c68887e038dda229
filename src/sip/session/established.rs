//! A call with an answer: the ACK of our 2xx, changes of the session by either side, its refresh, BYE
//! (RFC 3261 §13.3.1.4, §14, §15; RFC 3311; RFC 4028).

use super::closing::Closing;
use super::exchange::{Change, Exchange, Offering, Queued};
use super::leg::{Leg, NoRoom};
use super::reason::EXPIRED;
use super::refresh::{Due, MIN_SE, Refresh, Terms, TooShort, allowed_by};
use super::reliable::{Rack, lists};
use super::{Arrived, Context, SessionTimer, State, Wish};
use crate::sip::core::{ALLOW, Owner, SUPPORTED};
use crate::sip::message::{Envelope, Headers, Method, Request, Response};
use crate::sip::transaction::{Failed, Failure, ServerKey};
use crate::sip::{EndCause, Flow, Reason, ResolveId, SessionEvent};

pub(super) struct Established {
    pub leg: Leg,
    pub exchange: Exchange,
    /// What the user wants to offer when the exchange before is over.
    pub queued: Option<Queued>,
    pub refresh: Refresh,
    /// The peer takes UPDATE.
    pub takes_update: bool,
    /// Our last description: what a refresh by re-INVITE repeats.
    pub sdp: Vec<u8>,
    /// Our last ringing had no PRACK before we answered.
    pub unacknowledged: Option<Rack>,
}

impl Established {
    /// A call that has just been answered. `sdp` is our description.
    pub fn new(
        cx: &mut Context<'_>,
        leg: Leg,
        exchange: Exchange,
        refresh: Refresh,
        peer: &Headers,
        sdp: Vec<u8>,
    ) -> Self {
        let takes_update = lists(peer, "Allow", "UPDATE");
        let mut call = Established { leg, exchange, queued: None, refresh, takes_update, sdp, unacknowledged: None };
        call.arm(cx);
        call
    }

    pub fn on_wish(mut self, cx: &mut Context<'_>, wish: Wish) -> State {
        match (wish, self.exchange) {
            (Wish::Hangup(reason), exchange) => {
                return Established { exchange, ..self }.hang_up(cx, EndCause::LocalBye, reason);
            }
            (Wish::AnswerOffer(sdp), Exchange::Asked(asked)) => {
                self.exchange = Exchange::Stable;
                self.answer_offer(cx, *asked, sdp);
            }
            (Wish::RejectOffer, Exchange::Asked(asked)) => {
                cx.refuse(&asked, 488);
                self.exchange = Exchange::Stable;
            }
            (Wish::Offer(sdp), exchange) => {
                self.exchange = exchange;
                let held = self.queued.as_ref().is_some_and(|queued| queued.held);
                self.queued = Some(Queued { sdp, retries: 0, held });
            }
            (_, exchange) => self.exchange = exchange,
        }
        self.go_on(cx)
    }

    fn answer_offer(&mut self, cx: &mut Context<'_>, asked: Arrived, sdp: Vec<u8>) {
        let mut ok = self.ok(cx, &asked.request);
        self.sdp.clone_from(&sdp);
        ok.set_sdp(sdp);
        if asked.request.method == Method::Invite {
            let offered = asked.request.sdp().is_none();
            self.exchange = Exchange::begin_answer(cx, asked.key, ok, asked.envelope.cseq.number, false, offered);
        } else {
            cx.respond(&asked.key, ok);
        }
    }

    /// A 2xx to a request that refreshes the session.
    fn ok(&self, cx: &Context<'_>, request: &Request) -> Response {
        let ok = Response::answer(request, 200).with("Contact", self.leg.contact(cx.core));
        let mut ok = ok.with("Allow", ALLOW).with("Supported", SUPPORTED);
        self.refresh.write_answer(&mut ok.headers);
        ok
    }

    pub fn on_request(mut self, cx: &mut Context<'_>, arrived: Arrived) -> State {
        // RFC 3261 §12.2.2
        if self.leg.dialog.accept(&arrived.envelope.cseq).is_err() {
            cx.refuse(&arrived, 500);
            return State::Established(self);
        }
        match (&arrived.request.method, &self.exchange) {
            (Method::Bye, _) => return self.on_bye(cx, &arrived),
            (Method::Prack, _) => self.on_prack(cx, &arrived),
            (Method::Update, _) if arrived.request.sdp().is_none() => {
                if self.renegotiate(cx, &arrived) {
                    let ok = self.ok(cx, &arrived.request);
                    cx.respond(&arrived.key, ok);
                }
            }
            (Method::Invite | Method::Update, Exchange::Stable) => {
                if self.renegotiate(cx, &arrived) {
                    cx.emit(SessionEvent::Offer { sdp: arrived.request.sdp() });
                    self.exchange = Exchange::Asked(Box::new(arrived));
                }
            }
            // RFC 3261 §14.2, RFC 3311 §5.2: an earlier one has no answer yet.
            (Method::Invite | Method::Update, Exchange::Asked(_)) => {
                let later = Response::answer(&arrived.request, 500);
                cx.core.respond_later(cx.now, &arrived.key, later);
            }
            // Ours is under way; or the exchange before ends with the ACK, and the peer tries again in a moment
            // (RFC 3261 §14.1).
            (Method::Invite | Method::Update, Exchange::Answered(_) | Exchange::Offering(_)) => {
                cx.refuse(&arrived, 491)
            }
            _ => cx.respond(&arrived.key, Response::answer(&arrived.request, 405).with("Allow", ALLOW)),
        }
        State::Established(self)
    }

    /// Takes what a re-INVITE or UPDATE says of target and lifetime. False when it was refused for its lifetime.
    fn renegotiate(&mut self, cx: &mut Context<'_>, arrived: &Arrived) -> bool {
        let terms = Terms::read(&arrived.request.headers);
        match Refresh::answer(cx.now, terms, Some(&self.refresh), cx.core.config.session_expires) {
            Ok(refresh) => self.refresh = refresh,
            Err(TooShort) => {
                cx.refuse_too_short(arrived);
                return false;
            }
        }
        self.arm(cx);
        self.leg.on_request(&arrived.request, arrived.flow);
        true
    }

    /// RFC 3262 §3: we may answer before our ringing is acknowledged, since it had no description.
    fn on_prack(&mut self, cx: &mut Context<'_>, prack: &Arrived) {
        let is_ours = self.unacknowledged.is_some() && Rack::read(&prack.request) == self.unacknowledged;
        if is_ours {
            self.unacknowledged = None;
        }
        cx.refuse(prack, if is_ours { 200 } else { 481 });
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
                cx.timers.stop(SessionTimer::RepeatAnswer);
                cx.timers.stop(SessionTimer::AckOverdue);
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
        self.go_on(cx)
    }

    pub fn on_ack_after_hangup(self, cx: &mut Context<'_>, envelope: &Envelope) -> State {
        if self.exchange.awaits_ack(envelope.cseq.number) { self.close(cx, None) } else { State::HangingUp(self) }
    }

    /// The peer takes back a re-INVITE.
    pub fn on_cancel(mut self, cx: &mut Context<'_>, invite: &ServerKey) -> State {
        self.exchange = match self.exchange {
            Exchange::Asked(asked) if asked.key == *invite => {
                cx.refuse(&asked, 487);
                Exchange::Stable
            }
            exchange => exchange,
        };
        self.go_on(cx)
    }

    pub fn on_resolved(mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) -> State {
        match self.leg.on_resolved(cx, id, flows) {
            Ok(()) => State::Established(self),
            Err(NoRoom) => self.fail_offer(cx),
        }
    }

    /// An answer to a request of ours in this dialog that is not BYE.
    pub fn on_response(mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        match (&envelope.cseq.method, &self.exchange) {
            (Method::Invite, Exchange::Offering(_)) if self.is_for_offer(response, envelope) => {
                self.on_offer_answered(cx, response, envelope)
            }
            (Method::Invite, _) => {
                self.leg.on_repeated_answer(cx, response, envelope);
                State::Established(self)
            }
            (Method::Update, _) => self.on_refreshed(cx, response),
            _ => State::Established(self),
        }
    }

    fn is_for_offer(&self, response: &Response, envelope: &Envelope) -> bool {
        let is_ours = envelope.to.tag().unwrap_or("") == self.leg.dialog.id.remote_tag;
        !response.is_success() || (is_ours && !self.leg.has_acknowledged(envelope.cseq.number))
    }

    fn on_offer_answered(mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> State {
        if response.is_provisional() {
            return State::Established(self);
        }
        let Exchange::Offering(offering) = std::mem::replace(&mut self.exchange, Exchange::Stable) else {
            return State::Established(self);
        };
        if response.is_success() {
            self.leg.on_refreshed(response);
            self.leg.acknowledge(cx, envelope.cseq.number);
            self.refreshed(cx, &response.headers);
            self.sdp = offering.sdp;
            match response.sdp() {
                Some(sdp) => cx.emit(SessionEvent::OfferAnswered { sdp }),
                // An answer without a description is none.
                None if offering.what != Change::Refresh => cx.emit(SessionEvent::OfferRefused { status: 488 }),
                None => {}
            }
            return self.go_on(cx);
        }
        match (response.status, offering.what) {
            // RFC 3261 §12.2.1.2
            (408 | 481, _) => return self.expire(cx),
            (422, what) => {
                if let Some(interval) = allowed_by(&response.headers, self.refresh.interval) {
                    self.refresh.interval = interval;
                    return self.offer(cx, offering.sdp, what);
                }
                self.refuse_offer(cx, 422, what);
            }
            (status, Change::Wanted { retries }) => {
                let put_off = Queued::after(cx, response, offering.sdp, retries, self.leg.dialog.owns_call_id);
                match (put_off, &mut self.queued) {
                    // A later offer waits already; it takes over the delay.
                    (Some(_), Some(later)) => later.held = true,
                    (Some(put_off), none) => *none = Some(put_off),
                    (None, _) => self.refuse_offer(cx, status, offering.what),
                }
            }
            (_, Change::Refresh) => {}
        }
        self.go_on(cx)
    }

    fn refuse_offer(&mut self, cx: &mut Context<'_>, status: u16, what: Change) {
        if what != Change::Refresh {
            cx.emit(SessionEvent::OfferRefused { status });
        }
    }

    /// An answer to our UPDATE, which only refreshes.
    fn on_refreshed(mut self, cx: &mut Context<'_>, response: &Response) -> State {
        match response.status {
            ..200 => {}
            200..300 => {
                self.leg.on_refreshed(response);
                self.refreshed(cx, &response.headers);
            }
            408 | 481 => return self.expire(cx),
            422 => {
                if let Some(interval) = allowed_by(&response.headers, self.refresh.interval) {
                    self.refresh.interval = interval;
                    return self.send_refresh(cx);
                }
            }
            // He said otherwise in Allow, or somebody between us does not let it pass.
            405 | 501 => {
                self.takes_update = false;
                return self.send_refresh(cx);
            }
            _ => {}
        }
        State::Established(self)
    }

    fn refreshed(&mut self, cx: &mut Context<'_>, answer: &Headers) {
        self.refresh = Refresh::answered(cx.now, Terms::read(answer), self.refresh.interval);
        self.arm(cx);
    }

    pub fn on_failed(self, cx: &mut Context<'_>, failed: &Failed<Owner>) -> State {
        match (&failed.cseq.method, &failed.why) {
            // RFC 3261 §8.1.3.1: as good as 408.
            (Method::Invite | Method::Update, Failure::Timeout) => self.expire(cx),
            (Method::Invite, Failure::Transport(_)) => self.fail_offer(cx),
            _ => State::Established(self),
        }
    }

    /// Our re-INVITE could not be sent: 503 (RFC 3261 §8.1.3.1).
    fn fail_offer(mut self, cx: &mut Context<'_>) -> State {
        if let Exchange::Offering(offering) = &self.exchange {
            let what = offering.what;
            self.exchange = Exchange::Stable;
            self.refuse_offer(cx, 503, what);
            return self.go_on(cx);
        }
        State::Established(self)
    }

    pub fn on_timeout(mut self, cx: &mut Context<'_>, timer: SessionTimer) -> State {
        match timer {
            SessionTimer::RepeatAnswer => self.exchange.repeat_answer(cx),
            SessionTimer::AckOverdue => {
                cx.end(EndCause::NoAck);
                return self.close(cx, None);
            }
            SessionTimer::OfferAgain => {
                if let Some(queued) = &mut self.queued {
                    queued.held = false;
                }
                return self.go_on(cx);
            }
            SessionTimer::Refresh => {
                let due = self.refresh.on_timeout(cx.now);
                self.arm(cx);
                match due {
                    Some(Due::Refresh) => return self.send_refresh(cx),
                    Some(Due::Expired) => return self.expire(cx),
                    None => {}
                }
            }
            _ => {}
        }
        State::Established(self)
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        cx.timers.set(SessionTimer::Refresh, self.refresh.poll_timeout());
    }

    /// By UPDATE where the peer takes it; else by a re-INVITE that changes nothing, if none is under way.
    fn send_refresh(mut self, cx: &mut Context<'_>) -> State {
        if self.takes_update {
            let mut update = self.leg.dialog.request(Method::Update);
            self.describe(cx, &mut update);
            if let Err(NoRoom) = self.leg.request(cx, update) {
                tracing::debug!(call.id = %cx.key, "no room to refresh the session");
            }
            return State::Established(self);
        }
        if !self.exchange.is_stable() || self.queued.is_some() {
            return State::Established(self);
        }
        let sdp = self.sdp.clone();
        self.offer(cx, sdp, Change::Refresh)
    }

    /// Sends what waits for the end of an exchange, when that has come.
    fn go_on(mut self, cx: &mut Context<'_>) -> State {
        if self.exchange.is_stable()
            && let Some(Queued { sdp, retries, .. }) = self.queued.take_if(|queued| !queued.held)
        {
            return self.offer(cx, sdp, Change::Wanted { retries });
        }
        State::Established(self)
    }

    fn offer(mut self, cx: &mut Context<'_>, sdp: Vec<u8>, what: Change) -> State {
        let mut invite = self.leg.dialog.request(Method::Invite);
        self.describe(cx, &mut invite);
        invite.set_sdp(sdp.clone());
        if let Err(NoRoom) = self.leg.request(cx, invite) {
            self.refuse_offer(cx, 503, what);
            return State::Established(self);
        }
        self.exchange = Exchange::Offering(Box::new(Offering { sdp, what }));
        State::Established(self)
    }

    /// The header fields of a request that refreshes the session.
    fn describe(&self, cx: &Context<'_>, request: &mut Request) {
        request.headers.push("Contact", self.leg.contact(cx.core));
        request.headers.push("Allow", ALLOW);
        request.headers.push("Supported", SUPPORTED);
        self.refresh.write_request(&mut request.headers);
    }

    fn expire(self, cx: &mut Context<'_>) -> State {
        cx.end(EndCause::Expired);
        self.close(cx, Some(EXPIRED))
    }

    /// Sends BYE; the user knows already why.
    pub fn close(self, cx: &mut Context<'_>, reason: Option<&str>) -> State {
        cx.timers.clear();
        if let Exchange::Asked(asked) = &self.exchange {
            cx.refuse(asked, 487);
        }
        Closing::start(cx, self.leg, reason)
    }

    pub fn hang_up(self, cx: &mut Context<'_>, cause: EndCause, reason: Option<&str>) -> State {
        cx.end(cause);
        // RFC 3261 §15: the callee sends no BYE before the ACK, or the end of waiting for it.
        match &self.exchange {
            Exchange::Answered(answered) if answered.is_first => {
                cx.timers.stop(SessionTimer::Refresh);
                State::HangingUp(self)
            }
            _ => self.close(cx, reason),
        }
    }

    fn on_bye(self, cx: &mut Context<'_>, bye: &Arrived) -> State {
        cx.refuse(bye, 200);
        // RFC 3261 §15.1.2
        if let Exchange::Asked(asked) = &self.exchange {
            cx.refuse(asked, 487);
        }
        cx.end(EndCause::RemoteBye(Reason::read(&bye.request.headers)));
        State::Over
    }
}

impl Context<'_> {
    /// RFC 4028 §6
    pub(super) fn refuse_too_short(&mut self, arrived: &Arrived) {
        let refusal = Response::answer(&arrived.request, 422).with("Min-SE", MIN_SE.as_secs().to_string());
        self.respond(&arrived.key, refusal);
    }
}
