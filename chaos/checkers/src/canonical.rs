//! The storage format's digests, recomputed from their documented form and from nothing else.
//!
//! Event hash: SHA-256, in lower-case hexadecimal, over `nexus-event-v1`, a line feed, and then each of stream,
//! version, event id, event type, schema version, payload, recorded-at milliseconds, command id, causation id,
//! correlation id, trace context and previous hash, as: length in bytes (decimal), a colon, the text, a line feed.
//! A missing trace context is a minus sign and a line feed.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::item::StoredEvent;

/// What the first event of a stream carries as the hash before it.
pub(crate) const HASH_BEFORE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash that this event should carry.
pub(crate) fn event_hash(event: &StoredEvent) -> String {
    let (version, schema_version) = (event.version.to_string(), event.schema_version.to_string());
    let recorded_at_ms = event.recorded_at_ms.to_string();
    let parts = [
        Some(event.stream.as_str()),
        Some(&version),
        Some(&event.event_id),
        Some(&event.event_type),
        Some(&schema_version),
        Some(&event.payload),
        Some(&recorded_at_ms),
        Some(&event.command_id),
        Some(&event.causation_id),
        Some(&event.correlation_id),
        event.trace_context.as_deref(),
        Some(&event.previous_hash),
    ];
    let mut form = b"nexus-event-v1\n".to_vec();
    for part in parts {
        match part {
            Some(text) => {
                form.extend_from_slice(text.len().to_string().as_bytes());
                form.push(b':');
                form.extend_from_slice(text.as_bytes());
            }
            None => form.push(b'-'),
        }
        form.push(b'\n');
    }
    sha256_hexadecimal(&form)
}

/// SHA-256 of a command's canonical JSON: what the idempotency record keeps of it.
pub(crate) fn payload_digest(command: &Value) -> String {
    sha256_hexadecimal(canonical_json(command).as_bytes())
}

fn sha256_hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON without white space, members sorted by the bytes of their names at every depth.
pub(crate) fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_bytes());
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(name, member)| format!("{}:{}", Value::from(name.as_str()), canonical_json(member)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}
