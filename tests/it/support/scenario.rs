//! The scenarios of tests/data/sipp as sipp reads them, and what it counted. Included by `benches/sip.rs` as well.

use std::fs;
use std::path::{Path, PathBuf};

/// A scenario, ready for sipp.
pub fn text(scenario: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/sipp/{scenario}.xml"));
    expand(&fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Puts what most messages have in common in the place of the lines that begin with `@`; tests/data/sipp/README.md lists them.
fn expand(scenario: &str) -> String {
    const VIA: &str = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n";
    const FROM: &str = "From: <sip:sipp@[local_ip]:[local_port]>;tag=sipp[call_number]\n";
    const TO: &str = "To: <sip:[service]@[remote_ip]:[remote_port]>";
    const CONTACT: &str = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n";
    const CALL: &str = "Call-ID: [call_id]\n";
    const RETURNED: &str = "[last_Call-ID:]\n[last_CSeq:]\n";
    let mut descriptions = 0;
    let mut expanded = String::new();
    for line in scenario.lines() {
        let mut words = line.split_whitespace();
        expanded += &match words.next().unwrap_or_default() {
            "@new" => format!("{VIA}{FROM}{TO}\n{CALL}{CONTACT}"),
            "@same" => format!("Max-Forwards: 70\n{FROM}{TO}\n{CALL}{CONTACT}"),
            "@within" => format!("{VIA}{FROM}{TO}[peer_tag_param]\n{CALL}{CONTACT}"),
            "@back" => format!("{VIA}{FROM}To:[$peer]\n{CALL}{CONTACT}"),
            "@answer" => format!("[last_Via:]\n[last_From:]\n[last_To:];tag=sipp[call_number]\n{RETURNED}{CONTACT}"),
            "@reply" => format!("[last_Via:]\n[last_From:]\n[last_To:]\n{RETURNED}{CONTACT}"),
            "@sdp" => {
                descriptions += 1;
                let direction = words.next().expect("a direction");
                let address = words.next().unwrap_or("[media_ip]");
                format!(
                    "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\n\
                     o=- 1 {descriptions} IN IP4 [local_ip]\ns=-\nc=IN IP4 {address}\nt=0 0\n\
                     m=audio [media_port] RTP/AVP 8 0\na={direction}\n"
                )
            }
            "@empty" => "Content-Length: 0\n\n".to_owned(),
            word => {
                assert!(!word.starts_with('@'), "{word}: no such word");
                format!("{line}\n")
            }
        };
    }
    expanded
}

/// What sipp counted.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    pub successful: u64,
    pub failed: u64,
    pub retransmissions: u64,
    /// How often the last 200 of the scenario came: that to BYE, in a scenario of a call.
    pub completed: u64,
}

impl Statistics {
    /// Reads what sipp wrote into that folder with `-trace_stat -stf statistics.csv` and `-trace_counts`; zeros where there is
    /// nothing.
    pub fn read(dir: &Path) -> Self {
        let count = |name| last_value(&dir.join("statistics.csv"), |n| n == name).unwrap_or_default();
        let counts = file_ending(dir, "_counts.csv");
        let completed = counts.and_then(|file| last_value(&file, |name| name.ends_with("_200_Recv")));
        Self {
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmissions: count("Retransmissions(C)"),
            completed: completed.unwrap_or_default(),
        }
    }
}

/// The one file in a folder whose name ends so.
pub fn file_ending(dir: &Path, ending: &str) -> Option<PathBuf> {
    let files = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    files.into_iter().find(|file| file.to_string_lossy().ends_with(ending))
}

/// The number in the last line of a file with semicolons, in the last column whose name fits.
fn last_value(file: &Path, fits: impl Fn(&str) -> bool) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(';').collect();
    let place = names.into_iter().rposition(fits)?;
    lines.last()?.split(';').nth(place)?.parse().ok()
}
