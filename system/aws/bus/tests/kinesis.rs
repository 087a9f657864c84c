//! Kinesis as a feed and as a stream, against scripted answers.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use nexus_aws_bus::{KinesisFeed, KinesisStream};
use nexus_ports::{
    CallFailure, EntryFailure, FeedCursor, FeedFailure, FeedRecord, FeedShard, FeedStart, Platform, RecordFeed,
    RecordStream, SequenceNumber, StreamEntry, StreamPosition,
};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, serve};

struct Script {
    platform: Platform,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(7);
        let seen = serve(&test, replies.into_iter().collect());
        Self { platform: test.platform, seen }
    }

    fn feed(&self) -> KinesisFeed {
        KinesisFeed::new(&self.platform, &config(), "nexus-core")
    }

    fn stream(&self) -> KinesisStream {
        KinesisStream::new(&self.platform, &config(), "nexus-core")
    }

    /// Each request's target and body.
    fn sent(&self) -> Vec<(String, Value)> {
        let seen = self.seen.lock().unwrap();
        let target = |seen: &Seen| seen.header("x-amz-target").unwrap().to_owned();
        seen.iter().map(|seen| (target(seen), serde_json::from_str(&seen.body).unwrap())).collect()
    }
}

fn target(operation: &str) -> String {
    format!("Kinesis_20131202.{operation}")
}

fn ok(body: Value) -> Reply {
    Reply::ok(&body.to_string())
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Answer { status, body: json!({"__type": code, "message": "as scripted"}).to_string() }
}

fn number(text: &str) -> SequenceNumber {
    text.to_owned().try_into().unwrap()
}

fn entry(key: &str, data: &str) -> StreamEntry {
    StreamEntry { partition_key: key.to_owned(), data: data.as_bytes().to_vec() }
}

#[tokio::test(start_paused = true)]
async fn shards_are_listed_to_the_last_page_parents_first() {
    let hashes = json!({"StartingHashKey": "0", "EndingHashKey": "9"});
    let open = json!({"StartingSequenceNumber": "20"});
    let closed = json!({"StartingSequenceNumber": "10", "EndingSequenceNumber": "19"});
    let first = json!({"NextToken": "token-1", "Shards": [
        {"ShardId": "merged", "ParentShardId": "left", "AdjacentParentShardId": "right", "HashKeyRange": hashes,
            "SequenceNumberRange": open},
        {"ShardId": "left", "ParentShardId": "gone", "HashKeyRange": hashes, "SequenceNumberRange": closed},
    ]});
    let second = json!({"Shards": [{"ShardId": "right", "HashKeyRange": hashes, "SequenceNumberRange": closed}]});
    let script = Script::new([ok(first), ok(second)]);
    let shard = |id: &str, parents: &[&str], is_closed| FeedShard {
        id: id.to_owned(),
        parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
        is_closed,
    };
    let wanted = vec![shard("left", &[], true), shard("right", &[], true), shard("merged", &["left", "right"], false)];
    assert_eq!(script.feed().list_shards().await, Ok(wanted));
    assert_eq!(
        script.sent(),
        [
            (target("ListShards"), json!({"StreamName": "nexus-core"})),
            (target("ListShards"), json!({"NextToken": "token-1"})),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_begins_at_the_oldest_record_or_after_a_position() {
    let script = Script::new([json!({"ShardIterator": "i-1"}), json!({"ShardIterator": "i-2"}), json!({})].map(ok));
    let feed = script.feed();
    assert_eq!(feed.open("shard-1", &FeedStart::Oldest).await, Ok(FeedCursor("i-1".to_owned())));
    assert_eq!(feed.open("shard-1", &FeedStart::After(number("42"))).await, Ok(FeedCursor("i-2".to_owned())));
    assert!(matches!(feed.open("shard-1", &FeedStart::Oldest).await, Err(FeedFailure::NoAnswer(_))));
    let sent = script.sent();
    let oldest = json!({"StreamName": "nexus-core", "ShardId": "shard-1", "ShardIteratorType": "TRIM_HORIZON"});
    assert_eq!(sent[0], (target("GetShardIterator"), oldest));
    let after = json!({
        "StreamName": "nexus-core", "ShardId": "shard-1", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "StartingSequenceNumber": "42",
    });
    assert_eq!(sent[1], (target("GetShardIterator"), after));
}

#[tokio::test(start_paused = true)]
async fn records_are_read_as_they_were_put() {
    let record = json!({
        "SequenceNumber": "49546986683135544286507457936321625675700192471156785154",
        "ApproximateArrivalTimestamp": 1_700_000_000.25, "Data": "bm90IEpTT04=", "PartitionKey": "order-o-1",
    });
    let keyless = json!({"SequenceNumber": "7", "Data": ""});
    let script = Script::new([
        ok(json!({"Records": [record, keyless], "NextShardIterator": "i-2", "MillisBehindLatest": 1_500})),
        ok(json!({"Records": [], "NextShardIterator": "i-3", "MillisBehindLatest": 900})),
        ok(json!({"Records": [], "MillisBehindLatest": 0, "ChildShards": [
            {"ShardId": "child", "ParentShards": ["shard-1"],
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"}},
        ]})),
    ]);
    let feed = script.feed();
    let cursor = FeedCursor("i-1".to_owned());
    let page = feed.read(&cursor, 50_000).await.unwrap();
    let wanted = [
        FeedRecord {
            sequence_number: number("49546986683135544286507457936321625675700192471156785154"),
            partition_key: "order-o-1".to_owned(),
            body: b"not JSON".to_vec(),
            arrived_at_ms: Some(1_700_000_000_250),
        },
        FeedRecord { sequence_number: number("7"), partition_key: "7".to_owned(), body: vec![], arrived_at_ms: None },
    ];
    assert_eq!(page.records, wanted);
    assert_eq!((page.next.clone(), page.behind_ms), (Some(FeedCursor("i-2".to_owned())), Some(1_500)));
    let page = feed.read(&page.next.unwrap(), 10).await.unwrap();
    assert_eq!((page.records.len(), page.behind_ms), (0, Some(900)), "empty is not the end");
    let page = feed.read(&page.next.unwrap(), 10).await.unwrap();
    assert_eq!((page.next, page.behind_ms), (None, Some(0)));
    assert_eq!(script.sent()[0], (target("GetRecords"), json!({"ShardIterator": "i-1", "Limit": 10_000})));
    assert_eq!(script.sent()[1].1, json!({"ShardIterator": "i-2", "Limit": 10}));
}

#[tokio::test(start_paused = true)]
async fn every_error_of_the_feed_becomes_its_outcome() {
    let table = [
        (error(400, "ExpiredIteratorException"), "expired"),
        (error(400, "ResourceNotFoundException"), "not found"),
        (error(400, "ProvisionedThroughputExceededException"), "throttled"),
        (error(400, "LimitExceededException"), "throttled"),
        (error(400, "KMSThrottlingException"), "throttled"),
        (error(400, "InvalidArgumentException"), "rejected"),
        (error(400, "KMSAccessDeniedException"), "rejected"),
        (error(500, "InternalFailureException"), "no answer"),
        (error(500, "ProvisionedThroughputExceededException"), "no answer"),
        (Reply::BytesThenClose(String::new()), "no answer"),
        (Reply::BytesThenSilence(String::new()), "no answer"),
        (Reply::ok("{nonsense"), "no answer"),
        (ok(json!({"Records": [{"Data": "", "PartitionKey": "k"}]})), "no answer"),
    ];
    for (reply, expected) in table {
        let script = Script::new([reply.clone()]);
        let failure = script.feed().read(&FeedCursor("i-1".to_owned()), 10).await.unwrap_err();
        let kind = match failure {
            FeedFailure::CursorExpired => "expired",
            FeedFailure::Trimmed => "trimmed",
            FeedFailure::NotFound { .. } => "not found",
            FeedFailure::Throttled(_) => "throttled",
            FeedFailure::NotSent(_) => "not sent",
            FeedFailure::Rejected(_) => "rejected",
            FeedFailure::NoAnswer(_) => "no answer",
        };
        assert_eq!(kind, expected, "{reply:?}");
        assert_eq!(script.sent().len(), 1, "{reply:?}: attempted again");
    }
    let script = Script::new([error(400, "ResourceNotFoundException"), error(400, "LimitExceededException")]);
    let what = "shard shard-9 of the stream nexus-core".to_owned();
    let opened = script.feed().open("shard-9", &FeedStart::Oldest).await;
    assert_eq!(opened, Err(FeedFailure::NotFound { what }));
    assert!(matches!(script.feed().list_shards().await, Err(FeedFailure::Throttled(_))));
}

#[tokio::test(start_paused = true)]
async fn each_entry_of_a_put_has_its_own_outcome() {
    let results = json!([
        {"SequenceNumber": "21", "ShardId": "shard-1"},
        {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard shard-1"},
        {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"},
        {"SequenceNumber": "not a number", "ShardId": "shard-1"},
        {"ErrorCode": "KMSThrottlingException"},
        {},
    ]);
    let script = Script::new([ok(json!({"FailedRecordCount": 4, "Records": results}))]);
    let entries: Vec<StreamEntry> = (0..6).map(|index| entry(&format!("order-o-{index}"), "{}")).collect();
    let outcomes = script.stream().put(&entries).await.unwrap();
    let position = StreamPosition { shard: "shard-1".to_owned(), sequence_number: number("21") };
    assert_eq!(outcomes[0], Ok(position));
    let kinds: Vec<&str> = outcomes[1..]
        .iter()
        .map(|outcome| match outcome {
            Ok(_) => "ok",
            Err(EntryFailure::Throttled(_)) => "throttled",
            Err(EntryFailure::Unknown(_)) => "unknown",
            Err(EntryFailure::Rejected(_)) => "rejected",
        })
        .collect();
    assert_eq!(kinds, ["throttled", "unknown", "unknown", "throttled", "unknown"]);
    let records: Vec<Value> =
        (0..6).map(|index| json!({"Data": "e30=", "PartitionKey": format!("order-o-{index}")})).collect();
    let asked = json!({"StreamName": "nexus-core", "Records": records});
    assert_eq!(script.sent(), [(target("PutRecords"), asked)]);
}

#[tokio::test(start_paused = true)]
async fn results_that_do_not_match_their_entries_say_nothing() {
    let result = json!({"SequenceNumber": "21", "ShardId": "shard-1"});
    for results in [json!([]), json!([result, result, result])] {
        let script = Script::new([ok(json!({"FailedRecordCount": 0, "Records": results}))]);
        let outcome = script.stream().put(&[entry("a", "1"), entry("b", "2")]).await;
        assert!(matches!(outcome, Err(CallFailure::Unknown(_))), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_put_becomes_its_outcome() {
    let table = [
        (error(400, "ProvisionedThroughputExceededException"), "throttled"),
        (error(400, "KMSThrottlingException"), "throttled"),
        (error(400, "ResourceNotFoundException"), "rejected"),
        (error(400, "InvalidArgumentException"), "rejected"),
        (error(400, "AccessDeniedException"), "rejected"),
        (error(500, "InternalFailureException"), "unknown"),
        (error(503, "ServiceUnavailable"), "unknown"),
        (Reply::BytesThenClose(String::new()), "unknown"),
        (Reply::BytesThenSilence(String::new()), "unknown"),
        (Reply::ok("{nonsense"), "unknown"),
    ];
    for (reply, expected) in table {
        let script = Script::new([reply.clone()]);
        let kind = match script.stream().put(&[entry("a", "1")]).await.unwrap_err() {
            CallFailure::Throttled(_) => "throttled",
            CallFailure::NotSent(_) => "not sent",
            CallFailure::Rejected(_) => "rejected",
            CallFailure::Unknown(_) => "unknown",
        };
        assert_eq!(kind, expected, "{reply:?}");
        assert_eq!(script.sent().len(), 1, "{reply:?}: attempted again");
    }
    let test = TestPlatform::new(7);
    let outcome = KinesisStream::new(&test.platform, &config(), "nexus-core").put(&[entry("a", "1")]).await;
    assert!(matches!(outcome, Err(CallFailure::NotSent(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_put_asks_nothing() {
    let script = Script::new([]);
    assert_eq!(script.stream().put(&[]).await, Ok(Vec::new()));
    assert_eq!(script.sent(), []);
}
