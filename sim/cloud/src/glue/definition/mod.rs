//! Definitions of schemas: their formats, their syntax, and the canonical form by which they are found again.

mod avro;
mod json_schema;
mod patch;
mod protobuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use patch::difference;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFormat {
    Avro,
    Json,
    Protobuf,
}

impl DataFormat {
    pub fn parse(name: &str) -> Option<Self> {
        [DataFormat::Avro, DataFormat::Json, DataFormat::Protobuf].into_iter().find(|format| format.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            DataFormat::Avro => "AVRO",
            DataFormat::Json => "JSON",
            DataFormat::Protobuf => "PROTOBUF",
        }
    }
}

/// Checks the syntax of a definition, and gives the hash of its canonical form: of Avro and JSON the value with its members
/// in order and without white space, of Protocol Buffers the tokens without comments. How the real service makes its
/// definitions canonical is not documented.
///
/// # Errors
/// What is wrong, for people.
pub fn examine(format: DataFormat, text: &str) -> Result<[u8; 32], String> {
    let canonical = match format {
        DataFormat::Avro => canonical_json(text, avro::check)?,
        DataFormat::Json => canonical_json(text, json_schema::check)?,
        DataFormat::Protobuf => protobuf::check(text)?.join(" "),
    };
    Ok(Sha256::digest(canonical.as_bytes()).into())
}

fn canonical_json(text: &str, check: impl Fn(&Value) -> Result<(), String>) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check(&value)?;
    let mut canonical = String::with_capacity(text.len());
    write_canonical(&value, &mut canonical);
    Ok(canonical)
}

fn write_canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            into.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                into.push_str(&Value::from(name.as_str()).to_string());
                into.push(':');
                write_canonical(value, into);
            }
            into.push('}');
        }
        Value::Array(values) => {
            into.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_canonical(value, into);
            }
            into.push(']');
        }
        other => into.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_has_one_hash() {
        let same = [
            (DataFormat::Json, r#"{"type":"object","title":"a"}"#, "{ \"title\" : \"a\",\n\"type\":\"object\" }", true),
            (DataFormat::Json, r#"{"enum":["a","b"]}"#, r#"{"enum":["b","a"]}"#, false),
            (DataFormat::Avro, r#"{"type":"string"}"#, " { \"type\" : \"string\" } ", true),
            (DataFormat::Protobuf, "message A { int32 a = 1; }", "// first\nmessage A {\n int32 a=1;/* */ }", true),
            (DataFormat::Protobuf, "message A { int32 a = 1; }", "message A { int32 a = 2; }", false),
        ];
        for (format, one, other, wanted) in same {
            let (one, other) = (examine(format, one).unwrap(), examine(format, other).unwrap());
            assert_eq!(one == other, wanted, "{format:?}");
        }
    }
}
