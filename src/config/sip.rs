//! `[sip]` and `[[account]]`: where we listen, whom we answer, whom we may call, and where we have an account.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::{ConfigError, Found, Secrets, some_languages};
use crate::call::keys::Dtmf;
use crate::engine::Language;
use crate::net::listen::{Listen, TlsIdentity, TlsSettings};
use crate::net::outside::{Outside, STUN_PORT, StunServer};
use crate::rtp::codec::Codec;
use crate::sip::auth::Credentials;
use crate::sip::message::Uri;
use crate::sip::sdp::{KeyExchange, Policy};
use crate::sip::{Account, AccountId, CallOut, DirectCalls, EndpointConfig, Limits, Network, Numbering, Transport};

/// The user part of our address in direct calls.
const USER: &str = "secretary";
/// The longest ringing before she answers: callers and PBXs give up after three minutes.
const LONGEST_RINGING_S: u32 = 120;

/// `[sip]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    /// The addresses to listen on, each once.
    #[serde(deserialize_with = "addresses")]
    pub bind: Vec<IpAddr>,
    pub port: u16,
    /// What the world sees in place of our own address: behind a router that forwards the ports.
    #[serde(deserialize_with = "public")]
    pub public_address: Option<IpAddr>,
    /// Who tells at which address and ports the world sees our sound.
    #[serde(deserialize_with = "stun_server")]
    pub stun_server: Option<Registrar>,
    #[serde(deserialize_with = "direct")]
    pub direct_calls: Direct,
    /// What a direct caller's telephone is asked a password for.
    pub realm: String,
    /// `[[sip.user]]`: who may call directly when `direct_calls` is [`Direct::Challenged`].
    pub user: Vec<UserConfig>,
    /// Calls at the same time; one more is told that the line is busy.
    #[serde(deserialize_with = "some_calls")]
    pub max_calls: usize,
    /// How long a direct call rings before she answers, in seconds.
    #[serde(deserialize_with = "ringing")]
    pub answer_after_s: u32,
    /// Whom the program may call, transfer calls to and write to; see [`CallOut`].
    #[serde(deserialize_with = "patterns")]
    pub call_out: Vec<String>,
    #[serde(deserialize_with = "session_expires")]
    pub session_expires_s: u32,
    /// `[sip.limits]`: how fast others may come.
    pub limits: Limits,
    pub tls: TlsConfig,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            bind: vec![Ipv4Addr::UNSPECIFIED.into()],
            port: 5060,
            public_address: None,
            stun_server: None,
            direct_calls: Direct::Taken,
            realm: USER.to_owned(),
            user: Vec::new(),
            max_calls: 8,
            answer_after_s: 0,
            call_out: Vec::new(),
            session_expires_s: 1_800,
            limits: Limits::default(),
            tls: TlsConfig::default(),
        }
    }
}

/// Whether a call that comes from none of the accounts is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    Refused,
    Taken,
    /// Only with a name and a password of `[[sip.user]]`.
    Challenged,
}

/// `[[sip.user]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    pub name: String,
    pub password_env: String,
}

/// `[sip.tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    pub port: u16,
    /// Our certificate with its chain, PEM. Without one no TLS port is listened on; we can still call over TLS.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Callers over TLS must have a certificate of these authorities, PEM.
    pub client_ca: Option<PathBuf>,
    /// Authorities of servers' certificates beside the system's, PEM.
    pub ca: Option<PathBuf>,
    /// Whether the certificates of servers are verified.
    pub verify: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { port: 5061, certificate: None, key: None, client_ca: None, ca: None, verify: true }
    }
}

/// `[[account]]`: a registration, or a trunk by address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    pub name: String,
    #[serde(deserialize_with = "registrar")]
    pub registrar: Registrar,
    /// Whether we register there; a trunk by address knows us by ours.
    #[serde(default = "yes")]
    pub register: bool,
    /// The domain of our address of record; the registrar's host unless told otherwise.
    #[serde(default, deserialize_with = "domain")]
    pub domain: Option<String>,
    #[serde(deserialize_with = "user")]
    pub username: String,
    /// The user name of the digest; `username` unless told otherwise.
    pub auth_username: Option<String>,
    /// The environment variable (or line of .env) with the password.
    pub password_env: Option<String>,
    /// Passwords for single realms, tried before that of `password_env`.
    #[serde(default)]
    pub credentials: Vec<CredentialsConfig>,
    /// `None`: what DNS says of the registrar, else UDP.
    #[serde(default, deserialize_with = "transport")]
    pub transport: Option<Transport>,
    #[serde(default = "a_minute", deserialize_with = "expires")]
    pub expires_s: u32,
    /// From where its calls come beside the addresses of `registrar`.
    #[serde(default)]
    pub access: Vec<Network>,
    /// As those of `[sip]`, in whose place they stand for the sound of its calls.
    #[serde(default, deserialize_with = "public")]
    pub public_address: Option<IpAddr>,
    #[serde(default, deserialize_with = "stun_server")]
    pub stun_server: Option<Registrar>,
    #[serde(default)]
    pub numbering: Numbering,
    /// Languages that its callers may speak, the first being the one a call begins in; those of the house unless told.
    #[serde(default, deserialize_with = "some_languages")]
    pub languages: Option<Vec<Language>>,
    /// Names of voices that speak to its callers before the house's others do.
    #[serde(default)]
    pub voices: Vec<String>,
    /// How long its calls ring before she answers, in seconds.
    #[serde(default, deserialize_with = "ringing")]
    pub answer_after_s: u32,
    /// What is spoken over it, the favourite first.
    #[serde(default = "all_codecs", deserialize_with = "codecs")]
    pub codecs: Vec<Codec>,
    /// How pressed keys are told.
    #[serde(default)]
    pub dtmf: Dtmf,
    /// Whether the sound is encrypted.
    #[serde(default)]
    pub srtp: Policy,
    /// How the keys of what we offer are agreed on.
    #[serde(default)]
    pub srtp_keys: KeyExchange,
}

/// One of an account's `credentials`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsConfig {
    pub realm: String,
    /// The account's `auth_username` unless told otherwise.
    pub username: Option<String>,
    pub password_env: String,
}

/// `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrar {
    pub host: String,
    pub port: Option<u16>,
}

/// Both say the same.
const TWO_ADDRESSES: &str = "beside public_address: name the address, or who tells it, and not both";

fn outside(public: Option<IpAddr>, stun: Option<&Registrar>) -> Option<Outside> {
    let server = |stun: &Registrar| Outside::Stun(StunServer::new(&stun.host, stun.port.unwrap_or(STUN_PORT)));
    public.map(Outside::Public).or_else(|| stun.map(server))
}

impl SipConfig {
    /// How the sound of calls is reached whose account does not say it.
    pub fn outside(&self) -> Outside {
        outside(self.public_address, self.stun_server.as_ref()).unwrap_or(Outside::Same)
    }

    pub(super) fn contradiction(&self) -> Option<Found> {
        if self.public_address.is_some() && self.stun_server.is_some() {
            return Some(Found::new(&["sip", "stun_server"], TWO_ADDRESSES));
        }
        match (self.direct_calls, self.user.is_empty()) {
            (Direct::Challenged, true) => {
                let message = "nobody could call directly: name who may in [[sip.user]], with name and password_env";
                return Some(Found::new(&["sip", "direct_calls"], message));
            }
            (Direct::Taken | Direct::Refused, false) => {
                let message = "nobody is asked for these passwords: set direct_calls = \"challenge\" under [sip]";
                return Some(Found::new(&["sip", "user"], message));
            }
            _ => {}
        }
        let mut names: Vec<&str> = self.user.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(Found::new(&["sip", "user"], format!("two users are named \"{}\"", twice[0])));
        }
        if self.realm.is_empty() {
            return Some(Found::new(
                &["sip", "realm"],
                "empty, expected any name: telephones show it with the question",
            ));
        }
        let Limits { calls_per_second, requests_per_second, account_calls_per_second } = self.limits;
        for (key, rate) in [
            ("calls_per_second", calls_per_second),
            ("requests_per_second", requests_per_second),
            ("account_calls_per_second", account_calls_per_second),
        ] {
            if rate < 0.01 || rate.is_nan() {
                return Some(Found::new(&["sip", "limits", key], format!("{rate} a second, expected 0.01 or more")));
            }
        }
        let TlsConfig { certificate, key, client_ca, .. } = &self.tls;
        match (certificate, key, client_ca) {
            (Some(_), Some(_), _) if self.tls.port == self.port => Some(Found::new(
                &["sip", "tls", "port"],
                "the same as [sip] port, which TCP has; the usual one is 5061",
            )),
            (Some(_), None, _) => {
                Some(Found::new(&["sip", "tls", "certificate"], "without its key: name the file in key"))
            }
            (None, Some(_), _) => {
                Some(Found::new(&["sip", "tls", "key"], "without its certificate: name the file in certificate"))
            }
            (None, None, Some(_)) => {
                let message = "no callers over TLS are taken without a certificate and key of our own: name the files";
                Some(Found::new(&["sip", "tls", "client_ca"], message))
            }
            _ => None,
        }
    }

    /// What the endpoint is told. `notify` is where messages are sent to, which others cannot have us call.
    ///
    /// # Errors
    /// When the password of a direct caller is not there.
    pub(super) fn endpoint(
        &self,
        user_agent: &str,
        notify: Option<String>,
        secrets: &Secrets,
    ) -> Result<EndpointConfig, ConfigError> {
        let user = |user: &UserConfig| {
            let owner = format!("[[sip.user]] \"{}\"", user.name);
            let password = secrets.require(&user.password_env, owner)?;
            Ok(Credentials { realm: Some(self.realm.clone()), username: user.name.clone(), password })
        };
        Ok(EndpointConfig {
            direct_calls: match self.direct_calls {
                Direct::Refused => DirectCalls::Refused,
                Direct::Taken => DirectCalls::Taken,
                Direct::Challenged => DirectCalls::Challenged {
                    realm: self.realm.clone(),
                    users: self.user.iter().map(user).collect::<Result<_, ConfigError>>()?,
                },
            },
            call_out: CallOut::Matching(self.call_out.clone()),
            message_out: CallOut::Matching(notify.into_iter().collect()),
            limits: self.limits.clone(),
            session_expires: Duration::from_secs(self.session_expires_s.into()),
            ..EndpointConfig::new(user_agent, USER, self.max_calls)
        })
    }
}

impl AccountConfig {
    /// What the one at `index` contradicts itself in.
    pub(super) fn contradiction(&self, index: usize) -> Option<Found> {
        let place = |key| ["account", &index.to_string(), key].map(str::to_owned).to_vec();
        if self.register && self.password_env.is_none() && self.credentials.is_empty() {
            let message = format!(
                "account \"{}\" registers without a password: name its variable in password_env, or set register = \
                 false if the trunk knows us by our address",
                self.name
            );
            return Some(Found { place: place("name"), message });
        }
        if self.public_address.is_some() && self.stun_server.is_some() {
            return Some(Found { place: place("stun_server"), message: TWO_ADDRESSES.to_owned() });
        }
        if self.numbering.rewrite.iter().any(|rule| rule.prefix.is_empty() && rule.digits.is_none()) {
            let message =
                "a rewrite without prefix and digits would change every number: say which it is for".to_owned();
            return Some(Found { place: place("numbering"), message });
        }
        None
    }

    /// How the sound of its calls is reached, if it says so.
    pub fn outside(&self) -> Option<Outside> {
        outside(self.public_address, self.stun_server.as_ref())
    }

    pub fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or(&self.registrar.host)
    }

    pub(super) fn with_passwords(&self, id: AccountId, secrets: &Secrets) -> Result<Account, ConfigError> {
        let owner = || format!("account \"{}\"", self.name);
        let username = self.auth_username.as_ref().unwrap_or(&self.username);
        let mut credentials = Vec::new();
        for own in &self.credentials {
            credentials.push(Credentials {
                realm: Some(own.realm.clone()),
                username: own.username.as_ref().unwrap_or(username).clone(),
                password: secrets.require(&own.password_env, owner())?,
            });
        }
        if let Some(variable) = &self.password_env {
            let password = secrets.require(variable, owner())?;
            credentials.push(Credentials { realm: None, username: username.clone(), password });
        }
        Ok(Account {
            id,
            registrar: self.registrar.host.clone(),
            port: self.registrar.port,
            domain: self.domain().to_owned(),
            username: self.username.clone(),
            credentials,
            transport: self.transport,
            expires: self.register.then(|| Duration::from_secs(self.expires_s.into())),
            access: self.access.clone(),
            numbering: self.numbering.clone(),
        })
    }
}

fn yes() -> bool {
    true
}

fn a_minute() -> u32 {
    60
}

fn all_codecs() -> Vec<Codec> {
    Codec::ALL.to_vec()
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<IpAddr>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an address such as \"0.0.0.0\" or a list of them such as [\"0.0.0.0\", \"::\"]")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let bad = |_| E::invalid_value(de::Unexpected::Str(text), &self);
            text.parse().map(|address| vec![address]).map_err(bad)
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut addresses = Vec::new();
            while let Some(address) = list.next_element()? {
                match addresses.contains(&address) {
                    true => return Err(de::Error::custom(format!("{address} stands twice"))),
                    false => addresses.push(address),
                }
            }
            match addresses.is_empty() {
                true => Err(de::Error::invalid_length(0, &self)),
                false => Ok(addresses),
            }
        }
    }

    deserializer.deserialize_any(OneOrMore)
}

fn direct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Direct, D::Error> {
    struct Choice;

    impl Visitor<'_> for Choice {
        type Value = Direct;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("true, false or \"challenge\"")
        }

        fn visit_bool<E: de::Error>(self, taken: bool) -> Result<Direct, E> {
            Ok(if taken { Direct::Taken } else { Direct::Refused })
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Direct, E> {
            match text {
                "challenge" => Ok(Direct::Challenged),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }

    deserializer.deserialize_any(Choice)
}

fn some_calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(de::Error::custom("0, expected at least 1")),
        calls => Ok(calls),
    }
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, least: u32, most: u32) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        value if (least..=most).contains(&value) => Ok(value),
        value => Err(de::Error::custom(format!("{value} s, expected {least} to {most}"))),
    }
}

fn ringing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 0, LONGEST_RINGING_S)
}

fn expires<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 30, 86_400)
}

/// RFC 4028 §4: no session interval is below 90 s.
fn session_expires<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 90, 86_400)
}

fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(deserializer)?;
    let has_scheme = |p: &String| ["sip:", "sips:", "tel:"].iter().any(|scheme| p.starts_with(scheme));
    match patterns.iter().find(|p| p.trim().is_empty() || p.contains(['<', '>']) || has_scheme(p)) {
        Some(bad) => Err(de::Error::custom(format!(
            "\"{bad}\", expected a number or name such as \"101\" or \"+7495*\", or user@host such as \
             \"*@pbx.example.com\", where * is any run of characters"
        ))),
        None => Ok(patterns),
    }
}

fn codecs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Codec>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let mut codecs = Vec::new();
    for name in names {
        let codec = match name.as_str() {
            "opus" => Codec::Opus,
            "g722" => Codec::G722,
            "pcma" => Codec::Pcma,
            "pcmu" => Codec::Pcmu,
            other => return Err(de::Error::unknown_variant(other, &["opus", "g722", "pcma", "pcmu"])),
        };
        match codecs.contains(&codec) {
            true => return Err(de::Error::custom(format!("\"{name}\" stands twice"))),
            false => codecs.push(codec),
        }
    }
    match codecs.is_empty() {
        true => Err(de::Error::custom("no codec, expected some of \"opus\", \"g722\", \"pcma\" and \"pcmu\"")),
        false => Ok(codecs),
    }
}

fn transport<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Transport>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "udp" => Ok(Some(Transport::Udp)),
        "tcp" => Ok(Some(Transport::Tcp)),
        "tls" => Ok(Some(Transport::Tls)),
        other => Err(de::Error::unknown_variant(other, &["udp", "tcp", "tls"])),
    }
}

fn registrar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Registrar, D::Error> {
    host_and_port(deserializer, "pbx.example.com:5060")
}

fn stun_server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Registrar>, D::Error> {
    host_and_port(deserializer, "stun.example.com:3478").map(Some)
}

fn public<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(Some(address)),
        _ => Err(de::Error::custom(format!(
            "\"{text}\", expected an address such as \"203.0.113.5\"; names are not looked up here, but stun_server can tell \
             an address that changes"
        ))),
    }
}

fn host_and_port<'de, D: Deserializer<'de>>(deserializer: D, example: &str) -> Result<Registrar, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bad = || de::Error::custom(format!("\"{text}\", expected a host or host:port such as {example}"));
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address in brackets has colons of its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| bad())?)),
        _ => (text.as_str(), None),
    };
    match is_host(host) {
        true => Ok(Registrar { host: host.to_owned(), port }),
        false => Err(bad()),
    }
}

/// Whether it can stand in a SIP URI as its host: an IPv6 address is in brackets, and there is no `sip:` before it.
fn is_host(text: &str) -> bool {
    let is_address = text.starts_with('[') && text.ends_with(']');
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '/' || c == '@' || (c == ':' && !is_address))
}

fn domain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match is_host(&text) {
        true => Ok(Some(text)),
        false => Err(de::Error::custom(format!(
            "\"{text}\", expected a name such as pbx.example.com, without sip: or a port"
        ))),
    }
}

fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || matches!(c, '@' | ':' | '<' | '>')) {
        true => Err(de::Error::custom(format!(
            "\"{text}\", expected a number or name such as \"200\"; what stands behind an @ is the registrar or domain"
        ))),
        false => Ok(text),
    }
}

impl From<&SipConfig> for Listen {
    fn from(config: &SipConfig) -> Self {
        let TlsConfig { port, certificate, key, client_ca, ca, verify } = config.tls.clone();
        let identity = certificate.zip(key).map(|(certificate, key)| TlsIdentity { certificate, key, client_ca });
        Listen {
            addresses: config.bind.clone(),
            port: config.port,
            tls: Some(TlsSettings { port, identity, ca, verify }),
            public: config.public_address,
        }
    }
}

/// `[message]`: where a message that was taken is sent to, beside the call log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageConfig {
    /// A number or name at the account's domain, or a whole SIP address. `None`: nowhere.
    pub sip: Option<String>,
    /// The name of the account that it goes through; without one it goes straight to the address.
    pub account: Option<String>,
}

impl MessageConfig {
    pub(super) fn contradiction(&self, accounts: &[AccountConfig]) -> Option<Found> {
        if let Some(name) = &self.account
            && !accounts.iter().any(|account| account.name == *name)
        {
            return Some(Found::new(&["message", "account"], format!("no [[account]] is named \"{name}\"")));
        }
        if self.account.is_some() && self.sip.is_none() {
            let message = "nobody is named to write to: set sip, such as sip = \"101\"";
            return Some(Found::new(&["message", "account"], message));
        }
        if self.sip.is_some() && self.address(accounts).is_none() {
            let message = match self.account {
                Some(_) => "expected a number or a name at the account's domain, or an address such as 101@pbx.example",
                None => "expected an address such as 101@192.168.1.20, or account = \"…\" for a number there",
            };
            return Some(Found::new(&["message", "sip"], message));
        }
        None
    }

    /// `user@host` of whom we write to.
    pub fn address(&self, accounts: &[AccountConfig]) -> Option<String> {
        let target = self.sip.as_ref()?;
        let bare = target.strip_prefix("sip:").or(target.strip_prefix("sips:")).unwrap_or(target);
        let whole = match (bare.contains('@'), accounts.iter().find(|a| Some(&a.name) == self.account.as_ref())) {
            (true, _) => bare.to_owned(),
            (false, Some(account)) => format!("{bare}@{}", account.domain()),
            (false, None) => return None,
        };
        let uri: Uri = format!("sip:{whole}").parse().ok()?;
        let port = uri.port.map_or(String::new(), |port| format!(":{port}"));
        Some(format!("{}@{}{port}", uri.user?, uri.host))
    }
}
