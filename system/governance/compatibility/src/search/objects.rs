//! Objects: what each property must be, what some property must be, which names there are and how many.
//!
//! Names that the schemas mention are looked at one by one. All other names fall into *cells*, one for each way of matching
//! and not matching the patterns; names of one cell are alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value};

use super::{Goal, Literal, Reason, Search, Solver, expand::ByName};
use crate::graph::{Assertion, Kind, NodeId};

/// More patterns would make too many cells.
const PATTERNS_MAX: usize = 7;

/// More properties are not written down.
const PROPERTIES_MAX: u64 = 2_000;

/// Which patterns a name matches, in the order of the patterns.
type Cell = Vec<bool>;

enum Everywhere {
    Named(Rc<BTreeMap<Rc<str>, NodeId>>),
    Matching(Rc<str>, NodeId),
    Additional { names: Rc<BTreeSet<Rc<str>>>, patterns: Rc<[Rc<str>]>, node: NodeId },
}

/// Some property with such a name must fail a schema, or have a name that fails one.
#[derive(Clone)]
struct Somewhere {
    name: SomeName,
    value_fails: Option<NodeId>,
    name_fails: Option<NodeId>,
}

#[derive(Clone)]
enum SomeName {
    Exactly(Rc<str>),
    Matching(Rc<str>),
    Additional { names: Rc<BTreeSet<Rc<str>>>, patterns: Rc<[Rc<str>]> },
    Any,
}

#[derive(Default)]
struct Demanded {
    everywhere: Vec<Everywhere>,
    somewhere: Vec<Somewhere>,
    name_schemas: Vec<NodeId>,
    present: BTreeSet<Rc<str>>,
    absent: BTreeSet<Rc<str>>,
    count_min: u64,
    count_max: Option<u64>,
    /// Every name that is mentioned.
    names: BTreeSet<Rc<str>>,
    /// Every pattern that is mentioned.
    patterns: Vec<Rc<str>>,
}

/// A property whose name is still to be chosen from a cell.
#[derive(Clone)]
struct Unnamed {
    cell: Cell,
    name_fails: BTreeSet<NodeId>,
    goal: Goal,
}

/// An object under construction.
#[derive(Clone, Default)]
struct Draft {
    named: ByName,
    unnamed: Vec<Unnamed>,
}

impl Demanded {
    fn at_most(&mut self, most: u64) {
        self.count_max = Some(self.count_max.map_or(most, |known| known.min(most)));
    }

    /// Returns false if the demand cannot be met by any object.
    fn add(&mut self, sign: bool, assertion: &Assertion) -> bool {
        match assertion {
            Assertion::Properties(nodes) => self.everywhere.push(Everywhere::Named(nodes.clone())),
            Assertion::PatternProperty { pattern, node } => {
                self.everywhere.push(Everywhere::Matching(pattern.clone(), *node));
            }
            Assertion::Additional { names, patterns, node } => match sign {
                true => self.everywhere.push(Everywhere::Additional {
                    names: names.clone(),
                    patterns: patterns.clone(),
                    node: *node,
                }),
                false => {
                    let name = SomeName::Additional { names: names.clone(), patterns: patterns.clone() };
                    self.somewhere.push(Somewhere { name, value_fails: Some(*node), name_fails: None });
                }
            },
            Assertion::Names(node) if sign => self.name_schemas.push(*node),
            Assertion::Names(node) => {
                self.somewhere.push(Somewhere { name: SomeName::Any, value_fails: None, name_fails: Some(*node) });
            }
            Assertion::PropertiesMin(least) if sign => self.count_min = self.count_min.max(*least),
            Assertion::PropertiesMin(0) => return false,
            Assertion::PropertiesMin(least) => self.at_most(least - 1),
            Assertion::PropertiesMax(most) if sign => self.at_most(*most),
            Assertion::PropertiesMax(most) => self.count_min = self.count_min.max(most.saturating_add(1)),
            _ => {}
        }
        true
    }

    fn add_literal(&mut self, literal: &Literal) {
        let somewhere = |name, node| Somewhere { name, value_fails: Some(node), name_fails: None };
        match literal {
            Literal::Present(name) => drop(self.present.insert(name.clone())),
            Literal::Absent(name) => drop(self.absent.insert(name.clone())),
            Literal::PropertyFails(name, node) => {
                self.somewhere.push(somewhere(SomeName::Exactly(name.clone()), *node));
            }
            Literal::SomeMatchingFails(pattern, node) => {
                self.somewhere.push(somewhere(SomeName::Matching(pattern.clone()), *node));
            }
            _ => {}
        }
    }

    fn gather_names(&mut self) {
        let mut patterns = BTreeSet::new();
        self.names.extend(self.present.iter().chain(&self.absent).cloned());
        for demand in &self.everywhere {
            match demand {
                Everywhere::Named(nodes) => self.names.extend(nodes.keys().cloned()),
                Everywhere::Matching(pattern, _) => drop(patterns.insert(pattern.clone())),
                Everywhere::Additional { names, patterns: described, .. } => {
                    self.names.extend(names.iter().cloned());
                    patterns.extend(described.iter().cloned());
                }
            }
        }
        for some in &self.somewhere {
            match &some.name {
                SomeName::Exactly(name) => drop(self.names.insert(name.clone())),
                SomeName::Matching(pattern) => drop(patterns.insert(pattern.clone())),
                SomeName::Additional { names, patterns: described } => {
                    self.names.extend(names.iter().cloned());
                    patterns.extend(described.iter().cloned());
                }
                SomeName::Any => {}
            }
        }
        self.patterns = patterns.into_iter().collect();
    }

    fn is_matched(&self, cell: &Cell, pattern: &Rc<str>) -> bool {
        self.patterns.iter().zip(cell).any(|(known, matched)| *matched && known == pattern)
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![Vec::new()];
        for _ in &self.patterns {
            cells = cells
                .into_iter()
                .flat_map(|cell| [false, true].map(|matched| [cell.clone(), vec![matched]].concat()))
                .collect();
        }
        cells
    }

    /// What a property must be whose name lies in a cell, and is none of those mentioned.
    fn in_cell(&self, cell: &Cell) -> Goal {
        let demands = self.everywhere.iter().filter_map(|demand| match demand {
            Everywhere::Named(_) => None,
            Everywhere::Matching(pattern, node) => self.is_matched(cell, pattern).then_some((true, *node)),
            Everywhere::Additional { patterns, node, .. } => {
                let is_described = patterns.iter().any(|pattern| self.is_matched(cell, pattern));
                (!is_described).then_some((true, *node))
            }
        });
        demands.collect()
    }

    fn admits_cell(&self, name: &SomeName, cell: &Cell) -> bool {
        match name {
            SomeName::Exactly(_) => false,
            SomeName::Matching(pattern) => self.is_matched(cell, pattern),
            SomeName::Additional { patterns, .. } => !patterns.iter().any(|pattern| self.is_matched(cell, pattern)),
            SomeName::Any => true,
        }
    }
}

impl Solver {
    pub(super) fn settle_object(&mut self, demands: &[Literal]) -> Search {
        let mut demanded = Demanded::default();
        for demand in demands {
            demanded.add_literal(demand);
            if let Some((sign, assertion)) = self.atom(demand)
                && !demanded.add(sign, &assertion)
            {
                return Search::Empty;
            }
        }
        demanded.gather_names();
        if demanded.patterns.len() > PATTERNS_MAX {
            return Search::Unknown(Reason::Effort);
        }
        let mut draft = Draft::default();
        for name in &demanded.present {
            if demanded.absent.contains(name) || !self.is_name_allowed(&demanded, name) {
                return Search::Empty;
            }
            let goal = self.at_name(&demanded, name);
            draft.named.insert(name.clone(), goal);
        }
        self.place(&demanded, 0, draft)
    }

    /// What the property of this name must be.
    fn at_name(&mut self, demanded: &Demanded, name: &Rc<str>) -> Goal {
        let mut goal = Goal::new();
        for demand in &demanded.everywhere {
            match demand {
                Everywhere::Named(nodes) => goal.extend(nodes.get(name).map(|node| (true, *node))),
                Everywhere::Matching(pattern, node) => {
                    if self.matches(pattern, name) {
                        goal.insert((true, *node));
                    }
                }
                Everywhere::Additional { names, patterns, node } => {
                    if !self.is_described(names, patterns, name) {
                        goal.insert((true, *node));
                    }
                }
            }
        }
        goal
    }

    fn is_name_allowed(&mut self, demanded: &Demanded, name: &str) -> bool {
        let value = Value::String(name.to_owned());
        demanded.name_schemas.iter().all(|node| self.passes(*node, &value))
    }

    /// Finds a place for each "some property" demand from `index` on, in every way there is.
    fn place(&mut self, demanded: &Demanded, index: usize, draft: Draft) -> Search {
        if !self.count_step() {
            return Search::Unknown(Reason::Effort);
        }
        let Some(some) = demanded.somewhere.get(index) else { return self.complete(demanded, draft) };
        let mut answer = Search::Empty;
        for longer in self.placings(demanded, some, &draft) {
            match self.place(demanded, index + 1, longer) {
                Search::Empty => {}
                Search::Found(value) => return Search::Found(value),
                unknown => answer = unknown,
            }
        }
        answer
    }

    fn placings(&mut self, demanded: &Demanded, some: &Somewhere, draft: &Draft) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for name in demanded.names.clone() {
            if self.can_be(demanded, some, &name) {
                let mut longer = draft.clone();
                if !longer.named.contains_key(&name) {
                    let goal = self.at_name(demanded, &name);
                    longer.named.insert(name.clone(), goal);
                }
                longer.named.entry(name).or_default().extend(some.value_fails.map(|node| (false, node)));
                drafts.push(longer);
            }
        }
        for (position, unnamed) in draft.unnamed.iter().enumerate() {
            if demanded.admits_cell(&some.name, &unnamed.cell) {
                let mut longer = draft.clone();
                longer.unnamed[position].goal.extend(some.value_fails.map(|node| (false, node)));
                longer.unnamed[position].name_fails.extend(some.name_fails);
                drafts.push(longer);
            }
        }
        for cell in demanded.cells().into_iter().filter(|cell| demanded.admits_cell(&some.name, cell)) {
            let mut longer = draft.clone();
            let goal = demanded.in_cell(&cell).into_iter().chain(some.value_fails.map(|node| (false, node))).collect();
            longer.unnamed.push(Unnamed { cell, name_fails: some.name_fails.into_iter().collect(), goal });
            drafts.push(longer);
        }
        drafts
    }

    /// Whether a mentioned name may be the one that a demand asks for.
    fn can_be(&mut self, demanded: &Demanded, some: &Somewhere, name: &Rc<str>) -> bool {
        if demanded.absent.contains(name) || !self.is_name_allowed(demanded, name) {
            return false;
        }
        let is_such = match &some.name {
            SomeName::Exactly(wanted) => wanted == name,
            SomeName::Matching(pattern) => self.matches(pattern, name),
            SomeName::Additional { names, patterns } => !self.is_described(names, patterns, name),
            SomeName::Any => true,
        };
        is_such && some.name_fails.is_none_or(|node| !self.passes(node, &Value::String(name.to_string())))
    }

    /// All demands have their place: chooses values and names, and adds properties until there are enough.
    fn complete(&mut self, demanded: &Demanded, draft: Draft) -> Search {
        let count = (draft.named.len() + draft.unnamed.len()) as u64;
        if demanded.count_max.is_some_and(|most| most < count.max(demanded.count_min)) {
            return Search::Empty;
        }
        let mut answer = Search::Empty;
        let mut fields = Map::new();
        for (name, goal) in draft.named {
            match self.settle(goal) {
                Search::Empty => return Search::Empty,
                Search::Found(value) => drop(fields.insert(name.to_string(), value)),
                unknown => answer = unknown,
            }
        }
        for unnamed in draft.unnamed {
            match self.name_and_value(demanded, &unnamed, &fields) {
                Search::Empty => return Search::Empty,
                Search::Found(Value::Object(field)) => fields.extend(field),
                Search::Found(_) => {}
                unknown => answer = unknown,
            }
        }
        if answer != Search::Empty {
            return answer;
        }
        self.add_until_enough(demanded, fields)
    }

    /// An object of one property: a name from the cell that is not taken, and a value.
    fn name_and_value(&mut self, demanded: &Demanded, unnamed: &Unnamed, taken: &Map<String, Value>) -> Search {
        let value = match self.settle(unnamed.goal.clone()) {
            Search::Found(value) => value,
            other => return other,
        };
        let mentioned: BTreeSet<String> = demanded.names.iter().map(ToString::to_string).collect();
        let excluded: BTreeSet<String> = mentioned.iter().cloned().chain(taken.keys().cloned()).collect();
        let is_narrowed = excluded.len() > mentioned.len();
        match self.name_in(demanded, unnamed, excluded) {
            Search::Found(Value::String(name)) => Search::Found(Value::Object(Map::from_iter([(name, value)]))),
            // Another choice of the names before might have left one over.
            Search::Empty if is_narrowed && self.name_in(demanded, unnamed, mentioned) != Search::Empty => {
                Search::Unknown(Reason::Distinct)
            }
            other => other,
        }
    }

    fn name_in(&mut self, demanded: &Demanded, unnamed: &Unnamed, excluded: BTreeSet<String>) -> Search {
        let matching = demanded.patterns.iter().zip(&unnamed.cell);
        let mut literals: Vec<Literal> =
            matching.map(|(pattern, matched)| Literal::Matches(*matched, pattern.clone())).collect();
        literals.extend(demanded.name_schemas.iter().map(|node| Literal::Node(true, *node)));
        literals.extend(unnamed.name_fails.iter().map(|node| Literal::Node(false, *node)));
        literals.push(Literal::NoneOf(Rc::new(excluded)));
        self.of_kind(Kind::Text, literals)
    }

    /// More properties do no harm, and each is chosen apart from all others: when none is left, there are no more.
    fn add_until_enough(&mut self, demanded: &Demanded, mut fields: Map<String, Value>) -> Search {
        if demanded.count_min > PROPERTIES_MAX {
            return Search::Unknown(Reason::Effort);
        }
        let is_enough = |fields: &Map<String, Value>| fields.len() as u64 >= demanded.count_min;
        let mut answer = Search::Empty;
        for name in demanded.names.clone() {
            if is_enough(&fields) {
                break;
            }
            let is_free = !fields.contains_key(&*name) && !demanded.absent.contains(&name);
            if is_free && self.is_name_allowed(demanded, &name) {
                let goal = self.at_name(demanded, &name);
                match self.settle(goal) {
                    Search::Empty => {}
                    Search::Found(value) => drop(fields.insert(name.to_string(), value)),
                    unknown => answer = unknown,
                }
            }
        }
        for cell in demanded.cells() {
            if is_enough(&fields) {
                break;
            }
            let value = match self.settle(demanded.in_cell(&cell)) {
                Search::Empty => continue,
                Search::Found(value) => value,
                unknown => {
                    answer = unknown;
                    continue;
                }
            };
            let unnamed = Unnamed { goal: Goal::new(), cell, name_fails: BTreeSet::new() };
            while !is_enough(&fields) {
                let excluded = demanded.names.iter().map(ToString::to_string).chain(fields.keys().cloned()).collect();
                match self.name_in(demanded, &unnamed, excluded) {
                    Search::Found(Value::String(name)) => drop(fields.insert(name, value.clone())),
                    Search::Found(_) | Search::Empty => break,
                    unknown => {
                        answer = unknown;
                        break;
                    }
                }
            }
        }
        if is_enough(&fields) { Search::Found(Value::Object(fields)) } else { answer }
    }
}
