//! What the workers do and have done: for whoever decides about calls, and for the metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{gauge, histogram};

use super::admission::Admission;
use crate::clock;
use crate::engine::metrics::{STT_PROCESSING, STT_SPEED, STT_WASTED_AUDIO, STT_WASTED_PROCESSING};
use crate::engine::worker::Priority;

/// How much of the speed before a result is forgotten with it.
const FORGOTTEN: f64 = 0.1;

/// The recognition workers at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Utterances that wait for a worker.
    pub waiting: usize,
    /// Utterances that workers are at.
    pub running: usize,
    /// Seconds of sound that a worker recognises in a second, on average of late; `None` before the first utterance.
    pub speed: Option<f64>,
    /// How long a final utterance that came now would wait for a worker.
    pub expected_wait: Duration,
    /// Sound of utterances that nobody wanted any more when a worker had begun with them, since the start.
    pub wasted_audio: Duration,
    /// The workers' time that went into them.
    pub wasted_processing: Duration,
}

/// What a worker has done.
pub(super) struct Work {
    pub class: Priority,
    pub audio: Duration,
    pub took: Duration,
    /// Whether somebody still wanted it at its end.
    pub wanted: bool,
}

/// Kept by the workers.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Entries>>);

struct Entries {
    admission: Admission,
    /// Seconds of sound and of processing, the latest counting most.
    audio_s: f64,
    processing_s: f64,
    wasted_audio: Duration,
    wasted_processing: Duration,
}

impl Ledger {
    pub fn new(workers: usize, deadline: Duration) -> Self {
        let entries = Entries {
            admission: Admission::new(workers, deadline),
            audio_s: 0.0,
            processing_s: 0.0,
            wasted_audio: Duration::ZERO,
            wasted_processing: Duration::ZERO,
        };
        Self(Arc::new(Mutex::new(entries)))
    }

    pub fn enter(&self, work: &Work) {
        histogram!(STT_PROCESSING, "class" => work.class.name()).record(work.took);
        let mut entries = self.entries();
        entries.admission.worked(clock::now(), work.class, work.took, work.wanted);
        if work.wanted {
            entries.audio_s = entries.audio_s * (1.0 - FORGOTTEN) + work.audio.as_secs_f64();
            entries.processing_s = entries.processing_s * (1.0 - FORGOTTEN) + work.took.as_secs_f64();
            if let Some(speed) = entries.speed() {
                gauge!(STT_SPEED).set(speed);
            }
        } else {
            entries.wasted_audio += work.audio;
            entries.wasted_processing += work.took;
            histogram!(STT_WASTED_AUDIO).record(work.audio);
            histogram!(STT_WASTED_PROCESSING).record(work.took);
        }
    }

    pub fn warmed_up(&self, took: Duration) {
        self.entries().admission.warmed_up(took);
    }

    pub fn callers(&self, callers: usize) {
        self.entries().admission.callers(clock::now(), callers);
    }

    pub fn admits(&self, callers_now: usize) -> bool {
        self.entries().admission.admits(callers_now)
    }

    /// With so many utterances waiting and running, and of the waiting ones so many finals.
    pub fn load(&self, workers: usize, waiting: usize, finals: usize, running: usize) -> Load {
        let entries = self.entries();
        let rounds = if running < workers { 0.0 } else { (finals + 1) as f64 / workers as f64 };
        Load {
            waiting,
            running,
            speed: entries.speed(),
            expected_wait: entries.admission.result().mul_f64(rounds),
            wasted_audio: entries.wasted_audio,
            wasted_processing: entries.wasted_processing,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn speed(&self) -> Option<f64> {
        (self.processing_s > 0.0).then(|| self.audio_s / self.processing_s)
    }
}
