//! Which of the waiting jobs is next: finals before partials before background work, and within a class the one that
//! is due first.
//!
//! Nobody starves whose class may run. A class that was passed over so many times in a row has the next turn, however many wait above it;
//! and within a class nothing can be due before it came, so only what came before its time can go ahead of a job.
//! Counted in turns and not in time, this costs those above at most one turn of so many, also when all of a long
//! queue has waited for long.
//!
//! A class that may not run waits without end and is owed nothing for it. Left out: stopping a job that runs for one that is due earlier.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Priority;

/// After so many turns that passed over a class that waits, the next one is its own. That of finals always is, but where
/// another has one.
const PASSED_OVER: [u32; Priority::ALL.len()] = [0, 8, 32];

/// What waits, by class and deadline.
pub struct Schedule<T> {
    classes: [Class<T>; Priority::ALL.len()],
    /// Jobs that came so far: of two that are due at the same time the first one goes first.
    came: u64,
}

struct Class<T> {
    waiting: BTreeMap<(Instant, u64), T>,
    /// Turns in a row that others had while this one waited.
    passed_over: u32,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        let class = |_| Class { waiting: BTreeMap::new(), passed_over: 0 };
        Self { classes: Priority::ALL.map(class), came: 0 }
    }
}

impl<T> Schedule<T> {
    /// `due` is not before `now`: whoever is late goes before nobody who came earlier with a deadline in the past.
    pub fn push(&mut self, now: Instant, class: Priority, due: Instant, job: T) {
        self.came += 1;
        self.classes[class as usize].waiting.insert((due.max(now), self.came), job);
    }

    /// Jobs of the class that wait.
    pub fn len(&self, class: Priority) -> usize {
        self.classes[class as usize].waiting.len()
    }

    /// The next job, of the classes that `may_run`. One that `is_stale` takes nobody's turn.
    pub fn pop(&mut self, may_run: impl Fn(Priority) -> bool, is_stale: impl Fn(&T) -> bool) -> Option<(Priority, T)> {
        let next = self.next_class(may_run, is_stale)?;
        let (_, job) = self.classes[next as usize].waiting.pop_first()?;
        Some((next, job))
    }

    fn next_class(&mut self, may_run: impl Fn(Priority) -> bool, is_stale: impl Fn(&T) -> bool) -> Option<Priority> {
        let first = |class: Priority| self.classes[class as usize].waiting.first_key_value();
        let stale = |&class: &Priority| first(class).is_some_and(|(_, job)| is_stale(job));
        if let Some(stale) = Priority::ALL.into_iter().find(stale) {
            return Some(stale);
        }
        let waiting = || Priority::ALL.into_iter().filter(|&class| self.len(class) > 0 && may_run(class));
        let has_turn = |class: &Priority| self.classes[*class as usize].passed_over >= PASSED_OVER[*class as usize];
        let next = waiting().rev().find(has_turn).or_else(|| waiting().next())?;
        for class in Priority::ALL {
            let Class { waiting, passed_over } = &mut self.classes[class as usize];
            *passed_over =
                if class == next || waiting.is_empty() || !may_run(class) { 0 } else { passed_over.saturating_add(1) };
        }
        Some(next)
    }

    /// Takes out the jobs of a class that `is_stale`.
    pub fn clear_out(&mut self, class: Priority, is_stale: impl Fn(&T) -> bool) -> Vec<T> {
        let waiting = &mut self.classes[class as usize].waiting;
        waiting.extract_if(.., |_, job| is_stale(job)).map(|(_, job)| job).collect()
    }

    /// Takes out everything, in the order of the classes.
    pub fn drain(&mut self) -> Vec<T> {
        let classes = self.classes.iter_mut();
        classes.flat_map(|class| std::mem::take(&mut class.waiting).into_values()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::time::Duration;

    const ANY: fn(Priority) -> bool = |_| true;
    const FRESH: fn(&u64) -> bool = |_| false;

    /// A schedule of numbers, and times in ms.
    struct Bench(Schedule<u64>, Instant);

    impl Bench {
        fn new() -> Self {
            Self(Schedule::default(), clock::now())
        }

        fn push(&mut self, class: Priority, due_ms: u64, job: u64) {
            let (now, due) = (self.1, self.1 + Duration::from_millis(due_ms));
            self.0.push(now, class, due, job);
        }

        fn all(&mut self) -> Vec<u64> {
            std::iter::from_fn(|| self.0.pop(ANY, FRESH)).map(|(_, job)| job).collect()
        }
    }

    #[test]
    fn finals_go_before_partials_and_these_before_background() {
        let mut bench = Bench::new();
        bench.push(Priority::Background, 0, 3);
        bench.push(Priority::Partial, 100, 2);
        bench.push(Priority::Final, 900, 1);
        assert_eq!(bench.all(), [1, 2, 3]);
    }

    #[test]
    fn within_a_class_the_oldest_deadline_goes_first_and_then_who_came_first() {
        let mut bench = Bench::new();
        for (due_ms, job) in [(900, 4), (300, 1), (500, 2), (500, 3)] {
            bench.push(Priority::Final, due_ms, job);
        }
        assert_eq!(bench.all(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_deadline_in_the_past_goes_before_nobody_who_is_overdue_already() {
        let (mut schedule, start) = (Schedule::default(), clock::now() + Duration::from_secs(60));
        schedule.push(start, Priority::Final, start, 1);
        schedule.push(start + Duration::from_secs(1), Priority::Final, start - Duration::from_secs(9), 2);
        assert_eq!(schedule.pop(ANY, FRESH), Some((Priority::Final, 1)));
    }

    #[test]
    fn a_class_that_is_passed_over_for_long_has_a_turn() {
        let mut bench = Bench::new();
        bench.push(Priority::Background, 0, 1_000);
        (0..100).for_each(|n| bench.push(Priority::Final, n, n));
        let order = bench.all();
        assert_eq!(order.iter().position(|&job| job == 1_000), Some(32), "{order:?}");
    }

    #[test]
    fn a_long_queue_that_has_waited_for_long_holds_up_nobody_above_it() {
        let mut bench = Bench::new();
        (0..100).for_each(|n| bench.push(Priority::Background, 0, 1_000 + n));
        (0..100).for_each(|n| bench.push(Priority::Final, n, n));
        let order = bench.all();
        let among_finals = order.iter().take_while(|&&job| job != 99).filter(|&&job| job >= 1_000).count();
        assert_eq!(among_finals, 3, "{order:?}");
    }

    #[test]
    fn a_class_that_may_not_run_is_passed_over_but_for_stale_jobs() {
        let mut bench = Bench::new();
        (1..=3).for_each(|job| bench.push(Priority::Background, job, job));
        bench.push(Priority::Partial, 0, 4);
        let callers = |class| class != Priority::Background;
        let is_stale = |job: &u64| *job == 1;
        let next: Vec<_> = std::iter::from_fn(|| bench.0.pop(callers, is_stale)).map(|(_, job)| job).collect();
        assert_eq!(next, [1, 4]);
        assert_eq!(bench.all(), [2, 3]);
    }

    #[test]
    fn stale_jobs_take_nobodys_turn() {
        let (mut schedule, now) = (Schedule::default(), clock::now());
        schedule.push(now, Priority::Background, now, 7);
        schedule.push(now, Priority::Partial, now, 1);
        let is_stale = |job: &u64| *job == 7;
        assert_eq!(schedule.pop(ANY, is_stale), Some((Priority::Background, 7)));
        assert_eq!(schedule.clear_out(Priority::Partial, |job| *job == 1), [1]);
        assert_eq!(schedule.pop(ANY, is_stale), None);
    }

    /// Whatever comes, more of it than can ever be run: no class is passed over for more than its number of turns (and
    /// those that were owed to others at the same time), and no job but by those of its class that are due before it.
    #[test]
    fn no_job_starves_whatever_comes() {
        struct Job {
            class: Priority,
            due: Instant,
            came: usize,
            run: Option<usize>,
        }
        const BOUNDS: [usize; 3] = [2, 8 + 1, 32];
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut schedule, start) = (Schedule::default(), clock::now());
            let flood = Priority::ALL[rng.random_range(0..3)];
            let mut jobs: Vec<Job> = Vec::new();
            let mut passed_over = [0; 3];
            let mut longest = [0; 3];
            for turn in 0..1_000 {
                let now = start + Duration::from_millis(turn as u64 * 10);
                for _ in 0..rng.random_range(0..4) {
                    let class = if rng.random_bool(0.8) { flood } else { Priority::ALL[rng.random_range(0..3)] };
                    let due = now + Duration::from_millis(rng.random_range(0..1_000));
                    schedule.push(now, class, due, jobs.len() as u64);
                    jobs.push(Job { class, due, came: turn, run: None });
                }
                let waiting = Priority::ALL.map(|class| schedule.len(class));
                let Some((class, job)) = schedule.pop(ANY, FRESH) else { continue };
                let job = job as usize;
                assert_eq!((jobs[job].class, jobs[job].run.replace(turn)), (class, None), "each job runs once");
                for other in Priority::ALL.map(|class| class as usize) {
                    let waits = other != class as usize && waiting[other] > 0;
                    passed_over[other] = if waits { passed_over[other] + 1 } else { 0 };
                    longest[other] = longest[other].max(passed_over[other]);
                }
                let Job { due, came, .. } = jobs[job];
                let before = |(n, other): &(usize, &Job)| {
                    let went = other.run.is_some_and(|run| (came..turn).contains(&run));
                    assert!(!went || other.class != class || (other.due, *n) < (due, job), "due later, went before");
                    went && other.class == class
                };
                let ahead = jobs.iter().enumerate().filter(before).count();
                assert!(turn - came <= (ahead + 1) * (BOUNDS[class as usize] + 1), "seed {seed}, {class:?}");
            }
            assert!(longest.iter().zip(BOUNDS).all(|(longest, bound)| *longest <= bound), "seed {seed}: {longest:?}");
            // Those who still wait do so for no other reason.
            for Job { class, came, .. } in jobs.iter().filter(|job| job.run.is_none()) {
                let went = |other: &&Job| other.class == *class && other.run.is_some_and(|run| run >= *came);
                let ahead = jobs.iter().filter(went).count();
                assert!(1_000 - came <= (ahead + 1) * (BOUNDS[*class as usize] + 1), "seed {seed}, {class:?}");
            }
        }
    }
}
