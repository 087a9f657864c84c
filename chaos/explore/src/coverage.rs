//! Which documented behaviours of AWS, and which hard bugs' circumstances, a trial met. The rows are data; what counts as
//! meeting one is read from the journal, the faults that fired and the goals that were reached, never claimed by hand.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::JournalEntry;
use nexus_reports::CoverageRow;

/// section, row, text, marks (any of them counts).
///
/// Marks: `call:SERVICE/OPERATION` a call that was answered with success, `error:SERVICE/CODE` one that was refused,
/// `step:SERVICE/KIND` a step of a message, `note:SERVICE/WORD` a step whose note has the word, `fault:KIND` a fault that
/// fired, `goal:NAME` a goal that was reached, and the few below that are computed.
const ROWS: &[(&str, &str, &str, &[&str])] = &[
    ("4 DynamoDB Streams", "streams/content", "each change of an item is one record", &["record:dynamodb-streams"]),
    (
        "4 DynamoDB Streams",
        "streams/get-records",
        "pages of records; empty is not the end",
        &["call:dynamodb-streams/GetRecords"],
    ),
    (
        "4 DynamoDB Streams",
        "streams/describe",
        "shards are listed page by page",
        &["call:dynamodb-streams/DescribeStream"],
    ),
    (
        "4 DynamoDB Streams",
        "streams/iterators",
        "TRIM_HORIZON and AFTER_SEQUENCE_NUMBER",
        &["call:dynamodb-streams/GetShardIterator"],
    ),
    (
        "4 DynamoDB Streams",
        "streams/iterator-expiry",
        "iterators expire",
        &["error:dynamodb-streams/ExpiredIteratorException"],
    ),
    ("4 DynamoDB Streams", "streams/rollover", "shards close and have children", &["shards-opened:dynamodb-streams"]),
    (
        "4 DynamoDB Streams",
        "streams/trim",
        "records are trimmed",
        &["step:dynamodb-streams/trimmed", "error:dynamodb-streams/TrimmedDataAccessException"],
    ),
    (
        "4 DynamoDB Streams",
        "streams/readers",
        "readers are throttled",
        &["error:dynamodb-streams/LimitExceededException"],
    ),
    (
        "4 DynamoDB Streams",
        "streams/errors",
        "internal errors and lost answers",
        &["error:dynamodb-streams/InternalServerError", "undelivered:dynamodb-streams"],
    ),
    (
        "5 Lambda event source mappings",
        "mappings/invocations",
        "batches are delivered to functions",
        &["step:lambda/invoked"],
    ),
    ("5 Lambda event source mappings", "mappings/partial", "partial batch responses", &["note:lambda/partial"]),
    (
        "5 Lambda event source mappings",
        "mappings/function-error",
        "function errors are retried",
        &["note:lambda/error"],
    ),
    (
        "5 Lambda event source mappings",
        "mappings/time-out",
        "functions time out after side effects",
        &["note:lambda/timed-out"],
    ),
    (
        "5 Lambda event source mappings",
        "mappings/throttle",
        "no environment is free",
        &["error:lambda/TooManyRequestsException", "note:lambda/throttled"],
    ),
    ("5 Lambda event source mappings", "mappings/polling", "mappings poll streams and queues", &["polled-by:lambda"]),
    ("6 Kinesis", "kinesis/put-records", "batches of records", &["call:kinesis/PutRecords"]),
    ("6 Kinesis", "kinesis/partial-failure", "entries fail one by one", &["fault:failed-entries"]),
    ("6 Kinesis", "kinesis/no-dedup", "a retried put is there twice", &["goal:duplicate-on-stream"]),
    ("6 Kinesis", "kinesis/get-records", "pages of records", &["call:kinesis/GetRecords"]),
    ("6 Kinesis", "kinesis/iterator-expiry", "iterators expire", &["error:kinesis/ExpiredIteratorException"]),
    (
        "6 Kinesis",
        "kinesis/limits",
        "shards and readers are throttled",
        &["error:kinesis/ProvisionedThroughputExceededException"],
    ),
    ("6 Kinesis", "kinesis/reshard", "shards split and merge", &["fault:shard-split", "fault:shard-merge"]),
    (
        "6 Kinesis",
        "kinesis/errors",
        "internal failures",
        &["error:kinesis/InternalFailureException", "error:kinesis/InternalFailure"],
    ),
    ("6 Kinesis", "kinesis/lease-take-over", "leases of silent workers are taken over", &["goal:lease-taken-over"]),
    ("6 Kinesis", "kinesis/zombie", "the loser of a lease finds its checkpoint refused", &["goal:zombie-fenced"]),
    ("7 SQS", "sqs/receive", "messages are received and hidden", &["step:sqs/received"]),
    ("7 SQS", "sqs/visibility", "visibility ends and messages come back", &["step:sqs/reappeared"]),
    ("7 SQS", "sqs/delete", "messages are deleted", &["step:sqs/deleted"]),
    ("7 SQS", "sqs/undeleted", "a delete does not stick", &["fault:undeleted-message"]),
    ("7 SQS", "sqs/duplicates", "a message is delivered twice", &["fault:duplicate"]),
    ("7 SQS", "sqs/disorder", "messages arrive out of order", &["fault:reversed-batch"]),
    ("7 SQS", "sqs/dead-letters", "too many receives lead to the dead-letter queue", &["step:sqs/dead-lettered"]),
    ("7 SQS", "sqs/move-task", "a move task brings dead letters back", &["step:sqs/moved"]),
    ("7 SQS", "sqs/batch-failure", "entries of a batch fail one by one", &["fault-at:failed-entries/sqs"]),
    ("7 SQS", "sqs/empty-receive", "a receive finds nothing although there is something", &["fault-at:empty-page/sqs"]),
    ("7 SQS", "sqs/lost-receive", "the answer to a receive is lost", &["undelivered:sqs"]),
    ("8 SNS", "sns/publish", "messages are published in batches", &["call:sns/PublishBatch"]),
    ("8 SNS", "sns/delivery", "each subscriber gets a copy", &["step:sns/delivered"]),
    (
        "8 SNS",
        "sns/late",
        "a delivery is late, or repeated until it succeeds",
        &["fault:late-delivery", "fault:unreachable-target"],
    ),
    (
        "8 SNS",
        "sns/errors",
        "refusals and lost answers",
        &["error:sns/InternalError", "error:sns/Throttled", "undelivered:sns"],
    ),
    (
        "14 Hard bugs",
        "bug/1-ambiguous-append",
        "an append's answer is lost and its retry meets it",
        &["goal:own-write-recognised-after-unknown"],
    ),
    ("14 Hard bugs", "bug/4-hot-aggregate", "a key range is throttled", &["goal:throttled-then-succeeded"]),
    (
        "14 Hard bugs",
        "bug/5-poison-record",
        "a record that nobody can work on",
        &["fault:poison-record", "fault:poison-event", "fault:poison-message"],
    ),
    (
        "14 Hard bugs",
        "bug/6-late-duplicate",
        "the same event comes again",
        &["goal:duplicate-on-stream", "fault:duplicate"],
    ),
    ("14 Hard bugs", "bug/7-partial-retry", "part of a batch is put again", &["goal:partial-put-failure-retried"]),
    (
        "14 Hard bugs",
        "bug/10-redrive-reorders",
        "dead letters return among live traffic",
        &["fault:redrive", "goal:redriven"],
    ),
    ("14 Hard bugs", "bug/11-visibility", "a message comes back while it is worked on", &["goal:message-redelivered"]),
    (
        "14 Hard bugs",
        "bug/12-checkpoint",
        "a worker dies between effect and checkpoint",
        &["fault-at:crash-at-call/kinesis"],
    ),
    ("14 Hard bugs", "bug/13-iterator-expiry", "an iterator expires", &["goal:cursor-expired"]),
    ("14 Hard bugs", "bug/14-partial-response", "a function reports part of its batch", &["note:lambda/partial"]),
    ("14 Hard bugs", "bug/15-zombie", "a worker outlives its lease", &["goal:zombie-fenced"]),
    (
        "14 Hard bugs",
        "bug/18-long-outage",
        "records are gone before they were read",
        &["step:dynamodb-streams/trimmed"],
    ),
    ("14 Hard bugs", "bug/19-lineage", "a shard splits while it is read", &["goal:shard-split-followed"]),
    // Each transaction writes a single event, and the idempotency record beside it is in no stream.
    ("14 Hard bugs", "bug/20-torn", "items of one transaction arrive apart (cannot arise here)", &[]),
    ("14 Hard bugs", "bug/22-partial-batch", "a batch is done in part", &["fault:failed-entries"]),
    (
        "14 Hard bugs",
        "bug/24-expiry",
        "a dead letter comes near the end of its retention",
        &["goal:dead-letter-rescued", "step:sqs/expired"],
    ),
];

/// The rows, for the record of a run.
pub fn rows() -> Vec<CoverageRow> {
    ROWS.iter()
        .map(|(section, row, text, marks)| CoverageRow {
            row: (*row).to_owned(),
            section: (*section).to_owned(),
            text: (*text).to_owned(),
            marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
        })
        .collect()
}

/// How often one trial met each mark that some row names.
pub fn marks(
    journal: &[JournalEntry],
    fired: impl Iterator<Item = (String, Option<String>)>,
    goals_reached: impl Iterator<Item = String>,
) -> BTreeMap<String, u64> {
    let mut book = Book::new();
    let mut shards = BTreeSet::new();
    for entry in journal {
        book.take(entry, &mut shards);
    }
    for (kind, service) in fired {
        book.count(format!("fault:{kind}"));
        if let Some(service) = service {
            book.count(format!("fault-at:{kind}/{service}"));
        }
    }
    for goal in goals_reached {
        book.count(format!("goal:{goal}"));
    }
    book.counts
}

struct Book {
    wanted: BTreeSet<&'static str>,
    counts: BTreeMap<String, u64>,
}

impl Book {
    fn new() -> Self {
        let wanted = ROWS.iter().flat_map(|(_, _, _, marks)| marks.iter().copied()).collect();
        Self { wanted, counts: BTreeMap::new() }
    }

    fn count(&mut self, mark: String) {
        if self.wanted.contains(mark.as_str()) {
            *self.counts.entry(mark).or_default() += 1;
        }
    }

    /// `shards` holds the shards of table streams seen so far: each one that is not among a table's first two was opened.
    fn take<'j>(&mut self, entry: &'j JournalEntry, shards: &mut BTreeSet<&'j str>) {
        match entry {
            JournalEntry::Call { call, outcome } => {
                let service = call.service;
                match &outcome.error {
                    None if outcome.status == 200 => self.count(format!("call:{service}/{}", call.operation)),
                    Some(code) => self.count(format!("error:{service}/{code}")),
                    None => {}
                }
                if !outcome.delivered {
                    self.count(format!("undelivered:{service}"));
                }
                self.count(format!("polled-by:{}", call.caller));
            }
            JournalEntry::StreamRecord { shard, .. } => {
                self.count("record:dynamodb-streams".to_owned());
                if shards.insert(shard) && shards.len() > 2 {
                    self.count("shards-opened:dynamodb-streams".to_owned());
                }
            }
            JournalEntry::Message(step) => {
                let service = step.service;
                let kind = serde_json::to_value(step.step).ok();
                if let Some(kind) = kind.as_ref().and_then(serde_json::Value::as_str) {
                    self.count(format!("step:{service}/{kind}"));
                }
                let word = step.note.split([':', ' ']).next().unwrap_or_default();
                if !word.is_empty() {
                    self.count(format!("note:{service}/{word}"));
                }
            }
            JournalEntry::Write { .. } | JournalEntry::SchemaVersion(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_faults::FaultKind;

    use super::*;

    #[test]
    fn rows_are_told_apart_and_name_faults_that_exist() {
        let names: BTreeSet<&str> = ROWS.iter().map(|(_, row, ..)| *row).collect();
        assert_eq!(names.len(), ROWS.len());
        for mark in ROWS.iter().flat_map(|(_, _, _, marks)| marks.iter()) {
            if let Some(kind) = mark.strip_prefix("fault:") {
                assert!(FaultKind::ALL.iter().any(|known| known.name() == kind), "{mark}");
            }
        }
    }
}
