//! The wire of Kinesis: JSON 1.1 with the operation in a header. Its binary sibling, CBOR, is not spoken.

use serde_json::{Value, json};

use super::errors;
use crate::{
    interface::WireRequest,
    service::{Answer, Decoded, Encoded, ServiceError},
    wire::header,
};

const JSON_1_1: &str = "application/x-amz-json-1.1";
const TARGET: &str = "Kinesis_20131202";

/// Operations of the real service that are not simulated, so that a caller hears more than that they are unknown.
const NOT_SIMULATED: &[&str] = &[
    "DeleteResourcePolicy",
    "DescribeAccountSettings",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetResourcePolicy",
    "PutResourcePolicy",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "UpdateAccountSettings",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
];

/// What the service answers to what is no operation of its own.
fn unknown_operation() -> ServiceError {
    ServiceError::client("UnknownOperationException", "")
}

pub fn decode(wire: &WireRequest, is_operation: impl Fn(&str) -> bool) -> Result<Decoded, ServiceError> {
    if wire.method != "POST" {
        let message = "Unable to determine service/operation name to be authorized";
        return Err(ServiceError::client("AccessDeniedException", message).with_status(403));
    }
    let content_type = header(&wire.headers, "content-type").unwrap_or_default();
    if content_type.starts_with("application/x-amz-cbor") {
        return Err(errors::serialization("CBOR is not spoken here: ask the SDK for JSON (AWS_CBOR_DISABLE=1)."));
    }
    if !content_type.starts_with(JSON_1_1) {
        return Err(unknown_operation().with_status(404));
    }
    let target = header(&wire.headers, "x-amz-target").unwrap_or_default();
    let operation = match target.split_once('.') {
        Some((TARGET, operation)) if is_operation(operation) => operation.to_owned(),
        Some((TARGET, operation)) if NOT_SIMULATED.contains(&operation) => {
            return Err(errors::unsupported(format!("{operation} is not simulated.")));
        }
        _ => return Err(unknown_operation()),
    };
    match serde_json::from_slice(&wire.body) {
        Ok(request @ Value::Object(_)) => Ok(Decoded { operation, request }),
        _ => Err(errors::serialization("")),
    }
}

pub fn encode(result: &Result<Answer, ServiceError>) -> Encoded {
    let (status, headers, body) = match result {
        // Operations without output answer without a body.
        Ok(answer) if answer.body.is_null() => (200, answer.headers.clone(), Vec::new()),
        Ok(answer) => (200, answer.headers.clone(), answer.body.to_string().into_bytes()),
        Err(error) => {
            let message = if error.code == "SerializationException" { "Message" } else { "message" };
            let body = json!({"__type": error.code, message: error.message});
            (error.status, Vec::new(), body.to_string().into_bytes())
        }
    };
    Encoded { status, content_type: JSON_1_1, headers, body }
}
