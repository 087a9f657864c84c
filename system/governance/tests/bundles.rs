//! What is said of bundles that cannot be enforced, and what a sound bundle does when its policies go wrong.
#![forbid(unsafe_code)]

use nexus_governance::{Decision, PolicyBundle, PolicyEnforcer, PolicyInput, PolicyModule, run_policy_tests};
use serde_json::json;

fn module(name: &str, source: &str) -> PolicyModule {
    PolicyModule { name: name.to_owned(), source: source.to_owned() }
}

fn input() -> PolicyInput {
    PolicyInput {
        service: "command-service".into(),
        operation: "append-event".into(),
        store: "event-store".into(),
        role: "customer".into(),
        command: "PlaceOrder".into(),
        aggregate: "order-o-1".into(),
        event_types: vec!["OrderPlaced".into()],
        amount_cents: None,
    }
}

const ALLOW: &str = "package nexus.a\n\nallow if input.role == \"customer\"\n";

#[test]
fn unsound_bundles_are_refused_with_place_and_remedy() {
    let a = |source: &str| vec![module("a", &format!("package nexus.a\n\n{source}\n"))];
    let cases = [
        vec![],
        vec![module("a", ALLOW), module("a", ALLOW)],
        vec![module("A-policy", ALLOW)],
        vec![module("a", "package nexus.b\n\nallow if true\n")],
        vec![module("a", "package other\n\nallow if true\n")],
        a("allow { input.role == \"x\" }"),
        a("allow if { input.role == }"),
        a("allow if role == \"customer\""),
        a("x := 1"),
        a("deny if input.role == \"x\""),
        a("deny := {\"rule\": \"r\"}"),
        a("allow contains \"x\" if true"),
        a("default allow := true"),
        a("allow := 1 if true"),
        a("allow if time.now_ns() > 0"),
        a("allow if {\n\tx := rand.intn(\"a\", 10)\n\tx > 5\n}"),
        a("allow if rand[\"intn\"](\"a\", 10) > 5"),
        a("allow if http.send({\"method\": \"get\", \"url\": \"x\"}).status_code == 200"),
        a("allow if opa.runtime().env.ROLE == \"x\""),
        a("allow if print(\"x\")"),
        a("allow if uuid.rfc4122(\"x\") != \"\""),
        a("allow if starts_with(input.role, \"c\")"),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|modules| match PolicyEnforcer::compile(modules, json!({})) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("compiled: {modules:?}"),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n----\n"));
}

#[test]
fn names_of_forbidden_builtins_may_stand_in_texts_and_comments() {
    let source = "package nexus.a\n\n# never time.now_ns()\nallow if input.role != \"rand.intn(1)\"\n";
    let enforcer = PolicyEnforcer::compile(&[module("a", source)], json!({})).unwrap();
    assert_eq!(enforcer.decide(&input()), Decision::Allow);
}

#[test]
fn functions_of_ones_own_may_be_called() {
    let source = "package nexus.a\n\nis_guest(role) if startswith(role, \"c\")\n\nallow if is_guest(input.role)\n";
    let enforcer = PolicyEnforcer::compile(&[module("a", source)], json!({})).unwrap();
    assert_eq!(enforcer.decide(&input()), Decision::Allow);
}

#[test]
fn data_must_be_an_object() {
    let told = PolicyEnforcer::compile(&[module("a", ALLOW)], json!([1])).map(drop).unwrap_err().to_string();
    assert!(told.starts_with("data.json: the data is not a JSON object"), "{told}");
    let files = [("data.json".to_owned(), "{\"a\": }".to_owned())];
    let told = PolicyBundle::from_files(files).unwrap_err().to_string();
    assert!(told.contains("data.json") && told.contains("line 1 column 7"), "{told}");
}

#[test]
fn a_folder_is_policies_data_and_what_is_left_aside() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let bundle = PolicyBundle::from_files([
        file("b.rego", "package nexus.b\n\ndeny contains {\"rule\": \"r\", \"reason\": data.b.reason} if true\n"),
        file("README.md", "# x"),
        file("a_test.rego", "not rego"),
        file("a.rego", ALLOW),
        file("data.json", r#"{"b": {"reason": "so it is"}}"#),
    ])
    .unwrap();
    assert_eq!(bundle.modules.iter().map(|module| module.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let Decision::Deny { denials } = PolicyEnforcer::from_bundle(bundle).unwrap().decide(&input()) else {
        panic!("a denial outweighs an allowance")
    };
    assert_eq!((denials[0].rule.as_str(), denials[0].reason.as_str()), ("r", "so it is"));
}

#[test]
fn what_goes_wrong_in_a_policy_denies() {
    let table = [
        ("a builtin that fails", "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if to_number(input.role) > 1"),
        ("a denial without a reason", "deny contains {\"rule\": \"r\"} if true"),
        ("a denial that is no object", "deny contains \"no\" if true"),
        ("a denial whose rule is no text", "deny contains {\"rule\": 1, \"reason\": \"x\"} if true"),
        (
            "a builtin that fails in a negation",
            "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if not to_number(input.role) == 1",
        ),
    ];
    for (what, rule) in table {
        let modules = [module("a", ALLOW), module("b", &format!("package nexus.b\n\n{rule}\n"))];
        let enforcer = PolicyEnforcer::compile(&modules, json!({})).unwrap();
        let Decision::Deny { denials } = enforcer.decide(&input()) else { panic!("{what} allowed") };
        assert_eq!(denials.len(), 1, "{what}: {denials:?}");
        assert_eq!(denials[0].rule, "policy-error", "{what}");
        assert!(!denials[0].reason.is_empty(), "{what}");
    }
}

#[test]
fn what_no_policy_speaks_of_is_denied() {
    let enforcer = PolicyEnforcer::compile(&[module("a", ALLOW)], json!({})).unwrap();
    assert_eq!(enforcer.decide(&input()), Decision::Allow);
    let stranger = PolicyInput { role: "stranger".into(), ..input() };
    let Decision::Deny { denials } = enforcer.decide(&stranger) else { panic!("allowed by nobody") };
    assert_eq!(denials[0].rule, "no-policy-allows");
}

#[test]
fn failing_policy_tests_are_told_one_by_one() {
    let bundle = PolicyBundle { modules: vec![module("a", ALLOW)], data: json!({}) };
    let tests = "package nexus.a_test\n\nimport data.nexus.a\n\n\
        test_true if a.allow with input as {\"role\": \"customer\"}\n\n\
        test_undefined if a.allow with input as {\"role\": \"x\"}\n\n\
        test_number := 1\n\n\
        test_error if to_number(\"x\") == 1\n\n\
        helper if false\n";
    let outcomes = run_policy_tests(&bundle, &[module("a_test", tests)]).unwrap();
    let told: Vec<_> = outcomes.iter().map(|outcome| (outcome.test.as_str(), outcome.failure.is_none())).collect();
    assert_eq!(told, [("test_true", true), ("test_undefined", false), ("test_number", false), ("test_error", false)]);
    assert!(outcomes.iter().all(|outcome| outcome.module == "a_test"));
}

/// The bundled tests are no ornament: with a rule taken away or a setting changed, some test fails.
#[test]
fn the_bundled_policies_are_held_by_their_tests() {
    let original = nexus_governance::bundled_policies();
    let tests = nexus_governance::bundled_policy_tests();
    let edits = [
        ("command_authorization", "not granted", "granted"),
        ("command_authorization", "input.command != \"\"", "true"),
        ("event_store_immutability", "not permitted(input.operation)", "input.operation == \"delete-event\""),
        ("event_store_immutability", "input.operation == \"read-events\"", "true"),
        ("order_limits", "input.amount_cents > limit", "input.amount_cents >= limit"),
        ("order_limits", "not unlimited", "true"),
        ("order_limits", "not is_number(input.amount_cents)", "false"),
        ("schema_registration", "not schemas[event_type]", "schemas[event_type]"),
        ("schema_registration", "status != \"AVAILABLE\"", "status == \"DELETING\""),
        ("schema_registration", "not names_events", "false"),
        ("snapshot_immutability", "not permitted", "false"),
        ("snapshot_immutability", "not keeper", "false"),
        ("snapshot_immutability", "input.operation == \"read-snapshot\"", "true"),
        ("temporal_queries", "input.queries_in_last_minute < limit", "input.queries_in_last_minute <= limit"),
        ("temporal_queries", "not counted", "false"),
        ("temporal_queries", "input.client != \"\"", "true"),
        ("temporal_queries", "input.queries_in_last_minute >= 0", "true"),
    ];
    for (name, from, to) in edits {
        let mut bundle = original.clone();
        let policy = bundle.modules.iter_mut().find(|module| module.name == name).unwrap();
        assert!(policy.source.contains(from), "{name} has no `{from}`");
        policy.source = policy.source.replace(from, to);
        let outcomes = run_policy_tests(&bundle, &tests).unwrap();
        assert!(outcomes.iter().any(|outcome| outcome.failure.is_some()), "no test minds `{from}` -> `{to}` in {name}");
    }
}
