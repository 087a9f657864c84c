//! What the schema registry refuses, in its own words where those are known.

use crate::{interface::RefuseBefore, service::ServiceError};

pub fn serialization(message: impl Into<String>) -> ServiceError {
    ServiceError::client("SerializationException", message)
}

/// What the front end finds wrong with a request before the registry sees it.
pub fn validation(constraint: impl AsRef<str>) -> ServiceError {
    ServiceError::client("ValidationException", format!("1 validation error detected: {}", constraint.as_ref()))
}

pub fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidInputException", message)
}

pub fn not_found(message: impl Into<String>) -> ServiceError {
    ServiceError::client("EntityNotFoundException", message)
}

pub fn already_exists(message: impl Into<String>) -> ServiceError {
    ServiceError::client("AlreadyExistsException", message)
}

pub fn limit_exceeded(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ResourceNumberLimitExceededException", message)
}

/// More of something than the account may have.
pub fn too_many(what: &str) -> ServiceError {
    limit_exceeded(format!("More {what} cannot be created. The maximum limit has been reached."))
}

pub fn wrong_length(parameter: &str) -> ServiceError {
    invalid(format!("The resource name contains too many or too few characters. Parameter Name: {parameter}"))
}

pub fn wrong_characters(parameter: &str) -> ServiceError {
    invalid(format!(
        "The parameter value contains one or more characters that are not valid. Parameter Name: {parameter}"
    ))
}

/// The error that stands for an injected refusal. `can_conflict` tells whether the service's model lists
/// ConcurrentModificationException for the operation.
pub fn refusal(refusal: RefuseBefore, can_conflict: bool) -> ServiceError {
    match refusal {
        RefuseBefore::ThrottleKeyRange
        | RefuseBefore::ThrottleAccount
        | RefuseBefore::RequestLimitExceeded
        | RefuseBefore::PartialBatch => ServiceError::client("ThrottlingException", "Rate exceeded"),
        RefuseBefore::TransactionConflict | RefuseBefore::TransactionInProgress if can_conflict => {
            let message = "The resource is being changed by another request. Try again.";
            ServiceError::client("ConcurrentModificationException", message)
        }
        RefuseBefore::TransactionConflict
        | RefuseBefore::TransactionInProgress
        | RefuseBefore::InternalServerError
        | RefuseBefore::ServiceUnavailableHtml
        | RefuseBefore::Reset
        | RefuseBefore::Hang => {
            ServiceError::client("InternalServiceException", "An internal service error occurred.").with_status(500)
        }
    }
}
