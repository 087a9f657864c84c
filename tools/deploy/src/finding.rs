//! What a check has to say.

use std::fmt;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check, in kebab-case.
    pub check: &'static str,
    /// Where: a resource of the template, or a file.
    pub place: String,
    /// What is wrong, and how it should be.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(check: &'static str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check, place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]: {}", self.place, self.check, self.message)
    }
}
