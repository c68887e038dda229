//! XTTS v2 held to its PyTorch reference, on a tiny bundle of random weights (tests/data/xtts): what it says is noise, but it is
//! to be the same noise.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use ndarray_npy::ReadNpyExt;
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::xtts::XttsConfig;
use secretary::engine::tts::xtts::conditioning::{Conditioning, Encoders, RATE_HZ, speaker_mel};
use secretary::engine::tts::xtts::decoder::{Embeddings, read_array};
use secretary::engine::tts::xtts::gpt::{Gpt, Output};
use secretary::engine::tts::xtts::manifest::{Manifest, Sampling};
use secretary::engine::tts::xtts::resample::resample;
use secretary::engine::tts::xtts::sampling::Sampler;
use secretary::engine::tts::xtts::tokenizer::TextTokenizer;
use secretary::engine::tts::xtts::vocoder::{Utterance, Vocoder};
use secretary::engine::tts::{SpeakJob, SpeechChunk, Tts, TtsConfig, TtsError, VoiceConfig, VoiceOrder};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};
use sha2::{Digest, Sha256};

use crate::support::speech::models;

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/xtts");
const TEXT: &str = "здравствуйте, меня зовут лидия. чем я могу вам помочь?";
const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 50, top_p: 0.85, repetition_penalty: 10.0, seed: 0 };

fn onnx() -> OnnxRuntime {
    OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap()
}

fn manifest() -> Manifest {
    let manifest = Manifest::load(Path::new(BUNDLE)).unwrap();
    manifest.verify(Path::new(BUNDLE)).unwrap();
    manifest
}

fn session(file: &Path) -> ort::session::Session {
    onnx().session(&Path::new(BUNDLE).join(file), 1).unwrap()
}

fn golden(name: &str) -> Vec<f32> {
    let file = fs::File::open(format!("{BUNDLE}/golden/{name}.npy")).unwrap();
    ndarray::ArrayD::<f32>::read_npy(file).unwrap().into_raw_vec_and_offset().0
}

fn golden_ids(name: &str) -> Vec<usize> {
    let file = fs::File::open(format!("{BUNDLE}/golden/{name}.npy")).unwrap();
    ndarray::ArrayD::<i64>::read_npy(file).unwrap().iter().map(|&id| usize::try_from(id).unwrap()).collect()
}

/// A recording and its rate.
fn recording(name: &str) -> (Vec<f32>, u32) {
    let wav = hound::WavReader::open(format!("{BUNDLE}/golden/{name}.wav")).unwrap();
    let rate_hz = wav.spec().sample_rate;
    (wav.into_samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect(), rate_hz)
}

fn clip(name: &str) -> Vec<f32> {
    let (sound, rate_hz) = recording(&format!("clip_{name}"));
    assert_eq!(rate_hz, RATE_HZ);
    sound
}

fn assert_close(what: &str, found: &[f32], expected: &[f32], bound: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: {worst:e} of {} values", found.len());
    assert!(worst <= bound, "{what}: {worst}");
    assert!(expected.iter().any(|value| value.abs() > bound * 10.0), "{what} is nothing");
}

fn encoders() -> Encoders {
    let manifest = manifest();
    Encoders {
        conditioning: session(&manifest.graphs.conditioning_encoder.file),
        speaker: session(&manifest.graphs.speaker_encoder.file),
        mel_stats: read_array(Path::new(BUNDLE), &manifest.files.mel_stats).unwrap(),
        dimensions: manifest.dimensions,
    }
}

fn voice() -> Conditioning {
    encoders().condition(&[clip("a"), clip("b")]).unwrap()
}

fn gpt() -> Gpt {
    let manifest = manifest();
    let file = &manifest.graphs.gpt.file;
    gpt_of(file)
}

fn gpt_of(file: &Path) -> Gpt {
    Gpt::new(session(file).into(), file, manifest().dimensions).unwrap()
}

fn prefix(voice: &Conditioning, text: &str) -> Vec<f32> {
    let manifest = manifest();
    let folder = Path::new(BUNDLE);
    let ids =
        TextTokenizer::load(&folder.join(&manifest.files.vocab.file)).unwrap().encode(text, Language::Ru).unwrap();
    Embeddings::load(folder, &manifest).unwrap().prefix(&voice.latents, &ids, &manifest.dimensions)
}

/// An utterance that chooses the likeliest tokens.
struct Greedy {
    sampler: Sampler,
    tokens: Vec<usize>,
    latents: Vec<f32>,
}

impl Greedy {
    fn new(first: Output) -> Self {
        let mut greedy =
            Self { sampler: Sampler::new(GREEDY, 0, 1_026, &[1, 1_024]), tokens: Vec::new(), latents: Vec::new() };
        greedy.take(first);
        greedy
    }

    fn take(&mut self, Output { mut logits, latent }: Output) {
        self.tokens.push(self.sampler.next(&mut logits));
        self.latents.extend(latent);
    }

    fn last(&self) -> usize {
        self.tokens[self.tokens.len() - 1]
    }
}

#[test]
fn what_the_encoders_see_is_as_in_the_reference() {
    let (piece, whole) = (2 * RATE_HZ as usize, 3 * RATE_HZ as usize);
    let (mel, frames) = encoders().mel(&clip("a")[..piece]);
    assert_eq!(mel.len(), 80 * frames);
    assert_close("mel", &mel, &golden("gpt_mel"), 1e-3);
    let heard = resample(&clip("a")[..whole], RATE_HZ, 16_000);
    assert_close("at 16 kHz", &heard, &golden("clip_a_16k"), 1e-4);
    let loudest = |mel: &[f32]| mel.iter().copied().fold(0.0, f32::max);
    let expected = golden("speaker_mel");
    assert_close("speaker mel", &speaker_mel(&heard).0, &expected, loudest(&expected) * 1e-4);

    let (other, rate_hz) = recording("other_rate");
    let heard: Vec<f32> =
        resample(&other, rate_hz, RATE_HZ).into_iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
    assert_close("from 24 kHz", &heard, &golden("other_rate_22k"), 1e-4);
    assert_close("mel from 24 kHz", &encoders().mel(&heard).0, &golden("other_rate_gpt_mel"), 1e-3);
    let expected = golden("other_rate_speaker_mel");
    let mel = speaker_mel(&resample(&heard, RATE_HZ, 16_000)).0;
    assert_close("speaker mel from 24 kHz", &mel, &expected, loudest(&expected) * 1e-4);
}

#[test]
fn a_voice_is_heard_as_in_the_reference() {
    // One piece; two pieces of one recording; two recordings in a row, cut where the reference cuts them.
    for (name, clips) in [("b", &["b"][..]), ("a", &["a"]), ("ab", &["a", "b"])] {
        let clips: Vec<Vec<f32>> = clips.iter().map(|name| clip(name)).collect();
        let Conditioning { latents, speaker } = encoders().condition(&clips).unwrap();
        assert_close(&format!("latents of {name}"), &latents, &golden(&format!("cond_latents_{name}")), 1e-3);
        if name != "b" {
            assert_close(&format!("speaker {name}"), &speaker, &golden(&format!("speaker_{name}")), 1e-3);
        }
    }
    let error = encoders().condition(&[clip("a")[..5_000].to_vec()]).unwrap_err();
    assert!(error.contains("shorter than 0.33 s"), "{error}");
}

#[test]
fn texts_become_the_numbers_of_the_reference() {
    let tokenizer = TextTokenizer::load(&Path::new(BUNDLE).join("vocab.json")).unwrap();
    let sentences = fs::read_to_string(format!("{BUNDLE}/golden/tokenizer.tsv")).unwrap();
    let mut compared = [0, 0];
    for line in sentences.lines().skip(1) {
        // Ours gets texts that have been made speakable; the reference's own cleaning is not held to.
        let [language, _, cleaned, ids, _] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let language = if language == "ru" { Language::Ru } else { Language::En };
        let found: Vec<String> = tokenizer.encode(cleaned, language).unwrap().iter().map(usize::to_string).collect();
        assert_eq!(found.join(" "), ids, "{cleaned}");
        compared[usize::from(language == Language::En)] += 1;
    }
    assert_eq!(compared, [200, 100]);
    assert_eq!(tokenizer.encode(&TEXT.to_uppercase(), Language::Ru).unwrap(), golden_ids("text_ids"));
}

#[test]
fn tokens_latents_and_sound_are_those_of_the_reference() {
    let manifest = manifest();
    let embeddings = Embeddings::load(Path::new(BUNDLE), &manifest).unwrap();
    let (voice, expected) = (voice(), golden_ids("codes"));
    let mut gpt = gpt();
    let mut said = Greedy::new(gpt.join(&prefix(&voice, TEXT)).unwrap());
    while said.last() != manifest.dimensions.stop_audio_token && said.tokens.len() < expected.len() {
        let next: Vec<f32> = embeddings.next(said.last(), said.tokens.len()).collect();
        let mut outputs = gpt.step(&next).unwrap();
        said.take(outputs.remove(0));
    }
    println!("{} tokens", said.tokens.len());
    assert_eq!(said.tokens, expected);
    assert_close("latents", &said.latents, &golden("gpt_latents"), 1e-3);

    let file = &manifest.graphs.vocoder_frames.file;
    let dim = manifest.dimensions.model_dim;
    let mut vocoder = Vocoder::new(session(file), file, dim, manifest.dimensions.speaker_dim).unwrap();
    let options = ort::session::RunOptions::new().unwrap();
    let mut sound = |latents: &[f32], pieces: &[usize]| -> Vec<f32> {
        let (mut utterance, mut rest, mut sound) = (Utterance::default(), latents, Vec::new());
        for &tokens in pieces {
            let (piece, after) = rest.split_at((tokens * dim).min(rest.len()));
            sound.extend(vocoder.sound(&mut utterance, piece, &voice.speaker, dim, false, &options).unwrap());
            rest = after;
        }
        sound.extend(vocoder.sound(&mut utterance, rest, &voice.speaker, dim, true, &options).unwrap());
        sound
    };
    let whole = golden("waveform");
    for pieces in [&[][..], &[8, 20, 40], &[1; 60], &[3, 50, 1, 1]] {
        assert_close(&format!("sound in {pieces:?}"), &sound(&said.latents, pieces), &whole, 1e-3);
    }
    // Two are left out: the reference does not interpolate where 8 frames stay 8.
    for few in [1, 3, 7, 20] {
        let expected = golden(&format!("waveform_{few}"));
        assert_close(&format!("sound of {few}"), &sound(&said.latents[..few * dim], &[1]), &expected, 1e-3);
    }
}

#[test]
fn four_together_say_what_each_says_alone() {
    const TEXTS: [&str; 4] = ["да", TEXT, "перезвоните, пожалуйста, завтра после обеда", "одну минуту"];
    const TOKENS: usize = 30;
    let manifest = manifest();
    let embeddings = Embeddings::load(Path::new(BUNDLE), &manifest).unwrap();
    let voice = voice();
    let next = |said: &Greedy| embeddings.next(said.last(), said.tokens.len()).collect::<Vec<f32>>();
    let alone = TEXTS.map(|text| {
        let mut gpt = gpt();
        let mut said = Greedy::new(gpt.join(&prefix(&voice, text)).unwrap());
        while said.tokens.len() < TOKENS {
            said.take(gpt.step(&next(&said)).unwrap().remove(0));
        }
        said
    });
    // Each begins five tokens after the one before, and ends at its own time.
    let mut gpt = gpt();
    let mut going: Vec<(usize, Greedy)> = Vec::new();
    let mut ended: Vec<(usize, Greedy)> = Vec::new();
    for step in 0.. {
        if step % 5 == 0 && step / 5 < TEXTS.len() {
            going.push((step / 5, Greedy::new(gpt.join(&prefix(&voice, TEXTS[step / 5])).unwrap())));
        }
        let inputs: Vec<f32> = going.iter().flat_map(|(_, said)| next(said)).collect();
        for ((_, said), output) in going.iter_mut().zip(gpt.step(&inputs).unwrap()) {
            said.take(output);
        }
        let keep: Vec<bool> = going.iter().map(|(_, said)| said.tokens.len() < TOKENS).collect();
        gpt.retain(&keep).unwrap();
        ended.extend(going.extract_if(.., |(_, said)| said.tokens.len() >= TOKENS));
        assert_eq!(gpt.rows(), going.len());
        if going.is_empty() {
            break;
        }
    }
    assert_eq!(ended.len(), TEXTS.len());
    for (n, said) in ended {
        assert_eq!(said.tokens, alone[n].tokens, "{}", TEXTS[n]);
        assert_close(TEXTS[n], &said.latents, &alone[n].latents, 1e-4);
    }
}

#[test]
fn tokens_are_drawn_with_the_probabilities_of_the_reference() {
    let manifest = manifest();
    let mut said = golden_ids("codes");
    said.pop();
    said.extend([1, manifest.dimensions.start_audio_token]);
    let sampler = Sampler::new(manifest.sampling, 0, manifest.dimensions.audio_tokens, &said);
    let expected = golden("probabilities_last");
    let mut found = vec![0.0; expected.len()];
    for (token, probability) in sampler.probabilities(&mut golden("logits_last")) {
        found[token] = probability;
    }
    assert_close("probabilities", &found, &expected, 1e-4);
}

/// By what part of the largest value they differ at most.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

/// A bundle may have its token model with fewer bits: the same inputs and outputs, nearly the same values.
#[test]
fn token_models_of_fewer_bits_answer_nearly_alike() {
    let prefix = prefix(&voice(), "перезвоните, пожалуйста, завтра после обеда");
    let next = vec![0.1; manifest().dimensions.model_dim];
    let answers = |file: &str| {
        let mut gpt = gpt_of(Path::new(file));
        let first = gpt.join(&prefix).unwrap();
        [first, gpt.step(&next).unwrap().remove(0)]
    };
    let expected = answers("gpt_model.onnx");
    for (file, bound) in [("gpt_model_fp16.onnx", 0.005), ("gpt_model_int8.onnx", 0.05)] {
        for (found, expected) in answers(file).iter().zip(&expected) {
            let logits = difference(&found.logits, &expected.logits);
            let latent = difference(&found.latent, &expected.latent);
            println!("{file}: logits {logits:.5}, latent {latent:.5}");
            assert!(logits > 0.0 && logits <= bound && latent <= bound, "{file}: {logits}, {latent}");
        }
    }
}

#[test]
fn a_bundle_of_fewer_bits_speaks() {
    for precision in ["fp16", "int8"] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle");
        fs::create_dir_all(bundle.join("embeddings")).unwrap();
        for part in ["", "embeddings"] {
            for file in fs::read_dir(Path::new(BUNDLE).join(part)).unwrap().flatten() {
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), bundle.join(part).join(file.file_name())).unwrap();
                }
            }
        }
        let sha256 = |file: &str| -> String {
            let digest = Sha256::digest(fs::read(bundle.join(file)).unwrap());
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let (whole, less) = ("gpt_model.onnx", format!("gpt_model_{precision}.onnx"));
        let manifest = fs::read_to_string(bundle.join("manifest.toml")).unwrap();
        let manifest = manifest.replace(whole, &less).replace(&sha256(whole), &sha256(&less));
        fs::write(bundle.join("manifest.toml"), manifest).unwrap();
        fs::remove_file(bundle.join(whole)).unwrap();
        let tts = start(XttsConfig { bundle, ..config(folder.path()) });
        assert_eq!(tts.voices()[0].problem, None);
        let (samples, result) = say(&tts, "Здравствуйте, чем я могу вам помочь?", &Cancel::default());
        result.unwrap();
        println!("{precision}: {samples} samples");
        assert!(samples > 12_000, "{samples}");
    }
}

/// A voice of the tiny bundle, with a folder of its own.
fn config(folder: &Path) -> XttsConfig {
    for (n, name) in [(1, "a"), (2, "b")] {
        fs::copy(format!("{BUNDLE}/golden/clip_{name}.wav"), folder.join(format!("{n}.wav"))).unwrap();
    }
    XttsConfig {
        name: None,
        bundle: PathBuf::from(BUNDLE),
        voice: folder.to_owned(),
        references: Vec::new(),
        languages: Vec::new(),
        accept_licence: None,
        threads: 1,
    }
}

fn start(config: XttsConfig) -> Tts {
    Tts::start(&TtsConfig { workers: 2, voices: vec![VoiceConfig::Xtts(config)], ..TtsConfig::default() }, &onnx())
        .unwrap()
}

/// What comes of a text: its samples at 24 kHz, and how it ended.
fn say(tts: &Tts, text: &str, cancel: &Cancel) -> (usize, Result<(), TtsError>) {
    let (sink, chunks) = sync_channel(64);
    let job = SpeakJob {
        text: text.into(),
        language: Language::Ru,
        rate_hz: 24_000,
        voices: VoiceOrder::default(),
        cancel: cancel.clone(),
        priority: Priority::Final,
    };
    tts.speak(job, move |chunk| {
        drop(sink.send(chunk));
        ControlFlow::Continue(())
    })
    .unwrap();
    let mut samples = 0;
    for chunk in chunks {
        match chunk {
            SpeechChunk::Pcm(pcm) => samples += pcm.len(),
            SpeechChunk::Done => return (samples, Ok(())),
            SpeechChunk::Failed(error) => return (samples, Err(error)),
        }
    }
    panic!("it neither ended nor failed");
}

#[test]
fn a_cloned_voice_speaks_and_what_is_known_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let tts = start(config(folder.path()));
    let voice = &tts.voices()[0];
    assert_eq!(
        (voice.problem.as_deref(), voice.ability.languages.as_slice()),
        (None, &[Language::Ru, Language::En][..])
    );
    let (samples, result) = say(&tts, "Здравствуйте, чем я могу вам помочь сегодня?", &Cancel::default());
    result.unwrap();
    println!("{samples} samples");
    assert!(samples > 24_000, "{samples}");
    let kept = folder.path().join("xtts-latents.json");
    let of = || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&kept).unwrap()).unwrap()["of"].clone();
    let before = of();
    tts.shutdown();
    drop(start(config(folder.path())));
    assert_eq!(of(), before);
    fs::remove_file(folder.path().join("2.wav")).unwrap();
    fs::copy(folder.path().join("1.wav"), folder.path().join("3.wav")).unwrap();
    let other = XttsConfig { references: vec!["3.wav".into()], ..config(folder.path()) };
    drop(start(other));
    assert_ne!(of(), before, "another recording is another voice");
}

#[test]
fn weights_that_may_not_earn_money_wait_for_a_word_of_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (voice, bundle) = (folder.path().join("voice"), folder.path().join("bundle"));
    fs::create_dir_all(&voice).unwrap();
    fs::create_dir_all(&bundle).unwrap();
    fs::create_dir(bundle.join("embeddings")).unwrap();
    for folder in ["", "embeddings"] {
        for file in fs::read_dir(Path::new(BUNDLE).join(folder)).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() {
                fs::copy(&file, bundle.join(folder).join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let manifest = fs::read_to_string(bundle.join("manifest.toml")).unwrap();
    let manifest =
        manifest.replace("licence = \"random weights, made with coqui-tts (MPL-2.0)\"", "licence = \"CPML\"");
    fs::write(bundle.join("manifest.toml"), manifest.replace("commercial_use = true", "commercial_use = false"))
        .unwrap();
    let config = |accepted: Option<&str>| XttsConfig {
        bundle: bundle.clone(),
        accept_licence: accepted.map(str::to_owned),
        ..config(&voice)
    };
    for accepted in [None, Some("MIT")] {
        let problem = start(config(accepted)).voices()[0].problem.clone().unwrap();
        println!("{problem}");
        assert!(
            problem.contains("CPML, allows no commercial use") && problem.contains("accept_licence = \"CPML\""),
            "{problem}"
        );
    }
    assert_eq!(start(config(Some("CPML"))).voices()[0].problem, None);
}

#[test]
fn a_hundred_cancellations_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let tts = start(config(folder.path()));
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    println!("{} threads, {} files", threads(), open());
    for n in 0..100 {
        let cancel = Cancel::default();
        if n % 2 == 0 {
            cancel.cancel();
        }
        let (sink, chunks) = sync_channel(64);
        let text = format!("Это {n} предложение, которое никто не дослушает до конца, сколько бы оно ни длилось.");
        let job = SpeakJob {
            text,
            language: Language::Ru,
            rate_hz: 24_000,
            voices: VoiceOrder::default(),
            cancel: cancel.clone(),
            priority: Priority::Final,
        };
        tts.speak(job, move |chunk| {
            drop(sink.send(chunk));
            ControlFlow::Continue(())
        })
        .unwrap();
        // The other half is cancelled after its first sound.
        let first = chunks.recv().unwrap();
        assert_eq!(n % 2 == 0, matches!(first, SpeechChunk::Failed(TtsError::Cancelled)), "{first:?}");
        cancel.cancel();
        assert!(chunks.iter().all(|chunk| matches!(
            chunk,
            SpeechChunk::Pcm(_) | SpeechChunk::Failed(TtsError::Cancelled) | SpeechChunk::Done
        )));
    }
    // Whoever comes next has the model for himself.
    say(&tts, "Здравствуйте, чем я могу вам помочь сегодня?", &Cancel::default()).1.unwrap();
    tts.shutdown();
}

#[test]
fn a_voice_without_recordings_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let with = |file: &str, bytes: &[u8]| {
        fs::write(empty.join(file), bytes).unwrap();
        XttsConfig { voice: empty.clone(), references: vec![file.into()], ..config(folder.path()) }
    };
    let none = folder.path().join("none");
    fs::create_dir(&none).unwrap();
    let nothing = XttsConfig { voice: none, ..config(folder.path()) };
    for (config, expected) in [
        (nothing, "has no WAV; put recordings of the voice there"),
        (with("1.wav", b"no wav"), "1.wav: read its WAV"),
        (XttsConfig { references: vec!["9.wav".into()], ..config(folder.path()) }, "9.wav: No such file"),
        (XttsConfig { bundle: empty.clone(), ..config(folder.path()) }, "manifest.toml: No such file"),
    ] {
        let problem = start(config).voices()[0].problem.clone().unwrap();
        println!("{problem}");
        assert!(problem.contains(expected), "{problem}");
    }
}
