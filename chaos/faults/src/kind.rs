//! The kinds of faults, their names and their contracts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the system owes its clients under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contract {
    /// Clients see nothing but latency: no refusal, no unknown outcome may be owed to it.
    Masked,
    /// Clients may get a typed answer that says what happened (throttled, unavailable, unknown), never a wrong one.
    Detected,
    /// Clients may get no answer at all while it lasts; what they got before stays true.
    Excused,
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contract::Masked => "masked",
            Contract::Detected => "detected",
            Contract::Excused => "excused",
        })
    }
}

macro_rules! fault_kinds {
    ($($variant:ident, $name:literal, $contract:ident, $cause:literal;)*) => {
        /// Everything that can be made to go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FaultKind {
            $(#[doc = $cause] $variant,)*
        }

        impl FaultKind {
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant),*];

            /// The name used in scenarios and reports.
            pub fn name(self) -> &'static str {
                match self { $(FaultKind::$variant => $name),* }
            }

            pub fn contract(self) -> Contract {
                match self { $(FaultKind::$variant => Contract::$contract),* }
            }

            /// What causes it in the world outside.
            pub fn cause(self) -> &'static str {
                match self { $(FaultKind::$variant => $cause),* }
            }
        }
    };
}

fault_kinds! {
    Throttle, "throttle", Detected, "A hot partition key or an account limit: the call is refused before it has an effect.";
    ErrorBefore, "error-before", Detected, "HTTP 500 from a storage node that did nothing.";
    ErrorAfter, "error-after", Detected, "HTTP 500 although the write was applied: the answer was lost inside the service.";
    ServiceUnavailable, "service-unavailable", Detected, "HTTP 503 with an HTML body from a load balancer in front of the service.";
    LostAnswer, "lost-answer", Detected, "The write is applied and its answer never arrives; the client waits for its time-out.";
    TruncatedAnswer, "truncated-answer", Detected, "The write is applied and the connection breaks in the middle of the answer.";
    ResetBefore, "reset-before", Detected, "A stale pooled connection: closed by the peer before the request was read.";
    ResetAfter, "reset-after", Detected, "The write is applied and the connection is closed before the answer.";
    Hang, "hang", Detected, "A silent server: the request is accepted and never looked at.";
    LatencySpike, "latency-spike", Detected, "Queueing inside the service: the call takes seconds instead of milliseconds.";
    StaleRead, "stale-read", Masked, "An eventually consistent read answered by a replica that lags.";
    TransactionConflict, "transaction-conflict", Detected, "Another transaction holds an item of this one.";
    CrashAtCall, "crash-at-call", Excused, "The caller loses power at the very moment of a call, with or without its effect.";
    Crash, "crash", Excused, "A host loses power and memory, and comes back later.";
    Partition, "partition", Excused, "No packet passes between two hosts.";
    PartitionOneWay, "partition-one-way", Excused, "Packets pass in one direction only.";
    SlowLink, "slow-link", Detected, "A congested path: every packet between two hosts takes much longer.";
    SlowHost, "slow-host", Detected, "A noisy neighbour or a long collection pause: the host computes many times slower.";
    Pause, "pause", Excused, "A host stands still beyond its leases and then goes on as if nothing had been: its virtual machine is migrated, or a collection stops the world.";
    BrownOut, "brown-out", Detected, "A bad hour of a region: several services at once throttle, fail and linger, each for some of its calls.";
    RetryStorm, "retry-storm", Detected, "A wave of 503: every call of a service is refused for a moment, and all clients come again.";
    ClockSkew, "clock-skew", Masked, "A host's wall clock is off by seconds to minutes for a while.";
    ClockLeap, "clock-leap", Masked, "A host's wall clock is stepped, forwards or back, and stays there.";
    ClockDrift, "clock-drift", Masked, "A host's clocks, the monotonic one too, run fast or slow.";
    FailedEntries, "failed-entries", Masked, "A batch is answered with 200, and some of its entries failed: throttled, or failed inside the service with or without an effect.";
    ExpiredIterator, "expired-iterator", Masked, "A reader paused for too long: the iterator of its shard is no longer good.";
    EmptyPage, "empty-page", Masked, "A read or receive gives nothing although there is something.";
    Duplicate, "duplicate", Masked, "At least once: a record or message is there, or is delivered, twice.";
    ReversedBatch, "reversed-batch", Masked, "Best-effort order: messages of one batch arrive the wrong way round.";
    LateDelivery, "late-delivery", Masked, "A message stays invisible to its subscribers for seconds.";
    UndeletedMessage, "undeleted-message", Masked, "A delete is acknowledged and the message comes back.";
    TrimmedRecords, "trimmed-records", Detected, "An outage outlived the retention: the oldest records of a shard are gone.";
    UnreachableTarget, "unreachable-target", Masked, "A topic cannot reach a subscriber, or a mapping its function.";
    RefusedDelivery, "refused-delivery", Masked, "A queue's policy shuts its topic out: the topic gives up at once on what it delivers meanwhile.";
    FunctionError, "function-error", Masked, "A function's process dies, out of memory or by a panic: before it did anything, or when all is done but told.";
    PoisonEvent, "poison-event", Detected, "Someone writes an event that no released schema allows straight into the event table.";
    PoisonRecord, "poison-record", Detected, "Another producer puts bytes that are no event on the core stream.";
    PoisonMessage, "poison-message", Detected, "Another producer sends a body that is no event to the notification queue.";
    OldRelease, "old-release", Detected, "Half a deployment: a host still runs a release that does not know an event type.";
    Rollback, "rollback", Detected, "A deployment is rolled back: all routers at once run a release that does not know an event type, until it is rolled forward.";
    ShardSplit, "shard-split", Masked, "An operator, or auto-scaling, splits a shard of the core stream.";
    ShardMerge, "shard-merge", Masked, "An operator merges two neighbouring shards of the core stream.";
    Redrive, "redrive", Masked, "An operator moves all dead letters back while traffic goes on.";
    QueuePurge, "queue-purge", Excused, "An operator purges the notification queue, or its dead letters: what lies there is lost, and nothing else may be.";
    RogueWrite, "rogue-write", Masked, "An operator, or a service that was broken into, tries to change or delete an event that is in storage.";
    Tampering, "tampering", Detected, "Somebody who may change the event table's policy takes it away, forges or removes an event that is in storage, and puts the policy back.";
    PolicyReload, "policy-reload", Masked, "The policies of running services are replaced: by the same ones, or by a bundle that was damaged, does not compile or fails its own tests.";
    WrongRedrive, "wrong-redrive", Detected, "An operator starts a redrive while the consumer still cannot work on the messages.";
    LateSchema, "late-schema", Detected, "A release is out before its schema: the registry has none of an event type until somebody registers it.";
    PendingSchema, "pending-schema", Detected, "The registry comes to no judgement: the version of an event type stays PENDING.";
    FailedSchema, "failed-schema", Detected, "The registry fails a version that is sound, and it is of no use until somebody begins anew.";
    BreakingSchema, "breaking-schema", Masked, "Somebody registers a version that breaks the readers of an event type; the registry takes it and fails it afterwards.";
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_are_the_names_in_reports() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), serde_json::json!(kind.name()));
        }
    }
}
