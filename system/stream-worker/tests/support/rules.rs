//! What must hold at every write of a lease, and at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use nexus_ports::{SequenceNumber, ShardProgress};
use nexus_ports_testing::{LeaseWrite, MemoryLeaseStore};

use super::{Effect, Effects};

/// Watches a lease store and knows every record that was put.
#[derive(Clone)]
pub struct Rules {
    effects: Effects,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    expected: BTreeMap<String, BTreeSet<SequenceNumber>>,
    broken: Vec<String>,
}

impl Rules {
    pub fn watch(leases: &MemoryLeaseStore, effects: &Effects) -> Self {
        let rules = Self { effects: effects.clone(), state: Arc::default() };
        let watching = rules.clone();
        leases.observe_writes(move |write| watching.check_write(write));
        rules
    }

    pub fn expect(&self, shard: &str, number: &SequenceNumber) {
        self.state.lock().unwrap().expected.entry(shard.to_owned()).or_default().insert(number.clone());
    }

    /// A record that the feed dropped before anybody could read it.
    pub fn expect_no_more(&self, shard: &str, number: &SequenceNumber) {
        self.state.lock().unwrap().expected.entry(shard.to_owned()).or_default().remove(number);
    }

    /// Records that have had no effect.
    pub fn missing(&self) -> Vec<(String, SequenceNumber)> {
        let state = self.state.lock().unwrap();
        let all = state.expected.iter().flat_map(|(shard, numbers)| numbers.iter().map(move |number| (shard, number)));
        all.filter(|(shard, number)| !self.effects.has(shard, number))
            .map(|(shard, number)| (shard.clone(), number.clone()))
            .collect()
    }

    /// All records that were put into a shard.
    pub fn expected(&self, shard: &str) -> Vec<SequenceNumber> {
        self.covered_by(shard, &ShardProgress::Finished)
    }

    fn check_write(&self, write: &LeaseWrite) {
        let mut broken = Vec::new();
        if let Some(before) = &write.before {
            let after = &write.after;
            let mut hold = |holds: bool, rule: &str| {
                if !holds {
                    broken.push(format!("{rule}: {before:?} became {after:?}"));
                }
            };
            hold(after.counter > before.counter, "the counter grows");
            hold(after.progress >= before.progress, "progress never goes back");
            hold((after.owner != before.owner) == (after.epoch == before.epoch + 1), "the epoch grows with the owner");
            hold(after.epoch <= before.epoch + 1 && after.epoch >= before.epoch, "the epoch grows by one");
            // A take-over writes nothing else; so whoever writes progress is the holder.
            let is_taken = after.owner.is_some() && after.owner != before.owner;
            hold(
                !is_taken || (&after.progress, &after.memory) == (&before.progress, &before.memory),
                "taking changes nothing else",
            );
        }
        for number in self.covered_by(&write.after.shard, &write.after.progress) {
            if !self.effects.has(&write.after.shard, &number) {
                broken.push(format!("{number} is not durable, yet it is covered by {:?}", write.after));
            }
        }
        self.state.lock().unwrap().broken.extend(broken);
    }

    fn covered_by(&self, shard: &str, progress: &ShardProgress) -> Vec<SequenceNumber> {
        let state = self.state.lock().unwrap();
        let numbers = state.expected.get(shard).into_iter().flatten();
        let is_covered = |number: &&SequenceNumber| match progress {
            ShardProgress::Untouched => false,
            ShardProgress::After(through) => *number <= through,
            ShardProgress::Finished => true,
        };
        numbers.filter(is_covered).cloned().collect()
    }

    /// Everything that can be judged afterwards. `parents` are (child, parent).
    ///
    /// # Panics
    /// If a rule is broken.
    pub fn check(&self, parents: &[(String, String)]) {
        let broken = self.state.lock().unwrap().broken.clone();
        assert!(broken.is_empty(), "{broken:#?}");
        let effects = self.effects.all();
        check_order(&effects);
        check_epochs(&effects);
        for (child, parent) in parents {
            self.check_parent(&effects, child, parent);
        }
    }

    /// Each record of the parent has an effect before the child's first.
    fn check_parent(&self, effects: &[Effect], child: &str, parent: &str) {
        let Some(first_of_child) = effects.iter().position(|effect| effect.shard == child) else { return };
        let before: BTreeSet<&SequenceNumber> = effects[..first_of_child]
            .iter()
            .filter(|effect| effect.shard == parent)
            .map(|effect| &effect.number)
            .collect();
        for number in self.covered_by(parent, &ShardProgress::Finished) {
            let is_effective = before.contains(&number) || self.effects.is_repaired(parent, &number);
            assert!(is_effective, "{child} was begun before {number} of {parent} was effective");
        }
    }
}

/// One handler sees ascending positions, and so does one shard as far as effects are new.
fn check_order(effects: &[Effect]) {
    let mut last_of_life: BTreeMap<usize, &SequenceNumber> = BTreeMap::new();
    let mut newest: BTreeMap<&str, &SequenceNumber> = BTreeMap::new();
    let mut seen: BTreeSet<(&str, &SequenceNumber)> = BTreeSet::new();
    for effect in effects {
        if let Some(last) = last_of_life.insert(effect.life, &effect.number) {
            assert!(*last < effect.number, "a handler was given {} after {last}", effect.number);
        }
        if seen.insert((&effect.shard, &effect.number))
            && let Some(last) = newest.insert(&effect.shard, &effect.number)
        {
            assert!(*last < effect.number, "{} of {} came first after {last}", effect.number, effect.shard);
        }
    }
}

/// No two workers have effects under the same epoch of a shard.
fn check_epochs(effects: &[Effect]) {
    let mut workers: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for effect in effects {
        let worker = *workers.entry((&effect.shard, effect.epoch)).or_insert(&effect.worker);
        assert_eq!(worker, effect.worker, "two workers under epoch {} of {}", effect.epoch, effect.shard);
    }
}
