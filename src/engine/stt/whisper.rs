//! Whisper (Radford et al. 2022, arXiv:2212.04356) by whisper.cpp: one set of weights, a state for each worker.
//!
//! Whisper looks at 30 s at a time, and its encoder costs the same for one word as for all of them. So an utterance
//! is shown a shorter context, not below the length where it starts to invent. Greedy, without falling back to higher
//! temperatures, which cost up to six passes; a text that repeats itself is decoded once more with the full context.
//!
//! Left out: beam search, translation, word times, carrying text from one window of a long recording to the next.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError, WhisperState};

use super::hallucination;
use super::repetition;
use super::{Recognizer, Segment, SttConfig, SttError, SttJob, Transcript, noise};
use crate::engine::{Cancel, Language};
use crate::rtp::codec::resample::resample;

const RATE_HZ: u32 = noise::RATE_HZ;
/// Encoder positions per second of audio.
const CONTEXT_PER_S: usize = 50;
/// Below this many positions the word error rate doubles and loops appear.
const MIN_CONTEXT: usize = 768;
/// The model's own 30 s.
const FULL_CONTEXT: usize = 1_500;
/// Enough to tell two languages apart; of 53 clips of telephone speech none was mistaken with half of it.
const DETECTION_CONTEXT: c_int = 256;
/// whisper.cpp decodes nothing up to this many samples, 0.11 s.
const TOO_SHORT: usize = 1_760;

/// Longest stretch decoded at once, and the shortest that a longer recording is cut into, in seconds.
const WINDOW_S: Range<usize> = 15..28;
/// A cut is made in the middle of the quietest stretch of this length.
const PAUSE_MS: usize = 200;

/// Nobody says more tokens in a second, times included; what is longer is a loop.
const TOKENS_PER_S: usize = 14;
const TOKENS_AT_LEAST: usize = 24;

/// The weights, ready for workers.
pub struct Model {
    context: Arc<WhisperContext>,
    threads: usize,
    noise_suppression: bool,
}

impl Model {
    /// # Errors
    /// [`SttError::Load`] when the file is missing, damaged, or knows only English.
    pub fn load(config: &SttConfig) -> Result<Self, SttError> {
        let path = config.model.as_path();
        let failed = |reason: String| SttError::Load { path: path.to_owned(), reason };
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
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|e| failed(e.to_string()))?;
        if !context.is_multilingual() {
            return Err(failed("it knows only English; take a model without .en in its name".into()));
        }
        let SttConfig { threads, noise_suppression, .. } = *config;
        Ok(Self { context: Arc::new(context), threads: threads.max(1), noise_suppression })
    }

    /// A recogniser with its own state, warmed up.
    ///
    /// # Errors
    /// [`SttError::Model`] when there is no memory for it.
    pub fn worker(&self) -> Result<Whisper, SttError> {
        let state = self.context.create_state().map_err(model_error)?;
        let (ru, en) = (parameters(Language::Ru, self.threads), parameters(Language::En, self.threads));
        let mut whisper = Whisper {
            context: Arc::clone(&self.context),
            state,
            threads: self.threads,
            noise_suppression: self.noise_suppression,
            ru,
            en,
        };
        // The first run allocates.
        whisper.decode(&vec![0.0; RATE_HZ as usize], Language::En, MIN_CONTEXT, &Cancel::default())?;
        Ok(whisper)
    }
}

/// The parameters of every run in a language. They are cloned for each, because setting a language leaks its name.
fn parameters(language: Language, threads: usize) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    params.set_n_threads(c_int::try_from(threads).unwrap_or(1));
    params.set_language(Some(language.code()));
    params.set_temperature_inc(0.0);
    params.set_no_context(true);
    // Times of segments are read from the tokens: whisper.cpp would decode what follows the last one again.
    params.set_single_segment(true);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_special(false);
    params.set_print_timestamps(false);
    params
}

/// A worker's recogniser.
pub struct Whisper {
    context: Arc<WhisperContext>,
    state: WhisperState,
    threads: usize,
    noise_suppression: bool,
    ru: FullParams<'static, 'static>,
    en: FullParams<'static, 'static>,
}

impl Recognizer for Whisper {
    fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
        #[expect(clippy::disallowed_methods, reason = "measures the work of this thread")]
        let started = Instant::now();
        let mut language = None;
        let mut segments = Vec::new();
        for window in windows(&job.pcm, job.rate_hz) {
            let start_s = window.start as f32 / job.rate_hz as f32;
            let mut pcm = resample(job.pcm.get(window).unwrap_or_default(), job.rate_hz, RATE_HZ)?;
            if pcm.len() <= TOO_SHORT {
                continue;
            }
            if self.noise_suppression {
                noise::suppress(&mut pcm);
            }
            let pcm: Vec<f32> = pcm.iter().map(|&s| f32::from(s) / 32_768.0).collect();
            let spoken = match language {
                Some(language) => language,
                None => self.language(&pcm, &job.languages, &job.cancel)?,
            };
            let found = self.window(&pcm, spoken, &job.cancel)?;
            // Silence in front of a recording tells nothing of its language.
            if language.is_none() && (!found.is_empty() || job.languages.len() == 1) {
                language = Some(spoken);
            }
            segments.extend(found.into_iter().map(|s| Segment {
                start_s: s.start_s + start_s,
                end_s: s.end_s + start_s,
                ..s
            }));
        }
        let text = segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
        let language = language.or(job.languages.first().copied()).ok_or(SttError::NoLanguage)?;
        let audio_s = job.pcm.len() as f32 / job.rate_hz as f32;
        Ok(Transcript { text, language, segments, audio_s, processing_s: started.elapsed().as_secs_f32() })
    }
}

impl Whisper {
    /// The language spoken, of those allowed. A choice costs a pass of the encoder over the first 5 s.
    fn language(&mut self, pcm: &[f32], allowed: &[Language], cancel: &Cancel) -> Result<Language, SttError> {
        let &[first, _, ..] = allowed else { return allowed.first().copied().ok_or(SttError::NoLanguage) };
        if cancel.is_cancelled() {
            return Err(SttError::Cancelled);
        }
        // Detection looks at as much as the last run, and a run on so little sets that and does nothing else.
        let mut params = self.en.clone();
        params.set_audio_ctx(DETECTION_CONTEXT);
        self.state.full(params, &[0.0; TOO_SHORT]).map_err(model_error)?;
        self.state.pcm_to_mel(pcm, self.threads).map_err(model_error)?;
        let (_, probabilities) = self.state.lang_detect(0, self.threads).map_err(model_error)?;
        let probability = |language: Language| {
            let id = whisper_rs::get_lang_id(language.code()).and_then(|id| usize::try_from(id).ok());
            id.and_then(|id| probabilities.get(id)).copied().unwrap_or(0.0)
        };
        let best = allowed.iter().copied().max_by(|&a, &b| probability(a).total_cmp(&probability(b)));
        Ok(best.unwrap_or(first))
    }

    /// Recognises at most 30 s; decodes again with the full context when the text repeats itself.
    fn window(&mut self, pcm: &[f32], language: Language, cancel: &Cancel) -> Result<Vec<Segment>, SttError> {
        let needed = (pcm.len() * CONTEXT_PER_S).div_ceil(RATE_HZ as usize);
        let context = needed.clamp(MIN_CONTEXT, FULL_CONTEXT);
        let segments = self.decode(pcm, language, context, cancel)?;
        if repetition::without_loops(&text(&segments)).is_none() {
            return Ok(segments);
        }
        tracing::debug!(context, "the text repeats itself: decoding again with the full context");
        let segments = self.decode(pcm, language, FULL_CONTEXT, cancel)?;
        let Some(text) = repetition::without_loops(&text(&segments)) else { return Ok(segments) };
        Ok(vec![Segment { start_s: 0.0, end_s: pcm.len() as f32 / RATE_HZ as f32, text }])
    }

    fn decode(
        &mut self,
        pcm: &[f32],
        language: Language,
        context: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Segment>, SttError> {
        if cancel.is_cancelled() {
            return Err(SttError::Cancelled);
        }
        let base = match language {
            Language::Ru => &self.ru,
            Language::En => &self.en,
        };
        let mut params: FullParams<'_, '_> = base.clone();
        params.set_audio_ctx(c_int::try_from(context).unwrap_or(0));
        let max_tokens = TOKENS_AT_LEAST + pcm.len() * TOKENS_PER_S / RATE_HZ as usize;
        params.set_max_tokens(c_int::try_from(max_tokens).unwrap_or(c_int::MAX));
        abort_when(&mut params, cancel);
        match self.state.full(params, pcm) {
            Ok(()) => Ok(self.segments(pcm.len() as f32 / RATE_HZ as f32)),
            Err(_) if cancel.is_cancelled() => Err(SttError::Cancelled),
            Err(error) => Err(model_error(error)),
        }
    }

    /// What the last run found, cut where the model put times.
    fn segments(&self, audio_s: f32) -> Vec<Segment> {
        let (eot, beg) = (self.context.token_eot(), self.context.token_beg());
        let mut found = Vec::new();
        for segment in self.state.as_iter() {
            let no_speech = segment.no_speech_probability();
            let mut push = |start_s: f32, end_s: f32, bytes: &mut Vec<u8>| {
                let text = hallucination::clean(&String::from_utf8_lossy(bytes), no_speech);
                bytes.clear();
                if !text.is_empty() {
                    found.push(Segment { start_s: start_s.min(audio_s), end_s: end_s.min(audio_s), text });
                }
            };
            let mut start_s = 0.0;
            // A character may be spread over several tokens, so text is put together as bytes.
            let mut bytes = Vec::new();
            for token in (0..segment.n_tokens()).filter_map(|n| segment.get_token(n)) {
                let id = token.token_id();
                if id < eot {
                    bytes.extend_from_slice(token.to_bytes().unwrap_or_default());
                } else if id >= beg {
                    let time_s = (id - beg) as f32 * 0.02;
                    push(start_s, time_s, &mut bytes);
                    start_s = time_s;
                }
            }
            push(start_s, audio_s, &mut bytes);
        }
        found
    }
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn model_error(error: WhisperError) -> SttError {
    SttError::Model(error.to_string())
}

/// Stops the run when `cancel` is set. whisper.cpp looks after each pass of the encoder and after each token.
#[expect(unsafe_code, reason = "a C callback; whisper-rs 0.16's safe one calls the closure through a wrong type")]
fn abort_when<'a>(params: &mut FullParams<'a, '_>, cancel: &'a Cancel) {
    unsafe extern "C" fn is_cancelled(cancel: *mut c_void) -> bool {
        // SAFETY: the pointer set below, to a `Cancel` that is borrowed for as long as the parameters live.
        unsafe { &*cancel.cast::<Cancel>() }.is_cancelled()
    }
    // SAFETY: the callback reads an atomic flag and touches no whisper.cpp object.
    unsafe {
        params.set_abort_callback_user_data(std::ptr::from_ref(cancel).cast_mut().cast());
        params.set_abort_callback(Some(is_cancelled));
    }
}

/// Cuts a recording into stretches that Whisper can take, at pauses. Nothing is left out or said twice.
fn windows(pcm: &[i16], rate_hz: u32) -> impl Iterator<Item = Range<usize>> {
    let rate = rate_hz.max(1) as usize;
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = pcm.get(start..).filter(|rest| !rest.is_empty())?;
        let len = if rest.len() <= WINDOW_S.end * rate {
            rest.len()
        } else {
            WINDOW_S.start * rate + quietest(rest.get(WINDOW_S.start * rate..WINDOW_S.end * rate)?, rate)
        };
        let window = start..start + len;
        start += len;
        Some(window)
    })
}

/// The middle of the quietest [`PAUSE_MS`] of a sound.
fn quietest(pcm: &[i16], rate: usize) -> usize {
    let pause = (PAUSE_MS * rate / 1_000).max(1);
    let energy = |stretch: &[i16]| stretch.iter().map(|&s| u64::from(s.unsigned_abs()).pow(2)).sum::<u64>();
    let starts = (0..pcm.len()).step_by(pause.div_ceil(2));
    let whole = starts.filter_map(|at| pcm.get(at..at + pause).map(|stretch| (at, energy(stretch))));
    whole.min_by_key(|&(_, energy)| energy).map_or(pcm.len(), |(at, _)| at + pause / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_recording_is_one_window() {
        assert_eq!(windows(&[5; 80_000], 8_000).collect::<Vec<_>>(), vec![0..80_000]);
        assert_eq!(windows(&[], 8_000).count(), 0);
    }

    #[test]
    fn long_recording_is_cut_at_pauses() {
        let mut pcm = vec![1_000; 60 * 8_000];
        // Half a second of silence at 20 s, and at 44 s.
        pcm[160_000..164_000].fill(0);
        pcm[352_000..356_000].fill(0);
        let cuts: Vec<_> = windows(&pcm, 8_000).collect();
        println!("{cuts:?}");
        assert_eq!(cuts.len(), 3);
        assert!((160_000..164_000).contains(&cuts[0].end));
        assert!((352_000..356_000).contains(&cuts[1].end));
        assert_eq!(cuts[2].end, pcm.len());
        assert!(cuts.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn recording_without_pauses_is_cut_all_the_same() {
        let pcm = vec![1_000; 100 * 8_000];
        assert!(windows(&pcm, 8_000).all(|w| w.len() <= 28 * 8_000 && !w.is_empty()));
        assert_eq!(windows(&pcm, 8_000).map(|w| w.len()).sum::<usize>(), pcm.len());
    }
}
