//! Recognisers from bundles: those of tests/data/bundle, whose graphs take tones for letters (make.py says how).

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use secretary::engine::stt::{Stt, SttConfig, SttError, SttJob, Transcript};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};
use secretary::rtp::codec::resample::resample;
use tempfile::TempDir;

use crate::support::speech::{models, now, through_telephone};

const LETTERS: &str = "▁авдеиклмнопрсту";
/// A letter sounds for so long, and then there is silence for as long, in seconds.
const LETTER_S: f64 = 0.1;

const BUNDLES: [&str; 3] = ["ctc", "stream", "transducer"];

fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundle").join(name)
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

/// A sample of a letter's tone at 16 kHz, from -1 to 1; a space is the tone that begins a word.
fn tone(letter: char, sample: usize) -> f64 {
    let token = LETTERS.replace('▁', " ").chars().position(|known| known == letter).unwrap();
    let band = 16 + 2 * token;
    let mel = 2_595.0 * (1.0 + 8_000.0 / 700.0_f64).log10() * (band + 1) as f64 / 65.0;
    let hz = 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
    (TAU * hz * sample as f64 / 16_000.0).sin()
}

/// The tones of a text at 16 kHz.
fn tones(text: &str) -> Vec<i16> {
    let mut pcm = Vec::new();
    for letter in text.chars() {
        let samples = (LETTER_S * 16_000.0) as usize;
        pcm.extend((0..samples).map(|n| (tone(letter, n) * 10_000.0) as i16));
        pcm.resize(pcm.len() + samples, 0);
    }
    pcm
}

/// A bundle in whose manifest something stands otherwise.
fn changed(name: &str, from: &str, to: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(bundle(name)).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let manifest = fs::read_to_string(bundle(name).join("manifest.toml")).unwrap();
    assert!(manifest.contains(from), "{name}: {from}");
    fs::write(folder.path().join("manifest.toml"), manifest.replace(from, to)).unwrap();
    folder
}

#[test]
fn a_bundle_reads_what_was_said_with_its_times() {
    // A transducer tells a token in the first frame in which it is certain, and this one no letter twice in a row.
    for (name, word, exact_s) in [("ctc", "алло", 0.06), ("stream", "алло", 0.06), ("transducer", "слово", 0.1)]
    {
        let stt = start(bundle(name)).unwrap();
        let mut pcm = tones(word);
        let word_s = pcm.len() as f32 / 16_000.0 - LETTER_S as f32;
        pcm.resize(pcm.len() + 16_000, 0);
        let pause_at = pcm.len() as f32 / 16_000.0;
        pcm.extend(tones(" два окна"));
        let found = run(&stt, pcm, 16_000, &[Language::En, Language::Ru]).unwrap();
        println!("{name}: {found:?}");
        assert_eq!((found.text.as_str(), found.language), (&*format!("{word} два окна"), Language::Ru), "{name}");
        assert_eq!(found.segments.len(), 2);
        let (first, second) = (&found.segments[0], &found.segments[1]);
        for (found, expected) in [
            (first.start_s, 0.0),
            (first.end_s, word_s),
            (second.start_s, pause_at + 0.2),
            (second.end_s, pause_at + 1.7),
        ] {
            assert!((found - expected).abs() < exact_s, "{name}: {found} s, expected {expected}");
        }
    }
}

#[test]
fn a_bundle_hears_a_telephone_and_recordings_of_any_length() {
    for name in BUNDLES {
        let stt = start(bundle(name)).unwrap();
        let pcm = through_telephone(&tones("номер"), 16_000);
        assert_eq!(run(&stt, pcm, 8_000, &[Language::Ru]).unwrap().text, "номер", "{name}");
        let minute = tones(&" вот дом".repeat(40));
        let found = run(&stt, resample(&minute, 16_000, 8_000).unwrap(), 8_000, &[Language::Ru]).unwrap();
        assert_eq!(found.text, "вот дом ".repeat(40).trim_end(), "{name}");
        assert!(found.audio_s > 60.0 && (found.segments.last().unwrap().end_s - found.audio_s).abs() < 0.3, "{name}");
        assert_eq!(run(&stt, vec![0; 16_000], 8_000, &[Language::Ru]).unwrap().text, "", "{name}");
        assert_eq!(run(&stt, vec![0; 5], 8_000, &[Language::Ru]).unwrap().text, "", "{name}");
    }
}

#[test]
fn what_a_transducer_has_written_decides_what_it_writes_next() {
    let stt = start(bundle("transducer")).unwrap();
    // Each letter is a tone in several frames. What the predictor knows by its last token and by each of its two states.
    for (said, written) in [("алло", "ало"), ("дедод", "дедо"), ("дедо дедо", "дедо дедо"), ("авдеикл", "авдеик")]
    {
        assert_eq!(run(&stt, tones(said), 16_000, &[Language::Ru]).unwrap().text, written, "{said}");
    }
    // An utterance does not go on where another one ended.
    for said in ["авдеи", "клм"] {
        assert_eq!(run(&stt, tones(said), 16_000, &[Language::Ru]).unwrap().text, said);
    }
}

#[test]
fn a_transducer_writes_three_tokens_in_a_frame_at_most() {
    let stt = start(bundle("transducer")).unwrap();
    // Four tones at once for as long as one frame: it would write six letters, and no more because no word has more.
    let chord = |n| ("адко".chars().map(|letter| tone(letter, n)).sum::<f64>() * 8_000.0) as i16;
    let mut pcm: Vec<i16> = (0..800).map(chord).collect();
    pcm.resize(8_000, 0);
    let found = run(&stt, pcm, 16_000, &[Language::Ru]).unwrap();
    println!("{}", found.text);
    assert_eq!(found.text.chars().count(), 3);
}

#[test]
fn a_language_that_the_bundle_does_not_know_is_an_error() {
    let stt = start(bundle("ctc")).unwrap();
    assert!(matches!(run(&stt, tones("да"), 16_000, &[Language::En]), Err(SttError::NoLanguage)));
}

#[test]
fn a_bundle_whose_graph_is_another_says_what_differs() {
    let stream = "[stream]\nsamples = 2400\ndelay_s = 0.24\nstate = [{ input = \"state\", output = \"state_next\" }]";
    let states = "state = [{ input = \"h.1\", output = \"h\" }, { input = \"c.1\", output = \"c\" }]";
    for (name, from, to, expected) in [
        (
            "ctc",
            "bands = 64",
            "bands = 80",
            "model.onnx has the input features f32 [?, 64, ?], expected features f32 [1, 80, ?]",
        ),
        (
            "ctc",
            "\"feature_lengths\"",
            "\"lengths\"",
            "model.onnx has no input lengths; it has features f32 [?, 64, ?]",
        ),
        (
            "ctc",
            "length = \"feature_lengths\"\n",
            "",
            "has the input feature_lengths i64 [?], of which manifest.toml says nothing",
        ),
        ("ctc", "\"log_probs\"", "\"logits\"", "has no output logits; it has log_probs f32 [?, ?, 17]"),
        ("ctc", "mel = {", "# mel = {", "expected features f32 [1, ?]"),
        (
            "stream",
            "samples = 2400",
            "samples = 2000",
            "has the input signal i32 [?, 2400, 1], expected signal i32 [1, 2000, 1]",
        ),
        ("stream", "\"state\"", "\"states\"", "has no input states; it has signal i32"),
        (
            "stream",
            "\"state_next\"",
            "\"logprobs\"",
            "has the output logprobs f32 [?, 10, 17], expected logprobs f16 [?, 1920]",
        ),
        ("stream", stream, "", "has the input signal i32 [?, 2400, 1], expected signal f32 [1, ?]"),
        (
            "transducer",
            "bands = 64",
            "bands = 80",
            "encoder.onnx has the input audio_signal f32 [?, 64, ?], expected audio_signal f32 [1, 80, ?]",
        ),
        (
            "transducer",
            "\"encoded\"",
            "\"encoded_len\"",
            "encoder.onnx has the output encoded_len i32 [1], expected encoded_len f32 [1, 17, ?]",
        ),
        ("transducer", "\"x\"", "\"token\"", "predictor.onnx has no input token; it has x i64 [1, 1]"),
        (
            "transducer",
            "token = \"x\"",
            "token = \"h.1\"",
            "predictor.onnx has the input h.1 f32 [1, 1, 16], expected h.1 i64 [1, 1]",
        ),
        (
            "transducer",
            states,
            "state = []",
            "predictor.onnx has the input h.1 f32 [1, 1, 16], of which manifest.toml says nothing",
        ),
        (
            "transducer",
            "output = \"h\"",
            "output = \"c\"",
            "predictor.onnx has the output c f32 [1, 1, 1], expected c f32 [1, 1, 16]",
        ),
        (
            "transducer",
            "encoder = \"enc\"\npredictor = \"dec\"",
            "encoder = \"dec\"\npredictor = \"enc\"",
            "predictor.onnx has the output dec f32 [1, 1, 16], expected dec f32 [1, 1, 17]",
        ),
        ("transducer", "\"joint\"", "\"logits\"", "joiner.onnx has no output logits; it has joint f32 [1, 1, 1, 17]"),
    ] {
        let folder = changed(name, from, to);
        let error = start(folder.path().to_owned()).err().unwrap().to_string();
        println!("{error}");
        assert!(error.contains(expected), "{to}: {error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
