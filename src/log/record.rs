//! What a call was, for programs: `…_record.json`.

use std::fs;
use std::io;
use std::path::Path;

use chrono::{DateTime, Local};
use serde::{Deserialize, Serialize};

use crate::call::{EndedBy, TurnRecord};
use crate::engine::dialog::Message;

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InProgress,
    Completed,
    /// The program was killed during the call.
    Interrupted,
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Incoming,
}

/// The whole record; renewed on disk after each turn.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    pub status: Status,
    pub direction: Direction,
    /// The caller's SIP URI.
    pub caller: String,
    /// The name that the caller's telephone shows.
    pub caller_name: Option<String>,
    /// The SIP URI that was called.
    pub callee: String,
    /// The account that the call came over; absent for a direct call.
    pub account: Option<String>,
    /// The SIP Call-ID.
    pub sip_call_id: String,
    pub codec: Option<String>,
    pub started_at: DateTime<Local>,
    pub ended_at: Option<DateTime<Local>>,
    pub ended_by: Option<EndedBy>,
    /// The length of both WAV files in seconds.
    pub recorded_s: f64,
    /// Samples of either side that the disk refused or that were too many at once; 0 is what one wants to see.
    pub lost_samples: u64,
    /// The message that the secretary took.
    pub message: Option<Message>,
    pub turns: Vec<TurnRecord>,
}

impl CallRecord {
    /// Replaces the file in one step, so that a reader never finds half of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        replace(path, &json)
    }
}

pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("json.new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}
