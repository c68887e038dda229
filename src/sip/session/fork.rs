//! The early dialogs of a call of ours: one for each telephone that a proxy has forked the INVITE to
//! (RFC 3261 §12.1.2, §13.2.2.4; RFC 3262 §4).

use super::leg::{Leg, NoRoom};
use super::reliable::{Rack, Receiver, rseq};
use super::{Arrived, Context};
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::message::{Envelope, Method, Response};
use crate::sip::{Flow, ResolveId};

/// More telephones than this are not told apart before one of them answers.
const MAX_FORKS: usize = 8;

/// A telephone that has not answered yet.
struct Fork {
    tag: String,
    /// `None` while its answers had no usable Contact.
    leg: Option<Leg>,
    receiver: Receiver,
    sdp: Option<Vec<u8>>,
    /// Its description came reliably, so it is the answer to our offer.
    answered: bool,
}

#[derive(Default)]
pub(super) struct Forks(Vec<Fork>);

/// What a provisional answer is to the call.
pub(super) enum Early {
    /// Out of order or a repeat: as if it had not come.
    Ignored,
    /// To be told to the user, with the description that it has.
    News(Option<Vec<u8>>),
}

impl Forks {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn has_dialog(&self, id: &DialogId) -> bool {
        self.legs().any(|leg| leg.dialog.id == *id)
    }

    /// The dialogs of those that have not answered.
    pub fn into_legs(self) -> Vec<Leg> {
        self.0.into_iter().filter_map(|fork| fork.leg).collect()
    }

    fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.0.iter().filter_map(|fork| fork.leg.as_ref())
    }

    fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.0.iter_mut().filter_map(|fork| fork.leg.as_mut())
    }

    /// The dialog that an answer to another request than the INVITE belongs to.
    pub fn leg_of(&mut self, answer: &Envelope) -> Option<&mut Leg> {
        let tag = answer.to.tag().unwrap_or("");
        self.legs_mut().find(|leg| leg.dialog.id.remote_tag == tag)
    }

    /// The dialog of a request of the peer, and whether our offer has its answer there.
    pub fn of_request(&mut self, arrived: &Arrived) -> Option<(&mut Leg, bool)> {
        let tag = arrived.envelope.from.tag().unwrap_or("");
        let fork = self.0.iter_mut().find(|fork| fork.tag == tag)?;
        Some((fork.leg.as_mut()?, fork.answered))
    }

    pub fn on_resolved(&mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) {
        for leg in self.legs_mut() {
            if leg.on_resolved(cx, id, flows).is_err() {
                tracing::debug!(call.id = %cx.key, "no room for a PRACK");
            }
        }
    }

    /// Takes a provisional answer to the INVITE that was sent over `flow`; acknowledges it if it wants that.
    pub fn on_provisional(
        &mut self,
        cx: &mut Context<'_>,
        response: &Response,
        envelope: &Envelope,
        flow: Flow,
        user: &str,
    ) -> Early {
        let sdp = response.sdp();
        let tag = envelope.to.tag().unwrap_or("");
        let at = self.0.iter().position(|fork| fork.tag == tag).unwrap_or(self.0.len());
        if at == self.0.len() && at < MAX_FORKS {
            let receiver = Receiver::default();
            self.0.push(Fork { tag: tag.to_owned(), leg: None, receiver, sdp: None, answered: false });
        }
        let Some(fork) = self.0.get_mut(at) else { return Early::News(sdp) };
        if fork.leg.is_none() && !tag.is_empty() {
            let dialog = Dialog::uac(response, envelope).ok();
            fork.leg = dialog.map(|dialog| Leg::new(dialog, flow, false, user.to_owned()));
        }
        let reliable = rseq(response);
        if let Some(rseq) = reliable {
            // Without a dialog there is no way to acknowledge it.
            let Some(leg) = fork.leg.as_mut() else { return Early::News(sdp) };
            if !fork.receiver.take(rseq) {
                return Early::Ignored;
            }
            let mut prack = leg.dialog.request(Method::Prack);
            prack.headers.push("RAck", Rack { rseq, cseq: envelope.cseq.number }.to_string());
            if let Err(NoRoom) = leg.request(cx, prack) {
                tracing::debug!(call.id = %cx.key, "no room for a PRACK");
            }
        }
        if let Some(sdp) = &sdp
            && !fork.answered
        {
            fork.sdp = Some(sdp.clone());
            fork.answered = reliable.is_some();
        }
        Early::News(sdp)
    }

    /// The telephone that answers: its dialog, and the description that stands when the 2xx has none, or had no right to
    /// another (RFC 3262 §5).
    pub fn take(&mut self, response: &Response, envelope: &Envelope) -> (Option<Leg>, Option<Vec<u8>>) {
        let tag = envelope.to.tag().unwrap_or("");
        let own = self.0.iter().position(|fork| fork.tag == tag).map(|at| self.0.swap_remove(at));
        match own {
            Some(Fork { leg, sdp, answered: true, .. }) => (leg, sdp),
            Some(Fork { leg, sdp, .. }) => (leg, response.sdp().or(sdp)),
            // Some exchanges give another tag to their 2xx than to the media before it.
            None => (None, response.sdp().or_else(|| self.0.iter().find_map(|fork| fork.sdp.clone()))),
        }
    }
}
