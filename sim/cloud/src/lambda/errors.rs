//! Lambda's errors, in its own words.

use crate::service::ServiceError;

pub fn invalid_parameter(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidParameterValueException", message)
}

/// A member outside the bounds that the service's model sets.
pub fn validation(member: &str, value: &str, constraint: &str) -> ServiceError {
    ServiceError::client(
        "ValidationException",
        format!(
            "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: Member must {constraint}"
        ),
    )
}

pub fn serialization(message: impl Into<String>) -> ServiceError {
    ServiceError::client("SerializationException", message)
}

pub fn not_found(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ResourceNotFoundException", message).with_status(404)
}

pub fn function_not_found(function_arn: &str) -> ServiceError {
    not_found(format!("Function not found: {function_arn}"))
}

pub fn mapping_not_found() -> ServiceError {
    not_found("The resource you requested does not exist.")
}

pub fn conflict(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ResourceConflictException", message).with_status(409)
}

pub fn in_use() -> ServiceError {
    ServiceError::client(
        "ResourceInUseException",
        "Cannot update the event source mapping because it is in use or in transition.",
    )
    .with_status(400)
}

/// Why an invocation was throttled, as the member `Reason` of the error tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleReason {
    ReservedConcurrency,
    AccountConcurrency,
    CallerRate,
}

impl ThrottleReason {
    fn name(self) -> &'static str {
        match self {
            ThrottleReason::ReservedConcurrency => "ReservedFunctionConcurrentInvocationLimitExceeded",
            ThrottleReason::AccountConcurrency => "ConcurrentInvocationLimitExceeded",
            ThrottleReason::CallerRate => "CallerRateLimitExceeded",
        }
    }
}

/// The reason travels in the error's second code, the one place that errors have for it; see the codec.
pub fn throttled(reason: ThrottleReason) -> ServiceError {
    ServiceError::client("TooManyRequestsException", "Rate Exceeded.").with_status(429).with_query_code(reason.name())
}

pub fn too_large(limit_bytes: usize) -> ServiceError {
    ServiceError::client(
        "RequestTooLargeException",
        format!("Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation"),
    )
    .with_status(413)
}

pub fn service(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ServiceException", message).with_status(500)
}

pub fn unknown_operation() -> ServiceError {
    ServiceError::client("UnknownOperationException", "").with_status(404)
}

/// The runtime API does not know an invocation by this id: it never began here, or it has ended.
pub fn invalid_request_id() -> ServiceError {
    ServiceError::client("InvalidRequestID", "Invalid request ID")
}
