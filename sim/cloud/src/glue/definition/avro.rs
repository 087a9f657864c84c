//! The syntax of Avro schemas.
//!
//! Checked: kinds of types, names and what they refer to, fields, symbols, sizes, unions. Not checked: default values,
//! logical types and aliases.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

type Outcome = Result<(), String>;

const PRIMITIVE: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

pub fn check(schema: &Value) -> Outcome {
    Checker::default().schema(schema, "")
}

#[derive(Default)]
struct Checker {
    /// Full names of records, enumerations and fixed types so far.
    names: BTreeSet<String>,
}

impl Checker {
    fn schema(&mut self, schema: &Value, namespace: &str) -> Outcome {
        match schema {
            Value::String(name) => self.reference(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(members) => self.complex(members, namespace),
            other => Err(format!("No type: {other}")),
        }
    }

    fn reference(&self, name: &str, namespace: &str) -> Outcome {
        if PRIMITIVE.contains(&name) || self.names.contains(name) || self.names.contains(&full_name(name, namespace)) {
            return Ok(());
        }
        Err(format!("Undefined name: \"{name}\""))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Outcome {
        let mut kinds = BTreeSet::new();
        for branch in branches {
            if branch.is_array() {
                return Err("Nested union".to_owned());
            }
            self.schema(branch, namespace)?;
            let kind = branch.as_str().or(branch["type"].as_str()).unwrap_or_default();
            let named = branch["name"].as_str().filter(|_| ["record", "error", "enum", "fixed"].contains(&kind));
            let label = named.map_or_else(|| kind.to_owned(), |name| full_name(name, namespace));
            if !kinds.insert(label) {
                return Err(format!("Duplicate in union: {kind}"));
            }
        }
        Ok(())
    }

    fn complex(&mut self, members: &Map<String, Value>, namespace: &str) -> Outcome {
        let kind = members.get("type").ok_or_else(|| format!("No type: {}", Value::from(members.clone())))?;
        match kind.as_str() {
            Some("record" | "error") => {
                let namespace = self.define(members, namespace)?;
                self.fields(members, &namespace)
            }
            Some("enum") => {
                self.define(members, namespace)?;
                symbols(members)
            }
            Some("fixed") => {
                self.define(members, namespace)?;
                members.get("size").and_then(Value::as_u64).map(drop).ok_or_else(|| "Invalid or no size".to_owned())
            }
            Some("array") => self.part(members, "items", namespace),
            Some("map") => self.part(members, "values", namespace),
            // A type in an object of its own, with properties beside it.
            _ => self.schema(kind, namespace),
        }
    }

    fn part(&mut self, members: &Map<String, Value>, name: &str, namespace: &str) -> Outcome {
        let part = members.get(name).ok_or_else(|| format!("No {name}"))?;
        self.schema(part, namespace)
    }

    /// Takes a name in, and gives the namespace of what stands inside.
    fn define(&mut self, members: &Map<String, Value>, namespace: &str) -> Result<String, String> {
        let name = members.get("name").and_then(Value::as_str).ok_or("No name in schema")?;
        let space = members.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, space);
        if let Some(part) = full.split('.').find(|part| !is_name(part)) {
            return Err(format!("Illegal name: \"{part}\""));
        }
        let inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        if PRIMITIVE.contains(&name) || !self.names.insert(full) {
            return Err(format!("Can't redefine: {name}"));
        }
        Ok(inner)
    }

    fn fields(&mut self, members: &Map<String, Value>, namespace: &str) -> Outcome {
        let fields = members.get("fields").and_then(Value::as_array).ok_or("Record has no fields")?;
        let mut names = BTreeSet::new();
        for field in fields {
            let name = field["name"].as_str().ok_or("No field name")?;
            if !is_name(name) {
                return Err(format!("Illegal name: \"{name}\""));
            }
            if !names.insert(name) {
                return Err(format!("Duplicate field {name}"));
            }
            let kind = field.get("type").ok_or_else(|| format!("No field type: {name}"))?;
            self.schema(kind, namespace)?;
        }
        Ok(())
    }
}

fn symbols(members: &Map<String, Value>) -> Outcome {
    let symbols = members.get("symbols").and_then(Value::as_array).ok_or("Enum has no symbols")?;
    let mut seen = BTreeSet::new();
    for symbol in symbols {
        let name = symbol.as_str().filter(|name| is_name(name)).ok_or_else(|| format!("Illegal symbol: {symbol}"))?;
        if !seen.insert(name) {
            return Err(format!("Duplicate enum symbol: {name}"));
        }
    }
    Ok(())
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(fields: Value) -> Value {
        json!({"type": "record", "name": "Order", "namespace": "shop", "fields": fields})
    }

    #[test]
    fn schemas_are_sound_or_say_what_is_wrong() {
        let cases = [
            (json!("string"), None),
            (json!({"type": "string"}), None),
            (json!({"type": {"type": "array", "items": "int"}}), None),
            (json!(["null", "string"]), None),
            (record(json!([])), None),
            (
                record(
                    json!([{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "shop.Order"], "default": null}]),
                ),
                None,
            ),
            (record(json!([{"name": "next", "type": ["null", "Order"]}])), None),
            (json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), None),
            (json!({"type": "fixed", "name": "F", "size": 16}), None),
            (json!({"type": "map", "values": "long"}), None),
            (json!(7), Some("No type")),
            (json!({}), Some("No type")),
            (json!("order"), Some("Undefined name")),
            (json!(["null", "null"]), Some("Duplicate in union")),
            (json!(["null", ["int"]]), Some("Nested union")),
            (json!({"type": "record", "name": "A"}), Some("no fields")),
            (json!({"type": "record", "fields": []}), Some("No name")),
            (json!({"type": "record", "name": "1A", "fields": []}), Some("Illegal name")),
            (record(json!([{"name": "a", "type": "int"}, {"name": "a", "type": "int"}])), Some("Duplicate field a")),
            (record(json!([{"name": "a"}])), Some("No field type")),
            (record(json!([{"type": "int"}])), Some("No field name")),
            (
                record(json!([{"name": "a", "type": {"type": "enum", "name": "Order", "symbols": []}}])),
                Some("redefine"),
            ),
            (json!({"type": "enum", "name": "E"}), Some("no symbols")),
            (json!({"type": "enum", "name": "E", "symbols": ["A", "A"]}), Some("Duplicate enum symbol")),
            (json!({"type": "array"}), Some("No items")),
            (json!({"type": "fixed", "name": "F"}), Some("size")),
        ];
        for (schema, wanted) in cases {
            match (wanted, check(&schema)) {
                (None, Ok(())) => {}
                (Some(part), Err(reason)) if reason.contains(part) => {}
                (wanted, found) => panic!("{schema}: {found:?} instead of {wanted:?}"),
            }
        }
    }
}
