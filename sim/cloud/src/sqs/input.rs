//! Readers of a request's members, with the service's words for what is missing or of another type.

use serde_json::{Map, Value};

use super::errors::{invalid_value, missing, wrong_type};
use crate::service::ServiceError;

/// The members of a request or of one of its structures.
#[derive(Clone, Copy, Debug)]
pub struct Input<'v>(Option<&'v Map<String, Value>>);

impl<'v> Input<'v> {
    pub fn new(value: &'v Value) -> Self {
        Self(value.as_object())
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Result<Option<&'v str>, ServiceError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| wrong_type(name, "a string"))).transpose()
    }

    /// A text that must be there and not be empty.
    pub fn required(&self, name: &str) -> Result<&'v str, ServiceError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, ServiceError> {
        let read = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        self.get(name).map(|value| read(value).ok_or_else(|| wrong_type(name, "an integer"))).transpose()
    }

    /// An integer within bounds; `reason` says them in the service's words.
    pub fn integer_in(&self, name: &str, least: i64, most: i64, reason: &str) -> Result<Option<i64>, ServiceError> {
        match self.integer(name)? {
            Some(value) if value < least || value > most => Err(invalid_value(value, name, reason)),
            value => Ok(value),
        }
    }

    pub fn list(&self, name: &str) -> Result<&'v [Value], ServiceError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| wrong_type(name, "a list")),
        }
    }

    pub fn texts(&self, name: &str) -> Result<Vec<&'v str>, ServiceError> {
        self.list(name)?.iter().map(|value| value.as_str().ok_or_else(|| wrong_type(name, "strings"))).collect()
    }

    /// The pairs of a map.
    pub fn pairs(&self, name: &str) -> Result<Vec<(&'v str, &'v Value)>, ServiceError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => Ok(map.iter().map(|(name, value)| (name.as_str(), value)).collect()),
            Some(_) => Err(wrong_type(name, "a map")),
        }
    }

    /// The pairs of a map from texts to texts; numbers and booleans are taken as their text.
    pub fn text_pairs(&self, name: &str) -> Result<Vec<(&'v str, String)>, ServiceError> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err(wrong_type(name, "a map of strings")),
        };
        self.pairs(name)?.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect()
    }
}

/// The name in a queue's URL or path; whatever host stands before it.
pub fn queue_name(url: &str) -> Option<&str> {
    url.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty())
}

/// The last part of an ARN.
pub fn arn_name(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let is_arn = parts.next() == Some("arn");
    parts.nth(4).filter(|name| is_arn && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_named_by_urls_paths_and_arns() {
        for (url, name) in [
            ("http://sqs.us-east-1.amazonaws.com/000000000000/orders", Some("orders")),
            ("http://127.0.0.1:4566/000000000000/orders.fifo", Some("orders.fifo")),
            ("/000000000000/orders", Some("orders")),
            ("orders", Some("orders")),
            ("", None),
        ] {
            assert_eq!(queue_name(url), name, "{url}");
        }
        assert_eq!(arn_name("arn:aws:sqs:us-east-1:000000000000:orders"), Some("orders"));
        assert_eq!(arn_name("sqs:us-east-1:000000000000:orders"), None);
        assert_eq!(arn_name("arn:aws:sqs:us-east-1:000000000000"), None);
    }
}
