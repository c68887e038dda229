//! How good speech still is: PESQ (ITU-T P.862.1, narrow band), by the PyPI package of that name. Needs Python 3 with a C
//! compiler, and PyPI the first time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Of each pair of WAVs (8 kHz, mono, 16 bits), what was sent and what was heard, the score: 1.0 to 4.5. What was heard may
/// begin before and go on after it.
pub fn judge(pairs: &[(PathBuf, PathBuf)]) -> Vec<f64> {
    let mut command = Command::new(python());
    command.arg("-c").arg(include_str!("pesq.py"));
    for (sent, heard) in pairs {
        command.arg(sent).arg(heard);
    }
    let output = command.output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(|score| score.parse().expect("a score")).collect()
}

/// A Python with `pesq`.
fn python() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pesq");
    let python = environment.join("bin/python");
    let run = |command: &mut Command| assert!(command.status().expect("python3").success(), "{command:?}");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "pesq==0.0.4", "numpy"]));
    python
}
