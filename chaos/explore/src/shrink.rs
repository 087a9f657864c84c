//! Shrinking: delta debugging over the trial's data, keeping the failure for the same reason.

use std::sync::atomic::AtomicBool;

use nexus_reports::Verdict;
use nexus_workload::PlannedOperation;

use crate::{
    batch::run_batch,
    child::{TrialOutput, TrialRequest},
    replay::broken_checks,
    trial::Trial,
};

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
    /// The check that must go on breaking: another failure would be another bug.
    pub check: String,
    pub jobs: usize,
    pub stop: &'a AtomicBool,
    /// Told after every improvement: operations and faults left.
    pub on_progress: &'a dyn Fn(usize, usize),
    trials_run: u64,
    best: Option<(Trial, TrialOutput)>,
}

impl<'a> Shrinker<'a> {
    pub fn new(check: String, jobs: usize, stop: &'a AtomicBool, on_progress: &'a dyn Fn(usize, usize)) -> Self {
        Self { check, jobs, stop, on_progress, trials_run: 0, best: None }
    }

    /// Makes the trial as small as it gets: no fault and no operation can be removed by itself any more. None if the trial
    /// does not break the check at all.
    pub fn shrink(mut self, trial: &Trial) -> Option<Shrunk> {
        self.first_that_breaks(vec![trial.clone()])?;
        loop {
            let before = self.size();
            self.minimise_faults();
            self.minimise_operations();
            self.simplify_world();
            // Fewer operations may make more faults superfluous, and the other way round.
            if self.size() == before {
                break;
            }
        }
        let (trial, output) = self.best?;
        // The trace of the smaller trial is wanted in its report.
        let request = TrialRequest { trial: trial.clone(), want_trace: true };
        let output = run_batch(&[request], 1, self.stop, |_, _| {}).pop().flatten().unwrap_or(output);
        Some(Shrunk { trial, output, trials_run: self.trials_run })
    }

    fn size(&self) -> (usize, usize, u64) {
        self.best.as_ref().map_or((0, 0, 0), |(trial, _)| {
            (trial.workload.operations.len(), trial.faults.len(), trial.phases.end_ms())
        })
    }

    fn current(&self) -> Trial {
        self.best.as_ref().map(|(trial, _)| trial.clone()).expect("shrinking starts from a trial that breaks")
    }

    fn minimise_faults(&mut self) {
        let all = self.current().faults;
        self.delta_debug(all, |trial, faults| Trial { faults, ..trial });
    }

    fn minimise_operations(&mut self) {
        let all: Vec<PlannedOperation> = self.current().workload.operations;
        self.delta_debug(all, |mut trial, operations| {
            trial.workload.operations = operations;
            trial
        });
    }

    /// Ddmin with complements: tries to do without each of ever smaller chunks. Candidates of one round run side by side;
    /// the first (in order) that still breaks wins, so that the result does not depend on which process was faster.
    fn delta_debug<T: Clone>(&mut self, mut items: Vec<T>, rebuild: impl Fn(Trial, Vec<T>) -> Trial) {
        if self.first_that_breaks(vec![rebuild(self.current(), Vec::new())]).is_some() {
            return;
        }
        let mut chunks = 2.min(items.len());
        while chunks >= 2 && items.len() >= 2 {
            let candidates: Vec<Vec<T>> = (0..chunks).map(|chunk| without_chunk(&items, chunk, chunks)).collect();
            let trials = candidates.iter().map(|left| rebuild(self.current(), left.clone())).collect();
            match self.first_that_breaks(trials) {
                Some(winner) => {
                    items = candidates[winner].clone();
                    chunks = (chunks - 1).max(2).min(items.len());
                }
                None if chunks >= items.len() => return,
                None => chunks = (chunks * 2).min(items.len()),
            }
        }
    }

    /// A shorter and smaller world, where the failure allows.
    fn simplify_world(&mut self) {
        let trial = self.current();
        let mut candidates = Vec::new();
        if trial.topology.command_services > 1 && trial.faults.iter().all(|planned| !names_second_service(planned)) {
            let mut smaller = trial.clone();
            smaller.topology.command_services = 1;
            candidates.push(smaller);
        }
        let last_arrival_ms = trial.workload.operations.last().map_or(0, |operation| operation.at_ms);
        let last_fault_ms = trial.faults.iter().map(|planned| planned.window_ms().1).max().unwrap_or(0);
        let needed_ms = last_arrival_ms.max(last_fault_ms.min(trial.phases.chaos_window_ms().1)) + 1;
        if needed_ms < trial.phases.arrivals_end_ms() {
            let mut shorter = trial.clone();
            // The windows of faults stay where they are; only the empty end of the trial goes.
            shorter.phases.heal_ms = 0;
            shorter.phases.nominal_ms = shorter.phases.nominal_ms.min(needed_ms);
            shorter.phases.chaos_ms = needed_ms - shorter.phases.nominal_ms;
            candidates.push(shorter);
        }
        self.first_that_breaks(candidates);
    }

    /// Runs the candidates and keeps the first that breaks the check; returns its position.
    fn first_that_breaks(&mut self, candidates: Vec<Trial>) -> Option<usize> {
        let requests: Vec<TrialRequest> =
            candidates.iter().map(|trial| TrialRequest { trial: trial.clone(), want_trace: false }).collect();
        self.trials_run += requests.len() as u64;
        let outputs = run_batch(&requests, self.jobs, self.stop, |_, _| {});
        let winner = outputs.iter().position(|output| {
            output.as_ref().is_some_and(|output| {
                output.record.verdict == Verdict::Broken && broken_checks(output).contains(&self.check)
            })
        })?;
        let output = outputs.into_iter().nth(winner).flatten()?;
        let trial = candidates.into_iter().nth(winner)?;
        (self.on_progress)(trial.workload.operations.len(), trial.faults.len());
        self.best = Some((trial, output));
        Some(winner)
    }
}

/// Whether the fault is about a host that a world with one command service does not have.
fn names_second_service(planned: &nexus_faults::PlannedFault) -> bool {
    let beyond_first = |host: &str| host.starts_with("orders-") && host != "orders-1";
    match &planned.fault {
        nexus_faults::Fault::Call { address, .. } => address.host.as_deref().is_some_and(beyond_first),
        nexus_faults::Fault::Environment(fault) => fault.hosts().into_iter().any(beyond_first),
    }
}

fn without_chunk<T: Clone>(items: &[T], chunk: usize, chunks: usize) -> Vec<T> {
    let from = items.len() * chunk / chunks;
    let until = items.len() * (chunk + 1) / chunks;
    items[..from].iter().chain(&items[until..]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once() {
        let items: Vec<u32> = (0..10).collect();
        for chunks in 1..=10 {
            let removed: usize =
                (0..chunks).map(|chunk| items.len() - without_chunk(&items, chunk, chunks).len()).sum();
            assert_eq!(removed, items.len(), "{chunks}");
        }
    }
}
