//! The disk on which the call log is: one thread writes what all calls hand over, another has the disk take it, twice a
//! second and once for all of them. To wait for each file would cost more than the calls themselves.
//!
//! Left out: telling which call it was whose sound the disk lost; what is refused at once each call tells itself.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::writer::{Desk, Writers};

/// With pieces of sound of 400 ms nothing is in memory alone for more than a second.
const EVERY: Duration = Duration::from_millis(500);

/// The two threads.
#[derive(Debug)]
pub struct Disk {
    writers: Writers,
    end: SyncSender<()>,
    thread: JoinHandle<()>,
}

/// Says that there is something for the disk to take.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<AtomicBool>);

impl Written {
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Disk {
    /// Watches over the file system of this folder.
    ///
    /// # Errors
    /// When the folder cannot be opened, or the system has no threads to give.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let dir = File::open(dir)?;
        let (end, ended) = sync_channel(0);
        let written = Written::default();
        let watched = written.clone();
        let thread = thread::Builder::new()
            .name("call-log-disk".to_owned())
            .spawn(move || watch(&watched, &ended, || Ok(rustix::fs::syncfs(&dir)?)))?;
        Ok(Self { writers: Writers::start(written)?, end, thread })
    }

    /// Where calls have their files written.
    pub fn desk(&self) -> Desk {
        self.writers.desk()
    }

    /// Ends the threads, which may be waiting for the disk. What was handed over is written before. Not for the async
    /// executor's threads.
    pub fn stop(self) {
        self.writers.stop();
        drop(self.end);
        if self.thread.join().is_err() {
            tracing::error!("the thread that waits for the call log's disk panicked");
        }
    }
}

/// The system writes by itself what a stopping program leaves.
fn watch(written: &Written, ended: &Receiver<()>, sync: impl Fn() -> io::Result<()>) {
    let mut alarm = Alarm::default();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
        if written.take()
            && let Some(error) = alarm.look(sync())
        {
            tracing::error!(
                %error,
                "the disk has lost something of the last second that it had taken of calls: their recordings or transcripts \
                 may have holes. Look for the disk's errors in the system's log (dmesg), and whether it is full"
            );
        }
    }
}

/// The system tells of a loss once, and what is lost does not come back: that it takes what follows is no end of it. A
/// disk that loses something twice a second is told of once, until it has kept something.
#[derive(Debug, Default)]
struct Alarm {
    is_losing: bool,
}

impl Alarm {
    /// The error, if it is to be told.
    fn look(&mut self, result: io::Result<()>) -> Option<io::Error> {
        let was_losing = std::mem::replace(&mut self.is_losing, result.is_err());
        result.err().filter(|_| !was_losing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_waited_for_when_something_was_written_and_only_then() {
        let written = Written::default();
        let (end, ended) = sync_channel(0);
        let (synced, syncs) = sync_channel(2);
        let watched = written.clone();
        let thread = thread::spawn(move || {
            watch(&watched, &ended, || {
                synced.send(()).unwrap();
                Ok(())
            });
        });
        for _ in 0..2 {
            written.note();
            syncs.recv().unwrap();
        }
        drop(end);
        thread.join().unwrap();
        assert!(syncs.try_recv().is_err(), "as often as something was written");
    }

    #[test]
    fn each_loss_is_told_once() {
        let mut alarm = Alarm::default();
        for (loses, told) in [(false, false), (true, true), (true, false), (false, false), (true, true)] {
            let result = if loses { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) };
            assert_eq!(alarm.look(result).is_some(), told);
        }
    }

    #[test]
    fn a_real_disk_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::syncfs(File::open(dir.path()).unwrap()).unwrap();
        Disk::start(dir.path()).unwrap().stop();
        assert!(Disk::start(&dir.path().join("absent")).is_err());
    }
}
