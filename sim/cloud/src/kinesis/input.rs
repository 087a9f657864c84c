//! Typed access to a request's members: wrong types are SerializationExceptions at once, broken constraints are
//! gathered and told together, as the service does.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::errors::{invalid_argument, serialization, validation};
use crate::{interface::UnixNanos, service::ServiceError};

type Outcome<T> = Result<T, ServiceError>;

/// What a text has to look like.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// Streams, shards, consumers: 1 to 128 of `[a-zA-Z0-9_.-]`.
    Name,
    /// 1 to this many characters.
    Length(usize),
    /// `0` or up to 129 digits that do not begin with 0.
    SequenceNumber,
    /// `0` or up to 39 digits that do not begin with 0.
    HashKey,
    OneOf(&'static [&'static str]),
}

/// One structure of a request.
#[derive(Debug)]
pub struct Input<'v> {
    members: &'v Map<String, Value>,
    /// Where it stands in the request, like `records.1.member.`; empty for the request itself.
    path: String,
    broken: Vec<String>,
}

impl<'v> Input<'v> {
    /// The request as a whole. Members other than `known` are refused if `unknown_refused`.
    pub fn new(request: &'v Value, known: &[&str], unknown_refused: bool) -> Outcome<Self> {
        Self::at(request, String::new(), known, unknown_refused)
    }

    fn at(value: &'v Value, path: String, known: &[&str], unknown_refused: bool) -> Outcome<Self> {
        let members = match value {
            Value::Object(members) => members,
            Value::Array(_) => return Err(serialization("Start of list found where not expected")),
            _ => return Err(serialization("Expected null")),
        };
        if unknown_refused && let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(serialization(format!("Unknown member: {path}{name}")));
        }
        Ok(Self { members, path, broken: Vec::new() })
    }

    /// Ends the reading: all constraints that were broken, in one error.
    pub fn finish(self) -> Outcome<()> {
        match self.broken.len() {
            0 => Ok(()),
            count => {
                let plural = if count == 1 { "" } else { "s" };
                Err(validation(format!("{count} validation error{plural} detected: {}", self.broken.join("; "))))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn path_of(&self, name: &str) -> String {
        let mut letters = name.chars();
        let lower = letters.next().map(|first| first.to_ascii_lowercase());
        format!("{}{}{}", self.path, lower.map(String::from).unwrap_or_default(), letters.as_str())
    }

    fn broke(&mut self, name: &str, value: impl fmt::Display, constraint: impl fmt::Display) {
        self.broke_for(name, &format!("'{value}' "), constraint);
    }

    /// `shown` is the value and a space; nothing for what is too large to be shown.
    fn broke_for(&mut self, name: &str, shown: &str, constraint: impl fmt::Display) {
        let path = self.path_of(name);
        self.broken.push(format!("Value {shown}at '{path}' failed to satisfy constraint: {constraint}"));
    }

    fn missing(&mut self, name: &str) {
        self.broke_for(name, "null ", "Member must not be null");
    }

    pub fn string(&mut self, name: &str, shape: Text) -> Outcome<Option<&'v str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = as_text(value)?;
        if let Some(constraint) = broken_by(text, shape) {
            self.broke(name, text, constraint);
        }
        Ok(Some(text))
    }

    /// An empty text if it is missing: [`Input::finish`] tells of it.
    pub fn required_string(&mut self, name: &str, shape: Text) -> Outcome<&'v str> {
        Ok(self.string(name, shape)?.unwrap_or_else(|| {
            self.missing(name);
            ""
        }))
    }

    pub fn integer(&mut self, name: &str, least: i64, most: i64) -> Outcome<Option<i64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number
                .as_i64()
                .or_else(|| number.as_f64().map(|float| float as i64))
                .ok_or_else(|| serialization(format!("'{number}' can not be converted to an Integer")))?,
            other => return Err(wrong_type(other, "Integer")),
        };
        if number < least {
            self.broke(name, number, format!("Member must have value greater than or equal to {least}"));
        }
        if number > most {
            self.broke(name, number, format!("Member must have value less than or equal to {most}"));
        }
        Ok(Some(number))
    }

    /// `least` if it is missing: [`Input::finish`] tells of it.
    pub fn required_integer(&mut self, name: &str, least: i64, most: i64) -> Outcome<i64> {
        Ok(self.integer(name, least, most)?.unwrap_or_else(|| {
            self.missing(name);
            least
        }))
    }

    pub fn boolean(&mut self, name: &str) -> Outcome<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong_type(other, "Boolean")),
        }
    }

    /// Seconds since the epoch with a fraction, to the millisecond.
    pub fn timestamp(&mut self, name: &str) -> Outcome<Option<UnixNanos>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let milliseconds = (number.as_f64().unwrap_or_default() * 1_000.0).round().max(0.0);
                Ok(Some(UnixNanos((milliseconds as u64).saturating_mul(1_000_000))))
            }
            Some(other) => Err(wrong_type(other, "Date")),
        }
    }

    pub fn structure(&mut self, name: &str, known: &[&str], unknown_refused: bool) -> Outcome<Option<Input<'v>>> {
        let path = format!("{}.", self.path_of(name));
        self.get(name).map(|value| Input::at(value, path, known, unknown_refused)).transpose()
    }

    /// Takes over what was broken in a structure of this one.
    pub fn absorb(&mut self, inner: Input<'v>) {
        self.broken.extend(inner.broken);
    }

    fn list(&mut self, name: &str, most: usize) -> Outcome<&'v [Value]> {
        let values = match self.get(name) {
            None => {
                self.missing(name);
                return Ok(&[]);
            }
            Some(Value::Array(values)) => values,
            Some(Value::Object(_)) => return Err(serialization("Start of structure or map found where not expected.")),
            Some(_) => return Err(serialization("Expected list or null")),
        };
        if values.is_empty() {
            self.broke_for(name, "", "Member must have length greater than or equal to 1");
        }
        if values.len() > most {
            self.broke_for(name, "", format!("Member must have length less than or equal to {most}"));
        }
        Ok(values)
    }

    /// A list of 1 to `most` structures.
    pub fn structures(
        &mut self,
        name: &str,
        most: usize,
        known: &[&str],
        unknown_refused: bool,
    ) -> Outcome<Vec<Input<'v>>> {
        let path = self.path_of(name);
        let values = self.list(name, most)?.iter().enumerate();
        values
            .map(|(index, value)| Input::at(value, format!("{path}.{}.member.", index + 1), known, unknown_refused))
            .collect()
    }

    /// A list of 1 to `most` texts.
    pub fn strings(&mut self, name: &str, most: usize) -> Outcome<Vec<&'v str>> {
        self.list(name, most)?.iter().map(as_text).collect()
    }

    /// A map of texts to texts; empty if it is missing and not `required`.
    pub fn text_map(&mut self, name: &str, required: bool) -> Outcome<Vec<(&'v str, &'v str)>> {
        match self.get(name) {
            None => {
                if required {
                    self.missing(name);
                }
                Ok(Vec::new())
            }
            Some(Value::Object(map)) => map.iter().map(|(key, value)| Ok((key.as_str(), as_text(value)?))).collect(),
            Some(Value::Array(_)) => Err(serialization("Start of list found where not expected")),
            Some(_) => Err(serialization("Expected map or null")),
        }
    }

    /// Bytes, which JSON carries as base64; at most `most_bytes` of them.
    pub fn required_blob(&mut self, name: &str, most_bytes: usize) -> Outcome<Vec<u8>> {
        let text = match self.get(name) {
            None => {
                self.missing(name);
                return Ok(Vec::new());
            }
            Some(Value::String(text)) => text,
            Some(other) => return Err(wrong_type(other, "Blob")),
        };
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| serialization(format!("The member {} is no base64: {error}", self.path_of(name))))?;
        if bytes.len() > most_bytes {
            self.broke_for(name, "", format!("Member must have length less than or equal to {most_bytes}"));
        }
        Ok(bytes)
    }

    /// The stream that a request names by StreamName or StreamARN.
    pub fn stream(&mut self, region: &str, account_id: &str) -> Outcome<&'v str> {
        let name = self.string("StreamName", Text::Name)?;
        let arn = self.string("StreamARN", Text::Length(2_048))?;
        match (name, arn) {
            (Some(name), None) => Ok(name),
            (None, Some(arn)) => stream_of_arn(arn, region, account_id),
            (Some(name), Some(arn)) if stream_of_arn(arn, region, account_id)? == name => Ok(name),
            (Some(_), Some(_)) => Err(invalid_argument("StreamName and StreamARN name different streams.")),
            (None, None) => Err(invalid_argument("Either StreamName or StreamARN must be provided.")),
        }
    }
}

/// The name of the stream in an ARN of it, or of one of its consumers.
pub fn stream_of_arn<'a>(arn: &'a str, region: &str, account_id: &str) -> Outcome<&'a str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "kinesis", its_region, its_account, resource] = parts.as_slice() else {
        return Err(invalid_argument(format!("{arn} is not the ARN of a stream.")));
    };
    let name = resource.strip_prefix("stream/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if name.is_empty() || !partition.starts_with("aws") {
        return Err(invalid_argument(format!("{arn} is not the ARN of a stream.")));
    }
    if *its_region != region || *its_account != account_id {
        return Err(super::errors::Named { stream: name, account_id: its_account }.not_found());
    }
    Ok(name)
}

fn as_text(value: &Value) -> Outcome<&str> {
    value.as_str().ok_or_else(|| wrong_type(value, "String"))
}

fn wrong_type(value: &Value, wanted: &str) -> ServiceError {
    serialization(match value {
        Value::Array(_) => "Start of list found where not expected".to_owned(),
        Value::Object(_) => "Start of structure or map found where not expected.".to_owned(),
        Value::Bool(_) => format!("class java.lang.Boolean can not be converted to an {wanted}"),
        Value::Number(_) => format!("class java.math.BigDecimal can not be converted to an {wanted}"),
        _ => format!("class java.lang.String can not be converted to an {wanted}"),
    })
}

/// The first constraint that a text breaks.
fn broken_by(text: &str, shape: Text) -> Option<String> {
    let length = |most: usize| {
        let characters = text.chars().count();
        if characters < 1 {
            Some("Member must have length greater than or equal to 1".to_owned())
        } else if characters > most {
            Some(format!("Member must have length less than or equal to {most}"))
        } else {
            None
        }
    };
    let pattern = |holds: bool, pattern: &str| {
        (!holds).then(|| format!("Member must satisfy regular expression pattern: {pattern}"))
    };
    match shape {
        Text::Length(most) => length(most),
        Text::Name => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            length(128).or_else(|| pattern(text.bytes().all(allowed), "[a-zA-Z0-9_.-]+"))
        }
        Text::SequenceNumber => pattern(is_number(text, 129), r"0|([1-9]\d{0,128})"),
        Text::HashKey => pattern(is_number(text, 39), r"0|([1-9]\d{0,38})"),
        Text::OneOf(values) => {
            (!values.contains(&text)).then(|| format!("Member must satisfy enum value set: [{}]", values.join(", ")))
        }
    }
}

fn is_number(text: &str, most_digits: usize) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.len() <= most_digits && (text == "0" || !text.starts_with('0'))
}
