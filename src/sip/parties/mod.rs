//! Who calls whom: caller and called number from the headers that trunks put them into.

/// How the numbers of an account are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbering {}

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parties {
    /// E.164 (`+7…`) where the rules know how, else as it was sent. `None` when withheld or absent.
    pub caller_number: Option<String>,
    pub caller_name: Option<String>,
    /// The number or name that was called.
    pub called: String,
    /// Who sent the call on to us (Diversion, RFC 5806).
    pub diverted_from: Option<String>,
}
