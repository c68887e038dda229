//! A model on disk: a folder with a manifest.toml that tells what its files are, with their checksums, and what its graphs
//! see and answer. What else a manifest says is told by whoever runs the model.

pub mod interface;

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The file by which a folder is known for a bundle.
pub const MANIFEST: &str = "manifest.toml";

/// A file of the bundle, by its path in the folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub file: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

/// Whether it names a file in the bundle's own folder.
pub fn is_inside(file: &Path) -> bool {
    file.components().all(|part| matches!(part, Component::Normal(_))) && file.file_name().is_some()
}

/// # Errors
/// With the file's name.
pub fn read(folder: &Path, file: &Path) -> Result<String, String> {
    fs::read_to_string(folder.join(file)).map_err(|error| format!("{}: {error}", file.display()))
}

/// Holds a file to its checksum.
///
/// # Errors
/// When it cannot be read, or is another one.
pub fn verify(folder: &Path, file: &Path, expected: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(folder.join(file)).map_err(failed)?, &mut hash).map_err(failed)?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match found == expected.to_lowercase() {
        true => Ok(()),
        false => Err(format!("{} has the sha256 {found}, {MANIFEST} says {expected}", file.display())),
    }
}
