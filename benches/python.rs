//! Programs in Python that ours are measured beside: each with an environment of its own, kept in $SECRETARY_CACHE (default
//! ~/.cache/secretary).

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The Python of an environment with the packages of `benches/NAME/requirements.txt`.
pub fn environment(name: &str) -> PathBuf {
    let environment = cache(name).join("python");
    let python = environment.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(ours(name, "requirements.txt")));
    python
}

/// A file of a bench.
pub fn ours(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name).join(file)
}

/// Where a bench keeps what it has fetched and built.
pub fn cache(name: &str) -> PathBuf {
    let user = || env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")));
    let ours = env::var_os("SECRETARY_CACHE").map(PathBuf::from);
    ours.or_else(|| Some(user()?.join("secretary"))).expect("a home").join(name)
}

/// Its words go to standard error: standard output is for the tables.
pub fn run(command: &mut Command) {
    let status = command.stdout(std::io::stderr()).status();
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{command:?}: {status:?}");
}
