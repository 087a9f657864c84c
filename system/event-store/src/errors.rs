//! What can become of an operation of the event store. Each condition is a type with its data.

use nexus_ports::{IdempotencyRecord, Rejected, StreamName, UnreadableRecord, Version};

use crate::CorruptStream;

/// Why an append was not reported as done. Only [`OutcomeUnknown`] leaves open whether it took effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    AlreadyAnswered(#[from] AlreadyAnswered),
    #[error(transparent)]
    Conflict(#[from] VersionConflict),
    #[error(transparent)]
    NotDone(#[from] NotDone),
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    #[error(transparent)]
    Unknown(#[from] OutcomeUnknown),
}

/// Why a refusal was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    AlreadyAnswered(#[from] AlreadyAnswered),
    #[error(transparent)]
    NotDone(#[from] NotDone),
    #[error(transparent)]
    Unknown(#[from] OutcomeUnknown),
}

/// Nothing was written, and nothing will be: every attempt failed for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    #[error(transparent)]
    Contended(#[from] StoreContended),
    #[error(transparent)]
    Throttled(#[from] StoreThrottled),
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Why a stream or a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Corrupt(#[from] CorruptStream),
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
    #[error(transparent)]
    Throttled(#[from] StoreThrottled),
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Another execution under the same idempotency key has been answered; this one wrote nothing and never will.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key `{}` has an answer already", .record.key)]
pub struct AlreadyAnswered {
    pub record: Box<IdempotencyRecord>,
}

/// Another command's event stands where ours should go. Load again and decide again; ours was not and never will be
/// written at that version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream `{stream}` has another event ({standing_event_id}) at version {version}")]
pub struct VersionConflict {
    pub stream: StreamName,
    pub version: Version,
    pub standing_event_id: String,
}

/// Every attempt met another transaction on the same items; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {attempts} attempts met other transactions on the same items")]
pub struct StoreContended {
    pub attempts: u32,
}

/// The last attempt was throttled and none took effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage throttled {attempts} attempts, last with {code}")]
pub struct StoreThrottled {
    pub attempts: u32,
    pub code: String,
}

/// No attempt reached storage (or, for a read, none was answered); nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage could not be reached in {attempts} attempts: {reason}")]
pub struct StoreUnavailable {
    pub attempts: u32,
    pub reason: String,
}

/// At least one attempt may have taken effect and a strong read could not settle it. Ask again with the same
/// idempotency key: never treat this as failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {attempts} attempts it is unknown whether the write took effect: {reason}")]
pub struct OutcomeUnknown {
    pub attempts: u32,
    pub reason: String,
}

/// The caller's mistake: an append takes 1 to 99 events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an append takes 1 to {max} events, not {count}")]
pub struct InvalidAppend {
    pub count: usize,
    pub max: usize,
}
