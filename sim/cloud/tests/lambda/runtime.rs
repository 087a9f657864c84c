//! Invocations and the runtime API.

use std::time::Duration;

use nexus_cloud::{MessageStepKind, Service};
use serde_json::{Value, json};

use crate::world::{Act, SECOND, World, error_of, quick};

const INVOKE: &str = "/2015-03-31/functions/f/invocations";
const EVENT: [(&str, &str); 1] = [("x-amz-invocation-type", "Event")];

fn function_error(response: &nexus_cloud::WireResponse) -> Option<&str> {
    response.headers.iter().find(|(name, _)| name == "x-amz-function-error").map(|(_, value)| value.as_str())
}

fn body(response: &nexus_cloud::WireResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap_or(Value::Null)
}

#[test]
fn an_invocation_goes_to_an_environment_and_its_answer_comes_back() {
    let mut world = World::with_function(quick(), 1);
    world.handler = Box::new(|invoked| Act::Answer(json!({"got": invoked.event}).to_string()));
    let call = world.send("POST", INVOKE, &[("x-amzn-trace-id", "Root=1-a-b")], &json!({"n": 1}));
    let response = world.answer(call);
    assert_eq!((response.status, body(&response)), (200, json!({"got": {"n": 1}})));
    assert!(response.headers.contains(&("x-amz-executed-version".into(), "$LATEST".into())));
    let invoked = &world.invoked[0];
    assert_eq!(invoked.headers["lambda-runtime-trace-id"], "Root=1-a-b");
    assert_eq!(
        invoked.headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f"
    );
    // Handed over 6 ms after the call came, the time of its effect; 3 s remain then.
    assert_eq!(
        invoked.headers["lambda-runtime-deadline-ms"],
        (crate::world::START.as_millis() + 6 + 3_000).to_string()
    );
    world.assert_journal_is_whole();
    assert_eq!(world.steps(MessageStepKind::Returned)[0].note, "ok");
}

#[test]
fn the_ways_an_invocation_ends() {
    for (act, error_type, note) in [
        (Act::Fail, "Broken", "error"),
        (Act::Hang, "Sandbox.Timedout", "timed-out"),
        (Act::Late(4 * SECOND, "null".into()), "Sandbox.Timedout", "timed-out"),
        (Act::Answer("x".repeat(6 * 1024 * 1024 + 1)), "Function.ResponseSizeTooLarge", "error"),
    ] {
        let mut world = World::with_function(quick(), 1);
        world.handler = Box::new(move |_| act.clone());
        let call = world.send("POST", INVOKE, &[], &json!({}));
        let response = world.answer(call);
        assert_eq!((response.status, function_error(&response)), (200, Some("Unhandled")), "{error_type}");
        assert_eq!(body(&response)["errorType"], error_type);
        assert_eq!(world.steps(MessageStepKind::Returned)[0].note, note);
        world.wait(5 * SECOND);
        world.assert_journal_is_whole();
    }
}

#[test]
fn a_late_response_is_refused_and_its_environment_works_again() {
    let mut world = World::with_function(quick(), 1);
    world.handler = Box::new(|_| Act::Late(4 * SECOND, "null".into()));
    let call = world.send("POST", INVOKE, &[], &json!({}));
    let response = world.answer(call);
    let message = body(&response)["errorMessage"].as_str().unwrap().to_owned();
    assert!(message.ends_with("Task timed out after 3.00 seconds"), "{message}");
    assert_eq!(world.cloud.inspect(Service::Lambda)["functions"]["f"]["idle"], 0, "dead until it calls again");
    let id = world.invoked[0].request_id.clone();
    let path = format!("/functions/f/2018-06-01/runtime/invocation/{id}/response");
    world.wait(3 * SECOND);
    let refused = world.error("POST", &path, json!({}));
    assert_eq!(refused, (400, "InvalidRequestID".into(), "Invalid request ID".into()));
    assert_eq!(world.cloud.inspect(Service::Lambda)["functions"]["f"]["idle"], 1);
    let other = format!("/functions/other/2018-06-01/runtime/invocation/{id}/response");
    assert_eq!(world.error("POST", &other, json!({})).0, 400, "another function's invocation");
}

#[test]
fn concurrency_is_what_hosts_and_reservations_allow() {
    let invoke = |world: &mut World| world.send("POST", INVOKE, &[], &json!({}));
    let throttled = |world: &mut World, call: u64| {
        let response = world.answer(call);
        (error_of(&response).0, body(&response)["Reason"].as_str().unwrap_or_default().to_owned())
    };
    let mut nobody = World::with_function(quick(), 0);
    let call = invoke(&mut nobody);
    assert_eq!(throttled(&mut nobody, call), (429, "ConcurrentInvocationLimitExceeded".into()));

    let mut world = World::with_function(quick(), 2);
    world.handler = Box::new(|_| Act::Late(SECOND, "null".into()));
    let calls: Vec<u64> = (0..3).map(|_| invoke(&mut world)).collect();
    assert_eq!(throttled(&mut world, calls[2]), (429, "ConcurrentInvocationLimitExceeded".into()));
    assert_eq!(world.answer(calls[0]).status, 200);
    assert_eq!(world.answer(calls[1]).status, 200);

    world.call("PUT", "/2017-10-31/functions/f/concurrency", json!({"ReservedConcurrentExecutions": 1}));
    let calls: Vec<u64> = (0..2).map(|_| invoke(&mut world)).collect();
    assert_eq!(throttled(&mut world, calls[1]), (429, "ReservedFunctionConcurrentInvocationLimitExceeded".into()));
    assert_eq!(world.answer(calls[0]).status, 200);
    world.call("PUT", "/2017-10-31/functions/f/concurrency", json!({"ReservedConcurrentExecutions": 0}));
    let call = invoke(&mut world);
    assert_eq!(throttled(&mut world, call).0, 429);
}

#[test]
fn an_invocation_waits_a_moment_for_an_environment() {
    let mut world = World::with_function(quick(), 0);
    let call = world.send("POST", INVOKE, &[], &json!({}));
    world.wait(Duration::from_millis(100));
    world.host("f");
    assert_eq!(world.answer(call).status, 200);
}

#[test]
fn requests_that_cannot_be_invocations() {
    let mut world = World::with_function(quick(), 1);
    let large = Value::String("x".repeat(6 * 1024 * 1024));
    let middle = Value::String("x".repeat(1024 * 1024));
    for (path, headers, payload, status, code) in [
        ("/2015-03-31/functions/nobody/invocations", &[][..], json!({}), 404, "ResourceNotFoundException"),
        (INVOKE, &[("x-amz-invocation-type", "Later")][..], json!({}), 400, "ValidationException"),
        (INVOKE, &[][..], large, 413, "RequestTooLargeException"),
        (INVOKE, &EVENT[..], middle, 413, "RequestTooLargeException"),
        (INVOKE, &[("x-amz-client-context", "%")][..], json!({}), 400, "InvalidRequestContentException"),
    ] {
        let call = world.send("POST", path, headers, &payload);
        let (found_status, found, _) = error_of(&world.answer(call));
        assert_eq!((found_status, found.as_str()), (status, code), "{path}");
    }
    let call = world.send("POST", INVOKE, &[("x-amz-invocation-type", "DryRun")], &json!({}));
    assert_eq!(world.answer(call).status, 204);
    assert!(world.invoked.is_empty());
    let (status, code, _) = world.error("GET", "/functions/nobody/2018-06-01/runtime/invocation/next", Value::Null);
    assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
}

#[test]
fn events_are_accepted_at_once_and_tried_three_times() {
    let mut world = World::with_function(quick(), 1);
    world.handler = Box::new(|_| Act::Fail);
    let call = world.send("POST", INVOKE, &EVENT, &json!({"n": 1}));
    let response = world.answer(call);
    assert_eq!((response.status, response.body.len()), (202, 0));
    world.wait(300 * SECOND);
    let at: Vec<u64> = world.invoked.iter().map(|invoked| invoked.at.since(world.invoked[0].at).as_secs()).collect();
    assert_eq!(at, [0, 60, 180]);
    assert!(world.invoked.iter().all(|invoked| invoked.request_id == world.invoked[0].request_id));
    let accepted = world.steps(MessageStepKind::Accepted);
    assert_eq!((accepted.len(), &*accepted[0].body), (1, r#"{"n":1}"#));
    assert_eq!(world.steps(MessageStepKind::Discarded)[0].note, "none RetriesExhausted");
    assert_eq!(world.cloud.inspect(Service::Lambda)["functions"]["f"]["events"], 0);
}

#[test]
fn events_outlast_throttling() {
    let mut world = World::with_function(quick(), 0);
    let call = world.send("POST", INVOKE, &EVENT, &json!({}));
    assert_eq!(world.answer(call).status, 202);
    world.wait(30 * SECOND);
    world.host("f");
    world.wait(60 * SECOND);
    assert_eq!(world.invoked.len(), 1);
    assert!(world.steps(MessageStepKind::Discarded).is_empty());
}

#[test]
fn a_named_environment_that_returns_gives_up_what_it_had() {
    let name = [("x-nexus-environment", "one")];
    let mut world = World::with_function(quick(), 0);
    let replaced = world.host_as("f", &name);
    world.wait(SECOND);
    world.host_as("f", &name);
    world.wait(SECOND);
    assert!(world.has_answer(replaced));
    assert_eq!(world.cloud.inspect(Service::Lambda)["functions"]["f"]["idle"], 1);
    world.handler = Box::new(|_| Act::Hang);
    let call = world.send("POST", INVOKE, &[], &json!({}));
    world.wait(SECOND);
    assert!(!world.has_answer(call));
    world.host_as("f", &name);
    let response = world.answer(call);
    assert_eq!(body(&response)["errorType"], "Runtime.ExitError");
    world.assert_journal_is_whole();
}

#[test]
fn a_failed_initialisation_fails_what_waits() {
    let mut world = World::with_function(quick(), 0);
    let call = world.send("POST", INVOKE, &[], &json!({}));
    world.wait(Duration::from_millis(50));
    let (status, answer) =
        world.call("POST", "/functions/f/2018-06-01/runtime/init/error", json!({"errorType": "Runtime.NoHandler"}));
    assert_eq!((status, answer), (202, json!({"status": "OK"})));
    let response = world.answer(call);
    assert_eq!(body(&response)["errorType"], "Runtime.NoHandler");
    assert_eq!(world.cloud.inspect(Service::Lambda)["functions"]["f"]["init_errors"], 1);
}
