//! Schemas and documents drawn at random, from so small a vocabulary that they meet.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "ab", "c"]).prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    select(vec![
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(2),
        json!(3),
        json!(4),
        json!(6),
    ])
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => number(),
        3 => select(vec!["", "a", "b", "ab", "abc", "ba"]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
    ]
}

/// A document.
pub fn document() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((name(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn pattern() -> impl Strategy<Value = String> {
    select(vec!["^a", "b$", "^[ab]+$", "^a?b?$", "c", "^(a|ab|abc)$", "^(?!ab)"]).prop_map(str::to_owned)
}

fn count() -> impl Strategy<Value = Value> {
    (0_u32..4).prop_map(Value::from)
}

fn names() -> impl Strategy<Value = Value> {
    proptest::collection::btree_set(name(), 0..3).prop_map(|names| json!(names))
}

fn type_name() -> impl Strategy<Value = Value> {
    let one = select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    prop_oneof![
        4 => one.clone().prop_map(Value::from),
        1 => proptest::collection::btree_set(one, 1..4).prop_map(|names| json!(names)),
    ]
}

fn plain_keyword() -> BoxedStrategy<(&'static str, Value)> {
    prop_oneof![
        6 => type_name().prop_map(|value| ("type", value)),
        1 => vec(document(), 1..4).prop_map(|values| {
            let mut distinct: Vec<Value> = Vec::new();
            for value in values {
                if !distinct.iter().any(|known| json!({"k": known}) == json!({"k": value})) {
                    distinct.push(value);
                }
            }
            ("enum", Value::Array(distinct))
        }),
        1 => document().prop_map(|value| ("const", value)),
        1 => number().prop_map(|value| ("minimum", value)),
        1 => number().prop_map(|value| ("maximum", value)),
        1 => number().prop_map(|value| ("exclusiveMinimum", value)),
        1 => number().prop_map(|value| ("exclusiveMaximum", value)),
        1 => select(vec![json!(0.5), json!(1), json!(2), json!(3)]).prop_map(|value| ("multipleOf", value)),
        1 => count().prop_map(|value| ("minLength", value)),
        1 => count().prop_map(|value| ("maxLength", value)),
        1 => pattern().prop_map(|value| ("pattern", Value::from(value))),
        1 => select(vec!["date", "ipv4", "uuid"]).prop_map(|value| ("format", Value::from(value))),
        1 => count().prop_map(|value| ("minItems", value)),
        1 => count().prop_map(|value| ("maxItems", value)),
        1 => any::<bool>().prop_map(|value| ("uniqueItems", Value::Bool(value))),
        2 => names().prop_map(|value| ("required", value)),
        1 => count().prop_map(|value| ("minProperties", value)),
        1 => count().prop_map(|value| ("maxProperties", value)),
    ]
    .boxed()
}

fn object_of(inner: BoxedStrategy<Value>, names: BoxedStrategy<String>) -> impl Strategy<Value = Value> {
    vec((names, inner), 1..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn keyword_with(inner: BoxedStrategy<Value>) -> BoxedStrategy<(&'static str, Value)> {
    let list = vec(inner.clone(), 1..4).prop_map(Value::Array).boxed();
    let dependency = prop_oneof![names(), inner.clone()];
    prop_oneof![
        4 => object_of(inner.clone(), name().boxed()).prop_map(|value| ("properties", value)),
        1 => object_of(inner.clone(), pattern().boxed()).prop_map(|value| ("patternProperties", value)),
        2 => prop_oneof![Just(Value::Bool(false)), inner.clone()].prop_map(|value| ("additionalProperties", value)),
        1 => inner.clone().prop_map(|value| ("propertyNames", value)),
        1 => object_of(dependency.boxed(), name().boxed()).prop_map(|value| ("dependencies", value)),
        2 => inner.clone().prop_map(|value| ("items", value)),
        1 => list.clone().prop_map(|value| ("items", value)),
        1 => inner.clone().prop_map(|value| ("additionalItems", value)),
        1 => inner.clone().prop_map(|value| ("contains", value)),
        1 => list.clone().prop_map(|value| ("allOf", value)),
        1 => list.clone().prop_map(|value| ("anyOf", value)),
        1 => list.prop_map(|value| ("oneOf", value)),
        1 => inner.clone().prop_map(|value| ("not", value)),
        1 => inner.clone().prop_map(|value| ("if", value)),
        1 => inner.clone().prop_map(|value| ("then", value)),
        1 => inner.prop_map(|value| ("else", value)),
    ]
    .boxed()
}

fn from_keywords(keywords: Vec<(&'static str, Value)>) -> Value {
    Value::Object(keywords.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A schema without references.
pub fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Value::Bool),
        8 => vec(plain_keyword(), 0..3).prop_map(from_keywords),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let inner = inner.boxed();
        (vec(plain_keyword(), 0..3), vec(keyword_with(inner), 1..3))
            .prop_map(|(plain, nested)| from_keywords(plain.into_iter().chain(nested).collect()))
    })
}

/// A schema that refers to itself: a definition under whatever is there, and references to it where `true` stood.
pub fn recursive_schema() -> impl Strategy<Value = Value> {
    (schema(), schema()).prop_map(|(root, definition)| {
        let mut root = match with_references(root, true) {
            Value::Object(fields) => fields,
            other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
        };
        root.insert("definitions".to_owned(), json!({"d": with_references(definition, true)}));
        Value::Object(root)
    })
}

/// Puts a reference where a part's schema is a boolean: never for the schema itself, which would go round for ever.
fn with_references(schema: Value, is_top: bool) -> Value {
    match schema {
        Value::Bool(true) if !is_top => json!({"$ref": "#/definitions/d"}),
        Value::Object(fields) => {
            let replaced = fields.into_iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    (
                        "items" | "additionalProperties" | "additionalItems" | "contains",
                        value @ (Value::Object(_) | Value::Bool(_)),
                    ) => with_references(value, false),
                    ("properties" | "patternProperties", Value::Object(parts)) => Value::Object(
                        parts.into_iter().map(|(name, part)| (name, with_references(part, false))).collect(),
                    ),
                    (_, value) => value,
                };
                (name, value)
            });
            Value::Object(replaced.collect())
        }
        other => other,
    }
}

/// An old and a new schema. Half of the time the new one is the old one with a keyword put in, replaced or taken out.
pub fn pair() -> impl Strategy<Value = (Value, Value)> {
    let any_schema = prop_oneof![4 => schema().boxed(), 1 => recursive_schema().boxed()];
    prop_oneof![
        (any_schema.clone(), any_schema.clone()),
        (any_schema.clone(), plain_keyword())
            .prop_map(|(old, (keyword, value))| (old.clone(), put(old, keyword, value))),
        (any_schema, any::<prop::sample::Index>()).prop_map(|(old, index)| (old.clone(), without_one(old, &index))),
    ]
}

fn put(schema: Value, keyword: &str, value: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            fields.insert(keyword.to_owned(), value);
            Value::Object(fields)
        }
        _ => json!({ keyword: value }),
    }
}

fn without_one(schema: Value, index: &prop::sample::Index) -> Value {
    let Value::Object(mut fields) = schema else { return Value::Bool(true) };
    let keywords: Vec<String> = fields.keys().filter(|keyword| *keyword != "definitions").cloned().collect();
    if !keywords.is_empty() {
        fields.remove(index.get(&keywords));
    }
    Value::Object(fields)
}
