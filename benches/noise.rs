//! What noise behind a caller costs, and whether suppressing it helps: word error rate of the speech of the tests with a street
//! and with hiss behind it, as it is and suppressed. Prints a table for docs/media.md and asserts nothing.
//!
//! `cargo bench --bench noise`; needs the models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::sync::mpsc::sync_channel;

use rand::{Rng, SeedableRng, rngs::StdRng};
use secretary::engine::stt::{Stt, SttConfig, SttJob};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

#[path = "../tests/it/support/speech.rs"]
mod speech;
#[path = "../tests/it/support/wer.rs"]
#[allow(dead_code, reason = "no numbers are dictated")]
mod wer;

const SPEECH: [(&str, Language, &str); 8] = [
    ("ru_real_0114.wav", Language::Ru, "Лишь одна ночь отделяла его от земли, от мучительных теней."),
    ("ru_real_0308.wav", Language::Ru, "Это странно, но я уж как-то привыкла к вам."),
    ("ru_real_0552.wav", Language::Ru, "В церковь ходили одни старухи, не считая меня и Марии."),
    ("ru_real_0722.wav", Language::Ru, "Эпизод борьбы английских колоний в Северной Америке за независимость."),
    ("en_real_cities_1.wav", Language::En, "It was the best of times, it was the worst of times."),
    ("en_real_cities_3.wav", Language::En, "It was the epoch of belief, it was the epoch of incredulity."),
    ("en_real_goforward.wav", Language::En, "go forward ten meters"),
    ("en_real_austen_0880.wav", Language::En, "he was not an ill disposed young man"),
];

fn main() {
    let [plain, suppressing] = [false, true].map(|noise_suppression| {
        let model = speech::models().join(SttConfig::default().model);
        Stt::start(&SttConfig { model, noise_suppression, ..SttConfig::default() }).expect("the model")
    });
    let mut rng = StdRng::seed_from_u64(3);
    let street = speech::by_telephone("ns_street.wav");
    let hiss: Vec<i16> = (0..8_000 * 20).map(|_| rng.random_range(-3_000..3_000)).collect();
    println!("| behind the speech | louder by | word errors | with suppression |");
    println!("|---|---|---|---|");
    println!("| nothing | | {} | {} |", errors(&plain, None), errors(&suppressing, None));
    for (name, noise) in [("a street", &street), ("hiss", &hiss)] {
        for snr_db in [15.0, 8.0, 3.0] {
            let (plain, suppressed) =
                (errors(&plain, Some((noise, snr_db))), errors(&suppressing, Some((noise, snr_db))));
            println!("| {name} | {snr_db} dB | {plain} | {suppressed} |");
        }
    }
}

/// Of all words, with this noise behind them and the speech so much louder.
fn errors(stt: &Stt, noise: Option<(&Vec<i16>, f64)>) -> String {
    let (mut wrong, mut all) = (0.0, 0);
    for (file, language, text) in SPEECH {
        let mut pcm = speech::by_telephone(file);
        if let Some((noise, snr_db)) = noise {
            let gain = loudness(&pcm) / loudness(noise) / 10f64.powf(snr_db / 20.0);
            for (sample, noise) in pcm.iter_mut().zip(noise.iter().cycle()) {
                *sample = sample.saturating_add((f64::from(*noise) * gain) as i16);
            }
        }
        let (sender, heard) = sync_channel(1);
        let (cancel, priority) = (Cancel::default(), Priority::Final);
        let due = speech::now();
        let job = SttJob { pcm, rate_hz: 8_000, languages: vec![language], cancel, priority, due };
        stt.submit(job, move |result| sender.send(result).unwrap()).expect("room");
        let heard = heard.recv().unwrap().expect("a transcript").text;
        let words = wer::words(text).len();
        wrong += wer::wer(text, &heard) * words as f64;
        all += words;
    }
    format!("{:.1} %", 100.0 * wrong / all as f64)
}

fn loudness(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}
