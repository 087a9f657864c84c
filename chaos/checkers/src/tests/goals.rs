//! Goals are reached by the runs that reach them, and not by others.
#![forbid(unsafe_code)]

use serde_json::json;

use super::{
    Change,
    scene::{STEP_NS, Scene, confirm, place},
};
use crate::{CheckInput, goals};

fn reached(input: &CheckInput) -> Vec<&'static str> {
    goals(input).into_iter().filter_map(|(name, is_reached)| is_reached.then_some(name)).collect()
}

#[test]
fn an_empty_run_reaches_nothing_but_lists_every_goal() {
    let none = CheckInput::default();
    assert!(reached(&none).is_empty());
    let names = |input: &CheckInput| goals(input).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&none), names(&Scene::sound().input));
}

#[test]
fn the_sound_run_reaches_what_it_contains() {
    let expected = [
        "answer-replayed",
        "refusal-replayed",
        "unknown-then-answered",
        "key-reuse-refused",
        "policy-denied",
        "domain-refusal",
        "told-not-applied",
        "poison-parked",
        "aggregate-released",
        "message-redelivered",
        "dead-lettered",
        "redriven",
        "dead-letter-rescued",
    ];
    assert_eq!(reached(&Scene::sound().input), expected);
}

#[test]
fn each_rare_state_reaches_its_goal() {
    let cases: &[(&str, Change)] = &[
        ("own-write-recognised-after-unknown", |scene| scene.transaction("confirm").delivered = false),
        ("own-write-recognised-after-unknown", |scene| scene.transaction("confirm").status = 500),
        ("conflict-decided-again", |scene| {
            let mut lost = scene.transaction("confirm").clone();
            lost.keys[0] = "nexus-events/order-o-1/1".to_owned();
            (lost.status, lost.applied) = (400, false);
            lost.cancellation_codes = vec!["ConditionalCheckFailed".to_owned(), "None".to_owned()];
            scene.input.truth.calls.insert(0, lost);
        }),
        ("aggregate-contended", |scene| {
            let mut lost = scene.transaction("confirm").clone();
            lost.keys[0] = "nexus-events/order-o-1/1".to_owned();
            scene.input.truth.calls.insert(0, lost);
        }),
        ("sent-again-past-the-token-window", |scene| {
            let mut again = scene.transaction("confirm").clone();
            again.at_ns += scene.input.settings.token_window_ns + STEP_NS;
            scene.input.truth.calls.push(again);
        }),
        ("throttled-then-succeeded", |scene| {
            let mut throttled = scene.transaction("confirm").clone();
            (throttled.status, throttled.applied) = (400, false);
            throttled.error = Some("ThrottlingException".to_owned());
            scene.input.truth.calls.insert(0, throttled);
        }),
        ("transaction-conflict", |scene| {
            scene.transaction("confirm").cancellation_codes = vec!["TransactionConflict".to_owned()];
        }),
        ("never-answered-but-took-effect", |scene| scene.lose_answer("late", "payments", confirm("o-1"))),
        ("never-answered-and-no-effect", |scene| {
            scene.lose_answer("late", "customer", place("o-7"));
            scene.forget("nexus-events/order-o-7/1");
        }),
        ("partial-put-failure-retried", |scene| {
            let event = scene.event("order-o-1", 1);
            scene.route(&event, 1);
            scene.last_call("PutRecords").keys.push("nexus-core/payment-p-1".to_owned());
            let left_out = scene.event("payment-p-1", 1);
            scene.route(&left_out, 1);
        }),
        ("duplicate-on-stream", |scene| {
            let event = scene.event("order-o-1", 1);
            scene.route(&event, 1);
        }),
        ("cursor-expired", |scene| {
            scene.bus_call("router-1", "streams", "GetRecords", vec!["nexus-events".to_owned()]);
            scene.last_call("GetRecords").error = Some("ExpiredIteratorException".to_owned());
        }),
        ("lease-taken-over", |scene| {
            scene.lease("router", "shard-1", "router-2", 2, 3, Some("9".repeat(21)));
        }),
        ("zombie-fenced", |scene| {
            scene.lease("router", "shard-1", "router-2", 2, 3, Some("9".repeat(21)));
            let key = "nexus-leases/router/shard-1".to_owned();
            scene.bus_call("router-1", "dynamodb", "PutItem", vec![key]);
            let refused = scene.last_call("PutItem");
            (refused.status, refused.applied) = (400, false);
            refused.error = Some("ConditionalCheckFailedException".to_owned());
        }),
        ("shard-split-followed", |scene| {
            scene.lease("router", "shard-2", "router-2", 1, 1, Some("9".repeat(21)));
            scene.last_written()["parents"] = json!({"L": [{"S": "shard-1"}]});
        }),
        ("quarantined", |scene| scene.quarantine("letter", "body")),
        ("gap-repaired", |scene| {
            scene.input.truth.stream.retain(|record| record.key != "nexus-events/order-o-1/2");
        }),
        ("schema-violation-refused", |scene| {
            scene.reject("shape", "customer", place("o-7"), 422, "schema-violation");
        }),
    ];
    for (goal, change) in cases {
        let mut scene = Scene::sound();
        assert!(!reached(&scene.input).contains(goal), "{goal} is reached without it");
        change(&mut scene);
        assert!(reached(&scene.input).contains(goal), "{goal} is not reached");
    }
}
