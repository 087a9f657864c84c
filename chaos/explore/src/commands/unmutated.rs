//! Trials without a mutant: what those with one are held against.

use std::collections::{BTreeMap, BTreeSet};

use miette::Report;
use nexus_commands::switch;
use nexus_reports::{Diff, Growth, RunRecord, ScenarioDiff, TrialRecord};
use nexus_scenario::{Scenario, Tier};

use super::{Context, bench::draw, sim::assemble};
use crate::{TrialOutput, TrialRequest, run_batch};

/// A scenario that reaches some mutants.
pub(super) struct Ground {
    pub tier: Tier,
    pub scenario: Scenario,
    pub reached: BTreeSet<usize>,
    pub aws_calls: u64,
}

impl Ground {
    /// One trial; `word` switches a mutant on, or has the switches noted that the trial passes.
    pub fn request(&self, seed: u64, word: Option<&str>) -> Result<TrialRequest, Report> {
        draw(self.tier, &self.scenario, seed, word)
    }
}

/// The word that switches a mutant on.
pub(super) fn word(number: usize) -> String {
    format!("{}{number}", switch::MUTANT)
}

/// Trials of the build with every mutant off, each played once.
#[derive(Default)]
pub(super) struct Unmutated {
    played: BTreeMap<(String, u64), TrialOutput>,
}

impl Unmutated {
    pub fn keep(&mut self, scenario: &str, mut output: TrialOutput) {
        output.trace = None;
        output.record.series.clear();
        self.played.insert((scenario.to_owned(), output.record.seed), output);
    }

    /// Plays what was not played yet.
    pub fn play(&mut self, wanted: &[(&Ground, u64)], jobs: usize, context: &Context) -> Result<(), Report> {
        let mut requests = Vec::new();
        for (ground, seed) in wanted {
            if !self.played.contains_key(&(ground.scenario.name.clone(), *seed)) {
                requests.push(ground.request(*seed, None)?);
            }
        }
        let outputs = run_batch(&requests, jobs, &context.stop, |_, _| {});
        for (request, output) in requests.iter().zip(outputs) {
            if let Some(output) = output {
                self.keep(&request.trial.scenario, output);
            }
        }
        Ok(())
    }

    /// Whether the trial took another course than without the mutant. Its hash is over every call, message, stored item and
    /// metric. `None` if that was not played.
    pub fn differs(&self, scenario: &str, record: &TrialRecord) -> Option<bool> {
        let twin = self.played.get(&(scenario.to_owned(), record.seed))?;
        Some(twin.record.trace_hash != record.trace_hash)
    }

    /// In what the trials with a mutant are worse than their twins, by what `report diff` calls so; each with its numbers.
    pub fn worsened(
        &self,
        ground: &Ground,
        requests: &[TrialRequest],
        mutated: Vec<Option<TrialOutput>>,
        context: &Context,
    ) -> BTreeMap<String, String> {
        let twin =
            |request: &TrialRequest| self.played.get(&(request.trial.scenario.clone(), request.trial.seed)).cloned();
        let chosen = [(ground.tier, ground.scenario.clone())];
        let before = assemble(&chosen, requests, requests.iter().map(twin).collect(), &[], context);
        let mut after = assemble(&chosen, requests, mutated, &[], context);
        // Or the comparison would take each difference for a divergence.
        after.revision.push_str("+mutant");
        let mut worse = worse_in(&before.diff(&after));
        worse.extend(missed(&before, &after));
        worse
    }
}

/// What AWS itself takes for a call is drawn anew wherever the course of a trial changes: that is nothing of the mutant's.
fn worse_in(diff: &Diff) -> BTreeMap<String, String> {
    let is_of_aws = |growth: &Growth| matches!(growth, Growth::Latency(it) if it.latency.starts_with("aws:"));
    let growths = diff.scenarios.iter().flat_map(ScenarioDiff::growths).filter(|growth| !is_of_aws(growth));
    growths.map(|growth| (growth.to_string(), format!("{growth} {:+.0} %", 100.0 * growth.change()))).collect()
}

/// Objectives that were held and no longer are.
fn missed(before: &RunRecord, after: &RunRecord) -> Vec<(String, String)> {
    let objectives = |run: &RunRecord| run.scenarios.iter().flat_map(|it| it.objectives.clone()).collect::<Vec<_>>();
    let pairs = objectives(before).into_iter().zip(objectives(after));
    pairs
        .filter(|(before, after)| before.held && !after.held)
        .map(|(_, after)| {
            let what = format!("objective on {} in {}", after.latency, after.phase);
            let measured = after.measured_ms.map_or("not measured".to_owned(), |ms| format!("{ms:.0} ms"));
            (what.clone(), format!("{what}: {measured} of {:.0}", after.limit_ms))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use nexus_reports::{Latencies, PhaseHistogram, ScenarioRecord, Verdict};

    use super::*;

    fn record(revision: &str, gets: u64) -> RunRecord {
        let mut record = RunRecord::new(revision, "turmoil", "sim");
        let trial = |seed: u64| {
            let mut trial = TrialRecord::new(seed, Verdict::Held, "");
            let mut took = Latencies::new();
            took.record_many_us(3_000, gets + seed);
            let phase = PhaseHistogram { phase: "nominal".to_owned(), histogram: took.encode() };
            trial.latency.insert("aws:GetItem".to_owned(), vec![phase]);
            trial
        };
        record.scenarios = vec![ScenarioRecord {
            name: "s".to_owned(),
            engine: "turmoil".to_owned(),
            tier: nexus_reports::Tier::Fast,
            description: String::new(),
            trials: (1..=6).map(trial).collect(),
            objectives: Vec::new(),
        }];
        record
    }

    #[test]
    fn more_calls_are_told_and_fewer_are_not() {
        let worse = |before, after| worse_in(&record("a", before).diff(&record("b", after)));
        let told: Vec<String> = worse(100, 150).into_values().collect();
        assert_eq!(told, ["calls of GetItem +48 %"]);
        assert!(worse(150, 100).is_empty());
        assert!(worse(100, 100).is_empty());
    }

    #[test]
    fn a_trial_is_held_against_its_twin() {
        let output = |seed, hash: &str| TrialOutput {
            record: TrialRecord::new(seed, Verdict::Held, hash),
            violations: Vec::new(),
            features: Vec::new(),
            trace: None,
        };
        let mut unmutated = Unmutated::default();
        unmutated.keep("s", output(1, "same"));
        let differs = |scenario, seed, hash| unmutated.differs(scenario, &output(seed, hash).record);
        assert_eq!(differs("s", 1, "same"), Some(false));
        assert_eq!(differs("s", 1, "other"), Some(true));
        assert_eq!(differs("s", 2, "same"), None, "its twin was not played");
        assert_eq!(differs("t", 1, "same"), None);
    }
}
