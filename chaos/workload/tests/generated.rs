//! Generated workloads: pure functions of shape and seed, with the shares and the stories that were asked for.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use nexus_workload::{Action, InvalidShape, PlannedOperation, Workload, WorkloadShape};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::Value;

fn long() -> WorkloadShape {
    WorkloadShape { duration_ms: 300_000, ..WorkloadShape::default() }
}

fn body(operation: &PlannedOperation) -> Option<(&str, &str, &Value)> {
    match &operation.action {
        Action::Command { role, idempotency_key, body } => Some((role, idempotency_key, body)),
        Action::ReadOrder { .. } => None,
    }
}

fn commands(workload: &Workload) -> impl Iterator<Item = (&PlannedOperation, &str, &str, &Value)> {
    workload
        .operations
        .iter()
        .filter_map(|operation| body(operation).map(|(role, key, body)| (operation, role, key, body)))
}

/// FNV-1a, so that the bytes of a workload are pinned without a dependency.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_same_seed_gives_the_same_workload_and_another_seed_another() {
    let shape = WorkloadShape::default();
    assert_eq!(shape.generate(1), shape.generate(1));
    assert_ne!(shape.generate(1), shape.generate(2));
    assert_ne!(shape.generate(1), shape.generate(1 << 63 | 1));
}

/// A stored seed means the same workload for ever; whoever changes this number breaks recorded seeds.
#[test]
fn the_meaning_of_a_seed_is_pinned() {
    let text = WorkloadShape::default().generate(42).to_jsonl();
    insta::assert_snapshot!(format!("{:016x}\n{}", digest(&text), text.lines().take(6).collect::<Vec<_>>().join("\n")));
}

#[test]
fn operations_are_sorted_numbered_and_in_range() {
    for seed in 0..20 {
        let shape = WorkloadShape { customers: 3, ..WorkloadShape::default() };
        let workload = shape.generate(seed);
        assert_eq!(workload.customers, 3);
        assert!(workload.operations.is_sorted_by_key(|operation| (operation.at_ms, operation.id)));
        for (index, operation) in workload.operations.iter().enumerate() {
            assert_eq!(operation.id as usize, index);
            assert!(operation.customer < 3 && operation.at_ms < shape.duration_ms);
        }
    }
}

#[test]
fn arrivals_are_a_poisson_process() {
    let workload = long().generate(5);
    let count = workload.operations.len() as f64;
    // 6000 are expected; the standard deviation is 77.
    assert!((count - 6_000.0).abs() < 400.0, "{count}");
    let mut per_second = BTreeMap::<u64, f64>::new();
    for operation in &workload.operations {
        *per_second.entry(operation.at_ms / 1_000).or_default() += 1.0;
    }
    let seconds = 300.0;
    let mean = count / seconds;
    let variance = (0..300)
        .map(|second| per_second.get(&second).copied().unwrap_or(0.0) - mean)
        .map(|difference| difference * difference)
        .sum::<f64>()
        / seconds;
    // A Poisson process has its mean as its variance; even spacing would have next to none.
    assert!((0.7..1.4).contains(&(variance / mean)), "mean {mean}, variance {variance}");
}

#[test]
fn shares_are_as_asked() {
    let workload = long().generate(6);
    let all = workload.operations.len() as f64;
    let reads = workload.operations.iter().filter(|operation| body(operation).is_none()).count() as f64;
    assert!((reads / all - 0.2).abs() < 0.03, "{}", reads / all);
    let eventual =
        workload.operations.iter().filter(|op| matches!(op.action, Action::ReadOrder { eventual: true, .. }));
    assert!((eventual.count() as f64 / reads - 0.25).abs() < 0.05);
    let mut first = BTreeMap::<&str, (&str, &Value)>::new();
    let (mut duplicates, mut reuses, mut own) = (0.0, 0.0, 0.0);
    for (_, role, key, body) in commands(&workload) {
        match first.get(key) {
            None => {
                first.insert(key, (role, body));
                own += 1.0;
            }
            Some(earlier) if *earlier == (role, body) => duplicates += 1.0,
            Some((_, earlier)) => {
                assert_eq!(earlier["type"], body["type"]);
                reuses += 1.0;
            }
        }
    }
    assert!((duplicates / all - 0.05).abs() < 0.015, "{}", duplicates / all);
    assert!((reuses / all - 0.02).abs() < 0.01, "{}", reuses / all);
    assert!((own / all - 0.73).abs() < 0.03, "{}", own / all);
}

/// Who may send what, written out apart from the generator.
fn permitted(role: &str, command: &str) -> bool {
    let granted: &[&str] = match role {
        "customer" => {
            &["PlaceOrder", "CancelOrder", "AddItemToCart", "RemoveItemFromCart", "ReplaceItemInCart", "AbandonCart"]
        }
        "system" => &["ConfirmPaymentAndShip"],
        "payments" => &["ProcessPayment", "ConfirmPayment", "RefundPayment"],
        "warehouse" => &["ShipOrder"],
        "support" => &["CancelOrder", "RefundPayment"],
        _ => &[],
    };
    granted.contains(&command)
}

fn total(body: &Value) -> u64 {
    let lines = body["lines"].as_array().map_or(&[][..], Vec::as_slice);
    lines.iter().map(|line| line["quantity"].as_u64().unwrap() * line["unit_price_cents"].as_u64().unwrap()).sum()
}

fn is_forbidden(role: &str, body: &Value) -> bool {
    !permitted(role, body["type"].as_str().unwrap()) || (body["type"] == "PlaceOrder" && total(body) > 5_000_000)
}

fn is_malformed(body: &Value) -> bool {
    let bad_sku = |sku: &Value| sku.as_str().is_some_and(|sku| !sku.starts_with(|c: char| c.is_ascii_uppercase()));
    let lines = body["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let bad_line = |line: &Value| bad_sku(&line["sku"]) || !(1..=999).contains(&line["quantity"].as_u64().unwrap());
    body["currency"] == "eur" || body["reason"] == "" || bad_sku(&body["sku"]) || lines.iter().any(bad_line)
}

#[test]
fn misdeeds_have_their_shares_and_happen_nowhere_else() {
    let workload = long().generate(7);
    let all = workload.operations.len() as f64;
    let forbidden = commands(&workload).filter(|(_, role, _, body)| is_forbidden(role, body)).count() as f64;
    let malformed = commands(&workload).filter(|(_, _, _, body)| is_malformed(body)).count() as f64;
    assert!((forbidden / all - 0.03).abs() < 0.012, "{}", forbidden / all);
    assert!((malformed / all - 0.03).abs() < 0.012, "{}", malformed / all);
    assert!(commands(&workload).all(|(_, role, _, body)| !(is_forbidden(role, body) && is_malformed(body))));
    let law_abiding = WorkloadShape { forbidden_share: 0.0, malformed_share: 0.0, ..long() }.generate(7);
    for (_, role, _, body) in commands(&law_abiding) {
        assert!(!is_forbidden(role, body) && !is_malformed(body), "{role} {body}");
    }
}

#[test]
fn steps_are_taken_two_at_once_only_where_asked_for() {
    let count = |shape: &WorkloadShape, wanted: &str| {
        let workload = shape.generate(8);
        commands(&workload).filter(|(_, _, _, body)| body["type"] == wanted).count()
    };
    let some = WorkloadShape { together_share: 0.5, ..long() };
    let all = WorkloadShape { together_share: 1.0, contention: 0.0, ..long() };
    for (together, apart) in [("ConfirmPaymentAndShip", "ConfirmPayment"), ("ReplaceItemInCart", "RemoveItemFromCart")]
    {
        assert_eq!(count(&long(), together), 0, "{together}");
        assert!(count(&some, together) > 10 && count(&some, apart) > 10, "{together}");
        assert!(count(&all, together) > 10, "{together}");
        assert_eq!(count(&all, apart), 0, "{apart}");
    }
    for (_, role, _, body) in commands(&WorkloadShape { forbidden_share: 0.0, ..some }.generate(8)) {
        assert!(permitted(role, body["type"].as_str().unwrap()), "{role} {body}");
    }
}

#[test]
fn every_command_occurs_and_orders_go_their_way() {
    let workload = long().generate(8);
    let seen: BTreeSet<_> = commands(&workload).map(|(_, _, _, body)| body["type"].as_str().unwrap()).collect();
    let expected = [
        "AbandonCart",
        "AddItemToCart",
        "CancelOrder",
        "ConfirmPayment",
        "PlaceOrder",
        "ProcessPayment",
        "RefundPayment",
        "RemoveItemFromCart",
        "ShipOrder",
    ];
    assert_eq!(seen, BTreeSet::from(expected));
    let quiet =
        WorkloadShape { contention: 0.0, forbidden_share: 0.0, malformed_share: 0.0, key_reuse_share: 0.0, ..long() };
    let mut steps = BTreeMap::<String, Vec<String>>::new();
    let mut totals = BTreeMap::<String, u64>::new();
    for (_, _, _, body) in commands(&quiet.generate(8)) {
        let order_id = body["order_id"].as_str().unwrap_or_default().to_owned();
        let step = body["type"].as_str().unwrap().to_owned();
        match step.as_str() {
            "PlaceOrder" => assert_eq!(*totals.entry(order_id.clone()).or_insert_with(|| total(body)), total(body)),
            "ProcessPayment" | "ConfirmPayment" => {
                assert_eq!(totals[&order_id], body["amount_cents"].as_u64().unwrap())
            }
            _ => {}
        }
        let taken = steps.entry(order_id).or_default();
        // A resent command is no new step.
        if !taken.contains(&step) {
            taken.push(step);
        }
    }
    steps.remove("");
    let ways: BTreeSet<Vec<String>> = steps.into_values().collect();
    for way in &ways {
        let begun = ["PlaceOrder", "ProcessPayment", "ConfirmPayment"];
        let common = way.iter().zip(begun).take_while(|(step, expected)| step == expected).count();
        let rest: Vec<_> = way[common..].iter().map(String::as_str).collect();
        assert!(matches!(rest[..], [] | ["ShipOrder"] | ["CancelOrder"]), "{way:?}");
        assert!(rest != ["ShipOrder"] || common == 3, "{way:?}");
    }
    assert!(ways.len() >= 6, "{ways:?}");
}

#[test]
fn contention_makes_customers_race_for_one_order() {
    let placing = |shape: &WorkloadShape| {
        let mut customers = BTreeMap::<String, BTreeSet<u32>>::new();
        for (operation, _, _, body) in commands(&shape.generate(9)) {
            if body["type"] == "PlaceOrder" {
                let order_id = body["order_id"].as_str().unwrap().to_owned();
                customers.entry(order_id).or_default().insert(operation.customer);
            }
        }
        customers.values().filter(|customers| customers.len() > 1).count()
    };
    assert_eq!(placing(&WorkloadShape { contention: 0.0, ..long() }), 0);
    assert!(placing(&WorkloadShape { contention: 0.5, ..long() }) > 20);
}

#[test]
fn the_hot_aggregate_is_hot() {
    let share_of_slot_0 = |shape: &WorkloadShape| {
        let workload = shape.generate(10);
        let hot = workload.operations.iter().filter(|operation| match &operation.action {
            Action::ReadOrder { order_id, .. } => order_id.starts_with("o-0-"),
            Action::Command { body, .. } => ["order_id", "payment_id"]
                .iter()
                .any(|key| body[*key].as_str().is_some_and(|id| id[1..].starts_with("-0-"))),
        });
        hot.count() as f64 / workload.operations.len() as f64
    };
    let even = share_of_slot_0(&WorkloadShape { hot_share: 0.0, ..long() });
    let hot = share_of_slot_0(&WorkloadShape { hot_share: 0.6, ..long() });
    assert!(even < 0.06 && (0.5..0.7).contains(&hot), "{even} {hot}");
}

#[test]
fn edges_of_shapes_still_give_workloads() {
    let table = [
        WorkloadShape { customers: 1, aggregates: 1, contention: 1.0, hot_share: 1.0, ..WorkloadShape::default() },
        WorkloadShape { cart_share: 1.0, ..WorkloadShape::default() },
        WorkloadShape { cart_share: 0.0, ..WorkloadShape::default() },
        WorkloadShape {
            read_share: 1.0,
            duplicate_share: 0.0,
            key_reuse_share: 0.0,
            forbidden_share: 0.0,
            malformed_share: 0.0,
            ..WorkloadShape::default()
        },
        WorkloadShape {
            read_share: 0.0,
            duplicate_share: 1.0,
            key_reuse_share: 0.0,
            forbidden_share: 0.0,
            malformed_share: 0.0,
            ..WorkloadShape::default()
        },
        WorkloadShape {
            read_share: 0.5,
            duplicate_share: 0.2,
            key_reuse_share: 0.1,
            forbidden_share: 0.1,
            malformed_share: 0.1,
            ..WorkloadShape::default()
        },
    ];
    for shape in table {
        assert_eq!(shape.check(), Ok(()), "{shape:?}");
        assert!(shape.generate(3).operations.len() > 400, "{shape:?}");
    }
    let short = WorkloadShape { duration_ms: 1, operations_per_second: 0.001, ..WorkloadShape::default() };
    assert_eq!(short.generate(3).operations, []);
}

#[test]
fn shapes_out_of_range_are_told() {
    let table = [
        (WorkloadShape { customers: 0, ..WorkloadShape::default() }, InvalidShape::Zero { field: "customers" }),
        (WorkloadShape { aggregates: 0, ..WorkloadShape::default() }, InvalidShape::Zero { field: "aggregates" }),
        (WorkloadShape { duration_ms: 0, ..WorkloadShape::default() }, InvalidShape::Zero { field: "duration_ms" }),
        (
            WorkloadShape { hot_share: 1.5, ..WorkloadShape::default() },
            InvalidShape::Share { field: "hot_share", value: 1.5 },
        ),
        (
            WorkloadShape { read_share: -0.1, ..WorkloadShape::default() },
            InvalidShape::Share { field: "read_share", value: -0.1 },
        ),
        (WorkloadShape { operations_per_second: 0.0, ..WorkloadShape::default() }, InvalidShape::Rate { value: 0.0 }),
        (
            WorkloadShape { operations_per_second: 1e6, ..WorkloadShape::default() },
            InvalidShape::TooMany { operations: 3e7 },
        ),
    ];
    for (shape, expected) in table {
        assert_eq!(shape.check().unwrap_err(), expected);
    }
    let not_a_number = WorkloadShape { contention: f64::NAN, ..WorkloadShape::default() };
    assert!(matches!(not_a_number.check(), Err(InvalidShape::Share { field: "contention", .. })));
    let too_much = WorkloadShape { read_share: 0.9, forbidden_share: 0.2, ..WorkloadShape::default() };
    assert!(matches!(too_much.check(), Err(InvalidShape::ShareSum { .. })));
}

#[test]
fn a_shape_as_data_takes_defaults_and_refuses_unknown_keys() {
    let shape: WorkloadShape = serde_json::from_str(r#"{"customers": 3, "hot_share": 0.4}"#).unwrap();
    assert_eq!(shape, WorkloadShape { customers: 3, hot_share: 0.4, ..WorkloadShape::default() });
    let error = serde_json::from_str::<WorkloadShape>(r#"{"custmers": 3}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `custmers`"), "{error}");
}

#[test]
fn workloads_are_data() {
    let workload = WorkloadShape::default().generate(12);
    let json = serde_json::to_string(&workload).unwrap();
    assert_eq!(serde_json::from_str::<Workload>(&json).unwrap(), workload);
    assert!(json.contains(r#""action":{"action":"read-order","order_id":"#));
    let unknown = r#"{"customers": 1, "operations": [], "x": 1}"#;
    assert!(serde_json::from_str::<Workload>(unknown).is_err());
}

#[test]
fn shrinking_leads_to_fewer_operations() {
    let shape = WorkloadShape { duration_ms: 2_000, ..WorkloadShape::default() };
    let mut tree = shape.strategy().new_tree(&mut TestRunner::deterministic()).unwrap();
    let before = tree.current().operations.len();
    for _ in 0..2_000 {
        if !tree.simplify() {
            break;
        }
    }
    assert!(
        before > 10 && tree.current().operations.len() < before / 4,
        "{before} -> {}",
        tree.current().operations.len()
    );
}
