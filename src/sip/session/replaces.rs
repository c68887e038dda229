//! The `Replaces` header (RFC 3891): which dialog a call takes the place of.

use crate::sip::dialog::DialogId;
use crate::sip::escape::{escape, unescape};
use crate::sip::message::{Params, Uri};

/// A `Replaces`, read from the view of whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sip) struct Replaces {
    pub dialog: DialogId,
    /// Only a dialog that is not answered yet is to be replaced.
    pub early_only: bool,
}

impl Replaces {
    /// Reads the value of the header; `None` when it does not name a dialog.
    pub fn parse(value: &str) -> Option<Self> {
        let (call_id, params) = value.split_once(';')?;
        let (call_id, params) = (call_id.trim(), Params::parse(params));
        let tag = |name: &str| params.get(name).filter(|tag| !tag.is_empty()).map(str::to_owned);
        // RFC 3891 §6.1: 0 is the tag of who has none.
        let remote_tag = tag("from-tag").map(|tag| if tag == "0" { String::new() } else { tag })?;
        let dialog = DialogId { call_id: call_id.to_owned(), local_tag: tag("to-tag")?, remote_tag };
        (!call_id.is_empty()).then_some(Replaces { dialog, early_only: params.has("early-only") })
    }

    /// The one that a URI asks for among its headers; `Err` when it cannot be read.
    pub fn of_uri(uri: &Uri) -> Result<Option<String>, BadReplaces> {
        let headers = uri.headers.iter().flat_map(|headers| headers.split('&'));
        let mut values = headers.filter_map(|header| header.split_once('=')).filter(|(name, _)| {
            // Names may be escaped too.
            unescape(name).is_some_and(|name| name.eq_ignore_ascii_case("Replaces"))
        });
        let Some((_, value)) = values.next() else { return Ok(None) };
        let value = unescape(value).filter(|value| Self::parse(value).is_some() && !value.contains(['\r', '\n']));
        match (value, values.next()) {
            (Some(value), None) => Ok(Some(value)),
            _ => Err(BadReplaces),
        }
    }
}

/// The `Replaces` in a URI is repeated or names no dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sip) struct BadReplaces;

/// `target` with a `Replaces` of the dialog that we have with it, as it sees it.
pub(super) fn replacing(target: &Uri, ours: &DialogId) -> Uri {
    let or_none = |tag: &str| if tag.is_empty() { "0".to_owned() } else { tag.to_owned() };
    let value = format!("{};to-tag={};from-tag={}", ours.call_id, or_none(&ours.remote_tag), or_none(&ours.local_tag));
    Uri { headers: Some(format!("Replaces={}", escape(&value))), ..target.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(call_id: &str, local_tag: &str, remote_tag: &str) -> DialogId {
        DialogId { call_id: call_id.into(), local_tag: local_tag.into(), remote_tag: remote_tag.into() }
    }

    #[test]
    fn is_read_from_the_view_of_whom_it_is_for() {
        let replaces = Replaces::parse("98asjd8@host ; from-tag=theirs;early-only; to-tag=ours").unwrap();
        assert_eq!(replaces, Replaces { dialog: dialog("98asjd8@host", "ours", "theirs"), early_only: true });
        let old = Replaces::parse("1;to-tag=a;from-tag=0").unwrap();
        assert_eq!(old.dialog, dialog("1", "a", ""), "a peer of RFC 2543");
        for bad in ["", "1", "1;to-tag=a", "1;from-tag=a", ";to-tag=a;from-tag=b", "1;to-tag;from-tag=b"] {
            assert_eq!(Replaces::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_peer_reads_what_we_ask_of_him() {
        let uri = replacing(&"sip:b@192.0.2.2:5060".parse().unwrap(), &dialog("a1@h", "ours", "theirs"));
        assert_eq!(uri.to_string(), "sip:b@192.0.2.2:5060?Replaces=a1%40h%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours");
        let uri = replacing(&"sip:b@192.0.2.2".parse().unwrap(), &dialog("7@h", "ours", "theirs"));
        let value = Replaces::of_uri(&uri).unwrap().unwrap();
        assert_eq!(Replaces::parse(&value).unwrap().dialog, dialog("7@h", "theirs", "ours"));
    }

    #[test]
    fn other_headers_of_a_uri_are_passed_over_and_bad_ones_refused() {
        let of = |uri: &str| Replaces::of_uri(&uri.parse().unwrap());
        assert_eq!(of("sip:a@b"), Ok(None));
        assert_eq!(of("sip:a@b?Subject=x&Route=%3Csip:evil%3E"), Ok(None));
        assert_eq!(
            of("sip:a@b?Subject=x&replaces=1%40h%3bto-tag%3da%3bfrom-tag%3db"),
            Ok(Some("1@h;to-tag=a;from-tag=b".into()))
        );
        for bad in [
            "sip:a@b?Replaces=1",
            "sip:a@b?Replaces=%",
            "sip:a@b?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db%0D%0ARoute%3Ax",
            "sip:a@b?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db",
        ] {
            assert_eq!(of(bad), Err(BadReplaces), "{bad}");
        }
    }
}
