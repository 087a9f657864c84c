//! The lenient reading of open content models: a schema as its writers use it, who write only what it declares.
//!
//! An object schema that declares names or patterns, and describes nothing beyond them, is closed to all other names.
//! What is inside `not`, `if`, `oneOf` and `contains` stays open: closing there could let more documents in, and a verdict
//! would no longer be safe. The closed schema therefore never admits a document that the open one refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::Value;

use crate::graph::{Assertion, Graph, NodeId};

/// The node that admits what writers of `node` write.
pub fn closed(graph: &mut Graph, node: NodeId) -> NodeId {
    Closer { graph, whole: BTreeMap::new(), within: BTreeMap::new() }.close(node, true)
}

struct Closer<'g> {
    graph: &'g mut Graph,
    whole: BTreeMap<NodeId, NodeId>,
    /// Schemas about the same object as the one around them, which is closed for them.
    within: BTreeMap<NodeId, NodeId>,
}

#[derive(Default)]
struct Declared {
    names: BTreeSet<Rc<str>>,
    patterns: BTreeSet<Rc<str>>,
    describes_others: bool,
    seen: BTreeSet<NodeId>,
}

impl Closer<'_> {
    fn close(&mut self, node: NodeId, is_whole: bool) -> NodeId {
        let known = if is_whole { &self.whole } else { &self.within };
        if let Some(closed) = known.get(&node) {
            return *closed;
        }
        let slot = self.graph.reserve();
        if is_whole {
            self.whole.insert(node, slot)
        } else {
            self.within.insert(node, slot)
        };
        let assertions = self.graph.assertions(node);
        let mut closed: Vec<Assertion> = assertions.iter().map(|assertion| self.close_assertion(assertion)).collect();
        if is_whole {
            closed.extend(self.names_only(node));
        }
        self.graph.fill(slot, closed);
        slot
    }

    fn close_assertion(&mut self, assertion: &Assertion) -> Assertion {
        match assertion {
            Assertion::AllOf(nodes) => Assertion::AllOf(nodes.iter().map(|node| self.close(*node, false)).collect()),
            Assertion::AnyOf(nodes) => Assertion::AnyOf(nodes.iter().map(|node| self.close(*node, false)).collect()),
            Assertion::IfThenElse { condition, then, otherwise } => Assertion::IfThenElse {
                condition: *condition,
                then: self.close(*then, false),
                otherwise: self.close(*otherwise, false),
            },
            Assertion::DependsOnNode { name, node } => {
                Assertion::DependsOnNode { name: name.clone(), node: self.close(*node, false) }
            }
            Assertion::ItemsFrom { start, node } => {
                Assertion::ItemsFrom { start: *start, node: self.close(*node, true) }
            }
            Assertion::ItemsTuple(nodes) => {
                Assertion::ItemsTuple(nodes.iter().map(|node| self.close(*node, true)).collect())
            }
            Assertion::Properties(nodes) => {
                let closed = nodes.iter().map(|(name, node)| (name.clone(), self.close(*node, true))).collect();
                Assertion::Properties(Rc::new(closed))
            }
            Assertion::PatternProperty { pattern, node } => {
                Assertion::PatternProperty { pattern: pattern.clone(), node: self.close(*node, true) }
            }
            Assertion::Additional { names, patterns, node } => Assertion::Additional {
                names: names.clone(),
                patterns: patterns.clone(),
                node: self.close(*node, true),
            },
            other => other.clone(),
        }
    }

    /// That all names are declared ones; none if the schema declares no names, or describes whatever has none.
    fn names_only(&mut self, node: NodeId) -> Option<Assertion> {
        let mut declared = Declared::default();
        self.gather(node, &mut declared);
        if declared.describes_others || (declared.names.is_empty() && declared.patterns.is_empty()) {
            return None;
        }
        let names: Vec<Value> = declared.names.iter().map(|name| Value::String(name.to_string())).collect();
        let listed = self.graph.one_of(&names);
        let patterns =
            declared.patterns.into_iter().map(|pattern| self.graph.intern(vec![Assertion::Pattern(pattern)]));
        let ways: Vec<NodeId> = std::iter::once(listed).chain(patterns.collect::<Vec<_>>()).collect();
        Some(Assertion::Names(self.graph.intern(vec![Assertion::AnyOf(ways.into())])))
    }

    fn gather(&self, node: NodeId, declared: &mut Declared) {
        if !declared.seen.insert(node) {
            return;
        }
        for assertion in self.graph.assertions(node).iter() {
            match assertion {
                Assertion::Required(names) => declared.names.extend(names.iter().cloned()),
                Assertion::Properties(nodes) => declared.names.extend(nodes.keys().cloned()),
                Assertion::PatternProperty { pattern, .. } => drop(declared.patterns.insert(pattern.clone())),
                Assertion::Additional { node, .. } => declared.describes_others |= !self.graph.is_anything(*node),
                Assertion::DependsOnNames { name, required } => {
                    declared.names.extend(required.iter().chain([name]).cloned());
                }
                Assertion::DependsOnNode { name, node } => {
                    declared.names.insert(name.clone());
                    self.gather(*node, declared);
                }
                Assertion::AllOf(nodes) | Assertion::AnyOf(nodes) | Assertion::OneOf(nodes) => {
                    nodes.iter().for_each(|node| self.gather(*node, declared));
                }
                Assertion::Not(node) => self.gather(*node, declared),
                Assertion::IfThenElse { condition, then, otherwise } => {
                    [condition, then, otherwise].into_iter().for_each(|node| self.gather(*node, declared));
                }
                _ => {}
            }
        }
    }
}
