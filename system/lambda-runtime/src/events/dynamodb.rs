//! A table's item, as a stream record shows it, read as an event. Attribute names are the storage format of the event
//! table.

use nexus_ports::{EventEnvelope, EventRecord, Version};
use serde_json::Value;

/// The event that an item holds; `None` if an attribute is missing or of another type.
pub(super) fn event_record(image: &Value) -> Option<EventRecord> {
    Some(EventRecord {
        stream: text(image, "pk")?.parse().ok()?,
        version: Version(number(image, "sk")?),
        event_id: text(image, "event_id")?.to_owned(),
        event_type: text(image, "event_type")?.to_owned(),
        schema_version: number(image, "schema_version")?,
        payload: text(image, "payload")?.to_owned(),
        recorded_at_ms: number(image, "recorded_at_ms")?,
        envelope: EventEnvelope {
            command_id: text(image, "command_id")?.to_owned(),
            causation_id: text(image, "causation_id")?.to_owned(),
            correlation_id: text(image, "correlation_id")?.to_owned(),
            trace_context: match image.get("trace_context") {
                None => None,
                Some(_) => Some(text(image, "trace_context")?.to_owned()),
            },
        },
        previous_hash: text(image, "previous_hash")?.to_owned(),
        hash: text(image, "hash")?.to_owned(),
    })
}

pub(super) fn text<'a>(image: &'a Value, attribute: &str) -> Option<&'a str> {
    image.get(attribute)?.get("S")?.as_str()
}

fn number<T: std::str::FromStr>(image: &Value, attribute: &str) -> Option<T> {
    image.get(attribute)?.get("N")?.as_str()?.parse().ok()
}
