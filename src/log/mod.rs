//! The call log: four files a call in `calls_log/`, of one name `call_YYYYMMDD_HHMMSS`:
//! `…_input.wav` (the caller) and `…_output.wav` (the secretary), both of the same length so that sample n of both is the
//! same instant; `…_transcript.txt` for people; `…_record.json` for programs.
//!
//! All of it is on disk at most a second after it happened. [`recovery`] mends what a killed process left.
//!
//! Left out: retention, redaction, an index.

mod disk;
mod files;
pub mod record;
pub mod recovery;
mod transcript;
pub mod wav;
mod writer;

pub use disk::Disk;
pub use files::{CallLog, LogItem};
pub use record::{CallRecord, Direction, Notified, Status};
pub use writer::{Desk, LogWriter};
