//! What stays the same over all attempts of one command: its key, its events' ids, where it came from.

use nexus_ports::{EventEnvelope, Platform};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where a command came from, as its sender told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOrigin {
    /// The idempotency key; it becomes the command id of every event.
    pub key: String,
    /// SHA-256 of the command's canonical JSON, lower-case hexadecimal.
    pub payload_digest: String,
    pub causation_id: String,
    pub correlation_id: String,
    pub trace_context: Option<String>,
}

/// An event as the domain decided it, before it has a place in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    pub event_type: String,
    pub schema_version: u32,
    pub payload: Value,
}

/// One execution of a command. Its event ids are minted here, once: however often its events are sent, and at
/// whatever version they end up, event number n carries the same id, so that a write is known as our own.
#[derive(Clone, Debug)]
pub struct CommandContext {
    origin: CommandOrigin,
    started_at_ms: u64,
    nonce: [u8; 16],
}

impl CommandContext {
    pub(crate) fn begin(platform: &Platform, origin: CommandOrigin) -> Self {
        let mut nonce = [0; 16];
        platform.entropy.fill("event-id", &origin.key, &mut nonce);
        Self { started_at_ms: platform.unix_time().as_millis(), nonce, origin }
    }

    pub fn key(&self) -> &str {
        &self.origin.key
    }

    pub fn payload_digest(&self) -> &str {
        &self.origin.payload_digest
    }

    /// When this execution began, by the wall clock.
    pub fn started_at_ms(&self) -> u64 {
        self.started_at_ms
    }

    /// UUIDv7 of the execution's event number `index`, from 0: the injected clock's milliseconds, then random bits.
    pub(crate) fn event_id(&self, index: usize) -> String {
        let digest = Sha256::new_with_prefix(self.nonce).chain_update((index as u64).to_be_bytes()).finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        uuid::Builder::from_unix_timestamp_millis(self.started_at_ms, &random).into_uuid().to_string()
    }

    pub(crate) fn envelope(&self) -> EventEnvelope {
        EventEnvelope {
            command_id: self.origin.key.clone(),
            causation_id: self.origin.causation_id.clone(),
            correlation_id: self.origin.correlation_id.clone(),
            trace_context: self.origin.trace_context.clone(),
        }
    }
}
