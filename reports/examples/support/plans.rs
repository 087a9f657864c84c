//! What the made-up scenarios plan.

use nexus_reports::{Contract, Tier};

/// Phases as (name, from, until), in milliseconds.
pub const PHASES: [(&str, u64, u64); 4] =
    [("nominal", 0, 20_000), ("chaos", 20_000, 50_000), ("heal", 50_000, 60_000), ("drain", 60_000, 66_000)];

/// Kind, address, contract, from and until in milliseconds, milliseconds added to an operation under it.
pub type PlannedFault = (&'static str, &'static str, Contract, u64, u64, u64);

pub const NO_FAULTS: [PlannedFault; 0] = [];
pub const WRITE_FAULTS: [PlannedFault; 4] = [
    ("throttle", "dynamodb TransactWriteItems, every 3rd", Contract::Masked, 22_000, 27_000, 180),
    ("lost answer", "dynamodb TransactWriteItems, key order#17, 2nd match", Contract::Masked, 30_000, 31_000, 1_100),
    ("latency spike", "dynamodb, all operations", Contract::Detected, 36_000, 43_000, 420),
    ("reset", "command-service to dynamodb, every 5th connection", Contract::Masked, 40_000, 46_000, 240),
];
pub const NETWORK_FAULTS: [PlannedFault; 3] = [
    ("one-way partition", "command-service to dynamodb", Contract::Detected, 21_000, 29_000, 2_400),
    ("crash and restart", "command-service, with lost memory", Contract::Detected, 33_000, 35_500, 1_700),
    ("slow host", "command-service, service times ×8", Contract::Masked, 38_000, 48_000, 90),
];
pub const CLOCK_FAULTS: [PlannedFault; 2] = [
    ("clock leap", "command-service, −90 s", Contract::Masked, 25_000, 25_000, 0),
    ("stale read", "dynamodb Query, stream order#*", Contract::Masked, 28_000, 45_000, 6),
];

pub const STORM_FAULTS: [PlannedFault; 18] = [
    ("partition", "router to kinesis", Contract::Masked, 20_400, 24_000, 300),
    ("throttle", "kinesis PutRecords, every 2nd", Contract::Masked, 21_000, 23_500, 150),
    ("throttle", "dynamodb TransactWriteItems, every 4th", Contract::Masked, 26_000, 28_500, 180),
    ("throttle", "kinesis GetRecords, shard 2", Contract::Masked, 41_000, 42_000, 120),
    ("lost answer", "dynamodb TransactWriteItems, 3rd match", Contract::Masked, 22_300, 22_300, 900),
    ("lost answer", "kinesis PutRecords, 7th match", Contract::Masked, 31_800, 31_800, 900),
    ("lost answer", "sqs DeleteMessage, 2nd match", Contract::Masked, 44_100, 44_100, 0),
    ("crash", "router, with lost memory", Contract::Masked, 27_000, 29_200, 700),
    ("crash", "projection, with lost memory", Contract::Masked, 36_000, 38_000, 500),
    ("crash at call", "router before its checkpoint", Contract::Masked, 33_000, 33_000, 400),
    ("duplicate", "sqs ReceiveMessage, every 9th", Contract::Masked, 24_000, 47_000, 0),
    ("poison", "order#31 version 4", Contract::Detected, 30_000, 30_000, 0),
    ("poison", "cart#12 version 2", Contract::Detected, 34_000, 34_000, 0),
    ("slow host", "projection, service times ×6", Contract::Masked, 38_500, 45_500, 60),
    ("clock skew", "projection, +40 s", Contract::Masked, 20_000, 50_000, 0),
    ("reshard", "kinesis nexus-core, shard 1 in two", Contract::Masked, 39_000, 39_000, 40),
    ("region outage", "sqs, all operations", Contract::Excused, 46_000, 49_000, 0),
    ("transaction conflict", "dynamodb, order#8", Contract::Detected, 25_000, 26_000, 90),
];

/// One scenario.
pub struct Plan {
    pub name: &'static str,
    pub tier: Tier,
    pub description: &'static str,
    pub seeds: u64,
    pub faults: &'static [PlannedFault],
}

pub const PLANS: [Plan; 5] = [
    Plan {
        name: "steady",
        tier: Tier::Smoke,
        description: "Orders at an even rate, nothing goes wrong: what the system costs by itself.",
        seeds: 8,
        faults: &NO_FAULTS,
    },
    Plan {
        name: "flaky-writes",
        tier: Tier::Fast,
        description: "DynamoDB throttles, loses answers and slows down while customers pay.",
        seeds: 8,
        faults: &WRITE_FAULTS,
    },
    Plan {
        name: "partitioned-service",
        tier: Tier::Fast,
        description: "The command service loses one direction of its network, then its memory.",
        seeds: 8,
        faults: &NETWORK_FAULTS,
    },
    Plan {
        name: "clock-leaps",
        tier: Tier::Slow,
        description: "Wall clocks leap while snapshots are read <stale> & late.",
        seeds: 4,
        faults: &CLOCK_FAULTS,
    },
    Plan {
        name: "storm",
        tier: Tier::Slow,
        description: "Everything at once, on the bus too: the backlog must be gone after the heal.",
        seeds: 4,
        faults: &STORM_FAULTS,
    },
];
