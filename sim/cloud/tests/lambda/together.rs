//! With the cloud's own Kinesis, SQS and SNS: the whole way of a message.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use nexus_cloud::{CloudConfig, Service};
use serde_json::{Value, json};

use crate::{
    neighbours::{QUEUE_ARN, STREAM_ARN},
    world::{Act, SECOND, World, ok, quick, report},
};

#[track_caller]
fn now(world: &mut World, service: Service, operation: &str, request: Value) -> Value {
    world.cloud.call_now(world.now, service, operation, request).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

fn create_stream(world: &mut World, shards: u64) {
    now(world, Service::Kinesis, "CreateStream", json!({"StreamName": "core", "ShardCount": shards}));
    world.wait(60 * SECOND);
}

fn put_record(world: &mut World, key: &str, text: &str) {
    let request = json!({"StreamName": "core", "PartitionKey": key, "Data": STANDARD.encode(text)});
    now(world, Service::Kinesis, "PutRecord", request);
}

fn texts(world: &World) -> Vec<String> {
    let records = world.invoked.iter().flat_map(|invoked| invoked.records());
    let text = |record: &Value| {
        let bytes = STANDARD.decode(record["kinesis"]["data"].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    records.map(text).collect()
}

#[test]
fn a_stream_that_splits_is_followed() {
    let mut world = World::with_function(quick(), 8);
    create_stream(&mut world, 1);
    world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON", "BatchSize": 5}));
    for number in 0..20 {
        put_record(&mut world, &format!("k{}", number % 4), &format!("{number:03}"));
    }
    world.wait(5 * SECOND);
    let half = (u128::MAX / 2).to_string();
    let split = json!({"StreamName": "core", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": half});
    now(&mut world, Service::Kinesis, "SplitShard", split);
    world.wait(60 * SECOND);
    for number in 20..40 {
        put_record(&mut world, &format!("k{}", number % 4), &format!("{number:03}"));
    }
    world.wait(60 * SECOND);
    let seen = texts(&world);
    assert_eq!(seen.len(), 40);
    for key in 0..4 {
        let of_key: Vec<&String> = seen.iter().filter(|text| text.parse::<usize>().unwrap() % 4 == key).collect();
        assert_eq!(of_key.len(), 10);
        assert!(of_key.is_sorted(), "{of_key:?}");
    }
    let shards = world.cloud.inspect(Service::Lambda)["mappings"]["f/core"]["shards"].clone();
    assert_eq!(shards.as_object().unwrap().len(), 3, "{shards}");
    assert_eq!(shards["shardId-000000000000"]["phase"], "finished");
}

#[test]
fn an_iterator_that_expires_while_a_batch_blocks_loses_nothing() {
    let mut world = World::with_function(quick(), 2);
    create_stream(&mut world, 1);
    let well = std::rc::Rc::new(std::cell::Cell::new(false));
    let is_well = well.clone();
    world.handler = Box::new(move |_| if is_well.get() { ok() } else { Act::Fail });
    world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON", "BatchSize": 2}));
    for number in 0..9 {
        put_record(&mut world, "k", &format!("{number}"));
    }
    // Five minutes are an iterator's life.
    world.wait(Duration::from_secs(900));
    well.set(true);
    world.wait(Duration::from_secs(120));
    let seen: BTreeSet<String> = texts(&world).into_iter().collect();
    assert_eq!(seen, (0..9).map(|number| number.to_string()).collect());
}

#[test]
fn a_queue_keeps_what_its_function_did_not_take() {
    for (name, attributes) in [("work", json!({})), ("work.fifo", json!({"FifoQueue": "true"}))] {
        let mut world = World::with_function(quick(), 8);
        let mut all = json!({"VisibilityTimeout": "10"});
        all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let created = now(&mut world, Service::Sqs, "CreateQueue", json!({"QueueName": name, "Attributes": all}));
        let url = created["QueueUrl"].as_str().unwrap().to_owned();
        let mut calls = 0;
        world.handler = Box::new(move |invoked| {
            calls += 1;
            if calls == 1 { report(&[&invoked.ids()[0]]) } else { ok() }
        });
        let settings = json!({"BatchSize": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"]});
        world.map(&QUEUE_ARN.replace("work", name), settings);
        world.wait(3 * SECOND);
        for number in 0..23 {
            let mut request = json!({
                "QueueUrl": url, "MessageBody": format!("{number:02}"),
                "MessageAttributes": {"event_type": {"DataType": "String", "StringValue": "E"}},
            });
            if name.ends_with(".fifo") {
                request["MessageGroupId"] = json!(format!("g{}", number % 3));
                request["MessageDeduplicationId"] = json!(number.to_string());
            }
            now(&mut world, Service::Sqs, "SendMessage", request);
        }
        world.wait(60 * SECOND);
        let bodies: Vec<String> = world
            .invoked
            .iter()
            .flat_map(|invoked| invoked.records())
            .map(|record| record["body"].as_str().unwrap().to_owned())
            .collect();
        let seen: BTreeSet<&String> = bodies.iter().collect();
        assert_eq!((seen.len(), bodies.len()), (23, 24), "{name}: one came twice");
        let record = &world.invoked[0].records()[0];
        assert_eq!(record["messageAttributes"]["event_type"]["stringValue"], "E");
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
        assert!(record["md5OfBody"].as_str().is_some_and(|digest| digest.len() == 32), "{record}");
        let request = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        let left = now(&mut world, Service::Sqs, "GetQueueAttributes", request)["Attributes"].clone();
        assert_eq!(left["ApproximateNumberOfMessages"], "0", "{name}");
        assert_eq!(left["ApproximateNumberOfMessagesNotVisible"], "0", "{name}");
        world.assert_journal_is_whole();
    }
}

#[test]
fn a_poison_message_ends_in_its_dead_letter_queue() {
    let mut world = World::with_function(quick(), 4);
    now(&mut world, Service::Sqs, "CreateQueue", json!({"QueueName": "dead"}));
    let redrive = json!({"deadLetterTargetArn": QUEUE_ARN.replace("work", "dead"), "maxReceiveCount": 3}).to_string();
    let attributes = json!({"VisibilityTimeout": "5", "RedrivePolicy": redrive});
    let created = now(&mut world, Service::Sqs, "CreateQueue", json!({"QueueName": "work", "Attributes": attributes}));
    now(&mut world, Service::Sqs, "SendMessage", json!({"QueueUrl": created["QueueUrl"], "MessageBody": "poison"}));
    world.handler = Box::new(|_| Act::Fail);
    world.map(QUEUE_ARN, json!({}));
    world.wait(60 * SECOND);
    assert_eq!(world.invoked.len(), 3);
    let url = created["QueueUrl"].as_str().unwrap().replace("work", "dead");
    let request = json!({"QueueUrl": url, "AttributeNames": ["All"]});
    let left = now(&mut world, Service::Sqs, "GetQueueAttributes", request)["Attributes"].clone();
    assert_eq!(left["ApproximateNumberOfMessages"], "1");
}

#[test]
fn discarded_batches_are_told_to_the_real_queue() {
    let mut world = World::with_function(quick(), 2);
    create_stream(&mut world, 1);
    let created = now(&mut world, Service::Sqs, "CreateQueue", json!({"QueueName": "failed"}));
    world.handler = Box::new(|_| Act::Fail);
    let destination = json!({"OnFailure": {"Destination": QUEUE_ARN.replace("work", "failed")}});
    let settings = json!({
        "StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 1, "DestinationConfig": destination,
    });
    world.map(STREAM_ARN, settings);
    put_record(&mut world, "k", "poison");
    world.wait(30 * SECOND);
    let request = json!({"QueueUrl": created["QueueUrl"]});
    let received = now(&mut world, Service::Sqs, "ReceiveMessage", request);
    let notice: Value = serde_json::from_str(received["Messages"][0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(notice["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(notice["KinesisBatchInfo"]["startSequenceNumber"], world.invoked[0].ids()[0]);
}

#[test]
fn a_topic_reaches_a_function_about_as_fast_as_published() {
    let mut world = World::with_function(CloudConfig { seed: 5, ..CloudConfig::default() }, 4);
    let topic = now(&mut world, Service::Sns, "CreateTopic", json!({"Name": "news"}))["TopicArn"].clone();
    let subscription = json!({
        "TopicArn": topic, "Protocol": "lambda", "Endpoint": "arn:aws:lambda:us-east-1:000000000000:function:f",
    });
    now(&mut world, Service::Sns, "Subscribe", subscription);
    let mut samples = Vec::new();
    for number in 0..300 {
        let published = world.now;
        now(&mut world, Service::Sns, "Publish", json!({"TopicArn": topic, "Message": number.to_string()}));
        world.wait_for(30 * SECOND, |world| world.invoked.len() > number);
        samples.push(world.invoked[number].at.since(published).as_secs_f64() * 1_000.0);
        world.wait(SECOND);
    }
    let record = &world.invoked[0].records()[0];
    assert_eq!((&record["EventSource"], &record["Sns"]["Message"]), (&json!("aws:sns"), &json!("0")));
    samples.sort_by(f64::total_cmp);
    let median = samples[samples.len() / 2];
    assert!((58.0..92.0).contains(&median), "{median} ms, published 73");
}
