//! Streams of Kinesis as a whole: made, described, divided, joined, kept, deleted; and who registers with them.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_cloud::Service;
use serde_json::{Value, json};
use support::{
    Answer, Driver, MS, START,
    kinesis::{MIDDLE, data, entry, put_all, put_at, shard_id, text, unlimited},
    quick,
};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/core";

fn names(shards: &[Value]) -> Vec<String> {
    shards.iter().map(|shard| text(&shard["ShardId"])).collect()
}

fn listed(driver: &mut Driver, filter: Value) -> Vec<u32> {
    let answer = driver.kinesis("ListShards", json!({"StreamARN": ARN, "ShardFilter": filter})).ok();
    names(answer["Shards"].as_array().unwrap()).iter().map(|name| name[8..].parse().unwrap()).collect()
}

#[test]
fn a_stream_is_made_described_and_deleted_in_its_time() {
    let mut driver = Driver::new(quick());
    let (code, message) = driver.kinesis("DescribeStream", json!({"StreamName": "core"})).error();
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "Stream core under account 000000000000 not found.");
    let create = json!({"StreamName": "core", "ShardCount": 2, "Tags": {"team": "orders"}});
    assert_eq!(driver.kinesis("CreateStream", create.clone()).ok(), Value::Null);
    let (code, message) = driver.kinesis("CreateStream", create).error();
    assert_eq!(code, "ResourceInUseException");
    assert_eq!(message, "Stream core under account 000000000000 already exists.");
    let described = driver.kinesis("DescribeStream", json!({"StreamName": "core"})).ok();
    assert_eq!(described["StreamDescription"]["StreamStatus"], "CREATING");
    assert_eq!(described["StreamDescription"]["Shards"], json!([]));
    let put = put_all(vec![entry("a", "x")]);
    assert_eq!(driver.kinesis("PutRecords", put.clone()).code(), "ResourceNotFoundException");
    driver.wait(MS * 600);
    assert_eq!(
        driver.kinesis("DescribeStream", json!({"StreamARN": ARN})).ok()["StreamDescription"],
        json!({
            "StreamName": "core", "StreamARN": ARN, "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"}, "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1_767_225_600.016, "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE", "HasMoreShards": false,
            "Shards": [
                {
                    "ShardId": "shardId-000000000000",
                    "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "170141183460469231731687303715884105727"},
                    "SequenceNumberRange":
                        {"StartingSequenceNumber": "49670424472731169861061894383142885425265240724400504834"},
                },
                {
                    "ShardId": "shardId-000000000001",
                    "HashKeyRange": {
                        "StartingHashKey": "170141183460469231731687303715884105728",
                        "EndingHashKey": "340282366920938463463374607431768211455",
                    },
                    "SequenceNumberRange":
                        {"StartingSequenceNumber": "49670424472753470606260425006284421143537889085906485266"},
                },
            ],
        })
    );
    driver.kinesis("PutRecords", put).ok();
    let summary = driver.kinesis("DescribeStreamSummary", json!({"StreamName": "core"})).ok();
    assert_eq!(summary["StreamDescriptionSummary"]["OpenShardCount"], 2);
    assert_eq!(summary["StreamDescriptionSummary"]["ConsumerCount"], 0);
    assert_eq!(driver.kinesis("DeleteStream", json!({"StreamName": "core"})).ok(), Value::Null);
    assert_eq!(driver.status(), "DELETING");
    driver.wait(MS * 600);
    assert_eq!(driver.kinesis("DescribeStream", json!({"StreamName": "core"})).code(), "ResourceNotFoundException");
    assert_eq!(driver.cloud.inspect(Service::Kinesis), json!({"streams": {}, "changes_pending": 0}));
}

#[test]
fn streams_that_cannot_be_are_refused() {
    let mut config = unlimited();
    config.kinesis.shard_limit = 10;
    let mut driver = Driver::new(config);
    let on_demand = json!({"StreamMode": "ON_DEMAND"});
    for (request, code, part) in [
        (json!({"ShardCount": 1}), "ValidationException", "Value null at 'streamName'"),
        (json!({"StreamName": "a b", "ShardCount": 1}), "ValidationException", "[a-zA-Z0-9_.-]+"),
        (json!({"StreamName": "x".repeat(129), "ShardCount": 1}), "ValidationException", "less than or equal to 128"),
        (json!({"StreamName": "s", "ShardCount": 0}), "ValidationException", "greater than or equal to 1"),
        (json!({"StreamName": "s", "ShardCount": 11}), "LimitExceededException", "would exceed the shard limit"),
        (json!({"StreamName": "s", "ShardCount": "1"}), "SerializationException", "to an Integer"),
        (json!({"StreamName": "s"}), "ValidationException", "ShardCount is needed"),
        (
            json!({"StreamName": "s", "ShardCount": 1, "StreamModeDetails": on_demand}),
            "ValidationException",
            "On-Demand",
        ),
        (
            json!({"StreamName": "s", "ShardCount": 1, "StreamModeDetails": {"StreamMode": "X"}}),
            "ValidationException",
            "enum value set",
        ),
        (json!({"StreamName": "s", "ShardCount": 1, "Shards": 1}), "SerializationException", "Unknown member: Shards"),
    ] {
        let Answer::Body { status: 400, body } = driver.kinesis("CreateStream", request.clone()) else {
            panic!("{request} is taken")
        };
        let message = body["message"].as_str().or(body["Message"].as_str()).unwrap();
        assert_eq!(body["__type"], code, "{request}: {message}");
        assert!(message.contains(part), "{request}: {message}");
    }
    let two = json!({"StreamName": "a b", "ShardCount": 0});
    let (_, message) = driver.kinesis("CreateStream", two).error();
    assert!(message.starts_with("2 validation errors detected: Value 'a b' at 'streamName'"), "{message}");
}

#[test]
fn listings_come_in_pages() {
    let mut driver = Driver::new(unlimited());
    for name in ["d", "b", "a", "c"] {
        let create = json!({"StreamName": name, "ShardCount": 5});
        driver.cloud.call_now(START, Service::Kinesis, "CreateStream", create).unwrap();
    }
    let page = driver.kinesis("ListStreams", json!({"Limit": 3})).ok();
    assert_eq!((&page["StreamNames"], &page["HasMoreStreams"]), (&json!(["a", "b", "c"]), &json!(true)));
    assert_eq!(page["StreamSummaries"][2]["StreamName"], "c");
    for next in [json!({"NextToken": page["NextToken"]}), json!({"ExclusiveStartStreamName": "c"})] {
        let page = driver.kinesis("ListStreams", next).ok();
        assert_eq!((&page["StreamNames"], &page["HasMoreStreams"]), (&json!(["d"]), &json!(false)));
    }

    let mut request = json!({"StreamName": "a", "MaxResults": 2});
    let mut found = Vec::new();
    while !request.is_null() {
        let page = driver.kinesis("ListShards", request.clone()).ok();
        found.push(names(page["Shards"].as_array().unwrap()));
        request = match page.get("NextToken") {
            Some(token) => json!({"NextToken": token, "MaxResults": 2}),
            None => Value::Null,
        };
    }
    let id = shard_id;
    assert_eq!(found, [vec![id(0), id(1)], vec![id(2), id(3)], vec![id(4)]]);
    let rest = driver.kinesis("ListShards", json!({"StreamName": "a", "ExclusiveStartShardId": id(2)})).ok();
    assert_eq!(names(rest["Shards"].as_array().unwrap()), [id(3), id(4)]);
    let page = driver.kinesis("DescribeStream", json!({"StreamName": "a", "Limit": 2})).ok();
    assert_eq!(page["StreamDescription"]["HasMoreShards"], true);
    let start = json!({"StreamName": "a", "ExclusiveStartShardId": id(1)});
    let page = driver.kinesis("DescribeStream", start).ok()["StreamDescription"].clone();
    assert_eq!((names(page["Shards"].as_array().unwrap()).len(), &page["HasMoreShards"]), (3, &json!(false)));

    let token = driver.kinesis("ListShards", json!({"StreamName": "a", "MaxResults": 1})).ok()["NextToken"].clone();
    for (request, code) in [
        (json!({}), "InvalidArgumentException"),
        (json!({"StreamName": "a", "NextToken": token}), "InvalidArgumentException"),
        (json!({"StreamARN": ARN, "NextToken": token}), "InvalidArgumentException"),
        (json!({"NextToken": "nonsense"}), "InvalidArgumentException"),
        (json!({"StreamName": "a", "ShardFilter": {"Type": "AT_TIMESTAMP"}}), "InvalidArgumentException"),
        (json!({"StreamName": "a", "ShardFilter": {"Type": "AFTER_SHARD_ID"}}), "InvalidArgumentException"),
        (json!({"StreamName": "a", "ShardFilter": {}}), "ValidationException"),
        (json!({"StreamName": "z"}), "ResourceNotFoundException"),
    ] {
        assert_eq!(driver.kinesis("ListShards", request.clone()).code(), code, "{request}");
    }
    driver.wait(Duration::from_secs(301));
    assert_eq!(driver.kinesis("ListShards", json!({"NextToken": token})).code(), "ExpiredNextTokenException");
}

#[test]
fn a_split_shard_stays_readable_and_tells_its_children_at_its_end() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.kinesis("PutRecord", put_at(0, "low")).ok();
    driver.kinesis("PutRecord", put_at(u128::MAX, "high")).ok();
    let split = json!({
        "StreamName": "core", "ShardToSplit": shard_id(0), "NewStartingHashKey": MIDDLE.to_string(),
    });
    driver.kinesis("SplitShard", split.clone()).ok();
    let (code, message) = driver.kinesis("SplitShard", split.clone()).error();
    assert_eq!(code, "ResourceInUseException");
    assert_eq!(message, "Stream core under account 000000000000 not ACTIVE, instead in state UPDATING");
    // What is written meanwhile still goes to the parent.
    assert_eq!(driver.kinesis("PutRecord", put_at(0, "meanwhile")).ok()["ShardId"], shard_id(0));
    driver.wait(MS * 600);
    assert_eq!(driver.kinesis("PutRecord", put_at(0, "low child")).ok()["ShardId"], shard_id(1));
    assert_eq!(driver.kinesis("PutRecord", put_at(MIDDLE, "high child")).ok()["ShardId"], shard_id(2));

    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let page = driver.page(&iterator);
    let found: Vec<String> = page["Records"].as_array().unwrap().iter().map(data).collect();
    assert_eq!(found, ["low", "high", "meanwhile"]);
    assert!(page.get("NextShardIterator").is_none());
    let child = |number: u32, first: u128, last: u128| {
        json!({
            "ShardId": shard_id(number), "ParentShards": [shard_id(0)],
            "HashKeyRange": {"StartingHashKey": first.to_string(), "EndingHashKey": last.to_string()},
        })
    };
    assert_eq!(page["ChildShards"], json!([child(1, 0, MIDDLE - 1), child(2, MIDDLE, u128::MAX)]));
    let shards = driver.shards();
    assert!(shards[0]["SequenceNumberRange"]["EndingSequenceNumber"].is_string());
    assert_eq!((&shards[1]["ParentShardId"], &shards[2]["ParentShardId"]), (&json!(shard_id(0)), &json!(shard_id(0))));
    assert!(shards[1].get("AdjacentParentShardId").is_none());
    let (code, message) = driver.kinesis("SplitShard", split).error();
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("has already been merged or split"), "{message}");
}

#[test]
fn merged_shards_have_one_child_of_two_parents() {
    let mut driver = Driver::with_stream(unlimited(), 3);
    driver.kinesis("PutRecord", put_at(0, "parent")).ok();
    for (one, other, code) in
        [(0, 2, "InvalidArgumentException"), (0, 9, "ResourceNotFoundException"), (0, 0, "InvalidArgumentException")]
    {
        let merge = json!({
            "StreamName": "core", "ShardToMerge": shard_id(one), "AdjacentShardToMerge": shard_id(other),
        });
        assert_eq!(driver.kinesis("MergeShards", merge).code(), code, "{one} {other}");
    }
    driver.reshard("MergeShards", json!({"ShardToMerge": shard_id(0), "AdjacentShardToMerge": shard_id(1)}));
    let shards = driver.shards();
    assert_eq!(shards.len(), 4);
    assert_eq!(shards[3]["ParentShardId"], shard_id(0));
    assert_eq!(shards[3]["AdjacentParentShardId"], shard_id(1));
    assert_eq!(shards[3]["HashKeyRange"]["StartingHashKey"], "0");
    assert_eq!(shards[3]["HashKeyRange"]["EndingHashKey"], shards[1]["HashKeyRange"]["EndingHashKey"]);
    for parent in [0, 1] {
        let iterator = driver.iterator(parent, "TRIM_HORIZON");
        let page = driver.page(&iterator);
        assert_eq!(page["ChildShards"][0]["ParentShards"], json!([shard_id(0), shard_id(1)]));
    }
    assert_eq!(driver.kinesis("PutRecord", put_at(0, "child")).ok()["ShardId"], shard_id(3));
}

#[test]
fn where_a_shard_may_be_split() {
    let mut driver = Driver::with_stream(unlimited(), 2);
    for (hash, allowed) in [
        ("0", false),
        ("1", false),
        (&(MIDDLE - 1).to_string(), false),
        (&MIDDLE.to_string(), false),
        ("340282366920938463463374607431768211456", false),
        ("2", true),
    ] {
        let split = json!({"StreamName": "core", "ShardToSplit": shard_id(0), "NewStartingHashKey": hash});
        match driver.kinesis("SplitShard", split) {
            Answer::Body { status: 200, .. } => assert!(allowed, "{hash}"),
            refused => {
                let (code, message) = refused.error();
                assert_eq!((code.as_str(), allowed), ("InvalidArgumentException", false), "{hash}");
                assert!(
                    message.contains("is not both greater than one plus the shard's StartingHashKey 0"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn the_number_of_shards_changes_within_its_bounds() {
    let mut driver = Driver::with_stream(unlimited(), 4);
    let scale =
        |target: u64| json!({"StreamName": "core", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
    for (target, part) in [(9, "cannot scale up over double"), (1, "cannot scale down below half"), (10_001, "10000")] {
        let (code, message) = driver.kinesis("UpdateShardCount", scale(target)).error();
        assert_eq!(code, "LimitExceededException");
        assert!(message.contains(part), "{message}");
    }
    for (step, target) in [8, 5, 3, 6, 4, 2, 1, 2, 3, 4].into_iter().enumerate() {
        let answer = driver.kinesis("UpdateShardCount", scale(target)).ok();
        assert_eq!(answer["TargetShardCount"], target);
        driver.wait(Duration::from_secs(1));
        let open = listed(&mut driver, json!({"Type": "AT_LATEST"}));
        assert_eq!(open.len() as u64, target, "step {step}");
        // Every hash has its shard still.
        for share in 0..16 {
            driver.kinesis("PutRecord", put_at(u128::MAX / 16 * share, &step.to_string())).ok();
        }
    }
    assert_eq!(driver.kinesis("UpdateShardCount", scale(5)).code(), "LimitExceededException", "ten a day");
    driver.wait(Duration::from_secs(24 * 3_600));
    driver.kinesis("UpdateShardCount", scale(5)).ok();
}

#[test]
fn filters_show_the_shards_of_their_time() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.wait(Duration::from_secs(3_600));
    driver.reshard("SplitShard", json!({"ShardToSplit": shard_id(0), "NewStartingHashKey": MIDDLE.to_string()}));
    driver.wait(Duration::from_secs(3_600));
    driver.reshard("MergeShards", json!({"ShardToMerge": shard_id(1), "AdjacentShardToMerge": shard_id(2)}));
    let hour = |hours: f64| START.as_millis() as f64 / 1_000.0 + hours * 3_600.0;
    for (filter, wanted) in [
        (json!({"Type": "FROM_TRIM_HORIZON"}), vec![0, 1, 2, 3]),
        (json!({"Type": "AT_TRIM_HORIZON"}), vec![0]),
        (json!({"Type": "AT_LATEST"}), vec![3]),
        (json!({"Type": "AFTER_SHARD_ID", "ShardId": shard_id(1)}), vec![2, 3]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": hour(0.5)}), vec![0]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": hour(1.5)}), vec![1, 2]),
        (json!({"Type": "FROM_TIMESTAMP", "Timestamp": hour(1.5)}), vec![1, 2, 3]),
        (json!({"Type": "FROM_TIMESTAMP", "Timestamp": hour(-100.0)}), vec![0, 1, 2, 3]),
    ] {
        assert_eq!(listed(&mut driver, filter.clone()), wanted, "{filter}");
    }
    // A closed shard goes when its retention ends, its child knows it still.
    driver.wait(Duration::from_secs(23 * 3_600 + 60));
    assert_eq!(listed(&mut driver, json!({"Type": "FROM_TRIM_HORIZON"})), [1, 2, 3]);
    assert_eq!(driver.shards()[0]["ParentShardId"], shard_id(0));
    let request = json!({"StreamName": "core", "ShardId": shard_id(0), "ShardIteratorType": "TRIM_HORIZON"});
    assert_eq!(driver.kinesis("GetShardIterator", request).code(), "ResourceNotFoundException");
}

#[test]
fn retention_is_changed_within_its_bounds() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    for (operation, hours, part) in [
        ("IncreaseStreamRetentionPeriod", 23, "Minimum allowed retention period is 24 hours."),
        ("IncreaseStreamRetentionPeriod", 8_761, "Maximum allowed retention period is 8760 hours."),
        ("DecreaseStreamRetentionPeriod", 48, "can not be longer than existing retention period (24 hours)"),
    ] {
        let request = json!({"StreamName": "core", "RetentionPeriodHours": hours});
        let (code, message) = driver.kinesis(operation, request).error();
        assert_eq!(code, "InvalidArgumentException");
        assert!(message.contains(part), "{message}");
    }
    let hours = |hours: u64| json!({"StreamName": "core", "RetentionPeriodHours": hours});
    driver.kinesis("IncreaseStreamRetentionPeriod", hours(48)).ok();
    let (_, message) = driver.kinesis("IncreaseStreamRetentionPeriod", hours(24)).error();
    assert!(message.contains("can not be shorter than existing retention period (48 hours)"), "{message}");
    driver.kinesis("PutRecord", put_at(0, "kept")).ok();
    driver.wait(Duration::from_secs(30 * 3_600));
    assert_eq!(driver.read_shard(0).0, ["kept"]);
    driver.kinesis("DecreaseStreamRetentionPeriod", hours(24)).ok();
    assert!(driver.read_shard(0).0.is_empty());
    driver.kinesis("IncreaseStreamRetentionPeriod", hours(48)).ok();
    assert!(driver.read_shard(0).0.is_empty(), "what is gone stays gone");
}

#[test]
fn on_demand_streams_have_four_shards_and_no_resharding_by_hand() {
    let mut driver = Driver::new(unlimited());
    for (name, strategy) in [("keys", "USER_PARTITION_KEY"), ("core", "AUTO")] {
        let mode = json!({"StreamMode": "ON_DEMAND"});
        let create = json!({"StreamName": name, "StreamModeDetails": mode, "RecordDistributionStrategy": strategy});
        driver.cloud.call_now(START, Service::Kinesis, "CreateStream", create).unwrap();
    }
    assert_eq!(driver.shards().len(), 4);
    let split = json!({"StreamName": "core", "ShardToSplit": shard_id(0), "NewStartingHashKey": "17"});
    let scale = json!({"StreamName": "core", "TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"});
    for (operation, request) in [("SplitShard", split), ("UpdateShardCount", scale)] {
        let (code, message) = driver.kinesis(operation, request).error();
        assert_eq!(code, "ValidationException");
        assert_eq!(message, "Request is invalid. Stream core under account 000000000000 is in On-Demand mode.");
    }
    for (stream, shards) in [("keys", 1..=1), ("core", 3..=4)] {
        let mut found = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let request = json!({"StreamName": stream, "Records": [entry("same", "x")]});
            found.insert(text(&driver.kinesis("PutRecords", request).ok()["Records"][0]["ShardId"]));
        }
        assert!(shards.contains(&found.len()), "{stream}: {found:?}");
    }
    driver
        .kinesis("UpdateStreamMode", json!({"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "PROVISIONED"}}))
        .ok();
    driver.wait(Duration::from_secs(1));
    driver.reshard("SplitShard", json!({"ShardToSplit": shard_id(0), "NewStartingHashKey": "17"}));
    let limits = driver.kinesis("DescribeLimits", json!({})).ok();
    assert_eq!((&limits["OpenShardCount"], &limits["OnDemandStreamCount"]), (&json!(9), &json!(1)));
}

#[test]
fn tags_are_kept_with_the_stream() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let tags = json!({"a": "1", "b": "2", "c": "3"});
    driver.kinesis("AddTagsToStream", json!({"StreamName": "core", "Tags": tags})).ok();
    driver.kinesis("TagResource", json!({"ResourceARN": ARN, "Tags": {"d": "4"}})).ok();
    driver.kinesis("RemoveTagsFromStream", json!({"StreamARN": ARN, "TagKeys": ["b", "nothing"]})).ok();
    driver.kinesis("UntagResource", json!({"ResourceARN": ARN, "TagKeys": ["d"]})).ok();
    let first = driver.kinesis("ListTagsForStream", json!({"StreamName": "core", "Limit": 1})).ok();
    assert_eq!(first, json!({"Tags": [{"Key": "a", "Value": "1"}], "HasMoreTags": true}));
    let rest = driver.kinesis("ListTagsForStream", json!({"StreamName": "core", "ExclusiveStartTagKey": "a"})).ok();
    assert_eq!(rest, json!({"Tags": [{"Key": "c", "Value": "3"}], "HasMoreTags": false}));
    let all = driver.kinesis("ListTagsForResource", json!({"ResourceARN": ARN})).ok();
    assert_eq!(all["Tags"].as_array().unwrap().len(), 2);
    let many: serde_json::Map<String, Value> = (0..49).map(|index| (format!("k{index}"), json!(""))).collect();
    let (code, message) = driver.kinesis("AddTagsToStream", json!({"StreamName": "core", "Tags": many})).error();
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("cannot have more than 50 tags"), "{message}");
}

#[test]
fn consumers_register_and_leave() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let named = json!({"StreamARN": ARN, "ConsumerName": "projection"});
    let registered = driver.kinesis("RegisterStreamConsumer", named.clone()).ok()["Consumer"].clone();
    assert_eq!(registered["ConsumerStatus"], "CREATING");
    assert_eq!(registered["ConsumerARN"], format!("{ARN}/consumer/projection:1767225600"));
    assert_eq!(driver.kinesis("RegisterStreamConsumer", named.clone()).code(), "ResourceInUseException");
    driver.wait(Duration::from_secs(1));
    for request in [named.clone(), json!({"ConsumerARN": registered["ConsumerARN"]})] {
        let described = driver.kinesis("DescribeStreamConsumer", request).ok()["ConsumerDescription"].clone();
        assert_eq!((&described["ConsumerStatus"], &described["StreamARN"]), (&json!("ACTIVE"), &json!(ARN)));
    }
    let (code, message) = driver.kinesis("SubscribeToShard", json!({"ConsumerARN": registered["ConsumerARN"]})).error();
    assert_eq!(code, "UnsupportedOperationException");
    assert!(message.contains("HTTP/2"), "{message}");
    assert_eq!(driver.kinesis("DeleteStream", json!({"StreamName": "core"})).code(), "ResourceInUseException");
    driver.kinesis("DeregisterStreamConsumer", named.clone()).ok();
    driver.wait(Duration::from_secs(1));
    assert_eq!(driver.kinesis("DescribeStreamConsumer", named).code(), "ResourceNotFoundException");
    for index in 0..20 {
        let request = json!({"StreamARN": ARN, "ConsumerName": format!("c{index:02}")});
        driver.kinesis("RegisterStreamConsumer", request).ok();
        driver.wait(Duration::from_secs(1));
    }
    let more = json!({"StreamARN": ARN, "ConsumerName": "more"});
    assert_eq!(driver.kinesis("RegisterStreamConsumer", more).code(), "LimitExceededException");
    let page = driver.kinesis("ListStreamConsumers", json!({"StreamARN": ARN, "MaxResults": 15})).ok();
    let rest = json!({"StreamARN": ARN, "NextToken": page["NextToken"]});
    let rest = driver.kinesis("ListStreamConsumers", rest).ok();
    assert_eq!((page["Consumers"].as_array().unwrap().len(), rest["Consumers"].as_array().unwrap().len()), (15, 5));
    assert!(rest.get("NextToken").is_none());
    driver.kinesis("DeleteStream", json!({"StreamName": "core", "EnforceConsumerDeletion": true})).ok();
}

#[test]
fn operations_have_their_rates() {
    let mut driver = Driver::with_stream(quick(), 1);
    let calls: Vec<u64> =
        (0..12).map(|_| driver.kinesis_send("DescribeStream", &json!({"StreamName": "core"}))).collect();
    let answers = calls.into_iter().map(|call| driver.answer(call));
    let refused: Vec<Answer> = answers.filter(|answer| !matches!(answer, Answer::Body { status: 200, .. })).collect();
    assert_eq!(refused.len(), 2);
    let (code, message) = refused[0].clone().error();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("LimitExceededException", "Rate exceeded for stream core under account 000000000000.")
    );
    driver.wait(Duration::from_secs(1));
    driver.kinesis("DescribeStream", json!({"StreamName": "core"})).ok();
}
