//! What the tests share: virtual-time peers, stand-ins, recordings, and real programs in network namespaces.

pub mod agent;
pub mod asterisk;
pub mod baresip;
pub mod digest;
pub mod exchange;
pub mod gemini;
pub mod ice;
pub mod line;
pub mod linphone;
pub mod loudness;
pub mod nat;
pub mod netns;
pub mod pair;
pub mod peer;
pub mod pesq;
pub mod process;
pub mod recordings;
pub mod registrar;
pub mod scenario;
pub mod secretary;
pub mod sipp;
pub mod speech;
pub mod streams;
pub mod turns;
pub mod wav;
pub mod wer;
