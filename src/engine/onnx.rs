//! ONNX Runtime: loaded once from the shared library named in the configuration, and the sessions made with it.
//!
//! With the feature `cuda` the large models of a voice are computed on an NVIDIA card, if the library is one for it and a card
//! answers. Left out: other cards, and more than one.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::memory::AllocationDevice;
use ort::session::{RunOptions, Session};

use super::Cancel;

/// Why ONNX Runtime or a model did not load.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("{path}: no such file; run ./run.sh to fetch it", path = .0.display())]
    Missing(PathBuf),
    #[error("load ONNX Runtime from {path}: {reason}; run ./run.sh to fetch the tested version", path = .path.display())]
    Runtime { path: PathBuf, reason: String },
    #[error("load the model {path}: {reason}; if it is damaged, delete it and run ./run.sh", path = .path.display())]
    Model { path: PathBuf, reason: String },
}

/// The loaded runtime. Clones share it.
#[derive(Clone)]
pub struct OnnxRuntime(Environment);

/// A session and what it computes on.
pub struct Placed {
    pub session: Session,
    pub device: AllocationDevice<'static>,
}

impl From<Session> for Placed {
    fn from(session: Session) -> Self {
        Self { session, device: AllocationDevice::CPU }
    }
}

/// A process can load ONNX Runtime once; whoever asks again gets the same.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

impl OnnxRuntime {
    /// Loads `libonnxruntime.so` (1.24 or later). Once it is loaded, `library` is not looked at again.
    ///
    /// # Errors
    /// [`OnnxError::Missing`], or [`OnnxError::Runtime`] when the file is not a library of that version.
    pub fn load(library: &Path) -> Result<Self, OnnxError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        if !library.is_file() {
            return Err(OnnxError::Missing(library.to_owned()));
        }
        let failed = |reason: String| OnnxError::Runtime { path: library.to_owned(), reason };
        // The dynamic loader searches the system's folders for a bare name, and we mean this file.
        let absolute = library.canonicalize().map_err(|e| failed(e.to_string()))?;
        let builder = ort::init_from(&absolute).map_err(|e| failed(e.to_string()))?;
        let runtime = Self(builder.with_name("secretary").build().map_err(|e| failed(e.to_string()))?);
        // Its warnings are about graph optimisation and go to stderr past our log.
        runtime.0.set_log_level(LogLevel::Error);
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Loads a model that computes on `threads` threads, of which the caller's is one.
    ///
    /// # Errors
    /// [`OnnxError::Missing`], or [`OnnxError::Model`] when ONNX Runtime refuses the file.
    pub fn session(&self, model: &Path, threads: usize) -> Result<Session, OnnxError> {
        if !model.is_file() {
            return Err(OnnxError::Missing(model.to_owned()));
        }
        self.open(model, threads).map_err(|e| OnnxError::Model { path: model.to_owned(), reason: e.to_string() })
    }

    /// The same on a graphics card, where this program was built for one and one answers.
    ///
    /// # Errors
    /// Those of [`session`](Self::session).
    pub fn placed(&self, model: &Path, threads: usize) -> Result<Placed, OnnxError> {
        #[cfg(feature = "cuda")]
        match self.on_card(model) {
            Ok(session) => return Ok(Placed { session, device: AllocationDevice::CUDA }),
            Err(error) => {
                static TOLD: std::sync::Once = std::sync::Once::new();
                TOLD.call_once(|| tracing::warn!(%error, "no CUDA device answers ONNX Runtime: the processor speaks"));
            }
        }
        self.session(model, threads).map(Placed::from)
    }

    #[cfg(feature = "cuda")]
    fn on_card(&self, model: &Path) -> ort::Result<Session> {
        let card = ort::ep::CUDA::default().build().error_on_failure();
        Session::builder(&self.0)?.with_execution_providers([card])?.commit_from_file(model)
    }

    fn open(&self, model: &Path, threads: usize) -> ort::Result<Session> {
        Session::builder(&self.0)?
            .with_intra_threads(threads)?
            // A pool thread that spins while it waits takes the core that Whisper needs.
            .with_intra_op_spinning(false)?
            .commit_from_file(model)
    }
}

/// How often it is looked whether a run is still wanted.
const LOOK: Duration = Duration::from_millis(5);

/// A run that ends with an error soon after it is cancelled; for those that take longer than a word.
///
/// # Errors
/// Those of the run, and of being ended.
pub fn interruptible<T>(cancel: &Cancel, run: impl FnOnce(&RunOptions) -> ort::Result<T>) -> ort::Result<T> {
    let options = RunOptions::new()?;
    thread::scope(|scope| {
        let (running, ended) = sync_channel::<()>(0);
        let options = &options;
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
                if cancel.is_cancelled() {
                    return drop(options.terminate());
                }
            }
        };
        // Without the thread the run only goes on to its end.
        let watched = thread::Builder::new().name("interrupt".into()).spawn_scoped(scope, watch);
        let result = run(options);
        drop((running, watched));
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_library_is_named_with_what_to_do() {
        let error = OnnxRuntime::load(Path::new("/nowhere/libonnxruntime.so")).err().unwrap();
        assert_eq!(error.to_string(), "/nowhere/libonnxruntime.so: no such file; run ./run.sh to fetch it");
    }

    #[test]
    fn file_that_is_no_library_is_refused() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = OnnxRuntime::load(&manifest).err().unwrap();
        println!("{error}");
        assert!(matches!(error, OnnxError::Runtime { .. }));
    }
}
