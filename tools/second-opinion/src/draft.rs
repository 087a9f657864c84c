//! A draft-07 schema said in the words of draft 2020-12, the only draft that jsoncompat reads.

use serde_json::{Map, Value, json};

/// The formats that draft-07 defines. Others say nothing there, and jsoncompat would refuse their names.
const FORMATS: [&str; 17] = [
    "date-time",
    "date",
    "time",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// Words of draft 2020-12 that draft-07 does not know, and so ignores.
const UNKNOWN_TO_DRAFT_07: [&str; 12] = [
    "prefixItems",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "minContains",
    "maxContains",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$vocabulary",
    "contentSchema",
];

/// The same schema in draft 2020-12. `contentEncoding` and `contentMediaType` stay as they are, though they assert nothing there.
pub fn in_2020_12(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    if let Some(reference) = fields.get("$ref") {
        return reference_alone(reference, fields);
    }
    let mut words = Map::new();
    let is_tuple = fields.get("items").is_some_and(Value::is_array);
    for (keyword, value) in fields.iter().filter(|(keyword, _)| !UNKNOWN_TO_DRAFT_07.contains(&keyword.as_str())) {
        match keyword.as_str() {
            "$schema" => {}
            "$id" => put_identifier(value, &mut words),
            "format" if !value.as_str().is_some_and(|name| FORMATS.contains(&name)) => {}
            "items" if is_tuple => put(&mut words, "prefixItems", each(value)),
            "additionalItems" if is_tuple => put(&mut words, "items", in_2020_12(value)),
            "additionalItems" => {}
            "dependencies" => put_dependencies(value, &mut words),
            "allOf" | "anyOf" | "oneOf" => put(&mut words, keyword, each(value)),
            "properties" | "patternProperties" | "definitions" => put(&mut words, keyword, named(value)),
            "items" | "additionalProperties" | "propertyNames" | "contains" | "not" | "if" | "then" | "else" => {
                put(&mut words, keyword, in_2020_12(value));
            }
            _ => put(&mut words, keyword, value.clone()),
        }
    }
    Value::Object(words)
}

/// Draft-07 ignores what stands beside a reference; the definitions stay, for references to lead to.
fn reference_alone(reference: &Value, fields: &Map<String, Value>) -> Value {
    let mut words = Map::from_iter([("$ref".to_owned(), reference.clone())]);
    if let Some(definitions) = fields.get("definitions") {
        put(&mut words, "definitions", named(definitions));
    }
    Value::Object(words)
}

fn put(words: &mut Map<String, Value>, keyword: &str, value: Value) {
    words.insert(keyword.to_owned(), value);
}

/// A name within the document is an anchor now. Addresses are left out: usable schemas do not refer by them, and jsoncompat
/// rewrites a schema that has one.
fn put_identifier(value: &Value, words: &mut Map<String, Value>) {
    if let Some(name) = value.as_str().and_then(|name| name.strip_prefix('#')) {
        put(words, "$anchor", json!(name));
    }
}

fn put_dependencies(value: &Value, words: &mut Map<String, Value>) {
    let (mut names, mut schemas) = (Map::new(), Map::new());
    for (trigger, dependency) in value.as_object().into_iter().flatten() {
        match dependency {
            Value::Array(_) => names.insert(trigger.clone(), dependency.clone()),
            _ => schemas.insert(trigger.clone(), in_2020_12(dependency)),
        };
    }
    for (keyword, part) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
        if !part.is_empty() {
            put(words, keyword, Value::Object(part));
        }
    }
}

fn each(value: &Value) -> Value {
    Value::Array(value.as_array().into_iter().flatten().map(in_2020_12).collect())
}

fn named(value: &Value) -> Value {
    let parts = value.as_object().into_iter().flatten();
    Value::Object(parts.map(|(name, part)| (name.clone(), in_2020_12(part))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_drafts_say_otherwise_is_said_anew() {
        let table = [
            (json!({"items": [{"type": "null"}]}), json!({"prefixItems": [{"type": "null"}]})),
            (json!({"items": [true], "additionalItems": false}), json!({"prefixItems": [true], "items": false})),
            (json!({"items": {"type": "null"}, "additionalItems": false}), json!({"items": {"type": "null"}})),
            (
                json!({"dependencies": {"a": ["b"], "c": {"$id": "#c"}}}),
                json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"$anchor": "c"}}}),
            ),
            (
                json!({"$ref": "#/definitions/a", "type": "null", "definitions": {"a": {"format": "iban"}}}),
                json!({"$ref": "#/definitions/a", "definitions": {"a": {}}}),
            ),
            (json!({"minContains": 2, "format": "date", "$id": "urn:a"}), json!({"format": "date"})),
            (
                json!({"enum": [{"items": [1]}], "const": {"$id": 1}}),
                json!({"enum": [{"items": [1]}], "const": {"$id": 1}}),
            ),
            (
                json!({"properties": {"$id": {"items": [true]}}}),
                json!({"properties": {"$id": {"prefixItems": [true]}}}),
            ),
        ];
        for (old, new) in table {
            assert_eq!(in_2020_12(&old), new);
        }
    }
}
