//! Named threads before one schedule: how a heavy model runs beside the async executor and not on it.
//!
//! The schedule says which job is next for all workers: finals before partials before background work, and within a class
//! the one that is due first. Of each class so many may wait, and more are refused. None starves but background work that is
//! held back: it waits for as long as somebody holds it. A job cancelled before its turn is not run. A panic in a job is
//! that job's failure: the thread goes on with a fresh state. Submitting calls nothing of a job's but its
//! [`cancel`](Job::cancel), so it may be done on the executor's threads, where a job's answer could not be sent.
//!
//! Left out: stopping a job that runs; it looks at its own [`Cancel`].

pub mod schedule;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use metrics::{gauge, histogram};
use serde::de::{Deserialize, Deserializer, Error as _};

use self::schedule::Schedule;
use super::Cancel;
use super::metrics::PoolMetrics;
use crate::clock;

/// Who waits for a job: its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A person on the telephone, who waits for an answer.
    Final,
    /// What may be thrown away again: a caller still speaks.
    Partial,
    /// Nobody: warm-up, phrases prepared in advance, files.
    Background,
}

impl Priority {
    /// The most urgent first.
    pub const ALL: [Self; 3] = [Self::Final, Self::Partial, Self::Background];

    /// As metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Partial => "partial",
            Self::Background => "background",
        }
    }
}

/// Why a job gave no result of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("cancelled before it started")]
    Cancelled,
    #[error("the program is shutting down")]
    Stopped,
    #[error("the worker panicked: {0}")]
    Panicked(String),
    /// The worker lost its state in a panic and could not build it again.
    #[error("the worker could not be restarted: {0}")]
    NotRestarted(String),
}

/// Why a job was not taken: it is dropped, neither run nor failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many jobs wait as may wait.
    #[error("the queue is full")]
    Full,
    #[error("the program is shutting down")]
    Stopped,
}

/// A piece of work on a thread's state `S`, which reports its result itself.
pub trait Job<S>: Send + 'static {
    fn cancel(&self) -> &Cancel;

    fn run(&mut self, state: &mut S);

    /// Called instead of [`run`](Self::run), or after it has panicked.
    fn fail(&mut self, error: JobError);
}

type BoxedJob<S> = Box<dyn Job<S>>;

/// Threads that run jobs on a state each. Dropping it is [`shutdown`](Self::shutdown).
pub struct Pool<S: 'static> {
    queue: Arc<Queue<S>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<S: Send + 'static> Pool<S> {
    /// Builds `workers` states with `factory` and starts a thread for each. Of each class, `capacity` jobs may wait.
    ///
    /// # Errors
    /// What `factory` returns for the first state it cannot build, or that the system refuses a thread.
    pub fn start<E>(
        metrics: &'static PoolMetrics,
        workers: usize,
        capacity: usize,
        factory: impl Fn() -> Result<S, E> + Send + Sync + 'static,
    ) -> Result<Self, E>
    where
        E: std::error::Error + From<std::io::Error>,
    {
        let workers = workers.max(1);
        let queue = Arc::new(Queue::new(metrics, workers, capacity));
        let pool = Self { queue: Arc::clone(&queue), threads: Mutex::default() };
        let factory = Arc::new(factory);
        for n in 0..workers {
            let state = factory()?;
            let (queue, factory) = (Arc::clone(&queue), Arc::clone(&factory));
            let body = move || work(&queue, n, state, || factory().map_err(|e| e.to_string()));
            let thread = thread::Builder::new().name(format!("{}-{n}", metrics.thread)).spawn(body)?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    /// Queues a job, which then is run or failed on one of the threads, or failed by [`shutdown`](Self::shutdown). Only
    /// a job cancelled while it waits may be dropped without a word, when another needs its place. The job is `due` now at
    /// the earliest.
    ///
    /// # Errors
    /// When as many jobs of this class wait as may wait, or after a shutdown.
    pub fn submit(&self, class: Priority, due: Instant, job: impl Job<S>) -> Result<(), SubmitError> {
        self.queue.push(class, due, Box::new(job))
    }

    /// Begins no background job, however long that is, until as many [`let_background_run`](Self::let_background_run)
    /// followed.
    pub fn hold_background(&self) {
        lock(&self.queue.waiting).holds += 1;
    }

    /// Takes back one [`hold_background`](Self::hold_background).
    pub fn let_background_run(&self) {
        let mut waiting = lock(&self.queue.waiting);
        waiting.holds = waiting.holds.saturating_sub(1);
        self.queue.changed.notify_all();
    }

    /// Jobs of the class that wait for a worker.
    pub fn waiting(&self, class: Priority) -> usize {
        lock(&self.queue.waiting).jobs.len(class)
    }
}

impl<S: 'static> Pool<S> {
    /// Fails the waiting jobs, cancels the running ones and waits for the threads to end: as long as the running
    /// jobs take to look at their [`Cancel`]. Not for the async executor's threads.
    pub fn shutdown(&self) {
        for mut job in self.queue.stop() {
            job.fail(JobError::Stopped);
        }
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // The last owner of the pool may be a job of it, whose thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl<S: 'static> Drop for Pool<S> {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn work<S: 'static>(queue: &Queue<S>, worker: usize, state: S, rebuild: impl Fn() -> Result<S, String>) {
    let mut state = Some(state);
    while let Some(mut job) = queue.pop(worker) {
        if job.cancel().is_cancelled() {
            job.fail(JobError::Cancelled);
            continue;
        }
        if state.is_none() {
            match rebuild() {
                Ok(fresh) => state = Some(fresh),
                Err(error) => job.fail(JobError::NotRestarted(error)),
            }
        }
        if let Some(on) = &mut state
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| job.run(on)))
        {
            // What the panic left half done must not be used again.
            state = None;
            job.fail(JobError::Panicked(message(panic.as_ref())));
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

struct Queue<S: 'static> {
    metrics: &'static PoolMetrics,
    capacity: usize,
    waiting: Mutex<Waiting<S>>,
    changed: Condvar,
}

struct Waiting<S: 'static> {
    jobs: Schedule<Queued<S>>,
    /// Of each worker, the job it runs.
    running: Vec<Option<Cancel>>,
    /// Of those who do not want background work now.
    holds: usize,
    stopped: bool,
}

struct Queued<S: 'static> {
    job: BoxedJob<S>,
    since: Instant,
}

impl<S: 'static> Queued<S> {
    fn is_stale(&self) -> bool {
        self.job.cancel().is_cancelled()
    }
}

impl<S: 'static> Queue<S> {
    fn new(metrics: &'static PoolMetrics, workers: usize, capacity: usize) -> Self {
        let waiting = Waiting { jobs: Schedule::default(), running: vec![None; workers], holds: 0, stopped: false };
        Self { metrics, capacity, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    fn push(&self, class: Priority, due: Instant, job: BoxedJob<S>) -> Result<(), SubmitError> {
        let since = clock::now();
        // Declared before the lock is taken, so that what it gets is dropped after the lock is released: a job may own
        // what is not ours.
        let _cancelled: Vec<Queued<S>>;
        let mut waiting = lock(&self.waiting);
        if waiting.stopped {
            return Err(SubmitError::Stopped);
        }
        if waiting.jobs.len(class) >= self.capacity {
            _cancelled = waiting.jobs.clear_out(class, Queued::is_stale);
        }
        if waiting.jobs.len(class) >= self.capacity {
            return Err(SubmitError::Full);
        }
        waiting.jobs.push(since, class, due, Queued { job, since });
        self.tell(&waiting, class);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job for a worker that has finished its last one; `None` when stopped.
    fn pop(&self, worker: usize) -> Option<BoxedJob<S>> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.stopped {
                return None;
            }
            let held = waiting.holds > 0;
            let next = waiting.jobs.pop(|class| !held || class != Priority::Background, Queued::is_stale);
            // Nobody's job: a shutdown must not cancel what ended long ago.
            if let Some(running) = waiting.running.get_mut(worker) {
                *running = next.as_ref().map(|(_, queued)| queued.job.cancel().clone());
            }
            if let Some((class, queued)) = next {
                self.tell(&waiting, class);
                if !queued.is_stale() {
                    let waited = clock::now().saturating_duration_since(queued.since);
                    histogram!(self.metrics.wait, "class" => class.name()).record(waited);
                }
                return Some(queued.job);
            }
            gauge!(self.metrics.running).set(waiting.running.iter().flatten().count() as f64);
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Under the lock, so that an older figure does not come after a newer one.
    fn tell(&self, waiting: &Waiting<S>, class: Priority) {
        gauge!(self.metrics.depth, "class" => class.name()).set(waiting.jobs.len(class) as f64);
        gauge!(self.metrics.running).set(waiting.running.iter().flatten().count() as f64);
    }

    fn stop(&self) -> Vec<BoxedJob<S>> {
        let mut waiting = lock(&self.waiting);
        waiting.stopped = true;
        waiting.running.iter().flatten().for_each(Cancel::cancel);
        self.changed.notify_all();
        waiting.jobs.drain().into_iter().map(|queued| queued.job).collect()
    }
}

/// Jobs run outside the locks, so a poisoned one protects nothing broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No machine that somebody has an office on has more cores; each worker takes memory of its own, hundreds of megabytes.
const MOST_WORKERS: usize = 64;

/// A number of workers or of their threads in the configuration.
pub(super) fn number_of_workers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        number @ 1..=MOST_WORKERS => Ok(number),
        number => Err(D::Error::custom(format!("{number}, expected 1 to {MOST_WORKERS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    const TEST: PoolMetrics = PoolMetrics { thread: "test", depth: "depth", running: "running", wait: "wait" };

    /// All alike: who came first goes first.
    fn soon() -> Instant {
        static SOON: OnceLock<Instant> = OnceLock::new();
        *SOON.get_or_init(|| clock::now() + Duration::from_secs(3600))
    }

    /// Reports to `log`; on the way it may wait for `gate`, panic, or be cancelled.
    struct Step {
        name: &'static str,
        cancel: Cancel,
        gate: Option<Receiver<()>>,
        panics: bool,
        log: SyncSender<String>,
    }

    impl Job<usize> for Step {
        fn cancel(&self) -> &Cancel {
            &self.cancel
        }

        fn run(&mut self, state: &mut usize) {
            self.log.send(format!("start {} on {state}", self.name)).unwrap();
            if let Some(gate) = self.gate.take() {
                gate.recv().ok();
            }
            assert!(!self.panics, "step {}", self.name);
            let how = if self.cancel.is_cancelled() { "stopped" } else { "done" };
            self.log.send(format!("{how} {}", self.name)).unwrap();
        }

        fn fail(&mut self, error: JobError) {
            self.log.send(format!("{}: {error}", self.name)).unwrap();
        }
    }

    struct Bench {
        pool: Pool<usize>,
        log: Receiver<String>,
        sender: SyncSender<String>,
    }

    impl Bench {
        /// One worker, two places per priority; the state counts how often it was built.
        fn new() -> Self {
            let built = AtomicUsize::new(0);
            let factory = move || Ok::<_, io::Error>(built.fetch_add(1, Ordering::SeqCst));
            let (sender, log) = sync_channel(100);
            Self { pool: Pool::start(&TEST, 1, 2, factory).unwrap(), log, sender }
        }

        fn step(&self, name: &'static str) -> Step {
            Step { name, cancel: Cancel::default(), gate: None, panics: false, log: self.sender.clone() }
        }

        /// Keeps the worker busy until the sender sends or goes.
        fn block(&self) -> SyncSender<()> {
            let (open, gate) = sync_channel(1);
            self.pool.submit(Priority::Final, soon(), Step { gate: Some(gate), ..self.step("block") }).unwrap();
            assert_eq!(self.next(), "start block on 0");
            open
        }

        fn next(&self) -> String {
            self.log.recv().unwrap()
        }

        fn rest(self) -> Vec<String> {
            drop((self.pool, self.sender));
            self.log.iter().collect()
        }
    }

    #[test]
    fn waiting_caller_goes_before_background_work() {
        let bench = Bench::new();
        let open = bench.block();
        bench.pool.submit(Priority::Background, soon(), bench.step("warm-up")).unwrap();
        bench.pool.submit(Priority::Final, soon(), bench.step("caller")).unwrap();
        drop(open);
        let log: Vec<_> = (0..5).map(|_| bench.next()).collect();
        assert_eq!(log, ["done block", "start caller on 0", "done caller", "start warm-up on 0", "done warm-up"]);
    }

    #[test]
    fn background_work_waits_while_somebody_holds_it() {
        let bench = Bench::new();
        bench.pool.hold_background();
        bench.pool.hold_background();
        bench.pool.submit(Priority::Background, soon(), bench.step("warm-up")).unwrap();
        bench.pool.let_background_run();
        bench.pool.submit(Priority::Partial, soon(), bench.step("caller")).unwrap();
        assert_eq!([bench.next(), bench.next()], ["start caller on 0", "done caller"]);
        assert_eq!(bench.pool.waiting(Priority::Background), 1);
        bench.pool.let_background_run();
        assert_eq!([bench.next(), bench.next()], ["start warm-up on 0", "done warm-up"]);
    }

    #[test]
    fn full_queue_refuses_and_background_work_takes_no_place_from_callers() {
        let bench = Bench::new();
        let _open = bench.block();
        for _ in 0..2 {
            bench.pool.submit(Priority::Background, soon(), bench.step("b")).unwrap();
        }
        assert_eq!(bench.pool.submit(Priority::Background, soon(), bench.step("b")), Err(SubmitError::Full));
        for _ in 0..2 {
            bench.pool.submit(Priority::Final, soon(), bench.step("c")).unwrap();
        }
        assert_eq!(bench.pool.submit(Priority::Final, soon(), bench.step("c")), Err(SubmitError::Full));
    }

    #[test]
    fn cancelled_jobs_are_skipped_and_make_room() {
        let bench = Bench::new();
        let open = bench.block();
        let stale = [bench.step("first"), bench.step("second")];
        let cancels: Vec<_> = stale.iter().map(|step| step.cancel.clone()).collect();
        for step in stale {
            bench.pool.submit(Priority::Final, soon(), step).unwrap();
        }
        cancels[0].cancel();
        bench.pool.submit(Priority::Final, soon(), bench.step("third")).unwrap();
        cancels[1].cancel();
        drop(open);
        let log: Vec<_> = (0..4).map(|_| bench.next()).collect();
        assert_eq!(log, ["done block", "second: cancelled before it started", "start third on 0", "done third"]);
    }

    #[test]
    fn whoever_is_due_first_goes_first() {
        let bench = Bench::new();
        let open = bench.block();
        bench.pool.submit(Priority::Final, soon() + Duration::from_millis(1), bench.step("second")).unwrap();
        bench.pool.submit(Priority::Final, soon(), bench.step("first")).unwrap();
        drop(open);
        let log: Vec<_> = (0..4).map(|_| bench.next()).collect();
        assert_eq!(log, ["done block", "start first on 0", "done first", "start second on 0"]);
    }

    #[test]
    fn what_waits_and_runs_is_told() {
        let recorder = DebuggingRecorder::new();
        let figures = recorder.snapshotter();
        metrics::with_local_recorder(&recorder, || {
            let bench = Bench::new();
            let open = bench.block();
            bench.pool.submit(Priority::Background, soon(), bench.step("one")).unwrap();
            bench.pool.submit(Priority::Background, soon(), bench.step("two")).unwrap();
            assert_eq!(bench.pool.waiting(Priority::Background), 2);
            drop(open);
        });
        let told: Vec<_> = figures.snapshot().into_vec().into_iter().map(|(key, _, _, value)| (key, value)).collect();
        let depth = told.iter().find(|(key, _)| {
            key.key().name() == "depth" && key.key().labels().any(|label| label.value() == "background")
        });
        assert_eq!(depth.map(|(_, value)| value), Some(&DebugValue::Gauge(2.0.into())), "{told:?}");
    }

    #[test]
    fn panic_fails_its_job_and_the_next_gets_a_fresh_state() {
        let bench = Bench::new();
        bench.pool.submit(Priority::Final, soon(), Step { panics: true, ..bench.step("bad") }).unwrap();
        bench.pool.submit(Priority::Final, soon(), bench.step("good")).unwrap();
        let log: Vec<_> = (0..4).map(|_| bench.next()).collect();
        let expected = ["start bad on 0", "bad: the worker panicked: step bad", "start good on 1", "done good"];
        assert_eq!(log, expected);
    }

    #[test]
    fn state_that_cannot_be_rebuilt_fails_jobs_and_keeps_the_thread() {
        let built = AtomicUsize::new(0);
        let factory = move || match built.fetch_add(1, Ordering::SeqCst) {
            1 => Err(io::Error::other("no memory")),
            n => Ok(n),
        };
        let (sender, log) = sync_channel(100);
        let bench = Bench { pool: Pool::start(&TEST, 1, 4, factory).unwrap(), log, sender };
        bench.pool.submit(Priority::Final, soon(), Step { panics: true, ..bench.step("bad") }).unwrap();
        bench.pool.submit(Priority::Final, soon(), bench.step("unlucky")).unwrap();
        bench.pool.submit(Priority::Final, soon(), bench.step("good")).unwrap();
        let log: Vec<_> = (0..5).map(|_| bench.next()).collect();
        assert_eq!(log[2], "unlucky: the worker could not be restarted: no memory");
        assert_eq!(log[3..], ["start good on 2", "done good"]);
    }

    #[test]
    fn shutdown_fails_what_waits_and_cancels_what_runs() {
        let bench = Bench::new();
        let open = bench.block();
        bench.pool.submit(Priority::Final, soon(), bench.step("late")).unwrap();
        // The gate opens once the waiting job has been told, which is when the running one has been cancelled.
        let (pool, log) = (bench.pool, bench.log);
        let stopping = thread::spawn(move || pool.shutdown());
        assert_eq!(log.recv().unwrap(), "late: the program is shutting down");
        drop(open);
        stopping.join().unwrap();
        assert_eq!(log.recv().unwrap(), "stopped block");
    }

    #[test]
    fn first_state_that_fails_to_build_is_the_error_of_start() {
        let factory = || Err::<usize, _>(io::Error::other("no model"));
        let error = Pool::start(&TEST, 2, 4, factory).err().unwrap();
        assert_eq!(error.to_string(), "no model");
    }

    #[test]
    fn job_submitted_after_shutdown_is_refused_and_not_called() {
        let bench = Bench::new();
        bench.pool.shutdown();
        assert_eq!(bench.pool.submit(Priority::Final, soon(), bench.step("late")), Err(SubmitError::Stopped));
        assert!(bench.rest().is_empty());
    }

    /// Answers as calls do: in a way that panics on the executor's threads.
    struct Answering {
        cancel: Cancel,
        gate: Option<Receiver<()>>,
        answer: tokio::sync::mpsc::Sender<Result<(), JobError>>,
    }

    impl Job<()> for Answering {
        fn cancel(&self) -> &Cancel {
            &self.cancel
        }

        fn run(&mut self, _: &mut ()) {
            if let Some(gate) = self.gate.take() {
                gate.recv().ok();
            }
            self.answer.blocking_send(Ok(())).unwrap();
        }

        fn fail(&mut self, error: JobError) {
            self.answer.blocking_send(Err(error)).unwrap();
        }
    }

    #[tokio::test]
    async fn nothing_of_a_job_is_called_on_the_thread_that_submits() {
        let pool = Arc::new(Pool::start(&TEST, 1, 1, || Ok::<_, io::Error>(())).unwrap());
        let (answer, mut answers) = tokio::sync::mpsc::channel(9);
        let job = |gate| Answering { cancel: Cancel::default(), gate, answer: answer.clone() };
        let (open, gate) = sync_channel(1);
        pool.submit(Priority::Final, soon(), job(Some(gate))).unwrap();
        // The place is free once the worker has taken the first one.
        let stale = job(None);
        let cancel = stale.cancel.clone();
        while pool.waiting(Priority::Final) == 1 {
            tokio::task::yield_now().await;
        }
        pool.submit(Priority::Final, soon(), stale).unwrap();
        assert_eq!(pool.submit(Priority::Final, soon(), job(None)), Err(SubmitError::Full));
        cancel.cancel();
        pool.submit(Priority::Final, soon(), job(None)).unwrap();
        drop(open);
        assert_eq!((answers.recv().await, answers.recv().await), (Some(Ok(())), Some(Ok(()))));
        let stopped = Arc::clone(&pool);
        tokio::task::spawn_blocking(move || stopped.shutdown()).await.unwrap();
        assert_eq!(pool.submit(Priority::Final, soon(), job(None)), Err(SubmitError::Stopped));
        drop(answer);
        assert_eq!(answers.recv().await, None, "neither the cancelled job nor the refused ones answer");
    }
}
