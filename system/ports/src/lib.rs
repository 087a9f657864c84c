//! What services are written against: [`Platform`] (clocks, entropy, tasks, network, disk as values) and
//! the few domain-shaped ports. Nothing here names a runtime, an AWS SDK or the simulator.
//!
//! Where to start: [`Platform`] for the machine under a service, [`EventStorage`] for the storage under the
//! event store, [`EventRecord`] and [`IdempotencyRecord`] for what that storage holds.
#![forbid(unsafe_code)]

mod canonical_json;
mod event_record;
mod event_storage;
mod platform;

pub use canonical_json::canonical_json;
pub use event_record::*;
pub use event_storage::*;
pub use platform::*;
