//! Who calls whom: caller and called number from the headers that trunks put them into: P-Asserted-Identity and Privacy
//! (RFC 3325, RFC 3323), P-Called-Party-ID (RFC 7315), Diversion (RFC 5806), Remote-Party-ID (an expired draft), From, To
//! and the Request-URI.
//!
//! Left out: Identity (RFC 8224), History-Info (RFC 7044) beyond who sent the call on, call information by URL.

mod numbering;

pub use numbering::{CalledFrom, CallerFrom, Numbering, Plan, Rewrite};

use numbering::Party;

use super::Account;
use super::message::{NameAddr, Request, Uri, display_text};

/// The longest name and number that are kept, in characters.
const MAX_LENGTH: usize = 128;
/// What exchanges write in place of a number that they withhold, do not have or may not tell.
const WITHHELD: &[&str] = &["anonymous", "restricted", "private"];
const UNKNOWN: &[&str] = &["unavailable", "unknown", "asterisk", "nobody"];

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parties {
    /// E.164 (`+7…`) where the rules know how, else as it was sent. `None` when withheld or absent.
    pub caller_number: Option<String>,
    /// In whatever character set it came; `None` when withheld, absent or but the number again.
    pub caller_name: Option<String>,
    /// The number or name that was called.
    pub called: String,
    /// Who sent the call on to us (Diversion, RFC 5806).
    pub diverted_from: Option<String>,
}

impl Parties {
    /// As the account reads them; without one the caller is whom `From` says, since anybody can assert anything. `user`
    /// is the name that we go by.
    pub(super) fn of(invite: &Request, from: &NameAddr, account: Option<&Account>, user: &str) -> Self {
        let direct = Numbering { caller_from: vec![CallerFrom::From], ..Numbering::default() };
        let numbering = account.map_or(&direct, |account| &account.numbering);
        let read = Reader { invite, from, numbering, user };
        let (caller_number, caller_name) = read.caller().unwrap_or_default();
        Parties { caller_number, caller_name, called: read.called(), diverted_from: read.diverted_from() }
    }
}

struct Reader<'a> {
    invite: &'a Request,
    from: &'a NameAddr,
    numbering: &'a Numbering,
    user: &'a str,
}

impl Reader<'_> {
    /// Number and name; `None` when he wants to be nobody.
    fn caller(&self) -> Option<(Option<String>, Option<String>)> {
        let privacy = self.invite.headers.values("Privacy").flat_map(|value| value.split(';')).map(str::trim);
        // RFC 3323 §4.2, RFC 3325 §9.3; `full` is of Remote-Party-ID.
        let is_private = |value: &str| ["id", "user", "full"].iter().any(|private| value.eq_ignore_ascii_case(private));
        if privacy.into_iter().any(is_private) || is_withheld(&self.from.uri) {
            return None;
        }
        let mut number = None;
        let mut name = None;
        for source in &self.numbering.caller_from {
            for party in self.callers(*source)? {
                number = number.or_else(|| self.number(&party.uri));
                name = name.or_else(|| party.display.as_deref().and_then(tidy_name));
            }
            if number.is_some() {
                break;
            }
        }
        // A name is no less true for standing in another header than the number.
        let name = name.or_else(|| self.from.display.as_deref().and_then(tidy_name));
        let name = name.filter(|name| {
            let uri = Uri::of_host(Some(name), "invalid");
            Party::of(&uri).map(|party| self.numbering.normal(&party)) != number
        });
        Some((number, name))
    }

    /// Whom a header names; `None` when it says that he does not want to be named.
    fn callers(&self, source: CallerFrom) -> Option<Vec<NameAddr>> {
        let parsed = |name: &'static str| self.invite.headers.values(name).filter_map(|v| v.parse::<NameAddr>().ok());
        match source {
            // There may be two, one a `sip:` and one a `tel:` (RFC 3325 §9.1).
            CallerFrom::PAssertedIdentity => Some(parsed("P-Asserted-Identity").take(2).collect()),
            CallerFrom::RemotePartyId => {
                let is_caller =
                    |party: &NameAddr| party.params.get("party").is_none_or(|p| p.eq_ignore_ascii_case("calling"));
                let party = parsed("Remote-Party-ID").find(is_caller);
                let privacy = party.as_ref().and_then(|party| party.params.get("privacy")).unwrap_or("off");
                privacy.eq_ignore_ascii_case("off").then(|| party.into_iter().collect())
            }
            CallerFrom::From => Some(vec![self.from.clone()]),
        }
    }

    fn called(&self) -> String {
        let found: Vec<Party> =
            self.numbering.called_from.iter().filter_map(|source| self.called_in(*source)).collect();
        // A registrar calls us by the name that we registered, and has the number that was dialled elsewhere.
        let telling = found.iter().find(|party| party.user != self.user).or_else(|| found.first());
        let called = telling.map_or_else(|| self.user.to_owned(), |party| self.numbering.normal(party));
        shorten(&called)
    }

    fn called_in(&self, source: CalledFrom) -> Option<Party> {
        let name = match source {
            CalledFrom::RequestUri => return Party::of(&self.invite.uri),
            CalledFrom::PCalledPartyId => "P-Called-Party-ID",
            CalledFrom::To => "To",
            // RFC 5806 §6: each who diverts puts himself on top.
            CalledFrom::Diversion => return self.diversions().last().and_then(|party| Party::of(&party.uri)),
        };
        let party: NameAddr = self.invite.headers.get(name)?.parse().ok()?;
        Party::of(&party.uri)
    }

    fn diverted_from(&self) -> Option<String> {
        let private = |party: &NameAddr| party.params.get("privacy").is_some_and(|p| !p.eq_ignore_ascii_case("off"));
        let last = self.diversions().next().or_else(|| self.retargeted()).filter(|party| !private(party))?;
        self.number(&last.uri)
    }

    fn diversions(&self) -> impl Iterator<Item = NameAddr> {
        self.invite.headers.values("Diversion").filter_map(|value| value.parse().ok())
    }

    /// The last of History-Info of whom it says why he did not get the call (RFC 7044 §5).
    fn retargeted(&self) -> Option<NameAddr> {
        let has_reason = |entry: &NameAddr| {
            entry.uri.headers.as_deref().is_some_and(|headers| headers.to_ascii_lowercase().contains("reason="))
        };
        let entries = self.invite.headers.values("History-Info").filter_map(|value| value.parse::<NameAddr>().ok());
        entries.filter(has_reason).last()
    }

    fn number(&self, uri: &Uri) -> Option<String> {
        let party = Party::of(uri).filter(|party| !is_one_of(&party.user, UNKNOWN) && !is_withheld(uri))?;
        Some(shorten(&self.numbering.normal(&party)))
    }
}

/// Whether two names mean the same: a number may be written in many ways.
pub(super) fn is_same(numbering: &Numbering, uri: &Uri, user: &str) -> bool {
    let ours = Party::of(&Uri::of_host(Some(user), "invalid"));
    match (Party::of(uri), ours) {
        (Some(party), Some(ours)) => party.user == ours.user || numbering.normal(&party) == numbering.normal(&ours),
        _ => false,
    }
}

/// RFC 3323 §4.1.1.3
fn is_withheld(uri: &Uri) -> bool {
    let user = Party::of(uri).is_some_and(|party| is_one_of(&party.user, WITHHELD));
    user || uri.host.to_ascii_lowercase().ends_with("anonymous.invalid")
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A display name for people: decoded, on one line, `None` when it says nothing.
fn tidy_name(display: &str) -> Option<String> {
    let decoded = display_text(display);
    let words: Vec<&str> =
        decoded.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let name = words.join(" ");
    (!name.is_empty() && !is_one_of(&name, WITHHELD) && !is_one_of(&name, UNKNOWN)).then(|| shorten(&name))
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests;
