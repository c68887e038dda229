//! Writing the files of one call, on a thread of their own: a slow disk delays no packet.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, Local};

use super::disk::Written;
use super::files::{CallLog, LogItem};
use crate::call::EndedBy;

/// Items that wait for the disk: with 400 ms of sound an item, a minute and a half.
const QUEUE: usize = 256;
/// Turns, messages and the gaps between them that wait for a place in the queue: several hours of a call.
const PENDING: usize = 4_096;

/// The thread that writes one call's files. Finished, it writes everything; dropped, what its queue has.
#[derive(Debug)]
pub struct LogWriter {
    queue: SyncSender<LogItem>,
    /// What found the queue full, in order. Sound of that time is a gap here: a disk that hangs must not fill the memory.
    pending: VecDeque<LogItem>,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(log: CallLog, written: Written) -> io::Result<Self> {
        let (queue, items) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("call-log".to_owned()).spawn(move || write(log, &items, &written))?;
        Ok(Self { queue, pending: VecDeque::new(), thread })
    }

    /// Hands over sound of both sides, of the same length, without waiting. When the disk is a minute behind, sound
    /// becomes silence and is counted.
    pub fn audio(&mut self, received: Vec<i16>, sent: Vec<i16>) {
        self.item(LogItem::Audio { received, sent });
    }

    /// Hands something over without waiting. When the disk is a minute behind, a turn or a message waits here until the
    /// next call of this or of [`finish`](Self::finish) that finds room.
    pub fn item(&mut self, item: LogItem) {
        self.retry();
        if !self.pending.is_empty() {
            return self.keep(item);
        }
        if let Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) = self.queue.try_send(item) {
            tracing::error!("the call log's disk is too slow: sound is being lost");
            self.keep(item);
        }
    }

    /// Moves to the queue what it has room for.
    fn retry(&mut self) {
        while let Some(item) = self.pending.pop_front() {
            if let Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) = self.queue.try_send(item) {
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

    /// Waits until all is on disk. Not for the async executor's threads.
    pub fn finish(self, by: EndedBy, at: DateTime<Local>) {
        let Self { queue, pending, thread } = self;
        for item in pending.into_iter().chain([LogItem::Finish { by, at }]) {
            if queue.send(item).is_err() {
                // The thread has panicked, which is said below.
                break;
            }
        }
        drop(queue);
        if thread.join().is_err() {
            tracing::error!("the call log's thread panicked: the end of the call is not on disk");
        }
    }
}

fn write(mut log: CallLog, items: &Receiver<LogItem>, written: &Written) {
    let mut alarm = Alarm::default();
    for item in items {
        alarm.look(log.write(item));
        written.note();
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

    #[test]
    fn a_call_leaves_four_files_that_agree() {
        let dir = tempfile::tempdir().unwrap();
        let log = CallLog::create(dir.path(), record(), 8_000).unwrap();
        let files = log.files().clone();
        let mut writer = LogWriter::start(log, Written::default()).unwrap();
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
        writer.finish(EndedBy::Caller, Local::now());
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
        let log = CallLog::create(dir, record(), 8_000).unwrap();
        let files = log.files().clone();
        let ((queue, items), (open, gate)) = (sync_channel(QUEUE), sync_channel(1));
        let thread = thread::spawn(move || {
            gate.recv().ok();
            write(log, &items, &Written::default());
        });
        (LogWriter { queue, pending: VecDeque::new(), thread }, open, files)
    }

    #[test]
    fn a_disk_that_hangs_keeps_nobody_waiting_and_costs_only_sound() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, open, files) = hanging(dir.path());
        // Nothing takes from the queue: whatever waited for it would wait here for ever.
        for _ in 0..QUEUE {
            writer.audio(vec![1; 10], vec![2; 10]);
        }
        writer.audio(vec![3; 10], vec![3; 10]);
        writer.audio(vec![3; 10], vec![3; 10]);
        writer.item(LogItem::Turn(turn("Алло").into()));
        writer.item(LogItem::Gap { samples: 5 });
        writer.audio(vec![3; 10], vec![3; 10]);
        assert_eq!(writer.pending.len(), 3, "a gap, a turn, a gap");
        drop(open);
        writer.finish(EndedBy::Shutdown, Local::now());

        let (heard, lost) = (QUEUE * 10, 35);
        assert_eq!(sound(&files.input), [vec![1; heard], vec![0; lost]].concat(), "the end too is as long as it was");
        assert_eq!(sound(&files.output), [vec![2; heard], vec![0; lost]].concat());
        let json = json(&files);
        assert_eq!((&json["lost_samples"], &json["status"]), (&lost.into(), &"completed".into()));
        assert_eq!(json["turns"][0]["caller_text"], "Алло");
        assert!(fs::read_to_string(&files.transcript).unwrap().contains("Алло"));
    }

    #[test]
    fn what_waited_comes_before_what_follows() {
        let (queue, items) = sync_channel(2);
        let mut writer = LogWriter { queue, pending: VecDeque::new(), thread: thread::spawn(|| {}) };
        let mut hand_over = |n| writer.audio(vec![n; 10], vec![n; 10]);
        let next = || match items.try_recv() {
            Ok(LogItem::Audio { received, .. }) => format!("sound {}", received[0]),
            Ok(LogItem::Gap { samples }) => format!("gap of {samples}"),
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

    #[test]
    fn what_waits_for_the_disk_has_a_bound_and_no_gap_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, open, files) = hanging(dir.path());
        for _ in 0..QUEUE {
            writer.item(LogItem::Gap { samples: 1 });
        }
        for _ in 0..PENDING {
            writer.item(LogItem::Turn(turn("").into()));
            writer.audio(vec![3], vec![3]);
        }
        assert_eq!(writer.pending.len(), PENDING);
        writer.pending.retain(|item| matches!(item, LogItem::Gap { .. }));
        drop(open);
        writer.finish(EndedBy::Caller, Local::now());
        assert_eq!(sound(&files.input).len(), QUEUE + PENDING);
        assert_eq!(json(&files)["lost_samples"], QUEUE + PENDING);
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
