//! Recordings and synthesised tones through A-law, as 8 and as 16 kHz, with a VAD that hears no speech at all: the hardest
//! case for what must not be recognised.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::rtp::codec::resample::resample;
use crate::rtp::codec::{Codec, g711};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech")
}

fn recording(path: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let pcm: Vec<i16> = wav.samples().collect::<Result<_, _>>().unwrap();
    resample(&pcm, wav.spec().sample_rate, 8_000).unwrap()
}

fn clip(name: &str) -> Vec<i16> {
    recording(&folder().join(name))
}

/// What is heard, with the seconds at which it is.
fn heard(pcm: &[i16]) -> Vec<(Heard, f32)> {
    let pcm = g711::decode(Codec::Pcma, &g711::encode(Codec::Pcma, pcm));
    let listen = |pcm: &[i16], rate: Rate| -> Vec<(Heard, f32)> {
        let mut ear = LineClassifier::new(rate);
        let frames = pcm.chunks_exact(rate.frame_samples()).enumerate();
        frames.filter_map(|(n, frame)| Some((ear.push(frame, false)?, (n + 1) as f32 * 0.02))).collect()
    };
    let found = listen(&pcm, Rate::Narrow);
    let wide = listen(&resample(&pcm, 8_000, 16_000).unwrap(), Rate::Wide);
    assert!(found.iter().map(|(heard, _)| heard).eq(wide.iter().map(|(heard, _)| heard)), "{found:?} {wide:?}");
    found
}

fn names(pcm: &[i16]) -> Vec<Heard> {
    heard(pcm).into_iter().map(|(heard, _)| heard).collect()
}

/// Bursts of tones at once and pauses, in ms, over the noise of a line, begun somewhere in a frame.
fn cadence(hz: &[f32], steps: &[(usize, usize)], times: usize, level: f32) -> Vec<i16> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut pcm = vec![0; 4_077];
    for &(on_ms, off_ms) in steps.iter().cycle().take(steps.len() * times) {
        let tone = |n: usize| hz.iter().map(|hz| (TAU * hz * n as f32 / 8_000.0).sin()).sum::<f32>();
        pcm.extend((0..on_ms * 8).map(|n| (tone(n) * level / hz.len() as f32) as i16));
        pcm.resize(pcm.len() + off_ms * 8, 0);
    }
    pcm.iter_mut().for_each(|sample| *sample += rng.random_range(-60..=60));
    pcm
}

#[test]
fn recordings_of_machines_are_recognised() {
    for (name, expected, by_s) in [
        ("ns_ringback.wav", Heard::Ringback, 6.5),
        ("ns_busy.wav", Heard::Busy, 3.0),
        ("ns_fax_cng.wav", Heard::Fax, 5.5),
        ("ns_hold_music.wav", Heard::Music, 9.0),
    ] {
        let found = heard(&clip(name));
        println!("{name}: {found:?}");
        assert!(matches!(found[..], [(what, at)] if what == expected && at <= by_s), "{name}: {found:?}");
    }
}

#[test]
fn people_and_noise_are_taken_for_nothing() {
    let mut clips: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    clips.sort();
    let machines = ["ns_ringback", "ns_busy", "ns_fax_cng", "ns_hold_music"];
    let mut seen = 0;
    for path in clips.iter().filter(|path| path.extension().is_some_and(|extension| extension == "wav")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if !machines.contains(&name) {
            // Often enough for music to be found.
            assert_eq!(heard(&recording(path).repeat(5)), [], "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn tones_of_countries_are_known_by_their_cadence() {
    for (country, hz, steps, expected) in [
        ("Russia", &[425.0][..], &[(1_000, 4_000)][..], Heard::Ringback),
        ("Russia, old", &[425.0], &[(800, 3_200)], Heard::Ringback),
        ("USA", &[440.0, 480.0], &[(2_000, 4_000)], Heard::Ringback),
        ("Britain", &[400.0, 450.0], &[(400, 200), (400, 2_000)], Heard::Ringback),
        ("France", &[440.0], &[(1_500, 3_500)], Heard::Ringback),
        ("Japan", &[400.0], &[(1_000, 2_000)], Heard::Ringback),
        ("Russia", &[425.0], &[(350, 350)], Heard::Busy),
        ("Russia, congestion", &[425.0], &[(175, 175)], Heard::Busy),
        ("Germany", &[425.0], &[(480, 480)], Heard::Busy),
        ("USA", &[480.0, 620.0], &[(500, 500)], Heard::Busy),
        ("USA, congestion", &[480.0, 620.0], &[(250, 250)], Heard::Busy),
        ("Britain", &[400.0], &[(375, 375)], Heard::Busy),
        ("Britain, congestion", &[400.0], &[(400, 350), (225, 525)], Heard::Busy),
        ("fax", &[1_100.0], &[(500, 3_000)], Heard::Fax),
        ("fax, a bit high", &[1_128.0], &[(500, 3_000)], Heard::Fax),
        ("answer", &[2_100.0], &[(3_000, 500)], Heard::Modem),
        ("answer of an old modem", &[2_225.0], &[(3_000, 500)], Heard::Modem),
    ] {
        for level in [12_000.0, 1_200.0] {
            assert_eq!(names(&cadence(hz, steps, 10, level)), [expected], "{country}: {hz:?} {steps:?} at {level}");
        }
    }
}

#[test]
fn an_answer_that_turns_its_phase_is_a_modem() {
    let turned = |n: usize| if (n / 3_600).is_multiple_of(2) { 1.0 } else { -1.0 };
    let pcm: Vec<i16> =
        (0..26_400).map(|n| (turned(n) * 8_000.0 * (TAU * 2_100.0 * n as f32 / 8_000.0).sin()) as i16).collect();
    assert_eq!(names(&pcm), [Heard::Modem]);
}

#[test]
fn three_rising_tones_say_that_the_number_cannot_be_reached() {
    let rising = |hz: [f32; 3], ms: [usize; 3]| -> Vec<i16> {
        let bursts = hz.iter().zip(ms);
        bursts
            .flat_map(|(hz, ms)| (0..ms * 8).map(|n| (6_000.0 * (TAU * *hz * n as f32 / 8_000.0).sin()) as i16))
            .collect()
    };
    let silence = vec![0; 8_000];
    let high = [rising([985.2, 1_428.5, 1_776.7], [380, 274, 380]), silence.clone()].concat();
    let low = [rising([913.8, 1_370.6, 1_776.7], [274, 274, 380]), silence.clone()].concat();
    assert_eq!((names(&high), names(&low)), (vec![Heard::Unobtainable], vec![Heard::Unobtainable]));
    let falling = [rising([1_776.7, 1_428.5, 985.2], [330; 3]), silence].concat();
    assert_eq!(names(&falling), []);
}

#[test]
fn what_has_no_cadence_is_nothing() {
    let dial_tone = cadence(&[425.0], &[(20_000, 100)], 1, 8_000.0);
    let once = cadence(&[425.0], &[(1_000, 9_000)], 1, 8_000.0);
    let beep = cadence(&[1_100.0], &[(500, 9_000)], 1, 8_000.0);
    let uneven = cadence(&[425.0], &[(200, 200), (600, 300), (350, 600), (250, 450)], 3, 8_000.0);
    let short_answer = cadence(&[2_100.0], &[(1_500, 3_000)], 3, 8_000.0);
    for pcm in [dial_tone, once, beep, uneven, short_answer] {
        assert_eq!(names(&pcm), []);
    }
    let mut rng = StdRng::seed_from_u64(7);
    let noise: Vec<i16> = (0..8_000 * 30).map(|_| rng.random_range(-9_000..9_000)).collect();
    assert_eq!(names(&noise), []);
}

#[test]
fn music_is_not_music_while_somebody_speaks_and_is_news_again_after_that() {
    let music = clip("ns_hold_music.wav");
    let mut ear = LineClassifier::new(Rate::Narrow);
    let mut listen = |is_speech: bool| -> Vec<Heard> {
        music.chunks_exact(FRAME).filter_map(|frame| ear.push(frame, is_speech)).collect()
    };
    assert_eq!((listen(true), listen(false)), (vec![], vec![Heard::Music]));
    assert_eq!((listen(false), listen(true), listen(false)), (vec![], vec![], vec![Heard::Music]));
}
