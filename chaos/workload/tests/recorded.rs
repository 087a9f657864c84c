//! Workload files: the example, the defaults, and what is said of wrong lines.
#![forbid(unsafe_code)]

use nexus_workload::{Action, WorkloadShape, parse_jsonl};

const EXAMPLE: &str = include_str!("../examples/orders.jsonl");

#[test]
fn the_example_is_a_workload() {
    let workload = parse_jsonl(EXAMPLE, "orders.jsonl").unwrap();
    assert_eq!((workload.customers, workload.operations.len()), (4, 10));
    let keys: Vec<_> = workload
        .operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Command { idempotency_key, .. } => Some(idempotency_key.as_str()),
            Action::ReadOrder { .. } => None,
        })
        .collect();
    assert_eq!(keys, ["line-1", "line-2", "take-p-1", "take-p-1", "line-5", "line-7", "line-8", "line-9"]);
    assert_eq!(workload.operations[9].action, Action::ReadOrder { order_id: "o-1".into(), eventual: false });
    assert_eq!(workload.operations[9].at_ms, 1000);
}

#[test]
fn ids_count_operations_and_keys_count_lines() {
    let text = "\n{\"at_ms\":1,\"customer\":0,\"role\":\"x\",\"command\":{\"type\":\"T\"}}\r\n\n{\"at_ms\":1,\"customer\":7,\"read_order\":\"o\"}";
    let workload = parse_jsonl(text, "f").unwrap();
    assert_eq!(workload.customers, 8);
    assert_eq!(workload.operations.iter().map(|operation| operation.id).collect::<Vec<_>>(), [0, 1]);
    assert!(
        matches!(&workload.operations[0].action, Action::Command { idempotency_key, .. } if idempotency_key == "line-2")
    );
}

#[test]
fn a_read_may_be_content_with_an_eventual_view() {
    let read = |text: &str| parse_jsonl(text, "f").unwrap().operations.remove(0).action;
    let order_id = || "o".to_owned();
    let table = [
        (r#"{"at_ms":0,"customer":0,"read_order":"o"}"#, Action::ReadOrder { order_id: order_id(), eventual: false }),
        (
            r#"{"at_ms":0,"customer":0,"read_order":"o","eventual":false}"#,
            Action::ReadOrder { order_id: order_id(), eventual: false },
        ),
        (
            r#"{"at_ms":0,"customer":0,"read_order":"o","eventual":true}"#,
            Action::ReadOrder { order_id: order_id(), eventual: true },
        ),
    ];
    for (text, expected) in table {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_generated_workload_survives_the_file() {
    let generated = WorkloadShape::default().generate(11);
    let read = parse_jsonl(&generated.to_jsonl(), "f").unwrap();
    assert_eq!(read.operations, generated.operations);
}

#[test]
fn wrong_lines_are_shown_with_a_caret_and_a_remedy() {
    let good = r#"{"at_ms": 10, "customer": 0, "read_order": "o-1"}"#;
    let long_reason = "x".repeat(300);
    let cases = [
        r#"{"at_ms": 5, "custmer": 1, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": -5, "customer": 1, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": 1.5, "customer": 1, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": "5", "customer": 1, "read_order": "o-1"}"#.to_owned(),
        r#"{"customer": 1, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": 5, "read_order": "o-1"}  "#.to_owned(),
        r#"{"at_ms": 5, "customer": 100000, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 4294967296, "read_order": "o-1"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "customer", "command": {"type": "X"}, "read_order": "o"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "customer", "read_order": "o"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "read_order": "a b"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "read_order": 7}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "command": {"type": "X"}}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "", "command": {"type": "X"}}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "the boss", "command": {"type": "X"}}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "customer", "command": "PlaceOrder"}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "customer", "command": {"order_id": "o"}}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "read_order": "o", "eventual": 1}"#.to_owned(),
        r#"{"at_ms": 5, "customer": 1, "role": "customer", "eventual": true, "command": {"type": "X"}}"#.to_owned(),
        r#"{"at_ms": 5, "at_ms": 6, "customer": 1, "read_order": "o"}"#.to_owned(),
        format!(
            r#"{{"at_ms": 5, "customer": 1, "role": "customer", "idempotency_key": "{long_reason}", "command": {{"type": "X"}}}}"#
        ),
        format!(
            r#"{{"at_ms": 5, "customer": 1, "role": "customer", "command": {{"type": "X", "reason": "{long_reason}"}}, "x": 1}}"#
        ),
        r#"{"at_ms": 5, "customer": 1, "read_order": "ö", "é": 1}"#.to_owned(),
        "\t{\"at_ms\": 5, \"customer\": 1 \"read_order\": \"o\"}".to_owned(),
        r#"{"at_ms": 5, "customer": 1"#.to_owned(),
        "[1, 2]".to_owned(),
        "place an order".to_owned(),
        format!("{good}\n{}", r#"{"at_ms": 9, "customer": 0, "read_order": "o-1"}"#),
        String::new(),
        "\n  \n".to_owned(),
    ];
    let shown: Vec<String> =
        cases.iter().map(|text| parse_jsonl(text, "orders.jsonl").unwrap_err().to_string()).collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}
