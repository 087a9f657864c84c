//! The fault catalogue: every row of the fact sheet about AWS that can go wrong, and what makes it go wrong here, or that nothing
//! does. The numbers of sections are the fact sheet's.

use std::fmt::Write as _;

use How::{Kinds, NotProduced, Organic};

use crate::FaultKind::{self, *};

/// What produces a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Faults of these kinds; the text says what else does.
    Kinds(&'static [FaultKind], &'static str),
    /// No fault: the simulated AWS, customers or a scenario's sizes do it by themselves.
    Organic(&'static str),
    /// Nothing does, and why.
    NotProduced(&'static str),
}

/// One thing that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub section: &'static str,
    pub what: &'static str,
    pub how: How,
}

const fn row(section: &'static str, what: &'static str, how: How) -> Row {
    Row { section, what, how }
}

/// All rows, section by section.
pub const ROWS: &[Row] = &[
    row("3 DynamoDB", "HTTP 500, and the write was applied", Kinds(&[ErrorAfter], "")),
    row("3 DynamoDB", "HTTP 500, and nothing was applied", Kinds(&[ErrorBefore], "")),
    row("3 DynamoDB", "connection reset after the write was applied", Kinds(&[ResetAfter, TruncatedAnswer], "")),
    row("3 DynamoDB", "applied, and never answered", Kinds(&[LostAnswer], "")),
    row(
        "3 DynamoDB",
        "a retry meets the condition that its own first attempt fulfilled",
        Kinds(
            &[LostAnswer, ErrorAfter, ResetAfter],
            "what every applied and unanswered write leads to when it is sent again",
        ),
    ),
    row("3 DynamoDB", "a hot key: `KeyRangeThroughputExceeded`", Kinds(&[Throttle], "")),
    row(
        "3 DynamoDB",
        "an account's or a table's limit",
        Kinds(&[Throttle], "and by itself where a table has provisioned capacity (`burst_seconds`)"),
    ),
    row(
        "3 DynamoDB",
        "`UnprocessedItems` and `UnprocessedKeys`",
        NotProduced(
            "the system calls neither BatchWriteItem nor BatchGetItem; the simulated AWS can answer so to strangers (`RefuseBefore::PartialBatch`)",
        ),
    ),
    row(
        "3 DynamoDB",
        "an eventually consistent read sees the past",
        Kinds(&[StaleRead], "and by itself in a share of such reads (`stale_read_share`, `stale_read_max_ms`)"),
    ),
    row(
        "3 DynamoDB",
        "an index lags or shows rows out of order",
        NotProduced(
            "the system has no secondary index; the simulated AWS lets one lag for strangers (`index_lag_p50_ms`)",
        ),
    ),
    row(
        "3 DynamoDB",
        "storms of transaction conflicts",
        Kinds(&[TransactionConflict], "and by itself where customers contend for an aggregate"),
    ),
    row(
        "3 DynamoDB",
        "`TransactionInProgressException`: the same token is still running",
        Organic("a retry that arrives before the first attempt has ended; no fault asks for it by itself"),
    ),
    row(
        "3 DynamoDB",
        "a token used again after ten minutes is a new execution",
        Organic("the scenario `token-window`, in which a retry comes that late"),
    ),
    row(
        "3 DynamoDB",
        "`IdempotentParameterMismatchException`",
        Organic(
            "the simulated AWS compares payloads under a token; the system never gives it cause, which the check `stable-token` holds it to",
        ),
    ),
    row("3 DynamoDB", "a page ends at 1 MB", Organic("the simulated AWS cuts pages; no trial's stream is that long")),
    row(
        "3 DynamoDB",
        "an expired item is deleted late",
        NotProduced(
            "no table of the system has a time-to-live; the simulated AWS deletes late for strangers (`ttl_delay_seconds`)",
        ),
    ),
    row(
        "3 DynamoDB",
        "a restore to an earlier point, perhaps with part of a transaction",
        NotProduced(
            "a restore makes another table, and the system has no procedure that moves to one: there is nothing that could be judged",
        ),
    ),
    row("3 DynamoDB", "`ReplicatedWriteConflictException`", NotProduced("one region: there are no global tables")),
    row(
        "3 DynamoDB",
        "an empty answer of the name service",
        NotProduced("engines resolve names by themselves; a partition from the endpoint comes nearest"),
    ),
    row("4 DynamoDB Streams", "a page without records in the middle of a shard", Kinds(&[EmptyPage], "")),
    row(
        "4 DynamoDB Streams",
        "an iterator expires after 15 minutes",
        Kinds(&[ExpiredIterator], "and by itself after that time"),
    ),
    row("4 DynamoDB Streams", "records are trimmed before they were read", Kinds(&[TrimmedRecords], "")),
    row(
        "4 DynamoDB Streams",
        "a third reader of a shard is throttled",
        Kinds(&[Throttle], "and by itself where readers are too many (`stream_readers_limited`)"),
    ),
    row(
        "4 DynamoDB Streams",
        "shards roll over; a child is found late",
        Organic("`table_shard_records` in a scenario's `[bus]`, drawn by swarms"),
    ),
    row(
        "4 DynamoDB Streams",
        "records become readable late",
        Organic("`stream_lag_p50_ms` to `stream_lag_max_ms`, drawn by swarms"),
    ),
    row("4 DynamoDB Streams", "internal errors and lost answers", Kinds(&[ErrorBefore, ErrorAfter, LostAnswer], "")),
    row(
        "4 DynamoDB Streams",
        "Kinesis as the destination of a table's changes: disorder and duplicates",
        NotProduced("the system reads the table's own stream"),
    ),
    row("5 Lambda event source mappings", "an invocation is throttled", Kinds(&[Throttle], "")),
    row(
        "5 Lambda event source mappings",
        "a function errs, or its time ends after its side effects",
        Kinds(&[FunctionError, ErrorBefore, LostAnswer, SlowHost, Crash], ""),
    ),
    row(
        "5 Lambda event source mappings",
        "a batch is retried whole, in halves, or from the lowest failed record",
        Organic("`BisectBatchOnFunctionError` and partial responses, whenever a function reports failures"),
    ),
    row("5 Lambda event source mappings", "two pollers deliver the same batch", Kinds(&[Duplicate], "")),
    row("5 Lambda event source mappings", "a function cannot be reached", Kinds(&[UnreachableTarget], "")),
    row(
        "5 Lambda event source mappings",
        "a failure destination gets metadata only",
        NotProduced("the system's mappings name no failure destination: its handlers park what they cannot work on"),
    ),
    row(
        "6 Kinesis",
        "entries of PutRecords fail one by one, throttled or by an internal failure",
        Kinds(&[FailedEntries], ""),
    ),
    row(
        "6 Kinesis",
        "a record is there twice after a lost acknowledgement",
        Kinds(&[LostAnswer, ErrorAfter, Duplicate], ""),
    ),
    row("6 Kinesis", "a hot partition key", Organic("`hot_share` of a workload; a shard's limits count by themselves")),
    row("6 Kinesis", "a shard splits or merges in the middle of everything", Kinds(&[ShardSplit, ShardMerge], "")),
    row(
        "6 Kinesis",
        "an iterator expires after five minutes",
        Kinds(&[ExpiredIterator], "and by itself after that time"),
    ),
    row(
        "6 Kinesis",
        "an empty page although there is more",
        Kinds(&[EmptyPage], "and by itself in a share of reads (`kinesis_empty_page_share`)"),
    ),
    row(
        "6 Kinesis",
        "reads are throttled, five a second and shard",
        Kinds(&[Throttle], "and by itself where readers are too many"),
    ),
    row(
        "6 Kinesis",
        "records become readable late; arrival times are not monotonic",
        Organic("`kinesis_lag_p50_ms`, `kinesis_lag_p99_ms` and `kinesis_arrival_jitter_ms`, drawn by swarms"),
    ),
    row(
        "6 Kinesis",
        "retention ends, and TRIM_HORIZON skips the loss in silence",
        NotProduced(
            "`trimmed-records` can aim at Kinesis, and no scenario does: what the projection lost so can only be had by a rebuild of its views",
        ),
    ),
    row("6 Kinesis", "`InternalFailureException`", Kinds(&[ErrorBefore, ErrorAfter], "")),
    row("6 Kinesis", "the loser of a lease goes on working", Kinds(&[Pause, Partition, SlowHost], "")),
    row("6 Kinesis", "enhanced fan-out ends or is taken", NotProduced("the system reads by GetRecords")),
    row(
        "7 SQS",
        "a message is delivered twice",
        Kinds(&[Duplicate], "and by itself in a share of receives (`sqs_duplicate_share`)"),
    ),
    row(
        "7 SQS",
        "messages arrive out of order",
        Kinds(&[ReversedBatch], "and by itself for a share of messages (`sqs_reorder_share`)"),
    ),
    row(
        "7 SQS",
        "a poll finds nothing although there is something",
        Kinds(&[EmptyPage], "and by itself in a share of short polls (`sqs_short_poll_empty_share`)"),
    ),
    row(
        "7 SQS",
        "a delete does not stick; a handle of an earlier receive deletes or does not",
        Kinds(&[UndeletedMessage], "and by itself in a share of deletes with an old handle (`sqs_stale_delete_share`)"),
    ),
    row("7 SQS", "a handle expires while its message is worked on", Kinds(&[SlowHost, Pause, LatencySpike], "")),
    row("7 SQS", "entries of a batch fail one by one", Kinds(&[FailedEntries], "")),
    row("7 SQS", "the answer to a receive is lost: its messages stay hidden", Kinds(&[LostAnswer, Hang], "")),
    row("7 SQS", "a message becomes visible late", Kinds(&[LateDelivery], "and by itself (`sqs_delivery_p50_ms`)")),
    row(
        "7 SQS",
        "too many receives lead to the dead-letter queue",
        Kinds(&[ErrorBefore, PoisonMessage], "whatever keeps a consumer from its work for long enough"),
    ),
    row(
        "7 SQS",
        "a dead letter's retention runs on from when it was first sent",
        Organic("the scenario `bus-dead-letter-expiry`"),
    ),
    row(
        "7 SQS",
        "a move task brings dead letters back among live traffic, too early perhaps",
        Kinds(&[Redrive, WrongRedrive], ""),
    ),
    row("7 SQS", "a queue is purged", Kinds(&[QueuePurge], "")),
    row("7 SQS", "a queue is gone", NotProduced("nobody deletes a queue in a trial")),
    row("7 SQS", "`OverLimit`", NotProduced("it takes 120,000 messages in flight")),
    row(
        "7 SQS",
        "FIFO queues: blocked groups, expired handles",
        NotProduced("the system has standard queues only; the simulated AWS knows both"),
    ),
    row("8 SNS", "a delivery is late, or repeated", Kinds(&[LateDelivery], "and by itself (`sns_delivery_p50_ms`)")),
    row("8 SNS", "one subscriber cannot be reached", Kinds(&[UnreachableTarget], "")),
    row("8 SNS", "a subscriber refuses for good: the subscription's dead-letter queue", Kinds(&[RefusedDelivery], "")),
    row("8 SNS", "entries of a batch fail one by one", Kinds(&[FailedEntries], "")),
    row(
        "8 SNS",
        "refusals and lost answers: `InternalError`, `Throttled`",
        Kinds(&[ErrorBefore, ErrorAfter, Throttle, LostAnswer, ServiceUnavailable], ""),
    ),
    row(
        "8 SNS",
        "a changed filter policy is late",
        NotProduced(
            "the system's subscription filters nothing; the simulated AWS lets changes be late for strangers (`sns_filter_lag_seconds`)",
        ),
    ),
    row(
        "8 SNS",
        "a message is dropped once the delivery policy is used up",
        NotProduced("it takes 23 days of an unreachable subscriber"),
    ),
    row(
        "9 Glue Schema Registry",
        "a version stays PENDING, or fails after it was registered",
        Kinds(&[PendingSchema, FailedSchema, LateSchema, BreakingSchema], "in scenarios with a registry"),
    ),
    row(
        "9 Glue Schema Registry",
        "throttles, an outage with a cold cache",
        Kinds(&[Throttle, Partition, ServiceUnavailable, Hang], "in scenarios with a registry"),
    ),
    row(
        "9 Glue Schema Registry",
        "`ConcurrentModificationException`",
        NotProduced("hosts of a trial only read the registry; its writes are an operator's, who meets no other"),
    ),
    row(
        "10 EventBridge, CloudWatch, tracing",
        "entries of PutEvents fail one by one",
        NotProduced("the system does not use EventBridge"),
    ),
    row(
        "10 EventBridge, CloudWatch, tracing",
        "metrics are late, twice, or dropped",
        NotProduced("metrics are lines of a log in CloudWatch's embedded format: there is no call that could fail"),
    ),
    row(
        "10 EventBridge, CloudWatch, tracing",
        "the trace context is lost on its way",
        Organic("Kinesis and DynamoDB records carry no headers, so the envelope does; a check follows it"),
    ),
    row(
        "11 OpenSearch",
        "items of a bulk request fail; refreshes are late; shards are missing",
        NotProduced("views are kept in DynamoDB"),
    ),
    row(
        "12 Latency",
        "latency has a body and a tail of seconds",
        Kinds(&[LatencySpike], "and by itself: every call's latency is drawn (`latency_tail_share`)"),
    ),
    row("12 Latency", "the network is slow", Kinds(&[SlowLink], "")),
    row(
        "13 Beyond DynamoDB",
        "an empty answer of the name service",
        NotProduced("engines resolve names by themselves; a partition from the endpoint comes nearest"),
    ),
    row("13 Beyond DynamoDB", "a connection cannot be made in time", Kinds(&[Partition, Crash], "")),
    row("13 Beyond DynamoDB", "a reset before the effect, or after it", Kinds(&[ResetBefore, ResetAfter], "")),
    row("13 Beyond DynamoDB", "a silent server", Kinds(&[Hang, PartitionOneWay], "")),
    row("13 Beyond DynamoDB", "an answer that breaks off", Kinds(&[TruncatedAnswer], "")),
    row("13 Beyond DynamoDB", "503 with a body that is HTML", Kinds(&[ServiceUnavailable, RetryStorm], "")),
    row(
        "13 Beyond DynamoDB",
        "credentials expire",
        NotProduced("the simulated AWS verifies no signature and no session"),
    ),
    row(
        "13 Beyond DynamoDB",
        "a body that trickles",
        NotProduced("answers are sent whole; a slow link delays them whole"),
    ),
    row(
        "13 Beyond DynamoDB",
        "readers, puts, queues, topics, functions, registry, search",
        Organic("each in the section of its service"),
    ),
    row(
        "14 Hard bugs",
        "1 an ambiguous append meets its own condition",
        Kinds(&[LostAnswer, ErrorAfter, ResetAfter, TruncatedAnswer], ""),
    ),
    row("14 Hard bugs", "2 an application retries under a fresh token", Kinds(&[LostAnswer, ErrorAfter], "")),
    row(
        "14 Hard bugs",
        "3 cancellation reasons that are not looked at",
        Kinds(&[TransactionConflict, Throttle], "mixed reasons arise where customers contend"),
    ),
    row("14 Hard bugs", "4 a hot aggregate", Kinds(&[Throttle], "with a workload's `hot_share`")),
    row("14 Hard bugs", "5 a poison record", Kinds(&[PoisonEvent, PoisonRecord, PoisonMessage, OldRelease], "")),
    row(
        "14 Hard bugs",
        "6 a duplicate beyond every window of deduplication",
        Kinds(&[Duplicate, LostAnswer, UndeletedMessage], ""),
    ),
    row("14 Hard bugs", "7 a put in part, whose retry reorders", Kinds(&[FailedEntries], "")),
    row("14 Hard bugs", "8 a snapshot ahead of its events", NotProduced("the system keeps no snapshots yet")),
    row(
        "14 Hard bugs",
        "9 a stale read drives a decision",
        Kinds(&[StaleRead], "the system has no index; its table's eventual reads lag"),
    ),
    row("14 Hard bugs", "10 a redrive reorders", Kinds(&[Redrive, WrongRedrive], "")),
    row("14 Hard bugs", "11 visibility ends before the work does", Kinds(&[SlowHost, LatencySpike, Pause], "")),
    row("14 Hard bugs", "12 a checkpoint before the effect", Kinds(&[Crash, CrashAtCall], "")),
    row("14 Hard bugs", "13 an expired iterator loses the position", Kinds(&[ExpiredIterator, Pause], "")),
    row(
        "14 Hard bugs",
        "14 a batch is reported wrongly",
        Kinds(&[FailedEntries, ErrorBefore], "in scenarios that are hosted as functions"),
    ),
    row("14 Hard bugs", "15 a zombie works on beyond its lease", Kinds(&[Pause, Partition], "")),
    row(
        "14 Hard bugs",
        "16 a stale cache of schemas",
        Kinds(
            &[Partition, LateSchema, FailedSchema, OldRelease, Rollback],
            "in scenarios with a registry; a release that does not know a schema is in others",
        ),
    ),
    row("14 Hard bugs", "17 clocks decide the order", Kinds(&[ClockSkew, ClockLeap, ClockDrift], "")),
    row("14 Hard bugs", "18 an outage longer than the retention", Kinds(&[TrimmedRecords], "for the table's stream")),
    row(
        "14 Hard bugs",
        "19 a child before its parent, or never",
        Kinds(&[ShardSplit, ShardMerge], "and `table_shard_records`"),
    ),
    row(
        "14 Hard bugs",
        "20 a transaction is seen torn downstream",
        Organic(
            "commands of two events (`together_share` of a workload), whose records the table's stream shows apart",
        ),
    ),
    row(
        "14 Hard bugs",
        "21 gaps in a global sequence",
        Organic("there is none: positions are (aggregate, version); it cannot arise here"),
    ),
    row("14 Hard bugs", "22 a batch that was done in part is taken for done", Kinds(&[FailedEntries], "")),
    row("14 Hard bugs", "23 a retry storm", Kinds(&[RetryStorm, BrownOut, ServiceUnavailable], "")),
    row("14 Hard bugs", "24 a dead letter expires early", Organic("the scenario `bus-dead-letter-expiry`")),
    row(
        "15 Beyond the services: hosts, links, people",
        "a host loses power, at any time or at a call",
        Kinds(&[Crash, CrashAtCall], ""),
    ),
    row("15 Beyond the services: hosts, links, people", "a host stands still and goes on", Kinds(&[Pause], "")),
    row("15 Beyond the services: hosts, links, people", "a host computes slowly", Kinds(&[SlowHost], "")),
    row(
        "15 Beyond the services: hosts, links, people",
        "links are cut, one way or both, or crawl",
        Kinds(&[Partition, PartitionOneWay, SlowLink], ""),
    ),
    row("15 Beyond the services: hosts, links, people", "clocks lie", Kinds(&[ClockSkew, ClockLeap, ClockDrift], "")),
    row(
        "15 Beyond the services: hosts, links, people",
        "a region's bad hour: several services at once",
        Kinds(&[BrownOut], ""),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "half a deployment; a deployment rolled back",
        Kinds(&[OldRelease, Rollback], ""),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "somebody else writes to the table, the stream, the queue",
        Kinds(&[PoisonEvent, PoisonRecord, PoisonMessage], ""),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "an operator redrives, purges, reshards",
        Kinds(&[Redrive, WrongRedrive, QueuePurge, ShardSplit, ShardMerge], ""),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "somebody with access to the account tries to change or delete events",
        Kinds(&[RogueWrite], "the event table's own policy denies it"),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "policies are replaced while decisions are made, well or badly",
        Kinds(&[PolicyReload], ""),
    ),
    row(
        "15 Beyond the services: hosts, links, people",
        "a stored event is changed behind the API",
        Kinds(
            &[Tampering],
            "the event store finds it by the chain of hashes and calls the stream corrupt; not where there is a bus",
        ),
    ),
];

/// A scenario's name, and the kinds of faults that it names.
pub type KindsOfScenario = (String, Vec<FaultKind>);

/// The catalogue as a page; `scenarios` in the order in which they are to be named.
pub fn markdown(scenarios: &[KindsOfScenario]) -> String {
    let mut page = String::from(HEAD);
    // Writing to a String cannot fail.
    let _ = write_kinds(&mut page, scenarios).and_then(|()| write_rows(&mut page, scenarios));
    page
}

const HEAD: &str = "# Fault catalogue\n\n\
    Generated from `src/catalogue.rs` and `src/kind.rs`: change those and write it anew with\n\n\
    ```\ncargo run --package nexus-faults --example catalogue\n```\n\n\
    A test holds this file to the code. Swarms (`cargo xtask chaos`) draw every kind but `wrong-redrive` for every scenario; the \
    scenarios named are those that ask for it by themselves.\n";

fn write_kinds(page: &mut String, scenarios: &[KindsOfScenario]) -> std::fmt::Result {
    writeln!(
        page,
        "\n## Kinds\n\n| kind | contract | what causes it in the world outside | scenarios |\n|---|---|---|---|"
    )?;
    for kind in FaultKind::ALL {
        let named = named_by(&[*kind], scenarios);
        let named = if named.is_empty() { "swarms only".to_owned() } else { named };
        writeln!(page, "| `{kind}` | {} | {} | {named} |", kind.contract(), kind.cause())?;
    }
    Ok(())
}

fn write_rows(page: &mut String, scenarios: &[KindsOfScenario]) -> std::fmt::Result {
    let mut section = "";
    for row in ROWS {
        if row.section != section {
            section = row.section;
            writeln!(
                page,
                "\n## {section}\n\n| what goes wrong | produced by | contract | scenarios |\n|---|---|---|---|"
            )?;
        }
        let (by, contracts, named) = match row.how {
            Kinds(kinds, more) => (by_kinds(kinds, more), contracts_of(kinds), named_by(kinds, scenarios)),
            Organic(text) => (format!("by itself: {text}"), String::new(), String::new()),
            NotProduced(why) => (format!("**not produced**: {why}"), String::new(), String::new()),
        };
        writeln!(page, "| {} | {by} | {contracts} | {named} |", row.what)?;
    }
    Ok(())
}

fn by_kinds(kinds: &[FaultKind], more: &str) -> String {
    let names = kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
    if more.is_empty() { names } else { format!("{names}; {more}") }
}

fn contracts_of(kinds: &[FaultKind]) -> String {
    let mut contracts: Vec<String> = kinds.iter().map(|kind| kind.contract().to_string()).collect();
    contracts.dedup();
    contracts.join(", ")
}

/// At most four, since a page of names tells nobody anything.
fn named_by(kinds: &[FaultKind], scenarios: &[KindsOfScenario]) -> String {
    const SHOWN: usize = 4;
    let named: Vec<&str> = scenarios
        .iter()
        .filter(|(_, of_scenario)| kinds.iter().any(|kind| of_scenario.contains(kind)))
        .map(|(name, _)| name.as_str())
        .collect();
    let more = named.len().saturating_sub(SHOWN);
    let shown = named.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
