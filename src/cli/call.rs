//! `secretary call`: a caller for tests and scripts, on the same SIP and RTP as the secretary herself.

mod turns;

use std::collections::VecDeque;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hound::{SampleFormat, WavSpec, WavWriter};
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::ConfigArg;
use super::wav::read_mono;
use crate::app::USER_AGENT;
use crate::call::keys::{Dtmf, Keys, Way};
use crate::clock;
use crate::config::{AccountConfig, Config, Secrets};
use crate::net::listen::{Listen, TlsSettings};
use crate::net::outside::Place;
use crate::net::ports::{MediaSockets, PortPool};
use crate::net::sip::SipHandle;
use crate::net::{resolve, sip as sip_net};
use crate::rtp::codec::Codec;
use crate::rtp::codec::resample::{RATES_HZ, resample};
use crate::rtp::dtls::Certificate;
use crate::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use crate::rtp::rtcp::RtcpStart;
use crate::rtp::{Output, Rate, Stream, StreamConfig};
use crate::sip::message::Uri;
use crate::sip::sdp::{self, LocalMedia, Media, Numbers, SdpError, Security};
use crate::sip::{
    Account, AccountId, CallKey, CallOut, Command, DirectCalls, EndCause, Endpoint, EndpointConfig, SessionEvent,
    TransferProgress,
};
use turns::{PATIENCE, Step, Turns};

/// A few ports of our own; those of [rtp] may belong to a secretary on this machine.
const RTP_PORTS: (u16, u16) = (20_002, 21_000);

/// Between two keys: a telephone's own pace.
const BETWEEN_KEYS: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 the call was answered and is over, 3 busy, 4 nobody answered, 5 refused, 6 not reached, 1 anything else.")]
pub struct Args {
    /// Whom to call: sip:name@host, with :port, ;transport=tcp or ;transport=tls if need be, or sips:name@host. With
    /// --account also a number or a name there. Where he has moved (302) is called only if [sip] call_out allows it.
    target: String,
    /// A WAV file to play when the other side falls silent (or says nothing for 5 s). Several are played in turn.
    #[arg(long, value_name = "FILE")]
    play: Vec<PathBuf>,
    /// Keys to press after the last recording: 0 to 9, *, #, A to D. They are told in RTP (RFC 4733) if the other side
    /// takes them there, else by INFO.
    #[arg(long, value_name = "KEYS", value_parser = keys)]
    digits: Option<String>,
    /// Whom to send the other side to after that: a SIP address; with --account also a number or a name there.
    #[arg(long, value_name = "TARGET")]
    transfer: Option<String>,
    /// Where to write what the other side says, as WAV; what it plays before the answer is in it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How long it may ring, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    ring_s: u32,
    /// The [[account]] of the configuration whose server, name and password are used.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Authorities of TLS certificates beside the system's, PEM; those of the configuration unless told.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

fn keys(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
        true => Ok(text.to_owned()),
        false => Err("expected keys of a telephone: 0 to 9, *, #, A to D".to_owned()),
    }
}

/// A call that came to nothing, with the exit status of the program.
#[derive(Debug, thiserror::Error)]
#[error("not answered: {0}")]
pub struct NotAnswered(EndCause);

impl NotAnswered {
    /// See `--help`.
    pub fn exit_status(&self) -> u8 {
        match &self.0 {
            EndCause::Rejected { status: 486 | 600, .. } => 3,
            EndCause::NoAnswer | EndCause::Rejected { status: 408 | 480 | 487, .. } => 4,
            EndCause::Rejected { .. } | EndCause::NotAllowed => 5,
            EndCause::Timeout | EndCause::TransportFailed(_) => 6,
            _ => 1,
        }
    }
}

/// What is done when it is our turn.
#[derive(Debug)]
enum Act {
    /// Samples, and their rate in Hz.
    Play(Vec<i16>, u32),
    Press(String),
    Transfer(String),
}

pub async fn run(args: Args) -> Result<()> {
    let mut acts = Vec::new();
    for path in &args.play {
        let (pcm, rate_hz) = read_mono(path)?;
        if !RATES_HZ.contains(&rate_hz) {
            bail!("{}: {rate_hz} Hz, which is no rate of speech", path.display());
        }
        acts.push(Act::Play(pcm, rate_hz));
    }
    acts.extend(args.digits.clone().map(Act::Press));
    acts.extend(args.transfer.clone().map(Act::Transfer));
    let folder = args.record.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("{}: no such folder, for --record", folder.display());
    }
    let (config, secrets) = args.config.load()?;
    let account = args.account.as_deref().map(|name| account(&config, &secrets, name)).transpose()?;
    let (host, port, transport) = match &account {
        Some(account) => (account.registrar.clone(), account.port, account.transport),
        None => {
            let uri = args.target.parse::<Uri>().with_context(|| format!("{}: not a SIP address", args.target))?;
            if !uri.is_sip() {
                bail!("{}: a number is called through an account: --account NAME", args.target);
            }
            (uri.host.clone(), uri.port, uri.transport())
        }
    };
    let flow = resolve::flows(&host, port, transport, SocketAddr::new(any_like(&host), 0))
        .await
        .with_context(|| format!("{host}: no such host"))?
        .into_iter()
        .next()
        .context("no way to that host")?;
    let mut tls = Listen::from(&config.sip).tls.unwrap_or_default();
    tls.ca = args.tls_ca.clone().or(tls.ca);
    let address = flow.local.ip();
    // A caller is called by nobody: another port than the secretary's, and over TLS none.
    let tls = TlsSettings { port: 0, identity: None, ..tls };
    let listen = Listen { tls: Some(tls), ..Listen::on(address, 0) };
    let endpoint = EndpointConfig {
        direct_calls: DirectCalls::Refused,
        call_out: CallOut::Named(config.sip.call_out.clone()),
        ..EndpointConfig::new(USER_AGENT, "caller", 1)
    };
    let (sip, _calls, task) = sip_net::start(listen, Endpoint::new(endpoint, rand::random())).await?;
    let id = account.as_ref().map(|account| account.id);
    let line = id.and_then(|id| config.account.get(usize::from(id.0)));
    let dtmf = line.map(|account| account.dtmf).unwrap_or_default();
    let codecs = line.map_or_else(|| Codec::ALL.to_vec(), |account| account.codecs.clone());
    let (policy, exchange) = line.map(|account| (account.srtp, account.srtp_keys)).unwrap_or_default();
    let security = Security::new(policy, exchange, &Certificate::generate()?, &mut rand::rng());
    let outside = line.and_then(AccountConfig::outside).unwrap_or_else(|| config.sip.outside());
    if let Some(account) = account {
        sip.command(Command::Register(account)).await;
    }
    let sockets = PortPool::new(&[address], RTP_PORTS.0, RTP_PORTS.1).bind(address)?;
    let place = outside.place(&sockets, address, flow.remote.ip()).await;
    let result = converse(&sip, &args, id, (codecs, dtmf, security), acts, sockets, place).await;
    sip.stop(sip_net::AT_LEISURE).await;
    task.await?;
    result
}

/// The account without its registration: a secretary that runs keeps hers.
fn account(config: &Config, secrets: &Secrets, name: &str) -> Result<Account> {
    let Some((id, _)) = config.account(name) else {
        let names: Vec<&str> = config.account.iter().map(|account| account.name.as_str()).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        bail!("no [[account]] is named \"{name}\"; there are: {there}");
    };
    let account = config.accounts(secrets)?.into_iter().find(|account| account.id == id);
    Ok(Account { expires: None, ..account.context("the account is gone")? })
}

/// All our addresses of the family in which a host is called.
fn any_like(host: &str) -> IpAddr {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

async fn converse(
    sip: &SipHandle,
    args: &Args,
    account: Option<AccountId>,
    (codecs, dtmf, security): (Vec<Codec>, Dtmf, Option<Security>),
    acts: Vec<Act>,
    sockets: MediaSockets,
    Place { address, port, rtcp_port }: Place,
) -> Result<()> {
    let ours = Ours {
        address,
        port,
        rtcp_port,
        codecs,
        events: dtmf.in_rtp(),
        numbers: Numbers::NONE,
        security,
        session: rand::rng().random::<u64>() >> 1,
    };
    let offer = sdp::offer(&ours.local());
    let ring_for = Duration::from_secs(args.ring_s.into());
    let invited = sip.invite(args.target.clone(), account, offer.clone(), ring_for).await;
    let (key, events) = invited.context("the SIP endpoint is gone")?;
    let turns = Turns::new(acts.len());
    let keys = VecDeque::new();
    let mut talk = Talk {
        sip,
        key,
        events,
        sockets,
        ours,
        described: offer,
        stream: None,
        far: Vec::new(),
        turns,
        acts: acts.into(),
        keys,
        theirs: Keys::default(),
    };
    let result = talk.run().await;
    if let Some(path) = &args.record
        && !talk.far.is_empty()
    {
        let spec = WavSpec {
            channels: 1,
            sample_rate: talk.rate().hz(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec).with_context(|| path.display().to_string())?;
        talk.far.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        writer.finalize()?;
    }
    result
}

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Calling,
    Talking,
}

/// Our side of the media.
struct Ours {
    address: IpAddr,
    port: u16,
    rtcp_port: Option<u16>,
    /// See [`LocalMedia`].
    codecs: Vec<Codec>,
    events: bool,
    numbers: Numbers,
    security: Option<Security>,
    session: u64,
}

impl Ours {
    fn local(&self) -> LocalMedia<'_> {
        LocalMedia {
            address: self.address,
            port: self.port,
            rtcp_port: self.rtcp_port,
            ice: None,
            codecs: &self.codecs,
            events: self.events,
            numbers: self.numbers,
            security: self.security.as_ref(),
            session_id: self.session,
            session_version: 0,
        }
    }

    /// Answers an offer in our session.
    fn answer(&mut self, offer: &[u8]) -> Result<(Vec<u8>, Media), SdpError> {
        let offer = sdp::parse_offer(offer)?;
        let security = offer.security(&self.local(), &mut rand::rng());
        let answered = sdp::answer(&offer, &LocalMedia { security: security.as_ref(), ..self.local() })?;
        self.security = security;
        Ok(answered)
    }
}

struct Talk<'a> {
    sip: &'a SipHandle,
    key: CallKey,
    events: mpsc::Receiver<(CallKey, SessionEvent)>,
    sockets: MediaSockets,
    ours: Ours,
    /// Our latest description.
    described: Vec<u8>,
    /// From the first media on, which may come before the answer.
    stream: Option<Stream>,
    /// What the other side said.
    far: Vec<i16>,
    turns: Turns,
    acts: VecDeque<Act>,
    /// Keys to press, and when the next one is due.
    keys: VecDeque<(Instant, char)>,
    /// Keys of the other side.
    theirs: Keys,
}

impl Talk<'_> {
    /// Holds the call to its end.
    async fn run(&mut self) -> Result<()> {
        // The playout takes a minute at the most.
        let mut unplayed = Vec::new();
        let (mut buffer, mut report) = ([0; 2_048], [0; 2_048]);
        let mut stage = Stage::Calling;
        let mut has_wrong_key = false;
        loop {
            let due = self.keys.front().map(|(at, _)| *at);
            let wake = self.stream.as_ref().map(Stream::poll_timeout).into_iter().chain(due).min();
            tokio::select! {
                received = self.sockets.rtp.recv_from(&mut buffer) => if let (Ok((length, from)), Some(stream)) = (received, &mut self.stream) {
                    stream.handle_input(clock::now(), from, buffer.get(..length).unwrap_or_default());
                },
                received = self.sockets.rtcp.recv_from(&mut report) => if let (Ok((length, from)), Some(stream)) = (received, &mut self.stream) {
                    stream.handle_rtcp(clock::now(), from, report.get(..length).unwrap_or_default());
                },
                event = self.events.recv() => {
                    let (_, event) = event.context("the SIP endpoint is gone")?;
                    match (event, stage) {
                        (SessionEvent::Ended { cause }, Stage::Calling) => return Err(NotAnswered(cause).into()),
                        (SessionEvent::Ended { .. }, Stage::Talking) => {
                            eprintln!("the other side hung up after {:.1} s", self.seconds());
                            return Ok(());
                        }
                        (SessionEvent::Answered { sdp, .. }, _) => match self.agree(&sdp) {
                            Ok(how) => {
                                eprintln!("answered, {how}");
                                stage = Stage::Talking;
                            }
                            Err(error) => {
                                self.hang_up().await;
                                return Err(error).context("the answer's SDP is of no use");
                            }
                        },
                        (event, _) => self.event(event).await,
                    }
                }
                _ = tokio::signal::ctrl_c() => {
                    self.hang_up().await;
                    match stage {
                        Stage::Calling => bail!("given up before an answer"),
                        Stage::Talking => return Ok(()),
                    }
                }
                () = sleep_until(wake.unwrap_or_else(|| clock::now() + PATIENCE).into()) => {
                    if let Some(stream) = &mut self.stream {
                        stream.handle_timeout(clock::now());
                        if !has_wrong_key && stream.is_wrong_key() {
                            has_wrong_key = true;
                            eprintln!("the other side cannot be heard: nothing comes that is encrypted with its key");
                        }
                    }
                }
            }
            self.press_due().await;
            let stream_rate = self.rate();
            while let Some(output) = self.stream.as_mut().and_then(Stream::poll_output) {
                match output {
                    Output::Transmit { to, datagram } => {
                        // A peer that is gone says BYE, or is silent until we do.
                        let _ = self.sockets.rtp.send_to(&datagram, to).await;
                    }
                    Output::TransmitRtcp { to, datagram } => {
                        let _ = self.sockets.rtcp.send_to(&datagram, to).await;
                    }
                    Output::NoKeys(error) => {
                        self.hang_up().await;
                        return Err(error.into());
                    }
                    Output::Key { key } => self.pressed(Way::Rtp, key, Duration::ZERO),
                    Output::Skipped { ticks } => {
                        self.far.extend(iter::repeat_n(0, ticks as usize * stream_rate.frame_samples()))
                    }
                    Output::Tick { received, .. } => {
                        self.far.extend_from_slice(&received);
                        let Some(stream) = self.stream.as_mut().filter(|_| stage == Stage::Talking) else { continue };
                        let playing = stream.is_playing() || stream.is_pressing() || !self.keys.is_empty();
                        let step = self.turns.tick(&received, playing);
                        let taken = stream.play(0, &unplayed);
                        unplayed.drain(..taken);
                        match step {
                            Step::Listen => {}
                            Step::Act => unplayed = self.act().await,
                            Step::HangUp => {
                                self.hang_up().await;
                                return Ok(());
                            }
                        }
                    }
                }
            }
        }
    }

    /// That of the first media, for the whole call.
    fn rate(&self) -> Rate {
        self.stream.as_ref().map_or(Rate::Narrow, Stream::rate)
    }

    fn seconds(&self) -> f64 {
        self.far.len() as f64 / f64::from(self.rate().hz())
    }

    async fn event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Ringing => eprintln!("ringing"),
            SessionEvent::EarlyMedia { sdp, .. } => match self.agree(&sdp) {
                Ok(how) => eprintln!("sound before the answer, {how}"),
                Err(error) => eprintln!("sound before the answer is of no use: {error}"),
            },
            SessionEvent::Offer { sdp } => {
                let command = match self.answer_offer(sdp.as_deref()) {
                    Ok(sdp) => Command::AnswerOffer { call: self.key, sdp },
                    Err(error) => {
                        eprintln!("a change of the session was refused: {error}");
                        Command::RejectOffer { call: self.key }
                    }
                };
                self.sip.command(command).await;
            }
            SessionEvent::OfferAnswered { sdp } => {
                if let Err(error) = self.agree(&sdp) {
                    eprintln!("the answer to our offer is of no use: {error}");
                }
            }
            SessionEvent::Digit { digit, duration } => self.pressed(Way::Info, digit, duration),
            SessionEvent::TransferRequested { .. } => {
                eprintln!("the other side wants to send us to somebody else: refused");
                self.sip.command(Command::RejectTransfer { call: self.key, status: 603 }).await;
            }
            SessionEvent::Transfer(progress) => match progress {
                TransferProgress::Accepted => eprintln!("transfer: the other side calls"),
                TransferProgress::Trying(status) => eprintln!("transfer: {status}"),
                TransferProgress::Succeeded => eprintln!("transfer: done"),
                TransferProgress::Failed(status) => eprintln!("transfer: failed ({status})"),
            },
            SessionEvent::Incoming(_)
            | SessionEvent::Answered { .. }
            | SessionEvent::Established { .. }
            | SessionEvent::OfferRefused { .. }
            | SessionEvent::Ended { .. } => {}
        }
    }

    fn pressed(&mut self, way: Way, key: char, lasted: Duration) {
        if self.theirs.is_new(clock::now(), way, key, lasted) {
            eprintln!("the other side pressed {key}");
        }
    }

    /// Takes an answer; tells what was agreed.
    fn agree(&mut self, answer: &[u8]) -> Result<String, SdpError> {
        let media = sdp::accept_answer(answer, &self.ours.local())?;
        let encrypted = if media.protection.is_encrypted() { ", encrypted," } else { "" };
        let how = format!("{}{encrypted} with {}", media.codec.name(), media.remote);
        self.settle(media);
        Ok(how)
    }

    fn settle(&mut self, media: Media) {
        // What a number means is settled for the session.
        self.ours.numbers = self.ours.numbers.and(&media);
        let Media {
            remote, codec, opus, payload_type, accepted, events, pace, sends, rtcp, protection, crypto, ..
        } = media;
        if let Some(security) = &mut self.ours.security {
            security.settle(&protection, crypto.as_ref());
        }
        match &mut self.stream {
            Some(stream) => stream.redirect(remote, codec, opus, payload_type, accepted, events),
            None => {
                let mut rng = rand::rng();
                let (ssrc, seq, timestamp) = (rng.random(), rng.random::<u16>() >> 1, rng.random());
                let start = RtcpStart { ntp: clock::ntp(), seed: rng.random() };
                let config = StreamConfig {
                    rate: codec.rate(),
                    remote,
                    codec,
                    opus,
                    payload_type,
                    accepted,
                    events,
                    ssrc: Ssrc(ssrc),
                    first_seq: Seq(seq),
                    first_timestamp: RtpTimestamp(timestamp),
                    rtcp: start,
                };
                self.stream = Some(Stream::new(clock::now(), config));
            }
        }
        if let Some(stream) = &mut self.stream {
            stream.set_pace(pace);
            stream.protect(protection);
            stream.set_handshake(true);
            stream.set_send(sends);
            stream.set_rtcp(Some(rtcp));
        }
    }

    fn answer_offer(&mut self, offer: Option<&[u8]>) -> Result<Vec<u8>, SdpError> {
        let (next, media) = match offer {
            Some(offer) => {
                let (sdp, media) = self.ours.answer(offer)?;
                (sdp, Some(media))
            }
            None => (sdp::offer(&self.ours.local()), None),
        };
        self.described = sdp::continue_session(&self.described, &next)?;
        if let Some(media) = media {
            eprintln!("{}", if media.sends { "the session goes on" } else { "the other side put us on hold" });
            self.settle(media);
        }
        Ok(self.described.clone())
    }

    /// Does what comes next; gives what is to be played.
    async fn act(&mut self) -> Vec<i16> {
        match self.acts.pop_front() {
            Some(Act::Play(pcm, rate_hz)) => return resample(&pcm, rate_hz, self.rate().hz()).unwrap_or_default(),
            Some(Act::Press(keys)) => {
                let now = clock::now();
                self.keys = (0..).zip(keys.chars()).map(|(n, key)| (now + BETWEEN_KEYS * n, key)).collect();
            }
            Some(Act::Transfer(target)) => self.sip.command(Command::Transfer { call: self.key, target }).await,
            None => {}
        }
        Vec::new()
    }

    async fn press_due(&mut self) {
        while let Some((_, digit)) = self.keys.pop_front_if(|(at, _)| *at <= clock::now()) {
            if !self.stream.as_mut().is_some_and(|stream| stream.press(digit)) {
                self.sip.command(Command::SendDigit { call: self.key, digit }).await;
            }
        }
    }

    async fn hang_up(&mut self) {
        self.sip.command(Command::Hangup { call: self.key }).await;
        let ended = async {
            while self.events.recv().await.is_some_and(|(_, event)| !matches!(event, SessionEvent::Ended { .. })) {}
        };
        // A peer that does not answer our BYE is left.
        let _ = timeout(Duration::from_secs(2), ended).await;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::rtp::Protection;

    #[test]
    fn the_exit_status_says_why_nobody_spoke() {
        let rejected = |status| EndCause::Rejected { status, reason: String::new() };
        let status = |cause| NotAnswered(cause).exit_status();
        assert_eq!([486, 600, 480, 403].map(|code| status(rejected(code))), [3, 3, 4, 5]);
        assert_eq!([EndCause::NoAnswer, EndCause::Timeout, EndCause::InvalidTarget].map(status), [4, 6, 1]);
    }

    #[test]
    fn a_peer_with_a_new_key_gets_a_new_one_of_ours_and_one_whose_offer_is_refused_does_not() {
        let certificate = Certificate::generate().unwrap();
        let security = |seed| {
            let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
            Security::new(sdp::Policy::Required, sdp::KeyExchange::Sdes, &certificate, rng)
        };
        let side = |codecs: &[Codec], seed| Ours {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 20_002,
            rtcp_port: None,
            codecs: codecs.to_vec(),
            events: false,
            numbers: Numbers::NONE,
            security: security(seed),
            session: seed,
        };
        let (mut ours, theirs) = (side(&[Codec::Pcma], 1), side(&[Codec::Pcma], 2));
        let offer = sdp::parse_offer(&sdp::offer(&ours.local())).unwrap();
        let (answer, _) = sdp::answer(&offer, &theirs.local()).unwrap();
        let media = sdp::accept_answer(&answer, &ours.local()).unwrap();
        ours.security.as_mut().unwrap().settle(&media.protection, media.crypto.as_ref());
        let mut keys = |offerer: &Ours| {
            ours.answer(&sdp::offer(&offerer.local())).map(|(_, media)| {
                ours.security.as_mut().unwrap().settle(&media.protection, media.crypto.as_ref());
                let Protection::Sdes(keys) = media.protection else { panic!("told keys") };
                keys.ours
            })
        };
        let first = keys(&theirs).unwrap();
        assert_eq!(keys(&theirs).unwrap(), first, "nothing new");
        assert!(keys(&side(&[Codec::Opus], 3)).is_err());
        assert_eq!(keys(&theirs).unwrap(), first, "a refused offer changes nothing");
        let second = keys(&side(&[Codec::Pcma], 3)).unwrap();
        assert_ne!(second, first);
        assert_eq!(keys(&side(&[Codec::Pcma], 3)).unwrap(), second);
    }

    #[test]
    fn only_keys_of_a_telephone_are_pressed() {
        assert_eq!(keys("12*#").as_deref(), Ok("12*#"));
        assert!(keys("1 2").is_err() && keys("").is_err());
    }
}
