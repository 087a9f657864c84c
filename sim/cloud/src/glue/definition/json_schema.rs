//! The syntax of JSON Schema, drafts 04, 06 and 07, which are what the registry takes.
//!
//! Checked: the draft; the form of each keyword's value; references within the text. Not checked: whether patterns are
//! regular expressions, references by name or to other texts, and what `default` and `examples` hold.

use serde_json::{Map, Value};

type Outcome = Result<(), String>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Draft {
    Four,
    SixOrSeven,
    /// No draft is named: what either allows is let pass.
    Unnamed,
}

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
const ONE_SCHEMA: [&str; 6] = ["not", "if", "then", "else", "contains", "propertyNames"];
const SCHEMA_OR_BOOLEAN: [&str; 2] = ["additionalProperties", "additionalItems"];
const SCHEMAS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const NAMED_SCHEMAS: [&str; 3] = ["properties", "patternProperties", "definitions"];
const NUMBERS: [&str; 2] = ["minimum", "maximum"];
const COUNTS: [&str; 6] = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
const TEXTS: [&str; 8] = ["$schema", "$ref", "$id", "id", "title", "description", "pattern", "format"];

pub fn check(schema: &Value) -> Outcome {
    let draft = draft_of(schema)?;
    Checker { root: schema, draft }.schema(schema, "#")
}

fn draft_of(schema: &Value) -> Result<Draft, String> {
    let Some(named) = schema.get("$schema") else { return Ok(Draft::Unnamed) };
    let text = named.as_str().ok_or("#/$schema is no text")?;
    let name = text.trim_end_matches('#');
    let name = name.strip_prefix("http://").or(name.strip_prefix("https://")).unwrap_or(name);
    match name {
        "json-schema.org/draft-04/schema" => Ok(Draft::Four),
        "json-schema.org/draft-06/schema" | "json-schema.org/draft-07/schema" => Ok(Draft::SixOrSeven),
        _ => Err(format!("#/$schema {text} is not supported; draft-04, draft-06 and draft-07 are")),
    }
}

struct Checker<'s> {
    root: &'s Value,
    draft: Draft,
}

impl Checker<'_> {
    fn schema(&self, schema: &Value, at: &str) -> Outcome {
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(_) if self.draft != Draft::Four => return Ok(()),
            Value::Bool(_) => return Err(format!("{at} is a boolean, which is no schema in draft-04")),
            _ => return Err(format!("{at} is no schema")),
        };
        for (keyword, value) in members {
            self.keyword(keyword, value, &format!("{at}/{keyword}"))?;
        }
        self.reference(members, at)
    }

    fn keyword(&self, keyword: &str, value: &Value, at: &str) -> Outcome {
        match keyword {
            "type" => check_type(value, at),
            "enum" => value
                .as_array()
                .filter(|values| !values.is_empty())
                .map(drop)
                .ok_or(format!("{at} is no list of values")),
            "required" => self.required(value, at),
            "items" => match value {
                Value::Array(schemas) => self.each(schemas, at),
                one => self.schema(one, at),
            },
            "dependencies" => self.dependencies(value, at),
            "uniqueItems" => value.as_bool().map(drop).ok_or(format!("{at} is no boolean")),
            "multipleOf" => {
                value.as_f64().filter(|number| *number > 0.0).map(drop).ok_or(format!("{at} is no number above 0"))
            }
            "exclusiveMinimum" | "exclusiveMaximum" => self.exclusive(value, at),
            _ if ONE_SCHEMA.contains(&keyword) => self.schema(value, at),
            _ if SCHEMA_OR_BOOLEAN.contains(&keyword) && value.is_boolean() => Ok(()),
            _ if SCHEMA_OR_BOOLEAN.contains(&keyword) => self.schema(value, at),
            _ if SCHEMAS.contains(&keyword) => match value.as_array() {
                Some(schemas) if !schemas.is_empty() => self.each(schemas, at),
                _ => Err(format!("{at} is no list of schemas")),
            },
            _ if NAMED_SCHEMAS.contains(&keyword) => self.named(value, at),
            _ if NUMBERS.contains(&keyword) => value.is_number().then_some(()).ok_or(format!("{at} is no number")),
            _ if COUNTS.contains(&keyword) => check_count(value, at),
            _ if TEXTS.contains(&keyword) => value.is_string().then_some(()).ok_or(format!("{at} is no text")),
            _ => Ok(()),
        }
    }

    fn each(&self, schemas: &[Value], at: &str) -> Outcome {
        schemas.iter().enumerate().try_for_each(|(index, schema)| self.schema(schema, &format!("{at}/{index}")))
    }

    fn named(&self, value: &Value, at: &str) -> Outcome {
        let schemas = value.as_object().ok_or_else(|| format!("{at} is no object of schemas"))?;
        schemas.iter().try_for_each(|(name, schema)| self.schema(schema, &format!("{at}/{name}")))
    }

    fn required(&self, value: &Value, at: &str) -> Outcome {
        check_names(value, at)?;
        if self.draft == Draft::Four && value.as_array().is_some_and(Vec::is_empty) {
            return Err(format!("{at} is empty, which draft-04 does not allow"));
        }
        Ok(())
    }

    fn dependencies(&self, value: &Value, at: &str) -> Outcome {
        let dependencies = value.as_object().ok_or_else(|| format!("{at} is no object"))?;
        dependencies.iter().try_for_each(|(name, needed)| {
            let at = format!("{at}/{name}");
            if needed.is_array() { check_names(needed, &at) } else { self.schema(needed, &at) }
        })
    }

    fn exclusive(&self, value: &Value, at: &str) -> Outcome {
        match (value, self.draft) {
            (Value::Bool(_), Draft::Four | Draft::Unnamed) | (Value::Number(_), Draft::SixOrSeven | Draft::Unnamed) => {
                Ok(())
            }
            (_, Draft::Four) => Err(format!("{at} is no boolean, as draft-04 wants it")),
            _ => Err(format!("{at} is no number")),
        }
    }

    fn reference(&self, members: &Map<String, Value>, at: &str) -> Outcome {
        let Some(reference) = members.get("$ref").and_then(Value::as_str) else { return Ok(()) };
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match pointer {
            Some(pointer) if self.root.pointer(pointer).is_none() => {
                Err(format!("{at}/$ref {reference} leads to nothing"))
            }
            _ => Ok(()),
        }
    }
}

fn check_type(value: &Value, at: &str) -> Outcome {
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(types) if !types.is_empty() && types.iter().all(is_type) => check_names(value, at),
        one if is_type(one) => Ok(()),
        _ => Err(format!("{at} {value} is no type")),
    }
}

/// A list of texts that differ.
fn check_names(value: &Value, at: &str) -> Outcome {
    let names = value.as_array().ok_or_else(|| format!("{at} is no list"))?;
    let mut texts: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    texts.sort_unstable();
    if texts.len() < names.len() || texts.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("{at} is no list of texts that differ"));
    }
    Ok(())
}

fn check_count(value: &Value, at: &str) -> Outcome {
    let is_count = value.is_u64() || value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0);
    is_count.then_some(()).ok_or(format!("{at} is no number of things"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draft(number: &str, mut schema: Value) -> Value {
        schema["$schema"] = json!(format!("http://json-schema.org/draft-{number}/schema#"));
        schema
    }

    #[test]
    fn schemas_are_sound_or_say_where_they_are_not() {
        let cases = [
            (json!({}), None),
            (json!(true), None),
            (json!("text"), Some("# is no schema")),
            (draft("04", json!({"type": "object", "required": ["a"]})), None),
            (draft("06", json!({"const": 1})), None),
            (draft("07", json!({"if": {"type": "null"}, "then": true})), None),
            (json!({"$schema": "https://json-schema.org/draft-07/schema"}), None),
            (json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}), Some("is not supported")),
            (json!({"$schema": "https://json-schema.org/draft/2019-09/schema"}), Some("is not supported")),
            (json!({"$schema": 7}), Some("#/$schema is no text")),
            (draft("04", json!({"required": []})), Some("#/required is empty")),
            (draft("04", json!({"not": true})), Some("#/not is a boolean")),
            (draft("04", json!({"minimum": 1, "exclusiveMinimum": true})), None),
            (draft("04", json!({"exclusiveMinimum": 1})), Some("as draft-04 wants it")),
            (draft("07", json!({"exclusiveMinimum": true})), Some("#/exclusiveMinimum is no number")),
            (json!({"type": "text"}), Some("#/type \"text\" is no type")),
            (json!({"type": ["string", "string"]}), Some("texts that differ")),
            (json!({"properties": {"a": 1}}), Some("#/properties/a is no schema")),
            (json!({"properties": {"type": {"type": "string"}}}), None),
            (json!({"properties": []}), Some("#/properties is no object")),
            (json!({"required": ["a", "a"]}), Some("#/required is no list of texts")),
            (json!({"enum": []}), Some("#/enum")),
            (json!({"items": [{}, 1]}), Some("#/items/1 is no schema")),
            (json!({"additionalProperties": "no"}), Some("#/additionalProperties is no schema")),
            (json!({"anyOf": []}), Some("#/anyOf is no list")),
            (json!({"minLength": -1}), Some("#/minLength")),
            (json!({"multipleOf": 0}), Some("above 0")),
            (json!({"pattern": 1}), Some("#/pattern is no text")),
            (json!({"dependencies": {"a": ["b"], "c": {}}}), None),
            (json!({"dependencies": {"a": [1]}}), Some("#/dependencies/a")),
            (json!({"definitions": {"a": {}}, "$ref": "#/definitions/a"}), None),
            (json!({"items": {"$ref": "#/definitions/a"}}), Some("#/items/$ref #/definitions/a leads to nothing")),
            (json!({"$ref": "http://example.org/schema"}), None),
        ];
        for (schema, wanted) in cases {
            match (wanted, check(&schema)) {
                (None, Ok(())) => {}
                (Some(part), Err(reason)) if reason.contains(part) => {}
                (wanted, found) => panic!("{schema}: {found:?} instead of {wanted:?}"),
            }
        }
    }
}
