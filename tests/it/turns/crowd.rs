//! Engines that are slow, dead or out of order, and many calls before one of them.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Instant;

use crate::support::line::{Network, Wanted, transcript};
use secretary::call::Service;
use secretary::engine::worker::Priority;
use secretary::engine::worker::schedule::Schedule;
use secretary::sip::{EndCause, SessionEvent};

/// Every utterance has words of its own, so that none can be taken for another.
fn words(n: usize) -> String {
    format!("Вопрос номер {n}, ответьте пожалуйста")
}

/// What the recognisers are to do.
struct Job {
    call: usize,
    wanted: Wanted,
    text: String,
    came: Instant,
    /// How many finals waited before it.
    ahead: usize,
}

/// Recognisers that many calls share by the program's own schedule.
struct Recognisers {
    schedule: Schedule<Job>,
    workers: Vec<Option<(Instant, Job)>>,
    service: Duration,
    /// Finals in a row that were begun while partials waited.
    passed_over: usize,
    /// Partials that were begun while finals waited.
    let_through: usize,
    /// The longest wait of a final for a worker.
    longest: Duration,
}

impl Recognisers {
    fn new(workers: usize, service: Duration) -> Self {
        let workers = (0..workers).map(|_| None).collect();
        let (schedule, longest) = (Schedule::default(), Duration::ZERO);
        Self { schedule, workers, service, passed_over: 0, let_through: 0, longest }
    }

    fn step(&mut self, now: Instant, calls: &mut [Caller]) {
        for (_, job) in self.workers.iter_mut().filter_map(|worker| worker.take_if(|(until, _)| *until <= now)) {
            let line = &mut calls[job.call].line;
            if !line.cancelled.contains(&job.wanted.part) {
                let heard = Input::Heard { part: job.wanted.part, result: Ok(transcript(&job.text)) };
                line.call.handle_input(line.now, heard);
                line.drain();
            }
        }
        for (call, caller) in calls.iter_mut().enumerate() {
            for &wanted in &caller.line.wanted[caller.taken..] {
                // What is said over her is a cough.
                let text = if wanted.priority == Priority::Final { words(caller.said) } else { String::new() };
                let job = Job { call, wanted, text, came: now, ahead: self.schedule.len(Priority::Final) };
                self.schedule.push(now, wanted.priority, wanted.due, job);
            }
            caller.taken = caller.line.wanted.len();
        }
        let is_stale = |job: &Job| calls[job.call].line.cancelled.contains(&job.wanted.part);
        while let Some(free) = self.workers.iter().position(Option::is_none) {
            let Some((_, job)) = self.schedule.pop(|_| true, is_stale) else { break };
            if !is_stale(&job) {
                self.begin(now, &job);
                self.workers[free] = Some((now + self.service, job));
            }
        }
    }

    /// Holds what is begun to what the schedule promises.
    fn begin(&mut self, now: Instant, job: &Job) {
        let [finals, partials] = [Priority::Final, Priority::Partial].map(|class| self.schedule.len(class));
        if job.wanted.priority == Priority::Partial {
            assert!(finals == 0 || self.passed_over >= 8, "a partial went before {finals} finals");
            self.let_through += usize::from(finals > 0);
            self.passed_over = 0;
            return;
        }
        self.passed_over = if partials > 0 { self.passed_over + 1 } else { 0 };
        assert!(self.passed_over <= 8, "{partials} partials starve");
        // The ideal is what was before it, shared out evenly; a worker that is free at once cannot be had, and each ninth
        // turn is a partial's.
        let (waited, turns) = (now - job.came, job.ahead + job.ahead / 8 + 2);
        let ideal = self.service * turns.div_ceil(self.workers.len()) as u32;
        assert!(waited <= ideal, "call {} waited {waited:?} behind {} others, {ideal:?} at most", job.call, job.ahead);
        self.longest = self.longest.max(waited);
    }
}

struct Caller {
    line: Line,
    said: usize,
    taken: usize,
    /// How many answers she was asked for.
    asked: usize,
    /// When he coughs over her answer.
    coughs_at: Option<u64>,
}

/// What came of a crowd, in milliseconds.
struct Crowd {
    /// The longest wait for an answer.
    answer: u64,
    /// The longest wait of a final for a worker.
    worker: u64,
    /// Partials that were begun while finals waited.
    let_through: usize,
}

/// `count` callers ask `questions` each, the first one all within a second, and cough over each answer.
fn crowd(count: usize, workers: usize, service: Duration, questions: usize) -> Crowd {
    const ANSWER: &str = "Хорошо, я всё запишу и передам директору, как только он придёт.";
    let mut rng = StdRng::seed_from_u64(11);
    let mut calls: Vec<Caller> = (0..count)
        .map(|n| {
            let turn = TurnConfig { silence_s: 60, ..TurnConfig::default() };
            let engines = Engines { hearing: None, turn, answer: ANSWER, ..Engines::default() };
            let mut line = Line::new(n as u64, Network::default(), engines);
            line.session(SessionEvent::Established { sdp: None });
            Caller { line, said: 0, taken: 0, asked: 0, coughs_at: None }
        })
        .collect();
    let mut recognisers = Recognisers::new(workers, service);
    let mut speaks_at: Vec<u64> = (0..count).map(|_| rng.random_range(2_500..3_500)).collect();
    let mut elapsed = 0;
    while calls.iter().any(|caller| caller.line.turns.len() <= questions) {
        for (caller, at) in calls.iter_mut().zip(&mut speaks_at) {
            if elapsed >= *at && caller.line.turns.len() == caller.said + 1 && caller.said < questions {
                caller.said += 1;
                caller.line.caller.play(0, &crate::support::line::tone(1_200));
                *at = elapsed + rng.random_range(5_000..7_000);
            }
            caller.line.step();
            if caller.line.asked.len() > caller.asked {
                caller.asked = caller.line.asked.len();
                caller.coughs_at = Some(elapsed + 1_600);
            }
            if caller.coughs_at.take_if(|at| *at <= elapsed).is_some() {
                caller.line.caller.play(0, &crate::support::line::tone(220));
            }
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
    let mut answer = 0;
    for caller in &calls {
        for (n, turn) in caller.line.turns.iter().enumerate().skip(1) {
            assert_eq!((turn.caller_text.clone(), turn.heard_text.as_str()), (words(n), ANSWER));
            answer = answer.max(turn.latency.speech_end_to_first_audio_ms.unwrap());
        }
        let coughs = caller.line.wanted.iter().filter(|wanted| wanted.priority == Priority::Partial).count();
        assert!(coughs > 0, "nobody coughed");
    }
    let (worker, let_through) = (recognisers.longest.as_millis() as u64, recognisers.let_through);
    println!(
        "{count} calls, {workers} workers of {service:?}: the longest wait for an answer was {answer} ms, for a worker \
         {worker} ms; {let_through} partials before waiting finals"
    );
    Crowd { answer, worker, let_through }
}

#[test]
fn two_calls_and_forty_are_all_answered_each_with_its_own_words() {
    let alone = crowd(1, 1, ms(300), 5);
    assert!(alone.answer <= 800 && alone.worker == 0, "{} ms", alone.answer);
    for (count, workers, questions) in [(2, 1, 5), (40, 2, 3)] {
        let crowded = crowd(count, workers, ms(300), questions);
        // A caller waits as long as his words for a worker, less the silence that would have passed anyway: 700 ms, in which
        // is a pause of 100, his words, 100 for the answer and 30 for the voice.
        let anyway = 700 - 100 - 300 - 100 - 30;
        assert!(crowded.answer <= alone.answer + crowded.worker.saturating_sub(anyway), "{} ms", crowded.answer);
        // One in a crowd only has no turn of its own that it would need.
        assert_eq!(crowded.let_through > 0, count == 40);
    }
}

/// He says something so long after he was asked something; tells how long after that his words are wanted.
fn wanted_within(expects: Expects, speech_ms: u64) -> (Priority, Duration) {
    let texts = ["Передайте директору что я заболел"];
    let mut line =
        Line::greeted(Engines { expects, texts: texts.into(), answer: "Скажите.", ..Engines::default() });
    line.say(1_500);
    line.run_until(20, |line| line.turns.len() == 2);
    let before = line.wanted.len();
    line.say(speech_ms);
    line.run_until(5, |line| line.wanted.len() > before);
    let wanted = line.wanted[before];
    (wanted.priority, wanted.due - line.now)
}

#[test]
fn whose_turn_will_be_over_first_has_his_words_first() {
    let (mut schedule, now) = (Schedule::default(), Line::greeted(Engines::default()).now);
    // They pause one after the other, and in the order of the last column their turns are over.
    for (expects, speech_ms, place) in
        [(Expects::Number, 1_500, 3), (Expects::Anything, 1_500, 2), (Expects::YesNo, 400, 1)]
    {
        let (priority, within) = wanted_within(expects, speech_ms);
        println!("{expects:?}: {within:?}");
        assert_eq!(priority, Priority::Final);
        schedule.push(now, priority, now + within, place);
    }
    let order: Vec<i32> = std::iter::from_fn(|| schedule.pop(|_| true, |_| false)).map(|(_, place)| place).collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn last_words_go_before_messages_that_wait_for_long() {
    let (mut schedule, start) = (Schedule::default(), Line::greeted(Engines::default()).now);
    for (service, said_s, place) in
        [(Service::Message, 0, 2), (Service::Message, 40, 3), (Service::Conversation, 60, 1)]
    {
        let mut line = Line::greeted(Engines { service, hearing: None, ..Engines::default() });
        line.caller.play(0, &crate::support::line::tone(1_500));
        line.run(1_000);
        line.session(SessionEvent::Ended { cause: EndCause::RemoteBye(None) });
        let wanted = *line.wanted.last().expect("what he said");
        assert_eq!(wanted.priority, Priority::Background);
        let said = start + Duration::from_secs(said_s);
        schedule.push(said, wanted.priority, said + (wanted.due - line.now), place);
    }
    let order: Vec<i32> = std::iter::from_fn(|| schedule.pop(|_| true, |_| false)).map(|(_, place)| place).collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn words_for_which_she_is_silent_are_wanted_at_once() {
    let mut line = Line::greeted(Engines {
        texts: ["Расскажите подробнее о ваших услугах"].into(),
        ..Engines::default()
    });
    line.say(1_500);
    line.run_until(5, |line| line.spoken.len() > 1);
    line.run(1_500);
    line.engines.hearing = None;
    let before = line.wanted.len();
    line.caller.play(0, &crate::support::line::tone(3_000));
    line.run_until(5, |line| line.wanted.len() > before);
    let wanted = line.wanted[before];
    assert_eq!(wanted.priority, Priority::Final);
    assert!(wanted.due <= line.now, "{:?} later", wanted.due - line.now);
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
