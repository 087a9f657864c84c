//! How patiently a worker reads, renews and balances.

use std::time::Duration;

use nexus_ports::Platform;

use crate::backoff::Backoff;

/// Settings of one [`StreamWorker`](crate::StreamWorker). All workers of a group need the same `lease_duration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWorkerSettings {
    /// Workers of a group share the shards; groups know nothing of each other.
    pub group: String,
    /// Unique to this start of this process ([`unique_worker_id`]): a lease held by an earlier life is not ours.
    pub worker_id: String,
    /// A lease that nobody renewed for this long, by the observer's monotonic clock, may be taken.
    ///
    /// 10 s: a lost worker costs that much delay; a shorter one would make every hiccup of the lease store a take-over.
    pub lease_duration: Duration,
    /// How much earlier than others the holder itself believes its lease expired, in case clocks run at different rates
    /// and because what runs needs a moment to stop.
    pub lease_margin: Duration,
    /// Three renewals fit into a lease, so that two may fail.
    pub renew_every: Duration,
    /// How often the group's leases are read, to see what is free: the delay with which a released lease goes on.
    pub lease_scan_every: Duration,
    /// How often the feed's shards are listed although no shard ended.
    pub shard_sync_every: Duration,
    /// Pause after an empty page.
    pub poll_every: Duration,
    /// Least time between the starts of two reads of one shard. Kinesis takes 5 a second from all readers together.
    pub read_spacing: Duration,
    /// Records asked for at once; DynamoDB Streams gives at most 1,000.
    pub read_limit: usize,
    /// Bound of each call to the feed and to the lease store. Calls of the handler are not bounded here.
    pub call_timeout: Duration,
    /// Bound of a read; it doubles with each failure in a row, up to `call_timeout`. A read is safe to give up and nearly
    /// always answered within some tens of milliseconds: to wait for one of the few that take seconds would stall a shard
    /// that is read ten times a second about once in three minutes, and with it all events behind it.
    pub read_timeout_first: Duration,
    /// Upper bound of the pause after a first failure; it doubles with each further one.
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    /// Progress is written at most this often, but sooner when there is nothing to do, and at once at a shard's end and
    /// at a stop.
    pub checkpoint_every: Duration,
    /// How long the feed keeps records. A reader that comes back later than that has lost some, even if the feed does
    /// not tell (Kinesis then goes on at the oldest record without a word).
    pub retention: Duration,
    /// Shards that this worker reads at once: each costs a task, and memory for what its handler keeps back.
    pub shards_max: usize,
    /// How long a stop waits for a handler that is at work.
    pub stop_grace: Duration,
}

impl StreamWorkerSettings {
    /// For the change stream of a table, whose shards are read ten times a second while idle: Lambda is content with four, but the
    /// wait for the next look is the largest part of the routing latency that is ours. Reads that find nothing cost little.
    pub fn for_table_stream(group: impl Into<String>, worker_id: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            worker_id: worker_id.into(),
            lease_duration: Duration::from_secs(10),
            lease_margin: Duration::from_secs(1),
            renew_every: Duration::from_secs(3),
            lease_scan_every: Duration::from_secs(1),
            shard_sync_every: Duration::from_secs(30),
            poll_every: Duration::from_millis(100),
            read_spacing: Duration::ZERO,
            read_limit: 1_000,
            call_timeout: Duration::from_secs(2),
            read_timeout_first: Duration::from_millis(300),
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            checkpoint_every: Duration::from_secs(1),
            retention: Duration::from_secs(24 * 60 * 60),
            shards_max: 64,
            stop_grace: Duration::from_secs(10),
        }
    }

    /// For Kinesis, whose shards take five reads a second; two of the five are left to other consumers.
    pub fn for_kinesis(group: impl Into<String>, worker_id: impl Into<String>) -> Self {
        Self {
            poll_every: Duration::from_millis(333),
            read_spacing: Duration::from_millis(333),
            ..Self::for_table_stream(group, worker_id)
        }
    }

    /// How long after the start of its last successful renewal a holder may go on.
    pub(crate) fn lease_validity(&self) -> Duration {
        self.lease_duration.saturating_sub(self.lease_margin)
    }

    pub(crate) fn feed_backoff(&self) -> Backoff {
        Backoff { first: self.backoff_first, max: self.backoff_max }
    }

    /// Shorter than a renewal's period: a pause must not eat up the lease.
    pub(crate) fn lease_backoff(&self) -> Backoff {
        Backoff { first: self.backoff_first, max: self.backoff_max.min(self.renew_every / 3) }
    }
}

/// The host's name and 64 random bits: another one for each start of a process.
pub fn unique_worker_id(platform: &Platform) -> String {
    let start = platform.random_u64("stream-worker-id", &platform.host);
    format!("{}-{start:016x}", platform.host)
}
