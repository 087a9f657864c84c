//! Two runs compared: what broke, what was mended, what became slower.

mod calls;
mod own;
mod paired;
mod text;

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    aggregate::ScenarioSummary,
    json::WriteError,
    latencies::Latencies,
    model::{RunRecord, ScenarioRecord, TrialRecord, Verdict, round_to_six_decimals},
};

pub use calls::CallsDiff;
pub use own::{OwnShareDiff, OwnStatistic};
pub use paired::{FEWEST_SEEDS, PairedVerdict};

/// A percentile that moved by less than this share of itself is not called a change, even if chance cannot explain it.
pub const NOTABLE_CHANGE: f64 = 0.05;

/// Nor is a change of less than this.
pub const NOTABLE_CHANGE_MS: f64 = 0.1;

/// For the part that our own code added, this is the least change: it lies far below what AWS takes, so that a slowdown of it
/// would drown in the whole.
pub const NOTABLE_OWN_CHANGE_MS: f64 = 0.01;

/// Nor is a change by less than this many calls of an operation in a trial.
pub const NOTABLE_CHANGE_CALLS: f64 = 1.0;

/// A percentile is compared only if so many operations lie beyond it in both runs: fewer make it a matter of chance.
const FEWEST_BEYOND: f64 = 10.0;

/// Standard errors of a percentile's rank that chance is granted in either run. Operations of one trial are not
/// independent, and many percentiles are compared: two would cry wolf.
const GRANTED_ERRORS: f64 = 3.0;

const COMPARED_PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

/// The middle of it is compared seed by seed, see [`OwnShareDiff`].
const COMPARED_PERCENTILES_OF_OWN_PART: [f64; 1] = [99.0];

/// How one run differs from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    pub before: RunName,
    pub after: RunName,
    /// Only scenarios that both runs have, on the same engine.
    pub scenarios: Vec<ScenarioDiff>,
    /// Scenarios that only the one or the other run has.
    pub only_before: Vec<String>,
    pub only_after: Vec<String>,
}

/// Which run it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunName {
    pub revision: String,
    pub engine: String,
    pub profile: String,
}

/// One scenario in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioDiff {
    /// With the engine, where the runs have more than one.
    pub name: String,
    pub verdict_before: Verdict,
    pub verdict_after: Verdict,
    /// Seeds that both runs played.
    pub common_seeds: u64,
    /// Seeds that held or could not tell, and broke afterwards.
    pub newly_broken: Vec<u64>,
    /// Seeds that broke, and held afterwards.
    pub mended: Vec<u64>,
    /// Seeds whose trace hash differs. Natural between revisions; at the same revision and engine a divergence.
    pub other_traces: Vec<u64>,
    /// Checks that broke in the one run only.
    pub checks_newly_broken: Vec<String>,
    pub checks_mended: Vec<String>,
    pub latency: Vec<LatencyDiff>,
    /// Our own share by phase, compared seed by seed.
    pub own_share: Vec<OwnShareDiff>,
    /// Calls of AWS by operation, compared seed by seed.
    pub calls: Vec<CallsDiff>,
    pub aws_calls_per_trial_before: f64,
    pub aws_calls_per_trial_after: f64,
}

/// Which part of a latency is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyPart {
    /// All of it, as the customer feels it.
    Whole,
    /// What the code under test added to it.
    Own,
}

/// One percentile of one latency, or of our own part of it, in both runs, over the seeds that both played.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyDiff {
    pub latency: String,
    pub part: LatencyPart,
    pub percentile: f64,
    pub before_ms: f64,
    pub after_ms: f64,
    /// `after / before - 1`.
    pub change: f64,
    /// Whether the change is large enough to care for, and greater than chance: another revision sends other requests, so that
    /// its draws from the latency model differ.
    pub notable: bool,
}

impl LatencyPart {
    pub fn as_str(self) -> &'static str {
        match self {
            LatencyPart::Whole => "whole",
            LatencyPart::Own => "own",
        }
    }
}

impl RunRecord {
    /// Compares this run with a later one.
    pub fn diff(&self, after: &RunRecord) -> Diff {
        let engines: BTreeSet<&str> = self.engines().into_iter().chain(after.engines()).collect();
        let label = |scenario: &ScenarioRecord| match engines.len() {
            0 | 1 => scenario.name.clone(),
            _ => format!("{} ({})", scenario.name, scenario.engine),
        };
        let labels = |record: &RunRecord| -> BTreeSet<String> { record.scenarios.iter().map(label).collect() };
        let (names_before, names_after) = (labels(self), labels(after));
        let in_both = |scenario: &ScenarioRecord| {
            let twin =
                after.scenarios.iter().find(|it| (&it.name, &it.engine) == (&scenario.name, &scenario.engine))?;
            Some(ScenarioDiff { name: label(scenario), ..scenario_diff(scenario, twin) })
        };
        Diff {
            before: RunName::of(self),
            after: RunName::of(after),
            scenarios: self.scenarios.iter().filter_map(in_both).collect(),
            only_before: names_before.difference(&names_after).cloned().collect(),
            only_after: names_after.difference(&names_before).cloned().collect(),
        }
    }
}

impl RunName {
    fn of(record: &RunRecord) -> Self {
        Self { revision: record.revision.clone(), engine: record.engine.clone(), profile: record.profile.clone() }
    }
}

fn scenario_diff(before: &ScenarioRecord, after: &ScenarioRecord) -> ScenarioDiff {
    let pairs: Vec<(&TrialRecord, &TrialRecord)> = before
        .trials
        .iter()
        .filter_map(|trial| Some((trial, after.trials.iter().find(|other| other.seed == trial.seed)?)))
        .collect();
    let seeds: BTreeSet<u64> = pairs.iter().map(|(trial, _)| trial.seed).collect();
    let seeds_where = |wanted: &dyn Fn(Verdict, Verdict) -> bool| -> Vec<u64> {
        pairs.iter().filter(|(one, other)| wanted(one.verdict, other.verdict)).map(|(one, _)| one.seed).collect()
    };
    let (summary_before, summary_after) = (before.summary(), after.summary());
    let broken = |summary: &ScenarioSummary| -> BTreeSet<String> {
        summary.checks.iter().filter(|check| check.trials.broken > 0).map(|check| check.name.clone()).collect()
    };
    let (broken_before, broken_after) = (broken(&summary_before), broken(&summary_after));
    ScenarioDiff {
        name: before.name.clone(),
        verdict_before: summary_before.verdict(),
        verdict_after: summary_after.verdict(),
        common_seeds: seeds.len() as u64,
        newly_broken: seeds_where(&|one, other| one != Verdict::Broken && other == Verdict::Broken),
        mended: seeds_where(&|one, other| one == Verdict::Broken && other == Verdict::Held),
        other_traces: pairs
            .iter()
            .filter(|(one, other)| one.trace_hash != other.trace_hash)
            .map(|(one, _)| one.seed)
            .collect(),
        checks_newly_broken: broken_after.difference(&broken_before).cloned().collect(),
        checks_mended: broken_before.difference(&broken_after).cloned().collect(),
        latency: latency_diffs(&only(before, &seeds), &only(after, &seeds)),
        own_share: own::share_diffs(&pairs),
        calls: calls::calls_diffs(&pairs),
        aws_calls_per_trial_before: per_trial(&summary_before),
        aws_calls_per_trial_after: per_trial(&summary_after),
    }
}

/// The scenario with only these seeds: other seeds are other trials, and their latencies no comparison.
fn only(scenario: &ScenarioRecord, seeds: &BTreeSet<u64>) -> ScenarioSummary {
    let mut scenario = scenario.clone();
    scenario.trials.retain(|trial| seeds.contains(&trial.seed));
    scenario.summary()
}

fn per_trial(summary: &ScenarioSummary) -> f64 {
    round_to_six_decimals(summary.aws_calls as f64 / summary.trials.total().max(1) as f64)
}

fn latency_diffs(before: &ScenarioSummary, after: &ScenarioSummary) -> Vec<LatencyDiff> {
    let mut diffs = Vec::new();
    for (name, one) in &before.latency {
        if let Some(other) = after.latency.get(name) {
            diffs.extend(part_diffs(name, LatencyPart::Whole, one, other));
        }
        let own =
            |summary: &ScenarioSummary| summary.shares.iter().find(|it| it.latency == *name).map(|it| it.own.clone());
        if let Some((one, other)) = own(before).zip(own(after)) {
            diffs.extend(part_diffs(name, LatencyPart::Own, &one, &other));
        }
    }
    diffs
}

fn part_diffs(latency: &str, part: LatencyPart, before: &Latencies, after: &Latencies) -> Vec<LatencyDiff> {
    let percentiles: &[f64] = match part {
        LatencyPart::Whole => &COMPARED_PERCENTILES,
        LatencyPart::Own => &COMPARED_PERCENTILES_OF_OWN_PART,
    };
    let fewest = before.count().min(after.count()) as f64;
    let is_enough = |percentile: &&f64| fewest * (1.0 - **percentile / 100.0) >= FEWEST_BEYOND;
    let compared = percentiles.iter().filter(is_enough);
    compared.filter_map(|percentile| latency_diff(latency, part, *percentile, before, after)).collect()
}

fn latency_diff(
    latency: &str,
    part: LatencyPart,
    percentile: f64,
    before: &Latencies,
    after: &Latencies,
) -> Option<LatencyDiff> {
    let (before_ms, after_ms) = before.percentile_ms(percentile).zip(after.percentile_ms(percentile))?;
    // Latencies have whole microseconds; a share of a zero one is taken of one microsecond.
    let change = round_to_six_decimals((after_ms - before_ms) / before_ms.max(0.001));
    let ((lowest_before, highest_before), (lowest_after, highest_after)) =
        (likely_range_ms(before, percentile)?, likely_range_ms(after, percentile)?);
    let least_change_ms = match part {
        LatencyPart::Whole => NOTABLE_CHANGE_MS,
        LatencyPart::Own => NOTABLE_OWN_CHANGE_MS,
    };
    let is_beyond_chance = highest_before < lowest_after || highest_after < lowest_before;
    let is_large = change.abs() > NOTABLE_CHANGE && (after_ms - before_ms).abs() > least_change_ms;
    let (latency, notable) = (latency.to_owned(), is_beyond_chance && is_large);
    Some(LatencyDiff { latency, part, percentile, before_ms, after_ms, change, notable })
}

/// Where the percentile of as many latencies as were recorded may lie by chance: the rank of a percentile is binomially
/// distributed, whatever the latencies are.
fn likely_range_ms(latencies: &Latencies, percentile: f64) -> Option<(f64, f64)> {
    let share = percentile / 100.0;
    let granted = 100.0 * GRANTED_ERRORS * (share * (1.0 - share) / latencies.count().max(1) as f64).sqrt();
    latencies.percentile_ms(percentile - granted).zip(latencies.percentile_ms(percentile + granted))
}

/// What a comparison came to, with the exit code that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffOutcome {
    NotWorse,
    /// A seed or a check broke that had not, or a latency, our own share of one or the calls of AWS grew beyond chance.
    Worse,
    /// The same trial of the same revision left another trace: no other difference can be trusted.
    Diverged,
    /// No seed of any scenario was played by both.
    NothingInCommon,
}

impl DiffOutcome {
    pub fn exit_code(self) -> u8 {
        match self {
            DiffOutcome::NotWorse => 0,
            DiffOutcome::Worse => 1,
            DiffOutcome::Diverged => 3,
            DiffOutcome::NothingInCommon => 4,
        }
    }
}

impl Diff {
    /// Whether the later run is worse, and how.
    pub fn outcome(&self) -> DiffOutcome {
        if self.scenarios.iter().all(|scenario| scenario.common_seeds == 0) {
            DiffOutcome::NothingInCommon
        } else if self.is_same_build() && self.scenarios.iter().any(|scenario| !scenario.other_traces.is_empty()) {
            DiffOutcome::Diverged
        } else if self.scenarios.iter().any(ScenarioDiff::is_worse) {
            DiffOutcome::Worse
        } else {
            DiffOutcome::NotWorse
        }
    }

    /// Whether the outcome is that it is worse or diverged.
    pub fn is_worse(&self) -> bool {
        matches!(self.outcome(), DiffOutcome::Worse | DiffOutcome::Diverged)
    }

    /// Whether both runs should have played the very same trials, whatever their profiles: a trace depends on neither.
    pub fn is_same_build(&self) -> bool {
        self.before.revision == self.after.revision
    }

    /// The comparison as one line of JSON.
    ///
    /// # Errors
    /// A number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String, WriteError> {
        serde_json::to_string(self).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
    }
}

/// Something that the later run has more of, beyond chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth<'a> {
    Latency(&'a LatencyDiff),
    OwnShare(&'a OwnShareDiff),
    Calls(&'a CallsDiff),
}

impl Growth<'_> {
    /// `after / before - 1`.
    pub fn change(self) -> f64 {
        match self {
            Growth::Latency(latency) => latency.change,
            Growth::OwnShare(own) => own.change,
            Growth::Calls(calls) => calls.change,
        }
    }
}

/// What it is that grew.
impl fmt::Display for Growth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Growth::Latency(it) => write!(f, "p{} of {} ({})", it.percentile, it.latency, it.part.as_str()),
            Growth::OwnShare(it) => write!(f, "own share of {} in {}", it.latency, it.phase),
            Growth::Calls(it) => write!(f, "calls of {}", it.operation),
        }
    }
}

impl ScenarioDiff {
    pub fn growths(&self) -> impl Iterator<Item = Growth<'_>> {
        let latency = self.latency.iter().filter(|latency| latency.notable && latency.change > 0.0);
        let own_share = self.own_share.iter().filter(|share| share.verdict == PairedVerdict::Grew);
        let calls = self.calls.iter().filter(|calls| calls.verdict == PairedVerdict::Grew);
        latency.map(Growth::Latency).chain(own_share.map(Growth::OwnShare)).chain(calls.map(Growth::Calls))
    }

    fn is_worse(&self) -> bool {
        !self.newly_broken.is_empty() || !self.checks_newly_broken.is_empty() || self.growths().next().is_some()
    }
}
