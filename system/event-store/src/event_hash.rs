//! The chain over a stream's events; the byte form is specified in the crate's documentation.

use nexus_ports::EventRecord;
use sha2::{Digest, Sha256};

/// What the first event of a stream names as the hash before it.
pub const FIRST_PREVIOUS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash that this event must carry; its own `hash` field is not looked at.
pub fn event_hash(event: &EventRecord) -> String {
    let mut form = CanonicalForm(Sha256::new_with_prefix(b"nexus-event-v1\n"));
    form.field(event.stream.as_str());
    form.field(&event.version.0.to_string());
    form.field(&event.event_id);
    form.field(&event.event_type);
    form.field(&event.schema_version.to_string());
    form.field(&event.payload);
    form.field(&event.recorded_at_ms.to_string());
    form.field(&event.envelope.command_id);
    form.field(&event.envelope.causation_id);
    form.field(&event.envelope.correlation_id);
    form.optional_field(event.envelope.trace_context.as_deref());
    form.field(&event.previous_hash);
    hexadecimal(&form.0.finalize())
}

struct CanonicalForm(Sha256);

impl CanonicalForm {
    fn field(&mut self, value: &str) {
        self.0.update(format!("{}:", value.len()));
        self.0.update(value);
        self.0.update(b"\n");
    }

    fn optional_field(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.field(value),
            None => self.0.update(b"-\n"),
        }
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
