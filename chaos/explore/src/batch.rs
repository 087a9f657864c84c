//! Many trials on all cores.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use nexus_reports::{CheckRecord, TrialRecord, Verdict};

use crate::{
    child::{ChildError, TrialOutput, TrialRequest, run_in_child},
    trial::Trial,
};

/// Runs the requests on `jobs` processes at a time and hands each output to `on_output` in order of completion.
/// Stops starting new ones, and ends those under way, once `stop` is set. Outputs come back in the order of requests;
/// none for a trial that was stopped.
pub fn run_batch(
    requests: &[TrialRequest],
    jobs: usize,
    stop: &AtomicBool,
    on_output: impl Fn(usize, &TrialOutput) + Sync,
) -> Vec<Option<TrialOutput>> {
    let next = AtomicUsize::new(0);
    let outputs: Mutex<Vec<Option<TrialOutput>>> = Mutex::new(requests.iter().map(|_| None).collect());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= requests.len() || stop.load(Ordering::Relaxed) {
                return;
            }
            let output = match run_in_child(&requests[index], stop) {
                Ok(output) => output,
                Err(ChildError::Stopped) => return,
                Err(error) => output_of_dead_child(&requests[index].trial, &error),
            };
            on_output(index, &output);
            outputs.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(output);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.min(requests.len()) {
            scope.spawn(work);
        }
    });
    outputs.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A process that died is a broken trial (the code under test panicked, or we did); one that took too long proves nothing.
pub(crate) fn output_of_dead_child(trial: &Trial, error: &ChildError) -> TrialOutput {
    let verdict = if matches!(error, ChildError::TooLong { .. }) { Verdict::Inconclusive } else { Verdict::Broken };
    let mut record = TrialRecord::new(trial.seed, verdict, "");
    record.reason = format!("process: {error}");
    record.checks.push(CheckRecord {
        name: "process".to_owned(),
        outcome: verdict,
        examined: 1,
        message: error.to_string(),
    });
    TrialOutput { record, violations: Vec::new(), features: Vec::new(), trace: None }
}

/// As many jobs as there are cores.
pub fn default_jobs() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}
