//! What injected refusals look like to a caller.

use crate::{
    dynamodb::{
        DynamoDb,
        capacity::{Direction, throttled_at},
        errors::{CancellationReason, DynamodbError, ThrottlingReason},
    },
    interface::{Call, RefuseBefore, Service},
};

/// Calls that can be done in part.
pub fn is_batch(call: &Call) -> bool {
    matches!(call.operation.as_str(), "BatchWriteItem" | "BatchGetItem")
}

/// ARN of the table that a call's first key lies in; of all tables when the call names none.
pub fn resource(call: &Call, dynamodb: &DynamoDb) -> String {
    let table = call.keys.first().and_then(|key| key.split('/').next()).unwrap_or("*");
    format!("arn:aws:dynamodb:{}:{}:table/{table}", dynamodb.region, dynamodb.account_id)
}

/// The error that stands for a refusal; inside a transaction most become a reason of its cancellation.
pub fn refusal(refusal: RefuseBefore, call: &Call, resource: String) -> DynamodbError {
    let direction = if call.is_write { Direction::Write } else { Direction::Read };
    match refusal {
        // Streams know no key ranges: their reads are limited as a whole.
        RefuseBefore::ThrottleKeyRange | RefuseBefore::PartialBatch if call.service == Service::DynamodbStreams => {
            DynamodbError::LimitExceeded { message: "Rate of requests exceeds the allowed throughput.".into() }
        }
        RefuseBefore::ThrottleKeyRange | RefuseBefore::PartialBatch if call.is_transaction => {
            cancelled(call, throttled_at(&resource, false, direction, "KeyRangeThroughputExceeded"))
        }
        RefuseBefore::ThrottleKeyRange | RefuseBefore::PartialBatch => {
            throttled_at(&resource, false, direction, "KeyRangeThroughputExceeded")
        }
        RefuseBefore::ThrottleAccount => {
            let way = if call.is_write { "Write" } else { "Read" };
            DynamodbError::Throttling {
                message: "Throughput exceeds the current throughput limit for your account.".into(),
                reasons: vec![ThrottlingReason { reason: format!("Table{way}AccountLimitExceeded"), resource }],
            }
        }
        RefuseBefore::RequestLimitExceeded => DynamodbError::RequestLimitExceeded,
        RefuseBefore::TransactionConflict if call.is_transaction => cancelled(call, DynamodbError::TransactionConflict),
        RefuseBefore::TransactionConflict => DynamodbError::TransactionConflict,
        RefuseBefore::TransactionInProgress => DynamodbError::TransactionInProgress,
        RefuseBefore::InternalServerError
        | RefuseBefore::ServiceUnavailableHtml
        | RefuseBefore::Reset
        | RefuseBefore::Hang => DynamodbError::InternalServerError,
    }
}

/// A cancellation of which the first item is to blame.
fn cancelled(call: &Call, error: DynamodbError) -> DynamodbError {
    let mut reasons = vec![CancellationReason::none(); call.keys.len().max(1)];
    let message = Some(error.to_string());
    let code = match error {
        DynamodbError::TransactionConflict => "TransactionConflict",
        _ => "ProvisionedThroughputExceeded",
    };
    reasons[0] = CancellationReason { code, message, item: None };
    DynamodbError::TransactionCanceled { reasons }
}
