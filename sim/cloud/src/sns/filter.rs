//! Filter policies: which messages a subscription wants.

use serde_json::{Map, Value};

use super::errors::invalid;
use crate::{
    service::ServiceError,
    sqs::message::{Attribute, AttributeValue, Attributes},
};

const MAX_KEYS: usize = 5;
const MAX_COMBINATIONS: usize = 150;

/// What a policy is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    MessageAttributes,
    MessageBody,
}

/// A policy that has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    policy: Map<String, Value>,
    pub scope: Scope,
}

impl Filter {
    /// `None` for the empty policy, which wants everything.
    pub fn parse(text: &str, scope: Scope) -> Result<Option<Self>, ServiceError> {
        if text.is_empty() {
            return Ok(None);
        }
        let not_json = |_| invalid("FilterPolicy: failed to parse JSON.");
        let Value::Object(policy) = serde_json::from_str(text).map_err(not_json)? else {
            return Err(invalid("FilterPolicy: Filter policy must be a JSON object"));
        };
        if policy.is_empty() {
            return Ok(None);
        }
        let mut size = Size { keys: 0, combinations: 1 };
        check_policy(&policy, scope, 1, &mut size)?;
        if size.keys > MAX_KEYS {
            return Err(invalid("FilterPolicy: Filter policy can not have more than 5 keys"));
        }
        if size.combinations > MAX_COMBINATIONS {
            return Err(invalid("FilterPolicy: Filter policy is too complex"));
        }
        Ok(Some(Self { policy, scope }))
    }

    pub fn wants(&self, body: &str, attributes: &Attributes) -> bool {
        match self.scope {
            Scope::MessageAttributes => matches_policy(&self.policy, &of_attributes(attributes)),
            Scope::MessageBody => match serde_json::from_str(body) {
                Ok(Value::Object(body)) => matches_policy(&self.policy, &body),
                _ => false,
            },
        }
    }
}

struct Size {
    keys: usize,
    combinations: usize,
}

fn check_policy(policy: &Map<String, Value>, scope: Scope, depth: usize, size: &mut Size) -> Result<(), ServiceError> {
    for (key, value) in policy {
        match value {
            Value::Array(alternatives) if key == "$or" && is_or(alternatives) => {
                for alternative in alternatives.iter().filter_map(Value::as_object) {
                    check_policy(alternative, scope, depth, size)?;
                }
            }
            Value::Array(rules) => {
                if rules.is_empty() {
                    return Err(invalid("FilterPolicy: Empty arrays are not allowed"));
                }
                rules.iter().try_for_each(check_rule)?;
                size.keys += 1;
                size.combinations = size.combinations.saturating_mul(rules.len() * depth);
            }
            Value::Object(_) if scope == Scope::MessageAttributes => {
                return Err(invalid("Filter policy scope MessageAttributes does not support nested filter policy"));
            }
            Value::Object(nested) if nested.is_empty() => {
                return Err(invalid("FilterPolicy: Empty objects are not allowed"));
            }
            Value::Object(nested) => check_policy(nested, scope, depth + 1, size)?,
            _ => return Err(invalid(format!("FilterPolicy: \"{key}\" must be an object or an array"))),
        }
    }
    Ok(())
}

/// `$or` is an operator over at least two policies; with anything else it is a key like others.
fn is_or(alternatives: &[Value]) -> bool {
    alternatives.len() >= 2
        && alternatives.iter().all(|alternative| alternative.as_object().is_some_and(|it| !is_rule(it)))
}

const OPERATORS: &[&str] =
    &["prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "cidr", "wildcard"];

fn is_rule(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|name| OPERATORS.contains(&name.as_str()))
}

fn check_rule(rule: &Value) -> Result<(), ServiceError> {
    let bad = |reason: &str| Err(invalid(format!("FilterPolicy: {reason}")));
    let rule = match rule {
        Value::Object(rule) => rule,
        Value::Array(_) => return bad("Match value must be String, number, true, false, or null"),
        _ => return Ok(()),
    };
    let Some((operator, operand)) = rule.iter().next().filter(|_| rule.len() == 1) else {
        return bad("Only one key allowed in match expression");
    };
    let is_good = match operator.as_str() {
        "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => operand.is_string(),
        "exists" => operand.is_boolean(),
        "cidr" => operand.as_str().is_some_and(|text| Cidr::parse(text).is_some()),
        "numeric" => operand.as_array().is_some_and(|conditions| is_numeric(conditions)),
        "anything-but" => is_anything_but(operand),
        other => return bad(&format!("Unrecognized match type {other}")),
    };
    if is_good { Ok(()) } else { bad(&format!("{operator} has an operand that it cannot have")) }
}

fn is_numeric(conditions: &[Value]) -> bool {
    let is_pair = |pair: &[Value]| {
        let is_operator = pair[0].as_str().is_some_and(|text| ["=", "<", "<=", ">", ">="].contains(&text));
        is_operator && pair.get(1).is_some_and(Value::is_number)
    };
    let upper_after_lower = conditions.len() == 2
        || conditions.first().is_some_and(|first| first == ">" || first == ">=")
            && conditions.get(2).is_some_and(|third| third == "<" || third == "<=");
    matches!(conditions.len(), 2 | 4) && conditions.chunks(2).all(is_pair) && upper_after_lower
}

fn is_anything_but(operand: &Value) -> bool {
    let is_scalar = |value: &Value| value.is_string() || value.is_number();
    match operand {
        Value::Array(values) => !values.is_empty() && values.iter().all(is_scalar),
        Value::Object(inner) => {
            inner.len() == 1
                && is_rule(inner)
                && inner.keys().all(|name| name != "exists" && name != "anything-but")
                && check_rule(operand).is_ok()
        }
        value => is_scalar(value),
    }
}

/// Attributes as the object that a policy is held against.
fn of_attributes(attributes: &Attributes) -> Map<String, Value> {
    let value = |attribute: &Attribute| match &attribute.value {
        AttributeValue::Binary(_) => None,
        AttributeValue::Text(text) if attribute.data_type == "String.Array" => serde_json::from_str(text).ok(),
        AttributeValue::Text(text) if attribute.data_type.starts_with("Number") => serde_json::from_str(text).ok(),
        AttributeValue::Text(text) => Some(Value::String(text.clone())),
    };
    attributes.iter().filter_map(|(name, attribute)| Some((name.clone(), value(attribute)?))).collect()
}

fn matches_policy(policy: &Map<String, Value>, document: &Map<String, Value>) -> bool {
    policy.iter().all(|(key, wanted)| match wanted {
        Value::Array(alternatives) if key == "$or" && is_or(alternatives) => {
            alternatives.iter().filter_map(Value::as_object).any(|alternative| matches_policy(alternative, document))
        }
        Value::Array(rules) => matches_rules(rules, document.get(key)),
        Value::Object(nested) => match document.get(key) {
            Some(Value::Object(inner)) => matches_policy(nested, inner),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_object).any(|inner| matches_policy(nested, inner))
            }
            _ => matches_policy(nested, &Map::new()),
        },
        _ => false,
    })
}

fn matches_rules(rules: &[Value], found: Option<&Value>) -> bool {
    let values: &[Value] = match found {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    };
    rules.iter().any(|rule| match rule.as_object().and_then(|rule| rule.iter().next()) {
        Some((operator, wanted)) if operator == "exists" => wanted.as_bool() == Some(found.is_some()),
        Some((operator, operand)) => values.iter().any(|value| matches_operator(operator, operand, value)),
        None => values.iter().any(|value| same(rule, value)),
    })
}

fn same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn matches_operator(operator: &str, operand: &Value, value: &Value) -> bool {
    let texts = operand.as_str().zip(value.as_str());
    match operator {
        "prefix" => texts.is_some_and(|(wanted, text)| text.starts_with(wanted)),
        "suffix" => texts.is_some_and(|(wanted, text)| text.ends_with(wanted)),
        "equals-ignore-case" => texts.is_some_and(|(wanted, text)| text.to_lowercase() == wanted.to_lowercase()),
        "wildcard" => texts.is_some_and(|(pattern, text)| matches_wildcard(pattern, text)),
        "cidr" => texts.is_some_and(|(block, text)| Cidr::parse(block).is_some_and(|block| block.contains(text))),
        "numeric" => operand
            .as_array()
            .zip(value.as_f64())
            .is_some_and(|(conditions, number)| conditions.chunks(2).all(|pair| matches_number(pair, number))),
        "anything-but" => match operand {
            Value::Array(values) => !values.iter().any(|unwanted| same(unwanted, value)),
            Value::Object(inner) => !inner.iter().any(|(operator, operand)| matches_operator(operator, operand, value)),
            unwanted => !same(unwanted, value),
        },
        _ => false,
    }
}

fn matches_number(pair: &[Value], number: f64) -> bool {
    let (Some(operator), Some(bound)) = (pair.first().and_then(Value::as_str), pair.get(1).and_then(Value::as_f64))
    else {
        return false;
    };
    match operator {
        "=" => number == bound,
        "<" => number < bound,
        "<=" => number <= bound,
        ">" => number > bound,
        ">=" => number >= bound,
        _ => false,
    }
}

/// `*` stands for any text.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A block of IPv4 or IPv6 addresses.
struct Cidr {
    network: u128,
    bits: u32,
    width: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (network, width) = address_bits(address)?;
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= width)?;
        Some(Self { network, bits, width })
    }

    fn contains(&self, text: &str) -> bool {
        let shift = self.width - self.bits;
        let network = |address: u128| address.checked_shr(shift).unwrap_or(0);
        address_bits(text)
            .is_some_and(|(address, width)| width == self.width && network(address) == network(self.network))
    }
}

fn address_bits(text: &str) -> Option<(u128, u32)> {
    match text.parse().ok()? {
        std::net::IpAddr::V4(address) => Some((u128::from(address.to_bits()), 32)),
        std::net::IpAddr::V6(address) => Some((address.to_bits(), 128)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(policy: &str, body: &str) -> bool {
        Filter::parse(policy, Scope::MessageBody).unwrap().unwrap().wants(body, &Attributes::new())
    }

    #[test]
    fn operators_match_as_documented() {
        for (policy, body, wanted) in [
            (r#"{"a":["x","y"]}"#, r#"{"a":"y"}"#, true),
            (r#"{"a":["x","y"]}"#, r#"{"a":"z"}"#, false),
            (r#"{"a":["x"]}"#, r#"{"b":"x"}"#, false),
            (r#"{"a":["x"],"b":[1]}"#, r#"{"a":"x","b":1.0}"#, true),
            (r#"{"a":["x"],"b":[1]}"#, r#"{"a":"x","b":2}"#, false),
            (r#"{"a":[true,null]}"#, r#"{"a":null}"#, true),
            (r#"{"a":["x"]}"#, r#"{"a":["w","x"]}"#, true),
            (r#"{"a":[{"prefix":"or"}]}"#, r#"{"a":"order"}"#, true),
            (r#"{"a":[{"prefix":"or"}]}"#, r#"{"a":"cart"}"#, false),
            (r#"{"a":[{"suffix":"ed"}]}"#, r#"{"a":"placed"}"#, true),
            (r#"{"a":[{"equals-ignore-case":"RED"}]}"#, r#"{"a":"Red"}"#, true),
            (r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":"z"}"#, true),
            (r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":"x"}"#, false),
            (r#"{"a":[{"anything-but":["x"]}]}"#, r#"{"b":"z"}"#, false),
            (r#"{"a":[{"anything-but":{"prefix":"or"}}]}"#, r#"{"a":"order"}"#, false),
            (r#"{"a":[{"anything-but":7}]}"#, r#"{"a":8}"#, true),
            (r#"{"a":[{"numeric":["=",5]}]}"#, r#"{"a":5.0}"#, true),
            (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5}"#, true),
            (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5.1}"#, false),
            (r#"{"a":[{"numeric":[">",0]}]}"#, r#"{"a":"5"}"#, false),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":{"b":1}}"#, true),
            (r#"{"a":[{"exists":false}]}"#, r#"{"b":1}"#, true),
            (r#"{"a":[{"exists":false}]}"#, r#"{"a":1}"#, false),
            (r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.0.255"}"#, true),
            (r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.1.0"}"#, false),
            (r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#, r#"{"a":"1.2.3.4"}"#, true),
            (r#"{"a":[{"wildcard":"o*er*"}]}"#, r#"{"a":"order-1"}"#, true),
            (r#"{"a":[{"wildcard":"o*er"}]}"#, r#"{"a":"orders"}"#, false),
            (r#"{"a":{"b":["x"]}}"#, r#"{"a":{"b":"x"}}"#, true),
            (r#"{"a":{"b":["x"]}}"#, r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true),
            (r#"{"a":{"b":["x"]}}"#, r#"{"a":"b"}"#, false),
            (r#"{"$or":[{"a":["x"]},{"b":["y"]}]}"#, r#"{"b":"y"}"#, true),
            (r#"{"$or":[{"a":["x"]},{"b":["y"]}]}"#, r#"{"b":"x"}"#, false),
            (r#"{"a":["x"]}"#, "no json", false),
        ] {
            assert_eq!(wants(policy, body), wanted, "{policy} on {body}");
        }
    }

    #[test]
    fn attributes_have_types() {
        let attribute = |data_type: &str, text: &str| Attribute {
            data_type: data_type.into(),
            value: AttributeValue::Text(text.into()),
        };
        let attributes = Attributes::from([
            ("kind".to_owned(), attribute("String", "cart")),
            ("price".to_owned(), attribute("Number", "9.5")),
            ("tags".to_owned(), attribute("String.Array", r#"["new","red"]"#)),
        ]);
        for (policy, wanted) in [
            (r#"{"kind":["cart"]}"#, true),
            (r#"{"price":[{"numeric":["<",10]}]}"#, true),
            (r#"{"price":["9.5"]}"#, false),
            (r#"{"tags":["red"]}"#, true),
            (r#"{"colour":["red"]}"#, false),
        ] {
            let filter = Filter::parse(policy, Scope::MessageAttributes).unwrap().unwrap();
            assert_eq!(filter.wants("", &attributes), wanted, "{policy}");
        }
    }

    #[test]
    fn bad_policies_are_refused() {
        for policy in [
            "nonsense",
            "[]",
            r#"{"a":"x"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"a":[{"like":"x"}]}"#,
            r#"{"a":[{"prefix":1}]}"#,
            r#"{"a":[{"numeric":["<","1"]}]}"#,
            r#"{"a":[{"numeric":["<",1,">",0]}]}"#,
            r#"{"a":[{"cidr":"10.0.0.0"}]}"#,
            r#"{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}"#,
        ] {
            let error = Filter::parse(policy, Scope::MessageBody).unwrap_err();
            assert_eq!(error.code, "InvalidParameter", "{policy}");
        }
        assert!(Filter::parse(r#"{"a":{"b":[1]}}"#, Scope::MessageAttributes).is_err());
        assert_eq!(Filter::parse("{}", Scope::MessageBody), Ok(None));
    }
}
