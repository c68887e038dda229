//! Whisper (Radford et al. 2022, arXiv:2212.04356) by whisper.cpp: one set of weights, a state for each worker.
//!
//! Whisper looks at 30 s at a time, and its encoder costs the same for one word as for all of them. So an utterance is shown
//! a shorter context; a text that shows that it was too short for it, because it repeats itself or is improbable or empty,
//! is decoded once more with the full one. `cargo bench --bench recognition` has the figures behind the numbers here.
//!
//! Left out: beam search, higher temperatures (up to six passes), translation, carrying text from one window of a long
//! recording to the next.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use whisper_rs::{WhisperContext, WhisperContextParameters, WhisperError, WhisperTokenId};

use super::decoder::{Decoder, FULL_CONTEXT, Heard, TOO_SHORT, Token, Written};
use super::windows::windows;
use super::{Caught, ORDINARY_S, Recognizer, Segment, SttConfig, SttError, SttJob, Transcript, Why, Word};
use super::{hallucination, models, noise, repetition, text};
use crate::engine::{Cancel, Language, cores};
use crate::rtp::codec::resample::resample;

const RATE_HZ: u32 = noise::RATE_HZ;
/// Encoder positions per second of audio.
const CONTEXT_PER_S: usize = 50;
/// Silence that the encoder sees after the sound, in positions: with less of it, digits of long numbers are lost.
const CONTEXT_AFTER: usize = 300;
/// whisper.cpp multiplies matrices of such a length a sixth faster than those in between.
const CONTEXT_STEP: usize = 32;
/// Below this many positions errors become more.
const MIN_CONTEXT: usize = 448;

/// Nobody says more tokens in a second, times included; what is longer is a loop.
const TOKENS_PER_S: usize = 14;
const TOKENS_AT_LEAST: usize = 24;
/// Of an ordinary utterance.
const ORDINARY_TOKENS: usize = 20;
/// What Whisper reads of a prompt.
const PROMPT_TOKENS: usize = 223;

/// OpenAI's limits for a text that is to be believed: mean logarithm of its tokens' probabilities, compression ratio.
const MIN_LOG_PROBABILITY: f32 = -1.0;
const MAX_COMPRESSION: f32 = 2.4;
/// Silence when nobody seems to speak, unless the text is more probable than the limit above.
const NO_SPEECH: f32 = 0.6;
/// From here on a text that is doubted all the same, or is nothing but terms, is not taken for speech.
const PERHAPS_NO_SPEECH: f32 = 0.3;
/// A language below this is not taken without a look at the other.
const SURE_OF_LANGUAGE: f32 = 0.5;

/// Sound is looked at in pieces of this length to find where it is quiet, which is so far below the loudest piece.
const PIECE: usize = RATE_HZ as usize / 50;
const QUIET_DB: f32 = 35.0;
/// Kept of the quiet before and after what is louder, in pieces.
const MARGIN: usize = 15;
/// One piece in so many may be louder than what counts as the loudest.
const LOUDER: usize = 20;

/// The weights, ready for workers.
pub struct Model {
    context: Arc<WhisperContext>,
    threads: usize,
    noise_suppression: bool,
    /// The terms of the business, as tokens.
    prompt: Arc<[WhisperTokenId]>,
    /// The words of the terms, as they are compared.
    terms: Arc<[String]>,
}

impl Model {
    /// # Errors
    /// [`SttError::Load`] when the file is missing, damaged, or knows only English.
    pub fn load(config: &SttConfig) -> Result<Self, SttError> {
        let path = config.model.as_path();
        let failed = |reason: String| SttError::Load { path: path.to_owned(), reason, remedy: models::remedy(path) };
        if !path.is_file() {
            return Err(failed("no such file".into()));
        }
        #[cfg(target_arch = "x86_64")]
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")) {
            return Err(failed(
                "this processor has no AVX2, which recognition is built for; build with GGML_NATIVE=ON".into(),
            ));
        }
        // Without a sink compiled in, this only keeps whisper.cpp's chatter off stderr.
        whisper_rs::install_logging_hooks();
        let context = Arc::new(open(path).map_err(|e| failed(e.to_string()))?);
        if !context.is_multilingual() {
            return Err(failed("it knows only English; take a model without .en in its name".into()));
        }
        let SttConfig { threads, noise_suppression, .. } = *config;
        let prompt = prompt(&context, &config.terms).into();
        let terms = config.terms.iter().flat_map(|term| keys(term)).collect();
        Ok(Self { context, threads: threads.max(1), noise_suppression, prompt, terms })
    }

    /// A recogniser with its own state, warmed up.
    ///
    /// # Errors
    /// [`SttError::Model`] when there is no memory for it.
    pub fn worker(&self) -> Result<Whisper, SttError> {
        let decoder = Decoder::new(Arc::clone(&self.context))?;
        let Self { noise_suppression, threads, .. } = *self;
        let (prompt, terms) = (Arc::clone(&self.prompt), Arc::clone(&self.terms));
        let mut whisper = Whisper { decoder, threads, noise_suppression, prompt, terms };
        // The first run allocates.
        whisper.decoder.encode(&[0.0; RATE_HZ as usize], FULL_CONTEXT, threads, &Cancel::default())?;
        let heard = whisper.decoder.begin(&[])?;
        whisper.decoder.write(heard, Language::En, 1, &Cancel::default())?;
        Ok(whisper)
    }
}

/// On the graphics card where the program was built for one and it answers.
fn open(path: &Path) -> Result<WhisperContext, WhisperError> {
    let mut parameters = WhisperContextParameters::default();
    #[cfg(feature = "cuda")]
    if has_cuda_device() {
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default());
        match context.and_then(|context| context.create_state().map(|_| context)) {
            Ok(context) => return Ok(context),
            Err(error) => {
                tracing::warn!(%error, "the CUDA device refuses the model: the processor recognises speech");
            }
        }
    } else {
        tracing::warn!("no CUDA device answers: the processor recognises speech");
    }
    parameters.use_gpu(false);
    WhisperContext::new_with_params(path, parameters)
}

/// Whether whisper.cpp sees one. It would take the processor without a word if not: where there is no card or no driver, but also
/// where the driver is too old or a container was not given the card.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "whisper-rs cannot be asked")]
fn has_cuda_device() -> bool {
    use whisper_rs::whisper_rs_sys::{
        ggml_backend_dev_by_type as device, ggml_backend_dev_type_GGML_BACKEND_DEVICE_TYPE_GPU as GPU,
    };
    // SAFETY: it takes a number, and the pointer that it returns is not followed.
    !unsafe { device(GPU) }.is_null()
}

/// The terms as a text that might have come before, as far as it fits.
fn prompt(context: &WhisperContext, terms: &[String]) -> Vec<WhisperTokenId> {
    let tokens = |terms: &[String]| {
        let text = format!(" {}.", terms.join(", "));
        // Room for a token per byte: whisper-rs 0.16 writes past the end of a vector that is too short.
        context.tokenize(&text, text.len()).ok().filter(|tokens| tokens.len() <= PROMPT_TOKENS)
    };
    let fitting = (1..=terms.len()).map_while(|n| tokens(terms.get(..n)?).map(|tokens| (n, tokens))).last();
    let (kept, tokens) = fitting.unwrap_or_default();
    if let Some(left_out @ [_, ..]) = terms.get(kept..) {
        tracing::warn!(terms = left_out.join(", "), "[stt] terms are more than the recogniser can read: left out");
    }
    tokens
}

/// A worker's recogniser.
pub struct Whisper {
    decoder: Decoder,
    threads: usize,
    noise_suppression: bool,
    prompt: Arc<[WhisperTokenId]>,
    terms: Arc<[String]>,
}

impl Recognizer for Whisper {
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
        #[expect(clippy::disallowed_methods, reason = "measures the work of this thread")]
        let started = Instant::now();
        let mut language = None;
        let mut segments = Vec::new();
        let mut caught = Vec::new();
        let (mut log_probability, mut language_probability) = (0.0_f32, 1.0_f32);
        for window in windows(&job.pcm, job.rate_hz) {
            let start_s = window.start as f32 / job.rate_hz as f32;
            let mut pcm = resample(&window.pcm, job.rate_hz, RATE_HZ)?;
            if self.noise_suppression {
                noise::suppress(&mut pcm);
            }
            let pcm: Vec<f32> = pcm.iter().map(|&s| f32::from(s) / 32_768.0).collect();
            let loud = loud(&pcm);
            let start_s = start_s + loud.start as f32 / RATE_HZ as f32;
            let pcm = pcm.get(loud).unwrap_or_default();
            if job.languages.is_empty() {
                return Err(SttError::NoLanguage);
            }
            if pcm.len() <= TOO_SHORT {
                continue;
            }
            let allowed = language.map_or(job.languages.clone(), |language| vec![language]);
            let found = self.window(pcm, &allowed, &job.cancel)?;
            // Silence in front of a recording tells nothing of its language.
            if !found.segments.is_empty() {
                language = Some(found.language);
                log_probability = log_probability.min(found.log_probability);
                language_probability = language_probability.min(found.language_probability);
            }
            segments.extend(found.segments.into_iter().map(|segment| segment.later_by(start_s)));
            caught.extend(found.caught);
        }
        for Caught { text, why } in &caught {
            tracing::debug!(text, ?why, "caught");
        }
        let text = text(&segments);
        let language = language.or(job.languages.first().copied()).ok_or(SttError::NoLanguage)?;
        let audio_s = job.pcm.len() as f32 / job.rate_hz as f32;
        let processing_s = started.elapsed().as_secs_f32();
        Ok(Transcript {
            text,
            language,
            segments,
            caught,
            log_probability,
            language_probability,
            audio_s,
            processing_s,
        })
    }

    /// Of silence nothing would be written, and perhaps with the full context.
    fn rehearse(&mut self) -> Result<(), SttError> {
        let mut cores = cores::take(self.threads);
        let cancel = Cancel::default();
        self.decoder.encode(&[0.0; (ORDINARY_S * RATE_HZ) as usize], MIN_CONTEXT, cores.count(), &cancel)?;
        cores.keep_one();
        let heard = self.decoder.begin(&self.prompt)?;
        self.decoder.write_anything(heard, Language::En, ORDINARY_TOKENS, &cancel)
    }
}

/// What one attempt at a window gave.
struct Found {
    language: Language,
    segments: Vec<Segment>,
    caught: Vec<Caught>,
    log_probability: f32,
    language_probability: f32,
    no_speech: f32,
    /// Why it is not to be believed.
    doubt: Option<Why>,
}

impl Found {
    /// The better of two attempts comes first: believed before doubted, words before none, then the more probable.
    fn rank(&self) -> (bool, bool, f32) {
        (self.doubt.is_none(), !self.segments.is_empty(), self.log_probability)
    }

    fn better(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl Whisper {
    /// Recognises at most 30 s in one of the languages.
    fn window(&mut self, pcm: &[f32], allowed: &[Language], cancel: &Cancel) -> Result<Found, SttError> {
        let needed = (pcm.len() * CONTEXT_PER_S).div_ceil(RATE_HZ as usize) + CONTEXT_AFTER;
        let context = needed.next_multiple_of(CONTEXT_STEP).clamp(MIN_CONTEXT, FULL_CONTEXT);
        let found = self.attempt(pcm, context, allowed, cancel)?;
        // A text that is nothing but names of sounds stays that however much is looked at.
        let settled = found.doubt.is_none_or(|why| matches!(why, Why::NoSpeech | Why::Terms))
            || (found.segments.is_empty() && !found.caught.is_empty());
        if settled || context == FULL_CONTEXT {
            return Ok(found.settled());
        }
        tracing::debug!(context, why = ?found.doubt, "decoding again with the full context");
        Ok(self.attempt(pcm, FULL_CONTEXT, allowed, cancel)?.better(found).settled())
    }

    fn attempt(
        &mut self,
        pcm: &[f32],
        context: usize,
        allowed: &[Language],
        cancel: &Cancel,
    ) -> Result<Found, SttError> {
        let mut cores = cores::take(self.threads);
        self.decoder.encode(pcm, context, cores.count(), cancel)?;
        // A token is bound by memory: a second core is of no use to it.
        cores.keep_one();
        let heard = self.decoder.begin(&self.prompt)?;
        let mut allowed = allowed.to_vec();
        allowed.sort_by(|&a, &b| heard.probability(b).total_cmp(&heard.probability(a)));
        let mut best: Option<Found> = None;
        for language in allowed {
            let audio_s = pcm.len() as f32 / RATE_HZ as f32;
            let max_tokens = TOKENS_AT_LEAST + pcm.len() * TOKENS_PER_S / RATE_HZ as usize;
            let written = self.decoder.write(heard, language, max_tokens, cancel)?;
            let found = self.found(&written, heard, language, audio_s);
            tracing::debug!(
                context,
                %language,
                p = heard.probability(language),
                no_speech = heard.no_speech,
                log_probability = found.log_probability,
                doubt = ?found.doubt,
                text = text(&found.segments),
                "heard"
            );
            let found = match best {
                Some(best) => best.better(found),
                None => found,
            };
            let sure = heard.probability(language) >= SURE_OF_LANGUAGE && found.doubt.is_none();
            if sure && !found.segments.is_empty() {
                return Ok(found);
            }
            best = Some(found);
        }
        best.ok_or(SttError::NoLanguage)
    }

    /// What is to be made of a text.
    fn found(&self, written: &Written, heard: Heard, language: Language, audio_s: f32) -> Found {
        let mut caught = Vec::new();
        let segments = self.segments(written, heard, audio_s, &mut caught);
        let all = text(&segments);
        let improbable = written.log_probability < MIN_LOG_PROBABILITY;
        let mut words = keys(&all).peekable();
        let only_terms = words.peek().is_some() && words.all(|word| self.terms.iter().any(|term| is_form(&word, term)));
        let doubt = if improbable && heard.no_speech > NO_SPEECH {
            Some(Why::NoSpeech)
        } else if only_terms && heard.no_speech > PERHAPS_NO_SPEECH {
            Some(Why::Terms)
        } else if written.looped || repetition::without_loops(&all).is_some() {
            Some(Why::Repetition)
        } else if repetition::compression_ratio(&all) > MAX_COMPRESSION {
            Some(Why::Compression)
        } else if improbable {
            Some(Why::Improbable)
        } else {
            None
        };
        Found {
            language,
            segments,
            caught,
            log_probability: written.log_probability,
            language_probability: heard.probability(language),
            no_speech: heard.no_speech,
            doubt,
        }
    }

    /// The text, cut where the model put times.
    fn segments(&self, written: &Written, heard: Heard, audio_s: f32, caught: &mut Vec<Caught>) -> Vec<Segment> {
        let mut found = Vec::new();
        let mut start_s = 0.0;
        let mut tokens: Vec<(&[u8], Option<f32>)> = Vec::new();
        let end = Token::Time(audio_s);
        for token in written.tokens.iter().chain([&end]) {
            match *token {
                Token::Text { id, start_s } => tokens.push((self.decoder.bytes(id), start_s)),
                Token::Time(time_s) => {
                    let (from_s, to_s) = (f32::min(start_s, audio_s), time_s.min(audio_s));
                    // A character may be spread over several tokens, so text is put together as bytes.
                    let bytes: Vec<u8> = tokens.iter().flat_map(|(bytes, _)| *bytes).copied().collect();
                    let text = hallucination::clean(&String::from_utf8_lossy(&bytes), heard.no_speech, caught);
                    if !text.is_empty() {
                        let words = words(&tokens, from_s, to_s);
                        found.push(Segment { start_s: from_s, end_s: to_s, text, words });
                    }
                    tokens.clear();
                    start_s = time_s;
                }
            }
        }
        found
    }
}

impl Found {
    /// What is left of it for the caller's words: nothing where nobody speaks, loops said once.
    fn settled(mut self) -> Self {
        let all = text(&self.segments);
        if self.doubt.is_some_and(|why| why != Why::Terms) && self.no_speech > PERHAPS_NO_SPEECH {
            self.doubt = Some(Why::NoSpeech);
        }
        match self.doubt {
            Some(why @ (Why::NoSpeech | Why::Terms)) => {
                self.segments.clear();
                if !all.is_empty() {
                    self.caught.push(Caught { text: all, why });
                }
            }
            Some(why @ (Why::Repetition | Why::Compression)) => {
                if let Some(text) = repetition::without_loops(&all) {
                    let end_s = self.segments.last().map_or(0.0, |last| last.end_s);
                    self.segments = vec![Segment { start_s: 0.0, end_s, text, words: Vec::new() }];
                    self.caught.push(Caught { text: all, why });
                }
            }
            _ => {}
        }
        self
    }
}

/// The words of a segment with their times. Where the model puts none, the time between is shared out by length.
fn words(tokens: &[(&[u8], Option<f32>)], start_s: f32, end_s: f32) -> Vec<Word> {
    let mut words: Vec<(Vec<u8>, Option<f32>)> = Vec::new();
    for &(bytes, placed) in tokens {
        match words.last_mut() {
            Some((word, _)) if !bytes.starts_with(b" ") => word.extend_from_slice(bytes),
            _ => words.push((bytes.to_vec(), placed)),
        }
    }
    let texts: Vec<String> = words.iter().map(|(bytes, _)| String::from_utf8_lossy(bytes).trim().to_owned()).collect();
    let mut starts: Vec<f32> = Vec::with_capacity(words.len());
    for n in 0..words.len() {
        let before = starts.last().copied().unwrap_or(start_s);
        let known = words.get(n).and_then(|word| word.1).filter(|at| (before..=end_s).contains(at) && n > 0);
        starts.push(known.unwrap_or_else(|| {
            let Some(last) = n.checked_sub(1) else { return start_s };
            let letters = |from: usize, to: usize| {
                texts.get(from..to).unwrap_or_default().iter().map(|word| word.chars().count() + 1).sum::<usize>()
                    as f32
            };
            // Up to the next word whose time is known.
            let next = (n + 1..words.len())
                .find_map(|m| words.get(m)?.1.filter(|at| (before..=end_s).contains(at)).map(|at| (m, at)));
            let (to, to_s) = next.unwrap_or((words.len(), end_s));
            before + (to_s - before) * letters(last, n) / letters(last, to).max(1.0)
        }));
    }
    let ends = starts.iter().copied().skip(1).chain([end_s]);
    let timed = texts.into_iter().zip(starts.iter().copied().zip(ends.collect::<Vec<_>>()));
    timed.filter(|(text, _)| !text.is_empty()).map(|(text, (start_s, end_s))| Word { start_s, end_s, text }).collect()
}

/// The words of a text as they are compared: letters and digits without case.
fn keys(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether a word is a term with whatever ending.
fn is_form(word: &str, term: &str) -> bool {
    let same = word.chars().zip(term.chars()).take_while(|(a, b)| a == b).count();
    same == term.chars().count() || (same >= 4 && same + 3 >= term.chars().count())
}

/// The sound without the quiet before and after it. Whisper writes nothing, or in a wrong language, after a long silence.
fn loud(pcm: &[f32]) -> Range<usize> {
    let energy: Vec<f32> = pcm.chunks(PIECE).map(|piece| piece.iter().map(|s| s * s).sum::<f32>()).collect();
    let mut ranked = energy.clone();
    ranked.sort_unstable_by(f32::total_cmp);
    // Not the loudest piece: the handset may have been bumped.
    let loudest = ranked.len().checked_sub(1 + ranked.len() / LOUDER).and_then(|rank| ranked.get(rank));
    let least = loudest.copied().unwrap_or_default() * 10f32.powf(-QUIET_DB / 10.0);
    let heard = |&energy: &f32| energy > least;
    let first = energy.iter().position(heard).unwrap_or(0).saturating_sub(MARGIN);
    let last = energy.iter().rposition(heard).unwrap_or(0) + 1 + MARGIN;
    first * PIECE..(last * PIECE).min(pcm.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_before_and_after_is_left_out() {
        let mut pcm = vec![0.0001; 16_000 * 4];
        pcm[32_000..40_000].fill(0.1);
        assert_eq!(loud(&pcm), 32_000 - 15 * 320..40_000 + 15 * 320);
        assert_eq!(loud(&pcm[30_000..42_000]), 30_000 - 30_000..12_000);
        assert_eq!(loud(&[]), 0..0);
        // A bump of 60 ms, 40 dB louder than the speech after it.
        let mut bumped = pcm.clone();
        bumped[16_000..16_960].fill(0.9);
        bumped[32_000..40_000].fill(0.009);
        assert_eq!(loud(&bumped).end, 40_000 + 15 * 320);
        // Noise that is not so far below speech stays.
        pcm.iter_mut().for_each(|sample| *sample += 0.01);
        assert_eq!(loud(&pcm), 0..64_000);
    }

    #[test]
    fn terms_are_known_by_other_endings() {
        for (word, term, expected) in [
            ("садова", "садовая", true),
            ("садовой", "садовая", true),
            ("brown", "brown", true),
            ("сад", "садовая", false),
        ] {
            assert_eq!(is_form(word, term), expected, "{word}");
        }
    }

    #[test]
    fn words_have_times_between_those_of_their_segment() {
        let tokens: [(&[u8], _); 5] =
            [(b" One", Some(1.1)), (b" two", Some(1.5)), (b"fold", None), (b" three", None), (b" four.", Some(9.0))];
        let words = words(&tokens, 1.0, 3.0);
        let found: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.start_s)).collect();
        println!("{words:?}");
        assert_eq!(found[..2], [("One", 1.0), ("twofold", 1.5)]);
        assert_eq!((found[2].0, found[3].0), ("three", "four."));
        assert!(words.windows(2).all(|pair| pair[0].end_s == pair[1].start_s && pair[0].start_s < pair[0].end_s));
        assert_eq!(words[3].end_s, 3.0);
    }
}
