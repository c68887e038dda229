//! Whether one more caller can be taken without a final result coming too late: from what was measured, not from a number
//! that somebody configured.
//!
//! The model is the plainest that has a queue in it: results are wanted at random instants and need the same time each
//! (M/D/1, Kingman 1961 for the mean wait), all workers are one server, and the wait that one in twenty exceeds is three
//! times the mean. What a result costs that server is the time for which it had work, whoever worked: two workers that take
//! each other's cores are no faster than one. Everything the workers do for a call counts, parts that are thrown away too.
//!
//! Left out: callers who talk at the same time on purpose.

use std::time::{Duration, Instant};

use super::Priority;

/// Seconds from one result to the next in a call, until calls have told: a question and its answer take about so long.
const BETWEEN_S: f64 = 10.0;
/// Seconds for a result, until the rehearsal has told.
const RESULT_S: f64 = 0.5;
/// One in twenty waits longer than so many times the mean: ln 20, as the wait falls off about exponentially.
const RARELY: f64 = 3.0;
/// The weight of the latest result in the means: those of the last minute count, with a few calls.
const WEIGHT: f64 = 0.1;

/// What was measured of results and of what they cost.
#[derive(Debug, Clone)]
pub struct Admission {
    servers: f64,
    deadline: Duration,
    /// Seconds of processing for a final result.
    result_s: Mean,
    /// Seconds for which the server had work, from one final result to the next.
    work_s: Mean,
    /// Seconds of a call from one final result to the next.
    between_s: Mean,
    /// Since the last final result.
    worked_s: f64,
    caller_s: f64,
    callers: usize,
    /// Workers that are at something for a caller.
    running: usize,
    counted_at: Option<Instant>,
}

impl Admission {
    /// For a machine that recognises so many utterances at the same time without one making another slower, at least one,
    /// and a final result `deadline` after it was asked for.
    pub fn new(servers: f64, deadline: Duration) -> Self {
        let servers = servers.max(1.0);
        Self {
            servers,
            deadline,
            result_s: Mean::guess(RESULT_S),
            work_s: Mean::guess(RESULT_S / servers),
            between_s: Mean::guess(BETWEEN_S),
            worked_s: 0.0,
            caller_s: 0.0,
            callers: 0,
            running: 0,
            counted_at: None,
        }
    }

    /// An ordinary utterance took so long with nothing else to do. The first result of a call tells better.
    pub fn rehearsed(&mut self, took: Duration) {
        self.result_s.guess_again(took.as_secs_f64());
        self.work_s.guess_again(took.as_secs_f64() / self.servers);
    }

    /// From now on so many callers talk.
    pub fn callers(&mut self, now: Instant, callers: usize) {
        self.pass(now);
        self.callers = callers;
    }

    /// A worker begins with something.
    pub fn begun(&mut self, now: Instant, class: Priority) {
        self.pass(now);
        // Background work waits for the others and not they for it.
        self.running += usize::from(class != Priority::Background);
    }

    /// A worker has done with it.
    pub fn left(&mut self, now: Instant, class: Priority) {
        self.pass(now);
        self.running = self.running.saturating_sub(usize::from(class != Priority::Background));
    }

    /// A final result was there after so long, and somebody still wanted it.
    pub fn resulted(&mut self, now: Instant, took: Duration) {
        self.pass(now);
        self.result_s.learn(took.as_secs_f64());
        self.work_s.learn(std::mem::take(&mut self.worked_s));
        let between_s = std::mem::take(&mut self.caller_s);
        // A file is nobody's.
        if self.callers > 0 {
            self.between_s.learn(between_s);
        }
    }

    /// Counts the time since it was counted last.
    fn pass(&mut self, now: Instant) {
        let since = self.counted_at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let since_s = since.as_secs_f64();
        self.caller_s += since_s * self.callers as f64;
        self.worked_s += since_s * (self.running as f64).min(self.servers) / self.servers;
    }

    /// Whether one caller more than these leaves all of them their results in time. The only one is always taken: nobody
    /// else could do better by waiting.
    pub fn admits(&self, callers_now: usize) -> bool {
        callers_now == 0 || self.result_in(callers_now + 1).is_some_and(|time| time <= self.deadline)
    }

    /// The time to a final result that one in twenty exceeds with so many callers; `None` when they want more than the
    /// workers can do.
    pub fn result_in(&self, callers: usize) -> Option<Duration> {
        let work_s = self.work_s.value;
        let busy = callers as f64 * work_s / self.between_s.value;
        if busy >= 1.0 {
            return None;
        }
        let wait_s = RARELY * work_s * busy / (2.0 * (1.0 - busy));
        // Nobody waits for more than all others at once.
        let all_others_s = callers.saturating_sub(1) as f64 * work_s;
        Duration::try_from_secs_f64(self.result_s.value + wait_s.min(all_others_s)).ok()
    }
}

/// A mean of the latest values, of all of them while they are few; a guess before the first.
#[derive(Debug, Clone, Copy)]
struct Mean {
    value: f64,
    values: u32,
}

impl Mean {
    fn guess(value: f64) -> Self {
        Self { value, values: 0 }
    }

    fn guess_again(&mut self, value: f64) {
        if self.values == 0 {
            self.value = value;
        }
    }

    fn learn(&mut self, value: f64) {
        self.values = self.values.saturating_add(1);
        self.value += WEIGHT.max(1.0 / f64::from(self.values)) * (value - self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    const DEADLINE: Duration = Duration::from_millis(1_500);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn most_callers(admission: &Admission) -> usize {
        (0..1_000).take_while(|&callers| admission.admits(callers)).count()
    }

    /// A worker is at something from now on for so long; tells when it has done.
    fn work(admission: &mut Admission, now: Instant, class: Priority, took: Duration) -> Instant {
        admission.begun(now, class);
        admission.left(now + took, class);
        now + took
    }

    fn result(admission: &mut Admission, now: Instant, took: Duration) {
        let then = work(admission, now, Priority::Final, took);
        admission.resulted(then, took);
    }

    /// `callers` speak for a while, each once in `every`; each result takes `took`, and as much goes into parts thrown away.
    fn talk(admission: &mut Admission, callers: u32, every: Duration, took: Duration) {
        let mut now = clock::now();
        admission.callers(now, callers as usize);
        for _ in 0..200 {
            now += every / callers;
            let then = work(admission, now - 2 * took, Priority::Partial, took);
            result(admission, then, took);
        }
    }

    #[test]
    fn what_nobody_waits_for_takes_no_place() {
        let mut admission = Admission::new(1.0, DEADLINE);
        admission.rehearsed(ms(300));
        let before = most_callers(&admission);
        let now = clock::now();
        admission.callers(now, 1);
        let then = work(&mut admission, now, Priority::Background, ms(9_700));
        result(&mut admission, then, ms(300));
        assert_eq!(most_callers(&admission), before);
    }

    #[test]
    fn faster_workers_more_servers_and_longer_deadlines_take_more_callers() {
        let most = |servers, deadline_ms, took_ms| {
            let mut admission = Admission::new(servers, ms(deadline_ms));
            admission.rehearsed(ms(took_ms));
            most_callers(&admission)
        };
        let base = most(1.0, 1_500, 500);
        println!("{base} {} {} {}", most(1.0, 1_500, 250), most(2.0, 1_500, 500), most(1.0, 3_000, 500));
        assert!((5..20).contains(&base), "{base}");
        assert!(most(1.0, 1_500, 250) > base && most(2.0, 1_500, 500) > base && most(1.0, 3_000, 500) > base);
    }

    #[test]
    fn the_only_caller_is_taken_by_the_slowest_machine_and_no_second_one() {
        let mut admission = Admission::new(1.0, DEADLINE);
        admission.rehearsed(Duration::from_secs(9));
        assert_eq!(most_callers(&admission), 1);
    }

    #[test]
    fn more_than_the_workers_can_do_is_never_in_time() {
        let admission = Admission::new(1.0, Duration::from_secs(3_600));
        assert_eq!(admission.result_in(20), None);
        assert!(!admission.admits(19));
    }

    #[test]
    fn the_first_result_of_a_call_counts_in_place_of_the_rehearsal_and_the_next_ones_beside_it() {
        let mut admission = Admission::new(1.0, DEADLINE);
        admission.rehearsed(Duration::from_secs(9));
        let now = clock::now();
        admission.callers(now, 1);
        result(&mut admission, now + ms(9_700), ms(300));
        assert_eq!(admission.result_in(1), Some(ms(300)));
        assert!(admission.admits(1), "{admission:?}");
        // A worker that is built again has less to tell than the others' work.
        admission.rehearsed(Duration::from_secs(9));
        result(&mut admission, now + ms(19_500), ms(500));
        assert_eq!(admission.result_in(1), Some(ms(400)));
    }

    #[test]
    fn it_learns_how_often_callers_speak_and_what_that_costs() {
        let mut admission = Admission::new(1.0, DEADLINE);
        let untold = most_callers(&admission);
        talk(&mut admission, 2, Duration::from_secs(30), ms(300));
        let seldom = most_callers(&admission);
        talk(&mut admission, 2, Duration::from_secs(4), ms(300));
        let often = most_callers(&admission);
        println!("untold {untold}, every 30 s {seldom}, every 4 s {often}: {admission:?}");
        assert!(often < untold && untold < seldom);
        let [result_s, work_s, between_s] =
            [admission.result_s, admission.work_s, admission.between_s].map(|mean| mean.value);
        assert!((result_s - 0.3).abs() < 0.01 && (work_s - 0.6).abs() < 0.01, "{admission:?}");
        assert!((between_s - 4.0).abs() < 0.1, "{admission:?}");
    }

    #[test]
    fn a_result_that_was_given_up_costs_and_teaches_no_time() {
        let mut admission = Admission::new(1.0, DEADLINE);
        let then = work(&mut admission, clock::now(), Priority::Final, Duration::from_secs(9));
        assert_eq!(admission.result_in(1), Some(ms(500)));
        result(&mut admission, then, ms(500));
        assert!(admission.work_s.value > 1.0, "{admission:?}");
    }

    /// Two workers recognise for half an hour what `callers` say, 4 to 16 s after they said something. Each has its result
    /// after 0.4 s if `servers` are not shared with the other. Tells the time that one in twenty exceeded, and what was
    /// learned.
    fn office(callers: usize, servers: f64) -> (Duration, Admission) {
        const STEP: Duration = Duration::from_millis(10);
        let mut rng = StdRng::seed_from_u64(5);
        let mut admission = Admission::new(servers, DEADLINE);
        let start = clock::now();
        admission.callers(start, callers);
        let mut speaks_at: Vec<Instant> = (0..callers).map(|_| start + ms(rng.random_range(0..16_000))).collect();
        let (mut waiting, mut running) = (Vec::new(), Vec::new());
        let mut took = Vec::new();
        for step in 0..180_000 {
            let now = start + step * STEP;
            let share = servers.min(running.len() as f64) / running.len() as f64;
            running.retain_mut(|(left_s, begun, asked): &mut (f64, Instant, Instant)| {
                *left_s -= STEP.as_secs_f64() * share;
                let is_done = *left_s <= 0.0;
                if is_done {
                    admission.left(now, Priority::Final);
                    admission.resulted(now, now - *begun);
                    took.push(now - *asked);
                }
                !is_done
            });
            for at in speaks_at.iter_mut().filter(|at| **at <= now) {
                waiting.push(now);
                *at = now + ms(rng.random_range(4_000..16_000));
            }
            while running.len() < 2 && !waiting.is_empty() {
                admission.begun(now, Priority::Final);
                running.push((0.4, now, waiting.remove(0)));
            }
        }
        took.sort_unstable();
        (took[took.len() * 19 / 20], admission)
    }

    #[test]
    fn as_many_callers_are_taken_as_two_workers_on_shared_and_on_own_cores_can_serve() {
        for servers in [1.0, 2.0] {
            let (_, mut admission) = office(4, servers);
            let mut most = most_callers(&admission);
            // Those whom it took teach it as well.
            for _ in 0..5 {
                admission = office(most, servers).1;
                most = most_callers(&admission);
            }
            let (in_time, late) = (office(most, servers).0, office(most + most / 3, servers).0);
            println!(
                "{servers} servers: {most} callers have their words in {in_time:?}, a third more in {late:?}; {admission:?}"
            );
            assert!(in_time <= DEADLINE && late > DEADLINE);
        }
    }
}
