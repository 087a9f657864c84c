//! Mappings from streams: tables' and Kinesis'.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_cloud::{MessageStepKind, Service};
use serde_json::{Value, json};

use crate::{
    neighbours::{STREAM_ARN, StandKinesis, install_kinesis, install_queue, shard_id},
    world::{Act, SECOND, START, World, ok, orders_stream, put, quick, report},
};

fn horizon(members: Value) -> Value {
    let mut settings = json!({"StartingPosition": "TRIM_HORIZON"});
    settings.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    settings
}

/// A world with a Kinesis stream that holds records `0..records` of one key in one shard.
fn kinesis(records: usize, environments: usize) -> (World, Arc<Mutex<StandKinesis>>) {
    let mut world = World::with_function(quick(), environments);
    let kinesis = install_kinesis(&mut world, 1);
    for _ in 0..records {
        kinesis.lock().unwrap().put(0, "key", START);
    }
    (world, kinesis)
}

fn numbers(world: &World) -> Vec<Vec<usize>> {
    world.invoked.iter().map(|invoked| invoked.ids().iter().map(|id| id.parse().unwrap()).collect()).collect()
}

fn checkpoint(world: &World, source: &str, shard: &str) -> Value {
    world.cloud.inspect(Service::Lambda)["mappings"][format!("f/{source}")]["shards"][shard]["checkpoint"].clone()
}

#[test]
fn changes_of_a_table_arrive_in_the_form_of_the_service() {
    let mut world = World::with_function(quick(), 1);
    let arn = orders_stream(&mut world);
    let uuid = world.map(&arn, horizon(json!({})));
    put(&mut world, "a", "1");
    world.wait_for(5 * SECOND, |world| !world.invoked.is_empty());
    let record = world.invoked[0].records()[0].clone();
    for (pointer, wanted) in [
        ("/eventName", json!("INSERT")),
        ("/eventVersion", json!("1.1")),
        ("/eventSource", json!("aws:dynamodb")),
        ("/awsRegion", json!("us-east-1")),
        ("/eventSourceARN", json!(arn)),
        ("/dynamodb/Keys", json!({"pk": {"S": "a"}, "sk": {"S": "1"}})),
        ("/dynamodb/NewImage", json!({"pk": {"S": "a"}, "sk": {"S": "1"}})),
        ("/dynamodb/StreamViewType", json!("NEW_IMAGE")),
    ] {
        assert_eq!(record.pointer(pointer), Some(&wanted), "{pointer}");
    }
    for pointer in
        ["/eventID", "/dynamodb/SequenceNumber", "/dynamodb/SizeBytes", "/dynamodb/ApproximateCreationDateTime"]
    {
        assert!(record.pointer(pointer).is_some(), "{pointer}");
    }
    world.wait(SECOND);
    assert_eq!(world.mapping(&uuid)["LastProcessingResult"], "OK");
    let invoked = world.steps(MessageStepKind::Invoked);
    assert!(invoked[0].key.starts_with("f/orders/shardId-"), "{}", invoked[0].key);
    world.assert_journal_is_whole();
}

#[test]
fn records_of_kinesis_arrive_in_the_form_of_the_service() {
    let (mut world, _) = kinesis(1, 1);
    world.map(STREAM_ARN, horizon(json!({})));
    world.wait_for(5 * SECOND, |world| !world.invoked.is_empty());
    assert_eq!(
        world.invoked[0].records()[0],
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "key", "sequenceNumber": "0", "data": "eyJuIjoxfQ==",
                "approximateArrivalTimestamp": START.as_millis() as f64 / 1_000.0,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shardId-000000000000:0",
            "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::000000000000:role/lambda-role",
            "awsRegion": "us-east-1", "eventSourceARN": STREAM_ARN,
        })
    );
}

#[test]
fn batches_have_their_size_and_their_window() {
    let (mut world, kinesis) = kinesis(7, 1);
    world.map(STREAM_ARN, horizon(json!({"BatchSize": 3, "MaximumBatchingWindowInSeconds": 20})));
    world.wait(10 * SECOND);
    assert_eq!(numbers(&world), [vec![0, 1, 2], vec![3, 4, 5]]);
    kinesis.lock().unwrap().put(0, "key", START);
    world.wait(3 * SECOND);
    assert_eq!(numbers(&world).len(), 2, "the window is open");
    world.wait(20 * SECOND);
    assert_eq!(numbers(&world)[2], [6, 7]);
    assert_eq!(checkpoint(&world, "core", &shard_id(0)), "7");
}

#[test]
fn starting_positions() {
    let at = START.as_millis() as f64 / 1_000.0;
    for (settings, wanted) in [
        (json!({"StartingPosition": "TRIM_HORIZON"}), vec![0, 1, 2, 3, 4]),
        (json!({"StartingPosition": "LATEST"}), vec![4]),
        (json!({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": at}), vec![2, 3, 4]),
    ] {
        let mut world = World::with_function(quick(), 1);
        let kinesis = install_kinesis(&mut world, 1);
        for _ in 0..2 {
            kinesis.lock().unwrap().put(0, "key", START);
        }
        for record in &mut kinesis.lock().unwrap().shards[0].records {
            record.1 = nexus_cloud::UnixNanos(START.0 - 1_000_000_000);
        }
        kinesis.lock().unwrap().put(0, "key", START);
        kinesis.lock().unwrap().put(0, "key", START);
        world.map(STREAM_ARN, settings.clone());
        world.wait(3 * SECOND);
        kinesis.lock().unwrap().put(0, "key", world.now);
        world.wait(3 * SECOND);
        assert_eq!(numbers(&world).concat(), wanted, "{settings}");
    }
}

/// Each row: settings, the records that the function cannot stand, the batches it saw.
#[test]
fn what_happens_to_batches_that_fail() {
    for (name, settings, bad, batches) in [
        ("two retries", json!({"MaximumRetryAttempts": 2}), 1, vec![vec![0, 1, 2, 3]; 3]),
        ("no retry", json!({"MaximumRetryAttempts": 0}), 1, vec![vec![0, 1, 2, 3]]),
        (
            "bisect",
            json!({"MaximumRetryAttempts": 1, "BisectBatchOnFunctionError": true}),
            1,
            vec![vec![0, 1, 2, 3], vec![0, 1], vec![0], vec![1], vec![1], vec![2, 3]],
        ),
    ] {
        let (mut world, _) = kinesis(4, 1);
        let queue = install_queue(&mut world, 30);
        world.handler =
            Box::new(move |invoked| if invoked.ids().contains(&bad.to_string()) { Act::Fail } else { ok() });
        let mut settings = horizon(settings);
        settings["DestinationConfig"] =
            json!({"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}});
        world.map(STREAM_ARN, settings);
        world.wait(120 * SECOND);
        assert_eq!(numbers(&world), batches, "{name}");
        assert_eq!(checkpoint(&world, "core", &shard_id(0)), "3", "{name}: the shard moved on");
        let discarded = world.steps(MessageStepKind::Discarded);
        assert_eq!(discarded.len(), 1, "{name}");
        let note = &discarded[0].note;
        assert!(note.starts_with("arn:aws:sqs:us-east-1:000000000000:failed RetryAttemptsExhausted "), "{note}");
        assert_eq!(queue.lock().unwrap().sent.len(), 1, "{name}");
        world.assert_journal_is_whole();
    }
}

#[test]
fn a_failing_batch_blocks_its_shard_without_limits() {
    let (mut world, kinesis) = kinesis(2, 1);
    world.handler = Box::new(|_| Act::Fail);
    let uuid = world.map(STREAM_ARN, horizon(json!({})));
    world.wait(60 * SECOND);
    kinesis.lock().unwrap().put(0, "key", START);
    let tries = world.invoked.len();
    assert!((4..=9).contains(&tries), "{tries} tries with doubling waits");
    assert!(numbers(&world).iter().all(|batch| *batch == [0, 1]));
    assert_eq!(world.mapping(&uuid)["LastProcessingResult"], "PROBLEM: Function call failed");
    assert_eq!(checkpoint(&world, "core", &shard_id(0)), Value::Null);
    world.handler = Box::new(|_| ok());
    world.wait(120 * SECOND);
    assert_eq!(checkpoint(&world, "core", &shard_id(0)), "2");
}

#[test]
fn the_notice_about_a_discarded_batch_is_metadata_only() {
    let (mut world, _) = kinesis(3, 1);
    let queue = install_queue(&mut world, 30);
    queue.lock().unwrap().refuse_sends = 1;
    world.handler = Box::new(|_| Act::Fail);
    let destination = json!({"OnFailure": {"Destination": "arn:aws:sns:us-east-1:000000000000:failed"}});
    world.map(STREAM_ARN, horizon(json!({"MaximumRetryAttempts": 1, "DestinationConfig": destination})));
    world.wait(30 * SECOND);
    let sent = queue.lock().unwrap().sent.clone();
    assert_eq!((sent.len(), &sent[0]["TopicArn"]), (1, &json!("arn:aws:sns:us-east-1:000000000000:failed")));
    let notice: Value = serde_json::from_str(sent[0]["Message"].as_str().unwrap()).unwrap();
    let last = &world.invoked[1];
    assert_eq!(
        notice["requestContext"],
        json!({
            "requestId": last.request_id, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 2,
        })
    );
    assert_eq!(
        notice["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
    );
    assert_eq!(
        notice["KinesisBatchInfo"],
        json!({
            "shardId": shard_id(0), "startSequenceNumber": "0", "endSequenceNumber": "2", "batchSize": 3,
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.000Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.000Z", "streamArn": STREAM_ARN,
        })
    );
    assert_eq!(notice["version"], "1.0");
    assert!(notice["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_notice_about_a_tables_changes_names_them_so() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 30);
    let arn = orders_stream(&mut world);
    world.handler = Box::new(|_| Act::Fail);
    let destination = json!({"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}});
    world.map(&arn, horizon(json!({"MaximumRetryAttempts": 0, "DestinationConfig": destination})));
    put(&mut world, "a", "1");
    world.wait(5 * SECOND);
    let sent = queue.lock().unwrap().sent.clone();
    assert_eq!(sent[0]["QueueUrl"], "https://sqs.us-east-1.amazonaws.com/000000000000/failed");
    let notice: Value = serde_json::from_str(sent[0]["MessageBody"].as_str().unwrap()).unwrap();
    let info = &notice["DDBStreamBatchInfo"];
    assert_eq!((&info["batchSize"], &info["streamArn"]), (&json!(1), &json!(arn)));
    assert_eq!(info["startSequenceNumber"], world.invoked[0].ids()[0]);
}

#[test]
fn records_beyond_their_age_are_given_up() {
    let (mut world, kinesis) = kinesis(2, 1);
    world.handler = Box::new(|_| Act::Fail);
    world.map(STREAM_ARN, horizon(json!({"MaximumRecordAgeInSeconds": 60})));
    world.wait(50 * SECOND);
    assert!(world.steps(MessageStepKind::Discarded).is_empty());
    kinesis.lock().unwrap().put(0, "key", world.now);
    world.wait(60 * SECOND);
    world.handler = Box::new(|_| ok());
    world.wait(60 * SECOND);
    let discarded = world.steps(MessageStepKind::Discarded);
    assert!(discarded[0].note.starts_with("none RecordAgeExceeded 0..1 2"), "{discarded:?}");
    assert_eq!(checkpoint(&world, "core", &shard_id(0)), "2");
}

#[test]
fn throttling_spends_no_retries() {
    let (mut world, _) = kinesis(1, 0);
    world.map(STREAM_ARN, horizon(json!({"MaximumRetryAttempts": 0})));
    world.wait(60 * SECOND);
    assert!(world.invoked.is_empty() && world.steps(MessageStepKind::Discarded).is_empty());
    world.host("f");
    world.wait(70 * SECOND);
    assert_eq!(numbers(&world), [vec![0]]);
}

/// Each row: the answers in turn, the batches that the function sees.
#[test]
fn reports_of_failed_records() {
    let partial = |ids: &[&str]| report(ids);
    let whole = vec![0, 1, 2, 3];
    for (name, first, second) in [
        ("success", Act::Answer(r#"{"batchItemFailures":[]}"#.into()), None),
        ("nothing", Act::Answer(String::new()), None),
        ("lowest of an unsorted list", partial(&["3", "1"]), Some(vec![1, 2, 3])),
        ("the first", partial(&["0"]), Some(whole.clone())),
        ("the last", partial(&["3"]), Some(vec![3])),
        ("empty identifier", partial(&["1", ""]), Some(whole.clone())),
        ("misnamed", Act::Answer(r#"{"batchItemFailures":[{"messageId":"1"}]}"#.into()), Some(whole.clone())),
        ("no JSON", Act::Answer("done".into()), Some(whole.clone())),
        ("unknown number", partial(&["17"]), Some(whole.clone())),
        ("function error", Act::Fail, Some(whole.clone())),
    ] {
        let (mut world, _) = kinesis(4, 1);
        let mut tries = 0;
        world.handler = Box::new(move |_| {
            tries += 1;
            if tries == 1 { first.clone() } else { ok() }
        });
        world.map(STREAM_ARN, horizon(json!({"FunctionResponseTypes": ["ReportBatchItemFailures"]})));
        world.wait(20 * SECOND);
        let mut wanted = vec![whole.clone()];
        wanted.extend(second);
        assert_eq!(numbers(&world), wanted, "{name}");
        assert_eq!(checkpoint(&world, "core", &shard_id(0)), "3", "{name}");
    }
}

#[test]
fn an_unknown_sequence_number_may_be_skipped_instead() {
    let mut config = quick();
    config.assumptions.lambda_unknown_sequence_fails_batch = false;
    let mut world = World::with_function(config, 1);
    let kinesis = install_kinesis(&mut world, 1);
    for _ in 0..3 {
        kinesis.lock().unwrap().put(0, "key", START);
    }
    let mut tries = 0;
    world.handler = Box::new(move |_| {
        tries += 1;
        if tries == 1 { report(&["99", "2"]) } else { ok() }
    });
    world.map(STREAM_ARN, horizon(json!({"FunctionResponseTypes": ["ReportBatchItemFailures"]})));
    world.wait(20 * SECOND);
    assert_eq!(numbers(&world), [vec![0, 1, 2], vec![2]]);
}

#[test]
fn a_report_bisects_without_spending_the_quota() {
    let (mut world, _) = kinesis(4, 1);
    world.handler = Box::new(|invoked| {
        let ids = invoked.ids();
        if ids.contains(&"2".to_owned()) { report(&["2"]) } else { ok() }
    });
    let settings = json!({
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "BisectBatchOnFunctionError": true,
        "MaximumRetryAttempts": 1,
    });
    world.map(STREAM_ARN, horizon(settings));
    world.wait(60 * SECOND);
    assert_eq!(numbers(&world), [vec![0, 1, 2, 3], vec![2, 3], vec![2], vec![2], vec![3]]);
    assert!(world.steps(MessageStepKind::Discarded)[0].note.contains("2..2 1"));
}

#[test]
fn lanes_keep_the_order_of_each_key() {
    let mut world = World::with_function(quick(), 8);
    let kinesis = install_kinesis(&mut world, 1);
    for record in 0..60 {
        kinesis.lock().unwrap().put(0, &format!("k{}", record % 6), START);
    }
    let mut calls = 0;
    world.handler = Box::new(move |_| {
        calls += 1;
        if calls % 5 == 0 { Act::Fail } else { Act::Late(Duration::from_millis(300), "null".into()) }
    });
    world.map(STREAM_ARN, horizon(json!({"ParallelizationFactor": 4, "BatchSize": 3})));
    world.wait(180 * SECOND);
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let failed: std::collections::BTreeSet<String> = world
        .steps(MessageStepKind::Returned)
        .iter()
        .filter(|step| step.note == "error")
        .map(|step| step.message_id.clone())
        .collect();
    for (invoked, batch) in world.invoked.iter().zip(numbers(&world)) {
        if failed.contains(&invoked.request_id) {
            continue;
        }
        for record in batch {
            if let Some(before) = last.insert(record % 6, record) {
                assert_eq!(record, before + 6, "the order of key {}", record % 6);
            }
        }
    }
    assert_eq!(last.into_values().collect::<Vec<_>>(), (54..60).collect::<Vec<_>>());
    assert_eq!(checkpoint(&world, "core", &shard_id(0)), "59");
    let overlapping = world.invoked.windows(2).any(|pair| pair[1].at.since(pair[0].at) < Duration::from_millis(200));
    assert!(overlapping, "lanes work at the same time");
}

#[test]
fn children_wait_for_their_parents_and_late_ones_are_found() {
    let mut world = World::with_function(quick(), 4);
    let kinesis = install_kinesis(&mut world, 4);
    {
        let mut kinesis = kinesis.lock().unwrap();
        // 0 splits into 1 and 2, which merge into 3; 3 is listed late.
        kinesis.shards[1].parents = vec![shard_id(0)];
        kinesis.shards[2].parents = vec![shard_id(0)];
        kinesis.shards[3].parents = vec![shard_id(1), shard_id(2)];
        kinesis.shards[3].listed_from = START.plus(40 * SECOND);
        for shard in 0..4 {
            for _ in 0..5 {
                kinesis.put(shard, "key", START);
            }
            kinesis.shards[shard].is_closed = shard < 3;
        }
    }
    let mut tries = 0;
    world.handler = Box::new(move |_| {
        tries += 1;
        if tries == 1 { Act::Fail } else { ok() }
    });
    world.map(STREAM_ARN, horizon(json!({"BatchSize": 2})));
    world.wait(90 * SECOND);
    let shards: Vec<String> = world
        .invoked
        .iter()
        .map(|invoked| invoked.records()[0]["eventID"].as_str().unwrap().split(':').next().unwrap().to_owned())
        .collect();
    let last = |shard: usize| shards.iter().rposition(|found| *found == shard_id(shard)).unwrap();
    let first = |shard: usize| shards.iter().position(|found| *found == shard_id(shard)).unwrap();
    assert!(last(0) < first(1) && last(0) < first(2), "{shards:?}");
    assert!(last(1).max(last(2)) < first(3), "{shards:?}");
    assert_eq!(checkpoint(&world, "core", &shard_id(3)), "4");
}

#[test]
fn shards_of_a_table_that_roll_over_lose_nothing() {
    let mut config = quick();
    config.dynamodb.streams.initial_shards = 2;
    config.dynamodb.streams.shard_max_records = Some(4);
    let mut world = World::with_function(config, 4);
    let arn = orders_stream(&mut world);
    world.map(&arn, horizon(json!({})));
    for number in 0..60 {
        put(&mut world, &format!("p{}", number % 3), &format!("{number:03}"));
        world.wait(Duration::from_millis(100));
    }
    world.wait(60 * SECOND);
    let mut by_stream: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in world.invoked.iter().flat_map(|invoked| invoked.records()) {
        let keys = &record["dynamodb"]["Keys"];
        by_stream
            .entry(keys["pk"]["S"].as_str().unwrap().to_owned())
            .or_default()
            .push(keys["sk"]["S"].as_str().unwrap().to_owned());
    }
    for (stream, seen) in by_stream {
        let first: usize = stream[1..].parse().unwrap();
        let wanted: Vec<String> = (0..20).map(|index| format!("{:03}", first + index * 3)).collect();
        assert_eq!(seen, wanted, "{stream}");
    }
}

#[test]
fn expired_iterators_and_trimmed_records_are_survived() {
    let (mut world, kinesis) = kinesis(3, 1);
    let uuid = world.map(STREAM_ARN, horizon(json!({})));
    world.wait(5 * SECOND);
    kinesis.lock().unwrap().expire = 2;
    for _ in 0..2 {
        kinesis.lock().unwrap().put(0, "key", START);
    }
    world.wait(5 * SECOND);
    assert_eq!(numbers(&world).concat(), [0, 1, 2, 3, 4], "after the last one read, not from anywhere else");
    {
        let kinesis = kinesis.lock().unwrap();
        let positions: Vec<&Value> = kinesis
            .calls
            .iter()
            .filter(|(operation, _)| operation == "GetShardIterator")
            .map(|(_, request)| request)
            .collect();
        assert_eq!(positions.len(), 3);
        assert_eq!(positions[1]["ShardIteratorType"], "AFTER_SEQUENCE_NUMBER");
        assert_eq!(positions[1]["StartingSequenceNumber"], "2");
    }
    // A table's stream tells when what was to be read is gone: while the mapping rests, a day passes.
    let mut world = World::with_function(quick(), 1);
    let arn = orders_stream(&mut world);
    let uuid_of_table = world.map(&arn, horizon(json!({})));
    put(&mut world, "a", "1");
    world.wait(5 * SECOND);
    let path = format!("/2015-03-31/event-source-mappings/{uuid_of_table}");
    world.call("PUT", &path, json!({"Enabled": false}));
    world.wait(3 * SECOND);
    for sk in ["2", "3"] {
        put(&mut world, "a", sk);
    }
    world.wait(Duration::from_secs(25 * 3600));
    put(&mut world, "a", "4");
    world.call("PUT", &path, json!({"Enabled": true}));
    world.wait(30 * SECOND);
    let seen: Vec<String> = world.invoked.iter().flat_map(|invoked| invoked.sort_keys()).map(str::to_owned).collect();
    assert_eq!(seen, ["1", "4"], "what was trimmed is lost, what came later is not");
    assert!(!uuid.is_empty());
}

#[test]
fn latest_with_a_lost_iterator_goes_on_from_where_it_began() {
    let (mut world, kinesis) = kinesis(2, 1);
    world.map(STREAM_ARN, json!({"StartingPosition": "LATEST"}));
    world.wait(5 * SECOND);
    kinesis.lock().unwrap().expire = 1;
    kinesis.lock().unwrap().put(0, "key", world.now);
    world.wait(5 * SECOND);
    assert_eq!(numbers(&world).concat(), [2]);
}

#[test]
fn filtered_records_do_not_reach_the_function_and_hold_nothing_up() {
    let mut world = World::with_function(quick(), 1);
    let arn = orders_stream(&mut world);
    let pattern = json!({"dynamodb": {"NewImage": {"sk": {"S": [{"prefix": "yes"}]}}}}).to_string();
    world.map(&arn, horizon(json!({"FilterCriteria": {"Filters": [{"Pattern": pattern}]}})));
    for sk in ["yes-1", "no-1", "yes-2", "no-2"] {
        put(&mut world, "a", sk);
    }
    world.wait(5 * SECOND);
    let seen: Vec<&str> = world.invoked.iter().flat_map(|invoked| invoked.sort_keys()).collect();
    assert_eq!(seen, ["yes-1", "yes-2"]);
    let shards = world.cloud.inspect(Service::Lambda)["mappings"]["f/orders"]["shards"].clone();
    let last = world.cloud.stream_now("orders").last().unwrap()["dynamodb"]["SequenceNumber"].clone();
    assert!(shards.as_object().unwrap().values().any(|shard| shard["checkpoint"] == last), "{shards}");
}

#[test]
fn a_timeout_after_the_effect_means_that_the_batch_comes_again() {
    let (mut world, _) = kinesis(2, 2);
    let mut calls = 0;
    world.handler = Box::new(move |_| {
        calls += 1;
        if calls == 1 { Act::Late(4 * SECOND, "null".into()) } else { ok() }
    });
    world.map(STREAM_ARN, horizon(json!({"MaximumRetryAttempts": 5})));
    world.wait(30 * SECOND);
    assert_eq!(numbers(&world), [vec![0, 1], vec![0, 1]]);
    let notes: Vec<String> = world.steps(MessageStepKind::Returned).into_iter().map(|step| step.note).collect();
    assert_eq!(notes, ["timed-out", "ok"]);
}

#[test]
fn a_disabled_mapping_rests_and_resumes_where_it_was() {
    let (mut world, kinesis) = kinesis(2, 1);
    let uuid = world.map(STREAM_ARN, horizon(json!({})));
    world.wait(5 * SECOND);
    let path = format!("/2015-03-31/event-source-mappings/{uuid}");
    world.call("PUT", &path, json!({"Enabled": false}));
    world.wait(3 * SECOND);
    let calls = kinesis.lock().unwrap().calls.len();
    kinesis.lock().unwrap().put(0, "key", START);
    world.wait(30 * SECOND);
    assert_eq!(kinesis.lock().unwrap().calls.len(), calls, "no call while disabled");
    world.call("PUT", &path, json!({"Enabled": true, "ParallelizationFactor": 3}));
    world.wait(10 * SECOND);
    assert_eq!(numbers(&world), [vec![0, 1], vec![2]]);
    world.call("DELETE", &path, Value::Null);
    world.wait(5 * SECOND);
    assert_eq!(world.cloud.inspect(Service::Lambda)["mappings"], json!({}));
    let calls = kinesis.lock().unwrap().calls.len();
    world.wait(30 * SECOND);
    assert_eq!(kinesis.lock().unwrap().calls.len(), calls);
}
