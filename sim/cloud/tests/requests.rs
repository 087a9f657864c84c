//! Requests that are refused before or at their effect, in the service's words, and answers in all their kinds.
#![forbid(unsafe_code)]

mod support;

use nexus_cloud::{Cloud, CloudConfig, LatencyModel, NoFaults, Output, RequestId, Service, WireRequest};
use serde_json::{Value, json};
use support::{Answer, Driver, START, item, key, quick};

#[test]
fn refusals_by_code_and_message() {
    let mut driver = Driver::with_orders(quick());
    let put = |item: Value| json!({"TableName": "orders", "Item": item});
    let cases = [
        ("PutItem", json!({"Item": {}}), "ValidationException", "Value null at 'tableName'"),
        ("PutItem", json!({"TableName": "", "Item": {}}), "ValidationException", "length greater than or equal to 1"),
        (
            "PutItem",
            json!({"TableName": 5, "Item": {}}),
            "SerializationException",
            "java.lang.Short can not be converted",
        ),
        (
            "PutItem",
            json!({"TableName": "orders", "Item": []}),
            "SerializationException",
            "Unrecognized collection type",
        ),
        ("PutItem", json!({"TableName": "orders"}), "ValidationException", "Value null at 'item'"),
        ("PutItem", json!({"TableName": "orders", "Itm": {}}), "SerializationException", "Unexpected member: Itm"),
        ("PutItem", put(json!({"pk": {"S": "a"}})), "ValidationException", "Missing the key sk in the item"),
        (
            "PutItem",
            put(json!({"pk": {"N": "1"}, "sk": {"S": "a"}})),
            "ValidationException",
            "Type mismatch for key pk expected: S actual: N",
        ),
        (
            "PutItem",
            put(json!({"pk": {"S": "p".repeat(2049)}, "sk": {"S": "a"}})),
            "ValidationException",
            "Size of hashkey",
        ),
        ("PutItem", put(json!({"pk": {"S": "p"}, "sk": {"S": "s".repeat(1025)}})), "ValidationException", "1024 bytes"),
        (
            "GetItem",
            json!({"TableName": "orders", "Key": {"pk": {"S": "a"}}}),
            "ValidationException",
            "The provided key element does not match the schema",
        ),
        (
            "GetItem",
            json!({"TableName": "nowhere", "Key": key("a", "b")}),
            "ResourceNotFoundException",
            "Requested resource not found",
        ),
        (
            "Query",
            json!({"TableName": "orders"}),
            "ValidationException",
            "Either the KeyConditions or KeyConditionExpression",
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {}}),
            "ValidationException",
            "The requestItems parameter is required",
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": []}),
            "ValidationException",
            "length greater than or equal to 1",
        ),
        ("Teleport", json!({}), "UnknownOperationException", ""),
        ("CreateTable", support::orders_table(), "ResourceInUseException", "Table already exists: orders"),
        ("GetRecords", json!({}), "ValidationException", "Value null at 'shardIterator'"),
        ("DescribeStream", json!({"StreamArn": "arn:nowhere"}), "ResourceNotFoundException", "not found"),
    ];
    for (operation, body, code, message) in cases {
        let (found_code, found_message) = driver.call(operation, body.clone()).error();
        assert_eq!(found_code, code, "{operation} {body}");
        assert!(found_message.contains(message), "{operation} {body}: {found_message}");
    }
}

#[test]
fn malformed_bodies_are_serialization_exceptions_without_a_message() {
    let mut driver = Driver::with_orders(quick());
    for body in ["", "{", "[]", "null", "\"text\"", "{\"TableName\":\"orders\"}}", "\u{0}"] {
        let call = driver.send_text("GetItem", body);
        assert_eq!(driver.answer(call).error(), ("SerializationException".into(), String::new()), "{body:?}");
    }
}

#[test]
fn deep_and_hostile_values_are_refused_without_harm() {
    let mut driver = Driver::with_orders(quick());
    let nested = |depth: usize| (0..depth).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
    let put = |value: Value| {
        let mut item = item("a", "1", "v");
        item["deep"] = value;
        json!({"TableName": "orders", "Item": item})
    };
    driver.call("PutItem", put(nested(30))).ok();
    let (code, message) = driver.call("PutItem", put(nested(40))).error();
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "ValidationException",
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
        )
    );
    let hostile = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let call = driver.send_text("PutItem", &hostile);
    assert_eq!(driver.answer(call).code(), "SerializationException");
}

#[test]
fn return_values_of_every_kind() {
    for (kind, attributes) in [
        ("NONE", Value::Null),
        ("ALL_OLD", json!({"pk": {"S": "a"}, "sk": {"S": "1"}, "v": {"S": "old"}})),
        ("ALL_NEW", json!({"pk": {"S": "a"}, "sk": {"S": "1"}, "v": {"S": "new"}, "w": {"N": "1"}})),
        ("UPDATED_OLD", json!({"v": {"S": "old"}})),
        ("UPDATED_NEW", json!({"v": {"S": "new"}, "w": {"N": "1"}})),
    ] {
        let mut driver = Driver::with_orders(quick());
        driver.put("a", "1", "old").ok();
        let update = json!({
            "TableName": "orders", "Key": key("a", "1"), "UpdateExpression": "SET v = :v ADD w :one",
            "ExpressionAttributeValues": {":v": {"S": "new"}, ":one": {"N": "1"}}, "ReturnValues": kind,
        });
        assert_eq!(
            driver.call("UpdateItem", update).ok().get("Attributes").cloned().unwrap_or_default(),
            attributes,
            "{kind}"
        );
    }
}

#[test]
fn consumed_capacity_follows_sizes_and_modes() {
    let mut driver = Driver::with_orders(quick());
    let mut put = support::put_request("a", "1", &"x".repeat(5_000));
    put["ReturnConsumedCapacity"] = json!("TOTAL");
    assert_eq!(driver.call("PutItem", put).ok()["ConsumedCapacity"]["CapacityUnits"], 5.0);
    for (strong, units) in [(false, 1.0), (true, 2.0)] {
        let get = json!({
            "TableName": "orders", "Key": key("a", "1"), "ConsistentRead": strong, "ReturnConsumedCapacity": "INDEXES",
        });
        let consumed = driver.call("GetItem", get).ok()["ConsumedCapacity"].clone();
        assert_eq!(consumed["CapacityUnits"], units);
        assert_eq!(consumed["Table"]["CapacityUnits"], units);
    }
}

#[test]
fn older_parameters_mean_the_same_as_expressions() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "x").ok();
    driver.put("a", "2", "y").ok();
    let expected = |condition: Value| json!({"TableName": "orders", "Key": key("a", "1"), "Expected": condition, "ReturnValues": "ALL_OLD"});
    for (condition, holds) in [
        (json!({"v": {"Value": {"S": "other"}}}), false),
        (json!({"absent": {"Exists": true, "Value": {"S": "x"}}}), false),
        (json!({"v": {"ComparisonOperator": "NOT_CONTAINS", "AttributeValueList": [{"S": "x"}]}}), false),
        (json!({"absent": {"ComparisonOperator": "NOT_NULL"}}), false),
        (json!({"v": {"ComparisonOperator": "IN", "AttributeValueList": [{"S": "q"}, {"S": "x"}]}}), true),
    ] {
        let answer = driver.call("DeleteItem", expected(condition.clone()));
        match holds {
            true => assert_eq!(answer.ok()["Attributes"]["v"]["S"], "x"),
            false => assert_eq!(answer.code(), "ConditionalCheckFailedException", "{condition}"),
        }
    }
    let scan = json!({
        "TableName": "orders", "ScanFilter": {"v": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "y"}]}},
        "AttributesToGet": ["sk"],
    });
    assert_eq!(driver.call("Scan", scan).ok()["Items"], json!([{"sk": {"S": "2"}}]));
    let mixed = json!({
        "TableName": "orders", "Key": key("a", "2"), "Expected": {"v": {"Exists": false}},
        "ConditionExpression": "attribute_exists(pk)",
    });
    let (code, message) = driver.call("DeleteItem", mixed).error();
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with("Can not use both expression and non-expression parameters"), "{message}");
}

#[test]
fn answers_carry_the_headers_of_the_service() {
    let config = CloudConfig { latency: LatencyModel::fixed(0), ..CloudConfig::default() };
    let mut cloud = Cloud::new(config, Box::new(NoFaults));
    let wire = WireRequest {
        service: Service::Dynamodb,
        caller: "test".into(),
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            ("content-type".into(), "application/x-amz-json-1.0".into()),
            ("x-amz-target".into(), "DynamoDB_20120810.ListTables".into()),
        ],
        body: b"{}".as_slice().into(),
    };
    cloud.handle(START, RequestId(1), wire);
    let outputs = cloud.advance(START);
    let [Output::Reply { response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let header = |name: &str| {
        response.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str()).unwrap()
    };
    assert_eq!(response.status, 400, "no Authorization header");
    assert!(response.body.starts_with(br#"{"__type":"com.amazon.coral.service#MissingAuthenticationTokenException""#));
    assert_eq!(header("date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(header("content-type"), "application/x-amz-json-1.0");
    assert_eq!(header("x-amzn-requestid").len(), 52);
    assert_eq!(header("x-amz-crc32").parse::<u32>().unwrap(), crc32fast::hash(&response.body));
}

#[test]
fn tables_are_described_changed_tagged_and_deleted() {
    let mut driver = Driver::with_orders(quick());
    driver.put("a", "1", "v").ok();
    let named = || json!({"TableName": "orders"});
    let table = driver.call("DescribeTable", named()).ok()["Table"].clone();
    assert_eq!((&table["TableStatus"], &table["ItemCount"]), (&json!("ACTIVE"), &json!(1)));
    let arn = table["TableArn"].clone();
    driver.call("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "team", "Value": "orders"}]}));
    let tags = driver.call("ListTagsOfResource", json!({"ResourceArn": arn})).ok();
    assert_eq!(tags["Tags"], json!([{"Key": "team", "Value": "orders"}]));
    let create_index = json!({
        "TableName": "orders",
        "AttributeDefinitions": [{"AttributeName": "v", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }}],
    });
    driver.call("UpdateTable", create_index).ok();
    let scan = json!({"TableName": "orders", "IndexName": "by-v"});
    assert_eq!(driver.call("Scan", scan.clone()).ok()["Count"], 1, "what was there is filled in");
    let delete_index =
        json!({"TableName": "orders", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-v"}}]});
    let after = driver.call("UpdateTable", delete_index).ok();
    assert_eq!(after["TableDescription"]["AttributeDefinitions"].as_array().unwrap().len(), 2);
    assert_eq!(driver.call("Scan", scan).code(), "ValidationException");
    let protect = |on: bool| json!({"TableName": "orders", "DeletionProtectionEnabled": on});
    driver.call("UpdateTable", protect(true)).ok();
    assert_eq!(driver.call("DeleteTable", named()).code(), "ValidationException");
    driver.call("UpdateTable", protect(false)).ok();
    driver.call("DeleteTable", named()).ok();
    assert_eq!(driver.call("DescribeTable", named()).code(), "ResourceNotFoundException");
    let streams = driver.call("ListStreams", json!({})).ok();
    assert_eq!(streams["Streams"].as_array().unwrap().len(), 1, "a deleted table's stream stays readable");
    driver.wait(std::time::Duration::from_secs(25 * 3600));
    assert_eq!(driver.call("ListStreams", json!({})).ok()["Streams"], json!([]), "for a day");
    assert!(matches!(driver.call("ListTables", json!({})), Answer::Body { status: 200, .. }));
}
