//! `policy check` on copies of the repository: nothing is found in a good one, and each policy finds what it is there for.

use crate::support::{Copy, repository, run_in, stderr, stdout};

const TEMPLATE: &str = "system/deploy/template.yaml";

/// What is spoilt, and what must be said of it: rule, a part of the sentence, file, and a part of the remedy.
struct Case {
    name: &'static str,
    spoil: fn(&Copy),
    rule: &'static str,
    what: &'static str,
    at: &'static str,
    mend: &'static str,
}

const CASES: [Case; 13] = [
    Case {
        name: "http",
        spoil: |copy| {
            copy.write(
                "system/query-dashboard/src/ask.rs",
                "//! Asks the write side.\n\npub(crate) fn orders() -> &'static str {\n    \"http://command-service:8080/orders\"\n}\n",
            );
            copy.edit("system/query-dashboard/src/lib.rs", "\nmod ", "\nmod ask;\nmod ");
        },
        rule: "service-names-another",
        what: "system/query-dashboard names the address http://command-service:8080/orders of command-service",
        at: "system/query-dashboard/src/ask.rs:4",
        mend: "keep a view of your own",
    },
    Case {
        name: "http-client",
        spoil: |copy| {
            copy.write(
                "system/query-dashboard/src/ask.rs",
                "//! Asks the write side.\n\nuse hyper::client::conn::http1;\n\npub(crate) use http1::handshake;\n",
            );
        },
        rule: "service-has-http-client",
        what: "system/query-dashboard has an HTTP client: hyper::client::conn::http1",
        at: "system/query-dashboard/src/ask.rs:3",
        mend: "reach AWS through the adapters",
    },
    Case {
        name: "update-item",
        spoil: |copy| {
            copy.edit(TEMPLATE, "[dynamodb:PutItem, dynamodb:Query]", "[dynamodb:PutItem, dynamodb:UpdateItem]")
        },
        rule: "grant-changes-events",
        what: "CommandRole grants dynamodb:UpdateItem on the event table",
        at: "system/deploy/template.yaml:140",
        mend: "take the action out",
    },
    Case {
        name: "no-schema",
        spoil: |copy| {
            copy.edit(
                "system/domain/src/event.rs",
                "pub enum Event {\n",
                "pub enum Event {\n    OrderLost { order_id: String },\n",
            );
        },
        rule: "event-type-without-schema",
        what: "the event type OrderLost has no schema",
        at: "system/domain/src/event.rs:21",
        mend: "system/schemas/events/OrderLost/v1.json",
    },
    Case {
        name: "no-dlq",
        spoil: |copy| {
            copy.edit(
                TEMPLATE,
                "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt NotificationDeadLetters.Arn\n        maxReceiveCount: 5\n",
                "",
            );
        },
        rule: "queue-without-dead-letters",
        what: "the queue NotificationQueue has no queue for its dead letters",
        at: "system/deploy/template.yaml:41",
        mend: "write RedrivePolicy",
    },
    Case {
        name: "plain",
        spoil: |copy| copy.edit(TEMPLATE, "      SSESpecification: { SSEEnabled: true, SSEType: KMS }\n", ""),
        rule: "store-not-encrypted",
        what: "EventsTable (AWS::DynamoDB::Table) does not say that it is encrypted",
        at: "system/deploy/template.yaml:9",
        mend: "write SSESpecification",
    },
    Case {
        name: "alarm",
        spoil: |copy| copy.edit(TEMPLATE, "latency: routing", "latency: something-else"),
        rule: "objective-without-alarm",
        what: "nothing on AWS watches that 99 % of routing take less than 500 ms",
        at: "scenarios/smoke/bus-nominal.toml:22",
        mend: "add an AWS::CloudWatch::Alarm",
    },
    Case {
        name: "wildcard",
        spoil: |copy| copy.edit(TEMPLATE, "Action: kinesis:PutRecords", "Action: kinesis:*"),
        rule: "wildcard-action",
        what: "RouterRole grants kinesis:*",
        at: "system/deploy/template.yaml:110",
        mend: "name each action",
    },
    Case {
        name: "never-called",
        spoil: |copy| {
            copy.edit(
                TEMPLATE,
                "[dynamodb:GetItem, dynamodb:PutItem]\n                Resource: !GetAtt Idem",
                "[dynamodb:Scan]\n                Resource: !GetAtt Idem",
            )
        },
        rule: "granted-but-never-called",
        what: "CommandRole grants dynamodb:Scan on idempotency, which command-service never calls",
        at: "system/deploy/template.yaml:143",
        mend: "take it out",
    },
    Case {
        name: "secret",
        spoil: |copy| {
            let text = format!("[database]\n{} = \"hunter2-hunter2\"\n", "password");
            copy.write("scenarios/credentials.txt", &text);
        },
        rule: "secret-assigned-literal",
        what: "this looks like a secret, assigned to password: hunt… (15 characters)",
        at: "scenarios/credentials.txt:2",
        mend: "replace it at its issuer",
    },
    Case {
        name: "arrow",
        spoil: |copy| {
            copy.edit(
                "system/event-router/Cargo.toml",
                "[dependencies]\n",
                "[dependencies]\nnexus-cloud.workspace = true\n",
            );
        },
        rule: "arrow-up-the-house",
        what: "system/event-router depends on sim/cloud: what ships knows nothing of simulation",
        at: "system/event-router/Cargo.toml:",
        mend: "turn the arrow round",
    },
    Case {
        name: "temporal",
        spoil: |copy| {
            copy.edit("policies/runtime/data.json", "\"queries_per_minute_max\": 10", "\"queries_per_minute_max\": 100")
        },
        rule: "temporal-limit-too-high",
        what: "temporal queries are limited to 100 a minute and client; 10 are promised",
        at: "policies/runtime/data.json:1",
        mend: "set temporal_queries.queries_per_minute_max to 10 or less",
    },
    Case {
        name: "snapshots",
        spoil: |copy| {
            copy.edit("policies/runtime/data.json", "\"read-snapshot\", ", "\"read-snapshot\", \"update-snapshot\", ")
        },
        rule: "services-may-change-snapshots",
        what: "the run-time policy lets snapshots be changed: it permits update-snapshot",
        at: "policies/runtime/data.json:1",
        mend: "permit store-snapshot and read-snapshot only",
    },
];

#[test]
fn nothing_is_found_in_the_repository_as_it_is() {
    let output = run_in(&repository(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
    let told = stdout(&output);
    assert!(told.contains("held: 11 policies over") && told.contains("services"), "{told}");
}

#[test]
fn nothing_is_found_in_a_good_copy_and_its_template() {
    let copy = Copy::new("good");
    let output = copy.run(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]));
    assert_eq!(report["notes"], serde_json::json!([]), "the template was judged");
    let counts = report["facts"].as_array().unwrap();
    for kind in ["crates", "services", "operations", "resources", "statements", "schemas", "event_types", "objectives"]
    {
        let count = counts.iter().find(|count| count[0] == kind).map(|count| count[1].as_u64().unwrap());
        assert!(count > Some(0), "{kind}: {count:?}");
    }
}

#[test]
fn each_policy_finds_what_it_is_there_for_and_says_how_to_mend_it() {
    let mut policies = std::collections::BTreeSet::new();
    for case in &CASES {
        let copy = Copy::new(case.name);
        (case.spoil)(&copy);
        let output = copy.run(&["check"]);
        let told = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{}: {told}\n{}", case.name, stderr(&output));
        let lines: Vec<&str> = told.lines().collect();
        let heading = format!("{} {}", case.rule, case.what);
        let start = lines.iter().position(|line| line.starts_with(&heading));
        let start = start.unwrap_or_else(|| panic!("{}: nothing begins with\n{heading}\nin\n{told}", case.name));
        let [at, by, mend] = [1, 2, 3].map(|offset| lines[start + offset].trim());
        assert!(at.starts_with(&format!("at   {}", case.at)), "{}: {at}", case.name);
        assert!(by.starts_with("by   policies/desk/"), "{by}");
        assert!(mend.starts_with("mend") && mend.contains(case.mend), "{}: {mend}", case.name);
        policies.insert(by.to_owned());
    }
    assert_eq!(policies.len(), 11, "every policy of the desk found something: {policies:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_exit_code_2() {
    let copy = Copy::new("unreadable");
    copy.edit(TEMPLATE, "Parameters:\n", "Parameters: [\n");
    let output = copy.run(&["check"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let told = stderr(&output);
    assert!(told.contains("system/deploy/template.yaml cannot be read") && told.contains("here"), "{told}");
}

#[test]
fn an_untested_rule_fails_the_tests() {
    let copy = Copy::new("uncovered");
    let rule = "\ndeny contains {\"rule\": \"new\", \"reason\": \"x\"} if {\n\tinput.operation == \"never-asked\"\n\tinput.role == \"x\"\n}\n";
    let path = "policies/runtime/order_limits.rego";
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    copy.write(path, &format!("{text}{rule}"));
    let output = copy.run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let told = stdout(&output);
    assert!(told.contains("not covered `deny` (policies/runtime/order_limits.rego:"), "{told}");
}

#[test]
fn a_failing_test_is_told_with_its_place() {
    let copy = Copy::new("failing");
    copy.edit(
        "policies/desk/alarms_test.rego",
        "test_a_watched_objective_is_well if {\n",
        "test_a_watched_objective_is_well if {\n\tfalse\n",
    );
    let output = copy.run(&["test", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed"], 1);
    assert_eq!(report["failures"][0]["test"], "test_a_watched_objective_is_well");
    assert_eq!(report["failures"][0]["file"], "policies/desk/alarms_test.rego");
}
