//! Dialogs (RFC 3261 §12): who talks to whom, by which route, in which order.

use super::message::{CSeq, Envelope, Headers, Method, NameAddr, Request, Response, Uri};

/// Names a dialog (RFC 3261 §12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DialogId {
    pub call_id: String,
    pub local_tag: String,
    /// Empty for a peer of RFC 2543, which has none.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog that a request is for; `None` when it is for none.
    pub fn of_request(envelope: &Envelope) -> Option<Self> {
        Some(DialogId {
            call_id: envelope.call_id.clone(),
            local_tag: envelope.to.tag()?.to_owned(),
            remote_tag: envelope.from.tag().unwrap_or("").to_owned(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Dialog {
    pub id: DialogId,
    /// The Call-ID is ours, since we sent the INVITE.
    pub owns_call_id: bool,
    local: NameAddr,
    remote: NameAddr,
    remote_target: Uri,
    /// In the order in which requests pass it.
    route_set: Vec<NameAddr>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
}

/// A message cannot begin a dialog: it has no readable Contact, Record-Route or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot begin a dialog: its {0} is missing or cannot be read")]
pub(super) struct NoDialog(pub &'static str);

/// A request is older than one before it (RFC 3261 §12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfOrder;

impl Dialog {
    /// Our side of a dialog that the INVITE of a peer begins (RFC 3261 §12.1.1).
    pub fn uas(invite: &Request, envelope: &Envelope, local_tag: &str) -> Result<Self, NoDialog> {
        Ok(Dialog {
            id: DialogId {
                call_id: envelope.call_id.clone(),
                local_tag: local_tag.to_owned(),
                remote_tag: envelope.from.tag().unwrap_or("").to_owned(),
            },
            owns_call_id: false,
            local: envelope.to.clone().with_tag(local_tag),
            remote: envelope.from.clone(),
            remote_target: contact_uri(&invite.headers)?,
            route_set: route_set(&invite.headers)?,
            local_cseq: 0,
            remote_cseq: Some(envelope.cseq.number),
        })
    }

    /// Our side of a dialog that a 2xx or a provisional answer to our INVITE begins (RFC 3261 §12.1.2).
    pub fn uac(answer: &Response, envelope: &Envelope) -> Result<Self, NoDialog> {
        Ok(Dialog {
            id: DialogId {
                call_id: envelope.call_id.clone(),
                local_tag: envelope.from.tag().ok_or(NoDialog("From tag"))?.to_owned(),
                remote_tag: envelope.to.tag().unwrap_or("").to_owned(),
            },
            owns_call_id: true,
            local: envelope.from.clone(),
            remote: envelope.to.clone(),
            remote_target: contact_uri(&answer.headers)?,
            route_set: reversed_route_set(&answer.headers)?,
            local_cseq: envelope.cseq.number,
            remote_cseq: None,
        })
    }

    /// The 2xx to our INVITE confirms an early dialog: its route set counts (RFC 3261 §13.2.2.4).
    pub fn confirm(&mut self, answer: &Response) -> Result<(), NoDialog> {
        self.remote_target = contact_uri(&answer.headers)?;
        self.route_set = reversed_route_set(&answer.headers)?;
        Ok(())
    }

    /// Takes the order of a request of the peer, except ACK and CANCEL.
    pub fn accept(&mut self, cseq: &CSeq) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| cseq.number < last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(cseq.number);
        Ok(())
    }

    /// Takes the new Contact of a re-INVITE, an UPDATE, or the 2xx to one (RFC 3261 §12.2.1.2, §12.2.2). True if it
    /// changed.
    pub fn refresh_target(&mut self, headers: &Headers) -> bool {
        match contact_uri(headers) {
            Ok(target) if target != self.remote_target => {
                self.remote_target = target;
                true
            }
            _ => false,
        }
    }

    /// Whom the next request is sent to.
    pub fn first_hop(&self) -> &Uri {
        self.route_set.first().map_or(&self.remote_target, |route| &route.uri)
    }

    /// Where requests to the peer are addressed: his Contact.
    pub fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// Our address in this dialog.
    pub fn local_uri(&self) -> &Uri {
        &self.local.uri
    }

    pub fn has_routes(&self) -> bool {
        !self.route_set.is_empty()
    }

    /// A request with the next number, without `Via` (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.numbered(method, self.local_cseq)
    }

    /// Gives the next number to a request that is repeated with credentials (RFC 3261 §22.2); that number.
    pub fn renumber(&mut self, request: &mut Request) -> u32 {
        self.local_cseq += 1;
        let cseq = CSeq { number: self.local_cseq, method: request.method.clone() };
        request.headers.set("CSeq", cseq.to_string());
        self.local_cseq
    }

    /// The number of the last request.
    pub fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The ACK of a 2xx has the number of its INVITE (RFC 3261 §13.2.2.4).
    pub fn ack(&self, cseq: u32) -> Request {
        self.numbered(Method::Ack, cseq)
    }

    fn numbered(&self, method: Method, number: u32) -> Request {
        let mut routes: Vec<_> = self.route_set.iter().map(ToString::to_string).collect();
        let mut target = self.remote_target.clone();
        // RFC 3261 §12.2.1.1: a first route without `lr` is a strict router, which expects itself in the Request-URI.
        if let Some(first) = self.route_set.first().filter(|route| !route.uri.params.has("lr")) {
            routes.remove(0);
            routes.push(format!("<{target}>"));
            target = first.uri.clone();
            target.headers = None;
        }
        let mut request = Request::new(method.clone(), target);
        for route in routes {
            request.headers.push("Route", route);
        }
        request.headers.push("From", self.local.to_string());
        request.headers.push("To", self.remote.to_string());
        request.headers.push("Call-ID", self.id.call_id.clone());
        request.headers.push("CSeq", CSeq { number, method }.to_string());
        request
    }
}

fn contact_uri(headers: &Headers) -> Result<Uri, NoDialog> {
    let mut contact: NameAddr =
        headers.values("Contact").next().and_then(|c| c.parse().ok()).ok_or(NoDialog("Contact"))?;
    // RFC 3261 §19.1.1: they have no place in a Request-URI.
    contact.uri.headers = None;
    if contact.uri.is_sip() { Ok(contact.uri) } else { Err(NoDialog("Contact")) }
}

fn route_set(headers: &Headers) -> Result<Vec<NameAddr>, NoDialog> {
    headers.values("Record-Route").map(|route| route.parse().map_err(|_| NoDialog("Record-Route"))).collect()
}

/// The caller sees the route set from its other end (RFC 3261 §12.1.2).
fn reversed_route_set(headers: &Headers) -> Result<Vec<NameAddr>, NoDialog> {
    let mut routes = route_set(headers)?;
    routes.reverse();
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Message;

    fn invite(record_route: &str) -> Request {
        let text = format!(
            "INVITE sip:us@h SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=their\r\n\
             To: <sip:us@h>\r\nCall-ID: c\r\nCSeq: 10 INVITE\r\nContact: <sip:a@192.0.2.9>\r\n{record_route}\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn uas(record_route: &str) -> Dialog {
        let invite = invite(record_route);
        Dialog::uas(&invite, &invite.envelope().unwrap(), "our").unwrap()
    }

    fn routes(request: &Request) -> Vec<&str> {
        request.headers.all("Route").collect()
    }

    #[test]
    fn a_loose_route_leaves_the_target_in_the_request_uri() {
        let mut dialog = uas("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:a@192.0.2.9");
        assert_eq!(routes(&bye), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(bye.headers.get("From"), Some("<sip:us@h>;tag=our"));
        assert_eq!(bye.headers.get("CSeq"), Some("1 BYE"));
        assert_eq!(dialog.first_hop().host, "p1");
    }

    #[test]
    fn a_strict_route_stands_in_the_request_uri() {
        let bye = uas("Record-Route: <sip:p1>, <sip:p2;lr>\r\n").request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:p1");
        assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:a@192.0.2.9>"]);
    }

    #[test]
    fn the_callers_route_set_is_reversed() {
        let request = invite("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        let mut answer = Response::answer(&request, 200).with_to_tag("our").with("Contact", "<sip:us@192.0.2.1>");
        answer.headers.copy("Record-Route", &request.headers);
        let mut dialog = Dialog::uac(&answer, &answer.envelope().unwrap()).unwrap();
        assert_eq!(routes(&dialog.ack(10)), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(dialog.ack(10).headers.get("CSeq"), Some("10 ACK"));
        assert_eq!(dialog.request(Method::Bye).headers.get("CSeq"), Some("11 BYE"));
    }

    #[test]
    fn an_older_request_is_out_of_order() {
        let mut dialog = uas("");
        assert_eq!(dialog.accept(&CSeq { number: 12, method: Method::Invite }), Ok(()));
        assert_eq!(dialog.accept(&CSeq { number: 11, method: Method::Bye }), Err(OutOfOrder));
    }

    #[test]
    fn no_contact_no_dialog() {
        let mut invite = invite("");
        invite.headers.remove("Contact");
        let envelope = invite.envelope().unwrap();
        assert_eq!(Dialog::uas(&invite, &envelope, "t").unwrap_err(), NoDialog("Contact"));
    }
}
