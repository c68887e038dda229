//! What a call was, for programs: `…_record.json`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Local};
use serde::{Deserialize, Serialize};

use crate::call::{EndedBy, TurnRecord};
use crate::engine::dialog::Message;
use crate::rtp::quality::Quality;

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

/// What became of the text to the owner's telephone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Notified {
    Sent,
    /// Why it was not delivered.
    Failed(String),
}

/// The whole record; renewed on disk after each turn.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    pub status: Status,
    pub direction: Direction,
    /// The caller's SIP URI.
    pub caller: String,
    /// As the rules of the account read it (`+7…`); absent when it is withheld.
    pub caller_number: Option<String>,
    /// The name that the caller's telephone shows.
    pub caller_name: Option<String>,
    /// The SIP URI that was called.
    pub callee: String,
    /// The number that was called, as the rules of the account read it.
    pub called: String,
    /// Who has sent the call on to us.
    pub diverted_from: Option<String>,
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
    /// Samples of each side that are silence because the disk refused them or was too slow, or the machine was; 0 is
    /// what one wants to see.
    pub lost_samples: u64,
    /// The message that the secretary took.
    pub message: Option<Message>,
    /// Whether the owner's telephone was told; absent when nobody is to be.
    pub notified: Option<Notified>,
    /// The SIP URIs of those with whom the call went on.
    pub moved_to: Vec<String>,
    /// How well both could be heard; absent until the call is over.
    pub quality: Option<Quality>,
    pub turns: Vec<TurnRecord>,
}

impl CallRecord {
    /// Replaces the file in one step, so that neither a reader nor a power cut finds half of it.
    ///
    /// # Errors
    /// When the disk refuses; the old file stands then.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        replace(path, &json)
    }
}

/// Puts a file in the place of another in one step. The disk has it before it takes the name: some file systems keep a
/// new name over a power cut, but not what was written under it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = File::create(&new).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()));
    let replaced = written.and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        // On a full disk half a file is in the way of the next attempt. If it cannot be removed, that overwrites it.
        let _ = fs::remove_file(&new);
    }
    replaced
}
