//! Whether one more caller can be taken without a final result coming too late: from what was measured, not from a number
//! that somebody configured.
//!
//! The model is the plainest that has a queue in it: results are wanted at random instants and need the same time each
//! (M/D/1, Kingman 1961 for the mean wait), several workers are one fast one, and the wait that one in twenty exceeds is
//! three times the mean. Everything the workers do for a call counts, parts that are thrown away too.
//!
//! Left out: callers who talk at the same time on purpose.

use std::time::{Duration, Instant};

use super::Priority;

/// Seconds from one result to the next in a call, until calls have told: a question and its answer take about so long.
const BETWEEN_S: f64 = 10.0;
/// Seconds for a result, until the warm-up has told.
const RESULT_S: f64 = 0.5;
/// One in twenty waits longer than so many times the mean: ln 20, as the wait falls off about exponentially.
const RARELY: f64 = 3.0;
/// The weight of the latest result in the means: those of the last minute count, with a few calls.
const WEIGHT: f64 = 0.1;

/// What was measured of results and of what they cost.
#[derive(Debug, Clone)]
pub struct Admission {
    workers: f64,
    deadline: Duration,
    /// Mean seconds of processing for a final result.
    result_s: f64,
    /// Mean seconds of all processing from one final result to the next.
    work_s: f64,
    /// Mean seconds of a call from one final result to the next.
    between_s: f64,
    /// Since the last final result.
    worked_s: f64,
    caller_s: f64,
    callers: usize,
    counted_at: Option<Instant>,
    /// Whether calls have told anything yet.
    has_worked: bool,
}

impl Admission {
    /// For so many workers, and a final result `deadline` after it was asked for.
    pub fn new(workers: usize, deadline: Duration) -> Self {
        Self {
            workers: workers.max(1) as f64,
            deadline,
            result_s: RESULT_S,
            work_s: RESULT_S,
            between_s: BETWEEN_S,
            worked_s: 0.0,
            caller_s: 0.0,
            callers: 0,
            counted_at: None,
            has_worked: false,
        }
    }

    /// A first result took so long; calls have not told better yet.
    pub fn warmed_up(&mut self, took: Duration) {
        // A worker that is built again has less to tell than the others' work.
        if !self.has_worked {
            (self.result_s, self.work_s) = (took.as_secs_f64(), took.as_secs_f64());
        }
    }

    /// From now on there are so many callers.
    pub fn callers(&mut self, now: Instant, callers: usize) {
        let since = self.counted_at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.caller_s += since.as_secs_f64() * self.callers as f64;
        self.callers = callers;
    }

    /// A worker was at something for so long. `wanted`: till its end.
    pub fn worked(&mut self, now: Instant, class: Priority, took: Duration, wanted: bool) {
        if class == Priority::Background {
            // It waits for the others and not they for it.
            return;
        }
        self.worked_s += took.as_secs_f64();
        if class != Priority::Final || !wanted {
            return;
        }
        self.callers(now, self.callers);
        self.has_worked = true;
        learn(&mut self.result_s, took.as_secs_f64());
        learn(&mut self.work_s, std::mem::take(&mut self.worked_s));
        let between_s = std::mem::take(&mut self.caller_s);
        // A file is nobody's.
        if self.callers > 0 {
            learn(&mut self.between_s, between_s);
        }
    }

    /// Whether one caller more than these leaves all of them their results in time. The only one is always taken: nobody
    /// else could do better by waiting.
    pub fn admits(&self, callers_now: usize) -> bool {
        callers_now == 0 || self.result_in(callers_now + 1).is_some_and(|time| time <= self.deadline)
    }

    /// The time to a final result that one in twenty exceeds with so many callers; `None` when they want more than the
    /// workers can do.
    pub fn result_in(&self, callers: usize) -> Option<Duration> {
        let busy = callers as f64 * self.work_s / (self.between_s * self.workers);
        if busy >= 1.0 {
            return None;
        }
        let wait_s = RARELY * self.work_s / self.workers * busy / (2.0 * (1.0 - busy));
        // Nobody waits for more than all others at once.
        let all_others_s = callers.saturating_sub(1) as f64 * self.work_s / self.workers;
        Duration::try_from_secs_f64(self.result_s + wait_s.min(all_others_s)).ok()
    }

    /// Mean time of a worker for a final result.
    pub fn result(&self) -> Duration {
        Duration::try_from_secs_f64(self.result_s).unwrap_or_default()
    }
}

fn learn(mean: &mut f64, value: f64) {
    *mean += WEIGHT * (value - *mean);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const DEADLINE: Duration = Duration::from_millis(1_500);

    fn most_callers(admission: &Admission) -> usize {
        (0..1_000).take_while(|&callers| admission.admits(callers)).count()
    }

    /// `callers` speak for a while, each once in `every`; each result takes `took`, and as much goes into parts thrown away.
    fn talk(admission: &mut Admission, callers: u32, every: Duration, took: Duration) {
        let mut now = clock::now();
        admission.callers(now, callers as usize);
        for _ in 0..200 {
            now += every / callers;
            admission.worked(now, Priority::Partial, took, false);
            admission.worked(now, Priority::Final, took, true);
        }
    }

    #[test]
    fn what_nobody_waits_for_takes_no_place() {
        let mut admission = Admission::new(1, DEADLINE);
        admission.warmed_up(Duration::from_millis(300));
        let before = most_callers(&admission);
        let now = clock::now();
        admission.callers(now, 1);
        admission.worked(now, Priority::Background, Duration::from_secs(60), true);
        admission.worked(now + Duration::from_secs(10), Priority::Final, Duration::from_millis(300), true);
        assert_eq!(most_callers(&admission), before);
    }

    #[test]
    fn faster_workers_more_workers_and_longer_deadlines_take_more_callers() {
        let most = |workers, deadline_ms, took_ms| {
            let mut admission = Admission::new(workers, Duration::from_millis(deadline_ms));
            admission.warmed_up(Duration::from_millis(took_ms));
            most_callers(&admission)
        };
        println!("{} {} {} {}", most(1, 1_500, 500), most(1, 1_500, 250), most(2, 1_500, 500), most(1, 3_000, 500));
        let base = most(1, 1_500, 500);
        assert!((5..20).contains(&base), "{base}");
        assert!(most(1, 1_500, 250) > base && most(2, 1_500, 500) > base && most(1, 3_000, 500) > base);
    }

    #[test]
    fn the_only_caller_is_taken_by_the_slowest_machine_and_no_second_one() {
        let mut admission = Admission::new(1, DEADLINE);
        admission.warmed_up(Duration::from_secs(9));
        assert_eq!(most_callers(&admission), 1);
    }

    #[test]
    fn more_than_the_workers_can_do_is_never_in_time() {
        let admission = Admission::new(1, Duration::from_secs(3_600));
        assert_eq!(admission.result_in(20), None);
        assert!(!admission.admits(19));
    }

    #[test]
    fn it_learns_how_often_callers_speak_and_what_that_costs() {
        let mut admission = Admission::new(1, DEADLINE);
        let untold = most_callers(&admission);
        talk(&mut admission, 2, Duration::from_secs(30), Duration::from_millis(300));
        let seldom = most_callers(&admission);
        talk(&mut admission, 2, Duration::from_secs(4), Duration::from_millis(300));
        let often = most_callers(&admission);
        println!("untold {untold}, every 30 s {seldom}, every 4 s {often}: {admission:?}");
        assert!(often < untold && untold < seldom);
        assert!((admission.result_s - 0.3).abs() < 0.01 && (admission.work_s - 0.6).abs() < 0.01, "{admission:?}");
        assert!((admission.between_s - 4.0).abs() < 0.1, "{admission:?}");
    }

    #[test]
    fn a_result_that_was_given_up_costs_and_teaches_no_time() {
        let mut admission = Admission::new(1, DEADLINE);
        let now = clock::now();
        admission.worked(now, Priority::Final, Duration::from_secs(9), false);
        assert_eq!(admission.result(), Duration::from_millis(500));
        admission.worked(now, Priority::Final, Duration::from_millis(500), true);
        assert!(admission.work_s > 1.0, "{admission:?}");
    }
}
