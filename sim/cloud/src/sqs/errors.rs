//! The errors of SQS, in its own words: the code of the JSON protocol, and beside it the one of the older query protocol,
//! which several SDKs (Rust's among them) match instead.

use crate::{
    interface::{EntryFailureCode, RefuseBefore},
    service::ServiceError,
};

/// Code in the JSON protocol, code in the query protocol.
const QUERY_CODES: &[(&str, &str)] = &[
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
    ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("InvalidMessageContents", "InvalidMessageContents"),
    ("InvalidAttributeName", "InvalidAttributeName"),
    ("InvalidAttributeValue", "InvalidAttributeValue"),
    ("InvalidParameterValue", "InvalidParameterValue"),
    ("MissingParameter", "MissingParameter"),
    ("OverLimit", "OverLimit"),
    ("RequestThrottled", "RequestThrottled"),
    ("ThrottlingException", "ThrottlingException"),
    ("ResourceNotFoundException", "ResourceNotFoundException"),
    ("InternalFailure", "InternalFailure"),
    ("ServiceUnavailable", "ServiceUnavailable"),
    ("InvalidAddress", "InvalidAddress"),
    ("SerializationException", "MalformedInput"),
    ("UnknownOperationException", "InvalidAction"),
];

/// An error of status 400 with both its codes.
pub fn error(code: &'static str, message: impl Into<String>) -> ServiceError {
    let query = QUERY_CODES.iter().find(|(json, _)| *json == code).map_or(code, |(_, query)| *query);
    ServiceError::client(code, message).with_query_code(query)
}

pub fn no_queue() -> ServiceError {
    error("QueueDoesNotExist", "The specified queue does not exist.")
}

pub fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> ServiceError {
    error("InvalidParameterValue", format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

pub fn missing(parameter: &str) -> ServiceError {
    error("MissingParameter", format!("The request must contain the parameter {parameter}."))
}

pub fn wrong_type(parameter: &str, wanted: &str) -> ServiceError {
    error("SerializationException", format!("{parameter} cannot be read as {wanted}"))
}

pub fn handle_invalid(handle: &str) -> ServiceError {
    error("ReceiptHandleIsInvalid", format!("The input receipt handle \"{handle}\" is not a valid receipt handle."))
}

/// The words for a refusal that a fault plans.
pub fn refusal(refusal: RefuseBefore) -> ServiceError {
    match refusal {
        RefuseBefore::InternalServerError | RefuseBefore::Reset | RefuseBefore::Hang => {
            error("InternalFailure", "We encountered an internal error. Please try again.").with_status(500)
        }
        RefuseBefore::ServiceUnavailableHtml => unavailable(),
        RefuseBefore::RequestLimitExceeded => error("OverLimit", "Too many messages in flight.").with_status(403),
        RefuseBefore::ThrottleAccount => error("ThrottlingException", "Rate exceeded"),
        RefuseBefore::ThrottleKeyRange
        | RefuseBefore::PartialBatch
        | RefuseBefore::TransactionConflict
        | RefuseBefore::TransactionInProgress => throttled(),
    }
}

pub fn throttled() -> ServiceError {
    error("RequestThrottled", "Request is throttled.").with_status(403)
}

pub fn unavailable() -> ServiceError {
    error("ServiceUnavailable", "Service is unavailable. Please try again.").with_status(503)
}

/// What a batch's entry says when the service, not the entry, is at fault.
pub fn entry_failure(code: EntryFailureCode) -> ServiceError {
    match code {
        EntryFailureCode::Throttled => throttled(),
        EntryFailureCode::InternalFailure => refusal(RefuseBefore::InternalServerError),
    }
}
