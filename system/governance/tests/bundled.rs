//! The policies that ship: they compile, their own tests hold, and together they decide as the system expects.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use nexus_governance::{
    Decision, PolicyEnforcer, PolicyInput, TemporalQueryInput, bundled_policies, bundled_policy_tests, run_policy_tests,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/runtime");

fn input(operation: &str, role: &str, command: &str, event_types: &[&str], amount_cents: Option<u64>) -> PolicyInput {
    PolicyInput {
        service: "command-service".into(),
        operation: operation.into(),
        store: "event-store".into(),
        role: role.into(),
        command: command.into(),
        aggregate: "order-o-1".into(),
        event_types: event_types.iter().map(|event_type| (*event_type).to_owned()).collect(),
        amount_cents,
    }
}

fn rules(decision: Decision) -> Vec<String> {
    match decision {
        Decision::Allow => vec![],
        Decision::Deny { denials } => denials.into_iter().map(|denial| denial.rule).collect(),
    }
}

#[test]
fn every_policy_has_tests_and_all_of_them_hold() {
    let bundle = bundled_policies();
    let outcomes = run_policy_tests(&bundle, &bundled_policy_tests()).unwrap();
    let failures: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let mut tests_of = BTreeMap::<String, usize>::new();
    for outcome in &outcomes {
        *tests_of.entry(outcome.module.clone()).or_default() += 1;
    }
    for module in &bundle.modules {
        let count = tests_of.get(&format!("{}_test", module.name)).copied().unwrap_or(0);
        assert!(count > 0, "the policy {} has no test", module.name);
    }
    assert_eq!(tests_of.len(), bundle.modules.len(), "a test module without a policy: {tests_of:?}");
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let on_disk: BTreeSet<_> = std::fs::read_dir(POLICIES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rego"))
        .collect();
    let built_in: BTreeSet<_> =
        bundled_policies().modules.iter().chain(&bundled_policy_tests()).map(|module| module.file()).collect();
    assert_eq!(on_disk, built_in);
}

#[test]
fn the_bundle_decides() {
    let enforcer = PolicyEnforcer::from_catalogue().unwrap();
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], Option<u64>, &'a [&'a str]);
    let table: &[Row] = &[
        ("append-event", "customer", "PlaceOrder", &["OrderPlaced"], Some(5_000_000), &[]),
        ("append-event", "customer", "PlaceOrder", &["OrderPlaced"], Some(5_000_001), &["order-above-limit"]),
        ("append-event", "system", "PlaceOrder", &["OrderPlaced"], Some(5_000_001), &[]),
        ("append-event", "customer", "ShipOrder", &["OrderShipped"], None, &["command-not-permitted"]),
        ("append-event", "warehouse", "ShipOrder", &["OrderShipped"], None, &[]),
        ("append-event", "payments", "RefundPayment", &["PaymentRefunded"], Some(1), &[]),
        ("append-event", "support", "CancelOrder", &["OrderCancelled"], None, &[]),
        ("append-event", "root", "ShipOrder", &["OrderShipped"], None, &["role-unknown"]),
        ("append-event", "customer", "CancelOrder", &["OrderLost"], None, &["event-type-not-registered"]),
        ("append-event", "customer", "CancelOrder", &[], None, &["nothing-to-append"]),
        ("update-event", "system", "PlaceOrder", &["OrderPlaced"], Some(1), &["event-store-append-only"]),
        ("delete-event", "root", "", &[], None, &["event-store-append-only", "role-unknown"]),
        ("read-events", "customer", "", &[], None, &[]),
        (
            "append-event",
            "warehouse",
            "PlaceOrder",
            &["Nothing"],
            None,
            &["command-not-permitted", "event-type-not-registered", "order-amount-untold"],
        ),
    ];
    for (operation, role, command, event_types, amount_cents, expected) in table {
        let asked = input(operation, role, command, event_types, *amount_cents);
        assert_eq!(rules(enforcer.decide(&asked)), *expected, "{asked:?}");
    }
}

#[test]
fn another_store_is_granted_nothing() {
    let enforcer = PolicyEnforcer::from_catalogue().unwrap();
    let mut asked = input("delete-row", "system", "", &[], None);
    asked.store = "read-model".into();
    assert_eq!(rules(enforcer.decide(&asked)), ["no-policy-allows"]);
}

#[test]
fn a_client_may_ask_about_the_past_ten_times_a_minute() {
    let enforcer = PolicyEnforcer::from_catalogue().unwrap();
    let asked = |client: &str, role: &str, queries_in_last_minute: u64| TemporalQueryInput {
        service: "query-dashboard".into(),
        store: "event-store".into(),
        role: role.into(),
        client: client.into(),
        queries_in_last_minute,
    };
    let table: [(&str, &str, u64, &[&str]); 6] = [
        ("client-1", "customer", 0, &[]),
        ("client-1", "customer", 9, &[]),
        ("client-1", "customer", 10, &["temporal-queries-above-limit"]),
        ("client-1", "system", u64::MAX, &["temporal-queries-above-limit"]),
        ("", "customer", 0, &["temporal-query-uncounted"]),
        ("client-1", "stranger", 0, &["role-unknown"]),
    ];
    for (client, role, queries, expected) in table {
        assert_eq!(rules(enforcer.decide(&asked(client, role, queries))), expected, "{client} {role} {queries}");
    }
}

#[test]
fn a_record_names_bundle_and_input_by_digest() {
    let enforcer = PolicyEnforcer::from_catalogue().unwrap();
    let asked = input("append-event", "customer", "PlaceOrder", &["OrderPlaced"], Some(7));
    let record = enforcer.decide_for_the_record(&asked);
    assert_eq!(record.decision, enforcer.decide(&asked));
    assert_eq!(record.bundle_digest, enforcer.bundle_digest());
    assert_eq!(record.bundle_digest, PolicyEnforcer::from_catalogue().unwrap().bundle_digest());
    assert_eq!(record, enforcer.decide_for_the_record(&asked));
    let other = PolicyInput { amount_cents: Some(8), ..asked };
    let other_record = enforcer.decide_for_the_record(&other);
    assert_ne!(record.input_digest, other_record.input_digest);
    assert_eq!(serde_json::to_value(&record).unwrap()["decision"], "allow");
}

#[test]
fn the_digest_follows_sources_and_data_but_not_order() {
    let bundle = bundled_policies();
    let digest = |modules: &[_], data| PolicyEnforcer::compile(modules, data).unwrap().bundle_digest();
    let original = digest(&bundle.modules, bundle.data.clone());
    let mut reversed = bundle.modules.clone();
    reversed.reverse();
    assert_eq!(digest(&reversed, bundle.data.clone()), original);
    let mut commented = bundle.modules.clone();
    commented[0].source.push_str("\n# a remark\n");
    assert_ne!(digest(&commented, bundle.data.clone()), original);
    let mut data = bundle.data.clone();
    data["order_limits"]["order_total_cents_max"] = 1.into();
    assert_ne!(digest(&bundle.modules, data), original);
}

#[test]
fn every_registered_event_type_is_one_of_the_domain() {
    let bundle = bundled_policies();
    let schemas = bundle.data["schema_registration"]["schemas"].as_object().unwrap();
    let listed: BTreeSet<String> = schemas.keys().cloned().collect();
    let known: BTreeSet<String> = nexus_domain::Event::TYPES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed, known);
}

/// Questions that share all or most of their fields, so that what is remembered of one could be taken for another's answer.
fn questions() -> impl Strategy<Value = PolicyInput> {
    let one_of = |choices: &'static [&'static str]| select(choices).prop_map(str::to_owned);
    (
        one_of(&["append-event", "read-events", "update-event"]),
        one_of(&["event-store", "snapshots"]),
        one_of(&["customer", "support", "system", "stranger"]),
        one_of(&["PlaceOrder", "CancelOrder", ""]),
        one_of(&["order-o-1", "order-o-2"]),
        subsequence(vec!["OrderPlaced".to_owned(), "OrderCancelled".to_owned(), "Unheard".to_owned()], 0..=3),
        select(vec![None, Some(1), Some(5_000_000), Some(5_000_001)]),
    )
        .prop_map(|(operation, store, role, command, aggregate, event_types, amount_cents)| PolicyInput {
            service: "command-service".into(),
            operation,
            store,
            role,
            command,
            aggregate,
            event_types,
            amount_cents,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_is_what_would_be_decided(asked in vec(questions(), 1..40)) {
        let policies = PolicyEnforcer::from_catalogue().unwrap().in_force();
        for question in &asked {
            prop_assert_eq!(policies.decide(question), policies.decide_afresh(question), "{:?}", question);
        }
    }
}
