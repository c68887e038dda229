//! The sessions around a call: the one that it is in, one that it is sent to (REFER), one that takes its place (Replaces,
//! RFC 3891), and one that it has left.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Driver, stream_start};
use crate::call::Input;
use crate::call::keys::Dtmf;
use crate::clock;
use crate::log::LogItem;
use crate::net::media::Media;
use crate::net::ports::MediaSockets;
use crate::sip::message::Uri;
use crate::sip::{AccountId, CallKey, Command, EndCause, Incoming, SessionEvent};

/// Who has sent us to somebody else hangs up himself when he is told that we are there; else we do it for him.
const LEAVE_AFTER: Duration = Duration::from_secs(5);

/// The sessions of one call.
pub(super) struct Sessions {
    /// The one that the call is in. Once its other side is gone, only `next` keeps the call.
    pub current: CallKey,
    is_gone: bool,
    side: Side,
    next: Option<Next>,
    /// One that we have left, and when we hang it up.
    left: Option<(CallKey, Instant)>,
}

/// Which side of ours the other one of a session sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    account: Option<AccountId>,
    /// Ours as he knows it, and his.
    address: IpAddr,
    peer: IpAddr,
}

impl Side {
    pub fn of(incoming: &Incoming) -> Self {
        let Incoming { account, our_address: address, flow, .. } = incoming;
        Self { account: *account, address: *address, peer: flow.remote.ip() }
    }
}

/// The call to the one whom we are sent to.
struct Next {
    key: CallKey,
    sockets: MediaSockets,
    target: Uri,
}

impl Sessions {
    pub fn new(current: CallKey, side: Side) -> Self {
        Self { current, is_gone: false, side, next: None, left: None }
    }

    /// When [`Driver::leave_when_due`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.left.map(|(_, at)| at)
    }
}

impl Driver {
    pub(super) async fn session_event(&mut self, key: CallKey, event: SessionEvent) {
        match event {
            SessionEvent::Incoming(incoming) => self.replaced(key, incoming).await,
            event if key == self.sessions.current => self.current_event(event).await,
            event if self.sessions.next.as_ref().is_some_and(|next| next.key == key) => self.next_event(event),
            SessionEvent::Ended { .. } => {
                self.sessions.left.take_if(|(left, _)| *left == key);
            }
            // What a session that we have left says is of no interest.
            _ => {}
        }
    }

    async fn current_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::TransferRequested { target } => self.transfer_requested(target).await,
            SessionEvent::Ended { .. } if self.sessions.next.is_some() => {
                self.sessions.is_gone = true;
                self.call.handle_input(clock::now(), Input::PeerLeft);
            }
            SessionEvent::Digit { .. } if self.dtmf == Dtmf::None => {
                tracing::debug!("a key by INFO was ignored: dtmf = \"none\"");
            }
            event => self.call.handle_input(clock::now(), Input::Session(event)),
        }
    }

    async fn transfer_requested(&mut self, target: Uri) {
        let call = self.sessions.current;
        let refuse = async |status| self.office.sip.command(Command::RejectTransfer { call, status }).await;
        if !self.office.call_out.allows(&target) {
            tracing::warn!("the caller wants us to call somebody whom [sip] call_out does not allow: refused");
            return refuse(403).await;
        }
        if self.sessions.next.is_some() {
            return refuse(491).await;
        }
        let side = self.sessions.side;
        let sockets = match self.office.ports.bind(side.address) {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::warn!(%error, "no port for the one whom we are sent to");
                return refuse(500).await;
            }
        };
        let media = self.office.line(side.account).media_address(&sockets, side.address, side.peer).await;
        let offer = self.call.offer_move(media, stream_start().sdp_session);
        match self.office.sip.accept_transfer(call, offer).await {
            Some(key) => {
                tracing::info!("the caller sends us to somebody else");
                self.sessions.next = Some(Next { key, sockets, target });
            }
            None => refuse(480).await,
        }
    }

    fn next_event(&mut self, event: SessionEvent) {
        let now = clock::now();
        match event {
            SessionEvent::Answered { sdp, .. } => {
                let Some(Next { key, sockets, target }) = self.sessions.next.take() else { return };
                tracing::info!("the call goes on with the one whom we were sent to");
                let old = self.settle_in(key, sockets, self.sessions.side, target.to_string(), None);
                if !self.sessions.is_gone {
                    self.sessions.left = Some((old, now + LEAVE_AFTER));
                }
                self.sessions.is_gone = false;
                self.call.handle_input(now, Input::Moved { sdp });
            }
            SessionEvent::Ended { cause } => {
                tracing::debug!(?cause, "the one whom we were sent to was not reached");
                self.sessions.next = None;
                if self.sessions.is_gone {
                    let ended = SessionEvent::Ended { cause: EndCause::RemoteBye(None) };
                    self.call.handle_input(now, Input::Session(ended));
                }
            }
            // It rings; nobody listens to its music.
            _ => {}
        }
    }

    /// Somebody takes the place of our caller: the conversation goes on with him.
    async fn replaced(&mut self, key: CallKey, incoming: Box<Incoming>) {
        let refuse =
            async |status| self.office.sip.command(Command::Reject { call: key, status, retry_after: None }).await;
        if self.call.is_over() {
            // RFC 3891 §3: there is nobody's place to take any more.
            return refuse(603).await;
        }
        let side = Side::of(&incoming);
        let sockets = match self.office.ports.bind(side.address) {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::warn!(%error, "no port for the one who takes the caller's place");
                return refuse(503).await;
            }
        };
        let media = self.office.line(side.account).media_address(&sockets, side.address, side.peer).await;
        let session = stream_start().sdp_session;
        match self.call.answer_move(clock::now(), media, session, incoming.offer.as_deref()) {
            Ok(sdp) => {
                tracing::info!("the call goes on with somebody who takes the caller's place");
                // The core ends the session that is replaced.
                let Incoming { caller, parties, .. } = *incoming;
                self.settle_in(key, sockets, side, caller.uri.to_string(), parties.caller_number);
                self.sessions.is_gone = false;
                self.office.sip.command(Command::Answer { call: key, sdp }).await;
                self.leave_others().await;
            }
            Err(error) => {
                tracing::warn!(%error, "one who wanted to take the caller's place was refused");
                refuse(488).await;
            }
        }
    }

    /// The call is in another session now; gives back the one that it was in.
    fn settle_in(
        &mut self,
        key: CallKey,
        sockets: MediaSockets,
        side: Side,
        with: String,
        number: Option<String>,
    ) -> CallKey {
        match Media::new(sockets, clock::now()) {
            Ok(media) => self.media = media,
            Err(error) => tracing::error!(%error, "the new session has no sound"),
        }
        self.sessions.side = side;
        self.conversation.set_caller_number(number);
        if let Some(log) = &mut self.log {
            log.item(LogItem::Moved(with));
        }
        std::mem::replace(&mut self.sessions.current, key)
    }

    pub(super) async fn leave_when_due(&mut self) {
        if let Some((call, _)) = self.sessions.left.take_if(|(_, at)| *at <= clock::now()) {
            self.office.sip.command(Command::Hangup { call }).await;
        }
    }

    /// Ends all sessions but the current one.
    pub(super) async fn leave_others(&mut self) {
        let next = self.sessions.next.take().map(|next| next.key);
        let left = self.sessions.left.take().map(|(key, _)| key);
        for call in next.into_iter().chain(left) {
            self.office.sip.command(Command::Hangup { call }).await;
        }
    }
}
