//! `bench mutants`: does the simulation tell a system that was changed at random from the one that was meant?
//!
//! The build carries a sample of mutants, each behind a switch (`tools/mutants`). First every scenario is played without
//! any, to see which switches it passes: a mutant is then hunted only where it is reached, the cheapest scenario first. One
//! that breaks no check but changes the course of trials is compared, seed by seed, with the run without it, as
//! `report diff` would compare two revisions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{BenchOptions, exit, switch};
use nexus_reports::Verdict;
use nexus_scenario::{Scenario, Tier};
use serde::{Deserialize, Serialize};

use super::{
    Context, progress,
    sim::schedule,
    unmutated::{Ground, Unmutated, word},
};
use crate::{TrialOutput, TrialRequest, default_jobs, run_batch};

/// Seeds of each scenario that are played to see what it reaches.
const SEEDS_TO_REACH: u64 = 2;

/// So many of a hundred mutants that change the course of some trial must be caught.
const CAUGHT_MIN_PERCENT: usize = 85;

/// Scenarios in which a mutant that breaks no check is compared with the run without it, and seeds of each. What grew must
/// grow again with as many other seeds: among so many comparisons chance finds something.
const GROUNDS_COMPARED: usize = 3;
const SEEDS_COMPARED: u64 = 6;

/// The list as `tools/mutants` writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutants: Vec<Planted>,
    /// Mutants of the sample's order that do not compile or cannot bear a switch.
    left_out: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    number: usize,
    name: String,
    /// The name without line and column.
    lasting_name: String,
    genre: String,
}

/// `chaos/mutants/survivors.toml`: why a mutant that no check notices is none that one should.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explained {
    survivors: BTreeMap<String, String>,
}

/// How one mutant fared.
#[derive(Clone, Debug, Serialize)]
struct MutantResult {
    name: String,
    genre: String,
    /// Scenarios whose trials ask for its switch.
    reached_by: usize,
    /// Whether any trial took another course with it.
    acts: bool,
    caught: bool,
    /// The check that noticed it; `process` where the trial died or did not end; `diff` where it makes the system dearer or
    /// slower beyond chance.
    checker: Option<String>,
    /// What of the comparison grew.
    growth: Option<String>,
    scenario: Option<String>,
    /// Trials played until it was caught, or all of them.
    trials: u64,
    seconds: f64,
    /// For one that was not caught: why none should notice it.
    explanation: Option<String>,
}

/// The check that stands for the comparison with the run without the mutant.
const DIFF: &str = "diff";

pub fn run(options: &BenchOptions, context: &Context) -> Result<u8, Report> {
    let list = read_list()?;
    let explained = read_explained(&context.workspace.join("chaos").join("mutants").join("survivors.toml"))?;
    let chosen = chosen(&list.mutants, &options.only)?;
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let mut unmutated = Unmutated::default();
    let grounds = survey(options, context, jobs, &mut unmutated)?;
    let bar = progress::bar(chosen.len() as u64, options.json);
    let mut results = Vec::new();
    for planted in &chosen {
        if context.is_stopped() {
            break;
        }
        bar.set_message(planted.name.clone());
        let mut hunt = Hunt::new(planted, &grounds, context, jobs);
        let mut result = hunt.run(options.seeds, &mut unmutated)?;
        if !result.caught {
            result.explanation = explained.survivors.get(&planted.lasting_name).cloned();
        }
        results.push(result);
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&results, &list.left_out, options)?;
    Ok(if results.len() == chosen.len() && is_enough(&results) { exit::HELD } else { exit::BROKE })
}

fn read_list() -> Result<List, Report> {
    let path = Context::variable(switch::MUTANTS_VARIABLE)
        .map(PathBuf::from)
        .ok_or_else(|| miette!(help = "run it as `cargo xtask bench mutants`", "this build carries no mutants"))?;
    let text = fs::read_to_string(&path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))
}

/// All mutants, or those asked for by name.
fn chosen<'a>(mutants: &'a [Planted], only: &[String]) -> Result<Vec<&'a Planted>, Report> {
    if let Some(unknown) = only.iter().find(|name| mutants.iter().all(|planted| planted.name != **name)) {
        return Err(miette!(
            help = "names come from `bench mutants --json`, of the same source, --sample and --draw",
            "no mutant of this sample is called `{unknown}`"
        ));
    }
    Ok(mutants.iter().filter(|planted| only.is_empty() || only.contains(&planted.name)).collect())
}

fn read_explained(path: &Path) -> Result<Explained, Report> {
    if !path.exists() {
        return Ok(Explained::default());
    }
    let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    toml::from_str(&text).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))
}

/// Plays every scenario that a default run plays without a mutant, and notes whose switches it passes.
fn survey(
    options: &BenchOptions,
    context: &Context,
    jobs: usize,
    unmutated: &mut Unmutated,
) -> Result<Vec<Ground>, Report> {
    let mut scenarios = nexus_scenario::load_all(&context.scenarios())?;
    scenarios.retain(|(tier, _)| *tier != Tier::Slow);
    schedule(&mut scenarios, options.schedule);
    let folder = context.out(None).join("mutants-reached");
    if folder.exists() {
        fs::remove_dir_all(&folder).into_diagnostic()?;
    }
    fs::create_dir_all(&folder).into_diagnostic()?;
    let note_of = |scenario: &Scenario| folder.join(&scenario.name);
    let mut requests = Vec::new();
    for (tier, scenario) in &scenarios {
        let word = format!("{}{}", switch::REACHED, note_of(scenario).display());
        for seed in 1..=SEEDS_TO_REACH {
            requests.push(super::bench::draw(*tier, scenario, seed, Some(&word))?);
        }
    }
    let bar = progress::bar(requests.len() as u64, options.json);
    let outputs = run_batch(&requests, jobs, &context.stop, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let mut grounds = Vec::new();
    for ((tier, scenario), outputs) in scenarios.into_iter().zip(outputs.chunks(SEEDS_TO_REACH as usize)) {
        let outputs: Vec<&TrialOutput> = outputs.iter().flatten().collect();
        if let Some(broken) = outputs.iter().find(|output| output.record.verdict == Verdict::Broken) {
            let reason = &broken.record.reason;
            return Err(miette!(
                help = "mend this first: a check that breaks by itself catches every mutant",
                "`{}` breaks without any mutant: {reason}",
                scenario.name
            ));
        }
        let noted = fs::read_to_string(note_of(&scenario)).unwrap_or_default();
        let reached = noted.lines().filter_map(|line| line.parse().ok()).collect();
        let aws_calls = outputs.iter().map(|output| output.record.aws_calls).sum();
        for output in outputs {
            unmutated.keep(&scenario.name, output.clone());
        }
        grounds.push(Ground { tier, scenario, reached, aws_calls });
    }
    grounds.sort_by_key(|ground| ground.aws_calls);
    Ok(grounds)
}

/// The hunt for one mutant.
struct Hunt<'a> {
    number: usize,
    /// Where it is reached, the cheapest first.
    grounds: Vec<&'a Ground>,
    /// Where trials took another course with it.
    acting: BTreeSet<&'a str>,
    result: MutantResult,
    context: &'a Context,
    jobs: usize,
}

impl<'a> Hunt<'a> {
    fn new(planted: &Planted, grounds: &'a [Ground], context: &'a Context, jobs: usize) -> Self {
        let grounds: Vec<&Ground> = grounds.iter().filter(|ground| ground.reached.contains(&planted.number)).collect();
        let result = MutantResult {
            name: planted.name.clone(),
            genre: planted.genre.clone(),
            reached_by: grounds.len(),
            acts: false,
            caught: false,
            checker: None,
            growth: None,
            scenario: None,
            trials: 0,
            seconds: 0.0,
            explanation: None,
        };
        Self { number: planted.number, grounds, acting: BTreeSet::new(), result, context, jobs }
    }

    #[allow(clippy::disallowed_methods)] // The hunt's own duration is what is measured.
    fn run(&mut self, seeds: u64, unmutated: &mut Unmutated) -> Result<MutantResult, Report> {
        let started = Instant::now();
        self.by_checks(seeds, unmutated)?;
        if !self.result.caught && self.result.acts {
            self.by_comparison(unmutated)?;
        }
        self.result.seconds = started.elapsed().as_secs_f64();
        Ok(self.result.clone())
    }

    /// Plays the scenarios that reach the mutant in turns, seed by seed, until a check breaks.
    fn by_checks(&mut self, seeds: u64, unmutated: &mut Unmutated) -> Result<(), Report> {
        let count = self.grounds.len() as u64;
        let mut next = 0;
        while count > 0 && next < seeds && !self.result.caught && !self.context.is_stopped() {
            let until = (next + 2 * self.jobs as u64).min(seeds);
            let chosen: Vec<(&Ground, u64)> =
                (next..until).map(|number| (self.grounds[(number % count) as usize], 1 + number / count)).collect();
            next = until;
            let outputs = self.play(&self.requests(&chosen)?);
            if self.is_noticed(&chosen, &outputs) {
                return Ok(());
            }
            unmutated.play(&chosen, self.jobs, self.context)?;
            for ((ground, _), output) in chosen.iter().zip(&outputs) {
                let name = ground.scenario.name.as_str();
                if output.as_ref().is_some_and(|output| unmutated.differs(name, &output.record) == Some(true)) {
                    self.result.acts = true;
                    self.acting.insert(name);
                }
            }
        }
        Ok(())
    }

    /// Compares the cost of the same seeds with and without the mutant where it changes their course: first where nothing else
    /// goes wrong, since faults make noise.
    fn by_comparison(&mut self, unmutated: &mut Unmutated) -> Result<(), Report> {
        let mut grounds: Vec<&Ground> =
            self.grounds.iter().copied().filter(|ground| self.acting.contains(ground.scenario.name.as_str())).collect();
        grounds.sort_by_key(|ground| !ground.scenario.faults.is_empty());
        for ground in grounds.into_iter().take(GROUNDS_COMPARED) {
            let first = self.worsened(ground, 1..=SEEDS_COMPARED, unmutated)?;
            let again = match first.is_empty() {
                true => BTreeMap::new(),
                false => self.worsened(ground, SEEDS_COMPARED + 1..=2 * SEEDS_COMPARED, unmutated)?,
            };
            if self.result.caught {
                return Ok(());
            }
            if let Some((_, told)) = again.into_iter().find(|(what, _)| first.contains_key(what)) {
                self.result.caught = true;
                self.result.checker = Some(DIFF.to_owned());
                self.result.scenario = Some(ground.scenario.name.clone());
                self.result.growth = Some(told);
                return Ok(());
            }
        }
        Ok(())
    }

    /// What grew in these seeds of the scenario; nothing if a check broke, which is noted.
    fn worsened(
        &mut self,
        ground: &'a Ground,
        seeds: std::ops::RangeInclusive<u64>,
        unmutated: &mut Unmutated,
    ) -> Result<BTreeMap<String, String>, Report> {
        let chosen: Vec<(&Ground, u64)> = seeds.map(|seed| (ground, seed)).collect();
        unmutated.play(&chosen, self.jobs, self.context)?;
        let requests = self.requests(&chosen)?;
        let outputs = self.play(&requests);
        if self.is_noticed(&chosen, &outputs) || self.context.is_stopped() {
            return Ok(BTreeMap::new());
        }
        Ok(unmutated.worsened(ground, &requests, outputs, self.context))
    }

    fn requests(&self, chosen: &[(&Ground, u64)]) -> Result<Vec<TrialRequest>, Report> {
        let word = word(self.number);
        chosen.iter().map(|(ground, seed)| ground.request(*seed, Some(&word))).collect()
    }

    fn play(&self, requests: &[TrialRequest]) -> Vec<Option<TrialOutput>> {
        run_batch(requests, self.jobs, &self.context.stop, |_, _| {})
    }

    /// Whether a check noticed the mutant in one of these trials; notes which, and how many trials it took.
    fn is_noticed(&mut self, chosen: &[(&Ground, u64)], outputs: &[Option<TrialOutput>]) -> bool {
        let noticed =
            outputs.iter().enumerate().find_map(|(index, output)| Some((index, noticed_by(output.as_ref()?)?)));
        let Some((index, checker)) = noticed else {
            self.result.trials += outputs.len() as u64;
            return false;
        };
        self.result.acts = true;
        self.result.caught = true;
        self.result.checker = Some(checker);
        self.result.scenario = Some(chosen[index].0.scenario.name.clone());
        self.result.trials += index as u64 + 1;
        true
    }
}

/// The check that tells this trial from a sound one. A process that does not end is told by its being given up: without a
/// mutant none takes a hundredth of that time.
fn noticed_by(output: &TrialOutput) -> Option<String> {
    let told = |check: &&nexus_reports::CheckRecord| {
        check.outcome == Verdict::Broken || (check.name == "process" && check.outcome == Verdict::Inconclusive)
    };
    output.record.checks.iter().find(told).map(|check| check.name.clone())
}

/// Whether so many were caught as must be, and the others are explained. What no scenario reaches says nothing about the
/// checks: it is told, as a gap of the scenarios. Nor does what leaves every trial as it was, to the last call and byte.
fn is_enough(results: &[MutantResult]) -> bool {
    let acting: Vec<&MutantResult> = results.iter().filter(|result| result.acts).collect();
    let caught = acting.iter().filter(|result| result.caught).count();
    let unexplained = acting.iter().any(|result| !result.caught && result.explanation.is_none());
    !acting.is_empty() && caught * 100 >= acting.len() * CAUGHT_MIN_PERCENT && !unexplained
}

/// How many there are of each.
#[derive(Debug, Serialize)]
struct Counts {
    sampled: usize,
    reached: usize,
    acting: usize,
    caught: usize,
    caught_by_checks: usize,
    caught_by_comparison: usize,
    left_out: usize,
}

impl Counts {
    fn of(results: &[MutantResult], left_out: &[String]) -> Counts {
        let count = |is_it: &dyn Fn(&MutantResult) -> bool| results.iter().filter(|result| is_it(result)).count();
        let by_comparison = count(&|result| result.checker.as_deref() == Some(DIFF));
        let caught = count(&|result| result.caught);
        Counts {
            sampled: results.len(),
            reached: count(&|result| result.reached_by > 0),
            acting: count(&|result| result.acts),
            caught,
            caught_by_checks: caught - by_comparison,
            caught_by_comparison: by_comparison,
            left_out: left_out.len(),
        }
    }
}

fn print(results: &[MutantResult], left_out: &[String], options: &BenchOptions) -> Result<(), Report> {
    let counts = Counts::of(results, left_out);
    let mut trials: Vec<u64> = results.iter().filter(|result| result.caught).map(|result| result.trials).collect();
    trials.sort_unstable();
    let median_trials = trials.get(trials.len() / 2).copied();
    if options.json {
        let object = serde_json::json!({
            "mutants": results,
            "counts": counts,
            "median_trials": median_trials,
            "left_out": left_out,
        });
        println!("{}", serde_json::to_string(&object).into_diagnostic()?);
        return Ok(());
    }
    for result in results {
        let (verdict, silent) = match result {
            MutantResult { caught: true, .. } => ("caught", ""),
            MutantResult { reached_by: 0, .. } => ("unreached", "no scenario reaches it"),
            MutantResult { acts: false, .. } => ("no effect", "every trial is as without it"),
            _ => ("SURVIVED", "unexplained"),
        };
        let told = [&result.growth, &result.checker, &result.explanation];
        let by = told.into_iter().find_map(Option::as_deref).unwrap_or(silent);
        println!("{verdict:9}  {:>4} trials  {:>6.1} s  {}\n{:32}{by}", result.trials, result.seconds, result.name, "");
    }
    let Counts { sampled, reached, acting, caught, caught_by_checks, caught_by_comparison, left_out } = counts;
    println!(
        "{caught} of {acting} mutants caught that change the course of a trial: {caught_by_checks} by checks, {caught_by_comparison} by \
         comparison with the run without them; {reached} of {sampled} sampled are reached, {left_out} left out"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexus_reports::{CheckRecord, TrialRecord};

    use super::*;

    fn output(name: &str, outcome: Verdict) -> TrialOutput {
        let mut record = TrialRecord::new(1, outcome, "");
        record.checks.push(CheckRecord { name: name.to_owned(), outcome, examined: 1, message: String::new() });
        TrialOutput { record, violations: Vec::new(), features: Vec::new(), trace: None }
    }

    fn result(caught: bool, explanation: Option<&str>) -> MutantResult {
        MutantResult {
            name: String::new(),
            genre: String::new(),
            reached_by: 1,
            acts: true,
            caught,
            growth: None,
            checker: None,
            scenario: None,
            trials: 1,
            seconds: 0.0,
            explanation: explanation.map(str::to_owned),
        }
    }

    #[test]
    fn a_mutant_is_noticed_by_a_broken_check_or_by_a_trial_that_does_not_end() {
        let cases = [
            ("durability", Verdict::Broken, Some("durability")),
            ("durability", Verdict::Inconclusive, None),
            ("durability", Verdict::Held, None),
            ("process", Verdict::Inconclusive, Some("process")),
        ];
        for (name, outcome, expected) in cases {
            assert_eq!(noticed_by(&output(name, outcome)).as_deref(), expected, "{name} {outcome:?}");
        }
    }

    #[test]
    fn a_mutant_that_is_not_in_the_sample_is_named() {
        let planted = |name: &str| Planted {
            number: 0,
            name: name.to_owned(),
            lasting_name: name.to_owned(),
            genre: "FnValue".to_owned(),
        };
        let sample = [planted("a.rs:1:1: replace f with ()"), planted("b.rs:2:2: delete !")];
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&sample, &only).map(|chosen| chosen.iter().map(|planted| planted.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).expect("all").len(), 2);
        assert_eq!(names(&["b.rs:2:2: delete !"]).expect("one"), ["b.rs:2:2: delete !"]);
        assert!(names(&["b.rs"]).unwrap_err().to_string().contains("called `b.rs`"));
    }

    #[test]
    fn eighty_five_of_a_hundred_are_enough_if_the_others_are_explained() {
        let results = |caught: usize, explanation| {
            let survivors = std::iter::repeat_n(result(false, explanation), 100 - caught);
            std::iter::repeat_n(result(true, None), caught).chain(survivors).collect::<Vec<_>>()
        };
        assert!(is_enough(&results(85, Some("only a log line differs"))));
        assert!(!is_enough(&results(84, Some("only a log line differs"))));
        assert!(!is_enough(&results(85, None)));
        assert!(is_enough(&results(100, None)));
        let beyond = MutantResult { reached_by: 0, acts: false, ..result(false, None) };
        assert!(is_enough(&[result(true, None), beyond.clone()]), "what nothing reaches is no hole in the checks");
        assert!(!is_enough(&[beyond]), "a sample that nothing reaches shows nothing");
        let idle = MutantResult { acts: false, ..result(false, None) };
        assert!(is_enough(&[result(true, None), idle]), "what changes nothing cannot be noticed");
    }
}
