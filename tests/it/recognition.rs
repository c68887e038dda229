//! Recognition by the real model of real speech, as the telephone carries it. Text is judged by its word error rate.

use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;

use secretary::engine::stt::{Stt, SttConfig, SttError, SttJob, Transcript};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

use crate::support::recordings::manifest;
use crate::support::speech::{by_telephone, models, now};
use crate::support::wer::{wer, words};

use Language::{En, Ru};

static STT: LazyLock<Stt> = LazyLock::new(|| start(&[]));

fn start(terms: &[&str]) -> Stt {
    let terms = terms.iter().map(ToString::to_string).collect();
    let model = models().join(SttConfig::default().model);
    Stt::start(&SttConfig { model, terms, workers: 1, threads: 1, ..SttConfig::default() }).unwrap()
}

fn job(pcm: Vec<i16>, languages: &[Language]) -> SttJob {
    let languages = languages.to_vec();
    SttJob { pcm, rate_hz: 8_000, languages, cancel: Cancel::default(), priority: Priority::Final, due: now() }
}

fn run(stt: &Stt, job: SttJob) -> Result<Transcript, SttError> {
    let (reply, result) = sync_channel(1);
    stt.submit(job, move |result| reply.send(result).unwrap()).unwrap();
    result.recv().unwrap()
}

pub fn transcribe(pcm: Vec<i16>, languages: &[Language]) -> Transcript {
    run(&STT, job(pcm, languages)).unwrap()
}

pub fn assert_heard(said: &str, transcript: &Transcript, bound: f64) {
    let wer = wer(said, &transcript.text);
    let Transcript { text, language, audio_s, processing_s, .. } = transcript;
    println!("WER {wer:.2} {language} {audio_s:.1} s in {processing_s:.2} s: {text}");
    assert!(wer <= bound, "said {said:?}, heard {text:?}");
}

const SAID: [(&str, Language, &str); 5] = [
    ("ru_real_0114", Ru, "Лишь одна ночь отделяла его от земли, от мучительных теней."),
    ("ru_real_0308", Ru, "Это странно, но я уж как-то привыкла к вам."),
    ("ru_ivr_pls-hold-while-try", Ru, "Оставайтесь на линии. Происходит соединение с абонентом."),
    ("en_real_cities_1", En, "It was the best of times, it was the worst of times."),
    ("en_real_goforward", En, "go forward ten meters"),
];

/// Errors per word over all recordings of a category. No recording may have more words than twice those that were said.
fn errors(category: &str, recordings: usize) -> f64 {
    let (mut wrong, mut all, mut count) = (0.0, 0, 0);
    for recording in manifest().iter().filter(|recording| recording.category == category) {
        let language = recording.language.unwrap();
        let transcript = transcribe(by_telephone(&recording.file), &[language]);
        let (said, rate) = (words(&recording.text).len(), wer(&recording.text, &transcript.text));
        println!("{rate:.2} {}: {}", recording.file, transcript.text);
        assert!(words(&transcript.text).len() <= 2 * said, "{}: {}", recording.file, transcript.text);
        (wrong, all, count) = (wrong + rate * said as f64, all + said, count + 1);
    }
    assert_eq!(count, recordings);
    let rate = wrong / all as f64;
    println!("{category}: word error rate {rate:.3} over {all} words");
    rate
}

#[test]
fn man_who_reads_russian_is_understood() {
    assert!(errors("ru_real", 30) <= 0.20);
}

#[test]
fn woman_who_speaks_russian_prompts_is_understood() {
    assert!(errors("ru_ivr", 40) <= 0.20);
}

#[test]
fn english_speakers_are_understood() {
    assert!(errors("en_real", 9) <= 0.05);
}

#[test]
fn nothing_is_written_where_nobody_speaks() {
    let mut count = 0;
    for recording in manifest().iter().filter(|recording| recording.language.is_none()) {
        for languages in [&[Ru][..], &[En], &[Ru, En]] {
            let transcript = transcribe(by_telephone(&recording.file), languages);
            println!("{} {languages:?}: {:?} {:?}", recording.file, transcript.text, transcript.caught);
            assert_eq!(transcript.text, "", "{}", recording.file);
        }
        count += 1;
    }
    assert_eq!(count, 9);
    assert_eq!(transcribe(Vec::new(), &[Ru]).text, "");
}

#[test]
fn caught_text_is_told() {
    let transcript = transcribe(by_telephone("ns_hold_music.wav"), &[Ru]);
    println!("{transcript:?}");
    assert!(transcript.text.is_empty() && !transcript.caught.is_empty());
}

#[test]
fn dictated_number_with_pauses_does_not_become_a_loop() {
    let transcript = transcribe(by_telephone("ru_syn_callback_num.wav"), &[Ru]);
    println!("{}", transcript.text);
    let heard = words(&transcript.text);
    assert!((8..=25).contains(&heard.len()), "{heard:?}");
    assert!(heard.windows(4).all(|four| four.iter().any(|word| *word != four[0])), "{heard:?}");
}

#[test]
fn languages_are_told_apart() {
    let mut wrong = Vec::new();
    let recordings = manifest();
    let spoken = recordings.iter().filter(|recording| recording.category != "ru_syn");
    for (recording, language) in spoken.filter_map(|recording| Some((recording, recording.language?))) {
        let transcript = transcribe(by_telephone(&recording.file), &[Ru, En]);
        if transcript.language != language || transcript.text.is_empty() {
            wrong.push((recording.file.clone(), transcript.text));
        }
    }
    println!("{wrong:?}");
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn silence_in_front_costs_no_word() {
    for (name, language, said) in SAID {
        let speech = by_telephone(&format!("{name}.wav"));
        // As quiet as a line is, not as nothing.
        let silence = (0..12_000).map(|n| if n % 7 == 0 { 8 } else { -8 });
        let transcript = transcribe(silence.chain(speech).collect(), &[Ru, En]);
        assert_heard(said, &transcript, 0.25);
        assert_eq!(transcript.language, language, "{name}");
        let start_s = transcript.segments[0].start_s;
        assert!((1.0..3.0).contains(&start_s), "{name} begins at {start_s}");
    }
}

#[test]
fn words_lie_where_they_were_said() {
    for recording in manifest() {
        let (Some((start_s, end_s)), Some(language)) = (recording.speech_s, recording.language) else { continue };
        if recording.category != "ru_real" || !recording.file.ends_with("4.wav") {
            continue;
        }
        let transcript = transcribe(by_telephone(&recording.file), &[language]);
        let found: Vec<_> = transcript.segments.iter().flat_map(|segment| &segment.words).collect();
        println!("{} {start_s}-{end_s}: {found:?}", recording.file);
        let spelled: Vec<_> = found.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(spelled.join(" "), transcript.text);
        assert!(found.windows(2).all(|pair| pair[0].start_s <= pair[1].start_s));
        assert!((found[0].start_s - start_s).abs() < 0.6 && (found[found.len() - 1].end_s - end_s).abs() < 0.9);
    }
}

#[test]
fn terms_of_the_business_are_spelled_right() {
    let pcm = by_telephone("ru_real_0531.wav");
    let without = transcribe(pcm.clone(), &[Ru]).text;
    let with = run(&start(&["Цюпфнер", "Коваленко", "Садовая"]), job(pcm, &[Ru])).unwrap().text;
    println!("{without}\n{with}");
    assert!(!without.contains("Цюпфнер") && with.contains("Цюпфнер"));
}

#[test]
fn terms_of_the_business_do_not_come_out_of_silence() {
    let stt = start(&["Цюпфнер", "Коваленко", "Садовая", "Brown"]);
    for recording in manifest().iter().filter(|recording| recording.language.is_none()) {
        let transcript = run(&stt, job(by_telephone(&recording.file), &[Ru, En])).unwrap();
        println!("{}: {:?} {:?}", recording.file, transcript.text, transcript.caught);
        assert_eq!(transcript.text, "", "{}", recording.file);
    }
}

#[test]
fn more_terms_than_can_be_read_do_no_harm() {
    let many: Vec<String> = (0..300).map(|n| format!("Константинопольский{n}")).collect();
    let stt = start(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let transcript = run(&stt, job(by_telephone("en_real_goforward.wav"), &[En])).unwrap();
    assert_heard("go forward ten meters", &transcript, 0.5);
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
    assert!(matches!(run(&STT, job(vec![0; 8_000], &[])), Err(SttError::NoLanguage)));
    assert!(matches!(run(&STT, SttJob { rate_hz: 0, ..job(vec![0; 800], &[Ru]) }), Err(SttError::Audio(_))));
    for samples in [1, 3, 400, 880, 881, 960] {
        assert_eq!(transcribe(vec![100; samples], &[Ru, En]).text, "");
    }
}
