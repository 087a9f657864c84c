//! `bench bugs`, for bugs that make the system slower and nothing else: no check breaks, the comparison of two runs must tell.

use std::path::Path;

use miette::Report;
use nexus_reports::{PairedVerdict, RunRecord, Verdict};
use nexus_scenario::{Scenario, Tier};

use super::{
    Context, bench,
    sim::{assemble, write_reports},
};
use crate::{TrialOutput, TrialRequest, run_batch};

/// Seeds after which the runs are first compared; twice as many the next time.
const SEEDS_FIRST: u64 = 5;

/// Two runs over the same seeds: without the bug, and with it.
pub(super) struct Comparison<'a> {
    pub(super) bug: &'a str,
    /// The latency of which our own share must grow.
    pub(super) latency: &'a str,
    pub(super) scenario: &'a (Tier, Scenario),
}

/// What the comparison said.
pub(super) struct Found {
    /// Our own share before and after; `None` while nothing grew.
    pub(super) growth: Option<String>,
    /// Seeds that both runs played.
    pub(super) seeds: u64,
    /// The record of the run with the bug; that of the run without is in the folder beside it.
    pub(super) record: String,
}

impl Comparison<'_> {
    /// Plays more seeds as long as our own share of the latency has not grown beyond what chance explains.
    ///
    /// # Errors
    /// A trial cannot be drawn, or the records cannot be written.
    pub(super) fn hunt(&self, seeds_max: u64, jobs: usize, context: &Context, out: &Path) -> Result<Found, Report> {
        let (mut without, mut with) = (Run::new(self.scenario, None), Run::new(self.scenario, Some(self.bug)));
        let mut seeds = SEEDS_FIRST.min(seeds_max);
        loop {
            let before = without.play_until(seeds, jobs, context)?;
            let after = with.play_until(seeds, jobs, context)?;
            let growth = self.growth(&before, &after);
            if growth.is_some() || seeds >= seeds_max || context.is_stopped() {
                let folder = out.join(format!("slow-{}", self.bug));
                write_reports(&before, &folder.join("before"))?;
                let page = write_reports(&after, &folder.join("after"))?;
                return Ok(Found { growth, seeds, record: context.shown(&page.with_file_name("record.json")) });
            }
            seeds = (seeds * 2).min(seeds_max);
        }
    }

    /// `None`, too, where a check broke: what goes wrong says nothing about the time that what goes right takes.
    fn growth(&self, before: &RunRecord, after: &RunRecord) -> Option<String> {
        let mut trials = [before, after].into_iter().flat_map(|run| &run.scenarios).flat_map(|it| &it.trials);
        if trials.any(|trial| trial.verdict == Verdict::Broken) {
            return None;
        }
        let diff = before.diff(after);
        let mut shares = diff.scenarios.iter().flat_map(|scenario| &scenario.own_share);
        let grown = shares.find(|share| share.latency == self.latency && share.verdict == PairedVerdict::Grew)?;
        Some(format!(
            "own share of {} in {}, {}: {:.1} -> {:.1} ms ({:+.0} %)",
            grown.latency,
            grown.phase,
            grown.statistic.as_str(),
            grown.before_ms,
            grown.after_ms,
            grown.change * 100.0
        ))
    }
}

/// One of the two runs.
struct Run<'a> {
    scenario: &'a (Tier, Scenario),
    bug: Option<&'a str>,
    requests: Vec<TrialRequest>,
    outputs: Vec<Option<TrialOutput>>,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a (Tier, Scenario), bug: Option<&'a str>) -> Self {
        Self { scenario, bug, requests: Vec::new(), outputs: Vec::new() }
    }

    /// Plays the seeds up to this one that were not played yet; the record is of all of them.
    fn play_until(&mut self, seeds: u64, jobs: usize, context: &Context) -> Result<RunRecord, Report> {
        let (tier, scenario) = self.scenario;
        let played = self.requests.len();
        for seed in played as u64 + 1..=seeds {
            self.requests.push(bench::draw(*tier, scenario, seed, self.bug)?);
        }
        self.outputs.extend(run_batch(&self.requests[played..], jobs, &context.stop, |_, _| {}));
        let outputs = self.outputs.clone();
        let mut record = assemble(std::slice::from_ref(self.scenario), &self.requests, outputs, &[], context);
        if let Some(bug) = self.bug {
            // Or `report diff` would take the difference for a divergence.
            record.revision = format!("{}+{bug}", record.revision);
        }
        Ok(record)
    }
}
