//! Whom we may call: the guard against toll fraud. Without a rule nobody is called but whom an operator names himself.

use super::message::Uri;

/// The targets that the configuration allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOut {
    /// The one who calls is the one who configures: `secretary call`.
    Anybody,
    /// Patterns of `user@host` or of a user alone, with `*` for any run of characters; empty allows nobody.
    Matching(Vec<String>),
}

impl CallOut {
    /// Whether a target may be called.
    pub fn allows(&self, _target: &Uri) -> bool {
        matches!(self, CallOut::Anybody)
    }
}
