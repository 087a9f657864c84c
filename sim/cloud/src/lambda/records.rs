//! Records and messages in the form in which functions see them.

use serde_json::{Map, Value, json};

use super::source::{Source, SourceKind};
use crate::{entropy::hash_text, interface::UnixNanos};

/// A record of a stream, ready to be handed over.
#[derive(Clone, Debug)]
pub struct StreamItem {
    /// Its place among the records of its shard that this mapping read.
    pub ordinal: u64,
    pub sequence: String,
    pub arrived_at: UnixNanos,
    /// What keeps its order decides about its lane: the partition key, or for tables the whole key of the item.
    pub order_hash: u64,
    /// As JSON text.
    pub event: String,
}

/// A message of a queue, ready to be handed over.
#[derive(Clone, Debug)]
pub struct QueueItem {
    pub message_id: String,
    pub receipt_handle: String,
    /// As JSON text.
    pub event: String,
}

/// From a record as its stream's GetRecords shows it. `None` for what has no sequence number.
pub fn stream_event(source: &Source, shard: &str, region: &str, account_id: &str, record: &Value) -> Option<Value> {
    if source.kind == SourceKind::DynamodbStream {
        record["dynamodb"]["SequenceNumber"].as_str()?;
        let mut event = record.clone();
        event["eventSourceARN"] = json!(source.arn);
        if let Some(identity) = event.as_object_mut().and_then(|members| members.remove("userIdentity")) {
            event["userIdentity"] = json!({"type": identity["Type"], "principalId": identity["PrincipalId"]});
        }
        return Some(event);
    }
    let sequence = record["SequenceNumber"].as_str()?;
    Some(json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": sequence,
            "data": record["Data"],
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{shard}:{sequence}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": format!("arn:aws:iam::{account_id}:role/lambda-role"),
        "awsRegion": region,
        "eventSourceARN": source.arn,
    }))
}

/// What a mapping needs to know of an event of a stream.
pub fn stream_item(source: &Source, ordinal: u64, event: &Value) -> StreamItem {
    let (sequence, arrival, order_key) = match source.kind {
        SourceKind::DynamodbStream => {
            let change = &event["dynamodb"];
            (&change["SequenceNumber"], &change["ApproximateCreationDateTime"], change["Keys"].to_string())
        }
        _ => {
            let record = &event["kinesis"];
            let key = record["partitionKey"].as_str().unwrap_or_default().to_owned();
            (&record["sequenceNumber"], &record["approximateArrivalTimestamp"], key)
        }
    };
    StreamItem {
        ordinal,
        sequence: sequence.as_str().unwrap_or_default().to_owned(),
        arrived_at: UnixNanos((arrival.as_f64().unwrap_or(0.0) * 1_000.0).round() as u64 * 1_000_000),
        order_hash: hash_text(&order_key),
        event: event.to_string(),
    }
}

/// From a message as ReceiveMessage shows it.
pub fn queue_event(source: &Source, region: &str, message: &Value) -> Value {
    let mut event = json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes").cloned().unwrap_or_else(|| json!({})),
        "messageAttributes": message_attributes(&message["MessageAttributes"]),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn,
        "awsRegion": region,
    });
    if let Some(digest) = message.get("MD5OfMessageAttributes") {
        event["md5OfMessageAttributes"] = digest.clone();
    }
    event
}

fn message_attributes(attributes: &Value) -> Value {
    let Some(attributes) = attributes.as_object() else { return json!({}) };
    let converted = attributes.iter().map(|(name, attribute)| {
        let mut members = Map::new();
        for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
            if let Some(value) = attribute.get(from) {
                members.insert(to.to_owned(), value.clone());
            }
        }
        members.insert("stringListValues".to_owned(), json!([]));
        members.insert("binaryListValues".to_owned(), json!([]));
        members.insert("dataType".to_owned(), attribute["DataType"].clone());
        (name.clone(), Value::Object(members))
    });
    Value::Object(converted.collect())
}

pub fn queue_item(event: &Value) -> QueueItem {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    QueueItem { message_id: text("messageId"), receipt_handle: text("receiptHandle"), event: event.to_string() }
}

/// The payload of an invocation.
pub fn payload<'e>(events: impl Iterator<Item = &'e str>) -> String {
    let mut text = r#"{"Records":["#.to_owned();
    for (index, event) in events.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(event);
    }
    text.push_str("]}");
    text
}
