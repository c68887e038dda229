//! The conversation of one call: whose turn it is and what follows from what is heard and said.

mod barge_in;
mod deciding;
mod hearing;
mod message;
mod party;
mod speaking;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::party::MenuKey;
use super::ears::{EarEvent, Ears};
use super::mouth::{Mouth, Purpose};
use super::party::LineClassifier;
use super::party::words::Kind;
use super::timeline::{Moment, Timeline};
use super::turn::{Answer, Deciding, DoubleTalk, Stage, Then, Turn};
use super::{CallConfig, EndedBy, Expects, Output, PartId, Script, Service, TurnEnd, TurnRecord, seconds};
use crate::engine::worker::Priority;
use crate::engine::{Language, TurnId};
use crate::rtp::playout::Loudness;
use crate::rtp::{Rate, Stream};

/// The longest wait for an answer before the caller is asked to say it again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);
/// Time for the goodbye at the end of the longest call.
const GOODBYE: Duration = Duration::from_secs(30);
/// Speech shorter than this without words was a noise.
const NOISE: Duration = Duration::from_millis(500);
/// The longest hold.
const MAX_HOLD: Duration = Duration::from_secs(2 * 3_600);
/// What is heard of one who has put us on hold.
const SILENCE: [i16; Rate::Wide.frame_samples()] = [0; Rate::Wide.frame_samples()];

/// The language of the call: the house's first, until the caller has said enough to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallLanguage {
    Assumed(Language),
    Settled(Language),
}

/// A part that is being, or has been, transcribed.
#[derive(Debug)]
struct Part {
    id: PartId,
    /// Its samples at the time it was sent, and how much of them was speech.
    samples: usize,
    voiced: Duration,
    text: Option<String>,
}

/// How a turn of the caller's began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// When she had finished.
    None,
    /// While she spoke.
    Begun,
    /// While she asked something that «да» answers.
    Answers,
}

/// One side has put the other on hold: nobody hears, and the time does not count.
#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    since: Option<Instant>,
    /// Of holds that are over.
    before: Duration,
}

impl Hold {
    fn note(&mut self, now: Instant, on_hold: bool) {
        match (self.since, on_hold) {
            (None, true) => self.since = Some(now),
            (Some(_), false) => *self = Hold { since: None, before: self.total(now) },
            (None, false) | (Some(_), true) => {}
        }
    }

    fn current(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn total(&self, now: Instant) -> Duration {
        self.before + self.current(now)
    }
}

pub(super) struct Talk {
    service: Service,
    config: Arc<CallConfig>,
    script: Arc<Script>,
    ears: Ears,
    mouth: Mouth,
    turn: Turn,
    turn_id: TurnId,
    parts: Vec<Part>,
    next_part: u64,
    /// What was pressed in this turn.
    keys: String,
    hold: Hold,
    call_language: CallLanguage,
    expects: Expects,
    timeline: Timeline,
    /// What ended the turn of the caller that is being answered.
    turn_end: Option<TurnEnd>,
    /// The turn in which she greets.
    greeting: Option<TurnId>,
    /// Who is on the line, by the sound.
    party: LineClassifier,
    /// Since when it is no person.
    machine_since: Option<Instant>,
    /// What has just spoken in the caller's place.
    kind: Option<Kind>,
    /// The key of its menu for a person.
    menu_key: MenuKey,
    /// The words of the last turn, and how often they were said in a row.
    same_words: (String, u8),
    /// Whether what is heard over her voice may be her voice that comes back.
    may_echo: bool,
    /// How the caller's turn began.
    opening: Opening,
    /// What she said before it.
    said: String,
    /// What the answer that is being made or said asks for; it counts once he has heard of it.
    next_expects: Option<Expects>,
    /// When the answer that is being said was first heard.
    spoken_since: Option<Instant>,
    answered_at: Instant,
    turn_started: Instant,
    turns: u32,
    /// Since when nobody has said a word.
    quiet_since: Instant,
    /// When sound of ours last went to the wire, or was ready to.
    last_sound: Instant,
    silence_prompts: usize,
    misses: u8,
    fillers: usize,
    pub(super) out: VecDeque<Output>,
}

impl Talk {
    pub(super) fn new(
        now: Instant,
        service: Service,
        config: Arc<CallConfig>,
        script: Arc<Script>,
        ears: Ears,
        rate: Rate,
    ) -> Self {
        let call_language = match config.languages.as_slice() {
            [only] => CallLanguage::Settled(*only),
            [first, ..] => CallLanguage::Assumed(*first),
            [] => CallLanguage::Assumed(Language::Ru),
        };
        Self {
            service,
            config,
            script,
            ears,
            mouth: Mouth::new(rate),
            turn: Turn::Silent,
            turn_id: TurnId::default(),
            parts: Vec::new(),
            next_part: 0,
            keys: String::new(),
            hold: Hold::default(),
            call_language,
            expects: Expects::Anything,
            timeline: Timeline::default(),
            turn_end: None,
            greeting: None,
            party: LineClassifier::new(rate),
            machine_since: None,
            kind: None,
            menu_key: MenuKey::NotAsked,
            same_words: (String::new(), 0),
            may_echo: false,
            opening: Opening::None,
            said: String::new(),
            next_expects: None,
            spoken_since: None,
            answered_at: now,
            turn_started: now,
            turns: 0,
            quiet_since: now,
            last_sound: now,
            silence_prompts: 0,
            misses: 0,
            fillers: 0,
            out: VecDeque::new(),
        }
    }

    fn language(&self) -> Language {
        match self.call_language {
            CallLanguage::Assumed(language) | CallLanguage::Settled(language) => language,
        }
    }

    /// The call is up: the secretary greets.
    pub(super) fn begin(&mut self, now: Instant) {
        self.answered_at = now;
        self.turn_started = now;
        self.timeline.note(Moment::Answered, now);
        self.greet(now);
    }

    fn greet(&mut self, now: Instant) {
        self.greeting = Some(self.turn_id);
        let lines = self.script.lines(self.language());
        let greeting = match self.service {
            Service::Conversation => lines.greeting.clone(),
            Service::Message => lines.leave_message.clone(),
        };
        self.next_expects = Some(Expects::Anything);
        self.say(now, &greeting, Then::Listen);
    }

    /// Whether her own voice may be what comes back.
    pub(super) fn note_echo(&mut self, may_echo: bool) {
        self.may_echo = may_echo;
    }

    /// Somebody else is on the line: what was going on is over, and he is greeted. The conversation is the same.
    pub(super) fn greet_other(&mut self, now: Instant, stream: &mut Stream) {
        if self.service == Service::Message {
            // The message goes on.
            return;
        }
        match self.turn {
            Turn::Speaking { .. } => self.interrupt(now, stream),
            Turn::Listening { .. } | Turn::Dictating { .. } | Turn::Silent => {}
            Turn::Hearing | Turn::Keying { .. } | Turn::Deciding(_) | Turn::Thinking { .. } => {
                self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: None });
                self.silence(stream);
                self.record(now);
            }
        }
        (self.machine_since, self.kind, self.menu_key) = (None, None, MenuKey::NotAsked);
        self.same_words = (String::new(), 0);
        self.ears.end_part();
        self.turn_started = now;
        self.greet(now);
    }

    /// 20 ms went by: `received` came from the caller, and `sent`, a piece of the phrase `mark`, went to him.
    /// Tells when the call is to end.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        received: &[i16],
        sent: Option<(u64, usize)>,
        stream: &mut Stream,
    ) -> Option<EndedBy> {
        if sent.is_some() {
            self.last_sound = now;
        }
        match sent.and_then(|(mark, samples)| self.mouth.played(mark, samples)) {
            Some(Purpose::Answer) => {
                self.timeline.note(Moment::FirstAudio, now);
                self.spoken_since.get_or_insert(now);
            }
            Some(Purpose::Filler) => self.timeline.note(Moment::Filler, now),
            None => {}
        }
        self.feed(stream);
        // Music on hold is no speech, and whoever put us on hold does not listen.
        let on_hold = !stream.is_sending();
        self.hold.note(now, on_hold);
        if on_hold {
            self.last_sound = now;
            self.machine_since = self.machine_since.map(|_| now);
        }
        match self.ears.push(now, if on_hold { &SILENCE[..received.len().min(SILENCE.len())] } else { received }) {
            Ok(Some(EarEvent::Onset)) => self.onset(now, stream),
            Ok(Some(EarEvent::Offset) | None) => {}
            Err(error) => tracing::warn!(%error, "voice detection failed on 32 ms of sound"),
        }
        if !on_hold
            && let Some(heard) = self.party.push(received, self.ears.is_talking())
            && let Some(by) = self.party_heard(now, heard)
        {
            return Some(by);
        }
        self.press_menu_key(stream);
        let ended = self.advance(now, stream);
        stream.set_loudness(self.loudness());
        ended
    }

    /// She is softer while somebody begins to speak over her, and waits while he goes on.
    fn loudness(&self) -> Loudness {
        match self.turn {
            Turn::Speaking { over: DoubleTalk::Begun, .. } => Loudness::Ducked,
            Turn::Speaking { over: DoubleTalk::Held { .. }, .. } => Loudness::Held,
            _ => Loudness::Full,
        }
    }

    /// Sound that was made and is not heard any more.
    pub(super) fn unheard_sound(&self) -> Duration {
        self.mouth.unheard()
    }

    /// Whether the caller speaks, or waits for her.
    pub(super) fn owes_an_answer(&self) -> bool {
        match self.turn {
            Turn::Hearing | Turn::Keying { .. } | Turn::Deciding(_) | Turn::Thinking { .. } => true,
            Turn::Speaking { answer: Answer::Coming(_), .. } => true,
            Turn::Listening { .. } | Turn::Speaking { .. } => self.ears.is_talking(),
            Turn::Dictating { .. } | Turn::Silent => false,
        }
    }

    /// Hands over what is to be heard soon: nothing of an answer while it is open whether the caller has finished.
    fn feed(&mut self, stream: &mut Stream) {
        match self.turn {
            Turn::Speaking { .. } => self.mouth.feed(stream),
            Turn::Thinking { .. } if !self.ears.is_talking() => self.mouth.feed(stream),
            _ => {}
        }
    }

    /// Whether the turn began with words of the caller, not with a line of the secretary's own.
    fn has_caller(&self, stage: Stage) -> bool {
        self.service == Service::Conversation
            && !self.parts.is_empty()
            && !matches!(stage, Stage::Reply { answer: Answer::Whole(Then::HangUp(_)), .. })
    }

    /// What time alone brings about.
    fn advance(&mut self, now: Instant, stream: &mut Stream) -> Option<EndedBy> {
        let age = now.saturating_duration_since(self.answered_at).saturating_sub(self.hold.total(now));
        if self.hold.current(now) >= MAX_HOLD {
            return Some(EndedBy::TimeLimit);
        }
        if age >= self.config.turn.max_call() + GOODBYE {
            // A goodbye that no voice can say.
            return Some(EndedBy::TimeLimit);
        }
        if self.has_waited_for_a_person(now) {
            return Some(EndedBy::Machine);
        }
        if age >= self.config.turn.max_call()
            && !matches!(self.turn, Turn::Thinking { .. } | Turn::Silent)
            && !self.is_saying_goodbye()
        {
            self.interrupt(now, stream);
            match self.turn {
                Turn::Hearing => drop(self.transcribe(now, Priority::Final)),
                Turn::Dictating { .. } => self.take_down_rest(now),
                Turn::Deciding(Deciding { guess: Some(_), .. }) => self.take_back(stream),
                _ => {}
            }
            let line = self.script.lines(self.language()).goodbye.clone();
            self.say(now, &line, Then::HangUp(EndedBy::TimeLimit));
        }
        match self.turn {
            // Whoever put us on hold does not listen, nor does a machine.
            Turn::Listening { .. } if !stream.is_sending() || self.waits_for_a_person() => {
                self.turn = Turn::Listening { since: now };
            }
            Turn::Listening { since } => {
                if now.saturating_duration_since(since) >= self.config.turn.silence() {
                    self.prompt_after_silence(now);
                }
            }
            Turn::Hearing => self.advance_hearing(now),
            Turn::Keying { ends_at } => {
                if now >= ends_at {
                    self.end_keys(now);
                }
            }
            Turn::Deciding(pause) => self.advance_deciding(now, pause, stream),
            Turn::Dictating { began, since } => self.advance_dictating(now, began, since, stream),
            Turn::Thinking { .. } => return self.advance_thinking(now, stream),
            Turn::Speaking { answer, over } => return self.advance_speaking(now, answer, over, stream),
            Turn::Silent => {}
        }
        None
    }

    fn prompt_after_silence(&mut self, now: Instant) {
        self.turn_started = now;
        self.timeline = Timeline::default();
        let lines = self.script.lines(self.language());
        let (line, then) = match lines.silence_prompts.get(self.silence_prompts) {
            Some(prompt) => (prompt.clone(), Then::Listen),
            None => (lines.silence_goodbye.clone(), Then::HangUp(EndedBy::Silence)),
        };
        self.silence_prompts += 1;
        self.say(now, &line, then);
    }

    fn is_saying_goodbye(&self) -> bool {
        matches!(
            self.turn,
            Turn::Speaking { answer: Answer::Coming(Then::HangUp(_)) | Answer::Whole(Then::HangUp(_)), .. }
        )
    }

    fn record(&mut self, now: Instant) {
        self.timeline.note(Moment::SpokenOut, now);
        let record = TurnRecord {
            number: self.turns,
            started_s: seconds(self.turn_started.saturating_duration_since(self.answered_at)),
            language: self.language(),
            caller_text: self.caller_text(),
            keys: std::mem::take(&mut self.keys),
            secretary_text: self.mouth.text(),
            heard_text: self.mouth.heard(),
            machine: self.kind.take(),
            turn_end: self.turn_end.take(),
            latency: self.timeline.latency(),
        };
        self.turns += 1;
        self.turn_id = self.turn_id.next();
        self.opening = Opening::None;
        for part in self.parts.drain(..).filter(|part| part.text.is_none()) {
            self.out.push_back(Output::CancelPart { part: part.id });
        }
        self.mouth.clear();
        self.timeline = Timeline::default();
        self.turn_started = now;
        if !(record.caller_text.is_empty() && record.keys.is_empty() && record.secretary_text.is_empty()) {
            self.out.push_back(Output::Turn(record));
        }
    }

    fn silence(&mut self, stream: &mut Stream) {
        stream.stop_playing();
        self.mouth.clear();
        self.out.push_back(Output::Silence);
    }

    /// The call is over. What the caller was saying is still transcribed.
    pub(super) fn close(&mut self, now: Instant, stream: &mut Stream) {
        if self.service == Service::Message {
            stream.stop_playing();
            self.out.push_back(Output::Silence);
            if !matches!(self.turn, Turn::Silent) && !self.is_saying_goodbye() {
                self.take_down_rest(now);
            }
        } else if let Turn::Speaking { .. } = self.turn {
            self.interrupt(now, stream);
        } else {
            self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: None });
            self.silence(stream);
        }
        let is_transcribed = match self.turn {
            Turn::Keying { .. } => {
                self.read_keys();
                false
            }
            Turn::Dictating { .. } => true,
            Turn::Deciding(_) => true,
            Turn::Thinking { stage: Stage::Transcript { pause: Deciding { ahead, .. } }, .. }
            | Turn::Thinking { stage: Stage::Reply { ahead, .. }, .. } => ahead.is_some(),
            Turn::Listening { .. } | Turn::Hearing | Turn::Speaking { .. } | Turn::Silent => false,
        };
        if !is_transcribed && self.ears.voiced() >= NOISE {
            self.transcribe(now, Priority::Background);
        }
        self.turn = Turn::Silent;
    }

    /// Whether every word of a closed call is known.
    pub(super) fn is_settled(&self) -> bool {
        self.parts.iter().all(|p| p.text.is_some())
    }

    /// Records the turn that the end of the call cut off.
    pub(super) fn settle(&mut self, now: Instant) {
        let lost = self.parts.iter().filter(|part| part.text.is_none()).count();
        if lost > 0 {
            tracing::warn!(
                parts = lost,
                "the last words were not transcribed in time: they are in the recording alone"
            );
        }
        self.record(now);
    }
}
