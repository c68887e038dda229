//! How the numbers of an account are read: E.164 as Russia dials, and rules of one's own.
//!
//! Left out: national number plans but Russia's; others are a matter of rules.

use serde::Deserialize;

use crate::sip::message::{Params, Scheme, Uri};

/// The most and the fewest digits of an international number (ITU-T E.164 §6.2.1).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// How the numbers of an account are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbering {
    /// Where the called number stands: the first of these that is there and is more than the account's own name.
    pub called_from: Vec<CalledFrom>,
    /// Where the caller stands: the first of these that is there. For calls of an account; a direct caller has `From`.
    pub caller_from: Vec<CallerFrom>,
    /// The numbers that are national there.
    pub plan: Plan,
    /// Tried before the plan, in order; the first that fits decides.
    pub rewrite: Vec<Rewrite>,
}

impl Default for Numbering {
    fn default() -> Self {
        Numbering {
            called_from: vec![CalledFrom::PCalledPartyId, CalledFrom::RequestUri, CalledFrom::To],
            caller_from: vec![CallerFrom::PAssertedIdentity, CallerFrom::RemotePartyId, CallerFrom::From],
            plan: Plan::Ru,
            rewrite: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CalledFrom {
    /// RFC 7315 §4.2
    PCalledPartyId,
    RequestUri,
    To,
    /// The number that was dialled first, before anybody sent the call on (RFC 5806).
    Diversion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerFrom {
    /// RFC 3325
    PAssertedIdentity,
    /// What Cisco and older exchanges send in its place.
    RemotePartyId,
    From,
}

/// Which numbers are national.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Russia: 8 495 …, 7 495 … and 495 … are +7 495 …; 8 10 … and 00 … go abroad.
    #[default]
    Ru,
    /// Numbers stay as they are sent.
    AsSent,
}

/// A rule for numbers that begin with `prefix` and have so many digits: `replace` takes the place of `prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    #[serde(default)]
    pub prefix: String,
    /// Of the whole number, `prefix` included, but for a `+`; `None` for any.
    #[serde(default)]
    pub digits: Option<usize>,
    pub replace: String,
}

impl Rewrite {
    fn apply(&self, number: &str) -> Option<String> {
        let rest = number.strip_prefix(&self.prefix)?;
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        self.digits.is_none_or(|wanted| wanted == digits).then(|| format!("{}{rest}", self.replace))
    }
}

impl Numbering {
    /// A number as it is to be shown and compared: E.164 if it can be that, else as it was sent. Names, extensions and
    /// service codes stay as they are.
    pub fn normal(&self, party: &Party) -> String {
        let Some(number) = dialled(&party.user) else { return party.user.clone() };
        if let Some(rewritten) = self.rewrite.iter().find_map(|rule| rule.apply(&number)) {
            return rewritten;
        }
        // A national number of another country, which says so (RFC 3966 §5.1.5).
        let country = party.context.as_deref().and_then(dialled).filter(|context| {
            (2..=4).contains(&context.len()) && context.starts_with('+') && context != "+7" && !number.starts_with('+')
        });
        match (country, self.plan) {
            (Some(country), _) => format!("{country}{number}"),
            (None, Plan::Ru) => russian(&number).unwrap_or(number),
            (None, Plan::AsSent) => number,
        }
    }
}

/// E.164 of a number as it is dialled or sent in Russia; `None` for what has no such form.
fn russian(number: &str) -> Option<String> {
    if number.starts_with('+') || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let abroad = number.strip_prefix("810").or_else(|| number.strip_prefix("00"));
    if let Some(rest) = abroad.filter(|rest| E164_DIGITS.contains(&rest.len()) && !rest.starts_with('0')) {
        return Some(format!("+{rest}"));
    }
    match (number.len(), number.as_bytes().first()?) {
        (11, b'7' | b'8') => Some(format!("+7{}", number.get(1..)?)),
        (10, b'3'..=b'9') => Some(format!("+7{number}")),
        // An international number without its plus: no Russian one is so long or begins so.
        (11..=15, b'1'..=b'9') => Some(format!("+{number}")),
        _ => None,
    }
}

/// Digits with a `+` in front or not, without the separators that make a number readable (RFC 3966 §5.1.1); `None`
/// for a name.
fn dialled(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ' | '\u{A0}')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
    is_number.then_some(number)
}

/// Somebody's name or number in a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub user: String,
    /// Where a number without `+` is valid (RFC 3966 §5.1.5).
    context: Option<String>,
}

impl Party {
    pub fn of(uri: &Uri) -> Option<Self> {
        let text = match &uri.scheme {
            Scheme::Sip | Scheme::Sips => uri.user.as_deref()?,
            Scheme::Other(scheme) if scheme.eq_ignore_ascii_case("tel") => &uri.host,
            Scheme::Other(_) => return None,
        };
        // The parameters of a telephone number stand in the user part (RFC 3261 §19.1.6).
        let (user, params) = text.split_once(';').unwrap_or((text, ""));
        let user = if uri.is_sip() { user.split(':').next().unwrap_or(user) } else { user };
        let user = unescape(user).chars().filter(|c| !c.is_control()).collect::<String>();
        let user = user.trim().to_owned();
        let context = Params::parse(params).get("phone-context").map(str::to_owned);
        (!user.is_empty()).then_some(Party { user, context })
    }
}

/// RFC 3986 §2.1. What is no escape, or no UTF-8, stays.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                tail.get(2..).unwrap_or_default()
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(numbering: &Numbering, uri: &str) -> String {
        numbering.normal(&Party::of(&uri.parse().unwrap()).unwrap())
    }

    #[test]
    fn russian_numbers_become_international() {
        for (uri, expected) in [
            ("sip:84951234567@h", "+74951234567"),
            ("sip:74951234567@h", "+74951234567"),
            ("sip:4951234567@h", "+74951234567"),
            ("sip:+74951234567@h;user=phone", "+74951234567"),
            ("sip:9161234567@h", "+79161234567"),
            ("sip:88005553535@h", "+78005553535"),
            ("sip:810375291234567@h", "+375291234567"),
            ("sip:00375291234567@h", "+375291234567"),
            ("sip:375291234567@h", "+375291234567"),
            ("sip:14155550123@h", "+14155550123"),
            ("sip:8613800138000@h", "+8613800138000"),
            ("sip:+14155550123@h", "+14155550123"),
            ("sip:+7-495-123-45-67@h", "+74951234567"),
            ("sip:8(495)123-45-67@h", "+74951234567"),
            ("sip:8%20495%20123%2045%2067@h", "+74951234567"),
            ("sip:%2B74951234567@h", "+74951234567"),
            ("sip:+74951234567;npdi;rn=+79990000000@h", "+74951234567"),
            ("sip:4951234567;phone-context=+7@h;user=phone", "+74951234567"),
            ("sip:4155550123;phone-context=+1@h;user=phone", "+14155550123"),
            ("sip:84951234567;phone-context=ims.example.ru@h;user=phone", "+74951234567"),
            ("tel:+7-495-123-45-67", "+74951234567"),
            ("tel:84951234567;phone-context=example.ru", "+74951234567"),
            ("TEL:84951234567", "+74951234567"),
            ("sip:84951234567:secret@h", "+74951234567"),
        ] {
            assert_eq!(normal(&Numbering::default(), uri), expected, "{uri}");
        }
    }

    #[test]
    fn extensions_names_and_codes_stay() {
        for (uri, expected) in [
            ("sip:10@h", "10"),
            ("sip:101@h", "101"),
            ("sip:20145@h", "20145"),
            ("sip:1234567@h", "1234567"),
            ("sip:ivan-petrov@h", "ivan-petrov"),
            ("sip:8.ivan@h", "8.ivan"),
            ("sip:%D0%98%D0%B2%D0%B0%D0%BD@h", "Иван"),
            ("sip:*97@h", "*97"),
            ("sip:0123456789@h", "0123456789"),
            ("sip:1234567890123456@h", "1234567890123456"),
        ] {
            assert_eq!(normal(&Numbering::default(), uri), expected, "{uri}");
        }
        assert_eq!(Party::of(&"sip:h".parse().unwrap()), None);
        assert_eq!(Party::of(&"mailto:a@b".parse().unwrap()), None);
    }

    #[test]
    fn a_rule_comes_before_the_plan_and_the_first_that_fits_decides() {
        let rule = |prefix: &str, digits, replace: &str| Rewrite {
            prefix: prefix.to_owned(),
            digits,
            replace: replace.to_owned(),
        };
        let rewrite = vec![
            rule("9", Some(8), ""),
            rule("", Some(7), "+7495"),
            rule("0", None, "+49"),
            rule("+8", Some(11), "+7"),
        ];
        let numbering = Numbering { rewrite: rewrite.clone(), ..Numbering::default() };
        assert_eq!(normal(&numbering, "sip:91234567@h"), "1234567");
        assert_eq!(normal(&numbering, "sip:123-45-67@h"), "+74951234567");
        assert_eq!(normal(&numbering, "sip:030123456@h"), "+4930123456");
        assert_eq!(normal(&numbering, "sip:+84951234567@h"), "+74951234567");
        assert_eq!(normal(&numbering, "sip:84951234567@h"), "+74951234567", "the plan goes on");
        let numbering = Numbering { rewrite, plan: Plan::AsSent, ..Numbering::default() };
        assert_eq!(normal(&numbering, "sip:8(495)1234567@h"), "84951234567");
    }
}
