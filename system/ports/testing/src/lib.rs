//! For tests of what is written against the ports: a [`Platform`](nexus_ports::Platform) in memory and a naive
//! [`EventStorage`](nexus_ports::EventStorage) whose every outcome can be scripted.
//!
//! The platform's clocks are tokio's, so a test with `#[tokio::test(start_paused = true)]` waits for nothing.
#![forbid(unsafe_code)]

mod event_storage;
mod memory_bus;
mod memory_feed;
mod memory_leases;
mod memory_parking;
mod memory_queue;
mod memory_schemas;
mod memory_views;
mod network;
mod platform;

pub use event_storage::{MemoryEventStorage, ReadFate, WriteFate};
pub use memory_bus::{CallFate, EntryFate, MemoryStream, MemoryTopic};
pub use memory_feed::{FeedCall, FeedFate, MemoryFeed};
pub use memory_leases::{LeaseWrite, MemoryLeaseStore};
pub use memory_parking::MemoryParkingLot;
pub use memory_queue::{CallFate as QueueCallFate, MemoryQueue, QueueStep};
pub use memory_schemas::{Judgement, MemorySchemaRegistry, RegistryFate, RegistryOperation};
pub use memory_views::{MemoryOutbox, MemoryReadModel};
pub use network::MemoryNetwork;
pub use platform::{EPOCH_UNIX_MS, TestPlatform};
