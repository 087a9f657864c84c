//! Shrinking: delta debugging over the trial's data, keeping the failure for the same reason.

mod ddmin;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use nexus_faults::PlannedFault;
use nexus_reports_story::Story;
use nexus_workload::PlannedOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    batch::run_batch,
    child::{StoryRequest, TrialOutput, TrialRequest, tell_in_child},
    reason::Reason,
    trial::Trial,
};

/// How large a trial is, in what a reader has to take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSize {
    pub operations: usize,
    pub faults: usize,
    pub hosts: usize,
    /// Milliseconds of simulated time until the last customer has come.
    pub arrivals_ms: u64,
}

impl TrialSize {
    pub fn of(trial: &Trial) -> Self {
        Self {
            operations: trial.workload.operations.len(),
            faults: trial.faults.len(),
            hosts: trial.topology.command_services as usize + trial.bus.hosts().len(),
            arrivals_ms: trial.phases.arrivals_end_ms(),
        }
    }
}

impl std::fmt::Display for TrialSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} operations, {} faults, {} hosts, {} ms",
            self.operations, self.faults, self.hosts, self.arrivals_ms
        )
    }
}

/// How a shrink went.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub trial: Trial,
    pub output: TrialOutput,
    /// Trials that were run on the way.
    pub trials_run: u64,
}

/// Searches for smaller trials.
pub struct Shrinker<'a> {
    /// What must go on breaking: another failure would be another bug.
    pub reason: Reason,
    pub jobs: usize,
    pub stop: &'a AtomicBool,
    /// Told after every improvement.
    pub on_progress: &'a dyn Fn(TrialSize),
    trials_run: u64,
    /// Candidates that did not break, by digest: passes over the same trial come back to many of them.
    held: BTreeSet<[u8; 32]>,
    best: Option<(Trial, TrialOutput)>,
}

impl<'a> Shrinker<'a> {
    pub fn new(reason: Reason, jobs: usize, stop: &'a AtomicBool, on_progress: &'a dyn Fn(TrialSize)) -> Self {
        Self { reason, jobs, stop, on_progress, trials_run: 0, held: BTreeSet::new(), best: None }
    }

    /// Makes the trial as small as it gets: no fault, no operation and no host can be taken away by itself any more. None
    /// if the trial does not break for this reason at all.
    pub fn shrink(mut self, trial: &Trial) -> Option<Shrunk> {
        self.first_that_breaks(vec![trial.clone()])?;
        self.leap(trial);
        loop {
            let before = self.current();
            // Faults go first: with fewer of them a trial is quiet sooner, and every later one runs faster.
            self.minimise_faults();
            self.minimise_operations();
            self.simplify_world();
            // Fewer operations may make more faults superfluous, and the other way round.
            if self.current() == before || self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let (trial, output) = self.best?;
        // The trace of the smaller trial is wanted in its report.
        let request = TrialRequest { trial: trial.clone(), want_trace: true };
        let output = run_batch(&[request], 1, self.stop, |_, _| {}).pop().flatten().unwrap_or(output);
        Some(Shrunk { trial, output, trials_run: self.trials_run })
    }

    fn current(&self) -> Trial {
        self.best.as_ref().map(|(trial, _)| trial.clone()).expect("shrinking starts from a trial that breaks")
    }

    /// Tries at once what the causal chain says to be all that matters. It may be wrong, and then costs a few trials.
    fn leap(&mut self, trial: &Trial) {
        let request = StoryRequest { trial: trial.clone(), revision: String::new(), profile: String::new() };
        let Ok(told) = tell_in_child(&request, self.stop) else { return };
        self.trials_run += 1;
        let guesses = guesses(trial, &told.story);
        self.first_that_breaks(guesses);
    }

    fn minimise_faults(&mut self) {
        let trial = self.current();
        let rebuild = |faults: Vec<PlannedFault>| Trial { faults, ..trial.clone() };
        ddmin::minimise(trial.faults.clone(), &mut |candidates| {
            self.first_that_breaks(candidates.into_iter().map(rebuild).collect())
        });
    }

    fn minimise_operations(&mut self) {
        let trial = self.current();
        let rebuild = |operations: Vec<PlannedOperation>| {
            let mut smaller = trial.clone();
            smaller.workload.operations = operations;
            smaller
        };
        ddmin::minimise(trial.workload.operations.clone(), &mut |candidates| {
            self.first_that_breaks(candidates.into_iter().map(rebuild).collect())
        });
    }

    /// A shorter and smaller world, step by step, for as long as the failure allows.
    fn simplify_world(&mut self) {
        while self.first_that_breaks(world::candidates(&self.current())).is_some() {}
    }

    /// Runs the candidates, as many at a time as there are jobs, and keeps the first (in order) that breaks for the same
    /// reason; returns its position. Which process was faster plays no part.
    fn first_that_breaks(&mut self, candidates: Vec<Trial>) -> Option<usize> {
        let digests: Vec<[u8; 32]> = candidates.iter().map(digest).collect();
        let fresh: Vec<usize> = (0..candidates.len()).filter(|index| !self.held.contains(&digests[*index])).collect();
        for wave in fresh.chunks(self.jobs.max(1)) {
            let requests: Vec<TrialRequest> = wave
                .iter()
                .map(|index| TrialRequest { trial: candidates[*index].clone(), want_trace: false })
                .collect();
            self.trials_run += requests.len() as u64;
            let outputs = run_batch(&requests, self.jobs, self.stop, |_, _| {});
            for (index, output) in wave.iter().zip(outputs) {
                // Stopped: nothing is known of it, and of none after it.
                let output = output?;
                if self.reason.is_of(&output) {
                    (self.on_progress)(TrialSize::of(&candidates[*index]));
                    self.best = Some((candidates[*index].clone(), output));
                    return Some(*index);
                }
                self.held.insert(digests[*index]);
            }
        }
        None
    }
}

fn digest(trial: &Trial) -> [u8; 32] {
    // A trial always serialises: it came out of a file or a draw.
    Sha256::digest(serde_json::to_vec(trial).unwrap_or_default()).into()
}

/// Parts of the trial that the chain of its story touches, the smallest first.
fn guesses(trial: &Trial, story: &Story) -> Vec<Trial> {
    let steps: Vec<_> = story.chain.iter().filter_map(|link| story.step(link.step)).collect();
    let operations: BTreeSet<u32> = steps.iter().filter_map(|step| step.operation).collect();
    let aggregates: BTreeSet<&str> = steps.iter().filter_map(|step| step.aggregate.as_deref()).collect();
    let numbers: BTreeSet<u32> = steps.iter().map(|step| step.number).collect();
    let acted = story.faults.iter().filter(|fault| fault.points.iter().any(|point| numbers.contains(&point.step)));
    let in_chain: BTreeSet<u32> = acted.map(|fault| fault.id).collect();
    let fired: BTreeSet<u32> =
        story.faults.iter().filter(|fault| !fault.points.is_empty()).map(|fault| fault.id).collect();
    // Which aggregate an operation is about is known from the steps of its attempts.
    let about: BTreeMap<u32, &str> =
        story.steps.iter().filter_map(|step| Some((step.operation?, step.aggregate.as_deref()?))).collect();
    let of_aggregates = |id: u32| about.get(&id).is_some_and(|aggregate| aggregates.contains(aggregate));
    let last_us = story.violations.first().and_then(|violation| violation.at_us);
    let part = |is_wanted: &dyn Fn(&PlannedOperation) -> bool, faults: &BTreeSet<u32>| {
        let mut smaller = trial.clone();
        smaller.workload.operations.retain(|operation| is_wanted(operation));
        smaller.faults.retain(|planned| faults.contains(&planned.id));
        smaller
    };
    let chain_only = |operation: &PlannedOperation| operations.contains(&operation.id);
    let aggregates_only = |operation: &PlannedOperation| chain_only(operation) || of_aggregates(operation.id);
    let until = |operation: &PlannedOperation| last_us.is_none_or(|last_us| operation.at_ms * 1_000 <= last_us);
    let mut found = vec![
        part(&chain_only, &in_chain),
        part(&aggregates_only, &in_chain),
        part(&aggregates_only, &fired),
        part(&until, &fired),
    ];
    found.retain(|guess| guess != trial);
    found.dedup();
    found
}
