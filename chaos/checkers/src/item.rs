//! Items of the two tables, read from DynamoDB JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{CheckInput, StorageWrite};

/// One event as it lies in storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    pub stream: String,
    pub version: u64,
    pub event_id: String,
    pub event_type: String,
    pub schema_version: u64,
    /// JSON text.
    pub payload: String,
    pub recorded_at_ms: u64,
    pub command_id: String,
    pub causation_id: String,
    pub correlation_id: String,
    pub trace_context: Option<String>,
    pub previous_hash: String,
    pub hash: String,
}

/// The answer kept under one idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAnswer {
    pub key: String,
    pub payload_digest: String,
    pub is_accepted: bool,
    pub stream: String,
    pub first_version: Option<u64>,
    pub last_version: Option<u64>,
    pub event_ids: Vec<String>,
}

/// An attribute is missing or has another type than the storage format says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute `{attribute}` is missing or of another type")]
pub(crate) struct UnreadableItem {
    pub attribute: &'static str,
}

impl StoredEvent {
    pub(crate) fn read(image: &Value) -> Result<Self, UnreadableItem> {
        Ok(Self {
            stream: text(image, "pk")?,
            version: number(image, "sk")?,
            event_id: text(image, "event_id")?,
            event_type: text(image, "event_type")?,
            schema_version: number(image, "schema_version")?,
            payload: text(image, "payload")?,
            recorded_at_ms: number(image, "recorded_at_ms")?,
            command_id: text(image, "command_id")?,
            causation_id: text(image, "causation_id")?,
            correlation_id: text(image, "correlation_id")?,
            trace_context: image.get("trace_context").map(|_| text(image, "trace_context")).transpose()?,
            previous_hash: text(image, "previous_hash")?,
            hash: text(image, "hash")?,
        })
    }

    /// The payload as JSON; `Null` where it is none, which no shape accepts.
    pub(crate) fn payload_json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap_or(Value::Null)
    }

    /// `stream version 3 (OrderPlaced)`, for evidence.
    pub(crate) fn label(&self) -> String {
        format!("{} version {} ({}, event {})", self.stream, self.version, self.event_type, self.event_id)
    }
}

impl StoredAnswer {
    pub(crate) fn read(image: &Value) -> Result<Self, UnreadableItem> {
        let outcome = text(image, "outcome")?;
        let optional = |name| image.get(name).map(|_| number(image, name)).transpose();
        Ok(Self {
            key: text(image, "pk")?,
            payload_digest: text(image, "payload_digest")?,
            is_accepted: match outcome.as_str() {
                "accepted" => true,
                "refused" => false,
                _ => return Err(UnreadableItem { attribute: "outcome" }),
            },
            stream: text(image, "stream")?,
            first_version: optional("first_version")?,
            last_version: optional("last_version")?,
            event_ids: texts(image, "event_ids")?,
        })
    }
}

pub(crate) fn text(image: &Value, attribute: &'static str) -> Result<String, UnreadableItem> {
    image[attribute]["S"].as_str().map(str::to_owned).ok_or(UnreadableItem { attribute })
}

pub(crate) fn number(image: &Value, attribute: &'static str) -> Result<u64, UnreadableItem> {
    image[attribute]["N"].as_str().and_then(|digits| digits.parse().ok()).ok_or(UnreadableItem { attribute })
}

fn texts(image: &Value, attribute: &'static str) -> Result<Vec<String>, UnreadableItem> {
    let items = image[attribute]["L"].as_array().ok_or(UnreadableItem { attribute })?;
    items.iter().map(|item| item["S"].as_str().map(str::to_owned).ok_or(UnreadableItem { attribute })).collect()
}

/// Every image that was put into the event table and can be read, with the write that put it there. What cannot
/// be read is the business of the check on stored shapes.
pub(crate) fn events_written(input: &CheckInput) -> Vec<(&StorageWrite, StoredEvent)> {
    written(input, &input.settings.events_table, |image| StoredEvent::read(image).ok())
}

/// As [`events_written`], for the idempotency table.
pub(crate) fn answers_written(input: &CheckInput) -> Vec<(&StorageWrite, StoredAnswer)> {
    written(input, &input.settings.idempotency_table, |image| StoredAnswer::read(image).ok())
}

fn written<'i, T>(
    input: &'i CheckInput,
    table: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Vec<(&'i StorageWrite, T)> {
    let of_table = input.truth.writes.iter().filter(|write| write.table == table);
    of_table.filter_map(|write| Some((write, read(write.new_image.as_ref()?)?))).collect()
}

/// The events that lie in storage at the end, by stream, ascending by version.
pub(crate) fn final_streams(input: &CheckInput) -> BTreeMap<String, Vec<StoredEvent>> {
    let mut streams: BTreeMap<String, Vec<StoredEvent>> = BTreeMap::new();
    for event in final_images(input, &input.settings.events_table).filter_map(|image| StoredEvent::read(image).ok()) {
        streams.entry(event.stream.clone()).or_default().push(event);
    }
    for events in streams.values_mut() {
        events.sort_by_key(|event| event.version);
    }
    streams
}

/// The images that lie in a table at the end.
pub(crate) fn final_images<'i>(input: &'i CheckInput, table: &str) -> impl Iterator<Item = &'i Value> + use<'i> {
    input.truth.final_items.get(table).into_iter().flatten().map(|image| &**image)
}

/// The key of an event's item as journals write it.
pub(crate) fn event_key(table: &str, event: &StoredEvent) -> String {
    format!("{table}/{}/{}", event.stream, event.version)
}
