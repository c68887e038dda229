//! What the caller says or types becomes the words of his turn.

use std::time::{Duration, Instant};

use super::{CallLanguage, GIVE_UP_AFTER, NOISE, Opening, Part, Talk};
use crate::call::timeline::{Moment, Timeline};
use crate::call::turn::{Answer, Deciding, DoubleTalk, Stage, Then, Turn};
use crate::call::{Expects, Output, PartId};
use crate::engine::end_of_turn::WINDOW_S;
use crate::engine::stt::Transcript;
use crate::engine::worker::Priority;
use crate::rtp::Stream;

/// A part this long is transcribed once and for all when the caller pauses; a shorter one again with what follows.
const LONG_PART: Duration = Duration::from_secs(15);
/// The longest part: Whisper reads 30 s at once.
pub(super) const MAX_PART: Duration = Duration::from_secs(25);
/// After such a pause a typed number is whole.
const KEYS_PAUSE: Duration = Duration::from_secs(2);
/// Keys of one turn that are kept.
const MAX_KEYS: usize = 64;
/// So many words tell the caller's language.
const TELLING_WORDS: usize = 3;

impl Talk {
    /// The caller begins to speak, or goes on.
    pub(super) fn onset(&mut self, now: Instant, stream: &mut Stream) {
        match self.turn {
            Turn::Listening { .. } => self.hear(now),
            Turn::Deciding(Deciding { ahead, guess: Some(_), .. })
            | Turn::Thinking { stage: Stage::Transcript { pause: Deciding { ahead, .. } }, .. } => {
                self.go_on(ahead, stream);
            }
            Turn::Deciding(Deciding { ahead, guess: None, .. }) => {
                self.resume(ahead);
                self.turn = Turn::Hearing;
            }
            Turn::Speaking { answer, over } => self.onset_over(now, answer, over, stream),
            // Speech while an answer is being made counts when there is enough of it (`advance`).
            Turn::Thinking { .. } | Turn::Hearing | Turn::Silent => {}
            // It is looked at when the number is whole.
            Turn::Keying { .. } => {}
            Turn::Dictating { began, .. } => self.turn = Turn::Dictating { began, since: now },
        }
    }

    /// The caller pressed a key: she stops. While a number is awaited, the keys are that number, up to `#` or a pause.
    pub(in crate::call) fn key(&mut self, now: Instant, key: char, stream: &mut Stream) {
        match self.turn {
            Turn::Listening { .. } if self.expects == Expects::Number => self.hear(now),
            Turn::Speaking { answer: Answer::Coming(Then::Listen) | Answer::Whole(Then::Listen), over }
                if over != DoubleTalk::Unheard =>
            {
                let speaks = self.speaks_over(over);
                self.interrupt(now, stream);
                match self.expects {
                    Expects::Anything | Expects::YesNo if !speaks => self.turn = Turn::Listening { since: now },
                    Expects::Number | Expects::Anything | Expects::YesNo => self.hear(now),
                }
                self.opening = if speaks { Opening::Begun } else { Opening::None };
            }
            _ => {}
        }
        if self.keys.len() < MAX_KEYS {
            self.keys.push(key);
        }
        let ends_at = if key == '#' { now } else { now + KEYS_PAUSE };
        match self.turn {
            // The caller is there.
            Turn::Listening { .. } => self.turn = Turn::Listening { since: now },
            Turn::Dictating { .. } if key == '#' => self.message_ends(now),
            Turn::Dictating { began, .. } => self.turn = Turn::Dictating { began, since: now },
            Turn::Keying { .. } => {
                self.transcribe_words(now);
                self.turn = Turn::Keying { ends_at };
            }
            Turn::Hearing if self.expects == Expects::Number => {
                self.transcribe_words(now);
                self.turn = Turn::Keying { ends_at };
            }
            Turn::Deciding(Deciding { guess, .. }) if self.expects == Expects::Number => {
                if guess.is_some() {
                    self.take_back(stream);
                }
                self.ears.end_part();
                self.turn = Turn::Keying { ends_at };
            }
            Turn::Hearing | Turn::Deciding(_) | Turn::Thinking { .. } | Turn::Speaking { .. } | Turn::Silent => {}
        }
    }

    /// Takes the keys for words.
    pub(super) fn read_keys(&mut self) {
        let number: String = self.keys.chars().filter(char::is_ascii_digit).collect();
        if !number.is_empty() {
            let id = self.new_part();
            self.parts.push(Part { id, samples: 0, voiced: Duration::ZERO, text: Some(number) });
        }
    }

    pub(super) fn end_keys(&mut self, now: Instant) {
        self.read_keys();
        if self.ears.is_talking() && self.ears.voiced() >= NOISE {
            self.turn = Turn::Hearing;
            return;
        }
        self.transcribe_words(now);
        match self.parts.is_empty() {
            true if self.ears.is_talking() => self.hear(now),
            true => self.turn = Turn::Listening { since: now },
            false => self.end_keyed(now),
        }
    }

    /// What was said between keys; what is shorter is the tones of the keys, as some telephones send them as well.
    fn transcribe_words(&mut self, now: Instant) {
        if self.ears.voiced() >= NOISE {
            self.transcribe(now, Priority::Final);
        }
        self.ears.end_part();
    }

    /// The caller goes on before a word of the answer was heard: his turn is not over after all.
    pub(super) fn go_on(&mut self, ahead: Option<PartId>, stream: &mut Stream) {
        self.take_back(stream);
        self.resume(ahead);
        self.turn = Turn::Hearing;
    }

    /// As if no answer had been asked for.
    pub(super) fn take_back(&mut self, stream: &mut Stream) {
        self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: None });
        self.silence(stream);
        self.next_expects = None;
        self.turn_id = self.turn_id.next();
    }

    pub(super) fn hear(&mut self, now: Instant) {
        self.turn_started = now;
        self.timeline = Timeline::default();
        self.timeline.note(Moment::SpeechStarted, now);
        self.turn = Turn::Hearing;
    }

    /// The caller goes on after a pause: a long part stands, a short one is transcribed again with what follows.
    pub(super) fn resume(&mut self, ahead: Option<PartId>) {
        self.timeline.reopen();
        let Some(part) = self.parts.pop_if(|p| Some(p.id) == ahead) else { return };
        if self.ears.part_length() >= LONG_PART {
            // How much he has said in this turn counts on.
            self.ears.drop_front(part.samples, Duration::ZERO);
            self.parts.push(part);
        } else {
            self.out.push_back(Output::CancelPart { part: part.id });
        }
    }

    pub(super) fn advance_hearing(&mut self, now: Instant) {
        if let Some(paused_at) = self.paused_at(now) {
            // It is judged first: that is short, and the words take every core there is.
            let ahead = self.ears.part().is_some().then(|| self.new_part());
            self.pause(paused_at, ahead);
            if let Some(part) = ahead {
                self.transcribe_as(now, part, Priority::Final);
            }
        } else if self.ears.part_length() >= MAX_PART {
            self.transcribe(now, Priority::Partial);
            self.ears.end_part();
        }
    }

    /// Since when the caller has paused, if he has.
    pub(super) fn paused_at(&self, now: Instant) -> Option<Instant> {
        let last_voiced = self.ears.last_voiced().unwrap_or(now);
        let silence = now.saturating_duration_since(last_voiced);
        (!self.ears.is_talking() && silence >= self.config.turn.pause()).then_some(last_voiced)
    }

    /// The caller paused, and his words so far are known or will be: it is to be decided whether he has finished.
    pub(super) fn pause(&mut self, paused_at: Instant, ahead: Option<PartId>) {
        self.timeline.note(Moment::SpeechEnded, paused_at);
        let voiced = self.ears.voiced();
        self.turn = Turn::Deciding(Deciding { paused_at, ahead, voiced, complete: None, guess: None });
        if let (Some(part), Some(pcm)) = (ahead, self.ears.part()) {
            let window = WINDOW_S * self.ears.rate().hz() as usize;
            let pcm = pcm.get(pcm.len().saturating_sub(window)..).unwrap_or_default().to_vec();
            self.out.push_back(Output::Judge { part, pcm });
        }
    }

    pub(super) fn transcribe(&mut self, now: Instant, priority: Priority) -> Option<PartId> {
        let id = self.ears.part().is_some().then(|| self.new_part())?;
        self.transcribe_as(now, id, priority);
        Some(id)
    }

    fn transcribe_as(&mut self, now: Instant, id: PartId, priority: Priority) {
        let pcm = self.ears.part().unwrap_or_default().to_vec();
        self.parts.push(Part { id, samples: pcm.len(), voiced: self.ears.voiced(), text: None });
        self.ask_for_text(now, id, pcm, priority);
    }

    pub(super) fn ask_for_text(&mut self, now: Instant, part: PartId, pcm: Vec<i16>, priority: Priority) {
        let languages = match self.call_language {
            CallLanguage::Assumed(_) => self.config.languages.clone(),
            CallLanguage::Settled(language) => vec![language],
        };
        let due = match priority {
            Priority::Final => self.turn_over_at().unwrap_or(now),
            Priority::Partial => now + GIVE_UP_AFTER,
            // The last part of a message is to be there before the wait for it is over.
            Priority::Background => now + self.settles_within() / 2,
        };
        self.out.push_back(Output::Transcribe { part, pcm, languages, priority, due });
    }

    /// When the turn of a caller who pauses is over by what is known before his words: then they are wanted.
    fn turn_over_at(&self) -> Option<Instant> {
        let Turn::Deciding(pause) = self.turn else { return None };
        let (_, silence) = self.evidence(&pause, None).limit(&self.config.turn);
        Some(pause.paused_at + silence)
    }

    pub(super) fn new_part(&mut self) -> PartId {
        let id = PartId(self.next_part);
        self.next_part += 1;
        id
    }

    /// A part was transcribed.
    pub(in crate::call) fn heard(
        &mut self,
        now: Instant,
        id: PartId,
        result: Result<Transcript, String>,
        stream: &mut Stream,
    ) {
        if self.is_probe(id) {
            return self.probed(now, result, stream);
        }
        let Some(part) = self.parts.iter_mut().find(|p| p.id == id) else { return };
        match result {
            Ok(transcript) => {
                part.text = Some(transcript.text.trim().to_owned());
                self.learn_language(&transcript);
            }
            Err(error) => {
                tracing::warn!(%error, "speech could not be transcribed");
                part.text = Some(String::new());
            }
        }
        self.note_machine(now);
        self.answer_when_heard(now);
    }

    /// Enough words tell the caller's language, once for the call.
    pub(super) fn learn_language(&mut self, transcript: &Transcript) {
        if let CallLanguage::Assumed(_) = self.call_language
            && transcript.text.split_whitespace().count() >= TELLING_WORDS
        {
            self.call_language = CallLanguage::Settled(transcript.language);
        }
    }

    pub(super) fn caller_text(&self) -> String {
        let texts: Vec<&str> =
            self.parts.iter().filter_map(|p| p.text.as_deref()).filter(|text| !text.is_empty()).collect();
        texts.join(" ")
    }
}
