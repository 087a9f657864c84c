//! Who works off a feed, without knowing who reads it: a long-running worker or an invocation of a Lambda function.

use std::time::Duration;

use crate::{BoxFuture, FeedRecord, SequenceNumber, ShardProgress, StreamName, Version};

/// Makes one handler for each shard (or each invocation).
pub trait FeedHandler: Send + Sync {
    /// `memory` is what the handler of the same shard gave with the last checkpoint, empty at first. `epoch` is the
    /// fencing epoch of the lease under which the work is done, 0 where there is none.
    fn begin_shard(&self, shard: &str, epoch: u64, memory: &str) -> Box<dyn ShardHandler>;
}

/// Works off the records of one shard, in order. It may keep records back (because something before them is missing, or
/// a store does not answer) as long as it does not claim them as durable.
pub trait ShardHandler: Send {
    /// Takes the next records, and goes on with what it kept back. Called with no records to give it time.
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled>;
}

/// Where a handler stands after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// Every record up to and with this one has had its durable effect (or was durably parked). Never goes back.
    pub durable_through: Option<SequenceNumber>,
    /// To be kept with the checkpoint at `durable_through`, and given to the next handler of this shard.
    pub memory: String,
    /// Records are kept back: call again after this time even if there is nothing new.
    pub call_again_after: Option<Duration>,
    /// False while so much is kept back that no further records should be read.
    pub accepts_more: bool,
}

/// Brings a consumer up to date with one aggregate straight from the event store: for the release of parked aggregates and
/// the repair of gaps.
pub trait AggregateReplayer: Send + Sync {
    /// Works off all events of the stream from `first` on, in order, and returns the last version that has had its durable
    /// effect. Events that had it before are passed over or repeated without harm.
    fn replay<'a>(&'a self, stream: &'a StreamName, first: Version) -> BoxFuture<'a, Result<Version, ReplayFailure>>;
}

/// Why a replay stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayFailure {
    /// This event itself is at fault; replaying it again will not help.
    #[error("the event at version {version} cannot be worked on: {detail}")]
    Poison { version: Version, detail: String },
    /// Trying again later may help. `reached` has had its effect.
    #[error("the replay stopped after version {reached}: {detail}")]
    Interrupted { reached: Version, detail: String },
}

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
