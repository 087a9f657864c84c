//! Records as DynamoDB items and back. Attribute names here are the storage format: they can only be added to.

use aws_sdk_dynamodb::types::AttributeValue;
use nexus_ports::{
    EventEnvelope, EventRecord, IdempotencyRecord, RecordedOutcome, UnreadableRecord, Version, VersionRange,
};

/// Attributes in a fixed order; the SDK wants them as a map of its own.
pub(crate) type Attributes = Vec<(&'static str, AttributeValue)>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn event_item(event: &EventRecord) -> Attributes {
    let mut item = vec![
        ("pk", text(event.stream.as_str())),
        ("sk", number(event.version.0)),
        ("event_id", text(&event.event_id)),
        ("event_type", text(&event.event_type)),
        ("schema_version", number(event.schema_version.into())),
        ("payload", text(&event.payload)),
        ("recorded_at_ms", number(event.recorded_at_ms)),
        ("command_id", text(&event.envelope.command_id)),
        ("causation_id", text(&event.envelope.causation_id)),
        ("correlation_id", text(&event.envelope.correlation_id)),
        ("previous_hash", text(&event.previous_hash)),
        ("hash", text(&event.hash)),
    ];
    if let Some(trace_context) = &event.envelope.trace_context {
        item.push(("trace_context", text(trace_context)));
    }
    item
}

pub(crate) fn idempotency_item(record: &IdempotencyRecord) -> Attributes {
    let mut item = vec![
        ("pk", text(&record.key)),
        ("payload_digest", text(&record.payload_digest)),
        ("outcome", text(record.outcome.as_str())),
        ("answer", text(&record.answer)),
        ("stream", text(record.stream.as_str())),
        ("event_ids", AttributeValue::L(record.event_ids.iter().map(text).collect())),
        ("recorded_at_ms", number(record.recorded_at_ms)),
    ];
    if let Some(versions) = record.versions {
        item.push(("first_version", number(versions.first.0)));
        item.push(("last_version", number(versions.last.0)));
    }
    item
}

/// An attribute's value as whoever reads items sees it: each SDK crate that returns items has a type of its own.
pub trait StoredAttribute {
    fn text(&self) -> Option<&str>;
    /// The digits of a number.
    fn number(&self) -> Option<&str>;
}

impl StoredAttribute for &AttributeValue {
    fn text(&self) -> Option<&str> {
        self.as_s().ok().map(String::as_str)
    }

    fn number(&self) -> Option<&str> {
        self.as_n().ok().map(String::as_str)
    }
}

/// Reads an event's item, from the table or from an image in its change stream.
///
/// `get` finds an attribute by name; `table` is for the error.
///
/// # Errors
/// [`UnreadableRecord`] where an attribute is missing or of another type.
pub fn event_record<V: StoredAttribute>(
    table: &str,
    get: impl Fn(&str) -> Option<V>,
) -> Result<EventRecord, UnreadableRecord> {
    let item = Item { table, get };
    Ok(EventRecord {
        stream: item.parsed("pk")?,
        version: Version(item.number("sk")?),
        event_id: item.text("event_id")?,
        event_type: item.text("event_type")?,
        schema_version: item.number("schema_version")?,
        payload: item.text("payload")?,
        recorded_at_ms: item.number("recorded_at_ms")?,
        envelope: EventEnvelope {
            command_id: item.text("command_id")?,
            causation_id: item.text("causation_id")?,
            correlation_id: item.text("correlation_id")?,
            trace_context: item.optional("trace_context", |item| item.text("trace_context"))?,
        },
        previous_hash: item.text("previous_hash")?,
        hash: item.text("hash")?,
    })
}

/// Reads an idempotency record's item.
pub(crate) fn idempotency_record<'a>(
    table: &str,
    get: impl Fn(&str) -> Option<&'a AttributeValue>,
) -> Result<IdempotencyRecord, UnreadableRecord> {
    let item = Item { table, get };
    let outcome = match item.text("outcome")?.as_str() {
        "accepted" => RecordedOutcome::Accepted,
        "refused" => RecordedOutcome::Refused,
        _ => return Err(item.unreadable("outcome")),
    };
    let versions = item.optional("first_version", |item| {
        Ok(VersionRange { first: Version(item.number("first_version")?), last: Version(item.number("last_version")?) })
    })?;
    Ok(IdempotencyRecord {
        key: item.text("pk")?,
        payload_digest: item.text("payload_digest")?,
        outcome,
        answer: item.text("answer")?,
        stream: item.parsed("stream")?,
        versions,
        event_ids: item.texts("event_ids")?,
        recorded_at_ms: item.number("recorded_at_ms")?,
    })
}

/// One item under a reader's eyes. Its errors name `table` and, as far as they are there, `pk` and `sk`.
pub(crate) struct Item<'t, Get> {
    pub(crate) table: &'t str,
    pub(crate) get: Get,
}

impl<V: StoredAttribute, Get: Fn(&str) -> Option<V>> Item<'_, Get> {
    pub(crate) fn text(&self, name: &str) -> Result<String, UnreadableRecord> {
        let value = (self.get)(name);
        value.as_ref().and_then(V::text).map(str::to_owned).ok_or_else(|| self.unreadable(name))
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T, UnreadableRecord> {
        self.text(name)?.parse().map_err(|_| self.unreadable(name))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, UnreadableRecord> {
        let value = (self.get)(name);
        let digits = value.as_ref().and_then(V::number);
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| self.unreadable(name))
    }

    pub(crate) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self) -> Result<T, UnreadableRecord>,
    ) -> Result<Option<T>, UnreadableRecord> {
        (self.get)(name).map(|_| read(self)).transpose()
    }

    pub(crate) fn unreadable(&self, attribute: &str) -> UnreadableRecord {
        let key = |name| match (self.get)(name) {
            Some(value) => value.text().or(value.number()).map(|key| format!("/{key}")).unwrap_or_default(),
            None => String::new(),
        };
        UnreadableRecord { item: format!("{}{}{}", self.table, key("pk"), key("sk")), attribute: attribute.to_owned() }
    }
}

impl<'a, Get: Fn(&str) -> Option<&'a AttributeValue>> Item<'_, Get> {
    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, UnreadableRecord> {
        let Some(AttributeValue::L(values)) = (self.get)(name) else { return Err(self.unreadable(name)) };
        values.iter().map(|value| value.as_s().cloned().map_err(|_| self.unreadable(name))).collect()
    }
}
