//! The figures that engines tell through the `metrics` facade, named in one place. Without a recorder they cost nothing.
//!
//! Left out: an exporter.

use metrics::{Unit, describe_gauge, describe_histogram};

/// The figures of a pool of workers.
#[derive(Debug)]
pub struct PoolMetrics {
    /// What its threads are called, before their number.
    pub thread: &'static str,
    /// Gauge by `class`: jobs that wait.
    pub depth: &'static str,
    /// Gauge: jobs that run.
    pub running: &'static str,
    /// Histogram by `class`, seconds: how long a job waited for a worker.
    pub wait: &'static str,
}

pub const STT: PoolMetrics = PoolMetrics {
    thread: "stt",
    depth: "secretary_stt_queue_depth",
    running: "secretary_stt_running",
    wait: "secretary_stt_wait_seconds",
};

pub const TTS: PoolMetrics = PoolMetrics {
    thread: "tts",
    depth: "secretary_tts_queue_depth",
    running: "secretary_tts_running",
    wait: "secretary_tts_wait_seconds",
};

pub const END_OF_TURN: PoolMetrics = PoolMetrics {
    thread: "end-of-turn",
    depth: "secretary_end_of_turn_queue_depth",
    running: "secretary_end_of_turn_running",
    wait: "secretary_end_of_turn_wait_seconds",
};

/// Histogram by `class`, seconds: how long a worker needed for an utterance.
pub const STT_PROCESSING: &str = "secretary_stt_processing_seconds";
/// Gauge: seconds of sound that a worker recognises in a second, on average of late.
pub const STT_SPEED: &str = "secretary_stt_speed";
/// Histogram, seconds: sound of utterances that nobody wanted any more when a worker had begun with them.
pub const STT_WASTED_AUDIO: &str = "secretary_stt_wasted_audio_seconds";
/// Histogram, seconds: the workers' time that went into them.
pub const STT_WASTED_PROCESSING: &str = "secretary_stt_wasted_processing_seconds";

/// Histogram, seconds: from the question to an answer's end, of answers given up before a word of them was heard.
pub const DIALOG_WASTED: &str = "secretary_dialog_wasted_seconds";
/// Histogram, seconds: sound that was made for a call and that its caller did not hear.
pub const TTS_WASTED_AUDIO: &str = "secretary_tts_wasted_audio_seconds";

/// Tells the recorder what the figures mean; once, after it is installed.
pub fn describe() {
    for (pool, what) in [(&STT, "Utterances"), (&TTS, "Texts"), (&END_OF_TURN, "Pauses")] {
        describe_gauge!(pool.depth, Unit::Count, format!("{what} that wait for a worker, by class"));
        describe_gauge!(pool.running, Unit::Count, format!("{what} that workers are at"));
        describe_histogram!(pool.wait, Unit::Seconds, format!("{what}: time from submission to a worker, by class"));
    }
    describe_histogram!(STT_PROCESSING, Unit::Seconds, "Time that a worker needed for an utterance, by class");
    describe_gauge!(STT_SPEED, Unit::Count, "Seconds of sound recognised in a second of a worker's time");
    describe_histogram!(STT_WASTED_AUDIO, Unit::Seconds, "Sound of utterances given up after a worker had begun");
    describe_histogram!(STT_WASTED_PROCESSING, Unit::Seconds, "Workers' time for utterances given up after that");
    describe_histogram!(DIALOG_WASTED, Unit::Seconds, "Time of answers given up before a word of them was heard");
    describe_histogram!(
        TTS_WASTED_AUDIO,
        Unit::Seconds,
        "Sound for a call that its caller did not hear, whether made for it or before"
    );
}
