//! Leases on shards, with fencing: who reads which shard, and how far it was read.

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, ReadFailure, SequenceNumber, WriteFailure};

/// Leases of groups of workers. Every change is conditional on the lease's `counter`, so of two workers that both believe
/// to own a lease only one can write; the other learns it at its next write.
pub trait LeaseStore: Send + Sync {
    /// All leases of a group, strongly consistent.
    fn list<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<Vec<Lease>, ReadFailure>>;

    fn read<'a>(&'a self, group: &'a str, shard: &'a str) -> BoxFuture<'a, Result<Option<Lease>, ReadFailure>>;

    /// Writes a lease for a shard that has none.
    fn create<'a>(&'a self, group: &'a str, lease: &'a Lease) -> BoxFuture<'a, Result<(), LeaseFailure>>;

    /// Writes the lease if the stored one still has `expected_counter`. `lease.counter` must be greater.
    fn replace<'a>(
        &'a self,
        group: &'a str,
        expected_counter: u64,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<(), LeaseFailure>>;
}

/// Why a lease was not written.
pub type LeaseFailure = WriteFailure<LeaseMoved>;

/// The lease stands at another counter than expected (or exists already). An attempt whose outcome is unknown may itself
/// have moved it: read it before believing that it was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of shard {shard} was written by someone else")]
pub struct LeaseMoved {
    pub shard: String,
}

/// One shard's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub shard: String,
    /// Shards that must be finished first.
    pub parents: Vec<String>,
    /// Worker that holds it; none after a release.
    pub owner: Option<String>,
    /// Grows by one whenever the owner changes: the fencing epoch.
    pub epoch: u64,
    /// Grows with every write.
    pub counter: u64,
    pub progress: ShardProgress,
    /// What the worker must remember together with the position, at most [`Lease::MEMORY_BYTES_MAX`] bytes; its own format.
    pub memory: String,
}

impl Lease {
    /// DynamoDB items end at 400 KB; a lease is written every few seconds and should stay far below.
    pub const MEMORY_BYTES_MAX: usize = 64 * 1024;
}

/// How far a shard was worked off. It never goes back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardProgress {
    /// Nothing yet: begin at the oldest record.
    Untouched,
    /// All records up to and with this one have had their durable effect.
    After(SequenceNumber),
    /// The shard is closed, and all of it has had its effect.
    Finished,
}
