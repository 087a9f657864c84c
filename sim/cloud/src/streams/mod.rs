//! DynamoDB Streams: what a table's writes leave behind for readers.

pub mod api;
mod iterator;
mod shard;

pub use shard::{EventName, Stream, StreamConfig, StreamRecord, sequence_text};
