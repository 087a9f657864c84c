//! The verdict on a played trial: every checker, and what only the explorer can see (liveness, contracts, dead hosts).

use nexus_checkers::{CheckInput, Examination, Finding, Violation};
use nexus_faults::{Contract, Fault, Firing, PlannedFault};
use nexus_reports::{CheckRecord, FaultRecord, GoalRecord, TrialRecord, Verdict};

use crate::{
    child::TrialOutput, contracts, convert, coverage, dead_letters, features, measure::measure, play::Played, policies,
    queue_accounts, trial::Trial,
};

/// Judges one played trial. `want_trace` keeps the trace's lines even if nothing broke.
pub fn judge(trial: &Trial, played: &Played, want_trace: bool) -> TrialOutput {
    let input = convert::check_input(trial, played);
    let mut verdicts = Verdicts::default();
    let checkers = if trial.bus.is_there() { nexus_checkers::all() } else { nexus_checkers::write_side() };
    for checker in checkers {
        verdicts.add(checker.name(), checker.check(&input));
    }
    verdicts.add("host-failure", host_failure(played));
    verdicts.add("liveness", liveness(trial, played));
    verdicts.add("contracts", contracts::contracts(trial, played));
    verdicts.add("policies-replaced", policies::rightly_replaced(&played.replaced));

    let faults = fault_records(&trial.faults, &played.firings);
    let not_fired = faults.iter().filter(|fault| fault.fired == 0).count();
    let (verdict, reason) = verdicts.overall(not_fired);
    let measured = measure(trial, played);
    let mut record = TrialRecord::new(trial.seed, verdict, played.trace.hash_hex.clone());
    record.reason = reason;
    record.checks = verdicts.checks;
    record.faults = faults;
    record.goals = goals(&input);
    record.dead_letters = trial.bus.is_there().then(|| dead_letters::account(played));
    record.queues = if trial.bus.is_there() { queue_accounts::accounts(played) } else { Vec::new() };
    let reached = record.goals.iter().filter(|goal| goal.reached).map(|goal| goal.name.clone());
    record.coverage = coverage::marks(&played.journal, fired(trial, played), reached);
    record.latency = measured.latency;
    record.shares = measured.shares;
    record.series = measured.series;
    record.phases = measured.phases;
    record.aws_calls = measured.aws_calls;
    record.simulated_s = played.summary.simulated.as_secs_f64();
    let trace = (want_trace || verdict == Verdict::Broken).then(|| played.trace.lines.clone());
    let features = features::of(trial, played, &record);
    TrialOutput { record, violations: verdicts.violations, features, trace }
}

/// Kind, and endpoint where it is a fault of calls, of each firing.
fn fired(trial: &Trial, played: &Played) -> impl Iterator<Item = (String, Option<String>)> {
    played.firings.iter().filter_map(|firing| {
        let planned = trial.faults.iter().find(|planned| planned.id == firing.fault_id)?;
        let service = match &planned.fault {
            Fault::Call { address, .. } => Some(address.service.to_string()),
            Fault::Environment(_) => None,
        };
        Some((planned.kind().to_string(), service))
    })
}

#[derive(Default)]
struct Verdicts {
    checks: Vec<CheckRecord>,
    violations: Vec<Violation>,
}

impl Verdicts {
    fn add(&mut self, name: &str, finding: Finding) {
        let (outcome, examined, message) = match finding {
            Finding::Held { examined } => (Verdict::Held, examined, String::new()),
            Finding::Undecided { reason } => (Verdict::Inconclusive, 0, reason),
            Finding::Broken { violations } => {
                let first = violations.first().map(|violation| violation.what.clone()).unwrap_or_default();
                let count = violations.len() as u64;
                let message = if count > 1 { format!("{first} (and {} more)", count - 1) } else { first };
                self.violations.extend(violations);
                (Verdict::Broken, count, message)
            }
        };
        self.checks.push(CheckRecord { name: name.to_owned(), outcome, examined, message });
    }

    /// Broken outweighs undecided; a trial in which a planned fault never acted proves nothing about it.
    fn overall(&self, faults_not_fired: usize) -> (Verdict, String) {
        let with = |wanted: Verdict| {
            let check = self.checks.iter().find(|check| check.outcome == wanted)?;
            Some(format!("{}: {}", check.name, check.message))
        };
        if let Some(reason) = with(Verdict::Broken) {
            return (Verdict::Broken, reason);
        }
        if let Some(reason) = with(Verdict::Inconclusive) {
            return (Verdict::Inconclusive, reason);
        }
        match faults_not_fired {
            0 => (Verdict::Held, String::new()),
            1 => (Verdict::Inconclusive, "1 planned fault did not fire".to_owned()),
            count => (Verdict::Inconclusive, format!("{count} planned faults did not fire")),
        }
    }
}

fn goals(input: &CheckInput) -> Vec<GoalRecord> {
    nexus_checkers::goals(input)
        .into_iter()
        .map(|(name, reached)| GoalRecord { name: name.to_string(), reached })
        .collect()
}

fn fault_records(faults: &[PlannedFault], firings: &[Firing]) -> Vec<FaultRecord> {
    let record = |planned: &PlannedFault| {
        let own = || firings.iter().filter(|firing| firing.fault_id == planned.id);
        let (planned_from_ms, planned_until_ms) = planned.window_ms();
        FaultRecord {
            id: planned.id.to_string(),
            kind: planned.kind().to_string(),
            address: planned.address(),
            contract: match planned.contract() {
                Contract::Masked => nexus_reports::Contract::Masked,
                Contract::Detected => nexus_reports::Contract::Detected,
                Contract::Excused => nexus_reports::Contract::Excused,
            },
            planned_from_ms,
            planned_until_ms,
            fired: own().count() as u64,
            first_fired_ms: own().map(|firing| firing.at_ms).min(),
            acted_until_ms: match &planned.fault {
                Fault::Call { .. } => own().map(|firing| firing.at_ms).max(),
                Fault::Environment(_) => own().map(|firing| firing.at_ms.max(planned_until_ms)).max(),
            },
        }
    };
    faults.iter().map(record).collect()
}

/// No host's program may end or panic, whatever befalls it.
fn host_failure(played: &Played) -> Finding {
    let mut examination = Examination::default();
    let failure = played.failure.as_deref();
    examination.expect(failure.is_none(), || Violation::new(failure.unwrap_or_default()));
    examination.finish("host-failure")
}

/// After the heal every operation gets its definite answer before the trial ends, and every event arrives everywhere.
fn liveness(trial: &Trial, played: &Played) -> Finding {
    let mut answered = std::collections::BTreeSet::new();
    for attempt in &played.observation.attempts {
        if crate::customers::is_definite(&attempt.response) {
            answered.insert(attempt.operation);
        }
    }
    let unanswered: Vec<u32> = trial
        .workload
        .operations
        .iter()
        .map(|operation| operation.id)
        .filter(|operation| !answered.contains(operation))
        .collect();
    if unanswered.is_empty() {
        return match played.debts.as_slice() {
            [] => Finding::Held { examined: answered.len() as u64 },
            [first, ..] => {
                let what = format!("the bus still owed something at the end of the drain: {first}");
                broken("liveness", played.debts.iter().cloned().fold(Violation::new(what), Violation::evidence))
            }
        };
    }
    let last = |operation: u32| played.observation.attempts.iter().rfind(|attempt| attempt.operation == operation);
    let evidence = unanswered.iter().take(5).map(|operation| format!("{:?}", last(*operation)));
    let what = format!("{} operations had no definite answer by the end of the drain", unanswered.len());
    broken("liveness", evidence.fold(Violation::new(what), Violation::evidence).operations(unanswered.iter().copied()))
}

fn broken(checker: &str, violation: Violation) -> Finding {
    let mut examination = Examination::default();
    examination.violation(violation);
    examination.finish(checker)
}
