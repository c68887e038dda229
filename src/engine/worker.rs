//! Named threads behind one bounded queue: how a heavy model runs beside the async executor and not on it.
//!
//! A waiting caller goes before background work. A job cancelled before its turn is not run. A panic in a job is
//! that job's failure: the thread goes on with a fresh state. Submitting calls nothing of a job's but its
//! [`cancel`](Job::cancel), so it may be done on the executor's threads, where a job's answer could not be sent.
//!
//! Left out: stopping a job that runs; it looks at its own [`Cancel`].

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use serde::de::{Deserialize, Deserializer, Error as _};

use super::Cancel;

/// Who waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// A person on the telephone.
    #[default]
    Caller,
    /// Nobody: warm-up, phrases prepared in advance, files.
    Background,
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
    /// Builds `workers` states with `factory` and starts a thread `name-n` for each. Of each priority, `capacity` jobs
    /// may wait.
    ///
    /// # Errors
    /// What `factory` returns for the first state it cannot build, or that the system refuses a thread.
    pub fn start<E>(
        name: &str,
        workers: usize,
        capacity: usize,
        factory: impl Fn() -> Result<S, E> + Send + Sync + 'static,
    ) -> Result<Self, E>
    where
        E: std::error::Error + From<std::io::Error>,
    {
        let workers = workers.max(1);
        let queue = Arc::new(Queue::new(workers, capacity));
        let pool = Self { queue: Arc::clone(&queue), threads: Mutex::default() };
        let factory = Arc::new(factory);
        for n in 0..workers {
            let state = factory()?;
            let (queue, factory) = (Arc::clone(&queue), Arc::clone(&factory));
            let body = move || work(&queue, n, state, || factory().map_err(|e| e.to_string()));
            let thread = thread::Builder::new().name(format!("{name}-{n}")).spawn(body)?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    /// Queues a job, which then is run or failed on one of the threads, or failed by [`shutdown`](Self::shutdown). Only
    /// a job cancelled while it waits may be dropped without a word, when another needs its place.
    ///
    /// # Errors
    /// When as many jobs of this priority wait as may wait, or after a shutdown.
    pub fn submit(&self, priority: Priority, job: impl Job<S>) -> Result<(), SubmitError> {
        self.queue.push(priority, Box::new(job))
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
    capacity: usize,
    waiting: Mutex<Waiting<S>>,
    changed: Condvar,
}

struct Waiting<S: 'static> {
    caller: VecDeque<BoxedJob<S>>,
    background: VecDeque<BoxedJob<S>>,
    /// Of each worker, the job it runs.
    running: Vec<Option<Cancel>>,
    stopped: bool,
}

impl<S: 'static> Queue<S> {
    fn new(workers: usize, capacity: usize) -> Self {
        let running = vec![None; workers];
        let waiting = Waiting { caller: VecDeque::new(), background: VecDeque::new(), running, stopped: false };
        Self { capacity, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    fn push(&self, priority: Priority, job: BoxedJob<S>) -> Result<(), SubmitError> {
        // Declared before the lock is taken, so that what it gets is dropped after the lock is released: a job may own
        // what is not ours.
        let _cancelled: VecDeque<BoxedJob<S>>;
        let mut waiting = lock(&self.waiting);
        if waiting.stopped {
            return Err(SubmitError::Stopped);
        }
        let jobs = match priority {
            Priority::Caller => &mut waiting.caller,
            Priority::Background => &mut waiting.background,
        };
        if jobs.len() >= self.capacity {
            (_cancelled, *jobs) = std::mem::take(jobs).into_iter().partition(|job| job.cancel().is_cancelled());
        }
        if jobs.len() >= self.capacity {
            return Err(SubmitError::Full);
        }
        jobs.push_back(job);
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
            if let Some(job) = waiting.caller.pop_front().or_else(|| waiting.background.pop_front()) {
                if let Some(running) = waiting.running.get_mut(worker) {
                    *running = Some(job.cancel().clone());
                }
                return Some(job);
            }
            // Nobody's job: a shutdown must not cancel what ended long ago.
            if let Some(running) = waiting.running.get_mut(worker) {
                *running = None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) -> Vec<BoxedJob<S>> {
        let mut waiting = lock(&self.waiting);
        waiting.stopped = true;
        waiting.running.iter().flatten().for_each(Cancel::cancel);
        self.changed.notify_all();
        let caller = std::mem::take(&mut waiting.caller);
        caller.into_iter().chain(std::mem::take(&mut waiting.background)).collect()
    }
}

/// Jobs run outside the locks, so a poisoned one protects nothing broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of workers, threads or calls in the configuration.
pub(crate) fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("0, expected at least 1")),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

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
            Self { pool: Pool::start("test", 1, 2, factory).unwrap(), log, sender }
        }

        fn step(&self, name: &'static str) -> Step {
            Step { name, cancel: Cancel::default(), gate: None, panics: false, log: self.sender.clone() }
        }

        /// Keeps the worker busy until the sender sends or goes.
        fn block(&self) -> SyncSender<()> {
            let (open, gate) = sync_channel(1);
            self.pool.submit(Priority::Caller, Step { gate: Some(gate), ..self.step("block") }).unwrap();
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
        bench.pool.submit(Priority::Background, bench.step("warm-up")).unwrap();
        bench.pool.submit(Priority::Caller, bench.step("caller")).unwrap();
        drop(open);
        let log: Vec<_> = (0..5).map(|_| bench.next()).collect();
        assert_eq!(log, ["done block", "start caller on 0", "done caller", "start warm-up on 0", "done warm-up"]);
    }

    #[test]
    fn full_queue_refuses_and_background_work_takes_no_place_from_callers() {
        let bench = Bench::new();
        let _open = bench.block();
        for _ in 0..2 {
            bench.pool.submit(Priority::Background, bench.step("b")).unwrap();
        }
        assert_eq!(bench.pool.submit(Priority::Background, bench.step("b")), Err(SubmitError::Full));
        for _ in 0..2 {
            bench.pool.submit(Priority::Caller, bench.step("c")).unwrap();
        }
        assert_eq!(bench.pool.submit(Priority::Caller, bench.step("c")), Err(SubmitError::Full));
    }

    #[test]
    fn cancelled_jobs_are_skipped_and_make_room() {
        let bench = Bench::new();
        let open = bench.block();
        let stale = [bench.step("first"), bench.step("second")];
        let cancels: Vec<_> = stale.iter().map(|step| step.cancel.clone()).collect();
        for step in stale {
            bench.pool.submit(Priority::Caller, step).unwrap();
        }
        cancels[0].cancel();
        bench.pool.submit(Priority::Caller, bench.step("third")).unwrap();
        cancels[1].cancel();
        drop(open);
        let log: Vec<_> = (0..4).map(|_| bench.next()).collect();
        assert_eq!(log, ["done block", "second: cancelled before it started", "start third on 0", "done third"]);
    }

    #[test]
    fn panic_fails_its_job_and_the_next_gets_a_fresh_state() {
        let bench = Bench::new();
        bench.pool.submit(Priority::Caller, Step { panics: true, ..bench.step("bad") }).unwrap();
        bench.pool.submit(Priority::Caller, bench.step("good")).unwrap();
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
        let bench = Bench { pool: Pool::start("test", 1, 4, factory).unwrap(), log, sender };
        bench.pool.submit(Priority::Caller, Step { panics: true, ..bench.step("bad") }).unwrap();
        bench.pool.submit(Priority::Caller, bench.step("unlucky")).unwrap();
        bench.pool.submit(Priority::Caller, bench.step("good")).unwrap();
        let log: Vec<_> = (0..5).map(|_| bench.next()).collect();
        assert_eq!(log[2], "unlucky: the worker could not be restarted: no memory");
        assert_eq!(log[3..], ["start good on 2", "done good"]);
    }

    #[test]
    fn shutdown_fails_what_waits_and_cancels_what_runs() {
        let bench = Bench::new();
        let open = bench.block();
        bench.pool.submit(Priority::Caller, bench.step("late")).unwrap();
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
        let error = Pool::start("test", 2, 4, factory).err().unwrap();
        assert_eq!(error.to_string(), "no model");
    }

    #[test]
    fn job_submitted_after_shutdown_is_refused_and_not_called() {
        let bench = Bench::new();
        bench.pool.shutdown();
        assert_eq!(bench.pool.submit(Priority::Caller, bench.step("late")), Err(SubmitError::Stopped));
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
        let pool = Arc::new(Pool::start("test", 1, 1, || Ok::<_, io::Error>(())).unwrap());
        let (answer, mut answers) = tokio::sync::mpsc::channel(9);
        let job = |gate| Answering { cancel: Cancel::default(), gate, answer: answer.clone() };
        let (open, gate) = sync_channel(1);
        pool.submit(Priority::Caller, job(Some(gate))).unwrap();
        // The place is free once the worker has taken the first one.
        let stale = job(None);
        let cancel = stale.cancel.clone();
        while pool.queue.waiting.lock().unwrap().caller.len() == 1 {
            tokio::task::yield_now().await;
        }
        pool.submit(Priority::Caller, stale).unwrap();
        assert_eq!(pool.submit(Priority::Caller, job(None)), Err(SubmitError::Full));
        cancel.cancel();
        pool.submit(Priority::Caller, job(None)).unwrap();
        drop(open);
        assert_eq!((answers.recv().await, answers.recv().await), (Some(Ok(())), Some(Ok(()))));
        let stopped = Arc::clone(&pool);
        tokio::task::spawn_blocking(move || stopped.shutdown()).await.unwrap();
        assert_eq!(pool.submit(Priority::Caller, job(None)), Err(SubmitError::Stopped));
        drop(answer);
        assert_eq!(answers.recv().await, None, "neither the cancelled job nor the refused ones answer");
    }
}
