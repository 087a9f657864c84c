//! The machine decides as the interpreter does, whatever it is asked and whatever the data look like.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use nexus_governance::{CompiledPolicies, PolicyBundle, PolicyEvaluation, PolicyModule, bundled_policies};
use proptest::prelude::*;
use serde_json::{Value, json};

static SHIPPED: LazyLock<CompiledPolicies> =
    LazyLock::new(|| CompiledPolicies::compile(&bundled_policies()).expect("the bundle compiles"));

/// Values of every kind, those that the policies look for among them.
fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "append-event",
        "read-events",
        "delete-event",
        "temporal-query",
        "store-snapshot",
        "read-snapshot",
        "event-store",
        "snapshot-store",
        "snapshot-manager",
        "command-service",
        "customer",
        "system",
        "support",
        "root",
        "PlaceOrder",
        "ShipOrder",
        "OrderPlaced",
        "OrderLost",
        "AVAILABLE",
        "PENDING",
        "client-1",
        "*",
        "",
    ]);
    let leaf = prop_oneof![
        8 => words.prop_map(Value::from),
        2 => prop::sample::select(vec![0_i64, 1, 9, 10, 11, 5_000_000, 5_000_001, -1]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn question() -> impl Strategy<Value = Value> {
    let fields = prop::sample::subsequence(
        vec![
            "service",
            "operation",
            "store",
            "role",
            "command",
            "aggregate",
            "event_types",
            "amount_cents",
            "client",
            "queries_in_last_minute",
        ],
        0..=10,
    );
    (fields, prop::collection::vec(value(), 10))
        .prop_map(|(fields, values)| Value::Object(fields.into_iter().map(str::to_owned).zip(values).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_what_ships(question in question()) {
        prop_assert_eq!(SHIPPED.decide(&question), SHIPPED.interpret(&question));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Settings of the wrong kind must not make one allow what the other denies.
    #[test]
    fn on_settings_of_any_kind(
        settings in prop::collection::vec(value(), 6),
        questions in prop::collection::vec(question(), 6),
    ) {
        let names = ["command_authorization", "event_store_immutability", "order_limits", "schema_registration",
            "snapshot_immutability", "temporal_queries"];
        let mut bundle = bundled_policies();
        for (name, setting) in names.iter().zip(settings) {
            let key = bundle.data[*name].as_object().and_then(|fields| fields.keys().next().cloned()).unwrap_or_default();
            bundle.data[*name][key] = setting;
        }
        let policies = CompiledPolicies::compile(&bundle).expect("only settings differ");
        prop_assert_eq!(policies.evaluation(), PolicyEvaluation::Machine);
        for question in &questions {
            prop_assert_eq!(policies.decide(question), policies.interpret(question), "{}", question);
        }
    }
}

/// The forms that the machine is let run, each over values that do not fit it.
#[test]
fn on_each_form_that_it_is_let_run() {
    let rules = [
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if {\n\tsome x in input.a\n\tx == 1\n}",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if {\n\tsome x in data.a.b\n\tx == 1\n}",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if {\n\tsome k, v in input.a\n\tk == v\n}",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if not 1 in input.a",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if not input.a[input.b]",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if input.a.b.c == 1",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if input.a < input.b",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if input.a[_] == 1",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if input.a[_][_] == 1",
        "deny contains {\"rule\": \"r\", \"reason\": sprintf(\"%s %v\", [input.a, input.b])} if input.a",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if f(input.a)\n\nf(x) if x == 1\n\nf(x) if x.b",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if not g\n\ng if some _ in input.a",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if {\n\tx := input.a[input.b]\n\tx != 1\n}",
        "deny contains {\"rule\": \"r\", \"reason\": \"x\"} if h == 1\n\nh := input.a",
        "default d := false\n\nd if input.a == 1\n\ndeny contains {\"rule\": \"r\", \"reason\": \"x\"} if not d",
    ];
    let values = [
        json!(null),
        json!(1),
        json!("b"),
        json!(true),
        json!([]),
        json!([1]),
        json!([[1]]),
        json!({"b": 1}),
        json!({"b": {"c": 1}}),
        json!({"1": 1}),
        json!([null, false]),
    ];
    for rule in rules {
        let module =
            PolicyModule { name: "a".to_owned(), source: format!("package nexus.a\n\n{rule}\n\nallow if true\n") };
        for setting in &values {
            let bundle = PolicyBundle { modules: vec![module.clone()], data: json!({"a": {"b": setting}}) };
            let policies = CompiledPolicies::compile(&bundle).unwrap();
            assert_eq!(policies.evaluation(), PolicyEvaluation::Machine, "{rule}");
            for a in &values {
                for question in
                    [json!({"a": a}), json!({"a": a, "b": "b"}), json!({"a": a, "b": 0}), json!({}), a.clone()]
                {
                    assert_eq!(
                        policies.decide(&question),
                        policies.interpret(&question),
                        "{rule}\n{question}\n{setting}"
                    );
                }
            }
        }
    }
}
