//! Real error bodies through the real SDK, and the outcome that each must become.
#![forbid(unsafe_code)]

mod support;

use nexus_ports::{
    AppendRefused, EventPage, EventRecord, EventStorage, IdempotencyRecord, ReadConsistency, ReadFailure,
    RecordRefused, Version, WriteFailure,
};
use serde_json::{Value, json};
use support::{Bench, Reply, event, record, refusal, transaction};

fn error(status: u16, code: &str) -> Reply {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Reply::Answer { status, body: json!({"__type": kind, "message": "as scripted"}).to_string() }
}

fn cancelled(reasons: Value) -> Reply {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    Reply::Answer { status: 400, body: body.to_string() }
}

fn event_json(event: &EventRecord) -> Value {
    let mut item = json!({
        "pk": {"S": event.stream}, "sk": {"N": event.version.to_string()}, "event_id": {"S": event.event_id},
        "event_type": {"S": event.event_type}, "schema_version": {"N": event.schema_version.to_string()},
        "payload": {"S": event.payload}, "recorded_at_ms": {"N": event.recorded_at_ms.to_string()},
        "command_id": {"S": event.envelope.command_id}, "causation_id": {"S": event.envelope.causation_id},
        "correlation_id": {"S": event.envelope.correlation_id}, "previous_hash": {"S": event.previous_hash},
        "hash": {"S": event.hash},
    });
    if let Some(trace_context) = &event.envelope.trace_context {
        item["trace_context"] = json!({"S": trace_context});
    }
    item
}

fn record_json(record: &IdempotencyRecord) -> Value {
    let ids: Vec<Value> = record.event_ids.iter().map(|id| json!({"S": id})).collect();
    let mut item = json!({
        "pk": {"S": record.key}, "payload_digest": {"S": record.payload_digest},
        "outcome": {"S": record.outcome.as_str()}, "answer": {"S": record.answer}, "stream": {"S": record.stream},
        "event_ids": {"L": ids}, "recorded_at_ms": {"N": record.recorded_at_ms.to_string()},
    });
    if let Some(versions) = record.versions {
        item["first_version"] = json!({"N": versions.first.to_string()});
        item["last_version"] = json!({"N": versions.last.to_string()});
    }
    item
}

/// The kind of a failure, with the code where it has one.
fn kind<R: std::error::Error>(failure: &WriteFailure<R>) -> String {
    match failure {
        WriteFailure::Refused(_) => "refused".to_owned(),
        WriteFailure::Contended(_) => "contended".to_owned(),
        WriteFailure::Throttled(throttled) => format!("throttled {}", throttled.code),
        WriteFailure::NotSent(_) => "not sent".to_owned(),
        WriteFailure::Rejected(rejected) => format!("rejected {}", rejected.code),
        WriteFailure::Unknown(_) => "unknown".to_owned(),
    }
}

fn reason(code: &str) -> Value {
    json!({"Code": code, "Message": "as scripted"})
}

#[tokio::test(start_paused = true)]
async fn every_error_of_an_append_becomes_its_outcome() {
    let none = || json!({"Code": "None"});
    let html = Reply::Answer { status: 503, body: "<html><body>Service Unavailable</body></html>".to_owned() };
    let table = [
        (error(400, "ProvisionedThroughputExceededException"), "throttled ProvisionedThroughputExceededException"),
        (error(400, "ThrottlingException"), "throttled ThrottlingException"),
        (error(400, "RequestLimitExceeded"), "throttled RequestLimitExceeded"),
        (error(400, "LimitExceededException"), "throttled LimitExceededException"),
        (error(400, "TransactionInProgressException"), "unknown"),
        (error(400, "IdempotentParameterMismatchException"), "unknown"),
        (error(400, "TransactionConflictException"), "contended"),
        (error(400, "ReplicatedWriteConflictException"), "contended"),
        (error(500, "InternalServerError"), "unknown"),
        (error(503, "ServiceUnavailable"), "unknown"),
        (error(500, "TransactionCanceledException"), "unknown"),
        (error(500, "ProvisionedThroughputExceededException"), "unknown"),
        (error(400, "ValidationException"), "rejected ValidationException"),
        (error(400, "ResourceNotFoundException"), "rejected ResourceNotFoundException"),
        (error(400, "AccessDeniedException"), "rejected AccessDeniedException"),
        (error(400, "ExpiredTokenException"), "rejected ExpiredTokenException"),
        (error(400, "ItemCollectionSizeLimitExceededException"), "rejected ItemCollectionSizeLimitExceededException"),
        (html, "unknown"),
        (Reply::Answer { status: 400, body: "{}".to_owned() }, "unknown"),
        (Reply::Answer { status: 429, body: "{}".to_owned() }, "throttled 429"),
        (cancelled(json!([reason("TransactionConflict"), none(), none()])), "contended"),
        (
            cancelled(json!([none(), reason("ProvisionedThroughputExceeded"), none()])),
            "throttled ProvisionedThroughputExceeded",
        ),
        (cancelled(json!([none(), none(), reason("ThrottlingError")])), "throttled ThrottlingError"),
        (cancelled(json!([reason("ThrottlingError"), reason("TransactionConflict"), none()])), "contended"),
        (cancelled(json!([reason("TransactionConflict"), none(), reason("ConditionalCheckFailed")])), "refused"),
        (cancelled(json!([reason("ThrottlingError"), none(), reason("ConditionalCheckFailed")])), "refused"),
        (
            cancelled(json!([reason("ValidationError"), reason("TransactionConflict"), none()])),
            "rejected ValidationError",
        ),
        (
            cancelled(json!([reason("ItemCollectionSizeLimitExceeded"), none(), none()])),
            "rejected ItemCollectionSizeLimitExceeded",
        ),
        (cancelled(json!([reason("ConditionalCheckFailed"), reason("ValidationError"), none()])), "refused"),
        (cancelled(json!([none(), none(), none()])), "unknown"),
        (cancelled(json!([])), "unknown"),
    ];
    for (reply, expected) in table {
        let bench = Bench::new([reply.clone()]);
        let failure = bench.storage.append(&transaction()).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "{reply:?}");
        assert_eq!(bench.seen().len(), 1, "{reply:?}: the SDK attempted again");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_record_becomes_its_outcome() {
    let table = [
        (error(400, "ThrottlingException"), "throttled ThrottlingException"),
        (error(400, "TransactionConflictException"), "contended"),
        (error(500, "InternalServerError"), "unknown"),
        (error(500, "ConditionalCheckFailedException"), "unknown"),
        (error(400, "ConditionalCheckFailedException"), "refused"),
        (error(400, "ValidationException"), "rejected ValidationException"),
    ];
    for (reply, expected) in table {
        let bench = Bench::new([reply.clone()]);
        let failure = bench.storage.record_answer(&refusal()).await.unwrap_err();
        assert_eq!(kind(&failure), expected, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_read_becomes_its_outcome() {
    let table = [
        (error(400, "ThrottlingException"), "throttled"),
        (error(500, "InternalServerError"), "no answer"),
        (error(400, "ResourceNotFoundException"), "rejected"),
        (Reply::BytesThenClose(String::new()), "no answer"),
        (Reply::ok(r#"{"Item":{"pk":{"S":"key-1"}}}"#), "unreadable"),
        (Reply::ok("{nonsense"), "no answer"),
    ];
    for (reply, expected) in table {
        let bench = Bench::new([reply.clone()]);
        let kind = match bench.storage.read_idempotency_record("key-1").await.unwrap_err() {
            ReadFailure::Throttled(_) => "throttled",
            ReadFailure::NoAnswer(_) => "no answer",
            ReadFailure::Rejected(_) => "rejected",
            ReadFailure::Unreadable(_) => "unreadable",
            ReadFailure::NotSent(_) => "not sent",
        };
        assert_eq!(kind, expected, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_append_tells_what_stood_in_the_way() {
    let failed = |item: Option<Value>| match item {
        Some(item) => {
            json!({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": item})
        }
        None => json!({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}),
    };
    let none = || json!({"Code": "None"});
    let unreadable = json!({"pk": {"S": "order-o-1"}, "sk": {"N": "1"}});
    let table = [
        (json!([failed(Some(event_json(&event(1)))), none(), none()]), vec![event(1)], None),
        (
            json!([
                failed(Some(event_json(&event(1)))),
                failed(Some(event_json(&event(2)))),
                failed(Some(record_json(&record())))
            ]),
            vec![event(1), event(2)],
            Some(record()),
        ),
        (json!([none(), none(), failed(Some(record_json(&refusal())))]), vec![], Some(refusal())),
        (json!([failed(None), none(), none()]), vec![], None),
        (json!([failed(Some(unreadable)), none(), failed(Some(json!({})))]), vec![], None),
    ];
    for (reasons, events, record) in table {
        let bench = Bench::new([cancelled(reasons.clone())]);
        let failure = bench.storage.append(&transaction()).await.unwrap_err();
        assert_eq!(failure, WriteFailure::Refused(AppendRefused { events, record }), "{reasons}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_tells_what_stood_in_the_way() {
    for (item, expected) in [(Some(record_json(&record())), Some(record())), (None, None)] {
        let mut body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed",
        });
        if let Some(item) = item {
            body["Item"] = item;
        }
        let bench = Bench::new([Reply::Answer { status: 400, body: body.to_string() }]);
        let failure = bench.storage.record_answer(&refusal()).await.unwrap_err();
        assert_eq!(failure, WriteFailure::Refused(RecordRefused { record: expected }));
    }
}

#[tokio::test(start_paused = true)]
async fn one_transaction_holds_every_event_and_the_record_each_with_its_condition() {
    let bench = Bench::new([Reply::ok("{}")]);
    bench.storage.append(&transaction()).await.unwrap();
    let sent: Value = serde_json::from_str(&bench.seen()[0].body).unwrap();
    let put = |table: &str, item: Value| {
        json!({"Put": {
            "TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }})
    };
    assert_eq!(
        sent,
        json!({
            "ClientRequestToken": "token-1",
            "TransactItems": [
                put("nexus-events", event_json(&event(1))),
                put("nexus-events", event_json(&event(2))),
                put("nexus-idempotency", record_json(&record())),
            ],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_recorded_answer_is_one_conditional_put() {
    let bench = Bench::new([Reply::ok("{}")]);
    bench.storage.record_answer(&refusal()).await.unwrap();
    let sent: Value = serde_json::from_str(&bench.seen()[0].body).unwrap();
    assert_eq!(
        sent,
        json!({
            "TableName": "nexus-idempotency", "Item": record_json(&refusal()),
            "ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn reads_are_strong_and_go_over_empty_pages() {
    let key = json!({"pk": {"S": "order-o-1"}, "sk": {"N": "7"}});
    let empty = json!({"Items": [], "Count": 0, "LastEvaluatedKey": key});
    let page = json!({"Items": [event_json(&event(1)), event_json(&event(2))], "LastEvaluatedKey": key});
    let last = json!({"Items": []});
    let bench = Bench::new([empty, page, last].map(|body| Reply::ok(&body.to_string())));
    let stream = "order-o-1".parse().unwrap();
    let found = bench.storage.read_events(&stream, Version(0), ReadConsistency::Strong).await.unwrap();
    assert_eq!(found, EventPage { events: vec![event(1), event(2)], has_more: true });
    let rest = bench.storage.read_events(&stream, Version(2), ReadConsistency::Strong).await.unwrap();
    assert_eq!(rest, EventPage::default());
    let sent: Vec<Value> = bench.seen().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    assert!(sent.iter().all(|query| query["ConsistentRead"] == json!(true)));
    assert_eq!(sent[1]["ExclusiveStartKey"], key);
    assert_eq!(sent[2]["ExpressionAttributeValues"][":after"], json!({"N": "2"}));
}

#[tokio::test(start_paused = true)]
async fn records_are_read_strongly() {
    let found = json!({"Item": record_json(&record())}).to_string();
    let bench = Bench::new([Reply::ok(&found), Reply::ok("{}")]);
    assert_eq!(bench.storage.read_idempotency_record("key-1").await.unwrap(), Some(record()));
    assert_eq!(bench.storage.read_idempotency_record("key-2").await.unwrap(), None);
    let sent: Value = serde_json::from_str(&bench.seen()[1].body).unwrap();
    assert_eq!(sent, json!({"TableName": "nexus-idempotency", "Key": {"pk": {"S": "key-2"}}, "ConsistentRead": true}));
}
