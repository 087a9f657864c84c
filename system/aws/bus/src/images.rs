//! Records of a table's change stream as the bodies that consumers read.

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamRecord};
use aws_smithy_types::base64;
use nexus_aws::{StoredAttribute, event_record};
use serde_json::{Map, Value, json};

/// Reads one SDK's attribute through the other crate's eyes.
struct ImageAttribute<'a>(&'a AttributeValue);

impl StoredAttribute for ImageAttribute<'_> {
    fn text(&self) -> Option<&str> {
        self.0.as_s().ok().map(String::as_str)
    }

    fn number(&self) -> Option<&str> {
        self.0.as_n().ok().map(String::as_str)
    }
}

/// JSON of the [`EventRecord`](nexus_ports::EventRecord) that was inserted. Anything else keeps DynamoDB's own JSON,
/// which no event is written in, so that consumers park it: an image that is no event, and a change or removal of an item,
/// which never happens to events.
pub(crate) fn body(table: &str, record: &Record, change: &StreamRecord) -> Vec<u8> {
    if record.event_name() == Some(&OperationType::Insert)
        && let Some(image) = change.new_image()
        && let Ok(event) = event_record(table, |name| image.get(name).map(ImageAttribute))
        && let Ok(body) = serde_json::to_vec(&event)
    {
        return body;
    }
    raw(record, change).to_string().into_bytes()
}

/// The name of the event's stream, or whatever identifies the item.
pub(crate) fn partition_key(change: &StreamRecord) -> Option<String> {
    match change.keys()?.get("pk")? {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        other => Some(attribute_json(other).to_string()),
    }
}

/// The record as the service's documentation writes it.
fn raw(record: &Record, change: &StreamRecord) -> Value {
    let mut content = Map::new();
    let images = [("Keys", change.keys()), ("NewImage", change.new_image()), ("OldImage", change.old_image())];
    for (name, image) in images {
        if let Some(image) = image {
            let attributes = image.iter().map(|(name, value)| (name.clone(), attribute_json(value)));
            content.insert(name.to_owned(), Value::Object(attributes.collect()));
        }
    }
    if let Some(number) = change.sequence_number() {
        content.insert("SequenceNumber".to_owned(), json!(number));
    }
    json!({"eventName": record.event_name().map(OperationType::as_str), "dynamodb": content})
}

fn attribute_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::B(bytes) => json!({"B": base64::encode(bytes)}),
        AttributeValue::Bool(truth) => json!({"BOOL": truth}),
        AttributeValue::Bs(set) => json!({"BS": set.iter().map(base64::encode).collect::<Vec<_>>()}),
        AttributeValue::L(values) => json!({"L": values.iter().map(attribute_json).collect::<Vec<_>>()}),
        AttributeValue::M(values) => {
            let values = values.iter().map(|(name, value)| (name.clone(), attribute_json(value)));
            json!({"M": Value::Object(values.collect())})
        }
        AttributeValue::N(digits) => json!({"N": digits}),
        AttributeValue::Ns(set) => json!({"NS": set}),
        AttributeValue::Null(truth) => json!({"NULL": truth}),
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::Ss(set) => json!({"SS": set}),
        // A type that came after this SDK: that it was there is all that can be told.
        _ => json!({"unknown": true}),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::Blob;

    use super::*;

    #[test]
    fn every_type_of_attribute_is_written_as_dynamodb_writes_it() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let table = [
            (text("a"), json!({"S": "a"})),
            (AttributeValue::N("1.5".to_owned()), json!({"N": "1.5"})),
            (AttributeValue::B(Blob::new(b"abc")), json!({"B": "YWJj"})),
            (AttributeValue::Bool(true), json!({"BOOL": true})),
            (AttributeValue::Null(true), json!({"NULL": true})),
            (AttributeValue::Ss(vec!["a".to_owned()]), json!({"SS": ["a"]})),
            (AttributeValue::Ns(vec!["1".to_owned()]), json!({"NS": ["1"]})),
            (AttributeValue::Bs(vec![Blob::new(b"a")]), json!({"BS": ["YQ=="]})),
            (AttributeValue::L(vec![text("a")]), json!({"L": [{"S": "a"}]})),
            (AttributeValue::M([("k".to_owned(), text("a"))].into_iter().collect()), json!({"M": {"k": {"S": "a"}}})),
        ];
        for (value, wanted) in table {
            assert_eq!(attribute_json(&value), wanted);
        }
    }
}
