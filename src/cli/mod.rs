//! The subcommands: one file each, a few lines around the library.

pub mod call;
mod certificate;
pub mod chat;
pub mod check;
pub mod serve;
pub mod speak;
pub mod transcribe;
pub mod voices;
mod wav;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{Config, ConfigError, Secrets};

/// Prints a line. When nobody reads any more (`… | head`), the command has nothing left to do.
fn say(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// The option that every command with a configuration has.
#[derive(Debug, clap::Args)]
pub struct ConfigArg {
    /// The configuration; secretary.toml here unless told otherwise, and the built-in one where there is none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArg {
    fn load(&self) -> Result<(Config, Secrets), ConfigError> {
        Ok((Config::load(self.config.as_deref())?, Secrets::load()?))
    }
}
