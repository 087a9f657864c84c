//! The wire of Glue: JSON 1.1 with the operation in a header.

use serde_json::{Value, json};

use super::errors::serialization;
use crate::{
    interface::WireRequest,
    service::{Answer, Decoded, Encoded, ServiceError},
    wire::header,
};

const JSON_1_1: &str = "application/x-amz-json-1.1";
const TARGET: &str = "AWSGlue";

pub fn decode(wire: &WireRequest, is_operation: impl Fn(&str) -> bool) -> Result<Decoded, ServiceError> {
    let unknown = |message: String| ServiceError::client("UnknownOperationException", message);
    let content_type = header(&wire.headers, "content-type").unwrap_or_default();
    if wire.method != "POST" || !content_type.starts_with(JSON_1_1) {
        return Err(unknown(String::new()).with_status(404));
    }
    let target = header(&wire.headers, "x-amz-target").unwrap_or_default();
    let operation = match target.split_once('.') {
        Some((TARGET, operation)) if is_operation(operation) => operation.to_owned(),
        // The service has some 250 operations more, about its catalogue, jobs and crawlers.
        Some((TARGET, operation)) => {
            return Err(unknown(format!("{operation} is not simulated: of Glue, only the Schema Registry is.")));
        }
        _ => return Err(unknown(String::new())),
    };
    match serde_json::from_slice(&wire.body) {
        Ok(request @ Value::Object(_)) => Ok(Decoded { operation, request }),
        _ => Err(serialization("")),
    }
}

pub fn encode(result: &Result<Answer, ServiceError>) -> Encoded {
    let (status, headers, body) = match result {
        Ok(answer) => (200, answer.headers.clone(), answer.body.to_string()),
        // The service's errors have their message in a member with a capital letter, those of its front end do not.
        Err(error) if error.code == "ValidationException" => {
            (error.status, Vec::new(), json!({"__type": error.code, "message": error.message}).to_string())
        }
        Err(error) => (error.status, Vec::new(), json!({"__type": error.code, "Message": error.message}).to_string()),
    };
    Encoded { status, content_type: JSON_1_1, headers, body: body.into_bytes() }
}
