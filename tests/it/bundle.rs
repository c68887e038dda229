//! A recogniser from a bundle: tests/data/ctc, whose graph takes tones for letters.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use secretary::engine::stt::{Stt, SttConfig, SttError, SttJob, Transcript};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};
use secretary::rtp::codec::resample::resample;

use crate::support::speech::{models, now, through_telephone};

const LETTERS: &str = "▁авдеиклмнопрсту";
/// A letter sounds for so long, and then there is silence for as long, in seconds.
const LETTER_S: f64 = 0.1;

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ctc")
}

fn start(model: PathBuf) -> Result<Stt, SttError> {
    let onnxruntime = models().join("libonnxruntime.so");
    Stt::start(&SttConfig { model, onnxruntime, threads: 1, ..SttConfig::default() })
}

fn run(stt: &Stt, pcm: Vec<i16>, rate_hz: u32, languages: &[Language]) -> Result<Transcript, SttError> {
    let (reply, result) = sync_channel(1);
    let (languages, cancel, priority) = (languages.to_vec(), Cancel::default(), Priority::Final);
    let job = SttJob { pcm, rate_hz, languages, cancel, priority, due: now() };
    stt.submit(job, move |result| reply.send(result).unwrap()).unwrap();
    result.recv().unwrap()
}

/// The tones of a text at 16 kHz; a space is the tone that begins a word.
fn tones(text: &str) -> Vec<i16> {
    let mut pcm = Vec::new();
    for letter in text.replace(' ', "▁").chars() {
        let token = LETTERS.chars().position(|known| known == letter).unwrap();
        let band = 16 + 2 * token;
        let mel = 2_595.0 * (1.0 + 8_000.0 / 700.0_f64).log10() * (band + 1) as f64 / 65.0;
        let hz = 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
        let samples = (LETTER_S * 16_000.0) as usize;
        pcm.extend((0..samples).map(|n| ((TAU * hz * n as f64 / 16_000.0).sin() * 10_000.0) as i16));
        pcm.resize(pcm.len() + samples, 0);
    }
    pcm
}

#[test]
fn a_bundle_reads_what_was_said_with_its_times() {
    let stt = start(bundle()).unwrap();
    let mut pcm = tones("алло");
    pcm.resize(pcm.len() + 16_000, 0);
    let pause_at = pcm.len() as f32 / 16_000.0;
    pcm.extend(tones(" два окна"));
    let found = run(&stt, pcm, 16_000, &[Language::En, Language::Ru]).unwrap();
    println!("{found:?}");
    assert_eq!((found.text.as_str(), found.language), ("алло два окна", Language::Ru));
    assert_eq!(found.segments.len(), 2);
    let (first, second) = (&found.segments[0], &found.segments[1]);
    for (found, expected) in
        [(first.start_s, 0.0), (first.end_s, 0.7), (second.start_s, pause_at + 0.2), (second.end_s, pause_at + 1.7)]
    {
        assert!((found - expected).abs() < 0.06, "{found} s, expected {expected}");
    }
}

#[test]
fn a_bundle_hears_a_telephone_and_recordings_of_any_length() {
    let stt = start(bundle()).unwrap();
    let pcm = through_telephone(&tones("номер"), 16_000);
    assert_eq!(run(&stt, pcm, 8_000, &[Language::Ru]).unwrap().text, "номер");
    let minute = tones(&" вот дом".repeat(40));
    let found = run(&stt, resample(&minute, 16_000, 8_000).unwrap(), 8_000, &[Language::Ru]).unwrap();
    assert_eq!(found.text, "вот дом ".repeat(40).trim_end());
    assert!(found.audio_s > 60.0 && (found.segments.last().unwrap().end_s - found.audio_s).abs() < 0.3);
    assert_eq!(run(&stt, vec![0; 16_000], 8_000, &[Language::Ru]).unwrap().text, "");
    assert_eq!(run(&stt, vec![0; 5], 8_000, &[Language::Ru]).unwrap().text, "");
}

#[test]
fn a_language_that_the_bundle_does_not_know_is_an_error() {
    let stt = start(bundle()).unwrap();
    assert!(matches!(run(&stt, tones("да"), 16_000, &[Language::En]), Err(SttError::NoLanguage)));
}

#[test]
fn a_bundle_whose_graph_is_another_says_what_differs() {
    for (from, to, expected) in [
        (
            "bands = 64",
            "bands = 80",
            "the input features f32 [?, 64, ?], manifest.toml makes it features f32 [1, 80, ?]",
        ),
        (
            "\"feature_lengths\"",
            "\"lengths\"",
            "no input lengths, which manifest.toml names; it has features f32 [?, 64, ?]",
        ),
        (
            "length = \"feature_lengths\"\n",
            "",
            "the input feature_lengths i64 [?], of which manifest.toml says nothing",
        ),
        ("\"log_probs\"", "\"logits\"", "no output logits, which manifest.toml names; it has log_probs f32 [?, ?, 17]"),
        ("mel = {", "# mel = {", "manifest.toml makes it features f32 [1, ?]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tokens.txt", "model.onnx"] {
            fs::copy(bundle().join(file), folder.path().join(file)).unwrap();
        }
        let manifest = fs::read_to_string(bundle().join("manifest.toml")).unwrap().replace(from, to);
        fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
        let error = start(folder.path().to_owned()).err().unwrap().to_string();
        println!("{error}");
        assert!(error.contains(expected), "{to}: {error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
