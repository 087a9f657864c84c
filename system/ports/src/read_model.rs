//! What consumers keep: views for readers, records of effects that must happen once, and what could not be worked on.

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, CallFailure, ReadFailure, StreamName, Version, WriteFailure};

/// Views, one per aggregate, each with the version of the last event that it contains.
pub trait ReadModel: Send + Sync {
    fn read<'a>(&'a self, stream: &'a StreamName) -> BoxFuture<'a, Result<Option<StoredView>, ReadFailure>>;

    /// Writes the view if the stored one still is at `expected` ([`Version::START`]: there is none).
    fn write<'a>(
        &'a self,
        expected: Version,
        view: &'a StoredView,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ViewMoved>>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    pub stream: StreamName,
    /// The last event that the view contains; all earlier ones are in it too.
    pub version: Version,
    /// Canonical JSON.
    pub body: String,
    /// Wall clock of who wrote it: for people, never for order.
    pub written_at_ms: u64,
}

/// The view stands at another version than expected: someone else wrote it, or an attempt whose answer was lost did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the view of {stream} is not at the expected version")]
pub struct ViewMoved {
    pub stream: StreamName,
}

/// Notifications that were (or are about to be) sent, each once: the record under the event's id is the effect.
pub trait Outbox: Send + Sync {
    fn record<'a>(&'a self, notification: &'a Notification)
    -> BoxFuture<'a, Result<(), WriteFailure<AlreadyRecorded>>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The event that it tells of; one notification per event.
    pub event_id: String,
    pub stream: StreamName,
    pub version: Version,
    /// `cart-abandoned`, `item-added` …
    pub template: String,
    pub recipient: String,
    /// Canonical JSON for the template.
    pub data: String,
    pub correlation_id: String,
    pub recorded_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this event was notified before")]
pub struct AlreadyRecorded;

/// Aggregates that wait because one of their events could not be worked on, per consumer (`router`, `projection`).
///
/// Only the first such event is kept with its body: all later ones lie in the event store and are read from there when
/// the aggregate is released.
pub trait ParkingLot: Send + Sync {
    /// Every aggregate that this consumer has parked.
    fn list<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<ParkedAggregate>, ReadFailure>>;

    fn read<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<ParkedAggregate>, ReadFailure>>;

    /// Parks an aggregate that is not parked.
    fn park<'a>(&'a self, parked: &'a ParkedAggregate) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>>;

    /// Writes the entry if the stored one still has `expected_counter`; `parked.counter` must be greater.
    fn replace<'a>(
        &'a self,
        expected_counter: u64,
        parked: &'a ParkedAggregate,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>>;

    /// Removes the entry if the stored one still has `expected_counter`: the aggregate flows again.
    fn release<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
        expected_counter: u64,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedAggregate {
    pub consumer: String,
    /// Name of the aggregate's stream, or the partition key of a record that names none.
    pub key: String,
    /// The first version that waits; absent if the record could not be read that far.
    pub first_version: Option<Version>,
    /// The newest version seen waiting; the release must have worked off at least this one.
    pub last_version: Option<Version>,
    /// The record that could not be worked on, as it came; base64 where it is not UTF-8 text.
    pub body: String,
    pub reason: ParkReason,
    /// What was wrong, for people.
    pub detail: String,
    /// Attempts made so far, releases included.
    pub attempts: u32,
    pub parked_at_ms: u64,
    /// Grows with every write.
    pub counter: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParkReason {
    /// The record itself is at fault (unreadable, unknown type, against its schema): only a person or a new release of
    /// the code can help.
    Poison,
    /// All attempts were used up on throttling or outages: releasing it later will help.
    AttemptsExhausted,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parked aggregate was changed by someone else")]
pub struct ParkingMoved;

/// Dead letters that no redrive can help, kept for people with everything that is known about them.
pub trait Quarantine: Send + Sync {
    /// Keeps the letter under its id; a letter that is there already stays as it is, and that is a success.
    fn keep<'a>(&'a self, letter: &'a QuarantinedLetter) -> BoxFuture<'a, Result<(), CallFailure>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedLetter {
    /// The event's id if the letter holds one; otherwise the message's.
    pub letter_id: String,
    /// The dead-letter queue or parking lot that it came from.
    pub source: String,
    pub body: String,
    pub attributes: Vec<(String, String)>,
    pub reason: String,
    pub receive_count: u32,
    pub quarantined_at_ms: u64,
}
