//! Writing the files of one call, on a thread of their own: a slow disk delays no packet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, Local};

use super::record::{CallRecord, Status};
use super::wav::WavFile;
use crate::call::ears::SAMPLE_RATE_HZ;
use crate::call::{EndedBy, TurnRecord};
use crate::engine::Language;
use crate::engine::dialog::Message;

/// Pieces of 200 ms of sound between two waits for the disk.
const SYNC_EVERY: u32 = 5;
/// Calls of one second that find a name of their own.
const MAX_CALLS_A_SECOND: u32 = 1_000;
/// Items that wait for the disk: with 200 ms of sound an item, a minute and a half.
const QUEUE: usize = 512;

/// The paths of one call's files.
#[derive(Debug, Clone)]
pub struct CallFiles {
    pub input: PathBuf,
    pub output: PathBuf,
    pub transcript: PathBuf,
    pub record: PathBuf,
}

impl CallFiles {
    pub(super) fn of(dir: &Path, name: &str) -> Self {
        let file = |end: &str| dir.join(format!("{name}_{end}"));
        Self {
            input: file("input.wav"),
            output: file("output.wav"),
            transcript: file("transcript.txt"),
            record: file("record.json"),
        }
    }
}

/// The files of one call.
#[derive(Debug)]
pub struct CallLog {
    files: CallFiles,
    record: CallRecord,
    input: WavFile,
    output: WavFile,
    transcript: File,
    /// Pieces of sound since the disk was last waited for.
    unsynced: u32,
}

impl CallLog {
    /// Makes the four files. The second call of a second gets `_2` behind the time, and so on.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(dir: &Path, record: CallRecord) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let time = record.started_at.format("call_%Y%m%d_%H%M%S");
        for n in 1..=MAX_CALLS_A_SECOND {
            let name = if n == 1 { time.to_string() } else { format!("{time}_{n}") };
            let files = CallFiles::of(dir, &name);
            match WavFile::create(&files.input, SAMPLE_RATE_HZ) {
                Ok(input) => return Self::open(files, input, record),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("over {MAX_CALLS_A_SECOND} calls in one second")))
    }

    fn open(files: CallFiles, input: WavFile, record: CallRecord) -> io::Result<Self> {
        let output = WavFile::create(&files.output, SAMPLE_RATE_HZ)?;
        let mut transcript = OpenOptions::new().append(true).create_new(true).open(&files.transcript)?;
        let name = record.caller_name.as_deref().unwrap_or_default();
        writeln!(transcript, "{}  {} {}", record.started_at.format("%Y-%m-%d %H:%M:%S"), record.caller, name)?;
        record.save(&files.record)?;
        Ok(Self { files, record, input, output, transcript, unsynced: 0 })
    }

    pub fn files(&self) -> &CallFiles {
        &self.files
    }

    /// Takes the sound of both sides, of the same length. A process killed after it leaves files that play; every second
    /// the disk itself has them.
    fn audio(&mut self, received: &[i16], sent: &[i16]) -> io::Result<()> {
        let (input, output) = (self.input.append(received), self.output.append(sent));
        if input.is_err() || output.is_err() {
            self.record.lost_samples += received.len() as u64;
        }
        self.unsynced = (self.unsynced + 1) % SYNC_EVERY;
        let on_disk = match self.unsynced {
            0 => self.input.sync().and(self.output.sync()),
            _ => self.input.flush().and(self.output.flush()),
        };
        input.and(output).and(on_disk)
    }

    fn turn(&mut self, turn: TurnRecord) -> io::Result<()> {
        let text = transcript_lines(&turn);
        self.record.turns.push(turn);
        self.transcript.write_all(text.as_bytes())?;
        self.transcript.sync_data()?;
        self.save()
    }

    fn save(&mut self) -> io::Result<()> {
        self.record.recorded_s = self.input.samples() as f64 / f64::from(SAMPLE_RATE_HZ);
        self.record.save(&self.files.record)
    }

    fn finish(&mut self, ended_by: EndedBy, ended_at: DateTime<Local>) -> io::Result<()> {
        self.record.status = Status::Completed;
        self.record.ended_by = Some(ended_by);
        self.record.ended_at = Some(ended_at);
        let message = self.record.message.as_ref().map(message_lines).unwrap_or_default();
        self.transcript.write_all(message.as_bytes()).and(self.save())?;
        // The system writes what a stopping program leaves; only a power cut would need the wait for the disk.
        if ended_by == EndedBy::Shutdown {
            return Ok(());
        }
        self.input.sync().and(self.output.sync()).and(self.transcript.sync_data())
    }
}

fn transcript_lines(turn: &TurnRecord) -> String {
    let (caller, secretary, cut) = match turn.language {
        Language::Ru => ("Абонент", "Секретарь", "[прервано]"),
        Language::En => ("Caller", "Secretary", "[interrupted]"),
    };
    let minutes = (turn.started_s / 60.0).floor();
    let time = format!("[{minutes:02}:{:04.1}]", turn.started_s - minutes * 60.0);
    let mut lines = String::new();
    if !turn.caller_text.is_empty() {
        lines.push_str(&format!("{time} {caller}: {}\n", turn.caller_text));
    }
    if !turn.secretary_text.is_empty() {
        let cut = if turn.heard_text == turn.secretary_text { String::new() } else { format!(" {cut}") };
        lines.push_str(&format!("{time} {secretary}: {}{cut}\n", turn.heard_text));
    }
    lines
}

fn message_lines(message: &Message) -> String {
    let field = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
    format!(
        "\nСообщение / Message\n  Имя / Name: {}\n  Номер / Number: {}\n  Вопрос / Matter: {}\n",
        field(&message.name),
        field(&message.number),
        field(&message.matter)
    )
}

/// Something to write.
#[derive(Debug)]
pub enum LogItem {
    /// Sound of both sides, of the same length.
    Audio {
        received: Vec<i16>,
        sent: Vec<i16>,
    },
    /// So many samples of both sides are missing.
    Gap {
        samples: u64,
    },
    Turn(TurnRecord),
    Message(Message),
    Finish {
        by: EndedBy,
        at: DateTime<Local>,
    },
}

/// The thread that writes one call's files. Dropped or finished, it writes what it has and ends.
#[derive(Debug)]
pub struct LogWriter {
    queue: SyncSender<LogItem>,
    /// Samples that found the queue full: they come as silence before the next ones.
    dropped: usize,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(log: CallLog) -> io::Result<Self> {
        let (queue, items) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("call-log".to_owned()).spawn(move || write(log, &items))?;
        Ok(Self { queue, dropped: 0, thread })
    }

    /// Hands sound over without waiting. When the disk is a minute behind, sound becomes silence and is counted.
    pub fn audio(&mut self, mut received: Vec<i16>, mut sent: Vec<i16>) {
        let samples = received.len();
        if self.dropped > 0 {
            received.splice(..0, std::iter::repeat_n(0, self.dropped));
            sent.splice(..0, std::iter::repeat_n(0, self.dropped));
        }
        match self.queue.try_send(LogItem::Audio { received, sent }) {
            Ok(()) => self.dropped = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.dropped == 0 {
                    tracing::error!("the call log's disk is too slow: sound is being lost");
                }
                self.dropped += samples;
            }
        }
    }

    /// Hands over something that must not be lost; waits when the disk is behind. Not for the async executor's threads
    /// when the queue may be full: an item a turn does not fill it.
    pub fn item(&self, item: LogItem) {
        if self.queue.send(item).is_err() {
            tracing::error!("the call log's thread is gone: a turn is lost");
        }
    }

    /// Waits until all is on disk.
    pub fn finish(self, by: EndedBy, at: DateTime<Local>) {
        self.item(LogItem::Finish { by, at });
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the call log's thread panicked");
        }
    }
}

fn write(mut log: CallLog, items: &Receiver<LogItem>) {
    let mut alarm = Alarm::default();
    for item in items {
        alarm.look(match item {
            LogItem::Audio { received, sent } => log.audio(&received, &sent),
            LogItem::Gap { samples } => {
                log.record.lost_samples += samples;
                log.input.skip(samples);
                log.output.skip(samples);
                Ok(())
            }
            LogItem::Turn(turn) => log.turn(turn),
            LogItem::Message(message) => {
                log.record.message = Some(message);
                log.save()
            }
            LogItem::Finish { by, at } => log.finish(by, at),
        });
    }
}

/// A full disk is said once, and so is its end: the call goes on.
#[derive(Debug, Default)]
enum Alarm {
    #[default]
    Quiet,
    Ringing,
}

impl Alarm {
    fn look(&mut self, result: io::Result<()>) {
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
    use crate::call::timeline::Latency;
    use crate::log::Direction;

    pub(crate) fn record() -> CallRecord {
        CallRecord {
            status: Status::InProgress,
            direction: Direction::Incoming,
            caller: "sip:101@pbx.example.com".to_owned(),
            caller_name: None,
            callee: "sip:200@pbx.example.com".to_owned(),
            account: None,
            sip_call_id: "a84b4c76e66710".to_owned(),
            codec: None,
            started_at: Local::now(),
            ended_at: None,
            ended_by: None,
            recorded_s: 0.0,
            lost_samples: 0,
            message: None,
            turns: Vec::new(),
        }
    }

    fn turn(caller_text: &str) -> TurnRecord {
        TurnRecord {
            number: 1,
            started_s: 65.2,
            language: Language::Ru,
            caller_text: caller_text.to_owned(),
            secretary_text: "Добрый день. Чем помочь?".to_owned(),
            heard_text: "Добрый день.".to_owned(),
            latency: Latency::default(),
        }
    }

    #[test]
    fn a_call_leaves_four_files_that_agree() {
        let dir = tempfile::tempdir().unwrap();
        let log = CallLog::create(dir.path(), record()).unwrap();
        let files = log.files().clone();
        let mut writer = LogWriter::start(log).unwrap();
        writer.audio(vec![1; 1_600], vec![2; 1_600]);
        writer.item(LogItem::Turn(turn("Алло")));
        writer.finish(EndedBy::Caller, Local::now());
        let samples = |path| hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect();
        let (input, output): (Vec<i16>, Vec<i16>) = (samples(&files.input), samples(&files.output));
        assert_eq!((input, output), (vec![1; 1_600], vec![2; 1_600]));
        let transcript = fs::read_to_string(&files.transcript).unwrap();
        assert!(transcript.contains("[01:05.2] Абонент: Алло"), "{transcript}");
        assert!(transcript.contains("Секретарь: Добрый день. [прервано]"), "{transcript}");
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&files.record).unwrap()).unwrap();
        assert_eq!(json["status"], "completed");
        assert_eq!(json["ended_by"], "caller");
        assert_eq!(json["recorded_s"], 0.2);
    }

    #[test]
    fn two_calls_in_one_second_do_not_collide() {
        let dir = tempfile::tempdir().unwrap();
        let record = record();
        let (a, b) =
            (CallLog::create(dir.path(), record.clone()).unwrap(), CallLog::create(dir.path(), record).unwrap());
        assert_ne!(a.files().input, b.files().input);
        assert!(b.files().input.to_string_lossy().ends_with("_2_input.wav"));
    }
}
