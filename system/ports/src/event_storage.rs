//! The storage under the event store: atomic conditional writes and strong reads, with outcomes that never
//! mix "refused" with "unknown".

use crate::{BoxFuture, EventRecord, IdempotencyRecord, StreamName, Version};

/// Conditional, transactional storage of events and idempotency records.
///
/// An implementation makes ONE attempt per call and retries nothing by itself: whoever calls owns the attempts.
/// Reads are strongly consistent, but for streams read with [`ReadConsistency::Eventual`].
pub trait EventStorage: Send + Sync {
    /// Writes all events and the record, or nothing. Each event's position and the record's key must be free.
    fn append<'a>(&'a self, transaction: &'a AppendTransaction) -> BoxFuture<'a, Result<(), AppendFailure>>;

    /// Events of the stream after a version, ascending. The next page begins after the last event of this one.
    fn read_events<'a>(
        &'a self,
        stream: &'a StreamName,
        after: Version,
        consistency: ReadConsistency,
    ) -> BoxFuture<'a, Result<EventPage, ReadFailure>>;

    fn read_idempotency_record<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<IdempotencyRecord>, ReadFailure>>;

    /// Writes the record if its key is free.
    fn record_answer<'a>(&'a self, record: &'a IdempotencyRecord) -> BoxFuture<'a, Result<(), RecordFailure>>;
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadConsistency {
    /// Sees every write that was acknowledged before the read began. Decisions need it.
    Strong,
    /// May miss the newest writes; half the price. For views only: whatever is decided on it may be decided wrongly.
    Eventual,
}

/// Everything that one command writes. At most 99 events: DynamoDB takes 100 items in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendTransaction {
    /// At least one; consecutive versions of one stream.
    pub events: Vec<EventRecord>,
    pub record: IdempotencyRecord,
    /// Names this very transaction, 1 to 36 characters: the same for every attempt of it, another for any other.
    pub token: String,
}

/// Some events of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<EventRecord>,
    /// More may follow after the last event of this page.
    pub has_more: bool,
}

/// Why one attempt of a conditional write did not report success. `R` is what was found in its way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailure<R: std::error::Error> {
    #[error("{0}")]
    Refused(R),
    #[error(transparent)]
    Contended(Contended),
    #[error(transparent)]
    Throttled(Throttled),
    #[error(transparent)]
    NotSent(NotSent),
    #[error(transparent)]
    Rejected(Rejected),
    #[error(transparent)]
    Unknown(UnknownOutcome),
}

/// Why one append attempt did not report success.
pub type AppendFailure = WriteFailure<AppendRefused>;

/// Why one conditional put of a record did not report success.
pub type RecordFailure = WriteFailure<RecordRefused>;

/// Why a read gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    NotSent(#[from] NotSent),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A read has no effect, so that no answer means nothing worse than no answer.
    #[error(transparent)]
    NoAnswer(#[from] UnknownOutcome),
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
}

/// At least one position or the key was taken, so this attempt wrote nothing. What was found there may be this
/// very transaction, applied by an earlier attempt whose answer was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("a position or the key was taken ({} events and {} found)", .events.len(), if .record.is_some() { "a record" } else { "no record" })]
pub struct AppendRefused {
    /// Events that stood at positions the transaction wanted, as far as storage told.
    pub events: Vec<EventRecord>,
    /// The record that stood under the key, as far as storage told.
    pub record: Option<IdempotencyRecord>,
}

/// The key was taken: by this record, as far as storage told.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the key was taken")]
pub struct RecordRefused {
    pub record: Option<IdempotencyRecord>,
}

/// Another transaction touched the same items at the same time; this attempt wrote nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another transaction was under way on the same items")]
pub struct Contended;

/// Storage had no capacity left for the request; this attempt wrote nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage throttled the request ({code})")]
pub struct Throttled {
    /// The code that storage gave.
    pub code: String,
}

/// No connection came about, so the request never left; this attempt wrote nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was not sent: {reason}")]
pub struct NotSent {
    pub reason: String,
}

/// Storage understood the request and will never take it (malformed, not permitted, no such table). Attempting it
/// again is pointless; this attempt wrote nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage rejected the request: {code}: {message}")]
pub struct Rejected {
    pub code: String,
    pub message: String,
}

/// The request may have taken effect, may still take effect later, or never will.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outcome is unknown: {reason}")]
pub struct UnknownOutcome {
    pub reason: String,
}

/// A stored item lacks an attribute or holds one of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item `{item}` has no readable attribute `{attribute}`")]
pub struct UnreadableRecord {
    /// `table/partition[/sort]`, as far as it could be read.
    pub item: String,
    pub attribute: String,
}
