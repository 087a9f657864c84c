//! AWS JSON 1.0 with the header by which SDKs of the query protocol's time know errors.

use serde_json::{Value, json};

use super::errors::{error, wrong_type};
use crate::{
    interface::WireRequest,
    service::{Answer, Decoded, Encoded, ServiceError},
    wire::header,
};

pub const OPERATIONS: &[&str] = &[
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// More than any batch needs, and little enough not to be read by mistake.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// A member that no client sends: the host and port by which a client of the real socket reached us.
pub const LOCAL_HOST: &str = "$host";

/// SDKs that send requests to the host of a queue's URL must come back to the socket that they know.
fn is_local(host: &str) -> bool {
    host.contains(':') && !host.contains("amazonaws.com")
}

pub fn decode(wire: &WireRequest) -> Result<Decoded, ServiceError> {
    let unknown = |name: &str| {
        error("UnknownOperationException", format!("The action {name} is not valid for this endpoint."))
            .with_status(404)
    };
    let target = header(&wire.headers, "x-amz-target").unwrap_or_default();
    let name = target.strip_prefix("AmazonSQS.").ok_or_else(|| unknown(target))?;
    if wire.method != "POST" || !OPERATIONS.contains(&name) {
        return Err(unknown(name));
    }
    if wire.body.len() > MAX_BODY_BYTES {
        return Err(error("RequestEntityTooLarge", "The request is too large.").with_status(413));
    }
    let body: &[u8] = if wire.body.is_empty() { b"{}" } else { &wire.body };
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut members)) => {
            members.remove(LOCAL_HOST);
            if let Some(host) = header(&wire.headers, "host").filter(|host| is_local(host)) {
                members.insert(LOCAL_HOST.to_owned(), json!(host));
            }
            Ok(Decoded { operation: name.to_owned(), request: Value::Object(members) })
        }
        _ => Err(wrong_type("The request", "a JSON object")),
    }
}

pub fn encode(result: &Result<Answer, ServiceError>) -> Encoded {
    const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
    match result {
        Ok(answer) => {
            let body = if answer.body.is_null() { "{}".to_owned() } else { answer.body.to_string() };
            Encoded {
                status: 200,
                content_type: CONTENT_TYPE,
                headers: answer.headers.clone(),
                body: body.into_bytes(),
            }
        }
        Err(error) => {
            let fault = if error.status >= 500 { "Receiver" } else { "Sender" };
            let headers = error
                .query_code
                .map(|code| ("x-amzn-query-error".to_owned(), format!("{code};{fault}")))
                .into_iter()
                .collect();
            let body = json!({"__type": type_name(&error.code), "message": error.message}).to_string();
            Encoded { status: error.status, content_type: CONTENT_TYPE, headers, body: body.into_bytes() }
        }
    }
}

/// Errors that the API's model knows have its namespace; those of the framework have the framework's.
fn type_name(code: &str) -> String {
    match code {
        "InvalidParameterValue" => "com.amazon.coral.service#InvalidParameterValueException".to_owned(),
        "MissingParameter" => "com.amazon.coral.service#MissingRequiredParameterException".to_owned(),
        "SerializationException"
        | "UnknownOperationException"
        | "ThrottlingException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "MissingAuthenticationToken" => format!("com.amazon.coral.service#{code}"),
        _ => format!("com.amazonaws.sqs#{code}"),
    }
}
