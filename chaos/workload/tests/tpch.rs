//! TPC-H orders as a workload.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use nexus_workload::{Action, InvalidShape, WorkloadShape, WorkloadSource, parse_jsonl, tpch};
use serde_json::Value;

fn shape(orders: u64) -> WorkloadShape {
    WorkloadShape {
        source: WorkloadSource::Tpch,
        orders,
        operations_per_second: 100.0,
        duration_ms: 120_000,
        ..WorkloadShape::default()
    }
}

/// The first rows of the data set as its specification's own program prints them: order 1 has six lines, the first of
/// 17 pieces of part 155190 for 21168.23 in all, and is open; order 2 is open; order 3 is fulfilled.
#[test]
fn the_rows_are_those_of_the_benchmark() {
    let workload = tpch(10, 5.0, 4, 1);
    let places: Vec<&Value> = workload
        .operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Command { body, .. } if body["type"] == "PlaceOrder" => Some(body),
            _ => None,
        })
        .collect();
    let ids: Vec<&str> = places.iter().filter_map(|body| body["order_id"].as_str()).collect();
    assert_eq!(ids[..8], ["1", "2", "3", "4", "5", "6", "7", "32"].map(|key| format!("o-tpch-{key}")));
    let first = places[0];
    assert_eq!(first["customer_id"], "c-36901");
    assert_eq!(first["lines"].as_array().map(Vec::len), Some(6));
    let line = &first["lines"][0];
    assert_eq!((line["sku"].as_str(), line["quantity"].as_u64()), (Some("PART-155190"), Some(17)));
    assert_eq!(line["unit_price_cents"].as_u64().map(|price| price * 17), Some(2_116_823));
}

#[test]
fn the_same_arguments_give_the_same_workload_and_another_seed_other_times() {
    let bodies = |seed| {
        let workload = shape(200).generate(seed);
        workload.operations.len()
    };
    assert_eq!(shape(200).generate(7), shape(200).generate(7));
    assert_ne!(shape(200).generate(7), shape(200).generate(8));
    assert_eq!(bodies(7), bodies(8), "the rows do not depend on the seed");
}

#[test]
fn each_order_goes_its_way_in_order_and_in_time() {
    let workload = shape(1_000).generate(3);
    assert!(workload.operations.is_sorted_by_key(|operation| (operation.at_ms, operation.id)));
    let mut ways: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for operation in &workload.operations {
        let Action::Command { body, .. } = &operation.action else { panic!("only commands") };
        assert!(operation.customer < workload.customers);
        let order = body["order_id"].as_str().unwrap_or_else(|| panic!("no order in {body}"));
        let kind = body["type"].as_str().expect("a type");
        ways.entry(order.to_owned()).or_default().push((operation.at_ms, kind.to_owned()));
    }
    assert_eq!(ways.len(), 1_000);
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for (order, way) in &ways {
        let kinds: Vec<&str> = way.iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(kinds[..3], ["PlaceOrder", "ProcessPayment", "ConfirmPayment"], "{order}");
        assert!(kinds.len() == 3 || kinds.len() == 4 && ["ShipOrder", "CancelOrder"].contains(&kinds[3]), "{kinds:?}");
        assert!(way.windows(2).all(|pair| pair[0].0 + 2_000 <= pair[1].0), "{order}: {way:?}");
        *ends.entry(kinds[kinds.len() - 1]).or_default() += 1;
    }
    // About half of the benchmark's orders are fulfilled, half are open and one in forty is partly fulfilled.
    let count = |end: &str| ends.get(end).copied().unwrap_or(0);
    assert!((430..570).contains(&count("ShipOrder")), "{ends:?}");
    assert!((430..570).contains(&count("ConfirmPayment")), "{ends:?}");
    assert!((5..60).contains(&count("CancelOrder")), "{ends:?}");
}

#[test]
fn amounts_are_what_the_lines_cost_and_large_orders_come_from_a_system() {
    let workload = shape(300).generate(3);
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    let mut buyers: BTreeMap<&str, u32> = BTreeMap::new();
    for operation in &workload.operations {
        let Action::Command { role, body, .. } = &operation.action else { panic!("only commands") };
        let order = body["order_id"].as_str().expect("an order").to_owned();
        if body["type"] == "PlaceOrder" {
            let lines = body["lines"].as_array().expect("lines");
            assert!((1..=7).contains(&lines.len()));
            let number = |line: &Value, field: &str| line[field].as_u64().expect("a number");
            let costs = lines.iter().map(|line| number(line, "quantity") * number(line, "unit_price_cents"));
            let total: u64 = costs.sum();
            assert_eq!(role == "system", total > 5_000_000, "{role} orders for {total}");
            *buyers.entry(role).or_default() += 1;
            totals.insert(order, total);
        } else if let Some(amount) = body["amount_cents"].as_u64() {
            assert_eq!(totals.get(&order), Some(&amount));
        }
    }
    assert_eq!(buyers.len(), 2, "{buyers:?}");
}

#[test]
fn it_can_be_written_and_read_as_a_file() {
    let workload = shape(50).generate(1);
    assert_eq!(parse_jsonl(&workload.to_jsonl(), "tpch.jsonl").map(|read| read.operations), Ok(workload.operations));
}

#[test]
fn the_rate_is_held() {
    let workload = shape(2_000).generate(5);
    let last_ms = workload.operations.last().expect("operations").at_ms;
    let expected_ms = workload.operations.len() as u64 * 10;
    assert!(last_ms.abs_diff(expected_ms) < expected_ms / 5, "{last_ms} instead of about {expected_ms}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let cases = [
        (WorkloadShape { orders: 0, ..shape(1) }, InvalidShape::Zero { field: "orders" }),
        (WorkloadShape { read_share: 0.1, ..shape(1) }, InvalidShape::Unused { field: "read_share" }),
        (WorkloadShape { aggregates: 3, ..shape(1) }, InvalidShape::Unused { field: "aggregates" }),
        (WorkloadShape { orders: 5, ..WorkloadShape::default() }, InvalidShape::UnusedOrders),
        (
            WorkloadShape { duration_ms: 20_000, ..shape(1_000) },
            InvalidShape::TooShort { orders: 1_000, needed_ms: 48_000.0, duration_ms: 20_000 },
        ),
        (shape(600_000), InvalidShape::TooMany { operations: 2_400_000.0 }),
    ];
    for (shape, expected) in cases {
        assert_eq!(shape.check(), Err(expected));
    }
    assert_eq!(shape(1_000).check(), Ok(()));
}
