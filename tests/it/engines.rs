//! The real models on real speech, as the telephone carries it, but for recognition, which has a file of its own.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::{SpeakJob, SpeechChunk, Tts, TtsConfig, TtsError, VitsConfig, VoiceConfig, VoiceOrder};
use secretary::engine::vad::{FRAME_LEN, Silero, Vad};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

use crate::recognition::{assert_heard, transcribe};
use crate::support::speech::{by_telephone, models, through_telephone};

fn onnx() -> OnnxRuntime {
    OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap()
}

mod voice_activity {
    use super::*;

    fn silero() -> Silero {
        Silero::load(&onnx(), &models().join("silero_vad.onnx")).unwrap()
    }

    fn probabilities(vad: &mut dyn Vad, pcm: &[i16]) -> Vec<f32> {
        pcm.as_chunks::<FRAME_LEN>().0.iter().map(|frame| vad.probability(frame).unwrap()).collect()
    }

    #[test]
    fn speech_is_found_where_it_is() {
        let silero = silero();
        for (name, from_s, to_s) in
            [("ru_real_0114", 0.41, 5.24), ("ru_real_0308", 0.42, 3.75), ("en_real_goforward", 0.50, 2.53)]
        {
            let mut vad = silero.start().unwrap();
            let pcm = by_telephone(&format!("{name}.wav"));
            #[expect(clippy::disallowed_methods, reason = "a figure for the reader, not judged")]
            let started = Instant::now();
            let p = probabilities(&mut *vad, &pcm);
            let cost_us = started.elapsed().as_micros() as usize / p.len();
            let time_s = |frame: usize| (frame * FRAME_LEN) as f64 / 8_000.0;
            let speech: Vec<f64> = (0..p.len()).filter(|&n| p[n] > 0.5).map(time_s).collect();
            let (first, last) = (speech[0], speech[speech.len() - 1]);
            let share = speech.len() as f64 / p.len() as f64 * time_s(p.len()) / (to_s - from_s);
            println!("{name}: speech {first:.2}-{last:.2} s, {share:.2} of it; {cost_us} us a frame");
            assert!((first - from_s).abs() < 0.4 && (last - to_s).abs() < 0.4, "{name}: {first}-{last}");
            assert!(share > 0.7, "{name}: only {share} of the speech is found");
        }
    }

    #[test]
    fn silence_noise_and_keys_are_not_speech() {
        let silero = silero();
        for name in ["ns_silence", "ns_keyboard", "ns_street"] {
            let p = probabilities(&mut *silero.start().unwrap(), &by_telephone(&format!("{name}.wav")));
            let speech = p.iter().filter(|&&p| p > 0.5).count();
            println!("{name}: {speech} of {} frames", p.len());
            assert_eq!(speech, 0, "{name}");
        }
    }

    #[test]
    fn other_model_is_refused() {
        let error = Silero::load(&onnx(), &models().join("en_US-joe-medium.onnx")).err().unwrap();
        println!("{error}");
        assert!(error.to_string().contains("Silero VAD"));
    }
}

mod voices {
    use super::*;
    use Language::{En, Ru};

    fn joe() -> VoiceConfig {
        let model = models().join("en_US-joe-medium.onnx");
        VoiceConfig::Vits(VitsConfig::new(En, model))
    }

    fn start(voices: &[VoiceConfig]) -> Tts {
        let tts =
            Tts::start(&TtsConfig { workers: 1, voices: voices.to_vec(), ..TtsConfig::default() }, &onnx()).unwrap();
        tts.voices().iter().for_each(|voice| println!("{voice:?}"));
        tts
    }

    /// What a voice says, as the telephone carries it.
    fn speak(tts: &Tts, text: &str, language: Language) -> Vec<i16> {
        speak_at(tts, text, language, Priority::Final)
    }

    fn speak_at(tts: &Tts, text: &str, language: Language, priority: Priority) -> Vec<i16> {
        let (send, chunks) = sync_channel(8);
        let job = SpeakJob {
            text: text.to_owned(),
            language,
            rate_hz: 8_000,
            voices: VoiceOrder::default(),
            cancel: Cancel::default(),
            priority,
        };
        let sink = move |chunk| {
            send.send(chunk).unwrap();
            ControlFlow::Continue(())
        };
        #[expect(clippy::disallowed_methods, reason = "figures for the reader, not judged")]
        let started = Instant::now();
        tts.speak(job, sink).unwrap();
        let mut pcm = Vec::new();
        loop {
            match chunks.recv().unwrap() {
                SpeechChunk::Pcm(chunk) => {
                    if pcm.is_empty() {
                        println!("first sound of {text:?} after {} ms", started.elapsed().as_millis());
                    }
                    pcm.extend(chunk);
                }
                SpeechChunk::Done => break,
                SpeechChunk::Failed(error) => panic!("{error}"),
            }
        }
        println!("{:.1} s of speech in {} ms", pcm.len() as f64 / 8_000.0, started.elapsed().as_millis());
        through_telephone(&pcm, 8_000)
    }

    #[test]
    fn espeak_speaks_where_no_other_voice_works() {
        let missing = VitsConfig::new(Ru, "nowhere/voice.onnx".into());
        let tts = start(&[VoiceConfig::Vits(missing)]);
        let problem = tts.voices()[0].problem.clone().unwrap();
        assert!(problem.contains("nowhere/voice.onnx") && problem.contains("./run.sh"), "{problem}");
        let said = "Thank you for calling, how can I help you?";
        assert_heard(said, &transcribe(speak(&tts, said, En), &[En]), 0.6);
        // Whisper understands no Russian of espeak's, whatever the voice and speed; that it speaks can be told.
        let pcm = speak(&tts, "Здравствуйте, чем я могу вам помочь?", Ru);
        let mut vad = Silero::load(&onnx(), &models().join("silero_vad.onnx")).unwrap().start().unwrap();
        let frames = pcm.as_chunks::<FRAME_LEN>().0;
        let speech = frames.iter().filter(|&frame| vad.probability(frame).unwrap() > 0.5).count();
        println!("speech in {speech} of {} frames", frames.len());
        assert!(speech * 2 > frames.len());
    }

    #[test]
    fn prepared_phrase_is_there_at_once() {
        let tts = start(&[joe()]);
        let greeting = "Hello! You have reached the front desk.";
        assert!(tts.cached(greeting, En, 8_000, &VoiceOrder::default()).is_none());
        tts.prepare(greeting, En, 8_000, &VoiceOrder::default()).unwrap();
        // One worker: what is asked for later in the background is answered later.
        speak_at(&tts, "Okay.", En, Priority::Background);
        let prepared = tts.cached(greeting, En, 8_000, &VoiceOrder::default()).unwrap().concat();
        assert!(prepared.len() > 8_000);
        assert_eq!(through_telephone(&prepared, 8_000), speak(&tts, greeting, En));
        assert!(tts.cached(greeting, En, 16_000, &VoiceOrder::default()).is_none());
    }

    #[test]
    fn prepared_phrase_is_there_after_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let phrases = folder.path().join("phrases");
        let config =
            TtsConfig { workers: 1, voices: vec![joe()], phrases: Some(phrases.clone()), ..TtsConfig::default() };
        let greeting = "Hello! You have reached the front desk.";
        let prepared = |config: &TtsConfig| {
            let tts = Tts::start(config, &onnx()).unwrap();
            tts.prepare(greeting, En, 8_000, &VoiceOrder::default()).unwrap();
            speak_at(&tts, "Okay.", En, Priority::Background);
            let prepared = tts.cached(greeting, En, 8_000, &VoiceOrder::default()).unwrap().concat();
            tts.shutdown();
            prepared
        };
        let first = prepared(&config);
        let files = || std::fs::read_dir(&phrases).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
        assert_eq!(files().len(), 2, "a clause each");
        // What stands there is what is said: two samples for each clause.
        for file in files() {
            std::fs::write(file, b"phrase 2\x07\x00\x08\x00").unwrap();
        }
        assert_eq!(prepared(&config), [7, 8, 7, 8]);
        let slower =
            VitsConfig { length_scale: Some(1.2), ..VitsConfig::new(En, models().join("en_US-joe-medium.onnx")) };
        let config = TtsConfig { voices: vec![VoiceConfig::Vits(slower)], ..config };
        assert!(prepared(&config).len() > first.len(), "another voice has its own");
    }

    #[test]
    fn a_long_clause_is_broken_off_while_it_is_computed() {
        let tts = start(&[joe()]);
        let cancel = Cancel::default();
        let (send, chunks) = sync_channel(100);
        let text = "This is a sentence without any pause that goes on for so long that nobody could compute the whole of it \
                    before somebody says that it is not wanted any more";
        let (stop, priority) = (cancel.clone(), Priority::Final);
        let job = SpeakJob {
            text: text.into(),
            language: En,
            rate_hz: 8_000,
            voices: VoiceOrder::default(),
            cancel,
            priority,
        };
        #[expect(clippy::disallowed_methods, reason = "a figure for the reader, not judged")]
        let started = Instant::now();
        tts.speak(job, move |chunk| {
            send.send(chunk).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(chunks.recv_timeout(std::time::Duration::from_millis(60)).is_err(), "the whole takes longer");
        stop.cancel();
        let first = chunks.recv().unwrap();
        println!("over {} ms after it was asked for", started.elapsed().as_millis());
        assert!(matches!(first, SpeechChunk::Failed(TtsError::Cancelled)), "{first:?}");
        assert!(!speak(&tts, "The next one is heard.", En).is_empty());
    }

    #[test]
    fn cancelled_speech_stops_between_clauses() {
        let tts = start(&[joe()]);
        let cancel = Cancel::default();
        let (send, chunks) = sync_channel(100);
        let (stop, priority) = (cancel.clone(), Priority::Final);
        let job = SpeakJob {
            text: "One. Two. Three.".into(),
            language: En,
            rate_hz: 8_000,
            voices: VoiceOrder::default(),
            cancel,
            priority,
        };
        let sink = move |chunk| {
            stop.cancel();
            send.send(chunk).unwrap();
            ControlFlow::Continue(())
        };
        tts.speak(job, sink).unwrap();
        assert!(matches!(chunks.recv().unwrap(), SpeechChunk::Pcm(_)));
        let next = chunks.recv().unwrap();
        assert!(matches!(next, SpeechChunk::Pcm(_) | SpeechChunk::Failed(TtsError::Cancelled)));
        assert!(chunks.iter().count() <= 1);
    }
}
