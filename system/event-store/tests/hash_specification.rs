//! The hash, recomputed from the words of the crate's documentation alone.
#![forbid(unsafe_code)]

use nexus_event_store::{FIRST_PREVIOUS_HASH, event_hash};
use nexus_ports::{EventEnvelope, EventRecord, Version};
use sha2::{Digest, Sha256};

fn event() -> EventRecord {
    EventRecord {
        stream: "order-o-1".parse().unwrap(),
        version: Version(1),
        event_id: "019b76da-a800-7000-8000-000000000001".to_owned(),
        event_type: "OrderPlaced".to_owned(),
        schema_version: 2,
        payload: r#"{"order_id":"ö-1"}"#.to_owned(),
        recorded_at_ms: 1_767_225_600_000,
        envelope: EventEnvelope {
            command_id: "key-1".to_owned(),
            causation_id: "key-1".to_owned(),
            correlation_id: "key-1".to_owned(),
            trace_context: None,
        },
        previous_hash: FIRST_PREVIOUS_HASH.to_owned(),
        hash: String::new(),
    }
}

fn sha256(form: &str) -> String {
    Sha256::digest(form).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_byte_form_is_as_documented() {
    let form = "nexus-event-v1\n9:order-o-1\n1:1\n36:019b76da-a800-7000-8000-000000000001\n11:OrderPlaced\n1:2\n\
        19:{\"order_id\":\"ö-1\"}\n13:1767225600000\n5:key-1\n5:key-1\n5:key-1\n-\n\
        64:0000000000000000000000000000000000000000000000000000000000000000\n";
    assert_eq!(event_hash(&event()), sha256(form));
}

#[test]
fn absent_and_empty_trace_contexts_differ() {
    let mut empty = event();
    empty.envelope.trace_context = Some(String::new());
    assert_ne!(event_hash(&event()), event_hash(&empty));
}

#[test]
fn text_cannot_move_between_neighbouring_fields() {
    let mut moved = event();
    moved.envelope.command_id = "key-1\n5:key-1".to_owned();
    let mut other = event();
    other.envelope.causation_id = "key-1\n5:key-1".to_owned();
    assert_ne!(event_hash(&moved), event_hash(&other));
}
