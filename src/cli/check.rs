//! `secretary check`: what can be used, and what to do about the rest.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ConfigArg, say};
use crate::app;
use crate::call::ears::SAMPLE_RATE_HZ;
use crate::config::{Config, Secrets};
use crate::engine::Language;
use crate::engine::onnx::OnnxRuntime;
use crate::engine::stt::Stt;
use crate::engine::tts::Tts;
use crate::engine::vad::Silero;
use crate::net::ports::PortPool;
use crate::net::sip::{self, Listen, SipHandle};
use crate::sip::{AccountId, Command, Endpoint, RegistrationState};

/// The longest wait for a registrar.
const REGISTRAR: Duration = Duration::from_secs(8);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: Args) -> Result<()> {
    let (config, secrets) = args.config.load()?;
    let mut report = Report::default();
    report.line("configuration", Ok::<_, String>("read"));
    let models = config.clone();
    report = spawn_blocking(move || check_models(report, &models)).await?;
    check_voices(&mut report, &config).await;
    check_dialog(&mut report, &config, &secrets);
    report.line("call log", writable(&config));
    check_network(&mut report, &config, &secrets).await;
    match report.problems {
        0 => Ok(()),
        1 => bail!("1 thing cannot be used"),
        n => bail!("{n} things cannot be used"),
    }
}

/// Prints each result as it comes and counts what cannot be used.
#[derive(Debug, Default)]
struct Report {
    problems: usize,
}

impl Report {
    fn line(&mut self, what: impl Display, result: Result<impl Display, impl Display>) {
        match result {
            Ok(how) => say(format_args!("ok    {what}: {how}")),
            Err(problem) => {
                self.problems += 1;
                say(format_args!("FAIL  {what}: {problem}"));
            }
        }
    }

    /// Something that is not there and need not be.
    fn note(&self, what: impl Display, how: impl Display) {
        say(format_args!("-     {what}: {how}"));
    }
}

fn check_models(mut report: Report, config: &Config) -> Report {
    let runtime = OnnxRuntime::load(&config.models.onnxruntime());
    report.line("ONNX Runtime", runtime.as_ref().map(|_| config.models.onnxruntime().display().to_string()));
    if let Ok(runtime) = &runtime {
        let vad = Silero::load(runtime, &config.models.vad());
        report.line("voice detection", vad.map(|_| config.models.vad().display().to_string()));
    }
    let stt = Stt::start(&config.stt);
    report.line("recognition", stt.as_ref().map(|_| config.stt.model.display().to_string()));
    if let Ok(stt) = stt {
        stt.shutdown();
    }
    report
}

async fn check_voices(report: &mut Report, config: &Config) {
    let tts = config.clone();
    let started = spawn_blocking(move || {
        let runtime = OnnxRuntime::load(&tts.models.onnxruntime()).map_err(|error| error.to_string())?;
        Tts::start(&tts.tts, &runtime).map_err(|error| error.to_string())
    });
    let tts = match started.await.map_err(|error| error.to_string()).and_then(|result| result) {
        Ok(tts) => tts,
        Err(error) => return report.line("voices", Err::<String, _>(error)),
    };
    for voice in tts.voices() {
        let what = format!("voice {}", voice.name);
        match &voice.problem {
            None => report
                .line(what, Ok::<_, String>(format!("{}; licence: {}", languages(&voice.languages), voice.licence))),
            Some(problem) => report.note(what, format!("not used: {problem}")),
        }
    }
    for language in &config.languages {
        let text = match language {
            Language::Ru => "Проверка.",
            Language::En => "This is a test.",
        };
        let spoken = app::speak(&tts, text.to_owned(), *language, SAMPLE_RATE_HZ).await;
        let seconds = spoken.map(|pcm| format!("{:.1} s of sound", pcm.len() as f64 / f64::from(SAMPLE_RATE_HZ)));
        report.line(format!("speaking {language}"), seconds.map_err(|error| format!("{error:#}")));
    }
    if let Err(error) = spawn_blocking(move || tts.shutdown()).await {
        report.line("voices", Err::<String, _>(error));
    }
}

fn languages(languages: &[Language]) -> String {
    languages.iter().map(Language::to_string).collect::<Vec<_>>().join(", ")
}

fn check_dialog(report: &mut Report, config: &Config, secrets: &Secrets) {
    let dialog = app::dialog(config, secrets);
    report.line("front desk", dialog.as_ref().map(|_| "always there").map_err(|error| format!("{error:#}")));
    match secrets.get(app::GEMINI_KEY) {
        Some(_) => report.note(
            "Gemini",
            format!("{} will be asked; the front desk answers if it does not", config.dialog.gemini.model),
        ),
        None => report.note("Gemini", format!("no {}: the front desk answers alone", app::GEMINI_KEY)),
    }
}

fn writable(config: &Config) -> Result<String, String> {
    let dir = &config.log.dir;
    let probe = dir.join(".check");
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map(|()| dir.display().to_string())
        .map_err(|error| format!("cannot write to {}: {error}; choose another [log] dir", dir.display()))
}

async fn check_network(report: &mut Report, config: &Config, secrets: &Secrets) {
    let rtp = PortPool::new(config.sip.bind, config.rtp.port_min, config.rtp.port_max).bind();
    report.line("RTP ports", rtp.map(|_| format!("{} to {}", config.rtp.port_min, config.rtp.port_max)));
    let endpoint = || Endpoint::new(app::endpoint_config(config), rand::random());
    let address = config.sip.bind;
    let started = match sip::start(Listen { address, port: config.sip.port }, endpoint()).await {
        Ok(started) => {
            report.line("SIP port", Ok::<_, String>(format!("{address}:{} UDP and TCP", config.sip.port)));
            started
        }
        Err(error) => {
            report.line("SIP port", Err::<String, _>(error));
            report.note(
                "accounts",
                "tried from another port; a running secretary registers again within its next refresh",
            );
            match sip::start(Listen { address, port: 0 }, endpoint()).await {
                Ok(started) => started,
                Err(error) => return report.line("SIP", Err::<String, _>(error)),
            }
        }
    };
    let (sip, _calls, task) = started;
    check_accounts(report, config, secrets, &sip).await;
    sip.stop().await;
    if let Err(error) = task.await {
        report.line("SIP", Err::<String, _>(error));
    }
}

async fn check_accounts(report: &mut Report, config: &Config, secrets: &Secrets, sip: &SipHandle) {
    let accounts = match config.accounts(secrets) {
        Ok(accounts) => accounts,
        Err(error) => return report.line("accounts", Err::<String, _>(error)),
    };
    if accounts.is_empty() {
        return report.note("accounts", "none: only direct calls are answered");
    }
    let expected = accounts.len();
    for account in accounts {
        sip.command(Command::Register(account)).await;
    }
    let mut states = sip.registrations();
    let settled = states.wait_for(|states| {
        let done = |state: &RegistrationState| {
            !matches!(state, RegistrationState::Registering | RegistrationState::Unregistered)
        };
        states.len() == expected && states.values().all(done)
    });
    // Whatever is not settled by then is told as it is.
    let _ = timeout(REGISTRAR, settled).await.is_ok();
    let states: HashMap<AccountId, RegistrationState> = states.borrow().clone();
    for (id, account) in (0..).map(AccountId).zip(&config.account) {
        let result = match states.get(&id) {
            Some(RegistrationState::Registered { .. }) => Ok(format!("registered at {}", account.registrar.host)),
            Some(RegistrationState::Static { trunk }) => Ok(format!("expects calls from {trunk}")),
            Some(RegistrationState::Failed { reason, .. }) => Err(reason.to_string()),
            _ => {
                Err(format!("{} does not answer: check registrar, transport and the firewall", account.registrar.host))
            }
        };
        report.line(format!("account {}", account.name), result);
    }
}
