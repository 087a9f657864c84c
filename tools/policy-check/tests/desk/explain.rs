//! `policy explain`: decisions with their conditions, and inputs that cannot be judged.

use std::path::PathBuf;

use crate::support::{repository, run_in, stderr, stdout};
use nexus_governance::PolicyEnforcer;
use nexus_policy_check::{
    explain::{InputKind, explain},
    policies::{DESK, Folder, RUNTIME},
    testing::asked_by_tests,
};
use serde_json::{Value, json};

fn input_file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nexus-explain-{}-{name}.json", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn run(name: &str, text: &str) -> (Option<i32>, String, String) {
    let path = input_file(name, text);
    let output = run_in(&repository(), &["explain", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    // Lines are broken by the length of the path, which differs from run to run: the words count here.
    let cleaned = |text: String| {
        let text = text.replace(path.to_str().unwrap(), "INPUT.json");
        text.replace("\n  │ ", " ")
    };
    (output.status.code(), cleaned(stdout(&output)), cleaned(stderr(&output)))
}

fn question() -> Value {
    json!({
        "service": "command-service",
        "operation": "append-event",
        "store": "event-store",
        "role": "warehouse",
        "command": "PlaceOrder",
        "aggregate": "order-o-1",
        "event_types": ["OrderPlaced", "OrderLost"],
        "amount_cents": 9_000_000,
    })
}

#[test]
fn a_denial_is_explained_condition_by_condition() {
    let (code, told, _) = run("denied", &question().to_string());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_allowed_is_explained_too() {
    let mut asked = question();
    asked["role"] = "customer".into();
    asked["event_types"] = json!(["OrderPlaced"]);
    asked["amount_cents"] = 100.into();
    let (code, told, _) = run("allowed", &asked.to_string());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("allow\n") && told.contains("allow allow"), "{told}");
}

#[test]
fn facts_are_judged_by_the_policies_of_the_desk() {
    let queue = json!({"id": "Work", "type": "AWS::SQS::Queue", "properties": {}, "file": "t.yaml", "line": 3});
    let (code, told, _) = run("facts", &json!({"resources": [queue]}).to_string());
    assert_eq!(code, Some(1), "{told}");
    for expected in [
        "deny queue-without-dead-letters",
        "the queue Work has no queue for its dead letters",
        "deny store-not-encrypted",
    ] {
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
}

#[test]
fn inputs_that_cannot_be_judged_are_told_with_a_mark() {
    let cases = [
        ("syntax", "{\n  \"operation\": \"append-event\",\n  \"role\": customer\n}\n"),
        ("list", "[1, 2]\n"),
        ("stranger", "{\"resources\": [], \"resourses\": []}\n"),
        ("number", "{\"operation\": 7}\n"),
        ("empty", "{}\n"),
    ];
    let mut told = Vec::new();
    for (name, text) in cases {
        let (code, out, error) = run(name, text);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{name}: {error}");
        told.push(format!("{name}\n{error}"));
    }
    insta::assert_snapshot!(told.join("\n----\n"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = run_in(&repository(), &["explain", "no-such-input.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read no-such-input.json"), "{}", stderr(&output));
}

/// An explanation that came to another decision than the services do would explain nothing.
#[test]
fn the_explained_decision_is_the_enforcers() {
    let folder = Folder::read(&repository(), RUNTIME).unwrap();
    let policies = PolicyEnforcer::from_catalogue().unwrap().in_force();
    let asked = asked_by_tests(&folder).unwrap();
    assert!(asked.len() > 100, "{}", asked.len());
    let mut compared = 0;
    for one in asked.iter().filter(|one| one.settings == folder.data[&one.policy]).step_by(7) {
        let explained = explain(&folder, InputKind::Runtime, &one.input).unwrap();
        let decision = policies.decide(&one.input);
        assert_eq!(explained.decision == "allow", decision.is_allowed(), "{}", one.input);
        let mut rules: Vec<&str> =
            explained.held.iter().filter(|trace| trace.role == "deny").map(|trace| trace.rule.as_str()).collect();
        rules.sort_unstable();
        rules.dedup();
        let expected: Vec<&str> = decision.rules().into_iter().filter(|rule| *rule != "no-policy-allows").collect();
        assert_eq!(rules, expected, "{}", one.input);
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn every_policy_of_the_desk_is_asked_by_its_tests() {
    let folder = Folder::read(&repository(), DESK).unwrap();
    let asked = asked_by_tests(&folder).unwrap();
    for name in folder.names() {
        let own: Vec<_> = asked.iter().filter(|one| one.policy == name).collect();
        let denied = own.iter().filter(|one| {
            !explain(&folder, InputKind::Desk, &one.input).unwrap().held.iter().all(|trace| trace.policy != name)
        });
        let denied = denied.count();
        assert!(denied > 0 && denied < own.len(), "{name}: {denied} of {} are denied", own.len());
    }
}
