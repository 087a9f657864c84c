//! Batches of an SQS queue, as messages.

use nexus_ports::QueueMessage;
use serde_json::Value;

use super::{MalformedEvent, Record, records};

/// One batch of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEvent {
    /// Order matters within a group, so that nothing after a failure may be worked on.
    pub is_fifo: bool,
    pub messages: Vec<QueueMessage>,
}

/// Reads the event of a mapping of SQS. Attributes that are not text are left out.
///
/// # Errors
/// [`MalformedEvent`] if the payload is of another kind.
pub fn queue_event(payload: &Value) -> Result<QueueEvent, MalformedEvent> {
    let records = records(payload)?;
    let messages = records.iter().map(message).collect::<Result<_, _>>()?;
    let is_fifo = records.iter().any(|record| {
        record.text("/eventSourceARN").is_ok_and(|queue| queue.ends_with(".fifo"))
            || record.find("/attributes/MessageGroupId").is_some()
    });
    Ok(QueueEvent { is_fifo, messages })
}

fn message(record: &Record<'_>) -> Result<QueueMessage, MalformedEvent> {
    Ok(QueueMessage {
        message_id: record.text("/messageId")?.to_owned(),
        receipt_handle: record.text("/receiptHandle")?.to_owned(),
        body: record.text("/body")?.to_owned(),
        attributes: text_attributes(record),
        receive_count: number(record, "/attributes/ApproximateReceiveCount")?,
        sent_at_ms: number(record, "/attributes/SentTimestamp")?,
    })
}

/// Sorted by name, whatever map JSON was read into.
fn text_attributes(record: &Record<'_>) -> Vec<(String, String)> {
    let attributes = record.find("/messageAttributes").and_then(Value::as_object);
    let text = |attribute: &Value| attribute.get("stringValue").and_then(Value::as_str).map(str::to_owned);
    let mut attributes: Vec<_> = attributes
        .into_iter()
        .flatten()
        .filter_map(|(name, attribute)| Some((name.clone(), text(attribute)?)))
        .collect();
    attributes.sort();
    attributes
}

fn number<T: std::str::FromStr>(record: &Record<'_>, path: &str) -> Result<T, MalformedEvent> {
    record.text(path)?.parse().map_err(|_| record.malformed(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(queue: &str) -> Value {
        json!({
            "messageId": "m-1", "receiptHandle": "r-1", "body": "b",
            "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1700000000123"},
            "messageAttributes": {
                "event_type": {"stringValue": "CartAbandoned", "dataType": "String"},
                "event_id": {"stringValue": "e", "dataType": "String"},
                "picture": {"binaryValue": "AA==", "dataType": "Binary"},
            },
            "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:1:{queue}"),
        })
    }

    #[test]
    fn messages_are_read_with_their_text_attributes() {
        let event = queue_event(&json!({"Records": [record("nexus-notifications")]})).unwrap();
        let attributes =
            vec![("event_id".to_owned(), "e".to_owned()), ("event_type".to_owned(), "CartAbandoned".to_owned())];
        let wanted = QueueMessage {
            message_id: "m-1".to_owned(),
            receipt_handle: "r-1".to_owned(),
            body: "b".to_owned(),
            attributes,
            receive_count: 3,
            sent_at_ms: 1_700_000_000_123,
        };
        assert_eq!(event, QueueEvent { is_fifo: false, messages: vec![wanted] });
    }

    #[test]
    fn a_queue_with_order_is_told() {
        let mut grouped = record("q");
        grouped["attributes"]["MessageGroupId"] = json!("g");
        for (record, wanted) in [(record("q"), false), (record("q.fifo"), true), (grouped, true)] {
            assert_eq!(queue_event(&json!({"Records": [record]})).unwrap().is_fifo, wanted);
        }
    }

    #[test]
    fn another_kind_of_event_is_told() {
        let without = |pointer: &str, name: &str| {
            let mut record = record("q");
            record.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
            json!({"Records": [record]})
        };
        for (payload, what) in [
            (json!([]), "Records"),
            (without("", "messageId"), "Records[0].messageId"),
            (without("", "body"), "Records[0].body"),
            (without("/attributes", "SentTimestamp"), "Records[0].attributes.SentTimestamp"),
        ] {
            assert_eq!(queue_event(&payload), Err(MalformedEvent { what: what.to_owned() }));
        }
    }
}
