//! Streams as their readers see them.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use nexus_cloud::{Assumptions, CloudConfig, StreamConfig};
use serde_json::{Value, json};
use support::{Driver, START, item, key, quick, transact_put};

fn with_streams(streams: StreamConfig) -> CloudConfig {
    let mut config = quick();
    config.dynamodb.streams = streams;
    config
}

fn one_shard() -> CloudConfig {
    with_streams(StreamConfig { initial_shards: 1, ..StreamConfig::default() })
}

fn stream_arn(driver: &mut Driver) -> String {
    let streams = driver.call("ListStreams", json!({"TableName": "orders"})).ok();
    streams["Streams"][0]["StreamArn"].as_str().unwrap().to_owned()
}

fn shards(driver: &mut Driver) -> Vec<Value> {
    let arn = stream_arn(driver);
    let (mut shards, mut start) = (Vec::new(), Value::Null);
    loop {
        let request = json!({"StreamArn": arn, "ExclusiveStartShardId": start, "Limit": 1});
        let answer = driver.call("DescribeStream", request).ok()["StreamDescription"].clone();
        shards.extend(answer["Shards"].as_array().unwrap().iter().cloned());
        start = answer["LastEvaluatedShardId"].clone();
        if start.is_null() {
            return shards;
        }
    }
}

fn iterator(driver: &mut Driver, shard: &Value, kind: &str, sequence: Option<&str>) -> support::Answer {
    let arn = stream_arn(driver);
    let mut request = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind});
    if let Some(sequence) = sequence {
        request["SequenceNumber"] = json!(sequence);
    }
    driver.call("GetShardIterator", request)
}

fn read(driver: &mut Driver, iterator: &Value) -> Value {
    driver.call("GetRecords", json!({"ShardIterator": iterator})).ok()
}

/// All records of a shard, from its beginning, and whether it has ended.
fn read_shard(driver: &mut Driver, shard: &Value) -> (Vec<Value>, bool) {
    let mut next = iterator(driver, shard, "TRIM_HORIZON", None).ok()["ShardIterator"].clone();
    let mut records = Vec::new();
    loop {
        let page = read(driver, &next);
        let found = page["Records"].as_array().unwrap();
        records.extend(found.iter().cloned());
        match page.get("NextShardIterator") {
            None => return (records, true),
            Some(_) if found.is_empty() => return (records, false),
            Some(more) => next = more.clone(),
        }
    }
}

#[test]
fn writes_become_records_and_no_ops_do_not() {
    let mut driver = Driver::with_orders(one_shard());
    driver.put("a", "1", "one").ok();
    driver.put("a", "1", "one").ok();
    driver.put("a", "1", "two").ok();
    driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "1")})).ok();
    driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "1")})).ok();
    let shards = shards(&mut driver);
    assert_eq!(shards.len(), 1);
    let (records, ended) = read_shard(&mut driver, &shards[0]);
    assert!(!ended);
    let names: Vec<&str> = records.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"]);
    let change = &records[1]["dynamodb"];
    assert_eq!(change["Keys"], key("a", "1"));
    assert_eq!(change["OldImage"], item("a", "1", "one"));
    assert_eq!(change["NewImage"], item("a", "1", "two"));
    assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert!(change["ApproximateCreationDateTime"].is_u64(), "whole seconds");
    assert_eq!(records[0]["eventSource"], "aws:dynamodb");
    assert_eq!(records, driver.cloud.stream_now("orders"));
}

#[test]
fn iterators_of_every_type() {
    let mut driver = Driver::with_orders(one_shard());
    for sk in ["1", "2", "3"] {
        driver.put("a", sk, "v").ok();
    }
    let shard = shards(&mut driver).remove(0);
    let (records, _) = read_shard(&mut driver, &shard);
    let sequence = |index: usize| records[index]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    for (kind, at, wanted) in [
        ("TRIM_HORIZON", None, vec!["1", "2", "3"]),
        ("AT_SEQUENCE_NUMBER", Some(sequence(1)), vec!["2", "3"]),
        ("AFTER_SEQUENCE_NUMBER", Some(sequence(1)), vec!["3"]),
        ("LATEST", None, vec![]),
    ] {
        let start = iterator(&mut driver, &shard, kind, at.as_deref()).ok()["ShardIterator"].clone();
        let page = read(&mut driver, &start);
        let found: Vec<&str> = page["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap())
            .collect();
        assert_eq!(found, wanted, "{kind}");
    }
    for (kind, at, code) in [
        ("SOMEWHERE", None, "ValidationException"),
        ("AT_SEQUENCE_NUMBER", None, "ValidationException"),
        ("AT_SEQUENCE_NUMBER", Some("199999999999999999999"), "ValidationException"),
        ("AFTER_SEQUENCE_NUMBER", Some("118446744073709551615"), "ValidationException"),
        ("AFTER_SEQUENCE_NUMBER", Some("17"), "ValidationException"),
    ] {
        assert_eq!(iterator(&mut driver, &shard, kind, at).code(), code, "{kind} {at:?}");
    }
    assert_eq!(driver.call("GetRecords", json!({"ShardIterator": "nonsense"})).code(), "ValidationException");
    let missing = json!({"ShardId": "shardId-00000000000000000000-00000000"});
    assert_eq!(iterator(&mut driver, &missing, "LATEST", None).code(), "ResourceNotFoundException");
}

#[test]
fn an_iterator_may_begin_at_a_moment() {
    let mut driver = Driver::with_orders(one_shard());
    for sk in ["1", "2", "3"] {
        driver.put("a", sk, "v").ok();
        driver.wait(Duration::from_secs(10));
    }
    let shard = shards(&mut driver).remove(0);
    let arn = stream_arn(&mut driver);
    let start = (START.0 / 1_000_000_000) as f64;
    for (after_seconds, wanted) in [(0.0, 3), (5.0, 2), (15.5, 1), (60.0, 0)] {
        let request = json!({
            "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "AT_TIMESTAMP",
            "Timestamp": start + after_seconds,
        });
        let iterator = driver.call("GetShardIterator", request).ok()["ShardIterator"].clone();
        assert_eq!(read(&mut driver, &iterator)["Records"].as_array().unwrap().len(), wanted, "{after_seconds} s");
    }
}

#[test]
fn iterators_expire_and_records_are_trimmed() {
    let mut driver = Driver::with_orders(one_shard());
    driver.put("a", "1", "v").ok();
    let shard = shards(&mut driver).remove(0);
    let start = iterator(&mut driver, &shard, "TRIM_HORIZON", None).ok()["ShardIterator"].clone();
    let (records, _) = read_shard(&mut driver, &shard);
    let sequence = records[0]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    driver.wait(Duration::from_secs(901));
    let expired = driver.call("GetRecords", json!({"ShardIterator": start}));
    assert_eq!(expired.code(), "ExpiredIteratorException");
    driver.wait(Duration::from_secs(3 * 3600));
    let at = iterator(&mut driver, &shard, "AT_SEQUENCE_NUMBER", Some(&sequence)).ok()["ShardIterator"].clone();
    assert_eq!(read(&mut driver, &at)["Records"].as_array().unwrap().len(), 1);
    driver.wait(Duration::from_secs(21 * 3600));
    let gone = iterator(&mut driver, &shard, "AT_SEQUENCE_NUMBER", Some(&sequence)).code();
    assert!(["TrimmedDataAccessException", "ResourceNotFoundException"].contains(&gone.as_str()), "{gone}");
}

#[test]
fn shards_roll_over_with_lineage_and_keep_the_order_of_each_item() {
    let config =
        with_streams(StreamConfig { initial_shards: 2, shard_max_age_seconds: 3600, shard_max_records: Some(10) });
    let mut driver = Driver::with_orders(config);
    for round in 0..12 {
        for pk in ["a", "b", "c", "d"] {
            driver.put(pk, "1", &format!("{round}")).ok();
        }
        driver.wait(Duration::from_secs(600));
    }
    let shards = shards(&mut driver);
    let ids: Vec<&str> = shards.iter().map(|shard| shard["ShardId"].as_str().unwrap()).collect();
    assert!(shards.len() > 6, "two lineages over two hours: {}", shards.len());
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for shard in &shards {
        if let Some(parent) = shard["ParentShardId"].as_str() {
            assert!(ids.contains(&parent), "{parent} is not listed");
        }
        let (records, ended) = read_shard(&mut driver, shard);
        assert_eq!(ended, shard["SequenceNumberRange"].get("EndingSequenceNumber").is_some());
        for record in records {
            let change = &record["dynamodb"];
            let value = change["NewImage"]["v"]["S"].as_str().unwrap().parse().unwrap();
            seen.entry(change["Keys"]["pk"]["S"].as_str().unwrap().to_owned()).or_default().push(value);
        }
    }
    // Parents come before their children in the listing, so reading in its order keeps each item's order.
    for (pk, values) in seen {
        assert_eq!(values, (0..12).collect::<Vec<u64>>(), "{pk}");
    }
    let parent = shards.iter().find_map(|shard| shard["ParentShardId"].as_str()).unwrap().to_owned();
    let arn = stream_arn(&mut driver);
    let request = json!({"StreamArn": arn, "ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": parent}});
    let children = driver.call("DescribeStream", request).ok()["StreamDescription"]["Shards"].clone();
    let children = children.as_array().unwrap();
    assert!(!children.is_empty() && children.iter().all(|shard| shard["ParentShardId"] == json!(parent)));
}

#[test]
fn records_appear_a_little_late_and_a_transaction_may_be_seen_torn() {
    let mut config = quick();
    config.assumptions = Assumptions { stale_read_share: 0.0, ..Assumptions::default() };
    let mut driver = Driver::with_orders(config);
    let items: Vec<Value> = (0..20).map(|n| transact_put(&format!("p{n}"), "1", "x")).collect();
    driver.call("TransactWriteItems", json!({"TransactItems": items})).ok();
    let arrivals = |driver: &mut Driver| {
        let mut count = 0;
        for shard in shards(driver) {
            count += read_shard(driver, &shard).0.len();
        }
        count
    };
    let mut counts = Vec::new();
    for _ in 0..40 {
        counts.push(arrivals(&mut driver));
        driver.wait(Duration::from_millis(50));
    }
    assert!(counts.iter().any(|count| (1..20).contains(count)), "never torn: {counts:?}");
    assert_eq!(arrivals(&mut driver), 20);
    assert!(counts.is_sorted(), "{counts:?}");
}

#[test]
fn items_of_one_transaction_arrive_apart_and_in_any_order() {
    let mut config = one_shard();
    config.assumptions.stream_torn_share = 1.0;
    config.assumptions.stream_torn_max_ms = 400.0;
    let mut driver = Driver::with_orders(config);
    let shards = shards(&mut driver);
    let names = |driver: &mut Driver| {
        let (records, _) = read_shard(driver, &shards[0]);
        let name = |record: &Value| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().to_owned();
        records.iter().map(name).collect::<Vec<_>>()
    };
    let (mut reversed, mut apart, mut written) = (0, 0, Vec::new());
    for pair in 0..20 {
        let (first, second) = (format!("{pair:02}-1"), format!("{pair:02}-2"));
        let items = vec![transact_put("a", &first, "x"), transact_put("a", &second, "x")];
        driver.call("TransactWriteItems", json!({"TransactItems": items})).ok();
        apart += usize::from(names(&mut driver).len() == written.len() + 1);
        driver.wait(Duration::from_millis(500));
        let seen = names(&mut driver);
        let mut expected = vec![first, second];
        if seen[written.len()] == expected[1] {
            expected.reverse();
            reversed += 1;
        }
        written.extend(expected);
        assert_eq!(seen, written, "each record once, and transactions one after the other");
    }
    assert!(reversed > 3 && reversed < 17, "{reversed} of 20 came the other way round");
    assert!(apart > 15, "{apart} of 20 were seen in part");
}

#[test]
fn records_of_one_item_keep_their_order_beside_a_torn_transaction() {
    let mut config = one_shard();
    config.assumptions.stream_torn_share = 1.0;
    config.assumptions.stream_torn_max_ms = 400.0;
    let mut driver = Driver::with_orders(config);
    for round in 0..10 {
        let items = vec![transact_put("a", "1", &format!("{round}")), transact_put("a", "2", "x")];
        driver.call("TransactWriteItems", json!({"TransactItems": items})).ok();
        driver.put("a", "1", &format!("{round} again")).ok();
        driver.put("a", "2", &format!("{round}")).ok();
        driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "2")})).ok();
    }
    driver.wait(Duration::from_secs(1));
    let shard = shards(&mut driver)[0].clone();
    let (records, _) = read_shard(&mut driver, &shard);
    let of_one = records.iter().filter(|record| record["dynamodb"]["Keys"]["sk"]["S"] == "1");
    let values: Vec<&str> = of_one.map(|record| record["dynamodb"]["NewImage"]["v"]["S"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..10).flat_map(|round| [format!("{round}"), format!("{round} again")]).collect();
    assert_eq!(values, expected);
}

#[test]
fn a_third_reader_of_a_shard_is_throttled() {
    let mut driver = Driver::with_orders(one_shard());
    let shard = shards(&mut driver).remove(0);
    let start = iterator(&mut driver, &shard, "TRIM_HORIZON", None).ok()["ShardIterator"].clone();
    let body = json!({"ShardIterator": start});
    for (caller, wanted) in [("one", None), ("two", None), ("three", Some("LimitExceededException")), ("one", None)] {
        driver.caller = caller.into();
        let answer = driver.call("GetRecords", body.clone());
        match wanted {
            None => drop(answer.ok()),
            Some(code) => assert_eq!(answer.code(), code, "{caller}"),
        }
    }
    driver.wait(Duration::from_secs(2));
    driver.caller = "three".into();
    driver.call("GetRecords", body).ok();
}

#[test]
fn streams_are_switched_off_and_on_with_a_new_arn() {
    let mut driver = Driver::with_orders(one_shard());
    driver.put("a", "1", "v").ok();
    let first = stream_arn(&mut driver);
    let shard = shards(&mut driver).remove(0);
    let switch = |enabled: bool| {
        let mut specification = json!({"StreamEnabled": enabled});
        if enabled {
            specification["StreamViewType"] = json!("KEYS_ONLY");
        }
        json!({"TableName": "orders", "StreamSpecification": specification})
    };
    driver.call("UpdateTable", switch(false)).ok();
    driver.put("a", "2", "unseen").ok();
    assert_eq!(read_shard(&mut driver, &shard), (driver_records(&mut driver, &first, &shard), true));
    driver.call("UpdateTable", switch(true)).ok();
    driver.put("a", "3", "seen").ok();
    let listed = driver.call("ListStreams", json!({"TableName": "orders"})).ok();
    assert_eq!(listed["Streams"].as_array().unwrap().len(), 2);
    let record = &driver.cloud.stream_now("orders")[0];
    assert_eq!(record["dynamodb"]["Keys"], key("a", "3"));
    assert!(record["dynamodb"].get("NewImage").is_none(), "KEYS_ONLY");
    assert_ne!(
        driver.call("DescribeTable", json!({"TableName": "orders"})).ok()["Table"]["LatestStreamArn"],
        json!(first)
    );
}

fn driver_records(driver: &mut Driver, arn: &str, shard: &Value) -> Vec<Value> {
    let request = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
    let start = driver.call("GetShardIterator", request).ok()["ShardIterator"].clone();
    let records = read(driver, &start)["Records"].as_array().unwrap().clone();
    assert_eq!(records.len(), 1);
    records
}

#[test]
fn time_to_live_deletes_late_and_says_so_in_the_stream() {
    let mut driver = Driver::with_orders(one_shard());
    let specification =
        json!({"TableName": "orders", "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true}});
    driver.call("UpdateTimeToLive", specification.clone()).ok();
    assert_eq!(driver.call("UpdateTimeToLive", specification).error().1, "TimeToLive is already enabled");
    let expires = START.0 / 1_000_000_000 + 3600;
    let with_ttl = |sk: &str, ttl: u64| {
        let mut body = support::put_request("a", sk, "v");
        body["Item"]["ttl"] = json!({"N": ttl.to_string()});
        body
    };
    driver.call("PutItem", with_ttl("1", expires)).ok();
    driver.call("PutItem", with_ttl("prolonged", expires)).ok();
    driver.call("PutItem", with_ttl("ancient", 1_000)).ok();
    driver.wait(Duration::from_secs(2 * 3600));
    assert!(driver.get("a", "1").is_some(), "deletion is late");
    driver.call("PutItem", with_ttl("prolonged", expires + 1_000_000)).ok();
    driver.wait(Duration::from_secs(9 * 3600));
    assert_eq!(driver.get("a", "1"), None);
    assert!(driver.get("a", "prolonged").is_some() && driver.get("a", "ancient").is_some());
    let records = driver.cloud.stream_now("orders");
    let removal = records.iter().find(|record| record["eventName"] == "REMOVE").unwrap();
    assert_eq!(removal["userIdentity"], json!({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}));
}
