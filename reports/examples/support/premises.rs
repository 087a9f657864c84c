//! What the made-up run rests on: the latency model, assumptions, what its engine can do.

use std::collections::BTreeSet;

use nexus_reports::{Assumption, Capability, CoverageRow, LatencyModelRow};

use super::plans::PLANS;

pub fn latency_model() -> Vec<LatencyModelRow> {
    let row = |operation: &str, p50_ms: f64, p90_ms: f64, p99_ms: f64, source: &str| LatencyModelRow {
        operation: operation.to_owned(),
        p50_ms,
        p90_ms,
        p99_ms,
        source: source.to_owned(),
    };
    vec![
        row("GetItem", 2.5, 4.0, 9.0, "published measurements, same region"),
        row("Query", 3.1, 5.2, 12.0, "published measurements, same region"),
        row("TransactWriteItems", 4.4, 8.0, 21.0, "about twice a PutItem, as its two phases suggest"),
    ]
}

pub fn assumptions() -> Vec<Assumption> {
    let assumption =
        |name: &str, value: &str, used: u64| Assumption { name: name.to_owned(), value: value.to_owned(), used };
    vec![
        assumption("transaction token window", "10 min from the first call", 12),
        assumption("throttled transactions use capacity", "yes", 5),
        assumption("stream record order within a shard after a split", "parents first", 0),
    ]
}

/// What an engine says of itself. One that cannot open sockets cannot reset them either.
pub fn capabilities(engine: &str) -> Vec<Capability> {
    let kinds: BTreeSet<&str> = PLANS.iter().flat_map(|plan| plan.faults).map(|fault| fault.0).collect();
    let of_kind = |kind: &str| {
        let note = match (engine, kind) {
            ("madsim", "reset") => "its connector has no sockets",
            ("madsim", "slow host") => "delays tasks, not packets",
            _ => "",
        };
        Capability {
            fault_kind: kind.to_owned(),
            engine: engine.to_owned(),
            supported: is_possible(engine, kind),
            note: note.to_owned(),
        }
    };
    kinds.into_iter().map(of_kind).collect()
}

pub fn is_possible(engine: &str, kind: &str) -> bool {
    (engine, kind) != ("madsim", "reset")
}

pub fn coverage_rows() -> Vec<CoverageRow> {
    let row = |row: &str, section: &str, text: &str, marks: &[&str]| CoverageRow {
        row: row.to_owned(),
        section: section.to_owned(),
        text: text.to_owned(),
        marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
    };
    let transact = ["dynamodb.transact.committed", "dynamodb.transact.cancelled"];
    vec![
        row("dynamodb/transaction", "4 DynamoDB", "A transaction commits as a whole or not at all.", &transact),
        row(
            "dynamodb/stale-read",
            "4 DynamoDB",
            "An eventually consistent read may be stale.",
            &["dynamodb.query.stale"],
        ),
        row("kinesis/throttle", "6 Kinesis", "A shard refuses what exceeds its throughput.", &["kinesis.throttled"]),
        row("kinesis/split", "6 Kinesis", "After a split the parent is read out first.", &["kinesis.split"]),
        row(
            "kinesis/iterator-expiry",
            "6 Kinesis",
            "An iterator expires after 5 minutes.",
            &["kinesis.iterator.expired"],
        ),
        row("sqs/visibility", "7 SQS", "A message whose time-out passed comes again.", &["sqs.visibility.expired"]),
        row("sqs/duplicate", "7 SQS", "A standard queue may deliver a message twice.", &["sqs.duplicate"]),
        row("sqs/retention", "7 SQS", "A message past its retention is dropped | unseen.", &["sqs.expired"]),
    ]
}
