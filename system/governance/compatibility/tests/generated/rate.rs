//! How often a verdict stays undecided: over pairs drawn at random, and over changes as people make them.

use nexus_governance_compatibility::{Mode, Options, Schema, Verdict, judge};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde::Deserialize;
use serde_json::Value;

use super::pair;

#[derive(Clone, Debug, Default)]
pub struct Rate {
    pub compatible: u32,
    pub incompatible: u32,
    pub undecided: u32,
    /// The names of those that were left undecided, where they have names.
    pub open: Vec<String>,
}

impl Rate {
    fn count(&mut self, name: &str, old: &Value, new: &Value) {
        let (Ok(old), Ok(new)) = (Schema::new(old.clone()), Schema::new(new.clone())) else { return };
        for mode in [Mode::Backward, Mode::Forward] {
            let report = judge(&new, std::slice::from_ref(&old), &Options::new(mode).without_house_rule());
            match report.verdict {
                Verdict::Compatible => self.compatible += 1,
                Verdict::Incompatible => self.incompatible += 1,
                Verdict::Undecided => {
                    self.undecided += 1;
                    self.open.push(format!("{name} ({mode})"));
                }
            }
        }
    }

    pub fn total(&self) -> u32 {
        self.compatible + self.incompatible + self.undecided
    }

    /// From 0 to 1.
    pub fn undecided_share(&self) -> f64 {
        f64::from(self.undecided) / f64::from(self.total().max(1))
    }
}

/// The same pairs on every call.
pub fn over_generated_pairs(pairs: u32) -> Rate {
    let mut runner = TestRunner::deterministic();
    let strategy = pair();
    let mut rate = Rate::default();
    for _ in 0..pairs {
        if let Ok(tree) = strategy.new_tree(&mut runner) {
            let (old, new) = tree.current();
            rate.count(&format!("{old} -> {new}"), &old, &new);
        }
    }
    rate
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evolution {
    pub name: String,
    pub old: Value,
    pub new: Value,
}

/// Changes of event schemas as people make them: a field more, a bound less, a form of its own for an address.
pub fn evolutions() -> Vec<Evolution> {
    let lines = include_str!("../evolutions.jsonl").lines();
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub fn over_evolutions() -> Rate {
    let mut rate = Rate::default();
    evolutions().iter().for_each(|evolution| rate.count(&evolution.name, &evolution.old, &evolution.new));
    rate
}
