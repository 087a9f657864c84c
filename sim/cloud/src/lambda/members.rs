//! Reading the members of a request, with the service's words for what is wrong.

use serde_json::Value;

use super::errors::{serialization, validation};
use crate::service::ServiceError;

type Read<T> = Result<Option<T>, ServiceError>;

/// `BatchSize` as messages write it: `batchSize`.
fn in_messages(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn member<'v>(request: &'v Value, name: &str) -> Option<&'v Value> {
    request.get(name).filter(|value| !value.is_null())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(_) => "BOOLEAN_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

fn cannot(value: &Value, wanted: &str) -> ServiceError {
    serialization(format!("{} can not be converted to {wanted}", kind(value)))
}

pub fn string<'v>(request: &'v Value, name: &str) -> Read<&'v str> {
    let Some(value) = member(request, name) else { return Ok(None) };
    value.as_str().map(Some).ok_or_else(|| cannot(value, "a String"))
}

pub fn required_string<'v>(request: &'v Value, name: &str) -> Result<&'v str, ServiceError> {
    string(request, name)?.ok_or_else(|| validation(&in_messages(name), "null", "not be null"))
}

pub fn boolean(request: &Value, name: &str) -> Read<bool> {
    let Some(value) = member(request, name) else { return Ok(None) };
    value.as_bool().map(Some).ok_or_else(|| cannot(value, "a Boolean"))
}

/// An integer between two bounds, both included.
pub fn integer(request: &Value, name: &str, least: i64, most: i64) -> Read<i64> {
    let Some(value) = member(request, name) else { return Ok(None) };
    let number = value.as_i64().ok_or_else(|| cannot(value, "an Integer"))?;
    let out_of_bounds = |constraint: String| Err(validation(&in_messages(name), &format!("'{number}'"), &constraint));
    if number < least {
        return out_of_bounds(format!("have value greater than or equal to {least}"));
    }
    if number > most {
        return out_of_bounds(format!("have value less than or equal to {most}"));
    }
    Ok(Some(number))
}

pub fn number(request: &Value, name: &str) -> Read<f64> {
    let Some(value) = member(request, name) else { return Ok(None) };
    value.as_f64().map(Some).ok_or_else(|| cannot(value, "a Timestamp"))
}

pub fn object<'v>(request: &'v Value, name: &str) -> Read<&'v Value> {
    let Some(value) = member(request, name) else { return Ok(None) };
    if value.is_object() { Ok(Some(value)) } else { Err(cannot(value, "a structure")) }
}

pub fn array<'v>(request: &'v Value, name: &str) -> Read<&'v [Value]> {
    let Some(value) = member(request, name) else { return Ok(None) };
    value.as_array().map(|elements| Some(elements.as_slice())).ok_or_else(|| cannot(value, "a list"))
}

/// One of the values of an enumeration.
pub fn one_of<'v>(request: &'v Value, name: &str, allowed: &[&str]) -> Read<&'v str> {
    match string(request, name)? {
        Some(value) if !allowed.contains(&value) => Err(validation(
            &in_messages(name),
            &format!("'{value}'"),
            &format!("satisfy enum value set: [{}]", allowed.join(", ")),
        )),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_told_in_the_services_words() {
        let request = json!({"BatchSize": 0, "Enabled": "yes", "Name": 7, "List": {}, "Start": "NOW", "Nothing": null});
        for (error, code, message) in [
            (
                integer(&request, "BatchSize", 1, 10).unwrap_err(),
                "ValidationException",
                "1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ),
            (
                one_of(&request, "Start", &["LATEST", "TRIM_HORIZON"]).unwrap_err(),
                "ValidationException",
                "1 validation error detected: Value 'NOW' at 'start' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, TRIM_HORIZON]",
            ),
            (
                boolean(&request, "Enabled").unwrap_err(),
                "SerializationException",
                "STRING_VALUE can not be converted to a Boolean",
            ),
            (
                string(&request, "Name").unwrap_err(),
                "SerializationException",
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                array(&request, "List").unwrap_err(),
                "SerializationException",
                "START_OBJECT can not be converted to a list",
            ),
            (
                required_string(&request, "Nothing").unwrap_err(),
                "ValidationException",
                "1 validation error detected: Value null at 'nothing' failed to satisfy constraint: Member must not be null",
            ),
        ] {
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
        }
        assert_eq!(integer(&request, "Absent", 0, 1), Ok(None));
    }
}
