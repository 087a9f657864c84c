//! Every way in which a request is not done, one condition each.

use nexus_domain::{InvalidAggregateId, UnreadableEvent};
use nexus_event_store::{
    CorruptStream, InvalidAppend, LoadError, NotDone, OutcomeUnknown, StoreContended, StoreThrottled, StoreUnavailable,
};
use nexus_governance::{Denial, SchemaNotUsable, SchemaPending, SchemaRejection};
use nexus_ports::{Rejected, UnreadableRecord};

/// Why a request was not done. Only [`CommandFailure::OutcomeUnknown`] leaves open whether it was.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    #[error("the body is not a command: {0}")]
    MalformedCommand(String),
    #[error(transparent)]
    InvalidAggregateId(#[from] InvalidAggregateId),
    #[error("the request has no Idempotency-Key header of 1 to 128 visible ASCII characters")]
    MissingIdempotencyKey,
    #[error("the request has no X-Nexus-Role header")]
    MissingRole,
    #[error("the body has more than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: usize },
    #[error("the request's body did not arrive in time")]
    BodyTooSlow,
    #[error("policies deny it: {}", join(.denials))]
    PolicyDenied { denials: Vec<Denial> },
    #[error("{event_type} version {version}: {rejection}")]
    SchemaViolation { event_type: &'static str, version: u32, rejection: SchemaRejection },
    /// The schema registry does not have the schema of an event, or has refused it: commands of this kind cannot be taken.
    #[error(transparent)]
    SchemaNotUsable(SchemaNotUsable),
    #[error(transparent)]
    SchemaPending(SchemaPending),
    /// Nothing that is remembered of the registry may stand in for its answer.
    #[error("it cannot be told whether the event's schema may be used: {reason}")]
    RegistryUnavailable { reason: String },
    /// The domain's answer, kept under the key.
    #[error("{detail}")]
    Refused { code: String, detail: String },
    #[error("the idempotency key `{key}` was used for another command")]
    IdempotencyKeyReused { key: String },
    #[error("other commands changed the aggregate in each of {rounds} rounds")]
    Conflict { rounds: u32 },
    #[error(transparent)]
    Contended(StoreContended),
    #[error(transparent)]
    Throttled(StoreThrottled),
    #[error(transparent)]
    Unavailable(StoreUnavailable),
    #[error(transparent)]
    OutcomeUnknown(OutcomeUnknown),
    #[error(transparent)]
    CorruptStream(CorruptStream),
    #[error("stream `{stream}` holds an event that cannot be read: {source}")]
    UnreadableEvent { stream: String, source: UnreadableEvent },
    #[error("the payload of version {version} in stream `{stream}` is not JSON")]
    PayloadNotJson { stream: String, version: u64 },
    #[error(transparent)]
    UnreadableRecord(UnreadableRecord),
    #[error("the answer kept under `{key}` cannot be read")]
    UnreadableAnswer { key: String },
    #[error(transparent)]
    StorageRejected(Rejected),
    #[error(transparent)]
    InvalidAppend(InvalidAppend),
    #[error("there is no order `{order_id}`")]
    OrderNotFound { order_id: String },
    #[error("the query `{query}` is not one: only consistency=strong or consistency=eventual can be asked for")]
    UnknownQuery { query: String },
    #[error("there is nothing at this path")]
    PathNotFound,
    #[error("this path does not take this method")]
    MethodNotAllowed,
}

fn join(denials: &[Denial]) -> String {
    denials.iter().map(Denial::to_string).collect::<Vec<_>>().join("; ")
}

impl From<LoadError> for CommandFailure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Corrupt(corrupt) => Self::CorruptStream(corrupt),
            LoadError::Unreadable(unreadable) => Self::UnreadableRecord(unreadable),
            LoadError::Throttled(throttled) => Self::Throttled(throttled),
            LoadError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            LoadError::Rejected(rejected) => Self::StorageRejected(rejected),
        }
    }
}

impl From<NotDone> for CommandFailure {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Contended(contended) => Self::Contended(contended),
            NotDone::Throttled(throttled) => Self::Throttled(throttled),
            NotDone::Unavailable(unavailable) => Self::Unavailable(unavailable),
            NotDone::Rejected(rejected) => Self::StorageRejected(rejected),
        }
    }
}
