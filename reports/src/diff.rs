//! Two runs compared: what broke, what was mended, what became slower.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    aggregate::{ScenarioSummary, seeds_in_words},
    format::{self, printable},
    json::WriteError,
    latencies::Latencies,
    model::{RunRecord, ScenarioRecord, Verdict, round_to_six_decimals},
    tables::{Table, Tone, number, plain, text, toned},
    terminal::{Pen, TerminalOptions},
};

/// A percentile that moved by less than this share of itself is not called a change, even if chance cannot explain it.
pub const NOTABLE_CHANGE: f64 = 0.05;

/// Nor is a change of less than this.
pub const NOTABLE_CHANGE_MS: f64 = 0.1;

/// For the part that our own code added, this is the least change: it lies far below what AWS takes, so that a slowdown of it
/// would drown in the whole.
pub const NOTABLE_OWN_CHANGE_MS: f64 = 0.01;

/// A percentile is compared only if so many operations lie beyond it in both runs: fewer make it a matter of chance.
const FEWEST_BEYOND: f64 = 10.0;

/// Standard errors of a percentile's rank that chance is granted in either run. Operations of one trial are not
/// independent, and many percentiles are compared: two would cry wolf.
const GRANTED_ERRORS: f64 = 3.0;

const COMPARED_PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

const COMPARED_PERCENTILES_OF_OWN_PART: [f64; 2] = [50.0, 99.0];

/// How one run differs from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    pub before: RunName,
    pub after: RunName,
    /// Only scenarios that both runs have.
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
        let names = |record: &RunRecord| -> BTreeSet<String> {
            record.scenarios.iter().map(|scenario| scenario.name.clone()).collect()
        };
        let (names_before, names_after) = (names(self), names(after));
        let in_both = |scenario: &ScenarioRecord| {
            let twin = after.scenarios.iter().find(|other| other.name == scenario.name)?;
            Some(scenario_diff(scenario, twin))
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

    fn in_words(&self) -> String {
        format!("{} on {} ({})", printable(&self.revision), printable(&self.engine), printable(&self.profile))
    }
}

fn scenario_diff(before: &ScenarioRecord, after: &ScenarioRecord) -> ScenarioDiff {
    let pairs: Vec<_> = before
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

impl Diff {
    /// Whether a seed or a check broke that had not, a trial diverged at the same revision, or a latency or our
    /// own part of it grew notably.
    pub fn is_worse(&self) -> bool {
        self.scenarios.iter().any(|scenario| {
            !scenario.newly_broken.is_empty()
                || !scenario.checks_newly_broken.is_empty()
                || (self.is_same_build() && !scenario.other_traces.is_empty())
                || scenario.latency.iter().any(|latency| latency.notable && latency.change > 0.0)
        })
    }

    /// Whether both runs should have played the very same trials.
    pub fn is_same_build(&self) -> bool {
        self.before.revision == self.after.revision && self.before.engine == self.after.engine
    }

    /// The comparison as one line of JSON.
    pub fn to_json(&self) -> Result<String, WriteError> {
        serde_json::to_string(self).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
    }

    /// The comparison as text that ends with a line break.
    pub fn terminal(&self, options: &TerminalOptions) -> String {
        let pen = Pen { colour: options.colour, width: options.width };
        let parts = [
            Some(format!("Before: {}\nAfter:  {}\n", self.before.in_words(), self.after.in_words())),
            pen.section("Scenarios (seeds that both played; seeds that broke or were mended)", &self.scenario_table()),
            pen.section(
                "Latencies that changed, over the seeds that both played (* beyond chance)",
                &self.latency_table(),
            ),
            self.own_regressions_in_words(&pen),
            only_in("Only before", &self.only_before),
            only_in("Only after", &self.only_after),
            Some(self.conclusion().to_owned()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// One sentence for each notable slowdown of our own part, with what became of the whole: the modelled part may hide it there.
    pub fn own_regressions(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for scenario in &self.scenarios {
            for own in scenario.latency.iter().filter(|it| it.part == LatencyPart::Own && it.notable && it.change > 0.0)
            {
                let is_whole = |it: &&LatencyDiff| {
                    it.part == LatencyPart::Whole && it.latency == own.latency && it.percentile == own.percentile
                };
                sentences.push(own_regression(&scenario.name, own, scenario.latency.iter().find(is_whole)));
            }
        }
        sentences
    }

    fn own_regressions_in_words(&self, pen: &Pen) -> Option<String> {
        let lines: Vec<String> =
            self.own_regressions().iter().map(|sentence| format!("  {}\n", printable(sentence))).collect();
        (!lines.is_empty()).then(|| format!("{}\n{}", pen.title("Our own code became slower"), lines.concat()))
    }

    fn conclusion(&self) -> &'static str {
        match (self.is_worse(), self.scenarios.is_empty()) {
            (_, true) => "The runs have no scenario in common.\n",
            (true, _) => "Worse than before.\n",
            (false, _) => "Not worse than before.\n",
        }
    }

    fn scenario_table(&self) -> Table {
        let mut table = Table::new([
            text("scenario"),
            text("before"),
            text("after"),
            number("seeds"),
            text("broke"),
            text("mended"),
            text("checks broken"),
            number("other traces"),
            number("calls a trial"),
        ]);
        for scenario in &self.scenarios {
            let seeds = |seeds: &[u64], tone| match seeds_in_words(seeds.iter().copied(), 4) {
                words if words.is_empty() => plain("–"),
                words => toned(words, tone),
            };
            let diverged = self.is_same_build() && !scenario.other_traces.is_empty();
            let (calls_before, calls_after) = (scenario.aws_calls_per_trial_before, scenario.aws_calls_per_trial_after);
            table.rows.push(vec![
                plain(&scenario.name),
                toned(scenario.verdict_before.as_str(), scenario.verdict_before),
                toned(scenario.verdict_after.as_str(), scenario.verdict_after),
                plain(format::count(scenario.common_seeds)),
                seeds(&scenario.newly_broken, Tone::Bad),
                seeds(&scenario.mended, Tone::Good),
                match scenario.checks_newly_broken.as_slice() {
                    [] => plain("–"),
                    checks => toned(checks.join(", "), Tone::Bad),
                },
                toned(
                    format::count(scenario.other_traces.len() as u64),
                    if diverged { Tone::Bad } else { Tone::Plain },
                ),
                plain(format!(
                    "{} → {}",
                    format::count(calls_before.round() as u64),
                    format::count(calls_after.round() as u64)
                )),
            ]);
        }
        table
    }

    fn latency_table(&self) -> Table {
        let columns = [
            text("scenario"),
            text("latency"),
            text("part"),
            text("percentile"),
            number("before ms"),
            number("after ms"),
            number("change"),
        ];
        let mut table = Table::new(columns);
        for scenario in &self.scenarios {
            for latency in scenario.latency.iter().filter(|latency| latency.change != 0.0) {
                let tone = match (latency.notable, latency.change > 0.0) {
                    (false, _) => Tone::Plain,
                    (true, true) => Tone::Bad,
                    (true, false) => Tone::Good,
                };
                table.rows.push(vec![
                    plain(&scenario.name),
                    plain(&latency.latency),
                    plain(latency.part.as_str()),
                    plain(format::percentile(latency.percentile)),
                    plain(format::milliseconds(Some(latency.before_ms))),
                    plain(format::milliseconds(Some(latency.after_ms))),
                    toned(
                        format!("{:+.1} %{}", 100.0 * latency.change, if latency.notable { " *" } else { "  " }),
                        tone,
                    ),
                ]);
            }
        }
        table
    }
}

/// "steady, routing: our own part grew by 24 % at p50, from 0.52 to 0.64 ms; the whole changed by +2 % and hides it."
fn own_regression(scenario: &str, own: &LatencyDiff, whole: Option<&LatencyDiff>) -> String {
    let [before, after] = [own.before_ms, own.after_ms].map(|ms| format::milliseconds(Some(ms)));
    let grown = format!(
        "{scenario}, {}: our own part grew by {:.0} % at {}, from {before} to {after} ms",
        own.latency,
        100.0 * own.change,
        format::percentile(own.percentile),
    );
    match whole {
        Some(whole) if whole.notable && whole.change > 0.0 => {
            format!("{grown}; the whole grew by {:.0} %.", 100.0 * whole.change)
        }
        Some(whole) => format!("{grown}; the whole changed by {:+.1} % and hides it.", 100.0 * whole.change),
        None => format!("{grown}."),
    }
}

fn only_in(title: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{title}: {}\n", printable(&names.join(", "))))
}
