//! Engines that are slow, dead or out of order, and many calls before one of them.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Instant;

use crate::support::line::{Network, transcript};
use secretary::sip::SessionEvent;

/// Every utterance has words of its own, so that none can be taken for another.
fn words(n: usize) -> String {
    format!("Вопрос номер {n}, ответьте пожалуйста")
}

/// Recognisers that many calls share: the most urgent waiting part is next.
struct Recognisers {
    workers: Vec<Option<(Instant, usize, secretary::call::PartId, String)>>,
    service: Duration,
}

impl Recognisers {
    fn step(&mut self, now: Instant, calls: &mut [Caller]) {
        for worker in &mut self.workers {
            if let Some((_, call, part, text)) = worker.take_if(|(until, ..)| *until <= now) {
                let line = &mut calls[call].line;
                line.call.handle_input(line.now, Input::Heard { part, result: Ok(transcript(&text)) });
                line.drain();
            }
            if worker.is_some() {
                continue;
            }
            let waiting = calls.iter().enumerate().flat_map(|(n, caller)| {
                let line = &caller.line;
                line.wanted[caller.taken..].iter().filter(|w| !line.cancelled.contains(&w.part)).map(move |w| (n, *w))
            });
            if let Some((n, wanted)) = waiting.min_by_key(|(n, w)| (w.priority, w.due, *n)) {
                let caller = &mut calls[n];
                // A call's later parts wait for its earlier ones.
                caller.taken = caller.line.wanted.iter().position(|w| w.part == wanted.part).unwrap() + 1;
                *worker = Some((now + self.service, n, wanted.part, words(caller.said)));
            }
        }
    }
}

struct Caller {
    line: Line,
    said: usize,
    taken: usize,
}

/// `count` callers ask `questions` each, at times of their own; tells the longest wait for an answer in milliseconds.
fn crowd(count: usize, workers: usize, service: Duration, questions: usize) -> u64 {
    let mut rng = StdRng::seed_from_u64(11);
    let mut calls: Vec<Caller> = (0..count)
        .map(|n| {
            let turn = TurnConfig { silence_s: 60, ..TurnConfig::default() };
            let engines = Engines { hearing: None, turn, answer: "Хорошо.", ..Engines::default() };
            let mut line = Line::new(n as u64, Network::default(), engines);
            line.session(SessionEvent::Established { sdp: None });
            Caller { line, said: 0, taken: 0 }
        })
        .collect();
    let mut recognisers = Recognisers { workers: (0..workers).map(|_| None).collect(), service };
    let mut speaks_at: Vec<u64> = (0..count).map(|_| rng.random_range(2_500..6_000)).collect();
    let mut elapsed = 0;
    while calls.iter().any(|caller| caller.line.turns.len() <= questions) {
        for (caller, at) in calls.iter_mut().zip(&mut speaks_at) {
            if elapsed >= *at && caller.line.turns.len() == caller.said + 1 && caller.said < questions {
                caller.said += 1;
                caller.line.caller.play(0, &crate::support::line::tone(1_200));
                *at = elapsed + rng.random_range(3_000..7_000);
            }
            caller.line.step();
        }
        let now = calls[0].line.now;
        recognisers.step(now, &mut calls);
        elapsed += 5;
        assert!(
            elapsed < 600_000,
            "some caller starves: {:?}",
            calls.iter().map(|c| c.line.turns.len()).collect::<Vec<_>>()
        );
    }
    let mut longest = 0;
    for caller in &calls {
        for (n, turn) in caller.line.turns.iter().enumerate().skip(1) {
            assert_eq!((turn.caller_text.clone(), turn.heard_text.as_str()), (words(n), "Хорошо."));
            longest = longest.max(turn.latency.speech_end_to_first_audio_ms.unwrap());
        }
    }
    println!("{count} calls, {workers} workers of {service:?}: the longest wait was {longest} ms");
    longest
}

#[test]
fn two_calls_and_forty_are_all_answered_each_with_its_own_words() {
    let alone = crowd(1, 1, ms(300), 5);
    assert!(alone <= 800, "{alone} ms");
    assert!(crowd(2, 1, ms(300), 5) <= alone + 400);
    // The worst that can come of it: each of the others' parts before one's own.
    let crowded = crowd(40, 2, ms(300), 3);
    assert!(crowded <= alone + 40 * 300 / 2, "{crowded} ms");
}

#[test]
fn results_in_any_order_and_at_any_time_do_no_harm() {
    for seed in 0..30 {
        let mut rng = StdRng::seed_from_u64(seed);
        let turn = TurnConfig { silence_s: 60, ..TurnConfig::default() };
        let texts = ["Расскажите подробнее о ваших услугах", "А сколько это стоит"].repeat(50).into();
        let engines = Engines { turn, texts, ..Engines::default() };
        let mut line = Line::greeted_over(seed, Network::default(), engines);
        for _ in 0..12 {
            // Each engine is fast, slow or silent as it likes.
            let mut delay = |never: f64| (!rng.random_bool(never)).then(|| ms(rng.random_range(0..2_500)));
            line.engines.hearing = delay(0.05);
            line.engines.thinking = delay(0.05);
            line.engines.speaking = delay(0.05);
            line.engines.judging = delay(0.3).map(|delay| (delay, rng.random()));
            line.say(rng.random_range(100..3_000));
            line.run(rng.random_range(0..6_000));
        }
        (line.engines.hearing, line.engines.thinking, line.engines.speaking) =
            (Some(ms(300)), Some(ms(100)), Some(ms(30)));
        line.run(30_000);
        assert_eq!(line.ended, None, "seed {seed}");
        let turns = line.turns.len();
        line.say(1_500);
        line.run_until(20, |line| line.turns[turns..].iter().any(|turn| turn.heard_text == line.engines.answer));
        for turn in &line.turns {
            let (said, heard) = (&turn.secretary_text, &turn.heard_text);
            assert!(said.starts_with(heard.as_str()), "seed {seed}: {turn:?}");
        }
    }
}
