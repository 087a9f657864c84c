//! Which documented behaviours of AWS, and which hard bugs' circumstances, a trial met. The rows are data; what counts as
//! meeting one is read from the journal, the faults that fired and the goals that were reached, never claimed by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nexus_cloud::{JournalEntry, Service, UnixNanos};
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
        "sns/dead-letters",
        "what a subscriber refuses goes to the subscription's dead-letter queue",
        &["step:sns/dead-lettered"],
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
    ("14 Hard bugs", "bug/20-torn", "items of one transaction arrive apart", &["torn:dynamodb-streams"]),
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
    if let torn @ 1.. = torn_transactions(journal) {
        book.counts.insert("torn:dynamodb-streams".to_owned(), torn);
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

/// Records that one call left in streams.
#[derive(Default)]
struct Left<'j> {
    shards: BTreeSet<&'j str>,
    /// When each became readable.
    at: BTreeSet<UnixNanos>,
}

impl Left<'_> {
    /// Whether a reader of one of its shards asked when some were readable and others were not.
    fn was_seen_in_part(&self, reads: &BTreeSet<(&str, UnixNanos)>) -> bool {
        let (Some(first), Some(last)) = (self.at.first(), self.at.last()) else { return false };
        let asked = |shard: &&str| reads.range((*shard, *first)..(*shard, *last)).next().is_some();
        first < last && self.shards.iter().any(asked)
    }
}

/// How many transactions a reader could see in part.
fn torn_transactions(journal: &[JournalEntry]) -> u64 {
    let mut writers: BTreeMap<&str, VecDeque<u64>> = BTreeMap::new();
    let mut left: BTreeMap<u64, Left<'_>> = BTreeMap::new();
    let mut reads = BTreeSet::new();
    for entry in journal {
        match entry {
            JournalEntry::Write { call_sequence, key, .. } => {
                writers.entry(key).or_default().push_back(*call_sequence);
            }
            // Records of one item come in the order of its writes.
            JournalEntry::StreamRecord { at, key, shard, .. } => {
                let Some(call) = writers.get_mut(key.as_str()).and_then(VecDeque::pop_front) else { continue };
                let left = left.entry(call).or_default();
                left.shards.insert(shard);
                left.at.insert(*at);
            }
            JournalEntry::Call { call, outcome } if call.operation == "GetRecords" && outcome.status == 200 => {
                let shard = call.keys.first().and_then(|key| key.rsplit('/').next());
                if let (Service::DynamodbStreams, Some(shard)) = (call.service, shard) {
                    reads.insert((shard, outcome.at));
                }
            }
            _ => {}
        }
    }
    left.values().filter(|left| left.was_seen_in_part(&reads)).count() as u64
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
    use nexus_cloud::{Call, CallOutcome};
    use nexus_faults::FaultKind;

    use super::*;

    fn write(call_sequence: u64, key: &str) -> JournalEntry {
        let (table, key) = ("nexus-events".to_owned(), key.to_owned());
        let at = UnixNanos(call_sequence);
        JournalEntry::Write { call_sequence, at, table, key, old_image: None, new_image: None }
    }

    fn record(at: u64, key: &str) -> JournalEntry {
        JournalEntry::StreamRecord {
            at: UnixNanos(at),
            table: "nexus-events".to_owned(),
            shard: "s".to_owned(),
            sequence_number: at.to_string(),
            event_name: "INSERT".to_owned(),
            key: key.to_owned(),
            new_image: None,
        }
    }

    fn read(at: u64) -> JournalEntry {
        let call = Call {
            sequence: at,
            at: UnixNanos(at),
            caller: "router-1".to_owned(),
            service: Service::DynamodbStreams,
            operation: "GetRecords".to_owned(),
            keys: vec!["stream-nexus-events/s".to_owned()],
            is_write: false,
            is_transaction: false,
            is_eventual_read: false,
            client_token: None,
            invocation_id: None,
            attempt: None,
        };
        let outcome = CallOutcome {
            at: UnixNanos(at),
            status: 200,
            error: None,
            cancellation_codes: Vec::new(),
            applied: false,
            delivered: true,
            modelled_service_ns: 0,
        };
        JournalEntry::Call { call, outcome }
    }

    #[test]
    fn a_transaction_is_torn_where_a_reader_asked_between_its_records() {
        let both = || [write(1, "t/a/1"), write(1, "t/a/2")];
        let cases = [
            ("apart, and somebody looked", vec![record(10, "t/a/2"), read(11), record(12, "t/a/1")], 1),
            ("apart, and nobody looked", vec![read(9), record(10, "t/a/2"), record(12, "t/a/1"), read(12)], 0),
            ("together", vec![record(10, "t/a/1"), record(10, "t/a/2"), read(11)], 0),
        ];
        for (why, rest, expected) in cases {
            let journal: Vec<JournalEntry> = both().into_iter().chain(rest).collect();
            assert_eq!(torn_transactions(&journal), expected, "{why}");
        }
        let two_calls = [write(1, "t/a/1"), write(2, "t/a/2"), record(10, "t/a/1"), read(11), record(12, "t/a/2")];
        assert_eq!(torn_transactions(&two_calls), 0, "each is whole by itself");
    }

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
