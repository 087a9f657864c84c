//! Is a record an event that may be routed, and as what?

use nexus_event_store::event_hash;
use nexus_governance::SchemaGate;
use nexus_ports::{EventRecord, StreamEntry, StreamName, TopicMessage, Version};
use serde_json::Value;

use crate::{Destination, RouterSettings, destination, shapes::Shape};

/// Larger versions are never reached and only come from damaged records.
const VERSION_MAX: u64 = u64::MAX >> 1;

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Examined {
    Sound(SoundEvent),
    Poison(PoisonRecord),
}

/// An event that may be routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SoundEvent {
    pub stream: StreamName,
    pub version: Version,
    pub event_id: String,
    pub recorded_at_ms: u64,
    /// What the schema registry must have before the event may go; `None` where there is no registry.
    pub shape: Option<Shape>,
    pub outgoing: Outgoing,
}

/// What is sent for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Stream(StreamEntry),
    Topic(TopicMessage),
}

/// A record that can never be routed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoisonRecord {
    /// Of the aggregate that has to wait: the stream's name, or the record's partition key.
    pub key: String,
    /// Only if the record tells, and tells of this very aggregate.
    pub version: Option<Version>,
    /// Only if it is a type that the router knows: metrics are named by it.
    pub event_type: Option<String>,
    pub detail: String,
    pub body: Vec<u8>,
}

impl Outgoing {
    pub fn destination(&self) -> Destination {
        match self {
            Outgoing::Stream(_) => Destination::Core,
            Outgoing::Topic(_) => Destination::Background,
        }
    }

    /// As the destination counts them.
    pub fn bytes(&self) -> usize {
        match self {
            Outgoing::Stream(entry) => entry.partition_key.len() + entry.data.len(),
            Outgoing::Topic(message) => {
                // The type's name, `String`, counts with each attribute.
                let attributes = message.attributes.iter().map(|(name, value)| name.len() + value.len() + 6);
                message.body.len() + attributes.sum::<usize>()
            }
        }
    }

    /// The event as it was to be sent: what is kept where it could not be.
    pub fn body(&self) -> &[u8] {
        match self {
            Outgoing::Stream(entry) => &entry.data,
            Outgoing::Topic(message) => message.body.as_bytes(),
        }
    }
}

/// Tells events from what must be parked.
#[derive(Clone)]
pub(crate) struct Examiner {
    pub gate: SchemaGate,
    stream_entry_bytes_max: usize,
    message_bytes_max: usize,
}

impl Examiner {
    pub fn new(gate: SchemaGate, settings: &RouterSettings) -> Self {
        let RouterSettings { stream_entry_bytes_max, message_bytes_max, .. } = *settings;
        Self { gate, stream_entry_bytes_max, message_bytes_max }
    }

    /// Examines a record of the feed.
    pub fn examine_record(&self, partition_key: &str, body: Vec<u8>) -> Examined {
        match serde_json::from_slice::<EventRecord>(&body) {
            Ok(event) => self.examine(partition_key, event, Some(body)),
            Err(error) => Examined::Poison(PoisonRecord {
                key: partition_key.to_owned(),
                version: readable_version(partition_key, &body),
                event_type: None,
                detail: format!("the record is not an event: {error}"),
                body,
            }),
        }
    }

    /// Examines an event that was read from the event store.
    pub fn examine_stored(&self, stream: &StreamName, event: EventRecord) -> Examined {
        self.examine(stream.as_str(), event, None)
    }

    fn examine(&self, expected_key: &str, event: EventRecord, body: Option<Vec<u8>>) -> Examined {
        let outgoing = fault_of(&self.gate, &event).and_then(|destination| {
            let outgoing = outgoing(&event, destination);
            let bytes_max = match destination {
                Destination::Core => self.stream_entry_bytes_max,
                Destination::Background => self.message_bytes_max,
            };
            match outgoing.bytes() {
                bytes if bytes > bytes_max => {
                    Err(format!("the event takes {bytes} bytes where the destination takes {bytes_max}"))
                }
                _ => Ok(outgoing),
            }
        });
        match outgoing {
            Err(detail) => Examined::Poison(poison(expected_key, event, detail, body)),
            Ok(outgoing) => Examined::Sound(SoundEvent {
                shape: self
                    .gate
                    .asks_registry()
                    .then_some(Shape { event_type: event.event_type, schema_version: event.schema_version }),
                stream: event.stream,
                version: event.version,
                event_id: event.event_id,
                recorded_at_ms: event.recorded_at_ms,
                outgoing,
            }),
        }
    }
}

/// Everything that must hold before an event may leave. The hash comes first: nothing that a damaged event says of itself
/// can be believed.
fn fault_of(gate: &SchemaGate, event: &EventRecord) -> Result<Destination, String> {
    let computed = event_hash(event);
    if computed != event.hash {
        return Err(format!("the event's hash is {} and should be {computed}", event.hash));
    }
    if !(1..=VERSION_MAX).contains(&event.version.0) {
        return Err(format!("{} is not the version of an event", event.version));
    }
    let destination =
        destination(&event.event_type).ok_or_else(|| format!("event type `{}` is unknown", event.event_type))?;
    let payload: Value =
        serde_json::from_str(&event.payload).map_err(|error| format!("the payload is not JSON: {error}"))?;
    gate.validate(&event.event_type, event.schema_version, &payload).map_err(|rejection| rejection.to_string())?;
    Ok(destination)
}

fn outgoing(event: &EventRecord, destination: Destination) -> Outgoing {
    let text = event_text(event);
    match destination {
        Destination::Core => {
            Outgoing::Stream(StreamEntry { partition_key: event.stream.as_str().to_owned(), data: text.into_bytes() })
        }
        Destination::Background => Outgoing::Topic(TopicMessage {
            body: text,
            attributes: vec![
                ("event_type".to_owned(), event.event_type.clone()),
                ("stream".to_owned(), event.stream.as_str().to_owned()),
                ("event_id".to_owned(), event.event_id.clone()),
            ],
        }),
    }
}

fn event_text(event: &EventRecord) -> String {
    match serde_json::to_string(event) {
        Ok(text) => text,
        Err(error) => unreachable!("an event of texts and numbers is JSON: {error}"),
    }
}

fn poison(expected_key: &str, event: EventRecord, detail: String, body: Option<Vec<u8>>) -> PoisonRecord {
    let is_own = event.stream.as_str() == expected_key;
    let body = body.unwrap_or_else(|| event_text(&event).into_bytes());
    PoisonRecord {
        key: expected_key.to_owned(),
        version: Some(event.version).filter(|version| is_own && (1..=VERSION_MAX).contains(&version.0)),
        event_type: Some(event.event_type).filter(|event_type| destination(event_type).is_some()),
        detail,
        body,
    }
}

/// The version that a damaged record still tells, if it also tells that it belongs to this aggregate.
fn readable_version(partition_key: &str, body: &[u8]) -> Option<Version> {
    let record: Value = serde_json::from_slice(body).ok()?;
    let is_own = record.get("stream").and_then(Value::as_str) == Some(partition_key);
    let version = record.get("version").and_then(Value::as_u64)?;
    (is_own && (1..=VERSION_MAX).contains(&version)).then_some(Version(version))
}
