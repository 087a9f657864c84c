//! One text for one JSON value, whatever the order of its keys, so that digests agree.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The value as JSON without white space, object keys sorted by code point. Sorting is done here, not left to
/// the map type: a crate elsewhere in the build may make `serde_json` keep insertion order.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            write_joined(text, '{', '}', sorted, |(key, field), text| {
                write_scalar(&Value::String(key.clone()), text);
                text.push(':');
                write_canonical(field, text);
            });
        }
        Value::Array(items) => write_joined(text, '[', ']', items, write_canonical),
        scalar => write_scalar(scalar, text),
    }
}

fn write_joined<T>(
    text: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_item(item, text);
    }
    text.push(close);
}

fn write_scalar(scalar: &Value, text: &mut String) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{scalar}");
}

/// SHA-256 over the parts, each preceded by its length so that no two lists of parts share a digest. Lower-case hex.
pub(crate) fn digest_hex<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value: Value =
            serde_json::from_str(r#"{"b": [{"z": 1, "a": null}, []], "a": {"é": 1.5, "A\n": true}}"#).unwrap();
        assert_eq!(canonical_json(&value), r#"{"a":{"A\n":true,"é":1.5},"b":[{"a":null,"z":1},[]]}"#);
    }

    #[test]
    fn a_digest_tells_where_parts_end() {
        assert_ne!(digest_hex(["ab", "c"]), digest_hex(["a", "bc"]));
        assert_ne!(digest_hex(["a"]), digest_hex(["a", ""]));
        // SHA-256 of eight zero bytes: the length of one empty part.
        assert_eq!(digest_hex([""]), "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc");
    }
}
