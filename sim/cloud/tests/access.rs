//! What a table's own policy denies, it denies to everybody, whichever way they come.
#![forbid(unsafe_code)]

mod support;

use serde_json::{Value, json};
use support::{Driver, item, key, put_request, quick, transact_put};

fn arn(driver: &mut Driver) -> String {
    let described = driver.call("DescribeTable", json!({"TableName": "orders"})).ok();
    described["Table"]["TableArn"].as_str().unwrap().to_owned()
}

fn deny(actions: &[&str]) -> String {
    let statement = json!({"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[test]
fn items_that_may_only_be_put_are_not_changed_by_any_call() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "there").ok();
    let arn = arn(&mut driver);
    let text = deny(&["dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"]);
    driver.call("PutResourcePolicy", json!({"ResourceArn": arn, "Policy": text})).ok();
    let update = json!({
        "TableName": "orders", "Key": key("a", "1"), "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": {"S": "forged"}},
    });
    let delete = json!({"TableName": "orders", "Key": key("a", "1")});
    let transaction = |action: Value| json!({"TransactItems": [transact_put("b", "1", "new"), action]});
    for (operation, request) in [
        ("UpdateItem", update.clone()),
        ("DeleteItem", delete.clone()),
        ("BatchWriteItem", json!({"RequestItems": {"orders": [{"DeleteRequest": {"Key": key("a", "1")}}]}})),
        ("BatchWriteItem", json!({"RequestItems": {"orders": [{"PutRequest": {"Item": item("a", "1", "forged")}}]}})),
        ("TransactWriteItems", transaction(json!({"Update": update}))),
        ("TransactWriteItems", transaction(json!({"Delete": delete}))),
    ] {
        let (code, message) = driver.call(operation, request).error();
        assert_eq!(code, "AccessDeniedException", "{operation}");
        assert!(message.ends_with("with an explicit deny in a resource-based policy"), "{message}");
    }
    assert_eq!(driver.cloud.scan_now("orders"), [item("a", "1", "there")]);
    driver.call("PutItem", put_request("c", "1", "new")).ok();
    driver.call("TransactWriteItems", json!({"TransactItems": [transact_put("b", "1", "new")]})).ok();
}

#[test]
fn a_policy_is_put_told_and_taken_away_again() {
    let mut driver = Driver::with_orders(quick());
    let arn = arn(&mut driver);
    let missing = driver.call("GetResourcePolicy", json!({"ResourceArn": arn})).error().0;
    assert_eq!(missing, "PolicyNotFoundException");
    let put = |driver: &mut Driver, text: &str, expected: Option<&str>| {
        let mut request = json!({"ResourceArn": arn, "Policy": text});
        if let Some(expected) = expected {
            request["ExpectedRevisionId"] = json!(expected);
        }
        driver.call("PutResourcePolicy", request)
    };
    let first = put(&mut driver, &deny(&["dynamodb:Scan"]), Some("NO_POLICY")).ok()["RevisionId"].clone();
    assert_eq!(put(&mut driver, &deny(&["dynamodb:*"]), Some("NO_POLICY")).error().0, "PolicyNotFoundException");
    assert_eq!(driver.call("Scan", json!({"TableName": "orders"})).error().0, "AccessDeniedException");
    let told = driver.call("GetResourcePolicy", json!({"ResourceArn": arn})).ok();
    assert_eq!(told, json!({"Policy": deny(&["dynamodb:Scan"]), "RevisionId": first}));
    let second = put(&mut driver, &deny(&["dynamodb:Query"]), first.as_str()).ok()["RevisionId"].clone();
    assert_ne!(first, second);
    driver.call("Scan", json!({"TableName": "orders"})).ok();
    assert_eq!(put(&mut driver, "no policy", None).error().0, "ValidationException");
    let gone = driver.call("DeleteResourcePolicy", json!({"ResourceArn": arn})).ok();
    assert_eq!(gone["RevisionId"], second);
    driver.call("DeleteResourcePolicy", json!({"ResourceArn": arn})).ok();
    let elsewhere = json!({"ResourceArn": format!("{arn}-not-there"), "Policy": deny(&["dynamodb:*"])});
    assert_eq!(driver.call("PutResourcePolicy", elsewhere).error().0, "ResourceNotFoundException");
}
