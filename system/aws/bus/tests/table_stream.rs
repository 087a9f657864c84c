//! The feed of a table's changes, against scripted answers of DynamoDB Streams.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use nexus_aws_bus::DynamoStreamFeed;
use nexus_ports::{
    EventRecord, FeedCursor, FeedFailure, FeedPage, FeedShard, FeedStart, RecordFeed, SequenceNumber, Throttled,
};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, event, serve};

const OLD_ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/nexus-events/stream/2026-01-01T00:00:00.000";
const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/nexus-events/stream/2026-02-01T00:00:00.000";

struct Script {
    feed: DynamoStreamFeed,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(6);
        let seen = serve(&test, replies.into_iter().collect());
        Self { feed: DynamoStreamFeed::new(&test.platform, &config(), "nexus-events"), seen }
    }

    /// Each request's target and body.
    fn sent(&self) -> Vec<(String, Value)> {
        let seen = self.seen.lock().unwrap();
        let target = |seen: &Seen| seen.header("x-amz-target").unwrap().to_owned();
        seen.iter().map(|seen| (target(seen), serde_json::from_str(&seen.body).unwrap())).collect()
    }

    async fn page(self) -> FeedPage {
        self.feed.read(&FeedCursor("iterator-1".to_owned()), 100).await.unwrap()
    }
}

fn target(operation: &str) -> String {
    format!("DynamoDBStreams_20120810.{operation}")
}

fn ok(body: Value) -> Reply {
    Reply::ok(&body.to_string())
}

fn error(status: u16, code: &str) -> Reply {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Reply::Answer { status, body: json!({"__type": kind, "message": "as scripted"}).to_string() }
}

fn stream(arn: &str) -> Value {
    let label = arn.rsplit_once('/').unwrap().1;
    json!({"StreamArn": arn, "StreamLabel": label, "TableName": "nexus-events"})
}

fn streams() -> Reply {
    ok(json!({"Streams": [stream(ARN)]}))
}

fn number(text: &str) -> SequenceNumber {
    text.to_owned().try_into().unwrap()
}

fn shard(id: &str, parents: &[&str], is_closed: bool) -> FeedShard {
    FeedShard { id: id.to_owned(), parents: parents.iter().map(|&parent| parent.to_owned()).collect(), is_closed }
}

#[tokio::test(start_paused = true)]
async fn shards_are_listed_to_the_last_page_parents_first() {
    let open = json!({"StartingSequenceNumber": "200"});
    let closed = json!({"StartingSequenceNumber": "100", "EndingSequenceNumber": "199"});
    let first = json!({"StreamDescription": {"StreamArn": ARN, "LastEvaluatedShardId": "child", "Shards": [
        {"ShardId": "child", "ParentShardId": "parent", "SequenceNumberRange": open},
    ]}});
    let second = json!({"StreamDescription": {"StreamArn": ARN, "Shards": [
        {"ShardId": "parent", "ParentShardId": "trimmed-long-ago", "SequenceNumberRange": closed},
    ]}});
    let script = Script::new([streams(), ok(first), ok(second)]);
    let wanted = vec![shard("parent", &[], true), shard("child", &["parent"], false)];
    assert_eq!(script.feed.list_shards().await, Ok(wanted));
    assert_eq!(
        script.sent(),
        [
            (target("ListStreams"), json!({"TableName": "nexus-events"})),
            (target("DescribeStream"), json!({"StreamArn": ARN})),
            (target("DescribeStream"), json!({"StreamArn": ARN, "ExclusiveStartShardId": "child"})),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_stream_is_read_and_asked_for_once() {
    let pages = [
        json!({"Streams": [stream(ARN)], "LastEvaluatedStreamArn": ARN}),
        json!({"Streams": [stream(OLD_ARN)]}),
        json!({"ShardIterator": "iterator-1"}),
        json!({"ShardIterator": "iterator-2"}),
    ];
    let script = Script::new(pages.map(ok));
    let opened = script.feed.open("shard-1", &FeedStart::Oldest).await;
    assert_eq!(opened, Ok(FeedCursor("iterator-1".to_owned())));
    let opened = script.feed.open("shard-1", &FeedStart::After(number("00042"))).await;
    assert_eq!(opened, Ok(FeedCursor("iterator-2".to_owned())));
    let sent = script.sent();
    assert_eq!(sent[1].1, json!({"TableName": "nexus-events", "ExclusiveStartStreamArn": ARN}));
    let oldest = json!({"StreamArn": ARN, "ShardId": "shard-1", "ShardIteratorType": "TRIM_HORIZON"});
    assert_eq!(sent[2], (target("GetShardIterator"), oldest));
    let after = json!({
        "StreamArn": ARN, "ShardId": "shard-1", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "00042",
    });
    assert_eq!(sent[3], (target("GetShardIterator"), after));
    assert_eq!(sent.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_gone_is_looked_for_again() {
    let script = Script::new([
        ok(json!({"Streams": [stream(OLD_ARN)]})),
        error(400, "ResourceNotFoundException"),
        streams(),
        ok(json!({"StreamDescription": {"StreamArn": ARN, "Shards": [{"ShardId": "shard-1"}]}})),
    ]);
    assert!(matches!(script.feed.list_shards().await, Err(FeedFailure::NotFound { .. })));
    assert_eq!(script.feed.list_shards().await, Ok(vec![shard("shard-1", &[], false)]));
    assert_eq!(script.sent()[3].1["StreamArn"], json!(ARN));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_switched_off_is_listed_once_more_and_then_left_for_a_newer_one() {
    let description = |arn: &str, status: &str, shard: &str| {
        let shards = json!([{"ShardId": shard}]);
        ok(json!({"StreamDescription": {"StreamArn": arn, "StreamStatus": status, "Shards": shards}}))
    };
    let script = Script::new([
        ok(json!({"Streams": [stream(OLD_ARN)]})),
        description(OLD_ARN, "DISABLED", "old"),
        ok(json!({"Streams": [stream(OLD_ARN), stream(ARN)]})),
        description(ARN, "ENABLED", "new"),
        description(ARN, "ENABLED", "new"),
    ]);
    for wanted in ["old", "new", "new"] {
        assert_eq!(script.feed.list_shards().await, Ok(vec![shard(wanted, &[], false)]));
    }
    assert_eq!(script.sent().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_table_without_a_stream_is_not_found() {
    let script = Script::new([ok(json!({"Streams": []}))]);
    let what = "the change stream of table nexus-events".to_owned();
    assert_eq!(script.feed.list_shards().await, Err(FeedFailure::NotFound { what }));
}

/// The image that the event's item leaves in the stream.
fn image(event: &EventRecord) -> Value {
    json!({
        "pk": {"S": event.stream}, "sk": {"N": event.version.to_string()}, "event_id": {"S": event.event_id},
        "event_type": {"S": event.event_type}, "schema_version": {"N": event.schema_version.to_string()},
        "payload": {"S": event.payload}, "recorded_at_ms": {"N": event.recorded_at_ms.to_string()},
        "command_id": {"S": event.envelope.command_id}, "causation_id": {"S": event.envelope.causation_id},
        "correlation_id": {"S": event.envelope.correlation_id}, "previous_hash": {"S": event.previous_hash},
        "hash": {"S": event.hash},
    })
}

fn change(name: &str, sequence: &str, image: Value) -> Value {
    json!({"eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": {
        "ApproximateCreationDateTime": 1_700_000_000,
        "Keys": {"pk": image["pk"], "sk": image["sk"]},
        "NewImage": image, "SequenceNumber": sequence, "SizeBytes": 26, "StreamViewType": "NEW_IMAGE",
    }})
}

#[tokio::test(start_paused = true)]
async fn inserted_events_are_read_as_events() {
    let records = [change("INSERT", "00100", image(&event(1))), change("INSERT", "00101", image(&event(3)))];
    let script = Script::new([ok(json!({"Records": records, "NextShardIterator": "iterator-2"}))]);
    let seen = script.seen.clone();
    let page = script.page().await;
    assert_eq!((page.next, page.behind_ms), (Some(FeedCursor("iterator-2".to_owned())), None));
    let events: Vec<EventRecord> =
        page.records.iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect();
    assert_eq!(events, [event(1), event(3)]);
    for (record, sequence) in page.records.iter().zip(["00100", "00101"]) {
        assert_eq!(record.sequence_number, number(sequence));
        assert_eq!(record.partition_key, "order-o-1");
        assert_eq!(record.arrived_at_ms, Some(1_700_000_000_000));
    }
    let asked: Value = serde_json::from_str(&seen.lock().unwrap()[0].body).unwrap();
    assert_eq!(asked, json!({"ShardIterator": "iterator-1", "Limit": 100}));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_inserted_event_keeps_its_own_form_and_is_no_event() {
    let mut damaged = image(&event(1));
    damaged.as_object_mut().unwrap().remove("payload");
    let mut wrong_type = image(&event(1));
    wrong_type["schema_version"] = json!({"S": "two"});
    let mut keys_only = change("INSERT", "7", image(&event(1)));
    keys_only["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    let mut removed = change("REMOVE", "7", image(&event(1)));
    removed["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    for record in [
        change("INSERT", "7", damaged),
        change("INSERT", "7", wrong_type),
        keys_only,
        change("MODIFY", "7", image(&event(1))),
        removed,
    ] {
        let page = Script::new([ok(json!({"Records": [record]}))]).page().await;
        assert_eq!(page.next, None, "the shard is read to its end");
        let [found] = &page.records[..] else { panic!("{record}: {} records", page.records.len()) };
        assert!(serde_json::from_slice::<EventRecord>(&found.body).is_err(), "{record}");
        assert_eq!(found.partition_key, "order-o-1");
        let body: Value = serde_json::from_slice(&found.body).unwrap();
        assert_eq!(body["eventName"], record["eventName"]);
        assert_eq!(body["dynamodb"]["NewImage"], record["dynamodb"]["NewImage"]);
        assert_eq!(body["dynamodb"]["Keys"], record["dynamodb"]["Keys"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_text_key_still_has_a_key() {
    let mut numbered = change("INSERT", "7", image(&event(1)));
    numbered["dynamodb"]["Keys"]["pk"] = json!({"N": "12"});
    let mut keyless = change("INSERT", "7", image(&event(1)));
    keyless["dynamodb"].as_object_mut().unwrap().remove("Keys");
    for (record, wanted) in [(numbered, "12"), (keyless, "7")] {
        let page = Script::new([ok(json!({"Records": [record]}))]).page().await;
        assert_eq!(page.records[0].partition_key, wanted);
    }
}

fn kind(failure: &FeedFailure) -> &'static str {
    match failure {
        FeedFailure::CursorExpired => "expired",
        FeedFailure::Trimmed => "trimmed",
        FeedFailure::NotFound { .. } => "not found",
        FeedFailure::Throttled(_) => "throttled",
        FeedFailure::NotSent(_) => "not sent",
        FeedFailure::Rejected(_) => "rejected",
        FeedFailure::NoAnswer(_) => "no answer",
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_becomes_its_outcome() {
    let table = [
        (error(400, "ExpiredIteratorException"), "expired"),
        (error(400, "TrimmedDataAccessException"), "trimmed"),
        (error(400, "ResourceNotFoundException"), "not found"),
        (error(400, "LimitExceededException"), "throttled"),
        (error(400, "ThrottlingException"), "throttled"),
        (error(400, "ProvisionedThroughputExceededException"), "throttled"),
        (error(400, "ValidationException"), "rejected"),
        (error(400, "AccessDeniedException"), "rejected"),
        (error(500, "InternalServerError"), "no answer"),
        (error(500, "ExpiredIteratorException"), "no answer"),
        (Reply::Answer { status: 503, body: "<html></html>".to_owned() }, "no answer"),
        (Reply::BytesThenClose(String::new()), "no answer"),
        (Reply::BytesThenSilence(String::new()), "no answer"),
        (Reply::ok("{nonsense"), "no answer"),
        (ok(json!({"Records": [{"eventName": "INSERT"}]})), "no answer"),
        (ok(json!({"Records": [{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "x"}}]})), "no answer"),
    ];
    for (reply, expected) in table {
        let script = Script::new([reply.clone()]);
        let failure = script.feed.read(&FeedCursor("iterator-1".to_owned()), 10).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "{reply:?}");
        assert_eq!(script.sent().len(), 1, "{reply:?}: attempted again");
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_of_opening_and_listing_can_fail() {
    let throttled = || error(400, "LimitExceededException");
    let wanted = FeedFailure::Throttled(Throttled { code: "LimitExceededException".to_owned() });
    let described = json!({"StreamDescription": {"StreamArn": ARN, "LastEvaluatedShardId": "a", "Shards": []}});
    for replies in [vec![throttled()], vec![streams(), throttled()], vec![streams(), ok(described), throttled()]] {
        let count = replies.len();
        let script = Script::new(replies);
        assert_eq!(script.feed.list_shards().await, Err(wanted.clone()), "after {count}");
    }
    for replies in [vec![throttled()], vec![streams(), throttled()]] {
        let script = Script::new(replies);
        assert_eq!(script.feed.open("shard-1", &FeedStart::Oldest).await, Err(wanted.clone()));
    }
    let trimmed = Script::new([streams(), error(400, "TrimmedDataAccessException")]);
    let start = FeedStart::After(number("1"));
    assert_eq!(trimmed.feed.open("shard-1", &start).await, Err(FeedFailure::Trimmed));
    for hollow in [json!({}), json!({"StreamDescription": {"Shards": [{}]}})] {
        let script = Script::new([streams(), ok(hollow)]);
        assert!(matches!(script.feed.list_shards().await, Err(FeedFailure::NoAnswer(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_not_sent() {
    let test = TestPlatform::new(6);
    let feed = DynamoStreamFeed::new(&test.platform, &config(), "nexus-events");
    assert!(matches!(feed.list_shards().await, Err(FeedFailure::NotSent(_))));
}
