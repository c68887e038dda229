//! The files of one call, and what is written to them. A disk that refuses costs what it refused and nothing else: sound
//! keeps its place, and the transcript is made whole from the record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};

use super::record::{CallRecord, Notified, Status, replace};
use super::transcript;
use super::wav::WavFile;
use crate::call::{EndedBy, TurnRecord};
use crate::engine::dialog::Message;
use crate::rtp::quality::Quality;

/// Calls of one second that find a name of their own.
const MAX_CALLS_A_SECOND: u32 = 1_000;

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
    Turn(Box<TurnRecord>),
    Message(Box<Message>),
    Notified(Notified),
    /// The call goes on with somebody else, at this SIP URI.
    Moved(String),
    /// How well both could be heard: written with the end of the call, which follows.
    Quality(Quality),
    Finish {
        by: EndedBy,
        at: DateTime<Local>,
    },
}

/// The files of one call.
#[derive(Debug)]
pub struct CallLog {
    files: CallFiles,
    record: CallRecord,
    input: WavFile,
    output: WavFile,
    transcript: File,
    /// Whether the disk took everything that was written to the transcript.
    transcript_whole: bool,
}

impl CallLog {
    /// Makes the four files; sound is at `rate_hz`. The second call of a second gets `_2` behind the time, and so on.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(dir: &Path, record: CallRecord, rate_hz: u32) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let time = record.started_at.format("call_%Y%m%d_%H%M%S");
        for n in 1..=MAX_CALLS_A_SECOND {
            let name = if n == 1 { time.to_string() } else { format!("{time}_{n}") };
            let files = CallFiles::of(dir, &name);
            match WavFile::create(&files.input, rate_hz) {
                Ok(input) => return Self::open(files, input, record),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("over {MAX_CALLS_A_SECOND} calls in one second")))
    }

    fn open(files: CallFiles, input: WavFile, record: CallRecord) -> io::Result<Self> {
        let output = WavFile::create(&files.output, input.rate_hz())?;
        let mut transcript = OpenOptions::new().append(true).create_new(true).open(&files.transcript)?;
        transcript.write_all(transcript::header(&record).as_bytes())?;
        record.save(&files.record)?;
        Ok(Self { files, record, input, output, transcript, transcript_whole: true })
    }

    pub fn files(&self) -> &CallFiles {
        &self.files
    }

    /// # Errors
    /// When the disk refuses any of it. What can be written is written all the same.
    pub(super) fn write(&mut self, item: LogItem) -> io::Result<()> {
        match item {
            LogItem::Audio { received, sent } => self.audio(&received, &sent),
            LogItem::Gap { samples } => self.gap(samples),
            LogItem::Turn(turn) => self.turn(*turn),
            LogItem::Message(message) => {
                self.record.message = Some(*message);
                self.save()
            }
            LogItem::Notified(notified) => {
                self.record.notified = Some(notified);
                self.save()
            }
            LogItem::Moved(with) => {
                self.record.moved_to.push(with);
                self.save()
            }
            LogItem::Quality(quality) => {
                self.record.quality = Some(quality);
                Ok(())
            }
            LogItem::Finish { by, at } => self.finish(by, at),
        }
    }

    /// Takes the sound of both sides, of the same length. A process killed after it leaves files that play.
    fn audio(&mut self, received: &[i16], sent: &[i16]) -> io::Result<()> {
        let (input, output) = (self.input.append(received), self.output.append(sent));
        if input.is_err() || output.is_err() {
            self.record.lost_samples += received.len() as u64;
        }
        let playable = self.input.flush().and(self.output.flush());
        input.and(output).and(playable)
    }

    fn gap(&mut self, samples: u64) -> io::Result<()> {
        self.record.lost_samples += samples;
        self.input.skip(samples);
        self.output.skip(samples);
        self.input.flush().and(self.output.flush())
    }

    fn turn(&mut self, turn: TurnRecord) -> io::Result<()> {
        let lines = transcript::turn(&turn);
        self.record.turns.push(turn);
        let written = self.append(&lines);
        self.transcript_whole = written.is_ok();
        written.and(self.save())
    }

    /// Adds the newest lines to the transcript. One that misses some is written anew, from the record, which has them.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.transcript_whole {
            return self.transcript.write_all(lines.as_bytes());
        }
        let turns = self.record.turns.iter().map(transcript::turn);
        let message = match (self.record.status, &self.record.message) {
            (Status::Completed, Some(message)) => transcript::message(message),
            _ => String::new(),
        };
        let whole: String = [transcript::header(&self.record)].into_iter().chain(turns).chain([message]).collect();
        replace(&self.files.transcript, whole.as_bytes())?;
        self.transcript = OpenOptions::new().append(true).open(&self.files.transcript)?;
        Ok(())
    }

    fn save(&mut self) -> io::Result<()> {
        self.record.recorded_s = self.input.samples() as f64 / f64::from(self.input.rate_hz());
        self.record.save(&self.files.record)
    }

    fn finish(&mut self, ended_by: EndedBy, ended_at: DateTime<Local>) -> io::Result<()> {
        self.record.status = Status::Completed;
        self.record.ended_by = Some(ended_by);
        self.record.ended_at = Some(ended_at);
        let message = self.record.message.as_ref().map(transcript::message).unwrap_or_default();
        self.append(&message).and(self.save())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::call::timeline::Latency;
    use crate::engine::Language;
    use crate::log::Direction;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    pub fn record() -> CallRecord {
        CallRecord {
            status: Status::InProgress,
            direction: Direction::Incoming,
            caller: "sip:101@pbx.example.com".to_owned(),
            caller_number: Some("101".to_owned()),
            caller_name: None,
            callee: "sip:200@pbx.example.com".to_owned(),
            called: "200".to_owned(),
            diverted_from: None,
            account: None,
            sip_call_id: "a84b4c76e66710".to_owned(),
            codec: None,
            started_at: Local::now(),
            ended_at: None,
            ended_by: None,
            recorded_s: 0.0,
            lost_samples: 0,
            message: None,
            notified: None,
            moved_to: Vec::new(),
            quality: None,
            turns: Vec::new(),
        }
    }

    pub fn turn(caller_text: &str) -> TurnRecord {
        TurnRecord {
            number: 1,
            started_s: 65.2,
            language: Language::Ru,
            caller_text: caller_text.to_owned(),
            keys: String::new(),
            secretary_text: "Добрый день. Чем помочь?".to_owned(),
            heard_text: "Добрый день.".to_owned(),
            machine: None,
            turn_end: None,
            latency: Latency::default(),
        }
    }

    pub fn sound(path: &Path) -> Vec<i16> {
        hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
    }

    pub fn json(files: &CallFiles) -> serde_json::Value {
        serde_json::from_slice(&fs::read(&files.record).unwrap()).unwrap()
    }

    /// A disk of 128 KiB, in a namespace of its own that ends with the process that holds it.
    struct SmallDisk {
        holder: Child,
        dir: PathBuf,
    }

    impl SmallDisk {
        fn new() -> Self {
            let mount = "mount -t tmpfs -o size=128k tmpfs /mnt && echo mounted && read _";
            let mut unshare = Command::new("unshare");
            unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", mount]);
            let mut holder = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the unshare program");
            let mut line = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "mounted\n", "a tmpfs in a namespace");
            let dir = PathBuf::from(format!("/proc/{}/root/mnt", holder.id()));
            Self { holder, dir }
        }

        /// Takes all the room there is. Given back by removing the file.
        fn fill(&self) -> PathBuf {
            let path = self.dir.join("ballast");
            let error = io::copy(&mut io::repeat(1), &mut File::create(&path).unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            path
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            drop(self.holder.stdin.take());
            self.holder.wait().unwrap();
        }
    }

    #[test]
    fn two_calls_in_one_second_do_not_collide() {
        let dir = tempfile::tempdir().unwrap();
        let record = record();
        let (a, b) = (
            CallLog::create(dir.path(), record.clone(), 8_000).unwrap(),
            CallLog::create(dir.path(), record, 8_000).unwrap(),
        );
        assert_ne!(a.files().input, b.files().input);
        assert!(b.files().input.to_string_lossy().ends_with("_2_input.wav"));
    }

    #[test]
    fn a_disk_that_is_full_for_a_while_costs_only_the_sound_of_that_while() {
        let disk = SmallDisk::new();
        let mut log = CallLog::create(&disk.dir, record(), 8_000).unwrap();
        let files = log.files().clone();
        let audio = |n: i16| LogItem::Audio { received: vec![n; 1_600], sent: vec![-n; 1_600] };
        log.write(audio(1)).unwrap();
        log.write(LogItem::Turn(turn("Алло").into())).unwrap();

        let ballast = disk.fill();
        // The last page of a file, 4 KiB, has room for some of it, so that the transcript ends in half a turn.
        let refused: Vec<bool> = (2..10).map(|n| log.write(audio(n)).is_err()).collect();
        assert!(refused.ends_with(&[true; 5]), "{refused:?}");
        for n in 0..20 {
            let question = format!("Вопрос {n}: {}", "а".repeat(200));
            assert!(log.write(LogItem::Turn(turn(&question).into())).is_err(), "its record is refused");
        }
        let misses = |text: &str| !fs::read_to_string(&files.transcript).unwrap_or_default().contains(text);
        assert!(misses("Вопрос 19"), "the disk is not full");
        assert_eq!(json(&files)["turns"].as_array().map(Vec::len), Some(1), "the old record stands");

        fs::remove_file(ballast).unwrap();
        log.write(audio(10)).unwrap();
        log.write(LogItem::Message(Message { name: Some("Иван".to_owned()), ..Message::default() }.into())).unwrap();
        log.write(LogItem::Finish { by: EndedBy::Caller, at: Local::now() }).unwrap();

        let lost = refused.iter().filter(|refused| **refused).count();
        let record = json(&files);
        assert_eq!(record["lost_samples"], lost * 1_600);
        assert_eq!(record["recorded_s"], 2.0);
        let (input, output) = (sound(&files.input), sound(&files.output));
        assert_eq!((input.len(), output.len()), (16_000, 16_000));
        for (side, sign) in [(&input, 1), (&output, -1)] {
            assert_eq!((&side[..1_600], &side[14_400..]), (&[sign; 1_600][..], &[10 * sign; 1_600][..]));
            let in_place = side.iter().zip(0..).all(|(&s, at)| s == 0 || s == sign * (at / 1_600 + 1));
            assert!(in_place, "what is there is where it belongs");
        }
        assert!(input[12_800..14_400].iter().all(|&s| s == 0), "what was refused is silence");
        let whole: String = [transcript::header(&log.record)]
            .into_iter()
            .chain(log.record.turns.iter().map(transcript::turn))
            .chain(log.record.message.as_ref().map(transcript::message))
            .collect();
        assert_eq!(fs::read_to_string(&files.transcript).unwrap(), whole);
        assert!(whole.contains("Вопрос 19") && whole.contains("Иван"), "{whole}");
        assert_eq!(record["turns"].as_array().unwrap().len(), log.record.turns.len());
    }
}
