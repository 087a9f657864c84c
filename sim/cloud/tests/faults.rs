//! Every effect that a plan can have on a call.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_cloud::{AnswerFate, CallPlan, JournalEntry, RefuseBefore};
use serde_json::{Value, json};
use support::{Answer, Driver, MS, START, item, key, put_request, quick, transact_put};

fn refuse(refusal: RefuseBefore) -> CallPlan {
    CallPlan { refuse: Some(refusal), ..CallPlan::default() }
}

fn requests() -> Vec<(&'static str, Value)> {
    let get = json!({"TableName": "orders", "Key": key("a", "1")});
    vec![
        ("PutItem", put_request("a", "1", "new")),
        ("DeleteItem", get.clone()),
        (
            "UpdateItem",
            json!({
                "TableName": "orders", "Key": key("a", "1"), "UpdateExpression": "SET v = :v",
                "ExpressionAttributeValues": {":v": {"S": "new"}},
            }),
        ),
        ("GetItem", get.clone()),
        (
            "Query",
            json!({
                "TableName": "orders", "KeyConditionExpression": "pk = :p",
                "ExpressionAttributeValues": {":p": {"S": "a"}},
            }),
        ),
        ("Scan", json!({"TableName": "orders"})),
        ("BatchGetItem", json!({"RequestItems": {"orders": {"Keys": [key("a", "1")]}}})),
        ("BatchWriteItem", json!({"RequestItems": {"orders": [{"PutRequest": {"Item": item("a", "1", "new")}}]}})),
        ("TransactGetItems", json!({"TransactItems": [{"Get": get}]})),
        ("TransactWriteItems", json!({"TransactItems": [transact_put("a", "1", "new")]})),
        ("DescribeTable", json!({"TableName": "orders"})),
        ("ListStreams", json!({})),
    ]
}

fn is_transaction(operation: &str) -> bool {
    operation.starts_with("Transact")
}

#[test]
fn every_refusal_of_every_operation_leaves_storage_alone() {
    let refusals = [
        (
            RefuseBefore::ThrottleKeyRange,
            "ProvisionedThroughputExceededException",
            Some("ProvisionedThroughputExceeded"),
        ),
        (RefuseBefore::ThrottleAccount, "ThrottlingException", None),
        (RefuseBefore::RequestLimitExceeded, "RequestLimitExceeded", None),
        (RefuseBefore::InternalServerError, "InternalServerError", None),
        (RefuseBefore::TransactionConflict, "TransactionConflictException", Some("TransactionConflict")),
        (RefuseBefore::TransactionInProgress, "TransactionInProgressException", None),
    ];
    for (operation, body) in requests() {
        for (refusal, code, reason) in refusals {
            let mut driver = Driver::with_orders(quick());
            driver.put("a", "1", "old").ok();
            driver.plan_next(refuse(refusal));
            let answer = driver.call(operation, body.clone());
            match reason.filter(|_| is_transaction(operation)) {
                Some(reason) => assert_eq!(answer.reasons(), [reason], "{operation} {refusal:?}"),
                None if operation == "ListStreams" && refusal == RefuseBefore::ThrottleKeyRange => {
                    assert_eq!(answer.code(), "LimitExceededException");
                }
                None => assert_eq!(answer.code(), code, "{operation} {refusal:?}"),
            }
            let outcome = driver.last_outcome();
            assert!(outcome.delivered && !outcome.applied && outcome.error.is_some(), "{operation} {refusal:?}");
            assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "old")], "{operation} {refusal:?}");
        }
    }
}

#[test]
fn refusals_without_an_answer_of_the_service() {
    for (operation, body) in requests() {
        for (refusal, wanted) in [
            (RefuseBefore::Reset, Answer::Reset),
            (RefuseBefore::Hang, Answer::Silence),
            (RefuseBefore::ServiceUnavailableHtml, Answer::Text { status: 503, text: String::new() }),
        ] {
            let mut driver = Driver::with_orders(quick());
            driver.put("a", "1", "old").ok();
            driver.plan_next(refuse(refusal));
            match (driver.call(operation, body.clone()), &wanted) {
                (Answer::Text { status, text }, Answer::Text { status: wanted, .. }) => {
                    assert_eq!(status, *wanted);
                    assert!(text.contains("<html>"), "{text}");
                }
                (answer, wanted) => assert_eq!(answer, *wanted, "{operation} {refusal:?}"),
            }
            let outcome = driver.last_outcome();
            assert!(!outcome.applied, "{operation} {refusal:?}");
            assert_eq!(outcome.delivered, refusal == RefuseBefore::ServiceUnavailableHtml);
            assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "old")], "{operation} {refusal:?}");
        }
    }
}

#[test]
fn every_fate_of_an_answer_leaves_the_effect_in_place() {
    for (operation, body) in requests() {
        for (fate, wanted) in [
            (AnswerFate::Reset, Answer::Reset),
            (AnswerFate::Hang, Answer::Silence),
            (AnswerFate::Truncate, Answer::Truncated),
            (AnswerFate::InternalServerError, Answer::Body { status: 500, body: Value::Null }),
        ] {
            let mut driver = Driver::with_orders(quick());
            driver.put("a", "1", "old").ok();
            driver.plan_next(CallPlan { answer: fate, ..CallPlan::default() });
            match (driver.call(operation, body.clone()), &wanted) {
                (Answer::Body { status, .. }, Answer::Body { status: wanted, .. }) => assert_eq!(status, *wanted),
                (answer, wanted) => assert_eq!(answer, *wanted, "{operation} {fate:?}"),
            }
            let outcome = driver.last_outcome();
            let status = if fate == AnswerFate::InternalServerError { 500 } else { 200 };
            assert_eq!(outcome.status, status, "what was or would have been answered: {operation} {fate:?}");
            assert_eq!(outcome.delivered, fate == AnswerFate::InternalServerError, "{operation} {fate:?}");
            let expected = match operation {
                "DeleteItem" => vec![],
                _ if outcome.applied => vec![item("a", "1", "new")],
                _ => vec![item("a", "1", "old")],
            };
            assert_eq!(driver.cloud.scan_now("orders"), expected, "{operation} {fate:?}");
            assert_eq!(outcome.applied, expected != [item("a", "1", "old")], "{operation}");
        }
    }
}

#[test]
fn delays_stand_before_the_effect_and_after_it() {
    let mut driver = Driver::with_orders(quick());
    let second = Duration::from_secs(1);
    driver.plan_next(CallPlan { delay_before: second, delay_after: 2 * second, ..CallPlan::default() });
    let call = driver.send("PutItem", &put_request("a", "1", "v"));
    driver.wait(second + 5 * MS);
    assert!(driver.cloud.scan_now("orders").is_empty(), "the effect comes 6 ms after the delay");
    driver.wait(2 * MS);
    assert_eq!(driver.cloud.scan_now("orders").len(), 1);
    driver.wait(2 * second);
    assert!(!driver.has_answer(call));
    driver.wait(4 * MS);
    assert!(driver.has_answer(call));
    let outcome = driver.last_outcome();
    assert_eq!(outcome.at, START.plus(second + 6 * MS));
    assert_eq!(outcome.modelled_service_ns, 10_000_000, "injected delays are no part of the model");
}

#[test]
fn partial_batches_do_their_first_entry_only() {
    let mut driver = Driver::with_orders(quick());
    let puts: Vec<Value> =
        ["1", "2", "3"].iter().map(|sk| json!({"PutRequest": {"Item": item("a", sk, "v")}})).collect();
    driver.plan_next(refuse(RefuseBefore::PartialBatch));
    let answer = driver.call("BatchWriteItem", json!({"RequestItems": {"orders": puts}})).ok();
    assert_eq!(answer["UnprocessedItems"], json!({"orders": puts[1..]}));
    assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "v")]);
    driver.call("BatchWriteItem", json!({"RequestItems": answer["UnprocessedItems"]})).ok();
    assert_eq!(driver.cloud.scan_now("orders").len(), 3);

    driver.plan_next(refuse(RefuseBefore::PartialBatch));
    let keys = json!([key("a", "1"), key("a", "2")]);
    let request = json!({"RequestItems": {"orders": {"Keys": keys, "ConsistentRead": true}}});
    let answer = driver.call("BatchGetItem", request).ok();
    assert_eq!(answer["Responses"]["orders"].as_array().unwrap().len(), 1);
    assert_eq!(answer["UnprocessedKeys"], json!({"orders": {"Keys": [key("a", "2")], "ConsistentRead": true}}));

    driver.plan_next(refuse(RefuseBefore::PartialBatch));
    assert_eq!(driver.put("a", "9", "v").code(), "ProvisionedThroughputExceededException");
}

#[test]
fn stale_reads_see_the_past() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "old").ok();
    driver.wait(Duration::from_secs(1));
    driver.put("a", "1", "new").ok();
    let stale = || CallPlan { staleness: Some(Duration::from_millis(500)), ..CallPlan::default() };
    let eventual = json!({"TableName": "orders", "Key": key("a", "1")});
    driver.plan_next(stale());
    assert_eq!(driver.call("GetItem", eventual.clone()).ok()["Item"]["v"]["S"], "old");
    driver.plan_next(stale());
    let strong = json!({"TableName": "orders", "Key": key("a", "1"), "ConsistentRead": true});
    assert_eq!(driver.call("GetItem", strong).ok()["Item"]["v"]["S"], "new", "strong reads are never stale");
    driver.plan_next(stale());
    assert_eq!(driver.call("Scan", json!({"TableName": "orders"})).ok()["Items"][0]["v"]["S"], "old");
    assert_eq!(driver.call("GetItem", eventual).ok()["Item"]["v"]["S"], "new");
}

#[test]
fn calls_are_described_to_the_hook_and_the_journal() {
    let mut driver = Driver::with_orders(quick());
    let body = json!({"TransactItems": [transact_put("a", "1", "x"), transact_put("b", "2", "y")], "ClientRequestToken": "token"});
    driver.call("TransactWriteItems", body).ok();
    let (call, outcome) = driver.seen.lock().unwrap()[0].clone();
    assert_eq!((call.sequence, call.at, call.operation.as_str()), (1, START, "TransactWriteItems"));
    assert_eq!(call.keys, ["orders/a/1", "orders/b/2"]);
    assert!(call.is_write && call.is_transaction && !call.is_eventual_read);
    assert_eq!(call.client_token.as_deref(), Some("token"));
    assert_eq!((call.invocation_id.as_deref(), call.attempt), (Some("invocation"), Some(2)));
    assert!(outcome.applied && outcome.delivered);
    let journal = driver.cloud.take_journal();
    let shape: Vec<&str> = journal
        .iter()
        .map(|entry| match entry {
            JournalEntry::Write { .. } => "write",
            JournalEntry::Call { .. } => "call",
            JournalEntry::StreamRecord { .. } => "record",
            JournalEntry::Message(_) => "message",
            JournalEntry::SchemaVersion(_) => "schema version",
        })
        .collect();
    assert_eq!(shape, ["write", "write", "call", "record", "record"]);
    let JournalEntry::Write { call_sequence, key, old_image, new_image, .. } = &journal[0] else { panic!() };
    assert_eq!(
        (*call_sequence, key.as_str(), old_image.as_deref().cloned(), new_image.as_deref().cloned()),
        (1, "orders/a/1", None, Some(item("a", "1", "x")))
    );
    assert!(driver.cloud.journal().is_empty());
}

#[test]
fn tampering_is_journalled_and_bypasses_the_stream() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "true").ok();
    let records = driver.cloud.stream_now("orders").len();
    driver.cloud.tamper(driver.now, "orders", &key("a", "1"), Some(item("a", "1", "forged"))).unwrap();
    assert_eq!(driver.get("a", "1").unwrap()["v"]["S"], "forged");
    assert_eq!(driver.cloud.stream_now("orders").len(), records);
    let journalled =
        driver.cloud.journal().iter().any(|entry| matches!(entry, JournalEntry::Write { call_sequence: 0, .. }));
    assert!(journalled);
    driver.cloud.tamper(driver.now, "orders", &key("a", "1"), None).unwrap();
    assert_eq!(driver.get("a", "1"), None);
}
