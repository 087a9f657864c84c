//! The limits of Kinesis: what a shard takes and gives in a second, and what a call may carry.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_cloud::MessageStepKind;
use serde_json::{Value, json};
use support::{
    Driver, MS,
    kinesis::{entry, put, put_all, put_at, text},
    quick,
};

#[test]
fn writes_beyond_a_shards_rate_fail_one_by_one() {
    let mut driver = Driver::with_stream(quick(), 2);
    let entries = |count: usize| (0..count).map(|_| entry("a", "x")).collect::<Vec<_>>();
    // Calls that arrive together take effect together: 1,000 records of one moment.
    let calls: Vec<u64> = (0..2).map(|_| driver.kinesis_send("PutRecords", &put_all(entries(500)))).collect();
    for call in calls {
        assert_eq!(driver.answer(call).ok()["FailedRecordCount"], 0);
    }
    // In the 10 ms since then, 10 more became possible.
    let mut mixed = entries(12);
    mixed.push(entry("b", "other shard"));
    let answer = driver.kinesis("PutRecords", put_all(mixed)).ok();
    assert_eq!(answer["FailedRecordCount"], 2);
    let results = answer["Records"].as_array().unwrap();
    let failed: Vec<usize> = (0..13).filter(|index| results[*index].get("ErrorCode").is_some()).collect();
    assert_eq!(failed, [10, 11], "a later record of another shard gets through");
    let limit = "Rate exceeded for shard shardId-000000000000 in stream core under account 000000000000.";
    assert_eq!(results[11], json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": limit}));
    assert_eq!(driver.cloud.records_now("core").len(), 1_011, "what failed is not there");
    let accepted = driver.steps().iter().filter(|step| step.step == MessageStepKind::Accepted).count();
    assert_eq!(accepted, 1_011);
}

#[test]
fn a_mebibyte_a_second_and_no_more() {
    let mut driver = Driver::with_stream(quick(), 1);
    let big = "x".repeat(1_048_576);
    driver.kinesis("PutRecord", put("a", &big)).ok();
    let tenth = "x".repeat(104_857);
    let (code, message) = driver.kinesis("PutRecord", put("a", &tenth)).error();
    assert_eq!(code, "ProvisionedThroughputExceededException");
    assert_eq!(message, "Rate exceeded for shard shardId-000000000000 in stream core under account 000000000000.");
    driver.kinesis("PutRecord", put("a", "x")).ok();
    driver.wait(MS * 200);
    driver.kinesis("PutRecord", put("a", &tenth)).ok();
    let (code, message) = driver.kinesis("PutRecord", put("a", &format!("{big}x"))).error();
    assert_eq!(code, "ValidationException");
    assert!(
        message.contains("'data' failed to satisfy constraint: Member must have length less than or equal to 1048576"),
        "{message}"
    );
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/core";
    driver.kinesis("UpdateMaxRecordSize", json!({"StreamARN": arn, "MaxRecordSizeInKiB": 10_240})).ok();
    driver.wait(Duration::from_secs(1));
    driver.kinesis("PutRecord", put("a", &format!("{big}x"))).ok();
}

#[test]
fn reads_beyond_a_shards_rate_are_refused() {
    let mut driver = Driver::with_stream(quick(), 1);
    let iterator = driver.iterator(0, "LATEST");
    let calls: Vec<u64> =
        (0..7).map(|_| driver.kinesis_send("GetRecords", &json!({"ShardIterator": iterator}))).collect();
    let answers: Vec<bool> = calls
        .into_iter()
        .map(|call| matches!(driver.answer(call), support::Answer::Body { status: 200, .. }))
        .collect();
    assert_eq!(answers, [true, true, true, true, true, false, false]);
    driver.wait(MS * 200);
    driver.page(&iterator);
    let (code, message) = driver.kinesis("GetRecords", json!({"ShardIterator": iterator})).error();
    assert_eq!(code, "ProvisionedThroughputExceededException");
    assert_eq!(message, "Rate exceeded for shard shardId-000000000000 in stream core under account 000000000000.");
}

#[test]
fn after_ten_mebibytes_in_one_page_a_shard_is_closed_for_five_seconds() {
    let mut driver = Driver::with_stream(quick(), 1);
    let big = "x".repeat(1_000_000);
    for _ in 0..12 {
        driver.kinesis("PutRecord", put("a", &big)).ok();
        driver.wait(Duration::from_secs(1));
    }
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let page = driver.page(&iterator);
    assert_eq!(page["Records"].as_array().unwrap().len(), 10);
    let next = text(&page["NextShardIterator"]);
    for (wait_ms, admitted) in [(0, false), (4_900, false), (100, true)] {
        driver.wait(MS * wait_ms);
        let answer = driver.kinesis("GetRecords", json!({"ShardIterator": next}));
        assert_eq!(matches!(answer, support::Answer::Body { status: 200, .. }), admitted, "after {wait_ms} ms more");
    }
}

#[test]
fn puts_that_cannot_be_are_refused_whole() {
    let mut driver = Driver::with_stream(quick(), 1);
    let too_many: Vec<Value> = (0..501).map(|_| entry("a", "x")).collect();
    for (operation, request, code, part) in [
        ("PutRecords", put_all(too_many), "ValidationException", "Member must have length less than or equal to 500"),
        ("PutRecords", put_all(vec![]), "ValidationException", "Member must have length greater than or equal to 1"),
        ("PutRecords", json!({"StreamName": "core"}), "ValidationException", "Value null at 'records'"),
        ("PutRecords", put_all(vec![entry("", "x")]), "ValidationException", "'records.1.member.partitionKey'"),
        ("PutRecords", put_all(vec![json!({"PartitionKey": "a"})]), "ValidationException", "'records.1.member.data'"),
        ("PutRecords", put_all(vec![entry("a", "x"), json!("x")]), "SerializationException", "Expected null"),
        (
            "PutRecords",
            json!({"StreamName": "core", "Records": "x"}),
            "SerializationException",
            "Expected list or null",
        ),
        (
            "PutRecord",
            json!({"StreamName": "core", "PartitionKey": "a", "Data": "???"}),
            "SerializationException",
            "base64",
        ),
        (
            "PutRecord",
            put(&"k".repeat(257), "x"),
            "ValidationException",
            "Member must have length less than or equal to 256",
        ),
        (
            "PutRecord",
            json!({"StreamName": "core", "PartitionKey": 1, "Data": ""}),
            "SerializationException",
            "class java.math.BigDecimal can not be converted to an String",
        ),
        (
            "PutRecord",
            json!({"PartitionKey": "a", "Data": ""}),
            "InvalidArgumentException",
            "Either StreamName or StreamARN must be provided.",
        ),
        (
            "PutRecord",
            json!({"StreamName": "nowhere", "PartitionKey": "a", "Data": ""}),
            "ResourceNotFoundException",
            "Stream nowhere under account 000000000000 not found.",
        ),
        (
            "PutRecord",
            json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000001:stream/core", "PartitionKey": "a", "Data": ""}),
            "ResourceNotFoundException",
            "under account 000000000001 not found.",
        ),
        (
            "PutRecord",
            json!({"StreamARN": "arn:aws:sqs:us-east-1:000000000000:core", "PartitionKey": "a", "Data": ""}),
            "InvalidArgumentException",
            "is not the ARN of a stream.",
        ),
    ] {
        let (found, message) = driver.kinesis(operation, request.clone()).error();
        assert_eq!(found, code, "{message}");
        assert!(message.contains(part), "{message}");
    }
    for (hash, code) in [
        ("340282366920938463463374607431768211456", "InvalidArgumentException"),
        ("-1", "ValidationException"),
        ("01", "ValidationException"),
    ] {
        let mut request = put("a", "x");
        request["ExplicitHashKey"] = json!(hash);
        assert_eq!(driver.kinesis("PutRecord", request).code(), code, "{hash}");
    }
    assert!(driver.cloud.records_now("core").is_empty());
    driver.kinesis("PutRecord", put_at(u128::MAX, "the last hash")).ok();
    let number = text(&driver.kinesis("PutRecord", put("a", "1")).ok()["SequenceNumber"]);
    for (ordering, works) in [(number.as_str(), true), ("17", false)] {
        let mut request = put("a", "2");
        request["SequenceNumberForOrdering"] = json!(ordering);
        let answer = driver.kinesis("PutRecord", request);
        assert_eq!(matches!(answer, support::Answer::Body { status: 200, .. }), works, "{answer:?}");
    }
}
