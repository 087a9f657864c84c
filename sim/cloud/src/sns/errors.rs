//! The errors of SNS, in its own words.

use crate::{
    interface::{EntryFailureCode, RefuseBefore},
    service::ServiceError,
    sqs::message::Attribute,
};

pub fn invalid(message: impl std::fmt::Display) -> ServiceError {
    ServiceError::client("InvalidParameter", format!("Invalid parameter: {message}"))
}

pub fn missing(parameter: &str) -> ServiceError {
    invalid(format!("{parameter} Reason: no value for required parameter"))
}

pub fn no_topic() -> ServiceError {
    ServiceError::client("NotFound", "Topic does not exist").with_status(404)
}

pub fn no_subscription() -> ServiceError {
    ServiceError::client("NotFound", "Subscription does not exist").with_status(404)
}

/// An error of the readers that SQS and SNS share, said as SNS says it.
pub fn of_reader(error: ServiceError) -> ServiceError {
    match error.code.as_str() {
        "MissingParameter" | "SerializationException" => invalid(error.message),
        _ => ServiceError { code: "ParameterValueInvalid".to_owned(), query_code: None, ..error },
    }
}

/// Which attribute values a topic takes beyond those of a queue: none that a queue does not, but arrays must be JSON.
pub fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), ServiceError> {
    use crate::sqs::message::AttributeValue;
    if attribute.data_type != "String.Array" {
        return Ok(());
    }
    let AttributeValue::Text(text) = &attribute.value else { return Ok(()) };
    let is_array = serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_array());
    if is_array {
        return Ok(());
    }
    Err(ServiceError::client(
        "ParameterValueInvalid",
        format!("The message attribute '{name}' of type String.Array must hold a JSON array."),
    ))
}

pub fn refusal(refusal: RefuseBefore) -> ServiceError {
    match refusal {
        RefuseBefore::InternalServerError | RefuseBefore::Reset | RefuseBefore::Hang => {
            ServiceError::client("InternalFailure", "We encountered an internal error. Please try again.")
                .with_status(500)
        }
        RefuseBefore::ServiceUnavailableHtml => {
            ServiceError::client("ServiceUnavailable", "Service is unavailable.").with_status(503)
        }
        // The API's own code, with its status of 429; the account's limit comes from the framework before it.
        RefuseBefore::ThrottleKeyRange
        | RefuseBefore::PartialBatch
        | RefuseBefore::TransactionConflict
        | RefuseBefore::TransactionInProgress => {
            ServiceError::client("Throttled", "Request is throttled.").with_status(429)
        }
        RefuseBefore::ThrottleAccount | RefuseBefore::RequestLimitExceeded => {
            ServiceError::client("Throttling", "Rate exceeded")
        }
    }
}

/// What a batch's entry says when the service is at fault.
pub fn entry_failure(code: EntryFailureCode) -> ServiceError {
    match code {
        EntryFailureCode::Throttled => refusal(RefuseBefore::ThrottleKeyRange),
        EntryFailureCode::InternalFailure => refusal(RefuseBefore::InternalServerError),
    }
}
