//! The catalogue and the domain agree: every event that the domain writes passes its current schema, every stored
//! older version passes its own, and what breaks a shape is refused.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Validator, draft7};
use nexus_domain::{Event, OrderLine, RefundDue};
use serde_json::{Value, json};

fn parse(event_type: &str, version: u32) -> Value {
    let document = nexus_schemas::all()
        .iter()
        .find(|document| document.event_type == event_type && document.version == version)
        .unwrap_or_else(|| panic!("no schema of {event_type} version {version}"));
    serde_json::from_str(document.text).unwrap()
}

fn compile(event_type: &str, version: u32) -> Validator {
    draft7::new(&parse(event_type, version)).unwrap()
}

fn samples() -> Vec<Event> {
    let text = str::to_owned;
    let line = OrderLine { sku: text("SKU-1"), quantity: 999, unit_price_cents: 10_000_000 };
    let refund_due = Some(RefundDue { payment_id: text("p-1"), amount_cents: 499_500_000_000 });
    vec![
        Event::OrderPlaced {
            order_id: text("o-1"),
            customer_id: text("c-1"),
            currency: text("EUR"),
            lines: vec![line; 50],
            total_cents: 499_500_000_000,
        },
        Event::PaymentConfirmed { order_id: text("o-1"), payment_id: text("p-1"), amount_cents: 499_500_000_000 },
        Event::OrderShipped { order_id: text("o-1"), carrier: text("DHL"), tracking_number: text("JD0146-1") },
        Event::OrderCancelled { order_id: text("o-1"), reason: "é".repeat(200), refund_due: None },
        Event::OrderCancelled { order_id: text("o-1"), reason: text("x"), refund_due },
        Event::PaymentProcessed {
            payment_id: text("p-1"),
            order_id: text("o-1"),
            amount_cents: 1,
            method: text("bank-transfer"),
        },
        Event::PaymentRefunded { payment_id: text("p-1"), order_id: text("o-1"), amount_cents: 1 },
        Event::ItemAddedToCart {
            cart_id: text("k-1"),
            customer_id: text("c-1"),
            sku: text("0-A"),
            quantity: 1,
            unit_price_cents: 1,
        },
        Event::ItemRemovedFromCart { cart_id: text("k-1"), sku: text("A") },
        Event::CartAbandoned { cart_id: text("k-1"), customer_id: text("c-1"), total_cents: 9_007_199_254_740_991 },
    ]
}

#[test]
fn every_document_is_draft_07_and_tells_what_it_is() {
    for document in nexus_schemas::all() {
        let (event_type, version) = (document.event_type, document.version);
        let schema: Value = serde_json::from_str(document.text).unwrap();
        assert!(draft7::meta::validate(&schema).is_ok(), "{event_type} v{version}");
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#", "{event_type} v{version}");
        assert_eq!(schema["$id"], format!("urn:nexus:schema:{event_type}:v{version}"));
        assert_closed(&schema, &format!("{event_type} v{version}"));
    }
}

/// Every object in the schema names its fields, requires some and refuses others; the top tells title and meaning.
fn assert_closed(schema: &Value, place: &str) {
    assert!(schema["title"].is_string() && schema["description"].is_string(), "{place} tells no meaning");
    assert_objects_closed(schema, place);
}

fn assert_objects_closed(schema: &Value, place: &str) {
    if schema["type"] == "object" {
        assert_eq!(schema["additionalProperties"], false, "{place} lets unknown fields in");
        let fields = schema["properties"].as_object().unwrap_or_else(|| panic!("{place} names no fields"));
        let required = schema["required"].as_array().unwrap_or_else(|| panic!("{place} requires no field"));
        assert!(required.iter().all(|name| fields.contains_key(name.as_str().unwrap())), "{place}");
        fields.iter().for_each(|(name, field)| assert_objects_closed(field, &format!("{place}/{name}")));
    }
    if schema["type"] == "array" {
        assert_objects_closed(&schema["items"], &format!("{place}/items"));
    }
}

#[test]
fn the_catalogue_is_sorted_and_has_every_version_of_every_event_type() {
    let listed: Vec<_> = nexus_schemas::all().iter().map(|document| (document.event_type, document.version)).collect();
    assert!(listed.is_sorted());
    let mut newest = BTreeMap::new();
    for (event_type, version) in listed {
        assert_eq!(version, newest.get(event_type).copied().unwrap_or(0) + 1, "{event_type} has a gap or a double");
        newest.insert(event_type, version);
    }
    let written: BTreeMap<_, _> = samples().iter().map(|event| (event.event_type(), event.schema_version())).collect();
    assert_eq!(newest, written, "the newest schemas are those that the domain writes");
    assert_eq!(written.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(Event::TYPES));
}

#[test]
fn every_schema_file_is_in_the_catalogue() {
    let mut files = 0;
    for folder in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).unwrap() {
        files += std::fs::read_dir(folder.unwrap().path()).unwrap().count();
    }
    assert_eq!(files, nexus_schemas::all().len());
}

#[test]
fn what_the_domain_writes_passes_its_current_schema() {
    for event in samples() {
        let schema = compile(event.event_type(), event.schema_version());
        let errors: Vec<_> = schema.iter_errors(&event.payload()).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{event:?}: {errors:?}");
    }
}

#[test]
fn a_missing_or_an_unknown_field_is_refused_in_every_event() {
    for event in samples() {
        let document = parse(event.event_type(), event.schema_version());
        let schema = draft7::new(&document).unwrap();
        for name in document["required"].as_array().unwrap() {
            let mut payload = event.payload();
            payload.as_object_mut().unwrap().remove(name.as_str().unwrap()).unwrap();
            assert!(!schema.is_valid(&payload), "{event:?} without {name}");
        }
        let mut payload = event.payload();
        payload["unknown"] = json!(1);
        assert!(!schema.is_valid(&payload), "{event:?} with an unknown field");
    }
}

#[test]
fn stored_orders_of_version_1_pass_version_1_only() {
    let stored = json!({
        "order_id": "o-1", "customer_id": "c-1", "total_cents": 500,
        "lines": [{"sku": "A-1", "quantity": 2, "unit_price_cents": 250}],
    });
    assert!(compile("OrderPlaced", 1).is_valid(&stored));
    assert!(!compile("OrderPlaced", 2).is_valid(&stored));
    let raised = Event::from_stored("OrderPlaced", 1, &stored).unwrap().payload();
    assert!(!compile("OrderPlaced", 1).is_valid(&raised));
    assert!(compile("OrderPlaced", 2).is_valid(&raised));
}

#[test]
fn shapes_are_held_at_their_bounds() {
    let table: &[(&str, &str, Value, bool)] = &[
        ("OrderPlaced", "/currency", json!("EUR"), true),
        ("OrderPlaced", "/currency", json!("eur"), false),
        ("OrderPlaced", "/currency", json!("EURO"), false),
        ("OrderPlaced", "/currency", json!("EUR\n"), false),
        ("OrderPlaced", "/order_id", json!("a".repeat(64)), true),
        ("OrderPlaced", "/order_id", json!("a".repeat(65)), false),
        ("OrderPlaced", "/order_id", json!("a b"), false),
        ("OrderPlaced", "/lines/0/sku", json!("A".repeat(40)), true),
        ("OrderPlaced", "/lines/0/sku", json!("A".repeat(41)), false),
        ("OrderPlaced", "/lines/0/sku", json!("-A"), false),
        ("OrderPlaced", "/lines/0/sku", json!("a"), false),
        ("OrderPlaced", "/lines/0/quantity", json!(999), true),
        ("OrderPlaced", "/lines/0/quantity", json!(1000), false),
        ("OrderPlaced", "/lines/0/quantity", json!(0), false),
        ("OrderPlaced", "/lines/0/quantity", json!(1.5), false),
        ("OrderPlaced", "/lines/0/quantity", json!("1"), false),
        ("OrderPlaced", "/lines/0/unit_price_cents", json!(10_000_000), true),
        ("OrderPlaced", "/lines/0/unit_price_cents", json!(10_000_001), false),
        ("OrderPlaced", "/lines/0/unit_price_cents", json!(0), false),
        ("OrderPlaced", "/lines", json!([]), false),
        ("OrderPlaced", "/total_cents", json!(499_500_000_001_u64), false),
        ("OrderPlaced", "/total_cents", json!(u64::MAX), false),
        ("OrderShipped", "/tracking_number", json!("AB1"), true),
        ("OrderShipped", "/tracking_number", json!("AB"), false),
        ("OrderShipped", "/tracking_number", json!("-AB"), false),
        ("OrderShipped", "/tracking_number", json!("A".repeat(41)), false),
        ("OrderShipped", "/carrier", json!("Österreich"), false),
        ("OrderShipped", "/carrier", json!(""), false),
        ("OrderCancelled", "/reason", json!(""), false),
        ("OrderCancelled", "/reason", json!("é".repeat(200)), true),
        ("OrderCancelled", "/reason", json!("é".repeat(201)), false),
        ("PaymentProcessed", "/method", json!("card"), true),
        ("PaymentProcessed", "/method", json!("Card"), false),
        ("PaymentProcessed", "/amount_cents", json!(0), false),
        ("PaymentProcessed", "/amount_cents", json!(-1), false),
        ("PaymentRefunded", "/amount_cents", json!(0), false),
        ("PaymentConfirmed", "/amount_cents", json!(null), false),
        ("ItemAddedToCart", "/quantity", json!(1000), false),
        ("ItemRemovedFromCart", "/sku", json!("a"), false),
        ("CartAbandoned", "/total_cents", json!(9_007_199_254_740_992_u64), false),
    ];
    for (event_type, pointer, value, valid) in table {
        let event = samples().into_iter().find(|event| event.event_type() == *event_type).unwrap();
        let mut payload = event.payload();
        *payload.pointer_mut(pointer).unwrap_or_else(|| panic!("{event_type} has no {pointer}")) = value.clone();
        let schema = compile(event_type, event.schema_version());
        assert_eq!(schema.is_valid(&payload), *valid, "{event_type}{pointer} = {value}");
    }
}

#[test]
fn an_order_has_at_most_fifty_lines() {
    let mut payload = samples()[0].payload();
    let lines = payload["lines"].as_array_mut().unwrap();
    lines.push(lines[0].clone());
    assert!(!compile("OrderPlaced", 2).is_valid(&payload));
}
