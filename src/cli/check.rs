//! `secretary check`: what can be used, and what to do about the rest.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ConfigArg, certificate, say};
use crate::app;
use crate::clock;
use crate::config::{AccountConfig, Config, Registrar, Secrets, SipConfig, TlsConfig};
use crate::engine::Language;
use crate::engine::end_of_turn::EndOfTurn;
use crate::engine::onnx::OnnxRuntime;
use crate::engine::stt::Stt;
use crate::engine::tts::{Tts, VoiceOrder};
use crate::engine::vad::Silero;
use crate::net::listen::{Listen, TlsSettings};
use crate::net::outside::Outside;
use crate::net::ports::PortPool;
use crate::net::resolve;
use crate::net::sip::{self, SipHandle};
use crate::sip::{AccountId, Command, Endpoint, RegistrationState, Transport};

/// At which voices are tried, in Hz.
const RATE_HZ: u32 = 8_000;
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
        let end_of_turn = EndOfTurn::start(&config.end_of_turn, runtime);
        report.line("end of turn", end_of_turn.map(|_| config.end_of_turn.model.display().to_string()));
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
            None => report.line(what, Ok::<_, String>(voice.ability.to_string())),
            Some(problem) => report.note(what, format!("not used: {problem}")),
        }
    }
    for language in &config.languages {
        let text = match language {
            Language::Ru => "Проверка.",
            Language::En => "This is a test.",
        };
        let spoken = app::speak(&tts, text.to_owned(), *language, RATE_HZ, &VoiceOrder::default()).await;
        let seconds = spoken.map(|pcm| format!("{:.1} s of sound", pcm.len() as f64 / f64::from(RATE_HZ)));
        report.line(format!("speaking {language}"), seconds.map_err(|error| format!("{error:#}")));
    }
    if let Err(error) = spawn_blocking(move || tts.shutdown()).await {
        report.line("voices", Err::<String, _>(error));
    }
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
    for address in &config.sip.bind {
        let rtp = PortPool::new(&config.sip.bind, config.rtp.port_min, config.rtp.port_max).bind(*address);
        let ports = format!("{} to {}", config.rtp.port_min, config.rtp.port_max);
        report.line(format!("RTP ports at {address}"), rtp.map(|_| ports));
    }
    check_outside(report, config).await;
    let before = report.problems;
    check_certificates(report, &config.sip.tls);
    check_call_out(report, config);
    if report.problems > before {
        return report.note("SIP and accounts", "not tried: mend the TLS files first");
    }
    let endpoint = || config.endpoint(app::USER_AGENT, secrets);
    let endpoint = match (endpoint(), endpoint()) {
        (Ok(first), Ok(second)) => [first, second].map(|config| Endpoint::new(config, rand::random())),
        (Err(error), _) | (_, Err(error)) => return report.line("SIP", Err::<String, _>(error)),
    };
    let [first, second] = endpoint;
    let listen = Listen::from(&config.sip);
    let started = match sip::start(listen.clone(), first).await {
        Ok(started) => {
            report.line("SIP port", Ok::<_, String>(places(config)));
            started
        }
        Err(error) => {
            report.line("SIP port", Err::<String, _>(error));
            if !config.account.is_empty() {
                let how = "tried from another port; a running secretary registers again within its next refresh";
                report.note("accounts", how);
            }
            let tls = listen.tls.clone().map(|tls| TlsSettings { port: 0, ..tls });
            match sip::start(Listen { port: 0, tls, ..listen }, second).await {
                Ok(started) => started,
                Err(error) => return report.line("SIP", Err::<String, _>(error)),
            }
        }
    };
    let (sip, _calls, task) = started;
    check_accounts(report, config, secrets, &sip).await;
    sip.stop(sip::AT_LEISURE).await;
    if let Err(error) = task.await {
        report.line("SIP", Err::<String, _>(error));
    }
}

/// Where we listen.
fn places(config: &Config) -> String {
    let SipConfig { bind, port, tls, public_address, .. } = &config.sip;
    let mut places: Vec<String> = bind.iter().map(|a| format!("{} UDP and TCP", SocketAddr::new(*a, *port))).collect();
    if tls.certificate.is_some() {
        places.push(format!("TLS on {}", tls.port));
    }
    places.extend(public_address.map(|public| format!("seen as {public}")));
    places.join(", ")
}

/// Where the sound of calls is sent to, by what SDP says.
async fn check_outside(report: &mut Report, config: &Config) {
    let ports = PortPool::new(&config.sip.bind, config.rtp.port_min, config.rtp.port_max);
    let Some(ours) = config.sip.bind.first() else { return };
    let direct = config.sip.outside();
    let of_account =
        |account: &AccountConfig| (account.name.clone(), account.outside().unwrap_or_else(|| direct.clone()));
    let accounts: Vec<_> = config.account.iter().map(of_account).collect();
    for (name, outside) in [("direct calls".to_owned(), direct)].into_iter().chain(accounts) {
        let what = format!("sound of {name}");
        let others = "from private networks to our own address";
        match outside {
            Outside::Same => {
                report.note(
                    what,
                    "comes to our own address, or as a registrar sees it; behind NAT set public_address or stun_server",
                );
            }
            Outside::Public(public) => report.note(what, format!("comes to {public}, {others}")),
            Outside::Stun(server) => {
                let seen_as = server.refresh(&ports, *ours).await;
                let told = seen_as.map(|at| format!("comes to {}, as {server} sees us, {others}", at.ip()));
                report
                    .line(what, told.map_err(|error| format!("{server}: {error}: check stun_server and the firewall")));
            }
        }
    }
}

fn check_certificates(report: &mut Report, tls: &TlsConfig) {
    let now = clock::time_of_day().to_utc();
    for (key, file) in [("certificate", &tls.certificate), ("client_ca", &tls.client_ca), ("ca", &tls.ca)] {
        if let Some(path) = file {
            let described = certificate::describe(path, now).map_err(|error| format!("{error:#}"));
            report.line(format!("TLS {key}"), described);
        }
    }
    if let Some(path) = &tls.key {
        let key = PrivateKeyDer::from_pem_file(path);
        let what_to_do = |error| format!("{}: no private key without a password in PEM: {error}", path.display());
        report.line("TLS key", key.map(|_| path.display().to_string()).map_err(what_to_do));
    }
    if !tls.verify {
        report.note("TLS", "verify = false: whoever sits between us and a server can read passwords and calls");
    }
}

fn check_call_out(report: &Report, config: &Config) {
    match config.sip.call_out.as_slice() {
        [] => report.note("calls out", "nobody: set [sip] call_out to let calls be sent on"),
        patterns => report.note("calls out", patterns.join(", ")),
    }
    if let Some(owner) = config.message.address(&config.account) {
        let through = config.message.account.as_ref().map_or(String::new(), |account| format!(" through {account}"));
        report.note("messages", format!("are sent to {owner}{through}"));
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
    let registering = accounts.iter().filter(|account| account.expires.is_some());
    let expected: Vec<AccountId> = registering.map(|account| account.id).collect();
    for account in accounts {
        sip.command(Command::Register(account)).await;
    }
    let mut states = sip.registrations();
    let settled = states.wait_for(|states| {
        let done = |id: &AccountId| {
            matches!(states.get(id), Some(RegistrationState::Registered { .. } | RegistrationState::Failed { .. }))
        };
        expected.iter().all(done)
    });
    // Whatever is not settled by then is told as it is.
    let _ = timeout(REGISTRAR, settled).await.is_ok();
    let states: HashMap<AccountId, RegistrationState> = states.borrow().clone();
    for (id, account) in (0..).map(AccountId).zip(&config.account) {
        if !account.register {
            report.line(format!("trunk {}", account.name), reach(sip, account).await);
            if !account.access.is_empty() {
                let access: Vec<String> = account.access.iter().map(ToString::to_string).collect();
                report.note(
                    format!("trunk {}", account.name),
                    format!("its calls may also come from {}", access.join(", ")),
                );
            }
            continue;
        }
        let result = match states.get(&id) {
            Some(RegistrationState::Registered { registrar, seen_as, .. }) => {
                Ok(registered(config.sip.public_address, *registrar, *seen_as))
            }
            Some(RegistrationState::Failed { reason, .. }) => Err(reason.to_string()),
            _ => {
                Err(format!("{} does not answer: check registrar, transport and the firewall", account.registrar.host))
            }
        };
        report.line(format!("account {}", account.name), result);
    }
}

fn registered(public: Option<IpAddr>, registrar: SocketAddr, seen_as: SocketAddr) -> String {
    let seen = match public {
        Some(public) if public.is_ipv4() == seen_as.is_ipv4() && public != seen_as.ip() => {
            format!("{seen_as}, though public_address is {public}")
        }
        _ => seen_as.to_string(),
    };
    format!("registered at {registrar}, which sees us as {seen}")
}

/// Whether a trunk by address is there. Over UDP only a call can tell more than that its name has an address.
async fn reach(sip: &SipHandle, account: &AccountConfig) -> Result<String, String> {
    let Registrar { host, port } = &account.registrar;
    let flows = resolve::flows(host, *port, account.transport, sip.listen()).await;
    let flow = flows.map_err(|error| error.to_string())?.into_iter().next().ok_or("its name has no address")?;
    if flow.transport == Transport::Udp {
        return Ok(format!("calls are expected from {}; whether it takes ours only a call can show", flow.remote));
    }
    match timeout(REGISTRAR, TcpStream::connect(flow.remote)).await {
        Ok(Ok(_)) => Ok(format!("{} takes connections", flow.remote)),
        Ok(Err(error)) => Err(format!("{}: {error}: check registrar and transport", flow.remote)),
        Err(_) => Err(format!("{} does not answer: check registrar and the firewall", flow.remote)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrar_that_sees_another_address_than_the_public_one_is_told() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (registrar, seen) = (address("192.0.2.1:5060"), address("198.51.100.7:5060"));
        assert_eq!(
            registered(None, registrar, seen),
            "registered at 192.0.2.1:5060, which sees us as 198.51.100.7:5060"
        );
        let told = registered(Some([203, 0, 113, 5].into()), registrar, seen);
        assert!(told.ends_with("though public_address is 203.0.113.5"), "{told}");
        assert_eq!(registered(Some(seen.ip()), registrar, seen), registered(None, registrar, seen));
    }
}
