//! Google Gemini over its REST API: one streamed answer, given out in sentences.
//! Source: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.
//!
//! Left out: tools, pictures, safety settings (the defaults of the API hold), retries (the front desk answers instead).

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use eventsource_stream::{EventStreamError, Eventsource};
use futures_util::{Stream, StreamExt};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::sentences::Sentences;
use super::{Line, Who};

/// `[dialog.gemini]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeminiConfig {
    /// The model's name. `gemini-2.5-pro` knows more and begins later. Default: `gemini-2.5-flash`.
    pub model: String,
    /// Where the API is, without `/v1beta`: another address reaches it through a relay of your own.
    /// Default: `https://generativelanguage.googleapis.com`.
    pub base_url: String,
    /// An HTTP proxy without a password, such as `http://host:3128`, for countries that the API does not serve. The
    /// environment's proxies are not used. Default: none, a direct connection.
    pub proxy: Option<String>,
    /// Milliseconds from the question to the first text; after that the front desk answers. Default: 2500.
    pub first_token_timeout_ms: u64,
    /// Milliseconds between two pieces of the answer; after that the front desk goes on. Default: 2000.
    pub stall_timeout_ms: u64,
}

impl Default for GeminiConfig {
    fn default() -> Self {
        GeminiConfig {
            model: "gemini-2.5-flash".to_owned(),
            base_url: "https://generativelanguage.googleapis.com".to_owned(),
            proxy: None,
            first_token_timeout_ms: 2_500,
            stall_timeout_ms: 2_000,
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum GeminiSetupError {
    #[error("dialog.gemini.base_url {0:?}: expected an address such as https://generativelanguage.googleapis.com")]
    BaseUrl(String),
    #[error("dialog.gemini.model is empty: name a model such as gemini-2.5-flash")]
    Model,
    #[error("dialog.gemini.proxy: expected an address such as http://host:3128")]
    Proxy,
    #[error("dialog.gemini.proxy: a password does not belong into this file; let a proxy on this machine have it")]
    ProxySecret,
    #[error("dialog.gemini.{key}: {ms} ms, expected 100 to 60000")]
    Timeout { key: &'static str, ms: u64 },
    #[error("the Gemini key has characters that no key has: copy it again")]
    Key,
    #[error("no HTTPS client for Gemini (are the CA certificates of the system installed?): {}", root(.0))]
    Client(#[source] reqwest::Error),
}

/// Why an answer did not come or did not end.
#[derive(Debug, thiserror::Error)]
pub enum GeminiError {
    /// The API refused: 400 and 403 the key or the country, 404 the model, 429 the quota, 5xx itself.
    #[error("Gemini answered HTTP {status}: {message}")]
    Http { status: u16, message: String },
    #[error("Gemini gave nothing in time: waited for {waiting_for}")]
    Timeout { waiting_for: WaitingFor },
    #[error("the connection to Gemini failed: {}", root(.0))]
    Connect(#[source] reqwest::Error),
    /// The stream ended before the answer did.
    #[error("the answer of Gemini broke off")]
    Broken,
    #[error("the answer of Gemini is empty")]
    Empty,
    /// The words of the caller or the answer met a filter of the API.
    #[error("Gemini blocked the answer: {reason}")]
    Blocked { reason: String },
    #[error("the answer of Gemini is not the JSON of its API")]
    BadJson,
    #[error("the answer of Gemini is longer than any answer on the telephone")]
    TooLong,
}

/// The cause that says something: the outer errors only say that a request was sent.
fn root(error: &dyn std::error::Error) -> &dyn std::error::Error {
    error.source().map_or(error, root)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    FirstToken,
    NextPiece,
}

impl std::fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WaitingFor::FirstToken => "the first text",
            WaitingFor::NextPiece => "the next piece",
        })
    }
}

/// All bytes of one answer. The text is a thousandth of it, the rest is what the API says about it.
const MOST_BYTES: usize = 1 << 20;
/// The text of one answer: three minutes of speech.
const MOST_TEXT: usize = 8 << 10;
/// Bytes read of an error's body, for its message.
const MOST_ERROR_BYTES: usize = 8 << 10;
/// Thinking counts against it, so it is more than a telephone answer needs.
const MOST_OUTPUT_TOKENS: u32 = 1_024;
/// How long to wait for the end of the body after the end of the answer, so that the connection can be used again.
const DRAIN: Duration = Duration::from_millis(250);

/// A client of one model; it keeps its connection between answers.
#[derive(Debug)]
pub struct Gemini {
    client: reqwest::Client,
    url: Url,
    thinking: Option<u32>,
    first_token: Duration,
    stall: Duration,
    key: SecretString,
}

impl Gemini {
    /// Installs ring as the process's TLS provider if there is none yet.
    pub fn new(config: &GeminiConfig, key: SecretString) -> Result<Self, GeminiSetupError> {
        let mut value = HeaderValue::from_str(key.expose_secret().trim()).map_err(|_| GeminiSetupError::Key)?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(reqwest::header::HeaderName::from_static("x-goog-api-key"), value)]);

        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may be first; then theirs is used.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // No redirects: the key would travel with them to another host.
        let mut client = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(proxy) = &config.proxy {
            client = client.proxy(reqwest::Proxy::all(proxy).map_err(|_| GeminiSetupError::Proxy)?);
        }
        Ok(Gemini {
            client: client.build().map_err(GeminiSetupError::Client)?,
            url: endpoint(config)?,
            thinking: thinking_budget(&config.model),
            first_token: Duration::from_millis(config.first_token_timeout_ms),
            stall: Duration::from_millis(config.stall_timeout_ms),
            key,
        })
    }

    /// Asks for the answer to the last line of `history`. Dropping the answer cancels it.
    pub async fn ask(&self, system: &str, history: &[Line]) -> Result<Answer, GeminiError> {
        let deadline = Instant::now() + self.first_token;
        let request = self.client.post(self.url.clone()).json(&self.body(system, history));
        let late = |_| GeminiError::Timeout { waiting_for: WaitingFor::FirstToken };
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(late)?
            .map_err(|error| GeminiError::Connect(error.without_url()))?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let message = timeout_at(deadline, error_message(response)).await.unwrap_or_default();
            return Err(GeminiError::Http { status, message: self.without_key(&message) });
        }
        let mut bytes = 0;
        let counted = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|_| GeminiError::Broken)?;
            bytes += chunk.len();
            if bytes > MOST_BYTES { Err(GeminiError::TooLong) } else { Ok(chunk) }
        });
        let events = counted.eventsource().map(|event| match event {
            Ok(event) => Ok(event.data),
            Err(EventStreamError::Transport(error)) => Err(error),
            Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)) => Err(GeminiError::BadJson),
        });
        Ok(Answer {
            events: Box::pin(events),
            stage: Stage::Begun { deadline },
            stall: self.stall,
            sentences: Sentences::default(),
            ready: VecDeque::new(),
            text_bytes: 0,
        })
    }

    fn body(&self, system: &str, history: &[Line]) -> Value {
        let mut generation = json!({ "temperature": 0.4, "maxOutputTokens": MOST_OUTPUT_TOKENS });
        if let (Some(budget), Some(generation)) = (self.thinking, generation.as_object_mut()) {
            generation.insert("thinkingConfig".to_owned(), json!({ "thinkingBudget": budget }));
        }
        json!({
            "systemInstruction": { "parts": [{ "text": system }] },
            "contents": contents(history),
            "generationConfig": generation,
        })
    }

    /// Error messages are logged, and one of them may quote the key.
    fn without_key(&self, message: &str) -> String {
        let key = self.key.expose_secret().trim();
        if key.is_empty() { message.to_owned() } else { message.replace(key, "…") }
    }
}

impl GeminiConfig {
    /// Whether a client can be made of it.
    ///
    /// # Errors
    /// [`GeminiSetupError`] says which key and what is expected.
    pub fn check(&self) -> Result<(), GeminiSetupError> {
        endpoint(self)?;
        if let Some(proxy) = &self.proxy {
            let url = Url::parse(proxy).map_err(|_| GeminiSetupError::Proxy)?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(GeminiSetupError::ProxySecret);
            }
            reqwest::Proxy::all(proxy).map_err(|_| GeminiSetupError::Proxy)?;
        }
        for (key, ms) in
            [("first_token_timeout_ms", self.first_token_timeout_ms), ("stall_timeout_ms", self.stall_timeout_ms)]
        {
            if !(100..=60_000).contains(&ms) {
                return Err(GeminiSetupError::Timeout { key, ms });
            }
        }
        Ok(())
    }
}

fn endpoint(config: &GeminiConfig) -> Result<Url, GeminiSetupError> {
    let bad = || GeminiSetupError::BaseUrl(config.base_url.clone());
    let model = config.model.trim().trim_start_matches("models/");
    if model.is_empty() {
        return Err(GeminiSetupError::Model);
    }
    let mut url =
        Url::parse(&config.base_url).ok().filter(|u| matches!(u.scheme(), "http" | "https")).ok_or_else(bad)?;
    url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().extend([
        "v1beta",
        "models",
        &format!("{model}:streamGenerateContent"),
    ]);
    url.set_query(Some("alt=sse"));
    Ok(url)
}

/// Thinking is silence on the telephone: none, or the least that the model allows (128 tokens for 2.5 Pro).
/// Models before 2.5 reject the setting. Source: <https://ai.google.dev/gemini-api/docs/thinking>.
fn thinking_budget(model: &str) -> Option<u32> {
    if model.contains("2.5-pro") {
        Some(128)
    } else if model.contains("2.5-flash") {
        Some(0)
    } else {
        None
    }
}

/// The history as turns that alternate and begin with the user, which is what the API expects.
fn contents(history: &[Line]) -> Vec<Value> {
    let mut turns: Vec<(&str, String)> = Vec::new();
    for line in history {
        let role = match line.who {
            Who::Caller => "user",
            Who::Secretary => "model",
        };
        match turns.last_mut() {
            None if role == "model" => {
                // The call itself is what the greeting answers.
                turns.push(("user", "☎".to_owned()));
                turns.push((role, line.text.clone()));
            }
            Some((last, text)) if *last == role => {
                text.push(' ');
                text.push_str(&line.text);
            }
            _ => turns.push((role, line.text.clone())),
        }
    }
    turns.into_iter().map(|(role, text)| json!({ "role": role, "parts": [{ "text": text }] })).collect()
}

/// The message in the body of an error, if it can be had.
async fn error_message(response: reqwest::Response) -> String {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_ERROR_BYTES {
            break;
        }
    }
    // Asked for a stream, the API wraps its error in a list.
    let Ok(value) = serde_json::from_slice::<Value>(&body) else { return String::new() };
    let error = value.get(0).unwrap_or(&value).get("error");
    short(error.and_then(|e| e.get("message")).and_then(Value::as_str).unwrap_or_default(), 200)
}

fn short(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

type Events = Pin<Box<dyn Stream<Item = Result<String, GeminiError>> + Send>>;

/// An answer on its way.
pub struct Answer {
    events: Events,
    stage: Stage,
    stall: Duration,
    sentences: Sentences,
    ready: VecDeque<String>,
    text_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Begun { deadline: Instant },
    Streaming,
    Finished,
}

impl Answer {
    /// The next sentence as soon as it is whole; `None` at the end of an answer that was not empty.
    /// After an error the answer is over.
    pub async fn next_sentence(&mut self) -> Result<Option<String>, GeminiError> {
        loop {
            if let Some(sentence) = self.ready.pop_front() {
                return Ok(Some(sentence));
            }
            let (deadline, waiting_for) = match self.stage {
                Stage::Begun { deadline } => (deadline, WaitingFor::FirstToken),
                Stage::Streaming => (Instant::now() + self.stall, WaitingFor::NextPiece),
                Stage::Finished => {
                    self.drain().await;
                    return Ok(None);
                }
            };
            match timeout_at(deadline, self.events.next()).await {
                Err(_) => return Err(GeminiError::Timeout { waiting_for }),
                Ok(None) => return Err(GeminiError::Broken),
                Ok(Some(event)) => self.take(&event?)?,
            }
        }
    }

    async fn drain(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.events.next().await {} };
        // Late or broken, the answer is whole already; only the connection is lost.
        let _ = tokio::time::timeout(DRAIN, rest).await;
    }

    /// One event of the stream: a `GenerateContentResponse`.
    fn take(&mut self, data: &str) -> Result<(), GeminiError> {
        let piece: Piece = serde_json::from_str(data).map_err(|_| GeminiError::BadJson)?;
        if let Some(error) = piece.error {
            return Err(GeminiError::Http { status: error.code, message: short(&error.message, 200) });
        }
        if let Some(reason) = piece.prompt_feedback.and_then(|f| f.block_reason) {
            return Err(GeminiError::Blocked { reason: short(&reason, 40) });
        }
        let Some(candidate) = piece.candidates.into_iter().next() else { return Ok(()) };
        for part in candidate.content.parts.into_iter().filter(|part| !part.thought && !part.text.is_empty()) {
            self.stage = Stage::Streaming;
            self.text_bytes += part.text.len();
            if self.text_bytes > MOST_TEXT {
                return Err(GeminiError::TooLong);
            }
            self.ready.extend(self.sentences.push(&part.text));
        }
        match candidate.finish_reason.as_deref() {
            None => Ok(()),
            Some("STOP") => self.finish(),
            Some("MAX_TOKENS") => {
                // Half a sentence is spoken only where there is nothing else.
                if self.sentences.has_begun() {
                    self.sentences.forget_rest();
                }
                self.finish()
            }
            Some(reason) => Err(GeminiError::Blocked { reason: short(reason, 40) }),
        }
    }

    fn finish(&mut self) -> Result<(), GeminiError> {
        self.stage = Stage::Finished;
        let sentences = std::mem::take(&mut self.sentences);
        let begun = sentences.has_begun();
        self.ready.extend(sentences.finish());
        if begun || !self.ready.is_empty() { Ok(()) } else { Err(GeminiError::Empty) }
    }
}

/// What we read of a `GenerateContentResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Content,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(who: Who, text: &str) -> Line {
        Line { who, text: text.to_owned() }
    }

    #[test]
    fn turns_alternate_and_begin_with_the_user() {
        let history = [
            line(Who::Secretary, "Здравствуйте!"),
            line(Who::Caller, "Алло."),
            line(Who::Caller, "Где вы?"),
            line(Who::Secretary, "На Садовой."),
            line(Who::Caller, "Спасибо."),
        ];
        let turns = contents(&history);
        let roles: Vec<_> = turns.iter().map(|t| t["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "model", "user", "model", "user"]);
        assert_eq!(turns[2]["parts"][0]["text"], "Алло. Где вы?");
    }

    #[test]
    fn the_address_is_built_from_the_configuration() {
        let config = |base_url: &str, model: &str| GeminiConfig {
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            ..GeminiConfig::default()
        };
        for (base, model, expected) in [
            (
                "https://a.example",
                "gemini-2.5-pro",
                "https://a.example/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            ),
            (
                "http://127.0.0.1:9/relay/",
                "models/m",
                "http://127.0.0.1:9/relay/v1beta/models/m:streamGenerateContent?alt=sse",
            ),
            ("https://a.example", "../x?y", "https://a.example/v1beta/models/..%2Fx%3Fy:streamGenerateContent?alt=sse"),
        ] {
            assert_eq!(endpoint(&config(base, model)).unwrap().as_str(), expected);
        }
        for (base, model) in [("a.example", "m"), ("ftp://a.example", "m"), ("", "m"), ("https://a.example", " ")] {
            endpoint(&config(base, model)).unwrap_err();
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_and_never_shown() {
        let error = Gemini::new(&GeminiConfig::default(), SecretString::from("se\ncret")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cret"));
        let gemini = Gemini::new(&GeminiConfig::default(), SecretString::from("s3cret")).unwrap();
        assert!(!format!("{gemini:?}").contains("s3cret"));
        assert_eq!(gemini.without_key("key s3cret is bad"), "key … is bad");
    }
}
