//! What several scenarios come to together.

use std::collections::BTreeMap;

use crate::{
    aggregate::{CheckSummary, FaultSummary, ScenarioSummary},
    latencies::Latencies,
    model::Contract,
};

/// A rare state over all scenarios that look for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoalTotal {
    pub name: String,
    pub trials: u64,
    pub reached: u64,
    /// Scenarios of which at least one trial reached it.
    pub scenarios: Vec<String>,
}

/// Adds up checks by name over scenarios.
pub fn checks_over(summaries: &[ScenarioSummary]) -> Vec<CheckSummary> {
    let mut pooled: BTreeMap<&str, CheckSummary> = BTreeMap::new();
    for check in summaries.iter().flat_map(|summary| &summary.checks) {
        let total = pooled.entry(&check.name).or_default();
        total.name.clone_from(&check.name);
        total.trials.add(check.trials);
        total.examined += check.examined;
    }
    pooled.into_values().collect()
}

/// Adds up rare states by name over scenarios.
pub fn goals_over(summaries: &[ScenarioSummary]) -> Vec<GoalTotal> {
    let mut pooled: BTreeMap<&str, GoalTotal> = BTreeMap::new();
    for (summary, goal) in summaries.iter().flat_map(|summary| summary.goals.iter().map(move |goal| (summary, goal))) {
        let total = pooled.entry(&goal.name).or_default();
        total.name.clone_from(&goal.name);
        total.trials += goal.trials;
        total.reached += goal.reached;
        total.scenarios.extend((goal.reached > 0).then(|| summary.name.clone()));
    }
    pooled.into_values().collect()
}

/// Adds up faults by kind and contract over scenarios.
pub fn faults_over(summaries: &[ScenarioSummary]) -> Vec<FaultSummary> {
    let mut pooled: BTreeMap<(&str, Contract), FaultSummary> = BTreeMap::new();
    for fault in summaries.iter().flat_map(|summary| &summary.faults) {
        match pooled.get_mut(&(fault.kind.as_str(), fault.contract)) {
            Some(total) => {
                total.planned += fault.planned;
                total.fired += fault.fired;
                total.firings += fault.firings;
            }
            None => {
                pooled.insert((&fault.kind, fault.contract), fault.clone());
            }
        }
    }
    pooled.into_values().collect()
}

/// Pools latencies by name over scenarios.
pub fn latency_over(summaries: &[ScenarioSummary]) -> BTreeMap<String, Latencies> {
    let mut pooled: BTreeMap<String, Latencies> = BTreeMap::new();
    for (name, latencies) in summaries.iter().flat_map(|summary| &summary.latency) {
        pooled.entry(name.clone()).or_default().merge(latencies);
    }
    pooled
}
