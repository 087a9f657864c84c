//! FilterCriteria: which records reach the function.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{errors::invalid_parameter, members, source::SourceKind};
use crate::service::ServiceError;

const MAX_FILTERS: usize = 5;
const MAX_PATTERN_CHARS: usize = 4_096;

/// A record passes if one of the patterns matches it, or if there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    patterns: Vec<(String, Value)>,
}

impl Filters {
    pub fn from_criteria(criteria: &Value) -> Result<Self, ServiceError> {
        let filters = members::array(criteria, "Filters")?.unwrap_or_default();
        if filters.len() > MAX_FILTERS {
            return Err(invalid_parameter(format!("The number of filters cannot exceed {MAX_FILTERS}.")));
        }
        let mut patterns = Vec::new();
        for filter in filters {
            let text = members::string(filter, "Pattern")?.unwrap_or("{}");
            let invalid = |reason: &str| invalid_parameter(format!("Invalid filter pattern definition: {reason}"));
            if text.chars().count() > MAX_PATTERN_CHARS {
                return Err(invalid("longer than 4096 characters"));
            }
            let pattern: Value = serde_json::from_str(text).map_err(|_| invalid("no JSON"))?;
            check(&pattern).map_err(invalid)?;
            patterns.push((text.to_owned(), pattern));
        }
        Ok(Self { patterns })
    }

    pub fn criteria(&self) -> Option<Value> {
        let filters: Vec<Value> = self.patterns.iter().map(|(text, _)| json!({"Pattern": text})).collect();
        (!filters.is_empty()).then(|| json!({"Filters": filters}))
    }

    /// Whether the record, in the form in which its function would see it, passes.
    pub fn pass(&self, kind: SourceKind, record: &Value) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        // Patterns see inside the body of a message and the data of a record where these are JSON.
        let (record, payload) = match kind {
            SourceKind::DynamodbStream => (record.clone(), None),
            SourceKind::KinesisStream => {
                let mut flat = record["kinesis"].clone();
                flat["data"] = kinesis_data(&record["kinesis"]["data"]);
                (flat, Some("data"))
            }
            SourceKind::StandardQueue | SourceKind::FifoQueue => {
                let mut open = record.clone();
                if let Some(body) = record["body"].as_str() {
                    open["body"] = json_or_text(body);
                }
                (open, Some("body"))
            }
        };
        self.patterns.iter().any(|(_, pattern)| {
            // A pattern for plain text never matches JSON, and the other way round: such records are dropped.
            let fits = payload.and_then(|name| Some((pattern.get(name)?, &record[name])));
            fits.is_none_or(|(wanted, found)| wanted.is_object() == found.is_object())
                && matches(pattern, Some(&record))
        })
    }
}

fn json_or_text(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn kinesis_data(data: &Value) -> Value {
    let bytes = data.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    json_or_text(&String::from_utf8_lossy(&bytes))
}

const OPERATORS: [&str; 6] = ["prefix", "suffix", "exists", "anything-but", "numeric", "equals-ignore-case"];

/// Refuses what is no pattern: leaves are lists of values and operators.
fn check(pattern: &Value) -> Result<(), &'static str> {
    let Value::Object(members) = pattern else { return Err("not an object") };
    for (name, inner) in members {
        match inner {
            Value::Array(alternatives) if name == "$or" => alternatives.iter().try_for_each(check)?,
            Value::Array(alternatives) if alternatives.is_empty() => return Err("an empty list matches nothing"),
            Value::Array(alternatives) => alternatives.iter().try_for_each(check_leaf)?,
            Value::Object(_) => check(inner)?,
            _ => return Err("a value stands outside a list"),
        }
    }
    Ok(())
}

fn check_leaf(leaf: &Value) -> Result<(), &'static str> {
    match leaf {
        Value::Object(operator) if operator.len() == 1 => {
            let known = operator.keys().all(|name| OPERATORS.contains(&name.as_str()));
            if known { Ok(()) } else { Err("an unknown operator") }
        }
        Value::Object(_) => Err("an operator has one member"),
        Value::Array(_) => Err("a list within a list"),
        _ => Ok(()),
    }
}

fn matches(pattern: &Value, found: Option<&Value>) -> bool {
    let Value::Object(members) = pattern else { return false };
    members.iter().all(|(name, wanted)| match wanted {
        Value::Array(alternatives) if name == "$or" => alternatives.iter().any(|inner| matches(inner, found)),
        Value::Array(alternatives) => {
            let value = found.and_then(|found| found.get(name));
            alternatives.iter().any(|leaf| leaf_matches(leaf, value))
        }
        inner => matches(inner, found.and_then(|found| found.get(name))),
    })
}

fn leaf_matches(leaf: &Value, found: Option<&Value>) -> bool {
    let Value::Object(operator) = leaf else {
        return match found {
            // Of a list, one element that matches is enough.
            Some(Value::Array(elements)) => elements.contains(leaf),
            found => found == Some(leaf),
        };
    };
    let Some((name, operand)) = operator.iter().next() else { return false };
    let text = || found.and_then(Value::as_str).zip(operand.as_str());
    match name.as_str() {
        "exists" => operand.as_bool() == Some(found.is_some_and(|value| !value.is_object())),
        "prefix" => text().is_some_and(|(value, prefix)| value.starts_with(prefix)),
        "suffix" => text().is_some_and(|(value, suffix)| value.ends_with(suffix)),
        "equals-ignore-case" => text().is_some_and(|(value, other)| value.to_lowercase() == other.to_lowercase()),
        "anything-but" => found.is_some_and(|value| match operand {
            Value::Array(excluded) => !excluded.contains(value),
            Value::Object(_) => !leaf_matches(operand, found),
            excluded => value != excluded,
        }),
        "numeric" => found.and_then(Value::as_f64).is_some_and(|value| numeric_matches(value, operand)),
        _ => false,
    }
}

/// `[">", 0, "<=", 5]`
fn numeric_matches(value: f64, operand: &Value) -> bool {
    let Some(parts) = operand.as_array() else { return false };
    !parts.is_empty()
        && parts.chunks(2).all(|pair| {
            let [comparison, limit] = pair else { return false };
            let (Some(comparison), Some(limit)) = (comparison.as_str(), limit.as_f64()) else { return false };
            match comparison {
                "=" => value == limit,
                "<" => value < limit,
                "<=" => value <= limit,
                ">" => value > limit,
                ">=" => value >= limit,
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(patterns: &[Value]) -> Result<Filters, ServiceError> {
        let filters: Vec<Value> = patterns.iter().map(|pattern| json!({"Pattern": pattern.to_string()})).collect();
        Filters::from_criteria(&json!({"Filters": filters}))
    }

    #[test]
    fn patterns_match_values_and_operators() {
        let record =
            json!({"eventName": "INSERT", "dynamodb": {"NewImage": {"n": {"N": "5"}, "s": {"S": "Abc"}}, "size": 7}});
        for (pattern, passes) in [
            (json!({"eventName": ["INSERT", "MODIFY"]}), true),
            (json!({"eventName": ["REMOVE"]}), false),
            (json!({"eventName": [{"prefix": "INS"}], "dynamodb": {"size": [7]}}), true),
            (json!({"eventName": [{"prefix": "INS"}], "dynamodb": {"size": [8]}}), false),
            (json!({"eventName": [{"suffix": "ERT"}]}), true),
            (json!({"dynamodb": {"NewImage": {"s": {"S": [{"equals-ignore-case": "aBC"}]}}}}), true),
            (json!({"dynamodb": {"NewImage": {"missing": {"S": [{"exists": false}]}}}}), true),
            (json!({"dynamodb": {"NewImage": {"s": {"S": [{"exists": false}]}}}}), false),
            (json!({"eventName": [{"anything-but": ["REMOVE"]}]}), true),
            (json!({"eventName": [{"anything-but": {"prefix": "IN"}}]}), false),
            (json!({"dynamodb": {"size": [{"numeric": [">", 5, "<=", 7]}]}}), true),
            (json!({"dynamodb": {"size": [{"numeric": [">", 7]}]}}), false),
            (json!({"$or": [{"eventName": ["REMOVE"]}, {"dynamodb": {"size": [7]}}]}), true),
            (json!({"absent": ["x"]}), false),
        ] {
            let filters = filters(std::slice::from_ref(&pattern)).unwrap();
            assert_eq!(filters.pass(SourceKind::DynamodbStream, &record), passes, "{pattern}");
        }
    }

    #[test]
    fn bodies_and_data_are_looked_into() {
        let queue = |body: &str| json!({"body": body, "messageId": "m"});
        let wants_object = filters(&[json!({"body": {"kind": ["a"]}})]).unwrap();
        assert!(wants_object.pass(SourceKind::StandardQueue, &queue(r#"{"kind":"a"}"#)));
        assert!(!wants_object.pass(SourceKind::StandardQueue, &queue(r#"{"kind":"b"}"#)));
        assert!(!wants_object.pass(SourceKind::StandardQueue, &queue("plain")));
        let wants_text = filters(&[json!({"body": ["plain"]})]).unwrap();
        assert!(wants_text.pass(SourceKind::StandardQueue, &queue("plain")));
        assert!(!wants_text.pass(SourceKind::StandardQueue, &queue(r#"{"kind":"a"}"#)));
        let data = STANDARD.encode(r#"{"kind":"a"}"#);
        let record = json!({"kinesis": {"data": data, "partitionKey": "p"}});
        let wants_data = filters(&[json!({"data": {"kind": ["a"]}, "partitionKey": ["p"]})]).unwrap();
        assert!(wants_data.pass(SourceKind::KinesisStream, &record));
        assert!(Filters::default().pass(SourceKind::KinesisStream, &record));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in
            [json!([]), json!({"a": "b"}), json!({"a": []}), json!({"a": [{"unknown": 1}]}), json!({"a": [[1]]})]
        {
            assert_eq!(filters(&[pattern]).unwrap_err().code, "InvalidParameterValueException");
        }
        assert!(filters(&vec![json!({"a": [1]}); 6]).is_err());
        let broken = json!({"Filters": [{"Pattern": "{"}]});
        assert!(Filters::from_criteria(&broken).is_err());
    }
}
