//! Whom we may call: the guard against toll fraud. Without a rule nobody is called but whom an operator names himself.
//!
//! A target is read as the one who routes it will read it: the user part unescaped, numbers without what is there for
//! the eye (RFC 3966 §5.1.1), hosts without case. What could be read in two ways is not called at all.

use std::net::Ipv6Addr;

use super::escape::unescape;
use super::message::{Scheme, Uri};

/// The targets that the configuration allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOut {
    Anybody,
    /// The one who calls is the one who configures, so he may name anybody; redirections and transfers that others ask
    /// for lead to these patterns only.
    Named(Vec<String>),
    /// Patterns of `user@host` or of a user alone, with `*` for any run of characters; empty allows nobody. In a
    /// pattern of a number spaces, dots, dashes and brackets do not count. A host may have a port, which then counts.
    Matching(Vec<String>),
}

impl CallOut {
    /// Whether a target that the application names may be called.
    pub fn allows_named(&self, target: &Uri) -> bool {
        matches!(self, CallOut::Named(_)) || self.allows(target)
    }

    /// Whether a target that somebody else has named may be called. Headers of the URI are not looked at: whoever calls leaves them out.
    pub fn allows(&self, target: &Uri) -> bool {
        let patterns = match self {
            CallOut::Anybody => return true,
            CallOut::Named(patterns) | CallOut::Matching(patterns) => patterns,
        };
        // `maddr` sends the request to another host than is named (RFC 3261 §19.1.1).
        if !target.is_sip() || target.params.has("maddr") {
            return false;
        }
        let Some(user) = plain_user(target.user.as_deref().unwrap_or("")) else { return false };
        let host = plain_host(&target.host);
        patterns.iter().any(|pattern| {
            let (wanted_user, wanted_host) = match pattern.trim().rsplit_once('@') {
                Some((user, host)) => (user, Some(host)),
                None => (pattern.trim(), None),
            };
            matches(&plain_number(wanted_user), &user)
                && wanted_host.is_none_or(|wanted| is_host(wanted, &host, target.port))
        })
    }
}

/// A SIP URI, or what a person would type for one: `user@host`, an address, and with the domain of an account also a
/// name or a number at it.
pub(super) fn read_target(text: &str, domain: Option<&str>) -> Option<Uri> {
    let text = text.trim();
    let uri: Option<Uri> = text.parse().ok();
    match (uri, domain) {
        (Some(uri), _) if uri.is_sip() => Some(uri),
        (Some(Uri { scheme: Scheme::Other(scheme), host: number, .. }), domain)
            if scheme.eq_ignore_ascii_case("tel") =>
        {
            at_domain(&number, domain?)
        }
        (_, Some(domain)) if !text.contains(['@', ':']) => at_domain(text, domain),
        _ => format!("sip:{text}").parse().ok().filter(Uri::is_sip),
    }
}

fn at_domain(user: &str, domain: &str) -> Option<Uri> {
    let user = plain_number(user);
    let is_user = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/#".contains(&b);
    // RFC 3261 §25.1: `#` has to be escaped.
    (!user.is_empty() && user.bytes().all(is_user)).then(|| Uri::of_host(Some(&user.replace('#', "%23")), domain))
}

/// The user part without password and escapes. `None` when another may read it otherwise: bad or double escapes,
/// parameters of a number such as a routing number (`;rn=`) or a context, a second `@`.
fn plain_user(user: &str) -> Option<String> {
    let (name, _password) = user.split_once(':').unwrap_or((user, ""));
    let name = unescape(name)?;
    let ambiguous = |c: char| c.is_control() || "@;%:?<>\"\\".contains(c);
    (!name.contains(ambiguous) && !user.contains('@')).then(|| plain_number(&name))
}

/// A number without its visual separators; anything else as it is.
fn plain_number(user: &str) -> String {
    let is_separator = |c: char| " -.()".contains(c);
    let is_number = user.contains(|c: char| c.is_ascii_digit())
        && user.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c) || is_separator(c));
    if is_number { user.replace(is_separator, "") } else { user.to_owned() }
}

/// In lower case, without the dot at the end of a full name; an IPv6 address in its one form.
fn plain_host(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let ip: Option<Ipv6Addr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    ip.map_or(host, |ip| format!("[{ip}]"))
}

fn is_host(wanted: &str, host: &str, port: Option<u16>) -> bool {
    let (wanted, wanted_port) = match wanted.rsplit_once(':') {
        // The last colon of a bare IPv6 address is none of a port.
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, Some(digits)),
        _ => (wanted, None),
    };
    let is_port = match (wanted_port, port) {
        (None, _) => true,
        (Some(wanted), Some(port)) => wanted == port.to_string(),
        (Some(wanted), None) => wanted == "5060",
    };
    is_port && matches(&plain_host(wanted), host)
}

/// Whether `text` is `pattern`, in which `*` stands for any run of characters. In time of their product at the most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(byte), _) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((at, reach))) => {
                star = Some((at, reach + 1));
                p = at + 1;
                t = reach + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_himself_names_whom_he_likes_but_is_led_nowhere_else() {
        let target = "sip:+79001@premium.example".parse().unwrap();
        let call_out = CallOut::Named(vec!["101".into()]);
        assert!(call_out.allows_named(&target));
        assert!(!call_out.allows(&target));
        assert!(!CallOut::Matching(vec!["101".into()]).allows_named(&target));
    }

    fn allows(pattern: &str, target: &str) -> bool {
        CallOut::Matching(vec![pattern.to_owned()]).allows(&target.parse().unwrap())
    }

    #[test]
    fn nobody_is_called_without_a_rule() {
        assert!(!CallOut::Matching(Vec::new()).allows(&"sip:100@pbx.example".parse().unwrap()));
        assert!(CallOut::Anybody.allows(&"sip:100@pbx.example".parse().unwrap()));
    }

    #[test]
    fn a_pattern_names_a_user_alone_or_with_his_host() {
        let cases = [
            ("100", "sip:100@pbx.example", true),
            ("100", "sip:100@anywhere.example:5070", true),
            ("100", "sip:1000@pbx.example", false),
            ("10*", "sip:1000@pbx.example", true),
            ("1*0*9", "sip:1002009@h", true),
            ("1*0*9", "sip:100200@h", false),
            ("100@PBX.example", "sip:100@pbx.EXAMPLE.;transport=tcp", true),
            ("100@pbx.example", "sip:100@pbx.example.evil.example", false),
            ("*@pbx.example", "sips:boss@pbx.example", true),
            ("*@*.example", "sip:boss@pbx.example", true),
            ("100@pbx.example", "sip:100@other.example", false),
            ("Boss", "sip:boss@pbx.example", false),
            ("100@[2001:DB8:0::1]", "sip:100@[2001:db8::1]:5060", true),
            ("100@2001:db8::1", "sip:100@[2001:db8::1]", true),
            ("100@[2001:db8::1]", "sip:100@[2001:db8::2]", false),
            ("100@[2001:db8::1]:5070", "sip:100@[2001:db8::1]:5070", true),
            ("100@192.0.2.1:5070", "sip:100@192.0.2.1:5070", true),
            ("100@192.0.2.1:5070", "sip:100@192.0.2.1", false),
            ("100@192.0.2.1:5060", "sip:100@192.0.2.1", true),
        ];
        for (pattern, target, expected) in cases {
            assert_eq!(allows(pattern, target), expected, "{pattern} {target}");
        }
    }

    #[test]
    fn numbers_are_compared_without_what_is_there_for_the_eye() {
        for target in ["sip:+74951234567@h", "sip:+7(495)123-45-67@h", "sip:%2B7%20495.123.45.67@h;user=phone"] {
            assert!(allows("+7 (495) *", target), "{target}");
            assert!(!allows("+7499*", target), "{target}");
        }
        assert!(!allows("johndoe", "sip:john.doe@h"), "a dot in a name counts");
    }

    #[test]
    fn an_attackers_tricks_are_refused() {
        let tricks = [
            // Another reads a number, or a host, where we read a name.
            "sip:100;phone-context=+1900@pbx.example",
            "sip:100;rn=+19005551234@pbx.example",
            "sip:100%3Brn=+1900@pbx.example",
            "sip:100@evil.example@pbx.example",
            "sip:100%40evil.example@pbx.example",
            "sip:100%00@pbx.example",
            "sip:100%2540evil.example@pbx.example",
            "sip:100%4@pbx.example",
            "sip:100%+1@pbx.example",
            "sip:100%zz@pbx.example",
            "sip:100%FF@pbx.example",
            "sip:100@pbx.example;maddr=192.0.2.66",
            "sip:100%0D%0ARoute:x@pbx.example",
            "tel:100",
            "tel:100;x=@pbx.example",
            "mailto:100@pbx.example",
        ];
        for target in tricks {
            assert!(!allows("100*@pbx.example", target), "{target}");
            assert!(!allows("*", target), "{target}");
        }
    }

    #[test]
    fn a_star_in_a_target_is_no_wildcard() {
        for target in ["sip:*@pbx.example", "sip:%2A@pbx.example", "sip:1%2A0@pbx.example"] {
            assert!(!allows("100", target), "{target}");
        }
        assert!(allows("*72", "sip:%2A72@pbx.example"));
    }

    #[test]
    fn a_target_without_a_user_is_none_of_a_users() {
        for target in ["sip:pbx.example", "sip:@pbx.example", "sip::secret@pbx.example"] {
            assert!(!allows("100", target), "{target}");
            assert!(!allows("100@pbx.example", target), "{target}");
        }
        assert!(!allows("100", "sip:100"), "that is a host");
    }

    #[test]
    fn a_long_pattern_and_a_long_target_end() {
        let pattern = "*a".repeat(500);
        assert!(!allows(&pattern, &format!("sip:{}b@h", "a".repeat(20_000))));
    }

    #[test]
    fn a_target_may_be_what_a_person_types() {
        let cases = [
            ("sip:a@b;transport=tcp", Some("sip:a@b;transport=tcp"), Some("sip:a@b;transport=tcp")),
            (" a@b:5070", Some("sip:a@b:5070"), Some("sip:a@b:5070")),
            ("192.0.2.1:5070", Some("sip:192.0.2.1:5070"), Some("sip:192.0.2.1:5070")),
            ("+7 (495) 123-45-67", None, Some("sip:+74951234567@pbx.example")),
            ("100", Some("sip:100"), Some("sip:100@pbx.example")),
            ("boss", Some("sip:boss"), Some("sip:boss@pbx.example")),
            ("tel:+7-495", None, Some("sip:+7495@pbx.example")),
            ("*21#", None, Some("sip:*21%23@pbx.example")),
            ("анна", None, None),
            ("a b", None, None),
            ("tel:100", None, Some("sip:100@pbx.example")),
            ("tel:1;phone-context=2", None, None),
            ("", None, None),
        ];
        for (text, direct, of_account) in cases {
            let read = |domain| read_target(text, domain).map(|uri| uri.to_string());
            assert_eq!(read(None).as_deref(), direct, "{text:?}");
            assert_eq!(read(Some("pbx.example")).as_deref(), of_account, "{text:?} with an account");
        }
    }
}
