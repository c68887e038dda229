//! What the secretary is saying: phrases in order, from text to the last sample on the wire, and how much of each was
//! heard.
//!
//! Voices may deliver phrases at different speeds; the caller hears them in the order in which they were said.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::rtp::{Rate, Stream};

/// So much the playout has of a phrase beforehand, 400 ms: more than a call ever comes too late. The rest stays where it
/// is, which for what is often said is one place for all calls.
const LEAD_FRAMES: usize = 20;

/// A sample that can be heard: -46 dB of full scale.
const AUDIBLE: u16 = 160;
/// What is left before the first of those: 10 ms, in samples at 8 kHz.
const MARGIN_SAMPLES: usize = 80;

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
    /// What the playout has not taken yet, and what it has of the first of it, in samples.
    waiting: VecDeque<Arc<[i16]>>,
    taken: usize,
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
    /// Samples of phrases that are over, or came too late.
    unheard: usize,
}

impl Mouth {
    /// Phrases come at `rate`.
    pub fn new(rate: Rate) -> Self {
        Self { rate, phrases: VecDeque::new(), next: 0, unheard: 0 }
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
            taken: 0,
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

    /// Takes sound of a phrase; sound of a phrase that was silenced is dropped. The silence that a voice begins with is left out
    /// of the first: somebody waits. Tells the phrase's purpose.
    pub fn sound(&mut self, id: PhraseId, pcm: Arc<[i16]>) -> Option<Purpose> {
        let is_awaited = self.phrases.iter().all(|p| p.samples == 0);
        let margin = self.rate.scaled(MARGIN_SAMPLES);
        let Some(phrase) = self.phrases.iter_mut().find(|p| p.id == id) else {
            self.unheard += pcm.len();
            return None;
        };
        let first = pcm.iter().position(|sample| sample.unsigned_abs() >= AUDIBLE).filter(|_| is_awaited);
        let silent = first.map_or(0, |first| first.saturating_sub(margin));
        phrase.taken += silent;
        phrase.samples += pcm.len() - silent;
        phrase.waiting.push_back(pcm);
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

    /// Hands to the playout what it needs soon, in the phrases' order. To be called each 20 ms.
    pub fn feed(&mut self, stream: &mut Stream) {
        for phrase in &mut self.phrases {
            while let Some(pcm) = phrase.waiting.front() {
                let rest = pcm.get(phrase.taken..).unwrap_or_default();
                let room = (LEAD_FRAMES * self.rate.frame_samples()).saturating_sub(stream.queued());
                phrase.taken += stream.play(phrase.id.0, rest.get(..room).unwrap_or(rest));
                if phrase.taken < pcm.len() {
                    return;
                }
                phrase.waiting.pop_front();
                phrase.taken = 0;
            }
            if phrase.synthesis == Synthesis::Running {
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

    /// Whether there is sound of it.
    pub fn has_sound(&self) -> bool {
        self.phrases.iter().any(|p| p.purpose == Purpose::Answer && p.samples > 0)
    }

    /// Whether any of it went to the wire.
    pub fn is_heard(&self) -> bool {
        self.phrases.iter().any(|p| p.purpose == Purpose::Answer && p.played > 0)
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
        self.unheard += self.phrases.drain(..).map(|p| p.samples.saturating_sub(p.played)).sum::<usize>();
    }

    /// Sound that was made and is not heard any more.
    pub fn unheard(&self) -> Duration {
        Duration::from_secs_f64(self.unheard as f64 / f64::from(self.rate.hz()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::rtp::codec::{Codec, OpusTerms};
    use crate::rtp::packet::{RtpTimestamp, Seq, Ssrc};
    use crate::rtp::rtcp::{NtpTime, RtcpStart};
    use crate::rtp::{FRAME_DURATION, Output, StreamConfig};
    use std::time::Instant;

    fn stream(now: Instant) -> Stream {
        let config = StreamConfig {
            rate: Rate::Narrow,
            opus: OpusTerms::default(),
            remote: ([192, 0, 2, 1], 4_000).into(),
            codec: Codec::Pcma,
            payload_type: 8,
            accepted: Vec::new(),
            events: None,
            ssrc: Ssrc(1),
            first_seq: Seq(1),
            first_timestamp: RtpTimestamp(1),
            rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: 1 },
        };
        Stream::new(now, config)
    }

    #[test]
    fn what_was_not_played_was_not_heard() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let first = mouth.say("Мы работаем до шести.", Purpose::Answer).unwrap();
        let second = mouth.say("Чем ещё могу помочь сегодня?", Purpose::Answer).unwrap();
        mouth.sound(first, [0; 800].into());
        mouth.synthesised(first);
        mouth.sound(second, [0; 1_000].into());
        mouth.synthesised(second);
        mouth.played(first.0, 800);
        mouth.played(second.0, 500);
        assert_eq!(mouth.heard(), "Мы работаем до шести. Чем ещё");
        assert_eq!(mouth.text(), "Мы работаем до шести. Чем ещё могу помочь сегодня?");
    }

    #[test]
    fn what_is_said_stays_in_its_one_place_until_it_is_needed() {
        let mut now = clock::now();
        let (mut mouth, mut stream) = (Mouth::new(Rate::Narrow), stream(now));
        let often_said: Arc<[i16]> = (1_000..11_000).map(|n| n as i16).collect();
        let first = mouth.say("Добрый день.", Purpose::Answer).unwrap();
        mouth.sound(first, Arc::clone(&often_said));
        mouth.sound(first, [-1; 100].into());
        mouth.synthesised(first);
        mouth.feed(&mut stream);
        assert_eq!((stream.queued(), Arc::strong_count(&often_said)), (LEAD_FRAMES * Rate::Narrow.frame_samples(), 2));
        let mut played = Vec::new();
        while !mouth.is_empty_of_work() || stream.is_playing() {
            stream.handle_timeout(now);
            now += FRAME_DURATION;
            while let Some(output) = stream.poll_output() {
                if let Output::Tick { sent, .. } = output {
                    played.extend(sent);
                }
            }
            mouth.feed(&mut stream);
        }
        assert_eq!(Arc::strong_count(&often_said), 1);
        assert_eq!(played[..10_000], often_said[..]);
        assert_eq!(played[10_000..10_100], [-1; 100]);
    }

    #[test]
    fn the_silence_that_a_voice_begins_with_is_left_out_where_somebody_waits() {
        let mut now = clock::now();
        let (mut mouth, mut stream) = (Mouth::new(Rate::Narrow), stream(now));
        let spoken: Arc<[i16]> = [vec![20; 1_000], vec![3_000; 800]].concat().into();
        let first = mouth.say("Добрый день.", Purpose::Answer).unwrap();
        let second = mouth.say("Слушаю вас.", Purpose::Answer).unwrap();
        for phrase in [first, second] {
            mouth.sound(phrase, Arc::clone(&spoken));
            mouth.synthesised(phrase);
        }
        let mut played = Vec::new();
        while !mouth.is_empty_of_work() || stream.is_playing() {
            mouth.feed(&mut stream);
            stream.handle_timeout(now);
            now += FRAME_DURATION;
            while let Some(output) = stream.poll_output() {
                if let Output::Tick { sent, mark, .. } = output {
                    played.extend_from_slice(&sent);
                    mark.map(|mark| mouth.played(mark, sent.len()));
                }
            }
        }
        let loud = played.iter().position(|sample| *sample == 3_000).unwrap();
        assert_eq!(loud % Rate::Narrow.frame_samples(), MARGIN_SAMPLES, "10 ms before the first word");
        let pause = played[loud..].iter().skip_while(|sample| **sample == 3_000).take_while(|sample| **sample == 20);
        assert_eq!(pause.count(), 1_000, "what is between two sentences stays");
        assert_eq!(mouth.heard(), mouth.text());
    }

    #[test]
    fn a_filler_is_no_part_of_the_answer_and_goes_first() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let answer = mouth.say("Добрый день.", Purpose::Answer).unwrap();
        let filler = mouth.say("Секунду…", Purpose::Filler).unwrap();
        assert_eq!(mouth.phrases.front().unwrap().id, filler);
        assert_eq!(mouth.sound(answer, [1; 10].into()), Some(Purpose::Answer));
        assert_eq!(mouth.text(), "Добрый день.");
    }

    #[test]
    fn sound_of_a_silenced_phrase_is_dropped() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let phrase = mouth.say("Здравствуйте", Purpose::Answer).unwrap();
        mouth.clear();
        assert_eq!(mouth.sound(phrase, [1; 10].into()), None);
        assert!(mouth.is_empty_of_work());
    }

    #[test]
    fn a_dialog_without_end_is_cut() {
        let mut mouth = Mouth::new(Rate::Narrow);
        let said = (0..1_000).filter_map(|_| mouth.say("ещё", Purpose::Answer)).count();
        assert_eq!(said, MAX_PHRASES);
    }
}
