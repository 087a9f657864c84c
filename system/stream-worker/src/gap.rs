//! Records that the feed lost before they were read.

use nexus_ports::{BoxFuture, ShardProgress};

/// Makes good for records that a feed no longer keeps, from wherever they still are (the event table).
pub trait GapListener: Send + Sync {
    /// Called when records after `after` may be lost to the reader of `shard`; nothing further of the shard is read until
    /// this succeeds. It may be called for a gap that is none, and again for one that was repaired: repairing must be
    /// idempotent. It is not bounded from outside, and is dropped when the shard's lease is lost.
    fn trimmed<'a>(&'a self, shard: &'a str, after: &'a ShardProgress) -> BoxFuture<'a, Result<(), GapUnrepaired>>;
}

/// A gap could not be repaired now; it is attempted again, with growing pauses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gap could not be repaired: {detail}")]
pub struct GapUnrepaired {
    pub detail: String,
}
