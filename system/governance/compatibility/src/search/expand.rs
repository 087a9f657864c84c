//! From a goal to plain lists of demands on one kind of value.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{Reason, Search, Solver};
use crate::graph::{Assertion, Kind, NodeId};

/// One thing that must hold of a value, or, with the sign `false`, must not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Literal {
    Node(bool, NodeId),
    /// The assertion at an index of a node.
    Atom(bool, NodeId, usize),
    Present(Rc<str>),
    Absent(Rc<str>),
    /// The property is there and fails the schema.
    PropertyFails(Rc<str>, NodeId),
    /// Some property whose name matches fails the schema.
    SomeMatchingFails(Rc<str>, NodeId),
    /// The item is there and fails the schema.
    ItemFails(usize, NodeId),
    /// Some item from this index on fails the schema.
    SomeItemFails(usize, NodeId),
    /// The string matches the pattern, or does not.
    Matches(bool, Rc<str>),
    /// The string is none of these.
    NoneOf(Rc<BTreeSet<String>>),
}

impl Literal {
    fn opposite(&self) -> Option<Literal> {
        match self {
            Literal::Node(sign, node) => Some(Literal::Node(!sign, *node)),
            Literal::Atom(sign, node, index) => Some(Literal::Atom(!sign, *node, *index)),
            Literal::Present(name) => Some(Literal::Absent(name.clone())),
            Literal::Absent(name) => Some(Literal::Present(name.clone())),
            Literal::Matches(sign, pattern) => Some(Literal::Matches(!sign, pattern.clone())),
            _ => None,
        }
    }
}

/// Several ways, of which one must be gone; each is a list of literals that hold together.
type Choice = Vec<Vec<Literal>>;

#[derive(Clone, Default)]
struct Branch {
    seen: BTreeSet<Literal>,
    /// What the module of the kind settles.
    demands: Vec<Literal>,
    choices: Vec<Choice>,
}

impl Branch {
    fn denies(&self, literal: &Literal) -> bool {
        literal.opposite().is_some_and(|opposite| self.seen.contains(&opposite))
    }

    /// Drops choices that are already made and ways that are closed; the narrowest choice left comes out.
    fn next_choice(&mut self) -> Option<Choice> {
        let choices = std::mem::take(&mut self.choices);
        for mut choice in choices {
            if choice.iter().any(|way| way.iter().all(|literal| self.seen.contains(literal))) {
                continue;
            }
            choice.retain(|way| !way.iter().any(|literal| self.denies(literal)));
            self.choices.push(choice);
        }
        let narrowest = self.choices.iter().enumerate().min_by_key(|(_, choice)| choice.len())?.0;
        Some(self.choices.swap_remove(narrowest))
    }
}

impl Solver {
    /// Seeks a value of one kind of which all literals hold.
    pub(super) fn of_kind(&mut self, kind: Kind, literals: Vec<Literal>) -> Search {
        let mut branch = Branch::default();
        match self.add_all(kind, &mut branch, literals) {
            true => self.explore(kind, branch),
            false => Search::Empty,
        }
    }

    fn explore(&mut self, kind: Kind, mut branch: Branch) -> Search {
        loop {
            if !self.count_step() {
                return Search::Unknown(Reason::Effort);
            }
            let Some(mut choice) = branch.next_choice() else {
                return self.settle_demands(kind, &branch.demands);
            };
            if choice.len() > 1 {
                return self.try_each(kind, &branch, choice);
            }
            let Some(way) = choice.pop() else { return Search::Empty };
            if !self.add_all(kind, &mut branch, way) {
                return Search::Empty;
            }
        }
    }

    fn try_each(&mut self, kind: Kind, branch: &Branch, choice: Choice) -> Search {
        // Plain demands that already exclude each other close all ways at once.
        let is_plain = matches!(kind, Kind::Integer | Kind::Fraction | Kind::Text | Kind::Null | Kind::Boolean);
        if is_plain && self.settle_demands(kind, &branch.demands) == Search::Empty {
            return Search::Empty;
        }
        let mut answer = Search::Empty;
        for way in choice {
            let mut longer = branch.clone();
            if !self.add_all(kind, &mut longer, way) {
                continue;
            }
            match self.explore(kind, longer) {
                Search::Empty => {}
                Search::Found(value) => return Search::Found(value),
                unknown => answer = unknown,
            }
        }
        answer
    }

    fn settle_demands(&mut self, kind: Kind, demands: &[Literal]) -> Search {
        if let Some(candidates) = self.listed_values(kind, demands) {
            let fits = candidates.into_iter().find(|value| demands.iter().all(|demand| self.holds(demand, value)));
            return fits.map_or(Search::Empty, Search::Found);
        }
        match kind {
            Kind::Null => self.first_fitting(&[serde_json::Value::Null], demands),
            Kind::Boolean => self.first_fitting(&[true.into(), false.into()], demands),
            Kind::Integer | Kind::Fraction => self.settle_number(kind, demands),
            Kind::Text => self.settle_text(demands),
            Kind::Array => self.settle_array(demands),
            Kind::Object => self.settle_object(demands),
        }
    }

    pub(super) fn first_fitting(&mut self, values: &[serde_json::Value], demands: &[Literal]) -> Search {
        let fits = values.iter().find(|value| demands.iter().all(|demand| self.holds(demand, value)));
        fits.map_or(Search::Empty, |value| Search::Found(value.clone()))
    }

    /// The values of this kind to choose from, if some demand lists them.
    fn listed_values(&self, kind: Kind, demands: &[Literal]) -> Option<Vec<serde_json::Value>> {
        demands.iter().find_map(|demand| match self.atom(demand) {
            Some((true, Assertion::Among { values, .. })) => {
                Some(values.iter().filter(|value| Kind::of(value) == kind).cloned().collect())
            }
            _ => None,
        })
    }

    /// The assertion behind an atom, with its sign.
    pub(super) fn atom(&self, literal: &Literal) -> Option<(bool, Assertion)> {
        let Literal::Atom(sign, node, index) = literal else { return None };
        self.graph.assertions(*node).get(*index).map(|assertion| (*sign, assertion.clone()))
    }

    /// Adds what must hold; false if it cannot.
    fn add_all(&mut self, kind: Kind, branch: &mut Branch, literals: Vec<Literal>) -> bool {
        let mut waiting = literals;
        while let Some(literal) = waiting.pop() {
            if branch.denies(&literal) {
                return false;
            }
            if !branch.seen.insert(literal.clone()) {
                continue;
            }
            let holds = match &literal {
                Literal::Node(sign, node) => self.add_node(kind, branch, &mut waiting, *sign, *node),
                Literal::Atom(sign, node, index) => {
                    let assertions = self.graph.assertions(*node);
                    let Some(assertion) = assertions.get(*index) else { return false };
                    add_assertion(kind, branch, &mut waiting, *sign, assertion, &literal)
                }
                _ => {
                    branch.demands.push(literal);
                    true
                }
            };
            if !holds {
                return false;
            }
        }
        true
    }

    fn add_node(&self, kind: Kind, branch: &mut Branch, waiting: &mut Vec<Literal>, sign: bool, node: NodeId) -> bool {
        let assertions = self.graph.assertions(node);
        let asking = assertions.iter().enumerate().filter(|(_, assertion)| assertion.kinds().contains(kind));
        let atoms: Vec<Literal> = asking.map(|(index, _)| Literal::Atom(sign, node, index)).collect();
        match (sign, atoms.len()) {
            (true, _) | (false, 1) => waiting.extend(atoms),
            (false, 0) => return false,
            (false, _) => branch.choices.push(atoms.into_iter().map(|atom| vec![atom]).collect()),
        }
        true
    }
}

fn each(sign: bool, nodes: &[NodeId]) -> Vec<Literal> {
    nodes.iter().map(|node| Literal::Node(sign, *node)).collect()
}

fn ways(literals: Vec<Literal>) -> Choice {
    literals.into_iter().map(|literal| vec![literal]).collect()
}

/// Takes an assertion apart; false if it cannot hold.
fn add_assertion(
    kind: Kind,
    branch: &mut Branch,
    waiting: &mut Vec<Literal>,
    sign: bool,
    assertion: &Assertion,
    literal: &Literal,
) -> bool {
    let choice: Choice = match (assertion, sign) {
        (Assertion::Kinds(kinds), _) => return kinds.contains(kind) == sign,
        (Assertion::AllOf(nodes), true) | (Assertion::AnyOf(nodes), false) => {
            waiting.extend(each(sign, nodes));
            return true;
        }
        (Assertion::AllOf(nodes), false) | (Assertion::AnyOf(nodes), true) => ways(each(sign, nodes)),
        (Assertion::OneOf(nodes), true) => exactly_one(nodes),
        (Assertion::OneOf(nodes), false) => none_or_two(nodes),
        (Assertion::Not(node), _) => {
            waiting.push(Literal::Node(!sign, *node));
            return true;
        }
        (Assertion::IfThenElse { condition, then, otherwise }, _) => vec![
            vec![Literal::Node(true, *condition), Literal::Node(sign, *then)],
            vec![Literal::Node(false, *condition), Literal::Node(sign, *otherwise)],
        ],
        (Assertion::Among { containers, .. }, false) if matches!(kind, Kind::Array | Kind::Object) => {
            let same_kind = containers.iter().filter(|(container, _)| *container == kind);
            waiting.extend(same_kind.map(|(_, node)| Literal::Node(false, *node)));
            return true;
        }
        (Assertion::ItemsTuple(nodes), false) => {
            ways(nodes.iter().enumerate().map(|(index, node)| Literal::ItemFails(index, *node)).collect())
        }
        (Assertion::ItemsFrom { start, node }, false) => vec![vec![Literal::SomeItemFails(*start, *node)]],
        (Assertion::Required(names), true) => {
            waiting.extend(names.iter().cloned().map(Literal::Present));
            return true;
        }
        (Assertion::Required(names), false) => ways(names.iter().cloned().map(Literal::Absent).collect()),
        (Assertion::Properties(nodes), false) => {
            ways(nodes.iter().map(|(name, node)| Literal::PropertyFails(name.clone(), *node)).collect())
        }
        (Assertion::PatternProperty { pattern, node }, false) => {
            vec![vec![Literal::SomeMatchingFails(pattern.clone(), *node)]]
        }
        (Assertion::DependsOnNames { name, required }, true) => vec![
            vec![Literal::Absent(name.clone())],
            required.iter().chain([name]).cloned().map(Literal::Present).collect(),
        ],
        (Assertion::DependsOnNames { name, required }, false) => {
            waiting.push(Literal::Present(name.clone()));
            ways(required.iter().cloned().map(Literal::Absent).collect())
        }
        (Assertion::DependsOnNode { name, node }, true) => {
            vec![vec![Literal::Absent(name.clone())], vec![Literal::Present(name.clone()), Literal::Node(true, *node)]]
        }
        (Assertion::DependsOnNode { name, node }, false) => {
            vec![vec![Literal::Present(name.clone()), Literal::Node(false, *node)]]
        }
        _ => {
            branch.demands.push(literal.clone());
            return true;
        }
    };
    branch.choices.push(choice);
    true
}

fn exactly_one(nodes: &[NodeId]) -> Choice {
    (0..nodes.len())
        .map(|chosen| nodes.iter().enumerate().map(|(index, node)| Literal::Node(index == chosen, *node)).collect())
        .collect()
}

fn none_or_two(nodes: &[NodeId]) -> Choice {
    let mut choice = vec![each(false, nodes)];
    for (index, first) in nodes.iter().enumerate() {
        for second in nodes.iter().skip(index + 1) {
            choice.push(vec![Literal::Node(true, *first), Literal::Node(true, *second)]);
        }
    }
    choice
}

/// What each name of an object must pass, by name.
pub(super) type ByName = BTreeMap<Rc<str>, super::Goal>;
