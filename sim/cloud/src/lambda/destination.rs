//! Notices about discarded batches: metadata only, in the form that Lambda sends to queues and topics.

use serde_json::{Value, json};

use super::{desk::Desk, lane::Batch, profile::Profile, source::SourceKind};
use crate::interface::{Service, UnixNanos};

/// Why a batch was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
    /// The stream's retention ended while the function still failed.
    RecordExpired,
}

impl Condition {
    pub fn name(self) -> &'static str {
        match self {
            Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Condition::RecordAgeExceeded => "RecordAgeExceeded",
            Condition::RecordExpired => "RecordExpired",
        }
    }
}

/// The notice's text.
pub fn notice(desk: &Desk<'_, '_>, profile: &Profile, shard: &str, batch: &Batch, condition: Condition) -> String {
    let first = batch.items.first();
    let last = batch.items.last();
    let sequence = |item: Option<&super::records::StreamItem>| item.map(|item| item.sequence.clone());
    let arrival = |item: Option<&super::records::StreamItem>| item.map(|item| instant(item.arrived_at));
    let info = json!({
        "shardId": shard,
        "startSequenceNumber": sequence(first),
        "endSequenceNumber": sequence(last),
        "approximateArrivalOfFirstRecord": arrival(first),
        "approximateArrivalOfLastRecord": arrival(last),
        "batchSize": batch.items.len(),
        "streamArn": profile.source.arn,
    });
    let member = match profile.source.kind {
        SourceKind::DynamodbStream => "DDBStreamBatchInfo",
        _ => "KinesisBatchInfo",
    };
    let mut notice = json!({
        "requestContext": {
            "requestId": batch.last_request_id,
            "functionArn": desk.function_arn(&profile.function),
            "condition": condition.name(),
            "approximateInvokeCount": batch.invocations,
        },
        "version": "1.0",
        "timestamp": instant(desk.now()),
        member: info,
    });
    if batch.errors > 0 {
        notice["responseContext"] =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
    }
    notice.to_string()
}

fn instant(at: UnixNanos) -> String {
    format!("{}Z", crate::wire::iso_8601_ms(at))
}

/// The call that brings a notice to its destination.
pub fn delivery(arn: &str, region: &str, notice: &str) -> (Service, &'static str, Value) {
    if arn.contains(":sns:") {
        return (Service::Sns, "Publish", json!({"TopicArn": arn, "Message": notice}));
    }
    let mut parts = arn.rsplit(':');
    let (name, account_id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let url = format!("https://sqs.{region}.amazonaws.com/{account_id}/{name}");
    (Service::Sqs, "SendMessage", json!({"QueueUrl": url, "MessageBody": notice}))
}
