//! What the secretary is saying: phrases in order, from text to the last sample on the wire, and how much of each was
//! heard.
//!
//! Voices may deliver phrases at different speeds; the caller hears them in the order in which they were said.

use std::collections::VecDeque;

use crate::rtp::{Rate, Stream};

/// One phrase of a call; the marks of the RTP playout carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhraseId(pub u64);

/// What a phrase is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is part of the answer.
    Answer,
    /// It bridges the time until the answer («Секунду…») and is no part of it.
    Filler,
}

/// How far the voice is with a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synthesis {
    Running,
    Whole,
}

#[derive(Debug)]
struct Phrase {
    id: PhraseId,
    purpose: Purpose,
    text: String,
    synthesis: Synthesis,
    /// Samples that the playout has not taken yet.
    waiting: VecDeque<i16>,
    samples: usize,
    played: usize,
}

impl Phrase {
    /// The words that were heard, judged by the share of the samples that went out.
    fn heard(&self, rate: Rate) -> String {
        if self.played == 0 {
            return String::new();
        }
        // The frame that two phrases share counts for the second.
        if self.synthesis == Synthesis::Whole && self.played + rate.frame_samples() >= self.samples {
            return self.text.clone();
        }
        let words: Vec<&str> = self.text.split_whitespace().collect();
        // While the voice is at work the length is not known: what is there is taken for all of it but one word.
        let total = self.samples.max(self.played).max(1);
        let count = (words.len() * self.played / total).min(words.len().saturating_sub(1));
        words.get(..count).map(|w| w.join(" ")).unwrap_or_default()
    }
}

/// More phrases than any answer has; a dialog that says more is cut.
const MAX_PHRASES: usize = 64;

#[derive(Debug)]
pub struct Mouth {
    rate: Rate,
    phrases: VecDeque<Phrase>,
    next: u64,
}

impl Mouth {
    /// Phrases come at `rate`.
    pub fn new(rate: Rate) -> Self {
        Self { rate, phrases: VecDeque::new(), next: 0 }
    }

    /// Takes a phrase to say after the others. `None` when there are too many.
    pub fn say(&mut self, text: &str, purpose: Purpose) -> Option<PhraseId> {
        if self.phrases.len() >= MAX_PHRASES {
            return None;
        }
        let id = PhraseId(self.next);
        self.next += 1;
        let phrase = Phrase {
            id,
            purpose,
            text: text.to_owned(),
            synthesis: Synthesis::Running,
            waiting: VecDeque::new(),
            samples: 0,
            played: 0,
        };
        match purpose {
            Purpose::Answer => self.phrases.push_back(phrase),
            // A filler goes before everything of which nothing has been synthesised yet.
            Purpose::Filler => {
                let at = self.phrases.iter().position(|p| p.samples == 0).unwrap_or(self.phrases.len());
                self.phrases.insert(at, phrase);
            }
        }
        Some(id)
    }

    /// Takes sound of a phrase; sound of a phrase that was silenced is dropped. Tells the phrase's purpose.
    pub fn sound(&mut self, id: PhraseId, pcm: &[i16]) -> Option<Purpose> {
        let phrase = self.phrases.iter_mut().find(|p| p.id == id)?;
        phrase.waiting.extend(pcm);
        phrase.samples += pcm.len();
        Some(phrase.purpose)
    }

    /// The voice is done with a phrase.
    pub fn synthesised(&mut self, id: PhraseId) {
        if let Some(phrase) = self.phrases.iter_mut().find(|p| p.id == id) {
            phrase.synthesis = Synthesis::Whole;
        }
    }

    /// The voice failed: what it delivered is played, the rest of the phrase is not to be had.
    pub fn failed(&mut self, id: PhraseId) {
        if let Some(phrase) = self.phrases.iter_mut().find(|p| p.id == id) {
            phrase.synthesis = Synthesis::Whole;
            if phrase.samples == 0 {
                self.phrases.retain(|p| p.id != id);
            }
        }
    }

    /// Hands to the playout what it takes, in the phrases' order.
    pub fn feed(&mut self, stream: &mut Stream) {
        for phrase in &mut self.phrases {
            let pcm = phrase.waiting.make_contiguous();
            let taken = stream.play(phrase.id.0, pcm).min(pcm.len());
            phrase.waiting.drain(..taken);
            if phrase.synthesis == Synthesis::Running || !phrase.waiting.is_empty() {
                break;
            }
        }
    }

    /// `samples` of the phrase that carries `mark` went to the wire. Tells the phrase's purpose.
    pub fn played(&mut self, mark: u64, samples: usize) -> Option<Purpose> {
        let phrase = self.phrases.iter_mut().find(|p| p.id.0 == mark)?;
        phrase.played = phrase.played.saturating_add(samples);
        Some(phrase.purpose)
    }

    /// Whether all that was said has been synthesised and handed to the playout.
    pub fn is_empty_of_work(&self) -> bool {
        self.phrases.iter().all(|p| p.synthesis == Synthesis::Whole && p.waiting.is_empty())
    }

    /// Whether there is anything to say but fillers.
    pub fn has_answer(&self) -> bool {
        self.phrases.iter().any(|p| p.purpose == Purpose::Answer)
    }

    /// What the answer says, whole.
    pub fn text(&self) -> String {
        self.join(|p| p.text.clone())
    }

    /// What the caller heard of the answer.
    pub fn heard(&self) -> String {
        self.join(|phrase| phrase.heard(self.rate))
    }

    fn join(&self, part: impl Fn(&Phrase) -> String) -> String {
        let parts: Vec<String> = self
            .phrases
            .iter()
            .filter(|p| p.purpose == Purpose::Answer)
            .map(part)
            .filter(|text| !text.is_empty())
            .collect();
        parts.join(" ")
    }

    /// Forgets the answer: it has been said, or is not to be said any more.
    pub fn clear(&mut self) {
        self.phrases.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_played_was_not_heard() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let first = mouth.say("Мы работаем до шести.", Purpose::Answer).unwrap();
        let second = mouth.say("Чем ещё могу помочь сегодня?", Purpose::Answer).unwrap();
        mouth.sound(first, &[0; 800]);
        mouth.synthesised(first);
        mouth.sound(second, &[0; 1_000]);
        mouth.synthesised(second);
        mouth.played(first.0, 800);
        mouth.played(second.0, 500);
        assert_eq!(mouth.heard(), "Мы работаем до шести. Чем ещё");
        assert_eq!(mouth.text(), "Мы работаем до шести. Чем ещё могу помочь сегодня?");
    }

    #[test]
    fn a_filler_is_no_part_of_the_answer_and_goes_first() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let answer = mouth.say("Добрый день.", Purpose::Answer).unwrap();
        let filler = mouth.say("Секунду…", Purpose::Filler).unwrap();
        assert_eq!(mouth.phrases.front().unwrap().id, filler);
        assert_eq!(mouth.sound(answer, &[1; 10]), Some(Purpose::Answer));
        assert_eq!(mouth.text(), "Добрый день.");
    }

    #[test]
    fn sound_of_a_silenced_phrase_is_dropped() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let phrase = mouth.say("Здравствуйте", Purpose::Answer).unwrap();
        mouth.clear();
        assert_eq!(mouth.sound(phrase, &[1; 10]), None);
        assert!(mouth.is_empty_of_work());
    }

    #[test]
    fn a_dialog_without_end_is_cut() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let said = (0..1_000).filter_map(|_| mouth.say("ещё", Purpose::Answer)).count();
        assert_eq!(said, MAX_PHRASES);
    }
}
