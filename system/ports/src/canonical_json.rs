//! One text for one JSON value, so that digests and hashes can be taken over it.

use serde_json::Value;

/// Writes a JSON value without white space and with the members of every object in the byte order of their
/// names, at every depth. Strings and numbers are written as `serde_json` writes them.
///
/// The order is made here, rather than left to `serde_json`'s map, because any crate of a build can switch
/// that map to insertion order and would silently change every digest.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => write_separated(items.iter(), ('[', ']'), text, write_value),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
            write_separated(sorted.into_iter(), ('{', '}'), text, |(name, member), text| {
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write_value(member, text);
            });
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_separated<T>(
    items: impl Iterator<Item = T>,
    (open, close): (char, char),
    text: &mut String,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::canonical_json;

    #[test]
    fn members_are_sorted_at_every_depth_and_white_space_is_gone() {
        let cases = [
            (json!({"b": 1, "a": {"d": [], "c": {}}}), r#"{"a":{"c":{},"d":[]},"b":1}"#),
            (json!([{"b": null, "a": true}, "x", 1.5, -3]), r#"[{"a":true,"b":null},"x",1.5,-3]"#),
            (json!({"é": 1, "z": 2, "Z": 3}), r#"{"Z":3,"z":2,"é":1}"#),
            (json!({"quote\"": "line\nbreak"}), r#"{"quote\"":"line\nbreak"}"#),
            (json!("alone"), r#""alone""#),
        ];
        for (value, expected) in cases {
            assert_eq!(canonical_json(&value), expected);
        }
    }
}
