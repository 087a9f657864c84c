//! `chaos`: explores by drawn and mutated trials, generation by generation, and reports what that found.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use indicatif::ProgressBar;
use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::ChaosOptions;
use nexus_reports::{
    Determinism, Exploration, ProgressRecord, RunRecord, ShareFound, TerminalOptions, TrialRecord, Verdict,
};
use nexus_scenario::{Scenario, Tier};
use nexus_swarm::{Candidate, Corpus, ExploreSettings, Explorer, OriginTally, Seen, Shard};

use super::{
    Context, exhaust, progress,
    sim::{self, Started, assemble, write_reports},
};
use crate::{BugReport, Trial, TrialOutput, TrialRequest, default_jobs, run_batch};

/// So many trials are played a second time at the end, to see whether their traces are the same.
const PLAYED_AGAIN: usize = 6;

pub fn run(options: &ChaosOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let engine = options.engine.single().map(|engine| engine.name().to_owned()).unwrap_or_default();
    super::check_engine(&engine)?;
    let out = options.out.clone().unwrap_or_else(|| context.out(None).join("chaos"));
    if let Some(scenario) = &options.exhaust {
        return exhaust::run(options, scenario, &out, &context);
    }
    let mut chosen = sim::choose(&context.scenarios(), &options.scenarios, false)?;
    // Objectives speak of a scenario's own sizes and faults, and a swarm draws others.
    chosen.iter_mut().for_each(|(_, scenario)| scenario.objectives.clear());
    let shard = shard(options)?;
    let inherited = match &options.corpus {
        Some(folder) => Corpus::read_trials(folder).into_diagnostic()?,
        None => Vec::new(),
    };
    let settings = ExploreSettings { first: options.first(), trials: options.seeds, shard, engine };
    let explorer = Explorer::new(settings, chosen.clone(), inherited);
    let mut run = Run::new(explorer, chosen, out, &context, options);
    run.explore(shard)?;
    run.finish(shard)
}

fn shard(options: &ChaosOptions) -> Result<Shard, Report> {
    match &options.shard {
        Some(text) => text.parse::<Shard>().into_diagnostic().wrap_err("--shard cannot be used"),
        None => Shard::from_environment(Context::variable)
            .into_diagnostic()
            .wrap_err("the variables by which the machine is told its part cannot be used; name it with --shard I/N"),
    }
}

/// One exploration, as it goes on.
struct Run<'a> {
    explorer: Explorer,
    chosen: Vec<(Tier, Scenario)>,
    out: PathBuf,
    context: &'a Context,
    options: &'a ChaosOptions,
    jobs: usize,
    started: Started,
    /// What was played, without the customers, which would fill the memory.
    requests: Vec<TrialRequest>,
    outputs: Vec<Option<TrialOutput>>,
    bugs: Vec<(usize, String)>,
    /// Whole requests of the trials to be played again, with the hash of the first time.
    again: Vec<(TrialRequest, String)>,
    faults_drawn: u64,
    faults_acted: u64,
}

impl<'a> Run<'a> {
    fn new(
        explorer: Explorer,
        chosen: Vec<(Tier, Scenario)>,
        out: PathBuf,
        context: &'a Context,
        options: &'a ChaosOptions,
    ) -> Self {
        Self {
            explorer,
            chosen,
            out,
            context,
            options,
            jobs: options.jobs.unwrap_or_else(default_jobs),
            started: Started::now(),
            requests: Vec::new(),
            outputs: Vec::new(),
            bugs: Vec::new(),
            again: Vec::new(),
            faults_drawn: 0,
            faults_acted: 0,
        }
    }

    fn explore(&mut self, shard: Shard) -> Result<(), Report> {
        let wanted = self.options.seeds.map_or(0, |trials| shard.positions(Some(trials)).count() as u64);
        let bar = progress::bar(wanted, self.options.json);
        while !self.context.is_stopped() && !self.is_over() {
            let generation =
                self.explorer.next_generation().map_err(|error| miette!("a scenario cannot be drawn from: {error}"))?;
            if generation.is_empty() {
                break;
            }
            self.play(&generation, &bar);
            let broken = self.explorer.tallies().values().map(|tally| tally.broken).sum::<u64>();
            let corpus = self.explorer.corpus();
            bar.set_message(format!(
                "{} features, {} in the corpus, {broken} broken",
                corpus.features(),
                corpus.entries().len()
            ));
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Whether the time that was asked for has passed.
    fn is_over(&self) -> bool {
        let minutes = match (self.options.minutes, self.options.seeds) {
            (None, Some(_)) => return false,
            (minutes, _) => minutes.unwrap_or(ChaosOptions::MINUTES),
        };
        self.started.elapsed_s() >= minutes as f64 * 60.0
    }

    fn play(&mut self, generation: &[Candidate], bar: &ProgressBar) {
        let request = |candidate: &Candidate| TrialRequest { trial: candidate.trial.clone(), want_trace: false };
        let requests: Vec<TrialRequest> = generation.iter().map(request).collect();
        let bugs: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());
        let outputs = run_batch(&requests, self.jobs, &self.context.stop, |index, output| {
            if output.record.verdict == Verdict::Broken {
                match write_bug(self.context, &self.out, &generation[index], output) {
                    Ok(path) => bugs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, path)),
                    Err(error) => bar.suspend(|| eprintln!("{error:?}")),
                }
            }
            if self.options.seeds.is_none() {
                bar.inc_length(1);
            }
            bar.inc(1);
        });
        let bugs = bugs.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.bugs.extend(bugs.into_iter().map(|(index, path)| (self.outputs.len() + index, path)));
        if let (Some(first), Some(Some(output))) = (requests.first(), outputs.first())
            && self.again.len() < PLAYED_AGAIN
        {
            self.again.push((first.clone(), output.record.trace_hash.clone()));
        }
        let mut seen = Vec::new();
        for (candidate, output) in generation.iter().zip(outputs) {
            let Some(mut output) = output else {
                seen.push(None);
                self.keep(candidate, None);
                continue;
            };
            self.faults_drawn += output.record.faults.len() as u64;
            self.faults_acted += output.record.faults.iter().filter(|fault| fault.fired > 0).count() as u64;
            let is_broken = output.record.verdict == Verdict::Broken;
            let trial = without_idle_faults(&candidate.trial, &mut output.record);
            output.record.seed = candidate.number;
            // A chart for each of thousands of trials would only be in the way.
            output.record.series.clear();
            seen.push(Some(Seen { trial, features: std::mem::take(&mut output.features), is_broken }));
            output.trace = None;
            self.keep(candidate, Some(output));
        }
        self.explorer.absorb(generation, &seen);
    }

    fn keep(&mut self, candidate: &Candidate, output: Option<TrialOutput>) {
        let mut trial = candidate.trial.clone();
        trial.workload.operations.clear();
        self.requests.push(TrialRequest { trial, want_trace: false });
        self.outputs.push(output);
    }

    fn finish(mut self, shard: Shard) -> Result<u8, Report> {
        let determinism = self.play_again();
        let corpus_folder = self.options.corpus.clone().unwrap_or_else(|| self.out.join("corpus"));
        let cover = self.explorer.corpus().write(&corpus_folder).into_diagnostic()?;
        let outputs = std::mem::take(&mut self.outputs);
        let mut record = assemble(&self.chosen, &self.requests, outputs, &self.bugs, self.context);
        record.determinism = determinism;
        record.started_unix_ms = self.started.unix_ms;
        record.wall_s = self.started.elapsed_s();
        record.exploration = Some(self.exploration(shard, cover as u64));
        record.scenarios.retain(|scenario| !scenario.trials.is_empty());
        let html = write_reports(&record, &self.out)?;
        self.print(&record, &html, &corpus_folder)?;
        let code = record.outcome().exit_code();
        if self.context.is_stopped() {
            eprintln!("stopped early: the report covers the trials that had finished");
            return Ok(nexus_commands::exit::worst([code, nexus_commands::exit::INCONCLUSIVE]));
        }
        Ok(code)
    }

    fn play_again(&self) -> Determinism {
        let requests: Vec<TrialRequest> = self.again.iter().map(|(request, _)| request.clone()).collect();
        let outputs = run_batch(&requests, self.jobs, &self.context.stop, |_, _| {});
        let mut determinism = Determinism::default();
        for ((request, hash), output) in self.again.iter().zip(outputs) {
            let Some(output) = output else { continue };
            determinism.checked += 1;
            if output.record.trace_hash != *hash {
                determinism.diverged += 1;
                let trial = &request.trial;
                eprintln!(
                    "DIVERGED: {} seed {} gave {hash} and then {}",
                    trial.scenario, trial.seed, output.record.trace_hash
                );
            }
        }
        determinism
    }

    fn exploration(&self, shard: Shard, corpus_cover: u64) -> Exploration {
        let share = |tally: &OriginTally| ShareFound {
            trials: tally.trials,
            new_features: tally.new_features,
            broken: tally.broken,
        };
        let explorer = &self.explorer;
        let points = explorer.progress().iter().map(|point| ProgressRecord {
            trials: point.trials,
            features: point.features,
            corpus: point.corpus,
        });
        Exploration {
            origins: explorer.tallies().iter().map(|(name, tally)| ((*name).to_owned(), share(tally))).collect(),
            mutations: explorer.by_mutation().iter().map(|(by, tally)| (by.to_string(), share(tally))).collect(),
            features: explorer.corpus().shown().clone(),
            progress: [(format!("{}/{}", shard.index + 1, shard.count), points.collect())].into(),
            corpus: explorer.corpus().entries().len() as u64,
            corpus_cover,
            faults_drawn: self.faults_drawn,
            faults_acted: self.faults_acted,
        }
    }

    fn print(&self, record: &RunRecord, html: &Path, corpus: &Path) -> Result<(), Report> {
        let goals = goals(record);
        let never: Vec<&String> = goals.iter().filter(|(_, trials)| **trials == 0).map(|(name, _)| name).collect();
        if self.options.json {
            let mut object = serde_json::to_value(record.summary()).into_diagnostic()?;
            let mut exploration = serde_json::to_value(&record.exploration).into_diagnostic()?;
            exploration["features"] = self.explorer.corpus().features().into();
            object["exploration"] = exploration;
            object["goals"] = serde_json::to_value(&goals).into_diagnostic()?;
            object["goals_never_reached"] = serde_json::to_value(&never).into_diagnostic()?;
            println!("{object}");
            return Ok(());
        }
        let html = self.context.shown(html);
        let options = TerminalOptions { colour: Context::colour(), width: sim::terminal_width(), html: Some(&html) };
        print!("{}", record.terminal(&options));
        let reached: Vec<String> = goals
            .iter()
            .filter(|(_, trials)| **trials > 0)
            .map(|(name, trials)| format!("{name} ({trials})"))
            .collect();
        println!("Rare states reached: {} of {}: {}", reached.len(), goals.len(), reached.join(", "));
        println!("Corpus: {}", self.context.shown(corpus));
        Ok(())
    }
}

/// How many trials reached each goal.
fn goals(record: &RunRecord) -> BTreeMap<String, u64> {
    let mut goals = BTreeMap::new();
    for goal in record.scenarios.iter().flat_map(|scenario| &scenario.trials).flat_map(|trial| &trial.goals) {
        *goals.entry(goal.name.clone()).or_default() += u64::from(goal.reached);
    }
    goals
}

/// Named by the trial's number: of two mutants of one trial both have its seed.
fn write_bug(context: &Context, out: &Path, candidate: &Candidate, output: &TrialOutput) -> Result<String, Report> {
    let trial = &candidate.trial;
    let report = BugReport::new(trial, output, &context.revision, &context.profile);
    let path = report.write(out, &format!("bug-{}-{}", trial.scenario, candidate.number))?;
    Ok(context.shown(&path))
}

/// The trial without faults that found nothing to act on. It is the same run: a fault of calls that no call matched, a crash of a
/// host that was down anyway and an act for which there was nothing to act on changed nothing. So its verdict is that of the
/// checks alone; a broken trial's record keeps everything, as its bug file does.
fn without_idle_faults(trial: &Trial, record: &mut TrialRecord) -> Trial {
    let acted = |id: u32| record.faults.iter().any(|fault| fault.id == id.to_string() && fault.fired > 0);
    let faults = trial.faults.iter().filter(|planned| acted(planned.id)).cloned().collect();
    let trial = Trial { faults, ..trial.clone() };
    if record.verdict == Verdict::Inconclusive && record.checks.iter().all(|check| check.outcome == Verdict::Held) {
        record.verdict = Verdict::Held;
        record.reason.clear();
    }
    if record.verdict != Verdict::Broken {
        record.faults.retain(|fault| fault.fired > 0);
    }
    trial
}
