//! The processor's cores, shared out among the models that compute in this process.
//!
//! Threads of a model wait for each other at every step of it, so with more of them than there are cores all take longer
//! than one after the other. Whoever computes takes the cores that are free, one at least, and gives them back after a
//! step. Who came first goes first, but what is short goes before what is long.
//!
//! Left out: voices that are programs of their own, of which one may hang; the calls themselves, which wait most of the
//! time.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

static CORES: LazyLock<Cores> = LazyLock::new(|| Cores::new(count()));

/// How many there are.
pub fn count() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

struct Cores {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    came: u64,
    /// Those who wait, by the number with which they came: what is short, what is long.
    short: VecDeque<u64>,
    long: VecDeque<u64>,
}

/// One of the two queues.
type Queue = fn(&mut State) -> &mut VecDeque<u64>;

/// Cores that are one's own until this is dropped.
#[must_use]
pub struct Taken<'c> {
    cores: &'c Cores,
    count: usize,
}

/// Waits until a core is free and takes up to `wanted` of them, 1 at least. Whoever has some must not ask for more. Not
/// for the async executor's threads.
pub fn take(wanted: usize) -> Taken<'static> {
    CORES.take(wanted, |state| &mut state.long)
}

/// [`take`] for what takes a tenth of a second at most: it goes before the others.
pub fn take_for_short(wanted: usize) -> Taken<'static> {
    CORES.take(wanted, |state| &mut state.short)
}

impl Taken<'_> {
    /// How many these are, 1 or more.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Gives back all but one.
    pub fn keep_one(&mut self) {
        self.cores.give(self.count - 1);
        self.count = 1;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.cores.give(self.count);
    }
}

impl Cores {
    fn new(free: usize) -> Self {
        let state = State { free, came: 0, short: VecDeque::new(), long: VecDeque::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn take(&self, wanted: usize, queue: Queue) -> Taken<'_> {
        let mut state = self.lock();
        state.came += 1;
        let me = state.came;
        queue(&mut state).push_back(me);
        let must_wait = |state: &mut State| {
            let next = state.short.front().or(state.long.front());
            state.free == 0 || next != Some(&me)
        };
        let mut state = self.changed.wait_while(state, must_wait).unwrap_or_else(PoisonError::into_inner);
        queue(&mut state).pop_front();
        let count = wanted.clamp(1, state.free);
        state.free -= count;
        // There may be one for the next, too.
        self.changed.notify_all();
        Taken { cores: self, count }
    }

    fn give(&self, count: usize) {
        self.lock().free += count;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn long(state: &mut State) -> &mut VecDeque<u64> {
        &mut state.long
    }

    fn short(state: &mut State) -> &mut VecDeque<u64> {
        &mut state.short
    }

    #[test]
    fn nobody_has_a_core_that_another_has() {
        let cores = Cores::new(4);
        let mut three = cores.take(3, long);
        let one = cores.take(3, short);
        assert_eq!((three.count(), one.count()), (3, 1));
        three.keep_one();
        assert_eq!(cores.take(9, long).count(), 2);
        drop((three, one));
        assert_eq!(cores.take(9, long).count(), 4);
        assert_eq!(cores.take(0, long).count(), 1);
    }

    #[test]
    fn who_came_first_goes_first_and_what_is_short_before_what_is_long() {
        let cores = &Cores::new(1);
        let (done, order) = sync_channel(4);
        let waiting = || {
            let state = cores.lock();
            state.short.len() + state.long.len()
        };
        thread::scope(|scope| {
            let held = cores.take(1, long);
            let queues: [Queue; 4] = [long, long, short, short];
            for (n, (name, queue)) in ["long", "longer", "short", "shorter"].into_iter().zip(queues).enumerate() {
                let done = done.clone();
                scope.spawn(move || {
                    let _taken = cores.take(1, queue);
                    done.send(name).unwrap();
                });
                while waiting() <= n {
                    thread::yield_now();
                }
            }
            drop(held);
        });
        drop(done);
        assert_eq!(order.iter().collect::<Vec<_>>(), ["short", "shorter", "long", "longer"]);
    }
}
