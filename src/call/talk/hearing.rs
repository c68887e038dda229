//! What the caller says or types becomes the words of his turn.

use std::time::{Duration, Instant};

use super::{GIVE_UP_AFTER, NOISE, Part, Talk, Tongue};
use crate::call::timeline::{Moment, Timeline};
use crate::call::turn::{Answer, Filler, Stage, Then, Turn};
use crate::call::{Expects, Output, PartId};
use crate::engine::stt::Transcript;
use crate::rtp::Stream;

/// A part this long is transcribed once and for all when the caller pauses; a shorter one again with what follows.
const LONG_PART: Duration = Duration::from_secs(15);
/// The longest part: Whisper reads 30 s at once.
const MAX_PART: Duration = Duration::from_secs(25);
/// Times in a row that the caller is asked to say it again.
const MAX_MISSES: u8 = 2;
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
            Turn::Deciding { ahead, .. } => {
                self.resume(ahead);
                self.turn = Turn::Hearing;
            }
            Turn::Thinking { stage: Stage::Transcript { .. }, ahead, .. } => self.go_on(ahead, stream),
            // Speech over an answer, or while it is being made, counts when there is enough of it (`advance`).
            Turn::Thinking { .. } | Turn::Speaking { .. } | Turn::Hearing | Turn::Silent => {}
            // Tones of the keys, as some telephones send them as well.
            Turn::Keying { .. } => {}
        }
    }

    /// The caller pressed a key. While a number is awaited, the keys are that number, up to `#` or a pause.
    pub(in crate::call) fn key(&mut self, now: Instant, key: char, stream: &mut Stream) {
        if self.expects == Expects::Number {
            match self.turn {
                Turn::Listening { .. } => self.hear(now),
                Turn::Speaking { answer: Answer::Coming(Then::Listen) | Answer::Whole(Then::Listen) } => {
                    self.interrupt(now, stream);
                    self.hear(now);
                }
                _ => {}
            }
        }
        if self.keys.len() < MAX_KEYS {
            self.keys.push(key);
        }
        let ends_at = if key == '#' { now } else { now + KEYS_PAUSE };
        match self.turn {
            // The caller is there.
            Turn::Listening { .. } => self.turn = Turn::Listening { since: now },
            Turn::Keying { .. } => self.turn = Turn::Keying { ends_at },
            Turn::Hearing if self.expects == Expects::Number => {
                if self.ears.voiced() >= NOISE {
                    self.transcribe();
                }
                self.turn = Turn::Keying { ends_at };
            }
            Turn::Deciding { .. } if self.expects == Expects::Number => self.turn = Turn::Keying { ends_at },
            Turn::Hearing | Turn::Deciding { .. } | Turn::Thinking { .. } | Turn::Speaking { .. } | Turn::Silent => {}
        }
    }

    /// Takes the keys for words.
    pub(super) fn read_keys(&mut self) {
        let number: String = self.keys.chars().filter(char::is_ascii_digit).collect();
        if !number.is_empty() {
            self.parts.push(Part { id: PartId(self.next_part), samples: 0, text: Some(number) });
            self.next_part += 1;
        }
    }

    pub(super) fn end_keys(&mut self, now: Instant) {
        self.read_keys();
        self.ears.end_part();
        match self.parts.is_empty() {
            true => self.turn = Turn::Listening { since: now },
            false => self.end_turn(now, None),
        }
    }

    /// The caller goes on before a word of the answer was heard: his turn is not over after all.
    pub(super) fn go_on(&mut self, ahead: Option<PartId>, stream: &mut Stream) {
        self.out.push_back(Output::CancelReply { turn: self.turn_id, heard: None });
        self.silence(stream);
        self.turn_id = self.turn_id.next();
        self.resume(ahead);
        self.turn = Turn::Hearing;
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
            self.ears.drop_front(part.samples);
            self.parts.push(part);
        } else {
            self.out.push_back(Output::CancelPart { part: part.id });
        }
    }

    pub(super) fn advance_hearing(&mut self, now: Instant) {
        let last_voiced = self.ears.last_voiced().unwrap_or(now);
        if !self.ears.is_talking() && now.saturating_duration_since(last_voiced) >= self.config.turn.pause() {
            self.timeline.note(Moment::SpeechEnded, last_voiced);
            let ahead = self.transcribe();
            let ends_at = last_voiced + self.config.turn.end_silence(self.expects);
            self.turn = Turn::Deciding { ends_at, ahead };
        } else if self.ears.part_length() >= MAX_PART {
            self.transcribe();
            self.ears.end_part();
        }
    }

    pub(super) fn transcribe(&mut self) -> Option<PartId> {
        let pcm = self.ears.part()?.to_vec();
        let id = PartId(self.next_part);
        self.next_part += 1;
        self.parts.push(Part { id, samples: pcm.len(), text: None });
        let languages = match self.tongue {
            Tongue::Assumed(_) => self.config.languages.clone(),
            Tongue::Settled(language) => vec![language],
        };
        self.out.push_back(Output::Transcribe { part: id, pcm, languages });
        Some(id)
    }

    pub(super) fn end_turn(&mut self, now: Instant, ahead: Option<PartId>) {
        self.timeline.note(Moment::TurnEnded, now);
        self.turn = Turn::Thinking {
            stage: Stage::Transcript { voiced: self.ears.voiced() },
            ahead,
            filler: Filler::DueAt(now + self.config.turn.filler_after()),
            give_up_at: now + GIVE_UP_AFTER,
        };
        self.reply_when_heard(now);
    }

    /// A part was transcribed.
    pub(in crate::call) fn heard(&mut self, now: Instant, id: PartId, result: Result<Transcript, String>) {
        let Some(part) = self.parts.iter_mut().find(|p| p.id == id) else { return };
        match result {
            Ok(transcript) => {
                let text = transcript.text.trim().to_owned();
                if let Tongue::Assumed(_) = self.tongue
                    && text.split_whitespace().count() >= TELLING_WORDS
                {
                    self.tongue = Tongue::Settled(transcript.language);
                }
                part.text = Some(text);
            }
            Err(error) => {
                tracing::warn!(%error, "speech could not be transcribed");
                part.text = Some(String::new());
            }
        }
        self.reply_when_heard(now);
    }

    pub(super) fn caller_text(&self) -> String {
        let texts: Vec<&str> =
            self.parts.iter().filter_map(|p| p.text.as_deref()).filter(|text| !text.is_empty()).collect();
        texts.join(" ")
    }

    pub(super) fn reply_when_heard(&mut self, now: Instant) {
        let Turn::Thinking { stage: Stage::Transcript { voiced }, ahead, filler, give_up_at } = self.turn else {
            return;
        };
        if self.parts.iter().any(|p| p.text.is_none()) {
            return;
        }
        self.timeline.note(Moment::Transcribed, now);
        let text = self.caller_text();
        if text.is_empty() {
            return self.unheard(now, voiced);
        }
        self.misses = 0;
        self.silence_prompts = 0;
        self.turn = Turn::Thinking { stage: Stage::Reply(Answer::Coming(Then::Listen)), ahead, filler, give_up_at };
        self.out.push_back(Output::Reply { turn: self.turn_id, text, language: self.language() });
    }

    /// There was speech, but no words.
    pub(super) fn unheard(&mut self, now: Instant, voiced: Duration) {
        if voiced < NOISE || self.misses >= MAX_MISSES {
            self.parts.clear();
            self.ears.end_part();
            self.mouth.clear();
            self.out.push_back(Output::Silence);
            self.turn = Turn::Listening { since: self.quiet_since };
            return;
        }
        self.misses += 1;
        let line = self.script.lines(self.language()).not_heard.clone();
        self.say(now, &line, Then::Listen);
    }
}
