//! How one attempt of one call to a stream, topic or queue ended where it did not succeed.

use crate::{NotSent, Rejected, Throttled, UnknownOutcome};

/// Why one attempt gave no success. An implementation of a port attempts once; whoever calls it owns the attempts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    NotSent(#[from] NotSent),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The call may have taken effect. For a read: no answer, and nothing worse.
    #[error(transparent)]
    Unknown(#[from] UnknownOutcome),
}

impl CallFailure {
    /// Whether another attempt may end better. What was rejected will be rejected again.
    pub fn may_pass(&self) -> bool {
        !matches!(self, CallFailure::Rejected(_))
    }
}

/// Why one entry of a batch was not taken although the call as a whole was answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFailure {
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The service failed on this entry; it is not known whether the entry took effect.
    #[error(transparent)]
    Unknown(#[from] UnknownOutcome),
    /// The entry itself is at fault.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}
