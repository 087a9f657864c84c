//! The state of hosts, tables, queues and leases at a step: all changes up to it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Story;

/// What stood where, after one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// By what it is (`host`, `aggregate`, …) and name.
    pub groups: BTreeMap<String, BTreeMap<String, StateEntry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateEntry {
    pub value: String,
    /// The step that made it so.
    pub since: u32,
}

impl Story {
    /// The state after the step of this number, and after all before it.
    pub fn state_at(&self, number: u32) -> State {
        let mut state = State::default();
        for change in self.changes.iter().take_while(|change| change.step <= number) {
            let group = state.groups.entry(change.of.clone()).or_default();
            match &change.after {
                Some(value) => {
                    group.insert(change.name.clone(), StateEntry { value: value.clone(), since: change.step });
                }
                None => {
                    group.remove(&change.name);
                }
            }
        }
        state.groups.retain(|_, group| !group.is_empty());
        state
    }
}
