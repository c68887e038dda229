//! After a kill or a power cut: the calls that were under way are marked, and their files made whole.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::files::CallFiles;
use super::record::{Status, replace};
use super::wav::WavFile;

/// The rate of sound whose header is gone.
const USUAL_HZ: u32 = 8_000;

/// Mends every call in `dir` whose record says that it is in progress, or says nothing that can be read: it is kept as
/// `…_record.json.damaged`. Nothing else may be writing there. Returns how many there were.
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
    let bytes = fs::read(&files.record)?;
    let (mut record, damaged) = match serde_json::from_slice(&bytes) {
        Ok(record @ Value::Object(_)) => (record, false),
        Ok(_) | Err(_) => (json!({ "status": Status::InProgress, "turns": [] }), true),
    };
    if record["status"] != json!(Status::InProgress) {
        return Ok(Mended::NotNeeded);
    }
    let seconds = mend_sound(files)?;
    if damaged {
        let mut aside = files.record.as_os_str().to_owned();
        aside.push(".damaged");
        replace(aside.as_ref(), &bytes)?;
    }
    record["status"] = json!(Status::Interrupted);
    record["recorded_s"] = seconds.into();
    let mut json = serde_json::to_vec_pretty(&record)?;
    json.push(b'\n');
    replace(&files.record, &json)?;
    Ok(Mended::Yes)
}

/// Renews both headers; the shorter side gets silence at its end. Returns the seconds of each.
fn mend_sound(files: &CallFiles) -> io::Result<f64> {
    let open = |path, usual_hz| match WavFile::reopen(path, usual_hz) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => WavFile::create(path, usual_hz),
        result => result,
    };
    let mut input = open(&files.input, USUAL_HZ)?;
    let mut output = open(&files.output, input.rate_hz())?;
    let samples = input.samples().max(output.samples());
    for wav in [&mut input, &mut output] {
        wav.skip(samples - wav.samples());
        wav.sync()?;
    }
    Ok(samples as f64 / f64::from(input.rate_hz()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_call_plays_and_says_that_it_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let files = CallFiles::of(dir.path(), "call_20260102_030405");
        let mut input = WavFile::create(&files.input, USUAL_HZ).unwrap();
        input.append(&[7; 400]).unwrap();
        let mut output = WavFile::create(&files.output, USUAL_HZ).unwrap();
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
    fn a_record_that_a_power_cut_spoiled_is_put_aside_and_the_sound_plays() {
        for spoiled in ["", "\0\0\0\0", r#"{"status":"in_pro"#, "[]"] {
            let dir = tempfile::tempdir().unwrap();
            let files = CallFiles::of(dir.path(), "call_20260102_030405");
            let mut input = WavFile::create(&files.input, USUAL_HZ).unwrap();
            // The header was not renewed.
            input.append(&[7; 800]).unwrap();
            fs::write(&files.record, spoiled).unwrap();

            assert_eq!(recover(dir.path()).unwrap(), 1, "{spoiled:?}");
            let length = |path| hound::WavReader::open(path).unwrap().duration();
            assert_eq!((length(&files.input), length(&files.output)), (800, 800));
            let record: Value = serde_json::from_slice(&fs::read(&files.record).unwrap()).unwrap();
            assert_eq!(record, json!({ "status": "interrupted", "turns": [], "recorded_s": 0.1 }));
            let aside = dir.path().join("call_20260102_030405_record.json.damaged");
            assert_eq!(fs::read_to_string(aside).unwrap(), spoiled);
            assert_eq!(recover(dir.path()).unwrap(), 0, "once is enough");
        }
    }

    #[test]
    fn an_empty_folder_and_none_at_all_are_fine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recover(dir.path()).unwrap(), 0);
        assert_eq!(recover(&dir.path().join("none")).unwrap(), 0);
    }
}
