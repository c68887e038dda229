//! Whole calls in virtual time: a caller's RTP stream, a network that loses, doubles, delays and reorders, and engines
//! that answer when the test says so. Nothing sleeps; an hour passes in a second.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secretary::call::{
    Call, CallConfig, CallSetup, EndedBy, Expects, Input, Lines, MediaAddress, Output, PartId, Script, StreamStart,
    TurnRecord, ears::EarsConfig, turn::TurnConfig,
};
use secretary::engine::stt::Transcript;
use secretary::engine::{Language, TurnId};
use secretary::rtp::codec::Codec;
use secretary::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use secretary::rtp::{self, Stream, StreamConfig};
use secretary::sip::sdp::{self, LocalMedia};
use secretary::sip::{EndCause, SessionEvent};

use crate::support::loudness::Loudness;

const OURS: &str = "192.0.2.10:10000";
const CALLERS: &str = "192.0.2.20:20000";
const STEP: Duration = Duration::from_millis(5);

/// What the network does to each packet.
#[derive(Debug, Clone, Copy, Default)]
struct Network {
    loss: f64,
    doubling: f64,
    /// Up to so much is added to a packet's delay, so that packets overtake each other.
    jitter: Duration,
}

/// How the engines behave.
#[derive(Debug, Clone)]
struct Engines {
    /// From a request to the text; `None`: never.
    hearing: Option<Duration>,
    /// From the question to the sentence; `None`: never.
    thinking: Option<Duration>,
    /// What is understood, one part after the other; then nothing.
    texts: VecDeque<&'static str>,
    answer: &'static str,
    hang_up: bool,
    expects: Expects,
}

impl Default for Engines {
    fn default() -> Self {
        Self {
            hearing: Some(Duration::from_millis(400)),
            thinking: Some(Duration::from_millis(100)),
            texts: VecDeque::new(),
            answer: "Мы работаем с девяти до шести каждый день кроме воскресенья.",
            hang_up: false,
            expects: Expects::Anything,
        }
    }
}

#[derive(Debug)]
enum Event {
    ToUs(Vec<u8>),
    ToCaller(Vec<u8>),
    Input(Input),
}

/// One call and its caller.
struct Line {
    now: Instant,
    start: Instant,
    call: Call,
    caller: Stream,
    network: Network,
    engines: Engines,
    rng: StdRng,
    /// Due times, in order; the number keeps the order of equal times.
    agenda: BinaryHeap<Reverse<(Instant, usize)>>,
    events: Vec<Option<Event>>,
    sent_packets: usize,
    cancelled: Vec<PartId>,
    /// How much speech each part had.
    parts_ms: Vec<u64>,
    turns: Vec<TurnRecord>,
    recorded: (Vec<i16>, Vec<i16>),
    caller_heard: Vec<i16>,
    spoken: Vec<String>,
    asked: Vec<(TurnId, String)>,
    hung_up: bool,
    ended: Option<EndedBy>,
    rejected_offers: usize,
    answered_offers: Vec<Vec<u8>>,
}

fn lines(language: Language) -> Lines {
    let of = |ru: &str, en: &str| if language == Language::Ru { ru.to_owned() } else { en.to_owned() };
    Lines {
        greeting: of("Здравствуйте! Чем могу помочь?", "Hello! How can I help?"),
        fillers: vec![of("Секунду…", "One moment…")],
        silence_prompts: vec![of("Вы слышите меня?", "Can you hear me?"), of("Алло?", "Hello?")],
        silence_goodbye: of("Вас не слышно, до свидания.", "I cannot hear you, goodbye."),
        not_heard: of("Простите, я не расслышала.", "Sorry, I did not hear you."),
        goodbye: of("До свидания.", "Goodbye."),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn offer(direction: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na={direction}\r\n"
    )
    .into_bytes()
}

impl Line {
    fn new(seed: u64, network: Network, engines: Engines) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let now = Instant::now();
        Self::at(now, seed, network, engines)
    }

    fn at(now: Instant, seed: u64, network: Network, engines: Engines) -> Self {
        let setup = CallSetup {
            config: Arc::new(CallConfig {
                ears: EarsConfig::default(),
                turn: TurnConfig::default(),
                languages: vec![Language::Ru, Language::En],
            }),
            script: Arc::new(Script { ru: lines(Language::Ru), en: lines(Language::En) }),
            vad: Box::new(Loudness),
            media: MediaAddress { address: address(OURS).ip(), port: address(OURS).port() },
            start: StreamStart { ssrc: 1, seq: 65_530, timestamp: u32::MAX - 1_000, sdp_session: 7 },
        };
        let (call, answer) = Call::answer(now, setup, Some(&offer("sendrecv"))).unwrap();
        let local = LocalMedia {
            address: address(CALLERS).ip(),
            port: address(CALLERS).port(),
            codecs: &Codec::ALL,
            session_id: 1,
            session_version: 1,
        };
        let media = sdp::accept_answer(&answer, &local).unwrap();
        assert_eq!((media.remote, media.codec), (address(OURS), Codec::Pcma));
        let caller = Stream::new(
            now,
            StreamConfig {
                remote: media.remote,
                codec: media.codec,
                payload_type: media.payload_type,
                accepted: media.accepted,
                ssrc: Ssrc(2),
                first_seq: Seq(1),
                first_timestamp: RtpTimestamp(1),
            },
        );
        Self {
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
            cancelled: Vec::new(),
            parts_ms: Vec::new(),
            turns: Vec::new(),
            recorded: (Vec::new(), Vec::new()),
            caller_heard: Vec::new(),
            spoken: Vec::new(),
            asked: Vec::new(),
            hung_up: false,
            ended: None,
            rejected_offers: 0,
            answered_offers: Vec::new(),
        }
    }

    /// A call on a clean line whose greeting has been heard.
    fn greeted(engines: Engines) -> Self {
        Self::greeted_over(1, Network::default(), engines)
    }

    fn greeted_over(seed: u64, network: Network, engines: Engines) -> Self {
        let mut line = Self::new(seed, network, engines);
        line.session(SessionEvent::Established { sdp: None });
        line.run_until(20, |line| line.turns.len() == 1);
        line
    }

    fn session(&mut self, event: SessionEvent) {
        self.call.handle_input(self.now, Input::Session(event));
        self.drain();
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

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    assert_eq!(to, address(CALLERS));
                    self.sent_packets += 1;
                    self.over_the_network(|| Event::ToCaller(datagram.clone()));
                }
                Output::AnswerOffer { sdp } => self.answered_offers.push(sdp),
                Output::RejectOffer => self.rejected_offers += 1,
                Output::HangUp => self.hung_up = true,
                Output::Transcribe { part, pcm, languages } => {
                    assert!(!languages.is_empty());
                    self.parts_ms.push(loud_ms(&pcm));
                    if let Some(delay) = self.engines.hearing {
                        self.later(delay, Event::Input(Input::Heard { part, result: Ok(transcript("")) }));
                    }
                }
                Output::CancelPart { part } => self.cancelled.push(part),
                Output::Reply { turn, text, .. } => self.reply(turn, text),
                Output::CancelReply { .. } | Output::Silence => {}
                Output::Speak { phrase, text, .. } => {
                    // A voice that needs 60 ms a character and begins at once.
                    let pcm = tone(text.chars().count() as u64 * 60);
                    self.spoken.push(text);
                    self.later(Duration::from_millis(30), Event::Input(Input::Sound { phrase, pcm }));
                    let whole = Input::Synthesised { phrase, result: Ok(()) };
                    self.later(Duration::from_millis(30), Event::Input(whole));
                }
                Output::Record { received, sent } => {
                    self.recorded.0.extend(received);
                    self.recorded.1.extend(sent);
                }
                Output::Gap { ticks } => panic!("{ticks} ticks were skipped though time went on evenly"),
                Output::Turn(turn) => self.turns.push(turn),
                Output::Ended { by } => {
                    assert_eq!(self.ended, None, "a call ends once");
                    self.ended = Some(by);
                }
            }
        }
    }

    fn reply(&mut self, turn: TurnId, text: String) {
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
                self.call.handle_input(self.now, Input::Datagram { from: address(CALLERS), bytes });
            }
            Event::ToCaller(bytes) => self.caller.handle_input(self.now, address(OURS), &bytes),
            Event::Input(Input::Heard { part, .. }) if self.cancelled.contains(&part) => {}
            Event::Input(Input::Heard { part, .. }) => {
                let text = self.engines.texts.pop_front().unwrap_or_default();
                self.call.handle_input(self.now, Input::Heard { part, result: Ok(transcript(text)) });
            }
            Event::Input(input) => self.call.handle_input(self.now, input),
        }
        self.drain();
    }

    fn step(&mut self) {
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
                rtp::Output::Transmit { datagram, .. } => self.over_the_network(|| Event::ToUs(datagram.clone())),
                rtp::Output::Tick { received, .. } => self.caller_heard.extend(received),
                rtp::Output::Skipped { .. } => panic!("time goes on evenly"),
            }
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.step();
        }
    }

    fn run_until(&mut self, limit_s: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(limit_s);
        while !done(self) {
            assert!(self.now < end, "not in {limit_s} s; turns: {:#?}, spoken: {:?}", self.turns, self.spoken);
            self.step();
        }
    }

    /// The caller speaks; returns when he has finished.
    fn say(&mut self, ms: u64) {
        self.caller.play(0, &tone(ms));
        self.run(ms);
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

/// What the stand-in for speech sounds like: loud, and no two samples' runs alike.
fn tone(ms: u64) -> Vec<i16> {
    (0..ms * 8).map(|i| ((i as f64 * 0.35).sin() * 6_000.0) as i16).collect()
}

fn transcript(text: &str) -> Transcript {
    Transcript {
        text: text.to_owned(),
        language: if text.is_ascii() { Language::En } else { Language::Ru },
        segments: Vec::new(),
        audio_s: 1.0,
        processing_s: 0.4,
    }
}

fn loud_ms(pcm: &[i16]) -> u64 {
    pcm.chunks(160).filter(|frame| frame.iter().any(|s| s.unsigned_abs() > 1_000)).count() as u64 * 20
}

#[test]
fn the_greeting_starts_within_300_ms_of_the_answer() {
    let line = Line::greeted(Engines::default());
    let latency = line.turns[0].latency.answer_to_first_audio_ms.unwrap();
    assert!(latency <= 300, "{latency} ms");
    assert_eq!(line.turns[0].heard_text, "Здравствуйте! Чем могу помочь?");
}

#[test]
fn a_caller_whose_ack_is_lost_is_greeted_all_the_same() {
    let mut line = Line::new(1, Network::default(), Engines::default());
    line.run_until(10, |line| line.turns.len() == 1);
}

#[test]
fn a_question_is_answered_and_recorded() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.run(500);
    line.say(2_000);
    line.run_until(20, |line| line.turns.len() == 2);
    let turn = &line.turns[1];
    assert_eq!((turn.number, turn.caller_text.as_str()), (1, "До скольки вы работаете"));
    assert_eq!(turn.heard_text, line.engines.answer);
    // 700 ms of silence end the turn, then 100 ms for the dialog and 30 ms for the voice.
    let latency = turn.latency.speech_end_to_first_audio_ms.unwrap();
    assert!((800..1_000).contains(&latency), "{latency} ms");
    assert_eq!(line.recorded.0.len(), line.recorded.1.len());
    let heard = loud_ms(&line.recorded.0);
    assert!((1_960..=2_060).contains(&heard), "{heard} ms of the caller's speech were recorded");
}

#[test]
fn lost_doubled_and_late_packets_lose_no_words() {
    for seed in 0..20 {
        let network = Network { loss: 0.1, doubling: 0.1, jitter: Duration::from_millis(50) };
        let engines =
            Engines { texts: ["Соедините меня с бухгалтерией"].into(), ..Engines::default() };
        let mut line = Line::greeted_over(seed, network, engines);
        line.say(3_000);
        line.run_until(30, |line| line.turns.len() == 2);
        let heard = loud_ms(&line.recorded.0);
        assert!((2_800..=3_200).contains(&heard), "seed {seed}: {heard} ms of 3000 were heard");
        assert_eq!(line.turns[1].caller_text, "Соедините меня с бухгалтерией");
        assert_eq!(line.turns[1].heard_text, line.engines.answer, "seed {seed}");
    }
}

#[test]
fn two_runs_with_one_seed_are_identical() {
    let network = Network { loss: 0.2, doubling: 0.2, jitter: Duration::from_millis(80) };
    let engines = Engines { texts: ["Добрый день, это доставка"].into(), ..Engines::default() };
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    let start = Instant::now();
    let run = || {
        let mut line = Line::at(start, 7, network, engines.clone());
        line.session(SessionEvent::Established { sdp: None });
        line.run(3_000);
        line.say(1_500);
        line.run(10_000);
        (line.recorded, line.turns, line.caller_heard)
    };
    let (first, second) = (run(), run());
    assert!(first == second);
    assert!(!first.1.is_empty());
}

#[test]
fn a_short_pause_does_not_end_the_turn() {
    let mut line = Line::greeted(Engines {
        texts: ["Первая и вторая половина фразы"].into(), ..Engines::default()
    });
    line.say(1_000);
    line.run(500);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.cancelled.len(), 1, "what was transcribed at the pause is thrown away");
    assert_eq!(line.asked.len(), 1);
}

#[test]
fn a_long_story_is_transcribed_piece_by_piece() {
    let mut line = Line::greeted(Engines {
        texts: ["Первая часть рассказа,", "вторая часть."].into(),
        ..Engines::default()
    });
    line.say(16_000);
    line.run(500);
    line.say(3_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "Первая часть рассказа, вторая часть.");
    assert!(line.cancelled.is_empty());
    assert!((2_900..4_000).contains(&line.parts_ms[1]), "{:?}", line.parts_ms);
}

#[test]
fn one_who_never_pauses_loses_nothing() {
    let mut line = Line::greeted(Engines { texts: ["раз", "два", "три"].into(), ..Engines::default() });
    line.say(58_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "раз два три");
    let heard: u64 = line.parts_ms.iter().sum();
    assert!((57_900..58_200).contains(&heard), "{:?}", line.parts_ms);
}

#[test]
fn a_number_is_dictated_with_long_pauses() {
    let engines = Engines {
        texts: ["Запишите мой номер телефона", "Восемь девятьсот", "Восемь девятьсот шестнадцать"].into(),
        expects: Expects::Number,
        answer: "Диктуйте.",
        ..Engines::default()
    };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    line.say(1_000);
    line.run(1_200);
    assert_eq!(line.asked.len(), 1, "the pause inside the number did not end the turn");
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 3);
}

#[test]
fn a_caller_who_goes_on_before_the_answer_is_heard_out() {
    let texts = ["Я хотел бы узнать", "Я хотел бы узнать, сколько стоит доставка"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_millis(900)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(5, |line| line.asked.len() == 1);
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].caller_text, "Я хотел бы узнать, сколько стоит доставка");
    assert_eq!(line.asked.len(), 2);
    // What he said before is read again together with the rest: Whisper understands a whole better than its pieces.
    assert!(line.parts_ms[1] >= 1_900, "{:?}", line.parts_ms);
    assert_eq!(line.spoken.iter().filter(|text| **text == line.engines.answer).count(), 1, "{:?}", line.spoken);
}

#[test]
fn a_caller_who_interrupts_is_heard_and_what_he_missed_was_not_said() {
    let texts = ["До скольки вы работаете", "Нет, подождите минуту"].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.turns.len() == 1 && line.spoken.len() == 2);
    line.run(1_500);
    line.caller.play(0, &tone(1_500));
    let before = line.caller_heard.len();
    line.run(1_000);
    assert_eq!(line.turns.len(), 2, "the answer was cut off");
    let turn = &line.turns[1];
    assert!(!turn.heard_text.is_empty() && turn.heard_text.len() < turn.secretary_text.len(), "{turn:?}");
    // The onset takes 96 ms, the bound is 400 ms of speech, the jitter buffers of both sides hold 60 ms each.
    let went_on = loud_ms(&line.caller_heard[before..]);
    assert!(went_on <= 700, "she went on for {went_on} ms");
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].caller_text, "Нет, подождите минуту");
}

#[test]
fn a_cough_does_not_interrupt() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(700);
    line.say(240);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    line.run(2_000);
    assert_eq!(line.turns.len(), 2, "and it is no turn of its own");
}

#[test]
fn a_bye_while_she_speaks_keeps_what_was_heard() {
    let mut line =
        Line::greeted(Engines { texts: ["До скольки вы работаете"].into(), ..Engines::default() });
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(1_500);
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye });
    assert_eq!(line.ended, Some(EndedBy::Caller));
    assert!(!line.hung_up, "his BYE is not answered by one of ours");
    let turn = &line.turns[1];
    assert!(!turn.heard_text.is_empty() && turn.heard_text.len() < turn.secretary_text.len(), "{turn:?}");
    assert_eq!(line.call.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn the_last_words_before_a_hang_up_are_transcribed() {
    let mut line =
        Line::greeted(Engines { texts: ["Передайте что я заболел"].into(), ..Engines::default() });
    line.say(2_000);
    line.session(SessionEvent::Ended { cause: EndCause::RemoteBye });
    assert_eq!(line.ended, None);
    line.run_until(5, |line| line.ended.is_some());
    assert_eq!(line.turns[1].caller_text, "Передайте что я заболел");
}

#[test]
fn a_goodbye_is_heard_before_the_bye() {
    let engines =
        Engines { texts: ["Спасибо, до свидания"].into(), hang_up: true, ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_000);
    line.run_until(20, |line| line.ended.is_some());
    assert!(line.hung_up);
    assert_eq!(line.ended, Some(EndedBy::Secretary));
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
}

#[test]
fn a_silent_caller_is_asked_twice_and_then_left() {
    let mut line = Line::greeted(Engines::default());
    line.run_until(60, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::Silence));
    let heard: Vec<&str> = line.turns.iter().skip(1).map(|turn| turn.heard_text.as_str()).collect();
    assert_eq!(heard, ["Вы слышите меня?", "Алло?", "Вас не слышно, до свидания."]);
}

#[test]
fn a_slow_dialog_is_bridged_by_a_filler() {
    let texts = ["Сколько стоит консультация"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_secs(3)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.spoken[1], "Секунду…");
    assert_eq!(line.turns[1].secretary_text, line.engines.answer, "the filler is no part of the answer");
    let filler = line.turns[1].latency.speech_end_to_filler_ms.unwrap();
    assert!((1_900..2_100).contains(&filler), "{filler} ms");
}

#[test]
fn engines_that_never_answer_do_not_leave_dead_air() {
    for (hearing, thinking) in [(None, Some(Duration::ZERO)), (Some(Duration::ZERO), None)] {
        let texts = ["Сколько стоит консультация"].into();
        let mut line = Line::greeted(Engines { hearing, thinking, texts, ..Engines::default() });
        line.say(1_000);
        line.run_until(30, |line| line.turns.last().unwrap().heard_text == "Простите, я не расслышала.");
        assert_eq!(line.spoken[1], "Секунду…");
        let understood = line.turns.iter().any(|turn| turn.caller_text == "Сколько стоит консультация");
        assert_eq!(understood, hearing.is_some(), "what was understood is in the record: {:?}", line.turns);
        line.run(2_000);
        assert_eq!(line.ended, None);
    }
}

#[test]
fn speech_without_words_is_asked_for_again_but_not_for_ever() {
    let mut line = Line::greeted(Engines::default());
    for _ in 0..4 {
        line.say(1_500);
        line.run(5_000);
    }
    let asked = line.spoken.iter().filter(|text| *text == "Простите, я не расслышала.").count();
    assert_eq!(asked, 2);
}

#[test]
fn the_caller_chooses_the_language() {
    let engines = Engines { texts: ["What time do you close today"].into(), answer: "At six.", ..Engines::default() };
    let mut line = Line::greeted(engines);
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].language, Language::En);
    line.run_until(20, |line| line.turns.len() == 3);
    assert_eq!(line.turns[2].heard_text, "Can you hear me?");
}

#[test]
fn hold_and_a_useless_offer_keep_the_call() {
    let mut line = Line::greeted(Engines::default());
    line.session(SessionEvent::Offer { sdp: Some(offer("sendonly")) });
    assert!(String::from_utf8_lossy(&line.answered_offers[0]).contains("a=recvonly"));
    line.session(SessionEvent::Offer { sdp: Some(b"v=0\r\nnonsense".to_vec()) });
    assert_eq!(line.rejected_offers, 1);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
    line.run(1_000);
    assert_eq!(line.ended, None);
    assert_eq!(line.answered_offers.len(), 2);
}

#[test]
fn one_who_holds_us_is_not_talked_to_and_not_held_for_ever() {
    let mut line = Line::greeted(Engines {
        texts: ["Подождите минуту, пожалуйста"].into(), ..Engines::default()
    });
    line.session(SessionEvent::Offer { sdp: Some(offer("inactive")) });
    line.run(120_000);
    assert_eq!((line.turns.len(), line.spoken.len()), (1, 1), "{:?}", line.spoken);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendrecv")) });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, line.engines.answer);
    line.session(SessionEvent::Offer { sdp: Some(offer("sendonly")) });
    line.run_until(1_900, |line| line.ended.is_some());
    assert_eq!(line.ended, Some(EndedBy::TimeLimit));
    assert!(line.hung_up);
}

#[test]
fn a_backchannel_while_she_thinks_does_not_begin_anew() {
    let texts = ["Сколько стоит консультация"].into();
    let mut line = Line::greeted(Engines { thinking: Some(Duration::from_secs(3)), texts, ..Engines::default() });
    line.say(1_000);
    line.run_until(5, |line| line.spoken.len() == 2);
    line.run(600);
    line.say(240);
    line.run_until(20, |line| line.turns.len() == 2);
    assert_eq!((line.asked.len(), line.turns[1].heard_text.as_str()), (1, line.engines.answer));
}

#[test]
fn an_answer_that_breaks_off_without_a_word_ends_all_the_same() {
    let mut line =
        Line::greeted(Engines {
            texts: ["Сколько стоит консультация"].into(), thinking: None, ..Engines::default()
        });
    line.say(1_000);
    line.run_until(5, |line| line.asked.len() == 1);
    let (turn, _) = line.asked[0];
    line.call.handle_input(line.now, Input::Sentence { turn, text: "Консультация стоит".to_owned() });
    line.drain();
    line.run_until(40, |line| line.turns.len() == 2);
    assert_eq!(line.turns[1].heard_text, "Консультация стоит");
}

#[test]
fn sound_goes_nowhere_before_the_caller_is_known_to_be_there() {
    let mut line = Line::new(1, Network { loss: 1.0, ..Network::default() }, Engines::default());
    line.run(10_000);
    assert_eq!(line.sent_packets, 0);
    line.session(SessionEvent::Established { sdp: None });
    line.run(1_000);
    assert!(line.sent_packets >= 49, "{}", line.sent_packets);
}

#[test]
fn the_longest_call_ends_with_a_goodbye() {
    let texts = vec!["Расскажите ещё что-нибудь"; 2_000].into();
    let mut line = Line::greeted(Engines { texts, ..Engines::default() });
    while line.ended.is_none() {
        line.say(1_000);
        line.run(6_000);
        assert!(line.elapsed() < Duration::from_secs(1_900));
    }
    assert_eq!(line.ended, Some(EndedBy::TimeLimit));
    assert!(line.elapsed() > Duration::from_secs(1_800));
    assert_eq!(line.turns.last().unwrap().heard_text, "До свидания.");
    assert!(line.recorded.0.len() > 1_800 * 8_000);
}

#[test]
fn a_stopping_program_ends_the_call_at_once() {
    let mut line = Line::greeted(Engines { hearing: None, ..Engines::default() });
    line.say(2_000);
    line.call.handle_input(line.now, Input::HangUp(EndedBy::Shutdown));
    line.drain();
    assert!(line.hung_up);
    assert_eq!(line.ended, Some(EndedBy::Shutdown));
}
