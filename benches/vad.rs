//! What voice detection costs, and what a gate by loudness in front of it would spare: of all recordings of the tests, as the
//! telephone carries them, the share of 32 ms windows that are softer than the gate, and of those with speech in them.
//! Prints a table for docs/listening.md and asserts nothing.
//!
//! `cargo bench --bench vad`; needs the models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::vad::{FRAME_LEN, Silero};

#[path = "../tests/it/support/recordings.rs"]
#[allow(dead_code, reason = "what is said is not asked")]
mod recordings;
#[path = "../tests/it/support/speech.rs"]
#[allow(dead_code, reason = "nothing is transcribed")]
mod speech;
#[allow(dead_code, reason = "what memory it takes is not asked")]
mod usage;

/// In dB of full scale.
const GATES_DB: [f64; 4] = [-60.0, -55.0, -50.0, -45.0];
/// From which on a window counts as speech, as in a call.
const SPEECH: f32 = 0.5;

fn main() {
    let runtime = OnnxRuntime::load(&speech::models().join("libonnxruntime.so")).expect("ONNX Runtime");
    let silero = Silero::load(&runtime, &speech::models().join("silero_vad.onnx")).expect("the model");
    let sounds: Vec<_> = recordings::manifest().iter().map(|recording| speech::by_telephone(&recording.file)).collect();
    let (mut windows, mut used_s) = (Vec::new(), 0.0);
    for sound in sounds {
        let mut vad = silero.start().expect("the model");
        let before = usage::cpu_seconds(std::process::id());
        let probabilities: Vec<f32> =
            sound.chunks_exact(FRAME_LEN).map(|window| vad.probability(window).expect("an answer")).collect();
        used_s += usage::cpu_seconds(std::process::id()) - before;
        windows.extend(sound.chunks_exact(FRAME_LEN).map(level_db).zip(probabilities));
    }
    let sound_s = (windows.len() * FRAME_LEN) as f64 / 8_000.0;
    println!("{sound_s:.0} s of sound: {:.2} % of a core\n", 100.0 * used_s / sound_s);
    println!("| gate | windows below it | windows of speech below it |");
    println!("|---|---|---|");
    let spoken = windows.iter().filter(|(_, probability)| *probability >= SPEECH).count();
    for gate in GATES_DB {
        let below = windows.iter().filter(|(level, _)| *level < gate);
        let lost = below.clone().filter(|(_, probability)| *probability >= SPEECH).count();
        let share = |part: usize, of: usize| 100.0 * part as f64 / of as f64;
        println!("| {gate} dB | {:.0} % | {:.1} % |", share(below.count(), windows.len()), share(lost, spoken));
    }
}

fn level_db(pcm: &[i16]) -> f64 {
    let energy: f64 = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    10.0 * (energy / pcm.len() as f64 / 32_768.0_f64.powi(2)).max(1e-9).log10()
}
