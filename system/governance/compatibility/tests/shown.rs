//! What people read: findings, and why a schema cannot be used.
#![forbid(unsafe_code)]

use nexus_governance_compatibility::{Mode, Options, Schema, judge};
use serde_json::{Value, json};

fn usable(document: Value) -> Schema {
    Schema::new(document).unwrap()
}

fn order(properties: &Value, required: &[&str], is_open: bool) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": is_open})
}

#[test]
fn findings_say_what_where_why_and_how_to_mend_it() {
    let old = usable(order(
        &json!({
            "order_id": {"type": "string", "pattern": "^[a-z]{1,8}$"},
            "quantity": {"type": "integer", "minimum": 1},
            "method": {"enum": ["card", "bank"]},
            "note": {"type": "string"},
        }),
        &["order_id"],
        false,
    ));
    let new = usable(order(
        &json!({
            "order_id": {"type": "string", "pattern": "^[a-z]{1,4}$"},
            "quantity": {"type": "string"},
            "method": {"enum": ["card"]},
            "currency": {"type": "string"},
        }),
        &["order_id", "currency"],
        false,
    ));
    insta::assert_snapshot!(judge(&new, &[old], &Options::new(Mode::Full)));
}

#[test]
fn a_compatible_change_is_one_line() {
    let old = usable(order(&json!({"a": {"type": "string"}}), &[], false));
    let new = usable(order(&json!({"a": {"type": "string"}, "b": {"type": "string"}}), &[], false));
    insta::assert_snapshot!(judge(&new, &[old], &Options::new(Mode::Backward)));
}

#[test]
fn undecided_is_said_in_so_many_words() {
    let old = usable(json!({"type": "string", "format": "date"}));
    let new = usable(json!({"type": "string", "format": "date", "pattern": "^[0-9-]+$"}));
    insta::assert_snapshot!(judge(&new, &[old], &Options::new(Mode::Backward)));
}

#[test]
fn a_broken_house_rule_without_a_document_says_so() {
    let old = usable(order(&json!({"a": {"type": "string"}, "b": {}}), &[], true));
    let new = usable(order(&json!({"a": {"type": "string"}}), &[], true));
    insta::assert_snapshot!(judge(&new, &[old], &Options::new(Mode::Backward)));
}

#[test]
fn several_changes_together_are_told_as_such() {
    let old = usable(json!({"type": "integer", "minimum": 0}));
    let new = usable(json!({"type": "integer", "minimum": 0, "if": {"maximum": 9}, "then": {"multipleOf": 2}}));
    insta::assert_snapshot!(judge(&new, &[old], &Options::new(Mode::Backward)));
}

#[test]
fn a_report_for_programs() {
    let old = usable(json!({"type": "integer", "minimum": 0}));
    let new = usable(json!({"type": "integer", "minimum": 1}));
    let report = judge(&new, &[old], &Options::new(Mode::Backward));
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn unusable_schemas_are_refused_with_the_place() {
    let parsed = [
        "{\n  \"type\": \"string\",\n}".to_owned(),
        "[]".to_owned(),
        format!("{{\"description\": \"{}\"}}", "x".repeat(170_000)),
        "{\"x\": ".repeat(200) + "1" + &"}".repeat(200),
    ];
    let built = [
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
        json!({"$schema": 7}),
        json!({"properties": {"a": {"type": "text"}}}),
        json!({"properties": {"a/b": {"minLength": -1}}}),
        json!({"properties": {"a": {"pattern": "("}}}),
        json!({"items": {"$ref": "https://example.com/other.json"}}),
        json!({"items": {"$ref": "#/definitions/none"}}),
        json!({"definitions": {"unused": {"$ref": "other.json#/x"}}}),
        json!({"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"allOf": [{"$ref": "#/definitions/a"}]}}, "$ref": "#/definitions/a"}),
        json!({"properties": {"a": {"$id": "https://example.com/a", "items": {"$ref": "#/definitions/b"}}}}),
    ];
    let errors = parsed.iter().map(|text| Schema::parse(text).unwrap_err());
    let errors = errors.chain(built.into_iter().map(|document| Schema::new(document).unwrap_err()));
    let lines: Vec<String> = errors.map(|error| format!("{:<24}| {error}", error.pointer())).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
