//! A dialog with the way to its peer: what both sides of an established call need to send.

use std::time::Instant;

use crate::sip::core::{Core, Owner};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Method, Request};
use crate::sip::path::Path;
use crate::sip::{Flow, ResolveId, Transport};

pub(super) struct Leg {
    pub dialog: Dialog,
    path: Path,
    /// Nobody stands between the peer and us.
    direct: bool,
    /// The user part of our Contact.
    user: String,
    /// Our last ACK, to be sent again when the 2xx comes again.
    ack: Option<(Flow, Vec<u8>)>,
}

/// There is no room for another transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Leg {
    pub fn new(dialog: Dialog, flow: Flow, direct: bool, user: String) -> Self {
        let direct = direct && !dialog.has_routes();
        let path = Path::choose(dialog.first_hop(), flow, direct);
        Leg { dialog, path, direct, user, ack: None }
    }

    pub fn flow(&self) -> Flow {
        self.path.flow()
    }

    pub fn contact(&self, core: &Core) -> String {
        core.contact(&self.user, &self.flow()).to_string()
    }

    /// A request of the peer has come over `flow`; a target refresh may move him.
    pub fn on_request(&mut self, request: &Request, flow: Flow) {
        let moved = matches!(request.method, Method::Invite | Method::Update) && self.dialog.refresh_target(request);
        // Over a new connection of a direct peer, or toward his new target, the path is another.
        if (moved || self.direct) && !matches!(self.path, Path::Resolving { .. }) {
            self.path = Path::choose(self.dialog.first_hop(), flow, self.direct);
        }
    }

    /// The connection is gone: the next request finds a new one.
    pub fn on_flow_failed(&mut self, flow: &Flow) {
        if flow.transport != Transport::Udp && matches!(self.path, Path::Known(known) if known == *flow) {
            self.path = Path::Unknown { last: *flow };
        }
    }

    /// Acknowledges the 2xx of our INVITE.
    pub fn acknowledge(&mut self, core: &mut Core, now: Instant, owner: Owner, cseq: u32) {
        let ack = self.dialog.ack(cseq);
        // An ACK takes no transaction, so there is room.
        let _: Result<(), NoRoom> = self.send(core, now, owner, ack);
    }

    /// The 2xx came again: so did the ACK get lost (RFC 3261 §13.2.2.4).
    pub fn acknowledge_again(&self, core: &mut Core) {
        if let Some((flow, bytes)) = &self.ack {
            core.transmit(*flow, bytes.clone());
        }
    }

    pub fn bye(&mut self, core: &mut Core, now: Instant, owner: Owner) -> Result<(), NoRoom> {
        let bye = self.dialog.request(Method::Bye);
        self.send(core, now, owner, bye)
    }

    fn send(&mut self, core: &mut Core, now: Instant, owner: Owner, draft: Request) -> Result<(), NoRoom> {
        match &mut self.path {
            Path::Known(flow) => {
                let flow = *flow;
                self.send_over(core, now, owner, flow, &draft)
            }
            Path::Resolving { waiting, .. } => {
                waiting.push(draft);
                Ok(())
            }
            Path::Unknown { last } => {
                let last = *last;
                let hop = self.dialog.first_hop();
                let transport = hop.transport().unwrap_or(last.transport);
                let id = core.resolve(owner, &hop.host, hop.port, Some(transport));
                self.path = Path::Resolving { id, last, waiting: vec![draft] };
                Ok(())
            }
        }
    }

    pub fn on_resolved(
        &mut self,
        core: &mut Core,
        now: Instant,
        owner: Owner,
        id: ResolveId,
        flows: &[Flow],
    ) -> Result<(), NoRoom> {
        let Path::Resolving { id: asked, last, waiting } = &mut self.path else { return Ok(()) };
        if *asked != id {
            return Ok(());
        }
        let (last, waiting) = (*last, std::mem::take(waiting));
        let same = flows.iter().find(|flow| flow.transport == last.transport && flow.remote == last.remote);
        let flow = same.or(flows.first()).copied().unwrap_or(last);
        self.path = Path::Known(flow);
        waiting.iter().try_for_each(|draft| self.send_over(core, now, owner, flow, draft))
    }

    fn send_over(
        &mut self,
        core: &mut Core,
        now: Instant,
        owner: Owner,
        flow: Flow,
        draft: &Request,
    ) -> Result<(), NoRoom> {
        if draft.method == Method::Ack {
            self.ack = Some((flow, core.ack(flow, draft)));
            return Ok(());
        }
        core.request(now, flow, draft, owner).map(|_| ()).ok_or(NoRoom)
    }
}
