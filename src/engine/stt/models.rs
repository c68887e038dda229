//! The sizes that Whisper comes in, by the names under which whisper.cpp publishes them.

use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error as _};

/// Multilingual models at huggingface.co/ggerganov/whisper.cpp, plain and quantised; models/manifest.toml has them all.
pub const NAMES: [&str; 17] = [
    "tiny",
    "tiny-q5_1",
    "tiny-q8_0",
    "base",
    "base-q5_1",
    "base-q8_0",
    "small",
    "small-q5_1",
    "small-q8_0",
    "medium",
    "medium-q5_0",
    "medium-q8_0",
    "large-v3",
    "large-v3-q5_0",
    "large-v3-turbo",
    "large-v3-turbo-q5_0",
    "large-v3-turbo-q8_0",
];

/// The file of a named model.
fn file(name: &str) -> String {
    format!("ggml-{name}.bin")
}

/// `model` in the configuration: one of [`NAMES`], or a path: to a file that ends in `.bin`, or with a `/` in it to any file
/// or folder.
pub fn by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let model = String::deserialize(deserializer)?;
    if NAMES.contains(&model.as_str()) {
        return Ok(file(&model).into());
    }
    if model.ends_with(".bin") || model.contains('/') {
        return Ok(model.into());
    }
    let message = format!(
        "no model is called {model:?}: take one of {}, a path to a .bin file, or the folder of a bundle with a / (\"{model}/\")",
        NAMES.join(", ")
    );
    Err(D::Error::custom(message))
}

/// What to do when the file is not there or is damaged.
pub fn remedy(path: &Path) -> String {
    let name = NAMES.iter().find(|name| path.file_name().is_some_and(|of| of.to_string_lossy() == file(name)));
    name.map_or_else(
        || "put a Whisper model in whisper.cpp's format there".into(),
        |name| format!("fetch it: python3 models/fetch.py {name}"),
    )
}
