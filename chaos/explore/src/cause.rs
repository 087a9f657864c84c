//! Why a trial fails: from which moment on nothing could have helped, and which trial close by passes.
//!
//! *Inevitable.* For a time T let `quiet(T)` be the trial in which the world is kind from T on: no fault acts at T or later
//! (one that lasts ends at T), and no customer comes. Up to T it is the very same run, since everything that happens is a
//! function of the trial's past. The failure was inevitable after the last step before the T at which `quiet(T)` still fails
//! for the same reason and `quiet(T - 1 ms)` does not; both are played. `healed(T)` is the same with customers left as they
//! are: it tells until when faults were needed.
//!
//! The search halves a stretch of time over and over. Where failing is not monotone in T it finds one such T, not all.
//!
//! *Nearest passing trial.* Trials that differ in one thing are played: a fault that hits another match, one hit less, a
//! fault less, an operation less. The first in this order that holds is the nearest.

use std::sync::atomic::AtomicBool;

use nexus_faults::{Fault, PlannedFault, Window};
use nexus_reports::Verdict;
use nexus_reports_story::{StepKind, Story, StoryDiff, step_line, time};
use serde::{Deserialize, Serialize};

use crate::{
    batch::run_batch,
    child::{StoryRequest, TrialOutput, TrialRequest, tell_in_child},
    reason::Reason,
    trial::Trial,
};

/// Points of a stretch of time that one round tries; the same whatever the number of jobs, so that the result is.
const POINTS: u64 = 3;
/// Altered trials that are played in search of one that passes.
const ALTERED_MAX: usize = 80;

/// What is known of a failure's cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Whether the trial fails for the same reason without any fault.
    pub fails_without_faults: bool,
    /// Faults were needed until here: with all of them over by this time it still fails, with all over 1 ms earlier not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults_needed_until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inevitable: Option<Inevitable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_passing: Option<NearestPassing>,
    /// Each trial that differs in one thing, and its verdict.
    pub altered: Vec<Altered>,
    pub trials_run: u64,
}

/// The moment from which on nothing could have helped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inevitable {
    /// From here on the world may be kind: it fails.
    pub from_ms: u64,
    /// The step of this run after which that is so.
    pub step: u32,
    pub text: String,
    /// Traces of the trial that still fails and of the one, 1 ms kinder, that does not.
    pub failing_trace: String,
    pub holding_trace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Altered {
    pub difference: String,
    /// `fails`, `holds`, `fails otherwise` or `inconclusive`.
    pub outcome: String,
}

/// A trial close by in which nothing broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearestPassing {
    pub difference: String,
    pub verdict: String,
    pub trace_hash: String,
    /// Where the two runs part: the step's number, in the failing run, in the passing one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parting: Option<(u32, Option<String>, Option<String>)>,
}

impl Cause {
    /// In sentences.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.fails_without_faults {
            lines.push("It fails without any fault.".to_owned());
        } else if let Some(until_ms) = self.faults_needed_until_ms {
            let at = time(until_ms * 1_000);
            lines.push(format!(
                "Faults were needed until {at}: with all of them over by then it still fails, 1 ms earlier it does not."
            ));
        }
        if let Some(inevitable) = &self.inevitable {
            lines.push(format!(
                "Inevitable after {}: from {} on no fault and no customer is needed (played: trace {} fails; 1 ms kinder, trace {} does not).",
                inevitable.text,
                time(inevitable.from_ms * 1_000),
                short(&inevitable.failing_trace),
                short(&inevitable.holding_trace)
            ));
        }
        if let Some(nearest) = &self.nearest_passing {
            lines.push(format!(
                "The nearest trial that passes: {} ({}, trace {}).",
                nearest.difference,
                nearest.verdict,
                short(&nearest.trace_hash)
            ));
            if let Some((_, failing, passing)) = &nearest.parting {
                let end = || "the run is over".to_owned();
                lines.push(format!(
                    "They part here. Failing: {}. Passing: {}.",
                    failing.clone().unwrap_or_else(end),
                    passing.clone().unwrap_or_else(end)
                ));
            }
        } else {
            lines.push("No trial that differs in one thing passes.".to_owned());
        }
        let passing = self.altered.iter().filter(|altered| altered.outcome == "holds").count();
        lines.push(format!("{passing} of {} trials that differ in one thing hold.", self.altered.len()));
        lines
    }
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// A time, the outcome of the trial that is kind from then on, and that of the one that is so 1 ms earlier.
type Boundary = (u64, TrialOutput, TrialOutput);

/// Searches for a failure's cause.
pub struct Search<'a> {
    pub trial: &'a Trial,
    pub reason: &'a Reason,
    pub jobs: usize,
    pub stop: &'a AtomicBool,
    trials_run: u64,
}

impl<'a> Search<'a> {
    pub fn new(trial: &'a Trial, reason: &'a Reason, jobs: usize, stop: &'a AtomicBool) -> Self {
        Self { trial, reason, jobs, stop, trials_run: 0 }
    }

    /// The cause; `story` is the trial's own. None if it was stopped.
    pub fn run(mut self, story: &Story) -> Option<Cause> {
        let end_ms = self.trial.phases.end_ms();
        let without_faults = self.play(vec![healed(self.trial, 0)])?.pop()?;
        let fails_without_faults = self.reason.is_of(&without_faults);
        let faults_needed_until_ms =
            if fails_without_faults { None } else { self.boundary(end_ms, healed)?.map(|boundary| boundary.0) };
        let inevitable = self.boundary(end_ms, quiet)?.map(|(from_ms, failing, holding)| {
            let (step, text) = deciding_step(story, from_ms);
            Inevitable {
                from_ms,
                step,
                text,
                failing_trace: failing.record.trace_hash,
                holding_trace: holding.record.trace_hash,
            }
        });
        let (altered, nearest_passing) = self.nearest(story)?;
        Some(Cause {
            fails_without_faults,
            faults_needed_until_ms,
            inevitable,
            nearest_passing,
            altered,
            trials_run: self.trials_run,
        })
    }

    fn play(&mut self, trials: Vec<Trial>) -> Option<Vec<TrialOutput>> {
        let request = |trial: Trial| TrialRequest { trial, want_trace: false };
        let requests: Vec<TrialRequest> = trials.into_iter().map(request).collect();
        self.trials_run += requests.len() as u64;
        run_batch(&requests, self.jobs, self.stop, |_, _| {}).into_iter().collect()
    }

    /// A time T at which `cut(T)` fails for the same reason while `cut(T - 1)` does not, with both outcomes. The inner
    /// option is empty if it fails even from the very start, or does not fail at the very end.
    fn boundary(&mut self, end_ms: u64, cut: fn(&Trial, u64) -> Trial) -> Option<Option<Boundary>> {
        let mut ends = self.play(vec![cut(self.trial, 0), cut(self.trial, end_ms)])?.into_iter();
        let (mut holding, mut failing) = (ends.next()?, ends.next()?);
        if self.reason.is_of(&holding) || !self.reason.is_of(&failing) {
            return Some(None);
        }
        let (mut low, mut high) = (0, end_ms);
        while high - low > 1 {
            let inner = (1..=POINTS).map(|point| low + (high - low) * point / (POINTS + 1));
            let mut times: Vec<u64> = inner.filter(|time| (low + 1..high).contains(time)).collect();
            times.dedup();
            let outputs = self.play(times.iter().map(|time| cut(self.trial, *time)).collect())?;
            // The first of them that fails ends the stretch, the one before it begins it.
            for (time, output) in times.into_iter().zip(outputs) {
                if self.reason.is_of(&output) {
                    (high, failing) = (time, output);
                    break;
                }
                (low, holding) = (time, output);
            }
        }
        Some(Some((high, failing, holding)))
    }

    fn nearest(&mut self, story: &Story) -> Option<(Vec<Altered>, Option<NearestPassing>)> {
        let candidates = altered(self.trial);
        let outputs = self.play(candidates.iter().map(|(_, trial)| trial.clone()).collect())?;
        let outcome = |output: &TrialOutput| match output.record.verdict {
            Verdict::Held => "holds",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Broken if self.reason.is_of(output) => "fails",
            Verdict::Broken => "fails otherwise",
        };
        let told: Vec<Altered> = candidates
            .iter()
            .zip(&outputs)
            .map(|((difference, _), output)| Altered {
                difference: difference.clone(),
                outcome: outcome(output).to_owned(),
            })
            .collect();
        let first = |wanted: &str| told.iter().position(|altered| altered.outcome == wanted);
        // One in which a fault did not fire has not broken either, but shows less.
        let Some(position) = first("holds").or_else(|| first("inconclusive")) else { return Some((told, None)) };
        let request = StoryRequest {
            trial: candidates[position].1.clone(),
            revision: story.facts.revision.clone(),
            profile: story.facts.profile.clone(),
        };
        self.trials_run += 1;
        let passing = tell_in_child(&request, self.stop).ok();
        let nearest = NearestPassing {
            difference: told[position].difference.clone(),
            verdict: told[position].outcome.clone(),
            trace_hash: outputs[position].record.trace_hash.clone(),
            parting: passing.and_then(|passing| StoryDiff::of(story, &passing.story).first),
        };
        Some((told, Some(nearest)))
    }
}

/// The step after which the world may be kind: the last fault or customer before that time, else the last step.
fn deciding_step(story: &Story, from_ms: u64) -> (u32, String) {
    let (from_us, until_us) = (from_ms.saturating_sub(1) * 1_000, from_ms * 1_000);
    let from_outside = story.steps.iter().rev().find(|step| {
        (from_us..until_us).contains(&step.at_us) && matches!(step.kind, StepKind::Fault | StepKind::Customer)
    });
    match from_outside.or_else(|| story.last_step_before(until_us)) {
        Some(step) => (step.number, step_line(story, step)),
        None => (0, "the beginning".to_owned()),
    }
}

/// The trial with all faults over by `at_ms`.
pub fn healed(trial: &Trial, at_ms: u64) -> Trial {
    let faults = trial.faults.iter().filter_map(|planned| cut_short(planned, at_ms)).collect();
    Trial { faults, ..trial.clone() }
}

/// The trial with all faults over by `at_ms`, and no customer from then on.
pub fn quiet(trial: &Trial, at_ms: u64) -> Trial {
    let mut quiet = healed(trial, at_ms);
    quiet.workload.operations.retain(|operation| operation.at_ms < at_ms);
    quiet
}

fn cut_short(planned: &PlannedFault, at_ms: u64) -> Option<PlannedFault> {
    if planned.window_ms().0 >= at_ms {
        return None;
    }
    let mut cut = planned.clone();
    match &mut cut.fault {
        Fault::Call { address, .. } => address.until_ms = address.until_ms.min(at_ms),
        Fault::Environment(fault) => match fault.window_mut() {
            Window::Outage { at_ms: from_ms, down_ms } => *down_ms = (*down_ms).min(at_ms - *from_ms).max(1),
            Window::Moment { .. } => {}
            Window::FromStart { until_ms } | Window::Span { until_ms, .. } => *until_ms = (*until_ms).min(at_ms),
        },
    }
    Some(cut)
}

/// Trials that differ in one thing, the smallest difference first.
fn altered(trial: &Trial) -> Vec<(String, Trial)> {
    let mut found = Vec::new();
    let with_fault = |index: usize, change: &dyn Fn(&mut nexus_faults::CallAddress) -> bool| {
        let mut other = trial.clone();
        let is_changed = match &mut other.faults[index].fault {
            Fault::Call { address, .. } => change(address),
            Fault::Environment(_) => false,
        };
        is_changed.then_some(other)
    };
    for (index, planned) in trial.faults.iter().enumerate() {
        let name = format!("fault {} ({})", planned.id, planned.kind());
        let Fault::Call { address, .. } = &planned.fault else { continue };
        let nth = address.nth;
        let moved = [(nth.saturating_add(1), "later"), (nth.saturating_sub(1), "earlier")];
        for (to, way) in moved.into_iter().filter(|(to, _)| *to >= 1) {
            let other = with_fault(index, &|address| {
                address.nth = to;
                true
            });
            let told = format!("{name} hits match {to} instead of {nth}, one {way}");
            found.extend(other.map(|other| (told, other)));
        }
        let fewer = with_fault(index, &|address| {
            let is_more = address.count > 1;
            address.count = address.count.saturating_sub(1).max(1);
            is_more
        });
        found.extend(fewer.map(|other| (format!("{name} hits one match less"), other)));
    }
    for (index, planned) in trial.faults.iter().enumerate() {
        let mut other = trial.clone();
        other.faults.remove(index);
        found.push((format!("without fault {} ({}, {})", planned.id, planned.kind(), planned.address()), other));
    }
    // A trial without any customer shows nothing.
    let operations = trial.workload.operations.iter().enumerate().filter(|_| trial.workload.operations.len() > 1);
    for (index, operation) in operations {
        let mut other = trial.clone();
        other.workload.operations.remove(index);
        found.push((format!("without operation {}, due at {} ms", operation.id, operation.at_ms), other));
    }
    found.truncate(ALTERED_MAX);
    found
}
