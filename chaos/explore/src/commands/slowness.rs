//! `bench bugs`, for bugs that make the system slower and nothing else: no check breaks, the comparison of two runs must tell.

use std::{fs, path::Path};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_reports::{OwnVerdict, RunRecord, Verdict};
use nexus_scenario::{Scenario, Tier};

use super::{Context, sim::assemble};
use crate::{Trial, TrialRequest, run_batch};

/// Seeds after which the comparison is first judged; the double next time.
const SEEDS_FIRST: u64 = 5;

/// What the comparison of two runs said.
pub(super) struct Found {
    /// Such as `our own share of routing: 52.1 -> 61.9 ms (+19 %)`; `None` while nothing grew.
    pub(super) what: Option<String>,
    /// Seeds that both runs played.
    pub(super) seeds: u64,
    /// The record of the run with the bug, beside which lies that of the run without.
    pub(super) record: String,
}

/// Plays the same seeds without and with the bug, more of them as long as our own share of `latency` has not grown.
///
/// # Errors
/// A trial cannot be drawn, a check broke although only time should be lost, or the records cannot be written.
pub(super) fn hunt(
    bug: &str,
    latency: &str,
    scenario: &(Tier, Scenario),
    seeds_max: u64,
    jobs: usize,
    context: &Context,
    out: &Path,
) -> Result<Found, Report> {
    let mut runs = [Run::new(scenario, None), Run::new(scenario, Some(bug))];
    let mut seeds = SEEDS_FIRST.min(seeds_max);
    loop {
        let mut records = Vec::new();
        for run in &mut runs {
            records.push(run.play_until(seeds, jobs, context)?);
        }
        let [before, after] = &records[..] else { return Err(miette!("two runs leave two records")) };
        let what = growth(before, after, latency);
        if what.is_some() || seeds >= seeds_max || context.is_stopped() {
            write(before, &out.join(format!("slow-{bug}-before.json")))?;
            let after_path = out.join(format!("slow-{bug}-after.json"));
            write(after, &after_path)?;
            return Ok(Found { what, seeds, record: context.shown(&after_path) });
        }
        seeds = (seeds * 2).min(seeds_max);
    }
}

/// One of the two runs: the same seeds, with or without the bug.
struct Run<'a> {
    scenario: &'a (Tier, Scenario),
    bug: Option<&'a str>,
    requests: Vec<TrialRequest>,
    outputs: Vec<Option<crate::TrialOutput>>,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a (Tier, Scenario), bug: Option<&'a str>) -> Self {
        Self { scenario, bug, requests: Vec::new(), outputs: Vec::new() }
    }

    fn play_until(&mut self, seeds: u64, jobs: usize, context: &Context) -> Result<RunRecord, Report> {
        let engine = nexus_engine::compiled_engine().to_string();
        let (tier, scenario) = self.scenario;
        let played = self.requests.len();
        for seed in played as u64 + 1..=seeds {
            let mut trial =
                Trial::draw(*tier, scenario, &engine, seed).map_err(|error| miette!("{}: {error}", scenario.name))?;
            trial.planted_bug = self.bug.map(str::to_owned);
            self.requests.push(TrialRequest { trial, want_trace: false });
        }
        self.outputs.extend(run_batch(&self.requests[played..], jobs, &context.stop, |_, _| {}));
        let broken = self.outputs.iter().flatten().find(|output| output.record.verdict == Verdict::Broken);
        if let Some(output) = broken {
            let (seed, reason) = (output.record.seed, &output.record.reason);
            return Err(miette!("{} seed {seed} broke, where only time should be lost: {reason}", scenario.name));
        }
        let outputs = self.outputs.clone();
        let mut record = assemble(std::slice::from_ref(self.scenario), &self.requests, outputs, &[], context);
        if let Some(bug) = self.bug {
            // Or `report diff` would take the difference for a divergence.
            record.revision = format!("{}+{bug}", record.revision);
        }
        Ok(record)
    }
}

fn growth(before: &RunRecord, after: &RunRecord, latency: &str) -> Option<String> {
    let diff = before.diff(after);
    let mut shares = diff.scenarios.iter().flat_map(|scenario| &scenario.own_share);
    let grown = shares.find(|share| share.latency == latency && share.verdict == OwnVerdict::Grew)?;
    let percent = grown.change * 100.0;
    let (statistic, phase) = (grown.statistic.as_str(), &grown.phase);
    Some(format!(
        "own share of {latency} in {phase}, {statistic}: {:.1} -> {:.1} ms ({percent:+.0} %)",
        grown.before_ms, grown.after_ms
    ))
}

fn write(record: &RunRecord, path: &Path) -> Result<(), Report> {
    let cannot = || format!("cannot write `{}`", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).into_diagnostic().wrap_err_with(cannot)?;
    fs::write(path, record.to_json().into_diagnostic()?).into_diagnostic().wrap_err_with(cannot)
}
