//! Arrays: what every item must be, what some item must be, how many there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Goal, Literal, Reason, Search, Solver};
use crate::graph::Assertion;

/// Longer arrays are not written down.
const LENGTH_MAX: u64 = 2_000;

/// Ways to place "some item" demands that are tried.
const PLACINGS_MAX: usize = 2_000;

/// Some item between two indexes must meet a goal.
struct Somewhere {
    start: usize,
    /// One past the last index; none for an open end.
    end: Option<usize>,
    goal: Goal,
}

#[derive(Default)]
struct Demanded {
    everywhere: Vec<(usize, Option<usize>, (bool, u32))>,
    somewhere: Vec<Somewhere>,
    length_min: u64,
    length_max: Option<u64>,
    unique: bool,
    repeated: bool,
    /// Indexes from here on are alike.
    alike_from: usize,
}

impl Demanded {
    fn at(&self, index: usize) -> Goal {
        let applies = |(start, end, _): &&(usize, Option<usize>, (bool, u32))| {
            *start <= index && end.is_none_or(|end| index < end)
        };
        self.everywhere.iter().filter(applies).map(|(.., demand)| *demand).collect()
    }

    fn at_most(&mut self, most: u64) {
        self.length_max = Some(self.length_max.map_or(most, |known| known.min(most)));
    }

    fn some(&mut self, start: usize, end: Option<usize>, demand: (bool, u32)) {
        self.somewhere.push(Somewhere { start, end, goal: Goal::from([demand]) });
    }

    /// Returns false if the demand cannot be met by any array.
    fn add(&mut self, sign: bool, assertion: &Assertion) -> bool {
        match assertion {
            Assertion::ItemsFrom { start, node } => self.everywhere.push((*start, None, (true, *node))),
            Assertion::ItemsTuple(nodes) => {
                let places = nodes.iter().enumerate();
                self.everywhere.extend(places.map(|(index, node)| (index, Some(index + 1), (true, *node))));
            }
            Assertion::Contains(node) if sign => self.some(0, None, (true, *node)),
            Assertion::Contains(node) => self.everywhere.push((0, None, (false, *node))),
            Assertion::ItemsMin(least) if sign => self.length_min = self.length_min.max(*least),
            Assertion::ItemsMin(0) => return false,
            Assertion::ItemsMin(least) => self.at_most(least - 1),
            Assertion::ItemsMax(most) if sign => self.at_most(*most),
            Assertion::ItemsMax(most) => self.length_min = self.length_min.max(most.saturating_add(1)),
            Assertion::Unique if sign => self.unique = true,
            Assertion::Unique => self.repeated = true,
            _ => {}
        }
        true
    }
}

impl Solver {
    pub(super) fn settle_array(&mut self, demands: &[Literal]) -> Search {
        let mut demanded = Demanded::default();
        for demand in demands {
            match demand {
                Literal::ItemFails(index, node) => demanded.some(*index, Some(index + 1), (false, *node)),
                Literal::SomeItemFails(start, node) => demanded.some(*start, None, (false, *node)),
                _ => {
                    if let Some((sign, assertion)) = self.atom(demand)
                        && !demanded.add(sign, &assertion)
                    {
                        return Search::Empty;
                    }
                }
            }
        }
        if demanded.unique && demanded.repeated {
            return Search::Empty;
        }
        let ends = demanded.everywhere.iter().flat_map(|(start, end, _)| [Some(*start), *end]);
        let starts = demanded.somewhere.iter().flat_map(|some| [Some(some.start), some.end]);
        demanded.alike_from = ends.chain(starts).flatten().max().unwrap_or(0);
        self.try_placings(&demanded)
    }

    fn try_placings(&mut self, demanded: &Demanded) -> Search {
        let mut placings = vec![BTreeMap::new()];
        for some in &demanded.somewhere {
            // Beyond the indexes that differ, one place for each demand is enough.
            let end = some.end.unwrap_or(demanded.alike_from + demanded.somewhere.len());
            placings = placings
                .iter()
                .flat_map(|placing: &BTreeMap<usize, Goal>| {
                    (some.start..end).map(|index| {
                        let mut longer = placing.clone();
                        longer.entry(index).or_default().extend(some.goal.iter().copied());
                        longer
                    })
                })
                .collect();
            if placings.len() > PLACINGS_MAX {
                return Search::Unknown(Reason::Effort);
            }
        }
        let pairs = match demanded.repeated {
            false => vec![None],
            true => {
                let count = demanded.alike_from + demanded.somewhere.len() + 2;
                (0..count).flat_map(|first| (first + 1..count).map(move |second| Some((first, second)))).collect()
            }
        };
        let mut answer = Search::Empty;
        for placing in &placings {
            for pair in &pairs {
                if !self.count_step() {
                    return Search::Unknown(Reason::Effort);
                }
                match self.fill(demanded, placing, *pair) {
                    Search::Empty => {}
                    Search::Found(value) => return Search::Found(value),
                    unknown => answer = unknown,
                }
            }
        }
        answer
    }

    /// The shortest array with these items in their places; `pair` names two places that hold the same value.
    fn fill(&mut self, demanded: &Demanded, placing: &BTreeMap<usize, Goal>, pair: Option<(usize, usize)>) -> Search {
        let last_placed = placing.keys().next_back().map_or(0, |index| *index as u64 + 1);
        let last_paired = pair.map_or(0, |(_, second)| second as u64 + 1);
        let length = demanded.length_min.max(last_placed).max(last_paired);
        if demanded.length_max.is_some_and(|most| length > most) {
            return Search::Empty;
        }
        if length > LENGTH_MAX {
            return Search::Unknown(Reason::Effort);
        }
        let length = usize::try_from(length).unwrap_or(0);
        let mut goals: Vec<Goal> = (0..length)
            .map(|index| {
                let placed = placing.get(&index).into_iter().flatten().copied();
                demanded.at(index).into_iter().chain(placed).collect()
            })
            .collect();
        if let Some((first, second)) = pair {
            let both: Goal = [first, second].iter().filter_map(|index| goals.get(*index)).flatten().copied().collect();
            for index in [first, second] {
                goals[index].clone_from(&both);
            }
        }
        if demanded.unique { self.fill_distinct(&goals) } else { self.fill_any(goals) }
    }

    fn fill_any(&mut self, goals: Vec<Goal>) -> Search {
        let mut items = Vec::with_capacity(goals.len());
        let mut answer = Search::Empty;
        // An impossible item settles the matter, so it is looked for even behind one that is not known.
        for goal in goals {
            match self.settle(goal) {
                Search::Empty => return Search::Empty,
                Search::Found(value) => items.push(value),
                unknown => answer = unknown,
            }
        }
        if answer == Search::Empty { Search::Found(Value::Array(items)) } else { answer }
    }

    /// Chooses one item after another, each other than those before. Where all items have the same goal, failing proves that
    /// there are too few values; otherwise another choice might have worked.
    fn fill_distinct(&mut self, goals: &[Goal]) -> Search {
        for goal in goals.iter().cloned().collect::<BTreeSet<_>>() {
            match self.settle(goal) {
                Search::Found(_) => {}
                other => return other,
            }
        }
        let are_alike = goals.windows(2).all(|pair| pair.first() == pair.last());
        let mut items: Vec<Value> = Vec::new();
        let mut used = Vec::new();
        for goal in goals {
            let outer = std::mem::replace(&mut self.rests_on, usize::MAX);
            let answer = self.settle(goal.iter().copied().chain(used.iter().copied()).collect());
            let is_proof = are_alike && self.is_unconditional();
            self.rests_on = self.rests_on.min(outer);
            match answer {
                Search::Found(value) => {
                    used.push((false, self.graph.exactly(&value)));
                    items.push(value);
                }
                Search::Empty if is_proof => return Search::Empty,
                Search::Empty => return Search::Unknown(Reason::Distinct),
                unknown => return unknown,
            }
        }
        Search::Found(Value::Array(items))
    }
}
