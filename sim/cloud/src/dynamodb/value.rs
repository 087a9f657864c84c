//! Attribute values and items: their JSON form, size and order.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{errors::DynamodbError, number::Number};
use crate::wire::json::{Json, write_string};

/// Attributes of an item by name.
pub type Item = BTreeMap<String, AttributeValue>;

/// One attribute value. Sets are never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    M(BTreeMap<String, AttributeValue>),
    L(Vec<AttributeValue>),
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    Bs(BTreeSet<Vec<u8>>),
}

use AttributeValue::{B, Bool, Bs, L, M, N, Ns, Null, S, Ss};

pub const TOO_DEEP: &str =
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";

/// Items nest at most this deep.
pub const MAX_NESTING: usize = 32;

impl AttributeValue {
    /// The descriptor that stands for the type in JSON: `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(&self) -> &'static str {
        match self {
            S(_) => "S",
            N(_) => "N",
            B(_) => "B",
            Bool(_) => "BOOL",
            Null => "NULL",
            M(_) => "M",
            L(_) => "L",
            Ss(_) => "SS",
            Ns(_) => "NS",
            Bs(_) => "BS",
        }
    }

    /// The type's name inside the service's messages about operands.
    pub fn long_type_name(&self) -> &'static str {
        match self {
            S(_) => "STRING",
            N(_) => "NUMBER",
            B(_) => "BINARY",
            Bool(_) => "BOOLEAN",
            Null => "NULL",
            M(_) => "MAP",
            L(_) => "LIST",
            Ss(_) => "STRING_SET",
            Ns(_) => "NUMBER_SET",
            Bs(_) => "BINARY_SET",
        }
    }

    pub fn from_json(json: &Json<'_>) -> Result<Self, DynamodbError> {
        Self::from_json_at(json, 0)
    }

    fn from_json_at(json: &Json<'_>, depth: usize) -> Result<Self, DynamodbError> {
        if depth > MAX_NESTING {
            return Err(DynamodbError::validation(TOO_DEEP));
        }
        let mut value = None;
        let mut count = 0;
        for (name, member) in json.as_object()? {
            if matches!(member, Json::Null) {
                continue;
            }
            count += 1;
            value = Some(Self::member(name, member, depth)?);
        }
        match (count, value) {
            (1, Some(value)) => Ok(value),
            (0, _) | (_, None) => Err(DynamodbError::validation(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            )),
            _ => Err(DynamodbError::validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            )),
        }
    }

    fn member(name: &str, member: &Json<'_>, depth: usize) -> Result<Self, DynamodbError> {
        Ok(match name {
            "S" => S(member.as_str()?.to_owned()),
            "N" => N(parse_number(member.as_str()?)?),
            "B" => B(parse_binary(member)?),
            "BOOL" => Bool(member.as_bool()?),
            "NULL" => match member.as_bool()? {
                true => Null,
                false => {
                    return Err(DynamodbError::invalid_parameter(
                        "Null attribute value types must have the value of true",
                    ));
                }
            },
            "M" => M(map_from_json(member, depth + 1)?),
            "L" => L(member.as_array()?.iter().map(|e| Self::from_json_at(e, depth + 1)).collect::<Result<_, _>>()?),
            "SS" => Ss(parse_set("string", member, |element| Ok(element.as_str()?.to_owned()))?),
            "NS" => Ns(parse_set("number", member, |element| parse_number(element.as_str()?))?),
            "BS" => Bs(parse_set("binary", member, parse_binary)?),
            _ => {
                return Err(DynamodbError::validation(
                    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
                ));
            }
        })
    }

    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(self.type_name().as_bytes());
        out.extend_from_slice(b"\":");
        match self {
            S(text) => write_string(out, text),
            N(number) => write_number(out, number),
            B(bytes) => write_string(out, &STANDARD.encode(bytes)),
            Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Null => out.extend_from_slice(b"true"),
            M(members) => write_item(out, members),
            L(elements) => write_list(out, elements, |out, element| element.write_json(out)),
            Ss(set) => write_list(out, set, |out, text| write_string(out, text)),
            Ns(set) => write_list(out, set, write_number),
            Bs(set) => write_list(out, set, |out, bytes| write_string(out, &STANDARD.encode(bytes))),
        }
        out.push(b'}');
    }

    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        let inner = match self {
            S(text) => Value::String(text.clone()),
            N(number) => Value::String(number.to_string()),
            B(bytes) => Value::String(STANDARD.encode(bytes)),
            Bool(value) => Value::Bool(*value),
            Null => Value::Bool(true),
            M(members) => item_to_json(members),
            L(elements) => elements.iter().map(Self::to_json).collect(),
            Ss(set) => set.iter().map(|text| Value::String(text.clone())).collect(),
            Ns(set) => set.iter().map(|number| Value::String(number.to_string())).collect(),
            Bs(set) => set.iter().map(|bytes| Value::String(STANDARD.encode(bytes))).collect(),
        };
        let mut object = serde_json::Map::new();
        object.insert(self.type_name().to_owned(), inner);
        Value::Object(object)
    }

    /// Bytes that the value takes in an item.
    pub fn size_bytes(&self) -> usize {
        match self {
            S(text) => text.len(),
            N(number) => number.size_bytes(),
            B(bytes) => bytes.len(),
            Bool(_) | Null => 1,
            M(members) => 3 + members.iter().map(|(name, value)| 1 + name.len() + value.size_bytes()).sum::<usize>(),
            L(elements) => 3 + elements.iter().map(|element| 1 + element.size_bytes()).sum::<usize>(),
            Ss(set) => set.iter().map(String::len).sum(),
            Ns(set) => set.iter().map(|number| number.size_bytes()).sum(),
            Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }

    fn is_too_deep(&self, depth: usize) -> bool {
        match self {
            M(members) => depth >= MAX_NESTING || members.values().any(|value| value.is_too_deep(depth + 1)),
            L(elements) => depth >= MAX_NESTING || elements.iter().any(|value| value.is_too_deep(depth + 1)),
            _ => false,
        }
    }
}

/// The service's own notation inside messages, like `{S:abc}`.
impl fmt::Display for AttributeValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: Vec<String>| parts.join(",");
        match self {
            S(text) => write!(formatter, "{{S:{text}}}"),
            N(number) => write!(formatter, "{{N:{number}}}"),
            B(bytes) => write!(formatter, "{{B:{}}}", STANDARD.encode(bytes)),
            Bool(value) => write!(formatter, "{{BOOL:{value}}}"),
            Null => formatter.write_str("{NULL:true}"),
            M(members) => {
                let parts = members.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(formatter, "{{M:{{{}}}}}", joined(parts))
            }
            L(elements) => write!(formatter, "{{L:[{}]}}", joined(elements.iter().map(Self::to_string).collect())),
            Ss(set) => write!(formatter, "{{SS:[{}]}}", joined(set.iter().cloned().collect())),
            Ns(set) => write!(formatter, "{{NS:[{}]}}", joined(set.iter().map(Number::to_string).collect())),
            Bs(set) => write!(formatter, "{{BS:[{}]}}", joined(set.iter().map(|b| STANDARD.encode(b)).collect())),
        }
    }
}

fn parse_number(text: &str) -> Result<Number, DynamodbError> {
    text.parse().map_err(|error: super::number::NumberError| DynamodbError::validation(error.to_string()))
}

fn parse_binary(json: &Json<'_>) -> Result<Vec<u8>, DynamodbError> {
    let text = match json {
        Json::Bool(_) | Json::Integer(_) | Json::Float(_) => {
            return Err(DynamodbError::serialization("only base-64-encoded strings are convertible to bytes"));
        }
        other => other.as_str()?,
    };
    if !text.len().is_multiple_of(4) {
        return Err(DynamodbError::serialization(format!(
            "Base64 encoded length is expected a multiple of 4 bytes but found: {}",
            text.len()
        )));
    }
    STANDARD
        .decode(text)
        .map_err(|_| DynamodbError::serialization("Invalid Base64 encoding of a binary attribute value"))
}

fn parse_set<T: Ord>(
    kind: &str,
    json: &Json<'_>,
    parse: impl Fn(&Json<'_>) -> Result<T, DynamodbError>,
) -> Result<BTreeSet<T>, DynamodbError> {
    let elements = json.as_array()?;
    if elements.is_empty() {
        return Err(DynamodbError::invalid_parameter(format!("An {kind} set  may not be empty")));
    }
    let set: BTreeSet<T> = elements.iter().map(parse).collect::<Result<_, _>>()?;
    if set.len() == elements.len() {
        return Ok(set);
    }
    let texts: Vec<&str> = elements.iter().filter_map(|element| element.as_str().ok()).collect();
    Err(match kind {
        "number" => DynamodbError::validation("Input collection contains duplicates"),
        "binary" => DynamodbError::invalid_parameter(format!(
            "Input collection [{}]of type BS contains duplicates.",
            texts.join(", ")
        )),
        _ => DynamodbError::invalid_parameter(format!("Input collection [{}] contains duplicates.", texts.join(", "))),
    })
}

/// Reads a map of attributes: an item, a key, or expression values.
pub fn item_from_json(json: &Json<'_>) -> Result<Item, DynamodbError> {
    map_from_json(json, 0)
}

fn map_from_json(json: &Json<'_>, depth: usize) -> Result<Item, DynamodbError> {
    let mut item = Item::new();
    for (name, value) in json.as_object()? {
        item.insert(Cow::clone(name).into_owned(), AttributeValue::from_json_at(value, depth)?);
    }
    Ok(item)
}

pub fn write_item(out: &mut Vec<u8>, item: &Item) {
    out.push(b'{');
    for (index, (name, value)) in item.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        value.write_json(out);
    }
    out.push(b'}');
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    out.push(b'"');
    out.extend_from_slice(number.to_string().as_bytes());
    out.push(b'"');
}

fn write_list<T>(out: &mut Vec<u8>, elements: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

pub fn item_to_json(item: &Item) -> serde_json::Value {
    serde_json::Value::Object(item.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
}

/// Bytes that an item takes: names and values.
pub fn item_size_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size_bytes()).sum()
}

pub fn item_is_too_deep(item: &Item) -> bool {
    item.values().any(|value| value.is_too_deep(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AttributeValue, DynamodbError> {
        AttributeValue::from_json(&Json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn values_survive_their_json() {
        for text in [
            r#"{"S":"a\"b"}"#,
            r#"{"S":""}"#,
            r#"{"N":"12.5"}"#,
            r#"{"B":"AQID"}"#,
            r#"{"BOOL":false}"#,
            r#"{"NULL":true}"#,
            r#"{"M":{"a":{"L":[{"N":"1"},{"M":{}}]}}}"#,
            r#"{"L":[]}"#,
            r#"{"SS":["a","b"]}"#,
            r#"{"NS":["-1","2"]}"#,
            r#"{"BS":["AQ==","Ag=="]}"#,
        ] {
            let value = parse(text).unwrap();
            let mut out = Vec::new();
            value.write_json(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
            assert_eq!(value.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for (text, message) in [
            ("{}", "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
            (r#"{"X":"a"}"#, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
            (
                r#"{"S":"a","N":"1"}"#,
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            ),
            (r#"{"N":"x"}"#, "The parameter cannot be converted to a numeric value: x"),
            (
                r#"{"NULL":false}"#,
                "One or more parameter values were invalid: Null attribute value types must have the value of true",
            ),
            (r#"{"SS":[]}"#, "One or more parameter values were invalid: An string set  may not be empty"),
            (
                r#"{"SS":["a","a"]}"#,
                "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
            ),
            (r#"{"NS":["1","1.0"]}"#, "Input collection contains duplicates"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn sizes_follow_the_documented_rules() {
        for (text, size) in [
            (r#"{"S":"é"}"#, 2),
            (r#"{"N":"0"}"#, 1),
            (r#"{"N":"12"}"#, 2),
            (r#"{"N":"123"}"#, 3),
            (r#"{"N":"-12"}"#, 3),
            (r#"{"B":"AQID"}"#, 3),
            (r#"{"BOOL":true}"#, 1),
            (r#"{"L":[{"S":"ab"}]}"#, 6),
            (r#"{"M":{"a":{"S":"b"}}}"#, 6),
            (r#"{"SS":["ab","c"]}"#, 3),
        ] {
            assert_eq!(parse(text).unwrap().size_bytes(), size, "{text}");
        }
    }
}
