//! The task that owns one [`Call`]: its RTP socket, its engines' results and its deadlines in one select.

mod engines;
mod notify;
mod sessions;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local};
use metrics::histogram;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet, spawn_blocking};
use tokio::time::sleep_until;
use tracing::Instrument;

use super::call::{Call, CallSetup, Encryption, MediaAddress, StreamStart};
use super::keys::Dtmf;
use super::{CallConfig, EndedBy, Expects, Input, Output, PartId, Script, Service, TurnRecord};
use crate::clock;
use crate::engine::dialog::{Conversation, Dialog, DialogEvent};
use crate::engine::end_of_turn::EndOfTurn;
use crate::engine::metrics::{DIALOG_WASTED, TTS_WASTED_AUDIO};
use crate::engine::stt::{Seat, Stt};
use crate::engine::tts::{BackgroundHold, Tts, VoiceOrder};
use crate::engine::vad::Silero;
use crate::engine::{Cancel, Language, TurnId};
use crate::log::{CallLog, CallRecord, Desk, Direction, LogItem, LogWriter, Status};
use crate::net::media::{Media, next_beat};
use crate::net::outside::{Outside, Place};
use crate::net::ports::{MediaSockets, PortPool};
use crate::net::sip::{NewCall, SipHandle};
use crate::rtp::codec::Codec;
use crate::rtp::dtls::Certificate;
use crate::rtp::rtcp::RtcpStart;
use crate::rtp::{Frame, Protection, Rate};
use crate::sip::{AccountId, CallKey, CallOut, Command, Incoming, SessionEvent, Transport};
use engines::PartJob;
pub use notify::Notify;
use sessions::{Sessions, Side};

/// Results of engines that wait for the call.
const QUEUE: usize = 64;
/// Sentences of a reply that wait to be passed on.
const REPLY_QUEUE: usize = 16;
/// The longest report that is read whole; Ethernet's 1,500.
const MAX_REPORT_BYTES: usize = 1_500;
/// What the log shows of a Call-ID, which the peer chooses.
const MAX_CALL_ID_CHARS: usize = 64;
/// Sound goes to the call log in pieces of so many frames: 400 ms.
const LOG_FRAMES: usize = 20;

/// What all calls share.
pub struct Office {
    pub script: Arc<Script>,
    pub stt: Stt,
    pub tts: Tts,
    pub vad: Silero,
    pub end_of_turn: EndOfTurn,
    pub dialog: Dialog,
    pub ports: PortPool,
    pub sip: SipHandle,
    pub log_dir: PathBuf,
    /// Has the files there written.
    pub desk: Desk,
    /// The accounts, in the order of their ids.
    pub accounts: Vec<Line>,
    /// Calls that come over none of them.
    pub direct: Line,
    /// Whom we may be transferred to.
    pub call_out: CallOut,
    /// Of handshakes for the keys of sound.
    pub certificate: Certificate,
    /// Who is told of messages.
    pub notify: Option<Notify>,
}

impl Office {
    fn line(&self, account: Option<AccountId>) -> &Line {
        account.and_then(|id| self.accounts.get(usize::from(id.0))).unwrap_or(&self.direct)
    }
}

/// What is peculiar to the calls of one account.
#[derive(Debug, Clone)]
pub struct Line {
    /// `None`: it is no account.
    pub name: Option<String>,
    /// How she talks with its callers.
    pub talk: Arc<CallConfig>,
    /// In which voices.
    pub voices: VoiceOrder,
    /// How long it rings before she answers.
    pub answer_after: Duration,
    /// What is spoken, the favourite first; not empty.
    pub codecs: Vec<Codec>,
    /// Where pressed keys are taken from.
    pub dtmf: Dtmf,
    /// Whether the sound is encrypted.
    pub encryption: Encryption,
    /// How those outside reach its sound.
    pub outside: Outside,
}

impl Line {
    /// Where `peer`, who knows us as `ours`, is to send to these sockets; within a second.
    async fn media_address(&self, sockets: &MediaSockets, ours: IpAddr, peer: IpAddr) -> MediaAddress {
        let Place { address, port, rtcp_port } = self.outside.place(sockets, ours, peer).await;
        MediaAddress { address, port, rtcp_port }
    }
}

/// Whether the program goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    Yes,
    /// Calls end now.
    Stopping,
}

/// What arrives from the engines.
enum Arrival {
    Input(Input),
    /// A reply is whole; the conversation as it is after it.
    Replied {
        turn: TurnId,
        conversation: Box<Conversation>,
    },
}

/// Answers a call and holds it to its end. Without a seat at the recognisers the caller can leave a message.
pub async fn run(office: Arc<Office>, new_call: NewCall, seat: Option<Seat>, mut running: watch::Receiver<Running>) {
    let NewCall { key, incoming, mut events } = new_call;
    let call_id: String = incoming.sip_call_id.chars().take(MAX_CALL_ID_CHARS).collect();
    let span = tracing::info_span!("call", call.id = call_id);
    async {
        tracing::debug!(caller = %incoming.caller.uri, called = incoming.parties.called, "incoming call");
        if !ring(&office, key, &incoming, &mut events, &mut running).await {
            return;
        }
        match Driver::answer(Arc::clone(&office), key, incoming, seat).await {
            // The buffers of a whole call are too much for the stack.
            Ok(driver) => Box::pin(driver.run(events, running)).await,
            Err(Refusal { status, why }) => {
                tracing::warn!(status, why, "a call was refused");
                office.sip.command(Command::Reject { call: key, status, retry_after: None }).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// Lets it ring for the time that the line has. Tells whether she is to answer then.
async fn ring(
    office: &Office,
    call: CallKey,
    incoming: &Incoming,
    events: &mut mpsc::Receiver<(CallKey, SessionEvent)>,
    running: &mut watch::Receiver<Running>,
) -> bool {
    let answer_after = office.line(incoming.account).answer_after;
    if answer_after.is_zero() {
        return true;
    }
    office.sip.command(Command::Ring { call }).await;
    let answer_at = clock::now() + answer_after;
    loop {
        tokio::select! {
            () = sleep_until(answer_at.into()) => return true,
            event = events.recv() => match event {
                Some((_, SessionEvent::Ended { cause })) => {
                    match EndedBy::from(&cause) {
                        EndedBy::Elsewhere => tracing::info!("somebody else has answered"),
                        by => tracing::info!(ended.by = ?by, "the call was over before she answered"),
                    }
                    return false;
                }
                Some(_) => {}
                None => return false,
            },
            changed = running.changed() => {
                if changed.is_err() || *running.borrow() == Running::Stopping {
                    office.sip.command(Command::Reject { call, status: 480, retry_after: None }).await;
                    return false;
                }
            }
        }
    }
}

/// Why a call cannot be answered.
struct Refusal {
    status: u16,
    why: String,
}

impl Refusal {
    fn new(status: u16, why: impl ToString) -> Self {
        Self { status, why: why.to_string() }
    }
}

struct Driver {
    office: Arc<Office>,
    service: Service,
    /// Until the call is over.
    seat: Option<Seat>,
    sessions: Sessions,
    call: Box<Call>,
    media: Media,
    /// What the call log calls the caller's number, and who is told of a message.
    caller_number: Option<String>,
    dtmf: Dtmf,
    voices: VoiceOrder,
    arrivals: mpsc::Sender<Arrival>,
    arrivals_rx: Option<mpsc::Receiver<Arrival>>,
    /// What is being transcribed, and judged.
    parts: HashMap<PartId, Cancel>,
    background: VecDeque<PartJob>,
    /// The queue was full for one of those.
    try_again_at: Option<Instant>,
    judgements: HashMap<PartId, Cancel>,
    phrases: Cancel,
    /// While she owes an answer.
    background_hold: Option<BackgroundHold>,
    /// The last words may still be on their way then.
    ended_at: Option<DateTime<Local>>,
    conversation: Conversation,
    /// The conversation after the reply that is being said, until it is known how much of it was heard.
    after_reply: Option<Box<Conversation>>,
    asked: Option<Asked>,
    replies: JoinSet<()>,
    log: Option<LogWriter>,
    received: Vec<i16>,
    sent: Vec<i16>,
}

/// The reply that is being made or said.
struct Asked {
    turn: TurnId,
    text: String,
    task: AbortHandle,
    at: Instant,
    /// What it took, once it is whole.
    took: Option<Duration>,
}

impl Driver {
    async fn answer(
        office: Arc<Office>,
        key: CallKey,
        incoming: Box<Incoming>,
        mut seat: Option<Seat>,
    ) -> Result<Self, Refusal> {
        let service = if seat.is_some() { Service::Conversation } else { Service::Message };
        let line = office.line(incoming.account);
        let (dtmf, voices) = (line.dtmf, line.voices.clone());
        let sockets = office.ports.bind(incoming.our_address).map_err(|e| Refusal::new(503, e))?;
        let media = line.media_address(&sockets, incoming.our_address, incoming.flow.remote.ip()).await;
        // It loads a model: 40 ms.
        let silero = office.vad.clone();
        let vad = spawn_blocking(move || silero.start()).await.map_err(|e| Refusal::new(500, e))?;
        let vad = vad.map_err(|e| Refusal::new(500, e))?;
        let setup = CallSetup {
            service,
            config: Arc::clone(&line.talk),
            script: Arc::clone(&office.script),
            vad,
            media,
            codecs: line.codecs.clone(),
            dtmf,
            encryption: line.encryption,
            certificate: office.certificate.clone(),
            start: stream_start(),
        };
        let (call, sdp) =
            Call::answer(next_beat(), setup, incoming.offer.as_deref()).map_err(|e| Refusal::new(488, e))?;
        let codec = call.media().map(|media| media.codec.name().to_owned());
        let media = Media::new(sockets, clock::now()).map_err(|e| Refusal::new(500, e))?;
        if let Some(media) = call.media() {
            announce(&media.protection, incoming.flow.transport);
        }
        let log = open_log(&office, &incoming, codec, call.rate()).await;
        office.sip.command(Command::Answer { call: key, sdp }).await;
        seat.iter_mut().for_each(Seat::talks);
        let (arrivals, arrivals_rx) = mpsc::channel(QUEUE);
        let language = office.line(incoming.account).talk.languages.first().copied().unwrap_or(Language::Ru);
        Ok(Self {
            office,
            service,
            seat,
            sessions: Sessions::new(key, Side::of(&incoming)),
            call: Box::new(call),
            media,
            caller_number: incoming.parties.caller_number.clone(),
            dtmf,
            voices,
            arrivals,
            arrivals_rx: Some(arrivals_rx),
            parts: HashMap::new(),
            background: VecDeque::new(),
            try_again_at: None,
            judgements: HashMap::new(),
            phrases: Cancel::default(),
            background_hold: None,
            ended_at: None,
            conversation: Conversation::new(language, incoming.parties.caller_number),
            after_reply: None,
            asked: None,
            replies: JoinSet::new(),
            log,
            received: Vec::new(),
            sent: Vec::new(),
        })
    }

    async fn run(mut self, mut events: mpsc::Receiver<(CallKey, SessionEvent)>, mut running: watch::Receiver<Running>) {
        let Some(mut arrivals) = self.arrivals_rx.take() else { return };
        let mut report = [0; MAX_REPORT_BYTES];
        let by = loop {
            if let Some(by) = self.drain().await {
                break by;
            }
            self.background_hold = self
                .call
                .owes_an_answer()
                .then(|| self.background_hold.take().unwrap_or_else(|| self.office.tts.hold_background()));
            if self.call.is_over() {
                self.ended_at.get_or_insert_with(clock::time_of_day);
                self.seat = None;
            }
            let Some(wake) = self.call.poll_timeout() else { break EndedBy::Failure };
            let wake = [self.sessions.poll_timeout(), self.try_again_at].into_iter().flatten().fold(wake, Instant::min);
            tokio::select! {
                received = self.media.report(&mut report) => match received {
                    Ok((length, from)) => {
                        self.call.handle_report(clock::now(), from, report.get(..length).unwrap_or_default());
                    }
                    Err(error) => tracing::trace!(%error, "RTCP receive failed"),
                },
                Some((key, event)) = events.recv() => self.session_event(key, event).await,
                Some(arrival) = arrivals.recv() => self.arrived(arrival),
                Some(ended) = self.replies.join_next() => self.reply_ended(ended),
                changed = running.changed() => {
                    if changed.is_err() || *running.borrow() == Running::Stopping {
                        self.call.handle_input(clock::now(), Input::HangUp(EndedBy::Shutdown));
                    }
                }
                () = sleep_until(wake.into()) => {
                    let now = clock::now();
                    self.media.receive(now, |at, from, bytes| self.call.handle_datagram(at, from, bytes));
                    self.call.handle_timeout(now);
                    self.transcribe_background();
                    self.leave_when_due().await;
                }
            }
        };
        self.finish(by).await;
    }

    fn arrived(&mut self, arrival: Arrival) {
        let now = clock::now();
        match arrival {
            Arrival::Input(input) => {
                // What is done can no longer be cancelled.
                match &input {
                    Input::Heard { part, .. } => drop(self.parts.remove(part)),
                    Input::Judged { part, .. } => drop(self.judgements.remove(part)),
                    _ => {}
                }
                self.call.handle_input(now, input);
                self.transcribe_background();
            }
            Arrival::Replied { turn, conversation } => {
                // The reply of a turn that is over is no part of the conversation.
                if let Some(asked) = self.asked.as_mut().filter(|asked| asked.turn == turn) {
                    asked.took = Some(now.saturating_duration_since(asked.at));
                    let expects = conversation.expects();
                    self.after_reply = Some(conversation);
                    self.call.handle_input(now, Input::Replied { turn, expects });
                }
            }
        }
    }

    /// A reply that broke down has said all that it ever will.
    fn reply_ended(&mut self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && !error.is_cancelled()
        {
            tracing::error!(%error, "a reply failed");
            if let Some(asked) = &self.asked {
                let replied = Input::Replied { turn: asked.turn, expects: Expects::Anything };
                self.call.handle_input(clock::now(), replied);
            }
        }
    }

    /// Carries out what the call wants; tells when it is over.
    async fn drain(&mut self) -> Option<EndedBy> {
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::Transmit { to, datagram } => self.media.send(&datagram, to),
                Output::TransmitRtcp { to, datagram } => self.media.send_report(&datagram, to),
                Output::AnswerOffer { sdp } => {
                    self.office.sip.command(Command::AnswerOffer { call: self.sessions.current, sdp }).await;
                }
                Output::RejectOffer => {
                    self.office.sip.command(Command::RejectOffer { call: self.sessions.current }).await;
                }
                Output::Offer { sdp } => {
                    self.office.sip.command(Command::Offer { call: self.sessions.current, sdp }).await;
                }
                Output::HangUp => self.office.sip.command(Command::Hangup { call: self.sessions.current }).await,
                Output::Transcribe { part, pcm, languages, priority, due } => {
                    self.transcribe(PartJob { part, pcm, languages, priority, due });
                }
                Output::Judge { part, pcm } => self.judge(part, pcm),
                Output::CancelPart { part } => {
                    for cancel in [self.parts.remove(&part), self.judgements.remove(&part)].into_iter().flatten() {
                        cancel.cancel();
                    }
                    self.background.retain(|job| job.part != part);
                }
                Output::Reply { turn, text, language } => self.reply(turn, text, language),
                Output::CancelReply { turn, heard } => self.cancel_reply(turn, heard),
                Output::Speak { phrase, text, language } => self.speak(phrase, text, language),
                Output::Silence => {
                    self.phrases.cancel();
                    self.phrases = Cancel::default();
                }
                Output::Record { received, sent } => self.record(&received, &sent),
                Output::Gap { ticks } => {
                    self.flush_sound();
                    if let Some(log) = &mut self.log {
                        log.item(LogItem::Gap { samples: u64::from(ticks) * self.call.rate().frame_samples() as u64 });
                    }
                }
                Output::Turn(turn) => self.turn(turn),
                Output::Ended { by } => return Some(by),
            }
        }
        None
    }

    fn reply(&mut self, turn: TurnId, text: String, language: Language) {
        let dialog = self.office.dialog.clone();
        let conversation = self.conversation.clone();
        let arrivals = self.arrivals.clone();
        let said = text.clone();
        let task = self.replies.spawn(
            async move {
                let (sentences, mut events) = mpsc::channel(REPLY_QUEUE);
                let pass_on = async {
                    while let Some(event) = events.recv().await {
                        let input = match event {
                            DialogEvent::Sentence(text) => Input::Sentence { turn, text },
                            DialogEvent::HangUp => Input::WantsHangUp { turn },
                        };
                        // The call may be over.
                        let _ = arrivals.send(Arrival::Input(input)).await;
                    }
                };
                let (conversation, ()) = tokio::join!(dialog.reply(conversation, said, language, sentences), pass_on);
                let _ = arrivals.send(Arrival::Replied { turn, conversation: Box::new(conversation) }).await;
            }
            .in_current_span(),
        );
        self.asked = Some(Asked { turn, text, task, at: clock::now(), took: None });
    }

    fn cancel_reply(&mut self, turn: TurnId, heard: Option<String>) {
        let Some(asked) = self.asked.take_if(|asked| asked.turn == turn) else { return };
        asked.task.abort();
        match (heard, self.after_reply.take()) {
            (Some(heard), Some(mut conversation)) => {
                conversation.cut_last(&heard);
                self.commit(*conversation);
            }
            (Some(heard), None) => self.conversation.interrupted(&asked.text, &heard),
            // None of it was heard: as if it had not been asked for.
            (None, _) => {
                let took = asked.took.unwrap_or_else(|| clock::now().saturating_duration_since(asked.at));
                histogram!(DIALOG_WASTED).record(took);
            }
        }
    }

    fn commit(&mut self, conversation: Conversation) {
        if conversation.message() != self.conversation.message()
            && let (Some(message), Some(log)) = (conversation.message(), &mut self.log)
        {
            log.item(LogItem::Message(message.clone().into()));
        }
        self.conversation = conversation;
    }

    fn record(&mut self, received: &Frame, sent: &Frame) {
        self.received.extend_from_slice(received);
        self.sent.extend_from_slice(sent);
        if self.received.len() >= LOG_FRAMES * received.len() {
            self.flush_sound();
        }
    }

    fn flush_sound(&mut self) {
        let rate = self.call.rate();
        let empty = || Vec::with_capacity(LOG_FRAMES * rate.frame_samples());
        let (received, sent) =
            (std::mem::replace(&mut self.received, empty()), std::mem::replace(&mut self.sent, empty()));
        if let Some(log) = &mut self.log {
            log.audio(received, sent);
        }
    }

    fn turn(&mut self, turn: TurnRecord) {
        let latency = turn.latency;
        tracing::info!(
            turn.id = turn.number,
            language = %turn.language,
            answer_to_first_audio_ms = latency.answer_to_first_audio_ms,
            end = ?turn.turn_end,
            speech_end_to_text_ms = latency.speech_end_to_text_ms,
            speech_end_to_first_audio_ms = latency.speech_end_to_first_audio_ms,
            "turn over"
        );
        match self.after_reply.take() {
            Some(conversation) => self.commit(*conversation),
            // What she said of her own accord: the greeting, a prompt.
            None if turn.caller_text.is_empty() => self.conversation.say(&turn.heard_text),
            // Nothing that a machine says is a message.
            None if turn.machine.is_some() => {}
            None if self.service == Service::Message => {
                let taken = self.office.dialog.take_down(self.conversation.clone(), &turn.caller_text, turn.language);
                self.commit(taken);
            }
            // He hung up before an answer: what he told is a message all the same.
            None if turn.secretary_text.is_empty() => {
                let heard = self.office.dialog.overhear(self.conversation.clone(), &turn.caller_text, turn.language);
                self.commit(heard);
            }
            None => {}
        }
        self.asked = None;
        if let Some(log) = &mut self.log {
            log.item(LogItem::Turn(turn.into()));
        }
    }

    async fn finish(mut self, by: EndedBy) {
        // The line is free for the next one before the files of this call are closed.
        self.seat = None;
        self.phrases.cancel();
        self.background_hold = None;
        for cancel in self.parts.values().chain(self.judgements.values()) {
            cancel.cancel();
        }
        self.replies.shutdown().await;
        self.leave_others().await;
        self.flush_sound();
        let (stats, quality) = (self.call.stream_stats(), self.call.quality());
        tracing::info!(
            ended.by = ?by,
            rtp.received = quality.received,
            rtp.lost = quality.lost,
            rtp.late = quality.late,
            rtp.jitter_ms = quality.jitter_ms,
            rtp.round_trip_ms = quality.round_trip_ms,
            rtp.mos = quality.mos,
            rtp.sent_mos = quality.sent.map(|sent| sent.mos),
            rtp.sent = stats.sent,
            rtp.skipped_ticks = stats.skipped_ticks,
            rtp.strangers = stats.strangers,
            rtp.latch_changes = stats.latch_changes,
            rtp.unexpected_payload = stats.unexpected_payload,
            rtp.encrypted = self.call.media().is_some_and(|media| media.protection.is_encrypted()),
            srtp.forged = stats.forged,
            srtp.replayed = stats.replayed,
            ice.checks = stats.checks,
            ice.refused = stats.refused_checks,
            "call over"
        );
        histogram!(TTS_WASTED_AUDIO).record(self.call.unheard_sound());
        if let Some(log) = &mut self.log {
            log.item(LogItem::Quality(quality));
        }
        let at = self.ended_at.unwrap_or_else(clock::time_of_day);
        self.notify(by, at).await;
        if let Some(log) = self.log.take() {
            log.finish(by, at).await;
        }
    }
}

/// How a call is encrypted is told where it can be doubted.
fn announce(protection: &Protection, signalling: Transport) {
    match protection {
        Protection::Sdes(_) if signalling != Transport::Tls => {
            tracing::info!(
                transport = ?signalling,
                "encrypted sound (SRTP), whose keys came in readable signalling: whoever reads that can listen; use TLS"
            );
        }
        Protection::Sdes(_) | Protection::Dtls(_) => tracing::debug!("encrypted sound (SRTP)"),
        Protection::Plain | Protection::Awaited => {}
    }
}

fn stream_start() -> StreamStart {
    let mut rng = rand::rng();
    // An SDP session id fits in 63 bits for the sake of those who read it signed.
    StreamStart {
        ssrc: rng.random(),
        // RFC 3711 §3.3.1: if the first packets are lost, the other side must not be a rollover behind.
        seq: rng.random::<u16>() >> 1,
        timestamp: rng.random(),
        sdp_session: rng.random::<u64>() >> 1,
        rtcp: RtcpStart { ntp: clock::ntp(), seed: rng.random() },
        secret: rng.random(),
    }
}

/// A call that cannot be logged is answered all the same, and it is an alarm.
async fn open_log(office: &Office, incoming: &Incoming, codec: Option<String>, rate: Rate) -> Option<LogWriter> {
    let record = CallRecord {
        status: Status::InProgress,
        direction: Direction::Incoming,
        caller: incoming.caller.uri.to_string(),
        caller_number: incoming.parties.caller_number.clone(),
        caller_name: incoming.parties.caller_name.clone(),
        callee: incoming.callee.to_string(),
        called: incoming.parties.called.clone(),
        diverted_from: incoming.parties.diverted_from.clone(),
        account: office.line(incoming.account).name.clone(),
        sip_call_id: incoming.sip_call_id.clone(),
        codec,
        started_at: clock::time_of_day(),
        ended_at: None,
        ended_by: None,
        recorded_s: 0.0,
        lost_samples: 0,
        message: None,
        notified: None,
        moved_to: Vec::new(),
        quality: None,
        turns: Vec::new(),
    };
    let dir = office.log_dir.clone();
    match spawn_blocking(move || CallLog::create(&dir, record, rate.hz())).await {
        Ok(Ok(log)) => Some(office.desk.open(log)),
        Ok(Err(error)) => {
            tracing::error!(dir = %office.log_dir.display(), %error, "this call is not recorded: the call log cannot be written");
            None
        }
        Err(error) => {
            tracing::error!(%error, "this call is not recorded");
            None
        }
    }
}
