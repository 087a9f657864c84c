//! What DynamoDB and DynamoDB Streams refuse, one variant per error code, and how it looks on the wire.

use std::sync::Arc;

use super::value::{Item, write_item};
use crate::wire::json::{ShapeError, write_string};

/// One entry of `CancellationReasons`, in the order of the request's items.
#[derive(Clone, Debug, PartialEq)]
pub struct CancellationReason {
    /// `None` (the literal word) where this item had no part in the cancellation.
    pub code: &'static str,
    pub message: Option<String>,
    /// The stored item, when the request asked for it.
    pub item: Option<Arc<Item>>,
}

impl CancellationReason {
    pub fn none() -> Self {
        Self { code: "None", message: None, item: None }
    }
}

/// Which limit was hit, as `ThrottlingReasons` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottlingReason {
    /// Like `TableWriteKeyRangeThroughputExceeded`.
    pub reason: String,
    /// ARN of the table or index.
    pub resource: String,
}

/// An answer other than success. The display is the message on the wire.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DynamodbError {
    #[error("{message}")]
    Validation { message: String },
    /// Found before anything runs, so that even a transaction fails as a whole.
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {name}"
    )]
    EmptyKeyValue { kind: &'static str, name: String },
    #[error("{message}")]
    Serialization { message: String },
    #[error("The conditional request failed")]
    ConditionalCheckFailed { item: Option<Arc<Item>> },
    #[error("{}", cancellation_message(.reasons))]
    TransactionCanceled { reasons: Vec<CancellationReason> },
    #[error("Transaction is ongoing for the item")]
    TransactionConflict,
    #[error("The transaction with the given request token is already in progress.")]
    TransactionInProgress,
    #[error("The request token was already used with other parameters")]
    IdempotentParameterMismatch,
    #[error("{message}")]
    ResourceNotFound { message: String },
    #[error("{message}")]
    ResourceInUse { message: String },
    #[error("{message}")]
    LimitExceeded { message: String },
    #[error("{message}")]
    ProvisionedThroughputExceeded { message: String, reasons: Vec<ThrottlingReason> },
    #[error("{message}")]
    Throttling { message: String, reasons: Vec<ThrottlingReason> },
    #[error("Throughput exceeds the current throughput limit for your account.")]
    RequestLimitExceeded,
    #[error("The service could not process the request; whether it took effect is not known")]
    InternalServerError,
    #[error("{message}")]
    UnknownOperation { message: String },
    #[error(
        "User: arn:aws:sts::000000000000:assumed-role/simulated is not authorized to perform: {action} on resource: {resource} with an explicit deny in a resource-based policy"
    )]
    AccessDenied { action: String, resource: String },
    #[error("The resource-based policy was not found, or its revision is another")]
    PolicyNotFound,
    #[error("Request is missing Authentication Token")]
    MissingAuthenticationToken,
    #[error(
        "Iterator expired. The iterator was created at time {created} while now is {now} which is further in the future than the tolerated delay of 900000 milliseconds."
    )]
    ExpiredIterator { created: String, now: String },
    #[error("The operation attempted to read past the oldest stream record in a shard.")]
    TrimmedDataAccess,
}

fn cancellation_message(reasons: &[CancellationReason]) -> String {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
    format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "))
}

impl From<ShapeError> for DynamodbError {
    fn from(error: ShapeError) -> Self {
        Self::Serialization { message: error.message }
    }
}

const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";
const CORAL_VALIDATE: &str = "com.amazon.coral.validate#";
const CORAL_SERVICE: &str = "com.amazon.coral.service#";

impl DynamodbError {
    pub fn validation(message: impl Into<String>) -> Self {
        Self::Validation { message: message.into() }
    }

    /// A ValidationException with the words that most of them begin with.
    pub fn invalid_parameter(message: impl AsRef<str>) -> Self {
        Self::validation(format!("One or more parameter values were invalid: {}", message.as_ref()))
    }

    pub fn serialization(message: impl Into<String>) -> Self {
        Self::Serialization { message: message.into() }
    }

    pub fn table_not_found() -> Self {
        Self::ResourceNotFound { message: "Requested resource not found".into() }
    }

    pub fn table_not_found_named(table: &str) -> Self {
        Self::ResourceNotFound { message: format!("Requested resource not found: Table: {table} not found") }
    }

    pub fn throughput_exceeded(reasons: Vec<ThrottlingReason>) -> Self {
        let message = match reasons.first() {
            Some(first) if first.reason.contains("KeyRange") => {
                "Throughput exceeds the maximum OnDemandThroughput or partition limit configured on table or index"
                    .to_owned()
            }
            _ => "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                  provisioning level with the UpdateTable API."
                .to_owned(),
        };
        Self::ProvisionedThroughputExceeded { message, reasons }
    }

    /// The code without its namespace, as SDKs read it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } | Self::EmptyKeyValue { .. } => "ValidationException",
            Self::Serialization { .. } => "SerializationException",
            Self::ConditionalCheckFailed { .. } => "ConditionalCheckFailedException",
            Self::TransactionCanceled { .. } => "TransactionCanceledException",
            Self::TransactionConflict => "TransactionConflictException",
            Self::TransactionInProgress => "TransactionInProgressException",
            Self::IdempotentParameterMismatch => "IdempotentParameterMismatchException",
            Self::ResourceNotFound { .. } => "ResourceNotFoundException",
            Self::ResourceInUse { .. } => "ResourceInUseException",
            Self::LimitExceeded { .. } => "LimitExceededException",
            Self::ProvisionedThroughputExceeded { .. } => "ProvisionedThroughputExceededException",
            Self::Throttling { .. } => "ThrottlingException",
            Self::RequestLimitExceeded => "RequestLimitExceeded",
            Self::InternalServerError => "InternalServerError",
            Self::UnknownOperation { .. } => "UnknownOperationException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::PolicyNotFound => "PolicyNotFoundException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::ExpiredIterator { .. } => "ExpiredIteratorException",
            Self::TrimmedDataAccess => "TrimmedDataAccessException",
        }
    }

    fn namespace(&self) -> &'static str {
        match self {
            Self::Validation { .. } | Self::EmptyKeyValue { .. } => CORAL_VALIDATE,
            Self::Serialization { .. }
            | Self::UnknownOperation { .. }
            | Self::MissingAuthenticationToken
            | Self::AccessDenied { .. }
            | Self::Throttling { .. } => CORAL_SERVICE,
            _ => DYNAMODB,
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::InternalServerError => 500,
            _ => 400,
        }
    }

    pub fn cancellation_codes(&self) -> Vec<String> {
        match self {
            Self::TransactionCanceled { reasons } => reasons.iter().map(|reason| reason.code.to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// The body of the answer.
    pub fn to_body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(b"{\"__type\":\"");
        out.extend_from_slice(self.namespace().as_bytes());
        out.extend_from_slice(self.code().as_bytes());
        out.push(b'"');
        // Unknown operations are answered without a message, errors of the protocol layer under a capital.
        let key = match self {
            Self::UnknownOperation { message } if message.is_empty() => None,
            Self::Serialization { .. } | Self::TransactionCanceled { .. } => Some("Message"),
            _ => Some("message"),
        };
        if let Some(key) = key {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            write_string(&mut out, &self.to_string());
        }
        self.write_details(&mut out);
        out.push(b'}');
        out
    }

    fn write_details(&self, out: &mut Vec<u8>) {
        match self {
            Self::ConditionalCheckFailed { item: Some(item) } => {
                out.extend_from_slice(b",\"Item\":");
                write_item(out, item);
            }
            Self::TransactionCanceled { reasons } => {
                out.extend_from_slice(b",\"CancellationReasons\":[");
                for (index, reason) in reasons.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_reason(out, reason);
                }
                out.push(b']');
            }
            Self::ProvisionedThroughputExceeded { reasons, .. } => write_throttling(out, "ThrottlingReasons", reasons),
            Self::Throttling { reasons, .. } => write_throttling(out, "throttlingReasons", reasons),
            _ => {}
        }
    }
}

fn write_reason(out: &mut Vec<u8>, reason: &CancellationReason) {
    out.extend_from_slice(b"{\"Code\":");
    write_string(out, reason.code);
    if let Some(message) = &reason.message {
        out.extend_from_slice(b",\"Message\":");
        write_string(out, message);
    }
    if let Some(item) = &reason.item {
        out.extend_from_slice(b",\"Item\":");
        write_item(out, item);
    }
    out.push(b'}');
}

fn write_throttling(out: &mut Vec<u8>, name: &str, reasons: &[ThrottlingReason]) {
    out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
    for (index, entry) in reasons.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"reason\":" } else { b"{\"reason\":" });
        write_string(out, &entry.reason);
        out.extend_from_slice(b",\"resource\":");
        write_string(out, &entry.resource);
        out.push(b'}');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_carry_code_message_and_details() {
        let cancelled = DynamodbError::TransactionCanceled {
            reasons: vec![
                CancellationReason::none(),
                CancellationReason {
                    code: "ConditionalCheckFailed",
                    message: Some("The conditional request failed".into()),
                    item: Some(Arc::new(Item::from([("a".into(), super::super::value::AttributeValue::Bool(true))]))),
                },
            ],
        };
        let body: serde_json::Value = serde_json::from_slice(&cancelled.to_body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]",
                "CancellationReasons": [
                    {"Code": "None"},
                    {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": {"a": {"BOOL": true}}},
                ],
            })
        );
        assert_eq!(cancelled.cancellation_codes(), ["None", "ConditionalCheckFailed"]);
        let throttled = DynamodbError::throughput_exceeded(vec![ThrottlingReason {
            reason: "TableWriteKeyRangeThroughputExceeded".into(),
            resource: "arn".into(),
        }]);
        let body: serde_json::Value = serde_json::from_slice(&throttled.to_body()).unwrap();
        assert_eq!(body["ThrottlingReasons"][0]["reason"], "TableWriteKeyRangeThroughputExceeded");
    }
}
