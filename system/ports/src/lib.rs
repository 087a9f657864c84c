//! What services are written against: [`Platform`] (clocks, entropy, tasks, network, disk as values) and
//! the few domain-shaped ports. Nothing here names a runtime, an AWS SDK or the simulator.
//!
//! Where to start: [`Platform`] for the machine under a service, [`EventStorage`] for the storage under the
//! event store, [`EventRecord`] and [`IdempotencyRecord`] for what that storage holds; [`RecordFeed`] and [`LeaseStore`]
//! for whoever reads the feed of events, [`RecordStream`], [`MessageTopic`] and [`MessageQueue`] for where they go;
//! [`SchemaRegistry`] for who says which shapes of events are good.
#![forbid(unsafe_code)]

mod bus;
mod canonical_json;
mod event_record;
mod event_storage;
mod feed;
mod feed_handler;
mod lease;
mod metrics;
mod outcome;
mod platform;
mod queue_handler;
mod read_model;
mod schema_registry;
mod stream_catalogue;

pub use bus::*;
pub use canonical_json::canonical_json;
pub use event_record::*;
pub use event_storage::*;
pub use feed::*;
pub use feed_handler::*;
pub use lease::*;
pub use metrics::*;
pub use outcome::*;
pub use platform::*;
pub use queue_handler::*;
pub use read_model::*;
pub use schema_registry::*;
pub use stream_catalogue::*;
