//! secretary.toml and the secrets: read, checked, and refused with file, line, column and what was expected.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::de::DeValue;

use crate::call::ears::EarsConfig;
use crate::call::turn::TurnConfig;
use crate::engine::Language;
use crate::engine::dialog::{self, DialogConfig, Faq, FrontDeskConfig, OfficeConfig};
use crate::engine::end_of_turn::EndOfTurnConfig;
use crate::engine::stt::SttConfig;
use crate::engine::tts::{TtsConfig, VoiceConfig};
use crate::sip::{Account, AccountId, EndpointConfig};

mod sip;

pub use sip::{AccountConfig, Direct, MessageConfig, Registrar, SipConfig, TlsConfig, UserConfig};

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
    pub message: MessageConfig,
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
    pub end_of_turn: EndOfTurnConfig,
    #[serde(default)]
    pub dialog: DialogConfig,
    #[serde(default)]
    pub tts: TtsConfig,
    #[serde(default)]
    pub log: LogConfig,
}

/// `[rtp]`: the ports of the calls' sound and its reports, first and last, and how long a caller may be gone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, try_from = "RtpPorts")]
pub struct RtpConfig {
    pub port_min: u16,
    pub port_max: u16,
    /// In seconds.
    pub media_timeout_s: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RtpPorts {
    port_min: u16,
    port_max: u16,
    media_timeout_s: u32,
}

impl Default for RtpPorts {
    fn default() -> Self {
        Self { port_min: 10_000, port_max: 20_000, media_timeout_s: 90 }
    }
}

impl TryFrom<RtpPorts> for RtpConfig {
    type Error = String;

    fn try_from(RtpPorts { port_min, port_max, media_timeout_s }: RtpPorts) -> Result<Self, String> {
        // An even one and the next.
        if port_min < 1_024 || port_min >= port_max || port_min.next_multiple_of(2) >= port_max {
            return Err(format!(
                "port_min = {port_min} and port_max = {port_max}, expected 1024 <= port_min < port_max with an even port below port_max"
            ));
        }
        if !(5..=86_400).contains(&media_timeout_s) {
            return Err(format!("media_timeout_s = {media_timeout_s}, expected 5 to 86400"));
        }
        Ok(Self { port_min, port_max, media_timeout_s })
    }
}

impl Default for RtpConfig {
    fn default() -> Self {
        let RtpPorts { port_min, port_max, media_timeout_s } = RtpPorts::default();
        Self { port_min, port_max, media_timeout_s }
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
    #[error(
        "{owner}: the environment variable {variable} is not set: put {variable}=… into .env in the folder where the program is started"
    )]
    NoPassword { owner: String, variable: String },
}

/// A contradiction: where, and what is wrong.
struct Found {
    /// Keys from the outermost, and the numbers of tables in a list from 0.
    place: Vec<String>,
    message: String,
}

impl Found {
    fn new(place: &[&str], message: impl Into<String>) -> Self {
        Self { place: place.iter().map(ToString::to_string).collect(), message: message.into() }
    }
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
        config.stt.onnxruntime = config.models.onnxruntime();
        config.end_of_turn.model = dir.join(&config.end_of_turn.model);
        let phrases = config.tts.phrases.take().unwrap_or_else(|| "phrases".into());
        config.tts.phrases = Some(dir.join(phrases));
        for voice in &mut config.tts.voices {
            match voice {
                VoiceConfig::Vits(vits) => vits.model = dir.join(&vits.model),
                VoiceConfig::Xtts(xtts) => xtts.bundle = dir.join(&xtts.bundle),
                VoiceConfig::Command(_) => {}
            }
        }
        match config.contradiction() {
            None => Ok(config),
            Some(Found { place, message }) => {
                let (line, column) = position(text, place_of(text, &place));
                Err(ConfigError::Parse { path: path.to_owned(), line, column, message })
            }
        }
    }

    /// What no single value shows.
    fn contradiction(&self) -> Option<Found> {
        let EarsConfig { start_probability, end_probability, pre_roll_ms } = self.ears;
        if !(0.0..=1.0).contains(&start_probability) {
            return Some(Found::new(&["ears", "start_probability"], format!("{start_probability}, expected 0 to 1")));
        }
        if !(0.0..=start_probability).contains(&end_probability) {
            let message = format!("{end_probability}, expected 0 to start_probability, which is {start_probability}");
            return Some(Found::new(&["ears", "end_probability"], message));
        }
        if pre_roll_ms > 2_000 {
            return Some(Found::new(&["ears", "pre_roll_ms"], format!("{pre_roll_ms} ms, expected 0 to 2000")));
        }
        let pause_ms = self.turn.pause_ms;
        if !(50..=10_000).contains(&pause_ms) {
            return Some(Found::new(&["turn", "pause_ms"], format!("{pause_ms} ms, expected 50 to 10000")));
        }
        for (key, silence_ms) in self.turn.silences() {
            if !(pause_ms..=10_000).contains(&silence_ms) {
                let message = format!("{key}: {silence_ms} ms, expected pause_ms, which is {pause_ms}, to 10000");
                return Some(Found::new(&["turn", key], message));
            }
        }
        let (sure_ms, unsure_ms) = (self.turn.sure_silence_ms, self.turn.unsure_silence_ms);
        if unsure_ms < sure_ms {
            let message =
                format!("unsure_silence_ms: {unsure_ms} ms, expected sure_silence_ms, which is {sure_ms}, to 10000");
            return Some(Found::new(&["turn", "unsure_silence_ms"], message));
        }
        let probability = self.turn.complete_probability;
        if !(0.0..=1.0).contains(&probability) {
            return Some(Found::new(&["turn", "complete_probability"], format!("{probability}, expected 0 to 1")));
        }
        for (key, seconds, least) in [
            ("silence_s", self.turn.silence_s, 2),
            ("machine_s", self.turn.machine_s, 5),
            ("max_call_s", self.turn.max_call_s, 30),
        ] {
            if !(least..=86_400).contains(&seconds) {
                return Some(Found::new(&["turn", key], format!("{seconds} s, expected {least} to 86400")));
            }
        }
        for (key, ms) in [("barge_in_ms", self.turn.barge_in_ms), ("filler_after_ms", self.turn.filler_after_ms)] {
            if !(100..=60_000).contains(&ms) {
                return Some(Found::new(&["turn", key], format!("{ms} ms, expected 100 to 60000")));
            }
        }
        if let Err((table, error)) = dialog::check(&self.dialog, &self.faq) {
            return Some(Found::new(&[table, "gemini"], error.to_string()));
        }
        if let Some(found) = self.sip.contradiction().or_else(|| self.message.contradiction(&self.account)) {
            return Some(found);
        }
        if let Some(found) = (0..).zip(&self.account).find_map(|(n, account)| account.contradiction(n)) {
            return Some(found);
        }
        if self.account.is_empty() && self.sip.direct_calls == Direct::Refused {
            let message = "nobody could call: there is no [[account]] either";
            return Some(Found::new(&["sip", "direct_calls"], message));
        }
        if let Some(name) = twice(self.account.iter().map(|account| account.name.clone())) {
            let message = format!("two accounts are named {name:?}: give each a name of its own");
            return Some(Found::new(&["account"], message));
        }
        let voices: Vec<String> = self.tts.names().collect();
        if let Some(name) = twice(voices.iter().cloned()) {
            let message = format!("two voices are named {name:?}: give one of them a `name` of its own");
            return Some(Found::new(&["tts", "voices"], message));
        }
        let unknown = |account: &AccountConfig| account.voices.iter().find(|name| !voices.contains(name)).cloned();
        let (n, name) = (0..).zip(&self.account).find_map(|(n, account): (usize, _)| Some((n, unknown(account)?)))?;
        let message = format!("no voice is named {name:?}; the voices are {}", voices.join(", "));
        Some(Found::new(&["account", &n.to_string(), "voices"], message))
    }

    /// The accounts with their passwords.
    ///
    /// # Errors
    /// When a password is not there.
    pub fn accounts(&self, secrets: &Secrets) -> Result<Vec<Account>, ConfigError> {
        let ids = (0..).map(AccountId);
        self.account.iter().zip(ids).map(|(account, id)| account.with_passwords(id, secrets)).collect()
    }

    /// An account by its name.
    pub fn account(&self, name: &str) -> Option<(AccountId, &AccountConfig)> {
        (0..).map(AccountId).zip(&self.account).find(|(_, account)| account.name == name)
    }

    /// What the SIP endpoint is told.
    ///
    /// # Errors
    /// When the password of a direct caller is not there.
    pub fn endpoint(&self, user_agent: &str, secrets: &Secrets) -> Result<EndpointConfig, ConfigError> {
        self.sip.endpoint(user_agent, self.message.address(&self.account), secrets)
    }

    pub fn front_desk(&self) -> FrontDeskConfig {
        FrontDeskConfig { office: self.office.clone(), faq: self.faq.clone() }
    }
}

/// A name that is there more than once.
fn twice(names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(name.clone()))
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

    /// The password of `owner`, for the error.
    fn require(&self, variable: &str, owner: String) -> Result<SecretString, ConfigError> {
        self.get(variable).ok_or(ConfigError::NoPassword { owner, variable: variable.to_owned() })
    }

    pub fn get(&self, name: &str) -> Option<SecretString> {
        use secrecy::ExposeSecret;
        self.0.get(name).filter(|value| !value.expose_secret().is_empty()).cloned()
    }
}

/// The byte at which a value stands, or the innermost table around it that is there, or the beginning.
fn place_of(text: &str, place: &[String]) -> usize {
    let Ok(document) = toml::de::DeTable::parse(text) else { return 0 };
    let mut keys = place.iter();
    let Some(mut found) = keys.next().and_then(|key| document.get_ref().get(key.as_str())) else { return 0 };
    for key in keys {
        let inner = match found.get_ref() {
            DeValue::Table(table) => table.get(key.as_str()),
            DeValue::Array(list) => key.parse().ok().and_then(|n: usize| list.get(n)),
            _ => None,
        };
        match inner {
            Some(inner) => found = inner,
            None => break,
        }
    }
    found.span().start
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

fn some_languages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Language>>, D::Error> {
    languages(deserializer).map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::keys::Dtmf;
    use crate::sip::CallOut;

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
                let is_key = |rest: &&str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
                line.strip_prefix("# ")
                    .filter(|rest| is_key(rest) || rest.starts_with('[') && rest.ends_with(']'))
                    .unwrap_or(line)
            })
            .map(|line| if line == "direct_calls = true" { "direct_calls = \"challenge\"" } else { line })
            .collect();
        let all = Config::parse(&uncommented.join("\n"), Path::new("secretary.toml")).unwrap();
        assert_eq!((all.account.len(), all.faq.len(), all.sip.user.len()), (1, 1, 1));
        // Each key of an account is shown with its default or what stands for it.
        let account = &all.account[0];
        assert_eq!((account.answer_after_s, account.dtmf, account.codecs.len()), (0, Dtmf::Rtp, 4));
        assert_eq!(all.message.address(&all.account).as_deref(), Some("101@pbx.example.com"));
    }

    #[test]
    fn every_example_in_the_pages_can_be_used() {
        let mut examples = 0;
        for page in ["README.md", "README.ru.md", "docs/trunks.md", "docs/trunks.ru.md"] {
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
            for block in text.split("```toml\n").skip(1) {
                let example = block.split("```").next().unwrap();
                // Some go on where an account was shown before.
                let account = ACCOUNT.replace("\"a\"", "\"office\"") + "password_env = \"P\"\n";
                let continued = Config::parse(&(account + example), Path::new(page));
                let alone = Config::parse(example, Path::new(page));
                assert!(alone.is_ok() || continued.is_ok(), "{example}{:?}", alone.err());
                examples += 1;
            }
        }
        assert!(examples >= 20, "{examples}: where are they?");
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
            ("[rtp]\nport_min = 10001\nport_max = 10002\n", "secretary.toml:1:1: ", "even port below port_max"),
            ("[rtp]\nmedia_timeout_s = 4\n", "secretary.toml:1:1: ", "expected 5 to 86400"),
            ("languages = []\n", "secretary.toml:1:13: ", "\"ru\" and \"en\""),
            ("[sip]\nmax_calls = 0\n", "secretary.toml:2:13: ", "at least 1"),
            ("[sip\n", "secretary.toml:1:", "expected"),
            ("[sip]\nbind = []\n", "secretary.toml:2:8: ", "such as \"0.0.0.0\" or a list"),
            ("[sip]\nbind = \"here\"\n", "secretary.toml:2:8: ", "such as \"0.0.0.0\" or a list"),
            ("[sip]\nbind = [\"::\", \"::\"]\n", "secretary.toml:2:8: ", ":: stands twice"),
            ("[sip]\npublic_address = \"pbx.example\"\n", "secretary.toml:2:18: ", "names are not looked up"),
            ("[sip]\npublic_address = \"0.0.0.0\"\n", "secretary.toml:2:18: ", "such as \"203.0.113.5\""),
            ("[sip]\nstun_server = \"stun:a\"\n", "secretary.toml:2:15: ", "such as stun.example.com:3478"),
            (
                "[sip]\npublic_address = \"203.0.113.5\"\nstun_server = \"a\"\n",
                "secretary.toml:3:15: ",
                "beside public_address",
            ),
            ("[sip]\ndirect_calls = \"ask\"\n", "secretary.toml:2:16: ", "true, false or \"challenge\""),
            ("[sip]\n\ndirect_calls = \"challenge\"\n", "secretary.toml:3:16: ", "[[sip.user]]"),
            ("[[sip.user]]\nname = \"a\"\npassword_env = \"A\"\n", "secretary.toml:1:", "direct_calls = \"challenge\""),
            ("[sip]\nanswer_after_s = 500\n", "secretary.toml:2:18: ", "0 to 120"),
            ("[sip]\nsession_expires_s = 60\n", "secretary.toml:2:21: ", "90 to 86400"),
            ("[sip]\ncall_out = [\"sip:1@b\"]\n", "secretary.toml:2:12: ", "*@pbx.example.com"),
            ("[sip.limits]\ncalls_per_second = nan\n", "secretary.toml:2:20: ", "0.01 or more"),
            ("[sip.tls]\ncertificate = \"a.pem\"\n", "secretary.toml:2:15: ", "in key"),
            ("[sip.tls]\nclient_ca = \"a.pem\"\n", "secretary.toml:2:13: ", "without a certificate"),
            ("[sip.tls]\nport = 5060\ncertificate = \"a\"\nkey = \"b\"\n", "secretary.toml:2:8: ", "5061"),
            ("[sip]\ndirect_calls = false\n", "secretary.toml:2:16: ", "no [[account]]"),
            ("[sip]\nrealm = \"\"\n", "secretary.toml:2:9: ", "any name"),
            (
                "[sip]\ndirect_calls = \"challenge\"\n[[sip.user]]\nname = \"a\"\npassword_env = \"A\"\n[[sip.user]]\n\
                 name = \"a\"\npassword_env = \"B\"\n",
                "secretary.toml:",
                "two users are named \"a\"",
            ),
            ("[message]\nsip = \"101\"\n", "secretary.toml:2:7: ", "account ="),
            ("[message]\nsip = \"101\"\naccount = \"x\"\n", "secretary.toml:3:11: ", "no [[account]] is named \"x\""),
            ("[ears]\nend_probability = 3.0\n", "secretary.toml:2:19: ", "0 to start_probability"),
            (
                "[turn]\n\nend_silence_ms = 90\n",
                "secretary.toml:3:18: ",
                "end_silence_ms: 90 ms, expected pause_ms, which is 100",
            ),
            (
                "[turn]\nsure_silence_ms = 950\n",
                "secretary.toml:1:1: ",
                "unsure_silence_ms: 900 ms, expected sure_silence_ms, which is 950",
            ),
            ("[turn]\nbarge_in_ms = 99\n", "secretary.toml:2:15: ", "100 to 60000"),
            ("[turn]\nbarge_in_ms = 60001\n", "secretary.toml:2:15: ", "100 to 60000"),
            ("[turn]\nfiller_after_ms = 0\n", "secretary.toml:2:19: ", "100 to 60000"),
            ("[turn]\nfiller_after_ms = 60001\n", "secretary.toml:2:19: ", "100 to 60000"),
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
                "[[account]]\nname=\"a\"\nregistrar=\"sip:a:5060\"\nusername=\"1\"\npassword_env=\"P\"\n",
                "secretary.toml:3:11: ",
                "host:port",
            ),
            (
                "[[account]]\nname=\"a\"\nregistrar=\"a\"\nusername=\"1@a\"\npassword_env=\"P\"\n",
                "secretary.toml:4:10: ",
                "behind an @",
            ),
            (
                "[[account]]\nname=\"a\"\nregistrar=\"a\"\nusername=\"1\"\npassword_env=\"P\"\ndomain=\"sip:a\"\n",
                "secretary.toml:6:8: ",
                "without sip:",
            ),
            (
                "[[account]]\nname=\"a\"\nregistrar=\"a\"\nusername=\"1\"\npassword_env=\"P\"\n[account.numbering]\n\
                 rewrite=[{replace=\"1\"}]\n",
                "secretary.toml:",
                "every number",
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

    const ACCOUNT: &str = "[[account]]\nname = \"a\"\nregistrar = \"h\"\nusername = \"1\"\n";

    #[test]
    fn a_bad_account_is_refused_with_its_place_and_what_was_expected() {
        for (line, place, expected) in [
            ("", "secretary.toml:2:8: ", "register = false"),
            ("access = [\"pbx\"]", "secretary.toml:5:10: ", "203.0.113.0/24"),
            ("codecs = [\"g729\"]", "secretary.toml:5:10: ", "`opus`, `g722`, `pcma`, `pcmu`"),
            ("codecs = []", "secretary.toml:5:10: ", "\"g722\", \"pcma\" and \"pcmu\""),
            ("dtmf = \"rfc4733\"", "secretary.toml:5:8: ", "`rtp`, `info`, `inband`, `none`"),
            (
                "password_env = \"P\"\npublic_address = \"203.0.113.5\"\nstun_server = \"a:1\"",
                "secretary.toml:7:15: ",
                "not both",
            ),
            ("credentials = [{ realm = \"r\" }]", "secretary.toml:5:", "password_env"),
            ("transport = \"sctp\"", "secretary.toml:5:13: ", "`udp`, `tcp`, `tls`"),
        ] {
            let error = refused(&format!("{ACCOUNT}{line}\n"));
            assert!(error.starts_with(place), "{line:?} gives {error:?}");
            assert!(error.contains(expected), "{line:?} gives {error:?}");
        }
        // The second one is named by its own line.
        let good = format!("{ACCOUNT}password_env = \"P\"\n");
        let error = refused(&format!("{good}{}", ACCOUNT.replace("\"a\"", "\"b\"")));
        assert!(error.starts_with("secretary.toml:7:8: account \"b\" registers without a password"), "{error}");
    }

    fn secrets(names: &[&str]) -> Secrets {
        Secrets(names.iter().map(|name| (name.to_string(), SecretString::from(format!("of {name}")))).collect())
    }

    #[test]
    fn a_trunk_by_address_needs_no_password_and_does_not_register() {
        let text = format!("{ACCOUNT}register = false\naccess = [\"203.0.113.0/24\"]\ntransport = \"tls\"\n");
        let config = Config::parse(&text, Path::new("a.toml")).unwrap();
        let account = config.accounts(&Secrets::default()).unwrap().remove(0);
        assert_eq!((account.expires, account.credentials.len()), (None, 0));
        assert_eq!(account.transport, Some(crate::sip::Transport::Tls));
        assert!(account.access[0].contains([203, 0, 113, 77].into()));
    }

    #[test]
    fn passwords_by_realm_come_before_the_one_for_all() {
        let text = format!(
            "{ACCOUNT}auth_username = \"login\"\npassword_env = \"ALL\"\ncredentials = [{{ realm = \"r\", password_env = \"R\" }}]\n"
        );
        let config = Config::parse(&text, Path::new("a.toml")).unwrap();
        let account = config.accounts(&secrets(&["ALL", "R"])).unwrap().remove(0);
        let told: Vec<_> = account.credentials.iter().map(|c| (c.realm.as_deref(), c.username.as_str())).collect();
        assert_eq!(told, [(Some("r"), "login"), (None, "login")]);
        assert!(config.accounts(&secrets(&["ALL"])).unwrap_err().to_string().contains("R=…"));
    }

    #[test]
    fn direct_callers_are_challenged_with_the_configured_passwords() {
        let text = "[sip]\ndirect_calls = \"challenge\"\nrealm = \"office\"\n[[sip.user]]\nname = \"door\"\npassword_env = \"DOOR\"\n";
        let config = Config::parse(text, Path::new("a.toml")).unwrap();
        let endpoint = config.endpoint("test", &secrets(&["DOOR"])).unwrap();
        let crate::sip::DirectCalls::Challenged { realm, users } = endpoint.direct_calls else {
            panic!("{endpoint:?}")
        };
        assert_eq!((realm.as_str(), users[0].username.as_str()), ("office", "door"));
        let error = config.endpoint("test", &Secrets::default()).unwrap_err().to_string();
        assert!(error.contains("[[sip.user]] \"door\"") && error.contains("DOOR=…"), "{error}");
    }

    #[test]
    fn the_owner_may_be_written_to_and_nobody_else_without_a_rule() {
        let text = format!("{ACCOUNT}register = false\n[message]\nsip = \"101\"\naccount = \"a\"\n");
        let endpoint =
            |text: &str| Config::parse(text, Path::new("a.toml")).unwrap().endpoint("t", &Secrets::default());
        let matching = |patterns: &[&str]| CallOut::Matching(patterns.iter().map(ToString::to_string).collect());
        assert_eq!(endpoint(&text).unwrap().message_out, matching(&["101@h"]));
        assert_eq!(endpoint(&text).unwrap().call_out, matching(&[]), "nobody can have us call the owner");
        let direct = "[sip]\ncall_out = [\"+7495*\"]\n[message]\nsip = \"sip:anna@192.0.2.7:5070\"\n";
        assert_eq!(endpoint(direct).unwrap().call_out, matching(&["+7495*"]));
        assert_eq!(endpoint(direct).unwrap().message_out, matching(&["anna@192.0.2.7:5070"]));
        assert_eq!(endpoint("").unwrap().message_out, matching(&[]));
    }

    #[test]
    fn several_addresses_are_listened_on() {
        let config = Config::parse("[sip]\nbind = [\"0.0.0.0\", \"::\"]\n", Path::new("a.toml")).unwrap();
        let listen = crate::net::listen::Listen::from(&config.sip);
        assert_eq!((listen.addresses.len(), listen.port, listen.public), (2, 5060, None));
    }

    #[test]
    fn an_account_may_look_different_from_outside() {
        use crate::net::outside::Outside;
        let text = format!("[sip]\nstun_server = \"stun.example.com\"\n{ACCOUNT}password_env = \"P\"\n");
        let config = Config::parse(&text, Path::new("a.toml")).unwrap();
        let Outside::Stun(server) = config.sip.outside() else { panic!("{:?}", config.sip.outside()) };
        assert_eq!(server.to_string(), "stun.example.com:3478");
        assert!(config.account[0].outside().is_none(), "as [sip] says");
        let config = Config::parse(&format!("{text}public_address = \"203.0.113.5\"\n"), Path::new("a.toml")).unwrap();
        let Some(Outside::Public(public)) = config.account[0].outside() else { panic!("the account has its own") };
        assert_eq!(public, std::net::IpAddr::from([203, 0, 113, 5]));
        assert!(matches!(Config::parse("", Path::new("a.toml")).unwrap().sip.outside(), Outside::Same));
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let account = "[[account]]\nname=\"a\"\nregistrar=\"h\"\nusername=\"1\"\npassword_env=\"P\"\n";
        let error = refused(&account.repeat(2));
        assert!(error.starts_with("secretary.toml:1:1: two accounts are named \"a\""), "{error}");
        let voice = "[[tts.voices]]\nkind=\"vits\"\nlanguage=\"ru\"\nmodel=\"anna.onnx\"\n";
        let error = refused(&voice.repeat(2));
        assert!(error.contains("two voices are named \"anna\": give one of them a `name`"), "{error}");
        assert!(Config::parse(&format!("{voice}{voice}name=\"b\""), Path::new("a.toml")).is_ok());
    }

    #[test]
    fn an_account_has_voices_that_are_there() {
        let text = format!("{ACCOUNT}password_env = \"P\"\nvoices = [\"en_US-joe-medium\", \"espeak-ng\"]\n");
        assert_eq!(Config::parse(&text, Path::new("a.toml")).unwrap().account[0].voices.len(), 2);
        let error = refused(&text.replace("espeak-ng", "lidia"));
        let line = text.lines().count();
        assert!(error.starts_with(&format!("secretary.toml:{line}:10: no voice is named \"lidia\"; the")), "{error}");
        assert!(error.ends_with("espeak-ng"), "{error}");
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
