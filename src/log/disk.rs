//! The disk takes what all calls have written, twice a second and once for all of them: to wait for each file would cost
//! more than the calls themselves.
//!
//! Left out: telling which call it was that the disk refused; what is refused at once each call tells itself.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::writer::Alarm;

/// With pieces of sound of 400 ms nothing is in memory alone for more than a second.
const EVERY: Duration = Duration::from_millis(500);

/// The thread that waits for the disk on which the call log is.
#[derive(Debug)]
pub struct Disk {
    written: Written,
    end: SyncSender<()>,
    thread: JoinHandle<()>,
}

/// Says that there is something for the disk to take.
#[derive(Debug, Clone, Default)]
pub struct Written(Arc<AtomicBool>);

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
    /// When the folder cannot be opened, or the system has no thread to give.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let dir = File::open(dir)?;
        let (end, ended) = sync_channel(0);
        let written = Written::default();
        let watched = written.clone();
        let thread = thread::Builder::new()
            .name("call-log-disk".to_owned())
            .spawn(move || watch(&watched, &ended, || Ok(rustix::fs::syncfs(&dir)?)))?;
        Ok(Self { written, end, thread })
    }

    pub fn written(&self) -> Written {
        self.written.clone()
    }

    /// Ends the thread, which may be waiting for the disk.
    pub fn stop(self) {
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
        if written.take() {
            alarm.look(sync());
        }
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
    fn a_real_disk_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::syncfs(File::open(dir.path()).unwrap()).unwrap();
        let disk = Disk::start(dir.path()).unwrap();
        disk.written().note();
        disk.stop();
        assert!(Disk::start(&dir.path().join("absent")).is_err());
    }
}
