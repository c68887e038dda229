//! A WAV file that can be played at every moment of its life: mono, 16 bits, its header renewed at each flush.
//!
//! Left out: everything that a reader needs; `hound` reads.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER_BYTES: u64 = 44;
const BYTES_PER_SAMPLE: u64 = 2;
/// Where the header has the rate.
const RATE_AT: u64 = 24;

/// Writes one file. A sample has its place by its number, so that one that could not be written (full disk) leaves
/// silence and moves nothing.
#[derive(Debug)]
pub struct WavFile {
    file: File,
    rate_hz: u32,
    samples: u64,
    /// How long the file is in bytes, as far as we made it so.
    length: u64,
}

impl WavFile {
    /// # Errors
    /// When the file exists already or cannot be made.
    pub fn create(path: &Path, rate_hz: u32) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut wav = Self { file, rate_hz, samples: 0, length: 0 };
        wav.flush()?;
        Ok(wav)
    }

    /// Opens a file that a killed process left, and takes its length from its size and its rate from its header; from
    /// `usual_hz` if there is none.
    pub(super) fn reopen(path: &Path, usual_hz: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let mut rate = [0; 4];
        let rate_hz = match file.read_exact_at(&mut rate, RATE_AT).map(|()| u32::from_le_bytes(rate)) {
            Ok(rate_hz @ 1..) => rate_hz,
            Ok(0) | Err(_) => usual_hz,
        };
        Ok(Self { file, rate_hz, samples: length.saturating_sub(HEADER_BYTES) / BYTES_PER_SAMPLE, length })
    }

    pub fn samples(&self) -> u64 {
        self.samples
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Appends samples. After an error they count as silence.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, pcm: &[i16]) -> io::Result<()> {
        let bytes: Vec<u8> = pcm.iter().flat_map(|s| s.to_le_bytes()).collect();
        let at = HEADER_BYTES + self.samples * BYTES_PER_SAMPLE;
        self.samples += pcm.len() as u64;
        self.file.write_all_at(&bytes, at)?;
        self.length = at + bytes.len() as u64;
        Ok(())
    }

    /// Leaves out so many samples, which are silence then.
    pub(super) fn skip(&mut self, samples: u64) {
        self.samples += samples;
    }

    /// Writes the header for what is there, and the silence that writing has left out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&mut self) -> io::Result<()> {
        let data_bytes = self.samples * BYTES_PER_SAMPLE;
        let length = HEADER_BYTES + data_bytes;
        if self.length != length {
            self.file.set_len(length)?;
            self.length = length;
        }
        self.file.write_all_at(&header(self.rate_hz, data_bytes), 0)
    }

    /// Flushes, and waits until the disk has it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()
    }
}

/// RIFF/WAVE, PCM, one channel, 16 bits (Microsoft's Multimedia Programming Interface 1.0). A file over 4 GiB, which is
/// three days, keeps the largest length that the header can say.
fn header(rate_hz: u32, data_bytes: u64) -> [u8; HEADER_BYTES as usize] {
    let data = u32::try_from(data_bytes).unwrap_or(u32::MAX - 36);
    let mut header = [0; HEADER_BYTES as usize];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &1u16.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &rate_hz.saturating_mul(2).to_le_bytes(),
        &2u16.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    for (to, from) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_plays_before_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let mut wav = WavFile::create(&path, 8_000).unwrap();
        wav.append(&[1, -2, 3]).unwrap();
        wav.flush().unwrap();
        wav.append(&[4]).unwrap();
        std::mem::forget(wav);
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.spec().sample_rate, 8_000);
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, -2, 3]);
    }

    #[test]
    fn two_calls_do_not_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        WavFile::create(&path, 8_000).unwrap();
        assert_eq!(WavFile::create(&path, 8_000).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
