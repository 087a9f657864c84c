//! A fix, certified: the same trial on the code before and after, and trials close to it.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use nexus_faults::Fault;
use nexus_reports::Verdict;
use nexus_reports_story::{Certificate, CertificateVerdict, NeighbourRecord, RunOfRevision};

use crate::{
    bug::BugReport,
    child::{ChildError, TrialOutput, TrialRequest, run_in_child_of},
    reason::Reason,
    replay::broken_checks,
    trial::Trial,
};

/// The laboratory of one revision.
#[derive(Clone, Debug)]
pub struct Laboratory {
    pub program: std::path::PathBuf,
    /// As the user named the revision.
    pub asked: String,
    /// As version control does.
    pub revision: String,
}

/// What is certified, and how.
pub struct Case<'a> {
    pub report: &'a BugReport,
    pub reason: &'a Reason,
    pub before: &'a Laboratory,
    pub after: &'a Laboratory,
    pub neighbours: u64,
    pub jobs: usize,
    pub stop: &'a AtomicBool,
}

/// A revision whose program cannot play the trial.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    #[error("the program of `{asked}` ({revision}) cannot play the trial: {source}")]
    CannotPlay { asked: String, revision: String, source: ChildError },
    #[error("stopped before everything was played")]
    Stopped,
}

/// How the two sides of a certificate are named and where it came from.
pub struct Origin {
    pub bug_file: String,
    pub bug_sha256: String,
    pub command: String,
}

impl Case<'_> {
    /// Plays everything and judges.
    ///
    /// # Errors
    /// If a program cannot play the trial, or it was stopped.
    pub fn certify(&self, origin: Origin) -> Result<Certificate, CertifyError> {
        let trial = &self.report.trial;
        let before = self.play_first(self.before, trial)?;
        let after = self.play_first(self.after, trial)?;
        let close = neighbours(trial, self.neighbours);
        let trials: Vec<&Trial> = close.iter().map(|(_, trial)| trial).collect();
        let (old, new) = (self.play_all(self.before, &trials)?, self.play_all(self.after, &trials)?);
        let neighbours: Vec<NeighbourRecord> = close
            .iter()
            .zip(old.iter().zip(&new))
            .map(|((difference, _), (old, new))| NeighbourRecord {
                difference: difference.clone(),
                before: verdict_of(old).to_owned(),
                after: verdict_of(new).to_owned(),
                trace_hash_after: new.as_ref().map_or(String::new(), |new| new.record.trace_hash.clone()),
                reason_after: new.as_ref().map_or_else(|error| error.clone(), |new| new.record.reason.clone()),
            })
            .collect();
        let (verdict, because) = self.judge(&before, &after, &neighbours);
        Ok(Certificate {
            verdict,
            because,
            bug_file: origin.bug_file,
            bug_sha256: origin.bug_sha256,
            scenario: trial.scenario.clone(),
            seed: trial.seed,
            engine: trial.engine.clone(),
            check: self.reason.check.clone(),
            operations: trial.workload.operations.len(),
            recorded_trace_hash: self.report.trace_hash.clone(),
            before: run_of(self.before, &before),
            after: run_of(self.after, &after),
            neighbours,
            command: origin.command,
        })
    }

    fn judge(
        &self,
        before: &TrialOutput,
        after: &TrialOutput,
        neighbours: &[NeighbourRecord],
    ) -> (CertificateVerdict, String) {
        let check = &self.reason.check;
        if !broken_checks(before).contains(check) {
            return (
                CertificateVerdict::OldHolds,
                format!("`{check}` does not break on the old code, so nothing is shown to be mended."),
            );
        }
        if after.record.verdict == Verdict::Broken {
            return (
                CertificateVerdict::NewFails,
                format!("The new code fails in the same trial: {}.", after.record.reason),
            );
        }
        let broken: Vec<&NeighbourRecord> =
            neighbours.iter().filter(|neighbour| neighbour.after == Verdict::Broken.as_str()).collect();
        if let Some(first) = broken.first() {
            let text = format!(
                "The new code fails in {} of {} neighbours; {}: {}.",
                broken.len(),
                neighbours.len(),
                first.difference,
                first.reason_after
            );
            return (CertificateVerdict::NewFails, text);
        }
        let missing = missing_faults(before, after);
        if !missing.is_empty() {
            let text =
                format!("Nothing broke on the new code, but not every fault acted on it: {}.", missing.join("; "));
            return (CertificateVerdict::Inconclusive, text);
        }
        // A check that could not decide has not held. Planned faults that acted on neither side are no matter of the change.
        if after.record.checks.iter().any(|check| check.outcome == Verdict::Inconclusive) {
            let text = format!("Nothing broke on the new code, but a check could not decide: {}.", after.record.reason);
            return (CertificateVerdict::Inconclusive, text);
        }
        let text = format!(
            "The old code breaks `{check}`; the new code holds under the same faults, all of which acted, and in {} neighbouring \
             trials nothing broke.",
            neighbours.len()
        );
        (CertificateVerdict::Certified, text)
    }

    /// The recorded trial itself must be played to its end on either side.
    fn play_first(&self, laboratory: &Laboratory, trial: &Trial) -> Result<TrialOutput, CertifyError> {
        let request = TrialRequest { trial: trial.clone(), want_trace: false };
        run_in_child_of(&laboratory.program, &request, self.stop).map_err(|source| match source {
            ChildError::Stopped => CertifyError::Stopped,
            source => CertifyError::CannotPlay {
                asked: laboratory.asked.clone(),
                revision: laboratory.revision.clone(),
                source,
            },
        })
    }

    /// Outcomes in the order of the trials; of one whose process died what it said.
    fn play_all(
        &self,
        laboratory: &Laboratory,
        trials: &[&Trial],
    ) -> Result<Vec<Result<TrialOutput, String>>, CertifyError> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Result<TrialOutput, String>>>> = Mutex::new(vec![None; trials.len()]);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(trial) = trials.get(index) else { return };
                let request = TrialRequest { trial: (*trial).clone(), want_trace: false };
                let outcome = match run_in_child_of(&laboratory.program, &request, self.stop) {
                    Err(ChildError::Stopped) => return,
                    outcome => outcome.map_err(|error| error.to_string()),
                };
                outcomes.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
            }
        };
        thread::scope(|scope| (0..self.jobs.clamp(1, trials.len().max(1))).for_each(|_| drop(scope.spawn(work))));
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.into_iter().collect::<Option<Vec<_>>>().ok_or(CertifyError::Stopped)
    }
}

/// A process that died, or answered nothing, has failed.
fn verdict_of(outcome: &Result<TrialOutput, String>) -> &'static str {
    outcome.as_ref().map_or(Verdict::Broken.as_str(), |output| output.record.verdict.as_str())
}

/// Faults that acted on the old code and not on the new one.
fn missing_faults(before: &TrialOutput, after: &TrialOutput) -> Vec<String> {
    let acts_after = |id: &str| after.record.faults.iter().any(|fault| fault.id == id && fault.fired > 0);
    let missing = before.record.faults.iter().filter(|fault| fault.fired > 0 && !acts_after(&fault.id));
    missing.map(|fault| format!("{} {} {}", fault.id, fault.kind, fault.address)).collect()
}

fn run_of(laboratory: &Laboratory, output: &TrialOutput) -> RunOfRevision {
    let record = &output.record;
    let fired = record.faults.iter().filter(|fault| fault.fired > 0);
    let idle = record.faults.iter().filter(|fault| fault.fired == 0);
    RunOfRevision {
        asked: laboratory.asked.clone(),
        revision: laboratory.revision.clone(),
        verdict: record.verdict.as_str().to_owned(),
        reason: record.reason.clone(),
        broken: broken_checks(output),
        trace_hash: record.trace_hash.clone(),
        faults_fired: fired
            .map(|fault| (fault.id.clone(), fault.kind.clone(), fault.address.clone(), fault.fired))
            .collect(),
        faults_not_fired: idle.map(|fault| format!("{} {} {}", fault.id, fault.kind, fault.address)).collect(),
    }
}

/// Trials close to this one: each call fault one match later and one earlier, then other world seeds.
fn neighbours(trial: &Trial, count: u64) -> Vec<(String, Trial)> {
    let mut found = Vec::new();
    for (index, planned) in trial.faults.iter().enumerate() {
        let Fault::Call { address, .. } = &planned.fault else { continue };
        for nth in [address.nth.checked_add(1), address.nth.checked_sub(1)].into_iter().flatten().filter(|nth| *nth > 0)
        {
            let mut other = trial.clone();
            if let Fault::Call { address, .. } = &mut other.faults[index].fault {
                address.nth = nth;
            }
            found.push((format!("fault {} ({}) from match {nth} on", planned.id, planned.kind()), other));
        }
    }
    // Half of them at most, so that other seeds always have their share.
    found.truncate(count.div_ceil(2) as usize);
    let left = count - found.len() as u64;
    for distance in 1..=left {
        let seed = trial.seed.wrapping_add(distance);
        found.push((format!("world seed {seed}"), Trial { seed, ..trial.clone() }));
    }
    found
}

/// SHA-256 of a file's bytes, in hexadecimal.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    use sha2::{Digest, Sha256};
    Ok(Sha256::digest(std::fs::read(path)?).iter().map(|byte| format!("{byte:02x}")).collect())
}
