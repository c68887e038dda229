//! Whisper's encoder and decoder, a step at a time: what is heard is encoded once, then written in as many ways as it takes.
//!
//! whisper.cpp's own loop encodes again for the language and for every further attempt, cannot be stopped in a loop of
//! words, and takes its probability of "no speech" from the scores of the utterance before. The rules for timestamps are
//! OpenAI's (github.com/openai/whisper, whisper/decoding.py). Of the tokens that it suppresses, brackets, notes and the like are
//! written here: `hallucination` tells the names of sounds by them. Greedy. Left out: beam search, temperatures, translation.

use std::ffi::c_int;
use std::sync::Arc;

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperError, WhisperState, WhisperTokenId};

use super::{SttError, stop_if};
use crate::engine::{Cancel, Language};

/// The model's own 30 s, in positions of the encoder.
pub const FULL_CONTEXT: usize = 1_500;
/// whisper.cpp takes no sound up to this many samples, 0.11 s.
pub const TOO_SHORT: usize = 1_760;
/// Seconds between two timestamps.
const TIMESTAMP_S: f32 = 0.02;
/// The first words begin within a second.
const LATEST_BEGIN: usize = 50;
/// The same tokens over and over are a loop when they fill this many places, at least so many times.
const LOOP_TOKENS: usize = 24;
const LOOP_TIMES: usize = 4;
/// What is so much less likely than the likeliest does not count in a sum of probabilities.
const NEGLIGIBLE: f32 = 16.0;
/// A timestamp at least so probable beside a word tells when the word begins.
const PLACED: f32 = 0.01;

/// What is heard before a word is written.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Probability that nobody speaks.
    pub no_speech: f32,
    pub ru: f32,
    pub en: f32,
    /// Tokens in front of the language's.
    past: usize,
}

impl Heard {
    /// The probability of a language among all that Whisper knows.
    pub fn probability(&self, language: Language) -> f32 {
        match language {
            Language::Ru => self.ru,
            Language::En => self.en,
        }
    }
}

/// A token of the text, or a timestamp.
#[derive(Debug, Clone, Copy)]
pub enum Token {
    Text {
        id: WhisperTokenId,
        /// When it begins, if that is known.
        start_s: Option<f32>,
    },
    Time(f32),
}

/// A text as the decoder wrote it.
#[derive(Debug, Default)]
pub struct Written {
    pub tokens: Vec<Token>,
    /// Mean over all tokens of the logarithm of their probabilities.
    pub log_probability: f32,
    /// It repeated itself, or went on for longer than anybody speaks, and was stopped.
    pub looped: bool,
}

/// One worker's state on the weights.
pub struct Decoder {
    context: Arc<WhisperContext>,
    state: WhisperState,
    /// What the state encodes at the moment, in positions; 0 before the first run.
    audio_context: usize,
    specials: Specials,
    /// Scores of the last token, with what may not follow taken out.
    scores: Vec<f32>,
}

/// Tokens with a meaning of their own.
struct Specials {
    end: WhisperTokenId,
    start: WhisperTokenId,
    previous: WhisperTokenId,
    transcribe: WhisperTokenId,
    no_speech: usize,
    /// The first timestamp; all after it are timestamps too.
    time: usize,
    ru: WhisperTokenId,
    en: WhisperTokenId,
    /// First and one after the last.
    languages: (usize, usize),
    space: Option<usize>,
}

impl Specials {
    fn of(context: &WhisperContext) -> Self {
        let language = |code: &str| context.token_lang(whisper_rs::get_lang_id(code).unwrap_or_default());
        let start = context.token_sot();
        Self {
            end: context.token_eot(),
            start,
            previous: context.token_prev(),
            transcribe: context.token_transcribe(),
            no_speech: index(context.token_nosp()),
            time: index(context.token_beg()),
            ru: language("ru"),
            en: language("en"),
            languages: (index(start) + 1, index(context.token_translate())),
            space: context.tokenize(" ", 4).ok().and_then(|tokens| tokens.first().map(|&token| index(token))),
        }
    }

    fn language(&self, language: Language) -> WhisperTokenId {
        match language {
            Language::Ru => self.ru,
            Language::En => self.en,
        }
    }
}

fn index(token: WhisperTokenId) -> usize {
    usize::try_from(token).unwrap_or_default()
}

impl Decoder {
    pub fn new(context: Arc<WhisperContext>) -> Result<Self, WhisperError> {
        let state = context.create_state()?;
        let specials = Specials::of(&context);
        Ok(Self { context, state, audio_context: 0, specials, scores: Vec::new() })
    }

    /// Encodes a sound at 16 kHz, longer than [`TOO_SHORT`], of which it sees `positions` (50 a second).
    pub fn encode(&mut self, pcm: &[f32], positions: usize, threads: usize, cancel: &Cancel) -> Result<(), SttError> {
        let positions = positions.clamp(1, FULL_CONTEXT);
        if self.audio_context != positions {
            // Only a whole run sets it, and a run on so little does nothing else.
            let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
            params.set_audio_ctx(c_int::try_from(positions).unwrap_or(0));
            params.set_print_progress(false);
            self.state.full(params, &[0.0; TOO_SHORT])?;
            self.audio_context = positions;
        }
        self.state.pcm_to_mel(pcm, threads)?;
        stop_if(cancel)?;
        self.state.encode(0, threads)?;
        stop_if(cancel)
    }

    /// Reads the prompt, and tells from what was encoded whether anybody speaks and in which language.
    pub fn begin(&mut self, prompt: &[WhisperTokenId]) -> Result<Heard, SttError> {
        let mut past = 0;
        if !prompt.is_empty() {
            let prompt = [&[self.specials.previous], prompt].concat();
            self.state.decode(&prompt, 0, 1)?;
            past = prompt.len();
        }
        self.state.decode(&[self.specials.start], past, 1)?;
        let scores = self.state.get_logits()?;
        let all = log_sum(scores.iter());
        let (first, end) = self.specials.languages;
        let languages = log_sum(scores.get(first..end).unwrap_or_default().iter());
        let probability = |token: usize, of: f32| scores.get(token).map_or(0.0, |&score| (score - of).exp());
        Ok(Heard {
            no_speech: probability(self.specials.no_speech, all),
            ru: probability(index(self.specials.ru), languages),
            en: probability(index(self.specials.en), languages),
            past: past + 1,
        })
    }

    /// Writes what was encoded, in one language, up to so many tokens.
    pub fn write(
        &mut self,
        heard: Heard,
        language: Language,
        max_tokens: usize,
        cancel: &Cancel,
    ) -> Result<Written, SttError> {
        let mut past = heard.past;
        self.step(self.specials.language(language), &mut past, cancel)?;
        self.step(self.specials.transcribe, &mut past, cancel)?;
        let mut written = Written::default();
        let mut text = Vec::new();
        let (mut sum, mut count) = (0.0, 0.0);
        // Half of the decoder's memory is for the prompt.
        for _ in 0..max_tokens.min(index(self.context.n_text_ctx()) / 2 - 4) {
            let (token, log_probability, start_s) = self.next(&written.tokens)?;
            (sum, count) = (sum + log_probability, count + 1.0);
            if token == self.specials.end {
                written.log_probability = sum / count;
                return Ok(written);
            }
            if index(token) >= self.specials.time {
                written.tokens.push(Token::Time((index(token) - self.specials.time) as f32 * TIMESTAMP_S));
            } else {
                written.tokens.push(Token::Text { id: token, start_s });
                text.push(token);
                if loops(&text) {
                    break;
                }
            }
            self.step(token, &mut past, cancel)?;
        }
        written.looped = true;
        written.log_probability = sum / f32::max(count, 1.0);
        Ok(written)
    }

    /// Writes just so many tokens, whatever was encoded: what a text of that length costs.
    pub fn write_anything(
        &mut self,
        heard: Heard,
        language: Language,
        tokens: usize,
        cancel: &Cancel,
    ) -> Result<(), SttError> {
        let mut past = heard.past;
        self.step(self.specials.language(language), &mut past, cancel)?;
        self.step(self.specials.transcribe, &mut past, cancel)?;
        for _ in 0..tokens {
            // What follows nothing is not the end.
            let (token, ..) = self.next(&[])?;
            self.step(token, &mut past, cancel)?;
        }
        Ok(())
    }

    pub fn bytes(&self, token: WhisperTokenId) -> &[u8] {
        self.context.token_to_bytes(token).unwrap_or_default()
    }

    fn step(&mut self, token: WhisperTokenId, past: &mut usize, cancel: &Cancel) -> Result<(), SttError> {
        stop_if(cancel)?;
        self.state.decode(&[token], *past, 1)?;
        *past += 1;
        Ok(())
    }

    /// The likeliest token that may follow, the logarithm of its probability, and the time that would stand here.
    fn next(&mut self, written: &[Token]) -> Result<(WhisperTokenId, f32, Option<f32>), SttError> {
        let specials = &self.specials;
        let scores = &mut self.scores;
        scores.clear();
        scores.extend_from_slice(self.state.get_logits()?);
        let (end, time) = (index(specials.end), specials.time);
        let all = scores.len();
        let mut forbid = |from: usize, to: usize| {
            if let Some(range) = scores.get_mut(from..to) {
                range.fill(f32::NEG_INFINITY);
            }
        };
        // Start, languages, tasks, previous, no speech, no timestamps.
        forbid(end + 1, time);
        if written.is_empty() {
            forbid(end, end + 1);
            specials.space.inspect(|&space| forbid(space, space + 1));
            forbid(time + LATEST_BEGIN + 1, all);
        }
        // Times come in pairs, a part's end and the next one's beginning, and never go back.
        let last = written.iter().rev().find_map(|token| match *token {
            Token::Time(s) => Some(time + (s / TIMESTAMP_S).round() as usize),
            Token::Text { .. } => None,
        });
        match written {
            [.., Token::Time(_), Token::Time(_)] | [Token::Time(_)] => forbid(time, all),
            [.., Token::Time(_)] => forbid(0, end),
            _ => {}
        }
        if let Some(last) = last {
            forbid(time, last);
        }
        let (words, times) = self.scores.split_at(time.min(all));
        let (word, word_score) = highest(words);
        let (when, when_score) = highest(times);
        let total = log_sum(self.scores.iter());
        if log_sum(times.iter()) > word_score {
            return Ok((token(time + when), when_score - total, None));
        }
        let start_s = ((when_score - total).exp() >= PLACED).then_some(when as f32 * TIMESTAMP_S);
        Ok((token(word), word_score - total, start_s))
    }
}

fn token(index: usize) -> WhisperTokenId {
    WhisperTokenId::try_from(index).unwrap_or_default()
}

fn highest(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (n, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (n, score);
        }
    }
    best
}

/// The logarithm of the sum of their exponentials.
fn log_sum<'a>(scores: impl Iterator<Item = &'a f32> + Clone) -> f32 {
    let most = scores.clone().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    let near = scores.filter(|&&score| score > most - NEGLIGIBLE);
    most + near.map(|score| (score - most).exp()).sum::<f32>().ln()
}

/// Whether a text ends in a phrase said over and over.
fn loops(text: &[WhisperTokenId]) -> bool {
    (1..=text.len() / LOOP_TIMES).any(|len| {
        let times = LOOP_TIMES.max(LOOP_TOKENS.div_ceil(len));
        let mut phrases = text.rchunks_exact(len).take(times);
        let Some(last) = phrases.next() else { return false };
        phrases.len() + 1 == times && phrases.all(|phrase| phrase == last)
    })
}

impl From<WhisperError> for SttError {
    fn from(error: WhisperError) -> Self {
        SttError::Model(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_over_and_over_is_a_loop() {
        let phrase = [5, 6, 7, 8, 9, 10];
        assert!(!loops(&phrase.repeat(3)));
        assert!(loops(&phrase.repeat(4)));
        assert!(loops(&[&[1, 2, 3][..], &phrase.repeat(4)].concat()));
        assert!(!loops(&[4; 23]));
        assert!(loops(&[4; 24]));
        // A telephone number with the same digit six times, each of three tokens.
        assert!(!loops(&[1, 2, 3].repeat(6)));
        assert!(!loops(&[]));
    }

    #[test]
    fn sum_of_probabilities_is_that_of_all() {
        let scores = [1.0_f32, 2.0, 3.0, f32::NEG_INFINITY, -100.0];
        let exact = (1f32.exp() + 2f32.exp() + 3f32.exp()).ln();
        assert!((log_sum(scores.iter()) - exact).abs() < 1e-5);
        assert_eq!(log_sum([f32::NEG_INFINITY].iter()), f32::NEG_INFINITY);
    }
}
