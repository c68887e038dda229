//! A telephone secretary: a SIP endpoint that answers, understands, replies, and leaves a record of the call.
//!
//! ```text
//! SIP message ─▶ net ─▶ sip::Endpoint (transaction ▶ dialog ▶ session) ─▶ SessionEvent ─┐
//!                                                                                       ▼
//! RTP datagram ─▶ call::driver ─▶ call::Call ─ rtp: jitter ▶ decode ─▶ 20 ms ─▶ VAD ▶ turn taking
//!                                     │                                 │          │ Transcribe
//!                                     │                                 │          ▼
//!                                     │                                 │      engine::stt (own threads)
//!                                     │                                 │          │ text
//!                                     │                                 ▼          ▼
//!                                     │                               log::*   engine::dialog (Gemini ▸ front desk)
//!                                     │                                 ▲          │ sentences
//!                                     │                                 │          ▼
//! RTP datagram ◀─ call::driver ◀─ encode ◀─ playout ◀───────────────────┴──── engine::tts (own threads)
//! ```
//!
//! `sip`, `rtp` and `call` (but for its driver) are sans-IO: no socket, clock, random source or task. `net`, `call::driver`,
//! `app` and `cli` do the I/O. ARCHITECTURE.md has the map and the invariants.

pub mod app;
pub mod call;
pub mod cli;
mod clock;
pub mod config;
pub mod engine;
pub mod log;
pub mod net;
pub mod rtp;
pub mod sip;
