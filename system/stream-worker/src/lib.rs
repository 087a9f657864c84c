//! Reads a sharded feed for ever: the change stream of a table, or Kinesis.
//!
//! Where to start: [`StreamWorker`]. It shares the shards of a [`RecordFeed`](nexus_ports::RecordFeed) with the other
//! workers of its group by leases, and drives a [`FeedHandler`](nexus_ports::FeedHandler) with each shard's records.
//!
//! # What it promises
//!
//! - Each record is handled at least once, and in the order of its shard; a child shard begins when all of its parents
//!   are finished.
//! - A checkpoint is written after the durable effect, under the lease's fencing epoch, and never goes back.
//! - A worker that cannot renew a lease stops before another worker may take it, judged by monotonic clocks alone. One
//!   that was paused for longer finds its checkpoints refused.
//! - Records that the feed no longer keeps are never passed over in silence: a [`GapListener`](nexus_ports::GapListener) must make good for them
//!   before anything further is read.
//!
//! The decisions are pure and have no clock of their own (`lease_table`, `lineage`, `balance`, `held_lease`,
//! `shard_reader`); `worker` and `shard_task` carry them out on a [`Platform`](nexus_ports::Platform).
#![forbid(unsafe_code)]

mod backoff;
mod balance;
mod bookmark;
mod held_lease;
mod lease_table;
mod lineage;
mod measure;
mod settings;
mod shard_reader;
mod shard_task;
mod worker;

pub use settings::{StreamWorkerSettings, unique_worker_id};
pub use worker::StreamWorker;
