//! Is there a document that passes these schemas and fails those? The search behind every verdict.
//!
//! A *goal* is a set of schemas that a value must pass (sign `true`) or fail (sign `false`). It is split by kind of
//! value ([`expand`]): all that must hold is gathered, every "or" is a branch, and a branch without an "or" left is a plain list
//! of demands that the module of its kind settles ([`numbers`], [`texts`], [`arrays`], [`objects`]). Parts of containers are
//! goals of their own.
//!
//! Three answers: [`Search::Empty`] is a proof that no such document exists, [`Search::Found`] holds one, and
//! [`Search::Unknown`] says why neither was reached. What is not understood becomes unknown, never empty.
//!
//! **Recursive schemas.** A goal that comes up again while it is being settled is taken for empty at that place: if it has
//! a document at all, it has one of least depth, and no part of that one is a document of the same goal. Answers that
//! rest on this are not remembered.

mod arrays;
mod evaluate;
mod expand;
mod numbers;
mod objects;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::Value;

use crate::{
    automaton::Automata,
    graph::{Assertion, Graph, Kind, Kinds, NodeId, Predicate},
};

pub use expand::Literal;

/// Schemas to pass (`true`) and to fail (`false`).
pub type Goal = BTreeSet<(bool, NodeId)>;

#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// There is no such document.
    Empty,
    Found(Value),
    Unknown(Reason),
}

/// Why a search ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// More cases than the search may look at.
    Effort,
    /// A pattern that is no regular expression in the strict sense (look-around, back-reference), or too large.
    Pattern(String),
    /// A format, or an encoding, whose strings are known to the validator only.
    Predicate(String),
    /// Distinct items or names are needed, and choosing them one by one failed.
    Distinct,
    /// A number is wanted that 64 bits cannot hold.
    Precision,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Effort => f.write_str("there are more cases than the search looks at"),
            Reason::Pattern(pattern) => {
                write!(f, "the pattern `{pattern}` looks around, refers back, or is too large to reason about")
            }
            Reason::Predicate(name) => write!(f, "which strings {name} admits is known to validators only"),
            Reason::Distinct => f.write_str("whether enough distinct values exist was not settled"),
            Reason::Precision => f.write_str("it depends on numbers that 64 bits cannot hold"),
        }
    }
}

/// How deep documents are sought.
const DEPTH_MAX: usize = 48;

pub struct Solver {
    pub graph: Graph,
    automata: Automata,
    predicates: BTreeMap<Predicate, Option<Validator>>,
    settled: BTreeMap<Goal, Search>,
    under_way: Vec<Goal>,
    /// The outermost goal under way that was taken for empty since this was last reset.
    rests_on: usize,
    steps_left: u64,
}

impl Solver {
    pub fn new(graph: Graph) -> Solver {
        Solver {
            graph,
            automata: Automata::default(),
            predicates: BTreeMap::new(),
            settled: BTreeMap::new(),
            under_way: Vec::new(),
            rests_on: usize::MAX,
            steps_left: 0,
        }
    }

    /// Seeks a document for a goal, looking at no more than `steps` cases.
    pub fn seek(&mut self, goal: Goal, steps: u64) -> Search {
        self.steps_left = steps;
        self.under_way.clear();
        self.rests_on = usize::MAX;
        self.settle(goal)
    }

    /// The kinds of values that this schema may admit: those of which it is not shown that it has none.
    pub fn kinds_of(&mut self, node: NodeId, steps: u64) -> Kinds {
        let mut admitted = Kinds::NONE;
        for kind in Kind::ALL {
            let only = self.graph.intern(vec![Assertion::Kinds(Kinds::one(kind))]);
            if self.seek(Goal::from([(true, node), (true, only)]), steps) != Search::Empty {
                admitted = admitted.with(Kinds::one(kind));
            }
        }
        admitted
    }

    fn settle(&mut self, mut goal: Goal) -> Search {
        goal.retain(|(sign, node)| !(*sign && self.graph.is_anything(*node)));
        if goal.iter().any(|(sign, node)| *sign && goal.contains(&(false, *node))) {
            return Search::Empty;
        }
        if let Some(known) = self.settled.get(&goal) {
            return known.clone();
        }
        if let Some(position) = self.under_way.iter().position(|other| *other == goal) {
            self.rests_on = self.rests_on.min(position);
            return Search::Empty;
        }
        if self.under_way.len() >= DEPTH_MAX || self.steps_left == 0 {
            return Search::Unknown(Reason::Effort);
        }
        let outer = std::mem::replace(&mut self.rests_on, usize::MAX);
        let own = self.under_way.len();
        self.under_way.push(goal.clone());
        let answer = self.by_kind(&goal);
        self.under_way.pop();
        let rests_on_others = self.rests_on < own;
        // Out of steps is a matter of this search, not of the goal.
        let is_lasting = answer != Search::Unknown(Reason::Effort);
        if matches!(answer, Search::Found(_)) || (!rests_on_others && is_lasting) {
            self.settled.insert(goal, answer.clone());
        }
        self.rests_on = outer.min(if rests_on_others { self.rests_on } else { usize::MAX });
        answer
    }

    /// Whether the answers since `rests_on` was reset hold whatever is under way.
    fn is_unconditional(&self) -> bool {
        self.rests_on >= self.under_way.len()
    }

    fn by_kind(&mut self, goal: &Goal) -> Search {
        let mut kinds = Kinds::EVERY;
        for (_, node) in goal.iter().filter(|(sign, _)| *sign) {
            for assertion in self.graph.assertions(*node).iter() {
                match assertion {
                    Assertion::Kinds(only) => kinds = kinds.both(*only),
                    // Few values to choose from: each is tried, and that is all there is.
                    Assertion::Among { values, .. } => return self.first_of(goal, values),
                    _ => {}
                }
            }
        }
        let literals: Vec<Literal> = goal.iter().map(|(sign, node)| Literal::Node(*sign, *node)).collect();
        let mut answer = Search::Empty;
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(*kind)) {
            match self.of_kind(kind, literals.clone()) {
                Search::Empty => {}
                Search::Found(document) => return Search::Found(document),
                unknown => answer = unknown,
            }
        }
        answer
    }

    fn first_of(&mut self, goal: &Goal, values: &[Value]) -> Search {
        let fits = |value: &&Value| goal.iter().all(|(sign, node)| self.passes(*node, value) == *sign);
        values.iter().find(fits).map_or(Search::Empty, |value| Search::Found(value.clone()))
    }

    /// Counts one case; false when no more may be looked at.
    fn count_step(&mut self) -> bool {
        self.steps_left = self.steps_left.saturating_sub(1);
        self.steps_left > 0
    }
}
