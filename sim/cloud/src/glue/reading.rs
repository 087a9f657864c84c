//! Whether one JSON schema reads what another allows: the model behind the compatibility modes.
//!
//! A reader is held to these rules, at each place of the schema:
//! - what it requires, the writer requires too; what is not required is optional, and may come and go;
//! - its types, enumerated values and bounds hold all of the writer's (`integer` is within `number`);
//! - closed (`additionalProperties: false`), it knows each property that the writer declares, and reads no open writer;
//! - a keyword that cannot be compared (`pattern`, `format`, `not`, `if`, `dependencies`, …) is the writer's own, or absent;
//! - of alternatives (`anyOf`, and `oneOf` as if it were `anyOf`), one reads each of the writer's; of `allOf`, all read.
//!
//! An open writer may carry anything under names that it does not declare; the model takes it that it carries nothing, as
//! the guide's table does when it lets an optional field be added. What the real service compares is not documented.

use std::{collections::BTreeSet, ptr, sync::LazyLock};

use serde_json::{Map, Value};

/// Comparisons after which two schemas count as too large to be judged.
const MAX_COMPARISONS: u32 = 200_000;
/// Schemas within schemas, references followed: deeper ones are not judged.
const MAX_DEPTH: u32 = 200;
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
/// A new or changed one of these may narrow what is read, in ways that are not compared.
const OPAQUE: [&str; 14] = [
    "additionalItems",
    "contains",
    "dependencies",
    "else",
    "format",
    "if",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "contentEncoding",
    "contentMediaType",
];
/// What a schema without keywords says.
static ANYTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
/// Keyword, and the type of value that it speaks about.
const LOWER: [(&str, &str); 3] = [("minLength", "string"), ("minItems", "array"), ("minProperties", "object")];
const UPPER: [(&str, &str); 3] = [("maxLength", "string"), ("maxItems", "array"), ("maxProperties", "object")];

/// # Errors
/// The first place where the reader refuses something that the writer allows, for people.
pub fn can_read(reader: &Value, writer: &Value) -> Result<(), String> {
    Judge { reader_root: reader, writer_root: writer, under_way: Vec::new(), comparisons: 0, depth: 0 }
        .reads(reader, writer, "")
}

struct Judge<'s> {
    reader_root: &'s Value,
    writer_root: &'s Value,
    /// Pairs that are being compared: a recursive schema meets itself again, and nothing new is learnt.
    under_way: Vec<(&'s Value, &'s Value)>,
    comparisons: u32,
    depth: u32,
}

type Verdict = Result<(), String>;

fn place(at: &str) -> String {
    if at.is_empty() { "at the root".to_owned() } else { format!("at {at}") }
}

impl<'s> Judge<'s> {
    fn reads(&mut self, reader: &'s Value, writer: &'s Value, at: &str) -> Verdict {
        self.count()?;
        let reader = resolve(self.reader_root, reader, at)?;
        let writer = resolve(self.writer_root, writer, at)?;
        if self.under_way.iter().any(|(one, other)| ptr::eq(*one, reader) && ptr::eq(*other, writer)) {
            return Ok(());
        }
        self.under_way.push((reader, writer));
        let verdict = self.one_deeper(|judge| judge.compare(reader, writer, at));
        self.under_way.pop();
        verdict
    }

    fn count(&mut self) -> Verdict {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS || self.depth > MAX_DEPTH {
            return Err("the schemas are too large to be compared".to_owned());
        }
        Ok(())
    }

    fn one_deeper(&mut self, compare: impl FnOnce(&mut Self) -> Verdict) -> Verdict {
        self.depth += 1;
        let verdict = compare(self);
        self.depth -= 1;
        verdict
    }

    fn compare(&mut self, reader: &'s Value, writer: &'s Value, at: &str) -> Verdict {
        let members = |schema: &'s Value| match schema {
            Value::Object(members) => Some(members),
            Value::Bool(false) => None,
            _ => Some(&*ANYTHING),
        };
        let Some(written) = members(writer) else { return Ok(()) };
        let Some(read) = members(reader) else { return Err(format!("{} nothing is allowed any more", place(at))) };
        self.reads_any_form_of(read, written, at)?;
        for part in list(read, "allOf") {
            self.reads(part, writer, at)?;
        }
        for keyword in ["anyOf", "oneOf"] {
            self.reads_by_alternatives(list(read, keyword), writer, written, at)?;
        }
        Ok(())
    }

    /// The reader's own keywords, alternatives apart, against the writer as it stands, or one part of it that narrows it.
    fn reads_any_form_of(
        &mut self,
        read: &'s Map<String, Value>,
        written: &'s Map<String, Value>,
        at: &str,
    ) -> Verdict {
        let Err(reason) = self.compare_plain(read, written, at) else { return Ok(()) };
        for part in list(written, "allOf") {
            if let Some(part) = self.writer_members(part, at)?
                && self.one_deeper(|judge| judge.reads_any_form_of(read, part, at)).is_ok()
            {
                return Ok(());
            }
        }
        'keywords: for keyword in ["anyOf", "oneOf"] {
            let alternatives = list(written, keyword);
            for alternative in alternatives {
                if let Some(part) = self.writer_members(alternative, at)?
                    && self.one_deeper(|judge| judge.reads_any_form_of(read, part, at)).is_err()
                {
                    continue 'keywords;
                }
            }
            if !alternatives.is_empty() {
                return Ok(());
            }
        }
        Err(reason)
    }

    /// Nothing for a part that allows nothing.
    fn writer_members(&mut self, part: &'s Value, at: &str) -> Result<Option<&'s Map<String, Value>>, String> {
        self.count()?;
        Ok(match resolve(self.writer_root, part, at)? {
            Value::Object(members) => Some(members),
            Value::Bool(false) => None,
            _ => Some(&*ANYTHING),
        })
    }

    fn reads_by_alternatives(
        &mut self,
        readers: &'s [Value],
        writer: &'s Value,
        written: &'s Map<String, Value>,
        at: &str,
    ) -> Verdict {
        if readers.is_empty() {
            return Ok(());
        }
        let one_reads =
            |judge: &mut Self, writer: &'s Value| readers.iter().any(|reader| judge.reads(reader, writer, at).is_ok());
        for keyword in ["anyOf", "oneOf"] {
            let writers = list(written, keyword);
            if !writers.is_empty() && writers.iter().all(|writer| one_reads(self, writer)) {
                return Ok(());
            }
        }
        if one_reads(self, writer) { Ok(()) } else { Err(format!("{} no alternative reads it", place(at))) }
    }

    fn compare_plain(&mut self, read: &'s Map<String, Value>, written: &'s Map<String, Value>, at: &str) -> Verdict {
        let types = types_of(written);
        check_types(&types_of_reader(read), &types, at)?;
        check_values(read, written, at)?;
        check_bounds(read, written, &types, at)?;
        check_opaque(read, written, at)?;
        if types.contains("object") {
            self.compare_objects(read, written, at)?;
        }
        if types.contains("array") {
            self.compare_items(read, written, at)?;
        }
        Ok(())
    }

    fn compare_objects(&mut self, read: &'s Map<String, Value>, written: &'s Map<String, Value>, at: &str) -> Verdict {
        let required = texts(written, "required");
        if let Some(missing) = texts(read, "required").into_iter().find(|name| !required.contains(name)) {
            return Err(format!("{} {missing} is required, which data need not have", place(at)));
        }
        let (known, declared) = (read.get("properties"), written.get("properties"));
        let property = |schema: Option<&'s Value>, name: &str| schema.and_then(|properties| properties.get(name));
        let (read_more, written_more) = (read.get("additionalProperties"), written.get("additionalProperties"));
        for (name, reader) in entries(known) {
            let path = format!("{at}/properties/{name}");
            match (property(declared, name), written_more) {
                (Some(writer), _) => self.reads(reader, writer, &path)?,
                (None, Some(writer @ Value::Object(_))) => self.reads(reader, writer, &path)?,
                (None, _) => {}
            }
        }
        let is_open = |more: Option<&Value>| !matches!(more, Some(Value::Bool(false)));
        for (name, writer) in entries(declared).filter(|(name, _)| property(known, name).is_none()) {
            let path = format!("{at}/properties/{name}");
            match read_more {
                Some(Value::Bool(false)) if entries(read.get("patternProperties")).next().is_none() => {
                    return Err(format!("{} {name} is not known, and nothing unknown is allowed", place(at)));
                }
                Some(reader @ Value::Object(_)) => self.reads(reader, writer, &path)?,
                _ => {}
            }
        }
        match (read_more, written_more) {
            (Some(reader @ Value::Object(_)), Some(writer @ Value::Object(_))) => {
                self.reads(reader, writer, &format!("{at}/additionalProperties"))
            }
            (Some(Value::Object(_)), more) if is_open(more) => {
                Err(format!("{} what is not declared is held to a schema, and was not before", place(at)))
            }
            (more, other) if !is_open(more) && is_open(other) => {
                Err(format!("{} nothing unknown is allowed, and data may have it", place(at)))
            }
            _ => Ok(()),
        }
    }

    fn compare_items(&mut self, read: &'s Map<String, Value>, written: &'s Map<String, Value>, at: &str) -> Verdict {
        static ANY_ITEM: Value = Value::Bool(true);
        let path = format!("{at}/items");
        if read.get("uniqueItems") == Some(&Value::Bool(true)) && written.get("uniqueItems") != Some(&Value::Bool(true))
        {
            return Err(format!("{} items have to differ, and need not before", place(at)));
        }
        match (read.get("items"), written.get("items")) {
            (None, _) => Ok(()),
            (Some(Value::Array(readers)), Some(Value::Array(writers))) if readers.len() == writers.len() => {
                readers.iter().zip(writers).try_for_each(|(reader, writer)| self.reads(reader, writer, &path))
            }
            (Some(Value::Array(_)), _) => Err(format!("{} there is another list of items", place(at))),
            (Some(reader), Some(Value::Array(writers))) => {
                writers.iter().try_for_each(|writer| self.reads(reader, writer, &path))
            }
            (Some(reader), writer) => self.reads(reader, writer.unwrap_or(&ANY_ITEM), &path),
        }
    }
}

/// Follows references within the schema's own text.
fn resolve<'s>(root: &'s Value, schema: &'s Value, at: &str) -> Result<&'s Value, String> {
    let mut found = schema;
    for _ in 0..64 {
        let Some(reference) = found.get("$ref").and_then(Value::as_str) else { return Ok(found) };
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        found = target.ok_or_else(|| format!("{} {reference} lies outside the schema", place(at)))?;
    }
    Err(format!("{} references lead in a circle", place(at)))
}

fn list<'s>(members: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    members.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts<'s>(members: &'s Map<String, Value>, keyword: &str) -> Vec<&'s str> {
    list(members, keyword).iter().filter_map(Value::as_str).collect()
}

fn entries(properties: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    properties.and_then(Value::as_object).into_iter().flatten()
}

/// The values that an enumeration or a constant allows.
fn allowed(members: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (members.get("enum"), members.get("const")) {
        (Some(Value::Array(values)), None) => Some(values.iter().collect()),
        (_, Some(value)) => Some(vec![value]),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The types of what a writer allows: those that it names, or else those of its enumerated values, or else all.
fn types_of(members: &Map<String, Value>) -> BTreeSet<&str> {
    match (named_types(members), allowed(members)) {
        (Some(types), _) => types,
        (None, Some(values)) => values.into_iter().map(type_of).collect(),
        (None, None) => TYPES.into_iter().collect(),
    }
}

fn types_of_reader(members: &Map<String, Value>) -> BTreeSet<&str> {
    named_types(members).unwrap_or_else(|| TYPES.into_iter().collect())
}

fn named_types(members: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match members.get("type")? {
        Value::String(one) => Some(BTreeSet::from([one.as_str()])),
        _ => Some(texts(members, "type").into_iter().collect()),
    }
}

fn check_types(read: &BTreeSet<&str>, written: &BTreeSet<&str>, at: &str) -> Verdict {
    let is_read = |kind: &&str| read.contains(*kind) || (*kind == "integer" && read.contains("number"));
    match written.iter().find(|kind| !is_read(kind)) {
        Some(kind) => Err(format!("{} the type {kind} is not allowed", place(at))),
        None => Ok(()),
    }
}

fn check_values(read: &Map<String, Value>, written: &Map<String, Value>, at: &str) -> Verdict {
    let Some(read) = allowed(read) else { return Ok(()) };
    let Some(written) = allowed(written) else {
        return Err(format!("{} only some values are allowed, and data may have others", place(at)));
    };
    match written.into_iter().find(|value| !read.contains(value)) {
        Some(value) => Err(format!("{} the value {value} is not allowed", place(at))),
        None => Ok(()),
    }
}

fn check_bounds(read: &Map<String, Value>, written: &Map<String, Value>, types: &BTreeSet<&str>, at: &str) -> Verdict {
    let number = |members: &Map<String, Value>, keyword: &str| members.get(keyword).and_then(Value::as_f64);
    let broken = |keyword: &str, bound: f64| Err(format!("{} {keyword} {bound} is tighter than before", place(at)));
    for (keyword, kind) in LOWER {
        if let Some(bound) = number(read, keyword).filter(|_| types.contains(kind))
            && number(written, keyword).unwrap_or(0.0) < bound
        {
            return broken(keyword, bound);
        }
    }
    for (keyword, kind) in UPPER {
        if let Some(bound) = number(read, keyword).filter(|_| types.contains(kind))
            && number(written, keyword).is_none_or(|other| other > bound)
        {
            return broken(keyword, bound);
        }
    }
    if !types.contains("number") && !types.contains("integer") {
        return Ok(());
    }
    // Written as a sign, one rule serves both ends of a range.
    for (keyword, exclusive, sign) in [("minimum", "exclusiveMinimum", 1.0), ("maximum", "exclusiveMaximum", -1.0)] {
        let end = |members, keyword| number(members, keyword).map(|bound| bound * sign);
        let (inside, beyond) = (end(written, keyword), end(written, exclusive));
        if let Some(bound) = end(read, keyword)
            && !(inside.is_some_and(|other| other >= bound) || beyond.is_some_and(|other| other >= bound))
        {
            return broken(keyword, bound * sign);
        }
        if let Some(bound) = end(read, exclusive)
            && !(inside.is_some_and(|other| other > bound) || beyond.is_some_and(|other| other >= bound))
        {
            return broken(exclusive, bound * sign);
        }
        // In draft-04 the exclusive ends are flags beside the bounds.
        if read.get(exclusive) == Some(&Value::Bool(true)) && written.get(exclusive) != Some(&Value::Bool(true)) {
            return Err(format!("{} {exclusive} is tighter than before", place(at)));
        }
    }
    Ok(())
}

fn check_opaque(read: &Map<String, Value>, written: &Map<String, Value>, at: &str) -> Verdict {
    let differs = |keyword: &&&str| read.get(**keyword).is_some_and(|value| written.get(**keyword) != Some(value));
    match OPAQUE.iter().find(differs) {
        Some(keyword) => Err(format!("{} {keyword} is new or another", place(at))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(properties: Value, required: &[&str]) -> Value {
        json!({"type": "object", "properties": properties, "required": required})
    }

    fn closed(properties: Value, required: &[&str]) -> Value {
        let mut schema = object(properties, required);
        schema["additionalProperties"] = json!(false);
        schema
    }

    /// The reader, the writer, and what stands in the way.
    fn cases() -> Vec<(&'static str, Value, Value, Option<&'static str>)> {
        let text = || json!({"type": "string"});
        let tree = || json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        vec![
            ("the same", object(json!({"a": text()}), &["a"]), object(json!({"a": text()}), &["a"]), None),
            ("a field dropped", object(json!({}), &[]), object(json!({"a": text()}), &["a"]), None),
            (
                "a field dropped and closed",
                closed(json!({}), &[]),
                closed(json!({"a": text()}), &[]),
                Some("a is not known"),
            ),
            ("optional added", object(json!({"a": text()}), &[]), object(json!({}), &[]), None),
            ("optional added to closed", closed(json!({"a": text()}), &[]), closed(json!({}), &[]), None),
            ("required added", object(json!({"a": text()}), &["a"]), object(json!({}), &[]), Some("a is required")),
            (
                "optional becomes required",
                object(json!({"a": text()}), &["a"]),
                object(json!({"a": text()}), &[]),
                Some("a is required"),
            ),
            ("closing", closed(json!({}), &[]), object(json!({}), &[]), Some("nothing unknown is allowed")),
            ("opening", object(json!({}), &[]), closed(json!({}), &[]), None),
            ("wider type", json!({"type": "number"}), json!({"type": "integer"}), None),
            ("narrower type", json!({"type": "integer"}), json!({"type": "number"}), Some("the type number")),
            ("more types", json!({"type": ["string", "null"]}), text(), None),
            ("fewer types", text(), json!({"type": ["string", "null"]}), Some("the type null")),
            ("any type", json!({}), text(), None),
            ("a type at last", text(), json!({}), Some("the type array")),
            (
                "another type below",
                object(json!({"a": json!({"type": "integer"})}), &[]),
                object(json!({"a": text()}), &[]),
                Some("at /properties/a the type string"),
            ),
            ("more values", json!({"enum": ["a", "b"]}), json!({"enum": ["a"]}), None),
            ("fewer values", json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), Some("the value \"b\"")),
            ("values at last", json!({"enum": ["a"]}), text(), Some("only some values")),
            ("values become a type", text(), json!({"enum": ["a"]}), None),
            ("a constant among values", json!({"enum": ["a", "b"]}), json!({"const": "b"}), None),
            ("longer", json!({"type": "string", "maxLength": 9}), json!({"type": "string", "maxLength": 8}), None),
            (
                "shorter",
                json!({"type": "string", "maxLength": 8}),
                json!({"type": "string", "maxLength": 9}),
                Some("maxLength 8"),
            ),
            ("a length at last", json!({"type": "string", "minLength": 1}), text(), Some("minLength 1")),
            ("lengths of numbers", json!({"type": "integer", "minLength": 1}), json!({"type": "integer"}), None),
            ("lower", json!({"type": "integer", "minimum": 0}), json!({"type": "integer", "minimum": 1}), None),
            (
                "higher",
                json!({"type": "integer", "minimum": 1}),
                json!({"type": "integer", "minimum": 0}),
                Some("minimum 1"),
            ),
            (
                "past an end",
                json!({"type": "number", "exclusiveMaximum": 5}),
                json!({"type": "number", "maximum": 5}),
                Some("exclusiveMaximum 5"),
            ),
            (
                "up to an end",
                json!({"type": "number", "maximum": 5}),
                json!({"type": "number", "exclusiveMaximum": 5}),
                None,
            ),
            (
                "a flagged end",
                json!({"type": "number", "minimum": 5, "exclusiveMinimum": true}),
                json!({"type": "number", "minimum": 5}),
                Some("exclusiveMinimum"),
            ),
            (
                "another pattern",
                json!({"type": "string", "pattern": "a"}),
                json!({"type": "string", "pattern": "b"}),
                Some("pattern is new"),
            ),
            ("a pattern dropped", text(), json!({"type": "string", "pattern": "b"}), None),
            (
                "items",
                json!({"type": "array", "items": text()}),
                json!({"type": "array", "items": json!({"type": "null"})}),
                Some("at /items the type null"),
            ),
            (
                "items at last",
                json!({"type": "array", "items": text()}),
                json!({"type": "array"}),
                Some("at /items the type array"),
            ),
            (
                "a list of items",
                json!({"type": "array", "items": text()}),
                json!({"type": "array", "items": [text(), text()]}),
                None,
            ),
            (
                "items differ",
                json!({"type": "array", "uniqueItems": true}),
                json!({"type": "array"}),
                Some("have to differ"),
            ),
            (
                "a declared one among others",
                object(json!({}), &[]),
                json!({"type": "object", "additionalProperties": text()}),
                None,
            ),
            (
                "others held to a schema",
                json!({"type": "object", "additionalProperties": text()}),
                object(json!({"a": json!({"type": "null"})}), &[]),
                Some("at /properties/a the type null"),
            ),
            (
                "all others held to one",
                json!({"type": "object", "additionalProperties": text()}),
                object(json!({"a": text()}), &[]),
                Some("what is not declared"),
            ),
            (
                "no more alternatives",
                json!({"anyOf": [text()]}),
                json!({"anyOf": [text(), {"type": "null"}]}),
                Some("no alternative"),
            ),
            ("more alternatives", json!({"oneOf": [text(), {"type": "null"}]}), json!({"anyOf": [text()]}), None),
            ("one of what was all", json!({"anyOf": [text(), {"type": "null"}]}), text(), None),
            ("all of what was one", text(), json!({"anyOf": [text(), {"enum": ["a"]}]}), None),
            ("not all of what was one", text(), json!({"anyOf": [text(), {"type": "null"}]}), Some("the type array")),
            ("a part of all", text(), json!({"allOf": [text(), {"minLength": 1}]}), None),
            ("all parts", json!({"allOf": [text(), {"minLength": 1}]}), text(), Some("minLength 1")),
            ("nothing", json!(false), text(), Some("nothing is allowed")),
            ("from nothing", text(), json!(false), None),
            ("a tree", tree(), tree(), None),
            ("far away", json!({"$ref": "http://example.org/a"}), text(), Some("lies outside")),
            ("round and round", json!({"$ref": "#"}), text(), Some("in a circle")),
        ]
    }

    #[test]
    fn readers_read_what_the_rules_let_them() {
        for (name, reader, writer, wanted) in cases() {
            let verdict = can_read(&reader, &writer);
            match (wanted, &verdict) {
                (None, Ok(())) => {}
                (Some(part), Err(reason)) if reason.contains(part) => {}
                _ => panic!("{name}: {verdict:?} instead of {wanted:?}"),
            }
        }
    }

    #[test]
    fn hostile_schemas_end_in_a_verdict() {
        let mut nested = json!({"type": "string"});
        for _ in 0..24 {
            nested = json!({"anyOf": [nested.clone(), nested]});
            if nested.to_string().len() > 100_000 {
                break;
            }
        }
        let other = json!({"anyOf": [{"type": "null"}, nested]});
        assert!(can_read(&nested, &other).is_err());

        let narrowed_by_itself = json!({"allOf": [{"$ref": "#"}]});
        assert!(can_read(&json!({"type": "string"}), &narrowed_by_itself).is_err());
        // Two rings of different length meet in as many pairs as their lengths' product.
        let ring = |length: usize| {
            let next = |index: usize| json!({"properties": {"n": {"$ref": format!("#/definitions/{}", (index + 1) % length)}}});
            let definitions: Map<String, Value> = (0..length).map(|index| (index.to_string(), next(index))).collect();
            json!({"$ref": "#/definitions/0", "definitions": definitions})
        };
        assert!(can_read(&ring(101), &ring(100)).unwrap_err().contains("too large"));
        assert_eq!(can_read(&ring(3), &ring(2)), Ok(()));
    }
}
