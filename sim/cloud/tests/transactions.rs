//! Transactions: atomicity, conflicts, tokens.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_cloud::{AnswerFate, CallPlan};
use serde_json::{Value, json};
use support::{Driver, MS, item, key, put_request, quick, transact_put};

fn transaction(items: Vec<Value>) -> Value {
    json!({"TransactItems": items})
}

fn with_token(items: Vec<Value>, token: &str) -> Value {
    json!({"TransactItems": items, "ClientRequestToken": token})
}

#[test]
fn all_or_nothing_with_reasons_in_request_order() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "there").ok();
    let absent = json!({"Put": {
        "TableName": "orders", "Item": item("a", "1", "new"), "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }});
    let answer = driver.call("TransactWriteItems", transaction(vec![transact_put("b", "1", "x"), absent.clone()]));
    let (code, message) = answer.clone().error();
    assert_eq!(code, "TransactionCanceledException");
    assert_eq!(
        message,
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    );
    let support::Answer::Body { body, .. } = &answer else { panic!() };
    assert_eq!(body["CancellationReasons"][0], json!({"Code": "None"}));
    assert_eq!(body["CancellationReasons"][1]["Item"], item("a", "1", "there"));
    assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "there")]);

    let check = json!({"ConditionCheck": {
        "TableName": "orders", "Key": key("a", "1"), "ConditionExpression": "v = :v",
        "ExpressionAttributeValues": {":v": {"S": "there"}},
    }});
    let update = json!({"Update": {
        "TableName": "orders", "Key": key("c", "1"), "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": {"S": "set"}},
    }});
    driver.call("TransactWriteItems", transaction(vec![check, update, transact_put("b", "1", "x")])).ok();
    assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "there"), item("b", "1", "x"), item("c", "1", "set")]);
}

#[test]
fn invalid_transactions_are_refused_whole() {
    let mut driver = Driver::with_orders(quick());
    for (items, message) in [
        (
            vec![transact_put("a", "1", "x"), transact_put("a", "1", "y")],
            "Transaction request cannot include multiple operations on one item",
        ),
        (vec![json!({})], "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"),
    ] {
        assert_eq!(
            driver.call("TransactWriteItems", transaction(items)).error(),
            ("ValidationException".to_owned(), message.to_owned())
        );
    }
    let delete = |key: Value| json!({"Delete": {"TableName": "orders", "Key": key}});
    let empty = json!({"pk": {"S": ""}, "sk": {"S": "1"}});
    let (code, message) = driver.call("TransactWriteItems", transaction(vec![delete(empty)])).error();
    assert_eq!(code, "ValidationException", "an empty key is found before the transaction runs");
    assert!(message.contains("cannot contain an empty string value. Key: pk"), "{message}");
    let wrong = json!({"pk": {"N": "1"}, "sk": {"S": "1"}});
    let answer = driver.call("TransactWriteItems", transaction(vec![transact_put("a", "1", "x"), delete(wrong)]));
    assert_eq!(answer.reasons(), ["None", "ValidationError"]);
    assert!(driver.cloud.scan_now("orders").is_empty());
    let many: Vec<Value> = (0..101).map(|n| transact_put("a", &n.to_string(), "x")).collect();
    let (code, message) = driver.call("TransactWriteItems", transaction(many)).error();
    assert_eq!(code, "ValidationException");
    assert!(message.contains("less than or equal to 100"), "{message}");
}

#[test]
fn whoever_touches_a_locked_item_is_told() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "old").ok();
    let first = driver.send("TransactWriteItems", &transaction(vec![transact_put("a", "1", "first")]));
    driver.wait(MS);
    let second = driver
        .send("TransactWriteItems", &transaction(vec![transact_put("b", "1", "x"), transact_put("a", "1", "second")]));
    let reading = json!({"TransactItems": [{"Get": {"TableName": "orders", "Key": key("a", "1")}}]});
    driver.plan_next(CallPlan::default());
    let plain = driver.send("GetItem", &json!({"TableName": "orders", "Key": key("a", "1"), "ConsistentRead": true}));
    assert!(driver.answer(first) == support::Answer::Body { status: 200, body: json!({}) });
    assert_eq!(driver.answer(second).reasons(), ["None", "TransactionConflict"]);
    assert_eq!(driver.answer(plain).ok()["Item"]["v"]["S"], "first", "its effect came after the commit");

    // The effect of a single write or of a transactional read must fall between the two phases to conflict.
    let slow = CallPlan { delay_before: Duration::ZERO, ..CallPlan::default() };
    driver.plan_next(slow);
    let write = driver.send("PutItem", &put_request("a", "1", "single"));
    let read = driver.send("TransactGetItems", &reading);
    driver.wait(3 * MS);
    let holder = driver.send("TransactWriteItems", &transaction(vec![transact_put("a", "1", "holder")]));
    let (code, message) = driver.answer(write).error();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("TransactionConflictException", "Transaction is ongoing for the item")
    );
    assert_eq!(driver.answer(read).reasons(), ["TransactionConflict"]);
    driver.answer(holder).ok();
    assert_eq!(driver.get("a", "1").unwrap()["v"]["S"], "holder");
}

#[test]
fn a_token_makes_a_retry_harmless_for_ten_minutes_after_completion() {
    let mut driver = Driver::with_orders(quick());
    let request = with_token(vec![transact_put("a", "1", "x")], "t1");
    driver.call("TransactWriteItems", request.clone()).ok();
    driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "1")})).ok();
    driver.call("TransactWriteItems", request.clone()).ok();
    assert!(driver.last_outcome().applied, "an earlier execution of the token is in storage");
    assert_eq!(driver.get("a", "1"), None, "a repeated token has no effect");
    let other = with_token(vec![transact_put("a", "1", "different")], "t1");
    assert_eq!(driver.call("TransactWriteItems", other).code(), "IdempotentParameterMismatchException");
    driver.wait(Duration::from_secs(601));
    driver.call("TransactWriteItems", request).ok();
    assert!(driver.get("a", "1").is_some(), "after the window the token is a new one");
}

#[test]
fn a_token_in_flight_is_in_progress() {
    let mut driver = Driver::with_orders(quick());
    let request = with_token(vec![transact_put("a", "1", "x")], "t1");
    let first = driver.send("TransactWriteItems", &request);
    driver.wait(MS);
    let second = driver.send("TransactWriteItems", &request);
    driver.answer(first).ok();
    assert_eq!(driver.answer(second).code(), "TransactionInProgressException");
    driver.call("TransactWriteItems", request).ok();
}

#[test]
fn a_failed_first_try_is_not_remembered() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "in the way").ok();
    let put = json!({"Put": {
        "TableName": "orders", "Item": item("a", "1", "x"), "ConditionExpression": "attribute_not_exists(pk)",
    }});
    let request = with_token(vec![put], "t1");
    assert_eq!(driver.call("TransactWriteItems", request.clone()).reasons(), ["ConditionalCheckFailed"]);
    driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "1")})).ok();
    driver.call("TransactWriteItems", request).ok();
    assert_eq!(driver.get("a", "1").unwrap()["v"]["S"], "x");
}

#[test]
fn a_lost_answer_then_a_retry_without_the_token_meets_its_own_condition() {
    let mut driver = Driver::with_orders(quick());
    let put = json!({"Put": {
        "TableName": "orders", "Item": item("a", "1", "mine"), "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }});
    driver.plan_next(CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() });
    assert_eq!(driver.call("TransactWriteItems", with_token(vec![put.clone()], "t1")), support::Answer::Reset);
    let retry = driver.call("TransactWriteItems", with_token(vec![put], "t2"));
    let support::Answer::Body { body, .. } = retry else { panic!() };
    assert_eq!(body["CancellationReasons"][0]["Item"], item("a", "1", "mine"));
}

#[test]
fn transactional_reads_answer_in_request_order() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "x").ok();
    let get = |sk: &str| json!({"Get": {"TableName": "orders", "Key": key("a", sk), "ProjectionExpression": "v"}});
    let request = json!({"TransactItems": [get("2"), get("1")], "ReturnConsumedCapacity": "TOTAL"});
    let answer = driver.call("TransactGetItems", request).ok();
    assert_eq!(answer["Responses"], json!([{}, {"Item": {"v": {"S": "x"}}}]));
    assert_eq!(
        answer["ConsumedCapacity"],
        json!([{"TableName": "orders", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}])
    );
}
