//! What event source mappings hand to a function, and what they read from its response.
//!
//! Sources: the pages on DynamoDB, Kinesis and SQS event source mappings of the Lambda developer guide.

mod dynamodb;
mod feed;
mod queue;

use serde_json::{Value, json};

pub use feed::{FeedEvent, feed_event};
pub use queue::{QueueEvent, queue_event};

/// The payload is not what this kind of event source sends: the mapping or the function is wired wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has no readable {what}")]
pub struct MalformedEvent {
    /// For instance `Records[3].kinesis.data`.
    pub what: String,
}

/// The response that tells which items of a batch failed. Streams are read again from the lowest of them on; of a queue
/// only these messages come again. An empty list means that all is done.
pub fn batch_item_failures(items: &[String]) -> Value {
    let failures: Vec<_> = items.iter().map(|item| json!({ "itemIdentifier": item })).collect();
    json!({ "batchItemFailures": failures })
}

/// One record of an event, with its place for errors.
struct Record<'a> {
    index: usize,
    value: &'a Value,
}

fn records(payload: &Value) -> Result<Vec<Record<'_>>, MalformedEvent> {
    let records = payload.get("Records").and_then(Value::as_array);
    let records = records.ok_or_else(|| MalformedEvent { what: "Records".to_owned() })?;
    Ok(records.iter().enumerate().map(|(index, value)| Record { index, value }).collect())
}

impl<'a> Record<'a> {
    /// `path` is a JSON pointer.
    fn find(&self, path: &str) -> Option<&'a Value> {
        self.value.pointer(path)
    }

    fn text(&self, path: &str) -> Result<&'a str, MalformedEvent> {
        self.find(path).and_then(Value::as_str).ok_or_else(|| self.malformed(path))
    }

    fn malformed(&self, path: &str) -> MalformedEvent {
        MalformedEvent { what: format!("Records[{}]{}", self.index, path.replace('/', ".")) }
    }
}
