//! Typed access to a request's members: wrong types and missing members are errors of the front end.

use serde_json::{Map, Value};

use super::errors::{serialization, validation};
use crate::service::ServiceError;

type Outcome<T> = Result<T, ServiceError>;

/// One structure of a request.
#[derive(Clone, Debug)]
pub struct Input<'v> {
    members: &'v Map<String, Value>,
    /// Where it stands in the request, like `schemaId.`; empty for the request itself.
    path: String,
    unknown_refused: bool,
}

impl<'v> Input<'v> {
    /// The request as a whole. Members other than `known` are refused if `unknown_refused`.
    pub fn new(request: &'v Value, known: &[&str], unknown_refused: bool) -> Outcome<Self> {
        Self::at(request, String::new(), known, unknown_refused)
    }

    fn at(value: &'v Value, path: String, known: &[&str], unknown_refused: bool) -> Outcome<Self> {
        let Value::Object(members) = value else {
            return Err(serialization(format!("A structure is expected at '{path}'.")));
        };
        if unknown_refused && let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(serialization(format!("Unknown member: {path}{name}")));
        }
        Ok(Self { members, path, unknown_refused })
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn path_of(&self, name: &str) -> String {
        let mut letters = name.chars();
        let lower = letters.next().map(|first| first.to_ascii_lowercase());
        format!("{}{}{}", self.path, lower.map(String::from).unwrap_or_default(), letters.as_str())
    }

    fn wrong_type(&self, name: &str, wanted: &str) -> ServiceError {
        serialization(format!("The member {} is no {wanted}.", self.path_of(name)))
    }

    fn missing(&self, name: &str) -> ServiceError {
        let path = self.path_of(name);
        validation(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"))
    }

    pub fn text(&self, name: &str) -> Outcome<Option<&'v str>> {
        let as_text = |value: &'v Value| value.as_str().ok_or_else(|| self.wrong_type(name, "String"));
        self.get(name).map(as_text).transpose()
    }

    pub fn required_text(&self, name: &str) -> Outcome<&'v str> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub fn boolean(&self, name: &str) -> Outcome<bool> {
        let as_boolean = |value: &Value| value.as_bool().ok_or_else(|| self.wrong_type(name, "Boolean"));
        Ok(self.get(name).map(as_boolean).transpose()?.unwrap_or(false))
    }

    pub fn integer(&self, name: &str, least: i64, most: i64) -> Outcome<Option<i64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| self.wrong_type(name, "Integer"))?;
        let bound = if number < least {
            format!("greater than or equal to {least}")
        } else if number > most {
            format!("less than or equal to {most}")
        } else {
            return Ok(Some(number));
        };
        let path = self.path_of(name);
        Err(validation(format!(
            "Value '{number}' at '{path}' failed to satisfy constraint: Member must have value {bound}"
        )))
    }

    pub fn structure(&self, name: &str, known: &[&str]) -> Outcome<Option<Input<'v>>> {
        let path = format!("{}.", self.path_of(name));
        self.get(name).map(|value| Input::at(value, path, known, self.unknown_refused)).transpose()
    }

    pub fn required_structure(&self, name: &str, known: &[&str]) -> Outcome<Input<'v>> {
        self.structure(name, known)?.ok_or_else(|| self.missing(name))
    }

    /// Nothing if it is missing.
    pub fn structures(&self, name: &str, known: &[&str]) -> Outcome<Vec<Input<'v>>> {
        let path = self.path_of(name);
        let of =
            |(index, value)| Input::at(value, format!("{path}.{}.member.", index + 1), known, self.unknown_refused);
        self.list(name)?.iter().enumerate().map(of).collect()
    }

    fn list(&self, name: &str) -> Outcome<&'v [Value]> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.wrong_type(name, "List")),
        }
    }

    /// Nothing if it is missing.
    pub fn texts(&self, name: &str) -> Outcome<Vec<&'v str>> {
        let as_text = |value: &'v Value| value.as_str().ok_or_else(|| self.wrong_type(name, "List of Strings"));
        self.list(name)?.iter().map(as_text).collect()
    }

    /// Nothing if it is missing.
    pub fn text_map(&self, name: &str) -> Outcome<Vec<(&'v str, &'v str)>> {
        let wrong = || self.wrong_type(name, "Map of Strings");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => {
                map.iter().map(|(key, value)| Ok((key.as_str(), value.as_str().ok_or_else(wrong)?))).collect()
            }
            Some(_) => Err(wrong()),
        }
    }
}
