//! Events as the event store writes them, and feed records that carry them.

use nexus_event_store::{FIRST_PREVIOUS_HASH, event_hash};
use nexus_ports::{EventEnvelope, EventRecord, FeedRecord, SequenceNumber, Version};
use nexus_ports_testing::EPOCH_UNIX_MS;

/// An event of an order (core) or a cart (background), by the name of its stream.
pub fn event(stream: &str, version: u64) -> EventRecord {
    let (event_type, payload) = match stream.split_once('-') {
        Some(("order", id)) => {
            ("OrderShipped", format!(r#"{{"carrier":"DHL","order_id":"{id}","tracking_number":"T-{version}"}}"#))
        }
        Some(("cart", id)) => ("ItemRemovedFromCart", format!(r#"{{"cart_id":"{id}","sku":"SKU-{version}"}}"#)),
        _ => panic!("{stream} is neither an order nor a cart"),
    };
    sealed(EventRecord {
        stream: stream.parse().unwrap(),
        version: Version(version),
        event_id: format!("{stream}/{version}"),
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload,
        recorded_at_ms: EPOCH_UNIX_MS + version,
        envelope: EventEnvelope {
            command_id: format!("command-{version}"),
            causation_id: format!("command-{version}"),
            correlation_id: "correlation".to_owned(),
            trace_context: None,
        },
        previous_hash: FIRST_PREVIOUS_HASH.to_owned(),
        hash: String::new(),
    })
}

/// With the hash that its content asks for.
pub fn sealed(mut event: EventRecord) -> EventRecord {
    event.hash = event_hash(&event);
    event
}

/// An event whose payload differs from its schema.
pub fn invalid_event(stream: &str, version: u64) -> EventRecord {
    sealed(EventRecord { payload: r#"{"nonsense":true}"#.to_owned(), ..event(stream, version) })
}

/// A feed record at this position.
pub fn record(position: u64, event: &EventRecord) -> FeedRecord {
    raw_record(position, event.stream.as_str(), &serde_json::to_string(event).unwrap())
}

pub fn raw_record(position: u64, partition_key: &str, body: &str) -> FeedRecord {
    FeedRecord {
        sequence_number: number(position),
        partition_key: partition_key.to_owned(),
        body: body.as_bytes().to_vec(),
        arrived_at_ms: None,
    }
}

pub fn number(position: u64) -> SequenceNumber {
    SequenceNumber::try_from(position.to_string()).unwrap()
}
