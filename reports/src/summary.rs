//! The whole run in one small JSON object, for scripts and CI.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    aggregate::{DeadLetterSummary, ScenarioSummary, Tally, objective_verdict},
    coverage::coverage_table,
    dead_letters::DeadLetterAccount,
    json::WriteError,
    latencies::Latencies,
    model::{Determinism, RunRecord, Verdict, round_to_six_decimals},
    totals::{faults_over, latency_over},
};

/// A run with a greater share of inconclusive trials has not shown enough to say that it held.
pub const INCONCLUSIVE_SHARE_LIMIT: f64 = 0.10;

/// What a run came to, with the exit code that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Held,
    Broken,
    /// A trial run again gave another trace hash. It outranks a broken check, since no verdict of such a run can be replayed.
    Diverged,
    /// No trial at all, too great a share of inconclusive ones, or an objective that nothing measured.
    Inconclusive,
}

impl Outcome {
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Held => 0,
            Outcome::Broken => 1,
            Outcome::Diverged => 3,
            Outcome::Inconclusive => 4,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Held => "held",
            Outcome::Broken => "broken",
            Outcome::Diverged => "diverged",
            Outcome::Inconclusive => "inconclusive",
        }
    }
}

/// The run in short. Its fields and their names are what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub trials: u64,
    pub passed: u64,
    pub failed: u64,
    pub inconclusive: u64,
    pub determinism: Determinism,
    /// How often each kind of fault fired; a kind that was planned and never fired is there with 0.
    pub faults_fired: BTreeMap<String, u64>,
    pub latency: BTreeMap<String, LatencySummary>,
    pub aws_calls: u64,
    pub simulated_s: f64,
    /// Of the run, not the sum over its trials, which overlap.
    pub wall_s: f64,
    pub bugs: Vec<String>,
    /// Latency of routing by phase, over all scenarios; empty if none was measured.
    pub routing: BTreeMap<String, RoutingSummary>,
    /// Over all scenarios; `null` if no trial kept an account.
    pub dead_letters: Option<DeadLetterTotals>,
    pub coverage: CoverageSummary,
}

/// From an event's commit to its durable acceptance by Kinesis, in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RoutingSummary {
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p999_ms: Option<f64>,
    /// Of the part that our own code added; `null` if the trials did not tell the parts apart.
    pub ours_p99_ms: Option<f64>,
}

/// The dead-letter accounts of all trials, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetterTotals {
    #[serde(flatten)]
    pub account: DeadLetterAccount,
    /// Whether the account of every single trial balances.
    pub balances: bool,
}

/// How many documented behaviours of AWS there are in the record, and how many of them a trial met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageSummary {
    pub rows: usize,
    pub covered: usize,
}

/// A latency over all scenarios, phases and trials. All `null` if nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencySummary {
    pub count: u64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p999_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

impl From<&Latencies> for LatencySummary {
    fn from(latencies: &Latencies) -> Self {
        Self {
            count: latencies.count(),
            p50_ms: latencies.p50_ms(),
            p99_ms: latencies.p99_ms(),
            p999_ms: latencies.p999_ms(),
            max_ms: latencies.max_ms(),
        }
    }
}

impl Summary {
    pub(crate) fn of(record: &RunRecord, scenarios: &[ScenarioSummary]) -> Self {
        let tally = tally_over(scenarios);
        let mut faults_fired: BTreeMap<String, u64> = BTreeMap::new();
        for fault in faults_over(scenarios) {
            *faults_fired.entry(fault.kind).or_default() += fault.firings;
        }
        Self {
            trials: tally.total(),
            passed: tally.held,
            failed: tally.broken,
            inconclusive: tally.inconclusive,
            determinism: record.determinism,
            faults_fired,
            latency: latency_over(scenarios).iter().map(|(name, latencies)| (name.clone(), latencies.into())).collect(),
            aws_calls: scenarios.iter().map(|scenario| scenario.aws_calls).sum(),
            simulated_s: round_to_six_decimals(scenarios.iter().map(|scenario| scenario.simulated_s).sum()),
            wall_s: round_to_six_decimals(record.wall_s),
            bugs: record.bug_files(),
            routing: routing_by_phase(scenarios),
            dead_letters: dead_letters_over(scenarios)
                .map(|total| DeadLetterTotals { account: total.account, balances: total.balances() }),
            coverage: {
                let table = coverage_table(record);
                CoverageSummary { rows: table.rows.len(), covered: table.covered() }
            },
        }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> Result<String, WriteError> {
        serde_json::to_string(self).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
    }
}

impl Outcome {
    pub(crate) fn of(record: &RunRecord, scenarios: &[ScenarioSummary]) -> Self {
        let tally = tally_over(scenarios);
        let objectives: Vec<Verdict> =
            scenarios.iter().flat_map(|scenario| &scenario.objectives).map(objective_verdict).collect();
        let too_many_inconclusive = tally.inconclusive as f64 > INCONCLUSIVE_SHARE_LIMIT * tally.total() as f64;
        if record.determinism.diverged > 0 {
            Outcome::Diverged
        } else if tally.broken > 0 || objectives.contains(&Verdict::Broken) {
            Outcome::Broken
        } else if tally.total() == 0 || too_many_inconclusive || objectives.contains(&Verdict::Inconclusive) {
            Outcome::Inconclusive
        } else {
            Outcome::Held
        }
    }
}

impl RunRecord {
    /// Every bug file that the run names, without repetition, in order.
    pub fn bug_files(&self) -> Vec<String> {
        let trials = self.scenarios.iter().flat_map(|scenario| &scenario.trials);
        let of_trials = trials.filter_map(|trial| trial.bug_file.clone());
        of_trials.chain(self.bugs.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn routing_by_phase(scenarios: &[ScenarioSummary]) -> BTreeMap<String, RoutingSummary> {
    let mut pooled: BTreeMap<&str, (Latencies, Latencies)> = BTreeMap::new();
    for scenario in scenarios {
        for step in scenario.way_of_an_event().into_iter().filter(|step| step.latency == "routing") {
            let (whole, own) = pooled.entry(step.phase).or_default();
            whole.merge(step.latencies);
            step.shares.into_iter().for_each(|shares| own.merge(&shares.own));
        }
    }
    let summary = |(phase, (whole, own)): (&str, (Latencies, Latencies))| {
        let routing = RoutingSummary {
            p50_ms: whole.p50_ms(),
            p99_ms: whole.p99_ms(),
            p999_ms: whole.p999_ms(),
            ours_p99_ms: own.p99_ms(),
        };
        (phase.to_owned(), routing)
    };
    pooled.into_iter().map(summary).collect()
}

fn dead_letters_over(scenarios: &[ScenarioSummary]) -> Option<DeadLetterSummary> {
    let mut total: Option<DeadLetterSummary> = None;
    for summary in scenarios.iter().filter_map(|scenario| scenario.dead_letters.as_ref()) {
        total.get_or_insert_default().add(summary);
    }
    total
}

pub(crate) fn tally_over(scenarios: &[ScenarioSummary]) -> Tally {
    let mut tally = Tally::default();
    for scenario in scenarios {
        tally.add(scenario.trials);
    }
    tally
}
