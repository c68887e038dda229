//! Calls of ours, and what needs two calls: transfers, and calls that take the place of others (RFC 3515, RFC 3891).

use std::time::{Duration, Instant};

use super::Endpoint;
use crate::sip::call_out::read_target;
use crate::sip::core::Core;
use crate::sip::message::Uri;
use crate::sip::register::Registration;
use crate::sip::session::{Arrived, Caller, Replaceable, Replaces, Session, Trunk, Wanted};
use crate::sip::{Account, AccountId, CallKey, EndCause, EndpointConfig, SessionEvent, TransferProgress};

/// How long a call rings that a peer asked for.
const RING_FOR: Duration = Duration::from_secs(180);

impl Endpoint {
    pub(super) fn transfer(&mut self, now: Instant, call: CallKey, target: &str) {
        let Some(session) = self.sessions.get(&call) else { return };
        match self.read_target(target, session.account) {
            Ok(target) if self.core.config.call_out.allows_named(&target) => {
                // The guard has not looked at headers of the target.
                let target = Uri { headers: None, ..target };
                self.with_session(call, |session, core| session.transfer(core, now, target));
            }
            Ok(_) => fail(&mut self.core, call, 403),
            Err(_) => fail(&mut self.core, call, 416),
        }
    }

    pub(super) fn transfer_to(&mut self, now: Instant, call: CallKey, other: CallKey) {
        if !self.sessions.contains_key(&call) {
            return;
        }
        let target = self.sessions.get(&other).filter(|_| call != other).and_then(Session::peer_to_replace_us);
        match target {
            Some(target) => self.with_session(call, |session, core| session.transfer(core, now, target)),
            None => fail(&mut self.core, call, 481),
        }
    }

    pub(super) fn accept_transfer(&mut self, now: Instant, call: CallKey, new_call: CallKey, offer: Vec<u8>) {
        let mut wanted = None;
        self.with_session(call, |session, core| {
            wanted = session.accept_transfer(core, now).map(|wanted| (session.account, wanted));
        });
        let Some((account, Wanted { target, headers })) = wanted else {
            let cause = EndCause::Failed("nobody waits for this call any more");
            return self.core.emit(new_call, SessionEvent::Ended { cause });
        };
        self.core.refer(new_call, call);
        let allowed = self.if_allowed(target, |config, to| config.call_out.allows(to));
        let caller = allowed.and_then(|to| self.caller(to, account, RING_FOR));
        let caller = caller.map(|caller| Caller { headers, ..caller });
        self.invite(now, new_call, caller, offer);
    }

    /// Tells peers of the calls that they asked for.
    pub(super) fn report_progress(&mut self, now: Instant) {
        while let Some((call, status)) = self.core.next_progress() {
            self.with_session(call, |session, core| session.on_progress(core, now, status));
        }
    }

    /// The call whose place an INVITE is to take, or the status that refuses it (RFC 3891 §3).
    pub(super) fn find_replaced(&self, arrived: &Arrived, account: Option<AccountId>) -> Result<Option<CallKey>, u16> {
        let headers = &arrived.request.headers;
        let mut values = headers.all("Replaces");
        let Some(value) = values.next() else { return Ok(None) };
        // The two are of no use together (RFC 3911 §4).
        if values.next().is_some() || headers.get("Join").is_some() {
            return Err(400);
        }
        let Replaces { dialog, early_only } = Replaces::parse(value).ok_or(400u16)?;
        let same = self.sessions_of(&dialog.call_id).map(|(_, session)| session);
        let mut found = same.filter_map(|session| Some((session, session.replaceable(&dialog)?)));
        match found.next() {
            None | Some((_, Replaceable::NotAnsweredByUs)) => Err(481),
            // Whoever may call us over another account knows nothing of this one's calls.
            Some((session, _)) if session.account != account => Err(403),
            Some((_, Replaceable::Ended)) => Err(603),
            Some((_, Replaceable::Answered(_))) if early_only => Err(486),
            Some((_, Replaceable::Answered(call) | Replaceable::NotAnsweredByPeer(call))) => Ok(Some(call)),
        }
    }

    /// A call was answered: one that it takes the place of is over.
    pub(super) fn end_replaced(&mut self, now: Instant, call: CallKey) {
        if let Some(old) = self.sessions.get_mut(&call).and_then(Session::take_replaced) {
            self.with_session(old, |session, core| session.on_replaced(core, now));
        }
    }

    /// A target as the operator or the dialog names it.
    pub(super) fn read_target(&self, target: &str, account: Option<AccountId>) -> Result<Uri, EndCause> {
        let registration = self.registration(account)?;
        read_target(target, registration.map(|r| r.account().domain.as_str())).ok_or(EndCause::InvalidTarget)
    }

    pub(super) fn if_allowed(
        &self,
        target: Uri,
        allows: impl FnOnce(&EndpointConfig, &Uri) -> bool,
    ) -> Result<Uri, EndCause> {
        if allows(&self.core.config, &target) { Ok(target) } else { Err(EndCause::NotAllowed) }
    }

    /// Whom to call, as whom and by which way.
    pub(super) fn caller(
        &self,
        target: Uri,
        account: Option<AccountId>,
        ring_for: Duration,
    ) -> Result<Caller, EndCause> {
        let registration = self.registration(account)?;
        let headers = Vec::new();
        Ok(match registration {
            Some(registration) => {
                let Account { registrar, port, transport, domain, username, .. } = registration.account().clone();
                let trunk = Some(Trunk { flow: registration.flow(), host: registrar, port, transport });
                let auth = registration.account_auth();
                Caller { target, account, user: username, domain: Some(domain), trunk, auth, ring_for, headers }
            }
            None => {
                let user = self.core.config.user.clone();
                Caller { target, account, user, domain: None, trunk: None, auth: None, ring_for, headers }
            }
        })
    }

    pub(super) fn invite(&mut self, now: Instant, call: CallKey, caller: Result<Caller, EndCause>, offer: Vec<u8>) {
        let is_full = self.sessions.len() >= self.core.config.max_calls || self.sessions.contains_key(&call);
        let full = EndCause::Failed("no room for another call");
        match caller.and_then(|caller| if is_full { Err(full) } else { Ok(caller) }) {
            Ok(caller) => {
                let session = Session::call(&mut self.core, now, call, caller, offer);
                self.insert(call, session);
            }
            Err(cause) => self.core.emit(call, SessionEvent::Ended { cause }),
        }
    }

    fn registration(&self, account: Option<AccountId>) -> Result<Option<&Registration>, EndCause> {
        let Some(id) = account else { return Ok(None) };
        self.registrations.get(&id).map(Some).ok_or(EndCause::Failed("there is no such account"))
    }
}

fn fail(core: &mut Core, call: CallKey, status: u16) {
    core.emit(call, SessionEvent::Transfer(TransferProgress::Failed(status)));
}
