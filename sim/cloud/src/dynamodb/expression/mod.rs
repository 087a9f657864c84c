//! DynamoDB's expression language: condition and filter, update, key condition, projection.

pub mod ast;
pub mod condition;
pub mod key_condition;
mod lexer;
pub mod parser;
pub mod projection;
mod reserved;
pub mod update;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    ast::{Path, Step, ValueName},
    parser::Parsed,
};
use super::{
    errors::DynamodbError,
    value::{AttributeValue, Item},
};

/// Why an expression is not valid; the caller puts the expression's kind in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    pub message: String,
}

impl ExpressionError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// `Invalid ConditionExpression: …`
    pub fn within(self, kind: &str) -> DynamodbError {
        DynamodbError::validation(format!("Invalid {kind}: {}", self.message))
    }
}

/// What the placeholders of a request stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    pub names: BTreeMap<String, String>,
    pub values: Item,
}

/// A path with its placeholders replaced.
pub type ResolvedPath<'a> = Vec<ResolvedStep<'a>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResolvedStep<'a> {
    Attribute(&'a str),
    Index(usize),
}

impl Bindings {
    fn step<'a>(&'a self, step: &'a Step) -> ResolvedStep<'a> {
        match step {
            Step::Index(index) => ResolvedStep::Index(*index),
            Step::Attribute(name) if name.is_placeholder() => {
                ResolvedStep::Attribute(self.names.get(&name.0).map_or(name.0.as_str(), String::as_str))
            }
            Step::Attribute(name) => ResolvedStep::Attribute(&name.0),
        }
    }

    pub fn path<'a>(&'a self, path: &'a Path) -> ResolvedPath<'a> {
        path.0.iter().map(|step| self.step(step)).collect()
    }

    /// The attribute that a path begins with.
    pub fn root<'a>(&'a self, path: &'a Path) -> &'a str {
        match self.step(&path.0[0]) {
            ResolvedStep::Attribute(name) => name,
            ResolvedStep::Index(_) => unreachable!("the parser begins every path with an attribute"),
        }
    }

    /// The value behind a placeholder, which [`Usage::add`] found to be defined.
    pub fn value<'a>(&'a self, name: &ValueName) -> &'a AttributeValue {
        self.values.get(&name.0).unwrap_or(&AttributeValue::Null)
    }

    /// Follows a path into an item.
    pub fn find<'a>(&self, path: &Path, item: &'a Item) -> Option<&'a AttributeValue> {
        let mut steps = path.0.iter();
        let ResolvedStep::Attribute(root) = self.step(steps.next()?) else { return None };
        let mut value = item.get(root)?;
        for step in steps {
            value = match (self.step(step), value) {
                (ResolvedStep::Attribute(name), AttributeValue::M(members)) => members.get(name)?,
                (ResolvedStep::Index(index), AttributeValue::L(elements)) => elements.get(index)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

/// `[a, b, [0]]`, as messages about paths show them.
pub fn show_path(path: &[ResolvedStep<'_>]) -> String {
    let steps: Vec<String> = path
        .iter()
        .map(|step| match step {
            ResolvedStep::Attribute(name) => (*name).to_owned(),
            ResolvedStep::Index(index) => format!("[{index}]"),
        })
        .collect();
    format!("[{}]", steps.join(", "))
}

/// Collects which placeholders a request's expressions used, to refuse undefined and unused ones.
#[derive(Debug, Default)]
pub struct Usage {
    any: bool,
    names: BTreeSet<String>,
    values: BTreeSet<String>,
}

impl Usage {
    /// Notes what `parsed` uses; refuses placeholders that `bindings` does not define.
    pub fn add<T>(&mut self, kind: &str, parsed: Parsed<T>, bindings: &Bindings) -> Result<T, DynamodbError> {
        self.any = true;
        for name in parsed.names {
            if !bindings.names.contains_key(&name) {
                let message = format!(
                    "An expression attribute name used in the document path is not defined; attribute name: {name}"
                );
                return Err(ExpressionError::new(message).within(kind));
            }
            self.names.insert(name);
        }
        for value in parsed.values {
            if !bindings.values.contains_key(&value) {
                let message = format!(
                    "An expression attribute value used in expression is not defined; attribute value: {value}"
                );
                return Err(ExpressionError::new(message).within(kind));
            }
            self.values.insert(value);
        }
        Ok(parsed.node)
    }

    /// Refuses placeholders that no expression used.
    pub fn finish(self, names_given: bool, values_given: bool, bindings: &Bindings) -> Result<(), DynamodbError> {
        for (given, empty, what) in [
            (names_given, bindings.names.is_empty(), "ExpressionAttributeNames"),
            (values_given, bindings.values.is_empty(), "ExpressionAttributeValues"),
        ] {
            if given && !self.any {
                return Err(DynamodbError::validation(format!("{what} can only be specified when using expressions")));
            }
            if given && empty {
                return Err(DynamodbError::validation(format!("{what} must not be empty")));
            }
        }
        let unused = |what: &str, unused: Vec<&str>| {
            if unused.is_empty() {
                return Ok(());
            }
            Err(DynamodbError::validation(format!(
                "Value provided in {what} unused in expressions: keys: {{{}}}",
                unused.join(", ")
            )))
        };
        let names = bindings.names.keys().filter(|name| !self.names.contains(*name)).map(String::as_str).collect();
        unused("ExpressionAttributeNames", names)?;
        let values = bindings.values.keys().filter(|name| !self.values.contains(*name)).map(String::as_str).collect();
        unused("ExpressionAttributeValues", values)
    }
}
