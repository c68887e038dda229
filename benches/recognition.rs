//! What recognition costs and how well it understands, by model, threads and language choice: word error rate and processor time
//! over the recordings of the tests; before that the milliseconds of each step. Prints tables for docs/listening.md and asserts nothing.
//!
//! `cargo bench --bench recognition [-- MODEL…]`; models by name, default base-q8_0. Needs the models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use secretary::engine::stt::{Stt, SttConfig, SttJob, Transcript};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};
use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters};

#[path = "../tests/it/support/recordings.rs"]
#[allow(dead_code, reason = "the tests read more of them")]
mod recordings;
#[path = "../tests/it/support/speech.rs"]
mod speech;
#[path = "../tests/it/support/wer.rs"]
#[allow(dead_code, reason = "no numbers are dictated")]
mod wer;

use Language::{En, Ru};

/// Of a category of recordings.
#[derive(Default)]
struct Sum {
    clips: usize,
    wrong: f64,
    words: usize,
    audio_s: f64,
    cpu_s: f64,
    wall_s: f64,
    worst_s: f64,
}

/// Milliseconds of the steps by themselves, the best of five: what the context, the threads and the bits cost.
fn steps(name: &str) {
    whisper_rs::install_logging_hooks();
    let path = speech::models().join(format!("ggml-{name}.bin"));
    let mut parameters = WhisperContextParameters::default();
    parameters.flash_attn(std::env::var_os("FLASH").is_some());
    let context = WhisperContext::new_with_params(&path, parameters).expect("the model");
    let mut state = context.create_state().expect("memory");
    let sound = vec![0.01; 16_000 * 5];
    for threads in [1, 2] {
        let mut best = |run: &mut dyn FnMut(&mut whisper_rs::WhisperState)| {
            let time = |state: &mut whisper_rs::WhisperState, run: &mut dyn FnMut(&mut whisper_rs::WhisperState)| {
                let started = Instant::now();
                run(state);
                started.elapsed().as_secs_f64() * 1e3
            };
            (0..5).map(|_| time(&mut state, run)).fold(f64::MAX, f64::min)
        };
        let mel = best(&mut |state| state.pcm_to_mel(&sound, threads).unwrap());
        let mut encode = String::new();
        for positions in [320, 448, 768, 1500] {
            let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
            params.set_audio_ctx(positions);
            best(&mut |state| state.full(params.clone(), &[0.0; 1_760]).unwrap());
            best(&mut |state| state.pcm_to_mel(&sound, threads).unwrap());
            encode += &format!(" {:.0} |", best(&mut |state| state.encode(0, threads).unwrap()));
            if positions == 448 {
                let token = best(&mut |state| state.decode(&[50_258], 20, threads).unwrap());
                let prompt = best(&mut |state| state.decode(&[1_000; 100], 0, threads).unwrap());
                encode = format!(" {token:.1} | {prompt:.0} |{encode}");
            }
        }
        println!("| {name} | {threads} | {mel:.0} |{encode}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let names = if arguments.is_empty() { vec!["base-q8_0".to_owned()] } else { arguments };
    let verbose = std::env::var_os("VERBOSE").is_some();
    println!("| model | threads | mel of 5 s | a token | 100 tokens of prompt | encoder 320 | 448 | 768 | 1500 |");
    println!("|---|---|---|---|---|---|---|---|---|");
    names.iter().for_each(|name| steps(name));
    println!();
    let recordings = recordings::manifest();
    println!("| model | threads | languages | recordings | WER | CPU s per s | wall s per s | worst clip, CPU s |");
    println!("|---|---|---|---|---|---|---|---|");
    for name in &names {
        for (threads, both) in [(1, false), (2, false), (1, true)] {
            let model = speech::models().join(format!("ggml-{name}.bin"));
            let stt = Stt::start(&SttConfig { model, threads, ..SttConfig::default() }).expect("the model");
            let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
            for recording in &recordings {
                let languages = match recording.language {
                    Some(language) if !both => vec![language],
                    _ => vec![Ru, En],
                };
                let pcm = speech::by_telephone(&recording.file);
                let before = cpu_s();
                let heard = transcribe(&stt, pcm, languages);
                let cpu_s = cpu_s() - before;
                let words = wer::words(&recording.text).len();
                let rate = wer::wer(&recording.text, &heard.text);
                if verbose {
                    println!(
                        "{} {rate:.2} {cpu_s:.2} s {}: {} {:?}",
                        recording.file, heard.language, heard.text, heard.caught
                    );
                }
                let sum = sums.entry(&recording.category).or_default();
                sum.clips += 1;
                sum.wrong += rate * words.max(1) as f64;
                sum.words += words;
                sum.audio_s += f64::from(heard.audio_s);
                sum.cpu_s += cpu_s;
                sum.wall_s += f64::from(heard.processing_s);
                sum.worst_s = sum.worst_s.max(cpu_s);
            }
            let languages = if both { "detected" } else { "told" };
            for (category, sum) in sums {
                let rate = if sum.words == 0 {
                    format!("{} words", sum.wrong)
                } else {
                    format!("{:.3}", sum.wrong / sum.words as f64)
                };
                println!(
                    "| {name} | {threads} | {languages} | {category} ({}) | {rate} | {:.3} | {:.3} | {:.2} |",
                    sum.clips,
                    sum.cpu_s / sum.audio_s,
                    sum.wall_s / sum.audio_s,
                    sum.worst_s
                );
            }
        }
    }
}

fn transcribe(stt: &Stt, pcm: Vec<i16>, languages: Vec<Language>) -> Transcript {
    let (sender, heard) = sync_channel(1);
    let job = SttJob {
        pcm,
        rate_hz: 8_000,
        languages,
        cancel: Cancel::default(),
        priority: Priority::Final,
        due: speech::now(),
    };
    stt.submit(job, move |result| sender.send(result).unwrap()).expect("room");
    heard.recv().unwrap().expect("a transcript")
}

/// Processor time of all our threads so far.
fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, in ticks of 10 ms.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
