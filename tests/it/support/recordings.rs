//! The recordings by which recognition is judged, with what is said in them.

use std::path::Path;

use secretary::engine::Language;

/// A recording by which recognition is judged.
pub struct Recording {
    pub file: String,
    /// `None`: nobody speaks.
    pub language: Option<Language>,
    pub category: String,
    /// Where speech begins and ends, in seconds; not known of all.
    pub speech_s: Option<(f32, f32)>,
    pub text: String,
}

/// All recordings of `tests/data/speech/manifest.tsv`.
pub fn manifest() -> Vec<Recording> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/manifest.tsv");
    let lines = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let recording = |line: &str| {
        let [file, language, category, start_s, end_s, _, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{}: {line}", path.display())
        };
        let language = match language {
            "ru" => Some(Language::Ru),
            "en" => Some(Language::En),
            _ => None,
        };
        let speech_s = start_s.parse().ok().zip(end_s.parse().ok());
        Recording { file: file.into(), language, category: category.into(), speech_s, text: text.into() }
    };
    lines.lines().skip(1).map(recording).collect()
}
