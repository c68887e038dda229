//! The guard on lines that echo and lines that do not, with real speech.

use std::path::Path;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::rtp::codec::resample::resample;
use crate::rtp::codec::{Codec, g711};

fn speech(name: &str, rate_hz: u32) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech").join(name);
    let mut reader = hound::WavReader::open(path).unwrap();
    let from_hz = reader.spec().sample_rate;
    resample(&reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), from_hz, rate_hz).unwrap()
}

/// Our voice for half a minute, with a pause now and then.
fn our_voice(rate_hz: u32) -> Vec<i16> {
    let mut pcm = Vec::new();
    while pcm.len() < 30 * rate_hz as usize {
        for name in ["ru_message_1.wav", "ru_message_3.wav", "en_message_2.wav"] {
            pcm.extend(speech(name, rate_hz));
            pcm.resize(pcm.len() + rate_hz as usize, 0);
        }
    }
    pcm.truncate(30 * rate_hz as usize);
    pcm
}

/// A line: what of `sent` comes back `delay_ms` later at `gain_db`, through a room and a codec, with a little noise.
fn echo(sent: &[i16], rate_hz: u32, delay_ms: usize, gain_db: f32) -> Vec<i16> {
    let mut rng = StdRng::seed_from_u64(5);
    let (delay, gain) = (delay_ms * rate_hz as usize / 1_000, 10f32.powf(gain_db / 20.0));
    let room = [(0, 0.9), (11, -0.3), (37, 0.2), (90, -0.1), (200, 0.05)];
    let pcm: Vec<i16> = (0..sent.len())
        .map(|n| {
            let part = |&(later, weight): &(usize, f32)| {
                n.checked_sub(delay + later).map_or(0.0, |at| f32::from(sent[at]) * weight * gain)
            };
            (room.iter().map(part).sum::<f32>() + f32::from(rng.random_range(-8_i16..=8))) as i16
        })
        .collect();
    g711::decode(Codec::Pcma, &g711::encode(Codec::Pcma, &pcm))
}

/// What the ears get of a line, and whether the canceller ran at the end.
fn listen(rate_hz: u32, received: &[i16], sent: &[i16]) -> (Vec<i16>, bool) {
    let mut guard = EchoGuard::new(rate_hz);
    let mut heard = received.to_vec();
    let frame = rate_hz as usize / 50;
    for (heard, sent) in heard.chunks_exact_mut(frame).zip(sent.chunks_exact(frame)) {
        guard.clean(heard, sent);
    }
    (heard, is_running(&guard))
}

fn is_running(guard: &EchoGuard) -> bool {
    matches!(guard.need, Need::Running(_))
}

fn energy_db(pcm: &[i16]) -> f32 {
    10.0 * (pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64 + 1.0).log10() as f32
}

#[test]
fn our_own_voice_that_comes_back_is_not_heard() {
    for rate_hz in [8_000, 16_000] {
        let sent = our_voice(rate_hz);
        for (delay_ms, gain_db) in [(60, -12.0), (20, -20.0), (250, -6.0), (450, -12.0)] {
            let received = echo(&sent, rate_hz, delay_ms, gain_db);
            let (heard, runs) = listen(rate_hz, &received, &sent);
            let second = rate_hz as usize;
            let less = |from: usize, to: usize| {
                energy_db(&received[from * second..to * second]) - energy_db(&heard[from * second..to * second])
            };
            println!(
                "{rate_hz} Hz, {delay_ms} ms, {gain_db} dB: {:.0} dB less in the first 2 s, {:.0} dB after 3 s",
                less(0, 2),
                less(3, 30)
            );
            assert!(runs, "{rate_hz} Hz, {delay_ms} ms, {gain_db} dB");
            assert!(less(3, 30) >= 20.0, "{rate_hz} Hz, {delay_ms} ms, {gain_db} dB: {:.1} dB less", less(3, 30));
        }
    }
}

#[test]
fn the_caller_who_talks_over_us_is_heard_through_the_echo() {
    let sent = our_voice(8_000);
    let mut received = echo(&sent, 8_000, 60, -12.0);
    let caller = speech("ru_message_2.wav", 8_000);
    let at = 10 * 8_000;
    for (received, caller) in received[at..].iter_mut().zip(&caller) {
        *received = received.saturating_add(*caller);
    }
    let (heard, _) = listen(8_000, &received, &sent);
    let said = &caller[..caller.len().min(15 * 8_000)];
    let kept = energy_db(&heard[at..at + said.len()]) - energy_db(said);
    println!("the caller is {kept:.1} dB of what he was");
    assert!((-6.0..3.0).contains(&kept), "{kept}");
}

#[test]
fn on_a_clean_line_the_canceller_stops_and_leaves_the_sound_alone() {
    let sent = our_voice(8_000);
    let mut rng = StdRng::seed_from_u64(6);
    // The caller talks all the time, as loudly as we do.
    let caller: Vec<i16> = ["ru_message_2.wav", "ru_message_4.wav", "en_message_1.wav", "en_message_3.wav"]
        .iter()
        .flat_map(|name| speech(name, 8_000))
        .cycle()
        .take(sent.len())
        .collect();
    let noise: Vec<i16> = (0..sent.len()).map(|_| rng.random_range(-30..=30)).collect();
    for (what, received) in [("a talker", caller), ("noise", noise), ("silence", vec![0; sent.len()])] {
        let (heard, runs) = listen(8_000, &received, &sent);
        let same = heard.iter().zip(&received).rev().take_while(|(a, b)| a == b).count();
        println!("{what}: untouched for the last {:.1} s", same as f64 / 8_000.0);
        assert!(!runs && same >= 20 * 8_000, "{what}: untouched for {same} samples");
    }
}

#[test]
fn nothing_runs_where_nothing_is_heard_over_our_voice() {
    let sent = our_voice(8_000);
    let mut guard = EchoGuard::new(8_000);
    for sent in sent.chunks_exact(160) {
        guard.clean(&mut [0; 160], sent);
        assert!(!is_running(&guard));
    }
    (0..30).for_each(|_| guard.clean(&mut [0; 160], &[0; 160]));
    for caller in speech("ru_message_2.wav", 8_000).chunks_exact(160) {
        let mut heard = caller.to_vec();
        guard.clean(&mut heard, &[0; 160]);
        assert!(heard == caller, "he who speaks while we are silent is heard as he is");
    }
}

#[test]
fn an_echo_that_begins_later_is_noticed() {
    let sent = our_voice(8_000);
    let mut received = echo(&sent, 8_000, 60, -12.0);
    received[..10 * 8_000].fill(0);
    let (heard, runs) = listen(8_000, &received, &sent);
    let less = energy_db(&received[18 * 8_000..]) - energy_db(&heard[18 * 8_000..]);
    assert!(runs && less >= 20.0, "{less:.1} dB less");
}

#[test]
fn who_speaks_over_our_first_words_is_left_alone_where_they_have_not_come_back() {
    let sent = our_voice(8_000);
    let received = [vec![0; 9_600], speech("ru_message_2.wav", 8_000)].concat();
    let (heard, _) = listen(8_000, &received[..8 * 8_000], &sent);
    assert!(heard == received[..8 * 8_000]);
}
