//! Where two schemas differ, keyword by keyword, and what one would be with a single one of these changes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    number::{decimal_of, same_value},
    pointer::{self, join},
};

/// One difference. Applied to the old document it makes the new one a little nearer, taken back in the new one the old one.
#[derive(Clone, Debug)]
pub struct Change {
    pub rule: String,
    /// Into the new schema; for what is gone, into the old one.
    pub pointer: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
    /// Where the changed schema stands in either document, references followed.
    old_schema: String,
    new_schema: String,
    /// From there to what is replaced; empty for the schema itself.
    path: Vec<String>,
    /// What stands there in the old document once the change is applied; none if nothing does.
    applied: Option<Value>,
    /// What stands there in the new document once it is taken back.
    reverted: Option<Value>,
}

/// Schemas of the same value in both documents, by pointer, references followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counterparts {
    pub old: String,
    pub new: String,
    /// The pointer as a reader of the new document walks, references not followed.
    pub shown: String,
}

#[derive(Default)]
pub struct Comparison {
    pub changes: Vec<Change>,
    pub counterparts: Vec<Counterparts>,
}

pub fn compare(old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk { old, new, seen: BTreeSet::new(), found: Comparison::default() };
    walk.schemas("", "");
    walk.found
}

impl Change {
    /// The whole schema of a value replaced by its counterpart.
    pub fn whole(old: &Value, new: &Value, place: &Counterparts, rule: &str) -> Change {
        let (was, is) = (old.pointer(&place.old).cloned(), new.pointer(&place.new).cloned());
        Change {
            rule: rule.to_owned(),
            pointer: place.new.clone(),
            old: was.clone(),
            new: is.clone(),
            old_schema: place.old.clone(),
            new_schema: place.new.clone(),
            path: Vec::new(),
            applied: is,
            reverted: was,
        }
    }

    /// The old document with this change and no other.
    pub fn applied_to(&self, old: &Value, new: &Value) -> Option<Value> {
        edited(old, new, &self.old_schema, &self.path, self.applied.as_ref())
    }

    /// The new document without this change.
    pub fn reverted_in(&self, old: &Value, new: &Value) -> Option<Value> {
        edited(new, old, &self.new_schema, &self.path, self.reverted.as_ref())
    }
}

/// `document` with what stands at a place replaced by a piece of the `other` document, which goes along for its references.
fn edited(document: &Value, other: &Value, schema: &str, path: &[String], piece: Option<&Value>) -> Option<Value> {
    let mut result = document.clone();
    let definitions = document.get("definitions").and_then(Value::as_object);
    let free = |name: &String| definitions.is_none_or(|known| !known.contains_key(name));
    let guest = (0..).map(|count: u32| format!("other{count}")).find(free)?;
    let prefix = join("/definitions", &guest);
    let piece = piece.map(|piece| rebased(piece, other, &prefix));
    let (last, parents) = match path.split_last() {
        Some((last, parents)) => (Some(last), parents),
        None => (None, path),
    };
    let mut at = result.pointer_mut(schema)?;
    for parent in parents {
        at = at.as_object_mut()?.entry(parent).or_insert_with(|| json!({}));
    }
    match (last, piece) {
        (None, piece) => *at = piece?,
        (Some(name), Some(piece)) => drop(at.as_object_mut()?.insert(name.clone(), piece)),
        (Some(name), None) => drop(at.as_object_mut()?.remove(name)),
    }
    if let Some(fields) = result.as_object_mut() {
        let definitions = fields.entry("definitions").or_insert_with(|| json!({}));
        definitions.as_object_mut()?.insert(guest, rebased(other, other, &prefix));
    }
    Some(result)
}

/// A piece of `document` whose references lead to where `document` will stand.
fn rebased(piece: &Value, document: &Value, prefix: &str) -> Value {
    match piece {
        Value::Object(fields) => {
            let rebase = |(name, field): (&String, &Value)| {
                let target = match field.as_str().filter(|_| name == "$ref") {
                    Some(reference) => pointer::resolve(document, reference, "").ok(),
                    None => None,
                };
                let field = match target {
                    Some(target) => json!(format!("#{prefix}{}", target.pointer)),
                    None => rebased(field, document, prefix),
                };
                (name.clone(), field)
            };
            Value::Object(fields.iter().filter(|(name, _)| *name != "$id").map(rebase).collect())
        }
        Value::Array(items) => items.iter().map(|item| rebased(item, document, prefix)).collect(),
        other => other.clone(),
    }
}

struct Walk<'d> {
    old: &'d Value,
    new: &'d Value,
    seen: BTreeSet<(String, String)>,
    found: Comparison,
}

/// Two schema objects side by side.
struct Pair<'d> {
    old: &'d Map<String, Value>,
    new: &'d Map<String, Value>,
    old_at: String,
    new_at: String,
}

impl<'d> Pair<'d> {
    fn both(&self, keyword: &str) -> (Option<&'d Value>, Option<&'d Value>) {
        (self.old.get(keyword), self.new.get(keyword))
    }

    fn change(
        &self,
        rule: impl Into<String>,
        path: &[&str],
        applied: Option<Value>,
        reverted: Option<Value>,
    ) -> Change {
        let at = |fields: &Map<String, Value>| {
            let mut found = path.first().and_then(|first| fields.get(*first));
            for name in path.iter().skip(1) {
                found = found.and_then(|value| value.get(*name));
            }
            found.cloned()
        };
        let (old, new) = (at(self.old), at(self.new));
        let base = if new.is_some() { &self.new_at } else { &self.old_at };
        Change {
            rule: rule.into(),
            pointer: path.iter().fold(base.clone(), |pointer, name| join(&pointer, name)),
            old,
            new,
            old_schema: self.old_at.clone(),
            new_schema: self.new_at.clone(),
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            applied,
            reverted,
        }
    }

    /// One side's value takes the other's place.
    fn swapped(&self, rule: impl Into<String>, path: &[&str]) -> Change {
        let change = self.change(rule, path, None, None);
        Change { applied: change.new.clone(), reverted: change.old.clone(), ..change }
    }
}

/// Follows references; gives the pointer and the schema where they end.
fn follow<'d>(document: &'d Value, place: &str) -> Option<(String, &'d Value)> {
    let (mut place, mut schema) = (place.to_owned(), document.pointer(place)?);
    // A document that was read has no endless references.
    while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = pointer::resolve(document, reference, &place).ok()?;
        (place, schema) = (target.pointer, target.schema);
    }
    Some((place, schema))
}

fn kebab(keyword: &str) -> String {
    keyword.chars().fold(String::new(), |mut text, character| {
        if character.is_ascii_uppercase() {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
        text
    })
}

impl<'d> Walk<'d> {
    fn schemas(&mut self, old_at: &str, new_at: &str) {
        let (Some((old_at, old)), Some((new_place, new))) = (follow(self.old, old_at), follow(self.new, new_at)) else {
            return;
        };
        if !self.seen.insert((old_at.clone(), new_place.clone())) {
            return;
        }
        let shown = new_at.to_owned();
        let place = Counterparts { old: old_at.clone(), new: new_place.clone(), shown };
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                self.found.counterparts.push(place);
                self.objects(&Pair { old, new, old_at, new_at: new_place });
            }
            _ if old == new => {}
            _ => {
                let change = Change::whole(self.old, self.new, &place, "schema-changed");
                self.found.changes.push(change);
                self.found.counterparts.push(place);
            }
        }
    }

    fn objects(&mut self, pair: &Pair<'d>) {
        self.values(pair);
        for keyword in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"] {
            self.numbers(pair, keyword);
        }
        for keyword in ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"] {
            self.numbers(pair, keyword);
        }
        for keyword in ["pattern", "format", "contentMediaType", "contentEncoding"] {
            self.plain(pair, keyword);
        }
        if pair.both("uniqueItems").0.unwrap_or(&Value::Bool(false))
            != pair.both("uniqueItems").1.unwrap_or(&Value::Bool(false))
        {
            self.plain(pair, "uniqueItems");
        }
        self.required(pair);
        self.named(pair, "properties", "property");
        self.named(pair, "patternProperties", "pattern-property");
        self.named(pair, "dependencies", "dependency");
        self.additional(pair, "additionalProperties");
        self.items(pair);
        for keyword in ["contains", "propertyNames", "then", "else"] {
            self.child(pair, keyword);
        }
        for keyword in ["not", "if"] {
            self.plain(pair, keyword);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            self.lists(pair, keyword);
        }
    }

    /// `type`, `enum` and `const`.
    fn values(&mut self, pair: &Pair<'d>) {
        let as_set = |value: Option<&Value>| -> Option<BTreeSet<String>> {
            let names = value.map(|value| value.as_array().map_or_else(|| vec![value.clone()], Clone::clone));
            names.map(|names| names.iter().map(ToString::to_string).collect())
        };
        if as_set(pair.both("type").0) != as_set(pair.both("type").1) {
            self.plain(pair, "type");
        }
        self.plain(pair, "const");
        let (Some(Value::Array(old)), Some(Value::Array(new))) = pair.both("enum") else {
            return self.plain(pair, "enum");
        };
        let without = |all: &[Value], others: &[Value]| -> Vec<Value> {
            all.iter().filter(|value| !others.iter().any(|other| same_value(other, value))).cloned().collect()
        };
        let (removed, added) = (without(old, new), without(new, old));
        let joined = |kept: &[Value], more: &[Value]| Some(Value::Array([kept, more].concat()));
        if !removed.is_empty() {
            let kept = without(old, &removed);
            self.found.changes.push(pair.change(
                "enum-value-removed",
                &["enum"],
                Some(kept.into()),
                joined(new, &removed),
            ));
        }
        if !added.is_empty() {
            let kept = without(new, &added);
            self.found.changes.push(pair.change("enum-value-added", &["enum"], joined(old, &added), Some(kept.into())));
        }
    }

    /// A keyword that is there, not there, or another.
    fn plain(&mut self, pair: &Pair<'d>, keyword: &str) {
        let verb = match pair.both(keyword) {
            (old, new) if old == new && !old.is_some_and(has_reference) => return,
            (None, Some(_)) => "added",
            (Some(_), None) => "dropped",
            _ => "changed",
        };
        self.found.changes.push(pair.swapped(format!("{}-{verb}", kebab(keyword)), &[keyword]));
    }

    fn numbers(&mut self, pair: &Pair<'d>, keyword: &str) {
        let (Some(Value::Number(old)), Some(Value::Number(new))) = pair.both(keyword) else {
            return self.plain(pair, keyword);
        };
        let (old, new) = (decimal_of(old), decimal_of(new));
        let verb = match new.cmp(&old) {
            std::cmp::Ordering::Equal => return,
            _ if keyword == "multipleOf" => "changed",
            std::cmp::Ordering::Greater => "raised",
            std::cmp::Ordering::Less => "lowered",
        };
        self.found.changes.push(pair.swapped(format!("{}-{verb}", kebab(keyword)), &[keyword]));
    }

    fn required(&mut self, pair: &Pair<'d>) {
        let names = |value: Option<&'d Value>| -> Vec<&'d str> {
            value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let (old, new) = (names(pair.both("required").0), names(pair.both("required").1));
        let with = |all: &[&str], name: &str| Some(json!([all, &[name]].concat()));
        let without = |all: &[&str], name: &str| Some(all.iter().filter(|other| **other != name).copied().collect());
        for name in new.iter().filter(|name| !old.contains(name)) {
            let change = pair.change("required-added", &["required"], with(&old, name), without(&new, name));
            self.found.changes.push(Change { old: None, new: Some(json!(name)), ..change });
        }
        for name in old.iter().filter(|name| !new.contains(name)) {
            let change = pair.change("required-dropped", &["required"], without(&old, name), with(&new, name));
            self.found.changes.push(Change { old: Some(json!(name)), new: None, ..change });
        }
    }

    fn named(&mut self, pair: &Pair<'d>, keyword: &str, noun: &str) {
        let fields = |value: Option<&'d Value>| value.and_then(Value::as_object).into_iter().flatten();
        let (old, new) = pair.both(keyword);
        for (name, was) in fields(old) {
            match new.and_then(|new| new.get(name)) {
                None => self.found.changes.push(pair.swapped(format!("{noun}-removed"), &[keyword, name])),
                Some(is) if was.is_array() || is.is_array() => {
                    if was != is {
                        self.found.changes.push(pair.swapped(format!("{noun}-changed"), &[keyword, name]));
                    }
                }
                Some(_) => {
                    let at = |base: &str| join(&join(base, keyword), name);
                    self.schemas(&at(&pair.old_at), &at(&pair.new_at));
                }
            }
        }
        for (name, _) in fields(new).filter(|(name, _)| old.and_then(|old| old.get(*name)).is_none()) {
            self.found.changes.push(pair.swapped(format!("{noun}-added"), &[keyword, name]));
        }
    }

    /// `additionalProperties` and `additionalItems`, where nothing said means that all is admitted.
    fn additional(&mut self, pair: &Pair<'d>, keyword: &str) {
        let (old, new) = pair.both(keyword);
        if let (Some(Value::Object(_)), Some(Value::Object(_))) = (old, new) {
            return self.child(pair, keyword);
        }
        let open = Value::Bool(true);
        let verb = match (old.unwrap_or(&open), new.unwrap_or(&open)) {
            (old, new) if old == new => return,
            (_, Value::Bool(false)) => "closed",
            (Value::Bool(false), Value::Bool(true)) => "opened",
            _ => "changed",
        };
        self.found.changes.push(pair.swapped(format!("{}-{verb}", kebab(keyword)), &[keyword]));
    }

    fn items(&mut self, pair: &Pair<'d>) {
        match pair.both("items") {
            (Some(Value::Array(old)), Some(Value::Array(new))) => {
                if old.len() == new.len() {
                    self.each(pair, "items", old.len());
                } else {
                    self.found.changes.push(pair.swapped("items-tuple-changed", &["items"]));
                }
                self.additional(pair, "additionalItems");
            }
            (Some(Value::Array(_)), _) | (_, Some(Value::Array(_))) => {
                self.found.changes.push(pair.swapped("items-tuple-changed", &["items"]));
                self.additional(pair, "additionalItems");
            }
            _ => self.child(pair, "items"),
        }
    }

    /// A keyword that holds one schema.
    fn child(&mut self, pair: &Pair<'d>, keyword: &str) {
        match pair.both(keyword) {
            (Some(_), Some(_)) => self.schemas(&join(&pair.old_at, keyword), &join(&pair.new_at, keyword)),
            _ => self.plain(pair, keyword),
        }
    }

    fn lists(&mut self, pair: &Pair<'d>, keyword: &str) {
        match pair.both(keyword) {
            (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
                self.each(pair, keyword, old.len());
            }
            _ => self.plain(pair, keyword),
        }
    }

    fn each(&mut self, pair: &Pair<'d>, keyword: &str, count: usize) {
        for index in (0..count).map(|index| index.to_string()) {
            let at = |base: &str| join(&join(base, keyword), &index);
            self.schemas(&at(&pair.old_at), &at(&pair.new_at));
        }
    }
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key("$ref") || fields.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}
