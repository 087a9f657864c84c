//! `sim`: draws trials from scenarios and seeds, runs them on all cores, judges, reports.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{ScheduleChoice, SimOptions};
use nexus_reports::{
    Capability, Determinism, LatencyModelRow, ObjectiveRecord, RunRecord, ScenarioRecord, TerminalOptions, Verdict,
};
use nexus_scenario::{Scenario, Schedule, Tier};
use nexus_workload::Workload;

use super::{Context, progress};
use crate::{BugReport, Trial, TrialOutput, TrialRequest, default_jobs, run_batch};

/// Trials per scenario whose points over time the report keeps; a chart of more would only be slower.
const SERIES_KEPT: usize = 4;

pub fn run(options: &SimOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let mut chosen = choose(&context.scenarios(), &options.scenarios, options.list)?;
    if options.list {
        return list(&chosen, options.json);
    }
    super::check_engine(&options.engine.single().map(|engine| engine.name().to_owned()).unwrap_or_default())?;
    schedule(&mut chosen, options.schedule);
    let workload = options.workload.as_deref().map(read_workload).transpose()?;
    let requests = draw(&chosen, options, workload.as_ref())?;
    let out = context.out(options.out.as_deref());
    let started = Started::now();

    let bugs: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());
    let bar = progress::bar(requests.len() as u64, options.json);
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let outputs = run_batch(&requests, jobs, &context.stop, |index, output| {
        if output.record.verdict == Verdict::Broken {
            match write_bug(&context, &out, &requests[index].trial, output) {
                Ok(path) => bugs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, path)),
                Err(error) => bar.suspend(|| eprintln!("{error:?}")),
            }
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    let (determinism, diverged) = check_determinism(&requests, &outputs, options, jobs, &context);
    let bugs = bugs.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut record = assemble(&chosen, &requests, outputs, &bugs, &context);
    record.determinism = determinism;
    record.started_unix_ms = started.unix_ms;
    record.wall_s = started.elapsed_s();
    finish(&record, &diverged, &out, &context, options)
}

/// When the run began, on real clocks: they appear in the report and nowhere else.
pub(super) struct Started {
    instant: Instant,
    pub(super) unix_ms: u64,
}

impl Started {
    #[allow(clippy::disallowed_methods)] // The run's own duration; no trial sees it.
    pub(super) fn now() -> Self {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Self { instant: Instant::now(), unix_ms }
    }

    pub(super) fn elapsed_s(&self) -> f64 {
        self.instant.elapsed().as_secs_f64()
    }
}

/// The scenarios named, or smoke and fast ones.
pub(super) fn choose(folder: &Path, named: &[String], list: bool) -> Result<Vec<(Tier, Scenario)>, Report> {
    let mut chosen = Vec::new();
    if named.is_empty() || named.iter().any(|name| name == "all") {
        chosen = nexus_scenario::load_all(folder)?;
        if named.is_empty() && !list {
            chosen.retain(|(tier, _)| matches!(tier, Tier::Smoke | Tier::Fast));
        }
        chosen.retain(|(_, scenario)| list || !scenario.by_name_only);
    }
    for name in named.iter().filter(|name| *name != "all") {
        let found = nexus_scenario::find(folder, name)?;
        if !chosen.iter().any(|(_, scenario)| scenario.name == found.1.name) {
            chosen.push(found);
        }
    }
    if chosen.is_empty() {
        return Err(miette!(
            help = "run it inside the repository, or name a scenario file with --scenario PATH",
            "no scenarios found under `{}`",
            folder.display()
        ));
    }
    Ok(chosen)
}

fn list(chosen: &[(Tier, Scenario)], json: bool) -> Result<u8, Report> {
    if json {
        let rows: Vec<_> = chosen
            .iter()
            .map(|(tier, scenario)| {
                serde_json::json!({"name": scenario.name, "tier": tier.folder(), "seeds": scenario.seeds, "description": scenario.description})
            })
            .collect();
        println!("{}", serde_json::to_string(&rows).into_diagnostic()?);
        return Ok(nexus_commands::exit::HELD);
    }
    let width = chosen.iter().map(|(_, scenario)| scenario.name.len()).max().unwrap_or(0);
    for (tier, scenario) in chosen {
        println!("{:8} {:width$}  {}", tier.folder(), scenario.name, scenario.description);
    }
    Ok(nexus_commands::exit::HELD)
}

fn read_workload(path: &Path) -> Result<Workload, Report> {
    let text = fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the workload `{}`", path.display()))?;
    nexus_workload::parse_jsonl(&text, &path.display().to_string()).map_err(|error| miette!("{error}"))
}

fn draw(
    chosen: &[(Tier, Scenario)],
    options: &SimOptions,
    workload: Option<&Workload>,
) -> Result<Vec<TrialRequest>, Report> {
    let engine = nexus_engine::compiled_engine().to_string();
    let mut requests = Vec::new();
    for (tier, scenario) in chosen {
        let (first, count) = options.seed_span(scenario.seeds);
        for seed in first..=first + (count - 1) {
            let trial = match workload {
                None => Trial::draw(*tier, scenario, &engine, seed),
                Some(workload) => Trial::with_workload(*tier, scenario, &engine, seed, workload.clone()),
            };
            let trial = trial.map_err(|error| miette!("scenario `{}`: {error}", scenario.name))?;
            requests.push(TrialRequest { trial, want_trace: false });
        }
    }
    Ok(requests)
}

/// Has the scenarios take tasks in the chosen order.
pub(super) fn schedule(scenarios: &mut [(Tier, Scenario)], choice: ScheduleChoice) {
    let chosen = match choice {
        ScheduleChoice::Scenario => return,
        ScheduleChoice::Priorities => Schedule::PRIORITIES,
        ScheduleChoice::Pauses => Schedule::PAUSES,
        ScheduleChoice::Both => Schedule::BOTH,
    };
    for (_, scenario) in scenarios {
        scenario.schedule = chosen.clone();
    }
}

fn write_bug(context: &Context, out: &Path, trial: &Trial, output: &TrialOutput) -> Result<String, Report> {
    let report = BugReport::new(trial, output, &context.revision, &context.profile);
    let path = report.write(out, &format!("bug-{}-{}", trial.scenario, trial.seed))?;
    Ok(context.shown(&path))
}

/// A trial whose second run went another way.
struct Diverged {
    scenario: String,
    seed: u64,
    first_hash: String,
    second_hash: String,
}

/// Runs trials a second time in other processes and compares trace hashes: all with `--check-determinism`, else the first of
/// each scenario.
fn check_determinism(
    requests: &[TrialRequest],
    outputs: &[Option<TrialOutput>],
    options: &SimOptions,
    jobs: usize,
    context: &Context,
) -> (Determinism, Vec<Diverged>) {
    let mut seen = Vec::new();
    let chosen: Vec<usize> = (0..requests.len())
        .filter(|index| {
            let scenario = &requests[*index].trial.scenario;
            let is_first = !seen.contains(scenario);
            if is_first {
                seen.push(scenario.clone());
            }
            (is_first || options.check_determinism) && outputs[*index].is_some()
        })
        .collect();
    let again: Vec<TrialRequest> = chosen.iter().map(|index| requests[*index].clone()).collect();
    let bar = progress::bar(again.len() as u64, options.json);
    bar.set_message("again, for determinism");
    let second = run_batch(&again, jobs, &context.stop, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let mut determinism = Determinism::default();
    let mut diverged = Vec::new();
    for (index, second) in chosen.into_iter().zip(second) {
        let (Some(first), Some(second)) = (&outputs[index], second) else { continue };
        determinism.checked += 1;
        if first.record.trace_hash != second.record.trace_hash {
            determinism.diverged += 1;
            let trial = &requests[index].trial;
            diverged.push(Diverged {
                scenario: trial.scenario.clone(),
                seed: trial.seed,
                first_hash: first.record.trace_hash.clone(),
                second_hash: second.record.trace_hash,
            });
        }
    }
    (determinism, diverged)
}

/// The record of a run, out of what its trials left; `bugs` are the files written, by the trial's index.
pub(super) fn assemble(
    chosen: &[(Tier, Scenario)],
    requests: &[TrialRequest],
    outputs: Vec<Option<TrialOutput>>,
    bugs: &[(usize, String)],
    context: &Context,
) -> RunRecord {
    let engine = nexus_engine::compiled_engine().to_string();
    let mut record = RunRecord::new(&context.revision, &engine, &context.profile);
    record.scenarios = chosen
        .iter()
        .map(|(tier, scenario)| ScenarioRecord {
            name: scenario.name.clone(),
            engine: engine.clone(),
            tier: report_tier(*tier),
            description: scenario.description.clone(),
            trials: Vec::new(),
            objectives: scenario
                .objectives
                .iter()
                .map(|wanted| {
                    ObjectiveRecord::unjudged(&wanted.latency, &wanted.phase, wanted.percentile, wanted.limit_ms)
                })
                .collect(),
        })
        .collect();
    let mut assumed: BTreeMap<String, u64> = BTreeMap::new();
    for (index, output) in outputs.into_iter().enumerate() {
        let Some(mut output) = output else { continue };
        for assumption in requests[index].trial.assumptions.names_in_use() {
            *assumed.entry(assumption).or_default() += 1;
        }
        output.record.bug_file = bugs.iter().find(|(of, _)| *of == index).map(|(_, path)| path.clone());
        record.seeds.push(output.record.seed);
        let name = &requests[index].trial.scenario;
        if let Some(scenario) = record.scenarios.iter_mut().find(|scenario| scenario.name == *name) {
            scenario.trials.push(output.record);
        }
    }
    record.seeds.sort_unstable();
    record.seeds.dedup();
    for scenario in &mut record.scenarios {
        scenario.judge_objectives();
    }
    record.keep_series_of(SERIES_KEPT);
    record.latency_model = latency_model();
    record.assumptions = assumptions(&assumed);
    record.capabilities = capabilities(&engine);
    record.coverage_rows = crate::coverage::rows();
    record
}

fn report_tier(tier: Tier) -> nexus_reports::Tier {
    match tier {
        Tier::Smoke => nexus_reports::Tier::Smoke,
        Tier::Fast => nexus_reports::Tier::Fast,
        Tier::Slow => nexus_reports::Tier::Slow,
        Tier::Regress => nexus_reports::Tier::Regress,
    }
}

fn finish(
    record: &RunRecord,
    diverged: &[Diverged],
    out: &Path,
    context: &Context,
    options: &SimOptions,
) -> Result<u8, Report> {
    let html_path = write_reports(record, out)?;
    super::report::write_junit(record, options.junit.junit.as_deref())?;
    for trial in diverged {
        eprintln!(
            "DIVERGED: {} seed {} gave {} and then {}",
            trial.scenario, trial.seed, trial.first_hash, trial.second_hash
        );
    }
    if options.json {
        println!("{}", record.summary_json().into_diagnostic()?);
    } else {
        let html = context.shown(&html_path);
        let width = terminal_width();
        let shown = record.terminal(&TerminalOptions { colour: Context::colour(), width, html: Some(&html) });
        print!("{shown}");
    }
    if context.is_stopped() {
        eprintln!("stopped early: the report covers the trials that had finished");
        return Ok(nexus_commands::exit::worst([record.outcome().exit_code(), nexus_commands::exit::INCONCLUSIVE]));
    }
    Ok(record.outcome().exit_code())
}

/// Writes the record and its page into a folder, and tells where the page is.
pub(super) fn write_reports(record: &RunRecord, out: &Path) -> Result<PathBuf, Report> {
    let cannot = || format!("cannot write the report into `{}`", out.display());
    fs::create_dir_all(out).into_diagnostic().wrap_err_with(cannot)?;
    fs::write(out.join("record.json"), record.to_json().into_diagnostic()?).into_diagnostic().wrap_err_with(cannot)?;
    let html_path = out.join("report.html");
    fs::write(&html_path, record.html().into_diagnostic()?).into_diagnostic().wrap_err_with(cannot)?;
    Ok(html_path)
}

pub(super) fn terminal_width() -> u16 {
    let columns = std::env::var_os("COLUMNS").and_then(|value| value.to_str()?.parse().ok());
    columns.unwrap_or(140).clamp(80, 200)
}

fn latency_model() -> Vec<LatencyModelRow> {
    let model = nexus_cloud::LatencyModel::default();
    let row = |class: &nexus_cloud::LatencyClass| LatencyModelRow {
        operation: class.name.clone(),
        p50_ms: class.p50_ms,
        p90_ms: class.p90_ms,
        p99_ms: class.p99_ms,
        source: class.source.clone(),
    };
    model.classes.iter().map(row).collect()
}

/// The doubtful facts that the trials of this run leaned on, in the order in which the simulated AWS declares them.
fn assumptions(assumed: &BTreeMap<String, u64>) -> Vec<nexus_reports::Assumption> {
    let name_of = |text: &str| text.split_once('=').map_or(text, |(name, _)| name).to_owned();
    let declared: Vec<String> =
        nexus_cloud::Assumptions::default().names_in_use().iter().map(|text| name_of(text)).collect();
    let mut assumptions: Vec<nexus_reports::Assumption> = assumed
        .iter()
        .map(|(text, trials)| {
            let value = text.split_once('=').map_or("", |(_, value)| value).to_owned();
            nexus_reports::Assumption { name: name_of(text), value, used: *trials }
        })
        .collect();
    assumptions.sort_by_key(|assumption| declared.iter().position(|name| *name == assumption.name));
    assumptions
}

/// The ability of an engine that a kind of fault of the environment needs; faults of calls need none but the cloud.
fn needed_ability(kind: nexus_faults::FaultKind) -> Option<&'static str> {
    use nexus_faults::FaultKind as Kind;
    match kind {
        Kind::Crash | Kind::CrashAtCall => Some("crash"),
        Kind::Partition => Some("partition"),
        Kind::PartitionOneWay => Some("partition_one_way"),
        Kind::SlowLink => Some("link_latency"),
        Kind::SlowHost => Some("slow_host"),
        Kind::Pause => Some("pause"),
        Kind::ClockSkew | Kind::ClockLeap => Some("clock_offset"),
        Kind::ClockDrift => Some("clock_drift"),
        _ => None,
    }
}

fn capabilities(engine: &str) -> Vec<Capability> {
    use nexus_engine::Support;
    let abilities = nexus_engine::capabilities(nexus_engine::compiled_engine());
    let capability = |kind: &nexus_faults::FaultKind| {
        let support = needed_ability(*kind)
            .and_then(|wanted| abilities.iter().find(|(name, _)| *name == wanted))
            .map_or(Support::Full, |(_, support)| *support);
        let (supported, note) = match support {
            Support::Full => (true, ""),
            Support::Approximate(note) => (true, note),
            Support::None(note) => (false, note),
        };
        Capability { fault_kind: kind.to_string(), engine: engine.to_owned(), supported, note: note.to_owned() }
    };
    nexus_faults::FaultKind::ALL.iter().map(capability).collect()
}
