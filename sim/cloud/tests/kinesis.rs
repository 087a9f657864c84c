//! Kinesis as writers and readers see it.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use nexus_cloud::{MessageStepKind, Service};
use serde_json::json;
use support::{
    Driver, MS, START,
    kinesis::{MIDDLE, data, entry, put, put_all, shard_id, text, unlimited},
    quick,
};

#[test]
fn records_go_to_the_shard_of_their_key_and_keep_their_order() {
    let mut driver = Driver::with_stream(quick(), 2);
    // MD5 of "a" begins with 0, of "b" with 9.
    for (key, shard) in [("a", 0), ("b", 1)] {
        let answer = driver.kinesis("PutRecord", put(key, &format!("first of {key}"))).ok();
        assert_eq!(answer["ShardId"], shard_id(shard), "{key}");
    }
    let answer = driver.kinesis("PutRecords", put_all(vec![entry("b", "2"), entry("a", "2"), entry("b", "3")])).ok();
    assert_eq!(answer["FailedRecordCount"], 0);
    let shards: Vec<&str> =
        answer["Records"].as_array().unwrap().iter().map(|result| result["ShardId"].as_str().unwrap()).collect();
    assert_eq!(shards, [shard_id(1), shard_id(0), shard_id(1)]);
    assert_eq!(driver.read_shard(0), (vec!["first of a".into(), "2".into()], false));
    assert_eq!(driver.read_shard(1), (vec!["first of b".into(), "2".into(), "3".into()], false));
}

#[test]
fn a_record_is_read_as_it_was_put() {
    let mut driver = Driver::with_stream(quick(), 1);
    let put = driver.kinesis("PutRecord", put("key ö", "{\"n\":1}")).ok();
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let page = driver.page(&iterator);
    let record = &page["Records"][0];
    assert_eq!(record["PartitionKey"], "key ö");
    assert_eq!(record["SequenceNumber"], put["SequenceNumber"]);
    assert_eq!(data(record), "{\"n\":1}");
    // The effect of a call of 10 ms comes after 6 ms.
    assert_eq!(record["ApproximateArrivalTimestamp"], 1_767_225_600.006);
    assert_eq!(page["MillisBehindLatest"], 0);
    let sequence = text(&put["SequenceNumber"]);
    assert!(sequence.len() == 56 && sequence.starts_with("496"), "{sequence}");
}

#[test]
fn sequence_numbers_rise_within_a_shard_and_from_parents_to_children() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let mut numbers = Vec::new();
    for index in 0..5 {
        numbers.push(text(&driver.kinesis("PutRecord", put("a", &index.to_string())).ok()["SequenceNumber"]));
    }
    driver.reshard("SplitShard", json!({"ShardToSplit": shard_id(0), "NewStartingHashKey": MIDDLE.to_string()}));
    numbers.push(text(&driver.kinesis("PutRecord", put("a", "5")).ok()["SequenceNumber"]));
    let shards = driver.shards();
    let first = text(&shards[0]["SequenceNumberRange"]["StartingSequenceNumber"]);
    let last = text(&shards[0]["SequenceNumberRange"]["EndingSequenceNumber"]);
    assert!(first < numbers[0] && numbers[4] < last && last < numbers[5], "{first} {numbers:?} {last}");
    assert!(numbers.is_sorted());
}

#[test]
fn iterators_of_every_type() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let mut numbers = Vec::new();
    for value in ["1", "2", "3"] {
        numbers.push(text(&driver.kinesis("PutRecord", put("a", value)).ok()["SequenceNumber"]));
        driver.wait(Duration::from_secs(10));
    }
    let shard = driver.shards().remove(0);
    let start = text(&shard["SequenceNumberRange"]["StartingSequenceNumber"]);
    let second = START.as_millis() as f64 / 1_000.0;
    for (kind, member, value, wanted) in [
        ("TRIM_HORIZON", "", json!(null), vec!["1", "2", "3"]),
        ("LATEST", "", json!(null), vec![]),
        ("AT_SEQUENCE_NUMBER", "StartingSequenceNumber", json!(numbers[1]), vec!["2", "3"]),
        ("AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber", json!(numbers[1]), vec!["3"]),
        ("AT_SEQUENCE_NUMBER", "StartingSequenceNumber", json!(start), vec!["1", "2", "3"]),
        ("AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber", json!(start), vec!["1", "2", "3"]),
        ("AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber", json!(numbers[2]), vec![]),
        ("AT_TIMESTAMP", "Timestamp", json!(second - 1.0), vec!["1", "2", "3"]),
        ("AT_TIMESTAMP", "Timestamp", json!(second + 0.006), vec!["1", "2", "3"]),
        ("AT_TIMESTAMP", "Timestamp", json!(second + 0.007), vec!["2", "3"]),
        ("AT_TIMESTAMP", "Timestamp", json!(second + 29.0), vec![]),
    ] {
        let mut request = json!({"StreamName": "core", "ShardId": shard["ShardId"], "ShardIteratorType": kind});
        if !member.is_empty() {
            request[member] = value.clone();
        }
        let iterator = text(&driver.kinesis("GetShardIterator", request).ok()["ShardIterator"]);
        let page = driver.page(&iterator);
        let found: Vec<String> = page["Records"].as_array().unwrap().iter().map(data).collect();
        assert_eq!(found, wanted, "{kind} {value}");
    }
}

#[test]
fn what_an_iterator_cannot_begin_at_is_refused() {
    let mut driver = Driver::with_stream(unlimited(), 2);
    driver
        .cloud
        .call_now(START, Service::Kinesis, "CreateStream", json!({"StreamName": "other", "ShardCount": 2}))
        .unwrap();
    let number = text(&driver.kinesis("PutRecord", put("a", "1")).ok()["SequenceNumber"]);
    let later = driver.now.as_millis() as f64 / 1_000.0 + 60.0;
    for (members, code, part) in [
        (
            json!({"ShardIteratorType": "SOMEWHERE"}),
            "ValidationException",
            "'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set",
        ),
        (json!({}), "ValidationException", "Value null at 'shardIteratorType'"),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}),
            "InvalidArgumentException",
            "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.",
        ),
        (
            json!({"ShardIteratorType": "LATEST", "StartingSequenceNumber": number}),
            "InvalidArgumentException",
            "Request specified LATEST and also a StartingSequenceNumber.",
        ),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "17"}),
            "InvalidArgumentException",
            "is invalid.",
        ),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "x"}),
            "ValidationException",
            r"regular expression pattern: 0|([1-9]\d{0,128})",
        ),
        (
            json!({"ShardId": shard_id(1), "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number}),
            "InvalidArgumentException",
            "It encodes shardId-000000000000, while it was used in a call to a shard with shardId-000000000001",
        ),
        (
            json!({"ShardIteratorType": "AT_TIMESTAMP"}),
            "InvalidArgumentException",
            "Current request has no timestamp parameter.",
        ),
        (
            json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": later}),
            "InvalidArgumentException",
            "cannot be greater than the currentTimestampInMillis",
        ),
        (
            json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": "now"}),
            "SerializationException",
            "can not be converted to an Date",
        ),
        (
            json!({"ShardId": shard_id(9), "ShardIteratorType": "LATEST"}),
            "ResourceNotFoundException",
            "Shard shardId-000000000009 in stream core under account 000000000000 does not exist",
        ),
        (
            json!({"ShardId": "nine", "ShardIteratorType": "LATEST"}),
            "ResourceNotFoundException",
            "Could not find shard nine in stream core under account 000000000000.",
        ),
        (
            json!({"StreamName": "nowhere", "ShardIteratorType": "LATEST"}),
            "ResourceNotFoundException",
            "Shard shardId-000000000000 in stream nowhere under account 000000000000 does not exist",
        ),
        (json!({"ShardIteratorType": "LATEST", "Shard": "x"}), "SerializationException", "Unknown member: Shard"),
    ] {
        let mut request = json!({"StreamName": "core", "ShardId": shard_id(0)});
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let (found, message) = match driver.kinesis("GetShardIterator", request) {
            support::Answer::Body { status: 400, body } => {
                let message = body["message"].as_str().or(body["Message"].as_str()).unwrap().to_owned();
                (text(&body["__type"]), message)
            }
            other => panic!("{members}: {other:?}"),
        };
        assert_eq!(found, code, "{members}: {message}");
        assert!(message.contains(part), "{members}: {message}");
    }
    // The other stream is of the same second, so that its numbers look alike; one of a later second does not.
    driver.wait(Duration::from_secs(2));
    driver.kinesis("DeleteStream", json!({"StreamName": "core"})).ok();
    driver.wait(Duration::from_secs(1));
    let now = driver.now;
    driver
        .cloud
        .call_now(now, Service::Kinesis, "CreateStream", json!({"StreamName": "core", "ShardCount": 2}))
        .unwrap();
    let request = json!({"StreamName": "core", "ShardId": shard_id(0), "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number});
    let (code, message) = driver.kinesis("GetShardIterator", request).error();
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.ends_with("is invalid because it did not come from this stream."), "{message}");
}

#[test]
fn iterators_expire_after_five_minutes_and_die_with_their_stream() {
    let mut driver = Driver::with_stream(quick(), 1);
    let iterator = driver.iterator(0, "LATEST");
    driver.wait(Duration::from_secs(299));
    driver.page(&iterator);
    driver.wait(Duration::from_secs(2));
    let (code, message) = driver.kinesis("GetRecords", json!({"ShardIterator": iterator})).error();
    assert_eq!(code, "ExpiredIteratorException");
    assert!(
        message.contains("Thu Jan 01 00:00:00 UTC 2026 while right now it is Thu Jan 01 00:05:01 UTC 2026"),
        "{message}"
    );
    let fresh = driver.iterator(0, "LATEST");
    driver.kinesis("DeleteStream", json!({"StreamName": "core"})).ok();
    assert_eq!(driver.kinesis("GetRecords", json!({"ShardIterator": fresh})).code(), "ResourceNotFoundException");
    driver.wait(Duration::from_secs(1));
    let now = driver.now;
    driver
        .cloud
        .call_now(now, Service::Kinesis, "CreateStream", json!({"StreamName": "core", "ShardCount": 1}))
        .unwrap();
    assert_eq!(driver.kinesis("GetRecords", json!({"ShardIterator": fresh})).code(), "ResourceNotFoundException");
    for nonsense in ["nonsense", "AAAA"] {
        let (code, message) = driver.kinesis("GetRecords", json!({"ShardIterator": nonsense})).error();
        assert_eq!((code.as_str(), message.as_str()), ("InvalidArgumentException", "Invalid ShardIterator."));
    }
}

#[test]
fn pages_end_at_their_limit_and_go_on_where_they_ended() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.kinesis("PutRecords", put_all((0..25).map(|index| entry("a", &index.to_string())).collect())).ok();
    let mut next = driver.iterator(0, "TRIM_HORIZON");
    let mut sizes = Vec::new();
    let mut found = Vec::new();
    for _ in 0..4 {
        driver.wait(MS * 100);
        let page = driver.kinesis("GetRecords", json!({"ShardIterator": next, "Limit": 10})).ok();
        let records = page["Records"].as_array().unwrap();
        sizes.push((records.len(), page["MillisBehindLatest"] != 0));
        found.extend(records.iter().map(data));
        next = text(&page["NextShardIterator"]);
    }
    assert_eq!(sizes, [(10, true), (10, true), (5, false), (0, false)]);
    assert_eq!(found, (0..25).map(|index| index.to_string()).collect::<Vec<_>>());
    for (limit, code) in [(0, "ValidationException"), (10_001, "ValidationException")] {
        assert_eq!(driver.kinesis("GetRecords", json!({"ShardIterator": next, "Limit": limit})).code(), code);
    }
}

#[test]
fn records_show_after_a_while_and_never_before_those_in_front_of_them() {
    let mut config = quick();
    config.assumptions.kinesis_lag_p50_ms = 50.0;
    config.assumptions.kinesis_lag_p99_ms = 500.0;
    config.kinesis.enforce_limits = false;
    let mut driver = Driver::with_stream(config, 1);
    let mut next = driver.iterator(0, "TRIM_HORIZON");
    let (mut put_count, mut found, mut partly_seen) = (0, Vec::new(), false);
    for round in 0..200 {
        if round < 50 {
            driver.kinesis("PutRecord", put(&format!("k{round}"), &round.to_string())).ok();
            put_count += 1;
        }
        let page = driver.page(&next);
        found.extend(page["Records"].as_array().unwrap().iter().map(data));
        partly_seen |= !found.is_empty() && found.len() < put_count;
        next = text(&page["NextShardIterator"]);
    }
    assert!(partly_seen);
    assert_eq!(found, (0..50).map(|index| index.to_string()).collect::<Vec<_>>());
    assert_eq!(driver.cloud.records_now("core").len(), 50);
}

#[test]
fn arrival_times_are_not_monotonic_and_a_position_in_time_skips_nothing() {
    let mut config = unlimited();
    config.assumptions.kinesis_arrival_jitter_ms = 50;
    let mut driver = Driver::with_stream(config, 1);
    for index in 0..40 {
        driver.kinesis("PutRecord", put(&format!("k{index}"), &index.to_string())).ok();
    }
    driver.wait(Duration::from_secs(1));
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let records = driver.page(&iterator)["Records"].as_array().unwrap().clone();
    let arrivals: Vec<f64> =
        records.iter().map(|record| record["ApproximateArrivalTimestamp"].as_f64().unwrap()).collect();
    assert!(!arrivals.is_sorted(), "{arrivals:?}");
    for (index, arrival) in arrivals.iter().enumerate() {
        let request = json!({"StreamName": "core", "ShardId": shard_id(0), "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": arrival});
        let iterator = text(&driver.kinesis("GetShardIterator", request).ok()["ShardIterator"]);
        let page = driver.page(&iterator);
        let from = 40 - page["Records"].as_array().unwrap().len();
        assert!(from <= index, "record {index} is skipped");
        assert!(arrivals[..from].iter().all(|earlier| earlier < arrival));
    }
}

#[test]
fn what_is_past_retention_is_skipped_in_silence() {
    let mut driver = Driver::with_stream(quick(), 1);
    driver.kinesis("PutRecord", put("a", "old")).ok();
    let old = text(&driver.kinesis("PutRecord", put("a", "old too")).ok()["SequenceNumber"]);
    driver.wait(Duration::from_secs(12 * 3_600));
    driver.kinesis("PutRecord", put("a", "new")).ok();
    driver.wait(Duration::from_secs(12 * 3_600));
    assert_eq!(driver.read_shard(0), (vec!["new".to_owned()], false));
    let request = json!({"StreamName": "core", "ShardId": shard_id(0), "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": old});
    let iterator = text(&driver.kinesis("GetShardIterator", request).ok()["ShardIterator"]);
    assert_eq!(data(&driver.page(&iterator)["Records"][0]), "new");
    let trimmed: Vec<(String, String)> = driver
        .steps()
        .into_iter()
        .filter(|step| step.step == MessageStepKind::Trimmed)
        .map(|step| (step.place, step.message_id))
        .collect();
    assert_eq!(trimmed.len(), 2);
    assert_eq!(trimmed[1], (format!("core/{}", shard_id(0)), old));
}

#[test]
fn every_step_is_in_the_journal_once() {
    let mut driver = Driver::with_stream(quick(), 1);
    let answer = driver.kinesis("PutRecords", put_all(vec![entry("a", "one"), entry("b", "two")])).ok();
    driver.kinesis("PutRecord", json!({"StreamName": "core", "PartitionKey": "c", "Data": "//4="})).ok();
    driver.kinesis("DeleteStream", json!({"StreamName": "core"})).ok();
    driver.wait(Duration::from_secs(1));
    let steps = driver.steps();
    let told: Vec<(MessageStepKind, &str, &str)> =
        steps.iter().map(|step| (step.step, step.key.as_str(), &*step.body)).collect();
    use MessageStepKind::{Accepted, Purged};
    assert_eq!(
        told,
        [
            (Accepted, "a", "one"),
            (Accepted, "b", "two"),
            (Accepted, "c", "base64://4="),
            (Purged, "a", ""),
            (Purged, "b", ""),
            (Purged, "c", ""),
        ]
    );
    let first = &steps[0];
    assert_eq!((first.service, first.place.as_str()), (Service::Kinesis, "core/shardId-000000000000"));
    assert_eq!(first.message_id, text(&answer["Records"][0]["SequenceNumber"]));
    assert_eq!(first.call_sequence, 1);
    assert_eq!(steps[0].message_id, steps[3].message_id);
    assert!(driver.cloud.records_now("core").is_empty());
}

#[test]
fn calls_are_told_by_the_keys_they_touch() {
    let mut driver = Driver::with_stream(quick(), 1);
    driver.kinesis("PutRecords", put_all(vec![entry("a", "1"), entry("b/c", "2")])).ok();
    let iterator = driver.iterator(0, "LATEST");
    driver.page(&iterator);
    driver
        .kinesis("DescribeStreamSummary", json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/core"}))
        .ok();
    driver.kinesis("ListStreams", json!({})).ok();
    let seen = driver.seen.lock().unwrap();
    let told: BTreeMap<&str, (Vec<&str>, bool)> = seen
        .iter()
        .map(|(call, _)| (call.operation.as_str(), (call.keys.iter().map(String::as_str).collect(), call.is_write)))
        .collect();
    assert_eq!(told["PutRecords"], (vec!["core/a", "core/b/c"], true));
    assert_eq!(told["GetShardIterator"], (vec!["core/shardId-000000000000"], false));
    assert_eq!(told["GetRecords"], (vec!["core/shardId-000000000000"], false));
    assert_eq!(told["DescribeStreamSummary"], (vec!["core"], false));
    assert_eq!(told["ListStreams"], (vec![], false));
}
