//! What faults do to invocations, to environments and to the calls of mappings.

use std::time::Duration;

use nexus_cloud::{AnswerFate, CallPlan, MessageStepKind, Quirk, RefuseBefore, Service};
use serde_json::{Value, json};

use crate::{
    neighbours::{QUEUE_ARN, STREAM_ARN, install_kinesis, install_queue},
    world::{Act, SECOND, START, World, error_of, ok, quick},
};

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

fn quirk(quirk: Quirk) -> CallPlan {
    CallPlan { quirks: vec![quirk], ..CallPlan::default() }
}

fn refuse(refusal: RefuseBefore) -> CallPlan {
    CallPlan { refuse: Some(refusal), ..CallPlan::default() }
}

fn fate(answer: AnswerFate) -> CallPlan {
    CallPlan { answer, ..CallPlan::default() }
}

#[test]
fn refusals_are_in_the_words_of_the_service() {
    for (refusal, status, code, reason) in [
        (
            RefuseBefore::ThrottleKeyRange,
            429,
            "TooManyRequestsException",
            "ReservedFunctionConcurrentInvocationLimitExceeded",
        ),
        (RefuseBefore::ThrottleAccount, 429, "TooManyRequestsException", "ConcurrentInvocationLimitExceeded"),
        (RefuseBefore::RequestLimitExceeded, 429, "TooManyRequestsException", "CallerRateLimitExceeded"),
        (RefuseBefore::InternalServerError, 500, "ServiceException", ""),
    ] {
        let mut world = World::with_function(quick(), 1);
        world.plan(Service::Lambda, "Invoke", 0, refuse(refusal));
        let call = world.send("POST", INVOKE, &[], &json!({}));
        let response = world.answer(call);
        let (found_status, found, _) = error_of(&response);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((found_status, found.as_str()), (status, code));
        assert_eq!(body["Reason"].as_str().unwrap_or_default(), reason);
        assert!(world.invoked.is_empty());
    }
    let mut world = World::with_function(quick(), 0);
    world.plan(Service::Lambda, "NextInvocation", 0, refuse(RefuseBefore::ThrottleAccount));
    let call = world.host("f");
    assert_eq!(error_of(&world.answer(call)).0, 500);
}

#[test]
fn an_environment_that_never_hears_of_its_invocation_lets_it_time_out() {
    for plan in [quirk(Quirk::UnreachableTarget), fate(AnswerFate::Hang), fate(AnswerFate::Reset)] {
        let mut world = World::with_function(quick(), 0);
        world.plan(Service::Lambda, "NextInvocation", 0, plan);
        world.host("f");
        let call = world.send("POST", INVOKE, &[], &json!({}));
        let response = world.answer(call);
        assert!(String::from_utf8_lossy(&response.body).contains("Task timed out after 3.00 seconds"));
        assert!(world.invoked.is_empty());
    }
}

#[test]
fn an_unreachable_function_was_not_invoked() {
    let mut world = World::with_function(quick(), 1);
    world.plan(Service::Lambda, "Invoke", 0, quirk(Quirk::UnreachableTarget));
    let call = world.send("POST", INVOKE, &[], &json!({}));
    assert_eq!(error_of(&world.answer(call)).0, 500);
    assert!(world.invoked.is_empty());
    world.plan(Service::Lambda, "Invoke", 0, quirk(Quirk::UnreachableTarget));
    let call = world.send("POST", INVOKE, &[("x-amz-invocation-type", "Event")], &json!({}));
    assert_eq!(world.answer(call).status, 202);
    world.wait(10 * SECOND);
    assert_eq!(world.invoked.len(), 1, "tried again");
}

#[test]
fn duplicates_are_whole_invocations_of_their_own() {
    for (kind, wanted) in [("RequestResponse", 200), ("Event", 202)] {
        let mut world = World::with_function(quick(), 2);
        world.plan(Service::Lambda, "Invoke", 0, quirk(Quirk::Duplicate));
        let call = world.send("POST", INVOKE, &[("x-amz-invocation-type", kind)], &json!({"n": 1}));
        assert_eq!(world.answer(call).status, wanted);
        world.wait(5 * SECOND);
        assert_eq!(world.invoked.len(), 2, "{kind}");
        assert_ne!(world.invoked[0].request_id, world.invoked[1].request_id);
        assert_eq!(world.invoked[0].event, world.invoked[1].event);
        world.assert_journal_is_whole();
    }
    let mut world = World::with_function(quick(), 0);
    world.plan(Service::Lambda, "NextInvocation", 1, quirk(Quirk::Duplicate));
    world.host("f");
    world.host("f");
    let call = world.send("POST", INVOKE, &[], &json!({}));
    assert_eq!(world.answer(call).status, 200);
    world.wait(SECOND);
    assert_eq!(world.invoked.len(), 2, "the poll that was doubled handed the event over twice");
}

#[test]
fn an_invocation_may_be_delayed() {
    for kind in ["RequestResponse", "Event"] {
        let mut world = World::with_function(quick(), 1);
        world.plan(Service::Lambda, "Invoke", 0, quirk(Quirk::DelayDelivery { by_ms: 700 }));
        world.send("POST", INVOKE, &[("x-amz-invocation-type", kind)], &json!({}));
        world.wait(2 * SECOND);
        assert_eq!(world.invoked[0].at.since(START), Duration::from_millis(710), "{kind}");
    }
}

#[test]
fn a_batch_of_a_standard_queue_may_come_in_reverse() {
    for (arn, group, wanted) in
        [(QUEUE_ARN, None, ["m1", "m0"]), ("arn:aws:sqs:us-east-1:000000000000:work.fifo", Some("g"), ["m0", "m1"])]
    {
        let mut world = World::with_function(quick(), 1);
        let queue = install_queue(&mut world, 30);
        queue.lock().unwrap().put("a", group);
        queue.lock().unwrap().put("b", group);
        world.plan(Service::Lambda, "Invoke", 0, quirk(Quirk::Reverse));
        world.map(arn, json!({}));
        world.wait(5 * SECOND);
        assert_eq!(world.invoked[0].ids(), wanted, "{arn}");
    }
}

/// A mapping's invocation whose outcome is lost: the batch comes again, and no retry is spent.
#[test]
fn a_lost_outcome_is_neither_success_nor_failure() {
    for plan in [
        fate(AnswerFate::Hang),
        fate(AnswerFate::Reset),
        fate(AnswerFate::InternalServerError),
        refuse(RefuseBefore::InternalServerError),
        refuse(RefuseBefore::ThrottleAccount),
        refuse(RefuseBefore::Hang),
    ] {
        let mut world = World::with_function(quick(), 1);
        let kinesis = install_kinesis(&mut world, 1);
        kinesis.lock().unwrap().put(0, "key", START);
        world.plan(Service::Lambda, "Invoke", 0, plan.clone());
        world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 0}));
        world.wait(30 * SECOND);
        assert_eq!(world.plans_left(), 0);
        let was_invoked_before = plan.refuse.is_none();
        assert_eq!(world.invoked.len(), if was_invoked_before { 2 } else { 1 }, "{plan:?}");
        assert!(world.steps(MessageStepKind::Discarded).is_empty(), "{plan:?}");
        let shards = world.cloud.inspect(Service::Lambda)["mappings"]["f/core"]["shards"].clone();
        assert_eq!(shards["shardId-000000000000"]["checkpoint"], "0", "{plan:?}");
    }
}

#[test]
fn a_queues_batch_with_a_lost_outcome_reappears() {
    let mut world = World::with_function(quick(), 1);
    let queue = install_queue(&mut world, 8);
    queue.lock().unwrap().put("a", None);
    world.plan(Service::Lambda, "Invoke", 0, fate(AnswerFate::Reset));
    world.map(QUEUE_ARN, json!({}));
    world.wait(30 * SECOND);
    assert_eq!(world.invoked.len(), 2);
    assert_eq!(queue.lock().unwrap().left(), 0);
}

/// Every call of a mapping may be refused, lost or hang: in the end everything was handed over and is done with.
#[test]
fn no_call_of_a_mapping_is_indispensable() {
    let plans = [
        refuse(RefuseBefore::InternalServerError),
        refuse(RefuseBefore::Reset),
        refuse(RefuseBefore::Hang),
        fate(AnswerFate::Reset),
        fate(AnswerFate::InternalServerError),
    ];
    for operation in ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"] {
        for plan in &plans {
            let mut world = World::with_function(quick(), 1);
            let kinesis = install_kinesis(&mut world, 2);
            for number in 0..6 {
                kinesis.lock().unwrap().put(number % 2, "key", START);
            }
            world.plan(Service::Kinesis, operation, 0, plan.clone());
            world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON"}));
            world.wait(30 * SECOND);
            assert_eq!(world.plans_left(), 0, "{operation} {plan:?}");
            let seen: usize = world.invoked.iter().map(|invoked| invoked.records().len()).sum();
            assert_eq!(seen, 6, "{operation} {plan:?}");
        }
    }
    for operation in ["GetQueueAttributes", "ReceiveMessage", "DeleteMessageBatch"] {
        for plan in &plans {
            let mut world = World::with_function(quick(), 1);
            let queue = install_queue(&mut world, 8);
            queue.lock().unwrap().put("a", None);
            world.plan(Service::Sqs, operation, 0, plan.clone());
            world.map(QUEUE_ARN, json!({}));
            world.wait(60 * SECOND);
            assert_eq!(world.plans_left(), 0, "{operation} {plan:?}");
            assert_eq!(queue.lock().unwrap().left(), 0, "{operation} {plan:?}");
        }
    }
}

#[test]
fn a_function_that_is_deleted_stops_its_mapping_and_spends_nothing() {
    let mut world = World::with_function(quick(), 1);
    let kinesis = install_kinesis(&mut world, 1);
    world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 0}));
    world.wait(3 * SECOND);
    assert_eq!(world.call("DELETE", "/2015-03-31/functions/f", Value::Null).0, 204);
    kinesis.lock().unwrap().put(0, "key", START);
    world.wait(30 * SECOND);
    assert!(world.steps(MessageStepKind::Discarded).is_empty());
    world.create_function("f", 3);
    world.handler = Box::new(|_| ok());
    world.host("f");
    world.wait(120 * SECOND);
    assert_eq!(world.invoked.len(), 1);
}

#[test]
fn an_environment_that_dies_at_work_is_found_out_by_the_time_out() {
    let mut world = World::with_function(quick(), 2);
    let kinesis = install_kinesis(&mut world, 1);
    kinesis.lock().unwrap().put(0, "key", START);
    let mut calls = 0;
    world.handler = Box::new(move |_| {
        calls += 1;
        if calls == 1 { Act::Hang } else { ok() }
    });
    world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON"}));
    world.wait(20 * SECOND);
    assert_eq!(world.invoked.len(), 2);
    assert!(world.invoked[1].at.since(world.invoked[0].at) >= 3 * SECOND);
}

#[test]
fn a_function_that_dies_is_an_error_whatever_it_did() {
    for operation in ["NextInvocation", "InvocationResponse"] {
        let mut world = World::with_function(quick(), 0);
        world.plan(Service::Lambda, operation, 0, quirk(Quirk::FunctionDies));
        world.host("f");
        let call = world.send("POST", INVOKE, &[], &json!({}));
        let response = world.answer(call);
        assert_eq!(response.status, 200, "{operation}");
        let body = String::from_utf8_lossy(&response.body);
        assert!(body.contains("Runtime.ExitError"), "{operation}: {body}");
        let did_its_work = operation == "InvocationResponse";
        assert_eq!(world.invoked.len(), usize::from(did_its_work), "{operation}");
        // Another process takes its place.
        let call = world.send("POST", INVOKE, &[], &json!({}));
        assert_eq!(world.answer(call).status, 200);
        assert_eq!(world.invoked.len(), 1 + usize::from(did_its_work), "{operation}");
        world.assert_journal_is_whole();
    }
}

#[test]
fn a_batch_comes_again_after_its_function_died() {
    for operation in ["NextInvocation", "InvocationResponse"] {
        let mut world = World::with_function(quick(), 0);
        world.plan(Service::Lambda, operation, 0, quirk(Quirk::FunctionDies));
        world.host("f");
        let kinesis = install_kinesis(&mut world, 1);
        kinesis.lock().unwrap().put(0, "key", START);
        world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON"}));
        world.wait(10 * SECOND);
        assert_eq!(world.invoked.len(), if operation == "NextInvocation" { 1 } else { 2 }, "{operation}");
    }
}
