//! Query, Scan, batches and indexes, checked against a naive model.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use nexus_cloud::{Assumptions, CapacityConfig};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Driver, item, key, orders_table, quick};

fn indexed_table() -> Value {
    let mut table = orders_table();
    table["AttributeDefinitions"].as_array_mut().unwrap().push(json!({"AttributeName": "g", "AttributeType": "N"}));
    table["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
    }]);
    table["LocalSecondaryIndexes"] = json!([{
        "IndexName": "by-local",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }]);
    table
}

fn numbered(pk: &str, sk: &str, g: i64) -> Value {
    let mut item = item(pk, sk, "v");
    item["g"] = json!({"N": g.to_string()});
    item["other"] = json!({"S": "not projected"});
    item
}

fn query(partition: &str, sort: &str, values: Value) -> Value {
    let mut values = values;
    values[":p"] = json!({"S": partition});
    let condition = if sort.is_empty() { "pk = :p".to_owned() } else { format!("pk = :p AND {sort}") };
    json!({"TableName": "orders", "KeyConditionExpression": condition, "ExpressionAttributeValues": values})
}

fn sort_keys(answer: &Value) -> Vec<String> {
    let items = answer["Items"].as_array().unwrap();
    items.iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect()
}

/// Follows LastEvaluatedKey to the end.
fn pages(driver: &mut Driver, operation: &str, mut request: Value) -> (Vec<Value>, usize) {
    let (mut items, mut count) = (Vec::new(), 0);
    loop {
        let answer = driver.call(operation, request.clone()).ok();
        items.extend(answer["Items"].as_array().unwrap().iter().cloned());
        count += 1;
        match answer.get("LastEvaluatedKey") {
            None => return (items, count),
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
        }
    }
}

#[test]
fn queries_bound_sort_and_page() {
    let mut driver = Driver::with_orders(quick());
    for sk in ["a1", "a2", "b1", "b2", "c1"] {
        driver.put("p", sk, "v").ok();
        driver.put("q", sk, "v").ok();
    }
    let bound = json!({":a": {"S": "a2"}, ":b": {"S": "b2"}});
    let one = json!({":a": {"S": "b1"}});
    let prefix = json!({":a": {"S": "b"}});
    for (sort, values, wanted) in [
        ("", json!({}), vec!["a1", "a2", "b1", "b2", "c1"]),
        ("sk = :a", one.clone(), vec!["b1"]),
        ("sk < :a", one.clone(), vec!["a1", "a2"]),
        ("sk <= :a", one.clone(), vec!["a1", "a2", "b1"]),
        ("sk > :a", one.clone(), vec!["b2", "c1"]),
        ("sk >= :a", one, vec!["b1", "b2", "c1"]),
        ("sk BETWEEN :a AND :b", bound, vec!["a2", "b1", "b2"]),
        ("begins_with(sk, :a)", prefix, vec!["b1", "b2"]),
    ] {
        let mut request = query("p", sort, values);
        assert_eq!(sort_keys(&driver.call("Query", request.clone()).ok()), wanted, "{sort}");
        request["ScanIndexForward"] = json!(false);
        let backwards: Vec<&str> = wanted.iter().rev().copied().collect();
        assert_eq!(sort_keys(&driver.call("Query", request.clone()).ok()), backwards, "{sort}");
        for limit in 1..3 {
            request["Limit"] = json!(limit);
            let (items, _) = pages(&mut driver, "Query", request.clone());
            assert_eq!(sort_keys(&json!({"Items": items})), backwards, "{sort} by {limit}");
        }
    }
}

#[test]
fn pages_end_before_the_filter() {
    let mut driver = Driver::with_orders(quick());
    for sk in 0..6 {
        driver.put("p", &sk.to_string(), if sk == 5 { "wanted" } else { "other" }).ok();
    }
    let mut request = query("p", "", json!({":w": {"S": "wanted"}}));
    request["FilterExpression"] = json!("v = :w");
    request["Limit"] = json!(2);
    let answer = driver.call("Query", request.clone()).ok();
    assert_eq!((&answer["Count"], &answer["ScannedCount"]), (&json!(0), &json!(2)));
    assert!(answer.get("LastEvaluatedKey").is_some(), "an empty page is not the last one");
    let (items, count) = pages(&mut driver, "Query", request);
    assert_eq!((items.len(), count), (1, 4), "a full last page names its last key");
}

#[test]
fn a_page_holds_a_megabyte() {
    let mut driver = Driver::with_orders(quick());
    let large = "x".repeat(300_000);
    for sk in 0..8 {
        driver.put("p", &sk.to_string(), &large).ok();
        driver.wait(Duration::from_secs(1));
    }
    let (items, count) = pages(&mut driver, "Query", query("p", "", json!({})));
    assert_eq!((items.len(), count), (8, 3));
    let too_large = driver.put("p", "9", &"x".repeat(410_000));
    assert_eq!(too_large.error().1, "Item size has exceeded the maximum allowed size");
}

#[test]
fn scan_segments_share_the_table() {
    let mut driver = Driver::with_orders(quick());
    for pk in 0..50 {
        driver.put(&format!("p{pk}"), "1", "v").ok();
    }
    let mut all = Vec::new();
    for segment in 0..4 {
        let request = json!({"TableName": "orders", "Segment": segment, "TotalSegments": 4, "Limit": 3});
        let (items, _) = pages(&mut driver, "Scan", request);
        assert!(!items.is_empty() && items.len() < 50);
        all.extend(items);
    }
    let mut names: Vec<String> = all.iter().map(|item| item["pk"]["S"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), all.len()), (50, 50));
    let wrong = json!({"TableName": "orders", "Segment": 4, "TotalSegments": 4});
    assert!(driver.call("Scan", wrong).error().1.contains("is not less than TotalSegments"));
}

#[test]
fn indexes_follow_their_table() {
    let mut driver = Driver::new(quick());
    driver.cloud.create_table_now(driver.now, &indexed_table()).unwrap();
    for (pk, sk, g) in [("a", "1", 7), ("b", "1", 7), ("a", "2", 8), ("a", "0", 9)] {
        driver.call("PutItem", json!({"TableName": "orders", "Item": numbered(pk, sk, g)})).ok();
    }
    driver.put("a", "sparse", "v").ok();
    let by_g = |g: i64| {
        json!({
            "TableName": "orders", "IndexName": "by-g", "KeyConditionExpression": "g = :g",
            "ExpressionAttributeValues": {":g": {"N": g.to_string()}},
        })
    };
    let answer = driver.call("Query", by_g(7)).ok();
    assert_eq!(answer["Count"], 2);
    assert!(answer["Items"][0].get("v").is_some() && answer["Items"][0].get("other").is_none(), "{answer}");
    let mut paged = by_g(7);
    paged["Limit"] = json!(1);
    let (items, _) = pages(&mut driver, "Query", paged);
    assert_eq!(items.len(), 2);
    let local = json!({
        "TableName": "orders", "IndexName": "by-local", "KeyConditionExpression": "pk = :p AND g > :g",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":g": {"N": "1"}}, "ConsistentRead": true,
    });
    assert_eq!(sort_keys(&driver.call("Query", local.clone()).ok()), ["1", "2", "0"]);
    let mut whole = local;
    whole["Select"] = json!("ALL_ATTRIBUTES");
    assert_eq!(driver.call("Query", whole).ok()["Items"][0]["other"]["S"], "not projected");
    let mut strong = by_g(7);
    strong["ConsistentRead"] = json!(true);
    assert_eq!(
        driver.call("Query", strong).error().1,
        "Consistent reads are not supported on global secondary indexes"
    );
    driver.call("PutItem", json!({"TableName": "orders", "Item": numbered("a", "1", 8)})).ok();
    assert_eq!(driver.call("Query", by_g(7)).ok()["Count"], 1);
    assert_eq!(driver.call("Query", by_g(8)).ok()["Count"], 2);
    driver.call("DeleteItem", json!({"TableName": "orders", "Key": key("a", "1")})).ok();
    assert_eq!(driver.call("Query", by_g(8)).ok()["Count"], 1);
    let wrong_type = json!({"TableName": "orders", "Item": {"pk": {"S": "x"}, "sk": {"S": "y"}, "g": {"S": "z"}}});
    assert!(
        driver.call("PutItem", wrong_type).error().1.contains("Type mismatch for Index Key g Expected: N Actual: S")
    );
}

#[test]
fn global_indexes_lag_behind() {
    let mut config = quick();
    config.assumptions = Assumptions { index_lag_p50_ms: 200.0, index_lag_p99_ms: 500.0, ..Assumptions::immediate() };
    let mut driver = Driver::new(config);
    driver.cloud.create_table_now(driver.now, &indexed_table()).unwrap();
    driver.call("PutItem", json!({"TableName": "orders", "Item": numbered("a", "1", 7)})).ok();
    let scan = json!({"TableName": "orders", "IndexName": "by-g"});
    assert_eq!(driver.call("Scan", scan.clone()).ok()["Count"], 0);
    driver.wait(Duration::from_secs(5));
    assert_eq!(driver.call("Scan", scan).ok()["Count"], 1);
}

#[test]
fn hot_keys_are_throttled_and_cold_ones_are_not() {
    let mut config = quick();
    config.dynamodb.capacity = CapacityConfig { partition_write_units: 3, ..CapacityConfig::default() };
    let mut driver = Driver::with_orders(config);
    let calls: Vec<u64> =
        (0..5).map(|n| driver.send("PutItem", &support::put_request("hot", &n.to_string(), "v"))).collect();
    let cold = driver.send("PutItem", &support::put_request("cold", "1", "v"));
    let mut refused = 0;
    for call in calls {
        let answer = driver.answer(call);
        if let support::Answer::Body { status: 400, body } = answer {
            assert_eq!(body["ThrottlingReasons"][0]["reason"], "TableWriteKeyRangeThroughputExceeded", "{body}");
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
    driver.answer(cold).ok();
}

#[derive(Clone, Debug)]
enum Step {
    Put { pk: u8, sk: u8, value: u8, only_if_absent: bool },
    Delete { pk: u8, sk: u8 },
    Add { pk: u8, sk: u8, by: i8 },
    Transact { puts: Vec<(u8, u8, u8)>, only_if_absent: bool },
    Query { pk: u8, from: u8, forward: bool, limit: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (pk, sk) = (0u8..3, 0u8..4);
    let step = prop_oneof![
        (pk.clone(), sk.clone(), any::<u8>(), any::<bool>()).prop_map(|(pk, sk, value, only_if_absent)| Step::Put {
            pk,
            sk,
            value,
            only_if_absent
        }),
        (pk.clone(), sk.clone()).prop_map(|(pk, sk)| Step::Delete { pk, sk }),
        (pk.clone(), sk.clone(), any::<i8>()).prop_map(|(pk, sk, by)| Step::Add { pk, sk, by }),
        (proptest::collection::vec((pk.clone(), sk.clone(), any::<u8>()), 1..4), any::<bool>())
            .prop_map(|(puts, only_if_absent)| Step::Transact { puts, only_if_absent }),
        (pk, sk, any::<bool>(), 1u8..4).prop_map(|(pk, from, forward, limit)| Step::Query { pk, from, forward, limit }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What the table should hold: the number `n` of each item.
type Model = BTreeMap<(u8, u8), i64>;

fn model_item(pk: u8, sk: u8, n: i64) -> Value {
    json!({"pk": {"S": pk.to_string()}, "sk": {"S": sk.to_string()}, "n": {"N": n.to_string()}})
}

fn model_put(pk: u8, sk: u8, value: u8, only_if_absent: bool) -> Value {
    let mut put = json!({"TableName": "orders", "Item": model_item(pk, sk, value.into())});
    if only_if_absent {
        put["ConditionExpression"] = json!("attribute_not_exists(pk)");
    }
    put
}

/// Plays one step on both and compares what is told about it.
fn play(driver: &mut Driver, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Put { pk, sk, value, only_if_absent } => {
            let answer = driver.call("PutItem", model_put(pk, sk, value, only_if_absent));
            if only_if_absent && model.contains_key(&(pk, sk)) {
                prop_assert_eq!(answer.code(), "ConditionalCheckFailedException");
            } else {
                answer.ok();
                model.insert((pk, sk), value.into());
            }
        }
        Step::Delete { pk, sk } => {
            let request = json!({
                "TableName": "orders", "Key": key(&pk.to_string(), &sk.to_string()), "ReturnValues": "ALL_OLD",
            });
            let old = model.remove(&(pk, sk)).map(|n| model_item(pk, sk, n));
            prop_assert_eq!(driver.call("DeleteItem", request).ok().get("Attributes").cloned(), old);
        }
        Step::Add { pk, sk, by } => {
            let request = json!({
                "TableName": "orders", "Key": key(&pk.to_string(), &sk.to_string()), "UpdateExpression": "ADD n :by",
                "ExpressionAttributeValues": {":by": {"N": by.to_string()}}, "ReturnValues": "UPDATED_NEW",
            });
            let n = model.entry((pk, sk)).or_insert(0);
            *n += i64::from(by);
            prop_assert_eq!(driver.call("UpdateItem", request).ok()["Attributes"]["n"]["N"].clone(), n.to_string());
        }
        Step::Transact { puts, only_if_absent } => {
            let items: Vec<Value> = puts
                .iter()
                .map(|(pk, sk, value)| json!({"Put": model_put(*pk, *sk, *value, only_if_absent)}))
                .collect();
            let answer = driver.call("TransactWriteItems", json!({"TransactItems": items}));
            let distinct: std::collections::BTreeSet<_> = puts.iter().map(|(pk, sk, _)| (pk, sk)).collect();
            let taken = |(pk, sk, _): &(u8, u8, u8)| only_if_absent && model.contains_key(&(*pk, *sk));
            if distinct.len() < puts.len() {
                prop_assert_eq!(answer.code(), "ValidationException");
            } else if puts.iter().any(taken) {
                let wanted: Vec<&str> =
                    puts.iter().map(|put| if taken(put) { "ConditionalCheckFailed" } else { "None" }).collect();
                prop_assert_eq!(answer.reasons(), wanted);
            } else {
                answer.ok();
                model.extend(puts.iter().map(|(pk, sk, value)| ((*pk, *sk), i64::from(*value))));
            }
        }
        Step::Query { pk, from, forward, limit } => {
            let mut request = query(&pk.to_string(), "sk >= :from", json!({":from": {"S": from.to_string()}}));
            request["ScanIndexForward"] = json!(forward);
            request["Limit"] = json!(limit);
            let mut wanted: Vec<Value> =
                model.range((pk, from)..(pk + 1, 0)).map(|((pk, sk), n)| model_item(*pk, *sk, *n)).collect();
            if !forward {
                wanted.reverse();
            }
            prop_assert_eq!(pages(driver, "Query", request).0, wanted);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_naive_model(steps in steps()) {
        let mut driver = Driver::with_orders(quick());
        let mut model = Model::new();
        for step in steps {
            play(&mut driver, &mut model, step)?;
        }
        let wanted: Vec<Value> = model.iter().map(|((pk, sk), n)| model_item(*pk, *sk, *n)).collect();
        prop_assert_eq!(driver.cloud.scan_now("orders"), wanted);

        // The stream, folded, is the table.
        let mut folded = BTreeMap::new();
        for record in driver.cloud.stream_now("orders") {
            let key = record["dynamodb"]["Keys"].to_string();
            match record["dynamodb"].get("NewImage") {
                Some(image) => folded.insert(key, image.clone()),
                None => folded.remove(&key),
            };
        }
        prop_assert_eq!(folded.into_values().collect::<Vec<_>>(), driver.cloud.scan_now("orders"));
    }

    #[test]
    fn the_same_seed_gives_the_same_journal(seed in any::<u64>()) {
        let run = || {
            let config = nexus_cloud::CloudConfig { seed, ..nexus_cloud::CloudConfig::default() };
            let mut driver = Driver::with_orders(config);
            for n in 0..10 {
                driver.send("PutItem", &support::put_request("a", &n.to_string(), "v"));
                driver.wait(Duration::from_millis(3));
            }
            driver.wait(Duration::from_secs(10));
            serde_json::to_string(driver.cloud.journal()).unwrap()
        };
        prop_assert_eq!(run(), run());
    }
}
