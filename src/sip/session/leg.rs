//! A dialog with the way to its peer: what both sides of a call need to send, answers to challenges included.
//!
//! A request goes out by [`Leg::request`]. If the peer or a proxy challenges it and the call has credentials, it is
//! repeated with them before anybody hears of the challenge (RFC 3261 §22): [`Leg::takes`] says whether an answer is for
//! the caller of `request`.

use super::Context;
use crate::sip::client_auth::AccountAuth;
use crate::sip::core::{Core, Owner};
use crate::sip::dialog::{Dialog, NoDialog};
use crate::sip::message::{Envelope, Method, Request, Response};
use crate::sip::path::Path;
use crate::sip::transaction::Failed;
use crate::sip::{Flow, ResolveId, Transport};

/// Requests that wait for a way, and those that may have to be repeated with credentials, are no more than this each.
const MAX_WAITING: usize = 16;

pub(super) struct Leg {
    pub dialog: Dialog,
    path: Path,
    /// Nobody stands between the peer and us.
    direct: bool,
    /// The user part of our Contact.
    user: String,
    /// Requests without an answer, kept in calls that have credentials.
    open: Vec<Open>,
    /// Those of our last INVITE, which its ACK has too (RFC 3261 §22.1).
    credentials: Vec<(&'static str, String)>,
    /// The number of the last INVITE whose 2xx we have acknowledged.
    acknowledged: u32,
    /// The dialogs of other telephones that our INVITE was forked to. They end as soon as they are answered.
    others: Vec<Leg>,
    /// It is one of those: the answers to its requests matter to nobody.
    for_nobody: bool,
}

/// A request without an answer.
struct Open {
    draft: Request,
    number: u32,
    /// It was sent again with credentials.
    repeated: bool,
}

/// There is no room for another transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Leg {
    pub fn new(dialog: Dialog, flow: Flow, direct: bool, user: String) -> Self {
        let direct = direct && !dialog.has_routes();
        let path = Path::choose(dialog.first_hop(), flow, direct);
        Leg {
            dialog,
            path,
            direct,
            user,
            open: Vec::new(),
            credentials: Vec::new(),
            acknowledged: 0,
            others: Vec::new(),
            for_nobody: false,
        }
    }

    pub fn flow(&self) -> Flow {
        self.path.flow()
    }

    pub fn contact(&self, core: &Core) -> String {
        core.contact(&self.user, &self.flow()).to_string()
    }

    /// A request of the peer has come over `flow`; a target refresh may move him.
    pub fn on_request(&mut self, request: &Request, flow: Flow) {
        let refreshes = matches!(request.method, Method::Invite | Method::Update);
        let moved = refreshes && self.dialog.refresh_target(&request.headers);
        // Over a new connection of a direct peer, or toward his new target, the path is another.
        if (moved || self.direct) && !matches!(self.path, Path::Resolving { .. }) {
            self.path = Path::choose(self.dialog.first_hop(), flow, self.direct);
        }
    }

    /// The peer has answered a re-INVITE or UPDATE of ours by 2xx, which may move him (RFC 3261 §12.2.1.2).
    pub fn on_refreshed(&mut self, answer: &Response) {
        if self.dialog.refresh_target(&answer.headers) && !matches!(self.path, Path::Resolving { .. }) {
            self.path = Path::choose(self.dialog.first_hop(), self.flow(), self.direct);
        }
    }

    /// The 2xx to our INVITE has come: its route set is the dialog's from now on.
    pub fn confirm(&mut self, answer: &Response) -> Result<(), NoDialog> {
        let flow = self.flow();
        self.dialog.confirm(answer)?;
        if !matches!(self.path, Path::Resolving { .. }) {
            self.path = Path::choose(self.dialog.first_hop(), flow, self.direct);
        }
        Ok(())
    }

    /// The connection is gone: the next request finds a new one.
    pub fn on_flow_failed(&mut self, flow: &Flow) {
        if flow.transport != Transport::Udp && matches!(self.path, Path::Known(known) if known == *flow) {
            self.path = Path::Unknown { last: *flow };
        }
    }

    /// Sends a request made by [`Dialog::request`], with whatever was added to it. Its answer comes to the session,
    /// with another number if it had to be repeated with credentials.
    pub fn request(&mut self, cx: &mut Context<'_>, draft: Request) -> Result<(), NoRoom> {
        if cx.auth.is_some() && !self.for_nobody && self.open.len() < MAX_WAITING {
            let number = self.dialog.last_cseq();
            self.open.push(Open { draft: draft.clone(), number, repeated: false });
        }
        self.send(cx, draft)
    }

    /// BYE, with a [`crate::sip::Reason`] if there is one.
    pub fn bye(&mut self, cx: &mut Context<'_>, reason: Option<&str>) -> Result<(), NoRoom> {
        let mut bye = self.dialog.request(Method::Bye);
        if let Some(reason) = reason {
            bye.headers.push("Reason", reason);
        }
        self.request(cx, bye)
    }

    /// Whether an answer to a request of this dialog is for who sent it. Not so a challenge: the request is on its way
    /// again, with credentials.
    pub fn takes(&mut self, cx: &mut Context<'_>, response: &Response, envelope: &Envelope) -> bool {
        if response.is_provisional() {
            return true;
        }
        let Some(at) = self
            .open
            .iter()
            .position(|open| open.number == envelope.cseq.number && open.draft.method == envelope.cseq.method)
        else {
            return true;
        };
        let mut open = self.open.remove(at);
        let Some(auth) = cx.auth.as_mut() else { return true };
        if response.is_success() {
            auth.on_success(&self.path.flow(), response);
        }
        if !matches!(response.status, 401 | 407) {
            return true;
        }
        if !open.repeated {
            auth.begin();
        }
        open.repeated = true;
        if !auth.on_challenge(&self.path.flow(), response) {
            return true;
        }
        open.number = self.dialog.renumber(&mut open.draft);
        let draft = open.draft.clone();
        self.open.push(open);
        self.send(cx, draft).is_err()
    }

    /// A request of this dialog got no answer.
    pub fn on_failed(&mut self, failed: &Failed<Owner>) {
        self.open.retain(|open| open.number != failed.cseq.number);
    }

    /// The credentials of our first INVITE, which was sent before there was a dialog.
    pub fn copy_credentials(&mut self, invite: &Request) {
        self.credentials = AccountAuth::credentials_of(invite);
    }

    /// Whether the 2xx to the INVITE with that number was acknowledged before.
    pub fn has_acknowledged(&self, cseq: u32) -> bool {
        cseq <= self.acknowledged
    }

    /// Acknowledges a 2xx to our INVITE; again when that comes again (RFC 3261 §13.2.2.4).
    pub fn acknowledge(&mut self, cx: &mut Context<'_>, cseq: u32) {
        self.acknowledged = self.acknowledged.max(cseq);
        let mut ack = self.dialog.ack(cseq);
        for (name, value) in &self.credentials {
            ack.headers.push(name, value.clone());
        }
        // An ACK takes no transaction. If too many requests wait for a way, the 2xx comes again.
        let _: Result<(), NoRoom> = self.send(cx, ack);
    }

    /// This telephone has answered; those have rung beside it, and may have sent their own answer already.
    pub fn chosen_from(&mut self, others: Vec<Leg>) {
        self.others = others;
    }

    /// The dialog of another telephone, whose 2xx this is; `None` if it can have none, or there are too many.
    pub fn other(&mut self, answer: &Response, envelope: &Envelope) -> Option<&mut Leg> {
        let tag = envelope.to.tag().unwrap_or("");
        let known = self.others.iter().position(|other| other.dialog.id.remote_tag == tag);
        let at = known.unwrap_or(self.others.len());
        if known.is_none() && at < MAX_WAITING {
            let dialog = Dialog::uac(answer, envelope).ok()?;
            self.others.push(Leg::new(dialog, self.flow(), false, self.user.clone()));
        }
        let other = self.others.get_mut(at)?;
        other.for_nobody = true;
        other.credentials.clone_from(&self.credentials);
        Some(other)
    }

    fn send(&mut self, cx: &mut Context<'_>, draft: Request) -> Result<(), NoRoom> {
        match &mut self.path {
            Path::Known(flow) => {
                let flow = *flow;
                self.send_over(cx, flow, draft)
            }
            Path::Resolving { waiting, .. } if waiting.len() >= MAX_WAITING => Err(NoRoom),
            Path::Resolving { waiting, .. } => {
                waiting.push(draft);
                Ok(())
            }
            Path::Unknown { last } => {
                let last = *last;
                let hop = self.dialog.first_hop();
                let transport = hop.transport().unwrap_or(last.transport);
                let id = cx.core.resolve(cx.owner(), &hop.host, hop.port, Some(transport));
                self.path = Path::Resolving { id, last, waiting: vec![draft] };
                Ok(())
            }
        }
    }

    pub fn on_resolved(&mut self, cx: &mut Context<'_>, id: ResolveId, flows: &[Flow]) -> Result<(), NoRoom> {
        for other in &mut self.others {
            if let Err(NoRoom) = other.on_resolved(cx, id, flows) {
                tracing::debug!(call.id = %cx.key, "no room to end a forked answer");
            }
        }
        let Path::Resolving { id: asked, last, waiting } = &mut self.path else { return Ok(()) };
        if *asked != id {
            return Ok(());
        }
        let (last, waiting) = (*last, std::mem::take(waiting));
        let same = flows.iter().find(|flow| flow.transport == last.transport && flow.remote == last.remote);
        let flow = same.or(flows.first()).copied().unwrap_or(last);
        self.path = Path::Known(flow);
        waiting.into_iter().try_for_each(|draft| self.send_over(cx, flow, draft))
    }

    fn send_over(&mut self, cx: &mut Context<'_>, flow: Flow, mut draft: Request) -> Result<(), NoRoom> {
        if draft.method == Method::Ack {
            cx.ack(flow, draft);
            return Ok(());
        }
        if self.for_nobody {
            cx.authorize(&flow, &mut draft);
            return cx.core.request(cx.now, flow, &draft, Owner::Nobody).map(|_| ()).ok_or(NoRoom);
        }
        let sent = cx.request(flow, draft).ok_or(NoRoom)?;
        if sent.method == Method::Invite {
            self.copy_credentials(&sent);
        }
        Ok(())
    }
}
