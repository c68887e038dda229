//! After a kill or a power cut: the calls that were under way are marked, and their files made whole.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::record::{Status, replace};
use super::wav::WavFile;
use super::writer::CallFiles;
use crate::call::ears::SAMPLE_RATE_HZ;

/// Mends every call in `dir` whose record says that it is in progress. Nothing else may be writing there. Returns how
/// many there were.
///
/// # Errors
/// When the folder cannot be read. A single call that cannot be mended is logged and left.
pub fn recover(dir: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut mended = 0;
    for entry in entries {
        let file = entry?.file_name();
        let Some(name) = file.to_str().and_then(|f| f.strip_suffix("_record.json")) else { continue };
        match recover_call(&CallFiles::of(dir, name)) {
            Ok(Mended::Yes) => mended += 1,
            Ok(Mended::NotNeeded) => {}
            Err(error) => tracing::warn!(call = name, %error, "an interrupted call could not be mended"),
        }
    }
    Ok(mended)
}

enum Mended {
    Yes,
    NotNeeded,
}

fn recover_call(files: &CallFiles) -> io::Result<Mended> {
    let mut record: Value = serde_json::from_slice(&fs::read(&files.record)?)?;
    if record["status"] != serde_json::to_value(Status::InProgress)? {
        return Ok(Mended::NotNeeded);
    }
    let samples = mend_sound(files)?;
    record["status"] = serde_json::to_value(Status::Interrupted)?;
    record["recorded_s"] = (samples as f64 / f64::from(SAMPLE_RATE_HZ)).into();
    let mut json = serde_json::to_vec_pretty(&record)?;
    json.push(b'\n');
    replace(&files.record, &json)?;
    Ok(Mended::Yes)
}

/// Renews both headers; the shorter side gets silence at its end. Returns the samples of each.
fn mend_sound(files: &CallFiles) -> io::Result<u64> {
    let open = |path| match WavFile::reopen(path, SAMPLE_RATE_HZ) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => WavFile::create(path, SAMPLE_RATE_HZ),
        result => result,
    };
    let (mut input, mut output) = (open(&files.input)?, open(&files.output)?);
    let samples = input.samples().max(output.samples());
    for wav in [&mut input, &mut output] {
        wav.skip(samples - wav.samples());
        wav.sync()?;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_call_plays_and_says_that_it_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let files = CallFiles::of(dir.path(), "call_20260102_030405");
        let mut input = WavFile::create(&files.input, SAMPLE_RATE_HZ).unwrap();
        input.append(&[7; 400]).unwrap();
        let mut output = WavFile::create(&files.output, SAMPLE_RATE_HZ).unwrap();
        output.append(&[8; 300]).unwrap();
        fs::write(&files.record, r#"{"status":"in_progress","turns":[{"number":0}]}"#).unwrap();

        assert_eq!(recover(dir.path()).unwrap(), 1);
        let read =
            |path| hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(read(&files.input), [7; 400]);
        assert_eq!(read(&files.output), [vec![8; 300], vec![0; 100]].concat());
        let record: Value = serde_json::from_slice(&fs::read(&files.record).unwrap()).unwrap();
        assert_eq!((&record["status"], &record["turns"][0]["number"]), (&"interrupted".into(), &0.into()));
        assert_eq!(recover(dir.path()).unwrap(), 0, "once is enough");
    }

    #[test]
    fn an_empty_folder_and_none_at_all_are_fine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recover(dir.path()).unwrap(), 0);
        assert_eq!(recover(&dir.path().join("none")).unwrap(), 0);
    }
}
