//! Schema checks: what is refused, in which order it is told, and which schemas cannot be used.
#![forbid(unsafe_code)]

use nexus_governance::{InvalidSchema, SchemaRejection, SchemaValidator};
use serde_json::{Value, json};

const DRAFT_07: &str = "http://json-schema.org/draft-07/schema#";

fn order() -> Value {
    json!({"order_id": "o-1", "customer_id": "c", "currency": "EUR", "total_cents": 5,
        "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 5}]})
}

#[test]
fn violations_are_told_with_pointers_in_a_stable_order() {
    let validator = SchemaValidator::from_catalogue().unwrap();
    assert_eq!(validator.validate("OrderPlaced", 2, &order()), Ok(()));
    let mut wrong = order();
    wrong["currency"] = json!("euro");
    wrong["lines"][0] = json!({"sku": "a b", "quantity": 1000, "extra/field": 1});
    wrong["secret"] = json!("4111 1111 1111 1111");
    wrong.as_object_mut().unwrap().remove("order_id");
    let rejection = validator.validate("OrderPlaced", 2, &wrong).unwrap_err();
    assert_eq!(validator.validate("OrderPlaced", 2, &wrong), Err(rejection.clone()));
    assert!(!rejection.to_string().contains("4111"), "values are not repeated");
    let SchemaRejection::Violations(violations) = rejection else { panic!("{rejection}") };
    assert!(violations.is_sorted());
    let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_unknown_type_or_version_is_no_free_pass() {
    let validator = SchemaValidator::from_catalogue().unwrap();
    for (event_type, version) in [("OrderPlaced", 3), ("OrderPlaced", 0), ("OrderLost", 1), ("", 1)] {
        let expected = SchemaRejection::UnknownSchema { event_type: event_type.to_owned(), version };
        assert_eq!(validator.validate(event_type, version, &order()), Err(expected));
    }
}

#[test]
fn the_validator_knows_the_whole_catalogue() {
    let validator = SchemaValidator::from_catalogue().unwrap();
    let catalogue: Vec<_> =
        nexus_schemas::all().iter().map(|document| (document.event_type, document.version)).collect();
    assert_eq!(validator.known().collect::<Vec<_>>(), catalogue);
}

#[test]
fn unusable_schemas_are_told() {
    let compile = |schemas: Vec<Value>| {
        let documents: Vec<_> = schemas.into_iter().map(|schema| ("E".to_owned(), 1, schema)).collect();
        SchemaValidator::compile(&documents).map(drop).unwrap_err()
    };
    assert!(matches!(compile(vec![json!({})]), InvalidSchema::NotDraft07 { .. }));
    let newer = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    assert!(compile(vec![newer]).to_string().contains("draft/2020-12"));
    let wrong_type = json!({"$schema": DRAFT_07, "type": "objekt"});
    assert!(matches!(compile(vec![wrong_type]), InvalidSchema::Malformed { pointer, .. } if pointer == "/type"));
    let wrong_pattern = json!({"$schema": DRAFT_07, "pattern": "("});
    assert!(matches!(compile(vec![wrong_pattern]), InvalidSchema::Malformed { .. }));
    let remote = json!({"$schema": DRAFT_07, "$ref": "http://example.com/elsewhere.json"});
    assert!(matches!(compile(vec![remote]), InvalidSchema::Malformed { .. }));
    let good = json!({"$schema": DRAFT_07});
    let twice = compile(vec![good.clone(), good]);
    assert_eq!(twice, InvalidSchema::Duplicate { event_type: "E".into(), version: 1 });
}
