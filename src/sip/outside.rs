//! Texts to somebody's telephone: MESSAGE outside a dialog (RFC 3428).
//!
//! A text takes the way of a call: to the target itself, or by the trunk of an account, with its address and credentials;
//! where one flow is dead or overloaded the next is tried (RFC 3263 §4.3).
//!
//! Left out: texts to us, which are refused by 405; CPIM, delivery reports, `Expires`; splitting a long text.

use std::collections::BTreeMap;
use std::time::Instant;

use super::client_auth::AccountAuth;
use super::core::{Core, Owner};
use super::message::{CSeq, Method, NameAddr, Request, Response, Uri};
use super::session::{Caller, Next, Targets};
use super::transaction::{Failed, Failure};
use super::{EndCause, Event, Flow, MessageId, Output};

/// So many texts may be on their way.
const MAX_MESSAGES: usize = 256;

/// The texts on their way.
#[derive(Default)]
pub(super) struct Messages(BTreeMap<MessageId, Outgoing>);

struct Outgoing {
    to: Uri,
    text: String,
    user: String,
    /// The domain of our address of record; without one it is our own address.
    domain: Option<String>,
    auth: Option<AccountAuth>,
    call_id: String,
    local_tag: String,
    cseq: u32,
    targets: Targets,
    /// Over which flow it is out; `None` while that is looked for.
    flow: Option<Flow>,
}

/// What became of a text, once that is known.
type Fate = Option<Result<(), EndCause>>;

impl Messages {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Sends a text, if there is somebody to send it to.
    pub fn send(&mut self, core: &mut Core, now: Instant, id: MessageId, to: Result<Caller, EndCause>, text: String) {
        let full = if self.0.contains_key(&id) {
            Err(EndCause::Failed("a message of this number is on its way"))
        } else if self.0.len() >= MAX_MESSAGES {
            Err(EndCause::Failed("too many messages: try again later"))
        } else {
            Ok(())
        };
        let Caller { target, user, domain, trunk, auth, .. } = match full.and(to) {
            Ok(to) => to,
            Err(cause) => return tell(core, id, Err(cause)),
        };
        // RFC 3261 §19.1.1: headers of a URI do not go into a Request-URI.
        let to = Uri { headers: None, ..target };
        let mut message = Outgoing {
            targets: Targets::new(to.clone(), trunk),
            to,
            text,
            user,
            domain,
            auth,
            call_id: core.token(),
            local_tag: core.token(),
            cseq: 0,
            flow: None,
        };
        let fate = message.try_next(core, now, id, EndCause::TransportFailed("the target has no address".into()));
        self.0.insert(id, message);
        self.settle(core, id, fate);
    }

    pub fn on_resolved(&mut self, core: &mut Core, now: Instant, id: MessageId, flows: Vec<Flow>) {
        let Some(message) = self.0.get_mut(&id).filter(|message| message.flow.is_none()) else { return };
        // A text with credentials takes the way of its account, so that these are the account's addresses.
        if let Some(auth) = &mut message.auth {
            auth.trust(&flows);
        }
        message.targets.resolved(flows);
        let fate = message.try_next(core, now, id, EndCause::TransportFailed("the target has no address".into()));
        self.settle(core, id, fate);
    }

    pub fn on_response(&mut self, core: &mut Core, now: Instant, id: MessageId, response: &Response) {
        let Some(message) = self.0.get_mut(&id) else { return };
        let Some(flow) = message.flow else { return };
        let refused = EndCause::Rejected { status: response.status, reason: response.reason.clone() };
        let fate = match response.status {
            ..200 => None,
            200..300 => Some(Ok(())),
            401 | 407 if message.auth.as_mut().is_some_and(|auth| auth.on_challenge(&flow, response)) => {
                message.send_over(core, now, id, flow)
            }
            503 => message.try_next(core, now, id, refused),
            _ => Some(Err(refused)),
        };
        self.settle(core, id, fate);
    }

    pub fn on_failed(&mut self, core: &mut Core, now: Instant, id: MessageId, failed: Failed<Owner>) {
        let Some(message) = self.0.get_mut(&id) else { return };
        let cause = match failed.why {
            Failure::Timeout => EndCause::Timeout,
            Failure::Transport(error) => EndCause::TransportFailed(error),
        };
        let fate = message.try_next(core, now, id, cause);
        self.settle(core, id, fate);
    }

    fn settle(&mut self, core: &mut Core, id: MessageId, fate: Fate) {
        if let Some(result) = fate {
            self.0.remove(&id);
            tell(core, id, result);
        }
    }
}

impl Outgoing {
    /// Sends it over the next flow; its fate is `otherwise` when there is none.
    fn try_next(&mut self, core: &mut Core, now: Instant, id: MessageId, otherwise: EndCause) -> Fate {
        self.flow = None;
        match self.targets.next_flow() {
            Next::Flow(flow) => {
                if let Some(auth) = &mut self.auth {
                    auth.begin();
                }
                self.send_over(core, now, id, flow)
            }
            Next::Resolve { host, port, transport } => {
                match self.targets.follows_account() {
                    true => core.resolve_for_account(Owner::Message(id), &host, port, transport),
                    false => core.resolve(Owner::Message(id), &host, port, transport),
                };
                None
            }
            Next::Nothing => Some(Err(otherwise)),
        }
    }

    fn send_over(&mut self, core: &mut Core, now: Instant, id: MessageId, flow: Flow) -> Fate {
        self.cseq += 1;
        let from = match &self.domain {
            Some(domain) => NameAddr::new(None, Uri::of_host(Some(&self.user), domain.clone())),
            None => core.contact(&self.user, &flow),
        };
        let mut message = Request::new(Method::Message, self.to.clone());
        message.headers.push("From", from.with_tag(&self.local_tag).to_string());
        message.headers.push("To", NameAddr::new(None, self.to.clone()).to_string());
        message.headers.push("Call-ID", self.call_id.clone());
        message.headers.push("CSeq", CSeq { number: self.cseq, method: Method::Message }.to_string());
        message.headers.push("Content-Type", "text/plain;charset=UTF-8");
        message.body = self.text.clone().into_bytes();
        if let Some(auth) = &mut self.auth {
            auth.authorize(&flow, &mut message, &core.token());
        }
        if core.request(now, flow, &message, Owner::Message(id)).is_none() {
            return Some(Err(EndCause::Failed("too many transactions: try again later")));
        }
        self.flow = Some(flow);
        None
    }
}

fn tell(core: &mut Core, id: MessageId, result: Result<(), EndCause>) {
    core.output.push_back(Output::Event(Event::Message { id, result }));
}
