//! A call in virtual time: a caller's RTP stream, a network that loses, doubles, delays and reorders, and engines that answer
//! when the test says so. Nothing sleeps; an hour passes in a second.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::call::keys::Dtmf;
use secretary::call::{
    Call, CallConfig, CallSetup, Encryption, EndedBy, Expects, Input, Lines, MediaAddress, Output, PartId, Script,
    Service, StreamStart, TurnRecord, ears::EarsConfig, turn::TurnConfig,
};
use secretary::engine::stt::Transcript;
use secretary::engine::vad::Vad;
use secretary::engine::worker::Priority;
use secretary::engine::{Language, TurnId};
use secretary::rtp::codec::Codec;
use secretary::rtp::codec::resample::resample;
use secretary::rtp::dtls::{Certificate, HandshakeError};
use secretary::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpStart};
use secretary::rtp::stun::is_stun;
use secretary::rtp::{self, Rate, Stream, StreamConfig};
use secretary::sip::SessionEvent;
use secretary::sip::sdp::{self, KeyExchange, LocalMedia, Media, Numbers, Policy, SdpError, Security};

use super::loudness::Loudness;

const OURS: &str = "192.0.2.10:10000";
const OUR_REPORTS: &str = "192.0.2.10:10001";
const CALLERS: &str = "192.0.2.20:20000";
const STEP: Duration = Duration::from_millis(5);
/// What comes of a part that was cancelled.
const UNWANTED: &str = "Этого никто не ждал";
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(30);

/// What the network does to each packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network {
    pub loss: f64,
    pub doubling: f64,
    /// Up to so much is added to a packet's delay, so that packets overtake each other.
    pub jitter: Duration,
}

/// A recogniser that has its answer at once.
pub type Recognise = fn(Vec<i16>, &[Language]) -> Transcript;

/// How the engines behave.
#[derive(Debug, Clone)]
pub struct Engines {
    /// What she does for the caller.
    pub service: Service,
    /// From a request to the text; `None`: never.
    pub hearing: Option<Duration>,
    /// From a pause to what the end-of-turn model says of it; `None`: never.
    pub judging: Option<(Duration, f32)>,
    /// From the question to the sentence; `None`: never.
    pub thinking: Option<Duration>,
    /// From a sentence to its sound; `None`: never.
    pub speaking: Option<Duration>,
    /// What is understood, one part after the other; then nothing.
    pub texts: VecDeque<&'static str>,
    pub answer: &'static str,
    pub hang_up: bool,
    pub expects: Expects,
    pub turn: TurnConfig,
    /// Of the account. With [`Dtmf::Inband`] the caller has no keys in RTP.
    pub dtmf: Dtmf,
    /// Of the account.
    pub encryption: Encryption,
    /// What the caller's telephone offers, with keys at its clock.
    pub codec: Codec,
    /// How the caller offers encryption, if he does.
    pub offers: Option<KeyExchange>,
    /// His SDP comes with the fingerprint of somebody else.
    pub is_impostor: bool,
    /// Recognises for real, instead of `texts`; mono at 8 kHz.
    pub recognise: Option<Recognise>,
    /// Judges pauses for real; mono at 8 kHz.
    pub judge: Option<fn(Vec<i16>) -> f32>,
    /// Tells his speech from other sound.
    pub vad: fn() -> Box<dyn Vad>,
    /// What every phrase of hers sounds like, at 8 kHz; a tone as long as its text if that is empty.
    pub voice: Vec<i16>,
}

impl Default for Engines {
    fn default() -> Self {
        Self {
            service: Service::Conversation,
            hearing: Some(Duration::from_millis(400)),
            judging: None,
            thinking: Some(Duration::from_millis(100)),
            speaking: Some(Duration::from_millis(30)),
            texts: VecDeque::new(),
            answer: "Мы работаем с девяти до шести каждый день кроме воскресенья.",
            hang_up: false,
            expects: Expects::Anything,
            turn: TurnConfig::default(),
            dtmf: Dtmf::Rtp,
            encryption: Encryption::default(),
            codec: Codec::Pcma,
            offers: None,
            is_impostor: false,
            recognise: None,
            judge: None,
            vad: || Box::new(Loudness),
            voice: Vec::new(),
        }
    }
}

#[derive(Debug)]
enum Event {
    ToUs(Vec<u8>),
    ToCaller(Vec<u8>),
    ReportToUs(Vec<u8>),
    ReportToCaller(Vec<u8>),
    Input(Input),
    Recognised(PartId, Transcript),
}

/// A part that was to be transcribed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub part: PartId,
    pub priority: Priority,
    pub due: Instant,
}

/// One call and its caller.
pub struct Line {
    pub now: Instant,
    start: Instant,
    pub call: Call,
    pub caller: Stream,
    network: Network,
    pub engines: Engines,
    rng: StdRng,
    /// Due times, in order; the number keeps the order of equal times.
    agenda: BinaryHeap<Reverse<(Instant, usize)>>,
    events: Vec<Option<Event>>,
    pub sent_packets: usize,
    pub sent_reports: usize,
    /// The caller's telephone is without power.
    pub is_dead: bool,
    /// Where the caller sits now, if it is somebody else.
    pub moved_to: Option<SocketAddr>,
    /// Who was the caller before that.
    pub former: Option<Stream>,
    /// Keys that the secretary pressed.
    pub pressed: String,
    pub cancelled: Vec<PartId>,
    /// Parts that were to be transcribed, in order.
    pub wanted: Vec<Wanted>,
    /// What was to be transcribed.
    pub parts: Vec<Vec<i16>>,
    /// How much speech each part had.
    pub parts_ms: Vec<u64>,
    pub turns: Vec<TurnRecord>,
    /// What was heard of an answer that was broken off, until its turn is recorded.
    cut: Option<String>,
    pub recorded: (Vec<i16>, Vec<i16>),
    pub caller_heard: Vec<i16>,
    pub spoken: Vec<String>,
    pub asked: Vec<(TurnId, String)>,
    pub hung_up: bool,
    pub ended: Option<EndedBy>,
    pub rejected_offers: usize,
    pub answered_offers: Vec<Vec<u8>>,
    /// Offers of our own.
    pub offers: Vec<Vec<u8>>,
    /// Why the caller has no keys.
    pub no_keys: Option<HandshakeError>,
    /// Answers to checks of ICE, on both ports.
    pub checks: Vec<(SocketAddr, Vec<u8>)>,
    /// His side of the encryption.
    security: Option<Security>,
}

fn lines(language: Language) -> Lines {
    let of = |ru: &str, en: &str| if language == Language::Ru { ru.to_owned() } else { en.to_owned() };
    Lines {
        greeting: of("Здравствуйте! Чем могу помочь?", "Hello! How can I help?"),
        fillers: vec![of("Секунду…", "One moment…")],
        silence_prompts: vec![of("Вы слышите меня?", "Can you hear me?"), of("Алло?", "Hello?")],
        silence_goodbye: of("Вас не слышно, до свидания.", "I cannot hear you, goodbye."),
        not_heard: of("Простите, я не расслышала.", "Sorry, I did not hear you."),
        leave_message: of("Скажите, что передать.", "Please leave your message."),
        message_left: of("Спасибо, передам.", "Thank you, I will pass it on."),
        goodbye: of("До свидания.", "Goodbye."),
    }
}

fn reports(seed: u64) -> RtcpStart {
    RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn offer(direction: &str) -> Vec<u8> {
    offer_at("192.0.2.20", direction)
}

pub fn offer_at(address: &str, direction: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na={direction}\r\n"
    )
    .into_bytes()
}

fn our_side() -> MediaAddress {
    MediaAddress { address: address(OURS).ip(), port: address(OURS).port(), rtcp_port: None }
}

fn setup(seed: u64, codecs: &[Codec], engines: &Engines) -> CallSetup {
    CallSetup {
        service: engines.service,
        config: Arc::new(CallConfig {
            ears: EarsConfig::default(),
            turn: engines.turn.clone(),
            languages: vec![Language::Ru, Language::En],
            media_timeout: MEDIA_TIMEOUT,
        }),
        script: Arc::new(Script { ru: lines(Language::Ru), en: lines(Language::En) }),
        vad: (engines.vad)(),
        media: our_side(),
        codecs: codecs.to_vec(),
        dtmf: engines.dtmf,
        encryption: engines.encryption,
        certificate: Certificate::generate().unwrap(),
        start: StreamStart {
            ssrc: 1,
            seq: 65_530,
            timestamp: u32::MAX - 1_000,
            sdp_session: 7,
            rtcp: reports(seed),
            secret: [seed as u8; 32],
        },
    }
}

/// The caller's side of the media.
fn callers<'a>(codecs: &'a [Codec], security: Option<&'a Security>) -> LocalMedia<'a> {
    LocalMedia {
        address: address(CALLERS).ip(),
        port: address(CALLERS).port(),
        rtcp_port: None,
        ice: None,
        codecs,
        events: true,
        numbers: Numbers { opus: Some(98), events: [Some(96), Some(96)] },
        security,
        session_id: 1,
        session_version: 1,
    }
}

/// The other end of the media that were agreed.
fn caller(now: Instant, seed: u64, media: Media) -> Stream {
    let mut caller = Stream::new(
        now,
        StreamConfig {
            rate: media.codec.rate(),
            remote: media.remote,
            codec: media.codec,
            opus: media.opus,
            payload_type: media.payload_type,
            accepted: media.accepted,
            events: media.events,
            ssrc: Ssrc(2),
            first_seq: Seq(1),
            first_timestamp: RtpTimestamp(1),
            rtcp: reports(seed + 1),
        },
    );
    caller.set_rtcp(Some(media.rtcp));
    caller.set_pace(media.pace);
    caller.protect(media.protection);
    caller.set_handshake(true);
    caller
}

impl Line {
    /// What a call of this account would be, and our answer to an offer.
    pub fn answer(engines: &Engines, offered: &[u8]) -> Result<Vec<u8>, SdpError> {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let now = Instant::now();
        Call::answer(now, setup(1, &Codec::ALL, engines), Some(offered)).map(|(_, answer)| answer)
    }

    pub fn new(seed: u64, network: Network, engines: Engines) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let now = Instant::now();
        Self::at(now, seed, network, engines)
    }

    pub fn at(now: Instant, seed: u64, network: Network, engines: Engines) -> Self {
        let mut offered = String::from_utf8(offer("sendrecv")).unwrap();
        if engines.dtmf == Dtmf::Inband {
            offered = offered.replace("8 96", "8");
        }
        if engines.codec != Codec::Pcma {
            let (name, clock_hz) = (engines.codec.name(), engines.codec.clock_rate_hz());
            let (number, channels) = engines.codec.static_payload_type().map_or((98, "/2"), |number| (number, ""));
            offered = offered
                .replace("RTP/AVP 8 ", &format!("RTP/AVP {number} "))
                .replace("telephone-event/8000", &format!("telephone-event/{clock_hz}"));
            offered.push_str(&format!("a=rtpmap:{number} {name}/{clock_hz}{channels}\r\n"));
        }
        let security = engines.offers.and_then(|exchange| {
            let certificate = Certificate::generate().unwrap();
            Security::new(Policy::Required, exchange, &certificate, &mut StdRng::seed_from_u64(seed + 2))
        });
        if security.is_some() {
            offered = String::from_utf8(sdp::offer(&callers(&[engines.codec], security.as_ref()))).unwrap();
        }
        if engines.is_impostor {
            let (before, after) = offered.split_once("a=fingerprint:").expect("a fingerprint");
            let rest = after.split_once("\r\n").map_or("", |(_, rest)| rest);
            let other = Certificate::generate().unwrap();
            offered = format!("{before}a=fingerprint:{}\r\n{rest}", other.fingerprint());
        }
        Self::offered_at(now, seed, network, engines, offered.as_bytes(), security).0
    }

    /// A call that begins with this offer, and the answer to it.
    pub fn offered(seed: u64, network: Network, engines: Engines, offer: Vec<u8>) -> (Self, Vec<u8>) {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let now = Instant::now();
        Self::offered_at(now, seed, network, engines, &offer, None)
    }

    fn offered_at(
        now: Instant,
        seed: u64,
        network: Network,
        engines: Engines,
        offer: &[u8],
        security: Option<Security>,
    ) -> (Self, Vec<u8>) {
        let setup = setup(seed, &Codec::ALL, &engines);
        let (call, answer) = Call::answer(now, setup, Some(offer)).unwrap();
        let codecs = [engines.codec];
        let local = callers(&codecs, security.as_ref());
        let media = sdp::accept_answer(&answer, &local).unwrap();
        assert_eq!((media.remote, media.codec), (address(OURS), engines.codec));
        let caller = caller(now, seed, media);
        let line = Self {
            now,
            start: now,
            call,
            caller,
            network,
            engines,
            rng: StdRng::seed_from_u64(seed),
            agenda: BinaryHeap::new(),
            events: Vec::new(),
            sent_packets: 0,
            sent_reports: 0,
            is_dead: false,
            moved_to: None,
            former: None,
            pressed: String::new(),
            cancelled: Vec::new(),
            wanted: Vec::new(),
            parts: Vec::new(),
            parts_ms: Vec::new(),
            turns: Vec::new(),
            cut: None,
            recorded: (Vec::new(), Vec::new()),
            caller_heard: Vec::new(),
            spoken: Vec::new(),
            asked: Vec::new(),
            hung_up: false,
            ended: None,
            rejected_offers: 0,
            answered_offers: Vec::new(),
            offers: Vec::new(),
            no_keys: None,
            security,
            checks: Vec::new(),
        };
        (line, answer)
    }

    /// The rate of a call whose INVITE brings no offer.
    pub fn rate_without_an_offer(codecs: &[Codec]) -> Rate {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let (call, _) = Call::answer(Instant::now(), setup(1, codecs, &Engines::default()), None).unwrap();
        call.rate()
    }

    /// A call on a clean line whose greeting has been heard.
    pub fn greeted(engines: Engines) -> Self {
        Self::greeted_over(1, Network::default(), engines)
    }

    pub fn greeted_over(seed: u64, network: Network, engines: Engines) -> Self {
        let mut line = Self::new(seed, network, engines);
        line.session(SessionEvent::Established { sdp: None });
        line.run_until(20, |line| line.turns.len() == 1);
        line
    }

    pub fn session(&mut self, event: SessionEvent) {
        self.call.handle_input(self.now, Input::Session(event));
        self.drain();
    }

    /// The caller offers his session again, with new keys or the same; tells our answer.
    pub fn offers_again(&mut self, renewed: bool) -> String {
        let security = self.security.as_mut().expect("a caller with keys");
        if renewed {
            security.renew(&mut self.rng);
        }
        let offered = sdp::offer(&callers(&[self.engines.codec], self.security.as_ref()));
        self.session(SessionEvent::Offer { sdp: Some(offered) });
        let answer = self.answered_offers.last().expect("an answer").clone();
        let media = sdp::accept_answer(&answer, &callers(&[self.engines.codec], self.security.as_ref())).unwrap();
        self.caller.protect(media.protection);
        String::from_utf8(answer).unwrap()
    }

    /// The call is sent on to that host, whose telephone takes our offer with encryption if it has any; tells the offer.
    pub fn is_sent_to(&mut self, host: &str, security: Option<&Security>) -> String {
        let codecs = [self.engines.codec];
        let local = LocalMedia { address: host.parse().unwrap(), ..callers(&codecs, security) };
        let offered = self.call.offer_move(our_side(), 99);
        let (answer, media) = sdp::answer(&sdp::parse_offer(&offered).unwrap(), &local).unwrap();
        self.has_at_the_other_end(host, media);
        self.call.handle_input(self.now, Input::Moved { sdp: answer });
        self.drain();
        String::from_utf8(offered).unwrap()
    }

    /// Somebody at that host takes the caller's place with an offer of his own, encrypted if he likes; tells our answer.
    ///
    /// # Errors
    /// When his offer is refused.
    pub fn is_replaced_by(&mut self, host: &str, security: Option<&Security>) -> Result<String, SdpError> {
        let codecs = [self.engines.codec];
        let local = LocalMedia { address: host.parse().unwrap(), ..callers(&codecs, security) };
        let answer = self.call.answer_move(self.now, our_side(), 99, Some(&sdp::offer(&local)))?;
        self.drain();
        let media = sdp::accept_answer(&answer, &local).unwrap();
        self.has_at_the_other_end(host, media);
        self.session(SessionEvent::Established { sdp: None });
        Ok(String::from_utf8(answer).unwrap())
    }

    fn has_at_the_other_end(&mut self, host: &str, media: Media) {
        self.former = Some(std::mem::replace(&mut self.caller, caller(self.now, 77, media)));
        self.moves_to(host);
    }

    /// From now on the one at the other end speaks from that host.
    pub fn moves_to(&mut self, host: &str) {
        self.moved_to = Some(SocketAddr::new(host.parse().unwrap(), address(CALLERS).port()));
    }

    fn caller_address(&self) -> SocketAddr {
        self.moved_to.unwrap_or(address(CALLERS))
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.agenda.push(Reverse((self.now + delay, self.events.len())));
        self.events.push(Some(event));
    }

    fn over_the_network(&mut self, event: impl Fn() -> Event) {
        let Network { loss, doubling, jitter } = self.network;
        let copies = if self.rng.random_bool(loss) { 0 } else { 1 + usize::from(self.rng.random_bool(doubling)) };
        for _ in 0..copies {
            let delay = Duration::from_millis(10) + jitter.mul_f64(self.rng.random());
            self.later(delay, event());
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::Transmit { to, datagram } | Output::TransmitRtcp { to, datagram } if is_stun(&datagram) => {
                    self.checks.push((to, datagram));
                }
                Output::Transmit { to, datagram } => {
                    assert_eq!(to, self.caller_address());
                    self.sent_packets += 1;
                    self.over_the_network(|| Event::ToCaller(datagram.clone()));
                }
                Output::TransmitRtcp { to, datagram } => {
                    assert_eq!(to.ip(), self.caller_address().ip());
                    assert_eq!(to.port() % 2, 1, "the port after that of the sound");
                    self.sent_reports += 1;
                    self.over_the_network(|| Event::ReportToCaller(datagram.clone()));
                }
                Output::AnswerOffer { sdp } => self.answered_offers.push(sdp),
                Output::RejectOffer => self.rejected_offers += 1,
                Output::Offer { sdp } => self.offers.push(sdp),
                Output::HangUp => self.hung_up = true,
                Output::Judge { part, pcm } => {
                    if let Some((delay, scripted)) = self.engines.judging {
                        let complete = self.engines.judge.map_or(scripted, |judge| judge(pcm));
                        self.later(delay, Event::Input(Input::Judged { part, complete: Ok(complete) }));
                    }
                }
                Output::Transcribe { part, pcm, languages, priority, due } => {
                    self.wanted.push(Wanted { part, priority, due });
                    assert!(!languages.is_empty());
                    self.parts_ms.push(loud_ms(&resample(&pcm, self.call.rate().hz(), 8_000).unwrap()));
                    self.parts.push(pcm.clone());
                    if let (Some(delay), Some(recognise)) = (self.engines.hearing, self.engines.recognise) {
                        self.later(delay, Event::Recognised(part, recognise(pcm, &languages)));
                    } else if let Some(delay) = self.engines.hearing {
                        self.later(delay, Event::Input(Input::Heard { part, result: Ok(transcript("")) }));
                    }
                }
                Output::CancelPart { part } => self.cancelled.push(part),
                Output::Reply { turn, text, .. } => self.reply(turn, text),
                Output::CancelReply { heard, .. } => self.cut = heard,
                Output::Silence => {}
                Output::Speak { phrase, text, .. } => {
                    // A voice that needs 60 ms a character.
                    let pcm = match self.engines.voice.as_slice() {
                        [] => voice(text.chars().count() as u64 * 60, self.call.rate()),
                        pcm => resample(pcm, 8_000, self.call.rate().hz()).unwrap(),
                    };
                    self.spoken.push(text);
                    if let Some(delay) = self.engines.speaking {
                        self.later(delay, Event::Input(Input::Sound { phrase, pcm: pcm.into() }));
                        self.later(delay, Event::Input(Input::Synthesised { phrase, result: Ok(()) }));
                    }
                }
                Output::Record { received, sent } => {
                    self.recorded.0.extend_from_slice(&received);
                    self.recorded.1.extend_from_slice(&sent);
                }
                Output::Gap { ticks } => panic!("{ticks} ticks were skipped though time went on evenly"),
                Output::Turn(turn) => self.note_turn(turn),
                Output::Ended { by } => {
                    assert_eq!(self.ended, None, "a call ends once");
                    self.ended = Some(by);
                }
            }
        }
    }

    /// The conversation is told how much of an answer was heard, and that is what the record has.
    fn note_turn(&mut self, turn: TurnRecord) {
        assert!(!turn.caller_text.contains(UNWANTED), "words of a part that was cancelled: {turn:?}");
        assert!(turn.secretary_text.starts_with(&turn.heard_text), "{turn:?}");
        match self.cut.take() {
            Some(heard) => assert_eq!(turn.heard_text, heard, "{turn:?}"),
            // A message is no conversation.
            None if self.engines.service == Service::Message => {}
            None => assert_eq!(turn.heard_text, turn.secretary_text, "the rest is not cut out of the conversation"),
        }
        self.turns.push(turn);
    }

    fn reply(&mut self, turn: TurnId, text: String) {
        assert!(!text.contains(UNWANTED), "words of a part that was cancelled: {text}");
        self.asked.push((turn, text));
        let Some(delay) = self.engines.thinking else { return };
        let sentence = Input::Sentence { turn, text: self.engines.answer.to_owned() };
        self.later(delay, Event::Input(sentence));
        if self.engines.hang_up {
            self.later(delay, Event::Input(Input::WantsHangUp { turn }));
        }
        self.later(delay, Event::Input(Input::Replied { turn, expects: self.engines.expects }));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToUs(bytes) => {
                let from = self.caller_address();
                self.call.handle_datagram(self.now, from, &bytes);
            }
            Event::ToCaller(bytes) => self.caller.handle_input(self.now, address(OURS), &bytes),
            Event::ReportToUs(bytes) => {
                let mut from = self.caller_address();
                from.set_port(from.port() + 1);
                self.call.handle_report(self.now, from, &bytes);
            }
            Event::ReportToCaller(bytes) => self.caller.handle_rtcp(self.now, address(OUR_REPORTS), &bytes),
            // An engine learns too late that nobody wants the words any more, or has nothing to give for it.
            Event::Input(Input::Heard { part, .. }) | Event::Recognised(part, _) if self.cancelled.contains(&part) => {
                let result = if part.0 % 2 == 0 { Ok(transcript(UNWANTED)) } else { Err("cancelled".to_owned()) };
                self.call.handle_input(self.now, Input::Heard { part, result });
            }
            Event::Input(Input::Heard { part, .. }) => {
                let text = self.engines.texts.pop_front().unwrap_or_default();
                self.call.handle_input(self.now, Input::Heard { part, result: Ok(transcript(text)) });
            }
            Event::Recognised(part, transcript) => {
                self.call.handle_input(self.now, Input::Heard { part, result: Ok(transcript) });
            }
            Event::Input(input) => self.call.handle_input(self.now, input),
        }
        self.drain();
    }

    pub fn step(&mut self) {
        self.now += STEP;
        while let Some(Reverse((at, n))) = self.agenda.peek().copied()
            && at <= self.now
        {
            self.agenda.pop();
            if let Some(event) = self.events[n].take() {
                self.happen(event);
            }
        }
        if self.call.poll_timeout().is_some_and(|at| at <= self.now) {
            self.call.handle_timeout(self.now);
            self.drain();
        }
        self.caller.handle_timeout(self.now);
        while let Some(output) = self.caller.poll_output() {
            match output {
                rtp::Output::Transmit { .. } | rtp::Output::TransmitRtcp { .. } if self.is_dead => {}
                rtp::Output::Transmit { datagram, .. } => self.over_the_network(|| Event::ToUs(datagram.clone())),
                rtp::Output::TransmitRtcp { datagram, .. } => {
                    self.over_the_network(|| Event::ReportToUs(datagram.clone()));
                }
                rtp::Output::Tick { received, .. } => self.caller_heard.extend_from_slice(&received),
                rtp::Output::Key { key } => self.pressed.push(key),
                rtp::Output::NoKeys(error) => self.no_keys = Some(error),
                rtp::Output::Skipped { .. } => panic!("time goes on evenly"),
            }
        }
    }

    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.step();
        }
    }

    pub fn run_until(&mut self, limit_s: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(limit_s);
        while !done(self) {
            assert!(self.now < end, "not in {limit_s} s; turns: {:#?}, spoken: {:?}", self.turns, self.spoken);
            self.step();
        }
    }

    /// The caller speaks; returns when he has finished.
    pub fn say(&mut self, ms: u64) {
        let speech = resample(&tone(ms), 8_000, self.caller.rate().hz()).unwrap();
        self.caller.play(0, &speech);
        self.run(ms);
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

/// What the stand-in for speech sounds like: loud, and no two samples' runs alike.
pub fn tone(ms: u64) -> Vec<i16> {
    (0..ms * 8).map(|i| ((i as f64 * 0.35).sin() * 6_000.0) as i16).collect()
}

/// What the stand-in for a voice says: the same, and in a wide call 6 kHz too.
fn voice(ms: u64, rate: Rate) -> Vec<i16> {
    let mut pcm = resample(&tone(ms), 8_000, rate.hz()).unwrap();
    if rate == Rate::Wide {
        for (n, sample) in pcm.iter_mut().enumerate() {
            *sample += (3_000.0 * (std::f64::consts::TAU * 6_000.0 * n as f64 / 16_000.0).sin()) as i16;
        }
    }
    pcm
}

/// With «…» at its end the model hardly believes it, but with «!…» it is sure of the language.
pub fn transcript(text: &str) -> Transcript {
    Transcript {
        text: text.to_owned(),
        language: if text.is_ascii() { Language::En } else { Language::Ru },
        segments: Vec::new(),
        caught: Vec::new(),
        log_probability: if text.ends_with('…') { -1.0 } else { -0.3 },
        language_probability: if text.ends_with('…') && !text.ends_with("!…") { 0.2 } else { 0.99 },
        audio_s: 1.0,
        processing_s: 0.4,
    }
}

pub fn loud_ms(pcm: &[i16]) -> u64 {
    pcm.chunks(160).filter(|frame| frame.iter().any(|s| s.unsigned_abs() > 1_000)).count() as u64 * 20
}
