//! The composition root: engines, sockets, calls, and their end.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::call::driver::{self, Line, Notify, Office, Running};
use crate::call::keys::Dtmf;
use crate::call::{CallConfig, Encryption, Script};
use crate::config::{AccountConfig, Config, Direct, Secrets};
use crate::engine::dialog::Dialog;
use crate::engine::end_of_turn::EndOfTurn;
use crate::engine::onnx::OnnxRuntime;
use crate::engine::stt::{Overload, Seat, Stt};
use crate::engine::tts::{SpeakJob, SpeechChunk, Tts, VoiceOrder};
use crate::engine::vad::Silero;
use crate::engine::worker::Priority;
use crate::engine::{Cancel, Language};
use crate::log::{Disk, recovery};
use crate::net::listen::Listen;
use crate::net::outside::Outside;
use crate::net::ports::PortPool;
use crate::net::resolve;
use crate::net::sip::{self, AT_LEISURE, AT_ONCE, NewCall, SipHandle};
use crate::rtp::Rate;
use crate::rtp::codec::Codec;
use crate::rtp::dtls::Certificate;
use crate::sip::sdp::{KeyExchange, Policy};
use crate::sip::{AccountId, Command, Endpoint, RegistrationFailure, RegistrationState, Transport, is_private};

pub const USER_AGENT: &str = concat!("secretary/", env!("CARGO_PKG_VERSION"));
/// The environment variable with the key of Gemini.
pub const GEMINI_KEY: &str = "GEMINI_API_KEY";
/// Clauses of a text that wait to be collected.
const SPEECH_QUEUE: usize = 16;
/// The longest wait for the engines' threads at the end.
const ENGINES: Duration = Duration::from_millis(30);
/// When a caller too many may try again: some call is over by then. He is told that the line is busy (486); 503 would
/// have a proxy keep away all calls for so long (RFC 3261 §21.5.4).
const CALL_AGAIN: Duration = Duration::from_secs(30);
/// The longest wait for calls to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);

/// The models and the dialog, loaded.
pub struct Engines {
    pub stt: Stt,
    pub tts: Tts,
    pub vad: Silero,
    pub end_of_turn: EndOfTurn,
    pub dialog: Dialog,
}

impl Engines {
    /// Loads everything; takes a second or two. Not for the async executor's threads.
    ///
    /// # Errors
    /// When a model is missing or is not what it should be.
    pub fn load(config: &Config, secrets: &Secrets) -> Result<Self> {
        let runtime = OnnxRuntime::load(&config.models.onnxruntime())?;
        Ok(Self {
            vad: Silero::load(&runtime, &config.models.vad())?,
            end_of_turn: EndOfTurn::start(&config.end_of_turn, &runtime)?,
            stt: Stt::start(&config.stt)?,
            tts: Tts::start(&config.tts, &runtime)?,
            dialog: dialog(config, secrets)?,
        })
    }

    fn shutdown(&self) {
        self.stt.shutdown();
        self.end_of_turn.shutdown();
        self.tts.shutdown();
    }
}

/// # Errors
/// When `[dialog]` or `[[faq]]` have what cannot be used.
pub fn dialog(config: &Config, secrets: &Secrets) -> Result<Dialog> {
    Ok(Dialog::new(config.dialog.clone(), config.front_desk(), secrets.get(GEMINI_KEY))?)
}

/// Answers calls until a signal.
///
/// # Errors
/// When it cannot begin: a model is missing, a port is taken, a password is not there.
pub async fn serve(config: Config, secrets: &Secrets) -> Result<()> {
    let accounts = config.accounts(secrets)?;
    let lock = lock_log(&config.log.dir)?;
    let disk = Disk::start(&config.log.dir).context("the call log's folder cannot be watched over")?;
    match recovery::recover(&config.log.dir) {
        Ok(0) => {}
        Ok(calls) => tracing::warn!(calls, "calls that were interrupted by the end of the program were mended"),
        Err(error) => tracing::error!(%error, "interrupted calls could not be looked for"),
    }
    let endpoint = config.endpoint(USER_AGENT, secrets)?;
    let call_out = endpoint.call_out.clone();
    let endpoint = Endpoint::new(endpoint, rand::random());
    let (sip, calls, sip_task) = sip::start(Listen::from(&config.sip), endpoint).await?;

    // A company that sends to our address knows nothing of our start: its calls that come while the models are loaded are
    // known for its own, and wait. A registrar is told when we are ready.
    let (trunks, extensions): (Vec<_>, Vec<_>) = accounts.into_iter().partition(|account| account.expires.is_none());
    for account in trunks {
        sip.command(Command::Register(account)).await;
    }
    println!("Loading the models …");
    let engines = {
        let (config, key) = (config.clone(), secrets.clone());
        spawn_blocking(move || Engines::load(&config, &key)).await??
    };
    let ports = PortPool::new(&config.sip.bind, config.rtp.port_min, config.rtp.port_max);
    let talk = CallConfig {
        ears: config.ears.clone(),
        turn: config.turn.clone(),
        languages: config.languages.clone(),
        media_timeout: Duration::from_secs(config.rtp.media_timeout_s.into()),
    };
    let direct = Line {
        name: None,
        talk: Arc::new(talk.clone()),
        voices: VoiceOrder::default(),
        answer_after: Duration::from_secs(config.sip.answer_after_s.into()),
        codecs: Codec::ALL.to_vec(),
        dtmf: Dtmf::default(),
        encryption: Encryption::default(),
        outside: config.sip.outside(),
    };
    let lines = config.account.iter().map(|account| line(account, &talk, &direct.outside, &engines.tts));
    let lines: Vec<Line> = lines.collect::<Result<_>>()?;
    let whose = lines.iter().zip(&config.account).filter(|(_, account)| account.outside().is_some());
    look_from_outside(whose.map(|(line, _)| line).chain([&direct]), &ports, &config).await;
    let office = Arc::new(Office {
        script: Arc::new(Script::from(&engines.dialog)),
        stt: engines.stt.clone(),
        tts: engines.tts.clone(),
        vad: engines.vad.clone(),
        end_of_turn: engines.end_of_turn.clone(),
        dialog: engines.dialog.clone(),
        ports,
        sip: sip.clone(),
        log_dir: config.log.dir.clone(),
        desk: disk.desk(),
        accounts: lines,
        direct,
        call_out,
        certificate: Certificate::generate()?,
        notify: notify(&config),
    });
    prepare_voice(&engines, &office).await?;
    for account in extensions {
        sip.command(Command::Register(account)).await;
    }
    announce(&config, &sip).await;
    let calls = answer_calls(&office, calls, &config).await?;
    // All at once: a tenth of a second after Ctrl-C nothing is left.
    let engines = spawn_blocking(move || engines.shutdown());
    let patience = calls.patience;
    calls.end().await;
    sip.stop(patience).await;
    sip_task.await.context("the SIP task failed")?;
    // A model in the middle of an utterance needs up to a second; nobody waits for it any more.
    if timeout(ENGINES, engines).await.is_err() {
        tracing::debug!("an engine was still at work");
    }
    // It may be waiting for a disk that hangs: the system ends it with the program.
    if timeout(ENGINES, spawn_blocking(move || disk.stop())).await.is_err() {
        tracing::debug!("the disk is still at work");
    }
    drop(lock);
    Ok(())
}

/// Asks each STUN server how it sees us, so that this is known before the first call, and an operator knows it too.
async fn look_from_outside<'l>(lines: impl Iterator<Item = &'l Line>, ports: &PortPool, config: &Config) {
    let Some(ours) = config.sip.bind.first() else { return };
    for line in lines {
        let Outside::Stun(server) = &line.outside else { continue };
        let account = line.name.as_deref().unwrap_or("[sip]");
        match server.refresh(ports, *ours).await {
            Ok(seen_as) => tracing::info!(account, stun.server = %server, %seen_as, "how we look from outside"),
            Err(error) => {
                tracing::warn!(account, stun.server = %server, %error, "how we look from outside is not known")
            }
        }
    }
}

fn line(account: &AccountConfig, talk: &CallConfig, outside: &Outside, tts: &Tts) -> Result<Line> {
    let languages = account.languages.clone().unwrap_or_else(|| talk.languages.clone());
    Ok(Line {
        name: Some(account.name.clone()),
        talk: Arc::new(CallConfig { languages, ..talk.clone() }),
        voices: tts.order(&account.voices)?,
        answer_after: Duration::from_secs(account.answer_after_s.into()),
        codecs: account.codecs.clone(),
        dtmf: account.dtmf,
        encryption: Encryption { policy: account.srtp, exchange: account.srtp_keys },
        outside: account.outside().unwrap_or_else(|| outside.clone()),
    })
}

fn notify(config: &Config) -> Option<Notify> {
    let account = config.message.account.as_ref();
    Some(Notify {
        account: account.and_then(|name| config.account(name)).map(|(id, _)| id),
        target: config.message.address(&config.account)?,
        language: config.languages.first().copied().unwrap_or(Language::Ru),
    })
}

/// Two programs that write to one call log would mend each other's calls.
fn lock_log(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make the call log's folder {}", dir.display()))?;
    let path = dir.join(".lock");
    let lock =
        File::create(&path).with_context(|| format!("cannot write to the call log's folder {}", dir.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another secretary writes to {}: stop it, or choose another [log] dir", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Synthesises the greeting before the first call, in each voice and at each rate that calls may have; the other fixed phrases
/// follow while calls come in.
///
/// # Errors
/// When no voice can say the greeting.
async fn prepare_voice(engines: &Engines, office: &Office) -> Result<()> {
    let (tts, rates) = (&engines.tts, rates(office));
    for (language, voices) in voices(tts, lines(office).map(|line| (line, line.talk.languages.get(..1)))) {
        for rate in &rates {
            speak(tts, engines.dialog.greet(language), language, rate.hz(), &voices).await?;
        }
    }
    let phrases = engines.dialog.fixed_phrases();
    for (language, voices) in voices(tts, lines(office).map(|line| (line, Some(&*line.talk.languages)))) {
        for (_, phrase) in phrases.iter().filter(|(of, _)| *of == language) {
            for rate in &rates {
                if let Err(error) = tts.prepare(phrase, language, rate.hz(), &voices) {
                    tracing::warn!(%error, "a fixed phrase is not prepared and will be spoken when it is needed");
                }
            }
        }
    }
    Ok(())
}

/// The voices that speak the languages of these lines, each once.
fn voices<'a>(
    tts: &Tts,
    lines: impl Iterator<Item = (&'a Line, Option<&'a [Language]>)>,
) -> Vec<(Language, VoiceOrder)> {
    let of = lines.flat_map(|(line, languages)| languages.unwrap_or_default().iter().map(|&l| (l, &line.voices)));
    let each = of.map(|(language, order)| ((language, tts.first(order, language)), (language, order.clone())));
    each.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn lines(office: &Office) -> impl Iterator<Item = &Line> {
    office.accounts.iter().chain([&office.direct])
}

/// What the codecs of all lines may come to; the rate that their favourites have first.
fn rates(office: &Office) -> Vec<Rate> {
    let mut rates = Vec::new();
    for codec in lines(office).flat_map(|line| &line.codecs) {
        if !rates.contains(&codec.rate()) {
            rates.push(codec.rate());
        }
    }
    rates
}

/// Speaks a text as a whole; mono samples at `rate_hz`.
///
/// # Errors
/// When no voice can say it.
pub async fn speak(tts: &Tts, text: String, language: Language, rate_hz: u32, voices: &VoiceOrder) -> Result<Vec<i16>> {
    let (chunks, mut spoken) = mpsc::channel(SPEECH_QUEUE);
    let (voices, cancel, priority) = (voices.clone(), Cancel::default(), Priority::Final);
    let job = SpeakJob { text, language, rate_hz, voices, cancel, priority };
    tts.speak(job, move |chunk| match chunks.blocking_send(chunk) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })?;
    let mut whole = Vec::new();
    while let Some(chunk) = spoken.recv().await {
        match chunk {
            SpeechChunk::Pcm(pcm) => whole.extend(pcm),
            SpeechChunk::Done => return Ok(whole),
            SpeechChunk::Failed(error) => return Err(error.into()),
        }
    }
    bail!("the voice's thread ended in the middle of a sentence")
}

/// Says that calls are answered, and how to make one.
async fn announce(config: &Config, sip: &SipHandle) {
    let listen = sip.listen();
    // An address of the documentation's (RFC 5737): the routing table tells which of ours faces the world.
    let outside = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5060));
    let address = match config.sip.public_address {
        Some(public) => public,
        None => resolve::local_address(listen, outside).await.unwrap_or(Ipv4Addr::LOCALHOST.into()),
    };
    let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let port = if listen.port() == resolve::SIP_PORT { String::new() } else { format!(":{}", listen.port()) };
    println!("The secretary answers.");
    let ways = if config.sip.tls.certificate.is_some() { "UDP, TCP or TLS" } else { "UDP or TCP" };
    match config.sip.direct_calls {
        Direct::Refused => {}
        Direct::Taken => {
            println!("  Call it:   sip:secretary@{address}{port}   (type this into Linphone; {ways})");
        }
        Direct::Challenged => {
            let names: Vec<&str> = config.sip.user.iter().map(|user| user.name.as_str()).collect();
            println!(
                "  Call it:   sip:secretary@{address}{port}   ({ways}; with the password of {})",
                names.join(", ")
            );
        }
    }
    for account in &config.account {
        let what = if account.register { "Extension:" } else { "Trunk:    " };
        println!("  {what} {} at {} ({})", account.username, account.registrar.host, account.name);
        let is_told = (account.srtp, account.srtp_keys) == (Policy::Required, KeyExchange::Sdes);
        if is_told && account.transport != Some(Transport::Tls) {
            tracing::warn!(
                account = account.name,
                "srtp = \"required\" with keys in SIP that anybody on the way can read: set transport = \"tls\""
            );
        }
    }
    let log = std::path::absolute(&config.log.dir).unwrap_or_else(|_| config.log.dir.clone());
    println!("  Call log:  {}", log.display());
    println!("  Stop:      Ctrl-C");
    tracing::info!(sip.listen = %listen, "ready");
}

/// The reason to stop.
enum Stop {
    Now,
    Drain,
}

/// The calls that go on.
struct Calls {
    tasks: JoinSet<()>,
    running: watch::Sender<Running>,
    /// How long the last answers of others are waited for.
    patience: Duration,
}

impl Calls {
    /// Ends every call and waits until its files are written.
    async fn end(mut self) {
        // Every call has a receiver of its own; without calls nobody listens.
        let _ = self.running.send(Running::Stopping);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Answers until a signal; tells which calls go on then.
async fn answer_calls(office: &Arc<Office>, mut new_calls: mpsc::Receiver<NewCall>, config: &Config) -> Result<Calls> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut registrations = office.sip.registrations();
    let (running, running_rx) = watch::channel(Running::Yes);
    let mut calls = JoinSet::new();
    let mut reported = HashMap::new();
    let stop = loop {
        tokio::select! {
            call = new_calls.recv() => match call {
                Some(call) => {
                    let overload = config.stt.overload;
                    let seat = seat_for_one_more(overload, &office.stt);
                    if seat.is_none() {
                        let load = office.stt.load();
                        tracing::warn!(calls = calls.len(), ?overload, waiting = load.waiting, speed = ?load.speed, "one caller too many for the recognition");
                    }
                    if seat.is_none() && overload == Overload::Busy {
                        let busy = Command::Reject { call: call.key, status: 486, retry_after: Some(CALL_AGAIN) };
                        office.sip.command(busy).await;
                    } else {
                        calls.spawn(driver::run(Arc::clone(office), call, seat, running_rx.clone()));
                    }
                }
                None => bail!("the SIP task ended"),
            },
            Some(ended) = calls.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a call's task failed");
                }
            }
            Ok(()) = registrations.changed() => report(config, &registrations.borrow_and_update(), &mut reported),
            _ = interrupt.recv() => break Stop::Now,
            _ = terminate.recv() => break Stop::Drain,
        }
    };
    let mut patience = AT_ONCE;
    if let Stop::Drain = stop {
        patience = AT_LEISURE;
        tracing::info!(calls = calls.len(), "stopping: calls may finish");
        office.sip.command(Command::Unregister).await;
        let drained = async {
            loop {
                tokio::select! {
                    Some(call) = new_calls.recv() => {
                        office.sip.command(Command::Reject { call: call.key, status: 503, retry_after: None }).await;
                    }
                    ended = calls.join_next() => if ended.is_none() { break },
                    _ = interrupt.recv() => {
                        patience = AT_ONCE;
                        break;
                    }
                }
            }
        };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(calls = calls.len(), "calls that went on are ended");
        }
    }
    Ok(Calls { tasks: calls, running, patience })
}

/// One more caller's seat at the recognisers, if he gets one.
fn seat_for_one_more(overload: Overload, stt: &Stt) -> Option<Seat> {
    match overload {
        Overload::Answer => Some(stt.seat()),
        Overload::Busy | Overload::Message => stt.seat_in_time(),
    }
}

/// What was last said of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Registered { registrar: SocketAddr, seen_as: SocketAddr },
    Trunk(SocketAddr),
    Failed(RegistrationFailure),
    Other,
}

impl From<&RegistrationState> for Said {
    fn from(state: &RegistrationState) -> Self {
        match state {
            RegistrationState::Registered { registrar, seen_as, .. } => {
                Said::Registered { registrar: *registrar, seen_as: *seen_as }
            }
            RegistrationState::Static { trunk } => Said::Trunk(*trunk),
            RegistrationState::Failed { reason, .. } => Said::Failed(reason.clone()),
            RegistrationState::Registering | RegistrationState::Unregistered => Said::Other,
        }
    }
}

/// Logs what became of the registrations, a change once.
fn report(config: &Config, states: &HashMap<AccountId, RegistrationState>, reported: &mut HashMap<AccountId, Said>) {
    for (id, state) in states {
        let said = Said::from(state);
        // Each refresh passes through it.
        if said == Said::Other && reported.contains_key(id) {
            continue;
        }
        let before = reported.insert(*id, said.clone());
        if before.as_ref() == Some(&said) {
            continue;
        }
        let account = config.account.get(usize::from(id.0)).map_or("?", |account| account.name.as_str());
        match (said, before) {
            (Said::Registered { registrar, seen_as }, Some(Said::Registered { registrar: left, .. }))
                if registrar != left =>
            {
                tracing::warn!(account, %registrar, %seen_as, %left, "registered at another server of this registrar");
            }
            (Said::Registered { registrar, seen_as }, _) => {
                tracing::info!(account, %registrar, %seen_as, "registered");
                if let Some(public) = config.sip.public_address
                    && public.is_ipv4() == seen_as.is_ipv4()
                    && public != seen_as.ip()
                    && !is_private(seen_as.ip())
                {
                    tracing::warn!(account, %public, %seen_as, "the registrar sees us at another address: mend [sip] public_address");
                }
            }
            (Said::Trunk(trunk), _) => tracing::info!(account, %trunk, "calls of this trunk are expected"),
            (Said::Failed(reason), _) => tracing::warn!(account, %reason, "not registered, trying again"),
            (Said::Other, _) => tracing::debug!(account, ?state, "registration"),
        }
    }
}
