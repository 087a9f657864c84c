//! Does a value pass? For few listed values this is the whole search.

use std::collections::BTreeSet;

use bigdecimal::BigDecimal;
use jsonschema::draft7;
use serde_json::{Map, Value, json};

use super::{Literal, Solver};
use crate::{
    automaton,
    graph::{Assertion, Kind, NodeId, Predicate},
    number::{decimal_of, is_multiple, same_value},
};

impl Solver {
    pub(super) fn passes(&mut self, node: NodeId, value: &Value) -> bool {
        let assertions = self.graph.assertions(node);
        assertions.iter().all(|assertion| self.satisfies(assertion, value))
    }

    pub(super) fn holds(&mut self, literal: &Literal, value: &Value) -> bool {
        let property = |name: &str| value.as_object().and_then(|fields| fields.get(name));
        match literal {
            Literal::Node(sign, node) => self.passes(*node, value) == *sign,
            Literal::Atom(sign, node, index) => {
                let assertions = self.graph.assertions(*node);
                assertions.get(*index).is_some_and(|assertion| self.satisfies(assertion, value) == *sign)
            }
            Literal::Present(name) => property(name).is_some(),
            Literal::Absent(name) => property(name).is_none(),
            Literal::PropertyFails(name, node) => property(name).is_some_and(|field| !self.passes(*node, field)),
            Literal::SomeMatchingFails(pattern, node) => value.as_object().is_some_and(|fields| {
                fields.iter().any(|(name, field)| self.matches(pattern, name) && !self.passes(*node, field))
            }),
            Literal::ItemFails(index, node) => {
                value.as_array().and_then(|items| items.get(*index)).is_some_and(|item| !self.passes(*node, item))
            }
            Literal::SomeItemFails(start, node) => {
                value.as_array().is_some_and(|items| items.iter().skip(*start).any(|item| !self.passes(*node, item)))
            }
            Literal::Matches(sign, pattern) => value.as_str().is_some_and(|text| self.matches(pattern, text) == *sign),
            Literal::NoneOf(texts) => value.as_str().is_none_or(|text| !texts.contains(text)),
        }
    }

    fn satisfies(&mut self, assertion: &Assertion, value: &Value) -> bool {
        if !assertion.kinds().contains(Kind::of(value)) {
            return true;
        }
        match assertion {
            Assertion::Kinds(kinds) => kinds.contains(Kind::of(value)),
            Assertion::Among { values, .. } => values.iter().any(|listed| same_value(listed, value)),
            Assertion::AllOf(nodes) => nodes.iter().all(|node| self.passes(*node, value)),
            Assertion::AnyOf(nodes) => nodes.iter().any(|node| self.passes(*node, value)),
            Assertion::OneOf(nodes) => nodes.iter().filter(|node| self.passes(**node, value)).count() == 1,
            Assertion::Not(node) => !self.passes(*node, value),
            Assertion::IfThenElse { condition, then, otherwise } => {
                let next = if self.passes(*condition, value) { then } else { otherwise };
                self.passes(*next, value)
            }
            _ => match value {
                Value::Number(number) => number_satisfies(assertion, &decimal_of(number)),
                Value::String(text) => self.text_satisfies(assertion, text),
                Value::Array(items) => self.array_satisfies(assertion, items),
                Value::Object(fields) => self.object_satisfies(assertion, fields),
                Value::Null | Value::Bool(_) => true,
            },
        }
    }

    fn text_satisfies(&mut self, assertion: &Assertion, text: &str) -> bool {
        let length = || text.chars().count() as u64;
        match assertion {
            Assertion::LengthMin(least) => length() >= *least,
            Assertion::LengthMax(most) => length() <= *most,
            Assertion::Pattern(pattern) => self.matches(pattern, text),
            Assertion::Predicate(predicate) => self.admits(predicate, text),
            _ => true,
        }
    }

    fn array_satisfies(&mut self, assertion: &Assertion, items: &[Value]) -> bool {
        match assertion {
            Assertion::ItemsFrom { start, node } => items.iter().skip(*start).all(|item| self.passes(*node, item)),
            Assertion::ItemsTuple(nodes) => nodes.iter().zip(items).all(|(node, item)| self.passes(*node, item)),
            Assertion::Contains(node) => items.iter().any(|item| self.passes(*node, item)),
            Assertion::ItemsMin(least) => items.len() as u64 >= *least,
            Assertion::ItemsMax(most) => items.len() as u64 <= *most,
            Assertion::Unique => items
                .iter()
                .enumerate()
                .all(|(index, item)| !items.iter().take(index).any(|earlier| same_value(earlier, item))),
            _ => true,
        }
    }

    fn object_satisfies(&mut self, assertion: &Assertion, fields: &Map<String, Value>) -> bool {
        match assertion {
            Assertion::Required(names) => names.iter().all(|name| fields.contains_key(&**name)),
            Assertion::Properties(nodes) => {
                nodes.iter().all(|(name, node)| fields.get(&**name).is_none_or(|field| self.passes(*node, field)))
            }
            Assertion::PatternProperty { pattern, node } => {
                fields.iter().all(|(name, field)| !self.matches(pattern, name) || self.passes(*node, field))
            }
            Assertion::Additional { names, patterns, node } => {
                fields.iter().all(|(name, field)| self.is_described(names, patterns, name) || self.passes(*node, field))
            }
            Assertion::Names(node) => fields.keys().all(|name| self.passes(*node, &Value::String(name.clone()))),
            Assertion::PropertiesMin(least) => fields.len() as u64 >= *least,
            Assertion::PropertiesMax(most) => fields.len() as u64 <= *most,
            Assertion::DependsOnNames { name, required } => {
                !fields.contains_key(&**name) || required.iter().all(|name| fields.contains_key(&**name))
            }
            Assertion::DependsOnNode { name, node } => {
                !fields.contains_key(&**name) || self.passes(*node, &Value::Object(fields.clone()))
            }
            _ => true,
        }
    }

    pub(super) fn is_described(
        &mut self,
        names: &BTreeSet<std::rc::Rc<str>>,
        patterns: &[std::rc::Rc<str>],
        name: &str,
    ) -> bool {
        names.contains(name) || patterns.iter().any(|pattern| self.matches(pattern, name))
    }

    pub(super) fn matches(&mut self, pattern: &std::rc::Rc<str>, text: &str) -> bool {
        match self.automata.of(pattern) {
            Some(automaton) => automaton::is_match(&automaton, text),
            None => self.admits(&Predicate { keyword: "pattern", text: pattern.clone() }, text),
        }
    }

    /// Asks the validator itself about what only it knows.
    pub(super) fn admits(&mut self, predicate: &Predicate, text: &str) -> bool {
        if !self.predicates.contains_key(predicate) {
            let schema = match predicate.keyword {
                "content" => {
                    let stated: Value = serde_json::from_str(&predicate.text).unwrap_or_default();
                    let fields = stated.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
                    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
                }
                keyword => json!({ keyword: &*predicate.text }),
            };
            self.predicates.insert(predicate.clone(), draft7::new(&schema).ok());
        }
        let validator = self.predicates.get(predicate).and_then(Option::as_ref);
        validator.is_none_or(|validator| validator.is_valid(&Value::String(text.to_owned())))
    }
}

fn number_satisfies(assertion: &Assertion, number: &BigDecimal) -> bool {
    match assertion {
        Assertion::Lower { bound, exclusive } => number > bound || (!exclusive && number == bound),
        Assertion::Upper { bound, exclusive } => number < bound || (!exclusive && number == bound),
        Assertion::MultipleOf(step) => is_multiple(number, step),
        _ => true,
    }
}
