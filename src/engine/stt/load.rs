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
    /// Seconds of sound that a worker recognises in a second, on average of late; `None` before the first utterance.
    pub speed: Option<f64>,
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
    /// Those taken.
    seats: usize,
    /// Those of them whose callers talk.
    talking: usize,
    /// Whether it is known what an ordinary utterance takes.
    rehearsed: bool,
    /// Seconds of sound and of processing, the latest counting most.
    audio_s: f64,
    processing_s: f64,
}

impl Ledger {
    pub fn new(servers: f64, deadline: Duration) -> Self {
        let entries = Entries {
            admission: Admission::new(servers, deadline),
            seats: 0,
            talking: 0,
            rehearsed: false,
            audio_s: 0.0,
            processing_s: 0.0,
        };
        Self(Arc::new(Mutex::new(entries)))
    }

    /// A worker is at something until this is dropped, by a panic too.
    pub fn begin(&self, class: Priority) -> Running<'_> {
        self.entries().admission.begun(clock::now(), class);
        Running { ledger: self, class }
    }

    pub fn enter(&self, work: &Work) {
        histogram!(STT_PROCESSING, "class" => work.class.name()).record(work.took);
        let mut entries = self.entries();
        if work.wanted {
            if work.class == Priority::Final {
                entries.admission.resulted(clock::now(), work.took);
            }
            entries.audio_s = entries.audio_s * (1.0 - FORGOTTEN) + work.audio.as_secs_f64();
            entries.processing_s = entries.processing_s * (1.0 - FORGOTTEN) + work.took.as_secs_f64();
            if let Some(speed) = entries.speed() {
                gauge!(STT_SPEED).set(speed);
            }
        } else {
            histogram!(STT_WASTED_AUDIO).record(work.audio);
            histogram!(STT_WASTED_PROCESSING).record(work.took);
        }
    }

    pub fn is_rehearsed(&self) -> bool {
        self.entries().rehearsed
    }

    pub fn rehearsed(&self, took: Duration) {
        let mut entries = self.entries();
        entries.rehearsed = true;
        entries.admission.rehearsed(took);
    }

    pub fn seat(&self) -> Seat {
        self.entries().seats += 1;
        Seat { ledger: self.clone(), talks: false }
    }

    pub fn seat_in_time(&self) -> Option<Seat> {
        let mut entries = self.entries();
        if !entries.admission.admits(entries.seats) {
            return None;
        }
        entries.seats += 1;
        Some(Seat { ledger: self.clone(), talks: false })
    }

    pub fn speed(&self) -> Option<f64> {
        self.entries().speed()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker at something.
#[must_use]
pub(super) struct Running<'l> {
    ledger: &'l Ledger,
    class: Priority,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ledger.entries().admission.left(clock::now(), self.class);
    }
}

/// A caller's until it is dropped: he may want words of the recognisers.
#[must_use]
pub struct Seat {
    ledger: Ledger,
    talks: bool,
}

impl Seat {
    /// He is there, and may want something from now on: how often callers do is learned from the time for which they
    /// talk.
    pub fn talks(&mut self) {
        if !std::mem::replace(&mut self.talks, true) {
            self.ledger.entries().talk(|talking| talking + 1);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entries = self.ledger.entries();
        entries.seats = entries.seats.saturating_sub(1);
        if self.talks {
            entries.talk(|talking| talking.saturating_sub(1));
        }
    }
}

impl Entries {
    fn talk(&mut self, change: fn(usize) -> usize) {
        self.talking = change(self.talking);
        self.admission.callers(clock::now(), self.talking);
    }

    fn speed(&self) -> Option<f64> {
        (self.processing_s > 0.0).then(|| self.audio_s / self.processing_s)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overload, Recognizer, Stt, SttConfig, SttError, SttJob, Transcript, Utterance};
    use super::*;
    use crate::engine::worker::Job;
    use crate::engine::{Cancel, Language};
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use std::thread;

    #[test]
    fn servers_are_as_many_as_have_cores_of_their_own() {
        for (workers, threads, cores, servers) in
            [(2, 2, 2, 1.0), (4, 4, 8, 2.0), (4, 1, 4, 4.0), (2, 1, 8, 2.0), (4, 3, 4, 4.0 / 3.0), (1, 4, 2, 1.0)]
        {
            let config = SttConfig { workers, threads, ..SttConfig::default() };
            assert_eq!(config.servers(cores), servers, "{workers} workers of {threads} threads on {cores} cores");
        }
    }

    /// Needs longer to be built than its deadline, and next to no time for an utterance.
    struct Slow;

    const BUILDING: Duration = Duration::from_millis(600);

    impl Recognizer for Slow {
        fn transcribe(&mut self, _: &SttJob) -> Result<Transcript, SttError> {
            Err(SttError::NoLanguage)
        }

        fn rehearse(&mut self) -> Result<(), SttError> {
            Ok(())
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "building takes time")]
    fn what_it_takes_to_build_a_recogniser_keeps_no_caller_away() {
        let final_deadline_ms = u32::try_from(BUILDING.as_millis()).unwrap().try_into().unwrap();
        let config = SttConfig { workers: 2, final_deadline_ms, overload: Overload::Busy, ..SttConfig::default() };
        let stt = Stt::measured(&config, 2, || {
            thread::sleep(BUILDING);
            Ok(Box::new(Slow))
        });
        let stt = stt.unwrap();
        let _first = stt.seat_in_time().unwrap();
        assert!(stt.seat_in_time().is_some());
    }

    #[test]
    fn a_recogniser_rehearses_an_utterance_of_ordinary_length() {
        struct Listener(std::sync::mpsc::SyncSender<(usize, u32)>);
        impl Recognizer for Listener {
            fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
                self.0.send((job.pcm.len(), job.rate_hz)).unwrap();
                let (text, language) = (String::new(), job.languages[0]);
                let (segments, caught) = (Vec::new(), Vec::new());
                Ok(Transcript {
                    text,
                    language,
                    segments,
                    caught,
                    log_probability: 0.0,
                    language_probability: 1.0,
                    audio_s: 3.0,
                    processing_s: 0.0,
                })
            }
        }
        let (heard, hears) = std::sync::mpsc::sync_channel(9);
        let config = SttConfig { workers: 3, ..SttConfig::default() };
        let stt = Stt::measured(&config, 2, move || Ok(Box::new(Listener(heard.clone())))).unwrap();
        drop(stt);
        // One for all of them.
        assert_eq!(hears.iter().collect::<Vec<_>>(), [(24_000, 8_000)]);
    }

    /// Is given up when it has begun.
    struct GivenUp;

    impl Recognizer for GivenUp {
        fn transcribe(&mut self, job: &SttJob) -> Result<Transcript, SttError> {
            job.cancel.cancel();
            Err(SttError::Cancelled)
        }
    }

    #[test]
    fn what_is_given_up_is_counted_as_wasted_and_tells_no_speed() {
        let ledger = Ledger::new(1.0, Duration::from_millis(1));
        let (languages, cancel, priority) = (vec![Language::Ru], Cancel::default(), Priority::Partial);
        let job = SttJob { pcm: vec![0; 16_000], rate_hz: 8_000, languages, cancel, priority, due: clock::now() };
        let reply = |result: Result<_, _>| assert!(matches!(result, Err(SttError::Cancelled)));
        let mut utterance = Utterance { job, reply: Some(reply), ledger: ledger.clone() };
        let mut recognizer: Box<dyn Recognizer> = Box::new(GivenUp);
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || utterance.run(&mut recognizer));
        let told = recorder.snapshotter().snapshot().into_vec();
        let wasted_s = |name| {
            let figure = told.iter().find(|(key, ..)| key.key().name() == name).unwrap();
            let DebugValue::Histogram(values) = &figure.3 else { panic!("{figure:?}") };
            values.iter().map(|value| value.into_inner()).collect::<Vec<_>>()
        };
        assert_eq!(wasted_s(STT_WASTED_AUDIO), [2.0]);
        assert!(matches!(wasted_s(STT_WASTED_PROCESSING)[..], [took] if took > 0.0), "{told:?}");
        assert_eq!(ledger.speed(), None);
    }

    #[test]
    fn a_caller_has_his_seat_while_it_rings_and_is_learned_from_while_he_talks() {
        let ledger = Ledger::new(1.0, Duration::from_millis(1));
        let counted = || {
            let entries = ledger.entries();
            (entries.seats, entries.talking)
        };
        let mut first = ledger.seat_in_time().unwrap();
        assert!(ledger.seat_in_time().is_none());
        let second = ledger.seat();
        assert_eq!(counted(), (2, 0));
        first.talks();
        first.talks();
        assert_eq!(counted(), (2, 1));
        drop(second);
        assert_eq!(counted(), (1, 1));
        drop(first);
        assert_eq!(counted(), (0, 0));
        assert!(ledger.seat_in_time().is_some());
    }
}
