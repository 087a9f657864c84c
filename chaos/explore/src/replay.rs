//! Replaying a bug report: the same trial, and what the outcome says.

use std::sync::atomic::AtomicBool;

use nexus_reports::Verdict;
use serde::Serialize;

use crate::{
    batch::run_batch,
    bug::BugReport,
    child::{TrialOutput, TrialRequest},
};

/// World seeds tried beside the recorded one before a bug counts as fixed at another revision.
const NEIGHBOURS: u64 = 20;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Replayed {
    /// Same revision, same trace: the bug, again.
    Reproduced { trace_hash: String },
    /// Same revision, another trace: determinism itself is broken.
    Diverged { line_number: usize, recorded: String, replayed: String },
    /// Another revision, and it still breaks (under the recorded seed or one of its neighbours).
    StillBroken { seed: u64, broken: Vec<String>, same_faults_fired: bool },
    /// Another revision: it holds, and so do its neighbours, and the same faults acted.
    Fixed { neighbours: u64 },
    /// Another revision: nothing broke, but not all of the recorded faults acted, so it proves nothing.
    Inconclusive { missing_faults: Vec<String> },
}

impl Replayed {
    pub fn exit_code(&self) -> u8 {
        match self {
            Replayed::Reproduced { .. } | Replayed::StillBroken { .. } => nexus_commands::exit::BROKE,
            Replayed::Diverged { .. } => nexus_commands::exit::DIVERGED,
            Replayed::Fixed { .. } => nexus_commands::exit::HELD,
            Replayed::Inconclusive { .. } => nexus_commands::exit::INCONCLUSIVE,
        }
    }
}

/// Plays the report's trial again and judges what came of it. None if it was stopped.
pub fn replay(report: &BugReport, revision: &str, jobs: usize, stop: &AtomicBool) -> Option<Replayed> {
    let request = TrialRequest { trial: report.trial.clone(), want_trace: true };
    let output = run_batch(std::slice::from_ref(&request), 1, stop, |_, _| {}).pop().flatten()?;
    if revision == report.revision {
        return Some(at_same_revision(report, &output));
    }
    at_other_revision(report, &output, jobs, stop)
}

fn at_same_revision(report: &BugReport, output: &TrialOutput) -> Replayed {
    if output.record.trace_hash == report.trace_hash {
        return Replayed::Reproduced { trace_hash: report.trace_hash.clone() };
    }
    let recorded = report.trace_lines().unwrap_or_default();
    let replayed = output.trace.clone().unwrap_or_default();
    let differing = (0..recorded.len().max(replayed.len())).find(|index| recorded.get(*index) != replayed.get(*index));
    let index = differing.unwrap_or(recorded.len());
    let line = |lines: &[String]| lines.get(index).cloned().unwrap_or_else(|| "(the trace ends here)".to_owned());
    Replayed::Diverged { line_number: index + 1, recorded: line(&recorded), replayed: line(&replayed) }
}

fn at_other_revision(report: &BugReport, output: &TrialOutput, jobs: usize, stop: &AtomicBool) -> Option<Replayed> {
    let missing_faults = missing_faults(report, output);
    let still_broken = |seed, output: &TrialOutput| Replayed::StillBroken {
        seed,
        broken: broken_checks(output),
        same_faults_fired: missing_faults.is_empty(),
    };
    if output.record.verdict == Verdict::Broken {
        return Some(still_broken(report.trial.seed, output));
    }
    let neighbours: Vec<TrialRequest> = (1..=NEIGHBOURS)
        .map(|distance| {
            let seed = report.trial.seed.wrapping_add(distance);
            TrialRequest { trial: crate::Trial { seed, ..report.trial.clone() }, want_trace: false }
        })
        .collect();
    let outputs = run_batch(&neighbours, jobs, stop, |_, _| {});
    let finished: Option<Vec<TrialOutput>> = outputs.into_iter().collect();
    if let Some(broken) = finished?.iter().find(|output| output.record.verdict == Verdict::Broken) {
        return Some(still_broken(broken.record.seed, broken));
    }
    if missing_faults.is_empty() {
        Some(Replayed::Fixed { neighbours: NEIGHBOURS })
    } else {
        Some(Replayed::Inconclusive { missing_faults })
    }
}

/// Faults that acted when the report was written and did not act now.
fn missing_faults(report: &BugReport, output: &TrialOutput) -> Vec<String> {
    let acted_now = |id: &str| output.record.faults.iter().any(|fault| fault.id == id && fault.fired > 0);
    let missing = report.faults.iter().filter(|fault| fault.fired > 0 && !acted_now(&fault.id));
    missing.map(|fault| format!("{} {} {}", fault.id, fault.kind, fault.address)).collect()
}

/// Names of the checks that an output says broke.
pub fn broken_checks(output: &TrialOutput) -> Vec<String> {
    let broken = output.record.checks.iter().filter(|check| check.outcome == Verdict::Broken);
    broken.map(|check| check.name.clone()).collect()
}
