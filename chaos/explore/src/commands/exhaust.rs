//! `chaos --exhaust`: records a faultless run, then tries every call of it with every deed that may befall it, then pairs.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{ChaosOptions, exit};
use nexus_reports::Verdict;
use nexus_scenario::{Phases, Scenario, Tier};
use nexus_swarm::{
    exhaustion::{Account, Pair, Plan, Single, Tried, pairs, plan},
    lineage::Rescuer,
};
use serde::Serialize;

use super::{
    Context, progress,
    sim::{Started, assemble, write_reports},
};
use crate::{
    BugReport, ChildError, RecordRequest, Recorded, Trial, TrialOutput, TrialRequest, batch::output_of_dead_child,
    default_jobs, record_in_child,
};

/// After the last fault there is this much time at least to recover, in milliseconds.
const DRAIN_MIN_MS: u64 = 120_000;

/// What was done and what came of it; written beside the report.
#[derive(Debug, Serialize)]
struct Exhaustion {
    scenario: String,
    seed: u64,
    engine: String,
    revision: String,
    every_call: bool,
    plan: PlanRecord,
    singles: Account,
    singles_by_deed: BTreeMap<&'static str, Account>,
    pairs_that_lineage_names: u64,
    pairs: Account,
    /// All that did not hold.
    findings: Vec<FindingRecord>,
}

#[derive(Debug, Serialize)]
struct PlanRecord {
    calls: u64,
    calls_beyond: u64,
    classes: Vec<ClassRecord>,
    impossible: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct ClassRecord {
    class: String,
    calls: u64,
    tried: u64,
}

#[derive(Debug, Serialize)]
struct FindingRecord {
    faults: Vec<String>,
    #[serde(flatten)]
    tried: Tried,
    bug_file: Option<String>,
}

pub fn run(options: &ChaosOptions, name: &str, out: &Path, context: &Context) -> Result<u8, Report> {
    let (tier, scenario) = nexus_scenario::find(&context.scenarios(), name)?;
    let started = Started::now();
    let green = Green::record(tier, &scenario, options, context)?;
    let mut work = Work::new(options, out, context);
    let plan = plan(&green.calls, green.until_ms, options.every);
    let singles = work.try_all("single faults", &plan.singles, &green.trial, Single::trial);
    let survived: Vec<(Single, Vec<Rescuer>)> = plan
        .singles
        .iter()
        .zip(&singles)
        .filter_map(|(single, outcome)| match outcome {
            Some(Outcome { tried: Tried::Held, rescuers, .. }) => Some((single.clone(), rescuers.clone())),
            _ => None,
        })
        .collect();
    let named = pairs(&survived, usize::MAX);
    let pairs_max = usize::try_from(options.pairs.unwrap_or(ChaosOptions::PAIRS)).unwrap_or(usize::MAX);
    let chosen = &named[..named.len().min(pairs_max)];
    let paired = work.try_all("pairs", chosen, &green.trial, Pair::trial);

    let report = report(&plan, &singles, named.len(), chosen, &paired, &green, options, context);
    let mut record =
        assemble(&[(tier, without_objectives(&scenario))], &work.requests, work.outputs, &work.bugs, context);
    record.started_unix_ms = started.unix_ms;
    record.wall_s = started.elapsed_s();
    let html = write_reports(&record, out)?;
    let path = out.join("exhaustion.json");
    fs::write(&path, serde_json::to_vec_pretty(&report).into_diagnostic()?)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write `{}`", path.display()))?;
    if options.json {
        println!("{}", serde_json::to_string(&report).into_diagnostic()?);
    } else {
        print(&report);
        println!("Report: {}\nAll of it: {}", context.shown(&html), context.shown(&path));
    }
    Ok(exit_code(&report, context))
}

fn without_objectives(scenario: &Scenario) -> Scenario {
    Scenario { objectives: Vec::new(), ..scenario.clone() }
}

/// The faultless run that everything is measured against.
struct Green {
    trial: Trial,
    calls: Vec<nexus_swarm::lineage::RecordedCall>,
    until_ms: u64,
}

impl Green {
    /// Played twice: first to learn how long it takes to settle, then with that time as its chaos phase, so that a fault at any
    /// call of it is one that the system has time to recover from.
    fn record(tier: Tier, scenario: &Scenario, options: &ChaosOptions, context: &Context) -> Result<Green, Report> {
        let engine = nexus_engine::compiled_engine().to_string();
        let drawn = Trial::draw(tier, scenario, &engine, options.first())
            .map_err(|error| miette!("scenario `{}`: {error}", scenario.name))?;
        let mut trial = Trial { faults: Vec::new(), ..drawn };
        let settled_ms = (played(&trial, false, context)?.output.record.simulated_s * 1_000.0) as u64;
        trial.phases = Phases {
            nominal_ms: 0,
            chaos_ms: settled_ms.max(trial.phases.arrivals_end_ms()),
            heal_ms: 1,
            drain_ms: trial.phases.drain_ms.max(DRAIN_MIN_MS),
        };
        let recorded = played(&trial, true, context)?;
        let until_ms = trial.phases.chaos_window_ms().1;
        Ok(Green { trial, calls: recorded.calls, until_ms })
    }
}

fn played(trial: &Trial, want_calls: bool, context: &Context) -> Result<Recorded, Report> {
    let request = RecordRequest { trial: trial.clone(), want_calls };
    let recorded = record_in_child(&request, &context.stop).into_diagnostic()?;
    if recorded.output.record.verdict == Verdict::Held {
        return Ok(recorded);
    }
    Err(miette!(
        help = "exhaustion asks what one fault changes, so it begins with a run that holds without any",
        "`{}` seed {} does not hold without faults: {}",
        trial.scenario,
        trial.seed,
        recorded.output.record.reason
    ))
}

/// What came of one try.
#[derive(Clone, Debug)]
struct Outcome {
    tried: Tried,
    rescuers: Vec<Rescuer>,
    bug_file: Option<String>,
}

/// Plays tries and keeps their records.
struct Work<'a> {
    context: &'a Context,
    out: &'a Path,
    jobs: usize,
    is_quiet: bool,
    requests: Vec<TrialRequest>,
    outputs: Vec<Option<TrialOutput>>,
    bugs: Vec<(usize, String)>,
}

impl<'a> Work<'a> {
    fn new(options: &ChaosOptions, out: &'a Path, context: &'a Context) -> Self {
        Self {
            context,
            out,
            jobs: options.jobs.unwrap_or_else(default_jobs),
            is_quiet: options.json,
            requests: Vec::new(),
            outputs: Vec::new(),
            bugs: Vec::new(),
        }
    }

    /// Tries all, in processes side by side; none for one that was stopped.
    fn try_all<T: Sync>(
        &mut self,
        what: &str,
        items: &[T],
        green: &Trial,
        trial_of: impl Fn(&T, &Trial) -> Trial + Sync,
    ) -> Vec<Option<Outcome>> {
        let bar = progress::bar(items.len() as u64, self.is_quiet);
        bar.set_message(what.to_owned());
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<Option<(Trial, Recorded)>>> = Mutex::new(items.iter().map(|_| None).collect());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index).filter(|_| !self.context.is_stopped()) else { return };
                let trial = trial_of(item, green);
                let recorded = match record_in_child(
                    &RecordRequest { trial: trial.clone(), want_calls: false },
                    &self.context.stop,
                ) {
                    Ok(recorded) => recorded,
                    Err(ChildError::Stopped) => return,
                    Err(error) => Recorded {
                        output: output_of_dead_child(&trial, &error),
                        calls: Vec::new(),
                        rescuers: Vec::new(),
                    },
                };
                done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some((trial, recorded));
                bar.inc(1);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.min(items.len()) {
                scope.spawn(work);
            }
        });
        bar.finish_and_clear();
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.into_iter().map(|done| done.map(|(trial, recorded)| self.keep(trial, recorded))).collect()
    }

    /// Judges one try, writes its bug file if it broke, and keeps its record under a number of its own.
    fn keep(&mut self, mut trial: Trial, recorded: Recorded) -> Outcome {
        let index = self.outputs.len();
        let mut output = recorded.output;
        let tried = tried(&output);
        let mut bug_file = None;
        if matches!(tried, Tried::Broken { .. }) {
            let report = BugReport::new(&trial, &output, &self.context.revision, &self.context.profile);
            match report.write(self.out, &format!("bug-exhaust-{}-{}", trial.scenario, index + 1)) {
                Ok(path) => bug_file = Some(self.context.shown(&path)),
                Err(error) => eprintln!("{:?}", Report::new(error)),
            }
        }
        output.record.seed = index as u64 + 1;
        output.record.series.clear();
        output.trace = None;
        self.bugs.extend(bug_file.clone().map(|path| (index, path)));
        trial.workload.operations.clear();
        self.requests.push(TrialRequest { trial, want_trace: false });
        self.outputs.push(Some(output));
        Outcome { tried, rescuers: recorded.rescuers, bug_file }
    }
}

fn tried(output: &TrialOutput) -> Tried {
    let record = &output.record;
    if record.verdict == Verdict::Broken {
        return Tried::Broken { reason: record.reason.clone() };
    }
    let idle: Vec<&str> =
        record.faults.iter().filter(|fault| fault.fired == 0).map(|fault| fault.address.as_str()).collect();
    if !idle.is_empty() {
        return Tried::Unreachable { why: format!("no call that it could befall came: {}", idle.join("; ")) };
    }
    match record.verdict {
        Verdict::Held => Tried::Held,
        _ => Tried::Undecided { reason: record.reason.clone() },
    }
}

#[allow(clippy::too_many_arguments)] // Everything that was done, into one account of it.
fn report(
    plan: &Plan,
    singles: &[Option<Outcome>],
    pairs_named: usize,
    chosen: &[Pair],
    paired: &[Option<Outcome>],
    green: &Green,
    options: &ChaosOptions,
    context: &Context,
) -> Exhaustion {
    let mut findings = Vec::new();
    let mut find = |faults: Vec<String>, outcome: &Outcome| {
        if outcome.tried != Tried::Held {
            findings.push(FindingRecord { faults, tried: outcome.tried.clone(), bug_file: outcome.bug_file.clone() });
        }
    };
    let mut account = Account::of(plan.singles.len());
    let mut by_deed: BTreeMap<&'static str, Account> = BTreeMap::new();
    for (single, outcome) in plan.singles.iter().zip(singles) {
        let of_deed = by_deed.entry(single.deed.name()).or_default();
        of_deed.planned += 1;
        let Some(outcome) = outcome else { continue };
        account.count(&outcome.tried);
        of_deed.count(&outcome.tried);
        find(vec![format!("{}: {}", single.deed, single.address)], outcome);
    }
    let mut pair_account = Account::of(chosen.len());
    for (pair, outcome) in chosen.iter().zip(paired) {
        let Some(outcome) = outcome else { continue };
        pair_account.count(&outcome.tried);
        let first = format!("{}: {}", pair.first.deed, pair.first.address);
        find(vec![first, format!("{}: {}", pair.deed, pair.rescuer.address)], outcome);
    }
    let class = |counted: &nexus_swarm::exhaustion::ClassCount| ClassRecord {
        class: counted.class.to_string(),
        calls: counted.calls,
        tried: counted.tried,
    };
    Exhaustion {
        scenario: green.trial.scenario.clone(),
        seed: green.trial.seed,
        engine: green.trial.engine.clone(),
        revision: context.revision.clone(),
        every_call: options.every,
        plan: PlanRecord {
            calls: plan.calls,
            calls_beyond: plan.calls_beyond,
            classes: plan.classes.iter().map(class).collect(),
            impossible: plan.impossible.clone(),
        },
        singles: account,
        singles_by_deed: by_deed,
        pairs_that_lineage_names: pairs_named as u64,
        pairs: pair_account,
        findings,
    }
}

fn print(report: &Exhaustion) {
    let plan = &report.plan;
    println!("{} seed {} on {}, revision {}", report.scenario, report.seed, report.engine, report.revision);
    println!(
        "{} AWS calls until everything had settled ({} idle ones after that are not tried), in {} classes:",
        plan.calls,
        plan.calls_beyond,
        plan.classes.len()
    );
    for counted in &plan.classes {
        println!("  {:5} calls, {} tried  {}", counted.calls, counted.tried, counted.class);
    }
    println!(
        "\n{:18} {:>8} {:>8} {:>8} {:>10} {:>12}",
        "deed", "planned", "held", "broken", "undecided", "unreachable"
    );
    let row = |name: &str, account: &Account| {
        println!(
            "{name:18} {:>8} {:>8} {:>8} {:>10} {:>12}",
            account.planned, account.held, account.broken, account.undecided, account.unreachable
        );
    };
    report.singles_by_deed.iter().for_each(|(name, account)| row(name, account));
    row("all single faults", &report.singles);
    row("pairs", &report.pairs);
    println!("({} pairs are named by lineage)\n", report.pairs_that_lineage_names);
    for (what, calls) in &plan.impossible {
        println!("  not possible for {calls} of the calls tried: {what}");
    }
    for finding in &report.findings {
        let (word, text) = match &finding.tried {
            Tried::Held => continue,
            Tried::Broken { reason } => ("BROKEN", reason),
            Tried::Undecided { reason } => ("undecided", reason),
            Tried::Unreachable { why } => ("unreachable", why),
        };
        println!("  {word}  {}\n    {text}", finding.faults.join("  and  "));
        finding.bug_file.iter().for_each(|path| println!("    replay: {}", nexus_reports::replay_command(path)));
    }
    let (tried, planned) = (report.singles.tried(), report.singles.planned);
    if report.singles.is_exhausted() {
        println!("all single faults exhausted: {tried} of {planned}");
    } else {
        println!("NOT exhausted: {tried} of {planned} single faults were tried");
    }
}

fn exit_code(report: &Exhaustion, context: &Context) -> u8 {
    let accounts = [&report.singles, &report.pairs];
    let is_whole = accounts.iter().all(|account| account.is_exhausted()) && !context.is_stopped();
    if accounts.iter().any(|account| account.broken > 0) {
        exit::BROKE
    } else if !is_whole || accounts.iter().any(|account| account.undecided > 0) {
        exit::INCONCLUSIVE
    } else {
        exit::HELD
    }
}
