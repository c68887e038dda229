//! Writing the files of all calls, on one thread: a slow disk delays no packet.
//!
//! Left out: several threads. What a thousand calls write is a hundred pieces of sound at a time, which the system takes
//! in milliseconds; only a record waits for the disk, once a turn.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, Local};
use tokio::sync::{mpsc, oneshot};

use super::disk::Written;
use super::files::{CallLog, LogItem};
use crate::call::EndedBy;

/// Items of all calls that wait for the disk: with 400 ms of sound an item, 16 s of 400 calls, and 200 MB, or twice that in 16 kHz.
const QUEUE: usize = 16_384;
/// Those of one call, so that it takes nobody's place: a minute and a half.
const OF_ONE_CALL: usize = 256;
/// Turns, messages and the gaps between them that wait for a place in the queue: several hours of a call.
const PENDING: usize = 4_096;

/// For so long it gathers what many calls have to write, rather than being woken for each.
const GATHER: Duration = Duration::from_millis(20);

/// The thread that writes the files of all calls.
#[derive(Debug)]
pub(super) struct Writers {
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// What calls ask of that thread; it is done in order.
#[derive(Debug)]
enum Job {
    Write {
        log: Arc<Open>,
        item: LogItem,
    },
    /// Say that what was asked before is done.
    Tell(oneshot::Sender<()>),
    Stop,
}

/// The files of a call that are being written. They close with the last that is to be written to them.
#[derive(Debug)]
struct Open {
    /// Nobody but the thread that writes takes it.
    files: Mutex<(CallLog, Alarm)>,
    /// How many of its items are in the queue.
    waiting: AtomicUsize,
}

impl Writers {
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(written: Written) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("call-log".to_owned()).spawn(move || write_all(jobs, &written))?;
        Ok(Self { queue, thread })
    }

    pub(super) fn desk(&self) -> Desk {
        Desk(self.queue.clone())
    }

    /// Waits until everything is written that was handed over before. Not for the async executor's threads.
    pub(super) fn stop(self) {
        // If it has panicked, the join says so.
        let _ = self.queue.blocking_send(Job::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the call log's thread panicked");
        }
    }
}

/// Where calls have their files written.
#[derive(Debug, Clone)]
pub struct Desk(mpsc::Sender<Job>);

impl Desk {
    /// The files of a call will be written to from now on.
    pub fn open(&self, log: CallLog) -> LogWriter {
        let log = Arc::new(Open { files: Mutex::new((log, Alarm::default())), waiting: AtomicUsize::new(0) });
        LogWriter { queue: self.0.clone(), log, pending: VecDeque::new() }
    }
}

/// One call's place at the thread that writes. Finished, everything is written; dropped, what its queue has.
#[derive(Debug)]
pub struct LogWriter {
    queue: mpsc::Sender<Job>,
    log: Arc<Open>,
    /// What found the queue full, in order. Sound of that time is a gap here: a disk that hangs must not fill the memory.
    pending: VecDeque<LogItem>,
}

impl LogWriter {
    /// Hands over sound of both sides, of the same length, without waiting. When the disk is far behind, sound becomes
    /// silence and is counted.
    pub fn audio(&mut self, received: Vec<i16>, sent: Vec<i16>) {
        self.item(LogItem::Audio { received, sent });
    }

    /// Hands something over without waiting. When the disk is far behind, a turn or a message waits here until the next
    /// call of this or of [`finish`](Self::finish) that finds room.
    pub fn item(&mut self, item: LogItem) {
        self.retry();
        if !self.pending.is_empty() {
            return self.keep(item);
        }
        if let Err(item) = self.offer(item) {
            tracing::error!("the call log's disk is too slow: sound is being lost");
            self.keep(item);
        }
    }

    /// Puts it into the queue, or gives it back.
    fn offer(&self, item: LogItem) -> Result<(), LogItem> {
        // Nobody else adds to it.
        if self.log.waiting.load(Ordering::Relaxed) >= OF_ONE_CALL {
            return Err(item);
        }
        match self.queue.try_reserve() {
            Ok(place) => {
                self.log.waiting.fetch_add(1, Ordering::Relaxed);
                place.send(Job::Write { log: Arc::clone(&self.log), item });
                Ok(())
            }
            Err(_) => Err(item),
        }
    }

    /// Moves to the queue what it has room for.
    fn retry(&mut self) {
        while let Some(item) = self.pending.pop_front() {
            if let Err(item) = self.offer(item) {
                self.pending.push_front(item);
                return;
            }
        }
    }

    fn keep(&mut self, item: LogItem) {
        let missing = match item {
            LogItem::Audio { received, .. } => received.len() as u64,
            LogItem::Gap { samples } => samples,
            // The last place is for the gap that follows the last turn.
            item if self.pending.len() + 1 < PENDING => return self.pending.push_back(item),
            _ => return tracing::error!("the call log's disk hangs: a turn is lost"),
        };
        match self.pending.back_mut() {
            Some(LogItem::Gap { samples }) => *samples += missing,
            _ => self.pending.push_back(LogItem::Gap { samples: missing }),
        }
    }

    /// Waits until all is written.
    pub async fn finish(self, by: EndedBy, at: DateTime<Local>) {
        let Self { queue, log, pending } = self;
        let (tell, told) = oneshot::channel();
        let items = pending.into_iter().chain([LogItem::Finish { by, at }]);
        let write = |item| {
            log.waiting.fetch_add(1, Ordering::Relaxed);
            Job::Write { log: Arc::clone(&log), item }
        };
        for job in items.map(write).chain([Job::Tell(tell)]) {
            if queue.send(job).await.is_err() {
                break;
            }
        }
        if told.await.is_err() {
            tracing::error!("the call log's thread is gone: the end of the call is not on disk");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what it would wait for is there, and more of it is to come")]
fn write_all(mut jobs: mpsc::Receiver<Job>, written: &Written) {
    while let Some(first) = jobs.blocking_recv() {
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write { log, item } => {
                    log.waiting.fetch_sub(1, Ordering::Relaxed);
                    log.write(item);
                    written.note();
                }
                // Who asked may have gone.
                Job::Tell(tell) => drop(tell.send(())),
                Job::Stop => return,
            }
            next = jobs.try_recv().ok();
        }
        thread::sleep(GATHER);
    }
}

impl Open {
    /// A panic over one call must not cost the others their files: it is written to no more.
    fn write(&self, item: LogItem) {
        let write = || {
            if let Ok(mut files) = self.files.lock() {
                let (log, alarm) = &mut *files;
                alarm.look(log.write(item));
            }
        };
        if catch_unwind(AssertUnwindSafe(write)).is_err() {
            tracing::error!("writing the call log panicked: nothing more is written of this call");
        }
    }
}

/// A full disk is said once, and so is its end: the call goes on.
#[derive(Debug, Default)]
pub(super) enum Alarm {
    #[default]
    Quiet,
    Ringing,
}

impl Alarm {
    pub(super) fn look(&mut self, result: io::Result<()>) {
        match (&*self, result) {
            (Alarm::Quiet, Err(error)) => {
                tracing::error!(%error, "the call log cannot be written (is the disk full?): the call goes on, its record has gaps");
                *self = Alarm::Ringing;
            }
            (Alarm::Ringing, Ok(())) => {
                tracing::warn!("the call log can be written again");
                *self = Alarm::Quiet;
            }
            (Alarm::Quiet, Ok(())) | (Alarm::Ringing, Err(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::files::CallFiles;
    use crate::log::files::tests::{json, record, sound, turn};
    use crate::rtp::quality::{Quality, SentQuality};
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc::{SyncSender, sync_channel};

    fn create(dir: &Path) -> (CallLog, CallFiles) {
        let log = CallLog::create(dir, record(), 8_000).unwrap();
        let files = log.files().clone();
        (log, files)
    }

    #[tokio::test]
    async fn a_call_leaves_four_files_that_agree() {
        let dir = tempfile::tempdir().unwrap();
        let (log, files) = create(dir.path());
        let writers = Writers::start(Written::default()).unwrap();
        let mut writer = writers.desk().open(log);
        writer.audio(vec![1; 1_600], vec![2; 1_600]);
        writer.item(LogItem::Turn(turn("Алло").into()));
        let sent = SentQuality { packets: 50, lost: 1, jitter_ms: 0.5, mos: 4.3 };
        let quality = Quality {
            received: 10,
            lost: 2,
            late: 0,
            jitter_ms: Some(1.5),
            round_trip_ms: None,
            mos: Some(3.9),
            sent: Some(sent),
        };
        writer.item(LogItem::Quality(quality));
        writer.finish(EndedBy::Caller, Local::now()).await;
        assert_eq!((sound(&files.input), sound(&files.output)), (vec![1; 1_600], vec![2; 1_600]));
        let transcript = fs::read_to_string(&files.transcript).unwrap();
        assert!(transcript.contains("[01:05.2] Абонент: Алло"), "{transcript}");
        assert!(transcript.contains("Секретарь: Добрый день. [прервано]"), "{transcript}");
        let json = json(&files);
        assert_eq!((&json["status"], &json["ended_by"]), (&"completed".into(), &"caller".into()));
        assert_eq!(json["recorded_s"], 0.2);
        assert_eq!(
            json["quality"].to_string(),
            r#"{"jitter_ms":1.5,"late":0,"lost":2,"mos":3.9,"received":10,"round_trip_ms":null,"sent":{"jitter_ms":0.5,"lost":1,"mos":4.3,"packets":50}}"#
        );
    }

    /// A writer whose disk hangs until the sender goes.
    fn hanging(dir: &Path) -> (LogWriter, SyncSender<()>, CallFiles) {
        let (log, files) = create(dir);
        let ((queue, jobs), (open, gate)) = (mpsc::channel(QUEUE), sync_channel(1));
        thread::spawn(move || {
            gate.recv().ok();
            write_all(jobs, &Written::default());
        });
        (Desk(queue).open(log), open, files)
    }

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_waiting_and_costs_only_sound() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, open, files) = hanging(dir.path());
        // Nothing takes from the queue: whatever waited for it would wait here for ever.
        for _ in 0..OF_ONE_CALL {
            writer.audio(vec![1; 10], vec![2; 10]);
        }
        writer.audio(vec![3; 10], vec![3; 10]);
        writer.audio(vec![3; 10], vec![3; 10]);
        writer.item(LogItem::Turn(turn("Алло").into()));
        writer.item(LogItem::Gap { samples: 5 });
        writer.audio(vec![3; 10], vec![3; 10]);
        assert_eq!(writer.pending.len(), 3, "a gap, a turn, a gap");
        drop(open);
        writer.finish(EndedBy::Shutdown, Local::now()).await;

        let (heard, lost) = (OF_ONE_CALL * 10, 35);
        assert_eq!(sound(&files.input), [vec![1; heard], vec![0; lost]].concat(), "the end too is as long as it was");
        assert_eq!(sound(&files.output), [vec![2; heard], vec![0; lost]].concat());
        let json = json(&files);
        assert_eq!((&json["lost_samples"], &json["status"]), (&lost.into(), &"completed".into()));
        assert_eq!(json["turns"][0]["caller_text"], "Алло");
        assert!(fs::read_to_string(&files.transcript).unwrap().contains("Алло"));
    }

    #[tokio::test]
    async fn a_call_with_much_to_write_takes_no_place_from_another() {
        let dir = tempfile::tempdir().unwrap();
        let (mut much, open, _) = hanging(dir.path());
        let (log, files) = create(dir.path());
        let mut little = Desk(much.queue.clone()).open(log);
        for _ in 0..=OF_ONE_CALL {
            much.audio(vec![1; 10], vec![2; 10]);
        }
        assert_eq!(much.pending.len(), 1);
        little.audio(vec![1; 10], vec![2; 10]);
        assert!(little.pending.is_empty());
        drop(open);
        little.finish(EndedBy::Caller, Local::now()).await;
        assert_eq!(sound(&files.input), [1; 10]);
        // All of its items are written: there is room again.
        much.audio(vec![1; 10], vec![2; 10]);
        assert!(much.pending.is_empty());
    }

    #[tokio::test]
    async fn calls_are_written_by_one_thread_and_one_that_cannot_be_costs_the_others_nothing() {
        let (lost, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let writers = Writers::start(Written::default()).unwrap();
        let (log, files) = create(lost.path());
        let mut broken = writers.desk().open(log);
        lost.close().unwrap();
        let mut calls: Vec<(LogWriter, CallFiles)> = (0..20)
            .map(|_| {
                let (log, files) = create(kept.path());
                (writers.desk().open(log), files)
            })
            .collect();
        for n in 0..10 {
            broken.item(LogItem::Turn(turn("Алло").into()));
            for (call, (writer, _)) in (0..).zip(&mut calls) {
                writer.audio(vec![call; 10], vec![n; 10]);
            }
        }
        broken.finish(EndedBy::Caller, Local::now()).await;
        assert!(!files.record.exists());
        for (call, (mut writer, files)) in (0..).zip(calls) {
            writer.item(LogItem::Turn(turn("Алло").into()));
            writer.finish(EndedBy::Caller, Local::now()).await;
            assert_eq!(sound(&files.input), [call; 100]);
            assert_eq!(sound(&files.output), (0..10).flat_map(|n| [n; 10]).collect::<Vec<i16>>());
            assert_eq!(json(&files)["turns"].as_array().map(Vec::len), Some(1));
        }
    }

    #[test]
    fn when_the_thread_has_stopped_all_that_was_handed_over_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let writers = Writers::start(Written::default()).unwrap();
        let mut calls: Vec<(LogWriter, CallFiles)> = (0..20)
            .map(|_| {
                let (log, files) = create(dir.path());
                (writers.desk().open(log), files)
            })
            .collect();
        for (writer, _) in &mut calls {
            (1..=100).for_each(|n| writer.audio(vec![n; 10], vec![n; 10]));
        }
        writers.stop();
        let whole: Vec<i16> = (1..=100).flat_map(|n| [n; 10]).collect();
        for (_, files) in &calls {
            assert_eq!(sound(&files.input), whole);
        }
    }

    #[test]
    fn what_waited_comes_before_what_follows() {
        let dir = tempfile::tempdir().unwrap();
        let (queue, mut jobs) = mpsc::channel(2);
        let mut writer = Desk(queue).open(create(dir.path()).0);
        let mut hand_over = |n| writer.audio(vec![n; 10], vec![n; 10]);
        let mut next = || match jobs.try_recv() {
            Ok(Job::Write { item: LogItem::Audio { received, .. }, .. }) => format!("sound {}", received[0]),
            Ok(Job::Write { item: LogItem::Gap { samples }, .. }) => format!("gap of {samples}"),
            other => format!("{other:?}"),
        };
        (1..=4).for_each(&mut hand_over);
        assert_eq!((next(), next()), ("sound 1".to_owned(), "sound 2".to_owned()));
        // The gap finds room before the sound that follows it, and then again there is none.
        (5..=6).for_each(&mut hand_over);
        assert_eq!((next(), next()), ("gap of 20".to_owned(), "sound 5".to_owned()));
        hand_over(7);
        assert_eq!((next(), next()), ("gap of 10".to_owned(), "sound 7".to_owned()));
    }

    #[tokio::test]
    async fn what_waits_for_the_disk_has_a_bound_and_no_gap_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, open, files) = hanging(dir.path());
        for _ in 0..OF_ONE_CALL {
            writer.item(LogItem::Gap { samples: 1 });
        }
        for _ in 0..PENDING {
            writer.item(LogItem::Turn(turn("").into()));
            writer.audio(vec![3], vec![3]);
        }
        assert_eq!(writer.pending.len(), PENDING);
        writer.pending.retain(|item| matches!(item, LogItem::Gap { .. }));
        drop(open);
        writer.finish(EndedBy::Caller, Local::now()).await;
        assert_eq!(sound(&files.input).len(), OF_ONE_CALL + PENDING);
        assert_eq!(json(&files)["lost_samples"], OF_ONE_CALL + PENDING);
    }

    #[test]
    fn a_full_disk_rings_once_until_it_takes_something() {
        let mut alarm = Alarm::default();
        for (full, rings) in [(false, false), (true, true), (true, true), (false, false), (true, true)] {
            alarm.look(if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) });
            assert_eq!(matches!(alarm, Alarm::Ringing), rings);
        }
    }
}
