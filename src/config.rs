//! secretary.toml and the secrets: read, checked, and refused with file, line, column and what was expected.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::call::ears::EarsConfig;
use crate::call::turn::TurnConfig;
use crate::engine::Language;
use crate::engine::dialog::{self, DialogConfig, Faq, FrontDeskConfig, OfficeConfig};
use crate::engine::stt::SttConfig;
use crate::engine::tts::{TtsConfig, VoiceConfig};
use crate::engine::worker::at_least_one;
use crate::sip::auth::Credentials;
use crate::sip::{Account, AccountId, Numbering, Transport};

/// The whole configuration; secretary.toml says what each key does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Languages that callers may speak; the first is the one a call begins in.
    #[serde(default = "both_languages", deserialize_with = "languages")]
    pub languages: Vec<Language>,
    #[serde(default)]
    pub office: OfficeConfig,
    #[serde(default)]
    pub faq: Vec<Faq>,
    #[serde(default)]
    pub sip: SipConfig,
    #[serde(default)]
    pub account: Vec<AccountConfig>,
    #[serde(default)]
    pub rtp: RtpConfig,
    #[serde(default)]
    pub models: ModelsConfig,
    #[serde(default)]
    pub stt: SttConfig,
    #[serde(default)]
    pub ears: EarsConfig,
    #[serde(default)]
    pub turn: TurnConfig,
    #[serde(default)]
    pub dialog: DialogConfig,
    #[serde(default)]
    pub tts: TtsConfig,
    #[serde(default)]
    pub log: LogConfig,
}

/// `[sip]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    pub bind: IpAddr,
    pub port: u16,
    /// Whether a call that comes from none of the accounts' registrars is answered.
    pub direct_calls: bool,
    /// Calls at the same time; one more is told that the line is busy.
    #[serde(deserialize_with = "at_least_one")]
    pub max_calls: usize,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self { bind: Ipv4Addr::UNSPECIFIED.into(), port: 5060, direct_calls: true, max_calls: 8 }
    }
}

/// `[[account]]`: one registration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    pub name: String,
    #[serde(deserialize_with = "registrar")]
    pub registrar: Registrar,
    /// The domain of our address of record; the registrar's host unless told otherwise.
    pub domain: Option<String>,
    pub username: String,
    /// The user name of the digest; `username` unless told otherwise.
    pub auth_username: Option<String>,
    /// The environment variable (or line of .env) with the password.
    pub password_env: String,
    #[serde(default = "udp", deserialize_with = "transport")]
    pub transport: Transport,
    #[serde(default = "a_minute", deserialize_with = "expires")]
    pub expires_s: u32,
}

/// `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrar {
    pub host: String,
    pub port: Option<u16>,
}

/// `[rtp]`: the ports of the calls' sound, first and last.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, try_from = "RtpPorts")]
pub struct RtpConfig {
    pub port_min: u16,
    pub port_max: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RtpPorts {
    port_min: u16,
    port_max: u16,
}

impl Default for RtpPorts {
    fn default() -> Self {
        Self { port_min: 10_000, port_max: 20_000 }
    }
}

impl TryFrom<RtpPorts> for RtpConfig {
    type Error = String;

    fn try_from(RtpPorts { port_min, port_max }: RtpPorts) -> Result<Self, String> {
        match port_min >= 1_024 && port_min < port_max {
            true => Ok(Self { port_min, port_max }),
            false => {
                Err(format!("port_min = {port_min} and port_max = {port_max}, expected 1024 <= port_min < port_max"))
            }
        }
    }
}

impl Default for RtpConfig {
    fn default() -> Self {
        let RtpPorts { port_min, port_max } = RtpPorts::default();
        Self { port_min, port_max }
    }
}

/// `[models]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// Relative paths of models start here.
    pub dir: PathBuf,
}

impl ModelsConfig {
    /// Silero VAD, which every call needs.
    pub fn vad(&self) -> PathBuf {
        self.dir.join("silero_vad.onnx")
    }

    /// The library that runs the .onnx files.
    pub fn onnxruntime(&self) -> PathBuf {
        self.dir.join("libonnxruntime.so")
    }
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self { dir: "models".into() }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub dir: PathBuf,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { dir: "calls_log".into() }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {error}", path = .path.display())]
    Read { path: PathBuf, error: io::Error },
    /// A key that does not exist, a value of another kind or out of range, or no TOML at all.
    #[error("{path}:{line}:{column}: {message}", path = .path.display())]
    Parse { path: PathBuf, line: usize, column: usize, message: String },
    /// A line of .env that is none.
    #[error("{path}: {error}: each line is NAME=value", path = .path.display())]
    Env { path: PathBuf, error: dotenvy::Error },
    #[error("account \"{account}\": the environment variable {variable} is not set: put {variable}=… into .env")]
    NoPassword { account: String, variable: String },
}

impl Config {
    /// Reads a file; without one, secretary.toml of the working directory; without that, every key has its default.
    ///
    /// # Errors
    /// When the file cannot be read, or is refused.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let usual = Path::new("secretary.toml");
        let path = match path {
            Some(path) => path,
            None if usual.exists() => usual,
            None => return Self::parse("", usual),
        };
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is its name for the errors.
    ///
    /// # Errors
    /// When it is refused.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            ConfigError::Parse { path: path.to_owned(), line, column, message: explain(error.message()) }
        })?;
        let dir = &config.models.dir;
        config.stt.model = dir.join(&config.stt.model);
        for voice in &mut config.tts.voices {
            if let VoiceConfig::Vits(vits) = voice {
                vits.model = dir.join(&vits.model);
            }
        }
        match config.contradiction() {
            None => Ok(config),
            Some((table, key, message)) => {
                let (line, column) = position(text, place_of(text, table, key));
                Err(ConfigError::Parse { path: path.to_owned(), line, column, message })
            }
        }
    }

    /// What no single value shows: table, key and what is wrong.
    fn contradiction(&self) -> Option<(&'static str, &'static str, String)> {
        let EarsConfig { start_probability, end_probability, pre_roll_ms } = self.ears;
        if !(0.0..=1.0).contains(&start_probability) {
            return Some(("ears", "start_probability", format!("{start_probability}, expected 0 to 1")));
        }
        if !(0.0..=start_probability).contains(&end_probability) {
            let message = format!("{end_probability}, expected 0 to start_probability, which is {start_probability}");
            return Some(("ears", "end_probability", message));
        }
        if pre_roll_ms > 2_000 {
            return Some(("ears", "pre_roll_ms", format!("{pre_roll_ms} ms, expected 0 to 2000")));
        }
        let TurnConfig { pause_ms, end_silence_ms, number_silence_ms, .. } = self.turn;
        if !(50..=10_000).contains(&pause_ms) {
            return Some(("turn", "pause_ms", format!("{pause_ms} ms, expected 50 to 10000")));
        }
        for (key, silence_ms) in [("end_silence_ms", end_silence_ms), ("number_silence_ms", number_silence_ms)] {
            if !(pause_ms..=10_000).contains(&silence_ms) {
                let message = format!("{silence_ms} ms, expected pause_ms, which is {pause_ms}, to 10000");
                return Some(("turn", key, message));
            }
        }
        for (key, seconds, least) in [("silence_s", self.turn.silence_s, 2), ("max_call_s", self.turn.max_call_s, 30)] {
            if !(least..=86_400).contains(&seconds) {
                return Some(("turn", key, format!("{seconds} s, expected {least} to 86400")));
            }
        }
        for (key, ms) in [("barge_in_ms", self.turn.barge_in_ms), ("filler_after_ms", self.turn.filler_after_ms)] {
            if !(100..=60_000).contains(&ms) {
                return Some(("turn", key, format!("{ms} ms, expected 100 to 60000")));
            }
        }
        if let Err((table, error)) = dialog::check(&self.dialog, &self.faq) {
            return Some((table, "gemini", error.to_string()));
        }
        let mut names: Vec<&str> = self.account.iter().map(|a| a.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(("account", "name", format!("two accounts are named \"{}\": give each a name of its own", twice[0])))
    }

    /// The accounts with their passwords.
    ///
    /// # Errors
    /// When a password is not there.
    pub fn accounts(&self, secrets: &Secrets) -> Result<Vec<Account>, ConfigError> {
        let ids = (0..).map(AccountId);
        self.account.iter().zip(ids).map(|(account, id)| account.with_password(id, secrets)).collect()
    }

    pub fn front_desk(&self) -> FrontDeskConfig {
        FrontDeskConfig { office: self.office.clone(), faq: self.faq.clone() }
    }
}

impl AccountConfig {
    fn with_password(&self, id: AccountId, secrets: &Secrets) -> Result<Account, ConfigError> {
        let password = secrets.get(&self.password_env).ok_or_else(|| ConfigError::NoPassword {
            account: self.name.clone(),
            variable: self.password_env.clone(),
        })?;
        Ok(Account {
            id,
            registrar: self.registrar.host.clone(),
            port: self.registrar.port,
            domain: self.domain.clone().unwrap_or_else(|| self.registrar.host.clone()),
            username: self.username.clone(),
            credentials: vec![Credentials {
                realm: None,
                username: self.auth_username.clone().unwrap_or_else(|| self.username.clone()),
                password,
            }],
            transport: Some(self.transport),
            expires: Some(Duration::from_secs(self.expires_s.into())),
            access: Vec::new(),
            numbering: Numbering::default(),
        })
    }
}

/// Secrets by name: the environment's, else those of `.env` in the working directory.
#[derive(Debug, Clone, Default)]
pub struct Secrets(HashMap<String, SecretString>);

impl Secrets {
    /// # Errors
    /// When there is a `.env` that cannot be read.
    pub fn load() -> Result<Self, ConfigError> {
        let path = Path::new(".env");
        let refuse = |error| ConfigError::Env { path: path.to_owned(), error };
        let mut secrets = HashMap::new();
        if path.exists() {
            for line in dotenvy::from_path_iter(path).map_err(refuse)? {
                let (name, value) = line.map_err(refuse)?;
                secrets.insert(name, value.into());
            }
        }
        // An empty value is none: .env.example is copied with its empty lines.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 is no password of ours.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        secrets.extend(environment.filter(|(_, v)| !v.is_empty()).map(|(name, value)| (name, value.into())));
        Ok(Self(secrets))
    }

    pub fn get(&self, name: &str) -> Option<SecretString> {
        use secrecy::ExposeSecret;
        self.0.get(name).filter(|value| !value.expose_secret().is_empty()).cloned()
    }
}

/// The byte at which a value stands, or its table, or the beginning.
fn place_of(text: &str, table: &str, key: &str) -> usize {
    let Ok(document) = toml::de::DeTable::parse(text) else { return 0 };
    let Some(found) = document.get_ref().get(table) else { return 0 };
    let value = found.get_ref().as_table().and_then(|table| table.get(key));
    value.map_or(found.span().start, |value| value.span().start)
}

/// Line and column of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Adds the nearest name to a message that lists the names that are known.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let nearest = quoted.next().filter(|_| message.starts_with("unknown")).and_then(|unknown| {
        quoted
            .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
    });
    match nearest {
        Some((_, known)) => format!("{message}. Did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

fn both_languages() -> Vec<Language> {
    vec![Language::Ru, Language::En]
}

fn udp() -> Transport {
    Transport::Udp
}

fn a_minute() -> u32 {
    60
}

fn languages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Language>, D::Error> {
    let languages = Vec::<Language>::deserialize(deserializer)?;
    match languages.as_slice() {
        [] => Err(de::Error::custom("no language, expected one or both of \"ru\" and \"en\"")),
        [first, rest @ ..] if rest.contains(first) || rest.len() > 1 => {
            Err(de::Error::custom("a language stands twice"))
        }
        _ => Ok(languages),
    }
}

fn expires<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        value @ 30..=86_400 => Ok(value),
        value => Err(de::Error::custom(format!("{value} s, expected 30 to 86400"))),
    }
}

fn transport<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Transport, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        other => Err(de::Error::unknown_variant(other, &["udp", "tcp"])),
    }
}

fn registrar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Registrar, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bad = || de::Error::custom(format!("\"{text}\", expected a host or host:port such as pbx.example.com:5060"));
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address in brackets has colons of its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| bad())?)),
        _ => (text.as_str(), None),
    };
    match host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
        true => Err(bad()),
        false => Ok(Registrar { host: host.to_owned(), port }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text, Path::new("secretary.toml")).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_file_shows_the_defaults() {
        let shipped = include_str!("../secretary.toml");
        let parse = |text: &str| format!("{:#?}", Config::parse(text, Path::new("secretary.toml")).unwrap());
        assert_eq!(parse(shipped), parse(""));
        // What is commented out can be used as well, but for the second voice, which shows only its kind.
        let uncommented: Vec<&str> = shipped
            .lines()
            .take_while(|line| !line.contains("[[tts.voices]]"))
            .map(|line| {
                line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with("[[")).unwrap_or(line)
            })
            .collect();
        let all = Config::parse(&uncommented.join("\n"), Path::new("secretary.toml")).unwrap();
        assert_eq!((all.account.len(), all.faq.len()), (1, 1));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
        let error = refused("[sip]\nbind = \"127.0.0.1\"\nprot = 5062\n");
        assert!(error.starts_with("secretary.toml:3:1: unknown field `prot`, expected one of"), "{error}");
        assert!(error.ends_with("Did you mean `port`?"), "{error}");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place_and_what_was_expected() {
        for (text, place, expected) in [
            ("[sip]\nport = \"many\"\n", "secretary.toml:2:8: ", "u16"),
            ("[sip]\nport = 70000\n", "secretary.toml:2:8: ", "u16"),
            ("[rtp]\nport_min = 20\nport_max = 10\n", "secretary.toml:1:1: ", "port_min < port_max"),
            ("languages = []\n", "secretary.toml:1:13: ", "\"ru\" and \"en\""),
            ("[sip]\nmax_calls = 0\n", "secretary.toml:2:13: ", "at least 1"),
            ("[sip\n", "secretary.toml:1:", "expected"),
            ("[ears]\nend_probability = 3.0\n", "secretary.toml:2:19: ", "0 to start_probability"),
            ("[turn]\n\nend_silence_ms = 100\n", "secretary.toml:3:18: ", "pause_ms, which is 300"),
            ("[dialog.gemini]\nbase_url = \"ftp://x\"\n", "secretary.toml:1:", "base_url"),
            ("[dialog.gemini]\nproxy = \"http://a:b@c\"\n", "secretary.toml:1:", "password"),
            (
                "languages = [\"ru\"]\n[[faq]]\nask.ru = []\nanswer.ru = \"да\"\n",
                "secretary.toml:2:",
                "[[faq]] number 1",
            ),
            ("[turn]\nmax_call_s = 0\n", "secretary.toml:2:14: ", "30 to 86400"),
            (
                "[[account]]\nname=\"a\"\nregistrar=\"a b\"\nusername=\"1\"\npassword_env=\"P\"\n",
                "secretary.toml:3:11: ",
                "host:port",
            ),
            (
                "[[account]]\nname=\"a\"\nregistrar=\"a\"\nusername=\"1\"\npassword_env=\"P\"\ntransport=\"upd\"\n",
                "secretary.toml:6:11: ",
                "Did you mean `udp`?",
            ),
        ] {
            let error = refused(text);
            assert!(error.starts_with(place), "{text:?} gives {error:?}");
            assert!(error.contains(expected), "{text:?} gives {error:?}");
        }
    }

    #[test]
    fn two_accounts_of_one_name_are_refused() {
        let account = "[[account]]\nname=\"a\"\nregistrar=\"h\"\nusername=\"1\"\npassword_env=\"P\"\n";
        let error = refused(&account.repeat(2));
        assert!(error.starts_with("secretary.toml:1:1: two accounts are named \"a\""), "{error}");
    }

    #[test]
    fn a_missing_password_says_which_variable_to_set() {
        let text =
            "[[account]]\nname=\"pbx\"\nregistrar=\"h:5070\"\nusername=\"1\"\npassword_env=\"NOT_SET_ANYWHERE\"\n";
        let config = Config::parse(text, Path::new("a.toml")).unwrap();
        assert_eq!(config.account[0].registrar, Registrar { host: "h".to_owned(), port: Some(5070) });
        let error = config.accounts(&Secrets::default()).unwrap_err().to_string();
        assert!(error.contains("NOT_SET_ANYWHERE"), "{error}");
    }
}
