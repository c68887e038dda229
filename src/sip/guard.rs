//! Defence: how fast others may come, and who gets no answer at all.

/// How fast others may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// New calls a second from one address, on average.
    pub calls_per_second: f64,
    /// Requests outside a call a second from one address, on average.
    pub requests_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { calls_per_second: 10.0, requests_per_second: 50.0 }
    }
}
