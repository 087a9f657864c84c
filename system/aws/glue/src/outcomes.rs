//! Glue's errors and answers as the port's outcomes. Errors are told apart by their code, never by type alone.

use std::error::Error;

use aws_sdk_glue::{
    error::{ProvideErrorMetadata, SdkError},
    types::{Compatibility, SchemaVersionStatus as GlueStatus},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use nexus_aws::failures::{Failure, classify};
use nexus_ports::{
    Contended, NotSent, ReadFailure, Rejected, SchemaCompatibility, SchemaVersion, SchemaVersionStatus, Throttled,
    UnknownOutcome, UnreadableRecord, WriteFailure,
};

const NOT_FOUND: &str = "EntityNotFoundException";
const ALREADY_THERE: &str = "AlreadyExistsException";
/// Glue's own word for a write that met another one on the same schema. Nothing was written, and another attempt may pass.
const CONTENDED: &str = "ConcurrentModificationException";

/// What stood in the way of a write, for a caller whose own type of refusal says less or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    NotFound,
    AlreadyThere,
}

/// An error of a write. `refused` gives the port's word for an obstacle; `None` where this write cannot meet it.
pub(crate) fn write_failure<E, R>(
    error: &SdkError<E, HttpResponse>,
    refused: impl FnOnce(Obstacle) -> Option<R>,
) -> WriteFailure<R>
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Error,
{
    match classify(error) {
        Failure::Contended => WriteFailure::Contended(Contended),
        Failure::Throttled { code } => WriteFailure::Throttled(Throttled { code }),
        Failure::NotSent { reason } => WriteFailure::NotSent(NotSent { reason }),
        Failure::Unknown { reason } => WriteFailure::Unknown(UnknownOutcome { reason }),
        Failure::Rejected { code, .. } if code == CONTENDED => WriteFailure::Contended(Contended),
        Failure::Rejected { code, message } => match obstacle(&code).and_then(refused) {
            Some(refused) => WriteFailure::Refused(refused),
            None => WriteFailure::Rejected(Rejected { code, message }),
        },
    }
}

fn obstacle(code: &str) -> Option<Obstacle> {
    match code {
        NOT_FOUND => Some(Obstacle::NotFound),
        ALREADY_THERE => Some(Obstacle::AlreadyThere),
        _ => None,
    }
}

/// An error of a read: what is not there is an answer.
pub(crate) fn absent_or_failure<E, T>(error: &SdkError<E, HttpResponse>) -> Result<Option<T>, ReadFailure>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match classify(error) {
        Failure::Rejected { code, .. } if code == NOT_FOUND => Ok(None),
        Failure::Rejected { code, message } => Err(ReadFailure::Rejected(Rejected { code, message })),
        Failure::Throttled { code } => Err(ReadFailure::Throttled(Throttled { code })),
        Failure::NotSent { reason } => Err(ReadFailure::NotSent(NotSent { reason })),
        Failure::Unknown { reason } => Err(ReadFailure::NoAnswer(UnknownOutcome { reason })),
        Failure::Contended => Err(ReadFailure::NoAnswer(UnknownOutcome { reason: Contended.to_string() })),
    }
}

/// A version of which id, number and status must be told: nothing can be concluded from an answer without them. A status
/// that is not known here is as good as none.
pub(crate) fn version(
    schema: &str,
    id: Option<String>,
    number: Option<i64>,
    status: Option<&GlueStatus>,
) -> Result<SchemaVersion, UnreadableRecord> {
    let number = number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    Ok(SchemaVersion {
        id: required(schema, "SchemaVersionId", id)?,
        number: required(schema, "VersionNumber", number)?,
        status: required(schema, "Status", status.and_then(known_status))?,
    })
}

pub(crate) fn required<T>(schema: &str, attribute: &str, value: Option<T>) -> Result<T, UnreadableRecord> {
    value.ok_or_else(|| UnreadableRecord { item: schema.to_owned(), attribute: attribute.to_owned() })
}

pub(crate) fn known_status(status: &GlueStatus) -> Option<SchemaVersionStatus> {
    match status {
        GlueStatus::Available => Some(SchemaVersionStatus::Available),
        GlueStatus::Pending => Some(SchemaVersionStatus::Pending),
        GlueStatus::Failure => Some(SchemaVersionStatus::Failure),
        GlueStatus::Deleting => Some(SchemaVersionStatus::Deleting),
        _ => None,
    }
}

pub(crate) fn glue_compatibility(mode: SchemaCompatibility) -> Compatibility {
    match mode {
        SchemaCompatibility::None => Compatibility::None,
        SchemaCompatibility::Disabled => Compatibility::Disabled,
        SchemaCompatibility::Backward => Compatibility::Backward,
        SchemaCompatibility::BackwardAll => Compatibility::BackwardAll,
        SchemaCompatibility::Forward => Compatibility::Forward,
        SchemaCompatibility::ForwardAll => Compatibility::ForwardAll,
        SchemaCompatibility::Full => Compatibility::Full,
        SchemaCompatibility::FullAll => Compatibility::FullAll,
    }
}

pub(crate) fn known_compatibility(mode: &Compatibility) -> Option<SchemaCompatibility> {
    match mode {
        Compatibility::None => Some(SchemaCompatibility::None),
        Compatibility::Disabled => Some(SchemaCompatibility::Disabled),
        Compatibility::Backward => Some(SchemaCompatibility::Backward),
        Compatibility::BackwardAll => Some(SchemaCompatibility::BackwardAll),
        Compatibility::Forward => Some(SchemaCompatibility::Forward),
        Compatibility::ForwardAll => Some(SchemaCompatibility::ForwardAll),
        Compatibility::Full => Some(SchemaCompatibility::Full),
        Compatibility::FullAll => Some(SchemaCompatibility::FullAll),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_over_and_come_back() {
        for mode in [
            SchemaCompatibility::None,
            SchemaCompatibility::Disabled,
            SchemaCompatibility::Backward,
            SchemaCompatibility::BackwardAll,
            SchemaCompatibility::Forward,
            SchemaCompatibility::ForwardAll,
            SchemaCompatibility::Full,
            SchemaCompatibility::FullAll,
        ] {
            let glue = glue_compatibility(mode);
            assert_eq!(glue.as_str(), mode.to_string());
            assert_eq!(known_compatibility(&glue), Some(mode));
        }
        assert_eq!(known_compatibility(&Compatibility::from("SIDEWAYS")), None);
    }

    #[test]
    fn a_status_is_known_or_is_none() {
        for status in ["AVAILABLE", "PENDING", "FAILURE", "DELETING"] {
            assert_eq!(known_status(&GlueStatus::from(status)).map(|known| known.to_string()), Some(status.to_owned()));
        }
        assert_eq!(known_status(&GlueStatus::from("ARCHIVED")), None);
    }
}
