//! The search itself.
//!
//! A configuration is the set of operations already ordered and the state they led to. From it, an operation can be
//! next if none of the others must come before it, that is, if it was invoked before the first answer among those
//! not yet ordered. Configurations are visited once. They are kept whole rather than by hash: a collision would
//! turn into a wrong verdict.

use std::{
    collections::BTreeMap,
    hash::{BuildHasherDefault, DefaultHasher},
};

use indexmap::IndexSet;

use super::Model;

/// What one client did to the object.
#[derive(Clone, Debug)]
pub struct Operation<I, O> {
    pub input: I,
    pub invoked_ns: u64,
    /// `None` if nobody knows the outcome: it takes effect at any time after its invocation, or never.
    pub completion: Option<Completion<O>>,
}

/// A definite answer.
#[derive(Clone, Debug)]
pub struct Completion<O> {
    pub output: O,
    pub completed_ns: u64,
}

/// What was done to one object of this kind.
pub type History<M> = Vec<Operation<<M as Model>::Input, <M as Model>::Output>>;

/// The outcome of a search. `steps` counts calls of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `order` is a witness: indices of the operations in an order that the model accepts. Pending operations that
    /// are not in it never took effect.
    Linearizable { order: Vec<usize>, steps: u64 },
    /// `prefix` is the longest order found; `stuck` are the operations of which one would have to come next.
    NotLinearizable { prefix: Vec<usize>, stuck: Vec<usize>, steps: u64 },
    /// The work bound was reached.
    Undecided { steps: u64 },
}

type DeterministicSet<K> = IndexSet<K, BuildHasherDefault<DefaultHasher>>;

/// Decides one history of one object, calling the model at most `steps_max` times.
pub fn decide<M: Model>(model: &M, operations: &[Operation<M::Input, M::Output>], steps_max: u64) -> Verdict {
    Search::new(model, operations, steps_max).run()
}

/// Decides a history of many independent objects by deciding each alone: linearizability is local. The bound holds
/// for each. The first object that is not linearizable, or else the first undecided, comes back with its verdict.
pub fn decide_each<M: Model, K: Ord + Clone>(
    model: &M,
    histories: &BTreeMap<K, History<M>>,
    steps_max: u64,
) -> Option<(K, Verdict)> {
    let mut undecided = None;
    for (key, operations) in histories {
        match decide(model, operations, steps_max) {
            Verdict::Linearizable { .. } => {}
            broken @ Verdict::NotLinearizable { .. } => return Some((key.clone(), broken)),
            open @ Verdict::Undecided { .. } => {
                undecided.get_or_insert((key.clone(), open));
            }
        }
    }
    undecided
}

/// Set of ordered operations in an exact and short form: how many of the first definite ones are in it without a
/// gap, then bits for those after the gap, then bits for the pending ones.
#[derive(PartialEq, Eq, Hash)]
struct OrderedSet {
    complete_before: u32,
    later: Box<[u64]>,
    pending: Box<[u64]>,
}

/// One position of the depth-first search.
struct Frame<S> {
    /// State before any of the candidates.
    state: S,
    candidates: Vec<u32>,
    next_candidate: usize,
    /// The candidate that leads to the frame above this one.
    taken: Option<u32>,
    /// First definite operation not ordered yet, before `taken`.
    complete_before: usize,
}

struct Search<'h, M: Model> {
    model: &'h M,
    operations: &'h [Operation<M::Input, M::Output>],
    /// Indices of operations with a definite answer, by invocation.
    definite: Vec<usize>,
    /// Indices of the others, by invocation.
    pending: Vec<usize>,
    is_definite_ordered: Vec<bool>,
    is_pending_ordered: Vec<bool>,
    /// All definite operations before this position of `definite` are ordered.
    complete_before: usize,
    definite_left: usize,
    order: Vec<usize>,
    longest: Vec<usize>,
    stuck: Vec<usize>,
    seen: DeterministicSet<(OrderedSet, M::State)>,
    steps: u64,
    steps_max: u64,
}

impl<'h, M: Model> Search<'h, M> {
    fn new(model: &'h M, operations: &'h [Operation<M::Input, M::Output>], steps_max: u64) -> Self {
        let mut by_invocation: Vec<usize> = (0..operations.len()).collect();
        by_invocation.sort_by_key(|&index| (operations[index].invoked_ns, index));
        let (definite, pending): (Vec<_>, Vec<_>) =
            by_invocation.into_iter().partition(|&index| operations[index].completion.is_some());
        Self {
            is_definite_ordered: vec![false; definite.len()],
            is_pending_ordered: vec![false; pending.len()],
            definite_left: definite.len(),
            complete_before: 0,
            model,
            operations,
            definite,
            pending,
            order: Vec::new(),
            longest: Vec::new(),
            stuck: Vec::new(),
            seen: DeterministicSet::default(),
            steps: 0,
            steps_max,
        }
    }

    fn run(mut self) -> Verdict {
        let mut frames = vec![self.frame(self.model.initial())];
        while let Some(frame) = frames.last_mut() {
            if self.definite_left == 0 {
                return Verdict::Linearizable { order: self.order, steps: self.steps };
            }
            if let Some(taken) = frame.taken.take() {
                self.complete_before = frame.complete_before;
                self.undo(taken);
            }
            let Some(&candidate) = frame.candidates.get(frame.next_candidate) else {
                if let Some(dead_end) = frames.pop() {
                    self.remember_if_longest(&dead_end.candidates);
                }
                continue;
            };
            frame.next_candidate += 1;
            if self.steps == self.steps_max {
                return Verdict::Undecided { steps: self.steps };
            }
            self.steps += 1;
            let Some(state) = self.step(&frame.state, candidate) else { continue };
            frame.taken = Some(candidate);
            frame.complete_before = self.complete_before;
            self.apply(candidate);
            if self.seen.insert((self.ordered_set(), state.clone())) {
                frames.push(self.frame(state));
            }
        }
        Verdict::NotLinearizable { prefix: self.longest, stuck: self.stuck, steps: self.steps }
    }

    /// The state after the candidate; `None` if it cannot be next, or is pending and would change nothing.
    fn step(&self, state: &M::State, candidate: u32) -> Option<M::State> {
        let operation = &self.operations[self.index_of(candidate)];
        let output = operation.completion.as_ref().map(|completion| &completion.output);
        let after = self.model.step(state, &operation.input, output)?;
        (output.is_some() || after != *state).then_some(after)
    }

    /// Candidates number the definite operations first, then the pending ones.
    fn index_of(&self, candidate: u32) -> usize {
        let position = candidate as usize;
        if position < self.definite.len() {
            self.definite[position]
        } else {
            self.pending[position - self.definite.len()]
        }
    }

    fn apply(&mut self, candidate: u32) {
        let position = candidate as usize;
        self.order.push(self.index_of(candidate));
        if position >= self.definite.len() {
            self.is_pending_ordered[position - self.definite.len()] = true;
            return;
        }
        self.is_definite_ordered[position] = true;
        self.definite_left -= 1;
        while self.is_definite_ordered.get(self.complete_before) == Some(&true) {
            self.complete_before += 1;
        }
    }

    fn undo(&mut self, candidate: u32) {
        let position = candidate as usize;
        self.order.pop();
        if position >= self.definite.len() {
            self.is_pending_ordered[position - self.definite.len()] = false;
        } else {
            self.is_definite_ordered[position] = false;
            self.definite_left += 1;
        }
    }

    fn frame(&self, state: M::State) -> Frame<M::State> {
        let (candidates, complete_before) = (self.candidates(), self.complete_before);
        Frame { state, candidates, next_candidate: 0, taken: None, complete_before }
    }

    fn remember_if_longest(&mut self, candidates: &[u32]) {
        if self.order.len() > self.longest.len() || self.stuck.is_empty() {
            self.longest.clone_from(&self.order);
            self.stuck = candidates.iter().map(|&candidate| self.index_of(candidate)).collect();
        }
    }

    /// What can be next: definite operations first, the earliest answer first, then the pending ones. The walk goes by
    /// invocation, so an answer that is found later cannot exclude what was found before.
    fn candidates(&self) -> Vec<u32> {
        let mut first_answer_ns = u64::MAX;
        let mut found: Vec<(u64, u32)> = Vec::new();
        for position in self.complete_before..self.definite.len() {
            if self.is_definite_ordered[position] {
                continue;
            }
            let operation = &self.operations[self.definite[position]];
            if operation.invoked_ns > first_answer_ns {
                break;
            }
            let completed_ns = operation.completion.as_ref().map_or(u64::MAX, |completion| completion.completed_ns);
            first_answer_ns = first_answer_ns.min(completed_ns);
            found.push((completed_ns, position as u32));
        }
        found.sort_unstable();
        let mut candidates: Vec<u32> = found.into_iter().map(|(_, position)| position).collect();
        for (position, &index) in self.pending.iter().enumerate() {
            if self.operations[index].invoked_ns > first_answer_ns {
                break;
            }
            if !self.is_pending_ordered[position] {
                candidates.push((self.definite.len() + position) as u32);
            }
        }
        candidates
    }

    fn ordered_set(&self) -> OrderedSet {
        OrderedSet {
            complete_before: self.complete_before as u32,
            later: bits(self.later_bits()),
            pending: bits(self.is_pending_ordered.iter().copied()),
        }
    }

    /// Operations after the gap. None that was invoked after the first missing answer can be ordered, so the walk
    /// ends early however long the history is.
    fn later_bits(&self) -> impl Iterator<Item = bool> {
        let gap_answered_ns = self.definite.get(self.complete_before).map_or(0, |&index| {
            self.operations[index].completion.as_ref().map_or(u64::MAX, |completion| completion.completed_ns)
        });
        (self.complete_before..self.definite.len())
            .take_while(move |&position| self.operations[self.definite[position]].invoked_ns <= gap_answered_ns)
            .map(|position| self.is_definite_ordered[position])
    }
}

/// Packs bits into words, without trailing empty words, so that equal sets have equal forms.
fn bits(flags: impl Iterator<Item = bool>) -> Box<[u64]> {
    let mut words = Vec::new();
    for (position, flag) in flags.enumerate() {
        if flag {
            let word = position / 64;
            words.resize(words.len().max(word + 1), 0);
            words[word] |= 1 << (position % 64);
        }
    }
    words.into_boxed_slice()
}
