//! Event streams with expected versions, own-write recognition and idempotency records, over the
//! [`EventStorage`](nexus_ports::EventStorage) port.
//!
//! Where to start: [`EventStore`]. It owns all attempts (storage and SDK retry nothing), and it never calls an
//! unknown outcome a failure.
//!
//! # What a stored event's hash covers
//!
//! An independent checker can recompute every [`EventRecord::hash`](nexus_ports::EventRecord) from these rules alone.
//!
//! The hash is SHA-256, written as 64 lower-case hexadecimal digits, over this byte string:
//!
//! 1. the 14 bytes `nexus-event-v1` and a line feed (0x0A);
//! 2. then, for each field below and in this order: the length of its value in bytes as decimal digits without
//!    leading zeros, a colon (0x3A), the bytes of the value, a line feed (0x0A). An absent value is written as a
//!    hyphen (0x2D) and a line feed, without length and colon (so that it differs from an empty one, `0:`).
//!
//! | # | field | value (UTF-8) | stored attribute |
//! |---|---|---|---|
//! | 1 | stream | as stored | `pk` |
//! | 2 | version | decimal digits | `sk` |
//! | 3 | event id | as stored | `event_id` |
//! | 4 | event type | as stored | `event_type` |
//! | 5 | schema version | decimal digits | `schema_version` |
//! | 6 | payload | the stored text, byte for byte | `payload` |
//! | 7 | recorded at | decimal digits, milliseconds since the Unix epoch | `recorded_at_ms` |
//! | 8 | command id | as stored | `command_id` |
//! | 9 | causation id | as stored | `causation_id` |
//! | 10 | correlation id | as stored | `correlation_id` |
//! | 11 | trace context | as stored, or absent | `trace_context` |
//! | 12 | previous hash | 64 hexadecimal digits | `previous_hash` |
//!
//! The previous hash is the `hash` of the event one version before, and 64 zeros (`0`) for version 1. For instance
//! an event of stream `order-o-1` at version 1 begins `nexus-event-v1\n9:order-o-1\n1:1\n36:0192…`.
//!
//! The payload is canonical JSON ([`nexus_ports::canonical_json`]): no white space, object members in the byte order
//! of their names.
#![forbid(unsafe_code)]

mod command;
mod deadline;
mod errors;
mod event_hash;
mod resolve;
mod settings;
mod store;
mod stream;

pub use command::{CommandContext, CommandOrigin, NewEvent};
pub use deadline::Deadline;
pub use errors::*;
pub use event_hash::{FIRST_PREVIOUS_HASH, event_hash};
pub use settings::EventStoreSettings;
pub use store::{Appended, EventStore};
pub use stream::{CorruptStream, LoadedStream, StreamDefect, StreamHead};
