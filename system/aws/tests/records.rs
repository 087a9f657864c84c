//! Leases, views, notifications, parked aggregates, quarantined letters and the catalogue of streams: what is sent to
//! DynamoDB, what is read back, and what each error becomes.
#![forbid(unsafe_code)]

mod support;

use std::sync::{Arc, Mutex};

use nexus_aws::{
    DynamoLeaseStore, DynamoOutbox, DynamoParkingLot, DynamoQuarantine, DynamoReadModel, DynamoStreamCatalogue,
    TableNames,
};
use nexus_ports::{
    AlreadyRecorded, CallFailure, Lease, LeaseMoved, LeaseStore, Notification, Outbox, ParkReason, ParkedAggregate,
    ParkingLot, ParkingMoved, Platform, Quarantine, QuarantinedLetter, ReadFailure, ReadModel, ShardProgress,
    StoredView, StreamCatalogue, Version, ViewMoved, WriteFailure,
};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, serve};

fn error(status: u16, code: &str) -> Reply {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Reply::Answer { status, body: json!({"__type": kind, "message": "as scripted"}).to_string() }
}

fn failed_condition() -> Reply {
    error(400, "ConditionalCheckFailedException")
}

/// A scripted DynamoDB, and what was asked of it.
struct Script {
    platform: Platform,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(5);
        let seen = serve(&test, replies.into_iter().collect());
        Self { platform: test.platform, seen }
    }

    fn leases(&self) -> DynamoLeaseStore {
        DynamoLeaseStore::new(&self.platform, &config(), &TableNames::default())
    }

    fn views(&self) -> DynamoReadModel {
        DynamoReadModel::new(&self.platform, &config(), &TableNames::default())
    }

    fn outbox(&self) -> DynamoOutbox {
        DynamoOutbox::new(&self.platform, &config(), &TableNames::default())
    }

    fn parking_lot(&self) -> DynamoParkingLot {
        DynamoParkingLot::new(&self.platform, &config(), &TableNames::default())
    }

    fn quarantine(&self) -> DynamoQuarantine {
        DynamoQuarantine::new(&self.platform, &config(), &TableNames::default())
    }

    fn catalogue(&self) -> DynamoStreamCatalogue {
        DynamoStreamCatalogue::new(&self.platform, &config(), &TableNames::default())
    }

    /// Each request's operation and body.
    fn sent(&self) -> Vec<(String, Value)> {
        let seen = self.seen.lock().unwrap();
        let operation = |seen: &Seen| seen.header("x-amz-target").unwrap().rsplit('.').next().unwrap().to_owned();
        seen.iter().map(|seen| (operation(seen), serde_json::from_str(&seen.body).unwrap())).collect()
    }
}

/// Every outcome of a conditional write of one item.
fn write_outcomes() -> Vec<(Reply, &'static str)> {
    vec![
        (failed_condition(), "refused"),
        (error(500, "ConditionalCheckFailedException"), "unknown"),
        (error(400, "TransactionConflictException"), "contended"),
        (error(400, "ProvisionedThroughputExceededException"), "throttled"),
        (error(400, "ThrottlingException"), "throttled"),
        (error(400, "ValidationException"), "rejected"),
        (error(400, "ResourceNotFoundException"), "rejected"),
        (error(500, "InternalServerError"), "unknown"),
        (Reply::BytesThenClose(String::new()), "unknown"),
        (Reply::BytesThenSilence(String::new()), "unknown"),
    ]
}

fn kind<R: std::error::Error>(failure: &WriteFailure<R>) -> &'static str {
    match failure {
        WriteFailure::Refused(_) => "refused",
        WriteFailure::Contended(_) => "contended",
        WriteFailure::Throttled(_) => "throttled",
        WriteFailure::NotSent(_) => "not sent",
        WriteFailure::Rejected(_) => "rejected",
        WriteFailure::Unknown(_) => "unknown",
    }
}

fn lease(counter: u64, progress: ShardProgress) -> Lease {
    Lease {
        shard: "shard-2".to_owned(),
        parents: vec!["shard-0".to_owned(), "shard-1".to_owned()],
        owner: Some("worker-a".to_owned()),
        epoch: 3,
        counter,
        progress,
        memory: String::new(),
    }
}

fn after(number: &str) -> ShardProgress {
    ShardProgress::After(number.to_owned().try_into().unwrap())
}

fn lease_json() -> Value {
    json!({
        "pk": {"S": "router"}, "sk": {"S": "shard-2"}, "parents": {"L": [{"S": "shard-0"}, {"S": "shard-1"}]},
        "owner": {"S": "worker-a"}, "epoch": {"N": "3"}, "counter": {"N": "8"}, "progress": {"S": "after"},
        "sequence_number": {"S": "00421"}, "memory": {"S": ""},
    })
}

#[tokio::test(start_paused = true)]
async fn leases_are_written_under_the_condition_that_nobody_else_wrote() {
    let script = Script::new([Reply::ok("{}"), Reply::ok("{}")]);
    let leases = script.leases();
    leases.create("router", &lease(8, after("00421"))).await.unwrap();
    leases.replace("router", 7, &lease(8, after("00421"))).await.unwrap();
    let create = json!({
        "TableName": "nexus-leases", "Item": lease_json(), "ConditionExpression": "attribute_not_exists(pk)",
    });
    let replace = json!({
        "TableName": "nexus-leases", "Item": lease_json(), "ConditionExpression": "#attribute = :expected",
        "ExpressionAttributeNames": {"#attribute": "counter"},
        "ExpressionAttributeValues": {":expected": {"N": "7"}},
    });
    assert_eq!(script.sent(), [("PutItem".to_owned(), create), ("PutItem".to_owned(), replace)]);
}

#[tokio::test(start_paused = true)]
async fn leases_come_back_as_they_were_written() {
    let free = Lease { owner: None, parents: Vec::new(), ..lease(1, ShardProgress::Untouched) };
    for wanted in [lease(8, after("00421")), lease(9, ShardProgress::Finished), free] {
        let writing = Script::new([Reply::ok("{}")]);
        writing.leases().create("router", &wanted).await.unwrap();
        let item = writing.sent()[0].1["Item"].clone();
        let reading = Script::new([Reply::ok(&json!({"Item": item}).to_string()), Reply::ok("{}")]);
        let leases = reading.leases();
        assert_eq!(leases.read("router", "shard-2").await, Ok(Some(wanted)));
        assert_eq!(leases.read("router", "shard-2").await, Ok(None));
        let asked = json!({
            "TableName": "nexus-leases", "Key": {"pk": {"S": "router"}, "sk": {"S": "shard-2"}}, "ConsistentRead": true,
        });
        assert_eq!(reading.sent()[1], ("GetItem".to_owned(), asked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_listed_to_its_last_page() {
    let key = json!({"pk": {"S": "router"}, "sk": {"S": "shard-2"}});
    let pages = [
        json!({"Items": [lease_json()], "LastEvaluatedKey": key}),
        json!({"Items": [], "LastEvaluatedKey": key}),
        json!({"Items": [lease_json()]}),
    ];
    let script = Script::new(pages.map(|page| Reply::ok(&page.to_string())));
    let wanted = lease(8, after("00421"));
    assert_eq!(script.leases().list("router").await, Ok(vec![wanted.clone(), wanted]));
    let sent = script.sent();
    assert_eq!(sent.len(), 3);
    for (index, (operation, body)) in sent.iter().enumerate() {
        assert_eq!(operation, "Query");
        assert_eq!(body["ConsistentRead"], json!(true));
        assert_eq!(body["ExpressionAttributeValues"], json!({":partition": {"S": "router"}}));
        assert_eq!(body.get("ExclusiveStartKey"), (index > 0).then_some(&key));
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_lease_becomes_its_outcome() {
    for (reply, expected) in write_outcomes() {
        let create = Script::new([reply.clone()]);
        let failure = create.leases().create("router", &lease(1, ShardProgress::Untouched)).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "create: {reply:?}");
        let replace = Script::new([reply.clone()]);
        let failure = replace.leases().replace("router", 1, &lease(2, ShardProgress::Untouched)).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "replace: {reply:?}");
        assert_eq!(replace.sent().len(), 1, "{reply:?}: attempted again");
        if let WriteFailure::Refused(refused) = failure {
            assert_eq!(refused, LeaseMoved { shard: "shard-2".to_owned() });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_counter_that_does_not_grow_is_never_sent() {
    for counter in [0, 6, 7] {
        let script = Script::new([]);
        let failure = script.leases().replace("router", 7, &lease(counter, ShardProgress::Untouched)).await;
        assert_eq!(kind(&failure.unwrap_err()), "rejected");
        let failure = script.parking_lot().replace(7, &parked(counter)).await;
        assert_eq!(kind(&failure.unwrap_err()), "rejected");
        assert_eq!(script.sent(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_leases_are_named() {
    for (attribute, value) in [
        ("counter", json!({"S": "8"})),
        ("epoch", json!({"N": "-1"})),
        ("parents", json!({"L": [{"N": "1"}]})),
        ("progress", json!({"S": "backwards"})),
        ("sequence_number", json!({"S": "not a number"})),
    ] {
        let mut item = lease_json();
        item[attribute] = value;
        let script = Script::new([Reply::ok(&json!({"Item": item}).to_string())]);
        let failure = script.leases().read("router", "shard-2").await.unwrap_err();
        let ReadFailure::Unreadable(unreadable) = failure else { panic!("{attribute}: {failure:?}") };
        assert_eq!(
            (unreadable.item.as_str(), unreadable.attribute.as_str()),
            ("nexus-leases/router/shard-2", attribute)
        );
    }
}

fn view(version: u64) -> StoredView {
    StoredView {
        stream: "order-o-1".parse().unwrap(),
        version: Version(version),
        body: r#"{"status":"placed"}"#.to_owned(),
        written_at_ms: 1_700,
    }
}

#[tokio::test(start_paused = true)]
async fn views_are_written_over_the_version_that_was_read() {
    let script = Script::new([Reply::ok("{}"), Reply::ok("{}")]);
    let views = script.views();
    views.write(Version::START, &view(1)).await.unwrap();
    views.write(Version(1), &view(2)).await.unwrap();
    let item = |version: &str| {
        json!({
            "pk": {"S": "order-o-1"}, "version": {"N": version}, "body": {"S": r#"{"status":"placed"}"#},
            "written_at_ms": {"N": "1700"},
        })
    };
    let first = json!({
        "TableName": "nexus-views", "Item": item("1"), "ConditionExpression": "attribute_not_exists(pk)",
    });
    let second = json!({
        "TableName": "nexus-views", "Item": item("2"), "ConditionExpression": "#attribute = :expected",
        "ExpressionAttributeNames": {"#attribute": "version"},
        "ExpressionAttributeValues": {":expected": {"N": "1"}},
    });
    assert_eq!(script.sent(), [("PutItem".to_owned(), first), ("PutItem".to_owned(), second)]);

    let reading = Script::new([Reply::ok(&json!({"Item": item("2")}).to_string()), Reply::ok("{}")]);
    let views = reading.views();
    assert_eq!(views.read(&view(2).stream).await, Ok(Some(view(2))));
    assert_eq!(views.read(&view(2).stream).await, Ok(None));
    assert!(reading.sent().iter().all(|(_, body)| body["ConsistentRead"] == json!(true)));
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_view_becomes_its_outcome() {
    for (reply, expected) in write_outcomes() {
        for expected_version in [Version::START, Version(4)] {
            let script = Script::new([reply.clone()]);
            let failure = script.views().write(expected_version, &view(5)).await.unwrap_err();
            assert_eq!(kind(&failure), expected, "{reply:?}");
            if let WriteFailure::Refused(refused) = failure {
                assert_eq!(refused, ViewMoved { stream: view(5).stream });
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_read_becomes_its_outcome() {
    let table = [
        (error(400, "ThrottlingException"), "throttled"),
        (error(500, "InternalServerError"), "no answer"),
        (error(400, "ResourceNotFoundException"), "rejected"),
        (Reply::BytesThenClose(String::new()), "no answer"),
        (Reply::ok(r#"{"Item":{"pk":{"S":"order-o-1"}}}"#), "unreadable"),
        (Reply::ok("{nonsense"), "no answer"),
    ];
    for (reply, expected) in table {
        let script = Script::new([reply.clone()]);
        let kind = match script.views().read(&view(1).stream).await.unwrap_err() {
            ReadFailure::Throttled(_) => "throttled",
            ReadFailure::NoAnswer(_) => "no answer",
            ReadFailure::Rejected(_) => "rejected",
            ReadFailure::Unreadable(_) => "unreadable",
            ReadFailure::NotSent(_) => "not sent",
        };
        assert_eq!(kind, expected, "{reply:?}");
    }
}

fn notification() -> Notification {
    Notification {
        event_id: "event-1".to_owned(),
        stream: "cart-c-1".parse().unwrap(),
        version: Version(4),
        template: "cart-abandoned".to_owned(),
        recipient: "customer-1".to_owned(),
        data: "{}".to_owned(),
        correlation_id: "correlation-1".to_owned(),
        recorded_at_ms: 1_800,
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_notified_once() {
    let script = Script::new([Reply::ok("{}"), failed_condition()]);
    let outbox = script.outbox();
    outbox.record(&notification()).await.unwrap();
    assert_eq!(outbox.record(&notification()).await, Err(WriteFailure::Refused(AlreadyRecorded)));
    let put = json!({
        "TableName": "nexus-outbox", "ConditionExpression": "attribute_not_exists(pk)",
        "Item": {
            "pk": {"S": "event-1"}, "stream": {"S": "cart-c-1"}, "version": {"N": "4"},
            "template": {"S": "cart-abandoned"}, "recipient": {"S": "customer-1"}, "data": {"S": "{}"},
            "correlation_id": {"S": "correlation-1"}, "recorded_at_ms": {"N": "1800"},
        },
    });
    assert_eq!(script.sent(), [("PutItem".to_owned(), put.clone()), ("PutItem".to_owned(), put)]);
    for (reply, expected) in write_outcomes() {
        let failure = Script::new([reply.clone()]).outbox().record(&notification()).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "{reply:?}");
    }
}

fn parked(counter: u64) -> ParkedAggregate {
    ParkedAggregate {
        consumer: "router".to_owned(),
        key: "order-o-1".to_owned(),
        first_version: Some(Version(3)),
        last_version: Some(Version(5)),
        body: "{}".to_owned(),
        reason: ParkReason::AttemptsExhausted,
        detail: "throttled".to_owned(),
        attempts: 3,
        parked_at_ms: 1_900,
        counter,
    }
}

#[tokio::test(start_paused = true)]
async fn parked_aggregates_come_back_as_they_were_written() {
    let unreadable =
        ParkedAggregate { first_version: None, last_version: None, reason: ParkReason::Poison, ..parked(1) };
    for wanted in [parked(2), unreadable] {
        let writing = Script::new([Reply::ok("{}"), Reply::ok("{}")]);
        let lot = writing.parking_lot();
        lot.park(&wanted).await.unwrap();
        lot.replace(wanted.counter - 1, &wanted).await.unwrap();
        let sent = writing.sent();
        let item = sent[0].1["Item"].clone();
        assert_eq!(sent[0].1["ConditionExpression"], json!("attribute_not_exists(pk)"));
        assert_eq!(sent[1].1["Item"], item);
        assert_eq!(sent[1].1["ExpressionAttributeNames"], json!({"#attribute": "counter"}));
        let expected = json!({":expected": {"N": (wanted.counter - 1).to_string()}});
        assert_eq!(sent[1].1["ExpressionAttributeValues"], expected);

        let pages = [json!({"Item": item}), json!({}), json!({"Items": [item]})];
        let reading = Script::new(pages.map(|page| Reply::ok(&page.to_string())));
        let lot = reading.parking_lot();
        assert_eq!(lot.read("router", "order-o-1").await, Ok(Some(wanted.clone())));
        assert_eq!(lot.read("router", "order-o-1").await, Ok(None));
        assert_eq!(lot.list("router").await, Ok(vec![wanted]));
        assert!(reading.sent().iter().all(|(_, body)| body["ConsistentRead"] == json!(true)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_is_released_only_as_it_was_read() {
    let script = Script::new([Reply::ok("{}"), failed_condition()]);
    let lot = script.parking_lot();
    lot.release("router", "order-o-1", 4).await.unwrap();
    assert_eq!(lot.release("router", "order-o-1", 4).await, Err(WriteFailure::Refused(ParkingMoved)));
    let delete = json!({
        "TableName": "nexus-parked", "Key": {"pk": {"S": "router"}, "sk": {"S": "order-o-1"}},
        "ConditionExpression": "#attribute = :expected", "ExpressionAttributeNames": {"#attribute": "counter"},
        "ExpressionAttributeValues": {":expected": {"N": "4"}},
    });
    assert_eq!(script.sent()[0], ("DeleteItem".to_owned(), delete));
    for (reply, expected) in write_outcomes() {
        let lot = || Script::new([reply.clone()]).parking_lot();
        assert_eq!(kind(&lot().park(&parked(1)).await.unwrap_err()), expected, "park: {reply:?}");
        assert_eq!(kind(&lot().replace(1, &parked(2)).await.unwrap_err()), expected, "replace: {reply:?}");
        assert_eq!(kind(&lot().release("router", "k", 1).await.unwrap_err()), expected, "release: {reply:?}");
    }
}

fn letter() -> QuarantinedLetter {
    QuarantinedLetter {
        letter_id: "event-9".to_owned(),
        source: "nexus-notifications-dlq".to_owned(),
        body: "not JSON".to_owned(),
        attributes: vec![("event_type".to_owned(), "CartAbandoned".to_owned())],
        reason: "unreadable".to_owned(),
        receive_count: 6,
        quarantined_at_ms: 2_000,
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_kept_once_and_keeping_it_again_is_a_success() {
    let script = Script::new([Reply::ok("{}"), failed_condition()]);
    let quarantine = script.quarantine();
    quarantine.keep(&letter()).await.unwrap();
    quarantine.keep(&letter()).await.unwrap();
    let put = json!({
        "TableName": "nexus-quarantine", "ConditionExpression": "attribute_not_exists(pk)",
        "Item": {
            "pk": {"S": "event-9"}, "source": {"S": "nexus-notifications-dlq"}, "body": {"S": "not JSON"},
            "attributes": {"L": [{"M": {"name": {"S": "event_type"}, "value": {"S": "CartAbandoned"}}}]},
            "reason": {"S": "unreadable"}, "receive_count": {"N": "6"}, "quarantined_at_ms": {"N": "2000"},
        },
    });
    assert_eq!(script.sent(), [("PutItem".to_owned(), put.clone()), ("PutItem".to_owned(), put)]);
}

#[tokio::test(start_paused = true)]
async fn every_other_error_of_the_quarantine_becomes_its_outcome() {
    for (reply, expected) in write_outcomes().into_iter().skip(1) {
        let kind = match Script::new([reply.clone()]).quarantine().keep(&letter()).await.unwrap_err() {
            CallFailure::Throttled(_) => "throttled",
            CallFailure::NotSent(_) => "not sent",
            CallFailure::Rejected(_) => "rejected",
            CallFailure::Unknown(_) => "unknown",
        };
        // Contention wrote nothing and may pass, which this port calls throttling.
        let expected = if expected == "contended" { "throttled" } else { expected };
        assert_eq!(kind, expected, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_catalogued_page_by_page() {
    let key = |stream: &str, version: &str| json!({"pk": {"S": stream}, "sk": {"N": version}});
    let pages = [
        json!({"Items": [{"pk": {"S": "order-o-1"}}, {"pk": {"S": "a/b"}}], "LastEvaluatedKey": key("a/b", "17")}),
        json!({"Items": [], "LastEvaluatedKey": key("a/b", "99")}),
        json!({"Items": [{"pk": {"S": "cart-c-1"}}]}),
    ];
    let script = Script::new(pages.map(|page| Reply::ok(&page.to_string())));
    let catalogue = script.catalogue();
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let (streams, next) = catalogue.page(after).await.unwrap();
        found.extend(streams.iter().map(ToString::to_string));
        pages += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec!["order-o-1".to_owned(), "a/b".to_owned(), "cart-c-1".to_owned()], 3));
    let sent = script.sent();
    let first = json!({
        "TableName": "nexus-events", "ConsistentRead": true, "FilterExpression": "sk = :first",
        "ExpressionAttributeValues": {":first": {"N": "1"}}, "ProjectionExpression": "pk",
    });
    assert_eq!(sent[0], ("Scan".to_owned(), first));
    assert_eq!(sent[1].1["ExclusiveStartKey"], key("a/b", "17"));
    assert_eq!(sent[2].1["ExclusiveStartKey"], key("a/b", "99"));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_streams_fails_as_reads_do() {
    let script = Script::new([error(400, "ThrottlingException"), Reply::ok(r#"{"Items":[{"pk":{"N":"1"}}]}"#)]);
    let catalogue = script.catalogue();
    assert!(matches!(catalogue.page(None).await, Err(ReadFailure::Throttled(_))));
    assert!(matches!(catalogue.page(None).await, Err(ReadFailure::Unreadable(_))));
    assert!(matches!(catalogue.page(Some("nonsense".to_owned())).await, Err(ReadFailure::Rejected(_))));
    assert_eq!(script.sent().len(), 2);
}
