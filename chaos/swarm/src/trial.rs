//! A trial is data: running it is a pure function of what stands here.

use nexus_cloud::Assumptions;
use nexus_faults::{EnvironmentFault, Fault, PlannedFault, UnusableTemplate};
use nexus_scenario::{Bus, Network, Phases, Registry, Scenario, Schedule, Service, Tier, Topology};
use nexus_workload::{Action, Workload};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::budget;

/// The version of the trial's format; it grows with every change of a field. A new field whose absence means what trials meant
/// before it is no such change.
pub const TRIAL_FORMAT_VERSION: u32 = 2;

/// Everything that decides what happens in one run of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    pub format_version: u32,
    pub scenario: String,
    pub tier: Tier,
    /// `turmoil` or `madsim`.
    pub engine: String,
    /// Seeds the world: schedule, latencies, entropy of every host.
    pub seed: u64,
    pub topology: Topology,
    #[serde(default)]
    pub bus: Bus,
    #[serde(default)]
    pub registry: Registry,
    pub service: Service,
    pub network: Network,
    #[serde(default, skip_serializing_if = "Schedule::is_engines_own")]
    pub schedule: Schedule,
    pub phases: Phases,
    pub workload: Workload,
    pub faults: Vec<PlannedFault>,
    pub assumptions: Assumptions,
    /// The planted bug that the system under test was told to have; none in a real trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted_bug: Option<String>,
}

impl Trial {
    /// Draws the trial of one seed: the workload first, then each family of faults from a stream of its own, so that a
    /// family added to a scenario leaves the others as they were.
    ///
    /// # Errors
    /// If a fault template does not fit the scenario's topology.
    pub fn draw(tier: Tier, scenario: &Scenario, engine: &str, seed: u64) -> Result<Trial, UnusableTemplate> {
        let workload = scenario.workload.generate(seed);
        Self::with_workload(tier, scenario, engine, seed, workload)
    }

    /// As [`Trial::draw`], with a workload from elsewhere (a user's recording).
    ///
    /// # Errors
    /// If a fault template does not fit the scenario's topology.
    pub fn with_workload(
        tier: Tier,
        scenario: &Scenario,
        engine: &str,
        seed: u64,
        workload: Workload,
    ) -> Result<Trial, UnusableTemplate> {
        let mut phases = scenario.phases.clone();
        let last_arrival_ms = workload.operations.last().map_or(0, |operation| operation.at_ms);
        // A recording may be longer than the scenario: the last phase with customers grows.
        phases.heal_ms += last_arrival_ms.saturating_sub(phases.arrivals_end_ms());
        let context = scenario.template_context(command_keys(&workload));
        let mut faults = Vec::new();
        for (family, template) in scenario.faults.iter().enumerate() {
            let mut runner = seeded_runner(seed, &format!("faults/{family}"));
            let drawn = template
                .strategy(&context)?
                .new_tree(&mut runner)
                .map_err(|reason| UnusableTemplate { field: "faults", problem: reason.to_string() })?
                .current();
            for fault in drawn {
                faults.push(PlannedFault { id: faults.len() as u32 + 1, fault });
            }
        }
        untangle_outages(&mut faults);
        Ok(Trial {
            format_version: TRIAL_FORMAT_VERSION,
            scenario: scenario.name.clone(),
            tier,
            engine: engine.to_owned(),
            seed,
            topology: scenario.topology.clone(),
            bus: scenario.bus.clone(),
            registry: scenario.registry.clone(),
            service: scenario.service.clone(),
            network: scenario.network.clone(),
            schedule: scenario.schedule.clone(),
            phases,
            workload,
            faults,
            assumptions: Assumptions::default(),
            planted_bug: None,
        })
    }
}

/// A crash inside a longer outage of the same host would change nothing and never fire. Such a pair swaps its ends: the
/// host is down for as long as before, and both faults act.
pub(crate) fn untangle_outages(faults: &mut [PlannedFault]) {
    let mut order: Vec<usize> = (0..faults.len()).filter(|index| outage(&mut faults[*index]).is_some()).collect();
    order.sort_by_key(|index| faults[*index].window_ms().0);
    for position in 1..order.len() {
        for earlier in 0..position {
            let [one, two] = [order[earlier], order[position]];
            let Ok([one, two]) = faults.get_disjoint_mut([one, two]) else { continue };
            let (Some(first), Some(second)) = (outage(one), outage(two)) else { continue };
            let (first_end, second_end) = (first.at_ms + *first.down_ms, second.at_ms + *second.down_ms);
            if first.host == second.host && second.at_ms <= first_end && second_end <= first_end {
                // Equal ends would leave the second without an effect again.
                *first.down_ms = second_end.min(first_end.saturating_sub(1)).max(second.at_ms) - first.at_ms;
                *second.down_ms = first_end.max(second.at_ms + 1) - second.at_ms;
            }
        }
    }
}

struct Outage<'f> {
    host: &'f str,
    at_ms: u64,
    down_ms: &'f mut u64,
}

fn outage(planned: &mut PlannedFault) -> Option<Outage<'_>> {
    match &mut planned.fault {
        Fault::Environment(EnvironmentFault::Crash { host, at_ms, down_ms }) => {
            Some(Outage { host, at_ms: *at_ms, down_ms })
        }
        _ => None,
    }
}

/// A proptest runner whose every draw follows from (seed, purpose).
pub fn seeded_runner(seed: u64, purpose: &str) -> TestRunner {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    let key: [u8; 32] = hasher.finalize().into();
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &key))
}

impl Trial {
    /// The keys at which faults of this trial may be aimed.
    pub fn command_keys(&self) -> Vec<String> {
        command_keys(&self.workload)
    }

    /// The trial with these faults, numbered anew from 1, inside their budget and none of them without an effect.
    pub(crate) fn with_faults(mut self, faults: Vec<Fault>) -> Trial {
        let number = |(index, fault)| PlannedFault { id: index as u32 + 1, fault };
        self.faults =
            budget::within(faults, self.phases.chaos_window_ms()).into_iter().enumerate().map(number).collect();
        untangle_outages(&mut self.faults);
        self
    }
}

/// The keys by which the planned commands show in AWS calls: those of their idempotency records.
fn command_keys(workload: &Workload) -> Vec<String> {
    let mut keys: Vec<String> = workload
        .operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Command { idempotency_key, .. } => Some(format!("nexus-idempotency/{idempotency_key}")),
            _ => None,
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(id: u32, host: &str, at_ms: u64, down_ms: u64) -> PlannedFault {
        PlannedFault { id, fault: Fault::Environment(EnvironmentFault::Crash { host: host.into(), at_ms, down_ms }) }
    }

    #[test]
    fn no_crash_lies_inside_a_longer_outage_of_its_host() {
        for (given, wanted) in [
            (vec![("a", 100, 50), ("a", 200, 50)], vec![(100, 150), (200, 250)]),
            (vec![("a", 100, 100), ("a", 150, 100)], vec![(100, 200), (150, 250)]),
            (vec![("a", 100, 100), ("a", 120, 30)], vec![(100, 150), (120, 200)]),
            (vec![("a", 120, 30), ("a", 100, 100)], vec![(120, 200), (100, 150)]),
            (vec![("a", 100, 100), ("a", 120, 80)], vec![(100, 199), (120, 200)]),
            (vec![("a", 100, 100), ("b", 120, 30)], vec![(100, 200), (120, 150)]),
        ] {
            let mut faults: Vec<PlannedFault> =
                given.iter().map(|(host, at_ms, down_ms)| crash(1, host, *at_ms, *down_ms)).collect();
            untangle_outages(&mut faults);
            let windows: Vec<(u64, u64)> = faults.iter().map(PlannedFault::window_ms).collect();
            assert_eq!(windows, wanted, "{given:?}");
        }
    }
}
