//! The real models on real speech, as the telephone carries it. Text is judged by its word error rate.

use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::stt::{Stt, SttConfig, SttError, SttJob, Transcript};
use secretary::engine::tts::{CommandConfig, SpeakJob, SpeechChunk, Tts, TtsConfig, TtsError, VitsConfig, VoiceConfig};
use secretary::engine::vad::{FRAME_LEN, Silero, Vad};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

use crate::support::speech::{by_telephone, models, through_telephone};
use crate::support::wer::wer;

static STT: LazyLock<Stt> = LazyLock::new(|| {
    Stt::start(&SttConfig { model: models().join("ggml-base.bin"), workers: 1, threads: 1, ..SttConfig::default() })
        .unwrap()
});

fn onnx() -> OnnxRuntime {
    OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap()
}

fn job(pcm: Vec<i16>, languages: &[Language]) -> SttJob {
    let languages = languages.to_vec();
    SttJob { pcm, rate_hz: 8_000, languages, cancel: Cancel::default(), priority: Priority::Caller }
}

fn run(job: SttJob) -> Result<Transcript, SttError> {
    let (reply, result) = sync_channel(1);
    STT.submit(job, move |result| reply.send(result).unwrap()).unwrap();
    result.recv().unwrap()
}

fn transcribe(pcm: Vec<i16>, languages: &[Language]) -> Transcript {
    run(job(pcm, languages)).unwrap()
}

fn assert_heard(said: &str, transcript: &Transcript, bound: f64) {
    let wer = wer(said, &transcript.text);
    let Transcript { text, language, audio_s, processing_s, .. } = transcript;
    println!("WER {wer:.2} {language} {audio_s:.1} s in {processing_s:.2} s: {text}");
    assert!(wer <= bound, "said {said:?}, heard {text:?}");
}

mod recognition {
    use super::*;
    use Language::{En, Ru};

    const SAID: [(&str, Language, &str); 5] = [
        ("ru_real_0114", Ru, "Лишь одна ночь отделяла его от земли, от мучительных теней."),
        ("ru_real_0308", Ru, "Это странно, но я уж как-то привыкла к вам."),
        ("ru_ivr_pls-hold-while-try", Ru, "Оставайтесь на линии. Происходит соединение с абонентом."),
        ("en_real_cities_1", En, "It was the best of times, it was the worst of times."),
        ("en_real_goforward", En, "go forward ten meters"),
    ];

    #[test]
    fn understands_russian_and_english_by_telephone() {
        for (name, language, said) in SAID {
            let transcript = transcribe(by_telephone(&format!("{name}.wav")), &[language]);
            assert_heard(said, &transcript, 0.25);
            assert_eq!(transcript.language, language);
        }
    }

    #[test]
    fn tells_the_languages_apart_and_says_how_long_it_took() {
        for (name, language, said) in SAID {
            let transcript = transcribe(by_telephone(&format!("{name}.wav")), &[Ru, En]);
            assert_heard(said, &transcript, 0.25);
            assert_eq!(transcript.language, language, "{name}");
            assert!(transcript.processing_s > 0.0);
        }
    }

    #[test]
    fn writes_nothing_where_nobody_speaks() {
        for name in ["ns_silence", "ns_keyboard", "ns_hold_music", "ns_street"] {
            for language in [Ru, En] {
                let text = transcribe(by_telephone(&format!("{name}.wav")), &[language]).text;
                println!("{name} {language}: {text:?}");
                assert_eq!(text, "", "{name}");
            }
        }
        assert_eq!(transcribe(Vec::new(), &[Ru]).text, "");
    }

    #[test]
    fn long_recording_is_transcribed_whole_with_rising_times() {
        let (mut pcm, mut said) = (Vec::new(), String::new());
        for (name, language, text) in SAID.iter().cycle().take(12) {
            if *language == Ru {
                pcm.extend(by_telephone(&format!("{name}.wav")));
                said += &format!(" {text}");
            }
        }
        let transcript = transcribe(pcm, &[Ru]);
        assert!(transcript.audio_s > 30.0);
        assert_heard(&said, &transcript, 0.25);
        let segments = &transcript.segments;
        segments.iter().for_each(|s| println!("{:6.2}-{:6.2} {}", s.start_s, s.end_s, s.text));
        assert!(segments.iter().all(|s| s.start_s < s.end_s && s.end_s <= transcript.audio_s + 0.01));
        assert!(segments.windows(2).all(|pair| pair[0].end_s <= pair[1].start_s + 0.01));
    }

    #[test]
    fn cancelled_utterance_stops_and_the_next_is_heard() {
        let cancel = Cancel::default();
        let (reply, result) = sync_channel(1);
        let long = by_telephone("en_real_cities_1.wav").repeat(5);
        let long = SttJob { cancel: cancel.clone(), ..job(long, &[En]) };
        STT.submit(long, move |result| reply.send(result).unwrap()).unwrap();
        cancel.cancel();
        assert!(matches!(result.recv().unwrap(), Err(SttError::Cancelled)));
        let transcript = transcribe(by_telephone("en_real_goforward.wav"), &[En]);
        assert_heard("go forward ten meters", &transcript, 0.25);
    }

    #[test]
    fn odd_input_does_no_harm() {
        assert!(matches!(run(job(vec![0; 8_000], &[])), Err(SttError::NoLanguage)));
        assert!(matches!(run(SttJob { rate_hz: 0, ..job(vec![0; 800], &[Ru]) }), Err(SttError::Audio(_))));
        for samples in [1, 3, 400, 880, 881, 960] {
            assert_eq!(transcribe(vec![100; samples], &[Ru, En]).text, "");
        }
    }
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
        VoiceConfig::Vits(VitsConfig { language: En, model, speaker: 0, threads: 1 })
    }

    fn start(voices: &[VoiceConfig]) -> Tts {
        let tts = Tts::start(&TtsConfig { workers: 1, voices: voices.to_vec() }, &onnx()).unwrap();
        tts.voices().iter().for_each(|voice| println!("{voice:?}"));
        tts
    }

    /// What a voice says, as the telephone carries it.
    fn speak(tts: &Tts, text: &str, language: Language) -> Vec<i16> {
        speak_at(tts, text, language, Priority::Caller)
    }

    fn speak_at(tts: &Tts, text: &str, language: Language, priority: Priority) -> Vec<i16> {
        let (send, chunks) = sync_channel(8);
        let job = SpeakJob { text: text.to_owned(), language, rate_hz: 8_000, cancel: Cancel::default(), priority };
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

    /// The digits of a text as words, so that the word error rate counts them.
    fn digits(text: &str) -> String {
        text.chars().filter(char::is_ascii_digit).flat_map(|c| [c, ' ']).collect()
    }

    #[test]
    fn festival_is_understood_in_russian() {
        let tts = start(&[VoiceConfig::Command(CommandConfig::festival_ru())]);
        for said in [
            "Здравствуйте! Чем я могу вам помочь?",
            "Спасибо большое, всего доброго, до свидания.",
            "Сколько стоит консультация у специалиста?",
        ] {
            assert_heard(said, &transcribe(speak(&tts, said, Ru), &[Ru]), 0.3);
        }
    }

    #[test]
    fn piper_is_understood_in_english() {
        let tts = start(&[joe()]);
        for said in [
            "Hello! How can I help you today?",
            "Thank you for calling, our office is open from nine in the morning until six in the evening.",
        ] {
            assert_heard(said, &transcribe(speak(&tts, said, En), &[En]), 0.2);
        }
    }

    #[test]
    fn espeak_speaks_where_no_other_voice_works() {
        let missing = VitsConfig { language: Ru, model: "nowhere/voice.onnx".into(), speaker: 0, threads: 1 };
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
    fn telephone_numbers_are_heard_to_a_digit() {
        let tts = start(&[joe(), VoiceConfig::Command(CommandConfig::festival_ru())]);
        // Not "is four": the recogniser hears "is for" there.
        for (text, language) in [("Your number is 915-555-0172.", En), ("Ваш номер: 8 916 123-45-67.", Ru)] {
            let heard = transcribe(speak(&tts, text, language), &[language]).text;
            let wer = wer(&digits(text), &digits(&heard));
            println!("{wer:.2} of the digits wrong: {heard}");
            assert!(wer < 0.1, "{heard}");
        }
    }

    #[test]
    fn prepared_phrase_is_there_at_once() {
        let tts = start(&[joe()]);
        let greeting = "Hello! You have reached the front desk.";
        assert!(tts.cached(greeting, En, 8_000).is_none());
        tts.prepare(greeting, En, 8_000).unwrap();
        // One worker: what is asked for later in the background is answered later.
        speak_at(&tts, "Okay.", En, Priority::Background);
        let prepared = tts.cached(greeting, En, 8_000).unwrap().concat();
        assert!(prepared.len() > 8_000);
        assert_eq!(through_telephone(&prepared, 8_000), speak(&tts, greeting, En));
        assert!(tts.cached(greeting, En, 16_000).is_none());
    }

    #[test]
    fn cancelled_speech_stops_between_clauses() {
        let tts = start(&[joe()]);
        let cancel = Cancel::default();
        let (send, chunks) = sync_channel(100);
        let (stop, priority) = (cancel.clone(), Priority::Caller);
        let job = SpeakJob { text: "One. Two. Three.".into(), language: En, rate_hz: 8_000, cancel, priority };
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
