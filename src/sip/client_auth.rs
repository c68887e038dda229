//! Our credentials towards one peer: answers 401 and 407, and goes on with the nonce it knows, so that the next
//! request needs one round trip (RFC 3261 §22, RFC 7616 §3.4).

use super::auth::{Authorizer, Challenge, Credentials};
use super::message::{Request, Response};

/// More challenges than this for one request are a quarrel, not a dialogue.
const MAX_CHALLENGES: u8 = 4;

pub(super) struct ClientAuth {
    credentials: Vec<Credentials>,
    user_agent: Slot,
    proxy: Slot,
    challenges: u8,
}

/// What one kind of challenger, user agent or proxy, knows of us.
#[derive(Default)]
struct Slot {
    authorizer: Option<Authorizer>,
    /// The challenge was answered in the current round: if it comes again, our credentials are wrong.
    answered: bool,
}

impl ClientAuth {
    pub fn new(credentials: Vec<Credentials>) -> Self {
        ClientAuth { credentials, user_agent: Slot::default(), proxy: Slot::default(), challenges: 0 }
    }

    /// A new request begins, which may go out with a nonce that is too old by now.
    pub fn begin(&mut self) {
        self.challenges = 0;
        self.user_agent.answered = false;
        self.proxy.answered = false;
    }

    /// Takes a 401 or 407. False when repeating the request with credentials is of no use.
    pub fn on_challenge(&mut self, response: &Response) -> bool {
        let (slot, header) = match response.status {
            401 => (&mut self.user_agent, "WWW-Authenticate"),
            407 => (&mut self.proxy, "Proxy-Authenticate"),
            _ => return false,
        };
        let challenges: Vec<_> =
            response.headers.all(header).filter_map(|value| Challenge::parse(value).ok()).collect();
        let stale = challenges.iter().any(|challenge| challenge.stale);
        self.challenges += 1;
        if self.challenges > MAX_CHALLENGES || (slot.answered && !stale) {
            return false;
        }
        slot.authorizer = Authorizer::new(&challenges);
        slot.answered = true;
        slot.authorizer.is_some()
    }

    /// Adds credentials for every challenger that is known.
    pub fn authorize(&mut self, request: &mut Request, cnonce: &str) {
        let (method, uri) = (request.method.clone(), request.uri.to_string());
        for (slot, header) in [(&mut self.user_agent, "Authorization"), (&mut self.proxy, "Proxy-Authorization")] {
            if let (Some(authorizer), Some(credentials)) = (&mut slot.authorizer, self.credentials.first()) {
                request.headers.set(header, authorizer.authorize(credentials, method.as_str(), &uri, cnonce));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::{Method, Uri};

    fn challenge(status: u16, stale: bool) -> Response {
        let request = Request::new(Method::Register, Uri::of_host(None, "h"));
        let header = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
        Response::answer(&request, status).with(header, format!("Digest realm=\"r\", nonce=\"n\", stale={stale}"))
    }

    fn auth() -> ClientAuth {
        ClientAuth::new(vec![Credentials { realm: None, username: "u".into(), password: "p".into() }])
    }

    #[test]
    fn a_second_challenge_means_wrong_credentials_unless_stale() {
        let mut auth = auth();
        assert!(auth.on_challenge(&challenge(401, false)));
        assert!(auth.on_challenge(&challenge(401, true)), "only the nonce was too old");
        assert!(auth.on_challenge(&challenge(407, false)), "another challenger");
        assert!(!auth.on_challenge(&challenge(401, false)));
        auth.begin();
        assert!(auth.on_challenge(&challenge(401, false)), "a new request begins anew");
    }

    #[test]
    fn endless_stale_challenges_end() {
        let mut auth = auth();
        assert_eq!((0..10).filter(|_| auth.on_challenge(&challenge(401, true))).count(), usize::from(MAX_CHALLENGES));
    }

    #[test]
    fn a_challenge_that_we_cannot_answer_is_refused() {
        let request = Request::new(Method::Register, Uri::of_host(None, "h"));
        assert!(!auth().on_challenge(&Response::answer(&request, 401)));
    }
}
