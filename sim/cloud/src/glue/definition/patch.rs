//! The difference of two definitions as a JSON patch (RFC 6902).

use serde_json::{Value, json};

/// What turns the first text into the second, as the text of a patch; texts that are not JSON replace each other whole.
pub fn difference(first: &str, second: &str) -> String {
    let mut steps = Vec::new();
    match (serde_json::from_str::<Value>(first), serde_json::from_str::<Value>(second)) {
        (Ok(first), Ok(second)) => compare(&first, &second, "", &mut steps),
        _ if first == second => {}
        _ => steps.push(json!({"op": "replace", "path": "", "value": second})),
    }
    Value::Array(steps).to_string()
}

fn compare(first: &Value, second: &Value, path: &str, steps: &mut Vec<Value>) {
    match (first, second) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().filter(|name| !other.contains_key(*name)) {
                steps.push(json!({"op": "remove", "path": below(path, name)}));
            }
            for (name, value) in other {
                match one.get(name) {
                    Some(before) => compare(before, value, &below(path, name), steps),
                    None => steps.push(json!({"op": "add", "path": below(path, name), "value": value})),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (before, after)) in one.iter().zip(other).enumerate() {
                compare(before, after, &below(path, &index.to_string()), steps);
            }
        }
        (one, other) if one == other => {}
        _ => steps.push(json!({"op": "replace", "path": path, "value": second})),
    }
}

fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_name_what_changed() {
        for (first, second, wanted) in [
            (r#"{"a":1}"#, r#"{"a":1}"#, json!([])),
            (
                r#"{"a":1,"b":2}"#,
                r#"{"a":2,"c/d":3}"#,
                json!([
                    {"op": "remove", "path": "/b"},
                    {"op": "replace", "path": "/a", "value": 2},
                    {"op": "add", "path": "/c~1d", "value": 3},
                ]),
            ),
            (r#"{"a":[1,2]}"#, r#"{"a":[1,3]}"#, json!([{"op": "replace", "path": "/a/1", "value": 3}])),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, json!([{"op": "replace", "path": "/a", "value": [1]}])),
            ("message A {}", "message B {}", json!([{"op": "replace", "path": "", "value": "message B {}"}])),
            ("message A {}", "message A {}", json!([])),
        ] {
            let patch: Value = serde_json::from_str(&difference(first, second)).unwrap();
            assert_eq!(patch, wanted, "{first} {second}");
        }
    }
}
