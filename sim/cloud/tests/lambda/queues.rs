//! Mappings from queues.

use std::time::Duration;

use nexus_cloud::{MessageStepKind, Service};
use serde_json::{Value, json};

use crate::{
    neighbours::{QUEUE_ARN, install_queue},
    world::{Act, SECOND, World, ok, quick, report},
};

fn ids(world: &World) -> Vec<Vec<String>> {
    world.invoked.iter().map(|invoked| invoked.ids()).collect()
}

#[test]
fn messages_arrive_in_the_form_of_the_service_and_are_deleted() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 30);
    world.map(QUEUE_ARN, json!({}));
    world.wait(3 * SECOND);
    queue.lock().unwrap().put("hello", None);
    world.wait(2 * SECOND);
    assert_eq!(
        world.invoked[0].records()[0],
        json!({
            "messageId": "m0", "receiptHandle": "m0/1", "body": "hello",
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {"event_type": {
                "stringValue": "E", "stringListValues": [], "binaryListValues": [], "dataType": "String",
            }},
            "md5OfBody": "digest", "eventSource": "aws:sqs", "eventSourceARN": QUEUE_ARN, "awsRegion": "us-east-1",
        })
    );
    assert_eq!(queue.lock().unwrap().left(), 0);
    assert_eq!(world.steps(MessageStepKind::Invoked)[0].note, "m0");
    assert_eq!(world.cloud.inspect(Service::Lambda)["mappings"]["f/work"]["queue"]["pollers"], 5);
    world.assert_journal_is_whole();
}

/// Each row: the answer to the first invocation of three messages, those that come a second time.
#[test]
fn what_comes_again_is_what_the_function_reported() {
    for (name, answer, reports, again) in [
        ("success", Act::Answer("null".into()), true, vec![]),
        ("no list", Act::Answer(r#"{"batchItemFailures":null}"#.into()), true, vec![]),
        ("one of them", report(&["m1"]), true, vec!["m1"]),
        ("two, unsorted", report(&["m2", "m0"]), true, vec!["m0", "m2"]),
        ("unknown id", report(&["m1", "m9"]), true, vec!["m0", "m1", "m2"]),
        ("empty id", report(&[""]), true, vec!["m0", "m1", "m2"]),
        (
            "null id",
            Act::Answer(r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#.into()),
            true,
            vec!["m0", "m1", "m2"],
        ),
        ("wrong member", Act::Answer(r#"{"batchItemFailures":[{"id":"m1"}]}"#.into()), true, vec!["m0", "m1", "m2"]),
        ("no JSON", Act::Answer("fine".into()), true, vec!["m0", "m1", "m2"]),
        ("an error", Act::Fail, true, vec!["m0", "m1", "m2"]),
        ("a time-out", Act::Late(4 * SECOND, "null".into()), true, vec!["m0", "m1", "m2"]),
        ("a report that nobody asked for", report(&["m1"]), false, vec![]),
    ] {
        let mut world = World::with_function(quick(), 2);
        let queue = install_queue(&mut world, 10);
        for body in ["a", "b", "c"] {
            queue.lock().unwrap().put(body, None);
        }
        let mut calls = 0;
        world.handler = Box::new(move |_| {
            calls += 1;
            if calls == 1 { answer.clone() } else { ok() }
        });
        let types: &[&str] = if reports { &["ReportBatchItemFailures"] } else { &[] };
        world.map(QUEUE_ARN, json!({"FunctionResponseTypes": types}));
        world.wait(30 * SECOND);
        let seen = ids(&world);
        assert_eq!(seen[0], ["m0", "m1", "m2"], "{name}");
        assert_eq!(seen[1..].concat(), again, "{name}");
        if let Some(second) = world.invoked.get(1) {
            let after = second.at.since(world.invoked[0].at);
            assert!(after >= Duration::from_secs(9), "{name}: after the visibility time-out, not {after:?}");
        }
        assert_eq!(queue.lock().unwrap().left(), 0, "{name}");
    }
}

#[test]
fn large_batches_gather_within_their_window() {
    let mut world = World::with_function(quick(), 4);
    let queue = install_queue(&mut world, 60);
    for number in 0..60 {
        queue.lock().unwrap().put(&number.to_string(), None);
    }
    world.map(QUEUE_ARN, json!({"BatchSize": 40, "MaximumBatchingWindowInSeconds": 5}));
    world.wait(40 * SECOND);
    let sizes: Vec<usize> = ids(&world).iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 60);
    assert!(sizes.iter().all(|size| *size <= 40) && sizes.iter().any(|size| *size > 10), "{sizes:?}");
    assert_eq!(queue.lock().unwrap().left(), 0);
}

#[test]
fn throttled_batches_are_kept_until_their_messages_reappear() {
    let mut world = World::with_function(quick(), 0);
    let queue = install_queue(&mut world, 10);
    queue.lock().unwrap().put("a", None);
    let uuid = world.map(QUEUE_ARN, json!({}));
    world.wait(5 * SECOND);
    let problem = world.mapping(&uuid)["LastProcessingResult"].clone();
    assert_eq!(problem, Value::Null, "queues tell no result");
    world.host("f");
    world.wait(30 * SECOND);
    assert_eq!((ids(&world).len(), queue.lock().unwrap().left()), (1, 0));
    assert!(queue.lock().unwrap().messages[0].receives <= 2);
}

#[test]
fn deletes_that_fail_are_tried_again() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 30);
    queue.lock().unwrap().fail_deletes = 1;
    queue.lock().unwrap().put("a", None);
    world.map(QUEUE_ARN, json!({}));
    world.wait(10 * SECOND);
    let queue = queue.lock().unwrap();
    assert_eq!((queue.left(), queue.calls["DeleteMessageBatch"]), (0, 2));
    assert_eq!(world.invoked.len(), 1);
}

#[test]
fn filtered_messages_are_deleted_unseen() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 30);
    for body in [r#"{"kind":"a"}"#, r#"{"kind":"b"}"#, "text"] {
        queue.lock().unwrap().put(body, None);
    }
    let pattern = json!({"body": {"kind": ["a"]}}).to_string();
    world.map(QUEUE_ARN, json!({"FilterCriteria": {"Filters": [{"Pattern": pattern}]}}));
    world.wait(10 * SECOND);
    assert_eq!(ids(&world), [["m0"]]);
    assert_eq!(queue.lock().unwrap().left(), 0);
}

#[test]
fn pollers_come_with_work_and_leave_again() {
    let mut world = World::with_function(quick(), 40);
    let queue = install_queue(&mut world, 60);
    for number in 0..400 {
        queue.lock().unwrap().put(&number.to_string(), None);
    }
    world.handler = Box::new(|_| Act::Late(SECOND, "null".into()));
    world.map(QUEUE_ARN, json!({}));
    let mut most = 0;
    for _ in 0..200 {
        world.wait(Duration::from_millis(100));
        let pollers = world.cloud.inspect(Service::Lambda)["mappings"]["f/work"]["queue"]["pollers"].as_u64().unwrap();
        most = most.max(pollers);
    }
    assert!((8..=40).contains(&most), "{most} pollers");
    assert_eq!(queue.lock().unwrap().left(), 0);
    world.wait(60 * SECOND);
    assert_eq!(world.cloud.inspect(Service::Lambda)["mappings"]["f/work"]["queue"]["pollers"], 5);
}

#[test]
fn maximum_concurrency_bounds_the_invocations() {
    let mut world = World::with_function(quick(), 20);
    let queue = install_queue(&mut world, 60);
    for number in 0..60 {
        queue.lock().unwrap().put(&number.to_string(), None);
    }
    world.handler = Box::new(|_| Act::Late(SECOND, "null".into()));
    world.map(QUEUE_ARN, json!({"ScalingConfig": {"MaximumConcurrency": 2}, "BatchSize": 5}));
    for _ in 0..150 {
        world.wait(Duration::from_millis(100));
        let busy = world.cloud.inspect(Service::Lambda)["functions"]["f"]["busy"].as_u64().unwrap();
        assert!(busy <= 2, "{busy} at once");
    }
    assert_eq!(queue.lock().unwrap().left(), 0);
}

#[test]
fn groups_of_a_fifo_queue_are_worked_on_one_batch_at_a_time() {
    let mut world = World::with_function(quick(), 10);
    let queue = install_queue(&mut world, 30);
    for number in 0..30 {
        queue.lock().unwrap().put(&number.to_string(), Some(&format!("g{}", number % 3)));
    }
    world.handler = Box::new(|_| Act::Late(Duration::from_millis(200), "null".into()));
    world.map("arn:aws:sqs:us-east-1:000000000000:work.fifo", json!({"BatchSize": 4}));
    world.wait(60 * SECOND);
    let seen: Vec<usize> = ids(&world).concat().iter().map(|id| id[1..].parse().unwrap()).collect();
    for group in 0..3 {
        let of_group: Vec<usize> = seen.iter().copied().filter(|number| number % 3 == group).collect();
        assert_eq!(of_group, (0..10).map(|index| group + index * 3).collect::<Vec<_>>());
    }
}

#[test]
fn a_disabled_mapping_leaves_the_queue_alone() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 5);
    let uuid = world.map(QUEUE_ARN, json!({}));
    world.wait(3 * SECOND);
    let path = format!("/2015-03-31/event-source-mappings/{uuid}");
    world.call("PUT", &path, json!({"Enabled": false}));
    // The long polls that are out end first.
    world.wait(30 * SECOND);
    queue.lock().unwrap().put("a", None);
    world.wait(60 * SECOND);
    assert_eq!((queue.lock().unwrap().messages[0].receives, world.invoked.len()), (0, 0));
    world.call("PUT", &path, json!({"Enabled": true}));
    world.wait(10 * SECOND);
    assert_eq!((queue.lock().unwrap().left(), world.invoked.len()), (0, 1));
}
